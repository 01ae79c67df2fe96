//! The words of a recipe that take arguments: losses, penalties, projections, ...

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::suggest;
use crate::lower::names::options::{is_nothing, listed, options};
use crate::lower::recipe::Recipe;
use crate::lower::values::args::Args;
use crate::lower::values::signature::Signature;
use crate::syntax::ast::{self, ExprKind};

impl Recipe<'_> {
    /// Whether an entry asks for nothing: that is told, and no more is to be said of the line.
    pub(super) fn asks_for_nothing(&self, entry: &ast::TrainEntry) -> bool {
        let options = options(&entry.key.name, self.items);
        match entry.values.first().map(|it| &it.kind) {
            Some(ExprKind::Name(name)) => is_nothing(name) && options.iter().all(|it| it.name != *name),
            Some(_) | None => false,
        }
    }

    /// One of the things that can stand after a key, with its arguments.
    pub(in crate::lower) fn choice(&mut self, key: &str, expr: &ast::Expr) -> Option<Args> {
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
