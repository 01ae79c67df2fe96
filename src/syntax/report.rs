//! What pest expected, in words.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::divisions;
use super::grammar::Rule;
use super::hint;
use super::scan::{self, Token, TokenKind};
use crate::diag::{Code, Diagnostic, FileId, Span};

/// Where the parser could not go on, in the user's text.
pub(super) struct Place<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// Start of the statement or item.
    pub(super) start: usize,
    /// Where the parser could not go on.
    pub(super) at: usize,
}

/// One mistake with its surroundings.
pub(super) struct Mistake<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// The strict rule that did not hold: `strict_item`, `strict_stmt` or `strict_entry`.
    pub(super) strict: Rule,
    /// The tokens of the statement before the mistake, without line ends and comments.
    pub(super) before: Vec<Token>,
    /// What stands there; none at the end of the line.
    pub(super) found: Option<Token>,
    /// Whether the mistake is inside of a string.
    pub(super) in_string: bool,
    /// Whether a comment follows that may be meant as a division.
    pub(super) divided: bool,
    /// What could have stood there.
    pub(super) expected: Vec<Rule>,
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
pub(super) fn report(error: &Error<Rule>, place: &Place<'_>, strict: Rule) -> Diagnostic {
    let expected = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => relevant(positives),
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    let mut mistake = Mistake {
        file: place.file,
        text: place.text,
        strict,
        before: Vec::new(),
        found: None,
        in_string: false,
        divided: false,
        expected,
    };
    mistake.look(place);
    if mistake.before.is_empty() {
        mistake.expected = vec![strict];
    }
    mistake.diagnostic()
}

impl<'t> Mistake<'t> {
    fn look(&mut self, place: &Place<'_>) {
        let mut from = place.start;
        while let Some(token) = scan::next(self.text, from) {
            if token.start >= place.at {
                let on_line = !matches!(token.kind, TokenKind::Newline | TokenKind::Comment);
                self.divided = self.before.last().is_some_and(|it| divisions::may_be_division(self.text, *it, token));
                self.found = on_line.then_some(token);
                return;
            }
            if token.end > place.at && token.kind == TokenKind::Sign {
                self.found = Some(token); // `**` is read as two signs
                return;
            }
            if token.end > place.at && token.kind == TokenKind::String {
                let len = self.text[place.at..].chars().next().map_or(0, char::len_utf8);
                self.in_string = true;
                self.found = Some(Token { kind: TokenKind::Sign, start: place.at, end: place.at + len });
                return;
            }
            if token.end > place.at && token.kind == TokenKind::Word {
                // A letter that no name has.
                self.found = Some(Token { start: place.at, ..token });
                return;
            }
            if !matches!(token.kind, TokenKind::Newline | TokenKind::Comment) {
                self.before.push(token);
            }
            from = token.end;
        }
    }

    pub(super) fn word(&self, token: Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    pub(super) fn found_word(&self) -> &'t str {
        self.found.map_or("", |it| self.word(it))
    }

    /// The `back`-th token before the mistake, from 0.
    pub(super) fn previous(&self, back: usize) -> &'t str {
        self.before.iter().rev().nth(back).map_or("", |it| self.word(*it))
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    /// Behind the last token before the mistake.
    pub(super) fn gap(&self) -> Span {
        let end = self.before.last().map_or(0, |it| it.end);
        self.span(end, end)
    }

    pub(super) fn expects(&self, rules: &[Rule]) -> bool {
        self.expected.iter().any(|it| rules.contains(it))
    }

    fn diagnostic(&self) -> Diagnostic {
        let expected = words(&self.expected);
        let wanted = if expected.is_empty() { "something else".to_string() } else { join(&expected) };
        let found = match self.found {
            None if self.text[self.gap().end as usize..].trim().is_empty() => "the end of the file".to_string(),
            None => "the end of the line".to_string(),
            Some(token) if token.kind == TokenKind::String => "a string".to_string(),
            Some(token) => format!("`{}`", self.word(token)),
        };
        let mut message = format!("expected {wanted}, found {found}");
        // A missing sign is missing behind what comes before it, wherever the next token stands.
        let last = self.before.last();
        let next_line = match (last, self.found) {
            (Some(last), Some(found)) => self.text[last.end..found.start].contains('\n'),
            (_, found) => found.is_none(),
        };
        let sign = match self.expected.as_slice() {
            [only] => sign(*only),
            _ => None,
        };
        let missing = last.is_some() && !self.in_string && (next_line || sign.is_some());
        let span = match (missing, self.found) {
            (false, Some(found)) => self.span(found.start, found.end),
            _ => self.gap(),
        };
        let mut label = if expected.len() > 3 { "not expected here".to_string() } else { format!("expected {wanted}") };
        if missing && expected.len() <= 3 {
            label.push_str(" here");
        }
        let hint = hint::hint(self);
        if let Some(better) = hint.as_ref().and_then(|it| it.message.clone()) {
            message = better;
            label.clear();
        }
        let (span, label) = match hint.as_ref().and_then(|it| it.place) {
            Some(place) => (place, String::new()),
            None => (span, label),
        };
        let mut out = Diagnostic::new(Code::E0001, span, message).label(label);
        if let Some(hint) = hint {
            out = match hint.edit {
                Some((span, text)) => out.fix(hint.help, span, text),
                None => out.help(hint.help),
            };
        } else if let Some(sign) = sign.filter(|_| missing) {
            out = match sign {
                "{" => out.help("put the statements in braces: `{ ... }`"),
                _ => {
                    let glue = if matches!(sign, ":" | "," | ")" | "]" | "(" | "[") { "" } else { " " };
                    out.fix(format!("add `{sign}`"), self.gap(), format!("{glue}{sign}"))
                }
            };
        }
        out
    }
}

/// What is worth to be told of pest's list: no operators where the expression may as well end, no names of
/// helper rules.
fn relevant(positives: &[Rule]) -> Vec<Rule> {
    let ends = |it: &Rule| {
        matches!(
            it,
            Rule::eol
                | Rule::EOI
                | Rule::comma
                | Rule::colon
                | Rule::equals
                | Rule::close_paren
                | Rule::close_bracket
                | Rule::open_brace
                | Rule::body
                | Rule::kw_in
        )
    };
    let can_end = positives.iter().any(ends);
    let noise = |it: &Rule| {
        matches!(it, Rule::bad_item | Rule::bad_stmt | Rule::bad_entry | Rule::braces | Rule::neg | Rule::not)
            || can_end
                && matches!(
                    it,
                    Rule::infix
                        | Rule::pipe
                        | Rule::kw_as
                        | Rule::args
                        | Rule::open_paren
                        | Rule::index
                        | Rule::open_bracket
                )
    };
    positives.iter().copied().filter(|it| !noise(it)).collect()
}

/// The sign a rule is, where a missing one can be added.
fn sign(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::comma => ",",
        Rule::colon => ":",
        Rule::equals => "=",
        Rule::close_paren => ")",
        Rule::close_bracket => "]",
        Rule::open_paren | Rule::args | Rule::fn_params => "(",
        Rule::open_bracket | Rule::dims | Rule::extents | Rule::index => "[",
        Rule::open_brace | Rule::body | Rule::entries => "{",
        Rule::kw_in => "in",
        _ => return None,
    })
}

/// Rules in the words of the language's reference, each once.
fn words(rules: &[Rule]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for rule in rules {
        let word = match rule {
            Rule::eol | Rule::EOI => "the end of the line".to_string(),
            Rule::ident => "a name".to_string(),
            Rule::string | Rule::open_quote => "a string".to_string(),
            Rule::close_quote => "`\"`".to_string(),
            Rule::value_type | Rule::let_type => "a type".to_string(),
            Rule::arg => "an argument".to_string(),
            Rule::fn_param => "a parameter".to_string(),
            Rule::infix => "an operator".to_string(),
            Rule::pipe => "`|>`".to_string(),
            Rule::target => "a block or function".to_string(),
            Rule::kw_as => "`as`".to_string(),
            Rule::kw_if => "`if`".to_string(),
            Rule::kw_else => "`else`".to_string(),
            Rule::kw_on | Rule::on_clause => "`on`".to_string(),
            Rule::kw_where | Rule::where_clause => "`where`".to_string(),
            Rule::kw_every | Rule::every_clause => "`every`".to_string(),
            Rule::close_brace => "`}`".to_string(),
            Rule::import
            | Rule::param
            | Rule::operator
            | Rule::function
            | Rule::block
            | Rule::kw_layer
            | Rule::recipe_item
            | Rule::kw_recipe
            | Rule::model
            | Rule::train
            | Rule::strict_item => hint::ANY_ITEM.to_string(),
            Rule::strict_stmt
            | Rule::input
            | Rule::let_stmt
            | Rule::for_stmt
            | Rule::assert_stmt
            | Rule::output
            | Rule::learn
            | Rule::keep
            | Rule::stat
            | Rule::assign
            | Rule::unpack
            | Rule::expr_stmt => "a statement".to_string(),
            Rule::strict_entry | Rule::entry => "an entry such as `batch 128`".to_string(),
            Rule::values | Rule::names => "a value".to_string(),
            Rule::expr
            | Rule::inner
            | Rule::term
            | Rule::if_expr
            | Rule::number
            | Rule::list
            | Rule::group
            | Rule::truth
            | Rule::call
            | Rule::name => "an expression".to_string(),
            other => match sign(*other) {
                Some(sign) => format!("`{sign}`"),
                None => continue,
            },
        };
        if !out.contains(&word) {
            out.push(word);
        }
    }
    // What goes on comes before what ends: "`,`, `)` or the end of the line".
    out.sort_by_key(|it| match it.as_str() {
        "`,`" | "`:`" => 1,
        "`=`" | "`in`" => 2,
        "`{`" => 3,
        "`)`" | "`]`" | "`}`" => 4,
        "the end of the line" => 5,
        _ => 0,
    });
    // A string is an expression.
    if out.iter().any(|it| it == "an expression") {
        out.retain(|it| it != "a string");
    }
    out
}

/// `a, b or c`
fn join(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
