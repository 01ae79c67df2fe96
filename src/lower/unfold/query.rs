//! Calls that ask for the shape or the length of a value.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::size;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::{Value, range_len};
use crate::syntax::ast;

impl Unfold<'_> {
    pub(super) fn query(&mut self, call: &ast::Call) -> Value {
        let name = call.callee.name.clone();
        // Where the callee is unknown, so is what its arguments mean to it.
        let Some(signature) = self.builtin(&name) else { return self.lost(call.span) };
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let Some((value, span)) = args.values.into_iter().next().and_then(|it| it.value) else {
            return self.lost(call.span);
        };
        match (name.as_str(), &value) {
            // Not so is one made of the updates done.
            ("known", value) => Value::Bool(value.number().is_some()),
            ("len", Value::List(items)) => Value::Int(items.len() as i64),
            ("len", Value::Range(low, high)) => {
                let len = i64::try_from(range_len(*low, *high)).ok();
                self.fitting(len, span, || format!("len({value})"))
            }
            ("len", Value::Str(it)) => Value::Int(it.chars().count() as i64),
            ("len", other) => self.fail(
                Diagnostic::new(Code::E0104, span, format!("{} has no length", other.describe()))
                    .label("expected a list"),
            ),
            (what, Value::Tensor(tensor)) => {
                let batch = usize::from(self.has_batch(tensor));
                let Some(shape) = self.graph.fact(tensor.train).shape() else { return self.lost(span) };
                let dims = &shape.dims()[batch..];
                let int = |it: usize| Value::Int(it as i64);
                match (what, dims) {
                    ("size", _) => int(size::product(dims)),
                    ("shape", _) => Value::List(dims.iter().map(|it| int(*it)).collect()),
                    ("channels", [.., channels]) => int(*channels),
                    ("height", [height, _, _]) => int(*height),
                    ("width", [_, width, _]) => int(*width),
                    _ => self.no_axis(call, dims.len(), span),
                }
            }
            _ => self.lost(span),
        }
    }

    fn no_axis(&mut self, call: &ast::Call, rank: usize, span: Span) -> Value {
        let name = &call.callee.name;
        let plural = if rank == 1 { "axis" } else { "axes" };
        let report = self
            .at(Code::E0303, call.span, format!("a tensor of {rank} {plural} has no {name}"))
            .label("only [height, width, channels] has them all")
            .also(span, "this tensor")
            .help("`shape(x)` is the list of its extents");
        self.fail(report)
    }
}
