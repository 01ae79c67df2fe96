//! Which device a plan runs on.

use super::args::PrecisionArg;
use super::failure::Failure;
use clap::Args;
use sphc::plan::Plan;
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use std::sync::Arc;

/// `--device`, `--precision`, `--threads`.
#[derive(Clone, Debug, Args)]
pub(super) struct DeviceArgs {
    /// auto, cpu, or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub(super) device: Device,
    /// Arithmetic and storage
    #[arg(long, value_enum, default_value_t)]
    pub(super) precision: PrecisionArg,
    /// CPU threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = super::args::positive)]
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

/// Fails early for a device or precision that this build does not have.
pub(super) fn check(args: &DeviceArgs) -> Result<(), Failure> {
    if let Device::Cuda(number) = args.device {
        return Err(Failure::new(
            format!("device cuda:{number} is not available: this build has no CUDA backend"),
            "use `--device cpu`",
        ));
    }
    args.precision.get()?;
    Ok(())
}

/// A session on the device, and one line that says which and why.
pub(super) fn open(args: &DeviceArgs, plan: Plan) -> Result<(Session, String), Failure> {
    check(args)?;
    let plan = Arc::new(plan);
    let backend = CpuBackend::new(plan.clone(), args.threads.map(|it| it as usize))?;
    let session = Session::new(plan, Box::new(backend))?;
    let what = session.backend.describe();
    let why = if args.device == Device::Auto { " (auto: this build has no CUDA backend)" } else { "" };
    Ok((session, format!("{what}{why}")))
}
