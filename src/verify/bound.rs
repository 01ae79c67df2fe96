//! How far a device's numbers may be from the interpreter's: roundings, followed through a kernel.
//!
//! Nothing here is a tolerance that was tried out. A contraction's bound comes from the size of its
//! products, a scalar expression's from letting every number in it move as far as roundings move it.

use super::contraction::{Factors, contraction};
use super::loss;
use super::meaning::{drawn, execute, left_of, places, short, written};
use crate::ir::{Augment, Binary, DType, ExprNode, Loss, Precision, Reduction, Unary, Window};
use crate::kernel::{KernelSpec, MapInput, MapKernel, Store, each_with};

/// Roundings of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Roundings {
    /// Half the distance of 1 to the next number: 2^-24 in f32.
    pub(super) unit: f64,
    /// What becomes of the factors of convolutions.
    pub(super) conv: Factors,
    /// What becomes of the factors of matrix products.
    pub(super) matmul: Factors,
    /// The smallest `1 - a^2` that the slope of `asin` sees.
    pub(super) slope_floor: f64,
}

impl Roundings {
    /// Of a plan's launches.
    pub(super) fn of(precision: Precision) -> Self {
        let half = |bits: i32| 2f64.powi(-bits);
        let single = Self { unit: half(24), conv: Factors::Whole, matmul: Factors::Whole, slope_floor: 1e-6 };
        match precision {
            Precision::F32 => single,
            Precision::Tf32 => Self { conv: Factors::Tf32, matmul: Factors::Tf32, ..single },
            Precision::Bf16 => Self { conv: Factors::Bf16, matmul: Factors::Tf32, ..single },
            Precision::F64 => Self { unit: half(53), slope_floor: 1e-12, ..single },
        }
    }
}

/// Numbers that a result should have, at the places that are compared.
pub(super) struct Expected {
    /// Places in the result; `None` is all of it.
    pub(super) places: Option<Vec<usize>>,
    pub(super) values: Vec<f64>,
    pub(super) bounds: Vec<f64>,
}

impl Expected {
    fn all(values: Vec<f64>, bounds: Vec<f64>) -> Self {
        Self { places: None, values, bounds }
    }

    /// The numbers as 16 bits hold them.
    fn shorten(&mut self) {
        for (value, bound) in self.values.iter_mut().zip(&mut self.bounds) {
            let Near { value: stored, off } = Near { value: *value, off: *bound }.shortened();
            (*value, *bound) = (stored, off);
        }
    }

    fn exact(values: Vec<f64>) -> Self {
        Self { bounds: vec![0.0; values.len()], places: None, values }
    }
}

/// Functions of a device's library are right to a few roundings.
pub(super) const LIBRARY: f64 = 8.0;

/// The results of a kernel, with bounds.
pub(super) fn expected(spec: &KernelSpec, inputs: &[Vec<f64>], seed: u64, roundings: &Roundings) -> Vec<Expected> {
    let mut all = in_full(spec, inputs, seed, roundings);
    if written(spec) == DType::Bf16 {
        all.iter_mut().for_each(Expected::shorten);
    }
    all
}

/// The same before results are stored, but for those of maps.
fn in_full(spec: &KernelSpec, inputs: &[Vec<f64>], seed: u64, roundings: &Roundings) -> Vec<Expected> {
    match spec {
        KernelSpec::Conv(_) | KernelSpec::MatMul(_) => vec![contraction(spec, inputs, seed, roundings)],
        KernelSpec::MatMuls(all) => {
            let each = all.iter().zip(inputs.chunks_exact(2));
            each.map(|(it, inputs)| contraction(&KernelSpec::MatMul(*it), inputs, seed, roundings)).collect()
        }
        KernelSpec::Map(kernel) => {
            let (kernel, inputs) = drawn(kernel, inputs, seed);
            map(&kernel, &inputs, None, roundings)
        }
        KernelSpec::Maps(all) => each_with(all, inputs, |it| it.inputs.len())
            .flat_map(|(it, inputs)| in_full(&KernelSpec::Map(it.clone()), inputs, seed, roundings))
            .collect(),
        KernelSpec::ConvMap { conv, map } => {
            let (operands, others) = inputs.split_at(2);
            // What stands for the convolution's result is not drawn.
            let (map, read) = drawn(map, &[&[Vec::new()], others].concat(), seed);
            let inputs = [operands, &read[1..]].concat();
            conv_map(&KernelSpec::Conv(*conv), &map, &inputs, seed, roundings)
        }
        KernelSpec::Augment { dtype: DType::Real, steps, .. } if steps.iter().any(is_linear) => {
            let mut sizes = inputs.to_vec();
            sizes[0].iter_mut().for_each(|it| *it = it.abs());
            // Two products and two sums, one after the other, in each of these steps.
            let terms = 4.0 * steps.iter().filter(|it| is_linear(it)).count() as f64;
            let sums = execute(spec, &sizes, seed).remove(0);
            let bounds = sums.into_iter().map(|it| share(it, terms * roundings.unit)).collect();
            vec![Expected::all(execute(spec, inputs, seed).remove(0), bounds)]
        }
        KernelSpec::Window { kind: Window::Max, .. }
        | KernelSpec::Transpose { .. }
        | KernelSpec::Assemble { .. }
        | KernelSpec::Gather { .. }
        | KernelSpec::Augment { .. }
        | KernelSpec::Random { .. }
        | KernelSpec::AllReduce { .. }
        | KernelSpec::Loss { kind: Loss::Correct, .. } => {
            execute(spec, inputs, seed).into_iter().map(Expected::exact).collect()
        }
        KernelSpec::Window { kind, geometry, .. } => {
            // The last operand is what is added up.
            let mut sizes = inputs.to_vec();
            let last = sizes.len() - 1;
            sizes[last].iter_mut().for_each(|it| *it = it.abs());
            debug_assert!(*kind != Window::Max);
            let terms = (geometry.kernel[0] * geometry.kernel[1]) as f64;
            let sums = execute(spec, &sizes, seed).remove(0);
            let bounds = sums.into_iter().map(|it| share(it, terms * roundings.unit)).collect();
            vec![Expected::all(execute(spec, inputs, seed).remove(0), bounds)]
        }
        KernelSpec::Scatter { n, .. } => {
            let sizes = [inputs[0].clone(), inputs[1].iter().map(|it| it.abs()).collect()];
            let sums = execute(spec, &sizes, seed).remove(0);
            let bounds = sums.into_iter().map(|it| share(it, *n as f64 * roundings.unit)).collect();
            vec![Expected::all(execute(spec, inputs, seed).remove(0), bounds)]
        }
        KernelSpec::Loss { kind, classes, .. } => {
            let values = execute(spec, inputs, seed).remove(0);
            let bounds = loss::bounds(*kind, *classes, inputs, &values, roundings.unit);
            vec![Expected::all(values, bounds)]
        }
    }
}

/// Whether a step makes numbers between pixels.
fn is_linear(step: &Augment) -> bool {
    match step {
        Augment::ResizedCrop { .. } | Augment::Rotate { .. } => true,
        Augment::Crop { .. }
        | Augment::FlipHorizontal
        | Augment::FlipVertical
        | Augment::ColorJitter { .. }
        | Augment::Cutout { .. } => false,
    }
}

/// A contraction and the map of its result, for some channels.
fn conv_map(
    conv: &KernelSpec,
    kernel: &MapKernel,
    inputs: &[Vec<f64>],
    seed: u64,
    roundings: &Roundings,
) -> Vec<Expected> {
    let (operands, others) = inputs.split_at(2);
    let sums = contraction(conv, operands, seed, roundings);
    let kept = sums.places.unwrap_or_default();
    let channels = *kernel.dims.last().unwrap_or(&1);
    let rows: usize = kernel.dims.iter().product::<usize>() / channels;
    let picked: Vec<usize> = kept.iter().copied().take_while(|it| *it < channels).collect();
    // The same map over the kept places, with every operand spread over them.
    let spread = |(input, values): (&MapInput, &Vec<f64>)| {
        let all = places(&kernel.dims, &input.strides);
        kept.iter().map(|it| values[all[*it]]).collect::<Vec<f64>>()
    };
    let mut read = vec![sums.values];
    read.extend(kernel.inputs.iter().skip(1).zip(others).map(spread));
    let mut small = kernel.clone();
    small.dims = vec![rows, picked.len()];
    small.inputs.iter_mut().for_each(|it| it.strides = vec![picked.len(), 1]);
    for output in &mut small.outputs {
        if let Store::Reduce { over, .. } = &mut output.store {
            *over = vec![true, false];
        }
    }
    let mut all = map(&small, &read, Some(&sums.bounds), roundings);
    for (expected, output) in all.iter_mut().zip(&kernel.outputs) {
        expected.places = Some(if output.store == Store::Full { kept.clone() } else { picked.clone() });
    }
    all
}

/// How far each value of a map may be off, and what is made of it by sums. `first` is how far operand 0 is off already.
fn map(kernel: &MapKernel, inputs: &[Vec<f64>], first: Option<&[f64]>, roundings: &Roundings) -> Vec<Expected> {
    let all: Vec<Vec<usize>> = kernel.inputs.iter().map(|it| places(&kernel.dims, &it.strides)).collect();
    let len: usize = kernel.dims.iter().product();
    let mut near: Vec<Vec<Near>> = vec![Vec::with_capacity(len); kernel.outputs.len()];
    let (rounded, mut nodes) = (kernel.rounded(), Vec::new());
    for at in 0..len {
        let input = |input: usize| {
            let off = if input == 0 { first.map_or(0.0, |it| it[at]) } else { 0.0 };
            Near { value: inputs[input][all[input][at]], off }
        };
        follow(&kernel.body.nodes, &rounded, input, roundings, &mut nodes);
        for (to, root) in near.iter_mut().zip(&*kernel.body.roots) {
            to.push(nodes[root.0 as usize]);
        }
    }
    let values = execute(&KernelSpec::Map(kernel.clone()), inputs, 0);
    let results = values.into_iter().zip(near).zip(&kernel.outputs);
    results
        .map(|((values, near), output)| {
            if !matches!(output.dtype, DType::Real | DType::Bf16) {
                return Expected::exact(values);
            }
            let bounds = match &output.store {
                Store::Full => near.iter().map(|it| it.off).collect(),
                Store::Reduce { kind, over } => {
                    let (strides, count) = left_of(&kernel.dims, over);
                    reduced(*kind, &values, &near, &places(&kernel.dims, &strides), len / count.max(1), roundings)
                }
            };
            Expected::all(values, bounds)
        })
        .collect()
}

/// How far reductions may be off: `values` of them, each of `terms` numbers, those of `near` that have its place.
fn reduced(
    kind: Reduction,
    values: &[f64],
    near: &[Near],
    places: &[usize],
    terms: usize,
    roundings: &Roundings,
) -> Vec<f64> {
    let share = 1.0 / terms.max(1) as f64;
    let adding = roundings.unit * (8.0 + 4.0 * (terms as f64).sqrt());
    let mut bounds = vec![0.0f64; values.len()];
    let all = || places.iter().copied().zip(near);
    match kind {
        Reduction::Sum => all().for_each(|(at, it)| bounds[at] += it.off + adding * it.value.abs()),
        Reduction::Max => all().for_each(|(at, it)| bounds[at] = bounds[at].max(it.off)),
        // A device adds distances from a number among them, which is as far from the mean as any, and their squares. How
        // far the mean is from 0 is no part of what that costs.
        Reduction::Mean | Reduction::Variance => {
            let squares = kind == Reduction::Variance;
            let mut means = vec![0.0; values.len()];
            all().for_each(|(at, it)| means[at] += share * it.value);
            let mut widest = vec![0.0f64; values.len()];
            for (at, it) in all() {
                let gap = (it.value - means[at]).abs();
                widest[at] = widest[at].max(gap + it.off);
                let off = if squares { it.off * (2.0 * gap + it.off) } else { it.off + adding * it.value.abs() };
                bounds[at] += share * off;
            }
            for ((bound, value), widest) in bounds.iter_mut().zip(values).zip(widest) {
                *bound +=
                    if squares { adding * (value + 4.0 * widest * widest) } else { 4.0 * roundings.unit * widest };
            }
        }
    }
    bounds
}

/// A number, and how far a device's may be from it.
#[derive(Clone, Copy, Debug)]
struct Near {
    value: f64,
    off: f64,
}

impl Near {
    fn ends(self) -> [f64; 2] {
        [self.value - self.off, self.value + self.off]
    }

    /// As 16 bits hold it. Rounding never turns two numbers around, so the ends bound what becomes of the rest.
    fn shortened(self) -> Near {
        let value = short(self.value);
        Near { value, off: self.ends().iter().fold(0.0, |off: f64, it| off.max((short(*it) - value).abs())) }
    }
}

/// Evaluates all nodes, and lets their operands move as far as they may.
fn follow(
    nodes: &[ExprNode],
    rounded: &[bool],
    input: impl Fn(usize) -> Near,
    roundings: &Roundings,
    near: &mut Vec<Near>,
) {
    near.clear();
    for (node, rounded) in nodes.iter().zip(rounded) {
        let at = |it: crate::ir::Scalar| near[it.0 as usize];
        let next = match *node {
            // Constants of a device have its precision.
            ExprNode::Const(it) => Near { value: it.0, off: rounding(it.0, roundings.unit) },
            ExprNode::Input(it) => input(it as usize),
            ExprNode::Unary(op, a) => unary(op, at(a), roundings),
            ExprNode::Binary(op, a, b) => binary(op, at(a), at(b), roundings.unit),
            ExprNode::Select(c, a, b) => {
                let (c, a, b) = (at(c), at(a), at(b));
                let (taken, other) = if c.value != 0.0 { (a, b) } else { (b, a) };
                let open = 0.0 < c.off && (c.ends()[0] <= 0.0) != (c.ends()[1] <= 0.0) || c.value.abs() < c.off;
                let off = if open { taken.off.max((other.value - taken.value).abs() + other.off) } else { taken.off };
                Near { value: taken.value, off }
            }
        };
        near.push(if *rounded { next.shortened() } else { next });
    }
}

fn rounding(value: f64, unit: f64) -> f64 {
    let exact = if unit < 1e-12 { true } else { f64::from(value as f32) == value };
    if exact { 0.0 } else { share(value, unit) }
}

/// Roundings of a number; at least the smallest number, where only 0 is without.
fn share(value: f64, roundings: f64) -> f64 {
    if value == 0.0 || roundings == 0.0 { 0.0 } else { (value.abs() * roundings).max(SMALLEST) }
}

/// The smallest number in f64. In f32, and wherever a device takes smaller ones for 0, `compare` allows more.
const SMALLEST: f64 = f64::from_bits(1);

/// How far a number is from what it should be; nothing is known where roundings take an argument out of the domain.
fn gap(it: f64, from: f64) -> f64 {
    match it.is_nan() {
        _ if it == from || from.is_nan() => 0.0,
        true => f64::INFINITY,
        false => (it - from).abs(),
    }
}

fn unary(op: Unary, a: Near, roundings: &Roundings) -> Near {
    let unit = roundings.unit;
    // Functions of a library round inside as if their argument were another.
    let (inside, outside) = match op {
        Unary::Neg | Unary::Abs | Unary::Sign | Unary::Floor | Unary::Stop => (0.0, 0.0),
        Unary::Sqrt => (0.0, 1.0),
        Unary::Rsqrt | Unary::Atan | Unary::Tanh | Unary::Logistic | Unary::Erf => (1.0, LIBRARY),
        Unary::Exp | Unary::Expm1 | Unary::Log | Unary::Log1p | Unary::Sin | Unary::Cos => (1.0, LIBRARY),
        Unary::Asin | Unary::Acos | Unary::AsinSlope => (1.0, LIBRARY),
    };
    let value = op.apply(a.value);
    let reach = Near { off: a.off + inside * unit * a.value.abs(), ..a };
    let mut off = reach.ends().iter().fold(0.0f64, |off, &it| off.max(gap(op.apply(it), value)));
    if op == Unary::AsinSlope {
        // The pole is cut where the device's precision ends.
        let cut = 1.0 / ((1.0 - a.value) * (1.0 + a.value)).max(roundings.slope_floor).sqrt();
        off = off.max((cut - value).abs());
    }
    // A function that is never 0 has become too small.
    let lost = value == 0.0 && matches!(op, Unary::Exp | Unary::Logistic);
    Near { value, off: off + if lost { SMALLEST } else { share(value, outside * unit) } }
}

fn binary(op: Binary, a: Near, b: Near, unit: f64) -> Near {
    let value = op.apply(a.value, b.value);
    let mut off = 0.0f64;
    if 0.0 < a.off || 0.0 < b.off {
        for x in a.ends() {
            for y in b.ends() {
                off = off.max(gap(op.apply(x, y), value));
            }
        }
        // Two numbers may be equal anywhere in between, not at their ends alone.
        if op == Binary::Eq && (a.value - b.value).abs() <= a.off + b.off {
            off = 1.0;
        }
    }
    let outside = match op {
        Binary::Add | Binary::Sub | Binary::Mul => 1.0,
        Binary::Div => 2.0,
        Binary::Pow => LIBRARY,
        Binary::Min | Binary::Max | Binary::Lt | Binary::Le | Binary::Eq => 0.0,
    };
    let lost = value == 0.0
        && match op {
            Binary::Mul => a.value != 0.0 && b.value != 0.0,
            Binary::Div | Binary::Pow => a.value != 0.0,
            Binary::Add | Binary::Sub | Binary::Min | Binary::Max | Binary::Lt | Binary::Le | Binary::Eq => false,
        };
    Near { value, off: off + if lost { SMALLEST } else { share(value, outside * unit) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ScalarFn;
    use crate::kernel::{MapOutput, MatMulKernel};

    const F32: Roundings = Roundings { unit: 5.96e-8, conv: Factors::Whole, matmul: Factors::Whole, slope_floor: 1e-6 };

    fn off(f: &ScalarFn, args: &[f64]) -> f64 {
        let mut near = Vec::new();
        follow(&f.nodes, &vec![false; f.nodes.len()], |it| Near { value: args[it], off: 0.0 }, &F32, &mut near);
        near[f.root().0 as usize].off
    }

    #[test]
    fn bounds_hold_what_f32_does_and_little_more() {
        // (a + b) - a loses what a is larger by.
        let f = ScalarFn::build(2, |pool, i| {
            let sum = pool.add(i[0], i[1]);
            pool.sub(sum, i[0])
        });
        let (a, b) = (1000.0f32, 0.123_456_7f32);
        let error = (f64::from((a + b) - a) - f64::from(b)).abs();
        let bound = off(&f, &[f64::from(a), f64::from(b)]);
        assert!(error <= bound && bound <= 1.1e-4, "{error} {bound}");
    }

    #[test]
    fn a_branch_that_roundings_decide_may_go_either_way() {
        let f = ScalarFn::build(3, |pool, i| {
            let third = pool.constant(1.0 / 3.0);
            let product = pool.mul(i[0], third);
            let less = pool.binary(Binary::Lt, product, i[1]);
            let far = pool.constant(7.0);
            pool.select(less, i[2], far)
        });
        assert!(6.0 <= off(&f, &[3.0, 1.0, 1.0]));
        assert!(off(&f, &[3.0, 2.0, 1.0]) < 1e-6);
    }

    #[test]
    fn numbers_that_roundings_make_equal_may_be_equal() {
        let equal = ScalarFn::build(2, |pool, i| {
            let [a, b] = [i[0], i[1]].map(|it| pool.unary(Unary::Tanh, it));
            pool.binary(Binary::Eq, a, b)
        });
        // Both are 1 - 2e-8, but not the same.
        let (a, b) = (9.2f64, 9.3f64);
        assert!(a.tanh() != b.tanh() && (a.tanh() as f32) == (b.tanh() as f32));
        assert_eq!(off(&equal, &[a, b]), 1.0);
        assert_eq!(off(&equal, &[1.0, 1.0]), 1.0, "of what is rounded twice, nobody knows");
        assert_eq!(off(&equal, &[1.0, 2.0]), 0.0);
    }

    /// A third of each number, stored in 16 bits, and the sum of its squares over channels.
    #[test]
    fn what_is_made_of_a_short_number_is_made_of_it_as_it_is_stored() {
        let mut body = ScalarFn::build(1, |pool, i| {
            let third = pool.constant(1.0 / 3.0);
            let scaled = pool.mul(i[0], third);
            pool.mul(scaled, scaled)
        });
        let square = body.root();
        let ExprNode::Binary(Binary::Mul, scaled, _) = body.nodes[square.0 as usize] else { panic!("a product") };
        body.roots = [scaled, square].into();
        let kernel = MapKernel {
            dims: vec![5, 8],
            inputs: vec![MapInput::new(vec![8, 1], DType::Real)],
            body,
            outputs: vec![
                MapOutput { store: Store::Full, dtype: DType::Bf16 },
                MapOutput {
                    store: Store::Reduce { kind: Reduction::Sum, over: vec![false, true] },
                    dtype: DType::Real,
                },
            ],
        };
        let x: Vec<f64> = (0..40).map(|it| f64::from(it * it) / 7.0 - 20.0).collect();
        let found = expected(&KernelSpec::Map(kernel), std::slice::from_ref(&x), 0, &F32);
        let squares = |numbers: Vec<f64>| -> Vec<f64> {
            numbers.chunks(8).map(|it| it.iter().map(|it| it * it).sum::<f64>()).collect()
        };
        let stored: Vec<f64> = x.iter().map(|it| short(it / 3.0)).collect();
        assert_eq!(found[0].values, stored);
        // The next number of 16 bits is wrong.
        assert!(found[0].bounds.iter().all(|it| *it == 0.0));
        let off = |other: Vec<f64>| -> Vec<bool> {
            let all = found[1].values.iter().zip(&found[1].bounds).zip(other);
            all.map(|((value, bound), other)| *bound < (value - other).abs()).collect()
        };
        assert_eq!(off(squares(stored)), [false; 5]);
        // Sums of numbers before they are stored are wrong, too.
        assert_eq!(off(squares(x.iter().map(|it| it / 3.0).collect())), [true; 5]);
    }

    #[test]
    fn what_falls_below_the_smallest_number_may_be_it() {
        let product = ScalarFn::build(2, |pool, i| pool.mul(i[0], i[1]));
        assert!(0.0 < off(&product, &[1e-200, 1e-200]) && off(&product, &[1e-200, 1e-200]) < 1e-300);
        assert!(0.0 < off(&product, &[1e-160, 1e-160]));
        assert_eq!(off(&product, &[0.0, 1e-200]), 0.0);
        let tiny = [vec![1e-160; 3], vec![1e-160; 3]];
        let spec =
            KernelSpec::MatMul(MatMulKernel { batch: 1, m: 1, n: 1, k: 3, transpose_a: false, transpose_b: false });
        let found = &expected(&spec, &tiny, 0, &Roundings::of(Precision::F64))[0];
        assert!(1e-323 < found.bounds[0] && found.bounds[0] < 1e-150);
    }
}
