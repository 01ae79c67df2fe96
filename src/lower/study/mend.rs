//! The part of an expression that is to blame for a hazard, and how numbers are written.

use crate::diag::Span;
use crate::ir::expr::Interval;
use crate::lower::values::types::number;
use crate::syntax::ast::{self, ExprKind};

/// The part of an expression that is to blame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand<'a> {
    pub(super) expr: &'a ast::Expr,
    /// Whether it is the very operand, not an argument of a function that computes it.
    pub(super) own: bool,
    /// Whether it is the base of `^`.
    pub(super) power: bool,
    pub(super) call: Option<&'a str>,
}

/// The blamed operand of the expression at `place` in a body.
pub(super) fn operand_of(body: &ast::Body, place: Span) -> Option<Operand<'_>> {
    let found = body.find(&|it| it.span == place || matches!(&it.kind, ExprKind::Call(call) if call.span == place))?;
    match &found.kind {
        ExprKind::Binary(ast::BinaryOp::Div | ast::BinaryOp::Rem, _, expr) => {
            Some(Operand { expr, own: true, power: false, call: None })
        }
        ExprKind::Binary(ast::BinaryOp::Pow, expr, _) => Some(Operand { expr, own: true, power: true, call: None }),
        ExprKind::Call(call) => {
            let expr = call.piped.as_deref().or_else(|| call.args.first().map(|it| &it.value))?;
            let name = call.callee.name.as_str();
            let own = ["log", "log1p", "sqrt", "exp", "asin", "acos", "pow"].contains(&name) && call.piped.is_none();
            Some(Operand { expr, own, power: name == "pow", call: Some(name) })
        }
        _ => None,
    }
}

/// Without parentheses around all of it.
pub(super) fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')) else { return text };
    let mut depth = 0;
    for sign in inner.chars() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner
}

pub(super) fn number_range(range: Interval) -> String {
    format!("[{}, {}]", number(range.low), number(range.high))
}
