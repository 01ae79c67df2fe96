//! `sphc check`.

use super::args::{Format, RecipeArgs, SetArgs, options};
use super::failure::{Failure, Outcome};
use super::{load, say, texts};
use sphc::diag::{self, Diagnostic, FileId, Severity};
use sphc::{Checked, Model, Options};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::Range;
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
                say::coloured(&text);
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
    let mut before = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for _ in 0..if fix { ROUNDS } else { 0 } {
        let edits = proposed(&now, &checked.diagnostics, &refused);
        if edits.is_empty() {
            break;
        }
        let (next, places) = written(&now, &edits);
        // Two proposals that go round in a circle help nothing.
        if before.contains(&next) {
            break;
        }
        let after = of(&next)?;
        // What a mistake hid may be found now, and is no fault of the proposal; it is where what it wrote is wrong itself.
        let wrong = |place: &Range<usize>| after.diagnostics.iter().any(|it| is_within(it, place));
        let useless: Vec<&Edit> = edits.iter().zip(&places).filter(|it| wrong(it.1)).map(|it| it.0).collect();
        if useless.is_empty() {
            before.insert(std::mem::replace(&mut now, next));
            (checked, all) = (after, all + edits.len());
        }
        refused.extend(useless.into_iter().map(|it| (it.told.clone(), it.new.clone())));
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

/// A proposal: what is to stand in a part of the text, and what was told of it.
struct Edit {
    place: Range<usize>,
    new: String,
    told: String,
}

/// Whether an error is of what was written at a place.
fn is_within(found: &Diagnostic, place: &Range<usize>) -> bool {
    let (start, end) = (found.primary.span.start as usize, found.primary.span.end as usize);
    found.severity() == Severity::Error
        && found.primary.span.file == FileId(0)
        && place.start <= start
        && end <= place.end
        && start < end
}

/// The first exact proposal of each error, in the order of the text. Of those that overlap, the first counts; the other is
/// proposed again if it is still wanted.
fn proposed(text: &str, found: &[Diagnostic], refused: &BTreeSet<(String, String)>) -> Vec<Edit> {
    // What a warning is of may be meant.
    let errors = found.iter().filter(|it| it.severity() == Severity::Error);
    let exact = errors.filter_map(|it| Some((it, it.helps.iter().find_map(|it| it.replacement.as_ref())?)));
    let here = exact.filter(|(_, (span, _))| span.file == FileId(0));
    let mut edits: Vec<Edit> = here
        .map(|(it, (span, new))| {
            let place = span.start as usize..span.end as usize;
            Edit { place, new: new.clone(), told: it.message.clone() }
        })
        .filter(|it| !refused.contains(&(it.told.clone(), it.new.clone())) && text.get(it.place.clone()).is_some())
        .collect();
    edits.sort_by(|a, b| (a.place.start, a.place.end, &a.new).cmp(&(b.place.start, b.place.end, &b.new)));
    let mut done = 0;
    edits.dedup_by(|a, b| a.place == b.place && a.new == b.new);
    edits.retain(|it| {
        let free = done <= it.place.start;
        done = if free { it.place.end } else { done };
        free
    });
    edits
}

/// The text with proposals in their places, and where they are in it.
fn written(text: &str, edits: &[Edit]) -> (String, Vec<Range<usize>>) {
    let (mut out, mut done, mut places) = (String::with_capacity(text.len()), 0, Vec::new());
    for Edit { place, new, .. } in edits {
        out.push_str(&text[done..place.start]);
        let start = out.len();
        out.push_str(new);
        places.push(start..out.len());
        done = place.end;
    }
    out.push_str(&text[done..]);
    (out, places)
}
