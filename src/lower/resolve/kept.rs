//! What is kept between steps, and what differs between training and evaluation.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::ParamRole;
use crate::lower::names::index::Role;
use crate::lower::names::items::suggest;
use crate::lower::names::words::{INITS, training};
use crate::lower::resolve::{Context, Resolver};
use crate::lower::values::signature;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Extents, StmtKind};

impl Resolver<'_> {
    pub(in crate::lower) fn learn(
        &mut self,
        span: Span,
        name: &ast::Ident,
        role: Option<&ast::Ident>,
        scope: &Extents,
        init: &ast::Expr,
    ) {
        role.iter().for_each(|it| self.mention(it.span, Role::Word, None));
        if let Extents::Each(it) = scope {
            self.mention(it.span, Role::Word, None);
        }
        match (self.context, scope) {
            (Context::Operator, Extents::Each(scope)) => {
                if !["filter", "layer"].contains(&scope.name.as_str()) {
                    let report =
                        Diagnostic::new(Code::E0104, scope.span, format!("`{}` is not what can learn", scope.name))
                            .label("expected `filter` (a number for each filter) or `layer` (one number)");
                    let report = suggest(report, scope.span, &scope.name, ["filter", "layer"]);
                    self.sink.push(report);
                }
                if let Some(role) = role {
                    self.sink.push(
                        Diagnostic::new(Code::E0201, role.span, "an operator's numbers have no role")
                            .label("not allowed here")
                            .note("what operators learn is selected by name, or all of it as `learned`"),
                    );
                }
                self.expr(init);
            }
            (Context::Operator, Extents::Shape(_, shape)) => self.sink.push(
                Diagnostic::new(Code::E0104, *shape, format!("`{}` of an operator cannot be a tensor", name.name))
                    .label("expected `filter` (a number for each filter) or `layer` (one number)")
                    .help("a tensor is learned in a `block`"),
            ),
            (Context::Block | Context::Loss, Extents::Shape(dims, _)) => {
                dims.iter().for_each(|it| self.expr(it));
                if let Some(role) = role
                    && ParamRole::of(&role.name).is_none()
                {
                    let names = ParamRole::ALL.map(ParamRole::word);
                    let report = Diagnostic::new(Code::E0104, role.span, format!("unknown role `{}`", role.name))
                        .label(format!("expected one of {}", names.join(", ")));
                    self.sink.push(suggest(report, role.span, &role.name, names));
                }
                self.start(init);
            }
            (Context::Block | Context::Loss, Extents::Each(scope)) => self.sink.push(
                Diagnostic::new(Code::E0104, scope.span, format!("`{}` of a block needs a shape", name.name))
                    .label("only an operator learns a number for each filter")
                    .help(format!("write how many numbers it has: `learn {}: [channels(x)] = 1`", name.name)),
            ),
            (
                Context::Model
                | Context::Fn
                | Context::Optimizer
                | Context::Schedule
                | Context::Penalty
                | Context::Average
                | Context::Value,
                _,
            ) => {
                self.misplaced(span, "learn", "an operator or a block");
            }
        }
        if role.is_none() && self.context != Context::Operator && ParamRole::of(&name.name).is_some() {
            self.says_what_it_is(name, "its role");
        }
        self.kept_once(name);
        self.bind(name, Some("learnable"));
    }

    /// Whether an operator keeps one number of a name; else it is told.
    fn kept_once(&mut self, name: &ast::Ident) {
        if self.context != Context::Operator {
            return;
        }
        let known = self.local(&name.name).map(|it| (it.what, it.span));
        if let Some((Some("learnable" | "statistic"), first)) = known {
            self.sink.push(
                Diagnostic::new(Code::E0103, name.span, format!("the operator keeps `{}` twice", name.name))
                    .label("again here")
                    .also(first, "first here")
                    .help("give one of them another name"),
            );
        }
    }

    /// How a learned tensor starts: a number, or a word of its own.
    pub(in crate::lower) fn start(&mut self, init: &ast::Expr) {
        match &init.kind {
            ExprKind::Name(it) if INITS.contains(&it.as_str()) && self.local(it).is_none() => {
                self.mention(init.span, Role::Start, None);
            }
            ExprKind::Call(it) if INITS.contains(&it.callee.name.as_str()) => {
                self.mention(it.callee.span, Role::Start, None);
                self.mention_arguments(it, None);
            }
            _ => {}
        }
        match &init.kind {
            ExprKind::Name(it) if INITS.contains(&it.as_str()) && self.local(it).is_none() => {
                if let Some(signature) = signature::init(it)
                    && signature.slots.iter().any(|it| it.default.is_none())
                {
                    self.sink.push(
                        Diagnostic::new(Code::E0105, init.span, format!("the start `{it}` needs a number"))
                            .label("missing its argument")
                            .note(format!("signature: {}", signature.text())),
                    );
                }
            }
            ExprKind::Call(call) if INITS.contains(&call.callee.name.as_str()) => {
                let Some(signature) = signature::init(&call.callee.name) else { return };
                let (matched, wrong) = signature.matched(call);
                wrong.into_iter().for_each(|it| self.sink.push(it));
                for (slot, value) in signature.slots.iter().zip(matched) {
                    match (&slot.ty, value.map(|it| &it.kind)) {
                        (Ty::Words(words), Some(ExprKind::Name(word))) if words.contains(&word.as_str()) => {}
                        _ => value.into_iter().for_each(|it| self.expr(it)),
                    }
                }
            }
            _ => self.expr(init),
        }
    }

    pub(in crate::lower) fn stat(
        &mut self,
        span: Span,
        name: &ast::Ident,
        dims: Option<&[ast::Expr]>,
        value: &ast::Expr,
    ) {
        let in_block = matches!(self.context, Context::Block | Context::Loss);
        if !in_block && self.context != Context::Operator {
            self.misplaced(span, "stat", "an operator or a block");
        }
        dims.iter().copied().flatten().for_each(|it| self.expr(it));
        let (expected, help) = match in_block {
            true => ("expected `running(...)`", "write `stat mean: [channels(x)] = running(mu, decay: 0.9)`"),
            false => ("expected `mean(...)` or `max(...)`", "write `stat mu = mean(x_norm, decay: 0.999)`"),
        };
        // The statistic is a word of its own, not a function.
        if let ExprKind::Call(call) = &value.kind {
            self.mention(call.callee.span, Role::Word, None);
            self.mention_arguments(call, None);
        }
        self.moved = Some((name.name.clone(), name.span));
        match &value.kind {
            ExprKind::Call(call) if in_block && call.callee.name == "running" => {
                if let Some(signature) = signature::running("running") {
                    signature.matched(call).1.into_iter().for_each(|it| self.sink.push(it));
                }
                call.piped.iter().for_each(|it| self.expr(it));
                call.args.iter().for_each(|it| self.expr(&it.value));
            }
            ExprKind::Call(call) if !in_block => self.statistic(call),
            _ => self
                .sink
                .push(Diagnostic::new(Code::E0104, value.span, "expected a statistic").label(expected).help(help)),
        }
        self.moved = None;
        if let (false, Some(first)) = (in_block, dims.and_then(<[ast::Expr]>::first)) {
            self.sink.push(
                Diagnostic::new(Code::E0201, first.span, "a statistic of an operator has no shape of its own")
                    .label("not allowed here")
                    .help("there is one for each filter if the filters differ in it, else one"),
            );
        }
        self.kept_once(name);
        self.bind(name, Some("statistic"));
    }

    /// Whether a statement binds a name of the scopes around it.
    fn binds_again(&mut self, stmt: &ast::Stmt) -> bool {
        match &stmt.kind {
            StmtKind::Assign { name, .. } => self.local(&name.name).is_some(),
            StmtKind::Unpack { names, .. } => names.iter().any(|it| self.local(&it.name).is_some()),
            _ => false,
        }
    }

    /// `if cond { then } else { otherwise }`.
    pub(in crate::lower) fn choice(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Body,
        otherwise: Option<&ast::Body>,
        span: Span,
    ) {
        let by_mode = training(cond).is_some() && self.local("training").is_none();
        if !by_mode {
            self.expr(cond);
            self.nested(then);
            if let Some(it) = otherwise {
                self.nested(it);
            }
            return;
        }
        if !matches!(self.context, Context::Model | Context::Block | Context::Loss | Context::Operator) {
            self.misplaced(cond.span, "training", "a model, a block or an operator");
        }
        // What binds again is told how it is written.
        if otherwise.is_none() && !then.stmts.iter().any(|it| self.binds_again(it)) {
            self.sink.push(
                Diagnostic::new(Code::E0201, span, "`if training` needs an `else`")
                    .label("says nothing of evaluation")
                    .help("write `if training { a } else { b }`"),
            );
        }
        let then_trains = training(cond) == Some(true);
        let outer = self.in_training;
        for (body, trains) in [(Some(then), then_trains), (otherwise, !then_trains)] {
            let Some(body) = body else { continue };
            self.in_training = trains;
            self.open();
            for stmt in &body.stmts {
                match &stmt.kind {
                    StmtKind::Assign { name, .. } if self.local(&name.name).is_some() => self.sink.push(
                        Diagnostic::new(Code::E0201, stmt.span, format!("`{}` is bound again in one mode", name.name))
                            .label("would hold in both")
                            .help(format!("write `{0} = if training {{ ... }} else {{ {0} }}`", name.name)),
                    ),
                    StmtKind::Unpack { names, .. } if names.iter().any(|it| self.local(&it.name).is_some()) => {
                        self.sink.push(
                            Diagnostic::new(Code::E0201, stmt.span, "a name is bound again in one mode")
                                .label("would hold in both")
                                .help("bind names of the branch's own, and end it with the value"),
                        );
                    }
                    StmtKind::Learn { .. }
                    | StmtKind::Keep { .. }
                    | StmtKind::Stat { .. }
                    | StmtKind::Output { .. }
                    | StmtKind::Input { .. } => {
                        self.sink.push(
                            Diagnostic::new(Code::E0201, stmt.span, "a branch of `if training` only computes")
                                .label("would be there in one mode only")
                                .help("write it before the `if`"),
                        );
                    }
                    _ => {}
                }
                self.stmt(stmt);
            }
            self.close();
        }
        self.in_training = outer;
    }
}
