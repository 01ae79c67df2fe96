//! The files of MNIST and its kin: a magic number, extents, and bytes.

use super::manifest::Manifest;
use super::{DataError, Dataset, Split, numbered};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More bytes than any file of this format that fits in memory beside a training.
const MOST_BYTES: u64 = 8 << 30;

/// A file as it is or compressed.
fn file(directory: &Path, name: &str) -> Option<PathBuf> {
    let plain = directory.join(name);
    let packed = directory.join(format!("{name}.gz"));
    [plain, packed].into_iter().find(|it| it.is_file())
}

/// Whether `directory` holds training files of this layout.
pub(super) fn is_layout(directory: &Path) -> bool {
    file(directory, "train-images-idx3-ubyte").is_some()
}

/// Reads both parts.
pub(super) fn read(directory: &Path, manifest: &Manifest) -> Result<Dataset, DataError> {
    let (image, train) = read_split(directory, "train", manifest)?;
    let (other, test) = read_split(directory, "t10k", manifest)?;
    if other != image {
        let path = directory.join("t10k-images-idx3-ubyte");
        let cause = format!("its images are {}x{}, those for training {}x{}", other[0], other[1], image[0], image[1]);
        return Err(DataError::Malformed { path, cause });
    }
    let classes = match manifest.classes.is_empty() {
        true => numbered(&[&train.labels, &test.labels]),
        false => manifest.classes.clone(),
    };
    Ok(Dataset { name: manifest.name.clone(), image, classes, train, test })
}

fn read_split(directory: &Path, part: &str, manifest: &Manifest) -> Result<([usize; 3], Split), DataError> {
    let (images_path, extents, images) = read_file(directory, &format!("{part}-images-idx3-ubyte"), 3, manifest)?;
    let (labels_path, counts, labels) = read_file(directory, &format!("{part}-labels-idx1-ubyte"), 1, manifest)?;
    if extents[0] != counts[0] {
        let cause = format!("it has {} labels for the {} images of `{}`", counts[0], extents[0], images_path.display());
        return Err(DataError::Malformed { path: labels_path, cause });
    }
    let classes = if manifest.classes.is_empty() { 256 } else { manifest.classes.len() };
    if let Some(record) = labels.iter().position(|it| classes <= usize::from(*it)) {
        let (label, name) = (labels[record].into(), manifest.name.clone());
        return Err(DataError::Label { path: labels_path, record, offset: 8 + record, label, name, classes });
    }
    let labels = labels.into_iter().map(i64::from).collect();
    Ok(([extents[1], extents[2], 1], Split { images, labels }))
}

/// Path, extents and bytes of a file.
fn read_file(
    directory: &Path,
    name: &str,
    rank: usize,
    manifest: &Manifest,
) -> Result<(PathBuf, Vec<usize>, Vec<u8>), DataError> {
    let Some(path) = file(directory, name) else {
        return Err(DataError::Missing {
            name: manifest.name.clone(),
            cause: format!("`{}` has no `{name}` and no `{name}.gz`", directory.display()),
            remedy: manifest.remedy(&manifest.name),
        });
    };
    let fail = |cause| DataError::Read { path: path.clone(), cause };
    let open = File::open(&path).map_err(fail)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|it| it == "gz") {
        GzDecoder::new(open).take(MOST_BYTES).read_to_end(&mut bytes).map_err(fail)?;
    } else {
        open.take(MOST_BYTES).read_to_end(&mut bytes).map_err(fail)?;
    }
    let malformed = |cause: String| DataError::Malformed { path: path.clone(), cause };
    let start = 4 + 4 * rank;
    if bytes.len() < start || bytes[..4] != [0, 0, 8, rank as u8] {
        return Err(malformed(format!(
            "it does not open as a file of bytes in {rank} dimension(s) does (0 0 8 {rank})"
        )));
    }
    let extent = |it: &[u8]| u32::from_be_bytes([it[0], it[1], it[2], it[3]]) as usize;
    let extents: Vec<usize> = bytes[4..start].chunks_exact(4).map(extent).collect();
    let expected = extents.iter().try_fold(1usize, |all, it| all.checked_mul(*it)).unwrap_or(usize::MAX);
    if bytes.len() - start != expected {
        let found = bytes.len() - start;
        return Err(malformed(format!("its header tells {extents:?}, {expected} bytes, but {found} follow")));
    }
    if expected == 0 {
        return Err(DataError::Empty { path });
    }
    bytes.drain(..start);
    Ok((path, extents, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{find, format_of};
    use std::fs;
    use std::io::Write;

    fn bytes(extents: &[u32], data: &[u8]) -> Vec<u8> {
        let mut res = vec![0, 0, 8, extents.len() as u8];
        res.extend(extents.iter().flat_map(|it| it.to_be_bytes()));
        res.extend(data);
        res
    }

    fn gz(data: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// Two training images and one for testing, of 1x2.
    fn directory() -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        let put = |name: &str, data: Vec<u8>| fs::write(res.path().join(name), data).unwrap();
        put("train-images-idx3-ubyte", bytes(&[2, 1, 2], &[1, 2, 3, 4]));
        put("train-labels-idx1-ubyte", bytes(&[2], &[7, 9]));
        put("t10k-images-idx3-ubyte.gz", gz(&bytes(&[1, 1, 2], &[5, 6])));
        put("t10k-labels-idx1-ubyte.gz", gz(&bytes(&[1], &[0])));
        res
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        let dir = directory();
        assert_eq!(format_of(dir.path()).unwrap(), crate::data::Format::Idx);
        let data = read(dir.path(), find("mnist").unwrap()).unwrap();
        assert_eq!((data.image, data.train.images, data.train.labels), ([1, 2, 1], vec![1, 2, 3, 4], vec![7, 9]));
        assert_eq!((data.test.images, data.test.labels, data.classes.len()), (vec![5, 6], vec![0], 10));
    }

    #[test]
    fn every_fault_names_the_file() {
        let cases: [(&str, Vec<u8>, &str); 5] = [
            ("train-images-idx3-ubyte", bytes(&[2, 1, 2], &[1, 2, 3]), "4 bytes, but 3 follow"),
            ("train-images-idx3-ubyte", bytes(&[u32::MAX, u32::MAX, 9], &[1]), "but 1 follow"),
            ("train-labels-idx1-ubyte", bytes(&[3], &[1, 1, 1]), "3 labels for the 2 images"),
            ("train-labels-idx1-ubyte", bytes(&[2], &[1, 10]), "record 1 (from 0, at byte 9) has label 10"),
            ("t10k-labels-idx1-ubyte.gz", b"no gzip".to_vec(), "cannot read"),
        ];
        for (name, data, expected) in cases {
            let dir = directory();
            fs::write(dir.path().join(name), data).unwrap();
            let message = read(dir.path(), find("mnist").unwrap()).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains(name), "{message}");
        }
    }
}
