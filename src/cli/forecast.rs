//! `sphc bench --predict`: what a step is expected to take on a GPU that is not there.

use super::args::{self, Format};
use super::failure::{Failure, Outcome};
use super::{say, table};
use serde_json::json;
use sphc::ir::Phase;
use sphc::plan::Plan;
use sphc::runtime::cuda::predict::{NodeTime, Prediction, predict};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn run(plan: &Plan, architecture: &str, format: Format) -> Outcome {
    let prediction = predict(plan, Phase::Step, architecture, &args::cuda());
    let prediction = prediction.map_err(|it| Failure::new(it.cause, it.remedy))?;
    let mut out = say::out();
    match format {
        Format::Json => write_json(&prediction, plan, &mut out)?,
        Format::Human => write(&prediction, plan, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn batch(plan: &Plan) -> usize {
    plan.training.as_ref().map_or(0, |it| it.batch)
}

fn seconds(nodes: &[NodeTime]) -> f64 {
    nodes.iter().map(|it| it.seconds).sum()
}

fn write_json(prediction: &Prediction, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let node = |it: &NodeTime| {
        json!({
            "layer": it.layer,
            "kernel": it.entry,
            "blocks": it.blocks,
            "flops": it.flops,
            "bytes": it.bytes,
            "seconds": it.seconds,
            "bound": it.bound.name(),
        })
    };
    let object = json!({
        "gpu": prediction.gpu,
        "precision": plan.precision.word(),
        "batch": batch(plan),
        "predicted_seconds": seconds(&prediction.nodes),
        "nodes": prediction.nodes.iter().map(node).collect::<Vec<_>>(),
    });
    writeln!(out, "{object}")
}

fn write(prediction: &Prediction, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let nodes = &prediction.nodes;
    let row = |(at, it): (usize, &NodeTime)| {
        vec![
            at.to_string(),
            if it.layer.is_empty() { "-".to_owned() } else { it.layer.clone() },
            it.entry.to_owned(),
            it.blocks.to_string(),
            format!("{:.3}", it.flops * 1e-9),
            format!("{:.2}", it.bytes * 1e-6),
            format!("{:.1}", it.seconds * 1e6),
            it.bound.name().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = nodes.iter().enumerate().map(row).collect();
    let header = [">node", "layer", "kernel", ">blocks", ">GFLOP", ">MB", ">us", "bound by"];
    write!(out, "{}", table::render(&header, &rows))?;

    let mut by_kernel: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for it in nodes {
        let sum = by_kernel.entry(it.entry).or_default();
        *sum = (sum.0 + 1, sum.1 + it.seconds);
    }
    let whole = seconds(nodes);
    let mut rows: Vec<(&str, (usize, f64))> = by_kernel.into_iter().collect();
    rows.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    let row = |(name, (count, seconds)): &(&str, (usize, f64))| {
        let share = format!("{:.1} %", 100.0 * seconds / whole);
        vec![(*name).to_owned(), count.to_string(), format!("{:.1}", 1e6 * seconds), share]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    write!(out, "\n{}", table::render(&["kernel", ">nodes", ">us", ">share"], &rows))?;
    writeln!(
        out,
        "\nstep          {:.2} ms predicted, not measured: {} nodes on an {}, {}, batch {}",
        1e3 * whole,
        nodes.len(),
        prediction.gpu,
        plan.precision.word(),
        batch(plan)
    )
}
