//! `sphc features`: numbers against the interpreter's, splits, files, tables, and what is said of mistakes.

use crate::backends::engines::{stand_in, typed};
use crate::files::exporting::{cases, commands, python_in, with_models};
use crate::language::docs::blocks;
use crate::runs::cli::{MODEL, Place};
use sphc::autodiff::training;
use sphc::data::{self, Named, Values, write_npz};
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::{Extern, Phase, feature};
use sphc::lower::Settings;
use sphc::train::weights::Weights;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

/// Extents and numbers of arrays that are no text.
type Arrays = BTreeMap<String, (Vec<u64>, Vec<f64>)>;

fn read(place: &Place, name: &str) -> Arrays {
    let mut archive = zip::ZipArchive::new(fs::File::open(place.path(name)).unwrap()).unwrap();
    let mut res = Arrays::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let name = file.name().unwrap().strip_suffix(".npy").unwrap().to_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let array = npyz::NpyFile::new(&bytes[..]).unwrap();
        let shape = array.shape().to_vec();
        let numbers = match array.dtype().descr().as_str() {
            "'<f2'" => {
                let bits = bytes.rchunks_exact(2).take(shape.iter().product::<u64>() as usize);
                bits.map(|it| half::f16::from_le_bytes([it[0], it[1]]).to_f64()).rev().collect()
            }
            "'|u1'" => array.into_vec::<u8>().unwrap().into_iter().map(f64::from).collect(),
            "'<f8'" => array.into_vec::<f64>().unwrap(),
            "'<f4'" => array.into_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
            "'<i8'" => array.into_vec::<i64>().unwrap().into_iter().map(|it| it as f64).collect(),
            other => {
                assert!(other.starts_with("'<U"), "{name}: {other}");
                Vec::new()
            }
        };
        res.insert(name, (shape, numbers));
    }
    res
}

const WEIGHTS: &str = "--weights r/checkpoints/step-00000012.safetensors";

/// With averages, views, a name around more than a layer, and images kept for validation.
fn model() -> String {
    MODEL
        .replace("max_pool(x, 4)", "max_pool(x, 4) as \"small\"")
        .replace("evaluate   every 5", "validate   0.25\n    average    ema(0.8)\n    views      flip_horizontal()")
}

#[test]
fn features_are_those_of_the_interpreter() {
    let place = Place::new();
    let text = model();
    fs::write(place.path("m.sph"), &text).unwrap();
    place.succeeds("train m.sph --run r");
    let names = ["first", "first:layer", "first/bn", "small", "score"];
    place.succeeds(&format!("features m.sph {WEIGHTS} --layer {},scores -o all.npz --batch 50", names.join(",")));
    let found = read(&place, "all.npz");

    let digits = data::describe("digits").unwrap();
    let digits = data::read(&digits, &data::place_of(&digits, "digits", None).unwrap(), &[]).unwrap();
    let count = digits.test.len();
    let settings = Settings {
        features: names.map(str::to_owned).to_vec(),
        batch: Some(count),
        evaluates: true,
        ..stand_in([8, 8, 1], 10, count)
    };
    let graph = training(typed("m.sph", &text, &settings));
    let mut env = Env::new(&graph, 0);
    let weights = Weights::read(&place.path("r/checkpoints/step-00000012.safetensors")).unwrap();
    for (at, param) in graph.params.iter().enumerate() {
        env.params[at].data = weights.values(&param.path).unwrap();
    }
    for (at, state) in graph.states.iter().enumerate() {
        env.states[at].data = weights.values(&state.path).unwrap();
    }
    let start = graph.state_of(sphc::ir::StateRole::EvaluateStart).unwrap();
    env.states[start.0 as usize].data = vec![0.0];
    let pixels = digits.test.images.iter().map(|it| f64::from(*it)).collect();
    env.externs.insert(Extern::TestImages, Tensor::new([count, 8, 8, 1], pixels));
    let table = &graph.results[&Phase::Evaluate];
    let keys = names.map(feature).into_iter().chain([sphc::ir::Figure::Scores.into()]);
    let roots: Vec<_> = keys.map(|it| table[&it]).collect();
    for (name, wanted) in names.iter().chain(&["scores"]).zip(evaluate(&graph, &env, &roots)) {
        let (shape, numbers) = &found[*name];
        assert_eq!(shape.iter().map(|it| *it as usize).collect::<Vec<_>>(), wanted.shape.dims(), "{name}");
        let largest = wanted.data.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
        let off = numbers.iter().zip(&wanted.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5 * largest, "{name}: off by {off} of {largest}");
    }
    assert_ne!(found["first"].1, found["first:layer"].1);
    let labels: Vec<f64> = digits.test.targets.labels().iter().map(|it| *it as f64).collect();
    assert_eq!(found["labels"], (vec![count as u64], labels));
    assert_eq!(found["classes"].0, [10]);
}

#[test]
fn splits_files_and_tables_tell_the_same() {
    let place = Place::new();
    fs::write(place.path("m.sph"), model()).unwrap();
    place.succeeds("train m.sph --run r");
    let told = |more: &str| {
        place.succeeds(&format!("features m.sph {WEIGHTS} --layer small {more}"));
    };
    let digits = data::describe("digits").unwrap();
    let digits = data::read(&digits, &data::place_of(&digits, "digits", None).unwrap(), &[]).unwrap();
    let parted = data::parted(digits.clone(), 0.25, 0, false).unwrap();
    for (split, wanted) in [("train", &parted.train), ("validation", &parted.test), ("test", &digits.test)] {
        told(&format!("--split {split} -o {split}.npz"));
        let labels: Vec<f64> = wanted.targets.labels().iter().map(|it| *it as f64).collect();
        assert_eq!(read(&place, &format!("{split}.npz"))["labels"].1, labels, "{split}");
    }
    let of_test = read(&place, "test.npz")["small"].1.clone();
    fs::create_dir(place.path("some")).unwrap();
    for at in 0..3 {
        let pixels = digits.test.images[at * 64..][..64].to_vec();
        image::GrayImage::from_raw(8, 8, pixels).unwrap().save(place.path(&format!("some/{at}.png"))).unwrap();
    }
    told("some --batch 2 -o files.npz");
    let files = read(&place, "files.npz");
    assert_eq!(files["small"].1, of_test[..3 * 16]);
    assert!(files.contains_key("files") && !files.contains_key("labels"));
    told("-o test.csv");
    let table = fs::read_to_string(place.path("test.csv")).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("image,label,class,small_0,small_1,"));
    let second: Vec<&str> = lines.nth(1).unwrap().split(',').collect();
    assert_eq!(second[..2], ["1", &digits.test.targets.labels()[1].to_string()]);
    let numbers: Vec<f64> = second[3..].iter().map(|it| f64::from(it.parse::<f32>().unwrap())).collect();
    assert_eq!(numbers, of_test[16..32]);
    told("some --format csv -o table.txt");
    assert!(fs::read_to_string(place.path("table.txt")).unwrap().starts_with("file,small_0,"));
}

/// Digits that were computed are written, unless fewer are asked for.
#[test]
fn numbers_are_written_as_they_were_computed_or_as_asked() {
    let place = Place::new();
    fs::write(place.path("m.sph"), model()).unwrap();
    place.succeeds("train m.sph --run r");
    let told = |more: &str, name: &str| {
        place.succeeds(&format!("features m.sph {WEIGHTS} --layer small,score {more} -o {name}"));
    };
    told("", "f32.npz");
    told("--precision f64", "f64.npz");
    told("--precision f64 --dtype float32", "less.npz");
    told("--dtype float16", "f16.npz");
    let [single, double, less, half] = ["f32.npz", "f64.npz", "less.npz", "f16.npz"].map(|it| read(&place, it));
    for name in ["small", "score"] {
        let of = |it: &Arrays| it[name].1.clone();
        let rounded = |all: &[f64]| all.iter().map(|it| f64::from(*it as f32)).collect::<Vec<_>>();
        assert_eq!(rounded(&of(&single)), of(&single), "{name}");
        assert_ne!(rounded(&of(&double)), of(&double), "{name}");
        assert_eq!(rounded(&of(&double)), of(&less), "{name}");
        let halves = |all: Vec<f64>| all.into_iter().map(|it| half::f16::from_f64(it).to_f64()).collect::<Vec<_>>();
        assert_eq!(halves(of(&single)), of(&half), "{name}");
        assert_eq!(half[name].0, single[name].0);
    }
    told("--dtype float16", "f16.csv");
    let table = fs::read_to_string(place.path("f16.csv")).unwrap();
    let first: Vec<f64> =
        table.lines().nth(1).unwrap().split(',').skip(3).map(|it| it.parse::<f32>().unwrap().into()).collect();
    let each = |name: &str| half[name].1.len() / half[name].0[0] as usize;
    assert_eq!(first, [&half["small"].1[..each("small")], &half["score"].1[..each("score")]].concat());
    let large = model().replace("output conv", "x = x * 1e9 as \"large\"\n    output conv");
    fs::write(place.path("large.sph"), large).unwrap();
    let command = format!("features large.sph {WEIGHTS} --layer large");
    place.fails(&format!("{command} --dtype float16 -o a.npz"), &["`large` has numbers up to", "`--dtype float32`"]);
    assert!(!place.path("a.npz").exists());
    place.succeeds(&format!("{command} -o a.npz"));
    place.fails(&format!("{command} --dtype float16 -o a.svg"), &["a picture has no numbers"]);
}

/// What examples are to be answered with is told in its own extents, in tables too.
#[test]
fn targets_of_every_kind_are_told() {
    let place = Place::new();
    let pixels = |count: usize| Values::Bytes((0..count * 16).map(|it| (it * 31 % 17) as u8).collect());
    let labels = |count: usize| Values::Bytes((0..count * 3).map(|it| u8::from(it % 2 == 0)).collect());
    let map = |count: usize| Values::Ints((0..count * 16).map(|it| (it % 2) as i64).collect());
    let numbers = |count: usize| Values::Doubles((0..count * 2).map(|it| it as f64 / 4.0).collect());
    let labelled = ("binary_cross_entropy()", "dense(x, classes)");
    let mapped = ("softmax_cross_entropy()", "conv(x, classes, kernel: 1)");
    let met = ("mean_squared_error()", "dense(x, 2)");
    type Made<'a> = &'a dyn Fn(usize) -> Values;
    // A name, extents of a target, targets, loss and output, and how a table begins.
    type Kind<'a> = (&'a str, &'a [usize], Made<'a>, (&'a str, &'a str), &'a str);
    let kinds: [Kind; 3] = [
        ("several", &[3], &labels, labelled, "image,label_0,label_1,label_2,scores_0"),
        ("map", &[4, 4], &map, mapped, "image,label_0,label_1,"),
        ("numbers", &[2], &numbers, met, "image,label_0,label_1,scores_0"),
    ];
    for (name, each, values, (loss, output), header) in kinds {
        let array = |name: &str, each: &[usize], count: usize, values: Made| Named {
            name: name.to_owned(),
            shape: [&[count], each].concat(),
            values: values(count),
        };
        let image: &[usize] = &[4, 4, 1];
        let all = [
            array("x_train", image, 12, &pixels),
            array("y_train", each, 12, values),
            array("x_test", image, 5, &pixels),
            array("y_test", each, 5, values),
        ];
        write_npz(&all, fs::File::create(place.path(&format!("{name}.npz"))).unwrap()).unwrap();
        let text = format!(
            "model M {{\n    input image: u8[4, 4, 1]\n    x = image / 16\n    output {output} as \"score\"\n}}\n\
             train {{\n    data \"{name}.npz\"\n    batch 4\n    iterations 2\n    loss {loss}\n    optimizer adam\n}}\n"
        );
        fs::write(place.path("t.sph"), text).unwrap();
        place.succeeds(&format!("train t.sph --run {name}"));
        let weights = format!("--weights {name}/checkpoints/step-00000002.safetensors");
        place.succeeds(&format!("features t.sph {weights} --layer scores -o out.npz"));
        place.succeeds(&format!("features t.sph {weights} --layer scores -o out.csv"));
        let found = read(&place, "out.npz")["labels"].clone();
        let wanted: Vec<f64> = match values(5) {
            Values::Bytes(all) => all.into_iter().map(f64::from).collect(),
            Values::Ints(all) => all.into_iter().map(|it| it as f64).collect(),
            Values::Doubles(all) => all,
            Values::Halves(_) | Values::Reals(_) | Values::Texts(_) => unreachable!(),
        };
        let shape: Vec<u64> = [&[5], each].concat().into_iter().map(|it| it as u64).collect();
        assert_eq!(found, (shape, wanted.clone()), "{name}");
        let table = fs::read_to_string(place.path("out.csv")).unwrap();
        assert!(table.starts_with(header), "{name}: {}", table.lines().next().unwrap());
        let count = wanted.len() / 5;
        let second = table.lines().nth(2).unwrap().split(',').skip(1).take(count);
        assert_eq!(second.map(|it| it.parse().unwrap()).collect::<Vec<f64>>(), wanted[count..2 * count], "{name}");
    }
}

#[test]
fn mistakes_are_told() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let fails = |words: &str, expected: &[&str]| place.fails(&format!("features tiny.sph {WEIGHTS} {words}"), expected);
    fails(
        "--layer frist -o a.npz",
        &["`Tiny` has no layer or named tensor `frist`", "did you mean `first`? it has first, "],
    );
    let named = MODEL.replace("output conv", "output side = global_avg_pool(x)\n    output conv");
    fs::write(place.path("named.sph"), named).unwrap();
    place.fails(
        &format!("features named.sph {WEIGHTS} --layer siede -o a.npz"),
        &["did you mean `side`?", "side, scores"],
    );
    fails("--layer first -o no/a.npz", &["cannot write `no/a.npz`", "`-o`"]);
    fails("--layer first --split validation -o a.npz", &["keeps no images for validation", "`validate 0.1`"]);
    fails("--layer labels -o a.npz", &["another array by the name of the layer `labels`"]);
    fails("--layer first tiny.sph -o a.npz", &["tiny.sph"]);
    place.succeeds("compile tiny.sph -o plan");
    place.fails(&format!("features plan/plan.yaml {WEIGHTS} --layer first -o a.npz"), &["is a plan"]);
    assert!(!place.path("a.npz").exists());
}

/// What is written takes no file away that the command reads, no device, and no link.
#[test]
fn outputs_spare_what_is_there() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let checkpoint = "r/checkpoints/step-00000012.safetensors";
    let before = fs::read(place.path(checkpoint)).unwrap();
    let taken = ["the command has this file already", "give another name"];
    place.fails(&format!("export tiny.sph {WEIGHTS} --onnx {checkpoint}"), &taken);
    place.fails(&format!("export tiny.sph {WEIGHTS} --pytorch ./tiny.sph"), &taken);
    place.fails(&format!("export tiny.sph {WEIGHTS} --onnx same --pytorch ./same"), &taken);
    place.fails(&format!("features tiny.sph {WEIGHTS} --layer first -o {checkpoint}"), &taken);
    assert_eq!(fs::read(place.path(checkpoint)).unwrap(), before);
    assert_eq!(fs::read_to_string(place.path("tiny.sph")).unwrap(), MODEL);
    place.fails(&format!("export tiny.sph {WEIGHTS} --onnx r"), &["cannot write `r`: it is a folder"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let _socket = UnixListener::bind(place.path("socket")).unwrap();
        let device = ["it is a pipe, a socket or a device"];
        place.fails(&format!("export tiny.sph {WEIGHTS} --onnx socket"), &device);
        place.fails(&format!("features tiny.sph {WEIGHTS} --layer first -o socket"), &device);
        fs::write(place.path("real.onnx"), "old").unwrap();
        symlink("real.onnx", place.path("link.onnx")).unwrap();
        place.succeeds(&format!("export tiny.sph {WEIGHTS} --onnx link.onnx"));
        assert!(fs::symlink_metadata(place.path("link.onnx")).unwrap().is_symlink());
        assert!(3 < fs::metadata(place.path("real.onnx")).unwrap().len());
    }
    // A tensor of the whole batch has no row for an image.
    let whole = MODEL.replace(
        "    x = max_pool",
        "    m = mean(x, over: [batch, positions]) as \"m\"\n    x = if training { x + m } else { x }\n    x = max_pool",
    );
    fs::write(place.path("whole.sph"), whole).unwrap();
    for output in ["m.npz", "m.csv"] {
        place.fails(
            &format!("features whole.sph {WEIGHTS} --layer m -o {output}"),
            &["`m` is made of the whole batch, and no row of it belongs to an image"],
        );
        assert!(!place.path(output).exists());
    }
}

#[test]
fn the_page_does_what_it_says() {
    let Some(python) = cases::python() else { return };
    let place = with_models();
    let all = commands("docs/features.md");
    assert_eq!(all.len(), 3, "{all:?}");
    all.iter().for_each(|it| drop(place.succeeds(it)));
    for (_, script) in blocks("docs/features.md", "```python") {
        assert_eq!(python_in(&place, &python, &script).lines().count(), 10);
    }
}

/// Without an output that has no name, the first is the model's; that it gives no scores of classes is said.
#[test]
fn what_gives_no_scores_is_exported_without_classes() {
    let place = Place::new();
    let text = MODEL.replace("output conv(", "output first = flatten(x)\n    output second = conv(").replace(
        "loss       softmax_cross_entropy(smoothing: 0.01, floor: 1e-4)",
        "loss       softmax_cross_entropy() on second",
    );
    fs::write(place.path("two.sph"), text).unwrap();
    place.succeeds("train two.sph --run r");
    place.succeeds(&format!("export two.sph {WEIGHTS} --pytorch two.py --onnx two.onnx"));
    let module = fs::read_to_string(place.path("two.py")).unwrap();
    assert!(module.contains("no score for each class") && !module.contains("CLASSES"), "{module}");
    // Pictures that are brighter than those of the training.
    let picture = image::GrayImage::from_pixel(8, 8, image::Luma([250]));
    picture.save(place.path("bright.png")).unwrap();
    let output = place.sphc(&format!("features two.sph {WEIGHTS} --layer first -o a.npz bright.png"));
    assert!(
        crate::runs::cli::errors(&output).contains("the brightest pixel is 250"),
        "{}",
        crate::runs::cli::errors(&output)
    );
}
