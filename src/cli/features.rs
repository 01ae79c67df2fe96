//! `sphc features`.

use super::args::{self, DeviceArgs, RecipeArgs, SetArgs, SplitArg, WeightsArgs};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{load, plot, points, stop};
use clap::ValueEnum;
use sphc::data::{self, Named, Targets, Values};
use sphc::diag;
use sphc::ir::{Extern, Figure, Graph, Op, Phase, ResultKey, feature};
use sphc::plan::Plan;
use sphc::runtime::Session;
use sphc::train::weights::Need;
use sphc::train::{self, recipe_of};
use sphc::{DeviceOptions, Inputs, Model, Options, Trained};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph)
    file: PathBuf,
    #[command(flatten)]
    weights: WeightsArgs,
    /// PNG or JPEG files, folders of them, or arrays of NumPy's (.npy, .npz), in place of a data set
    #[arg(value_name = "IMAGE", conflicts_with_all = ["split", "data"])]
    images: Vec<PathBuf>,
    /// What is told of each image: a layer of `sphc show`, a name given with `as`, or `scores`; may come again
    #[arg(long, value_name = "NAME", required = true, value_delimiter = ',')]
    layer: Vec<String>,
    /// The file to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Which images of the data set
    #[arg(long, value_enum, default_value_t)]
    split: SplitArg,
    /// Arrays of NumPy, a table, or a picture of two numbers by class; as the name of the file ends (.csv, .svg, .png) unless given
    #[arg(long, value_enum)]
    format: Option<Kind>,
    /// Data set: a name, a directory (CIFAR, MNIST or images by class), an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Images at once
    #[arg(long, value_name = "N", value_parser = args::positive)]
    batch: Option<u64>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Npz,
    Csv,
    Picture,
}

impl Kind {
    /// What the name of a file asks for.
    fn of(path: &Path) -> Kind {
        let ends = |end: &str| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(end));
        if ends("csv") {
            Kind::Csv
        } else if ends("svg") || ends("png") {
            Kind::Picture
        } else {
            Kind::Npz
        }
    }
}

/// What an `.npz` file says besides.
const BESIDE: [&str; 3] = ["files", "labels", "classes"];

/// A session with its images bound, and what is known of each.
pub(super) struct Ready {
    pub(super) session: Session,
    pub(super) count: usize,
    /// Names of files, or of none where they are a data set's.
    files: Vec<String>,
    pub(super) targets: Option<Targets>,
    pub(super) classes: Vec<String>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = args.device.checked()?;
    if sphc::is_plan(&args.file) {
        let cause = format!("`{}` is a plan, which tells what it was compiled to tell", args.file.display());
        return Err(Failure::new(cause, "give the `.sph` file that it was compiled from"));
    }
    let images = args.images.iter().map(PathBuf::as_path);
    let read: Vec<&Path> = [args.file.as_path(), &args.weights.weights].into_iter().chain(images).collect();
    let output = Output::new(&args.output, "-o", &read)?;
    let kind = args.format.unwrap_or_else(|| Kind::of(&args.output));
    if kind == Kind::Picture {
        plot::can_draw(&args.output)?;
        if let [first, second, ..] = args.layer.as_slice() {
            let cause = format!("a picture has room for one layer, and `{first}` and `{second}` are named");
            return Err(Failure::new(cause, "draw each by itself, or write .npz or .csv"));
        }
    }
    let mut names: Vec<String> = Vec::new();
    for name in &args.layer {
        if kind == Kind::Npz && BESIDE.contains(&name.as_str()) {
            let cause = format!("an .npz file has another array by the name of the layer `{name}`");
            return Err(Failure::new(cause, "give the layer another name, or write a table: `--format csv`"));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let recipe = RecipeArgs { data: args.data.clone(), batch: args.batch, ..RecipeArgs::default() };
    let options = Options {
        evaluates: true,
        split: args.split.into(),
        weights_map: args.weights.weights_map.clone(),
        features: names.clone(),
        ..args::options(&args.set, &recipe, args.device.precision)
    };
    let model = load::model(&args.file, options)?;
    let checked = model.check()?;
    if let Some(graph) = checked.graph() {
        known(graph, &names)?;
    }
    let ready = match args.images.is_empty() {
        true => of_data(&args.weights.weights, &model, &device)?,
        false => of_files(args, &model, &device)?,
    };
    let Ready { mut session, count, files, targets, classes } = ready;
    let keys: Vec<ResultKey> = names.iter().map(|it| key(it)).collect();
    for (name, key) in names.iter().zip(&keys) {
        of_each(&session.plan, name, key)?;
    }
    stop::listen();
    let Some(found) = train::features(&mut session, &keys, count, &stop::asked)? else {
        return Ok(stop::status());
    };
    let mut arrays = Vec::new();
    for ((name, key), numbers) in names.iter().zip(&keys).zip(found) {
        let each = extents(&session.plan, key);
        arrays.push(Named { name: name.clone(), shape: [vec![count], each].concat(), values: Values::Reals(numbers) });
    }
    match kind {
        Kind::Npz => {
            arrays.extend(described(count, files, targets, classes));
            output.fill(|file| data::write_npz(&arrays, file))?;
        }
        Kind::Picture => {
            let numbers =
                arrays.first().and_then(|it| if let Values::Reals(it) = &it.values { Some(it) } else { None });
            let numbers = numbers.map_or(&[][..], Vec::as_slice);
            let points = points::of_numbers(&names[0], numbers, count, targets.as_ref(), classes)?;
            let bytes = plot::points_as(&args.output, &points)?;
            output.fill(|file| file.write_all(&bytes))?;
        }
        Kind::Csv => {
            let labels = targets.as_ref().map(|it| it.labels().to_vec()).unwrap_or_default();
            output.fill(|file| written(file, &arrays, &files, &labels, &classes))?;
        }
    }
    let told: Vec<String> = arrays
        .iter()
        .take(names.len())
        .map(|it| format!("{} {}", it.name, it.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")))
        .collect();
    output.say(&told.join(", "))?;
    Ok(ExitCode::SUCCESS)
}

/// The key that a name is told under.
pub(super) fn key(name: &str) -> ResultKey {
    if name == Figure::Scores.word() { Figure::Scores.into() } else { feature(name) }
}

/// Whether a model has something by each name, for each image.
pub(super) fn known(graph: &Graph, names: &[String]) -> Result<(), Failure> {
    let table = graph.results.get(&Phase::Evaluate);
    for name in names.iter().filter(|it| *it != Figure::Scores.word()) {
        let Some(node) = table.and_then(|it| it.get(&feature(name))) else {
            let mut all: Vec<&str> = graph.layers.iter().map(|it| it.path.as_str()).collect();
            let outputs = graph.named_outputs.iter().map(String::as_str).filter(|it| !all.contains(it));
            let outputs: Vec<&str> = outputs.collect();
            all.extend(outputs);
            all.push(Figure::Scores.word());
            let near = match diag::did_you_mean(name, all.iter().copied()) {
                Some(it) => format!("did you mean `{it}`? "),
                None => String::new(),
            };
            let cause = format!("`{}` has no layer or named tensor `{name}`", graph.name);
            return Err(Failure::new(cause, format!("{near}it has {}", all.join(", "))));
        };
        let given = graph.needed([*node]).into_iter().any(|it| matches!(graph.op(it), Op::Input { .. }));
        if !given {
            let cause = format!("`{name}` is the same for every image: it is made of weights alone");
            return Err(Failure::new(cause, "weights are in the checkpoint, which is a safetensors file"));
        }
    }
    Ok(())
}

/// Whether something has a row for each image of a batch.
pub(super) fn of_each(plan: &Plan, name: &str, key: &ResultKey) -> Result<(), Failure> {
    let rows = |key: &ResultKey| {
        let found = plan.phases.get(&Phase::Evaluate).and_then(|it| it.results.get(key));
        found.and_then(|it| plan.buffers[it.0 as usize].shape.dims().first().copied())
    };
    if rows(key) == rows(&Figure::Scores.into()) {
        return Ok(());
    }
    let cause = format!("`{name}` is made of the whole batch, and no row of it belongs to an image");
    Err(Failure::new(cause, "name something that each image has, before the batch is summed up"))
}

/// The extents of what is told of one image.
fn extents(plan: &Plan, key: &ResultKey) -> Vec<usize> {
    let found = plan.phases.get(&Phase::Evaluate).and_then(|it| it.results.get(key));
    found.map_or_else(Vec::new, |it| plan.buffers[it.0 as usize].shape.dims().iter().skip(1).copied().collect())
}

/// Images of a data set.
pub(super) fn of_data(weights: &Path, model: &Model, device: &DeviceOptions) -> Result<Ready, Failure> {
    let ready = model.ready()?;
    let (targets, classes) = (ready.data().test.targets.clone(), ready.data().classes.clone());
    let (session, _) = ready.with_weights(weights, device)?;
    Ok(Ready { session, count: targets.len(), files: Vec::new(), targets: Some(targets), classes })
}

/// Images from files.
fn of_files(args: &Args, model: &Model, device: &DeviceOptions) -> Result<Ready, Failure> {
    let weights = train::read_weights(&args.weights.weights)?;
    let images = sphc::listed(model, &args.images)?;
    let meaning = sphc::meaning(&args.weights.weights, &weights, None)?;
    let batch = args.batch.map_or(256, |it| it as usize).min(images.len());
    let trained = Trained::new(model, meaning.as_ref(), batch)?;
    let mut compilation = trained.compile(batch, images.len())?;
    let (training, precision) = (recipe_of(compilation.plan())?.clone(), compilation.plan().precision);
    let mut inputs = Inputs::default();
    for path in &images {
        inputs.add(path, &training, precision)?;
    }
    // A file may hold several.
    let count = inputs.names.len();
    if count != images.len() {
        compilation = trained.compile(args.batch.map_or(256, |it| it as usize).min(count), count)?;
    }
    let weights = sphc::fitting_weights(model, weights, &args.weights.weights, compilation.plan())?;
    inputs.remark(model, meaning.as_ref(), &training, precision);
    let (mut session, _) = compilation.open(device)?;
    weights.load(&mut session, Need::Inference)?;
    session.share(Extern::TestImages, Arc::new(inputs.bytes))?;
    session.clear(Extern::TestLabels)?;
    Ok(Ready { session, count, files: inputs.names, targets: None, classes: trained.names })
}

/// What is said of the images beside their features.
fn described(count: usize, files: Vec<String>, targets: Option<Targets>, classes: Vec<String>) -> Vec<Named> {
    let array = |name: &str, shape: Vec<usize>, values| Named { name: name.to_owned(), shape, values };
    let mut res = Vec::new();
    if !files.is_empty() {
        res.push(array("files", vec![files.len()], Values::Texts(files)));
    }
    match targets {
        Some(Targets::Classes(all)) => res.push(array("labels", vec![count], Values::Ints(all))),
        Some(Targets::Bytes { each, bytes }) => res.push(array("labels", vec![count, each], Values::Bytes(bytes))),
        Some(Targets::Numbers { each, numbers }) => {
            let numbers = numbers.into_iter().map(|it| it as f32).collect();
            res.push(array("labels", vec![count, each], Values::Reals(numbers)));
        }
        None => {}
    }
    if !classes.is_empty() {
        res.push(array("classes", vec![classes.len()], Values::Texts(classes)));
    }
    res
}

/// A table: a row for each image, with its file or number, its class where it has one, and all numbers.
fn written(file: &mut File, arrays: &[Named], files: &[String], labels: &[i64], classes: &[String]) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(file);
    let mut header = vec![if files.is_empty() { "image" } else { "file" }.to_owned()];
    if !labels.is_empty() {
        header.extend(["label", "class"].map(str::to_owned));
    }
    let each = |array: &Named| array.shape.iter().skip(1).product::<usize>();
    for array in arrays {
        match each(array) {
            1 => header.push(array.name.clone()),
            count => header.extend((0..count).map(|it| format!("{}_{it}", array.name))),
        }
    }
    out.write_record(&header)?;
    let count = arrays.first().map_or(0, |it| it.shape[0]);
    for at in 0..count {
        let mut row = vec![files.get(at).cloned().unwrap_or_else(|| at.to_string())];
        if let Some(label) = labels.get(at) {
            let class = usize::try_from(*label).ok().and_then(|it| classes.get(it)).cloned().unwrap_or_default();
            row.extend([label.to_string(), class]);
        }
        for array in arrays {
            if let Values::Reals(numbers) = &array.values {
                row.extend(numbers[at * each(array)..][..each(array)].iter().map(f32::to_string));
            }
        }
        out.write_record(&row)?;
    }
    out.flush()
}
