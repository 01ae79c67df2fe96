//! Pictures with a table of what they are to be answered with: `train.csv`, `test.csv` and if wanted `val.csv`, whose first column
//! is the file of a picture and whose others are targets. Whatever is wrong with a line is told with its number.

use super::bound::{Room, open};
use super::columns::{self, Cells, Found};
use super::error::{count, few, plain, shown};
use super::folder::pictures;
use super::gallery::{Gallery, below};
use super::manifest::Manifest;
use super::shards::PARTS;
use super::{DataError, Dataset, Reading, Split, parted_by};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest table that is read.
const MOST_BYTES: u64 = 1 << 30;

/// Endings that the name of a picture may lack in a table.
const ENDINGS: [&str; 4] = ["", ".png", ".jpg", ".jpeg"];

/// Signs that part the cells of a line.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether `directory` has a table of pictures to train on.
pub(super) fn is_layout(directory: &Path, manifest: Option<&Manifest>) -> bool {
    match manifest.and_then(|it| it.train.first()) {
        Some(name) => directory.join(name).is_file(),
        None => directory.join("train.csv").is_file(),
    }
}

/// A table, line by line.
pub(super) struct Table {
    pub(super) path: PathBuf,
    /// Names of the columns of targets.
    pub(super) columns: Vec<String>,
    /// Of each line: its number, the picture, and the cells of the targets.
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) line: u64,
    pub(super) picture: PathBuf,
    pub(super) cells: Vec<String>,
}

/// What is wrong with lines of a table: all of it, each with its number.
pub(super) struct Lines(Vec<String>);

impl Lines {
    pub(super) fn new() -> Lines {
        Lines(Vec::new())
    }

    pub(super) fn add(&mut self, line: u64, what: impl std::fmt::Display) {
        self.0.push(format!("line {line} {what}"));
    }

    pub(super) fn end(self, path: &Path, remedy: &str) -> Result<(), DataError> {
        const SHOWN: usize = 5;
        if self.0.is_empty() {
            return Ok(());
        }
        let more = self.0.len().saturating_sub(SHOWN);
        let mut cause = self.0.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ");
        if 0 < more {
            cause += &format!("; and {more} more lines");
        }
        Err(DataError::Unfit { path: path.into(), cause, remedy: remedy.into() })
    }
}

/// The tables of the parts, and what to say of them.
type Tables = ([Option<Table>; 3], Vec<String>);

/// Reads the tables of all parts, and finds their pictures.
fn tables(directory: &Path, manifest: &Manifest) -> Result<Tables, DataError> {
    let mut warnings = Vec::new();
    let mut tables: [Option<Table>; 3] = Default::default();
    let named = [&manifest.train, &manifest.test, &manifest.val];
    for (at, [word, _]) in PARTS.iter().enumerate() {
        let path = named[at].first().map_or_else(|| directory.join(format!("{word}.csv")), |it| directory.join(it));
        let needed = *word == "train" || *word == "test" && manifest.split.is_none();
        if !path.is_file() {
            if needed || !named[at].is_empty() {
                return Err(DataError::Missing {
                    name: manifest.name.clone(),
                    cause: format!("there is no `{}`", shown(&path)),
                    remedy: "a table for each part is `train.csv`, `test.csv` and if wanted `val.csv`; of one alone a manifest \
                             keeps a share for tests: `format: csv` and `split: 0.2`"
                        .into(),
                });
            }
            continue;
        }
        if *word == "test" && manifest.split.is_some() {
            if !named[at].is_empty() {
                let cause = format!("it has `{}`, and the manifest says `split`", shown(&path));
                let remedy = "leave `split` or `test` out of the manifest".into();
                return Err(DataError::Unfit { path: directory.into(), cause, remedy });
            }
            warnings.push(format!("not read, as the manifest says `split`: `{}`", below(directory, &path)));
            continue;
        }
        tables[at] = Some(table(directory, word, &path, manifest, &mut warnings)?);
    }
    let all: Vec<&Table> = tables.iter().flatten().collect();
    same_columns(&all)?;
    warnings.extend(twice(directory, &all));
    warnings.extend(unnamed(directory, &all)?);
    Ok((tables, warnings))
}

fn answers(tables: &[Option<Table>; 3], manifest: &Manifest, room: &mut Room) -> Result<Found, DataError> {
    let cells: Vec<Cells<'_>> = tables.iter().flatten().map(Cells::of).collect();
    columns::targets(&cells, manifest, room)
}

/// Names of the classes, without a look at the pictures.
pub(super) fn class_names(directory: &Path, manifest: &Manifest) -> Result<Vec<String>, DataError> {
    Ok(answers(&tables(directory, manifest)?.0, manifest, &mut Room::here(None))?.classes)
}

/// Reads all parts.
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    reading: &Reading<'_>,
    room: &mut Room,
) -> Result<Dataset, DataError> {
    let (tables, mut warnings) = tables(directory, manifest)?;
    let found = answers(&tables, manifest, room)?;
    let mut gallery = Gallery::new(directory, reading);
    let mut splits: [Option<Split>; 3] = Default::default();
    let mut targets = found.parts.into_iter();
    for (split, table) in splits.iter_mut().zip(&tables) {
        let Some(table) = table else { continue };
        let files: Vec<&Path> = table.rows.iter().map(|it| &*it.picture).collect();
        let images = gallery.read(&files, room)?;
        *split = Some(Split { images, targets: targets.next().unwrap_or_default() });
    }
    let Some((image, dtype)) = gallery.form() else {
        return Err(DataError::Empty { path: directory.into() });
    };
    warnings.extend(gallery.remarks());
    let [train, test, validation] = splits;
    let data = Dataset {
        name: manifest.name.clone(),
        image,
        dtype,
        double: false,
        target: found.kind,
        classes: found.classes,
        train: train.unwrap_or_default(),
        test: test.unwrap_or_default(),
        validation,
        range: None,
        warnings,
    };
    match manifest.split {
        Some(share) => parted_by(data, share, manifest.split_seed.unwrap_or(0), "split", false),
        None => Ok(data),
    }
}

/// The text of a table, without the sign that some programs put before it.
fn text(path: &Path) -> Result<Vec<u8>, DataError> {
    let (file, length) = open(path)?;
    if MOST_BYTES < length {
        let cause = format!("it has {length} bytes, too many for a table");
        return Err(DataError::Malformed { path: path.into(), cause });
    }
    let mut res = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut res).map_err(|cause| DataError::Read { path: path.into(), cause })?;
    if res.starts_with(b"\xef\xbb\xbf") {
        res.drain(..3);
    }
    Ok(res)
}

/// The sign that parts most cells of the first line.
fn delimiter(text: &[u8]) -> u8 {
    let first = text.split(|it| *it == b'\n').next().unwrap_or_default();
    let count = |sign: u8| first.iter().filter(|it| **it == sign).count();
    DELIMITERS.into_iter().rev().max_by_key(|it| count(*it)).unwrap_or(b',')
}

/// The line of a quote that is never closed: it would take all that follows for one cell.
fn open_quote(text: &[u8], delimiter: u8) -> Option<u64> {
    let (mut line, mut opened) = (1, None);
    let mut begins = true;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        line += u64::from(byte == b'\n');
        match (opened, byte) {
            (Some(_), b'"') if bytes.peek() == Some(&b'"') => _ = bytes.next(),
            (Some(_), b'"') => opened = None,
            (Some(_), _) => {}
            (None, b'"') if begins => opened = Some(line),
            (None, _) => {}
        }
        begins = opened.is_none() && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    opened
}

/// Reads the table of a part.
fn table(
    directory: &Path,
    word: &str,
    path: &Path,
    manifest: &Manifest,
    warnings: &mut Vec<String>,
) -> Result<Table, DataError> {
    let text = text(path)?;
    let unfit = |cause: String, remedy: &str| DataError::Unfit { path: path.into(), cause, remedy: remedy.into() };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(&text))
        .from_reader(&text[..]);
    if let Some(line) = open_quote(&text, delimiter(&text)) {
        return Err(unfit(
            format!("line {line} opens a quote that is never closed"),
            "close it; a quote inside of quotes is written twice",
        ));
    }
    let mut lines = Lines::new();
    let mut records: Vec<(u64, Vec<String>)> = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(|it| {
            let line = it.position().map_or(0, csv::Position::line);
            unfit(format!("line {line} cannot be read"), "write it as a table whose cells are parted by commas")
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Result<Vec<String>, _> = record.iter().map(|it| String::from_utf8(it.to_vec())).collect();
        match cells {
            Ok(cells) => records.push((line, cells)),
            Err(_) => lines.add(line, "is no text in UTF-8"),
        }
    }
    lines.end(path, "save the table in UTF-8")?;
    let finder = Finder { bases: bases(directory, word, manifest) };
    let Some((_, first)) = records.first().cloned() else { return Err(DataError::Empty { path: path.into() }) };
    // A table may begin with its first picture.
    let bare = first.first().is_some_and(|it| finder.find(it).is_some());
    let header: Vec<String> = match bare {
        true => (0..first.len()).map(|it| it.to_string()).collect(),
        false => first.clone(),
    };
    if bare {
        warnings.push(format!(
            "the first line of `{}` names a picture: its columns have no names, and are counted",
            below(directory, path)
        ));
    }
    let mut places = BTreeMap::new();
    if let Some(name) = header.iter().zip(0..).find(|(name, at)| places.insert(*name, *at).is_some()).map(|it| it.0) {
        return Err(unfit(format!("two of its columns are called `{}`", plain(name)), "give each a name of its own"));
    }
    let place = |name: &String| {
        places.get(name).copied().ok_or_else(|| {
            unfit(
                format!("it has no column `{}`, but {}", plain(name), few(&header)),
                "name columns in the manifest as the first line of the table does",
            )
        })
    };
    let file = manifest.file.as_ref().map_or(Ok(0), place)?;
    let wanted: Vec<usize> = match manifest.columns.is_empty() {
        true => (0..header.len()).filter(|it| *it != file).collect(),
        false => manifest.columns.iter().map(place).collect::<Result<_, _>>()?,
    };
    let mut once = BTreeSet::new();
    if let Some(twice) = wanted.iter().find(|it| !once.insert(**it)) {
        let cause = format!("the manifest names its column `{}` twice", plain(&header[*twice]));
        return Err(unfit(cause, "name each column once"));
    }
    if wanted.is_empty() {
        let cause =
            format!("it has one column, `{}`, and no target beside the files of pictures", plain(&header[file]));
        return Err(unfit(cause, "add a column of labels; what has none is for `sphc predict`"));
    }
    let mut rows = Vec::new();
    let mut lines = Lines::new();
    for (line, cells) in records.into_iter().skip(usize::from(!bare)) {
        if cells.len() != header.len() {
            lines.add(line, format!("has {}, the first has {}", count(cells.len(), "cell"), header.len()));
            continue;
        }
        let Some(picture) = finder.find(&cells[file]) else {
            lines.add(line, finder.missing(directory, &cells[file]));
            continue;
        };
        if let Some(at) = wanted.iter().find(|it| cells[**it].is_empty()) {
            lines.add(line, format!("has nothing in the column `{}`", plain(&header[*at])));
            continue;
        }
        rows.push(Row { line, picture, cells: wanted.iter().map(|it| cells[*it].clone()).collect() });
    }
    lines.end(
        path,
        "each line names a picture, a PNG or JPEG file as seen from the table, from `images` or from the folder of the part, and \
         all of its targets",
    )?;
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(Table { path: path.into(), columns: wanted.iter().map(|it| header[*it].clone()).collect(), rows })
}

/// Folders in which the pictures of a part may lie.
fn bases(directory: &Path, word: &str, manifest: &Manifest) -> Vec<PathBuf> {
    match &manifest.images {
        Some(it) => vec![directory.join(it)],
        None => vec![
            directory.to_path_buf(),
            directory.join(word),
            directory.join("images"),
            directory.join(format!("{word}_images")),
        ],
    }
}

/// Finds pictures by what a table calls them.
struct Finder {
    bases: Vec<PathBuf>,
}

impl Finder {
    fn find(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() {
            return None;
        }
        let of = |base: &PathBuf| ENDINGS.iter().map(|it| base.join(format!("{name}{it}"))).find(|it| it.is_file());
        self.bases.iter().find_map(of)
    }

    fn missing(&self, directory: &Path, name: &str) -> String {
        match (name, &self.bases[..]) {
            ("", _) => "names no picture".to_owned(),
            (name, [one]) => {
                format!("names the picture `{}`, which is not in `{}`", plain(name), below(directory, one))
            }
            (name, _) => format!("names the picture `{}`, which is not there", plain(name)),
        }
    }
}

/// That all tables have the same targets.
fn same_columns(all: &[&Table]) -> Result<(), DataError> {
    let Some(first) = all.first() else { return Ok(()) };
    let Some(other) = all.iter().find(|it| it.columns != first.columns) else { return Ok(()) };
    let cause = format!(
        "its targets are the columns {}, those of `{}` {}",
        few(&other.columns),
        shown(&first.path),
        few(&first.columns)
    );
    let remedy =
        "give both tables the same columns, or name those that are targets in a manifest (`columns`); where the \
                  answers of a test are not told, `split: 0.2` keeps some of the training"
            .into();
    Err(DataError::Unfit { path: other.path.clone(), cause, remedy })
}

/// What to say of pictures that are named more than once.
fn twice(directory: &Path, all: &[&Table]) -> Vec<String> {
    let mut seen: BTreeMap<&Path, (usize, usize)> = BTreeMap::new();
    let (mut within, mut between) = (BTreeSet::new(), BTreeSet::new());
    for (at, table) in all.iter().enumerate() {
        for row in &table.rows {
            match seen.get(&*row.picture) {
                Some((part, _)) if *part == at => _ = within.insert(below(directory, &row.picture)),
                Some(_) => _ = between.insert(below(directory, &row.picture)),
                None => _ = seen.insert(&row.picture, (at, 0)),
            }
        }
    }
    let mut res = Vec::new();
    let mut say = |names: BTreeSet<String>, what: &str| {
        let names: Vec<String> = names.into_iter().collect();
        if !names.is_empty() {
            res.push(format!("{} {what}: {}", count(names.len(), "picture"), few(&names)));
        }
    };
    say(within, "named by several lines of a table");
    say(between, "of two parts, so that what is tested was learned");
    res
}

/// What to say of pictures beside those that are named.
fn unnamed(directory: &Path, all: &[&Table]) -> Result<Option<String>, DataError> {
    let named: BTreeSet<&Path> = all.iter().flat_map(|it| &it.rows).map(|it| &*it.picture).collect();
    let folders: BTreeSet<&Path> = named.iter().filter_map(|it| it.parent()).collect();
    let mut left = Vec::new();
    for folder in folders {
        let there = pictures(folder)?.0;
        left.extend(there.iter().filter(|it| !named.contains(&***it)).map(|it| below(directory, it)));
    }
    Ok((!left.is_empty()).then(|| {
        let are = if left.len() == 1 { "is" } else { "are" };
        format!("{} {are} named by no line, and not read: {}", count(left.len(), "picture"), few(&left))
    }))
}
