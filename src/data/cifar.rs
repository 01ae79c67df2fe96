//! The official binary layout of CIFAR-10 and CIFAR-100: records of label bytes, then the red,
//! green and blue planes of a 32x32 image.

use super::manifest::{Format, Manifest};
use super::{DataError, Dataset, Split};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// Whether `directory` holds training files of this layout.
pub(super) fn is_layout(directory: &Path, format: Format) -> bool {
    training_files(directory, format).is_ok_and(|it| !it.is_empty())
}

/// Reads both parts.
pub(super) fn read(directory: &Path, entry: &Manifest) -> Result<Dataset, DataError> {
    let missing =
        |cause: String| DataError::Missing { name: entry.name.clone(), cause, remedy: entry.remedy(&entry.name) };
    if !directory.exists() {
        return Err(missing(format!("`{}` does not exist", directory.display())));
    }
    if !directory.is_dir() {
        return Err(missing(format!("`{}` is no directory", directory.display())));
    }
    let (train_pattern, test_name) = match entry.format {
        Format::Cifar100 => ("train.bin", "test.bin"),
        _ => ("data_batch_*.bin", "test_batch.bin"),
    };
    let files = training_files(directory, entry.format)?;
    if files.is_empty() {
        return Err(missing(format!("`{}` has no `{train_pattern}`", directory.display())));
    }
    let test = directory.join(test_name);
    if !test.is_file() {
        return Err(missing(format!("`{}` has no `{test_name}`", directory.display())));
    }
    // Of images by class in the same layout the file beside them knows better.
    let named = fs::read_to_string(directory.join("batches.meta.txt")).ok().and_then(|it| class_names(&it, entry));
    Ok(Dataset {
        name: entry.name.clone(),
        image: [SIDE, SIDE, 3],
        classes: named.unwrap_or_else(|| entry.classes.clone()),
        train: read_files(&files, entry)?,
        test: read_files(&[test], entry)?,
    })
}

fn class_names(text: &str, entry: &Manifest) -> Option<Vec<String>> {
    let names: Vec<String> = text.lines().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    (names.len() == entry.classes.len()).then_some(names)
}

fn training_files(directory: &Path, format: Format) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |cause| DataError::Read { path: directory.into(), cause };
    let mut files = Vec::new();
    for file in fs::read_dir(directory).map_err(read_error)? {
        let file = file.map_err(read_error)?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        let wanted = match format {
            Format::Cifar100 => name == "train.bin",
            _ => name.starts_with("data_batch_") && name.ends_with(".bin"),
        };
        if wanted {
            files.push(file.path());
        }
    }
    files.sort();
    Ok(files)
}

fn read_files(paths: &[PathBuf], entry: &Manifest) -> Result<Split, DataError> {
    let mut split = Split::default();
    for path in paths {
        append(&mut split, path, entry)?;
    }
    Ok(split)
}

/// Reads a file record by record, so that its bytes are not in memory beside the images.
fn append(split: &mut Split, path: &Path, entry: &Manifest) -> Result<(), DataError> {
    let read_error = |cause| DataError::Read { path: path.into(), cause };
    let label_bytes = if entry.format == Format::Cifar100 { 2 } else { 1 };
    let record_bytes = label_bytes + 3 * PLANE;
    let file = File::open(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if metadata.is_dir() {
        return Err(DataError::Malformed { path: path.into(), cause: "it is a directory".into() });
    }
    let size = metadata.len() as usize;
    let (complete, over) = (size / record_bytes, size % record_bytes);
    if over != 0 {
        let name = entry.name.clone();
        return Err(DataError::Partial { name, path: path.into(), size, record: record_bytes, complete, over });
    }
    if complete == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut record = vec![0; record_bytes];
    split.images.reserve_exact(complete * 3 * PLANE);
    split.labels.reserve_exact(complete);
    for at in 0..complete {
        file.read_exact(&mut record).map_err(read_error)?;
        // The last label byte is the fine one.
        let label = record[label_bytes - 1];
        if usize::from(label) >= entry.classes.len() {
            return Err(DataError::Label {
                path: path.into(),
                record: at,
                offset: at * record_bytes + label_bytes - 1,
                label: label.into(),
                name: entry.name.clone(),
                classes: entry.classes.len(),
            });
        }
        split.labels.push(i64::from(label));
        let planes = &record[label_bytes..];
        let (red, rest) = planes.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        for ((r, g), b) in red.iter().zip(green).zip(blue) {
            split.images.extend_from_slice(&[*r, *g, *b]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::find;

    fn record(label: u8) -> Vec<u8> {
        let mut res = vec![label];
        for channel in 0..3u8 {
            res.extend((0..PLANE).map(|it| (it % 50) as u8 + 60 * channel));
        }
        res
    }

    fn directory(train: &[(&str, Vec<u8>)], test: Option<Vec<u8>>) -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        for (name, bytes) in train {
            fs::write(res.path().join(name), bytes).unwrap();
        }
        if let Some(bytes) = test {
            fs::write(res.path().join("test_batch.bin"), bytes).unwrap();
        }
        res
    }

    fn cifar10(directory: &tempfile::TempDir) -> Result<Dataset, DataError> {
        read(directory.path(), find("cifar10").unwrap())
    }

    #[test]
    fn files_are_taken_in_name_order_and_planes_become_channels() {
        let dir = directory(
            &[("data_batch_2.bin", record(7)), ("data_batch_1.bin", [record(3), record(4)].concat())],
            Some(record(9)),
        );
        let data = cifar10(&dir).unwrap();
        assert_eq!(data.train.labels, [3, 4, 7]);
        assert_eq!(data.test.labels, [9]);
        assert_eq!(data.train.images[..6], [0, 60, 120, 1, 61, 121]);
        assert_eq!(data.train.images.len(), 3 * 3072);
        assert_eq!(data.classes[3], "cat");
    }

    #[test]
    fn every_fault_names_file_and_place() {
        let good = record(1);
        let cut = [record(1), record(2)[..100].to_vec()].concat();
        let wrong = [record(1), record(10)].concat();
        let cases = [
            (directory(&[], Some(good.clone())), "no `data_batch_*.bin`"),
            (directory(&[("data_batch_1.bin", good.clone())], None), "no `test_batch.bin`"),
            (
                directory(&[("data_batch_1.bin", cut)], Some(good.clone())),
                "3173 bytes are 1 records of 3073 bytes and 100 more",
            ),
            (
                directory(&[("data_batch_1.bin", vec![0; 3074])], Some(good.clone())),
                "cut off or of another layout: 3074 bytes are 1 records of 3073 bytes and 1 more",
            ),
            (
                directory(&[("data_batch_1.bin", wrong)], Some(good.clone())),
                "record 1 (from 0, at byte 3073) has label 10",
            ),
            (directory(&[("data_batch_1.bin", good.clone())], Some(Vec::new())), "test_batch.bin` is empty"),
        ];
        let folder = directory(&[], Some(good));
        fs::create_dir(folder.path().join("data_batch_1.bin")).unwrap();
        for (dir, expected) in cases.into_iter().chain([(folder, "it is a directory")]) {
            let message = cifar10(&dir).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(message.contains(&*dir.path().to_string_lossy()), "{message}");
        }
    }
}
