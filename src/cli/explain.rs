//! `sphc explain`.

use super::failure::{Failure, Outcome};
use super::say;
use sphc::diag::{Code, did_you_mean};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code such as E0301; all codes are listed without one
    code: Option<String>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let Some(wanted) = &args.code else {
        let all: String = Code::ALL.iter().map(|it| format!("{}  {}\n", it.name(), it.title())).collect();
        say::paged(&all)?;
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
    say::paged(&format!("{}: {}\n\n{}\n", code.name(), code.title(), code.explanation().trim()))?;
    Ok(ExitCode::SUCCESS)
}
