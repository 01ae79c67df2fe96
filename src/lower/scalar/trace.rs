//! What an operator's body is a function of, while the operator is looked at for itself.

use crate::diag::Span;
use crate::ir::expr::Interval;
use crate::ir::{NodeId, ScalarFn};
use crate::lower::network::response::monomial::FIRST_FREE;
use crate::lower::network::steps::Reach;
use crate::lower::scalar::Scalars;
use crate::lower::values::value::Value;
use std::collections::BTreeMap;

pub(in crate::lower) const TARGET: &str = "target";

pub(in crate::lower) const TRAINING: &str = "training";

/// No name of the language has a space.
pub(in crate::lower) const BATCH_MEAN: &str = "the batch's mean";

/// Where the nodes of a body under study come from.
#[derive(Debug, Default)]
pub(in crate::lower) struct Trace {
    /// For each node: the place in the operator's own text, and the place in the function it calls there.
    pub(in crate::lower) places: BTreeMap<u32, [Span; 2]>,
    /// How many calls were open when the study began.
    pub(in crate::lower) depth: usize,
    /// The angle, or its cosine, and the norms.
    pub(in crate::lower) geometry: Vec<Quantity>,
    /// What the operator learns and measures, and whether it sees a label, with its domain.
    pub(in crate::lower) extra: Vec<Quantity>,
    /// Of those, what is given: the updates done, or a node.
    pub(in crate::lower) outer: Vec<(Option<NodeId>, u32)>,
}

/// An argument of an operator's body.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Quantity {
    pub(in crate::lower) name: String,
    pub(in crate::lower) range: Interval,
    /// What it often is.
    pub(in crate::lower) usual: f64,
    /// Whether there is a derivative in it.
    pub(in crate::lower) moved: bool,
    /// Whether the operator is given it: the updates done, and constants that are no numbers yet.
    pub(in crate::lower) given: bool,
}

impl Quantity {
    /// Whether a layer or each filter learns it.
    pub(in crate::lower) fn is_learned(&self) -> bool {
        self.moved && !self.given && self.name != BATCH_MEAN
    }

    /// Whether it is 1 in training, 0 in evaluation.
    pub(in crate::lower) fn is_training(&self) -> bool {
        self.name == TRAINING
    }
}

impl Trace {
    /// A number that each filter or layer learns.
    pub(in crate::lower) fn learned(&mut self, name: &str, start: f64) {
        let reach = (2.0 * start.abs()).max(4.0);
        let range = Interval::new(start - reach, start + reach);
        self.extra.push(Quantity { name: name.to_owned(), range, usual: start, moved: true, given: false });
    }

    /// A running mean or maximum of numbers.
    pub(in crate::lower) fn measured(&mut self, name: &str, of: &ScalarFn, start: f64) {
        let (range, usual) = self.reach(of);
        let range = Interval::new(range.low.min(start), range.high.max(start));
        self.extra.push(Quantity { name: name.to_owned(), range, usual, moved: false, given: false });
    }

    /// Where a number can lie, and what it often is.
    fn reach(&self, of: &ScalarFn) -> (Interval, f64) {
        let quantities: Vec<&Quantity> = self.geometry.iter().chain(&self.extra).collect();
        let ranges: Vec<Interval> = quantities.iter().map(|it| it.range).collect();
        let usual: Vec<f64> = quantities.iter().map(|it| it.usual).collect();
        (of.interval(&ranges)[0], of.eval(&usual)[0])
    }

    /// The batch's mean of numbers.
    pub(in crate::lower) fn batch_mean(&mut self, of: &ScalarFn) {
        let (range, usual) = self.reach(of);
        self.extra.push(Quantity { name: BATCH_MEAN.to_owned(), range, usual, moved: true, given: false });
    }

    /// 1 in training, 0 in evaluation.
    pub(in crate::lower) fn training(&mut self) {
        let range = Interval::new(0.0, 1.0);
        self.extra.push(Quantity { name: TRAINING.to_owned(), range, usual: 1.0, moved: false, given: false });
    }

    /// 1 for the label's filter, 0 for others.
    pub(in crate::lower) fn target(&mut self) {
        let range = Interval::new(0.0, 1.0);
        self.extra.push(Quantity { name: TARGET.to_owned(), range, usual: 0.0, moved: false, given: false });
    }

    /// The place of the updates done in a run of this length.
    pub(in crate::lower) fn step(&mut self, iterations: u64) -> u32 {
        let last = iterations as f64;
        let reach = Reach { range: Interval::new(0.0, last), usual: (last / 2.0).floor(), moved: false };
        self.given("step", None, reach)
    }

    /// The place of a number that the operator is given: of the updates done, or of a node.
    pub(in crate::lower) fn given(&mut self, name: &str, node: Option<NodeId>, reach: Reach) -> u32 {
        if let Some(known) = self.outer.iter().find(|it| it.0 == node) {
            return known.1;
        }
        let Reach { range, usual, moved } = reach;
        self.extra.push(Quantity { name: name.to_owned(), range, usual, moved, given: true });
        let at = self.extra.len() as u32 - 1;
        self.outer.push((node, at));
        at
    }

    /// How many there are besides the geometry.
    pub(in crate::lower) fn quantities(&self) -> usize {
        self.extra.len()
    }
}

impl Scalars<'_> {
    /// The node of what the operator learns or measures last.
    pub(in crate::lower) fn studied_quantity(&mut self) -> Value {
        let Some(trace) = &self.trace else { return self.lost(self.model_span) };
        self.studied(trace.extra.len() as u32 - 1)
    }

    /// The node of what is no part of the geometry, by its place.
    pub(super) fn studied(&mut self, at: u32) -> Value {
        let Some(pool) = &mut self.pool else { return self.lost(self.model_span) };
        Value::Scalar(pool.input(FIRST_FREE + at))
    }

    /// Remembers where the nodes from `first` on come from.
    pub(super) fn trace(&mut self, first: usize, span: Span) {
        let (Some(trace), Some(pool)) = (&mut self.trace, &self.pool) else { return };
        let outer = self.network.calls().get(trace.depth).copied().unwrap_or(span);
        for node in first..pool.len() {
            trace.places.entry(node as u32).or_insert([outer, span]);
        }
    }
}
