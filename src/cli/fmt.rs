//! `sphc fmt`.

use super::failure::{Failure, Outcome};
use super::{load, say};
use sphc::diag::{self, Sink, Sources};
use sphc::syntax;
use std::fs::Metadata;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model files (.sph)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that are not laid out so, and exit with 1
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut failed = false;
    for file in &args.files {
        match one(file, args.check) {
            Ok(fine) => failed |= !fine,
            // The other files are still worth laying out.
            Err(failure) => {
                failure.report();
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Lays one file out; with `check`, only says whether it is.
fn one(file: &Path, check: bool) -> Result<bool, Failure> {
    let text = load::read_model(file)?;
    let Some(laid_out) = syntax::format(&text) else {
        // A layout that does not mean the same is refused like a text that does not parse.
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let id = sources.add(file.display().to_string(), text.clone());
        syntax::parse(id, &text, &mut sink);
        if !sink.has_errors() {
            return Err(Failure::new(
                format!("`{}` is left as it is: its layout would not mean the same", file.display()),
                "this is a bug of sphc: please report it with the file",
            ));
        }
        let found = diag::render::render(&sink.finish(), &sources, say::colour());
        let _ = io::stderr().write_all(found.as_bytes());
        return Err(Failure::new(
            format!("`{}` is left as it is: it does not parse", file.display()),
            "mend it first; `sphc check` shows every mistake",
        ));
    };
    if laid_out == text {
        return Ok(true);
    }
    if check {
        writeln!(say::out(), "{}", file.display())?;
        return Ok(false);
    }
    replace(file, &laid_out).map_err(|cause| {
        Failure::new(format!("cannot write `{}`: {cause}", file.display()), "check its permissions and the disk")
    })?;
    Ok(true)
}

/// Writes beside the file and renames, so that a full disk leaves the old text. A link stays one: what it leads to is
/// replaced.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = &std::fs::canonicalize(file)?;
    let old = std::fs::metadata(file)?;
    if !old.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // The folder decides about renaming; what the file itself allows counts all the same, for root, too.
    if old.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let mut place = std::fs::OpenOptions::new().write(true).open(file)?;
    if has_other_names(&old) {
        place.write_all(text.as_bytes())?;
        place.set_len(text.len() as u64)?;
        return place.sync_all();
    }
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    keep_owner(&old, beside.path())?;
    beside.as_file().set_permissions(old.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(file)?;
    Ok(())
}

/// Whether the file is reached by other hard links, which a new file would leave behind.
#[cfg(unix)]
fn has_other_names(old: &Metadata) -> bool {
    1 < std::os::unix::fs::MetadataExt::nlink(old)
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// A file of someone else stays theirs.
#[cfg(unix)]
fn keep_owner(old: &Metadata, new: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let now = std::fs::metadata(new)?;
    if (now.uid(), now.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    chown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &Metadata, _: &Path) -> io::Result<()> {
    Ok(())
}
