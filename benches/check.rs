//! How long `sphc check` takes without its process: every model of `models/`, and generated networks of
//! 1000 to 10 000 layers, written as a loop and line by line. `cargo bench --bench check`.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use sphc::lower::{DataInfo, Settings};
use sphc::pipeline::{self, Checked};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const RUNS: usize = 5;

fn settings() -> Settings {
    let info = |name: &str, image, classes| DataInfo::images(name, image, classes, [50_000, 10_000]);
    Settings {
        known_data: vec![info("cifar10", [32, 32, 3], 10), info("digits", [8, 8, 1], 10)],
        ..Settings::default()
    }
}

/// The fastest of some runs, and what the last one found.
fn check(name: &str, text: &str) -> (Duration, Checked) {
    let run = || {
        let mut load = |path: &str| fs::read_to_string(path).map_err(|it| it.to_string());
        let start = Instant::now();
        let checked = pipeline::check(name, text, &mut load, &settings());
        (start.elapsed(), checked)
    };
    let mut best = run();
    for _ in 1..RUNS {
        let next = run();
        if next.0 < best.0 {
            best = next;
        }
    }
    best
}

fn show(name: &str, (time, checked): &(Duration, Checked)) {
    let passes: Vec<String> =
        checked.timings.iter().map(|it| format!("{} {:.2}", it.pass, it.time.as_secs_f64() * 1e3)).collect();
    let found = checked.diagnostics.len();
    println!("{name:<34} {:>9.2} ms   {} ({found} reports)", time.as_secs_f64() * 1e3, passes.join(", "));
}

/// `layers` convolutions with normalisation, by a loop or one by one.
fn generated(layers: usize, by_loop: bool) -> String {
    let body = if by_loop {
        format!("    for i in 0..{layers} {{\n        x = unit(x, 16) as \"conv{{i}}\"\n    }}\n")
    } else {
        (0..layers).map(|it| format!("    x = unit(x, 16) as \"conv{it}\"\n")).collect()
    };
    format!(
        "block unit(x, filters: int) {{\n    x |> sphere_conv(filters, operator: linear) |> batch_norm |> relu\n}}\n\n\
         model Deep {{\n    input image: u8[8, 8, 1]\n    x = (image - 8) / 8\n{body}    \
         output conv(x, classes, kernel: 8, pad: valid) as \"score\"\n}}\n\n\
         train {{\n    data       digits\n    batch      4\n    iterations 10\n    loss       softmax_cross_entropy\n    \
         penalty    l2(5e-4) on filters where operator != none and layer != \"score\"\n    \
         optimizer  adam(rate: 1e-3)\n}}\n"
    )
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    paths.sort();
    let inner = paths.iter().filter(|it| it.is_dir()).flat_map(|it| models(it)).collect::<Vec<_>>();
    paths.retain(|it| it.extension().is_some_and(|it| it == "sph"));
    paths.extend(inner);
    paths
}

fn main() {
    for path in models(Path::new("models")) {
        let name = path.display().to_string();
        match fs::read_to_string(&path) {
            Ok(text) => show(&name, &check(&name, &text)),
            Err(cause) => println!("{name}: {cause}"),
        }
    }
    for by_loop in [true, false] {
        for layers in [1000, 2000, 5000, 10_000] {
            let how = if by_loop { "in a loop" } else { "line by line" };
            show(&format!("{layers} layers, {how}"), &check("deep.sph", &generated(layers, by_loop)));
        }
    }
}
