//! Arrays in several files, and arrays for validation: what comes of them is what one file would give.

use crate::files::data::{npy, npz};
use crate::runs::cli::{MODEL, Place, errors, metrics};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Images of 8x8 from one number on, and their classes.
fn part(from: usize, count: usize) -> [Vec<u8>; 2] {
    let pixels: Vec<u8> = (64 * from..64 * (from + count)).map(|it| (it * 31 % 17) as u8).collect();
    let labels: Vec<i64> = (from..from + count).map(|it| (it % 3) as i64).collect();
    [npy(&[count as u64, 8, 8], &pixels), npy(&[count as u64], &labels)]
}

fn put(place: &Place, name: &str, arrays: &[(&str, Vec<u8>)]) {
    let path = place.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, npz(arrays, false)).unwrap();
}

/// The same data set as one file, and as several.
fn sets(place: &Place) {
    let ([x, y], [t, u], [v, w]) = (part(0, 120), part(500, 30), part(900, 20));
    put(
        place,
        "one.npz",
        &[
            ("x_train", x),
            ("y_train", y),
            ("x_test", t.clone()),
            ("y_test", u.clone()),
            ("x_val", v.clone()),
            ("y_val", w.clone()),
        ],
    );
    for (number, (from, count)) in [(9, (0, 50)), (10, (50, 1)), (11, (51, 69))] {
        let [x, y] = part(from, count);
        // Either names of arrays will do.
        let names = if number == 10 { ["x_train", "y_train"] } else { ["x", "y"] };
        put(place, &format!("many/train-{number}.npz"), &[(names[0], x), (names[1], y)]);
    }
    put(place, "many/test.npz", &[("images", t), ("labels", u)]);
    put(place, "many/val_0.npz", &[("x", v), ("y", w)]);
}

#[test]
fn several_files_are_one_to_the_bit() {
    let place = Place::new();
    sets(&place);
    let said = place.succeeds("data verify many");
    assert!(said.contains("120 training and 30 test images of 8x8x1, 20 for validation"), "{said}");
    fs::write(
        place.path("named.yaml"),
        "name: named\nformat: npz\npath: many\ntrain: [train-9.npz, 'train-1*.npz']\ntest: test.npz\nval: val_0.npz\n",
    )
    .unwrap();
    let mut found = Vec::new();
    for (data, memory, threads) in
        [("one.npz", "", 2), ("many", "", 1), ("many", "3K", 2), ("one.npz", "3K", 1), ("named.yaml", "3K", 1)]
    {
        fs::write(place.path("m.sph"), MODEL.replace("digits", &format!("\"{data}\""))).unwrap();
        let run = format!("r{}", found.len());
        let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(format!("train m.sph --run {run} --threads {threads}").split_whitespace())
            .current_dir(place.directory.path())
            .env("SPHC_DATA_MEMORY", memory)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{data}: {}", errors(&output));
        assert_eq!(errors(&output).contains("lie in a file"), !memory.is_empty());
        // The weights: what stands before them tells the data set's name.
        let bytes = place.final_checkpoint(&run);
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        found.push((bytes[header..].to_vec(), metrics(&place.path(&run))));
    }
    assert!(found.iter().all(|it| *it == found[0]));
}

#[test]
fn arrays_for_validation_are_looked_at_while_training() {
    let place = Place::new();
    sets(&place);
    fs::write(place.path("tiny.sph"), MODEL.replace("digits", "\"one.npz\"")).unwrap();
    let output = place.sphc("train tiny.sph --run r");
    assert!(errors(&output).contains("(120 training and 20 validation images)"), "{}", errors(&output));
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    let log = fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    let told: Value = serde_json::from_str(log.lines().rfind(|it| it.contains("test_loss")).unwrap()).unwrap();
    let evaluated = |split: &str| -> Value {
        serde_json::from_str(&place.succeeds(&format!("eval tiny.sph {weights} {split} --format json"))).unwrap()
    };
    let found = evaluated("--split validation");
    assert_eq!((&found["examples"], &found["test_loss"]), (&20.into(), &told["test_loss"]));
    assert_eq!(evaluated("")["examples"], 30);
    // Two kinds of validation are one too many, and half of one is none.
    fs::write(
        place.path("both.sph"),
        MODEL.replace("digits", "\"one.npz\"").replace("batch      16", "validate   0.25\n    batch      16"),
    )
    .unwrap();
    place.fails("train both.sph --run run", &["has its own", "`x_val`"]);
    let [x, y] = part(0, 6);
    put(
        &place,
        "half.npz",
        &[("x_train", x.clone()), ("y_train", y.clone()), ("x_test", x.clone()), ("y_test", y), ("x_val", x)],
    );
    place.fails("data verify half.npz", &["it has no array `y_val` and no `val_labels`"]);
}

#[test]
fn a_share_of_arrays_without_tests_is_taken_on_request() {
    let place = Place::new();
    let [x, y] = part(0, 40);
    put(&place, "train.npz", &[("x_train", x), ("y_train", y)]);
    place.fails("data verify train.npz", &["it has no array `x_test` and no `test_images`"]);
    let manifest = |seed: u32| {
        fs::write(
            place.path("t.yaml"),
            format!("name: t\nformat: npz\npath: train.npz\nsplit: 0.25\nsplit_seed: {seed}\n"),
        )
        .unwrap();
        let (found, at) = sphc::data::locate(place.path("t.yaml").to_str().unwrap(), None).unwrap();
        sphc::data::read(&found, &at, &[]).unwrap()
    };
    let (one, again, other) = (manifest(0), manifest(0), manifest(1));
    assert_eq!((one.train.len(), one.test.len()), (30, 10));
    assert!(one == again && one.test != other.test);
    assert!(place.succeeds("data verify t.yaml").contains("30 training and 10 test images"));
    sets(&place);
    fs::write(place.path("t.yaml"), "name: t\nformat: npz\npath: one.npz\nsplit: 0.25\n").unwrap();
    place.fails("data verify t.yaml", &["it has `x_test`, and the manifest says `split`"]);
}

#[test]
fn faults_of_a_file_among_many_are_told_with_its_name() {
    let place = Place::new();
    let fails = |name: &str, arrays: &[(&str, Vec<u8>)], expected: &[&str]| {
        sets(&place);
        put(&place, &format!("many/{name}"), arrays);
        place.fails("data verify many", expected);
    };
    let [x, y] = part(0, 5);
    let wide = npy::<u8>(&[5, 8, 9], &[1; 360]);
    fails(
        "train-10.npz",
        &[("x", wide), ("y", y.clone())],
        &["train-10.npz`", "have extents [8,9,1]", "train-9.npz` [8,8,1]"],
    );
    let floats = npy::<f32>(&[5, 8, 8], &[0.5; 320]);
    fails(
        "train-10.npz",
        &[("x", floats), ("y", y.clone())],
        &[
            "many/train-10.npz`",
            "`x` has dtype <f4, and `x` of `many/train-9.npz` dtype |u1: whole numbers and floats may be of two scales",
            "`x.astype('float32') / 255`",
        ],
    );
    fails(
        "train-10.npz",
        &[("x", x.clone()), ("y", npy::<i64>(&[4], &[0; 4]))],
        &["train-10.npz`", "`y` has extents [4]"],
    );
    fails(
        "train-11.npz",
        &[("x", x.clone()), ("y", npy::<i64>(&[5], &[0, 1, 2, 0, -1]))],
        &["train-11.npz`", "label -1 at 4"],
    );
    fails("train-11.npz", &[("x", x.clone())], &["train-11.npz`", "no array `y_train`"]);
    let nan = npy::<f32>(&[5], &[0.5, 1.0, f32::NAN, 0.0, 0.0]);
    fails("train-11.npz", &[("x", x.clone()), ("y", nan)], &["they are of two kinds"]);
    sets(&place);
    fs::write(place.path("many/train-11.npz"), &npz(&[("x", x.clone()), ("y", y.clone())], false)[..700]).unwrap();
    place.fails("data verify many", &["train-11.npz` is damaged", "it is an archive that is cut off at its end"]);
    for (bytes, expected) in [
        (x.clone(), "it is a single array (.npy), not an archive of arrays"),
        (b"hello, this is no archive at all".to_vec(), "it is not a ZIP archive, which an .npz file is"),
        (Vec::new(), "is empty"),
    ] {
        fs::write(place.path("many/train-11.npz"), bytes).unwrap();
        place.fails("data verify many", &["train-11.npz`", expected]);
    }
    fs::remove_file(place.path("many/train-11.npz")).unwrap();
    fs::remove_file(place.path("many/train-10.npz")).unwrap();
    put(&place, "many/train-12.npz", &[("x", x), ("y", y)]);
    let output = place.sphc("data verify many");
    assert!(errors(&output).contains("numbers are missing: `10`, `11`"), "{}", errors(&output));
    fs::remove_file(place.path("many/test.npz")).unwrap();
    place.fails("data verify many", &["no .npz file for test", "`test*.npz`"]);
}
