//! Inputs that a fuzzer found, each of which broke a promise once, and those that it starts from.

use super::targets::TARGETS;
use crate::files::data::npz;
use sphc::Model;
use sphc::data::{self, Element};
use sphc::ir::DType;
use sphc::train::weights::{Need, Renames, Weights};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn what_fuzzers_found_is_read_or_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/found");
    let mut tried = 0;
    for folder in fs::read_dir(&root).unwrap().map(|it| it.unwrap()) {
        let name = folder.file_name().into_string().unwrap();
        let target = TARGETS.iter().find(|it| it.name == name);
        let Some(target) = target else {
            assert!(name == "server" && !cfg!(feature = "lsp"), "`{name}` is no target");
            continue;
        };
        let mut found: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
        found.sort();
        for path in found {
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
            tried += 1;
        }
    }
    assert!(0 < tried, "nothing is tried again");
}

/// A fuzzer that starts from what is refused sees little.
#[test]
fn what_fuzzing_starts_from_is_read() {
    for target in TARGETS {
        let mut seeds = (target.seeds)();
        // Texts are many, and other tests look at all of them.
        let every = 1 + seeds.len() / 20;
        seeds = seeds.into_iter().step_by(every).collect();
        let read = seeds.iter().filter(|it| (target.run)(it)).count();
        println!("{}: {read} of {}", target.name, seeds.len());
        // Texts and archives that are wrong are among them.
        let expected = match target.name {
            "text" => seeds.len() / 3,
            "compile" | "diff" => seeds.len() / 2,
            "archive" => seeds.len() - 1,
            _ => seeds.len(),
        };
        assert!(expected <= read, "{}: only {read} of {} are read", target.name, seeds.len());
        assert!(seeds.iter().all(|it| it.len() <= target.longest), "{}: a seed is too long", target.name);
    }
}

/// Texts of a megabyte that took minutes or gigabytes: names were compared with each other, and a table became its square.
#[test]
fn long_lists_are_read_at_once() {
    let place = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    let read = |name: &str| {
        let wanted = place.path().join(name).display().to_string();
        let manifest = data::describe(&wanted)?;
        data::read(&manifest, &data::place_of(&manifest, &wanted, None)?, &[])
    };
    let refused = |name: &str| read(name).unwrap_err().to_string();
    let start = Instant::now();

    let names: Vec<String> = (0..100_000).map(|it| format!("{it:05x}")).collect();
    put("classes.yaml", &format!("name: my\nformat: npz\nclasses: [{}, 00000]\n", names.join(", ")));
    assert!(refused("classes.yaml").contains("two classes are called `00000`"));
    let sum = "0".repeat(64);
    let files: String =
        names[..9000].iter().map(|it| format!("- {{url: http://a/{it}, sha256: \"{sum}\"}}\n")).collect();
    put("files.yaml", &format!("name: my\nformat: npz\nfiles:\n{files}- {{url: http://b/00007, sha256: \"{sum}\"}}\n"));
    assert!(refused("files.yaml").contains("would be called `00007`"));

    image::GrayImage::new(2, 2).save(place.path().join("p.png")).unwrap();
    put("train.csv", &format!("{},file\n", names.join(",")));
    put("wide.yaml", "name: my\nformat: csv\npath: .\ncolumns: [\"00001\", \"00001\"]\nsplit: 0.5\n");
    assert!(refused("wide.yaml").contains("names its column `00001` twice"));
    // A class of its own in each line.
    let lines: String = names.iter().map(|it| format!("p.png,c{it}\n")).collect();
    put("train.csv", &format!("file,class\n{lines}"));
    put("square.yaml", "name: my\nformat: csv\npath: .\ntarget: labels\nsplit: 0.5\n");
    let manifest = data::describe(&place.path().join("square.yaml").display().to_string()).unwrap();
    let reading = data::Reading { memory: Some(1 << 30), ..data::Reading::default() };
    let found = data::read_as(&manifest, &data::Place::At(place.path().into()), &reading);
    assert!(found.unwrap_err().to_string().contains("takes 10 GB of memory"));
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
}

/// Names of others stood in messages of the library as they are; only the program itself wrote them out.
#[test]
fn names_in_messages_are_written_out() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.npz");
    fs::write(&path, npz(&[("x\u{1b}[31m\u{202e}gpj", b"no array".to_vec())], false)).unwrap();
    let Err(error) = data::load(&path, Element { dtype: DType::Real, double: false }, 1) else { panic!("no array") };
    assert!(error.to_string().contains(r"`x\u{1b}[31m\u{202e}gpj` is not an array"), "{error}");

    let path = place.path().join("a.tar");
    fs::write(&path, [0; 1024]).unwrap();
    let error = data::unpack(&path, &["1\u{1b}[31m.png".to_owned()], place.path()).unwrap_err();
    assert_eq!(error, r"there is no `1\u{1b}[31m.png` in it");
    let error = data::FetchError::Unpack { url: "http://a/\u{1b}[2J".to_owned(), cause: error };
    assert!(error.to_string().starts_with(r"cannot unpack http://a/\u{1b}[2J: there is no"), "{error}");
}

/// A filter of no numbers, whose other extents were counted through.
#[test]
fn weights_without_numbers_are_read_at_once() {
    let place = tempfile::tempdir().unwrap();
    let header = r#"{"a":{"dtype":"F32","shape":[0,1073741824,1073741824,2],"data_offsets":[0,0]}}"#;
    let (file, map) = (place.path().join("a.safetensors"), place.path().join("a.map"));
    fs::write(&file, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    fs::write(&map, "filter a b\n").unwrap();
    let mut weights = Weights::read(&file).unwrap();
    let map = Renames::parse(&map.display().to_string()).unwrap();
    weights.rename(&map, super::targets::small_plan()).unwrap();
    assert_eq!(weights.values("b"), Some(Vec::new()));
    assert!(
        weights
            .problems(super::targets::small_plan(), Need::Start)
            .iter()
            .any(|it| it == "`b` is not part of the model")
    );
}

/// Texts of some hundred kilobytes that took a minute and more: each element of a list was looked for from the list's start, and each
/// argument was compared with all others.
#[test]
fn long_texts_are_checked_at_once() {
    let start = Instant::now();
    let found = |text: &str| {
        let checked = Model::from_text("long.sph", text).check().unwrap();
        checked.diagnostics.iter().map(|it| it.code.name()).collect::<Vec<_>>()
    };
    let list = format!("param a: [int] = [{}, 2.5]\n", vec!["1"; 100_000].join(", "));
    assert_eq!(found(&list).len(), 1);
    let given: Vec<String> = (0..5000).map(|it| format!("a{it}: 1")).collect();
    let text = format!("model M {{\n    input x: float[4]\n    output dense(x, 2, {})\n}}\n", given.join(", "));
    assert!(found(&text).iter().all(|it| *it == "E0105"));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
