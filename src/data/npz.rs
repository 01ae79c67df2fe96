//! NumPy's `.npz`: the arrays `x_train`, `y_train`, `x_test`, `y_test` and if wanted `x_val`, `y_val`, as Keras names them, or
//! `train_images`, `train_labels`, ...; in one file, or in several for each part, which hold `x` and `y` as well.
//!
//! Every array is judged by its header before any number is read; what is not as it must be is said together, with the
//! line of Python that mends all of it.

use super::answers::Answers;
use super::bound::{Room, ends, open, unpacks, volume};
use super::error::{few, shown};
use super::examples::{self, Examples};
use super::faults::Faults;
use super::manifest::Manifest;
use super::npy::Header;
use super::shards::{self, Layout, PARTS};
use super::{DataError, Dataset, Reading, Split, answers, parted_by};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use zip::ZipArchive;
use zip::result::ZipError;

/// Names of an array of examples and of their labels in each part, the first choice first; the last two where a file is of that
/// part alone.
const EXAMPLES: [[&str; 4]; 3] = [
    ["x_train", "train_images", "x", "images"],
    ["x_test", "test_images", "x", "images"],
    ["x_val", "val_images", "x", "images"],
];
const LABELS: [[&str; 4]; 3] = [
    ["y_train", "train_labels", "y", "labels"],
    ["y_test", "test_labels", "y", "labels"],
    ["y_val", "val_labels", "y", "labels"],
];

/// Reads all parts.
pub(super) fn read(
    place: &Path,
    manifest: &Manifest,
    reading: &Reading<'_>,
    room: &mut Room,
) -> Result<Dataset, DataError> {
    let found = shards::find(place, manifest)?;
    let mut parts = Vec::new();
    let mut warnings = found.warnings;
    match &found.layout {
        Layout::One(path) => {
            let file = Archive::open(path)?;
            let only_train = manifest.split.is_some();
            for (at, [word, _]) in PARTS.iter().enumerate() {
                let there = EXAMPLES[at][..2].iter().chain(&LABELS[at][..2]).any(|it| file.has(it));
                if *word == "train" || *word == "test" && !only_train || there {
                    parts.push(Part::of(at, &[(&file, false)])?);
                }
            }
            warnings.extend(unread(&[&file], &parts));
        }
        Layout::Many(paths) => {
            let files = paths.iter().map(|it| it.iter().map(|it| Archive::open(it)).collect::<Result<Vec<_>, _>>());
            let files: Vec<Vec<Archive>> = files.collect::<Result<_, _>>()?;
            for (at, files) in files.iter().enumerate().filter(|it| !it.1.is_empty()) {
                let files: Vec<(&Archive, bool)> = files.iter().map(|it| (it, true)).collect();
                parts.push(Part::of(at, &files)?);
            }
            warnings.extend(unread(&files.iter().flatten().collect::<Vec<_>>(), &parts));
        }
    }
    if let (Some(_), Some(part)) = (manifest.split, parts.iter().find(|it| it.word == "test")) {
        return Err(DataError::Unfit {
            path: place.into(),
            cause: format!("it has `{}`, and the manifest says `split`", part.examples[0].name),
            remedy: "leave `split` out of the manifest, or the arrays for tests out of the file".into(),
        });
    }

    let mut faults = Faults::default();
    let form = examples::judge(&parts, reading, &mut faults)?;
    let answers = answers::read(&parts, manifest, room, &mut faults)?;
    faults.end()?;
    let form = form.expect("what has no form is a fault");
    if let Some(empty) = parts.iter().flat_map(|it| &it.examples).find(|it| it.header.shape.contains(&0)) {
        return Err(DataError::Unfit {
            path: empty.path().into(),
            cause: format!("`{}` has extents {:?}: there are no examples in it", empty.name, empty.header.shape),
            remedy: "store one example at least; of arrays for training alone a manifest keeps a share for tests: \
                     `format: npz` and `split: 0.2`"
                .into(),
        });
    }
    warnings.extend(examples::channels_first(&parts));
    let classes = answers.classes(manifest);
    let Answers { kind: target, parts: targets } = answers;
    let mut splits: [Option<Split>; 3] = Default::default();
    let mut inexact = None;
    for (part, targets) in parts.iter().zip(targets) {
        let Examples { pixels, rounded } = form.read(part, room)?;
        inexact = inexact.or(rounded);
        splits[part.at] = Some(Split { images: pixels, targets });
    }
    warnings.extend(inexact);
    let [train, test, validation] = splits;
    let data = Dataset {
        name: manifest.name.clone(),
        image: form.extents.clone(),
        dtype: form.element.dtype,
        double: form.element.double,
        target,
        classes,
        train: train.unwrap_or_default(),
        test: test.unwrap_or_default(),
        validation,
        range: None,
        warnings,
    };
    match manifest.split {
        Some(share) => parted_by(data, share, manifest.split_seed.unwrap_or(0), "split", false),
        None => Ok(data),
    }
}

/// What to say of entries that nothing reads.
fn unread(files: &[&Archive], parts: &[Part]) -> Option<String> {
    let arrays = || parts.iter().flat_map(|it| it.examples.iter().chain(&it.labels));
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let read = |name: &str| arrays().any(|it| it.path() == *file.path && it.name == name);
        names.extend(file.names.iter().filter(|it| !read(it)).cloned());
    }
    names.sort();
    let whole = names.len();
    names.dedup();
    let place = match files {
        [one] => format!("`{}`", shown(&one.path)),
        all => format!("{} files", all.len()),
    };
    match (whole, names.len()) {
        (0, _) => None,
        (1, _) => Some(format!("the array {} of {place} is not read", few(&names))),
        (_, _) => Some(format!("{whole} arrays of {place} are not read: {}", few(&names))),
    }
}

/// A part of a data set: its arrays, file by file.
pub(super) struct Part {
    /// Its place among the parts.
    at: usize,
    /// `train`.
    word: &'static str,
    pub(super) examples: Vec<Array>,
    /// As many, each with the labels of the one of its place.
    pub(super) labels: Vec<Array>,
}

impl Part {
    fn of(at: usize, files: &[(&Archive, bool)]) -> Result<Part, DataError> {
        let [word, _] = PARTS[at];
        let mut res = Part { at, word, examples: Vec::new(), labels: Vec::new() };
        for (file, alone) in files {
            let names = if *alone { 4 } else { 2 };
            res.examples.push(file.array(&EXAMPLES[at][..names])?);
            res.labels.push(file.array(&LABELS[at][..names])?);
        }
        Ok(res)
    }
}

/// A file of arrays. It is opened anew for each of them, as there may be more files than a process may have open.
pub(super) struct Archive {
    path: Rc<PathBuf>,
    length: u64,
    /// Of its arrays.
    names: Vec<String>,
}

/// An array that is there.
pub(super) struct Array {
    path: Rc<PathBuf>,
    pub(super) name: &'static str,
    pub(super) header: Header,
    /// Numbers that its header claims.
    pub(super) count: u64,
}

/// Why an archive or something in it cannot be read.
fn unzipped(error: ZipError) -> String {
    match error {
        ZipError::Io(it) => it.to_string(),
        ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            "it is encrypted".into()
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            "it is packed in a way that NumPy never writes".into()
        }
        // The other kinds tell of bytes that contradict each other.
        _ => "its tables contradict each other".into(),
    }
}

fn zip(path: &Path) -> Result<(ZipArchive<BufReader<File>>, u64), DataError> {
    let (file, length) = open(path)?;
    let malformed = |cause: String| DataError::Malformed { path: path.into(), cause };
    if length == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
        let mut start = [0; 6];
        let read = File::open(path).and_then(|mut it| it.read_exact(&mut start)).is_ok();
        malformed(match (&start, error) {
            (b"\x93NUMPY", _) if read => "it is a single array (.npy), not an archive of arrays".into(),
            ([b'P', b'K', ..], ZipError::InvalidArchive(_)) => "it is an archive that is cut off at its end".into(),
            (_, ZipError::InvalidArchive(_)) => "it is not a ZIP archive, which an .npz file is".into(),
            (_, error) => unzipped(error),
        })
    })?;
    if archive.has_duplicate_names() {
        return Err(malformed("two of its arrays have the same name".into()));
    }
    Ok((archive, length))
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Archive, DataError> {
        let (zip, length) = zip(path)?;
        let names = zip.file_names().map(|it| it.map_or_else(|_| "?".to_owned(), |it| it.into_owned()));
        let names = names.map(|it| it.strip_suffix(".npy").unwrap_or(&it).to_owned()).collect();
        Ok(Archive { path: Rc::new(path.into()), length, names })
    }

    /// Names of its arrays.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|it| it == name)
    }

    /// The first of some names that is there; its header claims no more than a file of this size can honestly hold.
    fn array(&self, names: &[&'static str]) -> Result<Array, DataError> {
        let Some(name) = names.iter().copied().find(|it| self.has(it)) else {
            let remedy = "a data set has `x_train`, `y_train`, `x_test` and `y_test`: \
                          `np.savez('set.npz', x_train=..., y_train=..., x_test=..., y_test=...)`";
            let (last, others) = names.split_last().unwrap_or((&"", &[]));
            let others: Vec<String> = others.iter().map(|it| format!("no array `{it}`")).collect();
            let cause = format!("it has {} and no `{last}`", others.join(", "));
            return Err(DataError::Unfit { path: self.path.to_path_buf(), cause, remedy: remedy.into() });
        };
        let header = entry(&self.path, name, |header, _| Ok(header))?;
        let sizes = || Some((volume(&header.shape)?, header.dtype.bytes().max(1) as u64));
        let claims = sizes().and_then(|(count, bytes)| Some((count, count.checked_mul(bytes)?)));
        let Some((count, bytes)) = claims else {
            let cause = format!("`{name}` claims extents {:?}", header.shape);
            return Err(DataError::Malformed { path: self.path.to_path_buf(), cause });
        };
        unpacks(&self.path, self.length, bytes)?;
        Ok(Array { path: self.path.clone(), name, header, count })
    }
}

/// Numbers that are read at once.
const PART: u64 = 1 << 15;

/// Reads an array's header and gives it with what follows.
pub(super) fn entry<T>(
    path: &Path,
    name: &str,
    then: impl FnOnce(Header, &mut dyn Read) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let fail = |cause: String| DataError::Malformed { path: path.into(), cause };
    let (mut zip, _) = zip(path)?;
    let found = zip.by_name(&format!("{name}.npy"));
    let found = found.map_err(|it| fail(format!("`{name}` cannot be read: {}", unzipped(it))))?;
    let mut found = BufReader::with_capacity(1 << 16, found);
    let header = Header::read(&mut found).map_err(|it| fail(format!("`{name}` is not an array: {it}")))?;
    then(header, &mut found)
}

impl Array {
    /// The file that it is in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Shows the bytes of an array's numbers, some whole ones at a time. Behind the last one the array's checksum is compared.
    pub(super) fn chunks(&self, mut see: impl FnMut(&[u8]) -> Result<(), DataError>) -> Result<(), DataError> {
        let Array { path, name, header, count } = self;
        let each = header.dtype.bytes() as u64;
        entry(path, name, |_, from| {
            let fail = |cause: String| DataError::Malformed { path: path.to_path_buf(), cause };
            let mut part = vec![0; (PART.min(*count) * each) as usize];
            let mut left = *count;
            while 0 < left {
                let now = PART.min(left);
                let bytes = &mut part[..(now * each) as usize];
                from.read_exact(bytes).map_err(|it| match it.kind() {
                    std::io::ErrorKind::UnexpectedEof => {
                        fail(format!("`{name}` ends before the numbers of its extents {:?} do", header.shape))
                    }
                    _ => fail(format!("`{name}` cannot be read to its end: {it}")),
                })?;
                see(bytes)?;
                left -= now;
            }
            match ends(from).map_err(|it| fail(format!("`{name}` cannot be read to its end: {it}")))? {
                true => Ok(()),
                false => Err(fail(format!("`{name}` holds more than the numbers of its extents {:?}", header.shape))),
            }
        })
    }

    /// Shows every number.
    pub(super) fn each(&self, mut see: impl FnMut(f64)) -> Result<(), DataError> {
        self.chunks(|bytes| {
            self.header.dtype.numbers(bytes, &mut see);
            Ok(())
        })
    }

    /// How many examples it has something of.
    pub(super) fn examples(&self) -> u64 {
        self.header.shape.first().copied().unwrap_or(0)
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
        let manifest = Manifest::bare("set".into(), Format::Npz);
        read(dir.path(), &manifest, &Reading::default(), &mut Room::of(1 << 20))
    }

    #[test]
    fn arrays_of_bytes_and_any_integers_are_read() {
        let data = found(&archive(&arrays())).unwrap();
        assert_eq!((data.image.0, data.train.images.to_vec()), (vec![1, 2, 1], vec![1, 2, 3, 4]));
        assert_eq!(data.train.targets.labels(), [1, 0]);
        assert_eq!((data.test.targets.labels(), data.classes.len()), (&[2][..], 3));
    }

    #[test]
    fn every_fault_names_the_array() {
        let cases = [
            (0, npy::<f32>(&[2, 1, 2], &[1.0; 4]), "`x_test` has dtype |u1, and `x_train` of `"),
            (0, npy::<u8>(&[2], &[1; 2]), "`x_train` has extents [2], not [n, ...]"),
            (1, npy::<i64>(&[2], &[1, -1]), "`y_train` has label -1 at 1"),
            (1, npy::<u8>(&[3], &[1; 3]), "`y_train` has extents [3]"),
            (
                2,
                npy::<u8>(&[1, 2, 2], &[1; 4]),
                "the examples of `x_test` have extents [2,2,1], those of `x_train` [1,2,1]",
            ),
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
