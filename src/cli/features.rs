//! `sphc features`.

use super::args::{self, DeviceArgs, RecipeArgs, SetArgs, SplitArg, WeightsArgs};
use super::dtype::{Dtype, Kept};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{load, plot, points, stop};
use clap::ValueEnum;
use sphc::data::{self, Named, Targets, Values};
use sphc::diag;
use sphc::ir::{Extern, Figure, Graph, Op, Phase, ResultKey, TargetKind, feature};
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
    /// What numbers are written as; 32 bits unless given, 64 of what is computed in 64
    #[arg(long, value_enum, value_name = "DTYPE")]
    dtype: Option<Dtype>,
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
    /// What the name of a file asks for; arrays where it has no ending.
    fn of(path: &Path) -> Result<Kind, Failure> {
        let Some(ending) = path.extension() else { return Ok(Kind::Npz) };
        match ending.to_ascii_lowercase().to_str() {
            Some("npz") => Ok(Kind::Npz),
            Some("csv") => Ok(Kind::Csv),
            Some("svg" | "png") => Ok(Kind::Picture),
            Some(_) | None => Err(Failure::new(
                format!("the name of `{}` does not say what to write", path.display()),
                "let it end in .npz, .csv, .svg or .png, or say it with `--format`",
            )),
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
    let kind = args.format.map_or_else(|| Kind::of(&args.output), Ok)?;
    if kind == Kind::Picture {
        plot::can_draw(&args.output)?;
        if let [first, second, ..] = args.layer.as_slice() {
            let cause = format!("a picture has room for one layer, and `{first}` and `{second}` are named");
            return Err(Failure::new(cause, "draw each by itself, or write .npz or .csv"));
        }
        if args.dtype.is_some() {
            let cause = "a picture has no numbers, and `--dtype` tells what numbers are written as";
            return Err(Failure::new(cause, "leave it out, or write .npz or .csv"));
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
    let dtype = match kind {
        // Places in a picture.
        Kind::Picture => Dtype::Float64,
        Kind::Npz | Kind::Csv => args.dtype.unwrap_or_else(|| Dtype::of(session.plan.precision)),
    };
    let mut kept: Vec<Kept> = keys.iter().map(|_| Kept::none(dtype)).collect();
    let mut keep = |at: usize, found: &[f64]| kept[at].extend(found);
    if !train::features(&mut session, &keys, count, &stop::asked, &mut keep)? {
        return Ok(stop::status());
    }
    let mut arrays = Vec::new();
    for ((name, key), numbers) in names.iter().zip(&keys).zip(kept) {
        let shape = [vec![count], extents(&session.plan, key)].concat();
        arrays.push(Named { name: name.clone(), shape, values: numbers.end(name)? });
    }
    match kind {
        Kind::Npz => {
            let kind = recipe_of(&session.plan)?.target.clone();
            arrays.extend(described(count, files, targets.zip(Some(kind)), classes, dtype));
            output.fill(|file| data::write_npz(&arrays, file))?;
        }
        Kind::Picture => {
            let numbers = match arrays.first().map(|it| &it.values) {
                Some(Values::Doubles(it)) => it.as_slice(),
                Some(_) | None => &[],
            };
            let points = points::of_numbers(&names[0], numbers, count, targets.as_ref(), classes)?;
            let bytes = plot::points_as(&args.output, &points)?;
            output.fill(|file| file.write_all(&bytes))?;
        }
        Kind::Csv => {
            output.fill(|file| written(file, &arrays, &files, targets.as_ref(), &classes))?;
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
fn described(
    count: usize,
    files: Vec<String>,
    targets: Option<(Targets, TargetKind)>,
    classes: Vec<String>,
    dtype: Dtype,
) -> Vec<Named> {
    let array = |name: &str, shape: Vec<usize>, values| Named { name: name.to_owned(), shape, values };
    // Those that the data set gave them.
    let shaped = |kind: TargetKind, each: usize| {
        let extents = match kind {
            TargetKind::Map(extents) => extents.to_vec(),
            TargetKind::Numbers(extents) => extents,
            TargetKind::Class | TargetKind::Labels => vec![each],
        };
        let fits = extents.iter().product::<usize>() == each;
        [vec![count], if fits { extents } else { vec![each] }].concat()
    };
    let mut res = Vec::new();
    if !files.is_empty() {
        res.push(array("files", vec![files.len()], Values::Texts(files)));
    }
    match targets {
        Some((Targets::Classes(all), _)) => res.push(array("labels", vec![count], Values::Ints(all))),
        Some((Targets::Bytes { each, bytes }, kind)) => {
            res.push(array("labels", shaped(kind, each), Values::Bytes(bytes)));
        }
        Some((Targets::Numbers { each, numbers }, kind)) => {
            let values = match dtype {
                // What is to be met is not rounded with what was found.
                Dtype::Float16 | Dtype::Float32 => Values::Reals(numbers.into_iter().map(|it| it as f32).collect()),
                Dtype::Float64 => Values::Doubles(numbers),
            };
            res.push(array("labels", shaped(kind, each), values));
        }
        None => {}
    }
    if !classes.is_empty() {
        res.push(array("classes", vec![classes.len()], Values::Texts(classes)));
    }
    res
}

/// A table: a row for each image, with its file or number, what it is to be answered with where that is known, and all numbers.
fn written(
    file: &mut File,
    arrays: &[Named],
    files: &[String],
    targets: Option<&Targets>,
    classes: &[String],
) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(file);
    let mut header = vec![if files.is_empty() { "image" } else { "file" }.to_owned()];
    let columns = |name: &str, each: usize| match each {
        1 => vec![name.to_owned()],
        count => (0..count).map(|it| format!("{name}_{it}")).collect(),
    };
    match targets {
        Some(Targets::Classes(_)) => header.extend(["label", "class"].map(str::to_owned)),
        Some(Targets::Bytes { each, .. } | Targets::Numbers { each, .. }) => header.extend(columns("label", *each)),
        None => {}
    }
    let each = |array: &Named| array.shape.iter().skip(1).product::<usize>();
    arrays.iter().for_each(|it| header.extend(columns(&it.name, each(it))));
    out.write_record(&header)?;
    let count = arrays.first().map_or(0, |it| it.shape[0]);
    for at in 0..count {
        let mut row = vec![files.get(at).cloned().unwrap_or_else(|| at.to_string())];
        match targets {
            Some(Targets::Classes(labels)) => {
                let class = usize::try_from(labels[at]).ok().and_then(|it| classes.get(it)).cloned();
                row.extend([labels[at].to_string(), class.unwrap_or_default()]);
            }
            Some(Targets::Bytes { each, bytes }) => {
                row.extend(bytes[at * each..][..*each].iter().map(u8::to_string));
            }
            Some(Targets::Numbers { each, numbers }) => {
                row.extend(numbers[at * each..][..*each].iter().map(ToString::to_string));
            }
            None => {}
        }
        for array in arrays {
            let own = at * each(array)..(at + 1) * each(array);
            match &array.values {
                Values::Halves(all) => row.extend(all[own].iter().map(ToString::to_string)),
                Values::Reals(all) => row.extend(all[own].iter().map(ToString::to_string)),
                Values::Doubles(all) => row.extend(all[own].iter().map(ToString::to_string)),
                Values::Ints(_) | Values::Bytes(_) | Values::Texts(_) => {}
            }
        }
        out.write_record(&row)?;
    }
    out.flush()
}
