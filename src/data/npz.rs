//! NumPy's `.npz`: the arrays `x_train`, `y_train`, `x_test`, `y_test`, as Keras names them, or
//! `train_images`, `train_labels`, `test_images`, `test_labels`.

use super::manifest::Manifest;
use super::{DataError, Dataset, Split, numbered};
use npyz::{Deserialize, NpyFile, Order};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// More bytes than any array that fits in memory beside a training.
const MOST_BYTES: u64 = 8 << 30;

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
pub(super) fn read(place: &Path, manifest: &Manifest) -> Result<Dataset, DataError> {
    let path = file(place).ok_or_else(|| DataError::Missing {
        name: manifest.name.clone(),
        cause: format!("`{}` is no .npz file, and does not hold exactly one", place.display()),
        remedy: manifest.remedy(&manifest.name),
    })?;
    let fail = |cause| DataError::Read { path: path.clone(), cause };
    let malformed = |cause: String| DataError::Malformed { path: path.clone(), cause };
    let open = File::open(&path).map_err(fail)?;
    let mut archive = ZipArchive::new(BufReader::new(open)).map_err(|it| malformed(it.to_string()))?;
    let (image, train) =
        split(&mut archive, ["x_train", "train_images"], ["y_train", "train_labels"], manifest).map_err(malformed)?;
    let (other, test) =
        split(&mut archive, ["x_test", "test_images"], ["y_test", "test_labels"], manifest).map_err(malformed)?;
    if other != image {
        return Err(malformed(format!("images for training have extents {image:?}, those for testing {other:?}")));
    }
    let classes = match manifest.classes.is_empty() {
        true => numbered(&[&train.labels, &test.labels]),
        false => manifest.classes.clone(),
    };
    Ok(Dataset { name: manifest.name.clone(), image, classes, train, test })
}

type Archive = ZipArchive<BufReader<File>>;

fn split(
    archive: &mut Archive,
    images: [&'static str; 2],
    labels: [&'static str; 2],
    manifest: &Manifest,
) -> Result<([usize; 3], Split), String> {
    let (name, extents, images) = array(archive, images, |file| match read_as::<u8>(file) {
        Ok(it) => it.map_err(|it| it.to_string()),
        Err(file) => Err(format!("has dtype {}; images are bytes (uint8)", file.dtype().descr())),
    })?;
    let (count, image) = match extents[..] {
        [n, height, width] => (n, [height, width, 1]),
        [n, height, width, channels] => (n, [height, width, channels]),
        _ => {
            return Err(format!(
                "`{name}` has extents {extents:?}, not [n, height, width] or [n, height, width, channels]"
            ));
        }
    };
    let (name, extents, labels) = array(archive, labels, whole)?;
    if extents.iter().product::<usize>() != count || extents.first() != Some(&count) {
        return Err(format!("`{name}` has extents {extents:?}, one label for each of {count} images is [{count}]"));
    }
    if count == 0 {
        return Err(format!("`{name}` is empty"));
    }
    let classes = if manifest.classes.is_empty() { 10_000 } else { manifest.classes.len() as i64 };
    if let Some(at) = labels.iter().position(|it| !(0..classes).contains(it)) {
        return Err(format!("`{name}` has label {} at {at}; classes are 0 to {}", labels[at], classes - 1));
    }
    Ok((image, Split { images, labels }))
}

/// Any integer type.
fn whole(file: Numbers<'_>) -> Result<Vec<i64>, String> {
    fn wide<T: Into<i64>>(values: io::Result<Vec<T>>) -> Result<Vec<i64>, String> {
        Ok(values.map_err(|it| it.to_string())?.into_iter().map(Into::into).collect())
    }
    macro_rules! first_of {
        ($file:ident, $($type:ty),*) => {$(
            let $file = match read_as::<$type>($file) {
                Ok(it) => return wide(it),
                Err(it) => it,
            };
        )*};
    }
    first_of!(file, u8, i64, i32, u16, i16, i8, u32);
    match read_as::<u64>(file) {
        Ok(it) => Ok(it.map_err(|it| it.to_string())?.into_iter().map(|it| it as i64).collect()),
        Err(file) => Err(format!("has dtype {}; labels are integers", file.dtype().descr())),
    }
}

type Numbers<'a> = NpyFile<Box<dyn Read + 'a>>;

/// The numbers, if they are of this type. Memory grows as they come, whatever the header claims.
fn read_as<T: Deserialize>(file: Numbers<'_>) -> Result<io::Result<Vec<T>>, Numbers<'_>> {
    let reader = file.try_data::<T>()?;
    let mut res = Vec::new();
    for it in reader {
        match it {
            Ok(it) => res.push(it),
            Err(it) => return Ok(Err(it)),
        }
    }
    Ok(Ok(res))
}

/// The first of two names that is there, its extents and numbers.
fn array<T>(
    archive: &mut Archive,
    names: [&'static str; 2],
    numbers: impl Fn(Numbers<'_>) -> Result<Vec<T>, String>,
) -> Result<(&'static str, Vec<usize>, Vec<T>), String> {
    let found = names.into_iter().find(|it| archive.index_for_name(&format!("{it}.npy")).is_some());
    let name = found.ok_or_else(|| format!("it has no array `{}` and no `{}`", names[0], names[1]))?;
    let entry = archive.by_name(&format!("{name}.npy")).map_err(|it| format!("`{name}` cannot be read: {it}"))?;
    let reader: Box<dyn Read + '_> = Box::new(BufReader::new(entry.take(MOST_BYTES)));
    let file = NpyFile::new(reader).map_err(|it| format!("`{name}` is no array: {it}"))?;
    if file.order() != Order::C {
        return Err(format!("`{name}` is in Fortran's order; save it with `numpy.ascontiguousarray`"));
    }
    let extents: Vec<usize> = file.shape().iter().map(|it| *it as usize).collect();
    let values = numbers(file).map_err(|it| format!("`{name}` {it}"))?;
    if extents.iter().try_fold(1usize, |all, it| all.checked_mul(*it)) != Some(values.len()) {
        return Err(format!("`{name}` ends after {} numbers of extents {extents:?}", values.len()));
    }
    Ok((name, extents, values))
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
        read(dir.path(), &Manifest::bare("set".into(), Format::Npz))
    }

    #[test]
    fn arrays_of_bytes_and_any_integers_are_read() {
        let data = found(&archive(&arrays())).unwrap();
        assert_eq!((data.image, data.train.images, data.train.labels), ([1, 2, 1], vec![1, 2, 3, 4], vec![1, 0]));
        assert_eq!((data.test.labels, data.classes.len()), (vec![2], 3));
    }

    #[test]
    fn every_fault_names_the_array() {
        let cases = [
            (0, npy::<f32>(&[2, 1, 2], &[1.0; 4]), "`x_train` has dtype"),
            (0, npy::<u8>(&[4], &[1; 4]), "`x_train` has extents [4]"),
            (1, npy::<i64>(&[2], &[1, -1]), "`y_train` has label -1 at 1"),
            (1, npy::<u8>(&[3], &[1; 3]), "`y_train` has extents [3]"),
            (2, npy::<u8>(&[1, 2, 2], &[1; 4]), "those for testing [2, 2, 1]"),
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
