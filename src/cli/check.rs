//! `sphc check`.

use super::args::{Format, RecipeArgs, SetArgs, options};
use super::failure::{Failure, Outcome};
use super::{load, say, texts};
use sphc::diag::{self, Code, Diagnostic, FileId, Severity};
use sphc::{Checked, Model, Options};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model files (.sph), folders of them, or `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    /// How diagnostics are printed: for people on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write into the files what the help lines of errors propose exactly, and report what is left
    #[arg(long)]
    fix: bool,
    /// Exit with 1 for warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let options = options(&args.set, &RecipeArgs::default(), None);
    if args.fix && args.files.iter().any(|it| load::is_stdin(it)) {
        return Err(Failure::new("`--fix` changes files, and standard input is none", "give the file"));
    }
    let files = texts::files(&args.files)?;
    let (mut errors, mut warnings, mut mended) = (0, 0, 0);
    for file in &files {
        let checked = match one(file, args.fix, &options) {
            Ok((checked, fixes)) => {
                mended += fixes;
                checked
            }
            Err(failure) => {
                // The other files are still worth checking.
                failure.report();
                errors += 1;
                continue;
            }
        };
        let found = &checked.diagnostics;
        let here = found.iter().filter(|it| it.severity() == Severity::Error).count();
        errors += here;
        warnings += found.len() - here;
        match args.format {
            Format::Json => {
                write!(io::stdout(), "{}", diag::render::render_json(found, &checked.sources))?;
            }
            Format::Human => {
                let text = diag::render::render(found, &checked.sources, say::colour());
                let _ = io::stderr().write_all(text.as_bytes());
            }
        }
    }
    let failed = errors != 0 || args.deny_warnings && warnings != 0;
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let files = plural(files.len(), "file");
    let summary = match (errors, warnings) {
        (0, 0) => format!("{files} checked: no problems"),
        (0, _) => format!("{files} checked: {}", plural(warnings, "warning")),
        (_, 0) => format!("{files} checked: {}", plural(errors, "error")),
        _ => format!("{files} checked: {} and {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    let summary = if mended == 0 { summary } else { format!("{summary}; {} mended", plural(mended, "mistake")) };
    if args.format == Format::Human {
        if !failed {
            writeln!(say::out(), "{summary}")?;
        } else {
            let _ = writeln!(say::err(), "{summary}; `sphc explain CODE` tells more");
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// How often what was mended is looked at again: one mistake can hide another.
const ROUNDS: usize = 10;

/// What is found in a file, with `fix` after writing into it what is proposed exactly, and how many proposals those are.
fn one(file: &Path, fix: bool, options: &Options) -> Result<(Checked, usize), Failure> {
    let model = load::model(file, options.clone())?;
    let text = model.text()?;
    let of = |text: &str| Model::from_text(model.name(), text).with(options.clone()).check();
    let mut checked = model.check()?;
    let (mut now, mut all) = (text.to_owned(), 0);
    for _ in 0..if fix { ROUNDS } else { 0 } {
        let (next, count) = mended(&now, &checked.diagnostics);
        if count == 0 {
            break;
        }
        let after = of(&next)?;
        // A proposal that helps nothing is left to whoever reads it. Where the text could not be read, more may be found now.
        let unread = checked.diagnostics.iter().any(|it| it.code == Code::E0001);
        if !unread && weight(&checked.diagnostics) <= weight(&after.diagnostics) {
            break;
        }
        (now, checked, all) = (next, after, all + count);
    }
    if now != text
        && let Err(failure) = texts::replace(file, &now)
    {
        // What the text is like is still told.
        failure.report();
        return Ok((of(text)?, 0));
    }
    Ok((checked, all))
}

/// Errors count before warnings.
fn weight(found: &[Diagnostic]) -> (usize, usize) {
    (found.iter().filter(|it| it.severity() == Severity::Error).count(), found.len())
}

/// The text with the first exact proposal of each report in its place, and how many there are. Of those that overlap, the
/// first counts; the other is proposed again if it is still wanted.
fn mended(text: &str, found: &[Diagnostic]) -> (String, usize) {
    let mut edits: Vec<(usize, usize, &str)> = Vec::new();
    // What a warning is of may be meant.
    for it in found.iter().filter(|it| it.severity() == Severity::Error) {
        let exact = it.helps.iter().find_map(|it| it.replacement.as_ref());
        if let Some((span, new)) = exact.filter(|it| it.0.file == FileId(0)) {
            edits.push((span.start as usize, span.end as usize, new));
        }
    }
    edits.sort_unstable();
    edits.dedup();
    let (mut out, mut done, mut count) = (String::with_capacity(text.len()), 0, 0);
    for (start, end, new) in edits {
        let (Some(before), true) = (text.get(done..start), start <= end) else { continue };
        out.push_str(before);
        out.push_str(new);
        (done, count) = (end, count + 1);
    }
    out.push_str(&text[done..]);
    (out, count)
}
