//! One op after the other.

use super::{Writer, number, tuple};
use crate::export::assemble::{Part, joined, shown};
use crate::export::network::Node;
use crate::export::{ExportError, mirrored};
use crate::ir::op::Fill;
use crate::ir::{Along, Augment, Border, DType, Extern, Geometry, Op, Random, Reduction, Window};

/// Why what only a training does is refused: no evaluation has it.
const TRAINING: &str = "computes a gradient or an update, which no evaluation does";

fn pair(it: [usize; 2]) -> String {
    format!("({}, {})", it[0], it[1])
}

fn list(all: &[usize]) -> String {
    tuple(&all.iter().map(usize::to_string).collect::<Vec<_>>())
}

impl Writer<'_> {
    /// Writes a node; weights and constants are written where they are used.
    pub(super) fn write(&mut self, node: &Node) -> Result<(), ExportError> {
        match &node.op {
            Op::Param(_) | Op::State(_) | Op::Const { .. } => return Ok(()),
            Op::Input { source, .. } => {
                let name = match source {
                    Extern::TestImages if node.dims.len() == 4 => "images",
                    Extern::TestImages => "inputs",
                    Extern::Named(name) => name,
                    Extern::TrainImages | Extern::TrainLabels | Extern::TestLabels => {
                        return Err(node.unsaid("reads labels or training images, which are not there then"));
                    }
                };
                let name = self.fresh(name);
                self.inputs.push(name.clone());
                self.values.insert(self.at, name);
                return Ok(());
            }
            Op::Conv(_)
            | Op::ConvInputGrad { .. }
            | Op::ConvFilterGrad(_)
            | Op::MatMul { .. }
            | Op::Map { .. }
            | Op::Reduce { .. }
            | Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Assemble { .. }
            | Op::Window { .. }
            | Op::Gather
            | Op::Augment { .. }
            | Op::Scatter { .. }
            | Op::AllReduce(_)
            | Op::Loss(_)
            | Op::Random { .. }
            | Op::Update(_) => {}
        }
        let operands: Vec<String> = node.operands.iter().map(|it| self.value(*it)).collect();
        let of = |at: usize| operands[at].as_str();
        let text = match &node.op {
            Op::Input { .. } | Op::Param(_) | Op::State(_) | Op::Const { .. } => return Ok(()),
            Op::Conv(it) => {
                let Geometry { kernel: _, stride, before, after, dilation, groups } = *it;
                let [stride, before, after, dilation] = [stride, before, after, dilation].map(pair);
                format!("conv({}, {}, {stride}, {before}, {after}, {dilation}, {groups})", of(0), of(1))
            }
            Op::ConvInputGrad { geometry, size } => {
                let from = [0, 1].map(|axis| self.node(node.operands[0]).dims[1 + axis].fixed().unwrap_or(1));
                let rest = [0, 1].map(|axis| {
                    let padded = size[axis] + geometry.before[axis] + geometry.after[axis];
                    padded - (from[axis] - 1) * geometry.stride[axis] - geometry.extent()[axis]
                });
                let all = [*size, geometry.stride, geometry.before, rest, geometry.dilation].map(pair).join(", ");
                format!("conv_transpose({}, {}, {all}, {})", of(0), of(1), geometry.groups)
            }
            Op::MatMul { transpose_a, transpose_b } => {
                let turned = |at: usize, it: bool| format!("{}{}", of(at), if it { ".mT" } else { "" });
                format!("{} @ {}", turned(0, *transpose_a), turned(1, *transpose_b))
            }
            Op::Map { body, int } => return self.map(node, body, *int),
            Op::Reduce { kind, axes } if axes.is_empty() => match kind {
                Reduction::Sum | Reduction::Max | Reduction::Mean => of(0).to_owned(),
                Reduction::Variance => format!("torch.zeros_like({})", of(0)),
            },
            Op::Reduce { kind, axes } => {
                let (x, axes) = (of(0), list(axes));
                match kind {
                    Reduction::Sum => format!("{x}.sum({axes}, keepdim=True)"),
                    Reduction::Max => format!("{x}.amax({axes}, keepdim=True)"),
                    Reduction::Mean => format!("{x}.mean({axes}, keepdim=True)"),
                    Reduction::Variance => format!("{x}.var({axes}, unbiased=False, keepdim=True)"),
                }
            }
            Op::Broadcast(_) => format!("{}.expand({})", of(0), self.extents(&node.dims)),
            Op::Reshape(_) => format!("{}.reshape({})", of(0), self.extents(&node.dims)),
            Op::Transpose(perm) => format!("{}.permute({})", of(0), list(perm)),
            Op::Assemble { places, .. } => self.assembled(node, places)?,
            Op::Window { kind, geometry } => {
                let Geometry { kernel, stride, before, after, dilation, groups: _ } = *geometry;
                let all = [kernel, stride, before, after, dilation].map(pair).join(", ");
                match kind {
                    Window::Sum => format!("sum_window({}, {all})", of(0)),
                    Window::Max => format!("max_window({}, {all})", of(0)),
                    Window::SumGrad { .. } | Window::MaxGrad => return Err(node.unsaid(TRAINING)),
                }
            }
            Op::Gather if operands.len() == 1 => {
                self.values.insert(self.at, of(0).to_owned());
                return Ok(());
            }
            Op::Gather => format!("{}[{}]", of(0), of(1)),
            Op::Augment { steps } if operands.len() == 1 => self.prepared(node, of(0).to_owned(), steps)?,
            Op::Augment { .. } => return Err(node.unsaid("moves images at random, which no evaluation does")),
            Op::Random { kind, .. } => {
                return Err(node.unsaid(match kind {
                    Random::Uniform => "draws random numbers, which PyTorch cannot repeat",
                    Random::Shuffle { .. } | Random::Sequence { .. } => {
                        "depends on where an image lies in the data set, which is not known when a network is used"
                    }
                }));
            }
            Op::ConvFilterGrad(_) | Op::Scatter { .. } | Op::AllReduce(_) | Op::Update(_) => {
                return Err(node.unsaid(TRAINING));
            }
            Op::Loss(_) => return Err(node.unsaid("compares scores with labels, which no network gives")),
        };
        self.made(&text);
        Ok(())
    }

    /// A constant tensor.
    pub(super) fn constant(&mut self, node: &Node, fill: &Fill) -> String {
        let dims = self.extents(&node.dims);
        let count = node.dims.iter().map(|it| match it {
            crate::export::Extent::Fixed(it) => it.to_string(),
            crate::export::Extent::PerImage(it) => format!("{it} * n"),
        });
        match fill {
            Fill::Value(value) => self.line(&format!("torch.full({dims}, {}, **real)", number(value.0))),
            Fill::Eye => {
                let extent = count.into_iter().next().unwrap_or_default();
                self.line(&format!("torch.eye({extent}, **real)"))
            }
            Fill::Range => {
                let count: Vec<String> = count.collect();
                self.line(&format!("torch.arange({}, **real).reshape({dims})", count.join(" * ")))
            }
            Fill::List(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(|it| number(it.0)).collect();
                self.line(&format!("torch.tensor([{}], **real).reshape({dims})", numbers.join(", ")))
            }
        }
    }

    /// What is taken of parts, joined, or laid between zeros and added.
    fn assembled(&mut self, node: &Node, places: &[Vec<Along>]) -> Result<String, ExportError> {
        let parts = shown(self.network, node, places)?;
        let mut values = Vec::new();
        for part in &parts {
            let mut value = self.value(part.operand);
            let mut slices = vec![":".to_owned(); node.dims.len()];
            for it in &part.cuts {
                let (low, high) = if it.turned { (it.last, it.first) } else { (it.first, it.last) };
                if (low, high + 1) != (0, it.extent as i64) {
                    slices[it.axis] = format!("{low}:{}", high + 1);
                }
            }
            if slices.iter().any(|it| it != ":") {
                value = format!("{value}[{}]", slices.join(", "));
            }
            let turned: Vec<usize> = part.cuts.iter().filter(|it| it.turned).map(|it| it.axis).collect();
            if !turned.is_empty() {
                value = format!("{value}.flip({})", list(&turned));
            }
            values.push(value);
        }
        if let Some((axis, order)) = joined(&parts) {
            let ordered: Vec<&str> = order.iter().map(|it| values[*it].as_str()).collect();
            return Ok(match ordered[..] {
                [one] => one.to_owned(),
                _ => format!("torch.cat([{}], {axis})", ordered.join(", ")),
            });
        }
        let mut sum = Vec::new();
        for (Part { covered, .. }, value) in parts.iter().zip(&values) {
            let sides: Vec<String> = covered
                .iter()
                .rev()
                .flat_map(|it| it.map_or([0, 0], |(start, end, limit)| [start, limit - end]))
                .map(|it| it.to_string())
                .collect();
            sum.push(format!("F.pad({value}, ({}))", sides.join(", ")));
        }
        if sum.is_empty() {
            return Ok(format!("torch.zeros({}, **real)", self.extents(&node.dims)));
        }
        Ok(sum.join(" + "))
    }

    /// Images after the steps of an evaluation.
    fn prepared(&mut self, node: &Node, mut value: String, steps: &[Augment]) -> Result<String, ExportError> {
        if steps.is_empty() {
            return Ok(value);
        }
        // PyTorch moves no numbers of 16 bits without a sign.
        if node.dtype == DType::U16 {
            value = format!("{value}.long()");
        }
        let from = &self.node(node.operands[0]).dims;
        let mut size = [0; 3];
        for (axis, it) in size.iter_mut().enumerate() {
            *it = from[1 + axis].fixed().unwrap_or_default();
        }
        for step in steps {
            value = match *step {
                Augment::Crop { size: part, pad, border, centre: true } => {
                    let first = [0, 1].map(|axis| (size[axis] + 2 * pad - part[axis]) / 2);
                    match border {
                        Border::Zero => {
                            let [y, x] = first;
                            let padded = match pad {
                                0 => value,
                                _ => format!("F.pad({value}, (0, 0, {pad}, {pad}, {pad}, {pad}))"),
                            };
                            format!("{padded}[:, {y}:{}, {x}:{}]", y + part[0], x + part[1])
                        }
                        Border::Reflect | Border::Symmetric => {
                            let places = [0, 1].map(|axis| {
                                let each = (0..part[axis]).map(|it| {
                                    let at = (it + first[axis]) as i64 - pad as i64;
                                    mirrored(at, size[axis] as i64, border == Border::Reflect).to_string()
                                });
                                each.collect::<Vec<_>>().join(", ")
                            });
                            format!("{value}[:, [{}]][:, :, [{}]]", places[0], places[1])
                        }
                    }
                }
                Augment::ResizedCrop { size: part, centre: true, .. } => {
                    let each = crate::export::stretches([size[0], size[1]], part).map(|it| {
                        let text = |it: &[usize]| it.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                        let shares: Vec<String> = it.shares.iter().map(|it| number(*it)).collect();
                        format!("([{}], [{}], [{}])", text(&it.low), text(&it.high), shares.join(", "))
                    });
                    format!("scaled({value}, {}, {})", each[0], each[1])
                }
                Augment::Crop { centre: false, .. }
                | Augment::ResizedCrop { centre: false, .. }
                | Augment::Rotate { .. }
                | Augment::FlipHorizontal
                | Augment::FlipVertical
                | Augment::ColorJitter { .. }
                | Augment::Cutout { .. } => {
                    let cause = format!("moves images at random (`{}`), which no evaluation does", step.word());
                    return Err(node.unsaid(cause));
                }
            };
            size = step.shape(size).map_err(|it| node.unsaid(it))?;
        }
        Ok(value)
    }
}
