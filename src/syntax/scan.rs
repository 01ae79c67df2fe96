//! The marks of a text: brackets, strings, comments and lines, without any grammar. What must work on
//! texts that do not parse is built on this.

/// Something with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What can be told apart without a grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or keyword.
    Word,
    /// A number.
    Number,
    /// A string with its quotes.
    String,
    /// A string whose line ends before its closing quote.
    OpenString,
    /// `// ...` to the end of the line.
    Comment,
    /// One of `( [ {`.
    Open(char),
    /// One of `) ] }`.
    Close(char),
    /// An operator or separator; anything else is a sign of one character.
    Sign,
    /// The end of a line.
    Newline,
}

const LONG_SIGNS: [&str; 11] = ["|>", "==", "!=", "<=", ">=", "..", "&&", "||", "->", "**", "::"];

/// All tokens of `text`; spaces are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = next(text, at) {
        at = token.end;
        found.push(token);
    }
    found
}

/// The first token at or after `at`.
pub(super) fn next(text: &str, at: usize) -> Option<Token> {
    let skipped = text[at..].find(|it| !matches!(it, ' ' | '\t' | '\u{FEFF}'))?;
    let start = at + skipped;
    let rest = &text[start..];
    let first = rest.chars().next()?;
    let (kind, len) = match first {
        '\n' => (TokenKind::Newline, 1),
        '\r' => (TokenKind::Newline, if rest.starts_with("\r\n") { 2 } else { 1 }),
        '(' | '[' | '{' => (TokenKind::Open(first), 1),
        ')' | ']' | '}' => (TokenKind::Close(first), 1),
        '"' => string(rest),
        '/' if rest.starts_with("//") => (TokenKind::Comment, line_len(rest)),
        '0'..='9' => (TokenKind::Number, number_len(rest)),
        it if it.is_alphanumeric() || it == '_' => (TokenKind::Word, word_len(rest)),
        _ => match LONG_SIGNS.iter().find(|it| rest.starts_with(**it)) {
            Some(sign) => (TokenKind::Sign, sign.len()),
            None => (TokenKind::Sign, first.len_utf8()),
        },
    };
    Some(Token { kind, start, end: start + len })
}

fn line_len(rest: &str) -> usize {
    rest.find(['\n', '\r']).unwrap_or(rest.len())
}

fn word_len(rest: &str) -> usize {
    rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len())
}

fn number_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut len = word_len(rest);
    // A fraction, but not the start of a range (`0..3`).
    if bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit) {
        len += 1 + word_len(&rest[len + 1..]);
    }
    // `1e` and `1.5e` continue with a sign.
    if matches!(bytes[len - 1], b'e' | b'E') && matches!(bytes.get(len), Some(b'+' | b'-')) {
        let digits = word_len(&rest[len + 1..]);
        if digits > 0 {
            len += 1 + digits;
        }
    }
    len
}

/// A string ends with its line at the latest. Quotes inside of holes are not allowed, so the first
/// quote that is not escaped closes it.
fn string(rest: &str) -> (TokenKind, usize) {
    let mut escaped = false;
    for (at, it) in rest.char_indices().skip(1) {
        match it {
            '\n' | '\r' => return (TokenKind::OpenString, at),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (TokenKind::String, at + 1),
            _ => {}
        }
    }
    (TokenKind::OpenString, rest.len())
}

/// The number of columns before the first character of the line that `at` is on.
pub(super) fn indent(text: &str, at: usize) -> usize {
    let line = &text[line_start(text, at)..];
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// First byte of the line that `at` is on.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

/// Whether only spaces precede `at` on its line.
pub(super) fn first_on_line(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|it| &text[it.start..it.end]).collect()
    }

    #[test]
    fn numbers_and_ranges_are_told_apart() {
        assert_eq!(
            texts("0..3 1.5 1e-3 64_000 2.5e+4 3-1"),
            ["0", "..", "3", "1.5", "1e-3", "64_000", "2.5e+4", "3", "-", "1"]
        );
    }

    #[test]
    fn a_string_ends_at_its_quote_or_its_line() {
        assert_eq!(texts("\"a\\\"b\" x"), ["\"a\\\"b\"", "x"]);
        assert_eq!(tokens("\"ab\nx")[0].kind, TokenKind::OpenString);
    }
}
