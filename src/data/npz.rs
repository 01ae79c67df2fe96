//! NumPy's `.npz`: the arrays `x_train`, `y_train`, `x_test`, `y_test`, as Keras names them, or
//! `train_images`, `train_labels`, `test_images`, `test_labels`.
//!
//! Every array is judged by its header before any number is read; what is not as it must be is said together, with the
//! line of Python that mends all of it.

use super::answers::Answers;
use super::arrays::{Faults, channels_first, image_extents};
use super::bound::{Room, ends, open, unpacks, volume};
use super::error::few;
use super::manifest::Manifest;
use super::npy::Header;
use super::pixels::{Pixels, Store};
use super::{DataError, Dataset, Split};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Names of an array of images or labels, the first choice first.
type Names = [&'static str; 2];

const IMAGES: [Names; 2] = [["x_train", "train_images"], ["x_test", "test_images"]];
const LABELS: [Names; 2] = [["y_train", "train_labels"], ["y_test", "test_labels"]];

/// Bytes that are read at once.
const PART: usize = 1 << 18;

/// The archive: the place itself, or the only one in it.
pub(super) fn file(place: &Path) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.into());
    }
    let inside = fs::read_dir(place).ok()?.flatten().map(|it| it.path());
    let mut found = inside.filter(|it| it.extension().is_some_and(|it| it == "npz"));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Reads both parts.
pub(super) fn read(place: &Path, manifest: &Manifest, room: &mut Room) -> Result<Dataset, DataError> {
    let path = file(place).ok_or_else(|| DataError::Missing {
        name: manifest.name.clone(),
        cause: format!("`{}` is not an .npz file, and does not hold exactly one", place.display()),
        remedy: manifest.remedy(&manifest.name),
    })?;
    let mut archive = Archive::open(&path)?;
    let mut array = |names: Names| archive.array(names);
    let images = [array(IMAGES[0])?, array(IMAGES[1])?];
    let labels = [array(LABELS[0])?, array(LABELS[1])?];
    let mut faults = Faults::default();
    archive.judge_images(&images, &mut faults)?;
    let answers = archive.answers(&images, &labels, manifest, room, &mut faults)?;
    faults.end(&path)?;

    let extents = |at: usize| image_extents(&images[at].header.shape).unwrap_or_default();
    let image = extents(0);
    if image != extents(1) {
        let cause = format!("images for training have extents {image:?}, those for testing {:?}", extents(1));
        return Err(DataError::Unfit { path, cause, remedy: "store both in one size".into() });
    }
    if images.iter().any(|it| it.header.shape.contains(&0)) {
        return Err(DataError::Empty { path });
    }
    let mut warnings = archive.unread(&images, &labels);
    warnings.extend(channels_first(&path, &images));
    let pixels = [archive.bytes(&images[0], room)?, archive.bytes(&images[1], room)?];
    let classes = answers.classes(manifest);
    let Answers { kind: target, parts } = answers;
    let [train, test] = pixels;
    let [train_targets, test_targets] = parts;
    let train = Split { images: train, targets: train_targets };
    let test = Split { images: test, targets: test_targets };
    Ok(Dataset { name: manifest.name.clone(), image, target, classes, train, test, validation: None, warnings })
}

/// An array that is there.
pub(super) struct Array {
    pub(super) name: &'static str,
    pub(super) header: Header,
    /// Numbers that its header claims.
    pub(super) count: u64,
}

pub(super) struct Archive {
    pub(super) path: PathBuf,
    length: u64,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    fn open(path: &Path) -> Result<Archive, DataError> {
        let (file, length) = open(path)?;
        let malformed = |cause: String| DataError::Malformed { path: path.into(), cause };
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|it| malformed(it.to_string()))?;
        if zip.has_duplicate_names() {
            return Err(malformed("two of its arrays have the same name".into()));
        }
        Ok(Archive { path: path.into(), length, zip })
    }

    fn malformed(&self, cause: String) -> DataError {
        DataError::Malformed { path: self.path.clone(), cause }
    }

    /// The numbers of an array, behind its header.
    fn entry(&mut self, name: &str) -> Result<(Header, impl Read + use<'_>), DataError> {
        let path = self.path.clone();
        let fail = |cause: String| DataError::Malformed { path: path.clone(), cause };
        let entry = self.zip.by_name(&format!("{name}.npy"));
        let mut entry = BufReader::new(entry.map_err(|it| fail(format!("`{name}` cannot be read: {it}")))?);
        let header = Header::read(&mut entry).map_err(|it| fail(format!("`{name}` is not an array: {it}")))?;
        Ok((header, entry))
    }

    /// The first of two names that is there; its header claims no more than a file of this size can honestly hold.
    fn array(&mut self, names: Names) -> Result<Array, DataError> {
        let found = names.into_iter().find(|it| self.zip.index_for_name(&format!("{it}.npy")).is_some());
        let Some(name) = found else {
            let remedy = "a data set has `x_train`, `y_train`, `x_test` and `y_test`: \
                          `np.savez('set.npz', x_train=..., y_train=..., x_test=..., y_test=...)`";
            let cause = format!("it has no array `{}` and no `{}`", names[0], names[1]);
            return Err(DataError::Unfit { path: self.path.clone(), cause, remedy: remedy.into() });
        };
        let header = self.entry(name)?.0;
        let sizes = || Some((volume(&header.shape)?, header.dtype.bytes().max(1) as u64));
        let claims = sizes().and_then(|(count, bytes)| Some((count, count.checked_mul(bytes)?)));
        let Some((count, bytes)) = claims else {
            return Err(self.malformed(format!("`{name}` claims extents {:?}", header.shape)));
        };
        unpacks(&self.path, self.length, bytes)?;
        Ok(Array { name, header, count })
    }

    /// Shows every number of an array. Behind the last one the array's checksum is compared.
    pub(super) fn each(&mut self, array: &Array, see: impl FnMut(f64)) -> Result<(), DataError> {
        let name = array.name;
        let path = self.path.clone();
        let (header, mut entry) = self.entry(name)?;
        let fail = |cause: String| DataError::Malformed { path: path.clone(), cause };
        let cut = |it| fail(format!("`{name}` cannot be read to its end: {it}"));
        header.dtype.each(&mut entry, array.count, see).map_err(cut)?;
        match ends(&mut entry).map_err(cut)? {
            true => Ok(()),
            false => Err(fail(format!("`{name}` holds more than the numbers of its extents {:?}", header.shape))),
        }
    }

    /// The bytes of an array of bytes.
    fn bytes(&mut self, array: &Array, room: &mut Room) -> Result<Pixels, DataError> {
        let mut res = Store::of(&self.path, array.count, room)?;
        let (name, path) = (array.name, self.path.clone());
        let mut entry = self.entry(name)?.1;
        let fail = |cause: String| DataError::Malformed { path: path.clone(), cause };
        let cut = |it| fail(format!("`{name}` cannot be read to its end: {it}"));
        let shape = &array.header.shape;
        let (mut part, mut read) = (vec![0; PART], 0);
        while read < array.count {
            let wanted = PART.min(usize::try_from(array.count - read).unwrap_or(PART));
            let found = match entry.read(&mut part[..wanted]) {
                Ok(0) => return Err(fail(format!("`{name}` ends after {read} numbers of extents {shape:?}"))),
                Err(it) if it.kind() == io::ErrorKind::Interrupted => continue,
                found => found.map_err(cut)?,
            };
            res.extend(&part[..found])?;
            read += found as u64;
        }
        match ends(&mut entry).map_err(cut)? {
            true => res.end(),
            false => Err(fail(format!("`{name}` holds more than the numbers of its extents {shape:?}"))),
        }
    }

    /// What to say of entries that nothing reads.
    fn unread(&self, images: &[Array; 2], labels: &[Array; 2]) -> Vec<String> {
        let read = |name: &str| images.iter().chain(labels).any(|it| name.strip_suffix(".npy") == Some(it.name));
        let names = self.zip.file_names().map(|it| it.map_or_else(|_| "?".to_owned(), |it| it.into_owned()));
        let names = names.filter(|it| !read(it)).map(|it| it.strip_suffix(".npy").unwrap_or(&it).to_owned());
        let names: Vec<String> = names.collect();
        match names.len() {
            0 => Vec::new(),
            1 => vec![format!("the array {} of `{}` is not read", few(&names), self.path.display())],
            count => vec![format!("{count} arrays of `{}` are not read: {}", self.path.display(), few(&names))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Format;
    use npyz::WriterBuilder;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes);
        let mut writer = options.begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn archive(arrays: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        let mut writer = ZipWriter::new(File::create(res.path().join("set.npz")).unwrap());
        for (name, bytes) in arrays {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        res
    }

    fn arrays() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("x_train", npy::<u8>(&[2, 1, 2], &[1, 2, 3, 4])),
            ("y_train", npy::<i64>(&[2, 1], &[1, 0])),
            ("x_test", npy::<u8>(&[1, 1, 2], &[5, 6])),
            ("y_test", npy::<u8>(&[1], &[2])),
        ]
    }

    fn found(dir: &tempfile::TempDir) -> Result<Dataset, DataError> {
        read(dir.path(), &Manifest::bare("set".into(), Format::Npz), &mut Room::of(1 << 20))
    }

    #[test]
    fn arrays_of_bytes_and_any_integers_are_read() {
        let data = found(&archive(&arrays())).unwrap();
        assert_eq!((data.image, data.train.images.to_vec()), ([1, 2, 1], vec![1, 2, 3, 4]));
        assert_eq!(data.train.targets.labels(), [1, 0]);
        assert_eq!((data.test.targets.labels(), data.classes.len()), (&[2][..], 3));
    }

    #[test]
    fn every_fault_names_the_array() {
        let cases = [
            (0, npy::<f32>(&[2, 1, 2], &[1.0; 4]), "`x_train` has dtype"),
            (0, npy::<u8>(&[4], &[1; 4]), "`x_train` has extents [4]"),
            (1, npy::<i64>(&[2], &[1, -1]), "`y_train` has label -1 at 1"),
            (1, npy::<u8>(&[3], &[1; 3]), "`y_train` has extents [3]"),
            (2, npy::<u8>(&[1, 2, 2], &[1; 4]), "those for testing [2, 2, 1]"),
            (3, npy::<f32>(&[1, 4], &[0.5; 4]), "they are of two kinds"),
        ];
        for (at, bytes, expected) in cases {
            let mut arrays = arrays();
            arrays[at].1 = bytes;
            let message = found(&archive(&arrays)).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("set.npz"), "{message}");
        }
        let mut cut = arrays();
        let length = cut[0].1.len() - 1;
        cut[0].1.truncate(length);
        assert!(found(&archive(&cut)).is_err());
        let message = found(&archive(&arrays()[1..])).unwrap_err().to_string();
        assert!(message.contains("no array `x_train`"), "{message}");
    }
}
