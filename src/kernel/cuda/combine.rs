//! The second stage of reductions that several blocks share.

use super::contraction::Tile;
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, map};
use crate::kernel::{MapKernel, MatMulKernel};
use std::fmt::Write;

const THREADS: usize = 256;

/// Threads that share the partial results of one number of many: each takes some sixteen, which are on their way at once.
pub(super) fn slices(partials: usize) -> usize {
    partials.div_ceil(16).next_power_of_two().clamp(8, 32)
}

/// Most bytes of partial results that one block reads, the last of those that made them. A launch of its own costs some
/// 1.25 us until the next can start (measured on an H100 for graphs in a line) and 1.6 us at the least for its loads, sums
/// and stores; the last block costs a fence and a counter, some 1400 cycles, and then its bytes at what the L2 cache gives a
/// multiprocessor. At 1.75 GHz both take as long at 80 KB; twice that is 1 us slower, and spares the driver a node.
const LAST: usize = 96 << 10;

/// Cycles that the last block takes to put such bytes of partial results together.
pub(super) fn last_block(bytes: usize) -> f64 {
    1400.0 + bytes as f64 / 24.0
}

/// Whether the last block of a tile can add up the shares of a matrix product.
pub(super) fn within_reach(split: usize, tile: &Tile, product: &MatMulKernel) -> bool {
    // Each thread has a number of every share on its way at once.
    split <= 16 && split * product.m.min(tile.m) * product.n.min(tile.n) * 4 <= LAST
}

/// What partial results are put together to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whole {
    /// The sum, in this result of the kernel.
    Sum(usize),
    /// The maximum.
    Max(usize),
    /// A mean, a variance or both.
    Moments {
        /// Which result is the mean.
        mean: Option<usize>,
        /// Which result is the variance.
        variance: Option<usize>,
        /// Where the counts of the partial results start in the scratch space, in floats.
        counts: usize,
    },
}

impl Whole {
    /// The same with results counted from `outputs` on, and the scratch space from `from` on.
    pub(super) fn moved(self, outputs: usize, from: usize) -> Whole {
        match self {
            Whole::Sum(at) => Whole::Sum(outputs + at),
            Whole::Max(at) => Whole::Max(outputs + at),
            Whole::Moments { mean, variance, counts } => {
                let moved = |it: Option<usize>| it.map(|it| outputs + it);
                Whole::Moments { mean: moved(mean), variance: moved(variance), counts: from + counts }
            }
        }
    }

    fn results(self) -> impl Iterator<Item = usize> {
        let all = match self {
            Whole::Sum(at) | Whole::Max(at) => [Some(at), None],
            Whole::Moments { mean, variance, .. } => [mean, variance],
        };
        all.into_iter().flatten()
    }
}

/// The partial results of one result, or of a mean and a variance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) whole: Whole,
    /// Threads for each number.
    pub(super) slices: usize,
    /// Where they start in the scratch space, in floats.
    pub(super) from: usize,
    /// How many for each number.
    pub(super) partials: usize,
    /// Numbers.
    pub(super) width: usize,
}

impl Part {
    fn call(&self) -> String {
        let Part { slices, from, partials, width, .. } = *self;
        let sum = |maximum: bool, at: usize| {
            format!("combine_partials<{slices}, {maximum}>(partial + {from}, to{at}, {partials}, {width})")
        };
        match self.whole {
            Whole::Sum(at) => sum(false, at),
            Whole::Max(at) => sum(true, at),
            Whole::Moments { mean, variance, counts } => {
                let name = |it: Option<usize>| it.map_or("nullptr".to_owned(), |it| format!("to{it}"));
                let (mean, variance) = (name(mean), name(variance));
                format!(
                    "combine_moments<{slices}>(partial + {from}, partial + {counts}, {mean}, {variance}, {partials}, {width})"
                )
            }
        }
    }
}

/// Where moments of `partials` blocks over `width` numbers lie in the scratch space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staged {
    /// Of the first, in floats.
    pub(super) from: usize,
    /// How many there are.
    pub(super) moments: usize,
    pub(super) partials: usize,
    pub(super) width: usize,
}

impl Staged {
    /// Floats: three planes of each, then the counts, which all have in common.
    pub(super) fn len(&self) -> usize {
        if self.moments == 0 { 0 } else { self.moments * 3 * self.partials * self.width + self.partials }
    }

    fn plane(&self, moments: usize, plane: usize) -> usize {
        self.from + (moments * 3 + plane) * self.partials * self.width
    }

    fn counts(&self) -> usize {
        self.plane(self.moments, 0)
    }

    /// What the second stage goes on with.
    pub(super) fn part(&self, number: usize, mean: Option<usize>, variance: Option<usize>, slices: usize) -> Part {
        let whole = Whole::Moments { mean, variance, counts: self.counts() };
        Part { whole, slices, from: self.plane(number, 0), partials: self.partials, width: self.width }
    }

    /// `name(to, o, at, value, count)`: stores the moments that a block made; `to` is declared as said, `at` of this type.
    pub(super) fn put(&self, name: &str, to: &str, at: &str) -> String {
        let mut text = format!(
            "__device__ __forceinline__ void {name}(const {to}& to, int o, {at} at, const Moments& value, float count) {{\n"
        );
        let mut line = |line: String| writeln!(text, "    {line}").expect("a string takes all");
        for o in 0..self.moments {
            let planes = ["pivot", "shift", "squares"].into_iter().enumerate();
            let all = planes.map(|(plane, field)| format!("to.partial[{} + at] = value.{field}", self.plane(o, plane)));
            line(format!("if (o == {o}) {};", all.collect::<Vec<_>>().join(", ")));
        }
        if self.moments != 0 {
            line(format!(
                "if (at % {width} == 0) to.partial[{} + at / {width}] = count;",
                self.counts(),
                width = self.width
            ));
        }
        text + "}"
    }
}

/// A map over channels, without reductions, behind the sums of each.
#[derive(Clone, Copy)]
pub(super) struct Then<'a> {
    pub(super) map: &'a MapKernel,
    /// Its first operand and its first result among those of the launch.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// Adds the stage to a unit, which has `moments.cu`: one row of blocks per part. With a map behind it, which takes the
/// scalar functions and `vector.cu`, a block makes all parts of its channels.
pub(super) fn combine(text: &mut Text, entry: &'static str, parts: &[Part], then: Option<Then<'_>>) -> CudaLaunch {
    text.once(file!("combine.cu"));
    let results: Vec<usize> = parts.iter().flat_map(|it| it.whole.results()).collect();
    let mut parameters: Vec<String> = results.iter().map(|it| format!("float* to{it}")).collect();
    let mut arguments = vec![Argument::Scratch(0)];
    arguments.extend(results.iter().map(|it| Argument::Output(*it)));
    let widest = parts.iter().map(|it| it.width.div_ceil(THREADS / it.slices)).max().unwrap_or(1);
    let mut body = String::new();
    let mut line = |line: String| writeln!(body, "{line}").expect("a string takes all");
    if let Some(Then { map, inputs, outputs }) = then {
        text.code("namespace then {");
        map::elements(map, text);
        text.code("}");
        let names = |name: &'static str, count: usize| (0..count).map(move |it| format!("{name}{it}"));
        let types = map.inputs.iter().map(|it| format!("const {}*", element(it.dtype)));
        parameters.extend(types.zip(names("then_in", map.inputs.len())).map(|(it, name)| format!("{it} {name}")));
        let types = map.outputs.iter().map(|it| format!("{}*", element(it.dtype)));
        parameters.extend(types.zip(names("then_out", map.outputs.len())).map(|(it, name)| format!("{it} {name}")));
        arguments.extend((0..map.inputs.len()).map(|it| Argument::Input(inputs + it)));
        arguments.extend((0..map.outputs.len()).map(|it| Argument::Output(outputs + it)));
        for it in parts {
            line(format!("    {};\n    __syncthreads();", it.call()));
        }
        let all: Vec<String> = names("then_in", map.inputs.len()).chain(names("then_out", map.outputs.len())).collect();
        let columns = THREADS / parts[0].slices;
        line(format!("    if (threadIdx.x < {columns})"));
        line(format!(
            "        then::map_element({{{}, nullptr}}, blockIdx.x * {columns} + threadIdx.x);",
            all.join(", ")
        ));
    } else {
        line("    switch (blockIdx.y) {".to_owned());
        for (number, it) in parts.iter().enumerate() {
            line(format!("        case {number}: return {};", it.call()));
        }
        line("    }".to_owned());
    }
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(COMBINE_THREADS)\n{entry}(const float* partial, {}) {{\n{body}}}",
        parameters.join(", ")
    ));
    let moments = parts.iter().any(|it| matches!(it.whole, Whole::Moments { .. }));
    CudaLaunch {
        entry,
        grid: [widest as u32, if then.is_some() { 1 } else { parts.len() as u32 }, 1],
        block: THREADS as u32,
        shared: (THREADS * if moments { 16 } else { 4 }) as u32,
        arguments,
    }
}
