//! The words of a recipe that take arguments: losses, penalties, projections, ...

use super::Lowering;
use super::call::Args;
use super::items::{Items, Kind, suggest};
use super::signature::{Signature, Slot};
use super::value::Ty;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Border;
use crate::syntax::ast::{self, ExprKind};

/// Name, type and default of an argument.
type Argument<'t> = (&'t str, Ty, Option<&'t str>);

fn choices(key: &'static str, list: &[(&str, &[Argument<'_>])]) -> Vec<Signature> {
    list.iter()
        .map(|(name, slots)| Signature {
            what: key,
            name: (*name).to_owned(),
            slots: slots
                .iter()
                .map(|(name, ty, default)| Slot {
                    name: (*name).to_owned(),
                    ty: ty.clone(),
                    default: default.map(str::to_owned),
                })
                .collect(),
            header: None,
        })
        .collect()
}

/// What can stand after a key.
pub(super) fn options(key: &str, items: &Items) -> Vec<Signature> {
    match key {
        "optimizer" => items.signatures(Kind::Optimizer),
        "average" => items.signatures(Kind::Average),
        "clip" => choices("bound", &[("norm", &[("most", Ty::Float, None)]), ("value", &[("most", Ty::Float, None)])]),
        "checkpoint" => choices("rule", &[("last", &[("count", Ty::Int, None)]), ("best", &[])]),
        "data" => choices(
            "step",
            &[
                ("resize", &[("height", Ty::Int, None), ("width", Ty::Int, None)]),
                ("pad", &[("pixels", Ty::Int, None)]),
                ("channels", &[("count", Ty::Int, None)]),
            ],
        ),
        "augment" => choices(
            "augmentation",
            &[
                ("flip_horizontal", &[("alternate", Ty::Bool, Some("false"))]),
                ("flip_vertical", &[]),
                (
                    "crop",
                    &[
                        ("height", Ty::Int, Some("the image's")),
                        ("width", Ty::Int, Some("the image's")),
                        ("pad", Ty::Int, Some("0")),
                        ("mode", Ty::Word(&Border::WORDS), Some("symmetric")),
                    ],
                ),
                (
                    "random_resized_crop",
                    &[
                        ("height", Ty::Int, None),
                        ("width", Ty::Int, None),
                        ("scale", Ty::List(Box::new(Ty::Float)), Some("[0.08, 1]")),
                        ("ratio", Ty::List(Box::new(Ty::Float)), Some("[3/4, 4/3]")),
                    ],
                ),
                ("rotate", &[("degrees", Ty::Float, None)]),
                (
                    "color_jitter",
                    &[
                        ("brightness", Ty::Float, Some("0")),
                        ("contrast", Ty::Float, Some("0")),
                        ("saturation", Ty::Float, Some("0")),
                    ],
                ),
                ("cutout", &[("size", Ty::Int, None), ("value", Ty::Int, Some("0"))]),
                ("mixup", &[("alpha", Ty::Float, None)]),
                ("cutmix", &[("alpha", Ty::Float, None)]),
            ],
        ),
        "views" => choices(
            "view",
            &[
                ("flip_horizontal", &[]),
                ("shift", &[("pixels", Ty::Int, None), ("mode", Ty::Word(&Border::WORDS), Some("reflect"))]),
            ],
        ),
        "penalty" => items.signatures(Kind::Penalty),
        "project" => choices("projection", &[("normalize", &[])]),
        // Other entries have no words of their own.
        _ => Vec::new(),
    }
}

/// Whether a word says that nothing is to stand after a key.
fn is_nothing(name: &str) -> bool {
    matches!(name, "none" | "None" | "null" | "nil" | "off" | "no")
}

/// A few options with all they take, more of them by name.
pub(super) fn listed(options: &[Signature]) -> String {
    let few = options.len() <= 3;
    let list: Vec<String> =
        options.iter().map(|it| format!("`{}`", if few { it.text() } else { it.name.clone() })).collect();
    list.join(" or ")
}

impl Lowering<'_> {
    /// Whether an entry asks for nothing: that is told, and no more is to be said of the line.
    pub(super) fn asks_for_nothing(&self, entry: &ast::TrainEntry) -> bool {
        let options = options(&entry.key.name, self.items);
        match entry.values.first().map(|it| &it.kind) {
            Some(ExprKind::Name(name)) => is_nothing(name) && options.iter().all(|it| it.name != *name),
            Some(_) | None => false,
        }
    }

    /// One of the things that can stand after a key, with its arguments.
    pub(super) fn choice(&mut self, key: &str, expr: &ast::Expr) -> Option<Args> {
        self.choice_and_call(key, expr).map(|it| it.0)
    }

    /// The same, and the call: a name alone is a call without arguments.
    pub(super) fn choice_and_call(&mut self, key: &str, expr: &ast::Expr) -> Option<(Args, ast::Call)> {
        let options = options(key, self.items);
        let call = match &expr.kind {
            ExprKind::Call(call) if call.piped.is_none() => call.clone(),
            ExprKind::Name(name) => {
                let callee = ast::Ident { name: name.clone(), span: expr.span };
                ast::Call { callee, piped: None, args: Vec::new(), span: expr.span }
            }
            _ => {
                let list = listed(&options);
                self.report(
                    Diagnostic::new(Code::E0203, expr.span, format!("this is not a value for `{key}`"))
                        .label(format!("expected {list}")),
                );
                return None;
            }
        };
        self.chosen(&options, &call).map(|it| (it, call))
    }

    /// Whether a thing stands in its entry for the first time; a second one is told, with what mends it. `seen` has those so far.
    pub(super) fn is_first(
        &mut self,
        key: &str,
        name: &str,
        span: Span,
        seen: &mut Vec<(String, Span)>,
        way: &str,
    ) -> bool {
        let first = seen.iter().find(|it| it.0 == name).map(|it| it.1);
        match first {
            Some(first) => {
                let report = Diagnostic::new(Code::E0103, span, format!("`{key}` has `{name}` twice"))
                    .label("again here")
                    .also(first, "first here")
                    .help(way);
                self.report(report);
            }
            None => seen.push((name.to_owned(), span)),
        }
        first.is_none()
    }

    /// The one that a call names.
    pub(super) fn chosen(&mut self, options: &[Signature], call: &ast::Call) -> Option<Args> {
        let name = call.callee.name.as_str();
        let Some(signature) = options.iter().find(|it| it.name == name) else {
            let (list, what) = (listed(options), options.first().map_or("word", |it| it.what));
            let report = Diagnostic::new(Code::E0203, call.callee.span, format!("unknown {what} `{name}`"))
                .label(format!("expected {list}"));
            self.report(match is_nothing(name) {
                true => report.help("for none of them, leave the line out"),
                false => suggest(report, call.callee.span, name, options.iter().map(|it| it.name.as_str())),
            });
            return None;
        };
        self.report_mismatches(signature, call);
        let args = self.arguments(signature, call);
        (!args.wrong()).then_some(args)
    }
}
