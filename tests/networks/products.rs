//! Sums of products by letters: values against a sum over all letters, gradients against differences, on every engine; the
//! graphs they become; what is said of mistakes.

use crate::networks::blocks::{RECIPE, check, layer, said};
use sphc::ir::{Graph, Op};
use std::collections::BTreeMap;

/// `einsum` by its meaning: for each setting of the letters, one product.
fn summed(letters: &str, a: (&[f64], &[usize]), b: (&[f64], &[usize])) -> Vec<f64> {
    let (given, result) = letters.split_once("->").unwrap();
    let (left, right) = given.split_once(',').unwrap();
    let mut extents: BTreeMap<char, usize> = BTreeMap::new();
    for (term, dims) in [(left, a.1), (right, b.1)] {
        extents.extend(term.chars().zip(dims.iter().copied()));
    }
    let all: Vec<(char, usize)> = extents.into_iter().collect();
    let at = |term: &str, setting: &[usize]| {
        term.chars().fold(0, |place, letter| {
            let axis = all.iter().position(|it| it.0 == letter).unwrap();
            place * all[axis].1 + setting[axis]
        })
    };
    let len = result.chars().map(|it| all.iter().find(|other| other.0 == it).unwrap().1).product();
    let mut sums = vec![0.0; len];
    let mut setting = vec![0; all.len()];
    loop {
        sums[at(result, &setting)] += a.0[at(left, &setting)] * b.0[at(right, &setting)];
        let Some(axis) = (0..all.len()).rev().find(|&axis| setting[axis] + 1 < all[axis].1) else { return sums };
        setting[axis] += 1;
        setting[axis + 1..].fill(0);
    }
}

/// Of the images `[3, 2, 4, 6]` and a learned tensor.
#[test]
fn products_with_what_is_learned_are_sums_over_letters() {
    for (text, full, extents) in [
        ("hwc,cd->hwd", "nhwc,cd->nhwd", vec![6, 5]),
        ("...c,dc->...d", "nhwc,dc->nhwd", vec![5, 6]),
        ("hwc,wd->dhc", "nhwc,wd->ndhc", vec![4, 3]),
        ("hwc,wh->c", "nhwc,wh->nc", vec![4, 2]),
        ("hwc,chd->hwd", "nhwc,chd->nhwd", vec![6, 2, 3]),
        ("hwc,wck->hwk", "nhwc,wck->nhwk", vec![4, 6, 2]),
        ("hwc,k->khwc", "nhwc,k->nkhwc", vec![2]),
        ("...,...->...", "nhwc,hwc->nhwc", vec![2, 4, 6]),
        ("hwc,hwc->", "nhwc,hwc->n", vec![2, 4, 6]),
    ] {
        let list: Vec<String> = extents.iter().map(usize::to_string).collect();
        let list = list.join(", ");
        for turned in [false, true] {
            let (given, result) = text.split_once("->").unwrap();
            let (left, right) = given.split_once(',').unwrap();
            let call = match turned {
                false => format!("einsum(\"{text}\", x, k)"),
                true => format!("einsum(\"{right},{left}->{result}\", k, x)"),
            };
            let block = format!("block f(x) {{\n    learn k: [{list}] = 1\n    {call}\n}}\n");
            check(&block, "f(x)", |x, params| summed(full, (x, &[3, 2, 4, 6]), (&params[0], &extents)));
        }
    }
}

#[test]
fn products_of_two_tensors_with_the_batch_meet_example_by_example() {
    let dims = [3, 2, 4, 6];
    for (text, full) in [
        ("hwc,hvc->hwv", "nhwc,nhvc->nhwv"),
        ("hwc,hwd->cd", "nhwc,nhwd->ncd"),
        ("hwc,hvc->vwh", "nhwc,nhvc->nvwh"),
        ("hwc,gwc->hg", "nhwc,ngwc->nhg"),
        ("hwc,hwc->wc", "nhwc,nhwc->nwc"),
    ] {
        let call = format!("einsum(\"{text}\", x, 2 * x + 1)");
        check("", &call, |x, _| {
            let other: Vec<f64> = x.iter().map(|it| 2.0 * it + 1.0).collect();
            summed(full, (x, &dims), (&other, &dims))
        });
    }
    // Of what has no batch, neither has the result.
    let block = "block f(x) {\n    learn a: [6, 3] = 1\n    learn b: [3, 6] = 1\n    x + einsum(\"ik,kj->ij\", a, b) |> mean(over: 0)\n}\n";
    let block =
        block.replace("einsum(\"ik,kj->ij\", a, b) |> mean(over: 0)", "mean(einsum(\"ik,kj->ij\", a, b), over: 0)");
    check(&block, "f(x)", |x, params| {
        let product = summed("ik,kj->ij", (&params[0], &[6, 3]), (&params[1], &[3, 6]));
        let mean = |c: usize| (0..6).map(|row| product[row * 6 + c]).sum::<f64>() / 6.0;
        x.iter().enumerate().map(|(at, x)| x + mean(at % 6)).collect()
    });
}

#[test]
fn a_linear_layer_and_constants_are_their_formulas() {
    check("", "linear(x, 3)", |x, params| {
        let y = summed("nhwc,cd->nhwd", (x, &[3, 2, 4, 6]), (&params[0], &[6, 3]));
        y.iter().enumerate().map(|(at, y)| y + params[1][at % 3]).collect()
    });
    check("", "reshape(x, [48]) |> linear(2, bias: false)", |x, params| {
        summed("nc,cd->nd", (x, &[3, 48]), (&params[0], &[48, 2]))
    });
    check("", "x * full([6], 2.5) + einsum(\"...c,cd->...d\", x, eye(6))", |x, _| {
        x.iter().map(|it| 3.5 * it).collect()
    });
}

fn count(graph: &Graph, wanted: fn(&Op) -> bool) -> usize {
    graph.ids().filter(|it| wanted(graph.op(*it))).count()
}

/// Numbers move only where no order of matrices fits.
#[test]
fn what_lies_in_the_order_of_matrices_is_not_moved() {
    for (call, transposes) in [
        ("linear(x, 3)", 0),
        ("einsum(\"hwc,hvc->hwv\", x, x + 1)", 0),
        ("einsum(\"hwc,hwd->hcd\", x, x + 1)", 0),
        ("einsum(\"hwc,hvc->hvw\", x, x + 1)", 0),
        ("einsum(\"hwc,gwc->hg\", x, x + 1)", 0),
        ("einsum(\"whc,hvc->hwv\", transpose(x, [1, 0, 2]), x + 1)", 2),
    ] {
        let graph = layer("", call);
        let moved = count(&graph, |it| matches!(it, Op::Transpose(_)));
        assert_eq!(moved, transposes, "{call}\n{}", *graph);
        assert_eq!(count(&graph, |it| matches!(it, Op::MatMul { .. })), 1, "{call}");
    }
}

#[test]
fn mistakes_in_products_are_told() {
    let cases = [
        ("einsum(\"hwc\", x, x)", "the result is missing"),
        ("einsum(\"hwc,hwc->hh\", x, x)", "`h` stands twice in `hh`"),
        ("einsum(\"hwc,hwc->h1\", x, x)", "`1` in `h1` is not a letter"),
        ("einsum(\"hwc,hwd->h\", x, x)", "`c` is in one tensor only"),
        ("einsum(\"hw,hwc->hc\", x, x)", "`hw` names 2 axes, and this tensor is [8, 8, 1]"),
        ("einsum(\"nhwc,hwc->nh\", x, x)", "has fewer axes"),
        ("learn k: [3] = 1\n    einsum(\"hwc,c->hw\", x, k)", "`c` is 1 of one tensor and 3 of the other"),
        ("einsum(x, x)", "needs the argument `b`"),
        ("einsum(3, x, x)", "must be a string"),
        ("x + eye(0)", "`n` of `eye` is 0"),
        ("x + full([1], x)", "argument `value` of `full` must be a float"),
    ];
    for (body, wanted) in cases {
        let text = format!(
            "block f(x) {{\n    {body}\n}}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    x = f(image / 16)\n    \
             output dense(x, classes)\n}}\n{RECIPE}"
        );
        let said = said(text.trim_end());
        assert!(said.contains(wanted), "{body}\nwanted: {wanted}\n{said}");
    }
}
