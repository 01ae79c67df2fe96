//! Image files by class: `train/<class>/*.png`, `test/<class>/*.jpg`.

use super::error::extents;
use super::manifest::Manifest;
use super::{DataError, Dataset, Split, steps};
use crate::ir::ImageStep;
use image::{ColorType, ImageReader};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether `directory` has classes to train on.
pub(super) fn is_layout(directory: &Path) -> bool {
    class_names(directory).is_ok_and(|it| !it.is_empty())
}

/// What is in a directory, in order of names; hidden files are not.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, DataError> {
    let fail = |cause| DataError::Read { path: directory.into(), cause };
    let mut res = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            res.push(entry.path());
        }
    }
    res.sort();
    Ok(res)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned())
}

/// The classes: the folders in `train`.
pub(super) fn class_names(directory: &Path) -> Result<Vec<String>, DataError> {
    Ok(entries(&directory.join("train"))?.iter().filter(|it| it.is_dir()).map(|it| name(it)).collect())
}

/// Decodes a PNG or JPEG file: its pixels, and height, width and channels (1 of a grey picture, else 3).
/// Transparency is left out.
pub fn decode(path: &Path) -> Result<(Vec<u8>, [usize; 3]), DataError> {
    let fail = |cause| DataError::Read { path: path.into(), cause };
    let reader = ImageReader::open(path).map_err(fail)?.with_guessed_format().map_err(fail)?;
    let image = reader.decode().map_err(|it| DataError::Image { path: path.into(), cause: it.to_string() })?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    Ok(match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
            (image.into_luma8().into_raw(), [height, width, 1])
        }
        _ => (image.into_rgb8().into_raw(), [height, width, 3]),
    })
}

/// Reads both parts and does the steps to every image; all must be equal in size then.
pub(super) fn read(directory: &Path, manifest: &Manifest, steps: &[ImageStep]) -> Result<Dataset, DataError> {
    let classes = class_names(directory)?;
    let mut image = None;
    let mut part = |which: &str| -> Result<Split, DataError> {
        let mut split = Split::default();
        let folder = directory.join(which);
        for class in entries(&folder)?.iter().filter(|it| it.is_dir()) {
            let Some(label) = classes.iter().position(|it| *it == name(class)) else {
                let cause = format!("`{}` is no class: `train` has no such folder", name(class));
                return Err(DataError::Malformed { path: class.clone(), cause });
            };
            for path in entries(class)?.iter().filter(|it| is_image(it)) {
                let (pixels, size) = decode(path)?;
                let (pixels, size) = steps::apply(pixels, size, steps)
                    .map_err(|cause| DataError::Image { path: path.clone(), cause })?;
                let (first, expected): &(PathBuf, [usize; 3]) = image.get_or_insert_with(|| (path.clone(), size));
                if size != *expected {
                    let cause = format!("{}, but `{}` is {}", extents(size), first.display(), extents(*expected));
                    let steps = differing(size, *expected);
                    return Err(DataError::Sizes { path: path.clone(), cause, steps });
                }
                split.images.extend(pixels);
                split.labels.push(label as i64);
            }
        }
        if split.is_empty() {
            return Err(DataError::Missing {
                name: manifest.name.clone(),
                cause: format!("`{}` has no folder with .png or .jpg files", folder.display()),
                remedy: "a data set of images has the folders `train/<class>` and `test/<class>`".into(),
            });
        }
        Ok(split)
    };
    let (train, test) = (part("train")?, part("test")?);
    let (_, image) = image.expect("empty parts are errors");
    Ok(Dataset { name: manifest.name.clone(), image, classes, train, test })
}

/// The steps that make two sizes equal.
fn differing(size: [usize; 3], expected: [usize; 3]) -> String {
    let mut res = String::new();
    if size[..2] != expected[..2] {
        res += &format!(" |> resize({}, {})", expected[0], expected[1]);
    }
    if size[2] != expected[2] {
        res += &format!(" |> channels({})", expected[2]);
    }
    res
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase());
    path.is_file() && extension.is_some_and(|it| matches!(&*it, "png" | "jpg" | "jpeg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Format;
    use image::{GrayImage, Luma, Rgb, RgbImage};

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
        read(dir.path(), &Manifest::bare("pets".into(), Format::Images), steps)
    }

    #[test]
    fn folders_are_classes_in_order_of_names() {
        let data = found(&directory(), &[]).unwrap();
        assert_eq!(data.classes, ["cat", "dog"]);
        assert_eq!((data.image, data.train.labels, data.test.labels), ([2, 3, 1], vec![0, 1], vec![1]));
        assert_eq!(data.train.images, [[10; 6], [20; 6]].concat());
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
        assert_eq!(found(&dir, &steps).unwrap().train.labels, [0, 1, 1]);
    }

    #[test]
    fn damaged_files_and_unknown_classes_are_named() {
        let dir = directory();
        fs::write(dir.path().join("train/dog/x.png"), "not a picture").unwrap();
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("x.png"));
        let dir = directory();
        grey(&dir.path().join("test/cow/c.png"), 3, 2, 30);
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("`cow` is no class"));
        let dir = directory();
        fs::remove_dir_all(dir.path().join("test/dog")).unwrap();
        assert!(found(&dir, &[]).unwrap_err().to_string().contains("test` has no folder"));
    }
}
