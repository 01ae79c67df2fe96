//! Calls of primitives and reductions.

use crate::ir::{Geometry, Op, Reduction, ScalarFn, Shape, Unary, size};
use crate::lower::network::ops::axes::map;
use crate::lower::network::ops::windows::Pool;
use crate::lower::network::response::Patch;
use crate::lower::report::ranges::Pad;
use crate::lower::unfold::Unfold;
use crate::lower::values::args::Args;
use crate::lower::values::signature;
use crate::lower::values::value::Value;
use crate::syntax::ast;

impl Unfold<'_> {
    /// `convolve(x, w, stride: 1, pad: same, operator: none, dilation: 1, groups: 1)`: the answer of each filter at each position.
    fn convolve(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(x), x_span)), Some((Value::Tensor(filter), w_span))) =
            (args.get("x").cloned(), args.get("w").cloned())
        else {
            return self.lost(args.span);
        };
        let stride = self.pair(args, "stride", [1, 1]);
        let pad = self.pad(args, Pad::Same);
        let operator = match args.get("operator") {
            Some((Value::Operator(it), _)) => Some(it.clone()),
            Some(_) => None,
            None => self.items.usual("none"),
        };
        let (Some(stride), Some(pad), Some(operator)) = (stride, pad, operator) else { return self.lost(args.span) };
        let (image, kernel) = (self.dims(&x), self.dims(&filter));
        let (&[_, height, width, _], true) = (image.as_slice(), self.has_batch(&x)) else {
            return self.wrong_rank(&x, x_span, "what is convolved", "[height, width, channels] for each example");
        };
        let (&[high, wide, _, filters], false) = (kernel.as_slice(), self.has_batch(&filter)) else {
            let wanted = "[height, width, channels, filters] without a batch";
            return self.wrong_rank(&filter, w_span, "the filter", wanted);
        };
        let place = self.users_place(args.span);
        let learned = if let Op::Param(id) = self.graph.op(filter.train) { Some(*id) } else { None };
        if let Some(id) = learned {
            self.answers_by(id, operator.name());
        }
        let (dilation, groups) = (self.pair(args, "dilation", [1, 1]), self.groups(args, image[3], filters));
        let (Some(dilation), Some(groups)) = (dilation, groups) else { return self.lost(args.span) };
        let bare = Geometry::valid([high, wide], stride).dilated(dilation).grouped(groups);
        let geometry = pad.around([height, width], bare);
        let fixed = learned.is_some_and(|it| self.has_fixed_window(it));
        self.vain_window(args, [height, width], &geometry, [1, 1], fixed);
        let path = self.names.path().to_owned();
        let patch = Patch { x, filter, filters, geometry, path, span: place };
        match self.operator(&operator, &patch) {
            Some(it) => {
                self.tell_geometry(&patch);
                Value::Tensor(it)
            }
            None => self.lost(place),
        }
    }

    pub(super) fn primitive(&mut self, args: &Args) -> Value {
        if args.wrong() {
            self.told_ranges(args);
            return self.lost(args.span);
        }
        match args.name.as_str() {
            "reshape" => self.reshape(args),
            "transpose" => self.transpose(args),
            "einsum" => self.einsum(args),
            "uniform" => self.uniform(args),
            "concat" => self.concat(args),
            "slice" => self.slice(args),
            "split" => self.split(args),
            "pad" => self.pad_zeros(args),
            "flip" => self.flip(args),
            "repeat" => self.repeated(args),
            "take" => self.take(args),
            "range" => self.range(args),
            "indices" => self.indices(args),
            "label_cross_entropy" => self.label_cross_entropy(args),
            "hit" => self.hit(args),
            "full" => self.full(args),
            "eye" => self.eye(args),
            "max_window" => self.window(Pool::Max, args),
            "mean_window" => self.window(Pool::Mean, args),
            "sum_window" => self.window(Pool::Sum, args),
            "convolve" => self.convolve(args),
            "respond" => self.respond_to_product(args),
            "convolve_transpose" => self.convolve_transpose(args),
            other => unreachable!("`{other}` is not among the primitives"),
        }
    }

    /// `mean(x, over: [batch, positions])`.
    pub(super) fn reduction(&mut self, call: &ast::Call) -> Value {
        let Some(signature) = signature::reduction(&call.callee.name) else { return self.lost(call.span) };
        // That it has no place among single numbers was said.
        if self.pool.is_some() {
            return self.lost(call.span);
        }
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let Some((Value::Tensor(x), _)) = args.get("x").cloned() else { return self.lost(call.span) };
        let batch = usize::from(self.has_batch(&x));
        let Some(dims) = self.graph.fact(x.train).shape().map(|it| it.dims().to_vec()) else {
            return self.lost(call.span);
        };
        let axes = match args.get("over").cloned() {
            Some((over, span)) => self.axes(&x, &over, span),
            None => Some((batch..dims.len()).collect()),
        };
        let Some(axes) = axes else { return self.lost(call.span) };
        let count = size::product(&axes.iter().map(|it| dims[*it]).collect::<Vec<_>>());
        let place = self.users_place(call.span);
        let value = match call.callee.name.as_str() {
            "count" => Value::Int(self.count_of_all(count, 1 <= batch && axes.contains(&0)) as i64),
            "sum" => Value::Tensor(self.reduced(Reduction::Sum, &axes, &x, place)),
            "mean" => Value::Tensor(self.reduced(Reduction::Mean, &axes, &x, place)),
            "variance" => Value::Tensor(self.reduced(Reduction::Variance, &axes, &x, place)),
            "max" => Value::Tensor(self.reduced(Reduction::Max, &axes, &x, place)),
            "min" => {
                let negative = || map(ScalarFn::build(1, |pool, it| pool.unary(Unary::Neg, it[0])));
                let turned = self.node(negative(), &[&x], place);
                let most = self.reduced(Reduction::Max, &axes, &turned, place);
                Value::Tensor(self.node(negative(), &[&most], place))
            }
            other => unreachable!("`{other}` is not among the reductions"),
        };
        match value {
            // Of all there is, one number is left.
            Value::Tensor(it) if args.get("over").is_none() && batch != dims.len() => {
                let whole = Op::Reshape(Shape(dims[..batch].to_vec()));
                Value::Tensor(self.node(whole, &[&it], place))
            }
            other => other,
        }
    }
}
