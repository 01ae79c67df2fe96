//! The curves of what `sphc plot` is given: run directories, folders of them, and tables.

use crate::cli::args;
use crate::cli::failure::Failure;
use sphc::train::Started;
use sphc::train::curves::found::{Below, Found, is_run, names};
use sphc::train::curves::{Curve, reference};
use sphc::train::metrics::{self, Line};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a run directory is, for those who gave something else.
const REMEDY: &str =
    "give directories that `sphc train` made, each with a `config.yaml` and a `metrics.jsonl`, or folders of them";

/// The curves, with names that tell them apart.
pub(super) fn curves(paths: &[PathBuf]) -> Result<Vec<Curve>, Failure> {
    let mut found: Vec<Found> = Vec::new();
    for path in paths {
        found.extend(found_in(path, 1 < paths.len())?);
    }
    if found.is_empty() && !paths.is_empty() {
        return Err(Failure::new("none of these is a run directory", REMEDY));
    }
    let mut known = BTreeSet::new();
    found.retain(|it| {
        let real = |it: &PathBuf| std::fs::canonicalize(it).unwrap_or_else(|_| it.clone());
        let new = known.insert(it.runs.iter().map(real).collect::<BTreeSet<_>>());
        if !new {
            args::warn(&[format!("`{}` is given more than once, and drawn once", it.path.display())]);
        }
        new
    });
    let paths: Vec<PathBuf> = found.iter().map(|it| it.path.clone()).collect();
    found.iter().zip(names(&paths)).map(|(it, name)| curve(it, &(name + &it.others))).collect()
}

/// What is drawn of a path. Among several there may be what sphc itself wrote beside runs, which `*` gives too.
fn found_in(path: &Path, is_one_of_several: bool) -> Result<Vec<Found>, Failure> {
    let shown = path.display();
    if is_table(path) || is_run(path) {
        return Ok(vec![Found::run(path)]);
    }
    if path.is_file() {
        if is_one_of_several && is_of_ours(path) {
            args::warn(&[format!("`{shown}` is no run directory, and passed over")]);
            return Ok(Vec::new());
        }
        return Err(Failure::new(format!("cannot draw `{shown}`: it is a file, and no run directory"), REMEDY));
    }
    let below = if path.is_dir() { Below::of(path) } else { Below::default() };
    for (folder, cause) in &below.unread {
        args::warn(&[format!("cannot read `{}`: {cause}; runs in it are not drawn", folder.display())]);
    }
    if below.found.is_empty() {
        let cause = format!("cannot read `{}`: there is no such file", path.join("metrics.jsonl").display());
        return Err(Failure::new(cause, REMEDY));
    }
    Ok(below.found)
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "csv")
}

/// Whether it may be a picture or a report that sphc wrote.
fn is_of_ours(path: &Path) -> bool {
    path.extension().and_then(|it| it.to_str()).is_some_and(|it| ["svg", "png", "md"].contains(&it))
}

fn curve(found: &Found, name: &str) -> Result<Curve, Failure> {
    if is_table(&found.path) {
        return table(&found.path, name);
    }
    let lines: Vec<Vec<Line>> = found.runs.iter().map(|it| lines_of(it)).collect::<Result<_, _>>()?;
    let training = found.runs.first().and_then(|it| Started::read(it).ok()).map(|it| it.training);
    let data = training.as_ref().map_or_else(String::new, |it| short(&it.data));
    let validates = training.is_some_and(|it| it.validates());
    Ok(Curve { data, validates, ..Curve::of_group(name, &lines) })
}

fn table(path: &Path, name: &str) -> Result<Curve, Failure> {
    let text = sphc::read_text(path)?;
    reference::parse(name, &text).map_err(|it| {
        let remedy = "a table needs a first line `iteration,test_accuracy` and accuracies from 0 to 1";
        Failure::new(format!("cannot read `{}`: {it}", path.display()), remedy)
    })
}

/// A data set by its own name.
fn short(data: &str) -> String {
    Path::new(data).file_name().map_or_else(|| data.to_owned(), |it| it.to_string_lossy().into_owned())
}

fn lines_of(run: &Path) -> Result<Vec<Line>, Failure> {
    let path = run.join("metrics.jsonl");
    let fail = |cause: String| Failure::new(format!("cannot read `{}`: {cause}", path.display()), REMEDY);
    let lines = metrics::read(&path).map_err(|it| fail(it.to_string()))?;
    // A last line that a stopped run has cut does not matter; a first one that is not a line says that the file is another.
    if lines.is_empty() && std::fs::metadata(&path).is_ok_and(|it| it.len() != 0) {
        return Err(fail("its first line is not a line of metrics".into()));
    }
    Ok(lines)
}
