//! (Unstable.) The executable plan: buffers with offsets, launches in order, and what a trainer must know.
//!
//! The plan is the contract between compiler and runtimes. It is written and read as YAML.

mod arena;
mod bf16_storage;
mod buffers;
mod horizontal;
mod memory;
mod pack;
pub(crate) mod rows;
mod schedule;
mod units;
mod validate;
mod yaml;

pub use memory::Memory;
pub use units::{Source, Unit, Units};
pub use validate::{Flaw, Location};
pub use yaml::{PlanError, from_yaml, to_yaml};

use crate::fuse::Fused;
use crate::ir::op::Fill;
use crate::ir::recipe::Keep;
use crate::ir::{
    DType, Extern, Figure, ImageStep, Init, NodeId, Op, OriginId, Phase, Precision, Random, Recipe, ResultKey, Shape,
    Shard, StateRole, TargetKind,
};
use crate::kernel::KernelSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A buffer, by its position in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BufferId(pub u32);

/// What a buffer is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BufferKind {
    /// Bound from outside before a run.
    Extern(Extern),
    /// A parameter; kept, saved in checkpoints.
    Param(Init),
    /// A state; kept, saved in checkpoints.
    State(StateInfo),
    /// A constant, written once.
    Const(Fill),
    /// Lives within a phase, at this offset of the arena.
    Arena {
        /// Bytes from the arena's start; a multiple of 64.
        offset: usize,
    },
}

/// What a plan knows of a state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateInfo {
    /// The number that it starts with.
    pub start: f64,
    /// What it is for.
    pub role: StateRole,
    /// Whether no number of it can be below 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_negative: bool,
}

/// A buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// Path of a parameter or state; otherwise what it holds, for people.
    pub name: String,
    /// What for.
    pub kind: BufferKind,
    /// Extents.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
    /// Where it comes from: `models/spherenet9.sph:20`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub line: String,
}

/// One kernel on some buffers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Position in [`Plan::kernels`].
    pub kernel: usize,
    /// Inputs in the order of the kernel's operands.
    pub inputs: Vec<BufferId>,
    /// Outputs.
    pub outputs: Vec<BufferId>,
    /// The layer it serves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub layer: String,
}

/// One phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhasePlan {
    /// In order.
    pub launches: Vec<Launch>,
    /// What can be read when it has run. These buffers stay until the next run of any phase.
    pub results: BTreeMap<ResultKey, BufferId>,
}

fn bytes() -> DType {
    DType::U8
}

fn is_bytes(it: &DType) -> bool {
    *it == DType::U8
}

/// What a trainer must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Name of the data set, or its path.
    pub data: String,
    /// The share of the training images that are kept for validation, and tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<f64>,
    /// Whether it is tested with the data set's own images for validation.
    #[serde(default, skip_serializing_if = "is_no")]
    pub own_validation: bool,
    /// What is done to its images before anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageStep>,
    /// Extents of an example after that: height, width, channels of an image.
    pub image: Shape,
    /// What an example is made of.
    #[serde(default = "bytes", skip_serializing_if = "is_bytes")]
    pub dtype: DType,
    /// Classes; 0 where targets are numbers.
    pub classes: usize,
    /// What examples are to be answered with, if not with a class.
    #[serde(default, skip_serializing_if = "TargetKind::is_class")]
    pub target: TargetKind,
    /// Training examples the plan is made for.
    pub train_examples: usize,
    /// Test examples the plan is made for.
    pub test_examples: usize,
    /// Examples per step.
    pub batch: usize,
    /// Equal parts that a step takes them in.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Shards that each part is cut into.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub shards: usize,
    /// The shard of each part that the plan is of, where it is not of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Steps.
    pub iterations: u64,
    /// Over how many steps the run goes, where a schedule or what is computed depends on how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_iterations: Option<u64>,
    /// Evaluate every so many steps; 0 is only at the end.
    pub evaluate_every: u64,
    /// Checkpoint every so many steps; 0 is only at the end.
    pub checkpoint_every: u64,
    /// Which of them are kept.
    #[serde(default, skip_serializing_if = "Keep::is_all")]
    pub keep: Keep,
    /// The run ends after so many evaluations in a row that are no better than the best before; 0 is never.
    #[serde(default, skip_serializing_if = "is_never")]
    pub patience: u64,
    /// Run the `project` phase after every so many steps; 0 is never. The greatest common divisor when
    /// projections have different intervals; each update then looks at the step itself.
    pub project_every: u64,
}

fn one() -> usize {
    1
}

fn is_never(it: &u64) -> bool {
    *it == 0
}

fn is_no(it: &bool) -> bool {
    !it
}

fn is_one(it: &usize) -> bool {
    *it == 1
}

impl Training {
    /// What its examples are called: images, or else examples.
    pub fn noun(&self) -> &'static str {
        self.image.noun(self.dtype)
    }

    /// What it is tested with: `test`, or `validation`.
    pub fn tested(&self) -> &'static str {
        if self.validates() { "validation" } else { "test" }
    }

    /// Whether it is tested with images for validation.
    pub fn validates(&self) -> bool {
        self.validate.is_some() || self.own_validation
    }

    /// Examples that are worked on at once: of a part of a step's or a shard of it, and of an evaluation.
    pub fn part(&self) -> usize {
        self.shard.map_or(self.batch / self.accumulate.max(1), |it| it.examples)
    }
}

/// The executable plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub format: u32,
    /// The model's name.
    pub name: String,
    /// SHA-256 of the sources and settings it was made from, in hex.
    pub hash: String,
    /// SHA-256 of the sources and parameter values alone: what weights are weights of, on any data and device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Arithmetic.
    pub precision: Precision,
    /// Of initial values, shuffling and augmentation.
    pub seed: u64,
    /// For the trainer; absent when the file has no `train`.
    pub training: Option<Training>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
    /// Buffers.
    pub buffers: Vec<Buffer>,
    /// Distinct kernels.
    pub kernels: Vec<KernelSpec>,
    /// Phases.
    pub phases: BTreeMap<Phase, PhasePlan>,
}

impl Plan {
    /// The results of a step that a training reads, each a single number.
    pub fn step_results(&self) -> Vec<ResultKey> {
        let results = self.phases.get(&Phase::Step).map(|it| &it.results);
        let metrics = results.into_iter().flat_map(|it| it.keys()).filter(|it| match it {
            ResultKey::Metric(_) => true,
            ResultKey::Figure(it) => *it == Figure::Accuracy,
            ResultKey::Named(_) => false,
        });
        Figure::STEP.map(ResultKey::from).into_iter().chain(metrics.cloned()).collect()
    }

    /// Whether batches are drawn in a shuffled order.
    pub fn shuffles(&self) -> bool {
        let shuffles = |it: &KernelSpec| matches!(it, KernelSpec::Random { kind: Random::Shuffle { .. }, .. });
        self.kernels.iter().any(shuffles)
    }

    /// Names of the metrics beside the accuracy.
    pub fn metrics(&self) -> Vec<String> {
        let name = |it| if let ResultKey::Metric(name) = it { Some(name) } else { None };
        self.step_results().into_iter().filter_map(name).collect()
    }

    /// Whether the model tells classes apart: its accuracy is told.
    pub fn tells_classes(&self) -> bool {
        self.step_results().contains(&Figure::Accuracy.into())
    }

    /// Where a result of a phase is.
    pub fn result(&self, phase: Phase, key: &ResultKey) -> Option<&Buffer> {
        let id = self.phases.get(&phase)?.results.get(key)?;
        self.buffers.get(id.0 as usize)
    }
}

/// Version of the plan's format.
pub const FORMAT: u32 = 5;

/// What a plan depends on besides the graph.
pub struct Config<'a> {
    /// Arithmetic.
    pub precision: Precision,
    /// SHA-256 of the sources and settings, in hex.
    pub hash: String,
    /// SHA-256 of the sources and parameter values, in hex.
    pub source: String,
    /// Where an origin lies: `models/spherenet9.sph:20`.
    pub line: &'a dyn Fn(OriginId) -> String,
}

/// Orders the launches, gives every tensor its memory.
pub fn plan(fused: &Fused, config: &Config<'_>) -> Plan {
    let mut table = buffers::Table::new(fused, config);
    let mut phases = BTreeMap::new();
    for &phase in fused.phases.keys() {
        phases.insert(phase, table.phase(schedule::schedule(fused, phase)));
    }
    let plan = Plan {
        format: FORMAT,
        name: fused.typed.name.clone(),
        hash: config.hash.clone(),
        source: config.source.clone(),
        precision: config.precision,
        seed: fused.typed.recipe.as_ref().map_or(0, |it| it.seed),
        training: fused.typed.recipe.as_ref().map(|it| training(fused, it)),
        arena_bytes: table.arena_bytes,
        buffers: table.buffers,
        kernels: table.kernels,
        phases,
    };
    if cfg!(debug_assertions) {
        plan.check_launches().unwrap_or_else(|it| panic!("the compiler made a plan that cannot be run: {it:?}"));
    }
    plan
}

fn training(fused: &Fused, recipe: &Recipe) -> Training {
    let graph = fused.typed.graph();
    // As the data set has them: augmentation may change their size.
    let data = |it: &NodeId| matches!(graph.op(*it), Op::Input { source: Extern::TrainImages, .. });
    let examples = graph.ids().find(data);
    let image = examples.map(|it| graph.shape(it).dims());
    Training {
        data: recipe.data.clone(),
        validate: recipe.validate,
        own_validation: false,
        images: graph.images.clone(),
        image: image.map_or_else(Shape::scalar, |it| Shape(it[1..].to_vec())),
        dtype: examples.and_then(|it| graph.fact(it).dtype()).unwrap_or(DType::U8),
        classes: recipe.classes,
        target: recipe.target.clone(),
        train_examples: recipe.train_examples,
        test_examples: recipe.test_examples,
        batch: recipe.batch,
        accumulate: recipe.accumulate,
        shards: recipe.shards,
        shard: recipe.shard,
        iterations: recipe.iterations,
        schedule_iterations: recipe.length_matters.then_some(recipe.iterations),
        evaluate_every: recipe.evaluate_every,
        checkpoint_every: recipe.checkpoint_every,
        keep: recipe.keep,
        patience: recipe.patience,
        project_every: recipe.project_every(),
    }
}
