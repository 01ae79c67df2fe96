//! Reads texts: models, what they import, plans.

use super::Error;
use crate::diag;
use crate::lower::library;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The longest text of a model, in bytes; 10 000 layers line by line take a tenth of it.
pub(super) const LONGEST_MODEL: u64 = 4 << 20;

/// The longest of any other text, a plan above all.
const LONGEST_TEXT: u64 = 1 << 30;

/// Whether a path names a plan, or some other YAML file, rather than a model.
pub fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yaml" || it == "yml")
}

/// Reads a text of at most 1 GiB, or says why not and what to do.
pub fn read_text(path: &Path) -> Result<String, Error> {
    bounded(path, LONGEST_TEXT)
}

pub(super) fn bounded(path: &Path, limit: u64) -> Result<String, Error> {
    let shown = path.display();
    // A named pipe would be waited for without end; one that the shell hands over has its writer.
    let handed = ["/dev/", "/proc/"].iter().any(|it| path.starts_with(it));
    if !handed && std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        let cause = format!("cannot read `{shown}`: it is a pipe, a socket or a device");
        return Err(Error::text(cause, "give a file, or `/dev/stdin` for what is piped in"));
    }
    if path.is_dir() {
        let plan = path.join("plan.yaml");
        let remedy = match plan.is_file() {
            true => format!("it holds a plan: give `{}`", plan.display()),
            false => "give a file in it".to_owned(),
        };
        return Err(Error::text(format!("cannot read `{shown}`: it is a directory"), remedy));
    }
    File::open(path).and_then(|it| whole(it, limit)).map_err(|it| match it.kind() {
        io::ErrorKind::NotFound => {
            let known = path.starts_with(library::FOLDER);
            let remedy = if known { library::listed() } else { "check the path".to_owned() };
            Error::text(format!("cannot read `{shown}`: there is no such file"), remedy)
        }
        io::ErrorKind::FileTooLarge => {
            Error::text(format!("cannot read `{shown}`: {it}"), "check that it is the file you mean")
        }
        io::ErrorKind::InvalidData => Error::text(format!("cannot read `{shown}`: {it}"), "save it as UTF-8"),
        _ => Error::text(format!("cannot read `{shown}`: {it}"), "check that the file may be read"),
    })
}

/// The text of what is open, if it is one and not too long. A device may have no end.
pub(super) fn whole(file: impl Read, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if limit < bytes.len() as u64 {
        let cause = format!("it is longer than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, cause));
    }
    String::from_utf8(bytes).map_err(|it| {
        let cause = format!("it is not UTF-8 text (byte {})", it.utf8_error().valid_up_to());
        io::Error::new(io::ErrorKind::InvalidData, cause)
    })
}

/// The text of an imported file, or why there is none.
pub(super) fn import(path: &str) -> Result<String, String> {
    let path = Path::new(path);
    opened(path).map_err(|it| why_not(path, &it))
}

/// Only a file is opened: opening a pipe may take for ever, reading a device, too.
fn opened(path: &Path) -> io::Result<String> {
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is a pipe, a socket or a device, not a file"));
    }
    whole(File::open(path)?, LONGEST_MODEL)
}

/// Why an import cannot be read; a file of a similar name beside it is told.
fn why_not(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return error.to_string();
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!("there is no folder `{}`", folder.display());
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|it| it.file_name().into_string().ok()).collect();
    names.retain(|it| it.ends_with(".sph"));
    let wanted = path.file_name().and_then(|it| it.to_str()).unwrap_or("");
    match diag::did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("there is no such file; did you mean `{near}`?"),
        None => "there is no such file".to_owned(),
    }
}
