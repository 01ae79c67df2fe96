//! Golden vectors: reading them, and comparing with them.
//!
//! `tests/golden/index.json` lists the cases. Each is a `.safetensors` file with a `.json` file beside it
//! that says what the tensors are. Every listed case is run by its kind, so that a new case of a known
//! kind needs no code.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sphc::interp::Tensor;
use sphc::ir::Shape;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Kinds of cases that some test runs.
const KINDS: &[&str] = &["sphereconv", "batchnorm", "maxpool", "avgpool", "loss2", "orth", "adam", "network"];

/// One case.
pub(crate) struct Case {
    /// `ops/batchnorm`.
    pub(crate) name: String,
    /// The sidecar.
    pub(crate) meta: Value,
    /// The tensors by name; bytes and integers as f64.
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl Case {
    /// A tensor that the case must have.
    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{} has no tensor `{name}`", self.name))
    }

    /// A number of the sidecar.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.meta[name].as_f64().unwrap_or_else(|| panic!("{} has no number `{name}`", self.name))
    }

    /// A string of the sidecar.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.meta[name].as_str().unwrap_or_else(|| panic!("{} has no string `{name}`", self.name))
    }

    /// Tensors under a prefix, without it: `init/` gives `conv1_0/filter`, ...
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        self.tensors.iter().filter_map(move |(name, it)| Some((name.strip_prefix(prefix)?, it)))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every case: its file and its kind.
fn index() -> Vec<(String, String)> {
    let index = json(&folder().join("index.json"));
    let entries = index.as_array().expect("the index is a list");
    entries
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().expect("entries have a file and a kind").to_owned();
            (text("file"), text("kind"))
        })
        .collect()
}

/// All cases of a kind.
pub(crate) fn cases(kind: &str) -> Vec<Case> {
    index().into_iter().filter(|(_, it)| it == kind).map(|(file, _)| read(&file)).collect()
}

fn read(file: &str) -> Case {
    let path = folder().join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parsed = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tensors = parsed
        .tensors()
        .into_iter()
        .map(|(name, it)| {
            let data: Vec<f64> = match it.dtype() {
                Dtype::F64 => it.data().chunks_exact(8).map(|it| f64::from_le_bytes(array(it))).collect(),
                Dtype::F32 => it.data().chunks_exact(4).map(|it| f64::from(f32::from_le_bytes(array(it)))).collect(),
                Dtype::I32 => it.data().chunks_exact(4).map(|it| f64::from(i32::from_le_bytes(array(it)))).collect(),
                Dtype::I64 => it.data().chunks_exact(8).map(|it| i64::from_le_bytes(array(it)) as f64).collect(),
                Dtype::U8 => it.data().iter().map(|it| f64::from(*it)).collect(),
                other => panic!("{file}: `{name}` is of type {other:?}"),
            };
            (name, Tensor::new(Shape(it.shape().to_vec()), data))
        })
        .collect();
    Case { name: file.trim_end_matches(".safetensors").to_owned(), meta: json(&path.with_extension("json")), tensors }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("chunks are exact")
}

/// What did not agree, and how far off what did agree was at most.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<String>,
    compared: usize,
}

impl Report {
    /// Compares, relative to the largest expected entry.
    pub(crate) fn close(&mut self, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        self.compared += 1;
        if found.len() != expected.len() {
            self.problems.push(format!("{what}: {} numbers instead of {}", found.len(), expected.len()));
            return;
        }
        let largest = expected.iter().fold(0.0f64, |largest, it| largest.max(it.abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest };
        let mut worst = (0.0, 0);
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found - expected).abs() / scale;
            if worst.0 < error || error.is_nan() {
                worst = (error, at);
            }
            if error.is_nan() {
                break;
            }
        }
        let (error, at) = worst;
        if error.is_nan() || tolerance < error {
            self.problems.push(format!(
                "{what}: off by {error:.1e} of the largest entry at {at}: {} instead of {} (tolerance {tolerance:.0e})",
                found[at], expected[at]
            ));
        }
    }

    /// Panics with everything that did not agree.
    pub(crate) fn finish(self) {
        assert!(0 < self.compared, "nothing was compared");
        assert!(self.problems.is_empty(), "\n{}\n", self.problems.join("\n"));
    }
}

#[test]
fn every_kind_of_case_has_a_test() {
    for (file, kind) in index() {
        assert!(KINDS.contains(&kind.as_str()), "{file}: nothing runs cases of the kind `{kind}`");
    }
}

#[test]
fn every_file_is_in_the_index() {
    let listed: Vec<String> = index().into_iter().map(|(file, _)| file).collect();
    for part in ["ops", "nets"] {
        for entry in fs::read_dir(folder().join(part)).expect("the folder exists") {
            let name = entry.expect("the folder can be read").file_name();
            let file = format!("{part}/{}", name.to_string_lossy());
            assert!(!file.ends_with(".safetensors") || listed.contains(&file), "{file} is not in index.json");
        }
    }
}
