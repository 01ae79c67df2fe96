//! `sphc fmt`.

use super::failure::{Failure, Outcome};
use super::{load, say, texts};
use sphc::Options;
use sphc::diag::{self, Sink, Sources};
use sphc::syntax;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model files (.sph), folders of them, or `-` for standard input, which is laid out to standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that are not laid out so, and exit with 1
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut failed = false;
    for file in &texts::files(&args.files)? {
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
    let model = load::model(file, Options::default())?;
    let text = model.text()?;
    let Some(laid_out) = syntax::format(text) else {
        // A layout that does not mean the same is refused like a text that does not parse.
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let id = sources.add(model.name(), text);
        syntax::parse(id, text, &mut sink);
        if !sink.has_errors() {
            return Err(Failure::new(
                format!("`{}` is left as it is: its layout would not mean the same", model.name()),
                "this is a bug of sphc: please report it with the file",
            ));
        }
        let found = diag::render::render(&sink.finish(), &sources, say::colour());
        say::coloured(&found);
        return Err(Failure::new(
            format!("`{}` is left as it is: it does not parse", model.name()),
            "mend it first; `sphc check` shows every mistake",
        ));
    };
    if load::is_stdin(file) && !check {
        write!(say::out(), "{laid_out}")?;
        return Ok(true);
    }
    if laid_out == text {
        return Ok(true);
    }
    if check {
        writeln!(say::out(), "{}", model.name())?;
        return Ok(false);
    }
    texts::replace(file, &laid_out)?;
    Ok(true)
}
