//! Many runs in one process, their pictures, and what trained weights say of pictures.

use crate::runs::cli::errors;
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MODEL: &str = r#"
param norm: operator = cosine

model Tiny {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = x |> sphere_conv(4, operator: norm) |> batch_norm(decay: 0.9) |> relu as "first"
    x = max_pool(x, 4)
    output conv(x, classes, kernel: 2, pad: valid) as "score"
}

train {
    data       digits
    batch      16
    iterations 8
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
    evaluate   every 4
    seed       3
}
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("tiny.sph"), MODEL).unwrap();
        Place(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sphc(&self, words: &str) -> Output {
        let words = words.split_whitespace();
        Command::new(env!("CARGO_BIN_EXE_sphc")).args(words).current_dir(self.0.path()).output().unwrap()
    }

    fn succeeds(&self, words: &str) -> String {
        let output = self.sphc(words);
        assert!(output.status.success(), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, words: &str, expected: &[&str]) {
        let output = self.sphc(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}\n{said}");
        for it in expected {
            assert!(said.contains(it), "`{words}` does not say `{it}`:\n{said}");
        }
    }
}

fn accuracies(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    lines.filter_map(|it| it.get("test_accuracy").and_then(Value::as_f64)).collect()
}

#[test]
fn a_grid_is_trained_summed_up_and_resumed() {
    let place = Place::new();
    let grid = "train tiny.sph --set norm=none,linear --seeds 2 --run grid";
    let said = place.succeeds(&format!("{grid} --format json"));
    let events: Vec<Value> = said.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let last = events.last().unwrap();
    assert_eq!(events.iter().filter(|it| it["event"] == "run").count(), 4);
    assert_eq!(last["event"], "sweep");
    assert_eq!(last["seeds"], serde_json::json!([3, 4]), "from the recipe's seed on");
    for point in last["points"].as_array().unwrap() {
        let runs = [3, 4].map(|it| place.path("grid").join(point["set"].as_str().unwrap()).join(format!("seed-{it}")));
        let each = runs.each_ref().map(|it| accuracies(it));
        let mean = (each[0].last().unwrap() + each[1].last().unwrap()) / 2.0;
        assert!((point["last"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert_ne!(
            fs::read(runs[0].join("checkpoints/step-00000008.safetensors")).unwrap(),
            fs::read(runs[1].join("checkpoints/step-00000008.safetensors")).unwrap(),
            "seeds differ"
        );
    }
    let svg = fs::read_to_string(place.path("grid/curves.svg")).unwrap();
    assert!(svg.contains("norm=none (2 seeds): best") && svg.contains("norm=linear (2 seeds): best"));

    // A run of the grid is that of a single command.
    place.succeeds("train tiny.sph --set norm=linear --seed 4 --run single");
    let file = "checkpoints/step-00000008.safetensors";
    let whole = fs::read(place.path("single").join(file)).unwrap();
    assert_eq!(fs::read(place.path("grid/norm=linear/seed-4").join(file)).unwrap(), whole);

    // One run was lost, one was killed before its first checkpoint; the others stay as they are.
    place.fails(grid, &["already holds a run", "--resume"]);
    let kept = place.path("grid/norm=none/seed-3").join(file);
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    fs::remove_dir_all(place.path("grid/norm=linear/seed-4")).unwrap();
    fs::remove_file(place.path("grid/norm=none/seed-4").join(file)).unwrap();
    let output = place.sphc(&format!("{grid} --resume"));
    let (said, told) = (String::from_utf8_lossy(&output.stdout), errors(&output));
    assert!(output.status.success(), "{told}");
    let line = told.lines().find(|it| it.starts_with("run 4 of 4: norm=linear, seed 4: test accuracy ")).unwrap();
    assert!(line.contains(" images, train accuracy "), "{told}");
    // What was finished before has no batches of its own.
    let line = told.lines().find(|it| it.starts_with("run 1 of 4: norm=none, seed 3: test accuracy ")).unwrap();
    assert!(!line.contains("train accuracy"), "{told}");
    assert!(said.contains("setting") && said.contains("±") && said.contains("95 % interval"), "{said}");
    assert_eq!(fs::read(place.path("grid/norm=linear/seed-4").join(file)).unwrap(), whole);
    assert!(place.path("grid/norm=none/seed-4").join(file).is_file());
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
}

#[test]
fn a_setting_that_diverges_does_not_stop_the_others() {
    let place = Place::new();
    let model =
        MODEL.replace("adam(rate: 1e-2)", "sgd(rate: rate)").replace("model Tiny", "param rate = 0.01\n\nmodel Tiny");
    fs::write(place.path("tiny.sph"), model).unwrap();
    let output = place.sphc("train tiny.sph --set rate=1e30,0.01 --run grid");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the other runs go on"), "{told}");
    assert!(said.contains("0, 1 diverged") && said.contains("rate=0.01"), "{said}");
    assert!(place.path("grid/rate=0.01/seed-3/checkpoints/step-00000008.safetensors").is_file());
}

#[test]
fn mistakes_of_any_setting_stop_a_grid_before_its_first_run() {
    let place = Place::new();
    place.fails("train tiny.sph --set norm=none,cosin --run grid", &["did you mean `cosine`"]);
    assert!(!place.path("grid").exists());
    place.succeeds("compile tiny.sph -o plan");
    place.fails("train plan/plan.yaml --seeds 2 --run grid", &["cannot be swept", ".sph"]);
}

#[test]
fn runs_are_drawn_as_pixels_too() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run a");
    place.succeeds("plot a --reference spherenet9-linear -o both.png");
    let picture = image::open(place.path("both.png")).unwrap();
    assert!(1000 <= picture.width() && 700 <= picture.height());
    fs::write(place.path("log.csv"), "# by hand\niteration,test_accuracy\n5,0.25\n8,0.5\n").unwrap();
    place.succeeds("plot a log.csv -o log.svg");
    assert!(fs::read_to_string(place.path("log.svg")).unwrap().contains("log.csv: best 50.00 % at 8, last 50.00 %"));
    place.fails("plot a -o a.pdf", &["only SVG and PNG"]);
    place.fails("plot nowhere -o a.svg", &["nowhere", "directories that `sphc train` made"]);
    place.fails("plot a --reference spherenet10 -o a.svg", &["no published result `spherenet10`", "spherenet9-none"]);
}

/// Runs of one folder are one curve only if nothing but their seeds differs, and none is left out.
#[test]
fn a_folder_of_runs_is_drawn_whole_and_by_names_that_differ() {
    let place = Place::new();
    for (words, run) in [
        ("", "all/plain"),
        ("--seed 7", "all/other"),
        ("--set norm=linear", "all/in/tiny"),
        ("--batch 2", "all/in/small"),
        ("--seeds 2", "all/seeds"),
        ("", "more/plain"),
    ] {
        place.succeeds(&format!("train tiny.sph {words} --run {run}"));
    }
    let drawn = |words: &str| {
        let output = place.sphc(&format!("plot {words} -o a.svg"));
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        (fs::read_to_string(place.path("a.svg")).unwrap(), errors(&output))
    };
    let (picture, told) = drawn("all");
    for name in ["other + plain (2 seeds): best", "small: best", "tiny: best", "seeds (2 seeds): best"] {
        assert!(picture.contains(name), "{name}");
    }
    assert!(picture.matches(": best").count() == 4 && told.is_empty(), "{told}");
    let (picture, _) = drawn("all/plain more/plain");
    assert!(picture.contains("all/plain: best") && picture.contains("more/plain: best"), "{picture}");

    // What `all/seeds/*` gives, and a run twice.
    fs::write(place.path("all/seeds/report.md"), "").unwrap();
    let (picture, told) =
        drawn("all/seeds/curves.svg all/seeds/report.md all/seeds/seed-3 all/seeds/seed-4 all/seeds/seed-3");
    assert!(picture.contains("seeds/seed-3: best") && picture.contains("seeds/seed-4: best"), "{picture}");
    for it in
        ["curves.svg` is no run directory, and passed over", "report.md` is no", "seed-3` is given more than once"]
    {
        assert!(told.contains(&format!("warning: `all/seeds/{it}")), "{it}: {told}");
    }
    let remedy = "each with a `config.yaml` and a `metrics.jsonl`";
    place.fails("plot all/seeds/curves.svg -o b.svg", &["`all/seeds/curves.svg`: it is a file", remedy]);
    place
        .fails("plot all/seeds/curves.svg all/seeds/report.md -o b.svg", &["none of these is a run directory", remedy]);
    place.fails("plot all/plain tiny.sph -o b.svg", &["`tiny.sph`: it is a file", remedy]);
}

#[test]
fn pictures_are_classified_if_they_are_what_the_model_takes() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run a");
    let weights = "--weights a/checkpoints/step-00000008.safetensors";
    let said = place.succeeds(&format!("eval tiny.sph {weights} --confusion"));
    assert!(said.contains("columns what they are taken for") && 12 < said.lines().count(), "{said}");

    GrayImage::from_fn(8, 8, |x, y| Luma([(x + y) as u8])).save(place.path("good.png")).unwrap();
    GrayImage::from_pixel(8, 8, Luma([16])).save(place.path("other.png")).unwrap();
    let said =
        place.succeeds(&format!("predict tiny.sph {weights} good.png other.png good.png --top 10 --format json"));
    let found: Vec<Value> = said.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0]["classes"], found[2]["classes"], "the same picture");
    let sum: f64 = found[0]["classes"].as_array().unwrap().iter().map(|it| it["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert_eq!(found[0]["class"], found[0]["classes"][0]["class"]);

    RgbImage::from_pixel(10, 9, Rgb([1, 2, 3])).save(place.path("large.png")).unwrap();
    let expected = ["`large.png` is 9x10 with 3 channels, the model takes 8x8 with 1 channel"];
    place.fails(&format!("predict tiny.sph {weights} good.png large.png"), &expected);
    place.fails(&format!("predict tiny.sph {weights} large.png"), &["`|> resize(8, 8) |> channels(1)` at the end of"]);
    fs::write(place.path("text.png"), "no picture").unwrap();
    place.fails(&format!("predict tiny.sph {weights} text.png"), &["text.png", "PNG and JPEG"]);
    place.fails(&format!("predict tiny.sph {weights} none.jpg"), &["none.jpg"]);

    // With the steps in the recipe it fits.
    let model = MODEL.replace("data       digits", "data digits |> channels(1) |> resize(8, 8)");
    fs::write(place.path("tiny.sph"), model).unwrap();
    let said = place.succeeds(&format!("predict tiny.sph {weights} large.png"));
    assert!(said.contains("large.png") && said.contains('%'), "{said}");
}
