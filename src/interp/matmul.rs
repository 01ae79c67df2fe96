//! Products of matrices.

use super::Tensor;

/// `a b`, either transposed.
pub(super) fn matmul(a: &Tensor, b: &Tensor, transpose_a: bool, transpose_b: bool) -> Tensor {
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
