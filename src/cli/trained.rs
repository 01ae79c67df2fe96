//! A model with weights: what it is compiled for follows from them, and its data set need not be there.

use super::args::{self, RecipeArgs, SetArgs};
use super::failure::Failure;
use super::load::{self, Model};
use sphc::data;
use sphc::ir::{Extern, NodeId, Op, Precision};
use sphc::lower::{DataInfo, Settings};
use sphc::train::Meaning;
use std::path::{Path, PathBuf};

/// A file that is to be compiled for images of any number.
pub(super) struct Trained {
    path: PathBuf,
    settings: Settings,
    /// Of the classes, as the weights know them, or else the data set.
    pub(super) names: Vec<String>,
    /// The model's own name.
    pub(super) model: String,
    /// Height, width and channels of the images that it is given.
    pub(super) image: Option<[usize; 3]>,
}

impl Trained {
    /// Reads a file; `data` is what `--data` names, and `batch` the first that will be asked for.
    pub(super) fn new(
        path: &Path,
        set: &SetArgs,
        data: Option<&str>,
        meaning: Option<&Meaning>,
        batch: usize,
    ) -> Result<Trained, Failure> {
        let recipe = RecipeArgs { batch: Some(batch as u64), evaluates: true, ..RecipeArgs::default() };
        let mut settings = args::settings(set, &recipe);
        let first = load::check(path, &settings)?;
        let recipe = first.graph().and_then(|it| it.recipe.as_ref());
        let named = recipe.map(|it| it.data.clone());
        let target =
            meaning.map(|it| it.target.clone()).or_else(|| recipe.map(|it| it.target.clone())).unwrap_or_default();
        let Some(wanted) = data.map(str::to_owned).or(named) else {
            load::demand(&first)?;
            let cause = format!("`{}` has no recipe, so its classes have no names", path.display());
            return Err(Failure::new(cause, "add a `train { ... }` section to the file"));
        };
        let names = match meaning {
            Some(it) => it.classes.clone(),
            None => names(&wanted, None)?,
        };
        // The images are made for the model, whatever those of the data set are like.
        let input = first.graph().and_then(|graph| {
            let images = |it: &NodeId| matches!(graph.op(*it), Op::Input { source: Extern::TestImages, .. });
            graph.fact(graph.ids().find(images)?).shape().cloned()
        });
        let image = match input.as_ref().map(|it| it.dims()) {
            Some(&[_, height, width, channels]) => Some([height, width, channels]),
            _ => None,
        };
        let model = first.graph().map_or(String::new(), |it| it.name.clone());
        if let Some(image) = image {
            settings.data = Some(DataInfo {
                name: data::describe(&wanted).map_or(wanted, |it| it.name),
                image,
                classes: names.len(),
                target,
                train_examples: batch,
                test_examples: batch,
            });
        }
        Ok(Trained { path: path.into(), settings, names, model, image })
    }

    /// The same, and an evaluation tells these layers and tensors.
    pub(super) fn telling(mut self, names: &[String]) -> Trained {
        self.settings.features = names.to_vec();
        self
    }

    /// Compiles it for a batch, and so many images in all.
    pub(super) fn compile(&self, batch: usize, count: usize, precision: Option<Precision>) -> Result<Model, Failure> {
        let mut settings = Settings { batch: Some(batch), ..self.settings.clone() };
        if let Some(data) = &mut settings.data {
            (data.train_examples, data.test_examples) = (batch, count);
        }
        load::compile(&self.path, settings, precision)
    }
}

/// Names of a data set's classes; numbers, if their count is all that is known.
pub(super) fn names(wanted: &str, count: Option<usize>) -> Result<Vec<String>, Failure> {
    let found = data::describe(wanted).and_then(|it| data::class_names(&it, wanted));
    match (found, count) {
        (Ok(it), count) if count.is_none_or(|count| count == it.len()) => Ok(it),
        (_, Some(count)) => Ok((0..count).map(|it| it.to_string()).collect()),
        (Ok(it), None) => Ok(it),
        (Err(it), None) => Err(it.into()),
    }
}
