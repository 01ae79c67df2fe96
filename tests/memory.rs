//! What `sphc show` says a training takes in memory, beside what the process of one takes.

use std::fs;
use std::process::{Command, Stdio};

fn sphc(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
    command.args(words.split_whitespace()).stderr(Stdio::null());
    command
}

/// Most memory that a process was seen to have had, in bytes; the system itself keeps the peak.
fn peak(mut command: Command) -> usize {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut kib = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let field = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        kib = field.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0).max(kib);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    kib * 1024
}

#[test]
fn show_tells_what_a_training_takes_within_a_tenth() {
    let directory = tempfile::tempdir().unwrap();
    for flags in ["--threads 1", "--threads 4", "--threads 2 --batch 4096", "--threads 2 --batch 1024 --precision f64"]
    {
        let model = format!("{}/models/digits.sph {flags}", env!("CARGO_MANIFEST_DIR"));
        let output = sphc(&format!("show {model} --format json")).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let said = shown["memory"]["total"].as_u64().unwrap() as f64;
        let run = directory.path().join(flags.replace(' ', ""));
        let found = peak(sphc(&format!("train {model} --device cpu --iterations 3 --run {}", run.display()))) as f64;
        println!("{flags}: show {said}, process {found}, ratio {:.3}", found / said);
        // One huge page that the system gives to a small process unasked is more than a tenth of it.
        let room = (0.1 * said).max(2.5e6);
        assert!((found - said).abs() <= room, "{flags}: show says {said}, the process took {found}");
    }
}
