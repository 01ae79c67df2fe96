//! Kernels of random programs as CUDA, in the emulator, between fences, against the interpreter.

use crate::backends::emulate::case::Numbers;
use crate::backends::emulate::module::{Memory, Module, Stress};
use crate::backends::emulate::{bytes, numbers};
use sphc::ir::{DType, Precision};
use sphc::kernel::cuda::{Arithmetic, CudaLaunch, CudaSource, Options, generate};
use sphc::kernel::{KernelSpec, MapKernel, MatMulKernel, Store};
use sphc::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// Texts that are compiled together: most of the time goes to what they have in common.
const TOGETHER: usize = 12;
/// A kernel with more threads than this is left to the tests of its family.
const MOST_WORK: usize = 4096;

/// A kernel with operands.
pub(super) struct Case {
    spec: KernelSpec,
    precision: Precision,
    /// Shapes' sizes and types, inputs first.
    inputs: Vec<(usize, DType)>,
    outputs: Vec<(usize, DType)>,
    /// The text that it is of.
    program: String,
}

/// Kernels that are unlike those so far.
#[derive(Default)]
pub(super) struct Collection {
    known: BTreeSet<String>,
    pub(super) cases: Vec<Case>,
}

impl Collection {
    /// Takes the kernels of a plan that are of another kind than those that are there, at most `most` of them.
    pub(super) fn add(&mut self, plan: &Plan, program: &str, most: usize) {
        let mut taken = 0;
        for launch in plan.phases.values().flat_map(|it| &it.launches) {
            let spec = &plan.kernels[launch.kernel];
            let operand = |it: &sphc::plan::BufferId| {
                let buffer = &plan.buffers[it.0 as usize];
                (buffer.shape.len(), buffer.dtype)
            };
            let inputs: Vec<_> = launch.inputs.iter().map(operand).collect();
            let outputs: Vec<_> = launch.outputs.iter().map(operand).collect();
            let work: usize = inputs.iter().chain(&outputs).map(|it| it.0).sum();
            if taken == most || MOST_WORK < work || !self.known.insert(kind(spec, plan.precision)) {
                continue;
            }
            taken += 1;
            let (spec, program) = (spec.clone(), program.to_owned());
            self.cases.push(Case { spec, precision: plan.precision, inputs, outputs, program });
        }
    }

    /// What is wrong with the kernels.
    pub(super) fn run(&self) -> Vec<String> {
        self.cases.chunks(TOGETHER).flat_map(run_together).collect()
    }
}

/// Kernels of a kind are alike but for sizes, which count as none, one, few, and many.
fn kind(spec: &KernelSpec, precision: Precision) -> String {
    let class = |it: &usize| it.to_string().len() + usize::from(*it != 1);
    let map = |it: &MapKernel| {
        let dims: Vec<usize> = it.dims.iter().map(class).collect();
        let strides: BTreeSet<Vec<bool>> =
            it.inputs.iter().map(|it| it.strides.iter().map(|it| *it != 0).collect()).collect();
        let stores: BTreeSet<String> = it
            .outputs
            .iter()
            .map(|it| match &it.store {
                Store::Full => format!("{:?}", it.dtype),
                other => format!("{other:?}"),
            })
            .collect();
        format!("{dims:?} {strides:?} {stores:?}")
    };
    let text = match spec {
        KernelSpec::Map(it) => map(it),
        KernelSpec::Maps(all) => format!("{:?}", all.iter().map(map).collect::<BTreeSet<_>>().len().min(3)),
        KernelSpec::ConvMap { conv, map: after } => {
            let near = [conv.geometry.dilation == [1, 1], conv.geometry.groups == 1];
            format!("{:?} {:?} {near:?} {}", conv.kind, conv.input.map(|it| it == 1), map(after))
        }
        KernelSpec::Conv(it) => {
            let one = |it: [usize; 3]| it.map(|it| it == 1);
            let near = [it.n == 1, it.geometry.dilation == [1, 1], it.geometry.groups == 1];
            format!("{:?} {:?} {:?} {near:?} {:?}", it.kind, one(it.input), one(it.output), it.geometry.stride)
        }
        KernelSpec::MatMuls(all) => all.len().min(3).to_string(),
        KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b }) => {
            format!("{:?} {transpose_a} {transpose_b}", [batch, m, n, k].map(|it| *it == 1))
        }
        KernelSpec::Window { kind, input, .. } => format!("{kind:?} {:?}", input.map(|it| it == 1)),
        KernelSpec::Transpose { .. }
        | KernelSpec::Scatter { .. }
        | KernelSpec::AllReduce { .. }
        | KernelSpec::Assemble { .. }
        | KernelSpec::Gather { .. }
        | KernelSpec::Augment { .. }
        | KernelSpec::Loss { .. }
        | KernelSpec::Random { .. } => String::new(),
    };
    format!("{precision:?} {} {text}", spec.family())
}

/// The text of one kernel in a namespace, its entries with names of their own.
fn renamed(source: &CudaSource, at: usize) -> CudaSource {
    let entries: BTreeSet<&'static str> = source.launches.iter().map(|it| it.entry).collect();
    // Entries are named for ever; tests end.
    let names: BTreeMap<&'static str, &'static str> =
        entries.iter().map(|it| (*it, &*Box::leak(format!("{it}_{at}").into_boxed_str()))).collect();
    let define: String = names.iter().map(|(from, to)| format!("#define {from} {to}\n")).collect();
    let undefine: String = names.keys().map(|from| format!("#undef {from}\n")).collect();
    let close: String = names.values().map(|it| format!("EMULATE_ENTRY({it})\n")).collect();
    let text = format!("namespace kernel_{at} {{\n{define}{}\n{undefine}{close}}}\n", source.text);
    let launches = source.launches.iter().map(|it| CudaLaunch { entry: names[it.entry], ..it.clone() }).collect();
    CudaSource { text, launches, ..source.clone() }
}

fn run_together(cases: &[Case]) -> Vec<String> {
    let sources: Vec<CudaSource> = cases
        .iter()
        .enumerate()
        .map(|(at, it)| {
            let arithmetic = Arithmetic::of(it.precision).unwrap();
            renamed(&generate(&it.spec, &Options { arithmetic, processors: 4, ..Options::default() }), at)
        })
        .collect();
    let text = sources.iter().map(|it| it.text.as_str()).collect();
    let module = Module::new("random", &CudaSource { text, launches: Vec::new(), scratch: 0, counters: 0 });
    let failures = cases.iter().zip(&sources).filter_map(|(case, source)| {
        let error = run(case, &module, source).err()?;
        Some(format!("{error}\n{:?} {}\n{}", case.precision, case.spec, case.program))
    });
    failures.collect()
}

fn run(case: &Case, module: &Module, source: &CudaSource) -> Result<(), String> {
    const SEED: u64 = 5;
    let given: Vec<Vec<u8>> =
        operands(case).iter().zip(&case.inputs).map(|(it, (_, dtype))| bytes(*dtype, it)).collect();
    let inputs: Vec<Memory> = given.iter().map(|it| Memory::of(it)).collect();
    let outputs: Vec<Memory> =
        case.outputs.iter().map(|(len, dtype)| Memory::new(bytes(*dtype, &vec![0.0; *len]).len())).collect();
    let [inputs, outputs] = [&inputs, &outputs].map(|it| it.iter().collect::<Vec<_>>());
    module.run_part(source, &inputs, &outputs, SEED, Stress { seed: 1, late: true })?;
    if let Some(at) = (0..given.len()).find(|&at| inputs[at].bytes() != given[at]) {
        return Err(format!("it writes to its operand {at}"));
    }
    let read: Vec<Vec<f64>> = given.iter().zip(&case.inputs).map(|(it, (_, dtype))| numbers(*dtype, it)).collect();
    let found: Vec<Vec<f64>> =
        outputs.iter().zip(&case.outputs).map(|(it, (_, dtype))| numbers(*dtype, it.bytes())).collect();
    let result = sphc::verify::launch(&case.spec, &read, &found, SEED, case.precision);
    if result.passed() && 0 < result.compared {
        return Ok(());
    }
    Err(format!("it is off by {:e}, where {:e} is allowed", result.error, result.bound))
}

/// Noise, every other operand above 0; and integers that are labels and numbers of examples.
fn operands(case: &Case) -> Vec<Vec<f64>> {
    let mut make = Numbers::new(case.inputs.len() as u64);
    let below = match &case.spec {
        KernelSpec::Loss { classes, .. } => *classes,
        KernelSpec::Scatter { rows, .. } => *rows,
        KernelSpec::Gather { item, .. } | KernelSpec::Augment { item, .. } => (case.inputs[0].0 / item.len()).max(1),
        _ => 7,
    };
    let mut values = |(at, &(len, dtype)): (usize, &(usize, DType))| -> Vec<f64> {
        let mut number = || match dtype {
            DType::Int => (make.unit() * below as f64).floor(),
            DType::U8 => (make.unit() * 256.0).floor(),
            DType::U16 => (make.unit() * 65536.0).floor(),
            DType::Real | DType::Bf16 if at % 2 == 1 => 0.1 + make.unit(),
            DType::Real | DType::Bf16 => 2.0 * make.unit() - 1.0,
        };
        (0..len).map(|_| number()).collect()
    };
    case.inputs.iter().enumerate().map(&mut values).collect()
}
