//! What looks a class up by its number: the primitives behind the losses and metrics of classification.

use crate::diag::{Code, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Binary, DType, ExprNode, Loss, NodeId, Op, Reduction, Scalar, Shape, Unary, size};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

impl Network<'_> {
    /// Whether these scores are as many as the classes whose labels they are compared with; else it is told.
    fn is_of_classes(&mut self, scores: &Tensor, label: &Tensor, span: Span) -> bool {
        let Some(data) = self.data.clone().filter(|_| self.of_recipe) else { return true };
        let of_data = self.graph.labels.values().any(|it| *it == label.train);
        let found = self.dims(scores).last().copied().unwrap_or(data.classes);
        if !of_data || found == data.classes {
            return true;
        }
        let classes = data.classes;
        let message = format!("these scores are of {found} classes, but `{}` has {classes}", data.name);
        let report = self
            .at(Code::E0202, span, message)
            .label(format!("compares {found} numbers with the label"))
            .help("write `classes` for the number of filters of the layer that this output is of");
        self.report(report);
        false
    }

    /// `label_cross_entropy(scores, label, smoothing: 0, floor: 0)`: minus the sum over classes of `y * log(p + floor)`, `p` the
    /// softmax of the scores and `y` the label's class, a share of it spread over all.
    pub(in crate::lower) fn label_cross_entropy(&mut self, args: &Args) -> Value {
        let smoothing = self.float(args, "smoothing", 0.0, |it| (0.0..1.0).contains(&it), "at least 0 and below 1");
        let floor = self.float(args, "floor", 0.0, |it| it.is_finite() && 0.0 <= it, "at least 0");
        let (Some(smoothing), Some(floor)) = (smoothing, floor) else { return self.lost(args.span) };
        self.of_label(Loss::CrossEntropy { smoothing: Scalar64(smoothing), floor: Scalar64(floor) }, args)
    }

    /// `hit(scores, label)`: 1 where the largest score, the first of equals, is the label's.
    pub(in crate::lower) fn hit(&mut self, args: &Args) -> Value {
        self.of_label(Loss::Correct, args)
    }

    fn of_label(&mut self, kind: Loss, args: &Args) -> Value {
        let (Some((Value::Tensor(scores), scores_span)), Some((Value::Tensor(label), label_span))) =
            (args.get("scores").cloned(), args.get("label").cloned())
        else {
            return self.lost(args.span);
        };
        let known = self.graph.fact(label.train);
        let (Some(dtype), Some(labels)) = (known.dtype(), known.shape().cloned()) else { return self.lost(args.span) };
        if dtype != DType::Int || !self.has_batch(&label) {
            let report = self
                .at(Code::E0302, self.users_place(label_span), "this is not the number of a class")
                .label("expected `label`")
                .help("`target` is the label's row of zeros and a one; `label` is its number");
            return self.fail(report);
        }
        let each = labels.dims().to_vec();
        let rows =
            if each.len() == 1 { self.rows(scores, scores_span) } else { self.pixels(scores, &each, scores_span) };
        let Some(scores) = rows else { return self.lost(args.span) };
        let place = self.users_place(args.span);
        if !self.is_of_classes(&scores, &label, place) {
            return self.lost(args.span);
        }
        if matches!(kind, Loss::CrossEntropy { .. })
            && let Some(softmax) = self.softmax_before(scores.train)
        {
            let place = self.users_place(args.span);
            let report = self
                .at(Code::W0207, place, "these scores went through a softmax already")
                .label("has a softmax of its own")
                .also(softmax, "the softmax before it")
                .help("give the loss the scores as they are: leave out that softmax");
            self.report(report);
        }
        if each.len() == 1 {
            let mut found = self.node(Op::Loss(kind), &[&scores, &label], args.span);
            let origin = self.graph.origin_id(found.train);
            if let Some(both) = self.of_labels(&Op::Loss(kind), &[scores.train], label.train, origin) {
                found.train = both;
            }
            return Value::Tensor(found);
        }
        let flat = self.node(Op::Reshape(Shape::from([size::product(&each)])), &[&label], args.span);
        let all = self.node(Op::Loss(kind), &[&scores, &flat], args.span);
        Value::Tensor(self.node(Op::Reshape(Shape(each)), &[&all], args.span))
    }

    /// Where a tensor was divided by the sum of it over the channels, being exponentials: a softmax, however it was written.
    fn softmax_before(&self, scores: NodeId) -> Option<Span> {
        let graph = &self.graph;
        let bare = |mut id: NodeId| {
            while matches!(graph.op(id), Op::Reshape(_)) {
                id = graph.operands(id)[0];
            }
            id
        };
        let id = bare(scores);
        let whole = |id: NodeId| match graph.op(id) {
            Op::Map { body, .. } => Some((body.nodes.get(body.roots.first()?.0 as usize)?, body, graph.operands(id))),
            _ => None,
        };
        let (ExprNode::Binary(Binary::Div, above, below), body, operands) = whole(id)? else { return None };
        let operand = |at: &Scalar| match body.nodes.get(at.0 as usize) {
            Some(ExprNode::Input(at)) => operands.get(*at as usize).copied(),
            _ => None,
        };
        let (raised, sum) = (operand(above)?, bare(operand(below)?));
        let Op::Reduce { kind: Reduction::Sum, axes } = graph.op(sum) else { return None };
        let last = graph.fact(raised).shape()?.rank().checked_sub(1)?;
        let sums = axes.as_slice() == [last] && bare(graph.operands(sum)[0]) == bare(raised);
        let exponentials = matches!(whole(bare(raised))?.0, ExprNode::Unary(Unary::Exp, _));
        (sums && exponentials).then(|| graph.origin_of(graph.origin_id(id)).span)
    }

    /// A row for each pixel of each example, where labels are `[n, height, width]`; `None` after a report.
    fn pixels(&mut self, scores: Tensor, labels: &[usize], span: Span) -> Option<Tensor> {
        let dims = self.dims(&scores);
        if !self.known(&scores) {
            self.lost(span);
            return None;
        }
        let place = self.users_place(span);
        if let Some((classes, positions)) = dims.split_last()
            && positions == labels
        {
            let shape = Shape::from([size::product(labels), *classes]);
            return Some(self.node(Op::Reshape(shape), &[&scores], place));
        }
        let list = |dims: &[usize]| dims.iter().skip(1).map(usize::to_string).collect::<Vec<_>>().join(", ");
        let message = format!(
            "the scores are [{}], not a number for each class at each of [{}] labels",
            list(&dims),
            list(labels)
        );
        let report = self
            .at(Code::E0302, place, message)
            .label("expected a row for each label")
            .help("bring the scores to the size of the labels, with `upsample` or `conv_transpose`");
        self.report(report);
        None
    }

    /// A tensor with one row for each example; `None` after a report.
    fn rows(&mut self, scores: Tensor, span: Span) -> Option<Tensor> {
        let batch = self.has_batch(&scores);
        let dims = self.dims(&scores);
        if !self.known(&scores) {
            self.lost(span);
            return None;
        }
        match (batch, dims.as_slice()) {
            (true, [_, _]) => Some(scores),
            (true, [n, ones @ .., classes]) if ones.iter().all(|it| *it == 1) => {
                let shape = Shape::from([*n, *classes]);
                let place = self.users_place(span);
                Some(self.node(Op::Reshape(shape), &[&scores], place))
            }
            _ => {
                let list: Vec<String> = dims.iter().skip(usize::from(batch)).map(usize::to_string).collect();
                let report = self
                    .at(
                        Code::E0302,
                        self.users_place(span),
                        format!("the scores are [{}], not one number for each class", list.join(", ")),
                    )
                    .label("expected a row for each example")
                    .help("end with a layer that sees the whole image, or take `global_avg_pool(x)` before the last layer");
                self.report(report);
                None
            }
        }
    }
}
