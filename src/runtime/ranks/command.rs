//! What the first rank asks the others for.

use crate::ir::Phase;
use crate::runtime::RuntimeError;
use serde::{Deserialize, Serialize};

/// What the first rank asks the others for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Command {
    /// Run a phase.
    Run(Phase),
    /// Run one launch of a phase.
    RunOne(Phase, usize),
    /// Write the bytes that follow to a parameter or state.
    Write(String),
    /// That was all.
    End,
}

impl Command {
    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a command is text")
    }

    pub(super) fn of(bytes: &[u8]) -> Result<Command, RuntimeError> {
        serde_json::from_slice(bytes).map_err(|it| RuntimeError::Ranks {
            cause: format!("the first rank asked for something unknown: {it}"),
            remedy: "start the same program on all ranks".to_owned(),
        })
    }
}
