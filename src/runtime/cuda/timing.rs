//! Time of each launch, by events between them, and what the device could do at best.

use super::CudaBackend;
use super::probe::DeviceInfo;
use crate::ir::Phase;
use crate::kernel::cuda::Arithmetic;
use crate::runtime::Peaks;
use cudarc::driver::sys::{CUevent, CUevent_flags, CUresult};
use cudarc::driver::{CudaEvent, DriverError};

impl CudaBackend {
    /// Runs a phase without its graph, with an event ahead of every launch and one at the end. A launch that shares the
    /// kernels of the one before takes nothing of its own.
    pub(super) fn seconds_by_launch(&self, phase: Phase) -> Result<Vec<f64>, DriverError> {
        let mut events: Vec<CudaEvent> = Vec::new();
        let timed = Some(CUevent_flags::CU_EVENT_DEFAULT);
        self.launch(phase, |_| {
            events.push(self.stream.record_event(timed)?);
            Ok(())
        })?;
        events.push(self.stream.record_event(timed)?);
        self.stream.synchronize()?;
        let mut seconds = Vec::new();
        for (it, unit) in events.windows(2).zip(self.units(phase)) {
            seconds.push(elapsed(it[0].cu_event(), it[1].cu_event())?);
            seconds.resize(unit.launches.end, 0.0);
        }
        Ok(seconds)
    }
}

/// Seconds between two events. The bindings ask for the newest name of this function, which drivers before 12.8 do not
/// have; the older one is in all of them.
fn elapsed(from: CUevent, to: CUevent) -> Result<f64, DriverError> {
    type Elapsed = unsafe extern "C" fn(*mut f32, CUevent, CUevent) -> CUresult;
    let missing = DriverError(CUresult::CUDA_ERROR_NOT_FOUND);
    // SAFETY: the driver is loaded already; this only finds it again.
    let library = unsafe { libloading::Library::new("libcuda.so.1") }.map_err(|_| missing)?;
    let mut milliseconds = 0.0f32;
    // SAFETY: the signature is that of the driver's interface; both events were recorded and have passed.
    unsafe {
        let function = library.get::<Elapsed>(b"cuEventElapsedTime\0").map_err(|_| missing)?;
        function(&mut milliseconds, from, to).result()?;
    }
    Ok(f64::from(milliseconds) * 1e-3)
}

/// Operations per clock of a multiprocessor, by compute capability: fp32, and tensor cores in bf16 (half of that in
/// tf32), as in NVIDIA's tables.
const PER_CLOCK: [((i32, i32), f64, f64); 8] = [
    ((8, 0), 128.0, 2048.0),
    ((8, 6), 256.0, 512.0),
    ((8, 7), 256.0, 1024.0),
    ((8, 9), 256.0, 1024.0),
    ((9, 0), 256.0, 4096.0),
    ((10, 0), 256.0, 8192.0),
    ((10, 3), 256.0, 8192.0),
    ((12, 0), 256.0, 1024.0),
];

/// What a device can do at best; nothing for one that is not in the table or does not tell its clocks.
pub(super) fn peaks(device: &DeviceInfo, arithmetic: Arithmetic) -> Option<Peaks> {
    let (_, scalar, tensor) = PER_CLOCK.into_iter().find(|it| it.0 == device.capability)?;
    if device.clock == 0 || device.bandwidth == 0 {
        return None;
    }
    let clocks = 1e3 * device.clock as f64 * device.processors as f64;
    let contraction = match arithmetic {
        Arithmetic::F32 => scalar,
        Arithmetic::Tf32 => tensor / 2.0,
        Arithmetic::Bf16 => tensor,
    };
    Some(Peaks { contraction: clocks * contraction, scalar: clocks * scalar, bytes: device.bandwidth as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_those_of_the_data_sheet() {
        // NVIDIA A100-SXM4-40GB: 312 TFLOP/s in bf16, 156 in tf32, 19.5 in fp32.
        let device = DeviceInfo {
            name: "A100".into(),
            capability: (8, 0),
            processors: 108,
            memory: 40 << 30,
            clock: 1_410_000,
            bandwidth: 1_555_000_000_000,
        };
        let of = |arithmetic| peaks(&device, arithmetic).unwrap().contraction / 1e12;
        assert!((of(Arithmetic::Bf16) - 312.0).abs() < 1.0);
        assert!((of(Arithmetic::Tf32) - 156.0).abs() < 0.5);
        assert!((of(Arithmetic::F32) - 19.5).abs() < 0.1);
        assert_eq!(peaks(&DeviceInfo { clock: 0, ..device }, Arithmetic::F32), None);
    }
}
