//! What is seen of all definitions together: those that contain themselves, and those that nothing uses.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::{BESIDE, Def, HIDDEN, Home};
use crate::lower::resolve::Resolver;
use crate::lower::resolve::names::MOST_SUGGESTIONS;
use std::collections::{BTreeMap, BTreeSet};

/// So many members of a cycle are shown.
const SHOWN: usize = 12;

/// A definition on the way, its calls, and how many of them were followed.
struct Step {
    name: String,
    calls: Vec<(String, Span)>,
    taken: usize,
}

/// Proposes to keep something unused.
fn kept(report: Diagnostic, span: Span, name: &str) -> Diagnostic {
    report.fix(format!("prefix with `_` to keep it on purpose: `_{name}`"), span, format!("_{name}"))
}

impl Resolver<'_> {
    /// Reports each cycle of calls once.
    pub(super) fn recursion(&mut self) -> BTreeSet<String> {
        let mut endless = BTreeSet::new();
        let mut done = BTreeSet::new();
        let starts: Vec<String> = self.calls.keys().cloned().collect();
        for start in starts {
            self.follow(start, &mut done, &mut endless);
        }
        endless
    }

    /// Follows all calls from `start`, depth first. Chains may be long, so this keeps its own stack.
    fn follow(&mut self, start: String, done: &mut BTreeSet<String>, endless: &mut BTreeSet<String>) {
        let mut path: Vec<Step> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut next = Some(start);
        loop {
            if let Some(name) = next.take().filter(|it| !done.contains(it)) {
                let calls = self.calls.get(&name).cloned().unwrap_or_default();
                places.insert(name.clone(), path.len());
                path.push(Step { name, calls, taken: 0 });
            }
            let Some(step) = path.last_mut() else { return };
            let Some((callee, _)) = step.calls.get(step.taken) else {
                places.remove(&step.name);
                done.extend(path.pop().map(|it| it.name));
                continue;
            };
            step.taken += 1;
            match places.get(callee) {
                None => next = Some(callee.clone()),
                Some(&at) => {
                    let link = |it: &Step| (it.name.clone(), it.calls[it.taken - 1].1);
                    let cycle: Vec<(String, Span)> = path[at..].iter().map(link).collect();
                    if cycle.iter().any(|it| !endless.contains(&it.0)) {
                        self.endless(&cycle);
                        endless.extend(cycle.into_iter().map(|it| it.0));
                    }
                }
            }
        }
    }

    fn endless(&mut self, cycle: &[(String, Span)]) {
        let bare = |it: &(String, Span)| (it.0.trim_start_matches(HIDDEN).trim_start_matches(BESIDE).to_owned(), it.1);
        let blocks = cycle.iter().any(|it| it.0.contains(BESIDE));
        let cycle: Vec<(String, Span)> = cycle.iter().map(bare).collect();
        let names: Vec<String> = cycle.iter().map(|it| format!("`{}`", it.0)).collect();
        let message = match names.as_slice() {
            [only] => format!("{only} contains itself without end"),
            names if names.len() <= SHOWN => format!("{} contain each other without end", names.join(" and ")),
            names => format!("{} and {} more contain each other without end", names[0], names.len() - 1),
        };
        let next = |at: usize| &cycle[(at + 1) % cycle.len()].0;
        let mut report = Diagnostic::new(Code::E0106, cycle[0].1, message).label(format!(
            "`{}` contains `{}`{}",
            cycle[0].0,
            next(0),
            if 1 < cycle.len() { "..." } else { "" }
        ));
        for (at, (name, span)) in cycle.iter().enumerate().take(SHOWN).skip(1) {
            let again = if at + 1 == cycle.len() { " again" } else { "" };
            report = report.also(*span, format!("...and `{name}` contains `{}`{again}", next(at)));
        }
        let mut chain: Vec<&str> = cycle.iter().map(|it| it.0.as_str()).collect();
        if SHOWN < chain.len() {
            chain.truncate(SHOWN);
            chain.push("...");
        }
        chain.push(&cycle[0].0);
        let block = |it: &(String, Span)| matches!(self.items.main(&it.0).map(|it| &it.def), Some(Def::Block(_)));
        let report = report.note(format!("cycle: {}", chain.join(" -> ")));
        self.sink.push(if blocks || cycle.iter().any(block) {
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
    pub(in crate::lower) fn leave(&mut self) {
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
            || MOST_SUGGESTIONS < self.unknown.len()
            || self.unknown.keys().any(|(_, it)| it.starts_with(name) || name.starts_with(it.as_str()))
    }
}
