//! Checks a value against the type that is wanted.

use crate::diag::{Code, Diagnostic, Span, did_you_mean};
use crate::lower::names::words::AXES;
use crate::lower::network::Network;
use crate::lower::report::budget::{MOST_REPETITIONS, weight};
use crate::lower::report::idle::is_written;
use crate::lower::report::ranges::both_sides;
use crate::lower::values::value::{Ty, Value, range_len};
use std::fmt;

fn article(ty: &Ty) -> String {
    match ty {
        Ty::Int | Ty::Operator => format!("an {ty}"),
        Ty::Axes => {
            let words: Vec<String> = AXES.iter().map(|it| format!("`{it}`")).collect();
            format!("{}, an int, or a list of them", words.join(", "))
        }
        Ty::Pair | Ty::Words(_) | Ty::Word(_) | Ty::Any | Ty::Tensors => format!("{ty}"),
        Ty::List(item) => format!("a list of {item}"),
        Ty::Float | Ty::Number | Ty::Rate | Ty::Bool | Ty::Str | Ty::Fn | Ty::Tensor | Ty::Start => format!("a {ty}"),
    }
}

/// The values of a list and of the lists in it.
fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.iter().flat_map(flat).collect(),
        one => vec![one.clone()],
    }
}

impl Network<'_> {
    /// Checks a value against a type; an int is also a float. `None` of the types is silent on `Error`.
    pub(in crate::lower) fn coerce(
        &mut self,
        value: Value,
        ty: &Ty,
        span: Span,
        what: &dyn fmt::Display,
        declared: Option<Span>,
    ) -> Value {
        let fits = match (ty, &value) {
            (_, Value::Error(_)) => return value,
            (Ty::Any, it) => !matches!(it, Value::Nothing),
            (Ty::Float | Ty::Number | Ty::Rate, Value::Int(it)) => return Value::Float(*it as f64),
            (Ty::Int, Value::Int(_))
            | (Ty::Float | Ty::Number | Ty::Rate, Value::Float(_))
            | (Ty::Rate, Value::Scalar(_))
            | (Ty::Bool, Value::Bool(_))
            | (Ty::Str, Value::Str(_))
            | (Ty::Operator, Value::Operator(_))
            | (Ty::Fn, Value::Fn(_))
            | (Ty::Tensor, Value::Tensor(_))
            | (Ty::Pair | Ty::Words(_), Value::Int(_)) => true,
            (Ty::Pair, Value::List(items)) => matches!(items.as_slice(), [Value::Int(_), Value::Int(_)]),
            (Ty::Words(words) | Ty::Word(words), Value::Str(it)) => words.contains(&it.as_str()),
            (Ty::Words(_), Value::List(axes)) => axes.len() == 2 && axes.iter().all(|it| both_sides(it).is_some()),
            (Ty::Axes, Value::List(items)) => items.iter().all(|it| self.is_axis(it)),
            (Ty::Axes, it) => self.is_axis(it),
            (Ty::Number, Value::Tensor(it)) => self.goes_by_steps(it),
            (Ty::Start, Value::Start(_)) => true,
            (Ty::Tensors, Value::List(_)) => {
                let flat = flat(&value);
                match flat.iter().find(|it| !matches!(it, Value::Tensor(_))) {
                    None => return Value::List(flat),
                    Some(it) if it.is_error() => return it.clone(),
                    Some(it) => {
                        let what = format!("{what} must be tensors, and one of them is {}", it.describe());
                        return self.fail(Diagnostic::new(Code::E0104, span, what).label("expected tensors"));
                    }
                }
            }
            (Ty::List(item), Value::List(items)) => {
                let item = (**item).clone();
                let mut all = Vec::with_capacity(items.len());
                if !self.pay(weight(&value), span) {
                    return self.lost(span);
                }
                let places: Vec<Span> = self.elements(span).take(items.len()).collect();
                for (at, it) in items.clone().into_iter().enumerate() {
                    let place = places.get(at).copied().unwrap_or(span);
                    match self.coerce(it, &item, place, &format_args!("element {at} of {what}"), declared) {
                        it @ Value::Error(_) => return it,
                        it => all.push(it),
                    }
                }
                return Value::List(all);
            }
            (Ty::List(item), Value::Range(low, high)) if **item == Ty::Int => {
                let len = range_len(*low, *high);
                if MOST_REPETITIONS < len {
                    let allowed = format!("at most {MOST_REPETITIONS}");
                    self.out_of_range(span, "the length of this range", &len.to_string(), &allowed);
                    return self.lost(span);
                }
                return if self.pay(2 * len, span) {
                    Value::List((*low..*high).map(Value::Int).collect())
                } else {
                    self.lost(span)
                };
            }
            _ => false,
        };
        if fits {
            return value;
        }
        if let Some(told) = self.not_of_steps(&value, span) {
            return told;
        }
        let mut report =
            Diagnostic::new(Code::E0104, span, format!("{what} must be {}, found {}", article(ty), value.describe()));
        report = match ty {
            Ty::Operator => {
                let all: Vec<String> = self.items.operators().iter().map(|it| format!("`{it}`")).collect();
                report.label("expected an operator").note(format!("operators: {}", all.join(", ")))
            }
            _ => report.label(format!("expected {}", article(ty))),
        };
        if let (Value::Str(found), Some(words)) = (&value, ty.words())
            && let Some(near) = did_you_mean(found, words.iter().copied())
        {
            report = report.help(format!("did you mean `{near}`?"));
        }
        if let (Ty::Operator, Value::Str(found)) = (ty, &value)
            && self.items.operator(found, span.file).is_some()
        {
            report =
                self.instead(report, format!("operators are written without quotes: `{found}`"), span, found.clone());
        }
        // Beyond, floats are not exact, and whole numbers end.
        if let (Ty::Int, Value::Float(it)) = (ty, &value)
            && it.fract() == 0.0
            && it.abs() < 9e15
        {
            report = match is_written(self.sources.slice(span)) {
                true => report.fix(format!("write `{it:.0}`"), span, format!("{it:.0}")),
                false => report.help("write the numbers that it is made of without `.` and `e`: `64_000`"),
            };
        }
        if let (Ty::List(item), Value::Int(_)) = (ty, &value)
            && **item == Ty::Int
        {
            report = self.instead(report, format!("a list is written `[{value}]`"), span, format!("[{value}]"));
        }
        if let Some(declared) = declared
            && declared.file == span.file
        {
            report = report.also(declared, "the type is given here");
        }
        self.fail(report)
    }

    fn is_axis(&self, value: &Value) -> bool {
        match value {
            Value::Int(_) => true,
            Value::Str(it) => AXES.contains(&it.as_str()),
            _ => false,
        }
    }
}
