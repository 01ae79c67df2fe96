//! Ranks of the system's MPI.

use super::Ranks;
use super::watch::Watch;
use crate::runtime::RuntimeError;
use mpi::Threading;
use mpi::environment::{Universe, library_version};
use mpi::point_to_point as p2p;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Equivalence, Root, Source};
use std::mem::ManuallyDrop;

/// The processes that a launcher started.
pub struct Mpi {
    // Dropped in this order: MPI is left once nobody uses it.
    watch: Option<Watch>,
    world: ManuallyDrop<SimpleCommunicator>,
    universe: ManuallyDrop<Universe>,
}

// SAFETY: MPI is asked for the thread level `Multiple`, and without it there is no second thread that calls it; a communicator
// is a handle.
unsafe impl Send for Mpi {}
// SAFETY: as above.
unsafe impl Sync for Mpi {}

/// The most bytes of one message: MPI counts them in 32 bits.
const MOST: usize = 1 << 30;

impl Mpi {
    /// Joins the other processes. Once in the life of a process.
    pub fn new() -> Result<Mpi, RuntimeError> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple).ok_or(RuntimeError::Ranks {
            cause: "MPI was started before in this process".to_owned(),
            remedy: "start it once".to_owned(),
        })?;
        let world = universe.world();
        let watch = (threading == Threading::Multiple && 1 < world.size()).then(|| Watch::new(&world));
        Ok(Mpi { watch, world: ManuallyDrop::new(world), universe: ManuallyDrop::new(universe) })
    }

    fn number(it: i32) -> usize {
        usize::try_from(it).unwrap_or(0)
    }
}

/// A rank as MPI counts it.
fn counted(rank: usize) -> i32 {
    i32::try_from(rank).unwrap_or(i32::MAX)
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        Self::number(self.world.rank())
    }

    fn size(&self) -> usize {
        Self::number(self.world.size())
    }

    fn swap(&self, with: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<(), RuntimeError> {
        theirs.resize(own.len(), 0);
        let other = self.world.process_at_rank(counted(with));
        for (own, theirs) in own.chunks(MOST).zip(theirs.chunks_mut(MOST)) {
            let status = p2p::send_receive_into(own, &other, theirs, &other);
            let found = Self::number(status.count(u8::equivalent_datatype()));
            if found != own.len() {
                return Err(RuntimeError::Ranks {
                    cause: format!("rank {with} sent {found} bytes where {} were due", own.len()),
                    remedy: "start the same program with the same file on all ranks".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<(), RuntimeError> {
        let root = self.world.process_at_rank(0);
        let mut len = bytes.len() as u64;
        root.broadcast_into(&mut len);
        bytes.resize(usize::try_from(len).unwrap_or(0), 0);
        bytes.chunks_mut(MOST).for_each(|it| root.broadcast_into(it));
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, RuntimeError> {
        let root = self.world.process_at_rank(0);
        if self.rank() != 0 {
            root.send(&(own.len() as u64));
            own.chunks(MOST).for_each(|it| root.send(it));
            return Ok(Vec::new());
        }
        let mut all = vec![own.to_vec()];
        for rank in 1..self.size() {
            let from = self.world.process_at_rank(counted(rank));
            let (len, _) = from.receive::<u64>();
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            bytes.chunks_mut(MOST).for_each(|it| _ = from.receive_into(it));
            all.push(bytes);
        }
        Ok(all)
    }

    fn describe(&self) -> String {
        // `Open MPI v4.1.4, package: ...`
        let version = library_version().unwrap_or_default();
        version.split([',', '\n']).next().unwrap_or("MPI").trim().to_owned()
    }

    fn abort(&self) {
        self.world.abort(1)
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.world.abort(101);
        }
        if let Some(watch) = self.watch.take() {
            watch.end();
        }
        self.world.barrier();
        // SAFETY: neither is used again.
        unsafe {
            ManuallyDrop::drop(&mut self.world);
            ManuallyDrop::drop(&mut self.universe);
        }
    }
}
