//! (Unstable.) Judges a model on a device: its gradients against differences, its kernels against the interpreter.

mod bound;
mod contraction;
mod frozen;
mod gradients;
mod kernels;
mod loss;
mod meaning;

pub use gradients::{GradientCheck, Gradients, gradients};
pub use kernels::{Comparison, KernelCheck, bind_noise, kernels, launch};
pub use meaning::execute;
