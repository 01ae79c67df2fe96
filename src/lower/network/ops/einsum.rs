//! `einsum("qhd,khd->hqk", q, k)`: sums of products of two tensors, by letters for their axes.
//!
//! A letter of both tensors and of the result tells which numbers meet; one of both that the result lacks is summed over;
//! one of a single tensor stays. The batch has no letter: a tensor that carries it has it first, and so has the result.
//! `...` at the head of a tensor's letters stands for all axes before them. In the graph it is a product of matrices, or of
//! a stack of them, with axes moved only where they are not in the order of one.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Op, Shape, size};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

/// What an axis stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Batch,
    /// One of `...`, counted from the last.
    Open(usize),
    Letter(char),
}

/// The letters of one tensor.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    open: bool,
    letters: Vec<char>,
}

/// `qhd,khd->hqk`: the two tensors and the result.
fn parse(text: &str) -> Result<[Term; 3], String> {
    let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    let Some((given, result)) = text.split_once("->") else {
        return Err("the result is missing: write it after `->`".to_owned());
    };
    let Some((a, b)) = given.split_once(',').filter(|it| !it.1.contains(',')) else {
        return Err("there must be the letters of two tensors before `->`".to_owned());
    };
    let term = |text: &str| {
        let rest = text.strip_prefix("...");
        let letters: Vec<char> = rest.unwrap_or(text).chars().collect();
        if let Some(wrong) = letters.iter().find(|it| !it.is_ascii_alphabetic()) {
            return Err(format!("`{wrong}` in `{text}` is not a letter"));
        }
        if let Some(twice) = letters.iter().enumerate().find(|(at, it)| letters[..*at].contains(it)) {
            return Err(format!("`{}` stands twice in `{text}`", twice.1));
        }
        Ok(Term { open: rest.is_some(), letters })
    };
    let [a, b, c] = [term(a)?, term(b)?, term(result)?];
    for letter in &c.letters {
        if !a.letters.contains(letter) && !b.letters.contains(letter) {
            return Err(format!("`{letter}` of the result is an axis of neither tensor"));
        }
    }
    for (one, other) in [(&a, &b), (&b, &a)] {
        let lone = |it: &&char| !other.letters.contains(it) && !c.letters.contains(it);
        if let Some(letter) = one.letters.iter().find(lone) {
            return Err(format!("`{letter}` is in one tensor only and not in the result: `sum` over it before"));
        }
    }
    if c.open != (a.open || b.open) {
        return Err("the result has `...` where a tensor has, and only there".to_owned());
    }
    Ok([a, b, c])
}

/// The axes of `all` that `keep` keeps.
fn only(all: &[Axis], keep: impl Fn(&Axis) -> bool) -> Vec<Axis> {
    all.iter().copied().filter(keep).collect()
}

impl Network<'_> {
    pub(in crate::lower) fn einsum(&mut self, args: &Args) -> Value {
        let Some((Value::Str(text), place)) = args.get("letters").cloned() else { return self.lost(args.span) };
        let (Some((Value::Tensor(a), a_span)), Some((Value::Tensor(b), b_span))) =
            (args.get("a").cloned(), args.get("b").cloned())
        else {
            return self.lost(args.span);
        };
        if !self.known(&a) || !self.known(&b) {
            return self.lost(args.span);
        }
        let [left, right, result] = match parse(&text) {
            Ok(it) => it,
            Err(why) => {
                let report = Diagnostic::new(Code::E0108, place, format!("`{text}` is not a product of two tensors"))
                    .label(why)
                    .help(
                        "as in `einsum(\"ij,jk->ik\", a, b)`: letters for the axes of each tensor, without the batch",
                    );
                return self.fail(report);
            }
        };
        let Some(left) = self.axes_of(&a, a_span, &left) else { return self.lost(a_span) };
        let Some(right) = self.axes_of(&b, b_span, &right) else { return self.lost(b_span) };
        let extents = [self.dims(&a), self.dims(&b)];
        for (axis, extent) in left.iter().zip(&extents[0]) {
            if let Some(at) = right.iter().position(|it| it == axis)
                && extents[1][at] != *extent
            {
                let name = match axis {
                    Axis::Letter(it) => format!("`{it}`"),
                    Axis::Open(_) => "an axis of `...`".to_owned(),
                    Axis::Batch => "the batch".to_owned(),
                };
                let report = self
                    .at(
                        Code::E0303,
                        place,
                        format!("{name} is {extent} of one tensor and {} of the other", extents[1][at]),
                    )
                    .label("a letter has one extent")
                    .also(a_span, format!("{}", Shape(extents[0].clone())))
                    .also(b_span, format!("{}", Shape(extents[1].clone())))
                    .note("shapes are told with the batch as their first extent where they have one");
                return self.fail(report);
            }
        }
        let both = [left.clone(), right.clone()].concat();
        let open = both.iter().filter_map(|it| if let Axis::Open(at) = it { Some(at + 1) } else { None }).max();
        let mut wanted: Vec<Axis> = both.contains(&Axis::Batch).then_some(Axis::Batch).into_iter().collect();
        wanted.extend((0..open.unwrap_or(0)).rev().map(Axis::Open));
        wanted.extend(result.letters.iter().map(|it| Axis::Letter(*it)));
        let span = self.users_place(args.span);
        Value::Tensor(self.product_of([(a, left), (b, right)], &wanted, span))
    }

    /// The axes of a tensor, in order.
    fn axes_of(&mut self, tensor: &Tensor, span: Span, term: &Term) -> Option<Vec<Axis>> {
        let batch = usize::from(self.has_batch(tensor));
        let rest = self.dims(tensor).len() - batch;
        let letters = term.letters.len();
        if rest < letters || letters < rest && !term.open {
            let dims: Vec<String> = self.dims(tensor)[batch..].iter().map(usize::to_string).collect();
            let list: String = term.letters.iter().collect();
            let report = self
                .at(
                    Code::E0303,
                    span,
                    format!("`{list}` names {letters} axes, and this tensor is [{}]", dims.join(", ")),
                )
                .label(if rest < letters { "has fewer axes" } else { "has more axes" })
                .note("axes are counted without the batch")
                .help("`...` before the letters stands for all axes before theirs");
            self.report(report);
            return None;
        }
        let mut axes = vec![Axis::Batch; batch];
        axes.extend((0..rest - letters).rev().map(Axis::Open));
        axes.extend(term.letters.iter().map(|it| Axis::Letter(*it)));
        Some(axes)
    }

    /// Matrices of `[shared, own, summed]` axes, multiplied.
    fn product_of(&mut self, operands: [(Tensor, Vec<Axis>); 2], wanted: &[Axis], span: Span) -> Tensor {
        let [(a, left), (b, right)] = operands;
        let (a_dims, b_dims) = (self.dims(&a), self.dims(&b));
        let extent = |axis: &Axis| {
            let at = left.iter().position(|it| it == axis).map(|it| a_dims[it]);
            at.or_else(|| right.iter().position(|it| it == axis).map(|it| b_dims[it])).unwrap_or(1)
        };
        let shared = only(wanted, |it| left.contains(it) && right.contains(it));
        let own = [only(wanted, |it| !right.contains(it)), only(wanted, |it| !left.contains(it))];
        let summed = |of: &[Axis]| only(of, |it| left.contains(it) && right.contains(it) && !wanted.contains(it));
        // In the order that moves fewer numbers.
        let orders = [summed(&left), summed(&right)];
        let fits = |axes: &[Axis], own: &[Axis], summed: &[Axis]| {
            [[&shared, own, summed].concat(), [&shared, summed, own].concat()].iter().position(|it| it == axes)
        };
        let moved = |order: &[Axis]| {
            let of = |axes: &[Axis], own: &[Axis], dims: &[usize]| match fits(axes, own, order) {
                Some(_) => 0,
                None => size::product(dims),
            };
            of(&left, &own[0], &a_dims).saturating_add(of(&right, &own[1], &b_dims))
        };
        let order = if moved(&orders[1]) < moved(&orders[0]) { &orders[1] } else { &orders[0] };
        let total = |axes: &[Axis]| size::product(&axes.iter().map(extent).collect::<Vec<_>>());
        let stack: Vec<usize> = if shared.is_empty() { Vec::new() } else { vec![total(&shared)] };
        // Each as matrices, and whether the summed axes are their rows.
        let mut matrices = |tensor: Tensor, axes: &[Axis], own: &[Axis]| {
            let (rows, columns) = (total(own), total(order));
            let (tensor, turned) = match fits(axes, own, order) {
                Some(0) => (tensor, false),
                Some(_) => (tensor, true),
                None => {
                    let to = [&shared, own, order].concat();
                    let perm = to.iter().filter_map(|it| axes.iter().position(|other| other == it)).collect();
                    (self.node(Op::Transpose(perm), &[&tensor], span), false)
                }
            };
            let matrix = if turned { [columns, rows] } else { [rows, columns] };
            let shape = Shape([stack.as_slice(), &matrix].concat());
            (self.reshaped(tensor, shape, span), turned)
        };
        let (x, x_turned) = matrices(a, &left, &own[0]);
        let (y, y_turned) = matrices(b, &right, &own[1]);
        let [one, other] = &own;
        // The result of the one order is that of the other, transposed.
        let swapped =
            wanted != [shared.as_slice(), one, other].concat() && wanted == [&shared, &other[..], one].concat();
        let (product, found) = if swapped {
            let op = Op::MatMul { transpose_a: y_turned, transpose_b: !x_turned };
            (self.node(op, &[&y, &x], span), [&shared, &other[..], one].concat())
        } else {
            let op = Op::MatMul { transpose_a: x_turned, transpose_b: !y_turned };
            (self.node(op, &[&x, &y], span), [shared.as_slice(), one, other].concat())
        };
        let product = self.reshaped(product, Shape(found.iter().map(extent).collect()), span);
        if found == wanted {
            return product;
        }
        let perm = wanted.iter().filter_map(|it| found.iter().position(|other| other == it)).collect();
        self.node(Op::Transpose(perm), &[&product], span)
    }

    fn reshaped(&mut self, tensor: Tensor, shape: Shape, span: Span) -> Tensor {
        if self.graph.fact(tensor.train).shape() == Some(&shape) {
            return tensor;
        }
        self.node(Op::Reshape(shape), &[&tensor], span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_or_told_of() {
        let [a, b, c] = parse("... qd, kd -> ...qk").unwrap();
        assert_eq!((a.open, a.letters, b.open, c.letters), (true, vec!['q', 'd'], false, vec!['q', 'k']));
        for (text, wanted) in [
            ("ij,jk", "the result is missing"),
            ("ij->ij", "two tensors"),
            ("ij,jk,kl->il", "two tensors"),
            ("ii,ij->j", "`i` stands twice"),
            ("ij,jk->iik", "`i` stands twice"),
            ("i1,ij->j", "`1` in `i1` is not a letter"),
            ("ij,jk->im", "`m` of the result"),
            ("ij,jk->k", "`i` is in one tensor only"),
            ("...ij,jk->ik", "`...`"),
            ("i...,ij->j", "`.` in `i...` is not a letter"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }
}
