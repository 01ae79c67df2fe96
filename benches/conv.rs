//! The convolutions of SphereNet-9 at batch 32: GFLOP/s of each product, after the machine's peak.
//! `cargo bench --bench conv -- [threads]`. What counts is the processor time of the best of several
//! runs, divided by the threads, since others may be using the machine.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod clock;
mod single;

use clock::{clock, peak};
use single::single;
use sphc::ir::{DType, Geometry, Phase, Shape};
use sphc::kernel::{ConvKernel, ConvKind, KernelSpec};
use sphc::plan::{BufferId, Plan};
use sphc::runtime::cpu::CpuBackend;
use sphc::runtime::{Backend, RuntimeError};
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
    single(KernelSpec::Conv(kernel), shapes.map(|it| (it, DType::Real)))
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

fn main() -> Result<(), RuntimeError> {
    let threads = std::env::args().skip(1).find_map(|it| it.parse().ok());
    println!("peak of one core: {:.0} GFLOP/s", peak() / 1e9);
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
    Ok(())
}
