//! Which checkpoints a run keeps, as its recipe says, and that it goes on from each of them to the same bits.

use crate::runs::cli::{MODEL, Place};
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

/// The iterations and accuracies of all evaluations that are logged.
fn evaluations(run: &Path) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    lines.filter_map(|it| Some((it["iteration"].as_u64()?, it["test_accuracy"].as_f64()?))).collect()
}

/// Where a run of such a patience ends, from what it logged.
fn end(all: &[(u64, f64)], patience: usize) -> Option<u64> {
    let mut best = (0, f64::MIN);
    for (at, (iteration, accuracy)) in all.iter().enumerate() {
        if best.1 < *accuracy {
            best = (at, *accuracy);
        } else if best.0 + patience <= at {
            return Some(*iteration);
        }
    }
    None
}

#[test]
fn patience_ends_a_run_where_it_does_undisturbed_whatever_became_of_the_log() {
    let place = place("patience 3\n    checkpoint last(2), best every 3");
    let said = place.succeeds("train tiny.sph --run whole --iterations 400");
    let whole = place.path("whole");
    let all = evaluations(&whole);
    let stopped = all.last().unwrap().0;
    assert_eq!(end(&all, 3), Some(stopped));
    assert!(6 < stopped && stopped < 400, "{stopped}");
    assert!(said.contains("ended early   of 400 iterations, as 3 evaluations in a row gave nothing better"), "{said}");
    let last = format!("checkpoints/step-{stopped:08}.safetensors");
    let expected = fs::read(whole.join(&last)).unwrap();
    // It is at its end, and stays there.
    let said = place.succeeds("train tiny.sph --run whole --iterations 400 --resume --format json");
    let event: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&event["event"], &event["early"], &event["iteration"]),
        (&"finished".into(), &true.into(), &stopped.into())
    );
    assert_eq!(fs::read(whole.join(&last)).unwrap(), expected);

    // Stopped in between, at every iteration before the end, with its log and without.
    for at in [stopped - 1, stopped - 2, stopped - 4] {
        for with_log in [true, false] {
            let run = format!("parts-{at}-{with_log}");
            place.succeeds(&format!("train tiny.sph --run {run} --iterations {at}"));
            if !with_log {
                fs::remove_file(place.path(&run).join("metrics.jsonl")).unwrap();
            }
            place.succeeds(&format!("train tiny.sph --run {run} --iterations 400 --resume"));
            assert_eq!(fs::read(place.path(&run).join(&last)).unwrap(), expected, "{run}");
            assert_eq!(steps(&place.path(&run)), steps(&whole), "{run}");
        }
    }
    // More patience goes on, as if it had been asked for at once.
    place.succeeds("train tiny.sph --run whole --iterations 40 --patience 0 --resume");
    place.succeeds("train tiny.sph --run other --iterations 40 --patience 0");
    let of = |run: &str| fs::read(place.path(run).join("checkpoints/step-00000040.safetensors")).unwrap();
    assert!(stopped < 40, "{stopped}");
    assert_eq!(of("whole"), of("other"));
    assert_eq!(evaluations(&place.path("other")), evaluations(&whole));
}

#[test]
fn a_run_goes_on_from_its_best_evaluation() {
    let place = place("checkpoint last(2), best every 3");
    place.succeeds("train tiny.sph --run r --iterations 25");
    let run = place.path("r");
    let best = best(&run, |_| true);
    let expected = fs::read(run.join("checkpoints/step-00000025.safetensors")).unwrap();
    let kept = steps(&run);
    let output = place.sphc("train tiny.sph --run r --iterations 25 --resume=best");
    let text = crate::runs::cli::errors(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("going on from iteration {best}, the best evaluation so far")), "{text}");
    assert_eq!(fs::read(run.join("checkpoints/step-00000025.safetensors")).unwrap(), expected);
    assert_eq!(steps(&run), kept);

    // Without the best one nothing is touched.
    if best != 25 {
        fs::remove_file(run.join(format!("checkpoints/step-{best:08}.safetensors"))).unwrap();
        let before = steps(&run);
        let output = place.sphc("train tiny.sph --run r --iterations 30 --resume=best");
        let text = crate::runs::cli::errors(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("of which there is no checkpoint") && text.contains("`checkpoint best`"), "{text}");
        assert_eq!(steps(&run), before);
    }
    let output = place.sphc("train tiny.sph --run grid --seeds 2 --resume=best");
    assert!(
        crate::runs::cli::errors(&output).contains("begin again what is finished"),
        "{}",
        crate::runs::cli::errors(&output)
    );
}

#[test]
fn runs_are_listed_with_what_came_of_them() {
    let place = place("checkpoint last(2), best every 3");
    place.succeeds("train tiny.sph --run runs/one --iterations 7");
    place.succeeds("train tiny.sph --run runs/grid --seeds 2 --iterations 4");
    // As a run is left that is killed after its third iteration.
    copy(&place.path("runs/one"), &place.path("runs/cut"));
    for newer in steps(&place.path("runs/cut")).iter().filter(|it| 3 < **it) {
        fs::remove_file(place.path("runs/cut").join(format!("checkpoints/step-{newer:08}.safetensors"))).unwrap();
    }
    fs::create_dir_all(place.path("runs/none")).unwrap();
    let said = place.succeeds("runs");
    let lines: Vec<Vec<&str>> =
        said.lines().map(|it| it.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect()).collect();
    let column = |at: usize| lines[1..].iter().map(|it| it[at]).collect::<Vec<_>>();
    assert_eq!(column(0), ["cut", "grid/seed-0", "grid/seed-1", "one"], "{said}");
    assert_eq!(column(2), ["digits"; 4], "{said}");
    assert_eq!(column(3), ["0", "0", "1", "0"].map(|it| format!("batch 16, seed {it}")), "{said}");
    assert_eq!(column(4), ["stopped", "finished", "finished", "finished"], "{said}");
    let cut = steps(&place.path("runs/cut")).last().copied().unwrap_or(0);
    assert_eq!(column(5), [&*format!("{cut}/7"), "4/4", "4/4", "7/7"], "{said}");

    let said = place.succeeds("runs runs --format json");
    let of_one: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(of_one["state"], "finished");
    let all = evaluations(&place.path("runs/one"));
    assert_eq!(of_one["last"]["test_accuracy"], all.last().unwrap().1);
    assert_eq!(of_one["best"]["iteration"], best(&place.path("runs/one"), |_| true));
    assert_eq!(of_one["training"]["batch"], 16);
    assert!(place.path(of_one["best_checkpoint"].as_str().unwrap()).is_file());
    let said = place.succeeds("runs runs/one --format csv");
    let rows: Vec<&str> = said.lines().collect();
    assert!(
        rows[0].starts_with("run,model,data,batch,set,seed,state")
            && rows[1].starts_with("runs/one,Tiny,digits,16,,0,finished,false,7,7,"),
        "{said}"
    );

    // A run that is used is running; one that cannot be read is told and hides no other.
    #[cfg(unix)]
    {
        let lock = fs::File::open(place.path("runs/cut")).unwrap();
        lock.lock().unwrap();
        let said = place.succeeds("runs");
        assert!(said.lines().any(|it| it.starts_with("cut ") && it.contains("running")), "{said}");
    }
    fs::write(place.path("runs/cut/config.yaml"), "nothing").unwrap();
    let output = place.sphc("runs");
    let text = crate::runs::cli::errors(&output);
    assert!(output.status.success() && text.contains("warning: cannot use the run directory `runs/cut`"), "{text}");
    for (words, expected) in
        [("runs nowhere", "cannot look for runs in `nowhere`"), ("runs runs/none", "there is no run in")]
    {
        let output = place.sphc(words);
        assert_eq!(output.status.code(), Some(1));
        assert!(crate::runs::cli::errors(&output).contains(expected), "{}", crate::runs::cli::errors(&output));
    }
}
