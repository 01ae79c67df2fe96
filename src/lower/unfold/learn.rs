//! What a block keeps between steps: `learn gamma: [channels(x)] = 1`, and
//! `stat mean: [channels(x)] = running(mu, decay: 0.9, start: 0)`.

use crate::diag::{Code, Span};
use crate::ir::{Op, ParamRole, Shape};
use crate::lower::network::moves::{rate, towards};
use crate::lower::network::starts::role;
use crate::lower::unfold::Unfold;
use crate::lower::values::signature::{self, Signature};
use crate::lower::values::value::{Start, Tensor, Ty, Value};
use crate::syntax::ast::{self, ExprKind};

impl Unfold<'_> {
    /// `learn gamma: [channels(x)] = 1`.
    pub(super) fn learn_tensor(
        &mut self,
        name: &ast::Ident,
        written: Option<&ast::Ident>,
        (dims, shape_span): (&[ast::Expr], Span),
        init: &ast::Expr,
    ) -> Value {
        let extents = self.kept_extents(dims);
        let Some(shape) = extents.and_then(|it| self.bounded(Shape(it), &name.name, shape_span)) else {
            return self.lost(name.span);
        };
        let what = format!("the start of `{}`", name.name);
        let place = self.source(init).and_then(|it| it.span).unwrap_or(init.span);
        let started = self.started(init, &what).and_then(|it| self.start_of(it, &shape, place));
        let Some(init) = started else { return self.lost(name.span) };
        let Some(path) = self.keeps(name) else { return self.lost(name.span) };
        let role = role(name, written);
        // A filter without an operator answers as the plain product does; `convolve` says otherwise.
        let operator = if role == ParamRole::Filter { "none" } else { "" };
        let span = self.users_place(name.span);
        let fixed = matches!(dims, [high, wide, _, _] if self.is_written_out(high) && self.is_written_out(wide));
        let learned = self.param(&path, &name.name, shape, init, role, operator, span);
        if let (true, Op::Param(id)) = (fixed, self.graph.op(learned.train).clone()) {
            self.fix_window(id);
        }
        Value::Tensor(learned)
    }

    /// `stat mean: [channels(x)] = running(mu, decay: 0.9)`: a state that moves towards `mu`. In training it is read
    /// after this step's move, in evaluation as it was kept; neither has a gradient.
    pub(super) fn running(&mut self, name: &ast::Ident, dims: Option<&[ast::Expr]>, value: &ast::Expr) -> Value {
        let ExprKind::Call(call) = &value.kind else { return self.lost(name.span) };
        let Some(signature) = signature::running(&call.callee.name) else { return self.lost(name.span) };
        let args = self.arguments(&signature, call);
        let decay = self.float(&args, "decay", 0.9, |it| (0.0..=1.0).contains(&it), "between 0 and 1");
        let start = self.float(&args, "start", 0.0, f64::is_finite, "a number");
        let extents = dims.map(|it| self.kept_extents(it));
        let (false, Some(decay), Some(start)) = (args.wrong(), decay, start) else { return self.lost(name.span) };
        let Some((Value::Tensor(of), span)) = args.get("of").cloned() else { return self.lost(name.span) };
        // It would be kept for places in a batch of one size, and mean nothing in another.
        if 1 < self.batch && self.known(&of) && !self.loses_the_batch(&of) {
            let place = self.users_place(span);
            return self.fail(
                self.at(Code::E0303, place, format!("`{}` follows what each example has of its own", name.name))
                    .label("has a batch, and a statistic has none")
                    .help("reduce it over the batch and what else is not in the shape: `mean(x, over: [batch, positions])`"),
            );
        }
        let Some(found) = self.graph.fact(of.train).shape().cloned() else { return self.lost(name.span) };
        let shape = match extents {
            Some(Some(it)) => Shape(it),
            Some(None) => return self.lost(name.span),
            None => found.clone(),
        };
        if shape.checked_len() != Some(found.len()) {
            return self.fail(
                self.at(Code::E0303, span, format!("`{}` is {shape}, what it follows is {found}", name.name))
                    .label(format!("{} numbers, not {}", found.len(), shape.checked_len().map_or("too many".to_owned(), |it| it.to_string())))
                    .help("reduce it over the batch and what else is not in the shape: `mean(x, over: [batch, positions])`"),
            );
        }
        let Some(path) = self.keeps(name) else { return self.lost(name.span) };
        let place = self.users_place(name.span);
        let (id, state) = self.state(&path, &name.name, shape.clone(), start, place);
        let variance = self.variance_in(of.train);
        if let Some(count) = variance {
            self.varies(&path, place, count);
        }
        // A layer of the prelude is told of as a whole.
        let given = args.get("decay").map(|it| it.1);
        let (told, call) = if name.span.file == self.items.prelude {
            (path, (place, given.filter(|it| it.file != self.items.prelude)))
        } else {
            (format!("{path}/{}", name.name), (args.span, given))
        };
        self.keeps_running(&told, call, decay, start);
        self.graph.states[id.0 as usize].never_negative = variance.is_some() && 0.0 <= start;
        let of = self.node(Op::Reshape(shape), &[&of], place);
        let next = self.node(towards(rate(decay)), &[&state, &of], place);
        // Its extents are as they were written, and the batch is not among them.
        if dims.is_some() {
            self.is_for_all(next.train);
        }
        self.state_moves(id, &next, place);
        // `towards` stops the gradient, and a state has none.
        Value::Tensor(Tensor { train: next.train, evaluate: state.evaluate, owner: None })
    }

    /// A number, or one of [`INITS`], or what was given as either.
    pub(super) fn started(&mut self, expr: &ast::Expr, what: &str) -> Option<Start> {
        let word = match &expr.kind {
            ExprKind::Name(it) => it.as_str(),
            ExprKind::Call(it) => it.callee.name.as_str(),
            _ => "",
        };
        let local = self.scopes.holds(word);
        let Some(signature) = signature::init(word).filter(|_| !local) else {
            let value = self.expr(expr);
            if let Value::Start(it) = value {
                return Some(it);
            }
            return match self.coerce(value, &Ty::Float, expr.span, &what, None) {
                Value::Float(it) => Some(Start::Number(it)),
                _ => None,
            };
        };
        let alone;
        let call = match &expr.kind {
            ExprKind::Call(it) => it,
            _ => {
                let callee = ast::Ident { name: word.to_owned(), span: expr.span };
                alone = ast::Call { callee, piped: None, args: Vec::new(), span: expr.span };
                &alone
            }
        };
        self.start(&signature, call)
    }

    pub(in crate::lower) fn start(&mut self, signature: &Signature, call: &ast::Call) -> Option<Start> {
        let args = self.arguments(signature, call);
        if args.wrong() {
            return None;
        }
        let number = |name: &str| self.float(&args, name, 1.0, |it| it.is_finite() && 0.0 <= it, "0 or above");
        match signature.name.as_str() {
            "he" => match args.get("fan") {
                None => Some(Start::He),
                Some((Value::Str(word), _)) if word == "outputs" => Some(Start::HeOfOutputs),
                Some((Value::Str(_), _)) => Some(Start::He),
                Some((other, span)) => {
                    self.out_of_range(*span, "`fan` of `he`", &other.to_string(), "`inputs` or `outputs`");
                    None
                }
            },
            "glorot" => Some(Start::Glorot),
            "dirac" => Some(Start::Dirac),
            "whitening" => self.whitening(&args),
            "orthogonal" => number("gain").map(Start::Orthogonal),
            "normal" => number("std").map(Start::Normal),
            "uniform" => number("bound").map(Start::Uniform),
            other => unreachable!("`{other}` is not among the starts"),
        }
    }

    /// The layer that keeps `name`; `None` after a report.
    fn keeps(&mut self, name: &ast::Ident) -> Option<String> {
        let path = self.names.path().to_owned();
        let span = self.users_place(name.span);
        if let Some(branch) = self.mode() {
            let report = self
                .at(Code::E0201, span, format!("`{}` would be kept in one mode only", name.name))
                .label("kept between steps")
                .also(branch, "inside of this `if training`")
                .help("learn it before the `if`, and use it inside");
            self.report(report);
            return None;
        }
        let key = format!("{path}/{}", name.name);
        if self.is_taken(&key) && !self.is_shared(&key) {
            let help = match self.scopes.holds(&name.name) {
                true => "give one of them another name",
                false => "give one of the calls a name of its own: `... as \"second\"`",
            };
            let report = self
                .at(Code::E0103, span, format!("`{path}/{}` is kept twice", name.name))
                .label("a second one of this name in one layer")
                .note("what is learned or counted has its own key in checkpoints")
                .help(help);
            self.report(report);
            return None;
        }
        Some(path)
    }
}
