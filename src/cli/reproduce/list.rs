//! Lists of experiments: the paper's, which is part of the program, or a user's.

use crate::cli::failure::Failure;
use serde::Deserialize;
use sphc::diag;
use sphc::train::curves::{Curve, Estimate, reference};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LIST: &str = "experiments.yaml";

/// The paper's list with its models, as they lie in `models`.
const FILES: [(&str, &str); 8] = [
    (LIST, include_str!("../../../models/experiments.yaml")),
    ("spherenet9.sph", include_str!("../../../models/spherenet9.sph")),
    ("sphereresnet32.sph", include_str!("../../../models/sphereresnet32.sph")),
    ("paper/spherenorm.sph", include_str!("../../../models/paper/spherenorm.sph")),
    ("paper/ga_softmax.sph", include_str!("../../../models/paper/ga_softmax.sph")),
    ("paper/features2d.sph", include_str!("../../../models/paper/features2d.sph")),
    ("zoo/dcnet_cifar100.sph", include_str!("../../../models/zoo/dcnet_cifar100.sph")),
    ("operators/decoupled.sph", include_str!("../../../models/operators/decoupled.sph")),
];

/// A list of experiments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// What they reproduce.
    pub(super) title: String,
    /// The param of each model that says how long it is trained.
    #[serde(default)]
    pub(super) length: Option<String>,
    pub(super) experiments: Vec<Experiment>,
}

/// A row of the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Experiment {
    /// Its name, and that of its directory.
    pub(super) name: String,
    #[serde(default)]
    pub(super) about: String,
    /// The model's file, seen from the list.
    pub(super) model: PathBuf,
    /// Values of the model's params.
    #[serde(default)]
    pub(super) set: BTreeMap<String, Value>,
    /// A data set in place of the model's; a path is seen from where the command runs, as `--data` is.
    #[serde(default)]
    pub(super) data: Option<String>,
    /// The result to compare with.
    #[serde(default)]
    published: Option<Published>,
    /// A layer of two numbers that is drawn by class.
    #[serde(default)]
    pub(super) features: Option<String>,
}

/// A param's value, as YAML or as the language writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    List(Vec<Value>),
    Text(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Published {
    /// One of those that the program knows.
    Name(String),
    /// Shares of the test set.
    Figures(Figures),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    best: f64,
    last: f64,
}

impl Value {
    /// As the language writes it.
    pub(super) fn text(&self) -> String {
        match self {
            Value::Bool(it) => it.to_string(),
            Value::Int(it) => it.to_string(),
            Value::Float(it) => format!("{it:?}"),
            Value::List(all) => format!("[{}]", all.iter().map(Value::text).collect::<Vec<_>>().join(", ")),
            Value::Text(it) => it.clone(),
        }
    }
}

impl Experiment {
    /// The published result: its curve where there is a log.
    pub(super) fn published(&self) -> Option<Curve> {
        match self.published.as_ref()? {
            Published::Name(it) => reference::find(it),
            Published::Figures(Figures { best, last }) => Some(Curve {
                name: format!("published {}", self.name),
                data: String::new(),
                validates: false,
                runs: 0,
                tested: Vec::new(),
                best: Some((None, Estimate::of(&[*best]))),
                last: Some(Estimate::of(&[*last])),
                losses: Vec::new(),
            }),
        }
    }
}

impl List {
    /// The paper's, with the path it will have in a directory of results.
    pub(super) fn paper(root: &Path) -> Result<(List, PathBuf), Failure> {
        let path = root.join("models").join(LIST);
        Ok((List::parse(&path, FILES[0].1)?, path))
    }

    /// A user's.
    pub(super) fn read(path: &Path) -> Result<List, Failure> {
        List::parse(path, &sphc::read_text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<List, Failure> {
        let remedy = "docs/paper.md shows a list; `sphc reproduce --list` tells what is in the paper's";
        let fail = |cause: String| Failure::new(format!("cannot use the list `{}`: {cause}", path.display()), remedy);
        let list: List = sphc::data::yaml::read(text).map_err(fail)?;
        list.check().map_err(fail)?;
        Ok(list)
    }

    fn check(&self) -> Result<(), String> {
        if self.experiments.is_empty() {
            return Err("it has no experiments".into());
        }
        let mut names = BTreeSet::new();
        for Experiment { name, published, set, .. } in &self.experiments {
            let plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                let cause = "it names a folder, and may have letters, digits, `-`, `_` and `.`";
                return Err(format!("`{}` cannot be the name of an experiment: {cause}", name.escape_debug()));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(format!("two experiments are called `{name}`"));
            }
            match published {
                Some(Published::Name(it)) if reference::find(it).is_none() => {
                    let known = reference::names().join(", ");
                    return Err(format!(
                        "`{name}` has the published result `{it}`, which is not known; known are {known}"
                    ));
                }
                Some(Published::Figures(it)) if ![it.best, it.last].iter().all(|it| (0.0..=1.0).contains(it)) => {
                    return Err(format!("the published results of `{name}` are no shares from 0 to 1"));
                }
                Some(Published::Name(_) | Published::Figures(_)) | None => {}
            }
            if let Some(length) = self.length.as_ref().filter(|it| set.contains_key(*it)) {
                return Err(format!(
                    "`{name}` sets `{length}`, which is the `length` of the list: `--iterations` sets it"
                ));
            }
        }
        Ok(())
    }

    /// The rows that are asked for, in the order of the list; all without a name. A name may end with a star.
    pub(super) fn chosen(&self, names: &[String]) -> Result<Vec<Experiment>, Failure> {
        let fits = |name: &str, it: &Experiment| match name.strip_suffix('*') {
            Some(start) => it.name.starts_with(start),
            None => it.name == name,
        };
        for name in names {
            if !self.experiments.iter().any(|it| fits(name, it)) {
                let all = self.experiments.iter().map(|it| it.name.as_str());
                let near = match diag::did_you_mean(name, all.clone()) {
                    Some(it) => format!("did you mean `{it}`? "),
                    None => String::new(),
                };
                let remedy = format!("{near}the list has {}", all.collect::<Vec<_>>().join(", "));
                return Err(Failure::new(format!("there is no experiment `{name}`"), remedy));
            }
        }
        let wanted = |it: &&Experiment| names.is_empty() || names.iter().any(|name| fits(name, it));
        Ok(self.experiments.iter().filter(wanted).cloned().collect())
    }
}

/// Writes the paper's list and models, so that what was trained lies beside what came of it. Files that are as they should be
/// stay.
pub(super) fn write_models(root: &Path) -> Result<(), Failure> {
    for (name, text) in FILES {
        let path = root.join("models").join(name);
        let written = |path: &Path| -> io::Result<()> {
            if fs::read_to_string(path).is_ok_and(|it| it == text) {
                return Ok(());
            }
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            sphc::train::write_atomically(path, text.as_bytes())
        };
        written(&path).map_err(|it| {
            let remedy = "give a directory that can be written to with `--run DIR`";
            Failure::unwritten(&path, &it, remedy)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match List::parse(Path::new("my.yaml"), text) {
            Ok(it) => format!("{it:?}"),
            Err(Failure::Message(it)) => it,
            Err(it) => format!("{it:?}"),
        }
    }

    #[test]
    fn the_papers_list_is_sound_and_has_its_models() {
        let (list, _) = List::paper(Path::new("r")).unwrap();
        for it in &list.experiments {
            let model = it.model.to_string_lossy();
            assert!(FILES.iter().any(|file| file.0 == model), "{model}");
        }
        // Every published result is a row.
        let published =
            |name: &String| list.experiments.iter().any(|it| it.published().is_some_and(|it| it.name.ends_with(name)));
        assert!(reference::names().iter().all(published));
        assert_eq!(list.chosen(&["spherenet9-*".into(), "resnet32".into()]).unwrap().len(), 9);
    }

    #[test]
    fn nothing_in_a_list_is_in_vain() {
        let one = "title: t\nexperiments:\n  - {name: a, model: a.sph";
        for (text, expected) in [
            ("title: t\nexperiments: []\n".to_owned(), "no experiments"),
            (format!("{one}, colour: red}}\n"), "colour"),
            (format!("{one}, published: nobody}}\n"), "known are spherenet9-none"),
            (format!("{one}, published: {{best: 91, last: 90}}}}\n"), "no shares"),
            (format!("{one}}}\n  - {{name: A, model: a.sph}}\n"), "two experiments are called `A`"),
            ("title: t\nexperiments: [{name: a/b, model: a.sph}]\n".to_owned(), "names a folder"),
            (format!("{one}, set: {{steps: 3}}}}\nlength: steps\n"), "`--iterations` sets it"),
        ] {
            let found = said(&text);
            assert!(found.contains(expected) && found.contains("my.yaml"), "{text}: {found}");
        }
    }

    #[test]
    fn values_are_written_as_the_language_has_them() {
        let text = "title: t\nexperiments: [{name: a, model: a.sph, set: {a: 1, b: 0.5, c: true, d: [1, 2], e: 'sigmoid(k: 0.5)', f: 2.0}}]\n";
        let list = List::parse(Path::new("my.yaml"), text).unwrap();
        let found: Vec<String> = list.experiments[0].set.values().map(Value::text).collect();
        assert_eq!(found, ["1", "0.5", "true", "[1, 2]", "sigmoid(k: 0.5)", "2.0"]);
    }
}
