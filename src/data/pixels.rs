//! The pixels of a data set: in memory, or in a file that is mapped where they are more than may be taken of memory. Then the
//! system reads what is looked at, ahead where it is told what comes next, and lets go of it again when memory is wanted.

use super::DataError;
use super::bound::Room;
use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// Bytes in the order example, row, column, channel.
#[derive(Clone)]
pub enum Pixels {
    /// In memory.
    Held(Vec<u8>),
    /// In a file of this process alone, which is gone when it ends.
    Mapped(Arc<Mmap>),
}

impl Pixels {
    /// Those in memory, to be added to.
    pub(super) fn held_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Pixels::Held(all) => all,
            Pixels::Mapped(_) => panic!("pixels are added to a file that is mapped"),
        }
    }

    /// How many of them are in a file.
    pub fn mapped(&self) -> usize {
        match self {
            Pixels::Held(_) => 0,
            Pixels::Mapped(all) => all.len(),
        }
    }

    /// Has bytes that are wanted soon read ahead. That the system cannot, is no harm: they are read when they are looked at.
    pub fn want(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        if let Pixels::Mapped(all) = self {
            let _ = all.advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len());
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Pixels::Held(all) => all,
            Pixels::Mapped(all) => all,
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
        Pixels::Held(Vec::new())
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(all: Vec<u8>) -> Pixels {
        Pixels::Held(all)
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

/// Pixels that are being written.
pub(super) enum Store {
    Memory(Vec<u8>),
    File { out: BufWriter<File>, bytes: u64 },
}

impl Store {
    /// For so many bytes of what `path` holds: in memory if there is room for them.
    pub(super) fn of(path: &Path, bytes: u64, room: &mut Room) -> Result<Store, DataError> {
        if bytes <= room.left() {
            let mut all = Vec::new();
            room.reserve(path, &mut all, bytes)?;
            return Ok(Store::Memory(all));
        }
        let file = tempfile::tempfile().map_err(|it| unwritten(bytes, it))?;
        Ok(Store::File { out: BufWriter::with_capacity(1 << 20, file), bytes })
    }

    pub(super) fn extend(&mut self, pixels: &[u8]) -> Result<(), DataError> {
        match self {
            Store::Memory(all) => all.extend_from_slice(pixels),
            Store::File { out, bytes } => out.write_all(pixels).map_err(|it| unwritten(*bytes, it))?,
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<Pixels, DataError> {
        match self {
            Store::Memory(all) => Ok(Pixels::Held(all)),
            Store::File { out, bytes } => {
                let fail = |it| unwritten(bytes, it);
                let file = out.into_inner().map_err(|it| fail(it.into_error()))?;
                // SAFETY: the file has no name, so that nobody else can open it, and it is never written to again.
                let mapped = unsafe { Mmap::map(&file) }.map_err(fail)?;
                Ok(Pixels::Mapped(Arc::new(mapped)))
            }
        }
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
            let mut store = Store::of(Path::new("set"), all.len() as u64, &mut room).unwrap();
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
        assert_eq!(mapped, all);
    }
}
