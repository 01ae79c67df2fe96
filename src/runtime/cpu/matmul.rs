//! Plain matrix products, on the kernels of the `gemm` crates: fixed stripes of rows, one thread each.

use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use crate::kernel::MatMulKernel;
use gemm_common::Parallelism;
use std::marker::PhantomData;

/// Multiply-adds for one task.
const GRAIN: usize = 1 << 20;

/// The kernel.
struct MatMul<R> {
    /// How many products.
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    /// Elements between rows and between columns of `a` and `b`.
    a: [usize; 2],
    b: [usize; 2],
    marker: PhantomData<R>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(kernel: &MatMulKernel) -> Result<Box<dyn Kernel>, String> {
    let MatMulKernel { batch, m, n, k, transpose_a, transpose_b } = *kernel;
    product(&[batch, m, n])?;
    product(&[batch, m, k])?;
    product(&[batch, k, n])?;
    let a = if transpose_a { [1, m] } else { [k, 1] };
    let b = if transpose_b { [1, k] } else { [n, 1] };
    Ok(Box::new(MatMul::<R> { batch, m, n, k, a, b, marker: PhantomData }))
}

impl<R: Real> Kernel for MatMul<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.batch * self.m * self.k), Operand::real(self.batch * self.k * self.n)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.batch * self.m * self.n)]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (a, b) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let c = outputs[0].shared::<R>();
        if self.batch == 0 || self.m == 0 || self.n == 0 {
            return;
        }
        let work = self.m.saturating_mul(self.n).saturating_mul(self.k);
        // Each product in stripes of rows; a task takes some stripes, of one product or of several.
        let cuts = (work / GRAIN).clamp(1, 16).min(self.m.div_ceil(16));
        let pieces = self.batch * cuts;
        let tasks = (work.saturating_mul(self.batch) / GRAIN).clamp(1, 64).clamp(cuts, pieces);
        context.tasks(tasks, |task| {
            for piece in share(pieces, tasks, task) {
                let (item, rows) = (piece / cuts, share(self.m, cuts, piece % cuts));
                // SAFETY: each piece is rows of its own.
                let c = unsafe { c.part((item * self.m + rows.start) * self.n, rows.len() * self.n) };
                let a = &a[item * self.m * self.k..][..self.m * self.k];
                let b = &b[item * self.k * self.n..][..self.k * self.n];
                self.stripe(&a[(rows.start * self.a[0]).min(a.len())..], b, c, rows.len());
            }
        });
    }
}

impl<R: Real> MatMul<R> {
    /// `rows` rows of one product.
    fn stripe(&self, a: &[R], b: &[R], c: &mut [R], rows: usize) {
        if self.k == 0 {
            c.fill(R::ZERO);
            return;
        }
        // SAFETY: the strides stay inside the operands, as `inputs` and `outputs` say; `c` is apart.
        unsafe {
            // The kernels want columns of the result together, ours are rows: the product of the transposed.
            R::gemm()(
                self.n,
                rows,
                self.k,
                c.as_mut_ptr(),
                self.n as isize,
                1,
                false,
                b.as_ptr(),
                self.b[0] as isize,
                self.b[1] as isize,
                a.as_ptr(),
                self.a[0] as isize,
                self.a[1] as isize,
                R::ZERO,
                R::ONE,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}
