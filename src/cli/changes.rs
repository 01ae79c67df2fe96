//! What differs between two graphs, by the lines that made them: for `sphc diff`, which must never call two models equal
//! that compute different things.

use sphc::Compilation;
use sphc::diag::Span;
use sphc::ir::{Graph, NodeId, Phase};
use sphc::pipeline::line_of;
use sphc::syntax::ast::Item;
use std::collections::BTreeMap;

/// The longest text of a cell.
const LONGEST: usize = 72;

/// A row: what it is about, and how it is in both models.
pub(super) type Change = (String, Option<String>, Option<String>);

fn graph(model: &Compilation) -> &Graph {
    model.checked.typed.as_ref().map_or_else(|| model.compiled.training.graph(), |it| it.graph())
}

/// The text of a graph without its name.
fn text(graph: &Graph) -> String {
    let text = graph.to_string();
    text.split_once('\n').map_or(String::new(), |it| it.1.to_owned())
}

/// Whether both compute the same, by the same operations in the same order: what the text says of the model, and what the
/// recipe makes of it.
pub(super) fn same(a: &Compilation, b: &Compilation) -> bool {
    let trained = |it: &Compilation| text(it.compiled.training.graph());
    text(graph(a)) == text(graph(b)) && trained(a) == trained(b)
}

/// On one line, and not too long.
fn short(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Params, operators, functions and blocks of one name that are not the same, with what `--set` gives.
pub(super) fn definitions(models: [(&Compilation, &[(String, String)]); 2]) -> Vec<Change> {
    let of = |(model, set): (&Compilation, &[(String, String)])| -> BTreeMap<String, String> {
        let slice = |span: Span| model.checked.sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let items = model.checked.ast.items.iter().filter_map(|it| match it {
            Item::Param(it) => {
                let given = set.iter().rev().find(|set| set.0 == it.name.name).map(|it| it.1.clone());
                Some((format!("param {}", it.name.name), given.unwrap_or_else(|| slice(it.default.span))))
            }
            Item::Operator(it) => Some((format!("operator {}", it.name.name), slice(it.span))),
            Item::Recipe(part, it) => Some((format!("{} {}", part.word(), it.name.name), slice(it.span))),
            Item::Fn(it) => Some((format!("fn {}", it.name.name), slice(it.span))),
            Item::Block(it) => Some((format!("block {}", it.name.name), slice(it.span))),
            Item::Import(_) | Item::Model(_) | Item::Train(_) => None,
        });
        items.collect()
    };
    let [a, b] = models.map(of);
    let names = a.keys().chain(b.keys().filter(|it| !a.contains_key(*it)));
    names
        .filter(|it| a.get(*it) != b.get(*it))
        .map(|it| {
            let both = [a.get(it), b.get(it)].map(|text| text.map(|text| text.as_str()));
            let [a, b] = parted(both);
            (it.clone(), a, b)
        })
        .collect()
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
        known.insert(
            id,
            if whole.len() < 200 { whole.clone() } else { format!("{:016x}", sphc::ir::random::stream(&whole)) },
        );
        let source = short(model.checked.sources.slice(origin.span));
        let line = line_of(graph, &model.checked.sources, graph.origin_id(id));
        found.push(Step { layer: origin.layer.clone(), own, whole, source, line });
    }
    found
}

/// What is in `these` more often than in `others`, by a key.
fn only<'s>(these: &'s [Step], others: &[Step], key: fn(&Step) -> (&str, &str)) -> Vec<&'s Step> {
    let mut left: BTreeMap<(&str, &str), usize> = BTreeMap::new();
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

/// Operations that differ, with their lines. Those whose text is the same only when nothing `explains` the difference.
pub(super) fn lines(a: &Compilation, b: &Compilation, explained: bool) -> Vec<Change> {
    let (a, b) = (steps(a), steps(b));
    let by_text = |it: &&Step| {
        a.iter().filter(|a| a.source == it.source).count() != b.iter().filter(|b| b.source == it.source).count()
    };
    let first: Vec<&Step> = only(&a, &b, |it| (&it.layer, &it.own)).into_iter().filter(by_text).collect();
    let second: Vec<&Step> = only(&b, &a, |it| (&it.layer, &it.own)).into_iter().filter(by_text).collect();
    let found = rows(&first, &second);
    if explained || !found.is_empty() {
        return found;
    }
    let found = rows(&only(&a, &b, |it| (&it.layer, &it.own)), &only(&b, &a, |it| (&it.layer, &it.own)));
    if !found.is_empty() {
        return found;
    }
    let found = rows(&only(&a, &b, |it| (&it.layer, &it.whole)), &only(&b, &a, |it| (&it.layer, &it.whole)));
    found.into_iter().take(1).collect()
}

/// The first line of the graphs' own texts that differs, before the training's are: when nothing else tells two models apart.
pub(super) fn last_resort(a: &Compilation, b: &Compilation) -> Option<Change> {
    let whole = |it: &Compilation| text(graph(it)) + &text(it.compiled.training.graph());
    let (a, b) = (whole(a), whole(b));
    let (mut x, mut y) = (a.lines(), b.lines());
    loop {
        match (x.next(), y.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some(("graph".to_owned(), a.map(short), b.map(short))),
        }
    }
}
