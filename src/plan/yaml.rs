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
    serde_yaml::to_string(plan).map_err(|it| PlanError::Write { cause: it.to_string() })
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
