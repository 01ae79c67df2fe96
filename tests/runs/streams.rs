//! Standard output in place of a file, and output that cannot be written.

use crate::runs::cli::Place;
use std::process::{Command, Output};

const WEIGHTS: &str = "--weights r/checkpoints/step-00000012.safetensors";

fn shell(place: &Place, line: &str) -> Output {
    let line = line.replace("sphc ", &format!("'{}' ", env!("CARGO_BIN_EXE_sphc")));
    Command::new("sh").args(["-c", &line]).current_dir(place.directory.path()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_a_file_would_hold_can_go_to_standard_output() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    for (words, file) in [
        ("export tiny.sph W --onnx", "a.onnx"),
        ("export tiny.sph W --pytorch", "a.py"),
        ("features tiny.sph W --layer first,scores -o", "a.npz"),
        ("features tiny.sph W --layer first --format csv -o", "a.csv"),
    ] {
        let words = words.replace('W', WEIGHTS);
        place.succeeds(&format!("{words} {file}"));
        let output = place.sphc(&format!("{words} -"));
        assert!(output.status.success(), "{}", said(&output));
        assert!(output.stdout == std::fs::read(place.path(file)).unwrap(), "{words}: other bytes than in a file");
        assert!(said(&output).contains("wrote standard output: "), "{}", said(&output));
        assert!(!place.path("-").exists());
    }
    place.fails("export tiny.sph --weights none --onnx - --pytorch -", &["would both write `-`", "a name of its own"]);
    place.fails("compile tiny.sph -o -", &["a directory for several files", "--emit plan"]);
    place.fails("plot --operator cosine -o -", &["only SVG and PNG can be drawn"]);
    for words in ["train tiny.sph --run -", "reproduce --run -", "man -"] {
        let output = place.sphc(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(said(&output).contains("a directory, which standard output is not"), "{words}: {}", said(&output));
    }
    assert!(!place.path("-").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let export = format!("sphc export tiny.sph {WEIGHTS} --onnx -");
    for line in [
        "sphc help",
        "sphc --help",
        "sphc train --help",
        "sphc help train",
        "sphc --version",
        "sphc explain",
        "sphc explain E0301",
        "sphc show tiny.sph",
        "sphc compile tiny.sph --emit plan",
        "sphc completions bash",
        "sphc runs r",
        &export,
    ] {
        let output = shell(&place, &format!("{line} > /dev/full"));
        assert_eq!(output.status.code(), Some(1), "{line}: {}", said(&output));
        assert!(said(&output).contains("cannot write to standard output: No space left"), "{line}: {}", said(&output));
        let output = shell(&place, &format!("{line} | head -c 1 > /dev/null"));
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(!said(&output).contains("error"), "{line}: {}", said(&output));
    }
}
