//! (Unstable.) The devices that plans are for, as far as fusion and planning must know them: what each computes in, and its limits.
//!
//! A plan is made before it is known where it runs, so it keeps within the limits of all of them, [`COMMON`]. How a device
//! is opened and programmed is its backend's (`runtime`); nothing here names a type of one.

use crate::ir::Precision;

/// What kernels of a plan must keep within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most operands of one fused kernel.
    pub kernel_inputs: usize,
    /// Most results of one fused kernel.
    pub kernel_outputs: usize,
    /// Most operands and results of one launch that does what several kernels do.
    pub launch_operands: usize,
    /// Of how many the channels of a convolution are a multiple, if it reads operands of 16 bits.
    pub channels_in_16_bits: usize,
}

impl Limits {
    /// None at all.
    const NONE: Limits = Limits {
        kernel_inputs: usize::MAX,
        kernel_outputs: usize::MAX,
        launch_operands: usize::MAX,
        channels_in_16_bits: 1,
    };

    /// What keeps within both.
    const fn and(self, other: Limits) -> Limits {
        const fn least(a: usize, b: usize) -> usize {
            if a < b { a } else { b }
        }
        const fn multiple(a: usize, b: usize) -> usize {
            let (mut divisor, mut rest) = (a, b);
            while rest != 0 {
                (divisor, rest) = (rest, divisor % rest);
            }
            a / divisor * b
        }
        Limits {
            kernel_inputs: least(self.kernel_inputs, other.kernel_inputs),
            kernel_outputs: least(self.kernel_outputs, other.kernel_outputs),
            launch_operands: least(self.launch_operands, other.launch_operands),
            channels_in_16_bits: multiple(self.channels_in_16_bits, other.channels_in_16_bits),
        }
    }
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it is named on the command line.
    pub name: &'static str,
    /// What it computes in.
    pub precisions: &'static [Precision],
    /// What it can take.
    pub limits: Limits,
}

impl Target {
    /// Whether it computes in a precision.
    pub fn takes(&self, precision: Precision) -> bool {
        self.precisions.contains(&precision)
    }
}

/// The processor. Its kernels are loops over whatever there is.
pub const CPU: Target = Target { name: "cpu", precisions: &[Precision::F32, Precision::F64], limits: Limits::NONE };

/// NVIDIA's GPUs.
pub const CUDA: Target = Target {
    name: "cuda",
    precisions: &[Precision::F32, Precision::Tf32, Precision::Bf16],
    limits: Limits {
        // Addresses and results of a thread lie in its registers.
        kernel_inputs: 24,
        kernel_outputs: 12,
        // A kernel takes 4096 bytes of arguments, eight for each operand, for its scratch space and its counters.
        launch_operands: 510,
        // What the smallest copy of tensor cores' operands holds: 16 bytes.
        channels_in_16_bits: 8,
    },
};

/// All of them.
pub const TARGETS: [Target; 2] = [CPU, CUDA];

/// What keeps within the limits of all of them.
pub const COMMON: Limits = {
    let (mut all, mut at) = (Limits::NONE, 0);
    while at < TARGETS.len() {
        all = all.and(TARGETS[at].limits);
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_has_a_target() {
        for precision in Precision::ALL {
            assert!(TARGETS.iter().any(|it| it.takes(precision)), "{precision:?}");
        }
    }

    #[test]
    fn what_all_take_is_the_least_and_a_common_multiple() {
        let other = Limits { kernel_inputs: 30, kernel_outputs: 6, launch_operands: 31, channels_in_16_bits: 12 };
        let both = CUDA.limits.and(other);
        assert_eq!(both, Limits { kernel_inputs: 24, kernel_outputs: 6, launch_operands: 31, channels_in_16_bits: 24 });
        assert_eq!(both, other.and(CUDA.limits));
        assert_eq!(Limits::NONE.and(other), other);
    }
}
