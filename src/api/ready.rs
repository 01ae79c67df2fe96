//! A plan with its data set: what is trained or evaluated.

use super::device::{self, DeviceOptions};
use super::known::{self, Read};
use super::model::{Again, Source, decide, image_steps, input_of};
use super::options::{Options, Shown, Split, TrainOptions};
use super::{Error, Model, fitting_weights, meaning};
use crate::data::{self, Dataset, Reading};
use crate::diag::Sources;
use crate::plan::{self, Plan, Training};
use crate::runtime::Session;
use crate::train::weights::Need;
use crate::train::{
    self, Board, Evaluation, Event, Manifest, Meaning, Report, SourceText, TrainConfig, TrainError, check_data,
    recipe_of,
};
use std::path::Path;

/// Shards of a batch, where several processes share a training whose recipe says nothing of them.
const SHARDS: usize = 8;

/// A model that is compiled for the data set that it is trained or evaluated on, with that data set in memory.
pub struct Ready {
    model: Model,
    plan: Plan,
    data: Dataset,
    place: String,
    /// Empty when the plan was made before.
    sources: Sources,
    /// Nothing when the plan was made before.
    again: Option<Again>,
}

impl Model {
    /// Reads the data set that is asked for, or that the recipe names, and compiles the model for it.
    pub fn ready(&self) -> Result<Ready, Error> {
        let (text, path) = match self.source() {
            Source::Text { .. } => return self.ready_text(),
            Source::Plan { text, path } => (text.clone(), path.clone()),
        };
        self.ready_plan(&text, &path)
    }

    fn ready_text(&self) -> Result<Ready, Error> {
        let options = self.options();
        // What is looked at for its sizes is not read again.
        let model = self.keeping();
        let mut settings = model.settings();
        // Mistakes in the file come before a data set that is missing; with other data they need its sizes.
        let first = self.checked(&settings)?;
        let recipe = first.typed.as_ref().and_then(|it| it.recipe.as_ref());
        let named = recipe.map(|it| it.data.clone());
        let kept = recipe.and_then(|it| Some((it.validate?, it.seed)));
        let Some(wanted) = options.data.clone().or(named.clone()) else {
            self.demand(&first)?;
            return Err(no_recipe(self));
        };
        let steps = image_steps(&first);
        let double = decide(options.precision, recipe)?.is_double();
        let Options { data_memory: memory, watch, .. } = *options;
        let reading = Reading { steps: &steps, memory, input: input_of(&first), double, watch };
        let Read { data, place, .. } = model.read(&wanted, &reading)?;
        if data.validation.is_some() && kept.is_some() {
            return Err(Error::options(
                format!("the recipe keeps training images for validation, and `{wanted}` has its own"),
                "leave out `validate` to look at those of the data set, or remove its folder `val` (its arrays `x_val` and `y_val`)",
            ));
        }
        let mut data = chosen(data, options.split, kept)?;
        if !options.evaluates {
            data = data.for_training();
        }
        settings.data = Some(known::info(&data));
        settings.data_replaced = options.data.is_some();
        settings.data_path = named.filter(|it| options.data.is_none() && data::find(it).is_none());
        // Numbers of several processes must not depend on how many they are.
        let said = first.typed.as_ref().and_then(|it| it.recipe.as_ref()).map_or(1, |it| it.shards);
        if 1 < options.ranks && said == 1 && settings.shards.is_none() {
            settings.shards = Some(SHARDS);
        }
        let (checked, mut plan, again) = self.compiled(settings)?.into_parts();
        if let Some(share) = plan.training.as_ref().and_then(|it| it.validate) {
            data = data::parted(data, share, plan.seed, options.evaluates)?;
        }
        if let Some(training) = &mut plan.training {
            training.own_validation = data.validation.is_some();
        }
        Ready { model: self.clone(), plan, data, place, sources: checked.sources, again: Some(again) }.checked()
    }

    fn ready_plan(&self, text: &str, path: &Path) -> Result<Ready, Error> {
        let options = self.options();
        let fixed = [
            ("--set", !options.set.is_empty()),
            ("--batch", options.batch.is_some()),
            ("--shards", options.shards.is_some()),
            ("--seed", options.seed.is_some()),
            ("--no-shuffle", options.no_shuffle),
            ("--no-augment", options.no_augment),
        ];
        if let Some((flag, _)) = fixed.iter().find(|it| it.1) {
            return Err(Error::options(
                format!("`{flag}` cannot change a plan, which is compiled already"),
                "give it to `sphc compile`, or train the `.sph` file",
            ));
        }
        if options.split != Split::Test {
            return Err(Error::options(
                format!("the plan `{}` is made for its own test set, not for other images", path.display()),
                "give the `.sph` file",
            ));
        }
        let mut plan = read_plan(text, path, options)?;
        let name = plan.name.clone();
        let training = plan.training.as_mut().ok_or(TrainError::NoRecipe { model: name })?;
        training.iterations = options.iterations.unwrap_or(training.iterations);
        if let Some(all) = training.schedule_iterations.filter(|it| *it != training.iterations) {
            return Err(Error::options(
                format!(
                    "the training of the plan follows a schedule over {all} iterations, which are compiled into it"
                ),
                "give `--iterations` to `sphc compile`, or train the `.sph` file",
            ));
        }
        training.evaluate_every = options.evaluate_every.unwrap_or(training.evaluate_every);
        training.patience = options.patience.unwrap_or(training.patience);
        training.checkpoint_every = options.checkpoint_every.unwrap_or(training.checkpoint_every);
        let wanted = options.data.clone().unwrap_or_else(|| training.data.clone());
        let reading = Reading {
            steps: &training.images,
            memory: options.data_memory,
            input: Some(training.dtype),
            double: plan.precision.is_double(),
            watch: options.watch,
        };
        let Read { mut data, place, .. } = self.read(&wanted, &reading)?;
        let share = training.validate;
        if options.evaluates && (share.is_some() || data.validation.is_some()) {
            return Err(Error::options(
                format!("the plan `{}` is made for a validation set, not for the test set", path.display()),
                "give the `.sph` file",
            ));
        }
        data = data.for_training();
        if let Some(share) = share {
            data = data::parted(data, share, plan.seed, false)?;
        }
        if let Some(training) = &mut plan.training {
            training.own_validation = data.validation.is_some();
        }
        Ready { model: self.clone(), plan, data, place, sources: Sources::new(), again: None }.checked()
    }

    /// Trains it to the end of its recipe, or until it is told to stop, and keeps the run in a directory. Data, weights and
    /// checkpoints are judged before anything is written.
    pub fn train(
        &self,
        how: &TrainOptions<'_>,
        device: &DeviceOptions,
        see: &mut dyn FnMut(Event<'_>),
    ) -> Result<Report, Error> {
        self.ready()?.train(how, device, see)
    }

    /// Evaluates weights on the test set: a checkpoint, or any safetensors file with the model's parameters and running
    /// statistics by name. `seen` gets each example's number, counted from 0, and its class scores. `None` if `stop` asked for
    /// it.
    pub fn evaluate(
        &self,
        weights: impl AsRef<Path>,
        device: &DeviceOptions,
        stop: &dyn Fn() -> bool,
        seen: &mut dyn FnMut(usize, &[f64]),
    ) -> Result<Option<Evaluation>, Error> {
        let options = Options { evaluates: true, ..self.options().clone() };
        self.clone().with(options).ready()?.evaluate(weights, device, stop, seen)
    }
}

/// Reads a plan; another precision than its own is refused.
pub(super) fn read_plan(text: &str, path: &Path, options: &Options) -> Result<Plan, Error> {
    let plan = plan::from_yaml(&path.display().to_string(), text)?;
    if options.precision.is_some_and(|it| it != plan.precision) {
        return Err(Error::options(
            format!("the plan `{}` is compiled for another precision", path.display()),
            "give `--precision` to `sphc compile`",
        ));
    }
    Ok(plan)
}

fn no_recipe(model: &Model) -> Error {
    let cause = format!("`{}` has no recipe, so there is nothing to train", model.name());
    Error::text(cause, "add a `train { ... }` section to the file")
}

/// A data set with the images of a split in the place of its test set.
fn chosen(data: Dataset, split: Split, validate: Option<(f64, u64)>) -> Result<Dataset, Error> {
    let test = match (split, validate) {
        (Split::Test, _) => return Ok(data),
        (Split::Train, None) => data.train.clone(),
        (Split::Train, Some((share, seed))) => data::parted(data.clone(), share, seed, false)?.train,
        (Split::Validation, Some((share, seed))) => data::parted(data.clone(), share, seed, false)?.test,
        (Split::Validation, None) => data.validation.clone().ok_or_else(|| {
            Error::options(
                "the recipe keeps no images for validation, and the data set has none (a folder `val`, arrays `x_val`)",
                "add `validate 0.1` to the recipe, or give `--split train` or `--split test`",
            )
        })?,
    };
    Ok(Dataset { test, ..data })
}

impl Ready {
    fn checked(self) -> Result<Ready, Error> {
        check_data(&self.plan, &self.data)?;
        Ok(self)
    }

    /// What will run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The data set alone.
    pub(super) fn into_data(self) -> Dataset {
        self.data
    }

    /// Shards of a batch; 1 where there are none.
    pub fn shards(&self) -> usize {
        self.plan.training.as_ref().map_or(1, |it| it.shards)
    }

    /// The plan of one of them.
    pub(super) fn of_shard(&self, at: usize) -> Result<Plan, Error> {
        match &self.again {
            Some(again) => {
                let mut plan = again.of_shard(at)?;
                if let Some(training) = &mut plan.training {
                    training.own_validation = self.data.validation.is_some();
                }
                Ok(plan)
            }
            None => Err(Error::options(
                "a plan is of whole batches, which are not cut into shards",
                "train the `.sph` file",
            )),
        }
    }

    /// The recipe's numbers, after all options.
    pub fn training(&self) -> Result<&Training, TrainError> {
        recipe_of(&self.plan)
    }

    /// The data set, after the recipe's steps.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Trains it; see [`Model::train`].
    pub fn train(
        self,
        how: &TrainOptions<'_>,
        device: &DeviceOptions,
        see: &mut dyn FnMut(Event<'_>),
    ) -> Result<Report, Error> {
        let training = recipe_of(&self.plan)?;
        if training.train_examples < training.batch {
            let noun = training.noun();
            self.model.warn(&[format!(
                "a batch of {} {noun}s is more than the {} there are to train on, so {noun}s repeat within it (`--batch N` \
                 makes it smaller)",
                training.batch, training.train_examples
            )]);
        }
        let mut manifest = self.manifest(how)?;
        let board = self.board(how);
        let shards = self.own_shards(device);
        let sharded = if self.is_sharded(device) { Some(self.sharded(device)?) } else { None };
        let Ready { plan, data, again, .. } = self;
        let (mut session, device) = match sharded {
            Some(it) => it,
            None => device::open_with(device, plan, data.mapped(), &|batch| again.as_ref()?.plan(batch))?,
        };
        see(Event::Device { name: &device });
        manifest.device = device;
        let config = TrainConfig {
            run: how.run.clone(),
            resume: how.resume,
            init: how.init.clone(),
            shards,
            log_every: how.log_every.max(1),
            board,
            stop: how.stop,
            manifest,
        };
        Ok(train::train(&config, &mut session, data, see)?)
    }

    /// What TensorBoard is shown.
    fn board(&self, how: &TrainOptions<'_>) -> Board {
        let shown = |it: Shown| how.tensorboard.contains(&it);
        let graph = match &self.again {
            Some(again) if shown(Shown::Graph) => again.network(),
            Some(_) | None => None,
        };
        if self.again.is_none() && shown(Shown::Graph) {
            self.model.warn(&["a plan holds no network that TensorBoard could show; its text does".to_owned()]);
        }
        Board {
            graph: graph.map(|it| train::graph(&it)),
            histograms: shown(Shown::Histograms),
            filters: shown(Shown::Filters),
            settings: shown(Shown::Settings),
        }
    }

    fn manifest(&self, how: &TrainOptions<'_>) -> Result<Manifest, TrainError> {
        let Ready { model, plan, place, sources, .. } = self;
        let options = model.options();
        let texts = sources.iter().map(|(_, it)| SourceText { path: it.name.clone(), text: it.text.clone() });
        Ok(Manifest {
            sphc: env!("CARGO_PKG_VERSION").into(),
            command: how.command.clone(),
            model: plan.name.clone(),
            hash: plan.hash.clone(),
            seed: plan.seed,
            precision: plan.precision,
            device: String::new(),
            set: options.set.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            no_shuffle: options.no_shuffle,
            no_augment: options.no_augment,
            data: place.clone(),
            init: None,
            init_strict: false,
            init_map: Vec::new(),
            log_every: how.log_every.max(1),
            training: recipe_of(&self.plan)?.clone(),
            // What is part of the program is not kept.
            sources: texts.filter(|it| !it.path.starts_with('<')).collect(),
        })
    }

    /// Evaluates weights; see [`Model::evaluate`].
    pub fn evaluate(
        self,
        weights: impl AsRef<Path>,
        device: &DeviceOptions,
        stop: &dyn Fn() -> bool,
        seen: &mut dyn FnMut(usize, &[f64]),
    ) -> Result<Option<Evaluation>, Error> {
        let (mut session, _) = self.with_weights(weights.as_ref(), device)?;
        Ok(train::evaluate(&mut session, stop, seen)?)
    }

    /// A session with weights that fit and the data bound; with what the device is called. What makes the results doubtful is
    /// told.
    pub fn with_weights(self, path: &Path, device: &DeviceOptions) -> Result<(Session, String), Error> {
        let weights = train::read_weights(path)?;
        let known = meaning(path, &weights, Some(&self.data.classes))?;
        let weights = fitting_weights(&self.model, weights, path, &self.plan)?;
        if let Some(known) = known {
            self.model.warn(&known.doubts(&Meaning::of(&self.data, recipe_of(&self.plan)?)));
        }
        let (mut session, device) = self.open(device)?;
        weights.load(&mut session, Need::Inference)?;
        Ok((session, device))
    }

    /// A session with the data bound and parameters at their initial values; with what the device is called.
    pub fn open(self, device: &DeviceOptions) -> Result<(Session, String), Error> {
        let Ready { plan, data, again, .. } = self;
        let (mut session, name) = device::open_with(device, plan, data.mapped(), &|batch| again.as_ref()?.plan(batch))?;
        train::bind(&mut session, data)?;
        Ok((session, name))
    }
}
