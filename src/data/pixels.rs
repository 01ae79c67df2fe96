//! The examples of a data set: in memory, or in a file that is mapped where they are more than may be taken of memory. Then the
//! system reads what is looked at, ahead where it is told what comes next, and lets go of it again when memory is wanted.

use super::DataError;
use super::bound::Room;
use super::element::Element;
use crate::ir::Extremes;
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// No page of memory is smaller.
const PAGE: usize = 4096;

/// Numbers of examples, one example after the other, as bytes; of images in the order row, column, channel.
#[derive(Clone)]
pub struct Pixels {
    bytes: Bytes,
    seen: OnceLock<Seen>,
}

#[derive(Clone)]
enum Bytes {
    /// In memory.
    Held(Vec<u8>),
    /// In memory, where numbers of several bytes can be read.
    Words { words: Vec<u64>, len: usize },
    /// In a file of this process alone, which is gone when it ends.
    Mapped(Arc<Mmap>),
}

/// What is known of numbers that were all looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// The least and the largest.
    pub(super) range: Extremes,
    /// SHA-256 of their bytes.
    pub(super) digest: [u8; 32],
}

impl Pixels {
    /// Those in memory, to be added to.
    pub(super) fn held_mut(&mut self) -> &mut Vec<u8> {
        self.seen = OnceLock::new();
        match &mut self.bytes {
            Bytes::Held(all) => all,
            Bytes::Words { .. } | Bytes::Mapped(_) => panic!("pixels are added to what is whole"),
        }
    }

    /// How many bytes of them are in a file.
    pub fn mapped(&self) -> usize {
        match &self.bytes {
            Bytes::Held(_) | Bytes::Words { .. } => 0,
            Bytes::Mapped(all) => all.len(),
        }
    }

    /// Whether somebody else has the file that they are in as well.
    pub fn is_shared(&self) -> bool {
        matches!(&self.bytes, Bytes::Mapped(all) if 1 < Arc::strong_count(all))
    }

    /// Has bytes that are wanted soon read ahead. That the system cannot, is no harm: they are read when they are looked at.
    pub fn want(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(all) = &self.bytes {
            let _ = all.advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len());
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }

    /// Says that what is looked at lies here and there, so that nothing is read which was not asked for. By itself the system
    /// reads some megabytes around each place, which drive out what was read ahead where memory is short.
    pub fn scatter(&self) {
        #[cfg(unix)]
        if let Bytes::Mapped(all) = &self.bytes {
            let _ = all.advise(memmap2::Advice::Random);
        }
    }

    /// Waits until these bytes are in memory, if they are in a file.
    pub fn fetch(&self, bytes: Range<usize>) {
        let Bytes::Mapped(all) = &self.bytes else { return };
        let (first, last) = (bytes.start.min(all.len()), bytes.end.min(all.len()));
        // One of each page, and the last one.
        for at in (first..last).step_by(PAGE).chain(last.checked_sub(1).filter(|it| first <= *it)) {
            std::hint::black_box(all[at]);
        }
    }

    /// What there is to know of the numbers.
    pub(super) fn seen(&self, element: Element) -> &Seen {
        self.seen.get_or_init(|| {
            let mut looking = Looking::new(element);
            self.chunks(1 << 20).for_each(|it| looking.at(it));
            looking.end()
        })
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Held(all) => all,
            Bytes::Words { words, len } => &bytemuck::cast_slice(words)[..*len],
            Bytes::Mapped(all) => all,
        }
    }
}

impl AsRef<[u8]> for Pixels {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Pixels {
    fn default() -> Pixels {
        Pixels::from(Vec::new())
    }
}

impl From<Bytes> for Pixels {
    fn from(bytes: Bytes) -> Pixels {
        Pixels { bytes, seen: OnceLock::new() }
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(all: Vec<u8>) -> Pixels {
        Bytes::Held(all).into()
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Pixels) -> bool {
        self[..] == other[..]
    }
}

impl PartialEq<Vec<u8>> for Pixels {
    fn eq(&self, other: &Vec<u8>) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.len())
    }
}

/// Looks at numbers part by part.
struct Looking {
    element: Element,
    range: Extremes,
    digest: Sha256,
}

impl Looking {
    fn new(element: Element) -> Looking {
        Looking { element, range: Extremes::NONE, digest: Sha256::new() }
    }

    /// Looks at more, which are whole numbers of bytes.
    fn at(&mut self, bytes: &[u8]) {
        self.range = self.range.and(self.element.extremes(bytes));
        self.digest.update(bytes);
    }

    fn end(self) -> Seen {
        Seen { range: self.range, digest: self.digest.finalize().into() }
    }
}

/// Numbers that are being written.
pub(super) struct Store {
    to: To,
    looking: Looking,
}

enum To {
    Memory { words: Vec<u64>, len: usize },
    File { out: BufWriter<File>, bytes: u64 },
}

impl Store {
    /// For so many bytes of what `path` holds: in memory if there is room for them.
    pub(super) fn of(path: &Path, element: Element, bytes: u64, room: &mut Room) -> Result<Store, DataError> {
        Store::beside(path, element, bytes, 0, room)
    }

    /// The same where there must be room for some more bytes beside them.
    pub(super) fn beside(
        path: &Path,
        element: Element,
        bytes: u64,
        more: u64,
        room: &mut Room,
    ) -> Result<Store, DataError> {
        let to = if bytes.div_ceil(8).saturating_mul(8).saturating_add(more) <= room.left() {
            let mut words = Vec::new();
            room.reserve(path, &mut words, bytes.div_ceil(8))?;
            To::Memory { words, len: 0 }
        } else {
            let file = tempfile::tempfile().map_err(|it| unwritten(bytes, it))?;
            To::File { out: BufWriter::with_capacity(1 << 20, file), bytes }
        };
        Ok(Store { to, looking: Looking::new(element) })
    }

    /// Adds whole numbers.
    pub(super) fn extend(&mut self, numbers: &[u8]) -> Result<(), DataError> {
        self.looking.at(numbers);
        match &mut self.to {
            To::Memory { words, len } => {
                let end = *len + numbers.len();
                words.resize(end.div_ceil(8), 0);
                bytemuck::cast_slice_mut(words)[*len..end].copy_from_slice(numbers);
                *len = end;
            }
            To::File { out, bytes } => out.write_all(numbers).map_err(|it| unwritten(*bytes, it))?,
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<Pixels, DataError> {
        let bytes = match self.to {
            To::Memory { words, len } => Bytes::Words { words, len },
            To::File { out, bytes } => {
                let fail = |it| unwritten(bytes, it);
                let file = out.into_inner().map_err(|it| fail(it.into_error()))?;
                // SAFETY: the file has no name, so that nobody else can open it, and it is never written to again.
                let mapped = unsafe { Mmap::map(&file) }.map_err(fail)?;
                Bytes::Mapped(Arc::new(mapped))
            }
        };
        Ok(Pixels { bytes, seen: OnceLock::from(self.looking.end()) })
    }
}

fn unwritten(bytes: u64, cause: std::io::Error) -> DataError {
    DataError::Unwritten { folder: std::env::temp_dir(), bytes, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_lies_in_a_file_with_the_same_bytes() {
        let all: Vec<u8> = (0..10_000u32).map(|it| (it % 251) as u8).collect();
        let stored = |room: u64| {
            let mut room = Room::of(room);
            let mut store = Store::of(Path::new("set"), Element::BYTE, all.len() as u64, &mut room).unwrap();
            all.chunks(77).for_each(|it| store.extend(it).unwrap());
            (store.end().unwrap(), room.left())
        };
        let (held, left) = stored(10_001);
        assert_eq!((held.mapped(), left), (0, 1));
        let (mapped, left) = stored(9_999);
        assert_eq!((mapped.mapped(), left), (10_000, 9_999), "a file takes no memory");
        assert_eq!(mapped, held);
        mapped.want(5_000..5_003);
        mapped.want(9_999..10_000);
        held.want(0..1);
        [0..1, 5_000..9_999, 9_999..10_000, 3..3, 20_000..30_000].into_iter().for_each(|it| mapped.fetch(it));
        held.fetch(0..1);
        [&held, &mapped].into_iter().for_each(Pixels::scatter);
        assert!(!mapped.is_shared() && !held.clone().is_shared());
        let other = mapped.clone();
        assert!(mapped.is_shared() && other.is_shared());
        assert_eq!(mapped, all);
        // What is known of them does not depend on where they are, or in which parts they came.
        let seen = Pixels::from(all).seen(Element::BYTE).clone();
        assert_eq!((held.seen(Element::BYTE), mapped.seen(Element::BYTE)), (&seen, &seen));
        assert_eq!(seen.range, Extremes([0.0, 250.0]));
    }
}
