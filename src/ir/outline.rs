//! What a text makes its network of, for people: layers, functions of their results, and the calls of blocks around them.

use super::{Frame, NodeId, OriginId};
use crate::diag::Span;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One user-visible layer, for `show` and for messages.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `conv1_0`.
    pub path: String,
    /// What it is, with what it was given.
    pub callee: Callee,
    /// Functions of its result, one after the other: `relu`.
    pub then: Vec<String>,
    /// Its result in training mode.
    pub output: NodeId,
    /// Where it came from.
    pub origin: OriginId,
}

/// What is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Callee {
    /// Its name: `conv`.
    pub name: String,
    /// With what it was given that is not its default: `conv 16, kernel 1x1, bias`.
    pub text: String,
    /// All that it can be given, but tensors, with defaults.
    pub arguments: Vec<(String, Argument)>,
}

/// A value that a call is given.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the kinds")]
pub enum Argument {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A word, an operator, a function, a start.
    Text(String),
    List(Vec<Argument>),
}

/// A function that is applied to what is no layer's result, such as a sum.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The layer or block whose text it is in; empty in the model's own.
    pub path: String,
    /// Functions, one after the other: `relu`.
    pub then: Vec<String>,
    /// Extents of its result for one batch.
    pub dims: Vec<usize>,
    /// Its result in training mode, if it is still there by itself.
    pub output: Option<NodeId>,
    /// How many layers come before it.
    pub at: usize,
    /// Where it came from.
    pub origin: OriginId,
}

/// A call of a block that is no layer, but holds some.
#[derive(Clone, Debug)]
pub struct Block {
    /// The path of what it holds.
    pub path: String,
    /// What it is, with what it was given.
    pub callee: Callee,
    /// Its layers, by their positions.
    pub layers: Range<usize>,
    /// The call around it, by its position.
    pub around: Option<usize>,
    /// The loops and calls of its text, its own last where that is the user's.
    pub frames: Arc<[Frame]>,
    /// The call.
    pub span: Span,
    /// Whether its text is the prelude's, which has no frames.
    pub prelude: bool,
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Bool(it) => write!(f, "{it}"),
            Argument::Int(it) => write!(f, "{it}"),
            Argument::Float(it) => write!(f, "{it}"),
            Argument::Text(it) => write!(f, "{it}"),
            Argument::List(all) => {
                let all: Vec<String> = all.iter().map(Argument::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}
