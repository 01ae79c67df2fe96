//! What a kernel asks of its operands, and whether its own numbers can be meant: a plan may come from a file, in which
//! nothing is taken for granted.

use super::{ConvKernel, ConvKind, KernelSpec, MapKernel, MatMulKernel, Part, Store};
use crate::ir::assembly::{MOST_PARTS, covered, overlap};
use crate::ir::{DType, Geometry, Loss, Random, Window, augment};

/// What a kernel asks of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Element type in memory.
    pub dtype: DType,
    /// Elements: of a result exactly, of what is read at least.
    pub len: usize,
}

impl Operand {
    fn real(len: usize) -> Self {
        Self { dtype: DType::Real, len }
    }

    fn int(len: usize) -> Self {
        Self { dtype: DType::Int, len }
    }
}

/// What a kernel reads and writes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operands {
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub outputs: Vec<Operand>,
}

/// Elements of a tensor, at most: their bytes and the indices of their parts are numbers of every type that counts them.
const MOST: usize = isize::MAX as usize / 16;

/// The product of extents, or what is wrong with them.
pub(crate) fn product(dims: &[usize]) -> Result<usize, String> {
    let len = dims.iter().try_fold(1usize, |len, &it| len.checked_mul(it));
    len.filter(|&it| it <= MOST).ok_or_else(|| format!("extents {dims:?} are out of range"))
}

/// Channels of each of a convolution's groups: of what it reads, and of its result.
pub(crate) fn shares(conv: &ConvKernel) -> Result<[usize; 2], String> {
    let (groups, channels) = (conv.geometry.groups, [conv.input[2], conv.output[2]]);
    if groups == 0 || channels.iter().any(|it| it % groups != 0) {
        return Err(format!("{channels:?} channels cannot be divided into {groups} groups"));
    }
    Ok(channels.map(|it| it / groups))
}

/// Extents of a window's result are what the geometry gives.
pub(crate) fn windows(geometry: &Geometry, input: [usize; 2], output: [usize; 2]) -> Result<(), String> {
    let small = |it: &usize| *it <= u32::MAX as usize;
    let all = [geometry.kernel, geometry.stride, geometry.before, geometry.after, geometry.dilation, input, output];
    let steps = [geometry.kernel, geometry.stride, geometry.dilation];
    if !all.iter().flatten().all(small) || steps.iter().flatten().any(|it| *it == 0) {
        return Err(format!("the window {geometry:?} is out of range"));
    }
    if geometry.output(input) != Some(output) {
        return Err(format!("a window {geometry:?} over {input:?} does not give {output:?}"));
    }
    Ok(())
}

/// Matrix products, one after the other.
fn multiplied(all: &[MatMulKernel]) -> Result<Operands, String> {
    let mut operands = Operands::default();
    for &MatMulKernel { batch, m, n, k, .. } in all {
        operands.inputs.push(Operand::real(product(&[batch, m, k])?));
        operands.inputs.push(Operand::real(product(&[batch, k, n])?));
        operands.outputs.push(Operand::real(product(&[batch, m, n])?));
    }
    Ok(operands)
}

impl KernelSpec {
    /// What it asks of its operands; or what is wrong with it.
    pub fn operands(&self) -> Result<Operands, String> {
        match self {
            KernelSpec::Conv(conv) => convolution(conv),
            KernelSpec::ConvMap { conv, map } => followed(conv, map),
            KernelSpec::MatMul(it) => multiplied(std::slice::from_ref(it)),
            KernelSpec::MatMuls(all) => multiplied(all),
            KernelSpec::Map(map) => mapped(map),
            KernelSpec::Maps(maps) => {
                let mut all = Operands::default();
                for map in maps {
                    let one = mapped(map)?;
                    all.inputs.extend(one.inputs);
                    all.outputs.extend(one.outputs);
                }
                Ok(all)
            }
            KernelSpec::Window { kind, geometry, n, input, output, reads, writes } => {
                let [h, w, c] = *input;
                windows(geometry, [h, w], *output)?;
                if geometry.groups != 1 {
                    return Err(format!("a window in {} groups", geometry.groups));
                }
                let x = product(&[*n, h, w, c])?;
                let y = product(&[*n, output[0], output[1], c])?;
                let reading = |len: usize| Operand { dtype: *reads, len };
                let (inputs, len) = match kind {
                    Window::Sum | Window::Max => (vec![reading(x)], y),
                    Window::SumGrad { size } if *size != [h, w] => {
                        return Err("the size of a window's gradient is not that of its input".to_owned());
                    }
                    Window::SumGrad { .. } => (vec![reading(y)], x),
                    Window::MaxGrad => (vec![reading(x), reading(y)], x),
                };
                Ok(Operands { inputs, outputs: vec![Operand { dtype: *writes, len }] })
            }
            KernelSpec::Transpose { shape, perm, dtype } => {
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                if !sorted.iter().copied().eq(0..shape.rank()) {
                    return Err(format!("{perm:?} is not a permutation of the axes of {shape}"));
                }
                let operand = Operand { dtype: *dtype, len: product(shape.dims())? };
                Ok(Operands { inputs: vec![operand], outputs: vec![operand] })
            }
            KernelSpec::Assemble { dims, parts, dtype } => assembled(dims, parts, *dtype),
            KernelSpec::Gather { dtype, n, item } => {
                let len = product(item.dims())?;
                Ok(Operands {
                    inputs: vec![Operand { dtype: *dtype, len }, Operand::int(*n)],
                    outputs: vec![Operand { dtype: *dtype, len: product(&[*n, len])? }],
                })
            }
            KernelSpec::Augment { dtype, n, item, steps } => {
                let &[height, width, channels] = item.dims() else {
                    return Err(format!("only images are augmented, not {dtype:?}{item}"));
                };
                if let Some(step) = steps.iter().find(|it| !it.takes(*dtype)) {
                    return Err(format!("`{}` is not done to images of type {}", step.word(), dtype.word()));
                }
                let image = augment::after(steps, [height, width, channels]).map_err(|it| it.1)?;
                let mut inputs = vec![Operand { dtype: *dtype, len: product(item.dims())? }, Operand::int(*n)];
                let draws = augment::draws(steps);
                if 0 < draws {
                    inputs.push(Operand::real(product(&[*n, draws])?));
                }
                Ok(Operands {
                    inputs,
                    outputs: vec![Operand { dtype: *dtype, len: product(&[*n, product(&image)?])? }],
                })
            }
            &KernelSpec::Scatter { rows, n, item } => Ok(Operands {
                inputs: vec![Operand::int(product(&[n])?), Operand::real(product(&[n, item])?)],
                outputs: vec![Operand::real(product(&[rows, item])?)],
            }),
            &KernelSpec::AllReduce { len, .. } => Ok(Operands {
                inputs: vec![Operand::real(product(&[len])?)],
                outputs: vec![Operand::real(product(&[len])?)],
            }),
            KernelSpec::Loss { kind, n, classes } => {
                let scores = product(&[*n, *classes])?;
                if *classes == 0 {
                    return Err("a loss over no classes".to_owned());
                }
                let mut inputs = vec![Operand::real(scores), Operand::int(*n)];
                let len = match kind {
                    Loss::CrossEntropy { .. } | Loss::Correct => *n,
                    Loss::CrossEntropyGrad { .. } => {
                        inputs.push(Operand::real(*n));
                        scores
                    }
                };
                Ok(Operands { inputs, outputs: vec![Operand::real(len)] })
            }
            KernelSpec::Random { kind, len, first, .. } => {
                product(&[*len])?;
                if 1 << 60 < *first {
                    return Err(format!("no batch has a number {first}"));
                }
                let output = match kind {
                    Random::Uniform => Operand::real(*len),
                    Random::Shuffle { examples } | Random::Sequence { examples }
                        if *examples == 0 || 1 << 40 < *examples =>
                    {
                        return Err(format!("cannot draw from {examples} examples"));
                    }
                    Random::Shuffle { .. } | Random::Sequence { .. } => Operand::int(*len),
                };
                Ok(Operands { inputs: vec![Operand::int(1)], outputs: vec![output] })
            }
        }
    }

    /// Whether a result may lie where an operand lies: it is written exactly where that is read.
    pub fn may_alias(&self, input: usize, output: usize) -> bool {
        match self {
            KernelSpec::Map(map) => in_place(map, input, output),
            KernelSpec::Maps(maps) => {
                let (mut inputs, mut outputs) = (0, 0);
                for map in maps {
                    if output < outputs + map.outputs.len() {
                        let own = (inputs..inputs + map.inputs.len()).contains(&input);
                        return own && in_place(map, input - inputs, output - outputs);
                    }
                    inputs += map.inputs.len();
                    outputs += map.outputs.len();
                }
                false
            }
            KernelSpec::Conv(_)
            | KernelSpec::ConvMap { .. }
            | KernelSpec::MatMul(_)
            | KernelSpec::MatMuls(_)
            | KernelSpec::Window { .. }
            | KernelSpec::Transpose { .. }
            | KernelSpec::Assemble { .. }
            | KernelSpec::Gather { .. }
            | KernelSpec::Augment { .. }
            | KernelSpec::Scatter { .. }
            | KernelSpec::AllReduce { .. }
            | KernelSpec::Loss { .. }
            | KernelSpec::Random { .. } => false,
        }
    }
}

fn in_place(map: &MapKernel, input: usize, output: usize) -> bool {
    let (Some(input), Some(output)) = (map.inputs.get(input), map.outputs.get(output)) else { return false };
    input.draws.is_none()
        && input.dtype == output.dtype
        && output.store == Store::Full
        && is_dense(&map.dims, &input.strides)
}

/// Whether strides step through a space in the order of its elements; along an axis of extent 1 any will do.
fn is_dense(dims: &[usize], strides: &[usize]) -> bool {
    let mut step = 1usize;
    dims.iter().zip(strides).rev().all(|(&extent, &stride)| {
        let here = extent <= 1 || stride == step;
        step = step.saturating_mul(extent.max(1));
        here
    })
}

/// A tensor that is put together: its parts, and itself.
fn assembled(dims: &[usize], parts: &[Part], dtype: DType) -> Result<Operands, String> {
    if !matches!(dtype, DType::Real | DType::Bf16) {
        return Err(format!("parts of {dtype:?}"));
    }
    if MOST_PARTS < parts.len() {
        return Err(format!("{} parts", parts.len()));
    }
    let outputs = vec![Operand { dtype, len: product(dims)? }];
    let mut inputs = Vec::new();
    let mut boxes = Vec::new();
    for part in parts {
        if part.dims.len() != dims.len() || part.place.len() != dims.len() {
            return Err(format!("a part of other axes than {dims:?}"));
        }
        if part.place.iter().any(|it| MOST < usize::try_from(it.start.unsigned_abs()).unwrap_or(usize::MAX)) {
            return Err(format!("the place {:?} is out of range", part.place));
        }
        inputs.push(Operand { dtype, len: product(&part.dims)? });
        boxes.push(covered(dims, &part.dims, &part.place));
    }
    match overlap(&boxes) {
        Some([a, b]) => Err(format!("the parts {a} and {b} overlap")),
        None => Ok(Operands { inputs, outputs }),
    }
}

/// A convolution's operands: both that it reads, and its result.
fn convolution(conv: &ConvKernel) -> Result<Operands, String> {
    let ([h, w, c], [oh, ow, oc]) = (conv.input, conv.output);
    windows(&conv.geometry, [h, w], [oh, ow])?;
    let [each, _] = shares(conv)?;
    for dtype in [conv.reads, conv.writes] {
        if !matches!(dtype, DType::Real | DType::Bf16) {
            return Err(format!("a convolution of {dtype:?}"));
        }
    }
    let x = product(&[conv.n, h, w, c])?;
    let y = product(&[conv.n, oh, ow, oc])?;
    let filter = product(&[conv.geometry.kernel[0], conv.geometry.kernel[1], each, oc])?;
    let (inputs, output) = match conv.kind {
        ConvKind::Forward => ([x, filter], y),
        ConvKind::InputGrad => ([y, filter], x),
        ConvKind::FilterGrad => ([x, y], filter),
    };
    Ok(Operands {
        inputs: inputs.map(|len| Operand { dtype: conv.reads, len }).to_vec(),
        outputs: vec![Operand { dtype: conv.writes, len: output }],
    })
}

/// A convolution whose result goes through a map.
fn followed(conv: &ConvKernel, map: &MapKernel) -> Result<Operands, String> {
    let of_conv = convolution(conv)?;
    let of_map = mapped(map)?;
    let channels = match conv.kind {
        ConvKind::Forward => conv.output[2],
        ConvKind::InputGrad => conv.input[2],
        ConvKind::FilterGrad => return Err("no map follows a filter gradient".to_owned()),
    };
    let len = of_conv.outputs.iter().map(|it| it.len).sum::<usize>();
    let first = map.inputs.first().is_some_and(|it| it.dtype == DType::Real && is_dense(&map.dims, &it.strides));
    if product(&map.dims)? != len || map.dims.last() != Some(&channels) || !first {
        return Err(format!("a map over {:?} cannot follow a convolution with {channels} channels", map.dims));
    }
    for output in &map.outputs {
        if let Store::Reduce { over, .. } = &output.store
            && (over.last() != Some(&false) || over.iter().rev().skip(1).any(|it| !it))
        {
            return Err("a reduction behind a convolution goes over all pixels and no channel".to_owned());
        }
    }
    let mut inputs = of_conv.inputs;
    inputs.extend(of_map.inputs.into_iter().skip(1));
    Ok(Operands { inputs, outputs: of_map.outputs })
}

fn mapped(map: &MapKernel) -> Result<Operands, String> {
    let all = product(&map.dims)?;
    if map.dims.is_empty() {
        return Err("a map over no axes".to_owned());
    }
    map.body.check(map.inputs.len(), map.outputs.len())?;
    let mut operands = Operands::default();
    for input in &map.inputs {
        if input.strides.len() != map.dims.len() {
            return Err("an input has not one stride per axis".to_owned());
        }
        if input.strides.last().is_some_and(|it| 1 < *it) {
            return Err("the innermost stride of an input is 0 or 1".to_owned());
        }
        // How far the last element lies behind the first.
        let steps = map.dims.iter().zip(&input.strides);
        let reach = steps.map(|(&extent, &stride)| extent.saturating_sub(1).checked_mul(stride));
        let reach = reach.sum::<Option<usize>>().filter(|it| *it < MOST);
        let reach = reach.ok_or_else(|| format!("strides {:?} are out of range", input.strides))?;
        input.check_draws()?;
        let len = if input.draws.is_some() { 1 } else { reach + 1 };
        operands.inputs.push(Operand { dtype: input.dtype, len: if all == 0 { 0 } else { len } });
    }
    for output in &map.outputs {
        let len = match &output.store {
            Store::Full => all,
            Store::Reduce { over, .. } => {
                if over.len() != map.dims.len() {
                    return Err("a reduction has not one mark per axis".to_owned());
                }
                if output.dtype != DType::Real {
                    return Err("a reduction gives reals only".to_owned());
                }
                let kept = map.dims.iter().zip(over).filter(|it| !it.1);
                product(&kept.map(|it| *it.0).collect::<Vec<_>>())?
            }
        };
        if matches!(output.dtype, DType::U8 | DType::U16) {
            return Err("an expression gives no pixels of images".to_owned());
        }
        operands.outputs.push(Operand { dtype: output.dtype, len });
    }
    Ok(operands)
}
