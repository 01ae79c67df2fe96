//! Plain matrix products, on the `gemm` crate: fixed stripes of rows, one thread each.

use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use std::marker::PhantomData;

/// Multiply-adds for one task.
const GRAIN: usize = 1 << 20;

/// The kernel.
struct MatMul<R> {
    m: usize,
    n: usize,
    k: usize,
    /// Elements between rows and between columns of `a` and `b`.
    a: [usize; 2],
    b: [usize; 2],
    marker: PhantomData<R>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(
    [m, n, k]: [usize; 3],
    transpose_a: bool,
    transpose_b: bool,
) -> Result<Box<dyn Kernel>, String> {
    product(&[m, n])?;
    product(&[m, k])?;
    product(&[k, n])?;
    let a = if transpose_a { [1, m] } else { [k, 1] };
    let b = if transpose_b { [1, k] } else { [n, 1] };
    Ok(Box::new(MatMul::<R> { m, n, k, a, b, marker: PhantomData }))
}

impl<R: Real> Kernel for MatMul<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.m * self.k), Operand::real(self.k * self.n)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.m * self.n)]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (a, b) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let c = outputs[0].shared::<R>();
        if self.m == 0 || self.n == 0 {
            return;
        }
        let work = self.m.saturating_mul(self.n).saturating_mul(self.k);
        let tasks = (work / GRAIN).clamp(1, 16).min(self.m.div_ceil(16));
        context.tasks(tasks, |task| {
            let rows = share(self.m, tasks, task);
            // SAFETY: each task writes rows of its own.
            let c = unsafe { c.part(rows.start * self.n, rows.len() * self.n) };
            if self.k == 0 {
                c.fill(R::ZERO);
                return;
            }
            let a = &a[rows.start * self.a[0]..];
            // SAFETY: the strides stay inside the operands, as `inputs` and `outputs` say; `c` is apart.
            unsafe {
                gemm::gemm(
                    rows.len(),
                    self.n,
                    self.k,
                    c.as_mut_ptr(),
                    1,
                    self.n as isize,
                    false,
                    a.as_ptr(),
                    self.a[1] as isize,
                    self.a[0] as isize,
                    b.as_ptr(),
                    self.b[1] as isize,
                    self.b[0] as isize,
                    R::ZERO,
                    R::ONE,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        });
    }
}
