//! The examples in the arrays of `.npz` files: their extents, what they are made of, and their numbers.

use super::bound::Room;
use super::convert::{Converter, becomes, place};
use super::element::Element;
use super::error::{plain, shown};
use super::faults::Faults;
use super::mend;
use super::npy::Kind;
use super::npz::{Array, Part};
use super::pixels::{Pixels, Store};
use super::{DataError, Reading};
use crate::ir::{DType, Extremes, Shape};

/// What all examples of a data set are like.
pub(super) struct Form {
    pub(super) extents: Shape,
    pub(super) element: Element,
}

/// The examples of a part.
pub(super) struct Examples {
    pub(super) pixels: Pixels,
    /// What to say of a number that is not what was stored, if there is one.
    pub(super) rounded: Option<String>,
}

/// The extents of an example in an array. Of bytes and numbers of 16 bits in rows and columns it is an image of one channel.
fn extents(array: &Array, dtype: DType) -> Option<Shape> {
    let each: Option<Vec<usize>> = array.header.shape.iter().skip(1).map(|it| usize::try_from(*it).ok()).collect();
    let shape = Shape(each.filter(|it| !it.is_empty())?);
    match (shape.image(), dtype) {
        (Some(image), DType::U8 | DType::U16) => Some(Shape::from(image)),
        _ => Some(shape),
    }
}

/// Whether arrays are examples of one kind, and of which.
pub(super) fn judge(parts: &[Part], reading: &Reading<'_>, faults: &mut Faults) -> Result<Option<Form>, DataError> {
    let advice = "store examples as numbers, [n, ...]: images as [n, height, width] or [n, height, width, channels]";
    let arrays = || parts.iter().flat_map(|it| &it.examples);
    for array in arrays() {
        let (shape, dtype) = (&array.header.shape, &array.header.dtype);
        let mut causes = Vec::new();
        let mut mended = Some(mend::array(array.name));
        if array.header.fortran && 1 < shape.len() {
            causes.push("is in Fortran's order".to_owned());
            mended = mended.map(|it| format!("np.ascontiguousarray({it})"));
        }
        // Of objects it is not known what they are extents of.
        if shape.len() < 2 && dtype.kind != Kind::Object {
            causes.push(format!("has extents {shape:?}, not [n, ...] with the numbers of each example"));
            mended = mended.filter(|_| shape.len() == 1).map(|it| format!("{it}[:, None]"));
        }
        if dtype.natural().is_none() {
            causes.push(format!("has dtype {}, while examples are numbers", plain(&dtype.text)));
            mended = mended.and_then(|it| mend::as_numbers(&it, dtype.kind));
        }
        faults.add(array, &causes, mended, advice);
    }
    if !faults.is_empty() {
        return Ok(None);
    }
    let natural = |it: &Array| it.header.dtype.natural().unwrap_or(DType::Real);
    let Some(first) = arrays().next() else { return Ok(None) };
    let real = |it: &Array| natural(it) == DType::Real;
    if let Some(other) = arrays().find(|it| real(it) != real(first)) {
        let told = |it: &Array| format!("dtype {}", plain(&it.header.dtype.text));
        let cause = format!(
            "has {}, and `{}` of `{}` {}: whole numbers and floats may be of two scales",
            told(other),
            first.name,
            shown(first.path()),
            told(first)
        );
        // Which of the two is meant, nobody knows but who wrote them.
        let advice = "store all as whole numbers, or all as floats of one scale: bytes are floats from 0 to 1 as \
                      `x.astype('float32') / 255`";
        faults.add(other, &[cause], None, advice);
        return Ok(None);
    }
    let stored = arrays().map(natural).fold(DType::U8, |most, it| if place(most) < place(it) { it } else { most });
    let dtype = becomes(stored, reading.input, |wanted| {
        let mut all = Extremes::NONE;
        for array in arrays().filter(|it| place(wanted) < place(natural(it))) {
            array.each(|it| all = all.with(it))?;
        }
        Ok(all)
    })?;
    let element = Element { dtype, double: reading.double };
    let Some(all) = extents(first, dtype) else { return Ok(None) };
    for array in arrays() {
        let Some(found) = extents(array, dtype).filter(|it| *it != all) else { continue };
        return Err(DataError::Unfit {
            path: array.path().into(),
            cause: format!(
                "the examples of `{}` have extents {found}, those of `{}`{} {all}",
                array.name,
                first.name,
                if array.path() == first.path() { String::new() } else { format!(" of `{}`", shown(first.path())) },
            ),
            remedy: "store all in one size".into(),
        });
    }
    Ok(Some(Form { extents: all, element }))
}

impl Form {
    /// The examples of a part, file by file.
    pub(super) fn read(&self, part: &Part, room: &mut Room) -> Result<Examples, DataError> {
        let count = part.examples.iter().fold(0u64, |all, it| all.saturating_add(it.count));
        let bytes = count.saturating_mul(self.element.bytes() as u64);
        let mut store = Store::of(part.examples[0].path(), self.element, bytes, room)?;
        let mut rounded = None;
        for array in &part.examples {
            let of = (format!("`{}`", array.name), array.path());
            let mut converter = Converter::new(of, &array.header.dtype, self.element, self.extents.len());
            array.chunks(|it| converter.append(it, &mut store))?;
            rounded = rounded.or_else(|| converter.remark());
        }
        Ok(Examples { pixels: store.end()?, rounded })
    }
}

/// What to say of images that look as if their channels came first, as PyTorch has them.
pub(super) fn channels_first(parts: &[Part]) -> Option<String> {
    let array = parts.first()?.examples.first()?;
    let [_, channels @ (1 | 3), height, width] = array.header.shape[..] else { return None };
    if height != width || width <= 4 {
        return None;
    }
    let of_file = parts.iter().flat_map(|it| &it.examples).filter(|it| it.path() == array.path());
    let all: Vec<_> = of_file.map(|it| (it.name, mend::channels_last(&mend::array(it.name)))).collect();
    let line = mend::line(array.path(), &all, false);
    Some(format!(
        "the images of `{}` are {channels}x{height} with {width} channels: are their channels first, not last?\n  {line}",
        shown(array.path())
    ))
}
