//! Maps: scalar expressions as Python writes them.

use super::{Writer, number};
use crate::export::network::{Node, broadcast};
use crate::export::{ExportError, Extent};
use crate::ir::op::Fill;
use crate::ir::{Binary, DType, ExprNode, Op, ScalarFn, Unary};

/// How tightly a text holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    Sum,
    Product,
    Minus,
    Atom,
}

/// A value of an expression.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    tie: Tie,
    /// Whether it is true or false, rather than 1 or 0.
    truth: bool,
    /// Whether it is a number of Python, and no tensor.
    plain: bool,
}

/// Longer texts are given a name.
const LONGEST: usize = 72;

impl Piece {
    fn atom(text: String) -> Piece {
        Piece { text, tie: Tie::Atom, truth: false, plain: false }
    }

    /// The text where something holds it so tightly.
    fn tied(&self, tie: Tie) -> String {
        if self.tie < tie { format!("({})", self.text) } else { self.text.clone() }
    }
}

impl Writer<'_> {
    pub(super) fn map(&mut self, node: &Node, body: &ScalarFn, int: bool) -> Result<(), ExportError> {
        let mut reached: Vec<Extent> = Vec::new();
        let mut inputs: Vec<Option<Piece>> = vec![None; node.operands.len()];
        for at in body.used_inputs() {
            let operand = node.operands[at as usize];
            let from = self.node(operand);
            inputs[at as usize] = Some(match &from.op {
                Op::Const { fill: Fill::Value(value), .. } => Piece { plain: true, ..Piece::atom(number(value.0)) },
                _ => {
                    reached = broadcast(&reached, &from.dims);
                    let value = self.value(operand);
                    let plain = value.parse::<f64>().is_ok();
                    let text = match (int, from.dtype) {
                        _ if plain => value,
                        (true, _) => format!("{value}.double()"),
                        (false, DType::Real | DType::Bf16) => value,
                        (false, DType::U8 | DType::U16 | DType::Int) => format!("{value}.to(**real)"),
                    };
                    Piece { plain, ..Piece::atom(text) }
                }
            });
        }
        let mut read = vec![0; body.nodes.len()];
        for it in &*body.nodes {
            it.operands().for_each(|it| read[it.0 as usize] += 1);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, it) in body.nodes.iter().enumerate() {
            let mut piece = self.piece(it, &pieces, &inputs, int);
            let leaf = matches!(it, ExprNode::Const(_) | ExprNode::Input(_));
            if !leaf && !piece.plain && (1 < read[at] || LONGEST < piece.text.len()) {
                piece.text = self.line(&piece.text);
                piece.tie = Tie::Atom;
            }
            pieces.push(piece);
        }
        let root = pieces[body.root().0 as usize].clone();
        let mut text = self.number(&root, int);
        if root.plain {
            text = format!("torch.full({}, {}, **real)", self.extents(&node.dims), text.text).into();
        } else if reached != node.dims {
            text = format!("{}.expand({})", text.tied(Tie::Atom), self.extents(&node.dims)).into();
        }
        let text = if int { format!("rounded({})", text.text) } else { text.text };
        self.made(&text);
        Ok(())
    }

    /// 1 or 0 of what is true or false.
    fn number(&mut self, piece: &Piece, int: bool) -> Piece {
        match piece.truth {
            true if int => Piece::atom(format!("{}.double()", piece.tied(Tie::Atom))),
            true => Piece::atom(format!("{}.to(**real)", piece.tied(Tie::Atom))),
            false => piece.clone(),
        }
    }

    fn piece(&mut self, node: &ExprNode, pieces: &[Piece], inputs: &[Option<Piece>], int: bool) -> Piece {
        let of = |this: &mut Self, it: crate::ir::Scalar| this.number(&pieces[it.0 as usize], int);
        match *node {
            ExprNode::Const(value) => Piece { plain: true, ..Piece::atom(number(value.0)) },
            ExprNode::Input(at) => inputs[at as usize].clone().expect("it is used"),
            ExprNode::Unary(op, a) => {
                let a = of(self, a);
                self.unary(op, &a)
            }
            ExprNode::Binary(op, a, b) => {
                let (a, b) = (of(self, a), of(self, b));
                self.binary(op, &a, &b)
            }
            ExprNode::Select(cond, a, b) => {
                let (a, b) = (of(self, a), of(self, b));
                let cond = &pieces[cond.0 as usize];
                let cond = if cond.truth { cond.text.clone() } else { format!("{} != 0", cond.tied(Tie::Sum)) };
                // Two numbers of Python would be of the usual type, whatever the others are of.
                let first = if a.plain && b.plain { tensor(&a) } else { a.text };
                Piece::atom(format!("torch.where({cond}, {first}, {})", b.text))
            }
        }
    }

    fn unary(&mut self, op: Unary, a: &Piece) -> Piece {
        let a = if a.plain { Piece::atom(tensor(a)) } else { a.clone() };
        let call = |name: &str| Piece::atom(format!("torch.{name}({})", a.text));
        let arc = |name: &str| Piece::atom(format!("torch.{name}({}.clamp(-1, 1))", a.tied(Tie::Atom)));
        match op {
            Unary::Neg => Piece { tie: Tie::Minus, ..Piece::atom(format!("-{}", a.tied(Tie::Minus))) },
            Unary::Abs => call("abs"),
            Unary::Sign => call("sign"),
            Unary::Sqrt => call("sqrt"),
            Unary::Rsqrt => call("rsqrt"),
            Unary::Exp => call("exp"),
            Unary::Expm1 => call("expm1"),
            Unary::Log => call("log"),
            Unary::Log1p => call("log1p"),
            Unary::Sin => call("sin"),
            Unary::Cos => call("cos"),
            Unary::Tanh => call("tanh"),
            Unary::Logistic => call("sigmoid"),
            Unary::Erf => call("erf"),
            Unary::Asin => arc("asin"),
            Unary::Acos => arc("acos"),
            Unary::AsinSlope => {
                let floor = "1e-12 if real[\"dtype\"] == torch.float64 else 1e-6";
                let a = if a.tie == Tie::Atom { a.text } else { self.line(&a.text) };
                Piece::atom(format!("torch.rsqrt(((1 - {a}) * (1 + {a})).clamp(min={floor}))"))
            }
            Unary::Atan => call("atan"),
            Unary::Floor => call("floor"),
            Unary::Stop => Piece::atom(format!("{}.detach()", a.tied(Tie::Atom))),
        }
    }

    fn binary(&mut self, op: Binary, a: &Piece, b: &Piece) -> Piece {
        let infix = |sign: &str, tie: Tie, next: Tie| Piece {
            text: format!("{} {sign} {}", a.tied(tie), b.tied(next)),
            tie,
            truth: false,
            plain: a.plain && b.plain,
        };
        let compared = |sign: &str| Piece {
            truth: true,
            text: format!("{} {sign} {}", if a.plain { tensor(a) } else { a.tied(Tie::Sum) }, b.tied(Tie::Sum)),
            // Comparisons hold nothing together.
            tie: Tie::Sum,
            plain: false,
        };
        let bound = |side: &str, name: &str| {
            Piece::atom(match (a.plain, b.plain) {
                (_, true) if !a.plain => format!("{}.clamp({side}={})", a.tied(Tie::Atom), b.text),
                (true, false) => format!("{}.clamp({side}={})", b.tied(Tie::Atom), a.text),
                (true, _) => format!("torch.{name}({}, {})", tensor(a), tensor(b)),
                (false, _) => format!("torch.{name}({}, {})", a.text, b.text),
            })
        };
        match op {
            Binary::Add => infix("+", Tie::Sum, Tie::Sum),
            Binary::Sub => infix("-", Tie::Sum, Tie::Product),
            Binary::Mul => infix("*", Tie::Product, Tie::Product),
            Binary::Div => infix("/", Tie::Product, Tie::Minus),
            Binary::Pow => {
                let base = if a.plain { tensor(a) } else { a.text.clone() };
                Piece::atom(format!("torch.pow({base}, {})", b.text))
            }
            Binary::Min => bound("max", "minimum"),
            Binary::Max => bound("min", "maximum"),
            Binary::Lt => compared("<"),
            Binary::Le => compared("<="),
            Binary::Eq => compared("=="),
        }
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Piece {
        Piece::atom(text)
    }
}

/// A number of Python as a tensor.
fn tensor(piece: &Piece) -> String {
    format!("torch.tensor({}, **real)", piece.text)
}
