//! What moves numbers without changing them.

use crate::diag::{Code, Span};
use crate::ir::{Op, Shape, size};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value, short};

/// A number as an extent.
fn extent(value: &Value) -> Option<usize> {
    match value {
        Value::Int(it) => usize::try_from(*it).ok().filter(|it| 0 < *it),
        _ => None,
    }
}

impl Network<'_> {
    /// Operands of one map: shapes are compared from the last axis on, and the batch meets no other axis.
    pub(in crate::lower) fn aligned(&mut self, tensors: Vec<Tensor>, span: Span) -> Vec<Tensor> {
        let mut ranks = Vec::new();
        for tensor in &tensors {
            let Some(rank) = self.graph.fact(tensor.train).shape().map(Shape::rank) else { return tensors };
            ranks.push((rank, self.has_batch(tensor)));
        }
        let most = ranks.iter().map(|it| it.0 - usize::from(it.1)).max().unwrap_or(0);
        let mut aligned = Vec::new();
        for (tensor, (rank, batch)) in tensors.into_iter().zip(ranks) {
            if !batch || rank == most + 1 {
                aligned.push(tensor);
                continue;
            }
            let dims = self.dims(&tensor);
            let ones = vec![1; most + 1 - rank];
            let shape = Shape([&dims[..1], &ones, &dims[1..]].concat());
            aligned.push(self.node(Op::Reshape(shape), &[&tensor], span));
        }
        aligned
    }

    /// `reshape(x, [height, width, n])`: the same numbers in the same order.
    pub(in crate::lower) fn reshape(&mut self, args: &Args) -> Value {
        let Some((Value::Tensor(x), span)) = args.get("x").cloned() else { return self.lost(args.span) };
        let Some((Value::List(wanted), place)) = args.get("to").cloned() else { return self.lost(args.span) };
        let Some(from) = self.graph.fact(x.train).shape().cloned() else { return self.lost(args.span) };
        let batch = usize::from(self.has_batch(&x));
        // A tensor that is too large is told as one, whatever is made of it.
        let whole: Option<Vec<usize>> = wanted.iter().map(extent).collect();
        let same = |it: &Vec<usize>| Shape(it.clone()).checked_len() == Some(size::product(&from.dims()[batch..]));
        let dims = whole.filter(same).or_else(|| self.listed_extents(&wanted, place, "reshape"));
        let Some(dims) = dims else { return self.lost(place) };
        let to = Shape([&from.dims()[..batch], dims.as_slice()].concat());
        if to == from {
            return Value::Tensor(x);
        }
        if to.checked_len() != Some(from.len()) {
            let text = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>();
            let (found, asked) = (text(&from.dims()[batch..]), text(&to.dims()[batch..]));
            let report = self
                .at(Code::E0303, place, format!("[{}] cannot become [{}]", found.join(", "), asked.join(", ")))
                .label(format!("{} numbers are there", size::product(&from.dims()[batch..])))
                .also(span, "of this tensor")
                .help("the extents' product must stay the same");
            return self.fail(report);
        }
        let place = self.users_place(args.span);
        Value::Tensor(self.node(Op::Reshape(to), &[&x], place))
    }

    /// The extents that a function is given as a list.
    pub(super) fn listed_extents(&mut self, list: &[Value], place: Span, of: &str) -> Option<Vec<usize>> {
        let what = format!("an extent of `{of}`");
        let mut dims = Vec::with_capacity(list.len());
        for it in list {
            match it {
                Value::Int(it) => dims.push(self.sized(*it, place, &what, 1)?),
                other => {
                    self.out_of_range(place, &what, &short(other), "an int");
                    return None;
                }
            }
        }
        Some(dims)
    }

    /// `transpose(x, [2, 0, 1])`: axis `i` of the result is axis `order[i]` of `x`.
    pub(in crate::lower) fn transpose(&mut self, args: &Args) -> Value {
        let Some((Value::Tensor(x), _)) = args.get("x").cloned() else { return self.lost(args.span) };
        let Some((Value::List(order), place)) = args.get("order").cloned() else { return self.lost(args.span) };
        let Some(from) = self.graph.fact(x.train).shape().cloned() else { return self.lost(args.span) };
        let batch = usize::from(self.has_batch(&x));
        let rest = from.rank() - batch;
        let mut perm: Vec<usize> = (0..batch).collect();
        for it in &order {
            if let Value::Int(it) = it
                && let Ok(axis) = usize::try_from(*it)
            {
                perm.push(axis.saturating_add(batch));
            }
        }
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if sorted != (0..from.rank()).collect::<Vec<_>>() {
            let list: Vec<String> = order.iter().map(Value::to_string).collect();
            let report = self
                .at(Code::E0108, place, format!("[{}] is not an order of {rest} axes", list.join(", ")))
                .label(format!("each of the axes from 0 to {} once", rest.saturating_sub(1)))
                .note("axes are counted without the batch");
            return self.fail(report);
        }
        let place = self.users_place(args.span);
        Value::Tensor(self.node(Op::Transpose(perm), &[&x], place))
    }
}
