//! The elementwise family: one pass over an iteration space, with reductions.
//!
//! The space is rows of the innermost axis. A block is some rows, or a piece of a long row, of at
//! most [`tape::LANES`] lanes. Tasks are ranges of blocks, fixed by the sizes alone. Sums and moments are
//! taken in f64: within a task in order of position, then over tasks in order ([`fold`]).

pub(super) mod along;
mod block;
mod build;
mod fold;
mod lanes;
mod launch;
mod tape;

pub(super) use launch::{Room, Running, Stage};

use super::kernel::{Kernel, product};
use super::real::Real;
use crate::ir::{DType, Reduction};
use crate::kernel::{Draws, MapInput, MapKernel, Moments, Store};
use lanes::WHOLE;
use std::marker::PhantomData;
use tape::{LANES, Level, Tape};

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
    /// Random numbers, of which the operand holds the number of the step.
    draws: Option<Draws>,
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
    /// Whether each row lies within a block and gives a number of the result: nothing is kept.
    direct: bool,
    /// First accumulator, in f64s.
    at: usize,
}

/// An output.
#[derive(Debug)]
enum Output {
    Full { dtype: DType },
    Reduced { len: usize },
}

/// Rows that several maps have in common, and the tasks that these are cut into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) tasks: usize,
}

/// Tasks for so many elements.
pub(super) fn tasks(elements: usize) -> usize {
    (elements / GRAIN).clamp(1, MOST)
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
    /// See [`Rows`]; 1 for a map alone.
    shared_rows: usize,
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
    Ok(stage::<R>(kernel, None)?)
}

/// The same, to run with others over so many rows: the first axes of the space.
pub(super) fn stage<R: Real>(kernel: &MapKernel, rows: Option<Rows>) -> Result<Box<dyn Stage>, String> {
    check(kernel)?;
    // Integers need f64 to be exact, unless they are one number, which is read apart.
    let uniform = |at: usize| kernel.inputs[at].strides.iter().zip(&kernel.dims).all(|(&s, &d)| s == 0 || d <= 1);
    let wide = kernel.outputs.iter().any(|it| it.dtype == DType::Int)
        || (0..kernel.inputs.len()).any(|at| {
            let MapInput { dtype, draws, .. } = &kernel.inputs[at];
            *dtype == DType::Int && draws.is_none() && !uniform(at)
        });
    Ok(if wide {
        Box::new(Map::<R, f64>::like_alone(kernel, rows)?)
    } else {
        Box::new(Map::<R, R>::like_alone(kernel, rows)?)
    })
}

fn check(kernel: &MapKernel) -> Result<(), String> {
    let rank = kernel.dims.len();
    product(&kernel.dims)?;
    if kernel.inputs.iter().any(|it| it.strides.len() != rank) {
        return Err("an input has not one stride per axis".to_owned());
    }
    kernel.inputs.iter().try_for_each(MapInput::check_draws)?;
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
        if matches!(output.dtype, DType::U8 | DType::U16) {
            return Err("an expression gives no pixels of images".to_owned());
        }
    }
    Ok(())
}

/// The iteration space with axes of extent 1 dropped and adjacent axes merged where all operands
/// step through both as through one; but for what rows that others have, too, are made of.
struct Merged {
    dims: Vec<usize>,
    strides: Vec<Vec<usize>>,
    over: Vec<Vec<bool>>,
}

fn merge(kernel: &MapKernel, rows: Option<Rows>) -> Result<Merged, String> {
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
        let ends = rows.is_some_and(|it| it.count == res.dims.iter().product::<usize>());
        let alike = !ends
            && res.dims.last().is_some()
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
    // A number for each row, or one.
    if res.dims.is_empty() || rows.is_some_and(|it| it.count == res.dims.iter().product::<usize>()) {
        res.dims.push(1);
        res.strides.iter_mut().for_each(|it| it.push(0));
        res.over.iter_mut().for_each(|it| it.push(false));
    }
    let starts = |count: usize| (1..res.dims.len()).any(|it| res.dims[..it].iter().product::<usize>() == count);
    match rows.filter(|it| !starts(it.count)) {
        Some(rows) => Err(format!("the space {:?} has no {} rows", kernel.dims, rows.count)),
        None => Ok(res),
    }
}

fn dense_strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (0..dims.len() - 1).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1];
    }
    strides
}

/// How many short rows make a block: if need be fewer than there is room for, so that its lanes are whole vectors.
fn several(inner: usize) -> usize {
    let most = LANES / inner.max(1);
    let whole = (1..=most).rev().find(|it| (it * inner).is_multiple_of(WHOLE));
    whole.filter(|it| most <= 2 * it).unwrap_or(most)
}

impl<R: Real, C: Real> Map<R, C> {
    /// Refuses to run with others what would give other bits than alone: whether maps run together depends on where their
    /// operands lie.
    fn like_alone(kernel: &MapKernel, rows: Option<Rows>) -> Result<Self, String> {
        let map = Self::new(kernel, rows)?;
        if rows.is_some() && !map.gives_the_bits_of(&Self::new(kernel, None)?) {
            return Err("with others it would be rounded otherwise".to_owned());
        }
        Ok(map)
    }

    fn gives_the_bits_of(&self, alone: &Self) -> bool {
        let cut = |it: &Space| (it.outer.clone(), it.inner, it.rows_per_block, it.pieces);
        // Sums over the rows are put together from those of tasks; a sum over all goes by blocks.
        let each = self.space.rows * self.space.pieces / self.space.shared_rows.max(1);
        let same_tasks = self.space.tasks == alone.space.tasks && alone.space.unit == each;
        cut(&self.space) == cut(&alone.space)
            && self.reduced.iter().zip(&alone.reduced).all(|(with, alone)| match (with.owned, alone.owned) {
                (Some(_), Some(_)) => with.owned == alone.owned,
                (None, None) => same_tasks && with.keeps_inner,
                _ => false,
            })
    }

    fn new(kernel: &MapKernel, shared: Option<Rows>) -> Result<Self, String> {
        let elements = product(&kernel.dims)?;
        let Merged { dims, strides, over } = merge(kernel, shared)?;
        let last = dims.len() - 1;
        let (outer, inner) = (dims[..last].to_vec(), dims[last]);
        let rows: usize = outer.iter().product();
        let dense = dense_strides(&dims);
        let inputs = kernel.inputs.iter().zip(&strides).map(|(it, strides)| {
            let reach = strides.iter().zip(&dims).try_fold(1usize, |len, (stride, extent)| {
                stride.checked_mul(extent.saturating_sub(1)).and_then(|it| len.checked_add(it))
            });
            let len = reach.ok_or("a stride is out of range")?;
            Ok(Input {
                dtype: it.dtype,
                len: if it.draws.is_some() { 1 } else { len },
                draws: it.draws,
                outer: strides[..last].to_vec(),
                inner: strides[last],
                dense: *strides == dense || elements == 1,
            })
        });
        let inputs = inputs.collect::<Result<Vec<Input>, String>>()?;

        let short = inner <= LANES / 2;
        let rows_per_block = if short { several(inner).min(rows.max(1)) } else { 1 };
        let pieces = if short { 1 } else { inner.div_ceil(LANES) };
        let wanted = shared.map_or(self::tasks(elements), |it| it.tasks);

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
            let fits = match shared {
                Some(rows) => apart.is_multiple_of(rows.count),
                None => wanted.min(8) <= apart,
            };
            let owned = (0 < leading && fits).then(|| dims[leading..last].iter().product::<usize>());
            if let Some(rows) = owned {
                unit = unit.max(rows * pieces);
            } else {
                tasks = tasks.min((ACCUMULATORS / (fold.planes() * len.max(1))).max(1));
            }
            let (outer, keeps_inner) = (strides[..last].to_vec(), !over[last]);
            let direct = leading == last && owned.is_some() && pieces == 1;
            Reduced { fold, root, len, outer, keeps_inner, owned, direct, at: 0 }
        });
        let mut reduced: Vec<Reduced> = reduced.collect();
        tasks = match shared {
            Some(rows) if tasks < rows.tasks => return Err("too many sums for as many tasks".to_owned()),
            Some(rows) => rows.tasks,
            None => tasks.min((rows * pieces / unit.max(1)).max(1)),
        };
        for it in reduced.iter_mut().filter(|it| !it.direct) {
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
        let tape = Tape::new(&kernel.body, &levels, size_of::<C>() < size_of::<f64>(), rows_per_block == 1);
        let shared_rows = shared.map_or(1, |it| it.count);
        let space = Space { outer, rows, inner, rows_per_block, pieces, tasks, unit: unit.max(1), shared_rows };
        Ok(Self { space, inputs, outputs, reduced, tape, accumulators, elements, marker: PhantomData })
    }
}
