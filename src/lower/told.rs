//! A value that stands for a mistake has its report: it can only be made here.
//!
//! `fail` reports and gives the value. `lost` is for what follows a mistake that another place reports, `resolve`
//! above all, or the recipe later on; that one did is seen to at the end, so that no file checks clean and then
//! has no meaning.

use super::Lowering;
use super::outputs::Output;
use super::value::Value;
use crate::diag::{Code, Diagnostic, Severity, Span};
use crate::ir::Fact;

/// Proof that a mistake is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told(());

impl Lowering<'_> {
    /// Reports a mistake; the value is what stands in its place.
    pub(super) fn fail(&mut self, report: Diagnostic) -> Value {
        debug_assert_eq!(report.severity(), Severity::Error, "a lint is no reason for a value to be missing");
        self.report(report);
        Value::Error(Told(()))
    }

    /// What follows a mistake that is reported elsewhere.
    pub(super) fn lost(&mut self, span: Span) -> Value {
        Value::Error(self.told(span))
    }

    pub(super) fn told(&mut self, span: Span) -> Told {
        self.unsaid.get_or_insert(span);
        Told(())
    }

    /// Whatever is missing at the end was reported.
    pub(super) fn nothing_is_lost_in_silence(&mut self) {
        // A shape that does not fit is reported by `shape::check`, which makes sure of it.
        let unknown = |it| *self.graph.fact(it) == Fact::Unknown;
        if self.sink.has_errors() || self.graph.ids().any(unknown) {
            return;
        }
        let output = matches!(self.output, Output::Found(_)) || self.items.models.is_empty();
        let recipe = self.graph.recipe.is_some() || self.items.trains.is_empty() || self.items.models.is_empty();
        let place = match (self.unsaid, output && recipe) {
            (Some(span), _) => span,
            (None, false) => self.model_span,
            (None, true) => return,
        };
        self.sink.push(
            Diagnostic::new(Code::E0201, place, "this has no meaning here, and nothing says why")
                .label("lost while the file was unfolded")
                .note("a mistake without a report of its own is a bug of sphc: please report it with this file")
                .help("write this line in another way"),
        );
    }
}
