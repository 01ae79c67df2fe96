//! What the labels of `.npz` files are: classes, classes of pixels, several classes each, or numbers. Their extents and dtype
//! tell, and a manifest where those could mean two things.

use super::bound::Room;
use super::error::{plain, shown};
use super::faults::Faults;
use super::labels;
use super::manifest::{Answer, Manifest};
use super::mend;
use super::npy::Kind;
use super::npz::{Array, Part};
use super::{DataError, Targets, numbered};
use crate::ir::TargetKind;
use crate::ir::target::MOST_MAPPED_CLASSES;

/// The number of pixels that are of no class, by custom. It is one of a class only where all numbers below it are.
pub(super) const VOID: u8 = u8::MAX;

/// What was found: the kind, and those of each part.
pub(super) struct Answers {
    pub(super) kind: TargetKind,
    pub(super) parts: Vec<Targets>,
}

impl Answers {
    /// Names of the classes: the manifest's, or numbers. Only of what was found without fault is it known how many there are.
    pub(super) fn classes(&self, manifest: &Manifest) -> Vec<String> {
        if !manifest.classes.is_empty() {
            return manifest.classes.clone();
        }
        let all: Vec<&Targets> = self.parts.iter().collect();
        match (&self.kind, self.parts.first()) {
            (TargetKind::Numbers(_), _) => Vec::new(),
            (TargetKind::Class, _) => numbered(&self.parts.iter().map(Targets::labels).collect::<Vec<_>>()),
            (TargetKind::Labels, Some(Targets::Bytes { each, .. })) => (0..*each).map(|it| it.to_string()).collect(),
            (TargetKind::Map(_) | TargetKind::Labels, _) => classes_of_pixels(&all),
        }
    }
}

/// Numbers of the classes of pixels.
pub(super) fn classes_of_pixels(parts: &[&Targets]) -> Vec<String> {
    let all = || parts.iter().flat_map(|it| it.bytes()).copied();
    let most = match all().filter(|it| *it != VOID).max() {
        // What no number before it leads to is no class.
        Some(it) if 0 < it && it + 1 < VOID => it,
        Some(_) | None => all().max().unwrap_or(0),
    };
    (0..=most).map(|it| it.to_string()).collect()
}

/// What the values of an array are like, beside how it is stored.
#[derive(Clone, Copy)]
struct Seen {
    /// All are whole numbers from 0.
    whole: bool,
    /// All are 0 or 1.
    bits: bool,
    /// Each row has exactly one that is not 0, and that is 1.
    one_hot: bool,
}

impl Seen {
    fn of(array: &Array) -> Result<Seen, DataError> {
        let width = array.header.shape.get(1).copied().unwrap_or(1).max(1);
        let mut seen = Seen { whole: true, bits: true, one_hot: true };
        let (mut at, mut ones) = (0, 0);
        array.each(|it| {
            seen.whole &= it.fract() == 0.0 && 0.0 <= it;
            let bit = it == 0.0 || it == 1.0;
            seen.bits &= bit;
            ones += u64::from(it != 0.0);
            at += 1;
            if at % width == 0 {
                seen.one_hot &= ones == 1;
                ones = 0;
            }
        })?;
        seen.one_hot &= seen.bits;
        Ok(seen)
    }

    fn and(self, other: Seen) -> Seen {
        Seen { whole: self.whole && other.whole, bits: self.bits && other.bits, one_hot: self.one_hot && other.one_hot }
    }
}

/// Reads the labels of all parts, whatever they are.
pub(super) fn read(
    parts: &[Part],
    manifest: &Manifest,
    room: &mut Room,
    faults: &mut Faults,
) -> Result<Answers, DataError> {
    let kind = kind(parts, manifest)?;
    let TargetKind::Class = kind else { return others(kind, parts, manifest, room, faults) };
    let parts = labels::classes(parts, manifest, room, faults)?.into_iter().map(Targets::Classes).collect();
    Ok(Answers { kind, parts })
}

/// What an array holds, for messages.
fn told(it: &Array) -> String {
    format!("`{}` has extents {:?} and dtype {}", it.name, it.header.shape, plain(&it.header.dtype.text))
}

/// What the arrays hold. What fits nothing is judged as classes are, and told with what mends it.
fn kind(parts: &[Part], manifest: &Manifest) -> Result<TargetKind, DataError> {
    let all = || parts.iter().flat_map(|it| &it.labels);
    let pairs = || parts.iter().flat_map(|it| it.examples.iter().zip(&it.labels));
    let Some(array) = all().next() else { return Ok(TargetKind::Class) };
    let one_each = pairs().all(|(examples, labels)| {
        let [examples, labels] = [examples, labels].map(|it| it.header.shape.first());
        examples.is_some() && examples == labels
    });
    let extents: Option<Vec<usize>> =
        array.header.shape.iter().skip(1).map(|it| usize::try_from(*it).ok().filter(|it| 0 < *it)).collect();
    let (Some(extents), true) = (extents, one_each) else { return Ok(TargetKind::Class) };
    let single = matches!(extents[..], [] | [1]);
    let numbers = || match extents[..] {
        [] => TargetKind::Numbers(vec![1]),
        [height, width] => TargetKind::Numbers(vec![height, width, 1]),
        _ => TargetKind::Numbers(extents.clone()),
    };
    let map = || match extents[..] {
        [height, width] | [height, width, 1] => Some(TargetKind::Map([height, width])),
        _ => None,
    };
    let numeric = |it: &Array| matches!(it.header.dtype.kind, Kind::Bool | Kind::Int | Kind::Uint | Kind::Float);
    if !all().all(numeric) {
        return Ok(TargetKind::Class);
    }
    // A number for each image, a row or a picture of them; whole numbers or not.
    let sort = |it: &Array| {
        let axes = it.header.shape.iter().skip(1).filter(|it| **it != 1).count();
        (axes, it.header.dtype.kind == Kind::Float)
    };
    if let Some(other) = all().find(|it| sort(it) != sort(array)) {
        let place = match other.path() == array.path() {
            true => String::new(),
            false => format!(" in `{}`", shown(other.path())),
        };
        return Err(DataError::Unfit {
            path: array.path().into(),
            cause: format!("{}, but {}{place}: they are of two kinds", told(array), told(other)),
            remedy: "store the answers of all parts as those of the training are stored".to_owned(),
        });
    }
    let kind = array.header.dtype.kind;
    let counts = kind != Kind::Float;
    let wrong = |wanted: &str, remedy: &str| DataError::Unfit {
        path: array.path().into(),
        cause: format!("{}, while the manifest says `target: {wanted}`", told(array)),
        remedy: remedy.to_owned(),
    };
    match manifest.target {
        Some(Answer::Class) => return Ok(TargetKind::Class),
        Some(Answer::Numbers) => return Ok(numbers()),
        Some(Answer::Labels) if extents.len() == 1 => return Ok(TargetKind::Labels),
        Some(Answer::Labels) => return Err(wrong("labels", "store 0 or 1 for each class, [n, classes]")),
        Some(Answer::Pixels) => {
            let found = map().filter(|_| counts);
            return found.ok_or_else(|| wrong("pixels", "store whole numbers, [n, height, width]"));
        }
        None => {}
    }
    if let (false, true, Some(map)) = (single, counts, map()) {
        return Ok(map);
    }
    if single && counts || 1 < extents.len() {
        return Ok(if counts { TargetKind::Class } else { numbers() });
    }
    let mut seen = Seen { whole: true, bits: true, one_hot: true };
    for array in all() {
        seen = seen.and(Seen::of(array)?);
    }
    Ok(match (single, kind) {
        // Classes that were stored as floats, most likely.
        (true, _) if seen.whole => TargetKind::Class,
        (false, _) if seen.one_hot => TargetKind::Class,
        (false, Kind::Bool | Kind::Int | Kind::Uint) if seen.bits => TargetKind::Labels,
        (_, Kind::Float) => numbers(),
        (..) => TargetKind::Class,
    })
}

/// What is no class each.
fn others(
    kind: TargetKind,
    parts: &[Part],
    manifest: &Manifest,
    room: &mut Room,
    faults: &mut Faults,
) -> Result<Answers, DataError> {
    let all = || parts.iter().flat_map(|it| &it.labels);
    let first = all().next().expect("a kind is that of an array");
    let unfit =
        |cause: String, remedy: &str| DataError::Unfit { path: first.path().into(), cause, remedy: remedy.into() };
    let named = manifest.classes.len();
    if named != 0 && !kind.has_classes() {
        let cause = format!("`{}` holds numbers, and the manifest names classes", first.name);
        return Err(unfit(cause, "leave `classes` out of the manifest"));
    }
    if let Some(other) = all().find(|it| it.header.shape[1..] != first.header.shape[1..]) {
        let (one, two) = (&first.header.shape, &other.header.shape);
        let cause = format!("`{}` has extents {one:?}, and `{}` {two:?}", first.name, other.name);
        return Err(unfit(cause, "store all in one size"));
    }
    let width = first.header.shape.get(1).map_or(1, |it| *it as usize);
    if kind == TargetKind::Labels && named != 0 && named != width {
        let cause =
            format!("`{}` has {width} numbers for each example, and the manifest names {named} classes", first.name);
        return Err(unfit(cause, "name a class for each of them"));
    }
    // The largest number that may stand for a class, and one more.
    let bound = match kind {
        TargetKind::Labels => 2,
        _ if named != 0 => named.min(MOST_MAPPED_CLASSES),
        _ => MOST_MAPPED_CLASSES,
    };
    let mut res = Vec::new();
    for part in parts {
        let (mut bytes, mut numbers, mut each) = (Vec::new(), Vec::new(), 0);
        for array in &part.labels {
            each = usize::try_from(array.count.checked_div(array.examples()).unwrap_or(0)).unwrap_or(0).max(each);
            if array.header.fortran && 1 < array.header.shape.len() {
                let mended = format!("np.ascontiguousarray({})", mend::array(array.name));
                faults.add(array, &["is in Fortran's order".to_owned()], Some(mended), "store it row by row");
                continue;
            }
            let mut wrong = None;
            let mut at = 0u64;
            if kind.has_classes() {
                room.reserve(array.path(), &mut bytes, array.count)?;
                array.each(|it| {
                    let void = matches!(kind, TargetKind::Map(_)) && it == f64::from(VOID);
                    let is_class = void || it.fract() == 0.0 && 0.0 <= it && it < bound as f64;
                    wrong = wrong.or((!is_class).then_some((at, it)));
                    bytes.push(it as u8);
                    at += 1;
                })?;
            } else {
                room.reserve(array.path(), &mut numbers, array.count)?;
                array.each(|it| {
                    wrong = wrong.or((!it.is_finite()).then_some((at, it)));
                    numbers.push(it);
                    at += 1;
                })?;
            }
            if let Some((at, found)) = wrong {
                let (allowed, advice) = allowed(&kind, named, bound);
                let cause = format!("has {found} for example {}, while {allowed}", at / each.max(1) as u64);
                faults.add(array, &[cause], None, advice);
            }
        }
        res.push(match kind.has_classes() {
            true => Targets::Bytes { each, bytes },
            false => Targets::Numbers { each, numbers },
        });
    }
    Ok(Answers { kind, parts: res })
}

/// What targets may be, and what to do where they are not.
fn allowed(kind: &TargetKind, named: usize, bound: usize) -> (String, &'static str) {
    match (kind, named) {
        (TargetKind::Numbers(_), _) => ("targets are finite".to_owned(), "leave out the examples without a target"),
        (TargetKind::Labels, _) => {
            ("it is 0 or 1 for each class".to_owned(), "store numbers that are no classes as floats, in all parts")
        }
        (_, 1..=MOST_MAPPED_CLASSES) => (
            format!("the manifest names the classes 0 to {}, and 255 is none", bound - 1),
            "name all classes in the manifest",
        ),
        (..) => (
            format!("classes of pixels are 0 to {}", bound - 1),
            "store numbers that are no classes as floats, in all parts",
        ),
    }
}
