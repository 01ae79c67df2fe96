//! What the text makes the network of, noted for people while it is unfolded.

use crate::diag::Span;
use crate::ir::{Applied, Block, Callee, Graph, Layer, NodeId};
use crate::lower::network::Network;
use crate::lower::values::value::Tensor;
use std::collections::HashMap;

/// What of the outline is needed to go on with it.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// By node of training: whose result it is, or a function of that.
    results: HashMap<NodeId, Result>,
    /// The calls of blocks around what is unfolded.
    open: Vec<usize>,
}

/// By position.
#[derive(Clone, Copy, Debug)]
enum Result {
    Layer(usize),
    Applied(usize),
}

/// How far an outline was.
#[derive(Clone, Copy)]
pub(in crate::lower) struct Mark {
    layers: usize,
    applied: usize,
    blocks: usize,
}

impl Mark {
    /// Whether no layer was listed since.
    pub(in crate::lower) fn lists_no_layer(self, graph: &Graph) -> bool {
        self.layers == graph.layers.len()
    }
}

impl Network<'_> {
    /// A layer is there.
    pub(in crate::lower) fn list(&mut self, path: String, callee: Callee, tensor: &Tensor, span: Span) {
        let origin = self.origin(span);
        self.outline.results.insert(tensor.train, Result::Layer(self.graph.layers.len()));
        self.graph.layers.push(Layer { path, callee, then: Vec::new(), output: tensor.train, origin });
    }

    /// A function is applied to a tensor: it belongs to the layer whose result that is. To anything else it is listed if it is
    /// `notable`.
    pub(in crate::lower) fn apply_to(
        &mut self,
        input: &Tensor,
        output: &Tensor,
        function: String,
        notable: bool,
        span: Span,
    ) {
        if self.of_recipe || input.train == output.train {
            return;
        }
        let known = self.outline.results.get(&input.train).copied();
        let then = match known {
            Some(Result::Layer(at)) => self.graph.layers.get_mut(at).map(|it| &mut it.then),
            Some(Result::Applied(at)) => self.graph.applied.get_mut(at).map(|it| &mut it.then),
            None => None,
        };
        let result = match (known, then) {
            (Some(result), Some(then)) => {
                then.push(function);
                if let Result::Applied(at) = result {
                    self.graph.applied[at].output = Some(output.train);
                }
                result
            }
            _ if notable => {
                let origin = self.origin(span);
                let (path, dims) = (self.names.path().to_owned(), self.dims(output));
                let at = self.graph.layers.len();
                let output = Some(output.train);
                self.graph.applied.push(Applied { path, then: vec![function], dims, output, at, origin });
                Result::Applied(self.graph.applied.len() - 1)
            }
            _ => return,
        };
        self.outline.results.insert(output.train, result);
    }

    /// Goes into a call of a block.
    pub(in crate::lower) fn open_block(&mut self, callee: Callee, span: Span, prelude: bool) {
        let start = self.graph.layers.len();
        let block = Block {
            path: self.names.path().to_owned(),
            callee,
            layers: start..start,
            around: self.outline.open.last().copied(),
            frames: self.frames(),
            span: self.users_place(span),
            prelude,
        };
        self.outline.open.push(self.graph.blocks.len());
        self.graph.blocks.push(block);
    }

    pub(in crate::lower) fn close_block(&mut self) {
        let end = self.graph.layers.len();
        if let Some(block) = self.outline.open.pop().and_then(|it| self.graph.blocks.get_mut(it)) {
            block.layers.end = end.max(block.layers.start);
        }
    }

    pub(in crate::lower) fn outlined(&self) -> Mark {
        Mark { layers: self.graph.layers.len(), applied: self.graph.applied.len(), blocks: self.graph.blocks.len() }
    }

    /// Takes back what was listed since: it is there already.
    pub(in crate::lower) fn unlist(&mut self, since: Mark) {
        self.graph.layers.truncate(since.layers);
        self.graph.applied.truncate(since.applied);
        self.graph.blocks.truncate(since.blocks);
        self.outline.results.retain(|_, it| match *it {
            Result::Layer(at) => at < since.layers,
            Result::Applied(at) => at < since.applied,
        });
    }
}
