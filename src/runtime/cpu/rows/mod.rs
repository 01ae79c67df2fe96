//! Maps over the same rows run as one: all of them over a few rows, then over the next, so that these stay in a cache from
//! the first map to the last.
//!
//! A softmax is three maps, the gradient of layer norm as many; each by itself goes through memory. Which launches of a phase
//! can run together is the plan's to say ([`Plan::over_rows`]).

mod once;

use crate::plan::rows::{Access, Member, Operand};
use crate::plan::{Launch, Plan};
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

/// The launches of a phase that run as one.
pub(super) fn find<R: Real>(plan: &Plan, launches: &[Launch]) -> Vec<Rows> {
    let mut all = Vec::new();
    let mut first = 0;
    while first < launches.len() {
        let longest = (first + 1..launches.len().min(first + MOST)).map_while(|last| {
            let (rows, mut members) = plan.over_rows(&launches[first..=last]).filter(|it| gain(it.0, &it.1))?;
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

/// Whether members gain by running as one: each finds some of what it touches in a cache, and a row fits there.
fn gain(rows: usize, members: &[Member]) -> bool {
    let finds = |at: usize| {
        let before = || members[..at].iter().flat_map(|it| &it.touched);
        let again = members[at].touched.iter().filter(|it| before().any(|other| it.is_alike(other)));
        bytes(members[at].touched.iter()) <= 4 * bytes(again)
    };
    (1..members.len()).all(finds) && bytes(members.iter().flat_map(|it| &it.touched)) / rows <= ROW
}

fn bytes<'a>(all: impl Iterator<Item = &'a Access>) -> usize {
    all.filter(|it| it.each.is_some()).map(|it| it.bytes.len()).sum()
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
