//! `sphc bench`.

use super::args::{self, Format, RecipeArgs, SetArgs, positive};
use super::device::{self, DeviceArgs};
use super::failure::{Failure, Outcome};
use super::{load, table};
use serde_json::json;
use sphc::data::{Dataset, Split};
use sphc::ir::Phase;
use sphc::lower::DataInfo;
use sphc::train;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph)
    file: PathBuf,
    /// Examples per step
    #[arg(long, value_name = "N", value_parser = positive)]
    batch: Option<u64>,
    /// Steps to measure
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive)]
    steps: u64,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    device::check(&args.device)?;
    let precision = args.device.precision;
    let recipe = RecipeArgs { batch: args.batch, ..RecipeArgs::default() };
    let mut settings = args::settings(&args.set, &recipe);
    let usual = load::compile(&args.file, settings.clone(), precision)?;
    let Some(training) = usual.compiled.plan.training else {
        return Err(Failure::new("the file has no recipe, so there is no step", "add a `train { ... }` section"));
    };
    // Noise does for timing; a few batches of it spare the memory of a whole data set.
    let data = noise(&training.data, training.image, training.classes, 4 * training.batch);
    settings.data = Some(DataInfo { name: training.data.clone(), ..args::info(&data) });
    let model = load::compile(&args.file, settings, precision)?;
    let flops: u64 =
        model.compiled.fused.phases.get(&Phase::Step).iter().flat_map(|it| it.iter()).map(|it| it.flops).sum();
    let launches = model.compiled.plan.phases.get(&Phase::Step).map_or(0, |it| it.launches.len());
    let (mut session, device) = device::open(&args.device, model.precision, model.compiled.plan)?;
    train::bind(&mut session, data)?;

    // Pages are touched and caches filled by the first steps.
    for _ in 0..2 {
        session.run(Phase::Step)?;
    }
    session.wait()?;
    let mut times = Vec::new();
    for _ in 0..args.steps {
        let start = Instant::now();
        session.run(Phase::Step)?;
        session.wait()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let speed = training.batch as f64 / median;
    let mut out = io::stdout();
    if args.format == Format::Json {
        let object = json!({
            "device": device,
            "batch": training.batch,
            "steps": args.steps,
            "median_seconds": median,
            "fastest_seconds": times[0],
            "slowest_seconds": times[times.len() - 1],
            "images_per_second": speed,
            "flops_per_step": flops,
            "launches": launches,
        });
        writeln!(out, "{object}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "device        {device}")?;
    writeln!(
        out,
        "step          {:.2} ms (median of {}; fastest {:.2}, slowest {:.2}), batch {}",
        1e3 * median,
        args.steps,
        1e3 * times[0],
        1e3 * times[times.len() - 1],
        training.batch
    )?;
    writeln!(out, "images        {speed:.0} per second")?;
    writeln!(
        out,
        "arithmetic    {}FLOP in {launches} launches, {}FLOP/s",
        spaced(flops as f64),
        spaced(flops as f64 / median)
    )?;
    Ok(ExitCode::SUCCESS)
}

fn spaced(number: f64) -> String {
    let text = table::scaled(number);
    if text.contains(' ') { text } else { text + " " }
}

fn noise(name: &str, image: [usize; 3], classes: usize, examples: usize) -> Dataset {
    let size: usize = image.iter().product();
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    let mut split = || Split {
        images: (0..examples * size).map(|_| next() as u8).collect(),
        labels: (0..examples).map(|it| (it % classes) as i64).collect(),
    };
    let (train, test) = (split(), split());
    Dataset { name: name.into(), image, classes: (0..classes).map(|it| it.to_string()).collect(), train, test }
}
