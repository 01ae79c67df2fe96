//! `convolve`, the answers of filters at the positions of an image, and `convolve_transpose`, which goes the other way.

use crate::diag::{Code, Span};
use crate::ir::{Geometry, Op, ParamId, ParamRole};
use crate::lower::network::Network;
use crate::lower::report::ranges::Pad;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

impl Network<'_> {
    /// `convolve_transpose(x, w, stride: 2)`: each number of `x` puts its filters' numbers, as many times itself, around its
    /// position. It is what the gradient of `convolve` in its image is made by, so `w` is `[height, width, filters, channels]`.
    pub(in crate::lower) fn convolve_transpose(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), x_span)), Some((Value::Tensor(filter), w_span))) =
            (args.get("x").cloned(), args.get("w").cloned())
        else {
            return self.lost(args.span);
        };
        let (stride, pad) = (self.pair(args, "stride", [1, 1]), self.pad(args, Pad::Same));
        let more = self.pair_from(args, "output_pad", [0, 0], 0);
        let (Some(stride), Some(pad), Some(more)) = (stride, pad, more) else { return self.lost(args.span) };
        let (image, kernel) = (self.dims(&x), self.dims(&filter));
        let (&[_, height, width, channels], true) = (image.as_slice(), self.has_batch(&x)) else {
            return self.wrong_rank(&x, x_span, "what is convolved", "[height, width, channels] for each example");
        };
        let (&[high, wide, _, last], false) = (kernel.as_slice(), self.has_batch(&filter)) else {
            let wanted = "[height, width, filters, channels] without a batch";
            return self.wrong_rank(&filter, w_span, "the filter", wanted);
        };
        if last != channels {
            let report = self
                .at(Code::E0302, w_span, format!("the filter takes {last} channels, and there are {channels}"))
                .label("its last extent is the number of channels")
                .also(x_span, format!("has {channels} channels"));
            return self.fail(report);
        }
        let Some(groups) = self.groups(args, channels, channels) else { return self.lost(args.span) };
        let Some(dilation) = self.pair(args, "dilation", [1, 1]) else { return self.lost(args.span) };
        let bare = Geometry::valid([high, wide], stride).dilated(dilation).grouped(groups);
        let Some((geometry, size)) = self.reached(args, [height, width], bare, pad, more) else {
            return self.lost(args.span);
        };
        let place = self.users_place(args.span);
        Value::Tensor(self.node(Op::ConvInputGrad { geometry, size }, &[&x, &filter], place))
    }

    /// The geometry whose windows over an image of the result's size have as many positions as `from`; and that size.
    fn reached(
        &mut self,
        args: &Args,
        from: [usize; 2],
        bare: Geometry,
        pad: Pad,
        more: [usize; 2],
    ) -> Option<(Geometry, [usize; 2])> {
        let more_span = args.get("output_pad").map_or(args.span, |it| it.1);
        if let Some(axis) = (0..2).find(|it| bare.stride[*it] <= more[*it]) {
            let (found, allowed) = (more[axis].to_string(), format!("below the stride, {}", bare.stride[axis]));
            self.out_of_range(more_span, &args.what("output_pad"), &found, &allowed);
            return None;
        }
        let around = match pad {
            Pad::Same => {
                let size = [0, 1].map(|it| from[it].saturating_mul(bare.stride[it]));
                if more != [0, 0] {
                    let report = self
                        .at(Code::E0108, more_span, "`output_pad` has no place where `pad` is `same`")
                        .label("the result is `stride` times as large already")
                        .help("leave it out, or say how much to pad: `pad: 1`");
                    self.report(report);
                    return None;
                }
                return Some((bare.padded(size), size));
            }
            Pad::Valid | Pad::By(..) => pad.around(from, bare),
        };
        let along = |axis: usize| {
            let last = (from[axis] - 1).checked_mul(bare.stride[axis])?;
            let full = last.checked_add(bare.extent()[axis])?.checked_add(more[axis])?;
            full.checked_sub(around.before[axis].checked_add(around.after[axis])?).filter(|it| 0 < *it)
        };
        let [Some(high), Some(wide)] = [along(0), along(1)] else {
            let pad_span = args.get("pad").map_or(args.span, |it| it.1);
            let report = self
                .at(Code::E0108, pad_span, format!("{} leaves nothing of the result", args.what("pad")))
                .label("takes off as much as there is")
                .note(format!(
                    "the result is (size - 1) * stride + extent of the kernel + output_pad - pad, of {}x{}",
                    from[0], from[1]
                ));
            self.report(report);
            return None;
        };
        Some((around, [high, wide]))
    }

    /// The operator that selectors find a filter by.
    pub(in crate::lower) fn answers_by(&mut self, id: ParamId, operator: &str) {
        let param = &mut self.graph.params[id.0 as usize];
        if param.role == ParamRole::Filter {
            param.operator = operator.to_owned();
        }
    }

    pub(in crate::lower) fn wrong_rank(&mut self, tensor: &Tensor, span: Span, what: &str, wanted: &str) -> Value {
        let Some(shape) = self.graph.fact(tensor.train).shape().cloned() else { return self.lost(span) };
        let batch = usize::from(self.has_batch(tensor));
        let list: Vec<String> = shape.dims()[batch..].iter().map(usize::to_string).collect();
        let with = if batch == 1 { "for each example" } else { "without a batch" };
        let report = self
            .at(Code::E0303, span, format!("{what} is [{}] {with}", list.join(", ")))
            .label(format!("expected {wanted}"));
        self.fail(report)
    }
}
