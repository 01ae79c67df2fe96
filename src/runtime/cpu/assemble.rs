//! Tensors put together of others: rows of parts copied to their places, zeros elsewhere.

use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use crate::ir::Along;
use crate::ir::assembly::{covered, overlap};
use crate::kernel::Part;
use std::marker::PhantomData;
use std::ops::Range;

/// Bytes of work for one task.
const GRAIN: usize = 1 << 17;

struct Assemble<R> {
    dims: Vec<usize>,
    len: usize,
    parts: Vec<Loaded>,
    /// Whether no element is left over.
    full: bool,
    marker: PhantomData<R>,
}

struct Loaded {
    dims: Vec<usize>,
    len: usize,
    place: Vec<Along>,
    covered: Vec<Range<usize>>,
}

/// Checks what is put together.
pub(super) fn load<R: Real>(dims: &[usize], parts: &[Part]) -> Result<Box<dyn Kernel>, String> {
    let len = product(dims)?;
    let mut loaded = Vec::new();
    for Part { dims: part, place } in parts {
        if part.len() != dims.len() || place.len() != dims.len() {
            return Err(format!("a part of other axes than {dims:?}"));
        }
        let covered = covered(dims, part, place);
        loaded.push(Loaded { dims: part.clone(), len: product(part)?, place: place.clone(), covered });
    }
    let boxes: Vec<_> = loaded.iter().map(|it| it.covered.clone()).collect();
    if overlap(&boxes).is_some() {
        return Err("parts of a tensor overlap".to_owned());
    }
    let written: usize = boxes.iter().map(|it| it.iter().map(ExactSizeIterator::len).product::<usize>()).sum();
    Ok(Box::new(Assemble::<R> { dims: dims.to_vec(), len, parts: loaded, full: written == len, marker: PhantomData }))
}

impl Loaded {
    /// Where the row of these outer positions begins in the part, if the part has elements of it.
    fn row(&self, outer: &[usize]) -> Option<usize> {
        let mut row = 0;
        for (axis, at) in outer.iter().enumerate() {
            if !self.covered[axis].contains(at) {
                return None;
            }
            row = row * self.dims[axis] + self.place[axis].source(*at) as usize;
        }
        Some(row * self.dims.last().copied().unwrap_or(1))
    }

    /// Copies what the part has of positions `from..` of its row `row`.
    fn copy<R: Real>(&self, part: &[R], row: usize, from: usize, to: &mut [R]) {
        let (Some(along), Some(covered)) = (self.place.last(), self.covered.last()) else {
            to.copy_from_slice(&part[row..][..to.len()]);
            return;
        };
        let (first, end) = (covered.start.max(from), covered.end.min(from + to.len()));
        if end <= first {
            return;
        }
        let to = &mut to[first - from..end - from];
        let start = row + along.source(if along.turned { end - 1 } else { first }) as usize;
        let part = &part[start..][..to.len()];
        if along.turned {
            to.iter_mut().zip(part.iter().rev()).for_each(|(to, from)| *to = *from);
        } else {
            to.copy_from_slice(part);
        }
    }
}

impl<R: Real> Kernel for Assemble<R> {
    fn inputs(&self) -> Vec<Operand> {
        self.parts.iter().map(|it| Operand::real(it.len)).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len)]
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.len == 0 {
            return;
        }
        // SAFETY: operands as asked for; nobody writes inputs.
        let parts: Vec<&[R]> = inputs.iter().map(|it| unsafe { it.slice::<R>() }).collect();
        let outer_axes = self.dims.len().saturating_sub(1);
        let inner = self.dims.last().copied().unwrap_or(1);
        let tasks = (self.len * size_of::<R>() / GRAIN).clamp(1, self.len);
        context.tasks(tasks, |task| {
            let own = share(self.len, tasks, task);
            // SAFETY: each task has elements of its own.
            let mut left = unsafe { outputs[0].shared::<R>().part(own.start, own.len()) };
            let mut outer = vec![0; outer_axes];
            let mut at = own.start;
            while !left.is_empty() {
                let (mut rest, from) = (at / inner, at % inner);
                for axis in (0..outer_axes).rev() {
                    outer[axis] = rest % self.dims[axis];
                    rest /= self.dims[axis];
                }
                let (to, later) = left.split_at_mut((inner - from).min(left.len()));
                if !self.full {
                    to.fill(R::of(0.0));
                }
                for (part, numbers) in self.parts.iter().zip(&parts) {
                    if let Some(row) = part.row(&outer) {
                        part.copy(numbers, row, from, to);
                    }
                }
                at += to.len();
                left = later;
            }
        });
    }
}
