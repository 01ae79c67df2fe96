//! What a text may ask for is bounded: work, memory, depth and sizes. A text that asks for more gets a report that names
//! the line, within a moment; and nothing checks clean that cannot be compiled.

use crate::runs::cli::Place;
use sphc::diag::{Code, render};
use sphc::lower::Settings;
use sphc::pipeline::{self, Checked};
use std::fs;
use std::time::{Duration, Instant};

/// Far more than any of these takes, also on a busy machine in a debug build.
const LONG: Duration = Duration::from_secs(900);

const RECIPE: &str = "train {\n    data       digits\n    batch      4\n    iterations 3\n    loss       \
                      softmax_cross_entropy\n    optimizer  adam\n}\n";

/// A model with some lines in it.
fn model(lines: &str) -> String {
    format!(
        "model M {{\n    input image: u8[8, 8, 1]\n    x = (image - 8) / 8\n{lines}\n    output dense(x, classes)\n}}\n{RECIPE}"
    )
}

fn with(text: &str, settings: &Settings) -> Checked {
    let start = Instant::now();
    let mut load = |_: &str| Err("there is no such file".to_owned());
    let checked = pipeline::check("m.sph", text, &mut load, settings);
    assert!(start.elapsed() < LONG, "took {:?}", start.elapsed());
    checked
}

fn check(text: &str) -> Checked {
    with(text, &crate::language::lower::settings(&[]))
}

fn shown(checked: &Checked) -> String {
    render::render(&checked.diagnostics, &checked.sources, false)
}

/// The only report has this code, this line, and these words.
fn one(text: &str, code: Code, line: usize, words: &str) {
    let checked = check(text);
    let shown = shown(&checked);
    assert!(checked.typed.is_none(), "{shown}");
    let [only] = checked.diagnostics.as_slice() else { panic!("{shown}\n{text:.300}") };
    assert_eq!((only.code, checked.sources.position(only.primary.span).0), (code, line), "{shown}");
    assert!(only.message.contains(words), "{shown}");
}

fn clean(text: &str) -> Checked {
    let checked = check(text);
    assert!(checked.diagnostics.is_empty() && checked.typed.is_some(), "{}", shown(&checked));
    checked
}

#[test]
fn unfolding_has_an_end() {
    let work = |lines: &str, line: usize| one(&model(lines), Code::E0112, line, "too much work");
    work("    l = [1]\n    for i in 0..60 { l = l + l }", 5);
    work("    l = [1]\n    for i in 0..60 { l = [l, l] }", 5);
    work("    for i in 0..100000 { for j in 0..100000 { } }", 4);
    work("    s = \"a\"\n    for i in 0..60 { s = s + s }", 5);
    work("    s = \"a\"\n    for i in 0..60 { s = \"{s}{s}\" }", 5);
    work("    l = [1]\n    for i in 0..60 { for j in l { l = l + [j] } }", 5);
    // Blocks, functions and operators that use another twice.
    let blocks: String = (1..=40).map(|it| format!("block b{it}(x) = b{}(b{}(x))\n", it - 1, it - 1)).collect();
    let text = format!("block b0(x) = relu(x)\n{blocks}{}", model("    x = b40(x)"));
    one(&text, Code::E0112, 1, "too much work");
    let fns: String = (1..=40).map(|it| format!("fn f{it}(x) = f{}(f{}(x))\n", it - 1, it - 1)).collect();
    let text = format!("fn f0(x) = x * x\n{fns}{}", model("    x = f40(x)"));
    assert!(check(&text).diagnostics.iter().any(|it| it.code == Code::E0112), "{}", shown(&check(&text)));
    let mut operators = "operator o0(cos) = cos\n".to_owned();
    for it in 1..=40 {
        operators += &format!("operator o{it}(inner: operator = o{}) = inner * inner\n", it - 1);
    }
    let text = format!("{operators}{}", model("    x = sphere_conv(x, 2, operator: o40)"));
    let checked = check(&text);
    assert!(checked.diagnostics.iter().all(|it| it.code == Code::E0112), "{}", shown(&checked));
    assert_eq!(checked.diagnostics.len(), 1);
}

#[test]
fn depth_has_an_end() {
    let chain = |what: &str, count: usize, first: &str| -> String {
        let rest = (1..count).map(|it| format!("{what} c{it}(x) = c{}(x)\n", it - 1));
        std::iter::once(format!("{what} c0(x) = {first}\n")).chain(rest).collect()
    };
    for count in [202, 3000] {
        let text = format!("{}{}", chain("block", count, "relu(x)"), model(&format!("    x = c{}(x)", count - 1)));
        assert!(shown(&check(&text)).contains("calls are nested too deeply"), "{}", shown(&check(&text)));
        let text = format!("{}{}", chain("fn", count, "x + 1"), model(&format!("    x = c{}(x)", count - 1)));
        assert!(shown(&check(&text)).contains("calls are nested too deeply"), "{}", shown(&check(&text)));
    }
    clean(&format!("{}{}", chain("block", 150, "relu(x)"), model("    x = c149(x)")));
    clean(&format!("{}{}", chain("fn", 150, "x + 1"), model("    x = c149(x)")));
    // Deep expressions in deep calls.
    let deep = |it: &str| format!("{}{it}{}", "(0 + ".repeat(40), ")".repeat(40));
    let fns: String = (1..60).map(|it| format!("fn d{it}(x) = {}\n", deep(&format!("d{}(x)", it - 1)))).collect();
    let text = format!("fn d0(x) = x\n{fns}{}", model("    x = d59(x)"));
    assert!(shown(&check(&text)).contains("nested too deeply"), "{}", shown(&check(&text)));
    // A cycle of many.
    let cycle: String = (0..3000).map(|it| format!("fn r{it}(x) = r{}(x)\n", (it + 1) % 3000)).collect();
    let checked = check(&format!("{cycle}{}", model("    x = r0(x)")));
    assert_eq!(checked.diagnostics.iter().filter(|it| it.code == Code::E0106).count(), 1);
    assert!(shown(&checked).len() < 20_000);
}

#[test]
fn large_networks_are_far_from_the_bounds() {
    let lines: String = (0..10_000).map(|it| format!("    x = unit(x, 4) as \"c{it}\"\n")).collect();
    let unit = "block unit(x, filters: int) {\n    x |> sphere_conv(filters, operator: linear) |> batch_norm(decay: 0.5) |> relu\n}\n";
    clean(&format!("{unit}{}", model(&lines)));
    clean(&format!("{unit}{}", model("    for i in 0..10_000 {\n        x = unit(x, 4) as \"c{i}\"\n    }")));
    let params: String = (0..20_000)
        .map(|it| format!("param p{} = {}\n", it + 1, if it == 0 { "1".into() } else { format!("p{it}") }))
        .collect();
    clean(&format!("{params}{}", model("    x = conv(x, p20000)")));
}

/// Ten times as much takes about ten times as long: what is quadratic takes many more.
#[test]
fn work_grows_with_a_text_and_not_faster() {
    let usual = model("    x = conv(x, 4)");
    type Text = fn(usize) -> String;
    let kinds: [(&str, Text); 4] = [
        ("params", |it| format!("param p{it} = {it}\n")),
        ("blocks", |it| format!("block b{it}(x) {{\n    x\n}}\n")),
        ("functions", |it| format!("fn f{it}(x) = x + {it}\n")),
        ("operators", |it| format!("operator o{it}(cos) = cos * {it}\n")),
    ];
    for (what, one) in kinds {
        let text = |count: usize| (0..count).map(one).collect::<String>() + &usual;
        let took = |text: &str| {
            let times = (0..3).map(|_| {
                let start = Instant::now();
                let found = check(text).diagnostics;
                assert!(found.iter().all(|it| it.code == Code::W0104), "{what}");
                start.elapsed()
            });
            times.min().unwrap()
        };
        let (few, many) = (took(&text(2000)), took(&text(20_000)));
        assert!(many < 30 * few, "{what}: {few:?} for 2000, {many:?} for 20000");
    }
}

#[test]
fn an_if_of_too_many_branches_is_one_report() {
    let branches = |count: usize| -> String {
        let all: Vec<String> = (0..count).map(|it| format!("if width(x) == {it} {{ x }}")).collect();
        format!("    x = {} else {{ x }}", all.join(" else "))
    };
    clean(&model(&branches(180)));
    one(&model(&branches(20_000)), Code::E0001, 4, "an `if` of 20000 branches");
}

#[test]
fn many_mistakes_are_told_in_a_moment() {
    let lines: String = (0..5000).map(|it| format!("    y{it} = conv(x, nothing{it})\n")).collect();
    let checked = check(&model(&lines));
    assert!(checked.diagnostics.len() >= 5000);
    assert!(shown(&checked).contains("more"));
    assert!(render::render_json(&checked.diagnostics, &checked.sources).lines().count() >= 5000);
    let names = check(&model("    for i in 0..10000 { x = conv(x, 1) as \"c\" }"));
    assert_eq!(names.diagnostics.len(), 1, "{}", shown(&names));
    let line = format!("    y = [{}]\n", "conv(x, 3".repeat(20_000));
    assert!(!check(&model(&line)).diagnostics.is_empty());
    let line = format!("    y = {}x\n", "-(".repeat(30_000));
    assert!(!check(&model(&line)).diagnostics.is_empty());
}

#[test]
fn numbers_that_do_not_fit_are_told() {
    let value = |text: &str| one(&model(&format!("    x = x * ({text})")), Code::E0108, 4, "64 bits");
    let least = "(-9223372036854775807 - 1)";
    for text in [
        &format!("-{least}"),
        &format!("abs({least})"),
        &format!("{least} - 1"),
        &format!("{least} / -1"),
        &format!("div({least}, -1)"),
        "9223372036854775807 + 1",
        "9223372036854775807 * 2",
        "3 ^ 41",
        "2 ^ 9223372036854775807",
        "floor(1e19)",
        "floor(-1e300)",
        "len(-9223372036854775807..9223372036854775807)",
    ] {
        value(text);
    }
    for fine in
        ["1 ^ 9223372036854775807", "(0 - 1) ^ 4294967297", "floor(-9.2e18)", "div(-7, 2)", "div(7, 2)", "-7 % 3"]
    {
        clean(&model(&format!("    x = x * ({fine})")));
    }
    for (text, value) in [
        ("div(7, 2)", "3"),
        ("div(-7, 2)", "-4"),
        ("div(7.5, 2)", "3.0"),
        ("(0 - 1) ^ 4294967297", "-1"),
        ("(-9223372036854775807 - 1) % -1", "0"),
        ("(-9223372036854775807..9223372036854775807)[5]", "-9223372036854775802"),
    ] {
        clean(&model(&format!("    assert {text} == {value}")));
    }
    clean(&model("    assert 9007199254740993 != 9007199254740992 and 9007199254740993 > 9007199254740992"));
    let range = |lines: &str, words: &str| one(&model(lines), Code::E0108, 4, words);
    range("    for i in -9223372036854775807..3 { }", "number of repetitions");
    let text = format!("param l: [int] = 0..200_000\n{}", model("    x = conv(x, l[1])"));
    one(&text, Code::E0108, 1, "length of this range");
    range("    assert (0..3)[3] == 3", "the index");
    range("    x = x * div(1, 0)", "division by zero");
    // In the recipe.
    let text =
        model("").replace("    optimizer", "    penalty l2(-(-9223372036854775807 - 1)) on filters\n    optimizer");
    one(&text, Code::E0108, 12, "64 bits");
}

#[test]
fn sizes_are_bounded_in_one_arithmetic() {
    let most = "9223372036854775807";
    for line in [
        format!("x = conv(x, 4, pad: {most})"),
        format!("x = conv(x, 4, stride: {most})"),
        format!("x = conv(x, 4, kernel: {most})"),
        format!("x = conv(x, {most})"),
        format!("x = max_pool(x, {most})"),
        format!("x = avg_pool(x, 2, stride: [1, {most}])"),
        "x = conv(x, 4, pad: 2_147_483_648)".to_owned(),
        "x = dense(x, 4294967296)".to_owned(),
    ] {
        one(&model(&format!("    {line}")), Code::E0108, 4, "out of range");
    }
    for line in
        ["x = conv(x, 4, pad: 1_000_000)", "x = conv(x, 4, pad: 2_147_483_647)", "x = conv(x, 1_000_000, pad: 10_000)"]
    {
        one(&model(&format!("    {line}")), Code::E0304, 4, "too large");
    }
    one(&model("    x = conv(x, 4, kernel: 65_536)"), Code::E0108, 4, "too large");
    one(&model("    x = conv(x, 100_000, pad: 700, kernel: 140)"), Code::E0304, 4, "too many multiplications");
    let batch = |it: &str| model("").replace("batch      4", &format!("batch      {it}\n    allow W0204"));
    one(&batch(most), Code::E0108, 9, "`batch`");
    one(&batch("4611686018427387904"), Code::E0108, 9, "`batch`");
    one(
        &batch("2_147_483_647").replace("x = (image - 8) / 8", "x = conv((image - 8) / 8, 64)"),
        Code::E0304,
        3,
        "too large",
    );
    let data = |it: &str| model("").replace("digits", &format!("digits |> {it}"));
    one(&data(&format!("pad({most})")), Code::E0108, 8, "out of range");
    one(&data("pad(1_000_000) |> pad(2_147_483_647)"), Code::E0202, 8, "too large");
    one(&data("resize(4294967295, 8)"), Code::E0108, 8, "out of range");
    one(&data("resize(1_000_000, 2_000_000)"), Code::E0202, 8, "too large");
    let text = model("").replace("    optimizer", &format!("    augment crop(pad: {most})\n    optimizer"));
    one(&text, Code::E0108, 12, "out of range");
    let pairs = model("    x = conv(x, 1_000_000, kernel: 1, stride: 8)");
    let pairs =
        pairs.replace("    optimizer", "    penalty orthogonality(1) on filters\n    allow W0303\n    optimizer");
    one(&pairs, Code::E0110, 12, "1000000 filters are too many");
    // All layers together.
    let lines = "    for i in 0..400 { x = conv(x, 5_000, kernel: 1) }";
    let text = model(lines).replace("batch      4", "batch      1_000_000");
    assert!(shown(&check(&text)).contains("the model is too large"), "{}", shown(&check(&text)));
}

#[test]
fn a_batch_of_the_command_line_is_bounded_too() {
    for (batch, code) in [(usize::MAX, Code::E0108), (1 << 62, Code::E0108), (1 << 31, Code::E0108)] {
        let settings = Settings { batch: Some(batch), ..crate::language::lower::settings(&[]) };
        let checked = with(&model(""), &settings);
        assert_eq!(checked.diagnostics.iter().map(|it| it.code).collect::<Vec<_>>(), [code], "{}", shown(&checked));
    }
    let place = Place::new();
    for words in ["show tiny.sph --batch 9223372036854775807", "train tiny.sph --batch 9223372036854775807 --run r"] {
        let output = place.sphc(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && text.contains("`--batch`") && !text.contains("panic"),
            "{words}\n{text}"
        );
    }
}

/// A value that stands for a mistake has its report.
#[test]
fn nothing_is_lost_without_a_report() {
    let params = "param a: int = 4\nparam b: int = a\n";
    let text = format!("{params}{}", model("    x = conv(x, a * b)"));
    clean(&text);
    let set = |values: &[(&str, &str)]| with(&text, &crate::language::lower::settings(values));
    for values in [[("a", "a")], [("a", "b")], [("b", "b")], [("a", "a + 1")], [("b", "[a][b]")]] {
        let checked = set(&values);
        assert!(checked.typed.is_none() && !checked.diagnostics.is_empty(), "{values:?}");
        assert!(checked.diagnostics.iter().all(|it| it.code == Code::E0102), "{}", shown(&checked));
    }
    assert!(set(&[("b", "a + 1")]).typed.is_some());
    one(
        &format!("param n: int = classes\n{}", model("    x = conv(x, n)")),
        Code::E0102,
        1,
        "cannot depend on `classes`",
    );
    // Silenced or not, an error is one.
    let text =
        model("    x = x * (1 + 9223372036854775807)").replace("    optimizer", "    allow E0108\n    optimizer");
    assert!(check(&text).diagnostics.iter().any(|it| it.code == Code::E0108));
}

#[cfg(unix)]
#[test]
fn only_files_of_a_sensible_length_are_read() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let fails = |words: &str, part: &str| {
        let output = place.sphc(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.contains(part), "{words}\n{text}");
    };
    let import = |path: &str| fs::write(place.path("a.sph"), format!("import \"{path}\"\n{}", model(""))).unwrap();
    import("/dev/zero");
    fails("check a.sph", "not a file");
    assert!(std::process::Command::new("mkfifo").arg(place.path("pipe.sph")).status().unwrap().success());
    import("pipe.sph");
    fails("check a.sph", "it is a pipe");
    fails("check pipe.sph", "it is a pipe");
    fails("fmt pipe.sph", "it is a pipe");
    fs::create_dir(place.path("folder.sph")).unwrap();
    import("folder.sph");
    fails("check a.sph", "it is a directory");
    fails("check /dev/zero", "longer than 4 MiB");
    let large = fs::File::create(place.path("large.sph")).unwrap();
    large.set_len(5 << 30).unwrap();
    fails("check large.sph", "longer than 4 MiB");
    import("large.sph");
    fails("check a.sph", "longer than 4 MiB");
    import("a.sph");
    fails("check a.sph", "closes a cycle");
    // A folder in itself gives each file ever longer names.
    symlink(".", place.path("d")).unwrap();
    import("d/a.sph");
    fails("check a.sph", "import");
    for it in 0..70 {
        fs::write(place.path(&format!("i{it}.sph")), format!("import \"i{}.sph\"\nparam p{it} = 1\n", it + 1)).unwrap();
    }
    import("i0.sph");
    fails("check a.sph", "files import each other too deeply");
}

#[cfg(unix)]
#[test]
fn a_layout_respects_links_permissions_and_mistakes() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let place = Place::new();
    let ugly = "param  a = 1\n";
    let put = |name: &str, mode: u32| {
        fs::write(place.path(name), ugly).unwrap();
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    put("real.sph", 0o640);
    symlink("real.sph", place.path("link.sph")).unwrap();
    place.succeeds("fmt link.sph");
    assert!(fs::symlink_metadata(place.path("link.sph")).unwrap().is_symlink());
    assert_eq!(read("real.sph"), "param a = 1\n");
    assert_eq!(fs::metadata(place.path("real.sph")).unwrap().mode() & 0o777, 0o640);
    put("locked.sph", 0o444);
    let output = place.sphc("fmt locked.sph");
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("read-only"));
    assert_eq!(read("locked.sph"), ugly);
    put("one.sph", 0o644);
    fs::hard_link(place.path("one.sph"), place.path("two.sph")).unwrap();
    place.succeeds("fmt one.sph");
    assert_eq!((read("one.sph"), read("two.sph")), ("param a = 1\n".to_owned(), "param a = 1\n".to_owned()));
    let wrong = "param a:} int = 3\n";
    fs::write(place.path("wrong.sph"), wrong).unwrap();
    let output = place.sphc("fmt wrong.sph");
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("unexpected `}`"));
    assert_eq!(read("wrong.sph"), wrong);
}

#[test]
fn a_comment_in_place_of_a_division_is_told() {
    let checked = check(&model("    let n = 9 // 2\n    x = conv(x, n)"));
    assert_eq!(checked.diagnostics.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::W0106], "{}", shown(&checked));
    for lines in ["    x = conv(x, 9 // 2) as \"c\"", "    for i in 0..9 // 2 {\n    }"] {
        assert!(shown(&check(&model(lines))).contains("div(a, b)"), "{}", shown(&check(&model(lines))));
    }
}
