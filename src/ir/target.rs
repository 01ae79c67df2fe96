//! What each example of a data set is to be answered with.

use super::{DType, size};
use serde::{Deserialize, Serialize};

/// The largest number of classes whose numbers fit into a byte for each pixel.
pub const MOST_MAPPED_CLASSES: usize = 256;

/// What an example is to be answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One of the classes.
    #[default]
    Class,
    /// One of the classes for each pixel of so many rows and columns.
    Map([usize; 2]),
    /// Any number of the classes: 0 or 1 for each.
    Labels,
    /// Numbers of these extents.
    Numbers(Vec<usize>),
}

impl TargetKind {
    /// Whether it is that of most data sets: a class.
    pub fn is_class(&self) -> bool {
        *self == TargetKind::Class
    }

    /// Whether its numbers are those of classes.
    pub fn has_classes(&self) -> bool {
        match self {
            TargetKind::Class | TargetKind::Map(_) | TargetKind::Labels => true,
            TargetKind::Numbers(_) => false,
        }
    }

    /// Whether each pixel has its own.
    pub fn of_pixels(&self) -> bool {
        match self {
            TargetKind::Class | TargetKind::Labels => false,
            TargetKind::Map(_) => true,
            TargetKind::Numbers(extents) => extents.len() == 3,
        }
    }

    /// How a data set's are stored.
    pub fn dtype(&self) -> DType {
        match self {
            TargetKind::Class => DType::Int,
            TargetKind::Map(_) | TargetKind::Labels => DType::U8,
            TargetKind::Numbers(_) => DType::Real,
        }
    }

    /// The extents of one as it is stored.
    pub fn stored(&self, classes: usize) -> Vec<usize> {
        match self {
            TargetKind::Class => Vec::new(),
            // As an image of one channel, so that it can be moved as images are.
            TargetKind::Map([height, width]) => vec![*height, *width, 1],
            TargetKind::Labels => vec![classes],
            TargetKind::Numbers(extents) => extents.clone(),
        }
    }

    /// How many numbers are stored for an example.
    pub fn count(&self, classes: usize) -> usize {
        size::product(&self.stored(classes))
    }

    /// In words: `numbers of [3]`.
    pub fn describe(&self, classes: usize) -> String {
        match self {
            TargetKind::Class => format!("one of {classes} classes"),
            TargetKind::Map([height, width]) => format!("one of {classes} classes for each of {height}x{width} pixels"),
            TargetKind::Labels => format!("any of {classes} classes"),
            TargetKind::Numbers(extents) => format!("numbers of {extents:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_follows_from_the_kind() {
        let numbers = TargetKind::Numbers(vec![2, 3, 1]);
        let map = TargetKind::Map([2, 3]);
        assert_eq!((TargetKind::Class.count(10), TargetKind::Class.dtype()), (1, DType::Int));
        assert_eq!((map.stored(4), map.dtype()), (vec![2, 3, 1], DType::U8));
        assert_eq!((TargetKind::Labels.count(4), numbers.count(0)), (4, 6));
        assert_eq!(numbers.describe(0), "numbers of [2, 3, 1]");
        assert!(map.has_classes() && !numbers.has_classes());
    }
}
