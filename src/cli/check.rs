//! `sphc check`.

use super::args::{Format, RecipeArgs, SetArgs, settings};
use super::failure::Outcome;
use super::{load, say};
use sphc::diag::{self, Severity};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model files (.sph)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    /// How diagnostics are printed: for people on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    let settings = settings(&args.set, &RecipeArgs::default());
    let (mut errors, mut warnings) = (0, 0);
    for file in &args.files {
        let checked = match load::check(file, &settings) {
            Ok(it) => it,
            Err(failure) => {
                // The other files are still worth checking.
                failure.report();
                errors += 1;
                continue;
            }
        };
        let found = &checked.diagnostics;
        let here = found.iter().filter(|it| it.severity() == Severity::Error).count();
        errors += here;
        warnings += found.len() - here;
        match args.format {
            Format::Json => {
                write!(io::stdout(), "{}", diag::render::render_json(found, &checked.sources))?;
            }
            Format::Human => {
                let text = diag::render::render(found, &checked.sources, say::colour());
                let _ = io::stderr().write_all(text.as_bytes());
            }
        }
    }
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let files = plural(args.files.len(), "file");
    let summary = match (errors, warnings) {
        (0, 0) => format!("{files} checked: no problems"),
        (0, _) => format!("{files} checked: {}", plural(warnings, "warning")),
        (_, 0) => format!("{files} checked: {}", plural(errors, "error")),
        _ => format!("{files} checked: {} and {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    if args.format == Format::Human {
        if errors == 0 {
            writeln!(say::out(), "{summary}")?;
        } else {
            let _ = writeln!(say::err(), "{summary}; `sphc explain CODE` tells more");
        }
    }
    Ok(ExitCode::from(u8::from(errors != 0)))
}
