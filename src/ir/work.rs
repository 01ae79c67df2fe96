//! How much work an op is: arithmetic operations, and what they weigh.
//!
//! A multiply and an add are two operations; a function of a number is one, however long it takes. A weight tells that: it
//! counts in additions.

use super::size::product;
use super::{ExprNode, Op, Reduction, ScalarFn, Shape, Window};

/// Arithmetic operations of an op.
pub fn flops(op: &Op, operands: &[&Shape], result: &Shape) -> u64 {
    let len = |it: &Shape| it.len() as u64;
    match op {
        Op::Conv(_) | Op::ConvInputGrad { .. } | Op::ConvFilterGrad(_) | Op::MatMul { .. } => {
            contraction(products(op, operands, result))
        }
        Op::Window { .. } => products(op, operands, result),
        Op::Map { .. } => len(result) * each(op),
        Op::Reduce { .. } => len(operands[0]) * each(op),
        Op::Scatter { .. } => len(operands[1]),
        Op::AllReduce(_) => len(result),
        Op::Loss(_) => loss(len(operands[0])),
        Op::Input { .. }
        | Op::Param(_)
        | Op::State(_)
        | Op::Const { .. }
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Assemble { .. }
        | Op::Gather
        | Op::Augment { .. }
        | Op::Random { .. }
        | Op::Update(_) => 0,
    }
}

/// Multiplications of an op that meets each element of its result with many others; 0 for the rest.
pub fn products(op: &Op, operands: &[&Shape], result: &Shape) -> u64 {
    let of = |factors: &[usize]| factors.iter().fold(1, |all: u64, it| all.saturating_mul(*it as u64));
    let each = |filter: &Shape| product(filter.dims().get(..3).unwrap_or(&[]));
    match op {
        Op::Conv(_) => of(&[result.len(), each(operands[1])]),
        Op::ConvInputGrad { .. } => of(&[operands[0].len(), each(operands[1])]),
        Op::ConvFilterGrad(_) => of(&[operands[1].len(), each(result)]),
        Op::MatMul { transpose_a, .. } => {
            let from_last = if *transpose_a { 2 } else { 1 };
            of(&[result.len(), operands[0].dims()[operands[0].rank() - from_last]])
        }
        Op::Window { kind, geometry } => {
            let moved = match kind {
                Window::Sum | Window::Max => result,
                Window::SumGrad { .. } => operands[0],
                Window::MaxGrad => operands[1],
            };
            of(&[geometry.kernel[0], geometry.kernel[1], moved.len()])
        }
        Op::Input { .. }
        | Op::Param(_)
        | Op::State(_)
        | Op::Const { .. }
        | Op::Map { .. }
        | Op::Reduce { .. }
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Assemble { .. }
        | Op::Gather
        | Op::Augment { .. }
        | Op::Scatter { .. }
        | Op::AllReduce(_)
        | Op::Loss(_)
        | Op::Random { .. }
        | Op::Update(_) => 0,
    }
}

/// Arithmetic operations of a sum of products: each is multiplied and added.
pub fn contraction(products: u64) -> u64 {
    products.saturating_mul(2)
}

/// Arithmetic operations of a loss: a few exponentials and logarithms for each logit.
pub fn loss(logits: u64) -> u64 {
    4 * logits
}

/// Arithmetic operations of a map or a reduction on one element; 0 for the rest.
pub fn each(op: &Op) -> u64 {
    match op {
        Op::Map { body, .. } => operations(body),
        Op::Reduce { kind, .. } => reduction(*kind),
        Op::Input { .. }
        | Op::Param(_)
        | Op::State(_)
        | Op::Const { .. }
        | Op::Conv(_)
        | Op::ConvInputGrad { .. }
        | Op::ConvFilterGrad(_)
        | Op::MatMul { .. }
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
        | Op::Random { .. }
        | Op::Update(_) => 0,
    }
}

/// Arithmetic operations of one evaluation: nodes that weigh something.
pub fn operations(body: &ScalarFn) -> u64 {
    body.nodes.iter().filter(|it| of_node(it) != 0).count() as u64
}

/// Arithmetic operations of a reduction on each of its elements.
pub fn reduction(kind: Reduction) -> u64 {
    match kind {
        Reduction::Sum | Reduction::Max | Reduction::Mean => 1,
        // The distance from a pivot, its sum and that of its squares.
        Reduction::Variance => 4,
    }
}

/// What one evaluation weighs.
pub fn weight(body: &ScalarFn) -> u32 {
    body.nodes.iter().map(of_node).sum()
}

/// What one node of an expression weighs.
pub fn of_node(node: &ExprNode) -> u32 {
    match node {
        ExprNode::Const(_) | ExprNode::Input(_) => 0,
        ExprNode::Unary(op, _) => op.weight(),
        ExprNode::Binary(op, ..) => op.weight(),
        ExprNode::Select(..) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Geometry, Unary};

    #[test]
    fn a_multiply_and_an_add_are_two_operations_and_a_function_is_one() {
        let [x, w, y] = [[2, 8, 8, 5], [3, 3, 5, 7], [2, 8, 8, 7]].map(Shape::from);
        let geometry = Geometry::same([8, 8], [3, 3], [1, 1]);
        // Three loops over the result, and for each number three over the filter.
        let forward = 2 * (2 * 8 * 8 * 7) * (3 * 3 * 5);
        assert_eq!(flops(&Op::Conv(geometry), &[&x, &w], &y), forward);
        assert_eq!(flops(&Op::ConvInputGrad { geometry, size: [8, 8] }, &[&y, &w], &x), forward);
        assert_eq!(flops(&Op::ConvFilterGrad(geometry), &[&x, &y], &w), forward);
        let body = ScalarFn::build(1, |p, i| {
            let e = p.unary(Unary::Exp, i[0]);
            let e = p.unary(Unary::Stop, e);
            p.mul(e, i[0])
        });
        assert_eq!(operations(&body), 2, "an exponential and a product; what stops a gradient does nothing");
        assert_eq!(flops(&Op::Map { body, int: false }, &[&x], &x), 2 * 2 * 8 * 8 * 5);
        let sum = Op::Reduce { kind: Reduction::Sum, axes: vec![0] };
        assert_eq!(flops(&sum, &[&x], &Shape::from([1, 8, 8, 5])), 2 * 8 * 8 * 5);
        // Each number that was picked is added to its row.
        assert_eq!(
            flops(&Op::Scatter { rows: 9 }, &[&Shape::from([4]), &Shape::from([4, 6])], &Shape::from([9, 6])),
            24
        );
    }
}
