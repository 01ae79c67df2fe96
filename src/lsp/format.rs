//! The canonical layout, as an edit of no more than what differs.

use super::text::{Encoding, Lines};
use crate::syntax;
use lsp_types::TextEdit;

/// Nothing for a text that does not parse. What its names stand for is no matter of its layout.
pub(super) fn format(old: &str, encoding: Encoding) -> Option<Vec<TextEdit>> {
    let new = syntax::format(old)?;
    let edit = |(start, end, text): (usize, usize, &str)| {
        let range = Lines::of(old, encoding).range(old, start, end);
        TextEdit { range, new_text: text.to_owned() }
    };
    Some(difference(old, &new).map(edit).into_iter().collect())
}

/// The part of a text that another has something else for: whole lines.
fn difference<'a>(old: &str, new: &'a str) -> Option<(usize, usize, &'a str)> {
    if old == new {
        return None;
    }
    let lines = |it: &str| it.split_inclusive('\n').map(str::len).collect::<Vec<usize>>();
    let (before, after) = (lines(old), lines(new));
    let same = |at: usize, by: usize, a: usize, b: usize| old.get(at..at + a) == new.get(by..by + b);
    let mut start = 0;
    for (a, b) in before.iter().zip(&after) {
        if !same(start, start, *a, *b) {
            break;
        }
        start += a;
    }
    let (mut end, mut until) = (old.len(), new.len());
    for (a, b) in before.iter().rev().zip(after.iter().rev()) {
        if end - a < start || until - b < start || !same(end - a, until - b, *a, *b) {
            break;
        }
        (end, until) = (end - a, until - b);
    }
    Some((start, end, &new[start..until]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\ny\nc\n"), Some((2, 4, "x\ny\n")));
        assert_eq!(difference("a\na\na\n", "a\na\n"), Some((4, 6, "")));
        assert_eq!(difference("a", "a\n"), Some((0, 1, "a\n")));
        assert_eq!(difference("\u{e4}\nb", "\u{f6}\nb"), Some((0, 3, "\u{f6}\n")));
        assert_eq!(difference("a\n", "a\n"), None);
    }
}
