//! `sphc verify`.

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs, positive};
use super::failure::Outcome;
use super::{load, replay, say, table};
use serde_json::json;
use sphc::Options;
use sphc::lower::DataInfo;
use sphc::verify::{self, GradientCheck, Gradients, KernelCheck};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph)
    file: PathBuf,
    /// Examples at once; the kernels of a training are those of its own batch, which take longer
    #[arg(long, value_name = "N", default_value = "2", value_parser = positive)]
    batch: u64,
    /// Leave the gradients out
    #[arg(long)]
    kernels_only: bool,
    /// Instead of all that, repeat the step after this run's newest checkpoint and name the layer and line where a number
    /// first becomes none
    #[arg(long, value_name = "RUN", conflicts_with_all = ["kernels_only", "set", "batch"])]
    replay: Option<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = args.device.checked()?;
    if let Some(run) = &args.replay {
        return replay::run(&args.file, run, (&args.device, &device), args.format);
    }
    let options = args::options(&args.set, &RecipeArgs::default(), args.device.precision);
    let model = load::model(&args.file, options.clone())?;
    // As many parts as the recipe cuts its batch into, of an example each at least; of two where images are mixed.
    let first = model.check()?;
    let of = first.graph().and_then(|it| it.recipe.as_ref()).map_or(1, |it| match (it.accumulate, it.mix) {
        (1, _) => 1,
        (parts, None) => parts,
        (parts, Some(_)) => 2 * parts,
    });
    let batch = (args.batch as usize).checked_next_multiple_of(of);
    let model = model.with(Options { batch, ..options });
    let usual = model.compile_for(None)?;
    // Noise does for comparing, and a few batches of it reach around the end of an epoch.
    let data = usual.plan().training.as_ref().map(|it| {
        let examples = 2 * it.batch + 1;
        DataInfo {
            name: it.data.clone(),
            image: it.image.clone(),
            dtype: it.dtype,
            range: usual.checked.graph().and_then(|it| it.range),
            classes: it.classes,
            target: it.target.clone(),
            train_examples: examples,
            test_examples: examples,
        }
    });
    let model = model.compile_for(data)?;
    let threads = args.device.threads.map(|it| it as usize);
    let gradients = if args.kernels_only {
        None
    } else {
        Some(verify::gradients(&model.compiled.training, threads, !args.device.ignore_memory)?)
    };
    let gradients = gradients.as_ref();
    let (mut session, device) = model.open_as(&device, |it| it.spread())?;
    verify::bind_noise(&mut session)?;
    let kernels = verify::kernels(&mut session)?;

    let checks = gradients.map_or(&[][..], |it| it.checks());
    let passed = checks.iter().all(GradientCheck::passed) && kernels.iter().all(KernelCheck::passed);
    if args.format == Format::Json {
        write_json(checks, &kernels, &device, passed)?;
    } else {
        write_tables(gradients, &kernels, &device)?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_json(gradients: &[GradientCheck], kernels: &[KernelCheck], device: &str, passed: bool) -> io::Result<()> {
    let mut out = say::out();
    for it in gradients {
        let object = json!({
            "check": "gradient",
            "parameter": it.parameter,
            "slope": it.slope,
            "error": it.error,
            "bound": it.bound,
            "compared": it.compared,
            "passed": it.passed(),
        });
        writeln!(out, "{object}")?;
    }
    for it in kernels {
        let object = json!({
            "check": "kernel",
            "phase": it.phase,
            "launch": it.launch,
            "layer": it.layer,
            "kernel": it.kernel,
            "line": it.line,
            "compared": it.compared,
            "error": it.error,
            "bound": it.bound,
            "passed": it.passed(),
        });
        writeln!(out, "{object}")?;
    }
    writeln!(out, "{}", json!({ "check": "all", "device": device, "passed": passed }))
}

fn write_tables(gradients: Option<&Gradients>, kernels: &[KernelCheck], device: &str) -> io::Result<()> {
    let mut out = say::out();
    let verdict = |passed: bool| if passed { String::new() } else { "WRONG".to_owned() };
    let checks = gradients.map_or(&[][..], |it| it.checks());
    match gradients {
        Some(Gradients::NoLoss) => writeln!(out, "gradients: the file has no recipe, so there is no loss\n")?,
        Some(Gradients::Compared(_)) | None => {}
    }
    if !checks.is_empty() {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|it| {
                let numbers = [it.slope, it.error, it.bound].map(|it| format!("{it:.1e}"));
                let mut row = vec![it.parameter.clone(), table::grouped(it.len as u64)];
                row.extend(numbers);
                row.push(if it.compared { verdict(it.passed()) } else { "not compared: see below".to_owned() });
                row
            })
            .collect();
        writeln!(out, "gradients of the loss against central differences, f64 on the CPU")?;
        write!(out, "{}", table::render(&["parameter", ">numbers", ">slope", ">error", ">allowed", ""], &rows))?;
        if checks.iter().any(|it| !it.compared) {
            writeln!(out, "not compared: the maximum of a pool changes hands within every step, however small")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "kernels on {device} against the interpreter")?;
    let rows: Vec<Vec<String>> = by_layer(kernels)
        .into_iter()
        .map(|(it, launches)| {
            let layer = if it.layer.is_empty() { "-".to_owned() } else { it.layer.clone() };
            vec![
                layer,
                it.kernel.to_owned(),
                launches.to_string(),
                table::grouped(it.compared as u64),
                format!("{:.1e}", it.error),
                format!("{:.1e}", it.bound),
                verdict(it.passed()),
                if it.passed() { String::new() } else { format!("launch {} of {:?} {}", it.launch, it.phase, it.line) },
            ]
        })
        .collect();
    let header = ["layer", "kernel", ">launches", ">compared", ">error", ">allowed", "", ""];
    write!(out, "{}", table::render(&header, &rows))?;
    let right = kernels.iter().filter(|it| it.passed()).count();
    let launches = format!("{} launches: {}", kernels.len(), summary(kernels.len(), right));
    match gradients {
        None => writeln!(out, "\n{launches}"),
        Some(gradients) => writeln!(out, "\n{}; {launches}", summary_of_gradients(gradients)),
    }
}

fn summary(all: usize, right: usize) -> String {
    if all == right { "all right".to_owned() } else { format!("{} WRONG", all - right) }
}

/// Never says that all is well where nothing was compared.
fn summary_of_gradients(gradients: &Gradients) -> String {
    let all = gradients.checks();
    let compared = all.iter().filter(|it| it.compared).count();
    let right = all.iter().filter(|it| it.compared && it.passed()).count();
    let verdict = match (all.len(), compared) {
        (0, _) => return "no gradients to compare".to_owned(),
        (_, 0) => return format!("{} gradients: none compared", all.len()),
        _ => summary(compared, right),
    };
    let rest = all.len() - compared;
    let rest = if rest == 0 { String::new() } else { format!(", {rest} not compared") };
    format!("{} gradients: {verdict}{rest}", all.len())
}

/// The worst launch for each layer and kind of kernel, in order of their first launch, and how many there are.
fn by_layer(kernels: &[KernelCheck]) -> Vec<(KernelCheck, usize)> {
    let mut rows: Vec<(KernelCheck, usize)> = Vec::new();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for it in kernels {
        let at = *known.entry((it.layer.as_str(), it.kernel)).or_insert(rows.len());
        let Some((worst, count)) = rows.get_mut(at) else {
            rows.push((it.clone(), 1));
            continue;
        };
        let compared = worst.compared + it.compared;
        if worst.share() < it.share() {
            *worst = it.clone();
        }
        worst.compared = compared;
        *count += 1;
    }
    rows
}
