//! Nodes, edges and the tables beside them.

use super::words::words;
use super::{
    Applied, Block, DType, Extremes, Fact, ImageStep, Layer, Op, Recipe, ResultKey, Shape, ShapeError, Whitening,
    infer, op::Scalar64,
};
use crate::diag::Span;
use foldhash::fast::FixedState;
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

/// A node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// A parameter, by its position in [`Graph::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParamId(pub u32);

/// A state, by its position in [`Graph::states`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateId(pub u32);

/// Where a node came from, as [`Graph::origin_of`] looks it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginId(pub u32);

/// Training and evaluation differ in a model (batch statistics, heads that see the label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Batch statistics; running statistics are updated.
    Train,
    /// Running statistics.
    Evaluate,
}

words! {
    /// What a runtime can be asked to do.
    pub enum Phase {
        /// One training step.
        Step: "step",
        /// One batch of evaluation.
        Evaluate: "evaluate",
        /// Projections of parameters, every so many steps.
        Project: "project",
        /// Averages over the steps, after each; before the first they are what the parameters start with.
        Average: "average",
        /// The gradients of the step that comes next, which changes nothing.
        Gradients: "gradients",
    }
}

/// One step on the way from the model's text to a node: a loop's pass, a block's call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The loop header or the call.
    pub span: Span,
    /// `in repetition stage = 2 of this loop`, `with filters = 64`.
    pub text: Arc<str>,
}

/// Where a node came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The expression that made it.
    pub span: Span,
    /// The enclosing instantiations, outermost first.
    pub frames: Arc<[Frame]>,
    /// The layer it belongs to: `conv1_0`; empty outside of layers.
    pub layer: String,
}

/// How a tensor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// The same number everywhere.
    Constant(Scalar64),
    /// Unbounded normal with this standard deviation.
    Normal(Scalar64),
    /// Uniform between minus this bound and it.
    Uniform(Scalar64),
    /// This times orthonormal columns of the last axis against all others, or rows where those are fewer.
    Orthogonal(Scalar64),
    /// 1 where a filter meets its own channel at the middle of the window, else 0.
    Dirac,
    /// Filters that whiten patches of the training images.
    Whitening(Whitening),
}

words! {
    /// What a parameter is for; selectors of penalties and projections ask for it.
    pub enum ParamRole {
        /// A convolution's filter.
        Filter: "filter",
        /// Scale of a normalisation.
        Gamma: "gamma",
        /// Shift of a normalisation.
        Beta: "beta",
        /// Added to each filter's answer.
        Bias: "bias",
        /// Anything else that is learned: an operator's numbers, a block's.
        Learned: "learned",
    }
}

/// A trained tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// `conv1_0/filter`: the key in checkpoints.
    pub path: String,
    /// Extents.
    pub shape: Shape,
    /// Start value.
    pub init: Init,
    /// What it is for.
    pub role: ParamRole,
    /// The layer that owns it: `conv1_0`.
    pub layer: String,
    /// The operator of that layer: `cosine`, `none`; empty for a batch normalisation's.
    pub operator: String,
    /// Where it came from.
    pub origin: OriginId,
}

words! {
    /// What a state is for. It goes with the plan and with checkpoints; a state's name says nothing of it.
    pub enum StateRole {
        /// Part of the model: a running statistic.
        Running: "running",
        /// What the optimizer keeps of a parameter.
        Optimizer: "optimizer",
        /// An average over the steps of a parameter or statistic, which evaluation uses.
        Average: "average",
        /// Counts the updates.
        Step: "step",
        /// Counts the examples of the test set that were evaluated.
        EvaluateStart: "evaluate_start",
    }
}

impl StateRole {
    /// Whether it belongs to the training rather than to the model.
    pub fn is_progress(self) -> bool {
        match self {
            StateRole::Running | StateRole::Average => false,
            StateRole::Optimizer | StateRole::Step | StateRole::EvaluateStart => true,
        }
    }
}

/// A tensor kept between steps that is not trained.
#[derive(Clone, Debug)]
pub struct State {
    /// `conv1_0/bn/ema_mean`, `conv1_0/filter/adam_m`, `step`.
    pub path: String,
    /// Extents.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
    /// Start value.
    pub init: f64,
    /// What it is for.
    pub role: StateRole,
    /// Whether no number of it can be below 0, as of a mean of squares.
    pub never_negative: bool,
    /// Where it came from.
    pub origin: OriginId,
}

/// What is told of a training and of an evaluation: a number for each example, `[n]`, in each mode.
#[derive(Clone, Debug)]
pub struct Metric {
    /// `accuracy`: the key in the log.
    pub name: String,
    /// Its node in each mode.
    pub nodes: BTreeMap<Mode, NodeId>,
}

#[derive(Clone, Debug)]
struct NodeData {
    op: Op,
    operands: Vec<NodeId>,
    fact: Fact,
    origin: OriginId,
}

/// A graph with its tables. Nodes are hash-consed: building the same op on the same inputs twice
/// gives the same node (`Update` excepted). Inputs always exist before the node that uses them, so
/// ascending `NodeId` is a topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The operands of a node are in its data, in order. The edges are the way back, from a value to those that use it, each
    /// once for every use; nodes are never removed, so that an index is a node's number for good. What orders or walks the
    /// graph follows operands and needs none of petgraph's algorithms.
    nodes: StableDiGraph<NodeData, ()>,
    /// By hash of op and operands.
    known: HashMap<u64, NodeId, FixedState>,
    origins: Vec<Origin>,
    /// The model's name.
    pub name: String,
    /// Trained tensors in order of creation.
    pub params: Vec<Param>,
    /// Other tensors kept between steps.
    pub states: Vec<State>,
    /// Layers in order of the text.
    pub layers: Vec<Layer>,
    /// Functions of what is no layer's result, in order of the text.
    pub applied: Vec<Applied>,
    /// Calls of blocks that are no layers, each before those within it.
    pub blocks: Vec<Block>,
    /// The model's input in each mode: `u8[n,h,w,c]` or real.
    pub inputs: BTreeMap<Mode, NodeId>,
    /// What a batch is to be answered with in each mode: labels, `int[n]`, or as the data set has it otherwise.
    pub labels: BTreeMap<Mode, NodeId>,
    /// Names of further outputs, in order of the text.
    pub named_outputs: Vec<String>,
    /// The model's output in each mode.
    pub outputs: BTreeMap<Mode, NodeId>,
    /// What a model is trained to make small, `[n]`: a number for each example, in each mode.
    pub losses: BTreeMap<Mode, NodeId>,
    /// What is told beside the loss, in order of the text.
    pub metrics: Vec<Metric>,
    /// What each phase must do, in order: `Update` nodes.
    pub effects: BTreeMap<Phase, Vec<NodeId>>,
    /// What can be read after each phase, by name: `fit`, `accuracy`, `scores`.
    pub results: BTreeMap<Phase, BTreeMap<ResultKey, NodeId>>,
    /// Where the nodes of another part of a step begin, ascending: what is computed in one part is done before the next one
    /// begins, so that their memory is that of one.
    pub fences: Vec<NodeId>,
    /// Streams of random numbers that all examples of a batch have in common.
    pub common_draws: BTreeSet<u64>,
    /// The least and the largest number of the examples, where they are known.
    pub range: Option<Extremes>,
    /// What is done to the images of the data set before anything else.
    pub images: Vec<ImageStep>,
    /// What `--set` gave, as values: `1.0` and `1` are one float.
    pub set: BTreeMap<String, String>,
    /// The values of all params of the text.
    pub values: BTreeMap<String, String>,
    /// How it is trained; `None` for a file without `train`.
    pub recipe: Option<Recipe>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), origins: vec![Origin::default()], range: Some(Extremes::BYTES), ..Self::default() }
    }

    /// The expression that brings the images' numbers to -1 to 1: `(image - 8) / 8`.
    pub fn scaling(&self, image: &str) -> String {
        let Extremes([low, high]) = self.range.unwrap_or(Extremes::BYTES);
        let half = ((high - low) / 2.0).ceil().max(1.0);
        format!("({image} - {}) / {half}", (low + high) / 2.0)
    }

    /// The tables without any node; what they say of nodes is for the caller to tell again.
    pub fn without_nodes(&self) -> Self {
        Self {
            nodes: StableDiGraph::with_capacity(self.nodes.node_count(), self.nodes.edge_count()),
            known: HashMap::with_capacity_and_hasher(self.nodes.node_count(), FixedState::default()),
            origins: self.origins.clone(),
            name: self.name.clone(),
            range: self.range,
            params: self.params.clone(),
            states: self.states.clone(),
            layers: Vec::new(),
            applied: Vec::new(),
            blocks: Vec::new(),
            inputs: BTreeMap::new(),
            labels: BTreeMap::new(),
            named_outputs: self.named_outputs.clone(),
            outputs: BTreeMap::new(),
            losses: BTreeMap::new(),
            metrics: Vec::new(),
            effects: BTreeMap::new(),
            results: BTreeMap::new(),
            fences: Vec::new(),
            common_draws: self.common_draws.clone(),
            images: self.images.clone(),
            set: self.set.clone(),
            values: self.values.clone(),
            recipe: self.recipe.clone(),
        }
    }

    /// Remembers an origin.
    pub fn origin(&mut self, origin: Origin) -> OriginId {
        self.origins.push(origin);
        OriginId(self.origins.len() as u32 - 1)
    }

    /// The part of a step that a node belongs to, counted from 0.
    pub fn part(&self, id: NodeId) -> usize {
        self.fences.partition_point(|it| *it <= id)
    }

    /// Looks an origin up.
    pub fn origin_of(&self, id: OriginId) -> &Origin {
        &self.origins[id.0 as usize]
    }

    /// Adds a node, or finds the equal one. When the shape rule fails, the node's fact is `Unknown`
    /// and the error comes back beside it; callers in later passes use [`crate::shape::Builder`].
    pub fn add(&mut self, op: Op, inputs: &[NodeId], origin: OriginId) -> (NodeId, Option<ShapeError>) {
        // Of two nodes with one hash, which are not to be expected, the second is not found again.
        let key = FixedState::default().hash_one((&op, inputs));
        let shared = !matches!(op, Op::Update(_));
        if shared
            && let Some(&id) = self.known.get(&key)
            && *self.op(id) == op
            && self.data(id).operands == inputs
        {
            return (id, None);
        }
        let facts: Vec<&Fact> = inputs.iter().map(|&it| self.fact(it)).collect();
        let (fact, error) = match infer(&op, &facts, &self.params, &self.states) {
            Ok(fact) => (fact, None),
            Err(error) => (Fact::Unknown, Some(error)),
        };
        let id = NodeId(self.nodes.node_count() as u32);
        let index = self.nodes.add_node(NodeData { op, operands: inputs.to_vec(), fact, origin });
        debug_assert_eq!(index.index(), id.0 as usize);
        for &input in inputs {
            self.nodes.add_edge(NodeIndex::new(input.0 as usize), index, ());
        }
        if shared {
            self.known.entry(key).or_insert(id);
        }
        (id, error)
    }

    /// Adds a parameter; its path must be new (`verify` looks).
    pub fn add_param(&mut self, param: Param) -> ParamId {
        self.params.push(param);
        ParamId(self.params.len() as u32 - 1)
    }

    /// Adds a state; its path must be new (`verify` looks).
    pub fn add_state(&mut self, state: State) -> StateId {
        self.states.push(state);
        StateId(self.states.len() as u32 - 1)
    }

    /// A parameter by path.
    pub fn find_param(&self, path: &str) -> Option<ParamId> {
        self.params.iter().position(|it| it.path == path).map(|it| ParamId(it as u32))
    }

    /// A state by path.
    pub fn find_state(&self, path: &str) -> Option<StateId> {
        self.states.iter().position(|it| it.path == path).map(|it| StateId(it as u32))
    }

    /// The first state of a role; of counters there is one.
    pub fn state_of(&self, role: StateRole) -> Option<StateId> {
        self.states.iter().position(|it| it.role == role).map(|it| StateId(it as u32))
    }

    /// A parameter.
    pub fn param(&self, id: ParamId) -> &Param {
        &self.params[id.0 as usize]
    }

    /// A state.
    pub fn state(&self, id: StateId) -> &State {
        &self.states[id.0 as usize]
    }

    fn data(&self, id: NodeId) -> &NodeData {
        &self.nodes[NodeIndex::new(id.0 as usize)]
    }

    /// What a node does.
    pub fn op(&self, id: NodeId) -> &Op {
        &self.data(id).op
    }

    /// What is known of a node's result.
    pub fn fact(&self, id: NodeId) -> &Fact {
        &self.data(id).fact
    }

    /// The shape of a node that is known to be known (always in a `Typed` graph).
    pub fn shape(&self, id: NodeId) -> &Shape {
        self.fact(id).shape().unwrap_or_else(|| panic!("the shape of %{} is unknown\n{self}", id.0))
    }

    /// Where a node came from.
    pub fn origin_id(&self, id: NodeId) -> OriginId {
        self.data(id).origin
    }

    /// A node's operands in order.
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        self.data(id).operands.clone()
    }

    /// The nodes that use a node, ascending, each once.
    pub fn users(&self, id: NodeId) -> Vec<NodeId> {
        let index = NodeIndex::new(id.0 as usize);
        let mut users: Vec<NodeId> =
            self.nodes.neighbors_directed(index, Direction::Outgoing).map(|it| NodeId(it.index() as u32)).collect();
        users.sort();
        users.dedup();
        users
    }

    /// All nodes, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.nodes.node_indices().map(|it| NodeId(it.index() as u32))
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.node_count()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.node_count() == 0
    }

    /// The nodes that `roots` need, ascending, which is a topological order.
    pub fn needed(&self, roots: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
        let mut seen = vec![false; self.nodes.node_count()];
        let mut todo: Vec<NodeId> = roots.into_iter().collect();
        while let Some(id) = todo.pop() {
            if !std::mem::replace(&mut seen[id.0 as usize], true) {
                todo.extend(self.operands(id));
            }
        }
        (0..seen.len()).filter(|&it| seen[it]).map(|it| NodeId(it as u32)).collect()
    }

    /// Everything a phase must compute: its effects and its results.
    pub fn phase_roots(&self, phase: Phase) -> Vec<NodeId> {
        let mut roots = self.effects.get(&phase).cloned().unwrap_or_default();
        roots.extend(self.results.get(&phase).into_iter().flat_map(|it| it.values().copied()));
        roots
    }
}
