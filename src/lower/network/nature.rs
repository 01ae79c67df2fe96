//! What a definition is to the rules of naming, and what its call leaves for `show`.

use crate::diag::Span;
use crate::ir::{Callee, ParamRole, Phase, feature};
use crate::lower::names::items::Items;
use crate::lower::network::Network;
use crate::lower::network::starts::role;
use crate::lower::values::signature::Signature;
use crate::lower::values::types;
use crate::lower::values::value::{Tensor, Value};
use crate::syntax::ast::{self, StmtKind};
use std::rc::Rc;

/// What a block is to the rules of naming. Its text decides, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Nature<'a> {
    /// It learns a filter: a layer with a filter, whose result is its own.
    Filter,
    /// `beside "bn"`: what it keeps lies below the layer whose result it is called on.
    Beside(&'a str),
    /// `beside ""`: what it keeps is its caller's.
    Caller,
    /// `layer`, without a filter.
    Other,
    /// Any other block.
    Plain,
}

impl<'a> Nature<'a> {
    pub(in crate::lower) fn of(block: &'a ast::Function) -> Self {
        match &block.beside {
            Some(it) if it.name.is_empty() => Nature::Caller,
            Some(it) => Nature::Beside(&it.name),
            None if learns_filter(&block.body) => Nature::Filter,
            None if block.layer => Nature::Other,
            None => Nature::Plain,
        }
    }
}

/// Whether a filter is learned anywhere in a body.
fn learns_filter(body: &ast::Body) -> bool {
    body.stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Learn { name, role: written, .. } => role(name, written.as_ref()) == ParamRole::Filter,
        StmtKind::For { body, .. } => learns_filter(body),
        StmtKind::If { then, otherwise, .. } => learns_filter(then) || otherwise.as_ref().is_some_and(learns_filter),
        StmtKind::Input { .. }
        | StmtKind::Let { .. }
        | StmtKind::Assign { .. }
        | StmtKind::Unpack { .. }
        | StmtKind::Assert { .. }
        | StmtKind::Output { .. }
        | StmtKind::Keep { .. }
        | StmtKind::Stat { .. }
        | StmtKind::Expr(_) => false,
    })
}

impl Items {
    /// What a call of a block must give. The text of the prelude is nobody's to look at.
    pub(in crate::lower) fn block_signature(&self, block: &ast::Function) -> Signature {
        let layer = !matches!(Nature::of(block), Nature::Plain);
        let signature = types::signature(if layer { "layer" } else { "block" }, block);
        let prelude = block.header.file == self.prelude;
        Signature { header: signature.header.filter(|_| !prelude), ..signature }
    }
}

impl Network<'_> {
    /// Lets an evaluation tell a tensor, if it was asked for by this name; of several the last one.
    pub(in crate::lower) fn tell(&mut self, name: &str, tensor: &Tensor) {
        if self.settings.features.iter().any(|it| it == name) {
            self.graph.results.entry(Phase::Evaluate).or_default().insert(feature(name), tensor.evaluate);
        }
    }

    /// The call of a block that is not entered takes its name all the same.
    pub(in crate::lower) fn nameless(&mut self, block: &ast::Function, span: Span) {
        let report = self.names.enter_block(self.items, block, None, span);
        self.report_all(report);
        self.names.leave();
    }

    /// What the call of a block gives to those around it: a layer is listed, one with a filter owns its result.
    /// What is kept for the caller leaves the owner as it was.
    pub(in crate::lower) fn finish_block(
        &mut self,
        block: &ast::Function,
        (path, owner): (&str, Option<Rc<str>>),
        listing: Option<Callee>,
        value: Value,
        span: Span,
    ) -> Value {
        let Value::Tensor(tensor) = value else { return value };
        let nature = Nature::of(block);
        if let Some(callee) = listing {
            self.tell(path, &tensor);
            self.tell(&format!("{path}:layer"), &tensor);
            self.list(path.to_owned(), callee, &tensor, span);
        }
        match nature {
            Nature::Filter => {
                self.answers_moved(tensor.train);
                Value::Tensor(Tensor { owner: Some(Rc::from(path)), ..tensor })
            }
            Nature::Caller => Value::Tensor(Tensor { owner, ..tensor }),
            Nature::Beside(_) | Nature::Other | Nature::Plain => Value::Tensor(tensor),
        }
    }
}
