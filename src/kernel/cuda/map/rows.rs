//! Maps that are done over the same rows in one launch: a block takes some rows through all of them, and waits in between for
//! what its own threads have written. What is summed over the rows is put together by a second launch.

use super::layout::over_rows as laid_out;
use super::{CudaSource, Unit, start};
use crate::kernel::cuda::combine::combine;
use crate::kernel::{KernelSpec, MapKernel};
use std::fmt::Write;

/// Maps over so many rows; nothing where a row is too long for a block.
pub(in crate::kernel::cuda) fn over_rows(specs: &[&KernelSpec], rows: usize) -> Option<CudaSource> {
    let map = |it: &&KernelSpec| if let KernelSpec::Map(map) = it { map.with_rows(rows) } else { None };
    let maps = specs.iter().map(map).collect::<Option<Vec<MapKernel>>>()?;
    let layouts = laid_out(&maps.iter().collect::<Vec<_>>(), rows)?;
    let blocks = u32::try_from(layouts.first()?.row_blocks).ok()?;
    let mut text = start();
    let mut unit = Unit::default();
    let mut body = String::new();
    let mut shared = 0;
    for (at, (map, layout)) in maps.iter().zip(layouts).enumerate() {
        let number = unit.add_with(map, Some(layout), &mut text);
        let kind = &unit.kinds[number];
        shared = kind.functions.shared.max(shared);
        let operands = kind.members.last()?;
        let wait = if at == 0 { "" } else { "    __syncthreads();\n" };
        writeln!(body, "{wait}    map{number}::all({{{operands}}}, blockIdx.x);").expect("a string takes all");
    }
    let mut launches = vec![unit.launch(&mut text, "map", true, &body, (blocks, shared))];
    if !unit.parts.is_empty() {
        launches.push(combine(&mut text, "map_combine", &unit.parts, None));
    }
    Some(CudaSource { text: text.finish(), launches, scratch: unit.scratch * 4, counters: 0 })
}
