//! Targets of the fuzzer in `fuzz/`: each takes any bytes, and panics where a promise of `docs/reliability.md` is broken.
//!
//! They lie here because the ordinary tests try again what was found (`replay.rs`); `fuzz/src/main.rs` has them as well.

mod archive;
mod diff;
mod files;
mod packing;
mod plan;
mod run;
mod scalars;
mod seeds;
#[cfg(feature = "lsp")]
mod server;
mod text;
mod weights;

pub(crate) use scalars::{Chance, scalars};
#[cfg(feature = "lsp")]
#[allow(unused_imports, reason = "for the ordinary tests")]
pub(crate) use server::requests;
#[allow(unused_imports, reason = "for the ordinary tests")]
pub(crate) use {plan::trained, seeds::small_plan};

/// Something that reads bytes from outside.
pub(crate) struct Target {
    /// As `fuzz/run.sh` and the folders of `found` call it.
    pub(crate) name: &'static str,
    /// Whether the bytes are what is read here, rather than refused.
    pub(crate) run: fn(&[u8]) -> bool,
    /// Inputs to start from, each of which is read.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// The longest input that is tried.
    #[allow(dead_code, reason = "for the fuzzer")]
    pub(crate) longest: usize,
    /// Words and signs that such inputs have.
    #[allow(dead_code, reason = "for the fuzzer")]
    pub(crate) words: fn() -> Vec<String>,
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "text", run: text::check, seeds: seeds::texts, longest: 4096, words: seeds::words },
    Target { name: "compile", run: text::compile, seeds: seeds::models, longest: 2048, words: seeds::words },
    #[cfg(feature = "lsp")]
    Target { name: "server", run: server::talk, seeds: seeds::documents, longest: 2048, words: seeds::words },
    Target { name: "diff", run: diff::compare, seeds: seeds::pairs, longest: 4096, words: seeds::words },
    Target { name: "plan", run: plan::read, seeds: seeds::plans, longest: 1 << 16, words: Vec::new },
    Target { name: "weights", run: weights::read, seeds: seeds::weights, longest: 4096, words: seeds::keys },
    Target { name: "run", run: run::read, seeds: run::seeds, longest: 1 << 15, words: seeds::keys },
    Target { name: "npz", run: files::read, seeds: seeds::npz, longest: 2048, words: seeds::keys },
    Target { name: "cifar", run: files::read, seeds: seeds::cifar, longest: 20_000, words: Vec::new },
    Target { name: "idx", run: files::read, seeds: seeds::idx, longest: 1024, words: Vec::new },
    Target { name: "table", run: files::read, seeds: seeds::tables, longest: 1024, words: seeds::keys },
    Target { name: "folder", run: files::read, seeds: seeds::folders, longest: 4096, words: seeds::keys },
    Target { name: "manifest", run: files::read, seeds: seeds::manifests, longest: 2048, words: seeds::keys },
    Target { name: "array", run: files::array, seeds: seeds::arrays, longest: 1024, words: seeds::keys },
    Target { name: "archive", run: archive::unpack, seeds: seeds::archives, longest: 4096, words: seeds::keys },
];

/// A folder of its own for each input; in memory where there is such a place.
fn place() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder for the input")
}
