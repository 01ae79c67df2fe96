//! The `kernels` dump: every distinct kernel once, with how often each phase needs it. The plan joins launches of small
//! maps.

use super::{Draws, KernelSpec, MapKernel, MatMulKernel, Store, select};
use crate::fuse::Fused;
use crate::ir::Phase;
use crate::ir::augment;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter, Write};

/// The text of all kernels of all phases, in order of their first launch.
pub fn dump(fused: &Fused) -> String {
    let mut known: HashMap<KernelSpec, usize> = HashMap::new();
    let mut kernels: Vec<(KernelSpec, BTreeMap<Phase, usize>)> = Vec::new();
    for (&phase, groups) in &fused.phases {
        for group in groups {
            let spec = select(fused, group);
            let at = *known.entry(spec.clone()).or_insert_with(|| {
                kernels.push((spec, BTreeMap::new()));
                kernels.len() - 1
            });
            *kernels[at].1.entry(phase).or_default() += 1;
        }
    }
    let mut text = format!("kernels {}\n", fused.typed.name);
    for (at, (spec, uses)) in kernels.iter().enumerate() {
        let uses: Vec<String> = uses.iter().map(|(phase, count)| format!("{count} x {phase:?}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "k{at} ({}): {spec}", uses.join(", "));
    }
    text
}

impl Display for KernelSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            KernelSpec::Map(kernel) => write!(f, "{kernel}"),
            KernelSpec::Maps(all) => all.iter().try_for_each(|it| write!(f, "{it}; ")),
            KernelSpec::Conv(it) => {
                write!(f, "conv {:?}{} {} x {:?} -> {:?}", it.kind, it.geometry, it.n, it.input, it.output)
            }
            KernelSpec::ConvMap { conv, map } => write!(f, "{}, then {map}", KernelSpec::Conv(*conv)),
            KernelSpec::MatMuls(all) => all.iter().try_for_each(|it| write!(f, "{}; ", KernelSpec::MatMul(*it))),
            KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b }) => {
                let mark = |it: &bool| if *it { "^T" } else { "" };
                let times = if *batch == 1 { String::new() } else { format!("{batch} times ") };
                write!(f, "matmul a{} b{}, {times}{m} x {n} x {k}", mark(transpose_a), mark(transpose_b))
            }
            KernelSpec::Window { kind, geometry, n, input, output, .. } => {
                write!(f, "window {kind:?}{geometry} {n} x {input:?} -> {output:?}")
            }
            KernelSpec::Transpose { shape, perm, .. } => write!(f, "transpose {shape} {perm:?}"),
            KernelSpec::Assemble { dims, parts, .. } => {
                write!(f, "assemble {dims:?} of")?;
                parts.iter().try_for_each(|it| write!(f, " {:?} {}", it.dims, crate::ir::assembly::text(&it.place)))
            }
            KernelSpec::Gather { dtype, n, item } => write!(f, "gather {n} x {dtype:?}{item}"),
            KernelSpec::Augment { dtype, n, item, steps } => {
                write!(f, "augment {n} x {dtype:?}{item} [{}]", augment::text(steps))
            }
            KernelSpec::AllReduce { kind, len } => write!(f, "all_reduce {kind:?} {len}"),
            KernelSpec::Scatter { rows, n, item } => write!(f, "scatter {n} x {item} to {rows}"),
            KernelSpec::Loss { kind, n, classes } => write!(f, "loss {kind:?} {n} x {classes}"),
            KernelSpec::Random { kind, len, stream, first } => {
                write!(f, "random {kind:?} {len} stream={stream:016x}")?;
                if *first == 0 { Ok(()) } else { write!(f, " from {first}") }
            }
        }
    }
}

impl Display for MapKernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "map over {:?}", self.dims)?;
        for (at, input) in self.inputs.iter().enumerate() {
            match input.draws {
                None => write!(f, "\n    x{at}: {:?} by {:?}", input.dtype, input.strides)?,
                Some(Draws { stream, first }) => {
                    write!(
                        f,
                        "\n    x{at}: uniform numbers of stream {stream:016x} from {first} by {:?}",
                        input.strides
                    )?;
                }
            }
        }
        write!(f, "\n    {}", self.body)?;
        for (at, output) in self.outputs.iter().enumerate() {
            match &output.store {
                Store::Full => write!(f, "\n    y{at}: {:?}", output.dtype)?,
                Store::Reduce { kind, over } => {
                    let over: Vec<usize> = (0..over.len()).filter(|&it| over[it]).collect();
                    write!(f, "\n    y{at}: {:?}, {kind:?} over axes {over:?}", output.dtype)?;
                }
            }
        }
        Ok(())
    }
}
