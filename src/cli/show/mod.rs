//! `sphc show`.

mod diagram;
mod docs;
mod dot;
mod picture;
mod place;
mod rows;

use super::args::{self, RecipeArgs, SetArgs};
use super::failure::{Failure, Outcome};
use super::{load, memory, table};
use clap::ValueEnum;
use serde_json::{Value, json};
use sphc::Compilation;
use sphc::diag;
use sphc::ir::{Argument, Phase, Precision};
use sphc::kernel;
use sphc::plan::Plan;
use sphc::runtime;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) use rows::{Row, rows};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model file (.sph); or `std`, what can be imported from the binary, and a path in it
    file: PathBuf,
    /// A table, a picture of the layers (Graphviz or SVG), or JSON
    #[arg(long, value_enum, default_value_t)]
    format: View,
    /// Draw each repeat in a picture, instead of one for all
    #[arg(long)]
    unfold: bool,
    /// Arithmetic and storage; what the recipe says unless given, else f32
    #[arg(long, value_parser = args::precision())]
    precision: Option<Precision>,
    /// CPU threads that its memory is for; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = args::threads)]
    threads: Option<u64>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum View {
    #[default]
    Table,
    Dot,
    Svg,
    Json,
}

pub(super) fn run(args: &Args) -> Outcome {
    if let Some(text) = docs::library(&args.file) {
        if args.format != View::Table {
            return Err(Failure::new("what can be imported is told for people only", "leave out `--format`"));
        }
        io::stdout().write_all(diag::plain(&text).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let model = load::model(&args.file, args::options(&args.set, &args.recipe, args.precision))?.compile()?;
    let rows = rows(&model);
    let graph = model.compiled.training.graph();
    let text = match args.format {
        View::Table => {
            diag::plain(&(docs::text(&model, &args.set.set) + &as_table(&model, &rows, args.threads))).into()
        }
        View::Dot => dot::dot(&graph.name, &diagram::of(graph, &rows, !args.unfold)),
        View::Svg => picture::svg(&graph.name, &diagram::of(graph, &rows, !args.unfold)),
        View::Json => format!("{}\n", as_json(&model, &rows, args.threads)),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// `1,234`, `1,234 frozen`, `1,234 (1,000 frozen)`.
fn counted(parameters: usize, frozen: usize) -> String {
    let all = table::grouped(parameters as u64);
    match frozen {
        _ if parameters == 0 => String::new(),
        0 => all,
        _ if frozen == parameters => format!("{all} frozen"),
        _ => format!("{all} ({} frozen)", table::grouped(frozen as u64)),
    }
}

pub(super) fn shape(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

fn as_table(model: &Compilation, rows: &[Row], threads: Option<u64>) -> String {
    let plan = &model.compiled.plan;
    let graph = model.compiled.training.graph();
    let mut res = String::new();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|it| {
            vec![
                it.path.clone(),
                it.kind.clone(),
                it.then.join(", "),
                shape(&it.shape),
                it.learned.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "),
                counted(it.parameters(), it.frozen()),
                if it.flops == 0 { String::new() } else { table::scaled(it.flops as f64) },
                table::bytes(it.bytes),
                it.line.clone(),
            ]
        })
        .collect();
    let header = ["layer", "kind", "then", ">output", "learns", ">parameters", ">FLOPs", ">bytes", "line"];
    res += &table::render(&header, &cells);
    let parameters: usize = graph.params.iter().map(|it| it.shape.len()).sum();
    let _ = writeln!(res, "\nparameters   {}", counted(parameters, rows.iter().map(Row::frozen).sum()));
    let phase = |phase: Phase| {
        model.compiled.fused.phases.get(&phase).iter().flat_map(|it| it.iter()).map(|it| it.flops).sum::<u64>()
    };
    if let Some(training) = &plan.training {
        let each = phase(Phase::Evaluate) as f64 / training.part() as f64;
        let _ = writeln!(
            res,
            "arithmetic   {}FLOPs to evaluate an image, {}FLOPs a step of {} images",
            table::scaled(each),
            table::scaled(phase(Phase::Step) as f64),
            training.batch
        );
    }
    if let Some((launches, nodes)) = launches(plan) {
        let on_gpu = nodes.map_or(String::new(), |it| format!("; {it} nodes of the graph that it is on a GPU"));
        let _ = writeln!(res, "launches     {launches} a step{on_gpu}");
    }
    let memory = memory::of(plan, threads);
    let _ = writeln!(
        res,
        "memory       {}: {}",
        table::bytes(memory.total()),
        memory::parts(&memory).map(|(name, it)| format!("{name} {}", table::bytes(it))).join(", "),
    );
    let program = memory::program(model);
    let _ = writeln!(
        res,
        "process      {} at most while it is trained on this CPU, {} of it the program",
        table::bytes(memory.total() + program),
        table::bytes(program)
    );
    if let Some(training) = &plan.training {
        let _ = writeln!(
            res,
            "recipe       {} iterations of {} images{} of {}",
            training.iterations,
            training.batch,
            if training.accumulate == 1 { String::new() } else { format!(" in {} parts", training.accumulate) },
            training.data
        );
    }
    res
}

/// Launches of a step; and nodes of its graph on a GPU, if one can run it, with as many multiprocessors as an H100 has: by
/// their number sums are shared out.
fn launches(plan: &Plan) -> Option<(usize, Option<usize>)> {
    let step = plan.phases.get(&Phase::Step)?;
    Some((step.launches.len(), runtime::cuda_nodes(plan, Phase::Step, kernel::cuda::Options::default().processors)))
}

fn as_json(model: &Compilation, rows: &[Row], threads: Option<u64>) -> Value {
    let plan = &model.compiled.plan;
    let graph = model.compiled.training.graph();
    let tensors = |all: &[rows::Tensor]| -> Vec<Value> {
        let one =
            |it: &rows::Tensor| json!({ "name": it.name, "shape": it.dims, "role": it.role, "frozen": it.frozen });
        all.iter().map(one).collect()
    };
    let layers = rows.iter().filter(|it| it.is_layer()).map(|it| {
        json!({
            "layer": it.path,
            "kind": it.kind,
            "callee": it.callee,
            "arguments": arguments(&it.arguments),
            "then": it.then,
            "output": it.shape,
            "learns": tensors(&it.learned),
            "keeps": tensors(&it.kept),
            "parameters": it.parameters(),
            "frozen": it.frozen(),
            "flops": it.flops,
            "bytes": it.bytes,
            "line": it.line,
        })
    });
    let functions = rows.iter().filter(|it| !it.is_layer()).map(
        |it| json!({ "within": it.path, "then": it.then, "output": it.shape, "bytes": it.bytes, "line": it.line }),
    );
    let blocks = graph.blocks.iter().map(|it| {
        let layers: Vec<&str> = graph.layers[it.layers.clone()].iter().map(|it| it.path.as_str()).collect();
        json!({
            "block": it.path,
            "kind": it.callee.text,
            "callee": it.callee.name,
            "arguments": arguments(&it.callee.arguments),
            "layers": layers,
        })
    });
    let parameters: Vec<Value> =
        graph.params.iter().map(|it| json!({ "name": it.path, "shape": it.shape.dims() })).collect();
    let memory = memory::of(plan, threads);
    let (total, program) = (memory.total(), memory::program(model));
    let sums = [("total", total), ("program", program), ("process", total + program)];
    json!({
        "model": plan.name,
        "hash": plan.hash,
        "params": docs::params(model),
        "layers": layers.collect::<Vec<_>>(),
        "functions": functions.collect::<Vec<_>>(),
        "blocks": blocks.collect::<Vec<_>>(),
        "parameters": parameters,
        "parameter_count": graph.params.iter().map(|it| it.shape.len()).sum::<usize>(),
        "training": plan.training,
        "launches": launches(plan).map(|it| it.0),
        "nodes": launches(plan).and_then(|it| it.1),
        "memory": sums
            .into_iter()
            .chain(memory::parts(&memory))
            .map(|(name, it)| (name.to_owned(), Value::from(it)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

fn arguments(all: &[(String, Argument)]) -> Value {
    all.iter().map(|(name, it)| (name.clone(), argument(it))).collect::<serde_json::Map<_, _>>().into()
}

fn argument(it: &Argument) -> Value {
    match it {
        Argument::Bool(it) => json!(it),
        Argument::Int(it) => json!(it),
        Argument::Float(it) => json!(it),
        Argument::Text(it) => json!(it),
        Argument::List(all) => all.iter().map(argument).collect(),
    }
}
