//! What the examples of a data set are made of, as it lies in memory.

use crate::ir::{DType, Extremes};

/// What an example is made of: the type of a model's input, and whether reals have 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The type.
    pub dtype: DType,
    /// Whether reals are kept in 64 bits, for a training in `f64`.
    pub double: bool,
}

impl Element {
    /// Bytes of images.
    pub const BYTE: Element = Element { dtype: DType::U8, double: false };

    /// Of a type; reals of 32 bits.
    pub fn of(dtype: DType) -> Element {
        Element { dtype, double: false }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self.dtype {
            DType::U8 => 1,
            DType::U16 => 2,
            DType::Int => 8,
            DType::Real | DType::Bf16 if self.double => 8,
            DType::Real | DType::Bf16 => 4,
        }
    }

    /// Adds a number as it is stored. What the type does not hold is rounded, or becomes the nearest that it holds.
    pub fn put(self, number: f64, to: &mut Vec<u8>) {
        match self.dtype {
            DType::U8 => to.push(number as u8),
            DType::U16 => to.extend((number as u16).to_ne_bytes()),
            DType::Int => to.extend((number as i64).to_ne_bytes()),
            DType::Real | DType::Bf16 if self.double => to.extend(number.to_ne_bytes()),
            DType::Real | DType::Bf16 => to.extend((number as f32).to_ne_bytes()),
        }
    }

    /// Shows the numbers that some bytes hold.
    pub fn each(self, bytes: &[u8], mut see: impl FnMut(f64)) {
        fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
            bytes.as_chunks::<N>().0.iter().copied()
        }
        match self.dtype {
            DType::U8 => bytes.iter().for_each(|it| see(f64::from(*it))),
            DType::U16 => words(bytes).for_each(|it| see(f64::from(u16::from_ne_bytes(it)))),
            DType::Int => words(bytes).for_each(|it| see(i64::from_ne_bytes(it) as f64)),
            DType::Real | DType::Bf16 if self.double => words(bytes).for_each(|it| see(f64::from_ne_bytes(it))),
            DType::Real | DType::Bf16 => words(bytes).for_each(|it| see(f64::from(f32::from_ne_bytes(it)))),
        }
    }

    /// The least and the largest of the numbers that some bytes hold.
    pub(super) fn extremes(self, bytes: &[u8]) -> Extremes {
        if self.dtype == DType::U8 {
            let found = bytes.iter().fold((u8::MAX, u8::MIN), |(least, most), it| (least.min(*it), most.max(*it)));
            return match bytes.is_empty() {
                true => Extremes::NONE,
                false => Extremes([found.0.into(), found.1.into()]),
            };
        }
        let mut res = Extremes::NONE;
        self.each(bytes, |it| res = res.with(it));
        res
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_stored() {
        for (element, numbers) in [
            (Element::BYTE, [0.0, 255.0, 7.0]),
            (Element::of(DType::U16), [0.0, 65535.0, 256.0]),
            (Element::of(DType::Int), [-5.0, 3e15, 0.0]),
            (Element::of(DType::Real), [-0.5, 0.1f32.into(), 3e38f32.into()]),
            (Element { dtype: DType::Real, double: true }, [-0.1, 1e300, 0.0]),
        ] {
            let (mut bytes, mut found) = (Vec::new(), Vec::new());
            numbers.iter().for_each(|it| element.put(*it, &mut bytes));
            assert_eq!(bytes.len(), 3 * element.bytes());
            element.each(&bytes, |it| found.push(it));
            assert_eq!(found, numbers);
            let expected = numbers.iter().fold(Extremes::NONE, |all, it| all.with(*it));
            assert_eq!(element.extremes(&bytes), expected);
        }
        assert_eq!(Element::BYTE.extremes(&[]), Extremes::NONE);
    }
}
