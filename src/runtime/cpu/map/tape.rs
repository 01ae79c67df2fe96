//! A scalar function as a tape: instructions over registers of a few hundred lanes.
//!
//! Every node has a level. What depends on no axis is computed once per launch, in f64; what depends
//! on the innermost axis only once per task; the rest once per block.

use crate::ir::expr::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use crate::runtime::cpu::real::Real;

/// Lanes of a register.
pub(super) const LANES: usize = 512;

/// How often a value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Once per launch.
    Uniform,
    /// Once per task: all blocks hold the same.
    Task,
    /// With every block.
    Block,
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// A register.
    Lane(usize),
    /// One number for all lanes.
    Uniform(usize),
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instr {
    /// Register from memory.
    Load { input: usize, to: usize },
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

/// A step on numbers that are the same for all lanes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Const(f64),
    Input(usize),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Select(usize, usize, usize),
}

/// A compiled function.
#[derive(Debug)]
pub(super) struct Tape {
    steps: Vec<Step>,
    /// Run once per task.
    pub(super) prologue: Vec<Instr>,
    /// Run once per block.
    pub(super) body: Vec<Instr>,
    /// Where the results are afterwards.
    pub(super) roots: Vec<Arg>,
    /// Registers.
    pub(super) registers: usize,
}

impl Tape {
    /// Compiles a function whose input `i` changes as `levels[i]` says. Operands must come before
    /// their users and inputs be in range.
    pub(super) fn new(f: &ScalarFn, levels: &[Level]) -> Tape {
        let mut build = Build::new(f, levels);
        for at in 0..f.nodes.len() {
            if build.level[at] == Level::Uniform {
                build.step(at);
            }
        }
        let prologue = build.schedule(Level::Task);
        let body = build.schedule(Level::Block);
        let roots = f.roots.iter().map(|it| build.arg(it.0 as usize)).collect();
        Tape { steps: build.steps, prologue, body, roots, registers: build.registers }
    }

    /// The uniform numbers, given a reader of uniform inputs.
    pub(super) fn uniforms<C: Real>(&self, mut read: impl FnMut(usize) -> f64) -> Vec<C> {
        let mut values: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let value = match *step {
                Step::Const(value) => value,
                Step::Input(at) => read(at),
                Step::Unary(op, a) => {
                    let mut to = [0.0];
                    // The slope's floor belongs to the precision of the lanes.
                    if op == Unary::AsinSlope {
                        to = [asin_slope(values[a], C::SLOPE.f64())];
                    } else {
                        unary::<f64, false>(op, &mut to, &[values[a]]);
                    }
                    to[0]
                }
                Step::Binary(op, a, b) => {
                    let mut to = [0.0];
                    binary::<f64>(op, &mut to, Operand::Lanes(&[values[a]]), Operand::Lanes(&[values[b]]));
                    to[0]
                }
                Step::Select(cond, a, b) => {
                    if values[cond] != 0.0 {
                        values[a]
                    } else {
                        values[b]
                    }
                }
            };
            values.push(value);
        }
        values.into_iter().map(C::of).collect()
    }
}

struct Build<'a> {
    f: &'a ScalarFn,
    level: Vec<Level>,
    /// Users still to be scheduled; roots count as one that never is.
    uses: Vec<usize>,
    /// Products that only one sum reads, computed there.
    folded: Vec<bool>,
    /// Uniform number of a node.
    uniform: Vec<Option<usize>>,
    /// Register of a node.
    register: Vec<Option<usize>>,
    /// Registers that hold a uniform number.
    filled: Vec<(usize, usize)>,
    steps: Vec<Step>,
    free: Vec<usize>,
    registers: usize,
}

impl<'a> Build<'a> {
    fn new(f: &'a ScalarFn, inputs: &[Level]) -> Build<'a> {
        let count = f.nodes.len();
        let mut level = Vec::with_capacity(count);
        let mut uses = vec![0; count];
        for node in &f.nodes {
            let of = |it: Scalar, level: &Vec<Level>| level[it.0 as usize];
            let here = match *node {
                ExprNode::Const(_) => Level::Uniform,
                ExprNode::Input(at) => inputs[at as usize],
                ExprNode::Unary(_, a) => of(a, &level),
                ExprNode::Binary(_, a, b) => of(a, &level).max(of(b, &level)),
                ExprNode::Select(c, a, b) => of(a, &level).max(of(b, &level)).max(of(c, &level)),
            };
            level.push(here);
            for operand in operands(node) {
                uses[operand] += 1;
            }
        }
        for root in &f.roots {
            uses[root.0 as usize] += 1;
        }
        let mut build = Build {
            f,
            level,
            uses,
            folded: vec![false; count],
            uniform: vec![None; count],
            register: vec![None; count],
            filled: Vec::new(),
            steps: Vec::new(),
            free: Vec::new(),
            registers: 0,
        };
        for at in 0..count {
            if let Some((product, _)) = build.product(at) {
                build.folded[product] = true;
            }
        }
        build
    }

    /// For a sum in which one term is a product nobody else reads: that product, and the other term.
    fn product(&self, at: usize) -> Option<(usize, usize)> {
        let ExprNode::Binary(Binary::Add, a, b) = self.f.nodes[at] else { return None };
        let fits = |it: Scalar| {
            let it = it.0 as usize;
            self.uses[it] == 1
                && self.level[it] == self.level[at]
                && self.level[it] != Level::Uniform
                && matches!(self.f.nodes[it], ExprNode::Binary(Binary::Mul, _, _))
        };
        if fits(a) && a != b {
            Some((a.0 as usize, b.0 as usize))
        } else if fits(b) && a != b {
            Some((b.0 as usize, a.0 as usize))
        } else {
            None
        }
    }

    fn step(&mut self, at: usize) {
        let to = |it: Scalar| self.uniform[it.0 as usize].expect("operands of a uniform value are uniform");
        let step = match self.f.nodes[at] {
            ExprNode::Const(value) => Step::Const(value.0),
            ExprNode::Input(input) => Step::Input(input as usize),
            ExprNode::Unary(op, a) => Step::Unary(op, to(a)),
            ExprNode::Binary(op, a, b) => Step::Binary(op, to(a), to(b)),
            ExprNode::Select(cond, a, b) => Step::Select(to(cond), to(a), to(b)),
        };
        self.uniform[at] = Some(self.steps.len());
        self.steps.push(step);
    }

    fn arg(&self, at: usize) -> Arg {
        match self.uniform[at] {
            Some(it) => Arg::Uniform(it),
            None => Arg::Lane(self.register[at].expect("scheduled before its users")),
        }
    }

    fn take(&mut self, level: Level) -> usize {
        // What stays for the whole task gets registers of its own.
        let reused = if level == Level::Block { self.free.pop() } else { None };
        reused.unwrap_or_else(|| {
            self.registers += 1;
            self.registers - 1
        })
    }

    /// Counts a use of `at` as done; its register is free after the last.
    fn release(&mut self, at: usize) {
        self.uses[at] -= 1;
        if self.uses[at] == 0
            && self.level[at] == Level::Block
            && let Some(register) = self.register[at]
        {
            self.free.push(register);
        }
    }

    /// An operand that must be in a register.
    fn lane(&mut self, at: usize, level: Level, code: &mut Vec<Instr>) -> usize {
        if let Some(from) = self.uniform[at] {
            if let Some(&(_, register)) = self.filled.iter().find(|(it, _)| *it == from) {
                return register;
            }
            // Filled in each block anew when first needed there; never released, so it is whole.
            self.registers += 1;
            let to = self.registers - 1;
            code.push(Instr::Fill { from, to });
            if level == Level::Task {
                self.filled.push((from, to));
            }
            return to;
        }
        self.load(at, level, code);
        self.register[at].expect("scheduled before its users")
    }

    /// Loads an input at its first use.
    fn load(&mut self, at: usize, level: Level, code: &mut Vec<Instr>) {
        if let ExprNode::Input(input) = self.f.nodes[at]
            && self.register[at].is_none()
            && self.uniform[at].is_none()
        {
            let to = self.take(level);
            code.push(Instr::Load { input: input as usize, to });
            self.register[at] = Some(to);
        }
    }

    fn operand(&mut self, at: usize, level: Level, code: &mut Vec<Instr>) -> Arg {
        self.load(at, level, code);
        self.arg(at)
    }

    fn schedule(&mut self, level: Level) -> Vec<Instr> {
        let mut code = Vec::new();
        let mut inputs_of_task = Vec::new();
        for at in 0..self.f.nodes.len() {
            if self.level[at] != level {
                continue;
            }
            // Inputs of the task's level may first be used by a block: they are loaded up front.
            if level == Level::Task && matches!(self.f.nodes[at], ExprNode::Input(_)) {
                inputs_of_task.push(at);
            }
        }
        for at in inputs_of_task {
            self.load(at, level, &mut code);
        }
        for at in 0..self.f.nodes.len() {
            if self.level[at] != level || self.folded[at] {
                continue;
            }
            let instr = match self.f.nodes[at] {
                ExprNode::Const(_) | ExprNode::Input(_) => continue,
                ExprNode::Unary(op, a) => {
                    let a = self.lane(a.0 as usize, level, &mut code);
                    Instr::Unary { op, to: self.take(level), a }
                }
                ExprNode::Binary(op, a, b) => {
                    if let Some((product, c)) = self.product_of_folded(at) {
                        let ExprNode::Binary(_, a, b) = self.f.nodes[product] else { unreachable!("a product") };
                        let args = [a.0 as usize, b.0 as usize, c];
                        let [a, b, c] = args.map(|it| self.operand(it, level, &mut code));
                        let to = self.take(level);
                        args.into_iter().for_each(|it| self.release(it));
                        self.register[at] = Some(to);
                        code.push(Instr::Fma { to, a, b, c });
                        continue;
                    }
                    let a = self.operand(a.0 as usize, level, &mut code);
                    let b = self.operand(b.0 as usize, level, &mut code);
                    Instr::Binary { op, to: self.take(level), a, b }
                }
                ExprNode::Select(cond, a, b) => {
                    let cond = self.lane(cond.0 as usize, level, &mut code);
                    let a = self.lane(a.0 as usize, level, &mut code);
                    let b = self.lane(b.0 as usize, level, &mut code);
                    Instr::Select { to: self.take(level), cond, a, b }
                }
            };
            let (Instr::Unary { to, .. } | Instr::Binary { to, .. } | Instr::Select { to, .. }) = instr else {
                unreachable!("made above")
            };
            for operand in operands(&self.f.nodes[at]) {
                self.release(operand);
            }
            self.register[at] = Some(to);
            code.push(instr);
        }
        // A root may be an input itself.
        for root in &self.f.roots {
            if self.level[root.0 as usize] == level {
                self.load(root.0 as usize, level, &mut code);
            }
        }
        code
    }

    fn product_of_folded(&self, at: usize) -> Option<(usize, usize)> {
        let ExprNode::Binary(Binary::Add, a, b) = self.f.nodes[at] else { return None };
        let (a, b) = (a.0 as usize, b.0 as usize);
        if self.folded[a] && self.uses[a] == 1 && a != b {
            Some((a, b))
        } else if self.folded[b] && self.uses[b] == 1 && a != b {
            Some((b, a))
        } else {
            None
        }
    }
}

fn operands(node: &ExprNode) -> impl Iterator<Item = usize> {
    let list = match *node {
        ExprNode::Const(_) | ExprNode::Input(_) => [None; 3],
        ExprNode::Unary(_, a) => [Some(a), None, None],
        ExprNode::Binary(_, a, b) => [Some(a), Some(b), None],
        ExprNode::Select(c, a, b) => [Some(c), Some(a), Some(b)],
    };
    list.into_iter().flatten().map(|it| it.0 as usize)
}

fn asin_slope(a: f64, floor: f64) -> f64 {
    let rest = 1.0 - a * a;
    1.0 / (if rest < floor { floor } else { rest }).sqrt()
}

macro_rules! lanes {
    ($to:ident, $a:ident, |$x:ident| $value:expr) => {
        for (to, &$x) in $to.iter_mut().zip($a) {
            *to = $value;
        }
    };
}

/// One operand over all lanes.
#[inline(always)]
pub(super) fn unary<C: Real, const FMA: bool>(op: Unary, to: &mut [C], a: &[C]) {
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
        Unary::Sqrt => lanes!(to, a, |x| (if x < zero { zero } else { x }).sqrt()),
        Unary::Rsqrt => lanes!(to, a, |x| one / x.sqrt()),
        Unary::Exp => lanes!(to, a, |x| x.exp::<FMA>()),
        Unary::Expm1 => lanes!(to, a, |x| x.expm1::<FMA>()),
        Unary::Log => lanes!(to, a, |x| x.log::<FMA>()),
        Unary::Log1p => lanes!(to, a, |x| x.log1p::<FMA>()),
        Unary::Sin => lanes!(to, a, |x| x.sin::<FMA>()),
        Unary::Cos => lanes!(to, a, |x| x.cos::<FMA>()),
        Unary::Tanh => lanes!(to, a, |x| x.tanh::<FMA>()),
        Unary::Logistic => lanes!(to, a, |x| one / (one + (-x).exp::<FMA>())),
        Unary::Asin => lanes!(to, a, |x| x.asin::<FMA>()),
        Unary::Acos => lanes!(to, a, |x| x.acos::<FMA>()),
        Unary::AsinSlope => {
            let floor = C::SLOPE;
            lanes!(to, a, |x| {
                // As a product of exact differences: no cancellation near 1.
                let rest = (one - x) * (one + x);
                one / (if rest < floor { floor } else { rest }).sqrt()
            })
        }
        Unary::Atan => lanes!(to, a, |x| x.atan::<FMA>()),
        Unary::Floor => lanes!(to, a, |x| x.floor()),
        Unary::Stop => to.copy_from_slice(a),
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
            (Operand::Lanes(a), Operand::Lanes(b)) => {
                for (to, (&$x, &$y)) in $to.iter_mut().zip(a.iter().zip(b)) {
                    *to = $value;
                }
            }
            (Operand::Lanes(a), Operand::Same($y)) => {
                for (to, &$x) in $to.iter_mut().zip(a) {
                    *to = $value;
                }
            }
            (Operand::Same($x), Operand::Lanes(b)) => {
                for (to, &$y) in $to.iter_mut().zip(b) {
                    *to = $value;
                }
            }
            (Operand::Same($x), Operand::Same($y)) => $to.fill($value),
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
        Binary::Min => pairs!(to, a, b, |x, y| if x < y { x } else { y }),
        Binary::Max => pairs!(to, a, b, |x, y| if y < x { x } else { y }),
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
            for (to, ((&a, &b), &c)) in to.iter_mut().zip(a.iter().zip(b).zip(c)) {
                *to = a.fma::<FMA>(b, c);
            }
        }
        (Operand::Lanes(a), Operand::Same(b), Operand::Lanes(c)) => {
            for (to, (&a, &c)) in to.iter_mut().zip(a.iter().zip(c)) {
                *to = a.fma::<FMA>(b, c);
            }
        }
        (Operand::Lanes(a), Operand::Lanes(b), Operand::Same(c)) => {
            for (to, (&a, &b)) in to.iter_mut().zip(a.iter().zip(b)) {
                *to = a.fma::<FMA>(b, c);
            }
        }
        (Operand::Lanes(a), Operand::Same(b), Operand::Same(c)) => {
            for (to, &a) in to.iter_mut().zip(a) {
                *to = a.fma::<FMA>(b, c);
            }
        }
        (Operand::Same(a), b, c) => {
            // Both factors are uniform: then so is the product, and it is no node of its own.
            let Operand::Same(b) = b else { unreachable!("swapped above") };
            binary(Binary::Add, to, Operand::Same(a * b), c);
        }
    }
}
