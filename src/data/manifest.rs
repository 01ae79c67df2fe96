//! What is known of a data set before it is read: a small YAML file, built in or a user's own.

use super::DataError;
use super::bound::text;
use super::error::{self, few};
use super::fetch::name_of;
use super::unpack::is_archive;
use crate::ir::{Extremes, Shape};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
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
    /// Image files and those of the classes of their pixels: `train/images/*.png`, `train/masks/*.png`, and so for `test`.
    Masks,
    /// NumPy arrays `x_train`, `y_train`, `x_test`, `y_test` in an `.npz` file, or in several.
    Npz,
    /// Image files and tables of what they are to be answered with: `train.csv` and `test.csv`.
    Csv,
}

impl Format {
    /// What there must be for it, in a folder or as a file.
    pub(super) fn files(self) -> &'static str {
        match self {
            Format::Embedded => "what is part of the program",
            Format::Cifar10 => "`data_batch_*.bin` and `test_batch.bin`",
            Format::Cifar100 => "`train.bin` and `test.bin`",
            Format::Idx => "`train-images-idx3-ubyte` and the other files of MNIST",
            Format::Images => "`train/<class>` and `test/<class>`, or with `split` the folders of the classes",
            Format::Masks => "`train/images`, `train/masks`, `test/images` and `test/masks`",
            Format::Npz => "one .npz file, or `train*.npz` and `test*.npz`",
            Format::Csv => "`train.csv`, a table of pictures",
        }
    }
}

/// What the labels of a data set's arrays are, where their extents and dtype could mean two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// A class for each image.
    Class,
    /// 0 or 1 for each class.
    Labels,
    /// Numbers.
    Numbers,
    /// A class for each pixel.
    Pixels,
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `cifar10`: its name in a model, and its directory's under `data/`.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub title: String,
    /// Storage.
    pub format: Format,
    /// Extents of an example: height, width, channels of an image; those of the files must be the same.
    #[serde(default)]
    pub image: Option<Shape>,
    /// The least and the largest number of the examples, where they are not 0 and 255.
    #[serde(default)]
    pub range: Option<Extremes>,
    /// Names of the classes; of images by class they are those of the folders.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What the labels of arrays are, where it is not to be told from them.
    #[serde(default)]
    pub target: Option<Answer>,
    /// How many classes images by class have, where it is known before their folders are seen.
    #[serde(default)]
    pub class_count: Option<usize>,
    /// Examples of its usual training set; other numbers are told.
    #[serde(default)]
    pub train_examples: usize,
    /// Examples of its usual test set.
    #[serde(default)]
    pub test_examples: usize,
    /// Of arrays in several files: those for training, by their names, in which a star stands for any signs; of tables, that for
    /// training.
    #[serde(default, deserialize_with = "several")]
    pub train: Vec<String>,
    /// Those for tests.
    #[serde(default, deserialize_with = "several")]
    pub test: Vec<String>,
    /// Those for validation, if there are some.
    #[serde(default, deserialize_with = "several")]
    pub val: Vec<String>,
    /// Of tables: the folder of the pictures, seen from that of the tables.
    #[serde(default)]
    pub images: Option<PathBuf>,
    /// The column that names the file of a picture; the first unless told.
    #[serde(default)]
    pub file: Option<String>,
    /// The columns that are targets; all others unless told.
    #[serde(default, deserialize_with = "several")]
    pub columns: Vec<String>,
    /// Of what has no part for tests: the share of its examples that is, of images by class that of each class.
    #[serde(default)]
    pub split: Option<f64>,
    /// What chooses them.
    #[serde(default)]
    pub split_seed: Option<u64>,
    /// Name of the directory that its official archive unpacks to, looked for beside `name`.
    #[serde(default)]
    pub directory: Option<String>,
    /// Of a user's own: where it is, seen from the manifest.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What to fetch.
    #[serde(default)]
    pub files: Vec<Remote>,
}

/// One name, or a list of them.
fn several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a name or a list of names; a number, `y` or `n` needs quotes")]
    enum Several {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Several::deserialize(from)? {
        Several::One(it) => vec![it],
        Several::Many(all) => all,
    })
}

const BUILT_IN: [&str; 6] = [
    include_str!("manifests/cifar10.yaml"),
    include_str!("manifests/cifar100.yaml"),
    include_str!("manifests/digits.yaml"),
    include_str!("manifests/fashion_mnist.yaml"),
    include_str!("manifests/imagenet.yaml"),
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
    let text = text(path)?;
    let fail = |cause: String| DataError::Manifest { path: path.into(), cause };
    let manifest: Manifest = super::yaml::read(&text).map_err(fail)?;
    manifest.check().map_err(fail)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Manifest { path: manifest.path.as_ref().map(|it| folder.join(it)), ..manifest })
}

/// Whether a text can be the name of one file or folder.
fn plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']) && !name.contains(error::is_obeyed)
}

impl Remote {
    /// The server it is on.
    fn host(&self) -> Option<&str> {
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"))?;
        rest.split(['/', '?', '#']).next().filter(|it| !it.is_empty())
    }

    fn check(&self) -> Result<(), String> {
        if self.host().is_none() {
            return Err(format!("the url `{}` is not an address that begins with http:// or https://", self.url));
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(format!("the sha256 of `{}` is not 64 hexadecimal digits", self.url));
        }
        if self.size == Some(0) {
            return Err(format!("the size of `{}` is 0 bytes", self.url));
        }
        if let Some(wrong) = self.members.iter().find(|it| !plain(it)) {
            return Err(format!("`{wrong}` is not the plain name of a file"));
        }
        if !self.members.is_empty() && !is_archive(&name_of(self)) {
            return Err(format!(
                "`members` of `{}` have no effect: it is not an archive (.tar, .tar.gz, .tgz, .zip)",
                self.url
            ));
        }
        Ok(())
    }
}

impl Manifest {
    /// That what a user's manifest says can be, and that nothing is said in vain.
    fn check(&self) -> Result<(), String> {
        if !plain(&self.name) {
            return Err(format!("`{}` cannot be the name of a data set: it names a folder", self.name.escape_debug()));
        }
        if self.format == Format::Embedded {
            return Err("only the program's own data set is embedded".into());
        }
        if let Some(image) = &self.image {
            if image.0.contains(&0) {
                return Err("`image` has an extent of 0".into());
            }
            let fits = if self.format == Format::Npz { 0 < image.rank() } else { image.rank() == 3 };
            if !fits {
                return Err(format!("`image` is {image}, while images have a height, a width and channels"));
            }
        }
        if let Some(range) = self.range.filter(|it| !(it.least() < it.most() && it.within([f64::MIN, f64::MAX]))) {
            return Err(format!("`range` is {range}, not the least and the largest number"));
        }
        let files = [&self.train, &self.test, &self.val];
        if files.iter().any(|it| !it.is_empty()) {
            match self.format {
                Format::Npz if self.train.is_empty() => return Err("`train` names no file".into()),
                Format::Npz => {}
                Format::Csv if files.iter().any(|it| 1 < it.len() || it.iter().any(|it| it.contains('*'))) => {
                    return Err("`train`, `test` and `val` name one table each".into());
                }
                Format::Csv => {}
                Format::Embedded
                | Format::Cifar10
                | Format::Cifar100
                | Format::Idx
                | Format::Images
                | Format::Masks => {
                    return Err(
                        "`train`, `test` and `val` have no effect but for arrays and tables (`format: npz`, `csv`)"
                            .into(),
                    );
                }
            }
            if let Some(wrong) = files.into_iter().flatten().find(|it| !plain(it) || 1 < it.matches('*').count()) {
                return Err(format!(
                    "`{}` is not the plain name of a file, with one star at most",
                    error::plain(wrong)
                ));
            }
        }
        let mut classes = BTreeSet::new();
        for (at, class) in self.classes.iter().enumerate() {
            if class.is_empty() {
                return Err(format!("class {at} has an empty name"));
            }
            if !classes.insert(class) {
                return Err(format!("two classes are called `{}`", class.escape_debug()));
            }
        }
        if self.class_count.is_some() && (self.format != Format::Images || !self.classes.is_empty()) {
            return Err("`class_count` has no effect but for images by class whose `classes` are not named".into());
        }
        if self.target.is_some() && !matches!(self.format, Format::Npz | Format::Csv) {
            return Err(
                "`target` has no effect but for arrays and tables (`format: npz`, `csv`): other formats have a class for \
                 each image"
                    .into(),
            );
        }
        let of_tables =
            [("images", self.images.is_some()), ("file", self.file.is_some()), ("columns", !self.columns.is_empty())];
        if let Some((key, _)) = of_tables.iter().find(|it| it.1 && self.format != Format::Csv) {
            return Err(format!("`{key}` has no effect but for tables (`format: csv`)"));
        }
        if self.split.is_some() && !matches!(self.format, Format::Images | Format::Npz | Format::Csv) {
            return Err(
                "`split` has no effect but for images by class, arrays and tables (`format: images`, `npz`, `csv`)"
                    .into(),
            );
        }
        if self.split.is_some_and(|it| !(0.0 < it && it < 1.0)) {
            return Err("`split` is a share of the images, above 0 and below 1".into());
        }
        if self.split_seed.is_some() && self.split.is_none() {
            return Err("`split_seed` has no effect without `split`".into());
        }
        if self.split.is_some() && !self.files.is_empty() {
            return Err("`split` has no effect on what is fetched, of which `train` and `test` are taken".into());
        }
        if self.target == Some(Answer::Numbers) && !self.classes.is_empty() {
            return Err("`classes` have no effect beside `target: numbers`".into());
        }
        if self.directory.is_some() && self.path.is_some() {
            return Err("`directory` has no effect beside `path`".into());
        }
        let mut files = BTreeSet::new();
        for file in &self.files {
            file.check()?;
            if !files.insert(name_of(file)) {
                return Err(format!("two of its files would be called `{}`", name_of(file)));
            }
            if matches!(self.format, Format::Images | Format::Masks) && !file.members.is_empty() {
                return Err("`members` of images by class lie in no folders: leave them out to take all".into());
            }
        }
        let is_file = self.path.as_ref().is_some_and(|it| it.extension().is_some_and(|it| it == "npz"));
        if is_file && !self.files.is_empty() {
            return Err("`path` must be a folder, for `files` to be put into it".into());
        }
        Ok(())
    }

    /// That names of classes are those of the folders, which decide them.
    pub(super) fn check_folders(&self, classes: &[String]) -> Result<(), String> {
        if let Some(count) = self.class_count.filter(|it| *it != classes.len()) {
            return Err(format!("its `class_count` is {count}, and `train` has folders of {} classes", classes.len()));
        }
        if self.classes.is_empty() || self.classes == classes {
            return Ok(());
        }
        let mut sorted = self.classes.clone();
        sorted.sort();
        let found = if sorted == classes { "in another order than" } else { "others than" };
        Err(format!(
            "its `classes` are {found} the folders of `train`, which are the classes of images, in order of their names: {}; \
             leave `classes` out",
            few(classes)
        ))
    }

    /// How many classes it is known to have; 0 where that is not known.
    pub fn known_classes(&self) -> usize {
        self.class_count.unwrap_or(self.classes.len())
    }

    /// Of a directory or file that has none.
    pub(super) fn bare(name: String, format: Format) -> Manifest {
        Manifest {
            name,
            title: String::new(),
            format,
            image: None,
            range: None,
            classes: Vec::new(),
            target: None,
            class_count: None,
            train_examples: 0,
            test_examples: 0,
            train: Vec::new(),
            test: Vec::new(),
            val: Vec::new(),
            images: None,
            file: None,
            columns: Vec::new(),
            split: None,
            split_seed: None,
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
        let host = self.files.iter().find_map(Remote::host).unwrap_or("its server");
        format!("`sphc data fetch {argument}` gets it from {host}, or give its directory with `--data DIR`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_manifests_are_complete_and_in_order() {
        assert_eq!(names(), "cifar10, cifar100, digits, fashion_mnist, imagenet, mnist");
        for it in catalog() {
            assert!(it.image.is_some() && 0 < it.known_classes() && 0 < it.train_examples, "{}", it.name);
            let fetched = !matches!(it.format, Format::Embedded | Format::Images);
            assert_eq!(!it.files.is_empty(), fetched, "{}", it.name);
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

    #[test]
    fn nothing_in_a_manifest_is_in_vain() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.yaml");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map_or_else(|it| it.to_string(), |it| format!("{it:?}"))
        };
        let sum = "0".repeat(64);
        let file = |url: &str, more: &str| format!("files: [{{url: \"{url}\", sha256: \"{sum}\"{more}}}]\n");
        let npz = "name: my\nformat: npz\n";
        let cases = [
            (file("", ""), "the url `` is not an address"),
            (file("ftp://x/y.npz", ""), "begins with http:// or https://"),
            (file("http://", ""), "not an address"),
            (file("http:///y.npz", ""), "not an address"),
            (file("http://x/y.npz", ", members: [a]"), "`members` of `http://x/y.npz` have no effect"),
            (file("http://x/y.npz", ", size: 0"), "0 bytes"),
            (file("http://x/y.npz", ", size: -1"), "my.yaml"),
            (file("http://x/y.npz", ", size: 1e30"), "my.yaml"),
            ("path: a\ndirectory: b\n".into(), "`directory` has no effect beside `path`"),
            ("classes: [a, b, a]\n".into(), "two classes are called `a`"),
            ("classes: [a, '']\n".into(), "class 1 has an empty name"),
            ("classes: 7\n".into(), "my.yaml"),
            ("classes: {a: b}\n".into(), "my.yaml"),
            ("image: []\n".into(), "while images have"),
            ("range: [16, 0]\n".into(), "`range` is 16 to 0, not the least and the largest"),
            ("range: [3, 3]\n".into(), "not the least and the largest"),
            ("range: [0, .inf]\n".into(), "not the least and the largest"),
            ("test: a.npz\n".into(), "`train` names no file"),
            ("columns: [a]\n".into(), "`columns` has no effect but for tables"),
            ("images: a\n".into(), "`images` has no effect but for tables"),
            ("train: [a.npz, ../b.npz]\n".into(), "`../b.npz` is not the plain name"),
            ("train: a**.npz\n".into(), "with one star at most"),
            ("train: {a: b}\n".into(), "expected a name or a list of names"),
            ("image: [8, 8, 0]\n".into(), "extent of 0"),
            ("image: [99999999999999999999, 8, 1]\n".into(), "my.yaml"),
            ("name: again\n".into(), "my.yaml"),
            ("train_examples: many\n".into(), "my.yaml"),
        ];
        for (text, expected) in cases {
            let found = said(&format!("{npz}{text}"));
            assert!(found.contains(expected) && !found.starts_with("Manifest {"), "{text}: {found}");
        }
        assert!(said("name: my\nformat: csv\ntrain: [a.csv, b.csv]\n").contains("name one table each"));
        assert!(said("name: my\nformat: images\ntrain: a.npz\n").contains("have no effect but for arrays and tables"));
        let images = format!("name: my\nformat: images\n{}", file("http://x/y.zip", ", members: [a.png]"));
        assert!(said(&images).contains("lie in no folders"));
        // An address without a path is one.
        assert!(said(&format!("{npz}{}", file("http://x", ""))).starts_with("Manifest {"));
    }

    #[test]
    fn manifests_that_blow_up_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.yaml");
        let mut text = "name: my\nformat: npz\nclasses:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..12 {
            let row = vec![format!("*a{}", at - 1); 10].join(", ");
            text += &format!("- &a{at} [{row}]\n");
        }
        std::fs::write(&path, text).unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, "[".repeat(100_000)).unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, " ".repeat(2 << 20)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("too many"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read(&path).is_err());
        assert!(read(directory.path()).is_err());
    }
}
