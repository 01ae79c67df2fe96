//! Layers whose operator sees the label.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Fill, Mode, NodeId, Op, Shape};
use crate::lower::network::Network;
use crate::lower::network::response::Patch;
use crate::lower::values::value::Tensor;

/// A layer whose operator sees the label: nothing but the model's output may come of it.
#[derive(Debug)]
pub(in crate::lower) struct Head {
    operator: String,
    result: NodeId,
    span: Span,
}

impl Network<'_> {
    /// 1 for the class of each example's label, `[n, 1, 1, classes]`; zeros in evaluation.
    pub(in crate::lower) fn labels_as_targets(&mut self, operator: &str, patch: &Patch) -> Option<Tensor> {
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
        let pick = Op::Gather;
        let rows = match self.of_labels(&pick, &[eye], labels, origin) {
            Some(both) => both,
            None => add(self, pick, &[eye, labels]),
        };
        let train = add(self, Op::Reshape(Shape::from([n, 1, 1, classes])), &[rows]);
        let shape = Shape::from([n, 1, 1, classes]);
        let evaluate = add(self, Op::Const { fill: Fill::Value(Scalar64(0.0)), shape }, &[]);
        Some(Tensor { train, evaluate, owner: None })
    }

    /// Notes that the operator of a layer sees the label.
    pub(in crate::lower) fn sees_label(&mut self, operator: &str, result: &Tensor, span: Span) {
        self.heads.push(Head { operator: operator.to_owned(), result: result.train, span });
    }

    /// What a layer adds to its operator's response, as a bias, is still that layer's: `to` is what it gives.
    pub(in crate::lower) fn answers_moved(&mut self, to: NodeId) {
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
    pub(in crate::lower) fn check_heads(&mut self, output: NodeId) {
        for head in std::mem::take(&mut self.heads) {
            if head.result == output {
                continue;
            }
            let report = self.at(
                Code::E0202,
                head.span,
                format!("`{}` sees the label, so only the model's output can use it", head.operator),
            );
            let named = self.outputs.named.iter().find(|it| it.tensor.train == head.result).map(|it| &it.name.name);
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
