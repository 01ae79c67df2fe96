//! Snapshots of what every stage makes of one small network, to the byte.

use crate::language::lower::settings;
use sphc::ir::Precision;
use sphc::kernel;
use sphc::pipeline;
use sphc::plan;

const TEXT: &str = "\
model Tiny {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = sphere_conv(x, 4, operator: linear) as \"conv\" |> batch_norm(decay: 0.999, epsilon: 1e-3, start: 0, unbiased: false) |> relu
    output sphere_conv(max_pool(x, 2), classes, kernel: 4, pad: valid, operator: none) as \"score\"
}

train {
    data       digits
    batch      2
    iterations 10
    loss       softmax_cross_entropy()
    penalty    orthogonality(2e-4) on filters where operator != none
    penalty    l2(5e-4) on filters where operator == none
    optimizer  adam(rate: 1e-3)
    schedule   step(at: [5], factor: 0.1)
}
";

#[test]
fn every_stage_of_a_tiny_network_prints_as_before() {
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("tiny.sph", TEXT, &mut none, &settings(&[]));
    // A run of a few steps is too short for its statistics.
    assert!(checked.diagnostics.iter().all(|it| it.code == sphc::diag::Code::W0206));
    let typed = checked.typed.clone().expect("a clean text has a model");
    insta::assert_snapshot!("ir", checked.graph().expect("a model has a graph").to_string());
    insta::assert_snapshot!("typed", typed.graph().to_string());
    let compiled = pipeline::compile(
        typed,
        &checked.sources,
        Precision::F32,
        pipeline::Identity { hash: "hash".to_owned(), ..Default::default() },
    );
    insta::assert_snapshot!("grad", compiled.training.graph().to_string());
    insta::assert_snapshot!("fused", compiled.fused.to_string());
    insta::assert_snapshot!("kernels", kernel::dump(&compiled.fused));
    insta::assert_snapshot!("plan", plan::to_yaml(&compiled.plan).expect("a plan can be written"));
}
