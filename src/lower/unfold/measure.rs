//! Losses and metrics that a line of the recipe names, unfolded.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::words::{CONSTANTS, STEPS, given, is_tensor};
use crate::lower::network::basis::Basis;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::unfold::update::describe;
use crate::lower::values::signature::{self, FUNCTIONS};
use crate::lower::values::types;
use crate::lower::values::value::{Tensor, Ty, Value};
use crate::syntax::ast::{self, Part as Kind};
use std::rc::Rc;

/// The argument of a loss that says which label does not count.
pub(in crate::lower) const IGNORE: &str = "ignore";

/// A line of the recipe while it is unfolded.
#[derive(Debug)]
pub(in crate::lower) struct Objective {
    pub(in crate::lower) kind: Kind,
    /// The outputs that it names after `on`, or the one that has no name.
    pub(in crate::lower) outputs: Vec<Tensor>,
    /// Whether the model's own output is among them.
    pub(in crate::lower) of_scores: bool,
    pub(in crate::lower) basis: Basis,
    /// The name that is given by `as`.
    pub(in crate::lower) name: Option<String>,
    /// The calls, with all their numbers.
    pub(in crate::lower) calls: Vec<String>,
}

/// Whether a parameter takes an output.
fn takes_output(param: &ast::FnParam) -> bool {
    is_tensor(param) && param.default.is_none() && given(param).is_none()
}

impl Unfold<'_> {
    /// Whether names are those of losses or metrics: in the line of the recipe itself.
    pub(super) fn names_losses(&self) -> bool {
        self.objective.is_some() && self.scopes.is_outside()
    }

    /// A call in the line of the recipe, or one of another loss in the body of one.
    pub(super) fn objective_call(&mut self, call: &ast::Call, local: bool) -> Option<Value> {
        let kind = self.objective.as_ref()?.kind;
        let name = call.callee.name.as_str();
        let (items, from) = (self.items, call.callee.span.file);
        if self.names_losses() {
            if let Some((kind, def)) = items.measure(kind, name, from) {
                return Some(self.measure(kind, def, call));
            }
            let arithmetic = FUNCTIONS.iter().any(|it| it.0 == name) || items.get(name, from).is_some();
            return (!local && !arithmetic)
                .then(|| self.fail(self.items.unknown_measure(kind, name, call.callee.span)));
        }
        let defined = items.get(name, from).is_some() || signature::builtin(name).is_some();
        if local || self.pool.is_some() || defined {
            return None;
        }
        let (kind, def) = items.measure(Kind::Metric, name, from)?;
        let signature = types::signature(kind.word(), def);
        let (scope, args) = self.bound(&signature, def, call);
        if args.mismatched || self.is_endless(kind, def) {
            return Some(self.lost(call.span));
        }
        Some(self.enter(scope, &def.body, call.span))
    }

    /// A name in the line of the recipe, or one of what every loss is given in the body of one.
    pub(super) fn objective_name(&mut self, name: &str, span: Span) -> Option<Value> {
        let objective = self.objective.as_ref()?;
        let kind = objective.kind;
        match name {
            "target" | "label" if !self.names_losses() => return Some(self.asked(name, span)),
            name if STEPS.contains(&name) => return self.of_steps(name, span),
            _ => {}
        }
        if !self.names_losses() {
            return None;
        }
        if let Some((kind, def)) = self.items.measure(kind, name, span.file) {
            let callee = ast::Ident { name: name.to_owned(), span };
            let call = ast::Call { callee, piped: None, args: Vec::new(), span };
            return Some(self.measure(kind, def, &call));
        }
        let known =
            self.items.get(name, span.file).is_some() || CONSTANTS.iter().any(|it| it.0 == name) || name == "classes";
        (!known).then(|| self.fail(self.items.unknown_measure(kind, name, span)))
    }

    /// `centre() as "first"`: what the loss learns has this name.
    pub(super) fn named_measure(&mut self, inner: &ast::Expr, text: &ast::Text) -> Value {
        let Some(name) = self.text(text) else { return self.lost(text.span) };
        if name.is_empty() || name.contains('/') {
            return self.fail(
                Diagnostic::new(Code::E0108, text.span, format!("`{name}` cannot be the name of a loss"))
                    .label("a name has at least one character, and no `/`"),
            );
        }
        let outer = self.objective.as_mut().and_then(|it| it.name.replace(name));
        let value = self.expr(inner);
        if let Some(it) = &mut self.objective {
            it.name = outer;
        }
        value
    }

    fn is_endless(&self, kind: Kind, def: &ast::Function) -> bool {
        self.endless.contains(&self.items.part_key(kind, &def.name))
    }

    /// A loss or a metric that the recipe names.
    pub(in crate::lower) fn measure(&mut self, kind: Kind, def: &Rc<ast::Function>, call: &ast::Call) -> Value {
        let name = &def.name.name;
        let signature = self.items.measure_signature(kind, def);
        self.report_mismatches(&signature, call);
        let args = self.arguments(&signature, call);
        if args.wrong() || self.is_endless(kind, def) {
            return self.lost(call.span);
        }
        // That one takes nothing is said where it is defined.
        if !def.params.iter().any(is_tensor) {
            return self.lost(call.span);
        }
        // So is a parameter that comes twice.
        let twice = |at: usize| def.params[..at].iter().any(|it| it.name.name == def.params[at].name.name);
        if (0..def.params.len()).any(twice) {
            return self.lost(call.span);
        }
        let Some(objective) = &self.objective else { return self.lost(call.span) };
        let mut outputs = objective.outputs.clone();
        let wanted: Vec<&str> = (def.params.iter())
            .filter(|it| takes_output(it) && args.get(&it.name.name).is_none())
            .map(|it| it.name.name.as_str())
            .collect();
        if wanted.len() != outputs.len() {
            return self.wrong_outputs(kind, def, &wanted, outputs.len(), call.span);
        }
        outputs.reverse();
        let mut scope = Scope::new();
        for param in &def.params {
            let name = &param.name.name;
            let ty = signature.slots.iter().find(|it| it.name == *name).map_or(Ty::Any, |it| it.ty.clone());
            let value = match (args.get(name), &param.default, given(param)) {
                (Some((value, _)), ..) => value.clone(),
                (None, Some(default), _) => self.default(&mut scope, default, &ty, name),
                (None, None, Some(word)) => self.asked(word, call.span),
                (None, None, None) => match outputs.pop() {
                    Some(it) => Value::Tensor(it),
                    None => self.lost(call.span),
                },
            };
            scope.insert(name.clone(), value);
        }
        if scope.values().any(Value::is_error) {
            return self.lost(call.span);
        }
        let text = describe(def, &scope, "");
        if let (Kind::Loss, true, Some(Value::Int(it))) =
            (kind, self.objective.as_ref().is_some_and(|it| it.of_scores), scope.get(IGNORE))
        {
            self.ignored = Some(*it);
        }
        let Some(objective) = &mut self.objective else { return self.lost(call.span) };
        objective.calls.push(text);
        let path = format!("{}/{}", kind.word(), objective.name.as_ref().unwrap_or(name));
        let items = self.items;
        self.names.enter_loss(items, def, path, call.span);
        let own = def.header.file != self.items.prelude;
        if own {
            self.enter_frame(call.span, "asked for here".to_owned());
        } else {
            self.enter_call(call.span);
        }
        let value = self.enter(scope, &def.body, call.span);
        let value = self.one_each(value, &format!("the {} `{name}`", kind.word()), def.body.span);
        if own {
            self.leave_frame();
        } else {
            self.leave_call();
        }
        self.names.leave();
        value
    }

    fn wrong_outputs(&mut self, kind: Kind, def: &ast::Function, wanted: &[&str], found: usize, span: Span) -> Value {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let list: Vec<String> = wanted.iter().map(|it| format!("`{it}`")).collect();
        let (name, count) = (&def.name.name, wanted.len());
        let message = format!(
            "the {} `{name}` takes {count} output{}, and {found} {} given",
            kind.word(),
            plural(count),
            if found == 1 { "is" } else { "are" }
        );
        let mut report = Diagnostic::new(Code::E0105, span, message).label(match list.as_slice() {
            [] => "takes no output of the model".to_owned(),
            list => format!("takes {}", list.join(", ")),
        });
        if !wanted.is_empty() {
            report = report.help(format!(
                "name as many outputs of the model: `{} {name}() on {}`",
                kind.word(),
                wanted.join(", ")
            ));
        }
        self.fail(report)
    }

    /// `label` or `target`, for the line that is unfolded.
    fn asked(&mut self, word: &str, span: Span) -> Value {
        let Some(objective) = &self.objective else { return self.lost(self.model_span) };
        let (basis, of_scores) = (objective.basis.clone(), objective.of_scores);
        match word {
            "label" => self.label((&basis, of_scores), span),
            "target" => self.target((&basis, of_scores), span),
            other => unreachable!("`{other}` is nothing that a loss asks for"),
        }
    }
}
