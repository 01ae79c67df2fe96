//! Which values lie in the arena in 16 bits, where the precision is bf16.
//!
//! Activations and their gradients, and the filters of convolutions, if every launch that touches them can read and write
//! such numbers. Sums, statistics, norms, logits, filter gradients, parameters and states stay in 32 bits. A convolution
//! takes both operands in 16 bits or neither, and only with channels that are multiples of eight; so a tensor that one
//! reader wants in 32 bits may keep others there, until nothing changes any more. A filter that stays in 32 bits, as
//! parameters do, gets a copy in 16.

use super::Plan;
use super::schedule::{Schedule, Step, VirtualBuffer};
use crate::ir::{DType, Graph, NodeId, Shape};
use crate::kernel::{ConvKernel, ConvKind, KernelSpec, MapKernel, Store};
use crate::target;
use std::collections::BTreeSet;

/// Channels that a convolution in 16 bits takes a multiple of.
const CHANNELS: usize = target::COMMON.channels_in_16_bits;
const TYPES_COME_FIRST: &str = "maps share launches once the types of their operands are known";

/// Rewrites the launches of a phase for the values that it returns, which lie in the arena in 16 bits.
pub(super) fn choose(schedule: &mut Schedule, graph: &Graph) -> BTreeSet<VirtualBuffer> {
    let mut in_bf16 = candidates(schedule, graph);
    loop {
        let before = in_bf16.len();
        for step in &schedule.steps {
            drop_what_must_stay_wide(step, &mut in_bf16);
        }
        if in_bf16.len() == before {
            break;
        }
    }
    let mut steps = Vec::with_capacity(schedule.steps.len());
    for mut step in std::mem::take(&mut schedule.steps) {
        if let Some((conv, filter)) = filter_of(&step)
            && takes_bf16(conv, &step, &in_bf16)
            && !in_bf16.contains(&filter)
            && let Some(id) = copied(filter)
        {
            let copy = VirtualBuffer::Bf16Copy(id);
            if in_bf16.insert(copy) {
                steps.push(conversion(filter, copy, id, graph));
            }
            step.inputs[1] = copy;
        }
        apply(&mut step, &in_bf16);
        steps.push(step);
    }
    schedule.steps = steps;
    in_bf16
}

/// The convolution of a step.
fn conv(step: &Step) -> Option<&ConvKernel> {
    match &step.spec {
        KernelSpec::Conv(conv) | KernelSpec::ConvMap { conv, .. } => Some(conv),
        _ => None,
    }
}

/// The filter that a step convolves with.
fn filter_of(step: &Step) -> Option<(&ConvKernel, VirtualBuffer)> {
    conv(step).filter(|it| it.kind != ConvKind::FilterGrad).map(|it| (it, step.inputs[1]))
}

/// The node of a place that can be copied to the arena ahead of a launch.
fn copied(filter: VirtualBuffer) -> Option<NodeId> {
    match filter {
        VirtualBuffer::Leaf(id) | VirtualBuffer::Value(id) => Some(id),
        VirtualBuffer::Target(_) | VirtualBuffer::Before(_) | VirtualBuffer::Bf16Copy(_) => None,
    }
}

fn candidates(schedule: &Schedule, graph: &Graph) -> BTreeSet<VirtualBuffer> {
    let filters: BTreeSet<VirtualBuffer> = schedule.steps.iter().filter_map(|it| Some(filter_of(it)?.1)).collect();
    let shapes: BTreeSet<&Shape> = filters.iter().filter_map(|it| copied(*it)).map(|it| graph.shape(it)).collect();
    let results: BTreeSet<&VirtualBuffer> = schedule.results.values().collect();
    let is_pixels = |id: NodeId| match graph.shape(id).dims() {
        &[n, h, w, c] => 1 < n * h * w && c.is_multiple_of(CHANNELS) && !shapes.contains(graph.shape(id)),
        _ => false,
    };
    let mut found = BTreeSet::new();
    for step in &schedule.steps {
        for (at, place) in step.outputs.iter().enumerate() {
            let VirtualBuffer::Value(id) = *place else { continue };
            let wanted = !results.contains(place) && (is_pixels(id) || filters.contains(place));
            if wanted && writes_short(&step.spec, at) {
                found.insert(*place);
            }
        }
    }
    found
}

/// Whether a kernel can write a result in 16 bits.
fn writes_short(spec: &KernelSpec, output: usize) -> bool {
    match spec {
        KernelSpec::Conv(conv) => conv.kind != ConvKind::FilterGrad,
        KernelSpec::Map(map) | KernelSpec::ConvMap { map, .. } => {
            map.outputs[output].store == Store::Full && map.outputs[output].dtype == DType::Real
        }
        KernelSpec::Window { .. } | KernelSpec::Transpose { .. } | KernelSpec::Assemble { .. } => true,
        KernelSpec::MatMul(_)
        | KernelSpec::Gather { .. }
        | KernelSpec::Augment { .. }
        | KernelSpec::Scatter { .. }
        | KernelSpec::AllReduce { .. }
        | KernelSpec::Loss { .. }
        | KernelSpec::Random { .. } => false,
        KernelSpec::Maps(_) | KernelSpec::MatMuls(_) => unreachable!("{TYPES_COME_FIRST}"),
    }
}

/// Whether a convolution reads both operands in 16 bits; a filter that is not there can be copied.
fn takes_bf16(conv: &ConvKernel, step: &Step, in_bf16: &BTreeSet<VirtualBuffer>) -> bool {
    let fits = [conv.input[2], conv.output[2]].iter().all(|it| it.is_multiple_of(CHANNELS));
    let copies = conv.kind != ConvKind::FilterGrad && copied(step.inputs[1]).is_some();
    fits && in_bf16.contains(&step.inputs[0]) && (copies || in_bf16.contains(&step.inputs[1]))
}

fn drop_what_must_stay_wide(step: &Step, in_bf16: &mut BTreeSet<VirtualBuffer>) {
    let mut keep_together = |places: &mut dyn Iterator<Item = &VirtualBuffer>| {
        let places: Vec<&VirtualBuffer> = places.collect();
        if !places.iter().all(|it| in_bf16.contains(it)) {
            places.iter().for_each(|it| _ = in_bf16.remove(it));
        }
    };
    match &step.spec {
        KernelSpec::Conv(conv) | KernelSpec::ConvMap { conv, .. } => {
            if !takes_bf16(conv, step, in_bf16) {
                step.inputs[..2].iter().for_each(|it| _ = in_bf16.remove(it));
            }
        }
        KernelSpec::Map(_) => {}
        KernelSpec::Window { .. } => keep_together(&mut step.inputs.iter()),
        KernelSpec::Transpose { .. } | KernelSpec::Assemble { .. } => {
            keep_together(&mut step.inputs.iter().chain(&step.outputs));
        }
        KernelSpec::MatMul(_)
        | KernelSpec::Gather { .. }
        | KernelSpec::Augment { .. }
        | KernelSpec::Scatter { .. }
        | KernelSpec::AllReduce { .. }
        | KernelSpec::Loss { .. }
        | KernelSpec::Random { .. } => {
            step.inputs.iter().chain(&step.outputs).for_each(|it| _ = in_bf16.remove(it));
        }
        KernelSpec::Maps(_) | KernelSpec::MatMuls(_) => unreachable!("{TYPES_COME_FIRST}"),
    }
}

/// A copy of a filter in 16 bits.
fn conversion(from: VirtualBuffer, to: VirtualBuffer, node: NodeId, graph: &Graph) -> Step {
    let spec = KernelSpec::Map(MapKernel::copy(graph.shape(node).len(), DType::Real, DType::Bf16));
    Step { spec, inputs: vec![from], outputs: vec![to], nodes: vec![node] }
}

/// Tells the kernel of a step what its operands are in memory.
fn apply(step: &mut Step, in_bf16: &BTreeSet<VirtualBuffer>) {
    let Step { spec, inputs, outputs, .. } = step;
    let mark = |place: VirtualBuffer, dtype: &mut DType| {
        if in_bf16.contains(&place) {
            *dtype = DType::Bf16;
        }
    };
    let map_types = |map: &mut MapKernel, skip: usize, inputs: &[VirtualBuffer], outputs: &[VirtualBuffer]| {
        map.inputs.iter_mut().skip(skip).zip(inputs).for_each(|(it, place)| mark(*place, &mut it.dtype));
        map.outputs.iter_mut().zip(outputs).for_each(|(it, place)| mark(*place, &mut it.dtype));
    };
    match spec {
        KernelSpec::Conv(conv) => {
            mark(inputs[0], &mut conv.reads);
            mark(outputs[0], &mut conv.writes);
        }
        KernelSpec::ConvMap { conv, map } => {
            mark(inputs[0], &mut conv.reads);
            map_types(map, 1, &inputs[2..], outputs);
        }
        KernelSpec::Map(map) => map_types(map, 0, inputs, outputs),
        KernelSpec::Window { reads, writes, .. } => {
            mark(inputs[0], reads);
            mark(outputs[0], writes);
        }
        KernelSpec::Transpose { dtype, .. } | KernelSpec::Assemble { dtype, .. } => mark(inputs[0], dtype),
        KernelSpec::MatMul(_)
        | KernelSpec::Gather { .. }
        | KernelSpec::Augment { .. }
        | KernelSpec::Scatter { .. }
        | KernelSpec::AllReduce { .. }
        | KernelSpec::Loss { .. }
        | KernelSpec::Random { .. } => {}
        KernelSpec::Maps(_) | KernelSpec::MatMuls(_) => unreachable!("{TYPES_COME_FIRST}"),
    }
}

impl Plan {
    /// The plan with reals and arithmetic of 32 bits throughout, as a CPU runs it; offsets are those of before, so it
    /// must be spread ([`Plan::spread`]).
    pub(crate) fn widened(mut self) -> Plan {
        let widen = |dtype: &mut DType| {
            if *dtype == DType::Bf16 {
                *dtype = DType::Real;
            }
        };
        if !self.precision.is_double() {
            self.precision = super::Precision::F32;
        }
        self.buffers.iter_mut().for_each(|it| widen(&mut it.dtype));
        let widen_map = |map: &mut MapKernel| {
            map.inputs.iter_mut().for_each(|it| widen(&mut it.dtype));
            map.outputs.iter_mut().for_each(|it| widen(&mut it.dtype));
        };
        for kernel in &mut self.kernels {
            match kernel {
                KernelSpec::Conv(conv) => [&mut conv.reads, &mut conv.writes].into_iter().for_each(widen),
                KernelSpec::ConvMap { conv, map } => {
                    widen(&mut conv.reads);
                    widen_map(map);
                }
                KernelSpec::Map(map) => widen_map(map),
                KernelSpec::Maps(all) => all.iter_mut().for_each(widen_map),
                KernelSpec::Window { reads, writes, .. } => [reads, writes].into_iter().for_each(widen),
                KernelSpec::Transpose { dtype, .. } | KernelSpec::Assemble { dtype, .. } => widen(dtype),
                KernelSpec::MatMul(_)
                | KernelSpec::MatMuls(_)
                | KernelSpec::Gather { .. }
                | KernelSpec::Augment { .. }
                | KernelSpec::Scatter { .. }
                | KernelSpec::AllReduce { .. }
                | KernelSpec::Loss { .. }
                | KernelSpec::Random { .. } => {}
            }
        }
        self
    }
}
