//! Which files hold the arrays of each part of a data set: one `.npz` file for all, or several for each.
//!
//! In a folder of several the names tell: those for training begin with `train`, and so for `test` and `val`; a manifest can say
//! which they are. The files of a part follow each other in the order of their names, numbers in them by their values, and what
//! comes of them is what one file with all of it would give.

use super::DataError;
use super::error::{few, shown};
use super::manifest::Manifest;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The parts of a data set by the words that their files and arrays begin with, and what they are called in messages.
pub(super) const PARTS: [[&str; 2]; 3] = [["train", "training"], ["test", "test"], ["val", "validation"]];

/// Where the arrays are.
#[derive(Debug, PartialEq)]
pub(super) enum Layout {
    /// All in one file.
    One(PathBuf),
    /// In files for training, for tests and for validation, which may be none.
    Many([Vec<PathBuf>; 3]),
}

/// What was found in a place.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) layout: Layout,
    /// What to say of files that nothing reads, and of some that seem to be missing.
    pub(super) warnings: Vec<String>,
}

/// Whether a place holds arrays to train on.
pub(super) fn is_layout(place: &Path, manifest: Option<&Manifest>) -> bool {
    let named = manifest.is_some_and(|it| !it.train.is_empty());
    let holds = |all: Vec<PathBuf>| match all.len() {
        0 => false,
        1 => true,
        _ => named || all.iter().any(|it| part_of(it) == Some(0)),
    };
    place.is_file() || archives(place).is_ok_and(holds)
}

/// The `.npz` files of a folder, in order.
fn archives(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let fail = |cause| DataError::Read { path: folder.into(), cause };
    let mut res = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|it| it == "npz") {
            res.push(path);
        }
    }
    res.sort_by(by_name);
    Ok(res)
}

/// The part that a file belongs to, by its name: `train.npz`, `train-0003.npz`, but not `trained.npz`.
fn part_of(path: &Path) -> Option<usize> {
    let name = path.file_stem()?.to_str()?;
    PARTS.iter().position(|[word, _]| {
        name.strip_prefix(word).is_some_and(|rest| rest.chars().next().is_none_or(|it| !it.is_alphabetic()))
    })
}

/// The files of a data set.
pub(super) fn find(place: &Path, manifest: &Manifest) -> Result<Found, DataError> {
    let missing = |cause: String| {
        DataError::Missing {
        name: manifest.name.clone(),
        cause,
        remedy: "several files are `train*.npz`, `test*.npz` and if wanted `val*.npz`, or as `train`, `test` and `val` of a \
                 manifest say"
            .into(),
    }
    };
    if place.is_file() {
        return Ok(Found { layout: Layout::One(place.into()), warnings: Vec::new() });
    }
    let all = archives(place)?;
    let patterns = [&manifest.train, &manifest.test, &manifest.val];
    let mut parts: [Vec<PathBuf>; 3] = Default::default();
    if patterns.iter().any(|it| !it.is_empty()) {
        for (part, patterns) in parts.iter_mut().zip(patterns) {
            for pattern in patterns {
                let found = all.iter().filter(|it| is_like(it, pattern));
                let found: Vec<PathBuf> = found.filter(|it| !part.contains(it)).cloned().collect();
                if found.is_empty() {
                    let cause = format!("`{}` has no file `{pattern}`, which the manifest names", shown(place));
                    return Err(missing(cause));
                }
                part.extend(found);
            }
        }
    } else if let [one] = &all[..] {
        return Ok(Found { layout: Layout::One(one.clone()), warnings: Vec::new() });
    } else {
        for path in &all {
            if let Some(at) = part_of(path) {
                parts[at].push(path.clone());
            }
        }
    }
    let count = |path: &PathBuf| parts.iter().filter(|it| it.contains(path)).count();
    if let Some(twice) = all.iter().find(|it| 1 < count(it)) {
        let cause = format!("`{}` is of two parts, as the manifest says", shown(twice));
        return Err(DataError::Unfit { path: place.into(), cause, remedy: "name each file for one part".into() });
    }
    for (part, [word, said]) in parts.iter().zip(PARTS).take(2) {
        let needed = word == "train" || manifest.split.is_none();
        if part.is_empty() && needed {
            let cause = match all.len() {
                0 => format!("`{}` has no .npz file", shown(place)),
                _ => format!("`{}` has no .npz file for {said}: none is called `{word}*.npz`", shown(place)),
            };
            return Err(missing(cause));
        }
    }
    let mut warnings = Vec::new();
    let unread: Vec<String> = all.iter().filter(|it| count(it) == 0).map(|it| name(it)).collect();
    if !unread.is_empty() {
        warnings.push(format!("not read, as they belong to no part: {}", few(&unread)));
    }
    for part in &parts {
        gaps(place, part)?.into_iter().for_each(|it| warnings.push(it));
    }
    Ok(Found { layout: Layout::Many(parts), warnings })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a file's name is a pattern's, in which a star stands for any signs.
fn is_like(path: &Path, pattern: &str) -> bool {
    let name = name(path);
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => {
            before.len() + after.len() <= name.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

/// Text and numbers of a name by turns: `train-00010-of-00012` is `train-`, 10, `-of-`, 12.
fn pieces(name: &str) -> Vec<(String, u64)> {
    let mut res: Vec<(String, u64)> = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        let (before, from) = rest.split_at(text);
        let digits = from.find(|it: char| !it.is_ascii_digit()).unwrap_or(from.len());
        res.push((before.to_owned(), from[..digits].parse().unwrap_or(u64::MAX)));
        rest = &from[digits..];
    }
    res
}

fn by_name(a: &PathBuf, b: &PathBuf) -> Ordering {
    pieces(&name(a)).cmp(&pieces(&name(b))).then_with(|| a.cmp(b))
}

/// What is missing among the files of a part: by the count that `-00003-of-00010` tells, which is an error, or below the largest
/// number.
fn gaps(place: &Path, part: &[PathBuf]) -> Result<Option<String>, DataError> {
    let all: Vec<Vec<(String, u64)>> = part.iter().map(|it| pieces(&name(it))).collect();
    let Some(first) = all.first().filter(|it| 1 < it.len()) else { return Ok(None) };
    let texts = |it: &[(String, u64)]| it.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    let counted = first.get(1).is_some_and(|it| it.0.trim_matches(['-', '_', '.']) == "of");
    let same = |it: &&Vec<(String, u64)>| texts(it) == texts(first) && (!counted || it[1].1 == first[1].1);
    if all.iter().filter(same).count() != all.len() {
        let alike = |it: &&Vec<(String, u64)>| texts(it) == texts(first);
        if let (true, Some(other)) = (counted, all.iter().filter(alike).find(|it| it[1].1 != first[1].1)) {
            let files = [name(&part[0]), name(&part[all.iter().position(|it| it == other).unwrap_or(0)])];
            return Err(DataError::Unfit {
                path: place.into(),
                cause: format!("its files are of two sets, as their counts tell: {}", few(&files)),
                remedy: "leave the files of one there, or name those that are meant in a manifest".into(),
            });
        }
        return Ok(None);
    }
    let numbers: BTreeSet<u64> = all.iter().map(|it| it[0].1).collect();
    let there = |at: u64| numbers.contains(&at);
    if counted {
        let count = first[1].1;
        let from = u64::from(!there(0));
        let lost: Vec<String> = (from..from.saturating_add(count).min(from + 100_000))
            .filter(|it| !there(*it))
            .map(|it| it.to_string())
            .collect();
        if lost.is_empty() {
            return Ok(None);
        }
        return Err(DataError::Unfit {
            path: place.into(),
            cause: format!("of {count} files like `{}` some are missing: {}", name(&part[0]), few(&lost)),
            remedy: "copy the missing files there; a part of a data set is named by a manifest".into(),
        });
    }
    let numbers = all.iter().map(|it| it[0].1);
    let (least, most) = (numbers.clone().min().unwrap_or(0), numbers.max().unwrap_or(0));
    let lost: Vec<String> =
        (least..most.min(least.saturating_add(100_000))).filter(|it| !there(*it)).map(|it| it.to_string()).collect();
    Ok((!lost.is_empty())
        .then(|| format!("between the files like `{}` numbers are missing: {}", name(&part[0]), few(&lost))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Format;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let res = tempfile::tempdir().unwrap();
        names.iter().for_each(|it| fs::write(res.path().join(it), "").unwrap());
        res
    }

    fn bare() -> Manifest {
        Manifest::bare("big".into(), Format::Npz)
    }

    fn names(found: &Found) -> Vec<Vec<String>> {
        match &found.layout {
            Layout::One(it) => vec![vec![name(it)]],
            Layout::Many(parts) => parts.iter().map(|it| it.iter().map(|it| name(it)).collect()).collect(),
        }
    }

    #[test]
    fn files_go_by_their_names_and_numbers() {
        let dir =
            folder(&["train-10.npz", "train-9.npz", "train-11.npz", "test.npz", "val_1.npz", "trained.npz", "x.txt"]);
        assert!(is_layout(dir.path(), None));
        let found = find(dir.path(), &bare()).unwrap();
        assert_eq!(
            names(&found),
            [vec!["train-9.npz", "train-10.npz", "train-11.npz"], vec!["test.npz"], vec!["val_1.npz"]]
        );
        assert_eq!(found.warnings, ["not read, as they belong to no part: `trained.npz`"]);
        let one = folder(&["anything.npz"]);
        assert_eq!(names(&find(one.path(), &bare()).unwrap()), [["anything.npz"]]);
        let unnamed = folder(&["a.npz", "b.npz"]);
        assert!(
            !is_layout(unnamed.path(), None)
                && is_layout(unnamed.path(), Some(&Manifest { train: vec!["a.npz".into()], ..bare() }))
        );
    }

    #[test]
    fn a_manifest_says_which_they_are() {
        let dir = folder(&["a-1.npz", "a-2.npz", "b.npz", "c.npz"]);
        let of = |train: &[&str], test: &[&str]| {
            let all = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
            find(dir.path(), &Manifest { train: all(train), test: all(test), ..bare() })
        };
        let found = of(&["b.npz", "a-*.npz"], &["c.npz"]).unwrap();
        assert_eq!(names(&found), [vec!["b.npz", "a-1.npz", "a-2.npz"], vec!["c.npz"], vec![]]);
        let said = |train: &[&str], test: &[&str]| of(train, test).unwrap_err().to_string();
        assert!(said(&["a-*.npz", "d*.npz"], &["c.npz"]).contains("no file `d*.npz`"));
        assert!(said(&["*.npz"], &["c.npz"]).contains("is of two parts"));
        assert!(said(&["a-*.npz"], &[]).contains("no .npz file for test"));
    }

    #[test]
    fn files_that_are_missing_are_told() {
        let dir = folder(&["train-1.npz", "train-2.npz", "train-5.npz", "test-1.npz"]);
        let found = find(dir.path(), &bare()).unwrap();
        assert_eq!(found.warnings, ["between the files like `train-1.npz` numbers are missing: `3`, `4`"]);
        let dir = folder(&["train-00000-of-00003.npz", "train-00002-of-00003.npz", "test.npz"]);
        let said = find(dir.path(), &bare()).unwrap_err().to_string();
        assert!(said.contains("of 3 files like `train-00000-of-00003.npz` some are missing: `1`"), "{said}");
        let dir = folder(&["train-00000-of-00002.npz", "train-00001-of-00003.npz", "test.npz"]);
        let said = find(dir.path(), &bare()).unwrap_err().to_string();
        assert!(said.contains("of two sets") && said.contains("`train-00001-of-00003.npz`"), "{said}");
        let dir = folder(&["train-1-of-2.npz", "train-2-of-2.npz", "test-0-of-1.npz"]);
        assert!(find(dir.path(), &bare()).unwrap().warnings.is_empty());
        assert!(
            find(folder(&["train.npz", "train2.npz"]).path(), &bare()).unwrap_err().to_string().contains("for test")
        );
    }
}
