//! `shards 8`: what a step makes of its examples is made of shards of them, by a tree that no number of ranks changes.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::recipe::Recipe;
use crate::syntax::ast::{self, ExprKind};

/// Most shards: each is a plan of its own.
const MOST_SHARDS: usize = 64;

impl Recipe<'_> {
    /// How many shards an entry or `--shards` cuts so many examples into.
    pub(in crate::lower) fn shards(&mut self, entry: Option<&ast::TrainEntry>, examples: usize) -> Option<usize> {
        let value = entry.and_then(|it| it.values.first());
        let written = value.and_then(|it| Some((self.whole_number(it, "`shards`", 1)?, it)));
        // Only a training has any.
        if self.settings.evaluates {
            return None;
        }
        let place = value.map(|it| it.span).or_else(|| self.items.trains.first().map(|it| it.keyword))?;
        let shards = match (self.settings.shards, written) {
            (Some(it), _) => it,
            (None, Some((it, value))) => {
                if matches!(value.kind, ExprKind::Int(1)) {
                    let report = Diagnostic::new(Code::W0203, value.span, "`shards 1` has no effect")
                        .label("the batch is one shard, as without this line")
                        .help("leave it out");
                    self.report(report);
                }
                usize::try_from(it).unwrap_or(usize::MAX)
            }
            (None, None) => return None,
        };
        self.may_be(shards, examples, place).then_some(shards)
    }

    /// Whether there can be so many, with a report if not.
    fn may_be(&mut self, shards: usize, examples: usize, place: Span) -> bool {
        let given = if self.settings.shards.is_some() { "--shards" } else { "shards" };
        if MOST_SHARDS < shards || !shards.is_power_of_two() {
            let nearest = shards.clamp(1, MOST_SHARDS).next_power_of_two();
            let report = Diagnostic::new(
                Code::E0108,
                place,
                format!("`{given} {shards}`: expected 1, 2, 4, 8, ... or {MOST_SHARDS}"),
            )
            .label("the sums of shards are added by halves")
            .help(format!("use `{given} {nearest}`"));
            self.report(report);
            return false;
        }
        if examples < shards {
            let fewer = (1..=examples.max(1)).rev().find(|it| it.is_power_of_two()).unwrap_or(1);
            let report =
                Diagnostic::new(Code::E0108, place, format!("{examples} examples cannot be cut into {shards} shards"))
                    .label("each shard takes one example at least")
                    .help(format!("use `{given} {fewer}`, or a larger batch"));
            self.report(report);
            return false;
        }
        // One example has no axis to be reduced, so the graph of a shard of it is another one.
        if shards < examples && examples < 2 * shards {
            let mend = format!("use a batch of {shards} or of {} and more, or `{given} {}`", 2 * shards, shards / 2);
            let message = format!("{examples} examples in {shards} shards are one in some and two in others");
            let report =
                Diagnostic::new(Code::E0108, place, message).label("one example alone is computed in another way");
            self.report(report.help(mend));
            return false;
        }
        true
    }
}
