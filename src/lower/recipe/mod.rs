//! The `train` section, and the order in which a file is lowered.
//!
//! [`Recipe`] reads what the model must know of it before the model is unfolded, and the rest after: losses, metrics,
//! optimizers, penalties, and what is said in vain.

pub(in crate::lower) mod accumulate;
pub(in crate::lower) mod augment;
pub(in crate::lower) mod average;
pub(in crate::lower) mod basis;
pub(in crate::lower) mod checkpoint;
pub(in crate::lower) mod choices;
pub(in crate::lower) mod conditions;
pub(in crate::lower) mod data;
pub(in crate::lower) mod entries;
pub(in crate::lower) mod finish;
pub(in crate::lower) mod groups;
pub(in crate::lower) mod idle;
pub(in crate::lower) mod image_steps;
pub(in crate::lower) mod loss_terms;
pub(in crate::lower) mod losses;
pub(in crate::lower) mod optimizer;
pub(in crate::lower) mod penalty;
pub(in crate::lower) mod schedule;
pub(in crate::lower) mod selector;
pub(in crate::lower) mod shards;
pub(in crate::lower) mod targets;
pub(in crate::lower) mod untaught;
pub(in crate::lower) mod unused;

use crate::diag::{Code, Diagnostic, FileId, Sink, Sources, Span};
use crate::lower::names::items::Items;
use crate::lower::network::Network;
use crate::lower::network::basis::Basis;
use crate::lower::network::outputs::Output;
use crate::lower::report::Reports;
use crate::lower::resolve::Resolved;
use crate::lower::scalar::Scalars;
use crate::lower::settings::Settings;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::Value;
use crate::syntax::ast;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// The recipe of a file, and the model that it trains.
pub(super) struct Recipe<'a> {
    unfold: Unfold<'a>,
    /// Values that nothing reads.
    lost: Vec<Span>,
    /// Which names of layers in selectors stand for something.
    layers_known: BTreeMap<String, bool>,
}

impl<'a> Deref for Recipe<'a> {
    type Target = Unfold<'a>;

    fn deref(&self) -> &Unfold<'a> {
        &self.unfold
    }
}

impl<'a> DerefMut for Recipe<'a> {
    fn deref_mut(&mut self) -> &mut Unfold<'a> {
        &mut self.unfold
    }
}

impl<'a> Recipe<'a> {
    pub(super) fn new(
        items: &'a Items,
        sources: &'a Sources,
        settings: &'a Settings,
        sink: &'a mut Sink,
        resolved: Resolved,
    ) -> Self {
        let mut network = Network::new(Reports::new(items, sources, settings, sink));
        network.index = resolved.index;
        Self {
            unfold: Unfold::new(Scalars::new(network), resolved.endless),
            lost: resolved.lost,
            layers_known: BTreeMap::new(),
        }
    }
}

impl Recipe<'_> {
    /// The batch of the command line, which is a size like those of the file.
    pub(super) fn read_batch(&mut self, main: FileId) {
        let Some(batch) = self.settings.batch else { return };
        let place = self.items.trains.first().map_or(Span::new(main, 0, 0), |it| it.keyword);
        let batch = self.sized(i64::try_from(batch).unwrap_or(i64::MAX), place, "`--batch`", 1);
        self.batch = batch.unwrap_or(1);
    }

    /// The one model of the file; a library has none and needs none.
    pub(super) fn the_model(&mut self, main: FileId) -> Option<Rc<ast::Model>> {
        let items = self.items;
        let Some(model) = items.models.first() else {
            // A file that did not parse may well hold one.
            if !self.has_errors() && !items.is_library() {
                self.report(
                    Diagnostic::new(Code::E0201, Span::new(main, 0, 0), "the file has no model")
                        .label("nothing here can be compiled")
                        .help("add `model Name { input image: u8[32, 32, 3] ... output ... }`"),
                );
            }
            return None;
        };
        for other in &items.models[1..] {
            self.report(
                Diagnostic::new(Code::E0201, other.name.span, "a file describes one model")
                    .label("a second model")
                    .also(model.name.span, "the first model is here")
                    .help("move one of them to a file of its own; blocks can be shared by `import`"),
            );
        }
        Some(model.clone())
    }

    pub(super) fn unfold(&mut self, model: &ast::Model, basis: Option<&Basis>) {
        self.model_span = model.name.span;
        self.feed = basis.and_then(|it| self.feed(it));
        self.names.enter_model(model.name.span);
        let value = self.body(&model.body);
        self.names.leave();
        if self.is_exhausted() {
            return self.lost_output();
        }
        if self.input.is_none() {
            let wanted = self.data.as_ref().map_or_else(|| "u8[32, 32, 3]".to_owned(), |it| it.input());
            self.push(
                Diagnostic::new(Code::E0201, model.name.span, format!("model `{}` has no `input`", model.name.name))
                    .label("nothing goes into this model")
                    .help(format!("add as the first statement: `input image: {wanted}`")),
            );
        }
        if matches!(self.outputs.own, Output::Missing) && !value.is_error() {
            let mut report =
                Diagnostic::new(Code::E0201, model.name.span, format!("model `{}` has no `output`", model.name.name))
                    .label("this model cannot be trained");
            if let (Value::Tensor(_), Some(last)) = (&value, model.body.stmts.last()) {
                report = report.also(last.span, "this value is not used").fix(
                    "write `output` before the last expression",
                    Span { end: last.span.start, ..last.span },
                    "output ",
                );
            } else {
                report = report.help("add as the last statement: `output x`");
            }
            self.push(report);
        }
    }
}
