//! Invariants of a graph, checked after every pass in debug builds and tests.
//!
//! - operands come before their users;
//! - facts are what the shape rules say;
//! - effects are `Update` nodes whose value has the target's shape;
//! - results and effects exist;
//! - no two parameters, and no two states, share a path.

use std::collections::BTreeSet;

use super::{DType, Fact, Graph, Op, Target, infer};

/// Panics with the pass's name and the graph's text when an invariant does not hold.
pub fn verify(graph: &Graph, pass: &str) {
    if let Err(broken) = check(graph) {
        panic!("after `{pass}`: {broken}\n{graph}");
    }
}

fn check(graph: &Graph) -> Result<(), String> {
    for id in graph.ids() {
        let operands = graph.operands(id);
        if let Some(late) = operands.iter().find(|it| id <= **it) {
            return Err(format!("%{} uses %{}, which comes later", id.0, late.0));
        }
        let facts: Vec<&Fact> = operands.iter().map(|&it| graph.fact(it)).collect();
        match infer(graph.op(id), &facts, &graph.params, &graph.states) {
            Ok(fact) if fact == *graph.fact(id) => {}
            Ok(fact) => return Err(format!("%{} is {fact}, but holds {}", id.0, graph.fact(id))),
            Err(_) if *graph.fact(id) == Fact::Unknown => {}
            Err(error) => return Err(format!("%{} breaks its shape rule: {error:?}", id.0)),
        }
        if let Op::Update(target) = graph.op(id) {
            let wanted = match target {
                Target::Param(it) => (&graph.param(*it).shape, DType::Real),
                Target::State(it) => (&graph.state(*it).shape, graph.state(*it).dtype),
            };
            if graph.fact(id).shape() != Some(wanted.0) || graph.fact(id).dtype() != Some(wanted.1) {
                return Err(format!("%{} writes {} to a target of {}", id.0, graph.fact(id), wanted.0));
            }
        }
    }
    let mut params = BTreeSet::new();
    if let Some(it) = graph.params.iter().find(|it| !params.insert(it.path.as_str())) {
        return Err(format!("there are two parameters `{}`", it.path));
    }
    let mut states = BTreeSet::new();
    if let Some(it) = graph.states.iter().find(|it| !states.insert(it.path.as_str())) {
        return Err(format!("there are two states `{}`", it.path));
    }
    for (phase, effects) in &graph.effects {
        if let Some(it) = effects.iter().find(|it| !matches!(graph.op(**it), Op::Update(_))) {
            return Err(format!("effect %{} of {phase:?} is not an update", it.0));
        }
    }
    Ok(())
}
