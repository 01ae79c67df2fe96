//! Downloads: with resumption, checked against the manifest's sum, and complete before they are seen.

#[cfg(feature = "fetch")]
mod http;
#[cfg(not(feature = "fetch"))]
mod none;

use super::manifest::{Manifest, Remote};
use super::unpack::{is_archive, unpack};
use super::{FetchError, home, place_of};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(feature = "fetch")]
use http::attempt;
#[cfg(not(feature = "fetch"))]
use none::attempt;

/// How patient a download is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A server that is silent for this long is given up.
    pub silence: Duration,
    /// Attempts that bring nothing new, before the whole is given up.
    pub attempts: usize,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { silence: Duration::from_secs(30), attempts: 4 }
    }
}

/// What happens, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file is asked for.
    Asked {
        /// Where it is.
        url: &'a str,
        /// Bytes that were here already.
        have: u64,
        /// Its size, once it is known.
        size: Option<u64>,
    },
    /// So many bytes of it are here.
    Bytes(u64),
    /// All of it is here and as it should be.
    Sound,
}

/// Fetches a data set with the usual patience and without a word; see [`fetch`].
pub fn quietly(manifest: &Manifest, wanted: &str, root: Option<&Path>) -> Result<PathBuf, FetchError> {
    fetch(manifest, wanted, root, Patience::default(), &mut |_| {})
}

/// Fetches a data set to where it is looked for, unless it is there; returns the place. `wanted` is what the user
/// called it, `root` the folder of the user's data sets.
pub fn fetch(
    manifest: &Manifest,
    wanted: &str,
    root: Option<&Path>,
    patience: Patience,
    see: &mut dyn FnMut(Event),
) -> Result<PathBuf, FetchError> {
    let directory = home(manifest, root);
    let nothing =
        |cause: String, remedy: &str| FetchError::Nothing { name: manifest.name.clone(), cause, remedy: remedy.into() };
    if let Ok(place) = place_of(manifest, wanted, root) {
        return match place {
            super::Place::At(it) => Ok(it),
            super::Place::Embedded => Err(nothing("it is part of sphc".into(), "train with it as it is")),
        };
    }
    if manifest.files.is_empty() {
        return Err(nothing("its manifest has no `files`".into(), "give its directory with `--data DIR`"));
    }
    if cfg!(not(feature = "fetch")) {
        let remedy =
            format!("build it with `--features fetch`, or put the files into `{}` by hand", directory.display());
        return Err(nothing("this build of sphc has no downloads".into(), &remedy));
    }
    // An empty folder is in nobody's way.
    let _ = fs::remove_dir(&directory);
    if directory.exists() {
        let cause = format!("`{}` is there already, but holds no complete data set", directory.display());
        return Err(nothing(cause, "move it away, then fetch again"));
    }
    let beside = |prefix: &str| {
        let name = directory.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
        directory.with_file_name(format!(".{prefix}-{name}"))
    };
    let (downloads, complete) = (beside("fetching"), beside("unpacking"));
    let made = |path: &Path| fs::create_dir_all(path).map_err(|cause| FetchError::Write { path: path.into(), cause });
    made(&downloads)?;
    let mut files = Vec::new();
    for remote in &manifest.files {
        let res = download(remote, &downloads, &directory, patience, see);
        if res.is_err() {
            // Only what can be gone on with stays.
            let _ = fs::remove_dir(&downloads);
        }
        files.push(res?);
    }
    // Left over of a process that was killed here.
    let _ = fs::remove_dir_all(&complete);
    made(&complete)?;
    let res = place_files(manifest, &files, &complete, &directory);
    if res.is_err() {
        let _ = fs::remove_dir_all(&complete);
    }
    let _ = fs::remove_dir_all(&downloads);
    res.map(|()| directory)
}

/// Unpacks or moves the files, and gives their folder its name at the end.
fn place_files(manifest: &Manifest, files: &[PathBuf], complete: &Path, directory: &Path) -> Result<(), FetchError> {
    for (remote, file) in manifest.files.iter().zip(files) {
        let name = name_of(remote);
        if is_archive(&name) {
            let fail = |cause| FetchError::Unpack { url: remote.url.clone(), cause };
            unpack(file, &remote.members, complete).map_err(fail)?;
        } else {
            let path = complete.join(&name);
            fs::rename(file, &path).map_err(|cause| FetchError::Write { path, cause })?;
        }
    }
    fs::rename(complete, directory).map_err(|cause| FetchError::Write { path: directory.into(), cause })
}

/// The last part of an address, as far as it makes a file's name.
pub(super) fn name_of(remote: &Remote) -> String {
    let path = remote.url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let plain: String = last.chars().filter(|it| it.is_ascii_alphanumeric() || "-_.".contains(*it)).collect();
    match plain.trim_start_matches('.') {
        "" => "data".into(),
        it => it.into(),
    }
}

/// A file that is complete and has its sum.
fn download(
    remote: &Remote,
    downloads: &Path,
    directory: &Path,
    patience: Patience,
    see: &mut dyn FnMut(Event),
) -> Result<PathBuf, FetchError> {
    let path = downloads.join(name_of(remote));
    if path.exists() && sum(&path).is_ok_and(|it| it.eq_ignore_ascii_case(&remote.sha256)) {
        return Ok(path);
    }
    let part = downloads.join(format!("{}.part", name_of(remote)));
    let (mut most, mut idle) = (0, 0);
    loop {
        let have = fs::metadata(&part).map_or(0, |it| it.len());
        if most < have {
            (most, idle) = (have, 0);
        }
        match attempt(remote, &part, patience, see) {
            Ok(()) => break,
            Err(Stopped::Write(cause)) => return Err(FetchError::Write { path: part, cause }),
            Err(Stopped::Wrong(cause)) => {
                let _ = fs::remove_file(&part);
                return Err(FetchError::Wrong { url: remote.url.clone(), cause });
            }
            Err(Stopped::Network { cause, again }) => {
                let have = fs::metadata(&part).map_or(0, |it| it.len());
                idle = if most < have { 0 } else { idle + 1 };
                if !again || patience.attempts <= idle {
                    let (url, directory) = (remote.url.clone(), directory.into());
                    return Err(FetchError::Network { url, cause, have, directory });
                }
            }
        }
    }
    let found = sum(&part).map_err(|cause| FetchError::Write { path: part.clone(), cause })?;
    if !found.eq_ignore_ascii_case(&remote.sha256) {
        let _ = fs::remove_file(&part);
        let cause = format!("sha256 {found}, expected {}", remote.sha256);
        return Err(FetchError::Wrong { url: remote.url.clone(), cause });
    }
    fs::rename(&part, &path).map_err(|cause| FetchError::Write { path: path.clone(), cause })?;
    see(Event::Sound);
    Ok(path)
}

/// Why an attempt ended early.
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "nothing else happens where nothing is fetched"))]
enum Stopped {
    Network { cause: String, again: bool },
    Wrong(String),
    Write(io::Error),
}

/// SHA-256 of a file, in hex.
fn sum(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
    }
    Ok(hash.finalize().iter().map(|it| format!("{it:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_is_plain() {
        let named =
            |url: &str| name_of(&Remote { url: url.into(), sha256: String::new(), size: None, members: Vec::new() });
        assert_eq!(named("https://a.b/c/mnist.npz?x=../../etc"), "mnist.npz");
        assert_eq!(named("https://a.b/.hidden"), "hidden");
        assert_eq!(named("https://a.b/..\\..\\x"), "x");
        assert_eq!(named("https://a.b/"), "data");
    }
}
