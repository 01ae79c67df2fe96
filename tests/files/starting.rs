//! `sphc train --init`: what is taken of other weights, what is said of the rest, and that runs remember it.

use crate::files::exporting::with_models;
use crate::language::docs::blocks;
use crate::runs::cli::{MODEL, Place, errors};
use serde_json::Value;
use sphc::train::weights::Weights;
use std::fs;

const FIRST: &str = "--init r/checkpoints/step-00000012.safetensors";

fn values(place: &Place, run: &str, step: u64, name: &str) -> Vec<f64> {
    let path = place.path(&format!("{run}/checkpoints/step-{step:08}.safetensors"));
    Weights::read(&path).unwrap().values(name).unwrap()
}

/// A frozen model whose first layer is `stem`, with a last layer of another form.
fn other() -> String {
    let text =
        MODEL.replace("\"first\"", "\"stem\"").replace("kernel: 2, pad: valid)", "kernel: 2, pad: valid, bias: true)");
    text.replace("max_pool(x, 4)", "max_pool(x, 4)\n    x = concat(x, x)")
        .replace("evaluate   every 5", "freeze     on filters, gamma, beta where layer == \"stem\"")
}

#[test]
fn what_fits_is_taken_and_the_rest_is_told() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    fs::write(place.path("other.sph"), other()).unwrap();
    let map = "--init-map first/*=stem/*";
    let output = place.sphc(&format!("train other.sph {FIRST} {map} --run s --iterations 1 --format json"));
    assert!(output.status.success(), "{}", errors(&output));
    assert!(!errors(&output).contains("warning"), "{}", errors(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let told: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(told["event"], "init");
    let names = ["stem/filter", "stem/bn/gamma", "stem/bn/beta", "stem/bn/ema_mean", "stem/bn/ema_var"];
    assert_eq!(told["taken"].as_array().unwrap().len(), names.len(), "{told}");
    assert_eq!(told["missed"], serde_json::json!(["score/bias"]));
    assert_eq!(told["left"], serde_json::json!([]));
    let reason = told["other"][0].as_str().unwrap();
    assert_eq!(reason, "`score/filter` has shape [2,2,4,10], the model's is [2,2,8,10]");
    for name in &names[..3] {
        assert_eq!(values(&place, "s", 1, name), values(&place, "r", 12, &name.replace("stem", "first")), "{name}");
    }
    let config = fs::read_to_string(place.path("s/config.yaml")).unwrap();
    assert!(config.contains("init_map:") && config.contains("first/*=stem/*"), "{config}");
    // For people.
    let output = place.sphc(&format!("train other.sph {FIRST} --init-map first/*=stem/* --run t --iterations 1"));
    for it in [
        "init: 5 of 7 tensors from r/checkpoints/step-00000012.safetensors",
        "not in the file, so started anew: `score/bias`",
        "started anew: `score/filter` has shape",
    ] {
        assert!(errors(&output).contains(it), "no `{it}`: {}", errors(&output));
    }
    let output = place.sphc(&format!("train other.sph {FIRST} --init-map *=stem/../* --run u --iterations 1"));
    assert!(errors(&output).contains("none of its tensors has a name of the model's"), "{}", errors(&output));
    // A pattern that is never the first to match says nothing.
    let output = place.sphc(&format!("train other.sph {FIRST} --init-map *=stem/* --init-map first/*=head/* --run u"));
    assert!(
        errors(&output).contains("an earlier pattern takes every tensor that `first/*` matches"),
        "{}",
        errors(&output)
    );
}

/// Another program's file, with a mask beside the weights, is as good as without it.
#[test]
fn a_tensor_that_cannot_be_read_is_left_and_the_others_are_taken() {
    let place = Place::new();
    let tensor = |dtype: &str, shape: &[usize], from: usize, to: usize| serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [from, to] });
    let write = |name: &str, gamma: &str, bytes: usize| {
        let header = serde_json::json!({
            "first/bn/beta": tensor("F32", &[4], 0, 16),
            "first/bn/gamma": tensor(gamma, &[4], 16, 16 + bytes),
            "mask": tensor("BOOL", &[3], 16 + bytes, 19 + bytes),
        });
        let header = header.to_string();
        let data: Vec<u8> = [0.5f32; 4].iter().flat_map(|it| it.to_le_bytes()).collect();
        let rest = vec![0; bytes + 3];
        fs::write(place.path(name), [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data, &rest].concat())
            .unwrap();
    };
    write("a.safetensors", "F32", 16);
    write("b.safetensors", "BOOL", 4);
    let output = place.sphc("train tiny.sph --init a.safetensors --run r --iterations 1");
    assert!(errors(&output).contains("init: 2 of 6 tensors"), "{}", errors(&output));
    assert!(errors(&output).contains("in the file only, so left: `mask`"), "{}", errors(&output));
    // One that the model wants is told.
    let output = place.sphc("train tiny.sph --init b.safetensors --run s --iterations 1");
    let told = "`first/bn/gamma` cannot be read: its dtype is BOOL; F64, F32, F16, BF16, I64, I32 and U8 can be read";
    assert!(errors(&output).contains(told), "{}", errors(&output));
    assert!(errors(&output).contains("init: 1 of 6 tensors"), "{}", errors(&output));
}

#[test]
fn strict_weights_are_all_or_nothing() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    fs::write(place.path("other.sph"), other()).unwrap();
    let fails = |words: &str, expected: &[&str]| {
        let output = place.sphc(&format!("train other.sph {FIRST} {words} --run s"));
        assert_eq!(output.status.code(), Some(1), "{words}");
        expected.iter().for_each(|it| assert!(errors(&output).contains(it), "no `{it}`: {}", errors(&output)));
        assert!(!place.path("s").exists());
    };
    fails("--init-strict", &["`stem/filter`", "is missing", "`first/filter` is not part of the model"]);
    fails("--init-map backbone.*=*", &["no tensor of it matches the pattern `backbone.*`", "`--init-map`"]);
    fails("--init-map *=one", &["would both be called `one`"]);
    let output = place.sphc(&format!("train other.sph {FIRST} --init-map first --run s"));
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("expected PATTERN=NAME"), "{}", errors(&output));
    // The same model has all of it, and learns on from it as it always did.
    let output = place.sphc(&format!("train tiny.sph {FIRST} --init-strict --run t --iterations 2"));
    assert!(errors(&output).contains("init: 6 of 6 tensors"), "{}", errors(&output));
    place.succeeds(&format!("train tiny.sph {FIRST} --run u --iterations 2"));
    let bytes = |run: &str| fs::read(place.path(&format!("{run}/checkpoints/step-00000002.safetensors"))).unwrap();
    assert_eq!(bytes("t"), bytes("u"));
}

#[test]
fn the_example_of_fine_tuning_does_what_it_says() {
    let place = with_models();
    let (_, text) = blocks("docs/training.md", "```sph").into_iter().find(|it| it.1.contains("model Tuned")).unwrap();
    fs::write(place.path("tuned.sph"), text).unwrap();
    for (class, across) in [("across", true), ("along", false)] {
        for part in ["train", "test"] {
            let folder = place.path("shapes").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for at in 0..40 {
                let stripe =
                    |x: u32, y: u32| if ((if across { y } else { x }) + at / 4) / 4 % 2 == 0 { 230 } else { at as u8 };
                let picture = image::RgbImage::from_fn(24, 24, |x, y| image::Rgb([stripe(x, y); 3]));
                picture.save(folder.join(format!("{at}.png"))).unwrap();
            }
        }
    }
    let (_, commands) = blocks("docs/training.md", "```sh").into_iter().find(|it| it.1.contains("tuned.sph")).unwrap();
    let (_, shown) = blocks("docs/training.md", "```console").into_iter().find(|it| it.1.contains("init: ")).unwrap();
    let mut said = String::new();
    for line in commands.lines() {
        let words = line.strip_prefix("sphc ").unwrap().replace('\'', "");
        let output = place.sphc(&words);
        assert!(output.status.success(), "{line}\n{}", errors(&output));
        said += &errors(&output);
    }
    assert!(said.contains(&shown), "{said}");
    let log = fs::read_to_string(place.path("runs/tuned/metrics.jsonl")).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(log.lines().rfind(|it| it.contains("test_loss")).unwrap()).unwrap();
    assert!(0.8 < told["test_accuracy"].as_f64().unwrap(), "{told}");
    let taken = values(&place, "runs/digits", 20, "features/filter");
    assert_eq!(values(&place, "runs/tuned", 20, "backbone/features/filter"), taken);
}

/// A file as PyTorch keeps a network: filters are `[filters, channels, height, width]`, of a last layer `[filters, numbers]`.
#[test]
fn filters_of_pytorch_are_turned_by_a_map() {
    let place = Place::new();
    let shapes: [(&str, &[usize]); 7] = [
        ("conv1.weight", &[4, 1, 3, 3]),
        ("bn1.weight", &[4]),
        ("bn1.bias", &[4]),
        ("bn1.running_mean", &[4]),
        ("bn1.running_var", &[4]),
        ("bn1.num_batches_tracked", &[]),
        ("fc.weight", &[10, 16]),
    ];
    let mut header = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, shape) in shapes {
        let count: usize = shape.iter().product();
        let start = data.len();
        // Each number tells its place; none is negative, as no variance is.
        data.extend((0..count).flat_map(|it| (it as f32).to_le_bytes()));
        header.insert(
            name.to_owned(),
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }),
        );
    }
    let header = Value::Object(header).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    fs::write(place.path("torch.safetensors"), bytes).unwrap();
    let map = "# of a small network\nfilter conv1.weight first/filter\nsame bn1.weight first/bn/gamma\n\
               same bn1.bias first/bn/beta\nsame bn1.running_* first/bn/ema_*\nfilter fc.weight score/filter\n\
               without *.num_batches_tracked\n";
    let map = map.replace(
        "same bn1.running_* first/bn/ema_*",
        "same bn1.running_mean first/bn/ema_mean\nsame bn1.running_var first/bn/ema_var",
    );
    fs::write(place.path("tiny.map"), map).unwrap();

    let compiled = sphc::Model::open(place.path("tiny.sph")).unwrap().compile().unwrap();
    let map = vec![place.path("tiny.map").display().to_string()];
    let init = sphc::Init { path: place.path("torch.safetensors"), strict: true, map };
    let (weights, taken) = init.weights(compiled.plan()).unwrap();
    assert!(taken.is_all(), "{taken:?}");
    let filter = weights.values("first/filter").unwrap();
    assert_eq!(filter.len(), 36);
    for (at, found) in filter.iter().enumerate() {
        let (pixel, filter) = (at / 4, at % 4);
        assert_eq!(*found, (filter * 9 + pixel) as f64, "[height, width, channel, filter] at {at}");
    }
    let last = weights.values("score/filter").unwrap();
    for (at, found) in last.iter().enumerate() {
        let (y, x, channel, filter) = (at / 80, at / 40 % 2, at / 10 % 4, at % 10);
        assert_eq!(*found, (filter * 16 + channel * 4 + y * 2 + x) as f64, "at {at}");
    }
    assert_eq!(weights.values("first/bn/ema_var").unwrap(), [0.0, 1.0, 2.0, 3.0]);

    // The same for weights that are looked at, and what is of another network is told.
    place.succeeds("eval tiny.sph --weights torch.safetensors --weights-map tiny.map");
    place.fails("eval tiny.sph --weights torch.safetensors", &["`first/filter` [3,3,1,4] is missing"]);
    place.fails(
        "train tiny.sph --run run --init torch.safetensors --init-map torchvision/resnet18",
        &["the map `torchvision/resnet18` is of another network", "`layer*.*.conv1.weight`"],
    );
    let output = place.sphc("eval tiny.sph --weights torch.safetensors --weights-map none.map");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("torchvision/resnet50"), "{}", errors(&output));
    let words = "export tiny.sph --weights torch.safetensors --weights-map tiny.map --pytorch tiny.py";
    place.fails(words, &["`--weights-map` gives them here only"]);
}
