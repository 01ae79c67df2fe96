//! Every kernel of every model, compiled by NVRTC to PTX for compute_80 and assembled for sm_80 and sm_90 by ptxas,
//! which reports registers and spills. `tests/cuda/setup.sh` installs both; `SPHC_CUDA_LIB` says where.
//!
//! The networks of the zoo have some thousands of kernels, most of which differ in nothing but sizes. One of each such kind
//! is compiled here, of a share of the kinds; with `SPHC_EVERY_KERNEL=1` all kernels are, which takes hours of a processor, and
//! with `SPHC_EVERY_KERNEL=kinds` one of every kind.

use crate::backends::emulate::module::build;
use crate::networks::zoo::known_data;
use cudarc::nvrtc::result;
use sphc::ir::{DType, Geometry, Precision};
use sphc::kernel::cuda::{Arithmetic, CudaSource, Options, beyond, generate, write};
use sphc::kernel::{ConvKernel, ConvKind, KernelSpec};
use sphc::lower::Settings;
use sphc::pipeline;
use sphc::plan::{Plan, Units};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// NVIDIA's assembler, if the tools are there. CI sets `SPHC_REQUIRE_NVRTC`, so that nothing is skipped there.
pub(super) fn assembler() -> Option<PathBuf> {
    let required = std::env::var_os("SPHC_REQUIRE_NVRTC").is_some();
    let libraries = std::env::var_os("SPHC_CUDA_LIB").map(PathBuf::from);
    let found = libraries.as_ref().and_then(|it| it.parent().map(|it| it.join("bin/ptxas"))).filter(|it| it.exists());
    let setup = sphc::runtime::CudaSetup { libraries: libraries.clone(), ..Default::default() };
    let found = found.filter(|_| sphc::runtime::cuda::probe(&setup).compiler.is_ok());
    assert!(
        found.is_some() || !required,
        "tests/cuda/setup.sh installs NVRTC and ptxas; set SPHC_CUDA_LIB to what it prints"
    );
    if found.is_none() {
        eprintln!("skipped: SPHC_CUDA_LIB names no NVRTC with a ptxas; tests/cuda/setup.sh installs them");
    }
    found
}

/// The kernels of a model in each precision.
fn kernels(model: &Path) -> Vec<CudaSource> {
    kernels_in(model, &[Precision::F32, Precision::Tf32, Precision::Bf16])
}

pub(super) fn kernels_in(model: &Path, precisions: &[Precision]) -> Vec<CudaSource> {
    let file = model.display().to_string();
    let text = std::fs::read_to_string(model).unwrap();
    let known_data = known_data();
    // The recipe's batch, or as much of it as kernels for one GPU can count.
    for batch in std::iter::once(None).chain((0..10).map(|it| Some(2048 >> it))) {
        let settings = Settings { batch, known_data: known_data.clone(), ..Settings::default() };
        let mut load = |it: &str| std::fs::read_to_string(it).map_err(|it| it.to_string());
        let checked = pipeline::check(&file, &text, &mut load, &settings);
        let typed = checked.typed.unwrap_or_else(|| panic!("{file}: {:#?}", checked.diagnostics));
        let plan = |&precision: &Precision| {
            let identity = pipeline::identity(&checked.sources, &settings, precision);
            pipeline::compile(typed.clone(), &checked.sources, precision, identity).plan
        };
        let plans: Vec<Plan> = precisions.iter().map(plan).collect();
        if plans.iter().flat_map(|it| &it.kernels).all(|it| beyond(it).is_none()) {
            let of = |plan: &Plan| {
                let options = Options { arithmetic: Arithmetic::of(plan.precision).unwrap(), ..Options::default() };
                Units::new(plan, |it| write(it, &options)).sources.into_iter().map(|it| it.code).collect::<Vec<_>>()
            };
            return plans.iter().flat_map(of).collect();
        }
    }
    panic!("{file}: one tensor of one example is too long");
}

/// What is generated of a text, without the sizes of tensors: tiles, vectors, windows and expressions. Kernels of one kind differ
/// in how far their loops run.
pub(super) fn kind(text: &str) -> String {
    const SIZES: [&str; 14] = [
        "IMAGES",
        "BEFORE_",
        "SOURCE_",
        "TARGET_",
        "INPUT_H",
        "INPUT_W",
        "INPUT_C",
        "OUTPUT_",
        "CHANNELS",
        "ROWS",
        "COLUMNS",
        "BLOCK_ROWS",
        "ROW_BLOCKS",
        "SPLIT",
    ];
    let mut out = String::new();
    let mut generated = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("#line ") {
            generated = rest.ends_with("\"generated\"");
            // Which of the files lie between stays.
            out += if generated { "" } else { rest };
            continue;
        }
        if !generated {
            continue;
        }
        let constant = line.strip_prefix("constexpr ").and_then(|it| it.split(' ').nth(1));
        if constant.is_some_and(|name| !SIZES.iter().any(|it| name.starts_with(it))) {
            out += line;
        } else {
            // Numbers, but not those within names.
            let mut last = ' ';
            for it in line.chars() {
                let number = it.is_ascii_digit() || it == '.' && last == '#';
                let of_a_name = last.is_ascii_alphanumeric() || last == '_';
                match number && !of_a_name {
                    true if last == '#' => {}
                    true => {
                        out.push('#');
                        last = '#';
                    }
                    false => {
                        out.push(it);
                        last = it;
                    }
                }
            }
        }
        out.push('\n');
    }
    out
}

/// Kinds of which one kernel is compiled when nothing else is asked for, out of those that `models` and `tests/nets` lack.
const SHARE: usize = 80;

/// What is compiled: all kernels of the small models, and of the zoo what `SPHC_EVERY_KERNEL` says.
fn chosen(small: Vec<CudaSource>, zoo: Vec<CudaSource>) -> Vec<CudaSource> {
    let wanted = std::env::var("SPHC_EVERY_KERNEL").unwrap_or_default();
    assert!(["", "1", "kinds"].contains(&wanted.as_str()), "SPHC_EVERY_KERNEL is `1` or `kinds`, not `{wanted}`");
    let mut kinds = BTreeSet::new();
    let mut texts = BTreeSet::new();
    let mut all = Vec::new();
    let (of_small, of_zoo) = (small.len(), zoo.len());
    for it in small {
        kinds.insert(kind(&it.text));
        if texts.insert(it.text.clone()) {
            all.push(it);
        }
    }
    let mut more = Vec::new();
    for it in zoo {
        let new = kinds.insert(kind(&it.text));
        if texts.insert(it.text.clone()) && (new || wanted == "1") {
            more.push(it);
        }
    }
    eprintln!(
        "{of_small} kernels of small models and {of_zoo} of the zoo: {} texts, {} kinds; {} and {}",
        texts.len(),
        kinds.len(),
        all.len(),
        more.len()
    );
    // Every so many of them, so that all networks and precisions have their share.
    let step = if wanted.is_empty() { more.len().div_ceil(SHARE).max(1) } else { 1 };
    all.extend(more.into_iter().step_by(step));
    all
}

/// Convolutions that no model here has: in groups, and dilated.
fn convolutions() -> Vec<CudaSource> {
    let dilated = |stride| Geometry::valid([3, 3], [stride; 2]).dilated([2, 2]).padded([28, 28]);
    let depthwise = Geometry::same([28, 28], [3, 3], [2, 2]).grouped(64);
    let mut all = Vec::new();
    for geometry in [depthwise, dilated(2).grouped(16), dilated(1), dilated(2)] {
        for kind in [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad] {
            let [oh, ow] = geometry.output([28, 28]).unwrap();
            for (dtype, arithmetic) in
                [(DType::Real, Arithmetic::F32), (DType::Real, Arithmetic::Tf32), (DType::Bf16, Arithmetic::Bf16)]
            {
                let (input, output) = ([28, 28, 64], [oh, ow, 128]);
                let conv = ConvKernel { kind, geometry, n: 32, input, output, reads: dtype, writes: dtype };
                all.push(generate(&KernelSpec::Conv(conv), &Options { arithmetic, ..Options::default() }));
            }
        }
    }
    all
}

/// PTX for a virtual architecture, or what the compiler says.
pub(super) fn ptx(text: &str, architecture: &str) -> Result<Vec<u8>, String> {
    let text = CString::new(text).unwrap();
    let program = result::create_program(&text, Some(c"kernel.cu")).unwrap();
    // SAFETY: `program` is alive until it is destroyed at the end.
    unsafe {
        let options = [format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned()];
        let made = match result::compile_program(program, &options) {
            Ok(()) => Ok(result::get_ptx(program)
                .unwrap()
                .into_iter()
                .map(|it| it as u8)
                .take_while(|it| *it != 0)
                .collect::<Vec<u8>>()),
            Err(_) => {
                let log = result::get_program_log(program).unwrap_or_default();
                Err(String::from_utf8_lossy(&log.into_iter().map(|it| it as u8).collect::<Vec<u8>>()).into_owned())
            }
        };
        result::destroy_program(program).unwrap();
        made
    }
}

/// What ptxas says about an entry.
pub(super) struct Told {
    pub(super) entry: String,
    pub(super) registers: u32,
    /// Bytes of its frame, and of those what it stores and loads because registers do not suffice.
    pub(super) stack: u32,
    pub(super) spilled: u32,
}

/// Assembles to `kernel.cubin` in a folder.
pub(super) fn assemble(assembler: &Path, folder: &Path, ptx: &[u8], architecture: &str) -> Vec<Told> {
    let file = folder.join("kernel.ptx");
    std::fs::write(&file, ptx).unwrap();
    let output = Command::new(assembler)
        .args(["-v", "-arch", architecture, "-o"])
        .arg(folder.join("kernel.cubin"))
        .arg(&file)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{architecture}\n{text}");
    let number = |line: &str, before: &str| -> u32 {
        let end = line.find(before).unwrap_or_else(|| panic!("no `{before}` in {line}"));
        line[..end].trim_end().rsplit([' ', ',']).next().unwrap().parse().unwrap()
    };
    let mut found = Vec::new();
    let (mut entry, mut stack, mut spilled) = (String::new(), 0, 0);
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("Function properties for ") {
            entry = rest.trim().to_owned();
        } else if line.contains("bytes spill stores") {
            stack = number(line, "bytes stack frame");
            spilled = number(line, "bytes spill stores") + number(line, "bytes spill loads");
        } else if line.contains("Used ") && line.contains(" registers") {
            found.push(Told { entry: entry.clone(), registers: number(line, "registers"), stack, spilled });
        }
    }
    found
}

/// Most registers by architecture and entry of one text, as lines; kept on disk, as compiling takes a while.
fn report(assembler: &Path, source: &CudaSource) -> String {
    let tools = std::fs::metadata(assembler).map_or(0, |it| it.len()).to_string();
    let (folder, _) = build("assembled", &[&source.text, &tools], |folder| {
        std::fs::write(folder.join("kernel.cu"), &source.text).unwrap();
        let mut lines = String::new();
        match ptx(&source.text, "compute_80") {
            Ok(ptx) => {
                for architecture in ["sm_80", "sm_90"] {
                    for Told { entry, registers, spilled, .. } in assemble(assembler, folder, &ptx, architecture) {
                        lines += &format!("{architecture} {entry} {registers} {spilled}\n");
                    }
                }
            }
            Err(log) => lines = format!("error {log}"),
        }
        std::fs::write(folder.join("report"), lines).unwrap();
    });
    std::fs::read_to_string(folder.join("report")).unwrap()
}

#[test]
fn every_kernel_of_every_model_compiles_and_nothing_spills() {
    let Some(assembler) = assembler() else { return };
    let within = |folders: &[&str]| -> Vec<CudaSource> {
        let entries = folders.iter().flat_map(|it| std::fs::read_dir(it).unwrap());
        let mut models: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
        models.retain(|it| it.extension().is_some_and(|it| it == "sph"));
        models.sort();
        models.iter().flat_map(|it| kernels(it)).collect()
    };
    let mut small = within(&["models", "tests/nets"]);
    small.extend(convolutions());
    let sources = chosen(small, within(&["models/zoo"]));
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(vec![String::new(); sources.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |it| it.get()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(source) = sources.get(at) else { break };
                    let report = report(&assembler, source);
                    reports.lock().unwrap()[at] = report;
                }
            });
        }
    });
    // Most registers per architecture and entry.
    let mut most: BTreeMap<(String, String), u32> = BTreeMap::new();
    for (source, report) in sources.iter().zip(reports.into_inner().unwrap()) {
        assert!(!report.starts_with("error"), "{report}\n{}", source.text);
        for line in report.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap().to_owned();
            let (architecture, entry, registers, spilled) = (word(), word(), word(), word());
            assert_eq!(spilled, "0", "{line}\n{}", source.text);
            let of = most.entry((entry, architecture)).or_default();
            *of = (*of).max(registers.parse().unwrap());
        }
    }
    eprintln!("{} kernels; most registers: {most:?}", sources.len());
}
