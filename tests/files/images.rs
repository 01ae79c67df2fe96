//! What is done to images before and in a model: colours, augmentation, views, and the data that a file names.

use crate::files::data::{npy, npz};
use crate::language::lower::settings;
use crate::runs::cli::{Place, errors};
use sphc::diag::render;
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::augment::{columns, draws};
use sphc::ir::op::Scalar64;
use sphc::ir::{Augment, Border, DType, Op, Precision, Shape};
use sphc::kernel::KernelSpec;
use sphc::pipeline;
use sphc::plan::{self, BufferKind, Plan};
use sphc::shape::Builder;
use std::fs;

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
    let node = b.add(Op::picks(steps), &operands);
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
    let rows: Vec<Row> = serde_json::from_str(include_str!("../peer/augment.json")).unwrap();
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
    assert_eq!(plan.training.as_ref().unwrap().image, [32, 32, 3].into());
    let steps: Vec<Vec<Augment>> = (plan.kernels.iter())
        .filter_map(|it| if let KernelSpec::Augment { steps, .. } = it { Some(steps.clone()) } else { None })
        .filter(|it| !it.is_empty())
        .collect();
    let crop = |centre| Augment::Crop { size: [28, 26], pad: 2, border: Border::Symmetric, centre };
    let contrast =
        Augment::ColorJitter { brightness: Scalar64(0.0), contrast: Scalar64(0.2), saturation: Scalar64(0.0) };
    let cutout = Augment::Cutout { size: 8, value: 0 };
    assert_eq!(steps, [vec![crop(false), cutout, contrast, Augment::FlipVertical], vec![crop(true)]]);
}

/// Forty training and twelve test images of two classes, told apart by their brightness.
fn bright(place: &Place, file: &str) {
    let pixels = |n: usize| (0..n * 64).map(|at| (at / 64 % 2 * 150 + at * 37 % 100) as u8).collect::<Vec<u8>>();
    let labels = |n: usize| (0..n).map(|at| (at % 2) as i64).collect::<Vec<i64>>();
    let arrays = [
        ("x_train", npy(&[40, 8, 8], &pixels(40))),
        ("y_train", npy(&[40], &labels(40))),
        ("x_test", npy(&[12, 8, 8], &pixels(12))),
        ("y_test", npy(&[12], &labels(12))),
    ];
    fs::write(place.path(file), npz(&arrays, false)).unwrap();
}

fn bright_model(data: &str, more: &str) -> String {
    format!(
        "model M {{\n    input image: u8[8, 8, 1]\n    x = (image - 127.5) / 128\n    \
         output conv(x, classes, kernel: 8, pad: valid) as \"score\"\n}}\n\ntrain {{\n    data       {data}\n{more}    \
         batch      4\n    iterations 6\n    loss       softmax_cross_entropy()\n    optimizer  sgd(rate: 0.01)\n}}\n"
    )
}

/// Is refused with a report that says all of these.
fn refused(place: &Place, words: &str, expected: &[&str]) {
    let output = place.sphc(words);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{words}\n{said}");
    expected.iter().for_each(|it| assert!(said.contains(it), "`{words}` does not say `{it}`:\n{said}"));
}

#[test]
fn a_file_names_its_data_by_a_path_seen_from_it() {
    let place = Place::new();
    fs::create_dir_all(place.path("models/parts")).unwrap();
    fs::create_dir_all(place.path("sets")).unwrap();
    bright(&place, "sets/bright.npz");
    fs::write(place.path("sets/named.yaml"), "name: named\nformat: npz\npath: bright.npz\nclasses: [dark, light]\n")
        .unwrap();
    fs::write(place.path("models/npz.sph"), bright_model("\"../sets/bright.npz\"", "")).unwrap();
    fs::write(place.path("models/yaml.sph"), bright_model("\"../sets/named.yaml\"", "")).unwrap();
    // A param of an imported file: seen from that one.
    fs::write(place.path("models/parts/where.sph"), "param place = \"../../sets/bright.npz\"\n").unwrap();
    let text = format!("import \"parts/where.sph\"\n\n{}", bright_model("place", ""));
    fs::write(place.path("models/param.sph"), text).unwrap();
    for name in ["npz", "yaml", "param"] {
        let file = format!("models/{name}.sph");
        place.succeeds(&format!("check {file}"));
        place.succeeds(&format!("show {file}"));
        place.succeeds(&format!("compile {file} --emit plan"));
        place.succeeds(&format!("train {file} --run {name}"));
        let weights = format!("--weights {name}/checkpoints/step-00000006.safetensors");
        assert!(place.succeeds(&format!("eval {file} {weights}")).contains("12"), "{name}");
    }
    place.succeeds("verify models/npz.sph --batch 2 --kernels-only");
    place.succeeds("bench models/npz.sph --steps 1");
    place.succeeds("diff models/npz.sph models/yaml.sph");
    // `--set` is seen from where the command runs, and `--data` goes first.
    place.succeeds("check models/param.sph --set place=sets/bright.npz");
    place.succeeds("train models/yaml.sph --data sets/bright.npz --run other");
    fs::write(place.path("models/none.sph"), bright_model("\"nowhere.npz\"", "")).unwrap();
    refused(&place, "check models/none.sph", &["the data set `nowhere.npz` cannot be used", "models/nowhere.npz"]);
    fs::write(place.path("models/bare.sph"), bright_model("bright", "")).unwrap();
    refused(&place, "check models/bare.sph", &["unknown data set `bright`", "in quotes"]);
}

#[test]
fn images_kept_for_validation_are_not_trained_on_and_the_test_set_is_left_to_eval() {
    let place = Place::new();
    bright(&place, "bright.npz");
    let write = |share: &str| {
        fs::write(place.path("m.sph"), bright_model("\"bright.npz\"", &format!("    validate   {share}\n"))).unwrap();
    };
    write("0.25");
    let said = errors(&place.sphc("train m.sph --run r"));
    assert!(said.contains("(30 training and 10 validation images)"), "{said}");
    assert!(
        place
            .succeeds("eval m.sph --weights r/checkpoints/step-00000006.safetensors --format json")
            .contains("\"examples\":12")
    );
    place.succeeds("bench m.sph --steps 1");
    place.succeeds("compile m.sph -o plan");
    place.succeeds("train plan/plan.yaml --run p");
    let weights = "--weights p/checkpoints/step-00000006.safetensors";
    place.fails(&format!("eval plan/plan.yaml {weights}"), &["made for a validation set"]);
    for (share, wrong) in [("0", "above 0 and below 1"), ("1", "above 0 and below 1"), ("\"a\"", "must be a float")] {
        write(share);
        refused(&place, "check m.sph", &[wrong]);
    }
}

#[test]
fn a_share_of_the_training_images_is_chosen_by_the_seed() {
    let (manifest, at) = sphc::data::locate("digits", None).unwrap();
    let whole = sphc::data::read(&manifest, &at, &[]).unwrap();
    let part = |seed, tests| sphc::data::parted(whole.clone(), 0.1, seed, tests).unwrap();
    let one = part(1, false);
    assert_eq!((one.train.len(), one.test.len()), (1293, 144));
    assert_eq!(one, part(1, false));
    assert_ne!(one, part(2, false));
    assert_eq!(part(1, true).test, whole.test);
    // Every image is in one of the two, and in no more.
    let images = |it: &sphc::data::Split| it.images.chunks_exact(64).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut all = [images(&one.train), images(&one.test)].concat();
    let mut before = images(&whole.train);
    all.sort_unstable();
    before.sort_unstable();
    assert_eq!(all, before);
}
