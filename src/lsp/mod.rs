//! (Unstable.) The language server: what `sphc` knows of a text, told to editors as the language server protocol asks.
//!
//! ```text
//! client -> Server   one message after the other, answered at once from
//!           World    the open documents; of each, what its names stand for (`pipeline::names`), anew after a change
//!           deep     whole checks (`pipeline::check`) on a thread of their own: shapes, and all diagnostics
//! ```
//!
//! One file answers one family of requests, from a view: the text with what the stages told of it. Nothing is
//! resolved here by rules of its own; where a text does not parse, its tokens tell what is being written.

mod actions;
mod complete;
mod context;
mod deep;
mod diagnostics;
mod dispatch;
mod format;
mod hints;
mod hover;
mod navigate;
mod recipe;
mod rename;
mod shelf;
mod signature;
mod strings;
mod symbols;
mod text;
mod tokens;
mod uri;
mod view;
mod world;

use crate::api::Options;
use deep::{Deep, Worker};
use diagnostics::Published;
use lsp_server::{Connection, Message, Notification, Request, RequestId};
use lsp_types::notification::Notification as _;
use lsp_types::{ClientCapabilities, InitializeParams};
use shelf::Shelf;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use text::Encoding;
use world::World;

/// What a server is told when it starts.
pub struct Setup {
    /// A folder for the program's own texts, which editors show as files.
    pub cache: PathBuf,
    /// What models are checked with.
    pub options: Options,
}

/// Why a server ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client speaks another protocol.
    #[error(
        "what came on standard input is not how an editor begins: {0}\n  start the server from an editor, as docs/editors.md has it"
    )]
    Protocol(String),
    /// No thread could be started.
    #[error("cannot start a thread: {0}\n  end other programs")]
    Thread(std::io::Error),
}

/// What happens to a server.
enum Event {
    Client(Message),
    /// The client is gone.
    Closed,
    /// A document was checked.
    Checked(String, Option<Arc<Deep>>),
    /// The check of a document with a stamp panicked.
    Failed(String, u64, String),
}

/// How long diagnostics wait for the whole check before those of names are told, unless a name is wrong.
const PATIENCE: Duration = Duration::from_millis(150);

/// How long a request that asks for shapes waits for the whole check.
const SHAPES: Duration = Duration::from_millis(25);

/// Serves a client until it says to end; whether it did so as it should.
pub fn serve(connection: Connection, setup: Setup) -> Result<bool, Error> {
    let protocol = |it: lsp_server::ProtocolError| Error::Protocol(it.to_string());
    let (id, params) = connection.initialize_start().map_err(protocol)?;
    let params: InitializeParams = serde_json::from_value(params).map_err(|it| Error::Protocol(it.to_string()))?;
    let offered = params.capabilities.general.as_ref().and_then(|it| it.position_encodings.as_deref());
    let mut world = World::new(setup.options, Shelf::new(setup.cache));
    world.encoding = Encoding::of(offered);
    world.folders = dispatch::folders(&params);
    let answer = dispatch::capabilities(world.encoding);
    connection.initialize_finish(id, answer).map_err(protocol)?;

    let (sender, events) = channel();
    let worker = Worker::start(sender.clone()).map_err(Error::Thread)?;
    let Connection { sender: client, receiver } = connection;
    let forward = move || {
        for message in receiver {
            if sender.send(Event::Client(message)).is_err() {
                return;
            }
        }
        let _ = sender.send(Event::Closed);
    };
    std::thread::Builder::new().name("client".to_owned()).spawn(forward).map_err(Error::Thread)?;
    let send: Box<dyn Fn(Message)> = Box::new(move |it| {
        // A client that is gone is told by `Closed`.
        let _ = client.send(it);
    });
    let server = Server {
        world,
        worker,
        events,
        kept: VecDeque::new(),
        send,
        client: params.capabilities,
        published: Published::default(),
        asked: 0,
        due: None,
        overdue: false,
        looked: false,
        ended: false,
    };
    Ok(server.run())
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// For the log of the editor, which standard error is for servers.
fn log(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "sphc lsp: {line}");
}

pub(crate) struct Server {
    world: World,
    worker: Worker,
    events: Receiver<Event>,
    /// What came while something else was waited for.
    kept: VecDeque<Event>,
    send: Box<dyn Fn(Message)>,
    client: ClientCapabilities,
    published: Published,
    /// Requests to the client so far.
    asked: i32,
    /// When diagnostics of names are told without the check.
    due: Option<Instant>,
    /// Whether they were since the last change.
    overdue: bool,
    /// Whether what is wrong in names was looked for since the last change.
    looked: bool,
    /// Whether `shutdown` was asked for.
    ended: bool,
}

impl Server {
    fn run(mut self) -> bool {
        loop {
            match self.next() {
                Some(Event::Client(Message::Request(request))) => self.request(request),
                Some(Event::Client(Message::Notification(it)))
                    if it.method == lsp_types::notification::Exit::METHOD =>
                {
                    return self.ended;
                }
                Some(Event::Client(Message::Notification(it))) => self.notified(it),
                // Nothing that is asked of the client is waited for.
                Some(Event::Client(Message::Response(_))) => {}
                Some(Event::Closed) => return false,
                Some(Event::Checked(name, deep)) => self.checked(&name, deep),
                Some(Event::Failed(name, stamp, cause)) => self.failed(&name, stamp, &cause),
                None => self.names_only(),
            }
        }
    }

    /// What happens next; `None` when diagnostics are due. Checks are asked for when nothing else is to be done, so that of
    /// several changes only the last is looked at.
    fn next(&mut self) -> Option<Event> {
        if let Some(it) = self.kept.pop_front().or_else(|| self.events.try_recv().ok()) {
            return Some(it);
        }
        self.world.submit(&self.worker);
        if !self.world.is_stale() || self.overdue {
            return Some(self.events.recv().unwrap_or(Event::Closed));
        }
        if !std::mem::replace(&mut self.looked, true) && self.world.has_wrong_names() {
            return None;
        }
        let now = Instant::now();
        let due = *self.due.get_or_insert(now + PATIENCE);
        match self.events.recv_timeout(due.saturating_duration_since(now)) {
            Ok(it) => Some(it),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Closed),
        }
    }

    /// Waits a little for the check of a document, for what it tells of shapes.
    fn settle(&mut self, name: &str) {
        let until = Instant::now() + SHAPES;
        self.world.submit(&self.worker);
        while self.world.documents.get(name).is_some_and(|it| it.is_stale()) {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Checked(name, deep)) => self.checked(&name, deep),
                Ok(Event::Failed(name, stamp, cause)) => self.failed(&name, stamp, &cause),
                Ok(it) => self.kept.push_back(it),
                Err(_) => return,
            }
        }
    }

    fn checked(&mut self, name: &str, deep: Option<Arc<Deep>>) {
        let Some(document) = self.world.documents.get_mut(name) else { return };
        // What has changed since is being checked again.
        if deep.as_ref().is_none_or(|it| it.stamp != document.stamp) {
            return;
        }
        if let Some(it) = deep.as_ref().filter(|it| it.sound || document.layers.is_empty()) {
            document.layers.clone_from(&it.layers);
        }
        document.deep = deep;
        self.publish_if_settled();
        let hints = self.client.workspace.as_ref().and_then(|it| it.inlay_hint.as_ref());
        if hints.and_then(|it| it.refresh_support) == Some(true) {
            self.ask("workspace/inlayHint/refresh");
        }
    }

    /// A check that panicked is a bug of ours; what the names tell stays.
    fn failed(&mut self, name: &str, stamp: u64, cause: &str) {
        self.tell_log(&format!("the check of {name} failed, which is a bug of sphc: {cause}"));
        let Some(document) = self.world.documents.get_mut(name).filter(|it| it.stamp == stamp) else { return };
        document.deep = Some(Arc::new(Deep::nothing(stamp)));
        self.publish_if_settled();
    }

    /// Diagnostics of names, where the check takes long.
    fn names_only(&mut self) {
        self.overdue = true;
        self.publish();
    }

    /// Something has changed.
    fn changed(&mut self) {
        (self.due, self.overdue, self.looked) = (None, false, false);
        // Of a document that was closed, or of none, nothing is to be checked.
        self.publish_if_settled();
    }

    /// What was found before stays while more is looked for.
    fn publish_if_settled(&mut self) {
        if !self.world.is_stale() || self.overdue {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let names: Vec<String> = self.world.documents.keys().cloned().collect();
        names.iter().for_each(|it| drop(self.world.named(it)));
        for it in self.published.differences(&self.world) {
            let params = serde_json::to_value(it).unwrap_or_default();
            let method = lsp_types::notification::PublishDiagnostics::METHOD.to_owned();
            (self.send)(Message::Notification(Notification { method, params }));
        }
    }

    fn ask(&mut self, method: &str) {
        self.asked += 1;
        let id = RequestId::from(self.asked);
        let request = Request { id, method: method.to_owned(), params: serde_json::Value::Null };
        (self.send)(Message::Request(request));
    }

    fn tell_log(&self, text: &str) {
        log(text);
        let params = serde_json::json!({ "type": 1, "message": text });
        let method = lsp_types::notification::LogMessage::METHOD.to_owned();
        (self.send)(Message::Notification(Notification { method, params }));
    }
}
