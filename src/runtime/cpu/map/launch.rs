//! Running a map: alone, or block by block with others over the same rows ([`super::super::rows`]).

use super::block::{self, Lies, Task};
use super::lanes::{Registers, WHOLE};
use super::tape::{Instr, LANES};
use super::{Map, Output};
use crate::ir::{DType, random};
use crate::kernel::Draws;
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand, share};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::cell::Cell;
use std::ops::Range;

/// Where a map's working memory starts, in bytes.
#[derive(Clone, Copy, Default)]
pub(in crate::runtime::cpu) struct Room {
    /// In the memory of the launch.
    pub(in crate::runtime::cpu) shared: usize,
    /// In that of each thread.
    pub(in crate::runtime::cpu) thread: usize,
}

/// A map that can run block by block.
pub(in crate::runtime::cpu) trait Stage: Kernel {
    /// Prepares a launch.
    fn ready<'a>(
        &'a self,
        context: &'a Context<'a>,
        room: Room,
        inputs: Vec<View>,
        outputs: Vec<View>,
    ) -> Box<dyn Running + 'a>;
}

/// A launch of a [`Stage`].
pub(in crate::runtime::cpu) trait Running: Sync {
    /// Starts a task, on the thread that will run its blocks.
    fn start(&self, task: usize);
    /// Runs some of the rows that all stages have in common; of a task in order.
    fn block(&self, task: usize, rows: Range<usize>);
    /// Puts together what tasks kept apart, once all are done.
    fn settle(&self);
}

/// A launch under way.
struct Ready<'a, R, C> {
    map: &'a Map<R, C>,
    context: &'a Context<'a>,
    room: Room,
    inputs: Vec<View>,
    outputs: Vec<View>,
    /// What is the same for all elements, rounded and not.
    uniforms: Vec<C>,
    wide: Vec<f64>,
    lies: Vec<Lies>,
}

impl<R: Real, C: Real> Map<R, C> {
    /// Lanes of a register of columns; where a row is cut into pieces there is none.
    fn columns_pitch(&self) -> usize {
        self.space.inner.next_multiple_of(WHOLE)
    }

    fn rows_pitch(&self) -> usize {
        self.space.rows_per_block.next_multiple_of(WHOLE)
    }

    /// Positions (row, piece of a row) of the space.
    fn positions(&self) -> usize {
        self.space.rows * self.space.pieces
    }

    fn prepare<'a>(
        &'a self,
        context: &'a Context<'a>,
        room: Room,
        inputs: Vec<View>,
        outputs: Vec<View>,
    ) -> Ready<'a, R, C> {
        let wide = self.tape.uniforms(C::SLOPE.f64(), |input| {
            let view = inputs[input];
            // SAFETY: every input has at least one element of its dtype, and no task runs yet.
            unsafe {
                match (self.inputs[input].draws, self.inputs[input].dtype) {
                    (Some(Draws { stream, first }), _) => {
                        let step = *view.start.cast::<i64>() as u64;
                        f64::from(random::uniform(context.seed, stream, step, first))
                    }
                    (None, DType::U8) => f64::from(*view.start),
                    (None, DType::U16) => f64::from(*view.start.cast::<u16>()),
                    (None, DType::Int) => *view.start.cast::<i64>() as f64,
                    (None, DType::Real) => (*view.start.cast::<R>()).f64(),
                    (None, DType::Bf16) => unreachable!("refused when the kernel was loaded"),
                }
            }
        });
        let uniforms: Vec<C> = wide.iter().map(|&it| C::of(it)).collect();
        let apart: [Vec<bool>; 2] = [(&inputs, &outputs), (&outputs, &inputs)]
            .map(|(of, others)| of.iter().map(|it| others.iter().all(|other| it.start != other.start)).collect());
        let lies = self.lies(&apart);
        let ready = Ready { map: self, context, room, inputs, outputs, uniforms, wide, lies };
        let (columns, inner) = (ready.columns(), self.space.inner);
        columns.execute(Isa::Plain, &self.tape.columns.instrs, inner, None, |instr| {
            if let Instr::Load { input, to } = *instr {
                block::load(self, &ready.inputs, context.seed, input, &[0], (0, inner), columns.write(to, inner));
            }
        });
        ready
    }
}

impl<R: Real, C: Real> Ready<'_, R, C> {
    /// What varies with the columns alone.
    fn columns(&self) -> Registers<'_, f64> {
        let (code, pitch) = (&self.map.tape.columns, self.map.columns_pitch());
        let from = self.room.shared + self.map.accumulators * size_of::<f64>();
        let memory = self.context.shared::<f64>(from, code.registers * pitch);
        Registers { memory, pitch, places: None, row: None, uniforms: &self.wide, slope: C::SLOPE.f64() }
    }

    /// Does something with the registers of a task.
    fn with(&self, task: usize, run: impl FnOnce(Task<'_, R, C>)) {
        let (map, context) = (self.map, self.context);
        let count = map.tape.body.registers + 1;
        let mut from = self.room.thread;
        let memory = context.thread::<C>(from, count * LANES);
        from += count * LANES * size_of::<C>();
        let columns = self.columns();
        let pitch = map.rows_pitch();
        let rows = context.thread::<f64>(from, map.tape.rows.registers * pitch);
        let rows = Registers { memory: rows, pitch, ..columns };
        from += map.tape.rows.registers * pitch * size_of::<f64>();
        let wide = context.thread::<f64>(from, map.tape.wide.registers * LANES);
        let wide = Registers { memory: wide, pitch: LANES, ..columns };
        let places: Vec<Cell<*mut C>> = (0..count).map(|it| Cell::new(memory.at(it * LANES))).collect();
        run(Task {
            map,
            isa: context.isa,
            task,
            seed: context.seed,
            inputs: &self.inputs,
            outputs: &self.outputs,
            accumulators: context.shared::<f64>(self.room.shared, map.accumulators),
            registers: Registers {
                memory,
                pitch: LANES,
                places: Some(&places),
                row: Some(&rows),
                uniforms: &self.uniforms,
                slope: C::SLOPE,
            },
            wide,
            rows,
            columns,
            lies: &self.lies,
        });
    }

    fn run(&self, task: usize, positions: Range<usize>) {
        // SAFETY of all that tasks do: `load` checked the sizes, tasks hold disjoint ranges, and registers belong to the
        // thread.
        self.with(task, |task| self.context.isa.run(block::Positions { task, positions }));
    }
}

impl<R: Real, C: Real> Running for Ready<'_, R, C> {
    fn start(&self, task: usize) {
        self.with(task, |it| it.start());
    }

    fn block(&self, task: usize, rows: Range<usize>) {
        let each = self.map.positions() / self.map.space.shared_rows.max(1);
        self.run(task, rows.start * each..rows.end * each);
    }

    fn settle(&self) {
        let accumulators = self.context.shared::<f64>(self.room.shared, self.map.accumulators);
        self.map.settle(accumulators, &self.outputs);
    }
}

impl<R: Real, C: Real> Stage for Map<R, C> {
    fn ready<'a>(
        &'a self,
        context: &'a Context<'a>,
        room: Room,
        inputs: Vec<View>,
        outputs: Vec<View>,
    ) -> Box<dyn Running + 'a> {
        Box::new(self.prepare(context, room, inputs, outputs))
    }
}

impl<R: Real, C: Real> Kernel for Map<R, C> {
    fn inputs(&self) -> Vec<Operand> {
        let len = |len: usize| if self.elements == 0 { 0 } else { len };
        self.inputs.iter().map(|it| Operand { dtype: it.dtype, len: len(it.len) }).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        let operand = |it: &Output| match it {
            Output::Full { dtype } => Operand { dtype: *dtype, len: self.elements },
            Output::Reduced { len } => Operand::real(*len),
        };
        self.outputs.iter().map(operand).collect()
    }

    fn scratch(&self) -> Scratch {
        let registers = (self.tape.body.registers + 1) * LANES * size_of::<C>();
        Scratch {
            shared: (self.accumulators + self.tape.columns.registers * self.columns_pitch()) * 8,
            thread: registers + (self.tape.rows.registers * self.rows_pitch() + self.tape.wide.registers * LANES) * 8,
        }
    }

    fn may_alias(&self, input: usize, output: usize) -> bool {
        let same = |dtype: DType| dtype == self.inputs[input].dtype;
        self.inputs[input].draws.is_none()
            && self.inputs[input].dense
            && matches!(self.outputs[output], Output::Full { dtype } if same(dtype))
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.elements == 0 {
            self.settle_nothing(outputs);
            return;
        }
        let ready = self.prepare(context, Room::default(), inputs.to_vec(), outputs.to_vec());
        let (tasks, unit, positions) = (self.space.tasks, self.space.unit, self.positions());
        context.tasks(tasks, |task| {
            let range = share(positions.div_ceil(unit), tasks, task);
            ready.start(task);
            ready.run(task, range.start * unit..(range.end * unit).min(positions));
        });
        ready.settle();
    }
}
