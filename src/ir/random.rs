//! Numbers made by a counter: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
//! 1, 2, 3", SC 2011). Every number is a function of seed, stream, step and position, so any backend,
//! thread count and resumed run draws the same.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Four words for a counter under a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// FNV-1a of a name: the stream of its random numbers.
pub fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn words(seed: u64, stream: u64, step: u64, block: u64) -> [u32; 4] {
    let key = seed ^ stream.rotate_left(32);
    let counter = [block as u32, (block >> 32) as u32 ^ (stream as u32), step as u32, (step >> 32) as u32];
    philox(counter, [key as u32, (key >> 32) as u32])
}

/// Number `at` of a step's uniform numbers in [0, 1): multiples of 2^-24, exact in f32.
pub fn uniform(seed: u64, stream: u64, step: u64, at: usize) -> f32 {
    uniform_four(seed, stream, step, at / 4)[at % 4]
}

/// The numbers from `4 * block` on, which one call of the generator gives.
fn uniform_four(seed: u64, stream: u64, step: u64, block: usize) -> [f32; 4] {
    words(seed, stream, step, block as u64).map(|word| (word >> 8) as f32 * (1.0 / 16_777_216.0))
}

/// The numbers of several calls of the generator, from `4 * block` on, computed side by side.
#[inline(always)]
pub fn uniform_fours<const N: usize>(seed: u64, stream: u64, step: u64, block: u64) -> [[f32; 4]; N] {
    let key = seed ^ stream.rotate_left(32);
    let mut key = [key as u32, (key >> 32) as u32];
    let [mut c0, mut c1, mut c2, mut c3] = [[0u32; N]; 4];
    for at in 0..N {
        let block = block + at as u64;
        (c0[at], c1[at]) = (block as u32, (block >> 32) as u32 ^ (stream as u32));
        (c2[at], c3[at]) = (step as u32, (step >> 32) as u32);
    }
    for _ in 0..10 {
        for at in 0..N {
            let a = u64::from(MULTIPLIERS[0]) * u64::from(c0[at]);
            let b = u64::from(MULTIPLIERS[1]) * u64::from(c2[at]);
            (c0[at], c2[at]) = ((b >> 32) as u32 ^ c1[at] ^ key[0], (a >> 32) as u32 ^ c3[at] ^ key[1]);
            (c1[at], c3[at]) = (b as u32, a as u32);
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    let mut all = [[0.0; 4]; N];
    for at in 0..N {
        // Exact as a signed number, for which there are vectors.
        all[at] = [c0[at], c1[at], c2[at], c3[at]].map(|word| (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0));
    }
    all
}

/// Number `at` of a stream of uniform numbers in [-1, 1), for what starts at random.
pub fn uniform_start(seed: u64, stream: u64, at: usize) -> f64 {
    2.0 * f64::from(uniform(seed, stream, u64::MAX, at)) - 1.0
}

/// Number `at` of a stream of standard normal numbers (Box and Muller, in f64).
pub fn normal(seed: u64, stream: u64, at: usize) -> f64 {
    let w = words(seed, stream, u64::MAX, at as u64 / 2);
    let open = |high: u32, low: u32| (((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 + 0.5) * 2f64.powi(-53);
    let radius = (-2.0 * open(w[0], w[1]).ln()).sqrt();
    let angle = std::f64::consts::TAU * open(w[2], w[3]);
    if at.is_multiple_of(2) { radius * angle.cos() } else { radius * angle.sin() }
}

/// The example at `position` (counted over all steps) of an endless stream in which every epoch
/// visits each of `examples` once, in an order of its own: a Feistel network on the smallest even
/// number of bits that holds them, walked until it lands inside.
pub fn shuffled(seed: u64, stream: u64, position: u64, examples: u64) -> u64 {
    let epoch = position / examples;
    let half = (64 - (examples - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let mut at = position % examples;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for round in 0..4u64 {
            let word = words(seed, stream, epoch, right | round << 40)[0];
            (left, right) = (right, left ^ (u64::from(word) & mask));
        }
        at = left << half | right;
        if at < examples {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_the_known_answers_of_its_authors() {
        // kat_vectors of Random123: philox4x32 10.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn numbers_side_by_side_are_those_one_by_one() {
        for (seed, stream, step, block) in
            [(7, 0xdead_beef_0bad_cafe, 3, 5), (u64::MAX, 1, 1 << 40, u64::from(u32::MAX) - 3)]
        {
            let all = uniform_fours::<16>(seed, stream, step, block);
            for (at, four) in all.iter().enumerate() {
                assert_eq!(*four, uniform_four(seed, stream, step, block as usize + at));
            }
        }
    }

    #[test]
    fn every_epoch_visits_each_example_once_in_another_order() {
        for examples in [1u64, 2, 3, 100, 1437] {
            let epoch =
                |e: u64| (0..examples).map(|it| shuffled(7, 1, e * examples + it, examples)).collect::<Vec<_>>();
            for e in 0..3 {
                let mut seen = epoch(e);
                seen.sort_unstable();
                assert_eq!(seen, (0..examples).collect::<Vec<_>>());
            }
            if 100 <= examples {
                assert_ne!(epoch(0), epoch(1));
                assert_ne!(epoch(0), (0..examples).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let all: Vec<f64> = (0..100_000).map(|it| normal(1, 2, it)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / all.len() as f64;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
