//! Pools.

use super::{Pad, extents};
use crate::diag::Code;
use crate::ir::{Binary, Geometry, Op, ScalarFn, Shape, Window, size};
use crate::lower::Lowering;
use crate::lower::call::Args;
use crate::lower::naming::Role;
use crate::lower::value::{Tensor, Value};

/// `x * factor`.
fn scaled(factor: f64) -> Op {
    let body = ScalarFn::build(1, |pool, it| {
        let factor = pool.constant(factor);
        pool.mul(it[0], factor)
    });
    Op::Map { body, int: false }
}

impl Lowering<'_> {
    /// `max_pool`, `avg_pool`. An average divides by the number of positions inside the image.
    pub(super) fn pool_layer(&mut self, args: &Args) -> Value {
        let span = args.span;
        let (path, report) = self.names.layer(&args.name, Role::Other, span);
        self.report_all(report);
        let max = args.name == "max_pool";
        let kernel = self.pair(args, "size", [1, 1]);
        let stride = self.pair(args, "stride", kernel.unwrap_or([1, 1]));
        let pad = self.pad(args, if max { Pad::Same } else { Pad::Valid });
        let (Some(x), Some(kernel), Some(stride), Some(pad)) = (self.tensor(args), kernel, stride, pad) else {
            return self.lost(span);
        };
        if args.wrong() || !self.every_window_sees_the_image(args, kernel, pad) {
            return self.lost(span);
        }
        let outer = self.enter_layer(&path);
        let dims = self.dims(&x);
        let size = if let [_, h, w, _] = dims[..] { [h, w] } else { [1, 1] };
        let geometry = pad.around(size, Geometry::valid(kernel, stride));
        self.vain_window(args, size, &geometry, kernel);
        let kind = if max { Window::Max } else { Window::Sum };
        let mut result = self.node(Op::Window { kind, geometry }, &[&x], span);
        if !max && self.known(&result) {
            let inside = geometry.before == [0; 2] && geometry.after == [0; 2];
            result = if inside {
                self.node(scaled(1.0 / size::product(&kernel) as f64), &[&result], span)
            } else {
                let ones = self.fill(1.0, [1, size[0], size[1], 1], span);
                let count = self.node(Op::Window { kind, geometry }, &[&ones], span);
                let body = ScalarFn::build(2, |pool, it| pool.binary(Binary::Div, it[0], it[1]));
                self.node(Op::Map { body, int: false }, &[&result, &count], span)
            };
        }
        self.leave_layer(outer);
        let mut kind = format!("{} {}", args.name, extents(kernel));
        if stride != kernel {
            kind.push_str(&format!(", stride {}", extents(stride)));
        }
        self.list(&path, kind, &result, span);
        Value::Tensor(result)
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
        let message = format!("`pad` of `{}` is {pad}, as large as its window or larger", args.name);
        let mut report = self
            .at(Code::E0108, span, message)
            .label(format!("must be below {least}: the window is {}", extents(kernel)))
            .note("a window that lies in the padding alone has no positions to pool");
        if one {
            report = report.fix(format!("write `{most}`"), span, most.to_string());
        }
        self.report(report);
        false
    }

    /// All numbers of an example as channels: `[n, 1, 1, h*w*c]`.
    pub(super) fn as_features(&mut self, x: &Tensor, span: crate::diag::Span) -> Tensor {
        let dims = self.dims(x);
        let n = dims.first().copied().unwrap_or(1);
        let shape = Shape::from([n, 1, 1, size::product(dims.get(1..).unwrap_or(&[]))]);
        if shape.dims() == dims { x.clone() } else { self.node(Op::Reshape(shape), &[x], span) }
    }
}
