//! Many pictures of one size, decoded by several threads in their order.

use super::DataError;
use super::bound::Room;
use super::element::Element;
use super::error::{extents, plain, shown};
use super::picture::{Change, Picture, decoded, remarks};
use super::pixels::{Pixels, Store};
use super::{Reading, Watch, steps};
use crate::ir::{DType, ImageStep, Shape};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Pictures that are decoded before the next ones are, by several threads.
pub(super) const AT_ONCE: usize = 64;

/// How many times its own size a picture takes while it is decoded, with its file.
const ROOM_TO_DECODE: u64 = 8;

/// Reads pictures, which must all be alike once the steps are done.
pub(super) struct Gallery<'a> {
    /// From where paths are told.
    directory: &'a Path,
    steps: &'a [ImageStep],
    /// Whether pictures of 16 bits stay such.
    deep: bool,
    watch: Option<Watch>,
    /// The first picture: what all must be like.
    first: Option<First>,
    changes: BTreeMap<Change, Vec<String>>,
}

struct First {
    path: PathBuf,
    size: [usize; 3],
    dtype: DType,
}

impl<'a> Gallery<'a> {
    /// Of a data set in a directory.
    pub(super) fn new(directory: &'a Path, reading: &Reading<'a>) -> Gallery<'a> {
        let deep = reading.input.is_some_and(|it| it != DType::U8);
        let (steps, watch) = (reading.steps, reading.watch);
        Gallery { directory, steps, deep, watch, first: None, changes: BTreeMap::new() }
    }

    /// The same without steps, which are done later.
    pub(super) fn plain(self) -> Gallery<'a> {
        Gallery { steps: &[], ..self }
    }

    /// The pictures in these files, one at least.
    pub(super) fn read(&mut self, files: &[&Path], room: &mut Room) -> Result<Pixels, DataError> {
        let mut store: Option<Store> = None;
        for (at, some) in files.chunks(AT_ONCE).enumerate() {
            for (path, picture) in some.iter().zip(self.fitted(some, *room)) {
                let picture = picture?;
                self.see(path, &picture)?;
                let store = match &mut store {
                    Some(it) => it,
                    None => {
                        let one = picture.pixels.len() as u64;
                        let all = one.saturating_mul(files.len() as u64);
                        // What is decoded next must find room beside them.
                        let beside = one.saturating_mul(ROOM_TO_DECODE);
                        let element = Element::of(picture.dtype);
                        store.insert(Store::beside(path, element, all, beside, room)?)
                    }
                };
                store.extend(&picture.pixels)?;
            }
            self.tell(at * AT_ONCE + some.len(), files.len());
        }
        store.map_or_else(|| Ok(Pixels::default()), Store::end)
    }

    /// Tells whoever waits how far it is.
    pub(super) fn tell(&self, done: usize, all: usize) {
        if let Some(watch) = self.watch {
            watch(done, all);
        }
    }

    /// What the pictures are like, once one was read.
    pub(super) fn form(&self) -> Option<(Shape, DType)> {
        self.first.as_ref().map(|it| (it.size.into(), it.dtype))
    }

    /// What was changed on the way.
    pub(super) fn remarks(&self) -> Vec<String> {
        remarks(&self.changes)
    }

    /// Compares a picture with the first one.
    fn see(&mut self, path: &Path, picture: &Picture) -> Result<(), DataError> {
        for change in &picture.changes {
            self.changes.entry(*change).or_default().push(below(self.directory, path));
        }
        let &Picture { size, dtype, .. } = picture;
        let first = self.first.get_or_insert_with(|| First { path: path.into(), size, dtype });
        if size != first.size {
            let cause = format!("{}, but `{}` is {}", extents(size), shown(&first.path), extents(first.size));
            let steps = differing(size, first.size);
            return Err(DataError::Sizes { path: path.into(), cause, steps });
        }
        if dtype != first.dtype {
            let bits = |it: DType| if it == DType::U16 { 16 } else { 8 };
            return Err(DataError::Unfit {
                path: path.into(),
                cause: format!("it has {} bits, and `{}` has {}", bits(dtype), shown(&first.path), bits(first.dtype)),
                remedy: "store all in 16 bits, or write `u8` for the model's input: then they are rounded to 8".into(),
            });
        }
        Ok(())
    }

    /// Decodes some pictures and does the steps to each; what comes of them does not depend on how many threads there are.
    fn fitted(&self, files: &[&Path], room: Room) -> Vec<Result<Picture, DataError>> {
        let one = |path: &Path| {
            let picture = decoded(path, self.deep, room)?;
            let element = Element::of(picture.dtype);
            let fitted = steps::apply(picture.pixels, element, picture.size, self.steps);
            let (pixels, size) = fitted.map_err(|cause| DataError::Image { path: path.into(), cause })?;
            Ok(Picture { pixels, size, ..picture })
        };
        in_order(files, |it| one(it))
    }
}

/// What a function makes of some things, by several threads, in their order.
pub(super) fn in_order<T: Sync, U: Send>(all: &[T], one: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let threads = available_parallelism().map_or(1, NonZero::get).min(all.len()).max(1);
    let each = all.len().div_ceil(threads).max(1);
    let one = &one;
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            all.chunks(each).map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>())).collect();
        let found = workers.into_iter().flat_map(|it| it.join().unwrap_or_else(|it| std::panic::resume_unwind(it)));
        found.collect()
    })
}

/// A path as it is seen from the data set.
pub(super) fn below(directory: &Path, path: &Path) -> String {
    plain(&path.strip_prefix(directory).unwrap_or(path).display().to_string())
}

/// The steps that make two sizes equal.
fn differing(size: [usize; 3], expected: [usize; 3]) -> String {
    let mut res = String::new();
    if size[..2] != expected[..2] {
        res += &format!(" |> resize({}, {})", expected[0], expected[1]);
    }
    if size[2] != expected[2] {
        res += &format!(" |> channels({})", expected[2]);
    }
    res
}
