//! Folds a map into the convolution whose result it reads, so that the result is used before it leaves the registers.
//!
//! Legal is a map over the same pixels and channels that reads the convolution element by element, stores whole tensors
//! or sums, means and variances over pixels, and waits for nothing that comes after the convolution. What else it reads
//! must be less deep than the convolution, where the depth of a group is the largest number of contractions on a path that
//! ends in it. A folded map leaves all depths as they are, and a contraction reads less deep groups only, so folding any
//! number of maps leaves the graph of groups without a cycle.

use super::analysis::{Analysis, Class, reduced};
use super::{Group, GroupKind};
use crate::ir::{NodeId, Op, Reduction};
use std::collections::BTreeSet;

/// Folds maps into convolutions, at most one into each. `order` has every group after those it reads from.
pub(super) fn fold(
    analysis: &Analysis<'_>,
    groups: Vec<Group>,
    order: &[usize],
    roots: &BTreeSet<NodeId>,
) -> Vec<Group> {
    let mut home: Vec<Option<usize>> = vec![None; analysis.class.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); analysis.class.len()];
    for (at, group) in groups.iter().enumerate() {
        group.outputs.iter().for_each(|it| home[it.0 as usize] = Some(at));
        let distinct: BTreeSet<NodeId> = group.inputs.iter().copied().collect();
        distinct.iter().for_each(|it| readers[it.0 as usize].push(at));
    }
    let mut depth = vec![0u32; groups.len()];
    for &at in order {
        let from = groups[at].inputs.iter().filter_map(|it| home[it.0 as usize]);
        let deepest = from.map(|it| depth[it]).max().unwrap_or(0);
        depth[at] = deepest + u32::from(groups[at].kind == GroupKind::Contraction);
    }
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    for at in 0..groups.len() {
        let Some(core) = groups[at].as_ref().and_then(|it| core(analysis, it)) else { continue };
        let fits = |&map: &usize| {
            let Some(map) = groups[map].as_ref() else { return false };
            let early =
                |&input: &NodeId| input == core || home[input.0 as usize].is_none_or(|from| depth[from] < depth[at]);
            may_follow(analysis, core, map) && map.inputs.iter().all(early)
        };
        // The map that is the only reader saves writing the result as well.
        let found = readers[core.0 as usize].iter().copied().find(fits);
        if let Some(found) = found
            && let Some(map) = groups[found].take()
            && let Some(convolution) = groups[at].take()
        {
            let stored = 1 < readers[core.0 as usize].len() || roots.contains(&core);
            for output in &map.outputs {
                home[output.0 as usize] = Some(at);
            }
            groups[at] = Some(folded(analysis, core, convolution, map, stored));
        }
    }
    groups.into_iter().flatten().collect()
}

/// The convolution of a group that a map may follow.
fn core(analysis: &Analysis<'_>, group: &Group) -> Option<NodeId> {
    let [id] = group.nodes[..] else { return None };
    let over_pixels = matches!(analysis.graph.op(id), Op::Conv(_) | Op::ConvInputGrad { .. });
    let dims = analysis.graph.shape(id).dims();
    (over_pixels && dims[3] != 1 && dims[..3].iter().any(|it| *it != 1)).then_some(id)
}

fn may_follow(analysis: &Analysis<'_>, core: NodeId, map: &Group) -> bool {
    let space = analysis.space(core);
    let part = |id: NodeId| analysis.graph.part(id);
    let same_space =
        map.kind == GroupKind::Map && analysis.space(map.outputs[0]) == space && part(map.outputs[0]) == part(core);
    let stores = |&id: &NodeId| match analysis.graph.op(id) {
        Op::Reduce { kind, axes } => {
            // Over all pixels and no channels, which are the last axis of the space.
            let over = reduced(analysis.graph.shape(analysis.operands(id)[0]), axes);
            *kind != Reduction::Max && over.split_last().is_some_and(|(last, pixels)| !last && !pixels.contains(&false))
        }
        _ => analysis.class(id) == Class::Real,
    };
    let reads = |&id: &NodeId| {
        let elementwise =
            |it: &NodeId| analysis.base(*it) != core || (analysis.plain(*it) && analysis.space(id) == space);
        analysis.class(id) != Class::Int && analysis.operands(id).iter().all(elementwise)
    };
    same_space && map.outputs.iter().all(stores) && map.nodes.iter().all(reads)
}

fn folded(analysis: &Analysis<'_>, core: NodeId, convolution: Group, map: Group, stored: bool) -> Group {
    let outputs: Vec<NodeId> = stored.then_some(core).into_iter().chain(map.outputs).collect();
    let mut inputs = convolution.inputs;
    inputs.extend(map.inputs.into_iter().filter(|it| *it != core));
    let distinct: BTreeSet<NodeId> = inputs.iter().copied().collect();
    Group {
        kind: GroupKind::Contraction,
        nodes: convolution.nodes.into_iter().chain(map.nodes).collect(),
        flops: convolution.flops + map.flops,
        bytes_read: distinct.iter().map(|&it| analysis.bytes(it)).sum(),
        bytes_written: outputs.iter().map(|&it| analysis.bytes(it)).sum(),
        inputs,
        outputs,
    }
}
