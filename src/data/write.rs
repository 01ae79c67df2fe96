//! Arrays as NumPy keeps them: an `.npz` file is a ZIP archive of `.npy` files, each a line that tells dtype and extents
//! before the numbers in row-major order.

use half::f16;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What an array holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `float16`.
    Halves(Vec<f16>),
    /// `float32`.
    Reals(Vec<f32>),
    /// `float64`.
    Doubles(Vec<f64>),
    /// `int64`.
    Ints(Vec<i64>),
    /// `uint8`.
    Bytes(Vec<u8>),
    /// Text, each as long as the longest.
    Texts(Vec<String>),
}

/// An array with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Of the array in its file.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Its elements in row-major order.
    pub values: Values,
}

/// Writes arrays as an `.npz` file; the same arrays are the same bytes.
pub fn write_npz(arrays: &[Named], out: impl Write + Seek) -> io::Result<()> {
    let mut out = Sink { out, at: 0, end: 0, failed: None };
    let mut archive = ZipWriter::new(&mut out);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options).map_err(io::Error::other)?;
        write(array, &mut archive)?;
    }
    archive.finish().map_err(io::Error::other)?;
    match out.failed {
        Some(cause) => Err(cause),
        None => Ok(()),
    }
}

/// What an archive is written to. `ZipWriter` prints what fails when it is given up, so that it is told nothing: after the first
/// failure all is left out, at the places where it would be.
struct Sink<W> {
    out: W,
    /// Where the next byte goes, and where the last one ends.
    at: u64,
    end: u64,
    failed: Option<io::Error>,
}

impl<W: Write + Seek> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &self.failed {
            Some(_) => bytes.len(),
            None => match self.out.write(bytes) {
                Ok(0) if !bytes.is_empty() => self.fail(ErrorKind::WriteZero.into(), bytes.len()),
                Ok(taken) => taken,
                Err(it) if it.kind() == ErrorKind::Interrupted => return Err(it),
                Err(it) => self.fail(it, bytes.len()),
            },
        };
        self.at += taken as u64;
        self.end = self.end.max(self.at);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.is_none()
            && let Err(it) = self.out.flush()
        {
            self.failed = Some(it);
        }
        Ok(())
    }
}

impl<W: Write + Seek> Seek for Sink<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let out_of_range = || io::Error::from(ErrorKind::InvalidInput);
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.checked_add_signed(by).ok_or_else(out_of_range)?,
            SeekFrom::End(by) => self.end.checked_add_signed(by).ok_or_else(out_of_range)?,
        };
        if self.failed.is_none()
            && let Err(it) = self.out.seek(SeekFrom::Start(self.at))
        {
            self.failed = Some(it);
        }
        Ok(self.at)
    }
}

impl<W> Sink<W> {
    fn fail(&mut self, cause: io::Error, bytes: usize) -> usize {
        self.failed = Some(cause);
        bytes
    }
}

fn write(array: &Named, out: &mut impl Write) -> io::Result<()> {
    let longest = match &array.values {
        Values::Texts(all) => all.iter().map(|it| it.chars().count()).max().unwrap_or(0).max(1),
        Values::Halves(_) | Values::Reals(_) | Values::Doubles(_) | Values::Ints(_) | Values::Bytes(_) => 0,
    };
    let dtype = match &array.values {
        Values::Halves(_) => "<f2".to_owned(),
        Values::Reals(_) => "<f4".to_owned(),
        Values::Doubles(_) => "<f8".to_owned(),
        Values::Ints(_) => "<i8".to_owned(),
        Values::Bytes(_) => "|u1".to_owned(),
        Values::Texts(_) => format!("<U{longest}"),
    };
    let extents: String = array.shape.iter().map(|it| format!("{it}, ")).collect();
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}", extents.trim_end());
    // The numbers begin at a multiple of 64 bytes, and a line ends there.
    const BEFORE: usize = 10;
    let len = (BEFORE + header.len() + 1).next_multiple_of(64) - BEFORE;
    header.push_str(&" ".repeat(len - 1 - header.len()));
    header.push('\n');
    let length = u16::try_from(len).map_err(|_| io::Error::other("an array of too many axes"))?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    match &array.values {
        Values::Halves(all) => all.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?,
        Values::Reals(all) => all.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?,
        Values::Doubles(all) => all.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?,
        Values::Ints(all) => all.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?,
        Values::Bytes(all) => out.write_all(all)?,
        Values::Texts(all) => {
            for text in all {
                let mut letters: Vec<u32> = text.chars().map(u32::from).collect();
                letters.resize(longest, 0);
                letters.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?;
            }
        }
    }
    out.flush()
}
