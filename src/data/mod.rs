//! Data sets: images by class, read whole into memory.
//!
//! `digits` (8x8, 1797 images; E. Alpaydin and C. Kaynak, 1998, CC BY 4.0) is part of the program;
//! the CIFAR sets are read from a directory in their official binary layout. This layer imports
//! nothing from the crate.

pub mod catalog;
mod cifar;
mod digits;
mod error;

pub use catalog::{CATALOG, Entry, Layout};
pub use error::DataError;

use std::path::{Path, PathBuf};

/// Examples with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Bytes in the order example, row, column, channel.
    pub images: Vec<u8>,
    /// Classes, from 0.
    pub labels: Vec<i64>,
}

impl Split {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name in the catalog.
    pub name: String,
    /// Height, width, channels of an image.
    pub image: [usize; 3],
    /// Names of the classes.
    pub classes: Vec<String>,
    /// For training.
    pub train: Split,
    /// For testing.
    pub test: Split,
}

/// Where a data set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Part of this program.
    Embedded,
    /// In this directory.
    Directory(PathBuf),
}

/// Decides what `wanted` means: the name of a data set, which is then looked for, or a directory,
/// whose files tell the layout.
pub fn locate(wanted: &str) -> Result<(&'static Entry, Place), DataError> {
    if let Some(entry) = catalog::find(wanted) {
        return Ok((entry, place_of(entry)?));
    }
    let directory = Path::new(wanted);
    if !directory.exists() && !wanted.contains(['/', '\\', '.']) {
        return Err(DataError::Unknown {
            name: wanted.into(),
            remedy: format!("known are {}; a directory is read as CIFAR-10 in its binary layout", catalog::names()),
        });
    }
    let is_cifar100 = cifar::is_layout(directory, Layout::Cifar100) && !cifar::is_layout(directory, Layout::Cifar10);
    let name = if is_cifar100 { "cifar100" } else { "cifar10" };
    let entry = catalog::find(name).expect("both are in the catalog");
    Ok((entry, Place::Directory(directory.into())))
}

/// Directories in which a data set is looked for, in order: `$SPHC_DATA`, `$SPHC_DATA/<name>`,
/// `./data/<name>`, and what the official archives unpack to below `./data`.
pub fn search_path(entry: &Entry) -> Vec<PathBuf> {
    let official = match entry.layout {
        Layout::Embedded => return Vec::new(),
        Layout::Cifar10 => "cifar-10-batches-bin",
        Layout::Cifar100 => "cifar-100-binary",
    };
    let mut res = Vec::new();
    if let Some(root) = std::env::var_os("SPHC_DATA").filter(|it| !it.is_empty()).map(PathBuf::from) {
        res.extend([root.clone(), root.join(entry.name), root.join(official)]);
    }
    res.extend([Path::new("data").join(entry.name), Path::new("data").join(official)]);
    res
}

fn place_of(entry: &Entry) -> Result<Place, DataError> {
    if entry.layout == Layout::Embedded {
        return Ok(Place::Embedded);
    }
    let places = search_path(entry);
    if let Some(found) = places.iter().find(|it| cifar::is_layout(it, entry.layout)) {
        return Ok(Place::Directory(found.clone()));
    }
    let looked = places.iter().map(|it| format!("`{}`", it.display())).collect::<Vec<_>>().join(", ");
    Err(DataError::Missing {
        name: entry.name.into(),
        cause: format!("not found in {looked}"),
        remedy: format!(
            "{} into `data/{}`, or give its directory with `--data DIR` or the variable SPHC_DATA",
            entry.source, entry.name
        ),
    })
}

/// Reads a data set that was located.
pub fn read(entry: &Entry, place: &Place) -> Result<Dataset, DataError> {
    match place {
        Place::Embedded => Ok(digits::digits()),
        Place::Directory(directory) => cifar::read(directory, entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_directories_are_told_apart() {
        assert_eq!(locate("digits").unwrap().1, Place::Embedded);
        let message = locate("cifr10").unwrap_err().to_string();
        assert!(message.contains("cifar10, cifar100, digits"), "{message}");
        let (entry, place) = locate("./nowhere").unwrap();
        let message = read(entry, &place).unwrap_err().to_string();
        assert!(message.contains("`./nowhere` does not exist") && message.contains("--data DIR"), "{message}");
    }

    #[test]
    fn the_catalog_agrees_with_the_embedded_set() {
        let (entry, place) = locate("digits").unwrap();
        let data = read(entry, &place).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (entry.train_examples, entry.test_examples));
        assert_eq!((data.image, data.classes.len()), (entry.image, entry.classes));
    }
}
