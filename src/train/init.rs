//! Weights that a training starts from.

use super::weights::{Need, Renames, Taken, Weights, summary};
use super::{Meaning, TrainError, fit, read_weights};
use crate::plan::Plan;
use std::path::PathBuf;

/// So many names of a file are told.
const SHOWN: usize = 3;

/// A file to start from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Where it is.
    pub path: PathBuf,
    /// Whether all of it must fit, and all that the model learns must be in it.
    pub strict: bool,
    /// Patterns that rename its tensors, `from=to`, and maps of them.
    pub map: Vec<String>,
}

impl Init {
    /// What makes it doubtful that weights from which a start was made mean what the model's do: a sentence each. Nothing where
    /// some are learned anew, for then so is what the outputs mean.
    pub(super) fn doubts(&self, weights: &Weights, taken: &Taken, now: &Meaning) -> Result<Vec<String>, TrainError> {
        let known = Meaning::read(weights).map_err(|cause| TrainError::Weights {
            path: self.path.clone(),
            cause,
            remedy: "give a file that `sphc train` wrote".to_owned(),
        })?;
        let Some(known) = known.filter(|_| taken.missed.is_empty() && taken.other.is_empty()) else {
            return Ok(Vec::new());
        };
        let conflict = known.conflict(&now.classes);
        let conflict = conflict.map(|it| format!("the weights of `--init` bring other outputs: {it}"));
        Ok(conflict.into_iter().chain(known.doubts(now)).collect())
    }

    /// The weights that a plan starts from, and what became of the others.
    pub fn weights(&self, plan: &Plan) -> Result<(Weights, Taken), TrainError> {
        let fail = |cause: String, remedy: &str| TrainError::Weights {
            path: self.path.clone(),
            cause,
            remedy: remedy.to_owned(),
        };
        let renames = Renames::all(&self.map);
        let remedy = "change `--init-map`: its left side is a name in the file, its right side one of the model";
        let mut weights = read_weights(&self.path)?;
        renames.and_then(|it| weights.rename(&it, plan)).map_err(|it| fail(it, remedy))?;
        if self.strict {
            weights = fit(weights, &self.path, plan, Need::Start)?;
        }
        let shapes = weights.shapes();
        let mut names: Vec<String> = shapes.keys().take(SHOWN).map(|it| format!("`{it}`")).collect();
        if SHOWN < shapes.len() {
            names.push(format!("{} more", shapes.len() - SHOWN));
        }
        let taken = weights.choose(plan);
        if taken.taken.is_empty() {
            return Err(match taken.other.is_empty() {
                true => fail(
                    format!("none of its tensors has a name of the model's; it has {}", names.join(", ")),
                    "rename them with `--init-map 'backbone.*=*'` (`sphc show` lists the model's layers)",
                ),
                false => fail(
                    format!("none of its tensors fits: {}", summary(&taken.other)),
                    "give weights with the extents of the model's (`sphc show` lists them)",
                ),
            });
        }
        Ok((weights, taken))
    }
}
