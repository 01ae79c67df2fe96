//! Lists of experiments: the paper's, and one of small networks that is trained, stopped short of, gone on with and reported.

use crate::language::docs::blocks;
use crate::runs::cli::{Place, errors};
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs;

/// A network of two features, short enough for a test.
const SMALL: &str = "\
param norm: operator = cosine
param steps = 12

model Small {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = sphere_conv(x, 8, stride: 2, operator: norm) |> batch_norm |> relu as \"first\"
    x = sphere_dense(x, 2, operator: norm) as \"feature\"
    output dense(x, classes, bias: true) as \"score\"
}

train {
    data       digits
    batch      32
    iterations steps
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
    schedule   step(at: [div(steps, 2)], factor: 0.1)
    evaluate   every div(steps + 3, 4)
}
";

const LIST: &str = "\
title: two operators | on the digits
length: steps
experiments:
  - name: plain
    about: a product
    model: nets/small.sph
    set: {norm: none}
    published: {best: 0.5, last: 0.25}
  - name: cosine
    model: nets/small.sph
    features: feature
";

fn place() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path("lists/nets")).unwrap();
    fs::write(place.path("lists/nets/small.sph"), SMALL).unwrap();
    fs::write(place.path("lists/list.yaml"), LIST).unwrap();
    place
}

fn report(place: &Place, run: &str) -> String {
    fs::read_to_string(place.path(run).join("report.md")).unwrap()
}

#[test]
fn a_list_is_trained_reported_and_gone_on_with() {
    let place = place();
    let command = "reproduce --from lists/list.yaml --run all --seeds 2";
    // One row, then all of them: what is there stays.
    place.succeeds("reproduce plain --from lists/list.yaml --run all");
    assert!(report(&place, "all").contains("| plain | 1 |"));
    let kept = place.path("all/plain/seed-0/checkpoints/step-00000012.safetensors");
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    let said = place.succeeds(&format!("{command} --format json"));
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "reproduced");
    assert_eq!(last["rows"][0]["published_best"]["mean"], 0.5);

    // Figures are those of the runs.
    let accuracy = |run: &str| -> Vec<f64> {
        let text = fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        lines.filter_map(|it| it["test_accuracy"].as_f64()).collect()
    };
    let each = ["all/cosine/seed-0", "all/cosine/seed-1"].map(accuracy);
    let mean = (each[0].last().unwrap() + each[1].last().unwrap()) / 2.0;
    assert!((last["rows"][1]["last"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(each[0].len(), 4, "evaluations as the stretched recipe says");
    // One row more of one experiment: the report keeps what was finished before.
    let whole = report(&place, "all");
    place.succeeds("reproduce plain --from lists/list.yaml --run all --seed 2");
    let page = report(&place, "all");
    assert!(
        page.contains("| plain | 3 |") && page.contains("| cosine | 2 |") && page.contains("seeds 0, 1, 2"),
        "{page}"
    );
    fs::remove_dir_all(place.path("all/plain/seed-2")).unwrap();
    place.succeeds("reproduce cosine --from lists/list.yaml --run all --seed 1");
    assert_eq!(report(&place, "all"), whole);
    let best = |it: &[f64]| it.iter().copied().fold(0.0, f64::max);
    let plain = ["all/plain/seed-0", "all/plain/seed-1"].map(accuracy);
    let difference = 100.0 * ((best(&plain[0]) + best(&plain[1])) / 2.0 - 0.5);

    let page = report(&place, "all");
    for expected in [
        "# two operators | on the digits",
        "seeds 0, 1",
        "data: digits, read from `embedded`: 1437 training and 360 test images",
        "## nets/small.sph",
        "| 50.00 % |",
        "| 25.00 % |",
        &format!("| {difference:+.2} | a product |"),
        "](nets-small.svg)",
        "](cosine-features.svg)",
    ] {
        assert!(page.contains(expected), "`{expected}` is not in\n{page}");
    }
    assert!(!page.contains("Reduced"));
    let curves = fs::read_to_string(place.path("all/nets-small.svg")).unwrap();
    assert!(curves.contains("plain (2 seeds)") && curves.contains("cosine (2 seeds)"));
    let points = fs::read_to_string(place.path("all/cosine-features.svg")).unwrap();
    assert!(360 <= points.matches("<circle").count() + points.matches("<polygon").count());

    // A single command trains the same.
    place.succeeds("train lists/nets/small.sph --set norm=none --seed 1 --run one");
    let file = "checkpoints/step-00000012.safetensors";
    assert_eq!(
        fs::read(place.path("one").join(file)).unwrap(),
        fs::read(place.path("all/plain/seed-1").join(file)).unwrap()
    );
}

#[test]
fn a_shorter_training_stretches_its_schedule_and_says_so() {
    let place = place();
    place.succeeds("reproduce cos* --from lists/list.yaml --run short --iterations 4 --set norm=linear");
    let page = report(&place, "short");
    assert!(page.contains("**Reduced: 4 iterations, `norm = linear`.**"), "{page}");
    let text = fs::read_to_string(place.path("short/cosine/seed-0/metrics.jsonl")).unwrap();
    let rates = text.lines().filter_map(|it| serde_json::from_str::<Value>(it).unwrap()["rate"].as_f64());
    let rates: Vec<f64> = rates.collect();
    assert_eq!(rates.first(), Some(&1e-2), "{text}");
    assert!(place.path("short/cosine/seed-0/checkpoints/step-00000004.safetensors").is_file());
    // Another length is another run.
    let output = place.sphc("reproduce cos* --from lists/list.yaml --run short --iterations 8 --set norm=linear");
    assert_eq!(output.status.code(), Some(1));
    let said = errors(&output);
    assert!(said.contains("other settings: `norm=linear`, `steps=4`") && said.contains("--run DIR"), "{said}");
}

#[test]
fn what_cannot_be_reproduced_is_told_before_anything_is_trained() {
    let place = place();
    let from = "reproduce --run run --from";
    place.fails(
        &format!("{from} lists/list.yaml plan"),
        &["no experiment `plan`", "did you mean `plain`?", "plain, cosine"],
    );
    place.fails(&format!("{from} lists/none.yaml"), &["lists/none.yaml", "no such file"]);
    place.fails(&format!("{from} lists/list.yaml --set norm=linear"), &["`plain` sets itself"]);
    place.fails(&format!("{from} lists/list.yaml --set width=3"), &["no param `width`"]);
    place.fails(&format!("{from} lists/list.yaml --iterations 4 --set steps=4"), &["are the same"]);
    place.fails(
        &format!("{from} lists/list.yaml --data cifar10 --offline"),
        &["not found in `data/cifar10`", "data fetch"],
    );
    place.fails(&format!("{from} lists/list.yaml --seeds 2 --seed 18446744073709551615"), &["smaller `--seed`"]);
    fs::write(place.path("lists/bad.yaml"), LIST.replace("title:", "titel:")).unwrap();
    place.fails(&format!("{from} lists/bad.yaml"), &["lists/bad.yaml", "titel"]);
    fs::write(place.path("lists/bad.yaml"), LIST.replace("length: steps\n", "")).unwrap();
    place.fails(&format!("{from} lists/bad.yaml --iterations 4"), &["add `length: NAME`"]);
    fs::write(place.path("lists/bad.yaml"), LIST.replace("norm: none", "norm: nine")).unwrap();
    place.fails(&format!("{from} lists/bad.yaml"), &["undefined name `nine`"]);
    for (layer, told) in [("feature2", "did you mean `feature`?"), ("first", "`first` has 128 numbers for each image")]
    {
        fs::write(place.path("lists/bad.yaml"), LIST.replace("features: feature", &format!("features: {layer}")))
            .unwrap();
        place.fails(&format!("{from} lists/bad.yaml"), &[told]);
    }
    assert!(!place.path("run").exists());
}

#[test]
fn a_place_that_cannot_be_written_to_is_told() {
    let place = place();
    fs::write(place.path("file"), "no folder").unwrap();
    place.fails("reproduce spherenet9-none --run file", &["cannot write `file/models/experiments.yaml`", "--run DIR"]);
    place.fails("reproduce plain --from lists/list.yaml --run file", &["file/plain/seed-0", "--run DIR"]);
}

/// Each row of the paper's list is a model without a remark, whose schedule can be shortened.
#[test]
fn the_papers_experiments_are_sound() {
    let place = Place::new();
    let said = place.succeeds("reproduce --list --format json");
    let rows: Vec<Value> = said.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(rows.iter().filter(|it| it["best"].is_number()).count(), 8, "published results");
    for row in rows {
        let model = format!("{}/models/{}", env!("CARGO_MANIFEST_DIR"), row["model"].as_str().unwrap());
        let set =
            row["set"].as_object().unwrap().iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
        for steps in ["steps=64000", "steps=800"] {
            let mut words =
                vec!["check".to_owned(), model.clone(), "--deny-warnings".into(), "--set".into(), steps.into()];
            words.extend(set.clone().flat_map(|it| ["--set".to_owned(), it]));
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sphc"));
            let output = command.args(&words).current_dir(place.directory.path()).output().unwrap();
            assert!(output.status.success(), "{words:?}\n{}", errors(&output));
        }
    }
}

/// The page's table of networks: `| what | file | parameters | differences |`.
#[test]
fn networks_have_as_many_parameters_as_the_page_says() {
    let root = env!("CARGO_MANIFEST_DIR");
    let page = fs::read_to_string(format!("{root}/docs/paper.md")).unwrap();
    let place = Place::new();
    let mut count = 0;
    for line in page.lines().filter(|it| it.contains("| `models/")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let file = cells[2].split('`').nth(1).unwrap();
        let said = place.succeeds(&format!("show {root}/{file} --format json"));
        let shown: Value = serde_json::from_str(&said).unwrap();
        let numbers =
            |it: &Value| it["shape"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).product::<u64>();
        let found: u64 = shown["parameters"].as_array().unwrap().iter().map(numbers).sum();
        assert_eq!(found.to_string(), cells[3].replace(' ', ""), "{line}");
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_list_that_the_page_shows_is_taken() {
    let place = place();
    let (_, list) = blocks("docs/paper.md", "```yaml").into_iter().next().unwrap();
    fs::write(place.path("small.sph"), SMALL).unwrap();
    fs::write(place.path("own.yaml"), list).unwrap();
    place.succeeds("reproduce --from own.yaml --run run --iterations 4");
    assert!(place.path("run/cosine-features.svg").is_file());
    for (_, commands) in blocks("docs/paper.md", "```sh") {
        commands.lines().for_each(|it| drop(place.succeeds(it.strip_prefix("sphc ").unwrap())));
    }
    assert!(place.path("fourier.svg").is_file());
}

#[test]
fn phases_and_magnitudes_are_exchanged() {
    let place = place();
    let said = place.succeeds("demo fourier --examples 0,1");
    let row = |name: &str| -> Vec<f64> {
        let line = said.lines().find(|it| it.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().map(|it| it.parse().unwrap()).collect()
    };
    let (of_a, of_b) = (row("phase of A, magnitude of B"), row("phase of B, magnitude of A"));
    assert!(of_a[1] < of_a[0] && of_b[0] < of_b[1], "an image is nearer to the one whose phase it has\n{said}");
    assert!(fs::read_to_string(place.path("fourier.svg")).unwrap().contains("phase of A alone"));

    // An image with itself is itself.
    RgbImage::from_fn(6, 5, |x, y| Rgb([(x * y) as u8, 40 * x as u8, 9])).save(place.path("a.png")).unwrap();
    let said = place.succeeds("demo fourier a.png a.png -o same.png");
    assert_eq!(said.lines().filter(|it| it.contains("magnitude of") && it.ends_with("1.000")).count(), 2, "{said}");
    assert!(200 < image::open(place.path("same.png")).unwrap().width());

    RgbImage::new(4, 4).save(place.path("b.png")).unwrap();
    place.fails("demo fourier a.png b.png", &["5x6 and 4x4", "of one size"]);
    place.fails("demo fourier --examples 0,360", &["no test image 360", "has 360"]);
    place.fails("demo fourier -o a.pdf", &["only SVG and PNG"]);
    place.fails("demo fourier --data cifar10 --offline", &["not found in `data/cifar10`"]);
    RgbImage::new(600, 2).save(place.path("large.png")).unwrap();
    place.fails("demo fourier large.png large.png", &["512x512 at most"]);
}

#[test]
fn a_layer_of_two_numbers_is_drawn_by_class() {
    let place = place();
    place.succeeds("train lists/nets/small.sph --run a");
    let weights = "features lists/nets/small.sph --weights a/checkpoints/step-00000012.safetensors";
    place.succeeds(&format!("{weights} --layer feature -o feature.svg"));
    let svg = fs::read_to_string(place.path("feature.svg")).unwrap();
    // 360 images and 10 classes in the legend: seven of them dots, the others triangles.
    assert_eq!(svg.matches("<circle").count() + svg.matches("<polygon").count(), 370, "{svg}");
    assert!(svg.contains("all of 360 images"));
    place.fails(&format!("{weights} --layer scores -o scores.svg"), &["`scores` has 10 numbers", "a point has 2"]);
    place.fails(&format!("{weights} --layer feature,scores -o both.png"), &["room for one layer"]);
}
