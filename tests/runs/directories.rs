//! Run directories: who gets which, what resuming finds in one, and what sweeps make of names.

use crate::runs::cli::{MODEL, Place, errors, metrics};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn command(place: &Place, words: &[OsString]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
    command.args(words).current_dir(place.directory.path()).env_remove("SPHC_DATA");
    command
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

fn refused(place: &Place, text: &str, expected: &[&str]) {
    let output = place.sphc(text);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}: {said}");
    expected.iter().for_each(|it| assert!(said.contains(it), "`{text}` does not say `{it}`:\n{said}"));
}

#[test]
fn trainings_that_start_at_once_get_directories_of_their_own() {
    let place = Place::new();
    let start = || command(&place, &words("train tiny.sph --format json")).stdout(Stdio::piped()).spawn().unwrap();
    let all: Vec<Child> = (0..4).map(|_| start()).collect();
    let mut runs = Vec::new();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", errors(&output));
        let last: serde_json::Value =
            serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
        runs.push(last["run"].as_str().unwrap().to_owned());
    }
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 4, "{runs:?}");
    for run in &runs {
        assert_eq!(place.final_checkpoint(run), place.final_checkpoint(&runs[0]), "{run}");
    }
    assert_eq!(fs::read_dir(place.path("runs")).unwrap().count(), 4);

    // A training that does not start leaves no directory; one that cannot make its own says so.
    refused(&place, "train tiny.sph --init nothing.safetensors", &["nothing.safetensors"]);
    assert_eq!(fs::read_dir(place.path("runs")).unwrap().count(), 4);
    let place = Place::new();
    refused(&place, "train tiny.sph --init nothing.safetensors", &["nothing.safetensors"]);
    assert!(!place.path("runs").exists());
    fs::write(place.path("runs"), "a file").unwrap();
    for text in
        ["train tiny.sph", "train tiny.sph --seeds 2", "train tiny.sph --run runs", "train tiny.sph --run runs/x"]
    {
        refused(&place, text, &["`runs", "--run DIR"]);
    }
}

/// Kills a training before its first checkpoint.
fn killed(place: &Place, more: &str) {
    let long = "--checkpoint-every 0 --iterations 1000000 --evaluate-every 0 --run r";
    let mut child =
        command(place, &words(&format!("train tiny.sph {long} {more}"))).stderr(Stdio::null()).spawn().unwrap();
    while !fs::metadata(place.path("r/metrics.jsonl")).is_ok_and(|it| 0 < it.len()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_without_a_checkpoint_starts_anew() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run whole");
    killed(&place, "");
    let output = place.sphc("train tiny.sph --run r --resume");
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("no checkpoint to go on from, so it starts anew"), "{}", errors(&output));
    assert_eq!(place.final_checkpoint("r"), place.final_checkpoint("whole"));
    assert_eq!(metrics(&place.path("r")), metrics(&place.path("whole")));

    // From the weights that it started from.
    fs::remove_dir_all(place.path("r")).unwrap();
    let init = "--init whole/checkpoints/step-00000012.safetensors";
    place.succeeds(&format!("train tiny.sph --run further {init}"));
    killed(&place, init);
    let output = place.sphc("train tiny.sph --run r --resume --format json");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(r#"{"event":"anew"}"#), "{said}");
    assert_eq!(place.final_checkpoint("r"), place.final_checkpoint("further"));

    fs::create_dir(place.path("empty")).unwrap();
    place.succeeds("train tiny.sph --run empty --resume");
    fs::create_dir(place.path("photos")).unwrap();
    fs::write(place.path("photos/cat.png"), "").unwrap();
    refused(&place, "train tiny.sph --run photos --resume", &["it holds no run"]);
    refused(&place, "train tiny.sph --run nowhere --resume", &["it does not exist"]);
    assert!(!place.path("photos/checkpoints").exists());
}

#[test]
fn lines_of_the_log_that_are_lost_are_told() {
    let place = Place::new();
    let log = place.path("r/metrics.jsonl");
    let first = "train tiny.sph --run r --iterations 7 --log-every 2";
    let on = "train tiny.sph --run r --resume --log-every 2 --iterations";
    let hole = |output: &Output| errors(output).contains("has lost its lines of iterations");
    place.succeeds(first);
    let whole = fs::read_to_string(&log).unwrap();
    assert!(!hole(&place.sphc(&format!("{on} 8"))), "nothing is lost");
    let lines: Vec<&str> = whole.lines().collect();
    let cases: [(&str, Option<String>); 5] = [
        ("iterations 0 to 6", None),
        ("iterations 0 to 6", Some(String::new())),
        ("iterations 4 to 6", Some(format!("{}\n{}\n", lines[0], lines[1]))),
        ("iterations 2 to 3", Some(whole.replace(lines[1], "{\"iteration\":2,\"fi"))),
        ("iterations 0 to 1", Some(format!("\u{fffd}\0{}", &whole[5..]))),
    ];
    for (expected, text) in cases {
        fs::remove_dir_all(place.path("r")).unwrap();
        place.succeeds(first);
        match text {
            Some(it) => fs::write(&log, it).unwrap(),
            None => fs::remove_file(&log).unwrap(),
        }
        let output = place.sphc(&format!("{on} 9"));
        assert!(output.status.success(), "{expected}: {}", errors(&output));
        assert!(errors(&output).contains(expected), "{expected}: {}", errors(&output));
    }
    // A last line that a crash cut short was of an iteration that is done again.
    fs::remove_dir_all(place.path("r")).unwrap();
    place.succeeds(first);
    fs::write(&log, format!("{whole}{{\"iteration\":8,\"fi")).unwrap();
    assert!(!hole(&place.sphc(&format!("{on} 10"))));
}

#[test]
fn a_schedule_keeps_its_length() {
    let place = Place::new();
    let cosine = MODEL.replace("    evaluate ", "    schedule   cosine\n    evaluate ");
    fs::write(place.path("cos.sph"), cosine).unwrap();
    place.succeeds("train cos.sph --iterations 6 --run r");
    let expected = ["follows a schedule over 6 iterations, and 12 are asked for now", "--iterations 6", "--init"];
    refused(&place, "train cos.sph --run r --resume", &expected);
    place.succeeds("train cos.sph --iterations 6 --run r --resume");
    // Without one, a run goes on for longer.
    place.succeeds("train tiny.sph --iterations 6 --run s");
    place.succeeds("train tiny.sph --run s --resume");
    // A plan has its schedule compiled in.
    place.succeeds("compile cos.sph -o plan");
    refused(&place, "train plan/plan.yaml --iterations 20 --run p", &["a schedule over 12 iterations"]);
    place.succeeds("train plan/plan.yaml --run p");
    // Checkpoints of before say nothing of it; then config.yaml does.
    let file = place.path("r/checkpoints/step-00000006.safetensors");
    let bytes = fs::read(&file).unwrap();
    let key = b"\"schedule_iterations\":";
    let at = bytes.windows(key.len()).position(|it| it == key).unwrap();
    let mut old = bytes.clone();
    old[at + 1..at + 9].copy_from_slice(b"whatever");
    fs::write(&file, old).unwrap();
    refused(&place, "train cos.sph --run r --resume", &expected);
}

#[test]
fn settings_that_would_share_a_directory_are_told_first() {
    let place = Place::new();
    let model =
        MODEL.replace("model Tiny", "param name: string = \"a\"\nparam n = 1\nparam r: float = 1\n\nmodel Tiny");
    let model = model.replace("as \"score\"", "as \"{name}\"").replace("sphere_conv(4", "sphere_conv(4 * n");
    fs::write(place.path("name.sph"), model).unwrap();
    for (set, expected) in [
        ("--set name=a/b,a_b", "`name=a/b` and of `name=a_b` would share"),
        ("--set name=a,a", "gives `name=a` twice"),
        ("--set name=A,a", "`name=A` and of `name=a` would share"),
        ("--set r=1,1.0", "gives one value twice: `r=1.0` is `r=1`"),
        ("--set n=1,2 --set r=0.5,1,5e-1", "gives one value twice: `n=1,r=5e-1` is `n=1,r=0.5`"),
        ("--set n=1,2 --set name=x,y,x", "gives `n=1,name=x` twice"),
    ] {
        refused(&place, &format!("train name.sph {set} --run grid"), &[expected]);
        assert!(!place.path("grid").exists(), "{set}");
    }
    refused(&place, &format!("train name.sph --set name={},b --run grid", "x".repeat(300)), &["too long for the name"]);
    place.succeeds("train name.sph --set name=a/b,c --iterations 2 --run grid");
}

#[test]
fn seeds_end_where_their_type_does() {
    let place = Place::new();
    let most = u64::MAX;
    refused(&place, &format!("train tiny.sph --seeds 2 --seed {most} --run s"), &["2 seeds from 18446744073709551615"]);
    refused(&place, &format!("train tiny.sph --seeds {most} --seed 5 --run s"), &["go beyond the largest"]);
    assert!(!place.path("s").exists());
    place.succeeds(&format!("train tiny.sph --seeds 1 --seed {most} --iterations 2 --run s"));
    place.succeeds(&format!("train tiny.sph --seeds 2 --seed {} --iterations 2 --run t", most - 1));
    assert!(place.path(&format!("t/seed-{most}/checkpoints/step-00000002.safetensors")).is_file());
}

/// Names of files are bytes: all of them work, and what is printed is text.
#[test]
fn names_that_are_no_text_work() {
    let place = Place::new();
    let odd = |text: &[u8]| OsString::from_vec(text.to_vec());
    let run = |args: Vec<OsString>| {
        let output = command(&place, &args).output().unwrap();
        assert!(!errors(&output).contains("panicked"), "{}", errors(&output));
        output
    };
    let directory = place.directory.path();
    let model = odd(b"m\xff.sph");
    fs::copy(place.path("tiny.sph"), directory.join(&model)).unwrap();
    for format in ["human", "json"] {
        let name = odd(&[b"r\xfe".as_slice(), format.as_bytes()].concat());
        let mut args = words("train tiny.sph --format");
        args.extend([format.into(), "--run".into(), name.clone()]);
        let output = run(args.clone());
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8(output.stdout).expect("what is said is text");
        let checkpoint = directory.join(&name).join("checkpoints/step-00000012.safetensors");
        assert!(checkpoint.is_file());
        args.push("--resume".into());
        assert!(run(args).status.success());
        for command in ["eval", "predict"] {
            let mut args = vec![command.into(), model.clone(), "--weights".into(), checkpoint.clone().into()];
            if command == "predict" {
                args.push("tiny.sph".into());
            }
            assert_eq!(run(args).status.success(), command == "eval");
        }
        let mut args = words("train tiny.sph --iterations 2 --init");
        args.extend([checkpoint.into(), "--run".into(), odd(&[b"i\xfe".as_slice(), format.as_bytes()].concat())]);
        assert!(run(args).status.success());
    }
    for command in ["check", "show", "verify", "fmt", "train"] {
        let output = run(vec![command.into(), model.clone()]);
        assert!(output.status.success(), "{command}: {}", errors(&output));
    }
    let data = run(vec!["train".into(), "tiny.sph".into(), "--data".into(), odd(b"d\xff")]);
    assert!(matches!(data.status.code(), Some(1 | 2)), "{}", errors(&data));
    let missing = run(vec!["check".into(), odd(b"none\xff.sph")]);
    assert_eq!(missing.status.code(), Some(1));
    let seeds = vec!["train".into(), model, "--seeds".into(), "2".into(), "--run".into(), odd(b"seeds\xff")];
    assert!(run(seeds).status.success());
}

/// Runs in a terminal; nothing where there is no program that gives one.
fn in_terminal(place: &Place, words: &str, environment: &[(&str, &str)]) -> Option<String> {
    let line = format!("{} {words}", env!("CARGO_BIN_EXE_sphc"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(place.directory.path()).stdin(Stdio::null());
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    environment.iter().for_each(|(name, value)| _ = command.env(name, value));
    let output = command.output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_terminal_gets_what_it_can_show() {
    let place = Place::new();
    let wrong = MODEL.replace("relu", "rellu");
    fs::write(place.path("wrong.sph"), wrong).unwrap();
    let Some(full) = in_terminal(&place, "check wrong.sph", &[]) else { return };
    assert!(full.contains("\x1b["), "{full:?}");
    for plain in [("TERM", "dumb"), ("NO_COLOR", "1")] {
        let said = in_terminal(&place, "check wrong.sph", &[plain]).unwrap();
        assert!(!said.contains('\x1b') && said.contains("E0101"), "{plain:?} {said:?}");
    }
    let said = in_terminal(&place, "train tiny.sph --run r", &[("TERM", "dumb")]).unwrap();
    assert!(!said.contains('\x1b') && said.contains("test accuracy"), "{said:?}");
    let bar = in_terminal(&place, "train tiny.sph --run s", &[]).unwrap();
    assert!(bar.contains('\x1b'), "{bar:?}");
}

/// Text of others is shown, and does nothing to a terminal.
#[test]
fn control_characters_are_written_out() {
    let place = Place::new();
    let evil = "e\x1b[2J\u{9b}31m\u{202e}";
    let model = MODEL
        .replace("model Tiny", &format!("/// About {evil}\nmodel Tiny"))
        .replace("relu", &format!("rellu // {evil}\n"));
    fs::write(place.path("wrong.sph"), model).unwrap();
    let model = MODEL.replace("model Tiny", &format!("/// About {evil}\nmodel Tiny"));
    let name = format!("m{evil}.sph");
    fs::write(place.path(&name), model).unwrap();
    place.succeeds("train tiny.sph --run r");
    // A header that says what it likes.
    let file = place.path("r/checkpoints/step-00000012.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let key = b"\"sphc_format\":\"1\"";
    let at = bytes.windows(key.len()).position(|it| it == key).unwrap();
    bytes.splice(at..at + key.len(), *b"\"sphc_format\":\"\\u001b[2J\"");
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 8;
    bytes[..8].copy_from_slice(&header.to_le_bytes());
    fs::write(place.path("evil.safetensors"), bytes).unwrap();

    let classes = place.path("pets");
    for split in ["train", "test"] {
        for class in ["cat", evil] {
            let folder = classes.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            image::GrayImage::from_pixel(8, 8, image::Luma([7])).save(folder.join("1.png")).unwrap();
        }
    }
    let pets = |command: &str| format!("{command} --data ./pets");
    place.succeeds(&pets("train tiny.sph --batch 2 --iterations 2 --run p"));
    let weights = "--weights p/checkpoints/step-00000002.safetensors";
    let evals = [
        pets(&format!("eval tiny.sph {weights} --per-class --confusion")),
        pets(&format!("predict tiny.sph {weights} pets/train/cat/1.png --top 2")),
    ];
    let mut all: Vec<Vec<OsString>> = evals.iter().map(|it| words(it)).collect();
    all.push(words("check wrong.sph"));
    all.push(words("eval tiny.sph --weights evil.safetensors"));
    all.push(words(&format!("train tiny.sph --run {evil}")));
    for command in ["check", "show", "train", "verify", "diff", "bench"] {
        all.push(vec![command.into(), (&name).into()]);
    }
    all.push(vec!["eval".into(), (&name).into(), "--weights".into(), evil.into()]);
    let mut shown = 0;
    for args in all {
        let output = command(&place, &args).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let wild = said.chars().find(|it| matches!(it, '\x1b' | '\u{9b}' | '\u{202e}'));
        assert_eq!(wild, None, "{args:?}: {said:?}");
        shown += usize::from(said.contains("\\u001b[2J"));
    }
    assert!(6 <= shown, "{shown}");
}

/// A directory that was moved away and taken by another training is not written to.
#[test]
fn a_directory_that_is_another_ones_now_is_left_alone() {
    let place = Place::new();
    let long =
        "train tiny.sph --run long --iterations 1000000 --evaluate-every 0 --checkpoint-every 3000 --log-every 1";
    let start = |run: &str| {
        let child = command(&place, &words(long)).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        while !fs::metadata(Path::new(&place.path(run)).join("metrics.jsonl")).is_ok_and(|it| 0 < it.len()) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child
    };
    let first = start("long");
    fs::rename(place.path("long"), place.path("moved")).unwrap();
    let mut second = start("long");
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("another training is using it"), "{}", errors(&output));
    assert!(second.try_wait().unwrap().is_none(), "the second goes on");
    second.kill().unwrap();
    second.wait().unwrap();
}
