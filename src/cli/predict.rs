//! `sphc predict`.

use super::args::{self, DeviceArgs, RecipeArgs, SetArgs, WeightsArgs};
use super::failure::{Failure, Outcome};
use super::{answer, load, say, table};
use clap::ValueEnum;
use sphc::Options;
use sphc::ir::TargetKind;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph) or a plan (.yaml)
    file: PathBuf,
    #[command(flatten)]
    weights: WeightsArgs,
    /// PNG or JPEG files, folders of them, or arrays of NumPy's (.npy, .npz) of one example or of several
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
    format: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// For people
    #[default]
    Human,
    /// For programs: JSON, one object per line
    Json,
    /// For spreadsheets: a table with a row for each image
    Csv,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = args.device.checked()?;
    let recipe = RecipeArgs { data: args.data.clone(), ..RecipeArgs::default() };
    let options = Options {
        weights_map: args.weights.weights_map.clone(),
        ..args::options(&args.set, &recipe, args.device.precision)
    };
    let model = load::model(&args.file, options)?;
    let images = sphc::listed(&model, &args.images)?;
    let mut predictor = model.predictor(&args.weights.weights, images.len(), &device)?;
    if args.top.is_some() && *predictor.target() != TargetKind::Class {
        let kind = predictor.target().describe(predictor.classes().len());
        let cause = format!("`--top` asks for the likeliest classes, while what this model tells is {kind}");
        return Err(Failure::new(cause, "leave out `--top`"));
    }
    let found = predictor.files(&images)?;
    let (names, top) = (predictor.classes(), args.top.unwrap_or(1) as usize);
    let mut out = say::out();
    if args.format == Kind::Csv {
        let mut table = csv::Writer::from_writer(out);
        for (at, prediction) in found.iter().enumerate() {
            if at == 0 {
                let header = std::iter::once("file".to_owned()).chain(answer::columns(&prediction.answer, names, top));
                table.write_record(header).map_err(io::Error::from)?;
            }
            let row = std::iter::once(prediction.name.clone()).chain(answer::cells(&prediction.answer, names, top));
            table.write_record(row).map_err(io::Error::from)?;
        }
        table.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for prediction in &found {
        let shown = answer::shown(&prediction.name, &prediction.answer, names, top);
        if args.format == Kind::Json {
            writeln!(out, "{}", shown.json)?;
        }
        for (at, row) in shown.rows.into_iter().enumerate() {
            let image = if at == 0 { prediction.name.clone() } else { String::new() };
            rows.push([vec![image], row].concat());
        }
    }
    if args.format == Kind::Human {
        write!(out, "{}", table::render(answer::header(predictor.target()), &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
