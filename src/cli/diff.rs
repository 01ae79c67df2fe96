//! `sphc diff`: what differs between two experiments, or between two settings of one.

use super::args::{self, RecipeArgs, SetArgs};
use super::changes::{self, Change};
use super::failure::{Failure, Outcome};
use super::show::{self, Row};
use super::table;
use super::{load, memory, say};
use sphc::Compilation;
use sphc::diag::Span;
use sphc::ir::recipe::{Keep, Views};
use sphc::ir::{Clip, ImageStep, ParamId, Phase, augment};
use sphc::plan::Training;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The first model file (.sph)
    a: PathBuf,
    /// The second one; may be the same file with other settings
    b: PathBuf,
    #[command(flatten)]
    set: SetArgs,
    /// Set a `param` of the first file only
    #[arg(long, value_name = "NAME=VALUE", value_parser = args::parse_set)]
    set_a: Vec<(String, String)>,
    /// Set a `param` of the second file only
    #[arg(long, value_name = "NAME=VALUE", value_parser = args::parse_set)]
    set_b: Vec<(String, String)>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let set = |own: &[(String, String)]| {
        // What is said of one file goes before what is said of both.
        let both = args.set.set.iter().filter(|it| own.iter().all(|own| own.0 != it.0));
        SetArgs { set: both.chain(own).cloned().collect() }
    };
    let load = |path: &PathBuf, set: &SetArgs| -> Result<Compilation, Failure> {
        Ok(load::model(path, args::options(set, &RecipeArgs::default(), None))?.compile()?)
    };
    let sets = [set(&args.set_a), set(&args.set_b)];
    let (a, b) = (load(&args.a, &sets[0])?, load(&args.b, &sets[1])?);
    let given = [&sets[0].set[..], &sets[1].set[..]];
    say::out().write_all(text(&a, &b, given).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A table for layers, recipe and totals, each with what differs; a line if nothing does.
fn text(a: &Compilation, b: &Compilation, set: [&[(String, String)]; 2]) -> String {
    let layers = layers(&show::rows(a), &show::rows(b));
    let recipe = differing(&recipe(a), &recipe(b));
    let total = differing(&totals(a), &totals(b));
    let (mut defined, mut lines) = (Vec::new(), Vec::new());
    if !changes::same(a, b) {
        defined = changes::definitions([(a, set[0]), (b, set[1])]);
        let explained = !(layers.is_empty() && recipe.is_empty() && defined.is_empty());
        lines = changes::lines(a, b, explained);
        if !explained && lines.is_empty() {
            lines.extend(changes::last_resort(a, b));
        }
    }
    let change = |(name, a, b): Change| row(&name, a, b);
    let parts = [
        ("layer", layers),
        ("defined", defined.into_iter().map(change).collect()),
        ("computed", lines.into_iter().map(change).collect()),
        ("recipe", recipe),
        ("total", total),
    ];
    let mut res = String::new();
    for (name, rows) in parts.iter().filter(|it| !it.1.is_empty()) {
        let separator = if res.is_empty() { "" } else { "\n" };
        let _ = write!(res, "{separator}{}", table::render(&[name, "A", "B"], rows));
    }
    if res.is_empty() { "no difference in layers, recipe and cost\n".to_owned() } else { res }
}

/// Layers of one name that are not the same, and those that only one has, in the order of the first model.
fn layers(a: &[Row], b: &[Row]) -> Vec<Vec<String>> {
    let find = |rows: &[Row], path: &str| rows.iter().find(|it| it.path == path).map(about);
    let of_a = a.iter().map(|it| (&it.path, Some(about(it)), find(b, &it.path)));
    let of_b = b.iter().filter(|it| find(a, &it.path).is_none()).map(|it| (&it.path, None, Some(about(it))));
    of_a.chain(of_b).filter(|it| it.1 != it.2).map(|(path, a, b)| row(path, a, b)).collect()
}

fn about(row: &Row) -> String {
    let mut res = format!("{} -> {}", row.kind, show::shape(&row.shape));
    if row.parameters() != 0 {
        let _ = write!(res, ", {} parameters", table::grouped(row.parameters() as u64));
    }
    res
}

fn row(name: &str, a: Option<String>, b: Option<String>) -> Vec<String> {
    let cell = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
    vec![name.to_owned(), cell(a), cell(b)]
}

/// Named facts, several of one name possible; what both have is left out.
type Facts = Vec<(&'static str, String)>;

fn differing(a: &Facts, b: &Facts) -> Vec<Vec<String>> {
    let only =
        |these: &Facts, others: &Facts| -> Facts { these.iter().filter(|it| !others.contains(it)).cloned().collect() };
    let (of_a, mut of_b) = (only(a, b), only(b, a));
    let mut rows = Vec::new();
    for (name, text) in of_a {
        let other = of_b.iter().position(|it| it.0 == name).map(|at| of_b.remove(at).1);
        rows.push(row(name, Some(text), other));
    }
    rows.extend(of_b.into_iter().map(|(name, text)| row(name, None, Some(text))));
    rows
}

fn recipe(model: &Compilation) -> Facts {
    let graph = model.compiled.training.graph();
    let Some(it) = &graph.recipe else { return vec![("recipe", "none".to_owned())] };
    let every = |steps: u64| if steps == 0 { "at the end".to_owned() } else { format!("every {steps}") };
    let mirror = if it.alternate { "flip_horizontal(alternate: true)" } else { "flip_horizontal" };
    let moves = augment::text(&it.augment).replace("flip_horizontal", mirror);
    let steps_and_mix = [moves].into_iter().chain(it.mix.map(|it| it.to_string()));
    let augmented = steps_and_mix.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", ");
    let mut facts = vec![
        ("data", format!("{} ({} training, {} test images)", it.data, it.train_examples, it.test_examples)),
        ("images", steps(&graph.images)),
        ("augment", if augmented.is_empty() { "none".to_owned() } else { augmented }),
        ("batch", in_parts(it.batch, it.accumulate)),
        ("iterations", it.iterations.to_string()),
        ("loss", it.loss.clone()),
        ("schedule", it.schedule.clone()),
        ("evaluate", every(it.evaluate_every)),
        ("checkpoint", kept(it.keep) + &every(it.checkpoint_every)),
        ("precision", it.precision.unwrap_or_default().word().to_owned()),
        ("seed", it.seed.to_string()),
    ];
    let some = |it: &[ParamId]| format!("{} tensor{}", it.len(), if it.len() == 1 { "" } else { "s" });
    let one = it.optimizers.len() == 1;
    let optimizers = it
        .optimizers
        .iter()
        .map(|it| if one { it.text.clone() } else { format!("{} ({})", it.text, some(&it.params)) });
    facts.extend(optimizers.map(|it| ("optimizer", it)));
    if it.patience != 0 {
        facts.push(("patience", it.patience.to_string()));
    }
    if !it.frozen.is_empty() {
        facts.push(("freeze", some(&it.frozen)));
    }
    facts.extend(it.clip.map(|it| match it {
        Clip::Norm(most) => ("clip", format!("norm({most})")),
        Clip::Value(most) => ("clip", format!("value({most})")),
    }));
    if it.views != Views::default() {
        facts.push(("views", it.views.to_string()));
    }
    facts.extend(it.average.iter().map(|it| ("average", it.text.clone())));
    let entry = |span: Span, params: &[ParamId], weight: Option<f64>| {
        let text = model.checked.sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let plural = if params.len() == 1 { "" } else { "s" };
        // The key is the name of the row.
        let text = text.split_once(' ').map_or(String::new(), |it| it.1.to_owned());
        // What params give the text does not tell.
        let written = |weight: f64| text.split(['(', ',', ')', ' ']).any(|it| it.parse() == Ok(weight));
        let weight = weight.filter(|it| !written(*it)).map_or(String::new(), |it| format!(", weight {it}"));
        format!("{text} ({} tensor{plural}{weight})", params.len())
    };
    facts.extend(it.penalties.iter().map(|it| ("penalty", entry(it.span, &it.params, it.weight))));
    facts.extend(it.projections.iter().map(|it| ("project", entry(it.span, &it.params, None))));
    facts
}

/// `128`, or `128 in 4 parts`.
fn in_parts(batch: usize, parts: usize) -> String {
    if parts == 1 { batch.to_string() } else { format!("{batch} in {parts} parts") }
}

/// `last(3), best, `: before the interval.
fn kept(keep: Keep) -> String {
    let last = keep.last.map(|it| format!("last({it}), "));
    last.unwrap_or_default() + if keep.best { "best, " } else { "" }
}

fn steps(steps: &[ImageStep]) -> String {
    let step = |it: &ImageStep| match it {
        ImageStep::Resize { height, width } => format!("resize({height}, {width})"),
        ImageStep::Pad(by) => format!("pad({by})"),
        ImageStep::Channels(count) => format!("channels({count})"),
    };
    if steps.is_empty() { "as they are".to_owned() } else { steps.iter().map(step).collect::<Vec<_>>().join(" |> ") }
}

fn totals(model: &Compilation) -> Facts {
    let plan = &model.compiled.plan;
    let parameters: usize = model.compiled.training.graph().params.iter().map(|it| it.shape.len()).sum();
    let batch = plan.training.as_ref().map_or(1, Training::part);
    let flops = |phase: Phase, of: f64| {
        let groups = model.compiled.fused.phases.get(&phase);
        let sum: u64 = groups.iter().flat_map(|it| it.iter()).map(|it| it.flops).sum();
        format!("{}FLOPs", table::scaled(sum as f64 / of))
    };
    let mut facts =
        vec![("parameters", table::grouped(parameters as u64)), ("an image", flops(Phase::Evaluate, batch as f64))];
    if plan.training.is_some() {
        facts.push(("a step", flops(Phase::Step, 1.0)));
    }
    facts.push(("memory", table::bytes(memory::of(plan, None).total())));
    facts
}
