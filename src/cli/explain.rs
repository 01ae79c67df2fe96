//! `sphc explain`.

use super::failure::{Failure, Outcome};
use sphc::diag::{Code, did_you_mean};
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code such as E0301; all codes are listed without one
    code: Option<String>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut out = io::stdout();
    let Some(wanted) = &args.code else {
        for code in Code::ALL {
            writeln!(out, "{}  {}", code.name(), code.title())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(code) = Code::find(wanted) else {
        let upper = wanted.to_uppercase();
        let near = did_you_mean(&upper, Code::ALL.iter().map(|it| it.name()));
        let near = near.map(|it| format!("did you mean {it}? ")).unwrap_or_default();
        return Err(Failure::new(
            format!("there is no diagnostic `{wanted}`"),
            format!("{near}`sphc explain` lists all codes"),
        ));
    };
    writeln!(out, "{}: {}\n\n{}", code.name(), code.title(), code.explanation().trim())?;
    Ok(ExitCode::SUCCESS)
}
