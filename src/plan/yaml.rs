//! Plans as YAML.

use super::{FORMAT, Plan};
use serde::Deserialize;

/// Why a text is no plan.
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
    /// A number that points nowhere.
    #[error("{path}: {cause}\n  make it anew with `sphc compile`")]
    Dangling {
        /// The file.
        path: String,
        /// What points where.
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
    match dangling(&plan) {
        Some(cause) => Err(PlanError::Dangling { path: path.to_owned(), cause }),
        None => Ok(plan),
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T, PlanError> {
    // Plans of deep networks are long; they are no attack on the reader.
    let options = serde_yaml::options! { strict_booleans: true, budget: None };
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

/// The first launch or result that names a kernel or buffer which does not exist, or memory outside of
/// the arena.
fn dangling(plan: &Plan) -> Option<String> {
    let known = |it: &super::BufferId| (it.0 as usize) < plan.buffers.len();
    for (phase, it) in &plan.phases {
        for (at, launch) in it.launches.iter().enumerate() {
            if plan.kernels.len() <= launch.kernel {
                return Some(format!(
                    "launch {at} of phase {phase:?} names kernel {}, which does not exist",
                    launch.kernel
                ));
            }
            if let Some(lost) = launch.inputs.iter().chain(&launch.outputs).find(|it| !known(it)) {
                return Some(format!("launch {at} of phase {phase:?} names buffer {}, which does not exist", lost.0));
            }
        }
        if let Some((name, lost)) = it.results.iter().find(|it| !known(it.1)) {
            return Some(format!("result `{name}` of phase {phase:?} names buffer {}, which does not exist", lost.0));
        }
    }
    plan.buffers.iter().find_map(|buffer| {
        let super::BufferKind::Arena { offset } = buffer.kind else { return None };
        let each = plan.precision.bytes(buffer.dtype);
        let end = buffer.shape.dims().iter().try_fold(each, |sum, &it| sum.checked_mul(it))?.checked_add(offset)?;
        (plan.arena_bytes < end).then(|| format!("buffer `{}` ends at {end}, beyond the arena", buffer.name))
    })
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
        for (text, at) in [("hello", 1), ("format: 1\nname: x\nhash: []\n", 3), ("format: [", 1), ("", 1)] {
            let error = from_yaml("x.yaml", text).expect_err("no plan");
            assert!(matches!(error, PlanError::Malformed { line, .. } if at <= line || text.is_empty()), "{error:?}");
        }
    }

    #[test]
    fn numbers_that_point_nowhere_are_found() {
        let text = "format: 1\nname: x\nhash: ''\nprecision: f32\nseed: 0\ntraining: null\narena_bytes: 0\n\
            buffers: []\nkernels: []\nphases:\n  step:\n    launches:\n    - kernel: 0\n      inputs: []\n      outputs: []\n    results: {}\n";
        let error = from_yaml("x.yaml", text).expect_err("no kernel 0");
        assert!(matches!(error, PlanError::Dangling { .. }), "{error}");
    }
}
