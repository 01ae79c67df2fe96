//! What a GPU does, by figures that others measured or published; the only place of such numbers.

/// A GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gpu {
    /// `sm_90`.
    pub(super) architecture: &'static str,
    pub(super) name: &'static str,
    pub(super) processors: f64,
    /// Cycles a second while tensor cores work.
    pub(super) clock: f64,
    /// And while memory is what is waited for, which draws less.
    pub(super) clock_memory: f64,
    /// Multiply-adds in bf16 per cycle of a multiprocessor's tensor cores, and the share of these that `mma.sync` reaches.
    pub(super) tensor: f64,
    pub(super) through: f64,
    /// Bytes a second of memory and of the L2 cache.
    pub(super) memory: f64,
    pub(super) l2: f64,
    /// Cycles until a number comes from the L1 cache, the L2 cache, memory.
    pub(super) latencies: [f64; 3],
    /// Bytes per cycle of a multiprocessor's shared memory, and its size.
    pub(super) shared: f64,
    pub(super) shared_bytes: f64,
    /// Seconds from one node of a graph in a line to the next.
    pub(super) gap: f64,
    /// Seconds of the shortest useful kernel: one load, some arithmetic, one store.
    pub(super) least: f64,
    /// Instructions per cycle of a warp that has its scheduler to itself, in arithmetic on addresses.
    pub(super) alone: f64,
    /// Share of that arithmetic that the other warp of a scheduler hides, with one block on a multiprocessor.
    pub(super) hidden: f64,
}

/// - `processors`, `tensor`, `shared_bytes`: NVIDIA, H100 SXM data sheet and tuning guide for Hopper (132 multiprocessors, 989
///   TFLOP/s in bf16 at 1.83 GHz, 228 KB of shared memory).
/// - `clock`: what remains under load of tensor cores; published runs of cuBLAS at 800 TFLOP/s mean 1.55 to 1.8 GHz.
/// - `through`: 62.9 % for `mma.sync`, arXiv 2501.12084, section 6.2, table 7 (H800, of the same multiprocessors).
/// - `memory`: a copy on an H100 80 GB HBM3 moves 3.0 of 3.35 TB/s. `l2`: published microbenchmarks, 5.5 to 7 TB/s; the least.
/// - `latencies`: arXiv 2402.13499, table 4, rounded.
/// - `gap`: published measurements of CUDA graphs in a line, 1.24 us. `least`, `alone`, `hidden`: guesses from the above.
const H100: Gpu = Gpu {
    architecture: "sm_90",
    name: "H100 SXM",
    processors: 132.0,
    clock: 1.755e9,
    clock_memory: 1.90e9,
    tensor: 2048.0,
    through: 0.629,
    memory: 3.0e12,
    l2: 5.5e12,
    latencies: [35.0, 270.0, 680.0],
    shared: 128.0,
    shared_bytes: 228.0 * 1024.0,
    gap: 1.25e-6,
    least: 1.6e-6,
    alone: 0.45,
    hidden: 0.2,
};

/// All that there are figures for.
pub(super) const GPUS: [Gpu; 1] = [H100];
