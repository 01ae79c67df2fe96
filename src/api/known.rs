//! What the compiler is told of data sets, and reading them.

use super::Error;
use super::options::Fetch;
use crate::data::{self, Answer, DataError, Dataset, Manifest, Place};
use crate::ir::{ImageStep, TargetKind};
use crate::lower::{DataInfo, Look};
use crate::train::Meaning;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What is known of a data set: its sizes, and the bytes its images use where they tell something.
type Known = (DataInfo, Option<[u8; 2]>);

/// Data sets that were looked at, by path and steps: each is read once for a model.
#[derive(Clone, Default)]
pub(super) struct Seen {
    known: Arc<Mutex<BTreeMap<(String, String), Known>>>,
    /// What weights say of the data set that they were trained on, which need not be at hand.
    told: Option<Meaning>,
}

impl Seen {
    /// Looks at a data set that a file names by its path: what its manifest says, if that is enough, or else what is in it.
    pub(super) fn look(&self, folder: Option<PathBuf>, memory: Option<u64>) -> Look {
        let seen = self.clone();
        Look::new(move |path, steps| {
            let found = seen.at(path, steps, folder.as_deref(), memory);
            found.or_else(|error| seen.told.as_ref().map(|it| meant(path, it)).ok_or(error))
        })
    }

    /// The same, which believes weights where a data set cannot be read.
    pub(super) fn believing(&self, meaning: &Meaning) -> Seen {
        Seen { told: Some(meaning.clone()), ..self.clone() }
    }

    fn at(&self, path: &str, steps: &[ImageStep], folder: Option<&Path>, memory: Option<u64>) -> Result<Known, String> {
        let manifest = data::describe(path).map_err(|it| it.to_string())?;
        if let (Some(info), true) = (usual(&manifest), is_told(&manifest)) {
            let image = steps.iter().try_fold(info.image, |image, step| step.shape(image))?;
            return Ok((DataInfo { image, ..info }, manifest.range));
        }
        let key = (path.to_owned(), format!("{steps:?}"));
        if let Some(known) = self.known.lock().ok().and_then(|it| it.get(&key).cloned()) {
            return Ok(known);
        }
        let place = data::place_of(&manifest, path, folder).map_err(|it| it.to_string())?;
        let dataset = data::read_within(&manifest, &place, steps, memory).map_err(|it| it.to_string())?;
        let bytes = range(&dataset).map(|it| it.1).or(manifest.range);
        let found = (info(&dataset.for_training()), bytes);
        if let Ok(mut seen) = self.known.lock() {
            seen.insert(key, found.clone());
        }
        Ok(found)
    }
}

/// A data set as weights that were trained on it know it. How many examples it has is nothing that they need.
fn meant(path: &str, it: &Meaning) -> Known {
    let info = DataInfo {
        name: path.to_owned(),
        image: it.image,
        classes: it.classes.len(),
        target: it.target.clone(),
        train_examples: 1,
        test_examples: 1,
    };
    (info, Some(it.range))
}

/// Whether a manifest says all that the compiler must know.
fn is_told(manifest: &Manifest) -> bool {
    let target = manifest.format != data::Format::Npz || manifest.target.is_some();
    target && 0 < manifest.known_classes() && 0 < manifest.train_examples && 0 < manifest.test_examples
}

/// What is usual for a data set of the catalog.
pub(super) fn usual(manifest: &Manifest) -> Option<DataInfo> {
    let [height, width, _] = manifest.image?;
    let target = match manifest.target {
        None if manifest.format == data::Format::Masks => TargetKind::Map([height, width]),
        Some(Answer::Pixels) => TargetKind::Map([height, width]),
        Some(Answer::Labels) => TargetKind::Labels,
        Some(Answer::Class) | None => TargetKind::Class,
        Some(Answer::Numbers) => return None,
    };
    Some(DataInfo {
        name: manifest.name.clone(),
        image: manifest.image?,
        classes: manifest.known_classes(),
        target,
        train_examples: manifest.train_examples,
        test_examples: manifest.test_examples,
    })
}

/// As many images do not tell which bytes a data set uses.
const FEW: usize = 100;

/// What the compiler must know of a data set that was read.
pub fn info(data: &Dataset) -> DataInfo {
    DataInfo {
        name: data.name.clone(),
        image: data.image,
        classes: data.classes.len(),
        target: data.target.clone(),
        train_examples: data.train.len(),
        test_examples: data.test.len(),
    }
}

/// The bytes that a data set's images use. A handful of images tells little, and what is known of a name goes first.
pub(super) fn range(data: &Dataset) -> Option<(String, [u8; 2])> {
    let named = data::find(&data.name).is_some();
    let highest = data.train.images.iter().copied().max().filter(|it| *it != 0)?;
    (!named && FEW < data.train.len()).then(|| (data.name.clone(), [0, highest]))
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

/// Reads the data set that `wanted` names (a name, a directory, an .npz file, a manifest) and does the steps to its images.
/// `folder` is that of the user's data sets, `memory` what images may take of it. One that is not there is fetched, where `fetch` is given and its manifest says from where.
pub fn read_data(
    wanted: &str,
    steps: &[ImageStep],
    folder: Option<&Path>,
    memory: Option<u64>,
    fetch: Option<Fetch>,
) -> Result<Read, Error> {
    let (manifest, place) = find_data(wanted, folder, fetch)?;
    let data = data::read_within(&manifest, &place, steps, memory)?;
    let warnings = data.warnings.iter().map(|it| format!("data set `{}`: {it}", data.name)).collect();
    let place = match place {
        Place::Embedded => "embedded".into(),
        Place::At(it) => it.display().to_string(),
    };
    Ok(Read { data, place, warnings })
}
