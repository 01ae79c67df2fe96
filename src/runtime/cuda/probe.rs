//! What CUDA there is, without ever panicking where there is none.

use super::compiler::{self, Compiler};
use super::guard::guarded;
use crate::runtime::CudaSetup;
use cudarc::driver::{result, sys};

/// A device, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// For people.
    pub name: String,
    /// Compute capability.
    pub capability: (i32, i32),
    /// Multiprocessors.
    pub processors: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// Highest clock of the multiprocessors, in kHz; 0 when the driver does not say.
    pub clock: usize,
    /// Bytes per second from and to memory; 0 when the driver does not say.
    pub bandwidth: usize,
}

/// A driver that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The newest CUDA it knows: `(13, 0)`.
    pub version: (i32, i32),
    /// In the driver's order; at least one.
    pub devices: Vec<DeviceInfo>,
}

/// Why something is missing, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// What there is.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Driver and devices.
    pub driver: Result<Driver, Missing>,
    /// Version of NVRTC, which compiles kernels.
    pub compiler: Result<(i32, i32), Missing>,
    /// What it compiles for on each device.
    pub architectures: Vec<String>,
    /// Where compiled kernels are kept.
    pub cache: Option<std::path::PathBuf>,
}

impl Driver {
    /// What is likely to be wrong with what this compiler makes, if anything: a driver loads code of its own major
    /// version, or of one before.
    pub fn refuses(&self, (major, minor): (i32, i32)) -> Option<Missing> {
        let (newest, of) = self.version;
        (newest < major).then(|| Missing {
            cause: format!("NVRTC is {major}.{minor}, and the driver knows CUDA up to {newest}.{of} only"),
            remedy: format!("install a newer driver, or NVRTC {newest}: `pip install nvidia-cuda-nvrtc-cu{newest}`"),
        })
    }
}

/// Looks for driver, devices and compiler.
pub fn probe(setup: &CudaSetup) -> Probe {
    let (driver, compiler) = (driver(setup), Compiler::new(setup));
    let architectures = match (&driver, &compiler) {
        (Ok(driver), Ok(it)) => driver.devices.iter().map(|device| it.architecture(device.capability)).collect(),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Vec::new(),
    };
    Probe { driver, compiler: compiler.map(|it| it.version()), architectures, cache: setup.cache.clone() }
}

/// Why the first device cannot train, if so. Without a driver nothing else is looked for.
pub fn usable(setup: &CudaSetup) -> Result<(), String> {
    let driver = driver(setup).map_err(|it| it.cause)?;
    if let Some(device) = driver.devices.first().filter(|it| it.capability < (8, 0)) {
        return Err(format!("{} is older than the kernels need", device.name));
    }
    Compiler::new(setup).map(|_| ()).map_err(|it| it.cause)
}

/// A toolkit brings a library of the driver's name to link against, in a folder `stubs`.
const STUB: &str = "the libcuda.so that was found is a toolkit's stub, not a driver";
const STUB_REMEDY: &str = "take the folder `stubs` out of LD_LIBRARY_PATH";

const REMEDY: &str = "install NVIDIA's driver, or use `--device cpu`";

/// Driver and devices.
pub(super) fn driver(setup: &CudaSetup) -> Result<Driver, Missing> {
    compiler::preload_driver(setup);
    let missing = |cause: String| Missing { cause, remedy: REMEDY.to_owned() };
    // SAFETY: opens a library by name; nothing else.
    if !unsafe { sys::is_culib_present() } {
        return Err(missing("there is no NVIDIA driver (libcuda.so.1)".to_owned()));
    }
    // An old driver lacks symbols, which the bindings answer with a panic.
    match guarded(ask) {
        Ok(Ok(driver)) => Ok(driver),
        Ok(Err(cause)) if cause == STUB => Err(Missing { cause, remedy: STUB_REMEDY.to_owned() }),
        Ok(Err(cause)) => Err(missing(cause)),
        Err(_) => Err(missing("the NVIDIA driver is too old".to_owned())),
    }
}

fn ask() -> Result<Driver, String> {
    let words = |error: cudarc::driver::DriverError| error.to_string();
    result::init().map_err(|it| match it.0 {
        sys::CUresult::CUDA_ERROR_STUB_LIBRARY => STUB.to_owned(),
        _ => format!("the NVIDIA driver does not start: {}", words(it)),
    })?;
    let count = result::device::get_count().map_err(|it| format!("the driver finds no device: {}", words(it)))?;
    if count < 1 {
        return Err("the driver finds no device".to_owned());
    }
    let mut version = 0;
    // SAFETY: writes one int.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(words)?;
    let mut devices = Vec::new();
    for ordinal in 0..count {
        let device = result::device::get(ordinal).map_err(words)?;
        use sys::CUdevice_attribute as Attribute;
        // SAFETY: `device` came from the driver.
        let attribute = |which| unsafe { result::device::get_attribute(device, which) }.map_err(words);
        let number = |which| attribute(which).map(|it| usize::try_from(it).unwrap_or(0)).unwrap_or(0);
        let memory_clock = number(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
        let bus = number(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
        devices.push(DeviceInfo {
            name: result::device::get_name(device).map_err(words)?,
            capability: (
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            processors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1) as usize,
            // SAFETY: as above.
            memory: unsafe { result::device::total_mem(device) }.map_err(words)?,
            clock: number(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
            // Two transfers a clock, `bus` bits wide.
            bandwidth: 2 * 1000 * memory_clock * bus / 8,
        });
    }
    Ok(Driver { version: (version / 1000, version % 1000 / 10), devices })
}
