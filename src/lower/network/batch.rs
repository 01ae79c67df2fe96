//! Which tensors have an entry for each example.

use crate::ir::{NodeId, Op};
use crate::lower::network::Network;
use crate::lower::values::value::Tensor;

impl Network<'_> {
    /// Whether a tensor does not have an entry for each example.
    pub(in crate::lower) fn loses_the_batch(&mut self, tensor: &Tensor) -> bool {
        let (batch, dims) = (self.has_batch(tensor), self.dims(tensor));
        self.known(tensor) && (!batch || dims.first() != Some(&self.batch))
    }

    /// How many numbers a reduction has, of so many that are here: those of the batch are in all its shards.
    pub(in crate::lower) fn count_of_all(&self, here: usize, of_batch: bool) -> usize {
        self.shard.filter(|_| of_batch).map_or(here, |it| it.of_all(here))
    }

    /// Whether the first axis of a tensor is the batch. What is learned or kept has no batch, nor what is made of it alone.
    pub(in crate::lower) fn has_batch(&mut self, tensor: &Tensor) -> bool {
        self.node_has_batch(tensor.train)
    }

    /// Says that a node has no entry for each example, whatever it is made of.
    pub(in crate::lower) fn is_for_all(&mut self, id: NodeId) {
        self.node_has_batch(id);
        self.batched[id.0 as usize] = false;
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
                | Op::Gather
                | Op::Augment { .. }
                | Op::Scatter { .. }
                | Op::AllReduce(_)
                | Op::Loss(_)
                | Op::Update(_) => false,
            };
            let has = leaf || self.graph.operands(id).iter().any(|it| self.batched[it.0 as usize]);
            self.batched.push(has);
        }
        self.batched[id.0 as usize]
    }
}
