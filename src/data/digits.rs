//! The data set inside the program: the test part of the UCI "Optical Recognition of Handwritten
//! Digits" data by E. Alpaydin and C. Kaynak (1998), licence CC BY 4.0
//! (<https://archive.ics.uci.edu/dataset/80>). 1797 images of 8x8 with values 0 to 16.

use super::{Dataset, Split};
use crate::ir::{DType, TargetKind};
use flate2::read::GzDecoder;

/// Examples for training.
pub(super) const TRAIN: usize = 1437;
/// Examples for testing.
pub(super) const TEST: usize = 360;

static TEXT: &[u8] = include_bytes!("digits.csv.gz");

/// Unpacks the digits and splits them, always the same way: shuffled, so that writers and classes mix
/// on both sides.
pub(super) fn digits() -> Dataset {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(GzDecoder::new(TEXT));
    let rows: Vec<Vec<u8>> =
        reader.deserialize().map(|row| row.expect("the embedded digits are rows of small numbers")).collect();
    assert!(rows.len() == TRAIN + TEST && rows.iter().all(|it| it.len() == 65), "the embedded digits are complete");

    let mut train = Split::default();
    let mut test = Split::default();
    for (at, row) in shuffled(rows.len()).into_iter().enumerate() {
        let split = if at < TRAIN { &mut train } else { &mut test };
        split.images.held_mut().extend_from_slice(&rows[row][..64]);
        split.targets.labels_mut().push(i64::from(rows[row][64]));
    }
    Dataset {
        name: "digits".into(),
        image: [8, 8, 1].into(),
        dtype: DType::U8,
        double: false,
        target: TargetKind::Class,
        classes: (0..10).map(|it: usize| it.to_string()).collect(),
        train,
        test,
        validation: None,
        range: None,
        warnings: Vec::new(),
    }
}

/// Fisher and Yates' shuffle of `0..n` by splitmix64 from a fixed seed.
fn shuffled(n: usize) -> Vec<usize> {
    let mut state = 1998u64;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let mut order: Vec<usize> = (0..n).collect();
    for at in (1..n).rev() {
        order.swap(at, (next() % (at as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_complete_and_both_splits_hold_every_class() {
        let data = digits();
        assert_eq!(data.train.targets.labels().len(), TRAIN);
        assert_eq!(data.test.targets.labels().len(), TEST);
        assert_eq!(data.train.images.len(), TRAIN * 64);
        assert!(data.train.images.iter().chain(data.test.images.iter()).all(|it| *it <= 16));
        for class in 0..10 {
            assert!(data.train.targets.labels().iter().filter(|it| **it == class).count() > 120, "{class}");
            assert!(data.test.targets.labels().iter().filter(|it| **it == class).count() > 20, "{class}");
        }
    }

    #[test]
    fn the_split_is_the_same_every_time() {
        assert_eq!(digits(), digits());
        let sum = digits().test.targets.labels().iter().enumerate().map(|(at, it)| at as i64 * it).sum::<i64>();
        assert_eq!(sum, 317_377, "the split moved: results would no longer compare");
    }
}
