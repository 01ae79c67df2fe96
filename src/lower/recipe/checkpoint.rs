//! `checkpoint last(3), best every 500`: which checkpoints a run keeps. `patience 5`: when evaluations end it.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::recipe::Keep;
use crate::lower::recipe::Recipe;
use crate::syntax::ast::{self, ExprKind};

/// Whether an entry asks for the best checkpoint alone, which evaluations decide on: it needs no interval.
pub(super) fn only_best(entry: &ast::TrainEntry) -> bool {
    let best = |it: &ast::Expr| match &it.kind {
        ExprKind::Name(name) => name == "best",
        ExprKind::Call(call) => call.callee.name == "best",
        _ => false,
    };
    !entry.values.is_empty() && entry.values.iter().all(best)
}

impl Recipe<'_> {
    /// What an entry says is kept, of a run that is evaluated every so many steps (0: at the end).
    pub(super) fn kept_checkpoints(&mut self, entry: &ast::TrainEntry, evaluate_every: u64) -> Keep {
        let mut keep = Keep::default();
        let mut seen: Vec<(String, Span)> = Vec::new();
        // Other values were told to be none.
        let values = entry.values.iter().filter(|it| matches!(it.kind, ExprKind::Call(_) | ExprKind::Name(_)));
        for value in values {
            let Some(args) = self.choice("checkpoint", value) else { continue };
            if !self.is_first("checkpoint", &args.name, value.span, &mut seen, "keep one of them") {
                continue;
            }
            match args.name.as_str() {
                "last" => keep.last = self.whole(&args, "count", 1).map(|it| it as u64),
                "best" => {
                    keep.best = true;
                    if evaluate_every == 0 {
                        let report = Diagnostic::new(Code::E0105, value.span, "`best` has no evaluations to compare")
                            .label("the run is evaluated at its end only")
                            .help("add `evaluate every 500` to the recipe");
                        self.report(report);
                    }
                }
                other => unreachable!("`{other}` is not among the words of `checkpoint`"),
            }
        }
        keep
    }

    /// After how many evaluations without a better one a run ends that is evaluated every so many steps (0: at the end).
    pub(super) fn patience(&mut self, entry: &ast::TrainEntry, evaluate_every: u64) -> Option<u64> {
        let count = self.whole_entry(entry, 1)? as u64;
        if evaluate_every == 0 && !self.settings.evaluates {
            let report = Diagnostic::new(Code::E0105, entry.span, "`patience` has no evaluations to count")
                .label("the run is evaluated at its end only")
                .help("add `evaluate every 500` to the recipe");
            self.report(report);
        }
        Some(count)
    }
}
