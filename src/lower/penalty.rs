//! The entries of a recipe that are about some of the parameters: penalties and projections.

use super::Lowering;
use super::call::Args;
use super::recipe::allowed;
use super::value::Value;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{ParamId, Penalty, PenaltyKind, Projection};
use crate::syntax::ast;

/// The matrix of their pairs, with opposites, is a tensor; its product with a filter of the largest size fits, too.
const MOST_FILTERS_IN_PAIRS: usize = 1 << 18;

impl Lowering<'_> {
    pub(super) fn penalties(&mut self, train: &ast::Train) -> Vec<Penalty> {
        let mut found = Vec::new();
        for entry in train.entries.iter().filter(|it| it.key.name == "penalty") {
            let args = entry.values.first().and_then(|it| self.choice("penalty", it));
            let kind = args.as_ref().map_or(Some(PenaltyKind::L2), |it| self.penalty_kind(it));
            let coefficient =
                args.as_ref().and_then(|args| self.float(args, "coefficient", 0.0, |it| 0.0 <= it, "at least 0"));
            let params = self.select(entry, args.as_ref().is_some_and(|it| it.name != "l2"));
            if matches!(kind, Some(PenaltyKind::Orthogonality | PenaltyKind::NormalizedOrthogonality)) {
                self.lint_orthogonality(train, entry, &params);
            }
            if kind.is_some_and(|it| it != PenaltyKind::L2) {
                self.check_pairs(entry, &params);
            }
            if let (Some(kind), Some(coefficient), false) = (kind, coefficient, params.is_empty()) {
                found.push(Penalty { kind, coefficient, params, span: entry.span });
            }
        }
        found
    }

    /// A penalty on pairs of filters makes a matrix of all of them.
    fn check_pairs(&mut self, entry: &ast::TrainEntry, params: &[ParamId]) {
        for &id in params {
            let param = self.graph.param(id);
            let filters = param.shape.dims().last().copied().unwrap_or(1);
            if MOST_FILTERS_IN_PAIRS < filters {
                let place = self.graph.origin_of(param.origin).span;
                let message = format!("a penalty on pairs of `{}`'s {filters} filters is too large", param.layer);
                self.report(
                    Diagnostic::new(Code::E0304, entry.span, message)
                        .label(format!("at most {MOST_FILTERS_IN_PAIRS} filters of a layer"))
                        .also(place, format!("has {filters} filters"))
                        .help("exclude the layer: `where layer != \"...\"`"),
                );
            }
        }
    }

    /// `None` after a mistake.
    fn penalty_kind(&mut self, args: &Args) -> Option<PenaltyKind> {
        let is_set = |name: &str| matches!(args.get(name), Some((Value::Bool(true), _)));
        match args.name.as_str() {
            "orthogonality" if is_set("normalized") => Some(PenaltyKind::NormalizedOrthogonality),
            "orthogonality" => Some(PenaltyKind::Orthogonality),
            "energy" => {
                // Beyond, the energy of two equal filters leaves f32.
                let power = self.float(args, "s", 2.0, |it| (0.0..=8.0).contains(&it), "between 0 and 8")?;
                Some(PenaltyKind::Energy { power, half_space: is_set("half_space") })
            }
            _ => Some(PenaltyKind::L2),
        }
    }

    pub(super) fn projections(&mut self, train: &ast::Train) -> Vec<Projection> {
        let mut found = Vec::new();
        for entry in train.entries.iter().filter(|it| it.key.name == "project") {
            let args = entry.values.first().and_then(|it| self.choice("project", it));
            let every = match &entry.every {
                Some(_) => self.interval(entry),
                None => Some(1),
            };
            let params = self.select(entry, true);
            if let (Some(_), Some(every), false) = (args, every, params.is_empty()) {
                found.push(Projection { params, every, span: entry.span });
            }
        }
        found
    }

    /// `N` filters of fewer than `N` numbers cannot all be orthogonal.
    fn lint_orthogonality(&mut self, train: &ast::Train, entry: &ast::TrainEntry, params: &[ParamId]) {
        if allowed(train).contains(&Code::W0303) || self.sink.has_errors() {
            return;
        }
        let mut crowded: Vec<(String, Span, usize, [usize; 3])> = Vec::new();
        for &id in params {
            let param = self.graph.param(id);
            if let &[kh, kw, cin, cout] = param.shape.dims()
                && kh * kw * cin < cout
            {
                let span = self.graph.origin_of(param.origin).span;
                crowded.push((param.layer.clone(), span, cout, [kh, kw, cin]));
            }
        }
        let Some((first, ..)) = crowded.first() else { return };
        let message = match crowded.len() {
            1 => format!("the orthogonality penalty of `{first}` can never reach zero"),
            n => format!("the orthogonality penalty of {n} layers can never reach zero"),
        };
        let mut report = Diagnostic::new(Code::W0303, entry.span, message)
            .label("asks all filters of a layer to be orthogonal to each other");
        for (layer, span, cout, [kh, kw, cin]) in crowded.iter().take(4) {
            let d = kh * kw * cin;
            if report.secondary.iter().all(|it| it.span != *span) {
                report =
                    report.also(*span, format!("`{layer}` has {cout} filters of {kh} * {kw} * {cin} = {d} numbers"));
            }
            report = report.note(format!(
                "at most {d} vectors can be orthogonal in {d} dimensions: for `{layer}` the squared norm of W'W - I \
                 stays at {cout} - {d} = {} or above",
                cout - d
            ));
        }
        self.report(
            report
                .help(format!("exclude the layer: `and layer != \"{first}\"`, or give it fewer filters"))
                .help("the published SphereNet has it on every layer; `allow W0303` in the recipe silences this"),
        );
    }
}
