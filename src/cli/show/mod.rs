//! `sphc show`.

mod diagram;
mod docs;
mod picture;

use super::args::{self, RecipeArgs, SetArgs};
use super::failure::{Failure, Outcome};
use super::{load, table};
use clap::ValueEnum;
use serde_json::{Value, json};
use sphc::Compilation;
use sphc::diag;
use sphc::ir::{Graph, Phase, Precision};
use sphc::kernel;
use sphc::pipeline::line_of;
use sphc::plan::{Memory, Plan, Training};
use sphc::runtime;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model file (.sph); or `std`, what can be imported from the binary, and a path in it
    file: PathBuf,
    /// A table, a picture of the layers (Graphviz or SVG), or JSON
    #[arg(long, value_enum, default_value_t)]
    format: View,
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

/// What is shown of a layer.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) shape: Vec<usize>,
    pub(super) parameters: usize,
    /// Of them, those that no training moves.
    pub(super) frozen: usize,
    /// Of evaluating one example.
    flops: u64,
    /// Of its result in training, for one batch.
    bytes: usize,
    line: String,
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
    let text = match args.format {
        View::Table => {
            diag::plain(&(docs::text(&model, &args.set.set) + &as_table(&model, &rows, args.threads))).into()
        }
        View::Dot => as_dot(model.compiled.training.graph(), &rows),
        View::Svg => picture::svg(model.compiled.training.graph(), &rows),
        View::Json => format!("{}\n", as_json(&model, &rows, args.threads)),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rows(model: &Compilation) -> Vec<Row> {
    let graph = model.compiled.training.graph();
    let fused = &model.compiled.fused;
    let batch = model.compiled.plan.training.as_ref().map_or(1, Training::part);
    let evaluate = fused.phases.get(&Phase::Evaluate).map_or(&[][..], Vec::as_slice);
    let mut res = Vec::new();
    for layer in &graph.layers {
        let shape = graph.shape(layer.output).dims();
        // A layer's cost is that of the kernels that begin in it.
        let flops: u64 = evaluate.iter().filter(|it| it.layer(graph) == layer.path).map(|it| it.flops).sum();
        res.push(Row {
            path: layer.path.clone(),
            kind: layer.kind.clone(),
            shape: shape.get(1..).unwrap_or(&[]).to_vec(),
            parameters: graph.params.iter().filter(|it| it.layer == layer.path).map(|it| it.shape.len()).sum(),
            frozen: frozen(graph, Some(&layer.path)),
            flops: flops / batch as u64,
            bytes: shape.iter().product::<usize>() * model.compiled.plan.precision.bytes(sphc::ir::DType::Real),
            line: line_of(graph, &model.checked.sources, layer.origin),
        });
    }
    // What a block of layers learns itself stands before the first of these.
    for param in &graph.params {
        if res.iter().any(|it| it.path == param.layer) {
            continue;
        }
        let own: Vec<_> = graph.params.iter().filter(|it| it.layer == param.layer).collect();
        let names = own.iter().map(|it| it.path.rsplit('/').next().unwrap_or(&it.path));
        let inside = format!("{}/", param.layer);
        let at = res.iter().position(|it| it.path.starts_with(&inside)).unwrap_or(res.len());
        res.insert(
            at,
            Row {
                path: param.layer.clone(),
                kind: format!("learns {}", names.collect::<Vec<_>>().join(", ")),
                shape: Vec::new(),
                parameters: own.iter().map(|it| it.shape.len()).sum(),
                frozen: frozen(graph, Some(&param.layer)),
                flops: 0,
                bytes: 0,
                line: line_of(graph, &model.checked.sources, param.origin),
            },
        );
    }
    res
}

/// How many numbers of a layer, or of all, are frozen.
fn frozen(graph: &Graph, layer: Option<&str>) -> usize {
    let frozen = graph.recipe.iter().flat_map(|it| &it.frozen).map(|it| graph.param(*it));
    frozen.filter(|it| layer.is_none_or(|layer| it.layer == layer)).map(|it| it.shape.len()).sum()
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
                shape(&it.shape),
                counted(it.parameters, it.frozen),
                if it.flops == 0 { String::new() } else { table::scaled(it.flops as f64) },
                table::bytes(it.bytes),
                it.line.clone(),
            ]
        })
        .collect();
    res += &table::render(&["layer", "kind", ">output", ">parameters", ">FLOPs", ">bytes", "line"], &cells);
    let parameters: usize = graph.params.iter().map(|it| it.shape.len()).sum();
    let _ = writeln!(res, "\nparameters   {}", counted(parameters, frozen(graph, None)));
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
    let memory = memory(plan, threads);
    let _ = writeln!(
        res,
        "memory       {} at most: {}",
        table::bytes(memory.total()),
        parts(&memory).map(|(name, it)| format!("{name} {}", table::bytes(it))).join(", "),
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
    let memory = memory(plan, threads);
    let layers: Vec<Value> = rows
        .iter()
        .map(|it| {
            json!({
                "layer": it.path,
                "kind": it.kind,
                "output": it.shape,
                "parameters": it.parameters,
                "frozen": it.frozen,
                "flops": it.flops,
                "bytes": it.bytes,
                "line": it.line,
            })
        })
        .collect();
    let graph = model.compiled.training.graph();
    let parameters: Vec<Value> =
        graph.params.iter().map(|it| json!({ "name": it.path, "shape": it.shape.dims() })).collect();
    json!({
        "model": plan.name,
        "hash": plan.hash,
        "layers": layers,
        "parameters": parameters,
        "parameter_count": graph.params.iter().map(|it| it.shape.len()).sum::<usize>(),
        "training": plan.training,
        "launches": launches(plan).map(|it| it.0),
        "nodes": launches(plan).and_then(|it| it.1),
        "memory": std::iter::once(("total", memory.total()))
            .chain(parts(&memory))
            .map(|(name, it)| (name.to_owned(), Value::from(it)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

/// Layers as boxes, for Graphviz.
fn as_dot(graph: &Graph, rows: &[Row]) -> String {
    let mut res =
        format!("digraph \"{}\" {{\n  rankdir = TB;\n  node [shape = box, fontname = \"sans-serif\"];\n", graph.name);
    let boxes = diagram::boxes(graph, rows);
    for (at, it) in boxes.iter().enumerate() {
        let text = format!("{}\\n{}", it.title, it.facts.join("\\n")).replace('"', "'");
        let _ = writeln!(res, "  l{at} [label = \"{text}\"];");
    }
    for (to, it) in boxes.iter().enumerate() {
        for from in &it.sources {
            let _ = writeln!(res, "  l{from} -> l{to};");
        }
    }
    res + "}\n"
}

/// What training with the plan on this machine's CPU takes, all of the process included.
pub(super) fn memory(plan: &Plan, threads: Option<u64>) -> Memory {
    let threads = threads.map(|it| it as usize);
    Memory {
        workspace: runtime::cpu::workspace(plan, threads),
        program: resident() + runtime::cpu::UNCOUNTED,
        ..plan.memory()
    }
}

fn parts(memory: &Memory) -> [(&'static str, usize); 8] {
    [
        ("arena", memory.arena),
        ("parameters", memory.parameters),
        ("states", memory.states),
        ("data", memory.data),
        ("workspace", memory.workspace),
        ("constants", memory.constants),
        ("transfer", memory.transfer),
        ("program", memory.program),
    ]
}

/// Bytes of this process in memory. It has compiled the model by now, as a training will have; 0 where
/// the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kilobytes = field.and_then(|it| it.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
