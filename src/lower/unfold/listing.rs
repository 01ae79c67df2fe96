//! How a call is listed: its name, what it must be given, and what it was given that is not its default, in the order of its
//! signature: `conv 16, kernel 1x1, bias`. An operator tells by itself what it is.

use crate::ir::{Argument, Callee};
use crate::lower::unfold::Unfold;
use crate::lower::unfold::arguments::paired;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::args::Args;
use crate::lower::values::types;
use crate::lower::values::value::{Ty, Value, short};
use crate::syntax::ast;

/// A value that a file gives; `None` for what only a model makes.
fn text(value: &Value, ty: &Ty) -> Option<String> {
    Some(match value {
        Value::Tensor(_) | Value::Scalar(_) | Value::Error(_) | Value::Nothing => return None,
        Value::Float(it) => types::shortest(*it),
        Value::List(pair) if *ty == Ty::Pair => pair.iter().map(Value::to_string).collect::<Vec<_>>().join("x"),
        other => short(other),
    })
}

/// The same as a value of its own kind.
fn argument(value: &Value) -> Option<Argument> {
    Some(match value {
        Value::Tensor(_) | Value::Scalar(_) | Value::Error(_) | Value::Nothing => return None,
        Value::Bool(it) => Argument::Bool(*it),
        Value::Int(it) => Argument::Int(*it),
        Value::Float(it) => Argument::Float(*it),
        Value::List(all) => Argument::List(all.iter().map(argument).collect::<Option<_>>()?),
        Value::Range(..) | Value::Str(_) | Value::Operator(_) | Value::Fn(_) | Value::Start(_) => {
            Argument::Text(value.to_string())
        }
    })
}

impl Unfold<'_> {
    /// What `show` tells of a call.
    pub(super) fn callee(&mut self, definition: &ast::Function, args: &Args, scope: &mut Scope) -> Callee {
        let mut words: Vec<String> = Vec::new();
        let mut arguments = Vec::new();
        for param in &definition.params {
            let name = &param.name.name;
            let Some(value) = scope.get(name) else { continue };
            arguments.extend(argument(value).map(|it| (name.clone(), it)));
            if args.get(name).is_none() {
                continue;
            }
            let ty = param.ty.as_ref().map_or(Ty::Any, types::of);
            let Some(text) = text(value, &ty) else { continue };
            let Some(default) = &param.default else {
                words.push(text);
                continue;
            };
            let bare = matches!(value, Value::Operator(_));
            let holds = matches!(value, Value::Bool(true));
            let usual = self.default(scope, default, &ty, name);
            if self::text(&paired(usual, &ty), &ty).is_some_and(|it| it == text) {
                continue;
            }
            words.push(match (bare, holds) {
                (true, _) => text,
                (false, true) => name.clone(),
                (false, false) => format!("{name} {text}"),
            });
        }
        let name = definition.name.name.clone();
        let between = if words.is_empty() { "" } else { " " };
        Callee { text: format!("{name}{between}{}", words.join(", ")), name, arguments }
    }
}
