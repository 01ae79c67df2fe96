//! The files of MNIST and its kin: a magic number that tells type and dimensions, extents, and numbers.

use super::bound::{Room, ends, open, unpacks, volume};
use super::convert::{Converter, becomes};
use super::element::Element;
use super::error::{few, shown};
use super::manifest::Manifest;
use super::npy::Dtype;
use super::pixels::Store;
use super::{DataError, Dataset, Reading, Split, Targets, numbered};
use crate::ir::{DType, Extremes, TargetKind, size};
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// What the names of files begin with: for training, and for tests.
const PARTS: [&str; 2] = ["train", "t10k"];

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
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    reading: &Reading<'_>,
    room: &mut Room,
) -> Result<Dataset, DataError> {
    let element = element(directory, manifest, reading)?;
    let (image, train) = read_split(directory, PARTS[0], manifest, element, room)?;
    let (other, test) = read_split(directory, PARTS[1], manifest, element, room)?;
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
    let names = PARTS.iter().flat_map(|part| [images_of(part), labels_of(part)]);
    let packed: Vec<String> = names.map(|it| format!("{it}.gz")).collect();
    let packed: Vec<&String> = packed.iter().filter(twice).collect();
    let mut warnings = Vec::new();
    if !packed.is_empty() {
        warnings.push(format!("not read, as the same is there unpacked: {}", few(&packed)));
    }
    Ok(Dataset {
        name: manifest.name.clone(),
        image: image.into(),
        dtype: element.dtype,
        double: element.double,
        target: TargetKind::Class,
        classes,
        train,
        test,
        validation: None,
        range: None,
        warnings,
    })
}

fn images_of(part: &str) -> String {
    format!("{part}-images-idx3-ubyte")
}

fn labels_of(part: &str) -> String {
    format!("{part}-labels-idx1-ubyte")
}

/// The type of the numbers of a file, by the third byte of it. They are in the order of large machines.
fn dtype(code: u8) -> Option<Dtype> {
    let text = match code {
        0x08 => "|u1",
        0x09 => "|i1",
        0x0b => ">i2",
        0x0c => ">i4",
        0x0d => ">f4",
        0x0e => ">f8",
        _ => return None,
    };
    Some(Dtype::parse(text))
}

/// An opened file, behind its header.
struct Opened {
    path: PathBuf,
    dtype: Dtype,
    extents: Vec<u64>,
    /// Numbers that follow.
    count: u64,
    from: Box<dyn Read>,
}

impl Opened {
    /// Opens a file of so many dimensions, as it is or compressed.
    fn new(directory: &Path, name: &str, rank: u8, manifest: &Manifest) -> Result<Opened, DataError> {
        let Some(path) = file(directory, name) else {
            return Err(DataError::Missing {
                name: manifest.name.clone(),
                cause: format!("`{}` has no `{name}` and no `{name}.gz`", shown(directory)),
                remedy: manifest.remedy(&manifest.name),
            });
        };
        let malformed = |cause: String| DataError::Malformed { path: path.clone(), cause };
        let (file, length) = open(&path)?;
        let packed = path.extension().is_some_and(|it| it == "gz");
        // Some tools write a packed file in several members, which are one file.
        let mut from: Box<dyn Read> =
            if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) };
        let mut magic = Vec::new();
        let read = (&mut from).take(4).read_to_end(&mut magic);
        read.map_err(|cause| DataError::Read { path: path.clone(), cause })?;
        let found = if let &[0, 0, code, axes] = &magic[..] { dtype(code).filter(|_| axes == rank) } else { None };
        let Some(dtype) = found else {
            let cause = format!("it does not open as a file of numbers in {rank} dimension(s) does (0 0 8 {rank})");
            return Err(malformed(cause));
        };
        let mut extents = Vec::new();
        for _ in 0..rank {
            let mut extent = [0; 4];
            from.read_exact(&mut extent).map_err(|_| malformed("its header is cut off".into()))?;
            extents.push(u64::from(u32::from_be_bytes(extent)));
        }
        let bytes = |count: u64| count.checked_mul(dtype.bytes() as u64);
        let Some((count, expected)) = volume(&extents).and_then(|it| Some((it, bytes(it)?))) else {
            return Err(malformed(format!("its header tells {extents:?}, more than any file has")));
        };
        if packed {
            unpacks(&path, length, expected)?;
        } else if length != 4 + 4 * u64::from(rank) + expected {
            let found = length.saturating_sub(4 + 4 * u64::from(rank));
            return Err(malformed(follow(&extents, expected, &found.to_string())));
        }
        if expected == 0 {
            return Err(DataError::Empty { path });
        }
        Ok(Opened { path, dtype, extents, count, from })
    }

    /// Shows the bytes of all numbers, some whole ones at a time.
    fn chunks(mut self, mut see: impl FnMut(&[u8]) -> Result<(), DataError>) -> Result<(), DataError> {
        let Opened { path, dtype, extents, count, from } = &mut self;
        let fail = |cause: std::io::Error| DataError::Read { path: path.clone(), cause };
        let expected = *count * dtype.bytes() as u64;
        let malformed =
            |found: &str| DataError::Malformed { path: path.clone(), cause: follow(extents, expected, found) };
        let mut part = vec![0; PART.min(expected) as usize];
        let mut left = expected;
        while 0 < left {
            let bytes = &mut part[..PART.min(left) as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                match from.read(&mut bytes[filled..]) {
                    Ok(0) => return Err(malformed(&(expected - left + filled as u64).to_string())),
                    Ok(more) => filled += more,
                    Err(it) if it.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(it) => return Err(fail(it)),
                }
            }
            see(bytes)?;
            left -= bytes.len() as u64;
        }
        if !ends(from).map_err(fail)? {
            return Err(malformed("more"));
        }
        Ok(())
    }
}

/// Bytes that are read at once.
const PART: u64 = 1 << 18;

fn follow(extents: &[u64], expected: u64, found: &str) -> String {
    format!("its header tells {extents:?}, {expected} bytes, but {found} follow")
}

/// The type of the numbers of both parts, and what the model's input makes of it.
fn element(directory: &Path, manifest: &Manifest, reading: &Reading<'_>) -> Result<Element, DataError> {
    let open = |part: &str| Opened::new(directory, &images_of(part), 3, manifest);
    let of = |it: &Opened| it.dtype.natural().unwrap_or(DType::Real);
    let (train, test) = (open(PARTS[0])?, open(PARTS[1])?);
    let (first, second) = (of(&train), of(&test));
    if first != second {
        let cause =
            format!("its numbers are of another kind than those for training: {} and {}", second.word(), first.word());
        return Err(DataError::Unfit { path: test.path, cause, remedy: "store both alike".into() });
    }
    let dtype = becomes(first, reading.input, |_| {
        let mut all = Extremes::NONE;
        for opened in [train, test] {
            let dtype = opened.dtype.clone();
            opened.chunks(|bytes| {
                dtype.numbers(bytes, |it| all = all.with(it));
                Ok(())
            })?;
        }
        Ok(all)
    })?;
    Ok(Element { dtype, double: reading.double })
}

fn read_split(
    directory: &Path,
    part: &str,
    manifest: &Manifest,
    element: Element,
    room: &mut Room,
) -> Result<([usize; 3], Split), DataError> {
    let opened = Opened::new(directory, &images_of(part), 3, manifest)?;
    let (images_path, dtype, extents) = (opened.path.clone(), opened.dtype.clone(), opened.extents.clone());
    let image = [extents[1] as usize, extents[2] as usize, 1];
    let bytes = opened.count.saturating_mul(element.bytes() as u64);
    let mut store = Store::of(&images_path, element, bytes, room)?;
    let mut converter = Converter::new(("it".into(), &images_path), &dtype, element, size::product(&image));
    opened.chunks(|it| converter.append(it, &mut store))?;
    let images = store.end()?;

    let opened = Opened::new(directory, &labels_of(part), 1, manifest)?;
    let (labels_path, dtype, count) = (opened.path.clone(), opened.dtype.clone(), opened.count);
    if extents[0] != count {
        let cause = format!("it has {count} labels for the {} images of `{}`", extents[0], shown(&images_path));
        let remedy = "give one label for each image".into();
        return Err(DataError::Unfit { path: labels_path, cause, remedy });
    }
    let classes = if manifest.classes.is_empty() { 256 } else { manifest.classes.len() };
    let mut numbers: Vec<i64> = Vec::new();
    room.reserve(&labels_path, &mut numbers, count)?;
    opened.chunks(|bytes| {
        dtype.numbers(bytes, |it| numbers.push(if it.fract() == 0.0 { it as i64 } else { -1 }));
        Ok(())
    })?;
    if let Some(record) = numbers.iter().position(|it| !usize::try_from(*it).is_ok_and(|it| it < classes)) {
        let (label, name) = (numbers[record], manifest.name.clone());
        let offset = 8 + (record * dtype.bytes()) as u64;
        let record = record as u64;
        return Err(DataError::Label { path: labels_path, record, offset, label, name, classes });
    }
    Ok((image, Split { images, targets: Targets::Classes(numbers) }))
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
        let data = read(dir.path(), find("mnist").unwrap(), &Reading::default(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!((data.image.0, data.train.images.to_vec()), (vec![1, 2, 1], vec![1, 2, 3, 4]));
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
            let message = read(dir.path(), find("mnist").unwrap(), &Reading::default(), &mut Room::of(1 << 20))
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected) && message.contains(name), "{message}");
        }
    }

    #[test]
    fn packed_files_of_several_members_are_one() {
        let dir = directory();
        let whole = bytes(&[1, 1, 2], &[5, 6]);
        let name = dir.path().join("t10k-images-idx3-ubyte.gz");
        fs::write(&name, [gz(&whole[..7]), gz(&whole[7..])].concat()).unwrap();
        let data = read(dir.path(), find("mnist").unwrap(), &Reading::default(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!(data.test.images[..], [5, 6]);
        // The sum at the end of each member counts.
        let mut damaged = gz(&whole);
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        fs::write(&name, damaged).unwrap();
        assert!(read(dir.path(), find("mnist").unwrap(), &Reading::default(), &mut Room::of(1 << 20)).is_err());
    }

    #[test]
    fn files_that_are_there_twice_are_told() {
        let dir = directory();
        fs::write(dir.path().join("train-images-idx3-ubyte.gz"), gz(&bytes(&[2, 1, 2], &[9; 4]))).unwrap();
        let data = read(dir.path(), find("mnist").unwrap(), &Reading::default(), &mut Room::of(1 << 20)).unwrap();
        assert_eq!(data.train.images[..], [1, 2, 3, 4]);
        assert!(data.warnings.join("").contains("unpacked: `train-images-idx3-ubyte.gz`"), "{:?}", data.warnings);
    }
}
