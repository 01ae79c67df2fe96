//! Tree to graph: names, parameters, blocks, loops, imports and the recipe are resolved here;
//! operators become scalar expressions.

pub mod settings;

pub use settings::{DataInfo, Settings};
