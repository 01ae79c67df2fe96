//! What numbers are written as.

use super::failure::Failure;
use clap::ValueEnum;
use half::f16;
use sphc::data::Values;
use sphc::ir::Precision;

/// Floats of NumPy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    /// 16 bits: three digits, up to 65504
    Float16,
    /// 32 bits
    Float32,
    /// 64 bits
    Float64,
}

impl Dtype {
    /// What numbers of a precision are written as where nobody asks: none loses a digit.
    pub(super) fn of(precision: Precision) -> Dtype {
        if precision.is_double() { Dtype::Float64 } else { Dtype::Float32 }
    }
}

/// Numbers as they are going to be written.
pub(super) struct Kept {
    values: Values,
    /// The largest that is beyond what they can hold.
    beyond: f64,
}

impl Kept {
    pub(super) fn none(dtype: Dtype) -> Kept {
        let values = match dtype {
            Dtype::Float16 => Values::Halves(Vec::new()),
            Dtype::Float32 => Values::Reals(Vec::new()),
            Dtype::Float64 => Values::Doubles(Vec::new()),
        };
        Kept { values, beyond: 0.0 }
    }

    pub(super) fn extend(&mut self, found: &[f64]) {
        match &mut self.values {
            Values::Halves(all) => {
                let lost = |it: &&f64| it.is_finite() && f16::from_f64(**it).is_infinite();
                self.beyond = found.iter().filter(lost).fold(self.beyond, |most, it| most.max(it.abs()));
                all.extend(found.iter().map(|it| f16::from_f64(*it)));
            }
            Values::Reals(all) => all.extend(found.iter().map(|it| *it as f32)),
            Values::Doubles(all) => all.extend(found),
            Values::Ints(_) | Values::Bytes(_) | Values::Texts(_) => unreachable!("kept are floats"),
        }
    }

    /// The numbers of the layer `name`, if they can be written so.
    pub(super) fn end(self, name: &str) -> Result<Values, Failure> {
        if self.beyond == 0.0 {
            return Ok(self.values);
        }
        let cause = format!("`{name}` has numbers up to {:.6e}, and float16 ends at {}", self.beyond, f16::MAX);
        Err(Failure::new(cause, "write them as they are: `--dtype float32`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_halves_cannot_hold_is_told() {
        let mut kept = Kept::none(Dtype::Float16);
        kept.extend(&[65504.0, -0.1, f64::NAN, f64::INFINITY]);
        let Values::Halves(all) = kept.end("x").unwrap() else { panic!() };
        assert_eq!(all[..2], [f16::MAX, f16::from_f32(-0.1)]);
        assert!(all[2].is_nan() && all[3].is_infinite());
        let mut kept = Kept::none(Dtype::Float16);
        kept.extend(&[1.0, -70_000.0]);
        kept.extend(&[66_000.0]);
        let Err(Failure::Message(told)) = kept.end("deep") else { panic!() };
        assert!(told.contains("`deep` has numbers up to 7.000000e4, and float16 ends at 65504"), "{told}");
    }
}
