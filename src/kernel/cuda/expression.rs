//! Scalar expressions as CUDA statements.

use crate::ir::{Binary, ExprNode, Scalar, ScalarFn};
use std::fmt::Write;

/// Numbers that expressions are evaluated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// fp32.
    Float,
    /// fp64: for integers, which must stay exact.
    Double,
}

impl Number {
    /// In CUDA.
    pub(super) fn name(self) -> &'static str {
        match self {
            Number::Float => "float",
            Number::Double => "double",
        }
    }

    /// A literal that reads back as the same number.
    pub(super) fn literal(self, value: f64) -> String {
        let text = match self {
            Number::Float => format!("{:?}f", value as f32),
            Number::Double => format!("{value:?}"),
        };
        let finite = match self {
            Number::Float => (value as f32).is_finite(),
            Number::Double => value.is_finite(),
        };
        if finite {
            return text;
        }
        let bits = if value.is_nan() {
            "0x7fc00000u"
        } else if 0.0 < value {
            "0x7f800000u"
        } else {
            "0xff800000u"
        };
        format!("({})bits_as_float({bits})", self.name())
    }
}

/// The statements that compute `roots`, one local `v<node>` per node, and the names of the results. `rounded` marks nodes
/// that are stored in 16 bits: what is made of them is made of the stored number. `input` says how to read an argument.
pub(super) fn statements(
    body: &ScalarFn,
    rounded: &[bool],
    roots: &[Scalar],
    number: Number,
    input: impl FnMut(u32) -> String,
) -> (String, Vec<String>) {
    let text = statements_beyond(body, rounded, roots, number, input, |_| None);
    (text, roots.iter().map(|it| format!("v{}", it.0)).collect())
}

/// The same statements but for what leads to nodes that are `given`, by an expression in CUDA.
pub(super) fn statements_beyond(
    body: &ScalarFn,
    rounded: &[bool],
    roots: &[Scalar],
    number: Number,
    mut input: impl FnMut(u32) -> String,
    given: impl Fn(usize) -> Option<String>,
) -> String {
    let needed = needed(&body.nodes, roots, |at| given(at).is_some());
    let mut text = String::new();
    for (at, node) in body.nodes.iter().enumerate().filter(|(at, _)| needed[*at]) {
        let value = match (given(at), *node) {
            (Some(value), _) => value,
            (None, ExprNode::Const(value)) => number.literal(value.0),
            (None, ExprNode::Input(i)) => input(i),
            (None, ExprNode::Unary(op, a)) => op.cuda(&format!("v{}", a.0)),
            (None, ExprNode::Binary(op, a, b)) => binary(op, a, b, &body.nodes),
            (None, ExprNode::Select(c, a, b)) => format!("sph_select(v{}, v{}, v{})", c.0, a.0, b.0),
        };
        let again = rounded[at] && given(at).is_none();
        let value = if again { format!("(float)(bf16)(float)({value})") } else { value };
        writeln!(text, "    const {} v{at} = {value};", number.name()).expect("a string takes all");
    }
    text
}

/// What a node is made of.
pub(super) fn operands(node: &ExprNode) -> impl Iterator<Item = usize> + use<> {
    node.operands().map(|it| it.0 as usize)
}

/// Which nodes the roots depend on, not looking behind those that are given.
fn needed(nodes: &[ExprNode], roots: &[Scalar], given: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    roots.iter().for_each(|it| needed[it.0 as usize] = true);
    for at in (0..nodes.len()).rev() {
        if needed[at] && !given(at) {
            operands(&nodes[at]).for_each(|it| needed[it] = true);
        }
    }
    needed
}

fn binary(op: Binary, a: Scalar, b: Scalar, nodes: &[ExprNode]) -> String {
    let (x, y) = (a.0, b.0);
    let power = match nodes[y as usize] {
        ExprNode::Const(value) => value.0,
        _ => f64::NAN,
    };
    match op {
        Binary::Add => format!("v{x} + v{y}"),
        Binary::Sub => format!("v{x} - v{y}"),
        Binary::Mul => format!("v{x} * v{y}"),
        Binary::Div => format!("v{x} / v{y}"),
        // `pow` costs fifty multiplications, and small whole powers are what people write.
        Binary::Pow if power == 2.0 => format!("v{x} * v{x}"),
        Binary::Pow if power == 3.0 => format!("v{x} * v{x} * v{x}"),
        Binary::Pow => format!("sph_pow(v{x}, v{y})"),
        Binary::Min => format!("sph_min(v{x}, v{y})"),
        Binary::Max => format!("sph_max(v{x}, v{y})"),
        Binary::Lt => format!("v{x} < v{y}"),
        Binary::Le => format!("v{x} <= v{y}"),
        Binary::Eq => format!("v{x} == v{y}"),
    }
}
