//! Types as they are written, and signatures of what a file defines.

use super::params::type_of;
use super::resolve::GEOMETRY;
use super::signature::{BORDER, Signature, Slot};
use super::value::{Ty, Value};
use crate::syntax::ast::{self, ExprKind, TypeKind};

/// Names of types.
pub(super) const NAMES: &[&str] =
    &["int", "float", "bool", "string", "operator", "fn", "tensor", "axes", "pair", "border", "start"];

/// The type of a name.
pub(super) fn named(name: &str) -> Option<Ty> {
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
pub(super) fn list() -> String {
    let all: Vec<String> = NAMES.iter().map(|it| format!("`{it}`")).collect();
    format!("{}, or a list such as `[int]`", all.join(", "))
}

/// The type of an annotation; what is not a type is any (and reported by `resolve`).
pub(super) fn of(ty: &ast::Type) -> Ty {
    match &ty.kind {
        TypeKind::Name(name) => named(name).unwrap_or(Ty::Any),
        TypeKind::List(item) => Ty::List(Box::new(of(item))),
        TypeKind::Shape(_) => Ty::Tensor,
    }
}

/// The annotation of a `let`: brackets around the name of a type are a list, around anything else a shape.
pub(super) fn of_let(ty: &ast::Type) -> ast::Type {
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
pub(super) fn signature(what: &'static str, function: &ast::Function) -> Signature {
    let slots = function.params.iter().map(slot).collect();
    Signature { what, name: function.name.name.clone(), slots, header: Some(function.header) }
}

/// What an operator can be given: its constants, and where it is `composed` with others a geometry other
/// than theirs.
pub(super) fn operator_signature(function: &ast::Function, composed: bool) -> Signature {
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
pub(super) fn constant(param: &ast::FnParam, default: &Value) -> Ty {
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
pub(super) fn shortest(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:e}") } else { value.to_string() }
}
