//! Attention and shared layers: against PyTorch in f64 (`peer/sequences.py`), and what sharing means for names, gradients
//! and statistics.

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::blocks::{RECIPE, said, trained};
use crate::networks::golden_layers::with_gradients;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Shape};
use sphc::lower::Settings;

const ATTENTION: &[f64] = &[
    0.9543879205043349,
    0.7454222994786259,
    0.18587292346339468,
    -0.4610953928012145,
    0.9027701416281676,
    0.6616731647682892,
    0.10938095958948774,
    -0.494354820008888,
    0.9799403893579516,
    0.7875033788850526,
    0.22469122424278537,
    -0.44379672405808857,
];
const ATTENTION_X: &[f64] = &[
    0.33021995460315035,
    -0.3888698642134908,
    0.4025837927463266,
    -0.36977702281992925,
    0.15279108582487805,
    -0.12514914811849612,
    0.08304556072091807,
    -0.031345617090713235,
    0.1836178726154355,
    -0.2445660912779971,
    0.2772533973288428,
    -0.2779025987010426,
];
const ATTENTION_QUERY: &[f64] = &[
    0.029041091007464173,
    0.026083421005293636,
    -0.04450975824917345,
    0.02927709449042307,
    0.031167604255547775,
    0.026318341542716076,
    0.1019203400410807,
    -0.06355519517010759,
    0.01863550621499682,
    0.014175334817168738,
    0.2004157098607714,
    -0.12649648346481834,
    -0.0026611615862840816,
    -0.0046345533686094715,
    0.204652439751091,
    -0.129944499023948,
];

const GRU: &[f64] = &[-0.034359915721261555, 0.6399588432126995];
const GRU_X: &[f64] = &[
    0.0009186312857192199,
    0.0018057421957502707,
    -0.002689200589755391,
    0.003957538652707018,
    -0.004965606193918855,
    0.0009113456894632319,
    0.0263068379096543,
    -0.008393119473409679,
    -0.018077202616365376,
    -0.11876720124279715,
    0.27626949046173194,
    -0.15212101336749342,
];
const GRU_HIDDEN: &[f64] = &[
    -0.01975917286518837,
    0.003271180824240488,
    0.0058793555143320225,
    -0.008576726183036528,
    -0.02437782226315786,
    0.0035310196946060505,
    0.020960489857121477,
    -0.004456194380240836,
    -0.006102777659790943,
    0.007894015569075957,
    0.026061987173247262,
    -0.005554359214727006,
];
const LSTM: &[f64] = &[0.11452045237628469, 0.09653707938066769];
const LSTM_X: &[f64] = &[
    -0.00036253763102727624,
    -0.0003562705729773963,
    -0.0001900849688098536,
    0.005096232618838399,
    0.0024211254653007707,
    -0.0013407480218793407,
    -0.0052152839113358525,
    -0.0012986630216220453,
    0.0032008864568296796,
    -0.004014627040429772,
    0.015272287735888415,
    0.027703957549920877,
];
const LSTM_HIDDEN: &[f64] = &[
    0.00012708728881149968,
    -0.00011411934945341619,
    0.00039182643435928065,
    1.7783978466907435e-05,
    0.00030733467522134724,
    -0.0025712221602966147,
    0.0011826370488345636,
    -0.0007596171289514816,
    0.0010654523671703854,
    -0.0005675370930694235,
    5.99756941811688e-05,
    -9.40461766126077e-05,
    0.0023804565580731133,
    -0.0017156514760690055,
    0.0007241332274648124,
    -0.00046563056244949846,
];

fn sines(len: usize, salt: f64) -> Vec<f64> {
    (0..len).map(|at| (0.7 * at as f64 + salt).sin()).collect()
}

/// A layer of one example on `x = sines(0.1)` under the adjoint `sines(9)`, its parameters at sines of these salts.
fn run(engine: Engine, definitions: &str, shape: &[usize], call: &str, params: &[(&str, f64)]) -> Machine {
    let list: Vec<String> = shape.iter().map(usize::to_string).collect();
    let text = format!(
        "{definitions}\nmodel Layer {{\n    input x: float[{}]\n    output {call} as \"l\"\n}}\n",
        list.join(", ")
    );
    let graph = with_gradients(typed("layer.sph", &text, &Settings { batch: Some(1), ..Settings::default() }));
    let mut machine = Machine::new(engine, graph.clone());
    let mut paths: Vec<&str> = graph.params.iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    let mut given: Vec<&str> = params.iter().map(|it| it.0).collect();
    given.sort_unstable();
    assert_eq!(paths, given);
    for (path, salt) in params {
        let id = graph.find_param(path).unwrap();
        machine.write(path, &sines(graph.param(id).shape.len(), *salt));
    }
    let x = Shape([&[1], shape].concat());
    machine.bind_named("x", &Tensor::new(x.clone(), sines(x.len(), 0.1)));
    let out = graph.shape(graph.outputs[&sphc::ir::Mode::Train]).clone();
    machine.bind_named("seed", &Tensor::new(out.clone(), sines(out.len(), 9.0)));
    machine.run(Phase::Step);
    machine
}

fn close(engine: Engine, found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let most = if engine == Engine::CpuF32 { 1e-5 } else { 1e-12 };
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= most * (1.0 + wanted.abs()), "{engine:?}: {what} {found}, not {wanted}");
    }
}

#[test]
fn attention_agrees_with_pytorch() {
    for engine in Engine::ALL {
        let params = [
            ("l/query/filter", 1.0),
            ("l/key/filter", 2.0),
            ("l/value/filter", 3.0),
            ("l/out/filter", 4.0),
            ("l/query/bias", 5.0),
            ("l/key/bias", 6.0),
            ("l/value/bias", 7.0),
            ("l/out/bias", 8.0),
        ];
        let machine = run(engine, "", &[3, 4], "attention(x, heads: 2)", &params);
        close(engine, &machine.result(Phase::Step, "output"), ATTENTION, "output");
        close(engine, &machine.result(Phase::Step, "grad/x"), ATTENTION_X, "slope in x");
        close(engine, &machine.result(Phase::Step, "grad/l/query/filter"), ATTENTION_QUERY, "slope in the query");
    }
}

/// PyTorch's weights are those of all gates in one matrix, as here.
#[test]
fn recurrent_layers_agree_with_pytorch() {
    for (layer, output, of_x, of_hidden) in [("gru", GRU, GRU_X, GRU_HIDDEN), ("lstm", LSTM, LSTM_X, LSTM_HIDDEN)] {
        for engine in Engine::ALL {
            let params = [
                ("l/cell/input/filter", 1.0),
                ("l/cell/hidden/filter", 2.0),
                ("l/cell/input/bias", 3.0),
                ("l/cell/hidden/bias", 4.0),
            ];
            let machine = run(engine, "", &[4, 3, 1], &format!("{layer}(x, 2)"), &params);
            close(engine, &machine.result(Phase::Step, "output"), output, layer);
            close(engine, &machine.result(Phase::Step, "grad/x"), of_x, layer);
            close(engine, &machine.result(Phase::Step, "grad/l/cell/hidden/filter"), of_hidden, layer);
        }
    }
}

const CELL: &str = "
/// A cell with all that can be kept: a filter, a scale, a statistic and a layer of its own.
block cell(x) {
    y = conv(x, channels(x), kernel: 1) as \"mix\" |> batch_norm(decay: 0.75)
    learn scale: [1] = 2
    tanh(y) * scale
}
";

/// A shared layer is one layer: its gradient is the sum over its uses, which are the same numbers under names of their own.
#[test]
fn a_shared_layer_learns_from_all_its_uses() {
    let shared = "cell(cell(x) as shared \"c\") as shared \"c\"";
    let apart = "cell(cell(x) as \"a\") as \"b\"";
    let names = |path: &str| ["gamma", "beta", "mix/filter", "scale"].map(|it| format!("{path}/{it}"));
    let salted = |path: &str| names(path).into_iter().enumerate().map(|(at, it)| (it, at as f64)).collect::<Vec<_>>();
    let model = |call: &str| format!("block f(x) = {call}\n{CELL}");
    for engine in Engine::ALL {
        let one = salted("l/c");
        let two = [salted("l/a"), salted("l/b")].concat();
        let of = |list: &[(String, f64)], call: &str| {
            let list: Vec<(&str, f64)> = list.iter().map(|it| (it.0.as_str(), it.1)).collect();
            run(engine, &model(call), &[2, 3, 4], "f(x)", &list)
        };
        let (one, two) = (of(&one, shared), of(&two, apart));
        for result in ["output", "grad/x"] {
            close(engine, &one.result(Phase::Step, result), &two.result(Phase::Step, result), result);
        }
        for name in ["mix/filter", "gamma", "scale"] {
            let part = |path: &str| two.result(Phase::Step, format!("grad/l/{path}/{name}"));
            let sum: Vec<f64> = part("a").iter().zip(part("b")).map(|(a, b)| a + b).collect();
            close(engine, &one.result(Phase::Step, format!("grad/l/c/{name}")), &sum, name);
        }
    }
}

/// A statistic moves at each use, in the order of the text.
#[test]
fn a_shared_statistic_moves_at_each_use() {
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
    for i in 0..2 {
        x = (centre(x) as shared \"c\") + 1
    }
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}
",
    );
    let states: Vec<&str> = graph.states.iter().map(|it| it.path.as_str()).filter(|it| it.contains("kept")).collect();
    assert_eq!(states, ["c/kept"]);
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        let count = |source: &Extern| match source {
            Extern::TrainImages | Extern::TrainLabels => 1437,
            _ => 360,
        };
        for source in [Extern::TrainImages, Extern::TestImages] {
            let shape = Shape::from([count(&source), 8, 8, 1]);
            machine.bind(source, &Tensor::filled(shape, 8.0));
        }
        for source in [Extern::TrainLabels, Extern::TestLabels] {
            machine.bind(source.clone(), &Tensor::filled(Shape::from([count(&source)]), 1.0));
        }
        machine.run(Phase::Step);
        // From 2 to a mean of 0.5, then to one of 1.
        let first = 2.0 + 0.25 * (0.5 - 2.0);
        let second = first + 0.25 * (1.0 - first);
        let kept = machine.read("c/kept")[0];
        assert!((kept - second).abs() < 1e-6, "{engine:?}: {kept}, not {second}");
    }
}

#[test]
fn mistakes_in_sharing_are_told() {
    let cases = [
        (
            "x = conv(x, 4) as shared \"c\"\n    x = conv(x, 4) as shared \"c\"",
            "`c/filter` is [3,3,4,4] here and [3,3,1,4] where",
        ),
        (
            "x = conv(x, 1) as shared \"c\"\n    x = sphere_conv(x, 1) as shared \"c\"",
            "shared by calls of `conv` and of `sphere_conv`",
        ),
        ("x = conv(x, 1) as shared \"c\"\n    x = conv(x, 1) as \"c\"", "two layers are named `c`"),
        ("x = conv(x, 1) as \"c\"\n    x = conv(x, 1) as shared \"c\"", "two layers are named `c`"),
        ("x = (x + 1) as shared \"c\"", "only the call of a layer or a block can be shared"),
        ("x = k(x, 1) as shared \"c\"\n    x = k(x, 2) as shared \"c\"", "`c/k` is"),
        ("x = conv(x, 1) as shared c", "a string"),
    ];
    for (lines, wanted) in cases {
        let text = format!(
            "block k(x, start: int) {{\n    learn k: [1] = start\n    x * k\n}}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    \
             x = image / 16\n    {lines}\n    output dense(x, classes) as \"score\"\n}}\n{RECIPE}"
        );
        let said = said(text.trim_end());
        assert!(said.contains(wanted), "{lines}\nwanted: {wanted}\n{said}");
    }
    // Reported once, and nothing where it is right.
    let text = format!(
        "model M {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    for i in 0..3 {{\n        x = relu(conv(x, 1) as shared \"c\")\n    \
         }}\n    output dense(x, classes) as \"score\"\n}}\n{RECIPE}"
    );
    assert_eq!(said(text.trim_end()), "");
}

/// A block of a transformer and a recurrent layer: gradients against differences, kernels against the interpreter.
#[test]
fn networks_of_sequences_pass_verification() {
    let model = "
model Sequences {
    input image: u8[8, 8, 1]
    x = conv((image - 8) / 8, 8, kernel: 2, stride: 2, pad: valid) |> offset as \"patches\"
    x = x + (attention(layer_norm(x) as \"norm\", heads: 2) as \"attention\")
    x = x + (linear(gelu(linear(x, 16) as \"wide\"), 8) as \"narrow\")
    a = gru(x, 6) as \"gru\"
    b = lstm(x, 5) as \"lstm\"
    output linear(reshape(concat(a, b, over: channels), [1, 1, 11]), classes) as \"score\"
}
";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sequences.sph");
    std::fs::write(&file, format!("{model}{RECIPE}")).unwrap();
    for precision in ["f32", "f64"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(["verify", file.to_str().unwrap(), "--device", "cpu", "--precision", precision])
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("gradients: all right"), "{text}");
    }
}
