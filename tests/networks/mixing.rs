//! Mixed images and targets against their formulas, on every engine; views that an evaluation takes the mean over.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use sphc::autodiff::training;
use sphc::fuse::fuse;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Precision, random};
use sphc::lower::Settings;
use sphc::plan::{Config, plan};
use sphc::shape::Typed;

const SIDE: usize = 8;
const CLASSES: usize = 3;
const EXAMPLES: usize = 10;

const MODEL: &str = "metric gap(scores, target) = sum((scores - target) ^ 2, over: channels)

loss steep(scores, label) = mean(label_cross_entropy(scores, label) ^ 2 / 3)

model Case {
    input image: u8[8, 8, 1]
    output conv(image / 16, classes, kernel: 8, pad: valid) as \"score\"
}
";

fn graph(recipe: &str) -> Typed {
    with_loss("softmax_cross_entropy(smoothing: 0.1)", recipe)
}

fn with_loss(loss: &str, recipe: &str) -> Typed {
    let settings = Settings { no_shuffle: true, ..stand_in([SIDE, SIDE, 1], CLASSES, EXAMPLES) };
    let rest = format!("iterations 6\n    loss {loss}\n    metric gap\n    optimizer sgd(rate: 1e-30)");
    training(typed(
        "case.sph",
        &format!("{MODEL}\ntrain {{\n    data digits\n    {rest}\n    {recipe}\n}}\n"),
        &settings,
    ))
}

fn pixel(image: usize, y: usize, x: usize) -> f64 {
    ((image * 31 + y * 7 + x * 3 + y * x * image) % 17) as f64
}

fn images(of: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let places = (0..EXAMPLES).flat_map(|it| (0..SIDE).flat_map(move |y| (0..SIDE).map(move |x| (it, y, x))));
    places.map(|(it, y, x)| of(it, y, x)).collect()
}

fn label(image: usize) -> usize {
    image * 2 % CLASSES
}

fn filter() -> Vec<f64> {
    (0..SIDE * SIDE * CLASSES).map(|it| 0.1 * (1.7 * it as f64 + 0.3).sin()).collect()
}

fn machine(engine: Engine, graph: &Typed, test: &[f64]) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    let labels = Tensor::new([EXAMPLES], (0..EXAMPLES).map(|it| label(it) as f64).collect());
    machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, SIDE, SIDE, 1], images(pixel)));
    machine.bind(Extern::TestImages, &Tensor::new([EXAMPLES, SIDE, SIDE, 1], test.to_vec()));
    machine.bind(Extern::TrainLabels, &labels);
    machine.bind(Extern::TestLabels, &labels);
    machine.write("score/filter", &filter().iter().map(|it| f64::from(*it as f32)).collect::<Vec<_>>());
    machine
}

/// Scores of an image, and of scores and a target: the cross entropy with a tenth smoothed, the squares.
fn scores(image: &[f64]) -> Vec<f64> {
    let filter = &filter();
    let product = |class| {
        image.iter().enumerate().map(move |(at, it)| it / 16.0 * f64::from(filter[at * CLASSES + class] as f32))
    };
    (0..CLASSES).map(|class| product(class).sum()).collect()
}

fn measured(scores: &[f64], target: &[f64]) -> [f64; 2] {
    let sum: f64 = scores.iter().map(|it| it.exp()).sum();
    let entropy = scores.iter().zip(target).map(|(s, t)| -(0.9 * t + 0.1 / CLASSES as f64) * (s - sum.ln())).sum();
    [entropy, scores.iter().zip(target).map(|(s, t)| (s - t).powi(2)).sum()]
}

fn largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, it| if scores[best] < scores[it] { it } else { best })
}

/// What a step of a batch is told: fit, accuracy and the squares, from the formulas.
fn told(cut: bool, batch: usize, step: u64) -> [f64; 3] {
    let mut sums = [0.0; 3];
    mixed(cut, batch, step, |image, [own, other], share| {
        let mut target = vec![0.0; CLASSES];
        target[own] += share;
        target[other] += 1.0 - share;
        let scores = scores(image);
        let [entropy, squares] = measured(&scores, &target);
        for (sum, it) in sums.iter_mut().zip([entropy, target[largest(&scores)], squares]) {
            *sum += it / batch as f64;
        }
    });
    sums
}

/// Each image of a batch as it is mixed, its two labels, and the share of the first. Shares are of Beta(1, 1), which is even.
fn mixed(cut: bool, batch: usize, step: u64, mut see: impl FnMut(&[f64], [usize; 2], f64)) {
    let draw = |name: &str, at| f64::from(random::uniform(0, random::stream(&format!("mix/{name}")), step, at));
    for at in 0..batch {
        let partner = if at ^ 1 < batch { at ^ 1 } else { 0 };
        let [own, other] = [at, partner].map(|it| (step as usize * batch + it) % EXAMPLES);
        let mut share = ((draw("share", at) * 1024.0).floor() + 0.5) / 1024.0;
        let mut image = Vec::new();
        let side = SIDE as f64;
        let half = ((side * (1.0 - share).sqrt()).floor() / 2.0).floor();
        let bounds = ["row", "column"].map(|name| {
            let middle = (draw(name, at) * side).floor();
            ((middle - half).max(0.0), (middle + half).min(side))
        });
        for y in 0..SIDE {
            for x in 0..SIDE {
                let inside =
                    [y, x].iter().zip(&bounds).all(|(at, (low, high))| *low <= *at as f64 && (*at as f64) < *high);
                image.push(match cut {
                    true => pixel(if inside { other } else { own }, y, x),
                    false => share * pixel(own, y, x) + (1.0 - share) * pixel(other, y, x),
                });
            }
        }
        if cut {
            share = 1.0 - (bounds[0].1 - bounds[0].0) * (bounds[1].1 - bounds[1].0) / (side * side);
        }
        see(&image, [own, other].map(label), share);
    }
}

#[test]
fn images_and_targets_are_mixed_by_their_formulas() {
    for (word, cut) in [("mixup", false), ("cutmix", true)] {
        for batch in [4, 5] {
            let graph = graph(&format!("batch {batch}\n    augment {word}(1)"));
            for engine in Engine::ALL {
                let mut machine = machine(engine, &graph, &images(pixel));
                for step in 0..3 {
                    machine.run(Phase::Step);
                    let found = ["fit", "accuracy", "metric/gap"].map(|it| machine.result(Phase::Step, it)[0]);
                    let wanted = told(cut, batch, step);
                    for (found, wanted) in found.iter().zip(wanted) {
                        let bound = engine.tolerance() * (1.0 + wanted.abs());
                        assert!(
                            (found - wanted).abs() < bound,
                            "{word} {batch} {engine:?} {step}: {found}, not {wanted}"
                        );
                    }
                }
            }
        }
    }
}

/// Losses that are bent in a cross entropy are the mean of those of both classes.
#[test]
fn other_losses_are_the_mean_of_those_of_both_classes() {
    let focal = |p: f64| -(1.0 - p).powi(2) * p.ln();
    let of_both = |p: f64| 0.5 * focal(p) - p.ln();
    let squares = |p: f64| p.ln().powi(2) / 3.0;
    let plain = |p: f64| -1.5 * p.ln();
    let losses: [(&str, &dyn Fn(f64) -> f64); 4] = [
        ("focal()", &focal),
        ("0.5 * focal() + softmax_cross_entropy()", &of_both),
        ("steep()", &squares),
        ("1.5 * focal(gamma: 0)", &plain),
    ];
    for (loss, of) in losses {
        for (word, cut) in [("mixup", false), ("cutmix", true)] {
            let graph = with_loss(loss, &format!("batch 5\n    augment {word}(1)"));
            for engine in Engine::ALL {
                let mut machine = machine(engine, &graph, &images(pixel));
                for step in 0..2 {
                    let mut wanted = 0.0;
                    mixed(cut, 5, step, |image, labels, share| {
                        let scores = scores(image);
                        let sum: f64 = scores.iter().map(|it| it.exp()).sum();
                        let [own, other] = labels.map(|it| of(scores[it].exp() / sum));
                        wanted += (share * own + (1.0 - share) * other) / 5.0;
                    });
                    machine.run(Phase::Step);
                    let found = machine.result(Phase::Step, "fit")[0];
                    let bound = engine.tolerance() * (1.0 + wanted.abs());
                    assert!((found - wanted).abs() < bound, "{loss} {word} {engine:?} {step}: {found}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn evaluation_mixes_nothing_and_parts_mix_as_the_whole() {
    let plain = graph("batch 5");
    let mixed = graph("batch 5\n    augment mixup(0.4)");
    let [one, other] = [&plain, &mixed].map(|it| {
        let mut machine = machine(Engine::CpuF32, it, &images(pixel));
        machine.run(Phase::Evaluate);
        machine.result(Phase::Evaluate, "losses")
    });
    assert_eq!(one, other);
    for word in ["mixup(0.3)", "cutmix(2)"] {
        let recipe = format!("batch 8\n    augment flip_horizontal, {word}");
        let fits = ["", "\n    accumulate 2", "\n    accumulate 4"].map(|parts| {
            let graph = graph(&format!("{recipe}{parts}"));
            let mut machine = machine(Engine::Interpreter, &graph, &images(pixel));
            machine.run(Phase::Step);
            machine.run(Phase::Step);
            machine.result(Phase::Step, "fit")[0]
        });
        assert!((fits[0] - fits[1]).abs() < 1e-12 && (fits[0] - fits[2]).abs() < 1e-12, "{word}: {fits:?}");
    }
}

#[test]
fn what_is_evaluated_is_the_mean_over_the_views() {
    let plain = graph("batch 5");
    for (views, mirror, pixels, mode) in [
        ("flip_horizontal", true, 0, "reflect"),
        ("shift(1)", false, 1, "reflect"),
        ("flip_horizontal, shift(1)", true, 1, "reflect"),
        ("shift(3, mode: symmetric), flip_horizontal", true, 3, "symmetric"),
        ("shift(2, mode: zero)", false, 2, "zero"),
        ("shift(7)", false, 7, "reflect"),
    ] {
        let seen = graph(&format!("batch 5\n    views {views}"));
        for engine in Engine::ALL {
            let of = |graph: &Typed, test: &[f64]| {
                let mut machine = machine(engine, graph, test);
                machine.run(Phase::Evaluate);
                ["scores", "losses", "correct"].map(|it| machine.result(Phase::Evaluate, it))
            };
            // The place that is seen at another one, or nothing.
            let place = |at: usize, by: i64| {
                let (at, n) = (at as i64 + by, SIDE as i64);
                let inside = |it: i64| usize::try_from(it).ok().filter(|it| *it < SIDE);
                match mode {
                    "reflect" => inside(if at < 0 {
                        -at
                    } else if n <= at {
                        2 * n - 2 - at
                    } else {
                        at
                    }),
                    "symmetric" => inside(if at < 0 {
                        -1 - at
                    } else if n <= at {
                        2 * n - 1 - at
                    } else {
                        at
                    }),
                    _ => inside(at),
                }
            };
            let ways: &[(i64, f64)] = if pixels == 0 { &[(0, 1.0)] } else { &[(0, 0.5), (1, 0.25), (-1, 0.25)] };
            let sides: &[bool] = if mirror { &[false, true] } else { &[false] };
            let mut wanted = vec![0.0; 5 * CLASSES];
            for (way, weight) in ways {
                for turned in sides {
                    let view = images(|image, y, x| {
                        let x = if *turned { SIDE - 1 - x } else { x };
                        match (place(y, way * pixels), place(x, way * pixels)) {
                            (Some(y), Some(x)) => pixel(image, y, x),
                            _ => 0.0,
                        }
                    });
                    let [scores, ..] = of(&plain, &view);
                    let share = weight / sides.len() as f64;
                    wanted.iter_mut().zip(scores).for_each(|(sum, it)| *sum += share * it);
                }
            }
            let [scores, losses, correct] = of(&seen, &images(pixel));
            let close = |found: f64, wanted: f64| (found - wanted).abs() < engine.tolerance() * (1.0 + wanted.abs());
            for (found, wanted) in scores.iter().zip(&wanted) {
                assert!(close(*found, *wanted), "{views} {engine:?}: {found}, not {wanted}");
            }
            for (at, scores) in wanted.chunks(CLASSES).enumerate() {
                let target: Vec<f64> = (0..CLASSES).map(|it| f64::from(u8::from(it == label(at)))).collect();
                assert!(close(losses[at], measured(scores, &target)[0]), "{views} {engine:?}");
                assert_eq!(correct[at], target[largest(scores)], "{views} {engine:?}");
            }
        }
    }
}

#[test]
fn whole_numbers_do_not_lie_where_reals_were() {
    // In f64 both take as much memory, and a kernel may not write one where it reads the other.
    let text = "model Case {
    input image: u8[8, 8, 1]
    output dense(max_pool(image / 8, [2, 2], stride: [2, 2]), classes, operator: none) as \"score\"
}

train {
    data digits
    batch 2
    iterations 4
    loss softmax_cross_entropy
    optimizer sgd(rate: 0.01)
    augment cutmix(1)
}
";
    for precision in [Precision::F32, Precision::F64, Precision::Bf16] {
        let graph = training(typed("case.sph", text, &crate::language::lower::settings(&[])));
        let line = |_| String::new();
        let config = Config { precision, hash: String::new(), source: String::new(), line: &line };
        assert_eq!(plan(&fuse(graph), &config).validate().map_err(|it| it.cause), Ok(()));
    }
}

/// The mean of the cross entropies of a batch's images, each mirrored or not.
fn entropies(batch: &[(usize, bool)]) -> f64 {
    let each = |(image, mirrored): &(usize, bool)| {
        let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, if *mirrored { SIDE - 1 - x } else { x })));
        let image_of: Vec<f64> = places.map(|(y, x)| pixel(*image, y, x)).collect();
        let mut target = vec![0.0; CLASSES];
        target[label(*image)] = 1.0;
        measured(&scores(&image_of), &target)[0]
    };
    batch.iter().map(each).sum::<f64>() / batch.len() as f64
}

#[test]
fn mirrors_take_turns_from_epoch_to_epoch() {
    let recipe = |batch: &str| format!("{batch}\n    augment flip_horizontal(alternate: true)");
    for engine in Engine::ALL {
        let near = |a: f64, b: f64| (a - b).abs() < engine.tolerance() * (1.0 + b.abs());
        // One image at a time, three epochs of them.
        let alone = graph(&recipe("batch 1"));
        let mut alone = machine(engine, &alone, &images(pixel));
        let mut mirrored = Vec::new();
        for step in 0..3 * EXAMPLES {
            alone.run(Phase::Step);
            let (fit, image) = (alone.result(Phase::Step, "fit")[0], step % EXAMPLES);
            let [plain, turned] = [false, true].map(|it| near(fit, entropies(&[(image, it)])));
            assert!(plain != turned, "{engine:?} {step}: {fit}");
            mirrored.push(turned);
        }
        let first = &mirrored[..EXAMPLES];
        assert!(first.contains(&true) && first.contains(&false), "{first:?}");
        for (step, it) in mirrored.iter().enumerate() {
            assert_eq!(*it, first[step % EXAMPLES] ^ (step / EXAMPLES % 2 == 1), "{engine:?} {step}");
        }
        // Batches that reach from one epoch into the next, whole and in parts.
        for batch in ["batch 4", "batch 4\n    accumulate 2"] {
            let graph = graph(&recipe(batch));
            let mut machine = machine(engine, &graph, &images(pixel));
            for step in 0..6 {
                machine.run(Phase::Step);
                let of: Vec<(usize, bool)> = (4 * step..4 * step + 4).map(|it| (it % EXAMPLES, mirrored[it])).collect();
                let fit = machine.result(Phase::Step, "fit")[0];
                assert!(near(fit, entropies(&of)), "{engine:?} {batch} {step}: {fit}, not {}", entropies(&of));
            }
        }
    }
}
