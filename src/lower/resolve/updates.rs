//! Optimizers: names in their bodies, and those that nothing uses.

use super::{Context, Resolver};
use crate::diag::{Code, Diagnostic, Span};
use crate::lower::items::{Home, Kind};
use crate::lower::update::GIVEN;
use crate::syntax::ast::{self, ExprKind};

impl Resolver<'_> {
    pub(super) fn optimizers(&mut self) {
        for (optimizer, home) in self.items.definitions(Kind::Optimizer) {
            self.main = home == Home::Main;
            self.current.clear();
            if optimizer.params.first().is_none_or(|it| it.name.name != "rate") {
                self.sink.push(
                    Diagnostic::new(
                        Code::E0105,
                        optimizer.header,
                        format!("the optimizer `{}` does not start with `rate`", optimizer.name.name),
                    )
                    .label("takes no rate")
                    .note("the recipe's schedule changes the first parameter of an optimizer")
                    .help(format!("write `optimizer {}(rate, ...)`", optimizer.name.name)),
                );
            }
            // What every optimizer is given may stay unused.
            self.open();
            for name in GIVEN {
                self.bind(&ast::Ident { name: (*name).to_owned(), span: optimizer.header }, None);
            }
            self.function(optimizer, Context::Optimizer);
            self.close();
        }
    }

    /// Definitions for recipes that this one does not name.
    pub(super) fn unchosen(&mut self) {
        let named = |it: &ast::Expr| match &it.kind {
            ExprKind::Call(call) => Some((Kind::Optimizer, call.callee.name.clone())),
            ExprKind::Name(name) => Some((Kind::Optimizer, name.clone())),
            _ => None,
        };
        let entries = self.items.trains.iter().flat_map(|it| &it.entries);
        let optimizers = entries.filter(|it| it.key.name == "optimizer").filter_map(|it| named(it.values.first()?));
        self.chosen.extend(optimizers);
        if self.items.is_library() {
            return;
        }
        for kind in Kind::ALL {
            for (def, home) in self.items.definitions(kind) {
                let (name, what) = (&def.name, kind.word());
                let chosen = self.chosen.contains(&(kind, name.name.clone()));
                if home != Home::Main || chosen || name.name.starts_with('_') {
                    continue;
                }
                let fix = format!("_{}", name.name);
                self.sink.push(
                    Diagnostic::new(Code::W0104, name.span, format!("the {what} `{}` is never used", name.name))
                        .label(format!("unused {what}"))
                        .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), name.span, fix),
                );
            }
        }
    }

    /// `keep velocity = 0`.
    pub(super) fn keep(&mut self, span: Span, name: &ast::Ident, init: &ast::Expr) {
        if self.context != Context::Optimizer {
            self.misplaced(span, "keep", "an optimizer");
        }
        self.expr(init);
        // It is kept for the next step, whether this one reads it or not.
        self.bind_outermost(name);
    }

    /// Binds a name for the rest of the function, from inside of a branch too.
    fn bind_outermost(&mut self, name: &ast::Ident) {
        let inner = self.scopes.split_off(2.min(self.scopes.len()));
        self.bind(name, None);
        self.scopes.extend(inner);
    }
}
