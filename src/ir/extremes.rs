//! The least and the largest of some numbers.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The least and the largest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Extremes(pub [f64; 2]);

/// Numbers up to here are whole without doubt.
const WHOLE: f64 = 9_007_199_254_740_992.0;

impl Extremes {
    /// Of no numbers.
    pub const NONE: Extremes = Extremes([f64::INFINITY, f64::NEG_INFINITY]);

    /// Of bytes.
    pub const BYTES: Extremes = Extremes([0.0, 255.0]);

    /// The least.
    pub fn least(self) -> f64 {
        self.0[0]
    }

    /// The largest.
    pub fn most(self) -> f64 {
        self.0[1]
    }

    /// Those of these numbers and one more. NaN is passed over.
    #[must_use]
    pub fn with(self, number: f64) -> Extremes {
        Extremes([self.0[0].min(number), self.0[1].max(number)])
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Extremes) -> Extremes {
        Extremes([self.0[0].min(other.0[0]), self.0[1].max(other.0[1])])
    }

    /// Whether these numbers lie between those.
    pub fn within(self, [least, most]: [f64; 2]) -> bool {
        least <= self.0[0] && self.0[1] <= most
    }
}

/// Whole numbers are written without a point.
impl Serialize for Extremes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.iter().all(|it| it.fract() == 0.0 && it.abs() < WHOLE) {
            true => self.0.map(|it| it as i64).serialize(to),
            false => self.0.serialize(to),
        }
    }
}

impl fmt::Display for Extremes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of what was a float of 32 bits, no more digits than tell it.
        let shown = |it: f64| if f64::from(it as f32) == it { (it as f32).to_string() } else { it.to_string() };
        write!(f, "{} to {}", shown(self.0[0]), shown(self.0[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_such() {
        let text = |it| serde_json::to_string(&Extremes(it)).unwrap();
        assert_eq!((text([0.0, 16.0]), text([-0.5, 2.0])), ("[0,16]".to_owned(), "[-0.5,2.0]".to_owned()));
        assert_eq!(serde_json::from_str::<Extremes>("[0,16]").unwrap(), Extremes([0.0, 16.0]));
        assert_eq!(Extremes([0.0, 16.0]).to_string(), "0 to 16");
        assert_eq!(Extremes([f64::from(-0.1f32), 0.1]).to_string(), "-0.1 to 0.1");
        assert_eq!(Extremes::NONE.with(3.0).with(f64::NAN).with(-1.0), Extremes([-1.0, 3.0]));
    }
}
