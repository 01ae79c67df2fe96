//! The official binary layout of CIFAR-10 and CIFAR-100: records of label bytes, then the red,
//! green and blue planes of a 32x32 image.

use super::bound::{Room, open, text};
use super::error::{few, shown};
use super::manifest::{Format, Manifest, find};
use super::{DataError, Dataset, Split};
use crate::ir::{DType, TargetKind};
use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// How one of the two data sets is stored.
struct Layout {
    /// Its name in the catalog, which knows its classes.
    name: &'static str,
    /// What its files for training are called, for messages.
    train: &'static str,
    test: &'static str,
    /// Where its files tell the names of the classes.
    names: &'static str,
    /// Bytes before the image, of which the last is the label.
    label_bytes: usize,
}

const TEN: Layout = Layout {
    name: "cifar10",
    train: "data_batch_*.bin",
    test: "test_batch.bin",
    names: "batches.meta.txt",
    label_bytes: 1,
};
const HUNDRED: Layout =
    Layout { name: "cifar100", train: "train.bin", test: "test.bin", names: "fine_label_names.txt", label_bytes: 2 };

fn layout(format: Format) -> &'static Layout {
    if format == Format::Cifar100 { &HUNDRED } else { &TEN }
}

/// Whether `directory` holds training files of this layout.
pub(super) fn is_layout(directory: &Path, format: Format) -> bool {
    files(directory, layout(format)).is_ok_and(|it| !it.train.is_empty())
}

/// What lies in a directory.
#[derive(Default)]
struct Files {
    /// In order of names, with the number of a batch.
    train: Vec<(PathBuf, u64)>,
    /// Other files of this ending.
    others: Vec<String>,
}

fn files(directory: &Path, layout: &Layout) -> Result<Files, DataError> {
    let read_error = |cause| DataError::Read { path: directory.into(), cause };
    let mut res = Files::default();
    for file in fs::read_dir(directory).map_err(read_error)? {
        let file = file.map_err(read_error)?;
        let name = file.file_name().to_string_lossy().into_owned();
        let number = match layout.train.split_once('*') {
            Some((before, after)) => name.strip_prefix(before).and_then(|it| it.strip_suffix(after)?.parse().ok()),
            None => (name == layout.train).then_some(1),
        };
        match number {
            Some(number) => res.train.push((file.path(), number)),
            None if name.ends_with(".bin") && name != layout.test => res.others.push(name),
            None => {}
        }
    }
    res.train.sort();
    res.others.sort();
    Ok(res)
}

/// Reads both parts.
pub(super) fn read(directory: &Path, entry: &Manifest, room: &mut Room) -> Result<Dataset, DataError> {
    let missing =
        |cause: String| DataError::Missing { name: entry.name.clone(), cause, remedy: entry.remedy(&entry.name) };
    if !directory.exists() {
        return Err(missing(format!("`{}` does not exist", shown(directory))));
    }
    if !directory.is_dir() {
        return Err(missing(format!("`{}` is not a directory", shown(directory))));
    }
    let layout = layout(entry.format);
    let found = files(directory, layout)?;
    if found.train.is_empty() {
        return Err(missing(format!("`{}` has no `{}`", shown(directory), layout.train)));
    }
    let test = directory.join(layout.test);
    if !test.exists() {
        return Err(missing(format!("`{}` has no `{}`", shown(directory), layout.test)));
    }
    let mut warnings = Vec::new();
    if !found.others.is_empty() {
        warnings.push(format!("not read, as they are not called `{}`: {}", layout.train, few(&found.others)));
    }
    let lost = lost(&found, entry);
    if !lost.is_empty() {
        warnings.push(format!("batches are missing: {}", few(&lost)));
    }
    let classes = classes(directory, layout, entry, &mut warnings)?;
    let mut train = Split::default();
    for (path, _) in &found.train {
        append(&mut train, path, layout, entry, classes.len(), room)?;
    }
    let mut tested = Split::default();
    append(&mut tested, &test, layout, entry, classes.len(), room)?;
    Ok(Dataset {
        name: entry.name.clone(),
        image: [SIDE, SIDE, 3].into(),
        dtype: DType::U8,
        double: false,
        target: TargetKind::Class,
        classes,
        train,
        test: tested,
        validation: None,
        range: None,
        warnings,
    })
}

/// Names of training files that there ought to be: those of the official set, or those below the last one.
fn lost(found: &Files, entry: &Manifest) -> Vec<String> {
    let is_there = |it: &String| found.train.iter().any(|(path, _)| path.file_name().is_some_and(|name| name == &**it));
    let official = entry.files.iter().flat_map(|it| &it.members).filter(|it| it.starts_with("data_batch_"));
    let mut res: Vec<String> = official.filter(|it| !is_there(it)).cloned().collect();
    let numbers: Vec<u64> = found.train.iter().map(|it| it.1).collect();
    let last = numbers.iter().copied().max().unwrap_or(0).min(1000);
    for number in (1..last).filter(|it| !numbers.contains(it)) {
        let name = format!("data_batch_{number}.bin");
        if !res.contains(&name) {
            res.push(name);
        }
    }
    res
}

/// Names of the classes: of a manifest of the user's own, else of the file beside the images, else the official ones.
fn classes(
    directory: &Path,
    layout: &Layout,
    entry: &Manifest,
    warnings: &mut Vec<String>,
) -> Result<Vec<String>, DataError> {
    let official = find(layout.name).map(|it| it.classes.clone()).unwrap_or_default();
    let known = if entry.classes.is_empty() { official.clone() } else { entry.classes.clone() };
    let path = directory.join(layout.names);
    if !path.exists() {
        return Ok(known);
    }
    let text = text(&path)?;
    let names: Vec<String> = text.lines().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    let own = known != official;
    if names.len() != known.len() {
        let found = names.len();
        warnings.push(format!("`{}` is not read: it names {found} classes, not {}", layout.names, known.len()));
    } else if own && names != known {
        warnings.push(format!("`{}` is not read, as the manifest names the classes", layout.names));
    } else if !own {
        return Ok(names);
    }
    Ok(known)
}

/// Reads a file record by record, so that its bytes are not in memory beside the images.
fn append(
    split: &mut Split,
    path: &Path,
    layout: &Layout,
    entry: &Manifest,
    classes: usize,
    room: &mut Room,
) -> Result<(), DataError> {
    let read_error = |cause| DataError::Read { path: path.into(), cause };
    let label_bytes = layout.label_bytes;
    let record_bytes = label_bytes + 3 * PLANE;
    let (file, size) = open(path)?;
    let (complete, over) = (size / record_bytes as u64, size % record_bytes as u64);
    if over != 0 {
        let name = entry.name.clone();
        return Err(DataError::Partial { name, path: path.into(), size, record: record_bytes, complete, over });
    }
    if complete == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    room.reserve(path, split.images.held_mut(), complete * 3 * PLANE as u64)?;
    let labels = split.targets.labels_mut();
    room.reserve(path, labels, complete)?;
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut record = vec![0; record_bytes];
    for at in 0..complete {
        file.read_exact(&mut record).map_err(read_error)?;
        // The last label byte is the fine one.
        let label = record[label_bytes - 1];
        if usize::from(label) >= classes {
            return Err(DataError::Label {
                path: path.into(),
                record: at,
                offset: at * record_bytes as u64 + label_bytes as u64 - 1,
                label: label.into(),
                name: entry.name.clone(),
                classes,
            });
        }
        labels.push(i64::from(label));
        let planes = &record[label_bytes..];
        let (red, rest) = planes.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        for ((r, g), b) in red.iter().zip(green).zip(blue) {
            split.images.held_mut().extend_from_slice(&[*r, *g, *b]);
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
        read(directory.path(), find("cifar10").unwrap(), &mut Room::of(1 << 30))
    }

    #[test]
    fn files_are_taken_in_name_order_and_planes_become_channels() {
        let dir = directory(
            &[("data_batch_2.bin", record(7)), ("data_batch_1.bin", [record(3), record(4)].concat())],
            Some(record(9)),
        );
        let data = cifar10(&dir).unwrap();
        assert_eq!(data.train.targets.labels(), [3, 4, 7]);
        assert_eq!(data.test.targets.labels(), [9]);
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

    #[test]
    fn what_is_missing_or_not_read_is_told() {
        let dir = directory(
            &[("data_batch_2.bin", record(7)), ("data_batch_1.bin", record(3)), ("data_batch_2 (copy).bin", record(3))],
            Some(record(9)),
        );
        fs::write(dir.path().join("batches.meta.txt"), "a\nb\n").unwrap();
        let data = cifar10(&dir).unwrap();
        assert_eq!((data.train.targets.labels(), data.classes[3].as_str()), (&[3, 7][..], "cat"));
        let said = data.warnings.join("\n");
        for it in [
            "`data_batch_2 (copy).bin`",
            "missing: `data_batch_3.bin`, `data_batch_4.bin`, `data_batch_5.bin`",
            "names 2 classes, not 10",
        ] {
            assert!(said.contains(it), "{it}: {said}");
        }
        // A set of one's own has no official files, but no gaps either.
        let own = Manifest::bare("own".into(), Format::Cifar10);
        fs::rename(dir.path().join("data_batch_2.bin"), dir.path().join("data_batch_4.bin")).unwrap();
        let data = read(dir.path(), &own, &mut Room::of(1 << 30)).unwrap();
        assert!(
            data.warnings.join("\n").contains("missing: `data_batch_2.bin`, `data_batch_3.bin`"),
            "{:?}",
            data.warnings
        );
        assert_eq!(data.classes.len(), 10, "a manifest need not name them");
    }

    #[test]
    fn names_of_classes_come_from_the_manifest_or_the_file_beside() {
        let dir = directory(&[("data_batch_1.bin", record(1))], Some(record(1)));
        let names: Vec<String> = (0..10).map(|it| format!("c{it}")).collect();
        fs::write(dir.path().join("batches.meta.txt"), names.join("\n")).unwrap();
        assert_eq!(cifar10(&dir).unwrap().classes, names);
        let own = Manifest { classes: vec!["x".into(), "y".into()], ..Manifest::bare("own".into(), Format::Cifar10) };
        let data = read(dir.path(), &own, &mut Room::of(1 << 30)).unwrap();
        assert_eq!(data.classes, ["x", "y"]);
        assert!(data.warnings.join("\n").contains("names 10 classes, not 2"));
    }

    #[test]
    fn a_file_with_a_hole_of_terabytes_is_not_read() {
        let dir = directory(&[("data_batch_1.bin", record(1))], Some(record(1)));
        let file = fs::OpenOptions::new().write(true).open(dir.path().join("data_batch_1.bin")).unwrap();
        // Not every file system has files so long.
        if file.set_len(3073 << 30).is_ok() {
            let message = cifar10(&dir).unwrap_err().to_string();
            assert!(message.contains("GB of memory"), "{message}");
        }
    }
}
