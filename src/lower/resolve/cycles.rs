//! What is seen of all definitions together: those that contain themselves, and those that nothing uses.

use super::Resolver;
use crate::diag::{Code, Diagnostic, Span};
use crate::lower::items::{Def, Home};
use std::collections::BTreeSet;

impl Resolver<'_> {
    /// Reports each cycle of calls once.
    pub(super) fn recursion(&mut self) -> BTreeSet<String> {
        let mut endless = BTreeSet::new();
        let mut done = BTreeSet::new();
        let starts: Vec<String> = self.calls.keys().cloned().collect();
        for start in starts {
            let mut path: Vec<(String, Span)> = Vec::new();
            self.follow(&start, &mut path, &mut done, &mut endless);
        }
        endless
    }

    fn follow(
        &mut self,
        name: &str,
        path: &mut Vec<(String, Span)>,
        done: &mut BTreeSet<String>,
        endless: &mut BTreeSet<String>,
    ) {
        if done.contains(name) {
            return;
        }
        for (callee, span) in self.calls.get(name).cloned().unwrap_or_default() {
            path.push((name.to_owned(), span));
            if let Some(at) = path.iter().position(|it| it.0 == callee) {
                let cycle = &path[at..];
                if cycle.iter().any(|it| !endless.contains(&it.0)) {
                    self.endless(cycle);
                    endless.extend(cycle.iter().map(|it| it.0.clone()));
                }
            } else {
                self.follow(&callee, path, done, endless);
            }
            path.pop();
        }
        done.insert(name.to_owned());
    }

    fn endless(&mut self, cycle: &[(String, Span)]) {
        let names: Vec<String> = cycle.iter().map(|it| format!("`{}`", it.0)).collect();
        let message = match names.as_slice() {
            [only] => format!("{only} contains itself without end"),
            _ => format!("{} contain each other without end", names.join(" and ")),
        };
        let next = |at: usize| &cycle[(at + 1) % cycle.len()].0;
        let mut report = Diagnostic::new(Code::E0106, cycle[0].1, message).label(format!(
            "`{}` contains `{}`{}",
            cycle[0].0,
            next(0),
            if 1 < cycle.len() { "..." } else { "" }
        ));
        for (at, (name, span)) in cycle.iter().enumerate().skip(1) {
            let again = if at + 1 == cycle.len() { " again" } else { "" };
            report = report.also(*span, format!("...and `{name}` contains `{}`{again}", next(at)));
        }
        let mut chain: Vec<&str> = cycle.iter().map(|it| it.0.as_str()).collect();
        chain.push(&cycle[0].0);
        let block = |it: &(String, Span)| matches!(self.items.get(&it.0).map(|it| &it.def), Some(Def::Block(_)));
        let report = report.note(format!("cycle: {}", chain.join(" -> ")));
        self.sink.push(if cycle.iter().any(block) {
            report.help("blocks are unfolded when the file is read; use `for i in 0..n { ... }` to repeat a block")
        } else {
            report.help("what is used here is put in its place when the file is read; write out how often it is meant")
        });
    }

    pub(super) fn close(&mut self) {
        for (name, local) in self.scopes.pop().unwrap_or_default() {
            if let Some(what) = local.what
                && !local.used
                && self.main
                && !name.starts_with('_')
            {
                let of = (what == "parameter").then(|| (self.current.clone(), name.clone()));
                let report = Diagnostic::new(Code::W0104, local.span, format!("`{name}` is never used"))
                    .label(format!("unused {what}"));
                self.idle.push((of, kept(report, local.span, &name)));
            }
            self.gone.insert(name, local.span);
        }
    }

    /// Ends a function: its lints are reported unless a mistake explains them.
    pub(super) fn leave(&mut self) {
        self.gone.clear();
        let idle = std::mem::take(&mut self.idle);
        if !self.confused {
            self.all_idle.extend(idle);
        }
    }

    pub(super) fn unused(&mut self) {
        // What a library defines is used by others.
        if self.items.is_library() {
            return;
        }
        for (name, item) in self.items.iter() {
            if item.home != Home::Main || name.starts_with('_') || self.uses.contains(name) || self.is_meant(name) {
                continue;
            }
            let ident = item.def.name();
            let what = item.def.what();
            let report = Diagnostic::new(Code::W0104, ident.span, format!("the {what} `{name}` is never used"))
                .label(format!("unused {what}"));
            let mut report = kept(report, ident.span, name);
            if matches!(item.def, Def::Operator(_)) {
                report = report.note("`--set PARAM=OPERATOR` can still choose it");
            }
            self.sink.push(report);
        }
    }

    /// What is unused inside of functions. What is called by a name that calls or the recipe say cannot get another.
    pub(super) fn idle_parameters(&mut self) {
        let selected = self.items.trains.iter().flat_map(|it| &it.entries).flat_map(|it| &it.on);
        let selected: BTreeSet<&str> = selected.map(|it| it.name.as_str()).collect();
        for (of, mut report) in std::mem::take(&mut self.all_idle) {
            let given = of.as_ref().is_some_and(|it| self.named.contains(it));
            let kept = |it: &crate::diag::Help| {
                it.replacement.as_ref().is_some_and(|it| selected.contains(it.1.trim_start_matches('_')))
            };
            if given || report.helps.iter().any(kept) {
                report.helps.clear();
                report = report.help("remove it, here and where it is named");
            }
            self.sink.push(report);
        }
    }

    /// Whether an unknown name probably meant this one, or is this one cut short or grown.
    fn is_meant(&self, name: &str) -> bool {
        self.meant.contains(name)
            || self.unknown.keys().any(|(_, it)| it.starts_with(name) || name.starts_with(it.as_str()))
    }
}

/// Proposes to keep something unused.
fn kept(report: Diagnostic, span: Span, name: &str) -> Diagnostic {
    report.fix(format!("prefix with `_` to keep it on purpose: `_{name}`"), span, format!("_{name}"))
}
