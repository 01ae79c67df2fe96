//! Kernels that follow each other as one text: a node of a graph costs more than a microsecond before it does anything.

use super::{CudaSource, Options, epilogue, generate, map, simple};
use crate::kernel::{Join, KernelSpec};

/// Kernels as one, if that can be written; one by itself can. Operands and results are those of each in turn.
pub fn write(specs: &[&KernelSpec], options: &Options) -> Option<CudaSource> {
    match (Join::of(specs)?, specs) {
        (Join::Alone, [one]) => Some(generate(one, options)),
        (Join::Side, _) => simple::losses(specs),
        (Join::Window { .. }, [KernelSpec::Map(map), window]) => map::windowed(map, window),
        (Join::Columns, [KernelSpec::ConvMap { conv, map }, KernelSpec::Map(after)]) => {
            if conv.is_apart() {
                None
            } else {
                epilogue::mapped_then(conv, map, after, options)
            }
        }
        (Join::Columns, [KernelSpec::Map(map), KernelSpec::Map(after)]) => map::map_then(map, after),
        (Join::Rows { rows }, _) => map::over_rows(specs, rows),
        _ => None,
    }
}
