//! Expressions as text: infix, with as few parentheses as can be, shared parts bound by `let`.

use super::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use std::fmt;

/// How tightly the outermost operator of a text binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tight {
    Compare,
    Sum,
    Product,
    Sign,
    Power,
    Atom,
}

impl fmt::Display for ScalarFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text_with(&|i| format!("a{i}")))
    }
}

impl ScalarFn {
    /// The text with arguments named by `name`. A node used more than once is bound: `let t0 = exp(x);
    /// t0 * t0`; several results stand in parentheses.
    pub fn text_with(&self, name: &dyn Fn(u32) -> String) -> String {
        let mut uses = vec![0usize; self.nodes.len()];
        for at in self.nodes.iter().flat_map(ExprNode::operands).chain(self.roots.iter().copied()) {
            uses[at.0 as usize] += 1;
        }
        let mut writer = Writer { name, parts: Vec::new() };
        let mut lets = String::new();
        let mut bound = 0;
        for (at, node) in self.nodes.iter().enumerate() {
            let part = writer.node(node);
            let leaf = matches!(node, ExprNode::Const(_) | ExprNode::Input(_));
            if leaf || uses[at] < 2 {
                writer.parts.push(part);
            } else {
                lets += &format!("let t{bound} = {}; ", part.0);
                writer.parts.push((format!("t{bound}"), Tight::Atom));
                bound += 1;
            }
        }
        let results: Vec<&str> = self.roots.iter().map(|it| writer.parts[it.0 as usize].0.as_str()).collect();
        match results.as_slice() {
            [one] => lets + one,
            all => format!("{lets}({})", all.join(", ")),
        }
    }

    /// The text of one node, everything inlined: for messages.
    pub fn node_text(&self, at: Scalar, name: &dyn Fn(u32) -> String) -> String {
        let mut writer = Writer { name, parts: Vec::new() };
        for node in &self.nodes[..=at.0 as usize] {
            let mut part = writer.node(node);
            // A tree written out can be exponentially longer than its DAG.
            if 400 < part.0.len() {
                part = ("...".to_owned(), Tight::Atom);
            }
            writer.parts.push(part);
        }
        writer.parts.pop().map(|it| it.0).unwrap_or_default()
    }
}

struct Writer<'a> {
    name: &'a dyn Fn(u32) -> String,
    parts: Vec<(String, Tight)>,
}

impl Writer<'_> {
    /// The text of an operand, in parentheses if it binds less tightly than `least`.
    fn at(&self, at: Scalar, least: Tight) -> String {
        let (text, tight) = &self.parts[at.0 as usize];
        if *tight < least { format!("({text})") } else { text.clone() }
    }

    fn node(&self, node: &ExprNode) -> (String, Tight) {
        match *node {
            ExprNode::Const(value) => number(value.0),
            ExprNode::Input(i) => ((self.name)(i), Tight::Atom),
            ExprNode::Unary(Unary::Neg, a) => (format!("-{}", self.at(a, Tight::Power)), Tight::Sign),
            ExprNode::Unary(op, a) => (format!("{}({})", op.name(), self.at(a, Tight::Compare)), Tight::Atom),
            ExprNode::Binary(op, a, b) => self.binary(op, a, b),
            ExprNode::Select(c, a, b) => {
                let [c, a, b] = [c, a, b].map(|it| self.at(it, Tight::Compare));
                (format!("select({c}, {a}, {b})"), Tight::Atom)
            }
        }
    }

    fn binary(&self, op: Binary, a: Scalar, b: Scalar) -> (String, Tight) {
        // Own tightness, then the least that the left and the right operand need.
        let (own, left, right) = match op {
            Binary::Add => (Tight::Sum, Tight::Sum, Tight::Sum),
            Binary::Sub => (Tight::Sum, Tight::Sum, Tight::Product),
            Binary::Mul => (Tight::Product, Tight::Product, Tight::Product),
            Binary::Div => (Tight::Product, Tight::Product, Tight::Sign),
            Binary::Pow => (Tight::Power, Tight::Atom, Tight::Sign),
            Binary::Lt | Binary::Le | Binary::Eq => (Tight::Compare, Tight::Sum, Tight::Sum),
            Binary::Min | Binary::Max => {
                let [a, b] = [a, b].map(|it| self.at(it, Tight::Compare));
                return (format!("{}({a}, {b})", op.name()), Tight::Atom);
            }
        };
        // `a * (b / c)` and `a + (b - c)` are other roundings than `(a * b) / c` and `(a + b) - c`.
        let right = match op {
            Binary::Add => right.max(Tight::Product),
            Binary::Mul => right.max(Tight::Sign),
            _ => right,
        };
        (format!("{} {} {}", self.at(a, left), op.name(), self.at(b, right)), own)
    }
}

fn number(value: f64) -> (String, Tight) {
    let text = format!("{value:?}");
    let text = text.strip_suffix(".0").unwrap_or(&text).to_owned();
    let tight = if text.starts_with('-') { Tight::Sign } else { Tight::Atom };
    (text, tight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(arity: u32, f: impl FnOnce(&mut super::super::Pool, &[Scalar]) -> Scalar) -> String {
        ScalarFn::build(arity, f).to_string()
    }

    #[test]
    fn parentheses_appear_only_where_the_meaning_needs_them() {
        let sum = text(3, |p, i| {
            let sum = p.add(i[0], i[1]);
            let product = p.mul(sum, i[2]);
            p.sub(i[0], product)
        });
        assert_eq!(sum, "a0 - (a0 + a1) * a2");
        let nested = text(3, |p, i| {
            let inner = p.sub(i[1], i[2]);
            let minus = p.sub(i[0], inner);
            let inverse = p.div(i[1], minus);
            p.unary(Unary::Neg, inverse)
        });
        assert_eq!(nested, "-(a1 / (a0 - (a1 - a2)))");
        let power = text(2, |p, i| {
            let two = p.constant(-2.0);
            let a = p.binary(Binary::Pow, i[0], two);
            let b = p.binary(Binary::Lt, a, i[1]);
            p.select(b, a, i[1])
        });
        assert_eq!(power, "let t0 = a0 ^ -2; select(t0 < a1, t0, a1)");
    }

    #[test]
    fn shared_parts_are_bound_once_and_leaves_never() {
        let square = text(1, |p, i| {
            let small = p.constant(1e-4);
            let moved = p.add(i[0], small);
            let root = p.unary(Unary::Sqrt, moved);
            p.mul(root, root)
        });
        assert_eq!(square, "let t0 = sqrt(a0 + 0.0001); t0 * t0");
        assert_eq!(text(1, |p, i| p.mul(i[0], i[0])), "a0 * a0");
        let mut pool = super::super::Pool::new();
        let (x, y) = (pool.input(0), pool.input(1));
        assert_eq!(pool.finish(2, &[y, x]).to_string(), "(a1, a0)");
    }
}
