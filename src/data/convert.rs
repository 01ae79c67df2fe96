//! Numbers as they are stored in files become the numbers of examples, and what cannot become one is found.

use super::DataError;
use super::element::Element;
use super::error::figure;
use super::npy::{Dtype, Kind};
use super::pixels::Store;
use crate::ir::{DType, Extremes};
use std::path::Path;

/// The place of a type among those that inputs can have.
pub(super) fn place(dtype: DType) -> usize {
    DType::INPUTS.iter().position(|it| *it == dtype).unwrap_or(DType::INPUTS.len())
}

/// The type that numbers of a type become: the wanted one where that has all of them, else their own. Of wider whole numbers the
/// least and the largest decide, which are asked for then only.
pub(super) fn becomes(
    stored: DType,
    wanted: Option<DType>,
    range: impl FnOnce(DType) -> Result<Extremes, DataError>,
) -> Result<DType, DataError> {
    let Some(wanted) = wanted.filter(|it| *it != stored) else { return Ok(stored) };
    if place(stored) < place(wanted) {
        return Ok(wanted);
    }
    // Nothing but reals has what lies between whole numbers.
    let (Some(bounds), true) = (wanted.bounds(), stored != DType::Real) else { return Ok(stored) };
    Ok(if range(wanted)?.within(bounds) { wanted } else { stored })
}

/// Whole numbers up to here are floats of 32 bits, each of them, and of 64.
const EXACT: f64 = 16_777_216.0;
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Makes numbers of one form those of another.
pub(super) struct Converter<'a> {
    /// What an array is called in messages, and the file that it is in.
    pub(super) name: String,
    pub(super) path: &'a Path,
    pub(super) dtype: &'a Dtype,
    pub(super) element: Element,
    /// Numbers of an example.
    pub(super) each: usize,
    at: u64,
    rounded: Option<(u64, f64)>,
    bytes: Vec<u8>,
}

impl<'a> Converter<'a> {
    pub(super) fn new(
        (name, path): (String, &'a Path),
        dtype: &'a Dtype,
        element: Element,
        each: usize,
    ) -> Converter<'a> {
        Converter { name, path, dtype, element, each: each.max(1), at: 0, rounded: None, bytes: Vec::new() }
    }

    /// Adds some whole numbers.
    pub(super) fn append(&mut self, part: &[u8], store: &mut Store) -> Result<(), DataError> {
        let Converter { dtype, element, rounded, bytes, at, .. } = self;
        let (real, whole) = (element.dtype == DType::Real, dtype.kind != Kind::Float);
        let mut here = *at;
        let mut wrong = None;
        let double = element.double;
        let mut check = |it: f64| {
            let held = if double { it } else { f64::from(it as f32) };
            if !it.is_finite() || real && !held.is_finite() || !real && WHOLE < it.abs() {
                wrong = wrong.or(Some((here, it)));
            } else if real && whole && EXACT < it.abs() && (held != it || WHOLE < it.abs()) {
                *rounded = rounded.or(Some((here, it)));
            }
            here += 1;
        };
        let stored = if dtype.is(*element) {
            // Whole numbers are as they were.
            if !whole {
                dtype.numbers(part, &mut check);
            }
            part
        } else {
            bytes.clear();
            dtype.numbers(part, |it| {
                check(it);
                element.put(it, bytes);
            });
            bytes
        };
        if let Some((at, number)) = wrong {
            return Err(self.refused(at, number));
        }
        store.extend(stored)?;
        self.at += (part.len() / self.dtype.bytes().max(1)) as u64;
        Ok(())
    }

    /// What to say of the first number that was rounded where it should not be.
    pub(super) fn remark(&self) -> Option<String> {
        let (at, number) = self.rounded?;
        let float = f64::from(number as f32);
        let (which, beyond) = match !self.element.double && float != number {
            true => (format!(", which is {} as a float", figure(float)), "2^24"),
            // The number that is told is rounded itself.
            false => (String::new(), "2^53"),
        };
        Some(format!(
            "{}{which}: whole numbers beyond {beyond} are rounded (`input x: int[...]` keeps them)",
            self.told(at, number)
        ))
    }

    fn told(&self, at: u64, number: f64) -> String {
        let each = self.each as u64;
        let which = if each == 1 { String::new() } else { format!(", number {}", at % each) };
        format!("{} has {} in example {}{which}", self.name, figure(number), at / each)
    }

    fn refused(&self, at: u64, number: f64) -> DataError {
        let (what, remedy) = match (number.is_finite(), self.element.dtype) {
            (false, _) => ("", "leave that example out, or put a number there: `np.nan_to_num(x)` makes NaN 0"),
            (true, DType::Real) => (
                ", more than a float of 32 bits holds",
                "scale the numbers before they are stored, or train with `--precision f64`",
            ),
            (true, _) => (", beyond 2^53", "store it as int64, or count from 0"),
        };
        let cause = format!("{}{what}", self.told(at, number));
        DataError::Unfit { path: self.path.into(), cause, remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_becomes_another_that_has_its_numbers() {
        let of =
            |stored, wanted, least: f64, most: f64| becomes(stored, wanted, |_| Ok(Extremes([least, most]))).unwrap();
        use DType::{Int, Real, U8, U16};
        assert_eq!(of(U8, None, 0.0, 1.0), U8);
        assert_eq!(of(U8, Some(Real), 0.0, 1.0), Real);
        assert_eq!(of(Int, Some(U8), 0.0, 255.0), U8);
        assert_eq!(of(Int, Some(U8), -1.0, 5.0), Int);
        assert_eq!(of(Int, Some(U16), 0.0, 65536.0), Int);
        assert_eq!(of(U16, Some(U8), 0.0, 255.0), U8);
        assert_eq!(of(Real, Some(U8), 0.0, 1.0), Real, "what is stored as floats is none of whole numbers");
        assert_eq!(of(Real, Some(Int), 0.0, 1.0), Real);
    }
}
