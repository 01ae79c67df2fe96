//! Blocks: what their text can do besides arithmetic.
//!
//! - here: what a definition is to the rules of naming, and what its call leaves for `show`;
//! - `learn`: `learn` and `stat` in a block, and how what is learned starts;
//! - `moves`: how statistics move;
//! - `mode`: `if training`;
//! - `axes`: names of axes, and the reductions over them;
//! - `draws`: random numbers;
//! - `einsum`: sums of products;
//! - `leaves`: constants;
//! - `parts`: tensors joined, cut, padded and mirrored;
//! - `picks`: rows of a table by their numbers, and numbers that count;
//! - `shapes`: what moves numbers without changing them;
//! - `convolve`: the contractions of images;
//! - `windows`: what is made of each window of an image.

mod axes;
mod convolve;
mod draws;
mod einsum;
mod labels;
mod learn;
mod leaves;
mod mode;
mod moves;
mod parts;
mod picks;
mod shapes;
mod windows;

pub use axes::REDUCTIONS;
pub(super) use axes::{AXES, is_reduction};
pub(super) use learn::{INITS, role};
pub(super) use mode::training;
pub(super) use moves::{rate, towards};
pub use shapes::PRIMITIVES;

use super::Lowering;
use super::items::Items;
use super::signature::Signature;
use super::value::{Tensor, Value};
use crate::diag::Span;
use crate::ir::{NodeId, Op, ParamRole};
use crate::syntax::ast::{self, StmtKind};
use std::rc::Rc;

/// What a block is to the rules of naming. Its text decides, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature<'a> {
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
    pub(super) fn of(block: &'a ast::Function) -> Self {
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
    pub(super) fn block_signature(&self, block: &ast::Function) -> Signature {
        let layer = !matches!(Nature::of(block), Nature::Plain);
        let signature = super::types::signature(if layer { "layer" } else { "block" }, block);
        let prelude = block.header.file == self.prelude;
        Signature { header: signature.header.filter(|_| !prelude), ..signature }
    }
}

impl Lowering<'_> {
    /// The place in the user's text: what the prelude does, its caller does.
    pub(super) fn users_place(&self, span: Span) -> Span {
        if span.file != self.items.prelude {
            return span;
        }
        self.calls.iter().rev().copied().find(|it| it.file != self.items.prelude).unwrap_or(span)
    }

    /// What the call of a block gives to those around it: a layer is listed, one with a filter owns its result.
    /// What is kept for the caller leaves the owner as it was.
    pub(super) fn finish_block(
        &mut self,
        block: &ast::Function,
        (path, owner): (&str, Option<Rc<str>>),
        listing: Option<String>,
        value: Value,
        span: Span,
    ) -> Value {
        let Value::Tensor(tensor) = value else { return value };
        let nature = Nature::of(block);
        if let Some(kind) = listing {
            self.tell(path, &tensor);
            self.tell(&format!("{path}:layer"), &tensor);
            let origin = self.origin(span);
            self.graph.layers.push(crate::ir::Layer { path: path.to_owned(), kind, output: tensor.train, origin });
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

    /// Whether a tensor does not have an entry for each example.
    pub(super) fn loses_the_batch(&mut self, tensor: &Tensor) -> bool {
        let (batch, dims) = (self.has_batch(tensor), self.dims(tensor));
        self.known(tensor) && (!batch || dims.first() != Some(&self.batch))
    }

    /// Whether the first axis of a tensor is the batch. What is learned or kept has no batch, nor what is made of it alone.
    pub(super) fn has_batch(&mut self, tensor: &Tensor) -> bool {
        self.node_has_batch(tensor.train)
    }

    /// The same of a node of training.
    pub(super) fn node_has_batch(&mut self, id: NodeId) -> bool {
        for at in self.batched.len()..=id.0 as usize {
            let id = NodeId(at as u32);
            let leaf = match self.graph.op(id) {
                Op::Input { .. } | Op::Random { .. } => true,
                Op::Param(_)
                | Op::State(_)
                | Op::Const { .. }
                | Op::Conv(_)
                | Op::ConvInputGrad { .. }
                | Op::ConvFilterGrad(_)
                | Op::MatMul { .. }
                | Op::Map { .. }
                | Op::Reduce { .. }
                | Op::Broadcast(_)
                | Op::Reshape(_)
                | Op::Transpose(_)
                | Op::Assemble { .. }
                | Op::Window { .. }
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::Loss(_)
                | Op::Update(_) => false,
            };
            let has = leaf || self.graph.operands(id).iter().any(|it| self.batched[it.0 as usize]);
            self.batched.push(has);
        }
        self.batched[id.0 as usize]
    }
}
