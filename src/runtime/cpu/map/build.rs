//! From a scalar function to a tape: levels, registers, folded products.

use super::tape::{Arg, Code, Instr, Level, Step, Tape};
use crate::ir::expr::{Binary, ExprNode, Scalar, ScalarFn, Unary};

/// Most values in f64: an argument that takes more is computed like all else.
const WIDE: usize = 12;

/// A tape in the making.
pub(super) struct Build<'a> {
    f: &'a ScalarFn,
    level: Vec<Level>,
    /// Users among the elements that are still to come; results count as one that never is.
    uses: Vec<usize>,
    /// Elements that are computed in f64: arguments of steep functions, and what they are made of.
    exact: Vec<bool>,
    /// Their registers.
    wide: Vec<Option<usize>>,
    /// Products that only one sum reads, computed there.
    folded: Vec<bool>,
    /// Uniform number of a node.
    uniform: Vec<Option<usize>>,
    /// Register of a node among those of its own level.
    own: Vec<Option<usize>>,
    /// Register of elements of a node.
    register: Vec<Option<usize>>,
    steps: Vec<Step>,
    free: Vec<usize>,
    prologue: Vec<Instr>,
    body: Code,
    /// Whether a block is one row.
    one_row: bool,
}

impl<'a> Build<'a> {
    /// See [`Tape::new`].
    pub(super) fn new(f: &'a ScalarFn, inputs: &[Level], short: bool, one_row: bool) -> Build<'a> {
        let count = f.nodes.len();
        let mut level: Vec<Level> = Vec::with_capacity(count);
        for node in &*f.nodes {
            let here = match *node {
                ExprNode::Input(at) => inputs[at as usize],
                _ => operands(node).fold(Level::Uniform, |it, operand| it.join(level[operand])),
            };
            level.push(here);
        }
        let exact = if short { exact(f, &level) } else { vec![false; count] };
        let mut uses = vec![0; count];
        for (at, node) in f.nodes.iter().enumerate().filter(|(at, _)| level[*at] == Level::Element) {
            let elsewhere = exact[at] || steep(node).is_some_and(|it| exact[it]);
            operands(node).filter(|_| !elsewhere).for_each(|it| uses[it] += 1);
        }
        for root in &*f.roots {
            uses[root.0 as usize] += 1;
        }
        let mut build = Build {
            f,
            level,
            uses,
            exact,
            wide: vec![None; count],
            folded: vec![false; count],
            uniform: vec![None; count],
            own: vec![None; count],
            register: vec![None; count],
            steps: Vec::new(),
            free: Vec::new(),
            prologue: Vec::new(),
            body: Code::default(),
            one_row,
        };
        for at in 0..count {
            if let Some((product, _)) = build.product(at) {
                build.folded[product] = true;
            }
        }
        build
    }

    /// Writes the tape.
    pub(super) fn finish(mut self) -> Tape {
        for at in 0..self.f.nodes.len() {
            if self.level[at] == Level::Uniform {
                self.step(at);
            }
        }
        let columns = self.narrow(Level::Column);
        let rows = self.narrow(Level::Row);
        let wide = self.wide();
        self.elements();
        let f = self.f;
        let roots: Vec<Arg> = f.roots.iter().map(|it| self.operand(it.0 as usize)).collect();
        let Build { steps, prologue, body, .. } = self;
        let mut makes = vec![None; body.instrs.len()];
        for (result, root) in roots.iter().enumerate() {
            let Arg::Lane(register) = root else { continue };
            // A result's register is never free again, so whoever writes it last makes it.
            let by = body.instrs.iter().rposition(|it| it.to() == *register);
            if let Some(by) = by.filter(|it| makes[*it].is_none()) {
                makes[by] = Some(result);
            }
        }
        Tape { steps, columns, rows, wide, prologue, body, roots, makes }
    }

    /// For a sum in which one term is a product nobody else reads: that product, and the other term.
    fn product(&self, at: usize) -> Option<(usize, usize)> {
        let ExprNode::Binary(Binary::Add, a, b) = self.f.nodes[at] else { return None };
        let fits = |it: Scalar| {
            let it = it.0 as usize;
            self.uses[it] == 1
                && !self.exact[it]
                && self.level[it] == Level::Element
                && matches!(self.f.nodes[it], ExprNode::Binary(Binary::Mul, _, _))
        };
        if a == b || self.level[at] != Level::Element || self.exact[at] {
            None
        } else if fits(a) {
            Some((a.0 as usize, b.0 as usize))
        } else if fits(b) {
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

    /// The code of columns or of rows. There is little of it: every value has a register of its own.
    fn narrow(&mut self, level: Level) -> Code {
        let mut code = Code::default();
        for at in (0..self.f.nodes.len()).filter(|&at| self.level[at] == level) {
            let arg = |it: Scalar| match self.uniform[it.0 as usize] {
                Some(it) => Arg::Uniform(it),
                None => Arg::Lane(self.own[it.0 as usize].expect("operands come first")),
            };
            let lane = |it: Scalar, code: &mut Code| match arg(it) {
                Arg::Lane(register) => register,
                Arg::Uniform(from) => {
                    let to = code.fresh();
                    code.instrs.push(Instr::Fill { from, to });
                    to
                }
                Arg::Row(_) => unreachable!("only elements are beside rows"),
            };
            let instr = match self.f.nodes[at] {
                ExprNode::Const(_) => unreachable!("a constant is uniform"),
                ExprNode::Input(input) => Instr::Load { input: input as usize, to: code.fresh() },
                ExprNode::Unary(op, a) => {
                    let a = lane(a, &mut code);
                    Instr::Unary { op, a, to: code.fresh() }
                }
                ExprNode::Binary(op, a, b) => Instr::Binary { op, a: arg(a), b: arg(b), to: code.fresh() },
                ExprNode::Select(cond, a, b) => {
                    let [cond, a, b] = [cond, a, b].map(|it| lane(it, &mut code));
                    Instr::Select { cond, a, b, to: code.fresh() }
                }
            };
            self.own[at] = Some(code.registers - 1);
            code.instrs.push(instr);
        }
        code
    }

    /// The code of elements in f64. There is little of it, too.
    fn wide(&mut self) -> Code {
        let mut code = Code::default();
        for at in (0..self.f.nodes.len()).filter(|&at| self.exact[at]) {
            for operand in operands(&self.f.nodes[at]) {
                if let (Some(from), None) = (self.own[operand], self.wide[operand]) {
                    let to = code.fresh();
                    code.instrs.push(match self.level[operand] {
                        Level::Column => Instr::Column { from, to },
                        _ => Instr::Row { from, to },
                    });
                    self.wide[operand] = Some(to);
                }
            }
            let arg = |it: Scalar| match self.uniform[it.0 as usize] {
                Some(it) => Arg::Uniform(it),
                None => Arg::Lane(self.wide[it.0 as usize].expect("operands come first")),
            };
            let instr = match self.f.nodes[at] {
                ExprNode::Input(input) => Instr::Load { input: input as usize, to: code.fresh() },
                ExprNode::Unary(op, a) => {
                    let Arg::Lane(a) = arg(a) else { unreachable!("an element is made of an element") };
                    Instr::Unary { op, a, to: code.fresh() }
                }
                ExprNode::Binary(op, a, b) => Instr::Binary { op, a: arg(a), b: arg(b), to: code.fresh() },
                ExprNode::Const(_) | ExprNode::Select(..) => unreachable!("{at} is not exact"),
            };
            self.wide[at] = Some(code.registers - 1);
            code.instrs.push(instr);
        }
        code
    }

    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| self.body.fresh())
    }

    /// Counts a use of `at` as done; its register is free after the last.
    fn release(&mut self, at: usize) {
        self.uses[at] -= 1;
        if self.uses[at] == 0
            && matches!(self.level[at], Level::Element | Level::Row)
            && let Some(register) = self.register[at]
        {
            self.free.push(register);
        }
    }

    /// An operand of an element, brought into a register at its first use.
    fn operand(&mut self, at: usize) -> Arg {
        if let Some(it) = self.uniform[at] {
            return Arg::Uniform(it);
        }
        if let Some(register) = self.register[at] {
            return Arg::Lane(register);
        }
        let own = self.own[at];
        if let (true, Level::Row, Some(own)) = (self.one_row, self.level[at], own) {
            return Arg::Row(own);
        }
        let to = match (self.level[at], &self.f.nodes[at]) {
            (Level::Column, _) => {
                // Stays for the whole task.
                let to = self.body.fresh();
                self.prologue.push(Instr::Column { from: own.expect("columns are done"), to });
                to
            }
            (Level::Row, _) => {
                let to = self.take();
                self.body.instrs.push(Instr::Row { from: own.expect("rows are done"), to });
                to
            }
            (_, ExprNode::Input(input)) => {
                let to = self.take();
                self.body.instrs.push(Instr::Load { input: *input as usize, to });
                to
            }
            _ => {
                let from = self.wide[at].expect("scheduled before its users");
                let to = self.take();
                self.body.instrs.push(Instr::Narrow { op: Unary::Stop, from, to });
                to
            }
        };
        self.register[at] = Some(to);
        Arg::Lane(to)
    }

    /// An operand that must be in a register.
    fn lane(&mut self, at: usize) -> usize {
        match self.operand(at) {
            Arg::Lane(register) => register,
            Arg::Uniform(from) => {
                // Never released, so filling it once per task is enough.
                let to = self.body.fresh();
                self.prologue.push(Instr::Fill { from, to });
                to
            }
            Arg::Row(from) => {
                let to = self.take();
                self.body.instrs.push(Instr::Row { from, to });
                self.register[at] = Some(to);
                to
            }
        }
    }

    fn elements(&mut self) {
        for at in 0..self.f.nodes.len() {
            if self.level[at] != Level::Element || self.folded[at] || self.exact[at] {
                continue;
            }
            if let (Some(a), ExprNode::Unary(op, _)) = (steep(&self.f.nodes[at]), &self.f.nodes[at])
                && self.exact[a]
            {
                let from = self.wide[a].expect("done before");
                let to = self.take();
                self.body.instrs.push(Instr::Narrow { op: *op, from, to });
                self.register[at] = Some(to);
                continue;
            }
            let instr = match self.f.nodes[at] {
                ExprNode::Const(_) | ExprNode::Input(_) => continue,
                ExprNode::Unary(op, a) => {
                    let a = self.lane(a.0 as usize);
                    Instr::Unary { op, to: self.take(), a }
                }
                ExprNode::Binary(op, a, b) => {
                    if let Some((product, c)) = self.product_of_folded(at) {
                        let ExprNode::Binary(_, a, b) = self.f.nodes[product] else { unreachable!("a product") };
                        let args = [a.0 as usize, b.0 as usize, c];
                        let [a, b, c] = args.map(|it| self.operand(it));
                        let to = self.take();
                        args.into_iter().for_each(|it| self.release(it));
                        self.register[at] = Some(to);
                        self.body.instrs.push(Instr::Fma { to, a, b, c });
                        continue;
                    }
                    let a = self.operand(a.0 as usize);
                    let b = self.operand(b.0 as usize);
                    Instr::Binary { op, to: self.take(), a, b }
                }
                ExprNode::Select(cond, a, b) => {
                    let [cond, a, b] = [cond, a, b].map(|it| self.lane(it.0 as usize));
                    Instr::Select { to: self.take(), cond, a, b }
                }
            };
            let (Instr::Unary { to, .. } | Instr::Binary { to, .. } | Instr::Select { to, .. }) = instr else {
                unreachable!("made above")
            };
            operands(&self.f.nodes[at]).for_each(|it| self.release(it));
            self.register[at] = Some(to);
            self.body.instrs.push(instr);
        }
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

/// The argument of a function whose slope has no bound.
fn steep(node: &ExprNode) -> Option<usize> {
    match node {
        ExprNode::Unary(Unary::Asin | Unary::Acos | Unary::AsinSlope, a) => Some(a.0 as usize),
        _ => None,
    }
}

/// By node, whether it is an element to be computed in f64.
fn exact(f: &ScalarFn, level: &[Level]) -> Vec<bool> {
    let is_element = |it: &usize| level[*it] == Level::Element;
    // Made of inputs by arithmetic alone, which costs little in f64.
    let mut cheap = vec![false; f.nodes.len()];
    for (at, node) in f.nodes.iter().enumerate() {
        let fits = match node {
            ExprNode::Const(_) | ExprNode::Input(_) => true,
            ExprNode::Unary(op, _) => matches!(op, Unary::Neg | Unary::Abs),
            ExprNode::Binary(op, ..) => {
                matches!(op, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Min | Binary::Max)
            }
            ExprNode::Select(..) => false,
        };
        cheap[at] = !is_element(&at) || fits && operands(node).all(|it| cheap[it]);
    }
    let mut exact = vec![false; f.nodes.len()];
    for a in f.nodes.iter().filter_map(steep).filter(is_element) {
        // An input has no more digits than it has.
        exact[a] = cheap[a] && !matches!(f.nodes[a], ExprNode::Input(_));
    }
    // Operands come before their users.
    for at in (0..f.nodes.len()).rev() {
        for operand in operands(&f.nodes[at]).filter(is_element) {
            exact[operand] |= exact[at];
        }
    }
    if WIDE < exact.iter().filter(|it| **it).count() {
        exact.fill(false);
    }
    exact
}

fn operands(node: &ExprNode) -> impl Iterator<Item = usize> + use<> {
    node.operands().map(|it| it.0 as usize)
}
