//! Engines against each other and the interpreter: the CPU, generated CUDA through NVRTC and the emulator, random programs.

pub(crate) mod agreement;
pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub(crate) mod emulate;
pub(crate) mod engines;
pub(crate) mod random;
pub(crate) mod verify;
