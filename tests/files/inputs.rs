//! Examples that are no images of bytes: floats, whole numbers, 16 bits; from arrays, pictures and MNIST's files, through every
//! command. What a model makes of them is judged by ONNX Runtime and NumPy.

use crate::files::data::{npy, npz};
use crate::files::exporting::{cases, python_in};
use crate::runs::cli::{Place, errors, metrics};
use image::{ImageBuffer, Luma};
use std::fs;
use std::process::Command;

/// So many numbers without a pattern, from 0 to 1.
fn noise(count: usize, salt: u64) -> Vec<f64> {
    (0..count).map(|at| f64::from((sphc::ir::random::normal(salt, 3, at) as f32).abs() % 1.0)).collect()
}

/// Arrays for training and tests with classes by turns.
fn set(examples: &dyn Fn(u64, usize) -> Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    let labels = |count: i64| npy::<i64>(&[count as u64], &(0..count).map(|it| it % 3).collect::<Vec<_>>());
    vec![("x_train", examples(1, 120)), ("y_train", labels(120)), ("x_test", examples(2, 30)), ("y_test", labels(30))]
}

fn floats(salt: u64, count: usize) -> Vec<u8> {
    let all: Vec<f32> = noise(count * 20, salt).into_iter().map(|it| 6.0 * it as f32 - 3.0).collect();
    npy(&[count as u64, 20], &all)
}

fn ids(salt: u64, count: usize) -> Vec<u8> {
    let all: Vec<i32> = noise(count * 12, salt).into_iter().map(|it| (it * 50.0) as i32).collect();
    npy(&[count as u64, 12], &all)
}

fn deep(salt: u64, count: usize) -> Vec<u8> {
    let all: Vec<u16> = noise(count * 64, salt).into_iter().map(|it| (it * 65536.0) as u16).collect();
    npy(&[count as u64, 8, 8], &all)
}

fn model(input: &str, data: &str, body: &str, entries: &str) -> String {
    format!(
        "model M {{\n    input x: {input}\n{body}\n}}\n\ntrain {{\n    data       \"{data}\"\n    batch      8\n    \
         iterations 12\n    loss       softmax_cross_entropy()\n    optimizer  adam(rate: 1e-2)\n{entries}}}\n"
    )
}

const LINEAR: &str = "    h = relu(linear(x, 16) as \"a\")\n    output linear(h, classes) as \"score\"";
const LOOKED_UP: &str =
    "    t = embedding(x, 60, 6) as \"table\"\n    output linear(reshape(mean(t, over: 0), [6]), classes) as \"score\"";
const CONVOLVED: &str = "    y = (x - 32768) / 32768\n    y = conv(y, 6) |> batch_norm(decay: 0.5) |> relu as \"a\"\n    output \
                         dense(global_avg_pool(y), classes, bias: true) as \"score\"";

/// The arrays of a file, by name.
type Arrays = Vec<(&'static str, Vec<u8>)>;

/// Models over examples of each type: the file, the input, its body, and what else the recipe says.
fn kinds() -> Vec<(&'static str, Arrays, &'static str, String, &'static str)> {
    let rotated = "    augment    crop(pad: 1), rotate(20), random_resized_crop(8, 8), cutout(2), flip_horizontal\n";
    let moved = "    augment    crop(pad: 1), flip_vertical, cutout(2)\n";
    vec![
        ("floats", set(&floats), "float[20]", LINEAR.to_owned(), "    validate   0.2\n"),
        ("mixed", set(&floats), "float[20]", LINEAR.to_owned(), "    augment    mixup(0.2)\n"),
        ("ids", set(&ids), "int[12]", LOOKED_UP.to_owned(), "    accumulate 2\n"),
        ("deep", set(&deep), "u16[8, 8, 1]", CONVOLVED.to_owned(), rotated),
        // The same pictures as floats, and as whole numbers.
        ("wide", set(&deep), "float[8, 8, 1]", CONVOLVED.to_owned(), rotated),
        ("whole", set(&deep), "int[8, 8, 1]", CONVOLVED.replace("x - 32768", "1.0 * x - 32768"), moved),
    ]
}

#[test]
fn a_training_on_any_numbers_has_the_same_bits_from_a_file_and_by_any_number_of_threads() {
    let place = Place::new();
    for (name, arrays, input, body, entries) in kinds() {
        fs::write(place.path(&format!("{name}.npz")), npz(&arrays, name == "ids")).unwrap();
        fs::write(place.path("m.sph"), model(input, &format!("{name}.npz"), &body, entries)).unwrap();
        assert!(!place.succeeds("check m.sph").contains("error"), "{name}");
        let run = |memory: &str, run: &str, threads: u32| {
            let words = format!("train m.sph --run {name}-{run} --threads {threads}");
            let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
                .args(words.split_whitespace())
                .current_dir(place.directory.path())
                .env("SPHC_DATA_MEMORY", memory)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{name}: {}", errors(&output));
            assert_eq!(errors(&output).contains("lie in a file"), !memory.is_empty(), "{name}: {}", errors(&output));
            (place.final_checkpoint(&format!("{name}-{run}")), metrics(&place.path(&format!("{name}-{run}"))))
        };
        let held = run("", "held", 2);
        for threads in [1, 3] {
            assert!(held == run("4K", &format!("mapped-{threads}"), threads), "{name}: {threads} threads");
        }
    }
}

/// Every command that takes a model and its data: they are of one mind about the examples.
#[test]
fn every_command_takes_them() {
    let place = Place::new();
    for (name, arrays, input, body, entries) in kinds() {
        fs::write(place.path(&format!("{name}.npz")), npz(&arrays, false)).unwrap();
        fs::write(place.path("m.sph"), model(input, &format!("{name}.npz"), &body, entries)).unwrap();
        place.succeeds(&format!("train m.sph --run {name}"));
        let weights = format!("--weights {name}/checkpoints/step-00000012.safetensors");
        let said = place.succeeds(&format!("eval m.sph {weights}"));
        assert!(said.contains("on 30 "), "{name}: {said}");
        place.succeeds(&format!("eval m.sph {weights} --split train"));
        assert!(place.succeeds("verify m.sph").contains("launches: all right"), "{name}");
        assert!(place.succeeds("bench m.sph --steps 1").contains("per second"), "{name}");
        place.succeeds("diff m.sph m.sph");
        place.succeeds("show m.sph");
        place.succeeds(&format!("compile m.sph -o {name}-plan"));
        place.succeeds(&format!("train {name}-plan/plan.yaml --run {name}-again"));
        let [plan, text] = [format!("{name}-again"), name.to_owned()].map(|it| metrics(&place.path(&it)));
        assert_eq!(plan, text, "{name}: by its plan");
        // The test set as arrays of their own is answered as the test set is.
        fs::write(place.path("x.npy"), &arrays[2].1).unwrap();
        fs::write(place.path("x.npz"), npz(&[("x", arrays[2].1.clone()), ("y", arrays[3].1.clone())], true)).unwrap();
        place.succeeds(&format!("features m.sph {weights} --layer scores -o set.csv"));
        let rows = |file: &str| {
            let text = fs::read_to_string(place.path(file)).unwrap();
            text.lines()
                .skip(1)
                .map(|it| it.rsplitn(4, ',').take(3).map(str::to_owned).collect())
                .collect::<Vec<Vec<_>>>()
        };
        for file in ["x.npy", "x.npz"] {
            place.succeeds(&format!("features m.sph {weights} {file} --layer scores -o files.csv"));
            assert_eq!(rows("files.csv"), rows("set.csv"), "{name}: {file}");
            let said = place.succeeds(&format!("predict m.sph {weights} {file} --format csv"));
            assert_eq!(said.lines().count(), 31, "{said}");
            assert!(said.contains(&format!("\n{file}[29],")), "{said}");
        }
    }
}

#[test]
fn exported_networks_take_the_same_numbers() {
    let Some(python) = cases::python() else { return };
    let place = Place::new();
    for (name, arrays, input, body, entries) in kinds() {
        fs::write(place.path(&format!("{name}.npz")), npz(&arrays, false)).unwrap();
        fs::write(place.path("m.sph"), model(input, &format!("{name}.npz"), &body, entries)).unwrap();
        place.succeeds(&format!("train m.sph --run {name}"));
        let weights = format!("--weights {name}/checkpoints/step-00000012.safetensors");
        place.succeeds(&format!("export m.sph {weights} --onnx m.onnx --pytorch m.py"));
        place.succeeds(&format!("features m.sph {weights} --layer scores -o scores.npz"));
        let dtype = input.split('[').next().unwrap().replace("u16", "uint16").replace("int", "int64");
        let dtype = dtype.replace("uint6416", "uint16").replace("float", "float32");
        let extents = format!("[-1, {}", input.split_once('[').unwrap().1);
        let script = format!(
            "import numpy as np, onnx, onnxruntime\nonnx.checker.check_model('m.onnx')\n\
             x = np.load('{name}.npz')['x_test'].astype('{dtype}').reshape({extents})\n\
             session = onnxruntime.InferenceSession('m.onnx', providers=['CPUExecutionProvider'])\n\
             found = session.run(None, {{session.get_inputs()[0].name: x}})[0]\n\
             wanted = np.load('scores.npz')['scores'].reshape(found.shape)\n\
             assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max(), (found, wanted)\n"
        );
        python_in(&place, &python, &script);
    }
}

/// Weights, examples and predictions, by NumPy's own arithmetic.
#[test]
fn a_network_over_floats_is_what_numpy_makes_of_it() {
    let Some(python) = cases::python() else { return };
    let place = Place::new();
    fs::write(place.path("f.npz"), npz(&set(&floats), false)).unwrap();
    fs::write(place.path("m.sph"), model("float[20]", "f.npz", LINEAR, "")).unwrap();
    place.succeeds("train m.sph --run r");
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    place.succeeds(&format!("features m.sph {weights} --layer scores -o scores.npz"));
    let script = "
import json, numpy as np
file = open('r/checkpoints/step-00000012.safetensors', 'rb')
header = json.loads(file.read(int.from_bytes(file.read(8), 'little')))
data = file.read()
def tensor(name):
    it = header[name]
    return np.frombuffer(data[slice(*it['data_offsets'])], 'float32').reshape(it['shape']).astype('float64')
x = np.load('f.npz')['x_test'].astype('float64')
h = np.maximum(x @ tensor('a/filter').reshape(20, 16) + tensor('a/bias').ravel(), 0)
scores = h @ tensor('score/filter').reshape(16, 3) + tensor('score/bias').ravel()
found = np.load('scores.npz')['scores'].reshape(scores.shape)
assert np.abs(found - scores).max() < 1e-5, (found, scores)
";
    python_in(&place, &python, script);
}

#[test]
fn what_a_model_takes_and_what_a_data_set_holds_are_compared_both_ways() {
    let place = Place::new();
    for (name, arrays) in [("f", set(&floats)), ("i", set(&ids)), ("d", set(&deep))] {
        fs::write(place.path(&format!("{name}.npz")), npz(&arrays, false)).unwrap();
    }
    let said = |input: &str, data: &str, body: &str, entries: &str| {
        fs::write(place.path("m.sph"), model(input, data, body, entries)).unwrap();
        let output = place.sphc("check m.sph");
        (output.status.code(), errors(&output))
    };
    let told = |input: &str, data: &str, expected: &[&str]| {
        let (status, text) = said(input, data, LINEAR, "");
        assert!(status == Some(1), "{input} {data}: {text}");
        expected.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
        assert!(text.contains("m.sph:2:5"), "{text}");
        let mended =
            text.lines().find_map(|it| it.split("write `input x: ").nth(1)).unwrap().split('`').next().unwrap();
        let (_, text) = said(mended, data, "    output linear(reshape(1.0 * x, [size(x)]), classes) as \"score\"", "");
        assert!(!text.contains("E0202"), "{mended}: {text}");
    };
    let floats = "the input is u8[20], but the examples of `f` are float[20]";
    told("u8[20]", "f.npz", &[floats, "`u8` holds whole numbers, and those of the data set are floats"]);
    told("int[20]", "f.npz", &["the input is int[20]", "write `input x: float[20]`"]);
    told("float[21]", "f.npz", &["the input is float[21], but the examples of `f` are float[20]"]);
    told("u8[8, 8, 1]", "d.npz", &["u16[8, 8, 1]", "`u8` holds 0 to 255, and those of the data set are"]);
    told("int[13]", "i.npz", &["the examples of `i` are int[12]"]);
    // Numbers that a type holds are taken, however they are stored.
    for (input, data) in [("u8[12]", "i.npz"), ("float[12]", "i.npz"), ("u16[12]", "i.npz"), ("float[8, 8]", "d.npz")] {
        let (status, text) =
            said(input, data, "    output linear(reshape(1.0 * x, [size(x)]), classes) as \"score\"", "");
        assert!(status == Some(0), "{input} {data}: {text}");
    }
    // What cannot be done to them.
    for (input, data, entry, expected) in [
        ("float[20]", "f.npz", "augment    flip_horizontal", "`flip_horizontal` cannot be done to `float[20]`"),
        ("float[20]", "f.npz", "augment    cutmix(1)", "`cutmix` cannot be done to `float[20]`"),
        ("float[20]", "f.npz", "views      flip_horizontal", "there are no views of `float[20]`"),
        ("float[8, 8, 1]", "d.npz", "augment    color_jitter(brightness: 0.2)", "knows black, white and grey of bytes"),
        ("int[8, 8, 1]", "d.npz", "augment    rotate(3)", "which ids do not have"),
        ("int[8, 8, 1]", "d.npz", "augment    mixup(0.2)", "makes means, which ids do not have"),
    ] {
        let body = "    output linear(reshape(1.0 * x, [size(x)]), classes) as \"score\"";
        let (status, text) = said(input, data, body, &format!("    {entry}\n"));
        assert!(status == Some(1) && text.contains(expected), "{entry}: {text}");
        assert_eq!(text.matches("error[").count(), 1, "{text}");
    }
    // A table of embeddings with too few rows.
    let (status, text) = said("int[12]", "i.npz", &LOOKED_UP.replace("60", "40"), "");
    assert!(status == Some(1) && text.contains("ids up to 49") && text.contains("40 rows"), "{text}");
    // Words of other languages.
    for (word, known) in [("float32", "float"), ("int64", "int"), ("uint16", "u16")] {
        let text = said(&format!("{word}[20]"), "f.npz", LINEAR, "").1;
        assert!(text.contains(&format!("`{known}`")) && text.contains("E0104"), "{text}");
    }
}

#[test]
fn numbers_that_are_none_are_told_with_their_place() {
    let place = Place::new();
    let put = |name: &str, at: usize, value: f32| {
        let all: Vec<f32> = (0..40).map(|it| if it == at { value } else { it as f32 }).collect();
        let arrays = [
            ("x_train", npy::<f32>(&[10, 4], &all)),
            ("y_train", npy::<i64>(&[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
            ("x_test", npy::<f32>(&[10, 4], &[0.5; 40])),
            ("y_test", npy::<i64>(&[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
        ];
        fs::write(place.path(name), npz(&arrays, false)).unwrap();
    };
    put("nan.npz", 13, f32::NAN);
    put("inf.npz", 0, f32::NEG_INFINITY);
    place.fails("data verify nan.npz", &["`nan.npz`", "`x_train` has NaN in example 3, number 1", "np.nan_to_num"]);
    place.fails("data verify inf.npz", &["`x_train` has -inf in example 0, number 0"]);
    let wide = |values: &[f64]| {
        let arrays = [
            ("x_train", npy::<f64>(&[2, 1], values)),
            ("y_train", npy::<i64>(&[2], &[0, 1])),
            ("x_test", npy::<f64>(&[2, 1], &[0.0, 1.0])),
            ("y_test", npy::<i64>(&[2], &[0, 1])),
        ];
        fs::write(place.path("wide.npz"), npz(&arrays, false)).unwrap();
    };
    wide(&[0.0, 1e300]);
    place.fails("data verify wide.npz", &["in example 1, more than a float of 32 bits holds", "--precision f64"]);
    fs::write(
        place.path("m.sph"),
        model(
            "float[1]",
            "wide.npz",
            "    output dense(log(abs(x) + 1) / 700, classes) as \"score\"",
            "    precision  f64\n",
        ),
    )
    .unwrap();
    place.succeeds("train m.sph --run wide --precision f64");
    // Whole numbers that are rounded as floats.
    let arrays = [
        ("x_train", npy::<i64>(&[2, 1], &[16_777_217, 3])),
        ("y_train", npy::<i64>(&[2], &[0, 1])),
        ("x_test", npy::<i64>(&[2, 1], &[1, 3])),
        ("y_test", npy::<i64>(&[2], &[0, 1])),
    ];
    fs::write(place.path("whole.npz"), npz(&arrays, false)).unwrap();
    fs::write(
        place.path("m.sph"),
        model("float[1]", "whole.npz", "    output dense(x / 1e7, classes) as \"score\"", ""),
    )
    .unwrap();
    let output = place.sphc("train m.sph --run whole");
    assert!(
        errors(&output).contains("`x_train` has 16777217 in example 0, which is 16777216 as a float"),
        "{}",
        errors(&output)
    );
}

/// In 64 bits no digit of a 64-bit array is lost.
#[test]
fn a_training_in_64_bits_sees_64_bits() {
    let place = Place::new();
    let arrays = [
        ("x_train", npy::<f64>(&[2, 1], &[1.0, 1.0 + 1e-12])),
        ("y_train", npy::<f64>(&[2], &[0.0, 1.0 + 1e-12 - 1.0])),
        ("x_test", npy::<f64>(&[2, 1], &[1.0, 1.0 + 1e-12])),
        ("y_test", npy::<f64>(&[2], &[0.5, 0.5])),
    ];
    fs::write(place.path("fine.npz"), npz(&arrays, false)).unwrap();
    let text = model("float[1]", "fine.npz", "    output (x - 1) * 1e12 as \"score\"\n    learn_nothing = 0", "");
    let text = text.replace("    learn_nothing = 0\n", "").replace("softmax_cross_entropy()", "mean_squared_error()");
    let text = text.replace("output (x - 1) * 1e12 as \"score\"", "output dense((x - 1) * 1e12, 1) as \"score\"");
    fs::write(place.path("m.sph"), text).unwrap();
    let scores = |precision: &str| {
        place.succeeds(&format!("train m.sph --run {precision} --iterations 1 --precision {precision}"));
        let weights = format!("--weights {precision}/checkpoints/step-00000001.safetensors --precision {precision}");
        place.succeeds(&format!("features m.sph {weights} --layer scores -o {precision}.csv"));
        let text = fs::read_to_string(place.path(&format!("{precision}.csv"))).unwrap();
        text.lines().skip(1).map(|it| it.rsplit(',').next().unwrap().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let (single, double) = (scores("f32"), scores("f64"));
    assert!(single[0] == 0.0 && single[1] == 0.0, "{single:?}");
    assert!(double[0] == 0.0 && double[1] != 0.0, "{double:?}");
}

/// Pictures of 16 bits are kept where the model asks for them, and rounded with a word where it does not.
#[test]
fn pictures_and_mnist_files_of_16_bits() {
    let place = Place::new();
    for (part, count) in [("train", 12), ("test", 4)] {
        for (class, name) in ["cat", "dog"].into_iter().enumerate() {
            let folder = place.path(&format!("pets/{part}/{name}"));
            fs::create_dir_all(&folder).unwrap();
            for at in 0..count {
                let value =
                    |x: u32, y: u32| Luma([((x * 997 + y * 3001 + at * 771) % 30_000 + 30_000 * class as u32) as u16]);
                ImageBuffer::from_fn(8, 8, value).save(folder.join(format!("{at:02}.png"))).unwrap();
            }
        }
    }
    let body = "    y = (x - 32768) / 32768\n    output conv(y, classes, kernel: 8, pad: valid) as \"score\"";
    fs::write(place.path("m.sph"), model("u16[8, 8, 1]", "pets", body, "")).unwrap();
    let output = place.sphc("train m.sph --run r");
    assert!(output.status.success() && !errors(&output).contains("rounded"), "{}", errors(&output));
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    let output = place.sphc(&format!("predict m.sph {weights} pets/test/dog"));
    assert!(output.status.success() && !errors(&output).contains("warning"), "{}", errors(&output));
    // A network that tells one from the other by what 8 bits lose.
    let byte = body.replace("32768", "128");
    fs::write(place.path("b.sph"), model("u8[8, 8, 1]", "pets", &byte, "")).unwrap();
    let output = place.sphc("train b.sph --run b");
    assert!(
        output.status.success() && errors(&output).contains("are rounded from 16 to 8 bits"),
        "{}",
        errors(&output)
    );
    // Of both kinds in one set, none is changed in silence.
    image::GrayImage::from_pixel(8, 8, Luma([7])).save(place.path("pets/train/dog/99.png")).unwrap();
    let output = place.sphc("check m.sph");
    assert!(errors(&output).contains("99.png` cannot be used as it is: it has 8 bits"), "{}", errors(&output));

    // MNIST's layout knows numbers of 16 bits, with a sign.
    let put = |name: &str, code: u8, extents: &[u32], data: Vec<u8>| {
        let mut bytes = vec![0, 0, code, extents.len() as u8];
        bytes.extend(extents.iter().flat_map(|it| it.to_be_bytes()));
        bytes.extend(data);
        fs::create_dir_all(place.path("idx")).unwrap();
        fs::write(place.path("idx").join(name), bytes).unwrap();
    };
    let shorts =
        |count: u32| (0..count * 64).flat_map(|it| ((it * 97 % 32768) as i16).to_be_bytes()).collect::<Vec<u8>>();
    put("train-images-idx3-ubyte", 0x0b, &[9, 8, 8], shorts(9));
    put("train-labels-idx1-ubyte", 8, &[9], vec![0, 1, 2, 0, 1, 2, 0, 1, 2]);
    put("t10k-images-idx3-ubyte", 0x0b, &[3, 8, 8], shorts(3));
    put("t10k-labels-idx1-ubyte", 8, &[3], vec![0, 1, 2]);
    let said = place.succeeds("data verify idx");
    assert!(
        said.contains("9 training and 3 test examples of int[8, 8, 1], values 0 to 32767")
            || said.contains("values 0 to"),
        "{said}"
    );
    for input in ["u16[8, 8, 1]", "int[8, 8, 1]", "float[8, 8, 1]"] {
        fs::write(place.path("m.sph"), model(input, "idx", &body.replace("x - 32768", "1.0 * x - 16384"), "")).unwrap();
        place.succeeds(&format!("train m.sph --run idx-{}", &input[..2]));
    }
    let floats = |count: u32| (0..count * 64).flat_map(|it| (it as f32 * 0.25).to_be_bytes()).collect::<Vec<u8>>();
    put("train-images-idx3-ubyte", 0x0d, &[9, 8, 8], floats(9));
    put("t10k-images-idx3-ubyte", 0x0d, &[3, 8, 8], floats(3));
    assert!(place.succeeds("data verify idx").contains("float[8, 8, 1], values 0 to 143.75"));
}
