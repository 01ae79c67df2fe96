//! Offsets in the arena: slots whose lifetimes meet do not overlap.
//!
//! Slots are placed in order of time with the tightest free hole (near n log n in their number). Small
//! plans are also packed largest first, which is quadratic and often tighter; the smaller result wins.

use std::collections::{BTreeMap, BTreeSet};

/// Offsets are multiples of this.
pub(super) const ALIGN: usize = 64;

/// Up to this many slots are packed largest first, too.
const SMALL: usize = 1500;

/// Memory wanted from launch `first` to launch `last`, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) bytes: usize,
}

/// Offsets per slot, and the size of the arena.
pub(super) fn place(slots: &[Slot]) -> (Vec<usize>, usize) {
    let online = in_time(slots);
    if slots.len() <= SMALL {
        let packed = largest_first(slots);
        if packed.1 < online.1 {
            return packed;
        }
    }
    online
}

fn rounded(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(ALIGN)
}

/// Free memory: by offset for joining neighbours, by size for the tightest fit.
#[derive(Default)]
struct Holes {
    by_offset: BTreeMap<usize, usize>,
    by_size: BTreeSet<(usize, usize)>,
    end: usize,
}

impl Holes {
    fn remove(&mut self, offset: usize) -> usize {
        let size = self.by_offset.remove(&offset).expect("a hole starts here");
        self.by_size.remove(&(size, offset));
        size
    }

    fn insert(&mut self, offset: usize, size: usize) {
        self.by_offset.insert(offset, size);
        self.by_size.insert((size, offset));
    }

    fn take(&mut self, bytes: usize) -> usize {
        if let Some(&(size, offset)) = self.by_size.range((bytes, 0)..).next() {
            self.remove(offset);
            if bytes < size {
                self.insert(offset + bytes, size - bytes);
            }
            return offset;
        }
        // Grow, from the last hole on if it reaches the end.
        let last = self.by_offset.last_key_value().map(|(&offset, &size)| (offset, size));
        let offset = match last {
            Some((offset, size)) if offset + size == self.end => {
                self.remove(offset);
                offset
            }
            _ => self.end,
        };
        self.end = offset + bytes;
        offset
    }

    fn give(&mut self, mut offset: usize, mut bytes: usize) {
        if let Some((&before, &size)) = self.by_offset.range(..offset).next_back()
            && before + size == offset
        {
            self.remove(before);
            offset = before;
            bytes += size;
        }
        if self.by_offset.contains_key(&(offset + bytes)) {
            bytes += self.remove(offset + bytes);
        }
        self.insert(offset, bytes);
    }
}

fn in_time(slots: &[Slot]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|&it| (slots[it].first, std::cmp::Reverse(slots[it].bytes), it));
    let mut ends: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut offsets = vec![0; slots.len()];
    let mut holes = Holes::default();
    for at in order {
        while let Some(&(last, dead)) = ends.first() {
            if slots[at].first <= last {
                break;
            }
            ends.pop_first();
            holes.give(offsets[dead], rounded(slots[dead].bytes));
        }
        offsets[at] = holes.take(rounded(slots[at].bytes));
        ends.insert((slots[at].last, at));
    }
    (offsets, holes.end)
}

fn largest_first(slots: &[Slot]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|&it| (std::cmp::Reverse(slots[it].bytes), slots[it].first, it));
    let mut offsets = vec![0; slots.len()];
    // Placed slots by offset.
    let mut placed: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut end = 0;
    for at in order {
        let bytes = rounded(slots[at].bytes);
        let (mut best, mut best_size) = (None, usize::MAX);
        let mut free = 0;
        for &(offset, other) in &placed {
            if slots[other].last < slots[at].first || slots[at].last < slots[other].first {
                continue;
            }
            if free + bytes <= offset && offset - free < best_size {
                (best, best_size) = (Some(free), offset - free);
            }
            free = free.max(offset + rounded(slots[other].bytes));
        }
        offsets[at] = best.unwrap_or(free);
        end = end.max(offsets[at] + bytes);
        placed.insert((offsets[at], at));
    }
    (offsets, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(slots: &[Slot], offsets: &[usize]) -> bool {
        (0..slots.len()).any(|a| {
            (0..a).any(|b| {
                let (x, y) = (&slots[a], &slots[b]);
                let together = x.first <= y.last && y.first <= x.last;
                together && offsets[a] < offsets[b] + y.bytes && offsets[b] < offsets[a] + x.bytes
            })
        })
    }

    proptest::proptest! {
        #[test]
        fn living_slots_never_overlap(raw in proptest::collection::vec((0usize..40, 0usize..12, 0usize..5000), 0..60)) {
            let slots: Vec<Slot> =
                raw.iter().map(|&(first, more, bytes)| Slot { first, last: first + more, bytes }).collect();
            for (offsets, end) in [in_time(&slots), largest_first(&slots), place(&slots)] {
                proptest::prop_assert!(!overlap(&slots, &offsets));
                proptest::prop_assert!(offsets.iter().all(|it| it % ALIGN == 0));
                proptest::prop_assert!(offsets.iter().zip(&slots).all(|(it, slot)| it + slot.bytes <= end));
            }
        }
    }

    #[test]
    fn a_chain_needs_memory_for_two_links() {
        let slots: Vec<Slot> = (0..100).map(|it| Slot { first: it, last: it + 1, bytes: 640 }).collect();
        assert_eq!(place(&slots).1, 1280);
    }

    #[test]
    fn a_hundred_thousand_slots_are_placed_at_once() {
        let slots: Vec<Slot> =
            (0..100_000).map(|it| Slot { first: it, last: it + 3 + it % 1000, bytes: 64 * (1 + it % 77) }).collect();
        assert!(0 < place(&slots).1);
    }
}
