//! `sphc export`.

use super::args::{RecipeArgs, SetArgs, WeightsArgs};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{args, load, table};
use serde_json::json;
use sphc::export::{self, ExportError, Facts, Network, OPSET};
use sphc::ir::{DType, Extremes, ImageStep, Precision, TargetKind};
use sphc::pipeline::line_of;
use sphc::plan::Training;
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::train::weights::{Need, Weights};
use sphc::train::{self, Meaning, recipe_of};
use sphc::{Form, Options, Trained};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("out").args(["onnx", "pytorch"]).required(true).multiple(true))]
pub(super) struct Args {
    /// A model (.sph)
    file: PathBuf,
    #[command(flatten)]
    weights: WeightsArgs,
    /// The ONNX file to write
    #[arg(long, value_name = "OUT")]
    onnx: Option<PathBuf>,
    /// The module of PyTorch to write (.py), which loads the same weights
    #[arg(long, value_name = "OUT")]
    pytorch: Option<PathBuf>,
    /// Of the ONNX file: compute what follows from the weights alone beforehand, and put normalisations into the filters before them
    #[arg(long, requires = "onnx")]
    fold: bool,
    /// Data set that the weights were trained on, for the names of its classes: a name or a path
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    set: SetArgs,
    /// Arithmetic and storage: f32 or f64; what the recipe says unless given, f32 for those of a GPU
    #[arg(long, value_parser = args::precision())]
    precision: Option<Precision>,
}

/// What a library's error becomes, once the text is at hand that it speaks of.
enum Stop {
    Export(ExportError),
    Other(Failure),
}

impl From<ExportError> for Stop {
    fn from(it: ExportError) -> Self {
        Stop::Export(it)
    }
}

pub(super) fn run(args: &Args) -> Outcome {
    if sphc::is_plan(&args.file) {
        let cause = format!("`{}` is a plan, which is made for one batch and knows no operators", args.file.display());
        return Err(Failure::new(cause, "give the `.sph` file that it was compiled from"));
    }
    if args.pytorch.is_some() && !args.weights.weights_map.is_empty() {
        let cause = "the module of `--pytorch` reads its weights by the model's names, which `--weights-map` gives them here only";
        return Err(Failure::new(cause, "train from them with `--init` and `--init-map`, and export what that leaves"));
    }
    if let Some(both) = args.onnx.as_ref().filter(|it| args.pytorch.as_ref() == Some(it)) {
        let cause = format!("`--onnx` and `--pytorch` would both write `{}`", both.display());
        return Err(Failure::new(cause, "give each a name of its own"));
    }
    let read = [args.file.as_path(), &args.weights.weights];
    let onnx = args.onnx.as_ref().map(|it| Output::new(it, "--onnx", &read)).transpose()?;
    let beside: Vec<&Path> = read.into_iter().chain(args.onnx.as_deref()).collect();
    let pytorch = args.pytorch.as_ref().map(|it| Output::new(it, "--pytorch", &beside)).transpose()?;
    let weights = train::read_weights(&args.weights.weights)?;
    let meaning = sphc::meaning(&args.weights.weights, &weights, None)?;
    if let (Some(wanted), true) = (&args.data, meaning.is_some()) {
        sphc::meaning(
            &args.weights.weights,
            &weights,
            Some(&sphc::class_names(wanted, None, args::data_folder().as_deref())?),
        )?;
    }
    let recipe = RecipeArgs { data: args.data.clone(), ..RecipeArgs::default() };
    let weights_map = args.weights.weights_map.clone();
    let options = Options { weights_map, ..args::options(&args.set, &recipe, args.precision) };
    let source = load::model(&args.file, options)?;
    let model = Trained::new(&source, meaning.as_ref(), 1)?;
    let first = model.compile(1, 1)?;
    let double = first.compiled.plan.precision.is_double();
    let precision = if double { Precision::F64 } else { Precision::F32 };
    let training = recipe_of(&first.compiled.plan)?;
    let classifies = Form::new(&first.compiled.plan, training, model.names.len()).is_ok();
    let facts =
        About { model: &model, training, meaning: meaning.as_ref(), classifies }.facts(double, args.fold, &weights);

    // Weights are what an evaluation makes of them: their averages, where the file has some.
    let plan = match first.compiled.plan.precision == precision {
        true => first.compiled.plan.clone(),
        false => model.compile_in(precision, 1, 1)?.compiled.plan,
    };
    let weights = sphc::fitting_weights(&source, weights, &args.weights.weights, &plan)?;
    let stored: BTreeSet<String> = weights.shapes().into_keys().map(str::to_owned).collect();
    let plan = Arc::new(plan);
    let mut session = Session::new(plan.clone(), Box::new(CpuBackend::new(plan, None)?))?;
    weights.load(&mut session, Need::Inference)?;

    let graph = first.compiled.training.graph();
    let failed = |stop: Stop| match stop {
        Stop::Other(it) => it,
        Stop::Export(error) => {
            let line = error.origin().map_or(String::new(), |it| line_of(graph, &first.checked.sources, it));
            let at = if line.is_empty() { line } else { format!(" ({line})") };
            Failure::new(
                format!("cannot export `{}`: {error}{at}", graph.name),
                "`sphc predict` runs the model as it is",
            )
        }
    };
    let mut make = |batch: usize| match model.compile_in(precision, batch, batch) {
        Ok(it) => Ok(it.compiled.training.graph().clone()),
        Err(it) => Err(Stop::Other(it.into())),
    };
    let mut read = |path: &str| {
        let missing = || Failure::new(format!("cannot read `{path}` back from the device"), "try again");
        session.read(path).ok_or_else(|| Stop::Other(missing()))
    };
    let network = Network::new(&mut make, &mut read).map_err(failed)?;
    // Nothing is written where one of them cannot be.
    let mut files = Vec::new();
    if let Some(output) = pytorch {
        let text = export::torch(&network, &facts, &stored).map_err(|it| failed(Stop::Export(it)))?;
        files.push((output, "a module of PyTorch".to_owned(), text.into_bytes()));
    }
    if let Some(output) = onnx {
        let network = if args.fold { network.folded() } else { network };
        let bytes = export::onnx(&network, &facts).map_err(|it| failed(Stop::Export(it)))?;
        files.push((output, format!("ONNX, opset {OPSET}, {}", precision.word()), bytes));
    }
    for (output, what, bytes) in files {
        output.fill(|it| it.write_all(&bytes))?;
        output.say(&format!("{what}, {}", table::bytes(bytes.len())))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of a model in its file.
struct About<'a> {
    model: &'a Trained,
    training: &'a Training,
    meaning: Option<&'a Meaning>,
    /// Whether what the model gives has the extents that its classes ask for.
    classifies: bool,
}

impl About<'_> {
    fn facts(&self, double: bool, folded: bool, weights: &Weights) -> Facts {
        let Training { target, classes, images: steps, image, dtype, .. } = self.training;
        let image = self.model.image.as_ref().unwrap_or(image);
        let range = self.meaning.map_or(Extremes::BYTES, |it| it.range);
        let steps: Vec<String> = steps.iter().map(ImageStep::to_string).collect();
        let mut input = match (dtype, &image.0[..]) {
            (DType::U8 | DType::U16, [height, width, channels]) => {
                let colours = match channels {
                    1 => "grey".to_owned(),
                    3 => "red, green, blue".to_owned(),
                    _ => format!("{channels} channels"),
                };
                let bytes = if *dtype == DType::U8 { "bytes" } else { "numbers of 16 bits" };
                format!(
                    "Pixels as {bytes}, [batch, {height}, {width}, {channels}] (NHWC): rows from the top, {colours}; {range} \
                     in the training images. Scaling, mean and deviation, and the part of an image that is evaluated are in \
                     the network."
                )
            }
            (dtype, extents) => {
                let extents: String = extents.iter().map(|it| format!(", {it}")).collect();
                let numbers = match dtype {
                    DType::U8 => "Bytes",
                    DType::U16 => "Numbers of 16 bits",
                    DType::Int => "Whole numbers of 64 bits",
                    DType::Real | DType::Bf16 => "Numbers",
                };
                format!("{numbers}, [batch{extents}]; {range} in the training examples.")
            }
        };
        if !steps.is_empty() {
            input += &format!(" The data set's own steps are not: do {} before.", steps.join(", then "));
        }
        let of_classes = match target {
            TargetKind::Class => {
                format!("A score for each of {classes} classes, in their order; softmax makes them probabilities.")
            }
            TargetKind::Map(_) => format!(
                "For each pixel a score for each of {classes} classes, in their order; softmax along \
                 the last axis makes them probabilities."
            ),
            TargetKind::Labels => format!(
                "A score for each of {classes} classes, in their order; the logistic function makes \
                 each a probability."
            ),
            TargetKind::Numbers(_) => "Numbers, as those of the data set.".to_owned(),
        };
        let output = match self.classifies {
            true => of_classes,
            false => "What the model's own `output` gives for each image; no score for each class.".to_owned(),
        };
        let iteration = weights.metadata.get("step");
        let trained = iteration.map_or(String::new(), |it| format!(", trained for {it} iterations"));
        let form = if folded { " What follows from the weights alone is computed beforehand." } else { "" };
        let about = format!("{} in its evaluation form{trained}.{form} {input}", self.model.model);
        let mut metadata = vec![
            ("image".to_owned(), json!(image).to_string()),
            ("layout".to_owned(), if image.rank() == 3 { "NHWC" } else { "rows" }.to_owned()),
            ("range".to_owned(), json!(range).to_string()),
            ("steps".to_owned(), json!(steps).to_string()),
            ("folded".to_owned(), folded.to_string()),
        ];
        if self.classifies {
            metadata.insert(0, ("classes".to_owned(), json!(self.model.names).to_string()));
        }
        for (key, own) in [("step", "iteration"), ("source", "source")] {
            metadata.extend(weights.metadata.get(key).map(|it| (own.to_owned(), it.clone())));
        }
        Facts { double, about, input, output, metadata }
    }
}
