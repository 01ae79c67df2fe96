//! Steps that make images fit a model: as the recipe's `data` entry says, never of their own accord.

use super::bound::{Room, volume};
use super::element::Element;
use super::pixels::Store;
use super::{DataError, Dataset, Split};
use crate::ir::{DType, Extremes, ImageStep, size};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Rgb};
use std::path::Path;

/// Bytes of the largest image that a step may make.
const MOST_BYTES: u64 = 1 << 30;

/// What an image is made of.
trait Sample: Copy + Default {
    /// The brightness that the eye sees (ITU-R BT.601).
    fn grey(colours: [Self; 3]) -> Self;

    /// Linear between pixels; a mean over as many as fall together when it shrinks.
    fn scaled(pixels: Vec<Self>, from: [usize; 3], to: [usize; 3]) -> Vec<Self>;
}

macro_rules! sample {
    ($number:ty, $grey:expr) => {
        impl Sample for $number {
            fn grey([red, green, blue]: [Self; 3]) -> Self {
                $grey([red.into(), green.into(), blue.into()])
            }

            fn scaled(pixels: Vec<Self>, [height, width, channels]: [usize; 3], to: [usize; 3]) -> Vec<Self> {
                let (rows, columns) = (to[0] as u32, to[1] as u32);
                const FILLED: &str = "the pixels fill the image";
                if channels == 1 {
                    let image = ImageBuffer::<Luma<$number>, _>::from_raw(width as u32, height as u32, pixels);
                    resize(&image.expect(FILLED), columns, rows, FilterType::Triangle).into_raw()
                } else {
                    let image = ImageBuffer::<Rgb<$number>, _>::from_raw(width as u32, height as u32, pixels);
                    resize(&image.expect(FILLED), columns, rows, FilterType::Triangle).into_raw()
                }
            }
        }
    };
}

/// Of whole numbers, rounded.
fn brightness([red, green, blue]: [u32; 3]) -> u32 {
    (299 * red + 587 * green + 114 * blue + 500) / 1000
}

sample!(u8, |it| brightness(it) as u8);
sample!(u16, |it| brightness(it) as u16);

/// Reals, which pictures have from 0 to 1 only.
#[derive(Clone, Copy, Default)]
struct Number(f64);

sample!(f32, |[red, green, blue]: [f32; 3]| 0.299 * red + 0.587 * green + 0.114 * blue);

impl Sample for Number {
    fn grey(colours: [Number; 3]) -> Number {
        let [red, green, blue] = colours.map(|it| it.0);
        Number(0.299 * red + 0.587 * green + 0.114 * blue)
    }

    fn scaled(pixels: Vec<Number>, from: [usize; 3], to: [usize; 3]) -> Vec<Number> {
        let range = pixels.iter().fold(Extremes::NONE, |all, it| all.with(it.0));
        let span = range.most() - range.least();
        // What lies between numbers lies between the least and the largest.
        let share = |it: &Number| if 0.0 < span { ((it.0 - range.least()) / span) as f32 } else { 0.0 };
        let scaled = f32::scaled(pixels.iter().map(share).collect(), from, to);
        scaled.into_iter().map(|it| Number(range.least() + f64::from(it) * span)).collect()
    }
}

/// Does the steps to one image, rows of pixels of `size[2]` numbers, as bytes; or says what cannot be done.
pub fn apply(
    pixels: Vec<u8>,
    element: Element,
    size: [usize; 3],
    steps: &[ImageStep],
) -> Result<(Vec<u8>, [usize; 3]), String> {
    if let Some(step) = steps.iter().find(|it| !it.takes(element.dtype)) {
        return Err(format!("`{step}` makes numbers between others, and these are whole ones"));
    }
    let after = |numbers: &mut dyn Iterator<Item = f64>| {
        let mut bytes = Vec::new();
        numbers.for_each(|it| element.put(it, &mut bytes));
        bytes
    };
    match element.dtype {
        _ if steps.is_empty() => Ok((pixels, size)),
        DType::U8 => applied(pixels, size, steps),
        DType::U16 => {
            let numbers = pixels.as_chunks::<2>().0.iter().map(|it| u16::from_ne_bytes(*it)).collect();
            let (numbers, size) = applied::<u16>(numbers, size, steps)?;
            Ok((numbers.into_iter().flat_map(u16::to_ne_bytes).collect(), size))
        }
        DType::Int => {
            // Such steps only move numbers.
            let numbers = pixels.as_chunks::<8>().0.iter().map(|it| Whole(i64::from_ne_bytes(*it))).collect();
            let (numbers, size) = applied::<Whole>(numbers, size, steps)?;
            Ok((numbers.into_iter().flat_map(|it| it.0.to_ne_bytes()).collect(), size))
        }
        DType::Real | DType::Bf16 => {
            let mut numbers = Vec::new();
            element.each(&pixels, |it| numbers.push(Number(it)));
            let (numbers, size) = applied(numbers, size, steps)?;
            Ok((after(&mut numbers.into_iter().map(|it| it.0)), size))
        }
    }
}

/// Ids.
#[derive(Clone, Copy, Default)]
struct Whole(i64);

impl Sample for Whole {
    fn grey(_: [Whole; 3]) -> Whole {
        unreachable!("refused before")
    }

    fn scaled(_: Vec<Whole>, _: [usize; 3], _: [usize; 3]) -> Vec<Whole> {
        unreachable!("refused before")
    }
}

fn applied<T: Sample>(
    mut pixels: Vec<T>,
    mut size: [usize; 3],
    steps: &[ImageStep],
) -> Result<(Vec<T>, [usize; 3]), String> {
    for step in steps {
        let after = bounded(step.shape(size)?)?;
        pixels = match *step {
            ImageStep::Resize { .. } => T::scaled(pixels, size, after),
            ImageStep::Pad(by) => padded(&pixels, size, by),
            ImageStep::Channels(_) if after == size => pixels,
            ImageStep::Channels(1) => pixels.as_chunks::<3>().0.iter().map(|it| T::grey(*it)).collect(),
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

fn padded<T: Sample>(pixels: &[T], [height, width, channels]: [usize; 3], by: usize) -> Vec<T> {
    let row = (width + 2 * by) * channels;
    let mut res = vec![T::default(); (height + 2 * by) * row];
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
    let Some(stored) = data.image.image() else {
        return Err(fail(format!("examples of {} are no images", data.image.told())));
    };
    let mut image = stored;
    for step in steps {
        if data.target.of_pixels() && matches!(step, ImageStep::Pad(_)) {
            let told = data.target.describe(data.classes.len());
            return Err(fail(format!("`{step}` would move the images and not their targets, {told}")));
        }
        image = step.shape(image).and_then(bounded).map_err(fail)?;
    }
    let element = data.element();
    let bytes = size::product(&stored).saturating_mul(element.bytes());
    if bytes == 0 {
        return Err(fail(format!("images of {} have no pixels", data.image.told())));
    }
    let each_bytes = (size::product(&image) as u64).saturating_mul(element.bytes() as u64);
    let mut each = |split: &Split| -> Result<Split, DataError> {
        let all = each_bytes.saturating_mul(split.len() as u64);
        let mut images = Store::of(Path::new(&data.name), element, all, room)?;
        for it in split.images.chunks_exact(bytes) {
            images.extend(&apply(it.to_vec(), element, stored, steps).map_err(fail)?.0)?;
        }
        Ok(Split { images: images.end()?, targets: split.targets.clone() })
    };
    let (train, test) = (each(&data.train)?, each(&data.test)?);
    let validation = data.validation.as_ref().map(&mut each).transpose()?;
    let border = steps.iter().any(|it| matches!(it, ImageStep::Pad(_)));
    let range = data.range.map(|it| if border { it.with(0.0) } else { it });
    Ok(Dataset { image: image.into(), train, test, validation, range, ..data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(pixels: Vec<u8>, size: [usize; 3], steps: &[ImageStep]) -> Result<(Vec<u8>, [usize; 3]), String> {
        super::apply(pixels, Element::BYTE, size, steps)
    }

    #[test]
    fn numbers_of_every_type_go_through_the_steps() {
        let of = |element: Element, numbers: &[f64], size, steps: &[ImageStep]| {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|it| element.put(*it, &mut bytes));
            let (bytes, _) = super::apply(bytes, element, size, steps)?;
            let mut found = Vec::new();
            element.each(&bytes, |it| found.push(it));
            Ok::<_, String>(found)
        };
        let half = [ImageStep::Resize { height: 1, width: 1 }];
        let deep = Element::of(DType::U16);
        assert_eq!(of(deep, &[1000.0, 65535.0, 0.0, 3.0], [2, 2, 1], &half).unwrap(), [16635.0]);
        assert_eq!(of(deep, &[1000.0, 2000.0, 4000.0], [1, 1, 3], &[ImageStep::Channels(1)]).unwrap(), [1929.0]);
        for double in [false, true] {
            let real = Element { dtype: DType::Real, double };
            let found = of(real, &[-2.0, 4.0, 5.0, 1.0], [2, 2, 1], &half).unwrap();
            assert!((found[0] - 2.0).abs() < 1e-5, "{found:?}");
            assert_eq!(of(real, &[-2.5; 4], [2, 2, 1], &half).unwrap(), [-2.5]);
            assert_eq!(of(real, &[-2.5], [1, 1, 1], &[ImageStep::Pad(1)]).unwrap()[4], -2.5);
        }
        let ids = Element::of(DType::Int);
        assert_eq!(
            of(ids, &[7.0, -1.0], [1, 2, 1], &[ImageStep::Channels(3)]).unwrap(),
            [7.0, 7.0, 7.0, -1.0, -1.0, -1.0]
        );
        assert!(of(ids, &[7.0], [1, 1, 1], &half).unwrap_err().contains("`resize(1, 1)` makes numbers between"));
    }

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
