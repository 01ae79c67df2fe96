//! The second stage of sums and maxima that several blocks share.

use super::text::{Text, file};
use super::{Argument, CudaLaunch};
use std::fmt::Write;

const THREADS: usize = 256;
/// Threads that share the partial results of one number of many.
pub(super) const SLICES: usize = 8;

/// The partial results of one result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Which result of the kernel.
    pub(super) output: usize,
    /// Threads for each number.
    pub(super) slices: usize,
    /// A maximum, not a sum.
    pub(super) maximum: bool,
    /// Where they start in the scratch space, in floats.
    pub(super) from: usize,
    /// How many for each number.
    pub(super) partials: usize,
    /// Numbers.
    pub(super) width: usize,
}

/// Adds the stage to a unit: one row of blocks per result.
pub(super) fn combine(text: &mut Text, entry: &'static str, parts: &[Part]) -> CudaLaunch {
    text.file(file!("combine.cu"));
    let mut cases = String::new();
    for (number, it) in parts.iter().enumerate() {
        writeln!(
            cases,
            "        case {number}: return combine_partials<{}, {}>(partial + {}, to{number}, {}, {});",
            it.slices, it.maximum, it.from, it.partials, it.width
        )
        .expect("a string takes all");
    }
    let parameters: Vec<String> = (0..parts.len()).map(|it| format!("float* to{it}")).collect();
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(COMBINE_THREADS)\n{entry}(const float* partial, {}) {{\n    \
         switch (blockIdx.y) {{\n{cases}    }}\n}}",
        parameters.join(", ")
    ));
    let mut arguments = vec![Argument::Scratch(0)];
    arguments.extend(parts.iter().map(|it| Argument::Output(it.output)));
    let widest = parts.iter().map(|it| it.width.div_ceil(THREADS / it.slices)).max().unwrap_or(1);
    CudaLaunch {
        entry,
        grid: [widest as u32, parts.len() as u32, 1],
        block: THREADS as u32,
        shared: (THREADS * 4) as u32,
        arguments,
    }
}
