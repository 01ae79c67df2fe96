//! What an evaluation does to images before the network sees them: parts from the middle, as `ir::augment` defines them.

use super::Writer;
use super::messages::{Attribute, Element};
use crate::export::network::Node;
use crate::export::{ExportError, mirrored, stretches};
use crate::ir::{Augment, Border, DType};

/// The axes of rows and columns.
const AXES: [usize; 2] = [1, 2];

impl Writer<'_> {
    /// Images `[n, h, w, c]` after these steps.
    pub(super) fn prepared(
        &mut self,
        node: &Node,
        mut value: String,
        images: usize,
        steps: &[Augment],
    ) -> Result<String, ExportError> {
        if steps.is_empty() {
            return Ok(value);
        }
        let dtype = node.dtype;
        let mut size = [0; 3];
        for (axis, it) in size.iter_mut().enumerate() {
            *it = self.node(images).dims[1 + axis].fixed().unwrap_or_default();
        }
        for step in steps {
            value = match *step {
                Augment::Crop { size: part, pad, border, centre: true } => {
                    self.middle((value, dtype), [size[0], size[1]], part, pad, border)
                }
                Augment::ResizedCrop { size: part, centre: true, .. } => {
                    self.scaled((value, dtype), [size[0], size[1]], part)
                }
                Augment::Crop { centre: false, .. }
                | Augment::ResizedCrop { centre: false, .. }
                | Augment::Rotate { .. }
                | Augment::FlipHorizontal
                | Augment::FlipVertical
                | Augment::ColorJitter { .. }
                | Augment::Cutout { .. } => {
                    return Err(
                        node.unsaid(format!("moves images at random (`{}`), which no evaluation does", step.word()))
                    );
                }
            };
            size = step.shape(size).map_err(|it| node.unsaid(it))?;
        }
        Ok(value)
    }

    /// The middle of an image with a border around it.
    fn middle(
        &mut self,
        (mut value, dtype): (String, DType),
        size: [usize; 2],
        part: [usize; 2],
        pad: usize,
        border: Border,
    ) -> String {
        let first = [0, 1].map(|axis| (size[axis] + 2 * pad - part[axis]) / 2);
        match border {
            Border::Zero => {
                let around = |it: usize| [0, it as i64, it as i64, 0];
                if 0 < pad {
                    let sides = self.integers(&[around(pad), around(pad)].concat());
                    // ONNX Runtime puts nothing around numbers of 16 bits.
                    let short = dtype == DType::U16;
                    let element = if short { Element::Int64 } else { self.element(dtype) };
                    if short {
                        value = self.cast(&value, element);
                    }
                    let black = self.constant(element, &[], &[0.0]);
                    value = self.add("Pad", &[&value, &sides, &black], Vec::new());
                    if short {
                        value = self.cast(&value, Element::Uint16);
                    }
                }
                let starts = self.integers(&first.map(|it| it as i64));
                let ends = self.integers(&[0, 1].map(|it| (first[it] + part[it]) as i64));
                let axes = self.integers(&AXES.map(|it| it as i64));
                self.add("Slice", &[&value, &starts, &ends, &axes], Vec::new())
            }
            Border::Reflect | Border::Symmetric => {
                for axis in 0..2 {
                    let places = (0..part[axis]).map(|it| {
                        mirrored((it + first[axis]) as i64 - pad as i64, size[axis] as i64, border == Border::Reflect)
                    });
                    value = self.picked(&value, axis, places.collect());
                }
                value
            }
        }
    }

    /// Rows or columns by their numbers.
    fn picked(&mut self, value: &str, axis: usize, places: Vec<i64>) -> String {
        let places = self.integers(&places);
        self.add("Gather", &[value, &places], vec![Attribute::int("axis", AXES[axis] as i64)])
    }

    /// The largest part of a shape in the middle, scaled: linear between pixels by weights of 1/256, and whole numbers rounded.
    /// Of bytes all of it is exact in 32 bits, and of 16 bits in 64.
    fn scaled(&mut self, (value, dtype): (String, DType), size: [usize; 2], to: [usize; 2]) -> String {
        let real = if dtype == DType::U16 { Element::Double } else { self.real };
        let mut value = if dtype == DType::Real { value } else { self.cast(&value, real) };
        for (axis, stretch) in stretches(size, to).into_iter().enumerate() {
            let of = |it: &[usize]| it.iter().map(|it| *it as i64).collect::<Vec<i64>>();
            let (low, high) =
                (self.picked(&value, axis, of(&stretch.low)), self.picked(&value, axis, of(&stretch.high)));
            let dims = if axis == 0 { [to[0], 1, 1] } else { [1, to[1], 1] };
            let rests: Vec<f64> = stretch.shares.iter().map(|it| 1.0 - it).collect();
            let shares = [rests, stretch.shares].map(|it| self.constant(real, &dims, &it));
            let low = self.add("Mul", &[&low, &shares[0]], Vec::new());
            let high = self.add("Mul", &[&high, &shares[1]], Vec::new());
            value = self.add("Add", &[&low, &high], Vec::new());
        }
        if dtype == DType::Real {
            return value;
        }
        let half = self.constant(real, &[], &[0.5]);
        let moved = self.add("Add", &[&value, &half], Vec::new());
        let whole = self.add("Floor", &[&moved], Vec::new());
        let element = self.element(dtype);
        self.cast(&whole, element)
    }
}
