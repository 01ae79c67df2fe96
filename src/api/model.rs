//! A model: its text, and what is asked for.

use super::device::{self, DeviceOptions};
use super::known::{self, Read, Seen, find_data, read_data};
use super::options::Options;
use super::text::{self, LONGEST_MODEL, import, is_plan};
use super::{Error, Faults, Notice};
use crate::data::{self, Reading};
use crate::diag::{FileId, Severity};
use crate::ir::{DType, Extern, Graph, ImageStep, Op, Precision, Recipe, Response};
use crate::lower::{DataInfo, Settings};
use crate::pipeline::{self, Checked, Compiled, Named};
use crate::plan::Plan;
use crate::runtime::Session;
use crate::target;
use crate::train::Meaning;
use std::io::Read as Stream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Texts that stand in for files.
type Texts = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Takes what is told.
type Tell = Arc<dyn Fn(Notice<'_>) + Send + Sync>;

/// A model: its text, and what is asked for in place of what the text says. A clone shares what is known of data sets.
///
/// Everything is computed anew by each call, from the text as it was when the model was opened; imports and data sets are
/// read by the call.
#[derive(Clone)]
pub struct Model {
    source: Source,
    options: Options,
    seen: Seen,
    tell: Tell,
    texts: Option<Texts>,
}

#[derive(Clone)]
pub(super) enum Source {
    /// A model's text, and what it is called in messages.
    Text { name: String, text: Arc<str> },
    /// A plan that was compiled before.
    Plan { path: PathBuf, text: Arc<str> },
}

impl Model {
    /// Reads a model's text (at most 4 MiB of UTF-8), or the plan that `sphc compile` wrote (.yaml), which can be trained,
    /// evaluated and asked, but neither checked nor compiled. Mistakes in the text are told by what works on it.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Error> {
        let path = path.as_ref();
        if is_plan(path) {
            let text = text::read_text(path)?.into();
            return Ok(Model::of(Source::Plan { path: path.into(), text }));
        }
        Ok(Model::from_text(path.display().to_string(), text::bounded(path, LONGEST_MODEL)?))
    }

    /// A model whose text is at hand. `name` is what it is called in messages, and the file from which its imports are seen.
    pub fn from_text(name: impl Into<String>, text: impl Into<String>) -> Model {
        Model::of(Source::Text { name: name.into(), text: text.into().into() })
    }

    /// A model whose text is read from a stream, at most 4 MiB of it.
    pub fn from_reader(name: impl Into<String>, from: impl Stream) -> Result<Model, Error> {
        let name = name.into();
        match text::whole(from, LONGEST_MODEL) {
            Ok(text) => Ok(Model::from_text(name, text)),
            Err(it) => Err(Error::text(format!("cannot read `{name}`: {it}"), "give the text of a model")),
        }
    }

    fn of(source: Source) -> Model {
        Model { source, options: Options::default(), seen: Seen::default(), tell: Arc::new(|_| {}), texts: None }
    }

    /// The same model after a change of its text. Data sets that it names by their paths are not looked at again.
    #[must_use]
    pub fn edited(&self, text: impl Into<String>) -> Model {
        Model { source: Source::Text { name: self.name(), text: text.into().into() }, ..self.clone() }
    }

    /// The same model, for which these texts stand in for files that it imports: what an editor has not saved yet. It is asked
    /// with the path as seen from this model's name.
    #[must_use]
    pub fn reading(mut self, texts: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Model {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// The same model with these options, in place of those it had.
    #[must_use]
    pub fn with(mut self, options: Options) -> Model {
        self.options = options;
        self
    }

    /// The same model with a value of a `param`, as the language writes it: `.set("widths", "[16, 24]")`.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Model {
        self.options.set.push((name.into(), value.into()));
        self
    }

    /// The same model, which believes weights where its data set cannot be read.
    pub(super) fn believing(mut self, meaning: &Meaning) -> Model {
        self.seen = self.seen.believing(meaning);
        self
    }

    /// The same model, which keeps the data set that it looks at for whoever reads it next.
    pub(super) fn keeping(&self) -> Model {
        Model { seen: self.seen.keeping(), ..self.clone() }
    }

    /// What is asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Tells what is worth knowing beside results, such as warnings, as it is found; without, it is dropped. The same may be
    /// told several times.
    #[must_use]
    pub fn telling(mut self, tell: impl Fn(Notice<'_>) + Send + Sync + 'static) -> Model {
        self.tell = Arc::new(tell);
        self
    }

    pub(super) fn warn(&self, sentences: &[String]) {
        for it in sentences {
            (self.tell)(Notice::Warning(it));
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Its text. Fails for a plan.
    pub fn text(&self) -> Result<&str, Error> {
        match &self.source {
            Source::Text { text, .. } => Ok(text),
            Source::Plan { path, .. } => {
                let cause = format!("`{}` is a plan, or some other YAML file, and no model", path.display());
                Err(Error::text(cause, "give the `.sph` file; `train`, `eval` and `predict` take plans, too"))
            }
        }
    }

    /// Whether it is a plan, which was compiled before.
    pub fn is_plan(&self) -> bool {
        matches!(self.source, Source::Plan { .. })
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        match &self.source {
            Source::Text { name, .. } => name.clone(),
            Source::Plan { path, .. } => path.display().to_string(),
        }
    }

    /// Finds every mistake, each with its place and mostly with what mends it. Sizes are those that are usual for the data set
    /// that the file names; [`Options::data`] is not read.
    ///
    /// Fails for a plan; mistakes in the text are no error, but what is asked for.
    pub fn check(&self) -> Result<Checked, Error> {
        self.checked(&self.settings())
    }

    /// [`check`](Model::check), with all that an editor is told of names and values.
    pub fn indexed(&self) -> Result<Checked, Error> {
        self.checked(&Settings { index: true, ..self.settings() })
    }

    /// What its names stand for, and what is wrong with them; nothing is unfolded, so this is much faster than a check.
    pub fn names(&self) -> Result<Named, Error> {
        let settings = Settings { index: true, ..self.settings() };
        Ok(pipeline::names(&self.name(), self.text()?, &mut |it| self.import(it), &settings))
    }

    /// The text of an imported file, or why there is none.
    fn import(&self, path: &str) -> Result<String, String> {
        let open = self.texts.as_ref().and_then(|it| it(path));
        open.map_or_else(|| import(path), Ok)
    }

    /// Compiles it for the data set of [`Options::data`], which is read for its sizes, or else for what is usual for the one
    /// that the file names.
    ///
    /// Fails with [`Error::Model`] where there are mistakes.
    pub fn compile(&self) -> Result<Compilation, Error> {
        let data = match &self.options.data {
            Some(wanted) => {
                let checked = self.check()?;
                let (steps, input) = (image_steps(&checked), input_of(&checked));
                let Options { data_memory: memory, watch, .. } = self.options;
                let reading = Reading { steps: &steps, memory, input, double: false, watch };
                Some(known::info(&self.read(wanted, &reading)?.data.for_training()))
            }
            None => None,
        };
        self.compile_for(data)
    }

    /// Compiles it for a data set of these sizes; none are what is usual for the one that the file names.
    pub fn compile_for(&self, data: Option<DataInfo>) -> Result<Compilation, Error> {
        self.compiled(Settings { data, ..self.settings() })
    }

    /// What an operator makes of the angle, written as in a call: `sigmoid(k: 0.5)`. It may name what the text, its imports and
    /// the prelude define; the rest of the text is not judged.
    pub fn response(&self, operator: &str) -> Result<Response, Error> {
        let found = pipeline::response(&self.name(), self.text()?, &mut |it| self.import(it), operator);
        found.map_err(|(diagnostics, sources)| {
            (self.tell)(Notice::Found { diagnostics: &diagnostics, sources: &sources });
            Error::Model(Box::new(Faults { sources, diagnostics }))
        })
    }

    /// What the compiler is told, without a data set.
    pub(super) fn settings(&self) -> Settings {
        let Options { set, data: _, batch, iterations, seed, precision: _, split: _, fetch: _, data_folder: _, .. } =
            &self.options;
        let Options {
            no_shuffle,
            no_augment,
            evaluate_every,
            checkpoint_every,
            patience,
            evaluates,
            features,
            gradients,
            shards,
            ..
        } = &self.options;
        Settings {
            set: set.clone(),
            batch: *batch,
            shards: *shards,
            shard: None,
            iterations: *iterations,
            seed: *seed,
            evaluate_every: *evaluate_every,
            checkpoint_every: *checkpoint_every,
            patience: *patience,
            no_shuffle: *no_shuffle,
            no_augment: *no_augment,
            evaluates: *evaluates,
            features: features.clone(),
            gradients: *gradients,
            known_data: data::catalog().iter().filter_map(known::usual).collect(),
            data: None,
            data_replaced: false,
            data_path: None,
            index: false,
            look: Some(self.seen.look(&self.options)),
        }
    }

    pub(super) fn checked(&self, settings: &Settings) -> Result<Checked, Error> {
        Ok(pipeline::check(&self.name(), self.text()?, &mut |it| self.import(it), settings))
    }

    pub(super) fn compiled(&self, settings: Settings) -> Result<Compilation, Error> {
        let checked = self.checked(&settings)?;
        self.demand(&checked)?;
        let compiled = self.finish(&checked, &settings)?;
        Ok(Compilation { checked, compiled, again: Again { model: self.clone(), settings } })
    }

    /// Tells what was found in a text; fails when there are mistakes, or no model.
    pub fn demand(&self, checked: &Checked) -> Result<(), Error> {
        let Checked { sources, diagnostics, .. } = checked;
        (self.tell)(Notice::Found { diagnostics, sources });
        if checked.typed.is_some() {
            return Ok(());
        }
        if diagnostics.iter().all(|it| it.severity() != Severity::Error) {
            let cause = format!("`{}` has no model: it is a library to be imported", sources.get(FileId(0)).name);
            return Err(Error::text(cause, "name a file with a `model`"));
        }
        Err(Error::Model(Box::new(Faults { sources: sources.clone(), diagnostics: diagnostics.clone() })))
    }

    fn finish(&self, checked: &Checked, settings: &Settings) -> Result<Compiled, Error> {
        let Some(typed) = checked.typed.clone() else {
            return Err(Error::Model(Box::new(Faults {
                sources: checked.sources.clone(),
                diagnostics: checked.diagnostics.clone(),
            })));
        };
        let precision = decide(self.options.precision, typed.recipe.as_ref())?;
        let identity = pipeline::identity(&checked.sources, settings, precision);
        Ok(pipeline::compile(typed, &checked.sources, precision, identity))
    }

    /// Reads a data set, and tells what a reader should know of it.
    pub(super) fn read(&self, wanted: &str, reading: &Reading<'_>) -> Result<Read, Error> {
        let (folder, fetch) = (self.options.data_folder.as_deref(), self.options.fetch);
        let found = match self.seen.take(wanted, reading) {
            Some(data) => known::told(data, find_data(wanted, folder, fetch)?.1),
            None => read_data(wanted, reading, folder, fetch)?,
        };
        self.warn(&found.warnings);
        Ok(found)
    }
}

/// What the recipe does to the images of its data set.
pub(super) fn image_steps(checked: &Checked) -> Vec<ImageStep> {
    checked.graph().map_or_else(Vec::new, |it| it.images.clone())
}

/// The type of the model's input.
pub(super) fn input_of(checked: &Checked) -> Option<DType> {
    let graph = checked.graph()?;
    graph.ids().find_map(|it| match graph.op(it) {
        Op::Input { source: Extern::TrainImages | Extern::Named(_), dtype, .. } => Some(*dtype),
        _ => None,
    })
}

/// The precision that is asked for, or else what the file's recipe says, or else f32; where this build has it.
pub(super) fn decide(wanted: Option<Precision>, recipe: Option<&Recipe>) -> Result<Precision, Error> {
    let precision = wanted.or_else(|| recipe?.precision).unwrap_or_default();
    if !target::CPU.takes(precision) && !cfg!(feature = "cuda") {
        let cause = "the precisions tf32 and bf16 need a GPU, and this build has no CUDA backend";
        return Err(Error::options(cause, "use `--precision f32`"));
    }
    Ok(precision)
}

/// A compiled model.
pub struct Compilation {
    /// What the front end found and made.
    pub checked: Checked,
    /// What the compiler made of it.
    pub compiled: Compiled,
    again: Again,
}

impl Compilation {
    /// The executable plan.
    pub fn plan(&self) -> &Plan {
        &self.compiled.plan
    }

    /// The plan with what it can be compiled again by.
    pub(super) fn into_parts(self) -> (Checked, Plan, Again) {
        (self.checked, self.compiled.plan, self.again)
    }

    /// Opens a device for the plan, its parameters at their initial values; with what the device is called. No data is bound.
    pub fn open(self, device: &DeviceOptions) -> Result<(Session, String), Error> {
        self.open_as(device, |plan| plan)
    }

    /// The same for what is made of the plan: `Plan::spread` keeps every intermediate value.
    pub fn open_as(self, device: &DeviceOptions, change: fn(Plan) -> Plan) -> Result<(Session, String), Error> {
        let again = self.again;
        device::open(device, change(self.compiled.plan), &|batch| again.plan(batch).map(change))
    }
}

/// Compiles a model again with another batch, without a word.
pub(super) struct Again {
    model: Model,
    settings: Settings,
}

impl Again {
    /// The model's graph.
    pub(super) fn network(&self) -> Option<Graph> {
        self.model.checked(&self.settings).ok()?.graph().cloned()
    }

    /// The plan of one shard of a batch.
    pub(super) fn of_shard(&self, at: usize) -> Result<Plan, Error> {
        let settings = Settings { shard: Some(at), ..self.settings.clone() };
        let checked = self.model.checked(&settings)?;
        Ok(self.model.finish(&checked, &settings)?.plan)
    }

    /// The plan of a batch.
    pub(super) fn plan(&self, batch: usize) -> Option<Plan> {
        let settings = Settings { batch: Some(batch), ..self.settings.clone() };
        let checked = self.model.checked(&settings).ok()?;
        Some(self.model.finish(&checked, &settings).ok()?.plan)
    }
}
