//! Convolutions of every geometry, and what layers of them add, against PyTorch's values and gradients as
//! `tests/peer/convolutions.py` has them.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use crate::networks::golden_layers::with_gradients;
use serde_json::Value;
use sphc::interp::Tensor;
use sphc::ir::{Init, ParamRole, Phase, Shape, op::Scalar64};
use sphc::lower::Settings;

/// As the script makes them.
fn numbers(salt: usize, len: usize) -> Vec<f64> {
    (0..len).map(|at| ((at * 7919 + salt * 104_729) % 1009) as f64 / 512.0 - 1.0).collect()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

#[test]
fn filters_start_as_they_are_told_and_biases_at_nothing() {
    let text = "
        block wide(x, filters: int, init: start = glorot) {
            conv(x, filters, kernel: [1, 3], bias: true, init: init)
        }
        model Starts {
            input x: float[4, 6, 4]
            x = conv(x, 8, groups: 2) as \"a\"
            x = conv(x, 8, init: normal(std: 0.01)) as \"b\"
            x = wide(x, 8) as \"c\"
            x = wide(x, 8, init: 0.5) as \"d\"
            x = depthwise_conv(x, init: uniform(bound: 0.25)) as \"e\"
            x = conv_transpose(x, 6, groups: 2, kernel: 2, bias: true) as \"f\"
            output sphere_dense(x, 3, init: he) as \"g\"
        }";
    let graph = typed("starts.sph", text, &Settings { batch: Some(2), ..settings(&[]) });
    let normal = |variance: f64| Init::Normal(Scalar64(variance.sqrt()));
    let uniform = |bound: f64| Init::Uniform(Scalar64(bound));
    let expected: Vec<(&str, Vec<usize>, Init)> = vec![
        ("a/filter", vec![3, 3, 2, 8], normal(2.0 / 18.0)),
        ("b/filter", vec![3, 3, 8, 8], Init::Normal(Scalar64(0.01))),
        ("c/filter", vec![1, 3, 8, 8], uniform((6.0f64 / (24.0 + 24.0)).sqrt())),
        ("c/bias", vec![8], Init::Constant(Scalar64(0.0))),
        ("d/filter", vec![1, 3, 8, 8], Init::Constant(Scalar64(0.5))),
        ("d/bias", vec![8], Init::Constant(Scalar64(0.0))),
        ("e/filter", vec![3, 3, 1, 8], uniform(0.25)),
        ("f/filter", vec![2, 2, 3, 8], normal(2.0 / 12.0)),
        ("f/bias", vec![6], Init::Constant(Scalar64(0.0))),
        ("g/filter", vec![1, 1, 144, 3], normal(2.0 / 144.0)),
    ];
    let found: Vec<(&str, Vec<usize>, Init)> =
        graph.params.iter().map(|it| (it.path.as_str(), it.shape.dims().to_vec(), it.init)).collect();
    assert_eq!(found, expected);
    assert_eq!(graph.params[3].role, ParamRole::Bias);
    assert_eq!(graph.params[9].operator, "cosine");
}

#[test]
fn convolutions_and_their_gradients_are_those_of_pytorch() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../peer/convolutions.json")).unwrap();
    for case in &cases {
        let call = case["call"].as_str().unwrap();
        let dims: Vec<usize> = list(&case["shape"]).iter().map(|it| *it as usize).collect();
        let shape = Shape(dims.clone());
        let text = format!(
            "model Layer {{\n    input x: float[{}, {}, {}]\n    output {call} as \"l\"\n}}\n",
            dims[1], dims[2], dims[3]
        );
        let settings = Settings { batch: Some(dims[0]), ..settings(&[]) };
        let graph = with_gradients(typed("layer.sph", &text, &settings));
        let names: Vec<&str> = graph.params.iter().map(|it| it.path.strip_prefix("l/").unwrap()).collect();
        let params = case["params"].as_object().unwrap();
        assert_eq!(names.len(), params.len(), "{call}: {names:?}");
        let output = graph.shape(graph.results[&Phase::Step][&"output".into()]).clone();
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind_named("x", &Tensor::new(shape.clone(), numbers(1, shape.len())));
            machine.bind_named("seed", &Tensor::new(output.clone(), numbers(9, output.len())));
            for (at, name) in ["filter", "bias"].into_iter().enumerate().filter(|it| params.contains_key(it.1)) {
                machine.write(&format!("l/{name}"), &numbers(2 + at, list(&params[name]).len()));
            }
            machine.run(Phase::Step);
            let grads = params.iter().map(|(name, it)| (format!("grad/l/{name}"), list(it)));
            let direct = ["output", "grad/x"].map(|it| (it.to_owned(), list(&case[it])));
            for (what, wanted) in direct.into_iter().chain(grads) {
                let found = machine.result(Phase::Step, &what);
                assert_eq!(found.len(), wanted.len(), "{call}: {what}");
                let size = wanted.iter().fold(1.0, |most: f64, it| most.max(it.abs()));
                for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                    let close = (found - wanted).abs() <= engine.tolerance() * size;
                    assert!(close, "{call} on {engine:?}: {what}[{at}] is {found}, not {wanted}");
                }
            }
        }
    }
}
