//! The targets of the fuzzer without its guidance: sound inputs and found ones, changed at random. What is read after a change is
//! changed further.

use super::mutate;
use super::targets::{Chance, TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Inputs that are kept beside those that it starts from.
const MOST_KEPT: usize = 200;

/// For so many seconds altogether (`SPHC_MUTATE`), from this number on (`SPHC_MUTATE_SEED`).
#[test]
fn inputs_changed_at_random_are_read_or_refused() {
    let number = |name: &str, or: u64| match std::env::var(name) {
        Ok(it) => it.parse().unwrap_or_else(|_| panic!("{name} is `{it}`, and a number is expected")),
        Err(_) => or,
    };
    let share = Duration::from_secs(number("SPHC_MUTATE", 6)) / TARGETS.len() as u32;
    let seed = number("SPHC_MUTATE_SEED", 1);
    for target in TARGETS {
        let (tried, read) = search(target, seed, share);
        println!("{}: {tried} inputs, of which {read} are read", target.name);
    }
}

/// How many inputs were tried, and how many of them are read.
fn search(target: &Target, seed: u64, time: Duration) -> (usize, usize) {
    let mut chance = Chance(seed);
    let words = (target.words)();
    let mut pool = (target.seeds)();
    let first = pool.len();
    let (mut tried, mut read) = (0, 0);
    let start = Instant::now();
    while tried == 0 || start.elapsed() < time {
        let mut input = pool[chance.below(pool.len())].clone();
        let other = &pool[chance.below(pool.len())];
        for _ in 0..1 + chance.below(4) {
            input = changed(target, &input, other, &words, &mut chance);
        }
        input.truncate(target.longest);
        tried += 1;
        let Ok(is_read) = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) else {
            panic!("a find after {tried} inputs of `{}`, kept in {}", target.name, keep(target, &input));
        };
        if is_read {
            read += 1;
            // The seeds stay.
            match pool.len() < first + MOST_KEPT {
                true => pool.push(input),
                false => pool[first + chance.below(MOST_KEPT)] = input,
            }
        }
    }
    (tried, read)
}

/// Writes what broke a promise to where the tests may write, and says it as well, for a machine that is gone afterwards.
fn keep(target: &Target, input: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("find-{}", target.name));
    fs::write(&path, input).unwrap();
    format!("{}; to be put in tests/fuzzed/found/{}: b\"{}\"", path.display(), target.name, input.escape_ascii())
}

/// An input with one change.
fn changed(target: &Target, input: &[u8], other: &[u8], words: &[String], chance: &mut Chance) -> Vec<u8> {
    if chance.below(8) < mutate::by_lines(target.name)
        && let Some(found) = mutate::lines(input, chance)
    {
        return found;
    }
    let mut res = input.to_vec();
    let at = chance.below(res.len() + 1);
    let end = (at + 1 + chance.below(16)).min(res.len());
    let short = |chance: &mut Chance| [1, 2, 4, 8][chance.below(4)];
    match chance.below(10) {
        0 | 1 => res.iter_mut().skip(at).take(1).for_each(|it| *it ^= 1 << chance.below(8)),
        2 => res.iter_mut().skip(at).take(1).for_each(|it| *it = chance.below(256) as u8),
        // A number at the edge of its range, or a small one.
        3 => {
            let edge = [0, 1, i64::MAX, -1, 0x8000_0000, 16, 255][chance.below(7)].to_le_bytes();
            let width = short(chance);
            res.iter_mut().skip(at).zip(&edge[..width]).for_each(|(it, edge)| *it = *edge);
        }
        4 => res.drain(at..end).for_each(drop),
        5 => {
            let part = res[at..end].to_vec();
            let to = chance.below(res.len() + 1);
            res.splice(to..to, part);
        }
        6 | 7 if !words.is_empty() => {
            let word = words[chance.below(words.len())].bytes();
            res.splice(at..if chance.below(2) == 0 { at } else { end }, word);
        }
        8 => res.splice(at.., other.iter().skip(at).copied()).for_each(drop),
        _ => {
            let from = chance.below(other.len() + 1);
            let to = (from + 1 + chance.below(64)).min(other.len());
            res.splice(at..at, other[from..to].iter().copied());
        }
    }
    res
}
