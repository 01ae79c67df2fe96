//! Launches over the same rows: each of them can be done row by row, and with it all of them over a few rows, then over the
//! next.
//!
//! A softmax is three maps, the gradient of layer norm as many. Whether launches can run like that is decided by what they touch:
//! where one writes what another touches, each must do so row by row, and in the same rows. A sum over the rows may be among
//! the results, but nobody can read it before all rows are done.

use super::{BufferId, Launch, Plan};
use crate::ir::DType;
use crate::kernel::{KernelSpec, MapKernel, Store};
use std::ops::Range;

/// An operand or a result of one of the launches, by its number there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) buffer: BufferId,
    pub(crate) launch: usize,
    pub(crate) result: bool,
    pub(crate) number: usize,
}

/// What a launch touches.
#[derive(Clone)]
pub(crate) struct Access {
    /// The buffer, or none for the arena.
    pub(crate) of: Option<BufferId>,
    pub(crate) bytes: Range<usize>,
    pub(crate) written: bool,
    /// Bytes of a row, where each row touches its own.
    pub(crate) each: Option<usize>,
}

impl Access {
    pub(crate) fn meets(&self, other: &Access) -> bool {
        self.of == other.of && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }

    /// Whether both touch the same rows of the same memory.
    pub(crate) fn is_alike(&self, other: &Access) -> bool {
        self.each.is_some() && self.each == other.each && self.of == other.of && self.bytes.start == other.bytes.start
    }
}

/// A launch over some rows.
pub(crate) struct Member {
    pub(crate) kernel: MapKernel,
    /// By operand, then by result.
    pub(crate) touched: Vec<Access>,
    pub(crate) reads: Vec<Operand>,
    pub(crate) writes: Vec<Operand>,
}

impl Plan {
    /// Launches over the rows that they have in common, if they can be done row by row; with how many rows these are.
    pub(crate) fn over_rows(&self, launches: &[Launch]) -> Option<(usize, Vec<Member>)> {
        let kernels = launches.iter().map(|it| match self.kernels.get(it.kernel) {
            Some(KernelSpec::Map(map)) => Some(map),
            _ => None,
        });
        let kernels = kernels.collect::<Option<Vec<&MapKernel>>>()?;
        let rows = MapKernel::common_rows(&kernels)?;
        let members = kernels.iter().zip(launches).enumerate().map(|(at, (kernel, launch))| {
            let kernel = kernel.with_rows(rows)?;
            let touched = self.touched(launch, &kernel, rows);
            let operands = |of: &[BufferId], result: bool| {
                of.iter().enumerate().map(|(number, &buffer)| Operand { buffer, launch: at, result, number }).collect()
            };
            let (reads, writes) = (operands(&launch.inputs, false), operands(&launch.outputs, true));
            Some(Member { kernel, touched, reads, writes })
        });
        let members = members.collect::<Option<Vec<Member>>>()?;
        let clash = (1..members.len()).any(|at| {
            let before = || members[..at].iter().flat_map(|it| &it.touched);
            let clashes = |it: &Access| {
                before().any(|other| (it.written || other.written) && it.meets(other) && !it.is_alike(other))
            };
            members[at].touched.iter().any(clashes)
        });
        (!clash).then_some((rows, members))
    }

    /// What a launch touches, row by row or not.
    fn touched(&self, launch: &Launch, kernel: &MapKernel, rows: usize) -> Vec<Access> {
        let access = |id: BufferId, written: bool, dtype: DType, each: Option<usize>| {
            let (of, bytes) = self.span(id);
            let each = each.map(|it| it * self.precision.bytes(dtype));
            Access { of, bytes, written, each }
        };
        // Axes of the rows, and those of a row.
        let lead = (0..=kernel.dims.len()).find(|it| kernel.dims[..*it].iter().product::<usize>() == rows).unwrap_or(0);
        let read = kernel.inputs.iter().zip(&launch.inputs).map(|(input, &id)| {
            let (outer, inner) = input.strides.split_at(lead);
            let reach: usize =
                kernel.dims[lead..].iter().zip(inner).map(|(dim, stride)| dim.saturating_sub(1) * stride).sum();
            let mut each = None;
            let mut step = 0;
            let in_order = kernel.dims.iter().zip(outer).rev().filter(|it| *it.0 != 1).all(|(&dim, &stride)| {
                let fits = each.is_none() || stride == step;
                each.get_or_insert(stride);
                step = stride * dim;
                fits
            });
            access(id, false, input.dtype, each.filter(|it| in_order && reach < *it && input.draws.is_none()))
        });
        let written = kernel.outputs.iter().zip(&launch.outputs).map(|(output, &id)| {
            let own = match &output.store {
                Store::Full => Some(kernel.dims[lead..].iter().product()),
                Store::Reduce { over, .. } if over[..lead].contains(&true) => None,
                Store::Reduce { over, .. } => {
                    Some(kernel.dims.iter().zip(over).skip(lead).filter(|it| !it.1).map(|it| *it.0).product())
                }
            };
            access(id, true, output.dtype, own)
        });
        read.chain(written).collect()
    }
}
