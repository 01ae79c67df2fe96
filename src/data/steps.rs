//! Steps that make images fit a model: as the recipe's `data` entry says, never of their own accord.

use super::bound::{Room, volume};
use super::pixels::Store;
use super::{DataError, Dataset, Split};
use crate::ir::{ImageStep, size};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Rgb};
use std::path::Path;

/// Bytes of the largest image that a step may make.
const MOST_BYTES: u64 = 1 << 30;

/// Does the steps to one image, rows of pixels of `size[2]` bytes; or says what cannot be done.
pub fn apply(mut pixels: Vec<u8>, mut size: [usize; 3], steps: &[ImageStep]) -> Result<(Vec<u8>, [usize; 3]), String> {
    for step in steps {
        let after = bounded(step.shape(size)?)?;
        pixels = match *step {
            ImageStep::Resize { .. } => scaled(pixels, size, after),
            ImageStep::Pad(by) => padded(&pixels, size, by),
            ImageStep::Channels(_) if after == size => pixels,
            ImageStep::Channels(1) => pixels.as_chunks::<3>().0.iter().map(|it| grey(*it)).collect(),
            ImageStep::Channels(_) => pixels.iter().flat_map(|it| [*it; 3]).collect(),
        };
        size = after;
    }
    Ok((pixels, size))
}

/// The extents of an image that a step makes, unless no machine should have to hold it.
fn bounded(size: [usize; 3]) -> Result<[usize; 3], String> {
    let [height, width, channels] = size;
    match volume(&size.map(|it| it as u64)) {
        Some(bytes) if bytes <= MOST_BYTES && u32::try_from(height.max(width)).is_ok() => Ok(size),
        _ => Err(format!("it would be {height}x{width}x{channels}, more than {MOST_BYTES} bytes")),
    }
}

/// The brightness that the eye sees (ITU-R BT.601), rounded.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000) as u8
}

/// Linear between pixels; a mean over as many as fall together when it shrinks.
fn scaled(pixels: Vec<u8>, [height, width, channels]: [usize; 3], to: [usize; 3]) -> Vec<u8> {
    let (rows, columns) = (to[0] as u32, to[1] as u32);
    if channels == 1 {
        let image = ImageBuffer::<Luma<u8>, _>::from_raw(width as u32, height as u32, pixels);
        resize(&image.expect("the pixels fill the image"), columns, rows, FilterType::Triangle).into_raw()
    } else {
        let image = ImageBuffer::<Rgb<u8>, _>::from_raw(width as u32, height as u32, pixels);
        resize(&image.expect("the pixels fill the image"), columns, rows, FilterType::Triangle).into_raw()
    }
}

fn padded(pixels: &[u8], [height, width, channels]: [usize; 3], by: usize) -> Vec<u8> {
    let row = (width + 2 * by) * channels;
    let mut res = vec![0; (height + 2 * by) * row];
    for (at, line) in pixels.chunks_exact(width * channels).enumerate() {
        let start = (at + by) * row + by * channels;
        res[start..start + line.len()].copy_from_slice(line);
    }
    res
}

/// Does the steps to every image of a data set.
pub(super) fn fitted(data: Dataset, steps: &[ImageStep], room: &mut Room) -> Result<Dataset, DataError> {
    if steps.is_empty() {
        return Ok(data);
    }
    let fail = |cause: String| DataError::Step { name: data.name.clone(), cause };
    let mut image = data.image;
    for step in steps {
        if data.target.of_pixels() && matches!(step, ImageStep::Pad(_)) {
            let told = data.target.describe(data.classes.len());
            return Err(fail(format!("`{step}` would move the images and not their targets, {told}")));
        }
        image = step.shape(image).and_then(bounded).map_err(fail)?;
    }
    let bytes = size::product(&data.image);
    if bytes == 0 {
        let [height, width, channels] = data.image;
        return Err(fail(format!("images of {height}x{width}x{channels} have no pixels")));
    }
    let each_bytes = size::product(&image) as u64;
    let mut each = |split: &Split| -> Result<Split, DataError> {
        let all = each_bytes.saturating_mul(split.len() as u64);
        let mut images = Store::of(Path::new(&data.name), all, room)?;
        for it in split.images.chunks_exact(bytes) {
            images.extend(&apply(it.to_vec(), data.image, steps).map_err(fail)?.0)?;
        }
        Ok(Split { images: images.end()?, targets: split.targets.clone() })
    };
    let (train, test) = (each(&data.train)?, each(&data.test)?);
    let validation = data.validation.as_ref().map(&mut each).transpose()?;
    Ok(Dataset { image, train, test, validation, ..data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_done_in_order() {
        let steps = [ImageStep::Pad(1), ImageStep::Channels(3)];
        let (pixels, size) = apply(vec![7, 9], [1, 2, 1], &steps).unwrap();
        assert_eq!(size, [3, 4, 3]);
        let expected = [0, 0, 0, 0, 0, 7, 9, 0, 0, 0, 0, 0];
        assert_eq!(pixels, expected.iter().flat_map(|it| [*it; 3]).collect::<Vec<u8>>());
    }

    #[test]
    fn grey_is_the_brightness_and_scaling_a_mean() {
        let (pixels, size) = apply(vec![255, 0, 0, 0, 255, 0], [1, 2, 3], &[ImageStep::Channels(1)]).unwrap();
        assert_eq!((pixels, size), (vec![76, 150], [1, 2, 1]));
        let step = ImageStep::Resize { height: 1, width: 1 };
        let (pixels, size) = apply(vec![10, 20, 30, 40], [2, 2, 1], &[step]).unwrap();
        assert_eq!((pixels, size), (vec![25], [1, 1, 1]));
        let step = ImageStep::Resize { height: 3, width: 5 };
        assert_eq!(apply(vec![50; 12], [2, 2, 3], &[step]).unwrap(), (vec![50; 45], [3, 5, 3]));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let message = apply(vec![0; 4], [1, 2, 2], &[ImageStep::Channels(3)]).unwrap_err();
        assert_eq!(message, "2 channels cannot become 3: 1 becomes 3, and 3 become 1");
    }
}
