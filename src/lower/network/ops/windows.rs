//! `max_window`, `mean_window` and `sum_window`: one number of each window of an image, channel by channel.

use crate::diag::Code;
use crate::ir::op::Scalar64;
use crate::ir::{Binary, Fill, Geometry, Op, ScalarFn, Shape, Window, size};
use crate::lower::network::Network;
use crate::lower::report::ranges::Pad;
use crate::lower::values::args::Args;
use crate::lower::values::value::Value;

/// What is made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Pool {
    Max,
    /// Of its positions inside the image.
    Mean,
    Sum,
}

impl Network<'_> {
    /// `max_window(x, size, stride: size, pad: valid)`.
    pub(in crate::lower) fn window(&mut self, pool: Pool, args: &Args) -> Value {
        let Some((Value::Tensor(x), x_span)) = args.get("x").cloned() else { return self.lost(args.span) };
        let kernel = self.pair(args, "size", [1, 1]);
        let stride = self.pair(args, "stride", kernel.unwrap_or([1, 1]));
        let pad = self.pad(args, Pad::Valid);
        let (Some(kernel), Some(stride), Some(pad)) = (kernel, stride, pad) else { return self.lost(args.span) };
        let (dims, batch) = (self.dims(&x), self.has_batch(&x));
        let (&[_, height, width, _], true) = (dims.as_slice(), batch) else {
            return self.wrong_rank(&x, x_span, "what has windows", "[height, width, channels] for each example");
        };
        // A sum of nothing is 0.
        if pool != Pool::Sum && !self.every_window_sees_the_image(args, kernel, pad) {
            return self.lost(args.span);
        }
        let image = [height, width];
        let geometry = pad.around(image, Geometry::valid(kernel, stride));
        self.vain_window(args, image, &geometry, kernel, self.is_fixed(args, "size"));
        let span = self.users_place(args.span);
        let kind = if pool == Pool::Max { Window::Max } else { Window::Sum };
        let result = self.node(Op::Window { kind, geometry }, &[&x], span);
        if pool != Pool::Mean || !self.known(&result) {
            return Value::Tensor(result);
        }
        if geometry.before == [0; 2] && geometry.after == [0; 2] {
            let share = 1.0 / size::product(&kernel) as f64;
            let body = ScalarFn::build(1, |pool, it| {
                let share = pool.constant(share);
                pool.mul(it[0], share)
            });
            return Value::Tensor(self.node(Op::Map { body, int: false }, &[&result], span));
        }
        let shape = Shape::from([1, height, width, 1]);
        let ones = self.node(Op::Const { fill: Fill::Value(Scalar64(1.0)), shape }, &[], span);
        let count = self.node(Op::Window { kind, geometry }, &[&ones], span);
        let body = ScalarFn::build(2, |pool, it| pool.binary(Binary::Div, it[0], it[1]));
        Value::Tensor(self.node(Op::Map { body, int: false }, &[&result, &count], span))
    }

    /// Whether no window lies in the padding alone: such a one has neither a maximum nor a mean.
    fn every_window_sees_the_image(&mut self, args: &Args, kernel: [usize; 2], pad: Pad) -> bool {
        let (Pad::By(before, after), Some((value, span))) = (pad, args.get("pad")) else { return true };
        let (one, span) = (matches!(value, Value::Int(_)), *span);
        let beyond = |axis: &usize| kernel[*axis] <= before[*axis].max(after[*axis]);
        let axes: Vec<usize> = (0..2).filter(beyond).collect();
        let Some(&axis) = axes.iter().min_by_key(|it| kernel[**it]) else { return true };
        let (least, pad) = (kernel[axis], before[axis].max(after[axis]));
        let most = least - 1;
        let message = format!("{} is {pad}, as large as its window or larger", args.what("pad"));
        let mut report = self
            .at(Code::E0108, span, message)
            .label(format!("must be below {least}: the window is {}x{}", kernel[0], kernel[1]))
            .note("a window that lies in the padding alone has no positions to pool");
        if one {
            report = self.instead(report, format!("write `{most}`"), span, most.to_string());
        }
        self.report(report);
        false
    }
}
