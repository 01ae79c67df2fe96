//! The keys of a recipe, and the clauses that each takes.
//!
//! `allow W0303` silences a lint on purpose.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::suggest;
use crate::lower::names::options::KEYS;
use crate::lower::recipe::{Recipe, checkpoint};
use crate::syntax::ast::{self, ExprKind};

impl Recipe<'_> {
    pub(super) fn check_keys(&mut self, train: &ast::Train) {
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
}
