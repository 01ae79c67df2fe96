//! Several processes that train one network: the shards of each batch are shared out among them.
//!
//! The first rank drives: it runs the training as if it were alone, and what its device is asked for, all are asked for
//! ([`Sharded`]). The others follow ([`Backend::follow`](super::Backend::follow)) and know of no run directory, checkpoint or schedule.

mod command;
#[cfg(feature = "mpi")]
mod mpi;
mod sharded;
#[cfg(feature = "mpi")]
mod watch;

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use sharded::Sharded;

use super::RuntimeError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// How processes that work together reach each other. All ranks call the same in the same order.
pub trait Ranks: Send + Sync {
    /// The number of this one, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// Gives bytes to another rank and takes as many from it.
    fn swap(&self, with: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<(), RuntimeError>;
    /// Gives the first rank's bytes to all.
    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<(), RuntimeError>;
    /// Gives the bytes of all, by rank, to the first; nothing to the others.
    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, RuntimeError>;
    /// What connects them: `Open MPI 4.1.4`.
    fn describe(&self) -> String;
    /// Ends all ranks, as one cannot go on.
    fn abort(&self);
}

/// The processes that share a training, as one of them knows them.
#[derive(Clone)]
pub struct Together(pub Arc<dyn Ranks>);

impl Deref for Together {
    type Target = dyn Ranks;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

/// One process by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn swap(&self, _with: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<(), RuntimeError> {
        theirs.clear();
        theirs.extend_from_slice(own);
        Ok(())
    }

    fn broadcast(&self, _bytes: &mut Vec<u8>) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, RuntimeError> {
        Ok(vec![own.to_vec()])
    }

    fn describe(&self) -> String {
        "one process".to_owned()
    }

    fn abort(&self) {}
}

/// What a launcher of several processes told this one: its number and how many there are. Launchers of Open MPI, of MPICH and
/// its kin, and Slurm's `srun` say it in the environment.
pub fn launched(variable: &dyn Fn(&str) -> Option<String>) -> Option<(usize, usize)> {
    let number = |name: &str| variable(name)?.parse::<usize>().ok();
    [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"), ("PMIX_RANK", "SLURM_NTASKS")]
        .into_iter()
        .find_map(|(rank, size)| Some((number(rank)?, number(size)?)))
}
