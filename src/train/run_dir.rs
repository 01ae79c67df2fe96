//! The run directory: who may use it, what is in it, and how files get there whole.

use super::{Init, TrainError};
use crate::ir::Precision;
use crate::plan::Training;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything needed to repeat a run: `config.yaml`.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Version of the program.
    pub sphc: String,
    /// The command, as it was typed.
    pub command: Vec<String>,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the sources and settings.
    pub hash: String,
    /// Of initial values, shuffling and augmentation.
    pub seed: u64,
    /// Arithmetic.
    pub precision: Precision,
    /// What it ran on.
    pub device: String,
    /// `--set`, in order.
    pub set: Vec<String>,
    /// Whether `--no-shuffle` was given.
    pub no_shuffle: bool,
    /// Whether `--no-augment` was given.
    pub no_augment: bool,
    /// Where the data set was read from.
    pub data: String,
    /// Weights that it started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Whether all of them had to fit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub init_strict: bool,
    /// What their tensors were renamed by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init_map: Vec<String>,
    /// The losses of every so many iterations are logged.
    pub log_every: u64,
    /// The recipe's numbers, after all settings.
    pub training: Training,
    /// The texts that were compiled.
    pub sources: Vec<SourceText>,
}

/// A text that was compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceText {
    /// Its path.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// What a run was started with, as far as it decides the numbers of its steps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Started {
    /// The model's name.
    #[serde(default)]
    pub model: String,
    /// What it ran on.
    #[serde(default)]
    pub device: String,
    /// `--set`, in order.
    pub set: Vec<String>,
    /// Of initial values, shuffling and augmentation.
    pub seed: u64,
    /// Whether `--no-shuffle` was given.
    pub no_shuffle: bool,
    /// Whether `--no-augment` was given.
    pub no_augment: bool,
    /// Where the data set was read from.
    pub data: String,
    /// Arithmetic.
    pub precision: Precision,
    /// The recipe's numbers.
    pub training: Training,
    /// Weights that it started from.
    #[serde(default)]
    pub init: Option<PathBuf>,
    /// Whether all of them had to fit.
    #[serde(default)]
    pub init_strict: bool,
    /// What their tensors were renamed by.
    #[serde(default)]
    pub init_map: Vec<String>,
    /// The losses of every so many iterations were logged, where that is known.
    #[serde(default)]
    pub log_every: Option<u64>,
    /// SHA-256 of the sources and settings, the seed among them.
    #[serde(default)]
    pub hash: String,
    /// The texts that were compiled; none of a plan.
    #[serde(default)]
    pub sources: Vec<SourceText>,
}

impl Started {
    /// The weights that it started from, and how.
    pub(super) fn init(self) -> Option<Init> {
        Some(Init { path: self.init?, strict: self.init_strict, map: self.init_map })
    }

    /// All but the seed, and what changes no number: where texts lie, what it ran on, how often losses were logged. Runs of
    /// which this is equal are one experiment.
    pub fn but_for_the_seed(&self) -> Started {
        let text = |it: &SourceText| {
            let lines: Vec<&str> = it.text.lines().filter(|it| !is_seed(it)).collect();
            SourceText { path: String::new(), text: lines.join("\n") }
        };
        let sources: Vec<SourceText> = self.sources.iter().map(text).collect();
        // The hash changes with the seed. Of a plan nothing else tells its text, and its seed is fixed.
        let hash = if sources.is_empty() { self.hash.clone() } else { String::new() };
        Started { seed: 0, device: String::new(), log_every: None, hash, sources, ..self.clone() }
    }

    /// Reads a run's `config.yaml`.
    pub fn read(run: &Path) -> Result<Started, TrainError> {
        let path = run.join("config.yaml");
        let fail = |cause: String| TrainError::RunDirectory {
            path: run.into(),
            cause: format!("`config.yaml` cannot be read: {cause}"),
            remedy: "give the directory of a run that `sphc train` made".into(),
        };
        let text = fs::read_to_string(path).map_err(|it| fail(it.to_string()))?;
        crate::data::yaml::read(&text).map_err(fail)
    }
}

/// Whether a line is `seed 3` of a recipe.
fn is_seed(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let number = |it: &str| it.chars().all(|it| it.is_ascii_digit() || it == '_');
    words.next() == Some("seed") && words.next().is_some_and(number)
}

/// A directory that this process may write to, for as long as this value lives.
#[derive(Debug)]
pub(super) struct RunDir {
    pub(super) path: PathBuf,
    lock: File,
}

const UNFINISHED: &str = ".unfinished-";

/// What a run is locked by. The directory itself where that can be opened: a file in it could be removed while the run goes
/// on, and the next training would lock another one of that name.
#[cfg(unix)]
fn lock_file(run: &Path) -> io::Result<File> {
    File::open(run)
}

#[cfg(not(unix))]
fn lock_file(run: &Path) -> io::Result<File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(run.join(".lock"))
}

/// Takes the lock. Who only looks whether it is taken, as `sphc runs` does, has it for a moment.
fn locked(lock: &File) -> Result<(), TryLockError> {
    const MOMENT: Duration = Duration::from_millis(20);
    for _ in 0..10 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(MOMENT),
            found => return found,
        }
    }
    lock.try_lock()
}

/// Whether a training uses a directory now.
pub(super) fn is_locked(run: &Path) -> bool {
    // On other systems looking would make the file.
    let there = cfg!(unix) || run.join(".lock").exists();
    there && lock_file(run).is_ok_and(|it| matches!(it.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether a directory looks like a run, or like one that died before it wrote anything.
pub(super) fn may_be_run(path: &Path) -> bool {
    if ["config.yaml", "metrics.jsonl"].iter().any(|it| path.join(it).is_file()) {
        return true;
    }
    let Ok(files) = fs::read_dir(path) else { return false };
    files.flatten().all(|it| {
        let name = it.file_name();
        let name = name.to_string_lossy();
        matches!(&*name, "checkpoints" | ".lock") || name.starts_with(UNFINISHED)
    })
}

impl RunDir {
    /// Makes a directory for a new run, or takes an existing one for `resume`.
    pub(super) fn open(path: &Path, resume: bool) -> Result<RunDir, TrainError> {
        let fail = |cause: String, remedy: &str| TrainError::RunDirectory {
            path: path.into(),
            cause,
            remedy: remedy.to_owned(),
        };
        let elsewhere = "give a directory that can be written to with `--run DIR`";
        if path.exists() && !path.is_dir() {
            return Err(fail("it is a file".into(), elsewhere));
        }
        let holds_run = || {
            let remedy = "go on with it with `--resume`, or give another directory with `--run DIR`";
            let there = !resume && path.join("metrics.jsonl").exists();
            if there { Err(fail("it already holds a run".into(), remedy)) } else { Ok(()) }
        };
        holds_run()?;
        fs::create_dir_all(path.join("checkpoints")).map_err(|it| fail(it.to_string(), elsewhere))?;
        let lock = lock_file(path).map_err(|it| fail(it.to_string(), elsewhere))?;
        match locked(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let remedy = "wait for it, stop it, or give another directory with `--run DIR`";
                return Err(fail("another training is using it".into(), remedy));
            }
            // Some network file systems cannot lock; that must not keep anyone from training.
            Err(TryLockError::Error(_)) => {}
        }
        // Another training may have been through with it meanwhile.
        holds_run()?;
        let res = RunDir { path: path.into(), lock };
        res.remove_unfinished();
        Ok(res)
    }

    /// Files that a killed process was writing.
    fn remove_unfinished(&self) {
        for directory in [self.path.clone(), self.checkpoints()] {
            for file in fs::read_dir(directory).into_iter().flatten().flatten() {
                if file.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    // Left over or not, it is in nobody's way.
                    let _ = fs::remove_file(file.path());
                }
            }
        }
    }

    /// Whether it is still where it was.
    pub(super) fn is_there(&self) -> bool {
        self.is_ours() && self.checkpoints().is_dir() && self.metrics().is_file()
    }

    /// Whether what is at the path now is what was locked.
    #[cfg(unix)]
    fn is_ours(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let place = |it: &fs::Metadata| (it.dev(), it.ino());
        matches!((fs::metadata(&self.path), self.lock.metadata()), (Ok(a), Ok(b)) if place(&a) == place(&b))
    }

    #[cfg(not(unix))]
    fn is_ours(&self) -> bool {
        self.path.join(".lock").exists()
    }

    /// Makes what is missing of it.
    pub(super) fn make_again(&mut self) -> Result<(), TrainError> {
        let path = self.path.clone();
        if !self.is_ours() {
            *self = RunDir::open(&path, true)?;
        }
        let fail = |it: io::Error| TrainError::write(&path, &self.checkpoints(), it);
        fs::create_dir_all(self.checkpoints()).map_err(fail)
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    pub(super) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Writes a file of this run.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
        write_atomically(path, bytes).map_err(|it| TrainError::write(&self.path, path, it))
    }

    /// Writes a checkpoint; `fill` says what is in it.
    pub(super) fn write_checkpoint(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), TrainError> {
        fill_atomically(path, |file| fill(file)).map_err(|it| TrainError::write(&self.path, path, it))
    }

    /// Writes `config.yaml`. A resumed run keeps the one it was started with, unless its recipe's numbers
    /// were changed since.
    pub(super) fn write_manifest(&self, manifest: &Manifest, resume: bool) -> Result<(), TrainError> {
        #[derive(Deserialize)]
        struct Earlier {
            training: Training,
        }
        let path = self.path.join("config.yaml");
        let earlier = fs::read_to_string(&path).ok().and_then(|it| serde_yaml::from_str::<Earlier>(&it).ok());
        if resume && earlier.is_some_and(|it| it.training == manifest.training) {
            return Ok(());
        }
        let text = serde_yaml::to_string(manifest).expect("a manifest is plain data");
        self.write(&path, text.as_bytes())
    }
}

/// `step-00035000.safetensors`.
pub(super) fn checkpoint_name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

/// Checkpoints of a run, newest first.
pub fn checkpoints(run: &Path) -> Vec<(u64, PathBuf)> {
    let mut res: Vec<(u64, PathBuf)> = fs::read_dir(run.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| {
            let name = file.file_name();
            let step = name.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            Some((step.parse().ok()?, file.path()))
        })
        .collect();
    res.sort();
    res.reverse();
    res
}

/// Writes a file whole: whatever happens, `path` is the old file or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fill_atomically(path, |out| out.write_all(bytes))
}

/// Writes to a temporary name, waits for the disk, then renames.
pub fn fill_atomically(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Others may read a run; the umask still applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|it| it.error)?;
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}
