//! Groups of many channels: each is a convolution of its own, over copies of its channels that lie side by side.

use crate::kernel::{ConvKernel, ConvKind, shares};
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand, share};
use crate::runtime::cpu::memory::{ALIGN, View};
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::marker::PhantomData;

/// Tasks that copy an operand.
const TASKS: usize = 16;

/// A tensor as `[rows][groups][each]`.
#[derive(Clone, Copy)]
struct Layout {
    rows: usize,
    each: usize,
}

/// The kernel.
struct Grouped<R> {
    one: Box<dyn Kernel>,
    groups: usize,
    /// Both operands, and the result.
    layouts: [Layout; 3],
    marker: PhantomData<R>,
}

/// For a checked kernel.
pub(super) fn load<R: Real>(kernel: &ConvKernel, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    let [each_in, each_out] = shares(kernel)?;
    let mut one = *kernel;
    one.geometry.groups = 1;
    one.input[2] = each_in;
    one.output[2] = each_out;
    let pixels = |[h, w, _]: [usize; 3]| kernel.n * h * w;
    let x = Layout { rows: pixels(kernel.input), each: each_in };
    let y = Layout { rows: pixels(kernel.output), each: each_out };
    let filter = Layout { rows: kernel.geometry.taps() * each_in, each: each_out };
    let layouts = match kernel.kind {
        ConvKind::Forward => [x, filter, y],
        ConvKind::InputGrad => [y, filter, x],
        ConvKind::FilterGrad => [x, y, filter],
    };
    let (one, groups) = (super::load::<R>(&one, isa)?, kernel.geometry.groups);
    Ok(Box::new(Grouped::<R> { one, groups, layouts, marker: PhantomData }))
}

impl<R: Real> Grouped<R> {
    fn bytes(&self, at: usize) -> usize {
        self.layouts[at].rows * self.layouts[at].each * size_of::<R>()
    }

    /// Where the copy of an operand starts in working memory.
    fn start(&self, at: usize) -> usize {
        let before = (0..at).map(|it| self.bytes(it).next_multiple_of(ALIGN)).sum::<usize>();
        self.one.scratch().shared.next_multiple_of(ALIGN) + before
    }

    fn operand(&self, at: usize) -> Operand {
        Operand::real(self.layouts[at].rows * self.groups * self.layouts[at].each)
    }

    /// Calls `copy(a row's share of a group, its copy's)` with ranges, for some of the rows.
    fn rows(&self, at: usize, group: usize, task: usize, mut copy: impl FnMut(usize, usize, usize)) {
        let Layout { rows, each } = self.layouts[at];
        for row in share(rows, TASKS, task) {
            copy((row * self.groups + group) * each, row * each, each);
        }
    }
}

impl<R: Real> Kernel for Grouped<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![self.operand(0), self.operand(1)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![self.operand(2)]
    }

    fn scratch(&self) -> Scratch {
        Scratch { shared: self.start(3), ..self.one.scratch() }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        let copies: [View; 3] = std::array::from_fn(|at| {
            let bytes = self.bytes(at);
            View { start: context.shared::<u8>(self.start(at), bytes).at(0), bytes }
        });
        let result = outputs[0].shared::<R>();
        for group in 0..self.groups {
            context.tasks(2 * TASKS, |task| {
                let (at, task) = (task / TASKS, task % TASKS);
                // SAFETY: nobody writes inputs; each task has its own rows of a copy.
                let (from, to) = unsafe { (inputs[at].slice::<R>(), copies[at].shared::<R>()) };
                self.rows(at, group, task, |whole, own, len| {
                    // SAFETY: as above.
                    unsafe { to.part(own, len) }.copy_from_slice(&from[whole..whole + len]);
                });
            });
            // SAFETY: operands as the group's kernel asks for; copies are nobody else's.
            unsafe { self.one.run(context, &copies[..2], &copies[2..]) };
            context.tasks(TASKS, |task| {
                // SAFETY: the group's result is complete.
                let from = unsafe { copies[2].slice::<R>() };
                self.rows(2, group, task, |whole, own, len| {
                    // SAFETY: each task has its own rows of the result.
                    unsafe { result.part(whole, len) }.copy_from_slice(&from[own..own + len]);
                });
            });
        }
    }
}
