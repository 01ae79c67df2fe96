//! Labels in the arrays of `.npz` files that are classes: whole numbers from 0, one for each example.

use super::DataError;
use super::bound::Room;
use super::error::{figure, plain};
use super::faults::Faults;
use super::manifest::Manifest;
use super::mend;
use super::npy::{Header, Kind};
use super::npz::{Array, Part};

/// Larger labels are no classes, unless a manifest names so many.
const MOST_CLASSES: usize = 10_000;

const ADVICE: &str = "store labels as whole numbers from 0, one for each example";

/// The labels of each part.
pub(super) fn classes(
    parts: &[Part],
    manifest: &Manifest,
    room: &mut Room,
    faults: &mut Faults,
) -> Result<Vec<Vec<i64>>, DataError> {
    let named = !manifest.classes.is_empty();
    let most = if named { manifest.classes.len() } else { MOST_CLASSES };
    let mut res = Vec::new();
    for part in parts {
        let mut found = Vec::new();
        for (array, examples) in part.labels.iter().zip(&part.examples) {
            let of_file: Vec<&Array> =
                parts.iter().flat_map(|it| &it.labels).filter(|it| it.path() == array.path()).collect();
            let known = Known { most, named, of_file: &of_file };
            known.append(array, examples.examples(), &mut found, room, faults)?;
        }
        res.push(found);
    }
    Ok(res)
}

struct Known<'a> {
    /// How many classes there can be.
    most: usize,
    /// Whether the manifest names them.
    named: bool,
    /// All arrays of labels in the file.
    of_file: &'a [&'a Array],
}

impl Known<'_> {
    /// Has all arrays of the file counted anew from 0.
    fn counted(&self, faults: &mut Faults) {
        for array in self.of_file {
            faults.mend(array, self.as_counted(array));
        }
    }

    fn as_counted(&self, array: &Array) -> String {
        let names: Vec<&str> = self.of_file.iter().map(|it| it.name).collect();
        mend::counted(&mend::array(array.name), &names)
    }

    /// Adds the labels of an array for so many examples.
    fn append(
        &self,
        array: &Array,
        count: u64,
        found: &mut Vec<i64>,
        room: &mut Room,
        faults: &mut Faults,
    ) -> Result<(), DataError> {
        let Header { shape, dtype, .. } = &array.header;
        let mut causes = Vec::new();
        let mut mended = Some(mend::array(array.name));
        if array.count != count || shape.first() != Some(&count) {
            causes.push(format!("has extents {shape:?}, while one label for each of {count} examples is [{count}]"));
            mended = mended.and_then(|it| match shape[..] {
                [n, width] if n == count && 1 < width => Some(format!("{it}.argmax(1)")),
                _ if array.count == count => Some(format!("{it}.ravel()")),
                _ => None,
            });
            faults.add(array, &causes, mended, ADVICE);
            return Ok(());
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
                faults.add(array, &causes, Some(self.as_counted(array)), ADVICE);
                self.counted(faults);
                return Ok(());
            }
            Kind::Other => {
                causes.push(format!("has dtype {}, while labels are integers", plain(&dtype.text)));
                faults.add(array, &causes, None, ADVICE);
                return Ok(());
            }
        }
        room.reserve(array.path(), found, array.count)?;
        let before = found.len();
        let mut wrong = None;
        array.each(|it| {
            let is_class = it.fract() == 0.0 && 0.0 <= it && it < self.most as f64;
            if !is_class && wrong.is_none() {
                wrong = Some((found.len() - before, it));
            }
            found.push(it as i64);
        })?;
        let Some((place, label)) = wrong else {
            faults.add(array, &causes, mended, ADVICE);
            return Ok(());
        };
        let known = if self.named { "the manifest names the classes" } else { "classes are" };
        causes.push(format!("has label {} at {place}, while {known} 0 to {}", figure(label), self.most - 1));
        // Labels that a manifest's names do not cover are not wrong of themselves.
        let counts = !self.named && label.fract() == 0.0;
        let advice = if self.named { "name all classes in the manifest" } else { ADVICE };
        faults.add(array, &causes, counts.then(|| self.as_counted(array)), advice);
        if counts {
            self.counted(faults);
        }
        Ok(())
    }
}
