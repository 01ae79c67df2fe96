//! TensorBoard itself reads what a run leaves for it, also of a run that was resumed.

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
