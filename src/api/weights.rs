//! Weights that a model is evaluated with.

use super::Model;
use crate::plan::Plan;
use crate::train::weights::{Need, Renames, Weights};
use crate::train::{self, Meaning, TrainError};
use std::path::Path;

/// What the weights in a file were trained on, as far as they say. Other classes than those at hand are an error.
pub fn meaning(path: &Path, weights: &Weights, classes: Option<&[String]>) -> Result<Option<Meaning>, TrainError> {
    let fail =
        |cause: String, remedy: &str| TrainError::Weights { path: path.into(), cause, remedy: remedy.to_owned() };
    let found = Meaning::read(weights).map_err(|it| fail(it, "give a file that `sphc train` wrote"))?;
    if let (Some(meaning), Some(classes)) = (&found, classes)
        && let Some(cause) = meaning.conflict(classes)
    {
        return Err(fail(cause, "give the data set that the weights were trained on, or one with the same classes"));
    }
    Ok(found)
}

/// Weights to evaluate a plan with. Those of another text fit where only their names and extents are the same: that is
/// told, for their results may mean nothing, but a comment that was changed is not a reason to refuse them.
pub fn fitting_weights(model: &Model, weights: Weights, path: &Path, plan: &Plan) -> Result<Weights, TrainError> {
    let mut weights = weights;
    let map = &model.options().weights_map;
    if !map.is_empty() {
        let renamed = Renames::all(map).and_then(|it| weights.rename(&it, plan));
        renamed.map_err(|cause| TrainError::Weights {
            path: path.into(),
            cause,
            remedy: "change `--weights-map`: its left side is a name in the file, its right side one of the model"
                .into(),
        })?;
    }
    let weights = train::fit(weights, path, plan, Need::Inference)?;
    if weights.strange_to(plan) {
        model.warn(&[format!(
            "`{}` was trained with another text or other `--set` values than given now; its results mean something only if \
             the network is the same (the run's config.yaml tells what it was)",
            path.display()
        )]);
    }
    Ok(weights)
}
