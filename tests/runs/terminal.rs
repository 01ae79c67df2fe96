//! What stands on a terminal: tmux keeps the screen and what went above it, as a user's terminal does.

use crate::runs::cli::Place;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A terminal of its own in a place, gone when it is dropped.
struct Terminal<'a> {
    place: &'a Place,
    socket: String,
}

impl<'a> Terminal<'a> {
    /// Runs a script of a shell. Without tmux there is none, unless `SPHC_REQUIRE_TMUX` asks for it.
    fn new(place: &'a Place, script: &str) -> Option<Terminal<'a>> {
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("SPHC_REQUIRE_TMUX").is_none(), "there is no tmux");
            eprintln!("skipped: there is no tmux");
            return None;
        }
        let socket = place.path("terminal").display().to_string();
        let res = Terminal { place, socket };
        let script = format!("cd '{}'; {script}; touch over; sleep 600", place.directory.path().display());
        let script = script.replace("sphc ", &format!("'{}' ", env!("CARGO_BIN_EXE_sphc")));
        let output = res.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "160", "-y", "30", &script]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(res)
    }

    fn tmux(&self, words: &[&str]) -> Output {
        Command::new("tmux").args(["-S", &self.socket]).args(words).env_remove("TMUX").output().unwrap()
    }

    /// All that stands there, from the first line that went above the screen.
    fn lines(&self) -> Vec<String> {
        let output = self.tmux(&["capture-pane", "-p", "-S", "-1000"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|it| it.trim_end().to_owned()).filter(|it| !it.is_empty()).collect()
    }

    /// Waits until something is so of the lines.
    fn until(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let lines = self.lines();
            if holds(&lines) {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(300), "{what} never came:\n{}", lines.join("\n"));
            sleep(Duration::from_millis(20));
        }
    }

    /// What stands there when the script is over.
    fn over(&self) -> Vec<String> {
        self.until("the end", |_| self.place.path("over").exists())
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn starting<'a>(lines: &'a [String], with: &str) -> Vec<&'a str> {
    lines.iter().map(String::as_str).filter(|it| it.starts_with(with)).collect()
}

#[test]
fn evaluations_stay_above_the_bar_with_the_accuracy_of_training_beside() {
    let place = Place::new();
    let words = "sphc train tiny.sph --run r --iterations 400 --evaluate-every 100";
    let Some(terminal) = Terminal::new(&place, words) else { return };
    let lines = terminal.until("a bar below an evaluation", |lines| {
        lines.last().is_some_and(|it| it.ends_with(" left")) && !starting(lines, "iteration ").is_empty()
    });
    let bars = |lines: &[String]| lines.iter().filter(|it| it.ends_with(" left")).count();
    assert_eq!(bars(&lines), 1, "{lines:#?}");
    assert!(lines.last().unwrap().contains("/400 "), "{lines:#?}");
    let lines = terminal.over();
    assert_eq!(bars(&lines), 0, "the bar is gone: {lines:#?}");
    let tested = starting(&lines, "iteration ");
    let told: Vec<(&str, bool)> = tested
        .iter()
        .map(|it| (&it[..17], it.contains(" train accuracy ") && it.contains(" %, test accuracy ")))
        .collect();
    let expected = ["iteration    100/", "iteration    200/", "iteration    300/", "iteration    400/"];
    assert_eq!(told, expected.map(|it| (it, true)), "{lines:#?}");
    let last = starting(&lines, "test accuracy ").concat();
    assert!(last.contains(" images, train accuracy ") && last.contains(" %, after 400 iterations"), "{lines:#?}");
}

#[test]
fn the_accuracy_of_training_is_the_mean_since_the_evaluation_before() {
    let place = Place::new();
    let words = "sphc train tiny.sph --run r --iterations 60 --evaluate-every 30 --log-every 1";
    let Some(terminal) = Terminal::new(&place, words) else { return };
    let lines = terminal.over();
    let metrics = std::fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    let values: Vec<serde_json::Value> = metrics.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    for (line, from) in starting(&lines, "iteration ").into_iter().zip([0, 30]) {
        let batches = values.iter().filter(|it| (from..from + 30).contains(&it["iteration"].as_u64().unwrap()));
        let each: Vec<f64> = batches.filter_map(|it| it["accuracy"].as_f64()).collect();
        assert_eq!(each.len(), 30);
        let mean = 100.0 * each.iter().sum::<f64>() / 30.0;
        assert!(line.contains(&format!("train accuracy {mean:.2} %")), "{line}: {mean}");
    }
}

#[test]
fn a_sweep_has_a_line_for_each_run_that_is_over_and_a_bar_of_all() {
    let place = Place::new();
    let text = crate::runs::cli::MODEL.replace("model Tiny", "param width: int = 4\n\nmodel Tiny");
    std::fs::write(place.path("tiny.sph"), text.replace("sphere_conv(4,", "sphere_conv(width,")).unwrap();
    let words = "sphc train tiny.sph --run s --iterations 60 --set width=4,6 --seeds 2";
    let Some(terminal) = Terminal::new(&place, words) else { return };
    let lines = terminal.until("a second run", |lines| {
        let last = lines.last().cloned().unwrap_or_default();
        last.starts_with("1/4 runs ") && last.contains("run 2 of 4: width=4, seed 1  about ") && last.ends_with(" left")
    });
    assert_eq!(starting(&lines, "run ").len(), 1, "{lines:#?}");
    let lines = terminal.over();
    let runs = starting(&lines, "run ");
    let names = ["width=4, seed 0", "width=4, seed 1", "width=6, seed 0", "width=6, seed 1"];
    for (at, (line, name)) in runs.iter().zip(names).enumerate() {
        assert!(line.starts_with(&format!("run {} of 4: {name}: test accuracy ", at + 1)), "{line}");
        assert!(line.contains(" images, train accuracy "), "{line}");
    }
    // Then the directory of all.
    assert_eq!(runs.len(), 5, "{lines:#?}");
    assert!(runs[4].starts_with("run           s: a directory for each run"), "{lines:#?}");
    let others = lines.iter().filter(|it| it.contains("left") || it.contains("iteration  ") || it.contains("/4 runs"));
    assert_eq!(others.count(), 0, "{lines:#?}");
    assert_eq!(starting(&lines, "device: ").len(), 1, "{lines:#?}");
}

#[test]
fn explanations_go_through_the_users_pager_on_a_terminal_only() {
    let place = Place::new();
    let script = "PAGER='sed s/^/paged:/' sphc explain E0301; PAGER= sphc explain E0301; PAGER='./none -x' sphc explain E0301; \
                  PAGER='sed s/^/paged:/' sphc explain E0301 > file";
    let Some(terminal) = Terminal::new(&place, script) else { return };
    let lines = terminal.over();
    assert_eq!(starting(&lines, "paged:E0301: ").len(), 1, "{lines:#?}");
    assert_eq!(starting(&lines, "E0301: ").len(), 2, "without a pager, and with one that is not there: {lines:#?}");
    let file = std::fs::read_to_string(place.path("file")).unwrap();
    assert!(file.starts_with("E0301: ") && !file.contains("paged"), "{file}");
}
