//! From the optimizer that a recipe names to the scalar function that moves every number of every parameter.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{ExprNode, Optimizer, Scalar, ScalarFn, Taken};
use crate::lower::names::items::Def;
use crate::lower::recipe::Recipe;
use crate::lower::recipe::schedule::{Factor, LOOKS};
use crate::lower::scalar::lift::to_scalar;
use crate::lower::unfold::schedule::steps;
use crate::lower::unfold::scopes::Scope;
use crate::lower::unfold::update::{FIRST_TAKEN, Update, describe};
use crate::lower::values::signature::Signature;
use crate::lower::values::types;
use crate::lower::values::value::{Ty, Value};
use crate::syntax::ast::{self, ExprKind, Part};
use std::rc::Rc;

impl Recipe<'_> {
    /// The optimizer that an entry of the recipe names, its rate multiplied by the recipe's schedule; and the places of what
    /// it takes of whole tensors.
    pub(super) fn optimizer(
        &mut self,
        expr: &ast::Expr,
        factor: Option<&Factor>,
        iterations: Option<u64>,
    ) -> Option<(Optimizer, Vec<Span>)> {
        // The rate may change with the steps; other arguments are numbers.
        let outer = (self.pool.replace(steps()), self.scheduled.replace(iterations));
        let bound = self.bound_optimizer(expr);
        let rates = std::mem::replace(&mut self.pool, outer.0);
        self.scheduled = outer.1;
        let (def, mut scope, place) = bound?;
        let name = def.name.name.as_str();
        let rate = self.rate_over_time((scope.get("rate")?, &rates?), factor, iterations, (name, place))?;
        let text = describe(&def, &scope, self.sources.slice(place));
        let mut pool = Pool::new();
        for (at, name) in ["value", "gradient", "rate", "step"].into_iter().enumerate() {
            let input = Value::Scalar(pool.input(at as u32));
            if name == "rate" || !scope.contains_key(name) {
                scope.insert(name.to_owned(), input);
            }
        }
        if let Some(all) = iterations {
            scope.entry("iterations".to_owned()).or_insert(Value::Int(i64::try_from(all).unwrap_or(i64::MAX)));
        }
        self.enter_call(expr.span);
        let outer = (self.pool.replace(pool), self.update.replace(Update { keeps: Vec::new(), taken: Vec::new() }));
        let caller = self.scopes.enter(scope);
        let value = self.stmts(&def.body);
        let scope = self.scopes.leave(caller);
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let update = std::mem::replace(&mut self.update, outer.1);
        let finished = match (pool, update) {
            (Some(pool), Some(update)) => self.finish_update(&def, text, rate, (value, scope), (pool, update)),
            _ => None,
        };
        self.leave_call();
        if let Some((optimizer, _)) = &finished {
            self.strides(&def, optimizer, iterations, place);
        }
        finished
    }

    /// Tells a rate with which an optimizer whose steps are as long whatever the gradient is, as Adam's are, moves each number
    /// by 1 or more.
    fn strides(&mut self, def: &ast::Function, optimizer: &Optimizer, iterations: Option<u64>, place: Span) {
        if !optimizer.taken.is_empty() || self.settings.evaluates {
            return;
        }
        let last = iterations.unwrap_or(1).saturating_sub(1) as f64;
        let rates = (0..=LOOKS).map(|it| (last * it as f64 / LOOKS as f64).floor());
        let rates = rates.filter_map(|step| Some((step, optimizer.rate.eval(&[step]).first().copied()?)));
        // Of equal ones the first.
        let Some((step, rate)) = rates.reduce(|best, it| if best.1 < it.1 { it } else { best }) else { return };
        let way = |gradient: f64| {
            let mut arguments = vec![0.0, gradient, rate, 0.0];
            arguments.extend(optimizer.keeps.iter().map(|it| it.1));
            optimizer.body.eval(&arguments).first().map_or(0.0, |it| it.abs())
        };
        let (short, long) = (way(1e-2), way(1.0));
        if !(1.0 <= long && long.is_finite() && (short / long - 1.0).abs() < 0.01) {
            return;
        }
        let name = &def.name.name;
        let at = if step == 0.0 { String::new() } else { format!(" at step {step}") };
        let message = format!("`{name}` moves each number by {} in a step{at}", types::number(long));
        let report = Diagnostic::new(Code::W0211, place, message)
            .label(format!("with a rate of {}, whatever the gradient is", types::shortest(rate)))
            .note("filters of a layer start with numbers far below 1");
        let usual = def.params.first().and_then(|it| it.default.as_ref());
        self.report(match usual.map(|it| self.sources.slice(it.span)) {
            Some(usual) => report.help(format!("`{name}` alone has a rate of {usual}")),
            None => report.help("give a smaller rate"),
        });
    }

    /// Its definition, its arguments, and the place of its rate.
    fn bound_optimizer(&mut self, expr: &ast::Expr) -> Option<(Rc<ast::Function>, Scope, Span)> {
        if let ExprKind::Call(call) = &expr.kind
            && let Some(def) = self.items.definition(Part::Optimizer, &call.callee.name, call.callee.span.file)
            && self.changing_numbers(&self.items.part_signature(Part::Optimizer, def), call)
        {
            return None;
        }
        // One that does not start with its rate is told of where it is defined.
        let name = match &expr.kind {
            ExprKind::Call(call) => call.callee.name.as_str(),
            ExprKind::Name(name) => name.as_str(),
            _ => "",
        };
        if let Some(def) = self.items.definition(Part::Optimizer, name, expr.span.file)
            && def.params.first().is_none_or(|it| it.name.name != "rate")
        {
            return None;
        }
        let (args, call) = self.choice_and_call("optimizer", expr)?;
        let def = self.items.definition(Part::Optimizer, &args.name, call.callee.span.file)?.clone();
        let signature = self.items.part_signature(Part::Optimizer, &def);
        let (scope, given) = self.bound(&signature, &def, &call);
        if given.mismatched || scope.values().any(Value::is_error) {
            return None;
        }
        Some((def, scope, args.get("rate").map_or(call.span, |it| it.1)))
    }

    /// Whether an optimizer is given numbers that change with the steps besides its rate, which are told.
    fn changing_numbers(&mut self, signature: &Signature, call: &ast::Call) -> bool {
        let items = self.items;
        let changes = |expr: &ast::Expr| match &expr.kind {
            // As where it is unfolded, a schedule comes before other definitions of its name.
            ExprKind::Name(name) => {
                items.definition(Part::Schedule, name, expr.span.file).is_some()
                    || name == "step" && items.get(name, expr.span.file).is_none()
            }
            ExprKind::Call(call) => {
                let operator = matches!(items.called(call).map(|it| &it.def), Some(Def::Block(_) | Def::Fn(_)));
                !operator && items.definition(Part::Schedule, &call.callee.name, call.callee.span.file).is_some()
            }
            _ => false,
        };
        let mut some = false;
        for (slot, value) in signature.slots.iter().zip(signature.matched(call).0) {
            let Some(value) = value.filter(|it| slot.ty != Ty::Rate && it.find(&changes).is_some()) else { continue };
            some = true;
            let message = format!("`{}` of `{}` cannot change with the steps", slot.name, signature.name);
            self.report(
                Diagnostic::new(Code::E0104, value.span, message)
                    .label("must be known before the training")
                    .note("only the rate of an optimizer follows a schedule")
                    .help("give a number that stays as it is"),
            );
        }
        some
    }

    fn finish_update(
        &mut self,
        def: &ast::Function,
        text: String,
        rate: ScalarFn,
        (value, scope): (Value, Scope),
        (mut pool, update): (Pool, Update),
    ) -> Option<(Optimizer, Vec<Span>)> {
        let mut roots: Vec<Scalar> = Vec::new();
        let results = std::iter::once((def.name.name.as_str(), &value, def.body.span));
        let keeps = update
            .keeps
            .iter()
            .map(|(name, _, span)| (name.as_str(), scope.get(name).unwrap_or(&Value::Nothing), *span));
        for (name, value, span) in results.chain(keeps) {
            match value {
                Value::Error(_) => return None,
                Value::Scalar(_) | Value::Int(_) | Value::Float(_) => roots.extend(to_scalar(&mut pool, value)),
                other => {
                    self.report(
                        Diagnostic::new(Code::E0104, span, format!("`{name}` ends as {}, not as a number", other.describe()))
                            .label("expected a number")
                            .help("the last expression of an optimizer is the parameter's new value: `value - rate * gradient`"),
                    );
                    return None;
                }
            }
        }
        roots.extend(update.taken.iter().flat_map(|it| &it.1));
        let first = 4 + update.keeps.len() as u32;
        let body = pool.finish(first + update.taken.len() as u32, &roots);
        let moved = |it: &ExprNode| match *it {
            ExprNode::Input(at) if FIRST_TAKEN <= at => ExprNode::Input(at - FIRST_TAKEN + first),
            other => other,
        };
        let body = ScalarFn { nodes: body.nodes.iter().map(moved).collect(), ..body };
        let used = body.used_inputs();
        for (at, word, help) in [
            (0, "value", "the last expression is the parameter's new value: `value - rate * gradient`"),
            (1, "gradient", "the gradient is what a parameter learns by: `value - rate * gradient`"),
        ] {
            if !used.contains(&at) && !self.items.is_own(def.header.file) {
                let report =
                    Diagnostic::new(Code::W0203, def.name.span, format!("`{}` never reads `{word}`", def.name.name))
                        .label(if at == 0 { "forgets what a parameter was" } else { "moves every parameter alike" })
                        .help(help);
                self.report(report);
            }
        }
        let taken: Vec<Taken> = update.taken.iter().map(|it| it.0).collect();
        let places = update.taken.into_iter().map(|it| it.2).collect();
        let keeps = update.keeps.into_iter().map(|it| (it.0, it.1)).collect();
        Some((Optimizer { text, rate, keeps, body, taken, params: Vec::new() }, places))
    }
}
