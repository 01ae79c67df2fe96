//! Parameters that the loss is computed from, and that no gradient reaches: behind `stop`, a sign, a comparison.

use crate::diag::{Code, Span};
use crate::ir::{ExprNode, Loss, Mode, NodeId, Op, Param, ScalarFn};
use crate::lower::recipe::Recipe;
use foldhash::fast::FixedState;
use std::collections::{BTreeSet, HashMap};

/// So many places of one mistake are shown.
const SHOWN: usize = 8;

/// Which arguments have a slope somewhere.
fn sloped(body: &ScalarFn) -> Vec<u32> {
    let flat = |it: u32| {
        let slope = body.differentiate(it);
        slope.roots.iter().all(|it| matches!(slope.nodes[it.0 as usize], ExprNode::Const(it) if it.0 == 0.0))
    };
    body.used_inputs().into_iter().filter(|it| !flat(*it)).collect()
}

impl Recipe<'_> {
    /// Reports all of them as one: they have one cause most often.
    pub(in crate::lower) fn untaught(&mut self) {
        let Some(recipe) = self.graph.recipe.as_ref().filter(|_| !self.has_errors() && !self.settings.evaluates) else {
            return;
        };
        let frozen: BTreeSet<&str> = recipe.frozen.iter().map(|it| self.graph.param(*it).path.as_str()).collect();
        let Some(&loss) = self.graph.losses.get(&Mode::Train) else { return };
        let taught = self.taught(loss);
        let needed = self.graph.needed([loss]);
        let lost: Vec<&Param> = (needed.into_iter().filter(|it| !taught.contains(it)))
            .filter_map(|it| if let Op::Param(id) = self.graph.op(it) { Some(self.graph.param(*id)) } else { None })
            .filter(|it| !frozen.contains(it.path.as_str()))
            .collect();
        let Some((first, others)) = lost.split_first() else { return };
        let place = |it: &Param| self.users_place(self.graph.origin_of(it.origin).span);
        let message = match others.len() {
            0 => format!("no gradient reaches `{}`", first.path),
            more => format!("no gradient reaches `{}` and {more} more", first.path),
        };
        let mut report = self
            .at(Code::W0210, place(first), message)
            .label("stays as it starts, whatever is learned elsewhere")
            .note("`stop`, `sign`, `floor`, comparisons, `argmax` and `hit` have no slope")
            .help(format!(
                "let the loss depend on it smoothly, or say that it stays: `freeze on all where layer == \"{}\"`",
                first.layer
            ));
        let mut seen: Vec<Span> = vec![place(first)];
        for it in others.iter().map(|it| place(it)) {
            if seen.len() <= SHOWN && !seen.contains(&it) {
                report = report.also(it, "nor these");
                seen.push(it);
            }
        }
        self.report(report);
    }

    /// The nodes that a change of the loss's value can be led back to.
    fn taught(&self, loss: NodeId) -> BTreeSet<NodeId> {
        // Layers repeat.
        let mut known: HashMap<&ScalarFn, Vec<u32>, FixedState> = HashMap::default();
        let mut seen = BTreeSet::from([loss]);
        let mut todo = vec![loss];
        while let Some(id) = todo.pop() {
            let operands = self.graph.operands(id);
            let led: Vec<NodeId> = match self.graph.op(id) {
                Op::Input { .. }
                | Op::Param(_)
                | Op::State(_)
                | Op::Const { .. }
                | Op::Random { .. }
                | Op::Update(_) => Vec::new(),
                // Of positions there is none.
                Op::Gather | Op::Augment { .. } | Op::Loss(Loss::CrossEntropy { .. }) => {
                    operands.into_iter().take(1).collect()
                }
                Op::Scatter { .. } => operands.into_iter().skip(1).collect(),
                Op::Loss(Loss::Correct) | Op::Map { int: true, .. } => Vec::new(),
                Op::Map { body, int: false } => {
                    let sloped = known.entry(body).or_insert_with(|| sloped(body));
                    sloped.iter().map(|it| operands[*it as usize]).collect()
                }
                Op::Loss(Loss::CrossEntropyGrad { .. })
                | Op::Conv(_)
                | Op::ConvInputGrad { .. }
                | Op::ConvFilterGrad(_)
                | Op::MatMul { .. }
                | Op::Reduce { .. }
                | Op::Broadcast(_)
                | Op::Reshape(_)
                | Op::AllReduce(_)
                | Op::Transpose(_)
                | Op::Assemble { .. }
                | Op::Window { .. } => operands,
            };
            todo.extend(led.into_iter().filter(|it| seen.insert(*it)));
        }
        seen
    }
}
