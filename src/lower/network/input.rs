//! Where a model's images and labels come from: the data set of the recipe, or whoever binds them.

use crate::diag::{Code, Diagnostic, Kind, Span};
use crate::ir::op::Scalar64;
use crate::ir::{
    Augment, Binary, DType, Extern, Fill, Mode, NodeId, Op, OriginId, Random, ScalarFn, Shape, Shard, State, StateRole,
    augment, random,
};
use crate::lower::images;
use crate::lower::network::Network;
use crate::lower::network::basis::Basis;
use crate::lower::settings::DataInfo;
use crate::lower::values::value::Tensor;
use crate::syntax::ast;

/// Nodes that say which examples a batch holds.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Feed {
    data: DataInfo,
    data_span: Span,
    /// What is done to images, in training and in evaluation.
    steps: [Vec<Augment>; 2],
    /// Positions in the training set and in the test set.
    index: [NodeId; 2],
    /// Random numbers of the augmentation.
    uniform: Option<NodeId>,
}

/// Why the numbers of a data set are none of a type of whole numbers.
fn holds(data: &DataInfo, dtype: DType) -> Option<String> {
    let bounds = dtype.bounds()?;
    match data.dtype {
        DType::Real => Some(format!("`{}` holds whole numbers, and those of the data set are floats", dtype.word())),
        _ => data.range.filter(|it| !it.within(bounds)).map(|it| {
            format!("`{}` holds {} to {}, and those of the data set are {it}", dtype.word(), bounds[0], bounds[1])
        }),
    }
}

impl Network<'_> {
    pub(super) fn counter(&mut self, role: StateRole) -> NodeId {
        let path = role.word().to_owned();
        self.keys.take(path.clone());
        let id = self.graph.add_state(State {
            path,
            shape: Shape::scalar(),
            dtype: DType::Int,
            init: 0.0,
            role,
            never_negative: true,
            origin: OriginId::default(),
        });
        self.made(Op::State(id), &[])
    }

    /// Adds a node that no line of the model made.
    pub(super) fn made(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        self.graph.add(op, inputs, OriginId::default()).0
    }

    /// A counter times a number.
    fn times(&mut self, counter: NodeId, by: usize) -> NodeId {
        let body = ScalarFn::build(1, |pool, it| {
            let by = pool.constant(by as f64);
            pool.mul(it[0], by)
        });
        self.made(Op::Map { body, int: true }, &[counter])
    }

    /// The part of an order of examples, `int[whole]`, that is a shard's.
    fn of_shard(&mut self, order: NodeId, shard: Shard) -> NodeId {
        let places = Fill::List((shard.first..shard.first + shard.examples).map(|it| Scalar64(it as f64)).collect());
        let places = self.made(Op::Const { fill: places, shape: Shape::from([shard.examples]) }, &[]);
        let whole = ScalarFn::build(1, |_, i| i[0]);
        let places = self.made(Op::Map { body: whole, int: true }, &[places]);
        self.made(Op::Gather, &[order, places])
    }

    /// Builds the choice of examples and the labels: of the first part of a step's, where it takes several.
    pub(in crate::lower) fn feed(&mut self, basis: &Basis) -> Option<Feed> {
        let data = basis.data.clone()?;
        let (whole, parts) = (basis.batch, basis.accumulate);
        let n = self.batch;
        let first = |own: usize| basis.shard.map_or(0, |it| it.place(own));
        let (train, test) = (data.train_examples, data.test_examples);
        let step = self.step_counter();
        let start = self.counter(StateRole::EvaluateStart);
        let shape = Shape::from([n]);
        let index = if basis.shuffle {
            let kind = Random::Shuffle { examples: train };
            // Counted in parts of a batch.
            let counter = match parts {
                1 => step,
                parts => self.times(step, parts),
            };
            let (stream, all) = (random::stream("shuffle"), Shape::from([whole / parts]));
            let order = self.made(Op::Random { kind, shape: all, stream, first: 0 }, &[counter]);
            match basis.shard {
                Some(shard) => self.of_shard(order, shard),
                None => order,
            }
        } else {
            let start = self.times(step, whole);
            let kind = Random::Sequence { examples: train };
            self.made(Op::Random { kind, shape: shape.clone(), stream: 0, first: first(n) }, &[start])
        };
        let kind = Random::Sequence { examples: test };
        let sequence = self.made(Op::Random { kind, shape, stream: 0, first: 0 }, &[start]);
        let draws = augment::draws(&basis.augment);
        let uniform = (0 < draws).then(|| {
            let (shape, stream, first) = (Shape::from([n, draws]), random::stream("augment"), first(n * draws));
            self.made(Op::Random { kind: Random::Uniform, shape, stream, first }, &[step])
        });
        let uniform = uniform.map(|it| match basis.alternate {
            true => self.alternated(it, index, step, basis).unwrap_or(it),
            false => it,
        });
        let index = [index, sequence];
        let steps = [basis.augment.clone(), basis.steady.clone()];
        let moves = self.target_moves(basis, &data);
        for (at, (mode, source, examples)) in
            [(Mode::Train, Extern::TrainLabels, train), (Mode::Evaluate, Extern::TestLabels, test)]
                .into_iter()
                .enumerate()
        {
            let shape = Shape([&[examples], &data.target.stored(data.classes)[..]].concat());
            let all = self.made(Op::Input { source, shape, dtype: data.target.dtype() }, &[]);
            let mut operands = vec![all, index[at]];
            operands.extend(uniform.filter(|_| at == 0).and_then(|it| self.drawn(it, &moves[at])));
            let targets = self.made(Op::picks(&moves[at]), &operands);
            self.graph.labels.insert(mode, targets);
        }
        if let Some(mix) = basis.mix {
            // What is no image has no boxes, as was seen to.
            let image = data.image.image().and_then(|it| augment::after(&basis.augment, it).ok()).unwrap_or([1; 3]);
            self.mixed = self.mix(mix, n, [image[0], image[1]]);
        }
        Some(Feed { data, data_span: basis.data_span, steps, index, uniform })
    }

    /// The images of the data set, in place of the input.
    pub(in crate::lower) fn fed(
        &mut self,
        feed: &Feed,
        span: Span,
        name: &ast::Ident,
        dtype: DType,
        extents: &[usize],
    ) -> Option<Tensor> {
        let data = &feed.data;
        // A mistake in a step is told where it is.
        let after = data.image.image().filter(|_| !feed.steps[1].is_empty());
        let after = after.and_then(|it| augment::after(&feed.steps[1], it).ok()).map(Shape::from);
        let cropped = after.as_ref().is_some_and(|it| !it.fits(&data.image));
        let stored = data.image.image().filter(|_| !feed.steps[0].is_empty()).map(Shape::from);
        let image = after.or(stored).unwrap_or_else(|| data.image.clone());
        let given = Shape(extents.to_vec());
        // Where nothing is done to them, one channel is told or not.
        let stepped = !feed.steps.iter().all(Vec::is_empty);
        let fits = if stepped { given == image } else { given.fits(&image) };
        if !fits || dtype != data.dtype {
            let found = format!("{}{:?}", dtype.word(), extents);
            let wanted = format!("{}{:?}", data.dtype.word(), if fits { extents } else { image.dims() });
            let mut report = Diagnostic::new(
                Code::E0202,
                span,
                format!(
                    "the input is {found}, but the {}s of `{}` are {wanted}{}",
                    data.noun(),
                    data.name,
                    if cropped { " after augmentation" } else { "" }
                ),
            )
            .kind(Kind::OtherInput)
            .label(format!("expected {wanted}"))
            .also(feed.data_span, self.data_is_named())
            .fix(
                format!("write `input {}: {wanted}`", name.name),
                span,
                format!("input {}: {wanted}", name.name),
            );
            if let Some(why) = holds(data, dtype) {
                report = report.note(why);
            }
            let steps = data.image.image().and_then(|it| images::steps_between(it, extents, true));
            if let Some(steps) = steps.filter(|_| !cropped && dtype == data.dtype) {
                let written = self.sources.slice(feed.data_span);
                report = report.help(format!("or make the images fit: `data {written}{steps}`"));
            }
            self.report(report);
            self.input_differs = true;
            // Of another number of axes each layer would say so again.
            if given.rank() != image.rank() {
                return None;
            }
        }
        let origin = self.origin(span);
        // After a mistake the model goes on with examples that are as it asked for, so that its own mistakes still show.
        let (each, steps) = match fits && stepped {
            true => (data.image.image().map_or(given, Shape::from), feed.steps.clone()),
            false => (given, Default::default()),
        };
        let gather = |lowering: &mut Self, source: Extern, examples: usize, steps: &[Augment], rest: &[NodeId]| {
            let op = Op::picks(steps);
            let shape = Shape([&[examples], each.dims()].concat());
            let all = lowering.graph.add(Op::Input { source, shape, dtype }, &[], origin).0;
            lowering.graph.add(op, &[&[all], rest].concat(), origin).0
        };
        let mut rest = vec![feed.index[0]];
        rest.extend(feed.uniform.filter(|_| 0 < augment::draws(&steps[0])));
        let train = gather(self, Extern::TrainImages, feed.data.train_examples, &steps[0], &rest);
        let train = self.mixed_images(train);
        let evaluate = gather(self, Extern::TestImages, feed.data.test_examples, &steps[1], &feed.index[1..]);
        Some(Tensor { train, evaluate, owner: None })
    }

    /// Random numbers of the images' steps in which the one that mirrors left and right takes turns: it is chosen for each
    /// image of the data set, and exchanged in every other epoch (Jordan, arXiv:2404.00498, section 3.6).
    fn alternated(&mut self, uniform: NodeId, index: NodeId, step: NodeId, basis: &Basis) -> Option<NodeId> {
        let examples = basis.data.as_ref()?.train_examples;
        let [n, draws] = self.graph.fact(uniform).shape()?.dims()[..] else { return None };
        let stream = random::stream("augment/alternate");
        // The same numbers at every step, for every part of a batch.
        self.graph.common_draws.insert(stream);
        let always = self.times(step, 0);
        let choices = Op::Random { kind: Random::Uniform, shape: Shape::from([examples]), stream, first: 0 };
        let choices = self.made(choices, &[always]);
        let choice = self.made(Op::Gather, &[choices, index]);
        let kind = Random::Sequence { examples: 2 * examples };
        let done = self.times(step, basis.batch);
        let first = basis.shard.map_or(0, |it| it.first);
        let place = self.made(Op::Random { kind, shape: Shape::from([n]), stream: 0, first }, &[done]);
        let [choice, place] = [choice, place].map(|it| self.made(Op::Reshape(Shape::from([n, 1])), &[it]));
        let columns = self.made(Op::Const { fill: Fill::Range, shape: Shape::from([1, draws]) }, &[]);
        let body = ScalarFn::build(4, |pool, i| {
            let [zero, half, examples] = [0.0, 0.5, examples as f64].map(|it| pool.constant(it));
            let first = pool.binary(Binary::Lt, i[1], half);
            let odd = pool.binary(Binary::Le, examples, i[2]);
            let same = pool.binary(Binary::Eq, first, odd);
            // From a half on an image stays as it is.
            let turn = pool.mul(same, half);
            let mirror = pool.binary(Binary::Eq, i[3], zero);
            pool.select(mirror, turn, i[0])
        });
        Some(self.made(Op::Map { body, int: false }, &[uniform, choice, place, columns]))
    }
}
