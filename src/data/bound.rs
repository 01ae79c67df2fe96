//! How much files may become in memory or on the disk: one bound for every format, so that no small file, however
//! hostile, takes a machine.
//!
//! Two rules hold. What is packed becomes at most [`MOST_RATIO`] times its size, or [`FREE_BYTES`]; and the examples of a
//! data set take at most the memory that is free. Both are judged by what a file claims, before anything is allocated,
//! and again by what it turns out to hold.

use super::DataError;
use crate::runtime::free_memory;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Unpacked bytes for each packed one.
const MOST_RATIO: u64 = 100;
/// Small files may become this much all the same.
pub(super) const FREE_BYTES: u64 = 64 << 20;
/// Where the system does not say how much memory is free.
const UNKNOWN_MEMORY: u64 = 64 << 30;
/// Texts about a data set: manifests, names of classes.
const MOST_TEXT: u64 = 1 << 20;

/// The most bytes that so many packed ones may become.
pub(super) fn unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MOST_RATIO).max(FREE_BYTES)
}

/// Fails for a file of `packed` bytes that would become `bytes`.
pub(super) fn unpacks(path: &Path, packed: u64, bytes: u64) -> Result<(), DataError> {
    if unpacked(packed) < bytes {
        return Err(DataError::Unpacks { path: path.into(), packed, bytes, most: MOST_RATIO });
    }
    Ok(())
}

/// The product of extents; `None` where no machine has so many bytes.
pub(super) fn volume(extents: &[u64]) -> Option<u64> {
    extents.iter().try_fold(1u64, |all, it| all.checked_mul(*it)).filter(|it| isize::try_from(*it).is_ok())
}

/// The memory that the examples of a data set may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    free: u64,
    left: u64,
}

impl Room {
    pub(super) fn of(bytes: u64) -> Room {
        Room { free: bytes, left: bytes }
    }

    /// What is free to this process, and no more than `memory`.
    pub(super) fn here(memory: Option<u64>) -> Room {
        let free = free_memory().map_or(UNKNOWN_MEMORY, |it| it.bytes as u64);
        Room::of(memory.map_or(free, |it| free.min(it)))
    }

    /// What there was at first.
    pub(super) fn all(self) -> u64 {
        self.free
    }

    /// Bytes that may still be taken.
    pub(super) fn left(self) -> u64 {
        self.left
    }

    /// Takes some for what `path` holds.
    pub(super) fn take(&mut self, path: &Path, bytes: u64) -> Result<(), DataError> {
        let fail = || DataError::Memory { path: path.into(), bytes, free: self.left, all: self.free };
        self.left = self.left.checked_sub(bytes).ok_or_else(fail)?;
        Ok(())
    }

    /// Makes place for more numbers in a vector, exactly so many.
    pub(super) fn reserve<T>(&mut self, path: &Path, vec: &mut Vec<T>, count: u64) -> Result<(), DataError> {
        let bytes = count.saturating_mul(size_of::<T>() as u64);
        self.take(path, bytes)?;
        let fail = DataError::Memory { path: path.into(), bytes, free: self.left, all: self.free };
        let Ok(count) = usize::try_from(count) else { return Err(fail) };
        vec.try_reserve_exact(count).map_err(|_| fail)
    }
}

/// Opens a file and says how long it is. What is not a plain file may never end, or never begin.
pub(super) fn open(path: &Path) -> Result<(File, u64), DataError> {
    let fail = |cause| DataError::Read { path: path.into(), cause };
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        let cause = if metadata.is_dir() { "it is a directory" } else { "it is not a plain file" };
        return Err(DataError::Malformed { path: path.into(), cause: cause.into() });
    }
    Ok((File::open(path).map_err(fail)?, metadata.len()))
}

/// A short text.
pub(super) fn text(path: &Path) -> Result<String, DataError> {
    let (file, length) = open(path)?;
    if MOST_TEXT < length {
        let cause = format!("it has {length} bytes, too many for a text about a data set");
        return Err(DataError::Malformed { path: path.into(), cause });
    }
    let mut res = String::new();
    let read = file.take(MOST_TEXT).read_to_string(&mut res);
    read.map(|_| res).map_err(|cause| DataError::Read { path: path.into(), cause })
}

/// Whether nothing follows. Of a packed file this is where its checksum is compared.
pub(super) fn ends(from: &mut (impl Read + ?Sized)) -> io::Result<bool> {
    loop {
        match from.read(&mut [0]) {
            Ok(it) => return Ok(it == 0),
            Err(it) if it.kind() == io::ErrorKind::Interrupted => {}
            Err(it) => return Err(it),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_wrap_have_no_volume() {
        assert_eq!(volume(&[2, 3, 4]), Some(24));
        assert_eq!(volume(&[u64::MAX, 2]), None);
        assert_eq!(volume(&[1 << 63]), None);
        assert_eq!(volume(&[]), Some(1));
    }

    #[test]
    fn what_is_taken_is_not_there_twice() {
        let path = Path::new("x.npz");
        let mut room = Room::of(100);
        room.take(path, 60).unwrap();
        let message = room.take(path, 41).unwrap_err().to_string();
        assert!(message.contains("x.npz") && message.contains("41 bytes"), "{message}");
        room.take(path, 40).unwrap();
        assert_eq!(room.left(), 0);
        let mut numbers = Vec::<i64>::new();
        assert!(Room::of(79).reserve(path, &mut numbers, 10).is_err());
        assert!(Room::of(u64::MAX).reserve(path, &mut numbers, u64::MAX).is_err());
        Room::of(80).reserve(path, &mut numbers, 10).unwrap();
    }

    #[test]
    fn only_plain_files_are_opened() {
        let place = tempfile::tempdir().unwrap();
        assert!(open(place.path()).unwrap_err().to_string().contains("it is a directory"));
        assert!(text(Path::new("/dev/zero")).unwrap_err().to_string().contains("not a plain file"));
    }
}
