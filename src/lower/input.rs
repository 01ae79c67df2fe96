//! Where a model's images and labels come from: the data set of the recipe, or whoever binds them.

use super::images;
use super::recipe::Basis;
use super::value::{Tensor, Value};
use super::{DataInfo, Lowering};
use crate::diag::{Code, Diagnostic, Kind, Span};
use crate::ir::{
    Augment, DType, Extern, Mode, NodeId, Op, OriginId, Random, ScalarFn, Shape, State, StateRole, augment, random,
};
use crate::syntax::ast;

/// Nodes that say which examples a batch holds.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    data: DataInfo,
    data_span: Span,
    /// What is done to images, in training and in evaluation.
    steps: [Vec<Augment>; 2],
    /// Positions in the training set and in the test set.
    index: [NodeId; 2],
    /// Random numbers of the augmentation.
    uniform: Option<NodeId>,
}

impl Lowering<'_> {
    pub(super) fn counter(&mut self, role: StateRole) -> NodeId {
        let path = role.word().to_owned();
        self.keys.insert(path.clone());
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
    pub(super) fn times(&mut self, counter: NodeId, by: usize) -> NodeId {
        let body = ScalarFn::build(1, |pool, it| {
            let by = pool.constant(by as f64);
            pool.mul(it[0], by)
        });
        self.made(Op::Map { body, int: true }, &[counter])
    }

    /// Builds the choice of examples and the labels: of the first part of a step's, where it takes several.
    pub(super) fn feed(&mut self, basis: &Basis) -> Option<Feed> {
        let data = basis.data.clone()?;
        let (whole, parts) = (basis.batch, basis.accumulate);
        let n = whole / parts;
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
            self.made(
                Op::Random { kind, shape: shape.clone(), stream: random::stream("shuffle"), first: 0 },
                &[counter],
            )
        } else {
            let first = self.times(step, whole);
            let kind = Random::Sequence { examples: train };
            self.made(Op::Random { kind, shape: shape.clone(), stream: 0, first: 0 }, &[first])
        };
        let kind = Random::Sequence { examples: test };
        let sequence = self.made(Op::Random { kind, shape, stream: 0, first: 0 }, &[start]);
        let draws = augment::draws(&basis.augment);
        let uniform = (0 < draws).then(|| {
            let shape = Shape::from([n, draws]);
            self.made(Op::Random { kind: Random::Uniform, shape, stream: random::stream("augment"), first: 0 }, &[step])
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
            let targets = self.made(Op::Gather { steps: moves[at].clone() }, &operands);
            self.graph.labels.insert(mode, targets);
        }
        if let (Some(mix), Ok([height, width, _])) = (basis.mix, augment::after(&basis.augment, data.image)) {
            self.mixed = self.mix(mix, n, [height, width]);
        }
        Some(Feed { data, data_span: basis.data_span, steps, index, uniform })
    }

    /// `input image: u8[32, 32, 3]`.
    pub(super) fn input(&mut self, span: Span, name: &ast::Ident, dtype: &ast::Ident, dims: &[ast::Expr]) -> Value {
        let kind = match dtype.name.as_str() {
            "u8" => Some(DType::U8),
            "float" => Some(DType::Real),
            other => {
                let mut report =
                    Diagnostic::new(Code::E0104, dtype.span, format!("an input cannot be of type `{other}`"))
                        .label("expected `u8` or `float`");
                // The images of a data set are bytes.
                let bytes = self.feed.is_some() || matches!(other, "uint8" | "byte" | "bytes" | "U8" | "uint8_t");
                let known = if bytes { "u8" } else { "float" };
                let what =
                    if bytes { "the images of a data set are bytes" } else { "numbers that are not bytes are `float`" };
                report = report.fix(format!("{what}: write `{known}`"), dtype.span, known);
                self.report(report);
                None
            }
        };
        let extents = self.extents(dims);
        if let Some((first, _)) = &self.input {
            let report = Diagnostic::new(Code::E0201, span, "a model has one `input`")
                .label("a second input")
                .also(*first, "the first one is here");
            return self.fail(report);
        }
        self.input = Some((span, name.clone()));
        let (Some(dtype), Some(extents)) = (kind, extents) else { return self.lost(span) };
        let tensor = match self.feed.clone() {
            Some(feed) => self.fed(&feed, span, name, dtype, &extents),
            None => {
                let shape = Shape([&[self.batch], extents.as_slice()].concat());
                Some(self.node(Op::Input { source: Extern::Named(name.name.clone()), shape, dtype }, &[], span))
            }
        };
        let Some(tensor) = tensor else { return self.lost(span) };
        self.graph.inputs.insert(Mode::Train, tensor.train);
        self.graph.inputs.insert(Mode::Evaluate, tensor.evaluate);
        Value::Tensor(tensor)
    }

    /// The images of the data set, in place of the input.
    fn fed(&mut self, feed: &Feed, span: Span, name: &ast::Ident, dtype: DType, extents: &[usize]) -> Option<Tensor> {
        // A mistake in a step is told where it is.
        let image = augment::after(&feed.steps[1], feed.data.image).unwrap_or(feed.data.image);
        let [h, w, c] = image;
        let cropped = image != feed.data.image;
        if extents != image || dtype != DType::U8 {
            let list: Vec<String> = extents.iter().map(usize::to_string).collect();
            let found = format!("{}[{}]", if dtype == DType::U8 { "u8" } else { "float" }, list.join(", "));
            let wanted = format!("u8[{h}, {w}, {c}]");
            let mut report = Diagnostic::new(
                Code::E0202,
                span,
                format!(
                    "the input is {found}, but the images of `{}` are {wanted}{}",
                    feed.data.name,
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
            if let Some(steps) = images::steps_between(feed.data.image, extents, true).filter(|_| !cropped) {
                let written = self.sources.slice(feed.data_span);
                report = report.help(format!("or make the images fit: `data {written}{steps}`"));
            }
            self.report(report);
            self.input_differs = true;
            // The model goes on with the shape it asked for, so that its own mistakes still show.
            if extents.len() != 3 {
                return None;
            }
        }
        let origin = self.origin(span);
        // After a mistake the model goes on with images that are as it asked for.
        let (each, steps) = match extents == image {
            true => (feed.data.image, feed.steps.clone()),
            false => ([extents[0], extents[1], extents[2]], Default::default()),
        };
        let gather = |lowering: &mut Self, source: Extern, examples: usize, steps: &[Augment], rest: &[NodeId]| {
            let op = Op::Gather { steps: steps.to_vec() };
            let shape = Shape([&[examples], &each[..]].concat());
            let all = lowering.graph.add(Op::Input { source, shape, dtype: DType::U8 }, &[], origin).0;
            lowering.graph.add(op, &[&[all], rest].concat(), origin).0
        };
        let mut rest = vec![feed.index[0]];
        rest.extend(feed.uniform.filter(|_| 0 < augment::draws(&steps[0])));
        let train = gather(self, Extern::TrainImages, feed.data.train_examples, &steps[0], &rest);
        let train = self.mixed_images(train);
        let evaluate = gather(self, Extern::TestImages, feed.data.test_examples, &steps[1], &feed.index[1..]);
        Some(Tensor { train, evaluate, owner: None })
    }
}
