//! `sphc inspect`: angles, norms and energy of filters, and units that never answer.

mod board;

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs, SplitArg, WeightsArgs};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{features, load, plot, say, stop, table};
use serde_json::json;
use sphc::ir::{Geometric, Graph, Param, ParamRole, Phase, ResultKey, feature};
use sphc::train::Seen;
use sphc::train::curves::{LayerAngles, Tile};
use sphc::{Options, diag, train};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph)
    file: PathBuf,
    #[command(flatten)]
    weights: WeightsArgs,
    /// Look at these layers only; may come again
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    layer: Vec<String>,
    /// How many examples are looked at
    #[arg(long, value_name = "N", value_parser = args::positive, default_value_t = 256)]
    examples: u64,
    /// Which images of the data set
    #[arg(long, value_enum, default_value_t)]
    split: SplitArg,
    /// Data set: a name, a directory (CIFAR, MNIST or images by class), an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Examples at once
    #[arg(long, value_name = "N", value_parser = args::positive)]
    batch: Option<u64>,
    /// Draw the angles, too: .svg or .png
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Draw the filters of the first layer that sees one or three channels, too: .svg or .png
    #[arg(long, value_name = "FILE")]
    filters: Option<PathBuf>,
    /// Show it to TensorBoard, too, at the iteration of the weights; a directory of its own, such as RUN/inspected
    #[arg(long, value_name = "DIR", value_parser = args::directory())]
    tensorboard: Option<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How many filters are beside each other in a picture.
const COLUMNS: usize = 16;
/// Width of a filter in the picture.
const SIDE: u32 = 48;
/// Parts of 10 degrees.
const PARTS: usize = 18;

/// What is found of a layer.
struct Look {
    name: String,
    operator: String,
    /// How many angles lie in each part.
    angles: [u64; PARTS],
    patches: Vec<f64>,
    filters: Vec<f64>,
    energy: f64,
    /// How many filters.
    count: usize,
    /// For each unit, whether it was ever above 0.
    alive: Vec<bool>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = args.device.checked()?;
    if sphc::is_plan(&args.file) {
        let cause = format!("`{}` is a plan, which tells what it was compiled to tell", args.file.display());
        return Err(Failure::new(cause, "give the `.sph` file that it was compiled from"));
    }
    let place = |path: &Option<PathBuf>, flag: &'static str, other: &Option<PathBuf>| {
        let Some(path) = path.clone() else { return Ok(None) };
        plot::can_draw(&path)?;
        let taken: Vec<&Path> =
            [&args.file, &args.weights.weights].into_iter().chain(other).map(PathBuf::as_path).collect();
        Output::new(&path, flag, &taken).map(|output| Some((path, output)))
    };
    let picture = place(&args.svg, "--svg", &None)?;
    let filters = place(&args.filters, "--filters", &args.svg)?;
    args.tensorboard.as_deref().map_or(Ok(()), board::may_hold)?;
    let recipe = RecipeArgs { data: args.data.clone(), batch: args.batch, ..RecipeArgs::default() };
    let options = Options {
        evaluates: true,
        split: args.split.into(),
        weights_map: args.weights.weights_map.clone(),
        ..args::options(&args.set, &recipe, args.device.precision)
    };
    let model = load::model(&args.file, options.clone())?;
    let checked = model.check()?;
    let looks = match checked.graph() {
        Some(graph) => layers(graph, &args.layer)?,
        None => Vec::new(),
    };
    let kinds = Geometric::ALL;
    let names = looks.iter().flat_map(|it| kinds.map(|kind| kind.under(&it.name)).into_iter().chain([it.name.clone()]));
    let model = model.with(Options { features: names.collect(), ..options });
    let ready = features::of_data(&args.weights.weights, &model, &device)?;
    let (mut session, count) = (ready.session, ready.count.min(args.examples as usize));
    let plan = session.plan.clone();
    let last = |name: &str| {
        let found = plan.result(Phase::Evaluate, &feature(name));
        found.map(|it| it.shape.dims().last().copied().unwrap_or(1))
    };
    // Filters that go the other way meet no patches.
    let meets = |it: &Look| kinds.iter().all(|kind| last(&kind.under(&it.name)).is_some());
    let (mut looks, untold): (Vec<Look>, Vec<Look>) = looks.into_iter().partition(meets);
    if let Some(it) = untold.iter().find(|it| args.layer.contains(&it.name) || looks.is_empty()) {
        let cause = format!("the filters of `{}` meet no patches", it.name);
        return Err(Failure::new(cause, "choose layers that convolve, with `--layer`"));
    }
    for it in &untold {
        args::warn(&[format!("`{}` is left out: its filters meet no patches", it.name)]);
    }
    let mut keys: Vec<ResultKey> = Vec::new();
    let mut of: Vec<(usize, Option<Geometric>)> = Vec::new();
    for (at, it) in looks.iter_mut().enumerate() {
        for kind in kinds.into_iter().filter(|it| *it != Geometric::Filters) {
            keys.push(feature(&kind.under(&it.name)));
            of.push((at, Some(kind)));
        }
        it.count = last(&Geometric::Filters.under(&it.name)).unwrap_or(0);
        // What gives nothing by its name has no units to count.
        if let Some(units) = last(&it.name) {
            it.alive = vec![false; units];
            keys.push(feature(&it.name));
            of.push((at, None));
        }
    }
    stop::listen();
    let mut wrong = None;
    let mut see = |key: usize, numbers: &[f64]| {
        let (at, kind) = of[key];
        if numbers.iter().any(|it| !it.is_finite()) {
            wrong.get_or_insert(at);
        }
        looks[at].see(kind, numbers);
    };
    if !train::features(&mut session, &keys, count, &stop::asked, &mut see)? {
        return Ok(stop::status());
    }
    if let Some(at) = wrong {
        let cause = format!("what `{}` makes of these images is not finite", looks[at].name);
        return Err(Failure::new(cause, "`sphc eval` with these weights says where NaN or infinite numbers arise"));
    }
    for it in &mut looks {
        let filters = session.result(Phase::Evaluate, feature(&Geometric::Filters.under(&it.name)))?;
        it.judge(&filters);
        it.patches.sort_by(f64::total_cmp);
        it.filters.sort_by(f64::total_cmp);
    }
    if let Some((path, output)) = picture {
        let drawn: Vec<LayerAngles> = looks.iter().map(Look::drawn).collect();
        let bytes = plot::layers_as(&path, &drawn)?;
        output.fill(|file| file.write_all(&bytes))?;
    }
    let mut pictured = None;
    if filters.is_some() || args.tensorboard.is_some() {
        for it in &looks {
            let key = feature(&Geometric::Filters.under(&it.name));
            let Some(found) = plan.result(Phase::Evaluate, &key) else { continue };
            if let Some(tiles) = Tile::filters(found.shape.dims(), &session.result(Phase::Evaluate, &key)?) {
                pictured = Some((it, tiles));
                break;
            }
        }
    }
    if let Some(directory) = &args.tensorboard {
        let weights = train::read_weights(&args.weights.weights)?;
        // Weights of other programs are of no iteration.
        let step = weights.metadata.get("step").and_then(|it| it.parse().ok()).unwrap_or(0);
        let of_filters =
            |(it, tiles): &(&Look, Vec<Tile>)| (format!("filters/{}", it.name), Seen::Filters(tiles.clone()));
        board::show(directory, step, &looks, pictured.iter().map(of_filters).collect())?;
    }
    if let Some((path, output)) = filters {
        let Some((layer, tiles)) = pictured else {
            let cause = "no filter of these layers has one or three channels and more than one pixel, which it takes for a picture";
            return Err(Failure::new(
                cause,
                "leave out `--filters`, or choose a layer that sees the image with `--layer`",
            ));
        };
        let bytes = plot::images_as(&path, &tiles, COLUMNS, SIDE)?;
        output.fill(|file| file.write_all(&bytes))?;
        let told = format!("`{}`: {} in `{}`", layer.name, say::counted(tiles.len(), "filter", "s"), path.display());
        if args.format == Format::Human {
            writeln!(say::out(), "{told}")?;
        }
    }
    let mut out = say::out();
    match args.format {
        Format::Json => looks.iter().try_for_each(|it| writeln!(out, "{}", it.as_json(count)))?,
        Format::Human => write!(out, "{}", as_tables(&looks, count))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The layers with filters, or those of them that were asked for.
fn layers(graph: &Graph, wanted: &[String]) -> Result<Vec<Look>, Failure> {
    let filters: Vec<&Param> = graph.params.iter().filter(|it| it.role == ParamRole::Filter).collect();
    // Of a layer with several it would not be clear which is meant.
    let (several, single): (Vec<&Param>, Vec<&Param>) =
        filters.iter().partition(|it| 1 < filters.iter().filter(|other| other.layer == it.layer).count());
    let asked = |it: &&&Param| wanted.is_empty() || wanted.contains(&it.layer);
    let mut several: Vec<&str> = several.iter().filter(asked).map(|it| it.layer.as_str()).collect();
    several.dedup();
    if let Some(layer) = several.first().filter(|_| !wanted.is_empty() || single.is_empty()) {
        let cause = format!("`{layer}` has several parameters that are filters");
        return Err(Failure::new(cause, "choose layers that have one, with `--layer`"));
    }
    for layer in several {
        args::warn(&[format!("`{layer}` is left out: several of its parameters are filters")]);
    }
    let all: Vec<Look> = single
        .iter()
        .map(|it| Look {
            name: it.layer.clone(),
            operator: it.operator.clone(),
            angles: [0; PARTS],
            patches: Vec::new(),
            filters: Vec::new(),
            energy: 0.0,
            count: 0,
            alive: Vec::new(),
        })
        .collect();
    let names: Vec<String> = all.iter().map(|it| it.name.clone()).collect();
    if let Some(name) = wanted.iter().find(|it| !names.contains(it)) {
        let near = match diag::did_you_mean(name, names.iter().map(String::as_str)) {
            Some(it) => format!("did you mean `{it}`? "),
            None => String::new(),
        };
        let cause = format!("`{}` has no layer of filters `{name}`", graph.name);
        return Err(Failure::new(cause, format!("{near}it has {}", names.join(", "))));
    }
    if all.is_empty() {
        let cause = format!("`{}` has no layers of filters", graph.name);
        return Err(Failure::new(cause, "`sphc features` tells what other layers make of images"));
    }
    Ok(all.into_iter().filter(|it| wanted.is_empty() || wanted.contains(&it.name)).collect())
}

impl Look {
    /// Takes what is told of some images: of the geometry, or what the layer gives.
    fn see(&mut self, kind: Option<Geometric>, numbers: &[f64]) {
        match kind {
            Some(Geometric::Angles) => {
                for it in numbers {
                    self.angles[((it.to_degrees() / 10.0) as usize).min(PARTS - 1)] += 1;
                }
            }
            Some(Geometric::PatchSquares) => self.patches.extend(numbers.iter().map(|it| it.max(0.0).sqrt())),
            Some(Geometric::Filters) => {}
            None => {
                let units = self.alive.len().max(1);
                numbers.iter().enumerate().for_each(|(at, it)| self.alive[at % units] |= 0.0 < *it);
            }
        }
    }

    /// Norms of the filters, and the energy that the prelude's `penalty energy` has for a weight of 1.
    fn judge(&mut self, filters: &[f64]) {
        let n = self.count;
        let vectors: Vec<Vec<f64>> =
            (0..n).map(|at| filters.iter().skip(at).step_by(n.max(1)).copied().collect()).collect();
        let squares = |it: &Vec<f64>| it.iter().map(|it| it * it).sum::<f64>();
        self.filters = vectors.iter().map(|it| squares(it).sqrt()).collect();
        let units: Vec<Vec<f64>> = vectors
            .iter()
            .map(|it| {
                let norm = (squares(it) + 1e-4).sqrt();
                it.iter().map(|it| it / norm).collect()
            })
            .collect();
        let energy = |a: &Vec<f64>, b: &Vec<f64>| {
            let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            1.0 / (2.0 - 2.0 * cosine).max(1e-6)
        };
        let pairs = (0..n).flat_map(|b| (0..b).map(move |a| (a, b)));
        let sum: f64 = pairs.map(|(a, b)| energy(&units[a], &units[b])).sum();
        self.energy = 2.0 * sum / (n * n.saturating_sub(1)).max(1) as f64;
    }

    fn dead(&self) -> f64 {
        self.alive.iter().filter(|it| !**it).count() as f64 / self.alive.len().max(1) as f64
    }

    fn drawn(&self) -> LayerAngles {
        let facts = format!(
            "{}; filters' norms {}, patches' {}; energy {:.4}; {:.1} % dead",
            self.operator,
            ends(&self.filters),
            ends(&self.patches),
            self.energy,
            100.0 * self.dead()
        );
        LayerAngles { name: self.name.clone(), facts, counts: self.angles.to_vec() }
    }

    fn as_json(&self, examples: usize) -> serde_json::Value {
        let norms = |it: &[f64]| {
            let [least, median, most] = three(it);
            json!({ "min": least, "median": median, "max": most })
        };
        json!({
            "layer": self.name,
            "operator": self.operator,
            "examples": examples,
            "angles": self.angles,
            "filter_norms": norms(&self.filters),
            "patch_norms": norms(&self.patches),
            "energy": self.energy,
            "dead": self.dead(),
        })
    }
}

/// Minimum, median and maximum of sorted numbers; of an even count the median is the mean of the two in the middle.
fn three(sorted: &[f64]) -> [f64; 3] {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return [0.0; 3] };
    let half = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[half] } else { 0.5 * (sorted[half - 1] + sorted[half]) };
    [*first, median, *last]
}

fn ends(sorted: &[f64]) -> String {
    let [least, _, most] = three(sorted);
    format!("{least:.3} to {most:.3}")
}

fn as_tables(looks: &[Look], examples: usize) -> String {
    let number = |it: f64| format!("{it:.4}");
    let rows: Vec<Vec<String>> = looks
        .iter()
        .map(|it| {
            let norms = three(&it.filters).into_iter().chain(three(&it.patches)).map(number);
            let last = [number(it.energy), format!("{:.1} %", 100.0 * it.dead())];
            [it.name.clone(), it.operator.clone()].into_iter().chain(norms).chain(last).collect()
        })
        .collect();
    let header = [
        "layer",
        "operator",
        ">filters: min",
        ">median",
        ">max",
        ">patches: min",
        ">median",
        ">max",
        ">energy",
        ">dead",
    ];
    let mut res = format!("over {}\n", say::counted(examples, "example", "s"));
    res += &table::render(&header, &rows);
    let angles: Vec<Vec<String>> = looks
        .iter()
        .map(|it| {
            let total = it.angles.iter().sum::<u64>().max(1) as f64;
            let share = it.angles.iter().map(|it| format!("{:.1}", 100.0 * *it as f64 / total));
            std::iter::once(it.name.clone()).chain(share).collect()
        })
        .collect();
    let parts: Vec<String> = (0..PARTS).map(|it| format!(">{}°", 10 * it)).collect();
    let header: Vec<&str> = std::iter::once("layer").chain(parts.iter().map(String::as_str)).collect();
    res += "\nangles between patches and filters, % of them from each angle on\n";
    res + &table::render(&header, &angles)
}
