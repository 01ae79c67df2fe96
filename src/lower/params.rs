//! Params: their defaults, in the order of the file, and `--set name=value` over them.

use super::Lowering;
use super::items::{Def, Home, Items, suggest};
use super::settings::Settings;
use super::types;
use super::value::{Ty, Value};
use crate::diag::{Code, Diagnostic, Sink, Sources, Span};
use crate::syntax::ast::{self, ExprKind, Item};
use std::collections::BTreeMap;

/// Reads the values of `--set` as expressions of the language, each in a source of its own so that
/// messages can point into it. A later setting of the same name wins.
pub(super) fn parse(
    items: &Items,
    settings: &Settings,
    sources: &mut Sources,
    sink: &mut Sink,
) -> BTreeMap<String, ast::Expr> {
    let mut found = BTreeMap::new();
    for (at, (name, value)) in settings.set.iter().enumerate() {
        let (parsed, rest) = expression(sources, format!("--set {name}={value}"), name, value);
        let place = Span::new(rest.file, "param ".len(), "param ".len() + name.len());
        let Some(param) = items.main(name).and_then(|it| match &it.def {
            Def::Param(param) => Some(param.clone()),
            _ => None,
        }) else {
            let known: Vec<&str> =
                items.iter().filter(|(_, it)| matches!(it.def, Def::Param(_))).map(|(name, _)| name.as_str()).collect();
            let report = Diagnostic::new(Code::E0107, place, format!("there is no param `{name}` to set"))
                .label("unknown param");
            let report = match known.as_slice() {
                [] => report.note("the file has no params"),
                _ => report.note(format!("params: {}", known.join(", "))),
            };
            sink.push(suggest(report, place, name, known));
            continue;
        };
        if let Some((_, later)) = settings.set[at + 1..].iter().find(|it| it.0 == *name) {
            let message = format!("`--set {name}={value}` has no effect");
            sink.push(
                Diagnostic::new(Code::W0203, place, message)
                    .label("set again later")
                    .help(format!("give one of them: the last counts, `--set {name}={later}`")),
            );
            continue;
        }
        // What is wanted as a string needs no quotes on the command line.
        let plain = param.ty.as_ref().map(types::of) == Some(Ty::Str) || matches!(param.default.kind, ExprKind::Str(_));
        if plain && !value.starts_with('"') {
            let text = ast::Text { parts: vec![ast::TextPart::Literal(value.clone())], span: rest };
            found.insert(name.clone(), ast::Expr { kind: ExprKind::Str(text), span: rest });
            continue;
        }
        match parsed {
            Some(it) => {
                found.insert(name.clone(), it);
            }
            None => {
                let report = Diagnostic::new(Code::E0107, rest, format!("`{value}` is not a value for `{name}`"))
                    .label("expected a value, such as `3`, `1e-3`, `true`, `cosine` or `[16, 24]`")
                    .also(param.name.span, "the param is defined here");
                sink.push(if value.contains(',') {
                    report.help("`train` takes several values, each for a run of its own; a list is in brackets")
                } else {
                    report
                });
            }
        }
    }
    found
}

/// What a flag of the command line gives, as an expression of the language, if it is one; it is a source of its own, in which
/// it is the default of a param. Also its place there.
pub(super) fn expression(sources: &mut Sources, shown: String, name: &str, value: &str) -> (Option<ast::Expr>, Span) {
    let before = format!("param {name} = ");
    let text = format!("{before}{value}\n");
    let file = sources.add(shown, text.clone());
    let mut scratch = Sink::new();
    let items = crate::syntax::parse(file, &text, &mut scratch).items;
    let place = Span::new(file, before.len(), before.len() + value.len());
    match items.as_slice() {
        [Item::Param(it)] if !scratch.has_errors() => (Some(it.default.clone()), place),
        _ => (None, place),
    }
}

impl Lowering<'_> {
    /// Decides every param. A default may use the params before it.
    pub(super) fn read_params(&mut self, overrides: &BTreeMap<String, ast::Expr>) {
        let items = self.items;
        // The default of a param that `--set` replaces is still checked.
        for name in &items.order {
            let Some(item) = items.main(name) else { continue };
            let Def::Param(param) = &item.def else { continue };
            let default = match self.expr(&param.default) {
                // Of the updates done, which there are none of here: told where names are resolved.
                Value::Tensor(_) => self.lost(param.default.span),
                it => it,
            };
            let what = format!("the default of `{name}`");
            let ty = match &param.ty {
                Some(it) => types::of(it),
                None => type_of(&default),
            };
            let declared = param.ty.as_ref().map(|it| it.span);
            let mut value = self.coerce(default, &ty, param.default.span, &what, declared);
            if let Some(expr) = overrides.get(name) {
                let found = self.expr(expr);
                value = self.coerce(found, &ty, expr.span, &format!("param `{name}`"), None);
            }
            if item.home == Home::Main || item.home == Home::Import {
                self.params.insert(name.clone(), value);
            }
        }
    }
}

impl Lowering<'_> {
    /// The values of params.
    pub(super) fn values_of<'a>(&self, names: impl Iterator<Item = &'a String>) -> BTreeMap<String, String> {
        names.filter_map(|it| Some((it.clone(), self.params.get(it)?.to_string()))).collect()
    }
}

/// The type of a param without an annotation. A whole default of a number stays open to floats only
/// if it was written as one.
pub(super) fn type_of(value: &Value) -> Ty {
    match value {
        Value::Int(_) => Ty::Int,
        Value::Float(_) => Ty::Float,
        Value::Bool(_) => Ty::Bool,
        Value::Str(_) => Ty::Str,
        Value::Operator(_) => Ty::Operator,
        Value::Fn(_) => Ty::Fn,
        Value::List(items) => match items.first() {
            Some(first) if items.iter().any(|it| matches!(it, Value::Float(_))) && first.number().is_some() => {
                Ty::List(Box::new(Ty::Float))
            }
            Some(first) => Ty::List(Box::new(type_of(first))),
            None => Ty::Any,
        },
        Value::Start(_) => Ty::Start,
        Value::Error(_) | Value::Nothing | Value::Range(..) | Value::Tensor(_) | Value::Scalar(_) => Ty::Any,
    }
}
