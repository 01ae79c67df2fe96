//! Signature help: what the call that is being written can be given.

use super::context::{Call, Context, Inside, context};
use super::view::View;
use crate::lower::{Entry, Role};
use lsp_types::{
    Documentation, MarkupContent, MarkupKind, ParameterInformation, ParameterLabel, Position, SignatureHelp,
    SignatureInformation,
};

pub(super) fn help(view: &View<'_>, position: Position) -> Option<SignatureHelp> {
    let place = view.byte(position);
    let found = context(view.text(), place);
    let call = found.call.as_ref()?;
    let all = callees(view, &found, call);
    let signatures: Vec<SignatureInformation> = all.iter().map(|it| signature(view, it, call)).collect();
    let fits = |it: &SignatureInformation| it.active_parameter.is_some();
    let active = signatures.iter().position(fits).unwrap_or(0) as u32;
    let active_parameter = signatures.get(active as usize)?.active_parameter;
    Some(SignatureHelp { signatures, active_signature: Some(active), active_parameter })
}

/// What a name can be called as, by what stands before it: a key of the recipe has words of its own.
pub(super) fn callees<'v>(view: &'v View<'_>, found: &Context<'_>, call: &Call<'_>) -> Vec<&'v Entry> {
    let index = &view.named.index;
    let named = |it: &&Entry| it.name == call.callee;
    let key = found.line.first().copied().filter(|_| found.inside == Inside::Recipe);
    if is_start(view, found) {
        let all: Vec<&Entry> = index.starts.iter().filter(named).collect();
        if !all.is_empty() {
            return all;
        }
    }
    if let Some(key) = key {
        let part = |it: &&Entry| matches!(it.role, Role::Part(part) if part.word() == key);
        let mut all: Vec<&Entry> = index.entries.iter().filter(named).filter(part).collect();
        if all.is_empty() {
            all = index.recipe.iter().filter(|it| it.name == key).flat_map(|it| &it.options).filter(named).collect();
        }
        // A metric may be a loss as well, and a rate is made of schedules.
        if all.is_empty() {
            all = index.entries.iter().filter(named).collect();
        }
        return all;
    }
    let mut all: Vec<&Entry> = index.entries.iter().filter(named).collect();
    // Constants of operators are given by name.
    let placed = call.piped || call.before != 0 && call.given.is_empty();
    all.sort_by_key(|it| (it.role == Role::Operator) == placed);
    all
}

/// Whether the innermost call is a start of what is learned: behind `learn g: [2] =`, or an argument that takes one.
fn is_start(view: &View<'_>, found: &Context<'_>) -> bool {
    match &found.outer {
        Some(outer) => {
            let around = Context { outer: None, ..found.clone() };
            outer.argument.is_some_and(|name| {
                callees(view, &around, outer).iter().any(|it| it.slots.iter().any(|it| it.name == name && it.start))
            })
        }
        None => {
            let value = found.line.iter().position(|it| *it == "=").map_or(&[][..], |at| &found.line[at + 1..]);
            let called = found.call.as_ref().map(|it| it.callee);
            found.line.first() == Some(&"learn") && called.is_some() && value.first().copied() == called
        }
    }
}

/// How many parameters have their arguments from before the call. A step of the data does not name what it is given.
pub(super) fn given(entry: &Entry, call: &Call<'_>) -> usize {
    usize::from(call.piped && entry.role != Role::Word)
}

fn signature(view: &View<'_>, entry: &Entry, call: &Call<'_>) -> SignatureInformation {
    let label = entry.text.clone();
    let encoding = view.world.encoding;
    let mut from = entry.name.len() + 1;
    let mut parameters = Vec::new();
    for slot in &entry.slots {
        let Some(start) = label.get(from..).and_then(|it| it.find(&slot.text)).map(|it| from + it) else { break };
        from = start + slot.text.len();
        let place = |byte: usize| encoding.columns(&label[..byte]);
        parameters.push(ParameterInformation {
            label: ParameterLabel::LabelOffsets([place(start), place(from)]),
            documentation: None,
        });
    }
    let at = match call.argument {
        Some(name) => entry.slots.iter().position(|it| it.name == name),
        None => Some(call.before + given(entry, call)).filter(|it| *it < entry.slots.len()),
    };
    SignatureInformation {
        label,
        documentation: documentation(entry),
        parameters: Some(parameters),
        active_parameter: at.map(|it| it as u32),
    }
}

/// The lines above a definition.
pub(super) fn documentation(entry: &Entry) -> Option<Documentation> {
    let lines: Vec<&str> = entry.docs.iter().map(|it| it.trim()).collect();
    let value = lines.join("\n");
    let text = MarkupContent { kind: MarkupKind::Markdown, value };
    (!text.value.is_empty()).then_some(Documentation::MarkupContent(text))
}
