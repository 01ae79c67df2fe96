//! Which reports are told: those that another one is not the cause of.

use crate::diag::{Code, Diagnostic, Kind, Severity, Sources};
use crate::lower::PRELUDE;
use crate::syntax::ast;
use std::collections::BTreeSet;

/// What is told of what lowering found.
pub(super) struct Told {
    /// In the order in which they were found.
    pub(super) reports: Vec<Diagnostic>,
    /// Parts of the text could not be read, so its graph has holes.
    pub(super) broken: bool,
    /// The input is not that of the data set: sizes that do not fit may follow from it.
    pub(super) other_input: bool,
}

impl Told {
    /// Chooses; `unread` are the syntax errors in the main file.
    pub(super) fn of(ast: &ast::File, found: Vec<Diagnostic>, unread: &[&Diagnostic], sources: &Sources) -> Told {
        let broken = !unread.is_empty() || found.iter().any(|it| it.code == Code::E0001);
        let missing = found.iter().any(|it| it.code == Code::E0109);
        let other_input = found.iter().any(|it| it.kind == Kind::OtherInput);
        let skipped = skipped_text(ast, &found, sources);
        let line = |it: &Diagnostic| (it.primary.span.file, sources.position(it.primary.span).0);
        let unread = unread.iter().copied().chain(&found).filter(|it| it.code == Code::E0001);
        let unread: BTreeSet<_> = unread.map(line).collect();
        let own = |it: &Diagnostic| {
            let alone = !broken || stands_alone(it, &skipped, sources);
            // What a call is given on a line that was mended to be read, nobody knows.
            let known = it.code != Code::E0105 || !unread.contains(&line(it));
            alone && known && !(missing && may_be_imported(it))
        };
        Told { reports: found.into_iter().filter(own).collect(), broken, other_input }
    }
}

/// What is told in the end: of one place, not also what follows from the first; and no places in the prelude, whose text is
/// nobody's to look at.
pub(super) fn once(mut found: Vec<Diagnostic>, sources: &Sources) -> Vec<Diagnostic> {
    for it in &mut found {
        it.secondary.retain(|it| sources.get(it.span.file).name != PRELUDE);
    }
    let wrong = found.iter().any(|it| it.severity() == Severity::Error);
    let beside = |it: &Diagnostic, codes: &[Code]| {
        found.iter().any(|other| other.primary.span == it.primary.span && codes.contains(&other.code))
    };
    let own = |it: &Diagnostic| match it.code {
        // What a mistake keeps from being computed may be what uses a layer.
        Code::W0105 => !wrong && !beside(it, &[Code::W0104]),
        Code::E0104 | Code::E0203 => !beside(it, &[Code::E0101, Code::E0102]),
        Code::E0302 => !beside(it, &[Code::E0303]),
        _ => true,
    };
    let kept: Vec<bool> = found.iter().map(own).collect();
    found.into_iter().zip(kept).filter(|it| it.1).map(|it| it.0).collect()
}

/// The parts of the texts that were not read, because of syntax errors.
fn skipped_text(ast: &ast::File, found: &[Diagnostic], sources: &Sources) -> String {
    let mut out: String = ast.skipped.iter().map(|it| format!("{}\n", sources.slice(*it))).collect();
    for it in found.iter().filter(|it| it.code == Code::E0001) {
        out.push_str(&sources.get(it.primary.span.file).text);
    }
    out
}

/// Whether a report beside syntax errors is a mistake of its own: nothing that was not read can be its cause.
fn stands_alone(it: &Diagnostic, skipped: &str, sources: &Sources) -> bool {
    match it.code {
        Code::E0001 | Code::E0103 | Code::E0106 | Code::E0107 | Code::E0109 | Code::E0401 => true,
        // Arguments and words of definitions that were read, given as what was read.
        Code::E0101 | Code::E0102 | Code::E0105 | Code::E0203 => {
            let words = |text: &str| -> BTreeSet<String> {
                text.split(|it: char| !it.is_alphanumeric() && it != '_').map(str::to_owned).collect()
            };
            // What `classes` is, the recipe says.
            let mut unread = words(skipped);
            if !skipped.is_empty() {
                unread.insert("classes".to_owned());
            }
            unread.remove("");
            words(sources.slice(it.primary.span)).is_disjoint(&unread)
        }
        _ => false,
    }
}

/// Whether an unknown name may be one of a file that could not be imported: it is like no other name.
fn may_be_imported(it: &Diagnostic) -> bool {
    matches!(it.code, Code::E0101 | Code::E0102) && it.kind != Kind::Resembling
}
