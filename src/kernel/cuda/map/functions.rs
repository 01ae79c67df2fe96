//! The functions of one map: what its file asks for, and how its blocks are shared out.

use super::THREADS;
use super::layout::{Fate, Layout, layout, reduced, reduction};
use crate::ir::{DType, Reduction, Scalar};
use crate::kernel::MapKernel;
use crate::kernel::cuda::blocks;
use crate::kernel::cuda::combine::{Part, SLICES};
use crate::kernel::cuda::expression::{Number, statements};
use crate::kernel::cuda::text::{Text, element, file};
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
    /// Whether `all` reduces anything.
    pub(super) reduces: bool,
    /// Dynamic shared memory of either, in bytes.
    pub(super) shared: usize,
    /// Scratch space, in numbers.
    pub(super) scratch: usize,
    /// What a second stage goes on with.
    pub(super) parts: Vec<Part>,
}

/// Writes the functions of a map.
pub(super) fn write(spec: &MapKernel, text: &mut Text) -> Functions {
    let layout = layout(spec);
    let furthest = |strides: &[usize]| -> usize {
        strides.iter().zip(&spec.dims).map(|(stride, dim)| stride * dim.saturating_sub(1)).sum()
    };
    let largest = spec.inputs.iter().map(|it| furthest(&it.strides)).max().unwrap_or(0);
    let size: usize = spec.dims.iter().product();
    let whole = if i32::try_from(largest.max(size + THREADS)).is_ok() { "int" } else { "i64" };
    let double = spec.outputs.iter().any(|it| it.dtype == DType::Int);
    let number = if double { Number::Double } else { Number::Float };
    Writer { spec, layout, number, whole }.write(text)
}

/// Everything that the functions of one spec are written from.
struct Writer<'a> {
    spec: &'a MapKernel,
    layout: Layout,
    number: Number,
    whole: &'static str,
}

impl Writer<'_> {
    fn write(self, text: &mut Text) -> Functions {
        let layout = &self.layout;
        let of = |wanted: fn(&Fate) -> bool| -> Vec<usize> {
            (0..layout.fates.len()).filter(|&it| wanted(&layout.fates[it])).collect()
        };
        let rows = of(|it| matches!(it, Fate::Row(_)));
        let columns = of(|it| matches!(it, Fate::Column(_)));
        let alls = of(|it| matches!(it, Fate::All(_)));
        let axes = of(|it| matches!(it, Fate::Axes(_)));
        let reduces = !(rows.is_empty() && columns.is_empty() && alls.is_empty());
        let whole_blocks = layout.row_blocks * layout.column_blocks;
        // Partial sums: a row of columns per block of rows, then a number per block.
        let of_columns = if layout.row_blocks == 1 { 0 } else { columns.len() * layout.row_blocks * layout.columns };
        let of_all = if whole_blocks == 1 { 0 } else { alls.len() * whole_blocks };

        text.code(format_args!("using whole = {};", self.whole));
        text.constant("whole", "ROWS", layout.rows);
        text.ints([("COLUMNS", layout.columns), ("LANES", layout.lanes), ("PER_THREAD", layout.per_thread)]);
        text.ints([("BLOCK_ROWS", layout.block_rows), ("ROW_BLOCKS", layout.row_blocks)]);
        text.ints([("ROW_RESULTS", rows.len()), ("COLUMN_RESULTS", columns.len()), ("ALL_RESULTS", alls.len())]);
        text.code(self.arguments());
        text.code(self.element(&rows, &columns, &alls));
        text.code(self.maxima("row_maximum", &rows));
        text.code(self.maxima("column_maximum", &columns));
        text.code(self.maxima("all_maximum", &alls));
        text.code(self.put("put_row", &rows, "at"));
        text.code(if of_columns == 0 {
            self.put("put_column", &columns, "at")
        } else {
            put_staged("put_column", columns.len(), 0, layout.row_blocks * layout.columns)
        });
        text.code(if of_all == 0 {
            self.put("put_all", &alls, "0")
        } else {
            put_staged("put_all", alls.len(), of_columns, whole_blocks)
        });
        text.file(file!("map.cu"));
        let axes_blocks = self.axes(text, &axes);
        let is_all_axes = axes.len() == self.spec.outputs.len();
        if !is_all_axes {
            let function = if reduces { "map_reduce" } else { "map_elements" };
            text.code(format_args!(
                "__device__ __forceinline__ void all(const Arguments& args, int block) {{ {function}(args, block); }}"
            ));
        }
        let lines = if columns.is_empty() { 0 } else { THREADS * layout.per_thread };
        let one_each = if alls.is_empty() && axes.is_empty() { 0 } else { THREADS };
        Functions {
            axes_blocks,
            blocks: match (is_all_axes, reduces) {
                (true, _) => 0,
                (false, true) => whole_blocks as u32,
                (false, false) => blocks(layout.rows * layout.columns, THREADS),
            },
            reduces,
            shared: lines.max(one_each) * 4,
            scratch: of_columns + of_all,
            parts: self.parts(&columns, &alls, of_columns),
        }
    }

    /// The struct of all operands.
    fn arguments(&self) -> String {
        let inputs =
            self.spec.inputs.iter().enumerate().map(|(at, it)| format!("const {}* in{at}; ", element(it.dtype)));
        let outputs = self.spec.outputs.iter().enumerate().map(|(at, it)| format!("{}* out{at}; ", element(it.dtype)));
        format!("struct Arguments {{ {}float* partial; }};", inputs.chain(outputs).collect::<String>())
    }

    /// How an operand is read at coordinates.
    fn read(&self, input: usize, coordinates: &[String]) -> String {
        format!("({})args.in{input}[{}]", self.number.name(), offset(self.spec, input, coordinates))
    }

    fn roots(&self, outputs: &[usize]) -> Vec<Scalar> {
        outputs.iter().map(|&it| self.spec.body.roots[it]).collect()
    }

    /// A value as an element of an output.
    fn stored(&self, output: usize, value: &str) -> String {
        match self.spec.outputs[output].dtype {
            DType::Real => format!("(float){value}"),
            DType::Bf16 => format!("(bf16)(float){value}"),
            DType::Int => format!("(i64)llround({value})"),
            DType::U8 => format!("(u8){value}"),
        }
    }

    fn element(&self, rows: &[usize], columns: &[usize], alls: &[usize]) -> String {
        let layout = &self.layout;
        let whole: Vec<usize> = (0..layout.fates.len()).filter(|&it| layout.fates[it] == Fate::Whole).collect();
        let mut at = vec![String::new(); self.spec.dims.len()];
        coordinates(&self.spec.dims, "row", &(0..layout.outer).collect::<Vec<_>>(), &mut at);
        coordinates(&self.spec.dims, "column", &(layout.outer..at.len()).collect::<Vec<_>>(), &mut at);
        let outputs: Vec<usize> = [&whole[..], rows, columns, alls].concat();
        let (code, values) =
            statements(&self.spec.body, &self.spec.rounded(), &self.roots(&outputs), self.number, |i| {
                self.read(i as usize, &at)
            });
        let mut text = String::from(
            "__device__ __forceinline__ void element(const Arguments& args, whole row, int column,\n\
             \x20                                      float* rows, float* columns, float* all) {\n",
        );
        text += &code;
        let mut values = values.iter();
        let line = |text: &mut String, line: String| writeln!(text, "    {line}").expect("a string takes all");
        for (&output, value) in whole.iter().zip(&mut values) {
            let place = if layout.columns == 1 { "row" } else { "row * COLUMNS + column" };
            line(&mut text, format!("args.out{output}[{place}] = {};", self.stored(output, value)));
        }
        for (name, outputs) in [("rows", rows), ("columns", columns), ("all", alls)] {
            for (o, (&output, value)) in outputs.iter().zip(&mut values).enumerate() {
                let maximum = matches!(reduction(layout.fates[output]), Some(Reduction::Max));
                line(&mut text, format!("{name}[{o}] = combined({maximum}, {name}[{o}], (float){value});"));
            }
        }
        // `combined` is defined in the file that follows.
        let declared = "__device__ __forceinline__ float combined(bool maximum, float a, float b);\n";
        format!("{declared}{text}}}")
    }

    fn maxima(&self, name: &str, outputs: &[usize]) -> String {
        let maxima: Vec<String> = outputs
            .iter()
            .enumerate()
            .filter(|(_, it)| reduction(self.layout.fates[**it]) == Some(Reduction::Max))
            .map(|(o, _)| format!("o == {o}"))
            .collect();
        let test = if maxima.is_empty() { "false".to_owned() } else { maxima.join(" || ") };
        format!("__device__ __forceinline__ bool {name}(int o) {{ return {test}; }}")
    }

    /// Stores finished numbers where they belong.
    fn put(&self, name: &str, outputs: &[usize], place: &str) -> String {
        let mut text =
            format!("__device__ __forceinline__ void {name}(const Arguments& args, int o, whole at, float value) {{\n");
        for (o, &output) in outputs.iter().enumerate() {
            let value = self.stored(output, "value");
            writeln!(text, "    if (o == {o}) args.out{output}[{place}] = {value};").expect("a string takes all");
        }
        text + "}"
    }

    /// Reductions over axes that are neither outer nor inner; how many blocks they take.
    fn axes(&self, text: &mut Text, outputs: &[usize]) -> u32 {
        let spec = self.spec;
        let mut calls = String::new();
        let mut first = 0;
        for (number, &output) in outputs.iter().enumerate() {
            let (kind, over) = reduced(spec, &spec.outputs[output].store).expect("only reductions come here");
            let kept: Vec<usize> = (0..spec.dims.len()).filter(|&it| !over[it]).collect();
            let gone: Vec<usize> = (0..spec.dims.len()).filter(|&it| over[it]).collect();
            let count = |axes: &[usize]| axes.iter().map(|&it| spec.dims[it]).product::<usize>();
            let (numbers, each) = (count(&kept), count(&gone));
            let shared_by = match each {
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
                 return map_axes<{shared_by}, {}>(block - {first}, {numbers}, {each},\n            \
                 [&](whole kept, whole reduced) {{ return value{number}(args, kept, reduced); }},\n            \
                 [&](whole kept, float value) {{ args.out{output}[kept] = {}; }});\n",
                kind == Reduction::Max,
                self.stored(output, "value")
            )
            .expect("a string takes all");
            first = end;
        }
        if !outputs.is_empty() {
            text.code(format_args!(
                "__device__ __forceinline__ void axes(const Arguments& args, int block) {{\n{calls}}}"
            ));
        }
        first
    }

    /// What the second stage goes on with.
    fn parts(&self, columns: &[usize], alls: &[usize], of_columns: usize) -> Vec<Part> {
        let layout = &self.layout;
        let mut parts = Vec::new();
        let mut part = |output: usize, slices: usize, from: usize, partials: usize, width: usize| {
            let maximum = reduction(layout.fates[output]) == Some(Reduction::Max);
            parts.push(Part { output, slices, maximum, from, partials, width });
        };
        if layout.row_blocks != 1 {
            let each = layout.row_blocks * layout.columns;
            columns
                .iter()
                .enumerate()
                .for_each(|(o, &it)| part(it, SLICES, o * each, layout.row_blocks, layout.columns));
        }
        let blocks = layout.row_blocks * layout.column_blocks;
        if blocks != 1 {
            alls.iter().enumerate().for_each(|(o, &it)| part(it, 64, of_columns + o * blocks, blocks, 1));
        }
        parts
    }
}

/// Stores numbers that a second stage goes on with: `each` for every result, from `first` on.
fn put_staged(name: &str, count: usize, first: usize, each: usize) -> String {
    let mut text =
        format!("__device__ __forceinline__ void {name}(const Arguments& args, int o, whole at, float value) {{\n");
    for o in 0..count {
        writeln!(text, "    if (o == {o}) args.partial[{} + at] = value;", first + o * each)
            .expect("a string takes all");
    }
    text + "}"
}
