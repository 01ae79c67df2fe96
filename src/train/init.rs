//! Weights that a training starts from.

use super::weights::{Need, Rename, Taken, Weights, summary};
use super::{TrainError, fit, read_weights};
use crate::plan::Plan;
use std::path::PathBuf;

/// A file to start from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Where it is.
    pub path: PathBuf,
    /// Whether all of it must fit, and all that the model learns must be in it.
    pub strict: bool,
    /// Patterns that rename its tensors, `from=to`.
    pub map: Vec<String>,
}

impl Init {
    /// The weights that a plan starts from, and what became of the others.
    pub fn weights(&self, plan: &Plan) -> Result<(Weights, Taken), TrainError> {
        let fail = |cause: String, remedy: &str| TrainError::Weights {
            path: self.path.clone(),
            cause,
            remedy: remedy.to_owned(),
        };
        let rules: Result<Vec<Rename>, String> = self.map.iter().map(|it| Rename::parse(it)).collect();
        let remedy = "change `--init-map`: its left side is a name in the file, its right side one of the model";
        let mut weights = read_weights(&self.path)?;
        rules.and_then(|it| weights.rename(&it)).map_err(|it| fail(it, remedy))?;
        if self.strict {
            weights = fit(weights, &self.path, plan, Need::Start)?;
        }
        let names: Vec<String> = weights.shapes().keys().take(3).map(|it| format!("`{it}`")).collect();
        let taken = weights.choose(plan);
        if taken.taken.is_empty() {
            let cause = match taken.other.is_empty() {
                true => format!("none of its tensors has a name of the model's; it has {}, ...", names.join(", ")),
                false => format!("none of its tensors fits: {}", summary(&taken.other)),
            };
            return Err(fail(
                cause,
                "rename them with `--init-map 'backbone.*=*'` (`sphc show` lists the model's layers)",
            ));
        }
        Ok((weights, taken))
    }
}
