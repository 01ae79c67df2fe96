//! One attempt at a download over HTTP.

use super::{Event, Patience, Stopped};
use crate::data::manifest::Remote;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};

/// No data set that fits in memory is larger.
const MOST_BYTES: u64 = 64 << 30;

/// Asks for what is missing of a file and appends what comes.
pub(super) fn attempt(
    remote: &Remote,
    part: &Path,
    patience: Patience,
    see: &mut dyn FnMut(Event),
) -> Result<(), Stopped> {
    let mut have = fs::metadata(part).map_or(0, |it| it.len());
    let network = |cause: String| Stopped::Network { cause, again: true };
    if remote.size == Some(have) {
        return Ok(());
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .user_agent(concat!("sphc/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(&remote.url);
    if have != 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|it| network(it.to_string()))?;
    let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    match response.status().as_u16() {
        200 => have = 0,
        206 if header("content-range").is_some_and(|it| it.starts_with(&format!("bytes {have}-"))) => {}
        // What is here does not fit what is there: from the start.
        206 | 416 => {
            fs::remove_file(part).map_err(Stopped::Write)?;
            return Err(network("the server does not know where the file was broken off".into()));
        }
        status => {
            let again = status >= 500 || matches!(status, 408 | 429);
            return Err(Stopped::Network { cause: format!("the server answered {}", response.status()), again });
        }
    }
    let length = header("content-length").and_then(|it| it.parse::<u64>().ok());
    let size = remote.size.or(length.map(|it| have.saturating_add(it)));
    see(Event::Asked { url: &remote.url, have, size });
    let mut file = if have == 0 { File::create(part) } else { OpenOptions::new().append(true).open(part) }
        .map_err(Stopped::Write)?;

    // Reading has no time limit of its own, so that it is done elsewhere.
    let (send, receive) = sync_channel::<io::Result<Vec<u8>>>(4);
    let mut body = response.into_body().into_reader();
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; 1 << 16];
            let res = body.read(&mut chunk).map(|it| {
                chunk.truncate(it);
                chunk
            });
            let last = !matches!(&res, Ok(it) if !it.is_empty());
            if send.send(res).is_err() || last {
                return;
            }
        }
    });
    loop {
        match receive.recv_timeout(patience.silence) {
            Ok(Ok(chunk)) if chunk.is_empty() => break,
            Ok(Ok(chunk)) => {
                have += chunk.len() as u64;
                if remote.size.unwrap_or(MOST_BYTES) < have {
                    return Err(Stopped::Wrong(format!("more than {} bytes", remote.size.unwrap_or(MOST_BYTES))));
                }
                file.write_all(&chunk).map_err(Stopped::Write)?;
                see(Event::Bytes(have));
            }
            Ok(Err(cause)) => return Err(network(format!("the connection broke off: {cause}"))),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = patience.silence.as_secs_f32();
                return Err(network(format!("the server was silent for {seconds} s")));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(network("the connection broke off".into())),
        }
    }
    file.sync_all().map_err(Stopped::Write)?;
    match size {
        Some(size) if have < size => Err(network(format!("the server ended after {have} of {size} bytes"))),
        _ => Ok(()),
    }
}
