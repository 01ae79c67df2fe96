//! Turns what the shape rules found into diagnostics.
//!
//! The rules themselves ran when the graph was built (`ir::infer`); a node whose rule failed holds
//! `Unknown`, and so does everything behind it. Only the first of such a chain is reported.

use super::Typed;
use super::explain::{SIDES, Subject, chain, geometry_notes, pad_advice, sides, table};
use crate::diag::{Code, Diagnostic, Sink};
use crate::ir::{DType, Extern, Fact, Graph, Mode, NodeId, Op, Shape, ShapeError, infer, size, work};

/// Reports every op that does not fit its operands; gives the graph back as it came when there is one, or was an earlier
/// error.
pub fn check(graph: Graph, sink: &mut Sink) -> Result<Typed, Box<Graph>> {
    let mut sound = true;
    for id in graph.ids().filter(|&it| *graph.fact(it) == Fact::Unknown) {
        sound = false;
        let operands = graph.operands(id);
        let facts: Vec<&Fact> = operands.iter().map(|&it| graph.fact(it)).collect();
        if let Err(error) = infer(graph.op(id), &facts, &graph.params, &graph.states) {
            sink.push(report(&graph, id, &operands, error));
        }
    }
    if !sound && !sink.has_errors() {
        // Every first unknown node has a rule that does not hold, so this is a bug; but no panic later on.
        if let Some(id) = graph.ids().find(|&it| *graph.fact(it) == Fact::Unknown) {
            let message = "the shape of this is unknown, and nothing says why".to_owned();
            sink.push(
                Subject::of(&graph, id)
                    .diagnostic(Code::E0302, message)
                    .note("this is a bug of sphc: please report it with this file"),
            );
        }
    }
    if sound {
        check_total(&graph, sink);
    }
    if sound && !sink.has_errors() { Ok(Typed { graph }) } else { Err(Box::new(graph)) }
}

fn report(graph: &Graph, id: NodeId, operands: &[NodeId], error: ShapeError) -> Diagnostic {
    let place = Subject::of(graph, id);
    let what = place.name();
    match error {
        ShapeError::Empty { size, geometry } => {
            let [kh, kw] = geometry.kernel;
            let (extent, [dh, dw]) = (geometry.extent(), geometry.dilation);
            let dilated = if [dh, dw] == [1, 1] { String::new() } else { format!(" with dilation {dh}x{dw}") };
            let message = format!(
                "{what} has an empty output: kernel {kh}x{kw}{dilated} does not fit an input of {}x{}",
                size[0], size[1]
            );
            let needs = [0, 1].map(|it| extent[it].saturating_sub(geometry.before[it] + geometry.after[it]));
            let mut res = place
                .diagnostic(Code::E0301, message)
                .label(format!("input {}x{}, needs at least {}x{}", size[0], size[1], needs[0], needs[1]));
            if let Some(chain) = chain(graph, operands[0]) {
                res = res.note(format!("sizes on the way here: {chain}"));
            }
            geometry_notes(&geometry, size).into_iter().fold(res, Diagnostic::note).help(pad_advice(size))
        }
        ShapeError::Mismatch { operand, left, right } => {
            let nodes = [operands[0], operands[operand.min(operands.len() - 1)]];
            let [a, b] = [(nodes[0], &left), (nodes[1], &right)].map(|(node, it)| example(graph, node, &it.0));
            let message = format!("cannot combine {a} and {b}");
            let res = place.diagnostic(Code::E0302, message).label("the two sides have different shapes");
            let mut res = sides(graph, &place, res, nodes);
            for (side, node) in SIDES.iter().zip(nodes) {
                if let Some(chain) = chain(graph, node) {
                    res = res.note(format!("{side}: {chain}"));
                }
            }
            table(&left.0, &right.0).into_iter().fold(res, Diagnostic::note).help(mismatch_advice(&left.0, &right.0))
        }
        ShapeError::Channels { input, filter } => place
            .diagnostic(Code::E0302, format!("{what} was made for {filter} channels, but its input has {input}"))
            .label(format!("input has {input} channels"))
            .help("give each layer a name of its own, so that each has its own filter"),
        ShapeError::Rank { operand, expected, found } => place
            .diagnostic(
                Code::E0302,
                format!(
                    "{what} takes a tensor of {expected} axes, found {}",
                    example(graph, operands[operand], &found.0)
                ),
            )
            .label(format!("operand {} has {} axes", operand + 1, found.rank()))
            .help("images are `[height, width, channels]`; a layer wants one of these"),
        ShapeError::Type { operand, expected, found } => place
            .diagnostic(Code::E0302, format!("{what} takes {expected:?} numbers, found {found:?}").to_lowercase())
            .label(match found {
                DType::U8 => format!("operand {} is an image of bytes", operand + 1),
                DType::U16 => format!("operand {} is an image of 16 bits", operand + 1),
                DType::Int | DType::Real | DType::Bf16 => format!("operand {} is made of whole numbers", operand + 1),
            })
            .help(match found {
                DType::U8 | DType::U16 => format!("scale the image first: `x = {}`", graph.scaling("image")),
                DType::Int | DType::Real | DType::Bf16 => "make them real numbers: `1.0 * x`".to_owned(),
            }),
        ShapeError::Extent { what: extent, left, right } => place
            .diagnostic(Code::E0302, format!("{what} has two different extents for its {extent}: {left} and {right}"))
            .label("the extents must be equal"),
        ShapeError::TooLarge { shape } => place
            .diagnostic(Code::E0304, format!("{what} is too large"))
            .label(format!("{} numbers", numbers(shape.len())))
            .note(format!("its extents, the batch first, are {shape}"))
            .note(format!("a tensor has at most {} numbers, and 2^31 - 1 along each axis", size::MOST_ELEMENTS))
            .help("use a smaller `batch`, fewer filters, less padding or a larger stride"),
        ShapeError::TooMuch { work } => place
            .diagnostic(Code::E0304, format!("{what} takes too many multiplications"))
            .label(format!("{} multiplications", numbers(usize::try_from(work).unwrap_or(usize::MAX))))
            .note(format!("an operation takes at most {}", size::MOST_WORK))
            .help("use a smaller `batch`, fewer filters or a smaller kernel"),
        ShapeError::Elements { from, to } => place
            .diagnostic(Code::E0302, format!("{what} would turn {} numbers into {}", from.len(), to.len()))
            .label(format!("from {from} to {to}"))
            .help("the output of a model is one number per class: end with a layer whose output is 1x1"),
    }
}

fn numbers(count: usize) -> String {
    if count == usize::MAX { "more than 2^64".to_owned() } else { count.to_string() }
}

/// All tensors together, and all multiplications: sums over a graph and its gradients must fit.
fn check_total(graph: &Graph, sink: &mut Sink) {
    let (mut elements, mut work) = (0_u64, 0_u64);
    for id in graph.ids() {
        let Some(shape) = graph.fact(id).shape() else { continue };
        let operands: Vec<&Shape> = graph.operands(id).iter().filter_map(|it| graph.fact(*it).shape()).collect();
        elements = elements.saturating_add(shape.len() as u64);
        work = work.saturating_add(work::products(graph.op(id), &operands, shape));
        if size::MOST_ELEMENTS_IN_ALL < elements || size::MOST_WORK_IN_ALL < work {
            sink.push(
                Subject::of(graph, id)
                    .diagnostic(Code::E0304, "the model is too large".to_owned())
                    .label("with this, the bound is passed")
                    .note(format!(
                        "so far {elements} numbers in all tensors and {work} multiplications for a batch; at most {} and {}",
                        size::MOST_ELEMENTS_IN_ALL,
                        size::MOST_WORK_IN_ALL
                    ))
                    .help("use a smaller `batch`, fewer filters or fewer layers"),
            );
            return;
        }
    }
}

/// The shape of one example, as users write it: without the batch.
fn example(graph: &Graph, node: NodeId, dims: &[usize]) -> String {
    let batch = graph.inputs.get(&Mode::Train).and_then(|it| graph.fact(*it).shape()?.dims().first());
    let of_examples = |it: &NodeId| matches!(graph.op(*it), Op::Input { .. } | Op::Random { .. });
    let carries = batch.is_some() && dims.first() == batch && graph.needed([node]).iter().any(of_examples);
    let dims = if carries { &dims[1..] } else { dims };
    let list: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("[{}]", list.join(", "))
}

fn mismatch_advice(left: &[usize], right: &[usize]) -> String {
    match (left, right) {
        (&[_, h, w, c], &[_, oh, ow, oc]) if (h, w) == (oh, ow) => {
            format!("give both sides {} or {} channels, for example with `conv(x, {}, kernel: 1)`", c, oc, c.max(oc))
        }
        (&[_, h, ..], &[_, oh, .., oc]) if h != oh => {
            format!("project the larger side: `conv(x, {oc}, kernel: 1, stride: {})`", h.max(oh) / h.min(oh).max(1))
        }
        _ => "make the extents equal, or 1 where one value is to be repeated".to_owned(),
    }
}

/// Whether an op's output is a size on the way. A data set is not: the images picked from it are.
pub(super) fn is_step(op: &Op) -> bool {
    match op {
        Op::Conv(_) | Op::ConvInputGrad { .. } | Op::Window { .. } | Op::Gather | Op::Augment { .. } => true,
        Op::Input { source, .. } => matches!(source, Extern::Named(_)),
        _ => false,
    }
}
