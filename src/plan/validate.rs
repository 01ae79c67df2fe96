//! Whether a plan can be run: a file may say anything. What passes touches no memory that is not its own, reads no number
//! that was not written, and has all that a training asks for.

use super::{BufferId, BufferKind, Launch, PhasePlan, Plan, Training, arena};
use crate::ir::{DType, Extern, Figure, Fill, Init, Phase, Precision, ResultKey, Shape, Shard, StateRole, start};
use crate::kernel::{Operand, Operands};
use std::collections::{BTreeMap, BTreeSet};

/// Where in a plan something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The value of this key.
    Key(&'static str),
    /// A buffer, by its number.
    Buffer(usize),
    /// A kernel, by its number.
    Kernel(usize),
    /// A phase.
    Phase(Phase),
    /// A launch of a phase, by its number.
    Launch(Phase, usize),
    /// A result of a phase.
    Result(Phase, ResultKey),
}

/// What is wrong in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Location,
    /// What.
    pub cause: String,
}

fn flaw<T>(place: Location, cause: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw { place, cause: cause.into() })
}

impl Plan {
    /// The first thing that is wrong with the plan.
    pub fn validate(&self) -> Result<(), Flaw> {
        self.check_launches()?;
        match &self.training {
            Some(it) => self.check_training(it),
            None => Ok(()),
        }
    }

    /// The first thing that keeps it from being run, whatever for.
    pub(super) fn check_launches(&self) -> Result<(), Flaw> {
        let sizes = self.check_buffers()?;
        let mut operands = Vec::with_capacity(self.kernels.len());
        for (at, spec) in self.kernels.iter().enumerate() {
            let found = spec.operands().map_err(|cause| Flaw { place: Location::Kernel(at), cause })?;
            operands.push(found);
        }
        for (&phase, it) in &self.phases {
            Check { plan: self, sizes: &sizes, operands: &operands, phase }.run(it)?;
        }
        Ok(())
    }

    /// Checks buffers by themselves; gives their sizes in bytes.
    fn check_buffers(&self) -> Result<Vec<usize>, Flaw> {
        let mut sizes = Vec::with_capacity(self.buffers.len());
        let mut total = self.arena_bytes;
        let mut end = 0;
        let mut kept = BTreeSet::new();
        let mut bound = BTreeSet::new();
        for (at, buffer) in self.buffers.iter().enumerate() {
            let place = Location::Buffer(at);
            let Some(bytes) = bytes_of(&buffer.shape, self.precision.bytes(buffer.dtype)) else {
                return flaw(place, format!("the extents {} are out of range", buffer.shape));
            };
            sizes.push(bytes);
            let dtype = |wanted: &[DType]| match wanted.contains(&buffer.dtype) {
                true => Ok(()),
                false => flaw(Location::Buffer(at), format!("`{}` cannot be of type {:?}", buffer.name, buffer.dtype)),
            };
            if self.precision != Precision::Bf16 && buffer.dtype == DType::Bf16 {
                return flaw(place, "reals in 16 bits are for the precision bf16");
            }
            let own = match &buffer.kind {
                BufferKind::Extern(source) => {
                    if !bound.insert(source.clone()) {
                        return flaw(place, format!("two buffers are bound to {source:?}"));
                    }
                    match source {
                        Extern::TrainImages | Extern::TestImages => {
                            dtype(&[self.training.as_ref().map_or(DType::U8, |it| it.dtype)])?;
                        }
                        Extern::TrainLabels | Extern::TestLabels => {
                            let target = self.training.as_ref().map_or(DType::Int, |it| it.target.dtype());
                            dtype(&[target])?;
                        }
                        Extern::Named(_) => dtype(&DType::INPUTS)?,
                    }
                    bytes
                }
                BufferKind::Param(init) => {
                    dtype(&[DType::Real])?;
                    let (number, least) = match init {
                        Init::Constant(it) => (it.0, f64::NEG_INFINITY),
                        Init::Normal(it) | Init::Uniform(it) | Init::Orthogonal(it) => (it.0, 0.0),
                        Init::Dirac => (1.0, 0.0),
                        Init::Whitening(it) => {
                            let told = |cause| Flaw {
                                place: Location::Buffer(at),
                                cause: format!("`{}`: {cause}", buffer.name),
                            };
                            it.check(&buffer.shape).map_err(told)?;
                            (1.0, 0.0)
                        }
                    };
                    if !number.is_finite() || number < least {
                        return flaw(place, format!("`{}` cannot start with {number}", buffer.name));
                    }
                    let whole = matches!(init, Init::Orthogonal(_));
                    if whole && start::MOST_ORTHOGONAL_WORK < start::orthogonal_work(&buffer.shape) {
                        return flaw(place, format!("`{}` is too large for an orthogonal start", buffer.name));
                    }
                    bytes
                }
                BufferKind::State(state) => {
                    dtype(match state.role {
                        StateRole::Running | StateRole::Optimizer | StateRole::Average => &[DType::Real, DType::Int],
                        StateRole::Step | StateRole::EvaluateStart => &[DType::Int],
                    })?;
                    let counter = matches!(state.role, StateRole::Step | StateRole::EvaluateStart);
                    if counter && buffer.shape.len() != 1 {
                        return flaw(place, format!("the counter `{}` is one number", buffer.name));
                    }
                    if !state.start.is_finite() || state.never_negative && state.start < 0.0 {
                        return flaw(place, format!("`{}` cannot start with {}", buffer.name, state.start));
                    }
                    bytes
                }
                BufferKind::Const(fill) => {
                    dtype(&[DType::Real])?;
                    if let Fill::List(numbers) = fill
                        && numbers.len() != buffer.shape.len()
                    {
                        let (found, wanted) = (numbers.len(), buffer.shape.len());
                        return flaw(place, format!("{found} numbers are listed for a constant of {wanted}"));
                    }
                    bytes
                }
                BufferKind::Arena { offset } => {
                    if !offset.is_multiple_of(arena::ALIGN) {
                        return flaw(place, format!("the offset {offset} is not a multiple of {}", arena::ALIGN));
                    }
                    let Some(last) = offset.checked_add(bytes).filter(|it| *it <= self.arena_bytes) else {
                        let arena = self.arena_bytes;
                        return flaw(place, format!("{bytes} bytes at {offset} lie beyond the arena of {arena}"));
                    };
                    end = end.max(last);
                    0
                }
            };
            if matches!(buffer.kind, BufferKind::Param(_) | BufferKind::State(_)) && !kept.insert(&buffer.name) {
                return flaw(place, format!("two parameters or states are called `{}`", buffer.name));
            }
            total = match total.checked_add(own).filter(|it| *it <= isize::MAX as usize) {
                Some(it) => it,
                None => return flaw(place, "all buffers together are out of range"),
            };
        }
        if end.next_multiple_of(arena::ALIGN) < self.arena_bytes {
            let arena = self.arena_bytes;
            return flaw(
                Location::Key("arena_bytes"),
                format!("the arena has {arena} bytes, and its buffers end at {end}"),
            );
        }
        Ok(sizes)
    }

    fn check_training(&self, training: &Training) -> Result<(), Flaw> {
        let here = Location::Key("training");
        let Training { classes, train_examples, test_examples, batch, accumulate, .. } = *training;
        let image = training.image.dims();
        for (what, number) in [
            ("the batch", batch),
            ("the number of its parts", accumulate),
            ("the number of its shards", training.shards),
            ("the number of classes", if training.target.has_classes() { classes } else { 1 }),
            ("the number of training examples", train_examples),
            ("the number of test examples", test_examples),
            ("an extent of an example", image.iter().copied().min().unwrap_or(0)),
        ] {
            if number == 0 {
                return flaw(here, format!("{what} is 0"));
            }
        }
        if !batch.is_multiple_of(accumulate) {
            return flaw(here, format!("a batch of {batch} cannot be cut into {accumulate} equal parts"));
        }
        if let Some(shard) = training.shard
            && (shard.of != training.shards
                || shard.of <= shard.at
                || shard != Shard::new(shard.at, shard.of, batch / accumulate)
                || shard.examples == 0)
        {
            return flaw(here, format!("a batch of {batch} has no such shard"));
        }
        let batch = training.part();
        if training.iterations == 0 {
            return flaw(here, "the number of iterations is 0");
        }
        if training.keep.last == Some(0) {
            return flaw(here, "no checkpoint would be kept");
        }
        for role in [StateRole::Step, StateRole::EvaluateStart] {
            let is_it = |it: &BufferKind| matches!(it, BufferKind::State(it) if it.role == role);
            let count = self.buffers.iter().filter(|it| is_it(&it.kind)).count();
            if count != 1 {
                return flaw(Location::Key("buffers"), format!("there are {count} counters `{}`, not 1", role.word()));
            }
        }
        let images = |count: usize| Shape([&[count], image].concat());
        let targets = |count: usize| Shape([&[count], &training.target.stored(classes)[..]].concat());
        for (at, buffer) in self.buffers.iter().enumerate() {
            let wanted = match &buffer.kind {
                BufferKind::Extern(Extern::TrainImages) => images(train_examples),
                BufferKind::Extern(Extern::TestImages) => images(test_examples),
                BufferKind::Extern(Extern::TrainLabels) => targets(train_examples),
                BufferKind::Extern(Extern::TestLabels) => targets(test_examples),
                BufferKind::Extern(Extern::Named(name)) => {
                    return flaw(Location::Buffer(at), format!("a data set has no `{name}`"));
                }
                BufferKind::Param(_) | BufferKind::State(_) | BufferKind::Const(_) | BufferKind::Arena { .. } => {
                    continue;
                }
            };
            if buffer.shape != wanted {
                let found = &buffer.shape;
                return flaw(
                    Location::Buffer(at),
                    format!("it has the extents {found}, and `training` asks for {wanted}"),
                );
            }
        }
        for key in self.step_results() {
            self.check_result(Phase::Step, key, 1)?;
        }
        self.check_result(Phase::Evaluate, Figure::Losses, batch)?;
        for name in self.metrics() {
            self.check_result(Phase::Evaluate, ResultKey::Metric(name), batch)?;
        }
        if self.tells_classes() {
            self.check_result(Phase::Evaluate, Figure::Correct, batch)?;
        }
        if self.tells_classes() && training.target.is_class() {
            self.check_result(Phase::Evaluate, Figure::Scores, batch.saturating_mul(classes))?;
        } else {
            // What is no number for each class has as many for each example as it has.
            let scores = self.result(Phase::Evaluate, &Figure::Scores.into());
            let len = scores.and_then(|it| it.shape.checked_len());
            let each = len.unwrap_or(0).checked_div(batch).unwrap_or(0);
            self.check_result(Phase::Evaluate, Figure::Scores, batch.saturating_mul(each.max(1)))?;
        }
        match (training.project_every, self.phases.contains_key(&Phase::Project)) {
            (0, true) => flaw(here, "`project_every` is 0, but there is a phase `project`"),
            (1.., false) => flaw(here, "`project_every` is not 0, but there is no phase `project`"),
            (0, false) | (1.., true) => Ok(()),
        }
    }

    /// A result that a training asks for: so many reals.
    fn check_result(&self, phase: Phase, key: impl Into<ResultKey>, len: usize) -> Result<(), Flaw> {
        let key = key.into();
        if !self.phases.contains_key(&phase) {
            return flaw(Location::Key("phases"), format!("there is no phase `{}`", phase.word()));
        }
        let Some(buffer) = self.result(phase, &key) else {
            return flaw(Location::Phase(phase), format!("there is no result `{key}`"));
        };
        if buffer.dtype != DType::Real || buffer.shape.len() != len {
            let cause = format!("it is {} of type {:?}, not {len} reals", buffer.shape, buffer.dtype);
            return flaw(Location::Result(phase, key), cause);
        }
        Ok(())
    }
}

/// Bytes of a tensor, if they are a size.
fn bytes_of(shape: &Shape, each: usize) -> Option<usize> {
    let most = isize::MAX as usize / 16;
    shape.dims().iter().try_fold(each, |sum, &it| sum.checked_mul(it)).filter(|it| *it <= most)
}

/// The check of one phase.
struct Check<'a> {
    plan: &'a Plan,
    /// Bytes of each buffer.
    sizes: &'a [usize],
    /// What each kernel asks for.
    operands: &'a [Operands],
    phase: Phase,
}

impl Check<'_> {
    fn run(&self, phase: &PhasePlan) -> Result<(), Flaw> {
        // What was written in the arena and not overwritten since: by its offset.
        let mut living: BTreeMap<usize, BufferId> = BTreeMap::new();
        for (at, launch) in phase.launches.iter().enumerate() {
            let fail = |cause: String| Flaw { place: Location::Launch(self.phase, at), cause };
            self.operands(launch).map_err(fail)?;
            self.apart(launch).map_err(fail)?;
            for id in &launch.inputs {
                self.lives(&living, *id).map_err(fail)?;
            }
            for &id in &launch.outputs {
                let BufferKind::Arena { offset } = self.plan.buffers[id.0 as usize].kind else { continue };
                let end = offset + self.sizes[id.0 as usize];
                if end == offset {
                    continue;
                }
                // What lives does not overlap, so the first that ends before is the last to look at.
                let before = living.range(..end).rev();
                let over = before.take_while(|(start, other)| offset < *start + self.sizes[other.0 as usize]);
                let over: Vec<usize> = over.map(|it| *it.0).collect();
                over.iter().for_each(|it| _ = living.remove(it));
                living.insert(offset, id);
            }
        }
        for (key, id) in &phase.results {
            let known = if self.plan.buffers.len() <= id.0 as usize {
                Err(format!("buffer {} does not exist", id.0))
            } else {
                self.lives(&living, *id)
            };
            known.map_err(|cause| Flaw { place: Location::Result(self.phase, key.clone()), cause })?;
        }
        Ok(())
    }

    /// What lies in the arena must have been written in this phase, and still be there.
    fn lives(&self, living: &BTreeMap<usize, BufferId>, id: BufferId) -> Result<(), String> {
        let buffer = &self.plan.buffers[id.0 as usize];
        let BufferKind::Arena { offset } = buffer.kind else { return Ok(()) };
        if self.sizes[id.0 as usize] == 0 || living.get(&offset) == Some(&id) {
            return Ok(());
        }
        Err(format!("buffer {} (`{}`) was not written before, or was overwritten since", id.0, buffer.name))
    }

    /// The kernel's operands are what the launch gives it.
    fn operands(&self, launch: &Launch) -> Result<(), String> {
        let Some(wanted) = self.operands.get(launch.kernel) else {
            return Err(format!("kernel {} does not exist", launch.kernel));
        };
        self.fit("input", &launch.inputs, &wanted.inputs, false)?;
        self.fit("result", &launch.outputs, &wanted.outputs, true)
    }

    fn fit(&self, what: &str, given: &[BufferId], wanted: &[Operand], write: bool) -> Result<(), String> {
        if given.len() != wanted.len() {
            return Err(format!("it has {} {what}s, and its kernel {}", given.len(), wanted.len()));
        }
        for (at, (id, wanted)) in given.iter().zip(wanted).enumerate() {
            let Some(buffer) = self.plan.buffers.get(id.0 as usize) else {
                return Err(format!("{what} {at}: buffer {} does not exist", id.0));
            };
            let named = format!("{what} {at}: buffer {} (`{}`)", id.0, buffer.name);
            if buffer.dtype != wanted.dtype {
                return Err(format!("{named} is of type {:?}, not {:?}", buffer.dtype, wanted.dtype));
            }
            let len = buffer.shape.len();
            if len < wanted.len || write && len != wanted.len {
                return Err(format!("{named} has {len} numbers, not {}", wanted.len));
            }
            if write && matches!(buffer.kind, BufferKind::Extern(_) | BufferKind::Const(_)) {
                return Err(format!("{named} can only be read"));
            }
        }
        Ok(())
    }

    /// Results overlap neither each other nor what is read, but where the kernel may write in place.
    fn apart(&self, launch: &Launch) -> Result<(), String> {
        let spec = &self.plan.kernels[launch.kernel];
        let span = |id: BufferId| {
            let (of, bytes) = self.plan.span(id);
            (of, bytes.start, bytes.end)
        };
        // By memory and place: first the inputs, then the results, so that neighbours tell all overlaps.
        let inputs = launch.inputs.iter().enumerate().map(|(at, &id)| (span(id), false, at));
        let mut all: Vec<_> = inputs.collect();
        all.extend(launch.outputs.iter().enumerate().map(|(at, &id)| (span(id), true, at)));
        all.retain(|it| it.0.1 < it.0.2);
        all.sort();
        for (at, &(a, writes_a, number_a)) in all.iter().enumerate() {
            for &(b, writes_b, number_b) in all[at + 1..].iter().take_while(|it| it.0.0 == a.0 && it.0.1 < a.2) {
                let fine = match (writes_a, writes_b) {
                    (false, false) => true,
                    (true, true) => false,
                    (true, false) => a == b && spec.may_alias(number_b, number_a),
                    (false, true) => a == b && spec.may_alias(number_a, number_b),
                };
                if !fine {
                    return Err("a result lies where another result or an input lies".to_owned());
                }
            }
        }
        Ok(())
    }
}
