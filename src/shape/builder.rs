//! Extends a checked graph. A shape rule that fails here is a bug of the pass that builds.

use super::Typed;
use crate::ir::{Binary, DType, Fact, Graph, NodeId, Op, OriginId, Reduction, ScalarFn, Shape, Unary};

/// Builds on top of a [`Typed`] graph.
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    /// Where the nodes to come will say they come from.
    pub origin: OriginId,
}

impl Builder {
    /// Continues a checked graph.
    pub fn new(typed: Typed) -> Self {
        Self { graph: typed.graph, origin: OriginId::default() }
    }

    /// An empty graph, for tests that build by hand.
    pub fn empty(name: &str) -> Self {
        Self { graph: Graph::new(name), origin: OriginId::default() }
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The tables beside the nodes: params, states, effects, results, recipe.
    pub fn tables(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// Adds a node.
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let text = format!("{op:?}");
        let (id, error) = self.graph.add(op, inputs, self.origin);
        if let Some(error) = error {
            panic!("{text} on {inputs:?}: {error:?}\n{}", self.graph);
        }
        id
    }

    /// Adds a `Map`.
    pub fn map(&mut self, body: ScalarFn, inputs: &[NodeId]) -> NodeId {
        self.add(Op::Map { body, int: false }, inputs)
    }

    /// A `Map`; where it changes nothing, its operand, if that is of reals.
    pub fn apply(&mut self, body: ScalarFn, operands: &[NodeId]) -> NodeId {
        let real = |it: &NodeId| self.graph.fact(*it).dtype() == Some(DType::Real);
        match operands.first().filter(|it| body.is_identity() && real(it)) {
            Some(same) => *same,
            None => self.map(body, operands),
        }
    }

    /// Adds a `Map` of one unary function.
    pub fn unary(&mut self, op: Unary, a: NodeId) -> NodeId {
        self.map(ScalarFn::build(1, |pool, i| pool.unary(op, i[0])), &[a])
    }

    /// Adds a `Map` of one binary function.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        self.map(ScalarFn::build(2, |pool, i| pool.binary(op, i[0], i[1])), &[a, b])
    }

    /// Multiplies by a number.
    pub fn scale(&mut self, a: NodeId, factor: f64) -> NodeId {
        self.map(
            ScalarFn::build(1, |pool, i| {
                let factor = pool.constant(factor);
                pool.mul(i[0], factor)
            }),
            &[a],
        )
    }

    /// Sums over `axes`, which stay as extents of 1.
    pub fn sum(&mut self, a: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() {
            return a;
        }
        self.add(Op::Reduce { kind: Reduction::Sum, axes: axes.to_vec() }, &[a])
    }

    /// Sums everything to a scalar.
    pub fn sum_all(&mut self, a: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.graph.shape(a).rank()).collect();
        let sum = self.sum(a, &axes);
        self.reshape(sum, Shape::scalar())
    }

    /// Another shape of the same elements; nothing if it has it already.
    pub fn reshape(&mut self, a: NodeId, shape: Shape) -> NodeId {
        if *self.graph.shape(a) == shape { a } else { self.add(Op::Reshape(shape), &[a]) }
    }

    /// Stretches to `shape`; nothing if it has it already.
    pub fn broadcast(&mut self, a: NodeId, shape: Shape) -> NodeId {
        if *self.graph.shape(a) == shape { a } else { self.add(Op::Broadcast(shape), &[a]) }
    }

    /// A constant tensor of one number.
    pub fn constant(&mut self, value: f64, shape: Shape) -> NodeId {
        let fill = crate::ir::Fill::Value(crate::ir::op::Scalar64(value));
        self.add(Op::Const { fill, shape }, &[])
    }

    /// An input that a test or `predict` supplies by name.
    pub fn named_input(&mut self, name: &str, shape: impl Into<Shape>, dtype: DType) -> NodeId {
        let source = crate::ir::Extern::Named(name.to_owned());
        self.add(Op::Input { source, shape: shape.into(), dtype }, &[])
    }

    /// The finished graph.
    pub fn finish(self) -> Typed {
        debug_assert!(self.graph.ids().all(|it| *self.graph.fact(it) != Fact::Unknown));
        Typed { graph: self.graph }
    }
}
