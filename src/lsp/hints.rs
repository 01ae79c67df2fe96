//! Inlay hints: the shapes of what lines bind, and of what the steps of a chain make.

use super::hover::list;
use super::view::View;
use crate::diag::Span;
use crate::lower::Noted;
use crate::syntax::ast::{Body, Item, Stmt, StmtKind, TypeKind};
use lsp_types::{InlayHint, InlayHintKind, InlayHintLabel, InlayHintTooltip, Position, Range};
use std::collections::BTreeSet;

pub(super) fn hints(view: &View<'_>, range: Range) -> Option<Vec<InlayHint>> {
    let deep = view.checked()?;
    let mut bound = BTreeSet::new();
    for item in &view.named.ast.items {
        match item {
            Item::Model(it) => binds(&it.body, &mut bound),
            Item::Block(it) | Item::Recipe(_, it) => binds(&it.body, &mut bound),
            Item::Import(_) | Item::Param(_) | Item::Operator(_) | Item::Fn(_) | Item::Train(_) => {}
        }
    }
    let (start, end) = (view.byte(range.start) as u32, view.byte(range.end) as u32);
    let first = view.place(start as usize);
    let last = Span { start: end, end: u32::MAX, ..first };
    let mut hints = Vec::new();
    for (span, values) in deep.values.range(first..=last) {
        if values.iter().any(|it| !matches!(it, Noted::Shape(_))) {
            continue;
        }
        let (at, colon) = if bound.contains(span) {
            (view.range(*span).end, true)
        } else if starts_a_step(view.text(), span.start as usize) {
            (line_end(view, span.end as usize), false)
        } else {
            continue;
        };
        hints.push(hint(at, &list(values), colon));
    }
    Some(hints)
}

fn hint(position: Position, text: &str, colon: bool) -> InlayHint {
    InlayHint {
        position,
        label: InlayHintLabel::String(if colon { format!(": {text}") } else { text.to_owned() }),
        kind: Some(InlayHintKind::TYPE),
        text_edits: None,
        tooltip: Some(InlayHintTooltip::String("the shape for one example".to_owned())),
        padding_left: Some(!colon),
        padding_right: None,
        data: None,
    }
}

/// Names that statements bind, but for those whose shape is written there.
fn binds(body: &Body, out: &mut BTreeSet<Span>) {
    for Stmt { kind, .. } in &body.stmts {
        match kind {
            StmtKind::Let { name, ty, .. } => {
                if !ty.as_ref().is_some_and(|it| matches!(it.kind, TypeKind::Shape(_))) {
                    out.insert(name.span);
                }
            }
            StmtKind::Assign { name, .. } => drop(out.insert(name.span)),
            StmtKind::Unpack { names, .. } => out.extend(names.iter().map(|it| it.span)),
            StmtKind::For { body, .. } => binds(body, out),
            StmtKind::If { then, otherwise, .. } => {
                binds(then, out);
                otherwise.iter().for_each(|it| binds(it, out));
            }
            StmtKind::Input { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Output { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. }
            | StmtKind::Expr(_) => {}
        }
    }
}

/// Whether a call is a step of a chain that has a line of its own: `|> relu`.
fn starts_a_step(text: &str, call: usize) -> bool {
    let before = text[..call].trim_end_matches([' ', '\t']);
    let line = before.strip_suffix("|>").map(|it| it.trim_end_matches([' ', '\t']));
    line.is_some_and(|it| it.is_empty() || it.ends_with(['\n', '\r']))
}

fn line_end(view: &View<'_>, from: usize) -> Position {
    let text = view.text();
    let end = text[from..].find(['\n', '\r']).map_or(text.len(), |it| from + it);
    view.lines.position(text, from + text[from..end].trim_end().len())
}
