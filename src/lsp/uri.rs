//! Paths and the addresses by which editors name them.

use lsp_types::Uri;
use std::str::FromStr;

/// What a document is called here: its path, with `/` between folders; of what is no file, the address.
pub(super) fn name_of(uri: &Uri) -> String {
    let Some(rest) = uri.as_str().strip_prefix("file://") else { return uri.as_str().to_owned() };
    // `file://localhost/x` is `file:///x`.
    let path = match rest.find('/') {
        Some(at) => &rest[at..],
        None => rest,
    };
    let path = decoded(path);
    // `/C:/x` is a path on a drive.
    match path.as_bytes() {
        [b'/', drive, b':', ..] if drive.is_ascii_alphabetic() => path[1..].to_owned(),
        _ => path,
    }
}

/// The address of a path.
pub(super) fn uri_of(path: &str) -> Option<Uri> {
    let path = path.replace('\\', "/");
    let root = if path.starts_with('/') { "" } else { "/" };
    Uri::from_str(&format!("file://{root}{}", encoded(&path))).ok()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b':' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back() {
        for path in ["/a/b c.sph", "/\u{e4}/100%/x#1?.sph", "C:/models/a.sph"] {
            assert_eq!(name_of(&uri_of(path).unwrap()), path);
        }
        let of = |uri: &str| name_of(&Uri::from_str(uri).unwrap());
        assert_eq!(of("file://localhost/a.sph"), "/a.sph");
        assert_eq!(of("file:///c%3A/a.sph"), "c:/a.sph");
        assert_eq!(of("untitled:Untitled-1"), "untitled:Untitled-1");
    }
}
