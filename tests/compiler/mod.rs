//! What the stages make of a model: dumps of each, gradients, fusion, plans, and how the source itself is layered.

pub(crate) mod dumps;
pub(crate) mod fusion;
pub(crate) mod gate;
pub(crate) mod gradients;
pub(crate) mod layers;
pub(crate) mod machine;
pub(crate) mod plan_files;
pub(crate) mod plans;
pub(crate) mod storage;
