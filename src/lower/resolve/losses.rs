//! Losses and metrics: names in their bodies, and in the lines of the recipe that name them.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::index::Role;
use crate::lower::names::items::{Def, Home};
use crate::lower::names::measures::no_output;
use crate::lower::names::words::{CONSTANTS, GIVEN_TO_LOSSES, SCORES, is_tensor};
use crate::lower::resolve::{Context, Resolver};
use crate::lower::values::signature::{FUNCTIONS, Signature};
use crate::lower::values::types;
use crate::syntax::ast::{self, ExprKind, Part as Kind, StmtKind};

/// The names that a model gives to its input and to its outputs.
fn ends(body: &ast::Body, inputs: &mut Vec<ast::Ident>, named: &mut Vec<ast::Ident>) {
    for stmt in &body.stmts {
        match &stmt.kind {
            StmtKind::Input { name, .. } => inputs.push(name.clone()),
            StmtKind::Output { name, .. } => named.extend(name.clone()),
            StmtKind::For { body, .. } => ends(body, inputs, named),
            StmtKind::If { then, otherwise, .. } => {
                ends(then, inputs, named);
                otherwise.iter().for_each(|it| ends(it, inputs, named));
            }
            StmtKind::Let { .. }
            | StmtKind::Assign { .. }
            | StmtKind::Unpack { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. }
            | StmtKind::Expr(_) => {}
        }
    }
}

impl Resolver<'_> {
    pub(in crate::lower) fn losses(&mut self) {
        // What is told where nothing is said.
        self.chosen.insert((Kind::Metric, "accuracy".to_owned()));
        for kind in [Kind::Loss, Kind::Metric] {
            for (def, home) in self.walked(kind) {
                self.main = home == Home::Main;
                self.current = self.items.part_key(kind, &def.name);
                self.mention(def.name.span, Role::Part(kind), Some(def.name.span));
                if !def.params.iter().any(is_tensor) {
                    self.sink.push(
                        Diagnostic::new(
                            Code::E0105,
                            def.header,
                            format!("the {} `{}` takes no tensor", kind.word(), def.name.name),
                        )
                        .label("is a function of nothing that the model gives")
                        .note("parameters without a type and a default are tensors: outputs of the model, and `target` or `label`")
                        .help(format!("write `{} {}(scores, target, ...)`", kind.word(), def.name.name)),
                    );
                }
                // What every loss is given may stay unused.
                self.open();
                for name in GIVEN_TO_LOSSES {
                    self.bind(&ast::Ident { name: (*name).to_owned(), span: def.header }, None);
                }
                self.function(def, Context::Loss);
                self.close();
            }
        }
    }

    /// What a loss or a metric within another one must be given.
    pub(super) fn measure_of(&mut self, name: &str, span: Span) -> Option<Signature> {
        let (kind, def) = self.items.measure(Kind::Metric, name, span.file).map(|it| (it.0, it.1.clone()))?;
        if !self.items.is_own(span.file) {
            self.chosen.insert((kind, name.to_owned()));
        }
        let key = self.items.part_key(kind, &def.name);
        self.calls.entry(self.current.clone()).or_default().push((key, span));
        Some(types::signature(kind.word(), &def))
    }

    /// `loss softmax_cross_entropy() + 0.1 * focal()`: an expression of losses, which are checked where the
    /// recipe is read. The model's input and outputs have names in it.
    pub(super) fn measures(&mut self, kind: Kind, entry: &ast::TrainEntry) {
        let (mut inputs, mut named) = (Vec::new(), Vec::new());
        self.items.models.iter().for_each(|it| ends(&it.body, &mut inputs, &mut named));
        let known: Vec<&str> = named.iter().map(|it| it.name.as_str()).collect();
        for name in entry.on.iter().filter(|it| it.name != SCORES && !known.contains(&it.name.as_str())) {
            self.sink.push(no_output(name, &known));
        }
        for on in &entry.on {
            let output = named.iter().find(|it| it.name == on.name).map(|it| it.span);
            self.mention_again(on.span, Role::Value, output);
        }
        self.open();
        for name in inputs.iter().chain(&named) {
            self.bind(name, None);
        }
        for name in [SCORES, "step", "iterations"] {
            self.bind(&ast::Ident { name: name.to_owned(), span: entry.key.span }, None);
        }
        entry.values.iter().for_each(|it| self.measure(kind, it));
        self.close();
    }

    pub(in crate::lower) fn measure(&mut self, kind: Kind, expr: &ast::Expr) {
        self.mention_measure(kind, expr);
        match &expr.kind {
            ExprKind::Name(name) if self.local(name).is_some() => self.mark(name, expr.span),
            ExprKind::Name(name) => {
                let found = self.items.measure(kind, name, expr.span.file).is_some();
                let number = CONSTANTS.iter().any(|it| it.0 == name) || name == "classes";
                if !found && !number && self.items.get(name, expr.span.file).is_none() {
                    self.sink.push(self.items.unknown_measure(kind, name, expr.span));
                }
                let kind = self.items.measure(kind, name, expr.span.file).map_or(kind, |it| it.0);
                self.chosen.insert((kind, name.clone()));
                self.mark(name, expr.span);
            }
            ExprKind::Call(call) => {
                let name = call.callee.name.as_str();
                let arithmetic = self.items.measure(kind, name, expr.span.file).is_none()
                    && (matches!(self.items.get(name, expr.span.file).map(|it| &it.def), Some(Def::Fn(_)))
                        || FUNCTIONS.iter().any(|it| it.0 == name));
                match self.items.measure(kind, name, expr.span.file) {
                    Some((kind, def)) => {
                        let wrong = self.items.measure_signature(kind, def).matched(call).1;
                        wrong.into_iter().for_each(|it| self.sink.push(it));
                    }
                    None => {
                        let function = FUNCTIONS.iter().any(|it| it.0 == name);
                        let defined = self.items.get(name, expr.span.file).is_some() || self.local(name).is_some();
                        if !function && !defined {
                            self.sink.push(self.items.unknown_measure(kind, name, call.callee.span));
                        }
                    }
                }
                let kind = self.items.measure(kind, name, expr.span.file).map_or(kind, |it| it.0);
                self.chosen.insert((kind, name.to_owned()));
                let args = call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value));
                if arithmetic {
                    self.mark(name, expr.span);
                    args.for_each(|it| self.measure(kind, it));
                } else {
                    args.for_each(|it| self.expr(it));
                }
            }
            ExprKind::Unary(_, a) | ExprKind::Named(a, ..) => self.measure(kind, a),
            ExprKind::Binary(_, a, b) => {
                self.measure(kind, a);
                self.measure(kind, b);
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::List(_)
            | ExprKind::Range(..)
            | ExprKind::Index(..) => self.expr(expr),
            ExprKind::If(cond, then, otherwise) => {
                self.expr(cond);
                for body in std::iter::once(then).chain(otherwise) {
                    self.open();
                    for stmt in &body.stmts {
                        match &stmt.kind {
                            StmtKind::Expr(value) => self.measure(kind, value),
                            _ => self.stmt(stmt),
                        }
                    }
                    self.close();
                }
            }
        }
    }
}
