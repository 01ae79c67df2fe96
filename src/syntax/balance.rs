//! Gives every bracket its partner, so that the grammar can rely on it.
//!
//! A bracket without a partner is reported here and repaired in a copy of the text: a missing one is
//! put where the indentation says that the group ends, an extra one is blanked. The copy has the same
//! places as the user's text but for the inserted signs, which [`Balanced`] counts. When the brackets of
//! the whole text match, nothing is looked at any further.

use std::collections::BTreeSet;

use super::divisions::{self, WHOLE_DIVISION};
use super::scan::{self, Token, TokenKind};
use crate::diag::{Code, Diagnostic, FileId, Sink, Span};

/// Groups within groups. Pest and everything after it work by recursion.
const MAX_NESTING: usize = 64;

/// Mistakes in the brackets of one item; with more than these it is taken for something else than `.sph`.
const MAX_REPAIRS: usize = 12;

/// A text whose brackets are balanced, and where it differs from the user's.
pub(super) struct Balanced {
    /// The text for the grammar.
    pub(super) text: String,
    /// Places in `text` of bytes that the user's text lacks, ascending.
    inserted: Vec<usize>,
    /// Places in `text` where something was changed.
    edits: Vec<usize>,
    /// Places in the user's text of what was taken out as a whole.
    pub(super) blanked: Vec<(usize, usize)>,
    /// Reports that are only made when nothing is reported of a line, from its first byte to its end.
    pub(super) withheld: Vec<(Span, Diagnostic)>,
}

impl Balanced {
    /// The first place that is not as the user wrote it.
    pub(super) fn changed(&self) -> Option<usize> {
        self.edits.first().map(|it| self.original(*it))
    }

    /// The place in the user's text of a place in `self.text`.
    pub(super) fn original(&self, at: usize) -> usize {
        at - self.inserted.partition_point(|it| *it < at)
    }

    /// Whether `start..end` of `self.text` differs from what the user wrote.
    pub(super) fn edited(&self, start: usize, end: usize) -> bool {
        self.edits.iter().any(|it| (start..end).contains(it))
    }
}

/// Balances the brackets of `text`; reports those without a partner.
pub(super) fn balance(file: FileId, text: &str, sink: &mut Sink) -> Balanced {
    let tokens = scan::tokens(text);
    let mut repair = Repair { file, text, sink, edits: Vec::new(), told: BTreeSet::new(), withheld: Vec::new() };
    let strings = tokens.iter().any(|it| it.kind == TokenKind::OpenString);
    if strings || problem(&brackets(&tokens)).is_some() {
        for tokens in items(text, &tokens) {
            repair.strings(tokens);
            repair.item(tokens);
        }
    }
    let withheld = repair.withheld;
    Balanced { withheld, ..apply(text, repair.edits) }
}

/// A change to the text.
enum Edit {
    Insert(usize, char),
    Replace(usize, char),
    Blank(usize, usize),
}

impl Edit {
    fn at(&self) -> usize {
        match self {
            Self::Insert(at, _) | Self::Replace(at, _) | Self::Blank(at, _) => *at,
        }
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> Balanced {
    edits.sort_by_key(Edit::at);
    let mut out = Balanced {
        text: String::with_capacity(text.len() + edits.len()),
        inserted: Vec::new(),
        edits: Vec::new(),
        blanked: Vec::new(),
        withheld: Vec::new(),
    };
    let mut from = 0;
    for edit in edits {
        if edit.at() < from {
            continue; // within a blanked item
        }
        out.text.push_str(&text[from..edit.at()]);
        out.edits.push(out.text.len());
        from = match edit {
            Edit::Insert(at, sign) => {
                out.inserted.push(out.text.len());
                out.text.push(sign);
                at
            }
            Edit::Replace(at, sign) => {
                out.text.push(sign);
                at + 1
            }
            Edit::Blank(at, end) => {
                out.blanked.push((at, end));
                out.text.extend(text[at..end].bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }));
                end
            }
        };
    }
    out.text.push_str(&text[from..]);
    out
}

/// The tokens from each head of an item in the first column to the next.
fn items<'a>(text: &'a str, tokens: &'a [Token]) -> impl Iterator<Item = &'a [Token]> {
    let mut starts: Vec<usize> = (1..tokens.len()).filter(|at| is_head(text, tokens, *at)).collect();
    starts.insert(0, 0);
    starts.push(tokens.len());
    starts.windows(2).map(|it| &tokens[it[0]..it[1]]).collect::<Vec<_>>().into_iter()
}

fn is_head(text: &str, tokens: &[Token], at: usize) -> bool {
    let (head, next) = (tokens[at], tokens.get(at + 1).map(|it| it.kind));
    let heads = match &text[head.start..head.end] {
        "import" => matches!(next, Some(TokenKind::String | TokenKind::OpenString)),
        "train" => next == Some(TokenKind::Open('{')),
        "param" | "operator" | "fn" | "block" | "layer" => next == Some(TokenKind::Word),
        "model" => matches!(next, Some(TokenKind::Word | TokenKind::Open('{'))),
        _ => false,
    };
    heads && head.start == scan::line_start(text, head.start)
}

/// A bracket, real or inserted.
#[derive(Clone, Copy)]
struct Bracket {
    at: usize,
    sign: char,
    inserted: bool,
}

fn brackets(tokens: &[Token]) -> Vec<Bracket> {
    let bracket = |it: &Token| match it.kind {
        TokenKind::Open(sign) | TokenKind::Close(sign) => Some(Bracket { at: it.start, sign, inserted: false }),
        _ => None,
    };
    tokens.iter().filter_map(bracket).collect()
}

/// The first thing wrong, by positions in the list of brackets.
enum Problem {
    TooDeep(usize),
    /// The opener, and the closer that showed it.
    Unclosed(usize, Option<usize>),
    /// The opener and the wrong closer.
    Mismatch(usize, usize),
    Extra(usize),
}

fn closer(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

fn problem(list: &[Bracket]) -> Option<Problem> {
    let mut stack: Vec<usize> = Vec::new();
    for (at, it) in list.iter().enumerate() {
        if matches!(it.sign, '(' | '[' | '{') {
            stack.push(at);
            if stack.len() > MAX_NESTING {
                return Some(Problem::TooDeep(at));
            }
            continue;
        }
        let partner = |open: &usize| closer(list[*open].sign) == it.sign;
        // Parentheses do not reach beyond the braces around them.
        let reach = match it.sign {
            '}' => 0,
            _ => stack.iter().rposition(|open| list[*open].sign == '{').map_or(0, |it| it + 1),
        };
        match stack.last() {
            Some(top) if partner(top) => {
                stack.pop();
            }
            Some(top) if stack[reach..].iter().any(partner) => return Some(Problem::Unclosed(*top, Some(at))),
            Some(top) if it.sign != '}' && stack.len() > reach => return Some(Problem::Mismatch(*top, at)),
            _ => return Some(Problem::Extra(at)),
        }
    }
    stack.last().map(|top| Problem::Unclosed(*top, None))
}

struct Repair<'t> {
    file: FileId,
    text: &'t str,
    sink: &'t mut Sink,
    edits: Vec<Edit>,
    /// Starts of lines that have their report.
    told: BTreeSet<usize>,
    /// As [`Balanced`] has them.
    withheld: Vec<(Span, Diagnostic)>,
}

impl Repair<'_> {
    /// Closes strings that their line leaves open.
    fn strings(&mut self, tokens: &[Token]) {
        for it in tokens.iter().filter(|it| it.kind == TokenKind::OpenString) {
            let end = it.start + self.text[it.start..it.end].trim_end().len();
            // After a trailing `\` the inserted quote would be escaped.
            let escaped = self.text[it.start..end].bytes().rev().take_while(|it| *it == b'\\').count() % 2 == 1;
            self.edits.push(if escaped { Edit::Replace(end - 1, '"') } else { Edit::Insert(end, '"') });
            let diagnostic =
                Diagnostic::new(Code::E0001, self.span(it.start, it.start + 1), "the string is not closed")
                    .label("no `\"` on the rest of the line")
                    .fix("end it with `\"`", self.span(end, end), "\"");
            self.tell(it.start, diagnostic);
        }
    }

    /// Repairs the brackets of one item.
    fn item(&mut self, tokens: &[Token]) {
        let mut list = brackets(tokens);
        for _ in 0..MAX_REPAIRS {
            match problem(&list) {
                None => return,
                Some(Problem::TooDeep(at)) => {
                    let place = self.span(list[at].at, list[at].at + 1);
                    let message = format!("more than {MAX_NESTING} groups within each other");
                    let help = "give parts of the expression a name with `let`, or move them to a `block`";
                    self.sink
                        .push(Diagnostic::new(Code::E0001, place, message).label("this one is too deep").help(help));
                    return self.blank(tokens);
                }
                Some(Problem::Mismatch(open, wrong)) => self.mismatch(&mut list, open, wrong),
                Some(Problem::Extra(at)) => self.extra(&mut list, tokens, at),
                Some(Problem::Unclosed(open, shown)) => {
                    let (open, shown) = match list[open].sign {
                        '{' => self.outdented(&list).unwrap_or((open, shown)),
                        _ => (open, shown),
                    };
                    self.unclosed(&mut list, tokens, open, shown);
                }
            }
        }
        if problem(&list).is_some() {
            self.blank(tokens);
        }
    }

    fn blank(&mut self, tokens: &[Token]) {
        if let [first, .., last] | [first @ last] = tokens {
            self.edits.retain(|it| !(first.start..=last.end).contains(&it.at()));
            self.edits.push(Edit::Blank(first.start, last.end));
        }
    }

    fn mismatch(&mut self, list: &mut [Bracket], open: usize, wrong: usize) {
        let (opener, found) = (list[open], list[wrong]);
        let right = closer(opener.sign);
        list[wrong].sign = right;
        if found.inserted {
            self.take_back(found);
            self.edits.push(Edit::Insert(found.at, right));
            return;
        }
        self.edits.push(Edit::Replace(found.at, right));
        let place = self.span(found.at, found.at + 1);
        let diagnostic = Diagnostic::new(Code::E0001, place, format!("expected `{right}`, found `{}`", found.sign))
            .label(format!("closes `{}` with the wrong sign", opener.sign))
            .also(self.span(opener.at, opener.at + 1), "opened here")
            .fix(format!("write `{right}`"), place, right.to_string());
        self.tell(found.at, diagnostic);
    }

    fn extra(&mut self, list: &mut Vec<Bracket>, tokens: &[Token], at: usize) {
        // A `}` too many shows at the end of the item; the one to blame stands where its indentation is odd.
        let odd = |(open, close): &(usize, usize)| {
            let (open, close) = (list[*open].at, list[*close].at);
            let one_line = scan::line_start(self.text, open) == scan::line_start(self.text, close);
            !one_line
                && (!scan::first_on_line(self.text, close)
                    || scan::indent(self.text, close) > scan::indent(self.text, open))
        };
        let blamed = if list[at].sign == '}' { pairs(list).into_iter().find(odd).map(|it| it.1) } else { None };
        let blamed = list.remove(blamed.unwrap_or(at));
        if blamed.inserted {
            return self.take_back(blamed);
        }
        self.edits.push(Edit::Replace(blamed.at, ' '));
        let place = self.span(blamed.at, blamed.at + 1);
        let diagnostic = Diagnostic::new(Code::E0001, place, format!("unexpected `{}`", blamed.sign))
            .label("nothing is open that it could close")
            .fix("remove it", place, "");
        // A line that ends with `:` in place of its `{` is reported for that, as long as it is a mistake.
        match self.colon_line(tokens, blamed.at) {
            Some(line) if blamed.sign == '}' => self.withheld.push((line, diagnostic)),
            _ => self.tell(blamed.at, diagnostic),
        }
    }

    /// The last line before `at` that ends with a `:`, other than in a comment.
    fn colon_line(&self, tokens: &[Token], at: usize) -> Option<Span> {
        let ends = |it: Option<&Token>| it.is_none_or(|it| matches!(it.kind, TokenKind::Newline | TokenKind::Comment));
        let before = tokens.partition_point(|it| it.end <= at);
        let colon = (0..before)
            .rev()
            .find(|&it| &self.text[tokens[it].start..tokens[it].end] == ":" && ends(tokens.get(it + 1)))?;
        Some(self.span(scan::line_start(self.text, tokens[colon].start), tokens[colon].end))
    }

    /// A `{` whose `}` stands further left than its line is the one that lacks a `}`: it took another's.
    fn outdented(&self, list: &[Bracket]) -> Option<(usize, Option<usize>)> {
        let outdented = |(open, close): &(usize, usize)| {
            let (open, close) = (list[*open].at, list[*close].at);
            scan::first_on_line(self.text, close) && scan::indent(self.text, close) < scan::indent(self.text, open)
        };
        pairs(list).into_iter().find(outdented).map(|(open, close)| (open, Some(close)))
    }

    fn unclosed(&mut self, list: &mut Vec<Bracket>, tokens: &[Token], open: usize, shown: Option<usize>) {
        let opener = list[open];
        let sign = closer(opener.sign);
        let limit = shown.map_or(usize::MAX, |it| list[it].at);
        let at = self.group_end(tokens, opener.at, limit);
        // Behind all that starts before, and behind what was inserted at the same place.
        let index = list.iter().rposition(|it| it.at < at || it.at == at && it.inserted).map_or(0, |it| it + 1);
        list.insert(index, Bracket { at, sign, inserted: true });
        self.edits.push(Edit::Insert(at, sign));
        let place = self.span(at, at);
        let edit = if sign == '}' {
            let indent = " ".repeat(scan::indent(self.text, opener.at));
            format!("\n{indent}}}")
        } else {
            sign.to_string()
        };
        let diagnostic = Diagnostic::new(
            Code::E0001,
            self.span(opener.at, opener.at + 1),
            format!("`{}` is not closed", opener.sign),
        )
        .label(format!("no `{sign}` for it"))
        .also(place, format!("`{sign}` expected after this"));
        // Its partner may be in a comment that was meant as a division: another one would leave the rest of the line out.
        let closes = |it: &Token| self.text[it.start..it.end].contains(sign);
        let comment = tokens.windows(2).find(|it| opener.at < it[0].start && at <= it[1].start);
        let divided = comment.filter(|it| divisions::may_be_division(self.text, it[0], it[1]));
        let diagnostic = match divided {
            Some(it) if closes(&it[1]) => diagnostic.help(WHOLE_DIVISION),
            Some(_) => diagnostic.fix(format!("add `{sign}`"), place, edit).help(WHOLE_DIVISION),
            None => diagnostic.fix(format!("add `{sign}`"), place, edit),
        };
        self.tell(opener.at, diagnostic);
    }

    /// Undoes an insertion.
    fn take_back(&mut self, bracket: Bracket) {
        let same = |it: &Edit| matches!(it, Edit::Insert(at, sign) if (*at, *sign) == (bracket.at, bracket.sign));
        if let Some(at) = self.edits.iter().position(same) {
            self.edits.remove(at);
        }
    }

    /// Where a group that starts at `open` ends by the look of it: after the last token before a line that is
    /// indented no further than the group's line, or before `limit`.
    fn group_end(&self, tokens: &[Token], open: usize, limit: usize) -> usize {
        let indent = scan::indent(self.text, open);
        let mut end = open + 1;
        let mut depth = 0_usize;
        let content = tokens.iter().filter(|it| !matches!(it.kind, TokenKind::Newline | TokenKind::Comment));
        for token in content.filter(|it| it.start > open && it.start < limit) {
            let starts_line = scan::first_on_line(self.text, token.start);
            if depth == 0 && starts_line && scan::indent(self.text, token.start) <= indent {
                break;
            }
            // A type ends where the value begins: no list holds a `=`.
            if depth == 0 && self.text[open..].starts_with('[') && &self.text[token.start..token.end] == "=" {
                break;
            }
            match token.kind {
                TokenKind::Open(_) => depth += 1,
                TokenKind::Close(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            end = token.end;
            if token.kind == TokenKind::OpenString {
                end = token.start + self.text[token.start..token.end].trim_end().len();
            }
        }
        end
    }

    /// Reports, once for each line.
    fn tell(&mut self, at: usize, diagnostic: Diagnostic) {
        if self.told.insert(scan::line_start(self.text, at)) {
            self.sink.push(diagnostic);
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }
}

/// Braces with their partners, as far as they have one, in the order of the closing ones.
fn pairs(list: &[Bracket]) -> Vec<(usize, usize)> {
    let mut stack = Vec::new();
    let mut out = Vec::new();
    for (at, it) in list.iter().enumerate() {
        match it.sign {
            '{' => stack.push(at),
            '}' => out.extend(stack.pop().map(|open| (open, at))),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Diagnostic;

    fn repaired(text: &str) -> (String, Vec<Diagnostic>) {
        let mut sink = Sink::new();
        let out = balance(FileId(0), text, &mut sink);
        assert!(problem(&brackets(&scan::tokens(&out.text))).is_none(), "{}", out.text);
        (out.text, sink.finish())
    }

    #[test]
    fn balanced_text_is_left_alone() {
        let text = "model M {\nx = f(\"(\") // }\n}\n";
        assert_eq!(repaired(text).0, text);
    }

    #[test]
    fn a_missing_parenthesis_ends_with_its_statement() {
        let (text, found) = repaired("model M {\n    x = f(g(1), 2\n    y = h(3)\n}\n");
        assert_eq!(text, "model M {\n    x = f(g(1), 2)\n    y = h(3)\n}\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].primary.span.start, 19);
    }

    #[test]
    fn the_brace_with_the_odd_indentation_is_blamed() {
        let (text, found) = repaired("model M {\n    for i in a {\n        x = 1\n    output x\n}\n");
        assert_eq!(text, "model M {\n    for i in a {\n        x = 1}\n    output x\n}\n");
        assert_eq!(found[0].primary.span.start, 25);
        let (text, _) = repaired("model M {\n    for i in a {\n        x = 1\n    }\n    }\n    output x\n}\n");
        assert_eq!(text, "model M {\n    for i in a {\n        x = 1\n    }\n     \n    output x\n}\n");
    }

    #[test]
    fn one_item_does_not_disturb_the_next() {
        let (text, found) = repaired("block a(x) {\n    x\n\nblock b(x) {\n    f(x]\n}\n");
        assert_eq!(text, "block a(x) {\n    x}\n\nblock b(x) {\n    f(x)\n}\n");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_open_string_is_one_report() {
        let (text, found) = repaired("model M {\n    x = f(\"abc)\n}\n");
        assert_eq!(text, "model M {\n    x = f(\"abc)\")\n}\n");
        assert_eq!(found.len(), 1);
    }
}
