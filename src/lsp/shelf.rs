//! The program's own texts as files, so that any editor can show them: the prelude, the library, explanations of codes.

use super::uri::{name_of, uri_of};
use lsp_types::Uri;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A folder of files that nobody is to change.
pub(super) struct Shelf {
    folder: PathBuf,
    /// As documents in it are called.
    prefix: Option<String>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Shelf {
        let uri = folder.to_str().and_then(uri_of);
        Shelf { prefix: uri.map(|it| format!("{}/", name_of(&it).trim_end_matches('/'))), folder }
    }

    /// Whether a document is one of these files.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.prefix.as_ref().is_some_and(|it| name.starts_with(it))
    }

    /// The address of a text, written unless it is there. Without the folder there is none.
    pub(super) fn file(&self, path: &str, text: &str) -> Option<Uri> {
        let path = self.folder.join(path);
        let there = fs::read_to_string(&path).is_ok_and(|it| it == text);
        if !there && let Err(cause) = written(&path, text) {
            super::log(&format!("cannot write `{}`: {cause}", path.display()));
            return None;
        }
        uri_of(path.to_str()?)
    }
}

/// Written beside and renamed: another server may do the same.
fn written(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    let mut permissions = file.as_file().metadata()?.permissions();
    permissions.set_readonly(true);
    file.as_file().set_permissions(permissions)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_files_that_are_kept_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path().join("a b"));
        for text in ["one", "one", "two"] {
            let name = name_of(&shelf.file("std/x.sph", text).unwrap());
            assert_eq!(fs::read_to_string(&name).unwrap(), text);
            assert!(fs::metadata(&name).unwrap().permissions().readonly() && shelf.holds(&name));
        }
        assert!(!shelf.holds("/elsewhere/std/x.sph"));
        assert!(Shelf::new(folder.path().join("no\0name")).file("x", "").is_none());
    }
}
