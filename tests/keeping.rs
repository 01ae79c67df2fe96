//! Which checkpoints a run keeps, as its recipe says, and that it goes on from each of them to the same bits.

use crate::cli::{MODEL, Place};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The small model, evaluated every second iteration, with a line on checkpoints.
fn place(line: &str) -> Place {
    let place = Place::new();
    let entries = format!("evaluate   every 2\n    {line}");
    fs::write(place.path("tiny.sph"), MODEL.replace("evaluate   every 5", &entries)).unwrap();
    place
}

fn steps(run: &Path) -> BTreeSet<u64> {
    let files = fs::read_dir(run.join("checkpoints")).unwrap();
    let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.map(|it| it.strip_prefix("step-").unwrap().strip_suffix(".safetensors").unwrap().parse().unwrap()).collect()
}

/// The iteration of the best evaluation, of those at intervals or of all, from the log.
fn best(run: &Path, counts: impl Fn(u64) -> bool) -> u64 {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let tested = lines.filter_map(|it| Some((it["iteration"].as_u64()?, it["test_accuracy"].as_f64()?)));
    let better = |a: (u64, f64), b: (u64, f64)| if a.1 < b.1 { b } else { a };
    tested.filter(|it| counts(it.0)).reduce(better).unwrap().0
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("checkpoints")).unwrap();
    for file in ["config.yaml", "metrics.jsonl"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    for file in fs::read_dir(from.join("checkpoints")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join("checkpoints").join(file.file_name())).unwrap();
    }
}

#[test]
fn the_last_and_the_best_stay_and_each_leads_on_to_the_same_bits() {
    let place = place("checkpoint last(2), best every 3");
    let said = place.succeeds("train tiny.sph --run whole --iterations 25 --format json");
    let whole = place.path("whole");
    let (of_all, at_intervals) = (best(&whole, |_| true), best(&whole, |it| it % 2 == 0));
    let kept = BTreeSet::from([24, 25, of_all, at_intervals]);
    assert_eq!(steps(&whole), kept);
    let end: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(end["best"]["iteration"], of_all);
    let path = end["best_checkpoint"].as_str().unwrap();
    assert!(path.ends_with(&format!("step-{of_all:08}.safetensors")), "{path}");
    // What is kept as the best gives what the log says of it.
    let tested = place.succeeds(&format!("eval tiny.sph --weights {path} --format json"));
    let tested: Value = serde_json::from_str(&tested).unwrap();
    assert_eq!(tested["test_accuracy"], end["best"]["test_accuracy"]);

    let last = fs::read(whole.join("checkpoints/step-00000025.safetensors")).unwrap();
    for from in &kept {
        let run = format!("from-{from}");
        copy(&whole, &place.path(&run));
        for newer in kept.iter().filter(|it| from < *it) {
            fs::remove_file(place.path(&run).join(format!("checkpoints/step-{newer:08}.safetensors"))).unwrap();
        }
        place.succeeds(&format!("train tiny.sph --run {run} --iterations 25 --resume"));
        assert_eq!(fs::read(place.path(&run).join("checkpoints/step-00000025.safetensors")).unwrap(), last, "{from}");
        assert_eq!(steps(&place.path(&run)), kept, "{from}");
    }

    // A run that ends early and is resumed for longer keeps what an undisturbed one keeps.
    place.succeeds("train tiny.sph --run parts --iterations 7");
    place.succeeds("train tiny.sph --run parts --iterations 11 --resume");
    place.succeeds("train tiny.sph --run parts --iterations 25 --resume");
    assert_eq!(steps(&place.path("parts")), kept);
}

#[test]
fn what_a_line_leaves_out_is_as_ever() {
    let place = place("checkpoint every 4");
    place.succeeds("train tiny.sph --run all");
    assert_eq!(steps(&place.path("all")), BTreeSet::from([4, 8, 12]));

    let text = fs::read_to_string(place.path("tiny.sph")).unwrap();
    for (line, kept) in [
        ("checkpoint last(1) every 4", BTreeSet::from([12])),
        ("checkpoint last(1000000) every 5", BTreeSet::from([5, 10, 12])),
        ("checkpoint best every 5", BTreeSet::from([5, 10, 12, best(&place.path("all"), |_| true)])),
        ("checkpoint best", BTreeSet::from([12, best(&place.path("all"), |_| true)])),
    ] {
        fs::write(place.path("other.sph"), text.replace("checkpoint every 4", line)).unwrap();
        let run = line.replace(' ', "-");
        place.succeeds(&format!("train other.sph --run {run}"));
        assert_eq!(steps(&place.path(&run)), kept, "{line}");
    }
    // A plan says the same.
    place.succeeds("compile other.sph --data digits -o compiled");
    let plan = fs::read_dir(place.path("compiled")).unwrap().map(|it| it.unwrap().path());
    let plan = plan.into_iter().find(|it| it.extension().is_some_and(|it| it == "yaml")).unwrap();
    place.succeeds(&format!("train {} --run of-plan", plan.display()));
    assert_eq!(steps(&place.path("of-plan")), BTreeSet::from([12, best(&place.path("all"), |_| true)]));
}
