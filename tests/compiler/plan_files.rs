//! Plans from files may say anything: they run, or they are refused with the line; they never panic or touch memory that is
//! not theirs.

use crate::fuzzed::targets::{Chance, scalars, trained};
use crate::runs::cli::{Place, errors};
use sphc::plan::{Plan, from_yaml};
use sphc::runtime::cpu;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The plan of the small model, with augmentation and a projection so that every phase and kernel is there.
fn small(place: &Place) -> String {
    let model = crate::runs::cli::MODEL.replace(
        "    evaluate ",
        "    augment flip_horizontal, crop(pad: 1)\n    project normalize filters every 3\n    evaluate ",
    );
    fs::write(place.path("all.sph"), model).unwrap();
    place.succeeds("compile all.sph -o plan");
    fs::read_to_string(place.path("plan/plan.yaml")).unwrap()
}

/// All that a training does with a plan, in short, if there is memory for it.
fn run(plan: Plan) -> Result<(), String> {
    match cpu::too_much(&plan, Some(1), 1 << 28) {
        Some(_) => Err("more memory than is free".into()),
        None => trained(plan),
    }
}

/// A plan with a change or two, and what was changed.
fn mutated(lines: &[&str], chance: &mut Chance) -> (String, String) {
    let mut lines: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
    let mut told = String::new();
    for _ in 0..1 + chance.below(2) {
        let at = chance.below(lines.len());
        let before = lines[at].clone();
        match chance.below(12) {
            0 => _ = lines.remove(at),
            1 => lines.insert(at, before.clone()),
            2 if at + 1 < lines.len() => lines.swap(at, at + 1),
            _ => {
                let places = scalars(&before);
                if places.is_empty() {
                    continue;
                }
                let (start, end) = places[chance.below(places.len())];
                let number = before[start..end].parse::<i128>().unwrap_or(7);
                let other = lines[chance.below(lines.len())].clone();
                let elsewhere = scalars(&other);
                let new = match chance.below(16) {
                    0 => "0".to_owned(),
                    1 => "1".to_owned(),
                    2 => "-1".to_owned(),
                    3 => u64::MAX.to_string(),
                    4 => i64::MAX.to_string(),
                    5 => (1u64 << 32).to_string(),
                    6 => (1u64 << 61).to_string(),
                    7 => (number + 1).to_string(),
                    8 => (number - 1).to_string(),
                    9 => (number * 2).to_string(),
                    10 => (number + 64).to_string(),
                    11 => (number - 64).to_string(),
                    12 => ".nan".to_owned(),
                    13 => "1e300".to_owned(),
                    14 => "~".to_owned(),
                    _ if elsewhere.is_empty() => "x".to_owned(),
                    _ => {
                        let (start, end) = elsewhere[chance.below(elsewhere.len())];
                        other[start..end].to_owned()
                    }
                };
                lines[at].replace_range(start..end, &new);
            }
        }
        told += &format!("{}: `{before}` -> `{}`; ", at + 1, lines.get(at).map_or("", String::as_str));
    }
    (lines.join("\n") + "\n", told)
}

/// `SPHC_PLAN_CASES=100000 cargo test --test all plan_files` tries more.
#[test]
fn any_change_of_a_plan_runs_or_is_refused() {
    let text = small(&Place::new());
    let lines: Vec<&str> = text.lines().collect();
    run(from_yaml("plan.yaml", &text).unwrap()).unwrap();
    let cases = std::env::var("SPHC_PLAN_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(400);
    let mut chance = Chance(12);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..cases {
        let (text, told) = mutated(&lines, &mut chance);
        let done = catch_unwind(AssertUnwindSafe(|| match from_yaml("plan.yaml", &text) {
            Ok(plan) => run(plan),
            Err(error) => {
                let said = error.to_string();
                assert!(said.starts_with("plan.yaml:"), "{told}: {said}");
                Err(said)
            }
        }));
        match done {
            Ok(Ok(())) => ran += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("a panic after {told}"),
        }
    }
    println!("{ran} of {cases} changed plans ran, {refused} were refused");
    assert!(cases / 20 < ran && cases / 4 < refused, "{ran} of {cases} ran: the test tries too little");
}

/// The first line that starts with `key` after the one that is `after`.
fn line_of(text: &str, after: &str, key: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|it| it.trim() == after).unwrap_or_else(|| panic!("no line `{after}`"));
    from + lines[from..].iter().position(|it| it.trim_start().starts_with(key)).unwrap_or_else(|| panic!("no `{key}`"))
}

#[test]
fn what_a_plan_says_wrong_is_told_with_its_line() {
    let place = Place::new();
    let text = small(&place);
    let number = |after: &str, key: &str| -> usize {
        let line = text.lines().nth(line_of(&text, after, key)).unwrap();
        line.split(": ").nth(1).unwrap().parse().unwrap()
    };
    let arena = number("format: 5", "arena_bytes");
    let loss = number("results:", "loss:");
    let cases: &[(&str, &str, &str, &str)] = &[
        ("evaluate:", "losses:", "0", "result `losses` of phase `evaluate`"),
        ("step:", "loss:", "0", "result `loss` of phase `step`"),
        ("step:", "loss:", "999999", "buffer 999999 does not exist"),
        ("step:", "loss:", "-1", ""),
        ("step:", "- kernel:", "99999", "kernel 99999 does not exist"),
        ("format: 5", "arena_bytes:", "99999999999999", "its buffers end at"),
        ("format: 5", "arena_bytes:", "64", "beyond the arena"),
        ("format: 5", "arena_bytes:", "18446744073709551615", ""),
        ("training:", "batch:", "0", "the batch is 0"),
        ("training:", "batch:", "9223372036854775808", ""),
        ("training:", "classes:", "0", "the number of classes is 0"),
        ("training:", "train_examples:", "3", "asks for"),
        ("training:", "iterations:", "0", "the number of iterations is 0"),
        ("training:", "project_every:", "0", "there is a phase `project`"),
    ];
    for (after, key, value, expected) in cases {
        let at = line_of(&text, after, key);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let end = lines[at].find(": ").unwrap() + 2;
        lines[at].replace_range(end.., value);
        fs::write(place.path("bad.yaml"), lines.join("\n") + "\n").unwrap();
        for command in ["train bad.yaml --run r", "eval bad.yaml --weights none.safetensors"] {
            let output = place.sphc(command);
            let said = errors(&output);
            assert_eq!(output.status.code(), Some(1), "{key} {value}: {said}");
            assert!(said.contains(expected) && said.contains("error: bad.yaml:"), "{key} {value}: {said}");
            assert!(!place.path("r").exists());
        }
    }
    // The line is that of the value.
    let at = line_of(&text, "step:", "loss:");
    let wrong = text.replacen(&format!("loss: {loss}\n"), "loss: 0\n", 1);
    let error = from_yaml("x.yaml", &wrong).unwrap_err().to_string();
    assert!(error.starts_with(&format!("x.yaml:{}: result `loss`", at + 1)), "{error}");

    // Whole lines that are missing, twice or unknown.
    for (what, changed) in [
        ("no result `rate`", text.replacen(text.lines().nth(line_of(&text, "step:", "rate:")).unwrap(), "", 1)),
        ("unknown field", text.replacen("seed: ", "sead: 1\nseed: ", 1)),
        ("no phase `evaluate`", {
            let start = text.find("\n  evaluate:").unwrap();
            let end = text[start + 1..].find("\n  project:").map_or(text.len(), |it| it + start + 1);
            format!("{}{}", &text[..start], &text[end..])
        }),
        ("format 1", text.replacen("format: 5", "format: 1", 1)),
        ("x.yaml", text.replacen("name: ", "name: &a ", 1)),
    ] {
        let error = from_yaml("x.yaml", &changed).expect_err(what).to_string();
        assert!(error.contains(what), "{what}: {error}");
    }

    // Two buffers at one place, while both live; offsets between and beyond.
    let plan = from_yaml("x.yaml", &text).unwrap();
    let offsets: Vec<&str> = text.lines().filter(|it| it.trim_start().starts_with("offset:")).collect();
    let mut refused = 0;
    for offset in &offsets {
        for new in ["0".to_owned(), "1".to_owned(), (arena - 64).to_string(), arena.to_string(), u64::MAX.to_string()] {
            let key = &offset[..offset.find(": ").unwrap() + 2];
            let changed = text.replacen(*offset, &format!("{key}{new}"), 1);
            match from_yaml("x.yaml", &changed) {
                Ok(it) => run(it).unwrap(),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(3 * offsets.len() <= refused, "{refused} of {}", 5 * offsets.len());
    run(plan).unwrap();
}
