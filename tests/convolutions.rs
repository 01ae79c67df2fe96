//! Convolutions of every geometry, and what layers of them add, against PyTorch's values and gradients as
//! `tests/peer/convolutions.py` has them.

use crate::engines::{Engine, Machine, typed};
use crate::golden_layers::with_gradients;
use crate::lower::settings;
use serde_json::Value;
use sphc::interp::Tensor;
use sphc::ir::{Phase, Shape};
use sphc::lower::Settings;

/// As the script makes them.
fn numbers(salt: usize, len: usize) -> Vec<f64> {
    (0..len).map(|at| ((at * 7919 + salt * 104_729) % 1009) as f64 / 512.0 - 1.0).collect()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

#[test]
fn convolutions_and_their_gradients_are_those_of_pytorch() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("peer/convolutions.json")).unwrap();
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
        let output = graph.shape(graph.results[&Phase::Step]["output"]).clone();
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
