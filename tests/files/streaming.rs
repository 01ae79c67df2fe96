//! Images that are more than may be taken of memory: the same bits, from a file.

use crate::runs::cli::{MODEL, Place, errors};
use image::{GrayImage, Luma};
use sphc::data::{Named, Values, write_npz};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const CLASSES: [&str; 2] = ["cat", "dog"];

/// A folder of 8x8 pictures of noise, brighter in one class.
fn folder(place: &Place) {
    for (part, count) in [("train", 150), ("test", 80)] {
        for (class, name) in CLASSES.into_iter().enumerate() {
            let folder = place.path(&format!("pets/{part}/{name}"));
            fs::create_dir_all(&folder).unwrap();
            for at in 0..count {
                let value = |x: u32, y: u32| ((x * 7 + y * 13 + at * 29) % 97) as u8 / 7 + 3 * class as u8;
                let picture = GrayImage::from_fn(8, 8, |x, y| Luma([value(x, y)]));
                picture.save(folder.join(format!("{at:03}.png"))).unwrap();
            }
        }
    }
}

/// An npz file of 8x8 images of noise in two classes.
pub(crate) fn arrays(path: &Path) {
    let array = |name: &str, shape: Vec<usize>, values| Named { name: name.into(), shape, values };
    let images = |count: usize| Values::Bytes((0..count * 64).map(|it| (it * 31 % 17) as u8).collect());
    let labels = |count: usize| Values::Ints((0..count).map(|it| (it % 2) as i64).collect());
    let all = [
        array("x_train", vec![300, 8, 8], images(300)),
        array("y_train", vec![300], labels(300)),
        array("x_test", vec![160, 8, 8], images(160)),
        array("y_test", vec![160], labels(160)),
    ];
    write_npz(&all, fs::File::create(path).unwrap()).unwrap();
}

fn within(place: &Place, memory: &str, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(words.split_whitespace())
        .current_dir(place.directory.path())
        .env("SPHC_DATA_MEMORY", memory)
        .output()
        .unwrap()
}

#[test]
fn a_training_from_a_file_is_one_from_memory_to_the_bit() {
    let place = Place::new();
    folder(&place);
    arrays(&place.path("set.npz"));
    for (name, data, entry) in [
        ("pets", "\"pets\"", "augment    crop(pad: 1)"),
        ("kept", "\"pets\"", "validate   0.3"),
        ("set", "\"set.npz\"", "validate   0.3"),
        ("padded", "\"set.npz\" |> pad(1) |> resize(8, 8)", "accumulate 2"),
    ] {
        let text = MODEL.replace("digits", data).replace("evaluate ", &format!("{entry}\n    evaluate "));
        fs::write(place.path("m.sph"), text).unwrap();
        let run = |memory: &str, run: &str, threads: u32| {
            let words = format!("train m.sph --run {name}-{run} --iterations 30 --threads {threads}");
            let output = within(&place, memory, &words);
            assert_eq!(output.status.code(), Some(0), "{name}\n{}", errors(&output));
            let checkpoint = format!("{name}-{run}/checkpoints/step-00000030.safetensors");
            (
                fs::read(place.path(&checkpoint)).unwrap(),
                crate::runs::cli::metrics(&place.path(&format!("{name}-{run}"))),
                errors(&output),
            )
        };
        let held = run("", "held", 2);
        assert!(!held.2.contains("lie in a file"), "{}", held.2);
        for threads in [1, 2] {
            let mapped = run("8K", &format!("mapped-{threads}"), threads);
            assert!(
                mapped.2.contains("of images are more than the 8000 bytes that they may take of memory"),
                "{}",
                mapped.2
            );
            assert!((held.0 == mapped.0) && (held.1 == mapped.1), "{name}: {threads} threads");
        }
    }
}

#[test]
fn what_cannot_be_streamed_is_told() {
    let place = Place::new();
    folder(&place);
    fs::write(place.path("m.sph"), MODEL.replace("digits", "\"pets\"")).unwrap();
    let fails = |memory: &str, expected: &[&str]| {
        let output = within(&place, memory, "train m.sph --run r");
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        expected.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
        assert!(!place.path("r").exists());
    };
    fails("much", &["`SPHC_DATA_MEMORY=much` is not understood", "`500M`"]);
    let picture = place.path("pets/train/dog/077.png");
    let whole = fs::read(&picture).unwrap();
    fs::write(&picture, &whole[..whole.len() - 20]).unwrap();
    fails("8K", &["pets/train/dog/077.png"]);
    fs::write(&picture, &whole).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["train", "m.sph", "--run", "r"])
        .current_dir(place.directory.path())
        .env("SPHC_DATA_MEMORY", "8K")
        .env("TMPDIR", place.path("nowhere"))
        .output()
        .unwrap();
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot write a file of") && text.contains("TMPDIR=DIR"), "{text}");
}
