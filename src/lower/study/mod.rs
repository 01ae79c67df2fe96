//! Whether an operator is a finite number with a finite slope for every patch and every filter.
//!
//! An operator's body is built once more, outside of any layer and with the place of each part, and looked
//! at over the whole of its domain: `cos` in [-1, 1] or `theta` in [0, pi], the norms from 0.01 (that is
//! `sqrt(1e-4)`) to a million, statistics like the norms, what it learns around its start and through 0.
//! What the compiler makes safe by itself, the slope of the angle where the cosine is 1, is not a hazard.

pub(in crate::lower) mod mend;

use crate::diag::{Code, Diagnostic, Sources, Span};
use crate::ir::ScalarFn;
use crate::ir::expr::{Hazard, HazardKind, Interval, Jump};
use crate::lower::network::response::monomial::FIRST_FREE;
use crate::lower::scalar::trace::{BATCH_MEAN, Quantity, TARGET, TRAINING};
use crate::lower::study::mend::{Operand, bare, number_range, operand_of};
use crate::lower::values::types::number;
use crate::lower::values::value::OperatorRef;
use crate::syntax::ast;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;

/// An operator's body as a function of its quantities.
pub(super) struct Study<'a> {
    pub(in crate::lower) sources: &'a Sources,
    pub(in crate::lower) operator: &'a OperatorRef,
    pub(in crate::lower) body: ScalarFn,
    /// The angle, or its cosine, the norms, and what else there is.
    pub(in crate::lower) quantities: Vec<Quantity>,
    pub(in crate::lower) places: BTreeMap<u32, [Span; 2]>,
    /// The layer that uses it, for what is not the user's own text.
    pub(in crate::lower) used: Option<Span>,
}

impl Study<'_> {
    fn ranges(&self) -> Vec<Interval> {
        self.quantities.iter().map(|it| it.range).collect()
    }

    fn moved(&self) -> Vec<u32> {
        (0..self.quantities.len() as u32).filter(|it| self.quantities[*it as usize].moved).collect()
    }

    /// The arguments at a place; those that it does not tell are what they often are.
    fn point(&self, place: &[(u32, f64)]) -> Vec<f64> {
        let mut point: Vec<f64> = self.quantities.iter().map(|it| it.usual).collect();
        place.iter().for_each(|it| point[it.0 as usize] = it.1);
        point
    }

    pub(in crate::lower) fn reports(&self) -> Vec<Diagnostic> {
        let ranges = self.ranges();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for hazard in self.body.hazards(&ranges, &self.moved()) {
            let place = self.place_of(hazard.node.0);
            if seen.contains(&place[0]) {
                continue;
            }
            if let Some(at) = self.body.locate(&hazard, &ranges) {
                seen.insert(place[0]);
                found.push(self.hazard(&hazard, &at, place));
            }
        }
        if found.is_empty() {
            let usual = self.point(&[]);
            let jumps = self.body.jumps(&ranges, &usual);
            // The label, the mode and the updates done are meant to make a difference.
            let meant = |it: &&Jump| {
                let of = &self.quantities[it.input as usize];
                of.given && !of.moved || [TARGET, TRAINING].contains(&of.name.as_str())
            };
            let jumps = jumps.iter().filter(|it| !meant(it));
            found.extend(jumps.map(|it| self.jump(it)));
        }
        if found.is_empty() {
            found.extend(self.wild_slope());
        }
        found
    }

    fn place_of(&self, node: u32) -> [Span; 2] {
        self.places.get(&node).copied().unwrap_or([self.operator.def.body.span; 2])
    }

    /// A report at a place of the operator's text, or at the layer where that is not the user's.
    fn at(&self, code: Code, place: [Span; 2], message: String, label: String) -> Diagnostic {
        let [outer, inner] = place;
        match self.used.filter(|it| it.file != outer.file && !self.operator.bound.is_empty()) {
            Some(used) => {
                Diagnostic::new(code, used, message).label(format!("uses `{}`", self.operator)).also(inner, label)
            }
            None => {
                let mut report = Diagnostic::new(code, outer, message).label(label);
                if outer != inner {
                    report = report.also(inner, "computed here");
                }
                match self.used.filter(|_| !self.operator.bound.is_empty()) {
                    Some(used) => report.also(used, format!("uses `{}`", self.operator)),
                    None => report,
                }
            }
        }
    }

    fn hazard(&self, hazard: &Hazard, at: &[(u32, f64)], place: [Span; 2]) -> Diagnostic {
        let name = self.operator.name();
        let point = self.point(at);
        let value = self.body.eval_nodes(&point)[hazard.operand.0 as usize];
        let places: Vec<String> = at.iter().map(|it| self.quantity_is(it.0, it.1)).collect();
        let places = match (places.is_empty(), self.operator.bound.is_empty()) {
            (false, _) => format!("where {}", places.join(", ")),
            (true, false) => format!("as `{}`", self.operator),
            (true, true) => "everywhere".to_owned(),
        };
        let value = number(value);
        let operand = operand_of(&self.operator.def.body, place[0]);
        let lies = number_range(hazard.range);
        let steep = hazard.kind == HazardKind::Steep && self.slopes_are_finite(&point);
        let code = match hazard.kind {
            HazardKind::ArcOutside => Code::W0403,
            HazardKind::Steep if steep => Code::W0401,
            HazardKind::DivisionByZero
            | HazardKind::LogOfNonPositive
            | HazardKind::RootOfNegative
            | HazardKind::Overflow
            | HazardKind::Steep => Code::E0401,
        };
        let (message, label) = match hazard.kind {
            HazardKind::DivisionByZero => {
                (format!("`{name}` divides by zero {places}"), format!("the divisor is 0 {places}"))
            }
            HazardKind::LogOfNonPositive => (
                format!("`{name}` takes the logarithm of {value} {places}"),
                format!("the logarithm of a number in {lies}"),
            ),
            HazardKind::RootOfNegative => {
                (format!("`{name}` takes a root of {value} {places}"), format!("a root of a number in {lies}"))
            }
            HazardKind::ArcOutside => (
                format!("`{name}` takes the angle of a value that is not normalised"),
                format!("its argument is {value} {places}, and no angle has that cosine"),
            ),
            HazardKind::Overflow => {
                (format!("`{name}` is too large for single precision {places}"), format!("its argument can be {value}"))
            }
            HazardKind::Steep if steep => {
                (format!("the slope of `{name}` has no bound {places}"), format!("a root of what is {value} {places}"))
            }
            HazardKind::Steep => (
                format!("the slope of `{name}` is not finite {places}"),
                format!("a power of what is {value} {places}"),
            ),
        };
        let mut report = self.at(code, place, message, label);
        let told: Vec<String> = at.iter().map(|it| self.domain(it.0)).collect();
        if !told.is_empty() {
            report = report.note(told.join(", "));
        }
        self.proposal(report, hazard, operand)
    }

    /// What to write instead.
    fn proposal(&self, report: Diagnostic, hazard: &Hazard, operand: Option<Operand<'_>>) -> Diagnostic {
        let Some(operand) = operand.filter(|_| report.primary.span.file == self.operator.def.span.file) else {
            return match hazard.kind {
                HazardKind::Overflow => report.help("bound the argument, for example with `min`"),
                _ => report.help("choose constants that keep it away from there"),
            };
        };
        let from_above = 0.0 <= hazard.range.low + 1e-9;
        let own = operand.own;
        match hazard.kind {
            HazardKind::DivisionByZero | HazardKind::Steep if own && from_above => {
                self.rewrite(report, operand.expr, "keep it above 0", |it| format!("{it} + 1e-3"))
            }
            HazardKind::DivisionByZero if own && hazard.range.high <= 1e-9 => {
                self.rewrite(report, operand.expr, "keep it below 0", |it| format!("{it} - 1e-3"))
            }
            HazardKind::DivisionByZero => {
                report.help("give it a size that cannot be 0, for example `abs(...) + 1e-3`, and its sign apart")
            }
            HazardKind::LogOfNonPositive if own && from_above => {
                self.rewrite(report, operand.expr, "keep it above 0", |it| format!("{it} + 1e-3"))
            }
            HazardKind::LogOfNonPositive if own => {
                self.rewrite(report, operand.expr, "keep it above 0", |it| format!("max({it}, 1e-3)"))
            }
            HazardKind::RootOfNegative if own && operand.power => self
                .rewrite(report, operand.expr, "take the power of its size", |it| format!("abs({it}) + 1e-6"))
                .help("multiply by `sign(...)` to keep the sign"),
            HazardKind::RootOfNegative if own => {
                self.rewrite(report, operand.expr, "keep it above 0", |it| format!("max({it}, 1e-6)"))
            }
            HazardKind::ArcOutside if own => {
                let report = report.help("the angle between patch and filter is a parameter of the operator: `theta`");
                self.rewrite(report, operand.expr, "or bound it", |it| format!("clamp({it}, -1, 1)"))
            }
            HazardKind::Overflow if own && operand.power => report.help("bound the base, for example with `min`"),
            HazardKind::Overflow if own && operand.call == Some("exp") => {
                self.rewrite(report, operand.expr, "bound the exponent", |it| format!("min({it}, 30)"))
            }
            _ => report.help("bound its argument, for example with `max`, `min` or `clamp`"),
        }
    }

    fn jump(&self, jump: &Jump) -> Diagnostic {
        let name = self.operator.name();
        let place = self.quantity_is(jump.input, jump.at);
        let [left, right] = jump.sides.map(number);
        let report = self.at(
            Code::W0402,
            self.place_of(jump.node.0),
            format!("`{name}` jumps from {left} to {right} where {place}"),
            format!("switches where {place}"),
        );
        let flat = |it: &u32| self.body.differentiate(*it).as_constant() == Some(0.0);
        let report = if self.moved().iter().all(flat) {
            report.note("its slope is 0 everywhere else, so nothing below this operator can learn")
        } else {
            report.note("a gradient does not see a jump: training cannot move a value across it")
        };
        report.help("use a smooth step instead, such as `tanh(8 * ...)` or `logistic(8 * ...)`")
    }

    fn slopes_are_finite(&self, point: &[f64]) -> bool {
        let fits = |it: f64| it.abs() <= f64::from(f32::MAX);
        self.moved().iter().all(|it| self.body.differentiate(*it).eval(point).into_iter().all(fits))
    }

    /// Proposes to put something else in the place of an expression; `by` makes it of its text.
    fn rewrite(&self, report: Diagnostic, expr: &ast::Expr, why: &str, by: impl Fn(&str) -> String) -> Diagnostic {
        let text = self.sources.slice(expr.span);
        let bare = bare(text);
        let file = &self.sources.get(expr.span.file).text;
        let around = (file[..expr.span.start as usize].ends_with('('), file[expr.span.end as usize..].starts_with(')'));
        let text = by(bare);
        let sum = text.contains(" + 1e") || text.contains(" - 1e");
        let text = if sum && around != (true, true) { format!("({text})") } else { text };
        report.fix(format!("{why}: write `{text}`"), expr.span, text)
    }

    /// What the rules above do not foresee: values and slopes at the ends of the domain.
    fn wild_slope(&self) -> Option<Diagnostic> {
        let mut points = vec![self.point(&[])];
        for input in self.body.used_inputs() {
            let it = &self.quantities[input as usize];
            let values: Vec<f64> =
                [0.0, it.range.low, it.range.high, it.usual].into_iter().filter(|x| it.range.contains(*x)).collect();
            let moved = |point: &Vec<f64>, value: f64| {
                let mut point = point.clone();
                point[input as usize] = value;
                point
            };
            points = points.iter().flat_map(|it| values.iter().map(|value| moved(it, *value))).take(2000).collect();
        }
        let used = self.body.used_inputs();
        for of in self.moved() {
            let slope = self.body.differentiate(of);
            let wild = |point: &&Vec<f64>| {
                let fits = |it: f64| it.abs() <= f64::from(f32::MAX);
                !slope.eval(point).into_iter().all(fits)
            };
            if let Some(point) = points.iter().find(wild) {
                let places: Vec<String> = used.iter().map(|it| self.quantity_is(*it, point[*it as usize])).collect();
                let name = self.operator.name();
                let of = &self.quantities[of as usize].name;
                let span = self.operator.def.body.span;
                return Some(
                    self.at(
                        Code::E0401,
                        [span, span],
                        format!("the slope of `{name}` in `{of}` is not finite where {}", places.join(", ")),
                        "this expression".to_owned(),
                    )
                    .help("bound what grows, for example with `min`, `tanh` or `log1p`"),
                );
            }
        }
        None
    }

    fn quantity_is(&self, input: u32, value: f64) -> String {
        let name = &self.quantities[input as usize].name;
        let parts = [(1.0, "pi"), (0.5, "pi / 2"), (0.25, "pi / 4"), (0.75, "3 * pi / 4")];
        let angle = parts.iter().find(|it| name == "theta" && (value - it.0 * PI).abs() < 1e-5);
        match angle {
            Some((_, text)) => format!("{name} = {text}"),
            None => format!("{name} = {}", number(value)),
        }
    }

    fn domain(&self, input: u32) -> String {
        let it = &self.quantities[input as usize];
        match it.name.as_str() {
            "theta" => "`theta` lies in [0, pi]".to_owned(),
            "cos" => "`cos` lies in [-1, 1]".to_owned(),
            name if it.given && !it.moved => {
                format!("`{name}` lies in [{}, {}]", number(it.range.low), number(it.range.high))
            }
            name if input < FIRST_FREE => format!("`{name}` is 0.01 or more"),
            BATCH_MEAN => {
                format!("{BATCH_MEAN} lies in [{}, {}]", number(it.range.low), number(it.range.high))
            }
            name if it.moved => format!("`{name}` is learned from {} on and may move through 0", number(it.usual)),
            name => format!("`{name}` is a mean of norms, 0.01 or more"),
        }
    }
}
