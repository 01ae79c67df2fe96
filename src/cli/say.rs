//! Where text for people goes. What comes from files and file names is shown, but cannot control the terminal.

use sphc::diag::plain;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

/// Standard output.
pub(super) fn out() -> Plain<io::Stdout> {
    Plain(io::stdout())
}

/// Standard error.
pub(super) fn err() -> Plain<io::Stderr> {
    Plain(io::stderr())
}

/// A stream to which text goes with control characters written out.
pub(super) struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Text is written in pieces that are whole; anything else has its odd bytes replaced.
        self.0.write_all(plain(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether standard error is a terminal that moves its cursor as it is told.
pub(super) fn is_capable() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|it| it != "dumb")
}

/// Whether diagnostics on standard error may have colours.
pub(super) fn colour() -> bool {
    is_capable() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

/// The program as it was called, so that what is printed can be pasted: after `cargo run` it is in no folder of commands.
pub(super) fn program() -> OsString {
    std::env::args_os().next().unwrap_or_else(|| "sphc".into())
}

/// Words as a shell takes them.
pub(super) fn quoted(words: &[OsString]) -> String {
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsString) -> String {
    let plain = |it: &str| !it.is_empty() && it.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c));
    match word.to_str() {
        Some(it) if plain(it) => it.to_owned(),
        Some(it) if !it.chars().any(char::is_control) => format!("'{}'", it.replace('\'', r"'\''")),
        // Bytes that are no text, or that a terminal would not show.
        Some(_) | None => {
            let byte = |it: &u8| match it {
                b'\'' | b'\\' => format!("\\{}", char::from(*it)),
                b' '..=b'~' => char::from(*it).to_string(),
                _ => format!("\\x{it:02x}"),
            };
            format!("$'{}'", word.as_encoded_bytes().iter().map(byte).collect::<String>())
        }
    }
}

/// What a test found: `test accuracy 98.00 %, test loss 0.0512, test top 0.9950`. The names of metrics may start with `prefix`.
pub(super) fn tested(accuracy: Option<f64>, loss: f64, metrics: &BTreeMap<String, f64>, prefix: &str) -> String {
    let mut parts: Vec<String> = accuracy.map(|it| format!("test accuracy {:.2} %", 100.0 * it)).into_iter().collect();
    parts.push(format!("test loss {loss:.4}"));
    let metric =
        |(name, value): (&String, &f64)| format!("test {} {value:.4}", name.strip_prefix(prefix).unwrap_or(name));
    parts.extend(metrics.iter().map(metric));
    parts.join(", ")
}

/// `1 image`, `2 images`.
pub(super) fn counted(count: usize, what: &str, plural: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_split_are_quoted() {
        let words = ["sphc", "widths=[1,2]", "it's", "a\x1bb"].map(OsString::from);
        assert_eq!(quoted(&words), r"sphc 'widths=[1,2]' 'it'\''s' $'a\x1bb'");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            assert_eq!(quoted(&[OsString::from_vec(b"run\xff'".to_vec())]), r"$'run\xff\''");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_stream() {
        let mut out = Plain(Vec::new());
        let name = "a\x1b[2J";
        writeln!(out, "class {name}").unwrap();
        assert_eq!(out.0, b"class a\\u001b[2J\n");
    }
}
