//! What a kernel means: its op, evaluated by the interpreter. Shares nothing with any backend.

use crate::interp::{Env, Tensor, evaluate};
use crate::ir::augment::draws;
use crate::ir::{DType, ExprNode, NodeId, Op, Random, Scalar, ScalarFn, Shape, Window};
use crate::kernel::{ConvKernel, ConvKind, Draws, KernelSpec, MapInput, MapKernel, MatMulKernel, Store, each_with};
use crate::shape::Builder;

/// The results of a kernel, in f64. Operands are row-major, in the order of the kernel's inputs.
pub fn execute(spec: &KernelSpec, inputs: &[Vec<f64>], seed: u64) -> Vec<Vec<f64>> {
    let real = |shape: Vec<usize>| (Shape(shape), DType::Real);
    let one = |op: Op, shapes: Vec<(Shape, DType)>| vec![single(op, &shapes, inputs, seed)];
    match spec {
        KernelSpec::Map(kernel) => {
            let (kernel, inputs) = drawn(kernel, inputs, seed);
            map(&kernel, &inputs)
        }
        KernelSpec::Maps(all) => {
            let each = each_with(all, inputs, |it| it.inputs.len());
            each.flat_map(|(it, inputs)| execute(&KernelSpec::Map(it.clone()), inputs, seed)).collect()
        }
        KernelSpec::ConvMap { conv, map: after } => {
            let (operands, others) = inputs.split_at(2);
            let mut read = execute(&KernelSpec::Conv(*conv), operands, seed);
            read.extend_from_slice(others);
            execute(&KernelSpec::Map(after.clone()), &read, seed)
        }
        KernelSpec::Conv(ConvKernel { kind, geometry, n, input, output, .. }) => {
            let x = real([&[*n], &input[..]].concat());
            let y = real([&[*n], &output[..]].concat());
            let w = real(vec![geometry.kernel[0], geometry.kernel[1], input[2] / geometry.groups, output[2]]);
            let size = [input[0], input[1]];
            match kind {
                ConvKind::Forward => one(Op::Conv(*geometry), vec![x, w]),
                ConvKind::InputGrad => one(Op::ConvInputGrad { geometry: *geometry, size }, vec![y, w]),
                ConvKind::FilterGrad => one(Op::ConvFilterGrad(*geometry), vec![x, y]),
            }
        }
        KernelSpec::MatMuls(all) => {
            let each = all.iter().zip(inputs.chunks_exact(2));
            each.flat_map(|(it, inputs)| execute(&KernelSpec::MatMul(*it), inputs, seed)).collect()
        }
        KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b }) => {
            let a = if *transpose_a { vec![*batch, *k, *m] } else { vec![*batch, *m, *k] };
            let b = if *transpose_b { vec![*batch, *n, *k] } else { vec![*batch, *k, *n] };
            let op = Op::MatMul { transpose_a: *transpose_a, transpose_b: *transpose_b };
            one(op, vec![real(a), real(b)])
        }
        KernelSpec::Window { kind, geometry, n, input, output, .. } => {
            let x = real([&[*n], &input[..]].concat());
            let y = real(vec![*n, output[0], output[1], input[2]]);
            let op = Op::Window { kind: *kind, geometry: *geometry };
            match kind {
                Window::Sum | Window::Max => one(op, vec![x]),
                Window::SumGrad { .. } => one(op, vec![y]),
                Window::MaxGrad => one(op, vec![x, y]),
            }
        }
        KernelSpec::Transpose { shape, perm, .. } => {
            one(Op::Transpose(perm.clone()), vec![(shape.clone(), DType::Real)])
        }
        KernelSpec::Assemble { dims, parts, .. } => {
            let places = parts.iter().map(|it| it.place.clone()).collect();
            let of = parts.iter().map(|it| real(it.dims.clone())).collect();
            one(Op::Assemble { shape: Shape(dims.clone()), places }, of)
        }
        KernelSpec::Gather { dtype, n, item } => one(Op::Gather, picked(inputs, *dtype, *n, item).to_vec()),
        KernelSpec::Augment { dtype, n, item, steps } => {
            let mut shapes = picked(inputs, *dtype, *n, item).to_vec();
            shapes.extend((inputs.len() == 3).then(|| real(vec![*n, draws(steps)])));
            one(Op::Augment { steps: steps.clone() }, shapes)
        }
        KernelSpec::Scatter { rows, n, item } => {
            one(Op::Scatter { rows: *rows }, vec![(Shape(vec![*n]), DType::Int), real(vec![*n, *item])])
        }
        KernelSpec::AllReduce { kind, len } => one(Op::AllReduce(*kind), vec![real(vec![*len])]),
        KernelSpec::Loss { kind, n, classes } => {
            let mut shapes = vec![real(vec![*n, *classes]), (Shape(vec![*n]), DType::Int)];
            shapes.extend((inputs.len() == 3).then(|| real(vec![*n])));
            one(Op::Loss(*kind), shapes)
        }
        KernelSpec::Random { kind, len, stream, first } => {
            let op = Op::Random { kind: *kind, shape: Shape(vec![*len]), stream: *stream, first: *first };
            one(op, vec![(Shape::scalar(), DType::Int)])
        }
    }
}

/// The same map, and its operands with the numbers that it would draw.
pub(super) fn drawn(kernel: &MapKernel, inputs: &[Vec<f64>], seed: u64) -> (MapKernel, Vec<Vec<f64>>) {
    let mut kernel = kernel.clone();
    let mut inputs = inputs.to_vec();
    for (input, values) in kernel.inputs.iter_mut().zip(&mut inputs) {
        if let Some(Draws { stream, first }) = input.draws {
            let steps = input.strides.iter().zip(&kernel.dims).map(|(stride, dim)| stride * dim.saturating_sub(1));
            let len = 1 + steps.sum::<usize>();
            let numbers = KernelSpec::Random { kind: Random::Uniform, len, stream, first };
            *values = execute(&numbers, std::slice::from_ref(values), seed).remove(0);
            *input = MapInput::new(input.strides.clone(), DType::Real);
        }
    }
    (kernel, inputs)
}

/// One op, by its definition.
/// Types and shapes of what is picked from and of the indices.
fn picked(inputs: &[Vec<f64>], dtype: DType, n: usize, item: &Shape) -> [(Shape, DType); 2] {
    let examples = inputs[0].len() / item.len();
    [(Shape([&[examples], &item.0[..]].concat()), dtype), (Shape(vec![n]), DType::Int)]
}

fn single(op: Op, shapes: &[(Shape, DType)], inputs: &[Vec<f64>], seed: u64) -> Vec<f64> {
    let mut b = Builder::empty("one op");
    let mut env = Env { seed, ..Env::default() };
    let mut operands: Vec<NodeId> = Vec::new();
    for (at, ((shape, dtype), values)) in shapes.iter().zip(inputs).enumerate() {
        let name = at.to_string();
        operands.push(b.named_input(&name, shape.clone(), *dtype));
        env.bind(&name, Tensor::new(shape.clone(), values.clone()));
    }
    let root = b.add(op, &operands);
    evaluate(b.graph(), &env, &[root]).remove(0).data
}

/// The number that 16 bits hold for this one, which a device has in 32. (`half` rounds an f64 without its low 32 bits, so
/// that a number just above a tie becomes one.)
pub(super) fn short(value: f64) -> f64 {
    half::bf16::from_f32(value as f32).to_f64()
}

/// The element type in which a kernel writes its first result; of maps, each result has its own.
pub(super) fn written(spec: &KernelSpec) -> DType {
    match spec {
        KernelSpec::Conv(ConvKernel { writes, .. }) | KernelSpec::Window { writes, .. } => *writes,
        _ => DType::Real,
    }
}

/// For every element of a space, in row-major order, where an operand of these strides has its number.
pub(super) fn places(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    (0..dims.iter().product())
        .map(|mut at: usize| {
            let mut place = 0;
            for (&extent, &stride) in dims.iter().zip(strides).rev() {
                place += at % extent * stride;
                at /= extent;
            }
            place
        })
        .collect()
}

/// Strides of what is left of a space when the marked axes are reduced, and how many elements that is.
pub(super) fn left_of(dims: &[usize], over: &[bool]) -> (Vec<usize>, usize) {
    let mut step = 1;
    let mut strides = vec![0; dims.len()];
    for at in (0..dims.len()).rev().filter(|&at| !over[at]) {
        strides[at] = step;
        step *= dims[at];
    }
    (strides, step)
}

fn map(kernel: &MapKernel, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let space = Shape(kernel.dims.clone());
    let mut body = kernel.body.clone();
    assert!(!kernel.dims.is_empty() && kernel.inputs.iter().all(|it| it.strides.last().is_some_and(|it| *it <= 1)));
    let mut spread: Vec<Vec<f64>> = kernel
        .inputs
        .iter()
        .zip(inputs)
        .map(|(input, values)| places(&kernel.dims, &input.strides).into_iter().map(|it| values[it]).collect())
        .collect();
    let evaluate = |body: &ScalarFn, root: Scalar, int: bool, spread: &[Vec<f64>]| {
        let body = ScalarFn { roots: [root].into(), ..body.clone() };
        let shapes = vec![(space.clone(), DType::Real); spread.len()];
        let full = single(Op::Map { body, int }, &shapes, spread, 0);
        // Without operands a Map is one number.
        if spread.is_empty() { vec![full[0]; space.len()] } else { full }
    };
    // What is stored in 16 bits is an operand of all that is made of it.
    for at in (0..body.nodes.len()).filter(|it| kernel.rounded()[*it]) {
        let mut values = evaluate(&body, Scalar(at as u32), false, &spread);
        values.iter_mut().for_each(|it| *it = short(*it));
        let mut nodes = body.nodes.to_vec();
        nodes[at] = ExprNode::Input(spread.len() as u32);
        body = ScalarFn { arity: body.arity + 1, nodes: nodes.into(), roots: body.roots };
        spread.push(values);
    }
    let evaluated = body.roots.iter().zip(&kernel.outputs).map(|(&root, output)| {
        let full = evaluate(&body, root, output.dtype == DType::Int, &spread);
        match &output.store {
            Store::Full => full,
            Store::Reduce { kind, over } => {
                let axes = (0..over.len()).filter(|&it| over[it]).collect();
                single(Op::Reduce { kind: *kind, axes }, &[(space.clone(), DType::Real)], &[full], 0)
            }
        }
    });
    evaluated.collect()
}
