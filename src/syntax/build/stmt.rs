//! Statements and the entries of the recipe.

use super::*;

impl Builder<'_> {
    /// `{ ... }`
    pub(super) fn body(&mut self, pair: Pair<'_>, depth: usize) -> Body {
        let span = self.span(&pair);
        let mut stmts = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::open_brace | Rule::close_brace | Rule::eol => {}
                Rule::bad_stmt => self.bad(part, Rule::strict_stmt),
                _ => stmts.push(self.stmt(part, depth + 1)),
            }
        }
        Body { stmts, span }
    }

    fn stmt(&mut self, pair: Pair<'_>, depth: usize) -> Stmt {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut idents = Vec::new();
        let mut exprs = Vec::new();
        let mut dims = Vec::new();
        let mut ty = None;
        let mut body = None;
        let mut message = None;
        let (mut role, mut extents) = (None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::ident => idents.push(self.ident(part)),
                Rule::expr => exprs.push(self.expr(part, depth)),
                Rule::dims => dims = self.dims(part, depth),
                Rule::let_type => ty = Some(self.let_type(part, depth)),
                Rule::body => body = Some(self.body(part, depth)),
                Rule::role => role = Some(self.ident(child(part, Rule::ident))),
                Rule::extents => {
                    let span = self.span(&part);
                    extents = Some((self.dims(part, depth), span));
                }
                Rule::string => message = Some(self.string(part, depth)),
                _ => {}
            }
        }
        let mut idents = idents.into_iter();
        let mut ident = || idents.next().expect(GRAMMAR);
        let mut exprs = exprs.into_iter();
        let mut value = || exprs.next().expect(GRAMMAR);
        let kind = match rule {
            Rule::input => StmtKind::Input { name: ident(), dtype: ident(), dims },
            Rule::let_stmt => StmtKind::Let { name: ident(), ty, value: value() },
            Rule::for_stmt => {
                let first = ident();
                let (index, item) = match idents.next() {
                    Some(second) => (Some(first), second),
                    None => (None, first),
                };
                StmtKind::For { index, item, list: value(), body: body.expect(GRAMMAR) }
            }
            Rule::assert_stmt => StmtKind::Assert { cond: value(), message },
            Rule::output => StmtKind::Output { value: value(), name: idents.next() },
            Rule::learn => {
                let name = ident();
                let scope = match extents {
                    Some((dims, span)) => Extents::Shape(dims, span),
                    None => Extents::Each(ident()),
                };
                StmtKind::Learn { name, role, scope, init: value() }
            }
            Rule::keep => StmtKind::Keep { name: ident(), init: value() },
            Rule::stat => StmtKind::Stat { name: ident(), dims: extents.map(|it| it.0), value: value() },
            Rule::unpack => StmtKind::Unpack { names: idents.collect(), value: value() },
            Rule::assign => StmtKind::Assign { name: ident(), value: value() },
            Rule::expr_stmt => match value() {
                Expr { kind: ExprKind::If(cond, then, otherwise), .. } => StmtKind::If { cond: *cond, then, otherwise },
                other => StmtKind::Expr(other),
            },
            other => unreachable!("{other:?} is not a statement"),
        };
        Stmt { kind, span }
    }

    fn let_type(&mut self, pair: Pair<'_>, depth: usize) -> Type {
        let span = self.span(&pair);
        let part = next(&mut pair.into_inner());
        let kind = match part.as_rule() {
            Rule::ident => TypeKind::Name(part.as_str().to_string()),
            _ => TypeKind::Shape(self.dims(part, depth)),
        };
        Type { kind, span }
    }

    fn dims(&mut self, pair: Pair<'_>, depth: usize) -> Vec<Expr> {
        let parts = pair.into_inner().filter(|it| matches!(it.as_rule(), Rule::inner | Rule::listed));
        parts.map(|it| self.expr(it, depth)).collect()
    }

    /// The braces of `train { ... }`.
    pub(super) fn entries(&mut self, pair: Pair<'_>) -> Vec<TrainEntry> {
        let mut entries = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::entry => entries.push(self.entry(part)),
                Rule::bad_entry => self.bad(part, Rule::strict_entry),
                _ => {}
            }
        }
        entries
    }

    fn entry(&mut self, pair: Pair<'_>) -> TrainEntry {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let key = self.ident(next(&mut parts));
        let mut out = TrainEntry { key, values: Vec::new(), on: Vec::new(), filter: None, every: None, span };
        for part in parts {
            let clause = self.span(&part);
            let (word, twice) = match part.as_rule() {
                Rule::values => {
                    out.values =
                        part.into_inner().filter(|it| it.as_rule() == Rule::expr).map(|it| self.expr(it, 0)).collect();
                    continue;
                }
                Rule::names | Rule::on_clause => {
                    let names =
                        part.into_inner().filter(|it| it.as_rule() == Rule::ident).map(|it| self.ident(it)).collect();
                    ("on", !std::mem::replace(&mut out.on, names).is_empty())
                }
                Rule::where_clause => {
                    let value = self.expr(child(part, Rule::expr), 0);
                    ("where", out.filter.replace(value).is_some())
                }
                Rule::every_clause => {
                    let value = self.expr(child(part, Rule::expr), 0);
                    ("every", out.every.replace(value).is_some())
                }
                _ => continue,
            };
            if twice {
                let help = match word {
                    "on" => "put all names in one place: `on filters, gamma`",
                    "where" => "join the conditions with `and`",
                    _ => "keep one of them",
                };
                let message = format!("`{}` has `{word}` twice", out.key.name);
                self.sink.push(Diagnostic::new(Code::E0001, clause, message).label("the second one").help(help));
            }
        }
        out
    }
}
