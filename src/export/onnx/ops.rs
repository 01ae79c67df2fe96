//! One op after the other.

use super::messages::{Attribute, Element};
use super::{Layout, Writer};
use crate::export::ExportError;
use crate::export::assemble::{Cut, Part, joined, shown};
use crate::export::network::Node;
use crate::ir::{Along, Extern, Geometry, Op, Random, Reduction, Window};

/// Why what only a training does is refused: no evaluation has it.
const TRAINING: &str = "computes a gradient or an update, which no evaluation does";

impl Writer<'_> {
    /// The name of what is given from outside.
    pub(super) fn given(&mut self, source: &Extern) -> Result<String, ExportError> {
        let node = self.node(self.at);
        let name = match source {
            Extern::TestImages if node.dims.len() == 4 => "images",
            Extern::TestImages => "inputs",
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
            // What picks images of a batch: they are those that are given.
            Op::Gather | Op::Augment { .. } if operands.len() == 1 => {
                let steps = if let Op::Augment { steps } = &node.op { steps.as_slice() } else { &[] };
                let value = self.value(operands[0], Layout::Rows);
                let value = self.prepared(node, value, operands[0], steps)?;
                self.made(Layout::Rows, value);
            }
            Op::Gather => {
                let [source, index] = [0, 1].map(|it| self.value(operands[it], Layout::Rows));
                let value = self.add("Gather", &[&source, &index], vec![Attribute::int("axis", 0)]);
                self.made(Layout::Rows, value);
            }
            Op::Augment { .. } => return Err(node.unsaid("moves images at random, which no evaluation does")),
            Op::Random { kind, .. } => {
                let cause = match kind {
                    Random::Uniform => "draws random numbers, which ONNX cannot repeat",
                    Random::Shuffle { .. } | Random::Sequence { .. } => {
                        "depends on where an image lies in the data set, which is not known when a network is used"
                    }
                };
                return Err(node.unsaid(cause));
            }
            Op::ConvFilterGrad(_) | Op::Scatter { .. } | Op::AllReduce(_) | Op::Update(_) => {
                return Err(node.unsaid(TRAINING));
            }
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
        let parts = shown(self.network, node, places)?;
        let mut values = Vec::new();
        for part in &parts {
            let mut value = self.value(part.operand, layout);
            if !part.cuts.is_empty() {
                let of = |it: &dyn Fn(&Cut) -> i64| part.cuts.iter().map(it).collect::<Vec<i64>>();
                let starts = self.integers(&of(&|it| it.first));
                // Counted from the end, what lies before the first position.
                let before = |it: &Cut| if it.last == 0 { -(it.extent as i64) - 1 } else { it.last - 1 };
                let ends = self.integers(&of(&|it| if it.turned { before(it) } else { it.last + 1 }));
                let axes = self.integers(&of(&|it| layout.place(it.axis) as i64));
                let steps = self.integers(&of(&|it| if it.turned { -1 } else { 1 }));
                value = self.add("Slice", &[&value, &starts, &ends, &axes, &steps], Vec::new());
            }
            values.push(value);
        }
        let value = match joined(&parts) {
            Some((axis, order)) => {
                let ordered: Vec<&str> = order.iter().map(|it| values[*it].as_str()).collect();
                match ordered[..] {
                    [one] => one.to_owned(),
                    _ => self.add("Concat", &ordered, vec![Attribute::int("axis", layout.place(axis) as i64)]),
                }
            }
            None => self.laid(node, layout, &parts, &values),
        };
        self.made(layout, value);
        Ok(())
    }

    /// Each part between zeros, and their sum.
    fn laid(&mut self, node: &Node, layout: Layout, parts: &[Part], values: &[String]) -> String {
        let mut sum: Option<String> = None;
        for (Part { covered, .. }, value) in parts.iter().zip(values) {
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
