//! Layers with a filter: `sphere_conv`, `conv`, `dense`.

use super::{Pad, extents, owned};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Geometry, Init, Op, ParamRole, ScalarFn, Shape, op::Scalar64, size};
use crate::lower::Lowering;
use crate::lower::call::Args;
use crate::lower::naming::Role;
use crate::lower::operator::Patch;
use crate::lower::value::{OperatorRef, Start, Tensor, Value};

/// Numbers in one filter: positions in it fit into 32 bits.
const LARGEST_FILTER: usize = 1 << 31;

impl Lowering<'_> {
    pub(super) fn conv_layer(&mut self, args: &Args) -> Value {
        let span = args.span;
        let place = self.users_place(span);
        let (path, report) = self.names.layer(&args.name, Role::Filter, span);
        self.report_all(report);
        let dense = args.name == "dense";
        let filters = self.whole(args, if dense { "units" } else { "filters" }, 1);
        let kernel = if dense { Some([1, 1]) } else { self.pair(args, "kernel", [3, 3]) };
        let stride = if dense { Some([1, 1]) } else { self.pair(args, "stride", [1, 1]) };
        let pad = if dense { Some(Pad::Valid) } else { self.pad(args, Pad::Same) };
        let (start, start_span) = match args.get("init") {
            Some((Value::Start(it), span)) => (*it, *span),
            _ => (Start::He, span),
        };
        let bias = matches!(args.get("bias"), Some((Value::Bool(true), _)));
        let default = if args.name == "sphere_conv" { "cosine" } else { "none" };
        let operator = match args.get("operator") {
            Some((Value::Operator(it), _)) => Some(it.clone()),
            Some(_) => None,
            None => self.items.operator(default).map(|it| OperatorRef::new(it.clone())),
        };
        let (Some(x), Some(filters), Some(kernel), Some(stride), Some(pad), Some(operator)) =
            (self.tensor(args), filters, kernel, stride, pad, operator)
        else {
            return self.lost(span);
        };
        if args.wrong() {
            return self.lost(span);
        }
        let outer = self.enter_layer(&path);
        let x = if dense { self.as_features(&x, span) } else { x };
        let dims = self.dims(&x);
        let size = if let [_, h, w, _] = dims[..] { [h, w] } else { [1, 1] };
        let channels = dims.last().copied().unwrap_or(1);
        let Some(bare) = self.bare(args, channels, filters) else {
            self.leave_layer(outer);
            return self.lost(span);
        };
        let each = channels / bare.groups;
        let inputs = size::product(&[kernel[0], kernel[1], each]);
        let shape = Shape::from([kernel[0], kernel[1], each, filters]);
        let result = if LARGEST_FILTER < size::product(shape.dims()) {
            self.report(
                Diagnostic::new(Code::E0108, span, format!("the filter of {filters} x {inputs} numbers is too large"))
                    .label("more than 2^31 numbers"),
            );
            None
        } else {
            let Some(init) = self.start_of(start, &shape, start_span) else {
                self.leave_layer(outer);
                return self.lost(span);
            };
            let filter = self.param(&path, "filter", shape, init, ParamRole::Filter, operator.name(), span);
            let geometry = pad.around(size, Geometry { kernel, stride, ..bare });
            self.vain_window(args, size, &geometry, [1, 1]);
            let patch = Patch { x, filter, filters, geometry, path: path.clone(), span: place };
            let answers = self.operator(&operator, &patch);
            if bias { answers.map(|it| self.biased(it, &path, filters, span)) } else { answers }
        };
        self.leave_layer(outer);
        let Some(result) = result else { return self.lost(span) };
        let mut kind = match args.name.as_str() {
            "dense" => format!("dense {filters}"),
            name => format!("{name} {}", extents(kernel)),
        };
        if args.name != "conv" {
            kind.push_str(&format!(", {}", Value::Operator(operator)));
        }
        if stride != [1, 1] {
            kind.push_str(&format!(", stride {}", extents(stride)));
        }
        if bare.dilation != [1, 1] {
            kind.push_str(&format!(", dilation {}", extents(bare.dilation)));
        }
        if bare.groups != 1 {
            kind.push_str(&format!(", {} groups", bare.groups));
        }
        if bias {
            kind.push_str(", bias");
        }
        self.list(&path, kind, &result, span);
        owned(result, &path)
    }

    /// Dilation and groups of a convolution; the rest of its geometry is still to come.
    pub(in crate::lower) fn bare(&mut self, args: &Args, channels: usize, filters: usize) -> Option<Geometry> {
        let (dilation, groups) = (self.pair(args, "dilation", [1, 1]), self.groups(args, channels, filters));
        Some(Geometry::valid([1, 1], [1, 1]).dilated(dilation?).grouped(groups?))
    }

    /// A number of its own added to each filter's answer.
    fn biased(&mut self, answers: Tensor, path: &str, filters: usize, span: Span) -> Tensor {
        let init = Init::Constant(Scalar64(0.0));
        let bias = self.param(path, "bias", Shape::from([filters]), init, ParamRole::Bias, "", span);
        let body = ScalarFn::build(2, |pool, it| pool.add(it[0], it[1]));
        let result = self.node(Op::Map { body, int: false }, &[&answers, &bias], span);
        self.answer_moved(answers.train, result.train);
        result
    }
}
