//! Text of others that cannot control a terminal.

use std::borrow::Cow;

/// Whether a character does something to a terminal, or to the order of the text around it, instead of being shown.
fn controls(it: char) -> bool {
    let turns = matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || matches!(it, '\u{2028}' | '\u{2029}' | '\u{feff}') || it.is_control() && !matches!(it, '\n' | '\t')
}

/// The text with what would control a terminal written out, as JSON does: `\u001b`. Lines and tabs stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(controls) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for it in text.chars() {
        match controls(it) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(it))),
            false => out.push(it),
        }
    }
    Cow::Owned(out)
}

/// The text with a sign of as many bytes in place of what would control a terminal, so that places in it stay. The end of
/// a line may be that of another system.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    if !text.replace("\r\n", "\n").chars().any(controls) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(it) = rest.next() {
        let line_end = it == '\r' && rest.peek() == Some(&'\n');
        match (controls(it) && !line_end, it.len_utf8()) {
            (false, _) => out.push(it),
            (true, 1) => out.push('?'),
            (true, 2) => out.push('\u{bf}'),
            (true, _) => out.push('\u{fffd}'),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_written_out() {
        assert_eq!(
            plain("cat\x1b[31m\r\u{9b}2J\u{202e}x\n\ty\u{7f}"),
            "cat\\u001b[31m\\u000d\\u009b2J\\u202ex\n\ty\\u007f"
        );
        assert!(matches!(plain("Grüße, 猫 🐈\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn masked_text_has_the_same_places() {
        let text = "a\x1bb\u{9b}c\u{202e}d\r\ne\rf\n";
        let found = masked(text);
        assert_eq!(found, "a?b\u{bf}c\u{fffd}d\r\ne?f\n");
        assert_eq!(found.len(), text.len());
    }
}
