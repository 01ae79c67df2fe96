//! `views`: what is evaluated is the mean of a model's scores for several views of an image.

use super::average::replaced;
use crate::ir::recipe::Views;
use crate::ir::{Along, Binary, Border, Mode, NodeId, Op, Recipe, ScalarFn, Shape};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// Lets what an evaluation gives depend on the mean over the views.
pub(super) fn views(b: &mut Builder, recipe: &Recipe) {
    if recipe.views == Views::default() {
        return;
    }
    let Views { mirror, shift } = recipe.views;
    let by: &[(i64, f64)] = match shift {
        Some(_) => &[(0, 0.5), (-1, 0.25), (1, 0.25)],
        None => &[(0, 1.0)],
    };
    let sides: &[bool] = if mirror { &[false, true] } else { &[false] };
    let (pixels, border) = shift.unwrap_or((0, Border::Zero));
    let pixels = i64::try_from(pixels).expect("a shift is less than an extent");
    let (Some(&image), Some(&scores)) = (b.graph().inputs.get(&Mode::Evaluate), b.graph().outputs.get(&Mode::Evaluate))
    else {
        return;
    };
    let mut mean: Option<NodeId> = None;
    for (way, weight) in by {
        for turned in sides {
            let weight = weight / sides.len() as f64;
            let of = if (*way, *turned) == (0, false) {
                scores
            } else {
                let view = view(b, image, way * pixels, border, *turned);
                let moved = replaced(b, vec![scores], BTreeMap::from([(image, view)]));
                moved.get(&scores).copied().unwrap_or(scores)
            };
            b.origin = b.graph().origin_id(scores);
            let share = b.scale(of, weight);
            mean = Some(mean.map_or(share, |it| b.binary(Binary::Add, it, share)));
            b.origin = Default::default();
        }
    }
    let Some(mean) = mean else { return };
    let tables = b.tables();
    let metrics = tables.metrics.iter().filter_map(|it| it.nodes.get(&Mode::Evaluate).copied());
    let roots = metrics.chain(tables.losses.get(&Mode::Evaluate).copied()).collect();
    let moved = replaced(b, roots, BTreeMap::from([(scores, mean)]));
    let to = |it: &mut NodeId| *it = moved.get(it).copied().unwrap_or(*it);
    let tables = b.tables();
    tables.outputs.insert(Mode::Evaluate, mean);
    tables.losses.get_mut(&Mode::Evaluate).into_iter().for_each(to);
    tables.metrics.iter_mut().filter_map(|it| it.nodes.get_mut(&Mode::Evaluate)).for_each(to);
}

/// Images `[n, h, w, c]`, moved by so many pixels along both axes, then perhaps turned.
fn view(b: &mut Builder, image: NodeId, by: i64, border: Border, turned: bool) -> NodeId {
    b.origin = b.graph().origin_id(image);
    let mut x = b.map(ScalarFn::build(1, |_, i| i[0]), &[image]);
    if by != 0 {
        x = moved(b, x, 1, by, border);
        x = moved(b, x, 2, by, border);
    }
    if turned {
        let last = b.graph().shape(x).dims()[2] as i64 - 1;
        let shape = b.graph().shape(x).clone();
        x = placed(b, shape, &[(x, Along { start: last, turned: true })], 2);
    }
    b.origin = Default::default();
    x
}

/// Position `at` of the result is position `at + by` along an axis, with a border beyond the edge.
fn moved(b: &mut Builder, x: NodeId, axis: usize, by: i64, border: Border) -> NodeId {
    let shape = b.graph().shape(x).clone();
    let extent = shape.dims()[axis] as i64;
    let own = (x, Along::from(-by));
    // Where the mirrored image begins, turned: beyond the last position, or before the first.
    let edge = if by < 0 { -by - 1 } else { 2 * extent - 1 - by };
    let mirrored = match border {
        Border::Zero => None,
        Border::Symmetric => Some((x, edge)),
        Border::Reflect => {
            // Without the outermost position.
            let mut inner = shape.clone();
            inner.0[axis] -= 1;
            let part = placed(b, inner, &[(x, Along::from(if by < 0 { -1 } else { 0 }))], axis);
            Some((part, if by < 0 { edge } else { edge - 1 }))
        }
    };
    let parts: Vec<(NodeId, Along)> =
        [own].into_iter().chain(mirrored.map(|(it, start)| (it, Along { start, turned: true }))).collect();
    placed(b, shape, &parts, axis)
}

/// A tensor put together of parts along an axis.
fn placed(b: &mut Builder, shape: Shape, parts: &[(NodeId, Along)], axis: usize) -> NodeId {
    let place = |along: Along| (0..shape.rank()).map(|it| if it == axis { along } else { Along::START }).collect();
    let places: Vec<Vec<Along>> = parts.iter().map(|it| place(it.1)).collect();
    let operands: Vec<NodeId> = parts.iter().map(|it| it.0).collect();
    b.add(Op::Assemble { shape, places }, &operands)
}
