//! Files with examples that a model is given: pictures, and arrays of NumPy's.

use super::{Error, Model};
use crate::data::{self, Change, Element, Picture};
use crate::ir::{DType, Precision, Shape};
use crate::lower::images;
use crate::plan::Training;
use crate::train::Meaning;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files, with the pictures of a folder in its place; what a folder holds besides is told.
pub fn listed(model: &Model, given: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut images = Vec::new();
    for path in given {
        if !path.is_dir() {
            images.push(path.clone());
            continue;
        }
        let (found, left) = data::pictures(path)?;
        let shown = path.display();
        if found.is_empty() {
            let cause = format!("there are no pictures in the folder `{shown}`");
            return Err(Error::image(
                cause,
                "give one with PNG or JPEG files in it; folders inside of it are not looked at",
            ));
        }
        if left != 0 {
            let them = if left == 1 { "1 item that is".to_owned() } else { format!("{left} items that are") };
            model.warn(&[format!("`{shown}` holds {them} no PNG or JPEG file, and not looked at")]);
        }
        images.extend(found);
    }
    Ok(images)
}

/// Examples of files as a plan's input has them, after the recipe's steps.
#[derive(Default)]
pub struct Inputs {
    /// Their numbers, one example after the other.
    pub bytes: Vec<u8>,
    /// What each is called: the file, and of arrays the place in it.
    pub names: Vec<String>,
    changes: BTreeMap<Change, Vec<String>>,
}

/// What an example of a plan is made of.
pub(super) fn element(training: &Training, precision: Precision) -> Element {
    Element { dtype: training.dtype, double: precision.is_double() }
}

impl Inputs {
    /// Adds a file, whose examples must be what the plan takes once the recipe's steps are done: a picture, or an array of
    /// NumPy's of one example or of several.
    pub fn add(&mut self, path: &Path, training: &Training, precision: Precision) -> Result<(), Error> {
        let element = element(training, precision);
        match data::is_array(path) {
            true => self.array(path, training, element),
            false => self.picture(path, training, element),
        }
    }

    fn picture(&mut self, path: &Path, training: &Training, element: Element) -> Result<(), Error> {
        let shown = path.display();
        if training.image.image().is_none() {
            let cause = format!("`{shown}` is read as a picture, and the model takes {}", takes(training));
            return Err(Error::image(cause, "give an array of NumPy's, as a file that ends in .npy or .npz"));
        }
        let Picture { pixels, dtype, size, changes } = data::decode(path, element.dtype != DType::U8)?;
        for change in changes {
            self.changes.entry(change).or_default().push(path.display().to_string());
        }
        let pixels = match dtype == element.dtype {
            true => pixels,
            false => {
                let mut res = Vec::new();
                Element::of(dtype).each(&pixels, |it| element.put(it, &mut res));
                res
            }
        };
        let name = path.to_string_lossy().into_owned();
        self.stepped(name, pixels, size.into(), training, element)
    }

    fn array(&mut self, path: &Path, training: &Training, element: Element) -> Result<(), Error> {
        let name = path.to_string_lossy().into_owned();
        let loaded = data::load(path, element, training.image.len())?;
        let rank = loaded.shape.rank();
        if loaded.dtype != element.dtype {
            let cause = format!(
                "the numbers of `{name}` are {}{:?}, and the model takes {}",
                loaded.dtype.word(),
                loaded.shape.0,
                takes(training)
            );
            return Err(Error::image(cause, "give numbers of that type, as the model was trained with"));
        }
        // Where nothing is to be done to it, an array with the extents of one example is one.
        let alone = training.images.is_empty() && loaded.shape.fits(&training.image);
        if alone || rank == 0 {
            return self.stepped(name, loaded.numbers.to_vec(), loaded.shape.clone(), training, element);
        }
        let each = Shape(loaded.shape.0[1..].to_vec());
        let bytes = each.len().saturating_mul(element.bytes());
        if bytes == 0 || loaded.numbers.is_empty() {
            return Err(Error::image(format!("`{name}` holds no examples"), "give an array of one at least"));
        }
        for (at, one) in loaded.numbers.chunks_exact(bytes).enumerate() {
            self.stepped(format!("{name}[{at}]"), one.to_vec(), each.clone(), training, element)?;
        }
        Ok(())
    }

    /// Adds an example after the recipe's steps.
    fn stepped(
        &mut self,
        name: String,
        numbers: Vec<u8>,
        shape: Shape,
        training: &Training,
        element: Element,
    ) -> Result<(), Error> {
        let Training { images: steps, image: expected, .. } = training;
        let told = |it: &Shape| match it.0[..] {
            [height, width, channels] => {
                format!("{height}x{width} with {channels} channel{}", if channels == 1 { "" } else { "s" })
            }
            _ => it.told(),
        };
        let (numbers, after) = match shape.image().filter(|_| !steps.is_empty()) {
            Some(image) => {
                let found = data::apply(numbers, element, image, steps).map_err(|it| {
                    Error::image(format!("cannot use `{name}`: {it}"), "change the steps of the `data` entry")
                })?;
                (found.0, Shape::from(found.1))
            }
            None => (numbers, shape),
        };
        if after.fits(expected) {
            self.bytes.extend(numbers);
            self.names.push(name);
            return Ok(());
        }
        let done = if steps.is_empty() { "" } else { " after the recipe's steps" };
        let more = after.image().and_then(|it| images::steps_between(it, expected.dims(), false));
        let remedy = match more {
            Some(more) => {
                format!(
                    "write `{}` at the end of the recipe's `data` entry: it holds for every image",
                    more.trim_start()
                )
            }
            None => format!("give {} of that size", if expected.rank() == 3 { "an image" } else { "an array" }),
        };
        let cause = format!("`{name}` is {}{done}, the model takes {}", told(&after), told(expected));
        Err(Error::image(cause, remedy))
    }

    /// Tells what was done to the files, and what is unlike the images that the weights were trained on.
    pub fn remark(&self, model: &Model, known: Option<&Meaning>, training: &Training, precision: Precision) {
        model.warn(&data::remarks(&self.changes));
        doubts(model, known, training, precision, &self.bytes);
    }
}

/// What a plan takes: `float[20]`.
fn takes(training: &Training) -> String {
    format!("{}{:?}", training.dtype.word(), training.image.0)
}

/// Tells of examples that are unlike those that the weights were trained on.
pub(super) fn doubts(model: &Model, known: Option<&Meaning>, training: &Training, precision: Precision, bytes: &[u8]) {
    let Some(known) = known else { return };
    let mut range = known.range;
    element(training, precision).each(bytes, |it| range = range.with(it));
    model.warn(&known.doubts(&Meaning {
        classes: known.classes.clone(),
        target: training.target.clone(),
        image: training.image.clone(),
        dtype: training.dtype,
        steps: training.images.clone(),
        range,
        fingerprints: None,
        counts: None,
    }));
}
