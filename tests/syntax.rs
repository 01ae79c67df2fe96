//! Parsing and formatting of whole texts.

use sphc::diag::{FileId, Sink};
use sphc::syntax;

#[test]
fn scratch() {
    let mut sink = Sink::new();
    syntax::parse(FileId(0), "", &mut sink);
}
