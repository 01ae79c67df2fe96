//! Running a task of a map: load a block, run the tape, store or accumulate ([`super::fold`]).

use super::lanes::{Registers, Step, whole};
use super::tape::{Arg, Instr, LANES};
use super::{Input, Map, Output, Reduced};
use crate::ir::DType;
use crate::runtime::cpu::isa::{Isa, Job};
use crate::runtime::cpu::memory::{Element, Shared, View};
use crate::runtime::cpu::random::Stream;
use crate::runtime::cpu::real::{Real, convert};
use std::ops::Range;

/// One task of a launch.
pub(super) struct Task<'a, R, C> {
    pub(super) map: &'a Map<R, C>,
    pub(super) isa: Isa,
    pub(super) task: usize,
    /// Of random numbers.
    pub(super) seed: u64,
    pub(super) inputs: &'a [View],
    pub(super) outputs: &'a [View],
    pub(super) accumulators: Shared<f64>,
    pub(super) registers: Registers<'a, C>,
    /// Of elements in f64.
    pub(super) wide: Registers<'a, f64>,
    /// Of values that vary with the rows, and of those that vary with the columns, which are there already.
    pub(super) rows: Registers<'a, f64>,
    pub(super) columns: Registers<'a, f64>,
    /// Where what each instruction of elements makes lies, in blocks that are whole.
    pub(super) lies: &'a [Lies],
}

/// Where the numbers of a register are.
#[derive(Clone, Copy)]
pub(super) enum Lies {
    /// In the register.
    Here,
    /// In an input, which nobody writes.
    Input(usize),
    /// In an output, where they belong.
    Output(usize),
}

impl<R: Real, C: Real> Map<R, C> {
    /// What needs no copy: by instruction of elements, given by input and by output whether no other is the same memory.
    pub(super) fn lies(&self, [inputs, outputs]: &[Vec<bool>; 2]) -> Vec<Lies> {
        let same = size_of::<R>() == size_of::<C>();
        let (body, makes) = (&self.tape.body, &self.tape.makes);
        let writes =
            |output: usize| outputs[output] && matches!(self.outputs[output], Output::Full { dtype: DType::Real });
        let reads = |input: usize| {
            let Input { dtype, inner, dense, .. } = self.inputs[input];
            let side_by_side = dense || self.space.rows_per_block == 1 && inner == 1;
            inputs[input] && dtype == DType::Real && side_by_side
        };
        // Sums down columns read rows of a block side by side: these come faster in one piece.
        let down = |to: usize| {
            let of = |it: &Reduced| it.keeps_inner && !it.direct && self.tape.roots[it.root] == Arg::Lane(to);
            self.reduced.iter().any(of)
        };
        let lies = |(instr, makes): (&Instr, &Option<usize>)| match (*makes, *instr) {
            (Some(output), _) if same && writes(output) => Lies::Output(output),
            (_, Instr::Load { input, to }) if same && reads(input) && !down(to) => Lies::Input(input),
            _ => Lies::Here,
        };
        body.instrs.iter().zip(makes).map(lies).collect()
    }
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
            self.isa.run(Bring { task: self, registers: &self.registers, instr, block: &block });
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
            let numbers = Block { offsets: &offsets, row, count, first: 0, inner: 1 };
            self.rows.execute(self.isa, &tape.rows.instrs, count, None, |instr| {
                self.isa.run(Bring { task: self, registers: &self.rows, instr, block: &numbers });
            });
            let block = &Block { offsets: &offsets, row, count, first, inner };
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
    fn elements(&self, block: &Block<'_>) {
        let (lanes, tape) = (whole(block.lanes()), &self.map.tape);
        // Instructions work on the block's lanes and on no others.
        let is_whole = lanes == block.lanes();
        let places = self.registers.places.expect("elements have places");
        for (instr, &lies) in tape.body.instrs.iter().zip(self.lies) {
            let lies = if is_whole { lies } else { Lies::Here };
            places[instr.to()].set(match lies {
                Lies::Here => self.registers.own(instr.to()),
                Lies::Input(input) => {
                    self.inputs[input].start.cast::<C>().wrapping_add(block.offsets[input * block.count] + block.first)
                }
                Lies::Output(output) => {
                    let from = block.row * self.map.space.inner + block.first;
                    self.outputs[output].start.cast::<C>().wrapping_add(from)
                }
            });
            match instr {
                Instr::Load { .. } if matches!(lies, Lies::Input(_)) => {}
                Instr::Load { .. } | Instr::Column { .. } | Instr::Row { .. } => {
                    self.isa.run(Bring { task: self, registers: &self.registers, instr, block });
                }
                Instr::Narrow { .. }
                | Instr::Fill { .. }
                | Instr::Unary { .. }
                | Instr::Binary { .. }
                | Instr::Fma { .. }
                | Instr::Select { .. } => {
                    self.isa.run(Step { registers: &self.registers, wide: Some(&self.wide), instr, lanes });
                }
            }
        }
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
    fn store(&self, at: usize, block: &Block<'_>) {
        let (from, lanes) = (block.row * self.map.space.inner + block.first, block.lanes());
        match &self.map.outputs[at] {
            Output::Reduced { .. } => {}
            Output::Full { dtype: DType::Int } => {
                let values = self.values(at, lanes);
                // SAFETY: blocks are disjoint parts of the output.
                let to = unsafe { self.outputs[at].shared::<i64>().part(from, lanes) };
                copy(to, values, |it| it.f64().round() as i64);
            }
            Output::Full { dtype: DType::Real | DType::U8 | DType::U16 | DType::Bf16 } => {
                let values = self.values(at, lanes);
                if values.as_ptr().cast() == self.outputs[at].shared::<R>().at(from).cast_const() {
                    return;
                }
                // SAFETY: as above.
                let to = unsafe { self.outputs[at].shared::<R>().part(from, lanes) };
                copy(to, values, convert::<C, R>);
            }
        }
    }
}

/// Some rows, or a piece of one.
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
}

/// An instruction that brings numbers into registers of elements. A job of its own, like [`Step`].
struct Bring<'a, 't, R, C, N> {
    task: &'t Task<'a, R, C>,
    registers: &'t Registers<'a, N>,
    instr: &'t Instr,
    block: &'t Block<'t>,
}

impl<R: Real, C: Real, N: Real> Job for Bring<'_, '_, R, C, N> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Bring { task, registers, instr, block } = self;
        let Block { offsets, count, first, inner, .. } = *block;
        match *instr {
            Instr::Load { input, to } => {
                let to = registers.write(to, block.lanes());
                load(task.map, task.inputs, task.seed, input, &offsets[input * count..][..count], (first, inner), to);
            }
            Instr::Column { from, to } => {
                let from = task.columns.read(from, inner);
                let to = registers.write(to, block.lanes());
                for row in 0..count {
                    copy(&mut to[row * inner..][..inner], from, N::of);
                }
            }
            Instr::Row { from, to } => {
                let from = task.rows.read(from, count);
                let to = registers.write(to, block.lanes());
                for row in 0..count {
                    let value = N::of(from[row]);
                    to[row * inner..][..inner].iter_mut().for_each(|it| *it = value);
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
    seed: u64,
    at: usize,
    offsets: &[usize],
    columns: (usize, usize),
    to: &mut [N],
) {
    let (input, view) = (&map.inputs[at], inputs[at]);
    if let Some(draws) = input.draws {
        // SAFETY: it holds the number of the step, which nobody writes before this launch is done.
        let step = unsafe { *view.start.cast::<i64>() } as u64;
        return drawn(Stream { seed, of: draws.stream, step }, draws.first, input, offsets, columns, to);
    }
    match input.dtype {
        DType::Real => load_rows(view, input, offsets, columns, to, |it: R| convert::<R, N>(it)),
        DType::U8 => load_rows(view, input, offsets, columns, to, |it: u8| N::of(f64::from(it))),
        DType::U16 => load_rows(view, input, offsets, columns, to, |it: u16| N::of(f64::from(it))),
        DType::Int => load_rows(view, input, offsets, columns, to, |it: i64| N::of(it as f64)),
        DType::Bf16 => unreachable!("refused when the kernel was loaded"),
    }
}

/// Rows of random numbers.
#[inline(always)]
fn drawn<N: Real>(
    stream: Stream,
    position: usize,
    input: &Input,
    offsets: &[usize],
    (first, inner): (usize, usize),
    to: &mut [N],
) {
    if input.dense {
        return stream.draw(position + offsets[0] + first, to);
    }
    for (row, &offset) in offsets.iter().enumerate() {
        let to = &mut to[row * inner..][..inner];
        match input.inner {
            1 => stream.draw(position + offset + first, to),
            stride => {
                for (at, to) in to.iter_mut().enumerate() {
                    stream.draw(position + offset + (first + at) * stride, std::slice::from_mut(to));
                }
            }
        }
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
        copy(to, unsafe { std::slice::from_raw_parts(start.add(offsets[0] + first), to.len()) }, read);
        return;
    }
    for (row, &offset) in offsets.iter().enumerate() {
        let to = &mut to[row * inner..][..inner];
        match input.inner {
            0 => {
                // SAFETY: see above.
                let value = read(unsafe { *start.add(offset) });
                to.iter_mut().for_each(|it| *it = value);
            }
            // SAFETY: see above.
            1 => copy(to, unsafe { std::slice::from_raw_parts(start.add(offset + first), inner) }, &read),
            stride => {
                for (at, to) in to.iter_mut().enumerate() {
                    // SAFETY: see above.
                    *to = read(unsafe { *start.add(offset + (first + at) * stride) });
                }
            }
        }
    }
}

/// Counts, like the loops of [`super::lanes`].
#[inline(always)]
fn copy<T: Copy, C>(to: &mut [C], from: &[T], read: impl Fn(T) -> C) {
    let from = &from[..to.len()];
    for at in 0..to.len() {
        to[at] = read(from[at]);
    }
}
