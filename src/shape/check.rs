//! Turns what the shape rules found into diagnostics.
