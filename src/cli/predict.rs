//! `sphc predict`.

use super::answer::Asked;
use super::args::{self, Format, SetArgs};
use super::device::{self, DeviceArgs};
use super::failure::{Failure, Outcome};
use super::trained::{self, Trained};
use super::{load, say, table};
use sphc::data::{self, Change, Picture};
use sphc::ir::TargetKind;
use sphc::lower::images;
use sphc::plan::{Plan, Training};
use sphc::train::weights::{Need, Weights};
use sphc::train::{self, Meaning, recipe_of};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
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
    device::check(&args.device)?;
    let images = listed(&args.images)?;
    let weights = train::read_weights(&args.weights)?;
    let meaning = load::meaning(&args.weights, &weights, None)?;
    let (plan, names) = prepare(args, images.len(), &weights, meaning.as_ref())?;
    let training = recipe_of(&plan)?.clone();
    if args.top.is_some() && training.target != TargetKind::Class {
        let kind = training.target.describe(training.classes);
        let cause = format!("`--top` asks for the likeliest classes, while what this model tells is {kind}");
        return Err(Failure::new(cause, "leave out `--top`"));
    }
    let asked = Asked::new(&plan, &training, &names, args.top.unwrap_or(1) as usize)?;
    let mut pixels = Vec::new();
    let mut changes = BTreeMap::new();
    for path in &images {
        pixels.extend(fitting(path, &training, &mut changes)?);
    }
    args::warn(&data::remarks(&changes));
    let weights = load::fitting(weights, &args.weights, &plan)?;
    remark(meaning.as_ref(), &training, &pixels);
    let (mut session, _) = device::open(&args.device, plan, &|_| None)?;
    weights.load(&mut session, Need::Inference)?;
    let scores = train::predict(&mut session, &pixels)?;
    let mut out = say::out();
    let mut rows = Vec::new();
    for (path, scores) in images.iter().zip(&scores) {
        let answer = asked.answer(&path.to_string_lossy(), scores)?;
        if args.format == Format::Json {
            writeln!(out, "{}", answer.json)?;
        }
        for (at, row) in answer.rows.into_iter().enumerate() {
            let image = if at == 0 { path.display().to_string() } else { String::new() };
            rows.push([vec![image], row].concat());
        }
    }
    if args.format == Format::Human {
        write!(out, "{}", table::render(asked.header(), &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns of images that are unlike those that the weights were trained on.
pub(super) fn remark(known: Option<&Meaning>, training: &Training, pixels: &[u8]) {
    let Some(known) = known else { return };
    let range = [0, pixels.iter().copied().max().unwrap_or(0).max(known.range[1])];
    args::warn(&known.doubts(&Meaning {
        classes: known.classes.clone(),
        target: training.target.clone(),
        image: training.image,
        steps: training.images.clone(),
        range,
    }));
}

/// The files, with the pictures of a folder in its place.
pub(super) fn listed(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in given {
        if !path.is_dir() {
            images.push(path.clone());
            continue;
        }
        let (found, left) = data::pictures(path)?;
        let shown = path.display();
        if found.is_empty() {
            let cause = format!("there are no pictures in the folder `{shown}`");
            return Err(Failure::new(
                cause,
                "give one with PNG or JPEG files in it; folders inside of it are not looked at",
            ));
        }
        if left != 0 {
            let them = if left == 1 { "1 item that is".to_owned() } else { format!("{left} items that are") };
            args::warn(&[format!("`{shown}` holds {them} no PNG or JPEG file, and not looked at")]);
        }
        images.extend(found);
    }
    Ok(images)
}

/// The plan for so many images and the names of the classes.
fn prepare(
    args: &Args,
    count: usize,
    weights: &Weights,
    meaning: Option<&Meaning>,
) -> Result<(Plan, Vec<String>), Failure> {
    if let Some(wanted) = args.data.as_deref().filter(|_| meaning.is_some()) {
        let given = trained::names(wanted, None)?;
        load::meaning(&args.weights, weights, Some(&given))?;
    }
    if load::is_plan(&args.file) {
        let text = load::read_text(&args.file)?;
        let plan = sphc::plan::from_yaml(&args.file.display().to_string(), &text).map_err(Failure::from_error)?;
        let training = recipe_of(&plan)?;
        let wanted = args.data.as_deref().unwrap_or(&training.data);
        let names = match meaning {
            Some(it) if it.classes.len() == training.classes => it.classes.clone(),
            _ => trained::names(wanted, Some(training.classes))?,
        };
        return Ok((plan, names));
    }
    let model = Trained::new(&args.file, &args.set, args.data.as_deref(), meaning, 256.min(count))?;
    let plan = model.compile(256.min(count), count, args.device.precision)?.compiled.plan;
    Ok((plan, model.names))
}

/// The pixels of a file, after the recipe's steps; they must be what the model takes.
pub(super) fn fitting(
    path: &Path,
    training: &Training,
    changes: &mut BTreeMap<Change, Vec<String>>,
) -> Result<Vec<u8>, Failure> {
    let Training { images: steps, image, .. } = training;
    let (steps, expected) = (&steps[..], *image);
    let Picture { pixels, size, changes: found } = data::decode(path)?;
    for change in found {
        changes.entry(change).or_default().push(path.display().to_string());
    }
    let shown = path.display();
    let describe = |[height, width, channels]: [usize; 3]| {
        format!("{height}x{width} with {channels} channel{}", if channels == 1 { "" } else { "s" })
    };
    let (pixels, after) = data::apply(pixels, size, steps)
        .map_err(|it| Failure::new(format!("cannot use `{shown}`: {it}"), "change the steps of the `data` entry"))?;
    if after == expected {
        return Ok(pixels);
    }
    let done = if steps.is_empty() { "" } else { " after the recipe's steps" };
    let remedy = match images::steps_between(after, &expected, false) {
        Some(more) => {
            format!("write `{}` at the end of the recipe's `data` entry: it holds for every image", more.trim_start())
        }
        None => "give an image of that size".to_owned(),
    };
    let cause = format!("`{shown}` is {}{done}, the model takes {}", describe(after), describe(expected));
    Err(Failure::new(cause, remedy))
}
