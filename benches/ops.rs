//! How long single operations take on the CPU, beside their floor: each of the language's primitives, at sizes as networks
//! have them.
//! `cargo bench --bench ops -- [threads] [part of a name]` prints one line of JSON each; `tests/peer/ops_speed.py` has the same
//! cases of PyTorch and runs both by turns. What counts is processor time, since others may be using the machine, and of many
//! runs the median: the clock of a process may stand still for a while.
//! The floor is that of arithmetic (what one core can multiply at most) or of memory (what it can copy), whichever is higher.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod clock;
mod single;

use clock::{clock, peak};
use single::single;
use sphc::autodiff::gradients;
use sphc::diag::{Sink, Sources};
use sphc::fuse::fuse;
use sphc::ir::{DType, Mode, Op, ParamId, Phase, Precision, Shape};
use sphc::kernel::{KernelSpec, MatMulKernel};
use sphc::lower::Settings;
use sphc::plan::{BufferId, BufferKind, Config, Plan, plan};
use sphc::runtime::Backend;
use sphc::runtime::cpu::CpuBackend;
use sphc::shape::{Builder, Typed, check};
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

const BATCH: usize = 8;
const RUNS: usize = 16;

/// Name, one example's shape, the call, and what is measured.
const CALLS: &[(&str, [usize; 3], &str, &[Pass])] = &[
    ("depthwise 56x56x128 k3", [56, 56, 128], "conv(x, 128, groups: 128, pad: 1)", APART),
    ("depthwise 112x112x32 k3", [112, 112, 32], "conv(x, 32, groups: 32, pad: 1)", APART),
    ("depthwise 56x56x144 k3 s2", [56, 56, 144], "conv(x, 144, groups: 144, stride: 2, pad: 1)", APART),
    ("depthwise 14x14x576 k3", [14, 14, 576], "conv(x, 576, groups: 576, pad: 1)", APART),
    ("depthwise 7x7x960 k3", [7, 7, 960], "conv(x, 960, groups: 960, pad: 1)", APART),
    ("depthwise 56x56x96 k7", [56, 56, 96], "conv(x, 96, groups: 96, kernel: 7, pad: 3)", APART),
    ("depthwise 14x14x384 k7", [14, 14, 384], "conv(x, 384, groups: 384, kernel: 7, pad: 3)", APART),
    ("32 groups 56x56x128 k3", [56, 56, 128], "conv(x, 128, groups: 32, pad: 1)", APART),
    ("32 groups 28x28x256 k3", [28, 28, 256], "conv(x, 256, groups: 32, pad: 1)", APART),
    ("32 groups 56x56x128 k3 s2", [56, 56, 128], "conv(x, 128, groups: 32, stride: 2, pad: 1)", APART),
    ("32 groups 14x14x512 k3", [14, 14, 512], "conv(x, 512, groups: 32, pad: 1)", APART),
    ("dilated 28x28x128 k3 d2", [28, 28, 128], "conv(x, 128, dilation: 2, pad: 2)", APART),
    ("dilated 28x28x128 k3 d4", [28, 28, 128], "conv(x, 128, dilation: 4, pad: 4)", APART),
    ("transposed 28x28x128->64 k2 s2", [28, 28, 128], "conv_transpose(x, 64, kernel: 2, stride: 2, pad: 0)", APART),
    ("transposed 14x14x256->128 k4 s2", [14, 14, 256], "conv_transpose(x, 128, kernel: 4, stride: 2, pad: 1)", APART),
    ("plain 28x28x128 k3", [28, 28, 128], "conv(x, 128, pad: 1)", APART),
    ("plain 28x28x128 k1", [28, 28, 128], "conv(x, 128, kernel: 1, pad: 0)", APART),
    ("linear 14x14x384", [14, 14, 384], "linear(x, 384)", TOGETHER),
    ("softmax 591 rows of 197", [197, 3, 197], "softmax(x)", TOGETHER),
    ("softmax 64 rows of 1000", [8, 8, 1000], "softmax(x)", TOGETHER),
    ("layer norm 196 rows of 384", [14, 14, 384], "layer_norm(x)", TOGETHER),
    ("layer norm 3136 rows of 96", [56, 56, 96], "layer_norm(x)", TOGETHER),
    ("batch norm 56x56x128", [56, 56, 128], "batch_norm(x)", TOGETHER),
    ("gelu 56x56x128", [56, 56, 128], "gelu(x)", TOGETHER),
    ("sum of positions 56x56x128", [56, 56, 128], "sum(x, over: positions)", TOGETHER),
    ("sum of channels 56x56x128", [56, 56, 128], "sum(x, over: channels)", TOGETHER),
    ("max of channels 56x56x128", [56, 56, 128], "max(x, over: channels)", TOGETHER),
    ("max pool 56x56x128 k2", [56, 56, 128], "max_pool(x, 2)", TOGETHER),
    ("average pool 56x56x128 k2", [56, 56, 128], "avg_pool(x, 2)", TOGETHER),
    ("concat 28x28x128 twice", [28, 28, 128], "concat(x, x, over: channels)", TOGETHER),
    ("slice 56x56x128 to 64", [56, 56, 128], "slice(x, 0, 64, over: channels)", TOGETHER),
    ("zeros around 56x56x128", [56, 56, 128], "pad(x, 2)", TOGETHER),
    ("transpose 56x56x128", [56, 56, 128], "transpose(x, [2, 0, 1])", TOGETHER),
    ("random 56x56x128", [56, 56, 128], "dropout(x)", &[Pass::Forward]),
];

/// Name, products, rows, columns, terms, and which operands are transposed: of attention and its gradients.
const PRODUCTS: &[(&str, [usize; 4], [bool; 2])] = &[
    ("24 x 197x197x64 q k'", [24, 197, 197, 64], [false, true]),
    ("24 x 197x64x197 a v", [24, 197, 64, 197], [false, false]),
    ("24 x 197x64x197 a' dy", [24, 197, 64, 197], [true, false]),
    ("96 x 64x64x32 q k'", [96, 64, 64, 32], [false, true]),
    ("512 x 16x16x16", [512, 16, 16, 16], [false, false]),
    ("8 x 512x512x512", [8, 512, 512, 512], [false, false]),
];

/// Numbers of a row, rows of a table, and rows taken.
const TAKEN: &[(&str, [usize; 3])] = &[("4096 rows of 64 out of 50000", [64, 50_000, 4096])];

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    /// The gradient in the input, and in what is learned, each alone.
    Input,
    Learned,
    /// The result and all gradients.
    Both,
}

const APART: &[Pass] = &[Pass::Forward, Pass::Input, Pass::Learned];
const TOGETHER: &[Pass] = &[Pass::Forward, Pass::Both];

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::Input => "input",
            Pass::Learned => "learned",
            Pass::Both => "both",
        }
    }
}

fn typed([h, w, c]: [usize; 3], call: &str) -> Result<Typed, Box<dyn Error>> {
    let text = format!("model Bench {{\n    input x: float[{h}, {w}, {c}]\n    output {call} as \"l\"\n}}\n");
    let (mut sources, mut sink) = (Sources::default(), Sink::new());
    let main = sources.add("bench.sph", &text);
    let file = sphc::syntax::parse(main, &text, &mut sink);
    let settings = Settings { batch: Some(BATCH), ..Settings::default() };
    let mut load = |_: &str| Err("there is nothing to import".to_owned());
    let graph = sphc::lower::lower(&file, main, &mut sources, &mut load, &settings, &mut sink).graph;
    let typed = graph.and_then(|it| check(it, &mut sink).ok());
    typed.ok_or_else(|| format!("{call}: {:?}", sink.finish()).into())
}

/// The plan of one pass alone.
fn passing(typed: Typed, pass: Pass) -> Plan {
    let (input, output) = (typed.inputs[&Mode::Train], typed.outputs[&Mode::Train]);
    let (shape, params) = (typed.shape(output).clone(), typed.params.len());
    let mut b = Builder::new(typed);
    let mut results = std::collections::BTreeMap::new();
    if pass != Pass::Input && pass != Pass::Learned {
        results.insert("output".into(), output);
    }
    if pass != Pass::Forward {
        let seed = b.named_input("seed", shape, DType::Real);
        let mut wrt = Vec::new();
        if pass != Pass::Learned {
            wrt.push(input);
        }
        if pass != Pass::Input {
            wrt.extend((0..params).map(|at| b.add(Op::Param(ParamId(at as u32)), &[])));
        }
        let grads = gradients(&mut b, output, seed, &wrt);
        results.extend(grads.into_iter().enumerate().map(|(at, it)| (format!("gradient {at}").into(), it)));
    }
    b.tables().results.insert(Phase::Step, results);
    let fused = fuse(b.finish());
    plan(
        &fused,
        &Config { precision: Precision::F32, hash: String::new(), source: String::new(), line: &|_| String::new() },
    )
}

/// Bytes a second that are read and written where both lie outside of the caches.
fn bandwidth() -> f64 {
    let (from, mut to) = (vec![1u64; 8 << 20], vec![0u64; 8 << 20]);
    let mut best = 0.0f64;
    for _ in 0..5 {
        let start = clock();
        black_box(&mut to).copy_from_slice(black_box(&from));
        best = best.max(2.0 * 8.0 * from.len() as f64 / (clock() - start));
    }
    best
}

struct Bench {
    threads: usize,
    wanted: String,
    peak: f64,
    bandwidth: f64,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.wanted)
    }

    /// The median of some runs, as if the threads shared the work evenly.
    fn measure(&self, name: &str, pass: &str, plan: Plan) -> Result<(), Box<dyn Error>> {
        let plan = Arc::new(plan);
        let mut backend = CpuBackend::new(plan.clone(), Some(self.threads))?;
        for (id, buffer) in plan.buffers.iter().enumerate() {
            let bytes: Vec<u8> = match (&buffer.kind, buffer.dtype) {
                (BufferKind::Arena { .. }, _) => continue,
                (_, DType::Int) => {
                    (0..buffer.shape.len() as i64).flat_map(|it| (it * 7919 % 50_000).to_ne_bytes()).collect()
                }
                (_, DType::Real) => {
                    (0..buffer.shape.len()).flat_map(|it| ((it % 31) as f32 * 0.1 - 1.5).to_ne_bytes()).collect()
                }
                (_, other) => return Err(format!("{name}: no case has {other:?}").into()),
            };
            backend.write(BufferId(id as u32), &bytes)?;
        }
        let mut times = Vec::with_capacity(RUNS);
        // The first touches its memory.
        for _ in 0..=RUNS {
            let start = clock();
            backend.run(Phase::Step)?;
            times.push((clock() - start) / self.threads as f64);
        }
        times.remove(0);
        times.sort_by(f64::total_cmp);
        let median = (times[(RUNS - 1) / 2] + times[RUNS / 2]) / 2.0;
        let launches = &plan.phases[&Phase::Step].launches;
        let flops: u64 = launches.iter().map(|it| plan.kernels[it.kernel].flops()).sum();
        let bytes: u64 = launches.iter().map(|it| plan.traffic(it)).sum();
        let floors = [flops as f64 / self.peak / self.threads as f64, bytes as f64 / self.bandwidth];
        let [arithmetic, memory] = floors.map(|it| it * 1e3);
        println!(
            "{{\"case\": {name:?}, \"pass\": {pass:?}, \"ms\": {:.4}, \"arithmetic_ms\": {arithmetic:.4}, \"memory_ms\": {memory:.4}}}",
            median * 1e3
        );
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let threads = words.iter().find_map(|it| it.parse().ok()).unwrap_or(1);
    let wanted = words.iter().find(|it| it.parse::<usize>().is_err()).cloned().unwrap_or_default();
    let bench = Bench { threads, wanted, peak: peak(), bandwidth: bandwidth() };
    for &(name, shape, call, passes) in CALLS.iter().filter(|it| bench.wants(it.0)) {
        for &pass in passes {
            bench.measure(name, pass.name(), passing(typed(shape, call)?, pass))?;
        }
    }
    let real = |dims: &[usize]| (Shape(dims.to_vec()), DType::Real);
    for &(name, [batch, m, n, k], [transpose_a, transpose_b]) in PRODUCTS.iter().filter(|it| bench.wants(it.0)) {
        let a = if transpose_a { [batch, k, m] } else { [batch, m, k] };
        let b = if transpose_b { [batch, n, k] } else { [batch, k, n] };
        let kernel = KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b });
        bench.measure(name, "forward", single(kernel, [real(&a), real(&b), real(&[batch, m, n])]))?;
    }
    for &(name, [width, rows, n]) in TAKEN.iter().filter(|it| bench.wants(it.0)) {
        let ids = (Shape(vec![n]), DType::Int);
        let item = Shape(vec![width]);
        let kernel = KernelSpec::Gather { dtype: DType::Real, n, item };
        bench.measure(name, "forward", single(kernel, [real(&[rows, width]), ids.clone(), real(&[n, width])]))?;
        let kernel = KernelSpec::Scatter { rows, n, item: width };
        bench.measure(name, "learned", single(kernel, [ids, real(&[n, width]), real(&[rows, width])]))?;
    }
    Ok(())
}
