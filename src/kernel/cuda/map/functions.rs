//! The functions of one map: what its file asks for, and how its blocks are shared out.

use super::THREADS;
use super::layout::{Layout, ReductionClass, layout, reduced, reduction, with_rows};
use crate::ir::{DType, ExprNode, Reduction, Scalar, Unary};
use crate::kernel::cuda::blocks;
use crate::kernel::cuda::combine::{Part, Staged, Whole, slices};
use crate::kernel::cuda::drawn;
use crate::kernel::cuda::expression::{Number, statements};
use crate::kernel::cuda::text::{Text, element, file};
use crate::kernel::{MapKernel, Moments};
use std::fmt::Write;

/// The coordinate of each axis, from a variable that counts the given axes in row-major order.
pub(in crate::kernel::cuda) fn coordinates(dims: &[usize], variable: &str, axes: &[usize], to: &mut [String]) {
    let mut tail = 1usize;
    for (position, &axis) in axes.iter().enumerate().rev() {
        let divided = if tail == 1 { variable.to_owned() } else { format!("{variable} / {tail}") };
        to[axis] = if position == 0 { divided } else { format!("{divided} % {}", dims[axis]) };
        tail *= dims[axis];
    }
}

/// Which element of an operand belongs to coordinates.
pub(in crate::kernel::cuda) fn offset(spec: &MapKernel, input: usize, coordinates: &[String]) -> String {
    let strides = &spec.inputs[input].strides;
    let terms: Vec<String> = (0..strides.len())
        .filter(|&axis| strides[axis] != 0 && spec.dims[axis] != 1)
        .map(|axis| match strides[axis] {
            1 => format!("({})", coordinates[axis]),
            stride => format!("({}) * (whole){stride}", coordinates[axis]),
        })
        .collect();
    if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") }
}

/// What a launch must know of a map.
pub(super) struct Functions {
    /// Blocks of `axes(args, block)`, which makes results reduced over axes that are neither outer nor inner.
    pub(super) axes_blocks: u32,
    /// Blocks of `all(args, block)`, which makes the other results.
    pub(super) blocks: u32,
    /// Rows of a block, and how many blocks share the columns.
    pub(super) block_rows: usize,
    pub(super) column_blocks: usize,
    /// Whether threads of `all` take rows, not one element each.
    pub(super) by_rows: bool,
    /// Dynamic shared memory of either, in bytes.
    pub(super) shared: usize,
    /// Scratch space, in numbers.
    pub(super) scratch: usize,
    /// What a second stage goes on with.
    pub(super) parts: Vec<Part>,
}

/// Writes the functions of a map.
pub(super) fn write(spec: &MapKernel, text: &mut Text) -> Functions {
    let split = with_rows(spec);
    let spec = split.as_ref().unwrap_or(spec);
    laid_out(spec, layout(spec), false, text)
}

/// The same of a map without reductions of which `map_element` is called for single elements.
pub(super) fn write_elements(spec: &MapKernel, text: &mut Text) {
    laid_out(spec, Layout { vector: 1, per_thread: 1, ..layout(spec) }, false, text);
}

/// With its space laid out so; `over_rows` if threads take rows in any case.
pub(super) fn laid_out(spec: &MapKernel, layout: Layout, over_rows: bool, text: &mut Text) -> Functions {
    let furthest = |strides: &[usize]| -> usize {
        strides.iter().zip(&spec.dims).map(|(stride, dim)| stride * dim.saturating_sub(1)).sum()
    };
    let largest = spec.inputs.iter().map(|it| furthest(&it.strides)).max().unwrap_or(0);
    let size: usize = spec.dims.iter().product();
    // Rows are counted to the end of the last block of them.
    let beyond = (size + THREADS).max(layout.row_blocks * layout.block_rows);
    let whole = if i32::try_from(largest.max(beyond)).is_ok() { "int" } else { "i64" };
    // One number costs nothing, and all that it is used for is as exact as it is: corrections of a bias, rates of a schedule. Angles in
    // double precision would be reduced by a function with a stack.
    let angles = |it: &ExprNode| matches!(it, ExprNode::Unary(Unary::Sin | Unary::Cos, _));
    let double =
        size == 1 && !spec.body.nodes.iter().any(angles) || spec.outputs.iter().any(|it| it.dtype == DType::Int);
    let number = if double { Number::Double } else { Number::Float };
    Writer { spec, layout, over_rows, number, whole }.write(text)
}

/// Everything that the functions of one spec are written from.
pub(super) struct Writer<'a> {
    pub(super) spec: &'a MapKernel,
    pub(super) layout: Layout,
    over_rows: bool,
    pub(super) number: Number,
    whole: &'static str,
}

impl Writer<'_> {
    fn write(self, text: &mut Text) -> Functions {
        let layout = &self.layout;
        let rows = self.ending(|it| matches!(it, ReductionClass::Row(_)));
        let columns = self.ending(|it| matches!(it, ReductionClass::Column(_)));
        let alls = self.ending(|it| matches!(it, ReductionClass::All(_)));
        let axes = self.ending(|it| matches!(it, ReductionClass::Axes(_)));
        let reduces = [&rows, &columns, &alls].iter().any(|it| it.is_some());
        let by_rows = self.over_rows || reduces || 1 < layout.vector;
        let whole_blocks = layout.row_blocks * layout.column_blocks;
        // Partial results: a row of columns per block of rows, then a number per block.
        let staged_columns = columns.staged(0, layout.row_blocks, layout.columns);
        let of_columns = staged_columns.len();
        let staged_alls = alls.staged(of_columns, whole_blocks, 1);

        text.code(format_args!("using whole = {};", self.whole));
        text.constant("whole", "ROWS", layout.rows);
        text.ints([("COLUMNS", layout.columns), ("VECTOR", layout.vector), ("LANES", layout.lanes)]);
        text.ints([("PER_THREAD", layout.per_thread), ("ROWS_AT_ONCE", layout.rows_at_once)]);
        text.ints([("BLOCK_ROWS", layout.block_rows), ("ROW_BLOCKS", layout.row_blocks)]);
        for (name, kept, ending) in
            [("ROW", "RowKept", &rows), ("COLUMN", "ColumnKept", &columns), ("ALL", "AllKept", &alls)]
        {
            let [results, moments] = [format!("{name}_RESULTS"), format!("{name}_MOMENTS")];
            text.ints([(&results, ending.folded.len()), (&moments, ending.moments.len())]);
            text.code(format_args!("using {kept} = Kept<{results}, {moments}>;"));
        }
        text.code(self.arguments());
        self.element(text, &rows, &columns, &alls);
        text.code(self.maxima("row_maximum", &rows));
        text.code(self.maxima("column_maximum", &columns));
        text.code(self.maxima("all_maximum", &alls));
        self.put(text, "put_row", &rows, "at");
        if layout.row_blocks == 1 {
            self.put(text, "put_column", &columns, "at");
        } else {
            staged_columns.put(text, "put_column");
        }
        if whole_blocks == 1 {
            self.put(text, "put_all", &alls, "0");
        } else {
            staged_alls.put(text, "put_all");
        }
        text.file(file!("map.cu"));
        let axes_blocks = self.axes(text, &axes);
        let is_all_axes = layout.classes.iter().all(|it| matches!(it, ReductionClass::Axes(_)));
        if !is_all_axes {
            let call = if by_rows {
                "map_rows(args, block)"
            } else {
                "map_element(args, (whole)block * MAP_THREADS + threadIdx.x)"
            };
            text.code(format_args!(
                "__device__ __forceinline__ void all(const Arguments& args, int block) {{ {call}; }}"
            ));
        }
        // Bytes for a number of each thread's columns, and for one of each thread.
        let lines = THREADS * layout.per_thread * layout.vector * columns.widest(4, 12);
        let one_each = THREADS * alls.widest(4, 16).max(axes.widest(4, 16));
        Functions {
            axes_blocks,
            blocks: match (is_all_axes, by_rows) {
                (true, _) => 0,
                (false, true) => whole_blocks as u32,
                (false, false) => blocks(layout.rows * layout.columns, THREADS),
            },
            block_rows: layout.block_rows,
            column_blocks: layout.column_blocks,
            by_rows,
            shared: lines.max(one_each),
            scratch: of_columns + staged_alls.len(),
            parts: staged_columns
                .parts(&self, slices(layout.row_blocks))
                .into_iter()
                .chain(staged_alls.parts(&self, 64))
                .collect(),
        }
    }

    /// The results that end in such a way.
    fn ending(&self, wanted: fn(&ReductionClass) -> bool) -> Ending {
        let ends = |at: &usize| wanted(&self.layout.classes[*at]);
        let folds = |at: &usize| matches!(reduction(self.layout.classes[*at]), Some(Reduction::Sum | Reduction::Max));
        Ending {
            folded: (0..self.layout.classes.len()).filter(ends).filter(folds).collect(),
            moments: self
                .spec
                .moments()
                .into_iter()
                .filter(|it| it.mean.or(it.variance).is_some_and(|at| ends(&at)))
                .collect(),
        }
    }

    /// The struct of all operands.
    fn arguments(&self) -> String {
        let inputs =
            self.spec.inputs.iter().enumerate().map(|(at, it)| format!("const {}* in{at}; ", element(it.dtype)));
        let outputs = self.spec.outputs.iter().enumerate().map(|(at, it)| format!("{}* out{at}; ", element(it.dtype)));
        let seed = if drawn::draws(self.spec) { " u64 seed;" } else { "" };
        format!("struct Arguments {{ {}float* partial;{seed} }};", inputs.chain(outputs).collect::<String>())
    }

    /// How an operand is read at coordinates.
    pub(super) fn read(&self, input: usize, coordinates: &[String]) -> String {
        let place = offset(self.spec, input, coordinates);
        let value = match &self.spec.inputs[input].draws {
            Some(draws) => drawn::number(draws, "args", &format!("in{input}"), &place),
            None => format!("args.in{input}[{place}]"),
        };
        format!("({}){value}", self.number.name())
    }

    pub(super) fn roots(&self, outputs: &[usize]) -> Vec<Scalar> {
        outputs.iter().map(|&it| self.spec.body.roots[it]).collect()
    }

    /// A value as an element of an output.
    pub(super) fn stored(&self, output: usize, value: &str) -> String {
        match self.spec.outputs[output].dtype {
            DType::Real => format!("(float){value}"),
            DType::Bf16 => format!("(bf16)(float){value}"),
            DType::Int => format!("(i64)llround({value})"),
            DType::U8 => format!("(u8){value}"),
            DType::U16 => format!("(u16){value}"),
        }
    }

    fn maxima(&self, name: &str, ending: &Ending) -> String {
        let maxima: Vec<String> = ending
            .folded
            .iter()
            .enumerate()
            .filter(|(_, it)| reduction(self.layout.classes[**it]) == Some(Reduction::Max))
            .map(|(o, _)| format!("o == {o}"))
            .collect();
        let test = if maxima.is_empty() { "false".to_owned() } else { maxima.join(" || ") };
        format!("__device__ __forceinline__ bool {name}(int o) {{ return {test}; }}")
    }

    /// Stores finished numbers where they belong.
    fn put(&self, text: &mut Text, name: &str, ending: &Ending, place: &str) {
        let mut code =
            format!("__device__ __forceinline__ void {name}(const Arguments& args, int o, whole at, float value) {{\n");
        for (o, &output) in ending.folded.iter().enumerate() {
            let value = self.stored(output, "value");
            writeln!(code, "    if (o == {o}) args.out{output}[{place}] = {value};").expect("a string takes all");
        }
        text.code(code + "}");
        let mut code = format!(
            "__device__ __forceinline__ void {name}_moments(const Arguments& args, int o, whole at, const Moments& value, \
             float count) {{\n"
        );
        for (o, it) in ending.moments.iter().enumerate() {
            writeln!(code, "    if (o == {o}) {}", self.stored_moments(it, place)).expect("a string takes all");
        }
        text.code(code + "}");
    }

    /// A statement that stores a mean, a variance or both at a place, made of `value` of `count` numbers.
    fn stored_moments(&self, it: &Moments, place: &str) -> String {
        let all = [(it.mean, "mean_of(value)"), (it.variance, "variance_of(value, count)")];
        let stores = all.into_iter().filter_map(|(output, value)| {
            output.map(|output| format!("args.out{output}[{place}] = {};", self.stored(output, value)))
        });
        format!("{{ {} }}", stores.collect::<Vec<_>>().join(" "))
    }

    /// Reductions over axes that are neither outer nor inner; how many blocks they take.
    fn axes(&self, text: &mut Text, ending: &Ending) -> u32 {
        let folded = ending.folded.iter().map(|&output| {
            let maximum = reduction(self.layout.classes[output]) == Some(Reduction::Max);
            let put = format!("float value) {{ args.out{output}[kept] = {}; }}", self.stored(output, "value"));
            (output, format!("map_axes<{{}}, {maximum}>"), put)
        });
        let moments = ending.moments.iter().filter_map(|it| {
            let put = format!("const Moments& value, float count) {}", self.stored_moments(it, "kept"));
            Some((it.mean.or(it.variance)?, "map_axes_moments<{}>".to_owned(), put))
        });
        let mut calls = String::new();
        let mut first = 0;
        for (number, (output, call, put)) in folded.chain(moments).enumerate() {
            let spec = self.spec;
            let (_, over) = reduced(spec, &spec.outputs[output].store).expect("only reductions come here");
            let kept: Vec<usize> = (0..spec.dims.len()).filter(|&it| !over[it]).collect();
            let gone: Vec<usize> = (0..spec.dims.len()).filter(|&it| over[it]).collect();
            let count = |axes: &[usize]| axes.iter().map(|&it| spec.dims[it]).product::<usize>();
            let (numbers, each) = (count(&kept), count(&gone));
            let shared_by: usize = match each {
                0..16 => 1,
                16..2048 => 32,
                _ => THREADS,
            };
            let mut at = vec![String::new(); spec.dims.len()];
            coordinates(&spec.dims, "kept", &kept, &mut at);
            coordinates(&spec.dims, "reduced", &gone, &mut at);
            let (code, values) = statements(&spec.body, &spec.rounded(), &self.roots(&[output]), self.number, |i| {
                self.read(i as usize, &at)
            });
            text.code(format_args!(
                "__device__ __forceinline__ float value{number}(const Arguments& args, whole kept, whole reduced) {{\n{code}    return (float){};\n}}",
                values[0]
            ));
            let end = first + blocks(numbers, THREADS / shared_by);
            write!(
                calls,
                "    if (block < {end})\n        \
                 return {}(block - {first}, {numbers}, {each},\n            \
                 [&](whole kept, whole reduced) {{ return value{number}(args, kept, reduced); }},\n            \
                 [&](whole kept, {put});\n",
                call.replace("{}", &shared_by.to_string()),
            )
            .expect("a string takes all");
            first = end;
        }
        if first != 0 {
            text.code(format_args!(
                "__device__ __forceinline__ void axes(const Arguments& args, int block) {{\n{calls}}}"
            ));
        }
        first
    }
}

/// Results that end in one way.
pub(super) struct Ending {
    /// Sums and maxima.
    pub(super) folded: Vec<usize>,
    pub(super) moments: Vec<Moments>,
}

impl Ending {
    fn is_some(&self) -> bool {
        !(self.folded.is_empty() && self.moments.is_empty())
    }

    /// The larger of what sums and moments take, where there are any.
    fn widest(&self, sums: usize, moments: usize) -> usize {
        let of_sums = if self.folded.is_empty() { 0 } else { sums };
        if self.moments.is_empty() { of_sums } else { moments }
    }

    /// As partial results in the scratch space, if several blocks make them.
    fn staged(&self, from: usize, partials: usize, width: usize) -> StagedEnding<'_> {
        let folded = if partials == 1 { 0 } else { self.folded.len() * partials * width };
        let moments = if partials == 1 { 0 } else { self.moments.len() };
        StagedEnding { ending: self, from, moments: Staged { from: from + folded, moments, partials, width } }
    }
}

/// Partial results: of sums and maxima, then of moments.
struct StagedEnding<'a> {
    ending: &'a Ending,
    from: usize,
    moments: Staged,
}

impl StagedEnding<'_> {
    /// Numbers in the scratch space.
    fn len(&self) -> usize {
        self.moments.from - self.from + self.moments.len()
    }

    /// Stores numbers that a second stage goes on with.
    fn put(&self, text: &mut Text, name: &str) {
        let mut code =
            format!("__device__ __forceinline__ void {name}(const Arguments& args, int o, whole at, float value) {{\n");
        for o in 0..self.ending.folded.len() {
            writeln!(code, "    if (o == {o}) args.partial[{} + at] = value;", self.place(o))
                .expect("a string takes all");
        }
        text.code(code + "}");
        text.code(self.moments.put(&format!("{name}_moments"), "Arguments", "whole"));
    }

    fn place(&self, folded: usize) -> usize {
        self.from + folded * self.moments.partials * self.moments.width
    }

    /// What a second stage goes on with.
    fn parts(&self, writer: &Writer<'_>, slices: usize) -> Vec<Part> {
        let Staged { partials, width, .. } = self.moments;
        if partials == 1 {
            return Vec::new();
        }
        let folded = self.ending.folded.iter().enumerate().map(|(o, &output)| {
            let maximum = reduction(writer.layout.classes[output]) == Some(Reduction::Max);
            let whole = if maximum { Whole::Max(output) } else { Whole::Sum(output) };
            Part { whole, slices, from: self.place(o), partials, width }
        });
        let moments =
            self.ending.moments.iter().enumerate().map(|(o, it)| self.moments.part(o, it.mean, it.variance, slices));
        folded.chain(moments).collect()
    }
}
