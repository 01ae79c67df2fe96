//! Checkpoints as others read them: later versions of the program, and safetensors' own loader.

use crate::cli::{Place, errors};
use crate::events::python;
use sphc::train::weights::Weights;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Written by version 0.1.0: 12 iterations of the small model of the command line's tests. It is never written anew: a
/// later format gets a fixture of its own beside it.
#[test]
fn a_checkpoint_of_every_format_there_was_is_read() {
    let place = Place::new();
    fs::copy(here("fixtures/checkpoint-format-1.safetensors"), place.path("old.safetensors")).unwrap();
    let old = Weights::read(&place.path("old.safetensors")).unwrap();
    assert_eq!((old.metadata["sphc_format"].as_str(), old.metadata["step"].as_str()), ("1", "12"));
    assert_eq!(old.values("step").unwrap(), [12.0]);

    // It holds all that this version wants to go on: what it writes itself has the same tensors of the same shapes.
    place.succeeds("train tiny.sph --run new");
    let new = Weights::read(&place.path("new/checkpoints/step-00000012.safetensors")).unwrap();
    assert_eq!(old.shapes(), new.shapes());

    let found = place.succeeds("eval tiny.sph --weights old.safetensors --format json");
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert!((found["test_loss"].as_f64().unwrap() - 2.7711).abs() < 1e-3, "as it was: {found}");
    place.succeeds("train tiny.sph --init old.safetensors --iterations 3 --run further");
}

#[test]
fn a_checkpoint_of_a_later_format_is_refused_and_the_previous_offered() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r --checkpoint-every 5");
    let last = place.path("r/checkpoints/step-00000012.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    let key = b"\"sphc_format\":\"";
    let at = bytes.windows(key.len()).position(|it| it == key).unwrap() + key.len();
    bytes[at] = b'9';
    fs::write(&last, bytes).unwrap();
    let output = place.sphc("train tiny.sph --run r --resume");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for it in ["step-00000012.safetensors", "format 9", "reads format 1", "previous checkpoint, of iteration 10"] {
        assert!(text.contains(it), "{it}: {text}");
    }
}

#[test]
fn the_loader_of_safetensors_reads_what_is_written() {
    let Some(python) = python() else { return };
    let place = Place::new();
    for precision in ["f32", "f64"] {
        place.succeeds(&format!("train tiny.sph --run {precision} --precision {precision}"));
        let path = place.path(precision).join("checkpoints/step-00000012.safetensors");
        let output = Command::new(&python).arg(here("tensorboard/weights.py")).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", errors(&output));
        let found: BTreeMap<String, (Vec<usize>, Vec<f64>)> = serde_json::from_slice(&output.stdout).unwrap();
        let expected = Weights::read(&path).unwrap();
        assert_eq!(found.len(), expected.shapes().len());
        for (name, shape) in expected.shapes() {
            assert_eq!(found[name].0, shape, "{name}");
            assert_eq!(found[name].1, expected.values(name).unwrap(), "{name}");
        }
    }
}
