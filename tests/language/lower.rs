//! From a file's text to its graph: names, the shipped models, what an operator needs, and diagnostics
//! that need more than one file or setting.

use sphc::diag::{Diagnostic, Sink, Sources, render};
use sphc::ir::{Column, Extremes, Graph, Mode, Op, Phase, Random, Window, verify};
use sphc::lower::{DataInfo, Settings, lower};
use sphc::shape::{Typed, check};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn settings(set: &[(&str, &str)]) -> Settings {
    let data = |name: &str, image, classes, train, test| DataInfo::images(name, image, classes, [train, test]);
    let digits = DataInfo { range: Some(Extremes([0.0, 16.0])), ..data("digits", [8, 8, 1], 10, 1437, 360) };
    Settings {
        set: set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        known_data: vec![
            data("cifar10", [32, 32, 3], 10, 50_000, 10_000),
            data("cifar100", [32, 32, 3], 100, 50_000, 10_000),
            digits,
            data("mnist", [28, 28, 1], 10, 60_000, 10_000),
        ],
        ..Settings::default()
    }
}

struct Lowered {
    sources: Sources,
    found: Vec<Diagnostic>,
    typed: Option<Typed>,
}

impl Lowered {
    fn text(&self) -> String {
        render::render(&self.found, &self.sources, false)
    }

    fn typed(&self) -> &Typed {
        assert!(self.found.is_empty(), "{}", self.text());
        self.typed.as_ref().expect("a graph without mistakes")
    }

    fn codes(&self) -> Vec<&'static str> {
        self.found.iter().map(|it| it.code.name()).collect()
    }
}

/// Compiles as far as shapes; `files` are what imports can load.
fn compile(name: &str, text: &str, settings: &Settings, files: &[(&str, &str)]) -> Lowered {
    let files: BTreeMap<String, String> = files.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut sources = Sources::new();
    let mut sink = Sink::new();
    let main = sources.add(name, text);
    let tree = sphc::syntax::parse(main, text, &mut sink);
    let mut load = |path: &str| files.get(path).cloned().ok_or_else(|| "no such file".to_owned());
    let graph = lower(&tree, main, &mut sources, &mut load, settings, &mut sink).graph;
    if let Some(graph) = &graph {
        verify::verify(graph, "lower");
    }
    let typed = graph.and_then(|it| check(it, &mut sink).ok());
    Lowered { sources, found: sink.finish(), typed }
}

fn model(file: &str, set: &[(&str, &str)]) -> Lowered {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(file);
    let text = std::fs::read_to_string(&path).expect("a shipped model");
    compile(&format!("models/{file}"), &text, &settings(set), &[])
}

fn part(body: &str) -> Lowered {
    compile("part.sph", body, &settings(&[]), &[])
}

/// Names and shapes of parameters and statistics as in the golden networks.
fn golden_names(file: &str) -> BTreeMap<String, Vec<usize>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/nets").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let tensors = json["tensors"].as_object().expect("tensors");
    let extent = |it: &serde_json::Value| it.as_u64().expect("an extent") as usize;
    let shape = |it: &serde_json::Value| it["shape"].as_array().expect("a shape").iter().map(extent).collect();
    tensors.iter().filter_map(|(name, it)| Some((name.strip_prefix("final/")?.to_owned(), shape(it)))).collect()
}

fn names(graph: &Graph) -> BTreeMap<String, Vec<usize>> {
    let params = graph.params.iter().map(|it| (it.path.clone(), it.shape.dims().to_vec()));
    let states = graph.states.iter().filter(|it| it.path.contains('/'));
    params.chain(states.map(|it| (it.path.clone(), it.shape.dims().to_vec()))).collect()
}

fn ops(graph: &Graph, layer: &str, kind: fn(&Op) -> bool) -> usize {
    let of = |id| graph.origin_of(graph.origin_id(id)).layer.clone();
    graph.needed([graph.outputs[&Mode::Train]]).into_iter().filter(|&it| of(it) == layer && kind(graph.op(it))).count()
}

#[test]
fn shipped_models_have_no_diagnostics() {
    for file in ["spherenet9.sph", "sphereresnet32.sph", "digits.sph"] {
        for norm in ["none", "cosine", "linear", "sigmoid", "sigmoid(k: 0.5)", "lr_sigmoid", "sphere_norm", "tanh_conv"]
        {
            model(file, &[("norm", norm)]).typed();
        }
    }
    for w_norm in ["weight_cosine", "weight_linear", "weight_sigmoid"] {
        model("spherenet9.sph", &[("w_norm", w_norm)]).typed();
    }
}

#[test]
fn parameters_are_named_as_in_the_golden_networks() {
    let small = ("widths", "[16, 24, 32]");
    for norm in ["cosine", "linear", "lr_sigmoid", "none"] {
        let found = model("spherenet9.sph", &[small, ("fc", "32"), ("norm", norm)]);
        assert_eq!(names(found.typed()), golden_names(&format!("spherenet9_{norm}_w16-24-32_b8.json")));
    }
    let found = model("sphereresnet32.sph", &[small, ("units", "1")]);
    assert_eq!(names(found.typed()), golden_names("sphereresnet_linear_n1_w16-24-32_b8.json"));
}

#[test]
fn published_networks_have_the_published_number_of_parameters() {
    let count = |it: &Lowered| it.typed().params.iter().map(|it| it.shape.len()).sum::<usize>();
    assert_eq!(count(&model("spherenet9.sph", &[])), 3_859_712);
    assert_eq!(count(&model("spherenet9.sph", &[("norm", "lr_sigmoid")])), 3_859_712 + 1_984);
    assert_eq!(count(&model("sphereresnet32.sph", &[])), 16_702_176);
}

#[test]
fn nothing_is_computed_that_an_operator_does_not_need() {
    let conv = |it: &Op| matches!(it, Op::Conv(_));
    let window = |it: &Op| matches!(it, Op::Window { kind: Window::Sum, .. });
    let map = |it: &Op| matches!(it, Op::Map { .. });
    let counts = |norm: &str| {
        let found = model("spherenet9.sph", &[("norm", norm)]);
        let graph = found.typed();
        (ops(graph, "fc6", conv), ops(graph, "fc6", window), ops(graph, "fc6", map))
    };
    assert_eq!(counts("none"), (1, 0, 0));
    // w*w and w/|w|.
    assert_eq!(counts("weight_cosine"), (1, 0, 2));
    // Besides, x*x and the operator.
    for norm in ["cosine", "linear", "sigmoid", "lr_sigmoid", "squared_cosine", "sphere_norm"] {
        assert_eq!(counts(norm), (1, 1, 4), "{norm}");
    }
}

#[test]
fn the_recipe_selects_as_the_paper_does() {
    let found = model("spherenet9.sph", &[]);
    let recipe = found.typed().recipe.clone().expect("a recipe");
    let count: Vec<(Column, usize)> = recipe.penalties.iter().map(|it| (it.column, it.params.len())).collect();
    assert_eq!(count, [(Column::Orth, 10), (Column::Reg, 1), (Column::Reg, 18)]);
    assert_eq!((recipe.batch, recipe.iterations, recipe.evaluate_every), (128, 64_000, 500));
    let found = model("spherenet9.sph", &[("norm", "none")]);
    let recipe = found.typed().recipe.clone().expect("a recipe");
    let count: Vec<(Column, usize)> = recipe.penalties.iter().map(|it| (it.column, it.params.len())).collect();
    assert_eq!(count, [(Column::Reg, 11), (Column::Reg, 18)]);
    let found = model("sphereresnet32.sph", &[]);
    let recipe = found.typed().recipe.clone().expect("a recipe");
    assert_eq!(recipe.penalties[1].params.len(), 3, "two shortcuts and the score");
    assert_eq!(found.typed().effects[&Phase::Step].len(), 2 * (1 + 30 + 2));
}

#[test]
fn several_mistakes_are_several_reports() {
    let found = part("block a(x) {\n    b(x)\n}\nblock b(x) {\n    a(y)\n}\nmodel M {\n    output a(z)\n}\n");
    assert_eq!(found.codes(), ["E0106", "E0102", "E0201"], "{}", found.text());
}

#[test]
fn imports_in_a_circle_are_reported_with_the_circle() {
    let text = "import \"b.sph\"\nmodel M {\n    input image: u8[8, 8, 1]\n    output image\n}\n";
    let found = compile("m/a.sph", text, &settings(&[]), &[("m/b.sph", "import \"../m/./a.sph\"\n")]);
    assert_eq!(found.codes(), ["E0109"]);
    assert!(found.text().contains("cycle: m/a.sph -> m/b.sph -> m/a.sph"), "{}", found.text());
}

#[test]
fn settings_are_checked_like_the_file() {
    let one = |name: &str, value: &str| {
        let found = model("spherenet9.sph", &[(name, value)]);
        assert_eq!(found.found.len(), 1, "{}", found.text());
        (found.codes()[0], found.text())
    };
    let (code, text) = one("nrom", "linear");
    assert!(code == "E0107" && text.contains("did you mean `norm`?"), "{text}");
    let (code, text) = one("norm", "linaer");
    assert!(code == "E0102" && text.contains("did you mean `linear`?"), "{text}");
    assert_eq!(one("norm", "3").0, "E0104");
    assert_eq!(one("widths", "16").0, "E0104");
    assert_eq!(one("widths", "[16, 24.5]").0, "E0104");
    assert_eq!(one("fc", "0").0, "E0108");
    assert_eq!(one("fc", ")(").0, "E0107");
}

#[test]
fn command_line_settings_go_before_the_file() {
    let mut settings = settings(&[]);
    settings.batch = Some(8);
    settings.iterations = Some(6);
    settings.seed = Some(3);
    settings.no_augment = true;
    settings.no_shuffle = true;
    settings.evaluate_every = Some(2);
    settings.data = settings.known_data.iter().find(|it| it.name == "cifar100").cloned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/spherenet9.sph");
    let text = std::fs::read_to_string(path).expect("a shipped model");
    let found = compile("spherenet9.sph", &text, &settings, &[]);
    let graph = found.typed();
    let recipe = graph.recipe.clone().expect("a recipe");
    assert_eq!((recipe.batch, recipe.iterations, recipe.seed, recipe.evaluate_every), (8, 6, 3, 2));
    assert_eq!((recipe.classes, recipe.shuffle, recipe.augment.is_empty()), (100, false, true));
    assert_eq!(graph.shape(graph.outputs[&Mode::Evaluate]).dims(), [8, 100]);
    assert!(graph.ids().all(|it| !matches!(graph.op(it), Op::Random { kind: Random::Uniform, .. })));
}

#[test]
fn without_a_recipe_the_input_is_bound_by_name() {
    let mut settings = settings(&[]);
    settings.batch = Some(4);
    let text = "model M {\n    input x: float[5, 5, 2]\n    output sphere_conv(x, 3) as \"a\"\n}\n";
    let found = compile("part.sph", text, &settings, &[]);
    let graph = found.typed();
    assert_eq!(graph.shape(graph.outputs[&Mode::Train]).dims(), [4, 5, 5, 3]);
    assert_eq!(graph.outputs[&Mode::Train], graph.outputs[&Mode::Evaluate]);
    assert_eq!(graph.params[0].path, "a/filter");
}

#[test]
fn names_without_as_are_positions_among_siblings() {
    let found = part(
        "block unit(x) {\n    y = conv(x, 4) |> batch_norm\n    conv(y, 4) |> relu |> batch_norm\n}\n\
         model M {\n    input x: float[8, 8, 1]\n    x = max_pool(unit(unit(x)), 2)\n    output conv(x, 2)\n}\n",
    );
    let params: Vec<&str> = found.typed().params.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        params[..6],
        [
            "unit_0/conv_0/filter",
            "unit_0/conv_0/bn/gamma",
            "unit_0/conv_0/bn/beta",
            "unit_0/conv_1/filter",
            "unit_0/batch_norm_0/gamma",
            "unit_0/batch_norm_0/beta",
        ]
    );
    assert_eq!(*params.last().expect("params"), "conv_0/filter");
}

/// Mutilated files: whatever is left of them, nothing panics and a graph that comes back is sound.
#[test]
fn no_mutilated_file_makes_it_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rounds: u64 = std::env::var("SPHC_MUTATIONS").ok().and_then(|it| it.parse().ok()).unwrap_or(40);
    for file in
        ["models/spherenet9.sph", "models/sphereresnet32.sph", "tests/suite/good.sph", "tests/suite/operators.sph"]
    {
        let text = std::fs::read_to_string(folder.join(file)).expect("a file of the repository");
        let mut words: Vec<&str> = Vec::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let word = |it: char| it.is_alphanumeric() || it == '_';
            let end = if word(first) { rest.find(|it| !word(it)).unwrap_or(rest.len()) } else { first.len_utf8() };
            words.push(&rest[..end]);
            rest = &rest[end..];
        }
        for round in 0..rounds {
            let mut changed = words.clone();
            for step in 0..=round % 3 {
                let draw = |at| sphc::ir::random::shuffled(round, step, at, words.len() as u64) as usize;
                let (a, b) = (draw(0), draw(1));
                match (round + step) % 3 {
                    0 => changed[a] = "",
                    1 => changed[a] = words[b],
                    _ => changed.swap(a, b),
                }
            }
            let small = settings(&[]);
            compile(file, &changed.concat(), &small, &[]);
        }
    }
}
