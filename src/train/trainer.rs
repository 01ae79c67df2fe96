//! The loop.

use super::ahead::{Ahead, Order};
use super::keep::{self, is_due};
use super::metrics::{self, Line, Log, Losses, Tested};
use super::non_finite::first_non_finite;
use super::record::Record;
use super::run_dir::{Manifest, RunDir, Started, checkpoint_name, may_be_run};
use super::weights::{self, Need, Weights};
use super::{
    End, Event, Init, Meaning, Report, Resume, Times, TrainConfig, TrainError, bind, check_data, checkpoints, evaluate,
    recipe_of,
};
use crate::data::Dataset;
use crate::ir::{Figure, Phase, ResultKey};
use crate::plan::{Plan, Training};
use crate::runtime::Session;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Trains to the end of the recipe, or until `config.stop`. Data, weights and checkpoints are judged
/// before anything is written.
pub fn train(
    config: &TrainConfig,
    session: &mut Session,
    data: Dataset,
    see: &mut dyn FnMut(Event),
) -> Result<Report, TrainError> {
    let plan = session.plan.clone();
    let training = recipe_of(&plan)?.clone();
    check_data(&plan, &data)?;
    let meaning = Meaning::of(&data, &training);
    let start = start(config, &plan, &meaning, see)?;

    let run = RunDir::open(&config.run, config.resume.is_some())?;
    let mut manifest = config.manifest.clone();
    manifest.init = start.init.as_ref().map(|it| it.path.display().to_string());
    manifest.init_strict = start.init.as_ref().is_some_and(|it| it.strict);
    manifest.init_map = start.init.as_ref().map_or_else(Vec::new, |it| it.map.clone());
    run.write_manifest(&manifest, config.resume.is_some() && !start.anew)?;
    for newer in &start.newer {
        remove(&run.path, newer)?;
    }
    let log = Log::start(&run.metrics(), &start.lines, start.step, training.tested())
        .map_err(|it| TrainError::write(&run.path, &run.metrics(), it))?;

    let ahead = Order::of(&data.train.images, &plan, &training, config.shards, start.step);
    if let Some(image) = data.image.image() {
        session.whiten(&data.train.images, data.dtype, image)?;
    }
    bind(session, data)?;
    let ahead = ahead.and_then(Order::begin);
    // The file's bytes are dropped once they are on the device.
    if let Some((weights, need)) = start.weights {
        weights.load(session, need)?;
    }
    let step = start.step;
    let seconds =
        start.lines.iter().rev().find_map(|it| if let Line::Losses(it) = it { Some(it.seconds) } else { None });
    see(Event::Started { step, training: &training });
    if start.anew {
        see(Event::Anew);
    }
    if config.resume == Some(Resume::Best) && !start.anew {
        see(Event::Back { step, removed: start.newer.len() });
    }
    if let Some((from, to)) = start.hole {
        see(Event::Hole { from, to });
    }
    Trainer {
        config,
        manifest,
        init: start.init,
        session,
        training,
        run,
        log,
        lines: start.lines,
        record: start.record,
        see,
        step,
        begun: Instant::now(),
        seconds_before: seconds.unwrap_or(0.0),
        checkpoint: start.checkpoint,
        times: Times::default(),
        meaning,
        ahead,
    }
    .run()
}

/// Where a training starts.
#[derive(Default)]
struct Start {
    step: u64,
    /// Weights that its first step started from.
    init: Option<Init>,
    /// Whether it was to be gone on with, but had no checkpoint.
    anew: bool,
    /// Iterations whose lines are lost.
    hole: Option<(u64, u64)>,
    weights: Option<(Weights, Need)>,
    lines: Vec<Line>,
    /// What the checkpoint says of the evaluations before, or else the lines.
    record: Record,
    checkpoint: Option<(u64, PathBuf)>,
    /// Checkpoints after the one that is gone on from.
    newer: Vec<PathBuf>,
}

fn start(
    config: &TrainConfig,
    plan: &Plan,
    meaning: &Meaning,
    see: &mut dyn FnMut(Event),
) -> Result<Start, TrainError> {
    if let Some(from) = config.resume {
        return resumed(config, from, (plan, meaning), see);
    }
    from_init(config.init.clone(), plan, meaning, see)
}

/// Starts with the first step.
fn from_init(
    init: Option<Init>,
    plan: &Plan,
    meaning: &Meaning,
    see: &mut dyn FnMut(Event),
) -> Result<Start, TrainError> {
    let mut res = Start { init, ..Start::default() };
    if let Some(init) = &res.init {
        let (weights, taken) = init.weights(plan)?;
        let doubts = init.doubts(&weights, &taken, meaning)?;
        see(Event::Init { path: &init.path, taken: &taken, doubts: &doubts });
        res.weights = Some((weights, Need::Start));
    }
    Ok(res)
}

/// Reads weights that fit a plan.
pub fn fitting(path: &Path, plan: &Plan, need: Need) -> Result<Weights, TrainError> {
    fit(read_weights(path)?, path, plan, need)
}

/// Reads weights of whatever model.
pub fn read_weights(path: &Path) -> Result<Weights, TrainError> {
    Weights::read(path).map_err(|cause| TrainError::Weights { path: path.into(), cause, remedy: weights::remedy(path) })
}

/// Weights, if they fit a plan.
pub fn fit(weights: Weights, path: &Path, plan: &Plan, need: Need) -> Result<Weights, TrainError> {
    let fail = |cause: String, remedy: String| TrainError::Weights { path: path.into(), cause, remedy };
    let problems = weights.problems(plan, need);
    if problems.is_empty() {
        return Ok(weights);
    }
    let remedy = format!(
        "the file must have the parameters of `{}` by name (`sphc show` lists them); \
         were the weights made with other `--set` values?",
        plan.name
    );
    Err(fail(weights::summary(&problems), remedy))
}

/// The place of the best evaluation's checkpoint among those of a run, newest first.
fn place_of_best(run: &Path, all: &[(u64, PathBuf)]) -> Result<usize, TrainError> {
    let lines = metrics::read(&run.join("metrics.jsonl")).unwrap_or_default();
    let said = || all.iter().find_map(|it| Record::said(&Weights::read(&it.1).ok()?.metadata).ok()?);
    let best = keep::best(&lines, |_| true).or_else(|| Some(said()?.best?.iteration));
    let place = best.and_then(|best| all.iter().position(|it| it.0 == best));
    place.ok_or_else(|| TrainError::RunDirectory {
        path: run.into(),
        cause: match best {
            Some(it) => format!("its best evaluation was that of iteration {it}, of which there is no checkpoint"),
            None => "it was not evaluated yet, so that none is the best".into(),
        },
        remedy: "go on from the newest with `--resume`; `checkpoint best` in the recipe keeps the best".into(),
    })
}

fn resumed(
    config: &TrainConfig,
    from: Resume,
    (plan, meaning): (&Plan, &Meaning),
    see: &mut dyn FnMut(Event),
) -> Result<Start, TrainError> {
    let run = &config.run;
    let mut all = checkpoints(run);
    let place = match from {
        Resume::Best if !all.is_empty() => place_of_best(run, &all)?,
        Resume::Best | Resume::Last => 0,
    };
    let newer: Vec<PathBuf> = all.drain(..place).map(|it| it.1).collect();
    let earlier = Started::read(run).ok();
    let Some((step, path)) = all.first() else {
        if may_be_run(run) {
            return Ok(Start { anew: true, ..from_init(earlier.and_then(Started::init), plan, meaning, see)? });
        }
        return Err(TrainError::RunDirectory {
            path: run.clone(),
            cause: if run.is_dir() { "it holds no run".into() } else { "it does not exist".into() },
            remedy: "give the directory of a run with `--run DIR`, or start anew without `--resume`".into(),
        });
    };
    let fail = |cause: String, remedy: String| TrainError::Weights { path: path.clone(), cause, remedy };
    let fall_back = match all.get(1) {
        Some((earlier, _)) => format!("remove the file to go on from the previous checkpoint, of iteration {earlier}"),
        None => "there is no earlier checkpoint: start anew without `--resume`".into(),
    };
    let iterations = recipe_of(plan)?.iterations;
    if iterations < *step {
        return Err(TrainError::RunDirectory {
            path: run.clone(),
            cause: format!("it is at iteration {step} already, and {iterations} are asked for"),
            remedy: "ask for more with `--iterations`".into(),
        });
    }
    let weights = Weights::read(path).map_err(|it| fail(it, fall_back.clone()))?;
    let said = |key: &str| weights.metadata.get(key).map(String::as_str);
    if said("step") != Some(&step.to_string()) {
        return Err(fail("it is not a checkpoint of a training".into(), fall_back));
    }
    let other_classes =
        Meaning::read(&weights).map_err(|it| fail(it, fall_back.clone()))?.and_then(|it| it.conflict(&meaning.classes));
    if let Some(cause) = other_classes {
        return Err(fail(
            cause,
            "resume with the data set that the run was started with (config.yaml tells it)".into(),
        ));
    }
    let said_then = Meaning::read(&weights).map_err(|it| fail(it, fall_back.clone()))?;
    let problems = weights.problems(plan, Need::Resume);
    if !problems.is_empty() {
        let remedy = "resume with the file, `--set` values and `--precision` that the run was started with \
                      (they are in its config.yaml)";
        return Err(fail(weights::summary(&problems), remedy.into()));
    }
    let now = recipe_of(plan)?.shards;
    if let Some(then) = earlier.as_ref().map(|it| it.training.shards).filter(|then| *then != now) {
        return Err(TrainError::RunDirectory {
            path: run.clone(),
            cause: format!("its batches are cut into {then} shards, and into {now} now"),
            remedy: format!("resume with `--shards {then}`, on any number of ranks up to it"),
        });
    }
    let of_data = "resume with the data set as it was (config.yaml tells where), or start a new run from these weights with \
                   `--init`";
    // A plan is one for so many examples.
    if said("hash") != Some(&plan.hash)
        && said("source") == Some(&plan.source)
        && let Some(cause) = said_then.as_ref().and_then(|it| it.resized(meaning))
    {
        return Err(fail(cause, of_data.into()));
    }
    if said("hash") != Some(&plan.hash) {
        let remedy = "undo the change, or start a new run from these weights with `--init` (config.yaml holds the \
                      text and settings of the run)";
        let cause = "it was made from another text or with other settings than given now";
        return Err(fail(cause.into(), remedy.into()));
    }
    if let Some(cause) = said_then.and_then(|it| it.replaced(meaning)) {
        return Err(fail(cause, of_data.into()));
    }
    let training = recipe_of(plan)?;
    // The checkpoint says over how many iterations its schedule runs; before it did, config.yaml told.
    let before = match said("schedule_iterations") {
        Some(it) => it.parse().ok(),
        None => training.schedule_iterations.and(earlier.as_ref()).map(|it| it.training.iterations),
    };
    if let (Some(before), Some(now)) = (before, training.schedule_iterations)
        && before != now
    {
        return Err(TrainError::RunDirectory {
            path: run.clone(),
            cause: format!("its training follows a schedule over {before} iterations, and {now} are asked for now"),
            remedy: format!(
                "go on with `--iterations {before}`, or start a new run from these weights with `--init`: what is scheduled would jump"
            ),
        });
    }
    let lines = metrics::read(&run.join("metrics.jsonl")).unwrap_or_default();
    let lines = metrics::kept(lines, *step, config.log_every, training.evaluate_every);
    let record = Record::said(&weights.metadata).map_err(|it| fail(it, fall_back))?;
    let record = record.unwrap_or_else(|| Record::of(&lines, training.evaluate_every));
    let log_every = earlier.as_ref().and_then(|it| it.log_every).unwrap_or(1).max(config.log_every);
    Ok(Start {
        step: *step,
        init: earlier.and_then(Started::init),
        anew: false,
        hole: metrics::hole(&lines, *step, log_every),
        lines,
        checkpoint: Some((*step, path.clone())),
        weights: Some((weights, Need::Resume)),
        record,
        newer,
    })
}

/// Steps that the device may be ahead of the losses that were seen.
const AHEAD: u64 = 8;

/// The number with the fewest digits that rounds to this one: a rate as the recipe has it.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}

struct Trainer<'a> {
    config: &'a TrainConfig<'a>,
    /// What `config.yaml` says.
    manifest: Manifest,
    /// Weights that the first step started from.
    init: Option<Init>,
    session: &'a mut Session,
    training: Training,
    run: RunDir,
    log: Log,
    lines: Vec<Line>,
    record: Record,
    see: &'a mut dyn FnMut(Event),
    step: u64,
    begun: Instant,
    seconds_before: f64,
    checkpoint: Option<(u64, PathBuf)>,
    times: Times,
    meaning: Meaning,
    ahead: Option<Ahead>,
}

impl Trainer<'_> {
    fn run(mut self) -> Result<Report, TrainError> {
        let iterations = self.training.iterations;
        self.open_board()?;
        // A run that was stopped during an evaluation still owes it.
        self.evaluate_if_due()?;
        while self.step < iterations && !self.is_over() && !(self.config.stop)() {
            self.one_step()?;
            self.evaluate_if_due()?;
            if is_due(self.step, self.training.checkpoint_every) {
                self.write_checkpoint()?;
            }
        }
        self.write_checkpoint()?;
        self.close_board()?;
        self.times.total = self.begun.elapsed().as_secs_f64();
        self.draw()?;
        let report = self.report();
        (self.see)(Event::Ended(&report));
        Ok(report)
    }

    /// Whether the recipe's patience is at its end.
    fn is_over(&self) -> bool {
        self.record.is_over(self.training.patience)
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.begun.elapsed().as_secs_f64()
    }

    fn one_step(&mut self) -> Result<(), TrainError> {
        if let Some(ahead) = &mut self.ahead {
            self.times.data += ahead.ask(self.step);
        }
        let begun = Instant::now();
        self.update(true)?;
        self.times.steps += begun.elapsed().as_secs_f64();
        self.take_losses(false)
    }

    /// A step with its projections; its losses are asked for in between, as each phase overwrites the results of another.
    fn update(&mut self, with_losses: bool) -> Result<(), TrainError> {
        self.session.run(Phase::Step)?;
        if with_losses {
            let plan = self.session.plan.clone();
            self.session.request(Phase::Step, &plan.step_results())?;
        }
        self.project()
    }

    /// What follows a step.
    fn project(&mut self) -> Result<(), TrainError> {
        self.step += 1;
        if is_due(self.step, self.training.project_every) {
            self.session.run(Phase::Project)?;
        }
        if self.session.plan.phases.contains_key(&Phase::Average) {
            self.session.run(Phase::Average)?;
        }
        Ok(())
    }

    /// Takes the losses that have arrived: those of a device at work come a few steps later, so that it need not wait.
    /// All of them if `all`, which is how it must be before anything is written that they may forbid.
    fn take_losses(&mut self, all: bool) -> Result<(), TrainError> {
        loop {
            let waiting = self.session.requested() as u64;
            let begun = Instant::now();
            let found = self.session.collect(all || AHEAD < waiting)?;
            self.times.steps += begun.elapsed().as_secs_f64();
            let Some(found) = found else { return Ok(()) };
            let iteration = self.step - waiting;
            let losses = self.losses(iteration, found);
            let is_finite = losses.loss.is_finite();
            let last = iteration + 1 == self.training.iterations;
            let logged = iteration.is_multiple_of(self.config.log_every) || last || !is_finite;
            if logged {
                self.push(Line::Losses(losses.clone()))?;
            }
            (self.see)(Event::Step { losses: &losses, logged });
            if !is_finite {
                let parts = format!("fit {}, reg {}, orth {}", losses.fit, losses.reg, losses.orth);
                let loss = losses.loss;
                return Err(
                    self.non_finite(iteration, format!("the loss of iteration {iteration} is {loss} ({parts})"))
                );
            }
        }
    }

    /// What a step told.
    fn losses(&self, iteration: u64, found: Vec<f64>) -> Losses {
        let plan = &self.session.plan;
        let data_wait = self.ahead.as_ref().map(|_| self.times.data);
        let mut res = Losses { iteration, seconds: self.seconds(), data_wait, ..Losses::default() };
        for (key, value) in plan.step_results().into_iter().zip(found) {
            match key {
                ResultKey::Figure(Figure::Fit) => res.fit = value,
                ResultKey::Figure(Figure::Reg) => res.reg = value,
                ResultKey::Figure(Figure::Orth) => res.orth = value,
                ResultKey::Figure(Figure::Loss) => res.loss = value,
                ResultKey::Figure(Figure::Rate) if plan.precision.is_double() => res.rate = value,
                ResultKey::Figure(Figure::Rate) => res.rate = shortest(value as f32),
                ResultKey::Figure(Figure::Accuracy) => res.accuracy = Some(value),
                ResultKey::Metric(name) => _ = res.metrics.insert(name, value),
                ResultKey::Figure(Figure::Losses | Figure::Correct | Figure::Scores) | ResultKey::Named(_) => {
                    unreachable!("a step has no `{key}`")
                }
            }
        }
        res
    }

    /// Why the run cannot go on, with the state from before left as a checkpoint. `what` became NaN or infinite in or before
    /// iteration `iteration`.
    fn non_finite(&mut self, iteration: u64, what: String) -> TrainError {
        match self.look_for_cause(iteration) {
            Ok((step, cause)) => TrainError::NonFinite { iteration, what, cause, run: self.run.path.clone(), step },
            Err(error) => error,
        }
    }

    /// Goes back to the iteration that made the first NaN or infinity; writes a checkpoint of the state before it.
    fn look_for_cause(&mut self, iteration: u64) -> Result<(u64, String), TrainError> {
        while self.session.collect(true)?.is_some() {}
        // The cause of a loss may be the update of the iteration before.
        let early = iteration.saturating_sub(1);
        let all = checkpoints(&self.run.path);
        let from = all.iter().find(|it| it.0 <= early).or_else(|| all.iter().find(|it| it.0 <= iteration));
        match from {
            Some((step, path)) => {
                fitting(path, &self.session.plan, Need::Resume)?.load(self.session, Need::Resume)?;
                self.step = *step;
            }
            None => {
                self.session.restart()?;
                if let Some(init) = &self.init {
                    init.weights(&self.session.plan)?.0.load(self.session, Need::Start)?;
                }
                self.step = 0;
            }
        }
        (self.see)(Event::Searching { from: self.step, to: iteration });
        while self.step < early {
            if (self.config.stop)() {
                self.save()?;
                return Ok((self.step, "the search for where that began was stopped".into()));
            }
            self.update(false)?;
        }
        // The search overwrites the state, so that is saved first.
        let path = self.run.checkpoints().join(checkpoint_name(self.step));
        let is_new = !path.exists();
        self.save()?;
        let mut found = first_non_finite(self.session, Phase::Step)?;
        if found.is_none() && self.step < iteration {
            self.project()?;
            if is_new {
                std::fs::remove_file(&path).map_err(|it| TrainError::write(&self.run.path, &path, it))?;
            }
            self.save()?;
            found = first_non_finite(self.session, Phase::Step)?;
        }
        let cause = match found {
            Some(it) => format!("in iteration {}, {it}", self.step),
            None => "repeating the iteration on the CPU gives finite numbers: it is this device's arithmetic".into(),
        };
        Ok((self.step, cause))
    }

    fn push(&mut self, line: Line) -> Result<(), TrainError> {
        self.log.push(&line).map_err(|it| TrainError::write(&self.run.path, &self.run.metrics(), it))?;
        self.lines.push(line);
        Ok(())
    }

    /// Shows TensorBoard what is there from the start.
    fn open_board(&mut self) -> Result<(), TrainError> {
        let (board, step) = (&self.config.board, self.step);
        let opened = self.log.board().open(board, &self.manifest, self.session.plan.tells_classes(), step);
        opened.map_err(|it| TrainError::write(&self.run.path, &self.run.metrics(), it))?;
        self.look_at_tensors()
    }

    /// Shows TensorBoard what the tensors look like by now.
    fn look_at_tensors(&mut self) -> Result<(), TrainError> {
        let shown = self.log.board().look(&self.config.board, self.session, self.step)?;
        shown.map_err(|it| TrainError::write(&self.run.path, &self.run.metrics(), it))
    }

    fn close_board(&mut self) -> Result<(), TrainError> {
        if (self.step < self.training.iterations && !self.is_over()) || !self.run.is_there() {
            return Ok(());
        }
        let closed = self.log.board().close(&self.config.board, self.step);
        closed.map_err(|it| TrainError::write(&self.run.path, &self.run.metrics(), it))
    }

    fn evaluate_if_due(&mut self) -> Result<(), TrainError> {
        let step = self.step;
        let at_interval = is_due(step, self.training.evaluate_every);
        let due = at_interval || self.training.iterations <= step;
        let done = self.lines.iter().rev().any(|it| matches!(it, Line::Tested(it) if it.iteration == step));
        if !due || done {
            return Ok(());
        }
        self.take_losses(true)?;
        let begun = Instant::now();
        let found = evaluate(self.session, self.config.stop, &mut |_, _| {});
        self.times.tests += begun.elapsed().as_secs_f64();
        let found = match found {
            // What was tested is kept, so that it can be looked at.
            Err(error @ TrainError::TestNonFinite { .. }) => {
                self.write_checkpoint()?;
                return Err(error);
            }
            found => found?,
        };
        if let Some(found) = found {
            let metrics = found.metrics.into_iter().map(|(name, value)| (format!("test_{name}"), value)).collect();
            let tested = Tested { iteration: step, test_loss: found.loss, test_accuracy: found.accuracy, metrics };
            self.push(Line::Tested(tested.clone()))?;
            self.look_at_tensors()?;
            (self.see)(Event::Tested(&tested));
            if at_interval {
                self.record.see(&tested);
            }
            if self.training.keep.best && keep::best(&self.lines, |_| true) == Some(step) {
                self.write_checkpoint()?;
            }
        }
        Ok(())
    }

    fn write_checkpoint(&mut self) -> Result<(), TrainError> {
        if self.checkpoint.as_ref().is_some_and(|it| it.0 == self.step) {
            return self.remove_superseded();
        }
        self.take_losses(true)?;
        let begun = Instant::now();
        // A checkpoint that cannot be gone on from must not take the place of one that can.
        if let Some(name) = weights::non_finite(self.session)? {
            let what = format!("after {} iterations `{name}` holds NaN or infinity", self.step);
            return Err(self.non_finite(self.step, what));
        }
        if !self.run.is_there() {
            return Err(self.restore());
        }
        self.save()?;
        self.remove_superseded()?;
        self.times.checkpoints += begun.elapsed().as_secs_f64();
        Ok(())
    }

    /// Removes the checkpoints that the recipe keeps no longer, once those that take their place are on the disk.
    fn remove_superseded(&self) -> Result<(), TrainError> {
        let Training { keep, checkpoint_every: every, .. } = self.training;
        let all = checkpoints(&self.run.path);
        let steps: Vec<u64> = all.iter().map(|it| it.0).collect();
        let wanted = keep::wanted(&steps, keep, every, self.step, &self.best());
        for (_, path) in all.iter().filter(|it| !wanted.contains(&it.0)) {
            remove(&self.run.path, path)?;
        }
        Ok(())
    }

    /// The best evaluation so far; and without that at the end, which a run that is resumed for longer does not count.
    fn best(&self) -> [Option<u64>; 2] {
        let every = self.training.evaluate_every;
        let logged = |counts: &dyn Fn(u64) -> bool| keep::best(&self.lines, counts);
        let recorded = self.record.best.as_ref().map(|it| it.iteration);
        [logged(&|_| true).or(recorded), recorded.or_else(|| logged(&|it| is_due(it, every)))]
    }

    /// Writes a checkpoint.
    fn save(&mut self) -> Result<(), TrainError> {
        // Metrics first: whatever a checkpoint covers is also on the disk.
        self.log.sync().map_err(|it| TrainError::write(&self.run.path, &self.run.metrics(), it))?;
        let path = self.run.checkpoints().join(checkpoint_name(self.step));
        self.run
            .write_checkpoint(&path, |out| weights::write(self.session, self.step, &self.meaning, &self.record, out))?;
        (self.see)(Event::Checkpoint { step: self.step, path: &path });
        self.checkpoint = Some((self.step, path));
        Ok(())
    }

    /// Makes a run directory that vanished again, from what is in memory.
    fn restore(&mut self) -> TrainError {
        let mut again = || {
            self.run.make_again()?;
            self.run.write_manifest(&self.manifest, false)?;
            let metrics = self.run.metrics();
            self.log = Log::start(&metrics, &self.lines, self.step, self.training.tested())
                .map_err(|it| TrainError::write(&self.run.path, &metrics, it))?;
            self.save()
        };
        match again() {
            Ok(()) => TrainError::Vanished { run: self.run.path.clone(), step: self.step },
            Err(error) => error,
        }
    }

    /// The curves so far, where this build draws.
    #[cfg(feature = "plots")]
    fn draw(&self) -> Result<(), TrainError> {
        use super::curves::{Curve, Picture, Runs};

        let name = self.config.manifest.model.clone();
        let curve = Curve { validates: self.training.validates(), ..Curve::of_run(&name, &self.lines) };
        if let Some(svg) = Runs(&[curve]).svg() {
            self.run.write(&self.run.path.join("curves.svg"), svg.as_bytes())?;
        }
        Ok(())
    }

    #[cfg(not(feature = "plots"))]
    fn draw(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn report(&self) -> Report {
        let tested =
            || self.lines.iter().filter_map(|it| if let Line::Tested(it) = it { Some(it.clone()) } else { None });
        Report {
            step: self.step,
            end: match self.training.iterations <= self.step {
                true => End::Done,
                false if self.is_over() => End::Early,
                false => End::Interrupted,
            },
            last: tested().next_back(),
            best: tested().reduce(|a, b| if b.is_better(&a) { b } else { a }),
            seconds: self.seconds(),
            times: self.times,
            best_checkpoint: self.best()[0].filter(|_| self.training.keep.best).and_then(|step| {
                let path = self.run.checkpoints().join(checkpoint_name(step));
                path.is_file().then_some(path)
            }),
            checkpoint: self.checkpoint.clone().map(|it| it.1),
        }
    }
}

/// Removes a checkpoint of a run.
fn remove(run: &Path, path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        // Somebody else was first.
        Err(it) if it.kind() == std::io::ErrorKind::NotFound => Ok(()),
        found => found.map_err(|it| TrainError::write(run, path, it)),
    }
}
