//! Semantic tokens: what each word is, by what names stand for; marks are coloured by their kind.

use super::view::View;
use crate::diag::Span;
use crate::lower::{Mention, Role};
use crate::syntax::{self, TokenKind};
use lsp_types::{
    SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokens, SemanticTokensFullOptions,
    SemanticTokensLegend, SemanticTokensOptions, SemanticTokensResult, SemanticTokensServerCapabilities,
};

/// In the order of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Keyword,
    Type,
    Comment,
    Text,
    Number,
    Operator,
    Variable,
    Parameter,
    Property,
    Function,
    Class,
    Macro,
    EnumMember,
    Namespace,
}

const KINDS: [SemanticTokenType; 14] = [
    SemanticTokenType::KEYWORD,
    SemanticTokenType::TYPE,
    SemanticTokenType::COMMENT,
    SemanticTokenType::STRING,
    SemanticTokenType::NUMBER,
    SemanticTokenType::OPERATOR,
    SemanticTokenType::VARIABLE,
    SemanticTokenType::PARAMETER,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::CLASS,
    SemanticTokenType::MACRO,
    SemanticTokenType::ENUM_MEMBER,
    SemanticTokenType::NAMESPACE,
];

const MODIFIERS: [SemanticTokenModifier; 3] =
    [SemanticTokenModifier::DEFINITION, SemanticTokenModifier::READONLY, SemanticTokenModifier::DEFAULT_LIBRARY];

const DEFINITION: u32 = 1;
const READONLY: u32 = 2;
const LIBRARY: u32 = 4;

pub(super) fn provider() -> SemanticTokensServerCapabilities {
    let legend = SemanticTokensLegend { token_types: KINDS.to_vec(), token_modifiers: MODIFIERS.to_vec() };
    let full = Some(SemanticTokensFullOptions::Bool(true));
    SemanticTokensServerCapabilities::SemanticTokensOptions(SemanticTokensOptions {
        legend,
        full,
        ..Default::default()
    })
}

pub(super) fn tokens(view: &View<'_>) -> Option<SemanticTokensResult> {
    let (text, index) = (view.text(), &view.named.index);
    let mut found: Vec<(usize, usize, Kind, u32)> = Vec::new();
    for token in syntax::tokens(text) {
        let word = &text[token.start..token.end];
        let (kind, modifiers) = match token.kind {
            TokenKind::Word => {
                let span = Span { end: token.end as u32, ..view.place(token.start) };
                match index.mentions.get(&span) {
                    Some(it) => of_name(view, it),
                    None if syntax::is_keyword(word) || word == "training" => (Kind::Keyword, 0),
                    // Types, roles and groups stand for themselves.
                    None => (Kind::Type, 0),
                }
            }
            TokenKind::Number => (Kind::Number, 0),
            TokenKind::String | TokenKind::OpenString => {
                within_text(view, token.start, token.end, &mut found);
                continue;
            }
            TokenKind::Comment => (Kind::Comment, 0),
            TokenKind::Sign if matches!(word, "," | ":") => continue,
            TokenKind::Sign => (Kind::Operator, 0),
            TokenKind::Open(_) | TokenKind::Close(_) | TokenKind::Newline => continue,
        };
        found.push((token.start, token.end, kind, modifiers));
    }
    Some(SemanticTokensResult::Tokens(SemanticTokens { result_id: None, data: encoded(view, &found) }))
}

/// A string, with the names in its holes.
fn within_text(view: &View<'_>, start: usize, end: usize, out: &mut Vec<(usize, usize, Kind, u32)>) {
    let (first, last) = (view.place(start), view.place(end));
    let mut done = start;
    for (span, it) in view.named.index.mentions.range(first..last) {
        let (kind, modifiers) = of_name(view, it);
        if done < span.start as usize {
            out.push((done, span.start as usize, Kind::Text, 0));
        }
        out.push((span.start as usize, span.end as usize, kind, modifiers));
        done = span.end as usize;
    }
    if done < end {
        out.push((done, end, Kind::Text, 0));
    }
}

fn of_name(view: &View<'_>, mention: &Mention) -> (Kind, u32) {
    let kind = match mention.role {
        Role::Value => Kind::Variable,
        Role::Parameter => Kind::Parameter,
        Role::Param => Kind::Variable,
        Role::Operator => Kind::Macro,
        Role::Function => Kind::Function,
        Role::Block | Role::Part(_) => Kind::Class,
        Role::Model => Kind::Namespace,
        Role::Argument => Kind::Property,
        Role::Start | Role::Word => Kind::EnumMember,
    };
    let definition = if mention.definition == Some(mention.span) { DEFINITION } else { 0 };
    let readonly = if mention.role == Role::Param { READONLY } else { 0 };
    let named = matches!(mention.role, Role::Operator | Role::Function | Role::Block | Role::Part(_));
    let own = mention.definition.is_none_or(|it| view.named.sources.get(it.file).name.starts_with('<'));
    (kind, definition | readonly | if named && own { LIBRARY } else { 0 })
}

/// Each token relative to the one before.
fn encoded(view: &View<'_>, found: &[(usize, usize, Kind, u32)]) -> Vec<SemanticToken> {
    let (text, encoding) = (view.text(), view.world.encoding);
    let (mut line, mut column) = (0, 0);
    let mut out = Vec::with_capacity(found.len());
    for (start, end, kind, modifiers) in found {
        let at = view.lines.position(text, *start);
        let delta_line = at.line - line;
        let delta_start = if delta_line == 0 { at.character - column } else { at.character };
        (line, column) = (at.line, at.character);
        out.push(SemanticToken {
            delta_line,
            delta_start,
            length: encoding.columns(&text[*start..*end]),
            token_type: *kind as u32,
            token_modifiers_bitset: *modifiers,
        });
    }
    out
}
