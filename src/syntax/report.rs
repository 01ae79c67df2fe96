//! What pest expected, in words.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::grammar::Rule;
use super::scan::{self, TokenKind};
use crate::diag::{Code, Diagnostic, FileId, Span};

/// A mistake's surroundings, in the user's text.
pub(super) struct Place<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// Start of the statement or item.
    pub(super) start: usize,
    /// Where the parser could not go on.
    pub(super) at: usize,
    /// End of what was skipped.
    pub(super) end: usize,
}

/// How far the parser came.
pub(super) fn position(error: &Error<Rule>) -> usize {
    match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    }
}

/// The word at or after `at`, or nothing.
pub(super) fn first_word(text: &str, at: usize) -> &str {
    match scan::next(text, at) {
        Some(token) if token.kind == TokenKind::Word => &text[token.start..token.end],
        _ => "",
    }
}

/// The diagnostic of one mistake.
pub(super) fn report(error: &Error<Rule>, place: &Place<'_>, _strict: Rule) -> Diagnostic {
    let expected = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => format!("{positives:?}"),
        ErrorVariant::CustomError { message } => message.clone(),
    };
    let _ = (place.start, place.end);
    Diagnostic::new(Code::E0001, Span::new(place.file, place.at, place.at), format!("expected {expected}"))
}
