//! `sphc doctor`: one line each, with the remedy where something is missing.

use super::failure::Outcome;
use super::{args, say, table};
use sphc::data::{self, Place};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Outcome {
    let mut out = say::out();
    writeln!(out, "sphc        {} for {}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS)?;
    writeln!(out, "cpu         {}", cpu())?;
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get());
    writeln!(out, "threads     {threads} (`--threads N` takes fewer; the results are the same bits)")?;
    let memory = proc_value("/proc/meminfo", "MemAvailable");
    if let Some(kibibytes) = memory.and_then(|it| it.trim_end_matches(" kB").parse::<usize>().ok()) {
        let memory = table::bytes(1024 * kibibytes);
        writeln!(out, "memory      {memory} available (`sphc show FILE` tells what a model needs)")?;
    }
    let mpi = if cfg!(feature = "mpi") {
        "`mpirun -n N sphc train FILE` trains as N processes"
    } else {
        "this build trains as one process; `--features mpi` adds several (docs/distributed.md)"
    };
    writeln!(out, "mpi         {mpi}")?;
    for line in cuda() {
        writeln!(out, "{line}")?;
    }
    for manifest in data::catalog() {
        let place = match data::locate(&manifest.name, args::data_folder().as_deref()) {
            Ok((_, Place::Embedded)) => "embedded".to_owned(),
            Ok((_, Place::At(it))) => format!("found in {}", it.display()),
            Err(_) => format!("not found: {}", manifest.remedy(&manifest.name)),
        };
        writeln!(out, "data        {}: {place}", manifest.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Vec<String> {
    vec!["cuda        this build has no CUDA backend; `--device cpu` trains everything".to_owned()]
}

#[cfg(feature = "cuda")]
fn cuda() -> Vec<String> {
    let found = sphc::runtime::cuda::probe(&args::cuda());
    let mut lines = Vec::new();
    let refused = match (&found.driver, &found.compiler) {
        (Ok(driver), Ok(compiler)) => driver.refuses(*compiler),
        _ => None,
    };
    match found.driver {
        Ok(driver) => {
            let (major, minor) = driver.version;
            lines.push(format!("driver      knows CUDA up to {major}.{minor}"));
            for (number, it) in driver.devices.iter().enumerate() {
                let (major, minor) = it.capability;
                let old = if it.capability < (8, 0) { "; the kernels need 8.0" } else { "" };
                let memory = super::table::bytes(it.memory);
                let processors = it.processors;
                lines.push(format!(
                    "cuda:{number:<6} {}, compute capability {major}.{minor}{old}, {processors} multiprocessors, {memory}",
                    it.name
                ));
            }
        }
        Err(it) => lines.push(format!("driver      {}: {}", it.cause, it.remedy)),
    }
    lines.push(match (found.compiler, refused) {
        (Ok((major, minor)), None) => format!("nvrtc       {major}.{minor}"),
        (Ok(_), Some(it)) | (Err(it), _) => format!("nvrtc       {}: {}", it.cause, it.remedy),
    });
    for (number, it) in found.architectures.iter().enumerate() {
        lines.push(match it.starts_with("compute_") {
            true => format!(
                "kernels     for cuda:{number} as PTX for {it}: NVRTC knows nothing newer, so the driver makes the code"
            ),
            false => format!("kernels     for cuda:{number} as machine code for {it}"),
        });
    }
    lines.push(match found.cache {
        Some(it) => format!("cubins      kept in {}", it.display()),
        None => "cubins      not kept: set SPHC_CACHE to a folder, or kernels are compiled at every start".to_owned(),
    });
    lines
}

fn cpu() -> String {
    let name = proc_value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let features = features();
    if features.is_empty() {
        format!("{name}; none of the vector extensions that the kernels know")
    } else {
        format!("{name}; {}", features.join(", "))
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    all.into_iter().filter(|it| it.1).map(|it| it.0).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

/// The first `key : value` of a file that Linux keeps.
fn proc_value(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|it| it.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
