//! Types as they are written, and signatures of what a file defines.

use crate::lower::names::words::GEOMETRY;
use crate::lower::values::signature::{BORDER, Signature, Slot};
use crate::lower::values::value::{Ty, Value};
use crate::syntax::ast::{self, ExprKind, TypeKind};

/// Names of types.
pub(in crate::lower) const NAMES: &[&str] =
    &["int", "float", "bool", "string", "operator", "fn", "tensor", "axes", "pair", "border", "start"];

/// The type of a name.
pub(in crate::lower) fn named(name: &str) -> Option<Ty> {
    Some(match name {
        "int" => Ty::Int,
        "float" => Ty::Float,
        "bool" => Ty::Bool,
        "string" => Ty::Str,
        "operator" => Ty::Operator,
        "fn" => Ty::Fn,
        "tensor" => Ty::Tensor,
        "axes" => Ty::Axes,
        "pair" => Ty::Pair,
        "border" => BORDER,
        "start" => Ty::Start,
        _ => return None,
    })
}

/// All names, for messages.
pub(in crate::lower) fn list() -> String {
    let all: Vec<String> = NAMES.iter().map(|it| format!("`{it}`")).collect();
    format!("{}, or a list such as `[int]`", all.join(", "))
}

/// The type of an annotation; what is not a type is any (and reported by `resolve`).
pub(in crate::lower) fn of(ty: &ast::Type) -> Ty {
    match &ty.kind {
        TypeKind::Name(name) => named(name).unwrap_or(Ty::Any),
        TypeKind::List(item) => Ty::List(Box::new(of(item))),
        TypeKind::Shape(_) => Ty::Tensor,
    }
}

/// The annotation of a `let`: brackets around the name of a type are a list, around anything else a shape.
pub(in crate::lower) fn of_let(ty: &ast::Type) -> ast::Type {
    fn list(expr: &ast::Expr) -> Option<ast::Type> {
        let kind = match &expr.kind {
            ExprKind::Name(name) => TypeKind::Name(named(name).map(|_| name.clone())?),
            ExprKind::List(items) => match items.as_slice() {
                [item] => TypeKind::List(Box::new(list(item)?)),
                _ => return None,
            },
            _ => return None,
        };
        Some(ast::Type { kind, span: expr.span })
    }
    let kind = match &ty.kind {
        TypeKind::Shape(dims) => match dims.as_slice() {
            [item] => list(item).map(|it| TypeKind::List(Box::new(it))),
            _ => None,
        },
        TypeKind::Name(_) | TypeKind::List(_) => None,
    };
    ast::Type { kind: kind.unwrap_or_else(|| ty.kind.clone()), span: ty.span }
}

/// What a call of this must give.
pub(in crate::lower) fn signature(what: &'static str, function: &ast::Function) -> Signature {
    let slots = function.params.iter().map(slot).collect();
    Signature { what, name: function.name.name.clone(), slots, header: Some(function.header) }
}

/// What an operator can be given: its constants, and where it is `composed` with others a geometry other
/// than theirs.
pub(in crate::lower) fn operator_signature(function: &ast::Function, composed: bool) -> Signature {
    let mut slots: Vec<Slot> = function.params.iter().filter(|it| it.default.is_some()).map(slot).collect();
    for part in GEOMETRY.iter().filter(|_| composed) {
        if slots.iter().all(|it| it.name != *part) {
            slots.push(Slot { name: (*part).to_owned(), ty: Ty::Any, default: Some((*part).to_owned()) });
        }
    }
    Signature { what: "operator", name: function.name.name.clone(), slots, header: Some(function.header) }
}

fn slot(param: &ast::FnParam) -> Slot {
    Slot {
        name: param.name.name.clone(),
        ty: match param.ty.as_ref().map(of) {
            // What a definition does with a number can be done with one that changes with the steps.
            Some(Ty::Float) => Ty::Number,
            Some(ty) => ty,
            None => Ty::Any,
        },
        default: param.default.as_ref().map(literal),
    }
}

/// The type of an operator's constant: as annotated, else as its default, numbers being floats.
pub(in crate::lower) fn constant(param: &ast::FnParam, default: &Value) -> Ty {
    match (&param.ty, default) {
        (Some(ty), _) => of(ty),
        (None, default) if default.number().is_some() => Ty::Float,
        // A number of the updates done.
        (None, Value::Tensor(_)) => Ty::Float,
        (None, default) => type_of(default),
    }
}

fn literal(expr: &ast::Expr) -> String {
    match &expr.kind {
        ExprKind::Int(it) => it.to_string(),
        ExprKind::Float(it) => shortest(*it),
        ExprKind::Bool(it) => it.to_string(),
        ExprKind::Name(it) => it.clone(),
        ExprKind::Unary(ast::UnaryOp::Neg, it) => format!("-{}", literal(it)),
        ExprKind::List(list) => format!("[{}]", list.iter().map(literal).collect::<Vec<_>>().join(", ")),
        _ => "...".to_owned(),
    }
}

/// A number as it would be written: `0.999`, `1e-8`.
pub(in crate::lower) fn shortest(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:e}") } else { value.to_string() }
}

/// The type of a param without an annotation. A whole default of a number stays open to floats only
/// if it was written as one.
pub(in crate::lower) fn type_of(value: &Value) -> Ty {
    match value {
        Value::Int(_) => Ty::Int,
        Value::Float(_) => Ty::Float,
        Value::Bool(_) => Ty::Bool,
        Value::Str(_) => Ty::Str,
        Value::Operator(_) => Ty::Operator,
        Value::Fn(_) => Ty::Fn,
        Value::List(items) => match items.first() {
            Some(first) if items.iter().any(|it| matches!(it, Value::Float(_))) && first.number().is_some() => {
                Ty::List(Box::new(Ty::Float))
            }
            Some(first) => Ty::List(Box::new(type_of(first))),
            None => Ty::Any,
        },
        Value::Start(_) => Ty::Start,
        Value::Error(_) | Value::Nothing | Value::Range(..) | Value::Tensor(_) | Value::Scalar(_) => Ty::Any,
    }
}

/// A number as one would write it.
pub(in crate::lower) fn number(value: f64) -> String {
    let near = value.round();
    if (value - near).abs() < 1e-9 * (1.0 + near.abs()) && near.abs() < 1e5 {
        return format!("{}", near + 0.0);
    }
    if !(1e-3..1e5).contains(&value.abs()) {
        let text = format!("{value:.3e}");
        return match text.split_once('e') {
            Some((digits, power)) if digits.contains('.') => {
                format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => text,
        };
    }
    format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
