//! Signs that word processors, web pages and keyboards of other languages put where a plain one is meant, and comments of
//! other languages.

use super::scan::{self, TokenKind};
use crate::diag::{Code, Diagnostic, FileId, Sink, Span};
use std::borrow::Cow;

/// What a sign stands for, and what it is called.
pub(super) fn meant(sign: char) -> Option<(Cow<'static, str>, &'static str)> {
    let (plain, name) = match sign {
        '\u{2010}'..='\u{2012}' => ("-", "a hyphen of typography"),
        '\u{2013}' => ("-", "an en dash"),
        '\u{2014}' | '\u{2015}' => ("-", "an em dash"),
        '\u{2212}' => ("-", "a minus sign of typography"),
        '\u{00D7}' | '\u{00B7}' | '\u{2217}' | '\u{22C5}' => ("*", "a multiplication sign"),
        '\u{00F7}' | '\u{2215}' => ("/", "a division sign"),
        '\u{201C}'..='\u{201F}' | '\u{2018}'..='\u{201B}' | '\u{00AB}' | '\u{00BB}' => ("\"", "a curly quote"),
        '\u{2264}' => ("<=", "a sign of mathematics"),
        '\u{2265}' => (">=", "a sign of mathematics"),
        '\u{2260}' => ("!=", "a sign of mathematics"),
        '\u{2192}' => ("|>", "an arrow"),
        '\u{00A0}' | '\u{202F}' => (" ", "a no-break space"),
        '\u{2000}'..='\u{200A}' | '\u{205F}' | '\u{3000}' => (" ", "a space of typography"),
        '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}' | '\u{00AD}' => ("", "an invisible character"),
        '\u{3001}' => (",", "a comma of another script"),
        '\u{FF01}'..='\u{FF5E}' => {
            let plain = char::from_u32(sign as u32 - 0xFEE0)?;
            return Some((plain.to_string().into(), "a full-width sign"));
        }
        _ => return None,
    };
    Some((plain.into(), name))
}

/// The rest of a line with plain signs, up to the last one that had to be replaced: how many bytes, and by what.
pub(super) fn mended(line: &str) -> (usize, String) {
    let (mut out, mut best) = (String::new(), (0, String::new()));
    let mut quoted = false;
    for (at, sign) in line.char_indices() {
        if !quoted && line[at..].starts_with("//") {
            break;
        }
        let plain = meant(sign).filter(|it| !quoted || it.0 == "\"");
        let text = plain.as_ref().map_or(Cow::Owned(sign.to_string()), |it| it.0.clone());
        quoted ^= text == "\"";
        out.push_str(&text);
        if plain.is_some() {
            best = (at + sign.len_utf8(), out.clone());
        }
    }
    best
}

/// Reports comments that are written `/* ... */`, and gives the text with spaces in their place.
pub(super) fn without_block_comments<'t>(file: FileId, text: &'t str, sink: &mut Sink) -> Cow<'t, str> {
    let mut out = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(token) = scan::next(text, at) {
        at = token.end;
        if token.kind != TokenKind::Sign || !text[token.start..].starts_with("/*") {
            continue;
        }
        let inside = token.start + 2;
        let line = text[inside..].find(['\n', '\r']).map_or(text.len(), |it| inside + it);
        let (close, end) = match text[inside..].find("*/") {
            Some(it) => (inside + it, inside + it + 2),
            None => (line, line),
        };
        let rest = text[end..].lines().next().unwrap_or("").trim();
        let lines: Vec<&str> = text[inside..close].lines().map(|it| it.trim().trim_start_matches('*').trim()).collect();
        let comment: Vec<String> = lines.iter().filter(|it| !it.is_empty()).map(|it| format!("// {it}")).collect();
        let by = match (comment.as_slice(), rest.is_empty() || rest.starts_with("//")) {
            ([_], false) | ([], _) => String::new(),
            (all, true) => all.join("\n"),
            (all, false) => format!("{}\n", all.join("\n")),
        };
        let place = Span::new(file, token.start, inside);
        sink.push(Diagnostic::new(Code::E0001, place, "a comment starts with `//`, found `/*`").fix(
            "a comment starts with `//` and ends with its line",
            Span::new(file, token.start, end),
            by,
        ));
        let blank: String = out[token.start..end].bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }).collect();
        out.to_mut().replace_range(token.start..end, &blank);
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_mended_outside_of_its_strings_and_comments() {
        assert_eq!(mended("\u{2013} 8) \u{00D7} 2 // a \u{2013} b"), (9, "- 8) *".to_owned()));
        assert_eq!(mended("\u{201C}a \u{2013} b\u{201D}"), (13, "\"a \u{2013} b\"".to_owned()));
        assert_eq!(mended("\u{FF08}x\u{FF09}"), (7, "(x)".to_owned()));
        assert_eq!(mended("plain"), (0, String::new()));
    }

    #[test]
    fn block_comments_are_reported_once_and_blanked() {
        let text = "a /* b */ c\n/* d\n  e */\nf // /* g\n\"/* h */\"";
        let mut sink = Sink::new();
        let out = without_block_comments(FileId(0), text, &mut sink);
        assert_eq!(out, "a         c\n    \n      \nf // /* g\n\"/* h */\"");
        assert_eq!(sink.finish().len(), 2);
    }
}
