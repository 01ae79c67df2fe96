//! `sphc plot`.

use super::failure::{Failure, Outcome};
use sphc::train::{curves, metrics};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The picture to write (.svg)
    #[arg(short, long, value_name = "FILE", default_value = "curves.svg")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Outcome {
    if args.output.extension().is_none_or(|it| it != "svg") {
        let cause = format!("cannot draw `{}`: this version draws SVG only", args.output.display());
        return Err(Failure::new(cause, "give a name that ends in `.svg`"));
    }
    let mut found = Vec::new();
    for run in &args.runs {
        let path = run.join("metrics.jsonl");
        let lines = metrics::read(&path).map_err(|it| {
            Failure::new(format!("cannot read `{}`: {it}", path.display()), "give directories that `sphc train` made")
        })?;
        let name = run.file_name().map_or_else(|| run.display().to_string(), |it| it.to_string_lossy().into_owned());
        found.push((name, lines));
    }
    let runs: Vec<curves::Run> = found.iter().map(|(name, lines)| curves::Run { name: name.clone(), lines }).collect();
    let Some(svg) = curves::draw(&runs) else {
        return Err(Failure::new("these runs have nothing to draw yet", "wait for their first lines"));
    };
    let path = args.output.display();
    std::fs::write(&args.output, svg)
        .map_err(|it| Failure::new(format!("cannot write `{path}`: {it}"), "give another file with `-o`"))?;
    writeln!(io::stdout(), "wrote {path}")?;
    Ok(ExitCode::SUCCESS)
}
