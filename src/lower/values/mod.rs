//! Values, their types, and what calls take.

pub(in crate::lower) mod args;
pub(in crate::lower) mod signature;
pub(in crate::lower) mod source;
pub(in crate::lower) mod types;
pub(in crate::lower) mod value;
