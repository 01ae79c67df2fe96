//! Words of the recipe that other tables hold: data sets, precisions and codes, with what each is.

use crate::data;
use crate::diag::{Code, Severity};
use crate::ir::Precision;

/// What can stand after a key.
pub(super) fn values(key: &str) -> Vec<(&'static str, String)> {
    match key {
        "data" => {
            let about = |it: &'static data::Manifest| {
                let image = it.image.as_ref().map_or_else(String::new, |it| format!("{}, ", it.told()));
                (it.name.as_str(), format!("{image}{} classes", it.known_classes()))
            };
            data::catalog().iter().map(about).collect()
        }
        "precision" => Precision::ALL.iter().map(|it| (it.word(), it.about().to_owned())).collect(),
        "allow" => {
            let lints = Code::ALL.iter().filter(|it| it.severity() == Severity::Warning);
            lints.map(|it| (it.name(), it.title().to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// What one of them is.
pub(super) fn about(key: &str, name: &str) -> Option<String> {
    values(key).into_iter().find(|it| it.0 == name).map(|it| it.1)
}
