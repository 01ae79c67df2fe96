//! The CUDA path without a GPU: every kernel of every model through NVIDIA's own compiler and assembler, and whole
//! training runs of the unmodified program on a stand-in driver whose kernels run in the emulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::backends::emulate::module::{available, build};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

mod assemble;
mod machine;
mod predict;

/// A folder with the stand-ins for libcuda.so.1 and libnvrtc.so.13, and the folder for what they compile.
fn stand_in() -> &'static (PathBuf, PathBuf) {
    static FOLDER: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends");
        let (emulate, standin) = (tests.join("emulate"), tests.join("standin"));
        let sources = [
            emulate.join("emulate.h"),
            emulate.join("emulate.cpp"),
            standin.join("cuda.cpp"),
            standin.join("nvrtc.cpp"),
        ];
        let mut texts: Vec<String> = sources.iter().map(|it| std::fs::read_to_string(it).unwrap()).collect();
        // The compiler knows where the header lies.
        texts.push(sources[0].display().to_string());
        let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
        build("standin", &parts, |folder| {
            let driver = folder.join("libcuda.so.1");
            let run = |command: &mut Command| {
                let output = command.output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            };
            // Kernels reach the emulator's thread through static thread-local storage, which all of it must then use.
            let flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-ftls-model=initial-exec"];
            run(Command::new("g++")
                .args(flags)
                .arg("-Wl,-soname,libcuda.so.1")
                .arg("-o")
                .arg(&driver)
                .args([&sources[2], &sources[1]])
                .arg("-ldl"));
            run(Command::new("g++")
                .args(flags)
                .arg("-Wl,-soname,libnvrtc.so.13")
                .arg(format!("-DHEADER=\"{}\"", sources[0].display()))
                .arg(format!("-DDRIVER=\"{}\"", driver.display()))
                .arg("-o")
                .arg(folder.join("libnvrtc.so.13"))
                .arg(&sources[3]));
        })
    })
}

/// Runs `sphc` where the stand-ins are the only CUDA.
pub(crate) fn sphc(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let (libraries, cache) = stand_in();
    Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(arguments)
        .env("SPHC_CUDA_LIB", libraries)
        .env("SPHC_CACHE", cache)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Logged lines of a short run on a small model.
fn train(device: &str, model: &str, settings: &[&str]) -> Vec<Value> {
    let run = tempfile::tempdir().unwrap();
    let folder = run.path().join("run");
    let mut arguments = vec!["train", model, "--device", device, "--run", folder.to_str().unwrap()];
    if !settings.iter().any(|it| it.starts_with("widths")) {
        arguments.extend(["--set", "widths=[4,6]"]);
    }
    arguments.extend(["--batch", "4", "--iterations", "4", "--log-every", "1"]);
    arguments.extend(["--evaluate-every", "1000", "--checkpoint-every", "1000"]);
    arguments.extend(settings);
    let output = sphc(&arguments, &[]);
    assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
    let lines = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// Compares losses, step by step; the bound is relative and grows with every update that went before.
fn compare(settings: &[&str], bound: f64) {
    compare_on("models/digits.sph", settings, bound, &["fit", "reg", "orth", "loss", "test_loss"]);
}

fn compare_on(model: &str, settings: &[&str], bound: f64, names: &[&str]) {
    let on_cpu: Vec<&&str> = settings.iter().filter(|it| !["--precision", "bf16", "tf32"].contains(it)).collect();
    let on_cpu: Vec<&str> = on_cpu.into_iter().copied().collect();
    let (found, expected) = (train("cuda", model, settings), train("cpu", model, &on_cpu));
    assert_eq!(found.len(), expected.len());
    for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
        for name in names {
            let (Some(found), Some(expected)) = (found[name].as_f64(), expected[name].as_f64()) else { continue };
            let allowed = bound * 4f64.powi(step as i32) * expected.abs().max(0.1);
            assert!((found - expected).abs() <= allowed, "{settings:?} step {step}: {name} is {found}, not {expected}");
        }
    }
}

#[test]
fn training_on_the_stand_in_gives_the_losses_of_the_cpu_for_every_operator() {
    if !available() {
        return;
    }
    // Sums in another order, and asin and tanh of another library: 2e-6 of the first loss.
    for norm in ["none", "cosine", "linear", "sigmoid", "lr_sigmoid"] {
        compare(&["--set", &format!("norm={norm}")], 2e-6);
    }
}

#[test]
fn training_on_the_stand_in_gives_the_losses_of_the_cpu_for_operators_that_are_imported() {
    if !available() {
        return;
    }
    // Margins are multiplied by 30, and so is what rounding leaves. What the weights of the last step give on the test set is
    // not compared: where a gradient is nothing but rounding, Adam makes a step of full length of it. In f32 and in f64 on the
    // CPU it differs by 2e-2.
    for (norm, head, bound) in [
        ("sphere_norm(inner: lr_sigmoid)", "cos_face", 2e-5),
        ("ball_conv(angle: linear)", "arc_face", 2e-5),
        ("sharpened_cosine", "sphere_face", 2e-5),
        ("cosine", "ga_softmax", 2e-5),
    ] {
        let settings = ["--set", &format!("norm={norm}"), "--set", &format!("head={head}")];
        compare_on("models/operators_demo.sph", &settings, bound, &["fit", "reg", "orth", "loss"]);
    }
}

#[test]
fn training_with_tensor_cores_gives_the_losses_of_the_cpu() {
    if !available() {
        return;
    }
    // Factors are rounded to 2^-11 and 2^-8; the losses average over many.
    compare(&["--precision", "tf32"], 1e-3);
    compare(&["--precision", "bf16"], 1e-2);
}

#[test]
fn training_in_16_bits_gives_the_losses_of_the_cpu_for_every_operator() {
    if !available() {
        return;
    }
    // Every activation is rounded to 2^-8 of itself; a loss averages over thousands of them.
    for norm in ["none", "cosine", "linear", "sigmoid", "lr_sigmoid"] {
        let norm = format!("norm={norm}");
        compare(&["--precision", "bf16", "--set", "widths=[8,16]", "--set", &norm], 2e-3);
    }
}

#[test]
fn kernels_on_the_stand_in_are_verified_against_the_interpreter() {
    if !available() {
        return;
    }
    // Convolutions over channels that are multiples of eight read 16 bits, others 32.
    for (precision, widths) in [("f32", "widths=[4,6]"), ("bf16", "widths=[4,6]"), ("bf16", "widths=[8,16]")] {
        let mut arguments = vec!["verify", "models/digits.sph", "--kernels-only", "--batch", "4"];
        arguments.extend(["--set", widths, "--device", "cuda", "--precision", precision]);
        let output = sphc(&arguments, &[]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("emulated device") && text(&output).contains("launches: all right"));
    }
}

/// What the stand-in says of a short training.
struct Report {
    /// How often the host waited.
    waits: u32,
    /// Allocations from a memory pool.
    pooled: u32,
    /// The shared memory of convolutions.
    shared: Vec<u32>,
}

fn report(file: &str, iterations: &str, settings: &[&str], variables: &[(&str, &str)]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = (folder.path().join("run"), folder.path().join("report"));
    let mut arguments = vec!["train", file, "--device", "cuda", "--run", run.to_str().unwrap()];
    arguments.extend(["--evaluate-every", "1000", "--log-every", "1", "--iterations", iterations]);
    arguments.extend(settings);
    let variables = [variables, &[("SPHC_STANDIN_REPORT", path.to_str().unwrap())]].concat();
    let output = sphc(&arguments, &variables);
    assert!(output.status.success(), "{}", text(&output));
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    // The end is evaluated.
    assert_eq!(lines.lines().filter(|it| !it.contains("test_loss")).count().to_string(), iterations);
    let report = std::fs::read_to_string(path).unwrap();
    let last = |line: &str, at: usize| line.split(' ').nth(at).unwrap().parse().unwrap();
    let of = |start: &'static str| report.lines().filter(move |it| it.starts_with(start));
    let one = |start: &'static str| last(of(start).next().unwrap(), 1);
    let shared = of("launched conv ").map(|it| last(it, 2)).collect();
    Report { waits: one("waits "), pooled: one("pooled "), shared }
}

/// Real devices have memory pools; what has none still trains.
#[test]
fn memory_comes_from_a_pool_where_the_device_has_one() {
    if !available() {
        return;
    }
    let of = |pools: &str| {
        let settings = ["--set", "widths=[4,6]", "--batch", "4"];
        report("models/digits.sph", "2", &settings, &[("SPHC_STANDIN_POOLS", pools)]).pooled
    };
    assert!(0 < of("1"));
    assert_eq!(of("0"), 0);
}

/// A device newer than the compiler: the driver makes code of PTX.
#[test]
fn a_device_that_the_compiler_does_not_know_runs_ptx() {
    if !available() {
        return;
    }
    let new = ("SPHC_STANDIN_CAPABILITY", "12");
    let found = text(&sphc(&["doctor"], &[new]));
    assert!(found.contains("for cuda:0 as PTX for compute_90"), "{found}");
    assert!(text(&sphc(&["doctor"], &[])).contains("for cuda:0 as machine code for sm_80"));
    let settings = ["--set", "widths=[4,6]", "--batch", "4"];
    assert!(0 < report("models/digits.sph", "1", &settings, &[new]).waits);
}

/// Launches are queued, so that a failure shows later; the first run of a phase tells which it was, and so does every one
/// if it is asked for.
#[test]
fn a_kernel_that_fails_is_named() {
    if !available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let train = |variables: &[(&str, &str)]| {
        let run = folder.path().join("run");
        let mut arguments = vec!["train", "models/digits.sph", "--device", "cuda", "--run", run.to_str().unwrap()];
        arguments.extend(["--set", "widths=[4,6]", "--batch", "4", "--iterations", "4", "--evaluate-every", "0"]);
        let output = sphc(&arguments, variables);
        std::fs::remove_dir_all(&run).unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        text(&output)
    };
    let found = train(&[("SPHC_STANDIN_BROKEN", "window 1")]);
    assert!(found.contains("a kernel failed (window of `"), "{found}");
    // This one is of a later step.
    let late = ("SPHC_STANDIN_BROKEN", "window 40");
    let found = train(&[late]);
    assert!(found.contains("a kernel failed") && !found.contains("(window"), "{found}");
    let found = train(&[late, ("SPHC_CUDA_SYNC", "1")]);
    assert!(found.contains("a kernel failed (window of `"), "{found}");
}

#[test]
fn the_host_does_not_wait_for_the_steps_it_logs() {
    if !available() {
        return;
    }
    let waits = |iterations: &str| {
        report("models/digits.sph", iterations, &["--set", "widths=[4,6]", "--batch", "4"], &[]).waits
    };
    assert_eq!(waits("4"), waits("40"));
}

/// Channels enough for the largest tile.
const WIDE: &str = "
model Wide {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = relu(conv(x, 128, kernel: 3) as \"wide\")
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}

train {
    data       digits
    batch      8
    iterations 1
    loss       softmax_cross_entropy()
    optimizer  sgd(rate: 1e-3)
}
";

#[test]
fn a_tile_that_spills_gives_way_to_a_smaller_one() {
    if !available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.sph");
    std::fs::write(&path, WIDE).unwrap();
    let shared = |variables: &[(&str, &str)]| report(path.to_str().unwrap(), "1", &[], variables).shared;
    // What was said of a text is kept, so a cache of its own. All entries have a stack frame, which is not a spill.
    let cache = ("SPHC_CACHE", folder.path().to_str().unwrap());
    let (usual, smaller) = (shared(&[]), shared(&[("SPHC_STANDIN_SPILL", "constexpr int TILE_N = 128;"), cache]));
    assert!(usual.iter().any(|it| 96 * 1024 <= *it), "no large tile in {usual:?}");
    assert!(smaller.iter().all(|it| *it < 96 * 1024), "{smaller:?}");
}

#[test]
fn bench_tells_the_time_and_the_floor_of_every_kind_of_kernel() {
    if !available() {
        return;
    }
    let mut arguments = vec!["bench", "models/digits.sph", "--batch", "4", "--steps", "2"];
    arguments.extend(["--set", "widths=[4,6]", "--device", "cuda"]);
    let output = sphc(&arguments, &[]);
    assert!(output.status.success(), "{}", text(&output));
    for expected in ["utilisation", "conv filter grad", "of the floor", "memory at best 128 GB/s"] {
        assert!(text(&output).contains(expected), "{expected}\n{}", text(&output));
    }
    arguments.extend(["--format", "json"]);
    let object: Value = serde_json::from_slice(&sphc(&arguments, &[]).stdout).unwrap();
    let kernels = object["kernels"].as_array().unwrap();
    let sum: u64 = kernels.iter().map(|it| it["launches"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), object["launches"].as_u64());
    for it in kernels {
        assert!(0.0 < it["seconds"].as_f64().unwrap() && 0.0 < it["floor_seconds"].as_f64().unwrap(), "{it}");
    }
}

/// The script for machines with a GPU, with a short list of cases.
#[test]
fn the_script_for_a_gpu_runs_on_the_stand_in() {
    if !available() {
        return;
    }
    let (libraries, cache) = stand_in();
    let out = tempfile::tempdir().unwrap();
    let run = |extra: &[&str]| {
        Command::new("bash")
            .args(["tests/gpu.sh", "--quick", "--sphc", env!("CARGO_BIN_EXE_sphc"), "--out"])
            .arg(out.path())
            .arg("--cases")
            .arg(std::env::current_exe().unwrap())
            .args(extra)
            .env("SPHC_CUDA_LIB", libraries)
            .env("SPHC_CACHE", cache)
            .output()
            .unwrap()
    };
    let found = run(&[]);
    let summary = std::fs::read_to_string(out.path().join("summary.txt")).unwrap();
    assert!(found.status.success(), "{}", text(&found));
    for part in ["doctor", "verify-digits", "losses", "cases", "bench-digits"] {
        let line = summary.lines().find(|it| it.starts_with(part)).unwrap_or_else(|| panic!("no {part}\n{summary}"));
        assert!(line.ends_with("passed"), "{line}\n{}", text(&found));
    }
    assert!(text(&found).contains("sphc f32"), "{}", text(&found));

    // A part that fails leaves the others alone.
    let broken = out.path().join("no-such-test");
    std::fs::write(&broken, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let found = run(&["--cases", broken.to_str().unwrap()]);
    assert_eq!(found.status.code(), Some(1), "{}", text(&found));
    let summary = std::fs::read_to_string(out.path().join("summary.txt")).unwrap();
    let failed: Vec<&str> = summary.lines().filter(|it| it.ends_with("FAILED")).collect();
    assert!(matches!(failed[..], [line] if line.starts_with("cases")), "{summary}");
    // And no time is left for more than there is.
    run(&["--minutes", "0"]);
    let summary = std::fs::read_to_string(out.path().join("summary.txt")).unwrap();
    assert!(summary.lines().all(|it| it.ends_with("skipped: no time was left")), "{summary}");
}

#[test]
fn a_resumed_run_on_the_stand_in_equals_an_undisturbed_one() {
    if !available() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let train = |name: &str, iterations: &str, more: &[&str]| {
        let run = place.path().join(name);
        let mut arguments = vec!["train", "models/digits.sph", "--device", "cuda", "--run", run.to_str().unwrap()];
        arguments.extend([
            "--set",
            "widths=[8,16]",
            "--precision",
            "bf16",
            "--batch",
            "4",
            "--log-every",
            "1",
            "--iterations",
            iterations,
        ]);
        arguments.extend(["--evaluate-every", "0"]);
        arguments.extend(more);
        let output = sphc(&arguments, &[]);
        assert!(output.status.success(), "{}", text(&output));
        run
    };
    let whole = train("whole", "4", &[]);
    train("parts", "2", &[]);
    let parts = train("parts", "4", &["--resume"]);
    let last = "checkpoints/step-00000004.safetensors";
    assert_eq!(std::fs::read(whole.join(last)).unwrap(), std::fs::read(parts.join(last)).unwrap());
    assert_eq!(crate::runs::cli::metrics(&whole), crate::runs::cli::metrics(&parts));
}

#[test]
fn more_examples_fit_in_16_bits() {
    if !available() {
        return;
    }
    let fits = |precision: &str| -> f64 {
        let run = tempfile::tempdir().unwrap();
        let run = run.path().join("run");
        let mut arguments = vec!["train", "models/digits.sph", "--device", "cuda", "--run", run.to_str().unwrap()];
        arguments.extend(["--iterations", "1", "--precision", precision]);
        let said = text(&sphc(&arguments, &[("SPHC_STANDIN_MEGABYTES", "1")]));
        let (_, rest) = said.split_once("the largest batch that fits is ").unwrap_or_else(|| panic!("{said}"));
        rest.split(|it: char| !it.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    assert!(1.4 * fits("f32") < fits("bf16"), "{} {}", fits("f32"), fits("bf16"));
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    if !available() {
        return;
    }
    let nowhere = tempfile::tempdir().unwrap();
    let model = ["train", "models/digits.sph", "--iterations", "1", "--device"];
    let on = |device: &str, variables: &[(&str, &str)]| {
        let run = nowhere.path().join("run");
        let mut arguments = model.to_vec();
        arguments.extend([device, "--run", run.to_str().unwrap()]);
        let output = sphc(&arguments, variables);
        assert_eq!(output.status.code(), Some(1), "{device} {variables:?}\n{}", text(&output));
        text(&output)
    };
    let cases = [
        ("cuda", ("SPHC_CUDA_LIB", nowhere.path().to_str().unwrap()), "there is no NVIDIA driver"),
        ("cuda", ("SPHC_STANDIN_DEVICES", "0"), "finds no device"),
        ("cuda", ("SPHC_STANDIN_DEVICES", "-1"), "does not start"),
        ("cuda", ("SPHC_STANDIN_STUB", "1"), "take the folder `stubs` out of LD_LIBRARY_PATH"),
        ("cuda:3", ("SPHC_STANDIN_DEVICES", "2"), "there are devices `cuda:0` to `cuda:1`"),
        ("cuda", ("SPHC_STANDIN_CAPABILITY", "7"), "compute capability 7.0"),
        ("cuda", ("SPHC_STANDIN_MEGABYTES", "2"), "the largest batch that fits is"),
    ];
    // Folders with a driver alone, and with one so old that it lacks most functions.
    let (alone, ancient) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::copy(stand_in().0.join("libcuda.so.1"), alone.path().join("libcuda.so.1")).unwrap();
    let stub = ancient.path().join("stub.cpp");
    std::fs::write(&stub, "extern \"C\" int cuInit(unsigned) { return 0; }").unwrap();
    let mut built = Command::new("g++");
    built.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]);
    let built = built.arg(ancient.path().join("libcuda.so.1")).arg(&stub).status().unwrap();
    assert!(built.success());
    let cases = cases.into_iter().chain([
        ("cuda", ("SPHC_CUDA_LIB", alone.path().to_str().unwrap()), "NVRTC, which compiles kernels, was not found"),
        ("cuda", ("SPHC_CUDA_LIB", ancient.path().to_str().unwrap()), "the NVIDIA driver is too old"),
        ("cuda", ("SPHC_STANDIN_NVRTC", "10"), "NVRTC 10.99 is too old"),
        ("cuda", ("SPHC_STANDIN_VERSION", "12040"), "pip install nvidia-cuda-nvrtc-cu12"),
    ]);
    for (device, variable, expected) in cases {
        let found = on(device, &[variable]);
        assert!(found.contains(expected) && !found.contains("panicked"), "{device} {variable:?}\n{found}");
    }
}

#[test]
fn doctor_names_driver_device_compiler_and_cache() {
    if !available() {
        return;
    }
    let found = text(&sphc(&["doctor"], &[]));
    for expected in
        ["CUDA up to 13.0", "emulated device, compute capability 8.0", "nvrtc       13.99", "cubins      kept in"]
    {
        assert!(found.contains(expected), "{found}");
    }
    let found = text(&sphc(&["doctor"], &[("SPHC_STANDIN_VERSION", "12040")]));
    assert!(found.contains("nvrtc       NVRTC is 13.99, and the driver knows CUDA up to 12.4 only"), "{found}");
    assert!(found.contains("pip install nvidia-cuda-nvrtc-cu12"), "{found}");
    let nowhere = tempfile::tempdir().unwrap();
    let found = text(&sphc(&["doctor"], &[("SPHC_CUDA_LIB", nowhere.path().to_str().unwrap())]));
    for expected in ["no NVIDIA driver", "pip install nvidia-cuda-nvrtc"] {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_plan_for_an_architecture_has_machine_code_for_every_kernel() {
    if !available() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let arguments = |folder: &str| {
        let folder = out.path().join(folder);
        ["compile", "models/digits.sph", "--arch", "sm_90", "-o"]
            .map(str::to_owned)
            .into_iter()
            .chain([folder.to_str().unwrap().to_owned()])
            .collect::<Vec<_>>()
    };
    let run = |folder: &str, variables: &[(&str, &str)]| {
        let arguments = arguments(folder);
        sphc(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), variables)
    };
    assert!(run("with", &[]).status.success());
    let count = |extension: &str| {
        let entries = std::fs::read_dir(out.path().join("with")).unwrap();
        entries.filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|it| it == extension)).count()
    };
    assert!(0 < count("cu"));
    assert_eq!(count("cu"), count("cubin"));

    let nowhere = out.path().to_str().unwrap();
    let output = run("without", &[("SPHC_CUDA_LIB", nowhere)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("NVRTC, which compiles kernels, was not found"), "{}", text(&output));
    assert!(!out.path().join("without").exists(), "nothing is half-written");
}

#[test]
fn a_tensor_too_long_for_cuda_is_told_instead_of_compiled() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("out");
    let file = out.path().join("long.sph");
    let model = "model Long {\n    input image: u8[64, 64, 3]\n    x = conv(image / 255, 512, kernel: 1) |> relu as \"wide\"\n    \
                output dense(global_avg_pool(x), classes) as \"score\"\n}\n\ntrain {\n    data       imagenet |> resize(64, 64)\n    batch      8\n    \
                iterations 1\n    loss       softmax_cross_entropy()\n    optimizer  sgd(rate: 1e-3)\n}\n";
    std::fs::write(&file, model).unwrap();
    let compile = |batch: &str| {
        let words =
            ["compile", file.to_str().unwrap(), "--target", "cuda", "--batch", batch, "-o", folder.to_str().unwrap()];
        Command::new(env!("CARGO_BIN_EXE_sphc")).args(words).output().unwrap()
    };
    let (fits, long) = (compile("1023"), compile("1024"));
    assert!(fits.status.success(), "{}", text(&fits));
    assert_eq!(long.status.code(), Some(1), "{}", text(&long));
    assert!(text(&long).contains("has a tensor of 2147483648 numbers"), "{}", text(&long));
    assert!(text(&long).contains("use a smaller `--batch`"), "{}", text(&long));
}
