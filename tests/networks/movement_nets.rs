//! The networks of `tests/nets`: joined, cut, enlarged and embedded tensors, as papers have them but small. They train, and
//! their gradients and launches are verified; on the emulated device, too, where 16 bits are kept of what has eights.

use std::path::Path;
use std::process::Command;

fn sphc(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sphc")).args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}\n{text}");
    text
}

fn holds(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/nets/{name}.sph"));
    let file = file.to_str().unwrap();
    for precision in ["f32", "f64"] {
        let text = sphc(&["verify", file, "--device", "cpu", "--precision", precision]);
        let last = text.lines().last().unwrap();
        assert!(last.contains("gradients: all right") && last.ends_with("launches: all right"), "{name}\n{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    sphc(&["train", file, "--device", "cpu", "--run", run.to_str().unwrap()]);
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    for what in ["loss", "test_loss"] {
        let found: Vec<f64> = lines.iter().filter_map(|it| it.get(what)?.as_f64()).collect();
        assert!(!found.is_empty() && found.iter().all(|it| it.is_finite()), "{name}\n{metrics}");
    }
}

#[test]
fn a_densenet_trains_and_is_verified() {
    holds("densenet");
}

#[test]
fn a_squeezenet_trains_and_is_verified() {
    holds("squeezenet");
}

#[test]
fn a_unet_trains_and_is_verified() {
    holds("unet");
}

#[test]
fn an_inception_trains_and_is_verified() {
    holds("inception");
}

#[test]
fn a_sentence_of_pixels_trains_and_is_verified() {
    holds("tokens");
}

/// What is joined, cut, picked and added up, as CUDA.
#[cfg(feature = "cuda")]
#[test]
fn movement_is_verified_on_the_emulated_device() {
    if !crate::backends::emulate::module::available() {
        return;
    }
    let eights = ["--set", "stem=8", "--set", "growth=8"];
    let cases: [(&str, &str, &[&str]); 2] = [("tokens", "f32", &[]), ("densenet", "bf16", &eights)];
    for (name, precision, set) in cases {
        let file = format!("tests/nets/{name}.sph");
        let arguments = ["verify", &file, "--kernels-only", "--device", "cuda", "--precision", precision];
        let output = crate::backends::cuda::sphc(&[&arguments[..], set].concat(), &[]);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("launches: all right"), "{name}\n{text}");
    }
}
