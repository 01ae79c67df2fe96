//! Arrays as NumPy keeps them: an `.npz` file is a ZIP archive of `.npy` files, each a line that tells dtype and extents
//! before the numbers in row-major order.

use std::io::{self, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What an array holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `float32`.
    Reals(Vec<f32>),
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
    let mut archive = ZipWriter::new(out);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options).map_err(io::Error::other)?;
        write(array, &mut archive)?;
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}

fn write(array: &Named, out: &mut impl Write) -> io::Result<()> {
    let longest = match &array.values {
        Values::Texts(all) => all.iter().map(|it| it.chars().count()).max().unwrap_or(0).max(1),
        Values::Reals(_) | Values::Ints(_) | Values::Bytes(_) => 0,
    };
    let dtype = match &array.values {
        Values::Reals(_) => "<f4".to_owned(),
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
        Values::Reals(all) => all.iter().try_for_each(|it| out.write_all(&it.to_le_bytes()))?,
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
