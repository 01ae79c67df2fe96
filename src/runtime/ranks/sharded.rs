//! Some shards of a step on this process's cores, the rest on those of other ranks.

use super::Ranks;
use super::command::Command;
use crate::ir::{Phase, StateRole};
use crate::plan::{Buffer, BufferId, BufferKind, Plan};
use crate::runtime::cpu::{CpuShards, Meet};
use crate::runtime::session::initial;
use crate::runtime::{Backend, Lent, RuntimeError};
use std::sync::Arc;

/// A device of several processes. On the first rank it is one like any other; the others [`follow`](Backend::follow).
pub struct Sharded {
    plan: Arc<Plan>,
    local: CpuShards,
    ranks: Arc<dyn Ranks>,
    /// What each rank's evaluation gave, in order of the results' names.
    told: Vec<Vec<u8>>,
}

/// The numbers of all processes, met by halves.
struct Met<'a>(&'a dyn Ranks);

impl Meet for Met<'_> {
    fn swap(&mut self, bit: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<bool, RuntimeError> {
        if self.0.size() <= bit {
            return Ok(false);
        }
        self.0.swap(self.0.rank() ^ bit, own, theirs)?;
        Ok(true)
    }
}

impl Sharded {
    /// Takes the plans of this rank's shards, in order, and that of the first shard of all, which evaluates.
    pub fn new(
        plans: &[Arc<Plan>],
        evaluates: &Arc<Plan>,
        threads: Option<usize>,
        ranks: Arc<dyn Ranks>,
    ) -> Result<Sharded, RuntimeError> {
        let mut local = CpuShards::new(plans, evaluates, threads)?;
        for shard in local.all() {
            let plan = shard.plan().clone();
            for (at, buffer) in plan.buffers.iter().enumerate() {
                if let (BufferKind::Const(_), Some(bytes)) = (&buffer.kind, initial(buffer, plan.seed, plan.precision))
                {
                    shard.write(BufferId(at as u32), &bytes)?;
                }
            }
        }
        Ok(Sharded { plan: plans[0].clone(), local, ranks, told: Vec::new() })
    }

    fn drives(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// Tells the others what to do, from the first rank.
    fn tell(&self, command: &Command) -> Result<(), RuntimeError> {
        if self.drives() { self.ranks.broadcast(&mut command.bytes()) } else { Ok(()) }
    }

    fn write_named(&mut self, name: &str, bytes: &[u8]) -> Result<(), RuntimeError> {
        let named = |it: &Buffer| it.name == name && matches!(it.kind, BufferKind::Param(_) | BufferKind::State(_));
        match self.plan.buffers.iter().position(named) {
            Some(at) => self.local.lead().write(BufferId(at as u32), bytes),
            None => Err(RuntimeError::Ranks {
                cause: format!("this rank's model has no `{name}`"),
                remedy: "start the same program with the same file on all ranks".to_owned(),
            }),
        }
    }

    /// Where a counter is.
    fn place(&self, role: StateRole) -> Option<BufferId> {
        let is_it = |it: &BufferKind| matches!(it, BufferKind::State(it) if it.role == role);
        self.plan.buffers.iter().position(|it| is_it(&it.kind)).map(|it| BufferId(it as u32))
    }

    fn counter(&self, role: StateRole) -> Result<Option<u64>, RuntimeError> {
        let Some(id) = self.place(role) else { return Ok(None) };
        let bytes = self.local.first().read(id)?;
        Ok(bytes.first_chunk().map(|it| i64::from_ne_bytes(*it).max(0) as u64))
    }

    fn set_counter(&mut self, role: StateRole, value: u64) -> Result<(), RuntimeError> {
        let Some(id) = self.place(role) else { return Ok(()) };
        self.local.lead().write(id, &(value as i64).to_ne_bytes())
    }

    /// This rank's part of a phase.
    fn run_here(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        match phase {
            Phase::Evaluate if 1 < self.ranks.size() => self.evaluate_here(),
            Phase::Step | Phase::Evaluate | Phase::Project | Phase::Average | Phase::Gradients => {
                self.local.run(phase, &mut Met(&*self.ranks))
            }
        }
    }

    /// Evaluates one batch of as many as there are ranks.
    fn evaluate_here(&mut self) -> Result<(), RuntimeError> {
        let base = self.counter(StateRole::EvaluateStart)?.unwrap_or(0);
        let plan = self.local.evaluator().plan().clone();
        let batch = plan.training.as_ref().map_or(1, |it| it.part()) as u64;
        self.set_counter(StateRole::EvaluateStart, base + self.ranks.rank() as u64 * batch)?;
        self.local.evaluator().run(Phase::Evaluate)?;
        self.set_counter(StateRole::EvaluateStart, base + self.ranks.size() as u64 * batch)?;
        let mut own = Vec::new();
        for id in plan.phases.get(&Phase::Evaluate).iter().flat_map(|it| it.results.values()) {
            own.extend(self.local.evaluator().read(*id)?);
        }
        self.told = self.ranks.gather(&own)?;
        Ok(())
    }
}

impl Backend for Sharded {
    fn follow(&mut self, before_step: &mut dyn FnMut(u64)) -> Result<(), RuntimeError> {
        loop {
            let mut bytes = Vec::new();
            self.ranks.broadcast(&mut bytes)?;
            match Command::of(&bytes)? {
                Command::Run(phase) => {
                    if phase == Phase::Step {
                        before_step(self.counter(StateRole::Step)?.unwrap_or(0));
                    }
                    self.run_here(phase)?;
                }
                Command::RunOne(phase, launch) => {
                    self.local.run_one(phase, launch, &mut Met(&*self.ranks))?;
                }
                Command::Write(name) => {
                    let mut bytes = Vec::new();
                    self.ranks.broadcast(&mut bytes)?;
                    self.write_named(&name, &bytes)?;
                }
                Command::End => return Ok(()),
            }
        }
    }

    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError> {
        let Some(it) = self.plan.clone().buffers.get(buffer.0 as usize).cloned() else {
            return self.local.lead().write(buffer, bytes);
        };
        match &it.kind {
            BufferKind::Param(_) | BufferKind::State(_) => {
                self.tell(&Command::Write(it.name.clone()))?;
                if self.drives() {
                    self.ranks.broadcast(&mut bytes.to_vec())?;
                }
                self.local.lead().write(buffer, bytes)
            }
            BufferKind::Extern(_) => self.share(buffer, Arc::new(bytes.to_vec())),
            // Each shard has its own, which were written at once.
            BufferKind::Const(_) => Ok(()),
            BufferKind::Arena { .. } => self.local.lead().write(buffer, bytes),
        }
    }

    fn share(&mut self, buffer: BufferId, bytes: Lent) -> Result<(), RuntimeError> {
        let plan = self.plan.clone();
        let Some(BufferKind::Extern(source)) = plan.buffers.get(buffer.0 as usize).map(|it| &it.kind) else {
            return self.write(buffer, (*bytes).as_ref());
        };
        for shard in self.local.all() {
            let is_it = |it: &BufferKind| matches!(it, BufferKind::Extern(it) if it == source);
            if let Some(at) = shard.plan().buffers.iter().position(|it| is_it(&it.kind)) {
                shard.share(BufferId(at as u32), bytes.clone())?;
            }
        }
        Ok(())
    }

    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        self.local.first().read(buffer)
    }

    fn look(&self, buffer: BufferId, see: &mut dyn FnMut(&[u8])) -> Result<(), RuntimeError> {
        self.local.first().look(buffer, see)
    }

    fn run_one(&mut self, phase: Phase, launch: usize) -> Result<bool, RuntimeError> {
        self.tell(&Command::RunOne(phase, launch))?;
        self.local.run_one(phase, launch, &mut Met(&*self.ranks))?;
        Ok(true)
    }

    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        self.tell(&Command::Run(phase))?;
        self.run_here(phase)
    }

    fn lanes(&self) -> usize {
        self.ranks.size()
    }

    fn read_lane(&self, lane: usize, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        if self.ranks.size() == 1 {
            return self.read(buffer);
        }
        let mut from = 0;
        for id in self.plan.phases.get(&Phase::Evaluate).iter().flat_map(|it| it.results.values()) {
            let it = &self.plan.buffers[id.0 as usize];
            let bytes = it.shape.len() * self.plan.precision.bytes(it.dtype);
            if *id == buffer {
                let told = self.told.get(lane).and_then(|it| it.get(from..from + bytes));
                return told.map(<[u8]>::to_vec).ok_or(RuntimeError::Size {
                    name: it.name.clone(),
                    expected: bytes,
                    found: 0,
                });
            }
            from += bytes;
        }
        self.read(buffer)
    }

    fn describe(&self) -> String {
        let shards = self.plan.training.as_ref().and_then(|it| it.shard).map_or(1, |it| it.of);
        let size = self.ranks.size();
        let each = self.local.first().describe();
        match size {
            1 => format!("{each}, {shards} shards"),
            _ => format!("{size} ranks ({}), each {each}, {shards} shards", self.ranks.describe()),
        }
    }
}

impl Drop for Sharded {
    /// What the first rank does no longer, the others need not wait for.
    fn drop(&mut self) {
        if self.drives() && !std::thread::panicking() {
            // Whoever cannot be told has ended.
            _ = self.tell(&Command::End);
        }
    }
}
