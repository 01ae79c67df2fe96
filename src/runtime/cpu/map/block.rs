//! Running a task of a map: load a block, run the tape, store or accumulate ([`super::fold`]).

use super::lanes::Registers;
use super::tape::{Arg, Instr, LANES};
use super::{Input, Map, Output};
use crate::ir::DType;
use crate::runtime::cpu::isa::{Isa, Job};
use crate::runtime::cpu::kernel::share;
use crate::runtime::cpu::memory::{Element, Shared, View};
use crate::runtime::cpu::real::{Real, convert};

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

impl<R: Real, C: Real> Job for Task<'_, R, C> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let space = &self.map.space;
        let positions = space.rows * space.pieces;
        let units = positions.div_ceil(space.unit);
        let range = share(units, space.tasks, self.task);
        let (from, to) = (range.start * space.unit, (range.end * space.unit).min(positions));
        let outer = &space.outer;
        let mut rows = Rows { outer, index: vec![0; outer.len()], row: 0 };
        self.clear(from / space.pieces, to.div_ceil(space.pieces));
        let tape = &self.map.tape;
        // Of a row that is cut into pieces there are no columns.
        let most = space.rows_per_block * space.inner.min(LANES);
        self.registers.execute(self.isa, &tape.prologue, most, None, |instr| {
            self.fetch(&self.registers, instr, &[], space.rows_per_block, 0, space.inner);
        });
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
                if let Instr::Load { input, to } = instr {
                    let offsets = &offsets[input * count..][..count];
                    load(self.map, self.inputs, input, offsets, (0, 1), self.rows.write(to, count));
                }
            });
            let lanes = count * inner;
            self.wide.execute(self.isa, &tape.wide.instrs, lanes, None, |instr| {
                self.fetch(&self.wide, instr, &offsets, count, first, inner);
            });
            self.registers.execute(self.isa, &tape.body.instrs, lanes, Some(self.wide), |instr| {
                self.fetch(&self.registers, instr, &offsets, count, first, inner);
            });
            for at in 0..self.outputs.len() {
                self.store(at, row, count, first, inner);
            }
            for reduced in &self.map.reduced {
                self.reduce(reduced, row, count, first, inner);
            }
            position += count;
        }
        self.finish(from / space.pieces, to.div_ceil(space.pieces));
    }
}

impl<R: Real, C: Real> Task<'_, R, C> {
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

    /// Brings numbers into registers of elements.
    #[inline(always)]
    fn fetch<N: Real>(
        &self,
        registers: &Registers<'_, N>,
        instr: Instr,
        offsets: &[usize],
        count: usize,
        first: usize,
        inner: usize,
    ) {
        match instr {
            Instr::Load { input, to } => {
                let to = registers.write(to, count * inner);
                load(self.map, self.inputs, input, &offsets[input * count..][..count], (first, inner), to);
            }
            Instr::Column { from, to } => {
                let from = self.columns.read(from, inner);
                for to in registers.write(to, count * inner).chunks_exact_mut(inner) {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = N::of(*from);
                    }
                }
            }
            Instr::Row { from, to } => {
                let from = self.rows.read(from, count);
                let to = registers.write(to, count * inner);
                for (to, from) in to.chunks_exact_mut(inner).zip(from) {
                    to.fill(N::of(*from));
                }
            }
            _ => unreachable!("it works on registers alone"),
        }
    }

    /// The numbers of result `at` in the current block.
    #[inline(always)]
    pub(super) fn values(&self, at: usize, lanes: usize) -> &[C] {
        // A uniform result is spread over the spare register.
        let register = match self.map.tape.roots[at] {
            Arg::Lane(register) => register,
            Arg::Uniform(from) => {
                let spare = self.map.tape.body.registers;
                self.registers.write(spare, lanes).fill(self.registers.uniforms[from]);
                spare
            }
        };
        self.registers.read(register, lanes)
    }

    #[inline(always)]
    fn store(&self, at: usize, row: usize, count: usize, first: usize, inner: usize) {
        let space = &self.map.space;
        let lanes = count * inner;
        match &self.map.outputs[at] {
            Output::Reduced { .. } => {}
            Output::Full { dtype: DType::Int } => {
                let values = self.values(at, lanes);
                // SAFETY: blocks are disjoint parts of the output.
                let to = unsafe { self.outputs[at].shared::<i64>().part(row * space.inner + first, lanes) };
                for (to, value) in to.iter_mut().zip(values) {
                    *to = value.f64().round() as i64;
                }
            }
            Output::Full { dtype: DType::Real | DType::U8 | DType::Bf16 } => {
                let values = self.values(at, lanes);
                // SAFETY: as above.
                let to = unsafe { self.outputs[at].shared::<R>().part(row * space.inner + first, lanes) };
                for (to, value) in to.iter_mut().zip(values) {
                    *to = convert::<C, R>(*value);
                }
            }
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
