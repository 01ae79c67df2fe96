//! A client that a test scripts: it sends, and reads what comes back.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// As long as a busy machine may need.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, and a folder for what it reads.
pub(crate) struct Client {
    pub(crate) folder: TempDir,
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    asked: i64,
    /// The newest diagnostics, by document.
    told: BTreeMap<String, Vec<Value>>,
    pub(crate) able: Value,
}

impl Client {
    pub(crate) fn new() -> Client {
        Client::with(json!({}))
    }

    /// A client that can do this.
    pub(crate) fn with(capabilities: Value) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sphc"))
            .arg("lsp")
            .arg("--cache")
            .arg(folder.path().join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (send, from) = channel();
        std::thread::spawn(move || {
            while let Some(it) = message(&mut out) {
                if send.send(it).is_err() {
                    return;
                }
            }
        });
        let to = child.stdin.take();
        let mut client = Client { folder, child, to, from, asked: 0, told: BTreeMap::new(), able: Value::Null };
        let root = client.uri("");
        let params = json!({ "processId": null, "rootUri": root.trim_end_matches('/'), "capabilities": capabilities });
        client.able = client.ask("initialize", params)["capabilities"].clone();
        client.tell("initialized", json!({}));
        client
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// A file of the disk.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn send(&mut self, mut it: Value) {
        it["jsonrpc"] = json!("2.0");
        let text = it.to_string();
        let to = self.to.as_mut().unwrap();
        write!(to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        to.flush().unwrap();
    }

    pub(crate) fn tell(&mut self, method: &str, params: Value) {
        self.send(json!({ "method": method, "params": params }));
    }

    /// The result of a request; of one that is refused, the error.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(json!({ "id": id, "method": method, "params": params }));
        loop {
            let it = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{method} is not answered"));
            match it.get("method") {
                None if it["id"] == id => return it.get("result").unwrap_or(&it["error"]).clone(),
                _ => self.hear(&it),
            }
        }
    }

    /// Opens a document, which need not be a file.
    pub(crate) fn open(&mut self, name: &str, text: &str) {
        let document = json!({ "uri": self.uri(name), "languageId": "sph", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Changes a range of a document, or all of it where that is `null`.
    pub(crate) fn change(&mut self, name: &str, version: i32, range: Value, text: &str) {
        let change = if range.is_null() { json!({ "text": text }) } else { json!({ "range": range, "text": text }) };
        let document = json!({ "uri": self.uri(name), "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] }));
    }

    /// The newest diagnostics of a document, once they are such as `wanted` takes.
    pub(crate) fn diagnostics(&mut self, name: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let uri = self.uri(name);
        loop {
            if let Some(found) = self.told.get(&uri).filter(|it| wanted(it)) {
                return found.clone();
            }
            let it = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("no such diagnostics of {name}, but {:#?}", self.told.get(&uri));
            });
            self.hear(&it);
        }
    }

    /// Keeps the newest diagnostics of each document.
    fn hear(&mut self, it: &Value) {
        if it["method"] == "textDocument/publishDiagnostics" {
            let uri = it["params"]["uri"].as_str().unwrap().to_owned();
            self.told.insert(uri, it["params"]["diagnostics"].as_array().unwrap().clone());
        }
    }

    /// What is asked of a place in a document: `@` marks it in a part of the text.
    pub(crate) fn at(&mut self, method: &str, name: &str, text: &str, mark: &str) -> Value {
        let params = self.place(name, text, mark);
        self.ask(&format!("textDocument/{method}"), params)
    }

    pub(crate) fn place(&self, name: &str, text: &str, mark: &str) -> Value {
        json!({ "textDocument": { "uri": self.uri(name) }, "position": position(text, mark) })
    }

    /// Ends it as the protocol has it; the exit status.
    pub(crate) fn end(mut self) -> i32 {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        self.to = None;
        self.child.wait().unwrap().code().unwrap()
    }

    /// Closes the server's input without a word; the exit status.
    pub(crate) fn vanish(mut self) -> i32 {
        self.to = None;
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(from: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Where the `@` of a mark is, in the text without it. Columns are UTF-16.
pub(crate) fn position(text: &str, mark: &str) -> Value {
    let at = mark.find('@').expect("a mark has an `@`");
    let plain = mark.replacen('@', "", 1);
    let found = text.find(&plain).unwrap_or_else(|| panic!("`{plain}` is not in the text")) + at;
    let start = text[..found].rfind('\n').map_or(0, |it| it + 1);
    json!({ "line": text[..found].matches('\n').count(), "character": text[start..found].encode_utf16().count() })
}

/// The text that a range of one line holds.
pub(crate) fn slice<'t>(text: &'t str, range: &Value) -> &'t str {
    let line = text.lines().nth(range["start"]["line"].as_u64().unwrap() as usize).unwrap();
    let byte = |column: &Value| {
        let mut left = column.as_u64().unwrap() as usize;
        line.char_indices()
            .find(|(_, it)| {
                if left == 0 {
                    true
                } else {
                    left -= it.len_utf16();
                    false
                }
            })
            .map_or(line.len(), |it| it.0)
    };
    &line[byte(&range["start"]["character"])..byte(&range["end"]["character"])]
}
