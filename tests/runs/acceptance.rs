//! The built binary from outside: `sphc train` on a data set and initial weights written by the test.

use crate::networks::golden::{Case, Report, cases};
use crate::networks::golden_nets::model;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// `images` as records of the CIFAR-10 binary layout: the label, then one plane for each channel.
fn write_records(path: &Path, case: &Case, examples: usize) {
    let dims = case.tensor("images").shape.dims();
    let (pixels, channels) = (dims[2] * dims[3], dims[4]);
    let images = &case.tensor("images").data;
    let mut bytes = Vec::with_capacity(examples * (1 + pixels * channels));
    for example in 0..examples {
        bytes.push(case.tensor("labels").data[example] as u8);
        let image = &images[example * pixels * channels..][..pixels * channels];
        for channel in 0..channels {
            bytes.extend((0..pixels).map(|pixel| image[pixel * channels + channel] as u8));
        }
    }
    fs::write(path, bytes).expect("the folder can be written");
}

fn write_weights(path: &Path, case: &Case) {
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = case
        .under("init/")
        .map(|(name, it)| {
            let bytes = it.data.iter().flat_map(|it| (*it as f32).to_le_bytes()).collect();
            (name.to_owned(), it.shape.dims().to_vec(), bytes)
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = stored
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree");
            (name.as_str(), view)
        })
        .collect();
    let bytes = safetensors::serialize(views, None).expect("the tensors are sound");
    fs::write(path, bytes).expect("the folder can be written");
}

/// Trains the model of a case through the command line; gives the logged iterations.
fn train(case: &Case, precision: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("the folder can be written");
    let dims = case.tensor("images").shape.dims();
    write_records(&data.join("data_batch_1.bin"), case, dims[0] * dims[1]);
    write_records(&data.join("test_batch.bin"), case, dims[1]);
    let (init, run) = (folder.path().join("init.safetensors"), folder.path().join("run"));
    write_weights(&init, case);

    // The prelude's own operators, except where the case needs one that it does not have.
    let mut model = model(case);
    let file = folder.path().join("model.sph");
    for (name, value) in &mut model.set {
        if name == "norm" && value == "reference_linear" {
            *value = "linear".to_owned();
        }
    }
    let needs_own = model.set.iter().any(|(_, value)| value == "plain");
    if needs_own {
        fs::write(&file, &model.text).expect("the folder can be written");
    }

    let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
    command.arg("train").arg(if needs_own { &file } else { Path::new(&model.path) });
    for (name, value) in &model.set {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    command.args(["--batch", &dims[1].to_string(), "--iterations", &dims[0].to_string()]);
    command.args(["--device", "cpu", "--precision", precision, "--log-every", "1", "--no-shuffle", "--no-augment"]);
    command.arg("--data").arg(&data).arg("--init-strict").arg("--init").arg(&init).arg("--run").arg(&run);
    let output = command.current_dir(folder.path()).output().expect("the binary starts");
    assert!(
        output.status.success(),
        "{}: {command:?} ends with {}\n{}\n{}",
        case.name,
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("a run has metrics");
    let mut lines: Vec<Value> =
        text.lines().map(|it| serde_json::from_str(it).expect("each line is an object")).collect();
    let last = lines.pop().expect("a run is evaluated at its end");
    assert!(last["test_loss"].is_number(), "{last}");
    lines
}

fn check(precision: &str, tolerance: impl Fn(usize) -> f64) {
    let mut report = Report::default();
    for case in cases("network").iter().filter(|it| it.under("init/").next().is_some()) {
        let lines = train(case, precision);
        assert_eq!(lines.len(), case.tensor("images").shape.0[0], "{}: lines with losses", case.name);
        for (step, line) in lines.iter().enumerate() {
            assert_eq!(line["iteration"].as_u64(), Some(step as u64), "{}", case.name);
            for name in ["fit", "reg", "orth"] {
                let found = line[name].as_f64().unwrap_or_else(|| panic!("{}: no number `{name}`", case.name));
                let expected = case.tensor(&format!("float64/{name}")).data[step];
                report.close(&format!("{} step {step} {name}", case.name), &[found], &[expected], tolerance(step));
            }
        }
    }
    report.finish();
}

#[test]
fn trained_losses_in_f64_are_those_of_the_reference() {
    check("f64", |_| 1e-6);
}

#[test]
fn trained_losses_in_f32_stay_near_the_reference() {
    check("f32", |step| if step == 0 { 1e-5 } else { 2e-2 });
}
