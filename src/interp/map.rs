//! Elementwise expressions over operands that broadcast.

use super::{Tensor, expr};
use crate::ir::{ScalarFn, Shape};

/// Elements to step in `from` per axis of `to`; 0 along stretched axes.
fn strides(from: &Shape, to: &Shape) -> Vec<usize> {
    let missing = to.rank() - from.rank();
    let mut strides = vec![0; to.rank()];
    let mut step = 1;
    for axis in (0..from.rank()).rev() {
        if from.0[axis] != 1 {
            strides[missing + axis] = step;
        }
        step *= from.0[axis];
    }
    strides
}

/// Calls `visit(position, offsets)` for every element of `shape` in row-major order, with the
/// offset of the element in each operand.
pub(super) fn each(shape: &Shape, operands: &[&Shape], mut visit: impl FnMut(usize, &[usize])) {
    let strides: Vec<Vec<usize>> = operands.iter().map(|it| strides(it, shape)).collect();
    let mut offsets = vec![0; operands.len()];
    let mut index = vec![0; shape.rank()];
    for position in 0..shape.len() {
        visit(position, &offsets);
        for axis in (0..shape.rank()).rev() {
            index[axis] += 1;
            (0..offsets.len()).for_each(|it| offsets[it] += strides[it][axis]);
            if index[axis] < shape.0[axis] {
                break;
            }
            (0..offsets.len()).for_each(|it| offsets[it] -= strides[it][axis] * index[axis]);
            index[axis] = 0;
        }
    }
}

/// The expression for every element of the common shape; rounded when the result is an integer.
pub(super) fn map(body: &ScalarFn, int: bool, given: &[&Tensor]) -> Tensor {
    let shape = given.iter().fold(Shape::scalar(), |shape, it| shape.broadcast(&it.shape).expect("operands broadcast"));
    let shapes: Vec<&Shape> = given.iter().map(|it| &it.shape).collect();
    let mut result = Tensor::filled(shape.clone(), 0.0);
    let (mut inputs, mut values) = (vec![0.0; given.len()], Vec::new());
    let root = body.root().0 as usize;
    each(&shape, &shapes, |position, offsets| {
        for (input, (from, offset)) in inputs.iter_mut().zip(given.iter().zip(offsets)) {
            *input = from.data[*offset];
        }
        expr::evaluate(body, &inputs, &mut values);
        result.data[position] = if int { values[root].round() } else { values[root] };
    });
    result
}

/// Repeats along missing axes and axes of extent 1.
pub(super) fn broadcast(x: &Tensor, to: &Shape) -> Tensor {
    let mut result = Tensor::filled(to.clone(), 0.0);
    each(to, &[&x.shape], |position, offsets| result.data[position] = x.data[offsets[0]]);
    result
}
