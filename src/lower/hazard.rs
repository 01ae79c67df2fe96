//! Whether an operator is a finite number with a finite slope for every patch and every filter.
//!
//! An operator's body is built once more, outside of any layer and with the place of each part, and looked
//! at over the whole of its domain: `cos` in [-1, 1] or `theta` in [0, pi], the norms from 0.01 (that is
//! `sqrt(1e-4)`) to a million, statistics like the norms, what it learns around its start and through 0.
//! What the compiler makes safe by itself, the slope of the angle where the cosine is 1, is not a hazard.

use super::Lowering;
use super::items::{Def, Home};
use super::operator::{Angle, Building, FIRST_FREE};
use super::steps::Reach;
use super::value::{OperatorRef, Value};
use crate::diag::{Code, Diagnostic, Sources, Span};
use crate::ir::expr::{Hazard, HazardKind, Interval, Jump, Pool};
use crate::ir::{NodeId, ScalarFn};
use crate::syntax::ast::{self, ExprKind};
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;

const TARGET: &str = "target";
const TRAINING: &str = "training";

/// No name of the language has a space.
const BATCH_MEAN: &str = "the batch's mean";

/// Norms are looked at up to here.
const LARGEST_NORM: f64 = 1e6;

/// Where the nodes of a body under study come from.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// For each node: the place in the operator's own text, and the place in the function it calls there.
    places: BTreeMap<u32, [Span; 2]>,
    /// How many calls were open when the study began.
    depth: usize,
    /// The angle, or its cosine, and the norms.
    geometry: Vec<Quantity>,
    /// What the operator learns and measures, and whether it sees a label, with its domain.
    extra: Vec<Quantity>,
    /// Of those, what is given: the updates done, or a node.
    outer: Vec<(Option<NodeId>, u32)>,
}

/// An argument of an operator's body.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    pub(super) name: String,
    range: Interval,
    /// What it often is.
    pub(super) usual: f64,
    /// Whether there is a derivative in it.
    moved: bool,
    /// Whether the operator is given it: the updates done, and constants that are no numbers yet.
    given: bool,
}

/// An operator's body as a function of its quantities.
pub(super) struct Study<'a> {
    sources: &'a Sources,
    operator: &'a OperatorRef,
    pub(super) body: ScalarFn,
    /// The angle, or its cosine, the norms, and what else there is.
    pub(super) quantities: Vec<Quantity>,
    places: BTreeMap<u32, [Span; 2]>,
    /// The layer that uses it, for what is not the user's own text.
    used: Option<Span>,
}

impl Quantity {
    /// Whether a layer or each filter learns it.
    pub(super) fn is_learned(&self) -> bool {
        self.moved && !self.given && self.name != BATCH_MEAN
    }

    /// Whether it is 1 in training, 0 in evaluation.
    pub(super) fn is_training(&self) -> bool {
        self.name == TRAINING
    }
}

impl Trace {
    /// A number that each filter or layer learns.
    pub(super) fn learned(&mut self, name: &str, start: f64) {
        let reach = (2.0 * start.abs()).max(4.0);
        let range = Interval::new(start - reach, start + reach);
        self.extra.push(Quantity { name: name.to_owned(), range, usual: start, moved: true, given: false });
    }

    /// A running mean or maximum of numbers.
    pub(super) fn measured(&mut self, name: &str, of: &ScalarFn, start: f64) {
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
    pub(super) fn batch_mean(&mut self, of: &ScalarFn) {
        let (range, usual) = self.reach(of);
        self.extra.push(Quantity { name: BATCH_MEAN.to_owned(), range, usual, moved: true, given: false });
    }

    /// 1 in training, 0 in evaluation.
    pub(super) fn training(&mut self) {
        let range = Interval::new(0.0, 1.0);
        self.extra.push(Quantity { name: TRAINING.to_owned(), range, usual: 1.0, moved: false, given: false });
    }

    /// 1 for the label's filter, 0 for others.
    pub(super) fn target(&mut self) {
        let range = Interval::new(0.0, 1.0);
        self.extra.push(Quantity { name: TARGET.to_owned(), range, usual: 0.0, moved: false, given: false });
    }

    /// The place of the updates done in a run of this length.
    pub(super) fn step(&mut self, iterations: u64) -> u32 {
        let last = iterations as f64;
        let reach = Reach { range: Interval::new(0.0, last), usual: (last / 2.0).floor(), moved: false };
        self.given("step", None, reach)
    }

    /// The place of a number that the operator is given: of the updates done, or of a node.
    pub(super) fn given(&mut self, name: &str, node: Option<NodeId>, reach: Reach) -> u32 {
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
    pub(super) fn quantities(&self) -> usize {
        self.extra.len()
    }
}

impl<'a> Lowering<'a> {
    /// Looks at the operators that the file itself defines, used or not.
    pub(super) fn check_operators(&mut self) {
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

    /// The node of what the operator learns or measures last.
    pub(super) fn studied_quantity(&mut self) -> Value {
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
        let outer = self.calls.get(trace.depth).copied().unwrap_or(span);
        for node in first..pool.len() {
            trace.places.entry(node as u32).or_insert([outer, span]);
        }
    }

    /// The body over its quantities, the first of which is the angle or its cosine.
    pub(super) fn study<'b>(
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
        let trace = Trace { depth: self.calls.len(), geometry, ..Trace::default() };
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

    fn reports(&self) -> Vec<Diagnostic> {
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

/// The part of an expression that is to blame.
#[derive(Clone, Copy, Debug)]
struct Operand<'a> {
    expr: &'a ast::Expr,
    /// Whether it is the very operand, not an argument of a function that computes it.
    own: bool,
    /// Whether it is the base of `^`.
    power: bool,
    call: Option<&'a str>,
}

/// The blamed operand of the expression at `place` in a body.
fn operand_of(body: &ast::Body, place: Span) -> Option<Operand<'_>> {
    let found = body.find(&|it| it.span == place || matches!(&it.kind, ExprKind::Call(call) if call.span == place))?;
    match &found.kind {
        ExprKind::Binary(ast::BinaryOp::Div | ast::BinaryOp::Rem, _, expr) => {
            Some(Operand { expr, own: true, power: false, call: None })
        }
        ExprKind::Binary(ast::BinaryOp::Pow, expr, _) => Some(Operand { expr, own: true, power: true, call: None }),
        ExprKind::Call(call) => {
            let expr = call.piped.as_deref().or_else(|| call.args.first().map(|it| &it.value))?;
            let name = call.callee.name.as_str();
            let own = ["log", "log1p", "sqrt", "exp", "asin", "acos", "pow"].contains(&name) && call.piped.is_none();
            Some(Operand { expr, own, power: name == "pow", call: Some(name) })
        }
        _ => None,
    }
}

/// Without parentheses around all of it.
fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')) else { return text };
    let mut depth = 0;
    for sign in inner.chars() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner
}

/// A number as one would write it.
pub(super) fn number(value: f64) -> String {
    let near = value.round();
    if (value - near).abs() < 1e-9 * (1.0 + near.abs()) && near.abs() < 1e5 {
        return format!("{}", near + 0.0);
    }
    if !(1e-3..1e5).contains(&value.abs()) {
        let text = format!("{value:.3e}");
        return match text.split_once('e') {
            Some((digits, power)) if digits.contains('.') => {
                format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => text,
        };
    }
    format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number_range(range: Interval) -> String {
    format!("[{}, {}]", number(range.low), number(range.high))
}
