//! The second stage of reductions that several blocks share.

use super::text::{Text, file};
use super::{Argument, CudaLaunch};
use std::fmt::Write;

const THREADS: usize = 256;
/// Threads that share the partial results of one number of many.
pub(super) const SLICES: usize = 8;

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

/// Adds the stage to a unit, which has `moments.cu`: one row of blocks per part.
pub(super) fn combine(text: &mut Text, entry: &'static str, parts: &[Part]) -> CudaLaunch {
    text.file(file!("combine.cu"));
    let mut cases = String::new();
    for (number, it) in parts.iter().enumerate() {
        writeln!(cases, "        case {number}: return {};", it.call()).expect("a string takes all");
    }
    let results: Vec<usize> = parts.iter().flat_map(|it| it.whole.results()).collect();
    let parameters: Vec<String> = results.iter().map(|it| format!("float* to{it}")).collect();
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(COMBINE_THREADS)\n{entry}(const float* partial, {}) {{\n    \
         switch (blockIdx.y) {{\n{cases}    }}\n}}",
        parameters.join(", ")
    ));
    let mut arguments = vec![Argument::Scratch(0)];
    arguments.extend(results.iter().map(|it| Argument::Output(*it)));
    let widest = parts.iter().map(|it| it.width.div_ceil(THREADS / it.slices)).max().unwrap_or(1);
    let moments = parts.iter().any(|it| matches!(it.whole, Whole::Moments { .. }));
    CudaLaunch {
        entry,
        grid: [widest as u32, parts.len() as u32, 1],
        block: THREADS as u32,
        shared: (THREADS * if moments { 16 } else { 4 }) as u32,
        arguments,
    }
}
