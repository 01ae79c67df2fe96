//! `sphc predict`.

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs};
use super::failure::{Failure, Outcome};
use super::{answer, load, say, table};
use sphc::ir::TargetKind;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph) or a plan (.yaml)
    file: PathBuf,
    /// A checkpoint, or any safetensors file with the model's parameters and running statistics
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// PNG or JPEG files, or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Classes to show of each image that has one, the likeliest first; 1 unless given
    #[arg(long, value_name = "N", value_parser = args::positive)]
    top: Option<u64>,
    /// Data set that the weights were trained on, for the names of its classes: a name or a path
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = args.device.checked()?;
    let recipe = RecipeArgs { data: args.data.clone(), ..RecipeArgs::default() };
    let model = load::model(&args.file, args::options(&args.set, &recipe, args.device.precision))?;
    let images = sphc::listed(&model, &args.images)?;
    let mut predictor = model.predictor(&args.weights, images.len(), &device)?;
    if args.top.is_some() && *predictor.target() != TargetKind::Class {
        let kind = predictor.target().describe(predictor.classes().len());
        let cause = format!("`--top` asks for the likeliest classes, while what this model tells is {kind}");
        return Err(Failure::new(cause, "leave out `--top`"));
    }
    let found = predictor.files(&images)?;
    let mut out = say::out();
    let mut rows = Vec::new();
    for (path, prediction) in images.iter().zip(&found) {
        let name = path.to_string_lossy();
        let shown = answer::shown(&name, &prediction.answer, predictor.classes(), args.top.unwrap_or(1) as usize);
        if args.format == Format::Json {
            writeln!(out, "{}", shown.json)?;
        }
        for (at, row) in shown.rows.into_iter().enumerate() {
            let image = if at == 0 { path.display().to_string() } else { String::new() };
            rows.push([vec![image], row].concat());
        }
    }
    if args.format == Format::Human {
        write!(out, "{}", table::render(answer::header(predictor.target()), &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
