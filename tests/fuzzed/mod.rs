//! What a fuzzer feeds (`fuzz/`), every input that ever broke something, tried again, and inputs drawn at random.

mod mutate;
mod random;
pub(crate) mod replay;
pub(crate) mod targets;
