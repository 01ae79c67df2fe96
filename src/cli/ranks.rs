//! `mpirun -n 4 sphc train`: one of several processes.

use super::failure::{Failure, Outcome};
use super::{say, stop, train};
use sphc::runtime::ranks::{Together, launched};
use sphc::{Model, Options, Ready};
use std::io::Write;
use std::process::ExitCode;

/// The other processes, if a launcher started several.
pub(super) fn joined() -> Result<Option<Together>, Failure> {
    match launched(&|name| std::env::var(name).ok()) {
        Some((_, size)) if 1 < size => with(size).map(Some),
        Some(_) | None => Ok(None),
    }
}

#[cfg(feature = "mpi")]
fn with(size: usize) -> Result<Together, Failure> {
    use sphc::runtime::ranks::{Mpi, Ranks};
    use std::sync::Arc;

    let mpi = Mpi::new()?;
    if mpi.size() != size {
        let cause = format!("the launcher started {size} processes, and {} knows of {}", mpi.describe(), mpi.size());
        return Err(Failure::new(cause, "start them with the `mpirun` of the MPI that sphc was built with"));
    }
    Ok(Together(Arc::new(mpi)))
}

#[cfg(not(feature = "mpi"))]
fn with(size: usize) -> Result<Together, Failure> {
    Err(Failure::new(
        format!("a launcher started {size} processes, and this build of sphc has no MPI"),
        "install an MPI and build with it: `cargo install --path . --features mpi` (docs/distributed.md)",
    ))
}

/// One rank of a training that another drives.
pub(super) fn follow(args: &train::Args, ranks: &Together) -> Outcome {
    let device = args.device.of_ranks(Some(ranks.clone()));
    let options = Options { fetch: None, ranks: ranks.size(), ..train::options(args) };
    // The first rank tells what keeps any from beginning.
    let ready =
        Ready::among(&**ranks, || Model::open(&args.file)?.with(options).ready()).map_err(|_| Failure::Reported)?;
    stop::ignore();
    let done = ready.follow(&device);
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(sphc::Error::Elsewhere) => Err(Failure::Reported),
        Err(it) => {
            let _ = writeln!(say::err(), "error: rank {}: {it}", ranks.rank());
            ranks.abort();
            Err(Failure::Reported)
        }
    }
}

/// What the first rank has before the others have agreed to begin: they wait for it, and end if it fails.
pub(super) fn or_end<T>(ranks: Option<&Together>, result: Result<T, Failure>) -> Result<T, Failure> {
    result.map_err(|failure| match ranks {
        Some(it) => {
            failure.report();
            it.abort();
            Failure::Reported
        }
        None => failure,
    })
}
