//! A trained model on a device, asked about images.

use super::device::{self, DeviceOptions};
use super::inputs::{self, Inputs};
use super::model::Source;
use super::ready::read_plan;
use super::{Answer, Error, Form, Model, Options, Trained, class_names, fitting_weights, meaning};
use crate::data::Element;
use crate::ir::{Shape, TargetKind};
use crate::plan::{Plan, Training};
use crate::runtime::Session;
use crate::train::weights::{Need, Weights};
use crate::train::{self, Meaning, recipe_of};
use std::path::{Path, PathBuf};

/// As many images are computed at once, at most, unless a batch is asked for.
const BATCH: usize = 256;

/// A trained model on a device, asked about images as often as wanted.
pub struct Predictor {
    model: Model,
    session: Session,
    training: Training,
    known: Option<Meaning>,
    names: Vec<String>,
    form: Form,
}

/// What a model says of an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// What the example is called: its file, and of an array its place in it.
    pub name: String,
    /// What the model computes, before any probability is made of it.
    pub scores: Vec<f64>,
    /// What that says.
    pub answer: Answer,
}

impl Model {
    /// Loads weights to ask the model about images: a checkpoint, or any safetensors file with its parameters and running
    /// statistics by name. `images` is how many will be asked about at once, mostly; others can be, too. The data set need not
    /// be there where the weights tell what they were trained on.
    pub fn predictor(
        &self,
        weights: impl AsRef<Path>,
        images: usize,
        device: &DeviceOptions,
    ) -> Result<Predictor, Error> {
        let path = weights.as_ref();
        let weights = train::read_weights(path)?;
        let known = meaning(path, &weights, None)?;
        let (plan, names) = prepare(self, images.max(1), path, &weights, known.as_ref())?;
        let training = recipe_of(&plan)?.clone();
        let form = Form::new(&plan, &training, names.len())?;
        let weights = fitting_weights(self, weights, path, &plan)?;
        let (mut session, _) = device::open(device, plan, &|_| None)?;
        weights.load(&mut session, Need::Inference)?;
        Ok(Predictor { model: self.clone(), session, training, known, names, form })
    }

    /// Asks about files once; see [`Predictor::files`].
    pub fn predict(
        &self,
        weights: impl AsRef<Path>,
        images: &[PathBuf],
        device: &DeviceOptions,
    ) -> Result<Vec<Prediction>, Error> {
        self.predictor(weights, images.len(), device)?.files(images)
    }
}

impl Predictor {
    /// Names of the classes, in the order of their numbers.
    pub fn classes(&self) -> &[String] {
        &self.names
    }

    /// What an image is answered with.
    pub fn target(&self) -> &TargetKind {
        &self.training.target
    }

    /// Extents of an example after the recipe's steps: height, width and channels of an image.
    pub fn image(&self) -> &Shape {
        &self.training.image
    }

    /// What an example is made of.
    pub fn element(&self) -> Element {
        inputs::element(&self.training, self.session.plan.precision)
    }

    /// Asks about files, in their order: PNG or JPEG files, and arrays of NumPy's (.npy, .npz) of any number of examples. The
    /// recipe's steps are done to each, which must then be of the model's size.
    pub fn files(&mut self, paths: &[PathBuf]) -> Result<Vec<Prediction>, Error> {
        let mut found = Inputs::default();
        let precision = self.session.plan.precision;
        for path in paths {
            found.add(path, &self.training, precision)?;
        }
        found.remark(&self.model, self.known.as_ref(), &self.training, precision);
        self.ask(&found.bytes, &|at| found.names[at].clone())
    }

    /// Asks about examples that are at hand: their numbers, of images in the order image, row, column, channel, as bytes of
    /// [`Predictor::element`], as many as [`Predictor::image`] says for each. The recipe's steps are not done to them.
    pub fn pixels(&mut self, pixels: &[u8]) -> Result<Vec<Prediction>, Error> {
        let each = self.training.image.len().saturating_mul(self.element().bytes());
        if each == 0 || !pixels.len().is_multiple_of(each) {
            let cause = format!("{} bytes are not whole examples of {each} bytes", pixels.len());
            return Err(Error::image(cause, "give as many bytes for each as the product of its extents takes"));
        }
        inputs::doubts(&self.model, self.known.as_ref(), &self.training, self.session.plan.precision, pixels);
        self.ask(pixels, &|at| format!("image {at}"))
    }

    fn ask(&mut self, pixels: &[u8], name: &dyn Fn(usize) -> String) -> Result<Vec<Prediction>, Error> {
        let scores = train::predict(&mut self.session, pixels)?;
        let of = |(at, scores): (usize, Vec<f64>)| {
            let name = name(at);
            let answer = self.form.answer(&name, &scores)?;
            Ok(Prediction { name, scores, answer })
        };
        scores.into_iter().enumerate().map(of).collect()
    }
}

/// The plan for so many images and the names of the classes.
fn prepare(
    model: &Model,
    count: usize,
    path: &Path,
    weights: &Weights,
    known: Option<&Meaning>,
) -> Result<(Plan, Vec<String>), Error> {
    let Options { data: wanted, batch, data_folder, .. } = model.options();
    let folder = data_folder.as_deref();
    if let Some(wanted) = wanted.as_deref().filter(|_| known.is_some()) {
        meaning(path, weights, Some(&class_names(wanted, None, folder)?))?;
    }
    match model.source() {
        Source::Text { .. } => {
            let batch = batch.unwrap_or(BATCH).min(count);
            let trained = Trained::new(model, known, batch)?;
            let (_, plan, _) = trained.compile(batch, count)?.into_parts();
            Ok((plan, trained.names))
        }
        Source::Plan { path, text } => {
            let plan = read_plan(text, path, model.options())?;
            let training = recipe_of(&plan)?;
            let names = match known {
                Some(it) if it.classes.len() == training.classes => it.classes.clone(),
                _ => class_names(wanted.as_deref().unwrap_or(&training.data), Some(training.classes), folder)?,
            };
            Ok((plan, names))
        }
    }
}
