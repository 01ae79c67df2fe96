//! The integration tests: one binary, one module per area, as `README.md` has them.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
#![allow(clippy::disallowed_methods, reason = "tests read their cases and run the program")]

mod backends;
mod compiler;
#[cfg(feature = "lsp")]
mod editor;
mod files;
mod fuzzed;
mod language;
mod networks;
mod runs;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many random cases; what fails is kept beside the test, and is tried first from then on.
fn cases(cases: u32) -> Config {
    let kept = FileFailurePersistence::WithSource("regressions");
    Config { cases, failure_persistence: Some(Box::new(kept)), ..Config::default() }
}
