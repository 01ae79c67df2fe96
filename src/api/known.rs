//! What the compiler is told of data sets, and reading them.

use super::Error;
use super::options::{Fetch, Options};
use crate::data::{self, Answer, DataError, Dataset, Manifest, Place, Reading};
use crate::ir::{DType, TargetKind};
use crate::lower::{DataInfo, Look};
use crate::train::Meaning;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Data sets that were looked at, by path, steps and type of the model's input: each is read once for a model.
#[derive(Clone, Default)]
pub(super) struct Seen {
    known: Arc<Mutex<BTreeMap<Key, DataInfo>>>,
    /// The one that was looked at last, where it is to be trained or evaluated on afterwards.
    kept: Arc<Mutex<Option<(Key, Dataset)>>>,
    keeps: bool,
    /// What weights say of the data set that they were trained on, which need not be at hand.
    told: Option<Meaning>,
}

/// What a data set was read by.
type Key = (String, String);

fn key(path: &str, reading: &Reading<'_>) -> Key {
    let Reading { steps, memory: _, input, double, watch: _ } = reading;
    (path.to_owned(), format!("{steps:?} {input:?} {double}"))
}

impl Seen {
    /// Looks at a data set that a file names by its path: what its manifest says, if that is enough, or else what is in it.
    pub(super) fn look(&self, options: &Options) -> Look {
        let Options { data_folder: folder, data_memory: memory, watch, .. } = options.clone();
        let double = options.precision.is_some_and(|it| it.is_double());
        let seen = self.clone();
        Look::new(move |path, steps, input| {
            let found = seen.at(path, &Reading { steps, memory, input, double, watch }, folder.as_deref());
            found.or_else(|error| seen.told.as_ref().map(|it| meant(path, it)).ok_or(error))
        })
    }

    /// The same, which believes weights where a data set cannot be read.
    pub(super) fn believing(&self, meaning: &Meaning) -> Seen {
        Seen { told: Some(meaning.clone()), ..self.clone() }
    }

    /// The same, which keeps the data set that is looked at for whoever reads it next.
    pub(super) fn keeping(&self) -> Seen {
        Seen { keeps: true, kept: Arc::default(), ..self.clone() }
    }

    /// The data set that was looked at, if it was read in this way.
    pub(super) fn take(&self, path: &str, reading: &Reading<'_>) -> Option<Dataset> {
        let kept = self.kept.lock().ok()?.take()?;
        (kept.0 == key(path, reading)).then_some(kept.1)
    }

    fn at(&self, path: &str, reading: &Reading<'_>, folder: Option<&Path>) -> Result<DataInfo, String> {
        let manifest = data::describe(path).map_err(|it| it.to_string())?;
        if let (Some(info), true) = (usual(&manifest), is_told(&manifest, reading.input)) {
            let mut image = info.image.clone();
            for step in reading.steps {
                image = step.shape(image.image().unwrap_or_default())?.into();
            }
            return Ok(DataInfo { image, ..info }.into_input(reading.input));
        }
        let key = key(path, reading);
        let is_kept = || self.kept.lock().is_ok_and(|it| it.as_ref().is_some_and(|it| it.0 == key));
        if (!self.keeps || is_kept())
            && let Some(known) = self.known.lock().ok().and_then(|it| it.get(&key).cloned())
        {
            return Ok(known);
        }
        let place = data::place_of(&manifest, path, folder).map_err(|it| it.to_string())?;
        let dataset = data::read_as(&manifest, &place, reading).map_err(|it| it.to_string())?;
        let found = info_of_training(&dataset);
        if let (true, Ok(mut kept)) = (self.keeps, self.kept.lock()) {
            *kept = Some((key.clone(), dataset));
        }
        if let Ok(mut seen) = self.known.lock() {
            seen.insert(key.clone(), found.clone());
        }
        Ok(found)
    }
}

/// A data set as weights that were trained on it know it. How many examples it has is nothing that they need.
fn meant(path: &str, it: &Meaning) -> DataInfo {
    DataInfo {
        name: path.to_owned(),
        image: it.image.clone(),
        dtype: it.dtype,
        range: Some(it.range),
        classes: it.classes.len(),
        target: it.target.clone(),
        train_examples: 1,
        test_examples: 1,
    }
}

/// Whether a manifest says all that the compiler must know. What arrays are made of is seen in them, and so is whether pictures
/// have 16 bits.
fn is_told(manifest: &Manifest, input: Option<DType>) -> bool {
    let bytes =
        !matches!(manifest.format, data::Format::Npz | data::Format::Csv) && input.is_none_or(|it| it == DType::U8);
    bytes && 0 < manifest.known_classes() && 0 < manifest.train_examples && 0 < manifest.test_examples
}

/// What is usual for a data set of the catalog.
pub(super) fn usual(manifest: &Manifest) -> Option<DataInfo> {
    let [height, width, _] = manifest.image.as_ref()?.image()?;
    let target = match manifest.target {
        None if manifest.format == data::Format::Masks => TargetKind::Map([height, width]),
        Some(Answer::Pixels) => TargetKind::Map([height, width]),
        Some(Answer::Labels) => TargetKind::Labels,
        Some(Answer::Class) | None => TargetKind::Class,
        Some(Answer::Numbers) => return None,
    };
    Some(DataInfo {
        name: manifest.name.clone(),
        image: manifest.image.clone()?,
        dtype: DType::U8,
        range: manifest.range,
        classes: manifest.known_classes(),
        target,
        train_examples: manifest.train_examples,
        test_examples: manifest.test_examples,
    })
}

/// What the compiler must know of a data set that was read.
pub fn info(data: &Dataset) -> DataInfo {
    DataInfo {
        name: data.name.clone(),
        image: data.image.clone(),
        dtype: data.dtype,
        range: data.range,
        classes: data.classes.len(),
        target: data.target.clone(),
        train_examples: data.train.len(),
        test_examples: data.test.len(),
    }
}

/// The same of a training on it, which looks at its own images for validation where it has some.
fn info_of_training(data: &Dataset) -> DataInfo {
    let tested = data.validation.as_ref().map_or(data.test.len(), data::Split::len);
    DataInfo { test_examples: tested, ..info(data) }
}

/// A data set that was read.
pub struct Read {
    /// All of it.
    pub data: Dataset,
    /// Where it was: a path, or `embedded`.
    pub place: String,
    /// What a reader should know, a sentence each, with the data set's name.
    pub warnings: Vec<String>,
}

/// What `wanted` names and where it is, without reading it. One that is not there is fetched, where `fetch` is given and its manifest
/// says from where.
pub fn find_data(wanted: &str, folder: Option<&Path>, fetch: Option<Fetch>) -> Result<(Manifest, Place), Error> {
    let manifest = data::describe(wanted)?;
    let place = match (data::place_of(&manifest, wanted, folder), fetch) {
        (Err(DataError::Missing { .. }), Some(fetch)) if !manifest.files.is_empty() => {
            fetch(&manifest, wanted, folder)?;
            data::place_of(&manifest, wanted, folder)?
        }
        (found, _) => found?,
    };
    Ok((manifest, place))
}

/// Reads the data set that `wanted` names (a name, a directory, an .npz file, a manifest). `folder` is that of the user's data
/// sets. One that is not there is fetched, where `fetch` is given and its manifest says from where.
pub fn read_data(
    wanted: &str,
    reading: &Reading<'_>,
    folder: Option<&Path>,
    fetch: Option<Fetch>,
) -> Result<Read, Error> {
    let (manifest, place) = find_data(wanted, folder, fetch)?;
    let data = data::read_as(&manifest, &place, reading)?;
    Ok(told(data, place))
}

/// A data set that was read from a place, with what a reader should know of it.
pub(super) fn told(data: Dataset, place: Place) -> Read {
    let warnings = data.warnings.iter().map(|it| format!("data set `{}`: {it}", data.name)).collect();
    let place = match place {
        Place::Embedded => "embedded".into(),
        Place::At(it) => it.display().to_string(),
    };
    Read { data, place, warnings }
}
