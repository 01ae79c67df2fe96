//! Losses and metrics: from the text of one to a number for each example.
//!
//! ```text
//! loss squares(scores, target) = sum((scores - target) ^ 2, over: channels)
//!
//! train {
//!     loss softmax_cross_entropy(smoothing: 0.1) + 0.1 * squares()
//! }
//! ```
//!
//! A line of the recipe is an expression of losses. What a loss takes is given where the line does not say it: outputs of the
//! model in the order of its parameters, and, by these names, `target`, the row of the label's class, and `label`, its
//! number. The recipe takes the mean over the batch.

use super::Lowering;

use super::eval::Scope;
use super::items::Kind;
use super::measures::no_output;
use super::outputs::{Output, SCORES};
use super::recipe::Basis;
use super::signature::FUNCTIONS;
use super::steps::STEPS;
use super::types;
use super::update::describe;
use super::value::{Tensor, Ty, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::results::{ACCURACY, is_logged};
use crate::ir::{DType, Mode, Op, ScalarFn, Shape};
use crate::syntax::ast::{self, BinaryOp, ExprKind};
use std::rc::Rc;

/// What every loss and metric can read besides its parameters.
pub(super) const GIVEN: &[&str] = &["target", "label", "step", "iterations"];

/// The argument of a loss that says which label does not count.
const IGNORE: &str = "ignore";

/// A line of the recipe while it is unfolded.
#[derive(Debug)]
pub(super) struct Objective {
    kind: Kind,
    /// The outputs that it names after `on`, or the one that has no name.
    outputs: Vec<Tensor>,
    /// Whether the model's own output is among them.
    of_scores: bool,
    basis: Basis,
    /// The name that is given by `as`.
    name: Option<String>,
    /// The calls, with all their numbers.
    calls: Vec<String>,
}

/// Whether a parameter is a tensor: what has neither a type nor a default is.
pub(super) fn is_tensor(param: &ast::FnParam) -> bool {
    match &param.ty {
        Some(ty) => types::of(ty) == Ty::Tensor,
        None => param.default.is_none(),
    }
}

/// What a parameter stands for, if its name says it. One that is kept without a use starts with `_`, as any name.
pub(super) fn given(param: &ast::FnParam) -> Option<&'static str> {
    let name = param.name.name.as_str();
    let name = name.strip_prefix('_').unwrap_or(name);
    ["target", "label"].into_iter().find(|it| is_tensor(param) && param.default.is_none() && *it == name)
}

/// Whether a parameter takes an output.
fn takes_output(param: &ast::FnParam) -> bool {
    is_tensor(param) && param.default.is_none() && given(param).is_none()
}

impl Lowering<'_> {
    /// The losses of the recipe, added up, in the graph; their text.
    pub(super) fn losses(&mut self, basis: &Basis) -> Option<String> {
        let scores = self.scores();
        let train = basis.train.clone();
        let entries: Vec<&ast::TrainEntry> = train.entries.iter().filter(|it| it.key.name == "loss").collect();
        let (mut texts, mut parts) = (Vec::new(), Vec::new());
        for entry in &entries {
            let (Some(expr), Some(scores)) = (entry.values.first(), &scores) else { continue };
            if !self.is_of_one(entry, expr) {
                continue;
            }
            self.goes_down(expr);
            let Some(objective) = self.objective(Kind::Loss, entry, basis, scores) else { continue };
            let of_scores = objective.of_scores;
            let Some((tensor, calls)) = self.measured(objective, expr) else { continue };
            texts.push(self.text_of(entry, expr, &calls));
            parts.push((Value::Tensor(tensor), of_scores, expr.span));
        }
        if parts.len() < entries.len() || parts.is_empty() {
            // A loss of outputs alone, which is wrong, asks for no classes.
            if entries.is_empty() || entries.iter().any(|it| self.asks_for_answers(it)) {
                self.tells_classes(basis);
            }
            return None;
        }
        // Losses of other outputs are there to help the training, if one of the model's own is measured.
        let measured = parts.iter().any(|it| it.1);
        if let (false, Output::Found(span), [(_, _, first), ..]) = (measured, &self.output, parts.as_slice())
            && !self.named.is_empty()
            && self.output_span.is_some()
            && !self.reads_scores(&parts)
        {
            let report = Diagnostic::new(Code::W0203, *span, "no loss is of this output")
                .label("is not trained")
                .also(*first, "of another output")
                .help("add a line for it, such as `loss softmax_cross_entropy()`, or leave it out");
            self.report(report);
        }
        let sum = |this: &mut Self, of: &dyn Fn(bool) -> bool| {
            let mut all: Option<Value> = None;
            for (value, of_scores, span) in &parts {
                if of(*of_scores) {
                    all = Some(match all {
                        Some(all) => this.binary(BinaryOp::Add, &all, value, *span),
                        None => value.clone(),
                    });
                }
            }
            all
        };
        let (train, evaluate) = (sum(self, &|_| true), sum(self, &|of_scores| of_scores || !measured));
        let (Some(Value::Tensor(train)), Some(Value::Tensor(evaluate))) = (train, evaluate) else { return None };
        self.graph.losses.insert(Mode::Train, train.train);
        self.graph.losses.insert(Mode::Evaluate, evaluate.evaluate);
        Some(texts.join(", "))
    }

    /// Whether something of the recipe's losses is computed from the model's own output.
    fn reads_scores(&self, parts: &[(Value, bool, Span)]) -> bool {
        let roots = parts.iter().filter_map(|it| if let Value::Tensor(it) = &it.0 { Some(it.train) } else { None });
        let needed = self.graph.needed(roots);
        self.graph.outputs.get(&Mode::Train).is_some_and(|it| needed.contains(it))
    }

    /// Whether these scores are as many as the classes whose labels they are compared with; else it is told.
    pub(super) fn is_of_classes(&mut self, scores: &Tensor, label: &Tensor, span: Span) -> bool {
        let Some(data) = self.objective.as_ref().and_then(|it| it.basis.data.clone()) else { return true };
        let of_data = self.graph.labels.values().any(|it| *it == label.train);
        let found = self.dims(scores).last().copied().unwrap_or(data.classes);
        if !of_data || found == data.classes {
            return true;
        }
        let classes = data.classes;
        let message = format!("these scores are of {found} classes, but `{}` has {classes}", data.name);
        let report = self
            .at(Code::E0202, span, message)
            .label(format!("compares {found} numbers with the label"))
            .help("write `classes` for the number of filters of the layer that this output is of");
        self.report(report);
        false
    }

    /// The metrics of the recipe, in the graph. Where it tells classes apart, the accuracy is one.
    pub(super) fn metrics(&mut self, basis: &Basis) {
        let Some(scores) = self.scores() else { return };
        let train = basis.train.clone();
        let mut told: Vec<(String, Span, Tensor)> = Vec::new();
        for entry in train.entries.iter().filter(|it| it.key.name == Kind::Metric.word()) {
            for expr in &entry.values {
                let Some(objective) = self.objective(Kind::Metric, entry, basis, &scores) else { break };
                let Some(name) = self.metric_name(entry, expr) else { continue };
                if let Some((_, first, _)) = told.iter().find(|it| it.0 == name) {
                    let report = Diagnostic::new(Code::E0103, expr.span, format!("two metrics are called `{name}`"))
                        .label("again here")
                        .also(*first, "first here")
                        .help(format!("give one of them a name: `... as \"{name}_2\"`"));
                    self.report(report);
                    continue;
                }
                let Some((tensor, _)) = self.measured(objective, expr) else { continue };
                told.push((name, expr.span, tensor));
            }
        }
        if self.classifies && told.iter().all(|it| it.0 != ACCURACY) {
            let callee = ast::Ident { name: ACCURACY.to_owned(), span: basis.train.keyword };
            // What the loss leaves out is no mistake.
            let span = basis.train.keyword;
            let takes = self.items.measure(Kind::Metric, ACCURACY, span.file);
            let takes = takes.is_some_and(|(_, def)| def.params.iter().any(|it| it.name.name == IGNORE));
            let ignored = self.ignored.filter(|it| takes && 0 <= *it).map(|it| ast::Arg {
                name: Some(ast::Ident { name: IGNORE.to_owned(), span }),
                value: ast::Expr { kind: ExprKind::Int(it), span },
            });
            let call = ast::Call { callee, piped: None, args: ignored.into_iter().collect(), span };
            let expr = ast::Expr { kind: ExprKind::Call(call), span: basis.train.keyword };
            let objective = self.of_outputs(Kind::Metric, vec![scores], true, basis);
            if let Some((tensor, _)) = self.measured(objective, &expr) {
                told.insert(0, (ACCURACY.to_owned(), expr.span, tensor));
            }
        }
        for (name, _, tensor) in told {
            let nodes = [(Mode::Train, tensor.train), (Mode::Evaluate, tensor.evaluate)].into();
            self.graph.metrics.push(crate::ir::Metric { name, nodes });
        }
    }

    /// The name of a metric in the log; `None` after a report.
    fn metric_name(&mut self, entry: &ast::TrainEntry, expr: &ast::Expr) -> Option<String> {
        let own = match &expr.kind {
            ExprKind::Named(_, text, _) => self.text(text)?,
            ExprKind::Call(call) => call.callee.name.clone(),
            ExprKind::Name(name) => name.clone(),
            _ => {
                let report = Diagnostic::new(Code::E0203, expr.span, "this metric needs a name for the log")
                    .label("neither a metric alone nor one with a name")
                    .help("put it in parentheses and name it: `(...) as \"name\"`");
                self.report(report);
                return None;
            }
        };
        let mut parts: Vec<&str> = entry.on.iter().map(|it| it.name.as_str()).collect();
        parts.push(&own);
        let name = if matches!(expr.kind, ExprKind::Named(..)) { own.clone() } else { parts.join("_") };
        let word = |it: char| it.is_alphanumeric() || it == '_' || it == '-';
        let taken = is_logged(&name) || name.starts_with("test_");
        if taken || name.is_empty() || !name.chars().all(word) {
            let why = if taken { "the log has something else of this name" } else { "letters, digits, `_` and `-`" };
            let report = Diagnostic::new(Code::E0108, expr.span, format!("`{name}` cannot be the name of a metric"))
                .label(why)
                .help("give it another name: `... as \"name\"`");
            self.report(report);
            return None;
        }
        Some(name)
    }

    /// What an entry measures; `None` after a report.
    fn objective(&mut self, kind: Kind, entry: &ast::TrainEntry, basis: &Basis, scores: &Tensor) -> Option<Objective> {
        let mut outputs = Vec::new();
        let mut of_scores = entry.on.is_empty();
        if of_scores {
            outputs.push(scores.clone());
        }
        for name in &entry.on {
            if name.name == SCORES && self.output_span.is_some() {
                of_scores = true;
                outputs.push(scores.clone());
                continue;
            }
            let Some(named) = self.named.iter().find(|it| it.name.name == name.name) else {
                let known: Vec<&str> = self.named.iter().map(|it| it.name.name.as_str()).collect();
                let report = no_output(name, &known);
                self.report(report);
                return None;
            };
            let (tensor, span) = (named.tensor.clone(), named.name.span);
            outputs.push(self.row(tensor, span));
        }
        Some(self.of_outputs(kind, outputs, of_scores, basis))
    }

    fn of_outputs(&self, kind: Kind, outputs: Vec<Tensor>, of_scores: bool, basis: &Basis) -> Objective {
        let (basis, name, calls) = (basis.clone(), None, Vec::new());
        Objective { kind, outputs, of_scores, basis, name, calls }
    }

    /// The value of a line of the recipe, a number for each example, and the calls in it.
    fn measured(&mut self, objective: Objective, expr: &ast::Expr) -> Option<(Tensor, Vec<String>)> {
        let kind = objective.kind;
        let mut scope = Scope::new();
        let both = |table: &std::collections::BTreeMap<Mode, crate::ir::NodeId>| {
            Some(Tensor { train: *table.get(&Mode::Train)?, evaluate: *table.get(&Mode::Evaluate)?, owner: None })
        };
        if let (Some((_, name)), Some(image)) = (&self.input, both(&self.graph.inputs)) {
            scope.insert(name.name.clone(), Value::Tensor(image));
        }
        if let Some(scores) = both(&self.graph.outputs) {
            scope.insert(SCORES.to_owned(), Value::Tensor(scores));
        }
        for named in &self.named {
            scope.insert(named.name.name.clone(), Value::Tensor(named.tensor.clone()));
        }
        let outer = self.objective.replace(objective);
        self.scopes.push(scope);
        let value = self.expr(expr);
        self.scopes.pop();
        let value = self.one_each(value, &format!("`{}`", kind.word()), expr.span);
        let objective = std::mem::replace(&mut self.objective, outer)?;
        match value {
            Value::Tensor(it) => Some((it, objective.calls)),
            _ => None,
        }
    }

    /// An entry as it is written; a single call with all its numbers.
    fn text_of(&self, entry: &ast::TrainEntry, expr: &ast::Expr, calls: &[String]) -> String {
        let on: Vec<&str> = entry.on.iter().map(|it| it.name.as_str()).collect();
        let on = if on.is_empty() { String::new() } else { format!(" on {}", on.join(", ")) };
        let text = match (&expr.kind, calls) {
            (ExprKind::Call(_) | ExprKind::Name(_), [call]) => call.clone(),
            _ => {
                let text = self.sources.slice(expr.span).split_whitespace().collect::<Vec<_>>().join(" ");
                format!("{text} ({})", calls.join(", "))
            }
        };
        format!("{text}{on}")
    }

    /// Whether names are those of losses or metrics: in the line of the recipe itself.
    pub(super) fn names_losses(&self) -> bool {
        self.objective.is_some() && self.floor == 0
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
        let defined = items.get(name, from).is_some() || super::signature::builtin(name).is_some();
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

    /// Whether a loss of an entry compares with what the data set knows; one that is unknown may.
    fn asks_for_answers(&self, entry: &ast::TrainEntry) -> bool {
        let items = self.items;
        let asks = |expr: &ast::Expr| {
            let name = match &expr.kind {
                ExprKind::Call(call) => call.callee.name.as_str(),
                ExprKind::Name(name) => name.as_str(),
                _ => return false,
            };
            let arithmetic = FUNCTIONS.iter().any(|it| it.0 == name) || items.get(name, expr.span.file).is_some();
            match items.measure(Kind::Loss, name, expr.span.file) {
                Some((_, def)) => def.params.iter().any(|it| GIVEN.contains(&it.name.name.as_str())),
                None => !arithmetic,
            }
        };
        entry.values.iter().any(|it| it.find(&asks).is_some())
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
        let known = self.items.get(name, span.file).is_some()
            || super::resolve::CONSTANTS.iter().any(|it| it.0 == name)
            || name == "classes";
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
    fn measure(&mut self, kind: Kind, def: &Rc<ast::Function>, call: &ast::Call) -> Value {
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
        self.names.enter_loss(self.items, def, path, call.span);
        let own = def.header.file != self.items.prelude;
        if own {
            self.enter_frame(call.span, "asked for here".to_owned());
        } else {
            self.calls.push(call.span);
        }
        let value = self.enter(scope, &def.body, call.span);
        let value = self.one_each(value, &format!("the {} `{name}`", kind.word()), def.body.span);
        if own {
            self.leave_frame();
        } else {
            self.calls.pop();
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

    /// A number for each example, `[n]`.
    fn one_each(&mut self, value: Value, what: &str, span: Span) -> Value {
        let mean = "the recipe takes the mean over the batch itself";
        let tensor = match value {
            Value::Error(_) => return value,
            Value::Tensor(it) if !self.known(&it) => return self.lost(span),
            Value::Tensor(it) if self.loses_the_batch(&it) => {
                let report = self
                    .at(Code::E0303, span, format!("{what} is not a number for each example"))
                    .label("has no batch")
                    .note(mean)
                    .help(match self.reach(&it) {
                        Some(_) => "make it of what the model gives",
                        None => "leave `batch` out of what it is reduced over",
                    });
                return self.fail(report);
            }
            Value::Tensor(it) => it,
            other => {
                let report = self
                    .at(Code::E0104, span, format!("{what} gives {}, not a number for each example", other.describe()))
                    .label("expected a tensor")
                    .note(mean);
                return self.fail(report);
            }
        };
        let dims = self.dims(&tensor);
        let each = &dims[1..];
        if each.iter().any(|it| *it != 1) {
            let list: Vec<String> = each.iter().map(usize::to_string).collect();
            let over = if each.len() == 1 { "channels" } else { "[positions, channels]" };
            let report = self
                .at(Code::E0303, span, format!("{what} gives [{}] for each example, not one number", list.join(", ")))
                .label("expected one number for each example")
                .note(mean)
                .help(format!("add them up, `sum(x, over: {over})`, or take their mean"));
            return self.fail(report);
        }
        let place = self.users_place(span);
        let mut tensor = tensor;
        if dims.len() != 1 {
            tensor = self.node(Op::Reshape(Shape::from([dims[0]])), &[&tensor], place);
        }
        if self.graph.fact(tensor.train).dtype() != Some(DType::Real) {
            let real = Op::Map { body: ScalarFn::build(1, |_, it| it[0]), int: false };
            tensor = self.node(real, &[&tensor], place);
        }
        Value::Tensor(tensor)
    }
}
