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

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::results::{ACCURACY, is_logged};
use crate::ir::{Mode, Op};
use crate::lower::names::measures::no_output;
use crate::lower::names::words::{GIVEN_TO_LOSSES, SCORES};
use crate::lower::network::basis::Basis;
use crate::lower::network::outputs::Output;
use crate::lower::recipe::Recipe;
use crate::lower::unfold::measure::{IGNORE, Objective};
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::signature::FUNCTIONS;
use crate::lower::values::value::{Tensor, Value};
use crate::syntax::ast::{self, BinaryOp, ExprKind, Part as Kind};

impl Recipe<'_> {
    /// The losses of the recipe, added up, in the graph; their text.
    pub(in crate::lower) fn losses(&mut self, basis: &Basis) -> Option<String> {
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
        if let (false, Output::Found(span), [(_, _, first), ..]) = (measured, self.outputs.own, parts.as_slice())
            && !self.outputs.named.is_empty()
            && self.outputs.unnamed.is_some()
            && !self.reads_scores(&parts)
            && self.has_more_to_learn(&parts)
        {
            let report = Diagnostic::new(Code::W0203, span, "no loss is of this output")
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

    /// Whether the model's own output is made of parameters of which no loss of another one is.
    fn has_more_to_learn(&self, parts: &[(Value, bool, Span)]) -> bool {
        let roots = parts.iter().filter_map(|it| if let Value::Tensor(it) = &it.0 { Some(it.train) } else { None });
        let measured = self.graph.needed(roots);
        let own = self.graph.needed(self.graph.outputs.get(&Mode::Train).copied());
        own.iter().any(|it| matches!(self.graph.op(*it), Op::Param(_)) && measured.binary_search(it).is_err())
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
            // One that is no label is told of the loss.
            let label = |it: &i64| match &basis.data {
                Some(data) => (*it as usize) < data.classes || *it == 255 && !data.target.is_class(),
                None => true,
            };
            let ignored = self.ignored.filter(|it| takes && 0 <= *it && label(it)).map(|it| ast::Arg {
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
            if name.name == SCORES && self.outputs.unnamed.is_some() {
                of_scores = true;
                outputs.push(scores.clone());
                continue;
            }
            let Some(named) = self.outputs.named.iter().find(|it| it.name.name == name.name) else {
                let known: Vec<&str> = self.outputs.named.iter().map(|it| it.name.name.as_str()).collect();
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
    pub(in crate::lower) fn measured(
        &mut self,
        objective: Objective,
        expr: &ast::Expr,
    ) -> Option<(Tensor, Vec<String>)> {
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
        for named in &self.outputs.named {
            scope.insert(named.name.name.clone(), Value::Tensor(named.tensor.clone()));
        }
        let outer = (self.objective.replace(objective), std::mem::replace(&mut self.of_recipe, true));
        self.scopes.open(scope);
        let value = self.expr(expr);
        self.scopes.close();
        let value = self.one_each(value, &format!("`{}`", kind.word()), expr.span);
        self.of_recipe = outer.1;
        let objective = std::mem::replace(&mut self.objective, outer.0)?;
        match value {
            Value::Tensor(mut it) => {
                it.train = self.of_both(it.train);
                Some((it, objective.calls))
            }
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
                Some((_, def)) => def.params.iter().any(|it| GIVEN_TO_LOSSES.contains(&it.name.name.as_str())),
                None => !arithmetic,
            }
        };
        entry.values.iter().any(|it| it.find(&asks).is_some())
    }
}
