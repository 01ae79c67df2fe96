//! What calls are given: arguments with their types, and defaults.

use crate::lower::names::words::AXES;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::args::{Arg, Args};
use crate::lower::values::signature::{self, Signature};
use crate::lower::values::types;
use crate::lower::values::value::{OperatorRef, Ty, Value};
use crate::syntax::ast;
use std::rc::Rc;

/// A definition sees both numbers of a pair.
pub(super) fn paired(value: Value, ty: &Ty) -> Value {
    match value {
        Value::Int(it) if *ty == Ty::Pair => Value::List(vec![Value::Int(it); 2]),
        other => other,
    }
}

impl Unfold<'_> {
    /// The signature of a block: made once, for all its calls.
    pub(in crate::lower) fn block_signature(&mut self, block: &ast::Function) -> Rc<Signature> {
        let items = self.items;
        self.signatures.entry(block.name.span).or_insert_with(|| Rc::new(items.block_signature(block))).clone()
    }

    /// The signature of a built-in function, likewise.
    pub(super) fn builtin(&mut self, name: &str) -> Option<Rc<Signature>> {
        if let Some(known) = self.builtins.get(name) {
            return Some(known.clone());
        }
        let made = Rc::new(signature::builtin(name)?);
        self.builtins.insert(name.to_owned(), made.clone());
        Some(made)
    }

    pub(in crate::lower) fn report_mismatches(&mut self, signature: &Signature, call: &ast::Call) {
        signature.matched(call).1.into_iter().for_each(|it| self.report(it));
    }

    /// Evaluates the arguments of a call with the types of the signature. Missing ones without a
    /// default become `Error`: they were reported.
    pub(in crate::lower) fn arguments(&mut self, signature: &Signature, call: &ast::Call) -> Args {
        let (matched, wrong) = signature.matched(call);
        let mut values = Vec::new();
        for (slot, expr) in signature.slots.iter().zip(&matched) {
            let (value, source) = match expr {
                Some(expr) => {
                    let value = self.argument(expr, &slot.ty);
                    let what = format_args!("argument `{}` of `{}`", slot.name, signature.name);
                    let value = self.coerce(value, &slot.ty, expr.span, &what, None);
                    let source = self.source(expr).cloned();
                    let span = source.as_ref().and_then(|it| it.span).unwrap_or(expr.span);
                    (Some((value, span)), source)
                }
                None if slot.default.is_none() => (Some((self.lost(call.span), call.span)), None),
                None => (None, None),
            };
            values.push(Arg { name: slot.name.clone(), value, source });
        }
        Args { name: signature.name.clone(), span: call.span, values, mismatched: !wrong.is_empty() }
    }

    /// A word such as `same` is a value only where the parameter knows it.
    fn argument(&mut self, expr: &ast::Expr, ty: &Ty) -> Value {
        if let (ast::ExprKind::Name(name), Some(words)) = (&expr.kind, ty.words()) {
            let local = self.scopes.holds(name);
            if !local && self.items.get(name, expr.span.file).is_none() {
                let known = words.contains(&name.as_str());
                return if known { Value::Str(name.clone()) } else { self.lost(expr.span) };
            }
        }
        match ty {
            Ty::Axes => self.axis_words(expr),
            Ty::Start => match self.started(expr, "an argument") {
                Some(it) => Value::Start(it),
                None => self.lost(expr.span),
            },
            Ty::Rate => self.over_steps(expr, self.scheduled.flatten()),
            _ => self.expr(expr),
        }
    }

    /// Names of axes are words; what else stands there is a value.
    pub(in crate::lower) fn axis_words(&mut self, expr: &ast::Expr) -> Value {
        match &expr.kind {
            ast::ExprKind::Name(name) if AXES.contains(&name.as_str()) => Value::Str(name.clone()),
            ast::ExprKind::List(list) => {
                let values: Vec<Value> = list.iter().map(|it| self.axis_words(it)).collect();
                Value::first_error(&values).unwrap_or(Value::List(values))
            }
            _ => self.expr(expr),
        }
    }

    /// The parameters of a definition, bound: arguments are evaluated here, defaults where they are
    /// written.
    pub(in crate::lower) fn bound(
        &mut self,
        signature: &Signature,
        function: &ast::Function,
        call: &ast::Call,
    ) -> (Scope, Args) {
        let args = self.arguments(signature, call);
        let mut scope = Scope::new();
        for (param, slot) in function.params.iter().zip(&signature.slots) {
            let value = match (args.get(&slot.name), &param.default) {
                (Some((value, _)), _) => value.clone(),
                (None, Some(default)) => self.default(&mut scope, default, &slot.ty, &slot.name),
                (None, None) => self.lost(call.span),
            };
            scope.insert(slot.name.clone(), paired(value, &slot.ty));
        }
        (scope, args)
    }

    /// A default may use the parameters before it.
    pub(super) fn default(&mut self, scope: &mut Scope, default: &ast::Expr, ty: &Ty, name: &str) -> Value {
        let caller = self.scopes.enter(std::mem::take(scope));
        let value = self.argument(default, ty);
        *scope = self.scopes.leave(caller);
        self.coerce(value, ty, default.span, &format_args!("the default of `{name}`"), None)
    }

    /// What an operator can be given: constants, and inside of another operator another geometry.
    pub(super) fn operator_signature(&self, operator: &OperatorRef) -> Signature {
        types::operator_signature(&operator.def, self.building.is_some())
    }
}
