//! Pictures with a table of targets, as torchvision's and Kaggle's users have them: classes, several classes each, numbers.

use crate::runs::cli::{Place, errors};
use image::{GrayImage, Luma};
use sphc::data::{Dataset, Targets, locate, read};
use sphc::ir::TargetKind;
use std::fs;

/// Pictures of 4x4 by their numbers.
fn pictures(place: &Place, folder: &str, numbers: std::ops::Range<u8>) {
    fs::create_dir_all(place.path(folder)).unwrap();
    for at in numbers {
        GrayImage::from_pixel(4, 4, Luma([at])).save(place.path(&format!("{folder}/p{at}.png"))).unwrap();
    }
}

fn put(place: &Place, name: &str, text: &str) {
    fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
    fs::write(place.path(name), text).unwrap();
}

fn found(place: &Place, name: &str) -> Dataset {
    let (manifest, at) = locate(place.path(name).to_str().unwrap(), None).unwrap();
    read(&manifest, &at, &[]).unwrap()
}

#[test]
fn columns_are_classes_labels_or_numbers() {
    let place = Place::new();
    pictures(&place, "set/images", 0..6);
    let of = |train: &str, test: &str| {
        put(&place, "set/train.csv", train);
        put(&place, "set/test.csv", test);
        found(&place, "set")
    };
    // Kaggle leaves endings out.
    let data = of("image_id,label\np0,dog\np1,cat\np2,dog\n", "image_id,label\np3.png,cat\n");
    assert_eq!(
        (data.target.clone(), data.classes.clone()),
        (TargetKind::Class, vec!["cat".to_owned(), "dog".to_owned()])
    );
    assert_eq!((data.train.targets.labels(), data.test.targets.labels()), (&[1, 0, 1][..], &[0][..]));
    assert_eq!(data.train.images.to_vec(), [[0; 16], [1; 16], [2; 16]].concat());
    // Numbers of classes, as torchvision's annotations have them, without a header and with spaces.
    let data = of("images/p0.png, 2\nimages/p1.png, 0\n", "images/p5.png, 1\n");
    assert_eq!((data.classes.len(), data.train.targets.labels()), (3, &[2, 0][..]));
    assert!(
        data.warnings.iter().any(|it| it.contains("the first line of `train.csv` names a picture")),
        "{:?}",
        data.warnings
    );
    // One column for each class.
    let data = of("file,healthy,rust,scab\np0,1,0,0\np1,0,0,1\n", "file,healthy,rust,scab\np2,0,1,0\n");
    assert_eq!((data.target.clone(), data.train.targets.labels()), (TargetKind::Class, &[0, 2][..]));
    assert_eq!(data.classes, ["healthy", "rust", "scab"]);
    let data = of("file,a,b\np0,True,False\np1,True,True\n", "file,a,b\np2,0,0\n");
    assert_eq!(data.target, TargetKind::Labels);
    assert_eq!(data.train.targets, Targets::Bytes { each: 2, bytes: vec![1, 0, 1, 1] });
    // Numbers.
    let data = of("file;x;y\np0;1.5;-2\np1;3;1e-3\n", "file;x;y\np2;0;0\n");
    assert_eq!(data.target, TargetKind::Numbers(vec![2]));
    assert_eq!(data.train.targets, Targets::Numbers { each: 2, numbers: vec![1.5, -2.0, 3.0, 1e-3] });
    let data = of("file\tage\np0\t1.5\np1\t30\n", "file\tage\np2\t20\n");
    assert_eq!(
        (data.target, data.test.targets),
        (TargetKind::Numbers(vec![1]), Targets::Numbers { each: 1, numbers: vec![20.0] })
    );
}

#[test]
fn a_manifest_says_what_could_be_two_things() {
    let place = Place::new();
    pictures(&place, "sets/shots", 0..9);
    put(
        &place,
        "sets/all.csv",
        "\u{feff}age,photo,tags,more\n31,p0,sun sea,x\n7,p1,sea,y\n65,p2,sun,\n20,p3,sky|sun,z\n",
    );
    let of = |more: &str| {
        put(
            &place,
            "m.yaml",
            &format!(
                "name: m\nformat: csv\npath: sets\ntrain: all.csv\nsplit: 0.25\nimages: shots\nfile: photo\n{more}"
            ),
        );
        found(&place, "m.yaml")
    };
    let data = of("columns: age\ntarget: numbers\n");
    assert_eq!((data.target, data.train.len(), data.test.len()), (TargetKind::Numbers(vec![1]), 3, 1));
    let data = of("columns: [tags]\ntarget: labels\n");
    assert_eq!((data.target, data.classes), (TargetKind::Labels, vec!["sea".to_owned(), "sky".into(), "sun".into()]));
    let data = of("columns: [tags]\n");
    assert_eq!((data.target, data.classes.len()), (TargetKind::Class, 4));
    let said = |more: &str| {
        put(
            &place,
            "m.yaml",
            &format!(
                "name: m\nformat: csv\npath: sets\ntrain: all.csv\nsplit: 0.25\nimages: shots\nfile: photo\n{more}"
            ),
        );
        let output = place.sphc("data verify m.yaml");
        assert_eq!(output.status.code(), Some(1), "{more}");
        errors(&output)
    };
    assert!(said("").contains("line 4 has nothing in the column `more`"));
    let text = said("columns: [age, tags]\n");
    assert!(text.contains("some hold text: `tags`") && text.contains("columns: [label]"), "{text}");
    assert!(said("columns: [years]\n").contains("it has no column `years`, but `age`, `photo`, `tags`, `more`"));
    assert!(said("columns: [age]\nclasses: [a, b]\n").contains("line 2 has the class 31, while classes are 0 to 1"));
    assert!(said("columns: [tags]\ntarget: numbers\n").contains("line 2 has `sun sea` for `tags`, no finite number"));
    assert!(said("columns: [age]\ntarget: pixels\n").contains("format: masks"));
}

#[test]
fn every_fault_of_a_line_is_told_with_its_number() {
    let place = Place::new();
    pictures(&place, "set/train", 0..4);
    pictures(&place, "set/test", 4..6);
    let said = |train: &str, test: &str| {
        put(&place, "set/train.csv", train);
        put(&place, "set/test.csv", test);
        let output = place.sphc("data verify set");
        (output.status.code(), errors(&output))
    };
    let fails = |train: &str, test: &str, expected: &[&str]| {
        let (status, text) = said(train, test);
        assert_eq!(status, Some(1), "{text}");
        expected.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
    };
    let test = "file,label\np4,a\np5,b\n";
    fails(
        "file,label\np0,a\np9,b\np1\n,b\np2,\n\"p3\",b,c\n",
        test,
        &[
            "train.csv`",
            "line 3 names the picture `p9`, which is not there",
            "line 4 has 1 cell, the first has 2",
            "line 5 names no picture",
            "line 6 has nothing in the column `label`",
            "line 7 has 3 cells",
        ],
    );
    let many: String = (0..20).map(|it| format!("q{it},a\n")).collect();
    fails(&format!("file,label\n{many}"), test, &["line 6 names", "and 15 more lines"]);
    fails(
        "file,label\np0,a\np1,a\n",
        test,
        &["test.csv`", "line 3 has the class `b`: the training has no such picture"],
    );
    fails("file,label\np0,0\np1,-1\n", "file,label\np4,0\n", &["line 3 has the class -1", "target: numbers"]);
    fails("file,x\np0,0.5\np1,nan\n", "file,x\np4,0.5\n", &["line 3 has `nan` for `x`, no finite number"]);
    fails("file,x\np0,0.5\np1,1e999\n", "file,x\np4,0.5\n", &["line 3 has `1e999` for `x`"]);
    fails("file,label\np0,a\n", "file,other\np4,a\n", &["test.csv`", "its targets are the columns `other`"]);
    fails("file\np0\n", "file\np4\n", &["it has one column, `file`"]);
    fails("file,a,a\np0,1,0\n", test, &["two of its columns are called `a`"]);
    fails("file,label\np0,a\np1,\"b\np2,a\np3,b\n", test, &["train.csv`", "line 3 opens a quote that is never closed"]);
    for x in ["0,5", "-1,200.5"] {
        let numbers = format!("file;x\np0;{x}\np1;3\n");
        fails(
            &numbers,
            "file;x\np4;1\n",
            &["train.csv`", &format!("line 2 has `{x}` for `x`"), "numbers with a point"],
        );
    }
    fails("", test, &["train.csv` is empty"]);
    fails("file,label\n", test, &["train.csv` is empty"]);
    fs::write(place.path("set/train.csv"), b"file,label\np0,caf\xe9\n").unwrap();
    put(&place, "set/test.csv", test);
    let output = place.sphc("data verify set");
    assert!(errors(&output).contains("line 2 is no text in UTF-8"), "{}", errors(&output));
    put(&place, "set/train.csv", "file,label\np0,a\n");
    fs::remove_file(place.path("set/test.csv")).unwrap();
    place.fails("data verify set", &["there is no `set/test.csv`", "split: 0.2"]);
    // What can be read all the same is told.
    let (status, text) = said("file,label\np0,a\np0,b\np1,b\n", "file,label\ntrain/p1,a\np4,b\n");
    assert_eq!(status, Some(0), "{text}");
    for it in [
        "1 picture named by several lines of a table: `train/p0.png`",
        "1 picture of two parts, so that what is tested was learned: `train/p1.png`",
        "3 pictures are named by no line, and not read: `test/p5.png`, `train/p2.png`, `train/p3.png`",
    ] {
        assert!(text.contains(it), "{it}: {text}");
    }
}

#[test]
fn a_table_is_trained_on_as_anything_else() {
    let place = Place::new();
    pictures(&place, "set/images", 0..40);
    let rows = |range: std::ops::Range<u32>| -> String {
        let row = |it: u32| format!("p{it},{},{}\n", f64::from(it) / 10.0, 4.0 - f64::from(it) / 20.0);
        format!("file,a,b\n{}", range.map(row).collect::<String>())
    };
    put(&place, "set/train.csv", &rows(0..30));
    put(&place, "set/test.csv", &rows(30..35));
    put(&place, "set/val.csv", &rows(35..40));
    put(
        &place,
        "m.sph",
        "model M {\n    input x: u8[4, 4, 1]\n    output dense(x / 40, 2, bias: true) as \"score\"\n}\n\ntrain {\n    data       \
         \"set\"\n    batch      8\n    iterations 12\n    loss       mean_squared_error()\n    optimizer  adam(rate: 1e-2)\n}\n",
    );
    let output = place.sphc("train m.sph --run r");
    assert!(errors(&output).contains("(30 training and 5 validation images)"), "{}", errors(&output));
    let said = place.succeeds("eval m.sph --weights r/checkpoints/step-00000012.safetensors");
    assert!(said.contains("on 5 images"), "{said}");
    for words in ["check m.sph", "diff m.sph m.sph", "verify m.sph", "bench m.sph --steps 1"] {
        place.succeeds(words);
    }
    // The same bits where they do not fit into memory.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["train", "m.sph", "--run", "s", "--threads", "1"])
        .current_dir(place.directory.path())
        .env("SPHC_DATA_MEMORY", "600")
        .output()
        .unwrap();
    assert!(output.status.success() && errors(&output).contains("lie in a file"), "{}", errors(&output));
    assert_eq!(place.final_checkpoint("r"), place.final_checkpoint("s"));
}
