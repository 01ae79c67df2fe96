//! Nodes on numbers that are not all known yet.

use crate::diag::Span;
use crate::ir::expr::Pool;
use crate::ir::{Binary, Op, Scalar, Unary};
use crate::lower::scalar::Scalars;
use crate::lower::values::value::{Tensor, Value};
use crate::syntax::ast::BinaryOp;

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

pub(in crate::lower) fn binary_node(pool: &mut Pool, op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
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

/// A number inside the expression under construction; bools count as 1 and 0.
pub(in crate::lower) fn to_scalar(pool: &mut Pool, value: &Value) -> Option<Scalar> {
    match value {
        Value::Scalar(it) => Some(*it),
        Value::Bool(it) => Some(pool.constant(f64::from(u8::from(*it)))),
        other => Some(pool.constant(other.number()?)),
    }
}

/// An expression over tensors, until it becomes a `Map`.
#[derive(Debug)]
pub(in crate::lower) struct MapUnderway {
    /// What its arguments are.
    tensors: Vec<Tensor>,
    /// The expression around it.
    outer: Option<Pool>,
}

impl Scalars<'_> {
    /// One node on numbers that are not all known: in the expression under construction, or as a
    /// `Map` over the tensors among `args`.
    pub(in crate::lower) fn lift(
        &mut self,
        args: &[Value],
        span: Span,
        f: impl Fn(&mut Pool, &[Scalar]) -> Scalar,
    ) -> Value {
        if !self.may_grow(span) {
            return self.lost(span);
        }
        if let Some(pool) = &mut self.pool {
            let Some(scalars) = args.iter().map(|it| to_scalar(pool, it)).collect::<Option<Vec<Scalar>>>() else {
                return self.lost(span);
            };
            let first = pool.len();
            let result = Value::Scalar(f(pool, &scalars));
            self.trace(first, span);
            return result;
        }
        let (values, map) = self.begin_map(args);
        let scalars: Option<Vec<Scalar>> = match &mut self.pool {
            Some(pool) => values.iter().map(|it| to_scalar(pool, it)).collect(),
            None => None,
        };
        let value = match (scalars, &mut self.pool) {
            (Some(scalars), Some(pool)) => Value::Scalar(f(pool, &scalars)),
            _ => self.lost(span),
        };
        self.end_map(map, value, span)
    }

    /// Begins a new expression of which each tensor of `args` is an argument; what stands for `args` in it.
    pub(in crate::lower) fn begin_map(&mut self, args: &[Value]) -> (Vec<Value>, MapUnderway) {
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
        (values, MapUnderway { tensors, outer: self.pool.replace(pool) })
    }

    /// Ends it, and makes the `Map` of it.
    pub(in crate::lower) fn end_map(&mut self, map: MapUnderway, result: Value, span: Span) -> Value {
        let pool = std::mem::replace(&mut self.pool, map.outer);
        let (Value::Scalar(root), Some(pool)) = (&result, pool) else { return result };
        let body = pool.finish(map.tensors.len() as u32, &[*root]).simplify();
        let tensors = self.aligned(map.tensors, span);
        let operands: Vec<&Tensor> = tensors.iter().collect();
        Value::Tensor(self.node(Op::Map { body, int: false }, &operands, span))
    }
}
