//! Where the boxes of a picture stand: from top to bottom, what follows each other in a column, other ways beside it.
//!
//! An item stands in a row by the longest way to it. The longest way through all is the first column. Each other way takes the
//! first column that is free from where it leaves to where it joins; one with nothing on it needs a narrow one, a lane.

use super::diagram::{Diagram, Item, Look};
use std::collections::{BTreeMap, BTreeSet};

/// Pixels.
pub(super) const LETTER: usize = 7;
pub(super) const LINE: usize = 16;
pub(super) const MARGIN: usize = 12;
const BETWEEN: usize = 24;
const LANE: usize = 18;
const PORT: usize = 6;

/// A diagram with places, from its own corner.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) width: usize,
    pub(super) height: usize,
    /// By item.
    pub(super) spots: Vec<Spot>,
    /// Where something comes in and goes out.
    pub(super) ports: Vec<(usize, usize)>,
    /// Ways, as corners; each ends with an arrow, or at the border.
    pub(super) ways: Vec<Way>,
    /// The middle of its first column.
    anchor: usize,
}

#[derive(Debug)]
pub(super) struct Spot {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// What is in it, below its title.
    pub(super) inside: Option<Placed>,
}

#[derive(Debug)]
pub(super) struct Way {
    pub(super) corners: Vec<(usize, usize)>,
    pub(super) arrow: bool,
}

/// The height of an item's title and the lines below it.
pub(super) fn head(item: &Item) -> usize {
    LINE * (usize::from(!item.title.is_empty()) + item.facts().len()) + MARGIN / 2
}

/// A place in rows and columns.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    row: usize,
    column: usize,
    width: usize,
    height: usize,
    /// What stands in the middle of its column, from its left.
    anchor: usize,
}

/// A column: where it starts, and its middle.
#[derive(Clone, Copy)]
struct Across {
    end: usize,
    middle: usize,
}

/// A way that needs a column: its rows, the items on it, and the edges that run in it besides.
struct Wanted<'a> {
    rows: (usize, usize),
    chain: &'a [usize],
    edges: Vec<(usize, usize)>,
}

/// Rows of a column that are taken, both ends included.
type Taken = Vec<(usize, usize)>;

pub(super) fn place(diagram: &Diagram) -> Placed {
    let count = diagram.items.len();
    let mut insides: Vec<Option<Placed>> = Vec::new();
    let mut cells: Vec<Cell> = Vec::new();
    for item in &diagram.items {
        let (cell, inside) = sized(item);
        cells.push(cell);
        insides.push(inside);
    }
    // Ports are items without a size, what comes in before all others and what goes out behind.
    let port = Cell { width: PORT, height: PORT, anchor: PORT / 2, ..Cell::default() };
    let (entries, exits) = (diagram.entries.len(), diagram.exits.len());
    cells.extend(std::iter::repeat_n(port, entries + exits));
    let inward = (diagram.entries.iter().enumerate()).flat_map(|(at, it)| it.iter().map(move |to| (count + at, *to)));
    let outward = diagram.exits.iter().enumerate().map(|(at, from)| (*from, count + entries + at));
    let edges: BTreeSet<(usize, usize)> = diagram.edges.iter().copied().chain(inward).chain(outward).collect();
    let grid = Grid::new(cells, &edges, count..count + entries, count + entries);
    let (xs, ys) = (grid.xs(), grid.ys());
    let middle = |at: usize| xs[grid.cells[at].column].middle;
    let spots = (0..count).zip(insides).map(|(at, inside)| {
        let Cell { row, width, height, anchor, .. } = grid.cells[at];
        Spot { x: middle(at) - anchor, y: ys[row].0 + (ys[row].1 - height) / 2, width, height, inside }
    });
    let spots: Vec<Spot> = spots.collect();
    let level = |at: usize| ys[grid.cells[at].row].0 + ys[grid.cells[at].row].1 / 2;
    let ports = (count..count + entries + exits).map(|it| (middle(it), level(it))).collect();
    let ways = edges.iter().map(|&edge| grid.way(edge, &xs, &ys, count)).collect();
    let width = xs.iter().map(|it| it.end).max().unwrap_or(0);
    let height = ys.last().map_or(0, |it| it.0 + it.1);
    Placed { width, height, spots, ports, ways, anchor: xs.first().map_or(0, |it| it.middle) }
}

/// How large an item is, and what is in it.
fn sized(item: &Item) -> (Cell, Option<Placed>) {
    let title = item.title.chars().count() + if 1 < item.times() { 5 } else { 0 };
    let letters = item.facts().iter().map(|it| it.chars().count()).chain([title]).max().unwrap_or(0);
    let text = letters * LETTER + 2 * MARGIN;
    let cell = |width, height| Cell { width, height, anchor: width / 2, ..Cell::default() };
    match &item.look {
        Look::Box => (cell(text, head(item) + MARGIN / 2), None),
        Look::Join => (cell(item.kinds.join("").chars().count() * LETTER + 2 * MARGIN, LINE + MARGIN / 2), None),
        Look::Block(inside) => {
            let inside = place(inside);
            let size = cell(text.max(inside.width + 2 * MARGIN), head(item) + inside.height + MARGIN);
            (Cell { anchor: MARGIN + inside.anchor, ..size }, Some(inside))
        }
    }
}

/// Items and ports in rows and columns.
struct Grid {
    cells: Vec<Cell>,
    /// By column, how far what stands in it reaches to the left of its middle, and to the right.
    widths: Vec<[usize; 2]>,
    /// The column of each edge between items that do not follow each other in one.
    via: BTreeMap<(usize, usize), usize>,
    /// The edges that follow their column.
    straight: BTreeSet<(usize, usize)>,
}

impl Grid {
    fn new(
        mut cells: Vec<Cell>,
        edges: &BTreeSet<(usize, usize)>,
        entries: std::ops::Range<usize>,
        exits: usize,
    ) -> Self {
        let count = cells.len();
        let (mut before, mut after) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for &(from, to) in edges {
            before[to].push(from);
            after[from].push(to);
        }
        // Ports that something comes in by are first in the order; all others read what is before them.
        let order: Vec<usize> = entries.clone().chain(0..entries.start).chain(exits..count).collect();
        for &at in &order {
            cells[at].row = before[at].iter().map(|it| cells[*it].row + 1).max().unwrap_or(0);
        }
        let last = cells.iter().map(|it| it.row).max().unwrap_or(0);
        (exits..count).for_each(|it| cells[it].row = last);
        // How many items there are on the longest way from each to an end.
        let mut far = vec![1; count];
        for &at in order.iter().rev() {
            far[at] = 1 + after[at].iter().map(|it| far[*it]).max().unwrap_or(0);
        }
        let mut grid = Self { cells, widths: Vec::new(), via: BTreeMap::new(), straight: BTreeSet::new() };
        let mut placed = vec![false; count];
        // The longest way first; of equals the first in the text.
        let mut chains: Vec<Vec<usize>> = Vec::new();
        let start = order.iter().copied().max_by_key(|it| (far[*it], std::cmp::Reverse(*it)));
        for first in start.into_iter().chain(order.iter().copied()) {
            let mut chain = Vec::new();
            let mut next = Some(first).filter(|it| !placed[*it]);
            while let Some(at) = next {
                placed[at] = true;
                chain.push(at);
                next = after[at]
                    .iter()
                    .copied()
                    .filter(|it| !placed[*it])
                    .max_by_key(|it| (far[*it], std::cmp::Reverse(*it)));
            }
            if !chain.is_empty() {
                chains.push(chain);
            }
        }
        for it in &chains {
            grid.straight.extend(it.windows(2).map(|it| (it[0], it[1])));
        }
        grid.columns(&chains, edges, &before, &after);
        grid
    }

    /// Gives each way its column: shorter ones are nearer to the first.
    fn columns(
        &mut self,
        chains: &[Vec<usize>],
        edges: &BTreeSet<(usize, usize)>,
        before: &[Vec<usize>],
        after: &[Vec<usize>],
    ) {
        let row = |it: usize| self.cells[it].row;
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut own: BTreeSet<(usize, usize)> = self.straight.clone();
        let whole = (0, self.cells.iter().map(|it| it.row).max().unwrap_or(0));
        for (at, chain) in chains.iter().enumerate() {
            let (Some(&first), Some(&last)) = (chain.first(), chain.last()) else { continue };
            let from = before[first].iter().copied().max_by_key(|it| row(*it));
            let to = after[last].iter().copied().min_by_key(|it| row(*it));
            // The edges by which a chain leaves another one and joins it run in its own column.
            let ends = from.map(|it| (it, first)).into_iter().chain(to.map(|it| (last, it)));
            let edges: Vec<(usize, usize)> = ends.filter(|it| own.insert(*it)).collect();
            let rows = if at == 0 { whole } else { (from.map_or(row(first), row), to.map_or(row(last), row)) };
            wanted.push(Wanted { rows, chain, edges });
        }
        let rest = edges.iter().filter(|it| !own.contains(it));
        wanted.extend(rest.map(|it| Wanted { rows: (row(it.0), row(it.1)), chain: &[], edges: vec![*it] }));
        // The longest way is first however far it reaches.
        if let Some(rest) = wanted.get_mut(1..) {
            rest.sort_by_key(|it| (it.rows.1 - it.rows.0, it.rows));
        }
        let mut taken: Vec<Taken> = Vec::new();
        let mut narrow: Vec<bool> = Vec::new();
        for Wanted { rows, chain, edges } in wanted {
            let free = |it: &Taken| it.iter().all(|it| rows.1 < it.0 || it.1 < rows.0);
            let lane = chain.is_empty();
            let column = (0..taken.len()).find(|&it| narrow[it] == lane && free(&taken[it])).unwrap_or(taken.len());
            if column == taken.len() {
                taken.push(Vec::new());
                narrow.push(lane);
                self.widths.push([LANE / 2; 2]);
            }
            taken[column].push(rows);
            for &at in chain {
                self.cells[at].column = column;
                let Cell { width, anchor, .. } = self.cells[at];
                let [left, right] = self.widths[column];
                self.widths[column] = [left.max(anchor), right.max(width - anchor)];
            }
            self.via.extend(edges.into_iter().map(|it| (it, column)));
        }
    }

    /// Each column, from the left.
    fn xs(&self) -> Vec<Across> {
        let mut at = 0;
        let place = |&[left, right]: &[usize; 2]| {
            let middle = at + left;
            let end = middle + right;
            at = end + if left + right == LANE { 0 } else { MARGIN };
            Across { end, middle }
        };
        self.widths.iter().map(place).collect()
    }

    /// The start and height of each row.
    fn ys(&self) -> Vec<(usize, usize)> {
        let rows = self.cells.iter().map(|it| it.row + 1).max().unwrap_or(0);
        let mut heights = vec![0; rows];
        self.cells.iter().for_each(|it| heights[it.row] = heights[it.row].max(it.height));
        let mut at = 0;
        let place = |height: usize| {
            let y = at;
            at += height + BETWEEN;
            (y, height)
        };
        heights.into_iter().map(place).collect()
    }

    /// Whether nothing but the item itself stands in its row as far as a column.
    fn is_clear(&self, item: &Cell, column: usize) -> bool {
        let reach = item.column.min(column)..=item.column.max(column);
        self.cells.iter().all(|it| it.row != item.row || it.column == item.column || !reach.contains(&it.column))
    }

    /// The corners of a way: down its column; into another one beside what it leaves, or below it where something is in the way.
    fn way(&self, edge: (usize, usize), xs: &[Across], ys: &[(usize, usize)], count: usize) -> Way {
        let (from, to) = (self.cells[edge.0], self.cells[edge.1]);
        let middle = |column: usize| xs[column].middle;
        let level = |it: &Cell| ys[it.row].0 + ys[it.row].1 / 2;
        let side = |it: &Cell, towards: usize| {
            let left = middle(it.column) - it.anchor;
            if it.column < towards { left + it.width } else { left }
        };
        let arrow = edge.1 < count;
        let (top, bottom) = (level(&to) - to.height / 2, level(&from) + from.height / 2);
        let column = self.via.get(&edge).copied().unwrap_or(from.column);
        let x = middle(column);
        let mut corners = Vec::new();
        // The gap below the row it leaves, and the one above the row it comes to.
        let below = ys[from.row].0 + ys[from.row].1 + BETWEEN / 3;
        let above = ys[to.row].0.saturating_sub(BETWEEN / 3);
        match column == from.column {
            true => corners.push((x, bottom)),
            false if self.is_clear(&from, column) && edge.0 < count => {
                corners.extend([(side(&from, column), level(&from)), (x, level(&from))]);
            }
            false => corners.extend([(middle(from.column), bottom), (middle(from.column), below), (x, below)]),
        }
        match column == to.column {
            true => corners.push((x, top)),
            false if self.is_clear(&to, column) && arrow => {
                corners.extend([(x, level(&to)), (side(&to, column), level(&to))]);
            }
            false => corners.extend([(x, above), (middle(to.column), above), (middle(to.column), top)]),
        }
        Way { corners, arrow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(name: &str, width: usize) -> Item {
        let title = format!("{name}{}", "x".repeat(width));
        Item { title, kinds: Vec::new(), shapes: Vec::new(), parameters: vec![0], paths: Vec::new(), look: Look::Box }
    }

    /// Items that read one before them, and more of these by chance.
    fn diagram(widths: &[usize], more: &[(usize, usize)]) -> Diagram {
        let count = widths.len();
        let items = widths.iter().enumerate().map(|(at, it)| item(&at.to_string(), *it)).collect();
        let mut edges: BTreeSet<(usize, usize)> = (1..count).map(|it| (it - 1 - it % 3 % it, it)).collect();
        edges.extend(more.iter().map(|it| (it.0 % count, it.1 % count)).filter(|it| it.0 < it.1));
        let exits = vec![count - 1];
        Diagram { items, edges, entries: vec![vec![0], vec![count / 2]], exits }
    }

    /// Whether a line between two corners runs through the inside of a box.
    fn crosses(it: &Spot, a: (usize, usize), b: (usize, usize)) -> bool {
        let inside = |low: usize, high: usize, from: usize, size: usize| low < from + size && from < high;
        let (left, right) = (a.0.min(b.0), a.0.max(b.0));
        let (top, bottom) = (a.1.min(b.1), a.1.max(b.1));
        inside(left, right.max(left + 1), it.x, it.width) && inside(top, bottom.max(top + 1), it.y, it.height)
    }

    proptest! {
        #[test]
        fn boxes_stand_apart_and_ways_go_around_them(
            widths in prop::collection::vec(0_usize..30, 1..14),
            more in prop::collection::vec((0_usize..14, 0_usize..14), 0..14),
        ) {
            let diagram = diagram(&widths, &more);
            let placed = place(&diagram);
            for (at, a) in placed.spots.iter().enumerate() {
                prop_assert!(a.x + a.width <= placed.width && a.y + a.height <= placed.height);
                for b in &placed.spots[..at] {
                    let apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
            prop_assert_eq!(placed.ways.len(), diagram.edges.len() + 3);
            for way in &placed.ways {
                for it in way.corners.windows(2) {
                    prop_assert!(it[0].0 == it[1].0 || it[0].1 == it[1].1);
                    for spot in &placed.spots {
                        prop_assert!(!crosses(spot, it[0], it[1]), "{way:?} {spot:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_shortcut_without_a_layer_is_a_lane_beside_the_longest_way() {
        let items = (0..4).map(|it| item(&it.to_string(), 9)).collect();
        let edges = BTreeSet::from([(0, 1), (1, 2), (2, 3), (0, 3)]);
        let placed = place(&Diagram { items, edges, entries: Vec::new(), exits: Vec::new() });
        let x: BTreeSet<usize> = placed.spots.iter().map(|it| it.x + it.width / 2).collect();
        assert_eq!(x.len(), 1, "one column");
        assert_eq!(placed.width, placed.spots[0].width + MARGIN + LANE);
    }
}
