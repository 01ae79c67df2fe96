//! How many passes over memory fusion leaves, and that it stays fast for deep networks.

use crate::compiler::machine::same;
use sphc::fuse::fuse;
use sphc::ir::op::Scalar64;
use sphc::ir::{
    Binary, DType, Init, NodeId, Op, Param, ParamRole, Phase, Precision, Random, ScalarFn, Shape, State, StateRole,
    Target, Unary, Window,
};
use sphc::kernel::{ConvKind, KernelSpec, MapKernel, Store};
use sphc::plan::{Config, plan};
use sphc::shape::Builder;

fn param(b: &mut Builder, path: &str, shape: impl Into<Shape>) -> (NodeId, Target) {
    let id = b.tables().add_param(Param {
        path: path.to_owned(),
        shape: shape.into(),
        init: Init::Normal(Scalar64(0.1)),
        role: ParamRole::Filter,
        layer: String::new(),
        operator: String::new(),
        origin: Default::default(),
    });
    (b.add(Op::Param(id), &[]), Target::Param(id))
}

fn state(b: &mut Builder, path: &str, shape: impl Into<Shape>) -> (NodeId, Target) {
    let id = b.tables().add_state(State {
        path: path.to_owned(),
        shape: shape.into(),
        dtype: DType::Real,
        init: 0.0,
        role: StateRole::Running,
        never_negative: false,
        origin: Default::default(),
    });
    (b.add(Op::State(id), &[]), Target::State(id))
}

fn update(b: &mut Builder, target: Target, value: NodeId) {
    let id = b.add(Op::Update(target), &[value]);
    b.tables().effects.entry(Phase::Step).or_default().push(id);
}

/// What the backward pass of a layer needs of the forward pass.
struct Layer {
    x: NodeId,
    w: NodeId,
    v: NodeId,
    inverse_patch: NodeId,
    s: NodeId,
    cosine: NodeId,
    normal: NodeId,
    scale: NodeId,
    gamma: NodeId,
    z: NodeId,
    targets: [Target; 3],
}

fn per_filter(b: &mut Builder, w: NodeId) -> NodeId {
    let square = b.binary(Binary::Mul, w, w);
    let sum = b.sum(square, &[0, 1, 2]);
    inverse_root(b, sum, 1e-4)
}

fn inverse_root(b: &mut Builder, a: NodeId, epsilon: f64) -> NodeId {
    b.map(
        ScalarFn::build(1, |pool, i| {
            let epsilon = pool.constant(epsilon);
            let sum = pool.add(i[0], epsilon);
            pool.unary(Unary::Rsqrt, sum)
        }),
        &[a],
    )
}

/// `sphere_conv |> batch_norm |> relu` on `x`, 3x3, as many filters as channels.
fn forward(b: &mut Builder, at: usize, x: NodeId, operator: Option<Unary>) -> Layer {
    let dims = b.graph().shape(x).0.clone();
    let c = dims[3];
    let count = (dims[0] * dims[1] * dims[2]) as f64;
    let (w, w_target) = param(b, &format!("conv{at}/filter"), [3, 3, c, c]);
    let (gamma, gamma_target) = param(b, &format!("conv{at}/bn/gamma"), [c]);
    let (beta, beta_target) = param(b, &format!("conv{at}/bn/beta"), [c]);
    let inverse = per_filter(b, w);
    let v = b.binary(Binary::Mul, w, inverse);
    let square = b.binary(Binary::Mul, x, x);
    let q = b.sum(square, &[3]);
    let geometry = same([dims[1], dims[2]], 3);
    let patch = b.add(Op::Window { kind: Window::Sum, geometry }, &[q]);
    let inverse_patch = inverse_root(b, patch, 1e-4);
    let s = b.add(Op::Conv(geometry), &[x, v]);
    let cosine = b.binary(Binary::Mul, s, inverse_patch);
    let y = operator.map_or(cosine, |it| b.unary(it, cosine));
    let sum = b.sum(y, &[0, 1, 2]);
    let mean = b.scale(sum, 1.0 / count);
    let centred = b.binary(Binary::Sub, y, mean);
    let square = b.binary(Binary::Mul, centred, centred);
    let sum = b.sum(square, &[0, 1, 2]);
    let variance = b.scale(sum, 1.0 / count);
    let scale = inverse_root(b, variance, 1e-3);
    let normal = b.binary(Binary::Mul, centred, scale);
    let stretched = b.binary(Binary::Mul, normal, gamma);
    let shifted = b.binary(Binary::Add, stretched, beta);
    let zero = b.constant(0.0, Shape::scalar());
    let z = b.binary(Binary::Max, shifted, zero);
    for (name, batch) in [("mean", mean), ("variance", variance)] {
        let (old, target) = state(b, &format!("conv{at}/bn/ema_{name}"), [c]);
        let flat = b.reshape(batch, Shape::from([c]));
        let step = b.binary(Binary::Sub, flat, old);
        let step = b.scale(step, 0.001);
        let new = b.binary(Binary::Add, old, step);
        update(b, target, new);
    }
    let targets = [w_target, gamma_target, beta_target];
    Layer { x, w, v, inverse_patch, s, cosine, normal, scale, gamma, z, targets }
}

/// Gradient of the layer's input from that of its output; moves the parameters with momentum.
fn backward(b: &mut Builder, layer: &Layer, dz: NodeId, operator: Option<Unary>, rate: NodeId) -> NodeId {
    let dims = b.graph().shape(layer.x).0.clone();
    let count = (dims[0] * dims[1] * dims[2]) as f64;
    let mask = b.map(
        ScalarFn::build(1, |pool, i| {
            let zero = pool.constant(0.0);
            pool.binary(Binary::Lt, zero, i[0])
        }),
        &[layer.z],
    );
    let dy = b.binary(Binary::Mul, dz, mask);
    let dbeta = b.sum(dy, &[0, 1, 2]);
    let along = b.binary(Binary::Mul, dy, layer.normal);
    let dgamma = b.sum(along, &[0, 1, 2]);
    let mean_dy = b.scale(dbeta, 1.0 / count);
    let mean_along = b.scale(dgamma, 1.0 / count);
    let pull = b.binary(Binary::Mul, layer.normal, mean_along);
    let rest = b.binary(Binary::Sub, dy, mean_dy);
    let rest = b.binary(Binary::Sub, rest, pull);
    let factor = b.binary(Binary::Mul, layer.gamma, layer.scale);
    let g = b.binary(Binary::Mul, rest, factor);
    let g = match operator {
        Some(_) => {
            let slope = b.unary(Unary::AsinSlope, layer.cosine);
            b.binary(Binary::Mul, g, slope)
        }
        None => g,
    };
    let d = b.binary(Binary::Mul, g, layer.inverse_patch);
    let gs = b.binary(Binary::Mul, d, layer.s);
    let sum = b.sum(gs, &[3]);
    let inverse_square = b.binary(Binary::Mul, layer.inverse_patch, layer.inverse_patch);
    let r = b.binary(Binary::Mul, sum, inverse_square);
    let geometry = same([dims[1], dims[2]], 3);
    let size = [dims[1], dims[2]];
    let spread = b.add(Op::Window { kind: Window::SumGrad { size }, geometry }, &[r]);
    let straight = b.add(Op::ConvInputGrad { geometry, size }, &[d, layer.v]);
    let norm = b.binary(Binary::Mul, layer.x, spread);
    let dx = b.binary(Binary::Sub, straight, norm);
    let dv = b.add(Op::ConvFilterGrad(geometry), &[layer.x, d]);
    let product = b.binary(Binary::Mul, layer.v, dv);
    let inner = b.sum(product, &[0, 1, 2]);
    let radial = b.binary(Binary::Mul, layer.v, inner);
    let tangent = b.binary(Binary::Sub, dv, radial);
    let inverse = per_filter(b, layer.w);
    let dw = b.binary(Binary::Mul, tangent, inverse);
    for (target, gradient) in layer.targets.into_iter().zip([dw, dgamma, dbeta]) {
        let Target::Param(id) = target else { continue };
        let (path, shape) = (b.graph().param(id).path.clone(), b.graph().param(id).shape.clone());
        let gradient = b.reshape(gradient, shape.clone());
        let (old, velocity) = state(b, &format!("{path}/velocity"), shape);
        let kept = b.scale(old, 0.9);
        let new = b.binary(Binary::Add, kept, gradient);
        update(b, velocity, new);
        let p = b.add(Op::Param(id), &[]);
        let step = b.binary(Binary::Mul, new, rate);
        let p = b.binary(Binary::Sub, p, step);
        update(b, target, p);
    }
    dx
}

/// A tower of equal layers, one step of training.
fn tower(layers: usize, dims: [usize; 4], operator: Option<Unary>) -> sphc::shape::Typed {
    let mut b = Builder::empty("tower");
    let mut x = b.named_input("image", dims, DType::Real);
    let (rate, _) = state(&mut b, "rate", []);
    let mut all = Vec::new();
    for at in 0..layers {
        let layer = forward(&mut b, at, x, operator);
        x = layer.z;
        all.push(layer);
    }
    let loss = b.sum_all(x);
    b.tables().results.entry(Phase::Step).or_default().insert("loss".into(), loss);
    let one = b.constant(1.0, Shape::scalar());
    let mut dz = b.broadcast(one, Shape::from(dims));
    for layer in all.iter().rev() {
        dz = backward(&mut b, layer, dz, operator, rate);
    }
    b.finish()
}

/// A network of equal layers, as text.
fn equal_layers(layers: usize, operator: &str) -> String {
    format!(
        r#"
        model Tower {{
            input image: u8[32, 32, 3]
            x = (image - 127.5) / 128
            for i in 0..{layers} {{
                x = sphere_conv(x, 16, kernel: 3, operator: {operator}) |> batch_norm |> relu as "c{{i}}"
            }}
            output conv(global_avg_pool(x), classes, kernel: 1) as "score"
        }}
        train {{
            data       cifar10
            batch      4
            iterations 1
            loss       softmax_cross_entropy()
            optimizer  adam()
        }}
        "#
    )
}

/// How often a step reads or writes a tensor of at least this many elements.
fn passes(text: &str, elements: usize) -> usize {
    let typed = crate::backends::engines::typed("tower.sph", text, &crate::language::lower::settings(&[]));
    let fused = fuse(sphc::autodiff::training(typed));
    let graph = fused.typed.graph();
    let large = |id: &&NodeId| elements <= graph.shape(**id).len();
    let of = |group: &sphc::fuse::Group| {
        let reads: std::collections::BTreeSet<NodeId> = group.inputs.iter().copied().collect();
        reads.iter().filter(large).count() + group.outputs.iter().filter(large).count()
    };
    fused.phases[&Phase::Step].iter().map(of).sum()
}

/// Forward: the convolution reads and writes (2), normalising reads and writes (2). Backward: the input gradient with
/// its sums reads twice and writes (3), the derivative of operator and norms reads twice and writes (3), the filter
/// gradient reads twice (2).
#[test]
fn a_layer_of_any_operator_moves_twelve_activations_a_step() {
    let elements = 4 * 32 * 32 * 16;
    for operator in ["cosine", "linear", "sigmoid", "lr_sigmoid", "squared_cosine", "sphere_norm"] {
        let count = |layers| passes(&equal_layers(layers, operator), elements);
        assert_eq!(count(5) - count(4), 12, "{operator}");
    }
    // A plain convolution needs no norms.
    let count = |layers| passes(&equal_layers(layers, "none"), elements);
    assert!(count(5) - count(4) <= 12);
}

/// In bf16 all twelve are of two bytes an element.
#[test]
fn a_layer_in_bf16_moves_twelve_activations_of_two_bytes() {
    let elements = 4 * 32 * 32 * 16;
    let bytes = |layers: usize, precision: Precision| -> usize {
        let typed = crate::backends::engines::typed(
            "tower.sph",
            &equal_layers(layers, "cosine"),
            &crate::language::lower::settings(&[]),
        );
        let config = Config { precision, hash: String::new(), source: String::new(), line: &|_| String::new() };
        let plan = plan(&fuse(sphc::autodiff::training(typed)), &config);
        let of = |launch: &sphc::plan::Launch| {
            let reads: std::collections::BTreeSet<_> = launch.inputs.iter().collect();
            let buffers = reads.into_iter().chain(&launch.outputs).map(|it| &plan.buffers[it.0 as usize]);
            let large = buffers.filter(|it| elements <= it.shape.len());
            large.map(|it| it.shape.len() * plan.precision.bytes(it.dtype)).sum::<usize>()
        };
        plan.phases[&Phase::Step].launches.iter().map(of).sum()
    };
    assert_eq!(bytes(5, Precision::F32) - bytes(4, Precision::F32), 12 * elements * 4);
    assert_eq!(bytes(5, Precision::Bf16) - bytes(4, Precision::Bf16), 12 * elements * 2);
}

/// Masks of dropout lie nowhere: they are drawn again backward. What stretches over an image is drawn once, by a map that shares a launch.
#[test]
fn masks_are_drawn_where_they_are_used() {
    let text = |layers: &str| {
        format!(
            "model Dropped {{
    input image: u8[8, 8, 1]
    x = conv((image - 8) / 8, 16) |> relu |> {layers}
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}}
train {{
    data digits
    batch 32
    iterations 3
    loss softmax_cross_entropy
    optimizer sgd(rate: 0.1)
}}
"
        )
    };
    let plan = |layers: &str| {
        let typed =
            crate::backends::engines::typed("dropped.sph", &text(layers), &crate::language::lower::settings(&[]));
        let config =
            Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
        plan(&fuse(sphc::autodiff::training(typed)), &config)
    };
    let uniform = |plan: &sphc::plan::Plan| {
        let lies = |it: &&KernelSpec| matches!(it, KernelSpec::Random { kind: Random::Uniform, .. });
        plan.kernels.iter().filter(lies).count()
    };
    let launches = |plan: &sphc::plan::Plan| plan.phases[&Phase::Step].launches.len();
    let (bare, one, two) = (plan("relu"), plan("dropout(0.3)"), plan("dropout(0.3) |> dropout(0.5)"));
    for dropped in [&one, &two] {
        assert_eq!(uniform(dropped), 0);
        assert_eq!(launches(dropped), launches(&bare));
        assert!(dropped.arena_bytes <= bare.arena_bytes, "{} {}", dropped.arena_bytes, bare.arena_bytes);
    }
    let path = plan("drop_path(0.3)");
    assert_eq!((uniform(&path), launches(&path)), (0, launches(&bare)));
}

#[test]
fn updates_happen_in_place() {
    let fused = fuse(tower(3, [2, 4, 4, 8], None));
    let config =
        Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
    let plan = plan(&fused, &config);
    let maps = |spec: &KernelSpec| match spec {
        KernelSpec::Map(map) => vec![map.clone()],
        KernelSpec::Maps(all) => all.clone(),
        _ => Vec::new(),
    };
    let is_copy = |map: &MapKernel| *map == MapKernel::copy(map.dims[0], DType::Real, DType::Real);
    assert!(!plan.kernels.iter().flat_map(maps).any(|it| is_copy(&it)));
    insta::assert_snapshot!("fused_tower", fused.to_string());
}

/// One more layer costs its convolution, what follows it, the patch norm and statistics, forward and backward: filter
/// norms and updates of all layers share launches.
#[test]
fn launches_that_a_layer_adds() {
    let launches = |layers: usize| {
        let typed = crate::backends::engines::typed(
            "tower.sph",
            &equal_layers(layers, "cosine"),
            &crate::language::lower::settings(&[]),
        );
        let config =
            Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
        let plan = plan(&fuse(sphc::autodiff::training(typed)), &config);
        plan.phases[&Phase::Step].launches.len()
    };
    assert_eq!(launches(5) - launches(4), 8);
}

#[test]
fn a_thousand_layers_are_planned_in_a_moment() {
    let layers = std::env::var("SPHC_LAYERS").ok().and_then(|it| it.parse().ok()).unwrap_or(1000);
    let typed = tower(layers, [2, 4, 4, 8], Some(Unary::Asin));
    let start = std::time::Instant::now();
    let fused = fuse(typed);
    let fusing = start.elapsed();
    let config =
        Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
    let plan = plan(&fused, &config);
    println!("{} nodes: fuse {fusing:?}, fuse and plan {:?}", fused.typed.len(), start.elapsed());
    // Depth costs launches, not kernels; what dies makes room.
    assert!(plan.kernels.len() < 40);
    let activations = layers * 3 * 2 * 4 * 4 * 8 * 4;
    assert!(plan.arena_bytes < 3 * activations, "{} bytes", plan.arena_bytes);
    // Quadratic time would be minutes.
    assert!(start.elapsed().as_secs() < 30);
}

#[test]
fn the_dump_of_kernels_names_each_once() {
    let text = sphc::kernel::dump(&fuse(tower(4, [2, 4, 4, 8], None)));
    let forward: Vec<&str> = text.lines().filter(|it| it.contains("conv Forward")).collect();
    let conv = "conv Forward[3x3 s1x1 pad 1,1,1,1] 2 x [4, 4, 8] -> [4, 4, 8]";
    assert_eq!(forward, [format!("k6 (4 x Step): {conv}, then map over [32, 8]")]);
}

/// Also behind a pool or a strided layer, and where a shortcut ends.
#[test]
fn every_spherical_convolution_of_the_papers_networks_takes_a_map_along() {
    for (file, alone) in [("spherenet9.sph", 2), ("sphereresnet32.sph", 4)] {
        let text = std::fs::read_to_string(format!("models/{file}")).unwrap();
        let typed = crate::backends::engines::typed(file, &text, &crate::language::lower::settings(&[]));
        let config =
            Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() };
        let plan = plan(&fuse(sphc::autodiff::training(typed)), &config);
        let convolves = |launch: &&sphc::plan::Launch| match &plan.kernels[launch.kernel] {
            KernelSpec::Conv(conv) => conv.kind != ConvKind::FilterGrad,
            _ => false,
        };
        // The score, forward and backward; the input gradients of plain shortcuts.
        assert_eq!(plan.phases[&Phase::Step].launches.iter().filter(convolves).count(), alone, "{file}");
    }
}

/// What follows a convolution sums over pixels alone, wherever extents of 1 stand: behind a tensor of one channel, one
/// pixel, one image or one class lie the same numbers under another shape.
#[test]
fn what_follows_a_convolution_sums_over_pixels_alone() {
    let columns = ["[6, 8], stride: [2, 1]", "[8, 6], stride: [1, 2]", "[7, 7]", "8", "[8, 1], stride: [1, 8]"];
    let mut followed = 0;
    for kernel in columns {
        for (filters, batch, units) in [(1, 4, "classes"), (1, 1, "classes"), (2, 1, "1"), (3, 4, "1"), (1, 4, "1")] {
            let text = format!(
                "model M {{\n    input image: u8[8, 8, 1]\n    x = (image - 8) / 8\n    \
                 x = conv(x, {filters}, kernel: {kernel}, pad: valid) |> batch_norm |> relu\n    \
                 x = dense(x, {units}) |> batch_norm |> relu\n    output dense(x, classes) as \"score\"\n}}\n\
                 train {{\n    data digits\n    batch {batch}\n    iterations 3\n    \
                 loss softmax_cross_entropy\n    optimizer sgd(rate: 0.01)\n}}\n"
            );
            let graph = sphc::autodiff::training(crate::backends::engines::typed(
                "m",
                &text,
                &crate::language::lower::settings(&[]),
            ));
            let config = Config {
                precision: Precision::F32,
                hash: String::new(),
                source: String::new(),
                line: &|_| String::new(),
            };
            for kernel in &plan(&fuse(graph), &config).kernels {
                let KernelSpec::ConvMap { conv, map } = kernel else { continue };
                followed += 1;
                let channels = if conv.kind == ConvKind::Forward { conv.output[2] } else { conv.input[2] };
                assert_eq!(map.dims.last(), Some(&channels), "{text}");
                for output in &map.outputs {
                    if let Store::Reduce { over, .. } = &output.store {
                        let (last, pixels) = over.split_last().unwrap();
                        assert!(!last && pixels.iter().all(|it| *it), "{over:?} of {:?}\n{text}", map.dims);
                    }
                }
            }
        }
    }
    assert!(10 < followed, "{followed}");
}
