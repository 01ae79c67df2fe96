//! The `fused` dump: one line per group, then totals per phase.

use super::{Fused, Group, GroupKind};
use crate::ir::{Graph, NodeId, Op};
use std::fmt;

impl fmt::Display for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fused {}", self.typed.name)?;
        for (phase, groups) in &self.phases {
            writeln!(f, "phase {phase:?}")?;
            for (at, group) in groups.iter().enumerate() {
                self.write_group(f, at, group)?;
            }
            let total = |of: fn(&Group) -> u64| groups.iter().map(of).sum::<u64>();
            writeln!(
                f,
                "  total: {} groups, {} flop, {} bytes read, {} bytes written",
                groups.len(),
                total(|it| it.flops),
                total(|it| it.bytes_read),
                total(|it| it.bytes_written)
            )?;
        }
        Ok(())
    }
}

impl Fused {
    fn write_group(&self, f: &mut fmt::Formatter<'_>, at: usize, group: &Group) -> fmt::Result {
        let graph = self.typed.graph();
        let kind = match group.kind {
            GroupKind::Contraction => "contraction",
            GroupKind::Map => "map",
            GroupKind::Window => "window",
            GroupKind::Single => "single",
        };
        let layer = group.layer(graph);
        let layer = if layer.is_empty() { "-" } else { layer };
        writeln!(
            f,
            "  {at} {kind} {layer} {} over {}: {} -> {}; {} flop, {} read, {} written",
            what(graph, group),
            group.space(graph),
            list(&group.inputs),
            list(&group.outputs),
            group.flops,
            group.bytes_read,
            group.bytes_written
        )
    }
}

impl Group {
    /// The layer of its contraction, or of its first result that has one.
    pub fn layer<'g>(&self, graph: &'g Graph) -> &'g str {
        let layer = |id: &NodeId| graph.origin_of(graph.origin_id(*id)).layer.as_str();
        let core = self.nodes.iter().take(usize::from(self.kind == GroupKind::Contraction));
        core.chain(&self.outputs).map(layer).find(|it| !it.is_empty()).unwrap_or("")
    }

    /// The shape it runs over: of the result, or of what is reduced.
    pub fn space(&self, graph: &Graph) -> crate::ir::Shape {
        let shape = |&id: &NodeId| match graph.op(id) {
            Op::Reduce { .. } => graph.shape(graph.operands(id)[0]).clone(),
            _ => graph.shape(id).clone(),
        };
        self.outputs.first().map(shape).unwrap_or_default()
    }
}

fn list(ids: &[NodeId]) -> String {
    let all: Vec<String> = ids.iter().map(|it| format!("%{}", it.0)).collect();
    format!("({})", all.join(" "))
}

fn what(graph: &Graph, group: &Group) -> String {
    let count = |is: fn(&Op) -> bool| group.nodes.iter().filter(|&&it| is(graph.op(it))).count();
    let reduces = count(|it| matches!(it, Op::Reduce { .. }));
    match (group.kind, &group.nodes[..]) {
        (GroupKind::Map, nodes) => format!("[{} nodes, {reduces} reduced]", nodes.len()),
        (_, [core]) => name(graph.op(*core)).to_owned(),
        (_, [core, map @ ..]) => format!("{} + [{} nodes, {reduces} reduced]", name(graph.op(*core)), map.len()),
        (_, []) => String::new(),
    }
}

/// What an op is called in dumps.
pub(crate) fn name(op: &Op) -> &'static str {
    match op {
        Op::Conv(_) => "conv",
        Op::ConvInputGrad { .. } => "conv_input_grad",
        Op::ConvFilterGrad(_) => "conv_filter_grad",
        Op::MatMul { .. } => "matmul",
        Op::Window { .. } => "window",
        Op::Transpose(_) => "transpose",
        Op::Assemble { .. } => "assemble",
        Op::Scatter { .. } => "scatter",
        Op::AllReduce(_) => "all_reduce",
        Op::Gather => "gather",
        Op::Augment { .. } => "augment",
        Op::Loss(_) => "loss",
        Op::Random { .. } => "random",
        Op::Input { .. }
        | Op::Param(_)
        | Op::State(_)
        | Op::Const { .. }
        | Op::Map { .. }
        | Op::Reduce { .. }
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Update(_) => "map",
    }
}
