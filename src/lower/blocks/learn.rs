//! What a block keeps between steps: `learn gamma: [channels(x)] = 1`, and
//! `stat mean: [channels(x)] = running(mu, decay: 0.9, start: 0)`.

use super::{rate, towards};
use crate::diag::{Code, Span};
use crate::ir::{Init, NodeId, Op, ParamRole, Reduction, Shape, Whitening, op::Scalar64, start};
use crate::lower::Lowering;
use crate::lower::call::Args;
use crate::lower::lists;
use crate::lower::signature::{self, Signature};
use crate::lower::value::{Start, Tensor, Ty, Value};
use crate::syntax::ast::{self, ExprKind};

/// How a learned tensor can start, besides at a number.
pub(in crate::lower) const INITS: &[&str] = &["he", "glorot", "normal", "uniform", "orthogonal", "dirac", "whitening"];

/// Most numbers of one tensor.
const MOST_NUMBERS: usize = 1 << 31;

/// What a learned tensor is for: as written, else by its name.
pub(in crate::lower) fn role(name: &ast::Ident, written: Option<&ast::Ident>) -> ParamRole {
    ParamRole::of(&written.unwrap_or(name).name).unwrap_or(ParamRole::Learned)
}

impl Lowering<'_> {
    /// `learn gamma: [channels(x)] = 1`.
    pub(in crate::lower) fn learn_tensor(
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
        if let (true, Op::Param(id)) = (fixed, self.graph.op(learned.train)) {
            self.fixed_windows.insert(*id);
        }
        Value::Tensor(learned)
    }

    /// `stat mean: [channels(x)] = running(mu, decay: 0.9)`: a state that moves towards `mu`. In training it is read
    /// after this step's move, in evaluation as it was kept; neither has a gradient.
    pub(in crate::lower) fn running(
        &mut self,
        name: &ast::Ident,
        dims: Option<&[ast::Expr]>,
        value: &ast::Expr,
    ) -> Value {
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
        self.state_moves(id, &next, place);
        // `towards` stops the gradient, and a state has none.
        Value::Tensor(Tensor { train: next.train, evaluate: state.evaluate, owner: None })
    }

    /// Of how many numbers a value is the variance, times what is above 0; nothing of another value.
    fn variance_in(&self, value: NodeId) -> Option<usize> {
        let operands = self.graph.operands(value);
        match self.graph.op(value) {
            Op::Reduce { kind: Reduction::Variance, axes } => {
                let dims = self.graph.shape(operands[0]).dims();
                Some(axes.iter().map(|it| dims[*it]).product())
            }
            Op::Map { body, .. } if operands.len() == 1 && body.only_scales() => self.variance_in(operands[0]),
            _ => None,
        }
    }

    /// The layer that keeps `name`; `None` after a report.
    fn keeps(&mut self, name: &ast::Ident) -> Option<String> {
        let path = self.names.path().to_owned();
        let span = self.users_place(name.span);
        if let Some(&(branch, _)) = self.modes.last() {
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
            let help = match self.scopes[self.floor..].iter().any(|it| it.contains_key(&name.name)) {
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

    fn bounded(&mut self, shape: Shape, name: &str, span: Span) -> Option<Shape> {
        if shape.checked_len().is_some_and(|it| it <= MOST_NUMBERS) {
            return Some(shape);
        }
        let span = self.users_place(span);
        self.report(
            self.at(Code::E0108, span, format!("`{name}` of {shape} numbers is too large"))
                .label("more than 2^31 numbers"),
        );
        None
    }

    /// A number, or one of [`INITS`], or what was given as either.
    pub(in crate::lower) fn started(&mut self, expr: &ast::Expr, what: &str) -> Option<Start> {
        let word = match &expr.kind {
            ExprKind::Name(it) => it.as_str(),
            ExprKind::Call(it) => it.callee.name.as_str(),
            _ => "",
        };
        let local = self.scopes[self.floor..].iter().any(|it| it.contains_key(word));
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

    fn start(&mut self, signature: &Signature, call: &ast::Call) -> Option<Start> {
        let args = self.arguments(signature, call);
        if args.wrong() {
            return None;
        }
        let mut number = |name: &str| self.float(&args, name, 1.0, |it| it.is_finite() && 0.0 <= it, "0 or above");
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

    /// `whitening(mean: [..], deviation: [..], epsilon: 5e-4, examples: 5000)`: one number for each colour.
    fn whitening(&mut self, args: &Args) -> Option<Start> {
        let epsilon = self.float(args, "epsilon", 5e-4, |it| it.is_finite() && 0.0 <= it, "0 or above");
        let examples = self.float(args, "examples", 5000.0, |it| 1.0 <= it && it < 2f64.powi(40), "at least 1");
        let grey = self.data.as_ref().is_some_and(|it| it.image[2] == 1);
        let mut colours = |name: &str, least: f64| -> Option<[Scalar64; 3]> {
            let (value, span) = args.get(name)?;
            let numbers = lists::numbers(value).or_else(|| value.number().map(|it| vec![it])).unwrap_or_default();
            match numbers[..] {
                [one] if least < one => Some([Scalar64(one); 3]),
                [red, green, blue] if !grey && numbers.iter().all(|it| least < *it) => {
                    Some([red, green, blue].map(Scalar64))
                }
                _ => {
                    let above = if least == 0.0 { " above 0" } else { "" };
                    let allowed = match (grey, numbers.len()) {
                        (true, 2..) => format!("one number{above}, as the images have one channel"),
                        _ => format!("one or three numbers{above}"),
                    };
                    self.out_of_range(*span, &format!("`{name}` of `whitening`"), &value.to_string(), &allowed);
                    None
                }
            }
        };
        let (mean, deviation) = (colours("mean", f64::NEG_INFINITY), colours("deviation", 0.0));
        let (mean, deviation) = (mean?, deviation?);
        Some(Start::Whitening(Whitening { mean, deviation, epsilon: Scalar64(epsilon?), examples: examples? as usize }))
    }

    /// The start of a tensor of this shape; `None` after a report.
    pub(in crate::lower) fn start_of(&mut self, start: Start, shape: &Shape, place: Span) -> Option<Init> {
        let [fan_in, fan_out] = fans(shape);
        match start {
            Start::Number(it) => Some(Init::Constant(Scalar64(it))),
            Start::He => Some(Init::Normal(Scalar64((2.0 / fan_in).sqrt()))),
            Start::HeOfOutputs => Some(Init::Normal(Scalar64((2.0 / fan_out).sqrt()))),
            Start::Glorot => Some(Init::Uniform(Scalar64((6.0 / (fan_in + fan_out)).sqrt()))),
            Start::Normal(it) => Some(Init::Normal(Scalar64(it))),
            Start::Uniform(it) => Some(Init::Uniform(Scalar64(it))),
            Start::Orthogonal(_) | Start::Dirac if shape.rank() < 2 => {
                let place = self.users_place(place);
                let name = if start == Start::Dirac { "dirac" } else { "orthogonal" };
                let report = self
                    .at(Code::E0303, place, format!("`{name}` needs two axes, and this is {shape}"))
                    .label("starts a matrix or a filter");
                self.report(report);
                None
            }
            Start::Orthogonal(_) if start::MOST_ORTHOGONAL_WORK < start::orthogonal_work(shape) => {
                let place = self.users_place(place);
                let report = self
                    .at(Code::E0304, place, format!("an orthogonal start of {shape} takes too long"))
                    .label("each vector is made orthogonal to all before it")
                    .help("start it with `he` or `glorot`");
                self.report(report);
                None
            }
            Start::Whitening(it) => {
                let images = self.data.as_ref().map(|it| it.image[2]);
                let fits = it.check(shape).and_then(|()| match (images, shape.dims()) {
                    (Some(found), [_, _, channels, _]) if found != *channels => {
                        Err(format!("it is for patches of images, which have {found} channels and not {channels}"))
                    }
                    _ => Ok(()),
                });
                if let Err(cause) = fits {
                    let place = self.users_place(place);
                    let report = self.at(Code::E0303, place, "`whitening` cannot start this").label(cause);
                    self.report(report);
                    return None;
                }
                Some(Init::Whitening(it))
            }
            Start::Orthogonal(gain) => Some(Init::Orthogonal(Scalar64(gain))),
            Start::Dirac => Some(Init::Dirac),
        }
    }
}

/// How many numbers go into one of the last axis, and how many of the last axis one number goes into.
fn fans(shape: &Shape) -> [f64; 2] {
    let without = |from_last: usize| -> f64 {
        shape.dims().iter().rev().enumerate().filter(|it| it.0 != from_last).map(|it| *it.1 as f64).product()
    };
    [without(0), without(1)]
}
