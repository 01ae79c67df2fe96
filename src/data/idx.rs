//! The files of MNIST and its kin: a magic number, extents, and bytes.

use super::bound::{Room, ends, open, unpacks, volume};
use super::error::few;
use super::manifest::Manifest;
use super::{DataError, Dataset, Split, Targets, numbered};
use crate::ir::TargetKind;
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

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
pub(super) fn read(directory: &Path, manifest: &Manifest, room: &mut Room) -> Result<Dataset, DataError> {
    let (image, train) = read_split(directory, "train", manifest, room)?;
    let (other, test) = read_split(directory, "t10k", manifest, room)?;
    if other != image {
        let path = directory.join("t10k-images-idx3-ubyte");
        let cause = format!("its images are {}x{}, those for training {}x{}", other[0], other[1], image[0], image[1]);
        return Err(DataError::Unfit { path, cause, remedy: "store both in one size".into() });
    }
    let classes = match manifest.classes.is_empty() {
        true => numbered(&[train.targets.labels(), test.targets.labels()]),
        false => manifest.classes.clone(),
    };
    let twice = |it: &&String| directory.join(it).is_file() && directory.join(it.replace(".gz", "")).is_file();
    let names = ["train", "t10k"].iter().flat_map(|part| [images_of(part), labels_of(part)]);
    let packed: Vec<String> = names.map(|it| format!("{it}.gz")).collect();
    let packed: Vec<&String> = packed.iter().filter(twice).collect();
    let mut warnings = Vec::new();
    if !packed.is_empty() {
        warnings.push(format!("not read, as the same is there unpacked: {}", few(&packed)));
    }
    Ok(Dataset {
        name: manifest.name.clone(),
        image,
        target: TargetKind::Class,
        classes,
        train,
        test,
        validation: None,
        warnings,
    })
}

fn images_of(part: &str) -> String {
    format!("{part}-images-idx3-ubyte")
}

fn labels_of(part: &str) -> String {
    format!("{part}-labels-idx1-ubyte")
}

fn read_split(
    directory: &Path,
    part: &str,
    manifest: &Manifest,
    room: &mut Room,
) -> Result<([usize; 3], Split), DataError> {
    let (images_path, extents, images) = read_file::<3>(directory, &images_of(part), manifest, room)?;
    let (labels_path, [count], labels) = read_file::<1>(directory, &labels_of(part), manifest, room)?;
    if extents[0] != count {
        let cause = format!("it has {count} labels for the {} images of `{}`", extents[0], images_path.display());
        let remedy = "give one label for each image".into();
        return Err(DataError::Unfit { path: labels_path, cause, remedy });
    }
    let classes = if manifest.classes.is_empty() { 256 } else { manifest.classes.len() };
    if let Some(record) = labels.iter().position(|it| classes <= usize::from(*it)) {
        let (label, name) = (labels[record].into(), manifest.name.clone());
        let record = record as u64;
        return Err(DataError::Label { path: labels_path, record, offset: 8 + record, label, name, classes });
    }
    let mut numbers = Vec::new();
    room.reserve(&labels_path, &mut numbers, labels.len() as u64)?;
    numbers.extend(labels.into_iter().map(i64::from));
    Ok(([extents[1], extents[2], 1], Split { images: images.into(), targets: Targets::Classes(numbers) }))
}

/// Path, extents and bytes of a file of `RANK` dimensions.
fn read_file<const RANK: usize>(
    directory: &Path,
    name: &str,
    manifest: &Manifest,
    room: &mut Room,
) -> Result<(PathBuf, [usize; RANK], Vec<u8>), DataError> {
    let Some(path) = file(directory, name) else {
        return Err(DataError::Missing {
            name: manifest.name.clone(),
            cause: format!("`{}` has no `{name}` and no `{name}.gz`", directory.display()),
            remedy: manifest.remedy(&manifest.name),
        });
    };
    let fail = |cause| DataError::Read { path: path.clone(), cause };
    let malformed = |cause: String| DataError::Malformed { path: path.clone(), cause };
    let (file, length) = open(&path)?;
    let packed = path.extension().is_some_and(|it| it == "gz");
    // Some tools write a packed file in several members, which are one file.
    let mut reader: Box<dyn Read> =
        if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) };
    let mut magic = Vec::new();
    (&mut reader).take(4).read_to_end(&mut magic).map_err(fail)?;
    if magic != [0, 0, 8, RANK as u8] {
        let cause = format!("it does not open as a file of bytes in {RANK} dimension(s) does (0 0 8 {RANK})");
        return Err(malformed(cause));
    }
    let mut extents = [0u64; RANK];
    for it in &mut extents {
        let mut extent = [0; 4];
        reader.read_exact(&mut extent).map_err(|_| malformed("its header is cut off".into()))?;
        *it = u32::from_be_bytes(extent).into();
    }
    let Some(expected) = volume(&extents) else {
        return Err(malformed(format!("its header tells {extents:?}, more than any file has")));
    };
    let follow =
        |found: String| malformed(format!("its header tells {extents:?}, {expected} bytes, but {found} follow"));
    if packed {
        unpacks(&path, length, expected)?;
    } else if length != 4 + 4 * RANK as u64 + expected {
        return Err(follow(length.saturating_sub(4 + 4 * RANK as u64).to_string()));
    }
    if expected == 0 {
        return Err(DataError::Empty { path });
    }
    let mut bytes = Vec::new();
    room.reserve(&path, &mut bytes, expected)?;
    (&mut reader).take(expected).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 != expected {
        return Err(follow(bytes.len().to_string()));
    }
    if !ends(&mut reader).map_err(fail)? {
        return Err(follow("more".into()));
    }
    Ok((path, extents.map(|it| it as usize), bytes))
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
        let data = read(dir.path(), find("mnist").unwrap(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!((data.image, data.train.images.to_vec()), ([1, 2, 1], vec![1, 2, 3, 4]));
        assert_eq!(data.train.targets.labels(), [7, 9]);
        assert_eq!(
            (data.test.images.to_vec(), data.test.targets.labels(), data.classes.len()),
            (vec![5, 6], &[0][..], 10)
        );
    }

    #[test]
    fn every_fault_names_the_file() {
        let cases: [(&str, Vec<u8>, &str); 10] = [
            ("train-images-idx3-ubyte", bytes(&[2, 1, 2], &[1, 2, 3]), "4 bytes, but 3 follow"),
            ("train-images-idx3-ubyte", bytes(&[u32::MAX, 2, 9], &[1]), "but 1 follow"),
            ("train-images-idx3-ubyte", bytes(&[u32::MAX, u32::MAX, 9], &[1]), "more than any file has"),
            ("train-images-idx3-ubyte", bytes(&[2, 1, 2], &[1, 2, 3, 4, 5]), "4 bytes, but 5 follow"),
            ("train-images-idx3-ubyte", bytes(&[2, 0, 2], &[]), "is empty"),
            ("t10k-images-idx3-ubyte.gz", gz(&bytes(&[1, 1, 2], &[1, 2, 3])), "but more follow"),
            ("t10k-images-idx3-ubyte.gz", gz(&bytes(&[60_000, 1000, 1000], &[1])), "unpacks to 60 GB"),
            ("train-labels-idx1-ubyte", bytes(&[3], &[1, 1, 1]), "3 labels for the 2 images"),
            ("train-labels-idx1-ubyte", bytes(&[2], &[1, 10]), "record 1 (from 0, at byte 9) has label 10"),
            ("t10k-labels-idx1-ubyte.gz", b"no gzip".to_vec(), "cannot read"),
        ];
        for (name, data, expected) in cases {
            let dir = directory();
            fs::write(dir.path().join(name), data).unwrap();
            let message = read(dir.path(), find("mnist").unwrap(), &mut Room::of(1 << 20)).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains(name), "{message}");
        }
    }

    #[test]
    fn packed_files_of_several_members_are_one() {
        let dir = directory();
        let whole = bytes(&[1, 1, 2], &[5, 6]);
        let name = dir.path().join("t10k-images-idx3-ubyte.gz");
        fs::write(&name, [gz(&whole[..7]), gz(&whole[7..])].concat()).unwrap();
        let data = read(dir.path(), find("mnist").unwrap(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!(data.test.images[..], [5, 6]);
        // The sum at the end of each member counts.
        let mut damaged = gz(&whole);
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        fs::write(&name, damaged).unwrap();
        assert!(read(dir.path(), find("mnist").unwrap(), &mut Room::of(1 << 20)).is_err());
    }

    #[test]
    fn files_that_are_there_twice_are_told() {
        let dir = directory();
        fs::write(dir.path().join("train-images-idx3-ubyte.gz"), gz(&bytes(&[2, 1, 2], &[9; 4]))).unwrap();
        let data = read(dir.path(), find("mnist").unwrap(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!(data.train.images[..], [1, 2, 3, 4]);
        assert!(data.warnings.join("").contains("unpacked: `train-images-idx3-ubyte.gz`"), "{:?}", data.warnings);
    }
}
