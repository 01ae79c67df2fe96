//! `sphc bench --predict`: what a step is expected to take, without a GPU.

use super::assemble::assembler;
use super::{sphc, text};
use crate::language::docs::blocks;
use serde_json::Value;
use std::process::Command;

/// The commands of the documentation, with NVIDIA's compiler.
#[test]
fn a_step_is_predicted_node_by_node() {
    if assembler().is_none() {
        return;
    }
    let (_, commands) = blocks("docs/kernels.md", "```sh").into_iter().find(|it| it.1.contains("--predict")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        let mut program = Command::new(env!("CARGO_BIN_EXE_sphc"));
        let output = program.args(arguments).env("SPHC_CACHE", cache.path()).output().unwrap();
        assert!(output.status.success(), "{command}\n{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let [table, object] = commands.lines().collect::<Vec<_>>()[..] else { panic!("two commands") };
    let table = run(table);
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["node", "layer", "kernel", "blocks", "GFLOP", "MB", "us", "bound", "by"]);
    let end = table.lines().last().unwrap();
    assert!(end.starts_with("step") && end.contains(" ms predicted, not measured: "), "{end}");

    let object: Value = serde_json::from_str(&run(object)).unwrap();
    let nodes = object["nodes"].as_array().unwrap();
    let sum: f64 = nodes.iter().map(|it| it["seconds"].as_f64().unwrap()).sum();
    assert!((sum - object["predicted_seconds"].as_f64().unwrap()).abs() < 1e-9);
    let bounds = ["products", "instructions", "shared memory", "L2 cache", "memory", "latency"];
    for it in nodes {
        // From the end of one to the end of the next is a microsecond at the least; nothing of a small network takes a
        // millisecond.
        let seconds = it["seconds"].as_f64().unwrap();
        assert!(1e-6 < seconds && seconds < 1e-3, "{it}");
        assert!(bounds.contains(&it["bound"].as_str().unwrap()), "{it}");
    }
    // As many as `show` counts, and with all the operations of a step.
    let shown = Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["show", "models/digits.sph", "--precision", "bf16", "--batch", "64", "--format", "json"])
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["nodes"].as_u64(), Some(nodes.len() as u64));
    assert!(shown["launches"].as_u64().is_some_and(|it| 0 < it));
    assert!(nodes.iter().any(|it| 0.0 < it["flops"].as_f64().unwrap() && 0.0 < it["bytes"].as_f64().unwrap()));
}

/// More multiply-adds, more bytes, more time.
#[test]
fn a_larger_batch_is_expected_to_take_longer() {
    if assembler().is_none() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let seconds = |batch: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(["bench", "models/digits.sph", "--predict", "--format", "json", "--batch", batch])
            .env("SPHC_CACHE", cache.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["predicted_seconds"].as_f64().unwrap()
    };
    let (small, large) = (seconds("64"), seconds("4096"));
    assert!(1.5 * small < large, "{small} and {large}");
}

#[test]
fn what_a_prediction_lacks_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let none = empty.path().to_str().unwrap();
    for (arguments, variables, wanted) in [
        (vec![], vec![("SPHC_CUDA_LIB", none)], "NVRTC, which compiles kernels, was not found"),
        (vec!["--arch", "sm_70"], vec![], "there are no figures for `sm_70`"),
        (vec!["--precision", "f64"], vec![], "GPUs compute in single precision"),
    ] {
        let output = sphc(&[&["bench", "models/digits.sph", "--predict"], &arguments[..]].concat(), &variables);
        assert!(!output.status.success() && text(&output).contains(wanted), "{arguments:?}\n{}", text(&output));
    }
}
