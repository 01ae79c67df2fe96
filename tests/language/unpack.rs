//! `a, b = ...` binds what `list[0]` and `list[1]` are; mistakes in it are told once.

use crate::backends::engines::typed;
use crate::language::lower::settings;
use sphc::diag::render;
use sphc::pipeline;

fn text(own: &str, body: &str) -> String {
    format!("{own}\nmodel Case {{\n    input image: u8[8, 8, 2]\n    x = image / 16\n    {body}\n}}\n")
}

fn said(own: &str, body: &str) -> String {
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("case.sph", &text(own, body), &mut none, &settings(&[]));
    render::render(&checked.diagnostics, &checked.sources, false)
}

const TWO: &str = "block both(x) {\n    y = conv(x, 3) as \"y\"\n    [y, relu(y)]\n}";

#[test]
fn names_are_the_values_of_a_list_in_order() {
    let cases = [
        ("", "a, b = split(x, 2)\n    output a * 2 - b", "both = split(x, 2)\n    output both[0] * 2 - both[1]"),
        (TWO, "a, b = both(x)\n    output a * b", "list = both(x)\n    output list[0] * list[1]"),
        // The right side is there before any name is bound, and names of enclosing scopes are bound again.
        ("", "a = x + 1\n    for _i in 0..3 { a, x = [x, a] }\n    output a - 2 * x", "output x - 2 * (x + 1)"),
        ("", "low, high = 3..5\n    output conv(x, low * high)", "output conv(x, 12)"),
    ];
    for (own, unpacked, indexed) in cases {
        let graph = |body: &str| typed("case.sph", &text(own, body), &settings(&[])).to_string();
        assert_eq!(graph(unpacked), graph(indexed), "{unpacked}");
    }
}

#[test]
fn mistakes_are_told_once() {
    let cases = [
        ("", "a, b = x\n    output a + b", "E0104", "this is a tensor"),
        ("", "a, b, c = split(x, 2)\n    output a + b + c", "E0104", "3 names take a list of 2"),
        (TWO, "a, b = both(x)\n    output a", "W0104", "`b`"),
        ("", "a, b = missing(x)\n    output a + b", "E0101", "missing"),
        ("", "a, b =\n    output a", "E0001", ""),
        ("", "a, b = 0..3\n    output conv(x, a + b)", "E0104", "2 names take a list of 3"),
        ("", "a, b = 0..9_000_000_000_000_000_000\n    output conv(x, a + b)", "E0104", "2 names take a list of 9"),
    ];
    for (own, body, code, part) in cases {
        let found = said(own, body);
        let count = found.matches("error[").count() + found.matches("warning[").count();
        assert!(count == 1 && found.contains(code) && found.contains(part), "{body}\n{found}");
    }
    assert_eq!(said(TWO, "a, _b = both(x)\n    output a"), "");
}
