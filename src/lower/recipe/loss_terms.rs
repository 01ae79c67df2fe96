//! The losses that a line of the recipe names: how many, and with which sign.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::recipe::Recipe;
use crate::syntax::ast::{self, BinaryOp, ExprKind, Part as Kind, UnaryOp};

/// A loss that a line names.
struct Term {
    span: Span,
    /// Whether training makes it larger.
    negative: bool,
}

/// Whether an expression is a number with a minus sign.
fn is_negative(expr: &ast::Expr) -> bool {
    let ExprKind::Unary(UnaryOp::Neg, number) = &expr.kind else { return false };
    matches!(number.kind, ExprKind::Int(_) | ExprKind::Float(_))
}

impl Recipe<'_> {
    /// Whether a line that says by `on` what it is of has one loss; else it is told.
    pub(super) fn is_of_one(&mut self, entry: &ast::TrainEntry, expr: &ast::Expr) -> bool {
        let (Some(on), count @ 2..) = (entry.on.first(), self.terms(expr).len()) else { return true };
        let report = Diagnostic::new(Code::E0105, on.span, "which of these losses is `on` of?")
            .label("stands at the end of a line of several")
            .also(expr.span, format!("{count} losses"))
            .help(format!("write a line for each of them: `loss 0.1 * centre() on {}`", on.name));
        self.report(report);
        false
    }

    /// Tells a line all of whose losses training makes larger. One beside others may be meant so, as a bonus is.
    pub(super) fn goes_down(&mut self, expr: &ast::Expr) {
        let terms = self.terms(expr);
        let [first, rest @ ..] = terms.as_slice() else { return };
        if !terms.iter().all(|it| it.negative) {
            return;
        }
        let mut report = Diagnostic::new(Code::W0209, first.span, "training makes this loss larger, not smaller")
            .label("its sign is minus here")
            .note("what stands in a `loss` line is made as small as it goes");
        for term in rest {
            report = report.also(term.span, "and here");
        }
        self.report(report.help("leave the minus sign out"));
    }

    /// The losses that an expression names, in order.
    fn terms(&self, expr: &ast::Expr) -> Vec<Term> {
        let mut res = Vec::new();
        self.collect_terms(expr, false, &mut res);
        res
    }

    fn collect_terms(&self, expr: &ast::Expr, negative: bool, terms: &mut Vec<Term>) {
        let is_loss = |name: &str| self.items.measure(Kind::Loss, name, expr.span.file).is_some();
        match &expr.kind {
            ExprKind::Name(name) if is_loss(name) => terms.push(Term { span: expr.span, negative }),
            ExprKind::Call(call) if is_loss(&call.callee.name) => terms.push(Term { span: expr.span, negative }),
            // Of what a function makes of a loss, the sign is not known.
            ExprKind::Call(call) => {
                let args = call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value));
                args.for_each(|it| self.collect_terms(it, false, terms));
            }
            ExprKind::Unary(op, a) => self.collect_terms(a, negative ^ (*op == UnaryOp::Neg), terms),
            ExprKind::Named(a, ..) => self.collect_terms(a, negative, terms),
            ExprKind::Binary(op, a, b) => {
                let scales = matches!(op, BinaryOp::Mul | BinaryOp::Div);
                let (of_a, of_b) = (scales && is_negative(b), *op == BinaryOp::Sub || scales && is_negative(a));
                self.collect_terms(a, negative ^ of_a, terms);
                self.collect_terms(b, negative ^ of_b, terms);
            }
            ExprKind::Name(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::List(_)
            | ExprKind::Range(..)
            | ExprKind::Index(..)
            | ExprKind::If(..) => {}
        }
    }
}
