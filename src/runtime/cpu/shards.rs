//! The shards of a batch that one process has: a plan for each, with activations of its own, over the same parameters.
//!
//! A phase is cut where the shards meet (`Op::AllReduce`). Up to there each shard runs its launches, one shard after the
//! other on all threads; then what they made is added up, by halves, and given to all. The first shard goes last and does the
//! whole phase: it alone moves parameters and states, and tells results. The others do what their parts of the sums need.

use super::all_reduce::{combined, joined};
use super::isa::Isa;
use super::memory::{Block, View};
use super::pool::Pool;
use super::{CpuBackend, available};
use crate::ir::{Across, Phase};
use crate::kernel::KernelSpec;
use crate::plan::{BufferId, BufferKind, Plan};
use crate::runtime::RuntimeError;
use crate::runtime::cpu::pool::Scratch;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Exchanges what the shards of a process made with those of the others.
pub(in crate::runtime) trait Meet {
    /// Replaces a process's bytes by another's, whose number differs from its own in one bit: `None` if there is none.
    fn swap(&mut self, bit: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<bool, RuntimeError>;
}

/// Launches up to where the shards meet, and that launch, if the phase does not end before.
#[derive(Clone, Debug, PartialEq)]
struct Segment {
    launches: Range<usize>,
    meets: Option<usize>,
}

/// What a shard writes that is not the first: over parameters and states only that one writes.
#[derive(Default)]
pub(super) struct Aside {
    places: BTreeMap<BufferId, Block>,
    /// The launch of a phase that writes it first.
    first: BTreeMap<(Phase, BufferId), usize>,
}

impl Aside {
    /// Where a buffer is written, if not in its place.
    pub(super) fn written(&self, id: BufferId) -> Option<&Block> {
        self.places.get(&id)
    }

    /// Where a launch of a phase reads a buffer, if not in its place.
    pub(super) fn read(&self, phase: Phase, launch: usize, id: BufferId) -> Option<&Block> {
        self.first.get(&(phase, id)).filter(|it| **it < launch).and_then(|_| self.places.get(&id))
    }
}

/// How a plan runs a phase.
struct Course {
    segments: Vec<Segment>,
    /// Launches that parts of sums are made from.
    needed: Vec<bool>,
}

/// The shards of a batch that one process has.
pub(in crate::runtime) struct CpuShards {
    all: Vec<CpuBackend>,
    /// The first shard of all, where that is another process's: what is evaluated at once has one size for all.
    evaluator: Option<CpuBackend>,
    courses: Vec<BTreeMap<Phase, Course>>,
    /// What they meet with, and what another process gives.
    sums: Vec<u8>,
    theirs: Vec<u8>,
}

impl CpuShards {
    /// Plans of some shards of one step, in order.
    pub(in crate::runtime) fn new(
        plans: &[Arc<Plan>],
        evaluates: &Arc<Plan>,
        threads: Option<usize>,
    ) -> Result<CpuShards, RuntimeError> {
        let isa = Isa::detect();
        let apart = plans.first().is_none_or(|it| !Arc::ptr_eq(it, evaluates)).then_some(evaluates);
        let prepared = plans.iter().chain(apart).map(|it| CpuBackend::prepared(it.clone(), isa));
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        let scratch = prepared.iter().map(|it| it.scratch).fold(Scratch::default(), Scratch::max);
        let threads = threads.filter(|it| 0 < *it).unwrap_or_else(available);
        let pool = Arc::new(Pool::new(threads, isa, scratch)?);
        let mut all: Vec<CpuBackend> = Vec::new();
        for it in prepared {
            let next = CpuBackend::assembled(it, pool.clone(), isa, all.first())?;
            all.push(next);
        }
        let evaluator = apart.and_then(|_| all.pop());
        let courses: Vec<BTreeMap<Phase, Course>> = plans.iter().map(|it| courses(it)).collect();
        for (shard, courses) in all.iter_mut().zip(&courses).skip(1) {
            shard.write_aside(courses)?;
        }
        let meetings = |at: usize| -> Vec<_> {
            courses[at].iter().map(|(phase, it)| (*phase, met(&plans[at], *phase, it))).collect()
        };
        if (1..plans.len()).any(|at| meetings(at) != meetings(0)) {
            return Err(RuntimeError::Plan { cause: "the shards of its batch do not meet at the same places; use a `batch` that is a multiple of `shards`".to_owned() });
        }
        Ok(CpuShards { all, evaluator, courses, sums: Vec::new(), theirs: Vec::new() })
    }

    /// The one that moves parameters.
    pub(in crate::runtime) fn lead(&mut self) -> &mut CpuBackend {
        &mut self.all[0]
    }

    /// All of them.
    pub(in crate::runtime) fn all(&mut self) -> impl Iterator<Item = &mut CpuBackend> {
        self.all.iter_mut().chain(&mut self.evaluator)
    }

    /// The one that evaluates.
    pub(in crate::runtime) fn evaluator(&mut self) -> &mut CpuBackend {
        self.evaluator.as_mut().unwrap_or(&mut self.all[0])
    }

    /// The first one, to look at.
    pub(in crate::runtime) fn first(&self) -> &CpuBackend {
        &self.all[0]
    }

    /// Runs a phase.
    pub(in crate::runtime) fn run(&mut self, phase: Phase, meet: &mut dyn Meet) -> Result<(), RuntimeError> {
        let segments = self.courses[0].get(&phase).map_or(0, |it| it.segments.len());
        for at in 0..segments {
            self.others(phase, at)?;
            let Some(Course { segments, needed }) = self.courses[0].get(&phase) else { continue };
            let launches = segments[at].launches.clone();
            self.all[0].run_some(phase, launches, &|it| needed[it], &|_| true, |kernel| kernel())?;
            self.meet(phase, at, meet)?;
        }
        Ok(())
    }

    /// Runs one launch of the first shard, with what the others do before it.
    pub(in crate::runtime) fn run_one(
        &mut self,
        phase: Phase,
        launch: usize,
        meet: &mut dyn Meet,
    ) -> Result<(), RuntimeError> {
        let segments = self.courses[0].get(&phase).map_or(&[][..], |it| &it.segments);
        let starts = segments.iter().position(|it| it.launches.start == launch);
        let meets = segments.iter().position(|it| it.meets == Some(launch));
        if let Some(at) = starts {
            self.others(phase, at)?;
        }
        match meets {
            Some(at) => self.meet(phase, at, meet),
            None => self.all[0].run_some(phase, launch..launch + 1, &|_| false, &|_| true, |kernel| kernel()),
        }
    }

    /// What all but the first do in a segment.
    fn others(&mut self, phase: Phase, at: usize) -> Result<(), RuntimeError> {
        for (shard, courses) in self.all.iter_mut().zip(&self.courses).skip(1) {
            let Some(Course { segments, needed }) = courses.get(&phase) else { continue };
            let wanted = |it: usize| needed[it];
            shard.run_some(phase, segments[at].launches.clone(), &wanted, &wanted, |kernel| kernel())?;
        }
        Ok(())
    }

    /// Lets all shards meet at the end of a segment.
    fn meet(&mut self, phase: Phase, at: usize, meet: &mut dyn Meet) -> Result<(), RuntimeError> {
        let Self { all, evaluator: _, courses, sums, theirs } = self;
        let (mut parts, mut results) = (Vec::new(), Vec::new());
        let mut found = None;
        for (shard, courses) in all.iter().zip(courses.iter()) {
            let Some(meets) = courses.get(&phase).and_then(|it| it.segments[at].meets) else { return Ok(()) };
            let launch = &shard.plan.phases[&phase].launches[meets];
            let view = |id: BufferId| shard.view(id).ok_or_else(|| shard.unbound(id));
            parts.push(view(launch.inputs[0])?);
            results.push(view(launch.outputs[0])?);
            if let KernelSpec::AllReduce { kind, len } = &shard.plan.kernels[launch.kernel] {
                found = Some((*kind, *len));
            }
        }
        let Some((kind, len)) = found else { return Ok(()) };
        let (lead, double) = (&all[0], all[0].plan.precision.is_double());
        let bytes = len * if double { size_of::<f64>() } else { size_of::<f32>() };
        // Numbers of 8 bytes at most, in memory that is aligned for them.
        sums.resize(bytes + size_of::<f64>(), 0);
        let skipped = sums.as_ptr().align_offset(size_of::<f64>());
        let sums = &mut sums[skipped..skipped + bytes];
        let to = View { start: sums.as_mut_ptr(), bytes };
        lead.pool.run(lead.plan.seed, |context| {
            if double {
                // SAFETY: the views are of this launch's operands, which nothing uses now; `sums` is ours.
                unsafe { combined::<f64>(context, kind, &parts, to.shared(), len) }
            } else {
                // SAFETY: as above.
                unsafe { combined::<f32>(context, kind, &parts, to.shared(), len) }
            }
        });
        let mut bit = 1;
        while meet.swap(bit, sums, theirs)? {
            join(kind, double, sums, theirs);
            bit *= 2;
        }
        for to in results {
            // SAFETY: as above.
            unsafe { to.shared::<u8>().part(0, bytes) }.copy_from_slice(sums);
        }
        Ok(())
    }
}

/// Adds another process's numbers to these.
fn join(kind: Across, double: bool, own: &mut [u8], theirs: &[u8]) {
    if double {
        let theirs: Vec<f64> = bytemuck::pod_collect_to_vec(theirs);
        joined(kind, bytemuck::cast_slice_mut::<u8, f64>(own), &theirs);
    } else {
        let theirs: Vec<f32> = bytemuck::pod_collect_to_vec(theirs);
        joined(kind, bytemuck::cast_slice_mut::<u8, f32>(own), &theirs);
    }
}

impl CpuBackend {
    /// Takes memory for what it would otherwise write over parameters and states.
    fn write_aside(&mut self, courses: &BTreeMap<Phase, Course>) -> Result<(), RuntimeError> {
        let mut aside = Aside::default();
        for (&phase, course) in courses {
            let launches = self.plan.phases[&phase].launches.iter().zip(&course.needed).enumerate();
            for (at, (launch, _)) in launches.filter(|it| *it.1.1) {
                for &id in &launch.outputs {
                    let buffer = &self.plan.buffers[id.0 as usize];
                    if !matches!(buffer.kind, BufferKind::Param(_) | BufferKind::State(_)) {
                        continue;
                    }
                    aside.first.entry((phase, id)).or_insert(at);
                    if let Entry::Vacant(place) = aside.places.entry(id) {
                        place.insert(Block::new(self.sizes[id.0 as usize], &buffer.name)?);
                    }
                }
            }
        }
        self.aside = aside;
        Ok(())
    }
}

/// How a plan runs each of its phases.
fn courses(plan: &Plan) -> BTreeMap<Phase, Course> {
    let course = |phase: &Phase| {
        let launches = &plan.phases[phase].launches;
        let meets = |at: usize| matches!(plan.kernels[launches[at].kernel], KernelSpec::AllReduce { .. });
        let mut segments = Vec::new();
        let mut start = 0;
        for at in (0..launches.len()).filter(|it| meets(*it)) {
            segments.push(Segment { launches: start..at, meets: Some(at) });
            start = at + 1;
        }
        segments.push(Segment { launches: start..launches.len(), meets: None });
        // Backwards: what is read by what is needed.
        let mut needed = vec![false; launches.len()];
        let mut read: BTreeSet<BufferId> = BTreeSet::new();
        for (at, launch) in launches.iter().enumerate().rev() {
            needed[at] = meets(at) || launch.outputs.iter().any(|it| read.contains(it));
            if needed[at] {
                read.extend(&launch.inputs);
            }
        }
        // Where they meet is no launch of one of them.
        (0..launches.len()).filter(|it| meets(*it)).for_each(|it| needed[it] = false);
        Course { segments, needed }
    };
    plan.phases.keys().map(|it| (*it, course(it))).collect()
}

/// What they meet for in a phase.
fn met(plan: &Plan, phase: Phase, course: &Course) -> Vec<KernelSpec> {
    let launches = &plan.phases[&phase].launches;
    course.segments.iter().filter_map(|it| it.meets).map(|it| plan.kernels[launches[it].kernel].clone()).collect()
}
