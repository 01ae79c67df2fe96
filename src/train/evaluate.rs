//! The test set, batch by batch.

use super::non_finite::first_non_finite;
use super::{TrainError, recipe_of};
use crate::ir::{Extern, Figure, Phase, ResultKey, StateRole};
use crate::runtime::Session;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss of the data.
    pub loss: f64,
    /// Share classified right, where the model tells classes apart.
    pub accuracy: Option<f64>,
    /// Means of other metrics, by their names.
    pub metrics: BTreeMap<String, f64>,
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
    let (examples, batch) = (training.test_examples, training.part());
    let (mut loss, mut correct) = (0.0, plan.tells_classes().then_some(0.0));
    let mut metrics: BTreeMap<String, f64> = plan.metrics().into_iter().map(|it| (it, 0.0)).collect();
    let completed = batches(session, examples, batch, stop, &mut |session, lane, start, valid| {
        let result = |session: &Session, key: ResultKey| session.result_of(lane, Phase::Evaluate, key);
        let losses = &result(session, Figure::Losses.into())?[..valid];
        if let Some(at) = losses.iter().position(|it| !it.is_finite()) {
            let found = losses[at];
            return Err(broken(session, start, start + at, found));
        }
        loss += losses.iter().sum::<f64>();
        if let Some(correct) = &mut correct {
            *correct += result(session, Figure::Correct.into())?[..valid].iter().sum::<f64>();
        }
        for (name, sum) in &mut metrics {
            *sum += result(session, ResultKey::Metric(name.clone()))?[..valid].iter().sum::<f64>();
        }
        let scores = result(session, Figure::Scores.into())?;
        for (at, scores) in scores.chunks_exact((scores.len() / batch).max(1)).take(valid).enumerate() {
            seen(start + at, scores);
        }
        Ok(())
    })?;
    // The counter is part of checkpoints, which must not tell whether an evaluation went before.
    session.set_counter(StateRole::EvaluateStart, 0)?;
    let n = examples as f64;
    metrics.values_mut().for_each(|it| *it /= n);
    let accuracy = correct.map(|it| it / n);
    Ok(completed.then_some(Evaluation { loss: loss / n, accuracy, metrics, examples }))
}

/// Gets a batch that was evaluated: its lane, its first example, and how many it has.
type SeeBatch<'a> = &'a mut dyn FnMut(&mut Session, usize, usize, usize) -> Result<(), TrainError>;

/// Evaluates the first `count` bound examples: `see` gets the lane of a batch, its first example and how many it has. False when
/// `stop` asked for it.
fn batches(
    session: &mut Session,
    count: usize,
    batch: usize,
    stop: &dyn Fn() -> bool,
    see: SeeBatch<'_>,
) -> Result<bool, TrainError> {
    let lanes = session.backend.lanes();
    session.set_counter(StateRole::EvaluateStart, 0)?;
    for first in (0..count).step_by(batch * lanes) {
        if stop() {
            return Ok(false);
        }
        session.run(Phase::Evaluate)?;
        for (lane, start) in (first..count).step_by(batch).take(lanes).enumerate() {
            see(session, lane, start, batch.min(count - start))?;
        }
    }
    Ok(true)
}

/// Why an example of the test set has no loss: the batch from `start` on is evaluated once more.
fn broken(session: &mut Session, start: usize, example: usize, loss: f64) -> TrainError {
    let again = session.set_counter(StateRole::EvaluateStart, start as u64);
    let found = again.and_then(|()| first_non_finite(session, Phase::Evaluate)).and_then(|found| {
        session.set_counter(StateRole::EvaluateStart, 0)?;
        Ok(found)
    });
    match found {
        Ok(found) => TrainError::TestNonFinite {
            example,
            loss,
            cause: match found {
                Some(it) => it.to_string(),
                None => "repeating it on the CPU gives finite numbers: it is this device's arithmetic".into(),
            },
        },
        Err(error) => error.into(),
    }
}

/// What an evaluation tells of the images that are bound, under each of these keys, batch by batch: `see` gets the number of a key
/// and what is told of some images. False when `stop` asked for it.
pub fn features(
    session: &mut Session,
    keys: &[ResultKey],
    count: usize,
    stop: &dyn Fn() -> bool,
    see: &mut dyn FnMut(usize, &[f64]),
) -> Result<bool, TrainError> {
    let batch = recipe_of(&session.plan)?.part();
    batches(session, count, batch, stop, &mut |session, lane, _, valid| {
        for (at, key) in keys.iter().enumerate() {
            let found = session.result_of(lane, Phase::Evaluate, key)?;
            let each = found.len() / batch;
            see(at, &found[..valid * each]);
        }
        Ok(())
    })
}

/// The class scores of examples that are not part of a data set, one after the other as the model takes them, in the bytes of
/// the plan's input.
pub fn predict(session: &mut Session, pixels: &[u8]) -> Result<Vec<Vec<f64>>, TrainError> {
    let plan = session.plan.clone();
    let training = plan.training.as_ref().ok_or_else(|| TrainError::NoRecipe { model: plan.name.clone() })?;
    let each = training.image.len().saturating_mul(plan.precision.bytes(training.dtype));
    let (places, batch) = (training.test_examples, training.part());
    let mut res = Vec::new();
    // They take the place of the test set, as many at once as it has.
    for part in pixels.chunks(places * each) {
        let mut images = part.to_vec();
        images.resize(places * each, 0);
        session.share(Extern::TestImages, Arc::new(images))?;
        session.clear(Extern::TestLabels)?;
        batches(session, part.len() / each, batch, &|| false, &mut |session, lane, _, valid| {
            let scores = session.result_of(lane, Phase::Evaluate, Figure::Scores)?;
            res.extend(scores.chunks_exact((scores.len() / batch).max(1)).take(valid).map(<[f64]>::to_vec));
            Ok(())
        })?;
    }
    Ok(res)
}
