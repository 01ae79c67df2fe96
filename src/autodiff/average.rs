//! Averages over the steps: kept beside parameters and statistics, and what evaluation uses in their place.

use crate::ir::{Average, DType, Mode, NodeId, Op, ParamId, Phase, Recipe, Shape, State, StateId, StateRole, Target};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// Adds the phase that moves the averages, and lets what an evaluation gives depend on them.
pub(super) fn averages(b: &mut Builder, recipe: &Recipe) {
    let Some(average) = &recipe.average else { return };
    let step = b.graph().state_of(StateRole::Step).expect("a model with a recipe counts its steps");
    let step = b.add(Op::State(step), &[]);
    let params = (0..b.graph().params.len()).map(|it| ParamId(it as u32));
    let mut of: Vec<(Op, String, Shape)> = Vec::new();
    for id in params.filter(|it| !recipe.frozen.contains(it)) {
        let param = b.graph().param(id);
        of.push((Op::Param(id), param.path.clone(), param.shape.clone()));
    }
    for (at, state) in b.graph().states.iter().enumerate() {
        if state.role == StateRole::Running && state.dtype == DType::Real {
            of.push((Op::State(StateId(at as u32)), state.path.clone(), state.shape.clone()));
        }
    }
    let mut averages = BTreeMap::new();
    for (leaf, path, shape) in of {
        let value = b.add(leaf, &[]);
        b.origin = b.graph().origin_id(value);
        let state = State {
            path: Average::path(&path),
            shape,
            dtype: DType::Real,
            init: 0.0,
            role: StateRole::Average,
            never_negative: false,
            origin: b.origin,
        };
        let id = b.tables().add_state(state);
        let kept = b.add(Op::State(id), &[]);
        let moved = b.map(average.body.clone(), &[value, kept, step]);
        let update = b.add(Op::Update(Target::State(id)), &[moved]);
        b.tables().effects.entry(Phase::Average).or_default().push(update);
        averages.insert(value, kept);
    }
    b.origin = Default::default();
    let evaluated = b.graph().results.get(&Phase::Evaluate).cloned().unwrap_or_default();
    let moved = replaced(b, evaluated.values().copied().collect(), averages);
    let to = |it: &mut NodeId| *it = moved.get(it).copied().unwrap_or(*it);
    let tables = b.tables();
    tables.results.entry(Phase::Evaluate).or_default().values_mut().for_each(to);
    for table in [&mut tables.outputs, &mut tables.losses] {
        table.get_mut(&Mode::Evaluate).into_iter().for_each(to);
    }
}

/// What is needed for these nodes, made again of other leaves: where each node went.
pub(super) fn replaced(
    b: &mut Builder,
    roots: Vec<NodeId>,
    mut to: BTreeMap<NodeId, NodeId>,
) -> BTreeMap<NodeId, NodeId> {
    for id in b.graph().needed(roots) {
        let operands = b.graph().operands(id);
        if to.contains_key(&id) || operands.iter().all(|it| !to.contains_key(it)) {
            continue;
        }
        let operands: Vec<NodeId> = operands.iter().map(|it| to.get(it).copied().unwrap_or(*it)).collect();
        b.origin = b.graph().origin_id(id);
        let copy = b.add(b.graph().op(id).clone(), &operands);
        to.insert(id, copy);
    }
    b.origin = Default::default();
    to
}
