//! A training whose batches are cut into shards, in this process or shared out among several.

use super::Error;
use super::device::{Device, DeviceOptions};
use super::ready::Ready;
use crate::plan::Plan;
use crate::runtime::ranks::{Alone, Ranks, Sharded};
use crate::runtime::{RuntimeError, Session, free_memory};
use crate::target;
use crate::train::{self, Meaning};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What all ranks must have alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Alike {
    program: String,
    model: String,
    data: String,
}

/// What the first rank says once it is ready.
const READY: &[u8] = b"ready";

impl Ready {
    /// What `own` makes ([`Model::open`](crate::Model::open) and [`Model::ready`](crate::Model::ready)) on all ranks: on the first
    /// before the others, for it fetches what is missing. It tells what keeps any of them from beginning; the others then
    /// fail with [`Error::Elsewhere`].
    pub fn among(ranks: &dyn Ranks, own: impl FnOnce() -> Result<Ready, Error>) -> Result<Ready, Error> {
        if ranks.rank() == 0 {
            let own = own();
            ranks.broadcast(&mut if own.is_ok() { READY.to_vec() } else { Vec::new() })?;
            return agreed(ranks, Ok(own?), Ready::alike);
        }
        let mut word = Vec::new();
        ranks.broadcast(&mut word)?;
        if word == READY { agreed(ranks, own(), Ready::alike) } else { Err(Error::Elsewhere) }
    }

    /// Does a rank's part of a training that the first rank drives ([`Ready::train`]), to its end.
    pub fn follow(self, device: &DeviceOptions) -> Result<(), Error> {
        let (session, _) = self.sharded(device)?;
        let shards = self.own_shards(device);
        Ok(train::follow(session, self.into_data(), shards)?)
    }

    /// Whether it runs as shards.
    pub(super) fn is_sharded(&self, device: &DeviceOptions) -> bool {
        1 < self.shards() || device.ranks.as_ref().is_some_and(|it| 1 < it.size())
    }

    /// How many shards are this rank's.
    pub(super) fn own_shards(&self, device: &DeviceOptions) -> usize {
        self.shards() / device.ranks.as_ref().map_or(1, |it| it.size().max(1))
    }

    /// A session of this rank's shards; with what the device is called.
    pub(super) fn sharded(&self, device: &DeviceOptions) -> Result<(Session, String), Error> {
        let ranks: Arc<dyn Ranks> =
            device.ranks.as_ref().map_or_else(|| Arc::new(Alone) as Arc<dyn Ranks>, |it| it.0.clone());
        let own = self.own_plans(device, &*ranks);
        let (plans, evaluates) = agreed(&*ranks, own, |_| Ok(Alike::default()))?;
        let lead = plans[0].clone();
        let backend = Sharded::new(&plans, &evaluates, device.threads, ranks)?;
        let session = Session::new(lead, Box::new(backend))?;
        let what = session.backend.describe();
        Ok((session, if device.device == Device::Auto { format!("{what} (auto: shards run on CPUs)") } else { what }))
    }

    /// Plans of this rank's shards, and that of the first of all.
    #[allow(clippy::type_complexity, reason = "the plans of some shards, and of one")]
    fn own_plans(&self, device: &DeviceOptions, ranks: &dyn Ranks) -> Result<(Vec<Arc<Plan>>, Arc<Plan>), Error> {
        let (shards, size) = (self.shards(), ranks.size());
        if let Device::Cuda(_) = device.device {
            return Err(Error::options("shards of a batch run on CPUs", "use `--device cpu`, or leave out `shards`"));
        }
        if !target::CPU.takes(self.plan().precision) {
            let cause = "shards of a batch run on CPUs, and the precisions tf32 and bf16 need a GPU";
            return Err(Error::options(cause, "use `--precision f32`"));
        }
        if !size.is_power_of_two() || shards < size {
            let may: Vec<String> =
                (0..).map(|it| 1usize << it).take_while(|it| *it <= shards).map(|it| it.to_string()).collect();
            return Err(Error::options(
                format!("{size} ranks cannot take as many of {shards} shards each"),
                format!("start {} ranks, or write other `shards` in the recipe (`--shards N`)", may.join(", ")),
            ));
        }
        let each = shards / size;
        let first = ranks.rank() * each;
        let plans =
            (first..first + each).map(|at| self.of_shard(at).map(Arc::new)).collect::<Result<Vec<_>, Error>>()?;
        // What is evaluated at once has one size on all ranks.
        let size = |it: &Plan| it.training.as_ref().map_or(0, |it| it.part());
        let evaluates = match &plans[0] {
            own if first == 0 => own.clone(),
            own => {
                let all = Arc::new(self.of_shard(0)?);
                if size(&all) == size(own) { own.clone() } else { all }
            }
        };
        if !device.ignore_memory
            && let Some(free) = free_memory()
        {
            // They have parameters and states in common.
            let others: usize = plans.iter().skip(1).map(|it| it.arena_bytes).sum();
            let needed = plans[0].memory().total().saturating_add(others);
            let mapped = self.data().mapped();
            if free.bytes.saturating_add(mapped) < needed {
                return Err(RuntimeError::TooLarge {
                    what: format!("a step of {each} shards of {} {}s", size(&plans[0]), self.training()?.noun()),
                    needed,
                    free: free.bytes,
                    bound: free.bound,
                    remedy: "use a smaller `--batch`, or more ranks".to_owned(),
                }
                .into());
            }
        }
        Ok((plans, evaluates))
    }

    /// What must be alike on all ranks, as this one has it.
    fn alike(&self) -> Result<Alike, Error> {
        let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect::<String>();
        let program = std::env::current_exe()
            .and_then(std::fs::read)
            .map_or_else(|_| env!("CARGO_PKG_VERSION").to_owned(), |it| hex(&it));
        let data = serde_json::to_vec(&Meaning::of(self.data(), self.training()?)).unwrap_or_default();
        Ok(Alike { program, model: format!("{} {}", self.plan().hash, self.shards()), data: hex(&data) })
    }
}

/// What this rank has, once all have theirs and all is alike, so that none waits for one that cannot begin.
fn agreed<T>(ranks: &dyn Ranks, own: Result<T, Error>, alike: impl Fn(&T) -> Result<Alike, Error>) -> Result<T, Error> {
    if ranks.size() == 1 {
        return own;
    }
    let said = own.as_ref().map_err(ToString::to_string).and_then(|it| alike(it).map_err(|it| it.to_string()));
    let all = ranks.gather(&serde_json::to_vec(&said).unwrap_or_default())?;
    let mut verdict = judged(&all).into_bytes();
    ranks.broadcast(&mut verdict)?;
    match (verdict.is_empty(), ranks.rank()) {
        (true, _) => own,
        (false, 0) => {
            own?;
            let cause = String::from_utf8_lossy(&verdict).into_owned();
            Err(Error::options(cause, "start the same program with the same file, settings and data on all ranks"))
        }
        (false, _) => Err(Error::Elsewhere),
    }
}

/// What keeps the ranks from beginning; empty if nothing does.
fn judged(all: &[Vec<u8>]) -> String {
    let read =
        |it: &Vec<u8>| serde_json::from_slice::<Result<Alike, String>>(it).unwrap_or_else(|it| Err(it.to_string()));
    let mut found: Vec<String> = Vec::new();
    let all: Vec<Result<Alike, String>> = all.iter().map(read).collect();
    for (rank, it) in all.iter().enumerate() {
        match (it, all.first()) {
            (Err(cause), _) => found.push(format!("rank {rank}: {cause}")),
            (Ok(it), Some(Ok(first))) if it != first => {
                let differs = [
                    ("another program", it.program != first.program),
                    ("another model or other settings", it.model != first.model),
                    ("other data", it.data != first.data),
                ];
                let differs: Vec<&str> = differs.iter().filter(|it| it.1).map(|it| it.0).collect();
                found.push(format!("rank {rank} has {} than rank 0", differs.join(" and ")));
            }
            (Ok(_), _) => {}
        }
    }
    found.join("\n  ")
}
