//! Changes of texts by their words: a sequence of chances, and where words and numbers stand.

/// A sequence that is the same in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// The scalars of a line: where they start and end.
pub(crate) fn scalars(line: &str) -> Vec<(usize, usize)> {
    let from = line.find(": ").map_or_else(|| line.len() - line.trim_start_matches([' ', '-']).len(), |it| it + 2);
    let is_word = |it: char| it.is_ascii_alphanumeric() || "_.+-".contains(it);
    let mut found = Vec::new();
    let mut start = None;
    for (at, it) in line.char_indices().chain([(line.len(), ' ')]) {
        match (start, is_word(it) && from <= at) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                found.push((first, at));
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found
}
