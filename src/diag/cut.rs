//! Very long lines of a source, cut around what is said of them.

use codespan_reporting::files::{Error, Files};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Lines of so many characters are shown whole.
const WHOLE: usize = 160;

/// So much is shown before and after a label.
const AROUND: usize = 40;

/// So much of a label itself.
const LABEL: usize = 80;

/// What stands for what is left out.
const GAP: &str = "...";

/// The sources of a report.
pub(super) struct Shown<'s> {
    files: Vec<File<'s>>,
    /// Files of which a line is cut for the report that is shown.
    cuts: BTreeMap<usize, Cut>,
}

struct File<'s> {
    name: Cow<'s, str>,
    text: Cow<'s, str>,
    /// Where its lines start.
    lines: Vec<usize>,
}

/// A text that is shown in place of another.
struct Cut {
    text: String,
    lines: Vec<usize>,
    /// What is kept of the other one, and where it starts in this one.
    kept: Vec<(Range<usize>, usize)>,
}

fn starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|it| it.0 + 1)).collect()
}

impl<'s> Shown<'s> {
    pub(super) fn new() -> Self {
        Self { files: Vec::new(), cuts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, name: Cow<'s, str>, text: Cow<'s, str>) {
        let lines = starts(&text);
        self.files.push(File { name, text, lines });
    }

    /// Cuts the lines of these labels where they are long; the places of the labels in what is shown.
    pub(super) fn cut(&mut self, labels: &[(usize, Range<usize>)]) -> Vec<Range<usize>> {
        self.cuts.clear();
        let mut of_file: BTreeMap<usize, Vec<&Range<usize>>> = BTreeMap::new();
        for (file, range) in labels {
            of_file.entry(*file).or_default().push(range);
        }
        for (at, ranges) in of_file {
            self.cuts.extend(Cut::of(&self.files[at], &ranges).map(|it| (at, it)));
        }
        let place = |(file, range): &(usize, Range<usize>)| match self.cuts.get(file) {
            Some(cut) => cut.place(range.start)..cut.place(range.end),
            None => range.clone(),
        };
        labels.iter().map(place).collect()
    }

    fn lines(&self, id: usize) -> Result<(&str, &[usize]), Error> {
        let file = self.files.get(id).ok_or(Error::FileMissing)?;
        Ok(self.cuts.get(&id).map_or((&file.text, &file.lines), |it| (&it.text, &it.lines)))
    }
}

impl Cut {
    /// `None` where no line with a label is long.
    fn of(file: &File<'_>, labels: &[&Range<usize>]) -> Option<Self> {
        let mut windows: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
        for label in labels {
            let line = file.lines.partition_point(|it| *it <= label.start) - 1;
            let start = file.lines[line];
            let end = file.text[start..].find('\n').map_or(file.text.len(), |it| start + it);
            if file.text[start..end].chars().nth(WHOLE).is_none() {
                continue;
            }
            let back = |at: usize, by: usize| {
                file.text[start..at].char_indices().rev().nth(by - 1).map_or(start, |it| start + it.0)
            };
            let on = |at: usize, by: usize| file.text[at..end].char_indices().nth(by).map_or(end, |it| at + it.0);
            let label = label.start.min(end)..label.end.min(end);
            windows
                .entry(line)
                .or_default()
                .push(back(label.start, AROUND)..on(label.end.min(on(label.start, LABEL)), AROUND));
        }
        if windows.is_empty() {
            return None;
        }
        let mut cut = Self { text: String::new(), lines: Vec::new(), kept: Vec::new() };
        let mut from = 0;
        for (line, mut windows) in windows {
            let start = file.lines[line];
            let end = file.text[start..].find('\n').map_or(file.text.len(), |it| start + it);
            windows.sort_by_key(|it| it.start);
            cut.keep(file, from..start);
            let mut done = start;
            for window in windows {
                // A gap that is no longer than what stands for it is none.
                let near = window.start <= done + GAP.len();
                if !near {
                    cut.text.push_str(GAP);
                }
                let next = if near { done } else { window.start }..window.end.max(done);
                done = next.end;
                cut.keep(file, next);
            }
            if done + GAP.len() < end {
                cut.text.push_str(GAP);
                done = end;
            }
            from = done;
        }
        cut.keep(file, from..file.text.len());
        cut.lines = starts(&cut.text);
        Some(cut)
    }

    fn keep(&mut self, file: &File<'_>, range: Range<usize>) {
        let at = self.text.len();
        self.text.push_str(&file.text[range.clone()]);
        self.kept.push((range, at));
    }

    /// Where a place of the other text is in this one: behind what is kept before it, if it is left out itself.
    fn place(&self, at: usize) -> usize {
        let last = self.kept.partition_point(|it| it.0.start <= at).saturating_sub(1);
        self.kept.get(last).map_or(at, |(range, start)| start + at.min(range.end).saturating_sub(range.start))
    }

    /// Where a place of this text is in the other one.
    fn original(&self, at: usize) -> usize {
        let last = self.kept.partition_point(|it| it.1 <= at).saturating_sub(1);
        self.kept.get(last).map_or(at, |(range, start)| (range.start + (at - start)).min(range.end))
    }
}

impl<'a> Files<'a> for Shown<'_> {
    type FileId = usize;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: usize) -> Result<&'a str, Error> {
        self.files.get(id).map(|it| it.name.as_ref()).ok_or(Error::FileMissing)
    }

    fn source(&'a self, id: usize) -> Result<&'a str, Error> {
        Ok(self.lines(id)?.0)
    }

    fn line_index(&'a self, id: usize, at: usize) -> Result<usize, Error> {
        Ok(self.lines(id)?.1.partition_point(|it| *it <= at).saturating_sub(1))
    }

    /// That of the whole line.
    fn column_number(&'a self, id: usize, line: usize, at: usize) -> Result<usize, Error> {
        let file = self.files.get(id).ok_or(Error::FileMissing)?;
        let at = self.cuts.get(&id).map_or(at, |it| it.original(at)).min(file.text.len());
        let start = *file.lines.get(line).ok_or(Error::LineTooLarge { given: line, max: file.lines.len() })?;
        Ok(file.text.get(start..at).map_or(1, |it| it.chars().count() + 1))
    }

    fn line_range(&'a self, id: usize, line: usize) -> Result<Range<usize>, Error> {
        let (text, lines) = self.lines(id)?;
        let start = *lines.get(line).ok_or(Error::LineTooLarge { given: line, max: lines.len() })?;
        Ok(start..lines.get(line + 1).copied().unwrap_or(text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that is shown, and what of it is said something of.
    fn shown(text: &str, labels: &[Range<usize>]) -> (String, Vec<String>) {
        let mut files = Shown::new();
        files.add("a".into(), text.into());
        let labels: Vec<(usize, Range<usize>)> = labels.iter().map(|it| (0, it.clone())).collect();
        let places = files.cut(&labels);
        let source = files.source(0).unwrap();
        (source.to_owned(), places.into_iter().map(|it| source[it].to_owned()).collect())
    }

    #[test]
    fn a_long_line_is_cut_around_its_labels() {
        let text = format!("first\n{}here{}there{}\nlast\n", "é".repeat(300), "-".repeat(400), "+".repeat(200));
        let (here, there) = (text.find("here").unwrap(), text.find("there").unwrap());
        let (line, said) = shown(&text, &[there..there + 5, here..here + 4]);
        let (few, dashes, signs) = ("é".repeat(40), "-".repeat(40), "+".repeat(40));
        assert_eq!(line, format!("first\n...{few}here{dashes}...{dashes}there{signs}...\nlast\n"));
        assert_eq!(said, ["there", "here"]);
        let mut files = Shown::new();
        files.add("a".into(), text.as_str().into());
        let place = files.cut(&[(0, there..there + 5)])[0].start;
        let line = files.line_index(0, place).unwrap();
        assert_eq!((line, files.column_number(0, line, place).unwrap()), (1, 300 + 4 + 400 + 1));
    }

    #[test]
    fn of_a_long_label_the_beginning_is_shown_and_that_it_goes_on() {
        let text = format!("x = {}\n", "a".repeat(500));
        let (line, said) = shown(&text, std::slice::from_ref(&(4..504)));
        assert_eq!(line, format!("x = {}...\n", "a".repeat(120)));
        assert_eq!(said, [format!("{}...", "a".repeat(120))]);
    }

    #[test]
    fn lines_that_are_not_long_are_whole() {
        let text = format!("{}\n{}\n", "a".repeat(160), "b".repeat(1000));
        assert_eq!(shown(&text, std::slice::from_ref(&(3..5))).0, text);
    }
}
