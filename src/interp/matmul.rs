//! Products of matrices, and of stacks of them.

use super::Tensor;
use crate::ir::Shape;

/// `a b`, either transposed, matrix by matrix.
pub(super) fn matmul(a: &Tensor, b: &Tensor, transpose_a: bool, transpose_b: bool) -> Tensor {
    let [.., rows, columns] = *a.shape.dims() else { panic!("matrices, not {}", a.shape) };
    let count = a.shape.len() / (rows * columns).max(1);
    if a.shape.rank() == 2 {
        return product(a, b, transpose_a, transpose_b);
    }
    let mut all = Vec::new();
    let mut shape = Vec::new();
    for at in 0..count {
        let part = |of: &Tensor| {
            let len = of.shape.len() / count;
            Tensor::new(Shape(of.shape.dims()[1..].to_vec()), of.data[at * len..][..len].to_vec())
        };
        let one = product(&part(a), &part(b), transpose_a, transpose_b);
        shape = [&[count], one.shape.dims()].concat();
        all.extend(one.data);
    }
    Tensor::new(Shape(shape), all)
}

fn product(a: &Tensor, b: &Tensor, transpose_a: bool, transpose_b: bool) -> Tensor {
    let ([ar, ac], [br, bc]) = (a.dims::<2>(), b.dims::<2>());
    let (rows, inner) = if transpose_a { (ac, ar) } else { (ar, ac) };
    let columns = if transpose_b { br } else { bc };
    let at_a = |i: usize, k: usize| if transpose_a { a.data[k * ac + i] } else { a.data[i * ac + k] };
    let at_b = |k: usize, j: usize| if transpose_b { b.data[j * bc + k] } else { b.data[k * bc + j] };
    let mut c = Tensor::filled([rows, columns], 0.0);
    for i in 0..rows {
        for k in 0..inner {
            let left = at_a(i, k);
            for j in 0..columns {
                c.data[i * columns + j] += left * at_b(k, j);
            }
        }
    }
    c
}
