//! What examples are to be answered with, one after the other.

use sha2::Digest;

/// Of the examples of a part of a data set.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// A class each, from 0.
    Classes(Vec<i64>),
    /// So many bytes each: the classes of pixels, or 0 and 1 for each class.
    Bytes {
        /// How many.
        each: usize,
        /// Of all.
        bytes: Vec<u8>,
    },
    /// So many numbers each.
    Numbers {
        /// How many.
        each: usize,
        /// Of all.
        numbers: Vec<f64>,
    },
}

impl Default for Targets {
    fn default() -> Self {
        Targets::Classes(Vec::new())
    }
}

impl Targets {
    /// Of how many examples.
    pub fn len(&self) -> usize {
        match self {
            Targets::Classes(all) => all.len(),
            Targets::Bytes { each, bytes } => bytes.len().checked_div(*each).unwrap_or(0),
            Targets::Numbers { each, numbers } => numbers.len().checked_div(*each).unwrap_or(0),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes; empty where an example has no single one.
    pub fn labels(&self) -> &[i64] {
        match self {
            Targets::Classes(all) => all,
            Targets::Bytes { .. } | Targets::Numbers { .. } => &[],
        }
    }

    /// The bytes; empty where targets are stored otherwise.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Targets::Bytes { bytes, .. } => bytes,
            Targets::Classes(_) | Targets::Numbers { .. } => &[],
        }
    }

    /// The classes, to be added to.
    pub(super) fn labels_mut(&mut self) -> &mut Vec<i64> {
        match self {
            Targets::Classes(all) => all,
            Targets::Bytes { .. } | Targets::Numbers { .. } => panic!("classes are added to other targets"),
        }
    }

    /// Adds them to a sum.
    pub(super) fn digest(&self, sum: &mut impl Digest) {
        match self {
            Targets::Classes(all) => all.iter().for_each(|it| sum.update(it.to_le_bytes())),
            Targets::Bytes { bytes, .. } => sum.update(bytes),
            Targets::Numbers { numbers, .. } => numbers.iter().for_each(|it| sum.update(it.to_le_bytes())),
        }
    }

    /// Those of some examples, by their numbers.
    pub(super) fn picked(&self, examples: &[usize]) -> Targets {
        fn rows<T: Copy>(all: &[T], each: usize, examples: &[usize]) -> Vec<T> {
            examples.iter().flat_map(|at| &all[at * each..][..each]).copied().collect()
        }
        match self {
            Targets::Classes(all) => Targets::Classes(rows(all, 1, examples)),
            Targets::Bytes { each, bytes } => Targets::Bytes { each: *each, bytes: rows(bytes, *each, examples) },
            Targets::Numbers { each, numbers } => {
                Targets::Numbers { each: *each, numbers: rows(numbers, *each, examples) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_picked_with_all_that_is_theirs() {
        let numbers = Targets::Numbers { each: 2, numbers: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
        assert_eq!(numbers.picked(&[2, 0]), Targets::Numbers { each: 2, numbers: vec![4.0, 5.0, 0.0, 1.0] });
        let bytes = Targets::Bytes { each: 3, bytes: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!((bytes.len(), bytes.picked(&[1]).len(), numbers.len()), (2, 1, 3));
        assert_eq!(Targets::Classes(vec![7, 8]).picked(&[1]).labels(), [8]);
    }
}
