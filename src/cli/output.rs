//! Files that a command writes where its user says; `-` is standard output.

use super::failure::Failure;
use super::{load, say};
use sphc::train;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A place that may be written to.
pub(super) struct Output {
    /// As it was given.
    shown: PathBuf,
    /// Where it is, behind links; none of standard output.
    place: Option<PathBuf>,
    flag: &'static str,
}

impl Output {
    /// Judges a place before any work is done. `taken` are the other files of the command.
    pub(super) fn new(shown: &Path, flag: &'static str, taken: &[&Path]) -> Result<Output, Failure> {
        if load::is_stdin(shown) {
            return Ok(Output { shown: shown.into(), place: None, flag });
        }
        let place = whereabouts(shown);
        let refuse = |what: &str, remedy: &str| {
            Err(Failure::new(format!("cannot write `{}`: {what}", shown.display()), format!("{remedy} with `{flag}`")))
        };
        if place.is_dir() {
            return refuse("it is a folder", "give the name of a file");
        }
        // What is written takes the place of what was there, and no device or pipe may go.
        if place.exists() && !place.is_file() {
            return refuse("it is a pipe, a socket or a device", "give the name of a file");
        }
        let folder = place.parent().filter(|it| !it.as_os_str().is_empty());
        if folder.is_some_and(|it| !it.is_dir()) {
            return refuse("its folder is not there", "make it first, or give another name");
        }
        if taken.iter().any(|it| whereabouts(it) == place) {
            return refuse("the command has this file already", "give another name");
        }
        Ok(Output { shown: shown.into(), place: Some(place), flag })
    }

    /// Fills the file; it is there whole or not at all.
    pub(super) fn fill(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Failure> {
        let Some(place) = &self.place else { return self.pour(fill) };
        train::fill_atomically(place, fill).map_err(|cause| {
            let remedy = format!("give a file in a directory that is there and can be written to with `{}`", self.flag);
            Failure::unwritten(&self.shown, &cause, remedy)
        })
    }

    /// Writes to standard output what would be in the file. An archive is not written from its beginning to its end, so that it is
    /// made elsewhere first.
    fn pour(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Failure> {
        let made = || {
            let mut file = tempfile::tempfile()?;
            fill(&mut file)?;
            file.rewind()?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes: Vec<u8> = made().map_err(|cause: io::Error| {
            let remedy = "see that the folder for temporary files (`TMPDIR`) can be written to";
            Failure::unwritten(&std::env::temp_dir(), &cause, remedy)
        })?;
        let mut out = io::stdout().lock();
        if out.is_terminal() && bytes.contains(&0) {
            let remedy = format!("give the name of a file with `{}`, or lead standard output to one", self.flag);
            return Err(Failure::new("a terminal cannot show what would be written, which is no text", remedy));
        }
        out.write_all(&bytes)?;
        Ok(out.flush()?)
    }

    /// Says that it was written: where results go, unless the file itself goes there.
    pub(super) fn say(&self, what: &str) -> Result<(), Failure> {
        match &self.place {
            Some(_) => writeln!(say::out(), "wrote {}: {what}", self.shown.display())?,
            None => _ = writeln!(say::err(), "wrote standard output: {what}"),
        }
        Ok(())
    }

    /// As it was given.
    pub(super) fn shown(&self) -> std::path::Display<'_> {
        self.shown.display()
    }
}

/// Where a path leads to, whether it is there or its folder is.
fn whereabouts(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        (Err(_), _) | (_, None) => path.to_path_buf(),
    }
}
