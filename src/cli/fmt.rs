//! `sphc fmt`.

use super::failure::{Failure, Outcome};
use super::{load, say};
use sphc::diag::{self, Sink, Sources};
use sphc::syntax;
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
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let id = sources.add(file.display().to_string(), text.clone());
        syntax::parse(id, &text, &mut sink);
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

/// Writes beside the file and renames, so that a full disk leaves the old text.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().set_permissions(std::fs::metadata(file)?.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(file)?;
    Ok(())
}
