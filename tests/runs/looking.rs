//! Operators over the angle, and the page that shows how to look at them.

use crate::files::exporting::with_models;
use crate::language::docs::blocks;
use crate::runs::cli::{Place, errors};
use sphc::Model;
use std::f64::consts::PI;
use std::fs;
use std::process::Command;

/// The lines of a page that run `sphc`, as a shell reads them.
fn runs(place: &Place, page: &str) -> usize {
    let text: Vec<String> = blocks(page, "```sh").into_iter().map(|it| it.1).collect();
    let lines: Vec<&str> = text.iter().flat_map(|it| it.lines()).collect();
    for line in &lines {
        let command = line.replacen("sphc", env!("CARGO_BIN_EXE_sphc"), 1);
        let output = Command::new("sh").args(["-c", &command]).current_dir(place.directory.path()).output().unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    lines.len()
}

#[test]
fn the_page_does_what_it_says() {
    let place = with_models();
    assert!(6 <= runs(&place, "docs/looking.md"));
    for name in ["operators.svg", "learning.png", "digits.svg", "angles.svg"] {
        assert!(place.path(name).is_file(), "{name}");
    }
}

const OWN: &str = "param norm: operator = bent(k: 3)

/// Bent.
operator bent(theta, k = 2) = 1 - 2 * (theta / pi) ^ k

operator secant(cos) = 1 / cos
operator logarithm(cos) = log(cos)
operator stepped(theta, target) {
    learn shift: layer = 0.25
    theta + shift + (if training { 5 } else { 1 }) + target
}
";

/// What an operator makes of an angle.
type Formula = Box<dyn Fn(f64) -> f64>;

/// Values by formulas of their own, slopes by differences of those.
#[test]
fn responses_are_those_of_formulas() {
    let sigmoid = |k: f64| {
        move |x: f64| {
            ((PI / (2.0 * k)).exp() + 1.0) / ((PI / (2.0 * k)).exp() - 1.0) * ((PI / 2.0 - x) / (2.0 * k)).tanh()
        }
    };
    let model = Model::from_text("own.sph", OWN);
    let formulas: Vec<(&str, Formula)> = vec![
        ("cosine", Box::new(f64::cos)),
        ("none", Box::new(f64::cos)),
        ("weight_linear", Box::new(|x| 1.0 - 2.0 * x / PI)),
        ("sigmoid", Box::new(sigmoid(0.3))),
        ("sigmoid(k: 0.5)", Box::new(sigmoid(0.5))),
        ("lr_sigmoid", Box::new(sigmoid(0.75))),
        ("sphere_norm(inner: sigmoid(k: 0.1))", Box::new(sigmoid(0.1))),
        ("squared_cosine", Box::new(|x| x.cos().abs() * x.cos())),
        ("tanh_conv", Box::new(|x| (1.0 / 1.0001f64).tanh() * x.cos())),
        ("bent", Box::new(|x| 1.0 - 2.0 * (x / PI) * (x / PI))),
        ("norm", Box::new(|x| 1.0 - 2.0 * (x / PI) * (x / PI) * (x / PI))),
        ("stepped", Box::new(|x| x + 1.25)),
    ];
    for (name, formula) in formulas {
        let found = model.response(name).unwrap();
        for step in 1..180 {
            let x = PI * f64::from(step) / 180.0;
            assert!((found.value.eval(&[x])[0] - formula(x)).abs() < 1e-12, "{name} at {x}");
            let slope = (formula(x + 1e-5) - formula(x - 1e-5)) / 2e-5;
            assert!((found.slope.eval(&[x])[0] - slope).abs() < 1e-4, "the slope of {name} at {x}");
        }
    }
    let kept = |name: &str| {
        let found = model.response(name).unwrap();
        (found.learned, found.given)
    };
    let number = |name: &str, value: f64| vec![(name.to_owned(), value)];
    assert_eq!(kept("lr_sigmoid"), (number("k", 0.7), vec![]));
    assert_eq!(kept("tanh_conv"), (number("r", 1.0), number("mu", 1.0)));
    assert_eq!(kept("stepped"), (number("shift", 0.25), number("target", 0.0)));
    assert_eq!(kept("sigmoid"), (vec![], vec![]));
}

#[test]
fn a_picture_of_operators_names_all_and_tells_gaps() {
    let place = Place::new();
    fs::write(place.path("own.sph"), OWN).unwrap();
    fs::write(place.path("importing.sph"), "import \"own.sph\"\n").unwrap();
    let all = ["cosine", "none", "lr_sigmoid", "secant", "logarithm", "stepped", "bent(k:1)", "bent", "norm"];
    let words: Vec<String> = all.iter().map(|it| format!("--operator {it}")).collect();
    let said = place.succeeds(&format!("plot --from importing.sph {} -o all.svg", words.join(" ")));
    assert_eq!(said, "wrote all.svg\nsecant is not finite at pi/2\nlogarithm is not finite from pi/2 to pi\n");
    let picture = fs::read_to_string(place.path("all.svg")).unwrap();
    let texts = [
        "none (the same here as cosine)",
        "lr_sigmoid (learns; drawn as it starts, k = 0.7)",
        "secant (not finite at pi/2)",
        "logarithm (not finite from pi/2 to pi)",
        "stepped (learns; drawn as it starts, shift = 0.25; drawn for target = 0)",
        "bent(k:1)",
        "angle between patch and filter, in radians",
        "slope per radian",
        "3pi/4",
    ];
    for text in texts {
        assert!(picture.contains(text), "{text}");
    }
    place.succeeds("plot --operator cosine");
    assert!(place.path("operators.svg").is_file());
    fs::write(place.path("near.sph"), "operator near(cos) = 1.0001 * cos\n").unwrap();
    place.succeeds("plot --from near.sph --operator cosine near -o near.svg");
    let picture = fs::read_to_string(place.path("near.svg")).unwrap();
    assert!(picture.contains("near (lies on cosine, at most 1.0e-4 away)"), "{picture}");
}

#[test]
fn what_is_no_operator_is_told() {
    let place = Place::new();
    fs::write(place.path("own.sph"), OWN).unwrap();
    let fails = |words: &str, expected: &[&str]| place.fails(&format!("plot {words} -o no.svg"), expected);
    fails(
        "--operator cosin",
        &["undefined name `cosin`", "did you mean `cosine`", "`--operator cosin` cannot be drawn"],
    );
    fails("--operator 3", &["`--operator` must be an operator, found the int 3", "`lr_sigmoid`"]);
    fails("--operator relu", &["found the function `relu`"]);
    fails("--operator bent", &["undefined name `bent`", "`--from FILE`"]);
    fails("--operator cosine,linear", &["`cosine,linear` is not an operator", "--operator cosine --operator linear"]);
    let found = place.sphc("plot --operator sigmoid(k:) -o no.svg");
    let told = errors(&found);
    assert!(
        told.contains("expected") && told.contains("--operator sigmoid(k:):1:28") && !told.contains("by itself"),
        "{told}"
    );
    fails("--operator sigmoid(k:0.5", &["`(` is not closed"]);
    fails("--operator sigmoid(kk:3)", &["no argument `kk`", "did you mean `k`"]);
    fails("--operator sigmoid(k:0)", &["is not a finite number", "--operator sigmoid(k:0):1"]);
    fails("--operator bent --from none.sph", &["cannot read `none.sph`", "check the path"]);
    fs::write(place.path("broken.sph"), "operator bent(theta) = 1 - thta\n").unwrap();
    fails("--operator bent --from broken.sph", &["undefined name `thta`", "broken.sph:1"]);
    assert!(!place.path("no.svg").exists());
    let both = place.sphc("plot runs --operator cosine");
    assert_eq!(both.status.code(), Some(2), "{}", errors(&both));
}
