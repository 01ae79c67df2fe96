//! A text as an editor sees it: lines, positions within them, and changes.

use lsp_types::{Position, PositionEncodingKind, Range, TextDocumentContentChangeEvent};

/// What a column counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// What every client understands.
    #[default]
    Utf16,
    Utf8,
}

impl Encoding {
    /// UTF-8 where the client can, as texts are kept in it.
    pub(super) fn of(offered: Option<&[PositionEncodingKind]>) -> Encoding {
        match offered.is_some_and(|it| it.contains(&PositionEncodingKind::UTF8)) {
            true => Encoding::Utf8,
            false => Encoding::Utf16,
        }
    }

    pub(super) fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf16 => PositionEncodingKind::UTF16,
            Encoding::Utf8 => PositionEncodingKind::UTF8,
        }
    }

    /// How long a text is in columns.
    pub(super) fn columns(self, text: &str) -> u32 {
        match self {
            Encoding::Utf8 => text.len() as u32,
            Encoding::Utf16 => text.chars().map(|it| it.len_utf16() as u32).sum(),
        }
    }

    /// The byte of a line at a column; a column inside of a character, or behind the line, is the next place before it.
    fn byte(self, line: &str, column: u32) -> usize {
        let mut counted = 0;
        for (at, it) in line.char_indices() {
            counted += match self {
                Encoding::Utf8 => it.len_utf8() as u32,
                Encoding::Utf16 => it.len_utf16() as u32,
            };
            if column < counted {
                return at;
            }
        }
        line.len()
    }
}

/// Where the lines of a text start.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
    encoding: Encoding,
}

impl Lines {
    pub(super) fn of(text: &str, encoding: Encoding) -> Lines {
        Lines { starts: std::iter::once(0).chain(ends(text)).collect(), encoding }
    }

    /// The position of a byte; one inside of a character is that of its start.
    pub(super) fn position(&self, text: &str, byte: usize) -> Position {
        let byte = (0..=byte.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
        let line = self.starts.partition_point(|it| *it <= byte) - 1;
        let character = self.encoding.columns(&text[self.starts[line]..byte]);
        Position { line: line as u32, character }
    }

    pub(super) fn range(&self, text: &str, start: usize, end: usize) -> Range {
        Range { start: self.position(text, start), end: self.position(text, end) }
    }

    /// The byte of a position; behind the text, its end.
    pub(super) fn byte(&self, text: &str, position: Position) -> usize {
        let Some(&start) = self.starts.get(position.line as usize) else { return text.len() };
        let end = self.starts.get(position.line as usize + 1).copied().unwrap_or(text.len());
        let line = text[start..end].trim_end_matches(['\n', '\r']);
        start + self.encoding.byte(line, position.character)
    }
}

/// Where lines end: at `\n`, `\r\n`, or `\r` alone.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let is_end = |at: usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(move |at| is_end(*at)).map(|at| at + 1)
}

/// The text after changes, which follow each other.
pub(super) fn changed(text: &str, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) -> String {
    let mut text = text.to_owned();
    for change in changes {
        let Some(range) = change.range else {
            text = change.text;
            continue;
        };
        let lines = Lines::of(&text, encoding);
        let (start, end) = (lines.byte(&text, range.start), lines.byte(&text, range.end));
        text.replace_range(start..end.max(start), &change.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn columns_are_those_of_the_encoding() {
        let text = "a\u{e4}\u{1F600}b\r\nc\n";
        for (encoding, b) in [(Encoding::Utf16, 4), (Encoding::Utf8, 7)] {
            let lines = Lines::of(text, encoding);
            assert_eq!(lines.position(text, text.find('b').unwrap()), at(0, b));
            assert_eq!(lines.byte(text, at(0, b)), text.find('b').unwrap());
            assert_eq!(lines.position(text, text.find('c').unwrap()), at(1, 0));
            assert_eq!(lines.byte(text, at(0, 99)), text.find('\r').unwrap());
            assert_eq!(lines.byte(text, at(9, 0)), text.len());
            // Inside of the pair of surrogates, or of the bytes of a character.
            assert_eq!(lines.byte(text, at(0, 3)), text.find('\u{1F600}').unwrap());
        }
    }

    #[test]
    fn changes_follow_each_other() {
        let change = |start, end, text: &str| TextDocumentContentChangeEvent {
            range: Some(Range { start, end }),
            range_length: None,
            text: text.to_owned(),
        };
        let text = changed(
            "one\ntwo\n",
            vec![change(at(0, 0), at(0, 3), "1\n1"), change(at(2, 1), at(2, 1), "-"), change(at(9, 0), at(9, 9), "!")],
            Encoding::Utf16,
        );
        assert_eq!(text, "1\n1\nt-wo\n!");
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "x".to_owned() };
        assert_eq!(changed("abc", vec![whole], Encoding::Utf16), "x");
    }
}
