//! Evaluated arguments of a call.

use crate::diag::Span;
use crate::lower::values::source::Source;
use crate::lower::values::value::Value;

/// Evaluated arguments of a call, with their places.
#[derive(Debug)]
pub(in crate::lower) struct Args {
    pub(in crate::lower) name: String,
    /// The call, without what was piped into it.
    pub(in crate::lower) span: Span,
    pub(in crate::lower) values: Vec<Arg>,
    /// Whether what was given does not match the signature.
    pub(in crate::lower) mismatched: bool,
}

#[derive(Debug)]
pub(in crate::lower) struct Arg {
    pub(in crate::lower) name: String,
    pub(in crate::lower) value: Option<(Value, Span)>,
    /// What it stands for, in the text of the prelude.
    pub(in crate::lower) source: Option<Source>,
}

impl Args {
    fn find(&self, name: &str) -> Option<&Arg> {
        self.values.iter().find(|it| it.name == name)
    }

    /// An argument that was given, or `None` for the default.
    pub(in crate::lower) fn get(&self, name: &str) -> Option<&(Value, Span)> {
        self.find(name)?.value.as_ref()
    }

    /// Where an argument is given, and what it stands for there.
    pub(in crate::lower) fn place(&self, name: &str) -> Option<(Span, Option<Source>)> {
        let arg = self.find(name)?;
        Some((arg.value.as_ref()?.1, arg.source.clone()))
    }

    /// An argument in the words of messages: `` `stride` of `conv` ``.
    pub(in crate::lower) fn what(&self, name: &str) -> String {
        match self.find(name).and_then(|it| it.source.as_ref()) {
            Some(it) => it.what(),
            None => format!("`{name}` of `{}`", self.name),
        }
    }

    /// Whether a mistake makes the whole call unknown.
    pub(in crate::lower) fn wrong(&self) -> bool {
        self.mismatched || self.values.iter().any(|it| matches!(&it.value, Some((Value::Error(_), _))))
    }
}
