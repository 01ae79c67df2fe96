//! Checks a plan once, at load. A plan may come from a file, so nothing in it is taken for granted:
//! after these checks no launch can touch memory that is not its own.

use super::kernel::{Kernel, Operand, product};
use crate::ir::{DType, Precision};
use crate::plan::{Buffer, BufferId, BufferKind, Launch, Plan};

pub(super) use crate::kernel::windows as geometry;

/// Bytes of a buffer.
pub(super) fn bytes(buffer: &Buffer, precision: Precision) -> Result<usize, String> {
    Ok(product(buffer.shape.dims())? * precision.bytes(buffer.dtype))
}

/// Checks buffers apart from launches; gives their sizes in bytes.
pub(super) fn buffers(plan: &Plan) -> Result<Vec<usize>, String> {
    let size = |buffer: &Buffer| {
        let wrong = |cause: String| format!("buffer `{}`: {cause}", buffer.name);
        if buffer.dtype == DType::Bf16 {
            return Err(wrong("reals in 16 bits are for a GPU".to_owned()));
        }
        let bytes = bytes(buffer, plan.precision).map_err(wrong)?;
        if let BufferKind::Arena { offset } = buffer.kind {
            if offset % super::memory::ALIGN != 0 {
                return Err(wrong(format!("offset {offset} is not a multiple of {}", super::memory::ALIGN)));
            }
            if offset.checked_add(bytes).is_none_or(|end| plan.arena_bytes < end) {
                return Err(wrong(format!("{bytes} bytes at {offset} exceed the arena of {}", plan.arena_bytes)));
            }
        }
        Ok(bytes)
    };
    let sizes = plan.buffers.iter().map(size).collect::<Result<Vec<usize>, String>>()?;
    for result in plan.phases.values().flat_map(|it| it.results.values()) {
        if plan.buffers.len() <= result.0 as usize {
            return Err(format!("a result is in buffer {}, which is not there", result.0));
        }
    }
    Ok(sizes)
}

/// Checks that a launch gives its kernel what it asks for.
pub(super) fn launch(plan: &Plan, sizes: &[usize], launch: &Launch, kernel: &dyn Kernel) -> Result<(), String> {
    let wrong = |cause: String| format!("launch of kernel {} for `{}`: {cause}", launch.kernel, launch.layer);
    operands(plan, &launch.inputs, &kernel.inputs(), false).map_err(|it| wrong(format!("input {it}")))?;
    operands(plan, &launch.outputs, &kernel.outputs(), true).map_err(|it| wrong(format!("output {it}")))?;
    let place = |id: BufferId| {
        let at = id.0 as usize;
        match plan.buffers[at].kind {
            BufferKind::Arena { offset } => (usize::MAX, offset, offset + sizes[at]),
            _ => (at, 0, sizes[at]),
        }
    };
    let overlap = |a: (usize, usize, usize), b: (usize, usize, usize)| a.0 == b.0 && a.1 < b.2 && b.1 < a.2;
    for (at, &output) in launch.outputs.iter().enumerate() {
        for (other, &input) in launch.inputs.iter().enumerate() {
            let (a, b) = (place(output), place(input));
            if overlap(a, b) && !(a == b && kernel.may_alias(other, at)) {
                return Err(wrong(format!("output {at} overlaps input {other}")));
            }
        }
        if launch.outputs[..at].iter().any(|&it| overlap(place(it), place(output))) {
            return Err(wrong(format!("output {at} overlaps another output")));
        }
    }
    Ok(())
}

fn operands(plan: &Plan, given: &[BufferId], wanted: &[Operand], write: bool) -> Result<(), String> {
    if given.len() != wanted.len() {
        return Err(format!("operands: {} given, {} wanted", given.len(), wanted.len()));
    }
    for (at, (id, wanted)) in given.iter().zip(wanted).enumerate() {
        let Some(buffer) = plan.buffers.get(id.0 as usize) else {
            return Err(format!("{at} is buffer {}, which is not there", id.0));
        };
        if buffer.dtype != wanted.dtype {
            return Err(format!("{at} (`{}`) is {:?}, not {:?}", buffer.name, buffer.dtype, wanted.dtype));
        }
        let len = product(buffer.shape.dims())?;
        if len < wanted.len || (write && len != wanted.len) {
            return Err(format!("{at} (`{}`) has {len} elements, not {}", buffer.name, wanted.len));
        }
        if write && matches!(buffer.kind, BufferKind::Extern(_) | BufferKind::Const(_)) {
            return Err(format!("{at} (`{}`) can only be read", buffer.name));
        }
    }
    Ok(())
}
