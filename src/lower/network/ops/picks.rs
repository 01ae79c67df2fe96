//! Rows of a table by their numbers, and numbers that count.

use crate::diag::{Code, Span};
use crate::ir::{Binary, Fill, Mode, NodeId, Op, ScalarFn, Shape};
use crate::lower::network::Network;
use crate::lower::settings::DataInfo;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

/// Whole numbers up to this are told apart in 32 bits.
const MOST_COUNTED: usize = 1 << 24;

impl Network<'_> {
    /// `take(table, ids)`: for each id the row of the table that it counts.
    pub(in crate::lower) fn take(&mut self, args: &Args) -> Value {
        let (Some((Value::Tensor(table), table_span)), Some((Value::Tensor(ids), ids_span))) =
            (args.get("table").cloned(), args.get("ids").cloned())
        else {
            return self.lost(args.span);
        };
        if !self.known(&table) || !self.known(&ids) {
            return self.lost(args.span);
        }
        if self.has_batch(&table) {
            let report = self
                .at(Code::E0303, table_span, "the table of `take` is another one for each example")
                .label("carries the batch")
                .help("`learn table: [count, units] = normal(std: 1)` is one for all");
            return self.fail(report);
        }
        let (rows, shape) = (self.dims(&table), self.dims(&ids));
        let Some((&count, row)) = rows.split_first() else {
            let report = self.at(Code::E0303, table_span, "a single number is no table").label("has no axes");
            return self.fail(report);
        };
        if MOST_COUNTED < count {
            self.out_of_range(
                table_span,
                "the rows of the table",
                &count.to_string(),
                &format!("at most {MOST_COUNTED}"),
            );
            return self.lost(ids_span);
        }
        let place = self.users_place(args.span);
        if let Some(data) = self.data_of(ids.train)
            && let Some(range) = data.range.filter(|it| !it.within([0.0, (count - 1) as f64]))
        {
            let least = if range.least() < 0.0 { format!(", and down to {}", range.least()) } else { String::new() };
            let message =
                format!("`{}` has ids up to {}{least}, and this table has {count} rows", data.name, range.most());
            let report = self.at(Code::E0202, place, message).label(format!("looks up rows 0 to {}", count - 1)).help(
                match range.least() < 0.0 {
                    true => "count ids from 0 in the data set".to_owned(),
                    false => format!("give it {} rows, one for each id", range.most() + 1.0),
                },
            );
            self.report(report);
        }
        // Ids are data: those outside of the table, and what is no number, count its first or last row.
        let inside = ScalarFn::build(1, |pool, it| {
            let (zero, last) = (pool.constant(0.0), pool.constant((count - 1) as f64));
            let less = pool.binary(Binary::Lt, it[0], last);
            let above = pool.binary(Binary::Max, it[0], zero);
            pool.select(less, above, last)
        });
        let ids = self.node(Op::Map { body: inside, int: true }, &[&ids], place);
        let flat = self.node(Op::Reshape(Shape(vec![shape.iter().product()])), &[&ids], place);
        let picked = self.node(Op::Gather, &[&table, &flat], place);
        Value::Tensor(self.node(Op::Reshape(Shape([&shape[..], row].concat())), &[&picked], place))
    }

    /// The data set whose numbers a tensor holds as they are, moved or laid out otherwise.
    fn data_of(&self, node: NodeId) -> Option<DataInfo> {
        let input = *self.graph.inputs.get(&Mode::Train)?;
        let mut at = node;
        while at != input {
            match self.graph.op(at) {
                Op::Reshape(_) | Op::Transpose(_) => at = *self.graph.operands(at).first()?,
                Op::Assemble { places, .. } if places.len() == 1 => at = *self.graph.operands(at).first()?,
                _ => return None,
            }
        }
        self.data.clone()
    }

    /// `range(n)`: 0, 1, ..., n - 1.
    pub(in crate::lower) fn range(&mut self, args: &Args) -> Value {
        let Some((Value::Int(count), span)) = args.get("count").cloned() else { return self.lost(args.span) };
        let Some(count) = self.sized(count, span, "the count of `range`", 1) else { return self.lost(args.span) };
        match self.counted(count, span, self.users_place(args.span)) {
            Some(it) => Value::Tensor(it),
            None => self.lost(span),
        }
    }

    /// `indices(x, over: channels)`: along one axis the positions, and an extent of 1 along the others.
    pub(in crate::lower) fn indices(&mut self, args: &Args) -> Value {
        let Some((Value::Tensor(x), span)) = args.get("x").cloned() else { return self.lost(args.span) };
        if !self.known(&x) {
            return self.lost(args.span);
        }
        let Some(axis) = self.one_axis(&x, args, "channels") else { return self.lost(args.span) };
        let own = axis - usize::from(self.has_batch(&x));
        let dims = &self.dims(&x)[axis - own..];
        let mut shape = vec![1; dims.len()];
        shape[own] = dims[own];
        let place = self.users_place(args.span);
        match self.counted(dims[own], span, place) {
            Some(it) => Value::Tensor(self.node(Op::Reshape(Shape(shape)), &[&it], place)),
            None => self.lost(span),
        }
    }

    /// Positions as numbers; `None` after a report of more than the reals of 32 bits tell apart.
    fn counted(&mut self, count: usize, span: Span, place: Span) -> Option<Tensor> {
        if MOST_COUNTED < count {
            self.out_of_range(span, "the number of positions", &count.to_string(), &format!("at most {MOST_COUNTED}"));
            return None;
        }
        Some(self.node(Op::Const { fill: Fill::Range, shape: Shape(vec![count]) }, &[], place))
    }
}
