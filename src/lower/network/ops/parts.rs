//! Tensors joined, cut, padded with zeros and mirrored: all are parts put at their places.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::assembly::MOST_PARTS;
use crate::ir::{Along, Op, Shape};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

/// Extents without the batch, for messages.
fn extents(dims: &[usize]) -> String {
    format!("[{}]", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

impl Network<'_> {
    /// `concat(a, b, over: channels)`: one behind the other.
    pub(in crate::lower) fn concat(&mut self, args: &Args) -> Value {
        let Some((Value::List(list), span)) = args.get("tensors").cloned() else { return self.lost(args.span) };
        let tensors: Vec<Tensor> =
            list.into_iter().filter_map(|it| if let Value::Tensor(it) = it { Some(it) } else { None }).collect();
        let tensors = match tensors.as_slice() {
            [] => {
                let report = Diagnostic::new(Code::E0104, span, "there is nothing to join").label("an empty list");
                return self.fail(report);
            }
            [one] => return Value::Tensor(Tensor { owner: None, ..one.clone() }),
            _ => tensors,
        };
        let place = self.users_place(args.span);
        let Some((tensors, like)) = self.with_batch(&tensors, place) else { return self.lost(args.span) };
        let first = self.dims(&tensors[0]);
        let batch = usize::from(self.has_batch(&like));
        if let Some(other) = tensors.iter().map(|it| self.dims(it)).find(|it| it.len() != first.len()) {
            let (one, two) = (extents(&first[batch..]), extents(&other[batch..]));
            let report = self
                .at(Code::E0302, span, format!("cannot join {one} and {two}"))
                .label(format!("{} axes and {}", first.len() - batch, other.len() - batch))
                .help("`reshape` gives a tensor other axes");
            return self.fail(report);
        }
        let Some(axis) = self.one_axis(&like, args, "channels") else { return self.lost(args.span) };
        for (at, tensor) in tensors.iter().enumerate() {
            let dims = self.dims(tensor);
            let differs = |it: &usize| *it != axis && dims[*it] != first[*it];
            if let Some(wrong) = (0..dims.len()).find(differs) {
                let (one, two) = (extents(&first[batch..]), extents(&dims[batch..]));
                let report = self
                    .at(Code::E0302, span, format!("cannot join {one} and {two} along axis {}", axis - batch))
                    .label(format!(
                        "tensor {at} has {} along axis {}, the first {}",
                        dims[wrong],
                        wrong - batch,
                        first[wrong]
                    ))
                    .note("tensors that are joined differ along the axis in which they are joined, and nowhere else")
                    .help("bring them to one size first: with a stride, a pool, `pad`, `slice` or `upsample`");
                return self.fail(report);
            }
        }
        Value::Tensor(self.joined(&tensors, axis, place))
    }

    /// One behind the other; of very many, some first.
    fn joined(&mut self, tensors: &[Tensor], axis: usize, place: Span) -> Tensor {
        if MOST_PARTS < tensors.len() {
            let parts: Vec<Tensor> = tensors.chunks(MOST_PARTS).map(|it| self.joined(it, axis, place)).collect();
            return self.joined(&parts, axis, place);
        }
        let mut dims = self.dims(&tensors[0]);
        dims[axis] = 0;
        let mut places = Vec::new();
        for tensor in tensors {
            let mut at = vec![Along::START; dims.len()];
            at[axis].start = dims[axis] as i64;
            dims[axis] = dims[axis].saturating_add(self.dims(tensor)[axis]);
            places.push(at);
        }
        self.node(Op::Assemble { shape: Shape(dims), places }, &tensors.iter().collect::<Vec<_>>(), place)
    }

    /// What has no batch is repeated for each example where another has one; and one to tell the axes by. `None` where a
    /// shape is unknown.
    fn with_batch(&mut self, tensors: &[Tensor], place: Span) -> Option<(Vec<Tensor>, Tensor)> {
        if !tensors.iter().all(|it| self.known(it)) {
            return None;
        }
        let Some(like) = tensors.iter().find(|it| self.has_batch(it)) else {
            return Some((tensors.to_vec(), tensors.first()?.clone()));
        };
        let batch = self.dims(like)[0];
        let mut all = Vec::new();
        for tensor in tensors {
            all.push(if self.has_batch(tensor) {
                tensor.clone()
            } else {
                let shape = Shape([&[batch], &self.dims(tensor)[..]].concat());
                self.node(Op::Broadcast(shape), &[tensor], place)
            });
        }
        Some((all, like.clone()))
    }

    /// The axis of `over`, which is one and not the batch.
    pub(super) fn one_axis(&mut self, x: &Tensor, args: &Args, default: &str) -> Option<usize> {
        let axes = self.own_axes(x, args, default)?;
        if let [axis] = axes[..] {
            return Some(axis);
        }
        let span = args.get("over").map_or(args.span, |it| it.1);
        let report = self
            .at(Code::E0303, span, format!("`{}` works along one axis, and these are {}", args.name, axes.len()))
            .label("expected one axis");
        self.report(report);
        None
    }

    /// The axes of `over`, none of which is the batch.
    fn own_axes(&mut self, x: &Tensor, args: &Args, default: &str) -> Option<Vec<usize>> {
        let (over, span) = args.get("over").cloned().unwrap_or((Value::Str(default.to_owned()), args.span));
        let axes = self.axes(x, &over, span)?;
        if self.has_batch(x) && axes.contains(&0) {
            let report = self
                .at(Code::E0303, span, format!("`{}` does not work along the batch", args.name))
                .label("each example stays by itself")
                .note("results of one example must not depend on the others of its batch");
            self.report(report);
            return None;
        }
        Some(axes)
    }

    /// `slice(x, 0, 4, over: channels)`: positions from 0 to 3.
    pub(in crate::lower) fn slice(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), _)), Some((Value::Int(from), from_span)), Some((Value::Int(to), to_span))) =
            (args.get("x").cloned(), args.get("from").cloned(), args.get("to").cloned())
        else {
            return self.lost(args.span);
        };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let Some(axis) = self.one_axis(&x, args, "channels") else { return self.lost(args.span) };
        let extent = self.dims(&x)[axis];
        let inside = |it: i64| usize::try_from(it).ok().filter(|it| *it <= extent);
        let wrong = match (inside(from), inside(to)) {
            (Some(from), Some(to)) if from < to => {
                let place = self.users_place(args.span);
                return Value::Tensor(self.cut(&x, axis, from, to, place));
            }
            (Some(_), None) => to_span,
            (None, _) | (Some(_), Some(_)) => from_span,
        };
        let axes = &self.dims(&x)[usize::from(self.has_batch(&x))..];
        let report = self
            .at(Code::E0303, wrong, format!("{from} to {to} is no part of an axis of {extent}"))
            .label(if to <= from { "nothing lies between" } else { "leaves the tensor" })
            .note(format!("the tensor is {}; positions count from 0, and the end is not among them", extents(axes)))
            .help(format!("0 to {extent} is all of it"));
        self.fail(report)
    }

    fn cut(&mut self, x: &Tensor, axis: usize, from: usize, to: usize, place: Span) -> Tensor {
        let mut dims = self.dims(x);
        if (from, to) == (0, dims[axis]) {
            return Tensor { owner: None, ..x.clone() };
        }
        let mut at = vec![Along::START; dims.len()];
        at[axis].start = -(from as i64);
        dims[axis] = to - from;
        self.node(Op::Assemble { shape: Shape(dims), places: vec![at] }, &[x], place)
    }

    /// `split(x, 3, over: channels)`: a list of parts of one size.
    pub(in crate::lower) fn split(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), _)), Some((Value::Int(parts), span))) =
            (args.get("x").cloned(), args.get("parts").cloned())
        else {
            return self.lost(args.span);
        };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let Some(axis) = self.one_axis(&x, args, "channels") else { return self.lost(args.span) };
        let extent = self.dims(&x)[axis];
        let Some(count) = usize::try_from(parts).ok().filter(|it| 0 < *it && extent.is_multiple_of(*it)) else {
            let report = self
                .at(Code::E0303, span, format!("an axis of {extent} cannot be split into {parts} parts of one size"))
                .label(format!("must divide {extent}"))
                .help("`slice` takes parts of any size");
            return self.fail(report);
        };
        let place = self.users_place(args.span);
        let each = extent / count;
        let all = (0..count).map(|it| Value::Tensor(self.cut(&x, axis, it * each, (it + 1) * each, place)));
        Value::List(all.collect())
    }

    /// `pad(x, 1, 2, over: height)`: zeros before and after.
    pub(in crate::lower) fn pad_zeros(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), _)), Some((Value::Int(before), before_span))) =
            (args.get("x").cloned(), args.get("before").cloned())
        else {
            return self.lost(args.span);
        };
        let (after, after_span) = match args.get("after") {
            Some((Value::Int(it), span)) => (*it, *span),
            Some(_) => return self.lost(args.span),
            None => (before, before_span),
        };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let ends = [(before, before_span, "zeros before"), (after, after_span, "zeros after")]
            .map(|(it, span, what)| self.sized(it, span, what, 0));
        let [Some(before), Some(after)] = ends else { return self.lost(args.span) };
        let Some(axes) = self.own_axes(&x, args, "positions") else { return self.lost(args.span) };
        let mut dims = self.dims(&x);
        let mut at = vec![Along::START; dims.len()];
        for axis in axes {
            dims[axis] = dims[axis].saturating_add(before).saturating_add(after);
            at[axis].start = before as i64;
        }
        let place = self.users_place(args.span);
        Value::Tensor(match before + after {
            0 => Tensor { owner: None, ..x },
            _ => self.node(Op::Assemble { shape: Shape(dims), places: vec![at] }, &[&x], place),
        })
    }

    /// `flip(x, over: width)`: the other way round.
    pub(in crate::lower) fn flip(&mut self, args: &Args) -> Value {
        let Some((Value::Tensor(x), _)) = args.get("x").cloned() else { return self.lost(args.span) };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let Some(axes) = self.own_axes(&x, args, "width") else { return self.lost(args.span) };
        let dims = self.dims(&x);
        let mut at = vec![Along::START; dims.len()];
        for axis in axes {
            at[axis] = Along { start: dims[axis] as i64 - 1, turned: true };
        }
        let place = self.users_place(args.span);
        Value::Tensor(self.node(Op::Assemble { shape: Shape(dims), places: vec![at] }, &[&x], place))
    }

    /// `repeat(x, 2, over: width)`: each position several times, one after the other.
    pub(in crate::lower) fn repeated(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), _)), Some((Value::Int(times), span))) =
            (args.get("x").cloned(), args.get("times").cloned())
        else {
            return self.lost(args.span);
        };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let Some(times) = self.sized(times, span, "the times of `repeat`", 1) else { return self.lost(args.span) };
        let Some(axes) = self.own_axes(&x, args, "positions") else { return self.lost(args.span) };
        let (mut apart, mut filled, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for (axis, extent) in self.dims(&x).into_iter().enumerate() {
            let count = if axes.contains(&axis) { times } else { 1 };
            apart.extend([extent, 1]);
            filled.extend([extent, count]);
            whole.push(extent.saturating_mul(count));
        }
        let place = self.users_place(args.span);
        let x = self.node(Op::Reshape(Shape(apart)), &[&x], place);
        let x = self.node(Op::Broadcast(Shape(filled)), &[&x], place);
        Value::Tensor(self.node(Op::Reshape(Shape(whole)), &[&x], place))
    }
}
