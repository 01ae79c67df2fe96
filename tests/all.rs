//! The integration tests: one binary, one module per area.

mod fusion;
mod golden;
mod golden_ops;
mod layers;
mod lower;
mod machine;
mod plans;
