//! `sphc plot`.

mod runs;

use super::failure::{Failure, Outcome};
use super::{load, say};
use sphc::train::curves::operators::OperatorCurve;
#[cfg(feature = "plots")]
use sphc::train::curves::{
    Curve, Images, LayerAngles, Layers, Operators, Picture, Points, Runs, Scatter, Tile, reference,
};
#[cfg(not(feature = "plots"))]
use sphc::train::curves::{Curve, LayerAngles, Points, Tile, reference};
use sphc::{Model, Options};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directories, folders of them (seeds of one setting are one curve), or tables (.csv) with the columns iteration and test_accuracy
    #[arg(required_unless_present_any = ["reference", "operator"], value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The picture to write: .svg or .png; curves.svg unless given, of operators operators.svg
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Published results to compare with, such as spherenet9-linear; may come again
    #[arg(long, value_name = "NAME")]
    reference: Vec<String>,
    /// Draw an operator over the angle in place of runs, such as cosine or 'sigmoid(k: 0.5)'; may be several
    #[arg(long, value_name = "OPERATOR", num_args = 1.., conflicts_with_all = ["runs", "reference"])]
    operator: Vec<String>,
    /// The file that defines or imports the operators that are not built in (.sph)
    #[arg(long, value_name = "FILE", requires = "operator")]
    from: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let usual = if args.operator.is_empty() { "curves.svg" } else { "operators.svg" };
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(usual));
    if args.operator.is_empty() {
        runs(args, &output)?
    } else {
        operators(args, &output)?
    }
    Ok(ExitCode::SUCCESS)
}

fn runs(args: &Args, output: &Path) -> Result<(), Failure> {
    let mut curves = runs::curves(&args.runs)?;
    for name in &args.reference {
        curves.push(reference::find(name).ok_or_else(|| {
            let known = reference::names().join(", ");
            Failure::new(format!("there is no published result `{name}`"), format!("known are {known}"))
        })?);
    }
    write(output, &curves)?;
    writeln!(say::out(), "wrote {}", output.display())?;
    Ok(())
}

/// Operators over the angle; where one is not finite is told, too.
fn operators(args: &Args, output: &Path) -> Result<(), Failure> {
    let model = match &args.from {
        Some(path) => load::model(path, Options::default())?,
        None => load::telling(Model::from_text("prelude", "")),
    };
    let mut curves: Vec<OperatorCurve> = Vec::new();
    for text in &args.operator {
        if !curves.iter().any(|it| it.name == *text) {
            let response = model.response(text).map_err(|it| match it {
                // The mistakes were told.
                sphc::Error::Model(_) => Failure::new(
                    format!("`--operator {text}` cannot be drawn"),
                    "it is what a layer takes as its `operator`; `--from FILE` takes those of a file",
                ),
                it => it.into(),
            })?;
            curves.push(OperatorCurve::new(text, &response));
        }
    }
    write_operators(output, &curves)?;
    writeln!(say::out(), "wrote {}", output.display())?;
    for it in &curves {
        if let Some(missing) = it.missing() {
            writeln!(say::out(), "{} is {missing}", it.name)?;
        }
    }
    Ok(())
}

/// Draws runs to a file; its name tells the kind.
#[cfg(feature = "plots")]
pub(super) fn write(path: &Path, curves: &[Curve]) -> Result<(), Failure> {
    draw(path, &Runs(curves))
}

#[cfg(feature = "plots")]
fn write_operators(path: &Path, curves: &[OperatorCurve]) -> Result<(), Failure> {
    draw(path, &Operators(curves))
}

/// Angles of layers as the bytes of such a file.
#[cfg(feature = "plots")]
pub(super) fn layers_as(path: &Path, layers: &[LayerAngles]) -> Result<Vec<u8>, Failure> {
    drawn(path, &Layers(layers))
}

/// Images in rows as the bytes of such a file.
#[cfg(feature = "plots")]
pub(super) fn images_as(path: &Path, tiles: &[Tile], columns: usize, side: u32) -> Result<Vec<u8>, Failure> {
    drawn(path, &Images { tiles, columns, side })
}

/// Examples in the plane as the bytes of such a file.
#[cfg(feature = "plots")]
pub(super) fn points_as(path: &Path, points: &Points) -> Result<Vec<u8>, Failure> {
    drawn(path, &Scatter(points))
}

/// Refuses a name that tells no kind of picture, before any work is done.
#[cfg(feature = "plots")]
pub(super) fn can_draw(path: &Path) -> Result<(), Failure> {
    is_svg(path).map(drop)
}

#[cfg(feature = "plots")]
fn is_svg(path: &Path) -> Result<bool, Failure> {
    match path.extension().and_then(|it| it.to_str()) {
        Some("svg") => Ok(true),
        Some("png") => Ok(false),
        Some(_) | None => {
            let cause = format!("cannot draw `{}`: only SVG and PNG can be drawn", path.display());
            Err(Failure::new(cause, "give a name that ends in `.svg` or `.png`"))
        }
    }
}

#[cfg(feature = "plots")]
fn drawn(path: &Path, picture: &impl Picture) -> Result<Vec<u8>, Failure> {
    let bytes = if is_svg(path)? { picture.svg().map(String::into_bytes) } else { picture.png() };
    bytes.ok_or_else(|| {
        Failure::new(
            "these runs have nothing to draw: it takes an evaluation, or two logged losses",
            "train longer, or log more often with `--log-every`",
        )
    })
}

/// Draws to a file; its name tells the kind.
#[cfg(feature = "plots")]
fn draw(path: &Path, picture: &impl Picture) -> Result<(), Failure> {
    let bytes = drawn(path, picture)?;
    std::fs::write(path, bytes).map_err(|it| Failure::unwritten(path, &it, "give another file with `-o`"))
}

#[cfg(not(feature = "plots"))]
pub(super) fn write(path: &Path, _: &[Curve]) -> Result<(), Failure> {
    Err(undrawn(path, "build it with `--features plots`; the numbers are in each run's `metrics.jsonl`"))
}

#[cfg(not(feature = "plots"))]
fn write_operators(path: &Path, _: &[OperatorCurve]) -> Result<(), Failure> {
    Err(undrawn(path, "build it with `--features plots`"))
}

#[cfg(not(feature = "plots"))]
pub(super) fn layers_as(path: &Path, _: &[LayerAngles]) -> Result<Vec<u8>, Failure> {
    Err(undrawn(path, "build it with `--features plots`; `--format json` tells the numbers"))
}

#[cfg(not(feature = "plots"))]
pub(super) fn images_as(path: &Path, _: &[Tile], _: usize, _: u32) -> Result<Vec<u8>, Failure> {
    Err(undrawn(path, "build it with `--features plots`"))
}

#[cfg(not(feature = "plots"))]
pub(super) fn points_as(path: &Path, _: &Points) -> Result<Vec<u8>, Failure> {
    Err(undrawn(path, "build it with `--features plots`; a name that ends in `.csv` takes the numbers"))
}

#[cfg(not(feature = "plots"))]
pub(super) fn can_draw(path: &Path) -> Result<(), Failure> {
    Err(undrawn(path, "build it with `--features plots`; `--format json` tells the numbers"))
}

#[cfg(not(feature = "plots"))]
fn undrawn(path: &Path, remedy: &str) -> Failure {
    Failure::new(format!("cannot draw `{}`: this build of sphc draws nothing", path.display()), remedy)
}
