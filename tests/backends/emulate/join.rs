//! Kernels that are joined on a GPU, whatever the order of their blocks: each against the interpreter, on what it was given.

use super::case::{self, Numbers};
use super::module::{self, Memory, Module, Stress};
use super::{bytes, numbers};
use sphc::ir::expr::Pool;
use sphc::ir::op::Scalar64;
use sphc::ir::{DType, Geometry, Loss, Precision, Reduction, ScalarFn, Unary, Window};
use sphc::kernel::cuda::{Arithmetic, Choice, Options, write};
use sphc::kernel::{ConvKernel, ConvKind, KernelSpec, MapInput, MapKernel, MapOutput, Store};

/// Runs kernels as one, and compares what each made of its operands. `wired` says which operand, counted over all, is which
/// result.
pub(super) fn check(specs: &[KernelSpec], wired: &[(usize, usize)], options: &Options) {
    let precision = match options.arithmetic {
        Arithmetic::F32 => Precision::F32,
        Arithmetic::Tf32 => Precision::Tf32,
        Arithmetic::Bf16 => Precision::Bf16,
    };
    let source =
        write(&specs.iter().collect::<Vec<_>>(), options).unwrap_or_else(|| panic!("{specs:?} cannot be joined"));
    let of: Vec<_> = specs.iter().map(|it| it.operands().unwrap()).collect();
    let inputs: Vec<_> = of.iter().flat_map(|it| it.inputs.clone()).collect();
    let outputs: Vec<_> = of.iter().flat_map(|it| it.outputs.clone()).collect();
    let mut random = Numbers::new(inputs.len() as u64);
    let given: Vec<Vec<f64>> = inputs
        .iter()
        .map(|it| match it.dtype {
            DType::Int => random.below([it.len], DType::Int, 10).data,
            _ => random.reals([it.len], 0.25, 1.0).data,
        })
        .collect();
    let module = Module::new("joined", &source);
    for seed in 1..6 {
        let results: Vec<Memory> = outputs.iter().map(|it| Memory::of(&bytes(it.dtype, &vec![-1.0; it.len]))).collect();
        let memories: Vec<Memory> =
            inputs.iter().zip(&given).map(|(it, values)| Memory::of(&bytes(it.dtype, values))).collect();
        let result_of = |at: usize| wired.iter().find(|it| it.0 == at).map(|it| it.1);
        let operands: Vec<&Memory> =
            memories.iter().enumerate().map(|(at, it)| result_of(at).map_or(it, |it| &results[it])).collect();
        let stress = Stress { seed, late: seed % 2 == 0 };
        module.run(&operands, &results.iter().collect::<Vec<_>>(), case::SEED, stress).unwrap();
        let found: Vec<Vec<f64>> = results.iter().zip(&outputs).map(|(it, of)| numbers(of.dtype, it.bytes())).collect();
        let (mut first, mut written) = (0, 0);
        for (spec, of) in specs.iter().zip(&of) {
            let own: Vec<Vec<f64>> = (first..first + of.inputs.len())
                .map(|at| result_of(at).map_or(given[at].clone(), |it| found[it].clone()))
                .collect();
            let comparison =
                sphc::verify::launch(spec, &own, &found[written..written + of.outputs.len()], case::SEED, precision);
            assert!(comparison.passed() && 0 < comparison.compared, "{spec}, seed {seed}: {comparison:?}");
            (first, written) = (first + of.inputs.len(), written + of.outputs.len());
        }
    }
}

fn real(store: Store) -> MapOutput {
    MapOutput { store, dtype: DType::Real }
}

fn over(kind: Reduction, over: [bool; 2]) -> MapOutput {
    real(Store::Reduce { kind, over: over.to_vec() })
}

/// `2 x` of pixels by channels, whole, and the sum of its squares for each pixel.
fn norms(pixels: usize, channels: usize) -> KernelSpec {
    let mut pool = Pool::new();
    let x = pool.input(0);
    let (two, value) = (pool.constant(2.0), pool.input(0));
    let value = pool.mul(value, two);
    let square = pool.mul(x, x);
    KernelSpec::Map(MapKernel {
        dims: vec![pixels, channels],
        inputs: vec![MapInput::new(vec![channels, 1], DType::Real)],
        body: pool.finish(1, &[value, square]),
        outputs: vec![real(Store::Full), over(Reduction::Sum, [false, true])],
    })
}

/// `x scale`, whole, its sum and its variance for each channel.
fn sums(pixels: usize, channels: usize) -> MapKernel {
    let body = ScalarFn::build(2, |pool, i| pool.mul(i[0], i[1]));
    let root = body.roots[0];
    MapKernel {
        dims: vec![pixels, channels],
        inputs: vec![MapInput::new(vec![channels, 1], DType::Real), MapInput::new(vec![0, 1], DType::Real)],
        body: ScalarFn { roots: [root; 3].into(), ..body },
        outputs: vec![real(Store::Full), over(Reduction::Sum, [true, false]), over(Reduction::Variance, [true, false])],
    }
}

/// `a b + 1` for each channel.
fn channels(count: usize) -> KernelSpec {
    let body = ScalarFn::build(3, |pool, i| {
        let product = pool.mul(i[0], i[1]);
        pool.add(product, i[2])
    });
    let of = |stride| MapInput::new(vec![stride], DType::Real);
    KernelSpec::Map(MapKernel {
        dims: vec![count],
        inputs: vec![of(1), of(1), of(0)],
        body,
        outputs: vec![real(Store::Full)],
    })
}

#[test]
fn sums_over_windows_behind_the_map_that_makes_their_pixels() {
    if !module::available() {
        return;
    }
    // Images of several blocks, blocks of several images, and a last block that is not full.
    for (n, size, stride) in [(3, [16, 32], 1), (2, [32, 16], 2), (7, [4, 8], 1), (5, [8, 8], 2)] {
        let geometry = Geometry::same(size, [3, 3], [stride, stride]);
        let output = geometry.output(size).unwrap();
        let input = [size[0], size[1], 1];
        let (reads, writes) = (DType::Real, DType::Real);
        let window = |kind| KernelSpec::Window { kind, geometry, n, input, output, reads, writes };
        let forward = [norms(n * size[0] * size[1], 8), window(Window::Sum)];
        check(&forward, &[(1, 1)], &Options::default());
        if stride == 1 {
            let back = [norms(n * output[0] * output[1], 8), window(Window::SumGrad { size })];
            check(&back, &[(1, 1)], &Options::default());
        }
    }
}

#[test]
fn maps_over_channels_behind_the_sums_that_they_read() {
    if !module::available() {
        return;
    }
    for (pixels, count) in [(3000, 24), (9000, 5)] {
        let map = KernelSpec::Map(sums(pixels, count));
        check(&[map, channels(count)], &[(2, 1), (3, 2)], &Options::default());
    }
    let geometry = Geometry::same([9, 7], [3, 3], [1, 1]);
    let (reads, writes) = (DType::Real, DType::Real);
    let (input, output) = ([9, 7, 8], [9, 7, 40]);
    let conv = ConvKernel { kind: ConvKind::Forward, geometry, n: 5, input, output, reads, writes };
    for tile in [2, 3] {
        let map = sums(5 * 9 * 7, 40);
        let options = Options { choice: Some(Choice { tile, split: 1 }), ..Options::default() };
        check(&[KernelSpec::ConvMap { conv, map }, channels(40)], &[(3, 1), (4, 2)], &options);
    }
}

#[test]
fn losses_and_hits_side_by_side() {
    if !module::available() {
        return;
    }
    let (smoothing, floor) = (Scalar64(0.1), Scalar64(1e-4));
    let loss = |kind| KernelSpec::Loss { kind, n: 21, classes: 10 };
    let kinds = [
        Loss::CrossEntropy { smoothing, floor },
        Loss::Correct,
        Loss::CrossEntropyGrad { smoothing, floor: Scalar64(0.0) },
    ];
    check(&kinds.map(loss), &[], &Options::default());
}

/// A softmax of rows in three maps, and means of it over the rows.
fn softmax(rows: usize, columns: usize) -> [KernelSpec; 4] {
    let whole = MapInput::new(vec![columns, 1], DType::Real);
    let row = MapInput::new(vec![1, 0], DType::Real);
    let map = |inputs: &[&MapInput], body: ScalarFn, output: MapOutput| {
        let inputs = inputs.iter().map(|it| (*it).clone()).collect();
        KernelSpec::Map(MapKernel { dims: vec![rows, columns], inputs, body, outputs: vec![output] })
    };
    let same = || ScalarFn::build(1, |_, x| x[0]);
    let raised = |pool: &mut Pool, x: &[sphc::ir::Scalar]| {
        let gap = pool.sub(x[0], x[1]);
        pool.unary(Unary::Exp, gap)
    };
    let share = ScalarFn::build(3, |pool, x| {
        let raised = raised(pool, x);
        pool.div(raised, x[2])
    });
    [
        map(&[&whole], same(), over(Reduction::Max, [false, true])),
        map(&[&whole, &row], ScalarFn::build(2, raised), over(Reduction::Sum, [false, true])),
        map(&[&whole, &row, &row], share, real(Store::Full)),
        map(&[&whole], same(), over(Reduction::Mean, [true, false])),
    ]
}

/// Rows with their mean and variance, then normalised, with a factor for each column, and the sums of these over the rows; pixels
/// of some images at a time, which have a row in common.
fn normalised(images: usize, pixels: usize, channels: usize) -> [KernelSpec; 2] {
    let axis = |strides: [usize; 3]| MapInput::new(strides.to_vec(), DType::Real);
    let whole = axis([pixels * channels, channels, 1]);
    let (row, column) = (axis([1, 0, 0]), axis([0, 0, 1]));
    let reduced = |kind, over: [bool; 3]| real(Store::Reduce { kind, over: over.to_vec() });
    let map = |inputs: Vec<MapInput>, body: ScalarFn, outputs: Vec<MapOutput>| {
        KernelSpec::Map(MapKernel { dims: vec![images, pixels, channels], inputs, body, outputs })
    };
    let same = ScalarFn::build(1, |_, x| x[0]);
    let moments = ScalarFn { roots: [same.roots[0]; 2].into(), ..same };
    let mut pool = Pool::new();
    let [x, mean, variance, scale] = [0, 1, 2, 3].map(|it| pool.input(it));
    let (gap, one) = (pool.sub(x, mean), pool.constant(1.0));
    let wide = pool.add(variance, one);
    let root = pool.unary(Unary::Sqrt, wide);
    let normed = pool.div(gap, root);
    let scaled = pool.mul(normed, scale);
    let all = [false, true, true];
    [
        map(vec![whole.clone()], moments, vec![reduced(Reduction::Mean, all), reduced(Reduction::Variance, all)]),
        map(
            vec![whole, row.clone(), row, column],
            pool.finish(4, &[scaled, normed]),
            vec![real(Store::Full), reduced(Reduction::Sum, [true, true, false])],
        ),
    ]
}

#[test]
fn maps_over_the_same_rows() {
    if !module::available() {
        return;
    }
    // Words and single numbers, rows for some lanes and for all, blocks that are not full.
    for (rows, columns) in [(37, 10), (2000, 64), (300, 197), (9, 500)] {
        check(&softmax(rows, columns), &[(2, 0), (4, 0), (5, 1), (6, 2)], &Options::default());
    }
    // Of so many columns no block keeps sums, but those of a row.
    check(&softmax(9, 1000)[..3], &[(2, 0), (4, 0), (5, 1)], &Options::default());
    for (images, pixels, channels) in [(5, 7, 12), (600, 4, 8), (3, 10, 5)] {
        check(&normalised(images, pixels, channels), &[(2, 0), (3, 1)], &Options::default());
    }
    // Rows that are too long for a block stay apart.
    for apart in [softmax(9, 1000), softmax(12, 5000)] {
        assert!(write(&apart.each_ref().map(|it| it), &Options::default()).is_none());
    }
}
