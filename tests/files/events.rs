//! TensorBoard itself reads what a run leaves for it, also of a run that was resumed.

use crate::runs::cli::{MODEL, Place};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A Python that has TensorBoard, if it can be installed here. CI sets `SPHC_REQUIRE_TENSORBOARD`, so that nothing
/// is skipped there.
pub(crate) fn python() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/setup.sh");
    let output = Command::new("sh").arg(script).output().unwrap();
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var_os("SPHC_REQUIRE_TENSORBOARD").is_none(), "tests/tensorboard/setup.sh failed:\n{said}");
    eprintln!("skipped: tests/tensorboard/setup.sh cannot install TensorBoard here:\n{said}");
    None
}

/// Values by tag and step; a step that comes twice is a failure.
type Scalars = BTreeMap<(String, u64), f64>;

fn add(scalars: &mut Scalars, tag: &str, step: u64, value: f64) {
    assert_eq!(scalars.insert((tag.into(), step), value), None, "{tag} has step {step} twice");
}

/// What TensorBoard finds in a run directory.
fn found(python: &str, run: &Path) -> Scalars {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/read.py");
    let output = Command::new(python).arg(script).arg(run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut res = Scalars::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (tag, step, value): (String, u64, f64) = serde_json::from_str(line).unwrap();
        add(&mut res, &tag, step, value);
    }
    res
}

/// What it should find there: the numbers of `metrics.jsonl`, in 32 bits.
fn expected(run: &Path) -> Scalars {
    let tags = [
        ("loss", "train/loss"),
        ("fit", "train/fit"),
        ("reg", "train/reg"),
        ("orth", "train/orth"),
        ("accuracy", "train/accuracy"),
        ("rate", "train/rate"),
        ("test_loss", "test/loss"),
        ("test_accuracy", "test/accuracy"),
    ];
    let mut res = Scalars::new();
    for line in std::fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for (key, tag) in tags {
            if let Some(value) = line.get(key) {
                let value = f64::from(value.as_f64().unwrap() as f32);
                add(&mut res, tag, line["iteration"].as_u64().unwrap(), value);
            }
        }
    }
    res
}

#[test]
fn tensorboard_reads_every_number_once_also_of_a_resumed_run() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits.sph");
    let train = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
            .arg("train")
            .arg(&model)
            .args(["--batch", "16", "--log-every", "1", "--evaluate-every", "10", "--checkpoint-every", "10", "--run"])
            .arg(&run)
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    train(&["--iterations", "25"]);
    let first = found(&python, &run);
    assert_eq!(first, expected(&run));
    assert!(first.len() >= 25 * 6 + 2 * 2, "only {} values", first.len());

    // As if it had been killed after the checkpoint of iteration 20: later lines are written again.
    std::fs::remove_file(run.join("checkpoints/step-00000025.safetensors")).unwrap();
    train(&["--iterations", "40", "--resume"]);
    let second = found(&python, &run);
    assert_eq!(second, expected(&run));
    assert!(second.contains_key(&("train/loss".into(), 39)) && second.contains_key(&("test/accuracy".into(), 40)));
}

/// What TensorBoard shows of a run beside numbers.
fn looked_at(python: &str, run: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/look.py");
    let output = Command::new(python).arg(script).arg(run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn tensorboard_shows_the_network_histograms_filters_and_settings_and_the_bits_stay() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let words = "train tiny.sph --set width=5 --batch 16 --log-every 1 --evaluate-every 4 --checkpoint-every 8";
    let text = MODEL
        .replace("model Tiny", "param width: int = 4\n\nmodel Tiny")
        .replace("sphere_conv(4,", "sphere_conv(width,");
    std::fs::write(place.path("tiny.sph"), text).unwrap();
    place.succeeds(&format!("{words} --run plain"));
    place.succeeds(&format!("{words} --run shown --tensorboard all"));
    let last = "checkpoints/step-00000012.safetensors";
    let bytes = |run: &str| std::fs::read(place.path(run).join(last)).unwrap();
    assert_eq!(bytes("plain"), bytes("shown"));
    let none = looked_at(&python, &place.path("plain"));
    assert!(none["histograms"].as_object().unwrap().is_empty() && none["settings"].as_object().unwrap().is_empty());

    let run = place.path("shown");
    let found = looked_at(&python, &run);
    assert_eq!(self::found(&python, &run), expected(&run), "the numbers are there as ever");
    let steps = |it: &Value| it.as_array().unwrap().iter().map(|it| it[0].as_u64().unwrap()).collect::<Vec<_>>();
    let histograms = found["histograms"].as_object().unwrap();
    let weights = sphc::train::weights::Weights::read(&run.join(last)).unwrap();
    for name in ["first/filter", "first/bn/gamma", "score/filter"] {
        let all = &histograms[&format!("weights/{name}")];
        assert_eq!(steps(all), [0, 4, 8, 12], "{name}");
        let values = weights.values(name).unwrap();
        let end: Vec<f64> = all[3].as_array().unwrap()[1..].iter().map(|it| it.as_f64().unwrap()).collect();
        let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |it, x| (it.0.min(*x), it.1.max(*x)));
        let count = values.len() as f64;
        assert_eq!(end, [count, values.iter().sum(), least, most, count, most], "{name}");
    }
    assert!(histograms.contains_key("optimizer/first/filter/adam_m"), "{:?}", histograms.keys());
    assert_eq!(steps(&histograms["gradients/first/filter"]), [0, 4, 8, 12]);
    let pictures = found["images"].as_object().unwrap();
    assert_eq!(pictures.len(), 1, "{pictures:?}");
    for it in pictures["filters/first/filter"].as_array().unwrap() {
        // Five filters of 3x3 beside each other, each pixel 8 wide, 2 between them.
        assert_eq!(it.as_array().unwrap()[1..], [132, 28, 132, 28], "{it}");
    }
    let graph: Vec<(String, String, Vec<String>, Vec<i64>)> = serde_json::from_value(found["graph"].clone()).unwrap();
    let names: Vec<&str> = graph.iter().map(|it| it.0.as_str()).collect();
    for (at, (name, _, inputs, _)) in graph.iter().enumerate() {
        assert!(inputs.iter().all(|it| names[..at].contains(&it.as_str())), "{name} reads {inputs:?}");
    }
    let conv = graph.iter().find(|it| it.1 == "conv" && it.0.starts_with("score/")).expect("the last layer");
    assert!(conv.2.iter().any(|it| it == "score/filter"), "{conv:?}");
    assert_eq!(conv.3, [16, 1, 1, 10]);
    let settings = &found["settings"];
    assert_eq!(settings["values"]["width"], 5.0);
    assert_eq!(settings["values"]["data"], "digits");
    assert_eq!((&settings["infos"]["width"], &settings["infos"]["data"]), (&Value::from(3), &Value::from(1)));
    assert_eq!(settings["metrics"], serde_json::json!(["test/accuracy", "test/loss", "train/loss"]));
    assert_eq!(settings["status"], 1);

    // As if it had been killed after the checkpoint of iteration 8.
    std::fs::remove_file(run.join(last)).unwrap();
    place.succeeds(&format!("{words} --run shown --tensorboard all --resume"));
    assert_eq!(bytes("plain"), bytes("shown"));
    assert_eq!(looked_at(&python, &run), found, "a run that was resumed shows the same");
    assert_eq!(self::found(&python, &run), expected(&run));
}

#[test]
fn tensorboard_shows_what_is_found_of_filters_and_patches() {
    let Some(python) = python() else { return };
    let place = Place::new();
    place.succeeds("train tiny.sph --checkpoint-every 6 --run r");
    let inspect = |step: &str, more: &str| {
        let words = format!("inspect tiny.sph --weights r/checkpoints/step-000000{step}.safetensors --examples 20");
        let told = place.succeeds(&format!("{words} --format json {more}"));
        told.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()).collect::<Vec<_>>()
    };
    // The later one first.
    let last = inspect("12", "--tensorboard r/inspected");
    let before = inspect("06", "--tensorboard r/inspected");
    let shown = place.path("r/inspected");
    let mut numbers = Scalars::new();
    for (step, looks) in [(6, &before), (12, &last)] {
        for it in looks {
            let layer = it["layer"].as_str().unwrap();
            for (what, key) in [("energy", "energy"), ("dead units", "dead")] {
                let value = f64::from(it[key].as_f64().unwrap() as f32);
                add(&mut numbers, &format!("{what}/{layer}"), step, value);
            }
        }
    }
    assert_eq!(found(&python, &shown), numbers);
    let looked = looked_at(&python, &shown);
    // Step, count, sum, least, most, those in the parts, end of the last part.
    let of = |tag: &str, at: usize| looked["histograms"][tag][at].as_array().unwrap().clone();
    let angles = of("angles/first", 1);
    let counts: u64 = last[0]["angles"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).sum();
    assert_eq!((angles[0].as_u64(), angles[1].as_f64()), (Some(12), Some(counts as f64)));
    assert_eq!((angles[3].as_f64(), angles[6].as_f64()), (Some(0.0), Some(180.0)));
    let norms = of("filter norms/first", 0);
    assert_eq!((norms[0].as_u64(), norms[1].as_f64()), (Some(6), Some(4.0)));
    assert_eq!(norms[4], before[0]["filter_norms"]["max"]);
    let plain: u64 = last[1]["angles"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).sum();
    assert_eq!(of("angles/score", 1)[1].as_f64(), Some(plain as f64), "a plain convolution has angles, too");
    assert_eq!(looked["images"]["filters/first"].as_array().unwrap().len(), 2);
    place.fails(
        "inspect tiny.sph --weights r/checkpoints/step-00000012.safetensors --tensorboard r",
        &["is the directory of a run", "--tensorboard r/inspected"],
    );
}

/// What is shown as gradients is what moves the parameters: without momentum they differ from one step to the next by a gradient
/// times the rate.
#[test]
fn gradients_that_tensorboard_shows_are_those_of_the_next_step() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let optimizer = MODEL.lines().find(|it| it.trim_start().starts_with("optimizer")).unwrap();
    let text = MODEL.replace(optimizer, "    freeze     on gamma\n    optimizer  sgd(rate: 0.25, momentum: 0)");
    for (name, entry) in [("whole", ""), ("parts", "    accumulate 2\n"), ("bounded", "    clip       norm(1e-3)\n")] {
        std::fs::write(place.path("m.sph"), text.replace("    freeze", &format!("{entry}    freeze"))).unwrap();
        let words = "train m.sph --batch 16 --iterations 6 --evaluate-every 2 --checkpoint-every 1";
        place.succeeds(&format!("{words} --run {name} --tensorboard histograms"));
        let run = place.path(name);
        let weights = |step: u32| {
            let path = run.join(format!("checkpoints/step-{step:08}.safetensors"));
            sphc::train::weights::Weights::read(&path).unwrap()
        };
        let found = looked_at(&python, &run);
        let histograms = found["histograms"].as_object().unwrap();
        assert!(!histograms.contains_key("gradients/first/bn/gamma"), "what is frozen has none");
        for (param, step) in [("first/filter", 2), ("first/bn/beta", 4), ("score/filter", 2), ("score/filter", 4)] {
            let (now, next) = (weights(step), weights(step + 1));
            let moved: Vec<f64> = now
                .values(param)
                .unwrap()
                .iter()
                .zip(next.values(param).unwrap())
                .map(|it| (it.0 - it.1) / 0.25)
                .collect();
            let all = histograms[&format!("gradients/{param}")].as_array().unwrap();
            let shown = all.iter().find(|it| it[0] == step).unwrap();
            let [count, sum, least, most] = [1, 2, 3, 4].map(|it| shown[it].as_f64().unwrap());
            let size = moved.iter().fold(0f64, |most, it| most.max(it.abs()));
            assert!(count == moved.len() as f64 && 0.0 < size, "{name} {param}");
            let extremes = moved.iter().fold((f64::MAX, f64::MIN), |it, x| (it.0.min(*x), it.1.max(*x)));
            if name == "bounded" {
                // They are shown before the bound, which leaves their signs.
                assert!(size * 10.0 < most.max(-least), "{param}: {most} {size}");
                assert_eq!((least < 0.0, 0.0 < most), (extremes.0 < 0.0, 0.0 < extremes.1), "{param}");
                continue;
            }
            let off = [sum - moved.iter().sum::<f64>(), least - extremes.0, most - extremes.1];
            // Differences of numbers about 1 in 32 bits.
            let allowed = 4.0 * f64::from(f32::EPSILON) * count.sqrt() + 1e-5 * size;
            assert!(off.iter().all(|it| it.abs() <= 10.0 * allowed), "{name} {param}: {off:?}, {allowed}");
        }
    }
}
