//! The `train` section. What the model must know of it (data, batch, augmentation) is read before the
//! model is unfolded, the rest after.
//!
//! `allow W0303` in it silences a lint on purpose.

use super::augment::Augmented;
use super::checkpoint;
use super::items::suggest;
use super::value::{Ty, Value};
use super::{DataInfo, Lowering};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::recipe::Mix;
use crate::ir::{Augment, Precision, Recipe};
use crate::syntax::ast::{self, ExprKind};
use std::rc::Rc;

/// What the model must know.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    pub(super) train: Rc<ast::Train>,
    /// `None` after a mistake.
    pub(super) data: Option<DataInfo>,
    pub(super) data_span: Span,
    /// Where it is, when the file names it by its path.
    pub(super) data_path: Option<String>,
    /// The share of the training images that are kept for validation.
    pub(super) validate: Option<f64>,
    /// Updates, as the file says.
    pub(super) written: Option<u64>,
    pub(super) batch: usize,
    /// Equal parts that a step takes it in.
    pub(super) accumulate: usize,
    pub(super) augment: Vec<Augment>,
    /// Whether an image that is mirrored in one epoch is not in the next.
    pub(super) alternate: bool,
    /// How they are mixed after that.
    pub(super) mix: Option<Mix>,
    /// What is done to images that are evaluated.
    pub(super) steady: Vec<Augment>,
    pub(super) shuffle: bool,
}

/// Keys of entries: whether each may come again, and which clauses it takes besides values.
pub(super) const KEYS: &[(&str, bool, &[&str])] = &[
    ("data", false, &[]),
    ("validate", false, &[]),
    ("augment", false, &[]),
    ("batch", false, &[]),
    ("iterations", false, &[]),
    ("loss", true, &["on"]),
    ("metric", true, &["on"]),
    ("penalty", true, &["on", "where"]),
    ("project", true, &["on", "where", "every"]),
    ("freeze", true, &["on", "where"]),
    ("optimizer", true, &["on", "where"]),
    ("schedule", false, &[]),
    ("clip", false, &[]),
    ("average", false, &[]),
    ("accumulate", false, &[]),
    ("evaluate", false, &["every"]),
    ("patience", false, &[]),
    ("views", false, &[]),
    ("checkpoint", false, &["every"]),
    ("precision", false, &[]),
    ("seed", false, &[]),
    ("allow", true, &[]),
];

/// The lints that a recipe allows.
pub(super) fn allowed(train: &ast::Train) -> Vec<Code> {
    let names = train.entries.iter().filter(|it| it.key.name == "allow").flat_map(|it| &it.values);
    names.filter_map(|it| if let ExprKind::Name(name) = &it.kind { Code::find(name) } else { None }).collect()
}

impl Lowering<'_> {
    /// Reads data, batch and augmentation; sets `data` and `batch`.
    pub(super) fn basis(&mut self) -> Option<Basis> {
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
        self.batch = basis.batch / basis.accumulate;
        Some(basis)
    }

    fn check_keys(&mut self, train: &ast::Train) {
        for (at, entry) in train.entries.iter().enumerate() {
            let key = &entry.key;
            let Some((_, many, clauses)) = KEYS.iter().find(|it| it.0 == key.name) else {
                let names: Vec<&str> = KEYS.iter().map(|it| it.0).collect();
                let report = Diagnostic::new(Code::E0203, key.span, format!("a recipe has no entry `{}`", key.name))
                    .label("unknown entry")
                    .note(format!("entries: {}", names.join(", ")));
                self.report(suggest(report, key.span, &key.name, names));
                continue;
            };
            if let Some(first) = train.entries[..at].iter().find(|it| !many && it.key.name == key.name) {
                self.report(
                    Diagnostic::new(Code::E0103, key.span, format!("the recipe has two entries `{}`", key.name))
                        .label("again here")
                        .also(first.key.span, "first here"),
                );
            }
            let given = [
                ("on", entry.on.first().map(|it| it.span)),
                ("where", entry.filter.as_ref().map(|it| it.span)),
                ("every", entry.every.as_ref().map(|it| it.span)),
            ];
            for (clause, place) in given {
                if let Some(place) = place
                    && !clauses.contains(&clause)
                {
                    // A word behind a value is taken for what the entry is on.
                    let report =
                        match entry.values.last().map(|it| Span { start: it.span.end, end: place.start, ..place }) {
                            Some(between) if clause == "on" && self.sources.slice(between).trim().is_empty() => {
                                let message = format!("two values of `{}` without a comma between them", key.name);
                                let comma = Span { end: between.start, ..between };
                                Diagnostic::new(Code::E0105, place, message).label("a second value").fix(
                                    "put a comma between them",
                                    comma,
                                    ",",
                                )
                            }
                            Some(_) | None => {
                                let message = format!("`{}` takes no `{clause}`", key.name);
                                Diagnostic::new(Code::E0105, place, message).label("not wanted here")
                            }
                        };
                    self.report(report);
                }
            }
            let bare = matches!(key.name.as_str(), "evaluate" | "checkpoint");
            // `checkpoint last(3), best every 500` says what is kept.
            let keeps =
                |it: &&ast::Expr| key.name == "checkpoint" && matches!(it.kind, ExprKind::Call(_) | ExprKind::Name(_));
            if bare && let Some(value) = entry.values.iter().find(|it| !keeps(it)) {
                self.report(
                    Diagnostic::new(Code::E0105, value.span, format!("`{}` takes only an interval", key.name))
                        .label("not wanted here")
                        .fix(
                            format!("write `{} every {}`", key.name, self.sources.slice(value.span)),
                            Span { end: value.span.start, ..value.span },
                            "every ",
                        ),
                );
            } else if entry.every.is_none() && bare && !checkpoint::only_best(entry) {
                self.report(
                    Diagnostic::new(Code::E0105, entry.span, format!("`{}` needs an interval", key.name))
                        .label("missing `every`")
                        .help(format!("write `{} every 500`", self.sources.slice(entry.span).trim())),
                );
            } else if key.name == "freeze" {
                // Without `on` that is what is said, with what stands in its place.
                if let Some(value) = entry.values.first().filter(|_| !entry.on.is_empty()) {
                    let report = Diagnostic::new(Code::E0105, value.span, "`freeze` takes no value")
                        .label("not wanted here")
                        .fix("leave it out", Span { end: entry.on[0].span.start, ..value.span }, "on ");
                    self.report(report);
                }
            } else if entry.values.is_empty() && !bare {
                self.report(
                    Diagnostic::new(Code::E0105, key.span, format!("`{}` needs a value", key.name))
                        .label("nothing follows"),
                );
            } else if !bare
                && !matches!(key.name.as_str(), "augment" | "views" | "metric" | "allow")
                && let Some(second) = entry.values.get(1)
            {
                let report = Diagnostic::new(Code::E0105, second.span, format!("`{}` takes one value", key.name))
                    .label("one too many");
                let both = entry.values[0].span.to(entry.values[entry.values.len() - 1].span);
                let text = self.sources.slice(both).replace(", ", ",");
                let digits = text.split(',').skip(1).all(|it| it.len() == 3 && it.parse::<u32>().is_ok());
                self.report(if digits {
                    let number = text.replace(',', "_");
                    report.fix(format!("the digits of a number are grouped as in `{number}`"), both, number)
                } else {
                    report
                });
            }
            if key.name == "allow" {
                self.check_allowed(entry);
            }
        }
    }

    fn check_allowed(&mut self, entry: &ast::TrainEntry) {
        for value in &entry.values {
            let lints: Vec<&str> = Code::ALL.iter().map(|it| it.name()).filter(|it| it.starts_with('W')).collect();
            match &value.kind {
                ExprKind::Name(name) if lints.contains(&name.as_str()) => {}
                ExprKind::Name(name) => {
                    let report = Diagnostic::new(Code::E0203, value.span, format!("`{name}` cannot be allowed"))
                        .label("not the code of a lint")
                        .note(format!("lints: {}", lints.join(", ")));
                    self.report(suggest(report, value.span, name, lints));
                }
                _ => self.report(
                    Diagnostic::new(Code::E0203, value.span, "only a lint can be allowed")
                        .label("expected a code such as `W0303`"),
                ),
            }
        }
    }

    fn precision(&mut self, entry: &ast::TrainEntry) -> Option<Precision> {
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

    /// Reads the rest, builds the selectors, and writes the recipe when nothing is missing.
    pub(super) fn finish_recipe(&mut self, basis: Basis) {
        let train = basis.train.clone();
        let entry = |key: &str| train.entries.iter().find(|it| it.key.name == key);

        let seed = entry("seed").and_then(|it| self.whole_entry(it, 0));
        let evaluate = entry("evaluate").and_then(|it| self.interval(it));
        let checkpoint = entry("checkpoint").and_then(|it| self.interval(it));
        let evaluate_every = self.settings.evaluate_every.or(evaluate).unwrap_or(0);
        let patience = entry("patience").and_then(|it| self.patience(it, evaluate_every));
        let keep = entry("checkpoint").map(|it| self.kept_checkpoints(it, evaluate_every)).unwrap_or_default();
        let all = self.iterations;
        let schedule = entry("schedule").map(|it| (it, self.factor(it, all)));
        let factor = schedule.as_ref().and_then(|it| it.1.as_ref());
        // What a loss learns is moved as well.
        let loss = self.losses(&basis);
        self.metrics(&basis);
        self.labels_are_mixed();
        let views = entry("views").map(|it| self.views(it)).unwrap_or_default();
        let frozen = self.frozen(&train);
        let optimizers = self.optimizers(&train, &frozen, factor, all);
        let clip = entry("clip").map(|it| self.clip(it));
        let average = entry("average").map(|it| self.average(it, all, basis.written));
        if let Some((entry, Some(factor))) = &schedule {
            self.vain_schedule(entry, factor, basis.written);
        } else if let (Some(all), Some(optimizers)) = (basis.written, &optimizers) {
            let entries = train.entries.iter().filter(|it| it.key.name == "optimizer");
            for (entry, optimizer) in entries.zip(optimizers) {
                self.late_changes(entry.span, &optimizer.rate, all);
            }
        }
        self.vain_entries(&basis);
        let penalties = self.penalties(&train, &frozen);
        let projections = self.projections(&train, &frozen);
        let precision = entry("precision").and_then(|it| self.precision(it));

        let mut missing = Vec::new();
        for (key, example, set) in [
            ("data", "data cifar10", self.settings.data.is_some()),
            ("batch", "batch 128", self.settings.batch.is_some()),
            ("iterations", "iterations 64_000", self.settings.iterations.is_some()),
            ("loss", "loss softmax_cross_entropy", false),
            ("optimizer", "optimizer adam(rate: 1e-3)", false),
        ] {
            if !set && entry(key).is_none() {
                missing.push((key, example));
            }
        }
        // A missing entry is most likely the one with the unknown key.
        let keys = |it: &ast::TrainEntry| KEYS.iter().any(|known| known.0 == it.key.name);
        if !missing.is_empty() && train.entries.iter().all(keys) {
            let names: Vec<String> = missing.iter().map(|it| format!("`{}`", it.0)).collect();
            let mut report =
                Diagnostic::new(Code::E0201, train.keyword, format!("the recipe has no {}", names.join(", no ")))
                    .label("this recipe is not complete");
            for (_, example) in &missing {
                report = report.help(format!("add for example `{example}`"));
            }
            self.report(report);
        }
        let schedule = match schedule {
            Some((_, factor)) => factor.map(|it| it.text),
            None => Some("constant".to_owned()),
        };
        let (Some(data), Some(loss), Some(optimizers), Some(schedule)) =
            (basis.data.clone(), loss, optimizers, schedule)
        else {
            return;
        };
        // Of what was written and is wrong there is nothing.
        let (clip, average) = match (clip, average) {
            (Some(None), _) | (_, Some(None)) => return,
            (clip, average) => (clip.flatten(), average.flatten()),
        };
        let Some(iterations) = all else { return };
        self.graph.recipe = Some(Recipe {
            data: basis.data_path.unwrap_or(data.name),
            validate: basis.validate,
            data_span: basis.data_span,
            augment: basis.augment,
            alternate: basis.alternate,
            mix: basis.mix,
            views,
            batch: basis.batch,
            accumulate: basis.accumulate,
            iterations,
            loss,
            penalties,
            projections,
            optimizers,
            frozen: frozen.into_iter().collect(),
            clip,
            average,
            schedule,
            length_matters: self.length_matters,
            evaluate_every,
            checkpoint_every: self.settings.checkpoint_every.or(checkpoint).unwrap_or(0),
            keep,
            patience: self.settings.patience.or(patience).unwrap_or(0),
            precision,
            seed: self.settings.seed.or(seed.map(|it| it as u64)).unwrap_or(0),
            shuffle: basis.shuffle,
            train_examples: data.train_examples,
            test_examples: data.test_examples,
            classes: data.classes,
            target: data.target,
        });
    }

    pub(super) fn interval(&mut self, entry: &ast::TrainEntry) -> Option<u64> {
        let every = entry.every.as_ref()?;
        self.whole_number(every, &format!("the interval of `{}`", entry.key.name), 1).map(|it| it as u64)
    }
}
