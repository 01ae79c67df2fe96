//! Plans as YAML.

use super::{FORMAT, Flaw, Location, Plan};
use crate::ir::{Phase, ResultKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml::Spanned;
use std::collections::BTreeMap;

/// Why a text is not a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No YAML, or not that of a plan.
    #[error("{path}:{line}:{column}: not a plan: {cause}\n  make it anew with `sphc compile`")]
    Malformed {
        /// The file.
        path: String,
        /// From 1; 0 when it is not known.
        line: u64,
        /// From 1; 0 when it is not known.
        column: u64,
        /// What the reader says.
        cause: String,
    },
    /// Written by another version.
    #[error(
        "{path}: the plan has format {found}, this version reads format {expected}\n  make it anew with `sphc compile`"
    )]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// What it says cannot be run.
    #[error("{path}:{line}: {cause}\n  make it anew with `sphc compile`")]
    Flawed {
        /// The file.
        path: String,
        /// From 1.
        line: u64,
        /// What is wrong.
        cause: String,
    },
    /// Could not be written.
    #[error("the plan cannot be written as YAML: {cause}")]
    Write {
        /// What the writer says.
        cause: String,
    },
}

/// The plan as text.
pub fn to_yaml(plan: &Plan) -> Result<String, PlanError> {
    let text = serde_yaml::to_string(plan).map_err(|it| PlanError::Write { cause: it.to_string() })?;
    Ok(with_short_lists(&text))
}

/// Lists of plain words under a key go on the key's line: `shape: [3, 3, 16, 16]`.
fn with_short_lists(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut res = String::with_capacity(text.len());
    let mut at = 0;
    while at < lines.len() {
        res.push_str(lines[at]);
        let words = if lines[at].ends_with(':') { words_below(&lines[at + 1..]) } else { Vec::new() };
        if !words.is_empty() {
            res.push_str(&format!(" [{}]", words.join(", ")));
        }
        res.push('\n');
        at += 1 + words.len();
    }
    res
}

/// The items of the list that starts here, if each is a word that needs no quotes in a flow list.
fn words_below<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    let split = |line: &'t str| {
        let item = line.trim_start().strip_prefix("- ")?;
        Some((line.len() - item.len(), item))
    };
    let Some((indent, _)) = lines.first().and_then(|it| split(it)) else { return Vec::new() };
    let is_word = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.+-".contains(&it));
    let mut words = Vec::new();
    for line in lines {
        match split(line) {
            Some((column, item)) if column == indent => match is_word(item) && item != "-" {
                true => words.push(item),
                false => return Vec::new(),
            },
            _ => break,
        }
    }
    words
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// The plan of a text; `path` is for messages.
pub fn from_yaml(path: &str, text: &str) -> Result<Plan, PlanError> {
    let header: Header = parse(path, text)?;
    if header.format != FORMAT {
        return Err(PlanError::Format { path: path.to_owned(), found: header.format, expected: FORMAT });
    }
    let plan: Plan = parse(path, text)?;
    match plan.validate() {
        Ok(()) => Ok(plan),
        Err(Flaw { place, cause }) => {
            let lines: Lines = parse(path, text)?;
            let cause = format!("{}{cause}", named(&place));
            Err(PlanError::Flawed { path: path.to_owned(), line: lines.of(&place), cause })
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T, PlanError> {
    // Plans of deep networks are long, which is not an attack on the reader; but nothing in them stands for something else.
    let mut budget = serde_yaml::Budget::default();
    (budget.max_events, budget.max_nodes, budget.max_total_scalar_bytes) = (usize::MAX, usize::MAX, usize::MAX);
    (budget.max_anchors, budget.max_aliases) = (0, 0);
    let options = serde_yaml::options! { strict_booleans: true, budget: Some(budget) };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let place = error.location();
        PlanError::Malformed {
            path: path.to_owned(),
            line: place.as_ref().map_or(0, |it| it.line()),
            column: place.as_ref().map_or(0, |it| it.column()),
            cause: error.to_string(),
        }
    })
}

/// What a place is called in front of what is wrong there.
fn named(place: &Location) -> String {
    match place {
        Location::Key(key) => format!("`{key}`: "),
        Location::Buffer(at) => format!("buffer {at}: "),
        Location::Kernel(at) => format!("kernel {at}: "),
        Location::Phase(phase) => format!("phase `{}`: ", phase.word()),
        Location::Launch(phase, at) => format!("launch {at} of phase `{}`: ", phase.word()),
        Location::Result(phase, key) => format!("result `{key}` of phase `{}`: ", phase.word()),
    }
}

/// The lines of what a plan is made of.
#[derive(Deserialize)]
struct Lines {
    arena_bytes: Spanned<IgnoredAny>,
    training: Spanned<IgnoredAny>,
    buffers: Spanned<Vec<Spanned<IgnoredAny>>>,
    kernels: Vec<Spanned<IgnoredAny>>,
    phases: Spanned<BTreeMap<Phase, Spanned<PhaseLines>>>,
}

#[derive(Deserialize)]
struct PhaseLines {
    launches: Vec<Spanned<IgnoredAny>>,
    results: BTreeMap<ResultKey, Spanned<IgnoredAny>>,
}

impl Lines {
    /// The line of a place; that of what holds it where it is not there.
    fn of(&self, place: &Location) -> u64 {
        let line = |it: &Spanned<IgnoredAny>| it.referenced.line();
        let phase = |it: &Phase| self.phases.value.get(it);
        let whole = |it: &Phase| phase(it).map_or(self.phases.referenced.line(), |it| it.referenced.line());
        match place {
            Location::Key("arena_bytes") => line(&self.arena_bytes),
            Location::Key("training") => line(&self.training),
            Location::Key("buffers") => self.buffers.referenced.line(),
            Location::Key(_) => self.phases.referenced.line(),
            Location::Buffer(at) => self.buffers.value.get(*at).map_or(self.buffers.referenced.line(), line),
            Location::Kernel(at) => self.kernels.get(*at).map_or(self.phases.referenced.line(), line),
            Location::Phase(it) => whole(it),
            Location::Launch(it, at) => {
                phase(it).and_then(|it| it.value.launches.get(*at)).map_or_else(|| whole(it), line)
            }
            Location::Result(it, key) => {
                phase(it).and_then(|it| it.value.results.get(key)).map_or_else(|| whole(it), line)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_plain_words_are_shortened() {
        let text = "a:\n- 1\n- -2.5e-7\nb:\n- c: 1\n  d:\n  - true\n- e:\n    - \"x y\"\n    - z\nf:\n- g\n- h: 1\n";
        let short = "a: [1, -2.5e-7]\nb:\n- c: 1\n  d: [true]\n- e:\n    - \"x y\"\n    - z\nf:\n- g\n- h: 1\n";
        assert_eq!(with_short_lists(text), short);
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let error = from_yaml("old.yaml", "format: 7\nname: x\n").expect_err("no such format");
        assert!(matches!(error, PlanError::Format { found: 7, expected: FORMAT, .. }), "{error}");
        assert!(error.to_string().starts_with("old.yaml: the plan has format 7"), "{error}");
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_place() {
        let unfinished = format!("format: {FORMAT}\nname: x\nhash: []\n");
        for (text, at) in [("hello", 1), (&*unfinished, 3), ("format: [", 1), ("", 1)] {
            let error = from_yaml("x.yaml", text).expect_err("no plan");
            assert!(matches!(error, PlanError::Malformed { line, .. } if at <= line || text.is_empty()), "{error:?}");
        }
    }

    #[test]
    fn numbers_that_point_nowhere_are_found() {
        let text = "name: x\nhash: ''\nprecision: f32\nseed: 0\ntraining: null\narena_bytes: 0\n\
            buffers: []\nkernels: []\nphases:\n  step:\n    launches:\n    - kernel: 0\n      inputs: []\n      outputs: []\n    results: {}\n";
        let error = from_yaml("x.yaml", &format!("format: {FORMAT}\n{text}")).expect_err("no kernel 0");
        assert!(matches!(error, PlanError::Flawed { line: 13, .. }), "{error}");
        assert!(error.to_string().contains("launch 0 of phase `step`: kernel 0 does not exist"), "{error}");
    }
}
