//! Evaluation answers each example by itself: what the model gives may not depend on the others of a batch.

use crate::diag::Code;
use crate::ir::{Mode, Op};
use crate::lower::network::Network;

impl Network<'_> {
    /// Reports what the output of evaluation takes over the batch. Other outputs are for the training alone, and a model that is
    /// never trained is a function of all that it is given.
    pub(in crate::lower) fn answers_alone(&mut self) {
        if self.items.trains.is_empty() {
            return;
        }
        let Some(&output) = self.graph.outputs.get(&Mode::Evaluate) else { return };
        for id in self.graph.needed([output]) {
            let over_batch = matches!(self.graph.op(id), Op::Reduce { axes, .. } if axes.first() == Some(&0));
            let operand = self.graph.operands(id).first().copied();
            if !over_batch || !operand.is_some_and(|it| self.node_has_batch(it)) {
                continue;
            }
            let span = self.users_place(self.graph.origin_of(self.graph.origin_id(id)).span);
            let report = self
                .at(Code::E0201, span, "what is taken over the batch is there in training only")
                .label("evaluation gives every example one answer, whatever else is in its batch")
                .help(
                    "keep a running statistic of it and choose: `stat kept = running(m, decay: 0.9)`, \
                     then `if training { m } else { kept }`",
                );
            self.report(report);
        }
    }
}
