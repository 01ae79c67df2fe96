//! Arithmetic: on numbers it happens now, on tensors it becomes a `Map`, inside a `fn` or an operator
//! it becomes a node of the expression under construction.
//!
//! `int / int` is an int where the division is exact and a float otherwise; `int ^ int` is an int for
//! a non-negative exponent. An int that leaves 64 bits is a mistake, not a wrap.

use super::Lowering;
use super::value::{Tensor, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Binary, Op, Scalar, Unary};
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// The sign of an infix operator.
fn sign(op: BinaryOp) -> &'static str {
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
pub(super) enum Function {
    One(Unary),
    Two(Binary),
}

/// A built-in function by name.
pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "abs" => Function::One(Unary::Abs),
        "sign" => Function::One(Unary::Sign),
        "sqrt" => Function::One(Unary::Sqrt),
        "exp" => Function::One(Unary::Exp),
        "expm1" => Function::One(Unary::Expm1),
        "log" => Function::One(Unary::Log),
        "log1p" => Function::One(Unary::Log1p),
        "sin" => Function::One(Unary::Sin),
        "cos" => Function::One(Unary::Cos),
        "tanh" => Function::One(Unary::Tanh),
        "logistic" => Function::One(Unary::Logistic),
        "asin" => Function::One(Unary::Asin),
        "acos" => Function::One(Unary::Acos),
        "atan" => Function::One(Unary::Atan),
        "floor" => Function::One(Unary::Floor),
        "stop" => Function::One(Unary::Stop),
        "min" => Function::Two(Binary::Min),
        "max" => Function::Two(Binary::Max),
        "pow" => Function::Two(Binary::Pow),
        _ => return None,
    })
}

/// `base ^ exponent`; small whole powers are products.
fn power(pool: &mut Pool, base: Scalar, exponent: Scalar) -> Scalar {
    match pool.as_const(exponent) {
        Some(it) if (1.0..=4.0).contains(&it) && it.fract() == 0.0 => {
            (1..it as usize).fold(base, |product, _| pool.mul(product, base))
        }
        Some(0.5) => pool.unary(Unary::Sqrt, base),
        _ => pool.binary(Binary::Pow, base, exponent),
    }
}

fn binary_node(pool: &mut Pool, op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
    let not = |pool: &mut Pool, it: Scalar| {
        let one = pool.constant(1.0);
        pool.sub(one, it)
    };
    match op {
        BinaryOp::Or => pool.binary(Binary::Max, a, b),
        BinaryOp::And => pool.binary(Binary::Min, a, b),
        BinaryOp::Eq => pool.binary(Binary::Eq, a, b),
        BinaryOp::Ne => {
            let equal = pool.binary(Binary::Eq, a, b);
            not(pool, equal)
        }
        BinaryOp::Lt => pool.binary(Binary::Lt, a, b),
        BinaryOp::Le => pool.binary(Binary::Le, a, b),
        BinaryOp::Gt => pool.binary(Binary::Lt, b, a),
        BinaryOp::Ge => pool.binary(Binary::Le, b, a),
        BinaryOp::Add => pool.add(a, b),
        BinaryOp::Sub => pool.sub(a, b),
        BinaryOp::Mul => pool.mul(a, b),
        BinaryOp::Div => pool.div(a, b),
        BinaryOp::Rem => {
            let ratio = pool.div(a, b);
            let whole = pool.unary(Unary::Floor, ratio);
            let product = pool.mul(whole, b);
            pool.sub(a, product)
        }
        BinaryOp::Pow => power(pool, a, b),
    }
}

impl Lowering<'_> {
    /// `a op b`.
    pub(super) fn binary(&mut self, op: BinaryOp, a: &Value, b: &Value, span: Span) -> Value {
        if a.is_error() || b.is_error() {
            return Value::Error;
        }
        let comparison =
            matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge);
        let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
        match (a, b) {
            (Value::Bool(a), Value::Bool(b)) if logic => {
                return Value::Bool(if op == BinaryOp::And { *a && *b } else { *a || *b });
            }
            (Value::Str(a), Value::Str(b)) if op == BinaryOp::Add => return Value::Str(format!("{a}{b}")),
            (Value::List(a), Value::List(b)) if op == BinaryOp::Add => {
                return Value::List(a.iter().chain(b).cloned().collect());
            }
            _ => {}
        }
        if let (BinaryOp::Eq | BinaryOp::Ne, Some(equal)) = (op, a.equals(b)) {
            return Value::Bool(equal == (op == BinaryOp::Eq));
        }
        let (a, b) = (&self.response(a.clone()), &self.response(b.clone()));
        if a.is_error() || b.is_error() {
            return Value::Error;
        }
        if let (false, Some(x), Some(y)) = (logic, a.number(), b.number()) {
            return if comparison { compare(op, x, y) } else { self.binary_now(op, a, b, span) };
        }
        let numeric = |it: &Value| it.number().is_some() || matches!(it, Value::Tensor(_) | Value::Scalar(_));
        let scalar = matches!(a, Value::Scalar(_)) || matches!(b, Value::Scalar(_));
        let flag = |it: &Value| numeric(it) || matches!(it, Value::Bool(_));
        if scalar && (numeric(a) && numeric(b) || logic && flag(a) && flag(b)) {
            return self.lift(&[a.clone(), b.clone()], span, |pool, it| binary_node(pool, op, it[0], it[1]));
        }
        if numeric(a) && numeric(b) && !comparison && !logic {
            return self.lift(&[a.clone(), b.clone()], span, |pool, it| binary_node(pool, op, it[0], it[1]));
        }
        let tensor = matches!(a, Value::Tensor(_)) || matches!(b, Value::Tensor(_));
        let mut report = Diagnostic::new(
            Code::E0104,
            span,
            format!("`{}` does not work on {} and {}", sign(op), a.describe(), b.describe()),
        )
        .label(if logic {
            "both sides must be bools"
        } else if comparison && tensor {
            "the numbers of a tensor are not known when the file is unfolded"
        } else {
            "both sides must be numbers or tensors"
        });
        if comparison && tensor {
            report = report.help("compare `channels(x)`, `height(x)` or `width(x)`, or use `max` and `min`");
        }
        self.report(report);
        Value::Error
    }

    fn binary_now(&mut self, op: BinaryOp, a: &Value, b: &Value, span: Span) -> Value {
        if let (Value::Int(x), Value::Int(y)) = (a, b) {
            let (x, y) = (*x, *y);
            if y == 0 && matches!(op, BinaryOp::Div | BinaryOp::Rem) {
                self.report(
                    Diagnostic::new(Code::E0108, span, "division by zero").label(format!("this is {x} {} 0", sign(op))),
                );
                return Value::Error;
            }
            let whole = match op {
                BinaryOp::Add => x.checked_add(y),
                BinaryOp::Sub => x.checked_sub(y),
                BinaryOp::Mul => x.checked_mul(y),
                BinaryOp::Div if x.checked_rem(y) == Some(0) => x.checked_div(y),
                BinaryOp::Div => return Value::Float(x as f64 / y as f64),
                BinaryOp::Rem => x.checked_rem_euclid(y),
                BinaryOp::Pow if y < 0 => {
                    return self.finite((x as f64).powf(y as f64), span, || format!("{x} ^ {y}"));
                }
                BinaryOp::Pow => u32::try_from(y).ok().and_then(|it| x.checked_pow(it)),
                _ => None,
            };
            return match whole {
                Some(it) => Value::Int(it),
                None => {
                    self.report(
                        Diagnostic::new(Code::E0108, span, "the result does not fit into 64 bits")
                            .label(format!("this is {x} {} {y}", sign(op))),
                    );
                    Value::Error
                }
            };
        }
        let (Some(x), Some(y)) = (a.number(), b.number()) else { return Value::Error };
        let result = match op {
            BinaryOp::Add => x + y,
            BinaryOp::Sub => x - y,
            BinaryOp::Mul => x * y,
            BinaryOp::Div => x / y,
            BinaryOp::Rem => x.rem_euclid(y),
            BinaryOp::Pow => x.powf(y),
            _ => f64::NAN,
        };
        self.finite(result, span, || format!("{x} {} {y}", sign(op)))
    }

    fn finite(&mut self, result: f64, span: Span, text: impl Fn() -> String) -> Value {
        if result.is_finite() {
            return Value::Float(result);
        }
        self.report(
            Diagnostic::new(Code::E0108, span, format!("`{}` is not a finite number", text()))
                .label(format!("the result is {result}")),
        );
        Value::Error
    }

    /// `-a`, `not a`.
    pub(super) fn unary(&mut self, op: UnaryOp, a: &Value, span: Span) -> Value {
        let a = &self.response(a.clone());
        match (op, a) {
            (_, Value::Error) => Value::Error,
            (UnaryOp::Neg, Value::Int(it)) => it.checked_neg().map_or(Value::Error, Value::Int),
            (UnaryOp::Neg, Value::Float(it)) => Value::Float(-it),
            (UnaryOp::Not, Value::Bool(it)) => Value::Bool(!it),
            (UnaryOp::Neg, Value::Tensor(_) | Value::Scalar(_)) => {
                self.lift(std::slice::from_ref(a), span, |pool, it| pool.unary(Unary::Neg, it[0]))
            }
            (UnaryOp::Not, Value::Scalar(_)) => self.lift(std::slice::from_ref(a), span, |pool, it| {
                let one = pool.constant(1.0);
                pool.sub(one, it[0])
            }),
            _ => {
                let (text, wanted) = if op == UnaryOp::Neg { ("-", "a number") } else { ("not", "a bool") };
                self.report(
                    Diagnostic::new(Code::E0104, span, format!("`{text}` does not work on {}", a.describe()))
                        .label(format!("expected {wanted}")),
                );
                Value::Error
            }
        }
    }

    /// A built-in function of numbers.
    pub(super) fn apply(&mut self, name: &'static str, args: &[Value], span: Span) -> Value {
        let args: &[Value] = &args.iter().map(|it| self.response(it.clone())).collect::<Vec<_>>();
        if args.iter().any(Value::is_error) {
            return Value::Error;
        }
        let Some(function) = function(name) else { return Value::Error };
        match (function, args) {
            (Function::One(Unary::Abs), [Value::Int(it)]) => return it.checked_abs().map_or(Value::Error, Value::Int),
            (Function::One(Unary::Sign), [Value::Int(it)]) => return Value::Int(it.signum()),
            (Function::One(Unary::Floor), [Value::Int(it)]) => return Value::Int(*it),
            (Function::One(Unary::Floor), [Value::Float(it)]) => return Value::Int(it.floor() as i64),
            (Function::Two(Binary::Min), [Value::Int(a), Value::Int(b)]) => return Value::Int(*a.min(b)),
            (Function::Two(Binary::Max), [Value::Int(a), Value::Int(b)]) => return Value::Int(*a.max(b)),
            (Function::Two(Binary::Pow), [a, b]) => return self.binary(BinaryOp::Pow, a, b, span),
            _ => {}
        }
        let numbers: Option<Vec<f64>> = args.iter().map(Value::number).collect();
        match (function, numbers.as_deref()) {
            (Function::One(op), Some([a])) => {
                return self.finite(op.apply(*a), span, || format!("{name}({a})"));
            }
            (Function::Two(Binary::Min), Some([a, b])) => return Value::Float(a.min(*b)),
            (Function::Two(Binary::Max), Some([a, b])) => return Value::Float(a.max(*b)),
            _ => {}
        }
        if let Some(wrong) =
            args.iter().find(|it| it.number().is_none() && !matches!(it, Value::Tensor(_) | Value::Scalar(_)))
        {
            self.report(
                Diagnostic::new(Code::E0104, span, format!("`{name}` does not work on {}", wrong.describe()))
                    .label("expected a number or a tensor"),
            );
            return Value::Error;
        }
        self.lift(args, span, |pool, it| match function {
            Function::One(op) => pool.unary(op, it[0]),
            Function::Two(op) => pool.binary(op, it[0], it[1]),
        })
    }

    /// One node on numbers that are not all known: in the expression under construction, or as a
    /// `Map` over the tensors among `args`.
    fn lift(&mut self, args: &[Value], span: Span, f: impl Fn(&mut Pool, &[Scalar]) -> Scalar) -> Value {
        if let Some(pool) = &mut self.pool {
            let Some(scalars) = args.iter().map(|it| to_scalar(pool, it)).collect::<Option<Vec<Scalar>>>() else {
                return Value::Error;
            };
            let first = pool.len();
            let result = Value::Scalar(f(pool, &scalars));
            self.trace(first, span);
            return result;
        }
        self.over_tensors(args, span, |lowering, values| {
            let Some(pool) = &mut lowering.pool else { return Value::Error };
            match values.iter().map(|it| to_scalar(pool, it)).collect::<Option<Vec<Scalar>>>() {
                Some(scalars) => Value::Scalar(f(pool, &scalars)),
                None => Value::Error,
            }
        })
    }

    /// Evaluates `f` with each tensor of `args` replaced by an argument of a new expression, and makes
    /// the `Map` of it.
    pub(super) fn over_tensors(
        &mut self,
        args: &[Value],
        span: Span,
        f: impl FnOnce(&mut Self, Vec<Value>) -> Value,
    ) -> Value {
        let mut pool = Pool::new();
        let mut tensors: Vec<Tensor> = Vec::new();
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(match arg {
                Value::Tensor(it) => {
                    let same = |old: &Tensor| old.train == it.train && old.evaluate == it.evaluate;
                    let at = tensors.iter().position(same).unwrap_or_else(|| {
                        tensors.push(it.clone());
                        tensors.len() - 1
                    });
                    Value::Scalar(pool.input(at as u32))
                }
                other => other.clone(),
            });
        }
        let outer = self.pool.replace(pool);
        let result = f(self, values);
        let pool = std::mem::replace(&mut self.pool, outer);
        let (Value::Scalar(root), Some(pool)) = (&result, pool) else { return result };
        let body = pool.finish(tensors.len() as u32, &[*root]).simplify();
        let tensors = self.aligned(tensors, span);
        let operands: Vec<&Tensor> = tensors.iter().collect();
        Value::Tensor(self.node(Op::Map { body, int: false }, &operands, span))
    }
}

/// A number inside the expression under construction; bools count as 1 and 0.
pub(super) fn to_scalar(pool: &mut Pool, value: &Value) -> Option<Scalar> {
    match value {
        Value::Scalar(it) => Some(*it),
        Value::Bool(it) => Some(pool.constant(f64::from(u8::from(*it)))),
        other => Some(pool.constant(other.number()?)),
    }
}

fn compare(op: BinaryOp, a: f64, b: f64) -> Value {
    Value::Bool(match op {
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        BinaryOp::Eq => a == b,
        _ => a != b,
    })
}
