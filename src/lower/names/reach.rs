//! What of the prelude a text can reach. To parse all of it takes longer than everything else that is done for a small file,
//! and most files use a tenth.
//!
//! A definition is reached if its name stands in the text, or in one that is reached, whatever the name means there: more may
//! be taken than is used, never less.

use std::collections::BTreeMap;

/// How much of the prelude is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) enum Reach<'a> {
    /// All: reports may have to name what is not used.
    Whole,
    /// What the files can reach, and these other texts.
    From(&'a [&'a str]),
}

/// Names that stand in no text: operators that primitives have as defaults, and what is told of models with classes.
const ALWAYS: &str = "none cosine accuracy";

/// The prelude with blanks for what cannot be reached: all that is left stands where it stood.
pub(super) fn reached(prelude: &str, texts: &[&str]) -> String {
    let items = items(prelude);
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        named.entry(item.name).or_default().push(at);
    }
    let mut kept = vec![false; items.len()];
    let mut unread: Vec<&str> = texts.to_vec();
    unread.push(ALWAYS);
    while let Some(text) = unread.pop() {
        for word in words(text) {
            // Each name is looked up with success once.
            for at in named.remove(word).unwrap_or_default() {
                kept[at] = true;
                unread.push(&prelude[items[at].start..items[at].end]);
            }
        }
    }
    let mut text = String::with_capacity(prelude.len());
    let mut done = 0;
    for item in items.iter().zip(kept).filter(|it| it.1).map(|it| it.0) {
        blank(&prelude[done..item.start], &mut text);
        text.push_str(&prelude[item.start..item.end]);
        done = item.end;
    }
    blank(&prelude[done..], &mut text);
    text
}

/// A definition of the prelude.
struct Item<'a> {
    name: &'a str,
    start: usize,
    end: usize,
}

/// The definitions: each starts with a word at the start of a line, and ends before the next or its description.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let (mut at, mut open) = (0, false);
    for line in text.split_inclusive('\n') {
        if line.starts_with(|it: char| it.is_ascii_alphabetic()) {
            let name = words(line).nth(1).unwrap_or_default();
            items.push(Item { name, start: at, end: at + line.len() });
            open = true;
        } else if line.starts_with("//") {
            open = false;
        } else if let (Some(item), true) = (items.last_mut(), open) {
            item.end = at + line.len();
        }
        at += line.len();
    }
    items
}

/// All words outside of comments.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|it| it.split_once("//").map_or(it, |it| it.0));
    code.flat_map(|it| it.split(|it: char| !it.is_alphanumeric() && it != '_')).filter(|it| !it.is_empty())
}

fn blank(text: &str, out: &mut String) {
    out.extend(text.bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::settings;

    const TEXT: &str = "//! all\n\n/// one\nfn one(x) = two(x)\n\n/// two\nfn two(\n    x,\n) {\n    x\n}\n\n// more\nlayer three(x) = x\n\
                        operator three(cos) = one(cos) // four\nfn four(x) = x\n";

    #[test]
    fn what_is_reached_stays_where_it_is() {
        assert_eq!(items(TEXT).iter().map(|it| it.name).collect::<Vec<_>>(), ["one", "two", "three", "three", "four"]);
        let found = reached(TEXT, &["one // three"]);
        assert_eq!(found.len(), TEXT.len());
        assert_eq!(found.find("fn two(\n    x,\n) {\n    x\n}\n"), TEXT.find("fn two("));
        assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), "fn one(x) = two(x) fn two( x, ) { x }");
        let all = reached(TEXT, &["three"]);
        assert!(all.contains("layer three") && all.contains("operator three") && all.contains("fn one"), "{all}");
        assert!(!all.contains("fn four"), "{all}");
        assert!(reached(TEXT, &["x"]).trim().is_empty());
    }

    /// Graphs are the same, and a right text is not read with the whole prelude.
    #[test]
    fn what_is_reached_is_enough() {
        let models = [
            ("digits", include_str!("../../../models/digits.sph")),
            ("spherenet9", include_str!("../../../models/spherenet9.sph")),
            ("sphereresnet32", include_str!("../../../models/sphereresnet32.sph")),
            ("ngpt_digits", include_str!("../../../models/ngpt_digits.sph")),
        ];
        let data = |name: &str, side, channels, range| settings::DataInfo {
            range,
            ..settings::DataInfo::images(name, [side, side, channels], 10, [1000, 100])
        };
        for (name, text) in models {
            let settings = settings::Settings {
                known_data: vec![
                    data("digits", 8, 1, Some(crate::ir::Extremes([0.0, 16.0]))),
                    data("cifar10", 32, 3, None),
                ],
                ..settings::Settings::default()
            };
            let with = |reach: &Reach<'_>| {
                let (mut sources, mut sink) = (crate::diag::Sources::new(), crate::diag::Sink::new());
                let main = sources.add(name, text);
                let file = crate::syntax::parse(main, text, &mut sink);
                let mut none = |_: &str| Err(String::new());
                let graph =
                    crate::lower::lower_with(&file, main, (&mut sources, &mut none), &settings, &mut sink, reach);
                let told = crate::diag::render::render(&sink.finish(), &sources, false);
                (graph.graph.map(|it| it.to_string()), told)
            };
            let (whole, part) = (with(&Reach::Whole), with(&Reach::From(&[])));
            assert!(whole.0.is_some() && whole.1.is_empty(), "{name}: {}", whole.1);
            assert_eq!(part, whole, "{name}");
        }
    }
}
