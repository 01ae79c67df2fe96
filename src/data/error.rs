//! What can be wrong with a data set: always with the path, the cause and the remedy.

use std::path::PathBuf;

/// A data set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither a known name nor a directory.
    #[error("`{name}` is neither a data set that sphc knows nor a directory\n  {remedy}")]
    Unknown {
        /// As the user gave it.
        name: String,
        /// What to do.
        remedy: String,
    },
    /// The directory or its files are not there.
    #[error("data set `{name}` is not there: {cause}\n  {remedy}")]
    Missing {
        /// Which data set.
        name: String,
        /// What was looked for and where.
        cause: String,
        /// How to get it.
        remedy: String,
    },
    /// The operating system refused.
    #[error("cannot read `{}`: {cause}\n  check that the file is readable, or give another directory with `--data`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Its reason.
        cause: std::io::Error,
    },
    /// A file that ends within a record.
    #[error(
        "`{}` is truncated: {size} bytes are {complete} records of {record} and {over} bytes of another, \
         which should go on at byte {size}\n  fetch the file again; a complete one is a multiple of {record} bytes long",
        path.display()
    )]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: usize,
        /// Size of a record.
        record: usize,
        /// Whole records in it.
        complete: usize,
        /// Bytes of the last, cut one.
        over: usize,
    },
    /// A label that no class has.
    #[error(
        "`{}`: record {record} (from 0, at byte {offset}) has label {label}, but `{name}` has classes 0 to {}\n  \
         the file is damaged or of another layout; fetch it again or point `--data` elsewhere",
        path.display(), classes - 1
    )]
    Label {
        /// Which file.
        path: PathBuf,
        /// Which record.
        record: usize,
        /// Where its label stands.
        offset: usize,
        /// The label.
        label: u8,
        /// Which data set.
        name: String,
        /// How many classes it has.
        classes: usize,
    },
    /// A file without records.
    #[error("`{}` is empty\n  fetch the file again, or give another directory with `--data`", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A data set of another kind than the model or plan was made for.
    #[error("data set `{name}` does not fit `{model}`: it has {found}, the model is made for {expected}\n  {remedy}")]
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
