//! Finding an expression in a tree.

use super::ast::{Body, Expr, ExprKind, Extents, Stmt, StmtKind, Text, TextPart, TypeKind};

impl Body {
    /// The first expression that `wanted` accepts, outer ones first.
    pub fn find(&self, wanted: &dyn Fn(&Expr) -> bool) -> Option<&Expr> {
        self.stmts.iter().find_map(|it| it.find(wanted))
    }
}

impl Stmt {
    fn find(&self, wanted: &dyn Fn(&Expr) -> bool) -> Option<&Expr> {
        match &self.kind {
            StmtKind::Input { dims, .. } => dims.iter().find_map(|it| it.find(wanted)),
            StmtKind::Let { ty, value, .. } => {
                let dims = match ty.as_ref().map(|it| &it.kind) {
                    Some(TypeKind::Shape(dims)) => dims.as_slice(),
                    Some(TypeKind::Name(_) | TypeKind::List(_)) | None => &[],
                };
                value.find(wanted).or_else(|| dims.iter().find_map(|it| it.find(wanted)))
            }
            StmtKind::Assign { value, .. }
            | StmtKind::Unpack { value, .. }
            | StmtKind::Output { value, .. }
            | StmtKind::Keep { init: value, .. }
            | StmtKind::Expr(value) => value.find(wanted),
            StmtKind::Learn { scope, init, .. } => {
                let dims = if let Extents::Shape(dims, _) = scope { dims.as_slice() } else { &[] };
                dims.iter().find_map(|it| it.find(wanted)).or_else(|| init.find(wanted))
            }
            StmtKind::Stat { dims, value, .. } => {
                dims.iter().flatten().find_map(|it| it.find(wanted)).or_else(|| value.find(wanted))
            }
            StmtKind::For { list, body, .. } => list.find(wanted).or_else(|| body.find(wanted)),
            StmtKind::If { cond, then, otherwise } => cond
                .find(wanted)
                .or_else(|| then.find(wanted))
                .or_else(|| otherwise.as_ref().and_then(|it| it.find(wanted))),
            StmtKind::Assert { cond, message } => {
                cond.find(wanted).or_else(|| message.as_ref().and_then(|it| it.find(wanted)))
            }
        }
    }
}

impl Text {
    fn find(&self, wanted: &dyn Fn(&Expr) -> bool) -> Option<&Expr> {
        self.parts.iter().find_map(|it| match it {
            TextPart::Hole(it) => it.find(wanted),
            TextPart::Literal(_) => None,
        })
    }
}

impl Expr {
    /// This expression, or the first inside of it that `wanted` accepts.
    pub fn find(&self, wanted: &dyn Fn(&Expr) -> bool) -> Option<&Expr> {
        if wanted(self) {
            return Some(self);
        }
        match &self.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Name(_) => None,
            ExprKind::Str(text) => text.find(wanted),
            ExprKind::List(items) => items.iter().find_map(|it| it.find(wanted)),
            ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
                a.find(wanted).or_else(|| b.find(wanted))
            }
            ExprKind::Unary(_, a) => a.find(wanted),
            ExprKind::Named(a, text, _) => a.find(wanted).or_else(|| text.find(wanted)),
            ExprKind::Call(call) => call
                .piped
                .as_deref()
                .into_iter()
                .chain(call.args.iter().map(|it| &it.value))
                .find_map(|it| it.find(wanted)),
            ExprKind::If(cond, then, otherwise) => cond
                .find(wanted)
                .or_else(|| then.find(wanted))
                .or_else(|| otherwise.as_ref().and_then(|it| it.find(wanted))),
        }
    }
}
