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
        let kind = DType::of_input(&dtype.name);
        if kind.is_none() {
            let other = &dtype.name;
            let (known, what) = match other.to_lowercase().as_str() {
                "uint8" | "byte" | "bytes" | "u8" | "uint8_t" => (DType::U8, "bytes are"),
                "uint16" | "ushort" | "u16" | "uint16_t" => (DType::U16, "numbers of 16 bits without a sign are"),
                "int8" | "int16" | "int32" | "int64" | "i8" | "i16" | "i32" | "i64" | "long" | "integer" | "uint32"
                | "uint64" | "u32" | "u64" | "bool" => (DType::Int, "other whole numbers are"),
                _ => match &self.data {
                    Some(data) => (data.dtype, "those of this data set are"),
                    None => (DType::Real, "numbers that are not whole are"),
                },
            };
            let known = known.word();
            let report = Diagnostic::new(Code::E0104, dtype.span, format!("an input cannot be of type `{other}`"))
                .label("expected `u8`, `u16`, `int` or `float`")
                .fix(format!("{what} `{known}`"), dtype.span, known);
            self.report(report);
        }
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
