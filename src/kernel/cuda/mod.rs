//! Kernels as CUDA text: what a [`KernelSpec`] becomes on a GPU.
//!
//! The families are ordinary CUDA files in `kernels/`. For one spec this stage writes the constants and the small device
//! functions that its family asks for, joins them with the files, and says how to launch the result. The text is a
//! function of spec and options, to the byte. Nothing here touches a device.

mod combine;
mod contraction;
mod drawn;
mod epilogue;
mod expression;
mod filter_grad_3x3;
mod gather;
mod grouped;
mod join;
mod map;
mod matmul;
mod parted;
mod reach;
mod simple;
mod text;
mod waves;

pub use join::write;
pub use reach::{REACH, beyond};

use super::{ConvKind, KernelSpec, MapKernel};
use crate::ir::{Across, DType, Precision};

/// How products of contractions over operands in fp32 are formed; operands in bf16 are multiplied as they are. Sums are
/// always fp32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// fp32 multiply-adds, without tensor cores.
    #[default]
    F32,
    /// Tensor cores; factors rounded to 10 bits of mantissa.
    Tf32,
    /// Tensor cores; factors rounded to 7 bits of mantissa. Plain matrix products stay at tf32.
    Bf16,
}

impl Arithmetic {
    /// How products are formed in a precision; nothing for one that there are no kernels for.
    pub fn of(precision: Precision) -> Option<Arithmetic> {
        match precision {
            Precision::F32 => Some(Arithmetic::F32),
            Precision::Tf32 => Some(Arithmetic::Tf32),
            Precision::Bf16 => Some(Arithmetic::Bf16),
            Precision::F64 => None,
        }
    }
}

/// What the text depends on besides the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// How contractions multiply.
    pub arithmetic: Arithmetic,
    /// Multiprocessors of the device: tiles are chosen, and long sums shared out, to fill them.
    pub processors: usize,
    /// Tiles before this one, which are larger, are not chosen.
    pub first_tile: usize,
    /// Overrules the choice for contractions.
    pub choice: Option<Choice>,
}

/// How a contraction is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Which tile, below [`TILES`] or [`TILES_BF16`]; or [`FILTER_GRAD_3X3`].
    pub tile: usize,
    /// Into how many shares the summed extent is split.
    pub split: usize,
}

/// How many tiles contractions over operands in fp32 choose from.
pub const TILES: usize = contraction::TILES.len();

/// How many over operands in bf16.
pub const TILES_BF16: usize = contraction::TILES_BF16.len();

/// Behind the tiles: all nine taps in a block, for the filter gradient of a 3x3 convolution of stride 1 over operands in
/// bf16.
pub const FILTER_GRAD_3X3: usize = TILES_BF16;

impl Default for Options {
    fn default() -> Self {
        Self { arithmetic: Arithmetic::F32, processors: 132, first_tile: 0, choice: None }
    }
}

/// One argument of an entry; each is eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Address of an input.
    Input(usize),
    /// Address of an output.
    Output(usize),
    /// Address of the scratch space, this many bytes in.
    Scratch(usize),
    /// Address of counters that are 0 between launches.
    Counters,
    /// The plan's seed.
    Seed,
    /// A null pointer, for an operand that this kind does not have.
    Null,
}

/// One launch of an entry of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaLaunch {
    /// Name of the entry.
    pub entry: &'static str,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block, along x.
    pub block: u32,
    /// Dynamic shared memory in bytes.
    pub shared: u32,
    /// Arguments in order.
    pub arguments: Vec<Argument>,
}

/// A kernel spec as CUDA: one translation unit and its launches, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaSource {
    /// The translation unit. Includes nothing.
    pub text: String,
    /// What to launch, one after the other.
    pub launches: Vec<CudaLaunch>,
    /// Bytes of scratch space; nothing in it outlives the last launch.
    pub scratch: usize,
    /// Counters of 32 bits that it takes. They are 0 when a launch starts, and again when it ends.
    pub counters: usize,
}

/// Writes a kernel spec as CUDA.
pub fn generate(spec: &KernelSpec, options: &Options) -> CudaSource {
    match spec {
        KernelSpec::Conv(conv) if conv.is_apart() => grouped::plain(conv, options),
        KernelSpec::ConvMap { conv, map } if conv.is_apart() => grouped::mapped(conv, map, options),
        KernelSpec::Conv(conv) if conv.kind == ConvKind::FilterGrad => contraction::filter_grad(conv, options),
        KernelSpec::Conv(conv) => epilogue::plain(conv, options),
        KernelSpec::ConvMap { conv, map } => epilogue::mapped(conv, map, options),
        KernelSpec::MatMul(product) => matmul::matmuls(std::slice::from_ref(product), options),
        KernelSpec::MatMuls(all) => matmul::matmuls(all, options),
        KernelSpec::Map(map) => map::maps(std::slice::from_ref(map)),
        KernelSpec::Maps(all) => map::maps(all),
        KernelSpec::Window { kind, geometry, n, input, output, reads, writes } => {
            simple::window(*kind, geometry, *n, *input, *output, [*reads, *writes])
        }
        KernelSpec::Transpose { shape, perm, dtype } => simple::transpose(shape, perm, *dtype),
        KernelSpec::Assemble { dims, parts, dtype } => simple::assemble(dims, parts, *dtype),
        KernelSpec::Gather { dtype, n, item } => gather::gather(*dtype, *n, item, &[]),
        KernelSpec::Augment { dtype, n, item, steps } => gather::gather(*dtype, *n, item, steps),
        KernelSpec::Scatter { rows, n, item } => simple::scatter(*rows, *n, *item),
        // Of a batch in one shard; several run on CPUs.
        KernelSpec::AllReduce { kind: Across::Sum | Across::Max, len } => {
            map::maps(&[MapKernel::copy(*len, DType::Real, DType::Real)])
        }
        KernelSpec::Loss { .. } => simple::losses(&[spec]).expect("a loss is one"),
        KernelSpec::Random { kind, len, stream, first } => simple::random(*kind, *len, *stream, *first),
    }
}

/// Blocks of `each` that cover `all`.
fn blocks(all: usize, each: usize) -> u32 {
    u32::try_from(all.div_ceil(each).max(1)).expect("a grid has fewer than 2^32 blocks")
}

#[cfg(test)]
mod tests;
