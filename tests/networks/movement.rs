//! Tensors joined, cut, padded, mirrored: values against their formulas on every engine, gradients against differences,
//! and what is said of mistakes.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use crate::networks::blocks::{RECIPE, SHAPE, check, layer, said};
use crate::networks::golden_layers::with_gradients;
use sphc::interp::Tensor;
use sphc::ir::{Phase, Shape};
use sphc::lower::Settings;
use sphc::shape::Typed;

/// A tensor by positions: image, row, column, channel.
fn tensor(shape: [usize; 4], at: impl Fn([usize; 4]) -> f64) -> Vec<f64> {
    let [n, h, w, c] = shape;
    (0..n * h * w * c).map(|it| at([it / (h * w * c), it / (w * c) % h, it / c % w, it % c])).collect()
}

/// The number of an image at a position.
fn of(x: &[f64], [n, i, j, k]: [usize; 4]) -> f64 {
    let [_, h, w, c] = SHAPE;
    x[((n * h + i) * w + j) * c + k]
}

#[test]
fn tensors_are_joined_along_any_axis() {
    let [n, h, w, c] = SHAPE;
    check("", "concat(x, 2 * x, -x)", |x, _| {
        tensor([n, h, w, 3 * c], |[n, i, j, k]| [1.0, 2.0, -1.0][k / c] * of(x, [n, i, j, k % c]))
    });
    check("", "x |> concat(x * x, over: height)", |x, _| {
        tensor([n, 2 * h, w, c], |[n, i, j, k]| of(x, [n, i % h, j, k]).powi(1 + (i / h) as i32))
    });
    check("", "concat([x, 3 * x], over: 1)", |x, _| {
        tensor([n, h, 2 * w, c], |[n, i, j, k]| [1.0, 3.0][j / w] * of(x, [n, i, j % w, k]))
    });
    // Of different sizes, in a list that a loop fills.
    let dense = "block dense_block(x) {
        parts = [x]
        for i in 0..2 {
            seen = concat(parts)
            parts = parts + [sum(seen, over: channels) * slice(x, i, i + 2)]
        }
        concat(parts)
    }";
    check(dense, "dense_block(x)", |x, _| {
        tensor([n, h, w, c + 4], |[n, i, j, k]| {
            let x = |k: usize| of(x, [n, i, j, k]);
            let sum: f64 = (0..c).map(x).sum();
            match k.checked_sub(c) {
                None => x(k),
                Some(k @ (0 | 1)) => sum * x(k),
                Some(k) => (sum + sum * (x(0) + x(1))) * x(k - 1),
            }
        })
    });
}

/// What is learned has no batch: it stands beside each example.
#[test]
fn what_is_learned_joins_every_example() {
    let [n, h, w, c] = SHAPE;
    let token = "block with_token(x) {
        learn token: [1, channels(x)] = 0
        concat(token, reshape(x, [height(x) * width(x), channels(x)]), over: 0)
    }";
    check(token, "with_token(x)", |x, p| {
        let each = |n: usize| [&p[0][..], &x[n * h * w * c..][..h * w * c]].concat();
        (0..n).flat_map(each).collect()
    });
}

#[test]
fn parts_are_cut_out_and_put_back() {
    let [n, h, w, c] = SHAPE;
    check("", "slice(x, 1, 4)", |x, _| tensor([n, h, w, 3], |[n, i, j, k]| of(x, [n, i, j, k + 1])));
    check("", "slice(x, from: 2, to: width(x), over: width)", |x, _| {
        tensor([n, h, 2, c], |[n, i, j, k]| of(x, [n, i, j + 2, k]))
    });
    check("", "slice(x, 0, 6) * x", |x, _| x.iter().map(|it| it * it).collect());
    let gates = "block gates(x) {
        parts = split(x, 3)
        parts[0] * tanh(parts[2]) + parts[1]
    }";
    check(gates, "gates(x)", |x, _| {
        tensor([n, h, w, 2], |[n, i, j, k]| {
            let x = |k: usize| of(x, [n, i, j, k]);
            x(k) * x(k + 4).tanh() + x(k + 2)
        })
    });
}

#[test]
fn zeros_stand_around_and_axes_run_backwards() {
    let [n, h, w, c] = SHAPE;
    let inside = |x: &[f64], [n, i, j, k]: [i64; 4]| {
        let lies = 0 <= i && i < h as i64 && 0 <= j && j < w as i64 && 0 <= k && k < c as i64;
        if lies { of(x, [n, i, j, k].map(|it| it as usize)) } else { 0.0 }
    };
    check("", "pad(x, 1)", |x, _| {
        tensor([n, h + 2, w + 2, c], |at| {
            let [n, i, j, k] = at.map(|it| it as i64);
            inside(x, [n, i - 1, j - 1, k])
        })
    });
    check("", "pad(x, 0, 2, over: [height, channels])", |x, _| {
        tensor([n, h + 2, w, c + 2], |at| inside(x, at.map(|it| it as i64)))
    });
    check("", "pad(x, 0)", |x, _| x.to_vec());
    check("", "flip(x)", |x, _| tensor(SHAPE, |[n, i, j, k]| of(x, [n, i, w - 1 - j, k])));
    check("", "x * flip(x, over: [positions, channels])", |x, _| {
        tensor(SHAPE, |[n, i, j, k]| of(x, [n, i, j, k]) * of(x, [n, h - 1 - i, w - 1 - j, c - 1 - k]))
    });
}

#[test]
fn shuffles_are_pytorchs() {
    let [n, h, w, c] = SHAPE;
    check("", "channel_shuffle(x, 3)", |x, _| tensor(SHAPE, |[n, i, j, k]| of(x, [n, i, j, k % 3 * 2 + k / 3])));
    check("", "pixel_unshuffle(x, 2)", |x, _| {
        tensor([n, h / 2, w / 2, 4 * c], |[n, i, j, k]| of(x, [n, 2 * i + k / 2 % 2, 2 * j + k % 2, k / 4]))
    });
    check("", "pixel_shuffle(x |> concat(x * x), 2)", |x, _| {
        tensor([n, 2 * h, 2 * w, c / 2], |[n, i, j, k]| {
            let k = k * 4 + i % 2 * 2 + j % 2;
            of(x, [n, i / 2, j / 2, k % c]).powi(1 + (k / c) as i32)
        })
    });
    check("", "x * pixel_shuffle(pixel_unshuffle(x, 2), 2)", |x, _| x.iter().map(|it| it * it).collect());
}

/// Where a larger image's pixel lies in the smaller one, as PyTorch says it: two neighbours, and the share of the second.
fn between(at: usize, factor: usize, extent: usize) -> (usize, usize, f64) {
    let source = ((at as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
    let first = source.floor() as usize;
    (first, (first + 1).min(extent - 1), source - first as f64)
}

#[test]
fn images_are_made_larger() {
    let [n, h, w, c] = SHAPE;
    check("", "upsample(x)", |x, _| tensor([n, 2 * h, 2 * w, c], |[n, i, j, k]| of(x, [n, i / 2, j / 2, k])));
    check("", "repeat(x, 3, over: channels)", |x, _| tensor([n, h, w, 3 * c], |[n, i, j, k]| of(x, [n, i, j, k / 3])));
    for factor in [2, 3] {
        check("", &format!("upsample(x, {factor}, mode: \"bilinear\")"), |x, _| {
            tensor([n, factor * h, factor * w, c], |[n, i, j, k]| {
                let ((i0, i1, s), (j0, j1, t)) = (between(i, factor, h), between(j, factor, w));
                let row = |i: usize| (1.0 - t) * of(x, [n, i, j0, k]) + t * of(x, [n, i, j1, k]);
                (1.0 - s) * row(i0) + s * row(i1)
            })
        });
    }
    check("", "upsample(global_avg_pool(x), 2, mode: \"bilinear\")", |x, _| {
        tensor([n, 2, 2, c], |[n, _, _, k]| (0..h * w).map(|it| of(x, [n, it / w, it % w, k])).sum::<f64>() / 8.0)
    });
}

#[test]
fn positions_and_largest_numbers_are_found() {
    let [n, h, w, c] = SHAPE;
    check("", "x * range(6)", |x, _| x.iter().enumerate().map(|(at, it)| it * (at % c) as f64).collect());
    check("", "x + indices(x, over: height)", |x, _| tensor(SHAPE, |[n, i, j, k]| of(x, [n, i, j, k]) + i as f64));
    let first = |all: Vec<f64>| {
        let top = all.iter().copied().fold(f64::MIN, f64::max);
        all.iter().position(|it| *it == top).expect("one is the largest") as f64
    };
    check("", "argmax(x) + 0 * sum(x, over: channels)", |x, _| {
        tensor([n, h, w, 1], |[n, i, j, _]| first((0..c).map(|k| of(x, [n, i, j, k])).collect()))
    });
    // Of equals the first.
    check("", "argmax(concat(x, x, over: width), over: width) + 0 * sum(x, over: width)", |x, _| {
        tensor([n, h, 1, c], |[n, i, _, k]| first((0..w).map(|j| of(x, [n, i, j, k])).collect()))
    });
    check("", "logsumexp(x, over: [height, width])", |x, _| {
        tensor([n, 1, 1, c], |[n, _, _, k]| (0..h * w).map(|it| of(x, [n, it / w, it % w, k]).exp()).sum::<f64>().ln())
    });
    check("", "softmax(x, over: positions)", |x, _| {
        tensor(SHAPE, |[n, i, j, k]| {
            let sum: f64 = (0..h * w).map(|it| of(x, [n, it / w, it % w, k]).exp()).sum();
            of(x, [n, i, j, k]).exp() / sum
        })
    });
    // Axes are handed on by a block of one's own.
    let spread = "block spread(x, along: axes = [height, width]) = x - mean(x, over: along)";
    check(spread, "spread(x, along: channels)", |x, _| {
        tensor(SHAPE, |[n, i, j, k]| of(x, [n, i, j, k]) - (0..c).map(|k| of(x, [n, i, j, k])).sum::<f64>() / c as f64)
    });
}

/// Rows of a learned table by numbers that are not whole, and by some that lie outside.
#[test]
fn rows_are_taken_by_their_numbers() {
    let [n, h, w, c] = SHAPE;
    // No slope in the ids.
    check("", "embedding(sign(x - 0.4) + sign(x + 0.6) + 1.2, 3, 2)", |x, p| {
        let row = |it: f64| usize::from(0.4 < it) + usize::from(-0.6 < it);
        x.iter().flat_map(|it| p[0][2 * row(*it)..][..2].to_vec()).collect()
    });
    let bias = "block by_row(x) {
        learn table: [2, channels(x)] = 0
        x * reshape(take(table, indices(x, over: 0)), [height(x), 1, channels(x)])
    }";
    check(bias, "by_row(x)", |x, p| tensor([n, h, w, c], |at| of(x, at) * p[0][at[1] * c + at[3]]));
}

/// As in `tests/peer/movement.py`.
fn wave(salt: f64, shape: &Shape) -> Tensor {
    Tensor::new(shape.clone(), (0..shape.len()).map(|at| (0.37 * at as f64 + salt).sin()).collect())
}

/// A tensor as one number, likewise.
fn told(numbers: &[f64]) -> f64 {
    numbers.iter().enumerate().map(|(at, it)| it * (0.11 * at as f64).cos()).sum()
}

/// The graph's results, each as one number, against those of PyTorch; parameters are waves of these salts.
fn is_pytorchs(graph: &Typed, params: &[(&str, f64)], wanted: &[(&str, f64)]) {
    let with = with_gradients(graph.clone());
    let out = with.shape(with.results[&Phase::Step][&"output".into()]).clone();
    for engine in [Engine::Interpreter, Engine::SlowPlan, Engine::CpuF64] {
        let mut machine = Machine::new(engine, with.clone());
        machine.bind_named("x", &wave(1.0, &Shape::from(SHAPE)));
        machine.bind_named("seed", &wave(6.0, &out));
        for (path, salt) in params {
            let id = with.find_param(path).unwrap_or_else(|| panic!("there is no {path}"));
            machine.write(path, &wave(*salt, &with.param(id).shape).data);
        }
        machine.run(Phase::Step);
        for (name, wanted) in wanted {
            let found = told(&machine.result(Phase::Step, name));
            assert!((found - wanted).abs() < 1e-10, "{name} on {engine:?}: {found}, not {wanted}");
        }
    }
}

#[test]
fn a_network_of_all_of_them_is_pytorchs() {
    let net = "block net(x) {
        a = conv(x, 8) |> offset as \"a\"
        b = conv(max_pool(a, 2), 4) |> offset as \"b\"
        m = concat(a, upsample(b, 2, mode: \"bilinear\")) |> channel_shuffle(3)
        p = pixel_shuffle(slice(m, 2, 10), 2) |> pad(2, 1)
        q = pixel_unshuffle(slice(slice(p, 0, 6, over: height), 0, 10, over: width), 2)
        q = slice(slice(flip(q), 0, 2, over: height), 0, 4, over: width)
        r = avg_pool(q, 2)
        row = mean(upsample(r, 3), over: positions) + r
        concat(softmax(row), logsumexp(row))
    }";
    is_pytorchs(
        &layer(net, "net(x)"),
        &[("l/a/filter", 2.0), ("l/a/bias", 4.0), ("l/b/filter", 3.0), ("l/b/bias", 5.0)],
        &[
            ("output", -0.8733816663268668),
            ("grad/x", -0.025636923362116648),
            ("grad/l/a/filter", -0.4571594406096856),
            ("grad/l/a/bias", 0.46832355277335147),
            ("grad/l/b/filter", -0.08691241522989752),
            ("grad/l/b/bias", 0.11152058471531379),
        ],
    );
}

#[test]
fn an_embedding_is_pytorchs() {
    let text = "model Words {\n    input x: float[6]\n    output embedding(x, 5, 3) as \"l\"\n}\n";
    let graph = typed("words.sph", text, &Settings { batch: Some(1), ..settings(&[]) });
    let with = with_gradients(graph);
    let out = with.shape(with.results[&Phase::Step][&"output".into()]).clone();
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, with.clone());
        machine.bind_named("x", &Tensor::new([1, 6], vec![4.0, 0.0, 2.0, 4.0, 1.0, 4.0]));
        machine.bind_named("seed", &wave(8.0, &out));
        machine.write("l/table", &wave(7.0, &Shape::from([5, 3])).data);
        machine.run(Phase::Step);
        for (name, wanted) in [("output", -0.22335516514197234), ("grad/l/table", -1.0132652855943332)] {
            let found = told(&machine.result(Phase::Step, name));
            assert!((found - wanted).abs() < engine.tolerance(), "{name} on {engine:?}: {found}, not {wanted}");
        }
    }
}

/// Each mistake with what must be said of it.
#[test]
fn mistakes_in_movement_are_told() {
    let cases: &[(&str, &str)] = &[
        ("concat()", "needs the argument `tensors`"),
        ("concat([])", "there is nothing to join"),
        ("concat(x, 3)", "must be tensors, and one of them is the int 3"),
        ("concat(x, slice(x, 0, 1, over: height))", "cannot join [8, 8, 4] and [1, 8, 4] along axis 2"),
        ("concat(x, flatten(x), over: 0)", "tensor 1 has 1 along axis 1, the first 8"),
        ("concat(x, reshape(x, [256]))", "3 axes and 1"),
        ("concat(x, x, over: batch)", "`concat` does not work along the batch"),
        ("concat(x, x, over: positions)", "`concat` works along one axis, and these are 2"),
        ("concat(x, x, over: 3)", "has no axis `3`"),
        ("concat(x, x, over: chanels)", "`chanels` is not an axis"),
        ("concat(x, x, axis: channels)", "has no argument `axis`"),
        ("slice(x, 2, 5)", "2 to 5 is no part of an axis of 4"),
        ("slice(x, 2, 2)", "nothing lies between"),
        ("slice(x, -1, 2)", "-1 to 2 is no part of an axis of 4"),
        ("slice(x, 0)", "needs the argument `to`"),
        ("split(x, 3)[0]", "an axis of 4 cannot be split into 3 parts"),
        ("split(x, 0)[0]", "cannot be split into 0 parts"),
        ("split(x, 2)", "must be a tensor"),
        ("pad(x, -1)", "zeros before is -1, out of range"),
        ("pad(x, 1, 2_000_000_000, over: height)", "is too large"),
        ("flip(x, over: batch)", "`flip` does not work along the batch"),
        ("concat(image, x)", "scale the image first"),
        ("repeat(x, 0)", "the times of `repeat` is 0, out of range"),
        ("channel_shuffle(x, 3)", "4 channels cannot be put into 3 groups"),
        ("pixel_shuffle(x, 4)", "4 channels are not a multiple of 4 * 4"),
        ("pixel_unshuffle(x, 3)", "8x8 cannot be cut into squares of 3"),
        ("upsample(x, 0)", "`factor` of `upsample` is 0"),
        ("upsample(x, mode: \"cubic\")", "it must be \"nearest\" or \"bilinear\""),
        ("softmax(x, over: chanels)", "`chanels` is not an axis"),
        ("softmax(x, over: \"no\")", "must be `batch`"),
        ("indices(x, over: positions)", "works along one axis"),
        ("take(x, x)", "the table of `take` is another one for each example"),
        ("embedding(x, 0, 2)", "`count` of `embedding` is 0, out of range"),
        ("x * range(0)", "the count of `range` is 0"),
    ];
    for (call, wanted) in cases {
        let text = format!(
            "model M {{\n    input image: u8[8, 8, 1]\n    x = conv(image / 16, 4)\n    x = {call}\n    \
             output dense(x, classes)\n}}\n{RECIPE}    "
        );
        let said = said(text.trim_end());
        assert!(said.contains("error[") && said.contains(wanted), "{call}\nwanted: {wanted}\n{said}");
        assert_eq!(said.matches("error[").count(), 1, "{call}\n{said}");
    }
}
