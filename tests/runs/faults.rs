//! What befalls a training: signals, a full disk, a directory that cannot be used, vanishes or is in use. Each ends in a
//! clear error, and nothing that was kept is lost.

use crate::runs::cli::{MODEL, Place, errors, metrics};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Starts a training that goes on until it is told to stop, and waits until it does steps.
fn long(place: &Place, words: &str) -> Child {
    let training = Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["train", "tiny.sph", "--run", "long", "--iterations", "1000000", "--evaluate-every", "0"])
        .args(words.split_whitespace())
        .current_dir(place.directory.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| fs::metadata(place.path("long/metrics.jsonl")).is_ok_and(|it| it.len() > 0));
    training
}

fn wait_for(there: impl Fn() -> bool) {
    for _ in 0..6000 {
        if there() {
            return;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("waited for 30 seconds");
}

fn send(signal: &str, to: &Child) {
    assert!(Command::new("kill").args([signal, &to.id().to_string()]).status().unwrap().success());
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// Runs with the size of files limited to so many KiB; a write beyond fails, as it does on a full disk.
fn limited(place: &Place, kib: u32, words: &str) -> Output {
    let script = format!("ulimit -f {kib}; exec {} {words}", env!("CARGO_BIN_EXE_sphc"));
    Command::new("bash").args(["-c", &script]).current_dir(place.directory.path()).output().unwrap()
}

#[test]
fn a_signal_leaves_a_checkpoint_and_says_how_to_go_on() {
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::new();
        let training = long(&place, "");
        send(signal, &training);
        let output = training.wait_with_output().unwrap();
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains("stopping after this step"), "{text}");
        assert!(text.contains("go on with") && text.contains("--run long --resume"), "{text}");
        assert_eq!(count(&place.path("long/checkpoints")), 1);
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let place = Place::new();
    // The process sleeps while both signals are sent: however slow the machine is, they come within one step.
    fs::write(place.path("tiny.sph"), MODEL.replace("sphere_conv(4", "sphere_conv(64) |> sphere_conv(64")).unwrap();
    let training = long(&place, "--batch 1437 --log-every 1 --threads 1");
    ["-STOP", "-INT", "-TERM", "-CONT"].into_iter().for_each(|it| send(it, &training));
    let output = training.wait_with_output().unwrap();
    // Which of two signals that wait is taken first is the system's choice; the second gives the status.
    assert!(matches!(output.status.code(), Some(130 | 143)), "{:?} {}", output.status, errors(&output));
    assert_eq!(count(&place.path("long/checkpoints")), 0);
}

#[test]
fn a_full_disk_is_told_with_what_is_kept() {
    let place = Place::new();
    let output = limited(&place, 3, "train tiny.sph --run r");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let limit = "raise the limit for sizes of files (`ulimit -f unlimited`), then start anew";
    let expected =
        ["cannot write `r/checkpoints/step-00000012.safetensors`", limit, "no checkpoint was kept", "--run DIR"];
    expected.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
    assert!(!text.contains("--resume"), "there is nothing to resume from: {text}");
    assert_eq!(count(&place.path("r/checkpoints")), 0, "a part of a file is not a file");

    place.succeeds("train tiny.sph --run whole");
    place.succeeds("train tiny.sph --run s --iterations 7");
    let output = limited(&place, 3, "train tiny.sph --run s --resume");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let resume = "(`ulimit -f unlimited`), then go on from iteration 7 with `--resume --run s`";
    assert!(text.contains(resume), "{text}");
    assert_eq!(count(&place.path("s/checkpoints")), 1);
    place.succeeds("train tiny.sph --run s --resume");
    assert_eq!(place.final_checkpoint("whole"), place.final_checkpoint("s"));
    assert_eq!(metrics(&place.path("whole")), metrics(&place.path("s")));

    // No other file than that of a training, either.
    let weights = "--weights s/checkpoints/step-00000012.safetensors";
    let large = "features tiny.sph --split train --layer first -o a.npz";
    let output = limited(&place, 3, &format!("{large} {weights}"));
    let text = errors(&output);
    let told = "raise the limit for sizes of files (`ulimit -f unlimited`), and give the command again";
    assert!(text.starts_with("error: cannot write `a.npz`: ") && text.contains(told), "{text}");
    assert!(!place.path("a.npz").exists());
}

#[test]
fn a_directory_that_cannot_be_written_to_is_told_before_the_first_step() {
    let place = Place::new();
    fs::create_dir(place.path("locked")).unwrap();
    fs::set_permissions(place.path("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    // Where the tests run as root, permissions keep nobody out.
    let is_root = fs::write(place.path("locked/x"), "").is_ok();
    let run = if is_root { "/proc/sphc" } else { "locked/run" };
    let output = place.sphc(&format!("train tiny.sph --run {run}"));
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("cannot use the run directory `{run}`")), "{text}");
    assert!(text.contains("give a directory that can be written to"), "{text}");
}

#[test]
fn a_directory_that_vanishes_is_made_again_with_all_that_is_known() {
    let place = Place::new();
    let words = "--log-every 1 --checkpoint-every 2000";
    let training = long(&place, words);
    fs::remove_dir_all(place.path("long")).unwrap();
    let output = training.wait_with_output().unwrap();
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the run directory `long` vanished") && text.contains("--resume --run long"), "{text}");

    let step: u64 = text.split("at iteration ").nth(1).and_then(|it| it.split(';').next()).unwrap().parse().unwrap();
    assert_eq!(metrics(&place.path("long")).len() as u64, step, "no line is lost");
    let rest = format!("train tiny.sph --evaluate-every 0 {words} --iterations {}", step + 2);
    place.succeeds(&format!("{rest} --run long --resume"));
    place.succeeds(&format!("{rest} --run whole"));
    let last = format!("checkpoints/step-{:08}.safetensors", step + 2);
    assert_eq!(fs::read(place.path("long").join(&last)).unwrap(), fs::read(place.path("whole").join(&last)).unwrap());
    assert_eq!(metrics(&place.path("long")), metrics(&place.path("whole")));
}

#[test]
fn two_trainings_do_not_share_a_directory() {
    let place = Place::new();
    let first = long(&place, "--checkpoint-every 5");
    wait_for(|| fs::read_dir(place.path("long/checkpoints")).is_ok_and(|it| 0 < it.count()));
    // What a training holds a directory by cannot be removed from it.
    for file in fs::read_dir(place.path("long")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with('.') {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let words = "train tiny.sph --run long --iterations 1000000 --evaluate-every 0";
    let second = place.sphc(&format!("{words} --resume"));
    assert_eq!(second.status.code(), Some(1));
    assert!(errors(&second).contains("another training is using it"), "{}", errors(&second));
    let third = place.sphc(words);
    assert_eq!(third.status.code(), Some(1));
    assert!(errors(&third).contains("already holds a run"), "{}", errors(&third));
    send("-TERM", &first);
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "the first is not disturbed: {}", errors(&output));
}

#[test]
fn a_loss_that_is_no_number_is_traced_to_its_layer_and_line() {
    let place = Place::new();
    // Filters grow until the sum of their squares is too large for 32 bits.
    let model = MODEL.replace("rate: 1e-2", "rate: 1e19");
    fs::write(place.path("tiny.sph"), model).unwrap();
    let output = place.sphc("train tiny.sph --run r --log-every 1 --checkpoint-every 1");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for it in ["iteration", "arose first", "tiny.sph:", " from ", "holds the state before iteration"] {
        assert!(text.contains(it), "{it}: {text}");
    }
    // Of the maps that share the launch only one is told, with its own operands.
    assert!(!text.contains("many maps") && text.matches(" from ").count() <= 3, "{text}");
    let kept = text.split('`').find(|it| it.starts_with("r/checkpoints/step-")).unwrap();
    assert!(place.path(kept).is_file(), "{kept}");
    let again = place.sphc("verify tiny.sph --replay r");
    assert_eq!(again.status.code(), Some(1), "{}", errors(&again));
    let said = String::from_utf8(again.stdout).unwrap();
    let said = said.split_once(": ").unwrap().1.trim();
    assert!(said.contains("arose first") && text.contains(said), "the same is found:\n{said}\nwas\n{text}");
}
