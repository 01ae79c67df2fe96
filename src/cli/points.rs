//! Layers of two numbers, drawn by class.

use super::failure::Failure;
use super::{features, stop};
use sphc::data::Targets;
use sphc::ir::Phase;
use sphc::train;
use sphc::train::curves::{PlacedAt, Points};
use sphc::{DeviceOptions, Model, Options};
use std::path::Path;

/// As many points can be told apart, and more make a file large.
const MOST: usize = 2_000;

/// The numbers of a layer as points; of more than can be told apart, images at equal steps.
pub(super) fn of_numbers(
    layer: &str,
    numbers: &[f64],
    count: usize,
    targets: Option<&Targets>,
    classes: Vec<String>,
) -> Result<Points, Failure> {
    let Some(Targets::Classes(labels)) = targets else {
        let cause = "points are drawn by class, and these images have none";
        return Err(Failure::new(cause, "give images of a data set that has one class for each"));
    };
    two(layer, numbers.len() / count.max(1))?;
    let apart = count.div_ceil(MOST).max(1);
    let place = |at: usize| {
        let class = usize::try_from(labels[at]).ok().filter(|it| *it < classes.len())?;
        let numbers = [numbers[2 * at], numbers[2 * at + 1]];
        numbers.iter().all(|it| it.is_finite()).then_some(PlacedAt { at: numbers, class })
    };
    let places: Vec<PlacedAt> = (0..count).step_by(apart).filter_map(place).collect();
    let which = if apart == 1 { "all".to_owned() } else { format!("each {apart}th") };
    let title = format!("`{layer}`: {which} of {count} images, by class");
    Ok(Points { title, classes, places })
}

/// Whether the images of a model can be drawn by a layer: before anything is trained.
pub(super) fn judge(model: &Model, layer: &str) -> Result<(), Failure> {
    let options = Options { evaluates: true, features: vec![layer.to_owned()], ..model.options().clone() };
    let checked = model.clone().with(options).check()?;
    let Some(graph) = checked.graph() else { return Ok(()) };
    features::known(graph, &[layer.to_owned()])?;
    let found = graph.results.get(&Phase::Evaluate).and_then(|it| it.get(&features::key(layer)));
    if let Some(node) = found {
        two(layer, graph.shape(*node).dims().iter().skip(1).product())?;
    }
    Ok(())
}

fn two(layer: &str, each: usize) -> Result<(), Failure> {
    if each == 2 {
        return Ok(());
    }
    let cause = format!("`{layer}` has {each} numbers for each image, and a point has 2");
    Err(Failure::new(cause, "name a layer of two numbers, or write .npz or .csv"))
}

/// What a layer makes of the test images with these weights. `None` when a signal stopped it.
pub(super) fn of_weights(
    model: &Model,
    weights: &Path,
    layer: &str,
    device: &DeviceOptions,
) -> Result<Option<Points>, Failure> {
    let options = Options { evaluates: true, features: vec![layer.to_owned()], ..model.options().clone() };
    let model = model.clone().with(options);
    if let Some(graph) = model.check()?.graph() {
        features::known(graph, &[layer.to_owned()])?;
    }
    let mut ready = features::of_data(weights, &model, device)?;
    let key = features::key(layer);
    features::of_each(&ready.session.plan, layer, &key)?;
    let mut numbers = Vec::new();
    let mut keep = |_: usize, found: &[f64]| numbers.extend_from_slice(found);
    if !train::features(&mut ready.session, &[key], ready.count, &stop::asked, &mut keep)? {
        return Ok(None);
    }
    of_numbers(layer, &numbers, ready.count, ready.targets.as_ref(), ready.classes).map(Some)
}
