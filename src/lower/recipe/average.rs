//! Averages over the steps: what evaluation uses in place of the parameters and statistics of the last one.
//!
//! ```text
//! average ema(decay: float = 0.999) = average + (1 - decay) * (value - average)
//! train { average ema(0.999) }
//! ```
//!
//! `value` is a number of a parameter or statistic after an update, `average` its average so far, `step` the updates before
//! this one. Before any update, and after the first, the average is the value.

use crate::diag::{Code, Diagnostic};
use crate::ir::expr::Pool;
use crate::ir::{Average, Scalar};
use crate::lower::names::words::GIVEN_TO_AVERAGES;
use crate::lower::recipe::Recipe;
use crate::lower::recipe::idle::{SLOWEST, decay_for};
use crate::lower::scalar::lift::to_scalar;
use crate::lower::unfold::update::describe;
use crate::lower::values::types;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, Part};

/// After how many updates an average is looked at, besides the last.
const LOOKS: u64 = 1000;

/// The share that the value after the first update still has in an average after so many, as far as it is looked at.
fn first_left(average: &Average, all: u64) -> f64 {
    let kept = |done: u64| average.body.eval(&[0.0, 1.0, done as f64]).first().map_or(0.0, |it| it.clamp(0.0, 1.0));
    let steps = all.saturating_sub(1).min(LOOKS);
    let between = |at: u64| 2 + (all - 1) * at / steps;
    (0..steps).map(|at| kept(between(at)).powf((between(at + 1) - between(at)) as f64)).product()
}

impl Recipe<'_> {
    /// The average that an entry of the recipe names; `written` are the iterations that stand in the text.
    pub(super) fn average(
        &mut self,
        entry: &ast::TrainEntry,
        iterations: Option<u64>,
        written: Option<u64>,
    ) -> Option<Average> {
        let expr = entry.values.first()?;
        let (args, call) = self.choice_and_call("average", expr)?;
        let def = self.items.definition(Part::Average, &args.name, call.callee.span.file)?.clone();
        let (mut scope, given) = self.bound(&types::signature("average", &def), &def, &call);
        if given.mismatched || scope.values().any(Value::is_error) {
            return None;
        }
        let late = |name: &str| match args.get(name) {
            Some((Value::Tensor(_), span)) => Some(*span),
            _ => None,
        };
        if let Some((name, span)) = def.params.iter().find_map(|it| Some((&it.name.name, late(&it.name.name)?))) {
            let what = format!("`{name}` of `{}` changes from update to update", args.name);
            let report = Diagnostic::new(Code::E0104, span, what).label("expected one number for the whole run").help(
                "write an average of your own, in whose body `step` can be read: \
                 `average mine() = average + (value - average) / (step + 1)`",
            );
            self.report(report);
            return None;
        }
        let text = describe(&def, &scope, "");
        let mut pool = Pool::new();
        let inputs: Vec<Scalar> = (0..3).map(|it| pool.input(it)).collect();
        for (name, input) in GIVEN_TO_AVERAGES.iter().zip(&inputs) {
            scope.entry((*name).to_owned()).or_insert(Value::Scalar(*input));
        }
        if let Some(all) = iterations {
            scope.entry("iterations".to_owned()).or_insert(Value::Int(i64::try_from(all).unwrap_or(i64::MAX)));
        }
        let outer = self.pool.replace(pool);
        self.enter_call(expr.span);
        let value = self.enter(scope, &def.body, expr.span);
        self.leave_call();
        let mut pool = std::mem::replace(&mut self.pool, outer)?;
        let root =
            match &value {
                Value::Error(_) => return None,
                Value::Scalar(_) | Value::Int(_) | Value::Float(_) => to_scalar(&mut pool, &value)?,
                other => {
                    let message = format!("the average `{}` gives {}, not a number", args.name, other.describe());
                    self.report(Diagnostic::new(Code::E0104, def.body.span, message).label("expected a number").help(
                        "the last expression of an average is its new value: `average + (value - average) / 10`",
                    ));
                    return None;
                }
            };
        // Of no update and of the first it is the value.
        let [value, average, done] = inputs[..] else { return None };
        let rest = pool.finish(3, &[root]);
        let mut pool = Pool::new();
        let [value, average, done] = [value, average, done].map(|it| pool.input(it.0));
        let one = pool.constant(1.0);
        let before = pool.sub(done, one);
        let moved = *pool.inline(&rest, &[value, average, before]).first()?;
        let later = pool.binary(crate::ir::Binary::Lt, one, done);
        let body = pool.select(later, moved, value);
        let average = Average { text, body: pool.finish(3, &[body]) };
        if let Some(all) = written
            && self.averages_nothing(&average, all)
        {
            let report = Diagnostic::new(Code::W0203, entry.span, "this average has no effect")
                .label("is what the last update left, to the end of the training")
                .note(format!("the training has {all} iterations"))
                .help("remove the line, or let it take in more than one update");
            self.report(report);
        }
        if let Some(all) = written
            && let left = first_left(&average, all)
            && SLOWEST < left
            && !self.settings.evaluates
        {
            let help = match args.get("decay") {
                Some(_) => format!("for a run of this length write `decay: {}`", decay_for(all)),
                None => "let it forget sooner".to_owned(),
            };
            let report =
                Diagnostic::new(Code::W0206, entry.span, format!("this average is too slow for {all} iterations"))
                    .label(format!("{:.0} % of the first parameters are still in it at the end", 100.0 * left))
                    .note("evaluation uses it: the test accuracy will be far below the training accuracy")
                    .help(help);
            self.report(report);
        }
        Some(average)
    }

    /// Whether it is the newest value after each of these updates, as far as they are looked at.
    fn averages_nothing(&self, average: &Average, all: u64) -> bool {
        let newest = |value: f64, before: f64, done: u64| {
            average.body.eval(&[value, before, done as f64]).first().is_some_and(|it| *it == value)
        };
        let looks = (2..=all.min(LOOKS)).chain([all]);
        !self.settings.evaluates && 1 < all && looks.into_iter().all(|it| newest(1.0, 0.0, it) && newest(0.0, 2.0, it))
    }
}
