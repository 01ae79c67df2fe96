//! Files of models that are changed in place, and folders of them.

use super::failure::Failure;
use super::load;
use std::fs::Metadata;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The files that are meant: a folder stands for all models in it and below, by name.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        if load::is_stdin(path) || !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        below(path, &mut all).map_err(|cause| {
            let cause = format!("cannot read the folder `{}`: {cause}", path.display());
            Failure::new(cause, "check that it may be read, or name the files")
        })?;
        if all.len() == before {
            let cause = format!("the folder `{}` has no model", path.display());
            return Err(Failure::new(cause, "models are files whose names end in `.sph`"));
        }
    }
    Ok(all)
}

/// Hidden folders are somebody else's, and a link to a folder may lead back to it.
fn below(folder: &Path, all: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            below(&path, all)?;
        } else if !kind.is_dir() && path.extension().is_some_and(|it| it == "sph") && path.is_file() {
            all.push(path);
        }
    }
    Ok(())
}

/// Puts a text in place of a file's.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    write(file, text).map_err(|cause| Failure::unwritten(file, &cause, "check its permissions and the disk"))
}

/// Writes beside the file and renames, so that a full disk leaves the old text. A link stays one: what it leads to is
/// replaced.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let file = &std::fs::canonicalize(file)?;
    let old = std::fs::metadata(file)?;
    if !old.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // The folder decides about renaming; what the file itself allows counts all the same, for root, too.
    if old.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let mut place = std::fs::OpenOptions::new().write(true).open(file)?;
    if has_other_names(&old) {
        place.write_all(text.as_bytes())?;
        place.set_len(text.len() as u64)?;
        return place.sync_all();
    }
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    keep_owner(&old, beside.path())?;
    beside.as_file().set_permissions(old.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(file)?;
    Ok(())
}

/// Whether the file is reached by other hard links, which a new file would leave behind.
#[cfg(unix)]
fn has_other_names(old: &Metadata) -> bool {
    1 < std::os::unix::fs::MetadataExt::nlink(old)
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// A file of someone else stays theirs.
#[cfg(unix)]
fn keep_owner(old: &Metadata, new: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let now = std::fs::metadata(new)?;
    if (now.uid(), now.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    chown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &Metadata, _: &Path) -> io::Result<()> {
    Ok(())
}
