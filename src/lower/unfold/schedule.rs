//! Schedules, named where a rate is wanted.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, ExprKind, Part};

/// A pool whose first node is the updates done.
pub(in crate::lower) fn steps() -> Pool {
    let mut pool = Pool::new();
    pool.input(0);
    pool
}

impl Unfold<'_> {
    /// Evaluates an expression in which schedules may be named; its numbers are those of the pool under construction.
    pub(in crate::lower) fn over_steps(&mut self, expr: &ast::Expr, iterations: Option<u64>) -> Value {
        let outer = self.scheduled.replace(iterations);
        let mut scope = Scope::new();
        self.give_steps(&mut scope);
        let caller = self.scopes.enter(scope);
        let value = match &expr.kind {
            // Alone, `step` is the schedule of this name without its arguments.
            ExprKind::Name(name) if self.items.definition(Part::Schedule, name, expr.span.file).is_some() => {
                self.named_schedule(name, expr.span)
            }
            _ => self.expr(expr),
        };
        self.scopes.leave(caller);
        self.scheduled = outer;
        value
    }

    fn give_steps(&mut self, scope: &mut Scope) {
        let (Some(pool), Some(iterations)) = (&mut self.scalars.pool, self.scheduled) else { return };
        let step = Value::Scalar(pool.input(0));
        scope.entry("step".to_owned()).or_insert(step);
        if let Some(all) = iterations {
            scope.entry("iterations".to_owned()).or_insert(Value::Int(i64::try_from(all).unwrap_or(i64::MAX)));
        }
    }

    /// A schedule named without arguments.
    pub(super) fn named_schedule(&mut self, name: &str, span: Span) -> Value {
        let callee = ast::Ident { name: name.to_owned(), span };
        // The prelude's has the name of what is counted.
        let prelude = |it: &&std::rc::Rc<ast::Function>| it.header.file == self.items.prelude;
        if name == "step" && self.items.definition(Part::Schedule, name, span.file).filter(prelude).is_some() {
            let report = Diagnostic::new(Code::E0105, span, "the schedule `step` needs the argument `at`")
                .label("missing `at`")
                .help("write for example `step(at: [500])`; the updates done are `1 * step`");
            return self.fail(report);
        }
        self.call_schedule(&ast::Call { callee, piped: None, args: Vec::new(), span })
    }

    /// `warmup(500)`, where a schedule is wanted.
    pub(super) fn call_schedule(&mut self, call: &ast::Call) -> Value {
        let name = &call.callee.name;
        let found = self.items.definition(Part::Schedule, name, call.callee.span.file).cloned();
        let Some(def) = found else { return self.lost(call.span) };
        let signature = self.items.part_signature(Part::Schedule, &def);
        self.report_mismatches(&signature, call);
        let (mut scope, args) = self.bound(&signature, &def, call);
        let endless = self.endless.contains(&self.items.part_key(Part::Schedule, &def.name));
        if args.mismatched || scope.values().any(Value::is_error) || endless {
            return self.lost(call.span);
        }
        self.give_steps(&mut scope);
        self.enter_call(call.span);
        let value = self.enter(scope, &def.body, call.span);
        self.leave_call();
        match value {
            Value::Scalar(_) | Value::Int(_) | Value::Float(_) | Value::Error(_) => value,
            other => self.fail(
                Diagnostic::new(
                    Code::E0104,
                    def.body.span,
                    format!("the schedule `{name}` gives {}, not a number", other.kind()),
                )
                .label("expected a number")
                .help("the last expression of a schedule is what rates are multiplied by"),
            ),
        }
    }
}
