//! What names and calls come to, for editors.

use crate::diag::Span;
use crate::lower::names::index::Noted;
use crate::lower::network::Network;
use crate::lower::values::value::{Value, short};

/// So many values of a place are told.
const MOST_VALUES: usize = 4;

impl Network<'_> {
    /// Tells what stands at a place of the user's texts.
    pub(in crate::lower) fn note(&mut self, span: Span, value: &Value) {
        if !self.settings.index || self.items.is_own(span.file) {
            return;
        }
        let found = match value {
            Value::Tensor(tensor) => {
                let batch = self.has_batch(tensor);
                let Some(shape) = self.graph.fact(tensor.train).shape() else { return };
                Noted::Shape(shape.dims().get(usize::from(batch)..).unwrap_or_default().to_vec())
            }
            Value::Error(_) | Value::Nothing | Value::Scalar(_) => return,
            other => Noted::Value(short(other)),
        };
        let known = self.index.values.entry(span).or_default();
        if known.len() < MOST_VALUES && !known.contains(&found) {
            known.push(found);
        }
    }
}
