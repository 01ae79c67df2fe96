//! Angles near 0: filters along patches of the image, where the slope of `acos` makes much of a rounding of the cosine.
//! In f32 only what is stored is rounded before the angle is taken: the product with the filter and the two squared norms,
//! once each. Outputs are held to that, and to the tolerance of any layer where it is wider; gradients to the latter.

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::golden::Report;
use crate::networks::golden_layers::with_gradients;
use sphc::interp::Tensor;
use sphc::ir::random::normal;
use sphc::ir::{Phase, Shape};
use sphc::lower::Settings;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

const IMAGES: usize = 4;
const SIDE: usize = 8;
const FILTERS: usize = 6;

fn noise(shape: &[usize], seed: u64, stream: u64) -> Tensor {
    let count = shape.iter().product();
    Tensor::new(Shape(shape.to_vec()), (0..count).map(|at| normal(seed, stream, at)).collect())
}

/// Filters that are half a patch of the image, or the opposite.
fn filters(image: &Tensor, channels: usize, seed: u64) -> Vec<f64> {
    let mut filters = vec![0.0; 9 * channels * FILTERS];
    for filter in 0..FILTERS {
        // Somewhere inside.
        let draw = |stream, count: usize| ((normal(seed, stream, filter).abs() * 1e6) as usize) % count;
        let (n, y, x) = (draw(7, IMAGES), draw(8, SIDE - 2), draw(9, SIDE - 2));
        let scale = if filter % 2 == 0 { 0.5 } else { -0.5 };
        for tap in 0..9 {
            for c in 0..channels {
                let pixel = (n * SIDE + y + tap / 3) * SIDE + x + tap % 3;
                filters[(tap * channels + c) * FILTERS + filter] = scale * image.data[pixel * channels + c];
            }
        }
    }
    filters
}

#[test]
fn a_layer_in_f32_loses_only_what_is_stored() {
    let mut report = Report::default();
    for operator in ["cosine", "linear", "sigmoid", "lr_sigmoid"] {
        for channels in [3, 5] {
            let text = format!(
                "model Case {{\n    input x: float[{SIDE}, {SIDE}, {channels}]\n    \
                 output sphere_conv(x, {FILTERS}, kernel: 3, operator: {operator}) as \"l\"\n}}\n"
            );
            let settings = Settings { batch: Some(IMAGES), ..Settings::default() };
            let graph = with_gradients(typed("case", &text, &settings));
            let mut machines = [Engine::Interpreter, Engine::CpuF32].map(|it| Machine::new(it, graph.clone()));
            for seed in 0..30 {
                let image = noise(&[IMAGES, SIDE, SIDE, channels], seed, 1);
                let slope = noise(&[IMAGES, SIDE, SIDE, FILTERS], seed, 2);
                let filters = filters(&image, channels, seed);
                for machine in &mut machines {
                    machine.bind_named("x", &image);
                    machine.bind_named("seed", &slope);
                    machine.write("l/filter", &filters);
                    machine.run(Phase::Step);
                }
                for name in ["output", "grad/x", "grad/l/filter"] {
                    let [truth, found] = [0, 1].map(|it| machines[it].result(Phase::Step, name));
                    let what = format!("{operator} of {channels} channels, seed {seed}: {name}");
                    let mut tolerance = Engine::CpuF32.tolerance();
                    if operator == "linear" && name == "output" {
                        // One half unit of the product and half of one of each square, times the steepest slope.
                        let nearest = truth.iter().fold(0.0f64, |it, next| it.max(next.abs()));
                        let slope = FRAC_2_PI / (FRAC_PI_2 * nearest).cos();
                        assert!(100.0 < slope, "{what}: not near one");
                        tolerance = tolerance.max(2.0 * slope * f64::from(f32::EPSILON / 2.0));
                    }
                    report.close(&what, &found, &truth, tolerance);
                }
            }
        }
    }
    report.finish();
}
