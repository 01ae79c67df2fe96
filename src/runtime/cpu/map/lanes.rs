//! What an instruction does to its lanes, in either precision.

use super::tape::{Arg, Instr};
use crate::ir::expr::{Binary, Unary};
use crate::runtime::cpu::isa::{Isa, Job};
use crate::runtime::cpu::memory::Shared;
use crate::runtime::cpu::real::Real;
use std::cell::Cell;

/// The registers that some code works on.
#[derive(Clone, Copy)]
pub(super) struct Registers<'a, C> {
    /// This thread's memory, or the launch's.
    pub(super) memory: Shared<C>,
    /// Lanes of a register.
    pub(super) pitch: usize,
    /// Where each register is, where some lie elsewhere: what is read or written where it lies needs no copy.
    pub(super) places: Option<&'a [Cell<*mut C>]>,
    /// What is the same for all lanes of a block of one row; in f64.
    pub(super) row: Option<&'a Registers<'a, f64>>,
    /// Numbers that all lanes share.
    pub(super) uniforms: &'a [C],
    /// The smallest `1 - a^2` that the slope of `asin` sees.
    pub(super) slope: C,
}

impl<'a, C: Real> Registers<'a, C> {
    /// A register's first lanes, to read.
    #[inline(always)]
    pub(super) fn read(&self, register: usize, lanes: usize) -> &'a [C] {
        match self.places {
            // SAFETY: what lies elsewhere has room for the lanes of a block; else as below.
            Some(places) => unsafe { std::slice::from_raw_parts(places[register].get(), lanes) },
            // SAFETY: nobody else writes this memory; the code never writes a register that it reads in the same instruction.
            None => unsafe { self.memory.slice(register * self.pitch, lanes) },
        }
    }

    /// A register's first lanes, to write.
    #[inline(always)]
    pub(super) fn write(&self, register: usize, lanes: usize) -> &'a mut [C] {
        match self.places {
            // SAFETY: as above.
            Some(places) => unsafe { std::slice::from_raw_parts_mut(places[register].get(), lanes) },
            // SAFETY: as above.
            None => unsafe { self.memory.part(register * self.pitch, lanes) },
        }
    }

    /// Where a register is of itself.
    pub(super) fn own(&self, register: usize) -> *mut C {
        self.memory.at(register * self.pitch)
    }

    #[inline(always)]
    fn operand(&self, arg: Arg, lanes: usize) -> Operand<'a, C> {
        match arg {
            Arg::Lane(register) => Operand::Lanes(self.read(register, lanes)),
            Arg::Uniform(at) => Operand::Same(self.uniforms[at]),
            Arg::Row(at) => Operand::Same(self.row(at)),
        }
    }

    /// What is the same for all lanes of a row.
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> C {
        let row = self.row.expect("only elements are beside rows");
        C::of(row.read(at, 1)[0])
    }

    /// Runs code on so many lanes; `fetch` does what brings numbers in from elsewhere, `wide` has those in f64.
    #[inline(always)]
    pub(super) fn execute(
        &self,
        isa: Isa,
        code: &[Instr],
        lanes: usize,
        wide: Option<&Registers<'a, f64>>,
        mut fetch: impl FnMut(&Instr),
    ) {
        let lanes = whole(lanes);
        for instr in code {
            match instr {
                Instr::Load { .. } | Instr::Column { .. } | Instr::Row { .. } => fetch(instr),
                _ => isa.run(Step { registers: self, wide, instr, lanes }),
            }
        }
    }
}

/// Lanes that instructions work on, for so many that count.
#[inline(always)]
pub(super) fn whole(lanes: usize) -> usize {
    if lanes <= 8 { lanes } else { lanes.next_multiple_of(WHOLE) }
}

/// An instruction on registers alone. A job of its own, so that the loops of all functions are compiled once for each set of
/// vector instructions and precision, and not wherever code is run.
pub(super) struct Step<'a, 't, C> {
    pub(super) registers: &'t Registers<'a, C>,
    pub(super) wide: Option<&'t Registers<'a, f64>>,
    pub(super) instr: &'t Instr,
    pub(super) lanes: usize,
}

impl<C: Real> Job for Step<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Step { registers: it, wide, instr, lanes } = self;
        match *instr {
            Instr::Load { .. } | Instr::Column { .. } | Instr::Row { .. } => unreachable!("they bring numbers in"),
            Instr::Narrow { op, from, to } => {
                let wide = wide.expect("only elements are narrowed");
                narrow::<C, FMA>(op, it.write(to, lanes), wide.read(from, lanes), it.slope);
            }
            Instr::Fill { from, to } => {
                let value = it.uniforms[from];
                it.write(to, lanes).iter_mut().for_each(|it| *it = value);
            }
            Instr::Unary { op, to, a } => unary::<C, FMA>(op, it.write(to, lanes), it.read(a, lanes), it.slope),
            Instr::Binary { op, to, a, b } => {
                let (a, b) = (it.operand(a, lanes), it.operand(b, lanes));
                binary(op, it.write(to, lanes), a, b);
            }
            Instr::Fma { to, a, b, c } => {
                let (a, b, c) = (it.operand(a, lanes), it.operand(b, lanes), it.operand(c, lanes));
                fma::<C, FMA>(it.write(to, lanes), a, b, c);
            }
            Instr::Select { to, cond, a, b } => {
                let (cond, a, b) = (it.read(cond, lanes), it.read(a, lanes), it.read(b, lanes));
                let to = it.write(to, lanes);
                for at in 0..to.len().min(cond.len()).min(a.len()).min(b.len()) {
                    to[at] = if cond[at] != C::ZERO { a[at] } else { b[at] };
                }
            }
        }
    }
}

/// Loops run over multiples of so many lanes, so that they have no tail; registers are long enough.
pub(super) const WHOLE: usize = 64;

// Loops count, rather than zip iterators: these would not all be inlined into the one function that has all loops, and what
// goes through memory there waits for results that are on their way to it.
macro_rules! lanes {
    ($to:ident, $a:ident, |$x:ident| $value:expr) => {{
        let a = &$a[..$to.len()];
        for at in 0..$to.len() {
            let $x = a[at];
            $to[at] = $value;
        }
    }};
}

macro_rules! both {
    ($to:ident, $a:ident, $b:ident, |$x:ident, $y:ident| $value:expr) => {{
        let (a, b) = (&$a[..$to.len()], &$b[..$to.len()]);
        for at in 0..$to.len() {
            let ($x, $y) = (a[at], b[at]);
            $to[at] = $value;
        }
    }};
}

/// One operand over all lanes. `slope` is the smallest `1 - a^2` that the slope of `asin` sees.
#[inline(always)]
pub(super) fn unary<C: Real, const FMA: bool>(op: Unary, to: &mut [C], a: &[C], slope: C) {
    let (zero, one) = (C::ZERO, C::ONE);
    match op {
        Unary::Neg => lanes!(to, a, |x| -x),
        Unary::Abs => lanes!(to, a, |x| x.abs()),
        Unary::Sign => lanes!(to, a, |x| if zero < x {
            one
        } else if x < zero {
            -one
        } else {
            x
        }),
        Unary::Sqrt => lanes!(to, a, |x| x.sqrt()),
        Unary::Rsqrt => lanes!(to, a, |x| one / x.sqrt()),
        Unary::Exp => lanes!(to, a, |x| x.exp::<FMA>()),
        Unary::Expm1 => lanes!(to, a, |x| x.expm1::<FMA>()),
        Unary::Log => lanes!(to, a, |x| x.log::<FMA>()),
        Unary::Log1p => lanes!(to, a, |x| x.log1p::<FMA>()),
        Unary::Sin => {
            lanes!(to, a, |x| x.sin::<FMA>());
            far(to, a, f64::sin);
        }
        Unary::Cos => {
            lanes!(to, a, |x| x.cos::<FMA>());
            far(to, a, f64::cos);
        }
        Unary::Tanh => lanes!(to, a, |x| x.tanh::<FMA>()),
        Unary::Logistic => lanes!(to, a, |x| {
            // Never infinite.
            let e = (-x.abs()).exp::<FMA>();
            (if x < zero { e } else { one }) / (one + e)
        }),
        Unary::Erf => lanes!(to, a, |x| x.erf::<FMA>()),
        Unary::Asin => lanes!(to, a, |x| x.asin::<FMA>()),
        Unary::Acos => lanes!(to, a, |x| x.acos::<FMA>()),
        Unary::AsinSlope => lanes!(to, a, |x| {
            // As a product of exact differences: no cancellation near 1.
            let rest = (one - x) * (one + x);
            one / (if rest < slope { slope } else { rest }).sqrt()
        }),
        Unary::Atan => lanes!(to, a, |x| x.atan::<FMA>()),
        Unary::Floor => lanes!(to, a, |x| x.floor()),
        Unary::Stop => to.copy_from_slice(a),
    }
}

/// Angles of so many turns that their fast reduction fails: few or none.
#[inline(always)]
fn far<C: Real>(to: &mut [C], a: &[C], exact: fn(f64) -> f64) {
    let limit = C::of(1e8);
    if a.iter().fold(false, |any, x| any | (limit < x.abs())) {
        for (to, x) in to.iter_mut().zip(a).filter(|it| limit < it.1.abs()) {
            *to = C::of(exact(x.f64()));
        }
    }
}

/// One operand in f64 over all lanes, for the functions that need it so.
#[inline(always)]
pub(super) fn narrow<C: Real, const FMA: bool>(op: Unary, to: &mut [C], a: &[f64], slope: C) {
    match op {
        Unary::Asin => lanes!(to, a, |x| C::asin_of::<FMA>(x)),
        Unary::Acos => lanes!(to, a, |x| C::acos_of::<FMA>(x)),
        Unary::AsinSlope => lanes!(to, a, |x| {
            let rest = C::of((1.0 - x) * (1.0 + x));
            C::ONE / (if rest < slope { slope } else { rest }).sqrt()
        }),
        Unary::Stop => lanes!(to, a, |x| C::of(x)),
        _ => unreachable!("its slope is bounded"),
    }
}

/// An operand as the loops see it.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a, C> {
    /// One number for all lanes.
    Same(C),
    /// A number for each lane.
    Lanes(&'a [C]),
}

macro_rules! pairs {
    ($to:ident, $a:ident, $b:ident, |$x:ident, $y:ident| $value:expr) => {
        match ($a, $b) {
            (Operand::Lanes(a), Operand::Lanes(b)) => both!($to, a, b, |$x, $y| $value),
            (Operand::Lanes(a), Operand::Same($y)) => lanes!($to, a, |$x| $value),
            (Operand::Same($x), Operand::Lanes(b)) => lanes!($to, b, |$y| $value),
            (Operand::Same($x), Operand::Same($y)) => {
                let value = $value;
                $to.iter_mut().for_each(|it| *it = value)
            }
        }
    };
}

/// Two operands over all lanes.
#[inline(always)]
pub(super) fn binary<C: Real>(op: Binary, to: &mut [C], a: Operand<'_, C>, b: Operand<'_, C>) {
    let (zero, one) = (C::ZERO, C::ONE);
    match op {
        Binary::Add => pairs!(to, a, b, |x, y| x + y),
        Binary::Sub => pairs!(to, a, b, |x, y| x - y),
        Binary::Mul => pairs!(to, a, b, |x, y| x * y),
        Binary::Div => pairs!(to, a, b, |x, y| x / y),
        Binary::Pow => pairs!(to, a, b, |x, y| x.pow(y)),
        Binary::Min => pairs!(to, a, b, |x, y| if x < y || x.is_nan() { x } else { y }),
        Binary::Max => pairs!(to, a, b, |x, y| x.larger(y)),
        Binary::Lt => pairs!(to, a, b, |x, y| if x < y { one } else { zero }),
        Binary::Le => pairs!(to, a, b, |x, y| if x <= y { one } else { zero }),
        Binary::Eq => pairs!(to, a, b, |x, y| if x == y { one } else { zero }),
    }
}

/// `a * b + c` over all lanes.
#[inline(always)]
pub(super) fn fma<C: Real, const FMA: bool>(to: &mut [C], a: Operand<'_, C>, b: Operand<'_, C>, c: Operand<'_, C>) {
    // Products commute, so a lone number is second.
    let (a, b) = if let Operand::Same(_) = a { (b, a) } else { (a, b) };
    match (a, b, c) {
        (Operand::Lanes(a), Operand::Lanes(b), Operand::Lanes(c)) => {
            let (a, b, c) = (&a[..to.len()], &b[..to.len()], &c[..to.len()]);
            for at in 0..to.len() {
                to[at] = a[at].fma::<FMA>(b[at], c[at]);
            }
        }
        (Operand::Lanes(a), Operand::Lanes(b), Operand::Same(z)) => {
            both!(to, a, b, |x, y| x.fma::<FMA>(y, z));
        }
        (Operand::Lanes(a), Operand::Same(y), Operand::Lanes(c)) => {
            both!(to, a, c, |x, z| x.fma::<FMA>(y, z));
        }
        (Operand::Lanes(a), Operand::Same(y), Operand::Same(z)) => lanes!(to, a, |x| x.fma::<FMA>(y, z)),
        (Operand::Same(a), b, c) => {
            // Both factors are uniform: then so is the product, and it is not a node of its own.
            let Operand::Same(b) = b else { unreachable!("swapped above") };
            binary(Binary::Add, to, Operand::Same(a * b), c);
        }
    }
}
