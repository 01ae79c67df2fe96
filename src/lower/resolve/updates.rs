//! Optimizers: names in their bodies, and those that nothing uses.

use super::{Context, Resolver};
use crate::diag::{Code, Diagnostic, Span};
use crate::lower::items::Home;
use crate::lower::update::GIVEN;
use crate::syntax::ast::{self, ExprKind};

impl Resolver<'_> {
    pub(super) fn optimizers(&mut self) {
        let chosen: Vec<&str> = (self.items.trains.iter())
            .flat_map(|it| it.entries.iter().filter(|it| it.key.name == "optimizer"))
            .filter_map(|it| match &it.values.first()?.kind {
                ExprKind::Call(call) => Some(call.callee.name.as_str()),
                ExprKind::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        for (optimizer, home) in self.items.optimizers() {
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
            let name = &optimizer.name;
            if self.lint && self.main && !self.items.is_library() && !chosen.contains(&name.name.as_str()) {
                let fix = format!("_{}", name.name);
                if !name.name.starts_with('_') {
                    self.sink.push(
                        Diagnostic::new(Code::W0104, name.span, format!("the optimizer `{}` is never used", name.name))
                            .label("unused optimizer")
                            .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), name.span, fix),
                    );
                }
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
