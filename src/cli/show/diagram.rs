//! What a picture of a model shows: its layers in the blocks that the text has, where ways through it come together, and
//! repeats as one.

use super::{Row, shape};
use crate::cli::table;
use sphc::ir::{Binary, Block, ExprNode, Graph, Mode, NodeId, Op, Origin};
use std::collections::{BTreeMap, BTreeSet};

/// Boxes and the ways between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Diagram {
    pub(super) items: Vec<Item>,
    /// Between items, by position, sources first.
    pub(super) edges: BTreeSet<(usize, usize)>,
    /// What comes from outside: for each source, the items that read it.
    pub(super) entries: Vec<Vec<usize>>,
    /// Items whose results are read outside.
    pub(super) exits: Vec<usize>,
}

/// A box.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Where it is: `first`, below the block around it.
    pub(super) title: String,
    /// What it is: a line for each layer that is drawn as one with it.
    pub(super) kinds: Vec<String>,
    /// The sizes of its result, one for each of the items that are drawn as this one.
    pub(super) shapes: Vec<Vec<usize>>,
    /// Likewise the numbers it learns.
    pub(super) parameters: Vec<usize>,
    /// The layers that are meant.
    pub(super) paths: Vec<String>,
    pub(super) look: Look,
}

#[derive(Clone, Debug)]
pub(super) enum Look {
    Box,
    /// Where several ways become one.
    Join,
    /// A block with what is in it.
    Block(Diagram),
}

impl Item {
    /// How many items are drawn as this one.
    pub(super) fn times(&self) -> usize {
        self.parameters.len().max(1)
    }

    /// The same beside the item around it, which is drawn once for so many.
    pub(super) fn times_within(&self, around: usize) -> usize {
        if self.times() == around { 1 } else { self.times() }
    }

    /// The lines below its title.
    pub(super) fn facts(&self) -> Vec<String> {
        let mut facts = self.kinds.clone();
        let shapes = span(&self.shapes, |it| shape(it));
        let parameters = match &self.look {
            Look::Block(_) => Some(self.parameters.iter().sum::<usize>()).filter(|it| *it != 0).map(numbers),
            Look::Box | Look::Join if self.parameters.iter().all(|it| *it == 0) => None,
            Look::Box | Look::Join => {
                span(&self.parameters, |it| table::grouped(*it as u64)).map(|it| it + " parameters")
            }
        };
        let sizes: Vec<String> = shapes.filter(|it| !it.is_empty()).into_iter().chain(parameters).collect();
        if !sizes.is_empty() {
            facts.push(sizes.join(", "));
        }
        facts
    }

    /// What two items have in common that can be drawn as one.
    fn signature(&self) -> String {
        let inside = match &self.look {
            Look::Box => "box".to_owned(),
            Look::Join => "join".to_owned(),
            Look::Block(it) => it.signature(),
        };
        format!("{:?} {inside}", self.kinds)
    }
}

fn numbers(count: usize) -> String {
    format!("{} parameters", table::grouped(count as u64))
}

/// `a`, or `a … b` of values that are not all the same.
fn span<T: PartialEq>(all: &[T], text: impl Fn(&T) -> String) -> Option<String> {
    let (first, last) = (all.first()?, all.last()?);
    Some(if all.iter().all(|it| it == first) { text(first) } else { format!("{} … {}", text(first), text(last)) })
}

impl Diagram {
    fn signature(&self) -> String {
        let items: Vec<String> = self.items.iter().map(Item::signature).collect();
        format!("{{{}; {:?} {:?} {:?}}}", items.join(", "), self.edges, self.entries, self.exits)
    }

    /// Items of one kind that follow each other, each reading nothing but the one before, as one.
    fn folded(mut self) -> Self {
        for item in &mut self.items {
            if let Look::Block(inside) = &mut item.look {
                *inside = std::mem::take(inside).folded();
            }
        }
        let count = self.items.len();
        let (mut before, mut after) = (vec![BTreeSet::new(); count], vec![BTreeSet::new(); count]);
        for &(from, to) in &self.edges {
            before[to].insert(from);
            after[from].insert(to);
        }
        let entered: BTreeSet<usize> = self.entries.iter().flatten().copied().collect();
        let signatures: Vec<String> = self.items.iter().map(Item::signature).collect();
        // The item that each is drawn as.
        let mut drawn: Vec<usize> = (0..count).collect();
        for at in 0..count {
            if drawn[at] != at || matches!(self.items[at].look, Look::Join) {
                continue;
            }
            let mut run = vec![at];
            let next = |last: usize| -> Option<usize> {
                let &next = after[last].first().filter(|_| after[last].len() == 1)?;
                let alone = before[next].len() == 1 && !entered.contains(&next) && !self.exits.contains(&last);
                (alone && signatures[next] == signatures[at]).then_some(next)
            };
            while let Some(it) = run.last().and_then(|it| next(*it)) {
                run.push(it);
            }
            // Two boxes are no repeat yet, two blocks are.
            if run.len() < if matches!(self.items[at].look, Look::Box) { 3 } else { 2 } {
                continue;
            }
            run.iter().for_each(|it| drawn[*it] = at);
            let all: Vec<Item> = run.iter().map(|it| self.items[*it].clone()).collect();
            self.items[at] = one(&all);
        }
        self.kept(&drawn)
    }

    /// What is left where items are drawn as others.
    fn kept(self, drawn: &[usize]) -> Self {
        let kept: Vec<usize> = (0..drawn.len()).filter(|it| drawn[*it] == *it).collect();
        let place = |it: usize| kept.partition_point(|kept| *kept < drawn[it]);
        let edges = self.edges.iter().map(|&(a, b)| (place(a), place(b))).filter(|it| it.0 != it.1).collect();
        let entries = self.entries.iter().map(|it| it.iter().map(|it| place(*it)).collect()).collect();
        let mut exits: Vec<usize> = self.exits.iter().map(|it| place(*it)).collect();
        exits.dedup();
        let mut items: Vec<Option<Item>> = self.items.into_iter().map(Some).collect();
        let items = kept.iter().filter_map(|it| items[*it].take()).collect();
        Self { items, edges, entries, exits }
    }
}

/// Items of one signature as one.
fn one(all: &[Item]) -> Item {
    let title = |it: &Item| it.title.clone();
    let (first, last) = (&all[0], &all[all.len() - 1]);
    let look = match &first.look {
        Look::Block(inside) => {
            let mut inside = inside.clone();
            for (at, item) in inside.items.iter_mut().enumerate() {
                let same: Vec<Item> = (all.iter())
                    .filter_map(|it| match &it.look {
                        Look::Block(it) => it.items.get(at).cloned(),
                        Look::Box | Look::Join => None,
                    })
                    .collect();
                *item = Item { title: item.title.clone(), ..one(&same) };
            }
            Look::Block(inside)
        }
        Look::Box => Look::Box,
        Look::Join => Look::Join,
    };
    Item {
        title: if all.len() == 1 { title(first) } else { format!("{} … {}", first.title, last.title) },
        kinds: first.kinds.clone(),
        shapes: all.iter().flat_map(|it| it.shapes.clone()).collect(),
        parameters: all.iter().flat_map(|it| it.parameters.clone()).collect(),
        paths: all.iter().flat_map(|it| it.paths.clone()).collect(),
        look,
    }
}

/// The model as a picture has it; `fold`s repeats.
pub(super) fn of(graph: &Graph, rows: &[Row], fold: bool) -> Diagram {
    let mut elements = elements(graph, rows);
    let drawn = merged(&mut elements);
    let tree = tree(graph, &elements, &drawn);
    if fold { tree.folded() } else { tree }
}

/// An item before it is put into blocks.
struct Element {
    item: Item,
    /// The elements whose results it reads.
    sources: BTreeSet<usize>,
    /// The block it is in.
    home: Option<usize>,
    /// Whether it is a layer, and can have others drawn as one with it.
    layer: bool,
}

/// All of them, sources first.
fn elements(graph: &Graph, rows: &[Row]) -> Vec<Element> {
    let Some(&output) = graph.outputs.get(&Mode::Train) else { return Vec::new() };
    let input = graph.inputs.get(&Mode::Train).copied();
    let of_rows: BTreeMap<&str, &Row> =
        rows.iter().filter(|it| it.is_layer()).map(|it| (it.path.as_str(), it)).collect();
    let mut layers: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (at, layer) in graph.layers.iter().enumerate() {
        layers.entry(layer.output).or_default().push(at);
    }
    let applied: BTreeMap<NodeId, &[String]> =
        graph.applied.iter().filter_map(|it| Some((it.output?, it.then.as_slice()))).collect();
    // By node: the elements that its value comes from directly.
    let mut heads: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    let mut all: Vec<Element> = Vec::new();
    for id in needed(graph, output, input) {
        let mut here: BTreeSet<usize> = BTreeSet::new();
        let of: Vec<NodeId> = if Some(id) == input { Vec::new() } else { graph.operands(id) };
        of.iter().filter_map(|it| heads.get(it)).for_each(|it| here.extend(it));
        let dims = graph.shape(id).dims().get(1..).unwrap_or(&[]).to_vec();
        if Some(id) == input {
            let item = item("input", Vec::new(), dims.clone(), 0, Look::Box);
            all.push(Element { item, sources: BTreeSet::new(), home: None, layer: false });
            here = BTreeSet::from([all.len() - 1]);
        }
        let origin = graph.origin_of(graph.origin_id(id));
        let differ = of.iter().filter_map(|it| heads.get(it)).filter(|it| !it.is_empty()).any(|it| *it != here);
        if differ {
            let then = applied.get(&id).copied().unwrap_or_default();
            let kinds = vec![[&[join(graph, id).to_owned()], then].concat().join(", ")];
            let item = item("", kinds, dims, 0, Look::Join);
            all.push(Element { item, sources: here, home: home(graph, origin), layer: false });
            here = BTreeSet::from([all.len() - 1]);
        }
        // A layer whose result another layer only passes on ends at the same node.
        for &at in layers.get(&id).into_iter().flatten() {
            let layer = &graph.layers[at];
            let kinds = vec![[std::slice::from_ref(&layer.callee.text), layer.then.as_slice()].concat().join(", ")];
            let (dims, learned) =
                of_rows.get(layer.path.as_str()).map_or((Vec::new(), 0), |it| (it.shape.clone(), it.parameters()));
            let item = item(&layer.path, kinds, dims, learned, Look::Box);
            let home = graph.blocks.iter().rposition(|it| it.layers.contains(&at));
            all.push(Element { item, sources: here, home, layer: true });
            here = BTreeSet::from([all.len() - 1]);
        }
        heads.insert(id, here);
    }
    all
}

fn item(path: &str, kinds: Vec<String>, dims: Vec<usize>, parameters: usize, look: Look) -> Item {
    let paths = if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    Item { title: path.to_owned(), kinds, shapes: vec![dims], parameters: vec![parameters], paths, look }
}

/// What the output is made from, operands first.
fn needed(graph: &Graph, output: NodeId, input: Option<NodeId>) -> BTreeSet<NodeId> {
    let mut todo = vec![output];
    let mut res = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if res.insert(id) && Some(id) != input {
            todo.extend(graph.operands(id));
        }
    }
    res
}

/// How several values become one.
fn join(graph: &Graph, id: NodeId) -> &'static str {
    let body = match graph.op(id) {
        Op::Map { body, .. } => body,
        Op::Assemble { .. } => return "concat",
        Op::MatMul { .. } | Op::Conv(_) => return "product",
        _ => return "join",
    };
    let sums = |it: &ExprNode| matches!(it, ExprNode::Binary(Binary::Add | Binary::Sub, ..));
    let products = |it: &ExprNode| matches!(it, ExprNode::Binary(Binary::Mul, ..));
    if body.nodes.iter().any(sums) {
        "+"
    } else if body.nodes.iter().any(products) {
        "×"
    } else {
        "join"
    }
}

/// The innermost block that something belongs to by where it came from.
fn home(graph: &Graph, origin: &Origin) -> Option<usize> {
    let holds = |it: &Block| {
        let below = origin.layer.strip_prefix(it.path.as_str()).is_some_and(|it| it.is_empty() || it.starts_with('/'));
        below && origin.frames.starts_with(&it.frames) && (!it.prelude || origin.span == it.span)
    };
    graph.blocks.iter().rposition(holds)
}

/// Draws what belongs beside a layer, such as its normalisation, as one with it, where nothing else reads the layer: for each
/// element, the one that it is drawn as.
fn merged(elements: &mut [Element]) -> Vec<usize> {
    let mut drawn: Vec<usize> = (0..elements.len()).collect();
    let mut readers = vec![0; elements.len()];
    elements.iter().flat_map(|it| &it.sources).for_each(|it| readers[*it] += 1);
    for at in 1..elements.len() {
        let [source] = elements[at].sources.iter().copied().collect::<Vec<_>>()[..] else { continue };
        let owner = drawn[source];
        let below = format!("{}/", elements[owner].item.title);
        let beside = elements[at].layer && elements[owner].layer && elements[at].item.title.starts_with(&below);
        if !beside || readers[source] != 1 || elements[at].home != elements[owner].home {
            continue;
        }
        drawn[at] = owner;
        let follower = elements[at].item.clone();
        let item = &mut elements[owner].item;
        item.kinds.extend(follower.kinds);
        item.shapes = follower.shapes;
        item.parameters[0] += follower.parameters[0];
        item.paths.extend(follower.paths);
    }
    drawn
}

/// Puts elements into their blocks.
fn tree(graph: &Graph, elements: &[Element], drawn: &[usize]) -> Diagram {
    let kept: Vec<usize> = (0..elements.len()).filter(|it| drawn[*it] == *it).collect();
    // A block with a single thing in it is no more than that.
    let mut held = vec![0; graph.blocks.len()];
    let around = |block: usize| std::iter::successors(Some(block), |it| graph.blocks[*it].around);
    for home in kept.iter().filter_map(|it| elements[*it].home) {
        around(home).for_each(|it| held[it] += 1);
    }
    // Nor is a block around another one that holds nothing else.
    let mut drawn_block: Vec<bool> = held.iter().map(|it| 1 < *it).collect();
    for (at, block) in graph.blocks.iter().enumerate() {
        if let Some(outer) = block.around.filter(|it| held[*it] == held[at]) {
            drawn_block[outer] = false;
        }
    }
    // The blocks around each element, outermost first.
    let homes: BTreeMap<usize, Vec<usize>> = (kept.iter())
        .map(|&at| {
            let mut blocks: Vec<usize> =
                elements[at].home.into_iter().flat_map(around).filter(|it| drawn_block[*it]).collect();
            blocks.reverse();
            (at, blocks)
        })
        .collect();
    let read = |to: usize| elements[to].sources.iter().map(move |from| (drawn[*from], drawn[to]));
    let edges: BTreeSet<(usize, usize)> = (0..elements.len()).flat_map(read).filter(|it| it.0 != it.1).collect();
    Level { graph, elements, homes: &homes, edges: &edges }.diagram(&[], &kept)
}

struct Level<'a> {
    graph: &'a Graph,
    elements: &'a [Element],
    homes: &'a BTreeMap<usize, Vec<usize>>,
    edges: &'a BTreeSet<(usize, usize)>,
}

/// What an item of a level stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Element(usize),
    Block(usize),
}

impl Level<'_> {
    /// The part of a level `within` some blocks that an element is in; `None` if it is outside of them.
    fn part(&self, within: &[usize], element: usize) -> Option<Part> {
        let homes = &self.homes[&element];
        let rest = homes.strip_prefix(within)?;
        Some(rest.first().map_or(Part::Element(element), |it| Part::Block(*it)))
    }

    /// What is `within` some blocks, outermost first.
    fn diagram(&self, within: &[usize], inside: &[usize]) -> Diagram {
        let mut parts: Vec<Part> = Vec::new();
        for &element in inside {
            if let Some(part) = self.part(within, element).filter(|it| !parts.contains(it)) {
                parts.push(part);
            }
        }
        let place: BTreeMap<Part, usize> = parts.iter().enumerate().map(|(at, it)| (*it, at)).collect();
        let at = |element: usize| self.part(within, element).and_then(|it| place.get(&it).copied());
        let (mut edges, mut exits) = (BTreeSet::new(), BTreeSet::new());
        let mut entries: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for &(from, to) in self.edges {
            match (at(from), at(to)) {
                (Some(from), Some(to)) if from != to => drop(edges.insert((from, to))),
                (None, Some(to)) => drop(entries.entry(from).or_default().insert(to)),
                (Some(from), None) => drop(exits.insert(from)),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let around = within.last().map_or("", |it| self.graph.blocks[*it].path.as_str());
        // What has the path of the block around it needs no title.
        let below = |path: &str| {
            let rest = path.strip_prefix(around).filter(|it| it.is_empty() || it.starts_with('/'));
            rest.filter(|_| !around.is_empty()).map_or(path, |it| it.trim_start_matches('/')).to_owned()
        };
        let item = |part: &Part| match part {
            Part::Element(it) => {
                let item = self.elements[*it].item.clone();
                Item { title: below(&item.title), ..item }
            }
            Part::Block(it) => {
                let block = &self.graph.blocks[*it];
                let within: Vec<usize> = within.iter().copied().chain([*it]).collect();
                let inside: Vec<usize> =
                    inside.iter().copied().filter(|it| self.homes[it].starts_with(&within)).collect();
                let diagram = self.diagram(&within, &inside);
                let learned = inside.iter().map(|it| self.elements[*it].item.parameters[0]).sum();
                let paths = vec![block.path.clone()];
                let (title, kinds) = (below(&block.path), vec![block.callee.text.clone()]);
                let look = Look::Block(diagram);
                Item { title, kinds, shapes: Vec::new(), parameters: vec![learned], paths, look }
            }
        };
        let items = parts.iter().map(item).collect();
        let entries = entries.into_values().map(|it| it.into_iter().collect()).collect();
        Diagram { items, edges, entries, exits: exits.into_iter().collect() }
    }
}
