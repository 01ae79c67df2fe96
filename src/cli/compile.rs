//! `sphc compile`.

use super::args::{self, RecipeArgs, SetArgs};
use super::failure::{Failure, Outcome};
use super::{load, memory, say, table};
use clap::ValueEnum;
use sphc::cuda_files;
use sphc::ir::Precision;
use sphc::plan::{self, Plan};
use sphc::syntax;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model file (.sph)
    file: PathBuf,
    /// Write plan.yaml into this directory, and for `--target cuda` the kernels
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print what a stage made
    #[arg(long, value_enum, value_name = "STAGE")]
    emit: Option<Stage>,
    /// What to compile for
    #[arg(long, value_enum, default_value_t)]
    target: Target,
    /// Also compile the kernels for an architecture such as sm_90 and write the cubins; means `--target cuda`
    #[arg(long, value_name = "ARCH", requires = "output", value_parser = architecture)]
    arch: Option<String>,
    /// Print how long each pass took, on standard error
    #[arg(long)]
    timings: bool,
    /// Arithmetic and storage; what the recipe says unless given, else f32
    #[arg(long, value_parser = args::precision())]
    precision: Option<Precision>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The parsed text
    Ast,
    /// The graph before its shapes are checked
    Ir,
    /// The graph with all shapes
    Typed,
    /// With loss, gradients and updates
    Grad,
    /// Grouped into kernels
    Fused,
    /// The distinct kernels
    Kernels,
    /// The executable plan
    Plan,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Target {
    #[default]
    Cpu,
    Cuda,
}

fn architecture(text: &str) -> Result<String, String> {
    let number = text.strip_prefix("sm_").map(|it| it.trim_end_matches(['a', 'f']));
    match number.and_then(|it| it.parse::<u32>().ok()) {
        Some(80..) => Ok(text.to_owned()),
        Some(_) => Err("kernels need sm_80 or later".to_owned()),
        None => Err("an architecture is written like sm_80 or sm_90".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Outcome {
    let target = if args.arch.is_some() { Target::Cuda } else { args.target };
    if args.output.as_deref().is_some_and(load::is_stdin) {
        let cause = "`-o` is a directory for several files, which standard output cannot hold";
        return Err(Failure::new(cause, "`--emit plan` prints the plan, `--emit kernels` the kernels"));
    }
    let model = load::model(&args.file, args::options(&args.set, &args.recipe, args.precision))?;
    let mut out = io::stdout();
    if matches!(args.emit, Some(Stage::Ast | Stage::Ir)) {
        // These are there for files with mistakes, too.
        let checked = model.check()?;
        let text = match (args.emit, checked.graph()) {
            (Some(Stage::Ast), _) => syntax::dump(&checked.ast),
            (_, Some(graph)) => graph.to_string(),
            (_, None) => String::new(),
        };
        out.write_all(text.as_bytes())?;
        model.demand(&checked)?;
        return Ok(ExitCode::SUCCESS);
    }
    let model = model.compile()?;
    let compiled = &model.compiled;
    if args.timings {
        let timings = model.checked.timings.iter().chain(&compiled.timings);
        for it in timings {
            let _ = writeln!(say::err(), "{:>10} {:9.3} ms", it.pass, it.time.as_secs_f64() * 1e3);
        }
    }
    match args.emit {
        Some(Stage::Typed) => write!(out, "{}", model.checked.typed.as_ref().ok_or(Failure::Reported)?.graph())?,
        Some(Stage::Grad) => write!(out, "{}", compiled.training.graph())?,
        Some(Stage::Fused) => write!(out, "{}", compiled.fused)?,
        Some(Stage::Kernels) if target == Target::Cuda => {
            for (name, text) in cuda_files(&compiled.plan)? {
                write!(out, "// {name}\n{text}")?;
            }
        }
        Some(Stage::Kernels) => out.write_all(kernels(&compiled.plan).as_bytes())?,
        Some(Stage::Plan) => out.write_all(plan::to_yaml(&compiled.plan).map_err(Failure::from_error)?.as_bytes())?,
        Some(Stage::Ast | Stage::Ir) | None => {}
    }
    if let Some(directory) = &args.output {
        let texts = if target == Target::Cuda { cuda_files(&compiled.plan)? } else { Vec::new() };
        let cubins = args.arch.as_ref().map(|it| cubins(&texts, it)).transpose()?.unwrap_or_default();
        let path = write_plan(directory, &compiled.plan)?;
        for (name, text) in &texts {
            write_file(&directory.join(name), text.as_bytes())?;
        }
        for ((name, _), cubin) in texts.iter().zip(&cubins) {
            write_file(&directory.join(name).with_extension("cubin"), cubin)?;
        }
        let _ = writeln!(say::err(), "wrote {}", path.display());
    } else if args.emit.is_none() {
        write!(out, "{}", summary(&compiled.plan))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_plan(directory: &Path, plan: &Plan) -> Result<PathBuf, Failure> {
    let text = plan::to_yaml(plan).map_err(Failure::from_error)?;
    let path = directory.join("plan.yaml");
    write_file(&path, text.as_bytes())?;
    Ok(path)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|cause| Failure::unwritten(path, &cause, "give a writable directory with `-o`"))
}

/// Machine code of each text.
#[cfg(feature = "cuda")]
fn cubins(texts: &[(String, String)], architecture: &str) -> Result<Vec<Vec<u8>>, Failure> {
    use sphc::runtime::cuda::Compiler;
    let texts: Vec<&str> = texts.iter().map(|it| it.1.as_str()).collect();
    let images = Compiler::new(&args::cuda()).and_then(|it| it.compile_all(&texts, architecture));
    let images = images.map_err(|it| Failure::new(it.cause, it.remedy))?;
    Ok(images.into_iter().map(|it| it.bytes).collect())
}

#[cfg(not(feature = "cuda"))]
fn cubins(_: &[(String, String)], _: &str) -> Result<Vec<Vec<u8>>, Failure> {
    Err(Failure::new("this sphc was built without CUDA", "build it with the feature `cuda`, or leave out `--arch`"))
}

/// One block per distinct kernel.
fn kernels(plan: &Plan) -> String {
    let mut res = String::new();
    for (at, kernel) in plan.kernels.iter().enumerate() {
        let uses = plan.phases.values().flat_map(|it| &it.launches).filter(|it| it.kernel == at).count();
        let _ = writeln!(res, "kernel {at}, launched {uses} times");
        for line in format!("{kernel:?}").lines() {
            let _ = writeln!(res, "  {line}");
        }
    }
    res
}

fn summary(plan: &Plan) -> String {
    let mut res = String::new();
    let launches = |it: &plan::PhasePlan| it.launches.len();
    let phases: Vec<String> = plan.phases.iter().map(|(phase, it)| format!("{} in {phase:?}", launches(it))).collect();
    let _ = writeln!(
        res,
        "{}: {} kernels, launches: {}; {} of memory",
        plan.name,
        plan.kernels.len(),
        phases.join(", ").to_lowercase(),
        table::bytes(memory::of(plan, None).total()),
    );
    let _ = writeln!(res, "`-o DIR` writes the plan, `--emit STAGE` prints a stage");
    res
}
