//! What one of several maps sums up and a later one computes again is computed once: where that writes its result, the first
//! leaves it. Half of a softmax is exponentials.

use crate::ir::expr::Pool;
use crate::ir::work::of_node;
use crate::ir::{Binary, DType, ExprNode, Scalar, ScalarFn, Unary};
use crate::kernel::{MapInput, MapKernel, MapOutput, Store};
use crate::plan::rows::{Access, Member, Operand};
use std::collections::HashMap;

/// The work of a function that is worth a number's way through a cache: exponentials and their like.
const HEAVY: u32 = 20;

/// Rewrites maps over the same rows.
pub(super) fn compute(members: &mut [Member]) {
    for later in 1..members.len() {
        for output in 0..members[later].kernel.outputs.len() {
            let found = (0..later).find_map(|first| Some((first, repeated(members, first, later, output)?)));
            if let Some((first, (made, repeated))) = found {
                leave(members, first, later, output, made, repeated);
            }
        }
    }
}

/// A heavy value that `first` reduces and `later` computes again, in whose result `output` it can wait: its node in either.
fn repeated(members: &[Member], first: usize, later: usize, output: usize) -> Option<(Scalar, usize)> {
    let (a, b) = (&members[first], &members[later]);
    let real = |it: DType| it == DType::Real;
    let plain =
        |it: &MapKernel| it.inputs.iter().all(|it| real(it.dtype)) && it.outputs.iter().all(|it| real(it.dtype));
    let place = &b.touched[b.kernel.inputs.len() + output];
    if b.kernel.outputs[output].store != Store::Full
        || a.kernel.dims != b.kernel.dims
        || !plain(&a.kernel)
        || !plain(&b.kernel)
    {
        return None;
    }
    // Nobody touches the place before, and `later` itself only there.
    let others = members[..=later].iter().flat_map(|it| &it.touched).filter(|it| it.meets(place)).count();
    if 1 < others {
        return None;
    }
    let same = alike(a, b);
    let reduced = a.kernel.outputs.iter().zip(&*a.kernel.body.roots).filter(|it| it.0.store != Store::Full);
    reduced.map(|it| *it.1).find_map(|root| {
        let heavy = HEAVY <= of_node(&a.kernel.body.nodes[root.0 as usize]);
        let at = same.iter().position(|it| *it == Some(root)).filter(|_| heavy)?;
        rounds_alike(&a.kernel.body, &b.kernel.body, &same, at).then_some((root, at))
    })
}

/// Whether all that is left rounds as it did when both maps computed what is `repeated`. A product that one sum alone reads is
/// rounded with it, and arguments of steep functions are computed in f64 where the whole body allows it.
fn rounds_alike(first: &ScalarFn, later: &ScalarFn, same: &[Option<Scalar>], repeated: usize) -> bool {
    let steep = |it: &ExprNode| matches!(it, ExprNode::Unary(Unary::Asin | Unary::Acos | Unary::AsinSlope, _));
    if first.nodes.iter().chain(&*later.nodes).any(steep) {
        return false;
    }
    let mut inside = vec![false; later.nodes.len()];
    inside[repeated] = true;
    for at in (0..=repeated).rev() {
        if inside[at] {
            operands(&later.nodes[at]).for_each(|it| inside[it] = true);
        }
    }
    let (before, now) = (uses(first), uses(later));
    (0..repeated).filter(|it| inside[*it] && matches!(later.nodes[*it], ExprNode::Binary(Binary::Mul, ..))).all(|at| {
        let users = later.nodes.iter().enumerate().filter(|it| operands(it.1).any(|it| it == at));
        let own = users.map(|it| it.0).all(|it| inside[it]) && later.roots.iter().all(|it| it.0 as usize != at);
        own && same[at].is_some_and(|it| (before[it.0 as usize] == 1) == (now[at] == 1))
    })
}

/// How often each node is read, as an operand or a result.
fn uses(f: &ScalarFn) -> Vec<usize> {
    let mut uses = vec![0; f.nodes.len()];
    f.nodes.iter().flat_map(operands).chain(f.roots.iter().map(|it| it.0 as usize)).for_each(|it| uses[it] += 1);
    uses
}

fn operands(node: &ExprNode) -> impl Iterator<Item = usize> + use<> {
    node.operands().map(|it| it.0 as usize)
}

/// For each node of the later map: the node of the first that is the same number.
fn alike(first: &Member, later: &Member) -> Vec<Option<Scalar>> {
    let known: HashMap<ExprNode, Scalar> =
        first.kernel.body.nodes.iter().enumerate().map(|(at, node)| (*node, Scalar(at as u32))).collect();
    let mut same: Vec<Option<Scalar>> = Vec::with_capacity(later.kernel.body.nodes.len());
    for node in &*later.kernel.body.nodes {
        let of = |it: Scalar| same[it.0 as usize];
        let translated = match *node {
            ExprNode::Const(_) => Some(*node),
            ExprNode::Input(at) => {
                let (input, from) = (&later.kernel.inputs[at as usize], &later.reads[at as usize]);
                let fits = |it: &usize| first.kernel.inputs[*it] == *input && first.reads[*it].buffer == from.buffer;
                (0..first.kernel.inputs.len()).find(fits).map(|it| ExprNode::Input(it as u32))
            }
            ExprNode::Unary(op, a) => of(a).map(|a| ExprNode::Unary(op, a)),
            ExprNode::Binary(op, a, b) => of(a).zip(of(b)).map(|(a, b)| ExprNode::Binary(op, a, b)),
            ExprNode::Select(c, a, b) => of(c).zip(of(a)).zip(of(b)).map(|((c, a), b)| ExprNode::Select(c, a, b)),
        };
        same.push(translated.and_then(|it| known.get(&it).copied()));
    }
    same
}

/// Has `first` write the value `made` where `later` writes `output`, and `later` read it there in place of node `repeated`.
fn leave(members: &mut [Member], first: usize, later: usize, output: usize, made: Scalar, repeated: usize) {
    let place: Operand = members[later].writes[output];
    let touched: Access = members[later].touched[members[later].kernel.inputs.len() + output].clone();
    let a = &mut members[first];
    a.kernel.body.roots = a.kernel.body.roots.iter().copied().chain([made]).collect();
    a.kernel.outputs.push(MapOutput { store: Store::Full, dtype: DType::Real });
    a.writes.push(place);
    a.touched.push(touched.clone());

    let b = &mut members[later];
    let MapKernel { dims, inputs, body, .. } = &mut b.kernel;
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides.iter_mut().zip(&*dims).for_each(|(stride, &dim)| *stride *= usize::from(dim != 1));
    inputs.push(MapInput::new(strides, DType::Real));
    b.reads.push(place);
    let mut nodes = body.nodes.to_vec();
    nodes[repeated] = ExprNode::Input(body.arity);
    let changed = ScalarFn { arity: body.arity + 1, nodes: nodes.into(), roots: body.roots.clone() };
    let mut pool = Pool::new();
    let arguments: Vec<Scalar> = (0..changed.arity).map(|it| pool.input(it)).collect();
    let roots = pool.inline(&changed, &arguments);
    let (pruned, used) = pool.finish(changed.arity, &roots).prune();
    *body = pruned;
    // What is not read any more still counts as touched.
    let count = b.touched.len() - b.kernel.outputs.len();
    b.touched.insert(count, touched);
    b.kernel.inputs = used.iter().map(|&it| b.kernel.inputs[it as usize].clone()).collect();
    b.touched =
        used.iter().map(|&it| it as usize).chain(count + 1..b.touched.len()).map(|it| b.touched[it].clone()).collect();
    b.reads = used.iter().map(|&it| b.reads[it as usize]).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `exp(p - m)` with `p = 3 * x`, and what `rest` makes of it and `p`.
    fn body(rest: impl FnOnce(&mut Pool, Scalar, Scalar) -> Scalar) -> ScalarFn {
        ScalarFn::build(2, |pool, it| {
            let three = pool.constant(3.0);
            let product = pool.mul(it[0], three);
            let distance = pool.sub(product, it[1]);
            let raised = pool.unary(Unary::Exp, distance);
            rest(pool, raised, product)
        })
    }

    #[test]
    fn what_would_round_otherwise_is_computed_twice() {
        let first = body(|_, raised, _| raised);
        let at = |f: &ScalarFn| f.nodes.iter().position(|it| matches!(it, ExprNode::Unary(Unary::Exp, _))).unwrap();
        let same = |later: &ScalarFn| -> Vec<Option<Scalar>> {
            let find = |node: &ExprNode| first.nodes.iter().position(|it| it == node).map(|it| Scalar(it as u32));
            later.nodes.iter().map(find).collect()
        };
        let halved = body(|pool, raised, _| {
            let half = pool.constant(0.5);
            pool.mul(raised, half)
        });
        assert!(rounds_alike(&first, &halved, &same(&halved), at(&halved)));
        // The product has two readers, and would be left with one.
        let added = body(|pool, raised, product| pool.add(raised, product));
        assert!(!rounds_alike(&first, &added, &same(&added), at(&added)));
        let steep = body(|pool, raised, _| pool.unary(Unary::Acos, raised));
        assert!(!rounds_alike(&first, &steep, &same(&steep), at(&steep)));
    }
}
