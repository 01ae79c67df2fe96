//! The test set, batch by batch.

use super::TrainError;
use crate::ir::Phase;
use crate::runtime::Session;

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss of the data.
    pub loss: f64,
    /// Share classified right.
    pub accuracy: f64,
    /// Examples it was made on.
    pub examples: usize,
}

/// Evaluates the bound test set. The last batch wraps around to the first examples, which are not
/// counted twice. `seen` gets each example's number and class scores. `None` when `stop` asked for it.
pub fn evaluate(
    session: &mut Session,
    stop: &dyn Fn() -> bool,
    seen: &mut dyn FnMut(usize, &[f64]),
) -> Result<Option<Evaluation>, TrainError> {
    let plan = session.plan.clone();
    let training = plan.training.as_ref().ok_or_else(|| TrainError::NoRecipe { model: plan.name.clone() })?;
    let (examples, batch) = (training.test_examples, training.batch);
    let (mut loss, mut correct) = (0.0, 0.0);
    let mut completed = true;
    session.write("evaluate_start", &[0.0])?;
    for start in (0..examples).step_by(batch) {
        if stop() {
            completed = false;
            break;
        }
        session.run(Phase::Evaluate)?;
        let valid = batch.min(examples - start);
        loss += session.result(Phase::Evaluate, "losses")[..valid].iter().sum::<f64>();
        correct += session.result(Phase::Evaluate, "correct")[..valid].iter().sum::<f64>();
        let scores = session.result(Phase::Evaluate, "scores");
        for (at, scores) in scores.chunks_exact(training.classes).take(valid).enumerate() {
            seen(start + at, scores);
        }
    }
    // The counter is part of checkpoints, which must not tell whether an evaluation went before.
    session.write("evaluate_start", &[0.0])?;
    let n = examples as f64;
    Ok(completed.then_some(Evaluation { loss: loss / n, accuracy: correct / n, examples }))
}
