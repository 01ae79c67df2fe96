//! What unfolding a file may cost. A file is a program that runs once: a loop in a loop, a list that doubles, blocks
//! that call two blocks each ask for more than any machine has. All of it is counted here, and the line at which
//! nothing is left is told. The bounds are far above what any network needs: one of 10 000 layers takes about half
//! of the work.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::report::Reports;
use crate::lower::values::value::Value;
use std::cell::Cell;

/// Steps: one for each expression and character of a string, two for each element of a list, twenty and more for each
/// node, repetition and call.
const MOST_WORK: u64 = 20_000_000;

/// Calls of blocks, functions and operators within each other.
const DEEPEST_CALL: usize = 200;

/// Expressions within each other, those of the callers included.
const DEEPEST: usize = 1000;

/// Operations in one function of numbers.
pub(in crate::lower) const MOST_OPERATIONS: usize = 4000;

/// Numbers that an operator learns or measures, with those of the operators in it.
const MOST_KEPT: usize = 100;

/// What is spent.
#[derive(Debug, Default)]
pub(in crate::lower) struct Budget {
    work: Cell<u64>,
    calls: Cell<usize>,
    depth: Cell<usize>,
    /// Once it is told; from then on nothing is unfolded.
    exhausted: Cell<bool>,
}

/// How much memory a value takes, in steps.
pub(in crate::lower) fn weight(value: &Value) -> u64 {
    match value {
        Value::List(items) => items.iter().map(|it| 2 + weight(it)).sum(),
        Value::Str(text) => 1 + text.len() as u64,
        _ => 1,
    }
}

impl Reports<'_> {
    /// Pays for something; `false` when nothing is left.
    pub(in crate::lower) fn pay(&self, cost: u64, span: Span) -> bool {
        self.budget.work.set(self.budget.work.get().saturating_add(cost));
        if MOST_WORK < self.budget.work.get() {
            self.exhaust(span, "unfolding this takes too much work", "where the bound was reached", |it| {
                it.note(format!(
                    "a file may take {MOST_WORK} steps; a network of 10 000 layers takes about half of them"
                ))
                .help("repeat less: loops within loops, blocks that call others twice, and lists that double multiply")
            });
        }
        !self.budget.exhausted.get()
    }

    /// Whether nothing more is unfolded.
    pub(in crate::lower) fn is_exhausted(&self) -> bool {
        self.budget.exhausted.get()
    }

    /// Goes into an expression.
    pub(in crate::lower) fn descend(&self, span: Span) -> bool {
        self.budget.depth.set(self.budget.depth.get() + 1);
        if DEEPEST < self.budget.depth.get() {
            self.exhaust(span, "expressions and calls are nested too deeply", "the innermost one", |it| {
                it.note(format!("at most {DEEPEST} expressions within each other, those of the callers included"))
                    .help("give parts of them a name with `let`")
            });
        }
        self.pay(1, span)
    }

    /// Comes back out of it.
    pub(in crate::lower) fn ascend(&self) {
        self.budget.depth.set(self.budget.depth.get() - 1);
    }

    /// Goes into the body of a block, a function or an operator.
    pub(in crate::lower) fn descend_call(&self, span: Span) -> bool {
        self.budget.calls.set(self.budget.calls.get() + 1);
        if DEEPEST_CALL < self.budget.calls.get() {
            self.exhaust(span, "calls are nested too deeply", "the innermost call", |it| {
                it.note(format!("at most {DEEPEST_CALL} calls of blocks, functions and operators within each other"))
                    .help("put layers one after the other: `for i in 0..n { x = unit(x) }`")
            });
        }
        self.pay(20, span)
    }

    /// Comes back out of it.
    pub(in crate::lower) fn ascend_call(&self) {
        self.budget.calls.set(self.budget.calls.get() - 1);
    }

    /// Whether the operator may learn or measure one more number: it is differentiated by each.
    pub(in crate::lower) fn may_keep(&self, kept: usize, span: Span) -> bool {
        if MOST_KEPT <= kept {
            self.exhaust(span, "this operator keeps too many numbers", "one too many", |it| {
                it.note(format!(
                    "at most {MOST_KEPT} numbers that it learns or measures, with those of the operators in it"
                ))
                .help("learn fewer, or divide the work between several layers")
            });
        }
        !self.budget.exhausted.get()
    }

    pub(in crate::lower) fn exhaust(
        &self,
        span: Span,
        message: &str,
        label: &str,
        more: impl FnOnce(Diagnostic) -> Diagnostic,
    ) {
        if !self.budget.exhausted.replace(true) {
            let report = self.at(Code::E0112, span, message).label(label);
            self.report(more(report));
        }
    }
}

/// How often a loop may run: a typing mistake must not fill the memory.
pub(in crate::lower) const MOST_REPETITIONS: u64 = 100_000;
