//! `sphc bench`.

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs, positive};
use super::failure::{Failure, Outcome};
use super::{load, say, table};
use serde_json::json;
use sphc::data::{Dataset, Element, Split, Targets};
use sphc::ir::{DType, Extremes, Phase, TargetKind};
use sphc::lower::DataInfo;
use sphc::plan::{Plan, Training};
use sphc::runtime::{Peaks, RuntimeError, Session};
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
    /// One line per layer and kind of kernel, not only per kind
    #[arg(long)]
    kernels: bool,
    /// Measure nothing: tell what each kernel of a step is expected to take on a GPU, from its machine code. It needs NVRTC, and
    /// no GPU
    #[arg(long, conflicts_with_all = ["steps", "kernels", "device", "threads", "ignore_memory"])]
    predict: bool,
    /// Architecture of the GPU to predict for
    #[arg(long, value_name = "SM", default_value = "sm_90", requires = "predict")]
    arch: String,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    let device = if args.predict { None } else { Some(args.device.checked()?) };
    let recipe = RecipeArgs { batch: args.batch, ..RecipeArgs::default() };
    let model = load::model(&args.file, args::options(&args.set, &recipe, args.device.precision))?;
    let usual = model.compile_for(None)?;
    let Some(training) = usual.plan().training.clone() else {
        return Err(Failure::new("the file has no recipe, so there is no step", "add a `train { ... }` section"));
    };
    let Some(device) = device else { return predict(usual.plan(), args) };
    // Noise does for timing; a few batches of it spare the memory of a whole data set.
    let element = Element { dtype: training.dtype, double: usual.plan().precision.is_double() };
    let range = usual.checked.graph().and_then(|it| it.range);
    let mut data = noise(&training, element, range, 4 * training.batch);
    let info = DataInfo { name: training.data.clone(), ..sphc::info(&data) };
    let compilation = model.compile_for(Some(info))?;
    if let Some(share) = training.validate {
        data = sphc::data::parted(data, share, compilation.plan().seed, false)?;
    }
    let (mut session, device) = compilation.open(&device)?;
    train::bind(&mut session, data)?;

    // What the device does by itself is queued, so the host waits once for many steps.
    let alone = session.backend.nodes(Phase::Step);
    let block = warm(&mut session, if alone.is_some() { WARM } else { 0.0 })?;
    let block = if alone.is_some() { block } else { 1 };
    let mut times = Vec::new();
    for _ in 0..args.steps {
        let start = Instant::now();
        for _ in 0..block {
            session.run(Phase::Step)?;
        }
        session.wait()?;
        times.push(start.elapsed().as_secs_f64() / f64::from(block));
    }
    times.sort_by(f64::total_cmp);
    let launches = measure(&mut session, args.steps.min(10))?;
    let peaks = session.backend.peaks();
    let report = Report { device, batch: training.batch, times, block, launches, nodes: alone, peaks };
    let mut out = say::out();
    if args.format == Format::Json {
        report.write_json(&mut out)?
    } else {
        report.write(&mut out, args.kernels)?
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "cuda")]
fn predict(plan: &Plan, args: &Args) -> Outcome {
    super::forecast::run(plan, &args.arch, args.format)
}

#[cfg(not(feature = "cuda"))]
fn predict(_: &Plan, _: &Args) -> Outcome {
    Err(Failure::new("this sphc was built without CUDA", "build it with the feature `cuda`"))
}

/// Seconds that a GPU computes before it is timed: an idle one takes a while to reach its clocks.
const WARM: f64 = 1.0;
/// Steps that are queued at a time, at most, and the seconds that they may take.
const BLOCK: f64 = 50.0;
const BLOCK_SECONDS: f64 = 0.25;

/// Steps until the device is warm: pages are touched, caches filled and graphs recorded by the first. Gives how many steps
/// are timed at a time.
fn warm(session: &mut Session, seconds: f64) -> Result<u32, RuntimeError> {
    let start = Instant::now();
    let mut done = 0;
    let mut fastest = f64::INFINITY;
    while done < 2 || start.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        session.run(Phase::Step)?;
        session.wait()?;
        fastest = fastest.min(before.elapsed().as_secs_f64());
        done += 1;
    }
    Ok((BLOCK_SECONDS / fastest).clamp(1.0, BLOCK) as u32)
}

/// A launch, or several that are one on the device, with its work and the median of its times, alone.
struct Timed {
    layer: String,
    kernel: &'static str,
    launches: usize,
    contraction: bool,
    flops: f64,
    bytes: f64,
    /// Absent on a device that cannot tell.
    seconds: Option<f64>,
}

fn measure(session: &mut Session, rounds: u64) -> Result<Vec<Timed>, Failure> {
    let plan = session.plan.clone();
    let rounds: Vec<Vec<f64>> =
        (0..rounds).map(|_| session.backend.measure(Phase::Step)).collect::<Result<_, RuntimeError>>()?;
    let median = |at: usize| {
        let mut times: Vec<f64> = rounds.iter().filter_map(|it| it.get(at).copied()).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    let launches = plan.phases.get(&Phase::Step).map_or(&[][..], |it| &it.launches);
    let mut timed: Vec<Timed> = Vec::new();
    for (at, launch) in launches.iter().enumerate() {
        let spec = &plan.kernels[launch.kernel];
        let (flops, bytes, seconds) = (spec.flops() as f64, plan.traffic(launch) as f64, median(at));
        // What is part of the launch before is told with it.
        if seconds == Some(0.0)
            && let Some(last) = timed.last_mut()
        {
            (last.launches, last.flops, last.bytes) = (last.launches + 1, last.flops + flops, last.bytes + bytes);
            continue;
        }
        let (layer, kernel, contraction) = (launch.layer.clone(), spec.family(), spec.is_contraction());
        timed.push(Timed { layer, kernel, launches: 1, contraction, flops, bytes, seconds });
    }
    Ok(timed)
}

/// Launches added up.
#[derive(Clone, Copy, Default)]
struct Sum {
    launches: usize,
    seconds: f64,
    flops: f64,
    bytes: f64,
    /// Seconds that a device at its best would take.
    floor: f64,
}

impl Sum {
    fn add(&mut self, it: &Timed, peaks: Option<Peaks>) {
        self.launches += it.launches;
        self.seconds += it.seconds.unwrap_or(0.0);
        self.flops += it.flops;
        self.bytes += it.bytes;
        self.floor += peaks.map_or(0.0, |best| {
            let peak = if it.contraction { best.contraction } else { best.scalar };
            (it.flops / peak).max(it.bytes / best.bytes)
        });
    }
}

struct Report {
    device: String,
    batch: usize,
    /// Of whole steps, ascending.
    times: Vec<f64>,
    /// Of which each is the mean of so many.
    block: u32,
    launches: Vec<Timed>,
    /// Nodes of the graph that they are on the device.
    nodes: Option<usize>,
    peaks: Option<Peaks>,
}

impl Report {
    fn median(&self) -> f64 {
        self.times[self.times.len() / 2]
    }

    /// Launches of the plan.
    fn count(&self) -> usize {
        self.launches.iter().map(|it| it.launches).sum()
    }

    fn flops(&self) -> f64 {
        self.launches.iter().map(|it| it.flops).sum()
    }

    /// Share of the device's contraction peak that the step's contractions come to.
    fn utilisation(&self) -> Option<f64> {
        let flops: f64 = self.launches.iter().filter(|it| it.contraction).map(|it| it.flops).sum();
        Some(flops / self.median() / self.peaks?.contraction)
    }

    /// Launches added up by `key`, in order of the first of each.
    fn sums<'a, K: Eq>(&'a self, key: impl Fn(&'a Timed) -> K) -> Vec<(K, Sum)> {
        let mut sums: Vec<(K, Sum)> = Vec::new();
        for it in &self.launches {
            let key = key(it);
            let at = sums.iter().position(|it| it.0 == key).unwrap_or_else(|| {
                sums.push((key, Sum::default()));
                sums.len() - 1
            });
            sums[at].1.add(it, self.peaks);
        }
        sums
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let kernels = self.sums(|it| (it.layer.as_str(), it.kernel)).into_iter().map(|((layer, kernel), it)| {
            json!({
                "layer": layer,
                "kernel": kernel,
                "launches": it.launches,
                "seconds": it.seconds,
                "flops": it.flops,
                "bytes": it.bytes,
                "floor_seconds": self.peaks.map(|_| it.floor),
            })
        });
        let object = json!({
            "device": self.device,
            "batch": self.batch,
            "steps": self.times.len(),
            "median_seconds": self.median(),
            "fastest_seconds": self.times[0],
            "slowest_seconds": self.times[self.times.len() - 1],
            "images_per_second": self.batch as f64 / self.median(),
            "flops_per_step": self.flops(),
            "steps_at_a_time": self.block,
            "launches": self.count(),
            "nodes": self.nodes,
            "model_flop_utilisation": self.utilisation(),
            "kernels": kernels.collect::<Vec<_>>(),
        });
        writeln!(out, "{object}")
    }

    fn write(&self, out: &mut impl Write, layers: bool) -> io::Result<()> {
        let median = self.median();
        writeln!(out, "device        {}", self.device)?;
        writeln!(
            out,
            "step          {:.2} ms (median of {}; fastest {:.2}, slowest {:.2}), batch {}",
            1e3 * median,
            self.times.len(),
            1e3 * self.times[0],
            1e3 * self.times[self.times.len() - 1],
            self.batch
        )?;
        writeln!(out, "images        {:.0} per second", self.batch as f64 / median)?;
        let flops = self.flops();
        writeln!(
            out,
            "arithmetic    {}FLOP in {} launches{}, {}FLOP/s",
            spaced(flops),
            self.count(),
            self.nodes.map_or(String::new(), |it| format!(", {it} nodes of the graph")),
            spaced(flops / median)
        )?;
        if let (Some(best), Some(share)) = (self.peaks, self.utilisation()) {
            writeln!(
                out,
                "utilisation   {:.1} % of {}FLOP/s in contractions; memory at best {}B/s",
                100.0 * share,
                spaced(best.contraction),
                spaced(best.bytes)
            )?;
        }
        let whole = self.sums(|_| ()).first().map_or(0.0, |it| it.1.seconds);
        if self.launches.iter().all(|it| it.seconds.is_none()) {
            return Ok(());
        }
        writeln!(out, "\nlaunches, each measured alone ({:.2} ms together)", 1e3 * whole)?;
        let row = |name: Vec<String>, it: &Sum| {
            let rate = |work: f64| if it.seconds == 0.0 { 0.0 } else { work / it.seconds };
            let mut row = name;
            row.push(it.launches.to_string());
            row.push(format!("{:.3}", 1e3 * it.seconds));
            row.push(format!("{:.1} %", 100.0 * it.seconds / whole));
            row.push(format!("{:.3}", rate(it.flops) * 1e-12));
            row.push(format!("{:.1}", rate(it.bytes) * 1e-9));
            row.extend(self.peaks.map(|_| format!("{:.0} %", 100.0 * rate(it.floor))));
            row
        };
        let mut header = if layers { vec!["layer", "kernel"] } else { vec!["kernel"] };
        header.extend([">launches", ">ms", ">share", ">TFLOP/s", ">GB/s"]);
        header.extend(self.peaks.map(|_| ">of the floor"));
        let rows: Vec<Vec<String>> = if layers {
            let name = |layer: &str| if layer.is_empty() { "-".to_owned() } else { layer.to_owned() };
            let sums = self.sums(|it| (it.layer.as_str(), it.kernel));
            sums.iter().map(|((layer, kernel), it)| row(vec![name(layer), (*kernel).to_owned()], it)).collect()
        } else {
            self.sums(|it| it.kernel).iter().map(|(kernel, it)| row(vec![(*kernel).to_owned()], it)).collect()
        };
        write!(out, "{}", table::render(&header, &rows))
    }
}

fn spaced(number: f64) -> String {
    let text = table::scaled(number);
    if text.contains(' ') { text } else { text + " " }
}

/// Examples of random numbers: bytes, ids that the data set has, or reals from 0 to 1.
fn noise(training: &Training, element: Element, range: Option<Extremes>, examples: usize) -> Dataset {
    let Training { data: name, image, classes, target, .. } = training;
    let classes = *classes;
    let each = target.count(classes);
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    let Extremes([least, most]) = match (element.dtype, range) {
        (DType::U16, _) => Extremes([0.0, 65535.0]),
        (DType::Int, Some(range)) => range,
        (DType::Int | DType::U8, _) => Extremes::BYTES,
        (DType::Real | DType::Bf16, _) => Extremes([0.0, 1.0]),
    };
    let whole = element.dtype != DType::Real;
    let mut number = || match whole {
        true => least + (next() * (most - least + 1.0)).floor(),
        false => next(),
    };
    let mut split = || Split {
        images: {
            let mut bytes = Vec::new();
            (0..examples * image.len()).for_each(|_| element.put(number(), &mut bytes));
            bytes.into()
        },
        targets: match target {
            TargetKind::Class => Targets::Classes((0..examples).map(|it| (it % classes) as i64).collect()),
            TargetKind::Map(_) => {
                Targets::Bytes { each, bytes: (0..examples * each).map(|it| (it % classes) as u8).collect() }
            }
            TargetKind::Labels => {
                Targets::Bytes { each, bytes: (0..examples * each).map(|it| (it % 2) as u8).collect() }
            }
            TargetKind::Numbers(_) => {
                Targets::Numbers { each, numbers: (0..examples * each).map(|it| (it % 256) as f64 / 256.0).collect() }
            }
        },
    };
    let (train, test) = (split(), split());
    Dataset {
        name: name.clone(),
        image: image.clone(),
        dtype: element.dtype,
        double: element.double,
        target: target.clone(),
        classes: (0..classes).map(|it| it.to_string()).collect(),
        train,
        test,
        validation: None,
        range: None,
        warnings: Vec::new(),
    }
}
