//! From a path on the command line to a model.

use super::args::warn;
use super::failure::Failure;
use super::say;
use sphc::diag::{self, Diagnostic, Sources};
use sphc::{Model, Notice, Options};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

/// Whether standard input is meant.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The model on standard input, which can be read once, and is wanted as often as a command names it.
fn stdin() -> Result<Model, Failure> {
    static MODEL: OnceLock<Result<Model, String>> = OnceLock::new();
    let read = || Model::from_reader("stdin", io::stdin()).map_err(|it| it.to_string());
    MODEL.get_or_init(read).clone().map_err(Failure::Message)
}

/// The model, or plan, in a file or on standard input.
pub(super) fn model(path: &Path, options: Options) -> Result<Model, Failure> {
    let model = if is_stdin(path) { stdin()? } else { Model::open(path)? };
    Ok(telling(model.with(options)))
}

/// The model, which tells what is worth telling.
pub(super) fn telling(model: Model) -> Model {
    model.telling(tell)
}

/// What is worth telling beside results goes to standard error.
fn tell(notice: Notice<'_>) {
    match notice {
        Notice::Found { diagnostics, sources } => found(diagnostics, sources),
        Notice::Warning(it) => warn(&[it.to_owned()]),
    }
}

/// Diagnostics are shown once, however often a command compiles the file.
fn found(diagnostics: &[Diagnostic], sources: &Sources) {
    let text = diag::render::render(diagnostics, sources, say::colour());
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().is_ok_and(|mut it| it.insert(text.clone())) {
        say::coloured(&text);
    }
}
