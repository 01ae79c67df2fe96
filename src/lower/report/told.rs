//! A value that stands for a mistake has its report: it can only be made here.
//!
//! `fail` reports and gives the value. `lost` is for what follows a mistake that another place reports, `resolve`
//! above all, or the recipe later on; that one did is seen to at the end, so that no file checks clean and then
//! has no meaning.

use crate::diag::{Diagnostic, Severity, Span};
use crate::lower::report::Reports;
use crate::lower::values::value::Value;

/// Proof that a mistake is reported.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Told(());

impl Reports<'_> {
    /// Reports a mistake; the value is what stands in its place.
    pub(in crate::lower) fn fail(&self, report: Diagnostic) -> Value {
        debug_assert_eq!(report.severity(), Severity::Error, "a lint is no reason for a value to be missing");
        self.report(report);
        Value::Error(Told(()))
    }

    /// What follows a mistake that is reported elsewhere.
    pub(in crate::lower) fn lost(&self, span: Span) -> Value {
        Value::Error(self.told(span))
    }

    pub(in crate::lower) fn told(&self, span: Span) -> Told {
        self.unsaid.set(self.unsaid.get().or(Some(span)));
        Told(())
    }
}
