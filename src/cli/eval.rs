//! `sphc eval`.

use super::args::{DeviceArgs, Format, RecipeArgs, SetArgs, SplitArg, WeightsArgs, options, positive};
use super::failure::{Failure, Outcome};
use super::{load, say, stop, table};
use serde_json::json;
use sphc::{Options, Split};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph) or a plan (.yaml)
    file: PathBuf,
    #[command(flatten)]
    weights: WeightsArgs,
    /// Data set: a name, a directory (CIFAR, MNIST or images by class), an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Which images of the data set
    #[arg(long, value_enum, default_value_t)]
    split: SplitArg,
    /// Examples at once
    #[arg(long, value_name = "N", value_parser = positive)]
    batch: Option<u64>,
    /// Accuracy of every class, and what it is taken for
    #[arg(long)]
    per_class: bool,
    /// Confusion matrix: how often each class is taken for each
    #[arg(long)]
    confusion: bool,
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
    let recipe = RecipeArgs { data: args.data.clone(), batch: args.batch, ..RecipeArgs::default() };
    let split = Split::from(args.split);
    let weights_map = args.weights.weights_map.clone();
    let options = Options { evaluates: true, split, weights_map, ..options(&args.set, &recipe, args.device.precision) };
    let ready = load::model(&args.file, options)?.ready()?;
    let training = ready.training()?;
    let (count, noun) = (training.classes, training.noun());
    // Many classes have a large matrix, which few ask for.
    let wanted = args.per_class || args.confusion;
    if wanted && !training.target.is_class() {
        return Err(Failure::new(
            format!("an image has no one class, but {}", training.target.describe(count)),
            "leave out `--per-class` and `--confusion`",
        ));
    }
    if wanted && !ready.plan().tells_classes() {
        return Err(Failure::new(
            "the model does not tell classes apart, so there is nothing to be told of each",
            "leave out `--per-class` and `--confusion`",
        ));
    }
    let labels = ready.data().test.targets.labels().to_vec();
    let names = ready.data().classes.clone();
    stop::listen();
    let mut confusion = if wanted { vec![vec![0u64; count]; count] } else { Vec::new() };
    let found = ready.evaluate(&args.weights.weights, &device, &stop::asked, &mut |at, scores| {
        if wanted {
            confusion[labels[at] as usize][largest(scores)] += 1;
        }
    })?;
    let Some(found) = found else {
        return Ok(stop::status());
    };
    let mut out = say::out();
    if args.format == Format::Json {
        let mut object = json!({ "test_loss": found.loss, "examples": found.examples });
        if split != Split::Test {
            object["split"] = json!(split.word());
        }
        if let Some(accuracy) = found.accuracy {
            object["test_accuracy"] = json!(accuracy);
        }
        for (name, value) in &found.metrics {
            object[format!("test_{name}")] = json!(value);
        }
        if args.per_class || args.confusion {
            object["classes"] = json!(names);
            object["confusion"] = json!(confusion);
        }
        writeln!(out, "{object}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let images = say::counted(found.examples, noun, "s");
    writeln!(out, "{} on {images}", say::tested(split.word(), found.accuracy, found.loss, &found.metrics, ""))?;
    if args.per_class {
        write!(out, "\n{}", per_class(&names, &confusion))?;
    }
    if args.confusion {
        write!(out, "\nrows are the classes, columns what they are taken for\n{}", matrix(&names, &confusion))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, it| if scores[it] > scores[best] { it } else { best })
}

fn per_class(names: &[String], confusion: &[Vec<u64>]) -> String {
    let rows: Vec<Vec<String>> = confusion
        .iter()
        .enumerate()
        .map(|(class, row)| {
            let total: u64 = row.iter().sum();
            let share = |count: u64| format!("{:.1} %", 100.0 * count as f64 / total.max(1) as f64);
            let mut wrong: Vec<usize> = (0..row.len()).filter(|it| *it != class && row[*it] != 0).collect();
            wrong.sort_by_key(|it| std::cmp::Reverse(row[*it]));
            let taken: Vec<String> = wrong.iter().take(3).map(|it| format!("{} {}", names[*it], row[*it])).collect();
            vec![names[class].clone(), total.to_string(), share(row[class]), taken.join(", ")]
        })
        .collect();
    table::render(&["class", ">images", ">right", "most often taken for"], &rows)
}

/// Rows and columns in the order of the classes; what never happens is a dot.
fn matrix(names: &[String], confusion: &[Vec<u64>]) -> String {
    let mut header = vec![String::new()];
    header.extend(names.iter().map(|it| format!(">{it}")));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cell = |it: &u64| if *it == 0 { "·".to_owned() } else { it.to_string() };
    let rows: Vec<Vec<String>> = names
        .iter()
        .zip(confusion)
        .map(|(name, row)| std::iter::once(name.clone()).chain(row.iter().map(cell)).collect())
        .collect();
    table::render(&header, &rows)
}
