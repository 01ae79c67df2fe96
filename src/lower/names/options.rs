//! The words of a recipe that take arguments: bounds, augmentations, projections, ...

use crate::diag::Code;
use crate::ir::{Border, ParamRole};
use crate::lower::names::items::Items;
use crate::lower::values::signature::{Signature, Slot};
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Part as Kind};

/// Keys of entries: whether each may come again, and which clauses it takes besides values.
pub(in crate::lower) const KEYS: &[(&str, bool, &[&str])] = &[
    ("data", false, &[]),
    ("validate", false, &[]),
    ("augment", false, &[]),
    ("batch", false, &[]),
    ("iterations", false, &[]),
    ("loss", true, &["on"]),
    ("metric", true, &["on"]),
    ("penalty", true, &["on", "where"]),
    ("project", true, &["on", "where", "every"]),
    ("freeze", true, &["on", "where"]),
    ("optimizer", true, &["on", "where"]),
    ("schedule", false, &[]),
    ("clip", false, &[]),
    ("average", false, &[]),
    ("accumulate", false, &[]),
    ("shards", false, &[]),
    ("evaluate", false, &["every"]),
    ("patience", false, &[]),
    ("views", false, &[]),
    ("checkpoint", false, &["every"]),
    ("precision", false, &[]),
    ("seed", false, &[]),
    ("allow", true, &[]),
];

/// What can stand after `on`, besides names of what is learned.
pub(in crate::lower) const GROUPS: &[(&str, Option<ParamRole>)] = &[
    ("filters", Some(ParamRole::Filter)),
    ("gamma", Some(ParamRole::Gamma)),
    ("beta", Some(ParamRole::Beta)),
    ("biases", Some(ParamRole::Bias)),
    ("learned", Some(ParamRole::Learned)),
    ("all", None),
];

/// Name, type and default of an argument.
type Argument<'t> = (&'t str, Ty, Option<&'t str>);

fn choices(key: &'static str, list: &[(&str, &[Argument<'_>])]) -> Vec<Signature> {
    list.iter()
        .map(|(name, slots)| Signature {
            what: key,
            name: (*name).to_owned(),
            slots: slots
                .iter()
                .map(|(name, ty, default)| Slot {
                    name: (*name).to_owned(),
                    ty: ty.clone(),
                    default: default.map(str::to_owned),
                })
                .collect(),
            header: None,
        })
        .collect()
}

/// What can stand after a key.
pub(in crate::lower) fn options(key: &str, items: &Items) -> Vec<Signature> {
    match key {
        "optimizer" => items.signatures(Kind::Optimizer),
        "average" => items.signatures(Kind::Average),
        "clip" => choices("bound", &[("norm", &[("most", Ty::Float, None)]), ("value", &[("most", Ty::Float, None)])]),
        "checkpoint" => choices("rule", &[("last", &[("count", Ty::Int, None)]), ("best", &[])]),
        "data" => choices(
            "step",
            &[
                ("resize", &[("height", Ty::Int, None), ("width", Ty::Int, None)]),
                ("pad", &[("pixels", Ty::Int, None)]),
                ("channels", &[("count", Ty::Int, None)]),
            ],
        ),
        "augment" => choices(
            "augmentation",
            &[
                ("flip_horizontal", &[("alternate", Ty::Bool, Some("false"))]),
                ("flip_vertical", &[]),
                (
                    "crop",
                    &[
                        ("height", Ty::Int, Some("the image's")),
                        ("width", Ty::Int, Some("the image's")),
                        ("pad", Ty::Int, Some("0")),
                        ("mode", Ty::Word(&Border::WORDS), Some("symmetric")),
                    ],
                ),
                (
                    "random_resized_crop",
                    &[
                        ("height", Ty::Int, None),
                        ("width", Ty::Int, None),
                        ("scale", Ty::List(Box::new(Ty::Float)), Some("[0.08, 1]")),
                        ("ratio", Ty::List(Box::new(Ty::Float)), Some("[3/4, 4/3]")),
                    ],
                ),
                ("rotate", &[("degrees", Ty::Float, None)]),
                (
                    "color_jitter",
                    &[
                        ("brightness", Ty::Float, Some("0")),
                        ("contrast", Ty::Float, Some("0")),
                        ("saturation", Ty::Float, Some("0")),
                    ],
                ),
                ("cutout", &[("size", Ty::Int, None), ("value", Ty::Int, Some("0"))]),
                ("mixup", &[("alpha", Ty::Float, None)]),
                ("cutmix", &[("alpha", Ty::Float, None)]),
            ],
        ),
        "views" => choices(
            "view",
            &[
                ("flip_horizontal", &[]),
                ("shift", &[("pixels", Ty::Int, None), ("mode", Ty::Word(&Border::WORDS), Some("reflect"))]),
            ],
        ),
        "penalty" => items.signatures(Kind::Penalty),
        "project" => choices("projection", &[("normalize", &[])]),
        // Other entries have no words of their own.
        _ => Vec::new(),
    }
}

/// Whether a word says that nothing is to stand after a key.
pub(in crate::lower) fn is_nothing(name: &str) -> bool {
    matches!(name, "none" | "None" | "null" | "nil" | "off" | "no")
}

/// A few options with all they take, more of them by name.
pub(in crate::lower) fn listed(options: &[Signature]) -> String {
    let few = options.len() <= 3;
    let list: Vec<String> =
        options.iter().map(|it| format!("`{}`", if few { it.text() } else { it.name.clone() })).collect();
    list.join(" or ")
}

/// The lints that a recipe allows.
pub(in crate::lower) fn allowed(train: &ast::Train) -> Vec<Code> {
    let names = train.entries.iter().filter(|it| it.key.name == "allow").flat_map(|it| &it.values);
    names.filter_map(|it| if let ExprKind::Name(name) = &it.kind { Code::find(name) } else { None }).collect()
}
