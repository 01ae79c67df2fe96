//! Whose arguments they are: where a definition of the prelude hands a parameter on, messages speak of what the user's text
//! gave, where it was given, and of what it called.

use super::Lowering;
use crate::diag::Span;
use crate::syntax::ast::{self, ExprKind};
use std::rc::Rc;

/// What the value of an argument stands for in the user's text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// What was called there.
    of: Rc<ast::Function>,
    /// Which of its parameters it is.
    at: usize,
    /// Where it was given; `None` for a default.
    pub(super) span: Option<Span>,
}

/// A call of a definition of the prelude that is being unfolded.
#[derive(Debug)]
pub(super) struct Passed {
    /// Where its scope lies.
    floor: usize,
    of: Rc<ast::Function>,
    /// By parameter; `None` for what the prelude computed.
    sources: Vec<Option<Source>>,
}

impl Source {
    /// With the words of messages: `` `stride` of `conv` ``.
    pub(super) fn what(&self) -> String {
        format!("`{}` of `{}`", self.of.params[self.at].name.name, self.of.name.name)
    }
}

impl Lowering<'_> {
    /// Begins the call of a definition of the prelude. `given` tells of each parameter where the call gives it, and what that
    /// stands for.
    pub(super) fn pass(&mut self, of: &Rc<ast::Function>, given: Vec<Option<(Span, Option<Source>)>>) {
        let mut sources: Vec<Option<Source>> = Vec::with_capacity(given.len());
        for (at, (param, given)) in of.params.iter().zip(given).enumerate() {
            let own = |span| Some(Source { of: of.clone(), at, span });
            sources.push(match (given, param.default.as_ref().map(|it| &it.kind)) {
                (Some((_, Some(source))), _) => Some(source),
                (Some((span, None)), _) if span.file != self.items.prelude => own(Some(span)),
                (Some(_), _) => None,
                // `stride: pair = size`
                (None, Some(ExprKind::Name(name))) if of.params[..at].iter().any(|it| it.name.name == *name) => {
                    let before = of.params.iter().position(|it| it.name.name == *name);
                    before.and_then(|it| sources[it].clone())
                }
                (None, _) => own(None),
            });
        }
        self.passed.push(Passed { floor: self.scopes.len(), of: of.clone(), sources });
    }

    /// What an expression stands for: a parameter of the prelude, or an element of one.
    pub(super) fn source(&self, expr: &ast::Expr) -> Option<&Source> {
        let passed = self.passed.last().filter(|it| it.floor == self.floor)?;
        let name = match &expr.kind {
            ExprKind::Name(name) => name,
            ExprKind::Index(list, _) => match &list.kind {
                ExprKind::Name(name) => name,
                _ => return None,
            },
            _ => return None,
        };
        let hidden = self.scopes[self.floor + 1..].iter().any(|it| it.contains_key(name));
        let at = passed.of.params.iter().position(|it| it.name.name == *name).filter(|_| !hidden)?;
        passed.sources[at].as_ref()
    }

    /// What messages say of an expression, and where: of the argument it stands for, else `what` it is, here.
    pub(super) fn said_of(&self, expr: &ast::Expr, what: &str) -> (String, Span) {
        match self.source(expr) {
            Some(it) => (it.what(), it.span.unwrap_or(expr.span)),
            None => (what.to_owned(), expr.span),
        }
    }

    /// A parameter of the prelude that is bound anew stands for nothing in the user's text.
    pub(super) fn forget_source(&mut self, name: &str) {
        let floor = self.floor;
        if let Some(passed) = self.passed.last_mut().filter(|it| it.floor == floor)
            && let Some(at) = passed.of.params.iter().position(|it| it.name.name == name)
        {
            passed.sources[at] = None;
        }
    }

    /// What the user's text called, where the prelude calls `name` for it.
    pub(super) fn users_callee<'a>(&'a self, name: &'a str) -> &'a str {
        self.passed.first().map_or(name, |it| &it.of.name.name)
    }
}
