//! The module graph points downwards only, third-party crates stay in their homes, and files are tidy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the library and the modules below it that it may name, in reading order.
const LAYERS: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("syntax", &["diag"]),
    ("ir", &["diag"]),
    ("target", &["ir"]),
    ("lower", &["diag", "syntax", "ir"]),
    ("shape", &["diag", "ir"]),
    ("autodiff", &["diag", "ir", "shape"]),
    ("interp", &["ir", "shape"]),
    ("export", &["ir", "interp"]),
    ("fuse", &["ir", "target", "shape"]),
    ("kernel", &["ir", "shape", "fuse"]),
    ("plan", &["ir", "target", "shape", "fuse", "kernel"]),
    ("pipeline", &["diag", "syntax", "ir", "lower", "shape", "autodiff", "interp", "fuse", "kernel", "plan"]),
    ("runtime", &["ir", "kernel", "plan"]),
    ("verify", &["ir", "shape", "autodiff", "interp", "fuse", "kernel", "plan", "runtime"]),
    ("data", &["ir", "runtime"]),
    ("train", &["ir", "plan", "pipeline", "runtime", "verify", "data"]),
    ("api", &["diag", "ir", "target", "lower", "kernel", "plan", "pipeline", "runtime", "data", "train"]),
    ("changes", &["diag", "syntax", "ir", "pipeline", "plan", "api"]),
    ("lsp", &["diag", "syntax", "ir", "lower", "pipeline", "data", "api"]),
];

/// The owners of what lowering carries along, in their folders of `src/lower`, each within the next: one calls only itself and
/// those before it. What the language's words and values are lies before them all.
const OWNERS: [&str; 9] = ["values", "names", "resolve", "report", "network", "scalar", "study", "unfold", "recipe"];

/// Third-party crates that have a home, and the folders or files it is made of.
const HOMES: &[(&str, &[&str])] = &[
    ("lsp_server", &["src/lsp", "src/cli/lsp.rs"]),
    ("lsp_types", &["src/lsp"]),
    ("pest", &["src/syntax"]),
    ("pest_derive", &["src/syntax"]),
    ("petgraph", &["src/ir"]),
    ("codespan_reporting", &["src/diag"]),
    ("clap", &["src/main.rs", "src/cli"]),
    ("indicatif", &["src/main.rs", "src/cli", "src/train"]),
    ("signal_hook", &["src/cli"]),
    ("similar", &["src/changes"]),
    ("serde_yaml", &["src/plan", "src/data", "src/train"]),
    ("gemm_common", &["src/runtime/cpu"]),
    ("gemm_f32", &["src/runtime/cpu"]),
    ("gemm_f64", &["src/runtime/cpu"]),
    ("memmap2", &["src/data"]),
    ("rayon", &["src/runtime"]),
    ("plotters", &["src/train/curves"]),
    ("plotters_backend", &["src/train/curves"]),
    ("prost", &["src/export/onnx", "src/train"]),
    ("image", &["src/train/curves", "src/train/events", "src/data"]),
    ("npyz", &["src/data"]),
    ("tar", &["src/data"]),
    ("ureq", &["src/data"]),
    ("zip", &["src/data"]),
    ("cudarc", &["src/runtime/cuda"]),
    ("libloading", &["src/runtime/cuda"]),
];

/// No file may be longer; 150 to 400 lines is the aim.
const MAX_LINES: usize = 800;

#[test]
fn every_layer_names_only_layers_before_it_in_the_table() {
    for (at, (name, uses)) in LAYERS.iter().enumerate() {
        for used in *uses {
            assert!(LAYERS[..at].iter().any(|(it, _)| it == used), "`{name}` uses `{used}`, which is not above it");
        }
    }
}

#[test]
fn imports_point_downwards() {
    let mut problems = Vec::new();
    for file in reachable(&["src/lib.rs"]) {
        let Some(layer) = file.module.first() else { continue };
        let Some((_, uses)) = LAYERS.iter().find(|(name, _)| name == layer) else {
            problems.push(format!("{}: `{layer}` is not in the table of layers", file.path.display()));
            continue;
        };
        for import in imports(&file) {
            let known = LAYERS.iter().any(|(name, _)| *name == import.name);
            if known && !import.test && import.name != *layer && !uses.contains(&import.name.as_str()) {
                let at = format!("{}:{}", file.path.display(), import.line);
                problems.push(format!("{at}: `{layer}` may not use `crate::{}`", import.name));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn fusion_and_planning_know_no_backend() {
    let mut problems = Vec::new();
    for file in reachable(&["src/lib.rs"]) {
        if !matches!(file.module.first().map(String::as_str), Some("fuse" | "plan")) {
            continue;
        }
        for token in file.tokens.iter().filter(|it| it.text.to_lowercase().contains("cuda")) {
            problems.push(format!("{}:{}: `{}`", file.path.display(), token.line, token.text));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn owners_of_the_lowering_name_only_those_within_them() {
    let mut problems = Vec::new();
    for file in reachable(&["src/lib.rs"]) {
        let [lower, owner, ..] = file.module.as_slice() else { continue };
        let Some(own) = OWNERS.iter().position(|it| lower == "lower" && it == owner) else { continue };
        for window in file.tokens.windows(3) {
            let [from, "::", named] = [0, 1, 2].map(|it| window[it].text.as_str()) else { continue };
            let above = OWNERS.iter().position(|it| *it == named).is_some_and(|it| own < it);
            // A mistake is a value that proves its report; values and words know each other.
            let known = own < 2 && ["values", "names"].contains(&named) || named == "report" && owner == "values";
            if from == "lower" && above && !known {
                let at = format!("{}:{}", file.path.display(), window[2].line);
                problems.push(format!("{at}: `lower::{owner}` may not use `lower::{named}`"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn third_party_crates_stay_in_their_homes() {
    let mut problems = Vec::new();
    for file in reachable(&["src/lib.rs", "src/main.rs"]) {
        for (at, token) in file.tokens.iter().enumerate() {
            let Some((name, homes)) = HOMES.iter().find(|(name, _)| *name == token.text) else { continue };
            let next = file.tokens.get(at + 1).map_or("", |it| it.text.as_str());
            let before = at.checked_sub(1).map_or("", |it| file.tokens[it].text.as_str());
            let is_path = (next == "::" && before != "::" && before != ".") || before == "use";
            // A module of the same name is declared in the file or lies in the crate.
            let is_own = file.tokens.windows(2).any(|it| it[0].text == "mod" && it[1].text == *name);
            if is_path && !is_own && !homes.iter().any(|home| file.path.starts_with(home)) {
                let at = format!("{}:{}", file.path.display(), token.line);
                problems.push(format!("{at}: the crate `{name}` belongs to {}", homes.join(", ")));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_open_with_a_sentence_and_stay_short() {
    let mut problems = Vec::new();
    for path in rust_files("src")
        .into_iter()
        .chain(rust_files("tests"))
        .chain(rust_files("benches"))
        .chain(rust_files("examples"))
    {
        let text = read(&path);
        if !text.starts_with("//! ") {
            problems.push(format!("{}: no `//!` line on top", path.display()));
        }
        let lines = text.lines().count();
        if MAX_LINES < lines {
            problems.push(format!("{}: {lines} lines; at most {MAX_LINES}", path.display()));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_is_compiled() {
    let known: BTreeSet<PathBuf> =
        reachable(&["src/lib.rs", "src/main.rs", "tests/all.rs"]).into_iter().map(|it| it.path).collect();
    let lost: Vec<String> = rust_files("src")
        .into_iter()
        .chain(rust_files("tests"))
        .filter(|it| !known.contains(it))
        .map(|it| format!("{}: no `mod` leads here", it.display()))
        .collect();
    assert!(lost.is_empty(), "\n{}\n", lost.join("\n"));
}

#[test]
fn imports_are_found_in_groups_and_through_super() {
    let text = r#"
        use crate::ir::{Op, Shape};
        use crate::{shape::{self, Typed}, fuse as f};
        // use crate::plan;
        const A: &str = "crate::kernel '\" \\"; const B: char = '"';
        fn lifetime<'a>(x: &'a str) -> &'a str { super::super::runtime::f(x) }
        mod inner { use super::super::super::data; use super::near; }
        #[cfg(test)]
        mod tests { use crate::interp; }
    "#;
    let file = File {
        path: PathBuf::from("src/autodiff/rules.rs"),
        module: vec!["autodiff".to_owned(), "rules".to_owned()],
        test: false,
        tokens: tokens(text),
    };
    let found: Vec<(String, bool)> = imports(&file).into_iter().map(|it| (it.name, it.test)).collect();
    let expected =
        [("ir", false), ("shape", false), ("fuse", false), ("runtime", false), ("data", false), ("interp", true)];
    assert_eq!(found, expected.map(|(name, test)| (name.to_owned(), test)));
}

/// A source file that some `mod` leads to.
struct File {
    path: PathBuf,
    /// `["ir", "op"]` for `src/ir/op.rs`; empty for a crate's root.
    module: Vec<String>,
    /// Whether it is compiled for tests only.
    test: bool,
    tokens: Vec<Token>,
}

/// A word, or one or two characters of punctuation.
struct Token {
    text: String,
    line: usize,
}

/// A module of the crate's root that a file names.
struct Import {
    name: String,
    line: usize,
    test: bool,
}

/// All files that `mod name;` leads to from these roots, the roots first.
fn reachable(roots: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    let mut open: Vec<(PathBuf, Vec<String>, bool)> =
        roots.iter().map(|it| (PathBuf::from(it), Vec::new(), false)).collect();
    while let Some((path, module, test)) = open.pop() {
        let file = File { tokens: tokens(&read(&path)), path, module, test };
        let stem = file.path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        let folder = file.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let is_root = file.module.is_empty() || stem == "mod";
        let base = if is_root { folder } else { folder.join(stem) };
        walk(&file, |scope, at| {
            let word = |it: usize| file.tokens.get(at + it).map_or("", |it| it.text.as_str());
            let before = |it: usize| at.checked_sub(it).map_or("", |at| file.tokens[at].text.as_str());
            // What has a path of its own lies elsewhere, and is reached from there.
            let elsewhere = before(1) == "]" && (2..7).any(|it| before(it) == "path" && before(it + 1) == "[");
            if word(0) == "mod" && word(2) == ";" && !elsewhere {
                let inside = scope.modules.iter().fold(base.clone(), |path, it| path.join(it));
                let flat = inside.join(format!("{}.rs", word(1)));
                let nested = inside.join(word(1)).join("mod.rs");
                let mut module = file.module.clone();
                module.extend(scope.modules.iter().cloned());
                module.push(word(1).to_owned());
                open.push((if flat.exists() { flat } else { nested }, module, scope.test));
            }
        });
        files.push(file);
    }
    files
}

/// What surrounds a token: inline modules, and whether it is compiled for tests only.
struct Scope {
    modules: Vec<String>,
    test: bool,
}

/// Calls `visit` with every token's position. Follows inline modules and `#[cfg(test)]` items.
fn walk(file: &File, mut visit: impl FnMut(&Scope, usize)) {
    let text = |at: usize| file.tokens.get(at).map_or("", |it| it.text.as_str());
    let mut modules: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut test_until, mut pending) = (0usize, None, false);
    for at in 0..file.tokens.len() {
        if (0..7).map(|it| text(at + it)).eq(["#", "[", "cfg", "(", "test", ")", "]"]) {
            pending = true;
        }
        if text(at) == "{" {
            if 2 <= at && text(at - 2) == "mod" {
                modules.push((text(at - 1).to_owned(), depth));
            }
            if pending && test_until.is_none() {
                test_until = Some(depth);
            }
            pending = false;
            depth += 1;
        }
        let scope = Scope {
            modules: modules.iter().map(|(name, _)| name.clone()).collect(),
            test: file.test || pending || test_until.is_some(),
        };
        visit(&scope, at);
        match text(at) {
            ";" => pending = false,
            "}" => {
                depth = depth.saturating_sub(1);
                if modules.last().is_some_and(|(_, opened)| *opened == depth) {
                    modules.pop();
                }
                if test_until == Some(depth) {
                    test_until = None;
                }
            }
            _ => {}
        }
    }
}

/// The root modules that a file names through `crate::` or enough `super::`.
fn imports(file: &File) -> Vec<Import> {
    let text = |at: usize| file.tokens.get(at).map_or("", |it| it.text.as_str());
    let mut found = Vec::new();
    walk(file, |scope, at| {
        let depth = file.module.len() + scope.modules.len();
        let starts = at == 0 || text(at - 1) != "::";
        let mut after = at;
        let is_root = match text(at) {
            "crate" if text(at + 1) == "::" => {
                after += 2;
                true
            }
            "super" if starts => {
                let mut ups = 0;
                while text(after) == "super" && text(after + 1) == "::" {
                    after += 2;
                    ups += 1;
                }
                ups == depth
            }
            _ => false,
        };
        if !is_root {
            return;
        }
        let mut push = |at: usize| {
            found.push(Import { name: text(at).to_owned(), line: file.tokens[at].line, test: scope.test });
        };
        if text(after) != "{" {
            push(after);
            return;
        }
        // The first word of every entry of the group.
        let (mut depth, mut first) = (0, false);
        for at in after..file.tokens.len() {
            match text(at) {
                "{" => {
                    depth += 1;
                    first = depth == 1;
                }
                "}" => depth -= 1,
                "," => first = depth == 1,
                _ if first => {
                    push(at);
                    first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    });
    found
}

/// Splits code into tokens, without comments, strings and characters.
fn tokens(code: &str) -> Vec<Token> {
    let chars: Vec<char> = code.chars().collect();
    let at = |it: usize| chars.get(it).copied().unwrap_or('\0');
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    let mut found: Vec<Token> = Vec::new();
    let (mut pos, mut line) = (0, 1);
    while pos < chars.len() {
        let start = pos;
        let mut token = None;
        if at(pos) == '/' && at(pos + 1) == '/' {
            while pos < chars.len() && at(pos) != '\n' {
                pos += 1;
            }
        } else if at(pos) == '/' && at(pos + 1) == '*' {
            pos += 2;
            while pos < chars.len() && !(at(pos) == '*' && at(pos + 1) == '/') {
                pos += 1;
            }
            pos += 2;
        } else if let Some(end) = raw_string(&chars, pos) {
            pos = end;
        } else if at(pos) == '"' || (at(pos) == '\'' && (at(pos + 1) == '\\' || at(pos + 2) == '\'')) {
            let quote = at(pos);
            pos += 1;
            while pos < chars.len() && at(pos) != quote {
                pos += if at(pos) == '\\' { 2 } else { 1 };
            }
            pos += 1;
        } else if is_word(at(pos)) {
            while is_word(at(pos)) {
                pos += 1;
            }
            token = Some(chars[start..pos].iter().collect());
        } else if at(pos) == ':' && at(pos + 1) == ':' {
            pos += 2;
            token = Some("::".to_owned());
        } else {
            pos += 1;
            token = (!at(start).is_whitespace()).then(|| at(start).to_string());
        }
        found.extend(token.map(|text| Token { text, line }));
        let pos = pos.min(chars.len());
        line += chars[start..pos].iter().filter(|it| **it == '\n').count();
    }
    found
}

/// The end of the raw string that starts at `pos`, if one does: `r"..."`, `br#"..."#`.
fn raw_string(chars: &[char], pos: usize) -> Option<usize> {
    let at = |it: usize| chars.get(it).copied().unwrap_or('\0');
    if 0 < pos && (at(pos - 1).is_alphanumeric() || at(pos - 1) == '_') {
        return None;
    }
    let prefix = match (at(pos), at(pos + 1)) {
        ('r', _) => 1,
        ('b', 'r') => 2,
        _ => return None,
    };
    let hashes = (0..).take_while(|it| at(pos + prefix + it) == '#').count();
    if at(pos + prefix + hashes) != '"' {
        return None;
    }
    let mut end = pos + prefix + hashes + 1;
    while end < chars.len() {
        if at(end) == '"' && (1..=hashes).all(|it| at(end + it) == '#') {
            return Some(end + 1 + hashes);
        }
        end += 1;
    }
    Some(end)
}

/// All Rust files below a folder, in order; none if it is missing.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut open = vec![PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
