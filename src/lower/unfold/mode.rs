//! `if training { a } else { b }`: one tensor in training, another one in evaluation.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Op;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::{Tensor, Value};
use crate::syntax::ast::{self, StmtKind};
use std::cmp::Ordering;

/// Extents without leading ones.
fn without_ones(dims: &[usize]) -> &[usize] {
    &dims[dims.iter().take_while(|it| **it == 1).count()..]
}

impl Unfold<'_> {
    /// Both branches are unfolded; each mode takes its own.
    pub(super) fn by_mode(
        &mut self,
        then_trains: bool,
        then: &ast::Body,
        otherwise: Option<&ast::Body>,
        span: Span,
    ) -> Value {
        self.enter_mode(span, then_trains);
        let a = self.body(then);
        self.leave_mode();
        self.enter_mode(span, !then_trains);
        let b = otherwise.map_or(Value::Nothing, |it| self.body(it));
        self.leave_mode();
        let (trains, evaluates) = if then_trains { (a, b) } else { (b, a) };
        let (train, evaluate) = match (trains, evaluates) {
            (it @ Value::Error(_), _) | (_, it @ Value::Error(_)) => return it,
            (Value::Tensor(train), Value::Tensor(evaluate)) => (train, evaluate),
            // That a branch is missing, or binds again in place of giving a value, was said.
            (Value::Nothing, _) | (_, Value::Nothing)
                if otherwise.is_none()
                    || [Some(then), otherwise].into_iter().flatten().any(|it| self.ends_bound(it)) =>
            {
                return self.lost(span);
            }
            (a, b) => {
                let wrong = if matches!(a, Value::Tensor(_)) { b } else { a };
                return self.fail(
                    Diagnostic::new(
                        Code::E0104,
                        span,
                        format!("a branch of `if training` gives {}, not a tensor", wrong.describe()),
                    )
                    .label("each branch must end with a tensor")
                    .note("training and evaluation are both compiled; `if training` chooses between two tensors"),
                );
            }
        };
        let (a, b) = (self.graph.fact(train.train).shape(), self.graph.fact(evaluate.evaluate).shape());
        let (Some(a), Some(b)) = (a.cloned(), b.cloned()) else { return self.lost(span) };
        let (one, other) = (without_ones(a.dims()), without_ones(b.dims()));
        if one != other {
            let text = format!("the tensor of training is {a}, that of evaluation {b}");
            let report = self
                .at(Code::E0303, span, text)
                .label("the branches of `if training` must have one shape")
                .note("shapes are told with the batch as their first extent where they have one");
            return self.fail(report);
        }
        // What is kept has no batch: `[n]` meets a reduced `[1, 1, 1, n]`.
        let (train, evaluate) = match a.rank().cmp(&b.rank()) {
            Ordering::Equal => (train, evaluate),
            Ordering::Less => (self.node(Op::Reshape(b), &[&train], span), evaluate),
            Ordering::Greater => (train, self.node(Op::Reshape(a), &[&evaluate], span)),
        };
        Value::Tensor(Tensor { train: train.train, evaluate: evaluate.evaluate, owner: None })
    }

    /// Whether a body ends with a name of the scopes around it, bound again.
    fn ends_bound(&self, body: &ast::Body) -> bool {
        let bound = |it: &ast::Ident| self.scopes.holds(&it.name);
        match body.stmts.last().map(|it| &it.kind) {
            Some(StmtKind::Assign { name, .. }) => bound(name),
            Some(StmtKind::Unpack { names, .. }) => names.iter().any(bound),
            _ => false,
        }
    }
}
