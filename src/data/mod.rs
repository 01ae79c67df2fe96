//! (Unstable.) Data sets: examples, such as images, with what they are to be answered with; in memory, or in a file where they are
//! too many.
//!
//! A [`Manifest`] says what a data set is and where it can be fetched; each storage format has a file
//! that reads it. `digits` (8x8, 1797 images; E. Alpaydin and C. Kaynak, 1998, CC BY 4.0) is part of the
//! program.

mod answers;
mod array;
mod bound;
mod cifar;
mod columns;
mod convert;
mod digits;
mod element;
mod error;
mod examples;
mod faults;
pub mod fetch;
mod folder;
mod full;
mod gallery;
mod idx;
mod judge;
mod labels;
mod manifest;
mod masks;
mod mend;
mod npy;
mod npz;
mod picture;
mod pixels;
mod shards;
mod steps;
mod table;
mod target;
mod unpack;
mod write;
pub mod yaml;

pub use array::{Loaded, is_array, load};
pub use element::Element;
pub use error::{DataError, FetchError, few};
pub use folder::pictures;
pub use full::make_room;
pub use manifest::{Answer, Format, Manifest, Remote, catalog, find};
pub use picture::{Change, Picture, decode, remarks};
pub use pixels::Pixels;
pub use steps::apply;
pub use target::Targets;
pub use unpack::unpack;
pub use write::{Named, Values, write_npz};

use crate::ir::{DType, Extremes, ImageStep, Shape, TargetKind, random};
use bound::Room;
use error::{plain, shown};
use pixels::Store;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Examples with what they are to be answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Numbers of the examples, one example after the other; of images in the order row, column, channel.
    pub images: Pixels,
    /// One for each example.
    pub targets: Targets,
}

impl Split {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Extents of an example: height, width, channels of an image.
    pub image: Shape,
    /// What an example is made of.
    pub dtype: DType,
    /// Whether reals are kept in 64 bits.
    pub double: bool,
    /// What an example is to be answered with.
    pub target: TargetKind,
    /// Names of the classes; none where targets are numbers.
    pub classes: Vec<String>,
    /// For training.
    pub train: Split,
    /// For testing.
    pub test: Split,
    /// For looking at while it is trained with, where it has images for that.
    pub validation: Option<Split>,
    /// The least and the largest number of its examples, where that is known to mean something: as its manifest says, or as was
    /// found in more than a handful of them.
    pub range: Option<Extremes>,
    /// What a reader should know, a sentence each: files that were not read, pictures that were changed, classes without
    /// images.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// Bytes of images that lie in a file, and take no memory of their own.
    pub fn mapped(&self) -> usize {
        let all = [&self.train, &self.test].into_iter().chain(&self.validation);
        all.map(|it| it.images.mapped()).sum()
    }

    /// As it is trained with: its own images for validation, where it has some, take the place of those for tests. That it has
    /// some stays to be seen.
    #[must_use]
    pub fn for_training(mut self) -> Dataset {
        if let Some(it) = self.validation.replace(Split::default()) {
            return Dataset { test: it, ..self };
        }
        Dataset { validation: None, ..self }
    }

    /// What an example is made of.
    pub fn element(&self) -> Element {
        Element { dtype: self.dtype, double: self.double }
    }

    /// The least and the largest number of the training examples.
    pub fn extremes(&self) -> Extremes {
        self.train.images.seen(self.element()).range
    }

    /// What it is known by, whatever its files are called: a sum over the numbers of its training examples and their targets, and
    /// over those that it is looked at with.
    pub fn fingerprints(&self) -> [String; 2] {
        let of = |split: &Split| {
            let mut sum = Sha256::new();
            sum.update(split.images.seen(self.element()).digest);
            split.targets.digest(&mut sum);
            // 64 bits tell any two data sets apart that are not made to be taken for each other.
            sum.finalize().iter().take(8).map(|it| format!("{it:02x}")).collect()
        };
        [of(&self.train), of(&self.test)]
    }

    /// Whether examples are images, and what they are called.
    pub fn noun(&self) -> &'static str {
        self.image.noun(self.dtype)
    }
}

/// How a data set is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// What is done to each image.
    pub steps: &'a [ImageStep],
    /// What the examples may take of memory; what is free unless told. Those that are more lie in a file of the folder for
    /// temporary files.
    pub memory: Option<u64>,
    /// The type of the model's input. Examples are made so where no number changes by that.
    pub input: Option<DType>,
    /// Whether reals are kept in 64 bits.
    pub double: bool,
    /// Told how many pictures of how many are decoded, part by part: thousands of them take a while.
    pub watch: Option<Watch>,
}

/// Takes how many of how many pictures are decoded.
pub type Watch = fn(done: usize, all: usize);

/// Where a data set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Part of this program.
    Embedded,
    /// In this directory, or this file.
    At(PathBuf),
}

/// Decides what `wanted` means: the name of a data set, a manifest (.yaml), an .npz file, or a directory,
/// whose files tell the format. The place of a named one may be missing; see [`place_of`].
pub fn describe(wanted: &str) -> Result<Manifest, DataError> {
    if let Some(known) = find(wanted) {
        return Ok(known.clone());
    }
    let path = Path::new(wanted);
    let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    if matches!(&*extension, "yaml" | "yml") {
        return manifest::read(path);
    }
    if !path.exists() && !wanted.contains(['/', '\\', '.']) {
        return Err(DataError::Unknown {
            name: plain(wanted),
            remedy: format!(
                "known are {}; a directory is read as CIFAR, MNIST or images by class; a manifest ends in .yaml",
                manifest::names()
            ),
        });
    }
    let stem = |it: &Path| it.file_stem().map_or_else(|| "data".into(), |it| it.to_string_lossy().into_owned());
    let name = plain(&stem(&path.canonicalize().unwrap_or_else(|_| path.into())));
    let format = if extension == "npz" { Format::Npz } else { format_of(path)? };
    let known = match format {
        Format::Cifar10 => find("cifar10"),
        Format::Cifar100 => find("cifar100"),
        Format::Idx => manifest::catalog().iter().find(|it| it.format == format && it.name == name),
        Format::Embedded | Format::Images | Format::Masks | Format::Npz | Format::Csv => None,
    };
    let manifest = known.cloned().unwrap_or_else(|| Manifest::bare(name, format));
    Ok(Manifest { path: Some(path.into()), ..manifest })
}

/// The format of a directory.
fn format_of(directory: &Path) -> Result<Format, DataError> {
    let missing = |cause: String| DataError::Missing {
        name: shown(directory),
        cause,
        remedy: "give the directory of a data set with `--data DIR`, or a name, a manifest (.yaml) or an .npz file"
            .into(),
    };
    if !directory.exists() {
        return Err(missing(format!("`{}` does not exist", shown(directory))));
    }
    if !directory.is_dir() {
        return Err(missing(format!("`{}` is not a directory", shown(directory))));
    }
    // Folders of images and masks would also be two classes.
    let formats =
        [Format::Cifar10, Format::Cifar100, Format::Idx, Format::Masks, Format::Csv, Format::Images, Format::Npz];
    formats.into_iter().find(|it| holds(directory, *it, None)).ok_or_else(|| {
        missing(format!(
            "`{}` has no `data_batch_*.bin` (CIFAR-10), no `train.bin` (CIFAR-100), no `train-images-idx3-ubyte` \
             (MNIST), no `train/images` with `train/masks` (a class for each pixel), no `train/<class>/` (images), no \
             `train.csv` (a table of images) and no `train*.npz` (arrays){}",
            shown(directory),
            match folder::has_pictures(directory) {
                true => "; folders of classes without `train` and `test` are parted by a manifest with `split: 0.2`",
                false => "",
            }
        ))
    })
}

/// Whether a place has training files of a format.
fn holds(place: &Path, format: Format, manifest: Option<&Manifest>) -> bool {
    match format {
        Format::Embedded => false,
        Format::Cifar10 | Format::Cifar100 => cifar::is_layout(place, format),
        Format::Idx => idx::is_layout(place),
        Format::Images => folder::is_layout(place, manifest.is_some_and(|it| it.split.is_some())),
        Format::Masks => masks::is_layout(place),
        Format::Npz => shards::is_layout(place, manifest),
        Format::Csv => table::is_layout(place, manifest),
    }
}

/// Where a data set is fetched to: `<root>/<name>`, by default `data/<name>`; a user's own as its manifest says.
pub fn home(manifest: &Manifest, root: Option<&Path>) -> PathBuf {
    let root = root.unwrap_or(Path::new("data"));
    manifest.path.clone().unwrap_or_else(|| root.join(&manifest.name))
}

/// Directories in which a data set is looked for, in order: the root, `<root>/<name>`,
/// `./data/<name>`, and what the official archives unpack to below `./data`.
fn search_path(manifest: &Manifest, root: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = &manifest.path {
        return vec![path.clone()];
    }
    let mut roots: Vec<PathBuf> = root.map(Path::to_path_buf).into_iter().collect();
    let mut res = roots.clone();
    roots.push("data".into());
    for root in roots {
        res.push(root.join(&manifest.name));
        res.extend(manifest.directory.as_ref().map(|it| root.join(it)));
    }
    res
}

/// Looks for a data set: in the folder `root` of the user's data sets, and in `data`.
pub fn place_of(manifest: &Manifest, wanted: &str, root: Option<&Path>) -> Result<Place, DataError> {
    if manifest.format == Format::Embedded {
        return Ok(Place::Embedded);
    }
    let places = search_path(manifest, root);
    if let Some(found) = places.iter().find(|it| holds(it, manifest.format, Some(manifest))) {
        return Ok(Place::At(found.clone()));
    }
    if let Some(path) = manifest.path.as_ref().filter(|_| manifest.files.is_empty()) {
        let cause = match path.exists() {
            false => format!("`{}` does not exist", shown(path)),
            true => format!("`{}` does not hold {}", shown(path), manifest.format.files()),
        };
        let remedy = "correct the path: one in a file is seen from that file, one on the command line from here".into();
        return Err(DataError::Missing { name: manifest.name.clone(), cause, remedy });
    }
    let looked = places.iter().map(|it| format!("`{}`", shown(it))).collect::<Vec<_>>().join(", ");
    Err(DataError::Missing {
        name: manifest.name.clone(),
        cause: format!("not found in {looked}"),
        remedy: manifest.remedy(wanted),
    })
}

/// What `wanted` means, and where it is.
pub fn locate(wanted: &str, root: Option<&Path>) -> Result<(Manifest, Place), DataError> {
    let manifest = describe(wanted)?;
    let place = place_of(&manifest, wanted, root)?;
    Ok((manifest, place))
}

/// Reads a data set that was located, and does the steps to each of its images.
pub fn read(manifest: &Manifest, place: &Place, steps: &[ImageStep]) -> Result<Dataset, DataError> {
    read_as(manifest, place, &Reading { steps, ..Reading::default() })
}

/// Reads a data set that was located. Examples that are more than may be taken of memory lie in a file of the folder for temporary
/// files; CIFAR's, MNIST's and the targets of any must fit into it.
pub fn read_as(manifest: &Manifest, place: &Place, reading: &Reading<'_>) -> Result<Dataset, DataError> {
    let mut room = Room::here(reading.memory);
    let mut data = match (place, manifest.format) {
        (Place::Embedded, _) | (Place::At(_), Format::Embedded) => digits::digits(),
        // Images of different sizes may be equal after the steps only.
        (Place::At(path), Format::Images) => folder::read(path, manifest, reading, &mut room)?,
        (Place::At(path), Format::Idx) => idx::read(path, manifest, reading, &mut room)?,
        (Place::At(path), Format::Masks) => masks::read(path, manifest, reading, &mut room)?,
        (Place::At(path), Format::Npz) => npz::read(path, manifest, reading, &mut room)?,
        (Place::At(path), Format::Csv) => table::read(path, manifest, reading, &mut room)?,
        (Place::At(path), Format::Cifar10 | Format::Cifar100) => cifar::read(path, manifest, &mut room)?,
    };
    let images = matches!(manifest.format, Format::Images | Format::Csv);
    judge::judge(&mut data, manifest, if images { reading.steps } else { &[] })?;
    data = data.into_input(reading, &mut room)?;
    let mut data = if images { data } else { steps::fitted(data, reading.steps, &mut room)? };
    if data.mapped() != 0 {
        let (bytes, folder) = (error::size(data.mapped() as u64), std::env::temp_dir());
        data.warnings.push(format!(
            "{bytes} of {}s are more than the {} that they may take of memory: they lie in a file in `{}`",
            data.noun(),
            error::size(room.all()),
            shown(&folder)
        ));
    }
    Ok(data)
}

impl Dataset {
    /// With its examples as the model's input has them, where that has all of their numbers.
    fn into_input(self, reading: &Reading<'_>, room: &mut Room) -> Result<Dataset, DataError> {
        let to = Element { dtype: reading.input.unwrap_or(self.dtype), double: reading.double };
        let from = self.element();
        if from.dtype == to.dtype || convert::place(to.dtype) < convert::place(from.dtype) {
            return Ok(self);
        }
        let mut converted = |split: Split| -> Result<Split, DataError> {
            let numbers = (split.images.len() / from.bytes()) as u64;
            let all = numbers.saturating_mul(to.bytes() as u64);
            let mut images = Store::of(Path::new(&self.name), to, all, room)?;
            let mut part = Vec::new();
            for bytes in split.images.chunks(from.bytes() << 16) {
                part.clear();
                from.each(bytes, |it| to.put(it, &mut part));
                images.extend(&part)?;
            }
            Ok(Split { images: images.end()?, targets: split.targets })
        };
        let (train, test) = (converted(self.train)?, converted(self.test)?);
        let validation = self.validation.map(&mut converted).transpose()?;
        Ok(Dataset { dtype: to.dtype, double: to.double, train, test, validation, ..self })
    }
}

/// The same data set without a share of its training images, chosen by the seed; unless `tests`, they take the place of the
/// test set.
pub fn parted(data: Dataset, share: f64, seed: u64, tests: bool) -> Result<Dataset, DataError> {
    parted_by(data, share, seed, "validate", tests)
}

/// The same, chosen by a stream of random numbers of this name, which is that of what asks for it.
fn parted_by(data: Dataset, share: f64, seed: u64, by: &str, tests: bool) -> Result<Dataset, DataError> {
    let examples = data.train.len();
    if examples < 2 {
        let cause = format!("{examples} training {} cannot be parted: `{by}` needs two at least", data.noun());
        return Err(DataError::Step { name: data.name, cause });
    }
    let kept = crate::ir::recipe::kept(examples, share);
    let stream = random::stream(by);
    let mut order: Vec<usize> =
        (0..examples).map(|it| random::shuffled(seed, stream, it as u64, examples as u64) as usize).collect();
    let mut train = order.split_off(kept);
    // In the order they had.
    order.sort_unstable();
    train.sort_unstable();
    let each = data.train.images.len() / examples;
    // Parts of what lies in a file lie in files as well.
    let mut room = Room::of(if data.train.images.mapped() == 0 { u64::MAX } else { 0 });
    let mut take = |all: &[usize]| -> Result<Split, DataError> {
        let bytes = (each as u64).saturating_mul(all.len() as u64);
        let mut images = Store::of(Path::new(&data.name), data.element(), bytes, &mut room)?;
        for at in all {
            images.extend(&data.train.images[at * each..][..each])?;
        }
        Ok(Split { images: images.end()?, targets: data.train.targets.picked(all) })
    };
    let (train, kept) = (take(&train)?, take(&order)?);
    let test = if tests { data.test } else { kept };
    Ok(Dataset { train, test, ..data })
}

/// Names of the classes, without reading the images where that can be avoided.
pub fn class_names(manifest: &Manifest, wanted: &str, root: Option<&Path>) -> Result<Vec<String>, DataError> {
    if !manifest.classes.is_empty() && manifest.format != Format::Images {
        return Ok(manifest.classes.clone());
    }
    let place = place_of(manifest, wanted, root)?;
    match &place {
        Place::At(path) if manifest.format == Format::Images => folder::class_names(path, manifest.split.is_some()),
        Place::At(path) if manifest.format == Format::Csv => table::class_names(path, manifest),
        Place::At(_) | Place::Embedded => Ok(read(manifest, &place, &[])?.classes),
    }
}

/// `0`, `1`, ... for labels without names.
fn numbered(labels: &[&[i64]]) -> Vec<String> {
    let most = labels.iter().flat_map(|it| it.iter()).max().copied().unwrap_or(0);
    (0..=most).map(|it| it.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_directories_are_told_apart() {
        assert_eq!(locate("digits", None).unwrap().1, Place::Embedded);
        let message = describe("cifr10").unwrap_err().to_string();
        assert!(message.contains("cifar10, cifar100, digits"), "{message}");
        let message = describe("./nowhere").unwrap_err().to_string();
        assert!(message.contains("`./nowhere` does not exist") && message.contains("--data"), "{message}");
    }

    #[test]
    fn the_catalog_agrees_with_the_embedded_set() {
        let (manifest, place) = locate("digits", None).unwrap();
        let data = read(&manifest, &place, &[]).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (manifest.train_examples, manifest.test_examples));
        assert_eq!((Some(data.image), data.classes), (manifest.image, manifest.classes));
        assert_eq!(data.range, manifest.range);
    }
}
