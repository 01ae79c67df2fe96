//! `label` and `target`, as losses and metrics see them.

use crate::diag::{Code, Span};
use crate::ir::{Binary, Fill, Op, ScalarFn, Shape, TargetKind};
use crate::lower::network::basis::Basis;
use crate::lower::network::target::list;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::Value;

impl Unfold<'_> {
    /// The number of each example's class, or those of its pixels.
    pub(in crate::lower) fn label(&mut self, objective: (&Basis, bool), span: Span) -> Value {
        let (basis, of_scores) = objective;
        let Some(data) = basis.data.clone() else { return self.lost(basis.data_span) };
        let (what, help) = match &data.target {
            TargetKind::Class | TargetKind::Map(_) => {
                if of_scores {
                    if !self.tells_classes(basis) {
                        return self.lost(basis.data_span);
                    }
                    self.classifies = true;
                }
                let stored = match self.stored(basis.data_span) {
                    Ok(it) => it,
                    Err(lost) => return lost,
                };
                if data.target.is_class() {
                    return Value::Tensor(stored);
                }
                let dims = self.dims(&stored);
                let flat = self.node(Op::Reshape(Shape(dims[..3].to_vec())), &[&stored], span);
                let whole = Op::Map { body: ScalarFn::build(1, |_, it| it[0]), int: true };
                return Value::Tensor(self.node(whole, &[&flat], span));
            }
            TargetKind::Labels => (
                format!("an image of `{}` has any number of {} classes, not one", data.name, data.classes),
                "use a loss of `target`, 0 or 1 for each class: `binary_cross_entropy`".to_owned(),
            ),
            TargetKind::Numbers(extents) => (
                format!("the targets of `{}` are numbers of {}, not classes", data.name, list(extents)),
                "use a loss of numbers: `mean_squared_error`, `mean_absolute_error`, `huber`; classes are stored as integers"
                    .to_owned(),
            ),
        };
        let place = self.users_place(span);
        let report = self
            .at(Code::E0202, place, what)
            .label("asks for the number of a class")
            .also(basis.data_span, self.data_is_named())
            .help(help);
        self.fail(report)
    }

    /// What losses compare with: the row of the label's class, or of each pixel's, 1 there and 0 elsewhere; else the data's own
    /// numbers.
    pub(in crate::lower) fn target(&mut self, objective: (&Basis, bool), span: Span) -> Value {
        let Some(data) = objective.0.data.clone() else { return self.lost(objective.0.data_span) };
        let one_hot = match data.target {
            TargetKind::Class => true,
            TargetKind::Map(_) => false,
            TargetKind::Labels | TargetKind::Numbers(_) => {
                let stored = match self.stored(objective.0.data_span) {
                    Ok(it) => it,
                    Err(lost) => return lost,
                };
                if data.target != TargetKind::Labels {
                    return Value::Tensor(stored);
                }
                let real = Op::Map { body: ScalarFn::build(1, |_, it| it[0]), int: false };
                let place = self.model_span;
                return Value::Tensor(self.node(real, &[&stored], place));
            }
        };
        let label = match self.label(objective, span) {
            Value::Tensor(it) => it,
            other => return other,
        };
        let (classes, place) = (data.classes, self.model_span);
        if one_hot {
            let eye = self.node(Op::Const { fill: Fill::Eye, shape: Shape::from([classes, classes]) }, &[], place);
            let rows = Op::Gather;
            let mut found = self.node(rows.clone(), &[&eye, &label], place);
            let origin = self.graph.origin_id(found.train);
            if let Some(both) = self.of_labels(&rows, &[eye.train], label.train, origin) {
                found.train = both;
            }
            return Value::Tensor(found);
        }
        let each = self.dims(&label);
        let column = self.node(Op::Reshape(Shape([&each[..], &[1]].concat())), &[&label], place);
        let numbers = self.node(Op::Const { fill: Fill::Range, shape: Shape::from([classes]) }, &[], place);
        let equal = ScalarFn::build(2, |pool, it| pool.binary(Binary::Eq, it[0], it[1]));
        Value::Tensor(self.node(Op::Map { body: equal, int: false }, &[&column, &numbers], place))
    }
}
