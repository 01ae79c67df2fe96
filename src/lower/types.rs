//! Types as they are written, and signatures of what a file defines.

use super::signature::{Signature, Slot};
use super::value::Ty;
use crate::syntax::ast::{self, ExprKind, TypeKind};

/// Names of types.
pub(super) const NAMES: &[&str] = &["int", "float", "bool", "string", "operator", "fn", "tensor"];

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
        _ => return None,
    })
}

/// All names, for messages.
pub(super) fn list() -> String {
    let all: Vec<String> = NAMES.iter().map(|it| format!("`{it}`")).collect();
    format!("{}, or a list such as `[int]`", all.join(", "))
}

/// The type of an annotation; what is no type is any (and reported by `resolve`).
pub(super) fn of(ty: &ast::Type) -> Ty {
    match &ty.kind {
        TypeKind::Name(name) => named(name).unwrap_or(Ty::Any),
        TypeKind::List(item) => Ty::List(Box::new(of(item))),
        TypeKind::Shape(_) => Ty::Tensor,
    }
}

/// What a call of this must give. Of an operator only its constants can be given.
pub(super) fn signature(what: &'static str, function: &ast::Function) -> Signature {
    let slots = (function.params.iter())
        .filter(|it| what != "operator" || it.default.is_some())
        .map(|it| Slot {
            name: it.name.name.clone(),
            ty: it.ty.as_ref().map_or(Ty::Any, of),
            default: it.default.as_ref().map(literal),
        })
        .collect();
    Signature { what, name: function.name.name.clone(), slots, header: Some(function.header) }
}

fn literal(expr: &ast::Expr) -> String {
    match &expr.kind {
        ExprKind::Int(it) => it.to_string(),
        ExprKind::Float(it) => it.to_string(),
        ExprKind::Bool(it) => it.to_string(),
        ExprKind::Name(it) => it.clone(),
        ExprKind::List(list) => format!("[{}]", list.iter().map(literal).collect::<Vec<_>>().join(", ")),
        _ => "...".to_owned(),
    }
}
