//! Augmentation of one image at a time: each step reads the last one's pixels and writes its own.

use super::memory::Element;
use crate::ir::augment::{self, CHOICES};
use crate::ir::{Augment, Border, DType, size};
use crate::kernel::augment::{middle, parts, reach, turns};

/// What an image is made of.
pub(super) trait Pixel: Element {
    const BLACK: Self;

    /// What a byte of the text stands for.
    fn of_byte(byte: u8) -> Self;

    /// Linear between four pixels, of a place in 1/256 of a pixel.
    fn between(y: i64, x: i64, pixel: impl Fn(i64, i64) -> Self) -> Self;

    /// Of bytes, what tones them.
    fn jitter(step: &Step, from: &[Self], uniform: &[f64], to: &mut [Self], reach: [i64; 3]);
}

/// Why no other type comes to a step: plans that ask for it are refused.
const REFUSED: &str = "refused when the kernel was loaded";

macro_rules! whole_pixel {
    ($number:ty) => {
        fn of_byte(byte: u8) -> Self {
            byte.into()
        }

        fn between(y: i64, x: i64, pixel: impl Fn(i64, i64) -> Self) -> Self {
            let (top, left, b, a) = (y >> 8, x >> 8, y & 255, x & 255);
            let pixel = |y, x| i64::from(pixel(y, x));
            let upper = (256 - a) * pixel(top, left) + a * pixel(top, left + 1);
            let lower = (256 - a) * pixel(top + 1, left) + a * pixel(top + 1, left + 1);
            (((256 - b) * upper + b * lower + (1 << 15)) >> 16) as $number
        }
    };
}

impl Pixel for u8 {
    const BLACK: u8 = 0;
    whole_pixel!(u8);

    fn jitter(step: &Step, from: &[u8], uniform: &[f64], to: &mut [u8], reach: [i64; 3]) {
        step.jitter(from, uniform, to, reach);
    }
}

impl Pixel for u16 {
    const BLACK: u16 = 0;
    whole_pixel!(u16);

    fn jitter(_: &Step, _: &[u16], _: &[f64], _: &mut [u16], _: [i64; 3]) {
        unreachable!("{REFUSED}")
    }
}

impl Pixel for i64 {
    const BLACK: i64 = 0;

    fn of_byte(byte: u8) -> i64 {
        byte.into()
    }

    fn between(_: i64, _: i64, _: impl Fn(i64, i64) -> i64) -> i64 {
        unreachable!("{REFUSED}")
    }

    fn jitter(_: &Step, _: &[i64], _: &[f64], _: &mut [i64], _: [i64; 3]) {
        unreachable!("{REFUSED}")
    }
}

macro_rules! real_pixel {
    ($real:ty) => {
        impl Pixel for $real {
            const BLACK: $real = 0.0;

            fn of_byte(byte: u8) -> $real {
                byte.into()
            }

            fn between(y: i64, x: i64, pixel: impl Fn(i64, i64) -> $real) -> $real {
                let (top, left, b, a) = (y >> 8, x >> 8, y & 255, x & 255);
                // Weights that a float has exactly.
                let weights = |share: i64| [(256 - share) as $real / 256.0, share as $real / 256.0];
                let mean = |[a, b]: [$real; 2], [first, second]: [$real; 2]| a * first + b * second;
                let (across, down) = (weights(a), weights(b));
                let upper = mean(across, [pixel(top, left), pixel(top, left + 1)]);
                let lower = mean(across, [pixel(top + 1, left), pixel(top + 1, left + 1)]);
                mean(down, [upper, lower])
            }

            fn jitter(_: &Step, _: &[$real], _: &[f64], _: &mut [$real], _: [i64; 3]) {
                unreachable!("{REFUSED}")
            }
        }
    };
}

real_pixel!(f32);
real_pixel!(f64);

/// The steps of a kernel, made ready.
pub(super) struct Augmenter {
    steps: Vec<Step>,
    /// Random numbers of an image.
    pub(super) draws: usize,
    /// Numbers of an image after all steps.
    pub(super) len: usize,
    /// Numbers of the largest image on the way.
    most: usize,
}

pub(super) struct Step {
    kind: Kind,
    /// Where its random numbers begin.
    column: usize,
    from: [usize; 3],
    to: [usize; 3],
}

enum Kind {
    Crop { pad: usize, border: Border, centre: bool },
    ResizedCrop { parts: Vec<[usize; 2]>, centre: bool },
    Rotate { turns: Vec<[i32; 2]> },
    FlipHorizontal,
    FlipVertical,
    ColorJitter { reach: [i64; 3] },
    Cutout { size: usize, value: u8 },
}

impl Augmenter {
    /// Makes steps ready for images of `item`.
    pub(super) fn new(steps: &[Augment], dtype: DType, item: &[usize]) -> Result<Self, String> {
        if let Some(step) = steps.iter().find(|it| !it.takes(dtype)) {
            return Err(format!("`{}` is not done to images of type {}", step.word(), dtype.word()));
        }
        let &[height, width, channels] = item else {
            return Err(format!("only images are augmented, not {item:?}"));
        };
        augment::after(steps, [height, width, channels]).map_err(|it| it.1)?;
        let mut ready = Vec::new();
        let mut from = [height, width, channels];
        let mut most = 0;
        for (step, column) in steps.iter().zip(augment::columns(steps)) {
            let to = step.shape(from)?;
            let image = [from[0], from[1]];
            let kind = match *step {
                Augment::Crop { pad, border, centre, .. } => Kind::Crop { pad, border, centre },
                Augment::ResizedCrop { size, centre: true, .. } => {
                    Kind::ResizedCrop { parts: vec![middle(image, size)], centre: true }
                }
                Augment::ResizedCrop { areas, ratios, centre, .. } => {
                    let [areas, ratios] = [areas, ratios].map(|it| it.map(|it| it.0));
                    Kind::ResizedCrop { parts: parts(image, areas, ratios), centre }
                }
                Augment::Rotate { degrees } => Kind::Rotate { turns: turns(degrees.0) },
                Augment::FlipHorizontal => Kind::FlipHorizontal,
                Augment::FlipVertical => Kind::FlipVertical,
                Augment::ColorJitter { brightness, contrast, saturation } => {
                    Kind::ColorJitter { reach: [brightness, contrast, saturation].map(|it| reach(it.0)) }
                }
                Augment::Cutout { size, value } => Kind::Cutout { size, value },
            };
            most = most.max(size::product(&to));
            ready.push(Step { kind, column, from, to });
            from = to;
        }
        Ok(Self { steps: ready, draws: augment::draws(steps), len: size::product(&from), most })
    }

    /// Room for images on the way.
    pub(super) fn scratch<T: Pixel>(&self) -> [Vec<T>; 2] {
        let len = if 1 < self.steps.len() { self.most } else { 0 };
        [vec![T::BLACK; len], vec![T::BLACK; len]]
    }

    /// One image.
    pub(super) fn run<T: Pixel>(&self, image: &[T], uniform: &[f64], to: &mut [T], scratch: &mut [Vec<T>; 2]) {
        let [mut now, mut next] = scratch.each_mut().map(Vec::as_mut_slice);
        for (at, step) in self.steps.iter().enumerate() {
            let uniform = uniform.get(step.column..).unwrap_or(&[]);
            let from = if at == 0 { image } else { &now[..size::product(&step.from)] };
            if at + 1 == self.steps.len() {
                step.run(from, uniform, to);
            } else {
                step.run(from, uniform, &mut next[..size::product(&step.to)]);
                std::mem::swap(&mut now, &mut next);
            }
        }
    }
}

/// One of `n` choices.
fn choice(u: f64, n: usize) -> usize {
    ((u * n as f64) as usize).min(n - 1)
}

impl Step {
    fn run<T: Pixel>(&self, from: &[T], uniform: &[f64], to: &mut [T]) {
        let [height, width, channels] = self.from;
        match &self.kind {
            Kind::Crop { pad, border, centre } => self.crop(from, uniform, to, (*pad, *border, *centre)),
            Kind::FlipHorizontal if choice(uniform[0], 2) == 0 => {
                let row = width * channels;
                for (from, to) in from.chunks_exact(row).zip(to.chunks_exact_mut(row)) {
                    for (from, to) in from.chunks_exact(channels).rev().zip(to.chunks_exact_mut(channels)) {
                        to.copy_from_slice(from);
                    }
                }
            }
            Kind::FlipVertical if choice(uniform[0], 2) == 0 => {
                let row = width * channels;
                for (from, to) in from.chunks_exact(row).rev().zip(to.chunks_exact_mut(row)) {
                    to.copy_from_slice(from);
                }
            }
            Kind::FlipHorizontal | Kind::FlipVertical => to.copy_from_slice(from),
            Kind::Cutout { size, value } => {
                to.copy_from_slice(from);
                let reach = |u: f64, n: usize| {
                    let first = choice(u, n) as i64 - (*size / 2) as i64;
                    let last = first.saturating_add(*size as i64).min(n as i64);
                    first.max(0) as usize..last.max(0) as usize
                };
                let columns = reach(uniform[1], width);
                for y in reach(uniform[0], height) {
                    to[(y * width + columns.start) * channels..(y * width + columns.end) * channels]
                        .fill(T::of_byte(*value));
                }
            }
            Kind::Rotate { turns } => self.rotate(from, turns[choice(uniform[0], CHOICES)], to),
            Kind::ResizedCrop { parts, centre } => self.resized(from, uniform, to, parts, *centre),
            Kind::ColorJitter { reach } => T::jitter(self, from, uniform, to, *reach),
        }
    }

    fn crop<T: Pixel>(&self, from: &[T], uniform: &[f64], to: &mut [T], (pad, border, centre): (usize, Border, bool)) {
        let [height, width, channels] = self.from;
        let [rows, columns, _] = self.to;
        let start = |n: usize, part: usize, which: usize| {
            let places = n + 2 * pad - part + 1;
            let offset = if centre { (places - 1) / 2 } else { choice(uniform[which], places) };
            offset as i64 - pad as i64
        };
        let (top, left) = (start(height, rows, 0), start(width, columns, 1));
        let sources: Vec<Option<usize>> = (0..columns).map(|x| source(left + x as i64, width, border)).collect();
        for (y, line) in to.chunks_exact_mut(columns * channels).enumerate() {
            let Some(row) = source(top + y as i64, height, border) else {
                line.fill(T::BLACK);
                continue;
            };
            let row = &from[row * width * channels..][..width * channels];
            for (pixel, source) in line.chunks_exact_mut(channels).zip(&sources) {
                match source {
                    Some(x) => pixel.copy_from_slice(&row[x * channels..][..channels]),
                    None => pixel.fill(T::BLACK),
                }
            }
        }
    }

    fn rotate<T: Pixel>(&self, from: &[T], [cos, sin]: [i32; 2], to: &mut [T]) {
        let [height, width, channels] = self.from;
        let (cos, sin) = (i64::from(cos), i64::from(sin));
        let (high, wide) = (height as i64, width as i64);
        for (at, pixel) in to.chunks_exact_mut(channels).enumerate() {
            // Twice the distance from the middle.
            let dy = 2 * (at / width) as i64 - (high - 1);
            let dx = 2 * (at % width) as i64 - (wide - 1);
            // In 1/131072 of a pixel, then in 1/256.
            let y = (cos * dy - sin * dx + ((high - 1) << 16)) >> 9;
            let x = (sin * dy + cos * dx + ((wide - 1) << 16)) >> 9;
            for (c, value) in pixel.iter_mut().enumerate() {
                *value = T::between(y, x, |y, x| {
                    let inside = 0 <= y && y < high && 0 <= x && x < wide;
                    if inside { from[(y as usize * width + x as usize) * channels + c] } else { T::BLACK }
                });
            }
        }
    }

    fn resized<T: Pixel>(&self, from: &[T], uniform: &[f64], to: &mut [T], parts: &[[usize; 2]], centre: bool) {
        let [height, width, channels] = self.from;
        let [rows, columns, _] = self.to;
        let (part, offset) = if centre {
            let part = parts[0];
            (part, [(height - part[0]) / 2, (width - part[1]) / 2])
        } else {
            let part = parts[choice(uniform[0], CHOICES)];
            (part, [choice(uniform[1], height - part[0] + 1), choice(uniform[2], width - part[1] + 1)])
        };
        let along = |at: usize, part: usize, size: usize| {
            let place = ((2 * at + 1) * part * 128) as i64;
            (place.div_euclid(size as i64) - 128).clamp(0, (part as i64 - 1) << 8)
        };
        for (at, pixel) in to.chunks_exact_mut(channels).enumerate() {
            let (y, x) = (along(at / columns, part[0], rows), along(at % columns, part[1], columns));
            for (c, value) in pixel.iter_mut().enumerate() {
                *value = T::between(y, x, |y, x| {
                    let y = (y as usize).min(part[0] - 1) + offset[0];
                    let x = (x as usize).min(part[1] - 1) + offset[1];
                    from[(y * width + x) * channels + c]
                });
            }
        }
    }

    fn jitter(&self, from: &[u8], uniform: &[f64], to: &mut [u8], reach: [i64; 3]) {
        let channels = self.from[2];
        let factor = |which: usize| {
            let drawn = choice(uniform[which], 1 << 24) as i64;
            65536 + ((reach[which] * (2 * drawn - (1 << 24))) >> 24)
        };
        let [bright, contrasted, saturated] = [0, 1, 2].map(factor);
        let around = |value: i64, middle: i64, factor: i64| {
            (((value - middle) * factor + (middle << 16) + (1 << 15)) >> 16).clamp(0, 255)
        };
        for (from, to) in from.chunks_exact(channels).zip(to.chunks_exact_mut(channels)) {
            for (from, to) in from.iter().zip(to.iter_mut()) {
                *to = around(around(i64::from(*from), 0, bright), 128, contrasted) as u8;
            }
            if let [red, green, blue] = to {
                let grey = (299 * i64::from(*red) + 587 * i64::from(*green) + 114 * i64::from(*blue) + 500) / 1000;
                for it in [red, green, blue] {
                    *it = around(i64::from(*it), grey, saturated) as u8;
                }
            }
        }
    }
}

/// Which pixel shows at a position; none in a border of zeros.
fn source(at: i64, n: usize, border: Border) -> Option<usize> {
    if 0 <= at && at < n as i64 {
        return Some(at as usize);
    }
    // Where the mirrored copy of the image ends with the pixel before the first.
    let (period, last) = match border {
        Border::Zero => return None,
        Border::Reflect => ((2 * n - 2).max(1), (2 * n - 2).max(1)),
        Border::Symmetric => (2 * n, 2 * n - 1),
    };
    let at = at.rem_euclid(period as i64) as usize;
    Some(if at < n { at } else { last - at })
}
