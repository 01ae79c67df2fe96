//! A model with weights: what it is compiled for follows from them, and its data set need not be there.

use super::{Compilation, Error, Model, Options};
use crate::data::{self, DataError};
use crate::ir::{DType, Extern, NodeId, Op, Shape};
use crate::lower::{DataInfo, Settings};
use crate::train::Meaning;
use std::path::Path;

/// A model that is to be compiled for images of any number.
pub struct Trained {
    source: Model,
    settings: Settings,
    /// Of the classes, as the weights know them, or else the data set.
    pub names: Vec<String>,
    /// The model's own name.
    pub model: String,
    /// Extents of the examples that it is given: height, width and channels of images.
    pub image: Option<Shape>,
    /// What these are made of.
    pub dtype: DType,
}

impl Trained {
    /// What a model is compiled for, given what its weights mean; `batch` is the first that will be asked for. Without a
    /// meaning, the data set of [`Options::data`] or of the recipe tells the classes.
    pub fn new(model: &Model, meaning: Option<&Meaning>, batch: usize) -> Result<Trained, Error> {
        let options = Options { batch: Some(batch), evaluates: true, ..model.options().clone() };
        let data = options.data.clone();
        let source = model.clone().with(options);
        let source = match meaning {
            Some(it) => source.believing(it),
            None => source,
        };
        let mut settings = source.settings();
        let first = source.checked(&settings)?;
        let recipe = first.graph().and_then(|it| it.recipe.as_ref());
        let named = recipe.map(|it| it.data.clone());
        let target =
            meaning.map(|it| it.target.clone()).or_else(|| recipe.map(|it| it.target.clone())).unwrap_or_default();
        let Some(wanted) = data.or(named) else {
            source.demand(&first)?;
            let cause = format!("`{}` has no recipe, so its classes have no names", source.name());
            return Err(Error::text(cause, "add a `train { ... }` section to the file"));
        };
        let names = match meaning {
            Some(it) => it.classes.clone(),
            None => class_names(&wanted, None, source.options().data_folder.as_deref())?,
        };
        // The images are made for the model, whatever those of the data set are like.
        let input = first.graph().and_then(|graph| {
            let images = |it: &NodeId| matches!(graph.op(*it), Op::Input { source: Extern::TestImages, .. });
            let fact = graph.fact(graph.ids().find(images)?);
            Some((Shape(fact.shape()?.dims().get(1..)?.to_vec()), fact.dtype()?))
        });
        let (image, dtype) = input.map_or((None, DType::U8), |it| (Some(it.0), it.1));
        let name = first.graph().map_or(String::new(), |it| it.name.clone());
        if let Some(image) = image.clone() {
            settings.data = Some(DataInfo {
                name: data::describe(&wanted).map_or(wanted, |it| it.name),
                image,
                dtype,
                range: None,
                classes: names.len(),
                target,
                train_examples: batch,
                test_examples: batch,
            });
        }
        Ok(Trained { source, settings, names, model: name, image, dtype })
    }

    /// Compiles it for a batch, and so many images in all.
    pub fn compile(&self, batch: usize, count: usize) -> Result<Compilation, Error> {
        self.compile_as(&self.source, batch, count)
    }

    /// The same in another precision than was asked for.
    pub fn compile_in(
        &self,
        precision: crate::ir::Precision,
        batch: usize,
        count: usize,
    ) -> Result<Compilation, Error> {
        let options = Options { precision: Some(precision), ..self.source.options().clone() };
        self.compile_as(&self.source.clone().with(options), batch, count)
    }

    fn compile_as(&self, source: &Model, batch: usize, count: usize) -> Result<Compilation, Error> {
        let mut settings = Settings { batch: Some(batch), ..self.settings.clone() };
        if let Some(data) = &mut settings.data {
            (data.train_examples, data.test_examples) = (batch, count);
        }
        source.compiled(settings)
    }
}

/// Names of a data set's classes; numbers, if their count is all that is known.
pub fn class_names(wanted: &str, count: Option<usize>, folder: Option<&Path>) -> Result<Vec<String>, DataError> {
    let known = data::describe(wanted);
    let count = count.or(known.as_ref().ok().and_then(|it| it.class_count));
    let found = known.and_then(|it| data::class_names(&it, wanted, folder));
    match (found, count) {
        (Ok(it), count) if count.is_none_or(|count| count == it.len()) => Ok(it),
        (_, Some(count)) => Ok((0..count).map(|it| it.to_string()).collect()),
        (found, None) => found,
    }
}
