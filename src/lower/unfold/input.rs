//! `input image: u8[32, 32, 3]`.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Extern, Mode, Op, Shape};
use crate::lower::unfold::Unfold;
use crate::lower::values::value::Value;
use crate::syntax::ast;

impl Unfold<'_> {
    /// `input image: u8[32, 32, 3]`.
    pub(in crate::lower) fn input(
        &mut self,
        span: Span,
        name: &ast::Ident,
        dtype: &ast::Ident,
        dims: &[ast::Expr],
    ) -> Value {
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
}
