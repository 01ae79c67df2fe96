//! From an operator's scalar function to nodes: [`monomial`] decides which of the convolution's result and the norms it needs, and
//! here they are computed.
//!
//! For a patch `x` and a filter `w`, with `e` = 1e-4: `s = sum x*w`, `X = sqrt(sum x*x + e)`,
//! `W = sqrt(sum w*w + e)`, `cos = s / (X W)`, `theta = acos(cos)`. `target` is 1 for the filter of the
//! label's class and 0 for the others, and 0 for all in evaluation.

pub(in crate::lower) mod features;
pub(in crate::lower) mod heads;
pub(in crate::lower) mod modes;
pub(in crate::lower) mod monomial;

use crate::diag::Span;
use crate::ir::expr::Pool;
use crate::ir::{Geometry, Op, Reduction, ScalarFn, Shape, Window};
use crate::lower::network::Network;
use crate::lower::network::response::monomial::{COS, FIRST_FREE, W_NORM, X_NORM};
use crate::lower::values::value::Tensor;

/// A convolution about to be made.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Patch {
    pub(in crate::lower) x: Tensor,
    pub(in crate::lower) filter: Tensor,
    pub(in crate::lower) filters: usize,
    pub(in crate::lower) geometry: Geometry,
    /// Path of the layer.
    pub(in crate::lower) path: String,
    pub(in crate::lower) span: Span,
}

impl Patch {
    /// Groups, and filters in each.
    fn split(&self) -> [usize; 2] {
        [self.geometry.groups, self.filters / self.geometry.groups]
    }
}

fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

fn square() -> Op {
    map(ScalarFn::build(1, |pool, it| pool.mul(it[0], it[0])))
}

impl Network<'_> {
    /// Mean or maximum over batch and positions: one for each filter if the filters differ in it, else one.
    pub(in crate::lower) fn statistic(
        &mut self,
        kind: Reduction,
        body: &ScalarFn,
        extra: &[Tensor],
        patch: &Patch,
    ) -> Tensor {
        let span = patch.span;
        let by_filter = body.used_inputs().iter().any(|&it| match it {
            COS | W_NORM => true,
            X_NORM => false,
            _ => extra.get((it - FIRST_FREE) as usize).is_some_and(|it| !self.dims(it).is_empty()),
        });
        let mut numbers = self.respond(body, extra, patch, false);
        if let [_, _, _, last] = self.dims(&numbers)[..] {
            // Groups have norms of their own.
            let axes = if by_filter || last == 1 { vec![0, 1, 2] } else { vec![0, 1, 2, 3] };
            numbers = self.node(Op::Reduce { kind, axes }, &[&numbers], span);
        }
        let shape = if by_filter { Shape::from([patch.filters]) } else { Shape::scalar() };
        self.node(Op::Reshape(shape), &[&numbers], span)
    }

    /// The tensor of a function of the geometry and of `extra`. A `whole` one has the extents of the
    /// convolution, another only those that it depends on.
    pub(in crate::lower) fn respond(
        &mut self,
        body: &ScalarFn,
        extra: &[Tensor],
        patch: &Patch,
        whole: bool,
    ) -> Tensor {
        // Most layers share a body.
        let form = match self.forms.get(body) {
            Some(it) => it.clone(),
            None => {
                let it = monomial::choose(body);
                self.forms.insert(body.clone(), it.clone());
                it
            }
        };
        let used = form.body.used_inputs();
        let (mut operands, mut kept) = (Vec::new(), Vec::new());
        if whole || used.contains(&COS) {
            let filter = match form.filter_power {
                0 => patch.filter.clone(),
                power => self.scaled_filter(patch, power),
            };
            let conv = self.node(Op::Conv(patch.geometry), &[&patch.x, &filter], patch.span);
            if form.is_plain() {
                return conv;
            }
            operands.push(conv);
            kept.push(COS);
        }
        if used.contains(&X_NORM) {
            operands.push(self.patch_squares(patch));
            kept.push(X_NORM);
        }
        if used.contains(&W_NORM) {
            operands.push(self.filter_squares(patch));
            kept.push(W_NORM);
        }
        for (at, tensor) in extra.iter().enumerate() {
            let input = FIRST_FREE + at as u32;
            if used.contains(&input) {
                operands.push(tensor.clone());
                kept.push(input);
            }
        }
        // Only what occurs stays an operand.
        let mut pool = Pool::new();
        let arguments: Vec<_> = (0..form.body.arity)
            .map(|it| {
                let to = kept.iter().position(|kept| *kept == it).unwrap_or(0);
                pool.input(to as u32)
            })
            .collect();
        let roots = pool.inline(&form.body, &arguments);
        let body = pool.finish(kept.len() as u32, &roots);
        let [groups, each] = patch.split();
        if each == 1 || groups == 1 || !kept.contains(&X_NORM) {
            let operands: Vec<&Tensor> = operands.iter().collect();
            return self.map_by_mode(&body, &operands, &kept, whole, patch);
        }
        // A group's filters lie side by side, and share its norm.
        let shared: Vec<Tensor> = operands.into_iter().map(|it| self.by_group(it, [groups, each], patch)).collect();
        let operands: Vec<&Tensor> = shared.iter().collect();
        let result = self.map_by_mode(&body, &operands, &kept, whole, patch);
        let mut dims = self.dims(&result);
        if let [.., groups, each] = dims[..] {
            dims.truncate(dims.len() - 2);
            dims.push(groups * each);
        }
        self.node(Op::Reshape(Shape(dims)), &[&result], patch.span)
    }

    /// A number for each filter, for each group, or for neither, with an axis for groups and one for each's filters.
    fn by_group(&mut self, tensor: Tensor, [groups, each]: [usize; 2], patch: &Patch) -> Tensor {
        let mut dims = self.dims(&tensor);
        match dims.last() {
            Some(last) if *last == groups * each => {
                dims.pop();
                dims.extend([groups, each]);
            }
            Some(_) => dims.push(1),
            None => return tensor,
        }
        self.node(Op::Reshape(Shape(dims)), &[&tensor], patch.span)
    }

    /// `sum x*x` over each patch, without the epsilon: `[n, oh, ow, groups]`.
    fn patch_squares(&mut self, patch: &Patch) -> Tensor {
        let groups = patch.geometry.groups;
        let squares = self.node(square(), &[&patch.x], patch.span);
        let sums = match self.dims(&patch.x)[..] {
            [n, h, w, c] if 1 < groups => {
                let apart = self.node(Op::Reshape(Shape::from([n, h, w, groups, c / groups])), &[&squares], patch.span);
                let sums = self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![4] }, &[&apart], patch.span);
                self.node(Op::Reshape(Shape::from([n, h, w, groups])), &[&sums], patch.span)
            }
            _ => self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![3] }, &[&squares], patch.span),
        };
        let geometry = patch.geometry.grouped(1);
        if geometry == Geometry::valid([1, 1], [1, 1]) {
            return sums;
        }
        self.node(Op::Window { kind: Window::Sum, geometry }, &[&sums], patch.span)
    }

    /// `sum w*w` over each filter, without the epsilon: `[cout]`.
    fn filter_squares(&mut self, patch: &Patch) -> Tensor {
        let squares = self.node(square(), &[&patch.filter], patch.span);
        let sums = self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![0, 1, 2] }, &[&squares], patch.span);
        self.node(Op::Reshape(Shape::from([patch.filters])), &[&sums], patch.span)
    }

    /// `w * W^power`.
    fn scaled_filter(&mut self, patch: &Patch, power: i32) -> Tensor {
        let squares = self.filter_squares(patch);
        let body = ScalarFn::build(2, |pool, it| {
            let squares = monomial::with_epsilon(pool, it[1]);
            monomial::norm_power(pool, it[0], squares, power)
        });
        self.node(map(body), &[&patch.filter, &squares], patch.span)
    }
}
