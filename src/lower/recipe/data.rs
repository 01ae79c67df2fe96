//! The `data` and `validate` entries: which images a model is trained, chosen and tested with.

use crate::diag::{Code, Diagnostic, FileId, Span};
use crate::ir::{DType, ImageStep, recipe};
use crate::lower::names::collect::join;
use crate::lower::names::items::{Def, suggest};
use crate::lower::recipe::Recipe;
use crate::lower::settings::DataInfo;
use crate::lower::values::value::{Ty, Value};
use crate::syntax::ast::{self, ExprKind, StmtKind};

/// What a `data` entry names.
enum Named {
    /// One that is known by its name, or else a path.
    Text(String, FileId),
    /// Seen from where the command runs.
    Setting(String),
}

impl Recipe<'_> {
    /// The data set of a `data` entry, with the steps done to its images, and its path if it is named by that.
    pub(super) fn named_data(
        &mut self,
        value: &ast::Expr,
        steps: &[(ImageStep, Span)],
    ) -> (Option<DataInfo>, Option<String>) {
        let Some(named) = self.data_name(value) else { return (None, None) };
        let (Named::Text(text, _) | Named::Setting(text)) = &named;
        let settings = self.settings;
        if let Some(found) = settings.known_data.iter().find(|it| it.name == *text) {
            let found = found.clone().into_input(self.declared());
            return (if settings.data.is_none() { self.fitted(found, steps) } else { None }, None);
        }
        if settings.data.is_some() {
            return (None, settings.data_path.clone());
        }
        // A name without quotes is never a path, unless it is that of a param.
        let bare = matches!(&value.kind, ExprKind::Name(it) if it == text && !self.params.contains_key(it));
        let Some(look) = settings.look.as_ref().filter(|_| !bare) else {
            let known: Vec<&str> = settings.known_data.iter().map(|it| it.name.as_str()).collect();
            let report = Diagnostic::new(Code::E0203, value.span, format!("unknown data set `{text}`"))
                .label("not a data set that sphc knows")
                .note(format!("data sets: {}", known.join(", ")));
            let report = if bare && settings.look.is_some() {
                report.note("a folder, an `.npz` file or a manifest is named in quotes: `data \"pets.yaml\"`")
            } else {
                report
            };
            self.report(suggest(report, value.span, text, known));
            return (None, None);
        };
        let path = match &named {
            Named::Text(text, file) => join(&self.sources.get(*file).name, text),
            Named::Setting(text) => join("", text),
        };
        // A name alone could be that of a known data set.
        let path = if path.contains('/') { path } else { format!("./{path}") };
        let steps: Vec<ImageStep> = steps.iter().map(|it| it.0).collect();
        match look.at(&path, &steps, self.declared()) {
            Ok(info) => (Some(info), Some(path)),
            Err(cause) => {
                let report = Diagnostic::new(Code::E0203, value.span, format!("the data set `{text}` cannot be used"))
                    .label("named here")
                    .note(cause)
                    .note("a path is seen from the file that says it");
                self.report(report);
                (None, None)
            }
        }
    }

    /// The type that the model says for its input.
    fn declared(&self) -> Option<DType> {
        let stmts = &self.items.models.first()?.body.stmts;
        stmts.iter().find_map(|it| match &it.kind {
            StmtKind::Input { dtype, .. } => DType::of_input(&dtype.name),
            _ => None,
        })
    }

    fn data_name(&mut self, value: &ast::Expr) -> Option<Named> {
        match &value.kind {
            ExprKind::Name(name) => Some(match self.params.get(name) {
                Some(Value::Str(it)) if self.settings.set.iter().any(|it| it.0 == *name) => Named::Setting(it.clone()),
                Some(Value::Str(it)) => {
                    let file = match self.items.main(name).map(|it| &it.def) {
                        Some(Def::Param(param)) => param.span.file,
                        Some(_) | None => value.span.file,
                    };
                    Named::Text(it.clone(), file)
                }
                Some(_) | None => Named::Text(name.clone(), value.span.file),
            }),
            ExprKind::Str(text) => Some(Named::Text(self.text(text)?, value.span.file)),
            _ => {
                self.report(
                    Diagnostic::new(Code::E0203, value.span, "`data` is the name of a data set")
                        .label("expected a name such as `cifar10`"),
                );
                None
            }
        }
    }

    /// `validate 0.1`: the share of the training images that are kept for looking at while it is trained.
    pub(super) fn validate(&mut self, entry: &ast::TrainEntry) -> Option<f64> {
        let value = entry.values.first()?;
        let found = self.expr(value);
        match self.coerce(found, &Ty::Float, value.span, &"`validate`", None) {
            Value::Float(it) if 0.0 < it && it < 1.0 => Some(it),
            Value::Float(it) => {
                self.out_of_range(value.span, "`validate`", &it.to_string(), "a share, above 0 and below 1");
                None
            }
            _ => None,
        }
    }

    /// A data set of which a share of the training images is kept for validation: while it is trained they are what it is
    /// tested with.
    pub(super) fn parted(&mut self, data: DataInfo, share: f64, span: Span) -> DataInfo {
        if data.train_examples < 2 && self.settings.evaluates {
            return data;
        }
        if data.train_examples < 2 {
            let message = format!("`{}` has too few training images to keep some for validation", data.name);
            self.report(Diagnostic::new(Code::E0202, span, message).label("needs two at least"));
            return data;
        }
        let kept = recipe::kept(data.train_examples, share);
        let test_examples = if self.settings.evaluates { data.test_examples } else { kept };
        DataInfo { train_examples: data.train_examples - kept, test_examples, ..data }
    }
}
