//! The CPU backend: launches in order, each cut into tasks that do not depend on the number of
//! threads, so that any number of threads gives the same bits.
//!
//! A plan is checked once, at load (`check.rs`); kernels are compiled then, too, and all memory is
//! allocated. A run allocates next to nothing.

mod all_reduce;
mod assemble;
mod augment;
mod check;
mod conv;
mod horizontal;
mod isa;
mod kernel;
mod loss;
mod map;
mod mapped;
mod math;
mod matmul;
mod memory;
mod movement;
mod pool;
mod random;
mod real;
mod rows;
mod shards;
mod window;

use super::{Backend, Lent, RuntimeError};
use crate::ir::{Phase, Precision};
use crate::kernel::KernelSpec;
use crate::plan::{Buffer, BufferId, BufferKind, Launch, Memory, Plan};
pub(in crate::runtime) use shards::{CpuShards, Meet};

use isa::Isa;
use kernel::Kernel;
use memory::{Block, View};
use pool::{Pool, Scratch};
use real::Real;
use rows::Rows;
use shards::Aside;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Where a buffer's bytes are.
enum Backing {
    /// In the arena.
    Arena(usize),
    /// Its own memory.
    Own(Arc<Block>),
    /// Bound by the caller, who shares it.
    Lent(Lent),
    /// Not bound yet.
    Nowhere,
}

/// Runs a plan on the CPU.
pub struct CpuBackend {
    plan: Arc<Plan>,
    sizes: Vec<usize>,
    places: Vec<Backing>,
    arena: Block,
    kernels: Vec<Box<dyn Kernel>>,
    /// Launches of each phase that run as one, in order.
    rows: BTreeMap<Phase, Vec<Rows>>,
    pool: Arc<Pool>,
    isa: Isa,
    scratch: Scratch,
    /// Memory for what it would write over parameters and states that are another's, too.
    aside: Aside,
}

/// Which launches of a phase.
type Chosen<'a> = &'a (dyn Fn(usize) -> bool + Sync);

/// A plan that is checked, with its kernels.
struct Prepared {
    plan: Arc<Plan>,
    sizes: Vec<usize>,
    arena: Block,
    kernels: Vec<Box<dyn Kernel>>,
    rows: BTreeMap<Phase, Vec<Rows>>,
    scratch: Scratch,
}

impl CpuBackend {
    /// Checks a plan, compiles its kernels and allocates all memory. `threads` defaults to what the
    /// machine offers.
    pub fn new(plan: Arc<Plan>, threads: Option<usize>) -> Result<CpuBackend, RuntimeError> {
        Self::with_isa(plan, threads, Isa::detect())
    }

    /// Like [`CpuBackend::new`], but without the vector instructions that only some machines have.
    pub fn portable(plan: Arc<Plan>, threads: Option<usize>) -> Result<CpuBackend, RuntimeError> {
        Self::with_isa(plan, threads, Isa::Plain)
    }

    fn with_isa(plan: Arc<Plan>, threads: Option<usize>, isa: Isa) -> Result<CpuBackend, RuntimeError> {
        let prepared = Self::prepared(plan, isa)?;
        let threads = threads.filter(|it| 0 < *it).unwrap_or_else(available);
        let pool = Arc::new(Pool::new(threads, isa, prepared.scratch)?);
        Self::assembled(prepared, pool, isa, None)
    }

    /// Checks a plan and compiles its kernels.
    fn prepared(plan: Arc<Plan>, isa: Isa) -> Result<Prepared, RuntimeError> {
        let bad = |cause: String| RuntimeError::Plan { cause };
        let sizes = check::buffers(&plan).map_err(bad)?;
        // First what a batch is likely too large for: tables of kernels grow with it, too.
        let arena = Block::new(plan.arena_bytes, "activations and gradients")?;
        let kernels = kernels(&plan, isa).map_err(bad)?;
        for launch in plan.phases.values().flat_map(|it| &it.launches) {
            let Some(kernel) = kernels.get(launch.kernel) else {
                return Err(bad(format!("a launch of kernel {}, which is not there", launch.kernel)));
            };
            debug_assert!(agrees(&plan.kernels[launch.kernel], kernel.as_ref()), "{:?}", plan.kernels[launch.kernel]);
            check::launch(&plan, &sizes, launch, kernel.as_ref()).map_err(bad)?;
        }
        let rows = rows(&plan);
        let scratch = scratch(&kernels, &rows);
        Ok(Prepared { plan, sizes, arena, kernels, rows, scratch })
    }

    /// Allocates all memory; parameters and states are those of another backend, if one is given.
    fn assembled(
        prepared: Prepared,
        pool: Arc<Pool>,
        isa: Isa,
        lead: Option<&CpuBackend>,
    ) -> Result<CpuBackend, RuntimeError> {
        let Prepared { plan, sizes, arena, kernels, rows, scratch } = prepared;
        let places = plan
            .buffers
            .iter()
            .zip(&sizes)
            .map(|(buffer, &bytes)| {
                Ok(match buffer.kind {
                    BufferKind::Extern(_) => Backing::Nowhere,
                    BufferKind::Param(_) | BufferKind::State(_) | BufferKind::Const(_) => {
                        let shared = lead.and_then(|it| it.kept(buffer, bytes));
                        Backing::Own(shared.map_or_else(|| Block::new(bytes, &buffer.name).map(Arc::new), Ok)?)
                    }
                    // Beside its neighbours in the arena, nothing would see that a kernel reaches beyond it.
                    BufferKind::Arena { .. } if cfg!(sanitized) => {
                        Backing::Own(Arc::new(Block::new(bytes, &buffer.name)?))
                    }
                    BufferKind::Arena { offset } => Backing::Arena(offset),
                })
            })
            .collect::<Result<Vec<Backing>, RuntimeError>>()?;
        Ok(CpuBackend { plan, sizes, places, arena, kernels, rows, pool, isa, scratch, aside: Aside::default() })
    }

    /// The memory of a parameter or state of this name and size.
    fn kept(&self, buffer: &Buffer, bytes: usize) -> Option<Arc<Block>> {
        let same = |it: &Buffer| match (&it.kind, &buffer.kind) {
            (BufferKind::Param(_), BufferKind::Param(_)) | (BufferKind::State(_), BufferKind::State(_)) => {
                it.name == buffer.name
            }
            _ => false,
        };
        let at = self.plan.buffers.iter().position(same).filter(|it| self.sizes[*it] == bytes)?;
        if let Backing::Own(block) = &self.places[at] { Some(block.clone()) } else { None }
    }

    /// What it runs.
    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Bytes of working memory, besides the arena.
    pub fn workspace_bytes(&self) -> usize {
        self.scratch.shared + self.scratch.thread * self.pool.threads()
    }

    fn view(&self, id: BufferId) -> Option<View> {
        let at = id.0 as usize;
        let start = match self.places.get(at)? {
            Backing::Arena(offset) => self.arena.start().wrapping_add(*offset),
            Backing::Own(block) => block.start(),
            // Launches never write what is lent: `check` refuses externs as outputs.
            Backing::Lent(bytes) => (**bytes).as_ref().as_ptr().cast_mut(),
            Backing::Nowhere => return None,
        };
        Some(View { start, bytes: self.sizes[at] })
    }

    fn unbound(&self, id: BufferId) -> RuntimeError {
        let at = id.0 as usize;
        let name = self.plan.buffers.get(at).map_or_else(String::new, |it| it.name.clone());
        RuntimeError::Size { name, expected: self.sizes.get(at).copied().unwrap_or(0), found: 0 }
    }

    fn fits(&self, id: BufferId, found: usize) -> Result<usize, RuntimeError> {
        let at = id.0 as usize;
        match self.sizes.get(at) {
            Some(&size) if size == found => Ok(at),
            Some(&expected) => Err(RuntimeError::Size { name: self.plan.buffers[at].name.clone(), expected, found }),
            None => Err(RuntimeError::Size { name: format!("buffer {at}"), expected: 0, found }),
        }
    }

    /// The launches of a phase.
    fn all(&self, phase: Phase) -> Range<usize> {
        0..self.plan.phases.get(&phase).map_or(0, |it| it.launches.len())
    }

    /// Where buffers lie, if not aside.
    fn views<'a>(
        &self,
        ids: &[BufferId],
        aside: impl Fn(BufferId) -> Option<&'a Block>,
    ) -> Result<Vec<View>, RuntimeError> {
        let place = |&id: &BufferId| {
            let own = aside(id).map(|it| View { start: it.start(), bytes: self.sizes[id.0 as usize] });
            own.or_else(|| self.view(id)).ok_or_else(|| self.unbound(id))
        };
        ids.iter().map(place).collect()
    }

    /// Runs those of some launches of a phase that are wanted; `around` is given each and must call it once. Those that run as
    /// one are one, if all of them may be `joined`.
    fn run_some(
        &mut self,
        phase: Phase,
        which: Range<usize>,
        joined: Chosen<'_>,
        wanted: Chosen<'_>,
        mut around: impl FnMut(&mut dyn FnMut()) + Send,
    ) -> Result<(), RuntimeError> {
        let Some(plan) = self.plan.phases.get(&phase) else { return Ok(()) };
        let first = which.start;
        let launches = plan
            .launches
            .get(which)
            .unwrap_or_default()
            .iter()
            .zip(first..)
            .map(|(it, at)| {
                let outputs = self.views(&it.outputs, |id| self.aside.written(id))?;
                let inputs = self.views(&it.inputs, |id| self.aside.read(phase, at, id))?;
                Ok((&self.kernels[it.kernel], inputs, outputs))
            })
            .collect::<Result<Vec<_>, RuntimeError>>()?;
        let together = self.rows.get(&phase).map(Vec::as_slice).unwrap_or_default();
        let end = first + launches.len();
        let own = |it: &&Rows| first <= it.launches.start && it.launches.end <= end && it.launches.clone().all(joined);
        self.pool.run(self.plan.seed, |context| {
            let (mut at, mut together) = (0, together.iter().filter(own));
            let mut next = together.next();
            while let Some((kernel, inputs, outputs)) = launches.get(at) {
                if let Some(rows) = next.filter(|it| it.launches.start == first + at) {
                    let these = rows.launches.start - first..rows.launches.end - first;
                    let operands =
                        launches[these.clone()].iter().map(|(_, inputs, outputs)| (&inputs[..], &outputs[..]));
                    let operands: Vec<(&[View], &[View])> = operands.collect();
                    // SAFETY: as below; `rows` looked at what the launches do to each other.
                    around(&mut || unsafe { rows.run(context, &operands) });
                    (at, next) = (these.end, together.next());
                    continue;
                }
                if wanted(first + at) {
                    // SAFETY: `new` checked every launch against its kernel, launches run one after another,
                    // and the backend is borrowed exclusively.
                    around(&mut || unsafe { kernel.run(context, inputs, outputs) });
                }
                at += 1;
            }
        });
        Ok(())
    }
}

impl Backend for CpuBackend {
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError> {
        let at = self.fits(buffer, bytes.len())?;
        if matches!(self.places[at], Backing::Nowhere | Backing::Lent(_)) {
            self.places[at] = Backing::Own(Arc::new(Block::new(bytes.len(), &self.plan.buffers[at].name)?));
        }
        let view = self.view(buffer).ok_or_else(|| self.unbound(buffer))?;
        // SAFETY: nothing runs, since `run` borrows the backend as well.
        unsafe { view.shared::<u8>().part(0, bytes.len()) }.copy_from_slice(bytes);
        Ok(())
    }

    fn share(&mut self, buffer: BufferId, bytes: Lent) -> Result<(), RuntimeError> {
        let all = (*bytes).as_ref();
        let at = self.fits(buffer, all.len())?;
        let aligned = all.as_ptr().align_offset(8) == 0;
        if !aligned || !matches!(self.plan.buffers[at].kind, BufferKind::Extern(_)) {
            return self.write(buffer, all);
        }
        self.places[at] = Backing::Lent(bytes);
        Ok(())
    }

    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        let view = self.view(buffer).ok_or_else(|| self.unbound(buffer))?;
        // SAFETY: nothing runs, since `run` borrows the backend as well.
        Ok(unsafe { view.slice::<u8>() }.to_vec())
    }

    fn look(&self, buffer: BufferId, see: &mut dyn FnMut(&[u8])) -> Result<(), RuntimeError> {
        let view = self.view(buffer).ok_or_else(|| self.unbound(buffer))?;
        // SAFETY: nothing runs, since `run` borrows the backend as well.
        see(unsafe { view.slice::<u8>() });
        Ok(())
    }

    fn run_one(&mut self, phase: Phase, launch: usize) -> Result<bool, RuntimeError> {
        self.run_some(phase, launch..launch + 1, &|_| false, &|_| true, |kernel| kernel())?;
        Ok(true)
    }

    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        self.run_some(phase, self.all(phase), &|_| true, &|_| true, |kernel| kernel())
    }

    fn measure(&mut self, phase: Phase) -> Result<Vec<f64>, RuntimeError> {
        let mut times = Vec::new();
        self.run_some(phase, self.all(phase), &|_| false, &|_| true, |kernel| {
            let start = Instant::now();
            kernel();
            times.push(start.elapsed().as_secs_f64());
        })?;
        Ok(times)
    }

    fn describe(&self) -> String {
        let threads = self.pool.threads();
        format!("CPU, {threads} thread{}, {}", if threads == 1 { "" } else { "s" }, self.isa.name())
    }
}

/// Whether a kernel asks for what its description says.
fn agrees(spec: &KernelSpec, kernel: &dyn Kernel) -> bool {
    let plain = |all: &[kernel::Operand]| -> Vec<_> { all.iter().map(|it| (it.dtype, it.len)).collect() };
    let said = |all: &[crate::kernel::Operand]| -> Vec<_> { all.iter().map(|it| (it.dtype, it.len)).collect() };
    let differs = |it: crate::kernel::Operands| {
        said(&it.inputs) != plain(&kernel.inputs()) || said(&it.outputs) != plain(&kernel.outputs())
    };
    !spec.operands().is_ok_and(differs)
}

/// Threads the machine offers.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Bytes that a thread comes to touch of its stack and of what the allocator keeps for it, as measured.
const THREAD: usize = 256 << 10;

/// Bytes that running a plan takes, besides its buffers: working memory and threads; 0 for a plan that cannot be run.
pub fn workspace(plan: &Plan, threads: Option<usize>) -> usize {
    let threads = threads.filter(|it| 0 < *it).unwrap_or_else(available);
    let (Ok(kernels), Ok(_)) = (kernels(plan, Isa::detect()), check::buffers(plan)) else { return 0 };
    let scratch = scratch(&kernels, &rows(plan));
    scratch.shared + (scratch.thread + THREAD) * threads
}

/// What a process comes to take beside buffers and working memory once it trains: the code that it touches, the lines of
/// its log, a picture of its curves; as measured.
const UNCOUNTED: usize = 4 << 20;

/// What running a plan takes besides its data, if that is more than `free` bytes.
pub fn too_much(plan: &Plan, threads: Option<usize>, free: usize) -> Option<Memory> {
    let memory = Memory { data: 0, program: UNCOUNTED, ..plan.memory() };
    if free < memory.total() {
        return Some(memory);
    }
    // Kernels make tables that grow with the batch, so their working memory is asked for when all else would fit.
    let memory = Memory { workspace: workspace(plan, threads), ..memory };
    (free < memory.total()).then_some(memory)
}

/// Refuses a plan that takes more memory than is free, as far as the system tells.
pub fn check_memory(plan: &Plan, threads: Option<usize>, what: &str) -> Result<(), RuntimeError> {
    let Some(free) = super::free_memory() else { return Ok(()) };
    match too_much(plan, threads, free.bytes) {
        None => Ok(()),
        Some(memory) => Err(RuntimeError::TooLarge {
            what: what.to_owned(),
            needed: memory.total(),
            free: free.bytes,
            bound: free.bound,
            remedy: "use a smaller `--batch`".to_owned(),
        }),
    }
}

fn kernels(plan: &Plan, isa: Isa) -> Result<Vec<Box<dyn Kernel>>, String> {
    let load = |(at, spec): (usize, &KernelSpec)| {
        let kernel = match plan.precision {
            Precision::F32 => load::<f32>(spec, isa),
            Precision::F64 => load::<f64>(spec, isa),
            Precision::Tf32 | Precision::Bf16 => return Err("the precisions tf32 and bf16 need a GPU".to_owned()),
        };
        kernel.map_err(|cause| format!("kernel {at}: {cause}"))
    };
    plan.kernels.iter().enumerate().map(load).collect()
}

/// The launches that run as one, of each phase.
fn rows(plan: &Plan) -> BTreeMap<Phase, Vec<Rows>> {
    let find = |launches: &[Launch]| match plan.precision.is_double() {
        true => rows::find::<f64>(plan, launches),
        false => rows::find::<f32>(plan, launches),
    };
    plan.phases.iter().map(|(&phase, it)| (phase, find(&it.launches))).collect()
}

/// Working memory that is enough for any of them.
fn scratch(kernels: &[Box<dyn Kernel>], rows: &BTreeMap<Phase, Vec<Rows>>) -> Scratch {
    let joined = rows.values().flatten().map(Rows::scratch);
    kernels.iter().map(|it| it.scratch()).chain(joined).fold(Scratch::default(), Scratch::max)
}

fn load<R: Real>(spec: &KernelSpec, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    match spec {
        KernelSpec::Conv(kernel) => conv::load::<R>(kernel, isa),
        KernelSpec::ConvMap { conv, map } => mapped::load::<R>(conv, map, isa),
        KernelSpec::MatMul(kernel) => matmul::load::<R>(kernel),
        KernelSpec::MatMuls(all) => horizontal::of(all.iter().map(matmul::load::<R>)),
        KernelSpec::Map(kernel) => map::load::<R>(kernel),
        KernelSpec::Maps(all) => horizontal::of(all.iter().map(map::load::<R>)),
        KernelSpec::Window { kind, geometry, n, input, output, .. } => {
            window::load::<R>(*kind, geometry, *n, *input, *output)
        }
        KernelSpec::Transpose { shape, perm, .. } => movement::transpose::<R>(shape, perm),
        KernelSpec::Assemble { dims, parts, .. } => assemble::load::<R>(dims, parts),
        KernelSpec::Gather { dtype, n, item } => movement::gather::<R>(*dtype, *n, item, &[]),
        KernelSpec::Augment { dtype, n, item, steps } => movement::gather::<R>(*dtype, *n, item, steps),
        &KernelSpec::Scatter { rows, n, item } => movement::scatter::<R>(rows, n, item),
        &KernelSpec::AllReduce { kind, len } => all_reduce::load::<R>(kind, len),
        KernelSpec::Loss { kind, n, classes } => loss::load::<R>(*kind, *n, *classes),
        KernelSpec::Random { kind, len, stream, first } => random::load::<R>(*kind, *len, *stream, *first),
    }
}
