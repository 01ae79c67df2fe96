//! Which device a plan runs on.

use super::Error;
use super::model::decide;
use crate::ir::Precision;
use crate::plan::Plan;
use crate::runtime::cpu::{self, CpuBackend};
use crate::runtime::ranks::Together;
use crate::runtime::{Backend, CudaSetup, Free, Session, free_memory, size};
use crate::target;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A device, and how it is used.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    /// Which (`--device`).
    pub device: Device,
    /// CPU threads; as many as there are cores unless given. Results are the same bits (`--threads`).
    pub threads: Option<usize>,
    /// Start although it needs more memory than seems to be free (`--ignore-memory`).
    pub ignore_memory: bool,
    /// The processes that share a training; without, this is the only one.
    pub ranks: Option<Together>,
    /// Where CUDA's libraries are looked for, and how kernels are compiled and started.
    pub cuda: CudaSetup,
}

/// A device as it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The first GPU if there is one and the precision is one of a GPU's, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// NVIDIA's GPU of this number.
    Cuda(u32),
}

impl FromStr for Device {
    type Err = String;

    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    fn from_str(text: &str) -> Result<Device, String> {
        let expected = || "expected auto, cpu, cuda or cuda:N".to_owned();
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(|it| it.parse().ok()).map(Device::Cuda).ok_or_else(expected),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceOptions {
    /// The processor, with as many threads as there are cores.
    pub fn cpu() -> DeviceOptions {
        DeviceOptions { device: Device::Cpu, ..DeviceOptions::default() }
    }

    /// Fails early for a device, or a precision on it, that this build or machine does not have.
    pub fn check(&self, precision: Option<Precision>) -> Result<(), Error> {
        check_with(self, decide(precision, None)?)
    }
}

fn check_with(args: &DeviceOptions, precision: Precision) -> Result<(), Error> {
    if let Device::Cuda(number) = args.device {
        gpu::check(number, &args.cuda)?;
    }
    if args.device == Device::Cpu && !target::CPU.takes(precision) {
        return Err(Error::options("the precisions tf32 and bf16 need a GPU", "use `--precision f32`"));
    }
    Ok(())
}

/// A session on the device, and one line that says which and why. A plan that needs more memory than is free is refused;
/// `again` compiles it with another batch, to find the largest that fits.
pub(super) fn open(
    args: &DeviceOptions,
    plan: Plan,
    again: &dyn Fn(usize) -> Option<Plan>,
) -> Result<(Session, String), Error> {
    open_with(args, plan, 0, again)
}

/// The same for a data set of which so many bytes lie in a file, and take no memory of the CPU's.
pub(super) fn open_with(
    args: &DeviceOptions,
    plan: Plan,
    mapped: usize,
    again: &dyn Fn(usize) -> Option<Plan>,
) -> Result<(Session, String), Error> {
    let precision = plan.precision;
    check_with(args, precision)?;
    let plan = Arc::new(plan);
    let (number, why) = match args.device {
        Device::Cpu => (None, String::new()),
        Device::Cuda(number) => (Some(number), String::new()),
        Device::Auto if !target::CUDA.takes(precision) => (None, " (auto: f64 is for the CPU)".to_owned()),
        Device::Auto => match gpu::usable(&args.cuda) {
            Ok(()) => (Some(0), " (auto: there is a GPU)".to_owned()),
            Err(cause) if target::CPU.takes(precision) => (None, format!(" (auto: {cause})")),
            Err(cause) => {
                let cause = format!("the precisions tf32 and bf16 need a GPU, and {cause}");
                return Err(Error::options(cause, "use `--precision f32`"));
            }
        },
    };
    if !args.ignore_memory {
        let free = match number {
            Some(number) => gpu::free(number),
            None => free_memory(),
        };
        let needed = |plan: &Plan, free: usize| match number {
            Some(number) => gpu::too_much(plan, number, &args.cuda, free),
            None => {
                let free = free.saturating_add(mapped);
                cpu::too_much(plan, args.threads, free).map(|it| it.total().saturating_sub(mapped))
            }
        };
        if let Some(free) = free
            && let Some(bytes) = needed(&plan, free.bytes)
        {
            let fits = |plan: &Plan| needed(plan, free.bytes).is_none();
            return Err(refused(&plan, bytes, &free, &|batch| Some(fits(&again(batch)?))));
        }
    }
    let backend: Box<dyn Backend> = match number {
        Some(number) => gpu::open(plan.clone(), number, &args.cuda)?,
        None => Box::new(CpuBackend::new(plan.clone(), args.threads)?),
    };
    let session = Session::new(plan, backend)?;
    let what = session.backend.describe();
    Ok((session, format!("{what}{why}")))
}

/// Why a plan is not begun with, and which batch would be: `fits` compiles a batch and tries, where it can.
fn refused(plan: &Plan, needed: usize, free: &Free, fits: &dyn Fn(usize) -> Option<bool>) -> Error {
    let (batch, parts) = plan.training.as_ref().map_or((1, 1), |it| (it.batch, it.accumulate));
    let cause = format!(
        "`{}` needs {} of memory with a batch of {batch}, and {} are {}",
        plan.name,
        size(needed),
        size(free.bytes),
        free.bound
    );
    // A batch is as many equal parts as before.
    let found = largest(batch / parts, free.bytes as f64 / needed as f64, &|it| fits(it.checked_mul(parts)?));
    let batch = found.map(|it| it * parts);
    let remedy = match batch {
        Some(0) => format!("even a batch of {parts} does not fit: make the model smaller"),
        Some(it) => format!("the largest batch that fits is {it}: `--batch {it}`"),
        None => "use a smaller batch".to_owned(),
    };
    let remedy = format!("{remedy} (`--ignore-memory` starts anyway)");
    Error::Memory { needed, free: free.bytes, batch, cause, remedy }
}

/// The largest batch that fits, below one that does not; 0 if none does, nothing if it cannot be found out. Memory grows
/// about evenly with the batch, so the search starts where `share` of it would be taken.
fn largest(batch: usize, share: f64, fits: &dyn Fn(usize) -> Option<bool>) -> Option<usize> {
    let (mut fit, mut not) = (0, batch);
    let mut guess = (batch as f64 * share) as usize;
    let mut step = 1;
    while fit + 1 < not {
        let at = guess.clamp(fit + 1, not - 1);
        if fits(at)? {
            fit = at;
            guess = at.saturating_add(step);
        } else {
            not = at;
            guess = at.saturating_sub(step);
        }
        step *= 2;
        // Near the place both bounds are close; otherwise halve what is between them.
        if not - fit <= step {
            guess = fit + (not - fit) / 2;
        }
    }
    // A batch of one was never asked for.
    if batch <= 1 { fits(1).map(|_| 0) } else { Some(fit) }
}

/// NVIDIA's.
#[cfg(feature = "cuda")]
mod gpu {
    use super::Error;
    use crate::plan::Plan;
    use crate::runtime::cuda::{self, CudaBackend, CudaOptions, check_device, free_bytes, needed_bytes};
    use crate::runtime::{Backend, CudaSetup, Free};
    use std::sync::Arc;

    pub(super) fn check(number: u32, setup: &CudaSetup) -> Result<(), Error> {
        Ok(check_device(number as usize, setup)?)
    }

    /// Why `auto` does not take the first device.
    pub(super) fn usable(setup: &CudaSetup) -> Result<(), String> {
        cuda::usable(setup)
    }

    /// Memory of the device, and what a plan takes of it if that is more.
    pub(super) fn free(number: u32) -> Option<Free> {
        let bytes = free_bytes(number as usize)?;
        Some(Free { bytes, bound: format!("free on cuda:{number}") })
    }

    pub(super) fn too_much(plan: &Plan, number: u32, setup: &CudaSetup, free: usize) -> Option<usize> {
        needed_bytes(plan, number as usize, setup).filter(|it| free < *it)
    }

    pub(super) fn open(plan: Arc<Plan>, number: u32, setup: &CudaSetup) -> Result<Box<dyn Backend>, Error> {
        let options = CudaOptions { ordinal: number as usize, setup: setup.clone() };
        Ok(Box::new(CudaBackend::new(plan, options)?))
    }
}

/// A build without.
#[cfg(not(feature = "cuda"))]
mod gpu {
    use super::Error;
    use crate::plan::Plan;
    use crate::runtime::{Backend, CudaSetup, Free, RuntimeError};
    use std::sync::Arc;

    const CAUSE: &str = "this build has no CUDA backend";

    pub(super) fn check(number: u32, _: &CudaSetup) -> Result<(), Error> {
        Err(missing(number))
    }

    fn missing(number: u32) -> Error {
        let (device, cause, remedy) = (format!("cuda:{number}"), CAUSE.to_owned(), "use `--device cpu`".to_owned());
        RuntimeError::Device { device: format!("device {device}"), cause, remedy }.into()
    }

    pub(super) fn usable(_: &CudaSetup) -> Result<(), String> {
        Err(CAUSE.to_owned())
    }

    pub(super) fn free(_: u32) -> Option<Free> {
        None
    }

    pub(super) fn too_much(_: &Plan, _: u32, _: &CudaSetup, _: usize) -> Option<usize> {
        None
    }

    pub(super) fn open(_: Arc<Plan>, number: u32, _: &CudaSetup) -> Result<Box<dyn Backend>, Error> {
        Err(missing(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_largest_batch_is_found_in_few_tries() {
        for batch in [2, 3, 64, 1000, 4096, 1 << 20] {
            for limit in [0, 1, 2, 26, 63, 500, 999, 4000, 1 << 19] {
                for share in [0.0, 0.4, limit as f64 / batch as f64, 0.99] {
                    let tries = Cell::new(0);
                    let fits = |it: usize| {
                        tries.set(tries.get() + 1);
                        Some(it <= limit)
                    };
                    let found = largest(batch, share, &fits);
                    assert_eq!(found, Some(limit.min(batch - 1)), "{batch} {limit} {share}");
                    assert!(tries.get() <= 45, "{} tries for {limit} of {batch}", tries.get());
                }
            }
        }
        assert_eq!(largest(64, 0.5, &|_| None), None);
        assert_eq!(largest(1, 0.5, &|_| Some(false)), Some(0));
    }
}
