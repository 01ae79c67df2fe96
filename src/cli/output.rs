//! Files that a command writes where its user says.

use super::failure::Failure;
use sphc::train;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A place that may be written to.
pub(super) struct Output {
    /// As it was given.
    shown: PathBuf,
    /// Where it is, behind links.
    place: PathBuf,
    flag: &'static str,
}

impl Output {
    /// Judges a place before any work is done. `taken` are the other files of the command.
    pub(super) fn new(shown: &Path, flag: &'static str, taken: &[&Path]) -> Result<Output, Failure> {
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
        Ok(Output { shown: shown.into(), place, flag })
    }

    /// Fills the file; it is there whole or not at all.
    pub(super) fn fill(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Failure> {
        train::fill_atomically(&self.place, fill).map_err(|cause| {
            let remedy = format!("give a file in a directory that is there and can be written to with `{}`", self.flag);
            Failure::new(format!("cannot write `{}`: {cause}", self.shown.display()), remedy)
        })
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
