//! `augment mixup(0.2)`, `augment cutmix(1)`: each image of a batch with another one of it, and the targets with them.
//!
//! Images come in pairs: the first with the second, the third with the fourth; the last of an odd batch has the first of all.
//! How much of its own an image keeps is one of 1024 shares, the quantiles of Beta(alpha, alpha) in the middles of as many
//! equal parts (`ir::beta`), by a number that is a function of seed, iteration and place in the batch. A share is a multiple
//! of 1/65536, so a mixed image is exact in 32 bits, and hence the same on every device.

use crate::diag::{Code, Diagnostic};
use crate::ir::expr::Pool;
use crate::ir::op::Scalar64;
use crate::ir::recipe::Mix;
use crate::ir::{
    Binary, Fill, Loss, Mode, NodeId, Op, OriginId, Random, Scalar, ScalarFn, Shape, StateRole, Unary, beta, random,
};
use crate::lower::network::Network;
use std::collections::BTreeSet;

/// What the images of a batch were mixed by.
#[derive(Debug)]
pub(in crate::lower) struct Mixed {
    mix: Mix,
    /// The places of the partners in the batch, `int[n]`.
    partners: NodeId,
    /// The labels of the partners, `int[n]`.
    labels: NodeId,
    /// What each image keeps of its own, `[n]`.
    pub(super) share: NodeId,
    /// The choices that decide it.
    draws: Draws,
    /// Cross entropies of both labels: by the shares, of the own and of the other.
    pub(super) entropies: Vec<[NodeId; 3]>,
    /// What may look a label up.
    allowed: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Debug)]
enum Draws {
    /// The share alone.
    Share,
    /// Bounds of the box along height and width, `[n]` each: first and last but one.
    Box([[NodeId; 2]; 2]),
}

/// `share * own + (1 - share) * other`.
pub(super) fn mean(pool: &mut Pool, share: Scalar, own: Scalar, other: Scalar) -> Scalar {
    let one = pool.constant(1.0);
    let rest = pool.sub(one, share);
    let (own, other) = (pool.mul(share, own), pool.mul(rest, other));
    pool.add(own, other)
}

impl Network<'_> {
    /// Chooses partners and shares for a batch of images of so many rows and columns, which has its labels.
    pub(super) fn mix(&mut self, mix: Mix, n: usize, [height, width]: [usize; 2]) -> Option<Mixed> {
        let labels = *self.graph.labels.get(&Mode::Train)?;
        let step = self.graph.state_of(StateRole::Step)?;
        let step = self.made(Op::State(step), &[]);
        let each = Shape::from([n]);
        let places = self.made(Op::Const { fill: Fill::Range, shape: each.clone() }, &[]);
        let partner = ScalarFn::build(1, |pool, i| {
            let (one, two) = (pool.constant(1.0), pool.constant(2.0));
            let half = pool.div(i[0], two);
            let pair = pool.unary(Unary::Floor, half);
            let first = pool.mul(pair, two);
            // 0 for the first of a pair, 1 for the second.
            let second = pool.sub(i[0], first);
            let double = pool.mul(second, two);
            let way = pool.sub(one, double);
            let partner = pool.add(i[0], way);
            let (n, zero) = (pool.constant(n as f64), pool.constant(0.0));
            let inside = pool.binary(Binary::Lt, partner, n);
            pool.select(inside, partner, zero)
        });
        let partners = self.made(Op::Map { body: partner, int: true }, &[places]);
        let other = self.made(Op::Gather, &[labels, partners]);
        let draw = |this: &mut Self, name: &str| {
            let (kind, stream) = (Random::Uniform, random::stream(&format!("mix/{name}")));
            let first = this.shard.map_or(0, |it| it.first);
            this.made(Op::Random { kind, shape: each.clone(), stream, first }, &[step])
        };
        let shares = beta::quantiles(mix.alpha());
        let uniform = draw(self, "share");
        let choice = ScalarFn::build(1, |pool, i| {
            let count = pool.constant(shares.len() as f64);
            let scaled = pool.mul(i[0], count);
            pool.unary(Unary::Floor, scaled)
        });
        let choice = self.made(Op::Map { body: choice, int: true }, &[uniform]);
        let pick = |this: &mut Self, table: Vec<f64>| {
            let shape = Shape::from([table.len()]);
            let fill = Fill::List(table.into_iter().map(Scalar64).collect());
            let table = this.made(Op::Const { fill, shape }, &[]);
            this.made(Op::Gather, &[table, choice])
        };
        let (share, draws) = match mix {
            Mix::Images { .. } => (pick(self, shares), Draws::Share),
            Mix::Boxes { .. } => {
                let mut bounds = [[places; 2]; 2];
                for (axis, (name, extent)) in [("row", height), ("column", width)].into_iter().enumerate() {
                    // Half of the box on each side of a place that may be anywhere.
                    let half = |share: &f64| ((extent as f64 * (1.0 - share).sqrt()).floor() / 2.0).floor();
                    let half = pick(self, shares.iter().map(half).collect());
                    let uniform = draw(self, name);
                    for (end, bound) in bounds[axis].iter_mut().enumerate() {
                        let body = ScalarFn::build(2, |pool, i| {
                            let (extent, zero) = (pool.constant(extent as f64), pool.constant(0.0));
                            let scaled = pool.mul(i[0], extent);
                            let middle = pool.unary(Unary::Floor, scaled);
                            if end == 0 {
                                let first = pool.sub(middle, i[1]);
                                pool.binary(Binary::Max, first, zero)
                            } else {
                                let last = pool.add(middle, i[1]);
                                pool.binary(Binary::Min, last, extent)
                            }
                        });
                        *bound = self.made(Op::Map { body, int: false }, &[uniform, half]);
                    }
                }
                let [[top, bottom], [left, right]] = bounds;
                let kept = ScalarFn::build(4, |pool, i| {
                    let (rows, columns) = (pool.sub(i[1], i[0]), pool.sub(i[3], i[2]));
                    let area = pool.mul(rows, columns);
                    let whole = pool.constant(height as f64 * width as f64);
                    let share = pool.div(area, whole);
                    let one = pool.constant(1.0);
                    pool.sub(one, share)
                });
                let share = self.made(Op::Map { body: kept, int: false }, &[top, bottom, left, right]);
                (share, Draws::Box(bounds))
            }
        };
        let allowed = BTreeSet::from([other]);
        Some(Mixed { mix, partners, labels: other, share, draws, entropies: Vec::new(), allowed })
    }

    /// Images `[n, h, w, c]` with their partners.
    pub(super) fn mixed_images(&mut self, images: NodeId) -> NodeId {
        let Some(mixed) = &self.mixed else { return images };
        let (partners, share, draws) = (mixed.partners, mixed.share, mixed.draws);
        let Some(dims) = self.graph.fact(images).shape().cloned() else { return images };
        let Some(n) = dims.dims().first().copied() else { return images };
        let others = self.made(Op::Gather, &[images, partners]);
        let one_each = Shape([&[n], &vec![1; dims.rank() - 1][..]].concat());
        let wide = |this: &mut Self, it: NodeId| this.made(Op::Reshape(one_each.clone()), &[it]);
        match draws {
            Draws::Share => {
                let share = wide(self, share);
                let body = ScalarFn::build(3, |pool, i| mean(pool, i[0], i[1], i[2]));
                self.made(Op::Map { body, int: false }, &[share, images, others])
            }
            Draws::Box(bounds) => {
                let &[_, height, width, _] = dims.dims() else { return images };
                let extents = [height, width];
                let mut operands = vec![images, others];
                for (bounds, extent, shape) in [
                    (bounds[0], extents[0], Shape::from([1, extents[0], 1, 1])),
                    (bounds[1], extents[1], Shape::from([1, 1, extents[1], 1])),
                ] {
                    let places = self.made(Op::Const { fill: Fill::Range, shape: Shape::from([extent]) }, &[]);
                    operands.push(self.made(Op::Reshape(shape), &[places]));
                    operands.extend(bounds.map(|it| wide(self, it)));
                }
                let body = ScalarFn::build(8, |pool, i| {
                    let mut inside = pool.constant(1.0);
                    for axis in [2, 5] {
                        let after = pool.binary(Binary::Le, i[axis + 1], i[axis]);
                        let before = pool.binary(Binary::Lt, i[axis], i[axis + 2]);
                        let both = pool.mul(after, before);
                        inside = pool.mul(inside, both);
                    }
                    pool.select(inside, i[1], i[0])
                });
                self.made(Op::Map { body, int: false }, &operands)
            }
        }
    }

    /// What `op` gives of both labels of each example, by their shares, if `own` are the labels of images that are mixed:
    /// `operands` come before the label.
    pub(in crate::lower) fn of_labels(
        &mut self,
        op: &Op,
        operands: &[NodeId],
        own: NodeId,
        origin: OriginId,
    ) -> Option<NodeId> {
        let labels = self.graph.labels.get(&Mode::Train) == Some(&own);
        let (other, share) = self.mixed.as_ref().filter(|_| labels).map(|it| (it.labels, it.share))?;
        let of = |this: &mut Self, label: NodeId| {
            let operands = [operands, &[label]].concat();
            this.graph.add(op.clone(), &operands, origin).0
        };
        let (own, other) = (of(self, own), of(self, other));
        if let Some(mixed) = &mut self.mixed {
            mixed.allowed.insert(own);
        }
        let shape = self.graph.fact(own).shape()?.clone();
        let ones: Vec<usize> = shape.dims().iter().enumerate().map(|(at, it)| if at == 0 { *it } else { 1 }).collect();
        let of_one = ones.len() == 1;
        let share = if of_one { share } else { self.graph.add(Op::Reshape(Shape(ones)), &[share], origin).0 };
        let body = ScalarFn::build(3, |pool, i| mean(pool, i[0], i[1], i[2]));
        let both = self.graph.add(Op::Map { body, int: false }, &[share, own, other], origin).0;
        if let (true, Op::Loss(Loss::CrossEntropy { .. }), Some(mixed)) = (of_one, op, &mut self.mixed) {
            mixed.entropies.push([both, own, other]);
        }
        Some(both)
    }

    /// Reports what asks for the class of an image that is of two.
    pub(in crate::lower) fn labels_are_mixed(&mut self) {
        let Some(mixed) = &self.mixed else { return };
        let Some(&labels) = self.graph.labels.get(&Mode::Train) else { return };
        let strange: Vec<NodeId> =
            self.graph.users(labels).into_iter().filter(|it| !mixed.allowed.contains(it)).collect();
        let word = mixed.mix.word();
        for it in strange {
            let span = self.graph.origin_of(self.graph.origin_id(it)).span;
            let report = Diagnostic::new(Code::E0202, span, format!("after `{word}` an image has no one class"))
                .label("asks for the number of its class, `label`")
                .help("use `target`, which has the shares of both classes");
            self.report(report);
        }
    }
}
