//! Many maps, one after the other.

use super::kernel::{Kernel, Operand};
use super::map;
use super::memory::View;
use super::pool::{Context, Scratch};
use super::real::Real;
use crate::kernel::MapKernel;
use std::ops::Range;

/// The kernel.
struct Many(Vec<Member>);

/// A map, and its places among the operands and among the results.
struct Member {
    map: Box<dyn Kernel>,
    inputs: Range<usize>,
    outputs: Range<usize>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(maps: &[MapKernel]) -> Result<Box<dyn Kernel>, String> {
    let mut members: Vec<Member> = Vec::with_capacity(maps.len());
    for map in maps {
        let map = map::load::<R>(map)?;
        let (first_in, first_out) = members.last().map_or((0, 0), |it| (it.inputs.end, it.outputs.end));
        let inputs = first_in..first_in + map.inputs().len();
        let outputs = first_out..first_out + map.outputs().len();
        members.push(Member { map, inputs, outputs });
    }
    Ok(Box::new(Many(members)))
}

impl Kernel for Many {
    fn inputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.map.inputs()).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        self.0.iter().flat_map(|it| it.map.outputs()).collect()
    }

    fn scratch(&self) -> Scratch {
        self.0.iter().map(|it| it.map.scratch()).fold(Scratch::default(), Scratch::max)
    }

    fn may_alias(&self, input: usize, output: usize) -> bool {
        let own = self.0.iter().find(|it| it.inputs.contains(&input) && it.outputs.contains(&output));
        own.is_some_and(|it| it.map.may_alias(input - it.inputs.start, output - it.outputs.start))
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        for it in &self.0 {
            // SAFETY: each map gets its operands, which are as the launch's check asks of this kernel's.
            unsafe { it.map.run(context, &inputs[it.inputs.clone()], &outputs[it.outputs.clone()]) };
        }
    }
}
