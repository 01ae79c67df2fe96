//! Keys of checkpoints: the paths of parameters and states, and of what the optimizer keeps beside them. No two are alike.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Optimizer, OriginId};
use crate::lower::network::Network;
use std::collections::{BTreeMap, BTreeSet};

/// What two things of one path come to.
const KEYS: &str = "paths are the keys of checkpoints, so each can be used once";

/// The paths that parameters and states have.
#[derive(Debug, Default)]
pub(super) struct Keys {
    taken: BTreeSet<String>,
    /// Paths that were asked for again, and where.
    doubled: Vec<(String, Span)>,
    /// How often a path was wanted again.
    again: BTreeMap<String, usize>,
}

impl Keys {
    /// A path that nothing has. Where two things would have the same, [`Network::check_paths`] says so, unless that
    /// was reported with the names of the layers or of what an operator learns.
    pub(super) fn free(&mut self, path: String, span: Span) -> String {
        let mut free = path.clone();
        if self.taken.contains(&path) {
            let again = self.again.entry(path.clone()).or_insert(1);
            while self.taken.contains(&free) {
                *again += 1;
                free = format!("{path}#{again}");
            }
            self.doubled.push((path, span));
        }
        self.take(free.clone());
        free
    }

    pub(super) fn take(&mut self, path: String) {
        self.taken.insert(path);
    }
}

impl Network<'_> {
    /// Whether a parameter or a state has this path.
    pub(in crate::lower) fn is_taken(&self, path: &str) -> bool {
        self.keys.taken.contains(path)
    }

    /// Reports paths that two things would have, once the recipe tells what the optimizer keeps.
    pub(in crate::lower) fn check_paths(&mut self) {
        if !self.has_errors() {
            for (path, span) in std::mem::take(&mut self.keys.doubled) {
                let first = self.owner(&path);
                let mut report = self.at(Code::E0103, span, format!("two tensors of the model are called `{path}`"));
                report = report.label("the path is used again here").note(KEYS);
                if let Some(first) = first.filter(|it| *it != span) {
                    report = report.also(first, "first used here");
                }
                self.report(report.help("give one of the layers or numbers another name"));
            }
        }
        let Some(recipe) = &self.graph.recipe else { return };
        let mut clashes: Vec<(String, String, OriginId)> = Vec::new();
        let moved = recipe.optimizers.iter().flat_map(|it| it.params.iter().map(move |id| (it, *id)));
        for (optimizer, id) in moved {
            let param = self.graph.param(id);
            let paths = optimizer.keeps.iter().map(|it| Optimizer::path(&param.path, &it.0));
            let taken = paths.filter(|it| self.is_taken(it));
            clashes.extend(taken.map(|it| (it, param.path.clone(), param.origin)));
        }
        for (path, of, origin) in clashes {
            let of_span = self.graph.origin_of(origin).span;
            let span = self.owner(&path).unwrap_or(of_span);
            let report = Diagnostic::new(Code::E0103, span, format!("`{path}` is what the optimizer keeps of `{of}`"))
                .label(format!("this has the path `{path}` as well"))
                .also(of_span, format!("`{of}` is here"))
                .note(KEYS)
                .help("give one of the layers or numbers another name");
            self.report(report);
        }
    }

    /// Where the parameter or state of a path was made.
    fn owner(&self, path: &str) -> Option<Span> {
        let params = self.graph.params.iter().map(|it| (&it.path, it.origin));
        let states = self.graph.states.iter().map(|it| (&it.path, it.origin));
        let (_, origin) = params.chain(states).find(|it| it.0 == path)?;
        Some(self.graph.origin_of(origin).span)
    }
}
