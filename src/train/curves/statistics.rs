//! A mean with what is known of it.

/// The mean of some numbers and the half width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Their mean.
    pub mean: f64,
    /// Student's interval on either side; `None` of a single number.
    pub half_width: Option<f64>,
}

/// Student's t for 95 % between both sides, for 1 to 30 degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Estimate {
    /// Of independent numbers, at least one.
    pub fn of(values: &[f64]) -> Estimate {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let half_width = (1 < values.len()).then(|| {
            let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (n - 1.0);
            STUDENT.get(values.len() - 2).unwrap_or(&1.96) * (variance / n).sqrt()
        });
        Estimate { mean, half_width }
    }

    /// `99.17 %`, or `99.17 ± 0.31 %`, of a share.
    pub fn percent(&self) -> String {
        match self.half_width {
            Some(it) => format!("{:.2} ± {:.2} %", 100.0 * self.mean, 100.0 * it),
            None => format!("{:.2} %", 100.0 * self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_students() {
        let found = Estimate::of(&[1.0, 2.0, 3.0]);
        assert_eq!(found.mean, 2.0);
        assert!((found.half_width.unwrap() - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(Estimate::of(&[0.5]), Estimate { mean: 0.5, half_width: None });
        assert_eq!(Estimate::of(&[0.90, 0.92]).percent(), "91.00 ± 12.71 %");
    }
}
