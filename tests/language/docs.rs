//! The examples that users read: each compiles, cleanly, to an executable plan.

use crate::language::lower::settings;
use sphc::diag::render;
use sphc::ir::{DType, ImageStep, Precision, TargetKind};
use sphc::lower::{DataInfo, Look, Settings};
use sphc::pipeline;
use std::fs;
use std::path::Path;

/// The blocks of a page that open with `fence`, with the line each starts on.
pub(crate) fn blocks(page: &str, fence: &str) -> Vec<(usize, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut current: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        match &mut current {
            None if line == fence => current = Some((at + 2, String::new())),
            None => {}
            Some(_) if line == "```" => found.extend(current.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(current.is_none(), "{page} ends within a block");
    found
}

/// What the examples suppose of the files that they name.
pub(crate) fn look(path: &str, _: &[ImageStep], _: Option<DType>) -> Result<DataInfo, String> {
    let data = |image, classes, target| DataInfo { target, ..DataInfo::images("set", image, classes, [1000, 100]) };
    match path.rsplit('/').next() {
        Some("cells.npz") => Ok(data([64, 64, 1], 3, TargetKind::Map([64, 64]))),
        Some("features.npz") => {
            Ok(DataInfo { image: [20].into(), dtype: DType::Real, ..data([1; 3], 3, TargetKind::Class) })
        }
        Some("words.npz") => Ok(DataInfo {
            image: [12].into(),
            dtype: DType::Int,
            range: Some(sphc::ir::Extremes([0.0, 49.0])),
            ..data([1; 3], 2, TargetKind::Class)
        }),
        Some("shapes") => Ok(data([8, 8, 1], 2, TargetKind::Class)),
        Some("poses.npz") => Ok(data([32, 32, 3], 0, TargetKind::Numbers(vec![4]))),
        _ => Err(format!("there is no `{path}`")),
    }
}

/// Compiles a text all the way; anything found in it is a failure, warnings included.
fn compiles(name: &str, text: &str) {
    let mut load = |path: &str| fs::read_to_string(path).map_err(|error| error.to_string());
    let settings = Settings { look: Some(Look::new(look)), ..settings(&[]) };
    let checked = pipeline::check(name, text, &mut load, &settings);
    assert!(checked.diagnostics.is_empty(), "{}", render::render(&checked.diagnostics, &checked.sources, false));
    let typed = checked.typed.expect("a clean text has a model");
    let compiled = pipeline::compile(typed, &checked.sources, Precision::F32, pipeline::Identity::default());
    assert!(!compiled.plan.kernels.is_empty());
}

#[test]
fn every_example_of_the_language_page_compiles() {
    let found = blocks("docs/language.md", "```sph");
    assert!(5 <= found.len(), "only {} examples", found.len());
    for (line, text) in found {
        compiles(&format!("docs/language.md:{line}"), &text);
    }
}

/// What the page shows of the prelude stands there.
#[test]
fn definitions_that_the_language_page_shows_word_for_word_are_those_of_the_prelude() {
    let prelude = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lower/prelude.sph")).unwrap();
    let (_, example) = blocks("docs/language.md", "```sph")
        .into_iter()
        .find(|it| it.1.starts_with("/// Plain convolution"))
        .expect("the page shows a convolution");
    let shown: Vec<&str> = example.split("\n\n").filter(|it| it.starts_with("///")).collect();
    assert_eq!(shown.len(), 2);
    for definition in shown {
        assert!(prelude.contains(definition.trim_end()), "{definition}");
    }
}

/// `$ sphc check FILE --set NAME=VALUE` is said of the example above it.
#[test]
fn what_the_language_page_quotes_is_what_is_said() {
    let page = "docs/language.md";
    let examples = blocks(page, "```sph");
    let quotes = blocks(page, "```console");
    assert!(2 <= quotes.len(), "only {} quotes", quotes.len());
    for (line, quote) in quotes {
        let (command, said) = quote.split_once('\n').unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let ["$", "sphc", "check", name, rest @ ..] = words.as_slice() else { panic!("{page}:{line}: {command}") };
        let set = rest.iter().filter(|it| **it != "--set").map(|it| it.split_once('=').unwrap());
        let (_, text) = examples.iter().rfind(|it| it.0 < line).unwrap();
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check(name, text, &mut none, &settings(&set.collect::<Vec<_>>()));
        let found = render::render(&checked.diagnostics, &checked.sources, false);
        assert_eq!(trimmed(&found), trimmed(said), "{page}:{line}");
    }
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[test]
fn every_example_of_other_pages_compiles() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<String> = fs::read_dir(&docs)
        .expect("the pages are there")
        .map(|it| format!("docs/{}", it.expect("a folder of the repository can be listed").file_name().display()))
        // Its examples are judged by the names of their codes; the language's have a test of their own.
        .filter(|it| it.ends_with(".md") && !["docs/diagnostics.md", "docs/language.md"].contains(&it.as_str()))
        .chain(["README.md".to_owned()])
        .collect();
    pages.sort();
    let mut count = 0;
    for page in pages {
        for (line, text) in blocks(&page, "```sph") {
            compiles(&format!("{page}:{line}"), &text);
            count += 1;
        }
    }
    assert!(5 <= count, "only {count} examples");
}

#[test]
fn every_shipped_model_compiles_without_a_remark() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut count = 0;
    for entry in fs::read_dir(&models).expect("the models are there") {
        let path = entry.expect("a folder of the repository can be listed").path();
        if path.extension().is_some_and(|it| it == "sph") {
            compiles(&path.display().to_string(), &fs::read_to_string(&path).expect("a model is a text"));
            count += 1;
        }
    }
    assert!(3 <= count, "only {count} models");
}

#[test]
fn what_the_readme_quotes_of_a_broken_file_is_what_is_said() {
    let (broken, said) = (blocks("README.md", "```sph broken"), blocks("README.md", "```console broken"));
    let ([(_, text)], [(_, said)]) = (broken.as_slice(), said.as_slice()) else {
        panic!("one broken file and one output of `sphc check`");
    };
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("broken.sph", text, &mut none, &settings(&[]));
    let found = render::render(&checked.diagnostics, &checked.sources, false);
    let quoted = said.strip_prefix("$ sphc check broken.sph\n").expect("the block opens with the command");
    assert_eq!(trimmed(&found), trimmed(quoted));
}

#[test]
fn the_language_page_names_every_operator_function_and_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/language.md")).unwrap();
    let prelude = fs::read_to_string(root.join("src/lower/prelude.sph")).unwrap();
    let defined = prelude.lines().filter_map(|it| it.strip_prefix("operator ").or_else(|| it.strip_prefix("fn ")));
    let mut names: Vec<&str> = defined.map(|it| it.split(['(', ' ']).next().unwrap()).collect();
    assert!(20 <= names.len(), "only {} definitions", names.len());
    names.extend(["sphere_conv", "conv", "dense", "batch_norm", "max_pool", "avg_pool", "global_avg_pool", "flatten"]);
    names.retain(|it| !page.contains(&format!("`{it}`")) && !page.contains(&format!("`{it}(")));
    assert!(names.is_empty(), "not documented: {names:?}");
}

/// What holds a promise is there: the tests that the page names by their paths.
#[test]
fn the_tests_that_the_page_of_promises_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).expect("the page is there");
    let named = page.split('`').skip(1).step_by(2);
    let mut count = 0;
    for name in named {
        let parts: Vec<&str> = name.split("::").collect();
        let file = match parts.as_slice() {
            [folder, file] | [folder, file, _] => root.join("tests").join(folder).join(format!("{file}.rs")),
            _ => continue,
        };
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
        if let [_, _, test] = parts.as_slice() {
            assert!(text.contains(&format!("#[test]\nfn {test}()")), "there is no {name}");
        }
        count += 1;
    }
    assert!(20 <= count, "only {count} tests are named");
}
