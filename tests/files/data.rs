//! Data sets from outside: what `data verify`, `train`, `eval` and `predict` say of files that are damaged, hostile, of
//! another form, or not read; and that the advice they give works.

use crate::files::events::python;
use crate::runs::cli::{Place, errors};
use image::{GrayImage, Luma, RgbaImage};
use npyz::WriterBuilder;
use std::fs;
use std::io::{Cursor, Write};
use std::process::Command;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// An array as NumPy writes it.
pub(crate) fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes);
    let mut writer = options.begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// An archive of arrays; none of its bytes are compressed unless asked for.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let method = if compressed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Images of 4x4 with these labels.
fn set(train: &[i64], test: &[i64]) -> Vec<(&'static str, Vec<u8>)> {
    let images =
        |count: usize| npy::<u8>(&[count as u64, 4, 4], &(0..16 * count).map(|it| it as u8).collect::<Vec<_>>());
    vec![
        ("x_train", images(train.len())),
        ("y_train", npy(&[train.len() as u64], train)),
        ("x_test", images(test.len())),
        ("y_test", npy(&[test.len() as u64], test)),
    ]
}

/// What `data verify` says of a file, on both outputs, and its exit status.
fn verified(place: &Place, name: &str) -> (Option<i32>, String) {
    let output = place.sphc(&format!("data verify {name}"));
    let said = format!("{}{}", errors(&output), String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("panicked"), "{name}: {said}");
    (output.status.code(), said)
}

fn model(classes: &str, channels: usize) -> String {
    format!(
        "model M {{\n    input image: u8[4, 4, {channels}]\n    x = (image - 8) / 8\n    output conv(x, classes, kernel: 4, \
         pad: valid) as \"score\"\n}}\n\ntrain {{\n    data       {classes}\n    batch      2\n    iterations 4\n    loss       \
         softmax_cross_entropy()\n    optimizer  adam(rate: 1e-2)\n}}\n"
    )
}

#[test]
fn hostile_archives_are_refused_without_taking_memory() {
    let place = Place::new();
    let put = |name: &str, bytes: &[u8]| fs::write(place.path(name), bytes).unwrap();
    let good = set(&[0, 1], &[1, 0]);

    let mut arrays = good.clone();
    let mut header = b"\x93NUMPY\x02\x00".to_vec();
    header.extend(u32::MAX.to_le_bytes());
    arrays[0].1 = header;
    put("header.npz", &npz(&arrays, false));
    assert_eq!(verified(&place, "header.npz").0, Some(1));
    assert!(verified(&place, "header.npz").1.contains("`x_train` is not an array: its header claims 4294967295 bytes"));

    // A header that claims more than the file can hold, and one whose product of extents wraps.
    for (shape, expected) in
        [("(4000000000, 4, 4)", "unpacks to 64 GB"), ("(4294967296, 4294967296, 4)", "claims extents")]
    {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        arrays[0].1 = bytes;
        put("claims.npz", &npz(&arrays, false));
        let (status, said) = verified(&place, "claims.npz");
        assert!(status == Some(1) && said.contains(expected), "{said}");
    }

    // Zeros that are packed 1000:1.
    arrays = good.clone();
    arrays[0].1 = npy::<u8>(&[3, 8192, 4096], &vec![0; 3 * 8192 * 4096]);
    put("zeros.npz", &npz(&arrays, true));
    let (status, said) = verified(&place, "zeros.npz");
    assert!(status == Some(1) && said.contains("taken for an attack") && said.contains("np.savez"), "{said}");

    // Images without rows, and none at all.
    for shape in [[2u64, 0, 4], [0, 4, 4], [2, 4, 0]] {
        arrays = good.clone();
        arrays[0].1 = npy::<u8>(&shape, &[]);
        arrays[2].1 = npy::<u8>(&shape, &[]);
        if shape[0] == 0 {
            arrays[1].1 = npy::<i64>(&[0], &[]);
            arrays[3].1 = npy::<i64>(&[0], &[]);
        }
        put("none.npz", &npz(&arrays, false));
        let (status, said) = verified(&place, "none.npz");
        assert!(
            status == Some(1) && said.contains(&format!("extents {shape:?}: there are no examples")),
            "{shape:?}: {said}"
        );
    }
}

#[test]
fn damage_and_strange_labels_are_found() {
    let place = Place::new();
    let put = |name: &str, bytes: &[u8]| fs::write(place.path(name), bytes).unwrap();
    for compressed in [false, true] {
        // The first pixel of the test images, whose header is 128 bytes long, or some byte of the packed labels.
        let mut bytes = npz(&set(&[0, 1], &[1, 0]), compressed);
        let name = b"x_test.npy";
        let at = bytes.windows(name.len()).position(|it| it == name).unwrap() + name.len();
        bytes[at + if compressed { 70 } else { 130 }] ^= 1;
        put("crc.npz", &bytes);
        let (status, said) = verified(&place, "crc.npz");
        assert!(status == Some(1) && said.contains("x_test"), "{said}");
        fs::write(place.path("m.sph"), model("digits |> resize(4, 4)", 1)).unwrap();
        let output = place.sphc("train m.sph --data crc.npz --run r");
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        assert!(!place.path("r").exists());
    }

    put("from1.npz", &npz(&set(&[1, 2, 3], &[1, 2, 3]), false));
    let (status, said) = verified(&place, "from1.npz");
    assert!(status == Some(0) && said.contains("class 0 has no images, and labels are 1 to 3"), "{said}");

    put("lacking.npz", &npz(&set(&[0, 0, 1], &[0, 2]), false));
    let said = verified(&place, "lacking.npz").1;
    assert!(said.contains("1 of 3 classes has test images but none to train on: `2`"), "{said}");
    assert!(said.contains("1 of 3 classes has no test images: `1`"), "{said}");

    let mut arrays = set(&[0, 1], &[1, 0]);
    arrays.push(("x_more", npy::<u8>(&[1, 4, 4], &[0; 16])));
    arrays.push(("train_images", npy::<u8>(&[1, 4, 4], &[0; 16])));
    put("more.npz", &npz(&arrays, false));
    let said = verified(&place, "more.npz").1;
    assert!(said.contains("2 arrays of `more.npz` are not read: `train_images`, `x_more`"), "{said}");

    let mut arrays = set(&[0, 1], &[1, 0]);
    arrays[1].1 = npy::<i64>(&[3], &[0, 1, 0]);
    put("counts.npz", &npz(&arrays, false));
    let (status, said) = verified(&place, "counts.npz");
    assert!(status == Some(1) && said.contains("`y_train` has extents [3]") && !said.contains("fetch"), "{said}");
}

/// Makes archives as users do, each with something that is not as it must be.
const STRANGE: &str = r"
import numpy as np
r = np.random.default_rng(0)
b = r.integers(0, 256, (6, 8, 8, 3), 'uint8')
b[0, 0, 0] = [0, 255, 128]
y = np.array([0, 1, 2, 0, 1, 2])
def put(name, x=b, y=y, z=None, t=None):
    np.savez(name + '.npz', x_train=x, y_train=y, x_test=x if z is None else z, y_test=y if t is None else t)
put('bits', b > 99)
put('fortran', np.asfortranarray(b))
o = np.empty(6, object)
o[:] = list(b)
put('objects', o)
put('y_float', y=y.astype('float32'))
put('y_hot', y=np.eye(3)[y])
put('y_bool', y=y > 0)
put('y_row', y=y.reshape(1, 6))
put('y_text', y=np.array(['cat', 'dog', 'eel'])[y])
put('y_objects', y=np.array(['cat', 'dog', 'eel'], object)[y])
put('y_minus', y=np.where(y > 0, 1, -1))
put('y_huge', y=y * 10**12)
put('both', b > 99, y.astype('float32'))
";

#[test]
fn the_line_of_python_mends_every_strange_archive() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let run = |code: &str| {
        let output = Command::new(&python).args(["-c", code]).current_dir(place.directory.path()).output().unwrap();
        assert!(output.status.success(), "{code}\n{}", errors(&output));
    };
    run(STRANGE);
    let mut names: Vec<String> = fs::read_dir(place.directory.path())
        .unwrap()
        .filter_map(|it| it.unwrap().file_name().into_string().unwrap().strip_suffix(".npz").map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names.len(), 12);
    for name in names {
        let (status, said) = verified(&place, &format!("{name}.npz"));
        assert!(status == Some(1) && said.contains("cannot be used as it is"), "{name}: {said}");
        assert!(!said.contains("damaged") && !said.contains("fetch"), "{name}: {said}");
        let line = said.lines().find(|it| it.contains("import numpy")).unwrap_or_else(|| panic!("{name}: {said}"));
        run(line.trim());
        let (status, found) = verified(&place, &format!("{name}-mended.npz"));
        assert!(status == Some(0), "{name}: {line}\n{found}");
        // What the mended arrays must hold: the numbers that the others were made of, and labels in their order.
        let pixels = if matches!(name.as_str(), "bits" | "both") { "(x == (b > 99)).all()" } else { "(x == b).all()" };
        let labels = if matches!(name.as_str(), "y_bool" | "y_minus") {
            "(t == (y > 0)).all()"
        } else {
            "(t.ravel() == y).all()"
        };
        run(&format!(
            "{STRANGE}\nfor part in ('train', 'test'):\n    x, t = (np.load('{name}-mended.npz')[k + part] for k in ('x_', 'y_'))\n    \
             assert x.dtype == 'uint8' and {pixels}, x\n    assert {labels}, t"
        ));
    }
    // Channels that come first can be read, and are told with the line that puts them last.
    run(&format!("{STRANGE}\nput('first', b.transpose(0, 3, 1, 2))"));
    let (status, said) = verified(&place, "first.npz");
    assert!(status == Some(0) && said.contains("3x8 with 8 channels: are their channels first"), "{said}");
    run(said.lines().find(|it| it.contains("import numpy")).unwrap().trim());
    run(&format!("{STRANGE}\nassert (np.load('first-mended.npz')['x_test'] == b).all()"));
    // What nothing mends is told without a line.
    run(&format!(
        "{STRANGE}\nput('nan', b * np.nan)\nput('short', y=y[:5])\nput('words', b.astype('U3'))\nput('scalar', np.uint8(3)); put('half', b.astype('float32') / 255, z=b)"
    ));
    for name in ["nan", "short", "words", "scalar", "half"] {
        let (status, said) = verified(&place, &format!("{name}.npz"));
        assert!(status == Some(1) && !said.contains("import numpy"), "{name}: {said}");
    }
}

/// A picture of one value at a path below a place.
fn picture(place: &Place, path: &str, value: u8) {
    let path = place.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_fn(4, 4, |x, y| Luma([value.wrapping_add((x + y) as u8)])).save(path).unwrap();
}

fn pets(place: &Place, folder: &str, classes: &[&str]) {
    for (at, class) in classes.iter().enumerate() {
        for part in ["train", "test"] {
            picture(place, &format!("{folder}/{part}/{class}/a.png"), 40 * at as u8);
        }
    }
}

#[test]
fn all_that_is_not_read_is_told_by_verify_train_and_eval() {
    let place = Place::new();
    pets(&place, "pets", &["cat", "dog"]);
    fs::write(place.path("pets/train/cat/b.webp"), "x").unwrap();
    RgbaImage::from_pixel(4, 4, image::Rgba([9, 9, 9, 100])).save(place.path("pets/train/dog/b.png")).unwrap();
    fs::create_dir_all(place.path("pets/train/eel")).unwrap();
    fs::write(place.path("m.sph"), model("digits |> channels(1) |> resize(4, 4)", 1)).unwrap();
    fs::write(place.path("pets.yaml"), "name: pets\nformat: images\npath: pets\ntrain_examples: 7\n").unwrap();
    let expected = [
        "1 file not read (neither .png, .jpg nor .jpeg): `train/cat/b.webp`",
        "1 of 3 classes has no images: `eel`",
        "there are 3 training images, while `pets` usually has 7",
    ];
    let output = place.sphc("train m.sph --data pets.yaml --run r");
    let trained = errors(&output);
    assert_eq!(output.status.code(), Some(0), "{trained}");
    let output = place.sphc("eval m.sph --data pets.yaml --weights r/checkpoints/step-00000004.safetensors");
    let evaluated = errors(&output);
    assert_eq!(output.status.code(), Some(0), "{evaluated}");
    for said in [&trained, &evaluated] {
        for it in expected {
            assert_eq!(said.matches(it).count(), 1, "{it}: {said}");
        }
        assert!(said.contains("1 picture is put on black, as it has transparent pixels: `train/dog/b.png`"), "{said}");
    }
    // Without steps the pictures differ in their channels.
    fs::remove_file(place.path("pets/train/dog/b.png")).unwrap();
    let (status, said) = verified(&place, "pets.yaml");
    assert!(status == Some(0) && said.contains("3 warnings"), "{said}");
    assert!(said.contains("2 training images, while `pets` usually has 7"), "{said}");

    // Classes of a manifest that are not the folders.
    for (classes, expected) in [("[dog, cat, eel]", "in another order than"), ("[cat, dog]", "others than")] {
        let text = format!("name: pets\nformat: images\npath: pets\nclasses: {classes}\n");
        fs::write(place.path("pets.yaml"), text).unwrap();
        let (status, said) = verified(&place, "pets.yaml");
        assert!(status == Some(1) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_url_that_is_none_is_told() {
    let place = Place::new();
    let sum = "0".repeat(64);
    fs::write(place.path("m.yaml"), format!("name: pets\nformat: images\nfiles: [{{url: \"\", sha256: \"{sum}\"}}]\n"))
        .unwrap();
    let (status, said) = verified(&place, "m.yaml");
    assert!(status == Some(1) && said.contains("the url `` is not an address"), "{said}");
}

#[test]
fn classes_travel_with_the_weights() {
    let place = Place::new();
    pets(&place, "pets", &["cat", "cow", "dog"]);
    pets(&place, "zoo", &["ape", "cat", "dog"]);
    let model = model("digits |> channels(1) |> resize(4, 4)", 1);
    fs::write(place.path("m.sph"), &model).unwrap();
    place.succeeds("train m.sph --data pets --run r");
    let weights = "--weights r/checkpoints/step-00000004.safetensors";
    place.succeeds(&format!("eval m.sph --data pets {weights}"));
    let fails = |words: &str, expected: &[&str]| {
        let output = place.sphc(words);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        expected.iter().for_each(|it| assert!(said.contains(it), "{it}: {said}"));
    };
    let differ = ["lacks `cow`", "know no `ape`", "class 0 is `cat` in the weights and `ape` in the data set"];
    fails(&format!("eval m.sph --data zoo {weights}"), &differ);
    picture(&place, "one.png", 0);
    fails(&format!("predict m.sph --data zoo {weights} one.png"), &differ);
    fails("train m.sph --data zoo --run r --resume --iterations 6", &["lacks `cow`", "resume with the data set"]);
    // Fewer classes are told as such, not as tensors of another shape.
    pets(&place, "two", &["cat", "cow"]);
    fails(&format!("eval m.sph --data two {weights}"), &["the data set lacks `dog`"]);

    // The names are those of the weights, though the data set is gone.
    fs::remove_dir_all(place.path("pets")).unwrap();
    let said = place.succeeds(&format!("predict m.sph {weights} one.png --top 3 --format json"));
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mut names: Vec<&str> =
        found["classes"].as_array().unwrap().iter().map(|it| it["class"].as_str().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["cat", "cow", "dog"]);

    // The same classes in another order.
    fs::write(place.path("n.npz"), npz(&set(&[0, 1, 2], &[0, 1, 2]), false)).unwrap();
    let manifest = |order: &str| {
        fs::write(place.path("n.yaml"), format!("name: n\nformat: npz\npath: n.npz\nclasses: {order}\n")).unwrap()
    };
    manifest("[cow, cat, dog]");
    fails(&format!("eval m.sph --data n.yaml {weights}"), &["the classes in another order: class 0 is `cat`"]);
    manifest("[cat, cow, dog]");
    place.succeeds(&format!("eval m.sph --data n.yaml {weights}"));
    // Numbers without names cannot be compared, which is told.
    let output = place.sphc(&format!("eval m.sph --data n.npz {weights}"));
    assert!(output.status.success() && errors(&output).contains("names on one side only"), "{}", errors(&output));
    // Starting from them with other classes may be meant.
    let output = place.sphc(&format!("train m.sph --data zoo --init {} --run s", &weights[10..]));
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("warning: the weights of `--init` bring other outputs"), "{}", errors(&output));
}

#[test]
fn the_scale_of_the_images_travels_with_the_weights() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    GrayImage::from_pixel(8, 8, Luma([200])).save(place.path("bright.png")).unwrap();
    GrayImage::from_pixel(8, 8, Luma([12])).save(place.path("dark.png")).unwrap();
    let output = place.sphc(&format!("predict tiny.sph {weights} bright.png"));
    assert!(
        output.status.success() && errors(&output).contains("the brightest pixel is 200 here and was 16"),
        "{output:?}"
    );
    let output = place.sphc(&format!("predict tiny.sph {weights} dark.png"));
    assert!(output.status.success() && errors(&output).is_empty(), "{}", errors(&output));
}

#[test]
fn pipes_and_devices_are_not_read() {
    let place = Place::new();
    let devices = [("pipe", "mkfifo"), ("zero", "ln -s /dev/zero")];
    for (name, command) in devices {
        for file in [format!("{name}.npz"), format!("{name}.yaml"), format!("{name}.png")] {
            let made = Command::new("sh")
                .args(["-c", &format!("{command} {file}")])
                .current_dir(place.directory.path())
                .status()
                .unwrap();
            assert!(made.success());
        }
        for it in [format!("{name}.npz"), format!("{name}.yaml")] {
            let (status, said) = verified(&place, &it);
            assert_eq!(status, Some(1), "{said}");
        }
        place.succeeds(&format!("train tiny.sph --run {name}"));
        let weights = format!("{name}/checkpoints/step-00000012.safetensors");
        let output = place.sphc(&format!("predict tiny.sph --weights {weights} {name}.png"));
        assert!(errors(&output).contains("not a plain file"), "{}", errors(&output));
    }
}

/// The same names and numbers of examples, and others in them.
#[test]
fn other_examples_under_the_same_names_are_no_data_to_go_on_with() {
    let place = Place::new();
    pets(&place, "pets", &["cat", "dog"]);
    fs::write(place.path("m.sph"), model("digits |> channels(1) |> resize(4, 4)", 1)).unwrap();
    place.succeeds("train m.sph --data pets --run r");
    let go_on = "train m.sph --data pets --run r --resume --iterations";
    let refused = |expected: &str| {
        let output = place.sphc(&format!("{go_on} 9"));
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected) && said.contains("with `--init`"), "{said}");
    };
    let [train, test] = ["pets/train/cat/a.png", "pets/test/dog/a.png"];
    let [whole, other] = [train, test].map(|it| fs::read(place.path(it)).unwrap());
    picture(&place, train, 99);
    refused("the training examples are not those that the run was started with");
    fs::write(place.path(train), &whole).unwrap();
    picture(&place, test, 98);
    refused("the examples that it is evaluated on are not those");
    fs::write(place.path(test), &other).unwrap();
    // One more, or one less, is no other text.
    picture(&place, "pets/train/cat/b.png", 97);
    refused("the data set was changed: it has 3 examples to train on, and had 2 when the run was started");
    fs::remove_file(place.path("pets/train/cat/b.png")).unwrap();
    // Files that were copied or written again are the same examples.
    fs::rename(place.path("pets/train/cat/a.png"), place.path("pets/train/cat/renamed.png")).unwrap();
    fs::write(place.path("copy.png"), &other).unwrap();
    fs::rename(place.path("copy.png"), place.path(test)).unwrap();
    place.succeeds(&format!("{go_on} 6"));
    // So are the numbers of arrays whose labels changed.
    fs::write(place.path("n.npz"), npz(&set(&[0, 1, 0], &[0, 1]), false)).unwrap();
    place.succeeds("train m.sph --data n.npz --run n");
    fs::write(place.path("n.npz"), npz(&set(&[0, 1, 1], &[0, 1]), false)).unwrap();
    let output = place.sphc("train m.sph --data n.npz --run n --resume --iterations 9");
    assert!(errors(&output).contains("the training examples are not those"), "{}", errors(&output));
}

/// A set of one's own that has the name of one of the program's.
#[test]
fn a_range_is_that_of_the_data_set_and_not_of_its_name() {
    let place = Place::new();
    let arrays = |most: u64| {
        let pixels = |count: u64| (0..count * 64).map(|it| (it * 31 % (most + 1)) as u8).collect::<Vec<_>>();
        let images = |count: u64| npy::<u8>(&[count, 8, 8], &pixels(count));
        let labels = |count: i64| npy::<i64>(&[count as u64], &(0..count).map(|it| it % 2).collect::<Vec<_>>());
        npz(
            &[("x_train", images(200)), ("y_train", labels(200)), ("x_test", images(20)), ("y_test", labels(20))],
            false,
        )
    };
    let manifest = |more: &str| {
        fs::write(place.path("digits.yaml"), format!("name: digits\nformat: npz\npath: own.npz\n{more}")).unwrap()
    };
    manifest("");
    let text = crate::runs::cli::MODEL.replace("(image - 8) / 8", "(image - 127.5) / 127.5");
    fs::write(place.path("m.sph"), text.replace("digits", "\"digits.yaml\"")).unwrap();
    fs::write(place.path("d.sph"), &text).unwrap();
    for (most, told) in [(255, false), (16, true)] {
        fs::write(place.path("own.npz"), arrays(most)).unwrap();
        for words in [
            "check m.sph",
            "train m.sph --run r --iterations 1",
            "train d.sph --data digits.yaml --run s --iterations 1",
        ] {
            let said = errors(&place.sphc(words));
            assert_eq!(said.contains("W0205") && said.contains("their bytes are 0 to 16"), told, "{words}: {said}");
            let _ = (fs::remove_dir_all(place.path("r")), fs::remove_dir_all(place.path("s")));
        }
    }
    fs::write(place.path("own.npz"), arrays(254)).unwrap();
    manifest("range: [0, 16]\n");
    place.fails(
        "data verify digits.yaml",
        &["`digits` has numbers from 0 to 254, and its manifest says 0 to 16", "correct `range`"],
    );
    manifest("range: [16, 0]\n");
    place.fails("data verify digits.yaml", &["`range` is 16 to 0, not the least and the largest number"]);
    let output = place.sphc("check m.sph");
    assert!(errors(&output).contains("not the least and the largest number"), "{}", errors(&output));
}

/// Names with signs that a terminal obeys, and one that is no text.
#[cfg(unix)]
#[test]
fn odd_names_of_classes_and_files_are_told_in_one_line() {
    use std::os::unix::ffi::OsStringExt;
    let place = Place::new();
    pets(&place, "pets", &["c\na\tt\x1b[31m", "dog"]);
    fs::write(place.path("pets/train/dog/n\no.txt"), "x").unwrap();
    fs::write(place.path("m.sph"), model("digits |> channels(1) |> resize(4, 4)", 1)).unwrap();
    let output = place.sphc("train m.sph --data pets --run r");
    assert!(output.status.success(), "{}", errors(&output));
    assert!(
        errors(&output).contains("not read (neither .png, .jpg nor .jpeg): `train/dog/n\\no.txt`"),
        "{}",
        errors(&output)
    );
    let weights = "--weights r/checkpoints/step-00000004.safetensors";
    let told = place.succeeds(&format!("eval m.sph --data pets {weights} --per-class"));
    assert!(told.lines().any(|it| it.starts_with("c\\na\\tt")) && !told.contains('\x1b'), "{told}");
    let told = place.succeeds(&format!("predict m.sph --data pets {weights} pets/test/dog --top 2"));
    assert!(told.contains("c\\na\\tt") && !told.contains('\x1b'), "{told}");
    // A damaged picture in that folder.
    fs::write(place.path("pets/train/c\na\tt\x1b[31m/b.png"), "x").unwrap();
    let (status, said) = verified(&place, "pets");
    assert!(status == Some(1) && said.contains("pets/train/c\\na\\tt\\u{1b}[31m/b.png`"), "{said}");

    let odd = place.path("odd/train").join(std::ffi::OsString::from_vec(b"ca\xff".to_vec()));
    if fs::create_dir_all(&odd).is_ok() {
        GrayImage::from_pixel(4, 4, Luma([1])).save(odd.join("a.png")).unwrap();
        fs::create_dir_all(place.path("odd/test")).unwrap();
        let (status, said) = verified(&place, "odd");
        assert!(status == Some(1) && said.contains("the name of a class must be UTF-8"), "{said}");
    }
}
