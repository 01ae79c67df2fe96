//! Weights of another model: tensors are renamed, and those that fit by name and extents are chosen.

use super::{Need, Weights, kept, role};
use crate::ir::StateRole;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// What became of the tensors of a file, and of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Tensors of the model that the file has.
    pub taken: Vec<String>,
    /// Tensors of the model that the file lacks.
    pub missed: Vec<String>,
    /// Tensors of both that do not fit, each with the reason.
    pub other: Vec<String>,
    /// Tensors of the file that are not the model's.
    pub left: Vec<String>,
}

impl Taken {
    /// Whether the model has all from the file, and the file has nothing else.
    pub fn is_all(&self) -> bool {
        self.missed.is_empty() && self.other.is_empty() && self.left.is_empty()
    }
}

/// Renames what a pattern matches: `backbone.*` as `*`. The star stands for any letters, and for the same ones in the new name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    from: String,
    to: String,
}

impl Rename {
    /// Reads `backbone.*=*`.
    pub fn parse(text: &str) -> Result<Rename, String> {
        let Some((from, to)) = text.split_once('=') else {
            return Err("expected PATTERN=NAME, such as `backbone.*=*`".into());
        };
        let stars = |it: &str| it.matches('*').count();
        if from.is_empty() || to.is_empty() {
            return Err("a name on each side of `=`".into());
        }
        if 1 < stars(from) || stars(from) < stars(to) {
            return Err("a pattern has at most one `*`, and its new name no other than that".into());
        }
        Ok(Rename { from: from.to_owned(), to: to.to_owned() })
    }

    /// The new name of a tensor that the pattern matches.
    fn apply(&self, name: &str) -> Option<String> {
        let Some((start, end)) = self.from.split_once('*') else {
            return (self.from == name).then(|| self.to.clone());
        };
        let middle = name.strip_prefix(start)?.strip_suffix(end)?;
        Some(self.to.replace('*', middle))
    }
}

impl Weights {
    /// Renames tensors, each by the first pattern that matches it; the error is the cause only.
    pub fn rename(&mut self, map: &[Rename]) -> Result<(), String> {
        let named = |name: &String| map.iter().find_map(|it| it.apply(name)).unwrap_or_else(|| name.clone());
        let mut from: BTreeMap<String, String> = BTreeMap::new();
        for name in self.file.tensors.keys() {
            if let Some(other) = from.insert(named(name), name.clone()) {
                return Err(format!("`{other}` and `{name}` would both be called `{}`", named(name)));
            }
        }
        if let Some(it) = map.iter().find(|it| !self.file.tensors.keys().any(|name| it.apply(name).is_some())) {
            return Err(format!("no tensor of it matches the pattern `{}`", it.from));
        }
        let first = |name: &String| map.iter().position(|it| it.apply(name).is_some());
        let used: BTreeSet<usize> = self.file.tensors.keys().filter_map(first).collect();
        if let Some((_, it)) = map.iter().enumerate().find(|it| !used.contains(&it.0)) {
            return Err(format!("an earlier pattern takes every tensor that `{}` matches", it.from));
        }
        self.file.rename(named);
        if let Some(roles) = &mut self.roles {
            *roles = std::mem::take(roles).into_iter().map(|(name, it)| (named(&name), it)).collect();
        }
        Ok(())
    }

    /// Leaves only what fits a plan to start from.
    pub fn choose(&mut self, plan: &Plan) -> Taken {
        let mut res = Taken::default();
        for buffer in kept(plan) {
            let name = &buffer.name;
            // What belongs to a training starts anew with it.
            if role(buffer).is_some_and(StateRole::is_progress) {
                self.file.tensors.remove(name);
                continue;
            }
            if !self.file.tensors.contains_key(name) {
                // Averages start as what they are averages of.
                if role(buffer) != Some(StateRole::Average) {
                    res.missed.push(name.clone());
                }
            } else if let Some(cause) = self.problem(buffer, Need::Start) {
                res.other.push(cause);
                self.file.tensors.remove(name);
            } else {
                res.taken.push(name.clone());
            }
        }
        let left: Vec<String> = self.file.tensors.keys().filter(|name| !res.taken.contains(name)).cloned().collect();
        for name in left {
            self.file.tensors.remove(&name);
            if !self.was_of_training(&name) && !self.is_average(&name) {
                res.left.push(name);
            }
        }
        res
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_same_letters_in_both_names() {
        let apply = |rule: &str, name: &str| Rename::parse(rule).unwrap().apply(name);
        assert_eq!(apply("backbone.*=*", "backbone.conv1/filter").as_deref(), Some("conv1/filter"));
        assert_eq!(apply("backbone.*=*", "head/filter"), None);
        assert_eq!(apply("*.weight=*/filter", "fc.weight").as_deref(), Some("fc/filter"));
        assert_eq!(apply("a/w=b/w", "a/w").as_deref(), Some("b/w"));
        assert_eq!(apply("ab*ba=*", "aba"), None);
        for wrong in ["backbone", "=x", "x=", "**=x", "x=*"] {
            assert!(Rename::parse(wrong).is_err(), "{wrong}");
        }
    }
}
