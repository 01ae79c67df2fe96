//! A slow machine for plans, in f64 over bytes: what a launch means, without any speed. It poisons the
//! arena before every phase and refuses plans whose buffers are in each other's way.

use sphc::ir::{DType, Extern, Fill, Geometry, Init, Phase, Precision};
use sphc::kernel::{KernelSpec, MapKernel, Store};
use sphc::plan::{BufferId, BufferKind, Launch, Plan};
use sphc::verify::execute;
use std::collections::{BTreeMap, BTreeSet};

/// A plan with memory.
pub(crate) struct Machine {
    plan: Plan,
    arena: Vec<u8>,
    fixed: Vec<Vec<u8>>,
}

impl Machine {
    /// Memory as a session initialises it; the plan must be in f64.
    pub(crate) fn new(plan: Plan) -> Machine {
        assert_eq!(plan.precision, Precision::F64);
        check(&plan);
        let fixed = plan.buffers.iter().map(|it| match it.kind {
            BufferKind::Arena { .. } => Vec::new(),
            _ => vec![0; it.shape.len() * plan.precision.bytes(it.dtype)],
        });
        let mut res = Machine { arena: vec![0; plan.arena_bytes], fixed: fixed.collect(), plan };
        for at in 0..res.plan.buffers.len() {
            let buffer = res.plan.buffers[at].clone();
            let len = buffer.shape.len();
            let values: Vec<f64> = match &buffer.kind {
                BufferKind::Param(Init::Constant(it)) => vec![f64::from(it.0 as f32); len],
                BufferKind::Param(Init::Uniform(bound)) => {
                    let stream = sphc::ir::random::stream(&buffer.name);
                    let uniform = |it| sphc::ir::random::uniform_start(res.plan.seed, stream, it) * bound.0;
                    (0..len).map(|it| f64::from(uniform(it) as f32)).collect()
                }
                BufferKind::Param(Init::Normal(deviation)) => {
                    let stream = sphc::ir::random::stream(&buffer.name);
                    let normal = |it| sphc::ir::random::normal(res.plan.seed, stream, it) * deviation.0;
                    (0..len).map(|it| f64::from(normal(it) as f32)).collect()
                }
                BufferKind::Param(Init::Orthogonal(gain)) => {
                    let stream = sphc::ir::random::stream(&buffer.name);
                    let values = sphc::ir::start::orthogonal(&buffer.shape, gain.0, res.plan.seed, stream);
                    values.into_iter().map(|it| f64::from(it as f32)).collect()
                }
                BufferKind::Param(Init::Dirac) => sphc::ir::start::dirac(&buffer.shape),
                BufferKind::Param(Init::Whitening(it)) => it.filters(&buffer.shape, &mut std::iter::empty(), [0; 3]),
                BufferKind::State(it) => vec![it.start; len],
                BufferKind::Const(Fill::Value(it)) => vec![it.0; len],
                BufferKind::Const(Fill::Range) => (0..len).map(|it| it as f64).collect(),
                BufferKind::Const(Fill::List(numbers)) => numbers.iter().map(|it| it.0).collect(),
                BufferKind::Const(Fill::Eye) => {
                    let n = buffer.shape.0[0];
                    (0..len).map(|it| if it / n == it % n { 1.0 } else { 0.0 }).collect()
                }
                BufferKind::Extern(_) | BufferKind::Arena { .. } => continue,
            };
            res.store(BufferId(at as u32), &values);
        }
        res
    }

    /// Fills a buffer that is bound from outside, if the plan has it.
    pub(crate) fn bind(&mut self, source: &Extern, values: &[f64]) {
        let found = self.plan.buffers.iter().position(|it| it.kind == BufferKind::Extern(source.clone()));
        if let Some(at) = found {
            self.store(BufferId(at as u32), values);
        }
    }

    /// A parameter or state by path.
    pub(crate) fn read(&self, path: &str) -> Vec<f64> {
        let is_kept = |it: &BufferKind| matches!(it, BufferKind::Param(_) | BufferKind::State(_));
        let at = self.plan.buffers.iter().position(|it| is_kept(&it.kind) && it.name == path);
        self.load(BufferId(at.expect("the plan knows the path") as u32))
    }

    /// Replaces a parameter or state.
    pub(crate) fn write(&mut self, path: &str, values: &[f64]) {
        let is_kept = |it: &BufferKind| matches!(it, BufferKind::Param(_) | BufferKind::State(_));
        let at = self.plan.buffers.iter().position(|it| is_kept(&it.kind) && it.name == path);
        self.store(BufferId(at.expect("the plan knows the path") as u32), values);
    }

    /// Runs a phase and gives its results.
    pub(crate) fn run(&mut self, phase: Phase) -> BTreeMap<String, Vec<f64>> {
        self.arena.fill(0xff);
        let plan = self.plan.clone();
        let Some(phase) = plan.phases.get(&phase) else { return BTreeMap::new() };
        for launch in &phase.launches {
            let inputs: Vec<Vec<f64>> = launch.inputs.iter().map(|&it| self.load(it)).collect();
            let outputs = execute(&plan.kernels[launch.kernel], &inputs, plan.seed);
            assert_eq!(outputs.len(), launch.outputs.len());
            for (&buffer, values) in launch.outputs.iter().zip(&outputs) {
                self.store(buffer, values);
            }
        }
        phase.results.iter().map(|(key, &it)| (key.to_string(), self.load(it))).collect()
    }

    fn place(&self, id: BufferId) -> (DType, usize, Option<usize>) {
        let buffer = &self.plan.buffers[id.0 as usize];
        let bytes = buffer.shape.len() * self.plan.precision.bytes(buffer.dtype);
        match buffer.kind {
            BufferKind::Arena { offset } => (buffer.dtype, bytes, Some(offset)),
            _ => (buffer.dtype, bytes, None),
        }
    }

    fn load(&self, id: BufferId) -> Vec<f64> {
        let (dtype, bytes, offset) = self.place(id);
        let raw = match offset {
            Some(offset) => &self.arena[offset..offset + bytes],
            None => &self.fixed[id.0 as usize],
        };
        let eight = |it: &[u8]| <[u8; 8]>::try_from(it).expect("eight bytes");
        match dtype {
            DType::U8 => raw.iter().map(|&it| f64::from(it)).collect(),
            DType::U16 => {
                let two = |it: &[u8]| <[u8; 2]>::try_from(it).expect("two bytes");
                raw.chunks(2).map(|it| f64::from(u16::from_ne_bytes(two(it)))).collect()
            }
            DType::Bf16 => panic!("no tensor of a graph has 16 bits"),
            DType::Int => raw.chunks(8).map(|it| i64::from_ne_bytes(eight(it)) as f64).collect(),
            DType::Real => raw.chunks(8).map(|it| f64::from_ne_bytes(eight(it))).collect(),
        }
    }

    fn store(&mut self, id: BufferId, values: &[f64]) {
        let (dtype, bytes, offset) = self.place(id);
        let raw: Vec<u8> = match dtype {
            DType::U8 => values.iter().map(|&it| it as u8).collect(),
            DType::U16 => values.iter().flat_map(|&it| (it as u16).to_ne_bytes()).collect(),
            DType::Bf16 => panic!("no tensor of a graph has 16 bits"),
            DType::Int => values.iter().flat_map(|&it| (it as i64).to_ne_bytes()).collect(),
            DType::Real => values.iter().flat_map(|it| it.to_ne_bytes()).collect(),
        };
        assert_eq!(raw.len(), bytes, "{:?}", self.plan.buffers[id.0 as usize]);
        match offset {
            Some(offset) => self.arena[offset..offset + bytes].copy_from_slice(&raw),
            None => self.fixed[id.0 as usize] = raw,
        }
    }
}

/// Refuses plans whose buffers are in each other's way.
pub(crate) fn check(plan: &Plan) {
    for phase in plan.phases.values() {
        for launch in &phase.launches {
            check_launch(plan, launch);
        }
        let mut span: BTreeMap<BufferId, (usize, usize)> = BTreeMap::new();
        for (at, launch) in phase.launches.iter().enumerate() {
            launch.outputs.iter().for_each(|&it| span.entry(it).or_insert((at, at)).1 = at);
            launch.inputs.iter().for_each(|&it| span.entry(it).or_insert((at, at)).1 = at);
        }
        for it in phase.results.values() {
            span.entry(*it).or_default().1 = phase.launches.len();
        }
        let arena: Vec<(BufferId, (usize, usize))> =
            span.into_iter().filter(|it| range(plan, it.0).is_some()).collect();
        for (at, (a, lives_a)) in arena.iter().enumerate() {
            for (b, lives_b) in &arena[..at] {
                // One may take over from the other inside of a launch; `check_launch` sees to that.
                let apart =
                    lives_a.1 <= lives_b.0 && lives_a.0 < lives_b.0 || lives_b.1 <= lives_a.0 && lives_b.0 < lives_a.0;
                assert!(apart || !meet(plan, *a, *b), "{a:?} and {b:?} share memory at the same time");
            }
        }
    }
}

fn range(plan: &Plan, id: BufferId) -> Option<(usize, usize)> {
    let buffer = &plan.buffers[id.0 as usize];
    let BufferKind::Arena { offset } = buffer.kind else { return None };
    assert_eq!(offset % 64, 0);
    let end = offset + buffer.shape.len() * plan.precision.bytes(buffer.dtype);
    assert!(end <= plan.arena_bytes);
    Some((offset, end))
}

fn meet(plan: &Plan, a: BufferId, b: BufferId) -> bool {
    match (range(plan, a), range(plan, b)) {
        (Some(x), Some(y)) => x.0 < y.1 && y.0 < x.1,
        _ => a == b,
    }
}

/// The map of many that has both this input and this output, and their numbers there.
fn member(all: &[MapKernel], mut input: usize, mut output: usize) -> (&MapKernel, usize, usize) {
    for map in all {
        if input < map.inputs.len() && output < map.outputs.len() {
            return (map, input, output);
        }
        input = input.checked_sub(map.inputs.len()).expect("maps of a launch touch nothing of each other's results");
        output = output.checked_sub(map.outputs.len()).expect("maps of a launch touch nothing of each other's results");
    }
    panic!("a launch with too many operands");
}

fn check_launch(plan: &Plan, launch: &Launch) {
    let spec = &plan.kernels[launch.kernel];
    let distinct: BTreeSet<BufferId> = launch.outputs.iter().copied().collect();
    assert_eq!(distinct.len(), launch.outputs.len());
    for (at, &output) in launch.outputs.iter().enumerate() {
        assert!(launch.outputs[..at].iter().all(|&it| !meet(plan, it, output)), "two results in one place");
        for (position, &input) in launch.inputs.iter().enumerate().filter(|it| meet(plan, *it.1, output)) {
            let (kernel, position, at) = match spec {
                KernelSpec::Map(kernel) => (kernel, position, at),
                KernelSpec::Maps(all) => member(all, position, at),
                _ => panic!("{spec:?} works in place"),
            };
            let same = range(plan, input) == range(plan, output);
            let mut dense = vec![0; kernel.dims.len()];
            let mut step = 1;
            for (to, &extent) in dense.iter_mut().zip(&kernel.dims).rev() {
                *to = if extent == 1 { 0 } else { step };
                step *= extent;
            }
            let alike = kernel.inputs[position].strides == dense && kernel.outputs[at].store == Store::Full;
            assert!(same && alike, "launch reads {input:?} while it overwrites it");
        }
    }
}

/// Windows that keep the size.
pub(crate) fn same(size: [usize; 2], kernel: usize) -> Geometry {
    Geometry::same(size, [kernel; 2], [1; 2])
}
