//! (Unstable.) Tree to graph: names, parameters, blocks, loops, imports and the recipe are resolved here;
//! operators become scalar expressions.
//!
//! In order:
//! 1. `items` gathers what the file, its imports and the prelude define;
//! 2. `resolve` checks names, callees and arguments of all of it, used or not;
//! 3. `params` decides the params, by their defaults and `--set`;
//! 4. `recipe` reads what the model must know of the recipe: data (with `images`), batch, classes;
//! 5. `eval` unfolds the model once into nodes for training and evaluation at the same time: a tensor
//!    value holds both, which are one node until a layer tells them apart;
//! 6. `recipe` reads the rest, `penalty` and `selector` what is said of the parameters that are there now;
//! 7. `compose` makes one map of arithmetic that was written with infix signs.
//!
//! After a mistake a value is `Error`, and everything that depends on it is silent: one mistake, one
//! report. How layers are named is described in `naming`.

mod accumulate;
mod arith;
mod augment;
mod average;
mod blocks;
mod budget;
mod call;
mod checkpoint;
mod choices;
mod collect;
mod compose;
mod data;
mod eval;
mod foreign;
mod groups;
mod hazard;
mod idle;
pub mod images;
mod index;
mod input;
mod items;
mod keys;
pub mod library;
mod listing;
mod lists;
mod loss_terms;
mod measures;
mod mix;
mod naming;
mod objective;
mod operator;
mod outputs;
mod params;
mod penalty;
mod ranges;
mod reach;
mod recipe;
mod resolve;
mod response;
mod schedule;
mod selector;
pub mod settings;
mod sharing;
mod signature;
mod source;
mod steps;
mod target;
mod told;
mod types;
mod update;
mod value;

pub use blocks::{PRIMITIVES, REDUCTIONS};
pub(crate) use collect::PRELUDE;
pub use index::{Binding, Entry, Index, Mention, Noted, RecipeKey, Role, Slot};
pub use response::response;
pub use settings::{DataInfo, Look, Settings};

use crate::diag::{Code, Diagnostic, FileId, Label, Severity, Sink, Sources, Span};
use crate::ir::expr::Pool;
use crate::ir::{
    DType, Fact, Frame, Graph, Init, NodeId, Op, Origin, OriginId, Param, ParamId, ParamRole, Phase, ScalarFn, Shape,
    State, StateId, StateRole,
};
use crate::syntax::{self, ast};
use collect::Collector;
use items::Items;
use naming::Names;
use outputs::Output;
use reach::Reach;
use signature::Signature;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use value::{Tensor, Value};

/// The longest text, in bytes, that may be lowered twice: without a report it needs only the part of the prelude that it can
/// reach. For a longer one the prelude counts for little.
const SMALL: usize = 1 << 14;

/// What becomes of a file.
#[derive(Default)]
pub struct Lowered {
    /// There when there is a model to speak of, even after mistakes, so that shapes can be checked as far as they are known.
    pub graph: Option<Graph>,
    /// Empty unless the settings ask for it.
    pub index: Index,
}

/// Lowers a file to a graph. Everything found wrong goes into `sink`.
pub fn lower(
    file: &ast::File,
    main: FileId,
    sources: &mut Sources,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
    sink: &mut Sink,
) -> Lowered {
    // An index names what is not used, too.
    if sources.get(main).text.len() <= SMALL && !settings.index {
        let given: Vec<&str> = settings.set.iter().map(|it| it.1.as_str()).collect();
        let (mut read, mut found) = (sources.clone(), Sink::new());
        let lowered = lower_with(file, main, (&mut read, load), settings, &mut found, &Reach::From(&given));
        if found.is_empty() {
            *sources = read;
            return lowered;
        }
    }
    lower_with(file, main, (sources, load), settings, sink, &Reach::Whole)
}

/// Reads imports.
type Load<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

fn lower_with(
    file: &ast::File,
    main: FileId,
    (sources, load): (&mut Sources, Load<'_>),
    settings: &Settings,
    sink: &mut Sink,
    reach: &Reach<'_>,
) -> Lowered {
    let items = Collector::new(sources, load, sink).run(file, main, reach);
    let overrides = params::parse(&items, settings, sources, sink);
    let resolved = resolved(&items, &overrides, sources, settings, sink);

    for (name, value) in overrides.iter().filter(|it| !resolved.uses.contains(it.0)) {
        // That the file itself does not use it is said there.
        let own = items.main(name).is_some_and(|it| it.home == items::Home::Main) && !name.starts_with('_');
        if !own {
            sink.push(
                Diagnostic::new(Code::W0203, value.span, format!("nothing uses the param `{name}`"))
                    .label("has no effect")
                    .help("leave it out"),
            );
        }
    }

    // It is read again, with all that there is.
    if !sink.is_empty() && matches!(reach, Reach::From(_)) {
        return Lowered::default();
    }
    let mut lowering = Lowering::new(&items, sources, settings, sink, resolved);
    let divisions = syntax::divisions(main, &lowering.sources.get(main).text);
    lowering.report_all(divisions);
    lowering.read_batch(main);
    lowering.read_params(&overrides);
    let Some(model) = lowering.the_model(main) else {
        lowering.check_operators();
        return Lowered { graph: None, index: lowering.index };
    };
    lowering.graph = Graph::new(model.name.name.clone());
    lowering.graph.set = lowering.values_of(overrides.keys());
    let basis = lowering.basis();
    lowering.check_operators();
    lowering.graph.bytes = lowering.bytes();
    lowering.unfold(&model, basis.as_ref());
    if let Some(basis) = basis {
        lowering.finish_recipe(basis);
    }
    lowering.check_paths();
    lowering.unreached();
    lowering.scaled();
    lowering.lost_docs(main);
    lowering.nothing_is_lost_in_silence();
    Lowered { graph: Some(compose::compose(lowering.graph)), index: lowering.index }
}

/// Walks the names of all that there is.
fn resolved(
    items: &Items,
    overrides: &BTreeMap<String, ast::Expr>,
    sources: &Sources,
    settings: &Settings,
    sink: &mut Sink,
) -> resolve::Resolved {
    // The model that imports a library brings the data set.
    let classes = !items.trains.is_empty() || settings.data.is_some() || items.is_library();
    let lint = !items.trains.iter().any(|it| recipe::allowed(it).contains(&Code::W0104));
    let mut found = resolve::Resolver::new(items, sources, sink, classes, lint).indexed(settings.index).run(overrides);
    if settings.index {
        found.index.tell(items, sources);
    }
    found
}

/// What the names of a file stand for: the first half of lowering, which does not unfold anything.
pub fn names(
    file: &ast::File,
    main: FileId,
    sources: &mut Sources,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
    sink: &mut Sink,
) -> Index {
    let items = Collector::new(sources, load, sink).run(file, main, &Reach::Whole);
    resolved(&items, &BTreeMap::new(), sources, settings, sink).index
}

/// The origins of a graph's nodes.
#[derive(Default)]
struct Origins {
    known: HashMap<Origin, OriginId>,
    last: Option<(OriginId, Origin)>,
}

/// Everything that unfolding a model carries along.
struct Lowering<'a> {
    items: &'a Items,
    sources: &'a Sources,
    settings: &'a Settings,
    sink: &'a mut Sink,
    /// What editors are told.
    index: Index,
    graph: Graph,
    /// Blocks and functions that contain themselves; reported, never entered.
    endless: BTreeSet<String>,
    /// Values that nothing reads.
    lost: Vec<Span>,
    params: BTreeMap<String, Value>,
    /// The data set, once the recipe named it.
    data: Option<DataInfo>,
    /// Smallest and largest byte of a data set that was looked at.
    data_bytes: Option<[u8; 2]>,
    /// Examples in a batch.
    batch: usize,
    /// Updates of the whole run, once the recipe told.
    iterations: Option<u64>,
    /// Scopes of the callers and, from `floor` on, of the running function.
    scopes: Vec<eval::Scope>,
    floor: usize,
    /// The expression under construction, inside a `fn` or an operator.
    pool: Option<Pool>,
    building: Option<operator::Building>,
    /// While an operator is looked at for itself.
    trace: Option<hazard::Trace>,
    /// Lints that the recipe silences.
    allowed: Vec<Code>,
    /// Operators that were, with their constants.
    studied: BTreeSet<(Span, String)>,
    /// The calls of functions and the layers of operators around what is evaluated, outermost first.
    calls: Vec<Span>,
    /// Running statistics, until the length of the run is known.
    running: Vec<idle::Running>,
    /// Layers whose operator sees the label.
    heads: Vec<operator::Head>,
    frames: Vec<Frame>,
    /// The same, for the origins of all nodes made within them.
    shared_frames: Option<Arc<[Frame]>>,
    names: Names,
    /// What is written in the bodies of blocks and in named expressions, by their places.
    counts: HashMap<Span, naming::Count>,
    origins: Origins,
    /// Paths of parameters and states.
    keys: BTreeSet<String>,
    /// Paths that were asked for again, and where.
    doubled: Vec<(String, Span)>,
    /// How often a path was wanted again.
    again: BTreeMap<String, usize>,
    /// Which names of layers in selectors stand for something.
    layers_known: BTreeMap<String, bool>,
    /// Signatures of blocks, by where they are named, and of built-in functions.
    signatures: HashMap<Span, Rc<Signature>>,
    builtins: BTreeMap<String, Rc<Signature>>,
    /// What operators that keep nothing make of a patch, by their definitions and constants.
    bodies: HashMap<(Span, String), ScalarFn>,
    /// Operators' bodies, simplified, and what became of those: most layers share one.
    simplified: HashMap<ScalarFn, ScalarFn>,
    forms: HashMap<ScalarFn, operator::Form>,
    unnamed: usize,
    /// While the body of an optimizer is unfolded.
    update: Option<update::Update>,
    /// While a rate is unfolded, in which schedules may be named: the iterations of the run, where they are known.
    scheduled: Option<Option<u64>>,
    /// Whether an update depends on how many there will be.
    length_matters: bool,
    /// Calls of the prelude's blocks that are being unfolded, outermost first.
    passed: Vec<source::Passed>,
    /// By node of training: whether its first axis is the batch.
    batched: Vec<bool>,
    /// The `if training` around what is unfolded, and whether it is the branch of training.
    modes: Vec<(Span, bool)>,
    /// Filters whose window no param changes.
    fixed_windows: BTreeSet<ParamId>,
    /// What is shared, by its path, and the uses of it around what is unfolded.
    sharing: sharing::Sharing,
    /// How many draws of random numbers each path has.
    draws: BTreeMap<String, usize>,
    reported: BTreeSet<(Code, Span)>,
    /// The first place whose mistake another place must report.
    unsaid: Option<Span>,
    budget: budget::Budget,
    model_span: Span,
    /// What the recipe gives the model as its input, to be used by `input`.
    feed: Option<input::Feed>,
    input: Option<(Span, ast::Ident)>,
    /// By what images of a batch are mixed, once they are.
    mixed: Option<mix::Mixed>,
    /// Whether the input was reported to differ from the images of the data set.
    input_differs: bool,
    output: Output,
    /// The first `output` statement without a name that was reached.
    output_span: Option<Span>,
    /// Those with a name.
    named: Vec<outputs::Named>,
    /// Whether a loss asks the model's own output for classes.
    classifies: bool,
    /// The label that a loss of the model's output leaves out.
    ignored: Option<i64>,
    /// While a line of the recipe that names losses or metrics is unfolded.
    objective: Option<objective::Objective>,
}

impl<'a> Lowering<'a> {
    fn new(
        items: &'a Items,
        sources: &'a Sources,
        settings: &'a Settings,
        sink: &'a mut Sink,
        resolved: resolve::Resolved,
    ) -> Self {
        Self {
            items,
            sources,
            settings,
            sink,
            index: resolved.index,
            graph: Graph::new(""),
            endless: resolved.endless,
            lost: resolved.lost,
            params: BTreeMap::new(),
            data: settings.data.clone(),
            data_bytes: None,
            batch: 1,
            iterations: None,
            scopes: Vec::new(),
            floor: 0,
            pool: None,
            building: None,
            trace: None,
            allowed: items.trains.iter().flat_map(|it| recipe::allowed(it)).collect(),
            studied: BTreeSet::new(),
            calls: Vec::new(),
            running: Vec::new(),
            heads: Vec::new(),
            frames: Vec::new(),
            shared_frames: None,
            names: Names::default(),
            counts: HashMap::new(),
            origins: Origins::default(),
            keys: BTreeSet::new(),
            doubled: Vec::new(),
            again: BTreeMap::new(),
            layers_known: BTreeMap::new(),
            signatures: HashMap::new(),
            builtins: BTreeMap::new(),
            bodies: HashMap::new(),
            simplified: HashMap::new(),
            forms: HashMap::new(),
            unnamed: 0,
            update: None,
            scheduled: None,
            length_matters: false,
            passed: Vec::new(),
            batched: Vec::new(),
            modes: Vec::new(),
            fixed_windows: BTreeSet::new(),
            sharing: sharing::Sharing::default(),
            draws: BTreeMap::new(),
            reported: BTreeSet::new(),
            unsaid: None,
            budget: budget::Budget::default(),
            model_span: Span::default(),
            feed: None,
            input: None,
            mixed: None,
            input_differs: false,
            output: Output::Missing,
            output_span: None,
            named: Vec::new(),
            classifies: false,
            ignored: None,
            objective: None,
        }
    }

    /// The batch of the command line, which is a size like those of the file.
    fn read_batch(&mut self, main: FileId) {
        let Some(batch) = self.settings.batch else { return };
        let place = self.items.trains.first().map_or(Span::new(main, 0, 0), |it| it.keyword);
        let batch = self.sized(i64::try_from(batch).unwrap_or(i64::MAX), place, "`--batch`", 1);
        self.batch = batch.unwrap_or(1);
    }

    /// The one model of the file; a library has none and needs none.
    fn the_model(&mut self, main: FileId) -> Option<Rc<ast::Model>> {
        let items = self.items;
        let Some(model) = items.models.first() else {
            // A file that did not parse may well hold one.
            if !self.sink.has_errors() && !items.is_library() {
                self.report(
                    Diagnostic::new(Code::E0201, Span::new(main, 0, 0), "the file has no model")
                        .label("nothing here can be compiled")
                        .help("add `model Name { input image: u8[32, 32, 3] ... output ... }`"),
                );
            }
            return None;
        };
        for other in &items.models[1..] {
            self.report(
                Diagnostic::new(Code::E0201, other.name.span, "a file describes one model")
                    .label("a second model")
                    .also(model.name.span, "the first model is here")
                    .help("move one of them to a file of its own; blocks can be shared by `import`"),
            );
        }
        Some(model.clone())
    }

    fn unfold(&mut self, model: &ast::Model, basis: Option<&recipe::Basis>) {
        self.model_span = model.name.span;
        self.feed = basis.and_then(|it| self.feed(it));
        self.names.enter_model(model.name.span);
        let value = self.body(&model.body);
        self.names.leave();
        if self.is_exhausted() {
            return self.lost_output();
        }
        if self.input.is_none() {
            let [h, w, c] = self.data.as_ref().map_or([32, 32, 3], |it| it.image);
            self.sink.push(
                Diagnostic::new(Code::E0201, model.name.span, format!("model `{}` has no `input`", model.name.name))
                    .label("nothing goes into this model")
                    .help(format!("add as the first statement: `input image: u8[{h}, {w}, {c}]`")),
            );
        }
        if matches!(self.output, Output::Missing) && !value.is_error() {
            let mut report =
                Diagnostic::new(Code::E0201, model.name.span, format!("model `{}` has no `output`", model.name.name))
                    .label("this model cannot be trained");
            if let (Value::Tensor(_), Some(last)) = (&value, model.body.stmts.last()) {
                report = report.also(last.span, "this value is not used").fix(
                    "write `output` before the last expression",
                    Span { end: last.span.start, ..last.span },
                    "output ",
                );
            } else {
                report = report.help("add as the last statement: `output x`");
            }
            self.sink.push(report);
        }
    }

    /// Takes a report. The passes of a loop and the calls of a block make one mistake once, whatever
    /// the values were: one report for a code and a place.
    fn report(&mut self, mut report: Diagnostic) {
        if self.allowed.contains(&report.code) && report.severity() == Severity::Warning {
            return;
        }
        // What goes wrong inside of the prelude is the mistake of whoever called it.
        if report.primary.span.file == self.items.prelude
            && let Some(&call) = self.calls.iter().find(|it| it.file != self.items.prelude)
        {
            let inner = std::mem::replace(&mut report.primary, Label { span: call, text: "in this call".to_owned() });
            // What the prelude asserts says all there is to say.
            if report.code != Code::E0110 {
                report.secondary.insert(0, inner);
            }
        }
        if self.reported.insert((report.code, report.primary.span)) {
            self.sink.push(report);
        }
    }

    fn report_all(&mut self, reports: impl IntoIterator<Item = Diagnostic>) {
        reports.into_iter().for_each(|it| self.report(it));
    }

    /// A report with the loops and calls around it.
    fn at(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        let mut report = Diagnostic::new(code, span, message);
        // Of many, the outermost and the innermost tell the way.
        const SHOWN: usize = 4;
        for (at, frame) in self.frames.iter().enumerate() {
            let seen = frame.span != span && frame.span.file != self.items.prelude;
            if seen && (at < SHOWN || self.frames.len() - SHOWN <= at) {
                report = report.also(frame.span, &*frame.text);
            }
        }
        report
    }

    /// Where nodes made by `span` come from.
    fn origin(&mut self, span: Span) -> OriginId {
        let span = self.users_place(span);
        // What is lost is no layer's.
        let layer = if self.objective.is_some() { "" } else { self.names.path() };
        let frames = self.shared_frames.get_or_insert_with(|| self.frames.as_slice().into()).clone();
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
    fn node(&mut self, op: Op, operands: &[&Tensor], span: Span) -> Tensor {
        let cost = 20 + 5 * self.frames.len() as u64;
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

    /// Whether the tensor's shape is known.
    fn known(&self, tensor: &Tensor) -> bool {
        *self.graph.fact(tensor.train) != Fact::Unknown
    }

    /// Goes into a loop's pass or a block's call.
    fn enter_frame(&mut self, span: Span, text: String) {
        self.frames.push(Frame { span, text: text.into() });
        self.shared_frames = None;
    }

    fn leave_frame(&mut self) {
        self.frames.pop();
        self.shared_frames = None;
    }

    /// The parameter `layer/name`.
    #[allow(clippy::too_many_arguments, reason = "these are the fields of a parameter")]
    fn param(
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
        let path = self.free(path, span);
        let origin = self.origin(span);
        let (layer, operator) = (layer.to_owned(), operator.to_owned());
        let id = self.graph.add_param(Param { path, shape, init, role, layer, operator, origin });
        self.node(Op::Param(id), &[], span)
    }

    /// The state `layer/name`.
    fn state(&mut self, layer: &str, name: &str, shape: Shape, init: f64, span: Span) -> (StateId, Tensor) {
        let path = format!("{layer}/{name}");
        if let Some(known) = self.shared_state(&path, &shape, init, span) {
            return known;
        }
        let path = self.free(path, span);
        let origin = self.origin(span);
        let (role, never_negative) = (StateRole::Running, false);
        let id = self.graph.add_state(State { path, shape, dtype: DType::Real, init, role, never_negative, origin });
        (id, self.node(Op::State(id), &[], span))
    }

    fn effect(&mut self, phase: Phase, update: NodeId) {
        self.graph.effects.entry(phase).or_default().push(update);
    }
}
