//! Generated text: what it says for a few specs, and that it says what the files ask for.

use super::*;
use crate::ir::expr::Pool;
use crate::ir::op::Scalar64;
use crate::ir::{Along, Augment, Binary, Border, DType, Geometry, Loss, Random, Reduction, Shape, Unary, Window};
use crate::kernel::{ConvKernel, ConvKind, MapInput, MapKernel, MapOutput, MatMulKernel, Part, Store};
use std::collections::BTreeSet;

fn conv(kind: ConvKind, stride: usize) -> KernelSpec {
    let geometry = Geometry::same([8, 8], [3, 3], [stride, stride]);
    let [h, w] = geometry.output([8, 8]).unwrap();
    KernelSpec::Conv(ConvKernel {
        kind,
        geometry,
        n: 4,
        input: [8, 8, 16],
        output: [h, w, 24],
        reads: DType::Real,
        writes: DType::Real,
    })
}

/// `relu(x - mean)` whole, its sum per column, the largest per row.
fn map() -> KernelSpec {
    let mut pool = Pool::new();
    let (x, mean) = (pool.input(0), pool.input(1));
    let (zero, centred) = (pool.constant(0.0), pool.sub(x, mean));
    let relu = pool.binary(Binary::Max, centred, zero);
    let root = pool.unary(Unary::Sqrt, relu);
    let real = |store| MapOutput { store, dtype: DType::Real };
    KernelSpec::Map(MapKernel {
        dims: vec![5000, 24],
        inputs: vec![MapInput::new(vec![24, 1], DType::Real), MapInput::new(vec![0, 1], DType::Real)],
        body: pool.finish(2, &[relu, root, relu]),
        outputs: vec![
            real(Store::Full),
            real(Store::Reduce { kind: Reduction::Sum, over: vec![true, false] }),
            real(Store::Reduce { kind: Reduction::Max, over: vec![false, true] }),
        ],
    })
}

/// One spec of every family.
fn specs() -> Vec<KernelSpec> {
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    vec![
        conv(ConvKind::Forward, 1),
        conv(ConvKind::InputGrad, 2),
        conv(ConvKind::FilterGrad, 1),
        KernelSpec::MatMul(MatMulKernel { batch: 1, m: 8, n: 8, k: 4000, transpose_a: true, transpose_b: false }),
        map(),
        KernelSpec::Window {
            kind: Window::Max,
            geometry: Geometry::valid([2, 2], [2, 2]),
            n: 4,
            input: [8, 8, 16],
            output: [4, 4],
            reads: DType::Real,
            writes: DType::Real,
        },
        KernelSpec::Transpose { shape: Shape(vec![3, 4, 5]), perm: vec![2, 0, 1], dtype: DType::Real },
        KernelSpec::Assemble {
            dims: vec![4, 3],
            parts: vec![Part { dims: vec![4, 2], place: vec![Along::START, Along::from(1)] }],
            dtype: DType::Real,
        },
        KernelSpec::Scatter { rows: 5, n: 12, item: 8 },
        KernelSpec::Augment { dtype: DType::U8, n: 4, item: Shape(vec![32, 32, 3]), steps: every_step() },
        KernelSpec::Loss { kind: Loss::CrossEntropy { smoothing, floor }, n: 4, classes: 10 },
        KernelSpec::Random { kind: Random::Shuffle { examples: 50_000 }, len: 4, stream: 77, first: 0 },
        KernelSpec::Map(MapKernel::copy(10, DType::Int, DType::Int)),
    ]
}

/// What the generator wrote, without the files between.
fn generated(source: &CudaSource) -> String {
    let mut text = String::new();
    let mut own = true;
    for line in source.text.lines() {
        if let Some(name) = line.strip_prefix("#line 1 \"kernels/") {
            text += &format!("... {}\n", name.trim_end_matches('"'));
            own = false;
        } else if line.starts_with("#line ") {
            own = true;
        } else if own {
            text += &format!("{line}\n");
        }
    }
    for launch in &source.launches {
        text += &format!("{launch:?}\n");
    }
    text
}

#[test]
fn a_map_is_written_as_its_functions() {
    insta::assert_snapshot!(generated(&generate(&map(), &Options::default())));
}

#[test]
fn a_convolution_is_written_as_its_constants() {
    insta::assert_snapshot!(generated(&generate(&conv(ConvKind::InputGrad, 2), &Options::default())));
}

/// What is the same along a row or a column is loaded and computed once for it; the rest two channels at a time.
#[test]
fn a_map_behind_a_convolution_is_written_by_what_its_operands_depend_on() {
    let KernelSpec::Conv(conv) = conv(ConvKind::Forward, 1) else { unreachable!("a convolution") };
    let mut pool = Pool::new();
    let [sum, norm, variance, scale, before] = [0, 1, 2, 3, 4].map(|it| pool.input(it));
    let (root, spread) = (pool.unary(Unary::Rsqrt, norm), pool.unary(Unary::Rsqrt, variance));
    let factor = pool.mul(spread, scale);
    let normed = pool.mul(sum, root);
    let scaled = pool.mul(normed, factor);
    let value = pool.add(scaled, before);
    let strides = [vec![24, 1], vec![1, 0], vec![0, 1], vec![0, 0], vec![24, 1]];
    let dtypes = [DType::Real, DType::Real, DType::Real, DType::Real, DType::Bf16];
    let map = MapKernel {
        dims: vec![4 * 8 * 8, 24],
        inputs: strides.into_iter().zip(dtypes).map(|(strides, dtype)| MapInput::new(strides, dtype)).collect(),
        body: pool.finish(5, &[value, value]),
        outputs: vec![
            MapOutput { store: Store::Full, dtype: DType::Bf16 },
            MapOutput { store: Store::Reduce { kind: Reduction::Sum, over: vec![true, false] }, dtype: DType::Real },
        ],
    };
    let choice = Some(Choice { tile: 2, split: 1 });
    let source = generate(&KernelSpec::ConvMap { conv, map }, &Options { choice, ..Options::default() });
    let text = generated(&source);
    let start = text.find("constexpr int ROW_VALUES").unwrap();
    insta::assert_snapshot!(&text[start..text.find("... conv.cu").unwrap()]);
}

#[test]
fn a_sum_shared_out_is_added_by_the_last_block_or_by_a_second_launch() {
    let product = MatMulKernel { batch: 1, m: 64, n: 64, k: 4000, transpose_a: true, transpose_b: false };
    let of = |spec: &KernelSpec, split: usize| {
        let choice = Some(Choice { tile: 2, split });
        let source = generate(spec, &Options { choice, ..Options::default() });
        (source.launches.iter().map(|it| it.entry).collect::<Vec<_>>(), source.scratch, source.counters)
    };
    let one = KernelSpec::MatMul(product);
    assert_eq!(of(&one, 1), (vec!["matmul"], 0, 0));
    assert_eq!(of(&one, 4), (vec!["matmul"], 4 * 64 * 64 * 4, 1));
    assert_eq!(of(&one, 12), (vec!["matmul", "combine"], 12 * 64 * 64 * 4, 0));
    let two = KernelSpec::MatMuls(vec![product, MatMulKernel { m: 128, ..product }]);
    assert_eq!(of(&two, 2), (vec!["matmul"], 2 * 3 * 64 * 64 * 4, 3));
}

#[test]
fn the_same_spec_gives_the_same_text() {
    for spec in specs() {
        let options = Options { arithmetic: Arithmetic::Bf16, ..Options::default() };
        assert_eq!(generate(&spec, &options), generate(&spec, &options));
        assert!(!generate(&spec, &options).text.is_empty());
    }
}

/// Names that a line defines: `constexpr int A = 1, B = 2;`, `using whole = int;`.
fn names(line: &str) -> Vec<String> {
    let line = line.split("//").next().unwrap_or_default().trim();
    if let Some(rest) = line.strip_prefix("using ") {
        return rest.split(' ').next().map(str::to_owned).into_iter().collect();
    }
    let Some(rest) = line.strip_prefix("constexpr ") else { return Vec::new() };
    rest.split('=').filter_map(|it| it.trim().rsplit([' ', ',']).next()).map(str::to_owned).collect::<Vec<_>>()
        [..rest.matches('=').count()]
        .to_vec()
}

#[test]
fn every_constant_that_a_file_asks_for_is_written() {
    for spec in specs() {
        let source = generate(&spec, &Options::default());
        let written: BTreeSet<String> = generated(&source).lines().flat_map(names).collect();
        let mut example = false;
        let mut wanted = BTreeSet::new();
        for line in source.text.lines() {
            example = (example || line == "#ifndef SPHC_GENERATED") && line != "#endif";
            if example {
                wanted.extend(names(line));
            }
        }
        let missing: Vec<&String> = wanted.difference(&written).collect();
        assert!(missing.is_empty(), "{spec:?} leaves out {missing:?}");
    }
}

/// Each step of augmentation once.
fn every_step() -> Vec<Augment> {
    let [low, high, one] = [0.3, 1.0, 1.5].map(Scalar64);
    vec![
        Augment::Crop { size: [28, 30], pad: 4, border: Border::Reflect, centre: false },
        Augment::Rotate { degrees: Scalar64(15.0) },
        Augment::ResizedCrop { size: [24, 25], areas: [low, high], ratios: [low, one], centre: false },
        Augment::ColorJitter { brightness: low, contrast: low, saturation: low },
        Augment::Cutout { size: 5, value: 7 },
        Augment::FlipHorizontal,
        Augment::FlipVertical,
    ]
}

#[test]
fn every_function_is_there_for_both_kinds_of_numbers() {
    let (_, file) = super::text::file!("scalar.cu");
    for op in Unary::ALL {
        let call = op.cuda("$");
        let Some((name, _)) = call.split_once('(') else { continue };
        let has = |signature: String| file.contains(&signature);
        let both = has(format!(" float {name}(float ")) && has(format!(" double {name}(double "));
        assert!(both || has(format!("SCALAR {name}(T ")), "`kernels/scalar.cu` has no `{name}`");
    }
}
