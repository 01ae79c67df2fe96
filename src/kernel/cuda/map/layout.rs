//! How a map's space is seen as rows and columns, and where each result ends.

use super::THREADS;
use crate::ir::Reduction;
use crate::kernel::{MapKernel, Store};

/// Blocks that share out rows, at most; a constant, so that sums do not depend on the device.
const ROW_BLOCKS: usize = 528;
/// Columns that a thread keeps reductions for, at most, and numbers that it keeps for them.
const KEPT: usize = 16;
const NUMBERS: usize = 64;
/// Longest row that one warp reduces; beyond, a block does.
const LONGEST_ROW: usize = 2048;

/// What becomes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
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
    pub(super) fates: Vec<Fate>,
    pub(super) lanes: usize,
    pub(super) per_thread: usize,
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

fn fate(spec: &MapKernel, store: &Store, outer: usize) -> Fate {
    let Some((kind, over)) = reduced(spec, store) else { return Fate::Whole };
    let all = |wanted: &dyn Fn(usize) -> bool| {
        (0..spec.dims.len()).filter(|&it| spec.dims[it] != 1).all(|it| over[it] == wanted(it))
    };
    if all(&|_| true) {
        Fate::All(kind)
    } else if all(&|it| outer <= it) {
        Fate::Row(kind)
    } else if all(&|it| it < outer) {
        Fate::Column(kind)
    } else {
        Fate::Axes(kind)
    }
}

pub(super) fn layout(spec: &MapKernel) -> Layout {
    let rank = spec.dims.len();
    let fates_at = |outer: usize| spec.outputs.iter().map(|it| fate(spec, &it.store, outer)).collect::<Vec<_>>();
    let fitting =
        |outer: usize| fates_at(outer).iter().filter(|it| matches!(it, Fate::Row(_) | Fate::Column(_))).count();
    // The last of the best: where nothing decides, elements in a row are neighbours in memory.
    let outer = (0..=rank).max_by_key(|&it| fitting(it)).unwrap_or(0);
    let mut fates = fates_at(outer);
    let rows: usize = spec.dims[..outer].iter().product();
    let columns: usize = spec.dims[outer..].iter().product();
    // Of a mean and a variance together three numbers.
    let numbers = |fate: &Fate| match fate {
        Fate::Column(Reduction::Sum | Reduction::Max | Reduction::Mean) => 1,
        Fate::Column(Reduction::Variance) => 2,
        Fate::Whole | Fate::Row(_) | Fate::All(_) | Fate::Axes(_) => 0,
    };
    let kept: usize = fates.iter().map(numbers).sum();
    let lanes = columns.next_power_of_two().min(32);
    let whole_row = columns.div_ceil(lanes);
    let most = NUMBERS.checked_div(kept).map_or(whole_row, |it| it.clamp(1, KEPT));
    let per_thread = whole_row.min(most);
    let column_blocks = columns.div_ceil(lanes * per_thread);
    for it in &mut fates {
        if let Fate::Row(kind) = *it
            && (1 < column_blocks || LONGEST_ROW < columns)
        {
            *it = Fate::Axes(kind);
        }
    }
    let lines = THREADS / lanes;
    let block_rows = rows.div_ceil(ROW_BLOCKS.div_ceil(column_blocks)).next_multiple_of(lines);
    let row_blocks = rows.div_ceil(block_rows);
    Layout { outer, rows, columns, fates, lanes, per_thread, block_rows, row_blocks, column_blocks }
}

/// How a result is reduced, if it is.
pub(super) fn reduction(fate: Fate) -> Option<Reduction> {
    match fate {
        Fate::Whole => None,
        Fate::Row(kind) | Fate::Column(kind) | Fate::All(kind) | Fate::Axes(kind) => Some(kind),
    }
}
