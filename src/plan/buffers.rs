//! Gives places numbers: parameters and states first, then what is bound from outside, constants, and
//! the arena of each phase.

use super::arena::{self, Slot};
use super::schedule::{self, Schedule, Step, VirtualBuffer};
use super::{Buffer, BufferId, BufferKind, Config, Launch, PhasePlan, StateInfo, bf16_storage, horizontal, units};
use crate::fuse::Fused;
use crate::ir::op::Scalar64;
use crate::ir::{DType, Fill, NodeId, Op, ParamId, Precision, Shape, StateId, Target};
use crate::kernel::{KernelSpec, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Buffers and kernels of a plan under construction.
pub(super) struct Table<'a> {
    fused: &'a Fused,
    config: &'a Config<'a>,
    pub(super) buffers: Vec<Buffer>,
    pub(super) kernels: Vec<KernelSpec>,
    pub(super) arena_bytes: usize,
    /// What lies in the arena in 16 bits, in the phase at hand.
    in_bf16: BTreeSet<VirtualBuffer>,
    known_kernels: HashMap<KernelSpec, usize>,
    leaves: HashMap<NodeId, BufferId>,
    consts: HashMap<(Fill, Shape), BufferId>,
}

impl<'a> Table<'a> {
    /// With a buffer for every parameter and state, used or not.
    pub(super) fn new(fused: &'a Fused, config: &'a Config<'a>) -> Self {
        let graph = fused.typed.graph();
        let params = graph.params.iter().map(|it| Buffer {
            name: it.path.clone(),
            kind: BufferKind::Param(it.init),
            shape: it.shape.clone(),
            dtype: DType::Real,
            line: (config.line)(it.origin),
        });
        let states = graph.states.iter().map(|it| Buffer {
            name: it.path.clone(),
            kind: BufferKind::State(StateInfo { start: it.init, role: it.role, never_negative: it.never_negative }),
            shape: it.shape.clone(),
            dtype: it.dtype,
            line: (config.line)(it.origin),
        });
        Table {
            fused,
            config,
            buffers: params.chain(states).collect(),
            kernels: Vec::new(),
            arena_bytes: 0,
            in_bf16: BTreeSet::new(),
            known_kernels: HashMap::new(),
            leaves: HashMap::new(),
            consts: HashMap::new(),
        }
    }

    fn target(&self, target: Target) -> BufferId {
        match target {
            Target::Param(ParamId(at)) => BufferId(at),
            Target::State(StateId(at)) => BufferId(self.fused.typed.params.len() as u32 + at),
        }
    }

    fn push(&mut self, buffer: Buffer) -> BufferId {
        self.buffers.push(buffer);
        BufferId(self.buffers.len() as u32 - 1)
    }

    fn leaf(&mut self, id: NodeId) -> BufferId {
        if let Some(&known) = self.leaves.get(&id) {
            return known;
        }
        let graph = self.fused.typed.graph();
        let found = match (self.fused.storage.number(id), graph.op(id)) {
            (Some(number), _) => self.constant(Fill::Value(Scalar64(number)), graph.shape(id)),
            (None, Op::Const { fill, shape }) => self.constant(fill.clone(), shape),
            (None, Op::Param(it)) => self.target(Target::Param(*it)),
            (None, Op::State(it)) => self.target(Target::State(*it)),
            (None, Op::Input { source, shape, dtype }) => self.push(Buffer {
                name: match source {
                    crate::ir::Extern::Named(name) => name.clone(),
                    other => format!("{other:?}"),
                },
                kind: BufferKind::Extern(source.clone()),
                shape: shape.clone(),
                dtype: *dtype,
                line: (self.config.line)(graph.origin_id(id)),
            }),
            (None, op) => panic!("{op:?} is not a leaf\n{graph}"),
        };
        self.leaves.insert(id, found);
        found
    }

    fn constant(&mut self, fill: Fill, shape: &Shape) -> BufferId {
        let key = (fill, shape.clone());
        if let Some(&known) = self.consts.get(&key) {
            return known;
        }
        let name = match &key.0 {
            Fill::Value(value) => format!("{:?}", value.0),
            Fill::Eye => "identity".to_owned(),
            Fill::Range => "range".to_owned(),
            Fill::List(numbers) => format!("list of {}", numbers.len()),
        };
        let kind = BufferKind::Const(key.0.clone());
        let buffer = Buffer { name, kind, shape: shape.clone(), dtype: DType::Real, line: String::new() };
        let id = self.push(buffer);
        self.consts.insert(key, id);
        id
    }

    fn kernel(&mut self, spec: KernelSpec) -> usize {
        let next = self.kernels.len();
        let at = *self.known_kernels.entry(spec.clone()).or_insert(next);
        if at == next {
            self.kernels.push(spec);
        }
        at
    }

    /// Lays one phase out.
    pub(super) fn phase(&mut self, mut schedule: Schedule) -> PhasePlan {
        if self.config.precision == Precision::Bf16 {
            self.in_bf16 = bf16_storage::choose(&mut schedule, self.fused.typed.graph());
        }
        horizontal::join(&mut schedule, self.fused.typed.graph());
        let lives = Lives::of(&schedule);
        let shared = self.shared_slots(&schedule, &lives);
        let mut slots: Vec<Slot> = Vec::new();
        let mut slot_of: BTreeMap<VirtualBuffer, usize> = BTreeMap::new();
        // Places come in order of their first launch, so a slot exists before another place takes it over.
        for &place in &lives.by_first {
            let (first, last) = lives.span[&place];
            let at = match shared.get(&place) {
                Some(from) => slot_of[from],
                None => {
                    slots.push(Slot { first, last, bytes: self.bytes(place) });
                    slots.len() - 1
                }
            };
            slots[at].last = slots[at].last.max(last);
            slot_of.insert(place, at);
        }
        units::keep_apart(&schedule.steps, &mut slots);
        let (offsets, end) = arena::place(&slots);
        self.arena_bytes = self.arena_bytes.max(end);
        let mut numbers: BTreeMap<VirtualBuffer, BufferId> = BTreeMap::new();
        for &place in &lives.by_first {
            let buffer = self.arena_buffer(place, offsets[slot_of[&place]]);
            numbers.insert(place, self.push(buffer));
        }
        let number = |table: &mut Self, place: VirtualBuffer| match place {
            VirtualBuffer::Leaf(id) => table.leaf(id),
            VirtualBuffer::Target(target) => table.target(target),
            VirtualBuffer::Value(_) | VirtualBuffer::Before(_) | VirtualBuffer::Bf16Copy(_) => numbers[&place],
        };
        let mut launches = Vec::with_capacity(schedule.steps.len());
        for Step { spec, inputs, outputs, nodes } in schedule.steps {
            launches.push(Launch {
                layer: self.layer(&nodes),
                inputs: inputs.into_iter().map(|it| number(self, it)).collect(),
                outputs: outputs.into_iter().map(|it| number(self, it)).collect(),
                kernel: self.kernel(spec),
            });
        }
        let results = schedule.results.into_iter().map(|(key, it)| (key, number(self, it))).collect();
        PhasePlan { launches, results }
    }

    /// The layer that all of these belong to, if there is one.
    fn layer(&self, nodes: &[NodeId]) -> String {
        let graph = self.fused.typed.graph();
        let mut layers = nodes.iter().map(|it| &graph.origin_of(graph.origin_id(*it)).layer);
        let first = layers.next().cloned().unwrap_or_default();
        if layers.all(|it| *it == first) { first } else { String::new() }
    }

    fn node(place: VirtualBuffer) -> NodeId {
        match place {
            VirtualBuffer::Leaf(id)
            | VirtualBuffer::Value(id)
            | VirtualBuffer::Before(id)
            | VirtualBuffer::Bf16Copy(id) => id,
            VirtualBuffer::Target(_) => unreachable!("targets lie outside the arena"),
        }
    }

    fn bytes(&self, place: VirtualBuffer) -> usize {
        let graph = self.fused.typed.graph();
        let id = Self::node(place);
        graph.shape(id).len() * self.config.precision.bytes(self.dtype(place))
    }

    fn dtype(&self, place: VirtualBuffer) -> DType {
        if self.in_bf16.contains(&place) {
            return DType::Bf16;
        }
        crate::kernel::dtype(self.fused.typed.graph(), Self::node(place))
    }

    fn arena_buffer(&self, place: VirtualBuffer, offset: usize) -> Buffer {
        let graph = self.fused.typed.graph();
        let id = Self::node(place);
        let what = match place {
            VirtualBuffer::Before(_) => "old value",
            VirtualBuffer::Bf16Copy(_) => "bf16 copy",
            _ => crate::fuse::name(graph.op(id)),
        };
        let origin = graph.origin_id(id);
        let layer = &graph.origin_of(origin).layer;
        let name = if layer.is_empty() { format!("{what} %{}", id.0) } else { format!("{layer}: {what} %{}", id.0) };
        Buffer {
            name,
            kind: BufferKind::Arena { offset },
            shape: graph.shape(id).clone(),
            dtype: self.dtype(place),
            line: (self.config.line)(origin),
        }
    }

    /// Results that take over the memory of an operand which dies in the same launch: by result, the
    /// operand. Only where the kernel reads it exactly where it writes.
    fn shared_slots(&self, schedule: &Schedule, lives: &Lives) -> BTreeMap<VirtualBuffer, VirtualBuffer> {
        let mut shared = BTreeMap::new();
        for (at, step) in schedule.steps.iter().enumerate() {
            let KernelSpec::Map(kernel) = &step.spec else { continue };
            let dense = schedule::dense(&kernel.dims);
            let mut free: Vec<VirtualBuffer> = Vec::new();
            for (&place, input) in step.inputs.iter().zip(&kernel.inputs) {
                let dies = lives.span.get(&place).is_some_and(|it| it.1 == at);
                let once = step.inputs.iter().filter(|&&it| it == place).count() == 1;
                if dies && once && input.strides == dense {
                    free.push(place);
                }
            }
            for (&place, output) in step.outputs.iter().zip(&kernel.outputs) {
                if output.store != Store::Full || !lives.span.contains_key(&place) {
                    continue;
                }
                // In f64 a whole number takes as much as a real one, but a kernel may hold it otherwise.
                let alike =
                    |it: VirtualBuffer| self.dtype(it) == self.dtype(place) && self.bytes(it) == self.bytes(place);
                if let Some(found) = free.iter().position(|&it| alike(it)) {
                    shared.insert(place, free.swap_remove(found));
                }
            }
        }
        shared
    }
}

/// Lifetimes of what lies in the arena.
struct Lives {
    /// First and last launch that touch it.
    span: BTreeMap<VirtualBuffer, (usize, usize)>,
    /// Places sorted by their first launch.
    by_first: Vec<VirtualBuffer>,
}

impl Lives {
    fn of(schedule: &Schedule) -> Lives {
        let mut span: BTreeMap<VirtualBuffer, (usize, usize)> = BTreeMap::new();
        let in_arena = |it: &&VirtualBuffer| {
            matches!(it, VirtualBuffer::Value(_) | VirtualBuffer::Before(_) | VirtualBuffer::Bf16Copy(_))
        };
        for (at, step) in schedule.steps.iter().enumerate() {
            for &place in step.inputs.iter().chain(&step.outputs).filter(in_arena) {
                span.entry(place).or_insert((at, at)).1 = at;
            }
        }
        // Results stay.
        for place in schedule.results.values().filter(in_arena) {
            if let Some(it) = span.get_mut(place) {
                it.1 = schedule.steps.len();
            }
        }
        let mut by_first: Vec<VirtualBuffer> = span.keys().copied().collect();
        by_first.sort_by_key(|it| (span[it].0, *it));
        Lives { span, by_first }
    }
}
