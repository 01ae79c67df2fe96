//! `sphc predict` of folders, and with averages over the steps: which weights of a file are used.

use crate::runs::cli::{MODEL, Place, errors};
use image::{GrayImage, Luma};
use serde_json::{Value, json};
use sphc::train::weights::Weights;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file as other programs write it: tensors and nothing besides.
fn write(path: &Path, tensors: &BTreeMap<String, (Vec<usize>, Vec<f64>)>) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|it| (*it as f32).to_le_bytes()));
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }));
    }
    let header = Value::Object(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
}

fn picture(place: &Place, name: &str, value: u8) {
    GrayImage::from_fn(8, 8, |x, y| Luma([value ^ (x * y % 17) as u8])).save(place.path(name)).unwrap();
}

fn probabilities(place: &Place, file: &str, weights: &str) -> Vec<Value> {
    let said =
        place.succeeds(&format!("predict {file} --data digits --weights {weights} a.png --top 10 --format json"));
    serde_json::from_str::<Value>(&said).unwrap()["classes"].as_array().unwrap().clone()
}

#[test]
fn averages_are_used_where_the_recipe_has_some_and_weights_are_their_own_where_they_have_none() {
    let place = Place::new();
    let averaged = MODEL.replace("evaluate   every 5", "evaluate   every 5\n    average    ema(0.8)");
    fs::write(place.path("averaged.sph"), averaged).unwrap();
    picture(&place, "a.png", 3);
    place.succeeds("train averaged.sph --run r");
    let file = "r/checkpoints/step-00000012.safetensors";
    let found = Weights::read(&place.path(file)).unwrap();
    let shapes: BTreeMap<String, Vec<usize>> =
        found.shapes().into_iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    let taken = |end: &str| {
        let of = shapes.keys().filter(|it| shapes.contains_key(&format!("{it}/average")));
        let values = of.map(|it| (it.clone(), (shapes[it].clone(), found.values(&format!("{it}{end}")).unwrap())));
        values.collect::<BTreeMap<_, _>>()
    };
    write(&place.path("averages.safetensors"), &taken("/average"));
    write(&place.path("last.safetensors"), &taken(""));

    let of_averages = probabilities(&place, "averaged.sph", file);
    assert_eq!(of_averages, probabilities(&place, "tiny.sph", "averages.safetensors"));
    // Of other programs, without averages: they are taken as they are.
    assert_eq!(of_averages, probabilities(&place, "averaged.sph", "averages.safetensors"));
    let of_last = probabilities(&place, "tiny.sph", "last.safetensors");
    assert_ne!(of_averages, of_last);
    // Without the line, the weights of the last step from the same checkpoint.
    assert_eq!(of_last, probabilities(&place, "tiny.sph", file));
    let tested = |file: &str, weights: &str| place.succeeds(&format!("eval {file} --weights {weights} --format json"));
    assert_eq!(tested("averaged.sph", file), tested("tiny.sph", "averages.safetensors"));
    assert_eq!(tested("tiny.sph", file), tested("tiny.sph", "last.safetensors"));
    // To go on, all of it is needed.
    let output = place.sphc("train tiny.sph --run r --resume");
    assert!(errors(&output).contains("is not part of the model"), "{}", errors(&output));
}

/// Weights know what they were trained on: the data set need not be where they are used.
#[test]
fn weights_are_used_where_their_data_set_is_not() {
    let place = Place::new();
    for (part, count) in [("train", 20), ("test", 4)] {
        for (class, value) in [("cat", 10), ("dog", 200)] {
            fs::create_dir_all(place.path(&format!("pets/{part}/{class}"))).unwrap();
            for at in 0..count {
                picture(&place, &format!("pets/{part}/{class}/{at}.png"), value + at);
            }
        }
    }
    fs::write(place.path("pets.sph"), MODEL.replace("data       digits", "data       \"pets\"")).unwrap();
    place.succeeds("train pets.sph --run r");
    picture(&place, "a.png", 201);
    let asked = "predict pets.sph --weights r/checkpoints/step-00000012.safetensors a.png --top 2 --format json";
    let there = place.succeeds(asked);
    fs::rename(place.path("pets"), place.path("elsewhere")).unwrap();
    assert_eq!(place.succeeds(asked), there);
    assert!(there.contains("cat") && there.contains("dog"), "{there}");
    place.succeeds("export pets.sph --weights r/checkpoints/step-00000012.safetensors --onnx pets.onnx");
    // What needs the images says that they are gone.
    let output = place.sphc("eval pets.sph --weights r/checkpoints/step-00000012.safetensors");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("pets"), "{}", errors(&output));
}

#[test]
fn a_folder_stands_for_the_pictures_in_it() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    fs::create_dir_all(place.path("some/deeper")).unwrap();
    for (at, name) in ["some/b.png", "some/a.PNG", "some/c.png", "single.png"].into_iter().enumerate() {
        picture(&place, name, at as u8);
    }
    fs::write(place.path("some/notes.txt"), "no picture").unwrap();
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    let output = place.sphc(&format!("predict tiny.sph {weights} single.png some --format json"));
    assert!(errors(&output).contains("`some` holds 2 items that are no PNG or JPEG file"), "{}", errors(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let each: Vec<Value> = said.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let names: Vec<&str> = each.iter().map(|it| it["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["single.png", "some/a.PNG", "some/b.png", "some/c.png"]);
    for it in &each {
        let alone =
            place.succeeds(&format!("predict tiny.sph {weights} {} --format json", it["image"].as_str().unwrap()));
        assert_eq!(serde_json::from_str::<Value>(&alone).unwrap()["class"], it["class"]);
    }
    let output = place.sphc(&format!("predict tiny.sph {weights} some/deeper"));
    assert!(errors(&output).contains("there are no pictures in the folder `some/deeper`"), "{}", errors(&output));
}

#[test]
fn a_table_has_a_row_for_each_image() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    picture(&place, "a,b.png", 3);
    picture(&place, "c.png", 9);
    let words = "predict tiny.sph --weights r/checkpoints/step-00000012.safetensors a,b.png c.png";
    let table = place.succeeds(&format!("{words} --format csv --top 2"));
    let each = place.succeeds(&format!("{words} --format json --top 2"));
    let mut wanted = "file,class,probability,class_2,probability_2\n".to_owned();
    for (file, it) in ["\"a,b.png\"", "c.png"].into_iter().zip(each.lines()) {
        let it: Value = serde_json::from_str(it).unwrap();
        let class = |at: usize| {
            let it = &it["classes"][at];
            format!("{},{}", it["class"].as_str().unwrap(), it["probability"].as_f64().unwrap())
        };
        wanted += &format!("{file},{},{}\n", class(0), class(1));
    }
    assert_eq!(table, wanted);
    assert!(place.succeeds(&format!("{words} --format csv")).starts_with("file,class,probability\n"));
    // No more classes than there are.
    let all = place.succeeds(&format!("{words} --format csv --top 99"));
    assert!(all.lines().all(|it| it.ends_with("probability_10") || it.rsplit(',').nth(19).is_some()), "{all}");
}
