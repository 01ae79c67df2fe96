//! How a map's space is seen as rows and columns, and where each result ends.

use super::THREADS;
use crate::ir::{DType, Reduction};
use crate::kernel::{MapInput, MapKernel, Store};

/// Blocks that share out rows, at most; a constant, so that sums do not depend on the device.
const ROW_BLOCKS: usize = 528;
/// Columns that a thread keeps reductions for, at most, and numbers that it keeps for them.
const KEPT: usize = 16;
const NUMBERS: usize = 64;
/// Blocks that keep a GPU busy, and elements of one that take longer than another launch.
const BLOCKS: usize = 128;
const LARGE: usize = 1 << 15;
/// Longest row that one warp reduces; beyond, a block does.
const LONGEST_ROW: usize = 2048;

/// What becomes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReductionClass {
    /// Not reduced.
    None,
    /// Reduced over columns.
    Row(Reduction),
    /// Reduced over rows.
    Column(Reduction),
    /// Reduced over both.
    All(Reduction),
    /// Reduced over other axes.
    Axes(Reduction),
}

/// The space as rows and columns.
pub(super) struct Layout {
    /// Axes that make up rows.
    pub(super) outer: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) classes: Vec<ReductionClass>,
    /// Columns side by side that a thread takes at once.
    pub(super) vector: usize,
    pub(super) lanes: usize,
    /// Vectors of a thread.
    pub(super) per_thread: usize,
    /// Rows that a thread takes at once.
    pub(super) rows_at_once: usize,
    pub(super) block_rows: usize,
    pub(super) row_blocks: usize,
    pub(super) column_blocks: usize,
}

/// Marks of an output's reduction, if it has one that reduces anything.
pub(super) fn reduced<'a>(spec: &'a MapKernel, store: &'a Store) -> Option<(Reduction, &'a [bool])> {
    match store {
        Store::Reduce { kind, over } if (0..spec.dims.len()).any(|it| over[it] && spec.dims[it] != 1) => {
            Some((*kind, over))
        }
        Store::Reduce { .. } | Store::Full => None,
    }
}

fn class(spec: &MapKernel, store: &Store, outer: usize) -> ReductionClass {
    let Some((kind, over)) = reduced(spec, store) else { return ReductionClass::None };
    let all = |wanted: &dyn Fn(usize) -> bool| {
        (0..spec.dims.len()).filter(|&it| spec.dims[it] != 1).all(|it| over[it] == wanted(it))
    };
    if all(&|_| true) {
        ReductionClass::All(kind)
    } else if all(&|it| outer <= it) {
        ReductionClass::Row(kind)
    } else if all(&|it| it < outer) {
        ReductionClass::Column(kind)
    } else {
        ReductionClass::Axes(kind)
    }
}

/// Numbers side by side that are one word of 16 bytes, of the shortest type that a map reads or writes.
const SHORT: usize = 8;
const LONG: usize = 4;
/// Elements of a row where nothing says how long one is: a vector for each thread of a warp.
const ROW: usize = 32 * SHORT;
/// Registers for operands and results that a thread has on their way at once, and rows, at most.
const ON_THEIR_WAY: usize = 48;
const ROWS_AT_ONCE: usize = 4;

/// A map without reductions over some axes, whose innermost axis is long: as rows of at most [`ROW`] elements.
pub(super) fn with_rows(spec: &MapKernel) -> Option<MapKernel> {
    let (&inner, rest) = spec.dims.split_last()?;
    let partial = |it: &ReductionClass| !matches!(it, ReductionClass::None | ReductionClass::All(_));
    if (0..=spec.dims.len()).any(|outer| spec.outputs.iter().any(|it| partial(&class(spec, &it.store, outer)))) {
        return None;
    }
    let row = (LONG..=ROW).rev().find(|it| it.is_multiple_of(LONG) && inner.is_multiple_of(*it))?;
    if inner == row {
        return None;
    }
    let mut split = spec.clone();
    split.dims = [rest, &[inner / row, row]].concat();
    for it in &mut split.inputs {
        let last = it.strides.pop().expect("a map has axes");
        it.strides.extend([last * row, last]);
    }
    for it in &mut split.outputs {
        if let Store::Reduce { over, .. } = &mut it.store {
            over.push(*over.last().expect("a map has axes"));
        }
    }
    Some(split)
}

/// Whether a thread can take so many columns side by side: all that it reads and writes lies in whole words.
fn fits(spec: &MapKernel, width: usize) -> bool {
    let reads = |it: &MapInput| {
        let (own, rest) = it.strides.split_last().expect("a map has axes");
        *own == 0 || rest.iter().all(|it| it.is_multiple_of(width))
    };
    spec.dims.last().is_some_and(|it| it.is_multiple_of(width)) && spec.inputs.iter().all(reads)
}

pub(super) fn layout(spec: &MapKernel) -> Layout {
    layout_from(spec, None)
}

/// Layouts of maps whose first axes are so many rows, which blocks share out alike: each takes all columns of the same rows. Nothing where
/// a row is too long for that.
pub(super) fn over_rows(specs: &[&MapKernel], rows: usize) -> Option<Vec<Layout>> {
    let lead = |it: &MapKernel| (0..=it.dims.len()).find(|at| it.dims[..*at].iter().product::<usize>() == rows);
    let mut all = specs.iter().map(|it| Some(layout_from(it, Some(lead(it)?)))).collect::<Option<Vec<Layout>>>()?;
    // Rows of the layout that are one of those in common, and how many of them a block takes in whole steps.
    let parts = |it: &Layout| it.rows / rows;
    let step = |it: &Layout| THREADS / it.lanes * it.rows_at_once;
    let whole = |it: &Layout, block: usize| (parts(it) * block).is_multiple_of(step(it));
    let fits = |it: &Layout| {
        it.column_blocks == 1 && it.rows != 0 && it.classes.iter().all(|it| !matches!(it, ReductionClass::Axes(_)))
    };
    if !all.iter().all(fits) {
        return None;
    }
    let least = all.iter().map(|it| it.block_rows.div_ceil(parts(it))).max()?;
    // Steps are powers of two.
    let block = (least..).find(|&block| all.iter().all(|it| whole(it, block)))?;
    for it in &mut all {
        it.block_rows = parts(it) * block;
        it.row_blocks = rows.div_ceil(block);
    }
    // Few blocks that are large would leave most of a GPU idle.
    let few = |it: &Layout| it.row_blocks < BLOCKS && LARGE < it.block_rows * it.columns;
    (!all.iter().any(few)).then_some(all)
}

/// With at least so many axes as rows, and then with all columns in a block; or as is best for the map by itself.
fn layout_from(spec: &MapKernel, lead: Option<usize>) -> Layout {
    let rank = spec.dims.len();
    let classes_at = |outer: usize| spec.outputs.iter().map(|it| class(spec, &it.store, outer)).collect::<Vec<_>>();
    let fitting = |outer: usize| {
        classes_at(outer).iter().filter(|it| matches!(it, ReductionClass::Row(_) | ReductionClass::Column(_))).count()
    };
    // Of a mean and a variance together three numbers.
    let numbers = |class: &ReductionClass| match class {
        ReductionClass::Column(Reduction::Sum | Reduction::Max | Reduction::Mean) => 1,
        ReductionClass::Column(Reduction::Variance) => 2,
        ReductionClass::None | ReductionClass::Row(_) | ReductionClass::All(_) | ReductionClass::Axes(_) => 0,
    };
    let kept_at = |outer: usize| classes_at(outer).iter().map(numbers).sum::<usize>();
    let mut dtypes = spec.inputs.iter().map(|it| it.dtype).chain(spec.outputs.iter().map(|it| it.dtype));
    let widest = if dtypes.any(|it| it == DType::Bf16) { SHORT } else { LONG };
    // Whole numbers are evaluated in fp64, one by one.
    let vector = |outer: usize| {
        let possible = outer < rank && !spec.outputs.iter().any(|it| it.dtype == DType::Int);
        let widths = [SHORT, LONG].into_iter().filter(|it| *it <= widest);
        let few = |it: &usize| kept_at(outer) * it <= NUMBERS;
        widths.filter(few).find(|&it| possible && fits(spec, it)).unwrap_or(1)
    };
    // The last of the best: where nothing decides, elements in a row are neighbours in memory, taken together if they can be.
    // Over rows in common, the first: blocks then share these out as finely as they can.
    let best = |it: &usize| (fitting(*it), 1 < vector(*it));
    let outer = match lead {
        None => (0..=rank).max_by_key(best),
        Some(lead) => (lead..=rank).rev().max_by_key(best),
    };
    let outer = outer.unwrap_or(0);
    let (mut classes, kept, vector) = (classes_at(outer), kept_at(outer), vector(outer));
    let rows: usize = spec.dims[..outer].iter().product();
    let columns: usize = spec.dims[outer..].iter().product();
    let lanes = (columns / vector).next_power_of_two().min(32);
    let whole_row = (columns / vector).div_ceil(lanes);
    let most = NUMBERS.checked_div(kept * vector).map_or(whole_row, |it| it.clamp(1, KEPT / vector));
    // What belongs to a column is kept over the rows of a thread that has one vector of each.
    let alone = lead.is_none() && 1 < vector && !classes.iter().any(|it| matches!(it, ReductionClass::Row(_)));
    let per_thread = if alone { 1 } else { whole_row.min(most) };
    let column_blocks = (columns / vector).div_ceil(lanes * per_thread);
    for it in &mut classes {
        if let ReductionClass::Row(kind) = *it
            && (1 < column_blocks || LONGEST_ROW < columns)
        {
            *it = ReductionClass::Axes(kind);
        }
    }
    let lines = THREADS / lanes;
    let mut block_rows = rows.div_ceil(ROW_BLOCKS.div_ceil(column_blocks)).next_multiple_of(lines);
    let words = |dtype: DType| if dtype == DType::Bf16 { vector.div_ceil(2) } else { vector };
    let moves =
        |it: &MapInput, mut axes: std::ops::Range<usize>| axes.any(|at| it.strides[at] != 0 && spec.dims[at] != 1);
    let read = spec.inputs.iter().filter(|it| moves(it, 0..outer) && moves(it, outer..rank)).map(|it| it.dtype);
    let written = spec.outputs.iter().zip(&classes).filter(|it| *it.1 == ReductionClass::None).map(|it| it.0.dtype);
    let moved: usize = read.chain(written).map(words).sum();
    let few = |it: &usize| it * moved <= ON_THEIR_WAY && it * lines <= block_rows;
    let rows_at_once = [ROWS_AT_ONCE, 2].into_iter().find(few).unwrap_or(1);
    block_rows = block_rows.next_multiple_of(lines * rows_at_once);
    let row_blocks = rows.div_ceil(block_rows);
    Layout {
        outer,
        rows,
        columns,
        classes,
        vector,
        lanes,
        per_thread,
        rows_at_once,
        block_rows,
        row_blocks,
        column_blocks,
    }
}

/// How a result is reduced, if it is.
pub(super) fn reduction(class: ReductionClass) -> Option<Reduction> {
    match class {
        ReductionClass::None => None,
        ReductionClass::Row(kind)
        | ReductionClass::Column(kind)
        | ReductionClass::All(kind)
        | ReductionClass::Axes(kind) => Some(kind),
    }
}
