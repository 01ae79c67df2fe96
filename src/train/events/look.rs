//! What the tensors of a model look like: histograms of their numbers, and filters as a picture.

use super::messages::{Histogram, Image};
use crate::train::curves::Tile;
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Parts of a histogram, of equal width.
const BUCKETS: usize = 64;
/// How many filters are beside each other.
const COLUMNS: usize = 16;
/// Pixels of the picture for one of a filter.
const SCALE: u32 = 8;
/// Pixels between filters.
const GAP: u32 = 2;

/// How numbers are spread; those that are not finite are left out.
pub(super) fn histogram(numbers: &[f64]) -> Histogram {
    let finite = || numbers.iter().copied().filter(|it| it.is_finite());
    let Some(min) = finite().reduce(f64::min) else { return Histogram::default() };
    let max = finite().fold(min, f64::max);
    let mut res = Histogram {
        min,
        max,
        num: finite().count() as f64,
        sum: finite().sum(),
        sum_squares: finite().map(|it| it * it).sum(),
        ..Histogram::default()
    };
    // Halves first, since the whole width of the largest numbers is none.
    let width = (max / 2.0 - min / 2.0) / BUCKETS as f64 * 2.0;
    if width == 0.0 {
        (res.bucket_limit, res.bucket) = (vec![max], vec![res.num]);
        return res;
    }
    res.bucket_limit = (1..=BUCKETS).map(|it| if it == BUCKETS { max } else { min + it as f64 * width }).collect();
    res.bucket = vec![0.0; BUCKETS];
    for it in finite() {
        // Rounding may put a number at an edge into either part, and the largest beyond the last.
        let at = (((it - min) / width) as usize).min(BUCKETS - 1);
        res.bucket[at] += 1.0;
    }
    res
}

/// Filters beside each other on white, as PNG.
pub(super) fn picture(tiles: &[Tile]) -> Option<Image> {
    let first = tiles.first()?;
    let (width, height) = (first.width as u32 * SCALE, first.height() as u32 * SCALE);
    let columns = tiles.len().min(COLUMNS);
    let rows = tiles.len().div_ceil(columns);
    let size = |count: usize, each: u32| count as u32 * (each + GAP) + GAP;
    let mut all = RgbImage::from_pixel(size(columns, width), size(rows, height), Rgb([255; 3]));
    for (at, tile) in tiles.iter().enumerate() {
        let (left, top) = (size(at % columns, width), size(at / columns, height));
        for y in 0..height {
            for x in 0..width {
                let pixel = tile.pixels[(y / SCALE) as usize * tile.width + (x / SCALE) as usize];
                all.put_pixel(left + x, top + y, Rgb(pixel));
            }
        }
    }
    let mut encoded = Cursor::new(Vec::new());
    all.write_to(&mut encoded, ImageFormat::Png).ok()?;
    let (height, width) = (all.height() as i32, all.width() as i32);
    Some(Image { height, width, colorspace: 3, encoded: encoded.into_inner() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_counted_once_and_the_last_limit_is_the_largest() {
        let numbers: Vec<f64> =
            (0..1000).map(|it| (f64::from(it) * 0.37).sin()).chain([f64::NAN, f64::INFINITY]).collect();
        let found = histogram(&numbers);
        assert_eq!((found.num, found.bucket.iter().sum::<f64>()), (1000.0, 1000.0));
        assert_eq!(found.bucket_limit.last(), Some(&found.max));
        assert!(found.bucket_limit.windows(2).all(|it| it[0] < it[1]));
        assert_eq!(histogram(&[2.0, 2.0]).bucket, [2.0]);
        assert_eq!(histogram(&[-f64::MAX, f64::MAX, 0.0]).bucket.iter().sum::<f64>(), 3.0);
        assert_eq!(histogram(&[]), Histogram::default());
    }

    #[test]
    fn filters_are_laid_out_in_rows() {
        let tile = |value| Tile { caption: String::new(), width: 2, pixels: vec![[value; 3], [0; 3]] };
        let tiles: Vec<Tile> = (0..17).map(tile).collect();
        let found = picture(&tiles).unwrap();
        assert_eq!((found.width, found.height), (16 * 18 + 2, 2 * 10 + 2));
        let read = image::load_from_memory(&found.encoded).unwrap().to_rgb8();
        assert_eq!(read.get_pixel(2, 12).0, [16; 3], "the seventeenth is below the first");
        assert_eq!(read.get_pixel(0, 0).0, [255; 3]);
        assert!(picture(&[]).is_none());
    }
}
