//! Judges a model on a device: its gradients against differences, its kernels against the interpreter.

mod bound;
mod gradients;
mod kernels;
mod meaning;

pub use gradients::{GradientCheck, Gradients, gradients};
pub use kernels::{KernelCheck, bind_noise, kernels};
pub use meaning::execute;
