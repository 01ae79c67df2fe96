//! Words of the language that need no definition, and what is told of a text by them alone.

use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Part, UnaryOp};

/// Functions of tensors that are not taken element by element.
pub const PRIMITIVES: &[&str] = &[
    "reshape",
    "transpose",
    "concat",
    "slice",
    "split",
    "pad",
    "flip",
    "repeat",
    "take",
    "range",
    "indices",
    "label_cross_entropy",
    "hit",
    "max_window",
    "mean_window",
    "sum_window",
    "convolve",
    "convolve_transpose",
    "respond",
    "einsum",
    "uniform",
    "full",
    "eye",
];

/// What can be taken over axes.
pub const REDUCTIONS: &[&str] = &["sum", "mean", "variance", "count", "max", "min"];

/// Names of axes; others are numbers that do not count the batch.
pub(in crate::lower) const AXES: &[&str] = &["batch", "channels", "positions", "height", "width"];

/// Whether a call reduces: `max` and `min` do when they say over what.
pub(in crate::lower) fn is_reduction(call: &ast::Call) -> bool {
    let over = || call.args.iter().any(|it| it.name.as_ref().is_some_and(|it| it.name == "over"));
    match call.callee.name.as_str() {
        "max" | "min" => over(),
        name => REDUCTIONS.contains(&name),
    }
}

/// Names that stand for these where nothing else has them.
pub(in crate::lower) const STEPS: &[&str] = &["step", "iterations"];

/// How a learned tensor can start, besides at a number.
pub(in crate::lower) const INITS: &[&str] = &["he", "glorot", "normal", "uniform", "orthogonal", "dirac", "whitening"];

/// Names of numbers that need no definition.
pub(in crate::lower) const CONSTANTS: &[(&str, f64)] = &[("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// What an operator can be a function of.
pub(in crate::lower) const GEOMETRY: &[&str] = &["theta", "cos", "x_norm", "w_norm", "target"];

/// What a selector can ask of a parameter.
pub(in crate::lower) const SUBJECTS: [&str; 3] = ["operator", "layer", "role"];

/// The part of the geometry that a parameter stands for. One that is kept without a use starts with `_`, as any name.
pub(in crate::lower) fn geometry(param: &str) -> Option<&'static str> {
    let name = param.strip_prefix('_').unwrap_or(param);
    GEOMETRY.iter().copied().find(|it| *it == name)
}

/// The name of the output without one.
pub(in crate::lower) const SCORES: &str = "scores";

/// Whether a condition is `training` (`true`) or `not training` (`false`).
pub(in crate::lower) fn training(cond: &ast::Expr) -> Option<bool> {
    match &cond.kind {
        ExprKind::Name(name) if name == "training" => Some(true),
        ExprKind::Unary(UnaryOp::Not, inner) => training(inner).map(|it| !it),
        _ => None,
    }
}

/// Whether a parameter is a tensor: what has neither a type nor a default is.
pub(in crate::lower) fn is_tensor(param: &ast::FnParam) -> bool {
    match &param.ty {
        Some(ty) => types::of(ty) == Ty::Tensor,
        None => param.default.is_none(),
    }
}

/// What a parameter stands for, if its name says it. One that is kept without a use starts with `_`, as any name.
pub(in crate::lower) fn given(param: &ast::FnParam) -> Option<&'static str> {
    let name = param.name.name.as_str();
    let name = name.strip_prefix('_').unwrap_or(name);
    OF_THE_DATA.into_iter().find(|it| is_tensor(param) && param.default.is_none() && *it == name)
}

/// What the data has for each example, by which losses and metrics name it.
pub(in crate::lower) const OF_THE_DATA: [&str; 2] = ["target", "label"];

/// What every loss and metric can read besides its parameters.
pub(in crate::lower) const GIVEN_TO_LOSSES: &[&str] = &["target", "label", "step", "iterations"];

/// What a schedule is given besides its parameters.
pub(in crate::lower) const GIVEN_TO_SCHEDULES: &[&str] = &["step", "iterations"];

/// What an optimizer is given besides its parameters.
const GIVEN_TO_OPTIMIZERS: &[&str] = &["value", "gradient", "step", "iterations"];

/// What an average is given besides its parameters, in the order of its arguments, and the length of the run.
pub(in crate::lower) const GIVEN_TO_AVERAGES: &[&str] = &["value", "average", "step", "iterations"];

/// What a definition of a kind is given besides its parameters.
pub(in crate::lower) fn given_to(part: Part) -> &'static [&'static str] {
    match part {
        Part::Optimizer => GIVEN_TO_OPTIMIZERS,
        Part::Schedule => GIVEN_TO_SCHEDULES,
        Part::Penalty => STEPS,
        Part::Average => GIVEN_TO_AVERAGES,
        Part::Loss | Part::Metric => GIVEN_TO_LOSSES,
    }
}
