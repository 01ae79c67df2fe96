//! The networks of `models/zoo`: the published numbers of parameters, and three steps of training at a reduced size. What
//! they compute is compared with PyTorch by `tests/peer/zoo.py`.

use crate::backends::engines::{Engine, Machine, typed};
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Shape, TargetKind};
use sphc::lower::{DataInfo, Settings};
use sphc::pipeline;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) type Network = (&'static str, usize, usize, &'static [(&'static str, &'static str)]);

/// A network, the published number of its parameters (or the one that its file says is counted from its definition), the extent
/// of its images here, and params that make it small.
pub(crate) const NETWORKS: [Network; 23] = [
    ("airbench94", 1_972_792, 32, &[("widths", "[24,32,32]")]),
    ("alexnet", 61_100_840, 64, &[]),
    ("autoencoder", 2_837_314, 28, &[("widths", "[40,20]")]),
    ("convnext_t", 28_589_128, 32, &[("widths", "[8,16,24,32]"), ("depths", "[1,1,2,1]")]),
    ("dcnet_cifar100", 2_997_732, 16, &[("widths", "[8,8,8]"), ("units", "8")]),
    ("dcnet_imagenet", 11_694_312, 64, &[]),
    ("densenet_bc", 769_162, 16, &[("depth", "22")]),
    ("googlenet", 6_624_904, 64, &[]),
    // An input of 8, and 64 units: three gates of 64 rows and two biases each, and a dense layer.
    ("gru_digits", 3 * 64 * (8 + 64 + 2) + 65 * 10, 8, &[]),
    ("lenet5", 61_706, 32, &[]),
    ("mhe_cifar10", 2_973_002, 16, &[("widths", "[8,8,8]"), ("units", "8")]),
    ("mobilenetv2", 3_504_872, 64, &[]),
    ("preactresnet18", 11_172_170, 16, &[]),
    ("resnet18", 11_689_512, 64, &[]),
    ("resnet50", 25_557_032, 64, &[]),
    ("scs", 110_197, 16, &[]),
    ("sphereface20", 28_083_520, 32, &[("widths", "[4,4,8,8]"), ("feature", "8")]),
    ("squeezenet", 1_235_496, 64, &[]),
    ("unet", 31_031_875, 16, &[("widths", "[4,8]")]),
    ("unet_membranes", 31_030_658, 16, &[("widths", "[4,8]")]),
    ("vgg16", 138_357_544, 32, &[]),
    ("vit_tiny", 5_717_416, 32, &[("embedding", "12"), ("depth", "2")]),
    ("wideresnet28_10", 36_479_194, 16, &[("width", "1")]),
];
const BATCH: usize = 2;
const STEPS: usize = 3;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/zoo/{name}.sph"))
}

#[test]
fn every_network_of_the_zoo_is_in_the_list() {
    let mut found: Vec<String> = fs::read_dir(path("x").parent().unwrap())
        .unwrap()
        .map(|it| it.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, NETWORKS.map(|it| it.0));
}

/// What the networks suppose of the data sets that they name.
pub(crate) fn known_data() -> Vec<DataInfo> {
    let known = |name: &str, image: [usize; 3], classes| DataInfo {
        target: target(name, [image[0], image[1]]),
        ..DataInfo::images(name, image, classes, [50_000, 10_000])
    };
    vec![
        known("digits", [8, 8, 1], 10),
        known("mnist", [28, 28, 1], 10),
        known("cifar10", [32, 32, 3], 10),
        known("cifar100", [32, 32, 3], 100),
        known("../casia_webface.yaml", [112, 96, 3], 10_572),
        known("../membranes.yaml", [512, 512, 1], 2),
        known("imagenet", [256, 256, 3], 1000),
    ]
}

#[test]
fn networks_have_the_published_numbers_of_parameters_and_no_remark() {
    for (name, count, ..) in NETWORKS {
        let file = path(name).display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let mut load = |it: &str| fs::read_to_string(it).map_err(|it| it.to_string());
        let settings = Settings { known_data: known_data(), ..Settings::default() };
        let checked = pipeline::check(&file, &text, &mut load, &settings);
        let said: Vec<_> = checked.diagnostics.iter().map(|it| (it.code, &it.message)).collect();
        assert!(said.is_empty(), "{name}: {said:?}");
        let graph = checked.typed.expect("no error");
        assert_eq!(graph.graph().params.iter().map(|it| it.shape.len()).sum::<usize>(), count, "{name}");
    }
}

/// What the examples of a data set are to be answered with.
pub(crate) fn target(data: &str, pixels: [usize; 2]) -> TargetKind {
    if data.contains("membranes") { TargetKind::Map(pixels) } else { TargetKind::Class }
}

/// The text for images of an extent, as many classes as the digits have, and a recipe of three steps.
pub(crate) fn reduced(text: &str, extent: usize) -> (String, usize) {
    let at = text.find("input image: u8[").unwrap() + "input image: u8[".len();
    let end = at + text[at..].find(']').unwrap();
    let channels: usize = text[at..end].rsplit(", ").next().unwrap().parse().unwrap();
    let head = format!("{}{extent}, {extent}, {channels}{}", &text[..at], &text[end..]);
    let (model, recipe) = head.split_once("\ntrain {").unwrap();
    let losses: String =
        recipe.lines().filter(|it| it.trim().starts_with("loss ")).map(|it| format!("{it}\n")).collect();
    let recipe = format!(
        "train {{\n    data digits\n    batch {BATCH}\n    iterations {STEPS}\n{losses}    \
         optimizer sgd(rate: 1e-3, momentum: 0.9)\n}}\n"
    );
    (format!("{model}\n{recipe}"), channels)
}

#[test]
fn networks_train_three_steps_at_a_reduced_size() {
    for (name, _, extent, params) in NETWORKS {
        let (text, channels) = reduced(&fs::read_to_string(path(name)).unwrap(), extent);
        let target = target(name, [extent; 2]);
        let data = DataInfo {
            target: target.clone(),
            ..DataInfo::images("digits", [extent, extent, channels], 10, [STEPS * BATCH, BATCH])
        };
        let settings = Settings {
            set: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            no_shuffle: true,
            known_data: vec![data.clone()],
            data: Some(data),
            ..Settings::default()
        };
        let graph = training(typed(&path(name).display().to_string(), &text, &settings));
        let mut machine = Machine::new(Engine::CpuF32, graph);
        let size = extent * extent * channels;
        let noise = (0..STEPS * BATCH * size).map(|it| (it as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56);
        let images: Vec<f64> = noise.map(|it| it as f64).collect();
        machine.bind(Extern::TrainImages, &Tensor::new([STEPS * BATCH, extent, extent, channels], images));
        let extents = Shape([&[STEPS * BATCH], &target.stored(10)[..]].concat());
        let labels = (0..extents.len()).map(|it| [3.0, 7.0, 1.0, 3.0, 0.0, 9.0][it % 6]).collect();
        machine.bind(Extern::TrainLabels, &Tensor::new(extents, labels));
        for step in 0..STEPS {
            machine.run(Phase::Step);
            let loss = machine.result(Phase::Step, "loss")[0];
            assert!(loss.is_finite() && 0.0 < loss, "{name}, step {step}: a loss of {loss}");
        }
    }
}
