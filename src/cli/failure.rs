//! What a command says and exits with when it cannot do its work.

use super::say;
use sphc::diag::render;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

/// The exit status of a command, or why there is none of its own.
pub(super) type Outcome = Result<ExitCode, Failure>;

/// Why a command stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// A cause and its remedy; exit status 1.
    Message(String),
    /// All is said already; exit status 1.
    Reported,
    /// Standard output cannot be written to.
    Output(io::Error),
}

impl Failure {
    /// A cause with its remedy.
    pub(super) fn new(cause: impl Display, remedy: impl Display) -> Self {
        Failure::Message(format!("{cause}\n  {remedy}"))
    }

    /// A file that could not be written: for the lack of room, or else with this remedy.
    pub(super) fn unwritten(path: &Path, cause: &io::Error, remedy: impl Display) -> Self {
        let told = format!("cannot write `{}`: {cause}", path.display());
        match sphc::data::make_room(cause) {
            Some(room) => Failure::new(told, format!("{room}, and give the command again")),
            None => Failure::new(told, remedy),
        }
    }

    /// Any error of the library: they carry their remedies.
    pub(super) fn from_error(error: impl std::error::Error) -> Self {
        Failure::Message(error.to_string())
    }

    pub(super) fn report(self) -> ExitCode {
        let text = match self {
            Failure::Message(text) => text,
            Failure::Reported => return ExitCode::from(1),
            // Whoever read our output has seen enough.
            Failure::Output(it) if it.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Failure::Output(it) => format!("cannot write to standard output: {it}"),
        };
        say::clear_bars();
        // With standard error gone there is no one left to tell.
        let _ = writeln!(say::err(), "error: {text}");
        ExitCode::from(1)
    }
}

impl From<io::Error> for Failure {
    fn from(it: io::Error) -> Self {
        Failure::Output(it)
    }
}

impl From<sphc::Error> for Failure {
    fn from(it: sphc::Error) -> Self {
        match it {
            // Each of them was told when it was found.
            sphc::Error::Model(it) => Failure::Message(format!("{} in the model", render::count(&it.diagnostics))),
            it => Failure::from_error(it),
        }
    }
}

impl From<sphc::train::TrainError> for Failure {
    fn from(it: sphc::train::TrainError) -> Self {
        Failure::from_error(it)
    }
}

impl From<sphc::data::DataError> for Failure {
    fn from(it: sphc::data::DataError) -> Self {
        Failure::from_error(it)
    }
}

impl From<sphc::runtime::RuntimeError> for Failure {
    fn from(it: sphc::runtime::RuntimeError) -> Self {
        Failure::from_error(it)
    }
}
