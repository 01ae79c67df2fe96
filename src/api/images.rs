//! Image files that a model is given.

use super::{Error, Model};
use crate::data::{self, Change, Picture};
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

/// Pixels of files: bytes in the order image, row, column, channel, after the recipe's steps.
#[derive(Default)]
pub struct Pictures {
    /// Of all images.
    pub pixels: Vec<u8>,
    changes: BTreeMap<Change, Vec<String>>,
}

impl Pictures {
    /// Adds a file, which must be what the model takes once the recipe's steps are done.
    pub fn add(&mut self, path: &Path, training: &Training) -> Result<(), Error> {
        let Training { images: steps, image: expected, .. } = training;
        let Picture { pixels, size, changes } = data::decode(path)?;
        for change in changes {
            self.changes.entry(change).or_default().push(path.display().to_string());
        }
        let shown = path.display();
        let describe = |[height, width, channels]: [usize; 3]| {
            format!("{height}x{width} with {channels} channel{}", if channels == 1 { "" } else { "s" })
        };
        let (pixels, after) = data::apply(pixels, size, steps).map_err(|it| {
            Error::image(format!("cannot use `{shown}`: {it}"), "change the steps of the `data` entry")
        })?;
        if after == *expected {
            self.pixels.extend(pixels);
            return Ok(());
        }
        let done = if steps.is_empty() { "" } else { " after the recipe's steps" };
        let remedy = match images::steps_between(after, expected, false) {
            Some(more) => {
                format!(
                    "write `{}` at the end of the recipe's `data` entry: it holds for every image",
                    more.trim_start()
                )
            }
            None => "give an image of that size".to_owned(),
        };
        let cause = format!("`{shown}` is {}{done}, the model takes {}", describe(after), describe(*expected));
        Err(Error::image(cause, remedy))
    }

    /// Tells what was done to the files, and what is unlike the images that the weights were trained on.
    pub fn remark(&self, model: &Model, known: Option<&Meaning>, training: &Training) {
        model.warn(&data::remarks(&self.changes));
        doubts(model, known, training, &self.pixels);
    }
}

/// Tells of images that are unlike those that the weights were trained on.
pub(super) fn doubts(model: &Model, known: Option<&Meaning>, training: &Training, pixels: &[u8]) {
    let Some(known) = known else { return };
    let range = [0, pixels.iter().copied().max().unwrap_or(0).max(known.range[1])];
    model.warn(&known.doubts(&Meaning {
        classes: known.classes.clone(),
        target: training.target.clone(),
        image: training.image,
        steps: training.images.clone(),
        range,
    }));
}
