//! What is done to training images at random, step by step.
//!
//! Every step reads and writes numbers of the images' own type, and places are whole numbers: positions in 1/256 of a pixel,
//! factors in 1/65536. So every backend makes the same numbers; of reals, what lies between four pixels is a sum of products in
//! a fixed order, each rounded. A random number `u` in [0, 1) is used as `floor(u * n)`, one of `n` choices
//! (numbers outside, which no stream has, count as the nearest inside).

use super::DType;
use super::op::Scalar64;
use super::size;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What lies beyond the edge of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// Zeros.
    Zero,
    /// The image mirrored at its outermost pixels, which are not repeated: -1 is 1.
    Reflect,
    /// The image mirrored at its edge, the outermost pixels repeated: -1 is 0.
    Symmetric,
}

impl Border {
    /// By their words.
    pub const WORDS: [&'static str; 3] = ["zero", "reflect", "symmetric"];

    /// The one of a word.
    pub fn find(word: &str) -> Option<Border> {
        [Border::Zero, Border::Reflect, Border::Symmetric].into_iter().find(|it| it.word() == word)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Border::Zero => Border::WORDS[0],
            Border::Reflect => Border::WORDS[1],
            Border::Symmetric => Border::WORDS[2],
        }
    }
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Augment {
    /// A part of `size`, height and width, of the image with a border of `pad` pixels around it: at a random row and
    /// column (two numbers), or in the middle.
    Crop {
        /// Height and width of the result.
        size: [usize; 2],
        /// Pixels of the border.
        pad: usize,
        /// What they are.
        border: Border,
        /// In the middle: without random numbers.
        centre: bool,
    },
    /// A part of random area, shape, row and column (three numbers), scaled to `size`, linear between pixels; or the
    /// largest part of that shape in the middle. The part is one of 1024: `areas` and the logarithms of `ratios` are each
    /// cut into 32 equal intervals, whose middles are taken.
    ResizedCrop {
        /// Height and width of the result.
        size: [usize; 2],
        /// Least and largest share of the image.
        areas: [Scalar64; 2],
        /// Least and largest width divided by height.
        ratios: [Scalar64; 2],
        /// In the middle: without random numbers.
        centre: bool,
    },
    /// Turned about the middle by one of 1024 angles, spread evenly from minus to plus so many degrees (one number);
    /// linear between pixels, zeros outside.
    Rotate {
        /// The bound.
        degrees: Scalar64,
    },
    /// Left and right exchanged where the number is below 1/2.
    FlipHorizontal,
    /// Top and bottom exchanged where the number is below 1/2.
    FlipVertical,
    /// Brightness, contrast and saturation times a factor each, from 1 minus to 1 plus these (three numbers): distances
    /// from 0, from the middle grey 128, and from the pixel's own grey.
    ColorJitter {
        /// Of the distance from black.
        brightness: Scalar64,
        /// Of the distance from the middle grey.
        contrast: Scalar64,
        /// Of the distance from the pixel's grey.
        saturation: Scalar64,
    },
    /// A square of `size` pixels around a random pixel (two numbers) becomes `value`.
    Cutout {
        /// Its side.
        size: usize,
        /// What it is filled with.
        value: u8,
    },
}

/// Choices of an angle, and of the part that a resized crop takes.
pub const CHOICES: usize = 1024;

/// Intervals of areas and of ratios.
pub const INTERVALS: usize = 32;

/// Random numbers at the start of each image's, of which a mirror takes the first and a crop the other two.
const RESERVED: usize = 3;

impl Augment {
    /// Its word in the language.
    pub fn word(&self) -> &'static str {
        match self {
            Augment::Crop { .. } => "crop",
            Augment::ResizedCrop { .. } => "random_resized_crop",
            Augment::Rotate { .. } => "rotate",
            Augment::FlipHorizontal => "flip_horizontal",
            Augment::FlipVertical => "flip_vertical",
            Augment::ColorJitter { .. } => "color_jitter",
            Augment::Cutout { .. } => "cutout",
        }
    }

    /// Whether it can be done to images of this type: what only moves pixels, to any; what makes numbers between them, to those
    /// that stand for quantities; what knows black, white and grey, to bytes.
    pub fn takes(&self, dtype: DType) -> bool {
        match self {
            Augment::Crop { .. } | Augment::FlipHorizontal | Augment::FlipVertical | Augment::Cutout { .. } => {
                dtype != DType::Bf16
            }
            Augment::ResizedCrop { .. } | Augment::Rotate { .. } => {
                matches!(dtype, DType::U8 | DType::U16 | DType::Real)
            }
            Augment::ColorJitter { .. } => dtype == DType::U8,
        }
    }

    /// How many random numbers it takes for an image.
    fn draws(&self) -> usize {
        match self {
            Augment::Crop { centre: true, .. } | Augment::ResizedCrop { centre: true, .. } => 0,
            Augment::Rotate { .. } | Augment::FlipHorizontal | Augment::FlipVertical => 1,
            Augment::Crop { .. } | Augment::Cutout { .. } => 2,
            Augment::ResizedCrop { .. } | Augment::ColorJitter { .. } => 3,
        }
    }

    /// The same without chance, as images are evaluated; `None` for what only training does.
    pub fn steady(&self) -> Option<Augment> {
        match *self {
            Augment::Crop { size, pad, border, .. } => Some(Augment::Crop { size, pad, border, centre: true }),
            Augment::ResizedCrop { size, areas, ratios, .. } => {
                Some(Augment::ResizedCrop { size, areas, ratios, centre: true })
            }
            Augment::Rotate { .. }
            | Augment::FlipHorizontal
            | Augment::FlipVertical
            | Augment::ColorJitter { .. }
            | Augment::Cutout { .. } => None,
        }
    }

    /// Height, width and channels after the step; or why it cannot be done.
    pub fn shape(&self, [height, width, channels]: [usize; 3]) -> Result<[usize; 3], String> {
        let fits = |it: f64, low: f64, high: f64| it.is_finite() && low <= it && it <= high;
        match *self {
            Augment::Crop { size: [rows, columns], pad, .. } => {
                if pad > size::MOST_EXTENT / 4 {
                    return Err(format!("a border of {pad} pixels is too large"));
                }
                if rows == 0 || columns == 0 || height + 2 * pad < rows || width + 2 * pad < columns {
                    let (high, wide) = (height + 2 * pad, width + 2 * pad);
                    return Err(format!("a part of {rows}x{columns} does not lie in {high}x{wide}"));
                }
                Ok([rows, columns, channels])
            }
            Augment::ResizedCrop { size: [rows, columns], areas, ratios, .. } => {
                if [rows, columns].iter().any(|it| *it == 0 || 1 << 20 < *it) {
                    return Err(format!("images cannot become {rows}x{columns}"));
                }
                let [areas, ratios] = [areas, ratios].map(|it| it.map(|it| it.0));
                if !areas.iter().all(|it| fits(*it, f64::MIN_POSITIVE, 1.0)) || areas[1] < areas[0] {
                    return Err(format!("shares of the image from {} to {} are none", areas[0], areas[1]));
                }
                if !ratios.iter().all(|it| fits(*it, 1e-3, 1e3)) || ratios[1] < ratios[0] {
                    return Err(format!("ratios from {} to {} are none", ratios[0], ratios[1]));
                }
                Ok([rows, columns, channels])
            }
            Augment::Rotate { degrees } if !fits(degrees.0, 0.0, 180.0) => {
                Err(format!("{} degrees are not from 0 to 180", degrees.0))
            }
            Augment::ColorJitter { brightness, contrast, saturation } => {
                if let Some(it) = [brightness, contrast, saturation].iter().find(|it| !fits(it.0, 0.0, 1.0)) {
                    return Err(format!("a factor cannot move by {}: by at most 1", it.0));
                }
                if saturation.0 != 0.0 && channels != 3 {
                    return Err(format!("images of {channels} channels have no saturation; 3 have"));
                }
                Ok([height, width, channels])
            }
            Augment::Cutout { size, .. } if size == 0 || 1 << 20 < size => {
                Err(format!("a square of {size} pixels a side is none"))
            }
            Augment::Rotate { .. } | Augment::FlipHorizontal | Augment::FlipVertical | Augment::Cutout { .. } => {
                Ok([height, width, channels])
            }
        }
    }
}

/// Random numbers of an image for all steps; 0 if none takes any.
pub fn draws(steps: &[Augment]) -> usize {
    let last = columns(steps).iter().zip(steps).map(|(column, step)| column + step.draws()).max();
    match steps.iter().any(|it| 0 < it.draws()) {
        true => last.unwrap_or(0).max(RESERVED),
        false => 0,
    }
}

/// Where each step's random numbers begin among those of an image.
pub fn columns(steps: &[Augment]) -> Vec<usize> {
    let mut next = RESERVED;
    let mut columns = Vec::with_capacity(steps.len());
    for step in steps {
        columns.push(match step {
            Augment::FlipHorizontal => 0,
            Augment::Crop { .. } => 1,
            Augment::ResizedCrop { .. }
            | Augment::Rotate { .. }
            | Augment::FlipVertical
            | Augment::ColorJitter { .. }
            | Augment::Cutout { .. } => {
                next += step.draws();
                next - step.draws()
            }
        });
    }
    columns
}

/// Height, width and channels after all steps; or which cannot be done, and why.
pub fn after(steps: &[Augment], image: [usize; 3]) -> Result<[usize; 3], (usize, String)> {
    let mut image = image;
    for (at, step) in steps.iter().enumerate() {
        image = step.shape(image).map_err(|it| (at, it))?;
        if size::MOST_EXTENT < image[0].max(image[1]) || size::MOST_ELEMENTS < size::product(&image) {
            return Err((at, format!("images of {}x{}x{} are too large", image[0], image[1], image[2])));
        }
    }
    Ok(image)
}

/// Steps in one line; nothing where there are none.
pub fn text(steps: &[Augment]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word())?;
        match self {
            Augment::Crop { size: [h, w], centre: true, .. } => write!(f, "({h}, {w}) in the middle"),
            Augment::Crop { size: [h, w], pad, border, .. } => {
                write!(f, "({h}, {w}, pad: {pad}, mode: {})", border.word())
            }
            Augment::ResizedCrop { size: [h, w], centre: true, .. } => write!(f, "({h}, {w}) in the middle"),
            Augment::ResizedCrop { size: [h, w], areas, ratios, .. } => {
                let [areas, ratios] = [areas, ratios].map(|it| it.map(|it| it.0));
                write!(f, "({h}, {w}, scale: {areas:?}, ratio: {ratios:?})")
            }
            Augment::Rotate { degrees } => write!(f, "({})", degrees.0),
            Augment::FlipHorizontal | Augment::FlipVertical => Ok(()),
            Augment::ColorJitter { brightness, contrast, saturation } => {
                let [b, c, s] = [brightness, contrast, saturation].map(|it| it.0);
                write!(f, "(brightness: {b}, contrast: {c}, saturation: {s})")
            }
            Augment::Cutout { size, value } => write!(f, "({size}, value: {value})"),
        }
    }
}
