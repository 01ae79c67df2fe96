//! What mends a mistake: the exact proposals of its help lines, as `sphc check --fix` writes them.

use super::diagnostics::{message, of_itself};
use super::view::{Places, View};
use crate::diag::{Diagnostic, Severity};
use lsp_types::{
    CodeAction, CodeActionContext, CodeActionKind, CodeActionOrCommand, NumberOrString, Range, TextEdit, Uri,
    WorkspaceEdit,
};
use std::collections::HashMap;

/// The proposals for what is reported in a range.
pub(super) fn actions(view: &View<'_>, range: Range, context: &CodeActionContext) -> Option<Vec<CodeActionOrCommand>> {
    let wanted = context
        .only
        .as_ref()
        .is_none_or(|all| all.iter().any(|it| it.as_str().is_empty() || *it == CodeActionKind::QUICKFIX));
    if !wanted {
        return None;
    }
    let (start, end) = (view.byte(range.start) as u32, view.byte(range.end) as u32);
    let here =
        of_itself(view.document).into_iter().filter(|it| it.primary.span.start <= end && start <= it.primary.span.end);
    Some(here.flat_map(|it| proposals(view, it, context)).collect())
}

fn proposals(view: &View<'_>, report: &Diagnostic, context: &CodeActionContext) -> Vec<CodeActionOrCommand> {
    let said = message(report);
    let told = context
        .diagnostics
        .iter()
        .find(|it| it.code == Some(NumberOrString::String(report.code.name().to_owned())) && it.message == said);
    let mut out: Vec<CodeActionOrCommand> = Vec::new();
    for help in &report.helps {
        let Some((span, new)) = &help.replacement else { continue };
        // The same texts as those of the report.
        let sources = view.checked().filter(|it| !it.failed).map_or(&view.named.sources, |it| &it.sources);
        let Some(place) = Places::of(view.world, sources).location(*span) else { continue };
        let edit = TextEdit { range: place.range, new_text: new.clone() };
        let changes: HashMap<Uri, Vec<TextEdit>> = HashMap::from([(place.uri, vec![edit])]);
        out.push(CodeActionOrCommand::CodeAction(CodeAction {
            title: help.text.clone(),
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: told.map(|it| vec![it.clone()]),
            edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
            // What a warning is of may be meant.
            is_preferred: Some(out.is_empty() && report.severity() == Severity::Error),
            ..CodeAction::default()
        }));
    }
    out
}
