//! Checkpoints as others read them: later versions of the program, and safetensors' own loader.

use crate::files::events::python;
use crate::runs::cli::{Place, errors};
use sha2::{Digest, Sha256};
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
    // What was the default then.
    let text = fs::read_to_string(place.path("tiny.sph")).unwrap();
    fs::write(place.path("tiny.sph"), text.replace("decay: 0.9", "decay: 0.9, epsilon: 1e-3")).unwrap();
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

/// Changes the bytes of one tensor of a checkpoint, and its checksum with them.
fn edit(path: &Path, tensor: &str, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(path).unwrap();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..data]).unwrap();
    let range = header[tensor]["data_offsets"].as_array().unwrap();
    let at = |it: usize| data + range[it].as_u64().unwrap() as usize;
    change(&mut bytes[at(0)..at(1)]);
    let old = header["__metadata__"]["sha256"].as_str().unwrap();
    let new = sphc::train::weights::hex(&Sha256::digest(&bytes[data..]));
    let place = bytes.windows(old.len()).position(|it| it == old.as_bytes()).unwrap();
    bytes[place..place + new.len()].copy_from_slice(new.as_bytes());
    fs::write(path, bytes).unwrap();
}

const NAMED: &str = r#"
operator learned(cos) {
    learn NAME: filter = 1
    NAME * cos
}

operator measured(cos, x_norm) {
    stat NAME = mean(x_norm, decay: 0.9, start: 5)
    tanh(x_norm / NAME) * cos
}

param kind: operator = learned

model M {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = sphere_conv(x, 4, operator: kind) as "LAYER" |> relu
    output dense(x, classes) as "score"
}

train {
    data       digits
    batch      16
    iterations 30
    loss       softmax_cross_entropy()
    optimizer  OPTIMIZER
}
"#;

fn named(name: &str, layer: &str, optimizer: &str) -> String {
    NAMED.replace("NAME", name).replace("LAYER", layer).replace("OPTIMIZER", optimizer)
}

/// What the optimizer keeps is told by a property: a learned number or a statistic may have the name of such a thing, and
/// is saved and loaded like any other.
#[test]
fn no_name_makes_a_tensor_the_optimizers() {
    let place = Place::new();
    for name in ["velocity", "adam_m", "adam_v", "step", "evaluate_start"] {
        for kind in ["learned", "measured"] {
            for optimizer in ["adam(rate: 5e-2)", "sgd(rate: 0.1, momentum: 0.9)"] {
                fs::write(place.path("m.sph"), named(name, "a", optimizer)).unwrap();
                let run = format!("{name}-{kind}-{}", &optimizer[..3]);
                place.succeeds(&format!("train m.sph --set kind={kind} --run {run}"));
                let metrics = fs::read_to_string(place.path(&run).join("metrics.jsonl")).unwrap();
                let trained: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
                let weights = format!("--weights {run}/checkpoints/step-00000030.safetensors");
                let found = place.succeeds(&format!("eval m.sph --set kind={kind} {weights} --format json"));
                let found: serde_json::Value = serde_json::from_str(&found).unwrap();
                assert_eq!(found["test_loss"], trained["test_loss"], "{run}");
                assert_eq!(found["test_accuracy"], trained["test_accuracy"], "{run}");

                // The header says what each state is for.
                let file = place.path(&run).join("checkpoints/step-00000030.safetensors");
                let weights = Weights::read(&file).unwrap();
                let states: BTreeMap<String, String> = serde_json::from_str(&weights.metadata["states"]).unwrap();
                let role = states.get(&format!("a/{name}")).map(String::as_str);
                assert_eq!(role, (kind == "measured").then_some("running"), "{run}");
                assert_eq!(states["step"], "step");
                let kept = if optimizer.starts_with("adam") { "adam_v" } else { "velocity" };
                assert_eq!(states[&format!("score/filter/{kept}")], "optimizer", "{run}");
            }
        }
    }

    // Weights whose tensor of this path was the optimizer's are not those of a learned number.
    fs::write(place.path("other.sph"), named("velocity", "b", "sgd(rate: 0.1, momentum: 0.9)")).unwrap();
    place.succeeds("train other.sph --run other");
    let learned = named("velocity", "b/filter", "adam(rate: 1e-2)");
    fs::write(place.path("m.sph"), learned).unwrap();
    let output = place.sphc("eval m.sph --weights other/checkpoints/step-00000030.safetensors");
    let expected = "`b/filter/velocity` is the optimizer's in the file, and a parameter in the model";
    assert!(errors(&output).contains(expected), "{}", errors(&output));
}

/// Two tensors of one path would make a checkpoint that nothing can read.
#[test]
fn paths_that_the_optimizer_needs_are_told_by_check() {
    let place = Place::new();
    let twice = |name: &str, optimizer: &str| {
        let model = named(name, "a/filter", optimizer);
        model.replace(
            "    x = sphere_conv(x, 4,",
            "    x = sphere_conv(x, 4) as \"a\" |> relu\n    x = sphere_conv(x, 4,",
        )
    };
    for (name, optimizer, clashes) in [
        ("adam_m", "adam(rate: 1e-2)", true),
        ("adam_v", "adam(rate: 1e-2)", true),
        ("velocity", "sgd(rate: 0.1, momentum: 0.5)", true),
        ("velocity", "sgd(rate: 0.1)", false),
        ("adam_m", "sgd(rate: 0.1, momentum: 0.5)", false),
        ("velocity", "adam(rate: 1e-2)", false),
    ] {
        for kind in ["learned", "measured"] {
            fs::write(place.path("m.sph"), twice(name, optimizer)).unwrap();
            let output = place.sphc(&format!("check m.sph --set kind={kind}"));
            let said = [output.stdout.clone(), output.stderr.clone()].concat();
            let said = String::from_utf8(said).unwrap();
            assert_eq!(output.status.success(), !clashes, "{name} {optimizer} {kind}\n{said}");
            if clashes {
                let path = format!("`a/filter/{name}` is what the optimizer keeps of `a/filter`");
                assert!(said.contains("E0103") && said.contains(&path), "{said}");
            } else {
                place.succeeds(&format!("train m.sph --set kind={kind} --run {name}-{kind}-{}", optimizer.len()));
            }
        }
    }
    fs::write(place.path("m.sph"), named("filter", "a", "adam(rate: 1e-2)")).unwrap();
    let output = place.sphc("check m.sph");
    assert!(!output.status.success(), "`a/filter` twice");
}

/// A right checksum is not a reason to go on from numbers that cannot be.
#[test]
fn checkpoints_that_contradict_themselves_are_refused() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r --iterations 7");
    let file = place.path("r/checkpoints/step-00000007.safetensors");
    let whole = fs::read(&file).unwrap();
    let first = |value: f32| move |bytes: &mut [u8]| bytes[..4].copy_from_slice(&value.to_le_bytes());
    let refused = |expected: &str| {
        let output = place.sphc("train tiny.sph --run r --resume");
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{expected}: {text}");
        assert!(text.contains(expected), "{expected}: {text}");
        fs::write(&file, &whole).unwrap();
    };
    edit(&file, "step", |bytes| bytes.copy_from_slice(&5i64.to_le_bytes()));
    refused("`step` is 5, and the file's header says 7");
    edit(&file, "first/filter/adam_v", first(-1e-3));
    refused("`first/filter/adam_v` holds -0.001");
    edit(&file, "first/bn/ema_var", first(-0.5));
    refused("`first/bn/ema_var` holds -0.5 at position 0, and can never be negative");
    edit(&file, "score/filter/adam_m", first(f32::NAN));
    refused("`score/filter/adam_m` holds NaN at position 0");
    edit(&file, "evaluate_start", |bytes| bytes.copy_from_slice(&(-1i64).to_le_bytes()));
    refused("`evaluate_start` holds -1");
    edit(&file, "first/filter/adam_m", first(-1e-3));
    place.succeeds("train tiny.sph --run r --resume");
}
