//! Constant tensors: `full([n], 0)` and `eye(n)`. They have no batch and meet every example.

use crate::ir::op::Scalar64;
use crate::ir::{Fill, Op, Shape};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::Value;

impl Network<'_> {
    /// `full([height, n], 0.5)`: the same number everywhere.
    pub(in crate::lower) fn full(&mut self, args: &Args) -> Value {
        let Some((Value::List(extents), place)) = args.get("extents").cloned() else { return self.lost(args.span) };
        let Some(dims) = self.listed_extents(&extents, place, "full") else { return self.lost(place) };
        let Some(value) = args.get("value").and_then(|it| it.0.number()) else { return self.lost(args.span) };
        let span = self.users_place(args.span);
        Value::Tensor(self.node(Op::Const { fill: Fill::Value(Scalar64(value)), shape: Shape(dims) }, &[], span))
    }

    /// `eye(n)`: 1 where both positions are one, else 0.
    pub(in crate::lower) fn eye(&mut self, args: &Args) -> Value {
        let Some(n) = self.whole(args, "n", 1) else { return self.lost(args.span) };
        let span = self.users_place(args.span);
        Value::Tensor(self.node(Op::Const { fill: Fill::Eye, shape: Shape::from([n, n]) }, &[], span))
    }
}
