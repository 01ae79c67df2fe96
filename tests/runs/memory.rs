//! What `sphc show` says a training takes in memory at most, beside what the process of one takes; and that a training which
//! needs more than is free is refused before it starts.

use crate::runs::cli::{Place, errors};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sphc(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
    command.args(words.split_whitespace()).stderr(Stdio::null());
    command
}

/// Most memory that a process was seen to have had, in bytes (the system itself keeps the peak), and its exit status.
fn peak(mut command: Command) -> (usize, Option<i32>) {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut kib = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let field = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        kib = field.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0).max(kib);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (kib * 1024, child.wait().unwrap().code())
}

fn said(model: &str, flags: &str) -> usize {
    let output = sphc(&format!("show {model} {flags} --format json")).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    shown["memory"]["process"].as_u64().unwrap() as usize
}

/// Trains and compares; the status of the training.
fn holds(model: &str, flags: &str, more: &str, directory: &Path) -> Option<i32> {
    let (told, again) = (said(model, flags), said(model, flags));
    assert_eq!(told, again, "{flags}: what is said of a model does not change from call to call");
    let said = told;
    let run = directory.join(format!("{flags}{more}").replace(' ', ""));
    let (found, status) = peak(sphc(&format!("train {model} {flags} --device cpu {more} --run {}", run.display())));
    println!("{flags} {more}: show {said}, process {found}, ratio {:.3}", found as f64 / said as f64);
    assert!(found <= said, "{flags} {more}: show says at most {said}, the process took {found}");
    // The bound of a small process is mostly what it may come to take; a huge page more or less is much of it.
    let room = (said / 8).max(9_000_000);
    assert!(said - found <= room, "{flags} {more}: show says {said}, the process took only {found}");
    status
}

#[test]
fn show_tells_what_a_training_takes_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let model = format!("{}/models/digits.sph", env!("CARGO_MANIFEST_DIR"));
    for flags in ["--threads 1", "--threads 4", "--threads 2 --batch 4096", "--threads 2 --batch 1024 --precision f64"]
    {
        let status = holds(&model, flags, "--iterations 3", directory.path());
        assert_eq!(status, Some(0));
    }
    // Going on from a checkpoint, evaluations and many lines of the log take no more.
    let place = Place::new();
    let tiny = place.path("tiny.sph").display().to_string();
    let many = "--iterations 300 --evaluate-every 20 --checkpoint-every 50 --log-every 1";
    assert_eq!(holds(&tiny, "--threads 2", many, place.directory.path()), Some(0));
    let wide = crate::runs::cli::MODEL.replace("sphere_conv(4", "sphere_conv(2000) |> sphere_conv(200");
    fs::write(place.path("wide.sph"), wide).unwrap();
    let wide = place.path("wide.sph").display().to_string();
    assert_eq!(holds(&wide, "--threads 2 --batch 2", "--iterations 2", place.directory.path()), Some(0));
    let run = place.directory.path().join("--threads2--batch2--iterations2");
    let resumed = format!("train {wide} --threads 2 --batch 2 --iterations 3 --resume --run {}", run.display());
    let (found, status) = peak(sphc(&resumed));
    let said = said(&wide, "--threads 2 --batch 2");
    assert_eq!(status, Some(0));
    assert!(found <= said, "resumed: show says at most {said}, the process took {found}");
}

/// The search for where a number stopped being finite is part of a training.
#[test]
fn the_search_for_a_nan_takes_no_more_than_show_says() {
    let place = Place::new();
    let model = r#"
model D {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    for i in 0..60 { x = relu(conv(x, 8) as "n{i}") + x * 0.5 }
    output dense(x, classes) as "score"
}
train {
    data digits
    batch 16
    iterations 4
    loss softmax_cross_entropy()
    optimizer sgd(rate: 1e25)
}
"#;
    fs::write(place.path("deep.sph"), model).unwrap();
    let model = place.path("deep.sph").display().to_string();
    let status = holds(&model, "--batch 200 --threads 2", "--log-every 1", place.directory.path());
    assert_eq!(status, Some(1), "it diverges");
}

fn limited(place: &Place, kib: u64, words: &str) -> Output {
    let script = format!("ulimit -v {kib}; exec {} {words}", env!("CARGO_BIN_EXE_sphc"));
    Command::new("bash").args(["-c", &script]).current_dir(place.directory.path()).output().unwrap()
}

/// The batch that a message names.
fn named(text: &str) -> u64 {
    let rest = text.split("the largest batch that fits is ").nth(1).unwrap_or_else(|| panic!("{text}"));
    rest.split(':').next().unwrap().parse().unwrap()
}

#[test]
fn what_needs_more_memory_than_is_free_is_refused_before_it_starts() {
    let place = Place::new();
    let wide = crate::runs::cli::MODEL.replace("sphere_conv(4", "sphere_conv(100000");
    fs::write(place.path("wide.sph"), wide).unwrap();
    for words in [
        "train wide.sph --run r --batch 100000",
        "bench wide.sph --batch 100000",
        "verify wide.sph --batch 100000 --kernels-only",
    ] {
        let output = place.sphc(words);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        assert!(text.contains("of memory with a batch of 100000, and ") && text.contains(" are "), "{text}");
        assert!(text.contains("--ignore-memory") && 0 < named(&text), "{text}");
        assert!(!place.path("r").exists());
    }
    let output = place.sphc("verify wide.sph --batch 100000");
    assert!(errors(&output).contains("comparing gradients in f64 needs"), "{}", errors(&output));
    let huge = crate::runs::cli::MODEL.replace("sphere_conv(4", "sphere_conv(1000000");
    fs::write(place.path("huge.sph"), huge).unwrap();
    let text = errors(&limited(&place, 700_000, "train huge.sph --run r"));
    assert!(text.contains("even a batch of 1 does not fit"), "{text}");
}

/// The batch that is named does fit, and one more does not.
#[test]
fn the_batch_that_is_named_is_the_largest() {
    let place = Place::new();
    let wide = crate::runs::cli::MODEL.replace("sphere_conv(4", "sphere_conv(400");
    fs::write(place.path("wide.sph"), wide).unwrap();
    let kib = 700_000;
    let words = |batch: u64| {
        format!("train wide.sph --threads 1 --iterations 1 --evaluate-every 0 --batch {batch} --run b{batch}")
    };
    let output = limited(&place, kib, &words(100_000));
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("left by the limit on address space"), "{text}");
    let batch = named(&text);
    let output = limited(&place, kib, &words(batch + 20));
    assert_eq!(output.status.code(), Some(1), "a larger one: {}", errors(&output));
    let again = named(&errors(&output));
    assert!(again.abs_diff(batch) <= 3, "{again} and {batch}");
    let output = limited(&place, kib, &words(batch.min(again) - 3));
    assert_eq!(output.status.code(), Some(0), "the one that is named: {}", errors(&output));
}
