//! Means and variances on the CPU, and batch normalisation of numbers far from zero.

use crate::backends::cpu::{Case, numbers};
use crate::backends::engines::{Engine, Machine, stand_in, typed};
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{DType, Extern, Op, Phase, Reduction, Shape};
use sphc::lower::Settings;

/// Numbers of a normal distribution around `offset`, as f32 holds them.
fn around(shape: &[usize], offset: f64) -> Tensor {
    let shape = Shape(shape.to_vec());
    let values = numbers(shape.len(), 3).into_iter().map(|it| f64::from((0.3 * it + offset) as f32));
    let data = values.collect();
    Tensor::new(shape, data)
}

#[test]
fn means_and_variances_agree_over_all_axes_wherever_the_numbers_lie() {
    for shape in [[2, 3, 4, 5], [3, 16, 16, 128], [5, 7, 9, 300], [33, 8, 8, 3], [1, 1, 1, 100_001], [9, 1, 700, 2]] {
        for offset in [0.0, 1e3, -1e6] {
            let mut case = Case::new();
            let x = case.bind(around(&shape, offset), DType::Real);
            for axes in [vec![0], vec![3], vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![1, 3], vec![0, 1, 2, 3]] {
                for kind in [Reduction::Variance, Reduction::Mean] {
                    let result = case.b.add(Op::Reduce { kind, axes: axes.clone() }, &[x]);
                    case.result(result);
                }
            }
            // The interpreter adds up to 1e5 numbers one after the other, each with a rounding.
            case.check_both([1e-6, 1e5 * f64::EPSILON]);
        }
    }
}

/// Without the mean that shares its pass; of a constant; over axes of extent 1; of what other results are made of, too.
#[test]
fn a_variance_stands_alone() {
    let mut case = Case::new();
    let x = case.bind(around(&[40, 6, 1, 5], 1e4), DType::Real);
    let variance = |case: &mut Case, of, axes: &[usize]| {
        let it = case.b.add(Op::Reduce { kind: Reduction::Variance, axes: axes.to_vec() }, &[of]);
        case.result(it);
        it
    };
    variance(&mut case, x, &[0]);
    variance(&mut case, x, &[2]);
    let constant = case.b.constant(7.0, Shape::from([4, 3]));
    variance(&mut case, constant, &[0]);
    let spread = variance(&mut case, x, &[0, 1, 2]);
    let scaled = case.b.binary(sphc::ir::Binary::Div, x, spread);
    variance(&mut case, scaled, &[3]);
    let mean = case.b.add(Op::Reduce { kind: Reduction::Mean, axes: vec![0, 1] }, &[scaled]);
    case.result(mean);
    case.check(1e-6);
}

/// The running statistics after one step with `decay: 0`: of 64 images with bytes around 128, far from zero.
#[test]
fn batch_normalisation_knows_the_variance_of_numbers_far_from_zero() {
    let images: Vec<f64> =
        numbers(64 * 16, 5).into_iter().map(|it| (128.0 + 74.6 * it).round().clamp(0.0, 255.0)).collect();
    for offset in [0.0, 1e3, 1e4, 1e5, 1e6] {
        let text = format!(
            "model Far {{\n    input image: u8[4, 4, 1]\n    x = batch_norm(image / 255 + {offset}, decay: 0, unbiased: false)\n    \
             output dense(flatten(x), classes) as \"score\"\n}}\n\
             train {{\n    data digits\n    batch 64\n    iterations 1\n    loss softmax_cross_entropy()\n    \
             optimizer sgd(rate: 1e-9, momentum: 0)\n}}\n"
        );
        let settings = Settings { no_shuffle: true, ..stand_in([4, 4, 1], 10, 64) };
        let graph = training(typed("far.sph", &text, &settings));
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind(Extern::TrainImages, &Tensor::new([64, 4, 4, 1], images.clone()));
            machine.bind(Extern::TrainLabels, &Tensor::new([64], vec![3.0; 64]));
            machine.run(Phase::Step);
            let found = ["ema_mean", "ema_var"].map(|it| machine.read(&format!("batch_norm_0/{it}"))[0]);
            // What is normalised, as the engine holds it: the only error there may be besides that of the result.
            let held = |byte: &f64| match engine {
                Engine::CpuF32 => f64::from((*byte as f32) * (1.0 / 255.0) + offset as f32),
                Engine::Interpreter | Engine::SlowPlan | Engine::CpuF64 => byte / 255.0 + offset,
            };
            let values: Vec<f64> = images.iter().map(held).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let single = engine == Engine::CpuF32;
            let rounding = if single { 2f64.powi(-23) } else { 1e-14 };
            assert!((found[0] - mean).abs() <= rounding * mean.abs(), "{engine:?} around {offset}: {found:?}, {mean}");
            // Whether the quotient is a product decides on a last bit of the numbers; in f64 the mean has an error, too.
            let gap = if single { 2f64.powi(-23) * (offset + 1.0) / 8.0 } else { 1e-16 * (offset + 1.0) };
            let bound = rounding * variance + 2.0 * variance.sqrt() * gap + gap * gap;
            assert!((found[1] - variance).abs() <= bound, "{engine:?} around {offset}: {found:?}, {variance}");
        }
    }
}
