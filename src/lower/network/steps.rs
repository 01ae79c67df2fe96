//! `step`, the updates done, and `iterations`, those of the whole run, where tensors are computed: in models, blocks,
//! operators, losses and penalties, and in the numbers that definitions are given there.
//!
//! ```text
//! operator annealed(x_norm, cos, share = 1) = x_norm * ((1 - share) * cos + share * cos ^ 3)
//!
//! sphere_conv(x, 10, operator: annealed(share: min(step / 5_000, 1)))
//! ```
//!
//! `step` is the counter that every run keeps, so a resumed one reads the same; evaluation reads how many updates were
//! done. A number made of it is a tensor without axes: it has no value yet where a shape or a compile-time `if` asks for one.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Interval;
use crate::ir::{Fill, Init, NodeId, Op, OriginId, StateRole};
use crate::lower::network::Network;
use crate::lower::values::types::number;
use crate::lower::values::value::{Tensor, Value};
use std::collections::BTreeMap;

/// The length of a run that nothing tells: of an operator in a file that others import.
pub(in crate::lower) const ANY_LENGTH: u64 = 1_000_000;

/// At how many steps of a run an assertion is looked at.
const LOOKS: u64 = 64;

/// Where a number that is the same everywhere can lie.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Reach {
    pub(in crate::lower) range: Interval,
    /// What it often is.
    pub(in crate::lower) usual: f64,
    /// Whether it is learned.
    pub(in crate::lower) moved: bool,
}

impl Network<'_> {
    /// The counter of updates.
    pub(super) fn step_counter(&mut self) -> NodeId {
        match self.graph.state_of(StateRole::Step) {
            Some(id) => self.graph.add(Op::State(id), &[], OriginId::default()).0,
            None => self.counter(StateRole::Step),
        }
    }

    /// How many updates are done.
    pub(in crate::lower) fn updates_done(&mut self) -> Tensor {
        let step = self.step_counter();
        Tensor { train: step, evaluate: step, owner: None }
    }

    /// Whether a tensor is one number, made of the updates done and constants alone.
    pub(super) fn goes_by_steps(&self, tensor: &Tensor) -> bool {
        self.reach(tensor).is_some_and(|it| !it.moved)
    }

    /// Where a tensor that is one number can lie, if it is made of the updates done, constants and what is learned alone.
    pub(in crate::lower) fn reach(&self, tensor: &Tensor) -> Option<Reach> {
        let last = self.iterations.unwrap_or(ANY_LENGTH) as f64;
        let steps = Interval::new(0.0, last);
        let usual = self.value_at(tensor, (last / 2.0).floor())?;
        let (range, moved) = self.folded(tensor, |op, operands: &[(Interval, bool)]| match op {
            Op::Const { fill: Fill::Value(it), .. } => Some((Interval::point(it.0), false)),
            Op::State(_) => Some((steps, false)),
            Op::Param(id) => match self.graph.param(*id).init {
                Init::Constant(start) => {
                    let reach = (2.0 * start.0.abs()).max(4.0);
                    Some((Interval::new(start.0 - reach, start.0 + reach), true))
                }
                _ => None,
            },
            Op::Map { body, .. } => {
                let ranges: Vec<Interval> = operands.iter().map(|it| it.0).collect();
                Some((*body.interval(&ranges).first()?, operands.iter().any(|it| it.1)))
            }
            Op::Reshape(_) => operands.first().copied(),
            _ => None,
        })?;
        Some(Reach { range, usual, moved })
    }

    /// What such a tensor is after so many updates, learned numbers being what they start as.
    fn value_at(&self, tensor: &Tensor, step: f64) -> Option<f64> {
        self.folded(tensor, |op, operands: &[f64]| match op {
            Op::Const { fill: Fill::Value(it), .. } => Some(it.0),
            Op::State(_) => Some(step),
            Op::Param(id) => match self.graph.param(*id).init {
                Init::Constant(start) => Some(start.0),
                _ => None,
            },
            Op::Map { body, .. } => body.eval(operands).first().copied(),
            Op::Reshape(_) => operands.first().copied(),
            _ => None,
        })
    }

    /// Goes through what a tensor without axes is made of, from its leaves on.
    fn folded<T: Copy>(&self, tensor: &Tensor, of: impl Fn(&Op, &[T]) -> Option<T>) -> Option<T> {
        let single = |id: NodeId| self.graph.fact(id).shape().is_some_and(|it| it.rank() == 0);
        if tensor.train != tensor.evaluate || !single(tensor.train) {
            return None;
        }
        let mut found: BTreeMap<NodeId, T> = BTreeMap::new();
        for id in self.graph.needed([tensor.train]) {
            let other =
                |it: &Op| matches!(it, Op::State(state) if Some(*state) != self.graph.state_of(StateRole::Step));
            if !single(id) || other(self.graph.op(id)) {
                return None;
            }
            let operands: Vec<T> = self.graph.operands(id).iter().filter_map(|it| found.get(it).copied()).collect();
            found.insert(id, of(self.graph.op(id), &operands)?);
        }
        found.get(&tensor.train).copied()
    }

    /// Whether a condition on such a tensor holds during the whole run.
    pub(in crate::lower) fn holds_at_all_steps(&self, condition: &Tensor) -> Option<bool> {
        if !self.goes_by_steps(condition) {
            return None;
        }
        let last = self.iterations.unwrap_or(ANY_LENGTH) as f64;
        let mut steps = (0..=LOOKS).map(|it| (last / LOOKS as f64 * it as f64).floor()).chain([1f64.min(last)]);
        Some(steps.all(|it| self.value_at(condition, it).is_some_and(|it| it == 1.0)))
    }

    /// A number made of the updates done, where the prelude asks for one that is known: the mistake of who gave it.
    pub(in crate::lower) fn not_of_steps(&mut self, value: &Value, asked: Span) -> Option<Value> {
        let Value::Tensor(tensor) = value else { return None };
        if asked.file != self.items.prelude || !self.goes_by_steps(tensor) {
            return None;
        }
        let call = self.users_place(asked);
        let text = self.sources.slice(call);
        let name = text.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or(text);
        let argument = self.sources.slice(asked);
        let of = match argument.chars().all(|it| it.is_alphanumeric() || it == '_') {
            true => format!("`{argument}` of `{name}`"),
            false => format!("a number of `{name}`"),
        };
        let report = Diagnostic::new(Code::E0104, call, format!("{of} cannot be made of `step`"))
            .label("must be known before the training")
            .help("give a number that stays as it is");
        Some(self.fail(report))
    }

    /// Such a tensor in a message: where it lies.
    pub(in crate::lower) fn lies(&self, value: &Value) -> Option<String> {
        let Value::Tensor(tensor) = value else { return None };
        let range = self.reach(tensor)?.range;
        Some(format!("between {} and {}", number(range.low), number(range.high)))
    }
}
