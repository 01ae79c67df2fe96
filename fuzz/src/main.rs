//! The fuzzer: one program, whose target the environment names (`SPHC_FUZZ_TARGET`). `run.sh` builds and starts it.
//!
//! With `SPHC_FUZZ_SEEDS` it writes what fuzzing starts from to that folder, and the words of the target beside it
//! (`FOLDER.dict`), and ends.

#![no_main]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a fuzzer may stop where it fails")]

mod memory;
#[path = "../../tests/fuzzed/mutate.rs"]
mod mutate;
#[path = "../../tests/fuzzed/targets/mod.rs"]
mod targets;

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use std::sync::OnceLock;
use targets::{Chance, TARGETS, Target};

/// What is fuzzed.
fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("SPHC_FUZZ_TARGET").unwrap_or_default();
        TARGETS.iter().find(|it| it.name == name).unwrap_or_else(|| {
            let known: Vec<&str> = TARGETS.iter().map(|it| it.name).collect();
            panic!("SPHC_FUZZ_TARGET is `{name}`, and one of {} is expected", known.join(", "))
        })
    })
}

fn begin() {
    if std::env::var_os("SPHC_FUZZ_LIST").is_some() {
        TARGETS.iter().for_each(|it| println!("{} {}", it.name, it.longest));
        std::process::exit(0);
    }
    let Some(folder) = std::env::var_os("SPHC_FUZZ_SEEDS") else {
        target();
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (at, it) in (target().seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at:03}")), it).unwrap();
    }
    let escaped = |word: &String| {
        let word: String = word.bytes().map(|it| format!("\\x{it:02x}")).collect();
        format!("\"{word}\"\n")
    };
    let words: String = (target().words)().iter().map(escaped).collect();
    std::fs::write(folder.with_extension("dict"), words).unwrap();
    std::process::exit(0);
}

fuzz_target!(init: begin(), |data: &[u8]| -> Corpus {
    memory::watched(|| (target().run)(data));
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if (seed as usize % 8) < mutate::by_lines(target().name)
        && let Some(mut changed) = mutate::lines(&data[..size], &mut Chance(u64::from(seed) << 8 | 1))
    {
        changed.truncate(max_size);
        data[..changed.len()].copy_from_slice(&changed);
        return changed.len();
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
});
