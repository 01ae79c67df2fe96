//! What helps to write models: templates, mistakes mended in place, folders and standard input, completions and manual pages.

use crate::runs::cli::{Place, errors};
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A model with three mistakes that have an exact correction each.
const WRONG: &str = "param filtres = 4

model Wrong {
    input image: u8[8, 8, 1]
    x = conv((image - 8) / 8, filters, kernal: 3)
    output x |> global_avg_pool |> dense(classes) as \"score\"
}

train {
    data       digits
    batch      16
    iterations 3
    loss       softmax_crossentropy()
    optimizer  adam(rate: 1e-2)
}
";

fn piped(place: &Place, words: &[&str], text: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(words)
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_template_is_sound_and_laid_out() {
    let place = Place::new();
    for template in ["minimal", "resnet", "operator", "data", "fine-tune"] {
        let name = format!("my-{template}");
        let said = place.succeeds(&format!("new {name} --template {template}"));
        assert!(said.contains(&format!("wrote         {name}.sph")) && said.contains("try next"), "{said}");
        place.succeeds(&format!("fmt --check {name}.sph"));
        place.fails(&format!("new {name}"), &["is there already"]);
    }
    // Pictures of one's own, of two classes.
    for part in ["train", "test"] {
        for (class, value) in [("cat", 20), ("dog", 220)] {
            let folder = place.path("pictures").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for at in 0..4 {
                let picture = image::RgbImage::from_pixel(12, 10, image::Rgb([value, at * 40, 99]));
                picture.save(folder.join(format!("{at}.png"))).unwrap();
            }
        }
    }
    for template in ["minimal", "operator", "data"] {
        place.succeeds(&format!(
            "train my-{template}.sph --iterations 3 --evaluate-every 3 --batch 4 --run run-{template} --device cpu"
        ));
    }
    place.succeeds("check my-resnet.sph --deny-warnings");
    // What `minimal` learned is what `fine-tune` starts from.
    let init = "--init run-minimal/checkpoints/step-00000003.safetensors";
    let said = place
        .sphc(&format!("train my-fine-tune.sph {init} --iterations 2 --evaluate-every 2 --run tuned --device cpu"));
    assert_eq!(said.status.code(), Some(0), "{}", errors(&said));
    assert!(errors(&said).contains("started anew: `classifier/filter`"), "{}", errors(&said));
    place.fails("new 2net", &["cannot be the name of a model", "start it with a letter"]);
    place.fails("new nowhere/net", &["make its folder first"]);
}

#[test]
fn exact_proposals_are_written_into_the_file() {
    let place = Place::new();
    fs::write(place.path("wrong.sph"), WRONG).unwrap();
    let output = place.sphc("check --fix wrong.sph");
    let mended = fs::read_to_string(place.path("wrong.sph")).unwrap();
    assert!(mended.contains("kernel: 3") && mended.contains("softmax_cross_entropy()"), "{mended}");
    assert!(mended.contains("8, filtres, kernel: 3") && mended.starts_with("param filtres = 4"), "{mended}");
    assert!(text(&output.stdout).contains("1 file checked: no problems; 3 mistakes mended"), "{}", errors(&output));
    // What is right stays as it is, to the byte and the time.
    let before = fs::metadata(place.path("tiny.sph")).unwrap().modified().unwrap();
    place.succeeds("check --fix tiny.sph");
    assert_eq!(fs::metadata(place.path("tiny.sph")).unwrap().modified().unwrap(), before);
    // Nothing is changed for a warning that proposes nothing exact, nor without the flag.
    fs::write(place.path("wrong.sph"), WRONG).unwrap();
    assert_eq!(place.sphc("check wrong.sph").status.code(), Some(1));
    assert_eq!(fs::read_to_string(place.path("wrong.sph")).unwrap(), WRONG);
    let piped = piped(&place, &["check", "--fix", "-"], WRONG);
    assert!(errors(&piped).contains("standard input is none"), "{}", errors(&piped));
}

/// A proposal that mends its own mistake is written, however many others come to light; one that is wrong where it stands is
/// not, and keeps none of the others back.
#[test]
fn proposals_are_judged_one_by_one() {
    let place = Place::new();
    let fixed = |text: &str| {
        fs::write(place.path("wrong.sph"), text).unwrap();
        let output = place.sphc("check --fix wrong.sph");
        (fs::read_to_string(place.path("wrong.sph")).unwrap(), errors(&output))
    };
    // The unknown function hid what is wrong with the shapes behind it.
    let model = crate::runs::cli::MODEL
        .replace("max_pool(x, 4)", "max_pol(x, 4)\n    let y: [1, 1, 1] = x\n    let z: [2, 2, 2] = x");
    let (text, told) = fixed(&model);
    assert!(text.contains("= max_pool(x, 4)"), "{told}");
    assert!(told.contains("2 errors; 1 mistake mended"), "{told}");
    // `wide` is the nearest name, and no number of filters.
    let model = crate::runs::cli::MODEL.replace("model Tiny", "param wide = true\n\nmodel Tiny");
    let model = model.replace("sphere_conv(4", "sphere_conv(wid").replace("max_pool(x, 4)", "max_pol(x, 4)");
    let (text, told) = fixed(&model);
    assert!(text.contains("= max_pool(x, 4)") && text.contains("wid,"), "{text}{told}");
}

/// What comes from a param is not overwritten by what it comes to, and no bracket is guessed where a comment took it.
#[test]
fn what_is_computed_is_not_replaced_by_a_number() {
    let place = Place::new();
    let whole = crate::runs::cli::MODEL.replace("model Tiny", "param steps = 1e1\n\nmodel Tiny");
    let whole = whole.replace("evaluate   every 5", "evaluate   every div(steps, 2)");
    assert!(whole.contains("div(steps, 2)"));
    let divided = crate::runs::cli::MODEL.replace("evaluate   every 5", "evaluate   every div(17 // 2, 32)");
    for (text, told) in [(whole, "without `.` and `e`"), (divided, "a whole division is `div(a, b)`")] {
        fs::write(place.path("wrong.sph"), &text).unwrap();
        let output = place.sphc("check --fix wrong.sph");
        assert_eq!(fs::read_to_string(place.path("wrong.sph")).unwrap(), text);
        assert!(errors(&output).contains(told), "{}", errors(&output));
    }
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let place = Place::new();
    let plain = format!("//! Of two\n//! lines.\n\n{}", crate::runs::cli::MODEL);
    fs::write(place.path("plain.sph"), &plain).unwrap();
    place.succeeds("fmt plain.sph");
    let plain = fs::read_to_string(place.path("plain.sph")).unwrap();
    fs::write(place.path("marked.sph"), format!("\u{feff}{plain}")).unwrap();
    place.succeeds("check --deny-warnings marked.sph");
    assert_eq!(place.sphc("fmt --check marked.sph").status.code(), Some(1));
    place.succeeds("fmt marked.sph");
    assert_eq!(fs::read_to_string(place.path("marked.sph")).unwrap(), plain);
    place.succeeds("fmt --check marked.sph");
}

#[test]
fn warnings_can_be_denied() {
    let place = Place::new();
    let model = crate::runs::cli::MODEL.replace("evaluate   every 5", "evaluate   every 50");
    fs::write(place.path("late.sph"), model).unwrap();
    place.succeeds("check late.sph");
    let output = place.sphc("check late.sph --deny-warnings");
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("1 file checked: 1 warning"), "{}", errors(&output));
}

#[test]
fn folders_stand_for_their_models_and_a_dash_for_standard_input() {
    let place = Place::new();
    fs::create_dir_all(place.path("nets/deep")).unwrap();
    fs::create_dir_all(place.path("nets/.hidden")).unwrap();
    fs::create_dir_all(place.path("empty")).unwrap();
    fs::write(place.path("nets/b.sph"), crate::runs::cli::MODEL).unwrap();
    fs::write(place.path("nets/deep/a.sph"), crate::runs::cli::MODEL).unwrap();
    fs::write(place.path("nets/.hidden/c.sph"), WRONG).unwrap();
    fs::write(place.path("nets/notes.txt"), "no model").unwrap();
    assert!(place.succeeds("check nets").contains("2 files checked: no problems"));
    place.succeeds("fmt nets");
    place.succeeds("fmt --check nets");
    place.fails("check empty", &["the folder `empty` has no model"]);

    let fine = piped(&place, &["check", "-"], crate::runs::cli::MODEL);
    assert!(text(&fine.stdout).contains("1 file checked: no problems"), "{}", errors(&fine));
    let wrong = piped(&place, &["check", "-"], WRONG);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(errors(&wrong).contains("stdin:"), "{}", errors(&wrong));
    let laid_out = piped(&place, &["fmt", "-"], "param   x=1\n");
    assert_eq!(text(&laid_out.stdout), "param x = 1\n");
    let checked = piped(&place, &["fmt", "--check", "-"], "param   x=1\n");
    assert_eq!((checked.status.code(), text(&checked.stdout)), (Some(1), "stdin\n".to_owned()));
    let broken = piped(&place, &["fmt", "-"], "param x = (\n");
    assert!(errors(&broken).contains("`stdin` is left as it is: it does not parse"), "{}", errors(&broken));
    let shown = piped(&place, &["show", "-"], crate::runs::cli::MODEL);
    assert!(text(&shown.stdout).contains("first"), "{}", errors(&shown));
}

#[test]
fn shells_and_man_are_told_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let told = place.succeeds(&format!("completions {shell}"));
        assert!(told.contains("verify") && told.contains("deny-warnings"), "{shell}");
    }
    fs::create_dir_all(place.path("pages")).unwrap();
    place.succeeds("man pages");
    let pages = fs::read_dir(place.path("pages")).unwrap().count();
    assert!(15 <= pages, "{pages}");
    let train = fs::read_to_string(place.path("pages/sphc-train.1")).unwrap();
    assert!(train.contains("seeds") && train.contains(".TH"), "{train}");
    assert!(train.contains(".SH EXAMPLES") && !train.contains("EXTRA"), "{train}");
    place.succeeds("man pages/man1");
    assert!(place.path("pages/man1/sphc.1").is_file());
    fs::write(place.path("plain"), "").unwrap();
    place.fails("man plain", &["cannot write `plain`", "folder"]);
}

/// An error in the model hides none in the recipe.
#[test]
fn mistakes_of_every_entry_are_told_in_one_run() {
    let place = Place::new();
    let model = "model Wrong {
    input image: u8[8, 8, 1]
    x = conv((image - 8) / 8, fylters)
    output x |> global_avg_pool |> dense(classes) as \"score\"
}

train {
    data       digit
    augment    flip_horizonal
    batch      bach
    iterations 3.5
    accumulate parts
    loss       softmax_crossentropy() + 0.1 * focall
    loss       hinge on auxx
    loss       mean_squared_error(tarjet: 3)
    metric     acuracy, errors(skores: 2)
    penalty    l2x(5e-4) on filters
    penalty    l2(wait: 5e-4) on filters
    penalty    l2(5e-4) on fliters
    optimizer  adm(rate: 1e-2)
    schedule   cosin(floor: 1)
    clip       nrm(1)
    average    emma(0.9)
    freeze     on fliters
    precision  bf17
    seed       -1
}
";
    fs::write(place.path("wrong.sph"), model).unwrap();
    let output = place.sphc("check wrong.sph --format json");
    let said = text(&output.stdout);
    for (number, line) in model.lines().enumerate().skip(7).filter(|it| it.1 != "}") {
        assert!(said.contains(&format!("\"line\":{},", number + 1)), "nothing is said of `{line}`:\n{said}");
    }
    for word in [
        "bach",
        "parts",
        "auxx",
        "fylters",
        "softmax_crossentropy",
        "focall",
        "tarjet",
        "acuracy",
        "skores",
        "nrm",
        "bf17",
    ] {
        assert!(said.contains(&format!("`{word}`")), "{word}:\n{said}");
    }
}

/// Numbers that decide what the data set is read for cannot be made of what it tells.
#[test]
fn numbers_are_not_made_of_what_is_not_known_yet() {
    let place = Place::new();
    for (entry, name) in [
        ("batch classes", "classes"),
        ("iterations 10 * classes", "classes"),
        ("accumulate classes", "classes"),
        ("validate classes", "classes"),
        ("validate 1 / iterations", "iterations"),
    ] {
        let key = entry.split(' ').next().unwrap();
        let kept = |it: &&str| !it.trim_start().starts_with(key);
        let model: String = crate::runs::cli::MODEL.lines().filter(kept).map(|it| format!("{it}\n")).collect();
        fs::write(place.path("wrong.sph"), model.replace("    penalty", &format!("    {entry}\n    penalty"))).unwrap();
        let said = errors(&place.sphc("check wrong.sph"));
        assert!(said.contains(&format!("`{key}` cannot be made of `{name}`")), "{entry}\n{said}");
        assert!(said.contains("1 file checked: 1 error;"), "{entry}\n{said}");
    }
    fs::write(place.path("called.sph"), crate::runs::cli::MODEL.replace("|> relu", "|> relu(3)")).unwrap();
    let said = errors(&place.sphc("check called.sph"));
    assert!(said.contains("the fn `relu` takes 1 argument, found 2") && !said.contains("<prelude>"), "{said}");
}
