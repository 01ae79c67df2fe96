//! Reads what the model must know of the recipe: data, batch, augmentation.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Precision, Shard};
use crate::lower::names::items::suggest;
use crate::lower::network::basis::Basis;
use crate::lower::recipe::Recipe;
use crate::lower::recipe::augment::Augmented;
use crate::lower::values::value::{Ty, Value};
use crate::syntax::ast::{self, ExprKind};

impl Recipe<'_> {
    /// Reads data, batch and augmentation; sets `data` and `batch`.
    pub(in crate::lower) fn basis(&mut self) -> Option<Basis> {
        let items = self.items;
        let train = items.trains.first()?.clone();
        for other in &items.trains[1..] {
            self.report(
                Diagnostic::new(Code::E0201, other.keyword, "a file describes one experiment")
                    .label("a second recipe")
                    .also(train.keyword, "the first recipe is here"),
            );
        }
        self.check_keys(&train);
        let entry = |key: &str| train.entries.iter().find(|it| it.key.name == key);
        let mut basis = Basis {
            train: train.clone(),
            data: self.settings.data.clone(),
            data_span: train.keyword,
            data_path: None,
            validate: None,
            written: None,
            batch: 1,
            accumulate: 1,
            shards: 1,
            shard: None,
            augment: Vec::new(),
            alternate: false,
            mix: None,
            steady: Vec::new(),
            shuffle: !self.settings.no_shuffle,
        };
        if let Some(entry) = entry("data") {
            basis.data_span = entry.values.first().map_or(entry.span, |it| it.span);
            let (name, steps) = self.image_steps(entry);
            if let Some(steps) = steps {
                if let Some(name) = name {
                    let (found, path) = self.named_data(name, &steps);
                    basis.data = basis.data.or(found);
                    basis.data_path = path;
                }
                self.graph.images = steps.into_iter().map(|it| it.0).collect();
            }
        }
        basis.validate = entry("validate").and_then(|it| self.validate(it));
        if let (Some(share), Some(entry)) = (basis.validate, entry("validate")) {
            basis.data = basis.data.map(|it| self.parted(it, share, entry.span));
        }
        // Any number of the recipe may be made of it.
        let written = entry("iterations").and_then(|it| self.whole_entry(it, 1)).map(|it| it as u64);
        self.iterations = self.settings.iterations.or(written);
        let single = entry("iterations").is_some_and(|it| it.values.len() == 1);
        basis.written = written.filter(|_| single);
        let batch = entry("batch").and_then(|it| {
            let batch = self.whole_entry(it, 1)?;
            self.sized(batch, it.values.first()?.span, "`batch`", 1)
        });
        basis.batch = match self.settings.batch {
            Some(_) => self.batch,
            None => batch.unwrap_or(1),
        };
        if let Some(parts) = entry("accumulate").and_then(|it| self.parts(it, basis.batch)) {
            match self.settings.evaluates {
                false => basis.accumulate = parts,
                // What is evaluated at once is a part; another batch was asked for as it is.
                true if self.settings.batch.is_none() => basis.batch /= parts,
                true => {}
            }
        }
        let part = basis.batch / basis.accumulate;
        if let Some(shards) = self.shards(entry("shards"), part) {
            basis.shards = shards;
            basis.shard = self.settings.shard.filter(|_| 1 < shards).map(|at| Shard::new(at, shards, part));
        }
        if let Some(entry) = entry("augment") {
            let Augmented { steps, alternate, mix } = self.augment(entry, basis.data.as_ref());
            basis.alternate = alternate && !self.settings.no_augment;
            if let Some((mix, span)) = mix {
                self.may_be_mixed(mix, span, &basis);
                let of_classes = basis.data.as_ref().is_some_and(|it| it.target.is_class());
                let trains = !self.settings.no_augment && !self.settings.evaluates;
                basis.mix = Some(mix).filter(|_| of_classes && trains);
            }
            basis.steady = basis.data.as_ref().map_or_else(Vec::new, |it| Self::steady(&steps, it));
            basis.augment = if self.settings.no_augment { basis.steady.clone() } else { steps };
        }
        self.data = basis.data.clone();
        self.batch = basis.shard.map_or(part, |it| it.examples);
        self.shard = basis.shard;
        Some(basis)
    }

    pub(super) fn precision(&mut self, entry: &ast::TrainEntry) -> Option<Precision> {
        let value = entry.values.first()?;
        let name = if let ExprKind::Name(name) = &value.kind { Some(name) } else { None };
        let known = name.and_then(|it| Precision::of(it));
        if known.is_none() {
            let words = Precision::ALL.map(Precision::word);
            let named = name.map_or_else(String::new, |it| format!(" `{it}`"));
            let report = Diagnostic::new(Code::E0203, value.span, format!("unknown precision{named}"))
                .label(format!("expected one of {}", words.map(|it| format!("`{it}`")).join(", ")));
            self.report(match name {
                Some(name) => suggest(report, value.span, name, words),
                None => report,
            });
        }
        known
    }

    /// A whole number of at least `least`, the only value of an entry.
    pub(super) fn whole_entry(&mut self, entry: &ast::TrainEntry, least: i64) -> Option<i64> {
        let value = entry.values.first()?;
        self.whole_number(value, &format!("`{}`", entry.key.name), least)
    }

    pub(super) fn whole_number(&mut self, expr: &ast::Expr, what: &str, least: i64) -> Option<i64> {
        let value = self.expr(expr);
        match self.coerce(value, &Ty::Int, expr.span, &what, None) {
            Value::Int(it) if least <= it => Some(it),
            Value::Int(it) => {
                self.out_of_range(expr.span, what, &it.to_string(), &format!("at least {least}"));
                None
            }
            _ => None,
        }
    }
}
