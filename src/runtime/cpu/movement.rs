//! Kernels that only move elements: picks with augmentation, transposes, copies.

use super::kernel::{Kernel, Operand, product, share};
use super::memory::{Element, View};
use super::pool::Context;
use super::real::Real;
use crate::ir::{DType, Shape};
use std::marker::PhantomData;

/// Bytes of work for one task.
const GRAIN: usize = 1 << 17;

/// Picks along the first axis, images with augmentation.
struct Gather<R> {
    dtype: DType,
    n: usize,
    item: Vec<usize>,
    len: usize,
    flip: bool,
    crop: usize,
    marker: PhantomData<R>,
}

/// Checks a pick.
pub(super) fn gather<R: Real>(
    dtype: DType,
    n: usize,
    item: &Shape,
    flip: bool,
    crop: usize,
) -> Result<Box<dyn Kernel>, String> {
    let len = product(item.dims())?;
    product(&[n, len, 3])?;
    if (flip || 0 < crop) && item.rank() != 3 {
        return Err(format!("only images are augmented, not {item}"));
    }
    if crop > 1 << 20 {
        return Err(format!("a crop by {crop} is out of range"));
    }
    Ok(Box::new(Gather::<R> { dtype, n, item: item.0.clone(), len, flip, crop, marker: PhantomData }))
}

impl<R: Real> Gather<R> {
    fn augmented(&self) -> bool {
        self.flip || 0 < self.crop
    }

    fn copy<T: Element>(&self, context: &Context<'_>, inputs: &[View], output: View) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (source, index) = unsafe { (inputs[0].slice::<T>(), inputs[1].slice::<i64>()) };
        let examples = (source.len() / self.len.max(1)).max(1);
        let tasks = (self.n * self.len * size_of::<T>() / GRAIN).clamp(1, self.n.max(1));
        context.tasks(tasks, |task| {
            for at in share(self.n, tasks, task) {
                // Indices are data: those out of range are brought back into it.
                let example = index[at].rem_euclid(examples as i64) as usize;
                let from = &source[example * self.len..][..self.len];
                // SAFETY: each pick is a part of its own.
                let to = unsafe { output.shared::<T>().part(at * self.len, self.len) };
                if self.augmented() {
                    // SAFETY: as for the other inputs.
                    let uniform = unsafe { inputs[2].slice::<R>() };
                    self.augment(from, &uniform[at * 3..][..3], to);
                } else {
                    to.copy_from_slice(from);
                }
            }
        });
    }

    /// The crop is chosen first, then mirrored.
    fn augment<T: Element>(&self, from: &[T], uniform: &[R], to: &mut [T]) {
        let [height, width, channels] = [self.item[0], self.item[1], self.item[2]];
        let mirrored = self.flip && uniform[0].f64() < 0.5;
        let offset = |u: R| (u.f64() * (2 * self.crop + 1) as f64).floor() as i64 - self.crop as i64;
        let (oy, ox) = (offset(uniform[1]), offset(uniform[2]));
        for y in 0..height {
            let row = reflect(y as i64 + oy, height) * width;
            for x in 0..width {
                let column = if mirrored { width - 1 - x } else { x };
                let pixel = row + reflect(column as i64 + ox, width);
                to[(y * width + x) * channels..][..channels].copy_from_slice(&from[pixel * channels..][..channels]);
            }
        }
    }
}

/// A position outside of `0..n`, mirrored at the edges with the edge included.
fn reflect(at: i64, n: usize) -> usize {
    if 0 <= at && at < n as i64 {
        return at as usize;
    }
    let at = at.rem_euclid(2 * n as i64) as usize;
    if at < n { at } else { 2 * n - 1 - at }
}

impl<R: Real> Kernel for Gather<R> {
    fn inputs(&self) -> Vec<Operand> {
        // One example at least; how many there are, the bound buffer tells.
        let source = Operand { dtype: self.dtype, len: self.len };
        let mut inputs = vec![source, Operand::int(self.n)];
        if self.augmented() {
            inputs.push(Operand::real(self.n * 3));
        }
        inputs
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand { dtype: self.dtype, len: self.n * self.len }]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.len == 0 {
            return;
        }
        match self.dtype {
            DType::U8 => self.copy::<u8>(context, inputs, outputs[0]),
            DType::Int => self.copy::<i64>(context, inputs, outputs[0]),
            DType::Real => self.copy::<R>(context, inputs, outputs[0]),
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
                sums.iter_mut().zip(picked).for_each(|(sum, it)| *sum = *sum + *it);
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
