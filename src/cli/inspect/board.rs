//! What is found of layers, for TensorBoard.

use super::Look;
use crate::cli::failure::Failure;
use sphc::train::{self, Seen};
use std::path::Path;

/// A directory that takes it: not that of a run, whose own files are rewritten as it goes on.
pub(super) fn may_hold(directory: &Path) -> Result<(), Failure> {
    if directory.join("config.yaml").exists() || directory.join("metrics.jsonl").exists() {
        let below = directory.join("inspected");
        return Err(Failure::new(
            format!("`{}` is the directory of a run, which writes for TensorBoard itself", directory.display()),
            format!("write `--tensorboard {}`: TensorBoard shows both", below.display()),
        ));
    }
    Ok(())
}

/// Shows layers as they are after so many iterations.
pub(super) fn show(directory: &Path, step: u64, looks: &[Look], filters: Vec<(String, Seen)>) -> Result<(), Failure> {
    let found = looks.iter().flat_map(Look::seen).chain(filters).collect();
    train::show(directory, step, found)
        .map(|_| ())
        .map_err(|cause| Failure::unwritten(directory, &cause, "give a directory that can be written to"))
}

impl Look {
    fn seen(&self) -> Vec<(String, Seen)> {
        let named = |what: &str, it: Seen| (format!("{what}/{}", self.name), it);
        let mut all = vec![named("angles", Seen::Counts { until: 180.0, counts: self.angles.to_vec() })];
        all.extend([
            named("filter norms", Seen::Numbers(self.filters.clone())),
            named("patch norms", Seen::Numbers(self.patches.clone())),
            named("energy", Seen::Number(self.energy)),
        ]);
        if !self.alive.is_empty() {
            all.push(named("dead units", Seen::Number(self.dead())));
        }
        all
    }
}
