//! What a run was asked for, as TensorBoard's table of runs (`HPARAMS`) has it.

use super::messages::{
    Any, Experiment, Metadata, MetricInfo, MetricName, PluginData, SessionEnd, SessionStart, SettingInfo, Settings,
    Summary, Value,
};
use crate::train::Manifest;
use prost::Message;

/// Came to its end, among the ways to.
const DONE: i32 = 1;
/// Kinds of settings.
const TEXT: i32 = 1;
const NUMBER: i32 = 3;

/// What a run is asked for: the numbers of the recipe that are changed most, and every `--set`.
pub(super) fn start(manifest: &Manifest, classes: bool, now: f64) -> Summary {
    let whole = |it: u64| it.to_string();
    let training = &manifest.training;
    let mut all = vec![
        ("data".to_owned(), training.data.clone()),
        ("batch".to_owned(), whole(training.batch as u64)),
        ("iterations".to_owned(), whole(training.iterations)),
        ("seed".to_owned(), whole(manifest.seed)),
        ("precision".to_owned(), manifest.precision.word().to_owned()),
    ];
    let set = manifest.set.iter().filter_map(|it| it.split_once('='));
    all.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let number = |text: &str| text.replace('_', "").parse::<f64>().ok().filter(|it| it.is_finite());
    let info = |(name, value): &(String, String)| SettingInfo {
        name: name.clone(),
        kind: if number(value).is_some() { NUMBER } else { TEXT },
    };
    let metric = |tag: &str| MetricInfo { name: Some(MetricName { tag: tag.to_owned() }) };
    let tested = training.tested();
    let told = [format!("{tested}/accuracy"), format!("{tested}/loss"), "train/loss".to_owned()];
    let told = told.iter().skip(usize::from(!classes));
    let experiment =
        Experiment { settings: all.iter().map(info).collect(), metrics: told.map(|it| metric(it)).collect() };
    let given = |(name, value): (String, String)| {
        let number = number(&value);
        (name, Any { number, text: number.is_none().then_some(value) })
    };
    let start = SessionStart { settings: all.into_iter().map(given).collect(), seconds: now };
    Summary {
        value: vec![
            value("experiment", &Settings { experiment: Some(experiment), ..Settings::default() }),
            value("session_start_info", &Settings { start: Some(start), ..Settings::default() }),
        ],
    }
}

/// That it came to its end.
pub(super) fn end(now: f64) -> Summary {
    let end = SessionEnd { status: DONE, seconds: now };
    Summary { value: vec![value("session_end_info", &Settings { end: Some(end), ..Settings::default() })] }
}

fn value(what: &str, settings: &Settings) -> Value {
    let plugin = PluginData { name: "hparams".to_owned(), content: settings.encode_to_vec() };
    Value { tag: format!("_hparams_/{what}"), metadata: Some(Metadata { plugin: Some(plugin) }), ..Value::default() }
}
