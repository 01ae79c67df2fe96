//! What keeps the arrays of an `.npz` file from being used, and what mends it: images of another dtype, order or shape,
//! labels that are no whole numbers from 0.

use super::DataError;
use super::bound::Room;
use super::error::plain;
use super::manifest::Manifest;
use super::mend::{self, Range};
use super::npy::{Header, Kind};
use super::npz::{Archive, Array};
use std::path::Path;

/// Larger labels are no classes, unless a manifest names so many.
const MOST_CLASSES: usize = 10_000;

/// What keeps arrays from being used, and what mends it.
#[derive(Default)]
pub(super) struct Faults {
    causes: Vec<String>,
    mended: Vec<(&'static str, String)>,
    /// What nothing of NumPy mends.
    advice: Option<&'static str>,
    pickled: bool,
}

impl Faults {
    pub(super) fn add(&mut self, array: &Array, causes: &[String], mended: Option<String>, advice: &'static str) {
        if causes.is_empty() {
            return;
        }
        self.causes.push(format!("`{}` {}", array.name, causes.join(", and ")));
        self.pickled |= array.header.dtype.kind == Kind::Object;
        match mended {
            Some(it) => self.mend(array.name, it),
            None => self.advice = self.advice.or(Some(advice)),
        }
    }

    fn mend(&mut self, name: &'static str, expression: String) {
        if self.mended.iter().all(|it| it.0 != name) {
            self.mended.push((name, expression));
        }
    }

    pub(super) fn end(self, path: &Path) -> Result<(), DataError> {
        if self.causes.is_empty() {
            return Ok(());
        }
        let remedy = match self.advice {
            Some(it) => it.to_owned(),
            None => mend::line(path, &self.mended, self.pickled),
        };
        Err(DataError::Unfit { path: path.into(), cause: self.causes.join("; "), remedy })
    }
}

/// Height, width and channels of images in an array of these extents.
pub(super) fn image_extents(shape: &[u64]) -> Option<[usize; 3]> {
    let extent = |it: u64| usize::try_from(it).ok();
    match *shape {
        [_, height, width] => Some([extent(height)?, extent(width)?, 1]),
        [_, height, width, channels] => Some([extent(height)?, extent(width)?, extent(channels)?]),
        _ => None,
    }
}

/// What to say of images that look as if their channels came first, as PyTorch has them.
pub(super) fn channels_first(path: &Path, images: &[Array; 2]) -> Option<String> {
    let [_, channels @ (1 | 3), height, width] = images[0].header.shape[..] else { return None };
    if height != width || width <= 4 {
        return None;
    }
    let expression = |it: &Array| (it.name, mend::channels_last(&mend::array(it.name)));
    let line = mend::line(path, &[expression(&images[0]), expression(&images[1])], false);
    Some(format!(
        "the images of `{}` are {channels}x{height} with {width} channels: are their channels first, not last?\n  {line}",
        path.display()
    ))
}

impl Archive {
    fn range(&mut self, array: &Array) -> Result<Range, DataError> {
        let mut range = Range::EMPTY;
        if array.header.dtype.bytes() != 0 {
            self.each(array, |it| range.see(it))?;
        }
        Ok(range)
    }

    /// Whether arrays are images as bytes, rows by rows.
    pub(super) fn judge_images(&mut self, images: &[Array; 2], faults: &mut Faults) -> Result<(), DataError> {
        let advice = "store images as bytes, [n, height, width] or [n, height, width, channels] of dtype uint8";
        let is_bytes = |it: &Array| it.header.dtype.kind == Kind::Uint && it.header.dtype.bytes() == 1;
        // Both parts become bytes in the same way.
        let mut range = Range::EMPTY;
        for it in images.iter().filter(|it| !is_bytes(it)) {
            let found = self.range(it)?;
            let Range { least, most, whole, finite } = range;
            range = Range {
                least: least.min(found.least),
                most: most.max(found.most),
                whole: whole && found.whole,
                finite: finite && found.finite,
            };
        }
        for array in images {
            let Header { shape, dtype, fortran } = &array.header;
            let mut causes = Vec::new();
            let mut mended = Some(mend::array(array.name));
            if *fortran {
                causes.push("is in Fortran's order".to_owned());
                mended = mended.map(|it| format!("np.ascontiguousarray({it})"));
            }
            // Of objects it is not known what they are extents of.
            if image_extents(shape).is_none() && dtype.kind != Kind::Object {
                causes.push(format!("has extents {shape:?}, not [n, height, width] or [n, height, width, channels]"));
                let rows = if let [_, pixels] = shape[..] { square(pixels) } else { None };
                mended = mended.zip(rows).map(|(it, rows)| format!("{it}{rows}"));
            }
            if !is_bytes(array) {
                let values = match range.least <= range.most && dtype.bytes() != 0 {
                    true => format!(" and values from {} to {}", range.least, range.most),
                    false => String::new(),
                };
                causes.push(format!("has dtype {}{values}, while images are bytes (uint8)", plain(&dtype.text)));
                mended = mended.and_then(|it| mend::as_bytes(&it, dtype.kind, range));
            }
            faults.add(array, &causes, mended, advice);
        }
        Ok(())
    }

    /// The labels of both parts: whole numbers from 0, one for each image.
    pub(super) fn labels(
        &mut self,
        images: &[Array; 2],
        labels: &[Array; 2],
        manifest: &Manifest,
        room: &mut Room,
        faults: &mut Faults,
    ) -> Result<[Vec<i64>; 2], DataError> {
        let advice = "store labels as whole numbers from 0, one for each image";
        let names = [labels[0].name, labels[1].name];
        let named = !manifest.classes.is_empty();
        let classes = if named { manifest.classes.len() } else { MOST_CLASSES };
        let mut res = [Vec::new(), Vec::new()];
        for (at, array) in labels.iter().enumerate() {
            let count = images[at].header.shape.first().copied().unwrap_or(0);
            let Header { shape, dtype, .. } = &array.header;
            let mut causes = Vec::new();
            let mut mended = Some(mend::array(array.name));
            if array.count != count || shape.first() != Some(&count) {
                causes.push(format!("has extents {shape:?}, while one label for each of {count} images is [{count}]"));
                mended = mended.and_then(|it| match shape[..] {
                    [n, width] if n == count && 1 < width => Some(format!("{it}.argmax(1)")),
                    _ if array.count == count => Some(format!("{it}.ravel()")),
                    _ => None,
                });
                faults.add(array, &causes, mended, advice);
                continue;
            }
            match dtype.kind {
                Kind::Int | Kind::Uint => {}
                Kind::Bool | Kind::Float => {
                    causes.push(format!("has dtype {}, while labels are integers", plain(&dtype.text)));
                    mended = mended.map(|it| format!("{it}.astype('int64')"));
                }
                Kind::Text | Kind::Object => {
                    let said = "while labels are integers (name the classes in a manifest, in the order of their text)";
                    causes.push(format!("has dtype {}, {said}", plain(&dtype.text)));
                    faults.add(array, &causes, Some(mend::counted(&mend::array(array.name), &names)), advice);
                    for name in names {
                        faults.mend(name, mend::counted(&mend::array(name), &names));
                    }
                    continue;
                }
                Kind::Other => {
                    causes.push(format!("has dtype {}, while labels are integers", plain(&dtype.text)));
                    faults.add(array, &causes, None, advice);
                    continue;
                }
            }
            room.reserve(&self.path, &mut res[at], array.count)?;
            let found = &mut res[at];
            let mut wrong = None;
            self.each(array, |it| {
                let is_class = it.fract() == 0.0 && 0.0 <= it && it < classes as f64;
                if !is_class && wrong.is_none() {
                    wrong = Some((found.len(), it));
                }
                found.push(it as i64);
            })?;
            if let Some((place, label)) = wrong {
                let known = if named { "the manifest names the classes" } else { "classes are" };
                causes.push(format!("has label {label} at {place}, while {known} 0 to {}", classes - 1));
                // Labels that a manifest's names do not cover are not wrong of themselves.
                let counted = (!named && label.fract() == 0.0).then(|| mend::counted(&mend::array(array.name), &names));
                faults.add(
                    array,
                    &causes,
                    counted.clone(),
                    if named { "name all classes in the manifest" } else { advice },
                );
                for name in names.into_iter().filter(|_| counted.is_some()) {
                    faults.mend(name, mend::counted(&mend::array(name), &names));
                }
                continue;
            }
            faults.add(array, &causes, mended, advice);
        }
        Ok(res)
    }
}

/// The end of an expression that makes squares of rows of pixels, where they are squares; three of them are colours, which
/// come plane by plane in CIFAR's files.
fn square(pixels: u64) -> Option<String> {
    let side = pixels.isqrt();
    if side * side == pixels && 0 < side {
        return Some(format!(".reshape(-1, {side}, {side})"));
    }
    let side = (pixels / 3).isqrt();
    (3 * side * side == pixels && 0 < side).then(|| format!(".reshape(-1, 3, {side}, {side}).transpose(0, 2, 3, 1)"))
}
