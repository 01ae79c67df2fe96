//! Document symbols: items, with the named layers and outputs of models, and the entries of the recipe.

use super::view::View;
use crate::diag::Span;
use crate::syntax::ast::{Body, ExprKind, Function, Ident, Item, StmtKind, Text};
use lsp_types::{DocumentSymbol, DocumentSymbolResponse, SymbolKind};

pub(super) fn symbols(view: &View<'_>) -> Option<DocumentSymbolResponse> {
    let all = view.named.ast.items.iter().map(|it| symbol(view, it)).collect();
    Some(DocumentSymbolResponse::Nested(all))
}

fn symbol(view: &View<'_>, item: &Item) -> DocumentSymbol {
    let of = |what: &str, kind, it: &Function| {
        let header = view.named.sources.slice(Span { start: it.name.span.end, ..it.header });
        let detail = format!("{what} {}", header.split_whitespace().collect::<Vec<_>>().join(" "));
        let mut found = Vec::new();
        layers(view, &it.body, &mut found);
        made(view, &it.name.name, detail, kind, it.span, it.name.span, found)
    };
    match item {
        Item::Import(it) => {
            made(view, &it.path, "import".to_owned(), SymbolKind::FILE, it.span, it.path_span, Vec::new())
        }
        Item::Param(it) => {
            let detail = view.named.sources.slice(Span { start: it.name.span.end, ..it.span }).trim().to_owned();
            made(view, &it.name.name, detail, SymbolKind::CONSTANT, it.span, it.name.span, Vec::new())
        }
        Item::Operator(it) => of("operator", SymbolKind::OPERATOR, it),
        Item::Fn(it) => of("fn", SymbolKind::FUNCTION, it),
        Item::Block(it) => of(if it.layer { "layer" } else { "block" }, SymbolKind::CLASS, it),
        Item::Recipe(part, it) => of(part.word(), SymbolKind::INTERFACE, it),
        Item::Model(it) => {
            let mut found = Vec::new();
            layers(view, &it.body, &mut found);
            made(view, &it.name.name, "model".to_owned(), SymbolKind::MODULE, it.span, it.name.span, found)
        }
        Item::Train(it) => {
            let entries = it.entries.iter().map(|it| {
                let rest = view.named.sources.slice(Span { start: it.key.span.end, ..it.span });
                let detail = rest.split("//").next().unwrap_or_default().trim().to_owned();
                made(view, &it.key.name, detail, SymbolKind::PROPERTY, it.span, it.key.span, Vec::new())
            });
            made(view, "train", String::new(), SymbolKind::STRUCT, it.span, it.keyword, entries.collect())
        }
    }
}

/// What `as` names in a body, as it is written.
pub(super) fn layer_names(view: &View<'_>, body: &Body) -> Vec<String> {
    let mut found = Vec::new();
    layers(view, body, &mut found);
    found.into_iter().filter(|it| it.detail.is_none()).map(|it| it.name).collect()
}

/// What a body names: inputs, outputs, and layers by `as`.
fn layers(view: &View<'_>, body: &Body, out: &mut Vec<DocumentSymbol>) {
    for stmt in &body.stmts {
        let value = match &stmt.kind {
            StmtKind::Input { name, .. } => {
                out.push(named(view, name, "input", stmt.span));
                continue;
            }
            StmtKind::Output { name, value } => {
                out.extend(name.iter().map(|it| named(view, it, "output", stmt.span)));
                value
            }
            StmtKind::Let { value, .. }
            | StmtKind::Assign { value, .. }
            | StmtKind::Unpack { value, .. }
            | StmtKind::Expr(value) => value,
            StmtKind::Learn { name, .. } | StmtKind::Keep { name, .. } | StmtKind::Stat { name, .. } => {
                out.push(named(view, name, "kept", stmt.span));
                continue;
            }
            StmtKind::For { body, .. } => {
                layers(view, body, out);
                continue;
            }
            StmtKind::If { then, otherwise, .. } => {
                layers(view, then, out);
                otherwise.iter().for_each(|it| layers(view, it, out));
                continue;
            }
            StmtKind::Assert { .. } => continue,
        };
        // The outermost name of a statement is the one that its layers are below.
        let found = value.find(&|it| matches!(it.kind, ExprKind::Named(..)));
        if let Some(ExprKind::Named(_, text, _)) = found.map(|it| &it.kind) {
            out.push(made(
                view,
                &written(view, text),
                String::new(),
                SymbolKind::FIELD,
                stmt.span,
                text.span,
                Vec::new(),
            ));
        }
    }
}

/// The name as it is written, holes and all.
fn written(view: &View<'_>, text: &Text) -> String {
    view.named.sources.slice(text.span).trim_matches('"').to_owned()
}

fn named(view: &View<'_>, name: &Ident, what: &str, span: Span) -> DocumentSymbol {
    made(view, &name.name, what.to_owned(), SymbolKind::FIELD, span, name.span, Vec::new())
}

#[allow(deprecated, reason = "the field must be given")]
fn made(
    view: &View<'_>,
    name: &str,
    detail: String,
    kind: SymbolKind,
    whole: Span,
    place: Span,
    children: Vec<DocumentSymbol>,
) -> DocumentSymbol {
    DocumentSymbol {
        // Clients refuse a symbol without a name.
        name: if name.is_empty() { "?".to_owned() } else { name.to_owned() },
        detail: (!detail.is_empty()).then_some(detail),
        kind,
        tags: None,
        deprecated: None,
        range: view.range(whole.to(place)),
        selection_range: view.range(place),
        children: (!children.is_empty()).then_some(children),
    }
}
