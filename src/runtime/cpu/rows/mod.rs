//! Maps over the same rows run as one: all of them over a few rows, then over the next, so that these stay in a cache from
//! the first map to the last.
//!
//! A softmax is three maps, the gradient of layer norm as many; each by itself goes through memory. Which launches of a phase
//! can run together is decided by what they touch: where one writes what another touches, each must do so row by row, and in
//! the same rows. A sum over the rows may be among the results, but nobody can read it before all rows are done.

mod once;

use crate::ir::DType;
use crate::kernel::{KernelSpec, MapInput, MapKernel, MapOutput, Store};
use crate::plan::{BufferId, BufferKind, Launch, Plan};
use crate::runtime::cpu::kernel::share;
use crate::runtime::cpu::map::{self, Room, Running, Stage};
use crate::runtime::cpu::memory::{ALIGN, View};
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::ops::Range;

/// Bytes of a block of rows, in all that the maps touch: well within a core's second cache.
const BLOCK: usize = 192 << 10;
/// Most bytes of one row.
const ROW: usize = 512 << 10;
/// Most maps that run as one.
const MOST: usize = 12;

/// Launches that run as one.
pub(super) struct Rows {
    /// Which of the phase.
    pub(super) launches: Range<usize>,
    stages: Vec<(Box<dyn Stage>, Room)>,
    /// Operands and results of each, as those of the launches.
    operands: Vec<[Vec<Operand>; 2]>,
    rows: usize,
    tasks: usize,
    /// Rows that all maps go through before the next.
    block: usize,
    scratch: Scratch,
}

/// An operand or a result of one of the launches, by its number there.
#[derive(Clone, Copy, Debug)]
struct Operand {
    buffer: BufferId,
    launch: usize,
    result: bool,
    number: usize,
}

/// What a launch touches.
#[derive(Clone)]
struct Access {
    /// The buffer, or none for the arena.
    of: Option<BufferId>,
    bytes: Range<usize>,
    written: bool,
    /// Bytes of a row, where each row touches its own.
    each: Option<usize>,
}

impl Access {
    fn meets(&self, other: &Access) -> bool {
        self.of == other.of && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }

    /// Whether both touch the same rows of the same memory.
    fn is_alike(&self, other: &Access) -> bool {
        self.each.is_some() && self.each == other.each && self.of == other.of && self.bytes.start == other.bytes.start
    }
}

/// A launch over some rows.
struct Member {
    kernel: MapKernel,
    /// By operand, then by result.
    touched: Vec<Access>,
    reads: Vec<Operand>,
    writes: Vec<Operand>,
}

/// The launches of a phase that run as one.
pub(super) fn find<R: Real>(plan: &Plan, sizes: &[usize], launches: &[Launch]) -> Vec<Rows> {
    let mut all = Vec::new();
    let mut first = 0;
    while first < launches.len() {
        let longest = (first + 1..launches.len().min(first + MOST)).map_while(|last| {
            let (rows, mut members) = together(plan, sizes, &launches[first..=last])?;
            once::compute(&mut members);
            load::<R>(rows, &members, first..last + 1)
        });
        match longest.last() {
            Some(rows) => {
                first = rows.launches.end;
                all.push(rows);
            }
            None => first += 1,
        }
    }
    all
}

/// The rows that launches have in common, if they can run as one and gain by it.
fn together(plan: &Plan, sizes: &[usize], launches: &[Launch]) -> Option<(usize, Vec<Member>)> {
    let kernels = launches.iter().map(|it| match plan.kernels.get(it.kernel) {
        Some(KernelSpec::Map(map)) => Some(map),
        _ => None,
    });
    let kernels = kernels.collect::<Option<Vec<&MapKernel>>>()?;
    // The fewest that any of them needs: sums of a row are complete within it.
    let rows = kernels.iter().filter_map(|it| rows_of(it)).min().filter(|it| 1 < *it)?;
    let members = kernels.iter().zip(launches).enumerate().map(|(at, (kernel, launch))| {
        let kernel = split(kernel, rows)?;
        let touched = touched(plan, sizes, launch, &kernel, rows);
        let operands = |of: &[BufferId], result: bool| {
            of.iter().enumerate().map(|(number, &buffer)| Operand { buffer, launch: at, result, number }).collect()
        };
        let (reads, writes) = (operands(&launch.inputs, false), operands(&launch.outputs, true));
        Some(Member { kernel, touched, reads, writes })
    });
    let members = members.collect::<Option<Vec<Member>>>()?;
    for (at, member) in members.iter().enumerate() {
        let before = || members[..at].iter().flat_map(|it| &it.touched);
        let clashes = |it: &&Access| {
            before().any(|other| (it.written || other.written) && it.meets(other) && !it.is_alike(other))
        };
        if member.touched.iter().any(|it| clashes(&it)) {
            return None;
        }
        let again = member.touched.iter().filter(|it| before().any(|other| it.is_alike(other)));
        let (again, all) = (bytes(again), bytes(member.touched.iter()));
        if 0 < at && 4 * again < all {
            return None;
        }
    }
    let all = bytes(members.iter().flat_map(|it| &it.touched));
    (all / rows <= ROW).then_some((rows, members))
}

fn bytes<'a>(all: impl Iterator<Item = &'a Access>) -> usize {
    all.filter(|it| it.each.is_some()).map(|it| it.bytes.len()).sum()
}

/// How many rows a map has at most: what leads the axes that it reduces. None where it reduces nothing, or over the rows.
fn rows_of(kernel: &MapKernel) -> Option<usize> {
    let leading = |output: &MapOutput| match &output.store {
        Store::Full => None,
        Store::Reduce { over, .. } => {
            let kept = over.iter().zip(&kernel.dims).take_while(|(over, dim)| !**over || **dim == 1);
            let kept: Vec<usize> = kept.map(|it| *it.1).collect();
            (kept.len() < over.len()).then(|| kept.iter().product()).filter(|it| 1 < *it)
        }
    };
    kernel.outputs.iter().filter_map(leading).min()
}

/// The same map with so many rows as its first axes.
fn split(kernel: &MapKernel, rows: usize) -> Option<MapKernel> {
    let mut before = 1;
    for (axis, &extent) in kernel.dims.iter().enumerate() {
        if before == rows {
            return Some(kernel.clone());
        }
        let after = before * extent;
        if rows < after {
            let outer = rows / before;
            if !rows.is_multiple_of(before) || !extent.is_multiple_of(outer) {
                return None;
            }
            let mut res = kernel.clone();
            res.dims.splice(axis..=axis, [outer, extent / outer]);
            for MapInput { strides, .. } in &mut res.inputs {
                let step = strides[axis];
                strides.insert(axis, step * (extent / outer));
            }
            for output in &mut res.outputs {
                if let Store::Reduce { over, .. } = &mut output.store {
                    over.insert(axis, over[axis]);
                }
            }
            return Some(res);
        }
        before = after;
    }
    (before == rows).then(|| kernel.clone())
}

/// What a launch touches, row by row or not.
fn touched(plan: &Plan, sizes: &[usize], launch: &Launch, kernel: &MapKernel, rows: usize) -> Vec<Access> {
    let access = |id: BufferId, written: bool, dtype: DType, each: Option<usize>| {
        let at = id.0 as usize;
        let (of, start) = match plan.buffers[at].kind {
            BufferKind::Arena { offset } => (None, offset),
            _ => (Some(id), 0),
        };
        let each = each.map(|it| it * plan.precision.bytes(dtype));
        Access { of, bytes: start..start + sizes[at], written, each }
    };
    // Axes of the rows, and those of a row.
    let lead = (0..=kernel.dims.len()).find(|it| kernel.dims[..*it].iter().product::<usize>() == rows).unwrap_or(0);
    let read = kernel.inputs.iter().zip(&launch.inputs).map(|(input, &id)| {
        let (outer, inner) = input.strides.split_at(lead);
        let reach: usize =
            kernel.dims[lead..].iter().zip(inner).map(|(dim, stride)| dim.saturating_sub(1) * stride).sum();
        let mut each = None;
        let mut step = 0;
        let in_order = kernel.dims.iter().zip(outer).rev().filter(|it| *it.0 != 1).all(|(&dim, &stride)| {
            let fits = each.is_none() || stride == step;
            each.get_or_insert(stride);
            step = stride * dim;
            fits
        });
        access(id, false, input.dtype, each.filter(|it| in_order && reach < *it))
    });
    let written = kernel.outputs.iter().zip(&launch.outputs).map(|(output, &id)| {
        let own = match &output.store {
            Store::Full => Some(kernel.dims[lead..].iter().product()),
            Store::Reduce { over, .. } if over[..lead].contains(&true) => None,
            Store::Reduce { over, .. } => {
                Some(kernel.dims.iter().zip(over).skip(lead).filter(|it| !it.1).map(|it| *it.0).product())
            }
        };
        access(id, true, output.dtype, own)
    });
    read.chain(written).collect()
}

fn load<R: Real>(rows: usize, members: &[Member], launches: Range<usize>) -> Option<Rows> {
    let elements = members.iter().map(|it| it.kernel.dims.iter().product()).max().unwrap_or(0);
    let tasks = map::tasks(elements);
    let empty = members.iter().any(|it| it.kernel.dims.contains(&0));
    if empty || elements == 0 || rows < tasks.min(8) {
        return None;
    }
    let tasks = tasks.min(rows);
    let mut scratch = Scratch::default();
    let mut stages = Vec::with_capacity(members.len());
    for member in members {
        let stage = map::stage::<R>(&member.kernel, Some(map::Rows { count: rows, tasks })).ok()?;
        let room = Room { shared: scratch.shared, thread: scratch.thread };
        let own = stage.scratch();
        scratch.shared += own.shared.next_multiple_of(ALIGN);
        scratch.thread += own.thread.next_multiple_of(ALIGN);
        stages.push((stage, room));
    }
    let each = bytes(members.iter().flat_map(|it| &it.touched)) / rows;
    // Of many rows as many as fill whole vectors, whatever their length.
    let block = match BLOCK / each.max(1) {
        few @ ..16 => few.max(1),
        many => many / 16 * 16,
    };
    let operands = members.iter().map(|it| [it.reads.clone(), it.writes.clone()]).collect();
    Some(Rows { launches, stages, operands, rows, tasks, block, scratch })
}

impl Rows {
    /// Working memory.
    pub(super) fn scratch(&self) -> Scratch {
        self.scratch
    }

    /// Runs all.
    ///
    /// # Safety
    /// As for [`crate::runtime::cpu::kernel::Kernel::run`], with operands and results of each launch.
    pub(super) unsafe fn run(&self, context: &Context<'_>, launches: &[(&[View], &[View])]) {
        let view = |it: &Operand| {
            let (inputs, outputs) = launches[it.launch];
            if it.result { outputs[it.number] } else { inputs[it.number] }
        };
        let ready = self.stages.iter().zip(&self.operands).map(|((stage, room), operands)| {
            let [inputs, outputs] = operands.each_ref().map(|it| it.iter().map(view).collect());
            stage.ready(context, *room, inputs, outputs)
        });
        let ready: Vec<Box<dyn Running + '_>> = ready.collect();
        context.tasks(self.tasks, |task| {
            ready.iter().for_each(|it| it.start(task));
            let rows = share(self.rows, self.tasks, task);
            for first in rows.clone().step_by(self.block) {
                let block = first..(first + self.block).min(rows.end);
                ready.iter().for_each(|it| it.block(task, block.clone()));
            }
        });
        ready.iter().for_each(|it| it.settle());
    }
}

#[cfg(test)]
mod tests;
