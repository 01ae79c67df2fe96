//! Layouts of items, statements and entries of the recipe.

use super::Builder;
use super::doc::Doc;
use crate::syntax::grammar::{Pair, Rule};

/// Spaces that put parts of a param below those of others: before its type, and before its `=`.
#[derive(Clone, Copy, Default)]
pub(super) struct Columns {
    pub(super) ty: usize,
    pub(super) equals: usize,
}

impl<'t> Builder<'t> {
    /// An item or a statement: words with a space between them, signs, expressions and bodies.
    pub(super) fn words(&mut self, pair: Pair<'t>, columns: Columns) -> Doc<'t> {
        let rule = pair.as_rule();
        // The value of a definition goes to a line of its own before it is parted.
        let definition = matches!(rule, Rule::operator | Rule::function | Rule::block | Rule::recipe_item);
        let mut docs = Vec::new();
        let mut equals = false;
        for part in pair.into_inner() {
            let start = part.as_span().start();
            let doc = match part.as_rule() {
                Rule::comma | Rule::colon => {
                    docs.push(self.token(&part));
                    continue;
                }
                Rule::equals => {
                    docs.push(Doc::Pad(columns.equals));
                    equals = true;
                    self.token(&part)
                }
                Rule::fn_params => {
                    docs.push(self.elements(part, Self::fn_param));
                    continue;
                }
                Rule::expr if equals && definition => {
                    docs.push(self.own_line(Vec::new(), part));
                    continue;
                }
                Rule::expr if equals => {
                    docs.push(self.value(part));
                    continue;
                }
                Rule::string if rule == Rule::assert_stmt => {
                    docs.push(Doc::group(vec![Doc::indent(vec![
                        self.gaps.gap(start, Doc::Break(" ")),
                        self.token(&part),
                    ])]));
                    continue;
                }
                Rule::dims if rule == Rule::input => {
                    docs.push(self.elements(part, Self::expr));
                    continue;
                }
                Rule::value_type | Rule::let_type | Rule::extents => {
                    docs.push(Doc::Pad(columns.ty));
                    self.value_type(part)
                }
                Rule::expr => self.expr(part),
                Rule::body => self.body(part, false),
                Rule::entries => self.entries(part),
                Rule::role | Rule::column | Rule::beside => self.words(part, Columns::default()),
                // Words, names and strings.
                _ => self.token(&part),
            };
            if !docs.is_empty() {
                docs.push(Doc::Text(" "));
            }
            docs.push(doc);
        }
        Doc::all(docs)
    }

    /// `name: type = default`.
    fn fn_param(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        for part in pair.into_inner() {
            let start = part.as_span().start();
            match part.as_rule() {
                Rule::colon => docs.push(self.token(&part)),
                Rule::equals => docs.extend([Doc::Text(" "), self.token(&part)]),
                Rule::value_type => docs.extend([self.gaps.gap(start, Doc::Text(" ")), self.value_type(part)]),
                Rule::inner => docs.extend([self.gaps.gap(start, Doc::Text(" ")), self.expr(part)]),
                _ => docs.push(self.token(&part)),
            }
        }
        Doc::all(docs)
    }

    /// A type, or the shape that stands in its place.
    pub(super) fn value_type(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let inner = |rule| pair.clone().into_inner().find(|it| it.as_rule() == rule);
        if let Some(it) = inner(Rule::dims) {
            return self.elements(it, Self::expr);
        }
        // The list of extents that a call gives.
        if let Some(it) = inner(Rule::listed) {
            let calls = it.into_inner().flat_map(Pair::into_inner);
            return Doc::all(calls.flat_map(|it| self.call(it)).collect());
        }
        match (pair.as_rule(), inner(Rule::open_bracket).is_some()) {
            (Rule::extents, _) => self.elements(pair, Self::expr),
            (_, true) => self.enclosed(pair),
            (_, false) => self.token(&pair),
        }
    }

    /// `{ ... }` with a statement on each line; with `one_line`, the only one may stand between the braces.
    pub(super) fn body(&mut self, pair: Pair<'t>, one_line: bool) -> Doc<'t> {
        self.braces(pair, one_line, |builder, it| match it.as_rule() {
            Rule::expr_stmt => Doc::all(it.into_inner().map(|it| builder.expr(it)).collect()),
            _ => builder.words(it, Columns::default()),
        })
    }

    fn braces(
        &mut self,
        pair: Pair<'t>,
        one_line: bool,
        mut each: impl FnMut(&mut Self, Pair<'t>) -> Doc<'t>,
    ) -> Doc<'t> {
        let mut docs = Vec::new();
        let mut inside = Vec::new();
        for part in pair.into_inner() {
            let start = part.as_span().start();
            match part.as_rule() {
                Rule::eol => {}
                Rule::open_brace => docs.push(self.token(&part)),
                Rule::close_brace => {
                    let empty = inside.is_empty() && !self.gaps.ahead(start);
                    // The last new line is that of the brace, which stands further out.
                    let first = inside.is_empty();
                    inside.extend(self.gaps.end(start, first));
                    docs.push(Doc::indent(std::mem::take(&mut inside)));
                    docs.extend((!empty).then_some(if one_line { Doc::Break(" ") } else { Doc::Line }));
                    docs.push(self.token(&part));
                }
                _ => {
                    let first = inside.is_empty();
                    inside.push(match one_line && !self.gaps.ahead(start) {
                        true => Doc::Break(" "),
                        false => self.gaps.lines(start, first),
                    });
                    inside.push(each(self, part));
                }
            }
        }
        Doc::all(docs)
    }

    /// The braces of the recipe. Values stand below each other.
    fn entries(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let keys = pair.clone().into_inner().filter(|it| it.as_rule() == Rule::entry);
        let widest = keys.filter_map(|it| it.into_inner().next()).map(|it| it.as_str().chars().count()).max();
        let widest = widest.unwrap_or(0);
        self.braces(pair, false, |builder, it| builder.entry(it, widest))
    }

    fn entry(&mut self, pair: Pair<'t>, widest: usize) -> Doc<'t> {
        let mut docs: Vec<Doc<'t>> = Vec::new();
        for part in pair.into_inner() {
            if docs.len() == 1 {
                docs.push(Doc::Pad(widest - docs[0].flat().unwrap_or(widest)));
            }
            if !docs.is_empty() {
                docs.push(Doc::Text(" "));
            }
            docs.push(match part.as_rule() {
                Rule::values => self.several(part.into_inner(), Doc::align),
                Rule::names => self.several(part.into_inner(), Doc::indent),
                Rule::on_clause | Rule::where_clause | Rule::every_clause => self.clause(part),
                // The key.
                _ => self.token(&part),
            });
        }
        Doc::all(docs)
    }

    /// `on filters, gamma`, `where role == bias`, `every 500`.
    fn clause(&mut self, pair: Pair<'t>) -> Doc<'t> {
        let mut parts = pair.into_inner();
        let word = parts.next().map(|it| self.token(&it));
        let mut docs: Vec<Doc<'t>> = word.into_iter().chain([Doc::Text(" ")]).collect();
        docs.push(self.several(parts, Doc::indent));
        Doc::all(docs)
    }

    /// Values or names with commas between them: on one line, or below each other, `further` in.
    fn several(&mut self, parts: impl Iterator<Item = Pair<'t>>, further: fn(Vec<Doc<'t>>) -> Doc<'t>) -> Doc<'t> {
        let mut docs = Vec::new();
        for part in parts.filter(|it| it.as_rule() != Rule::comma) {
            if !docs.is_empty() {
                docs.push(Doc::Text(","));
                docs.push(self.gaps.gap(part.as_span().start(), Doc::Break(" ")));
            }
            docs.push(if part.as_rule() == Rule::expr { self.expr(part) } else { self.token(&part) });
        }
        match docs.len() {
            1 => Doc::all(docs),
            _ => Doc::group(vec![further(docs)]),
        }
    }
}
