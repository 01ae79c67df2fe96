//! Small sound files of every format, damaged at random: bytes flipped, cut off, said twice. Whatever comes of it, nothing
//! panics, no memory to speak of is taken, and what is read without an error is what was meant, where the format has a
//! checksum, or at least whole.

use crate::files::data::{npy, npz};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use sphc::data::{self, DataError, Dataset};
use sphc::train::weights::Weights;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Damages of each format.
const TRIES: u64 = 400;
/// Kibibytes of addresses that the tries may have: those of the test's own program and threads, and not much beside.
const ADDRESSES: u64 = 700_000;

/// A small set of files that is read as one data set.
struct Sample {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    /// What is read, below the folder.
    wanted: &'static str,
    /// Whether every byte that counts is covered by a checksum.
    checked: bool,
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn picture(value: u8, format: ImageFormat) -> Vec<u8> {
    let image = GrayImage::from_fn(8, 8, |x, y| Luma([value + (7 * x + y) as u8]));
    let mut res = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(image).write_to(&mut res, format).unwrap();
    res.into_inner()
}

fn pictures(name: &'static str, format: ImageFormat, checked: bool) -> Sample {
    let files = ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png"];
    let files = files.into_iter().zip(0..).map(|(path, at)| (path, picture(40 * at, format))).collect();
    Sample { name, files, wanted: "", checked }
}

fn samples() -> Vec<Sample> {
    let record = |label: u8| [vec![label], (0..3072).map(|it| it as u8).collect()].concat();
    let fine = |label: u8| [vec![1, label], (0..3072).map(|it| it as u8).collect()].concat();
    let idx = |extents: &[u32], data: &[u8]| {
        let head = [0, 0, 8, extents.len() as u8];
        [head.to_vec(), extents.iter().flat_map(|it| it.to_be_bytes()).collect(), data.to_vec()].concat()
    };
    let (images, labels) = (idx(&[2, 2, 2], &[9, 8, 7, 6, 5, 4, 3, 2]), idx(&[2], &[0, 1]));
    let arrays = [
        ("x_train", npy::<u8>(&[2, 2, 2, 1], &[9, 8, 7, 6, 5, 4, 3, 2])),
        ("y_train", npy::<i32>(&[2], &[0, 1])),
        ("x_test", npy::<u8>(&[2, 2, 2, 1], &[1, 2, 3, 4, 5, 6, 7, 8])),
        ("y_test", npy::<u8>(&[2], &[1, 0])),
    ];
    let manifest = "name: my\nformat: npz\npath: set.npz\nimage: [2, 2, 1]\nclasses: [a, b]\ntrain_examples: 2\n";
    vec![
        Sample {
            name: "cifar10",
            files: vec![
                ("data_batch_1.bin", record(3)),
                ("test_batch.bin", record(4)),
                ("batches.meta.txt", b"a\nb\n".into()),
            ],
            wanted: "",
            checked: false,
        },
        Sample {
            name: "cifar100",
            files: vec![("train.bin", fine(3)), ("test.bin", fine(99))],
            wanted: "",
            checked: false,
        },
        Sample {
            name: "idx",
            files: vec![
                ("train-images-idx3-ubyte", images.clone()),
                ("train-labels-idx1-ubyte", labels.clone()),
                ("t10k-images-idx3-ubyte", images.clone()),
                ("t10k-labels-idx1-ubyte", labels.clone()),
            ],
            wanted: "",
            checked: false,
        },
        Sample {
            name: "idx.gz",
            files: vec![
                ("train-images-idx3-ubyte.gz", gz(&images)),
                ("train-labels-idx1-ubyte.gz", gz(&labels)),
                ("t10k-images-idx3-ubyte.gz", gz(&images)),
                ("t10k-labels-idx1-ubyte.gz", gz(&labels)),
            ],
            wanted: "",
            checked: true,
        },
        Sample { name: "npz", files: vec![("set.npz", npz(&arrays, false))], wanted: "set.npz", checked: true },
        Sample { name: "packed npz", files: vec![("set.npz", npz(&arrays, true))], wanted: "set.npz", checked: true },
        pictures("png", ImageFormat::Png, true),
        pictures("jpeg", ImageFormat::Jpeg, false),
        Sample {
            name: "manifest",
            files: vec![("my.yaml", manifest.into()), ("set.npz", npz(&arrays, false))],
            wanted: "my.yaml",
            checked: false,
        },
    ]
}

/// Numbers from a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }

    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut res = bytes.to_vec();
        match self.below(8) {
            0 => res.truncate(self.below(bytes.len())),
            1 => {
                let (from, to) = (self.below(bytes.len()), self.below(bytes.len()));
                let (from, to) = (from.min(to), from.max(to));
                res.splice(to..to, bytes[from..to].iter().copied());
            }
            2 => {
                let at = self.below(bytes.len());
                res.drain(at..bytes.len().min(at + 1 + self.below(4)));
            }
            // Extreme numbers, where a length may stand.
            3 => {
                let at = self.below(bytes.len());
                res[at..].iter_mut().take(4).for_each(|it| *it = 0xff);
            }
            _ => {
                for _ in 0..1 + self.below(3) {
                    let at = self.below(bytes.len());
                    res[at] ^= 1 << self.below(8);
                }
            }
        }
        res
    }
}

fn read(place: &Path, wanted: &str) -> Result<Dataset, DataError> {
    let wanted = place.join(wanted).display().to_string();
    let manifest = data::describe(&wanted)?;
    let place = data::place_of(&manifest, &wanted, None)?;
    let _ = data::class_names(&manifest, &wanted, None);
    data::read(&manifest, &place, &[])
}

fn put(place: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Run by the test below, in a process that cannot have much memory.
#[test]
#[ignore = "run by `damage_is_an_error_and_never_more`"]
fn tries() {
    for sample in samples() {
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in &sample.files {
            put(place.path(), name, bytes);
        }
        let sound = read(place.path(), sample.wanted).unwrap();
        let (mut errors, mut same) = (0, 0);
        for seed in 1..=TRIES {
            let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let (name, bytes) = &sample.files[random.below(sample.files.len())];
            let damaged = random.damage(bytes);
            let path = put(place.path(), name, &damaged);
            match read(place.path(), sample.wanted) {
                Err(it) => {
                    errors += 1;
                    assert!(it.to_string().contains('\n'), "no remedy: {it}");
                }
                Ok(it) => {
                    let volume: usize = it.image.len() * it.element().bytes();
                    for split in [&it.train, &it.test] {
                        assert_eq!(split.images.len(), split.len() * volume, "{} {seed}", sample.name);
                        assert!(
                            split.targets.labels().iter().all(|label| (0..it.classes.len() as i64).contains(label))
                        );
                    }
                    let is_same = (&it.train, &it.test) == (&sound.train, &sound.test);
                    assert!(is_same || !sample.checked, "{} {seed}: {name} was read as something else", sample.name);
                    same += usize::from(is_same);
                }
            }
            fs::write(path, bytes).unwrap();
        }
        println!("{}: {errors} errors, {same} the same of {TRIES}", sample.name);
        assert!(0 < errors, "{}: no damage was found", sample.name);
    }
    let checkpoint =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint-format-1.safetensors"));
    let (checkpoint, place) = (checkpoint.unwrap(), tempfile::tempdir().unwrap());
    for seed in 1..=TRIES {
        let damaged = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).damage(&checkpoint);
        let _ = Weights::read(&put(place.path(), "w.safetensors", &damaged));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn damage_is_an_error_and_never_more() {
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -v {ADDRESSES}; exec '{}' --exact files::damage::tries --ignored --nocapture --test-threads 1",
        program.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("manifest: "), "{said}");
    println!("{said}");
}
