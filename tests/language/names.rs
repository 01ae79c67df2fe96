//! The paths of parameters and statistics, which are the keys of checkpoints: they must never move, and do not depend on
//! how a line is written.

use crate::language::docs::{blocks, look};
use crate::language::lower::settings;
use sphc::lower::{Look, Settings};
use sphc::pipeline;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The texts of a folder, in order.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join(folder)).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "sph"));
    paths.sort();
    let name = |it: &Path| format!("{folder}/{}", it.file_name().unwrap().to_string_lossy());
    paths.iter().map(|it| (name(it), fs::read_to_string(it).unwrap())).collect()
}

/// Every path of a text without errors, parameters first.
fn paths(name: &str, text: &str) -> Option<Vec<String>> {
    let mut load = |path: &str| fs::read_to_string(root().join(path)).map_err(|it| it.to_string());
    let settings = Settings { look: Some(Look::new(look)), ..settings(&[]) };
    let checked = pipeline::check(name, text, &mut load, &settings);
    let graph = checked.typed.as_ref()?.graph();
    let states = graph.states.iter().map(|it| it.path.clone()).filter(|it| it.contains('/'));
    Some(graph.params.iter().map(|it| it.path.clone()).chain(states).collect())
}

#[test]
fn the_names_of_everything_that_is_shown_stay() {
    let mut texts: Vec<(String, String)> = Vec::new();
    for folder in ["models", "tests/suite", "tests/suite/newcomer"] {
        texts.extend(files(folder));
    }
    for page in ["README.md", "docs/from-pytorch.md", "docs/language.md", "docs/training.md"] {
        let numbered = blocks(page, "```sph").into_iter().enumerate();
        texts.extend(numbered.map(|(at, (_, text))| (format!("{page}#{at}"), text)));
    }
    let mut all = String::new();
    let mut count = 0;
    for (name, text) in texts {
        // The recipes' names are not part of it.
        let Some(paths) = paths(&name, &text) else { continue };
        all += &format!("{name}: {}\n", paths.join(" "));
        count += 1;
    }
    assert!(20 < count, "{count}");
    insta::assert_snapshot!(all);
}

/// A line with two named calls, and the same in two lines.
#[test]
fn names_do_not_depend_on_whether_a_line_is_split() {
    let model = |body: &str| {
        format!(
            "block norms(xs: [tensor]) {{\n    ys = []\n    for i, x in xs {{\n        ys = ys + [relu(batch_norm(x) as \"{{i}}\")]\n    \
             }}\n    ys\n}}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    x = (image - 8) / 8\n    {body}\n    \
             output dense(x, 10) as \"fc\"\n}}\n"
        )
    };
    for (one, two, first) in [
        (
            "x = (norms([conv(x, 4) as \"conv1\"]) as \"bn1\")[0]",
            "c = conv(x, 4) as \"conv1\"\n    ys = norms([c]) as \"bn1\"\n    x = ys[0]",
            "conv1/filter",
        ),
        (
            "x = conv(x, 4) as \"a\" |> relu |> conv(6) as \"b\"",
            "x = conv(x, 4) as \"a\"\n    x = x |> relu |> conv(6) as \"b\"",
            "a/filter",
        ),
        (
            "x = relu(x + conv(x, 1) as \"inner\") as \"outer\"",
            "y = conv(x, 1) as \"inner\"\n    x = relu(x + y) as \"outer\"",
            "inner/filter",
        ),
    ] {
        let (one, two) = (paths("one.sph", &model(one)).unwrap(), paths("two.sph", &model(two)).unwrap());
        assert_eq!(one, two);
        assert_eq!(one[0], first);
    }
}
