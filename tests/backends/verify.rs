//! `sphc verify`: models pass, and a device that computes something else does not.

use crate::backends::engines::typed;
use crate::language::lower::settings;
use serde_json::Value;
use sphc::autodiff::training;
use sphc::fuse::fuse;
use sphc::ir::{DType, Phase, Precision};
use sphc::plan::{BufferId, Config, Plan, plan};
use sphc::runtime::cpu::CpuBackend;
use sphc::runtime::{Backend, RuntimeError, Session};
use sphc::verify::{bind_noise, kernels};
use std::process::{Command, Output};
use std::sync::Arc;

fn sphc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sphc")).arg("verify").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn models_pass_on_the_cpu_in_both_precisions() {
    let models: [&[&str]; 4] = [
        &["models/digits.sph", "--set", "widths=[4,6]", "--set", "norm=lr_sigmoid"],
        &["models/spherenet9.sph", "--set", "widths=[4,6,8]", "--set", "fc=8", "--set", "norm=linear"],
        &["models/sphereresnet32.sph", "--set", "widths=[4,6,8]", "--set", "units=1", "--set", "norm=sigmoid"],
        &["models/operators_demo.sph", "--batch", "3"],
    ];
    for model in models {
        for precision in ["f32", "f64"] {
            let output = sphc(&[model, &["--device", "cpu", "--precision", precision]].concat());
            let text = text(&output);
            assert!(output.status.success(), "{model:?}\n{text}");
            let last = text.lines().last().unwrap();
            assert!(last.contains("gradients: all right") && last.ends_with("launches: all right"), "{text}");
        }
    }
}

/// Patches of padding alone, a shift of 0, and a ReLU: initial values lie where the slope jumps.
#[test]
fn gradients_are_compared_beside_kinks() {
    let model = r#"
model Padded {
    input image: u8[8, 8, 1]
    x = sphere_conv((image - 8)/8, 8, kernel: 3, pad: 3, operator: sphere_norm) |> relu as "first"
    output conv(x, classes, kernel: 12, pad: valid) as "score"
}
train {
    data       digits
    batch      16
    iterations 1
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
}
"#;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("padded.sph");
    std::fs::write(&file, model).unwrap();
    let output = sphc(&[file.to_str().unwrap(), "--device", "cpu"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("first/shift"), "{}", text(&output));
}

/// A plain ResNet of fifty thousand ReLUs and more, jumps, max pools of equal numbers, and what `stop` holds back: right
/// gradients, with kinks within any step.
#[test]
fn kinks_jumps_and_stops_are_no_mistakes() {
    let models = [
        (
            "resnet",
            r#"
block unit(x, filters: int, stride: int = 1) {
    y = conv(x, filters, stride: stride) as "first" |> batch_norm |> relu
    y = conv(y, filters) as "second" |> batch_norm
    shortcut = if channels(x) == filters { x } else { conv(x, filters, kernel: 1, stride: stride) as "shortcut" }
    relu(y + shortcut)
}
model ResNet {
    input image: u8[32, 32, 3]
    x = (image - 127.5) / 128
    x = relu(batch_norm(conv(x, 8) as "conv0"))
    for stage, filters in [8, 16, 24] {
        for i in 0..2 {
            x = unit(x, filters, stride: if i == 0 and 0 < stage { 2 } else { 1 }) as "stage{stage}_{i}"
        }
    }
    output dense(global_avg_pool(x), classes) as "score"
}
"#,
            "cifar10",
        ),
        (
            "jumps",
            r#"
fn step(x) = if x < 0.1 { 0.2 * x } else { 3 * x + 1 }
fn stairs(x) = floor(4 * x) / 4 + 0.1 * x
model Jumps {
    input image: u8[8, 8, 1]
    x = step(conv((image - 8)/8, 8) as "a")
    x = clamp(stairs(conv(x, 8) as "b"), -2, 2)
    x = max_pool(relu(x), 3, stride: 2)
    x = stop(abs(x)) * x
    output dense(x, classes) as "score"
}
"#,
            "digits",
        ),
    ];
    for (name, model, data) in models {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(format!("{name}.sph"));
        let recipe = format!(
            "train {{\n    data {data}\n    batch 16\n    iterations 1\n    loss softmax_cross_entropy()\n    optimizer adam\n}}\n"
        );
        std::fs::write(&file, format!("{model}{recipe}")).unwrap();
        let output = sphc(&[file.to_str().unwrap(), "--device", "cpu", "--precision", "f64"]);
        let text = text(&output);
        assert!(output.status.success() && text.contains("gradients: all right;"), "{name}\n{text}");
    }
}

/// Nothing that could be compared is not a success.
#[test]
fn no_gradients_are_not_all_right() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("none.sph");
    let model = "model M {\n    input image: float[8, 8, 1]\n    output dense(image, 10) as \"score\"\n}\n";
    std::fs::write(&file, model).unwrap();
    let text = text(&sphc(&[file.to_str().unwrap(), "--device", "cpu"]));
    assert!(text.contains("no gradients to compare") && !text.contains("gradients: all right"), "{text}");
}

#[test]
fn every_check_is_a_line_of_json() {
    let flags = ["--device", "cpu", "--set", "widths=[2,2]", "--format", "json", "--kernels-only"];
    let output = sphc(&[&["models/digits.sph"], &flags[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let (last, kernels) = lines.split_last().unwrap();
    assert_eq!((&last["check"], &last["passed"]), (&Value::from("all"), &Value::from(true)));
    assert!(50 < kernels.len(), "{} launches", kernels.len());
    for it in kernels {
        assert!(it["check"] == "kernel" && it["error"].as_f64() <= it["bound"].as_f64(), "{it}");
        assert!(0 < it["compared"].as_u64().unwrap(), "{it}");
    }
}

/// A device one of whose launches gives something a little else.
struct Broken {
    inner: CpuBackend,
    plan: Arc<Plan>,
    phase: Phase,
    victim: BufferId,
}

impl Backend for Broken {
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError> {
        self.inner.write(buffer, bytes)
    }

    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        self.inner.read(buffer)
    }

    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        self.inner.run(phase)?;
        if phase != self.phase {
            return Ok(());
        }
        let mut bytes = self.inner.read(self.victim)?;
        match self.plan.buffers[self.victim.0 as usize].dtype {
            DType::Real => {
                let mut values: Vec<f32> =
                    bytes.chunks(4).map(|it| f32::from_ne_bytes(it.try_into().unwrap())).collect();
                let largest = values.iter().fold(0f32, |a, b| a.max(b.abs()));
                values.iter_mut().for_each(|it| *it += 1e-2 * largest.max(1e-3));
                bytes = values.into_iter().flat_map(f32::to_ne_bytes).collect();
            }
            DType::Int | DType::U8 | DType::U16 | DType::Bf16 => bytes[0] ^= 1,
        }
        self.inner.write(self.victim, &bytes)
    }

    fn describe(&self) -> String {
        "a broken device".into()
    }
}

#[test]
fn a_launch_that_gives_something_else_is_found() {
    let text = std::fs::read_to_string("models/digits.sph").unwrap();
    let graph =
        training(typed("digits", &text, &sphc::lower::Settings { batch: Some(2), ..settings(&[("widths", "[2,3]")]) }));
    let config =
        Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
    let plan = Arc::new(plan(&fuse(graph), &config).spread());
    let launches = &plan.phases[&Phase::Step].launches;
    for victim in (0..launches.len()).step_by(6) {
        let inner = CpuBackend::new(plan.clone(), Some(1)).unwrap();
        let victim_buffer = launches[victim].outputs[0];
        let broken = Broken { inner, plan: plan.clone(), phase: Phase::Step, victim: victim_buffer };
        let mut session = Session::new(plan.clone(), Box::new(broken)).unwrap();
        bind_noise(&mut session).unwrap();
        let checks = kernels(&mut session).unwrap();
        let found = checks.iter().find(|it| it.phase == Phase::Step && it.launch == victim).unwrap();
        assert!(!found.passed(), "{found:?}\n{:?}", plan.kernels[launches[victim].kernel]);
    }
}

/// A part of a batch whose images are mixed has two of them at least, whatever batch is asked for.
#[test]
fn parts_of_a_batch_hold_what_is_mixed() {
    let model = "
model Mixed {
    input image: u8[8, 8, 1]
    x = conv(image / 16, 4) |> relu as \"first\"
    output dense(x, classes) as \"score\"
}
train {
    data       digits
    batch      16
    accumulate 4
    iterations 1
    augment    mixup(0.2)
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
}
";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mixed.sph");
    std::fs::write(&file, model).unwrap();
    let output = sphc(&[file.to_str().unwrap(), "--device", "cpu", "--precision", "f64", "--batch", "4"]);
    assert!(output.status.success(), "{}", text(&output));
}

/// A product of vectors longer than they are said to be has no angle: what stands for it does not change.
#[test]
fn an_angle_has_no_slope_where_there_is_none() {
    for operator in ["linear", "sigmoid", "weight_linear"] {
        let model = format!(
            "block b(x) {{
    learn w as filter: [64, 4] = normal(std: 1)
    s = einsum(\"i,ij->j\", reshape(x, [64]), w)
    respond(s, full([1], 1), full([1], 1), operator: {operator})
}}
model Long {{
    input image: u8[8, 8, 1]
    x = b((image - 8) / 8) + dense(image / 16, 4)
    output dense(x, classes) as \"score\"
}}
train {{
    data       digits
    batch      8
    iterations 1
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
}}
"
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("long.sph");
        std::fs::write(&file, model).unwrap();
        let output = sphc(&[file.to_str().unwrap(), "--device", "cpu", "--precision", "f64"]);
        assert!(output.status.success(), "{}", text(&output));
    }
}
