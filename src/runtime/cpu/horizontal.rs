//! Many kernels, one after the other.

use super::kernel::{Kernel, Operand};
use super::memory::View;
use super::pool::{Context, Scratch};
use std::ops::Range;

/// The kernel.
struct Many(Vec<Member>);

/// A kernel, and its places among the operands and among the results.
struct Member {
    kernel: Box<dyn Kernel>,
    inputs: Range<usize>,
    outputs: Range<usize>,
}

/// A launch of several kernels that were checked.
pub(super) fn of(kernels: impl Iterator<Item = Result<Box<dyn Kernel>, String>>) -> Result<Box<dyn Kernel>, String> {
    let mut members: Vec<Member> = Vec::new();
    for kernel in kernels {
        let kernel = kernel?;
        let (first_in, first_out) = members.last().map_or((0, 0), |it| (it.inputs.end, it.outputs.end));
        let inputs = first_in..first_in + kernel.inputs().len();
        let outputs = first_out..first_out + kernel.outputs().len();
        members.push(Member { kernel, inputs, outputs });
    }
    Ok(Box::new(Many(members)))
}

impl Kernel for Many {
    fn inputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.kernel.inputs()).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.kernel.outputs()).collect()
    }

    fn scratch(&self) -> Scratch {
        self.0.iter().map(|it| it.kernel.scratch()).fold(Scratch::default(), Scratch::max)
    }

    fn may_alias(&self, input: usize, output: usize) -> bool {
        let own = self.0.iter().find(|it| it.inputs.contains(&input) && it.outputs.contains(&output));
        own.is_some_and(|it| it.kernel.may_alias(input - it.inputs.start, output - it.outputs.start))
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        for it in &self.0 {
            // SAFETY: each kernel gets its operands, which are as the launch's check asks of this kernel's.
            unsafe { it.kernel.run(context, &inputs[it.inputs.clone()], &outputs[it.outputs.clone()]) };
        }
    }
}
