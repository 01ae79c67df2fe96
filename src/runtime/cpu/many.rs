//! Many maps, one after the other.

use super::kernel::{Kernel, Operand};
use super::map;
use super::memory::View;
use super::pool::{Context, Scratch};
use super::real::Real;
use crate::kernel::MapKernel;
use std::ops::Range;

/// The kernel: each map with its places among the operands and among the results.
struct Many(Vec<(Box<dyn Kernel>, Range<usize>, Range<usize>)>);

/// Checks a kernel.
pub(super) fn load<R: Real>(maps: &[MapKernel]) -> Result<Box<dyn Kernel>, String> {
    let (mut inputs, mut outputs) = (0, 0);
    let mut next = |map: &MapKernel| {
        let kernel = map::load::<R>(map)?;
        let (read, written) = (inputs..inputs + kernel.inputs().len(), outputs..outputs + kernel.outputs().len());
        (inputs, outputs) = (read.end, written.end);
        Ok((kernel, read, written))
    };
    Ok(Box::new(Many(maps.iter().map(&mut next).collect::<Result<_, String>>()?)))
}

impl Kernel for Many {
    fn inputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.0.inputs()).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.0.outputs()).collect()
    }

    fn scratch(&self) -> Scratch {
        self.0.iter().map(|it| it.0.scratch()).fold(Scratch::default(), Scratch::max)
    }

    fn may_alias(&self, input: usize, output: usize) -> bool {
        let own = |(map, inputs, outputs): &(Box<dyn Kernel>, Range<usize>, Range<usize>)| {
            inputs.contains(&input)
                && outputs.contains(&output)
                && map.may_alias(input - inputs.start, output - outputs.start)
        };
        self.0.iter().any(own)
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        for (map, own, results) in &self.0 {
            // SAFETY: each map gets its operands, which are as the launch's check asks of this kernel's.
            unsafe { map.run(context, &inputs[own.clone()], &outputs[results.clone()]) };
        }
    }
}
