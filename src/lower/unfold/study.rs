//! Operators built outside of any layer, to be looked at as a whole.

use crate::diag::Span;
use crate::ir::expr::{Interval, Pool};
use crate::lower::names::items::{Def, Home};
use crate::lower::scalar::building::{Angle, Building};
use crate::lower::scalar::trace::{Quantity, Trace};
use crate::lower::study::Study;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::OperatorRef;
use std::f64::consts::PI;

/// Norms are looked at up to here.
const LARGEST_NORM: f64 = 1e6;

impl<'a> Unfold<'a> {
    /// Looks at the operators that the file itself defines, used or not.
    pub(in crate::lower) fn check_operators(&mut self) {
        let items = self.items;
        for (_, item) in items.iter().filter(|it| it.1.home == Home::Main) {
            if let Def::Operator(def) = &item.def {
                self.check_operator(&OperatorRef::new(def.clone()), None);
            }
        }
    }

    /// Reports where an operator is not finite; once for its text and its constants.
    pub(super) fn check_operator(&mut self, operator: &OperatorRef, used: Option<Span>) {
        if !self.studied.insert((operator.def.span, operator.to_string())) {
            return;
        }
        let taken = |name: &str| operator.def.params.iter().any(|it| it.default.is_none() && it.name.name == name);
        let by_angle = taken("theta") && !taken("cos");
        let Some(study) = self.study(operator, used, by_angle) else { return };
        let reports = study.reports();
        self.report_all(reports);
    }

    /// The body over its quantities, the first of which is the angle or its cosine.
    pub(in crate::lower) fn study<'b>(
        &mut self,
        operator: &'b OperatorRef,
        used: Option<Span>,
        by_angle: bool,
    ) -> Option<Study<'b>>
    where
        'a: 'b,
    {
        let quantity = |name: &str, low: f64, high: f64, usual: f64| Quantity {
            name: name.to_owned(),
            range: Interval::new(low, high),
            usual,
            moved: true,
            given: false,
        };
        let angle = if by_angle { quantity("theta", 0.0, PI, 1.2) } else { quantity("cos", -1.0, 1.0, 0.3) };
        let norm = |name: &str| quantity(name, 0.01, LARGEST_NORM, 1.0);
        let geometry = vec![angle, norm("x_norm"), norm("w_norm")];
        let trace = Trace { depth: self.calls().len(), geometry, ..Trace::default() };
        let mut pool = Pool::new();
        let building = Building::new(operator, None, Angle::of_arguments(&mut pool, by_angle));
        let outer = (self.pool.replace(pool), self.trace.replace(trace), self.building.replace(building));
        let root = self.value_of(operator);
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let trace = std::mem::replace(&mut self.trace, outer.1);
        self.building = outer.2;
        let (root, pool, trace) = (root?, pool?, trace?);
        let quantities: Vec<Quantity> = trace.geometry.into_iter().chain(trace.extra).collect();
        let body = pool.whole(quantities.len() as u32, root);
        Some(Study { sources: self.sources, operator, body, quantities, places: trace.places, used })
    }
}
