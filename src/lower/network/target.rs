//! What examples are to be answered with, as losses and metrics see it, and what moves it together with the images.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Along, Augment, Mode, NodeId, Op, Shape, TargetKind, augment};
use crate::lower::network::Network;
use crate::lower::network::basis::Basis;
use crate::lower::settings::DataInfo;
use crate::lower::values::value::{Tensor, Value};

/// Extents in a message.
pub(in crate::lower) fn list(dims: &[usize]) -> String {
    format!("[{}]", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

/// Whether a step moves pixels, so that what belongs to each of them must be moved alike.
pub(in crate::lower) fn moves(step: &Augment) -> bool {
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
pub(in crate::lower) fn moved(steps: &[Augment]) -> Option<Vec<Augment>> {
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

impl Network<'_> {
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
    pub(in crate::lower) fn stored(&mut self, span: Span) -> Result<Tensor, Value> {
        match (self.graph.labels.get(&Mode::Train), self.graph.labels.get(&Mode::Evaluate)) {
            (Some(&train), Some(&evaluate)) => Ok(Tensor { train, evaluate, owner: None }),
            _ => Err(self.lost(span)),
        }
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
    pub(in crate::lower) fn classes(&mut self, data: &DataInfo, span: Span) -> Value {
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
