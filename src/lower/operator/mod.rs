//! From an operator's definition to nodes: `body` makes one scalar function of the convolution's result
//! and of the norms of it, [`monomial`] decides which of these it needs, and here they are computed.
//!
//! For a patch `x` and a filter `w`, with `e` = 1e-4: `s = sum x*w`, `X = sqrt(sum x*x + e)`,
//! `W = sqrt(sum w*w + e)`, `cos = s / (X W)`, `theta = acos(cos)`. `target` is 1 for the filter of the
//! label's class and 0 for the others, and 0 for all in evaluation.

mod body;
mod learned;
mod modes;
mod monomial;
mod product;
mod told;

pub(super) use body::{Angle, Building};
pub(super) use monomial::{FIRST_FREE, Form};

use super::Lowering;
use super::value::{OperatorRef, Tensor};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Fill, Geometry, Mode, NodeId, Op, Reduction, ScalarFn, Shape, Window, infer, op::Scalar64};
use monomial::{COS, W_NORM, X_NORM};

/// A convolution about to be made.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) x: Tensor,
    pub(super) filter: Tensor,
    pub(super) filters: usize,
    pub(super) geometry: Geometry,
    /// Path of the layer.
    pub(super) path: String,
    pub(super) span: Span,
}

impl Patch {
    /// Groups, and filters in each.
    fn split(&self) -> [usize; 2] {
        [self.geometry.groups, self.filters / self.geometry.groups]
    }
}

/// A layer whose operator sees the label: nothing but the model's output may come of it.
#[derive(Debug)]
pub(super) struct Head {
    operator: String,
    result: NodeId,
    span: Span,
}

fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

fn square() -> Op {
    map(ScalarFn::build(1, |pool, it| pool.mul(it[0], it[0])))
}

impl Lowering<'_> {
    /// The result of a layer with this operator; `None` after a mistake.
    pub(super) fn operator(&mut self, operator: &OperatorRef, patch: &Patch) -> Option<Tensor> {
        // A convolution that does not fit is reported once, for itself.
        let plain = Op::Conv(patch.geometry);
        let facts = [self.graph.fact(patch.x.train), self.graph.fact(patch.filter.train)];
        if infer(&plain, &facts, &self.graph.params, &self.graph.states).is_err() {
            return Some(self.node(plain, &[&patch.x, &patch.filter], patch.span));
        }
        self.calls.push(patch.span);
        self.check_operator(operator, Some(patch.span));
        let body = self.operator_body(operator, patch);
        self.calls.pop();
        let body = body?;
        let result = self.respond(&body.function, &body.extra, patch, true);
        if body.sees_label {
            let operator = operator.name().to_owned();
            self.heads.push(Head { operator, result: result.train, span: patch.span });
        }
        Some(result)
    }

    /// The tensor of a function of the geometry and of `extra`. A `whole` one has the extents of the
    /// convolution, another only those that it depends on.
    fn respond(&mut self, body: &ScalarFn, extra: &[Tensor], patch: &Patch, whole: bool) -> Tensor {
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

    /// 1 for the class of each example's label, `[n, 1, 1, classes]`; zeros in evaluation.
    fn labels_as_targets(&mut self, operator: &str, patch: &Patch) -> Option<Tensor> {
        let span = patch.span;
        if self.items.trains.is_empty() {
            self.report(
                Diagnostic::new(Code::E0202, span, format!("`{operator}` sees the labels, and there are none"))
                    .label("takes `target`")
                    .note("`target` is 1 for the filter of the label's class while the model is trained")
                    .help("add a `train` section that names its `data`"),
            );
            return None;
        }
        // Without either, the mistake in the recipe was reported.
        let (labels, data) = (*self.graph.labels.get(&Mode::Train)?, self.data.clone()?);
        let classes = data.classes;
        if !data.target.is_class() {
            let told = format!("the targets of `{}` are {}", data.name, data.target.describe(classes));
            let report =
                Diagnostic::new(Code::E0202, span, format!("`{operator}` sees the label, and there is no single one"))
                    .label("takes `target`, the class of an image")
                    .note(told)
                    .help("use an operator without `target`");
            self.report(report);
            return None;
        }
        if patch.filters != classes {
            let found = patch.filters;
            let plural = if found == 1 { "" } else { "s" };
            self.report(
                Diagnostic::new(
                    Code::E0202,
                    span,
                    format!("`{operator}` sees the label and needs a filter for each of the {classes} classes"),
                )
                .label(format!("has {found} filter{plural}"))
                .help("use it in the layer that `output` gives, with `classes` filters"),
            );
            return None;
        }
        let origin = self.origin(span);
        let n = self.batch;
        let add = |lowering: &mut Self, op: Op, inputs: &[NodeId]| lowering.graph.add(op, inputs, origin).0;
        let eye = add(self, Op::Const { fill: Fill::Eye, shape: Shape::from([classes, classes]) }, &[]);
        let pick = Op::Gather { steps: Vec::new() };
        let rows = match self.of_labels(&pick, &[eye], labels, origin) {
            Some(both) => both,
            None => add(self, pick, &[eye, labels]),
        };
        let train = add(self, Op::Reshape(Shape::from([n, 1, 1, classes])), &[rows]);
        let shape = Shape::from([n, 1, 1, classes]);
        let evaluate = add(self, Op::Const { fill: Fill::Value(Scalar64(0.0)), shape }, &[]);
        Some(Tensor { train, evaluate, owner: None })
    }

    /// What a layer adds to its operator's response, as a bias, is still that layer's: `to` is what it gives.
    pub(super) fn answers_moved(&mut self, to: NodeId) {
        let mut heads = std::mem::take(&mut self.heads);
        for head in &mut heads {
            let mut at = to;
            while at != head.result && matches!(self.graph.op(at), Op::Map { .. }) {
                let operands = self.graph.operands(at).to_vec();
                let mut answers = operands.into_iter().filter(|it| self.node_has_batch(*it));
                match (answers.next(), answers.next()) {
                    (Some(only), None) => at = only,
                    (_, Some(_)) | (None, None) => break,
                }
            }
            if at == head.result {
                head.result = to;
            }
        }
        self.heads = heads;
    }

    /// What sees the label must be the model's output: a layer before it would tell the later ones.
    pub(super) fn check_heads(&mut self, output: NodeId) {
        for head in std::mem::take(&mut self.heads) {
            if head.result == output {
                continue;
            }
            let report = self.at(
                Code::E0202,
                head.span,
                format!("`{}` sees the label, so only the model's output can use it", head.operator),
            );
            let named = self.named.iter().find(|it| it.tensor.train == head.result).map(|it| &it.name.name);
            self.report(match named {
                Some(name) => report
                    .label(format!("gives the output `{name}`, beside the model's own"))
                    .help("use it in the layer that the `output` without a name gives"),
                None => report
                    .label("more is computed from this layer")
                    .note("through `target` the label would leak into the layers after it, in training only")
                    .help("use it in the layer that `output` gives"),
            });
        }
    }
}
