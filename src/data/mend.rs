//! The line of Python that turns arrays into what is needed: expressions of NumPy, and the whole line.

use super::error::shown;
use super::npy::Kind;
use std::path::Path;

/// An expression for an array under another name or form: `x` is an expression, too.
pub(super) fn array(name: &str) -> String {
    format!("a['{name}']")
}

/// What is no numbers as numbers, where there is one way to make it so.
pub(super) fn as_numbers(x: &str, kind: Kind) -> Option<String> {
    match kind {
        Kind::Bool => Some(format!("{x}.astype('uint8')")),
        Kind::Object => Some(format!("np.stack(list({x}))")),
        Kind::Int | Kind::Uint | Kind::Float | Kind::Text | Kind::Other => None,
    }
}

/// Labels of any kind, counted from 0 in their order; `names` are all arrays of them in the file.
pub(super) fn counted(x: &str, names: &[&str]) -> String {
    let all: Vec<String> = names.iter().map(|it| format!("{}.ravel()", array(it))).collect();
    format!("np.searchsorted(np.unique(np.concatenate([{}])), {x})", all.join(", "))
}

/// Images whose channels come first.
pub(super) fn channels_last(x: &str) -> String {
    format!("np.ascontiguousarray({x}.transpose(0, 2, 3, 1))")
}

/// The line that writes a mended file beside the old one, in a sentence. All expressions see the old arrays.
pub(super) fn line(path: &Path, arrays: &[(&str, String)], pickled: bool) -> String {
    let stem = path.file_stem().map_or_else(|| "data".into(), |it| it.to_string_lossy());
    let mended = path.with_file_name(format!("{stem}-mended.npz"));
    let pickled = if pickled { ", allow_pickle=True" } else { "" };
    let changes: Vec<String> = arrays.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "in Python, this writes `{}`:\n    import numpy as np; a = dict(np.load({}{pickled})); a.update({}); \
         np.savez({}, **a)",
        shown(&mended),
        quoted(path),
        changes.join(", "),
        quoted(&mended),
    )
}

/// A path as Python writes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_python() {
        let said = line(Path::new("it's/a.npz"), &[("y", "a['y'] - 1".into())], false);
        assert!(
            said.contains(r"np.load('it\'s/a.npz')") && said.contains(r"np.savez('it\'s/a-mended.npz', **a)"),
            "{said}"
        );
    }
}
