//! Maps with reductions: how the space is seen as rows and columns, and the functions that belong to the model.
//!
//! A result is written whole, or reduced over columns (a number per row), over rows (a number per column), or over all.
//! Reductions over other axes get launches of their own, which come first: whole results may overwrite operands.

use super::combine::{Part, SLICES, combine};
use super::expression::{Number, statements};
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, CudaSource, blocks};
use crate::ir::{DType, Reduction, Scalar};
use crate::kernel::{MapKernel, Store};
use std::fmt::Write;

const THREADS: usize = 256;
/// Blocks that share out rows, at most; a constant, so that sums do not depend on the device.
const ROW_BLOCKS: usize = 528;
/// Columns that a thread keeps sums for, at most.
const KEPT: usize = 16;
/// Longest row that one warp reduces; beyond, a block does.
const LONGEST_ROW: usize = 2048;

/// The coordinate of each axis, from a variable that counts the given axes in row-major order.
pub(super) fn coordinates(dims: &[usize], variable: &str, axes: &[usize], to: &mut [String]) {
    let mut tail = 1usize;
    for (position, &axis) in axes.iter().enumerate().rev() {
        let divided = if tail == 1 { variable.to_owned() } else { format!("{variable} / {tail}") };
        to[axis] = if position == 0 { divided } else { format!("{divided} % {}", dims[axis]) };
        tail *= dims[axis];
    }
}

/// Which element of an operand belongs to coordinates.
pub(super) fn offset(spec: &MapKernel, input: usize, coordinates: &[String]) -> String {
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

/// What becomes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Reduced over columns.
    Row(Reduction),
    /// Reduced over rows.
    Column(Reduction),
    /// Reduced over both.
    All(Reduction),
    /// Reduced over other axes.
    Axes(Reduction),
}

/// The space as rows and columns.
struct Layout {
    /// Axes that make up rows.
    outer: usize,
    rows: usize,
    columns: usize,
    fates: Vec<Fate>,
    lanes: usize,
    per_thread: usize,
    block_rows: usize,
    row_blocks: usize,
    column_blocks: usize,
}

/// Marks of an output's reduction, if it has one that reduces anything.
fn reduced<'a>(spec: &'a MapKernel, store: &'a Store) -> Option<(Reduction, &'a [bool])> {
    match store {
        Store::Reduce { kind, over } if (0..spec.dims.len()).any(|it| over[it] && spec.dims[it] != 1) => {
            Some((*kind, over))
        }
        Store::Reduce { .. } | Store::Full => None,
    }
}

fn fate(spec: &MapKernel, store: &Store, outer: usize) -> Fate {
    let Some((kind, over)) = reduced(spec, store) else { return Fate::Whole };
    let all = |wanted: &dyn Fn(usize) -> bool| {
        (0..spec.dims.len()).filter(|&it| spec.dims[it] != 1).all(|it| over[it] == wanted(it))
    };
    if all(&|_| true) {
        Fate::All(kind)
    } else if all(&|it| outer <= it) {
        Fate::Row(kind)
    } else if all(&|it| it < outer) {
        Fate::Column(kind)
    } else {
        Fate::Axes(kind)
    }
}

fn layout(spec: &MapKernel) -> Layout {
    let rank = spec.dims.len();
    let fates_at = |outer: usize| spec.outputs.iter().map(|it| fate(spec, &it.store, outer)).collect::<Vec<_>>();
    let fitting =
        |outer: usize| fates_at(outer).iter().filter(|it| matches!(it, Fate::Row(_) | Fate::Column(_))).count();
    // The last of the best: where nothing decides, elements in a row are neighbours in memory.
    let outer = (0..=rank).max_by_key(|&it| fitting(it)).unwrap_or(0);
    let mut fates = fates_at(outer);
    let rows: usize = spec.dims[..outer].iter().product();
    let columns: usize = spec.dims[outer..].iter().product();
    let sums_rows = fates.iter().any(|it| matches!(it, Fate::Column(_)));
    let lanes = columns.next_power_of_two().min(32);
    let whole_row = columns.div_ceil(lanes);
    let per_thread = if sums_rows { whole_row.min(KEPT) } else { whole_row };
    let column_blocks = columns.div_ceil(lanes * per_thread);
    for it in &mut fates {
        if let Fate::Row(kind) = *it
            && (1 < column_blocks || LONGEST_ROW < columns)
        {
            *it = Fate::Axes(kind);
        }
    }
    let lines = THREADS / lanes;
    let block_rows = rows.div_ceil(ROW_BLOCKS.div_ceil(column_blocks)).next_multiple_of(lines);
    let row_blocks = rows.div_ceil(block_rows);
    Layout { outer, rows, columns, fates, lanes, per_thread, block_rows, row_blocks, column_blocks }
}

/// Everything that the functions of one spec are written from.
struct Writer<'a> {
    spec: &'a MapKernel,
    layout: Layout,
    number: Number,
    whole: &'static str,
    /// `float* out0, ...`: parameters of every entry, and the fields of `Arguments`.
    parameters: String,
    /// Their names.
    names: String,
    arguments: Vec<Argument>,
}

/// A map.
pub(super) fn map(spec: &MapKernel) -> CudaSource {
    let mut text = Text::new();
    text.file(file!("device.cu"));
    text.file(file!("scalar.cu"));
    let (launches, scratch) = append(spec, &mut text);
    CudaSource { text: text.finish(), launches, scratch }
}

/// Adds a map to a unit that has the scalar functions; its launches, and its scratch space in bytes.
pub(super) fn append(spec: &MapKernel, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
    let layout = layout(spec);
    let furthest = |strides: &[usize]| -> usize {
        strides.iter().zip(&spec.dims).map(|(stride, dim)| stride * dim.saturating_sub(1)).sum()
    };
    let largest = spec.inputs.iter().map(|it| furthest(&it.strides)).max().unwrap_or(0);
    let size: usize = spec.dims.iter().product();
    let whole = if i32::try_from(largest.max(size + THREADS)).is_ok() { "int" } else { "i64" };
    let double = spec.outputs.iter().any(|it| it.dtype == DType::Int);
    let mut parameters = Vec::new();
    let mut names = Vec::new();
    let mut arguments = Vec::new();
    for (at, it) in spec.inputs.iter().enumerate() {
        parameters.push(format!("const {}* in{at}", element(it.dtype)));
        names.push(format!("in{at}"));
        arguments.push(Argument::Input(at));
    }
    for (at, it) in spec.outputs.iter().enumerate() {
        parameters.push(format!("{}* out{at}", element(it.dtype)));
        names.push(format!("out{at}"));
        arguments.push(Argument::Output(at));
    }
    let number = if double { Number::Double } else { Number::Float };
    let (parameters, names) = (parameters.join(", "), names.join(", "));
    Writer { spec, layout, number, whole, parameters, names, arguments }.write(text)
}

impl Writer<'_> {
    fn write(self, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
        let (spec, layout) = (self.spec, &self.layout);
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
        let scratch = (of_columns + of_all) * 4;

        text.code(format_args!("using whole = {};", self.whole));
        text.constant("whole", "ROWS", layout.rows);
        text.ints([("COLUMNS", layout.columns), ("LANES", layout.lanes), ("PER_THREAD", layout.per_thread)]);
        text.ints([("BLOCK_ROWS", layout.block_rows), ("ROW_BLOCKS", layout.row_blocks), ("BLOCKS", whole_blocks)]);
        text.ints([("ROW_RESULTS", rows.len()), ("COLUMN_RESULTS", columns.len()), ("ALL_RESULTS", alls.len())]);
        text.constant("bool", "ONE_BLOCK", layout.row_blocks == 1);
        let fields = self.parameters.replace(", ", "; ");
        text.code(format_args!("struct Arguments {{ {fields}; float* partial; }};"));
        text.code(self.element(&rows, &columns, &alls));
        text.code(self.maxima("row_maximum", &rows));
        text.code(self.maxima("column_maximum", &columns));
        text.code(self.maxima("all_maximum", &alls));
        text.code(self.put("put_row", &rows, "at"));
        let staged = |o: usize| format!("args.partial[{o} * ROW_BLOCKS * COLUMNS + at]");
        text.code(if of_columns == 0 {
            self.put("put_column", &columns, "at")
        } else {
            put_staged("put_column", columns.len(), &staged)
        });
        let staged = |o: usize| format!("args.partial[{of_columns} + {o} * BLOCKS + at]");
        text.code(if of_all == 0 {
            self.put("put_all", &alls, "0")
        } else {
            put_staged("put_all", alls.len(), &staged)
        });
        text.file(file!("map.cu"));

        let mut launches = Vec::new();
        for (number, &output) in axes.iter().enumerate() {
            launches.push(self.axes(text, number, output));
        }
        let mut arguments = self.arguments.clone();
        arguments.push(Argument::Scratch(0));
        if axes.len() < spec.outputs.len() {
            // Left to itself, the assembler may spill sums of columns rather than have fewer threads at once.
            let (body, bounds) =
                if reduces { ("map_reduce", "MAP_THREADS, 1") } else { ("map_elements", "MAP_THREADS") };
            text.code(format_args!(
                "extern \"C\" __global__ void __launch_bounds__({bounds})\nmap({}, float* partial) {{ {body}({{{}, partial}}); }}",
                self.parameters, self.names
            ));
            let (grid, shared) = if reduces {
                let lines = if columns.is_empty() { 0 } else { THREADS * layout.per_thread };
                let all = if alls.is_empty() { 0 } else { THREADS };
                ([layout.row_blocks as u32, layout.column_blocks as u32, 1], lines.max(all) * 4)
            } else {
                ([blocks(layout.rows * layout.columns, THREADS), 1, 1], 0)
            };
            launches.push(CudaLaunch { entry: "map", grid, block: THREADS as u32, shared: shared as u32, arguments });
        }
        if 0 < scratch {
            launches.push(self.combine(text, &columns, &alls, of_columns));
        }
        (launches, scratch)
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

    /// A launch of its own for a reduction over axes that are neither outer nor inner.
    fn axes(&self, text: &mut Text, number: usize, output: usize) -> CudaLaunch {
        let spec = self.spec;
        let (kind, over) = reduced(spec, &spec.outputs[output].store).expect("only reductions come here");
        let kept: Vec<usize> = (0..spec.dims.len()).filter(|&it| !over[it]).collect();
        let gone: Vec<usize> = (0..spec.dims.len()).filter(|&it| over[it]).collect();
        let count = |axes: &[usize]| axes.iter().map(|&it| spec.dims[it]).product::<usize>();
        let (numbers, each) = (count(&kept), count(&gone));
        let shared_by = match each {
            0..16 => 1,
            16..2048 => 32,
            _ => 256,
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
        let entry = ["map_axes0", "map_axes1", "map_axes2", "map_axes3", "map_axes4", "map_axes5"][number];
        text.code(format_args!(
            "extern \"C\" __global__ void __launch_bounds__(MAP_THREADS)\n{entry}({}, float* partial) {{\n    \
             const Arguments args = {{{}, partial}};\n    \
             map_axes<{shared_by}, {}>({numbers}, {each}, [&](whole kept, whole reduced) {{ return value{number}(args, kept, reduced); }},\n        \
             [&](whole kept, float value) {{ args.out{output}[kept] = {}; }});\n}}",
            self.parameters,
            self.names,
            kind == Reduction::Max,
            self.stored(output, "value")
        ));
        let mut arguments = self.arguments.clone();
        arguments.push(Argument::Null);
        CudaLaunch {
            entry,
            grid: [blocks(numbers, THREADS / shared_by), 1, 1],
            block: THREADS as u32,
            shared: (THREADS * 4) as u32,
            arguments,
        }
    }

    /// The second stage.
    fn combine(&self, text: &mut Text, columns: &[usize], alls: &[usize], of_columns: usize) -> CudaLaunch {
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
        combine(text, "map_combine", &parts)
    }
}

fn reduction(fate: Fate) -> Option<Reduction> {
    match fate {
        Fate::Whole => None,
        Fate::Row(kind) | Fate::Column(kind) | Fate::All(kind) | Fate::Axes(kind) => Some(kind),
    }
}

/// Stores numbers that a second stage goes on with.
fn put_staged(name: &str, count: usize, place: &dyn Fn(usize) -> String) -> String {
    let mut text =
        format!("__device__ __forceinline__ void {name}(const Arguments& args, int o, whole at, float value) {{\n");
    for o in 0..count {
        writeln!(text, "    if (o == {o}) {} = value;", place(o)).expect("a string takes all");
    }
    text + "}"
}
