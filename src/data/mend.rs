//! The line of Python that turns arrays into what is needed: expressions of NumPy, and the whole line.

use super::npy::Kind;
use std::path::Path;

/// The least and the largest of some numbers, and whether all are whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) whole: bool,
    pub(super) finite: bool,
}

impl Range {
    pub(super) const EMPTY: Range = Range { least: f64::INFINITY, most: f64::NEG_INFINITY, whole: true, finite: true };

    pub(super) fn see(&mut self, number: f64) {
        self.least = self.least.min(number);
        self.most = self.most.max(number);
        self.whole &= number.fract() == 0.0;
        self.finite &= number.is_finite();
    }
}

/// An expression for an array under another name or form: `x` is an expression, too.
pub(super) fn array(name: &str) -> String {
    format!("a['{name}']")
}

/// Images as bytes, where there is one way to make them so.
pub(super) fn as_bytes(x: &str, kind: Kind, range: Range) -> Option<String> {
    let within = |least: f64, most: f64| least <= range.least && range.most <= most;
    Some(match kind {
        Kind::Bool => format!("{x} * np.uint8(255)"),
        Kind::Object => format!("np.stack(list({x})).astype('uint8')"),
        Kind::Text | Kind::Other => return None,
        Kind::Int | Kind::Uint | Kind::Float if !range.finite || range.most < range.least => return None,
        Kind::Float if within(0.0, 1.0) => format!("({x} * 255).round().astype('uint8')"),
        Kind::Float if within(0.0, 255.0) => format!("{x}.round().astype('uint8')"),
        Kind::Float if within(-1.0, 1.0) => format!("(({x} + 1) * 127.5).round().astype('uint8')"),
        Kind::Int | Kind::Uint if within(0.0, 255.0) => format!("{x}.astype('uint8')"),
        Kind::Int if within(-128.0, 127.0) => format!("({x}.astype('int16') + 128).astype('uint8')"),
        Kind::Int | Kind::Uint | Kind::Float => {
            let (least, most) = (range.least.min(0.0), range.most.max(0.0));
            format!("(({x}.astype('float64') - {least:?}) * (255 / ({most:?} - {least:?}))).round().astype('uint8')")
        }
    })
}

/// Labels of any kind, counted from 0 in their order; `names` are all arrays of them.
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
        mended.display(),
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
    fn the_range_decides_how_images_become_bytes() {
        let bytes = |kind: Kind, numbers: &[f64]| {
            let mut range = Range::EMPTY;
            numbers.iter().for_each(|it| range.see(*it));
            as_bytes("x", kind, range).unwrap_or_default()
        };
        assert_eq!(bytes(Kind::Float, &[0.0, 1.0]), "(x * 255).round().astype('uint8')");
        assert_eq!(bytes(Kind::Float, &[0.0, 255.0]), "x.round().astype('uint8')");
        assert_eq!(bytes(Kind::Float, &[-1.0, 1.0]), "((x + 1) * 127.5).round().astype('uint8')");
        assert_eq!(bytes(Kind::Int, &[0.0, 255.0]), "x.astype('uint8')");
        assert_eq!(bytes(Kind::Int, &[-128.0, 3.0]), "(x.astype('int16') + 128).astype('uint8')");
        assert_eq!(
            bytes(Kind::Uint, &[7.0, 65535.0]),
            "((x.astype('float64') - 0.0) * (255 / (65535.0 - 0.0))).round().astype('uint8')"
        );
        assert_eq!(bytes(Kind::Float, &[f64::NAN, 1.0]), "", "nothing mends NaN");
        assert_eq!(bytes(Kind::Float, &[]), "");
    }

    #[test]
    fn paths_are_quoted_for_python() {
        let said = line(Path::new("it's/a.npz"), &[("y", "a['y'] - 1".into())], false);
        assert!(
            said.contains(r"np.load('it\'s/a.npz')") && said.contains(r"np.savez('it\'s/a-mended.npz', **a)"),
            "{said}"
        );
    }
}
