//! `where operator != none and layer != "score"`: what a selector asks of each parameter.

use crate::diag::{Code, Diagnostic};
use crate::ir::ParamRole;
use crate::lower::names::items::suggest;
use crate::lower::names::words::SUBJECTS;
use crate::lower::recipe::Recipe;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, BinaryOp, ExprKind, UnaryOp};

/// What a selector knows of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) layer: String,
    pub(super) operator: String,
    pub(super) role: ParamRole,
}

fn shortened(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names if names.len() <= 16 => names.join(", "),
        names => format!("{}, ... and {} more", names[..16].join(", "), names.len() - 16),
    }
}

impl Recipe<'_> {
    pub(super) fn holds(&mut self, expr: &ast::Expr, subject: &Subject, broken: bool) -> Option<bool> {
        if !self.pay(1, expr.span) {
            return None;
        }
        match &expr.kind {
            ExprKind::Unary(UnaryOp::Not, a) => Some(!self.holds(a, subject, broken)?),
            ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let (a, b) = (self.holds(a, subject, broken), self.holds(b, subject, broken));
                Some(if *op == BinaryOp::And { a? && b? } else { a? || b? })
            }
            ExprKind::Binary(op, a, b) => {
                let asked = |it: &ast::Expr| match &it.kind {
                    ExprKind::Name(name) => SUBJECTS.iter().copied().find(|it| it == name),
                    _ => None,
                };
                let (key, other) = match (asked(a), asked(b)) {
                    (Some(key), _) => (key, &**b),
                    (None, Some(key)) => (key, &**a),
                    (None, None) => return self.condition(expr),
                };
                if !matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
                    self.report(
                        Diagnostic::new(Code::E0104, expr.span, format!("`{key}` can only be compared by == and !="))
                            .label("not an order"),
                    );
                    return None;
                }
                let equal = match key {
                    "operator" => self.operator_is(other, subject),
                    "layer" => self.layer_is(other, subject, broken),
                    "role" => self.role_is(other, subject),
                    unknown => unreachable!("`{unknown}` is not among the subjects of selectors"),
                };
                Some(equal? == (*op == BinaryOp::Eq))
            }
            _ => self.condition(expr),
        }
    }

    /// A condition on params only.
    fn condition(&mut self, expr: &ast::Expr) -> Option<bool> {
        if let ExprKind::Name(name) = &expr.kind
            && SUBJECTS.contains(&name.as_str())
        {
            self.report(
                Diagnostic::new(Code::E0104, expr.span, format!("`{name}` is not a condition"))
                    .label("expected a comparison, such as `operator != none`"),
            );
            return None;
        }
        match self.expr(expr) {
            Value::Bool(it) => Some(it),
            Value::Error(_) => None,
            other => {
                self.report(
                    Diagnostic::new(Code::E0104, expr.span, format!("the condition is {}", other.describe()))
                        .label("expected a bool"),
                );
                None
            }
        }
    }

    fn operator_is(&mut self, other: &ast::Expr, subject: &Subject) -> Option<bool> {
        match self.expr(other) {
            Value::Operator(it) => Some(it.name() == subject.operator),
            Value::Error(_) => None,
            found => {
                let report =
                    Diagnostic::new(Code::E0104, other.span, format!("an operator cannot be {}", found.describe()))
                        .label("expected an operator, such as `none`");
                self.report(match &found {
                    Value::Str(it) if self.items.operator(it, other.span.file).is_some() => self.instead(
                        report,
                        format!("operators are written without quotes: `{it}`"),
                        other.span,
                        it.clone(),
                    ),
                    _ => report,
                });
                None
            }
        }
    }

    fn layer_is(&mut self, other: &ast::Expr, subject: &Subject, broken: bool) -> Option<bool> {
        let name = match self.expr(other) {
            Value::Str(it) => it,
            Value::Error(_) => return None,
            found => {
                self.report(
                    Diagnostic::new(Code::E0104, other.span, format!("a layer cannot be {}", found.describe()))
                        .label("expected the name of a layer, such as `\"score\"`"),
                );
                return None;
            }
        };
        let inside = |path: &str| path == name || path.strip_prefix(&name).is_some_and(|it| it.starts_with('/'));
        // The condition is evaluated for each parameter; the names of the layers are the same for all.
        let exists = match self.layers_known.get(&name) {
            Some(&it) => it,
            None => {
                let params = &self.graph.params;
                let it =
                    self.names.all().any(inside) || params.iter().any(|it| inside(&it.layer)) || self.can_be(&name);
                self.layers_known.insert(name.clone(), it);
                it
            }
        };
        if !exists && !broken {
            let known: Vec<String> = self.names.all().map(str::to_owned).collect();
            let report = Diagnostic::new(Code::E0204, other.span, format!("no layer is named `{name}`"))
                .label("compares with nothing")
                .note(format!("layers: {}", shortened(&known)));
            let near = crate::diag::did_you_mean(&name, known.iter().map(String::as_str)).map(str::to_owned);
            let report = match near {
                Some(near) => {
                    self.instead(report, format!("did you mean `{near}`?"), other.span, format!("\"{near}\""))
                }
                None => report,
            };
            self.report(report);
            return None;
        }
        Some(inside(&subject.layer))
    }

    fn role_is(&mut self, other: &ast::Expr, subject: &Subject) -> Option<bool> {
        let name = match &other.kind {
            ExprKind::Name(name) => name.clone(),
            _ => match self.expr(other) {
                Value::Str(it) => it,
                Value::Error(_) => return None,
                found => found.to_string(),
            },
        };
        match ParamRole::of(&name) {
            Some(role) => Some(role == subject.role),
            None => {
                let names = ParamRole::ALL.map(ParamRole::word);
                let report = Diagnostic::new(Code::E0204, other.span, format!("no parameter has the role `{name}`"))
                    .label(format!("expected one of {}", names.join(", ")));
                self.report(suggest(report, other.span, &name, names));
                None
            }
        }
    }
}
