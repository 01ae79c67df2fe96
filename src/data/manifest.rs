//! What is known of a data set before it is read: a small YAML file, built in or a user's own.

use super::DataError;
use super::fetch::name_of;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Inside this program.
    Embedded,
    /// CIFAR-10 binary: `data_batch_*.bin`, `test_batch.bin`; one label byte per record.
    Cifar10,
    /// CIFAR-100 binary: `train.bin`, `test.bin`; a coarse and a fine label byte per record.
    Cifar100,
    /// MNIST's: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, each also as `.gz`.
    Idx,
    /// Image files by class: `train/<class>/*.png`, `test/<class>/*.jpg`.
    Images,
    /// NumPy arrays `x_train`, `y_train`, `x_test`, `y_test` in one `.npz` file.
    Npz,
}

/// A file to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Where it is.
    pub url: String,
    /// Its checksum, in hex.
    pub sha256: String,
    /// Its size in bytes, if it is known.
    #[serde(default)]
    pub size: Option<u64>,
    /// Of an archive: the files to take out of it.
    #[serde(default)]
    pub members: Vec<String>,
}

/// What is known of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `cifar10`: its name in a model, and its directory's under `data/`.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub title: String,
    /// Storage.
    pub format: Format,
    /// Height, width, channels of an image; not needed of a data set that is there.
    #[serde(default)]
    pub image: Option<[usize; 3]>,
    /// Names of the classes; not needed of images by class.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Examples of its usual training set.
    #[serde(default)]
    pub train_examples: usize,
    /// Examples of its usual test set.
    #[serde(default)]
    pub test_examples: usize,
    /// Name of the directory that its official archive unpacks to.
    #[serde(default)]
    pub directory: Option<String>,
    /// Of a user's own: where it is, seen from the manifest.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What to fetch.
    #[serde(default)]
    pub files: Vec<Remote>,
}

const BUILT_IN: [&str; 5] = [
    include_str!("manifests/cifar10.yaml"),
    include_str!("manifests/cifar100.yaml"),
    include_str!("manifests/digits.yaml"),
    include_str!("manifests/fashion_mnist.yaml"),
    include_str!("manifests/mnist.yaml"),
];

/// Every data set that a model can name.
pub fn catalog() -> &'static [Manifest] {
    static CATALOG: OnceLock<Vec<Manifest>> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let parse = |it: &&str| serde_yaml::from_str(it).expect("the built-in manifests are sound");
        BUILT_IN.iter().map(parse).collect()
    })
}

/// A built-in manifest by name.
pub fn find(name: &str) -> Option<&'static Manifest> {
    catalog().iter().find(|it| it.name == name)
}

/// `cifar10, cifar100, digits, ...`.
pub(super) fn names() -> String {
    catalog().iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Reads a user's manifest.
pub(super) fn read(path: &Path) -> Result<Manifest, DataError> {
    let text = std::fs::read_to_string(path).map_err(|cause| DataError::Read { path: path.into(), cause })?;
    let fail = |cause: String| DataError::Manifest { path: path.into(), cause };
    let mut manifest: Manifest = serde_yaml::from_str(&text).map_err(|it| fail(it.to_string()))?;
    let plain = |it: &str| !it.is_empty() && !it.starts_with('.') && !it.contains(['/', '\\']);
    if !plain(&manifest.name) {
        return Err(fail(format!("`{}` cannot be the name of a data set: it names a folder", manifest.name)));
    }
    if manifest.format == Format::Embedded {
        return Err(fail("only the program's own data set is embedded".into()));
    }
    for (at, file) in manifest.files.iter().enumerate() {
        if manifest.files[..at].iter().any(|it| name_of(it) == name_of(file)) {
            return Err(fail(format!("two of its files would be called `{}`", name_of(file))));
        }
        if file.sha256.len() != 64 || !file.sha256.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(fail(format!("the sha256 of `{}` is not 64 hexadecimal digits", file.url)));
        }
        if let Some(wrong) = file.members.iter().find(|it| !plain(it)) {
            return Err(fail(format!("`{wrong}` is not the plain name of a file")));
        }
    }
    let is_file = manifest.path.as_ref().is_some_and(|it| it.extension().is_some_and(|it| it == "npz"));
    if is_file && !manifest.files.is_empty() {
        return Err(fail("`path` must be a folder, for `files` to be put into it".into()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    manifest.path = manifest.path.map(|it| folder.join(it));
    Ok(manifest)
}

impl Manifest {
    /// Of a directory or file that has none.
    pub(super) fn bare(name: String, format: Format) -> Manifest {
        Manifest {
            name,
            title: String::new(),
            format,
            image: None,
            classes: Vec::new(),
            train_examples: 0,
            test_examples: 0,
            directory: None,
            path: None,
            files: Vec::new(),
        }
    }

    /// How to get it: one sentence.
    pub fn remedy(&self, argument: &str) -> String {
        if self.files.is_empty() {
            return "nothing tells where it can be fetched; give its directory with `--data DIR`".into();
        }
        let hosts: Vec<&str> = self.files.iter().filter_map(|it| it.url.split('/').nth(2)).collect();
        format!("`sphc data fetch {argument}` gets it from {}, or give its directory with `--data DIR`", hosts[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_manifests_are_complete_and_in_order() {
        assert_eq!(names(), "cifar10, cifar100, digits, fashion_mnist, mnist");
        for it in catalog() {
            assert!(it.image.is_some() && !it.classes.is_empty() && 0 < it.train_examples, "{}", it.name);
            assert_eq!(it.files.is_empty(), it.format == Format::Embedded, "{}", it.name);
            assert!(it.files.iter().all(|it| it.sha256.len() == 64), "{}", it.name);
        }
        assert_eq!(find("cifar100").unwrap().classes.len(), 100);
    }

    #[test]
    fn a_users_manifest_is_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.yaml");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map_or_else(|it| it.to_string(), |it| format!("{it:?}"))
        };
        assert!(
            said("name: my\nformat: npz\npath: my.npz\n").contains(&*directory.path().join("my.npz").to_string_lossy())
        );
        assert!(said("name: my\nformat: zip\n").contains("my.yaml"), "an unknown format");
        assert!(said("name: ../up\nformat: npz\n").contains("cannot be the name"));
        assert!(said("name: my\nformat: npz\nfile: x\n").contains("file"), "an unknown key");
        let remote = "name: my\nformat: npz\nfiles:\n  - url: http://x/y.npz\n    sha256: ";
        assert!(said(&format!("{remote}abc\n")).contains("64 hexadecimal digits"));
        let sum = "0".repeat(64);
        let twice = format!("  - url: http://z/y.npz\n    sha256: \"{sum}\"\n");
        assert!(said(&format!("{remote}\"{sum}\"\n{twice}")).contains("would be called `y.npz`"));
        assert!(said(&format!("{remote}\"{sum}\"\n    members: [../../etc/passwd]\n")).contains("plain name"));
    }
}
