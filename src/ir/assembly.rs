//! Where the parts of a tensor that is put together lie in it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Most parts of one tensor.
pub const MOST_PARTS: usize = 64;

/// Along one axis: element `i` of the part lies at `start + i` of the whole, or at `start - i` where it is turned. What
/// lies outside of the whole is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Along {
    /// Where element 0 lies.
    pub start: i64,
    /// Whether the others come before it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub turned: bool,
}

fn is_false(it: &bool) -> bool {
    !it
}

impl Along {
    /// Where it begins.
    pub const START: Along = Along { start: 0, turned: false };

    /// In order, from there on.
    pub fn from(start: i64) -> Self {
        Self { start, turned: false }
    }

    /// Where the whole lies in the part.
    pub fn inverse(self) -> Self {
        Self { start: if self.turned { self.start } else { -self.start }, ..self }
    }

    /// Which positions of a whole of `limit` a part of `extent` covers.
    pub fn covered(self, extent: usize, limit: usize) -> Range<usize> {
        let (first, end) = match self.turned {
            false => (self.start, self.start.saturating_add_unsigned(extent as u64)),
            true => (self.start.saturating_add(1).saturating_sub_unsigned(extent as u64), self.start.saturating_add(1)),
        };
        let inside = |it: i64| usize::try_from(it.max(0)).unwrap_or(limit).min(limit);
        inside(first)..inside(end).max(inside(first))
    }

    /// Where position `at` of the whole lies in the part, if it does.
    pub fn source(self, at: usize) -> i64 {
        if self.turned { self.start - at as i64 } else { at as i64 - self.start }
    }
}

impl fmt::Display for Along {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.turned { "down from " } else { "" }, self.start)
    }
}

/// `at (0, 3)`.
pub fn text(place: &[Along]) -> String {
    let list: Vec<String> = place.iter().map(Along::to_string).collect();
    format!("at ({})", list.join(", "))
}

/// The box of the whole that a part covers.
pub fn covered(whole: &[usize], part: &[usize], place: &[Along]) -> Vec<Range<usize>> {
    place.iter().zip(part).zip(whole).map(|((it, extent), limit)| it.covered(*extent, *limit)).collect()
}

/// Two of these boxes that meet.
pub fn overlap(boxes: &[Vec<Range<usize>>]) -> Option<[usize; 2]> {
    let meet =
        |a: &[Range<usize>], b: &[Range<usize>]| a.iter().zip(b).all(|(a, b)| a.start.max(b.start) < a.end.min(b.end));
    (0..boxes.len()).find_map(|b| (0..b).find(|a| meet(&boxes[*a], &boxes[b])).map(|a| [a, b]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_covers_what_lies_inside_and_its_inverse_leads_back() {
        for turned in [false, true] {
            for start in -7..9 {
                let place = Along { start, turned };
                for extent in 0..5 {
                    let at = |i: usize| if turned { start - i as i64 } else { start + i as i64 };
                    let mut wanted: Vec<i64> = (0..extent).map(at).filter(|it| (0..6).contains(it)).collect();
                    wanted.sort_unstable();
                    let found: Vec<i64> = place.covered(extent, 6).map(|it| it as i64).collect();
                    assert_eq!(found, wanted, "{place:?} {extent}");
                    for i in (0..extent).filter(|it| 0 <= at(*it)) {
                        assert_eq!(place.source(at(i) as usize), i as i64);
                        assert_eq!(place.inverse().source(i), at(i));
                    }
                }
            }
        }
        assert_eq!(Along { start: i64::MAX, turned: false }.covered(usize::MAX, 3), 3..3);
    }

    #[test]
    fn boxes_meet_in_every_axis_or_not() {
        let boxes = [vec![0..2, 0..3], vec![2..4, 0..3], vec![1..3, 3..5]];
        assert_eq!(overlap(&boxes), None);
        assert_eq!(overlap(&[boxes[0].clone(), boxes[1].clone(), vec![1..2, 2..5]]), Some([0, 2]));
    }
}
