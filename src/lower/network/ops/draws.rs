//! Random numbers of a training step: `uniform([height, width, n])`.
//!
//! Each draw has a stream of its own, which is its call's path and its place among the draws of that path; a number of it is
//! a function of seed, stream, step and position (`ir::random`). So a resumed run draws the same, forward and backward use
//! the same numbers, and two draws are never one.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Op, Random, Shape, random, size};
use crate::lower::network::Network;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

impl Network<'_> {
    /// `uniform([height, width, n], batch: true)`: in [0, 1), for each example or for all of them.
    pub(in crate::lower) fn uniform(&mut self, args: &Args) -> Value {
        if !self.modes.iter().any(|it| it.1) {
            let place = self.users_place(args.span);
            let report = Diagnostic::new(Code::E0201, place, "random numbers are there in training only")
                .label("evaluation gives every example one answer")
                .help("draw them inside of `if training { ... } else { ... }`");
            return self.fail(report);
        }
        let Some((Value::List(extents), place)) = args.get("extents").cloned() else { return self.lost(args.span) };
        let Some(dims) = self.listed_extents(&extents, place, "uniform") else { return self.lost(place) };
        let batch = !matches!(args.get("batch"), Some((Value::Bool(false), _)));
        let dims = if batch { [&[self.batch], dims.as_slice()].concat() } else { dims };
        let step = self.step_counter();
        let path = self.names.path().to_owned();
        let drawn = self.draws.entry(path.clone()).or_default();
        let stream = random::stream(&format!("{path}/draw {drawn}"));
        *drawn += 1;
        let origin = self.origin(args.span);
        // Those of an example are the same in whatever shard it is.
        let first = self.shard.filter(|_| batch).map_or(0, |it| it.place(size::product(&dims)));
        let op = Op::Random { kind: Random::Uniform, shape: Shape(dims), stream, first };
        let train = self.graph.add(op, &[step], origin).0;
        let tensor = Tensor { train, evaluate: train, owner: None };
        if !batch {
            self.is_for_all(train);
            self.graph.common_draws.insert(stream);
        }
        Value::Tensor(tensor)
    }
}
