//! What the columns of a table of pictures are: a class, 0 or 1 for each of several, or numbers. What stands in their cells tells,
//! and a manifest where that could mean two things.

use super::bound::Room;
use super::error::{few, plain};
use super::manifest::{Answer, Manifest};
use super::table::{Lines, Table};
use super::{DataError, Targets};
use crate::ir::TargetKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Larger numbers are no classes, unless a manifest names so many.
const MOST_CLASSES: usize = 10_000;

/// The cells of a part's targets.
pub(super) struct Cells<'a> {
    path: &'a Path,
    columns: &'a [String],
    rows: Vec<(u64, &'a [String])>,
}

impl<'a> Cells<'a> {
    pub(super) fn of(table: &'a Table) -> Cells<'a> {
        let rows = table.rows.iter().map(|it| (it.line, &it.cells[..])).collect();
        Cells { path: &table.path, columns: &table.columns, rows }
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) kind: TargetKind,
    pub(super) classes: Vec<String>,
    /// Those of each part.
    pub(super) parts: Vec<Targets>,
}

/// The number of a cell; `true` and `false` are those of NumPy and Pandas.
fn number(cell: &str) -> Option<f64> {
    match cell.to_ascii_lowercase().as_str() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => cell.parse().ok().filter(|it: &f64| it.is_finite()),
    }
}

/// Whether a cell is a number but for commas in it, as those of `0,5` and `1,200`.
fn has_comma(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell).split([',', '.']);
    cell.contains(',') && digits.clone().all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

/// Reads the targets of all parts.
pub(super) fn targets(parts: &[Cells<'_>], manifest: &Manifest, room: &mut Room) -> Result<Found, DataError> {
    let Some(first) = parts.first() else {
        return Ok(Found { kind: TargetKind::Class, classes: Vec::new(), parts: Vec::new() });
    };
    let columns = first.columns;
    let cells = || parts.iter().flat_map(|it| it.rows.iter().map(|it| it.1));
    let all = |fits: &dyn Fn(f64) -> bool| cells().all(|it| it.iter().all(|it| number(it).is_some_and(fits)));
    let bits = all(&|it| it == 0.0 || it == 1.0);
    let one_hot =
        1 < columns.len() && bits && cells().all(|it| it.iter().filter(|it| number(it) == Some(1.0)).count() == 1);
    let wrong =
        |cause: String, remedy: &str| DataError::Unfit { path: first.path.into(), cause, remedy: remedy.into() };
    match (manifest.target, columns) {
        (Some(Answer::Pixels), _) => Err(wrong(
            "classes of pixels are no cells of a table".into(),
            "store masks beside the images (`format: masks`)",
        )),
        (Some(Answer::Numbers), _) => numbers(parts),
        (Some(Answer::Labels), [_]) => tags(parts, manifest, room),
        (Some(Answer::Labels), _) => labels(parts, manifest),
        (Some(Answer::Class), [_]) => classes(parts, manifest),
        (Some(Answer::Class), _) if one_hot => hot(parts, manifest),
        (Some(Answer::Class), _) => Err(wrong(
            format!("the columns {} are no class for each picture", few(columns)),
            "name the column of the class: `columns: [label]`",
        )),
        (None, [_]) if all(&|it| it.fract() == 0.0) => classes(parts, manifest),
        // What lies between whole numbers is no class.
        (None, [_]) if cells().any(|it| number(&it[0]).is_some_and(|it| it.fract() != 0.0)) => numbers(parts),
        (None, [_]) if cells().all(|it| number(&it[0]).is_some() || has_comma(&it[0])) => numbers(parts),
        (None, [_]) => classes(parts, manifest),
        (None, _) if one_hot => hot(parts, manifest),
        (None, _) if bits => labels(parts, manifest),
        (None, _) if all(&|_| true) => numbers(parts),
        (None, _) => {
            let text = |at: &usize| cells().any(|it| number(&it[*at]).is_none());
            let text: Vec<&String> = (0..columns.len()).filter(text).map(|it| &columns[it]).collect();
            Err(wrong(
                format!("of its columns {} some hold text: {}", few(columns), few(&text)),
                "name those that are targets in a manifest: `columns: [label]`",
            ))
        }
    }
}

/// That a manifest names no classes of what has none.
fn unnamed(path: &Path, manifest: &Manifest, said: &str) -> Result<(), DataError> {
    if manifest.classes.is_empty() {
        return Ok(());
    }
    let cause = format!("{said}, and the manifest names classes");
    Err(DataError::Unfit { path: path.into(), cause, remedy: "leave `classes` out of the manifest".into() })
}

/// Numbers that are to be met.
fn numbers(parts: &[Cells<'_>]) -> Result<Found, DataError> {
    let each = parts[0].columns.len();
    let mut res = Vec::new();
    for part in parts {
        let mut lines = Lines::new();
        let mut numbers = Vec::new();
        for (line, cells) in &part.rows {
            for (at, cell) in cells.iter().enumerate() {
                match number(cell) {
                    Some(it) => numbers.push(it),
                    None => lines.add(
                        *line,
                        format!("has `{}` for `{}`, no finite number", plain(cell), plain(&part.columns[at])),
                    ),
                }
            }
        }
        lines.end(part.path, "write numbers with a point, or leave the line out")?;
        res.push(Targets::Numbers { each, numbers });
    }
    Ok(Found { kind: TargetKind::Numbers(vec![each]), classes: Vec::new(), parts: res })
}

/// 0 or 1 in a column for each class.
fn labels(parts: &[Cells<'_>], manifest: &Manifest) -> Result<Found, DataError> {
    let first = &parts[0];
    if !manifest.classes.is_empty() && manifest.classes != first.columns {
        unnamed(first.path, manifest, &format!("its classes are its columns, {}", few(first.columns)))?;
    }
    let each = first.columns.len();
    let mut res = Vec::new();
    for part in parts {
        let mut lines = Lines::new();
        let mut bytes = Vec::new();
        for (line, cells) in &part.rows {
            for (at, cell) in cells.iter().enumerate() {
                match number(cell) {
                    Some(it) if it == 0.0 || it == 1.0 => bytes.push(it as u8),
                    _ => lines
                        .add(*line, format!("has `{}` for `{}`, not 0 or 1", plain(cell), plain(&part.columns[at]))),
                }
            }
        }
        lines.end(part.path, "write 0 or 1 for each class")?;
        res.push(Targets::Bytes { each, bytes });
    }
    Ok(Found { kind: TargetKind::Labels, classes: first.columns.to_vec(), parts: res })
}

/// Names of several classes in one cell.
fn tags(parts: &[Cells<'_>], manifest: &Manifest, room: &mut Room) -> Result<Found, DataError> {
    let of = |cell: &str| -> Vec<String> {
        cell.split([' ', ',', ';', '|']).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let all: BTreeSet<String> = parts[0].rows.iter().flat_map(|it| of(&it.1[0])).collect();
    let names: Vec<String> =
        if manifest.classes.is_empty() { all.into_iter().collect() } else { manifest.classes.clone() };
    let places = places(&names);
    let mut res = Vec::new();
    for part in parts {
        let mut lines = Lines::new();
        let mut bytes = Vec::new();
        // A short table in which each line has a name of its own is a large square.
        room.reserve(part.path, &mut bytes, (part.rows.len() as u64).saturating_mul(names.len() as u64))?;
        for (line, cells) in &part.rows {
            let from = bytes.len();
            bytes.resize(from + names.len(), 0u8);
            let mut unknown = None;
            for tag in of(&cells[0]) {
                match places.get(&*tag) {
                    Some(at) => bytes[from + at] = 1,
                    None => unknown = unknown.or(Some(tag)),
                }
            }
            if let Some(unknown) = unknown {
                lines.add(*line, unknown_class(&unknown, manifest));
            }
        }
        lines.end(part.path, "classes are those of the training, or of the manifest")?;
        res.push(Targets::Bytes { each: names.len(), bytes });
    }
    Ok(Found { kind: TargetKind::Labels, classes: names, parts: res })
}

/// Where each name stands.
fn places(names: &[String]) -> BTreeMap<&str, usize> {
    names.iter().zip(0..).map(|(name, at)| (name.as_str(), at)).collect()
}

fn unknown_class(name: &str, manifest: &Manifest) -> String {
    let whose =
        if manifest.classes.is_empty() { "the training has no such picture" } else { "the manifest does not name it" };
    format!("has the class `{}`: {whose}", plain(name))
}

/// The column that has a 1 is the class.
fn hot(parts: &[Cells<'_>], manifest: &Manifest) -> Result<Found, DataError> {
    let found = labels(parts, manifest)?;
    let class = |row: &[u8]| row.iter().position(|it| *it == 1).unwrap_or(0) as i64;
    let of = |it: Targets| match it {
        Targets::Bytes { each, bytes } => Targets::Classes(bytes.chunks_exact(each.max(1)).map(class).collect()),
        other => other,
    };
    Ok(Found { kind: TargetKind::Class, parts: found.parts.into_iter().map(of).collect(), ..found })
}

/// A class in one column: its number from 0, or its name.
fn classes(parts: &[Cells<'_>], manifest: &Manifest) -> Result<Found, DataError> {
    let cells = || parts.iter().flat_map(|it| it.rows.iter().map(|it| it.1[0].as_str()));
    // Written as a number may be, `3` or `3.0`.
    let counted = cells().all(|it| number(it).is_some_and(|it| it.fract() == 0.0)) && !names_them(manifest, &cells);
    let mut names = manifest.classes.clone();
    if names.is_empty() && counted {
        let most = cells().filter_map(number).fold(0.0, f64::max);
        names = (0..=most.min(MOST_CLASSES as f64) as usize).map(|it| it.to_string()).collect();
    } else if names.is_empty() {
        let all: BTreeSet<&str> = parts[0].rows.iter().map(|it| it.1[0].as_str()).collect();
        names = all.into_iter().map(str::to_owned).collect();
    }
    let places = places(&names);
    let mut res = Vec::new();
    for part in parts {
        let mut lines = Lines::new();
        let mut found = Vec::new();
        for (line, cells) in &part.rows {
            let cell = cells[0].as_str();
            let class = match (counted, number(cell)) {
                (true, Some(it)) => {
                    Some(it).filter(|it| 0.0 <= *it && *it < names.len().min(MOST_CLASSES) as f64).map(|it| it as usize)
                }
                (true, None) => None,
                (false, _) => places.get(cell).copied(),
            };
            match class {
                Some(it) => found.push(it as i64),
                None if counted => {
                    lines.add(
                        *line,
                        format!("has the class {cell}, while classes are 0 to {}", names.len().min(MOST_CLASSES) - 1),
                    );
                }
                None => lines.add(*line, unknown_class(cell, manifest)),
            }
        }
        let remedy = match counted {
            true => "count classes from 0; numbers that are none are told by a manifest (`target: numbers`)",
            false => "classes are those of the training, or of the manifest",
        };
        lines.end(part.path, remedy)?;
        res.push(Targets::Classes(found));
    }
    Ok(Found { kind: TargetKind::Class, classes: names, parts: res })
}

/// Whether a manifest's names of the classes are what stands in the cells, though they look like numbers.
fn names_them<'a, I: Iterator<Item = &'a str>>(manifest: &Manifest, cells: &dyn Fn() -> I) -> bool {
    let names = places(&manifest.classes);
    !names.is_empty() && cells().all(|it| names.contains_key(it))
}
