//! Two models, as `sphc diff` tells them apart: what is not the same differs in what is shown, and a layout is no difference.

use super::packing::parts;
use super::text::{MOST_NODES, import};
use sphc::changes::{self, Changes};
use sphc::{Compilation, Model, syntax};

/// What a text means, if it has no errors and is not so large that it would only be slow.
fn compiled(text: &str) -> Option<Compilation> {
    // Files of the disk are none of the fuzzer's.
    if text.contains("data \"") {
        return None;
    }
    let own = text.to_owned();
    let model = Model::from_text("it.sph", text).reading(move |path| import(path, &own).ok());
    let found = model.check().ok()?;
    found.typed.filter(|it| it.graph().len() <= MOST_NODES)?;
    model.compile().ok()
}

/// Rows of what differs, of which the two sides do.
fn told(a: &Compilation, b: &Compilation) -> bool {
    let Changes { same, written, computed } = changes::between(a, b);
    for (name, a, b) in written.iter().chain(&computed) {
        assert_ne!(a, b, "`{name}` is shown although it is the same");
    }
    assert!(same || !written.is_empty() || !computed.is_empty(), "nothing is shown of what is not the same");
    same
}

/// The first part is compared with the second, or with its own layout.
pub(super) fn compare(input: &[u8]) -> bool {
    let parts = parts(input);
    let texts: Option<Vec<&str>> = parts.iter().take(2).map(|it| std::str::from_utf8(it.bytes).ok()).collect();
    let Some(texts) = texts else { return false };
    let Some(first) = compiled(texts[0]) else { return false };
    let laid_out = syntax::format(texts[0]).expect("what compiles has a layout");
    let second = compiled(&laid_out).expect("the layout compiles");
    assert!(told(&first, &second), "the layout is told as another model");
    let Some(second) = texts.get(1).and_then(|it| compiled(it)) else { return texts.len() == 1 };
    assert_eq!(told(&first, &second), told(&second, &first), "which of two models comes first");
    true
}
