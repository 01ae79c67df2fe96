//! Where text for people goes. What comes from files and file names is shown, but cannot control the terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use sphc::diag::plain;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Standard output.
pub(super) fn out() -> Plain<io::Stdout> {
    Plain(io::stdout())
}

/// Standard error.
pub(super) fn err() -> Errors {
    Errors
}

/// Standard error. What is written stays above the bars that are shown.
pub(super) struct Errors;

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| Plain(io::stderr()).write(bytes))
    }

    /// A message is written at once: between its parts a bar would come.
    fn write_fmt(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Standard output by way of the user's pager, where it is a terminal: `$SPHC_PAGER`, `$PAGER`, or else `less`, which leaves again
/// where all fits on the screen. Without a pager the text is written as it is.
pub(super) fn paged(text: &str) -> io::Result<()> {
    let named = ["SPHC_PAGER", "PAGER"].into_iter().find_map(std::env::var_os);
    let pager = named.unwrap_or_else(|| "less".into());
    let capable = std::env::var_os("TERM").is_none_or(|it| it != "dumb");
    if io::stdout().is_terminal() && capable && !pager.is_empty() && shown_by(&pager, text) {
        return Ok(());
    }
    out().write_all(text.as_bytes())
}

/// Whether a pager showed a text.
fn shown_by(pager: &OsString, text: &str) -> bool {
    // As git has it: quit where it fits on the screen, pass colours on, leave the screen as it is.
    let less = std::env::var_os("LESS").unwrap_or_else(|| "FRX".into());
    let started = Command::new("sh").arg("-c").arg(pager).env("LESS", less).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return false };
    if let Some(mut to) = child.stdin.take() {
        // Whoever leaves before the end has seen enough.
        let _ = to.write_all(plain(text).as_bytes());
    }
    // A shell says with 126 and 127 that it cannot start the pager.
    child.wait().is_ok_and(|it| !matches!(it.code(), Some(126 | 127)))
}

/// Text of our own, with its colours, to standard error. With no one left to read it, it is lost.
pub(super) fn coloured(text: &str) {
    let _ = BARS.suspend(|| io::stderr().write_all(text.as_bytes()));
}

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A bar below what is written to standard error, and above another one if there is one. It is gone when it is dropped.
pub(super) fn bar(length: u64, template: &str, below: Option<&ProgressBar>) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_finish(ProgressFinish::AndClear);
    match below {
        Some(below) => BARS.insert_before(below, bar),
        None => BARS.add(bar),
    }
}

/// Takes away what is left of bars: of work that failed, nobody else does.
pub(super) fn clear_bars() {
    let _ = BARS.clear();
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

/// What an evaluation of a split found: `test accuracy 98.00 %, test loss 0.0512, test top 0.9950`. The names of metrics may start
/// with `prefix`.
pub(super) fn tested(
    split: &str,
    accuracy: Option<f64>,
    loss: f64,
    metrics: &BTreeMap<String, f64>,
    prefix: &str,
) -> String {
    let mut parts: Vec<String> =
        accuracy.map(|it| format!("{split} accuracy {:.2} %", 100.0 * it)).into_iter().collect();
    parts.push(format!("{split} loss {loss:.4}"));
    let metric =
        |(name, value): (&String, &f64)| format!("{split} {} {value:.4}", name.strip_prefix(prefix).unwrap_or(name));
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
