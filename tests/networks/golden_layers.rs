//! SphereConv and batch normalisation, written in the language, against the golden vectors: output and
//! gradients, on every engine.

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::golden::{Case, Report, cases};
use sphc::autodiff::gradients;
use sphc::interp::Tensor;
use sphc::ir::{DType, Mode, NodeId, Op, ParamId, ParamRole, Phase};
use sphc::lower::Settings;
use sphc::shape::{Builder, Typed};

/// The operators that the cases combine out of `norm` and `w_norm`, as text: their definition, if the
/// prelude has none, and their name. `linear_coef` is the constant of the reference's `linear`.
fn operator(case: &Case) -> (String, &'static str) {
    let k = case.number("sigmoid_k");
    match (case.text("norm"), case.text("w_norm")) {
        ("none", "none") => (String::new(), "none"),
        ("cosine", "none") => (String::new(), "cosine"),
        ("linear", "none") => {
            (format!("operator reference(theta) = 1 - {} * theta", case.number("linear_coef")), "reference")
        }
        ("sigmoid", "none") => {
            assert_eq!(k, 0.3, "{}", case.name);
            (String::new(), "sigmoid")
        }
        ("lr_sigmoid", "none") => (String::new(), "lr_sigmoid"),
        ("none", "cosine") => (String::new(), "weight_cosine"),
        // These two take the angle of a value that is not normalised by the patch; in the cases it is a cosine's.
        ("none", "linear") => (
            format!(
                "operator reference(x_norm, cos) = 1 - {} * acos(clamp(x_norm * cos, -1, 1))",
                case.number("linear_coef")
            ),
            "reference",
        ),
        ("none", "sigmoid") => {
            let body = format!("coth(pi / (4*{k})) * tanh((pi/2 - acos(clamp(x_norm * cos, -1, 1))) / (2*{k}))");
            (format!("operator reference(x_norm, cos) = {body}"), "reference")
        }
        ("cosine", "cosine") => ("operator reference(w_norm, cos) = cos / w_norm".to_owned(), "reference"),
        other => panic!("{}: no operator for {other:?}", case.name),
    }
}

/// The layer of a case as a file, with one example's shape.
fn text(case: &Case, operator: &str, definition: &str) -> String {
    let [_, h, w, c] = <[usize; 4]>::try_from(case.tensor("input").shape.dims()).expect("inputs have rank 4");
    let [kh, kw, _, filters] = <[usize; 4]>::try_from(case.tensor("filter").shape.dims()).expect("rank 4");
    assert_eq!(kh, kw, "{}: kernels are square", case.name);
    let (stride, pad) = (case.number("stride"), case.text("pad").to_lowercase());
    format!(
        "{definition}\nmodel Case {{\n    input x: float[{h}, {w}, {c}]\n    \
         output sphere_conv(x, {filters}, kernel: {kh}, stride: {stride}, pad: {pad}, operator: {operator}) as \"l\"\n}}\n"
    )
}

/// Adds results `output` and `grad/<name>` for the input `x` and every parameter.
pub(crate) fn with_gradients(typed: Typed) -> Typed {
    let (input, output) = (typed.inputs[&Mode::Train], typed.outputs[&Mode::Train]);
    let shape = typed.shape(output).clone();
    let paths: Vec<String> = typed.params.iter().map(|it| it.path.clone()).collect();
    let mut b = Builder::new(typed);
    let seed = b.named_input("seed", shape, DType::Real);
    let mut wrt = vec![input];
    wrt.extend((0..paths.len()).map(|at| b.add(Op::Param(ParamId(at as u32)), &[])));
    let grads = gradients(&mut b, output, seed, &wrt);
    let names = std::iter::once("x".to_owned()).chain(paths).map(|it| format!("grad/{it}").into());
    let mut results: std::collections::BTreeMap<sphc::ir::ResultKey, NodeId> = names.zip(grads).collect();
    results.insert("output".into(), output);
    b.tables().results.insert(Phase::Step, results);
    b.finish()
}

fn settings(case: &Case) -> Settings {
    Settings { batch: Some(case.tensor("input").shape.0[0]), ..Settings::default() }
}

#[test]
fn sphereconv_and_its_gradients_agree() {
    let mut report = Report::default();
    for case in cases("sphereconv") {
        let (definition, operator) = operator(&case);
        let text = text(&case, operator, &definition);
        let graph = with_gradients(typed(&case.name, &text, &settings(&case)));
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind_named("x", case.tensor("input"));
            machine.bind_named("seed", case.tensor("grad_output"));
            machine.write("l/filter", &case.tensor("filter").data);
            if let Some(k) = case.tensors.get("k") {
                machine.write("l/k", &k.data);
            }
            machine.run(Phase::Step);
            let pairs = [
                ("output", "output"),
                ("grad/x", "grad_input"),
                ("grad/l/filter", "grad_filter"),
                ("grad/l/k", "grad_k"),
            ];
            for (name, expected) in pairs {
                let Some(expected_values) = case.tensors.get(expected) else { continue };
                let what = format!("{} {engine:?} {expected}", case.name);
                report.close(&what, &machine.result(Phase::Step, name), &expected_values.data, engine.tolerance());
            }
        }
    }
    report.finish();
}

/// The paper's constant is 2/pi; the reference rounds it to five digits.
#[test]
fn linear_of_the_prelude_is_the_reference_up_to_its_rounding() {
    let mut report = Report::default();
    for case in cases("sphereconv").into_iter().filter(|it| it.text("norm") == "linear") {
        let graph = with_gradients(typed(&case.name, &text(&case, "linear", ""), &settings(&case)));
        let mut machine = Machine::new(Engine::Interpreter, graph);
        machine.bind_named("x", case.tensor("input"));
        machine.bind_named("seed", case.tensor("grad_output"));
        machine.write("l/filter", &case.tensor("filter").data);
        machine.run(Phase::Step);
        for (name, expected) in [("output", "output"), ("grad/x", "grad_input"), ("grad/l/filter", "grad_filter")] {
            let what = format!("{} {expected}", case.name);
            report.close(&what, &machine.result(Phase::Step, name), &case.tensor(expected).data, 5e-6);
        }
    }
    report.finish();
}

#[test]
fn batch_normalisation_its_gradients_and_running_statistics_agree() {
    let mut report = Report::default();
    for case in cases("batchnorm") {
        let dims = case.tensor("input").shape.dims().to_vec();
        let (decay, epsilon) = (1.0 - case.number("rate"), case.number("eps"));
        let text = format!(
            "model Case {{\n    input x: float[{}, {}, {}]\n    \
             output batch_norm(x, decay: {decay}, epsilon: {epsilon}, start: 0, unbiased: false) as \"l\"\n}}\n",
            dims[1], dims[2], dims[3]
        );
        let checked = typed(&case.name, &text, &settings(&case));
        let mut b = Builder::new(with_gradients(checked));
        let evaluated = b.graph().outputs[&Mode::Evaluate];
        b.tables().results.entry(Phase::Evaluate).or_default().insert("output".into(), evaluated);
        let graph = b.finish();
        let path = |role: ParamRole| {
            let found = graph.params.iter().find(|it| it.role == role);
            found.unwrap_or_else(|| panic!("a batch normalisation has a {role:?}")).path.clone()
        };
        let state = |end: &str| {
            let found = graph.states.iter().find(|it| it.path.ends_with(end));
            found.unwrap_or_else(|| panic!("a batch normalisation has a state {end}")).path.clone()
        };
        let (gamma, beta) = (path(ParamRole::Gamma), path(ParamRole::Beta));
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind_named("x", case.tensor("input"));
            machine.bind_named("seed", case.tensor("grad_output"));
            machine.write(&gamma, &case.tensor("gamma").data);
            machine.write(&beta, &case.tensor("beta").data);
            machine.run(Phase::Step);
            let mut compare = |found: Vec<f64>, expected: &str| {
                let what = format!("{} {engine:?} {expected}", case.name);
                report.close(&what, &found, &case.tensor(expected).data, engine.tolerance());
            };
            compare(machine.result(Phase::Step, "output"), "output");
            compare(machine.result(Phase::Step, "grad/x"), "grad_input");
            compare(machine.result(Phase::Step, format!("grad/{gamma}")), "grad_gamma");
            compare(machine.result(Phase::Step, format!("grad/{beta}")), "grad_beta");
            compare(machine.read(&state("ema_mean")), "ema_mean_after");
            compare(machine.read(&state("ema_var")), "ema_var_after");
            machine.run(Phase::Evaluate);
            compare(machine.result(Phase::Evaluate, "output"), "output_eval");
        }
    }
    report.finish();
}

#[test]
fn pools_written_in_the_language_agree() {
    let mut report = Report::default();
    for case in cases("maxpool").into_iter().chain(cases("avgpool")) {
        let input: &Tensor = case.tensor("input");
        let dims = input.shape.dims();
        let layer = match case.text("kind") {
            "maxpool" => format!(
                "max_pool(x, {}, stride: {}, pad: {})",
                case.number("window"),
                case.number("stride"),
                case.text("pad").to_lowercase()
            ),
            _ => "global_avg_pool(x)".to_owned(),
        };
        let text = format!(
            "model Case {{\n    input x: float[{}, {}, {}]\n    output {layer}\n}}\n",
            dims[1], dims[2], dims[3]
        );
        let graph = with_gradients(typed(&case.name, &text, &settings(&case)));
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind_named("x", input);
            machine.bind_named("seed", case.tensor("grad_output"));
            machine.run(Phase::Step);
            for (name, expected) in [("output", "output"), ("grad/x", "grad_input")] {
                let what = format!("{} {engine:?} {expected}", case.name);
                report.close(
                    &what,
                    &machine.result(Phase::Step, name),
                    &case.tensor(expected).data,
                    engine.tolerance(),
                );
            }
        }
    }
    report.finish();
}
