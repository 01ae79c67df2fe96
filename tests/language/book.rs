//! The pages as a book: each is in its table of contents, every link leads somewhere, and no block of text is of a kind that no test
//! looks at.

use crate::language::docs::blocks;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Pages of the book, but for its table of contents.
fn pages() -> Vec<String> {
    let all =
        fs::read_dir(root().join("docs")).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> =
        all.filter(|it| it.ends_with(".md") && it != "SUMMARY.md").map(|it| format!("docs/{it}")).collect();
    pages.sort();
    assert!(15 <= pages.len(), "only {pages:?}");
    pages
}

/// A page without its blocks of text and without code in its lines.
fn prose(text: &str) -> String {
    let mut block = false;
    let mut res = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if !block {
            // What is between two backquotes, or after the last of an odd number, is code.
            let parts: Vec<&str> = line.split('`').collect();
            parts.iter().step_by(2).for_each(|it| res.push_str(it));
        }
        res.push('\n');
    }
    res
}

/// What links of a page lead to, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut res = Vec::new();
    for (at, line) in prose(text).lines().enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let end = rest.find(')').expect("a link ends on its line");
            res.push((at + 1, rest[..end].to_owned()));
        }
    }
    res
}

/// The places of a page that a link can name: its headings, as they are made by what shows pages.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut res = BTreeSet::new();
    let mut block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            block = !block;
        }
        let title = line.trim_start_matches('#');
        if block || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (0..).map(|it| if it == 0 { anchor.clone() } else { format!("{anchor}-{it}") });
        let free = numbered.into_iter().find(|it| !res.contains(it)).unwrap();
        res.insert(free);
    }
    res
}

#[test]
fn every_page_is_once_in_the_table_of_contents() {
    let listed: Vec<String> = links(&read("docs/SUMMARY.md")).into_iter().map(|it| format!("docs/{}", it.1)).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, pages());
    // mdBook takes what stands in no list for a part without a number.
    assert!(read("docs/SUMMARY.md").starts_with("# Summary\n"));
    assert!(read("book.toml").contains("src = \"docs\""));
}

#[test]
fn every_link_leads_somewhere() {
    let others =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "tests/README.md", "examples/web/README.md"];
    let book = pages();
    let mut count = 0;
    for page in book.iter().map(String::as_str).chain(others) {
        let text = read(page);
        let folder = Path::new(page).parent().unwrap();
        for (line, link) in links(&text) {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').map_or((&*link, None), |(path, anchor)| (path, Some(anchor)));
            let mut place = PathBuf::new();
            for part in folder.join(path).components() {
                match part {
                    std::path::Component::ParentDir => _ = place.pop(),
                    part => place.push(part),
                }
            }
            let named = if path.is_empty() { page.to_owned() } else { place.display().to_string() };
            assert!(root().join(&named).exists(), "{page}:{line}: there is no `{named}`");
            // A book has its own pages only.
            let within = !book.contains(&page.to_owned()) || named.starts_with("docs/");
            assert!(within, "{page}:{line}: `{named}` is outside of the book");
            if let Some(anchor) = anchor {
                assert!(anchors(&read(&named)).contains(anchor), "{page}:{line}: `{named}` has no `#{anchor}`");
            }
        }
    }
    assert!(60 <= count, "only {count} links");
}

/// What blocks are of, and what looks at them.
const KINDS: &[&str] = &[
    // Compiled by `docs.rs`; those of the tutorial are files of their name, which `runs/tutorial.rs` compiles and trains.
    "sph",
    "sph first.sph",
    "sph second.sph",
    "sph third.sph",
    // Compared with what is said.
    "console",
    "console broken",
    "sph broken",
    // Run, or their flags judged, by what follows here and by `runs/pages.rs`.
    "sh",
    "sh no run",
    "sh pictures",
    // Parsed by what follows here; run by `files/exporting.rs` and `files/features.rs`.
    "python",
    "python pytorch",
    "python no run",
    // Parsed by what follows here.
    "toml",
    "yaml",
    // Settings of an editor, and a way to write a function.
    "lua",
    "rust",
    // Pictures of letters, and a map, which `train/weights/rename.rs` reads.
    "text",
];

fn kinds(page: &str) -> Vec<String> {
    let text = read(page);
    let mut open = false;
    let mut res = Vec::new();
    for line in text.lines().filter_map(|it| it.strip_prefix("```")) {
        open = !open;
        if open {
            res.push(line.to_owned());
        }
    }
    res
}

#[test]
fn every_block_is_of_a_kind_that_is_looked_at() {
    for page in pages().iter().map(String::as_str).filter(|it| *it != "docs/diagnostics.md").chain(["README.md"]) {
        for kind in kinds(page) {
            assert!(KINDS.contains(&&*kind), "{page}: ```{kind}");
        }
    }
}

#[test]
fn every_command_of_every_page_is_one() {
    let mut count = 0;
    for page in pages().iter().map(String::as_str).chain(["README.md", "examples/web/README.md"]) {
        for fence in ["```sh", "```sh no run", "```sh pictures"] {
            let text: String = blocks(page, fence).into_iter().map(|it| it.1).collect();
            for line in text.replace("\\\n", " ").lines() {
                // What is set before a command, and what is done with what it prints.
                let Some(at) =
                    line.find("sphc ").filter(|at| line[..*at].split(' ').all(|it| it.is_empty() || it.contains('=')))
                else {
                    continue;
                };
                let command = line[at + 5..].split(" #").next().unwrap().split(" > ").next().unwrap();
                let command = format!("'{}' {command} --help", env!("CARGO_BIN_EXE_sphc"));
                let output = Command::new("sh").args(["-c", &command]).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{page}: {line}\n{said}");
                count += 1;
            }
        }
    }
    assert!(40 <= count, "only {count} commands");
}

#[test]
fn python_and_settings_of_pages_can_be_parsed() {
    let mut scripts = String::new();
    for page in pages() {
        for fence in ["```python", "```python pytorch", "```python no run"] {
            for (line, text) in blocks(&page, fence) {
                scripts += &serde_json::json!([format!("{page}:{line}"), "python", text]).to_string();
                scripts.push('\n');
            }
        }
        for (line, text) in blocks(&page, "```toml") {
            scripts += &serde_json::json!([format!("{page}:{line}"), "toml", text]).to_string();
            scripts.push('\n');
        }
        for (line, text) in blocks(&page, "```yaml") {
            let manifest = tempfile::tempdir().unwrap();
            let path = manifest.path().join("own.yaml");
            fs::write(&path, &text).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
                .args(["data", "verify", "own.yaml"])
                .current_dir(manifest.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // The manifest is sound where what it tells of is all that is missing.
            assert!(
                said.contains("not found") || said.contains("does not exist") || page != "docs/training.md",
                "{page}:{line}: {said}"
            );
        }
    }
    let judge = "import ast, json, sys\ntry:\n    import tomllib\nexcept ImportError:\n    tomllib = None\n\
                 for line in open(sys.argv[1]):\n    at, kind, text = json.loads(line)\n    \
                 try:\n        ast.parse(text) if kind == 'python' else tomllib and tomllib.loads(text)\n    \
                 except Exception as error:\n        sys.exit(f'{at}: {error}')\n";
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("scripts");
    fs::write(&file, scripts).unwrap();
    match Command::new("python3").args(["-c", judge]).arg(&file).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: there is no Python: {error}"),
    }
}
