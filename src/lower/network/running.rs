//! Running statistics, for what is known of the run only later.

use crate::diag::Span;
use crate::lower::network::Network;

/// Running statistics, for what is known of the run only later.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Running {
    pub(in crate::lower) path: String,
    pub(in crate::lower) span: Span,
    pub(in crate::lower) decay: f64,
    pub(in crate::lower) start: f64,
    /// Where the decay was given.
    pub(in crate::lower) given: Option<Span>,
}

impl Network<'_> {
    /// All that are remembered; they are forgotten.
    pub(in crate::lower) fn take_running(&mut self) -> Vec<Running> {
        std::mem::take(&mut self.running)
    }

    /// Remembers running statistics that evaluation uses, with the place of the call and of the decay given in it.
    pub(in crate::lower) fn keeps_running(
        &mut self,
        path: &str,
        (span, given): (Span, Option<Span>),
        decay: f64,
        start: f64,
    ) {
        if !self.items.trains.is_empty() && !self.settings.evaluates && span.file != self.items.prelude {
            self.running.push(Running { path: path.to_owned(), span, decay, start, given });
        }
    }
}
