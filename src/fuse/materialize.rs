//! Decides which values a phase keeps in memory. The others are computed where they are used.

use super::analysis::{Analysis, Class};
use super::policy::{self, Candidate};
use crate::ir::NodeId;

/// Passes remembered per value; more are as good as many.
const MANY: usize = 8;

/// For one phase.
pub(super) struct Materialized {
    /// By node: whether its value lies in memory.
    pub(super) stored: Vec<bool>,
    /// By node: work per element, with that of the operands which are not stored.
    pub(super) cost: Vec<u32>,
}

/// `needed` ascending; `roots` are what the phase must leave in memory.
pub(super) fn materialize(analysis: &Analysis<'_>, needed: &[NodeId], roots: &[NodeId]) -> Materialized {
    let mut must = must_store(analysis, needed, roots);
    let pass = passes_by_depth(analysis, needed);
    let users = uses(analysis, needed, &must, &pass);
    let mut cost = vec![0u32; analysis.class.len()];
    let mut reads: Vec<Vec<NodeId>> = vec![Vec::new(); analysis.class.len()];
    for &id in needed {
        let at = id.0 as usize;
        if !matches!(analysis.class(id), Class::Real | Class::Drawn | Class::Int | Class::Reduce) {
            continue;
        }
        let mut work = policy::cost(analysis.graph.op(id));
        let mut from = Vec::new();
        for &operand in analysis.operands(id) {
            let base = analysis.base(operand);
            if analysis.storage.number(base).is_some() {
                continue;
            }
            if must[base.0 as usize] {
                from.push(base);
            } else {
                work = work.saturating_add(cost[base.0 as usize]);
                from.extend_from_slice(&reads[base.0 as usize]);
            }
        }
        from.sort_unstable();
        from.dedup();
        cost[at] = work;
        if matches!(analysis.class(id), Class::Real | Class::Drawn) && !must[at] {
            let used = &users[at];
            let candidate = Candidate {
                cost: work,
                reads: from.iter().map(|&it| analysis.bytes(it)).sum(),
                bytes: analysis.bytes(id),
                passes: used.passes.len() as u64,
                used_at_home: used.passes.contains(&(analysis.space(id), pass[at])),
                stretched: used.stretched,
            };
            must[at] = candidate.store() || policy::MAX_INPUTS / 2 < from.len();
        }
        reads[at] = from;
    }
    Materialized { stored: must, cost }
}

/// Leaves, results, and what others read as memory.
fn must_store(analysis: &Analysis<'_>, needed: &[NodeId], roots: &[NodeId]) -> Vec<bool> {
    let mut must = vec![false; analysis.class.len()];
    for &root in roots {
        must[analysis.base(root).0 as usize] = true;
    }
    for &id in needed {
        match analysis.class(id) {
            Class::Leaf | Class::Int | Class::Reduce => must[id.0 as usize] = true,
            Class::Opaque(_) => {
                must[id.0 as usize] = true;
                for &operand in analysis.operands(id) {
                    must[analysis.base(operand).0 as usize] = true;
                }
            }
            Class::Real | Class::Drawn | Class::Alias => {}
        }
        if !matches!(analysis.class(id), Class::Alias | Class::Leaf) {
            // What a later part of a step reads is done with when its own part ends.
            let crosses = |it: &NodeId| analysis.graph.part(analysis.base(*it)) != analysis.graph.part(id);
            for &operand in analysis.operands(id).iter().filter(|it| !analysis.plain(**it) || crosses(it)) {
                must[analysis.base(operand).0 as usize] = true;
            }
        }
    }
    must
}

/// How many passes over memory must come before each value, if all that can be shared is shared.
fn passes_by_depth(analysis: &Analysis<'_>, needed: &[NodeId]) -> Vec<u32> {
    let mut pass = vec![0u32; analysis.class.len()];
    for &id in needed {
        let after = |operand: &NodeId| {
            let base = analysis.base(*operand);
            let ready = pass[base.0 as usize];
            match analysis.class(base) {
                Class::Real | Class::Drawn if analysis.space(base) == analysis.space(id) => ready,
                Class::Leaf => 1,
                Class::Real | Class::Drawn | Class::Int | Class::Reduce | Class::Opaque(_) | Class::Alias => ready + 1,
            }
        };
        if !matches!(analysis.class(id), Class::Alias | Class::Leaf) {
            pass[id.0 as usize] = analysis.operands(id).iter().map(after).max().unwrap_or(1);
        }
    }
    pass
}

#[derive(Clone, Default)]
struct Uses {
    /// (space, pass) of the stored values that need it.
    passes: Vec<(u32, u32)>,
    stretched: bool,
}

fn uses(analysis: &Analysis<'_>, needed: &[NodeId], must: &[bool], pass: &[u32]) -> Vec<Uses> {
    let mut all: Vec<Uses> = vec![Uses::default(); analysis.class.len()];
    for &id in needed.iter().rev() {
        let at = id.0 as usize;
        if !matches!(analysis.class(id), Class::Real | Class::Drawn | Class::Int | Class::Reduce) {
            continue;
        }
        let passes = if must[at] { vec![(analysis.space(id), pass[at])] } else { all[at].passes.clone() };
        for &operand in analysis.operands(id) {
            let base = analysis.base(operand);
            let to = &mut all[base.0 as usize];
            let grows = analysis.class(id) != Class::Reduce && analysis.len(base) < analysis.len(id);
            to.stretched |= grows;
            for &it in &passes {
                if to.passes.len() < MANY && !to.passes.contains(&it) {
                    to.passes.push(it);
                }
            }
        }
    }
    all
}
