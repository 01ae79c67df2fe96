//! Whose arguments they are: where a definition of the prelude hands a parameter on, messages speak of what the user's text
//! gave, where it was given, and of what it called.

use crate::diag::Span;
use crate::syntax::ast;
use std::rc::Rc;

/// What the value of an argument stands for in the user's text.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Source {
    /// What was called there.
    pub(in crate::lower) of: Rc<ast::Function>,
    /// Which of its parameters it is.
    pub(in crate::lower) at: usize,
    /// Where it was given; `None` for a default.
    pub(in crate::lower) span: Option<Span>,
}

/// A call of a definition of the prelude that is being unfolded.
#[derive(Debug)]
pub(in crate::lower) struct Passed {
    /// Where its scope lies.
    pub(in crate::lower) floor: usize,
    pub(in crate::lower) of: Rc<ast::Function>,
    /// By parameter; `None` for what the prelude computed.
    pub(in crate::lower) sources: Vec<Option<Source>>,
}

impl Source {
    /// With the words of messages: `` `stride` of `conv` ``.
    pub(in crate::lower) fn what(&self) -> String {
        format!("`{}` of `{}`", self.of.params[self.at].name.name, self.of.name.name)
    }
}
