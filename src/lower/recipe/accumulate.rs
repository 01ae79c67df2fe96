//! `accumulate 4`: a step takes its batch in equal parts.

use crate::diag::{Code, Diagnostic};
use crate::lower::recipe::Recipe;
use crate::syntax::ast::{self, ExprKind};

/// Most parts of a batch: a plan has the launches of each.
const MOST_PARTS: usize = 64;

impl Recipe<'_> {
    /// How many parts an entry cuts a batch into.
    pub(in crate::lower) fn parts(&mut self, entry: &ast::TrainEntry, batch: usize) -> Option<usize> {
        let value = entry.values.first()?;
        let parts = self.whole_number(value, "`accumulate`", 1)?;
        let Some(parts) = usize::try_from(parts).ok().filter(|it| *it <= MOST_PARTS) else {
            self.out_of_range(value.span, "`accumulate`", &parts.to_string(), &format!("at most {MOST_PARTS}"));
            return None;
        };
        if matches!(value.kind, ExprKind::Int(1)) && !self.settings.evaluates {
            let report = Diagnostic::new(Code::W0203, value.span, "`accumulate 1` has no effect")
                .label("the batch is one part, as without this line")
                .help("leave it out");
            self.report(report);
        }
        // Only a training takes its batch in parts.
        let divides = |it: &usize| batch.is_multiple_of(*it);
        if divides(&parts) || self.settings.evaluates && self.settings.batch.is_some() {
            return Some(parts);
        }
        let message = format!("a batch of {batch} cannot be cut into {parts} equal parts");
        let report = Diagnostic::new(Code::E0108, value.span, message).label(format!("{batch} / {parts} is not whole"));
        let fewer = (1..parts).rev().find(divides).unwrap_or(1);
        let larger = batch.div_ceil(parts) * parts;
        let (given, said) = match self.settings.batch {
            Some(_) => ("give", format!("`--batch {larger}`")),
            None => ("write", format!("`batch {larger}`")),
        };
        let mend = match fewer {
            1 => format!("{given} {said}"),
            _ if given == "write" => format!("write `accumulate {fewer}`, or {said}"),
            _ => format!("write `accumulate {fewer}`, or {given} {said}"),
        };
        self.report(report.help(mend));
        None
    }
}
