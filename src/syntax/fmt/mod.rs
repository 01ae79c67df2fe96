//! The canonical layout of a text: one for each tree with its comments.
//!
//! - Four spaces for each open group or body; one space between tokens, none inside of parentheses and around `..` and `^`.
//! - What fits on a line of 100 columns stands on one: calls, lists, sums, chains, choices between expressions. What does not is
//!   parted at the outermost place: arguments and elements stand on a line each, with a comma behind the last (short
//!   elements of a list share lines); a sum is parted behind its loosest signs; the value of a definition goes to the next
//!   line; a choice has a line for each branch; a chain has a line for each `|>`.
//! - Bodies of items, loops and of choices that hold more than one expression are never on one line.
//! - The values of a recipe stand below each other, and so do the types and values of params without an empty line between.
//! - Comments are never changed. One at the end of a line stays there, behind two spaces; one before a comma goes behind it.
//! - What is the author's: a chain that is parted at some `|>` is parted at each, and empty lines between statements, of which
//!   one is kept, none at the edges of a body. An item of several lines has one above and below.

mod doc;
mod expr;
mod gaps;
mod items;

use super::grammar::{Pair, Rule};
use super::parse::parse_and;
use super::scan::{self, TokenKind};
use crate::diag::{FileId, Sink};
use doc::Doc;
use gaps::Gaps;
use items::Columns;

/// The canonical layout of `text`; `None` when it does not parse. Lines end as the first one of `text` does. A byte order mark is
/// no part of it.
pub fn format(text: &str) -> Option<String> {
    // A second one is not.
    let text = text.strip_prefix('\u{FEFF}').filter(|it| !it.starts_with('\u{FEFF}')).unwrap_or(text);
    let (meaning, out) = Meaning::and(text, |root| lay_out(text, root))?;
    // A layout that changed the meaning would be worse than none.
    if out != text && Meaning::and(&out, |_| ())?.0 != meaning {
        return None;
    }
    let first = text.find('\n').map(|at| &text[..at]);
    Some(if first.is_some_and(|it| it.ends_with('\r')) { out.replace('\n', "\r\n") } else { out })
}

/// What a layout may not change: the tree, and the comments.
#[derive(PartialEq, Eq)]
struct Meaning {
    tree: String,
    comments: Vec<String>,
}

impl Meaning {
    /// With what is made of the grammar's pairs; `None` when the text does not parse.
    fn and<T>(text: &str, make: impl FnOnce(Pair<'_>) -> T) -> Option<(Self, T)> {
        let (file, made) = parse_and(FileId(0), text, &mut Sink::new(), make);
        let comments = scan::tokens(text).into_iter().filter(|it| it.kind == TokenKind::Comment);
        let comments = comments.map(|it| text[it.start..it.end].trim_end().to_owned()).collect();
        Some((Self { tree: super::dump(&file), comments }, made?))
    }
}

/// Makes documents of the grammar's pairs.
struct Builder<'t> {
    gaps: Gaps<'t>,
}

impl<'t> Builder<'t> {
    /// A token as it is written.
    fn token(&mut self, pair: &Pair<'t>) -> Doc<'t> {
        let text = pair.as_str().trim_end();
        self.gaps.passed(pair.as_span().start() + text.len());
        Doc::Text(text)
    }
}

/// A text that is written, and what is to be known of it for the empty lines around it.
struct Piece {
    text: String,
    kind: Kind,
    /// Below an empty line of the author's.
    apart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of the whole file.
    Docs,
    Comment,
    /// Behind the piece before it.
    Trailing,
    /// An item that stays beside its like.
    Single,
    /// A definition of several lines, which stands apart.
    Several,
}

/// The layout of a text of which nothing was changed before it was parsed.
fn lay_out(text: &str, root: Pair<'_>) -> String {
    let end = root.as_span().end();
    let items: Vec<Pair<'_>> = root.into_inner().filter(|it| !matches!(it.as_rule(), Rule::eol | Rule::EOI)).collect();
    let columns = columns(text, &items);
    let mut builder = Builder { gaps: Gaps::of(text) };
    let mut pieces = Vec::new();
    for (item, columns) in items.into_iter().zip(columns) {
        let apart = comments(&mut builder, item.as_span().start(), &mut pieces);
        let part = matches!(item.as_rule(), Rule::import | Rule::param);
        let text = builder.words(item, columns).print();
        let kind = if !part && text.contains('\n') { Kind::Several } else { Kind::Single };
        pieces.push(Piece { text, kind, apart });
    }
    comments(&mut builder, end, &mut pieces);
    joined(&pieces)
}

/// Comments between items; whether an empty line is below them.
fn comments(builder: &mut Builder<'_>, at: usize, pieces: &mut Vec<Piece>) -> bool {
    let (comments, apart) = builder.gaps.comments(at);
    pieces.extend(comments.into_iter().map(|it| {
        let kind = match (it.trailing, it.text.starts_with("//!")) {
            (true, _) => Kind::Trailing,
            (false, true) => Kind::Docs,
            (false, false) => Kind::Comment,
        };
        Piece { text: it.text.to_owned(), kind, apart: it.apart }
    }));
    apart
}

/// The pieces, one below the other.
fn joined(pieces: &[Piece]) -> String {
    // A comment belongs to what stands right below it.
    let mut owners: Vec<Kind> = pieces.iter().map(|it| it.kind).collect();
    for at in (1..pieces.len()).rev() {
        if pieces[at - 1].kind == Kind::Comment && !pieces[at].apart {
            owners[at - 1] = owners[at];
        }
    }
    let mut out = String::new();
    let mut before: Option<Kind> = None;
    for (it, owner) in pieces.iter().zip(owners) {
        if it.kind == Kind::Trailing {
            out.push_str("  ");
            out.push_str(&it.text);
            continue;
        }
        let several = owner == Kind::Several && before != Some(Kind::Comment);
        let after = match before {
            Some(Kind::Several) => true,
            Some(Kind::Docs) => it.kind != Kind::Docs,
            _ => false,
        };
        if !out.is_empty() {
            out.push('\n');
            if it.apart || several || after {
                out.push('\n');
            }
        }
        out.push_str(&it.text);
        before = Some(it.kind);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// What puts the types and values of params below each other, in runs without an empty line.
fn columns(text: &str, items: &[Pair<'_>]) -> Vec<Columns> {
    let mut found = vec![Columns::default(); items.len()];
    let mut start = 0;
    while start < items.len() {
        let is_param = |it: &Pair<'_>| it.as_rule() == Rule::param;
        let follows = |at: &usize| {
            let between = &text[items[at - 1].as_span().end()..items[*at].as_span().start()];
            let inner = between.split_once('\n').and_then(|it| it.1.rsplit_once('\n')).map_or("x", |it| it.0);
            is_param(&items[*at]) && inner.split('\n').all(|it| !it.trim().is_empty())
        };
        let run = if is_param(&items[start]) { (start + 1..items.len()).take_while(follows).count() } else { 0 };
        let all: Vec<[usize; 2]> = items[start..=start + run].iter().map(widths).collect();
        // A param without a type has nothing in the first column.
        let typed = |it: &[usize; 2]| it[1] != 0;
        let names = all.iter().filter(|it| typed(it)).map(|it| it[0]).max().unwrap_or(0);
        let pad = |it: &[usize; 2]| if typed(it) { names - it[0] } else { 0 };
        let total = |it: &[usize; 2]| it[0] + pad(it) + it[1];
        let widest = all.iter().map(total).max().unwrap_or(0);
        for (at, it) in all.iter().enumerate() {
            found[start + at] = Columns { ty: pad(it), equals: widest - total(it) };
        }
        start += run + 1;
    }
    found
}

/// The widths of a param's name, and of its type with what parts it from the name; 0 without one.
fn widths(param: &Pair<'_>) -> [usize; 2] {
    let mut widths = [0, 0];
    for part in param.clone().into_inner() {
        let width = part.as_str().chars().filter(|it| !it.is_whitespace()).count();
        match part.as_rule() {
            Rule::ident => widths[0] = width,
            Rule::value_type => widths[1] = 2 + width,
            _ => {}
        }
    }
    widths
}
