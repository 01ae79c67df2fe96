//! Kernel specs with operands, and what the interpreter makes of them.

use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::augment::{draws, text};
use sphc::ir::{
    Along, Augment, DType, ExprNode, Extern, Geometry, Graph, Loss, NodeId, Op, OriginId, Random, Reduction, Scalar,
    ScalarFn, Shape, Window,
};
use sphc::kernel::{ConvKernel, ConvKind, KernelSpec, MapInput, MapKernel, MapOutput, MatMulKernel, Part, Store};

/// Of everything random in these tests.
pub(crate) const SEED: u64 = 0x1234_5678_9abc_def1;

/// An operand.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) dtype: DType,
    pub(crate) shape: Shape,
    pub(crate) data: Vec<f64>,
}

/// A result, and how far each element may be off.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) dtype: DType,
    pub(crate) data: Vec<f64>,
    pub(crate) bound: Vec<f64>,
}

/// A spec with everything to judge a run by.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) spec: KernelSpec,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Expected>,
}

/// A result that is stored in bf16: what is expected, rounded, and how far anything within the bound may be from that. The
/// bound stays zero unless a number lies about halfway between two.
fn rounded(it: Expected) -> Expected {
    let round = |it: f64| half::bf16::from_f32(it as f32).to_f64();
    let bound = it.data.iter().zip(&it.bound).map(|(data, bound)| {
        let off = |it: f64| (round(it) - round(*data)).abs();
        off(data - bound).max(off(data + bound))
    });
    Expected { dtype: DType::Bf16, bound: bound.collect(), data: it.data.iter().map(|it| round(*it)).collect() }
}

impl Case {
    /// A convolution over operands in bf16; with `writes` whole results are, too.
    pub(crate) fn in_bf16(mut self, writes: bool) -> Self {
        let kept = if writes { DType::Bf16 } else { DType::Real };
        let reads = |conv: &mut ConvKernel| (conv.reads, conv.writes) = (DType::Bf16, kept);
        match &mut self.spec {
            KernelSpec::Conv(conv) => reads(conv),
            KernelSpec::ConvMap { conv, map } => {
                reads(conv);
                map.outputs.iter_mut().filter(|it| it.store == Store::Full).for_each(|it| it.dtype = kept);
                // The last operand is as large as the result.
                map.inputs.last_mut().expect("there are operands").dtype = kept;
                self.inputs.last_mut().expect("there are operands").dtype = kept;
            }
            _ => panic!("{} is not a convolution", self.name),
        }
        self.inputs[..2].iter_mut().for_each(|it| it.dtype = DType::Bf16);
        if writes {
            self.store_in_bf16();
        }
        self.name += if writes { ", bf16 to bf16" } else { ", bf16 to fp32" };
        self
    }

    /// What is expected of whole results that are stored in bf16, and of what is made of them as they are stored.
    fn store_in_bf16(&mut self) {
        let (spec, inputs) = (self.spec.clone(), self.inputs.iter().map(|it| it.data.clone()).collect::<Vec<_>>());
        let (KernelSpec::Map(map) | KernelSpec::ConvMap { map, .. }) = &spec else {
            self.outputs = self.outputs.drain(..).map(rounded).collect();
            return;
        };
        let whole: Vec<bool> = map.outputs.iter().map(|it| it.store == Store::Full).collect();
        let results = sphc::verify::execute(&spec, &inputs, SEED);
        // How much sums may be off where a number lies about halfway between two.
        let mut open = 0.0;
        for at in (0..whole.len()).filter(|it| whole[*it]) {
            let mut own = spec.clone();
            if let KernelSpec::Map(map) | KernelSpec::ConvMap { map, .. } = &mut own {
                map.outputs[at].dtype = DType::Real;
            }
            self.outputs[at].data = sphc::verify::execute(&own, &inputs, SEED).swap_remove(at);
            self.outputs[at] = rounded(self.outputs[at].clone());
            let each = self.outputs[at].data.iter().zip(&self.outputs[at].bound);
            open += each.map(|(value, bound)| bound * (1.0 + 2.0 * value.abs())).sum::<f64>();
        }
        for (at, data) in results.into_iter().enumerate().filter(|it| !whole[it.0]) {
            self.outputs[at].data = data;
            self.outputs[at].bound.iter_mut().for_each(|it| *it += open);
        }
    }

    /// A map, a window or a transpose with operands and whole results in bf16.
    pub(crate) fn moved_to_bf16(mut self) -> Self {
        match &mut self.spec {
            KernelSpec::Map(map) => {
                map.inputs.iter_mut().for_each(|it| it.dtype = DType::Bf16);
                map.outputs.iter_mut().filter(|it| it.store == Store::Full).for_each(|it| it.dtype = DType::Bf16);
            }
            KernelSpec::Window { reads, writes, .. } => (*reads, *writes) = (DType::Bf16, DType::Bf16),
            KernelSpec::Transpose { dtype, .. } | KernelSpec::Assemble { dtype, .. } => *dtype = DType::Bf16,
            other => panic!("{other} is none of these"),
        }
        for input in &mut self.inputs {
            input.dtype = DType::Bf16;
            input.data.iter_mut().for_each(|it| *it = half::bf16::from_f32(*it as f32).to_f64());
        }
        self.store_in_bf16();
        self.name += ", in bf16";
        self
    }
}

/// Numbers that repeat from run to run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// In [0, 1), a multiple of 2^-20.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 44) as f64 / f64::from(1 << 20)
    }

    pub(crate) fn reals(&mut self, shape: impl Into<Shape>, low: f64, high: f64) -> Value {
        let shape = shape.into();
        let data = (0..shape.len()).map(|_| f64::from((low + (high - low) * self.unit()) as f32)).collect();
        Value { dtype: DType::Real, shape, data }
    }

    /// Reals in [-1, 1] that bf16 holds exactly, so that products of two are exact in fp32.
    pub(crate) fn short(&mut self, shape: impl Into<Shape>) -> Value {
        let mut value = self.reals(shape, -1.0, 1.0);
        value.data.iter_mut().for_each(|it| *it = (*it * 128.0).round() / 128.0);
        value
    }

    pub(crate) fn below(&mut self, shape: impl Into<Shape>, dtype: DType, end: usize) -> Value {
        let shape = shape.into();
        let data = (0..shape.len()).map(|_| (self.unit() * end as f64).floor()).collect();
        Value { dtype, shape, data }
    }
}

/// A graph over the operands, and the environment that binds them.
struct Reference {
    graph: Graph,
    env: Env,
    operands: Vec<NodeId>,
}

impl Reference {
    fn new(inputs: &[Value]) -> Self {
        let mut graph = Graph::new("case");
        let mut env = Env { seed: SEED, ..Env::default() };
        let mut operands = Vec::new();
        for (at, it) in inputs.iter().enumerate() {
            let name = format!("input{at}");
            let op = Op::Input { source: Extern::Named(name.clone()), shape: it.shape.clone(), dtype: it.dtype };
            operands.push(graph.add(op, &[], OriginId::default()).0);
            env.bind(&name, Tensor::new(it.shape.clone(), it.data.clone()));
        }
        Self { graph, env, operands }
    }

    fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let (id, error) = self.graph.add(op, inputs, OriginId::default());
        assert_eq!(error, None);
        id
    }

    fn value(&self, id: NodeId) -> Vec<f64> {
        evaluate(&self.graph, &self.env, &[id]).remove(0).data
    }
}

fn of_op(op: &Op, inputs: &[Value]) -> Vec<f64> {
    let mut reference = Reference::new(inputs);
    let operands = reference.operands.clone();
    let id = reference.add(op.clone(), &operands);
    reference.value(id)
}

fn exact(dtype: DType, data: Vec<f64>) -> Expected {
    Expected { dtype, bound: vec![0.0; data.len()], data }
}

/// A sum of `terms` products: each is off by at most `rounding` of itself, and adding them in any order by at most
/// `terms` roundings of the sum of their sizes.
fn of_contraction(op: &Op, inputs: &[Value], terms: usize, rounding: f64) -> Expected {
    let sizes: Vec<Value> =
        inputs.iter().map(|it| Value { data: it.data.iter().map(|it| it.abs()).collect(), ..it.clone() }).collect();
    let share = (terms + 8) as f64 * 2f64.powi(-24) + rounding;
    let bound = of_op(op, &sizes).into_iter().map(|it| it * share).collect();
    Expected { dtype: DType::Real, data: of_op(op, inputs), bound }
}

/// What a convolution is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images {
    pub(crate) n: usize,
    pub(crate) size: [usize; 2],
    pub(crate) cin: usize,
    pub(crate) cout: usize,
}

/// One of a convolution's products. With `rounding` 0 the operands are such that no factor is rounded.
pub(crate) fn conv(kind: ConvKind, images: Images, geometry: Geometry, rounding: f64) -> Case {
    let Images { n, size: [h, w], cin, cout } = images;
    let [oh, ow] = geometry.output([h, w]).unwrap();
    let [kh, kw] = geometry.kernel;
    let mut numbers = Numbers::new((n * h * w * cin * cout + kh) as u64);
    let mut make = |shape: [usize; 4]| {
        if rounding == 0.0 { numbers.short(shape) } else { numbers.reals(shape, -1.0, 1.0) }
    };
    let [each_in, each_out] = [cin, cout].map(|it| it / geometry.groups);
    let (x, dy, filter) = (make([n, h, w, cin]), make([n, oh, ow, cout]), make([kh, kw, each_in, cout]));
    let (op, inputs, terms) = match kind {
        ConvKind::Forward => (Op::Conv(geometry), vec![x, filter], kh * kw * each_in),
        ConvKind::InputGrad => (Op::ConvInputGrad { geometry, size: [h, w] }, vec![dy, filter], kh * kw * each_out),
        ConvKind::FilterGrad => (Op::ConvFilterGrad(geometry), vec![x, dy], n * oh * ow),
    };
    let spec = KernelSpec::Conv(ConvKernel {
        kind,
        geometry,
        n,
        input: [h, w, cin],
        output: [oh, ow, cout],
        reads: DType::Real,
        writes: DType::Real,
    });
    let name = format!("{kind:?} {images:?} {geometry:?}");
    Case { name, spec, outputs: vec![of_contraction(&op, &inputs, terms, rounding)], inputs }
}

/// A convolution whose result goes through a map: scaled by a factor for each pixel, an offset for each channel taken
/// off, cut at zero. The last results are over pixels: sum, sum of squares, mean and variance of that, and the variance of
/// what the convolution gives where it lies far from zero. With `stored` the convolution itself is a result, too.
pub(crate) fn conv_map(kind: ConvKind, images: Images, geometry: Geometry, stored: bool) -> Case {
    let Case { name, spec: KernelSpec::Conv(conv), mut inputs, outputs } = conv(kind, images, geometry, 0.0) else {
        unreachable!("a convolution")
    };
    let [h, w, c] = if kind == ConvKind::Forward { conv.output } else { conv.input };
    let n = conv.n;
    let mut numbers = Numbers::new((h * w * c) as u64);
    let mut far = numbers.below([c], DType::Real, 3);
    // Sums of products of short numbers stay exact beside it.
    far.data.iter_mut().for_each(|it| *it = 512.0 * (*it - 1.0));
    let others =
        [numbers.reals([n, h, w, 1], 0.5, 2.0), numbers.reals([c], -0.5, 0.5), far, numbers.short([n, h, w, c])];
    let mut pool = sphc::ir::expr::Pool::new();
    let i: [Scalar; 5] = std::array::from_fn(|it| pool.input(it as u32));
    let scaled = pool.mul(i[0], i[1]);
    let shifted = pool.sub(scaled, i[2]);
    let zero = pool.constant(0.0);
    let cut = pool.binary(sphc::ir::Binary::Max, shifted, zero);
    let value = pool.mul(cut, i[4]);
    let (square, moved) = (pool.mul(value, value), pool.add(i[0], i[3]));
    let mut body = pool.finish(5, &[value, value, square, value, value, moved]);

    let mut everything =
        vec![Value { dtype: DType::Real, shape: Shape(vec![n, h, w, c]), data: outputs[0].data.clone() }];
    everything.extend(others.iter().cloned());
    let mut reference = Reference::new(&everything);
    let operands = reference.operands.clone();
    let mut root = |root: Scalar| {
        let body = ScalarFn { roots: [root].into(), ..body.clone() };
        let node = reference.add(Op::Map { body, int: false }, &operands);
        let over = |kind| Op::Reduce { kind, axes: vec![0, 1, 2] };
        let of = [Reduction::Sum, Reduction::Mean, Reduction::Variance].map(|it| reference.add(over(it), &[node]));
        [node, of[0], of[1], of[2]].map(|it| reference.value(it))
    };
    let [value, square, moved] = [0, 2, 5].map(|it| root(body.roots[it]));
    let ([value, sum, mean, variance], [_, squares, ..], [_, _, _, spread]) = (value, square, moved);
    // Products of short numbers and their sums are exact, so only the map rounds, and sums of what is about as large as
    // the square of the largest distance.
    let small = 2e-6;
    let near = |data: Vec<f64>, sizes: f64| Expected {
        dtype: DType::Real,
        bound: data.iter().map(|it| small * (sizes + it.abs())).collect(),
        data,
    };
    let total = |of: &[f64]| of.iter().map(|it| it.abs()).sum::<f64>() / c as f64;
    let widest = |of: &[f64]| 8.0 * of.iter().fold(0.0f64, |most, it| most.max(it.abs())).powi(2);
    let (of_sums, of_squares) = (total(&value), total(&squares));
    let (wide, far) = (widest(&value), widest(&outputs[0].data));
    let mut results = vec![
        near(value, 1.0),
        near(sum, 1.0 + 4.0 * of_sums),
        near(squares, 1.0 + 4.0 * of_squares),
        near(mean, 1.0),
        near(variance, 1.0 + wide),
        near(spread, 1.0 + far),
    ];
    let over = |kind| MapOutput { store: Store::Reduce { kind, over: vec![true, false] }, dtype: DType::Real };
    let whole = MapOutput { store: Store::Full, dtype: DType::Real };
    let reductions =
        [Reduction::Sum, Reduction::Sum, Reduction::Mean, Reduction::Variance, Reduction::Variance].map(over);
    let mut stores: Vec<MapOutput> = std::iter::once(whole.clone()).chain(reductions).collect();
    if stored {
        let given = body.nodes.iter().position(|it| *it == ExprNode::Input(0)).expect("it is read");
        let mut roots = body.roots.to_vec();
        roots.insert(1, Scalar(given as u32));
        body.roots = roots.into();
        stores.insert(1, whole);
        results.insert(1, outputs[0].clone());
    }
    let strides = [vec![c, 1], vec![1, 0], vec![0, 1], vec![0, 1], vec![c, 1]];
    let operands = strides.map(|strides| MapInput::new(strides, DType::Real)).to_vec();
    let map = MapKernel { dims: vec![n * h * w, c], inputs: operands, body, outputs: stores };
    inputs.extend(others);
    Case { name: format!("{name}, then a map"), spec: KernelSpec::ConvMap { conv, map }, inputs, outputs: results }
}

/// A matrix product, or `batch` of them.
pub(crate) fn matmul(batch: usize, [m, n, k]: [usize; 3], transpose_a: bool, transpose_b: bool) -> Case {
    let mut numbers = Numbers::new((m * n + k) as u64);
    let a = numbers.short(if transpose_a { [batch, k, m] } else { [batch, m, k] });
    let b = numbers.short(if transpose_b { [batch, n, k] } else { [batch, k, n] });
    let inputs = vec![a, b];
    let op = Op::MatMul { transpose_a, transpose_b };
    let spec = KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b });
    let name = format!("matmul {batch} {m} {n} {k} {transpose_a} {transpose_b}");
    Case { name, spec, outputs: vec![of_contraction(&op, &inputs, k, 0.0)], inputs }
}

/// A result of a map: reduced over axes or not, real or integer.
#[derive(Clone, Debug)]
pub(crate) struct Result {
    pub(crate) reduce: Option<(Reduction, Vec<usize>)>,
    pub(crate) int: bool,
}

pub(crate) fn whole() -> Result {
    Result { reduce: None, int: false }
}

pub(crate) fn reduced(kind: Reduction, axes: &[usize]) -> Result {
    Result { reduce: Some((kind, axes.to_vec())), int: false }
}

fn strides(from: &Shape, to: &Shape) -> Vec<usize> {
    let missing = to.rank() - from.rank();
    let mut strides = vec![0; to.rank()];
    let mut step = 1;
    for axis in (0..from.rank()).rev() {
        if from.0[axis] != 1 {
            strides[missing + axis] = step;
        }
        step *= from.0[axis];
    }
    strides
}

/// A map over operands that broadcast; root `i` of the body is result `i`.
pub(crate) fn map(name: &str, inputs: Vec<Value>, body: &ScalarFn, results: &[Result]) -> Case {
    let shape = inputs.iter().fold(Shape::scalar(), |shape, it| shape.broadcast(&it.shape).unwrap());
    let mut reference = Reference::new(&inputs);
    let operands = reference.operands.clone();
    let mut outputs = Vec::new();
    let mut stores = Vec::new();
    for (result, &root) in results.iter().zip(&*body.roots) {
        let one = ScalarFn { roots: [root].into(), ..body.clone() };
        // Roundings of a few operations on numbers of this size.
        let small = 2e-6;
        let value = reference.add(Op::Map { body: one, int: result.int }, &operands);
        let dtype = if result.int { DType::Int } else { DType::Real };
        let (store, expected) = match &result.reduce {
            None => {
                let data = reference.value(value);
                let bound = data.iter().map(|it| if result.int { 0.0 } else { small * (1.0 + it.abs()) }).collect();
                (Store::Full, Expected { dtype, data, bound })
            }
            Some((kind, axes)) => {
                let data = {
                    let id = reference.add(Op::Reduce { kind: *kind, axes: axes.clone() }, &[value]);
                    reference.value(id)
                };
                let size = ScalarFn::build(1, |pool, i| pool.unary(sphc::ir::Unary::Abs, i[0]));
                let size = reference.add(Op::Map { body: size, int: false }, &[value]);
                let count: usize = axes.iter().map(|&it| shape.0[it]).product();
                let sizes = reference.add(Op::Reduce { kind: *kind, axes: axes.clone() }, &[size]);
                let share = small + count as f64 * 2f64.powi(-24);
                let mut bound: Vec<f64> =
                    reference.value(sizes).into_iter().map(|it| (it.abs() + 1.0) * share).collect();
                if *kind == Reduction::Variance {
                    // No distance is longer than twice the largest number.
                    let most = reference.value(size).into_iter().fold(0.0, f64::max);
                    bound.fill(small * (1.0 + 8.0 * most * most));
                }
                let over = (0..shape.rank()).map(|it| axes.contains(&it)).collect();
                (Store::Reduce { kind: *kind, over }, Expected { dtype, data, bound })
            }
        };
        outputs.push(expected);
        stores.push(MapOutput { store, dtype });
    }
    let spec = KernelSpec::Map(MapKernel {
        dims: shape.0.clone(),
        inputs: inputs.iter().map(|it| MapInput::new(strides(&it.shape, &shape), it.dtype)).collect(),
        body: body.clone(),
        outputs: stores,
    });
    Case { name: format!("map {name}"), spec, inputs, outputs }
}

/// A window or one of its adjoints.
pub(crate) fn window(kind: Window, n: usize, [h, w, c]: [usize; 3], geometry: Geometry) -> Case {
    let [oh, ow] = geometry.output([h, w]).unwrap();
    let mut numbers = Numbers::new((n * h * w * c) as u64);
    // Few distinct numbers, so that maxima tie.
    let mut x = numbers.below([n, h, w, c], DType::Real, 5);
    x.data.iter_mut().for_each(|it| *it -= 2.0);
    let dy = numbers.short([n, oh, ow, c]);
    let inputs = match kind {
        Window::Sum | Window::Max => vec![x],
        Window::SumGrad { .. } => vec![dy],
        Window::MaxGrad => vec![x, dy],
    };
    let data = of_op(&Op::Window { kind, geometry }, &inputs);
    let bound = data.iter().map(|it| 1e-5 * (1.0 + it.abs())).collect();
    let spec = KernelSpec::Window {
        kind,
        geometry,
        n,
        input: [h, w, c],
        output: [oh, ow],
        reads: DType::Real,
        writes: DType::Real,
    };
    let outputs = vec![Expected { dtype: DType::Real, data, bound }];
    Case { name: format!("{kind:?} {n} {h} {w} {c} {geometry:?}"), spec, inputs, outputs }
}

/// Axes permuted.
pub(crate) fn transpose(shape: &[usize], perm: &[usize]) -> Case {
    let shape = Shape(shape.to_vec());
    let inputs = vec![Numbers::new(3).reals(shape.clone(), -1.0, 1.0)];
    let outputs = vec![exact(DType::Real, of_op(&Op::Transpose(perm.to_vec()), &inputs))];
    let spec = KernelSpec::Transpose { shape: shape.clone(), perm: perm.to_vec(), dtype: DType::Real };
    Case { name: format!("transpose {shape} {perm:?}"), spec, inputs, outputs }
}

/// The extents of a part, and for each axis where it begins and whether it is turned around.
pub(crate) type AssembledPart<'a> = (&'a [usize], &'a [(i64, bool)]);

/// Parts put at their places, each `(start, turned)` along each axis.
pub(crate) fn assemble(dims: &[usize], parts: &[AssembledPart<'_>]) -> Case {
    let mut numbers = Numbers::new(dims.len() as u64);
    let inputs = parts.iter().map(|it| numbers.reals(Shape(it.0.to_vec()), -1.0, 1.0)).collect::<Vec<_>>();
    let along = |place: &[(i64, bool)]| place.iter().map(|&(start, turned)| Along { start, turned }).collect();
    let places: Vec<Vec<Along>> = parts.iter().map(|it| along(it.1)).collect();
    let op = Op::Assemble { shape: Shape(dims.to_vec()), places: places.clone() };
    let outputs = vec![exact(DType::Real, of_op(&op, &inputs))];
    let parts = parts.iter().zip(places).map(|(it, place)| Part { dims: it.0.to_vec(), place }).collect();
    let spec = KernelSpec::Assemble { dims: dims.to_vec(), parts, dtype: DType::Real };
    Case { name: format!("{spec}"), spec, inputs, outputs }
}

/// Examples picked out of 11.
pub(crate) fn gather(dtype: DType, n: usize, item: &[usize], steps: &[Augment]) -> Case {
    let mut numbers = Numbers::new((n + 7 * steps.len()) as u64);
    let mut shape = item.to_vec();
    shape.insert(0, 11);
    let source = match dtype {
        DType::U8 | DType::Bf16 => numbers.below(Shape(shape), dtype, 256),
        DType::U16 => numbers.below(Shape(shape), dtype, 65536),
        DType::Int => numbers.below(Shape(shape), dtype, 1 << 40),
        DType::Real => numbers.reals(Shape(shape), -9.0, 9.0),
    };
    let mut inputs = vec![source, numbers.below([n], DType::Int, 11)];
    if 0 < draws(steps) {
        inputs.push(numbers.reals([n, draws(steps)], 0.0, 1.0));
    }
    let data = of_op(&Op::picks(steps), &inputs);
    // Two products and two sums in each step that makes numbers between pixels.
    let linear = steps.iter().filter(|it| !it.takes(DType::Int) && dtype == DType::Real).count();
    let bound = data.iter().map(|_| 4.0 * linear as f64 * 9.0 * 2f64.powi(-24)).collect();
    let outputs = vec![Expected { dtype, data, bound }];
    let (item_shape, steps_taken) = (Shape(item.to_vec()), steps.to_vec());
    let spec = match steps.is_empty() {
        true => KernelSpec::Gather { dtype, n, item: item_shape },
        false => KernelSpec::Augment { dtype, n, item: item_shape, steps: steps_taken },
    };
    Case { name: format!("gather {dtype:?} {n} {item:?} {}", text(steps)), spec, inputs, outputs }
}

/// Sums of what was picked. Several columns go to a thread where there are more than threads.
pub(crate) fn scatter(rows: usize, n: usize, item: usize) -> Case {
    let mut numbers = Numbers::new((rows + n) as u64);
    let inputs = vec![numbers.below([n], DType::Int, rows), numbers.reals([n, item], -1.0, 1.0)];
    let data = of_op(&Op::Scatter { rows }, &inputs);
    let bound = data.iter().map(|_| n as f64 * n as f64 * 2f64.powi(-24)).collect();
    let outputs = vec![Expected { dtype: DType::Real, data, bound }];
    Case { name: format!("scatter {rows} {n} {item}"), spec: KernelSpec::Scatter { rows, n, item }, inputs, outputs }
}

/// A loss.
pub(crate) fn loss(kind: Loss, n: usize, classes: usize) -> Case {
    let mut numbers = Numbers::new((n * classes) as u64);
    let mut logits = numbers.reals([n, classes], -6.0, 6.0);
    // Equal largest logits: the first counts.
    logits.data[0] = 7.0;
    logits.data[classes - 1] = 7.0;
    let mut inputs = vec![logits, numbers.below([n], DType::Int, classes)];
    if let Loss::CrossEntropyGrad { .. } = kind {
        inputs.push(numbers.reals([n], 0.5, 1.5));
    }
    let data = of_op(&Op::Loss(kind), &inputs);
    let bound = data.iter().map(|it| if kind == Loss::Correct { 0.0 } else { 4e-6 * (1.0 + it.abs()) }).collect();
    let outputs = vec![Expected { dtype: DType::Real, data, bound }];
    Case { name: format!("{kind:?} {n} {classes}"), spec: KernelSpec::Loss { kind, n, classes }, inputs, outputs }
}

/// Random numbers at a step, from a position on.
pub(crate) fn random(kind: Random, len: usize, step: u64, first: usize) -> Case {
    let stream = sphc::ir::random::stream("case");
    let inputs = vec![Value { dtype: DType::Int, shape: Shape::scalar(), data: vec![step as f64] }];
    let op = Op::Random { kind, shape: Shape(vec![len]), stream, first };
    let dtype = if kind == Random::Uniform { DType::Real } else { DType::Int };
    let outputs = vec![exact(dtype, of_op(&op, &inputs))];
    let spec = KernelSpec::Random { kind, len, stream, first };
    Case { name: format!("{kind:?} {len} {step} {first}"), spec, inputs, outputs }
}

/// A copy.
pub(crate) fn copy(len: usize, dtype: DType) -> Case {
    let value = Numbers::new(len as u64).below([len], dtype, 200);
    let outputs = vec![exact(dtype, value.data.clone())];
    let spec = KernelSpec::Map(MapKernel::copy(len, dtype, dtype));
    Case { name: format!("copy {len} {dtype:?}"), spec, inputs: vec![value], outputs }
}

/// Maps, or matrix products, that share a launch.
pub(crate) fn many(cases: Vec<Case>) -> Case {
    let mut all = Case { name: "many".into(), spec: KernelSpec::Maps(Vec::new()), inputs: vec![], outputs: vec![] };
    let (mut maps, mut products) = (Vec::new(), Vec::new());
    for case in cases {
        match case.spec {
            KernelSpec::Map(map) => maps.push(map),
            KernelSpec::MatMul(product) => products.push(product),
            other => panic!("{other} does not share launches"),
        }
        all.name += &format!(", {}", case.name);
        all.inputs.extend(case.inputs);
        all.outputs.extend(case.outputs);
    }
    assert!(maps.is_empty() || products.is_empty());
    all.spec = if maps.is_empty() { KernelSpec::MatMuls(products) } else { KernelSpec::Maps(maps) };
    all
}
