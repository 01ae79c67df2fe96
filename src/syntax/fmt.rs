//! The canonical layout of a text. Line breaks are the author's; indentation, spaces between tokens and
//! blank lines are not.
//!
//! - four spaces for each open group or body; a `|>` that starts a line stands under the first one of its
//!   statement, or four spaces in; so does what continues a line that ended with an operator or `=`
//! - one space between tokens, none inside of parentheses and around `..` and `^`; `*`, `/` and `%` may be
//!   written without spaces, to show what belongs together
//! - two spaces before a comment at the end of a line; comments are never changed
//! - at most one blank line, none at the edges of a body
//! - the values of a recipe stand below each other, and so do the types and values of params on
//!   consecutive lines when they are written so (`columns`)

use std::collections::BTreeSet;

use pest::Parser;

use super::columns;
use super::grammar::{Grammar, Rule};
use super::scan::{self, Token, TokenKind};
use crate::diag::{FileId, Sink};

const INDENT: usize = 4;

/// The canonical layout of `text`; `None` when it does not parse. Lines end as the first one of `text` does.
pub fn format(text: &str) -> Option<String> {
    let meaning = Meaning::of(text)?;
    let laid_out = lay_out(text)?;
    // Columns are only looked for in what parses. A layout that changed the meaning would be worse than none.
    let same = |it: &String| Meaning::of(it).as_ref() == Some(&meaning);
    let laid_out = same(&laid_out).then_some(laid_out)?;
    let out = columns::align(text, &laid_out).filter(same).unwrap_or(laid_out);
    let first = text.find(['\n', '\r']).map(|at| &text[at..]);
    Some(if first.is_some_and(|it| it.starts_with("\r\n")) { out.replace('\n', "\r\n") } else { out })
}

/// What a layout may not change: the tree, and the comments.
#[derive(PartialEq, Eq)]
struct Meaning {
    tree: String,
    comments: Vec<String>,
}

impl Meaning {
    /// `None` when the text does not parse.
    fn of(text: &str) -> Option<Self> {
        let mut sink = Sink::new();
        let file = super::parse(FileId(0), text, &mut sink);
        if sink.has_errors() {
            return None;
        }
        let comments = scan::tokens(text).into_iter().filter(|it| it.kind == TokenKind::Comment);
        let comments = comments.map(|it| text[it.start..it.end].trim_end().to_owned()).collect();
        Some(Self { tree: super::dump(&file), comments })
    }
}

fn lay_out(text: &str) -> Option<String> {
    let tokens = scan::tokens(text);
    let mut layout =
        Layout { text, roles: Roles::of(text)?, out: String::new(), groups: Vec::new(), line: Line::default() };
    let lines: Vec<&[Token]> = tokens.split(|it| it.kind == TokenKind::Newline).collect();
    let mut blank = false;
    for (at, line) in lines.iter().enumerate() {
        let Some(first) = line.first() else {
            blank = true;
            continue;
        };
        let opened = layout.out.is_empty() || layout.out.trim_end_matches('\n').ends_with(['{', '(', '[']);
        if blank && !opened && !matches!(first.kind, TokenKind::Close(_)) {
            layout.out.push('\n');
        }
        blank = false;
        // A comment belongs to what comes after it.
        let next = lines[at..].iter().flat_map(|it| it.iter()).find(|it| it.kind != TokenKind::Comment);
        layout.write(line, next.is_some_and(|it| layout.word(*it) == "|>"));
    }
    Some(layout.out)
}

/// What the grammar knows of tokens that look the same, by their places.
struct Roles {
    /// Prefix `-`.
    negations: BTreeSet<usize>,
    /// Brackets that belong to the word before them: arguments, parameters, indices, the shape of an input.
    tight: BTreeSet<usize>,
}

impl Roles {
    fn of(text: &str) -> Option<Self> {
        let mut out = Self { negations: BTreeSet::new(), tight: BTreeSet::new() };
        for pair in Grammar::parse(Rule::file, text).ok()?.flatten() {
            let at = pair.as_span().start();
            match pair.as_rule() {
                Rule::neg => drop(out.negations.insert(at)),
                Rule::args | Rule::fn_params | Rule::index => drop(out.tight.insert(at)),
                Rule::input => {
                    let dims = pair.into_inner().find(|it| it.as_rule() == Rule::dims);
                    out.tight.extend(dims.map(|it| it.as_span().start()));
                }
                _ => {}
            }
        }
        Some(out)
    }
}

/// The statement that a line belongs to.
#[derive(Clone, Copy, Default)]
struct Line {
    /// Its indentation.
    indent: usize,
    /// The column of its first `|>`.
    pipe: Option<usize>,
    /// Whether the last line ended with an operator or `=`.
    unfinished: bool,
}

/// An open bracket.
struct Group {
    /// Indentation of the line it is on.
    indent: usize,
    /// What it interrupts.
    outer: Line,
}

struct Layout<'t> {
    text: &'t str,
    roles: Roles,
    out: String,
    groups: Vec<Group>,
    line: Line,
}

impl<'t> Layout<'t> {
    fn word(&self, token: Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    fn write(&mut self, line: &[Token], piped: bool) {
        let closing = line.iter().take_while(|it| matches!(it.kind, TokenKind::Close(_))).count();
        let inside = self.groups.last().map_or(0, |it| it.indent + INDENT);
        let indent = match closing {
            0 if piped => self.line.pipe.unwrap_or(self.line.indent + INDENT),
            0 if self.line.unfinished => self.line.indent + INDENT,
            0 => {
                self.line = Line { indent: inside, ..Line::default() };
                inside
            }
            _ => self.groups.len().checked_sub(closing).map_or(0, |it| self.groups[it].indent),
        };
        let mut text = " ".repeat(indent);
        let mut before: Option<Token> = None;
        for token in line {
            if let Some(before) = before {
                text.push_str(self.space(before, *token));
            }
            match token.kind {
                TokenKind::Open(_) => {
                    self.groups.push(Group { indent, outer: self.line });
                    self.line = Line { indent: indent + INDENT, ..Line::default() };
                }
                TokenKind::Close(_) => self.line = self.groups.pop().map_or_else(Line::default, |it| it.outer),
                TokenKind::Sign if self.word(*token) == "|>" => {
                    let column = text.chars().count();
                    self.line.pipe.get_or_insert(column);
                }
                _ => {}
            }
            text.push_str(self.word(*token).trim_end());
            if token.kind != TokenKind::Comment {
                self.line.unfinished = match token.kind {
                    TokenKind::Sign => !matches!(self.word(*token), "," | ":"),
                    TokenKind::Word => matches!(self.word(*token), "and" | "or" | "as"),
                    _ => false,
                };
            }
            before = Some(*token);
        }
        self.out.push_str(&text);
        self.out.push('\n');
    }

    /// What stands between two tokens of a line.
    fn space(&self, a: Token, b: Token) -> &'static str {
        let (left, right) = (self.word(a), self.word(b));
        let tight = match (a.kind, b.kind) {
            (_, TokenKind::Comment) => return "  ",
            (TokenKind::Open('{'), TokenKind::Close('}')) => true,
            (TokenKind::Open('(' | '['), _) | (_, TokenKind::Close(')' | ']')) => true,
            (_, TokenKind::Open('(' | '[')) if self.roles.tight.contains(&b.start) => true,
            _ if matches!(right, "," | ":" | ".." | "^") => true,
            _ if matches!(left, ".." | "^") => true,
            _ if self.roles.negations.contains(&a.start) => true,
            _ if matches!(left, "*" | "/" | "%") => self.written_tight(a),
            _ if matches!(right, "*" | "/" | "%") => self.written_tight(b),
            _ => false,
        };
        if tight { "" } else { " " }
    }

    /// Whether the author put no space on either side.
    fn written_tight(&self, sign: Token) -> bool {
        let space = |it: Option<char>| it.is_none_or(char::is_whitespace);
        !space(self.text[..sign.start].chars().next_back()) && !space(self.text[sign.end..].chars().next())
    }
}
