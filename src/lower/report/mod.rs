//! What is said of a file while it is lowered, and what lowering it may cost.
//!
//! [`Reports`] has the text, the settings and the sink, and knows the calls and loops around what is unfolded: one mistake is
//! one report, at a place of the user's own text.

pub(in crate::lower) mod budget;
pub(in crate::lower) mod idle;
pub(in crate::lower) mod ranges;
pub(in crate::lower) mod told;

use crate::diag::{Code, Diagnostic, Label, Severity, Sink, Sources, Span};
use crate::ir::Frame;
use crate::lower::names::items::Items;
use crate::lower::names::options::allowed;
use crate::lower::settings::Settings;
use crate::lower::values::source::Passed;
use budget::Budget;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reports, and what they need to know.
pub(in crate::lower) struct Reports<'a> {
    pub(in crate::lower) items: &'a Items,
    pub(in crate::lower) sources: &'a Sources,
    pub(in crate::lower) settings: &'a Settings,
    sink: RefCell<&'a mut Sink>,
    /// Lints that the recipe silences.
    allowed: Vec<Code>,
    /// The calls of functions and the layers of operators around what is evaluated, outermost first.
    calls: Vec<Span>,
    frames: Vec<Frame>,
    /// The same, for the origins of all nodes made within them.
    shared_frames: OnceCell<Arc<[Frame]>>,
    /// Calls of the prelude's blocks that are being unfolded, outermost first.
    passed: Vec<Passed>,
    reported: RefCell<BTreeSet<(Code, Span)>>,
    /// The first place whose mistake another place must report.
    unsaid: Cell<Option<Span>>,
    budget: Budget,
    pub(in crate::lower) model_span: Span,
}

impl<'a> Reports<'a> {
    pub(super) fn new(items: &'a Items, sources: &'a Sources, settings: &'a Settings, sink: &'a mut Sink) -> Self {
        Self {
            items,
            sources,
            settings,
            sink: RefCell::new(sink),
            allowed: items.trains.iter().flat_map(|it| allowed(it)).collect(),
            calls: Vec::new(),
            frames: Vec::new(),
            shared_frames: OnceCell::new(),
            passed: Vec::new(),
            reported: RefCell::default(),
            unsaid: Cell::new(None),
            budget: Budget::default(),
            model_span: Span::default(),
        }
    }
}

impl Reports<'_> {
    /// Adds a report as it is, whatever was reported before.
    pub(super) fn push(&self, report: Diagnostic) {
        self.sink.borrow_mut().push(report);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.sink.borrow().has_errors()
    }

    /// Goes into a function, or a layer's operator.
    pub(super) fn enter_call(&mut self, span: Span) {
        self.calls.push(span);
    }

    pub(super) fn leave_call(&mut self) {
        self.calls.pop();
    }

    /// The calls around what is evaluated, outermost first.
    pub(super) fn calls(&self) -> &[Span] {
        &self.calls
    }

    /// The loops and calls around what is evaluated, shared by all nodes made within them.
    pub(super) fn frames(&self) -> Arc<[Frame]> {
        self.shared_frames.get_or_init(|| self.frames.as_slice().into()).clone()
    }

    /// Goes into a call of a definition of the prelude.
    pub(super) fn enter_passed(&mut self, passed: Passed) {
        self.passed.push(passed);
    }

    pub(super) fn leave_passed(&mut self) {
        self.passed.pop();
    }

    /// The innermost call of a definition of the prelude.
    pub(super) fn passed(&self) -> Option<&Passed> {
        self.passed.last()
    }

    pub(super) fn passed_mut(&mut self) -> Option<&mut Passed> {
        self.passed.last_mut()
    }

    /// The first place whose mistake another place must report.
    pub(super) fn unsaid(&self) -> Option<Span> {
        self.unsaid.get()
    }

    /// What the user's text called, where the prelude calls `name` for it.
    fn users_callee<'a>(&'a self, name: &'a str) -> &'a str {
        self.passed.first().map_or(name, |it| &it.of.name.name)
    }

    /// What a report says of the `data` entry when it is about the data set.
    pub(super) fn data_is_named(&self) -> &'static str {
        match self.settings.data_replaced {
            true => "the data set is given in place of this one",
            false => "the data set is named here",
        }
    }

    /// The places of the elements of a list, where the list is written out, in order.
    pub(super) fn elements(&self, list: Span) -> impl Iterator<Item = Span> {
        let text = self.sources.slice(list);
        let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let inner = inner.filter(|it| !it.contains(['[', '(', '"', '{', '/']));
        inner.into_iter().flat_map(|it| it.split(',')).map(move |element| {
            let start = element.as_ptr() as usize - text.as_ptr() as usize + element.len() - element.trim_start().len();
            let from = list.start as usize + start;
            Span::new(list.file, from, from + element.trim().len())
        })
    }

    pub(super) fn out_of_range(&self, span: Span, what: &str, found: &str, allowed: &str) {
        let report =
            self.at(Code::E0108, span, format!("{what} is {found}, out of range")).label(format!("must be {allowed}"));
        self.report(report);
    }

    /// Takes a report. The passes of a loop and the calls of a block make one mistake once, whatever
    /// the values were: one report for a code and a place.
    pub(super) fn report(&self, mut report: Diagnostic) {
        if self.allowed.contains(&report.code) && report.severity() == Severity::Warning {
            return;
        }
        // What goes wrong inside of the prelude is the mistake of whoever called it.
        if report.primary.span.file == self.items.prelude
            && let Some(&call) = self.calls.iter().find(|it| it.file != self.items.prelude)
        {
            let inner = std::mem::replace(&mut report.primary, Label { span: call, text: "in this call".to_owned() });
            // What the prelude asserts says all there is to say.
            if report.code != Code::E0110 {
                report.secondary.insert(0, inner);
            }
        }
        if self.reported.borrow_mut().insert((report.code, report.primary.span)) {
            self.sink.borrow_mut().push(report);
        }
    }

    pub(super) fn report_all(&self, reports: impl IntoIterator<Item = Diagnostic>) {
        reports.into_iter().for_each(|it| self.report(it));
    }

    /// A report with the loops and calls around it.
    pub(super) fn at(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        let mut report = Diagnostic::new(code, span, message);
        // Of many, the outermost and the innermost tell the way.
        const SHOWN: usize = 4;
        for (at, frame) in self.frames.iter().enumerate() {
            let seen = frame.span != span && frame.span.file != self.items.prelude;
            if seen && (at < SHOWN || self.frames.len() - SHOWN <= at) {
                report = report.also(frame.span, &*frame.text);
            }
        }
        report
    }

    /// Goes into a loop's pass or a block's call.
    pub(super) fn enter_frame(&mut self, span: Span, text: String) {
        self.frames.push(Frame { span, text: text.into() });
        self.shared_frames.take();
    }

    pub(super) fn leave_frame(&mut self) {
        self.frames.pop();
        self.shared_frames.take();
    }

    /// The place in the user's text: what the prelude does, its caller does.
    pub(super) fn users_place(&self, span: Span) -> Span {
        if span.file != self.items.prelude {
            return span;
        }
        self.calls.iter().rev().copied().find(|it| it.file != self.items.prelude).unwrap_or(span)
    }
}
