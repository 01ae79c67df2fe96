//! Arithmetic: on numbers it happens now, on tensors it becomes a `Map`, inside a `fn` or an operator
//! it becomes a node of the expression under construction.
//!
//! `int / int` is an int where the division is exact and a float otherwise; `int ^ int` is an int for
//! a non-negative exponent. An int that leaves 64 bits is a mistake, not a wrap.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Binary, Unary};
use crate::lower::network::ops::lists::list_advice;
use crate::lower::report::budget::weight;
use crate::lower::scalar::lift::binary_node;
use crate::lower::unfold::Unfold;
use crate::lower::values::types;
use crate::lower::values::value::Value;
use crate::syntax::ast::{BinaryOp, UnaryOp};
use std::cmp::Ordering;

/// The sign of an infix operator.
fn spelling(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
        BinaryOp::Pow => "^",
    }
}

/// What a function of the language does to numbers.
#[derive(Clone, Copy, Debug)]
enum Function {
    One(Unary),
    Two(Binary),
    /// Whole division: `%` is what it leaves.
    Whole,
    /// The second where the first is not 0, else the third.
    Select,
}

/// A built-in function by name.
fn function(name: &str) -> Option<Function> {
    Some(match name {
        "min" => Function::Two(Binary::Min),
        "max" => Function::Two(Binary::Max),
        "pow" => Function::Two(Binary::Pow),
        "div" => Function::Whole,
        "select" => Function::Select,
        _ => Function::One(Unary::called(name)?),
    })
}

/// An order of numbers; ints are not rounded for it.
fn compare(op: BinaryOp, a: &Value, b: &Value, x: f64, y: f64) -> Value {
    let order = match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        _ => x.partial_cmp(&y),
    };
    Value::Bool(match op {
        BinaryOp::Lt => order.is_some_and(Ordering::is_lt),
        BinaryOp::Le => order.is_some_and(Ordering::is_le),
        BinaryOp::Gt => order.is_some_and(Ordering::is_gt),
        BinaryOp::Ge => order.is_some_and(Ordering::is_ge),
        BinaryOp::Eq => order.is_some_and(Ordering::is_eq),
        BinaryOp::Ne => !order.is_some_and(Ordering::is_eq),
        BinaryOp::Or | BinaryOp::And => unreachable!("`{}` orders nothing", spelling(op)),
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow => {
            unreachable!("`{}` orders nothing", spelling(op))
        }
    })
}

/// The int that a float without a fraction is, if there is one.
pub(in crate::lower) fn whole(value: f64) -> Option<i64> {
    // 2^63 is a float, and the first that is too large.
    let bound = -(i64::MIN as f64);
    (-bound..bound).contains(&value).then_some(value as i64)
}

/// `x ^ y` for an exponent of at least 0.
fn whole_power(x: i64, y: i64) -> Option<i64> {
    match (x, u32::try_from(y)) {
        (_, Ok(exponent)) => x.checked_pow(exponent),
        (0 | 1, Err(_)) => Some(x),
        (-1, Err(_)) => Some(if y % 2 == 0 { 1 } else { -1 }),
        (_, Err(_)) => None,
    }
}

impl Unfold<'_> {
    /// `a op b`.
    pub(in crate::lower) fn binary(&mut self, op: BinaryOp, a: &Value, b: &Value, span: Span) -> Value {
        if let Some(told) = Value::first_error([a, b]) {
            return told;
        }
        let comparison =
            matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge);
        let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
        match (a, b) {
            (Value::Bool(a), Value::Bool(b)) if logic => {
                return Value::Bool(if op == BinaryOp::And { *a && *b } else { *a || *b });
            }
            (Value::Str(a), Value::Str(b)) if op == BinaryOp::Add => {
                if !self.pay((a.len() + b.len()) as u64, span) {
                    return self.lost(span);
                }
                return Value::Str(format!("{a}{b}"));
            }
            (Value::List(a), Value::List(b)) if op == BinaryOp::Add => {
                if !self.pay(a.iter().chain(b).map(weight).sum(), span) {
                    return self.lost(span);
                }
                return Value::List(a.iter().chain(b).cloned().collect());
            }
            _ => {}
        }
        if let (BinaryOp::Eq | BinaryOp::Ne, Some(equal)) = (op, a.equals(b)) {
            return Value::Bool(equal == (op == BinaryOp::Eq));
        }
        let (a, b) = (self.response(a.clone()), self.response(b.clone()));
        if let Some(told) = Value::first_error([&a, &b]) {
            return told;
        }
        let zeros = matches!(&b, Value::List(all) if all.iter().any(|it| it.number() == Some(0.0)));
        let mut both = vec![a, b];
        if !logic {
            both = match self.beside_tensors(&both, span) {
                Ok(it) => it,
                Err(told) => return told,
            };
        }
        let [a, b] = both.as_slice() else { return self.lost(span) };
        if zeros && matches!(op, BinaryOp::Div | BinaryOp::Rem) && matches!(a, Value::Tensor(_)) {
            let report = Diagnostic::new(Code::E0108, span, "division by zero");
            return self.fail(report.label(format!("this is a tensor {} a list with 0 in it", spelling(op))));
        }
        if let (false, Some(x), Some(y)) = (logic, a.number(), b.number()) {
            return if comparison { compare(op, a, b, x, y) } else { self.binary_now(op, a, b, span) };
        }
        // Comparisons of numbers that are not known yet are 1 or 0.
        let unknown = |it: &Value| matches!(it, Value::Tensor(_) | Value::Scalar(_));
        // An operator's own are told where it is looked at as a whole.
        let looked_at = self.building.is_some() || self.trace.is_some();
        if matches!(op, BinaryOp::Div | BinaryOp::Rem) && b.number() == Some(0.0) && unknown(a) && !looked_at {
            let what = if matches!(a, Value::Tensor(_)) { "this is a tensor" } else { "this is a number" };
            return self.fail(
                Diagnostic::new(Code::E0108, span, "division by zero").label(format!("{what} {} 0", spelling(op))),
            );
        }
        let fits = |it: &Value| it.number().is_some() || unknown(it) || logic && matches!(it, Value::Bool(_));
        if let Some(told) = self.beyond(&both, span) {
            return told;
        }
        if (unknown(a) || unknown(b)) && fits(a) && fits(b) {
            return self.lift(&[a.clone(), b.clone()], span, |pool, it| binary_node(pool, op, it[0], it[1]));
        }
        let report = Diagnostic::new(
            Code::E0104,
            span,
            format!("`{}` does not work on {} and {}", spelling(op), a.describe(), b.describe()),
        )
        .label(if logic { "both sides must be bools" } else { "both sides must be numbers or tensors" });
        self.fail(list_advice(report, &both))
    }

    /// A number that meets tensors and is infinite or 0 among their numbers, which are of single precision.
    fn beyond(&mut self, args: &[Value], span: Span) -> Option<Value> {
        // An operator's own are told where it is looked at as a whole.
        let unknown = args.iter().any(|it| matches!(it, Value::Tensor(_) | Value::Scalar(_)));
        if !unknown || self.building.is_some() || self.trace.is_some() {
            return None;
        }
        let wrong = args.iter().filter_map(Value::number).find(|it| {
            let single = *it as f32;
            single.is_infinite() || single == 0.0 && *it != 0.0
        })?;
        let number = if wrong.abs() < 1e15 { types::shortest(wrong) } else { format!("{wrong:e}") };
        let (what, bound) = match (wrong as f32).is_infinite() {
            true => (format!("{number} is too large for single precision"), format!("at most {:e}", f32::MAX)),
            false => {
                (format!("{number} is 0 in single precision"), format!("at least {:e} in size", f32::MIN_POSITIVE))
            }
        };
        Some(self.fail(Diagnostic::new(Code::E0108, span, what).label(format!("numbers beside tensors are {bound}"))))
    }

    fn binary_now(&mut self, op: BinaryOp, a: &Value, b: &Value, span: Span) -> Value {
        if let (Value::Int(x), Value::Int(y)) = (a, b) {
            let (x, y) = (*x, *y);
            if y == 0 && matches!(op, BinaryOp::Div | BinaryOp::Rem) {
                return self.fail(
                    Diagnostic::new(Code::E0108, span, "division by zero")
                        .label(format!("this is {x} {} 0", spelling(op))),
                );
            }
            let whole = match op {
                BinaryOp::Add => x.checked_add(y),
                BinaryOp::Sub => x.checked_sub(y),
                BinaryOp::Mul => x.checked_mul(y),
                BinaryOp::Div if x.wrapping_rem(y) == 0 => x.checked_div(y),
                BinaryOp::Div => return Value::Float(x as f64 / y as f64),
                BinaryOp::Rem => Some(x.wrapping_rem_euclid(y)),
                BinaryOp::Pow if y < 0 => {
                    return self.finite((x as f64).powf(y as f64), span, || format!("{x} ^ {y}"));
                }
                BinaryOp::Pow => whole_power(x, y),
                _ => None,
            };
            return self.fitting(whole, span, || format!("{x} {} {y}", spelling(op)));
        }
        let (Some(x), Some(y)) = (a.number(), b.number()) else { return self.lost(span) };
        let result = match op {
            BinaryOp::Add => x + y,
            BinaryOp::Sub => x - y,
            BinaryOp::Mul => x * y,
            BinaryOp::Div => x / y,
            BinaryOp::Rem => x.rem_euclid(y),
            BinaryOp::Pow => x.powf(y),
            _ => f64::NAN,
        };
        self.finite(result, span, || format!("{x} {} {y}", spelling(op)))
    }

    /// An int, if it is one that fits into 64 bits.
    pub(super) fn fitting(&mut self, whole: Option<i64>, span: Span, text: impl Fn() -> String) -> Value {
        match whole {
            Some(it) => Value::Int(it),
            None => self.fail(
                Diagnostic::new(Code::E0108, span, "the result does not fit into 64 bits")
                    .label(format!("this is {}", text())),
            ),
        }
    }

    fn finite(&mut self, result: f64, span: Span, text: impl Fn() -> String) -> Value {
        if result.is_finite() {
            return Value::Float(result);
        }
        self.fail(
            Diagnostic::new(Code::E0108, span, format!("`{}` is not a finite number", text()))
                .label(format!("the result is {result}")),
        )
    }

    /// `-a`, `not a`.
    pub(in crate::lower) fn unary(&mut self, op: UnaryOp, a: &Value, span: Span) -> Value {
        let a = &self.response(a.clone());
        match (op, a) {
            (_, Value::Error(_)) => a.clone(),
            (UnaryOp::Neg, Value::Int(it)) => self.fitting(it.checked_neg(), span, || format!("-({it})")),
            (UnaryOp::Neg, Value::Float(it)) => Value::Float(-it),
            (UnaryOp::Not, Value::Bool(it)) => Value::Bool(!it),
            (UnaryOp::Neg, Value::Tensor(_) | Value::Scalar(_)) => {
                self.lift(std::slice::from_ref(a), span, |pool, it| pool.unary(Unary::Neg, it[0]))
            }
            (UnaryOp::Not, Value::Tensor(_) | Value::Scalar(_)) => {
                self.lift(std::slice::from_ref(a), span, |pool, it| {
                    let one = pool.constant(1.0);
                    pool.sub(one, it[0])
                })
            }
            _ => {
                let (text, wanted) = if op == UnaryOp::Neg { ("-", "a number") } else { ("not", "a bool") };
                self.fail(
                    Diagnostic::new(Code::E0104, span, format!("`{text}` does not work on {}", a.describe()))
                        .label(format!("expected {wanted}")),
                )
            }
        }
    }

    /// A built-in function of numbers.
    pub(super) fn apply(&mut self, name: &'static str, args: &[Value], span: Span) -> Value {
        let args: &[Value] = &args.iter().map(|it| self.response(it.clone())).collect::<Vec<_>>();
        if let Some(told) = Value::first_error(args) {
            return told;
        }
        let args: &[Value] = &match self.beside_tensors(args, span) {
            Ok(it) => it,
            Err(told) => return told,
        };
        let Some(function) = function(name) else { return self.lost(span) };
        match (function, args) {
            (Function::One(Unary::Abs), [Value::Int(it)]) => {
                return self.fitting(it.checked_abs(), span, || format!("abs({it})"));
            }
            (Function::One(Unary::Sign), [Value::Int(it)]) => return Value::Int(it.signum()),
            (Function::One(Unary::Floor), [Value::Int(it)]) => return Value::Int(*it),
            (Function::One(Unary::Floor), [Value::Float(it)]) => {
                return self.fitting(whole(it.floor()), span, || format!("floor({it})"));
            }
            (Function::Two(Binary::Min), [Value::Int(a), Value::Int(b)]) => return Value::Int(*a.min(b)),
            (Function::Two(Binary::Max), [Value::Int(a), Value::Int(b)]) => return Value::Int(*a.max(b)),
            (Function::Two(Binary::Pow), [a, b]) => return self.binary(BinaryOp::Pow, a, b, span),
            (Function::Select, [Value::Bool(condition), a, b]) => {
                return if *condition { a.clone() } else { b.clone() };
            }
            (Function::Whole, [Value::Int(a), Value::Int(0)]) => {
                let report = Diagnostic::new(Code::E0108, span, "division by zero");
                return self.fail(report.label(format!("this is div({a}, 0)")));
            }
            (Function::Whole, [Value::Int(a), Value::Int(b)]) => {
                return self.fitting(a.checked_div_euclid(*b), span, || format!("div({a}, {b})"));
            }
            _ => {}
        }
        let numbers: Option<Vec<f64>> = args.iter().map(Value::number).collect();
        match (function, numbers.as_deref()) {
            (Function::One(op), Some([a])) => {
                return self.finite(op.apply(*a), span, || format!("{name}({a})"));
            }
            (Function::Whole, Some([a, b])) => return self.finite((a / b).floor(), span, || format!("div({a}, {b})")),
            (Function::Two(Binary::Min), Some([a, b])) => return Value::Float(a.min(*b)),
            (Function::Two(Binary::Max), Some([a, b])) => return Value::Float(a.max(*b)),
            (Function::Select, Some([condition, ..])) => return args[if *condition == 0.0 { 2 } else { 1 }].clone(),
            _ => {}
        }
        // An operator's own are told where it is looked at as a whole.
        let looked_at = self.building.is_some() || self.trace.is_some();
        if let (Function::Whole, [a @ (Value::Tensor(_) | Value::Scalar(_)), b]) = (function, args)
            && b.number() == Some(0.0)
            && !looked_at
        {
            let what = if matches!(a, Value::Tensor(_)) { "a tensor" } else { "a number" };
            let report = Diagnostic::new(Code::E0108, span, "division by zero");
            return self.fail(report.label(format!("this is div({what}, 0)")));
        }
        if let Some(told) = self.beyond(args, span) {
            return told;
        }
        if let Some(wrong) =
            args.iter().find(|it| it.number().is_none() && !matches!(it, Value::Tensor(_) | Value::Scalar(_)))
        {
            return self.fail(
                Diagnostic::new(Code::E0104, span, format!("`{name}` does not work on {}", wrong.describe()))
                    .label("expected a number or a tensor"),
            );
        }
        self.lift(args, span, |pool, it| match function {
            Function::One(op) => pool.unary(op, it[0]),
            Function::Two(op) => pool.binary(op, it[0], it[1]),
            Function::Whole => {
                let ratio = pool.div(it[0], it[1]);
                pool.unary(Unary::Floor, ratio)
            }
            Function::Select => pool.select(it[0], it[1], it[2]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::values::signature::FUNCTIONS;

    #[test]
    fn what_is_declared_can_be_called_and_nothing_else() {
        for (name, arity) in FUNCTIONS {
            let takes = match function(name).expect(name) {
                Function::One(_) => 1,
                Function::Two(_) | Function::Whole => 2,
                Function::Select => 3,
            };
            assert_eq!(*arity, takes, "`{name}`");
        }
        let called = Unary::ALL.iter().filter(|it| Unary::called(it.name()).is_some());
        let missing: Vec<_> = called.filter(|op| FUNCTIONS.iter().all(|it| it.0 != op.name())).collect();
        assert!(missing.is_empty(), "without a signature: {missing:?}");
    }
}
