//! The scopes of what is unfolded.

use crate::lower::values::value::Value;
use std::collections::BTreeMap;

/// Names of one body.
pub(in crate::lower) type Scope = BTreeMap<String, Value>;

/// Scopes of the callers and, from `floor` on, of the running function, which sees nothing of its callers.
#[derive(Debug, Default)]
pub(in crate::lower) struct Scopes {
    all: Vec<Scope>,
    floor: usize,
}

/// Whose scopes are seen again once a function is left.
#[must_use]
#[derive(Debug)]
pub(in crate::lower) struct Caller {
    floor: usize,
}

impl Scopes {
    /// What a name stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.all[self.floor..].iter().rev().find_map(|it| it.get(name))
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether a body within the running function hides its parameter of this name.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.all[self.floor + 1..].iter().any(|it| it.contains_key(name))
    }

    /// Whether no function runs: the text is that of the model, or of the recipe.
    pub(super) fn is_outside(&self) -> bool {
        self.floor == 0
    }

    /// Where the scopes of the running function begin.
    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    /// Where those of a function would begin that is entered now.
    pub(super) fn depth(&self) -> usize {
        self.all.len()
    }

    /// Goes into a body of the running function.
    pub(in crate::lower) fn open(&mut self, scope: Scope) {
        self.all.push(scope);
    }

    /// Comes back out of it.
    pub(in crate::lower) fn close(&mut self) -> Scope {
        self.all.pop().unwrap_or_default()
    }

    /// Goes into a function with its parameters.
    pub(in crate::lower) fn enter(&mut self, scope: Scope) -> Caller {
        let floor = std::mem::replace(&mut self.floor, self.all.len());
        self.open(scope);
        Caller { floor }
    }

    /// Comes back out of it, with what its parameters are by then.
    pub(in crate::lower) fn leave(&mut self, caller: Caller) -> Scope {
        self.floor = caller.floor;
        self.close()
    }

    /// Binds a name in the innermost scope.
    pub(super) fn bind(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.all.last_mut() {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Binds a name for as long as the running function lives.
    pub(super) fn bind_for_all(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.all.get_mut(self.floor) {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Binds an existing name of the running function again; whether there is one.
    pub(super) fn rebind(&mut self, name: &str, value: Value) -> bool {
        let place = self.all[self.floor..].iter_mut().rev().find_map(|it| it.get_mut(name));
        let found = place.is_some();
        if let Some(place) = place {
            *place = value;
        }
        found
    }
}
