//! Files of definitions inside the binary, to be imported from anywhere: `import "std/heads.sph"`.

/// What paths of the library start with.
pub const FOLDER: &str = "std/";

/// Names and texts.
const FILES: &[(&str, &str)] = &[
    ("decoupled.sph", include_str!("../../models/operators/decoupled.sph")),
    ("heads.sph", include_str!("../../models/operators/heads.sph")),
    ("normalised.sph", include_str!("../../models/operators/normalised.sph")),
    ("sharpened.sph", include_str!("../../models/operators/sharpened.sph")),
];

/// The text of a file of the library, by its path with the folder.
pub fn text(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix(FOLDER)?;
    FILES.iter().find(|it| it.0 == name).map(|it| it.1)
}

/// The file that defines a name.
pub fn defining(name: &str) -> Option<String> {
    let defines = |line: &str| {
        let mut words = line.splitn(2, ' ');
        let kind = words.next().is_some_and(|it| ["operator", "fn", "block", "layer"].contains(&it));
        let of = words.next().and_then(|it| it.strip_prefix(name));
        kind && of.is_some_and(|it| it.trim_start().starts_with('('))
    };
    FILES.iter().find(|it| it.1.lines().any(defines)).map(|it| format!("{FOLDER}{}", it.0))
}

/// What to write for a name that a file of the library defines.
pub(super) fn import_of(name: &str) -> Option<String> {
    defining(name).map(|it| format!("add `import \"{it}\"`: it defines `{name}`"))
}

/// The library in a sentence.
pub fn listed() -> String {
    let all: Vec<String> = paths().map(|it| format!("`{it}`")).collect();
    format!("the library has {}", all.join(", "))
}

/// The paths of all of them.
pub fn paths() -> impl Iterator<Item = String> {
    FILES.iter().map(|it| format!("{FOLDER}{}", it.0))
}
