//! Steps of augmentation that targets cannot follow.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Augment, TargetKind};
use crate::lower::network::target::{moved, moves};
use crate::lower::recipe::Recipe;
use crate::lower::settings::DataInfo;

impl Recipe<'_> {
    /// Reports a step of augmentation that would part images and targets.
    pub(super) fn moves_targets(&mut self, steps: &[(Augment, Span)], data: &DataInfo) -> bool {
        let Some((last, span)) = steps.last().copied() else { return true };
        if !moves(&last) {
            return true;
        }
        let Some([height, width, _]) = data.image.image() else { return true };
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
}
