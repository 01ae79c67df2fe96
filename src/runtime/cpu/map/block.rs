//! Running a task of a map: load a block, run the tape, store or accumulate ([`super::fold`]).

use super::lanes::{Registers, Step, whole};
use super::tape::{Arg, Instr, LANES};
use super::{Input, Map, Output};
use crate::ir::DType;
use crate::runtime::cpu::isa::{Isa, Job};
use crate::runtime::cpu::memory::{Element, Shared, View};
use crate::runtime::cpu::real::{Real, convert};
use std::ops::Range;

/// One task of a launch.
pub(super) struct Task<'a, R, C> {
    pub(super) map: &'a Map<R, C>,
    pub(super) isa: Isa,
    pub(super) task: usize,
    pub(super) inputs: &'a [View],
    pub(super) outputs: &'a [View],
    pub(super) accumulators: Shared<f64>,
    pub(super) registers: Registers<'a, C>,
    /// Of elements in f64.
    pub(super) wide: Registers<'a, f64>,
    /// Of values that vary with the rows, and of those that vary with the columns, which are there already.
    pub(super) rows: Registers<'a, f64>,
    pub(super) columns: Registers<'a, f64>,
    /// By input and by output: whether no other is the same memory.
    pub(super) apart: [&'a [bool]; 2],
}

/// The rows of a block: for each, its index along the outer axes.
pub(super) struct Rows<'a> {
    pub(super) outer: &'a [usize],
    pub(super) index: Vec<usize>,
    pub(super) row: usize,
}

impl Rows<'_> {
    pub(super) fn seek(&mut self, row: usize) {
        self.row = row;
        let mut rest = row;
        for axis in (0..self.outer.len()).rev() {
            self.index[axis] = rest % self.outer[axis];
            rest /= self.outer[axis];
        }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) {
        self.row += 1;
        for axis in (0..self.outer.len()).rev() {
            self.index[axis] += 1;
            if self.index[axis] < self.outer[axis] {
                return;
            }
            self.index[axis] = 0;
        }
    }

    #[inline(always)]
    pub(super) fn offset(&self, strides: &[usize]) -> usize {
        self.index.iter().zip(strides).map(|(index, stride)| index * stride).sum()
    }
}

/// A range of a task's positions (row, piece of a row).
pub(super) struct Positions<'a, R, C> {
    pub(super) task: Task<'a, R, C>,
    pub(super) positions: Range<usize>,
}

impl<R: Real, C: Real> Job for Positions<'_, R, C> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.task.run(self.positions);
    }
}

impl<R: Real, C: Real> Task<'_, R, C> {
    /// Fills what stays as it is from block to block.
    pub(super) fn start(&self) {
        let space = &self.map.space;
        // Of a row that is cut into pieces there are no columns.
        let most = space.rows_per_block * space.inner.min(LANES);
        let block = Block { offsets: &[], row: 0, count: space.rows_per_block, first: 0, inner: space.inner };
        self.registers.execute(self.isa, &self.map.tape.prologue, most, None, |instr| {
            self.isa.run(Bring { task: self, registers: &self.registers, instr, block });
        });
        self.clear_kept();
    }

    #[inline(always)]
    fn run(&self, Range { start: from, end: to }: Range<usize>) {
        let space = &self.map.space;
        let outer = &space.outer;
        let mut rows = Rows { outer, index: vec![0; outer.len()], row: 0 };
        self.clear_owned(from / space.pieces, to.div_ceil(space.pieces));
        let tape = &self.map.tape;
        let mut offsets = vec![0; self.inputs.len() * space.rows_per_block];
        let mut position = from;
        while position < to {
            let (row, piece) = (position / space.pieces, position % space.pieces);
            let first = piece * LANES * usize::from(1 < space.pieces);
            let count = if space.pieces == 1 { space.rows_per_block.min(to - position) } else { 1 };
            let inner = if 1 < space.pieces { LANES.min(space.inner - first) } else { space.inner };
            if rows.row != row {
                rows.seek(row);
            }
            self.offsets(&mut rows, count, &mut offsets);
            self.rows.execute(self.isa, &tape.rows.instrs, count, None, |instr| {
                let block = Block { offsets: &offsets, row, count, first: 0, inner: 1 };
                self.isa.run(Bring { task: self, registers: &self.rows, instr, block });
            });
            let block = Block { offsets: &offsets, row, count, first, inner };
            self.wide.execute(self.isa, &tape.wide.instrs, block.lanes(), None, |instr| {
                self.isa.run(Bring { task: self, registers: &self.wide, instr, block });
            });
            self.elements(block);
            for at in 0..self.outputs.len() {
                self.store(at, block);
            }
            for reduced in &self.map.reduced {
                self.reduce(reduced, row, count, first, inner);
            }
            position += count;
        }
        self.finish(from / space.pieces, to.div_ceil(space.pieces));
    }

    /// Offset of each of `count` rows in each input; moves `rows` behind them.
    #[inline(always)]
    fn offsets(&self, rows: &mut Rows<'_>, count: usize, offsets: &mut [usize]) {
        if rows.outer.len() <= 1 {
            for (at, input) in self.map.inputs.iter().enumerate() {
                let stride = input.outer.first().copied().unwrap_or(0);
                for row in 0..count {
                    offsets[at * count + row] = (rows.row + row) * stride;
                }
            }
            rows.seek(rows.row + count);
            return;
        }
        for row in 0..count {
            for (at, input) in self.map.inputs.iter().enumerate() {
                offsets[at * count + row] = rows.offset(&input.outer);
            }
            rows.next();
        }
    }

    /// Computes the elements of a block.
    #[inline(always)]
    fn elements(&self, block: Block<'_>) {
        let (lanes, tape) = (block.lanes(), &self.map.tape);
        let places = self.registers.places.expect("elements have places");
        for (&instr, &makes) in tape.body.instrs.iter().zip(&tape.makes) {
            let place = &places[instr.to()];
            let result = makes.and_then(|it| self.result(it, block));
            place.set(result.unwrap_or_else(|| self.registers.own(instr.to())));
            match instr {
                Instr::Load { input, .. } => match self.lies(input, block).filter(|_| result.is_none()) {
                    Some(there) => place.set(there),
                    None => self.isa.run(Bring { task: self, registers: &self.registers, instr, block }),
                },
                Instr::Column { .. } | Instr::Row { .. } => {
                    self.isa.run(Bring { task: self, registers: &self.registers, instr, block });
                }
                Instr::Narrow { .. }
                | Instr::Fill { .. }
                | Instr::Unary { .. }
                | Instr::Binary { .. }
                | Instr::Fma { .. }
                | Instr::Select { .. } => {
                    let (registers, lanes) = (self.registers, whole(lanes));
                    self.isa.run(Step { registers, wide: Some(self.wide), instr, lanes });
                }
            }
        }
    }

    /// Where instructions may read an input of a block: nobody writes it, and they go no further than the block.
    #[inline(always)]
    fn lies(&self, input: usize, block: Block<'_>) -> Option<*mut C> {
        let Input { dtype, inner, dense, .. } = self.map.inputs[input];
        let side_by_side = dense || block.count == 1 && inner == 1;
        (self.apart[0][input] && dtype == DType::Real && same::<R, C>() && block.is_whole() && side_by_side).then(
            || self.inputs[input].start.cast::<C>().wrapping_add(block.offsets[input * block.count] + block.first),
        )
    }

    /// Where instructions may write a result of a block, likewise.
    #[inline(always)]
    fn result(&self, output: usize, block: Block<'_>) -> Option<*mut C> {
        let real = matches!(self.map.outputs[output], Output::Full { dtype: DType::Real });
        (self.apart[1][output] && real && same::<R, C>() && block.is_whole()).then(|| {
            self.outputs[output].start.cast::<C>().wrapping_add(block.row * self.map.space.inner + block.first)
        })
    }

    /// The numbers of result `at` in the current block.
    #[inline(always)]
    pub(super) fn values(&self, at: usize, lanes: usize) -> &[C] {
        // A uniform result is spread over the spare register.
        let spare = self.map.tape.body.registers;
        let register = match self.map.tape.roots[at] {
            Arg::Lane(register) => register,
            Arg::Uniform(from) => {
                self.registers.write(spare, lanes).fill(self.registers.uniforms[from]);
                spare
            }
            Arg::Row(from) => {
                self.registers.write(spare, lanes).fill(self.registers.row(from));
                spare
            }
        };
        self.registers.read(register, lanes)
    }

    #[inline(always)]
    fn store(&self, at: usize, block: Block<'_>) {
        let (from, lanes) = (block.row * self.map.space.inner + block.first, block.lanes());
        match &self.map.outputs[at] {
            Output::Reduced { .. } => {}
            Output::Full { dtype: DType::Int } => {
                let values = self.values(at, lanes);
                // SAFETY: blocks are disjoint parts of the output.
                let to = unsafe { self.outputs[at].shared::<i64>().part(from, lanes) };
                for (to, value) in to.iter_mut().zip(values) {
                    *to = value.f64().round() as i64;
                }
            }
            Output::Full { dtype: DType::Real | DType::U8 | DType::Bf16 } => {
                let values = self.values(at, lanes);
                if values.as_ptr().cast() == self.outputs[at].shared::<R>().at(from).cast_const() {
                    return;
                }
                // SAFETY: as above.
                let to = unsafe { self.outputs[at].shared::<R>().part(from, lanes) };
                for (to, value) in to.iter_mut().zip(values) {
                    *to = convert::<C, R>(*value);
                }
            }
        }
    }
}

/// Whether two precisions are the same.
#[inline(always)]
fn same<R: Real, C: Real>() -> bool {
    size_of::<R>() == size_of::<C>()
}

/// Some rows, or a piece of one.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// Of each row in each input.
    offsets: &'a [usize],
    /// The first row.
    row: usize,
    count: usize,
    /// Columns of the row.
    first: usize,
    inner: usize,
}

impl Block<'_> {
    #[inline(always)]
    fn lanes(&self) -> usize {
        self.count * self.inner
    }

    /// Whether instructions work on its lanes and on no others.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        whole(self.lanes()) == self.lanes()
    }
}

/// An instruction that brings numbers into registers of elements. A job of its own, like [`Step`].
struct Bring<'a, 't, R, C, N> {
    task: &'t Task<'a, R, C>,
    registers: &'t Registers<'a, N>,
    instr: Instr,
    block: Block<'t>,
}

impl<R: Real, C: Real, N: Real> Job for Bring<'_, '_, R, C, N> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Bring { task, registers, instr, block } = self;
        let Block { offsets, count, first, inner, .. } = block;
        match instr {
            Instr::Load { input, to } => {
                let to = registers.write(to, block.lanes());
                load(task.map, task.inputs, input, &offsets[input * count..][..count], (first, inner), to);
            }
            Instr::Column { from, to } => {
                let from = task.columns.read(from, inner);
                for to in registers.write(to, block.lanes()).chunks_exact_mut(inner) {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = N::of(*from);
                    }
                }
            }
            Instr::Row { from, to } => {
                let from = task.rows.read(from, count);
                let to = registers.write(to, block.lanes());
                for (to, from) in to.chunks_exact_mut(inner).zip(from) {
                    to.fill(N::of(*from));
                }
            }
            _ => unreachable!("it works on registers alone"),
        }
    }
}

/// Rows of an input as numbers.
#[inline(always)]
pub(super) fn load<R: Real, C, N: Real>(
    map: &Map<R, C>,
    inputs: &[View],
    at: usize,
    offsets: &[usize],
    columns: (usize, usize),
    to: &mut [N],
) {
    let (input, view) = (&map.inputs[at], inputs[at]);
    match input.dtype {
        DType::Real => load_rows(view, input, offsets, columns, to, |it: R| convert::<R, N>(it)),
        DType::U8 => load_rows(view, input, offsets, columns, to, |it: u8| N::of(f64::from(it))),
        DType::Int => load_rows(view, input, offsets, columns, to, |it: i64| N::of(it as f64)),
        DType::Bf16 => unreachable!("refused when the kernel was loaded"),
    }
}

#[inline(always)]
fn load_rows<T: Element, C: Real>(
    view: View,
    input: &Input,
    offsets: &[usize],
    (first, inner): (usize, usize),
    to: &mut [C],
    read: impl Fn(T) -> C,
) {
    let start = view.start.cast::<T>();
    // All below: offsets of rows inside the space, which `Input::len` covers; an
    // output that is this input has been written only for earlier blocks.
    if input.dense {
        // SAFETY: see above; a dense block's rows follow each other.
        let from = unsafe { std::slice::from_raw_parts(start.add(offsets[0] + first), to.len()) };
        for (to, from) in to.iter_mut().zip(from) {
            *to = read(*from);
        }
        return;
    }
    for (to, &offset) in to.chunks_exact_mut(inner).zip(offsets) {
        match input.inner {
            // SAFETY: see above.
            0 => to.fill(read(unsafe { *start.add(offset) })),
            1 => {
                // SAFETY: see above.
                let from = unsafe { std::slice::from_raw_parts(start.add(offset + first), inner) };
                for (to, from) in to.iter_mut().zip(from) {
                    *to = read(*from);
                }
            }
            stride => {
                for (at, to) in to.iter_mut().enumerate() {
                    // SAFETY: see above.
                    *to = read(unsafe { *start.add(offset + (first + at) * stride) });
                }
            }
        }
    }
}
