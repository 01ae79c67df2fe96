//! What differs between the definitions of two texts, statement by statement: layout, comments, spellings of numbers and
//! names of one's own within a definition are no differences.

use super::{Change, parted};
use crate::api::Compilation;
use crate::diag::{FileId, Sink, Sources, Span};
use crate::pipeline::imported;
use crate::syntax::ast::{Body, File, Function, Item, Stmt, StmtKind};
use crate::syntax::{self, TokenKind};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeMap, BTreeSet};

/// A definition, by what it is and its name.
struct Definition {
    /// `block unit`.
    name: String,
    /// Its statements, the head first.
    lines: Vec<Line>,
    /// Names that its body binds.
    own: BTreeSet<String>,
}

/// A statement.
struct Line {
    span: Span,
    /// What it says, whatever its layout, with how deep it is.
    key: String,
}

/// Statements that differ, each with its line.
pub(super) fn changes(a: &Compilation, b: &Compilation) -> Vec<Change> {
    let (sources, others) = (&a.checked.sources, &b.checked.sources);
    let (first, second) = (definitions(a), definitions(b));
    let find = |all: &[Definition], name: &str| all.iter().position(|it| it.name == name);
    let mut found = Vec::new();
    for it in &first {
        let other = find(&second, &it.name).map(|at| &second[at]);
        let Some(other) = other else {
            found.push(row(&it.name, [it.lines.first().map(|it| (sources, it)), None]));
            continue;
        };
        for [a, b] in differing(it, other) {
            found.push(row(&it.name, [a.map(|it| (sources, it)), b.map(|it| (others, it))]));
        }
    }
    for it in second.iter().filter(|it| find(&first, &it.name).is_none()) {
        found.push(row(&it.name, [None, it.lines.first().map(|it| (others, it))]));
    }
    found
}

fn row(name: &str, lines: [Option<(&Sources, &Line)>; 2]) -> Change {
    let texts = lines.map(|it| {
        let text = it.map(|(sources, line)| sources.slice(line.span).trim_end_matches([' ', '{', '=']));
        text.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    let cut = parted([texts[0].as_deref(), texts[1].as_deref()]);
    let place = lines.map(|it| it.map(|(sources, line)| sources.line_of(line.span)));
    let [a, b] = [0, 1].map(|at| Some(format!("{} ({})", cut[at].as_ref()?, place[at].as_ref()?)));
    (name.to_owned(), a, b)
}

/// All of a text and of what it imports, but for params, which are compared by their values, and the recipe.
fn definitions(model: &Compilation) -> Vec<Definition> {
    let sources = &model.checked.sources;
    let imported = imported(sources).map(|it| parsed(sources, it));
    let files: Vec<File> = std::iter::once(parsed(sources, FileId(0))).chain(imported).collect();
    let main = files.first().map_or(0, |it| it.items.len());
    let items = files.iter().flat_map(|it| &it.items).enumerate();
    items
        .filter_map(|(at, item)| {
            let (name, own) = match item {
                Item::Operator(it) => (format!("operator {}", it.name.name), bound(it)),
                Item::Fn(it) => (format!("fn {}", it.name.name), bound(it)),
                Item::Block(it) => (format!("block {}", it.name.name), bound(it)),
                Item::Recipe(part, it) => (format!("{} {}", part.word(), it.name.name), bound(it)),
                // That of an imported file stays behind.
                Item::Model(it) if at < main => ("model".to_owned(), names(&it.body)),
                Item::Model(_) | Item::Import(_) | Item::Param(_) | Item::Train(_) => return None,
            };
            let mut lines = syntax::lines(item);
            if matches!(item, Item::Model(_)) {
                // What it is called is no matter of what it computes.
                lines.remove(0);
            }
            let line = |it: syntax::Line| Line { span: it.span, key: format!("{} {}", it.level, it.text) };
            Some(Definition { name, lines: lines.into_iter().map(line).collect(), own })
        })
        .collect()
}

fn parsed(sources: &Sources, file: FileId) -> File {
    syntax::parse(file, &sources.get(file).text, &mut Sink::new())
}

/// Names that a definition binds and nobody else can say.
fn bound(function: &Function) -> BTreeSet<String> {
    let params: BTreeSet<&str> = function.params.iter().map(|it| it.name.name.as_str()).collect();
    names(&function.body).into_iter().filter(|it| !params.contains(it.as_str())).collect()
}

fn names(body: &Body) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&body.stmts, &mut found);
    found
}

fn collect(stmts: &[Stmt], found: &mut BTreeSet<String>) {
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Let { name, .. } | StmtKind::Assign { name, .. } => drop(found.insert(name.name.clone())),
            StmtKind::Unpack { names, .. } => found.extend(names.iter().map(|it| it.name.clone())),
            StmtKind::For { index, item, body, .. } => {
                found.extend(index.iter().chain([item]).map(|it| it.name.clone()));
                collect(&body.stmts, found);
            }
            StmtKind::If { then, otherwise, .. } => {
                collect(&then.stmts, found);
                otherwise.iter().for_each(|it| collect(&it.stmts, found));
            }
            // What is learned or kept is a path of checkpoints; an input and outputs are called by others.
            StmtKind::Input { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Output { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. }
            | StmtKind::Expr(_) => {}
        }
    }
}

/// Statements of two definitions that are not the same, side by side.
fn differing<'d>(a: &'d Definition, b: &'d Definition) -> Vec<[Option<&'d Line>; 2]> {
    let mut names = Renamed { a: &a.own, b: &b.own, there: BTreeMap::new(), back: BTreeMap::new() };
    let keys = |it: &'d Definition| it.lines.iter().map(|it| it.key.as_str()).collect::<Vec<&str>>();
    let mut found = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &keys(a), &keys(b)) {
        let (old, new) = match op {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { old_index, old_len, new_index } => (old_index..old_index + old_len, new_index..new_index),
            DiffOp::Insert { old_index, new_index, new_len } => (old_index..old_index, new_index..new_index + new_len),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                (old_index..old_index + old_len, new_index..new_index + new_len)
            }
        };
        let mut left: Vec<&Line> = b.lines[new].iter().collect();
        let mut only = Vec::new();
        for line in &a.lines[old] {
            match left.iter().position(|it| names.same(&line.key, &it.key)) {
                Some(at) => drop(left.remove(at)),
                None => only.push(line),
            }
        }
        let mut left = left.into_iter();
        found.extend(only.into_iter().map(|it| [Some(it), left.next()]).collect::<Vec<_>>());
        found.extend(left.map(|it| [None, Some(it)]));
    }
    found
}

/// Which names of one definition stand for which of the other.
#[derive(Clone)]
struct Renamed<'d> {
    a: &'d BTreeSet<String>,
    b: &'d BTreeSet<String>,
    there: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Renamed<'_> {
    /// Whether two statements say the same but for names that stand for each other.
    fn same(&mut self, a: &str, b: &str) -> bool {
        let mut tried = self.clone();
        let same = words(a).len() == words(b).len() && words(a).iter().zip(words(b)).all(|(a, b)| tried.word(a, b));
        if same {
            *self = tried;
        }
        same
    }

    fn word(&mut self, a: &str, b: &str) -> bool {
        if !self.a.contains(a) || !self.b.contains(b) {
            return a == b;
        }
        let there = self.there.entry(a.to_owned()).or_insert_with(|| b.to_owned()) == b;
        there && self.back.entry(b.to_owned()).or_insert_with(|| a.to_owned()) == a
    }
}

/// The words and signs of a statement; of a string, what is literal with the signs around it, and those of its holes.
fn words(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    for it in syntax::tokens(text) {
        let word = &text[it.start..it.end];
        match it.kind {
            TokenKind::String => parts(word, &mut all),
            _ => all.push(word),
        }
    }
    all
}

fn parts<'t>(string: &'t str, all: &mut Vec<&'t str>) {
    let bytes = string.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'{' | b'}' if bytes.get(at + 1) == Some(&bytes[at]) => at += 2,
            b'{' => {
                let end = string[at..].find('}').map_or(bytes.len(), |it| at + it);
                all.push(&string[start..=at]);
                all.extend(
                    syntax::tokens(&string[at + 1..end]).iter().map(|it| &string[at + 1 + it.start..at + 1 + it.end]),
                );
                (start, at) = (end, end + 1);
            }
            _ => at += 1,
        }
    }
    all.push(&string[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ones_own_stand_for_each_other_and_names_of_layers_do_not() {
        let names = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<String>>();
        let (a, b) = (names(&["x", "i"]), names(&["y", "k"]));
        let same = |first: &str, second: &str| {
            let mut names = Renamed { a: &a, b: &b, there: BTreeMap::new(), back: BTreeMap::new() };
            names.same(first, second)
        };
        assert!(same("x = f(x, i: 3) as \"x{(+ i 1)}{{\"", "y = f(y, i: 3) as \"x{(+ k 1)}{{\""));
        assert!(!same("f(x) as \"x\"", "f(y) as \"y\""));
        assert!(!same("x + i", "y + y"));
        assert!(!same("f(x)", "g(y)"));
    }
}
