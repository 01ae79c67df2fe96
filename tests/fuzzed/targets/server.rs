//! The language server: a text is opened, asked about and changed. A request that fails is a panic that it caught, and the
//! fuzzer, which lets none be caught, stops there; in the ordinary tests it is the answer that tells.

use lsp_server::{Connection, Message, Notification, Request, RequestId};
use serde_json::{Value, json};
use sphc::Options;
use sphc::lsp::{Setup, serve};
use std::time::Duration;

const REQUESTS: [&str; 13] = [
    "hover",
    "definition",
    "references",
    "documentHighlight",
    "prepareRename",
    "rename",
    "completion",
    "signatureHelp",
    "inlayHint",
    "codeAction",
    "documentSymbol",
    "semanticTokens/full",
    "formatting",
];

/// Everything that can be asked of a place: methods and what goes with them.
pub(crate) fn requests(uri: &str, line: usize, character: usize) -> impl Iterator<Item = (String, Value)> {
    let place = json!({ "line": line, "character": character });
    let params = json!({
        "textDocument": { "uri": uri },
        "position": place,
        "range": { "start": place, "end": { "line": line + 9, "character": 0 } },
        "context": { "includeDeclaration": true, "diagnostics": [], "triggerKind": 1, "isRetrigger": false },
        "options": { "tabSize": 4, "insertSpaces": true },
        "newName": "renamed",
    });
    REQUESTS.into_iter().map(move |it| (format!("textDocument/{it}"), params.clone()))
}

/// What a request answers that has nothing to tell, and says why.
const REFUSED: i32 = -32803;

struct Client {
    connection: Connection,
    asked: i32,
}

impl Client {
    fn tell(&self, method: &str, params: Value) {
        let it = Notification { method: method.to_owned(), params };
        self.connection.sender.send(Message::Notification(it)).expect("the server listens");
    }

    fn ask(&mut self, method: &str, params: Value) {
        self.asked += 1;
        let id = RequestId::from(self.asked);
        let request = Request { id: id.clone(), method: method.to_owned(), params };
        self.connection.sender.send(Message::Request(request)).expect("the server listens");
        loop {
            let message = self.connection.receiver.recv_timeout(Duration::from_secs(60)).expect("an answer");
            match message {
                Message::Response(it) if it.id == id => {
                    let failed = it.response_result.err().filter(|it| it.code != REFUSED);
                    assert!(failed.is_none(), "{method}: {failed:?}");
                    return;
                }
                // What the server logs is that it failed.
                Message::Notification(it) => assert_ne!(it.method, "window/logMessage", "{}", it.params),
                Message::Response(_) | Message::Request(_) => {}
            }
        }
    }
}

/// The first byte says where in the text the cursor is.
pub(super) fn talk(input: &[u8]) -> bool {
    let Some((at, rest)) = input.split_first() else { return false };
    let Ok(text) = std::str::from_utf8(rest) else { return false };
    // Files of the disk are none of the fuzzer's.
    if text.contains("import") || text.contains("data \"") {
        return false;
    }
    let folder = super::place();
    let cache = folder.path().join("cache");
    let (ours, theirs) = Connection::memory();
    let server = std::thread::spawn(move || serve(theirs, Setup { cache, options: Options::default() }));
    let mut client = Client { connection: ours, asked: 0 };
    client.ask("initialize", json!({ "processId": null, "capabilities": {} }));
    client.tell("initialized", json!({}));
    let uri = "untitled:it.sph";
    let document = json!({ "uri": uri, "languageId": "sph", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let end = (usize::from(*at) * (text.len() + 1)).div_ceil(256).min(text.len());
    let end = (0..=end).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
    let (line, column) = (text[..end].matches('\n').count(), end - text[..end].rfind('\n').map_or(0, |it| it + 1));
    let place = json!({ "line": line, "character": column });
    for (method, params) in requests(uri, line, column) {
        client.ask(&method, params);
    }
    let change = json!({ "range": { "start": place, "end": { "line": line + 1, "character": 0 } }, "text": "(" });
    let changed = json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [change] });
    client.tell("textDocument/didChange", changed);
    client.ask("textDocument/completion", json!({ "textDocument": { "uri": uri }, "position": place }));
    client.ask("shutdown", Value::Null);
    client.tell("exit", Value::Null);
    let ended = server.join().expect("the server lives").expect("the server ends well");
    assert!(ended, "the server was told to end");
    true
}
