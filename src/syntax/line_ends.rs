//! Carriage returns that no line feed follows: a line ends there for the grammar, while most editors and terminals show
//! another sign or none, so that what looks like a comment may be none.

use crate::diag::{Code, Diagnostic, FileId, Sink, Span};

/// A report for each in a text.
pub(super) fn alone(file: FileId, text: &str, sink: &mut Sink) {
    for (at, _) in text.match_indices('\r') {
        let place = Span::new(file, at, at + 1);
        let (help, by) = match &text.as_bytes()[at + 1..] {
            [b'\n', ..] => continue,
            // A line's end of two signs of which the first was written twice.
            [b'\r', b'\n', ..] => ("remove it", ""),
            _ => ("end the line with a line feed", "\n"),
        };
        sink.push(
            Diagnostic::new(Code::E0001, place, "a carriage return without a line feed")
                .label("for some programs a line ends here, for others it goes on")
                .fix(help, place, by),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> String {
        let mut sink = Sink::new();
        alone(FileId(0), text, &mut sink);
        let fixes = sink.finish().into_iter().filter_map(|it| it.helps.into_iter().next()?.replacement);
        let mut out = text.to_owned();
        for (span, by) in fixes.collect::<Vec<_>>().into_iter().rev() {
            out.replace_range(span.start as usize..span.end as usize, &by);
        }
        out
    }

    #[test]
    fn lines_are_ended_where_the_grammar_ends_them() {
        assert_eq!(mended("a\rb\r\n// c\rd\n"), "a\nb\r\n// c\nd\n");
        assert_eq!(mended("a\r\r\nb\r\r\n"), "a\r\nb\r\n");
        assert_eq!(mended("a\r"), "a\n");
        assert_eq!(mended("a\r\nb\n"), "a\r\nb\n");
    }
}
