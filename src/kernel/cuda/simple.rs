//! Families of one thread, or one warp, per result: windows, data movement, losses, random numbers.

use super::expression::Number;
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, CudaSource, blocks};
use crate::ir::{DType, Geometry, Loss, Random, Shape, Window};
use crate::kernel::{KernelSpec, Part};

pub(super) fn single(text: Text, entry: &'static str, grid: u32, block: u32, arguments: Vec<Argument>) -> CudaSource {
    let launches = vec![CudaLaunch { entry, grid: [grid, 1, 1], block, shared: 0, arguments }];
    CudaSource { text: text.finish(), launches, scratch: 0, counters: 0 }
}

pub(super) fn addressable(len: usize) -> usize {
    assert!(i32::try_from(len).is_ok(), "{len} elements are not addressable");
    len
}

/// Sliding windows.
pub(super) fn window(
    kind: Window,
    geometry: &Geometry,
    n: usize,
    [h, w, c]: [usize; 3],
    [oh, ow]: [usize; 2],
    [reads, writes]: [DType; 2],
) -> CudaSource {
    let side = side(c, reads);
    let (arguments, size) = match kind {
        Window::Sum => ([Argument::Input(0), Argument::Null], n * oh * ow * c),
        Window::Max => ([Argument::Input(0), Argument::Null], n * oh * ow * (c / side)),
        Window::SumGrad { .. } => ([Argument::Input(0), Argument::Null], n * h * w * c),
        Window::MaxGrad if is_tiled(geometry, [h, w]) => {
            ([Argument::Input(0), Argument::Input(1)], n * oh * ow * (c / side))
        }
        Window::MaxGrad => ([Argument::Input(0), Argument::Input(1)], n * h * w * c),
    };
    let mut text = Text::new();
    text.file(file!("device.cu"));
    text.file(file!("vector.cu"));
    windows(kind, geometry, n, [h, w, c], [oh, ow], [reads, writes], &mut text);
    text.code(
        "extern \"C\" __global__ void __launch_bounds__(WINDOW_THREADS)\n\
         window(const operand* first, const operand* second, stored* result) { windows(first, second, result); }",
    );
    let [first, second] = arguments;
    single(text, "window", blocks(addressable(size), 256), 256, vec![first, second, Argument::Output(0)])
}

/// Channels side by side that a thread takes of maxima: a word of 16 bytes, or one.
fn side(channels: usize, reads: DType) -> usize {
    let word = if reads == DType::Bf16 { 8 } else { 4 };
    if channels.is_multiple_of(word) { word } else { 1 }
}

/// Whether windows cover each position of an image once, and are small enough for a thread.
fn is_tiled(geometry: &Geometry, image: [usize; 2]) -> bool {
    let Geometry { kernel, stride, before, after, dilation, .. } = *geometry;
    let whole = (0..2)
        .all(|it| image[it].is_multiple_of(kernel[it].max(1)) && before[it] + after[it] == 0 && dilation[it] == 1);
    whole && kernel == stride && kernel.iter().product::<usize>() <= 16
}

/// Constants and functions of windows.
fn windows(
    kind: Window,
    geometry: &Geometry,
    n: usize,
    [h, w, c]: [usize; 3],
    [oh, ow]: [usize; 2],
    [reads, writes]: [DType; 2],
    text: &mut Text,
) {
    let kind = match kind {
        Window::Sum => "Sum",
        Window::SumGrad { .. } => "SumGrad",
        Window::Max => "Max",
        Window::MaxGrad => "MaxGrad",
    };
    addressable(n * h * w * c);
    text.kind("Window", "KIND", kind);
    text.ints([("IMAGES", n), ("INPUT_H", h), ("INPUT_W", w), ("OUTPUT_H", oh), ("OUTPUT_W", ow)]);
    text.ints([("CHANNELS", c), ("KERNEL_H", geometry.kernel[0]), ("KERNEL_W", geometry.kernel[1])]);
    text.ints([("STRIDE_H", geometry.stride[0]), ("STRIDE_W", geometry.stride[1])]);
    text.ints([("BEFORE_H", geometry.before[0]), ("BEFORE_W", geometry.before[1])]);
    text.ints([("DILATION_H", geometry.dilation[0]), ("DILATION_W", geometry.dilation[1])]);
    text.ints([("SIDE", side(c, reads))]);
    text.constant("bool", "TILED", is_tiled(geometry, [h, w]));
    text.code(format_args!("using operand = {};", element(reads)));
    text.code(format_args!("using stored = {};", element(writes)));
    text.file(file!("window.cu"));
}

/// What stands behind a map that makes the pixels of windows.
pub(super) struct Behind {
    /// Pixels that are read of an image.
    pub(super) pixels: usize,
    /// Images.
    pub(super) images: usize,
    pub(super) types: [&'static str; 2],
}

/// Adds the functions of sums over windows that stand behind a map, in a namespace `behind`.
pub(super) fn behind(spec: &KernelSpec, text: &mut Text) -> Option<Behind> {
    let KernelSpec::Window { kind, geometry, n, input, output, reads, writes } = spec else { return None };
    let pixels = match kind {
        Window::Sum => input[0] * input[1],
        Window::SumGrad { .. } => output[0] * output[1],
        Window::Max | Window::MaxGrad => return None,
    };
    text.code("namespace behind {");
    windows(*kind, geometry, *n, *input, *output, [*reads, *writes], text);
    text.file(file!("behind.cu"));
    text.code("}");
    Some(Behind { pixels, images: *n, types: [element(*reads), element(*writes)] })
}

/// Axes permuted.
pub(super) fn transpose(shape: &Shape, perm: &[usize], dtype: DType) -> CudaSource {
    let size = addressable(shape.len());
    // Elements to step in the input per axis of the input.
    let mut steps = vec![1; shape.rank()];
    for axis in (0..shape.rank().saturating_sub(1)).rev() {
        steps[axis] = steps[axis + 1] * shape.0[axis + 1];
    }
    let mut terms = Vec::new();
    let mut tail = 1;
    for &axis in perm.iter().rev() {
        terms.push(format!("i / {tail} % {} * {}", shape.0[axis], steps[axis]));
        tail *= shape.0[axis];
    }
    let sum = if terms.is_empty() { "i".into() } else { terms.join(" + ") };
    let mut text = Text::new();
    text.ints([("SIZE", size)]);
    text.file(file!("device.cu"));
    text.code(format_args!("using element = {};", element(dtype)));
    text.code(format_args!("__device__ __forceinline__ int source_of(int i) {{ return {sum}; }}"));
    text.file(file!("transpose.cu"));
    single(text, "transpose", blocks(size, 256), 256, vec![Argument::Input(0), Argument::Output(0)])
}

/// Zeros with parts in them.
pub(super) fn assemble(dims: &[usize], parts: &[Part], dtype: DType) -> CudaSource {
    let size = addressable(dims.iter().product());
    let names: Vec<String> = (0..parts.len()).map(|it| format!("in{it}")).collect();
    let mut text = Text::new();
    text.ints([("SIZE", size)]);
    text.file(file!("device.cu"));
    text.code(format_args!("using element = {};", element(dtype)));
    let pointers: String = names.iter().map(|it| format!(" const element* {it};")).collect();
    text.code(format_args!("struct Parts {{{pointers} }};"));
    text.code("__device__ __forceinline__ element element_of(const Parts& at, int i) {");
    let mut tail = size;
    for (axis, extent) in dims.iter().enumerate() {
        tail /= (*extent).max(1);
        text.code(format_args!("    const int x{axis} = i / {} % {extent};", tail.max(1)));
    }
    for (name, part) in names.iter().zip(parts) {
        addressable(part.dims.iter().product());
        let covered = crate::ir::assembly::covered(dims, &part.dims, &part.place);
        if covered.iter().any(|it| it.is_empty()) {
            continue;
        }
        let mut inside = Vec::new();
        let mut place = "0".to_owned();
        for (axis, (along, extent)) in part.place.iter().zip(&part.dims).enumerate() {
            if covered[axis] != (0..dims[axis]) {
                inside.push(format!("{} <= x{axis} && x{axis} < {}", covered[axis].start, covered[axis].end));
            }
            let from = match along.turned {
                true => format!("({} - x{axis})", along.start),
                false => format!("(x{axis} - ({}))", along.start),
            };
            place = if place == "0" { from } else { format!("({place} * {extent} + {from})") };
        }
        let inside = if inside.is_empty() { "true".to_owned() } else { inside.join(" && ") };
        text.code(format_args!("    if ({inside}) return at.{name}[{place}];"));
    }
    text.code("    return (element)0.0f;\n}");
    text.file(file!("assemble.cu"));
    let parameters: String = names.iter().map(|it| format!("const element* {it}, ")).collect();
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(ASSEMBLE_THREADS) assemble({parameters}element* to) {{\n    \
         assemble_elements({{{}}}, to);\n}}",
        names.join(", ")
    ));
    let inputs = (0..parts.len()).map(Argument::Input);
    single(text, "assemble", blocks(size, 256), 256, inputs.chain([Argument::Output(0)]).collect())
}

/// Sums of what was picked, a block for each row.
pub(super) fn scatter(rows: usize, n: usize, item: usize) -> CudaSource {
    addressable(rows * item);
    addressable(n * item);
    let mut text = Text::new();
    text.ints([("PICKS", n), ("ITEM", item)]);
    text.file(file!("device.cu"));
    text.file(file!("scatter.cu"));
    let arguments = vec![Argument::Input(0), Argument::Input(1), Argument::Output(0)];
    let mut source = single(text, "scatter", blocks(rows, 1), 256, arguments);
    source.launches[0].shared = 256 * 4;
    source
}

/// Losses over as many examples and classes, one after the other; nothing where there are other kernels among them.
pub(super) fn losses(specs: &[&KernelSpec]) -> Option<CudaSource> {
    let mut text = Text::new();
    text.file(file!("device.cu"));
    let (mut parameters, mut calls, mut arguments) = (Vec::new(), String::new(), Vec::new());
    let (mut examples, mut first) = (0, 0);
    for (at, spec) in specs.iter().enumerate() {
        let KernelSpec::Loss { kind, n, classes } = spec else { return None };
        let (name, smoothing, floor) = match kind {
            Loss::CrossEntropy { smoothing, floor } => ("CrossEntropy", smoothing.0, floor.0),
            Loss::CrossEntropyGrad { smoothing, floor } => ("CrossEntropyGrad", smoothing.0, floor.0),
            Loss::Correct => ("Correct", 0.0, 0.0),
        };
        text.code(format_args!("namespace loss{at} {{"));
        text.kind("Loss", "KIND", name);
        text.ints([("EXAMPLES", *n), ("CLASSES", *classes)]);
        addressable(n * classes);
        text.constant("float", "SMOOTHING", Number::Float.literal(smoothing));
        text.constant("bool", "FLOORED", floor != 0.0);
        text.constant("float", "LOG_FLOOR", Number::Float.literal(if floor == 0.0 { 0.0 } else { floor.ln() }));
        text.file(file!("loss.cu"));
        text.code("}");
        parameters.push(format!("const float* logits{at}, const i64* labels{at}, const float* g{at}, float* to{at}"));
        calls += &format!("    loss{at}::losses(logits{at}, labels{at}, g{at}, to{at});\n");
        let own = 2 + usize::from(matches!(kind, Loss::CrossEntropyGrad { .. }));
        let g = if own == 3 { Argument::Input(first + 2) } else { Argument::Null };
        arguments.extend([Argument::Input(first), Argument::Input(first + 1), g, Argument::Output(at)]);
        (examples, first) = (*n, first + own);
    }
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(256)\nloss({}) {{\n{calls}}}",
        parameters.join(", ")
    ));
    Some(single(text, "loss", blocks(examples, 8), 256, arguments))
}

/// Random numbers.
pub(super) fn random(kind: Random, len: usize, stream: u64, first: usize) -> CudaSource {
    let (kind, examples) = match kind {
        Random::Uniform => ("Uniform", 1),
        Random::Shuffle { examples } => ("Shuffle", examples),
        Random::Sequence { examples } => ("Sequence", examples),
    };
    // As in `ir::random::shuffled`.
    let half = (64 - (examples as u64 - 1).leading_zeros()).div_ceil(2).max(1) as usize;
    let mut text = Text::new();
    text.kind("Random", "KIND", kind);
    text.ints([("SIZE", len), ("HALF_BITS", half)]);
    text.constant("unsigned long long", "STREAM", format_args!("{stream}ull"));
    text.constant("unsigned long long", "EXAMPLES", format_args!("{examples}ull"));
    text.constant("unsigned long long", "FIRST", format_args!("{first}ull"));
    text.file(file!("device.cu"));
    text.file(file!("philox.cu"));
    text.file(file!("random.cu"));
    let arguments = vec![Argument::Input(0), Argument::Seed, Argument::Output(0)];
    single(text, "random_numbers", blocks(len, 128), 128, arguments)
}
