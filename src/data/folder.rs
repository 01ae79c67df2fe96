//! Image files by class: `train/<class>/*.png`, `test/<class>/*.jpg`, and where it is there `val/<class>/*.png`.
//!
//! The folders are listed first, so that all that lies in them is either read or told.

use super::bound::Room;
use super::error::{count, few, plain, shown};
use super::gallery::{Gallery, below};
use super::manifest::Manifest;
use super::{DataError, Dataset, Reading, Split};
use crate::ir::{TargetKind, random, recipe};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The parts of a data set, which are folders; the last may be missing.
const PARTS: [&str; 3] = ["train", "test", VALIDATION];
const VALIDATION: &str = "val";

/// Whether `directory` has classes to train on: in `train`, or, where it is to be parted, in itself.
pub(super) fn is_layout(directory: &Path, parted: bool) -> bool {
    class_folders(directory, parted).is_ok_and(|it| !it.is_empty())
}

/// Whether folders in a directory have pictures, as classes have that are not parted yet.
pub(super) fn has_pictures(directory: &Path) -> bool {
    let folders = entries(directory).unwrap_or_default().into_iter().filter(|it| matches!(it.1, Entry::Folder));
    folders.map(|it| pictures(&it.0)).any(|it| it.is_ok_and(|it| !it.0.is_empty()))
}

/// Why something in a data set is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    Ending,
    Hidden,
    Deeper,
    Loose,
    Beside,
    Dead,
    Special,
}

impl Unread {
    /// What things of this kind are, and why they are not read.
    fn said(self) -> (&'static str, &'static str) {
        match self {
            Unread::Ending => ("file", "neither .png, .jpg nor .jpeg"),
            Unread::Hidden => ("hidden file", "their names begin with a dot"),
            Unread::Deeper => ("folder", "inside of classes; pictures lie in the folder of their class itself"),
            Unread::Loose => ("file", "beside the folders of the classes, not in them"),
            Unread::Beside => ("item", "beside the folders `train` and `test`"),
            Unread::Dead => ("link", "they lead nowhere"),
            Unread::Special => ("item", "neither a file nor a folder"),
        }
    }
}

/// What lies in the folders of a data set.
#[derive(Debug, Default)]
struct Listing {
    classes: Vec<String>,
    /// Pictures and their classes, in order.
    parts: [Vec<(PathBuf, usize)>; 3],
    unread: BTreeMap<Unread, Vec<String>>,
}

enum Entry {
    Folder,
    File,
    Not(Unread),
}

/// What is in a directory, in order of names.
fn entries(directory: &Path) -> Result<Vec<(PathBuf, Entry)>, DataError> {
    let fail = |cause| DataError::Read { path: directory.into(), cause };
    let mut res = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        let kind = match fs::metadata(&path) {
            _ if hidden => Entry::Not(Unread::Hidden),
            Ok(it) if it.is_dir() => Entry::Folder,
            Ok(it) if it.is_file() => Entry::File,
            Ok(_) => Entry::Not(Unread::Special),
            // Links to nothing, and those that go round in a circle.
            Err(it) if path.is_symlink() && it.kind() != io::ErrorKind::PermissionDenied => Entry::Not(Unread::Dead),
            Err(cause) => return Err(DataError::Read { path, cause }),
        };
        res.push((path, kind));
    }
    res.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(res)
}

/// The name of a class.
fn name(path: &Path) -> Result<String, DataError> {
    let name = path.file_name().unwrap_or_default();
    name.to_str().map(str::to_owned).ok_or_else(|| DataError::Unfit {
        path: path.into(),
        cause: "the name of a class must be UTF-8".into(),
        remedy: "rename the folder".into(),
    })
}

/// The classes: the folders in `train`, or in the directory itself where that is to be parted.
pub(super) fn class_names(directory: &Path, parted: bool) -> Result<Vec<String>, DataError> {
    class_folders(directory, parted)?.iter().map(|it| name(it)).collect()
}

/// Where the classes lie that are to be parted: in `train`, if that has folders and the other parts are not there.
fn to_part(directory: &Path) -> PathBuf {
    let train = directory.join(PARTS[0]);
    let others = PARTS[1..].iter().any(|it| directory.join(it).exists());
    let has_folders = entries(&train).is_ok_and(|it| it.iter().any(|it| matches!(it.1, Entry::Folder)));
    if has_folders && !others { train } else { directory.to_path_buf() }
}

fn class_folders(directory: &Path, parted: bool) -> Result<Vec<PathBuf>, DataError> {
    let folder = if parted { to_part(directory) } else { directory.join(PARTS[0]) };
    let folders = entries(&folder)?.into_iter().filter(|it| matches!(it.1, Entry::Folder));
    Ok(folders.map(|it| it.0).collect())
}

impl Listing {
    /// Of a directory with classes only: a share of each is taken for tests, chosen by the seed.
    fn parted(directory: &Path, share: f64, seed: u64) -> Result<Listing, DataError> {
        let mut res = Listing { classes: class_names(directory, true)?, ..Listing::default() };
        let from = to_part(directory);
        let of_part = |it: &&String| from == directory && PARTS.contains(&it.as_str());
        if let Some(part) = res.classes.iter().find(of_part) {
            return Err(DataError::Unfit {
                path: directory.into(),
                cause: format!("it has a folder `{part}`, and the manifest says `split`"),
                remedy: "leave `split` out, or move the folders of the classes up".into(),
            });
        }
        for (path, kind) in entries(&from)? {
            match kind {
                Entry::Folder => res.list_class(directory, 0, &path)?,
                Entry::File if is_image(&path) => res.skip(directory, &path, Unread::Loose),
                // Notes and licences beside the classes are in nobody's way.
                Entry::File | Entry::Not(_) => {}
            }
        }
        if from != directory {
            for (path, kind) in entries(directory)? {
                match kind {
                    Entry::Folder if path != from => res.skip(directory, &path, Unread::Beside),
                    Entry::File if is_image(&path) => res.skip(directory, &path, Unread::Beside),
                    Entry::Folder | Entry::File | Entry::Not(_) => {}
                }
            }
        }
        let stream = random::stream("split");
        let all = std::mem::take(&mut res.parts[0]);
        for label in 0..res.classes.len() {
            let class: Vec<&(PathBuf, usize)> = all.iter().filter(|it| it.1 == label).collect();
            // One picture cannot be in both.
            let tests = if class.len() < 2 { 0 } else { recipe::kept(class.len(), share) };
            let mut is_test = vec![false; class.len()];
            for at in 0..tests {
                let chosen = random::shuffled(seed, stream, at as u64, class.len() as u64);
                is_test[chosen as usize] = true;
            }
            for (it, is_test) in class.into_iter().zip(is_test) {
                res.parts[usize::from(is_test)].push(it.clone());
            }
        }
        Ok(res)
    }

    fn of(directory: &Path) -> Result<Listing, DataError> {
        let mut res = Listing { classes: class_names(directory, false)?, ..Listing::default() };
        for (path, kind) in entries(directory)? {
            let part = PARTS.iter().any(|it| path.file_name().is_some_and(|name| name == *it));
            match kind {
                Entry::Folder if !part => res.skip(directory, &path, Unread::Beside),
                Entry::File if is_image(&path) => res.skip(directory, &path, Unread::Beside),
                // Notes and licences beside the parts are in nobody's way.
                Entry::Folder | Entry::File | Entry::Not(_) => {}
            }
        }
        let there = |it: &str| it != VALIDATION || directory.join(it).is_dir();
        for (at, part) in PARTS.iter().enumerate().filter(|it| there(it.1)) {
            for (path, kind) in entries(&directory.join(part))? {
                match kind {
                    Entry::Folder => res.list_class(directory, at, &path)?,
                    Entry::File => res.skip(directory, &path, Unread::Loose),
                    Entry::Not(why) => res.skip(directory, &path, why),
                }
            }
        }
        Ok(res)
    }

    fn list_class(&mut self, directory: &Path, part: usize, folder: &Path) -> Result<(), DataError> {
        let class = name(folder)?;
        let Some(label) = self.classes.iter().position(|it| *it == class) else {
            let near = self.classes.iter().find(|it| it.to_lowercase() == class.to_lowercase());
            let remedy = match near {
                Some(near) => format!("`train` has `{}`: give both folders the same name", plain(near)),
                None => "add the folder to `train`, or remove it here".into(),
            };
            let cause = format!("`{}` is not a class, as `train` has no such folder", plain(&class));
            return Err(DataError::Unfit { path: folder.into(), cause, remedy });
        };
        for (path, kind) in entries(folder)? {
            match kind {
                Entry::File if is_image(&path) => self.parts[part].push((path, label)),
                Entry::File => self.skip(directory, &path, Unread::Ending),
                Entry::Folder => self.skip(directory, &path, Unread::Deeper),
                Entry::Not(why) => self.skip(directory, &path, why),
            }
        }
        Ok(())
    }

    fn skip(&mut self, directory: &Path, path: &Path, why: Unread) {
        self.unread.entry(why).or_default().push(below(directory, path));
    }

    fn warnings(&self) -> Vec<String> {
        let mut res = Vec::new();
        for (why, names) in &self.unread {
            let (what, why) = why.said();
            res.push(format!("{} not read ({why}): {}", count(names.len(), what), few(names)));
        }
        let mut seen = BTreeMap::<String, Vec<&String>>::new();
        for class in &self.classes {
            seen.entry(class.to_lowercase()).or_default().push(class);
        }
        for alike in seen.values().filter(|it| 1 < it.len()) {
            res.push(format!("the classes {} differ in nothing but capital letters", few(alike)));
        }
        res
    }
}

/// Reads both parts and does the steps to every image; all must be equal in size then.
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    reading: &Reading<'_>,
    room: &mut Room,
) -> Result<Dataset, DataError> {
    let missing = |cause: String| {
        DataError::Missing {
        name: manifest.name.clone(),
        cause,
        remedy: "a data set of images has the folders `train/<class>` and `test/<class>`; of `train` alone a manifest keeps a \
                 share for tests: `format: images` and `split: 0.2`"
            .into(),
    }
    };
    let listing = match manifest.split {
        Some(share) => Listing::parted(directory, share, manifest.split_seed.unwrap_or(0))?,
        None => {
            if let Some(part) = PARTS.iter().find(|it| **it != VALIDATION && !directory.join(it).is_dir()) {
                return Err(missing(format!("`{}` has no folder `{part}`", shown(directory))));
            }
            Listing::of(directory)?
        }
    };
    let unfit = |cause| DataError::Unfit { path: directory.into(), cause, remedy: "change the manifest".into() };
    manifest.check_folders(&listing.classes).map_err(unfit)?;
    let mut warnings = listing.warnings();
    let validated = manifest.split.is_none() && directory.join(VALIDATION).is_dir();
    let mut gallery = Gallery::new(directory, reading);
    let mut splits = [Split::default(), Split::default(), Split::default()];
    let parts = PARTS.iter().zip(&listing.parts).filter(|it| *it.0 != VALIDATION || validated);
    for (split, (part, files)) in splits.iter_mut().zip(parts) {
        if files.is_empty() {
            let folder = if manifest.split.is_some() { to_part(directory) } else { directory.join(part) };
            return Err(missing(format!("`{}` has no folder with .png or .jpg files", shown(&folder))));
        }
        room.reserve(&files[0].0, split.targets.labels_mut(), files.len() as u64)?;
        split.targets.labels_mut().extend(files.iter().map(|it| it.1 as i64));
        split.images = gallery.read(&files.iter().map(|it| &*it.0).collect::<Vec<_>>(), room)?;
    }
    warnings.extend(gallery.remarks());
    let (image, dtype) = gallery.form().expect("empty parts are errors");
    let [train, test, validation] = splits;
    Ok(Dataset {
        name: manifest.name.clone(),
        image,
        dtype,
        double: false,
        target: TargetKind::Class,
        classes: listing.classes,
        train,
        test,
        validation: validated.then_some(validation),
        range: None,
        warnings,
    })
}

/// The pictures in a folder, in order of their names, and how many other things there are.
pub fn pictures(directory: &Path) -> Result<(Vec<PathBuf>, usize), DataError> {
    let all = entries(directory)?;
    let count = all.len();
    let is_picture = |it: &(PathBuf, Entry)| matches!(it.1, Entry::File) && is_image(&it.0);
    let found: Vec<PathBuf> = all.into_iter().filter(is_picture).map(|it| it.0).collect();
    let left = count - found.len();
    Ok((found, left))
}

/// Whether a file is read as a picture, by the ending of its name.
fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase());
    extension.is_some_and(|it| matches!(&*it, "png" | "jpg" | "jpeg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Format;
    use crate::ir::ImageStep;
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use std::cell::RefCell;

    fn grey(path: &Path, width: u32, height: u32, value: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(width, height, Luma([value])).save(path).unwrap();
    }

    fn directory() -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        let at = |it: &str| res.path().join(it);
        grey(&at("train/dog/b.png"), 3, 2, 20);
        grey(&at("train/cat/a.png"), 3, 2, 10);
        grey(&at("test/dog/c.png"), 3, 2, 30);
        fs::write(at("train/cat/notes.txt"), "no image").unwrap();
        res
    }

    fn found(dir: &tempfile::TempDir, steps: &[ImageStep]) -> Result<Dataset, DataError> {
        let reading = Reading { steps, ..Reading::default() };
        read(dir.path(), &Manifest::bare("pets".into(), Format::Images), &reading, &mut Room::of(1 << 20))
    }

    #[test]
    fn folders_are_classes_in_order_of_names() {
        let data = found(&directory(), &[]).unwrap();
        assert_eq!(data.classes, ["cat", "dog"]);
        assert_eq!(data.image.0, [2, 3, 1]);
        assert_eq!((data.train.targets.labels(), data.test.targets.labels()), (&[0, 1][..], &[1][..]));
        assert_eq!(data.train.images, [[10; 6], [20; 6]].concat());
    }

    #[test]
    fn whoever_waits_is_told_how_many_pictures_are_decoded() {
        thread_local! {
            static TOLD: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
        }
        let dir = directory();
        for at in 0..150 {
            grey(&dir.path().join(format!("train/cat/{at:03}.png")), 3, 2, at);
        }
        let watch = |done, all| TOLD.with_borrow_mut(|it| it.push((done, all)));
        let reading = Reading { watch: Some(watch), ..Reading::default() };
        let manifest = Manifest::bare("pets".into(), Format::Images);
        read(dir.path(), &manifest, &reading, &mut Room::of(1 << 20)).unwrap();
        assert_eq!(TOLD.take(), [(64, 152), (128, 152), (152, 152), (1, 1)]);
    }

    #[test]
    fn images_for_validation_are_a_part_of_their_own() {
        let dir = directory();
        assert_eq!(found(&dir, &[]).unwrap().validation, None);
        grey(&dir.path().join("val/dog/d.png"), 3, 2, 40);
        let data = found(&dir, &[]).unwrap();
        let validation = data.validation.clone().unwrap();
        assert_eq!((validation.targets.labels(), &validation.images[..]), (&[1][..], &[40; 6][..]));
        assert!(data.warnings.iter().all(|it| !it.contains("val")), "{:?}", data.warnings);
        assert_eq!(data.test.images[..], [30; 6]);
        assert_eq!(data.for_training().test, validation);
        fs::remove_file(dir.path().join("val/dog/d.png")).unwrap();
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("val` has no folder"));
    }

    #[test]
    fn other_sizes_need_a_step() {
        let dir = directory();
        RgbImage::from_pixel(4, 4, Rgb([9, 9, 9])).save(dir.path().join("train/dog/z.png")).unwrap();
        let message = found(&dir, &[]).unwrap_err().to_string();
        for it in ["z.png` is 4x4 with 3 channels", "2x3 with 1 channel", "|> resize(2, 3) |> channels(1)"] {
            assert!(message.contains(it), "{message}");
        }
        let steps = [ImageStep::Resize { height: 2, width: 3 }, ImageStep::Channels(1)];
        assert_eq!(found(&dir, &steps).unwrap().train.targets.labels(), [0, 1, 1]);
    }

    #[test]
    fn damaged_files_and_unknown_classes_are_named() {
        let dir = directory();
        fs::write(dir.path().join("train/dog/x.png"), "not a picture").unwrap();
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("x.png"));
        let dir = directory();
        grey(&dir.path().join("test/cow/c.png"), 3, 2, 30);
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("`cow` is not a class"));
        let dir = directory();
        grey(&dir.path().join("test/Dog/c.png"), 3, 2, 30);
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("`train` has `dog`"));
        let dir = directory();
        fs::remove_dir_all(dir.path().join("test/dog")).unwrap();
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("test` has no folder"));
    }

    #[test]
    fn all_that_is_not_read_is_told() {
        let dir = directory();
        let at = |it: &str| dir.path().join(it);
        let put = |it: &str| {
            fs::create_dir_all(at(it).parent().unwrap()).unwrap();
            fs::write(at(it), "x").unwrap();
        };
        for it in ["train/cat/a.webp", "train/cat/b.gif", "train/dog/.c.png", "train/cat/more/d.png", "test/e.png"] {
            put(it);
        }
        put("more/cat/f.png");
        put("README");
        fs::rename(at("train/dog/b.png"), at("train/dog/b.PNG")).unwrap();
        grey(&at("train/Dog/g.png"), 3, 2, 1);
        let data = found(&dir, &[]).unwrap();
        assert_eq!(
            (data.classes.len(), data.train.targets.labels()),
            (3, &[0, 1, 2][..]),
            "endings in capitals are read"
        );
        for it in [
            "3 files not read (neither .png, .jpg nor .jpeg): `train/cat/a.webp`, `train/cat/b.gif`, `train/cat/notes.txt`",
            "1 hidden file not read",
            "`train/cat/more`",
            "`test/e.png`",
            "`more`",
            "the classes `Dog`, `dog` differ in nothing but capital letters",
        ] {
            assert!(data.warnings.iter().any(|said| said.contains(it)), "{it}: {:?}", data.warnings);
        }
        assert_eq!(data.warnings.len(), 6, "{:?}", data.warnings);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_are_told() {
        use std::os::unix::fs::symlink;
        let dir = directory();
        let at = |it: &str| dir.path().join(it);
        symlink("nowhere.png", at("train/cat/dead.png")).unwrap();
        symlink("circle.png", at("train/cat/circle.png")).unwrap();
        symlink(at("train/cat/a.png"), at("train/cat/live.png")).unwrap();
        let data = found(&dir, &[]).unwrap();
        assert_eq!(data.train.targets.labels(), [0, 0, 1]);
        let expected = "2 links not read (they lead nowhere): `train/cat/circle.png`, `train/cat/dead.png`";
        assert!(data.warnings.iter().any(|it| it == expected), "{:?}", data.warnings);
    }

    #[test]
    fn more_than_there_is_memory_for_is_refused() {
        let dir = directory();
        let manifest = Manifest::bare("pets".into(), Format::Images);
        let message = read(dir.path(), &manifest, &Reading::default(), &mut Room::of(30)).unwrap_err().to_string();
        assert!(message.contains("of memory"), "{message}");
    }
}
