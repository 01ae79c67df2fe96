//! Filters as small images: of one channel in grey, of three in their colours.

use sphc::train::curves::Tile;

/// How many filters are beside each other.
pub(super) const COLUMNS: usize = 16;
/// Width of a filter in the picture.
pub(super) const SIDE: u32 = 48;

/// The filters of a layer, `[height, width, channels, filters]` in row-major order. Zero is the middle grey, and what is farthest from it in
/// a filter black or white. Nothing of other channels than one or three, which have no colours.
pub(super) fn tiles(extents: &[usize], numbers: &[f64]) -> Option<Vec<Tile>> {
    let [height, width, channels @ (1 | 3), count] = *extents else { return None };
    if height * width < 2 {
        return None;
    }
    let one = |filter: usize| {
        let values: Vec<f64> = numbers.iter().skip(filter).step_by(count).copied().collect();
        let most = values.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
        let byte = |it: f64| (127.5 + 127.5 * if most == 0.0 { 0.0 } else { it / most }).round() as u8;
        let pixel = |it: &[f64]| match it {
            [red, green, blue] => [*red, *green, *blue].map(byte),
            other => [byte(other.first().copied().unwrap_or(0.0)); 3],
        };
        Tile { caption: filter.to_string(), width, pixels: values.chunks_exact(channels).map(pixel).collect() }
    };
    Some((0..count).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_grey_and_the_farthest_black_or_white() {
        // Two filters of two pixels, interleaved: 0 and -2, 1 and 0.5.
        let found = tiles(&[1, 2, 1, 2], &[0.0, 1.0, -2.0, 0.5]).unwrap();
        assert_eq!(found[0].pixels, [[128; 3], [0; 3]]);
        assert_eq!(found[1].pixels, [[255; 3], [191; 3]]);
        let coloured = tiles(&[1, 2, 3, 1], &[4.0, 0.0, -4.0, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(coloured[0].pixels, [[255, 128, 0], [128; 3]]);
        assert!(tiles(&[3, 3, 16, 8], &[0.0; 1152]).is_none() && tiles(&[1, 1, 3, 8], &[0.0; 24]).is_none());
        assert_eq!(tiles(&[2, 1, 1, 1], &[0.0, 0.0]).unwrap()[0].pixels, [[128; 3]; 2]);
    }
}
