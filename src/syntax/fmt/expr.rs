//! Layouts of expressions.

use super::Builder;
use super::doc::Doc;
use crate::syntax::build::Infix;
use crate::syntax::grammar::{Pair, Rule};

/// Elements of lists that are no longer share lines.
const SHORT: usize = 10;

/// What an expression is made of, one after the other.
type Parts<'t> = std::iter::Peekable<std::vec::IntoIter<Pair<'t>>>;

impl<'t> Builder<'t> {
    /// `expr` or `inner`; what continues it is four spaces further in.
    pub(super) fn expr(&mut self, pair: Pair<'t>) -> Doc<'t> {
        self.chain(pair, true)
    }

    /// A value behind `=`: on the line of the sign, or on a line of its own if it has no brackets to be parted at.
    pub(super) fn value(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let start = pair.as_span().start();
        let sum = pair.clone().into_inner().any(|it| matches!(it.as_rule(), Rule::infix | Rule::neg | Rule::not));
        let chain = pair.clone().into_inner().any(|it| it.as_rule() == Rule::pipe);
        let comments = self.gaps.last(start);
        if comments.is_empty() && (chain || !sum) {
            return Doc::all(vec![Doc::Text(" "), self.expr(pair)]);
        }
        self.own_line(comments, pair)
    }

    /// A value on a line of its own if it does not fit on the line of its sign.
    pub(super) fn own_line(&mut self, mut comments: Vec<Doc<'t>>, pair: Pair<'t>) -> Doc<'t> {
        comments.extend(self.gaps.last(pair.as_span().start()));
        comments.push(if comments.is_empty() { Doc::Break(" ") } else { Doc::Line });
        comments.push(self.chain(pair, false));
        Doc::group(vec![Doc::indent(comments)])
    }

    /// An expression; with `further`, what continues its sums on other lines is further in.
    fn chain(&mut self, pair: Pair<'t>, further: bool) -> Doc<'t> {
        let mut parts = pair.into_inner().collect::<Vec<_>>().into_iter().peekable();
        let head = self.climb(&mut parts, 0, further);
        let mut steps = Vec::new();
        let mut parted = false;
        for part in parts.by_ref() {
            let start = part.as_span().start();
            match part.as_rule() {
                Rule::pipe => {
                    parted |= self.gaps.parted(start);
                    steps.push(self.gaps.gap(start, Doc::Break(" ")));
                    steps.push(self.token(&part));
                }
                Rule::target => {
                    parted |= self.gaps.parted(start);
                    steps.push(self.gaps.gap(start, Doc::Text(" ")));
                    steps.extend(self.call(part));
                }
                // `as` stays on the line of what it names.
                Rule::kw_as => steps.extend([Doc::Text(" "), self.token(&part)]),
                _ => {
                    steps.push(self.gaps.gap(start, Doc::Text(" ")));
                    steps.push(self.token(&part));
                }
            }
        }
        if steps.is_empty() {
            return head;
        }
        if parted {
            // The author's word: one step a line.
            steps.push(Doc::Apart);
        }
        Doc::group(vec![head, Doc::indent(steps)])
    }

    /// Precedence climbing: an operand and all signs that bind at least as tight as `least`. Signs of one precedence part
    /// together.
    fn climb(&mut self, parts: &mut Parts<'t>, least: u8, further: bool) -> Doc<'t> {
        let mut left = self.operand(parts);
        while let Some(precedence) = parts.peek().and_then(precedence).filter(|it| least <= *it) {
            let mut first = vec![left];
            let mut rest = Vec::new();
            while let Some(sign) = parts.next_if(|it| self::precedence(it) == Some(precedence)) {
                let tight = matches!(sign.as_str(), ".." | "^");
                if !tight {
                    rest.push(Doc::Text(" "));
                }
                rest.push(self.token(&sign));
                let next = parts.peek().map_or(0, |it| it.as_span().start());
                rest.push(self.gaps.gap(next, if tight { Doc::Text("") } else { Doc::Break(" ") }));
                rest.push(self.climb(parts, precedence + 1, true));
            }
            first.push(if further { Doc::indent(rest) } else { Doc::all(rest) });
            left = Doc::group(first);
        }
        left
    }

    /// A term and the signs before it.
    fn operand(&mut self, parts: &mut Parts<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        for part in parts.by_ref() {
            match part.as_rule() {
                Rule::neg => docs.push(self.token(&part)),
                Rule::not => docs.extend([self.token(&part), Doc::Text(" ")]),
                _ => {
                    docs.extend(self.term(part));
                    break;
                }
            }
        }
        Doc::all(docs)
    }

    fn term(&mut self, pair: Pair<'t>) -> Vec<Doc<'t>> {
        let mut docs = Vec::new();
        for part in pair.into_inner() {
            docs.extend(match part.as_rule() {
                Rule::if_expr => vec![self.if_expr(part)],
                Rule::call => self.call(part),
                Rule::list => vec![self.list(part)],
                Rule::group | Rule::index => vec![self.enclosed(part)],
                // A number, a string or a name.
                _ => vec![self.token(&part)],
            });
        }
        docs
    }

    /// A name and its arguments.
    pub(super) fn call(&mut self, pair: Pair<'t>) -> Vec<Doc<'t>> {
        let part = |it: Pair<'t>, builder: &mut Self| match it.as_rule() {
            Rule::args => builder.elements(it, Self::arg),
            _ => builder.token(&it),
        };
        pair.into_inner().map(|it| part(it, self)).collect()
    }

    fn arg(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        for part in pair.into_inner() {
            let start = part.as_span().start();
            if !docs.is_empty() {
                docs.push(self.gaps.gap(start, Doc::Text(" ")));
            }
            match part.as_rule() {
                Rule::arg_name => {
                    docs.extend(part.clone().into_inner().map(|it| self.token(&it)));
                    docs.push(Doc::Text(":"));
                    self.gaps.passed(part.as_span().end());
                }
                _ => docs.push(self.expr(part)),
            }
        }
        Doc::all(docs)
    }

    /// `( ... )` or `[ ... ]` around one expression or type.
    pub(super) fn enclosed(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        let mut inside = Vec::new();
        for part in pair.into_inner() {
            let start = part.as_span().start();
            match part.as_rule() {
                Rule::inner | Rule::value_type => {
                    inside.push(self.gaps.gap(start, Doc::Break("")));
                    inside.push(if part.as_rule() == Rule::inner { self.expr(part) } else { self.value_type(part) });
                }
                Rule::close_paren | Rule::close_bracket => {
                    inside.extend(self.gaps.last(start));
                    docs.push(Doc::indent(std::mem::take(&mut inside)));
                    docs.extend([Doc::Break(""), self.token(&part)]);
                }
                _ => docs.push(self.token(&part)),
            }
        }
        Doc::group(docs)
    }

    /// `[ ... ]`: short elements share lines where they do not all stand on one.
    pub(super) fn list(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let inner = pair.clone().into_inner().filter(|it| it.as_rule() == Rule::inner);
        let short = inner.clone().count() > 1
            && inner.map(|it| it.as_str().trim()).all(|it| {
                it.chars().count() <= SHORT
                    && it.chars().all(|it| it.is_alphanumeric() || matches!(it, '-' | '_' | '.'))
            });
        match short {
            true => self.short(pair),
            false => self.elements(pair, Self::expr),
        }
    }

    /// Words and numbers.
    fn short(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let parts: Vec<Pair<'t>> = pair.clone().into_inner().filter(|it| it.as_rule() == Rule::inner).collect();
        if self.gaps.ahead(pair.as_span().end()) {
            return self.elements(pair, Self::expr);
        }
        let last = parts.len() - 1;
        let fill = parts.into_iter().enumerate().map(|(at, it)| {
            let comma = if at == last { Doc::Parted(",") } else { Doc::Text(",") };
            Doc::all(vec![self.expr(it), comma])
        });
        let fill = fill.collect();
        self.gaps.passed(pair.as_span().end());
        let inside = Doc::indent(vec![Doc::Break(""), Doc::Fill(fill)]);
        Doc::group(vec![Doc::Text("["), inside, Doc::Break(""), Doc::Text("]")])
    }

    /// What stands between brackets and commas: on one line, or on one each with a comma behind the last.
    pub(super) fn elements(&mut self, pair: Pair<'t>, each: fn(&mut Self, Pair<'t>) -> Doc<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        let mut inside: Vec<Doc<'t>> = Vec::new();
        let mut some = false;
        for part in pair.into_inner() {
            let start = part.as_span().start();
            match part.as_rule() {
                Rule::open_paren | Rule::open_bracket => docs.push(self.token(&part)),
                Rule::close_paren | Rule::close_bracket => {
                    inside.extend(some.then_some(Doc::Parted(",")));
                    let comments = self.gaps.last(start);
                    let any = some || !comments.is_empty();
                    inside.extend(comments);
                    docs.push(Doc::indent(std::mem::take(&mut inside)));
                    docs.extend(any.then_some(Doc::Break("")));
                    docs.push(self.token(&part));
                }
                // Comments before a comma go behind it.
                Rule::comma => {}
                _ => {
                    inside.extend(some.then_some(Doc::Text(",")));
                    inside.push(self.gaps.gap(start, Doc::Break(if some { " " } else { "" })));
                    inside.push(each(self, part));
                    some = true;
                }
            }
        }
        Doc::group(docs)
    }

    /// On one line if each branch is one expression and all fits, else each on lines of its own.
    fn if_expr(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let bodies = pair.clone().into_inner().filter(|it| it.as_rule() == Rule::body);
        let one_line = bodies.into_iter().all(|it| {
            let mut stmts =
                it.into_inner().filter(|it| !matches!(it.as_rule(), Rule::open_brace | Rule::close_brace | Rule::eol));
            stmts.next().is_none_or(|it| it.as_rule() == Rule::expr_stmt) && stmts.next().is_none()
        });
        let mut docs = Vec::new();
        for part in pair.into_inner() {
            let start = part.as_span().start();
            if !docs.is_empty() {
                docs.push(self.gaps.gap(start, Doc::Text(" ")));
            }
            docs.push(match part.as_rule() {
                Rule::expr => self.expr(part),
                Rule::body => self.body(part, one_line),
                _ => self.token(&part),
            });
        }
        Doc::group(docs)
    }
}

fn precedence(part: &Pair<'_>) -> Option<u8> {
    (part.as_rule() == Rule::infix).then(|| Infix::of(part.as_str()).precedence())
}
