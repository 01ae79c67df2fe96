//! `--set name=value`.

use crate::diag::{Code, Diagnostic, Sink, Sources, Span};
use crate::lower::names::items::{Def, Items, suggest};
use crate::lower::settings::Settings;
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Item};
use std::collections::BTreeMap;

/// Reads the values of `--set` as expressions of the language, each in a source of its own so that
/// messages can point into it. A later setting of the same name wins.
pub(in crate::lower) fn parse(
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
            Ok(it) => {
                found.insert(name.clone(), it);
            }
            Err(_) => {
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
/// it is the default of a param; else what is wrong with it, if it does not parse. Also its place there.
pub(in crate::lower) fn expression(
    sources: &mut Sources,
    shown: String,
    name: &str,
    value: &str,
) -> (Result<ast::Expr, Vec<Diagnostic>>, Span) {
    let before = format!("param {name} = ");
    let text = format!("{before}{value}\n");
    let file = sources.add(shown, text.clone());
    let mut scratch = Sink::new();
    let items = crate::syntax::parse(file, &text, &mut scratch).items;
    let place = Span::new(file, before.len(), before.len() + value.len());
    match items.as_slice() {
        [Item::Param(it)] if !scratch.has_errors() => (Ok(it.default.clone()), place),
        _ => (Err(scratch.finish()), place),
    }
}
