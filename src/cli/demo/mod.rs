//! `sphc demo`: what hyperspherical learning starts from, to be looked at.

mod fourier;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{args, data, plot, say, table};
use clap::Subcommand;
use fourier::{Made, Plane, correlation, exchanged};
use sphc::data::{Reading, Split};
use sphc::ir::DType;
use sphc::train::curves::Tile;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Exchange phases and magnitudes of two images' Fourier transforms: an image looks like the one whose phase it has
    Fourier(FourierArgs),
}

#[derive(Debug, clap::Args)]
struct FourierArgs {
    /// Two pictures of one size, PNG or JPEG; colours are taken as brightness
    #[arg(value_name = "IMAGE", num_args = 2, conflicts_with_all = ["data", "examples"])]
    images: Vec<PathBuf>,
    /// The data set whose test images are taken: a name, a directory, an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH", default_value = "digits")]
    data: String,
    /// Which two of its test images, counted from 0
    #[arg(long, value_name = "A,B", value_parser = pair, default_value = "0,7")]
    examples: [usize; 2],
    /// The picture to write: .svg or .png
    #[arg(short, long, value_name = "FILE", default_value = "fourier.svg")]
    output: PathBuf,
    /// Use no network: a data set that is not there is an error instead of being fetched
    #[arg(long)]
    offline: bool,
}

/// Beyond this the transform, which is done by its definition, takes long.
const LARGEST: usize = 512;
/// Width of an image in the picture.
const SIDE: u32 = 224;

fn pair(text: &str) -> Result<[usize; 2], String> {
    let (a, b) = text.split_once(',').ok_or("expected two numbers, such as 0,1")?;
    let number = |it: &str| it.trim().parse().map_err(|_| "expected two numbers, such as 0,1".to_owned());
    Ok([number(a)?, number(b)?])
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Fourier(it) => fourier(it),
    }
}

fn fourier(args: &FourierArgs) -> Outcome {
    let read: Vec<&Path> = args.images.iter().map(PathBuf::as_path).collect();
    let output = Output::new(&args.output, "-o", &read)?;
    plot::can_draw(&args.output)?;
    let [a, b] = match args.images.as_slice() {
        [a, b] => [of_file(a)?, of_file(b)?],
        [] | [_] | [_, _, ..] => of_data(args)?,
    };
    let size = |it: &Plane<f64>| format!("{}x{}", it.height, it.width);
    if (a.height, a.width) != (b.height, b.width) {
        let cause = format!("the images are {} and {}", size(&a), size(&b));
        return Err(Failure::new(
            cause,
            "give two of one size, since each number of one transform is put into the other",
        ));
    }
    if LARGEST < a.height.max(a.width) {
        let cause = format!("the images are {}, and the transform is done by its definition", size(&a));
        return Err(Failure::new(cause, format!("give images of {LARGEST}x{LARGEST} at most")));
    }
    let made = exchanged(&a, &b);
    let rows: Vec<Vec<String>> = made
        .iter()
        .map(|it| {
            let cells = [correlation(&it.image, &a), correlation(&it.image, &b)].map(|it| format!("{it:.3}"));
            [vec![it.name.to_owned()], cells.to_vec()].concat()
        })
        .collect();
    let tiles: Vec<Tile> = [("A", &a), ("B", &b)]
        .into_iter()
        .chain(made.iter().map(|Made { name, image }| (*name, image)))
        .map(|(name, image)| tile(name, image))
        .collect();
    let bytes = plot::images_as(&args.output, &tiles, 3, SIDE)?;
    output.fill(|file| file.write_all(&bytes))?;
    write!(say::out(), "{}", table::render(&["image", ">correlation with A", ">with B"], &rows))?;
    writeln!(say::out(), "wrote {}", output.shown())?;
    Ok(ExitCode::SUCCESS)
}

/// An image between its darkest and its brightest value.
fn tile(name: &str, image: &Plane<f64>) -> Tile {
    let low = image.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = image.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = if high == low { 0.0 } else { 255.0 / (high - low) };
    let grey = |it: &f64| [((it - low) * scale).round() as u8; 3];
    Tile { caption: name.to_owned(), width: image.width, pixels: image.values.iter().map(grey).collect() }
}

/// Grey values of pixels of one or three channels.
fn grey(height: usize, width: usize, pixels: &[u8]) -> Plane<f64> {
    let channels = (pixels.len() / (height * width).max(1)).max(1);
    let one = |it: &[u8]| match it {
        [red, green, blue] => 0.299 * f64::from(*red) + 0.587 * f64::from(*green) + 0.114 * f64::from(*blue),
        other => other.iter().copied().map(f64::from).sum::<f64>() / other.len() as f64,
    };
    Plane { height, width, values: pixels.chunks_exact(channels).map(one).collect() }
}

fn of_file(path: &Path) -> Result<Plane<f64>, Failure> {
    let picture = sphc::data::decode(path, false)?;
    let [height, width, _] = picture.size;
    let name = path.display().to_string();
    args::warn(&sphc::data::remarks(&picture.changes.iter().map(|it| (*it, vec![name.clone()])).collect()));
    Ok(grey(height, width, &picture.pixels))
}

fn of_data(args: &FourierArgs) -> Result<[Plane<f64>; 2], Failure> {
    let fetch: Option<sphc::Fetch> = if args.offline { None } else { Some(data::fetch) };
    let reading = Reading { memory: args::data_memory()?, ..Reading::default() };
    let read = sphc::read_data(&args.data, &reading, args::data_folder().as_deref(), fetch)?;
    args::warn(&read.warnings);
    let (Some([height, width, channels]), DType::U8) = (read.data.image.image(), read.data.dtype) else {
        let cause = format!("`{}` holds no images of bytes", args.data);
        return Err(Failure::new(cause, "name a data set of images, such as `digits`"));
    };
    let Split { images, targets } = &read.data.test;
    let each = height * width * channels;
    let one = |at: usize| {
        if targets.len() <= at {
            let cause = format!("there is no test image {at} in `{}`: it has {}", args.data, targets.len());
            return Err(Failure::new(cause, "count from 0, with `--examples A,B`"));
        }
        Ok(grey(height, width, &images[at * each..][..each]))
    };
    Ok([one(args.examples[0])?, one(args.examples[1])?])
}
