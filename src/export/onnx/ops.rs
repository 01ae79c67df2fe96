//! One op after the other.

use super::messages::{Attribute, Element};
use super::{Layout, Writer};
use crate::export::network::Node;
use crate::export::{ExportError, Extent};
use crate::ir::{Along, Extern, Geometry, Op, Random, Reduction, Window};

/// Why what only a training does is refused: no evaluation has it.
const TRAINING: &str = "computes a gradient or an update, which no evaluation does";

impl Writer<'_> {
    /// The name of what is given from outside.
    pub(super) fn given(&mut self, source: &Extern) -> Result<String, ExportError> {
        let node = self.node(self.at);
        let name = match source {
            Extern::TestImages => "images",
            Extern::Named(name) => name,
            Extern::TrainImages | Extern::TrainLabels | Extern::TestLabels => {
                return Err(node.unsaid("reads labels or training images, which are not there when a network is used"));
            }
        };
        let name = self.fresh(name.to_owned());
        // The first input tells the size of the batch.
        if self.input.is_empty() {
            self.input.clone_from(&name);
        }
        Ok(name)
    }

    /// Writes a node that is not given from outside.
    pub(super) fn write(&mut self, node: &Node) -> Result<(), ExportError> {
        let operands = &node.operands;
        match &node.op {
            // These are written where they are used.
            Op::Input { .. } | Op::Param(_) | Op::State(_) | Op::Const { .. } => {}
            Op::Conv(geometry) => self.conv(node, geometry),
            Op::ConvInputGrad { geometry, size } => self.conv_transpose(node, geometry, *size),
            Op::MatMul { transpose_a, transpose_b } => self.matmul(node, [*transpose_a, *transpose_b]),
            Op::Map { body, int } => self.map(node, body, *int),
            Op::Reduce { kind, axes } => self.reduce(node, *kind, axes),
            Op::Broadcast(_) => {
                let value = self.value(operands[0], Layout::Rows);
                let value = self.expanded(&value, &node.dims);
                self.made(Layout::Rows, value);
            }
            Op::Reshape(_) => {
                let value = self.value(operands[0], Layout::Rows);
                let value = self.reshaped(&value, &node.dims);
                self.made(Layout::Rows, value);
            }
            Op::Transpose(perm) => {
                let value = self.value(operands[0], Layout::Rows);
                let value = self.transposed(&value, perm);
                self.made(Layout::Rows, value);
            }
            Op::Assemble { places, .. } => self.assemble(node, places)?,
            Op::Window { kind, geometry } => match kind {
                Window::Sum => self.sum_window(node, geometry),
                Window::Max => self.max_window(node, geometry),
                Window::SumGrad { .. } | Window::MaxGrad => return Err(node.unsaid(TRAINING)),
            },
            Op::Gather { steps } => match operands[..] {
                // What picks images of a batch: they are those that are given.
                [images] => {
                    let value = self.value(images, Layout::Rows);
                    let value = self.prepared(node, value, images, steps)?;
                    self.made(Layout::Rows, value);
                }
                _ if steps.is_empty() => {
                    let [source, index] = [0, 1].map(|it| self.value(operands[it], Layout::Rows));
                    let value = self.add("Gather", &[&source, &index], vec![Attribute::int("axis", 0)]);
                    self.made(Layout::Rows, value);
                }
                _ => return Err(node.unsaid("moves images at random, which no evaluation does")),
            },
            Op::Random { kind, .. } => {
                let cause = match kind {
                    Random::Uniform => "draws random numbers, which ONNX cannot repeat",
                    Random::Shuffle { .. } | Random::Sequence { .. } => {
                        "depends on where an image lies in the data set, which is not known when a network is used"
                    }
                };
                return Err(node.unsaid(cause));
            }
            Op::ConvFilterGrad(_) | Op::Scatter { .. } | Op::Update(_) => return Err(node.unsaid(TRAINING)),
            Op::Loss(_) => return Err(node.unsaid("compares scores with labels, which no network gives")),
        }
        Ok(())
    }

    fn window(geometry: &Geometry) -> Vec<Attribute> {
        let Geometry { kernel, stride, before, after, dilation, groups: _ } = geometry;
        vec![
            Attribute::ints("kernel_shape", *kernel),
            Attribute::ints("strides", *stride),
            Attribute::ints("pads", [before[0], before[1], after[0], after[1]]),
            Attribute::ints("dilations", *dilation),
        ]
    }

    fn conv(&mut self, node: &Node, geometry: &Geometry) {
        let x = self.value(node.operands[0], Layout::Planes);
        let filter = self.value(node.operands[1], Layout::Filters);
        let mut inputs = vec![x, filter];
        inputs.extend(node.operands.get(2).map(|it| self.value(*it, Layout::Rows)));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut attributes = Self::window(geometry);
        attributes.push(Attribute::int("group", geometry.groups as i64));
        let value = self.add("Conv", &inputs, attributes);
        self.made(Layout::Planes, value);
    }

    /// `size` is the height and width of the result.
    fn conv_transpose(&mut self, node: &Node, geometry: &Geometry, size: [usize; 2]) {
        let x = self.value(node.operands[0], Layout::Planes);
        let filter = self.value(node.operands[1], Layout::Filters);
        let from = [0, 1].map(|axis| self.node(node.operands[0]).dims[1 + axis].fixed().unwrap_or(1));
        // What the windows of the forward convolution leave over at the end.
        let rest = [0, 1].map(|axis| {
            let padded = size[axis] + geometry.before[axis] + geometry.after[axis];
            padded - (from[axis] - 1) * geometry.stride[axis] - geometry.extent()[axis]
        });
        let mut attributes = Self::window(geometry);
        attributes.push(Attribute::int("group", geometry.groups as i64));
        attributes.push(Attribute::ints("output_padding", rest));
        let value = self.add("ConvTranspose", &[&x, &filter], attributes);
        self.made(Layout::Planes, value);
    }

    /// Each channel has a filter of ones for itself.
    fn sum_window(&mut self, node: &Node, geometry: &Geometry) {
        let x = self.value(node.operands[0], Layout::Planes);
        let channels = node.dims[3].fixed().unwrap_or(1);
        let dims = [channels, 1, geometry.kernel[0], geometry.kernel[1]];
        let ones = self.constant(self.real, &dims, &vec![1.0; dims.iter().product()]);
        let mut attributes = Self::window(geometry);
        attributes.push(Attribute::int("group", channels as i64));
        let value = self.add("Conv", &[&x, &ones], attributes);
        self.made(Layout::Planes, value);
    }

    fn max_window(&mut self, node: &Node, geometry: &Geometry) {
        let mut x = self.value(node.operands[0], Layout::Planes);
        let mut geometry = *geometry;
        let wide = |side: &[usize; 2]| (0..2).any(|axis| geometry.kernel[axis] <= side[axis]);
        if wide(&geometry.before) || wide(&geometry.after) {
            // Windows that lie beyond the image: `MaxPool` pads by less than a window.
            let (before, after) = (geometry.before, geometry.after);
            let sides = [0, 0, before[0], before[1], 0, 0, after[0], after[1]];
            let sides = self.integers(&sides.map(|it| it as i64));
            let least = self.number(f64::NEG_INFINITY);
            x = self.add("Pad", &[&x, &sides, &least], Vec::new());
            (geometry.before, geometry.after) = ([0; 2], [0; 2]);
        }
        let value = self.add("MaxPool", &[&x], Self::window(&geometry));
        self.made(Layout::Planes, value);
    }

    fn matmul(&mut self, node: &Node, transposed: [bool; 2]) {
        let [a, b] = [0, 1].map(|it| {
            let value = self.value(node.operands[it], Layout::Rows);
            match (transposed[it], node.dims.len()) {
                (false, _) => value,
                (true, 3) => self.transposed(&value, &[0, 2, 1]),
                (true, _) => self.transposed(&value, &[1, 0]),
            }
        });
        let value = self.add("MatMul", &[&a, &b], Vec::new());
        self.made(Layout::Rows, value);
    }

    fn reduce(&mut self, node: &Node, kind: Reduction, axes: &[usize]) {
        let layout = self.layout(node.operands[0]);
        let x = self.value(node.operands[0], layout);
        let mut axes: Vec<i64> = axes.iter().map(|it| layout.place(*it) as i64).collect();
        axes.sort_unstable();
        let value = if axes.is_empty() {
            // Without axes ONNX takes all of them, so this says what is left of one number each.
            match kind {
                Reduction::Sum | Reduction::Max | Reduction::Mean => x,
                Reduction::Variance => self.add("Sub", &[&x, &x], Vec::new()),
            }
        } else {
            let axes = self.integers(&axes);
            match kind {
                Reduction::Sum => self.add("ReduceSum", &[&x, &axes], Vec::new()),
                Reduction::Max => self.add("ReduceMax", &[&x, &axes], Vec::new()),
                Reduction::Mean => self.add("ReduceMean", &[&x, &axes], Vec::new()),
                Reduction::Variance => {
                    let mean = self.add("ReduceMean", &[&x, &axes], Vec::new());
                    let off = self.add("Sub", &[&x, &mean], Vec::new());
                    let square = self.add("Mul", &[&off, &off], Vec::new());
                    self.add("ReduceMean", &[&square, &axes], Vec::new())
                }
            }
        };
        self.made(layout, value);
    }

    /// Parts that follow each other along one axis are joined; others are laid into zeros, and added.
    fn assemble(&mut self, node: &Node, places: &[Vec<Along>]) -> Result<(), ExportError> {
        let planes = |at: &usize| self.layout(*at) == Layout::Planes;
        let layout = if node.operands.iter().any(planes) { Layout::Planes } else { Layout::Rows };
        // For each part that shows: its value, and where it begins and ends along each axis (nothing for a whole axis).
        let mut parts = Vec::new();
        for (operand, place) in node.operands.iter().zip(places) {
            let from = self.node(*operand).dims.clone();
            let mut value = self.value(*operand, layout);
            let mut covered = Vec::new();
            let mut cuts = Vec::new();
            for (axis, along) in place.iter().enumerate() {
                let (Extent::Fixed(extent), Extent::Fixed(limit)) = (from[axis], node.dims[axis]) else {
                    if *along != Along::START || from[axis] != node.dims[axis] {
                        return Err(node.unsaid("moves images within their batch, which may be of any size"));
                    }
                    covered.push(None);
                    continue;
                };
                let shown = along.covered(extent, limit);
                // The part's own positions, in the order in which they show.
                let [first, last] = [shown.start, shown.end.saturating_sub(1)].map(|it| along.source(it));
                if shown.is_empty() {
                    cuts.push((axis, 0, 0, 1));
                } else if along.turned {
                    cuts.push((axis, first, if last == 0 { -(extent as i64) - 1 } else { last - 1 }, -1));
                } else if (first, last + 1) != (0, extent as i64) {
                    cuts.push((axis, first, last + 1, 1));
                }
                covered.push(Some((shown.start, shown.end, limit)));
            }
            if covered.iter().flatten().any(|it| it.0 == it.1) {
                continue;
            }
            if !cuts.is_empty() {
                let starts = self.integers(&cuts.iter().map(|it| it.1).collect::<Vec<i64>>());
                let ends = self.integers(&cuts.iter().map(|it| it.2).collect::<Vec<i64>>());
                let axes = self.integers(&cuts.iter().map(|it| layout.place(it.0) as i64).collect::<Vec<i64>>());
                let steps = self.integers(&cuts.iter().map(|it| it.3).collect::<Vec<i64>>());
                value = self.add("Slice", &[&value, &starts, &ends, &axes, &steps], Vec::new());
            }
            parts.push((value, covered));
        }
        let value = match joined(&parts) {
            Some((axis, order)) => {
                let values: Vec<&str> = order.iter().map(|it| parts[*it].0.as_str()).collect();
                match values[..] {
                    [one] => one.to_owned(),
                    _ => self.add("Concat", &values, vec![Attribute::int("axis", layout.place(axis) as i64)]),
                }
            }
            None => self.laid(node, layout, &parts),
        };
        self.made(layout, value);
        Ok(())
    }

    /// Each part between zeros, and their sum.
    fn laid(&mut self, node: &Node, layout: Layout, parts: &[Placed]) -> String {
        let mut sum: Option<String> = None;
        for (value, covered) in parts {
            let side = |it: &dyn Fn(&(usize, usize, usize)) -> usize| {
                let each: Vec<i64> = covered.iter().map(|at| at.as_ref().map_or(0, it) as i64).collect();
                layout.ordered(&each)
            };
            let sides = self.integers(&[side(&|it| it.0), side(&|it| it.2 - it.1)].concat());
            let zero = self.number(0.0);
            let padded = self.add("Pad", &[value, &sides, &zero], Vec::new());
            sum = Some(match sum {
                Some(it) => self.add("Add", &[&it, &padded], Vec::new()),
                None => padded,
            });
        }
        sum.unwrap_or_else(|| {
            let zero = self.number(0.0);
            self.expanded(&zero, &layout.ordered(&node.dims))
        })
    }

    /// A value as the numbers of an element type.
    pub(super) fn converted(&mut self, value: String, from: Element, to: Element) -> String {
        if from == to { value } else { self.cast(&value, to) }
    }
}

/// A part's value, and of each axis where it begins, where it ends, and how long the whole is.
type Placed = (String, Vec<Option<(usize, usize, usize)>>);

/// The axis along which parts follow each other without gaps and fill the whole, and their order.
fn joined(parts: &[Placed]) -> Option<(usize, Vec<usize>)> {
    let (_, first) = parts.first()?;
    let whole = |it: &Option<(usize, usize, usize)>| it.is_none_or(|(start, end, limit)| start == 0 && end == limit);
    let axis = first.iter().position(|it| !whole(it)).unwrap_or(0);
    if parts.iter().any(|(_, it)| it.iter().enumerate().any(|(at, it)| at != axis && !whole(it))) {
        return None;
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    if first.get(axis).copied().flatten().is_none() {
        return (parts.len() == 1).then_some((axis, order));
    }
    let place = |at: usize| parts[at].1[axis].unwrap_or_default();
    order.sort_by_key(|it| place(*it).0);
    let mut next = 0;
    for at in &order {
        let (start, end, _) = place(*at);
        if start != next {
            return None;
        }
        next = end;
    }
    (next == place(0).2).then_some((axis, order))
}
