//! Whose arguments expressions of the prelude stand for, and names that are bound again.

use crate::diag::Span;
use crate::lower::report::idle::is_written;
use crate::lower::unfold::Unfold;
use crate::lower::values::source::{Passed, Source};
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, ExprKind};
use std::rc::Rc;

impl Unfold<'_> {
    /// Whether an extent is a number that no param changes.
    pub(super) fn is_written_out(&self, extent: &ast::Expr) -> bool {
        match self.source(extent) {
            Some(it) => it.span.is_none_or(|it| is_written(self.sources.slice(it))),
            None => matches!(extent.kind, ExprKind::Int(_)),
        }
    }

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
        let floor = self.scopes.depth();
        self.enter_passed(Passed { floor, of: of.clone(), sources });
    }

    /// What an expression stands for: a parameter of the prelude, or an element of one.
    pub(super) fn source(&self, expr: &ast::Expr) -> Option<&Source> {
        let passed = self.passed().filter(|it| it.floor == self.scopes.floor())?;
        let name = match &expr.kind {
            ExprKind::Name(name) => name,
            ExprKind::Index(list, _) => match &list.kind {
                ExprKind::Name(name) => name,
                _ => return None,
            },
            _ => return None,
        };
        let hidden = self.scopes.hides(name);
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
        let floor = self.scopes.floor();
        if let Some(passed) = self.passed_mut().filter(|it| it.floor == floor)
            && let Some(at) = passed.of.params.iter().position(|it| it.name.name == name)
        {
            passed.sources[at] = None;
        }
    }

    /// Binds, or rebinds an existing name of an enclosing scope of the same function.
    pub(super) fn assign(&mut self, name: &str, value: Value) {
        if !self.scopes.rebind(name, value.clone()) {
            self.scopes.bind(name, value);
        }
        self.forget_source(name);
    }
}
