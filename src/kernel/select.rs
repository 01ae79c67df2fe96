//! From a group to its kernel: the family by the group's kind, the sizes by the facts.

use super::{ConvKernel, ConvKind, KernelSpec, MatMulKernel, Part, map};
use crate::fuse::{Fused, Group, GroupKind};
use crate::ir::{Along, DType, Graph, NodeId, Op, Shape, Window};

/// A kernel with the tensors to launch it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The kernel.
    pub spec: KernelSpec,
    /// What it reads, in the order of the kernel's operands: nodes that own memory, or numbers.
    pub inputs: Vec<NodeId>,
    /// What it writes, in the order of the kernel's results.
    pub outputs: Vec<NodeId>,
}

/// The kernel of a group.
pub fn select(fused: &Fused, group: &Group) -> KernelSpec {
    bind(fused, group).spec
}

/// The kernel of a group, and its operands in order.
pub fn bind(fused: &Fused, group: &Group) -> Bound {
    let graph = fused.typed.graph();
    if group.kind == GroupKind::Map {
        let (kernel, inputs) = map::build(fused, group);
        return Bound { spec: KernelSpec::Map(kernel), inputs, outputs: group.outputs.clone() };
    }
    let id = group.nodes[0];
    let of = graph.operands(id);
    let spec = match graph.op(id) {
        Op::Conv(geometry) => KernelSpec::Conv(ConvKernel {
            kind: ConvKind::Forward,
            geometry: *geometry,
            n: graph.shape(id).0[0],
            input: image(graph, of[0]),
            output: image(graph, id),
            reads: DType::Real,
            writes: DType::Real,
        }),
        Op::ConvInputGrad { geometry, .. } => KernelSpec::Conv(ConvKernel {
            kind: ConvKind::InputGrad,
            geometry: *geometry,
            n: graph.shape(id).0[0],
            input: image(graph, id),
            output: image(graph, of[0]),
            reads: DType::Real,
            writes: DType::Real,
        }),
        Op::ConvFilterGrad(geometry) => KernelSpec::Conv(ConvKernel {
            kind: ConvKind::FilterGrad,
            geometry: *geometry,
            n: graph.shape(of[0]).0[0],
            input: image(graph, of[0]),
            output: image(graph, of[1]),
            reads: DType::Real,
            writes: DType::Real,
        }),
        Op::MatMul { transpose_a, transpose_b } => {
            let (stack, matrix) = graph.shape(id).dims().split_at(graph.shape(id).rank() - 2);
            let k = graph.shape(of[0]).0[stack.len() + usize::from(!transpose_a)];
            let (batch, m, n) = (stack.iter().product(), matrix[0], matrix[1]);
            KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a: *transpose_a, transpose_b: *transpose_b })
        }
        Op::Window { kind, geometry } => window(graph, id, &of, *kind, *geometry),
        Op::Transpose(perm) => {
            KernelSpec::Transpose { shape: graph.shape(of[0]).clone(), perm: perm.clone(), dtype: dtype(graph, id) }
        }
        Op::Assemble { shape, places } => {
            let of = of.iter().map(|it| graph.shape(*it).dims());
            let parts =
                of.zip(places).map(|(dims, place)| Part { dims: dims.to_vec(), place: place.clone() }).collect();
            assembled(shape.dims(), parts, dtype(graph, id))
        }
        Op::Gather => {
            let (dtype, n, item) = picked(graph, id, of[0]);
            KernelSpec::Gather { dtype, n, item }
        }
        Op::Augment { steps } => {
            let (dtype, n, item) = picked(graph, id, of[0]);
            KernelSpec::Augment { dtype, n, item, steps: steps.clone() }
        }
        Op::Scatter { rows } => {
            let dims = graph.shape(of[1]).dims();
            KernelSpec::Scatter { rows: *rows, n: dims[0], item: dims[1..].iter().product() }
        }
        Op::AllReduce(kind) => KernelSpec::AllReduce { kind: *kind, len: graph.shape(id).len() },
        Op::Loss(kind) => {
            let logits = graph.shape(of[0]);
            KernelSpec::Loss { kind: *kind, n: logits.0[0], classes: logits.0[1] }
        }
        Op::Random { kind, shape, stream, first } => {
            KernelSpec::Random { kind: *kind, len: shape.len(), stream: *stream, first: *first }
        }
        Op::Map { .. }
        | Op::Broadcast(_)
        | Op::Reduce { .. }
        | Op::Input { .. }
        | Op::Param(_)
        | Op::State(_)
        | Op::Const { .. }
        | Op::Reshape(_)
        | Op::Update(_) => {
            panic!("%{} has no kernel of its own\n{graph}", id.0)
        }
    };
    let mut inputs: Vec<NodeId> = of.iter().map(|&it| fused.storage.of(it)).collect();
    let outputs = group.outputs.clone();
    match spec {
        KernelSpec::Conv(conv) if 1 < group.nodes.len() => {
            let (map, others) = map::build(fused, group);
            inputs.extend(others);
            Bound { spec: KernelSpec::ConvMap { conv, map }, inputs, outputs }
        }
        spec => Bound { spec, inputs, outputs },
    }
}

/// Element type, number of picks, and the shape of one, of what is picked from `source`.
fn picked(graph: &Graph, id: NodeId, source: NodeId) -> (DType, usize, Shape) {
    (dtype(graph, id), graph.shape(id).0[0], Shape(graph.shape(source).0[1..].to_vec()))
}

/// Element type of a node of a checked graph.
pub(crate) fn dtype(graph: &Graph, id: NodeId) -> DType {
    graph.fact(id).dtype().unwrap_or_else(|| panic!("the type of %{} is unknown\n{graph}", id.0))
}

/// Height, width and channels of `[n, h, w, c]`.
fn image(graph: &Graph, id: NodeId) -> [usize; 3] {
    let dims = graph.shape(id).dims();
    [dims[1], dims[2], dims[3]]
}

fn window(graph: &Graph, id: NodeId, of: &[NodeId], kind: Window, geometry: crate::ir::Geometry) -> KernelSpec {
    let (input, output) = match kind {
        Window::Sum | Window::Max => (of[0], id),
        Window::SumGrad { .. } => (id, of[0]),
        Window::MaxGrad => (of[0], of[1]),
    };
    let output = image(graph, output);
    let n = graph.shape(input).0[0];
    KernelSpec::Window {
        kind,
        geometry,
        n,
        input: image(graph, input),
        output: [output[0], output[1]],
        reads: DType::Real,
        writes: DType::Real,
    }
}

/// Axes that each part fills from end to end are merged with the one before, in which no part is turned: rows become as
/// long as they can.
fn assembled(dims: &[usize], parts: Vec<Part>, dtype: DType) -> KernelSpec {
    let mut merged: Vec<usize> = Vec::new();
    let mut kept: Vec<Part> = parts.iter().map(|_| Part { dims: Vec::new(), place: Vec::new() }).collect();
    for (axis, &extent) in dims.iter().enumerate() {
        let fills = parts.iter().all(|it| it.dims[axis] == extent && it.place[axis] == Along::START);
        let straight = kept.iter().all(|it| it.place.last().is_some_and(|it| !it.turned));
        match merged.last_mut().filter(|_| fills && straight) {
            Some(last) => {
                *last *= extent;
                for part in &mut kept {
                    part.dims.iter_mut().last().into_iter().for_each(|it| *it *= extent);
                    part.place.iter_mut().last().into_iter().for_each(|it| it.start *= extent as i64);
                }
            }
            None => {
                merged.push(extent);
                for (to, from) in kept.iter_mut().zip(&parts) {
                    to.dims.push(from.dims[axis]);
                    to.place.push(from.place[axis]);
                }
            }
        }
    }
    KernelSpec::Assemble { dims: merged, parts: kept, dtype }
}
