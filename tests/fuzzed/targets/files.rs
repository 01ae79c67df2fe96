//! Data sets: folders of files of every format, with or without a manifest, and single arrays.

use super::packing::{Part, packed, parts, zip};
use sphc::data::{self, DataError, Dataset, Element, Reading};
use sphc::ir::{DType, ImageStep};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

/// Files of an input beyond these are left out.
const MOST_FILES: usize = 24;

/// Whether a name stays in its folder and is one that a file can have.
fn is_plain(name: &str) -> bool {
    let path = Path::new(name);
    let parts: Vec<Component> = path.components().collect();
    let plain = parts.iter().all(|it| matches!(it, Component::Normal(_)));
    plain && !name.is_empty() && name.len() < 80 && parts.len() < 5 && !name.contains(['\0', '\r'])
}

/// Writes the parts of an input as files. `set.npz/x.npy` is a member of an archive.
fn write(place: &Path, parts: &[Part]) {
    let mut archives: BTreeMap<&str, Vec<(&str, Vec<u8>)>> = BTreeMap::new();
    for part in parts.iter().take(MOST_FILES) {
        if let Some((archive, member)) = part.name.split_once(".npz/") {
            archives.entry(archive).or_default().push((member, packed(member, part.bytes)));
            continue;
        }
        let (name, bytes) = match part.name.strip_suffix('!') {
            Some(name) => (name, part.bytes.to_vec()),
            None => (&part.name[..], packed(&part.name, part.bytes)),
        };
        put(place, name, &bytes);
    }
    for (name, members) in archives {
        put(place, &format!("{name}.npz"), &zip(&members, name.len().is_multiple_of(2)));
    }
}

/// What cannot be written, as a folder has the name, is left out.
pub(super) fn put(place: &Path, name: &str, bytes: &[u8]) {
    let path = place.join(name);
    if is_plain(name) && path.parent().is_some_and(|it| fs::create_dir_all(it).is_ok()) {
        let _ = fs::write(path, bytes);
    }
}

/// How a data set is read: as the bytes of the part `options` say.
fn options(parts: &[Part]) -> (Vec<ImageStep>, Option<u64>, Option<DType>, bool) {
    let bytes = parts.iter().find(|it| it.name == "options").map_or(&[][..], |it| it.bytes);
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let size = |at: usize| usize::from(byte(at)) % 40;
    let mut steps = Vec::new();
    if byte(0) & 1 != 0 {
        steps.push(ImageStep::Resize { height: size(1).max(1), width: size(2).max(1) });
    }
    if byte(0) & 2 != 0 {
        steps.push(ImageStep::Pad(size(3)));
    }
    if byte(0) & 4 != 0 {
        steps.push(ImageStep::Channels(if byte(3) & 1 == 0 { 1 } else { 3 }));
    }
    // With little memory, images lie in a file.
    let memory = (byte(0) & 8 != 0).then(|| u64::from(byte(4)) << 5);
    let input = DType::INPUTS.get(usize::from(byte(5)).wrapping_sub(1)).copied();
    (steps, memory, input, byte(0) & 16 != 0)
}

/// Whether a manifest leads to files beside its own folder, which are none of the fuzzer's.
fn leads_out(manifest: &data::Manifest, place: &Path) -> bool {
    let folders = [manifest.path.as_deref(), manifest.images.as_deref()];
    let names = [&manifest.train, &manifest.test, &manifest.val].into_iter().flatten().map(Path::new);
    let climbs = |it: &Path| it.components().any(|it| it == Component::ParentDir);
    let out = |it: &Path| climbs(it) || it.is_absolute() && !it.starts_with(place);
    folders.into_iter().flatten().chain(names).any(out)
}

/// A message has a remedy, and nothing that a terminal would obey.
pub(super) fn told(error: &DataError) {
    let said = error.to_string();
    assert!(said.contains('\n'), "no remedy: {said}");
    plain(&said);
}

pub(super) fn plain(said: &str) {
    let turns = |it: char| matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let odd = said.chars().find(|it| it.is_control() && !matches!(it, '\n' | '\t') || turns(*it));
    assert!(odd.is_none(), "a message has {odd:?}: {said:?}");
}

/// Reads a data set, and whatever is read is whole.
pub(super) fn read(input: &[u8]) -> bool {
    let folder = super::place();
    let place = folder.path().join("set");
    fs::create_dir(&place).expect("a folder for the files");
    let parts = parts(input);
    write(&place, &parts);
    let only = |ending: &str| parts.iter().find(|it| it.name.ends_with(ending) && is_plain(&it.name));
    let wanted = match only(".yaml") {
        Some(it) => place.join(&it.name),
        None => place.clone(),
    };
    let wanted = wanted.display().to_string();
    let (steps, memory, input, double) = options(&parts);
    let reading = Reading { steps: &steps, memory, input, double, watch: None };
    let found = data::describe(&wanted).and_then(|manifest| {
        if leads_out(&manifest, &place) {
            return Ok(None);
        }
        let at = data::place_of(&manifest, &wanted, None)?;
        let names = data::class_names(&manifest, &wanted, None);
        let data = data::read_as(&manifest, &at, &reading)?;
        Ok(Some((names, data)))
    });
    match found {
        Err(it) => {
            told(&it);
            false
        }
        Ok(None) => false,
        Ok(Some((names, data))) => {
            whole(&data);
            if let Ok(names) = names {
                assert_eq!(names, data.classes, "the names of the classes, without and with the images");
            }
            true
        }
    }
}

/// What must hold of whatever was read.
fn whole(data: &Dataset) {
    let volume = data.image.len() * data.element().bytes();
    for split in [&data.train, &data.test].into_iter().chain(&data.validation) {
        assert_eq!(split.images.len(), split.len() * volume, "images for each target");
        let classes = 0..data.classes.len() as i64;
        assert!(split.targets.labels().iter().all(|it| classes.contains(it)), "a label without a class");
    }
    data.warnings.iter().for_each(|it| plain(it));
    data.fingerprints();
    data.extremes();
    if let Err(it) = data::parted(data.clone(), 0.25, 7, true) {
        told(&it);
    }
}

/// Reads one array, as `sphc predict` does: the first part, as a file of its name.
pub(super) fn array(input: &[u8]) -> bool {
    let folder = super::place();
    let parts = parts(input);
    write(folder.path(), &parts);
    let (_, _, input, double) = options(&parts);
    let dtype = input.unwrap_or(DType::Real);
    let mut read = false;
    for name in ["a.npy", "b.npz", "cc.npz"] {
        let path = folder.path().join(name);
        if !path.exists() {
            continue;
        }
        match data::load(&path, Element { dtype, double }, 4) {
            Ok(it) => {
                let bytes = Element { dtype: it.dtype, double }.bytes();
                assert_eq!(it.numbers.len(), it.shape.len() * bytes, "{name}");
                read = true;
            }
            Err(it) => told(&it),
        }
    }
    read
}
