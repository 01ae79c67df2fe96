//! What is done to images before and in a model: colours, augmentation, views, and the data that a file names.

use crate::lower::settings;
use sphc::diag::render;
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::augment::{columns, draws};
use sphc::ir::op::Scalar64;
use sphc::ir::{Augment, Border, DType, Op, Shape};
use sphc::kernel::KernelSpec;
use sphc::pipeline;
use sphc::plan::{self, BufferKind, Plan, Precision};
use sphc::shape::Builder;

/// A crop of the size there was, out of a mirrored border, and a mirror.
pub(crate) fn mirrored_crop(size: [usize; 2], pad: usize) -> Vec<Augment> {
    vec![Augment::Crop { size, pad, border: Border::Symmetric, centre: false }, Augment::FlipHorizontal]
}

/// Each kind of step once, one after the other, for images of at least 5 rows and 4 columns.
pub(crate) fn every_step([height, width]: [usize; 2]) -> Vec<Augment> {
    let [low, high] = [0.3, 1.0].map(Scalar64);
    vec![
        Augment::Crop { size: [height - 1, width + 1], pad: 2, border: Border::Reflect, centre: false },
        Augment::Rotate { degrees: Scalar64(40.0) },
        Augment::ResizedCrop {
            size: [6, 3],
            areas: [low, high],
            ratios: [Scalar64(0.6), Scalar64(1.5)],
            centre: false,
        },
        Augment::ColorJitter { brightness: Scalar64(0.4), contrast: low, saturation: high },
        Augment::Cutout { size: 2, value: 9 },
        Augment::FlipVertical,
        Augment::FlipHorizontal,
    ]
}

/// Lists of steps that differ in every way: each alone, with each border, in the middle, and all.
pub(crate) fn augmentations(size: [usize; 2]) -> Vec<Vec<Augment>> {
    let mut all = vec![mirrored_crop(size, 3), mirrored_crop(size, 12), every_step(size)];
    all.extend(every_step(size).into_iter().map(|it| vec![it]));
    for border in [Border::Zero, Border::Reflect, Border::Symmetric] {
        for (size, pad) in [(size, 2), ([3, 2], 0), ([size[0] + 8, 1], 9)] {
            all.push(vec![Augment::Crop { size, pad, border, centre: false }]);
            all.push(vec![Augment::Crop { size, pad, border, centre: true }]);
        }
    }
    for to in [[3, 3], [7, 2], [2, 9]] {
        let [areas, ratios] = [[Scalar64(0.01), Scalar64(0.2)], [Scalar64(0.1), Scalar64(10.0)]];
        all.push(vec![Augment::ResizedCrop { size: to, areas, ratios, centre: true }]);
        all.push(vec![Augment::ResizedCrop { size: to, areas, ratios, centre: false }, Augment::FlipHorizontal]);
    }
    all.push(vec![Augment::Rotate { degrees: Scalar64(180.0) }, Augment::Cutout { size: 50, value: 0 }]);
    all.push(vec![Augment::Cutout { size: 3, value: 255 }, Augment::FlipVertical]);
    let zero = Scalar64(0.0);
    all.push(vec![Augment::ColorJitter { brightness: Scalar64(1.0), contrast: zero, saturation: zero }]);
    all
}

/// The plan of a text without mistakes.
fn planned(text: &str) -> Plan {
    let mut none = |_: &str| Err("there is no other file".to_owned());
    let checked = pipeline::check("images.sph", text, &mut none, &settings(&[]));
    assert!(checked.diagnostics.is_empty(), "{}", render::render(&checked.diagnostics, &checked.sources, false));
    let typed = checked.typed.unwrap();
    pipeline::compile(typed, &checked.sources, Precision::F32, pipeline::Identity::default()).plan
}

fn cifar(scaling: &str) -> String {
    format!(
        "model M {{\n    input image: u8[32, 32, 3]\n    x = {scaling}\n    x = conv(x, 8) |> relu as \"a\"\n    \
         output conv(x, classes, kernel: 32, pad: valid) as \"score\"\n}}\n\ntrain {{\n    data       cifar10\n    \
         augment    flip_horizontal, crop(pad: 4)\n    batch      8\n    iterations 3\n    \
         loss       softmax_cross_entropy()\n    optimizer  adam(rate: 1e-3)\n}}\n"
    )
}

#[test]
fn colours_are_normalised_without_a_launch_of_their_own() {
    let with = planned(&cifar("(image - [125.3, 123.0, 113.9]) / [63.0, 62.1, 66.7]"));
    let without = planned(&cifar("(image - 125.3) / 63.0"));
    let launches = |plan: &Plan| plan.phases.values().map(|it| it.launches.len()).collect::<Vec<_>>();
    assert_eq!(launches(&with), launches(&without));
    assert_eq!(with.arena_bytes, without.arena_bytes);
    let text = plan::to_yaml(&with).unwrap();
    let again = plan::from_yaml("plan.yaml", &text).unwrap();
    assert_eq!(plan::to_yaml(&again).unwrap(), text);
    let constants = again.buffers.iter().filter(|it| matches!(it.kind, BufferKind::Const(_)) && it.shape.len() == 3);
    assert_eq!(constants.count(), 2);
    // A plan with a number too few is refused.
    let damaged = text.replacen(", 113.9]", "]", 1);
    assert_ne!(damaged, text);
    let error = plan::from_yaml("plan.yaml", &damaged).unwrap_err().to_string();
    assert!(error.contains("2 numbers are listed for a constant of 3"), "{error}");
}

/// One image through steps by the interpreter, as bytes and their extents.
fn augmented(steps: &[Augment], shape: [usize; 3], pixels: Vec<f64>, uniform: Vec<f64>) -> (Vec<usize>, Vec<f64>) {
    let mut b = Builder::empty("images");
    let mut env = Env::default();
    let given = [
        ("image", Tensor::new(Shape::from([1, shape[0], shape[1], shape[2]]), pixels), DType::U8),
        ("index", Tensor::new(Shape::from([1]), vec![0.0]), DType::Int),
        ("uniform", Tensor::new(Shape::from([1, uniform.len()]), uniform), DType::Real),
    ];
    let operands = given.map(|(name, value, dtype)| {
        let shape = value.shape.clone();
        env.bind(name, value);
        b.named_input(name, shape, dtype)
    });
    let node = b.add(Op::Gather { steps: steps.to_vec() }, &operands);
    let result = evaluate(b.graph(), &env, &[node]).remove(0);
    (result.shape.dims()[1..].to_vec(), result.data)
}

/// `tests/peer/augment.py`.
#[test]
fn augmentation_is_what_numpy_and_torch_make_of_it() {
    #[derive(serde::Deserialize)]
    struct Row {
        step: String,
        uniform: Vec<f64>,
        off: f64,
        shape: Vec<usize>,
        result: Vec<f64>,
    }
    let rows: Vec<Row> = serde_json::from_str(include_str!("peer/augment.json")).unwrap();
    assert_eq!(rows.len(), 27);
    let [h, w, c] = [9, 7, 3];
    let image: Vec<f64> = (0..h * w * c).map(|at| ((at * 37 + at / c % w * 11) % 256) as f64).collect();
    for row in rows {
        let words: Vec<&str> = row.step.split(' ').collect();
        let step = match words[..] {
            ["crop", mode, high, wide, pad] => Augment::Crop {
                size: [high.parse().unwrap(), wide.parse().unwrap()],
                pad: pad.parse().unwrap(),
                border: Border::find(mode).unwrap(),
                centre: false,
            },
            ["cutout"] => Augment::Cutout { size: 4, value: 9 },
            ["flip_horizontal"] => Augment::FlipHorizontal,
            ["flip_vertical"] => Augment::FlipVertical,
            ["resized"] => {
                let [areas, ratios] = [[0.2, 1.0], [0.5, 2.0]].map(|it| it.map(Scalar64));
                Augment::ResizedCrop { size: [6, 8], areas, ratios, centre: false }
            }
            ["rotate"] => Augment::Rotate { degrees: Scalar64(45.0) },
            ["jitter"] => {
                let [brightness, contrast, saturation] = [0.4, 0.3, 0.8].map(Scalar64);
                Augment::ColorJitter { brightness, contrast, saturation }
            }
            _ => panic!("{}", row.step),
        };
        let mut uniform = vec![0.5; draws(&[step])];
        uniform[columns(&[step])[0]..][..row.uniform.len()].copy_from_slice(&row.uniform);
        let (shape, found) = augmented(&[step], [h, w, c], image.clone(), uniform);
        assert_eq!(shape, row.shape, "{}", row.step);
        for (at, (found, wanted)) in found.iter().zip(&row.result).enumerate() {
            assert!((found - wanted).abs() <= row.off, "{} [{at}]: {found}, not {wanted}", row.step);
        }
    }
}

#[test]
fn what_is_evaluated_is_cropped_in_the_middle_and_nothing_else() {
    let text = cifar("(image - [125.3, 123.0, 113.9]) / [63.0, 62.1, 66.7]")
        .replace("u8[32, 32, 3]", "u8[28, 26, 3]")
        .replace("kernel: 32", "kernel: [28, 26]")
        .replace(
            "flip_horizontal, crop(pad: 4)",
            "flip_vertical, crop(28, 26, pad: 2), cutout(8), color_jitter(contrast: 0.2)",
        );
    let plan = planned(&text);
    assert_eq!(plan.training.as_ref().unwrap().image, [32, 32, 3]);
    let steps: Vec<Vec<Augment>> = (plan.kernels.iter())
        .filter_map(|it| if let KernelSpec::Gather { steps, .. } = it { Some(steps.clone()) } else { None })
        .filter(|it| !it.is_empty())
        .collect();
    let crop = |centre| Augment::Crop { size: [28, 26], pad: 2, border: Border::Symmetric, centre };
    let contrast =
        Augment::ColorJitter { brightness: Scalar64(0.0), contrast: Scalar64(0.2), saturation: Scalar64(0.0) };
    let cutout = Augment::Cutout { size: 8, value: 0 };
    assert_eq!(steps, [vec![crop(false), cutout, contrast, Augment::FlipVertical], vec![crop(true)]]);
}
