//! Single ops against the golden vectors.

use crate::networks::golden::{Report, cases};
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::op::Scalar64;
use sphc::ir::{DType, Geometry, Loss, NodeId, Op, Window};
use sphc::shape::Builder;

/// Against golden f64, relative to the tensor's largest entry.
const EXACT: f64 = 1e-10;

/// A graph built by hand, with its inputs bound.
struct ByHand {
    b: Builder,
    env: Env,
}

impl ByHand {
    fn new() -> Self {
        Self { b: Builder::empty("case"), env: Env::default() }
    }

    fn input(&mut self, name: &str, value: &Tensor, dtype: DType) -> NodeId {
        self.env.bind(name, value.clone());
        self.b.named_input(name, value.shape.clone(), dtype)
    }

    fn real(&mut self, name: &str, value: &Tensor) -> NodeId {
        self.input(name, value, DType::Real)
    }

    fn value(&self, node: NodeId) -> Vec<f64> {
        evaluate(self.b.graph(), &self.env, &[node]).remove(0).data
    }
}

#[test]
fn max_pool_agrees() {
    let mut report = Report::default();
    for case in cases("maxpool") {
        let (x, dy) = (case.tensor("input"), case.tensor("grad_output"));
        let size = [x.shape.0[1], x.shape.0[2]];
        let side = |key: &str| [case.number(key) as usize; 2];
        let geometry = match case.text("pad") {
            "SAME" => Geometry::same(size, side("window"), side("stride")),
            _ => Geometry::valid(side("window"), side("stride")),
        };
        let mut graph = ByHand::new();
        let (x, dy) = (graph.real("x", x), graph.real("dy", dy));
        let y = graph.b.add(Op::Window { kind: Window::Max, geometry }, &[x]);
        let dx = graph.b.add(Op::Window { kind: Window::MaxGrad, geometry }, &[x, dy]);
        report.close(&format!("{} output", case.name), &graph.value(y), &case.tensor("output").data, 0.0);
        report.close(&format!("{} grad_input", case.name), &graph.value(dx), &case.tensor("grad_input").data, EXACT);
    }
    report.finish();
}

#[test]
fn average_pool_agrees() {
    let mut report = Report::default();
    for case in cases("avgpool") {
        let (x, y, dy) = (case.tensor("input"), case.tensor("output"), case.tensor("grad_output"));
        // The cases pool the whole image.
        assert_eq!(&y.shape.0[1..3], &[1, 1], "{} does not pool the whole image", case.name);
        let size = [x.shape.0[1], x.shape.0[2]];
        let geometry = Geometry::valid(size, [1, 1]);
        let mut graph = ByHand::new();
        let (x, dy) = (graph.real("x", x), graph.real("dy", dy));
        let share = 1.0 / (size[0] * size[1]) as f64;
        let sum = graph.b.add(Op::Window { kind: Window::Sum, geometry }, &[x]);
        let mean = graph.b.scale(sum, share);
        let spread = graph.b.add(Op::Window { kind: Window::SumGrad { size }, geometry }, &[dy]);
        let dx = graph.b.scale(spread, share);
        report.close(&format!("{} output", case.name), &graph.value(mean), &y.data, EXACT);
        report.close(&format!("{} grad_input", case.name), &graph.value(dx), &case.tensor("grad_input").data, EXACT);
    }
    report.finish();
}

#[test]
fn cross_entropy_agrees() {
    let mut report = Report::default();
    for case in cases("loss2") {
        let (smoothing, floor) = (Scalar64(case.number("label_eps")), Scalar64(case.number("softmax_add")));
        let n = case.tensor("labels").data.len();
        let mut graph = ByHand::new();
        let logits = graph.real("logits", case.tensor("logits"));
        let labels = graph.input("labels", case.tensor("labels"), DType::Int);
        let g = graph.real("g", &Tensor::filled([n], 1.0 / n as f64));
        let each = graph.b.add(Op::Loss(Loss::CrossEntropy { smoothing, floor }), &[logits, labels]);
        let sum = graph.b.sum_all(each);
        let loss = graph.b.scale(sum, 1.0 / n as f64);
        let grad = graph.b.add(Op::Loss(Loss::CrossEntropyGrad { smoothing, floor }), &[logits, labels, g]);
        report.close(&format!("{} loss", case.name), &graph.value(loss), &case.tensor("loss").data, EXACT);
        report.close(
            &format!("{} grad_logits", case.name),
            &graph.value(grad),
            &case.tensor("grad_logits").data,
            EXACT,
        );
    }
    report.finish();
}
