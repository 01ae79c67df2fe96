//! The scalar expression under construction: the body of a `fn`, of an operator, of a rate or of an optimizer.
//!
//! [`Scalars`] holds it, what an operator's body has as operands besides the geometry, and, while an operator is looked at for
//! itself, where its nodes come from.

pub(in crate::lower) mod building;
pub(in crate::lower) mod lift;
pub(in crate::lower) mod trace;

use crate::diag::Span;
use crate::ir::ScalarFn;
use crate::ir::expr::Pool;
use crate::lower::network::Network;
use crate::lower::report::budget::MOST_OPERATIONS;
use building::Building;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use trace::Trace;

/// The expression, and whose it is.
pub(in crate::lower) struct Scalars<'a> {
    network: Network<'a>,
    /// The expression under construction, inside a `fn` or an operator.
    pub(in crate::lower) pool: Option<Pool>,
    pub(in crate::lower) building: Option<Building>,
    /// While an operator is looked at for itself.
    pub(in crate::lower) trace: Option<Trace>,
    /// What operators that keep nothing make of a patch, by their definitions and constants.
    bodies: HashMap<(Span, String), ScalarFn>,
    /// Operators' bodies, simplified, and what became of those: most layers share one.
    simplified: HashMap<ScalarFn, ScalarFn>,
}

impl<'a> Deref for Scalars<'a> {
    type Target = Network<'a>;

    fn deref(&self) -> &Network<'a> {
        &self.network
    }
}

impl<'a> DerefMut for Scalars<'a> {
    fn deref_mut(&mut self) -> &mut Network<'a> {
        &mut self.network
    }
}

impl<'a> Scalars<'a> {
    pub(super) fn new(network: Network<'a>) -> Self {
        Self { network, pool: None, building: None, trace: None, bodies: HashMap::new(), simplified: HashMap::new() }
    }
}

impl Scalars<'_> {
    /// Whether the expression under construction may still grow.
    fn may_grow(&mut self, span: Span) -> bool {
        if self.pool.as_ref().is_some_and(|it| MOST_OPERATIONS < it.len()) {
            self.exhaust(span, "this function of numbers is too large", "where the bound was reached", |it| {
                it.note(format!("at most {MOST_OPERATIONS} operations after all calls are put in their places"))
                    .help("compute what is used twice once, and give it a name with `let`")
            });
        }
        !self.is_exhausted()
    }
}
