//! How a statistic moves towards what it follows.

use crate::ir::{Op, ScalarFn, Unary};

/// `running + rate * (batch - running)`.
pub(in crate::lower) fn towards(rate: f64) -> Op {
    let body = ScalarFn::build(2, |pool, it| {
        let batch = pool.unary(Unary::Stop, it[1]);
        let rate = pool.constant(rate);
        let gap = pool.sub(batch, it[0]);
        let step = pool.mul(rate, gap);
        pool.add(it[0], step)
    });
    Op::Map { body, int: false }
}

/// The complement of a decay as it was meant: `1 - 0.999` is 0.001, not its neighbour.
pub(in crate::lower) fn rate(decay: f64) -> f64 {
    let rate = 1.0 - decay;
    let rounded = (rate * 1e12).round() / 1e12;
    if (rounded - rate).abs() < 1e-15 { rounded } else { rate }
}
