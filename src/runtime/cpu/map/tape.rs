//! A scalar function as a tape: instructions over registers of a few hundred lanes.
//!
//! Every node has a level: what it varies with. What is the same for all elements, for a column or for a row is computed
//! once for all of them, in f64 whatever the precision, and rounded where it meets the elements: norms and statistics
//! cost nothing there, and their rounding would be that of everything they scale.
//!
//! So are arguments of functions whose slope has no bound: near its end `acos` makes hundreds of roundings out of one.

use super::build::Build;
use super::lanes::{self, Operand};
use crate::ir::expr::{Binary, ScalarFn, Unary};

/// Lanes of a register.
pub(super) const LANES: usize = 512;

/// What a value varies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing: computed once per launch.
    Uniform,
    /// The innermost axis, which is short: once per launch.
    Column,
    /// The outer axes: once per row.
    Row,
    /// Both.
    Element,
}

impl Level {
    /// Of a value computed from two.
    pub(super) fn join(self, other: Level) -> Level {
        match (self, other) {
            (Level::Uniform, it) | (it, Level::Uniform) => it,
            (a, b) if a == b => a,
            _ => Level::Element,
        }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// A register.
    Lane(usize),
    /// One number for all lanes.
    Uniform(usize),
    /// One number for a row, where a block is one row or a piece of it: a register of rows.
    Row(usize),
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instr {
    /// Register from memory.
    Load { input: usize, to: usize },
    /// Register of elements from a register of columns.
    Column { from: usize, to: usize },
    /// Register of elements from a register of rows.
    Row { from: usize, to: usize },
    /// Register of elements from a register of elements in f64; [`Unary::Stop`] only rounds.
    Narrow { op: Unary, from: usize, to: usize },
    /// Register of one number.
    Fill { from: usize, to: usize },
    /// One operand.
    Unary { op: Unary, to: usize, a: usize },
    /// Two operands, at least one in a register.
    Binary { op: Binary, to: usize, a: Arg, b: Arg },
    /// `a * b + c`.
    Fma { to: usize, a: Arg, b: Arg, c: Arg },
    /// `cond != 0 ? a : b`.
    Select { to: usize, cond: usize, a: usize, b: usize },
}

impl Instr {
    /// The register that it writes.
    #[inline]
    pub(super) fn to(&self) -> usize {
        match *self {
            Instr::Load { to, .. }
            | Instr::Column { to, .. }
            | Instr::Row { to, .. }
            | Instr::Narrow { to, .. }
            | Instr::Fill { to, .. }
            | Instr::Unary { to, .. }
            | Instr::Binary { to, .. }
            | Instr::Fma { to, .. }
            | Instr::Select { to, .. } => to,
        }
    }
}

/// A step on numbers that are the same for all lanes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Const(f64),
    Input(usize),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Select(usize, usize, usize),
}

/// Instructions and how many registers they use.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) instrs: Vec<Instr>,
    pub(super) registers: usize,
}

impl Code {
    /// A register of its own.
    pub(super) fn fresh(&mut self) -> usize {
        self.registers += 1;
        self.registers - 1
    }
}

/// A compiled function.
#[derive(Debug)]
pub(super) struct Tape {
    pub(super) steps: Vec<Step>,
    /// In f64, once per launch.
    pub(super) columns: Code,
    /// In f64, once per block.
    pub(super) rows: Code,
    /// In f64, once per block: what [`Instr::Narrow`] takes from.
    pub(super) wide: Code,
    /// Fills registers of `body` that stay as they are; once per task.
    pub(super) prologue: Vec<Instr>,
    /// Once per block.
    pub(super) body: Code,
    /// Where the results are afterwards.
    pub(super) roots: Vec<Arg>,
    /// By instruction of `body`: the result that it makes, so that it can write it where it belongs.
    pub(super) makes: Vec<Option<usize>>,
}

impl Tape {
    /// Compiles a function whose input `i` varies as `levels[i]` says, for elements in f32 if they are `short`, and for
    /// blocks of `one_row` or of several. Operands must come before their users and inputs be in range.
    pub(super) fn new(f: &ScalarFn, levels: &[Level], short: bool, one_row: bool) -> Tape {
        Build::new(f, levels, short, one_row).finish()
    }

    /// The uniform numbers, given a reader of uniform inputs. `slope` is the smallest `1 - a^2` that the slope of
    /// `asin` sees.
    pub(super) fn uniforms(&self, slope: f64, mut read: impl FnMut(usize) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut to = [0.0];
            match *step {
                Step::Const(value) => to = [value],
                Step::Input(at) => to = [read(at)],
                Step::Unary(op, a) => lanes::unary::<f64, false>(op, &mut to, &[values[a]], slope),
                Step::Binary(op, a, b) => {
                    lanes::binary::<f64>(op, &mut to, Operand::Lanes(&[values[a]]), Operand::Lanes(&[values[b]]));
                }
                Step::Select(cond, a, b) => to = [values[if values[cond] != 0.0 { a } else { b }]],
            }
            values.push(to[0]);
        }
        values
    }
}
