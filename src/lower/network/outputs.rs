//! What a model gives: its output, which has the name `scores`, and outputs with names of their own, which losses and
//! metrics read.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Mode, Op, ScalarFn, Shape, TargetKind};
use crate::lower::names::words::SCORES;
use crate::lower::network::Network;
use crate::lower::network::basis::Basis;
use crate::lower::values::value::{Tensor, Value};
use crate::syntax::ast;

/// What became of the model's output.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::lower) enum Output {
    #[default]
    Missing,
    /// There is one, but it is unknown after a mistake.
    Lost,
    Found(Span),
}

/// What the model gives so far.
#[derive(Debug, Default)]
pub(in crate::lower) struct Outputs {
    /// Its own, which it is asked for.
    pub(in crate::lower) own: Output,
    /// The first `output` statement without a name that was reached.
    pub(in crate::lower) unnamed: Option<Span>,
    pub(in crate::lower) named: Vec<Named>,
}

/// An output with a name.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Named {
    pub(in crate::lower) name: ast::Ident,
    pub(in crate::lower) tensor: Tensor,
}

impl Network<'_> {
    /// A number for each example, `[n]`.
    pub(in crate::lower) fn one_each(&mut self, value: Value, what: &str, span: Span) -> Value {
        let mean = "the recipe takes the mean over the batch itself";
        let tensor = match value {
            Value::Error(_) => return value,
            Value::Tensor(it) if !self.known(&it) => return self.lost(span),
            Value::Tensor(it) if self.loses_the_batch(&it) => {
                let report = self
                    .at(Code::E0303, span, format!("{what} is not a number for each example"))
                    .label("has no batch")
                    .note(mean)
                    .help(match self.reach(&it) {
                        Some(_) => "make it of what the model gives",
                        None => "leave `batch` out of what it is reduced over",
                    });
                return self.fail(report);
            }
            Value::Tensor(it) => it,
            other => {
                let report = self
                    .at(Code::E0104, span, format!("{what} gives {}, not a number for each example", other.describe()))
                    .label("expected a tensor")
                    .note(mean);
                return self.fail(report);
            }
        };
        let dims = self.dims(&tensor);
        let each = &dims[1..];
        if each.iter().any(|it| *it != 1) {
            let list: Vec<String> = each.iter().map(usize::to_string).collect();
            let over = if each.len() == 1 { "channels" } else { "[positions, channels]" };
            let report = self
                .at(Code::E0303, span, format!("{what} gives [{}] for each example, not one number", list.join(", ")))
                .label("expected one number for each example")
                .note(mean)
                .help(format!("add them up, `sum(x, over: {over})`, or take their mean"));
            return self.fail(report);
        }
        let place = self.users_place(span);
        let mut tensor = tensor;
        if dims.len() != 1 {
            tensor = self.node(Op::Reshape(Shape::from([dims[0]])), &[&tensor], place);
        }
        if self.graph.fact(tensor.train).dtype() != Some(DType::Real) {
            let real = Op::Map { body: ScalarFn::build(1, |_, it| it[0]), int: false };
            tensor = self.node(real, &[&tensor], place);
        }
        Value::Tensor(tensor)
    }

    /// `output x`, or `output aux = x`. Without one that has no name, the first is what the model is asked for.
    pub(in crate::lower) fn set_output(
        &mut self,
        name: Option<&ast::Ident>,
        value: Value,
        place: Span,
        statement: Span,
    ) {
        match name {
            Some(name) => {
                if let Some(first) = self.outputs.named.iter().find(|it| it.name.name == name.name) {
                    let first = first.name.span;
                    let report = self
                        .at(Code::E0103, name.span, format!("two outputs are called `{}`", name.name))
                        .label("again here")
                        .also(first, "first here");
                    return self.report(report);
                }
                if name.name == SCORES {
                    let report = self
                        .at(Code::E0103, name.span, "`scores` is the name of the output without one")
                        .label("not a name for another output")
                        .help("write `output x`, or another name");
                    self.lost_output();
                    return self.report(report);
                }
            }
            None => {
                if let Some(first) = self.outputs.unnamed {
                    let report = self.at(Code::E0201, statement, "a model has one `output`");
                    self.report(if first == statement {
                        report.label("this one is repeated by a loop")
                    } else {
                        report.label("a second output").also(first, "the first one is here")
                    });
                    return;
                }
                self.outputs.unnamed = Some(statement);
            }
        }
        match value {
            Value::Tensor(tensor) if self.loses_the_batch(&tensor) => {
                self.outputs.own = Output::Lost;
                let report = self
                    .at(Code::E0303, place, "the output is the same for every example")
                    .label("has no batch")
                    .note("what is learned or kept has none, and a reduction over `batch` takes it away");
                self.report(report);
            }
            Value::Tensor(tensor) => {
                if name.is_none() || self.graph.outputs.is_empty() {
                    self.outputs.own = Output::Found(statement);
                    self.graph.outputs.insert(Mode::Train, tensor.train);
                    self.graph.outputs.insert(Mode::Evaluate, tensor.evaluate);
                }
                name.iter().for_each(|it| self.tell(&it.name, &tensor));
                self.graph.named_outputs.extend(name.map(|it| it.name.clone()));
                self.outputs.named.extend(name.map(|it| Named { name: it.clone(), tensor }));
            }
            Value::Error(_) => self.outputs.own = Output::Lost,
            other => {
                self.outputs.own = Output::Lost;
                self.report(
                    Diagnostic::new(Code::E0104, place, format!("the output is {}", other.describe()))
                        .label("expected a tensor"),
                );
            }
        }
    }

    /// An `output` that could not be reached because of a mistake.
    pub(in crate::lower) fn lost_output(&mut self) {
        if matches!(self.outputs.own, Output::Missing) {
            self.outputs.own = Output::Lost;
        }
    }

    /// What the model is asked for; a row for each example where it has one position.
    pub(in crate::lower) fn scores(&mut self) -> Option<Tensor> {
        let Output::Found(span) = self.outputs.own else { return None };
        self.graph.outputs.get(&Mode::Train).copied().into_iter().for_each(|it| self.check_heads(it));
        let (train, evaluate) = (self.graph.outputs.get(&Mode::Train), self.graph.outputs.get(&Mode::Evaluate));
        let tensor = Tensor { train: *train?, evaluate: *evaluate?, owner: None };
        let row = self.row(tensor, span);
        self.graph.outputs.insert(Mode::Train, row.train);
        self.graph.outputs.insert(Mode::Evaluate, row.evaluate);
        Some(row)
    }

    /// A tensor of one position as a row.
    pub(in crate::lower) fn row(&mut self, tensor: Tensor, span: Span) -> Tensor {
        match self.dims(&tensor)[..] {
            [n, 1, 1, found] => self.node(Op::Reshape(Shape::from([n, found])), &[&tensor], span),
            _ => tensor,
        }
    }

    /// Whether the output is a number for each class, after a report where it is not.
    pub(in crate::lower) fn tells_classes(&mut self, basis: &Basis) -> bool {
        let (Some(data), Output::Found(span)) = (&basis.data, &self.outputs.own) else { return false };
        let (classes, span) = (data.classes, *span);
        let Some(&train) = self.graph.outputs.get(&Mode::Train) else { return false };
        let Some(shape) = self.graph.fact(train).shape() else { return false };
        let dims = shape.dims().to_vec();
        match data.target {
            TargetKind::Class => {}
            TargetKind::Map(_) => return self.tells_pixels(basis, &data.clone(), &dims, span),
            TargetKind::Labels | TargetKind::Numbers(_) => return true,
        }
        let [_, found] = dims[..] else {
            // The size follows from an input that is not the data set's.
            if self.input_differs {
                return false;
            }
            let list: Vec<String> = dims.iter().skip(1).map(usize::to_string).collect();
            let mut report = Diagnostic::new(
                Code::E0202,
                span,
                format!("the output is [{}], not one number for each class", list.join(", ")),
            )
            .label(format!("expected [1, 1, {classes}]"));
            if dims.iter().skip(1).product::<usize>() == classes {
                report = report.help("these are as many numbers: give `flatten` of them, `[1, 1, n]`");
            } else if let [_, h, w, _] = dims[..] {
                report = report.help(format!(
                    "end with a layer that sees the whole image: `kernel: {}, pad: valid`, or take \
                     `global_avg_pool(x)` before the last layer",
                    if h == w { h.to_string() } else { format!("[{h}, {w}]") }
                ));
            }
            self.report(report);
            return false;
        };
        if found != classes {
            let plural = if found == 1 { "" } else { "es" };
            self.report(
                Diagnostic::new(
                    Code::E0202,
                    span,
                    format!("the model tells {found} class{plural} apart, but `{}` has {classes}", data.name),
                )
                .label(format!("ends with {found} channels"))
                .also(basis.data_span, format!("{classes} classes"))
                .help(match self.items.main("classes").is_some() {
                    true => {
                        "the file's own `classes` hides the number of classes of the data set: give it another name"
                    }
                    false => "write `classes` for the number of filters of the last layer",
                }),
            );
        }
        found == classes
    }
}
