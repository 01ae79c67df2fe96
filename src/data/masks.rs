//! Image files with the classes of their pixels: `train/images/*.png` and `train/masks/*.png` of the same names, and so for `test`
//! and, where it is there, `val`. A mask is a grey PNG file whose bytes are numbers of classes, 255 being none where fewer are there.

use super::answers::{VOID, classes_of_pixels};
use super::bound::Room;
use super::error::{count, few, shown};
use super::folder::pictures;
use super::gallery::{AT_ONCE, Gallery, in_order};
use super::manifest::Manifest;
use super::picture::{Picture, decoded};
use super::{DataError, Dataset, Reading, Split, Targets};
use crate::ir::TargetKind;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const IMAGES: &str = "images";
const MASKS: &str = "masks";
const VALIDATION: &str = "val";

/// Whether `directory` has images to train on with their masks.
pub(super) fn is_layout(directory: &Path) -> bool {
    [IMAGES, MASKS].iter().all(|it| directory.join("train").join(it).is_dir())
}

/// What is found on the way.
struct Found<'a> {
    manifest: &'a Manifest,
    gallery: Gallery<'a>,
    warnings: Vec<String>,
}

/// Reads all parts.
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    reading: &Reading<'_>,
    room: &mut Room,
) -> Result<Dataset, DataError> {
    let gallery = Gallery::new(directory, reading).plain();
    let mut found = Found { manifest, gallery, warnings: Vec::new() };
    let mut part = |name: &str| found.part(&directory.join(name), room);
    let (train, test) = (part("train")?, part("test")?);
    let validation = match directory.join(VALIDATION).is_dir() {
        true => Some(part(VALIDATION)?),
        false => None,
    };
    let parts = [Some(&train), Some(&test), validation.as_ref()];
    let targets: Vec<&Targets> = parts.into_iter().flatten().map(|it| &it.targets).collect();
    let classes = match manifest.classes.is_empty() {
        true => classes_of_pixels(&targets),
        false => manifest.classes.clone(),
    };
    let (image, dtype) = found.gallery.form().expect("a part without images is an error");
    let mut warnings = found.warnings;
    warnings.extend(found.gallery.remarks());
    let target = TargetKind::Map([image.0[0], image.0[1]]);
    Ok(Dataset {
        name: manifest.name.clone(),
        image,
        dtype,
        double: false,
        target,
        classes,
        train,
        test,
        validation,
        range: None,
        warnings,
    })
}

impl Found<'_> {
    fn part(&mut self, part: &Path, room: &mut Room) -> Result<Split, DataError> {
        let folders = [IMAGES, MASKS].map(|it| part.join(it));
        if let Some(missing) = folders.iter().find(|it| !it.is_dir()) {
            return Err(DataError::Missing {
                name: self.manifest.name.clone(),
                cause: format!("there is no folder `{}`", shown(missing)),
                remedy: "a class for each pixel takes `train/images`, `train/masks`, `test/images` and `test/masks`"
                    .into(),
            });
        }
        let [images, masks] = [self.listed(&folders[0])?, self.listed(&folders[1])?];
        let pairs = paired(part, images, masks)?;
        let images: Vec<&Path> = pairs.iter().map(|it| &*it.0).collect();
        let pixels = self.gallery.read(&images, room).map_err(|it| match it {
            DataError::Sizes { path, cause, .. } => {
                let remedy = "store all images and masks in one size".into();
                DataError::Unfit { path, cause: format!("it is {cause}"), remedy }
            }
            other => other,
        })?;
        let Some((size, _)) = self.gallery.form() else { return Err(DataError::Empty { path: folders[0].clone() }) };
        let [height, width] = [size.0[0], size.0[1]];
        let (each, mut classes) = (height * width, Vec::new());
        room.reserve(&folders[1], &mut classes, (each as u64).saturating_mul(pairs.len() as u64))?;
        let most = self.manifest.classes.len().clamp(1, usize::from(VOID));
        let bound = if self.manifest.classes.is_empty() { usize::from(VOID) + 1 } else { most };
        for (at, some) in pairs.chunks(AT_ONCE).enumerate() {
            for found in in_order(some, |it| mask(&it.1, [height, width], bound, *room)) {
                classes.extend(found?);
            }
            self.gallery.tell(at * AT_ONCE + some.len(), pairs.len());
        }
        Ok(Split { images: pixels, targets: Targets::Bytes { each, bytes: classes } })
    }

    /// The pictures of a folder, and what else is in it.
    fn listed(&mut self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let (found, left) = pictures(folder)?;
        if found.is_empty() {
            return Err(DataError::Empty { path: folder.into() });
        }
        if left != 0 {
            let others = count(left, "thing");
            self.warnings.push(format!("{others} in `{}` not read: neither .png, .jpg nor .jpeg", shown(folder)));
        }
        Ok(found)
    }
}

/// The classes of an image's pixels.
fn mask(path: &Path, image: [usize; 2], bound: usize, room: Room) -> Result<Vec<u8>, DataError> {
    let unfit = |cause: String, remedy: &str| DataError::Unfit { path: path.into(), cause, remedy: remedy.into() };
    let Picture { pixels, size, changes, .. } = decoded(path, false, room)?;
    if path.extension().is_none_or(|it| !it.eq_ignore_ascii_case("png")) {
        return Err(unfit("it is a JPEG file, which changes numbers".into(), "store masks as PNG"));
    }
    // What is turned, rounded or put on black are other numbers than were stored.
    if size[2] != 1 || !changes.is_empty() {
        let cause = "a mask holds the number of a class for each pixel, in one channel of 8 bits; this one is a coloured or changed picture";
        let remedy = "`Image.fromarray(classes.astype('uint8')).save(path)` of Pillow stores one; of a palette the numbers are `np.array(Image.open(path))`";
        return Err(unfit(cause.into(), remedy));
    }
    if size[..2] != image {
        let cause = format!("it is {}x{}, and its image {}x{}", size[0], size[1], image[0], image[1]);
        return Err(unfit(cause, "store masks in the size of their images"));
    }
    if let Some(it) = pixels.iter().find(|it| **it != VOID && bound <= usize::from(**it)) {
        let cause = format!("it has {it}, while the manifest names the classes 0 to {}, and 255 is none", bound - 1);
        return Err(unfit(cause, "name all classes in the manifest"));
    }
    Ok(pixels)
}

/// Each image with the mask of its name, in order.
fn paired(part: &Path, images: Vec<PathBuf>, masks: Vec<PathBuf>) -> Result<Vec<(PathBuf, PathBuf)>, DataError> {
    let stem = |it: &PathBuf| it.file_stem().unwrap_or_default().to_os_string();
    let unfit = |cause: String, remedy: &str| DataError::Unfit { path: part.into(), cause, remedy: remedy.into() };
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for it in masks {
        if let Some(other) = by_name.insert(stem(&it), it.clone()) {
            let cause = format!("`{}` and `{}` are masks of one image", shown(&other), shown(&it));
            return Err(unfit(cause, "leave one of them out"));
        }
    }
    let mut res: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut without = Vec::new();
    for it in images {
        // They are in order of their names.
        if let Some((other, _)) = res.last().filter(|(other, _)| stem(other) == stem(&it)) {
            let cause = format!("`{}` and `{}` are images of one mask", shown(other), shown(&it));
            return Err(unfit(cause, "leave one of them out"));
        }
        match by_name.remove(&stem(&it)) {
            Some(mask) => res.push((it, mask)),
            None => without.push(shown(&it)),
        }
    }
    if !without.is_empty() {
        let cause = format!("{} without a mask of the same name: {}", count(without.len(), "image"), few(&without));
        return Err(unfit(cause, "give each image in `images` a PNG file of its name in `masks`"));
    }
    if !by_name.is_empty() {
        let left: Vec<String> = by_name.values().map(|it| shown(it)).collect();
        let cause = format!("{} without an image of the same name: {}", count(left.len(), "mask"), few(&left));
        return Err(unfit(cause, "remove them, or add their images"));
    }
    Ok(res)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Format, describe};
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use std::fs;

    fn put(path: PathBuf, pixel: impl Fn(u32, u32) -> u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_fn(3, 2, |x, y| Luma([pixel(x, y)])).save(path).unwrap();
    }

    fn directory() -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        for (part, name, at) in [("train", "a", 10), ("train", "b", 20), ("test", "c", 30), ("val", "d", 40)] {
            put(res.path().join(part).join(format!("images/{name}.png")), |_, _| at);
            put(res.path().join(part).join(format!("masks/{name}.png")), |x, y| if x == 0 { 255 } else { y as u8 });
        }
        res
    }

    fn found(dir: &tempfile::TempDir, classes: &[&str]) -> Result<Dataset, DataError> {
        let classes = classes.iter().map(|it| (*it).to_owned()).collect();
        let manifest = Manifest { classes, ..Manifest::bare("cells".into(), Format::Masks) };
        read(dir.path(), &manifest, &Reading::default(), &mut Room::of(1 << 20))
    }

    #[test]
    fn masks_go_with_the_images_of_their_names() {
        let dir = directory();
        assert_eq!(describe(dir.path().to_str().unwrap()).unwrap().format, Format::Masks);
        let data = found(&dir, &[]).unwrap();
        assert_eq!((data.image.0, data.target), (vec![2, 3, 1], TargetKind::Map([2, 3])));
        assert_eq!(data.train.images, [[10; 6], [20; 6]].concat());
        assert_eq!(data.train.targets.bytes(), [[255, 0, 0, 255, 1, 1]; 2].concat());
        assert_eq!((data.classes, data.validation.unwrap().len()), (vec!["0".to_owned(), "1".to_owned()], 1));
        assert_eq!(found(&dir, &["sky", "sea"]).unwrap().classes, ["sky", "sea"]);
    }

    #[test]
    fn what_is_no_pair_of_image_and_mask_is_told() {
        let said = |change: &dyn Fn(&Path), classes: &[&str]| {
            let dir = directory();
            change(dir.path());
            found(&dir, classes).map_or_else(|it| it.to_string(), |it| format!("{it:?}"))
        };
        let mask = |dir: &Path| dir.join("train/masks/a.png");
        for (change, expected) in [
            ((&|_: &Path| ()) as &dyn Fn(&Path), "it has 1, while the manifest names the classes 0 to 0"),
            (
                &|it| _ = fs::copy(it.join("train/images/a.png"), it.join("train/images/a.jpg")).unwrap(),
                "a.png` are images of one mask",
            ),
            (&|it| fs::remove_file(mask(it)).unwrap(), "1 image without a mask of the same name"),
            (&|it| put(it.join("test/masks/z.png"), |_, _| 0), "1 mask without an image of the same name"),
            (&|it| GrayImage::new(2, 2).save(mask(it)).unwrap(), "it is 2x2, and its image 2x3"),
            (&|it| RgbImage::from_pixel(3, 2, Rgb([1, 2, 3])).save(mask(it)).unwrap(), "in one channel of 8 bits"),
            (
                &|it| GrayImage::new(4, 4).save(it.join("train/images/b.png")).unwrap(),
                "store all images and masks in one size",
            ),
            (&|it| fs::remove_dir_all(it.join("test/masks")).unwrap(), "there is no folder"),
            (
                &|it| {
                    fs::remove_file(mask(it)).unwrap();
                    GrayImage::new(3, 2).save(it.join("train/masks/a.jpg")).unwrap();
                },
                "store masks as PNG",
            ),
        ] {
            let classes: &[&str] = if expected.contains("classes 0 to 0") { &["sky"] } else { &["sky", "sea"] };
            let found = said(change, classes);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
