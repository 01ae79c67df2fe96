//! From messages to answers. A request that panics is answered with an error, and told: the server goes on.

use super::text::Encoding;
use super::uri::name_of;
use super::view::View;
use super::{Server, actions, complete, format, hints, hover, navigate, rename, said, signature, symbols, tokens};
use lsp_server::{ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{self as notify, Notification as _};
use lsp_types::request::{self as ask, Request as _};
use lsp_types::{
    CodeActionProviderCapability, CompletionOptions, HoverProviderCapability, InitializeParams, OneOf, RenameOptions,
    ServerCapabilities, SignatureHelpOptions, TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a request has no answer.
pub(super) struct Refusal(pub(super) ErrorCode, pub(super) String);

/// What is answered; nothing where there is nothing to tell.
pub(super) type Answer<T> = Result<Option<T>, Refusal>;

/// What the server can do, and who it is.
pub(super) fn capabilities(encoding: Encoding) -> Value {
    let sync = lsp_types::TextDocumentSyncOptions {
        open_close: Some(true),
        change: Some(TextDocumentSyncKind::INCREMENTAL),
        save: Some(lsp_types::TextDocumentSyncSaveOptions::Supported(true)),
        ..Default::default()
    };
    let able = ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(sync)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        document_highlight_provider: Some(OneOf::Left(true)),
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: Default::default(),
        })),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([">", "(", ",", " ", "\"", "/"].map(str::to_owned).to_vec()),
            ..Default::default()
        }),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: Some(vec!["(".to_owned(), ",".to_owned()]),
            ..Default::default()
        }),
        inlay_hint_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Simple(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        semantic_tokens_provider: Some(tokens::provider()),
        ..Default::default()
    };
    json!({
        "capabilities": able,
        "serverInfo": { "name": "sphc", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// The folders of the workspace, by name.
#[allow(deprecated, reason = "older clients give their folder as `rootUri`")]
pub(super) fn folders(params: &InitializeParams) -> Vec<String> {
    match &params.workspace_folders {
        Some(all) => all.iter().map(|it| name_of(&it.uri)).collect(),
        None => params.root_uri.iter().map(name_of).collect(),
    }
}

fn told<T: serde::Serialize>(found: Option<T>) -> Result<Value, Refusal> {
    serde_json::to_value(found).map_err(|it| Refusal(ErrorCode::InternalError, it.to_string()))
}

fn not_open(uri: &Uri) -> Result<Value, Refusal> {
    Err(Refusal(ErrorCode::InvalidParams, format!("`{}` is not open", uri.as_str())))
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Refusal> {
    serde_json::from_value(params).map_err(|it| Refusal(ErrorCode::InvalidParams, it.to_string()))
}

/// Does what a message asks for. A panic is a bug of ours, and no reason to end.
fn guarded<T>(method: &str, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = format!("{method} failed, which is a bug of sphc: {}", said(panic.as_ref()));
        Err(Refusal(ErrorCode::InternalError, text))
    })
}

impl Server {
    pub(super) fn request(&mut self, request: Request) {
        let Request { id, method, params } = request;
        if method == ask::Shutdown::METHOD {
            self.ended = true;
            return (self.send)(Message::Response(Response::new_ok(id, Value::Null)));
        }
        let response = match guarded(&method, || self.answer(&method, params)) {
            Ok(it) => Response::new_ok(id, it),
            Err(Refusal(code, text)) => {
                if matches!(code, ErrorCode::InternalError) {
                    self.tell_log(&text);
                }
                Response::new_err(id, code as i32, text)
            }
        };
        (self.send)(Message::Response(response));
    }

    fn answer(&mut self, method: &str, params: Value) -> Result<Value, Refusal> {
        if self.ended {
            return Err(Refusal(ErrorCode::InvalidRequest, "the server was told to shut down".to_owned()));
        }
        match method {
            ask::HoverRequest::METHOD => {
                let params: lsp_types::HoverParams = read(params)?;
                let at = params.text_document_position_params;
                self.with_shapes(&at.text_document.uri, |it| hover::hover(it, at.position))
            }
            ask::GotoDefinition::METHOD => {
                let params: lsp_types::GotoDefinitionParams = read(params)?;
                let at = params.text_document_position_params;
                self.with(&at.text_document.uri, |it| navigate::definition(it, at.position))
            }
            ask::References::METHOD => {
                let params: lsp_types::ReferenceParams = read(params)?;
                let (at, own) = (params.text_document_position, params.context.include_declaration);
                let others = self.others(&at.text_document.uri, at.position);
                self.with(&at.text_document.uri, |it| navigate::references(it, &others, at.position, own))
            }
            ask::DocumentHighlightRequest::METHOD => {
                let params: lsp_types::DocumentHighlightParams = read(params)?;
                let at = params.text_document_position_params;
                self.with(&at.text_document.uri, |it| navigate::highlights(it, at.position))
            }
            ask::PrepareRenameRequest::METHOD => {
                let at: lsp_types::TextDocumentPositionParams = read(params)?;
                self.answered(&at.text_document.uri, |it| rename::prepare(it, at.position))
            }
            ask::Rename::METHOD => {
                let params: lsp_types::RenameParams = read(params)?;
                let at = params.text_document_position;
                let others = self.others(&at.text_document.uri, at.position);
                self.answered(&at.text_document.uri, |it| rename::rename(it, &others, at.position, &params.new_name))
            }
            ask::Completion::METHOD => {
                let params: lsp_types::CompletionParams = read(params)?;
                let at = params.text_document_position;
                self.with(&at.text_document.uri, |it| complete::complete(it, at.position))
            }
            ask::SignatureHelpRequest::METHOD => {
                let params: lsp_types::SignatureHelpParams = read(params)?;
                let at = params.text_document_position_params;
                self.with(&at.text_document.uri, |it| signature::help(it, at.position))
            }
            ask::InlayHintRequest::METHOD => {
                let params: lsp_types::InlayHintParams = read(params)?;
                self.with_shapes(&params.text_document.uri, |it| hints::hints(it, params.range))
            }
            ask::Formatting::METHOD => {
                let params: lsp_types::DocumentFormattingParams = read(params)?;
                let uri = &params.text_document.uri;
                let Some(document) = self.world.documents.get(&name_of(uri)) else { return not_open(uri) };
                told(format::format(&document.text, self.world.encoding))
            }
            ask::CodeActionRequest::METHOD => {
                let params: lsp_types::CodeActionParams = read(params)?;
                self.with_shapes(&params.text_document.uri, |it| actions::actions(it, params.range, &params.context))
            }
            ask::DocumentSymbolRequest::METHOD => {
                let params: lsp_types::DocumentSymbolParams = read(params)?;
                self.with(&params.text_document.uri, symbols::symbols)
            }
            ask::SemanticTokensFullRequest::METHOD => {
                let params: lsp_types::SemanticTokensParams = read(params)?;
                self.with(&params.text_document.uri, tokens::tokens)
            }
            _ => Err(Refusal(ErrorCode::MethodNotFound, format!("sphc does not answer `{method}`"))),
        }
    }

    /// Answers from what is known of a document, if it is open.
    fn answered<T: serde::Serialize>(
        &mut self,
        uri: &Uri,
        answer: impl FnOnce(&View<'_>) -> Answer<T>,
    ) -> Result<Value, Refusal> {
        match self.world.view(uri) {
            Some(view) => told(answer(&view)?),
            None => not_open(uri),
        }
    }

    fn with<T: serde::Serialize>(
        &mut self,
        uri: &Uri,
        answer: impl FnOnce(&View<'_>) -> Option<T>,
    ) -> Result<Value, Refusal> {
        self.answered(uri, |it| Ok(answer(it)))
    }

    /// The same, with shapes if they are there soon.
    fn with_shapes<T: serde::Serialize>(
        &mut self,
        uri: &Uri,
        answer: impl FnOnce(&View<'_>) -> Option<T>,
    ) -> Result<Value, Refusal> {
        self.settle(&name_of(uri));
        self.with(uri, answer)
    }

    pub(super) fn notified(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match guarded(&method, || self.hear(&method, params)) {
            Ok(()) => {}
            Err(Refusal(ErrorCode::InternalError, text)) => self.tell_log(&text),
            Err(Refusal(_, text)) => self.tell_log(&format!("{method} is not understood: {text}")),
        }
    }

    fn hear(&mut self, method: &str, params: Value) -> Result<(), Refusal> {
        match method {
            notify::DidOpenTextDocument::METHOD => {
                let it = read::<lsp_types::DidOpenTextDocumentParams>(params)?.text_document;
                self.world.open(it.uri, it.version, it.text);
            }
            notify::DidChangeTextDocument::METHOD => {
                let it: lsp_types::DidChangeTextDocumentParams = read(params)?;
                self.world.change(&it.text_document.uri, it.text_document.version, it.content_changes);
            }
            notify::DidCloseTextDocument::METHOD => {
                let it: lsp_types::DidCloseTextDocumentParams = read(params)?;
                self.world.close(&it.text_document.uri);
            }
            notify::DidSaveTextDocument::METHOD | notify::DidChangeWatchedFiles::METHOD => self.world.touch_all(),
            // `initialized`, `$/cancelRequest` and what is to come: each request is answered before the next is read.
            _ => return Ok(()),
        }
        self.changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        let Err(Refusal(code, text)) = guarded::<()>("textDocument/hover", || panic!("as asked")) else {
            unreachable!()
        };
        assert_eq!(code as i32, ErrorCode::InternalError as i32);
        assert_eq!(text, "textDocument/hover failed, which is a bug of sphc: as asked");
        assert!(matches!(guarded("x", || Ok(1)), Ok(1)));
    }
}
