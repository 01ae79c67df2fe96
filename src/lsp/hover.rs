//! Hover: what a name is, its documentation, its shape, and how many numbers it learns.

use super::recipe;
use super::view::View;
use crate::diag::Span;
use crate::lower::{Mention, Noted, Role};
use crate::syntax::{self, TokenKind, ast::Item};
use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

pub(super) fn hover(view: &View<'_>, position: Position) -> Option<Hover> {
    let mention = view.mention(position)?;
    let name = view.named.sources.slice(mention.span).to_owned();
    let (code, docs) = match (view.entry(mention), mention.role) {
        (Some(entry), _) if entry.role == Role::Param => (entry.text.clone(), entry.docs.clone()),
        (Some(entry), _) => (format!("{} {}", entry.what, entry.text), entry.docs.clone()),
        (None, Role::Model) => (format!("model {name}"), model_docs(view, mention)),
        (None, Role::Argument | Role::Parameter) => match mention.definition {
            Some(it) => (parameter(view, it), Vec::new()),
            None => (argument(view, mention, &name).unwrap_or_else(|| name.clone()), Vec::new()),
        },
        (None, Role::Word) => {
            let about = view.recipe_key(mention.span).and_then(|it| recipe::about(it.name, &name));
            (name.clone(), about.into_iter().collect())
        }
        (None, _) => (name.clone(), Vec::new()),
    };
    let mut text = format!("```sph\n{code}\n```\n");
    if !docs.is_empty() {
        let lines: Vec<&str> = docs.iter().map(|it| it.trim()).collect();
        text.push_str(&format!("\n{}\n", lines.join("\n")));
    }
    let facts = facts(view, mention);
    if !facts.is_empty() {
        text.push_str(&format!("\n{}\n", facts.join("  \n")));
    }
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value: text }),
        range: Some(view.range(mention.span)),
    })
}

/// The parameter of something built in that an argument is for.
fn argument(view: &View<'_>, mention: &Mention, name: &str) -> Option<String> {
    let index = &view.named.index;
    let callee = view.entry(index.mentions.get(index.arguments.get(&mention.span)?)?)?;
    Some(callee.slots.iter().find(|it| it.name == name)?.text.clone())
}

fn model_docs(view: &View<'_>, mention: &Mention) -> Vec<String> {
    let models = view.named.ast.items.iter().filter_map(|it| if let Item::Model(it) = it { Some(it) } else { None });
    models.filter(|it| it.name.span == mention.span).flat_map(|it| it.docs.clone()).collect()
}

/// `kernel: pair = 3`, as it is written in the definition.
fn parameter(view: &View<'_>, definition: Span) -> String {
    let text = &view.named.sources.get(definition.file).text;
    let rest = &text[definition.start as usize..];
    let mut depth = 0;
    let mut end = rest.len();
    for token in syntax::tokens(rest) {
        match token.kind {
            TokenKind::Open(_) => depth += 1,
            TokenKind::Close(_) if depth == 0 => {
                end = token.start;
                break;
            }
            TokenKind::Close(_) => depth -= 1,
            TokenKind::Sign if depth == 0 && &rest[token.start..token.end] == "," => {
                end = token.start;
                break;
            }
            TokenKind::Comment | TokenKind::Newline if depth == 0 => {
                end = token.start;
                break;
            }
            _ => {}
        }
    }
    rest[..end].trim().to_owned()
}

/// What the check tells of it.
fn facts(view: &View<'_>, mention: &Mention) -> Vec<String> {
    let Some(deep) = view.checked() else { return Vec::new() };
    let mut facts = Vec::new();
    if let Some(values) = deep.values.get(&mention.span) {
        let shape = values.iter().any(|it| matches!(it, Noted::Shape(_)));
        facts.push(format!("{}: `{}`", if shape { "shape" } else { "value" }, list(values)));
    }
    let learned = match mention.role {
        Role::Model => deep.all_learned.unwrap_or(0),
        Role::Block | Role::Function => deep.learned(mention.span),
        Role::Value
        | Role::Parameter
        | Role::Param
        | Role::Operator
        | Role::Part(_)
        | Role::Argument
        | Role::Start
        | Role::Word => 0,
    };
    if learned != 0 {
        facts.push(format!("parameters: {}", grouped(learned)));
    }
    facts
}

/// Values of a place that is read several times.
pub(super) fn list(values: &[Noted]) -> String {
    let all: Vec<String> = values.iter().map(Noted::to_string).collect();
    all.join(" | ")
}

/// `1_234_567`, as the language groups digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, it) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(it);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([1, 999, 1000, 1234567].map(grouped), ["1", "999", "1_000", "1_234_567"]);
    }
}
