//! Kernels that only move elements: picks with augmentation, transposes, copies.

use super::augment::{Augmenter, Pixel};
use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use crate::ir::{Augment, DType, Shape};
use std::marker::PhantomData;

/// Bytes of work for one task.
const GRAIN: usize = 1 << 17;

/// Picks along the first axis, images through steps of augmentation.
struct Gather<R> {
    dtype: DType,
    n: usize,
    len: usize,
    steps: Option<Augmenter>,
    marker: PhantomData<R>,
}

/// Checks a pick.
pub(super) fn gather<R: Real>(
    dtype: DType,
    n: usize,
    item: &Shape,
    steps: &[Augment],
) -> Result<Box<dyn Kernel>, String> {
    let len = product(item.dims())?;
    product(&[n, len, 8])?;
    let steps = if steps.is_empty() { None } else { Some(Augmenter::new(steps, dtype, item.dims())?) };
    if let Some(it) = &steps {
        product(&[n, it.len, it.draws.max(1), 8])?;
    }
    Ok(Box::new(Gather::<R> { dtype, n, len, steps, marker: PhantomData }))
}

impl<R: Real> Gather<R> {
    /// Elements of an example's result.
    fn after(&self) -> usize {
        self.steps.as_ref().map_or(self.len, |it| it.len)
    }

    fn draws(&self) -> usize {
        self.steps.as_ref().map_or(0, |it| it.draws)
    }

    /// The examples of each task, and where they go.
    fn each<T: Pixel>(
        &self,
        context: &Context<'_>,
        inputs: &[View],
        output: View,
        take: impl Fn(usize, &[T], &mut [T], &mut [Vec<T>; 2]) + Sync,
    ) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (source, index) = unsafe { (inputs[0].slice::<T>(), inputs[1].slice::<i64>()) };
        let examples = (source.len() / self.len.max(1)).max(1);
        let after = self.after();
        let tasks = (self.n * self.len.max(after) * size_of::<T>() / GRAIN).clamp(1, self.n.max(1));
        context.tasks(tasks, |task| {
            let mut scratch = self.steps.as_ref().map_or_else(Default::default, Augmenter::scratch::<T>);
            for at in share(self.n, tasks, task) {
                // Indices are data: those out of range are brought back into it.
                let example = index[at].rem_euclid(examples as i64) as usize;
                let from = &source[example * self.len..][..self.len];
                // SAFETY: each pick is a part of its own.
                let to = unsafe { output.shared::<T>().part(at * after, after) };
                take(at, from, to, &mut scratch);
            }
        });
    }

    fn of<T: Pixel>(&self, context: &Context<'_>, inputs: &[View], output: View) {
        let Some(steps) = &self.steps else {
            self.each::<T>(context, inputs, output, |_, from, to, _| to.copy_from_slice(from));
            return;
        };
        self.each::<T>(context, inputs, output, |at, from, to, scratch| {
            let numbers: Vec<f64> = match steps.draws {
                0 => Vec::new(),
                // SAFETY: operands as asked for; nobody writes inputs.
                draws => unsafe { &inputs[2].slice::<R>()[at * draws..][..draws] }.iter().map(|it| it.f64()).collect(),
            };
            steps.run(from, &numbers, to, scratch);
        });
    }
}

impl<R: Real> Kernel for Gather<R> {
    fn inputs(&self) -> Vec<Operand> {
        // One example at least; how many there are, the bound buffer tells.
        let source = Operand { dtype: self.dtype, len: self.len };
        let mut inputs = vec![source, Operand::int(self.n)];
        if 0 < self.draws() {
            inputs.push(Operand::real(self.n * self.draws()));
        }
        inputs
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand { dtype: self.dtype, len: self.n * self.after() }]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.len == 0 {
            return;
        }
        match self.dtype {
            DType::U8 => self.of::<u8>(context, inputs, outputs[0]),
            DType::U16 => self.of::<u16>(context, inputs, outputs[0]),
            DType::Int => self.of::<i64>(context, inputs, outputs[0]),
            DType::Real => self.of::<R>(context, inputs, outputs[0]),
            DType::Bf16 => unreachable!("refused when the kernel was loaded"),
        }
    }
}

/// Sums of what was picked, by row.
struct Scatter<R> {
    rows: usize,
    n: usize,
    item: usize,
    marker: PhantomData<R>,
}

/// Checks sums of picks.
pub(super) fn scatter<R: Real>(rows: usize, n: usize, item: usize) -> Result<Box<dyn Kernel>, String> {
    product(&[rows, item])?;
    product(&[n, item])?;
    Ok(Box::new(Scatter::<R> { rows, n, item, marker: PhantomData }))
}

impl<R: Real> Kernel for Scatter<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::int(self.n), Operand::real(self.n * self.item)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.rows * self.item)]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.rows * self.item == 0 {
            return;
        }
        // SAFETY: operands as asked for; nobody writes inputs.
        let (index, picked) = unsafe { (inputs[0].slice::<i64>(), inputs[1].slice::<R>()) };
        let work = (self.rows + self.n) * self.item * size_of::<R>();
        let tasks = (work / GRAIN).clamp(1, self.rows);
        context.tasks(tasks, |task| {
            let own = share(self.rows, tasks, task);
            // SAFETY: each task has rows of its own.
            let sums = unsafe { outputs[0].shared::<R>().part(own.start * self.item, own.len() * self.item) };
            sums.fill(R::of(0.0));
            for (row, picked) in index[..self.n].iter().zip(picked.chunks_exact(self.item)) {
                let Some(row) = usize::try_from(*row).ok().filter(|it| own.contains(it)) else { continue };
                let sums = &mut sums[(row - own.start) * self.item..][..self.item];
                sums.iter_mut().zip(picked).for_each(|(sum, it)| *sum += *it);
            }
        });
    }
}

/// Axes permuted.
struct Transpose<R> {
    /// Extents of the result.
    shape: Vec<usize>,
    /// Elements to step in the input per axis of the result.
    steps: Vec<usize>,
    len: usize,
    marker: PhantomData<R>,
}

/// Checks a transpose.
pub(super) fn transpose<R: Real>(shape: &Shape, perm: &[usize]) -> Result<Box<dyn Kernel>, String> {
    let len = product(shape.dims())?;
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted != (0..shape.rank()).collect::<Vec<_>>() {
        return Err(format!("{perm:?} is not a permutation of the axes of {shape}"));
    }
    let mut steps = vec![1; shape.rank()];
    for axis in (1..shape.rank()).rev() {
        steps[axis - 1] = steps[axis] * shape.0[axis];
    }
    let steps = perm.iter().map(|&it| steps[it]).collect();
    Ok(Box::new(Transpose::<R> {
        shape: perm.iter().map(|&it| shape.0[it]).collect(),
        steps,
        len,
        marker: PhantomData,
    }))
}

impl<R: Real> Kernel for Transpose<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len)]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.len == 0 {
            return;
        }
        // SAFETY: operands as asked for; nobody writes inputs.
        let from = unsafe { inputs[0].slice::<R>() };
        let last = self.shape.len().saturating_sub(1);
        let inner = self.shape.get(last).copied().unwrap_or(1);
        let step = self.steps.get(last).copied().unwrap_or(1);
        let rows = self.len / inner;
        let tasks = (self.len * size_of::<R>() / GRAIN).clamp(1, rows);
        context.tasks(tasks, |task| {
            for row in share(rows, tasks, task) {
                let (mut rest, mut start) = (row, 0);
                for axis in (0..last).rev() {
                    start += rest % self.shape[axis] * self.steps[axis];
                    rest /= self.shape[axis];
                }
                // SAFETY: each row is a part of its own.
                let to = unsafe { outputs[0].shared::<R>().part(row * inner, inner) };
                for (at, to) in to.iter_mut().enumerate() {
                    *to = from[start + at * step];
                }
            }
        });
    }
}
