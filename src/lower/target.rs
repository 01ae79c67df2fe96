//! What examples are to be answered with, as losses and metrics see it, and what moves it together with the images.

use super::recipe::Basis;
use super::value::{Tensor, Value};
use super::{DataInfo, Lowering};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Along, Augment, Binary, Fill, Mode, NodeId, Op, ScalarFn, Shape, TargetKind, augment, op::Scalar64};

/// Extents in a message.
fn list(dims: &[usize]) -> String {
    format!("[{}]", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

/// Whether a step moves pixels, so that what belongs to each of them must be moved alike.
fn moves(step: &Augment) -> bool {
    match step {
        Augment::Crop { .. }
        | Augment::ResizedCrop { .. }
        | Augment::Rotate { .. }
        | Augment::FlipHorizontal
        | Augment::FlipVertical => true,
        Augment::ColorJitter { .. } | Augment::Cutout { .. } => false,
    }
}

/// The steps for the classes of pixels, with the random numbers that the images' steps take; `None` where there are no such
/// steps. What changes colours takes its numbers and changes nothing.
fn moved(steps: &[Augment]) -> Option<Vec<Augment>> {
    let kept = |idle: bool| -> Vec<(usize, Augment)> {
        let steps = steps.iter().enumerate().filter_map(|(at, step)| match step {
            Augment::ColorJitter { .. } if idle => {
                let none = Scalar64(0.0);
                Some((at, Augment::ColorJitter { brightness: none, contrast: none, saturation: none }))
            }
            step => moves(step).then_some((at, *step)),
        });
        steps.collect()
    };
    let columns = augment::columns(steps);
    [false, true].into_iter().map(kept).find_map(|kept| {
        let steps: Vec<Augment> = kept.iter().map(|it| it.1).collect();
        let same = augment::columns(&steps).iter().zip(&kept).all(|(column, (at, _))| *column == columns[*at]);
        same.then_some(steps)
    })
}

impl Lowering<'_> {
    /// Reports a step of augmentation that would part images and targets.
    pub(super) fn moves_targets(&mut self, steps: &[(Augment, Span)], data: &DataInfo) -> bool {
        let Some((last, span)) = steps.last().copied() else { return true };
        if !moves(&last) {
            return true;
        }
        let [height, width, _] = data.image;
        let linear = match last {
            Augment::ResizedCrop { .. } | Augment::Rotate { .. } => true,
            Augment::Crop { .. }
            | Augment::FlipHorizontal
            | Augment::FlipVertical
            | Augment::ColorJitter { .. }
            | Augment::Cutout { .. } => false,
        };
        let all: Vec<Augment> = steps.iter().map(|it| it.0).collect();
        let (cause, help) = match &data.target {
            TargetKind::Class | TargetKind::Labels => return true,
            TargetKind::Map(extents) if *extents != [height, width] => (
                format!("the classes are of {}x{} pixels, the images of {height}x{width}", extents[0], extents[1]),
                "store the classes of all pixels of an image, or leave the step out",
            ),
            TargetKind::Map(_) if linear => (
                "it takes pixels from between others, where there is no class".to_owned(),
                "`crop`, `flip_horizontal` and `flip_vertical` move classes together with the images",
            ),
            TargetKind::Map(_) if moved(&all).is_none() => (
                "the classes of pixels cannot follow it beside the other steps".to_owned(),
                "leave out this step or `cutout`",
            ),
            TargetKind::Map(_) => return true,
            TargetKind::Numbers(extents) if extents.len() < 3 => return true,
            TargetKind::Numbers(_) => (
                "the numbers of pixels are not moved together with the images".to_owned(),
                "leave the step out; `color_jitter` and `cutout` move nothing",
            ),
        };
        let message = format!("`{}` would move the images and not their targets", last.word());
        let told = format!("the targets of `{}` are {}", data.name, data.target.describe(data.classes));
        self.report(Diagnostic::new(Code::E0202, span, message).label(cause).note(told).help(help));
        false
    }

    /// What is done to the targets of the training images and of those that are evaluated.
    pub(super) fn target_moves(&self, basis: &Basis, data: &DataInfo) -> [Vec<Augment>; 2] {
        match data.target {
            TargetKind::Map(_) => [&basis.augment, &basis.steady].map(|it| moved(it).unwrap_or_default()),
            TargetKind::Class | TargetKind::Labels | TargetKind::Numbers(_) => Default::default(),
        }
    }

    /// The random numbers that some steps take, the first of all there are.
    pub(super) fn drawn(&mut self, uniform: NodeId, steps: &[Augment]) -> Option<NodeId> {
        let draws = augment::draws(steps);
        let all = self.graph.fact(uniform).shape()?.dims().to_vec();
        let [n, found] = all[..] else { return None };
        if draws == 0 || draws == found {
            return (draws == found).then_some(uniform);
        }
        let places = vec![vec![Along::START, Along::START]];
        let origin = self.graph.origin_id(uniform);
        Some(self.graph.add(Op::Assemble { shape: Shape::from([n, draws]), places }, &[uniform], origin).0)
    }

    /// A batch's targets as they are stored.
    fn stored(&mut self, span: Span) -> Result<Tensor, Value> {
        match (self.graph.labels.get(&Mode::Train), self.graph.labels.get(&Mode::Evaluate)) {
            (Some(&train), Some(&evaluate)) => Ok(Tensor { train, evaluate, owner: None }),
            _ => Err(self.lost(span)),
        }
    }

    /// The number of each example's class, or those of its pixels.
    pub(super) fn label(&mut self, objective: (&Basis, bool), span: Span) -> Value {
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
    pub(super) fn target(&mut self, objective: (&Basis, bool), span: Span) -> Value {
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
                return Value::Tensor(self.node(real, &[&stored], self.model_span));
            }
        };
        let label = match self.label(objective, span) {
            Value::Tensor(it) => it,
            other => return other,
        };
        let (classes, place) = (data.classes, self.model_span);
        if one_hot {
            let eye = self.node(Op::Const { fill: Fill::Eye, shape: Shape::from([classes, classes]) }, &[], place);
            let rows = Op::Gather { steps: Vec::new() };
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

    /// Whether the output is a number for each class of each pixel, after a report where it is not.
    pub(super) fn tells_pixels(&mut self, basis: &Basis, data: &DataInfo, dims: &[usize], span: Span) -> bool {
        let Some(&stored) = self.graph.labels.get(&Mode::Train) else { return false };
        let Some(&[_, height, width, _]) = self.graph.fact(stored).shape().map(|it| it.dims()) else { return false };
        let wanted = [height, width, data.classes];
        if dims.get(1..) == Some(&wanted) {
            return true;
        }
        if self.input_differs {
            return false;
        }
        let found = dims.get(1..).unwrap_or_default();
        let message = format!(
            "the output is {}, not a number for each of {} classes at each of {height}x{width} pixels",
            list(found),
            data.classes
        );
        let same_places = found.len() == 3 && found[..2] == wanted[..2];
        self.report(
            Diagnostic::new(Code::E0202, span, message)
                .label(format!("expected {}", list(&wanted)))
                .also(basis.data_span, format!("{} classes for each of {height}x{width} pixels", data.classes))
                .help(if same_places {
                    "write `classes` for the number of filters of the last layer"
                } else {
                    "bring it to the size of the targets before the last layer, with `upsample` or `conv_transpose`, \
                     and end with `conv(x, classes, kernel: 1)`"
                }),
        );
        false
    }

    /// `classes`, of a data set that has some.
    pub(super) fn classes(&mut self, data: &DataInfo, span: Span) -> Value {
        if let TargetKind::Numbers(extents) = &data.target {
            let report = self
                .at(Code::E0202, span, format!("the data set `{}` has no classes", data.name))
                .label(format!("its targets are numbers of {}", list(extents)))
                .help(format!("write how many numbers there are: `{}`", extents.last().copied().unwrap_or(1)));
            return self.fail(report);
        }
        Value::Int(data.classes as i64)
    }
}
