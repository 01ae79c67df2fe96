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
    let Some(code) = code(wanted) else {
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

/// The code that is meant: `E0301`, `e301`, or as a report has it, `error[E0301]:`.
fn code(wanted: &str) -> Option<Code> {
    let inner = wanted.split_once('[').map_or(wanted, |it| it.1);
    let inner = inner.trim_end_matches([':', ']']);
    let kind = inner.chars().next().filter(char::is_ascii_alphabetic)?;
    Code::find(&format!("{kind}{:0>4}", &inner[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_was_copied() {
        for it in ["E0301", "e0301", "e301", "E301", "[E0301]", "error[E0301]:", "error[E0301]"] {
            assert_eq!(code(it), Some(Code::E0301), "{it}");
        }
        assert_eq!(code("w105"), Some(Code::W0105));
        for it in ["", "301", "E", "E9999", "É0301", "EE0301"] {
            assert_eq!(code(it), None, "{it}");
        }
    }
}
