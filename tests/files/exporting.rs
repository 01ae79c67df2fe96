//! `sphc export`: what ONNX's checker, its runtime and its evaluator say of every op, every function, every primitive of the
//! language, and every model that is here.

pub(crate) mod cases;

use crate::backends::engines::typed;
use crate::language::docs::blocks;
use crate::networks::zoo::{NETWORKS, known_data, reduced, target};
use crate::runs::cli::{MODEL, Place};
use cases::{Judge, Wanted, of_graph};
use sphc::autodiff::training;
use sphc::ir::augment::Augment;
use sphc::ir::op::{Fill, Scalar64};
use sphc::ir::{Along, Binary, Border, DType, Geometry, Graph, NodeId, Op, Reduction, ScalarFn, Shape, Unary, Window};
use sphc::lower::{DataInfo, PRIMITIVES, REDUCTIONS, Settings};
use sphc::shape::Builder;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The op of an evaluation; nothing of what only a training has, or what reads labels.
fn evaluated(op: &Op) -> Option<&'static str> {
    match op {
        Op::Input { .. } => Some("input"),
        Op::Param(_) => Some("param"),
        Op::State(_) => Some("state"),
        Op::Const { fill, .. } => Some(match fill {
            Fill::Value(_) => "value",
            Fill::Eye => "eye",
            Fill::Range => "range",
            Fill::List(_) => "list",
        }),
        Op::Conv(_) => Some("conv"),
        Op::ConvInputGrad { .. } => Some("conv transpose"),
        Op::MatMul { .. } => Some("matmul"),
        Op::Map { int, .. } => Some(if *int { "counter" } else { "map" }),
        Op::Reduce { kind, .. } => Some(match kind {
            Reduction::Sum => "sum",
            Reduction::Max => "max",
            Reduction::Mean => "mean",
            Reduction::Variance => "variance",
        }),
        Op::Broadcast(_) => Some("broadcast"),
        Op::Reshape(_) => Some("reshape"),
        Op::Transpose(_) => Some("transpose"),
        Op::Assemble { .. } => Some("assemble"),
        Op::Window { kind, .. } => match kind {
            Window::Sum => Some("sum window"),
            Window::Max => Some("max window"),
            Window::SumGrad { .. } | Window::MaxGrad => None,
        },
        Op::Gather => Some("pick"),
        Op::Augment { .. } => Some("prepare"),
        Op::ConvFilterGrad(_)
        | Op::Scatter { .. }
        | Op::AllReduce(_)
        | Op::Loss(_)
        | Op::Random { .. }
        | Op::Update(_) => None,
    }
}

/// All that `evaluated` tells.
const EVALUATED: [&str; 24] = [
    "assemble",
    "broadcast",
    "conv",
    "conv transpose",
    "counter",
    "eye",
    "input",
    "list",
    "map",
    "matmul",
    "max",
    "max window",
    "mean",
    "param",
    "pick",
    "prepare",
    "range",
    "reshape",
    "state",
    "sum",
    "sum window",
    "transpose",
    "value",
    "variance",
];

type Make = fn(&mut Builder, NodeId, usize) -> NodeId;

fn along(start: i64, turned: bool) -> Along {
    Along { start, turned }
}

fn conv(b: &mut Builder, x: NodeId, filter: [usize; 4], geometry: Geometry) -> NodeId {
    let w = cases::param(b, "filter", filter);
    b.add(Op::Conv(geometry), &[x, w])
}

fn apart(before: [usize; 2], after: [usize; 2], it: Geometry) -> Geometry {
    Geometry { before, after, ..it }
}

/// A graph for each op, of images `[n, 5, 6, 4]`: in rows, and behind a convolution, where values are kept in planes.
#[rustfmt::skip]
const OPS: &[(&str, Make)] = &[
    ("conv", |b, x, _| conv(b, x, [3, 3, 4, 5], Geometry::same([5, 6], [3, 3], [2, 1]))),
    ("conv_uneven", |b, x, _| conv(b, x, [2, 3, 4, 5], apart([1, 0], [0, 2], Geometry::valid([2, 3], [1, 2])))),
    ("conv_groups", |b, x, _| conv(b, x, [3, 2, 2, 6], Geometry::valid([3, 2], [1, 1]).grouped(2))),
    ("conv_depthwise", |b, x, _| conv(b, x, [3, 3, 1, 4], Geometry::valid([3, 3], [1, 1]).dilated([2, 1]).grouped(4).padded([5, 6]))),
    ("conv_transpose", |b, x, _| {
        let w = cases::param(b, "filter", [3, 3, 2, 4]);
        let geometry = Geometry::same([10, 12], [3, 3], [2, 2]);
        b.add(Op::ConvInputGrad { geometry, size: [10, 12] }, &[x, w])
    }),
    ("conv_transpose_groups", |b, x, _| {
        let w = cases::param(b, "filter", [2, 4, 3, 4]);
        let geometry = apart([0, 1], [1, 0], Geometry::valid([2, 4], [3, 2]).dilated([2, 1]).grouped(2));
        // Rows are left over at the end: windows reach the first of them only.
        let size = [15, 14];
        assert_eq!(geometry.output(size), Some([5, 6]));
        b.add(Op::ConvInputGrad { geometry, size }, &[x, w])
    }),
    ("matmul", |b, x, n| {
        let x = b.reshape(x, Shape::from([n, 120]));
        let w = cases::param(b, "w", [7, 120]);
        b.add(Op::MatMul { transpose_a: false, transpose_b: true }, &[x, w])
    }),
    ("matmul_plain", |b, x, n| {
        let x = b.reshape(x, Shape::from([n * 30, 4]));
        let w = cases::param(b, "w", [4, 3]);
        let y = b.add(Op::MatMul { transpose_a: false, transpose_b: false }, &[x, w]);
        b.reshape(y, Shape::from([n, 5, 6, 3]))
    }),
    ("matmul_stack", |b, x, n| {
        let x = b.reshape(x, Shape::from([n, 30, 4]));
        let near = b.add(Op::MatMul { transpose_a: true, transpose_b: false }, &[x, x]);
        let far = b.add(Op::MatMul { transpose_a: false, transpose_b: true }, &[near, x]);
        b.add(Op::MatMul { transpose_a: true, transpose_b: true }, &[far, x])
    }),
    ("map_of_few", |b, x, _| {
        let (row, one) = (cases::param(b, "row", [4]), cases::param(b, "one", []));
        let image = cases::param(b, "image", [5, 6, 1]);
        let body = ScalarFn::build(4, |pool, i| {
            let (a, c) = (pool.mul(i[0], i[1]), pool.sub(i[2], i[3]));
            let less = pool.binary(Binary::Lt, i[0], c);
            let half = pool.constant(0.5);
            let more = pool.add(less, half);
            let chosen = pool.select(less, a, c);
            let other = pool.select(more, chosen, i[0]);
            pool.mul(other, more)
        });
        b.map(body, &[x, row, image, one])
    }),
    ("map_without", |b, x, _| b.map(ScalarFn::build(2, |pool, i| pool.unary(Unary::Neg, i[1])), &[x, x])),
    ("map_of_less", |b, x, _| {
        let row = cases::param(b, "row", [4]);
        b.map(ScalarFn { arity: 2, nodes: [sphc::ir::ExprNode::Input(1)].into(), roots: [sphc::ir::Scalar(0)].into() }, &[x, row])
    }),
    ("counter", |b, x, _| {
        let ten = ScalarFn::build(1, |pool, i| { let ten = pool.constant(-2.5); pool.mul(i[0], ten) });
        let whole = b.add(Op::Map { body: ten, int: true }, &[x]);
        b.map(ScalarFn::build(2, |pool, i| pool.add(i[0], i[1])), &[whole, x])
    }),
    ("sum", |b, x, _| b.add(Op::Reduce { kind: Reduction::Sum, axes: vec![3] }, &[x])),
    ("sum_of_none", |b, x, _| b.add(Op::Reduce { kind: Reduction::Sum, axes: vec![] }, &[x])),
    ("max", |b, x, _| b.add(Op::Reduce { kind: Reduction::Max, axes: vec![1, 3] }, &[x])),
    ("mean", |b, x, _| b.add(Op::Reduce { kind: Reduction::Mean, axes: vec![1, 2] }, &[x])),
    ("variance", |b, x, _| b.add(Op::Reduce { kind: Reduction::Variance, axes: vec![2, 3] }, &[x])),
    ("mean_of_the_batch", |b, x, _| {
        let mean = b.add(Op::Reduce { kind: Reduction::Mean, axes: vec![0] }, &[x]);
        b.binary(Binary::Sub, x, mean)
    }),
    ("broadcast", |b, x, n| {
        let row = cases::param(b, "row", [1, 4]);
        let wide = b.broadcast(row, Shape::from([n, 5, 6, 4]));
        let sum = b.sum(x, &[1, 3]);
        let wider = b.broadcast(sum, Shape::from([2, n, 5, 6, 4]));
        let both = b.binary(Binary::Mul, wide, wider);
        let both = b.add(Op::Transpose(vec![1, 0, 2, 3, 4]), &[both]);
        b.reshape(both, Shape::from([n, 240]))
    }),
    ("reshape", |b, x, n| {
        let x = b.reshape(x, Shape::from([6 * n, 20]));
        b.reshape(x, Shape::from([n, 4, 5, 6]))
    }),
    ("transpose", |b, x, _| b.add(Op::Transpose(vec![0, 2, 3, 1]), &[x])),
    ("constants", |b, x, n| {
        let list = Fill::List((0..24).map(|it| Scalar64(f64::from(it) / 8.0)).collect());
        let list = b.add(Op::Const { fill: list, shape: Shape::from([6, 4]) }, &[]);
        let range = b.add(Op::Const { fill: Fill::Range, shape: Shape::from([6, 1]) }, &[]);
        let grown = b.add(Op::Const { fill: Fill::Range, shape: Shape::from([n, 1, 1, 4]) }, &[]);
        let eye = b.add(Op::Const { fill: Fill::Eye, shape: Shape::from([4, 4]) }, &[]);
        let eye = b.reshape(eye, Shape::from([4, 1, 1, 4]));
        let value = b.constant(2.5, Shape::from([n, 5, 6, 1]));
        let value = b.add(Op::Transpose(vec![0, 2, 1, 3]), &[value]);
        let value = b.reshape(value, Shape::from([n, 5, 6, 1]));
        let eye = b.add(Op::Reduce { kind: Reduction::Max, axes: vec![0] }, &[eye]);
        [list, range, grown, eye, value].into_iter().fold(x, |x, it| b.binary(Binary::Add, x, it))
    }),
    ("join", |b, x, n| {
        let y = b.unary(Unary::Neg, x);
        let at = |start| vec![along(0, false), along(0, false), along(0, false), along(start, false)];
        b.add(Op::Assemble { shape: Shape::from([n, 5, 6, 8]), places: vec![at(4), at(0)] }, &[x, y])
    }),
    ("cut", |b, x, n| {
        let place = vec![along(0, false), along(-1, false), along(-2, false), along(-3, false)];
        b.add(Op::Assemble { shape: Shape::from([n, 2, 4, 1]), places: vec![place] }, &[x])
    }),
    ("surround", |b, x, n| {
        let place = vec![along(0, false), along(1, false), along(2, false), along(-1, false)];
        b.add(Op::Assemble { shape: Shape::from([n, 8, 8, 6]), places: vec![place] }, &[x])
    }),
    ("turn", |b, x, n| {
        let place = vec![along(0, false), along(4, true), along(3, true), along(5, true)];
        b.add(Op::Assemble { shape: Shape::from([n, 5, 6, 5]), places: vec![place] }, &[x])
    }),
    ("lay", |b, x, n| {
        let y = b.unary(Unary::Neg, x);
        let at = |row, column, turned| vec![along(0, false), along(row, turned), along(column, false), along(0, false)];
        let places = vec![at(1, 0, false), at(11, 2, true), at(40, 0, false)];
        b.add(Op::Assemble { shape: Shape::from([n, 12, 8, 4]), places }, &[x, y, x])
    }),
    ("nothing_shows", |b, x, n| {
        let place = vec![along(0, false), along(9, false), along(0, false), along(0, false)];
        let none = b.add(Op::Assemble { shape: Shape::from([n, 5, 6, 4]), places: vec![place] }, &[x]);
        b.binary(Binary::Sub, none, x)
    }),
    ("sum_window", |b, x, _| {
        let geometry = apart([1, 0], [1, 1], Geometry::valid([3, 2], [2, 1]).dilated([1, 2]));
        b.add(Op::Window { kind: Window::Sum, geometry }, &[x])
    }),
    ("max_window", |b, x, _| {
        let geometry = apart([1, 0], [0, 1], Geometry::valid([2, 3], [1, 2]).dilated([2, 1]));
        b.add(Op::Window { kind: Window::Max, geometry }, &[x])
    }),
    ("max_window_beyond", |b, x, _| {
        let geometry = apart([2, 2], [0, 3], Geometry::valid([2, 2], [1, 1]));
        let max = b.add(Op::Window { kind: Window::Max, geometry }, &[x]);
        b.map(ScalarFn::build(1, |pool, i| { let least = pool.constant(-9.0); pool.binary(Binary::Max, i[0], least) }), &[max])
    }),
    ("pick", |b, x, n| {
        let table = cases::param(b, "table", [7, 2]);
        let index = b.map(ScalarFn::build(1, |pool, i| {
            let (three, six, zero) = (pool.constant(3.0), pool.constant(6.0), pool.constant(0.0));
            let moved = pool.add(i[0], three);
            let most = pool.binary(Binary::Min, moved, six);
            pool.binary(Binary::Max, most, zero)
        }), &[x]);
        let index = b.add(Op::Map { body: ScalarFn::build(1, |_, i| i[0]), int: true }, &[index]);
        let index = b.reshape(index, Shape::from([n * 120]));
        let picked = b.add(Op::Gather, &[table, index]);
        b.reshape(picked, Shape::from([n, 5, 6, 8]))
    }),
    ("state", |b, x, _| {
        let kept = cases::state(b, "kept", [4], DType::Real);
        let step = cases::state(b, "step", [], DType::Int);
        let both = b.map(ScalarFn::build(2, |pool, i| pool.add(i[0], i[1])), &[kept, step]);
        b.binary(Binary::Mul, x, both)
    }),
];

#[test]
fn every_op_of_an_evaluation_is_written() {
    let Some(mut judge) = Judge::new() else { return };
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut see = |graph: &Graph| seen.extend(graph.ids().filter_map(|it| evaluated(graph.op(it))));
    for (name, make) in OPS {
        // Values of images in rows, and in planes.
        for planes in [false, true] {
            let graph = |n: usize| {
                of_graph(n, [5, 6, 4], DType::Real, |b, x| {
                    let x = if planes { conv(b, x, [1, 1, 4, 4], Geometry::valid([1, 1], [1, 1])) } else { x };
                    make(b, x, n)
                })
            };
            see(&graph(2));
            judge.add(&format!("{name}{}", if planes { "_planes" } else { "" }), &graph, Wanted::Scaled);
        }
    }
    // Images of bytes, as a data set gives them, through the steps of an evaluation.
    let crop = |size, pad, border| Augment::Crop { size, pad, border, centre: true };
    let scaled = |size| {
        let [areas, ratios] = [[0.5, 1.0], [0.75, 1.5]].map(|it| it.map(Scalar64));
        Augment::ResizedCrop { size, areas, ratios, centre: true }
    };
    let all = [
        ("middle", vec![crop([4, 3], 0, Border::Zero)]),
        ("middle_of_zeros", vec![crop([8, 9], 2, Border::Zero)]),
        ("middle_of_a_mirror", vec![crop([9, 8], 3, Border::Reflect), crop([9, 9], 1, Border::Symmetric)]),
        ("scaled", vec![scaled([9, 3]), crop([5, 3], 0, Border::Zero)]),
    ];
    for (name, steps) in all {
        let graph = |n: usize| cases::of_images(n, [5, 7, 3], &steps);
        see(&graph(2));
        judge.add(name, &graph, Wanted::Scaled);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), EVALUATED);
    judge.finish();
}

#[test]
fn every_function_is_written() {
    let Some(mut judge) = Judge::new() else { return };
    for op in Unary::ALL {
        let low = op.domain().low();
        // At its ends the slope of `asin` is bounded, in 32 bits earlier than in 64.
        let scale = if op == Unary::AsinSlope { 0.25 } else { 4.0 };
        // The runtime's own is exact to 1e-7 of 1, also where it is next to nothing.
        let wanted = if op == Unary::Logistic { Wanted::Scaled } else { Wanted::Each };
        let graph = |n: usize| {
            of_graph(n, [1, 1, 64], DType::Real, |b, x| {
                // Tiny numbers and large ones, on both sides of 0 or above where the function begins; all exact in f32.
                let body = ScalarFn::build(1, |pool, i| {
                    let (tiny, wide) = (pool.constant(1.0 / 1024.0), pool.constant(scale));
                    let (one, size) = (pool.constant(1.0), pool.unary(Unary::Abs, i[0]));
                    let small = pool.binary(Binary::Lt, size, one);
                    let (near, mut far) = (pool.mul(i[0], tiny), pool.mul(i[0], wide));
                    if low.is_some() {
                        far = pool.unary(Unary::Abs, far);
                    }
                    let mut argument = pool.select(small, near, far);
                    if low == Some(0.0) {
                        argument = pool.unary(Unary::Abs, argument);
                    }
                    pool.unary(op, argument)
                });
                b.map(body, &[x])
            })
        };
        judge.add(&format!("{op:?}"), &graph, wanted);
    }
    for op in Binary::ALL {
        let graph = |n: usize| {
            of_graph(n, [1, 1, 64], DType::Real, |b, x| {
                let other = cases::param(b, "other", [64]);
                let body = ScalarFn::build(2, |pool, i| {
                    let base = if op == Binary::Pow { pool.unary(Unary::Abs, i[0]) } else { i[0] };
                    pool.binary(op, base, i[1])
                });
                b.map(body, &[x, other])
            })
        };
        judge.add(&format!("{op:?}"), &graph, Wanted::Scaled);
    }
    judge.finish();
}

/// What a primitive of the language makes of `x`, images of `[4, 4, 6]`.
#[rustfmt::skip]
const TEXTS: &[(&str, &str)] = &[
    ("reshape", "reshape(x, [16, 6])"),
    ("transpose", "transpose(x, [2, 0, 1])"),
    ("concat", "concat(x, -x)"),
    ("slice", "slice(x, 1, 4)"),
    ("split", "split(x, 3)[1]"),
    ("pad", "pad(x, 1)"),
    ("flip", "flip(x)"),
    ("repeat", "repeat(x, 2)"),
    ("take", "take(table, x)"),
    ("range", "x + range(6)"),
    ("indices", "x * indices(x, over: width)"),
    ("max_window", "max_window(x, 2)"),
    ("mean_window", "mean_window(x, 3, stride: 1, pad: same)"),
    ("sum_window", "sum_window(x, 2)"),
    ("convolve", "convolve(x, w, operator: cosine)"),
    ("convolve_transpose", "convolve_transpose(x, w, stride: 2)"),
    ("respond", "size = sqrt(1 + sum(x * x, over: channels))\n    respond(sum(x, over: channels), size, 2 * size, operator: linear)"),
    ("einsum", "einsum(\"hwc,hvc->wv\", x, x)"),
    ("full", "x * full([4, 4, 1], 2.5)"),
    ("eye", "einsum(\"hwc,hk->kwc\", x, eye(4))"),
    ("uniform", "if training { x * uniform([4, 4, 6]) } else { x }"),
    ("sum", "sum(x, over: [height, width])"),
    ("mean", "mean(x, over: channels)"),
    ("variance", "variance(x, over: positions)"),
    ("count", "x / count(x, over: positions)"),
    ("max", "max(x, over: width)"),
    ("min", "min(x, over: channels)"),
];

/// These read labels: no output of a model does.
const OF_LABELS: [&str; 2] = ["label_cross_entropy", "hit"];

#[test]
fn every_primitive_is_written() {
    let mut all: Vec<&str> =
        PRIMITIVES.iter().chain(REDUCTIONS).copied().filter(|it| !OF_LABELS.contains(it)).collect();
    let mut known: Vec<&str> = TEXTS.iter().map(|it| it.0).collect();
    all.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, all, "a primitive without a case, or a case without one");
    let Some(mut judge) = Judge::new() else { return };
    for (name, text) in TEXTS {
        let uses = |it: &str| text.contains(it);
        let learned = match () {
            () if uses("w, ") => "learn w: [3, 3, 6, 6] = 0.1",
            () if uses("table") => "learn table: [5, 2] = 0.1",
            () => "",
        };
        let text = format!(
            "block case(x) {{\n    {learned}\n    {text}\n}}\n\nmodel Case {{\n    input x: float[4, 4, 6]\n    output case(x)\n}}\n"
        );
        let graph = |n: usize| {
            let settings = Settings { batch: Some(n), ..Settings::default() };
            training(typed(name, &text, &settings)).graph().clone()
        };
        judge.add(name, &graph, Wanted::Scaled);
    }
    judge.finish();
}

/// Replaced where a network has no param that makes it small.
#[rustfmt::skip]
const SMALLER: [(&str, &[(&str, &str)]); 6] = [
    ("alexnet", &[("4096", "64"), ("384", "48"), ("256", "32"), ("192", "24")]),
    ("dcnet_imagenet", &[("64, 128, 256, 512", "8, 12, 16, 24"), ("conv(x, 64", "conv(x, 8")]),
    ("preactresnet18", &[("64, 128, 256, 512", "8, 12, 16, 24"), ("conv(x, 64", "conv(x, 8")]),
    ("resnet18", &[("64, 128, 256, 512", "8, 12, 16, 24"), ("conv(x, 64", "conv(x, 8")]),
    ("resnet50", &[("64 * 2", "8 * 2"), ("conv(x, 64", "conv(x, 8")]),
    ("vgg16", &[("4096", "64"), ("512", "32"), ("256", "24"), ("128", "16")]),
];

#[test]
fn every_model_is_written() {
    let Some(mut judge) = Judge::new() else { return };
    for (name, _, extent, params) in NETWORKS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/zoo/{name}.sph"));
        // The interpreter takes its time with larger ones.
        let extent = if name == "alexnet" { extent } else { extent.min(32) };
        let (mut text, channels) = reduced(&fs::read_to_string(&path).unwrap(), extent);
        for (from, to) in SMALLER.iter().filter(|it| it.0 == name).flat_map(|it| it.1) {
            assert!(text.contains(from), "{name} has no `{from}`");
            text = text.replace(from, to);
        }
        let target = target(name, [extent; 2]);
        judge.add(name, &|n| model(&path, &text, n, [extent, extent, channels], &target, params), Wanted::Scaled);
    }
    let small = [
        ("spherenet9", [32, 32, 3], "widths", "[4,6,8]"),
        ("sphereresnet32", [32, 32, 3], "widths", "[4,6,8]"),
        ("digits", [8, 8, 1], "", ""),
        ("ngpt_digits", [8, 8, 1], "", ""),
        ("operators_demo", [8, 8, 1], "", ""),
    ];
    for (name, image, param, value) in small {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.sph"));
        let text = fs::read_to_string(&path).unwrap();
        let params: &[(&str, &str)] = if param.is_empty() { &[] } else { &[(param, value)] };
        judge.add(name, &|n| model(&path, &text, n, image, &Default::default(), params), Wanted::Scaled);
    }
    judge.finish();
}

/// A model's graph for a batch, at a reduced size.
fn model(
    path: &Path,
    text: &str,
    n: usize,
    image: [usize; 3],
    target: &sphc::ir::TargetKind,
    params: &[(&str, &str)],
) -> Graph {
    let data = DataInfo { target: target.clone(), ..DataInfo::images("digits", image, 10, [n, n]) };
    let mut known = known_data();
    known.insert(0, data.clone());
    let settings = Settings {
        set: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        batch: Some(n),
        evaluates: true,
        known_data: known,
        data: Some(data),
        ..Settings::default()
    };
    training(typed(&path.display().to_string(), text, &settings)).graph().clone()
}

/// `sh` of a page: its commands, without the program's name.
pub(crate) fn commands(page: &str) -> Vec<String> {
    let lines =
        blocks(page, "```sh").into_iter().flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|it| it.strip_prefix("sphc ").map(str::to_owned)).collect()
}

/// A place with the repository's models.
pub(crate) fn with_models() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("models")).unwrap();
    for name in ["digits", "ngpt_digits", "sphereresnet32"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.sph"));
        fs::copy(from, place.path(&format!("models/{name}.sph"))).unwrap();
    }
    place
}

pub(crate) fn python_in(place: &Place, python: &str, script: &str) -> String {
    let output = Command::new(python).args(["-c", script]).current_dir(place.directory.path()).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_does_what_it_says() {
    let Some(python) = cases::python() else { return };
    let place = with_models();
    let all = commands("docs/export.md");
    assert_eq!(all.len(), 3, "{all:?}");
    all.iter().for_each(|it| drop(place.succeeds(it)));
    for (_, script) in blocks("docs/export.md", "```python") {
        let said = python_in(&place, &python, &script);
        assert_eq!(said.lines().count(), 5, "{said}");
    }
    if let Some(python) = cases::pytorch() {
        for (_, script) in blocks("docs/export.md", "```python pytorch") {
            let said = python_in(&place, &python, &script);
            assert_eq!(said.lines().count(), 5, "{said}");
        }
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

/// Where PyTorch is there, whether the module of a model with weights says of `pictures.json` what `predicted.json` does.
fn torch_agrees(place: &Place, model: &str, weights: &str) {
    let Some(python) = cases::pytorch() else { return };
    place.succeeds(&format!("export {model} --weights {weights} --pytorch exported.py"));
    let mut command = Command::new(python);
    let output =
        command.arg(script("predict_torch.py")).arg(weights).current_dir(place.directory.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{model}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.trim().parse::<f64>().unwrap() < 1e-5, "{model}: {said}");
}

/// What `sphc predict` makes of pictures is what the exported file makes of their pixels: also of averages, of images that are
/// cropped, and of those that the recipe's steps changed.
#[test]
fn an_exported_file_predicts_what_the_program_does() {
    let Some(python) = cases::python() else { return };
    let place = Place::new();
    let with = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let averaged = with(
        MODEL,
        "evaluate   every 5",
        "evaluate   every 5\n    average    ema(0.8)\n    views      flip_horizontal()",
    );
    let cropped = with(&with(MODEL, "u8[8, 8, 1]", "u8[6, 6, 1]"), "evaluate   every 5", "augment    crop(6, 6)");
    let cropped = with(&with(&cropped, "max_pool(x, 4)", "max_pool(x, 2)"), "kernel: 2", "kernel: 3");
    let padded = with(
        &with(MODEL, "u8[8, 8, 1]", "u8[12, 12, 3]"),
        "data       digits",
        "data       digits |> pad(2) |> channels(3)",
    );
    let padded = with(&padded, "kernel: 2", "kernel: 3");
    for (name, text) in [("tiny", MODEL), ("averaged", &averaged), ("cropped", &cropped), ("padded", &padded)] {
        fs::write(place.path(&format!("{name}.sph")), text).unwrap();
        place.succeeds(&format!("train {name}.sph --run {name}"));
        let weights = format!("--weights {name}/checkpoints/step-00000012.safetensors");
        let mut pictures = Vec::new();
        for at in 0..3u8 {
            let picture = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x as u8 * at + 3 * y as u8) % 17]));
            picture.save(place.path(&format!("{at}.png"))).unwrap();
            pictures.push(picture.into_raw());
        }
        let said = place.succeeds(&format!("predict {name}.sph {weights} 0.png 1.png 2.png --top 10 --format json"));
        fs::write(place.path("predicted.json"), said).unwrap();
        fs::write(place.path("pictures.json"), serde_json::to_string(&pictures).unwrap()).unwrap();
        place.succeeds(&format!("export {name}.sph {weights} --onnx plain.onnx"));
        place.succeeds(&format!("export {name}.sph {weights} --onnx folded.onnx --fold"));
        torch_agrees(&place, &format!("{name}.sph"), &format!("{name}/checkpoints/step-00000012.safetensors"));
        let said = python_in(&place, &python, include_str!("../onnx/predict.py"));
        let off: Vec<f64> = said.lines().map(|it| it.parse().unwrap()).collect();
        assert!(off.len() == 2 && off.iter().all(|it| *it < 1e-5), "{name}: {said}");
        if name == "averaged" {
            let (script, from) = (script("bare.py"), "averaged/checkpoints/step-00000012.safetensors");
            let mut done = Command::new(&python);
            let done = done.arg(script).args([from, "bare.safetensors"]).current_dir(place.directory.path());
            assert!(done.status().unwrap().success());
            let pictures = "0.png 1.png 2.png --top 10 --format json";
            let said = place.succeeds(&format!("predict averaged.sph --weights bare.safetensors {pictures}"));
            fs::write(place.path("predicted.json"), said).unwrap();
            torch_agrees(&place, "averaged.sph", "bare.safetensors");
        }
        if name == "tiny" {
            place.succeeds(&format!("export {name}.sph {weights} --onnx double.onnx --precision f64"));
            let first = fs::read(place.path("double.onnx")).unwrap();
            place.succeeds(&format!("export {name}.sph {weights} --onnx double.onnx --precision f64"));
            assert_eq!(first, fs::read(place.path("double.onnx")).unwrap(), "not the same bytes again");
        }
    }
}

#[test]
fn what_cannot_be_exported_is_told() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    place.succeeds("compile tiny.sph -o plan");
    place.fails(
        &format!("export plan/plan.yaml {weights} --onnx a.onnx"),
        &["`plan/plan.yaml` is a plan", "give the `.sph` file"],
    );
    place.fails(
        &format!("export tiny.sph {weights} --onnx no/such/a.onnx"),
        &["cannot write `no/such/a.onnx`", "--onnx"],
    );
    place.fails("export tiny.sph --weights tiny.sph --onnx a.onnx", &["cannot use the weights in `tiny.sph`"]);
    fs::write(place.path("wider.sph"), MODEL.replace("sphere_conv(4", "sphere_conv(5")).unwrap();
    place.fails(&format!("export wider.sph {weights} --onnx a.onnx"), &["`first/filter` has shape [3,3,1,4]"]);
    // A number that follows from the size of the batch.
    let counted = MODEL.replace("output conv", "x = x / count(x, over: batch)\n    output conv");
    fs::write(place.path("counted.sph"), counted).unwrap();
    place.fails(
        &format!("export counted.sph {weights} --onnx a.onnx"),
        &["cannot export", "is not the same for batches of other sizes", "counted.sph:"],
    );
    assert!(!place.path("a.onnx").exists());
}
