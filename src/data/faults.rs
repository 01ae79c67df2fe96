//! What keeps the arrays of `.npz` files from being used, and what mends it.

use super::DataError;
use super::mend;
use super::npy::Kind;
use super::npz::Array;
use std::path::{Path, PathBuf};

/// What keeps arrays from being used, and what mends it, file by file.
#[derive(Default)]
pub(super) struct Faults(Vec<Faulty>);

struct Faulty {
    path: PathBuf,
    causes: Vec<String>,
    mended: Vec<(&'static str, String)>,
    /// What nothing of NumPy mends.
    advice: Option<&'static str>,
    pickled: bool,
}

impl Faults {
    fn of(&mut self, path: &Path) -> &mut Faulty {
        let at = self.0.iter().position(|it| it.path == path).unwrap_or_else(|| {
            let (causes, mended) = (Vec::new(), Vec::new());
            self.0.push(Faulty { path: path.into(), causes, mended, advice: None, pickled: false });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub(super) fn add(&mut self, array: &Array, causes: &[String], mended: Option<String>, advice: &'static str) {
        if causes.is_empty() {
            return;
        }
        let of = self.of(array.path());
        of.causes.push(format!("`{}` {}", array.name, causes.join(", and ")));
        of.pickled |= array.header.dtype.kind == Kind::Object;
        match mended {
            Some(it) => self.mend(array, it),
            None => of.advice = of.advice.or(Some(advice)),
        }
    }

    /// Has an array written anew by an expression, in a line that mends others of its file, too.
    pub(super) fn mend(&mut self, array: &Array, expression: String) {
        let of = self.of(array.path());
        if of.mended.iter().all(|it| it.0 != array.name) {
            of.mended.push((array.name, expression));
        }
    }

    /// Whether none was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|it| it.causes.is_empty())
    }

    pub(super) fn end(self) -> Result<(), DataError> {
        let mut faulty = self.0.into_iter().filter(|it| !it.causes.is_empty());
        let Some(Faulty { path, causes, mended, advice, pickled }) = faulty.next() else { return Ok(()) };
        let others = faulty.count();
        let mut cause = causes.join("; ");
        if 0 < others {
            cause += &format!("; {others} more of its files are not as they must be");
        }
        let remedy = match advice {
            Some(it) => it.to_owned(),
            None => mend::line(&path, &mended, pickled),
        };
        Err(DataError::Unfit { path, cause, remedy })
    }
}
