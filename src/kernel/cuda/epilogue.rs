//! What a convolution does with its sums: stores them, or puts them through a map while they are in registers.
//!
//! Where the summed extent is split over blocks no block holds a whole sum; then the map is a launch of its own.

use super::combine::{Part, Staged, Then, Whole, combine, slices};
use super::contraction::{Product, pixels};
use super::drawn;
use super::expression::{Number, statements_beyond};
use super::map::{append, coordinates, offset};
use super::parted::{Along, Parted, as_roots, returned, structure};
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, CudaSource, Options};
use crate::ir::Reduction;
use crate::ir::{DType, Scalar};
use crate::kernel::{ConvKernel, MapKernel, Moments, Store};
use std::fmt::Write;

/// Operands of a convolution.
const OPERANDS: usize = 2;

/// How `finish` starts.
const FINISH: &str = "__device__ __forceinline__ Values finish(const RowValues& row, const ColumnValues& column,\n\
    \x20                                        const PixelOperands& in, int c, float sum, float* columns,\n\
    \x20                                        Moments* moments, bool first) {\n";

/// Operands of a pixel, and of a column: how they are loaded, for pixels and columns side by side.
const PIXEL_LOAD: &str =
    "    __device__ __forceinline__ void load(const Results& to, int pixel, int column, int left) {\n";
const COLUMN_LOAD: &str = "    __device__ __forceinline__ void load(const Results& to, int column, int left) {\n";

/// A convolution that stores its sums.
pub(super) fn plain(conv: &ConvKernel, options: &Options) -> CudaSource {
    let (product, mut text) = pixels(conv, options);
    product.preamble(&mut text);
    let (launches, scratch) = sums(&product, &mut text);
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

/// The launches that leave the sums in output 0.
fn sums(product: &Product<'_>, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
    text.ints([("COLUMN_SUMS", 0), ("COLUMN_MOMENTS", 0), ("ROW_VALUES", 0), ("PIXEL_WORDS", 0)]);
    text.code(format_args!(
        "struct Results {{ stored* out0; }};\n\
         struct Values {{ float out0; }};\n\
         struct RowValues {{}};\n\
         struct ColumnValues {{}};\n\
         struct PixelOperands {{\n{PIXEL_LOAD}    }}\n}};\n\
         struct ColumnOperands {{\n{COLUMN_LOAD}    }}\n}};\n\
         __device__ __forceinline__ RowValues row_values(const Results& to, int pixel) {{ return {{}}; }}\n\
         __device__ __forceinline__ ColumnValues column_values(const Results& to, const ColumnOperands& in, int c) {{ return {{}}; }}\n\
         {FINISH}    return {{sum}};\n}}\n\
         __device__ __forceinline__ void put_column(const Results& to, int o, int at, float value) {{}}\n\
         __device__ __forceinline__ void put_column_moments(const Results& to, int o, int at, const Moments& value, float \
         count) {{}}"
    ));
    text.code(put_side(&[0]));
    text.file(product.file);
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(THREADS, CONV_RESIDENT)\n\
         conv(const operand* source, const operand* filter, stored* target) {{\n    \
         convolve(source, filter, {{target + (i64)(blockIdx.z % SPLIT) * {}}});\n}}",
        product.width
    ));
    product.stages(text)
}

/// A convolution and the map of its result.
pub(super) fn mapped(conv: &ConvKernel, map: &MapKernel, options: &Options) -> CudaSource {
    let (product, mut text) = pixels(&ConvKernel { writes: DType::Real, ..*conv }, options);
    product.preamble(&mut text);
    text.file(file!("scalar.cu"));
    let (launches, scratch) = if product.split == 1 {
        within(&product, map, None, &mut text)
    } else {
        let first = sums(&product, &mut text);
        apart(first, product.width, map, &mut text)
    };
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

/// The same, and behind the sums over pixels a map over channels; nothing where there is no second stage that it could
/// stand in.
pub(super) fn mapped_then(
    conv: &ConvKernel,
    map: &MapKernel,
    after: &MapKernel,
    options: &Options,
) -> Option<CudaSource> {
    let (product, mut text) = pixels(&ConvKernel { writes: DType::Real, ..*conv }, options);
    if product.split != 1 || map.outputs.iter().all(|it| it.store == Store::Full) {
        return None;
    }
    product.preamble(&mut text);
    text.file(file!("scalar.cu"));
    let then = Then { map: after, inputs: OPERANDS + map.inputs.len() - 1, outputs: map.outputs.len() };
    let (launches, scratch) = within(&product, map, Some(then), &mut text);
    Some(CudaSource { text: text.finish(), launches, scratch, counters: 0 })
}

/// The map in the convolution's registers.
fn within(product: &Product<'_>, map: &MapKernel, then: Option<Then<'_>>, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
    let channels = *map.dims.last().expect("a map has axes");
    let all = 0..map.outputs.len();
    let whole: Vec<usize> = all.clone().filter(|&it| map.outputs[it].store == Store::Full).collect();
    let is_sum = |it: &usize| matches!(map.outputs[*it].store, Store::Reduce { kind: Reduction::Sum, .. });
    let sums: Vec<usize> = all.filter(is_sum).collect();
    let moments = map.moments();
    let mut fields = vec!["float* partial".to_owned()];
    let mut names = vec!["partial".to_owned()];
    let mut arguments = vec![Argument::Input(0), Argument::Input(1), Argument::Scratch(0)];
    for (at, it) in map.inputs.iter().enumerate().skip(1) {
        fields.push(format!("const {}* in{at}", element(it.dtype)));
        names.push(format!("in{at}"));
        arguments.push(Argument::Input(at - 1 + OPERANDS));
    }
    if drawn::draws(map) {
        fields.push("u64 seed".to_owned());
        names.push("seed".to_owned());
        arguments.push(Argument::Seed);
    }
    for &at in &whole {
        fields.push(format!("{}* out{at}", element(map.outputs[at].dtype)));
        names.push(format!("out{at}"));
        arguments.push(Argument::Output(at));
    }
    // A row of partial sums for each block of pixels.
    let rows = product.grid[0] as usize * product.grid[2] as usize;
    let each = rows * channels;
    let staged = Staged { from: sums.len() * each, moments: moments.len(), partials: rows, width: channels };

    text.ints([("COLUMN_SUMS", sums.len()), ("COLUMN_MOMENTS", moments.len())]);
    drawn::add(map, text);
    text.code("using whole = int;");
    text.code(format_args!("struct Results {{ {}; }};", fields.join("; ")));
    let values: Vec<String> = whole.iter().map(|it| format!("float out{it}; ")).collect();
    text.code(format_args!("struct Values {{ {}}};", values.concat()));
    finish(text, map, &whole, &sums, &moments);
    text.code(put_side(&whole));
    text.code(format_args!(
        "__device__ __forceinline__ void put_column(const Results& to, int o, int at, float value) {{\n    \
         to.partial[(i64)o * {each} + at] = value;\n}}"
    ));
    text.code(staged.put("put_column_moments", "Results", "int"));
    text.file(product.file);
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(THREADS, CONV_RESIDENT)\n\
         conv(const operand* source, const operand* filter, {}) {{\n    convolve(source, filter, {{{}}});\n}}",
        fields.join(", "),
        names.join(", ")
    ));
    let mut launches = vec![product.launch(arguments)];
    let part = |(o, &output): (usize, &usize)| Part {
        whole: Whole::Sum(output),
        slices: slices(rows),
        from: o * each,
        partials: rows,
        width: channels,
    };
    let mut parts: Vec<Part> = sums.iter().enumerate().map(part).collect();
    parts.extend(moments.iter().enumerate().map(|(o, it)| staged.part(o, it.mean, it.variance, slices(rows))));
    if !parts.is_empty() {
        launches.push(combine(text, "combine", &parts, then));
    }
    (launches, (staged.from + staged.len()) * 4)
}

/// `put_side`: stores whole results for pixels and columns side by side.
fn put_side(whole: &[usize]) -> String {
    let mut text = String::from(
        "__device__ __forceinline__ void put_side(const Results& to, int at, const Values* values, int left) {\n    \
         float side[SIDE];\n",
    );
    for it in whole {
        let all = format!("for (int c = 0; c < SIDE; c++) side[c] = values[c].out{it}");
        writeln!(text, "    {all};\n    store_side<TARGET_C>(to.out{it} + at, side, left);")
            .expect("a string takes all");
    }
    text + "}"
}

/// `finish`: what becomes of one sum; and what is loaded and computed ahead of it, for rows, columns and pixels.
fn finish(text: &mut Text, map: &MapKernel, whole: &[usize], sums: &[usize], moments: &[Moments]) {
    let last = map.dims.len() - 1;
    let mut at = vec![String::new(); map.dims.len()];
    coordinates(&map.dims, "pixel", &(0..last).collect::<Vec<_>>(), &mut at);
    at[last] = "column".to_owned();
    let mut roots: Vec<Scalar> = whole.iter().chain(sums).map(|&it| map.body.roots[it]).collect();
    roots.extend(moments.iter().map(|it| it.root));
    let parted = Parted::new(map, last, &roots, |input| input == 0);
    let of = |along: Along| (1..map.inputs.len()).filter(|&it| parted.inputs[it] == along).collect::<Vec<_>>();
    let (columns, pixels) = (of(Along::Column), of(Along::Both));
    let rounded = map.rounded();
    let read = |input: u32| {
        let place = offset(map, input as usize, &at);
        match &map.inputs[input as usize].draws {
            Some(draws) => drawn::number(draws, "to", &format!("in{input}"), &place),
            None => format!("(float)to.in{input}[{place}]"),
        }
    };

    // Neighbours are read as one word where they lie side by side, at multiples of two.
    let together = |input: usize| {
        let (own, rest) = map.inputs[input].strides.split_last().expect("a map has axes");
        *own == 1 && map.dims[last].is_multiple_of(2) && rest.iter().all(|it| it.is_multiple_of(2))
    };
    let words = pixels.iter().map(|&it| if map.inputs[it].dtype == DType::Bf16 { 1 } else { 2 }).sum();
    text.ints([("ROW_VALUES", parted.rows.len()), ("PIXEL_WORDS", words)]);
    for (name, load, inputs) in [("PixelOperands", PIXEL_LOAD, &pixels), ("ColumnOperands", COLUMN_LOAD, &columns)] {
        let mut code = format!("struct {name} {{\n");
        let mut line = |line: String| writeln!(code, "{line}").expect("a string takes all");
        for &it in inputs {
            let input = &map.inputs[it];
            line(match &input.draws {
                Some(draws) => format!("    {} in{it};", drawn::side(draws, input, "SIDE", 2)),
                None => format!("    Side<{}, SIDE == 2 && {}> in{it};", element(input.dtype), together(it)),
            });
        }
        line(load.trim_end().to_owned());
        for &it in inputs {
            let place = offset(map, it, &at);
            line(match &map.inputs[it].draws {
                Some(draws) => format!("        in{it}.{};", drawn::into(draws, "to", &format!("in{it}"), &place)),
                None => format!("        in{it}.load(to.in{it} + ({place}), left);"),
            });
        }
        text.code(code + "    }\n};");
    }
    let loaded = |inputs: &[usize], input: u32| match inputs.contains(&(input as usize)) {
        true => format!("in.in{input}.at(c)"),
        false => read(input),
    };
    text.code(structure("RowValues", Number::Float, &parted.rows));
    text.code(structure("ColumnValues", Number::Float, &parted.columns));
    let code = |nodes: &[usize], input: &dyn Fn(u32) -> String| {
        statements_beyond(&map.body, &rounded, &as_roots(nodes), Number::Float, input, |_| None)
    };
    text.code(format_args!(
        "__device__ __forceinline__ RowValues row_values(const Results& to, int pixel) {{\n{}{}\n}}",
        code(&parted.rows, &read),
        returned(&parted.rows)
    ));
    text.code(format_args!(
        "__device__ __forceinline__ ColumnValues column_values(const Results& to, const ColumnOperands& in, int c) {{\n{}{}\n}}",
        code(&parted.columns, &|input| loaded(&columns, input)),
        returned(&parted.columns)
    ));

    let own = |input: u32| match input {
        0 => "sum".to_owned(),
        _ => loaded(&pixels, input),
    };
    let mut code = FINISH.to_owned();
    code += &statements_beyond(&map.body, &rounded, &roots, Number::Float, own, |at| parted.given(at));
    let values: Vec<String> = roots.iter().map(|it| format!("v{}", it.0)).collect();
    let (stored, reduced) = values.split_at(whole.len());
    let (summed, spread) = reduced.split_at(sums.len());
    for (o, value) in summed.iter().enumerate() {
        writeln!(code, "    columns[{o}] += {value};").expect("a string takes all");
    }
    for (o, value) in spread.iter().enumerate() {
        writeln!(code, "    take(moments[{o}], first, {value});").expect("a string takes all");
    }
    text.code(code + &format!("    return {{{}}};\n}}", stored.join(", ")));
}

/// The `width` sums first, in fp32, by launches that leave them in output 0 and take so much scratch space; then the map as
/// a family of its own. Where the map passes the sums on in fp32, they go there at once.
pub(super) fn apart(
    (mut launches, used): (Vec<CudaLaunch>, usize),
    width: usize,
    map: &MapKernel,
    text: &mut Text,
) -> (Vec<CudaLaunch>, usize) {
    let stored = map.passes_on().filter(|&it| map.outputs[it].dtype == DType::Real);
    let between = used.next_multiple_of(256);
    let (result, base) = match stored {
        Some(at) => (Argument::Output(at), between),
        None => (Argument::Scratch(between), between + (width * 4).next_multiple_of(256)),
    };
    for argument in launches.iter_mut().flat_map(|it| &mut it.arguments) {
        if *argument == Argument::Output(0) {
            *argument = result;
        }
    }
    let mut rest = stored.map_or_else(|| map.clone(), |it| map.clone().without(it));
    rest.inputs[0].dtype = DType::Real;
    if rest.outputs.is_empty() {
        return (launches, used);
    }
    text.code("namespace epilogue {");
    let (after, scratch) = append(std::slice::from_ref(&rest), text);
    text.code("}");
    let mut entries: Vec<&str> = after.iter().map(|it| it.entry).collect();
    entries.dedup();
    entries.iter().for_each(|it| text.code(format_args!("using epilogue::{it};")));
    for mut launch in after {
        for argument in &mut launch.arguments {
            *argument = match *argument {
                Argument::Input(0) => result,
                Argument::Input(at) => Argument::Input(at - 1 + OPERANDS),
                Argument::Output(at) => Argument::Output(at + usize::from(stored.is_some_and(|it| it <= at))),
                Argument::Scratch(offset) => Argument::Scratch(base + offset),
                other @ (Argument::Counters | Argument::Seed | Argument::Null) => other,
            };
        }
        launches.push(launch);
    }
    (launches, base + scratch)
}
