//! Texts that are broken, and messages that are: there is an answer to everything, and the server lives.

use super::client::Client;
use crate::fuzzed::targets::requests;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Asks everything of a place; what is refused says why, and nothing fails.
fn ask_all(client: &mut Client, uri: &str, line: usize, character: usize) {
    for (request, params) in requests(uri, line, character) {
        let found = client.ask(&request, params);
        let failed = found.get("code").and_then(Value::as_i64).is_some_and(|it| it != -32803);
        assert!(!failed, "{request} at {line}:{character} of {uri}: {found}");
    }
}

fn suite(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    all.retain(|it| it.extension().is_some_and(|it| it == "sph"));
    all.sort();
    all
}

#[test]
fn everything_is_answered_of_every_text_of_the_suite() {
    let mut client = Client::new();
    // Names that are written again and again would be looked for in all of them.
    for path in suite(Path::new("tests/suite")) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        client.open(name, &text);
        let (uri, lines) = (client.uri(name), text.lines().count());
        for at in 1..4 {
            ask_all(&mut client, &uri, lines * at / 4, 5 * at);
        }
        client.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_text_is_answered_wherever_it_ends() {
    let mut client = Client::new();
    let text = super::answers::TEXT;
    client.open("small.sph", text);
    let uri = client.uri("small.sph");
    let ends: Vec<usize> = text.char_indices().map(|it| it.0).filter(|it| it % 23 == 0).collect();
    for (version, end) in ends.iter().enumerate() {
        let cut = &text[..*end];
        client.change("small.sph", version as i32 + 2, Value::Null, cut);
        let line = cut.matches('\n').count();
        ask_all(&mut client, &uri, line, cut.len() - cut.rfind('\n').map_or(0, |it| it + 1));
        ask_all(&mut client, &uri, line / 2, 7);
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn what_still_stands_is_known_beside_a_mistake() {
    let mut client = Client::new();
    let text = super::answers::TEXT.replace("x = max_pool(x, 2)", "x = max_pool(x, ,2");
    client.open("small.sph", &text);
    let found = client.at("hover", "small.sph", &text, "u@nit(x, 8");
    assert!(found["contents"]["value"].as_str().unwrap().contains("block unit(x, filters: int"), "{found}");
    let found = client.at("definition", "small.sph", &text, "h@alf(image");
    assert_eq!(found["range"]["start"]["line"], 6);
    client.diagnostics("small.sph", |it| it.iter().any(|it| it["code"] == "E0001"));
}

#[test]
fn what_is_not_understood_is_refused_and_the_server_goes_on() {
    let mut client = Client::new();
    let code = |it: Value| it["code"].as_i64().unwrap_or_else(|| panic!("{it}"));
    assert_eq!(code(client.ask("textDocument/moniker", json!({}))), -32601);
    assert_eq!(code(client.ask("textDocument/hover", json!({ "no": 1 }))), -32602);
    let closed = json!({ "textDocument": { "uri": "file:///nowhere.sph" }, "position": { "line": 0, "character": 0 } });
    assert_eq!(code(client.ask("textDocument/hover", closed)), -32602);
    client.tell("textDocument/didChange", json!({ "what": 1 }));
    client.tell("some/news", json!({}));
    // A document that is no file, far behind its end.
    let document = json!({ "uri": "untitled:Untitled-1", "languageId": "sph", "version": 1, "text": "param a = b\n" });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    ask_all(&mut client, "untitled:Untitled-1", 0, 10);
    ask_all(&mut client, "untitled:Untitled-1", 999, 999);
    assert_eq!(client.ask("shutdown", Value::Null), Value::Null);
    assert_eq!(code(client.ask("textDocument/hover", json!({}))), -32600);
}

#[test]
fn the_server_ends_with_its_client() {
    assert_eq!(Client::new().end(), 0);
    // Without a word, that is a failure.
    assert_eq!(Client::new().vanish(), 1);
}
