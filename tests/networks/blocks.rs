//! Blocks that learn, and the layers of the prelude that are such: values against their formulas on every engine, gradients
//! against central differences, names, statistics, and what is said of mistakes.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use crate::networks::golden_layers::with_gradients;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Op, Phase, Shape, random};
use sphc::lower::Settings;
use sphc::pipeline;
use sphc::shape::Typed;

/// The examples of a test.
pub(crate) const SHAPE: [usize; 4] = [3, 2, 4, 6];

fn numbers(salt: u64, len: usize) -> Vec<f64> {
    (0..len).map(|at| random::normal(salt, 7, at) + 0.3).collect()
}

pub(crate) fn images() -> Tensor {
    let shape = Shape::from(SHAPE);
    Tensor::new(shape.clone(), numbers(1, shape.len()))
}

/// A model of one layer.
pub(crate) fn layer(definitions: &str, call: &str) -> Typed {
    let [_, h, w, c] = SHAPE;
    let text =
        format!("{definitions}\nmodel Layer {{\n    input x: float[{h}, {w}, {c}]\n    output {call} as \"l\"\n}}\n");
    let settings = Settings { batch: Some(SHAPE[0]), ..settings(&[]) };
    typed("layer.sph", &text, &settings)
}

/// A layer that runs, its parameters at numbers without a pattern.
pub(crate) fn machine(engine: Engine, layer: &Typed) -> (Machine, Vec<Vec<f64>>) {
    let with = with_gradients(layer.clone());
    let out = with.shape(with.results[&Phase::Step][&"output".into()]).clone();
    let mut machine = Machine::new(engine, with.clone());
    machine.bind_named("x", &images());
    machine.bind_named("seed", &Tensor::new(out.clone(), numbers(9, out.len())));
    let mut params = Vec::new();
    for (at, param) in with.params.iter().enumerate() {
        let values = numbers(20 + at as u64, param.shape.len());
        machine.write(&param.path, &values);
        params.push(values);
    }
    (machine, params)
}

pub(crate) fn result(machine: &mut Machine, name: &str) -> Vec<f64> {
    machine.run(Phase::Step);
    machine.result(Phase::Step, name)
}

/// The layer's values are those of `formula`, given images and parameters, on every engine; its gradients are slopes.
pub(crate) fn check(definitions: &str, call: &str, formula: impl Fn(&[f64], &[Vec<f64>]) -> Vec<f64>) {
    let graph = layer(definitions, call);
    for engine in Engine::ALL {
        let (mut machine, params) = machine(engine, &graph);
        let found = result(&mut machine, "output");
        let wanted = formula(&images().data, &params);
        assert_eq!(found.len(), wanted.len(), "{call}");
        let size = wanted.iter().fold(1.0, |most: f64, it| most.max(it.abs()));
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let gap = (found - wanted).abs();
            assert!(gap <= engine.tolerance() * size, "{call} [{at}] on {engine:?}: {found}, not {wanted}");
        }
    }
    let (mut machine, params) = machine(Engine::CpuF64, &graph);
    let seed = numbers(9, result(&mut machine, "output").len());
    let mut slopes = |write: &mut dyn FnMut(&mut Machine, f64), gradient: f64, what: &str| {
        let mut value = |by: f64| -> f64 {
            write(&mut machine, by);
            result(&mut machine, "output").iter().zip(&seed).map(|(a, b)| a * b).sum()
        };
        let mut slope = |h: f64| (value(h) - value(-h)) / (2.0 * h);
        let wanted = (4.0 * slope(5e-4) - slope(1e-3)) / 3.0;
        write(&mut machine, 0.0);
        assert!((gradient - wanted).abs() < 1e-7 * (1.0 + wanted.abs()), "{call} in {what}: {gradient}, not {wanted}");
    };
    let (mut reader, _) = self::machine(Engine::CpuF64, &graph);
    for (at, param) in graph.params.iter().enumerate() {
        let gradient = result(&mut reader, &format!("grad/{}", param.path));
        for entry in 0..gradient.len() {
            let mut write = |machine: &mut Machine, by: f64| {
                let mut moved = params[at].clone();
                moved[entry] += by;
                machine.write(&param.path, &moved);
            };
            slopes(&mut write, gradient[entry], &format!("{}[{entry}]", param.path));
        }
    }
    let gradient = result(&mut reader, "grad/x");
    for (entry, slope) in gradient.iter().enumerate() {
        let mut write = |machine: &mut Machine, by: f64| {
            let mut moved = images();
            moved.data[entry] += by;
            machine.bind_named("x", &moved);
        };
        slopes(&mut write, *slope, &format!("x[{entry}]"));
    }
}

/// Normalises the numbers whose positions `key` maps to the same group.
fn normalised(x: &[f64], epsilon: f64, centred: bool, key: impl Fn([usize; 4]) -> usize) -> Vec<f64> {
    let place = |at: usize| {
        let [_, h, w, c] = SHAPE;
        [at / (h * w * c), at / (w * c) % h, at / c % w, at % c]
    };
    let of = |at: usize| key(place(at));
    (0..x.len())
        .map(|at| {
            let group: Vec<f64> = (0..x.len()).filter(|it| of(*it) == of(at)).map(|it| x[it]).collect();
            let n = group.len() as f64;
            let mean = if centred { group.iter().sum::<f64>() / n } else { 0.0 };
            let variance = group.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / n;
            (x[at] - mean) / (variance + epsilon).sqrt()
        })
        .collect()
}

fn scaled(unit: Vec<f64>, gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let c = gamma.len();
    unit.iter().enumerate().map(|(at, it)| it * gamma[at % c] + beta.get(at % c).unwrap_or(&0.0)).collect()
}

#[test]
fn normalisations_over_parts_of_an_example_are_their_formulas() {
    let [_, h, w, c] = SHAPE;
    check("", "layer_norm(x)", |x, p| {
        scaled(normalised(x, 1e-5, true, |[n, y, z, _]| (n * h + y) * w + z), &p[0], &p[1])
    });
    check("", "layer_norm(x, epsilon: 0.1)", |x, p| {
        scaled(normalised(x, 0.1, true, |[n, y, z, _]| (n * h + y) * w + z), &p[0], &p[1])
    });
    check("", "rms_norm(x)", |x, p| scaled(normalised(x, 1e-5, false, |[n, y, z, _]| (n * h + y) * w + z), &p[0], &[]));
    check("", "instance_norm(x)", |x, p| scaled(normalised(x, 1e-5, true, |[n, _, _, k]| n * c + k), &p[0], &p[1]));
    check("", "group_norm(x, groups: 3)", |x, p| {
        scaled(normalised(x, 1e-5, true, |[n, _, _, k]| n * 3 + k / (c / 3)), &p[0], &p[1])
    });
}

#[test]
fn small_layers_of_the_prelude_are_their_formulas() {
    let c = SHAPE[3];
    check("", "offset(x)", |x, p| x.iter().enumerate().map(|(at, it)| it + p[0][at % c]).collect());
    // The batch meets no axis of what is learned, whatever its rank.
    let few = "block few(x) {\n    learn k: [2, 4, 6] = 1\n    k * mean(reshape(x, [8, 6]), over: 0)\n}";
    check(few, "few(x)", |x, p| {
        let mean = |n: usize, k: usize| (0..8).map(|it| x[(n * 8 + it) * 6 + k]).sum::<f64>() / 8.0;
        (0..x.len()).map(|at| p[0][at % 48] * mean(at / 48, at % 6)).collect()
    });
    check("", "prelu(x)", |x, p| {
        x.iter().enumerate().map(|(at, it)| if *it < 0.0 { it * p[0][at % c] } else { *it }).collect()
    });
    check("", "flatten(x)", |x, _| x.to_vec());
    check("", "global_avg_pool(x)", |x, _| {
        let mean = |n: usize, k: usize| (0..8).map(|it| x[(n * 8 + it) * 6 + k]).sum::<f64>() / 8.0;
        (0..18).map(|at| mean(at / 6, at % 6)).collect()
    });
    check("", "softmax(x)", |x, _| {
        let rows = x.chunks(c).map(|row| (row, row.iter().map(|it| it.exp()).sum::<f64>()));
        rows.flat_map(|(row, sum)| row.iter().map(move |it| it.exp() / sum)).collect()
    });
    check("", "transpose(x, [2, 0, 1])", |x, _| {
        let [n, h, w, c] = SHAPE;
        let mut out = Vec::new();
        for i in 0..n {
            for k in 0..c {
                for p in 0..h * w {
                    out.push(x[(i * h * w + p) * c + k]);
                }
            }
        }
        out
    });
}

#[test]
fn reductions_over_named_and_counted_axes_are_their_formulas() {
    let [n, h, w, c] = SHAPE;
    let over = |call: &str, keep: fn([usize; 4]) -> usize, of: fn(&[f64]) -> f64| {
        check("", &format!("x * {call}"), |x, _| {
            let at = |it: usize| keep([it / (h * w * c), it / (w * c) % h, it / c % w, it % c]);
            let value =
                |it: usize| of(&(0..n * h * w * c).filter(|o| at(*o) == at(it)).map(|o| x[o]).collect::<Vec<_>>());
            (0..x.len()).map(|it| x[it] * value(it)).collect()
        });
    };
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    over("mean(x, over: channels)", |[n, h, w, _]| (n * 8 + h) * 8 + w, mean);
    over("mean(x, over: [batch, positions])", |[_, _, _, c]| c, mean);
    over("sum(x, over: [height, 2])", |[n, _, w, _]| n * 8 + w, |x| x.iter().sum());
    over("max(x, over: positions)", |[n, _, _, c]| n * 8 + c, |x| x.iter().fold(f64::MIN, |a, b| a.max(*b)));
    over("min(x, over: width)", |[n, h, _, c]| (n * 8 + h) * 8 + c, |x| x.iter().fold(f64::MAX, |a, b| a.min(*b)));
    over(
        "variance(x, over: [batch, 0, 1])",
        |[_, _, _, c]| c,
        |x| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            x.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / x.len() as f64
        },
    );
    over("count(x, over: [batch, channels])", |_| 0, |_| 18.0);
}

/// A convolution of one's own: `convolve` answers as `sphere_conv` does, and the filter has the same name.
#[test]
fn a_layer_with_a_filter_can_be_written_in_the_language() {
    let own = "
block own_conv(x, filters: int, operator: operator = linear) {
    learn filter: [3, 3, channels(x), filters] = he
    convolve(x, filter, operator: operator)
}";
    for operator in ["none", "linear", "lr_sigmoid"] {
        let one = layer(own, &format!("own_conv(x, 5, operator: {operator})"));
        let other = layer("", &format!("sphere_conv(x, 5, operator: {operator})"));
        let paths = |it: &Typed| it.params.iter().map(|it| (it.path.clone(), it.shape.clone())).collect::<Vec<_>>();
        assert_eq!(paths(&one), paths(&other));
        assert_eq!(
            one.params.iter().map(|it| it.init).collect::<Vec<_>>(),
            other.params.iter().map(|it| it.init).collect::<Vec<_>>()
        );
        assert_eq!(one.params[0].operator, operator);
        let ops = |it: &Typed| it.ids().map(|id| (format!("{:?}", it.op(id)), it.operands(id))).collect::<Vec<_>>();
        assert_eq!(ops(&one), ops(&other));
    }
}

/// Infix signs, lines and names cost nothing: what a function computes is the graph of its text.
#[test]
fn a_function_and_its_text_give_one_graph() {
    let of = |call: &str, definitions: &str| {
        let graph = layer(definitions, call);
        graph.ids().map(|id| (format!("{:?}", graph.op(id)), graph.operands(id))).collect::<Vec<_>>()
    };
    let f = "fn f(x, k = 2) {\n    t = x * k\n    t / sqrt(t ^ 2 + 1) - 0.5\n}";
    let lines = "block lines(x) {\n    t = x * 2\n    u = t ^ 2 + 1\n    v = t / sqrt(u)\n    v - 0.5\n}";
    let whole = of("f(x)", f);
    assert_eq!(whole, of("(x * 2) / sqrt((x * 2) ^ 2 + 1) - 0.5", ""));
    assert_eq!(whole.iter().filter(|it| it.0.starts_with("Map")).count(), 1);
    assert_eq!(whole, of("lines(x)", lines));
    // One map for the mean's share and the gap, one for its square, one for the rest.
    let graph = layer("", "layer_norm(x)");
    let maps = graph.ids().filter(|it| matches!(graph.op(*it), Op::Map { .. })).count();
    assert_eq!(maps, 3, "{}", *graph);
}

pub(crate) const RECIPE: &str = "
train {
    data       digits
    batch      8
    iterations 10
    loss       softmax_cross_entropy()
    optimizer  sgd(rate: 0.1, momentum: 0)
}
";

pub(crate) fn trained(text: &str) -> Typed {
    training(typed("trained.sph", &format!("{text}{RECIPE}"), &settings(&[])))
}

fn keys(graph: &Typed) -> Vec<String> {
    let states = graph.states.iter().map(|it| it.path.clone()).filter(|it| it != "step" && it != "evaluate_start");
    graph.params.iter().map(|it| it.path.clone()).chain(states).collect()
}

#[test]
fn what_is_learned_is_named_by_what_the_definition_says() {
    let graph = trained(
        "
block unit(x, n: int) {
    x |> conv(n) |> offset |> layer_norm |> prelu
}

block attend(x) {
    learn query as filter: [1, 1, channels(x), 4] = glorot
    learn key as filter: [1, 1, channels(x), 4] = normal(std: 0.02)
    learn heat: [1] = uniform(bound: 0.5)
    convolve(x, query) * convolve(x, key) * heat
}

model Names {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = unit(x, 4) as \"a\"
    x = offset(x) |> offset
    x = attend(x) as \"b\" |> layer_norm
    x = conv(x, 4) |> rms_norm
    output conv(x, classes, kernel: 8, pad: valid) |> offset as \"score\"
}
",
    );
    assert_eq!(
        keys(&graph),
        [
            "a/filter",
            "a/bias",
            "a/ln/gamma",
            "a/ln/beta",
            "a/prelu_0/slope",
            "offset_0/bias",
            "offset_1/bias",
            "b/query",
            "b/key",
            "b/heat",
            "b/ln/gamma",
            "b/ln/beta",
            "conv_0/filter",
            "conv_0/rms/gamma",
            "score/filter",
            "score/bias",
        ]
    );
    let roles: Vec<String> = graph.params.iter().map(|it| format!("{:?}", it.role)).collect();
    assert_eq!(roles[..5], ["Filter", "Bias", "Gamma", "Beta", "Learned"]);
    assert_eq!(roles[7..10], ["Filter", "Filter", "Learned"]);
}

/// Normal batch normalisation of one's own: a statistic moves in training and is read in evaluation.
#[test]
fn statistics_move_in_training_and_stand_in_evaluation() {
    let graph = trained(
        "
block centre(x) beside \"centre\" {
    mu = mean(x, over: [batch, positions])
    stat kept: [channels(x)] = running(mu, decay: 0.75, start: 2)
    x - (if training { mu } else { kept })
}

model Centred {
    input image: u8[8, 8, 1]
    x = image / 16
    x = centre(x)
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}
",
    );
    assert_eq!(keys(&graph), ["score/filter", "centre_0/kept"]);
    let count = |source: Extern| match source {
        Extern::TrainImages | Extern::TrainLabels => 1437,
        _ => 360,
    };
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        // Every image is 8 all over: its mean is 0.5, whatever examples a batch holds.
        for source in [Extern::TrainImages, Extern::TestImages] {
            let shape = Shape::from([count(source.clone()), 8, 8, 1]);
            machine.bind(source, &Tensor::filled(shape, 8.0));
        }
        for source in [Extern::TrainLabels, Extern::TestLabels] {
            machine.bind(source.clone(), &Tensor::filled(Shape::from([count(source)]), 1.0));
        }
        machine.write("score/filter", &vec![1.0; 640]);
        machine.run(Phase::Evaluate);
        let scores = machine.result(Phase::Evaluate, "scores");
        assert!((scores[0] - 64.0 * (0.5 - 2.0)).abs() < 1e-4, "{engine:?}: {}", scores[0]);
        machine.run(Phase::Step);
        let kept = machine.read("centre_0/kept")[0];
        assert!((kept - 1.625).abs() < 1e-6, "{engine:?}: {kept}");
    }
}

/// A statistic with extents of its own meets every example alike, also where there are as many examples as channels.
#[test]
fn a_statistic_with_extents_is_the_one_without() {
    let graph = |stat: &str| {
        trained(&format!(
            "
block centred(x) beside \"centred\" {{
    {stat} = running(mean(x, over: [batch, positions]), decay: 0.5)
    x - kept
}}

model Centred {{
    input image: u8[8, 8, 1]
    x = centred(conv(image / 16, 8) as \"a\")
    output dense(x, classes) as \"score\"
}}
"
        ))
    };
    let examples = 8;
    for engine in Engine::ALL {
        let losses = ["stat kept: [channels(x)]", "stat kept: [1, 1, channels(x)]", "stat kept"].map(|stat| {
            let graph = graph(stat);
            assert_eq!(graph.recipe.as_ref().unwrap().batch, examples, "as many as channels");
            let mut machine = Machine::new(engine, graph);
            for (source, count) in [(Extern::TrainImages, 1437), (Extern::TestImages, 360)] {
                let shape = Shape::from([count, 8, 8, 1]);
                machine.bind(
                    source,
                    &Tensor::new(shape, numbers(7, count * 64).iter().map(|it| (it.abs() * 16.0).floor()).collect()),
                );
            }
            for (source, count) in [(Extern::TrainLabels, 1437), (Extern::TestLabels, 360)] {
                machine.bind(source, &Tensor::filled(Shape::from([count]), 1.0));
            }
            machine.write("a/filter", &numbers(1, 9 * 8));
            machine.write("score/filter", &numbers(2, 64 * 8 * 10));
            machine.run(Phase::Step);
            machine.read("a/filter").to_vec()
        });
        assert!(losses[0] == losses[2] && losses[1] == losses[2], "{engine:?}");
    }
}

pub(crate) fn said(text: &str) -> String {
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("case.sph", text, &mut none, &settings(&[]));
    render::render(&checked.diagnostics, &checked.sources, false)
}

/// Each mistake with what must be said of it.
#[test]
fn mistakes_in_blocks_are_told() {
    let cases: &[(&str, &str, &str)] = &[
        ("learn k: filter = 1\n    x * k", "f(x)", "`k` of a block needs a shape"),
        ("learn k as fliter: [1] = 1\n    x * k", "f(x)", "unknown role `fliter`"),
        ("learn k: [1] = normal\n    x * k", "f(x)", "the start `normal` needs a number"),
        ("learn k: [1] = normal(s: 1)\n    x * k", "f(x)", "has no argument `s`"),
        ("learn k: [1] = true\n    x * k", "f(x)", "the start of `k` must be a float"),
        ("learn k: [0] = 1\n    x * k", "f(x)", "an extent is 0, out of range"),
        ("learn k: [70000, 70000] = 1\n    x * k", "f(x)", "is too large"),
        ("x * mean(x, over: chanels)", "f(x)", "`chanels` is not an axis"),
        ("x * mean(x, over: 3)", "f(x)", "has no axis `3`"),
        ("learn k: [4] = 1\n    x * mean(k, over: batch)", "f(x)", "has no axis `batch`"),
        ("stat k: [1] = mean(x, over: batch)\n    x * k", "f(x)", "expected a statistic"),
        ("stat k: [1] = running(x)\n    x * k", "f(x)", "follows what each example has of its own"),
        ("stat k: [1] = running(mean(x, over: batch))\n    x * k", "f(x)", "what it follows is"),
        ("stat k: [1] = running(x, decay: 2)\n    x * k", "f(x)", "out of range"),
        ("y = if training { x }\n    y", "f(x)", "`if training` needs an `else`"),
        ("if training { x } else { 1 }", "f(x)", "gives the int 1, not a tensor"),
        ("if training { x } else { mean(x, over: batch) }", "f(x)", "the tensor of training is"),
        ("y = training\n    x * y", "f(x)", "`training` is not a value"),
        ("y = if training { learn k: [1] = 1 } else { x }\n    y", "f(x)", "only computes"),
        ("if training { f2(x) } else { x }", "f(x)", "would be kept in one mode only"),
        ("reshape(x, [7])", "f(x)", "cannot become [7]"),
        ("transpose(x, [0, 1])", "f(x)", "is not an order of 3 axes"),
        ("height(reshape(x, [64]))\n    x", "f(x)", "a tensor of 1 axis has no height"),
        ("learn w: [3, 3] = he\n    convolve(x, w)", "f(x)", "the filter is [3, 3] without a batch"),
        ("learn k: [4, 1, 1] = 1\n    k", "x\n    output f(x)", "the output is the same for every example"),
        ("mean(x, over: batch)", "x\n    output f(x)", "the output is the same for every example"),
        ("offset(offset(x))", "f(x) as \"twice\"", "`twice/bias` is kept twice"),
    ];
    for (body, call, wanted) in cases {
        let text = format!(
            "block f2(x) {{\n    learn k: [1] = 1\n    x * k\n}}\n\nblock f(x) {{\n    {body}\n}}\n\nmodel M {{\n    \
             input image: u8[8, 8, 1]\n    x = image / 16\n    x = {call}\n    output conv(x, classes, kernel: 8, pad: valid)\n}}\n{RECIPE}    "
        );
        let said = said(text.trim_end());
        assert!(said.contains(wanted), "{body}\nwanted: {wanted}\n{said}");
        assert!(!said.contains("<prelude>"), "{said}");
    }
}

#[test]
fn a_list_is_a_number_for_each_channel() {
    let definitions = "param lows: [float] = [-2, -1, 0, 0.5, 1, 2]\n\
                       block normalised(x) = max((x - [125.3, 123, -7, 0.5, 1, 2]) / [63, 62.1, 1, 2, 3, -0.25], lows) + [1, 2, 3, 4, 5, 6]\n";
    let mean = [125.3, 123.0, -7.0, 0.5, 1.0, 2.0];
    let deviation = [63.0, 62.1, 1.0, 2.0, 3.0, -0.25];
    let low = [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0];
    check(definitions, "normalised(x)", |x, _| {
        let of = |at: usize, it: f64| ((it - mean[at % 6]) / deviation[at % 6]).max(low[at % 6]) + (at % 6 + 1) as f64;
        x.iter().enumerate().map(|(at, it)| of(at, *it)).collect()
    });
}

/// Starts that are made as a whole are the same on every engine, and what they say.
#[test]
fn orthogonal_and_dirac_starts_are_what_they_say() {
    let blocks = "
block f(x) {
    learn turn: [channels(x), 4] = orthogonal(gain: 2)
    learn pass as filter: [3, 3, 4, 5] = dirac
    learn wide as filter: [3, 3, 5, 40] = he(fan: outputs)
    convolve(convolve(einsum(\"...c,cd->...d\", x, turn), pass), wide)
}
";
    let graph = layer(blocks, "f(x)");
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, with_gradients(graph.clone()));
        let turn = machine.read("l/turn");
        for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
            let product: f64 = (0..6).map(|row| turn[row * 4 + a] * turn[row * 4 + b]).sum();
            assert!((product - if a == b { 4.0 } else { 0.0 }).abs() < 1e-6, "{engine:?}: {a} {b} {product}");
        }
        let pass = machine.read("l/pass");
        let ones: Vec<usize> = (0..180).filter(|at| pass[*at] != 0.0).collect();
        // In the middle of the window, channel by channel.
        assert_eq!(ones, [80, 86, 92, 98], "{engine:?}");
        // 3 * 3 * 40 numbers take part in each input.
        let wide = machine.read("l/wide");
        let variance = wide.iter().map(|it| it * it).sum::<f64>() / wide.len() as f64;
        assert!((variance * 180.0 - 1.0).abs() < 0.2, "{engine:?}: {variance}");
    }
    for (init, wanted) in [
        ("he(fan: 3)", "`fan` of `he` is 3"),
        ("he(fan: input)", "input"),
        ("orthogonal", "`orthogonal` needs two axes"),
        ("dirac", "`dirac` needs two axes"),
    ] {
        let text = format!(
            "block f(x) {{\n    learn k: [1] = {init}\n    x * k\n}}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    x = f(image / 16)\n    \
             output conv(x, classes, kernel: 8, pad: valid)\n}}\n{RECIPE}"
        );
        let said = said(text.trim_end());
        assert!(said.contains(wanted), "{init}\nwanted: {wanted}\n{said}");
    }
}
