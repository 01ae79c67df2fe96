//! How what is learned starts.

use crate::diag::{Code, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Init, NodeId, Op, ParamRole, Reduction, Shape, Whitening, start};
use crate::lower::network::Network;
use crate::lower::network::ops::lists;
use crate::lower::values::args::Args;
use crate::lower::values::value::Start;
use crate::syntax::ast;

/// Most numbers of one tensor.
const MOST_NUMBERS: usize = 1 << 31;

/// What a learned tensor is for: as written, else by its name.
pub(in crate::lower) fn role(name: &ast::Ident, written: Option<&ast::Ident>) -> ParamRole {
    ParamRole::of(&written.unwrap_or(name).name).unwrap_or(ParamRole::Learned)
}

/// How many numbers go into one of the last axis, and how many of the last axis one number goes into.
fn fans(shape: &Shape) -> [f64; 2] {
    let without = |from_last: usize| -> f64 {
        shape.dims().iter().rev().enumerate().filter(|it| it.0 != from_last).map(|it| *it.1 as f64).product()
    };
    [without(0), without(1)]
}

impl Network<'_> {
    /// Of how many numbers a value is the variance, times what is above 0; nothing of another value.
    pub(in crate::lower) fn variance_in(&self, value: NodeId) -> Option<usize> {
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

    pub(in crate::lower) fn bounded(&mut self, shape: Shape, name: &str, span: Span) -> Option<Shape> {
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

    /// `whitening(mean: [..], deviation: [..], epsilon: 5e-4, examples: 5000)`: one number for each colour.
    pub(in crate::lower) fn whitening(&mut self, args: &Args) -> Option<Start> {
        let epsilon = self.float(args, "epsilon", 5e-4, |it| it.is_finite() && 0.0 <= it, "0 or above");
        let examples = self.float(args, "examples", 5000.0, |it| 1.0 <= it && it < 2f64.powi(40), "at least 1");
        let grey = self.data.as_ref().and_then(|it| it.image.image()).is_some_and(|it| it[2] == 1);
        let colours = |name: &str, least: f64| -> Option<[Scalar64; 3]> {
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
                let images = self.data.as_ref().and_then(|it| it.image.image()).map(|it| it[2]);
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
