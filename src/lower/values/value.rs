//! What an expression of the language can be while a file is unfolded.

use crate::ir::{NodeId, Scalar, Whitening};
use crate::lower::report::told::Told;
use crate::syntax::ast;
use std::fmt;
use std::rc::Rc;

/// A tensor of the model: its node in training and in evaluation. Where the two modes compute the
/// same thing, hash-consing makes them one node.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Tensor {
    /// In `Mode::Train`.
    pub(in crate::lower) train: NodeId,
    /// In `Mode::Evaluate`.
    pub(in crate::lower) evaluate: NodeId,
    /// Path of the layer whose result this is, unchanged: a batch normalisation takes its name from it.
    pub(in crate::lower) owner: Option<Rc<str>>,
}

/// An operator by reference, some of its constants bound: `sigmoid(k: 0.5)`.
#[derive(Clone, Debug)]
pub(in crate::lower) struct OperatorRef {
    /// Its definition.
    pub(in crate::lower) def: Rc<ast::Function>,
    /// Constants given at the reference, in the order of the definition. Inside of another operator also
    /// parts of the geometry.
    pub(in crate::lower) bound: Vec<(String, Value)>,
    /// Inside of another operator: the constant by which it was given there.
    pub(in crate::lower) via: Option<String>,
}

/// A function that can be passed around.
#[derive(Clone, Debug)]
pub(in crate::lower) enum FnRef {
    /// Defined by `fn`.
    Item(Rc<ast::Function>),
    /// Built in.
    Builtin(&'static str),
}

/// A value.
#[derive(Clone, Debug)]
pub(in crate::lower) enum Value {
    /// Follows a mistake that is reported, as [`Told`] proves; whatever depends on it is silent.
    Error(Told),
    /// What a body without a final expression gives.
    Nothing,
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(String),
    List(Vec<Value>),
    /// `low..high`, without `high`.
    Range(i64, i64),
    Operator(OperatorRef),
    Fn(FnRef),
    Tensor(Tensor),
    Start(Start),
    /// A number known only at run time, inside the body of a `fn` or an operator.
    Scalar(Scalar),
}

/// How a tensor starts, whatever its shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::lower) enum Start {
    Number(f64),
    /// By the inputs of each number.
    He,
    HeOfOutputs,
    Glorot,
    /// Of this length.
    Orthogonal(f64),
    Dirac,
    /// Of patches of the training images.
    Whitening(Whitening),
    /// Of this standard deviation.
    Normal(f64),
    /// Up to this bound on either side.
    Uniform(f64),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Number(it) => write!(f, "{it}"),
            Start::He => write!(f, "he"),
            Start::HeOfOutputs => write!(f, "he(fan: outputs)"),
            Start::Glorot => write!(f, "glorot"),
            Start::Orthogonal(it) => write!(f, "orthogonal(gain: {it})"),
            Start::Dirac => write!(f, "dirac"),
            Start::Whitening(_) => write!(f, "whitening"),
            Start::Normal(it) => write!(f, "normal(std: {it})"),
            Start::Uniform(it) => write!(f, "uniform(bound: {it})"),
        }
    }
}

impl OperatorRef {
    pub(in crate::lower) fn new(def: Rc<ast::Function>) -> Self {
        Self { def, bound: Vec::new(), via: None }
    }

    pub(in crate::lower) fn name(&self) -> &str {
        &self.def.name.name
    }
}

impl Value {
    /// A number known now.
    pub(in crate::lower) fn number(&self) -> Option<f64> {
        match self {
            Value::Int(it) => Some(*it as f64),
            Value::Float(it) => Some(*it),
            _ => None,
        }
    }

    /// The mistake among some values, which stands for what depends on them.
    pub(in crate::lower) fn first_error<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<Value> {
        values.into_iter().find(|it| it.is_error()).cloned()
    }

    pub(in crate::lower) fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// With its article, for messages: `an int`.
    pub(in crate::lower) fn kind(&self) -> &'static str {
        match self {
            Value::Error(_) => "a mistake",
            Value::Nothing => "nothing",
            Value::Int(_) => "an int",
            Value::Float(_) => "a float",
            Value::Bool(_) => "a bool",
            Value::Str(_) => "a string",
            Value::List(_) => "a list",
            Value::Range(..) => "a range",
            Value::Operator(_) => "an operator",
            Value::Fn(_) => "a function",
            Value::Tensor(_) => "a tensor",
            Value::Start(_) => "a start",
            Value::Scalar(_) => "a number of the operator",
        }
    }

    /// For messages: kind and, where short, the value: `the int 3`.
    pub(in crate::lower) fn describe(&self) -> String {
        match self {
            Value::Int(_) => format!("the int {self}"),
            Value::Float(_) => format!("the float {self}"),
            Value::Bool(_) => format!("the bool {self}"),
            Value::Str(it) => format!("the string \"{}\"", cut(it)),
            Value::Operator(_) => format!("the operator `{}`", short(self)),
            Value::Fn(_) => format!("the function `{self}`"),
            Value::List(items) if items.len() <= SHORT_LIST => format!("the list {}", short(self)),
            other => other.kind().to_owned(),
        }
    }

    /// Whether two values are equal, where that can be asked: numbers by value, operators by name
    /// (and by their bound constants when both have some), lists by element.
    pub(in crate::lower) fn equals(&self, other: &Value) -> Option<bool> {
        Some(match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Range(a, b), Value::Range(c, d)) => (a, b) == (c, d),
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Some(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !a.equals(b)? {
                        return Some(false);
                    }
                }
                true
            }
            (Value::Operator(a), Value::Operator(b)) => {
                let both = !a.bound.is_empty() && !b.bound.is_empty();
                a.name() == b.name() && (!both || format!("{self}") == format!("{other}"))
            }
            (Value::Int(a), Value::Int(b)) => a == b,
            _ => self.number()? == other.number()?,
        })
    }
}

/// A value for a message: the start of a long one.
pub(in crate::lower) fn short(value: &Value) -> String {
    match value {
        Value::List(items) if SHORT_LIST < items.len() => format!("a list of {}", items.len()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(short).collect();
            cut(&format!("[{}]", items.join(", ")))
        }
        other => cut(&other.to_string()),
    }
}

/// Lists up to this length are shown, and so many characters of a string.
const SHORT_LIST: usize = 8;

const SHORT_TEXT: usize = 80;

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHORT_TEXT) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// How many numbers `low..high` has.
pub(in crate::lower) fn range_len(low: i64, high: i64) -> u64 {
    (i128::from(high) - i128::from(low)).max(0) as u64
}

impl fmt::Display for OperatorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if self.bound.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = self.bound.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        write!(f, "({})", list.join(", "))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Error(_) => write!(f, "?"),
            Value::Nothing => write!(f, "nothing"),
            Value::Int(it) => write!(f, "{it}"),
            Value::Float(it) => write!(f, "{it}"),
            Value::Bool(it) => write!(f, "{it}"),
            Value::Str(it) => write!(f, "{it}"),
            Value::Range(low, high) => write!(f, "{low}..{high}"),
            Value::List(items) => {
                write!(f, "[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
                }
                write!(f, "]")
            }
            Value::Operator(it) => write!(f, "{it}"),
            Value::Fn(FnRef::Item(it)) => write!(f, "{}", it.name.name),
            Value::Fn(FnRef::Builtin(it)) => write!(f, "{it}"),
            Value::Tensor(_) => write!(f, "tensor"),
            Value::Start(it) => write!(f, "{it}"),
            Value::Scalar(_) => write!(f, "number"),
        }
    }
}

/// Types that values are checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Ty {
    Any,
    Int,
    Float,
    Bool,
    Str,
    Operator,
    Fn,
    Tensor,
    /// An int, or a list of two: height and width.
    Pair,
    /// One of these words, an int, or a list of two, each an int or a list of two: before and after, for height and width.
    Words(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Names or numbers of axes.
    Axes,
    /// How a tensor starts: a number, or a word for random ones.
    Start,
    /// Several tensors, or lists of them: what stands in a call without a name.
    Tensors,
    /// A float, or a tensor that is one number and changes with the steps.
    Number,
    /// A float, or a number that changes with the steps, of what is not a tensor.
    Rate,
    List(Box<Ty>),
}

impl Ty {
    /// The words that are a value here, and nowhere else.
    pub(in crate::lower) fn words(&self) -> Option<&'static [&'static str]> {
        match self {
            Ty::Words(words) | Ty::Word(words) => Some(words),
            Ty::Any
            | Ty::Int
            | Ty::Float
            | Ty::Number
            | Ty::Bool
            | Ty::Str
            | Ty::Operator
            | Ty::Fn
            | Ty::Tensor
            | Ty::Tensors
            | Ty::Pair
            | Ty::Axes
            | Ty::Start
            | Ty::Rate
            | Ty::List(_) => None,
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Any => write!(f, "any value"),
            Ty::Int => write!(f, "int"),
            Ty::Float | Ty::Number => write!(f, "float"),
            Ty::Bool => write!(f, "bool"),
            Ty::Str => write!(f, "string"),
            Ty::Operator => write!(f, "operator"),
            Ty::Fn => write!(f, "fn"),
            Ty::Tensor => write!(f, "tensor"),
            Ty::Pair => write!(f, "int or [int, int]"),
            Ty::Words(words) => {
                let list: Vec<String> = words.iter().map(|it| format!("`{it}`")).collect();
                write!(f, "{}, an int or [int, int]", list.join(", "))
            }
            Ty::Word(words) => {
                let list: Vec<String> = words.iter().map(|it| format!("`{it}`")).collect();
                write!(f, "{}", list.join(" or "))
            }
            Ty::Axes => write!(f, "axes"),
            Ty::Start => write!(f, "start"),
            Ty::Tensors => write!(f, "tensors"),
            Ty::Rate => write!(f, "float"),
            Ty::List(item) => write!(f, "[{item}]"),
        }
    }
}
