//! What a recipe says in vain, and what a run is too short or too small for: entries without an effect, statistics that cannot
//! arrive.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::network::basis::Basis;
use crate::lower::network::running::Running;
use crate::lower::recipe::Recipe;
use crate::lower::report::idle::is_written;
use crate::syntax::ast::{self, BinaryOp, ExprKind};
use std::collections::BTreeSet;

/// The share of their start that running statistics may still hold at the end of a run.
pub(super) const SLOWEST: f64 = 1.0 / 3.0;

/// So many places of one mistake are shown.
const SHOWN: usize = 8;

/// A decay with which a start weighs little after so many steps: 0.98 for 500.
pub(super) fn decay_for(iterations: u64) -> String {
    let rate = (10.0 / iterations as f64).min(0.5);
    let places = -rate.log10().floor();
    let unit = 10f64.powf(-places);
    format!("{:.*}", places as usize, 1.0 - (rate / unit).round() * unit)
}

/// The 0 that a loss, or a part of a sum of losses, is multiplied by.
fn zero_weight(expr: &ast::Expr) -> Option<Span> {
    match &expr.kind {
        ExprKind::Binary(BinaryOp::Mul, a, b) => {
            [a, b].into_iter().find(|it| is_zero(it)).map(|it| it.span).or_else(|| zero_weight(a).or(zero_weight(b)))
        }
        ExprKind::Binary(BinaryOp::Add | BinaryOp::Sub, a, b) => zero_weight(a).or_else(|| zero_weight(b)),
        _ => None,
    }
}

fn is_zero(expr: &ast::Expr) -> bool {
    match expr.kind {
        ExprKind::Int(it) => it == 0,
        ExprKind::Float(it) => it == 0.0,
        _ => false,
    }
}

impl Recipe<'_> {
    /// Evaluation uses running statistics, which must have left their start by then.
    fn slow_statistics(&mut self, iterations: u64) {
        let mut slow: Vec<Running> = self.take_running();
        slow.retain(|it| 2 <= iterations && SLOWEST < it.decay.powf(iterations as f64));
        // Those of one start are one mistake.
        let mut seen = BTreeSet::new();
        slow.retain(|it| seen.insert((it.span, it.given)));
        while !slow.is_empty() {
            let kept = slow.remove(0);
            let alike = |it: &Running| {
                it.given.is_none() && kept.given.is_none() && (it.decay, it.start) == (kept.decay, kept.start)
            };
            let others: Vec<Span> = slow.iter().filter(|it| alike(it)).map(|it| it.span).collect();
            slow.retain(|it| !alike(it));
            let left = kept.decay.powf(iterations as f64);
            let fits = decay_for(iterations);
            let report = Diagnostic::new(
                Code::W0206,
                kept.span,
                match others.len() {
                    0 => format!("the running statistics of `{}` are too slow for {iterations} iterations", kept.path),
                    more => format!(
                        "the running statistics of `{}` and {more} more are too slow for {iterations} iterations",
                        kept.path
                    ),
                },
            )
            .label(format!(
                "with `decay: {}` {:.0} % of their start, {}, is still in them",
                kept.decay,
                100.0 * left,
                kept.start
            ))
            .note("evaluation uses them: the test accuracy will be far below the training accuracy");
            let report = others.iter().take(SHOWN).fold(report, |it, span| it.also(*span, "so are these"));
            let text = format!("decay: {fits}");
            if !others.is_empty() {
                self.report(report.help(format!("for a run of this length write `{text}` in each")));
                continue;
            }
            let why = format!("for a run of this length write `{text}`");
            let call = self.sources.slice(kept.span);
            self.report(match kept.given {
                Some(given) if is_written(self.sources.slice(given)) => report.fix(why, given, fits),
                Some(_) => report.help(format!("a `decay` of about {fits} suits a run of this length")),
                None => {
                    let (span, text) = match call.strip_suffix(')').map(str::trim_end) {
                        None => (Span { start: kept.span.end, ..kept.span }, format!("({text})")),
                        Some(open) => {
                            let at = kept.span.start + open.len() as u32;
                            let comma = if open.ends_with('(') || open.ends_with(',') { "" } else { "," };
                            let space = if open.ends_with('(') { "" } else { " " };
                            (Span { start: at, end: at, ..kept.span }, format!("{comma}{space}{text}"))
                        }
                    };
                    report.fix(why, span, text)
                }
            });
        }
    }

    /// What the recipe says in vain, once all of it is known.
    pub(super) fn vain_entries(&mut self, basis: &Basis) {
        if self.settings.evaluates {
            return;
        }
        let train = basis.train.clone();
        for entry in &train.entries {
            self.repeated_names(entry);
            match entry.key.name.as_str() {
                "evaluate" | "checkpoint" | "project" => {
                    if let Some(all) = basis.written {
                        self.too_rare(entry, all);
                    }
                }
                "patience" => {
                    if let Some(all) = basis.written {
                        self.too_patient(entry, &train, all);
                    }
                }
                "penalty" => {
                    if let Some(ExprKind::Call(call)) = entry.values.first().map(|it| &it.kind)
                        && let Some(weight) =
                            call.args.iter().find(|it| it.name.as_ref().is_none_or(|it| it.name == "weight"))
                        && is_zero(&weight.value)
                    {
                        let message = "this penalty of weight 0 has no effect".to_owned();
                        self.in_vain(
                            weight.value.span,
                            message,
                            "adds nothing to the loss",
                            "remove the line, or give it a weight",
                        );
                    }
                }
                "loss" => {
                    if let Some(expr) = entry.values.first()
                        && let Some(weight) = zero_weight(expr)
                    {
                        let message = "this loss of weight 0 has no effect".to_owned();
                        self.in_vain(weight, message, "trains nothing", "remove the line, or give it a weight");
                    }
                }
                _ => {}
            }
        }
        if let (Some(data), None) = (&basis.data, self.settings.batch)
            && 0 < data.train_examples
            && data.train_examples < basis.batch
            && let Some(value) = train.entries.iter().find(|it| it.key.name == "batch").and_then(|it| it.values.first())
        {
            let (batch, examples) = (basis.batch, data.train_examples);
            let report =
                Diagnostic::new(Code::W0204, value.span, format!("a batch of {batch} is larger than the data set"))
                    .label(format!(
                        "`{}` has {examples} training images, so each batch holds some more than once",
                        data.name
                    ));
            let report = match value.kind {
                ExprKind::Int(_) => report.fix(
                    format!("at most all of them: write `batch {examples}`"),
                    value.span,
                    examples.to_string(),
                ),
                _ => report.help(format!("give at most {examples}")),
            };
            self.report(report);
        }
        if let Some(iterations) = basis.written {
            self.slow_statistics(iterations);
        }
    }

    /// `on filters, filters`.
    fn repeated_names(&mut self, entry: &ast::TrainEntry) {
        for (at, name) in entry.on.iter().enumerate() {
            if let Some(first) = entry.on[..at].iter().find(|it| it.name == name.name) {
                let report = Diagnostic::new(Code::E0103, name.span, format!("`{}` is named twice", name.name))
                    .label("again here")
                    .also(first.span, "first here")
                    .help("name it once");
                self.report(report);
            }
        }
    }

    /// An interval that is longer than the run.
    fn too_rare(&mut self, entry: &ast::TrainEntry, all: u64) {
        let Some(every) = &entry.every else { return };
        let ExprKind::Int(steps) = every.kind else { return };
        if u64::try_from(steps).is_ok_and(|it| it <= all) || steps < 1 {
            return;
        }
        let key = &entry.key.name;
        let what = match key.as_str() {
            "evaluate" => "the test set is looked at at the end, as without this line",
            "checkpoint" => "a checkpoint is written at the end, as without this line",
            "project" => "no filter is ever divided by its norm",
            other => unreachable!("`{other}` is nothing that happens at intervals"),
        };
        let message = format!("`{key} every {steps}` never happens in {all} iterations");
        let report = Diagnostic::new(Code::W0203, every.span, message).label(what);
        self.report(self.instead(report, format!("write `every {all}` or less"), every.span, all.to_string()));
    }

    /// A patience that no run of so many iterations comes to the end of.
    fn too_patient(&mut self, entry: &ast::TrainEntry, train: &ast::Train, all: u64) {
        let evaluate = train.entries.iter().find(|it| it.key.name == "evaluate").and_then(|it| it.every.as_ref());
        let (Some(every), Some(value)) = (evaluate, entry.values.first()) else { return };
        let (ExprKind::Int(every), ExprKind::Int(count)) = (&every.kind, &value.kind) else { return };
        let (Ok(every), Ok(count)) = (u64::try_from(*every), u64::try_from(*count)) else { return };
        // The first evaluation is the best so far.
        let evaluations = all.checked_div(every).unwrap_or(0);
        if count == 0 || evaluations == 0 || count.saturating_add(1).saturating_mul(every) < all {
            return;
        }
        let plural = if evaluations == 1 { "" } else { "s" };
        let message = format!("`patience {count}` never ends a run of {evaluations} evaluation{plural}");
        let label = format!("{all} iterations, evaluated every {every}");
        let help = "remove the line, or evaluate more often";
        self.in_vain(value.span, message, &label, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_that_suit_a_run_forget_their_start() {
        assert_eq!([500, 1000, 300, 12].map(decay_for), ["0.98", "0.99", "0.97", "0.5"]);
        for iterations in 2..3000 {
            let decay: f64 = decay_for(iterations).parse().unwrap();
            assert!(decay.powf(iterations as f64) <= SLOWEST, "{iterations}: {decay}");
        }
    }
}
