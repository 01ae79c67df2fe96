//! What can be wrong with a data set: always with the path, the cause and the remedy.

use super::full::make_room_or;
use crate::ir::Shape;
use std::path::{Path, PathBuf};

/// Some names: the first few, and how many more there are. Signs that a terminal would obey are shown by their number.
pub fn few<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|it| format!("`{}`", plain(it.as_ref()))).collect();
    let more = names.len().saturating_sub(SHOWN);
    shown.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// Whether a terminal obeys a sign instead of showing it, or turns around the text beside it.
pub(super) fn is_obeyed(it: char) -> bool {
    it.is_control() || matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of somebody else's, without signs that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let each = |it: char| if is_obeyed(it) { it.escape_default().to_string() } else { it.to_string() };
    text.chars().map(each).collect()
}

/// What is told of something, which may take several lines and have words of others in it.
fn told(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// A path, without signs that a terminal would obey or that would begin another line.
pub(super) fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// `1 file` or `3 files`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Bytes in the unit that suits their number.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// A number, however large or small, in a few signs.
pub(super) fn figure(number: f64) -> String {
    match number.abs() {
        0.0 | 1e-5..1e16 => number.to_string(),
        _ if number.is_finite() => format!("{number:e}"),
        _ => number.to_string(),
    }
}

/// `32x32 with 3 channels`.
pub(super) fn extents([height, width, channels]: [usize; 3]) -> String {
    format!("{height}x{width} with {channels} channel{}", if channels == 1 { "" } else { "s" })
}

/// Extents of an example.
pub(super) fn sizes(shape: &Shape) -> String {
    match shape.0[..] {
        [height, width, channels] => extents([height, width, channels]),
        _ => shape.told(),
    }
}

/// A data set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither a known name nor a directory.
    #[error("`{}` is neither a data set that sphc knows nor a directory\n  {}", plain(name), told(remedy))]
    Unknown {
        /// As the user gave it.
        name: String,
        /// What to do.
        remedy: String,
    },
    /// The directory or its files are not there.
    #[error("data set `{}` is not there: {}\n  {}", plain(name), told(cause), told(remedy))]
    Missing {
        /// Which data set.
        name: String,
        /// What was looked for and where.
        cause: String,
        /// How to get it.
        remedy: String,
    },
    /// The operating system refused.
    #[error("cannot read `{}`: {cause}\n  check the path, and that you may read it", shown(path))]
    Read {
        /// Which file.
        path: PathBuf,
        /// Its reason.
        cause: std::io::Error,
    },
    /// More examples than there is memory for.
    #[error(
        "`{}` takes {} of memory, and {} of the {} that are free are left\n  \
         give a smaller data set, make its images smaller before they are stored, or raise `SPHC_DATA_MEMORY` if it is set",
        shown(path), size(*bytes), size(*free), size(*all)
    )]
    Memory {
        /// Which file.
        path: PathBuf,
        /// What it takes.
        bytes: u64,
        /// What is left.
        free: u64,
        /// What was free before the first file.
        all: u64,
    },
    /// Images that are too many for memory, and cannot be put into a file either.
    #[error(
        "cannot write a file of {} to `{}`, for images that are too many for memory: {cause}\n  {}",
        size(*bytes), shown(folder), make_room_or(cause, "a folder on another disk: `TMPDIR=DIR`")
    )]
    Unwritten {
        /// Where it should be.
        folder: PathBuf,
        /// How large it would be.
        bytes: u64,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// A packed file that becomes suspiciously much.
    #[error(
        "`{}` has {} and unpacks to {}, more than {most} times its size: that is taken for an attack, not for data\n  \
         if it is meant, store it uncompressed (`np.savez` in place of `np.savez_compressed`)",
        shown(path), size(*packed), size(*bytes)
    )]
    Unpacks {
        /// Which file.
        path: PathBuf,
        /// Its size.
        packed: u64,
        /// What it becomes.
        bytes: u64,
        /// How many times its size it may become.
        most: u64,
    },
    /// A sound file of the user's own that holds something else than is needed.
    #[error("`{}` cannot be used as it is: {}\n  {}", shown(path), told(cause), told(remedy))]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What is otherwise.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A file whose length is not a whole number of records.
    #[error(
        "`{}` is cut off or of another layout: {size} bytes are {complete} records of {record} bytes and {over} more\n  \
         fetch the file again, or write it in the layout of `{}`, whose files are a multiple of {record} bytes long",
        shown(path),
        plain(name)
    )]
    Partial {
        /// Which data set.
        name: String,
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// Size of a record.
        record: usize,
        /// Whole records in it.
        complete: u64,
        /// Bytes behind them.
        over: u64,
    },
    /// A label that no class has.
    #[error(
        "`{}`: record {record} (from 0, at byte {offset}) has label {label}, but `{}` has classes 0 to {}\n  \
         name the classes in a manifest (`classes: [...]`, see docs/training.md) if the file is meant; if it is not, give \
         another with `--data`",
        shown(path), plain(name), classes.saturating_sub(1)
    )]
    Label {
        /// Which file.
        path: PathBuf,
        /// Which record.
        record: u64,
        /// Where its label stands.
        offset: u64,
        /// The label.
        label: i64,
        /// Which data set.
        name: String,
        /// How many classes it has.
        classes: usize,
    },
    /// A file without records.
    #[error(
        "`{}` is empty: there is nothing to train on\n  write the file again, or give another with `--data`",
        shown(path)
    )]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A manifest that says what cannot be.
    #[error(
        "`{}` is not a manifest of a data set: {}\n  docs/training.md tells what it may hold",
        shown(path),
        told(cause)
    )]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A file whose bytes are not what its format asks for.
    #[error(
        "`{}` is damaged or of another format: {}\n  write or fetch it again, or give another with `--data`",
        shown(path),
        told(cause)
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A picture that cannot be used.
    #[error(
        "cannot use the picture `{}`: {}\n  PNG and JPEG files can be read; remove it, or save it as one",
        shown(path),
        told(cause)
    )]
    Image {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Pictures of different sizes.
    #[error(
        "`{}` is {}\n  make them equal by steps in the recipe: `data NAME{}`",
        shown(path),
        told(cause),
        told(steps)
    )]
    Sizes {
        /// Which file.
        path: PathBuf,
        /// Its extents, and those of the file that came first.
        cause: String,
        /// Steps that would help.
        steps: String,
    },
    /// A step of the recipe that cannot be done to these images.
    #[error(
        "the images of `{}` cannot be made to fit: {}\n  change the steps in the recipe's `data` entry",
        plain(name),
        told(cause)
    )]
    Step {
        /// Which data set.
        name: String,
        /// Why not.
        cause: String,
    },
    /// A data set that is not what its manifest says.
    #[error(
        "data set `{}` has {}, and its manifest says {}\n  {}",
        plain(name),
        told(found),
        told(expected),
        told(remedy)
    )]
    Promised {
        /// Of the data set.
        name: String,
        /// What it has.
        found: String,
        /// What the manifest says.
        expected: String,
        /// What to do.
        remedy: String,
    },
    /// A data set of another kind than the model or plan was made for.
    #[error(
        "data set `{}` does not fit `{}`: it has {}, the model is made for {}\n  {}",
        plain(name),
        plain(model),
        told(found),
        told(expected),
        told(remedy)
    )]
    Mismatch {
        /// Which data set.
        name: String,
        /// Which model.
        model: String,
        /// What the data set has.
        found: String,
        /// What the model wants.
        expected: String,
        /// What to do.
        remedy: String,
    },
}

fn again(have: u64) -> String {
    match have {
        0 => "try again later".into(),
        have => format!("the same command goes on from {have} bytes"),
    }
}

/// A data set that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is nothing to fetch.
    #[error("`{}` cannot be fetched: {}\n  {}", plain(name), told(cause), told(remedy))]
    Nothing {
        /// Which data set.
        name: String,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The server could not be reached, or broke off.
    #[error(
        "cannot fetch {}: {}\n  {}; without a network, put the files into `{}` by hand",
        plain(url), told(cause), again(*have), shown(directory)
    )]
    Network {
        /// What was asked for.
        url: String,
        /// Why.
        cause: String,
        /// Bytes that are here already.
        have: u64,
        /// Where the data set belongs.
        directory: PathBuf,
    },
    /// The bytes are not those that the manifest tells.
    #[error(
        "{} gave other bytes than expected: {}\n  nothing was kept; try again, and if it stays so, the file has \
         changed or someone is in between: do not use it",
        plain(url),
        told(cause)
    )]
    Wrong {
        /// What was fetched.
        url: String,
        /// Expected and found.
        cause: String,
    },
    /// An archive that does not hold what it should.
    #[error(
        "cannot unpack {}: {}\n  nothing was kept; the manifest and the archive do not belong together",
        plain(url),
        told(cause)
    )]
    Unpack {
        /// What was fetched.
        url: String,
        /// Why.
        cause: String,
    },
    /// The disk.
    #[error(
        "cannot write `{}`: {cause}\n  {}",
        shown(path),
        make_room_or(cause, "a folder that can be written to with the variable SPHC_DATA")
    )]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}
