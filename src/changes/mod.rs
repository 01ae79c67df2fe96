//! What differs between two models, by the lines that made them. Two that compute different things are never called the same.

mod text;

use crate::api::Compilation;
use crate::ir::{Graph, NodeId, Phase, random};
use crate::pipeline::line_of;
use crate::plan::{self, Plan};
use std::collections::BTreeMap;

/// The longest text of a cell.
const LONGEST: usize = 72;

/// What a difference is about, and how it is in both models; nothing where one has nothing of it.
pub type Change = (String, Option<String>, Option<String>);

/// What differs between two models.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Whether both compute the same, by the same operations in the same order: what the text says of the model, what the
    /// recipe makes of it, and what is run.
    pub same: bool,
    /// Params whose values differ, and statements that do, with their lines.
    pub written: Vec<Change>,
    /// Operations that differ, with the lines that made them. Something of what is written or computed differs unless both are the same.
    pub computed: Vec<Change>,
}

/// Compares two models. Layout, comments, spellings of numbers and names of one's own within a definition are no differences.
pub fn between(a: &Compilation, b: &Compilation) -> Changes {
    let same = same(a, b);
    let written = definitions(a, b);
    let mut computed = lines(a, b);
    if !same && written.is_empty() && computed.is_empty() {
        computed.push(last_resort(a, b));
    }
    Changes { same, written, computed }
}

fn graph(model: &Compilation) -> &Graph {
    model.checked.typed.as_ref().map_or_else(|| model.compiled.training.graph(), |it| it.graph())
}

/// The text of a graph without its name.
fn text(graph: &Graph) -> String {
    let text = graph.to_string();
    text.split_once('\n').map_or(String::new(), |it| it.1.to_owned())
}

fn same(a: &Compilation, b: &Compilation) -> bool {
    let trained = |it: &Compilation| text(it.compiled.training.graph());
    text(graph(a)) == text(graph(b)) && trained(a) == trained(b) && run(a) == run(b)
}

/// What is run, without where it comes from.
fn run(model: &Compilation) -> Plan {
    let mut plan = model.compiled.plan.clone();
    plan.name.clear();
    plan.hash.clear();
    plan.source.clear();
    plan.buffers.iter_mut().for_each(|it| it.line.clear());
    plan
}

/// On one line, and not too long.
fn short(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Params whose values differ, and statements that do, with their lines.
fn definitions(a: &Compilation, b: &Compilation) -> Vec<Change> {
    let values = [a, b].map(|it| &it.compiled.training.graph().values);
    let names = values[0].keys().chain(values[1].keys().filter(|it| !values[0].contains_key(*it)));
    let params = names.filter(|it| values[0].get(*it) != values[1].get(*it)).map(|it| {
        let [a, b] = parted(values.map(|all| all.get(it).map(String::as_str)));
        (format!("param {it}"), a, b)
    });
    params.chain(text::changes(a, b)).collect()
}

/// Two texts, cut so that the place where they part can be seen.
fn parted([a, b]: [Option<&str>; 2]) -> [Option<String>; 2] {
    let (Some(x), Some(y)) = (a, b) else { return [a.map(short), b.map(short)] };
    let equal = x.chars().zip(y.chars()).take_while(|it| it.0 == it.1).count();
    let skip = if equal < LONGEST / 2 { 0 } else { equal - LONGEST / 4 };
    let cut = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        if skip == 0 { short(&rest) } else { format!("...{}", short(&rest)) }
    };
    [Some(cut(x)), Some(cut(y))]
}

/// An operation of the forward pass.
struct Step {
    layer: String,
    /// Itself, without what it works on.
    own: String,
    /// With the layers and parameters whose results it takes.
    whole: String,
    /// The text it was made from, and the line.
    source: String,
    line: String,
}

/// The operations that outputs and updates need, in order.
fn steps(model: &Compilation) -> Vec<Step> {
    let graph = graph(model);
    let roots = graph.outputs.values().copied().chain(graph.effects.get(&Phase::Step).into_iter().flatten().copied());
    let mut needed = graph.needed(roots);
    needed.sort();
    let mut known: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut found = Vec::new();
    for id in needed {
        let origin = graph.origin_of(graph.origin_id(id));
        let own = graph.op_text(id);
        let operands = graph.operands(id).into_iter().map(|it| {
            let other = &graph.origin_of(graph.origin_id(it)).layer;
            if other.is_empty() || *other == origin.layer { known[&it].clone() } else { other.clone() }
        });
        // A number for a long text: equal texts have equal numbers.
        let whole = format!("{own}({})", operands.collect::<Vec<_>>().join(", "));
        known.insert(id, if whole.len() < 200 { whole.clone() } else { format!("{:016x}", random::stream(&whole)) });
        let source = short(model.checked.sources.slice(origin.span));
        let line = line_of(graph, &model.checked.sources, graph.origin_id(id));
        found.push(Step { layer: origin.layer.clone(), own, whole, source, line });
    }
    found
}

/// What is in `these` more often than in `others`, by a key.
fn only<'s>(these: &'s [Step], others: &[Step], key: fn(&Step) -> (String, String)) -> Vec<&'s Step> {
    let mut left: BTreeMap<(String, String), usize> = BTreeMap::new();
    for it in others {
        *left.entry(key(it)).or_default() += 1;
    }
    let mut found = Vec::new();
    for it in these {
        match left.get_mut(&key(it)) {
            Some(count @ 1..) => *count -= 1,
            Some(_) | None => found.push(it),
        }
    }
    found
}

/// Rows of steps that differ: by the text that made them where that differs, else by what they compute.
fn rows(a: &[&Step], b: &[&Step]) -> Vec<Change> {
    let mut rows: Vec<Change> = Vec::new();
    let mut others: Vec<&Step> = b.to_vec();
    for it in a {
        let other = others.iter().position(|other| other.layer == it.layer).map(|at| others.remove(at));
        push(&mut rows, Some(it), other);
    }
    for it in others {
        push(&mut rows, None, Some(it));
    }
    rows
}

fn push(rows: &mut Vec<Change>, a: Option<&Step>, b: Option<&Step>) {
    let Some(one) = a.or(b) else { return };
    let told = match (a, b) {
        (Some(a), Some(b)) if a.source == b.source && a.own == b.own => [Some(&a.whole), Some(&b.whole)],
        (Some(a), Some(b)) if a.source == b.source => [Some(&a.own), Some(&b.own)],
        _ => [a.map(|it| &it.source), b.map(|it| &it.source)],
    };
    let [first, second] = parted(told.map(|it| it.map(String::as_str)));
    let cell = |step: Option<&Step>, text: Option<String>| Some(format!("{} ({})", text?, step?.line));
    let name = if one.layer.is_empty() { "between layers".to_owned() } else { one.layer.clone() };
    let row = (name, cell(a, first), cell(b, second));
    if !rows.contains(&row) {
        rows.push(row);
    }
}

/// Operations that differ, with their lines: where no text explains it.
fn lines(a: &Compilation, b: &Compilation) -> Vec<Change> {
    let (a, b) = (steps(a), steps(b));
    let own = |it: &'_ Step| (it.layer.clone(), it.own.clone());
    let whole = |it: &'_ Step| (it.layer.clone(), it.whole.clone());
    let found = rows(&only(&a, &b, own), &only(&b, &a, own));
    if !found.is_empty() {
        return found;
    }
    rows(&only(&a, &b, whole), &only(&b, &a, whole)).into_iter().take(1).collect()
}

/// The first line of the graphs' own texts that differs, those before the training's first, or of the plans': when nothing
/// else tells two models apart.
fn last_resort(a: &Compilation, b: &Compilation) -> Change {
    let whole = |it: &Compilation| text(graph(it)) + &text(it.compiled.training.graph());
    let plan = |it: &Compilation| plan::to_yaml(&run(it)).unwrap_or_default();
    let none = || ("plan".to_owned(), Some("as it is run".to_owned()), Some("in another way".to_owned()));
    first("graph", &whole(a), &whole(b)).or_else(|| first("plan", &plan(a), &plan(b))).unwrap_or_else(none)
}

/// The first line that differs.
fn first(name: &str, a: &str, b: &str) -> Option<Change> {
    let (mut x, mut y) = (a.lines(), b.lines());
    loop {
        match (x.next(), y.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((name.to_owned(), a.map(short), b.map(short))),
        }
    }
}
