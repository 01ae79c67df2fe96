//! `check` never swallows text. Into every text of the repository that parses, signs are put, anywhere; pieces are taken
//! out and doubled. A text without a report must then be accounted for in its tree, sign by sign; the count is made here
//! from the letters alone, and shares nothing with the grammar.
//!
//! `SPHC_SIGNS=100` tries a hundred times as many places.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::syntax::in_folder;
use sphc::diag::{FileId, Severity, Sink};
use sphc::syntax;

/// Words that a tree shows as its form.
const KEYWORDS: &[&str] =
    &["import", "param", "operator", "fn", "block", "model", "train", "in", "else", "every", "on", "where"];

const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "..", "|>", "+", "-", "*", "/", "%", "^", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",",
    ":",
];

/// What is put in besides every sign of ASCII and every pair of these.
const STRANGE: &[&str] = &[
    "\u{FEFF}",
    "\u{A0}",
    "\u{200B}",
    "\u{2028}",
    "\u{85}",
    "é",
    "“",
    "”",
    "–",
    "→",
    "\0",
    "\u{1b}[31m",
    "\r",
    "\r\n",
    "\u{c}",
    "😀",
    "//",
    "/*",
    "*/",
    "///",
    "//!",
    "\"\"",
    "model M {",
    "train {",
    "if true {",
    "} else {",
    "for i in a {",
    "as \"x\"",
];
const PAIRS: &str = "(){}[]\":,=|>/ \nx1";

/// The marks of a text, apart from layout and comments: words, numbers, strings and signs with their numbers.
type Marks = BTreeMap<String, usize>;

/// Reads a text letter by letter. `None` where something stands that belongs nowhere, or brackets do not match.
fn marks(text: &str, dump: bool) -> Option<(Marks, usize)> {
    let mut found = Marks::new();
    let mut open = Vec::new();
    let mut colons = 0;
    let mut rest = text;
    let mut count = |word: &str| *found.entry(word.to_owned()).or_default() += 1;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") && !dump {
            rest.find(['\n', '\r']).unwrap_or(rest.len())
        } else if first.is_ascii_alphabetic() || first == '_' {
            let len = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
            count(&rest[..len]);
            len
        } else if first.is_ascii_digit() {
            let len = number(rest);
            count(&value(&rest[..len])?);
            len
        } else if first == '"' {
            let len = string(rest)?;
            // Words and numbers in holes are found again in the tree's own way of writing them.
            // A tree shows other characters by their numbers.
            let plain = rest[1..len - 1].chars().all(|it| it != '\\' && (it == ' ' || it.is_ascii_graphic()));
            let parts = rest[1..len - 1].split(|it: char| !it.is_ascii_alphanumeric());
            for part in parts.filter(|it| plain && !it.is_empty()) {
                count(&format!("in a string: {part}"));
            }
            count("a string");
            len
        } else if let Some(sign) = SIGNS.iter().find(|it| rest.starts_with(**it)) {
            match *sign {
                "(" | "[" | "{" => open.push(*sign),
                ")" if open.pop()? != "(" => return None,
                "]" if open.pop()? != "[" => return None,
                "}" if open.pop()? != "{" => return None,
                ":" => colons += 1,
                ")" | "]" | "}" | "," | "=" => {}
                sign => count(sign),
            }
            sign.len()
        } else if matches!(first, ' ' | '\t' | '\n' | '\r') || dump && first == ';' {
            1
        } else {
            return None;
        };
        rest = &rest[len..];
    }
    for word in KEYWORDS {
        found.remove(*word);
    }
    open.is_empty().then_some((found, colons))
}

fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run =
        |from: usize| from + bytes[from..].iter().take_while(|it| it.is_ascii_alphanumeric() || **it == b'_').count();
    let mut len = run(0);
    if bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit) {
        len = run(len + 1);
    }
    if matches!(bytes[len - 1], b'e' | b'E') && matches!(bytes.get(len), Some(b'+' | b'-')) {
        len = run(len + 1);
    }
    len
}

/// A number by what it is, however it is written.
fn value(text: &str) -> Option<String> {
    text.replace('_', "").parse::<f64>().ok().map(|it| format!("number {it:e}"))
}

fn string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            '\n' | '\r' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether everything in the text is in the tree: `Err` says what is not.
fn accounted(text: &str, dump: &str) -> Result<(), String> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let (written, colons) = marks(text, false).ok_or("a sign that belongs nowhere, or brackets that do not match")?;
    // Without the docs, which are comments, and the first line.
    let tree: String =
        dump.lines().skip(1).filter(|it| !it.trim_start().starts_with("doc \"")).map(|it| format!("{it}\n")).collect();
    let (read, read_colons) = marks(&tree, true).ok_or_else(|| format!("the tree cannot be read\n{tree}"))?;
    // The tree has words of its own for what the text has signs for.
    let own = ["as", "index", "if", "file", "names"];
    for (mark, count) in &written {
        let found = read.get(mark).copied().unwrap_or(0);
        if found < *count || found != *count && !own.contains(&mark.as_str()) && !mark.starts_with("in a string") {
            return Err(format!("`{mark}`: {count} in the text, {found} in the tree"));
        }
    }
    if colons != read_colons {
        return Err(format!("{colons} colons in the text, {read_colons} in the tree"));
    }
    Ok(())
}

fn sound(text: &str) -> Option<String> {
    let mut sink = Sink::new();
    let file = syntax::parse(FileId(0), text, &mut sink);
    let dump = syntax::dump(&file);
    sink.finish().iter().all(|it| it.severity() != Severity::Error).then_some(dump)
}

/// The texts that parse, as they are.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    in_folder(&root.join("models"), &mut paths);
    in_folder(&root.join("tests/suite"), &mut paths);
    paths.sort();
    let texts = paths.iter().map(|it| (it.display().to_string(), fs::read_to_string(it).unwrap()));
    texts.filter(|it| sound(&it.1).is_some()).collect()
}

/// A counter-based choice: the same for every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((it ^ (it >> 31)) % end as u64) as usize
    }

    fn boundary(&mut self, text: &str) -> usize {
        let at = self.below(text.len() + 1);
        (0..=at).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0)
    }
}

/// One change to a text.
fn changed(text: &str, dice: &mut Dice, put: Option<&str>) -> String {
    let at = dice.boundary(text);
    let mut out = text.to_owned();
    match put {
        Some(sign) => out.insert_str(at, sign),
        None => {
            let next = |from: usize, letters: usize| {
                text[from..].char_indices().nth(letters).map_or(text.len(), |it| from + it.0)
            };
            let end = next(at, 1 + dice.below(3));
            match dice.below(2) {
                0 => out.replace_range(at..end, ""),
                _ => out.insert_str(at, &text[at..end]),
            }
        }
    }
    out
}

#[test]
fn whatever_is_put_into_a_text_is_reported_or_part_of_the_tree() {
    let times: usize = std::env::var("SPHC_SIGNS").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let mut put: Vec<Option<String>> = (1..128_u8).map(|it| Some((it as char).to_string())).collect();
    put.extend(STRANGE.iter().map(|it| Some((*it).to_owned())));
    for a in PAIRS.chars() {
        put.extend(PAIRS.chars().map(|b| Some(format!("{a}{b}"))));
    }
    put.extend(std::iter::repeat_n(None, 200));
    let texts = texts();
    assert!(texts.len() > 20, "only {} texts", texts.len());
    for (name, text) in &texts {
        accounted(text, &sound(text).unwrap()).unwrap_or_else(|it| panic!("{name}: {it}"));
    }
    let mut dice = Dice(1);
    let (mut reported, mut same, mut other) = (0, 0, 0);
    for _ in 0..times {
        for put in &put {
            for _ in 0..8 {
                let (name, text) = &texts[dice.below(texts.len())];
                let changed = changed(text, &mut dice, put.as_deref());
                match sound(&changed) {
                    None => reported += 1,
                    Some(dump) => {
                        if let Err(cause) = accounted(&changed, &dump) {
                            panic!("{name} with {put:?} put in is read without a report, but {cause}:\n{changed}");
                        }
                        if dump == sound(text).unwrap() { same += 1 } else { other += 1 }
                    }
                }
            }
        }
    }
    println!(
        "{} changes of {} texts: {reported} reported, {same} the same tree, {other} another tree",
        reported + same + other,
        texts.len()
    );
    assert!(reported > 1000 && same > 100 && other > 100, "{reported} {same} {other}");
}

/// Mistakes that were once read without a word.
#[test]
fn what_is_taken_out_to_go_on_is_reported() {
    for text in [
        "param a:} int = 3\n",
        "block t(x, w:} [int]) {\n    conv(x, w[0])\n}\n",
        "// a comment:\nparam a = 3 }\n",
        "param a = 3 // so:\nparam b = (4}\n",
        "block f(x) {\n    x // this:\n}\n}\n",
        "\u{FEFF}\u{FEFF}param a = 3\n",
        "param a = 3\0\n",
        "}",
        ":\n}",
        ":\n}{{{{{{{{{{{{{{{{{{{{{{d)\"\"\n}}}}}}}}}}}}",
    ] {
        assert!(sound(text).is_none(), "{text:?}");
        assert_eq!(syntax::format(text), None, "{text:?}");
    }
}

/// Whatever is laid out means what it meant, down to the comments; and is laid out.
#[test]
fn a_layout_means_the_same_or_is_none() {
    let texts = texts();
    let mut dice = Dice(2);
    let mut count = 0;
    for _ in 0..300 {
        let (_, text) = &texts[dice.below(texts.len())];
        let sign = [" ", "\n", "\t", "(", ")", "{", "}", ":", "//", "-", "|>", "\r\n"][dice.below(12)];
        let changed = changed(text, &mut dice, Some(sign));
        let Some(out) = syntax::format(&changed) else { continue };
        count += 1;
        assert_eq!(sound(&out), sound(&changed), "{changed}");
        assert_eq!(syntax::format(&out).as_ref(), Some(&out), "{changed}");
    }
    assert!(count > 100, "only {count} layouts");
}

#[test]
fn a_text_keeps_the_ends_of_its_lines() {
    assert_eq!(syntax::format("param  a = 1\r\nparam b=2\r\n").as_deref(), Some("param a = 1\r\nparam b = 2\r\n"));
    assert_eq!(syntax::format("param  a = 1\nparam b=2\r\n").as_deref(), Some("param a = 1\nparam b = 2\n"));
}
