//! The dynamic half: bodies are evaluated into nodes.
//!
//! [`Unfold`] has the scopes and the values in them. Names and arguments were checked by `resolve`; what is not found here was
//! reported there.

pub(in crate::lower) mod arguments;
pub(in crate::lower) mod arith;
pub(in crate::lower) mod call;
pub(in crate::lower) mod expr;
pub(in crate::lower) mod extents;
pub(in crate::lower) mod input;
pub(in crate::lower) mod kept;
pub(in crate::lower) mod learn;
pub(in crate::lower) mod listing;
pub(in crate::lower) mod measure;
pub(in crate::lower) mod mode;
pub(in crate::lower) mod operator;
pub(in crate::lower) mod params;
pub(in crate::lower) mod primitives;
pub(in crate::lower) mod product;
pub(in crate::lower) mod query;
pub(in crate::lower) mod schedule;
pub(in crate::lower) mod scopes;
pub(in crate::lower) mod source;
pub(in crate::lower) mod stmts;
pub(in crate::lower) mod study;
pub(in crate::lower) mod target;
pub(in crate::lower) mod update;

use crate::diag::Span;
use crate::lower::network::input::Feed;
use crate::lower::network::naming::Count;
use crate::lower::scalar::Scalars;
use crate::lower::values::signature::Signature;
use crate::lower::values::value::Value;
use crate::syntax::ast;
use measure::Objective;
use scopes::Scopes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use update::Update;

/// What evaluating carries along.
pub(in crate::lower) struct Unfold<'a> {
    scalars: Scalars<'a>,
    /// Blocks and functions that contain themselves; reported, never entered.
    endless: BTreeSet<String>,
    pub(in crate::lower) params: BTreeMap<String, Value>,
    pub(in crate::lower) scopes: Scopes,
    /// Operators that were, with their constants.
    studied: BTreeSet<(Span, String)>,
    /// What is written in the bodies of blocks and in named expressions, by their places.
    counts: HashMap<Span, Count>,
    /// Signatures of blocks, by where they are named, and of built-in functions.
    signatures: HashMap<Span, Rc<Signature>>,
    builtins: BTreeMap<String, Rc<Signature>>,
    unnamed: usize,
    /// While the body of an optimizer is unfolded.
    pub(in crate::lower) update: Option<Update>,
    /// While a rate is unfolded, in which schedules may be named: the iterations of the run, where they are known.
    pub(in crate::lower) scheduled: Option<Option<u64>>,
    /// What the recipe gives the model as its input, to be used by `input`.
    pub(in crate::lower) feed: Option<Feed>,
    pub(in crate::lower) input: Option<(Span, ast::Ident)>,
    /// Whether a loss asks the model's own output for classes.
    pub(in crate::lower) classifies: bool,
    /// The label that a loss of the model's output leaves out.
    pub(in crate::lower) ignored: Option<i64>,
    /// While a line of the recipe that names losses or metrics is unfolded.
    pub(in crate::lower) objective: Option<Objective>,
}

impl<'a> Deref for Unfold<'a> {
    type Target = Scalars<'a>;

    fn deref(&self) -> &Scalars<'a> {
        &self.scalars
    }
}

impl<'a> DerefMut for Unfold<'a> {
    fn deref_mut(&mut self) -> &mut Scalars<'a> {
        &mut self.scalars
    }
}

impl<'a> Unfold<'a> {
    pub(super) fn new(scalars: Scalars<'a>, endless: BTreeSet<String>) -> Self {
        Self {
            scalars,
            endless,
            params: BTreeMap::new(),
            scopes: Scopes::default(),
            studied: BTreeSet::new(),
            counts: HashMap::new(),
            signatures: HashMap::new(),
            builtins: BTreeMap::new(),
            unnamed: 0,
            update: None,
            scheduled: None,
            feed: None,
            input: None,
            classifies: false,
            ignored: None,
            objective: None,
        }
    }
}
