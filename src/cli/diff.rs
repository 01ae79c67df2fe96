//! `sphc diff`: what differs between two experiments, or between two settings of one.

use super::args::{self, RecipeArgs, SetArgs};
use super::failure::{Failure, Outcome};
use super::show::{self, Row};
use super::table;
use super::{load, memory, say};
use sphc::Compilation;
use sphc::changes::{self, Change, Changes};
use sphc::diag::Span;
use sphc::ir::recipe::{Keep, Views};
use sphc::ir::{Clip, ImageStep, ParamId, Phase, augment};
use sphc::plan::Training;
use sphc::syntax;
use sphc::syntax::ast::{Item, TrainEntry};
use std::collections::{BTreeMap, BTreeSet};
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
    let text = text(&a, &b);
    say::out().write_all(text.as_bytes())?;
    if text.is_empty() {
        let _ = writeln!(say::err(), "both are the same: network, recipe and what is run");
    }
    Ok(ExitCode::SUCCESS)
}

/// A table for the text, layers, recipe and totals, each with what differs; nothing where that is layout, comments and names of
/// one's own.
fn text(a: &Compilation, b: &Compilation) -> String {
    let Changes { same, written, computed } = changes::between(a, b);
    let layers = layers(&show::rows(a), &show::rows(b));
    if same && layers.is_empty() && differing(&facts(recipe(a)), &facts(recipe(b))).is_empty() {
        return String::new();
    }
    let change = |(name, a, b): Change| row(&name, a, b);
    let recipe: Vec<Vec<String>> = recipes(a, b).into_iter().map(change).collect();
    // What is computed is told where nothing else explains it.
    let explained = !(written.is_empty() && layers.is_empty() && recipe.is_empty());
    let computed = if explained { Vec::new() } else { computed.into_iter().map(change).collect() };
    let mut written: Vec<Vec<String>> = written.into_iter().map(change).collect();
    written.dedup();
    let total = differing(&facts(totals(a)), &facts(totals(b))).into_iter().map(change).collect();
    let parts = [("text", written), ("layer", layers), ("computed", computed), ("recipe", recipe), ("total", total)];
    let mut res = String::new();
    for (name, rows) in parts.iter().filter(|it| !it.1.is_empty()) {
        let separator = if res.is_empty() { "" } else { "\n" };
        let _ = write!(res, "{separator}{}", table::render(&[name, "A", "B"], rows));
    }
    res
}

/// Layers of one name that are not the same, and those that only one has, in the order of the first model; then what follows
/// sums and the like.
fn layers(a: &[Row], b: &[Row]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (key, of_a, of_b) in paired(a, b) {
        let about = [of_a, of_b].map(|it| it.map(about));
        let same = about[0] == about[1];
        if !same {
            let [a, b] = about;
            rows.push(row(&key, a, b));
        }
        let (Some(a), Some(b)) = (of_a, of_b) else { continue };
        // What a line does not tell: long lists, and what is kept or learned.
        if same {
            rows.extend(
                differing(&facts(more(a)), &facts(more(b)))
                    .into_iter()
                    .map(|(name, a, b)| row(&format!("{key} {name}"), a, b)),
            );
        }
    }
    rows
}

/// Rows of one name side by side. Functions that are no layer's have no name: they are counted within their block.
fn paired<'r>(a: &'r [Row], b: &'r [Row]) -> Vec<(String, Option<&'r Row>, Option<&'r Row>)> {
    let keyed = |rows: &'r [Row]| -> Vec<(String, &'r Row)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        rows.iter()
            .map(|it| {
                if it.is_layer() {
                    return (it.path.clone(), it);
                }
                let count = counts.entry(it.path.as_str()).or_default();
                *count += 1;
                let within = if it.path.is_empty() { "the model" } else { it.path.as_str() };
                (format!("function {count} in {within}"), it)
            })
            .collect()
    };
    let (a, b) = (keyed(a), keyed(b));
    let of_b: BTreeMap<&str, &Row> = b.iter().map(|it| (it.0.as_str(), it.1)).collect();
    let of_a: BTreeSet<&str> = a.iter().map(|it| it.0.as_str()).collect();
    let first = a.iter().map(|it| (it.0.clone(), Some(it.1), of_b.get(it.0.as_str()).copied()));
    let second = b.iter().filter(|it| !of_a.contains(it.0.as_str())).map(|it| (it.0.clone(), None, Some(it.1)));
    first.chain(second).collect()
}

fn about(row: &Row) -> String {
    let mut res = [std::slice::from_ref(&row.kind), row.then.as_slice()].concat();
    res.retain(|it| !it.is_empty());
    let mut res = format!("{} -> {}", res.join(", "), show::shape(&row.shape));
    if row.parameters() != 0 {
        let _ = write!(res, ", {} parameters", table::grouped(row.parameters() as u64));
    }
    res
}

/// Arguments and tensors of a layer.
fn more(row: &Row) -> Vec<(String, String)> {
    let arguments = row.arguments.iter().map(|(name, it)| (name.clone(), it.to_string()));
    let tensors = row.learned.iter().map(|it| (it.name.clone(), it.about()));
    arguments.chain(tensors).collect()
}

fn row(name: &str, a: Option<String>, b: Option<String>) -> Vec<String> {
    let cell = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
    vec![name.to_owned(), cell(a), cell(b)]
}

/// Something of a model, by a name that several can have.
#[derive(Clone)]
struct Fact {
    name: String,
    /// What it is compared by.
    key: String,
    text: String,
    /// Where it stands.
    line: Option<String>,
}

/// The same without a line.
type Facts = Vec<(&'static str, String)>;

fn facts<N: Into<String>>(all: impl IntoIterator<Item = (N, String)>) -> Vec<Fact> {
    all.into_iter().map(|(name, text)| Fact { name: name.into(), key: text.clone(), text, line: None }).collect()
}

/// Facts that only one has, side by side.
fn differing(a: &[Fact], b: &[Fact]) -> Vec<Change> {
    let is = |one: &Fact, other: &Fact| one.name == other.name && one.key == other.key;
    let only = |these: &[Fact], others: &[Fact]| -> Vec<Fact> {
        these.iter().filter(|it| !others.iter().any(|other| is(it, other))).cloned().collect()
    };
    let told = |it: Fact| match it.line {
        Some(line) => format!("{} ({line})", it.text),
        None => it.text,
    };
    let mut left = only(b, a);
    let mut rows = Vec::new();
    for it in only(a, b) {
        let other = left.iter().position(|other| other.name == it.name).map(|at| told(left.remove(at)));
        rows.push((it.name.clone(), Some(told(it)), other));
    }
    rows.extend(left.into_iter().map(|it| (it.name.clone(), None, Some(told(it)))));
    rows
}

/// Entries of both recipes that are not the same, with their lines.
fn recipes(a: &Compilation, b: &Compilation) -> Vec<Change> {
    let mut rows = differing(&placed(a, recipe(a)), &placed(b, recipe(b)));
    // Which tensors an entry is of, and what a metric is, its facts do not tell.
    for key in ["metric", "freeze", "optimizer", "penalty", "project", "loss"] {
        if rows.iter().all(|it| it.0 != key) {
            rows.extend(differing(&entries(a, key), &entries(b, key)));
        }
    }
    rows
}

/// Facts of the recipe with the lines of their entries, in order.
fn placed(model: &Compilation, all: Facts) -> Vec<Fact> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut facts = Vec::new();
    for (key, text) in all {
        let count = counts.entry(key).or_default();
        let entry = trains(model).filter(|it| it.key.name == key).nth(*count);
        *count += 1;
        let line = entry.map(|it| model.checked.sources.line_of(it.span));
        facts.push(Fact { name: key.to_owned(), key: text.clone(), text, line });
    }
    facts
}

fn trains(model: &Compilation) -> impl Iterator<Item = &TrainEntry> {
    model.checked.ast.items.iter().flat_map(|it| match it {
        Item::Train(it) => it.entries.as_slice(),
        _ => &[],
    })
}

/// Entries of a key as they are written, compared whatever their layout.
fn entries(model: &Compilation, key: &str) -> Vec<Fact> {
    let lines = model.checked.ast.items.iter().filter(|it| matches!(it, Item::Train(_))).flat_map(syntax::lines);
    let of_key = lines.filter(|it| it.text.split_once(' ').is_some_and(|it| it.0 == key));
    of_key
        .map(|it| Fact {
            name: key.to_owned(),
            key: it.text,
            text: written(model, it.span),
            line: Some(model.checked.sources.line_of(it.span)),
        })
        .collect()
}

/// An entry on one line, without its key, which is the name of the row.
fn written(model: &Compilation, entry: Span) -> String {
    let words: Vec<&str> = model.checked.sources.slice(entry).split_whitespace().skip(1).collect();
    words.join(" ")
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
        ("shards", if it.shards == 1 { "none".to_owned() } else { it.shards.to_string() }),
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
    facts.extend(it.validate.map(|it| ("validate", it.to_string())));
    facts.extend(it.average.iter().map(|it| ("average", it.text.clone())));
    let entry = |span: Span, params: &[ParamId], weight: Option<f64>| {
        let text = written(model, span);
        let plural = if params.len() == 1 { "" } else { "s" };
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
