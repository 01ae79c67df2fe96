//! Weights of another model: those that fit by name and extents are chosen.

use super::{Need, Weights, kept, role};
use crate::ir::StateRole;
use crate::plan::Plan;

/// What became of the tensors of a file, and of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Tensors of the model that the file has.
    pub taken: Vec<String>,
    /// Tensors of the model that the file lacks.
    pub missed: Vec<String>,
    /// Tensors of both that do not fit, each with the reason.
    pub other: Vec<String>,
    /// Tensors of the file that are not the model's.
    pub left: Vec<String>,
}

impl Taken {
    /// Whether the model has all from the file, and the file has nothing else.
    pub fn is_all(&self) -> bool {
        self.missed.is_empty() && self.other.is_empty() && self.left.is_empty()
    }
}

impl Weights {
    /// Leaves only what fits a plan to start from.
    pub fn choose(&mut self, plan: &Plan) -> Taken {
        let mut res = Taken::default();
        for buffer in kept(plan) {
            let name = &buffer.name;
            // What belongs to a training starts anew with it.
            if role(buffer).is_some_and(StateRole::is_progress) {
                self.file.tensors.remove(name);
                continue;
            }
            if !self.file.tensors.contains_key(name) {
                // Averages start as what they are averages of.
                if role(buffer) != Some(StateRole::Average) {
                    res.missed.push(name.clone());
                }
            } else if let Some(cause) = self.problem(buffer, Need::Start) {
                res.other.push(cause);
                self.file.tensors.remove(name);
            } else {
                res.taken.push(name.clone());
            }
        }
        let left: Vec<String> = self.file.tensors.keys().filter(|name| !res.taken.contains(name)).cloned().collect();
        for name in left {
            self.file.tensors.remove(&name);
            if !self.was_of_training(&name) && !self.is_average(&name) {
                res.left.push(name);
            }
        }
        res
    }
}
