//! What benchmarks of one kernel run.

use sphc::ir::{DType, Extern, Phase, Precision, Shape};
use sphc::kernel::KernelSpec;
use sphc::plan::{Buffer, BufferId, BufferKind, FORMAT, Launch, PhasePlan, Plan};

/// A plan of one launch.
pub(crate) fn single(kernel: KernelSpec, shapes: [(Shape, DType); 3]) -> Plan {
    let bytes = shapes[2].0.len() * Precision::F32.bytes(shapes[2].1);
    let kinds = [
        BufferKind::Extern(Extern::Named("a".to_owned())),
        BufferKind::Extern(Extern::Named("b".to_owned())),
        BufferKind::Arena { offset: 0 },
    ];
    let buffer = |(kind, (shape, dtype))| Buffer { name: String::new(), kind, shape, dtype, line: String::new() };
    let inputs = vec![BufferId(0), BufferId(1)];
    let launch = Launch { kernel: 0, inputs, outputs: vec![BufferId(2)], layer: String::new() };
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
        kernels: vec![kernel],
        phases: [(Phase::Step, PhasePlan { launches: vec![launch], results: Default::default() })].into(),
    }
}
