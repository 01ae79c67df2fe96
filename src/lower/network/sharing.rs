//! `cell(x, h) as shared "cell"`: one layer, used at several places.
//!
//! The first use makes what it learns and keeps; each later one finds that under the same path. A gradient is the sum over
//! the uses, a statistic moves once at each, in the order of the text, and random numbers are drawn anew at each.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Init, NodeId, Op, ParamId, ParamRole, Phase, Shape, StateId, Target};
use crate::lower::network::Network;
use crate::lower::network::naming::Count;
use crate::lower::values::value::Tensor;
use crate::syntax::ast::{Expr, ExprKind};
use std::collections::{BTreeMap, BTreeSet};

/// What is shared.
#[derive(Debug, Default)]
pub(in crate::lower) struct Sharing {
    /// By path: what is called, and where first.
    first: BTreeMap<String, (String, Span)>,
    /// The uses that are being unfolded, outermost first.
    open: Vec<Use>,
    /// By state: what it is after the use before.
    moved: BTreeMap<StateId, NodeId>,
}

#[derive(Debug)]
struct Use {
    path: String,
    /// Keys that this use made or found.
    met: BTreeSet<String>,
}

impl Use {
    fn holds(&self, key: &str) -> bool {
        key.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// What an expression calls last.
fn callee(expr: &Expr) -> &str {
    match &expr.kind {
        ExprKind::Call(call) => &call.callee.name,
        ExprKind::Named(inner, ..) => callee(inner),
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Name(_)
        | ExprKind::List(_)
        | ExprKind::Range(..)
        | ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Index(..)
        | ExprKind::If(..) => "",
    }
}

impl Network<'_> {
    /// Begins a use; whether there was one before, whose names are then open.
    pub(in crate::lower) fn enter_shared(&mut self, name: &str, inner: &Expr, count: Count, span: Span) -> bool {
        let (path, callee) = (self.names.path_of(name), callee(inner));
        if callee.is_empty() {
            self.report(
                Diagnostic::new(Code::E0104, inner.span, "only the call of a layer or a block can be shared")
                    .label("this is no call")
                    .also(span, format!("shared as `{path}`")),
            );
        }
        let first = self.sharing.first.get(&path).cloned();
        if let Some((was, place)) = &first
            && was != callee
            && !callee.is_empty()
        {
            let report = self
                .at(Code::E0103, span, format!("`{path}` is shared by calls of `{was}` and of `{callee}`"))
                .label(format!("a call of `{callee}`"))
                .also(*place, format!("a call of `{was}`"))
                .help("share what is one layer; give the other a name of its own");
            self.report(report);
        }
        let again = first.is_some();
        if again {
            self.names.enter_again(path.clone(), count, span);
        } else {
            self.sharing.first.insert(path.clone(), (callee.to_owned(), span));
        }
        self.sharing.open.push(Use { path, met: BTreeSet::new() });
        again
    }

    /// Ends a use: the next one names what lies below as this one did.
    pub(in crate::lower) fn leave_shared(&mut self) {
        if let Some(it) = self.sharing.open.pop() {
            self.names.forget_below(&it.path);
        }
    }

    /// Whether another use of the shared layer that is unfolded made this key, and this one did not meet it yet.
    pub(in crate::lower) fn is_shared(&self, key: &str) -> bool {
        let innermost = self.sharing.open.iter().rev().find(|it| it.holds(key));
        innermost.is_some_and(|it| !it.met.contains(key)) && self.is_taken(key)
    }

    /// Whether another use made this key; this one has met it from now on.
    fn meet(&mut self, key: &str) -> bool {
        let shared = self.is_shared(key);
        if let Some(it) = self.sharing.open.iter_mut().rev().find(|it| it.holds(key)) {
            it.met.insert(key.to_owned());
        }
        shared
    }

    /// Reports two uses that differ.
    fn shared_differs(&mut self, key: &str, here: &str, there: &str, span: Span) {
        let report = self
            .at(Code::E0303, span, format!("`{key}` is {here} here and {there} where it was made"))
            .label("another use of a shared layer")
            .help("all uses of a shared layer have one shape and start: give one of them a name of its own");
        self.report(report);
    }

    /// The parameter that an earlier use made.
    pub(super) fn shared_param(
        &mut self,
        key: &str,
        shape: &Shape,
        init: Init,
        role: ParamRole,
        span: Span,
    ) -> Option<ParamId> {
        if !self.meet(key) {
            return None;
        }
        let id = self.graph.find_param(key)?;
        let param = &self.graph.params[id.0 as usize];
        if param.shape != *shape {
            let there = param.shape.to_string();
            self.shared_differs(key, &shape.to_string(), &there, span);
        } else if param.init != init || param.role != role {
            let there = format!("{:?} {:?}", param.role, param.init);
            self.shared_differs(key, &format!("{role:?} {init:?}"), &there, span);
        }
        Some(id)
    }

    /// The state that an earlier use made, as that use left it.
    pub(super) fn shared_state(
        &mut self,
        key: &str,
        shape: &Shape,
        start: f64,
        span: Span,
    ) -> Option<(StateId, Tensor)> {
        if !self.meet(key) {
            return None;
        }
        let id = self.graph.find_state(key)?;
        let state = &self.graph.states[id.0 as usize];
        if state.shape != *shape {
            let there = state.shape.to_string();
            self.shared_differs(key, &shape.to_string(), &there, span);
        } else if state.init.to_bits() != start.to_bits() {
            let there = format!("from {}", state.init);
            self.shared_differs(key, &format!("from {start}"), &there, span);
        }
        let mut tensor = self.node(Op::State(id), &[], span);
        if let Some(moved) = self.sharing.moved.get(&id) {
            tensor.train = *moved;
        }
        Some((id, tensor))
    }

    /// Each training step moves a state to `next`; of several uses the last counts, and it began where the one before ended.
    pub(in crate::lower) fn state_moves(&mut self, id: StateId, next: &Tensor, span: Span) {
        let update = self.node(Op::Update(Target::State(id)), &[next], span);
        self.sharing.moved.insert(id, next.train);
        self.effect(Phase::Step, update.train);
    }
}
