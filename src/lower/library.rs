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

/// The paths of all of them.
pub fn paths() -> impl Iterator<Item = String> {
    FILES.iter().map(|it| format!("{FOLDER}{}", it.0))
}
