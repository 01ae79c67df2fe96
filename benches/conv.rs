//! The convolutions of SphereNet-9 at batch 32, and convolutions in groups as other networks have them at batch 8: GFLOP/s
//! of each product, after the machine's peak. `tests/peer/grouped_speed.py` takes the time of PyTorch for the latter.
//! `cargo bench --bench conv -- [threads]`. What counts is the processor time of the best of several
//! runs, divided by the threads, since others may be using the machine.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use sphc::ir::{DType, Extern, Geometry, Phase, Shape};
use sphc::kernel::{ConvKernel, ConvKind, KernelSpec};
use sphc::plan::{Buffer, BufferId, BufferKind, FORMAT, Launch, PhasePlan, Plan, Precision};
use sphc::runtime::cpu::CpuBackend;
use sphc::runtime::{Backend, RuntimeError};
use std::hint::black_box;
use std::sync::Arc;

/// Name, size, channels in and out, kernel side, whether padded, how often in the network.
const LAYERS: &[(&str, usize, usize, usize, usize, bool, u32)] = &[
    ("conv1_0", 32, 3, 128, 3, true, 1),
    ("conv1_1", 32, 128, 128, 3, true, 2),
    ("conv2_0", 16, 128, 192, 3, true, 1),
    ("conv2_1", 16, 192, 192, 3, true, 2),
    ("conv3_0", 8, 192, 256, 3, true, 1),
    ("conv3_1", 8, 256, 256, 3, true, 2),
    ("fc6", 4, 256, 256, 4, false, 1),
];
const BATCH: usize = 32;

/// Size, channels in and out, kernel side, stride, groups: of MobileNets, ConvNeXt and ResNeXt.
const GROUPED: &[[usize; 6]] = &[
    [56, 128, 128, 3, 1, 128],
    [112, 32, 32, 3, 1, 32],
    [56, 144, 144, 3, 2, 144],
    [14, 576, 576, 3, 1, 576],
    [7, 960, 960, 3, 1, 960],
    [56, 96, 96, 7, 1, 96],
    [14, 384, 384, 7, 1, 384],
    [56, 128, 128, 3, 1, 32],
    [28, 256, 256, 3, 1, 32],
    [56, 128, 128, 3, 2, 32],
    [14, 512, 512, 3, 1, 32],
];
const GROUPED_BATCH: usize = 8;
const RUNS: usize = 7;

fn plan(kernel: ConvKernel) -> Plan {
    let [kh, kw] = kernel.geometry.kernel;
    let filter = Shape(vec![kh, kw, kernel.input[2] / kernel.geometry.groups, kernel.output[2]]);
    let image = |[h, w, c]: [usize; 3]| Shape(vec![kernel.n, h, w, c]);
    let shapes = match kernel.kind {
        ConvKind::Forward => [image(kernel.input), filter, image(kernel.output)],
        ConvKind::InputGrad => [image(kernel.output), filter, image(kernel.input)],
        ConvKind::FilterGrad => [image(kernel.input), image(kernel.output), filter],
    };
    let bytes = shapes[2].len() * 4;
    let kinds = [
        BufferKind::Extern(Extern::Named("a".to_owned())),
        BufferKind::Extern(Extern::Named("b".to_owned())),
        BufferKind::Arena { offset: 0 },
    ];
    let buffer = |(kind, shape)| Buffer { name: String::new(), kind, shape, dtype: DType::Real, line: String::new() };
    let launch =
        Launch { kernel: 0, inputs: vec![BufferId(0), BufferId(1)], outputs: vec![BufferId(2)], layer: String::new() };
    Plan {
        format: FORMAT,
        name: "bench".to_owned(),
        hash: String::new(),
        source: String::new(),
        precision: Precision::F32,
        seed: 0,
        training: None,
        arena_bytes: bytes,
        buffers: kinds.into_iter().zip(shapes).map(buffer).collect(),
        kernels: vec![KernelSpec::Conv(kernel)],
        phases: [(Phase::Step, PhasePlan { launches: vec![launch], results: Default::default() })].into(),
    }
}

/// Processor time of this process in seconds; elapsed time where it cannot be had.
fn clock() -> f64 {
    #[cfg(target_os = "linux")]
    {
        #[repr(C)]
        struct Time {
            seconds: i64,
            nanoseconds: i64,
        }
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Time) -> i32;
        }
        const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
        let mut time = Time { seconds: 0, nanoseconds: 0 };
        // SAFETY: `time` is as the C library lays it out on 64-bit machines.
        if unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) } == 0 {
            return time.seconds as f64 + time.nanoseconds as f64 * 1e-9;
        }
    }
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |it| it.as_secs_f64())
}

/// Seconds of the fastest run, as if the threads shared the work evenly.
fn time(plan: Plan, threads: Option<usize>) -> Result<f64, RuntimeError> {
    let plan = Arc::new(plan);
    let mut backend = CpuBackend::new(plan.clone(), threads)?;
    for id in 0..2u32 {
        let len = plan.buffers[id as usize].shape.len();
        let bytes: Vec<u8> = (0..len).flat_map(|it| ((it % 31) as f32 * 0.1 - 1.5).to_ne_bytes()).collect();
        backend.write(BufferId(id), &bytes)?;
    }
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = clock();
        backend.run(Phase::Step)?;
        best = best.min(clock() - start);
    }
    Ok(best / threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |it| it.get())) as f64)
}

/// Independent fused multiply-adds that stay in registers.
fn peak() -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        #[target_feature(enable = "avx512f")]
        #[inline(never)]
        fn avx512(rounds: usize) -> f32 {
            let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
            let mut sums = [_mm512_set1_ps(black_box(1.0)); 16];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, a, b);
                }
            }
            sums.iter().map(|it| _mm512_reduce_add_ps(*it)).sum()
        }
        if is_x86_feature_detected!("avx512f") {
            let rounds = 4_000_000;
            let mut best = 0.0f64;
            for _ in 0..5 {
                let start = clock();
                // SAFETY: the feature is there.
                black_box(unsafe { avx512(black_box(rounds)) });
                best = best.max((rounds * 16 * 32) as f64 / (clock() - start) / 1e9);
            }
            return best;
        }
    }
    f64::NAN
}

fn main() -> Result<(), RuntimeError> {
    let threads = std::env::args().skip(1).find_map(|it| it.parse().ok());
    println!("peak of one core: {:.0} GFLOP/s", peak());
    println!("{:8} {:>22} {:>22} {:>22}", "", "forward", "input gradient", "filter gradient");
    let mut total = [0.0; 3];
    for &(name, size, cin, cout, side, padded, count) in LAYERS {
        let geometry =
            if padded { Geometry::same([size; 2], [side; 2], [1; 2]) } else { Geometry::valid([side; 2], [1; 2]) };
        let [oh, ow] = geometry.output([size; 2]).expect("the window fits");
        print!("{name:8}");
        let kinds = [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad];
        for (kind, total) in kinds.into_iter().zip(&mut total) {
            let kernel = ConvKernel {
                kind,
                geometry,
                n: BATCH,
                input: [size, size, cin],
                output: [oh, ow, cout],
                reads: DType::Real,
                writes: DType::Real,
            };
            let seconds = time(plan(kernel), threads)?;
            let flops = 2.0 * (BATCH * oh * ow * side * side * cin * cout) as f64;
            print!(" {:8.2} ms {:6.0} GF/s", seconds * 1e3, flops / seconds / 1e9);
            // The first layer's input needs no gradient.
            if cin != 3 || kind != ConvKind::InputGrad {
                *total += seconds * f64::from(count);
            }
        }
        println!();
    }
    println!(
        "a step: {:.1} + {:.1} + {:.1} = {:.1} ms",
        total[0] * 1e3,
        total[1] * 1e3,
        total[2] * 1e3,
        total.iter().sum::<f64>() * 1e3
    );
    for &[size, cin, cout, side, stride, groups] in GROUPED {
        let geometry = Geometry::same([size; 2], [side; 2], [stride; 2]).grouped(groups);
        let [oh, ow] = geometry.output([size; 2]).expect("the window fits");
        print!("{:34}", format!("{size}x{size} {cin}->{cout} k{side} s{stride} g{groups}"));
        for kind in [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad] {
            let kernel = ConvKernel {
                kind,
                geometry,
                n: GROUPED_BATCH,
                input: [size, size, cin],
                output: [oh, ow, cout],
                reads: DType::Real,
                writes: DType::Real,
            };
            let flops = KernelSpec::Conv(kernel).flops() as f64;
            let seconds = time(plan(kernel), threads)?;
            print!(" {:8.2} ms {:6.1} GF/s", seconds * 1e3, flops / seconds / 1e9);
        }
        println!();
    }
    Ok(())
}
