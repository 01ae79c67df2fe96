//! What a fuzzer feeds (`fuzz/`), and every input that ever broke something, tried again.

pub(crate) mod replay;
pub(crate) mod targets;
