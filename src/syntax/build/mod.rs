//! Pest's pairs to the tree.

mod expr;
mod stmt;

pub(super) use expr::Infix;

use pest::Parser;

use super::ast::*;
use super::balance::Balanced;
use super::grammar::{Grammar, Pair, Rule};
use super::report;
use crate::diag::{Code, Diagnostic, FileId, Sink, Span};

/// Expressions and bodies within each other. Later stages walk the tree by recursion, so this bounds
/// their stack as well.
const MAX_DEPTH: usize = 200;

/// Conditions of one `if` with its `else if`s.
const MAX_BRANCHES: usize = MAX_DEPTH - 10;

/// Walks the pairs of one text.
pub(super) struct Builder<'t> {
    file: FileId,
    /// The text as the user wrote it.
    text: &'t str,
    /// The text that pest saw.
    balanced: &'t Balanced,
    sink: &'t mut Sink,
    /// Where the text of the current pairs starts in `balanced`.
    base: usize,
    /// What did not parse.
    pub(super) skipped: Vec<Span>,
}

impl<'t> Builder<'t> {
    pub(super) fn new(file: FileId, text: &'t str, balanced: &'t Balanced, sink: &'t mut Sink) -> Self {
        Self { file, text, balanced, sink, base: 0, skipped: Vec::new() }
    }

    /// One of the rules in `item`.
    pub(super) fn item(&mut self, pair: Pair<'_>) -> Item {
        let span = self.span(&pair);
        let docs = self.docs(span);
        match pair.as_rule() {
            Rule::import => {
                let string = child(pair, Rule::string);
                let path_span = self.span(&string);
                let text = self.string(string, 0);
                Item::Import(Import { path: self.plain(text, "the path of an import"), path_span, span })
            }
            Rule::param => self.param(pair, docs, span),
            Rule::operator => Item::Operator(self.function(pair, docs, span)),
            Rule::function => Item::Fn(self.function(pair, docs, span)),
            Rule::block => Item::Block(self.function(pair, docs, span)),
            Rule::recipe_item => {
                let word = pair.clone().into_inner().next().map_or("", |it| it.as_str().trim());
                let part = Part::ALL.into_iter().find(|it| it.word() == word).expect(GRAMMAR);
                Item::Recipe(part, self.function(pair, docs, span))
            }
            Rule::model => {
                let mut parts = pair.into_inner().skip(1);
                let name = self.ident(next(&mut parts));
                let body = self.body(next(&mut parts), 0);
                Item::Model(Model { docs, name, body, span })
            }
            Rule::train => {
                let mut parts = pair.into_inner();
                let keyword = self.span(&next(&mut parts));
                let entries = self.entries(next(&mut parts));
                Item::Train(Train { entries, span, keyword })
            }
            other => unreachable!("{other:?} is not an item"),
        }
    }

    fn param(&mut self, pair: Pair<'_>, docs: Vec<String>, span: Span) -> Item {
        let mut name = None;
        let mut ty = None;
        let mut default = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::ident => name = Some(self.ident(part)),
                Rule::value_type => ty = Some(self.value_type(part)),
                Rule::expr => default = Some(self.expr(part, 0)),
                _ => {}
            }
        }
        Item::Param(Param { docs, name: name.expect(GRAMMAR), ty, default: default.expect(GRAMMAR), span })
    }

    fn function(&mut self, pair: Pair<'_>, docs: Vec<String>, span: Span) -> Function {
        let mut name = None;
        let mut params = Vec::new();
        let mut body = None;
        let mut header = span;
        let (mut layer, mut beside, mut column) = (false, None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::ident => name = Some(self.ident(part)),
                Rule::kw_layer => layer = true,
                Rule::beside => {
                    let span = self.span(&part);
                    header.end = span.end;
                    let text = self.string(child(part, Rule::string), 0);
                    beside = Some(Ident { name: self.plain(text, "a name after `beside`"), span });
                }
                Rule::column => {
                    header.end = self.span(&part).end;
                    column = Some(self.ident(child(part, Rule::ident)));
                }
                Rule::fn_params => {
                    header.end = self.span(&part).end;
                    params = part
                        .into_inner()
                        .filter(|it| it.as_rule() == Rule::fn_param)
                        .map(|it| self.fn_param(it))
                        .collect();
                }
                Rule::expr => {
                    let value = self.expr(part, 0);
                    let span = value.span;
                    body = Some(Body { stmts: vec![Stmt { kind: StmtKind::Expr(value), span }], span });
                }
                Rule::body => body = Some(self.body(part, 0)),
                _ => {}
            }
        }
        let (name, body) = (name.expect(GRAMMAR), body.expect(GRAMMAR));
        Function { docs, layer, beside, column, name, params, body, header, span }
    }

    fn fn_param(&mut self, pair: Pair<'_>) -> FnParam {
        let mut parts = pair.into_inner();
        let name = self.ident(next(&mut parts));
        let mut out = FnParam { name, ty: None, default: None };
        for part in parts {
            match part.as_rule() {
                Rule::value_type => out.ty = Some(self.value_type(part)),
                Rule::inner => out.default = Some(self.expr(part, 0)),
                _ => {}
            }
        }
        out
    }

    fn value_type(&mut self, pair: Pair<'_>) -> Type {
        let span = self.span(&pair);
        let kind = pair
            .into_inner()
            .find_map(|it| match it.as_rule() {
                Rule::ident => Some(TypeKind::Name(it.as_str().to_string())),
                Rule::value_type => Some(TypeKind::List(Box::new(self.value_type(it)))),
                _ => None,
            })
            .expect(GRAMMAR);
        Type { kind, span }
    }

    fn ident(&self, pair: Pair<'_>) -> Ident {
        Ident { name: pair.as_str().to_string(), span: self.span(&pair) }
    }

    /// The literal text of a string that may not have holes.
    fn plain(&mut self, text: Text, what: &str) -> String {
        let mut out = String::new();
        for part in text.parts {
            match part {
                TextPart::Literal(it) => out.push_str(&it),
                TextPart::Hole(it) => self.sink.push(
                    Diagnostic::new(Code::E0001, it.span, format!("{what} is fixed, found a `{{...}}` hole"))
                        .help("write it out; `{{` is a brace"),
                ),
            }
        }
        out
    }

    /// The `///` lines right above an item.
    fn docs(&self, item: Span) -> Vec<String> {
        let mut docs = Vec::new();
        for line in self.text[..item.start as usize].lines().rev().flat_map(|it| it.rsplit('\r')) {
            match line.trim_start().strip_prefix("///") {
                Some(it) if !it.starts_with('/') => {
                    docs.push(it.trim_end().strip_prefix(' ').unwrap_or(it).trim_end().to_string())
                }
                _ => break,
            }
        }
        docs.reverse();
        docs
    }

    /// Where a pair stands in the user's text, without trailing space.
    fn span(&self, pair: &Pair<'_>) -> Span {
        let start = pair.as_span().start();
        let end = start + pair.as_str().trim_end().len();
        Span::new(self.file, self.original(start), self.original(end))
    }

    fn original(&self, at: usize) -> usize {
        self.balanced.original(self.base + at)
    }

    /// Reports what is wrong in a `bad_*` pair, and looks for more mistakes in its body.
    pub(super) fn bad(&mut self, pair: Pair<'_>, strict: Rule) {
        let start = self.base + pair.as_span().start();
        let end = self.base + pair.as_span().end();
        let balanced = self.balanced;
        self.skipped.push(Span::new(self.file, balanced.original(start), balanced.original(end)));
        let Some(error) = Grammar::parse(strict, &balanced.text[start..end]).err() else {
            // What follows it on its line must be the mistake.
            let place = Span::new(self.file, balanced.original(start), balanced.original(end));
            self.sink.push(
                Diagnostic::new(Code::E0001, place, "this does not end where a statement can end")
                    .label("a statement ends with its line")
                    .help("put what follows on a line of its own"),
            );
            return;
        };
        let at = start + report::position(&error);
        let place = report::Place {
            file: self.file,
            text: self.text,
            start: balanced.original(start),
            at: balanced.original(at),
        };
        let line_end = balanced.text[at..end].find('\n').map_or(end, |it| at + it);
        // A repaired bracket before it has its report.
        if !balanced.edited(start, line_end) {
            let diagnostic = report::report(&error, &place, strict);
            self.sink.push(diagnostic);
        }

        let keyword = report::first_word(self.text, place.start);
        let inside_rule = match keyword {
            "train" => Rule::entries,
            "operator" | "fn" | "block" | "layer" | "optimizer" | "schedule" | "penalty" | "average" | "loss"
            | "metric" | "model" | "for" | "if" => Rule::body,
            _ => return,
        };
        for braces in pair.into_inner().filter(|it| it.as_rule() == Rule::braces) {
            let from = self.base + braces.as_span().start();
            if from <= at {
                continue; // its text was parsed, or is the mistake
            }
            let Some(inside) = Grammar::parse(inside_rule, braces.as_str()).ok().and_then(|mut it| it.next()) else {
                continue;
            };
            let base = std::mem::replace(&mut self.base, from);
            match inside_rule {
                Rule::entries => drop(self.entries(inside)),
                _ => drop(self.body(inside, 0)),
            }
            self.base = base;
        }
    }
}

/// Why a part is there.
const GRAMMAR: &str = "the grammar's rule has this part";

fn next<'p>(parts: &mut impl Iterator<Item = Pair<'p>>) -> Pair<'p> {
    parts.next().expect(GRAMMAR)
}

fn child(pair: Pair<'_>, rule: Rule) -> Pair<'_> {
    pair.into_inner().find(|it| it.as_rule() == rule).expect(GRAMMAR)
}
