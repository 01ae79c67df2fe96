//! Which device a plan runs on.

use super::args::PrecisionArg;
use super::failure::Failure;
use clap::Args;
use sphc::plan::{Plan, Precision};
use sphc::runtime::cpu::CpuBackend;
use sphc::runtime::{Backend, Session};
use std::sync::Arc;

/// `--device`, `--precision`, `--threads`.
#[derive(Clone, Debug, Args)]
pub(super) struct DeviceArgs {
    /// auto, cpu, or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub(super) device: Device,
    /// Arithmetic and storage; what the recipe says unless given, else f32
    #[arg(long, value_enum)]
    pub(super) precision: Option<PrecisionArg>,
    /// CPU threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = super::args::threads)]
    pub(super) threads: Option<u64>,
}

/// A device as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    Auto,
    Cpu,
    Cuda(u32),
}

fn parse_device(text: &str) -> Result<Device, String> {
    let expected = || "expected auto, cpu, cuda or cuda:N".to_owned();
    match text {
        "auto" => Ok(Device::Auto),
        "cpu" => Ok(Device::Cpu),
        "cuda" => Ok(Device::Cuda(0)),
        _ => text.strip_prefix("cuda:").and_then(|it| it.parse().ok()).map(Device::Cuda).ok_or_else(expected),
    }
}

/// Fails early for a device or a `--precision` that this build or machine does not have.
pub(super) fn check(args: &DeviceArgs) -> Result<(), Failure> {
    check_with(args, args.precision.unwrap_or_default().get()?)
}

fn check_with(args: &DeviceArgs, precision: Precision) -> Result<(), Failure> {
    if let Device::Cuda(number) = args.device {
        gpu::check(number)?;
    }
    let gpu_only = matches!(precision, Precision::Tf32 | Precision::Bf16);
    if gpu_only && args.device == Device::Cpu {
        return Err(Failure::new("the precisions tf32 and bf16 need a GPU", "use `--precision f32`"));
    }
    Ok(())
}

/// A session on the device, and one line that says which and why.
pub(super) fn open(args: &DeviceArgs, plan: Plan) -> Result<(Session, String), Failure> {
    let precision = plan.precision;
    check_with(args, precision)?;
    let plan = Arc::new(plan);
    let (number, why) = match args.device {
        Device::Cpu => (None, String::new()),
        Device::Cuda(number) => (Some(number), String::new()),
        Device::Auto if precision == Precision::F64 => (None, " (auto: f64 is for the CPU)".to_owned()),
        Device::Auto => match gpu::usable() {
            Ok(()) => (Some(0), " (auto: there is a GPU)".to_owned()),
            Err(cause) if precision == Precision::F32 => (None, format!(" (auto: {cause})")),
            Err(cause) => {
                let cause = format!("the precisions tf32 and bf16 need a GPU, and {cause}");
                return Err(Failure::new(cause, "use `--precision f32`"));
            }
        },
    };
    let backend: Box<dyn Backend> = match number {
        Some(number) => gpu::open(plan.clone(), number)?,
        None => Box::new(CpuBackend::new(plan.clone(), args.threads.map(|it| it as usize))?),
    };
    let session = Session::new(plan, backend)?;
    let what = session.backend.describe();
    Ok((session, format!("{what}{why}")))
}

/// NVIDIA's.
#[cfg(feature = "cuda")]
mod gpu {
    use super::Failure;
    use sphc::plan::Plan;
    use sphc::runtime::Backend;
    use sphc::runtime::cuda::{CudaBackend, CudaOptions, check_device, probe};
    use std::sync::Arc;

    pub(super) fn check(number: u32) -> Result<(), Failure> {
        Ok(check_device(number as usize)?)
    }

    /// Why `auto` does not take the first device.
    pub(super) fn usable() -> Result<(), String> {
        let found = probe();
        let driver = found.driver.map_err(|it| it.cause)?;
        found.compiler.map_err(|it| it.cause)?;
        if driver.devices[0].capability < (8, 0) {
            return Err(format!("{} is older than the kernels need", driver.devices[0].name));
        }
        Ok(())
    }

    pub(super) fn open(plan: Arc<Plan>, number: u32) -> Result<Box<dyn Backend>, Failure> {
        let options = CudaOptions { ordinal: number as usize };
        Ok(Box::new(CudaBackend::new(plan, options)?))
    }
}

/// A build without.
#[cfg(not(feature = "cuda"))]
mod gpu {
    use super::Failure;
    use sphc::plan::Plan;
    use sphc::runtime::Backend;
    use std::sync::Arc;

    const CAUSE: &str = "this build has no CUDA backend";

    pub(super) fn check(number: u32) -> Result<(), Failure> {
        Err(Failure::new(format!("device cuda:{number} is not available: {CAUSE}"), "use `--device cpu`"))
    }

    pub(super) fn usable() -> Result<(), String> {
        Err(CAUSE.to_owned())
    }

    pub(super) fn open(_: Arc<Plan>, number: u32) -> Result<Box<dyn Backend>, Failure> {
        check(number)?;
        Err(Failure::Reported)
    }
}
