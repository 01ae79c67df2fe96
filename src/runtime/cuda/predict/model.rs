//! How long a kernel is expected to take: arithmetic on its machine code and its sizes, with the figures of a GPU. It knows
//! nothing of clocks that change, of other work, or of which bytes the caches hold; published kernels are off by some tenths.

use super::code::{Class, Code};
use super::constants::Gpu;
use crate::kernel::cuda::{Arithmetic, CudaLaunch};
use std::ops::RangeInclusive;

/// What a kernel waits for most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Products of tensor cores or multiply-adds.
    Products,
    /// Other instructions.
    Instructions,
    /// Shared memory.
    Shared,
    /// The L2 cache.
    Cache,
    /// Memory.
    Memory,
    /// Numbers on their way, with nothing else to do.
    Latency,
}

impl Bound {
    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Products => "products",
            Bound::Instructions => "instructions",
            Bound::Shared => "shared memory",
            Bound::Cache => "L2 cache",
            Bound::Memory => "memory",
            Bound::Latency => "latency",
        }
    }
}

/// A kernel as it is launched.
pub(super) struct Kernel<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) launch: &'a CudaLaunch,
    pub(super) text: &'a str,
    pub(super) code: &'a Code,
    pub(super) flops: f64,
    pub(super) bytes: f64,
    /// Whether it is several maps, one after the other over the same rows.
    pub(super) over_rows: bool,
}

/// Seconds by what they are spent on; some go on at the same time.
type Parts = Vec<(Bound, f64)>;

/// Extent of k of a stage; as in `kernels/tile.cu`.
const DEPTH: f64 = 32.0;

impl Kernel<'_> {
    /// Seconds, and what sets them.
    pub(super) fn time(&self) -> (f64, Bound) {
        let (seconds, parts) = match self.launch.entry {
            "conv" | "filter_grad" | "matmul" => self.contraction(),
            "combine" | "map_combine" => self.combine(),
            "map" if self.over_rows => self.maps_over_rows(),
            "map" => self.map(),
            _ => self.plain(),
        };
        let memory = self.memory();
        let most = parts.into_iter().fold((Bound::Latency, 0.0), |most, it| if most.1 < it.1 { it } else { most });
        if seconds < memory { (memory, Bound::Memory) } else { (seconds, most.0) }
    }

    /// The first number that the text gives a constant.
    fn constant(&self, name: &str) -> Option<f64> {
        let (_, rest) = self.text.split_once(&format!(" {name} = "))?;
        match rest.split([';', ',']).next()? {
            "true" => Some(1.0),
            "false" => Some(0.0),
            it => it.parse().ok(),
        }
    }

    fn number(&self, name: &str, otherwise: f64) -> f64 {
        self.constant(name).unwrap_or(otherwise)
    }

    fn blocks(&self) -> f64 {
        self.launch.grid.iter().map(|it| f64::from(*it)).product()
    }

    fn warps(&self) -> f64 {
        f64::from(self.launch.block) / 32.0
    }

    /// Seconds that memory takes. What fits the L2 cache is there in part from the kernel before: a share that is a guess.
    fn memory(&self) -> f64 {
        let found = match self.bytes {
            it if 60e6 < it => 0.0,
            it if 20e6 < it => 0.35,
            _ => 0.8,
        };
        self.bytes * (1.0 - found) / self.gpu.memory + self.bytes * found / self.gpu.l2
    }

    /// Cycles until a number comes.
    fn latency(&self) -> f64 {
        let [_, cache, memory] = self.gpu.latencies;
        match self.bytes {
            it if 60e6 < it => memory,
            it if 20e6 < it => (cache + memory) / 2.0,
            _ => cache,
        }
    }

    /// A tile of a product: waves of blocks, each a prologue, stages, and what becomes of its sums.
    fn contraction(&self) -> (f64, Parts) {
        let gpu = self.gpu;
        let bf16 = self.text.contains("using operand = bf16");
        let nine = self.constant("STRIP_N").is_some();
        let (m, n) =
            if nine { (128.0, 32.0 * 9.0) } else { (self.number("TILE_M", 64.0), self.number("TILE_N", 64.0)) };
        let depth = if nine { 128.0 } else { DEPTH };
        let is = |kind: &str| self.text.contains(&format!(" ARITHMETIC = Arithmetic::{kind};"));
        let arithmetic = if bf16 || nine {
            Arithmetic::Bf16
        } else if is("Tf32") {
            Arithmetic::Tf32
        } else {
            Arithmetic::F32
        };
        // Multiply-adds of an instruction of a warp, and cycles that one takes of its scheduler's pipe.
        let (each, cycles) = match arithmetic {
            Arithmetic::Bf16 => (2048.0, 2048.0 / (gpu.tensor * gpu.through / 4.0)),
            Arithmetic::Tf32 => (1024.0, 2048.0 / (gpu.tensor * gpu.through / 4.0)),
            Arithmetic::F32 => (32.0, 1.0),
        };
        let product = if arithmetic == Arithmetic::F32 { Class::Multiply } else { Class::Tensor };
        let warps = self.warps();
        // Of a warp in a stage.
        let products = m * n * depth / each / warps;
        let all = 0..=self.code.operations.len().saturating_sub(1);
        let body = self.code.busiest(&[product]).unwrap_or(&all);
        let in_body = self.code.count(body, &[product]).max(1) as f64;
        let of_stage = |classes: &[Class]| self.code.count(body, classes) as f64 * products / in_body;
        let total = body.clone().count() as f64 * products / in_body;
        // A stage whose products lie in a loop of their own has the rest around it.
        let around = self.code.loops.iter().filter(|it| it.contains(body.start()) && *it != body);
        let around =
            around.map(|it| (it.clone().count() - body.clone().count()) as f64).reduce(f64::min).unwrap_or(0.0);
        let other = total - products + if self.code.count(body, &[Class::Copy]) == 0 { around } else { 0.0 };

        let blocks = self.blocks();
        let of_k = match self.launch.entry {
            _ if nine => {
                let strips = |extent: &str, strip: &str| (self.number(extent, 1.0) / self.number(strip, 1.0)).ceil();
                strips("IMAGES", "STRIP_N") * strips("OUTPUT_H", "STRIP_H") * strips("OUTPUT_W", "STRIP_W") * depth
            }
            "filter_grad" => self.number("IMAGES", 1.0) * self.number("OUTPUT_H", 1.0) * self.number("OUTPUT_W", 1.0),
            "conv" => {
                let classes = self.number("STRIDE_H", 1.0) * self.number("STRIDE_W", 1.0);
                let taps = self.number("KERNEL_H", 1.0) * self.number("KERNEL_W", 1.0);
                let met = if self.number("INPUT_GRAD", 0.0) == 1.0 { (taps / classes).max(1.0) } else { taps };
                met * self.number("SOURCE_C", 1.0)
            }
            // Of many products the mean.
            _ => self.flops / 2.0 / (m * n * blocks) * self.number("SPLIT", 1.0),
        };
        let stages = (of_k / depth / self.number("SPLIT", 1.0)).ceil().max(1.0);

        let by_shared = (gpu.shared_bytes / (f64::from(self.launch.shared) + 1024.0)).floor();
        let fitting = self.number("BLOCKS", 1.0).min(by_shared).max(1.0);
        let resident = fitting.min((blocks / gpu.processors).ceil()).max(1.0);
        let bytes = if bf16 || nine { 2.0 } else { 4.0 };
        let again = if !nine && self.launch.entry == "conv" { self.number("KERNEL_W", 1.0) } else { 1.0 };
        let stage = |resident: f64| {
            // Of a scheduler.
            let on_one = resident * warps / 4.0;
            let tensor = on_one * products * cycles;
            let integers = on_one * of_stage(&[Class::Integer]) * 2.0;
            let chain = if on_one <= 2.0 { other / gpu.alone } else { 0.0 };
            let head = integers.max(chain).max(on_one * other);
            let shared = resident
                * (of_stage(&[Class::Fragments]) * warps * 512.0
                    + of_stage(&[Class::Shared]) * warps * 128.0
                    + (m + n) * depth * bytes * 2.0)
                / gpu.shared;
            let cache = resident * (m / again + n) * depth * bytes / (gpu.l2 / gpu.processors / gpu.clock);
            let whole = if fitting == 1.0 {
                let seen = if on_one <= 1.0 { 1.0 } else { 1.0 - gpu.hidden };
                (tensor + head * seen + 60.0).max(shared).max(cache)
            } else {
                let apart = (tensor * 1.08).max(integers).max(on_one * (products + other) * 1.05);
                apart.max(shared * 1.1).max(cache).max((tensor + head) / 1.55)
            };
            (
                whole,
                [
                    (Bound::Products, tensor),
                    (Bound::Instructions, head),
                    (Bound::Shared, shared),
                    (Bound::Cache, cache),
                ],
            )
        };
        let (one, parts) = stage(resident);
        // Behind the loop: what its instructions take, or the way there and back for each group of columns.
        let on_one = resident * warps / 4.0;
        let behind = (self.code.operations.len() as f64 - body.clone().count() as f64).max(0.0);
        let groups = (n / self.number("WARPS_N", 1.0) / 8.0).max(1.0);
        let loaded = self.code.count(&all, &[Class::Load]) as f64;
        let way = if 16.0 < loaded { self.latency() } else { 2.0 * gpu.latencies[0] };
        let sums = self.number("COLUMN_SUMS", 0.0) + self.number("COLUMN_MOMENTS", 0.0);
        let tail = (behind * on_one).max(groups * (way + 180.0) + 2.0 * gpu.latencies[1])
            + if 0.0 < sums { 1560.0 } else { 0.0 };
        let start = 900.0;
        let full = (blocks / (gpu.processors * resident)).floor();
        let rest = blocks - full * gpu.processors * resident;
        let mut cycles = full * (one * stages + tail + start);
        if 0.0 < rest {
            let last = resident.min((rest / gpu.processors).ceil());
            cycles += stage(last).0.min(one) * stages + tail + start;
        }
        let rounds = full + if 0.0 < rest { 1.0 } else { 0.0 };
        let mut all: Parts = parts.map(|(bound, it)| (bound, it * stages * rounds / gpu.clock)).to_vec();
        all.push((Bound::Latency, rounds * (tail + start) / gpu.clock));
        (cycles / gpu.clock, all)
    }

    /// Maps: memory, instructions, or the way there and back for each turn of a loop.
    fn map(&self) -> (f64, Parts) {
        let gpu = self.gpu;
        let length = self.code.operations.len() as f64;
        if 1 < self.text.matches("namespace map").count() {
            // Many side by side: sums over rows have few loads on their way.
            let rate = if 0 < self.launch.shared { 1.4e12 } else { 2.3e12 };
            let memory = self.bytes / rate;
            return (memory.max(gpu.least) + 1.2e-6, vec![(Bound::Memory, memory), (Bound::Latency, gpu.least)]);
        }
        let lanes = self.number("LANES", 32.0);
        let lines = self.warps() * 32.0 / lanes;
        let turns = (self.number("BLOCK_ROWS", lines) / (lines * self.number("ROWS_AT_ONCE", 1.0))).max(1.0);
        let body = self.code.busiest(&[Class::Load]);
        let in_loop = body.map_or(0.0, |it| it.clone().count() as f64);
        let by_rows = body.is_some();
        let turns = if by_rows { turns * self.number("PER_THREAD", 1.0) } else { 1.0 };
        let each = length - in_loop + in_loop * turns;
        let resident = (self.blocks() / gpu.processors).clamp(1.0, 4.0);
        let rounds = (self.blocks() / (gpu.processors * resident)).max(1.0);
        let busy = self.warps() * resident / 4.0 * each;
        let waits = turns * (self.latency() + in_loop / gpu.alone) + (length - in_loop) / gpu.alone;
        let (issue, latency) = (rounds * busy / gpu.clock_memory, rounds * waits / gpu.clock_memory);
        // Memory is not kept busy from the first to the last moment.
        let memory = self.memory() / 0.87;
        let all = vec![(Bound::Memory, memory), (Bound::Instructions, issue), (Bound::Latency, latency)];
        (memory.max(issue).max(latency).max(gpu.least) + 1.2e-6, all)
    }

    /// Maps one after the other, each with its own turns; their loops are taken to be of one length.
    fn maps_over_rows(&self) -> (f64, Parts) {
        let gpu = self.gpu;
        let all = |name: &str| {
            let before = format!(" {name} = ");
            let of = self.text.split(&before).skip(1);
            of.filter_map(|it| it.split([';', ',']).next()?.parse::<f64>().ok()).collect::<Vec<f64>>()
        };
        let [lanes, rows, at_once, vectors] = ["LANES", "BLOCK_ROWS", "ROWS_AT_ONCE", "PER_THREAD"].map(all);
        let each = lanes.iter().zip(&rows).zip(at_once.iter().zip(&vectors));
        let turns = |((lanes, rows), (at_once, vectors))| {
            let lines = self.warps() * 32.0 / lanes;
            f64::max(rows / (lines * at_once), 1.0) * vectors
        };
        let (turns, stages) = (each.map(turns).sum::<f64>(), lanes.len().max(1) as f64);
        let loads = |it: &&RangeInclusive<usize>| self.code.count(it, &[Class::Load]) != 0;
        let loops: Vec<_> = self.code.loops.iter().filter(loads).collect();
        let code = self.code.operations.len();
        let looped = (0..code).filter(|at| loops.iter().any(|it| it.contains(at))).count() as f64;
        let length = code as f64 - looped + looped / stages * turns;
        let resident = (self.blocks() / gpu.processors).clamp(1.0, 4.0);
        let rounds = (self.blocks() / (gpu.processors * resident)).max(1.0);
        let busy = self.warps() * resident / 4.0 * length;
        let waits = turns * self.latency() + length / gpu.alone;
        let (issue, latency) = (rounds * busy / gpu.clock_memory, rounds * waits / gpu.clock_memory);
        let memory = self.memory() / 0.87;
        let parts = vec![(Bound::Memory, memory), (Bound::Instructions, issue), (Bound::Latency, latency)];
        (memory.max(issue).max(latency).max(gpu.least) + 1.2e-6, parts)
    }

    /// A second stage: partial results from the L2 cache, some on their way at once, and one sum after the other.
    fn combine(&self) -> (f64, Parts) {
        let gpu = self.gpu;
        let (mut bytes, mut chain) = (0.0, 0.0f64);
        for (name, planes, step) in [("combine_partials<", 1.0, 4.0), ("combine_moments<", 3.0, 100.0)] {
            for call in self.text.split(name).skip(1).filter_map(|it| it.split_once(");").map(|it| it.0)) {
                let slices: Option<f64> = call.split([',', '>']).next().and_then(|it| it.trim().parse().ok());
                let mut last = call.rsplit(", ").map(|it| it.parse::<f64>());
                if let (Some(slices), Some(Ok(width)), Some(Ok(partials))) = (slices, last.next(), last.next()) {
                    bytes += partials * width * 4.0 * planes;
                    let own = (partials / slices).ceil();
                    let ways = (own * planes / 16.0).ceil() * gpu.latencies[1] * 1.6;
                    chain = chain.max(ways + (own + slices - 1.0) * step + 300.0);
                }
            }
        }
        let (cache, latency) = (bytes / gpu.l2, chain / gpu.clock_memory);
        (cache.max(latency).max(gpu.least), vec![(Bound::Cache, cache), (Bound::Latency, latency.max(gpu.least))])
    }

    /// A thread for each number: its instructions, or memory.
    fn plain(&self) -> (f64, Parts) {
        let gpu = self.gpu;
        let on_one = self.blocks() * self.warps() / gpu.processors / 4.0;
        let issue = on_one * self.code.operations.len() as f64 / gpu.clock_memory;
        let memory = self.memory() * 1.15;
        let all = vec![(Bound::Instructions, issue), (Bound::Memory, memory), (Bound::Latency, gpu.least)];
        (issue.max(memory).max(gpu.least) + 0.5e-6, all)
    }
}
