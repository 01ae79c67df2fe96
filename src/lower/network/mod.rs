//! The graph under construction.
//!
//! [`Network`] makes nodes in both modes at once, parameters and states under their paths, and knows what of the recipe and of
//! the model decides about them. Nothing here evaluates a text: what is given are values.

pub(in crate::lower) mod alone;
pub(in crate::lower) mod basis;
pub(in crate::lower) mod batch;
mod both;
pub(in crate::lower) mod coerce;
pub(in crate::lower) mod input;
pub(in crate::lower) mod keys;
pub(in crate::lower) mod mix;
pub(in crate::lower) mod moves;
pub(in crate::lower) mod naming;
pub(in crate::lower) mod nature;
pub(in crate::lower) mod noted;
pub(in crate::lower) mod ops;
pub(in crate::lower) mod outline;
pub(in crate::lower) mod outputs;
pub(in crate::lower) mod response;
pub(in crate::lower) mod running;
pub(in crate::lower) mod sharing;
pub(in crate::lower) mod starts;
pub(in crate::lower) mod steps;
pub(in crate::lower) mod target;

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{
    DType, Fact, Graph, Init, NodeId, Op, Origin, OriginId, Param, ParamId, ParamRole, Phase, ScalarFn, Shape, Shard,
    State, StateId, StateRole,
};
use crate::lower::names::index::Index;
use crate::lower::report::Reports;
use crate::lower::settings::DataInfo;
use crate::lower::values::value::Tensor;
use heads::Head;
use keys::Keys;
use mix::Mixed;
use naming::Names;
use outline::Outline;
use outputs::{Output, Outputs};
use response::heads;
use response::monomial::Form;
use running::Running;
use sharing::Sharing;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The graph around a part of it that is made by itself.
pub(in crate::lower) struct Around {
    graph: Graph,
    batched: Vec<bool>,
    origins: Origins,
    outline: Outline,
}

/// The graph, and what is known of it.
pub(in crate::lower) struct Network<'a> {
    reports: Reports<'a>,
    pub(in crate::lower) graph: Graph,
    /// The data set, once the recipe named it.
    pub(in crate::lower) data: Option<DataInfo>,
    /// Examples in a batch.
    pub(in crate::lower) batch: usize,
    /// The shard of a batch that they are, if they are not all of it.
    pub(in crate::lower) shard: Option<Shard>,
    /// Updates of the whole run, once the recipe told.
    pub(in crate::lower) iterations: Option<u64>,
    /// Running statistics, until the length of the run is known.
    running: Vec<Running>,
    /// Layers whose operator sees the label.
    heads: Vec<Head>,
    pub(in crate::lower) names: Names,
    origins: Origins,
    outline: Outline,
    /// Paths of parameters and states.
    keys: Keys,
    forms: HashMap<ScalarFn, Form>,
    /// Whether an update depends on how many there will be.
    pub(in crate::lower) length_matters: bool,
    /// By node of training: whether its first axis is the batch.
    batched: Vec<bool>,
    /// The `if training` around what is unfolded, and whether it is the branch of training.
    modes: Vec<(Span, bool)>,
    /// Filters whose window no param changes.
    fixed_windows: BTreeSet<ParamId>,
    /// What is shared, by its path, and the uses of it around what is unfolded.
    sharing: Sharing,
    /// How many draws of random numbers each path has.
    draws: BTreeMap<String, usize>,
    /// By what images of a batch are mixed, once they are.
    mixed: Option<Mixed>,
    /// Whether the input was reported to differ from the images of the data set.
    input_differs: bool,
    pub(in crate::lower) outputs: Outputs,
    /// What editors are told.
    pub(in crate::lower) index: Index,
    /// While a line of the recipe is unfolded: what is lost is no layer's.
    pub(in crate::lower) of_recipe: bool,
}

impl<'a> Deref for Network<'a> {
    type Target = Reports<'a>;

    fn deref(&self) -> &Reports<'a> {
        &self.reports
    }
}

impl<'a> DerefMut for Network<'a> {
    fn deref_mut(&mut self) -> &mut Reports<'a> {
        &mut self.reports
    }
}

impl<'a> Network<'a> {
    pub(super) fn new(reports: Reports<'a>) -> Self {
        Self {
            graph: Graph::new(""),
            data: reports.settings.data.clone(),
            batch: 1,
            shard: None,
            iterations: None,
            running: Vec::new(),
            heads: Vec::new(),
            names: Names::default(),
            origins: Origins::default(),
            outline: Outline::default(),
            keys: Keys::default(),
            forms: HashMap::new(),
            length_matters: false,
            batched: Vec::new(),
            modes: Vec::new(),
            fixed_windows: BTreeSet::new(),
            sharing: Sharing::default(),
            draws: BTreeMap::new(),
            mixed: None,
            input_differs: false,
            outputs: Outputs::default(),
            index: Index::default(),
            of_recipe: false,
            reports,
        }
    }
}

/// The origins of a graph's nodes.
#[derive(Default)]
pub(super) struct Origins {
    known: HashMap<Origin, OriginId>,
    last: Option<(OriginId, Origin)>,
}

impl Network<'_> {
    /// Extents in training, which are those of evaluation.
    pub(super) fn dims(&self, tensor: &Tensor) -> Vec<usize> {
        self.graph.fact(tensor.train).shape().map_or(Vec::new(), |it| it.dims().to_vec())
    }

    /// Whatever is missing at the end was reported.
    pub(super) fn nothing_is_lost_in_silence(&mut self) {
        // A shape that does not fit is reported by `shape::check`, which makes sure of it.
        let unknown = |it| *self.graph.fact(it) == Fact::Unknown;
        if self.has_errors() || self.graph.ids().any(unknown) {
            return;
        }
        let output = matches!(self.outputs.own, Output::Found(_)) || self.items.models.is_empty();
        let recipe = self.graph.recipe.is_some() || self.items.trains.is_empty() || self.items.models.is_empty();
        let place = match (self.unsaid(), output && recipe) {
            (Some(span), _) => span,
            (None, false) => self.model_span,
            (None, true) => return,
        };
        self.push(
            Diagnostic::new(Code::E0201, place, "this has no meaning here, and nothing says why")
                .label("lost while the file was unfolded")
                .note("a mistake without a report of its own is a bug of sphc: please report it with this file")
                .help("write this line in another way"),
        );
    }

    /// Where nodes made by `span` come from.
    pub(super) fn origin(&mut self, span: Span) -> OriginId {
        let span = self.users_place(span);
        // What is lost is no layer's.
        let layer = if self.of_recipe { "" } else { self.names.path() };
        let frames = self.frames();
        // Most nodes come from where the one before them does.
        if let Some((id, last)) = &self.origins.last
            && last.span == span
            && Arc::ptr_eq(&last.frames, &frames)
            && last.layer == layer
        {
            return *id;
        }
        let origin = Origin { span, frames, layer: layer.to_owned() };
        let id = match self.origins.known.get(&origin) {
            Some(&known) => known,
            None => {
                let id = self.graph.origin(origin.clone());
                self.origins.known.insert(origin.clone(), id);
                id
            }
        };
        self.origins.last = Some((id, origin));
        id
    }

    /// Adds a node in both modes. A broken shape rule makes it `Unknown`; `shape::check` reports it.
    pub(super) fn node(&mut self, op: Op, operands: &[&Tensor], span: Span) -> Tensor {
        let cost = 20 + 5 * self.frames().len() as u64;
        self.pay(cost, span);
        let origin = self.origin(span);
        let train: Vec<NodeId> = operands.iter().map(|it| it.train).collect();
        let evaluate: Vec<NodeId> = operands.iter().map(|it| it.evaluate).collect();
        // An update happens in training only.
        let once = matches!(op, Op::Update(_)) || train == evaluate;
        let (first, _) = self.graph.add(op.clone(), &train, origin);
        let second = if once { first } else { self.graph.add(op, &evaluate, origin).0 };
        Tensor { train: first, evaluate: second, owner: None }
    }

    /// Goes into a branch of `if training`.
    pub(super) fn enter_mode(&mut self, span: Span, trains: bool) {
        self.modes.push((span, trains));
    }

    pub(super) fn leave_mode(&mut self) {
        self.modes.pop();
    }

    /// The innermost `if training` around what is unfolded.
    pub(super) fn mode(&self) -> Option<Span> {
        self.modes.last().map(|it| it.0)
    }

    /// Notes that no param changes the window of a filter.
    pub(super) fn fix_window(&mut self, filter: ParamId) {
        self.fixed_windows.insert(filter);
    }

    pub(super) fn has_fixed_window(&self, filter: ParamId) -> bool {
        self.fixed_windows.contains(&filter)
    }

    /// Begins a graph of its own, over the same parameters and states.
    pub(super) fn begin_part(&mut self) -> Around {
        let own = self.graph.without_nodes();
        Around {
            graph: std::mem::replace(&mut self.graph, own),
            batched: std::mem::take(&mut self.batched),
            origins: std::mem::take(&mut self.origins),
            outline: std::mem::take(&mut self.outline),
        }
    }

    /// Ends it, and gives it.
    pub(super) fn end_part(&mut self, around: Around) -> Graph {
        self.batched = around.batched;
        self.origins = around.origins;
        self.outline = around.outline;
        std::mem::replace(&mut self.graph, around.graph)
    }

    /// Whether the tensor's shape is known.
    pub(super) fn known(&self, tensor: &Tensor) -> bool {
        *self.graph.fact(tensor.train) != Fact::Unknown
    }

    /// The parameter `layer/name`.
    #[allow(clippy::too_many_arguments, reason = "these are the fields of a parameter")]
    pub(super) fn param(
        &mut self,
        layer: &str,
        name: &str,
        shape: Shape,
        init: Init,
        role: ParamRole,
        operator: &str,
        span: Span,
    ) -> Tensor {
        let path = format!("{layer}/{name}");
        if let Some(id) = self.shared_param(&path, &shape, init, role, span) {
            return self.node(Op::Param(id), &[], span);
        }
        let path = self.keys.free(path, span);
        let origin = self.origin(span);
        let (layer, operator) = (layer.to_owned(), operator.to_owned());
        let id = self.graph.add_param(Param { path, shape, init, role, layer, operator, origin });
        self.node(Op::Param(id), &[], span)
    }

    /// The state `layer/name`.
    pub(super) fn state(&mut self, layer: &str, name: &str, shape: Shape, init: f64, span: Span) -> (StateId, Tensor) {
        let path = format!("{layer}/{name}");
        if let Some(known) = self.shared_state(&path, &shape, init, span) {
            return known;
        }
        let path = self.keys.free(path, span);
        let origin = self.origin(span);
        let (role, never_negative) = (StateRole::Running, false);
        let id = self.graph.add_state(State { path, shape, dtype: DType::Real, init, role, never_negative, origin });
        (id, self.node(Op::State(id), &[], span))
    }

    fn effect(&mut self, phase: Phase, update: NodeId) {
        self.graph.effects.entry(phase).or_default().push(update);
    }
}
