//! Maps: scalar expressions, one operator for each of their nodes.

use super::messages::{Attribute, Element};
use super::{Layout, Writer};
use crate::export::Extent;
use crate::export::network::{Node, broadcast};
use crate::ir::op::Fill;
use crate::ir::{Binary, ExprNode, Op, ScalarFn, Unary};

/// The least `1 - a^2` that the slope of `asin` sees.
const SLOPE_FLOORS: [f64; 2] = [1e-6, 1e-12];

/// A value of an expression.
#[derive(Clone, Debug)]
struct Piece {
    name: String,
    /// Whether it is true or false, rather than 1 or 0.
    truth: bool,
}

/// An expression that is being written, in numbers of one type.
struct Expression<'w, 'a> {
    writer: &'w mut Writer<'a>,
    element: Element,
}

impl Writer<'_> {
    pub(super) fn map(&mut self, node: &Node, body: &ScalarFn, int: bool) {
        // Counters are computed in f64, whatever the rest is in.
        let element = if int { Element::Double } else { self.real };
        let planes = |at: &usize| self.layout(*at) == Layout::Planes;
        let images = node.dims.len() == 4;
        let layout = if images && node.operands.iter().any(planes) { Layout::Planes } else { Layout::Rows };
        let used = body.used_inputs();
        let mut inputs: Vec<Option<Piece>> = vec![None; node.operands.len()];
        // The extents that operands bring along by themselves.
        let mut reached: Vec<Extent> = Vec::new();
        for at in used {
            let operand = node.operands[at as usize];
            let from = self.node(operand);
            let name = match &from.op {
                Op::Const { fill: Fill::Value(value), .. } => self.constant(element, &[], &[value.0]),
                _ => {
                    let value = self.value(operand, layout);
                    reached = broadcast(&reached, &from.dims);
                    let own = self.element(from.dtype);
                    self.converted(value, own, element)
                }
            };
            inputs[at as usize] = Some(Piece { name, truth: false });
        }
        let mut expression = Expression { writer: self, element };
        let mut pieces: Vec<Piece> = Vec::new();
        for it in &*body.nodes {
            let piece = expression.piece(it, &pieces, &inputs);
            pieces.push(piece);
        }
        let root = expression.number(&pieces[body.root().0 as usize]);
        let mut value = if int { expression.rounded(&root) } else { root };
        if reached != node.dims {
            value = self.expanded(&value, &layout.ordered(&node.dims));
        }
        self.made(layout, value);
    }
}

impl Expression<'_, '_> {
    fn add(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.writer.add(kind, inputs, Vec::new())
    }

    fn constant(&mut self, value: f64) -> String {
        self.writer.constant(self.element, &[], &[value])
    }

    /// 1 or 0 of what is true or false.
    fn number(&mut self, piece: &Piece) -> String {
        if piece.truth { self.writer.cast(&piece.name, self.element) } else { piece.name.clone() }
    }

    /// Whether a value is not 0.
    fn truth(&mut self, piece: &Piece) -> String {
        if piece.truth { piece.name.clone() } else { self.writer.cast(&piece.name, Element::Bool) }
    }

    fn piece(&mut self, node: &ExprNode, pieces: &[Piece], inputs: &[Option<Piece>]) -> Piece {
        let mut number = |it: u32| self.number(&pieces[it as usize]);
        let name = match *node {
            ExprNode::Const(value) => self.constant(value.0),
            ExprNode::Input(at) => return inputs[at as usize].clone().expect("it is used"),
            ExprNode::Unary(op, a) => {
                let a = number(a.0);
                self.unary(op, &a)
            }
            ExprNode::Binary(op, a, b) => {
                let (a, b) = (number(a.0), number(b.0));
                return self.binary(op, &a, &b);
            }
            ExprNode::Select(cond, a, b) => {
                let (a, b) = (number(a.0), number(b.0));
                let cond = self.truth(&pieces[cond.0 as usize]);
                self.add("Where", &[&cond, &a, &b])
            }
        };
        Piece { name, truth: false }
    }

    fn unary(&mut self, op: Unary, a: &str) -> String {
        match op {
            Unary::Neg => self.add("Neg", &[a]),
            Unary::Abs => self.add("Abs", &[a]),
            Unary::Sign => self.add("Sign", &[a]),
            Unary::Sqrt => self.add("Sqrt", &[a]),
            Unary::Rsqrt => {
                let root = self.add("Sqrt", &[a]);
                self.add("Reciprocal", &[&root])
            }
            Unary::Exp => self.add("Exp", &[a]),
            Unary::Expm1 => self.expm1(a),
            Unary::Log => self.add("Log", &[a]),
            Unary::Log1p => self.log1p(a),
            Unary::Sin => self.add("Sin", &[a]),
            Unary::Cos => self.add("Cos", &[a]),
            Unary::Tanh => self.add("Tanh", &[a]),
            Unary::Logistic => self.add("Sigmoid", &[a]),
            Unary::Erf => self.add("Erf", &[a]),
            Unary::Asin => {
                let a = self.clamped(a);
                self.add("Asin", &[&a])
            }
            Unary::Acos => {
                let a = self.clamped(a);
                self.add("Acos", &[&a])
            }
            Unary::AsinSlope => {
                let one = self.constant(1.0);
                let (less, more) = (self.add("Sub", &[&one, a]), self.add("Add", &[&one, a]));
                let rest = self.add("Mul", &[&less, &more]);
                let floor = self.constant(SLOPE_FLOORS[usize::from(self.element == Element::Double)]);
                let rest = self.add("Max", &[&rest, &floor]);
                let root = self.add("Sqrt", &[&rest]);
                self.add("Reciprocal", &[&root])
            }
            Unary::Atan => self.add("Atan", &[a]),
            Unary::Floor => self.add("Floor", &[a]),
            Unary::Stop => a.to_owned(),
        }
    }

    fn binary(&mut self, op: Binary, a: &str, b: &str) -> Piece {
        let (kind, truth) = match op {
            Binary::Add => ("Add", false),
            Binary::Sub => ("Sub", false),
            Binary::Mul => ("Mul", false),
            Binary::Div => ("Div", false),
            Binary::Pow => ("Pow", false),
            Binary::Min => ("Min", false),
            Binary::Max => ("Max", false),
            Binary::Lt => ("Less", true),
            Binary::Le => ("LessOrEqual", true),
            Binary::Eq => ("Equal", true),
        };
        Piece { name: self.add(kind, &[a, b]), truth }
    }

    /// Between -1 and 1.
    fn clamped(&mut self, a: &str) -> String {
        let (low, high) = (self.constant(-1.0), self.constant(1.0));
        self.add("Clip", &[a, &low, &high])
    }

    /// Whether a number is so near to 0 that a sum with 1 loses much of it.
    fn is_small(&mut self, a: &str) -> String {
        let (size, half) = (self.add("Abs", &[a]), self.constant(0.5));
        self.add("Less", &[&size, &half])
    }

    /// `log(1 + a)`: with `u` the rounded `1 + a`, what rounding took is `a - (u - 1)`, and the logarithm of the rest is that
    /// over `u`. ONNX has no operator of its own for it.
    fn log1p(&mut self, a: &str) -> String {
        let (one, zero) = (self.constant(1.0), self.constant(0.0));
        let u = self.add("Add", &[a, &one]);
        let found = self.add("Log", &[&u]);
        let kept = self.add("Sub", &[&u, &one]);
        let lost = self.add("Sub", &[a, &kept]);
        let more = self.add("Div", &[&lost, &u]);
        let small = self.is_small(a);
        let more = self.add("Where", &[&small, &more, &zero]);
        self.add("Add", &[&found, &more])
    }

    /// `e^a - 1`: near 0 the rounded `u = e^a` belongs to `log(u)` rather than to `a`, so the difference is scaled by their
    /// ratio; where `u` is 1, it is `a`.
    fn expm1(&mut self, a: &str) -> String {
        let one = self.constant(1.0);
        let u = self.add("Exp", &[a]);
        let plain = self.add("Sub", &[&u, &one]);
        let log = self.add("Log", &[&u]);
        let ratio = self.add("Div", &[a, &log]);
        let scaled = self.add("Mul", &[&plain, &ratio]);
        let level = self.add("Equal", &[&u, &one]);
        let near = self.add("Where", &[&level, a, &scaled]);
        let small = self.is_small(a);
        self.add("Where", &[&small, &near, &plain])
    }

    /// To the nearest whole number, halves away from 0. `Round` takes them to the even one.
    fn rounded(&mut self, a: &str) -> String {
        let (sign, size) = (self.add("Sign", &[a]), self.add("Abs", &[a]));
        let half = self.constant(0.5);
        let moved = self.add("Add", &[&size, &half]);
        let whole = self.add("Floor", &[&moved]);
        let value = self.add("Mul", &[&sign, &whole]);
        self.writer.add("Cast", &[&value], vec![Attribute::int("to", Element::Int64 as i64)])
    }
}
