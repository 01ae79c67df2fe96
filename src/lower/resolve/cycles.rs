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
            let fix = format!("_{name}");
            let mut report = Diagnostic::new(Code::W0104, ident.span, format!("the {what} `{name}` is never used"))
                .label(format!("unused {what}"))
                .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), ident.span, fix);
            if matches!(item.def, Def::Operator(_)) {
                report = report.note("`--set PARAM=OPERATOR` can still choose it");
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
