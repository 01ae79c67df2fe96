//! The tutorial, from its first line to its last: files are written as it has them, commands are run, and what it quotes is said.

use crate::runs::cli::Place;
use std::fs;
use std::path::Path;
use std::process::Command;

/// So many iterations, in place of those of the page.
const ITERATIONS: u64 = 6;

/// The blocks of a page: what they open with, and their lines.
fn blocks(page: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut res: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            open = !open;
            if open {
                res.push((kind.to_owned(), Vec::new()));
            }
        } else if open && let Some(it) = res.last_mut() {
            it.1.push(line.to_owned());
        }
    }
    assert!(!open);
    res
}

fn shorter(text: &str) -> String {
    let text = text.replace("iterations 300", &format!("iterations {ITERATIONS}"));
    text.replace("every 100", "every 3")
        .replace("warmup(20)", "warmup(2)")
        .replace("00000300", &format!("{ITERATIONS:08}"))
}

/// What a command says, of both streams.
fn says(place: &Place, line: &str) -> (bool, String) {
    let command = shorter(line).replacen("sphc ", &format!("'{}' ", env!("CARGO_BIN_EXE_sphc")), 1);
    let output = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether all lines of a quote are said, in their order; `...` stands for others.
fn is_said(quote: &[String], said: &str) -> Result<(), String> {
    let mut rest = said.lines().map(str::trim_end);
    for line in quote.iter().map(|it| it.trim_end()).filter(|it| *it != "...") {
        if !rest.any(|it| it == line) {
            return Err(line.to_owned());
        }
    }
    Ok(())
}

#[test]
fn the_tutorial_does_what_it_says() {
    let place = Place::new();
    let (mut files, mut commands, mut quotes) = (0, 0, 0);
    for (kind, lines) in blocks("docs/tutorial.md") {
        if let Some(name) = kind.strip_prefix("sph ") {
            fs::write(place.path(name), shorter(&(lines.join("\n") + "\n"))).unwrap();
            files += 1;
        } else if kind == "sh" {
            for line in lines {
                let (fine, said) = says(&place, &line);
                assert!(fine, "{line}\n{said}");
                commands += 1;
            }
        } else if kind == "console" {
            let (command, quote) = lines.split_first().unwrap();
            let (_, said) = says(&place, command.strip_prefix("$ ").unwrap());
            if let Err(line) = is_said(quote, &said) {
                panic!("{command} does not say\n{line}\nbut\n{said}");
            }
            quotes += 1;
        } else {
            panic!("```{kind}");
        }
    }
    assert!(6 <= files && 10 <= commands && 5 <= quotes, "{files} files, {commands} commands, {quotes} quotes");
    for made in ["widths.svg", "soft.svg", "own.onnx"] {
        assert!(place.path(made).is_file(), "{made}");
    }
    // As it stands, a file has no remark.
    for (kind, lines) in blocks("docs/tutorial.md") {
        let Some(name) = kind.strip_prefix("sph ").filter(|_| lines.iter().any(|it| it.starts_with("train"))) else {
            continue;
        };
        fs::write(place.path(name), lines.join("\n") + "\n").unwrap();
        let (fine, said) = says(&place, &format!("sphc check {name} --deny-warnings"));
        assert!(fine, "{said}");
    }
}
