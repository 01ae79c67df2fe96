//! Comments that look like the second half of a whole division: `n // 2` is `n`.

use super::scan::{self, Token, TokenKind};
use crate::diag::{Code, Diagnostic, FileId, Span};

/// A warning for each comment that is nothing but a number and follows an operand.
pub fn divisions(file: FileId, text: &str) -> Vec<Diagnostic> {
    let tokens = scan::tokens(text);
    tokens.windows(2).filter_map(|it| division(file, text, it[0], it[1])).collect()
}

/// `before // 2`
fn division(file: FileId, text: &str, before: Token, comment: Token) -> Option<Diagnostic> {
    let divisor = divisor(text, before, comment)?;
    let operand = &text[before.start..before.end];
    let written = match before.kind {
        TokenKind::Word | TokenKind::Number => format!("div({operand}, {divisor})"),
        _ => format!("div(..., {divisor})"),
    };
    let place = Span::new(file, comment.start, comment.end);
    let report = Diagnostic::new(Code::W0106, place, format!("`// {divisor}` is a comment, not a division"))
        .label("nothing is divided")
        .help("add a word to the comment, if it is one");
    let both = Span::new(file, before.start, comment.end);
    Some(match before.kind {
        TokenKind::Word | TokenKind::Number => report.fix(format!("a whole division is `{written}`"), both, written),
        _ => report.help(format!("a whole division is `{written}`")),
    })
}

/// The number that is all of a comment behind an operand.
fn divisor(text: &str, before: Token, comment: Token) -> Option<&str> {
    let operand = matches!(before.kind, TokenKind::Word | TokenKind::Number | TokenKind::Close(')' | ']'));
    let number = text[comment.start..comment.end].strip_prefix("//").map(str::trim)?;
    let digits = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit() || it == b'_');
    (comment.kind == TokenKind::Comment && operand && digits).then_some(number)
}

/// Whether a comment on the line of a mistake may be meant as a division: it starts like an operand.
pub(super) fn may_be_division(text: &str, before: Token, comment: Token) -> bool {
    let operand = matches!(before.kind, TokenKind::Word | TokenKind::Number | TokenKind::Close(')' | ']'));
    let rest = text[comment.start..comment.end].strip_prefix("//").unwrap_or("").trim_start();
    let number = rest.starts_with(|it: char| it.is_ascii_digit());
    let word = rest.split([' ', ',']).next().unwrap_or("");
    let closes = word.ends_with([')', ']'])
        // `steps, 32)`: a name, and what follows it among arguments.
        || word.starts_with(|it: char| it.is_alphabetic()) && rest[word.len()..].starts_with(',') && rest.contains(')');
    comment.kind == TokenKind::Comment && operand && (number || closes)
}

/// What to say of it.
pub(super) const WHOLE_DIVISION: &str = "`//` begins a comment; a whole division is `div(a, b)`";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        divisions(FileId(0), text).into_iter().map(|it| it.helps[it.helps.len() - 1].text.clone()).collect()
    }

    #[test]
    fn only_a_number_behind_an_operand_looks_like_a_division() {
        assert_eq!(found("m = n // 2\n"), ["a whole division is `div(n, 2)`"]);
        assert_eq!(found("m = (n + 1) //2"), ["a whole division is `div(..., 2)`"]);
        for fine in ["m = n // 2 halves", "// 2", "m = [ // 2", "m = n // two", "m = n //", "x = f(x) // 32x32"] {
            assert!(found(fine).is_empty(), "{fine}");
        }
    }
}
