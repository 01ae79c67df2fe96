//! Operators have names of their own: a block may have an operator's, in a file as in the prelude, and each is found where it
//! can stand.

use crate::language::lower::settings;
use sphc::diag::render;
use sphc::pipeline;

fn said(own: &str, body: &str) -> String {
    let text = format!(
        "{own}\nmodel Case {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    {body}\n}}\n\
         train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: 0.1)\n}}\n"
    );
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("case.sph", &text, &mut none, &settings(&[]));
    let layers =
        checked.typed.iter().flat_map(|it| &it.graph().layers).map(|it| format!("{}: {}\n", it.path, it.callee.text));
    layers.collect::<String>() + &render::render(&checked.diagnostics, &checked.sources, false)
}

#[test]
fn a_block_may_have_the_name_of_an_operator() {
    let (operator, block) = ("operator bent(cos) = cos ^ 3\n", "layer bent(x: tensor) = tanh(x)\n");
    let body = "x = bent(sphere_conv(x, 4, operator: bent))\n    output dense(x, classes, operator: bent) as \"score\"";
    for own in [format!("{operator}{block}"), format!("{block}{operator}")] {
        let found = said(&own, body);
        assert!(found.contains("sphere_conv 4, bent") && found.contains(": bent\n"), "{found}");
        assert!(!found.contains("error") && !found.contains("warning"), "{found}");
    }
    // Of the prelude's operators and layers each stays where a file defines the other.
    let found =
        said("layer cosine(x: tensor) = cos(x)\n", "output dense(cosine(sphere_conv(x, 4)), classes) as \"score\"");
    assert!(found.contains("sphere_conv 4") && !found.contains("error"), "{found}");
    let own = "operator softmax(cos) = exp(cos) - 1\n";
    let found = said(own, "x = softmax(conv(x, 4))\n    output dense(x, classes, operator: softmax) as \"score\"");
    assert!(found.contains("dense 10, softmax") && !found.contains("error"), "{found}");
}

#[test]
fn two_of_one_kind_are_still_told() {
    let body = "output dense(bent(x), classes, operator: bent) as \"score\"";
    let (operator, block) = ("operator bent(cos) = cos ^ 3\n", "layer bent(x: tensor) = tanh(x)\n");
    for own in [
        format!("{operator}{block}{block}"),
        format!("{operator}{operator}{block}"),
        format!("{block}{operator}{block}"),
    ] {
        let found = said(&own, body);
        assert_eq!(found.matches("error[E0103]: `bent` is defined twice").count(), 1, "{own}\n{found}");
    }
    let found = said("operator bent(cos) = cos ^ 3\nblock bent(x) { bent(x) }\n", body);
    assert!(found.contains("`bent` contains itself without end"), "{found}");
    let found = said("operator _bent(cos) = cos\nblock never(x) { x }\n", "output dense(x, classes) as \"score\"");
    assert!(found.contains("the block `never` is never used"), "{found}");
}
