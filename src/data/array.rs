//! One array of NumPy's in a file of its own, or in an archive: examples that a model is asked about.

use super::DataError;
use super::bound::{Room, ends, open, volume};
use super::convert::{Converter, becomes};
use super::element::Element;
use super::error::{few, plain};
use super::npy::Header;
use super::npz::{self, Archive};
use super::pixels::{Pixels, Store};
use crate::ir::{DType, Extremes, Shape};
use std::io::{BufReader, Read};
use std::path::Path;

/// An array that was read.
pub struct Loaded {
    /// Its extents.
    pub shape: Shape,
    /// What it is made of.
    pub dtype: DType,
    /// Its numbers.
    pub numbers: Pixels,
}

/// Names that an array of examples has in an archive with others, the first choice first.
const NAMES: [&str; 4] = ["x", "images", "x_test", "test_images"];

/// Whether a file is read as an array, by the ending of its name.
pub fn is_array(path: &Path) -> bool {
    let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase());
    extension.is_some_and(|it| matches!(&*it, "npy" | "npz"))
}

/// Reads the array of a file, for an input of a type: as that, where it has all numbers of the array.
pub fn load(path: &Path, input: Element, each: usize) -> Result<Loaded, DataError> {
    let mut room = Room::here(None);
    let archive = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("npz"));
    if !archive {
        return read(path, "it".to_owned(), input, each, &mut room, &|then| {
            let (file, _) = open(path)?;
            let mut from = BufReader::new(file);
            let header = header(path, &mut from)?;
            then(header, &mut from)
        });
    }
    let names = Archive::open(path)?.names().to_vec();
    let found = match &names[..] {
        [one] => Some(one.clone()),
        all => NAMES.iter().find(|it| all.iter().any(|name| name == **it)).map(|it| (*it).to_owned()),
    };
    let Some(name) = found else {
        return Err(DataError::Unfit {
            path: path.into(),
            cause: format!("it has the arrays {}, and none is called `x`", few(&names)),
            remedy: "store the examples as `x`, or alone in a file: `np.save('x.npy', x)`".into(),
        });
    };
    let said = format!("`{}`", plain(&name));
    read(path, said, input, each, &mut room, &|then| npz::entry(path, &name, |header, from| then(header, from)))
}

fn header(path: &Path, from: &mut impl Read) -> Result<Header, DataError> {
    let fail = |cause: String| DataError::Malformed { path: path.into(), cause };
    Header::read(from).map_err(|it| fail(format!("it is not an array of NumPy's: {it}")))
}

/// Opens an array and gives its header and what follows.
type Open<'a> = dyn Fn(&mut dyn FnMut(Header, &mut dyn Read) -> Result<(), DataError>) -> Result<(), DataError> + 'a;

fn read(
    path: &Path,
    said: String,
    input: Element,
    each: usize,
    room: &mut Room,
    open: &Open<'_>,
) -> Result<Loaded, DataError> {
    let unfit = |cause: String, remedy: &str| DataError::Unfit { path: path.into(), cause, remedy: remedy.into() };
    let malformed = |cause: String| DataError::Malformed { path: path.into(), cause };
    let mut head = None;
    open(&mut |header, _| {
        head = Some(header);
        Ok(())
    })?;
    let Some(head) = head else { return Err(malformed("it has no header".into())) };
    let Some(stored) = head.dtype.natural() else {
        return Err(unfit(
            format!("{said} has dtype {}, while a model takes numbers", plain(&head.dtype.text)),
            "store it as numbers",
        ));
    };
    if head.fortran && 1 < head.shape.len() {
        return Err(unfit(format!("{said} is in Fortran's order"), "store `np.ascontiguousarray(x)`"));
    }
    let shape: Option<Vec<usize>> = head.shape.iter().map(|it| usize::try_from(*it).ok()).collect();
    let (Some(shape), Some(count)) = (shape, volume(&head.shape)) else {
        return Err(malformed(format!("{said} claims extents {:?}", head.shape)));
    };
    // Each number, by whole ones.
    let chunks = |see: &mut dyn FnMut(&[u8]) -> Result<(), DataError>| {
        open(&mut |header, from| {
            let width = header.dtype.bytes();
            let mut part = vec![0; width << 15];
            let mut left = count;
            while 0 < left {
                let now = left.min(1 << 15);
                let bytes = &mut part[..now as usize * width];
                from.read_exact(bytes)
                    .map_err(|_| malformed(format!("{said} ends before its extents {:?} do", header.shape)))?;
                see(bytes)?;
                left -= now;
            }
            match ends(from).map_err(|cause| DataError::Read { path: path.into(), cause })? {
                true => Ok(()),
                false => Err(malformed(format!("{said} holds more than its extents {:?} tell", header.shape))),
            }
        })
    };
    let dtype = becomes(stored, Some(input.dtype), |_| {
        let mut all = Extremes::NONE;
        chunks(&mut |bytes| {
            head.dtype.numbers(bytes, |it| all = all.with(it));
            Ok(())
        })?;
        Ok(all)
    })?;
    let element = Element { dtype, ..input };
    let mut store = Store::of(path, element, count.saturating_mul(element.bytes() as u64), room)?;
    let mut converter = Converter::new((said.clone(), path), &head.dtype, element, each);
    chunks(&mut |bytes| converter.append(bytes, &mut store))?;
    Ok(Loaded { shape: Shape(shape), dtype, numbers: store.end()? })
}
