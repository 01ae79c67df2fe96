//! The elementwise family: one pass over an iteration space, with reductions.
//!
//! The space is rows of the innermost axis. A block is some rows, or a piece of a long row, of at
//! most [`tape::LANES`] lanes. Tasks are ranges of blocks, fixed by the sizes alone. Sums and moments are
//! taken in f64: within a task in order of position, then over tasks in order ([`fold`]).

mod block;
mod build;
mod fold;
mod lanes;
mod tape;

use super::isa::Isa;
use super::kernel::{Kernel, Operand, product};
use super::memory::View;
use super::pool::{Context, Scratch};
use super::real::Real;
use crate::ir::{DType, Reduction};
use crate::kernel::{MapKernel, Moments, Store};
use block::Task;
use lanes::{Registers, WHOLE};
use std::marker::PhantomData;
use tape::{Instr, LANES, Level, Tape};

/// Lanes of work for one task.
const GRAIN: usize = 1 << 14;
/// Most tasks.
const MOST: usize = 64;
/// Most numbers in the private accumulators of an output, over all tasks.
const ACCUMULATORS: usize = 1 << 20;

/// An input, its strides merged like the dims.
#[derive(Debug)]
struct Input {
    dtype: DType,
    /// Elements it must hold.
    len: usize,
    /// Per outer axis.
    outer: Vec<usize>,
    /// Along the innermost axis.
    inner: usize,
    /// The same strides as a dense result.
    dense: bool,
}

/// What becomes of numbers that come together; holds which outputs are made of them.
#[derive(Clone, Copy, Debug)]
enum Fold {
    Sum(usize),
    Max(usize),
    Moments { mean: Option<usize>, variance: Option<usize> },
}

/// A reduction.
#[derive(Debug)]
struct Reduced {
    fold: Fold,
    /// An output whose numbers they are.
    root: usize,
    /// Elements of the result.
    len: usize,
    /// Per outer axis, in elements of the result.
    outer: Vec<usize>,
    /// Whether the innermost axis is kept.
    keeps_inner: bool,
    /// Rows that share a slice of the result which no other rows touch; `None`: every task has
    /// accumulators of its own.
    owned: Option<usize>,
    /// First accumulator, in f64s.
    at: usize,
}

/// An output.
#[derive(Debug)]
enum Output {
    Full { dtype: DType },
    Reduced { len: usize },
}

/// How the space is cut.
#[derive(Debug)]
struct Space {
    /// Extents of the outer axes.
    outer: Vec<usize>,
    rows: usize,
    inner: usize,
    /// Rows of a block, when a row is short.
    rows_per_block: usize,
    /// Pieces of a row, when it is long.
    pieces: usize,
    tasks: usize,
    /// Positions (row, piece) of which a task holds whole multiples.
    unit: usize,
}

/// The kernel over reals `R`, computing in `C`.
pub(super) struct Map<R, C> {
    space: Space,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    reduced: Vec<Reduced>,
    tape: Tape,
    accumulators: usize,
    elements: usize,
    marker: PhantomData<(R, C)>,
}

/// Checks a kernel and compiles it.
pub(super) fn load<R: Real>(kernel: &MapKernel) -> Result<Box<dyn Kernel>, String> {
    check(kernel)?;
    // Integers need f64 to be exact, unless they are one number, which is read apart.
    let uniform = |at: usize| kernel.inputs[at].strides.iter().zip(&kernel.dims).all(|(&s, &d)| s == 0 || d <= 1);
    let wide = kernel.outputs.iter().any(|it| it.dtype == DType::Int)
        || (0..kernel.inputs.len()).any(|at| kernel.inputs[at].dtype == DType::Int && !uniform(at));
    if wide { Ok(Box::new(Map::<R, f64>::new(kernel)?)) } else { Ok(Box::new(Map::<R, R>::new(kernel)?)) }
}

fn check(kernel: &MapKernel) -> Result<(), String> {
    let rank = kernel.dims.len();
    product(&kernel.dims)?;
    if kernel.inputs.iter().any(|it| it.strides.len() != rank) {
        return Err("an input has not one stride per axis".to_owned());
    }
    kernel.body.check(kernel.inputs.len(), kernel.outputs.len())?;
    for output in &kernel.outputs {
        if let Store::Reduce { kind, over } = &output.store {
            if over.len() != rank {
                return Err("a reduction has not one mark per axis".to_owned());
            }
            if output.dtype != DType::Real {
                return Err("a reduction gives reals only".to_owned());
            }
            if *kind == Reduction::Variance && over.iter().zip(&kernel.dims).all(|(over, dim)| !over || *dim == 1) {
                return Err("a variance is one of several numbers".to_owned());
            }
        }
        if output.dtype == DType::U8 {
            return Err("an expression gives no bytes".to_owned());
        }
    }
    Ok(())
}

/// The iteration space with axes of extent 1 dropped and adjacent axes merged where all operands
/// step through both as through one.
struct Merged {
    dims: Vec<usize>,
    strides: Vec<Vec<usize>>,
    over: Vec<Vec<bool>>,
}

fn merge(kernel: &MapKernel) -> Merged {
    let over = |output: &crate::kernel::MapOutput, axis: usize| match &output.store {
        Store::Full => false,
        Store::Reduce { over, .. } => over[axis],
    };
    let mut res = Merged {
        dims: Vec::new(),
        strides: vec![Vec::new(); kernel.inputs.len()],
        over: vec![Vec::new(); kernel.outputs.len()],
    };
    for (axis, &extent) in kernel.dims.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let alike = res.dims.last().is_some()
            && kernel
                .inputs
                .iter()
                .zip(&res.strides)
                .all(|(it, done)| done.last() == it.strides[axis].checked_mul(extent).as_ref())
            && kernel.outputs.iter().zip(&res.over).all(|(it, done)| done.last() == Some(&over(it, axis)));
        if alike {
            let last = res.dims.len() - 1;
            res.dims[last] *= extent;
            (0..kernel.inputs.len()).for_each(|it| res.strides[it][last] = kernel.inputs[it].strides[axis]);
        } else {
            res.dims.push(extent);
            (0..kernel.inputs.len()).for_each(|it| res.strides[it].push(kernel.inputs[it].strides[axis]));
            (0..kernel.outputs.len()).for_each(|it| res.over[it].push(over(&kernel.outputs[it], axis)));
        }
    }
    if res.dims.is_empty() {
        res.dims.push(1);
        res.strides.iter_mut().for_each(|it| it.push(0));
        res.over.iter_mut().for_each(|it| it.push(false));
    }
    res
}

fn dense_strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (0..dims.len() - 1).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1];
    }
    strides
}

impl<R: Real, C: Real> Map<R, C> {
    fn new(kernel: &MapKernel) -> Result<Self, String> {
        let elements = product(&kernel.dims)?;
        let Merged { dims, strides, over } = merge(kernel);
        let last = dims.len() - 1;
        let (outer, inner) = (dims[..last].to_vec(), dims[last]);
        let rows: usize = outer.iter().product();
        let dense = dense_strides(&dims);
        let inputs = kernel.inputs.iter().zip(&strides).map(|(it, strides)| {
            let reach = strides.iter().zip(&dims).try_fold(1usize, |len, (stride, extent)| {
                stride.checked_mul(extent.saturating_sub(1)).and_then(|it| len.checked_add(it))
            });
            Ok(Input {
                dtype: it.dtype,
                len: reach.ok_or("a stride is out of range")?,
                outer: strides[..last].to_vec(),
                inner: strides[last],
                dense: *strides == dense || elements == 1,
            })
        });
        let inputs = inputs.collect::<Result<Vec<Input>, String>>()?;

        let short = inner <= LANES / 2;
        let rows_per_block = if short { (LANES / inner.max(1)).min(rows.max(1)) } else { 1 };
        let pieces = if short { 1 } else { inner.div_ceil(LANES) };
        let wanted = (elements / GRAIN).clamp(1, MOST);

        let (mut outputs, mut reduced) = (Vec::new(), Vec::new());
        for (at, (output, over)) in kernel.outputs.iter().zip(&over).enumerate() {
            let fold = match output.store {
                Store::Reduce { kind: Reduction::Sum, .. } => Some(Fold::Sum(at)),
                Store::Reduce { kind: Reduction::Max, .. } => Some(Fold::Max(at)),
                Store::Reduce { kind: Reduction::Mean | Reduction::Variance, .. } | Store::Full => None,
            };
            if over.contains(&true) {
                outputs
                    .push(Output::Reduced { len: dims.iter().zip(over).filter(|it| !it.1).map(|it| it.0).product() });
                reduced.extend(fold.map(|fold| (fold, at)));
            } else {
                outputs.push(Output::Full { dtype: output.dtype });
            }
        }
        for moments in kernel.moments() {
            let Moments { mean, variance, .. } = moments;
            let at = mean.or(variance).filter(|&at| over[at].contains(&true));
            reduced.extend(at.map(|at| (Fold::Moments { mean, variance }, at)));
        }
        // Which axes lead, how far tasks are kept apart.
        let (mut tasks, mut unit, mut accumulators) = (wanted, 1, 0);
        let reduced = reduced.into_iter().map(|(fold, root)| {
            let over = &over[root];
            let kept: Vec<usize> = dims.iter().zip(over).map(|(&it, &over)| if over { 1 } else { it }).collect();
            let mut strides = dense_strides(&kept);
            strides.iter_mut().zip(over).for_each(|(stride, &over)| *stride *= usize::from(!over));
            let len: usize = kept.iter().product();
            let leading = over.iter().take_while(|it| !**it).count();
            let apart: usize = dims[..leading].iter().product();
            let owned = (0 < leading && wanted.min(8) <= apart).then(|| dims[leading..last].iter().product::<usize>());
            if let Some(rows) = owned {
                unit = unit.max(rows * pieces);
            } else {
                tasks = tasks.min((ACCUMULATORS / (fold.planes() * len.max(1))).max(1));
            }
            let (outer, keeps_inner) = (strides[..last].to_vec(), !over[last]);
            Reduced { fold, root, len, outer, keeps_inner, owned, at: 0 }
        });
        let mut reduced: Vec<Reduced> = reduced.collect();
        tasks = tasks.min((rows * pieces / unit.max(1)).max(1));
        for it in &mut reduced {
            it.at = accumulators;
            accumulators += it.fold.planes() * it.len * if it.owned.is_some() { 1 } else { tasks };
        }
        let levels: Vec<Level> = inputs
            .iter()
            .map(|it| {
                let still = it.outer.iter().all(|&it| it == 0);
                match (still, it.inner) {
                    (true, 0) => Level::Uniform,
                    (true, _) if short => Level::Column,
                    (false, 0) => Level::Row,
                    _ => Level::Element,
                }
            })
            .collect();
        let tape = Tape::new(&kernel.body, &levels, size_of::<C>() < size_of::<f64>());
        let space = Space { outer, rows, inner, rows_per_block, pieces, tasks, unit: unit.max(1) };
        Ok(Self { space, inputs, outputs, reduced, tape, accumulators, elements, marker: PhantomData })
    }
}

impl<R: Real, C: Real> Map<R, C> {
    /// Lanes of a register of columns; where a row is cut into pieces there is none.
    fn columns_pitch(&self) -> usize {
        self.space.inner.next_multiple_of(WHOLE)
    }

    fn rows_pitch(&self) -> usize {
        self.space.rows_per_block.next_multiple_of(WHOLE)
    }

    /// Computes what varies with the columns alone.
    fn columns<'a>(&self, context: &Context<'_>, uniforms: &'a [f64], inputs: &[View]) -> Registers<'a, f64> {
        let (code, pitch) = (&self.tape.columns, self.columns_pitch());
        let memory = context.shared::<f64>(self.accumulators * 8, code.registers * pitch);
        let registers = Registers { memory, pitch, uniforms, slope: C::SLOPE.f64() };
        let inner = self.space.inner;
        registers.execute(Isa::Plain, &code.instrs, inner, None, |instr| {
            if let Instr::Load { input, to } = instr {
                block::load(self, inputs, input, &[0], (0, inner), registers.write(to, inner));
            }
        });
        registers
    }
}

impl<R: Real, C: Real> Kernel for Map<R, C> {
    fn inputs(&self) -> Vec<Operand> {
        let len = |it: &Input| if self.elements == 0 { 0 } else { it.len };
        self.inputs.iter().map(|it| Operand { dtype: it.dtype, len: len(it) }).collect()
    }

    fn outputs(&self) -> Vec<Operand> {
        let operand = |it: &Output| match it {
            Output::Full { dtype } => Operand { dtype: *dtype, len: self.elements },
            Output::Reduced { len } => Operand::real(*len),
        };
        self.outputs.iter().map(operand).collect()
    }

    fn scratch(&self) -> Scratch {
        let registers = (self.tape.body.registers + 1) * LANES * size_of::<C>();
        Scratch {
            shared: (self.accumulators + self.tape.columns.registers * self.columns_pitch()) * 8,
            thread: registers + (self.tape.rows.registers * self.rows_pitch() + self.tape.wide.registers * LANES) * 8,
        }
    }

    fn may_alias(&self, input: usize, output: usize) -> bool {
        let same = |dtype: DType| dtype == self.inputs[input].dtype;
        self.inputs[input].dense && matches!(self.outputs[output], Output::Full { dtype } if same(dtype))
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.elements == 0 {
            self.settle_nothing(outputs);
            return;
        }
        let wide = self.tape.uniforms(C::SLOPE.f64(), |input| {
            let view = inputs[input];
            // SAFETY: every input has at least one element of its dtype, and no task runs yet.
            unsafe {
                match self.inputs[input].dtype {
                    DType::U8 => f64::from(*view.start),
                    DType::Int => *view.start.cast::<i64>() as f64,
                    DType::Real => (*view.start.cast::<R>()).f64(),
                    DType::Bf16 => unreachable!("refused when the kernel was loaded"),
                }
            }
        });
        let uniforms: Vec<C> = wide.iter().map(|&it| C::of(it)).collect();
        let columns = self.columns(context, &wide, inputs);
        let accumulators = context.shared::<f64>(0, self.accumulators);
        context.tasks(self.space.tasks, |task| {
            let len = (self.tape.body.registers + 1) * LANES;
            let memory = context.thread::<C>(0, len);
            let registers = Registers { memory, pitch: LANES, uniforms: &uniforms, slope: C::SLOPE };
            let pitch = self.rows_pitch();
            let memory = context.thread::<f64>(len * size_of::<C>(), self.tape.rows.registers * pitch);
            let rows = Registers { memory, pitch, ..columns };
            let before = len * size_of::<C>() + rows.pitch * self.tape.rows.registers * 8;
            let memory = context.thread::<f64>(before, self.tape.wide.registers * LANES);
            let wide = Registers { memory, pitch: LANES, ..columns };
            // SAFETY: `load` checked the sizes, tasks hold disjoint ranges, and registers belong to the
            // thread.
            context.isa.run(Task {
                map: self,
                isa: context.isa,
                task,
                inputs,
                outputs,
                accumulators,
                registers,
                wide,
                rows,
                columns,
            });
        });
        self.settle(accumulators, outputs);
    }
}
