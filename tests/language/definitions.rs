//! Layers of the prelude are text: what is said of a mistake in one is said of the call in the user's text, how layers are
//! listed, that a file's own names change nothing in them; and the windows that pools are made of.

use crate::language::lower::settings;
use crate::networks::blocks::{SHAPE, check};
use sphc::diag::render;
use sphc::pipeline::{self, Checked};

fn checked(own: &str, body: &str) -> Checked {
    with_output(own, body, "dense(x, classes) as \"score\"")
}

fn with_output(own: &str, body: &str, output: &str) -> Checked {
    let text = format!(
        "{own}\nmodel Case {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    {body}\n    \
         output {output}\n}}\n\
         train {{\n    data digits\n    batch 4\n    iterations 100\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: 0.1)\n}}\n"
    );
    let mut none = |path: &str| Err(format!("{path} is not there"));
    pipeline::check("case.sph", &text, &mut none, &settings(&[]))
}

/// Messages, each with the text it is about.
fn said(own: &str, body: &str) -> Vec<[String; 2]> {
    let found = checked(own, body);
    let place = |it: &sphc::diag::Diagnostic| found.sources.slice(it.primary.span).to_owned();
    found.diagnostics.iter().map(|it| [it.message.clone(), place(it)]).collect()
}

/// The layers but the last.
fn listed(own: &str, body: &str) -> Vec<String> {
    let found = checked(own, body);
    assert!(found.diagnostics.is_empty(), "{}", render::render(&found.diagnostics, &found.sources, false));
    let layers = &found.typed.as_ref().unwrap().graph().layers;
    layers[..layers.len() - 1].iter().map(|it| it.callee.text.clone()).collect()
}

#[test]
fn a_mistake_in_a_definition_is_told_of_the_argument_that_was_given() {
    for (own, body, message, place) in [
        ("", "x = conv(x, 0)", "`filters` of `conv` is 0, out of range", "0"),
        ("", "x = conv(x, 4, kernel: [3, 0])", "`kernel` of `conv` is 0, out of range", "[3, 0]"),
        ("", "x = sphere_dense(x, -1)", "`units` of `sphere_dense` is -1, out of range", "-1"),
        ("", "x = depthwise_conv(x, stride: 0)", "`stride` of `depthwise_conv` is 0, out of range", "0"),
        ("", "x = conv_transpose(x, 4, groups: 3)", "`groups` of `conv_transpose` is 3, out of range", "3"),
        ("", "x = conv(x, 4, groups: 2)", "`groups` of `conv` is 2, out of range", "2"),
        ("", "x = avg_pool(x, 2, pad: 2)", "`pad` of `avg_pool` is 2, as large as its window or larger", "2"),
        ("", "x = max_window(x, 0)", "`size` of `max_window` is 0, out of range", "0"),
        // In the text of a block of the file's own, the place is there.
        ("block unit(x, n: int) = conv(x, n)\n", "x = unit(x, 0)", "`filters` of `conv` is 0, out of range", "n"),
        ("", "x = embedding(x, 0, 3)", "`count` of `embedding` is 0, out of range", "0"),
    ] {
        assert_eq!(said(own, body), [[message.to_owned(), place.to_owned()]], "{body}");
    }
    // One mistake hides no other of the call.
    let both = said("", "x = conv(x, 0, stride: -1, pad: -2)");
    let messages: Vec<&str> = both.iter().map(|it| it[0].as_str()).collect();
    for wanted in ["`filters` of `conv` is 0", "`stride` of `conv` is -1", "`pad` of `conv` is -2"] {
        assert!(messages.iter().any(|it| it.starts_with(wanted)), "{wanted}: {messages:?}");
    }
    assert_eq!(both.len(), 3, "{both:?}");
}

#[test]
fn arguments_in_vain_are_told_unless_a_param_decides() {
    let one = said("", "x = conv(x, 4, kernel: 1, pad: same)");
    assert_eq!(one, [["`pad` of `conv` has no effect".to_owned(), "same".to_owned()]]);
    assert_eq!(said("param k = 1\n", "x = conv(x, 4, kernel: k, pad: same)"), [[""; 2]; 0]);
    let own = "layer point(x: tensor) {\n    learn filter: [1, 1, channels(x), 4] = he\n    \
               convolve(x, filter, pad: same)\n}\n";
    assert_eq!(said(own, "x = point(x)"), [["`pad` of `convolve` has no effect".to_owned(), "same".to_owned()]]);
}

#[test]
fn a_layer_is_listed_with_what_it_was_given_that_is_not_its_default() {
    for (own, body, wanted) in [
        ("", "x = conv(x, 16)", "conv 16"),
        ("", "x = conv(x, 16, kernel: 3, stride: [1, 1], pad: same)", "conv 16"),
        ("", "x = conv(x, 16, kernel: 1, stride: 2, bias: true)", "conv 16, kernel 1x1, stride 2x2, bias"),
        ("", "x = conv(x, 16, pad: [1, 0], init: normal(std: 0.01))", "conv 16, pad [1, 0], init normal(std: 0.01)"),
        ("", "x = sphere_conv(x, 8, operator: sigmoid(k: 0.5))", "sphere_conv 8, sigmoid(k: 0.5)"),
        ("", "x = max_pool(x, 2, stride: 2)", "max_pool 2x2"),
        ("", "x = avg_pool(x, [3, 2], stride: 2)", "avg_pool 3x2, stride 2x2"),
        ("", "x = linear(x, 5, bias: false)", "linear 5, bias false"),
        ("", "x = batch_norm(x, decay: 0.9, epsilon: 1e-3)", "batch_norm epsilon 1e-3"),
        ("", "x = flatten(x)", "flatten"),
        ("layer twice(x: tensor, by = 2) = x * by\n", "x = twice(x, by: 3)", "twice by 3"),
    ] {
        assert_eq!(listed(own, body), [wanted], "{body}");
    }
}

#[test]
fn a_layer_with_a_mistake_keeps_its_name() {
    let last = "x = conv(x, 4, kernel: 99, pad: valid)";
    for first in ["y = conv(x, 3)", "y = conv(x)", "y = conv(x, 0)", "y = conv(x, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)"] {
        let found = said("", &format!("{first}\n    {last}"));
        let wanted = "`conv_1` has an empty output: kernel 99x99 does not fit an input of 8x8";
        assert!(found.iter().any(|it| it[0] == wanted), "{first}: {found:?}");
    }
}

#[test]
fn names_of_a_file_change_nothing_in_the_definitions_of_the_prelude() {
    let body = "x = conv(x, 4, bias: true) |> batch_norm(decay: 0.5) |> silu as \"a\"\n    \
                x = sphere_conv(x, 4) as \"b\"\n    x = upsample(x) |> max_pool(2)";
    let own = "layer offset(x: tensor, by: float) = x + by\nblock convolve(x, n: int) { conv(x, n) }\n\
               operator none(cos) = cos * cos\noperator cosine(theta) = theta\nfn swish(x, by) = x * by\n\
               fn channels(x) = x\nblock repeat(x: tensor) { x }\nlayer max_window(x: tensor) = x\n";
    let used = "y = offset(x, 1) |> convolve(1)\n    y = sphere_conv(y, 1, operator: none) |> repeat |> max_window\n    \
                y = sphere_conv(y, 1, operator: cosine)\n    x = x + channels(swish(y, 2))";
    let (plain, with) = (checked("", body), checked(own, &format!("{body}\n    {used}")));
    assert!(with.diagnostics.is_empty(), "{}", render::render(&with.diagnostics, &with.sources, false));
    let ops = |it: &Checked| {
        let graph = it.typed.as_ref().unwrap().graph().clone();
        let end = graph.layers.iter().find(|it| it.path == "max_pool_0").unwrap().output;
        graph.needed([end]).into_iter().map(|it| format!("{:?}", graph.op(it))).collect::<Vec<_>>()
    };
    assert_eq!(ops(&plain), ops(&with));
}

#[test]
fn what_a_layer_adds_to_what_sees_the_label_is_its_own() {
    let own = "operator margin(cos, target) = 8 * (cos - 0.2 * target)\n";
    let with = |output: &str| {
        let found = with_output(own, "x = conv(x, 4)", output);
        found.diagnostics.into_iter().map(|it| it.message).collect::<Vec<_>>()
    };
    for head in ["dense(x, classes", "sphere_dense(x, classes", "sphere_conv(x, classes, kernel: 8, pad: valid"] {
        assert_eq!(with(&format!("{head}, operator: margin, bias: true)")), [""; 0], "{head}");
    }
    let found = with("tanh(dense(x, classes, operator: margin, bias: true))");
    assert!(found.len() == 1 && found[0].contains("only the model's output can use it"), "{found:?}");
}

/// Numbers of the windows of 2x3, one row of padding above and two columns behind; how many are inside.
fn windows(images: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let [n, h, w, c] = SHAPE;
    let mut found = Vec::new();
    for image in 0..n {
        for row in 0..h {
            for column in (0..w).step_by(2) {
                for channel in 0..c {
                    let mut seen = Vec::new();
                    for y in [row.checked_sub(1), Some(row)].into_iter().flatten() {
                        for x in (column..column + 3).filter(|it| *it < w) {
                            seen.push(images[((image * h + y) * w + x) * c + channel]);
                        }
                    }
                    found.push(of(&seen));
                }
            }
        }
    }
    found
}

#[test]
fn windows_are_of_their_positions_inside_the_image() {
    let call = |kind: &str| format!("{kind}_window(x, [2, 3], stride: [1, 2], pad: [[1, 0], [0, 2]])");
    check("", &call("sum"), |x, _| windows(x, |it| it.iter().sum()));
    check("", &call("mean"), |x, _| windows(x, |it| it.iter().sum::<f64>() / it.len() as f64));
    check("", &call("max"), |x, _| windows(x, |it| it.iter().fold(f64::MIN, |most, it| most.max(*it))));
}
