//! A training that is killed 200 times at random moments, in checkpoints too, and resumed each time ends as the undisturbed
//! one does: the same bits in weights, moments, statistics and metrics.

use crate::runs::cli::{Place, errors, metrics};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Of two workers, each.
const KILLS: usize = 100;
const LAST: &str = "checkpoints/step-00000040.safetensors";

fn start(place: &Place, run: &Path, resume: bool, threads: u64) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
    command.args(["train", "tiny.sph", "--iterations", "40", "--log-every", "1", "--checkpoint-every", "1"]);
    command.args(["--threads", &threads.to_string(), "--run"]).arg(run);
    if resume {
        command.arg("--resume");
    }
    command.current_dir(place.directory.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.map(|it| it.file_name().to_string_lossy().into_owned()).collect()
}

/// A sequence that is the same in every run of the test.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What came of a worker's trainings.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Kills that left a part of a checkpoint.
    in_checkpoints: usize,
    /// Kills before there was anything to go on from.
    without: usize,
    finished: usize,
}

/// Kills and resumes until `KILLS`; the last training may finish.
fn worker(place: &Place, seed: u64, longest: Duration, whole: &Path) -> Tally {
    let mut chance = Chance(seed);
    let mut tally = Tally::default();
    let mut run = PathBuf::new();
    let mut done = true;
    while tally.kills < KILLS || !done {
        if done {
            run = place.path(&format!("run-{seed}-{}", tally.finished));
            done = false;
        }
        let resume = names(&run.join("checkpoints")).iter().any(|it| it.starts_with("step-"));
        if !resume && run.exists() {
            fs::remove_dir_all(&run).unwrap();
        }
        let mut training = start(place, &run, resume, 1 + chance.below(3));
        if tally.kills < KILLS {
            sleep(Duration::from_micros(chance.below(longest.as_micros() as u64)));
            training.kill().unwrap();
        }
        let output = training.wait_with_output().unwrap();
        if output.status.success() {
            assert_eq!(fs::read(run.join(LAST)).unwrap(), fs::read(whole.join(LAST)).unwrap());
            assert_eq!(metrics(&run), metrics(whole));
            assert!(!names(&run.join("checkpoints")).iter().any(|it| it.starts_with('.')), "left-overs are removed");
            tally.finished += 1;
            done = true;
            continue;
        }
        assert_eq!(output.status.code(), None, "killed, not failed: {}", errors(&output));
        tally.kills += 1;
        tally.without += usize::from(!names(&run.join("checkpoints")).iter().any(|it| it.starts_with("step-")));
        tally.in_checkpoints += usize::from(names(&run.join("checkpoints")).iter().any(|it| it.starts_with('.')));
    }
    tally
}

#[test]
fn killed_at_any_moment_a_training_ends_as_if_undisturbed() {
    let place = Place::new();
    let begun = Instant::now();
    let whole = place.path("whole");
    let output = start(&place, &whole, false, 2).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    // A life is shorter than a third of a training, so that most trainings are killed several times.
    let longest = begun.elapsed() / 3;
    assert_eq!(metrics(&whole).len(), 40 + 8, "every iteration, and every fifth tested");

    let tallies: Vec<Tally> = thread::scope(|scope| {
        let workers: Vec<_> = [1998, 2017]
            .map(|seed| {
                let (place, whole) = (&place, &whole);
                scope.spawn(move || worker(place, seed, longest, whole))
            })
            .into_iter()
            .collect();
        workers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    println!("{:.1} s, {tallies:?}", begun.elapsed().as_secs_f64());
    assert!(tallies.iter().all(|it| KILLS <= it.kills && 0 < it.finished));
}
