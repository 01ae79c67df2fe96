//! Weights of others, and checkpoints: read, judged for a plan, and loaded where nothing speaks against it.

use super::packing::BETWEEN;
use super::seeds::small_plan;
use sha2::{Digest, Sha256};
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::train::Meaning;
use sphc::train::weights::{Need, Rename, Renames, Weights, remedy, summary};
use std::fs;

/// What begins with `{` is a header, with the numbers behind a divider: its length is put before it, and the sum of the numbers
/// in the place of `SUM`. Lines behind another divider are names to be changed.
pub(super) fn packed(input: &[u8]) -> Vec<u8> {
    if !input.starts_with(b"{") {
        return input.to_vec();
    }
    let at = input.windows(BETWEEN.len()).position(|it| it == BETWEEN);
    let (header, numbers) = match at {
        Some(it) => (&input[..it], &input[it + BETWEEN.len()..]),
        None => (input, &[][..]),
    };
    let sum: String = Sha256::digest(numbers).iter().map(|it| format!("{it:02x}")).collect();
    let header = match header.windows(3).position(|it| it == b"SUM") {
        Some(it) => [&header[..it], sum.as_bytes(), &header[it + 3..]].concat(),
        None => header.to_vec(),
    };
    [&(header.len() as u64).to_le_bytes()[..], &header, numbers].concat()
}

pub(super) fn read(input: &[u8]) -> bool {
    let (input, names) = match input.strip_prefix(b"names ") {
        Some(it) => {
            let end = it.iter().position(|it| *it == b'\n').unwrap_or(it.len());
            (it.get(end + 1..).unwrap_or_default(), String::from_utf8_lossy(&it[..end]).into_owned())
        }
        None => (input, String::new()),
    };
    let folder = super::place();
    let path = folder.path().join("w.safetensors");
    fs::write(&path, packed(input)).expect("the weights are written");
    let mut weights = match Weights::read(&path) {
        Ok(it) => it,
        Err(it) => {
            assert!(!it.is_empty() && !remedy(&path).is_empty(), "nothing is said");
            return false;
        }
    };
    let shapes: Vec<(String, usize)> =
        weights.shapes().into_iter().map(|(name, it)| (name.to_owned(), it.iter().product())).collect();
    for (name, numbers) in shapes {
        let read = weights.values(&name);
        assert!(read.is_none_or(|it| it.len() == numbers), "`{name}` has other numbers than its extents tell");
    }
    let _ = Meaning::read(&weights);
    let plan = small_plan();
    let _ = weights.strange_to(plan);
    for name in names.split(' ').filter(|it| !it.is_empty()) {
        // The name of a map is one of a file of the disk, too.
        if !name.contains('=') && Renames::shipped().all(|it| it != name) {
            let _ = Rename::parse(name);
            continue;
        }
        let _ = Renames::parse(name).and_then(|it| weights.rename(&it, plan));
    }
    let mut loaded = false;
    for need in [Need::Start, Need::Inference, Need::Resume] {
        let problems = weights.problems(plan, need);
        if !problems.is_empty() {
            assert!(!summary(&problems).is_empty(), "nothing is said");
            continue;
        }
        let plan = std::sync::Arc::new(plan.clone());
        let backend = CpuBackend::new(plan.clone(), Some(1)).expect("the small plan runs");
        let mut session = Session::new(plan, Box::new(backend)).expect("the small plan runs");
        weights.load(&mut session, need).expect("what has no problems is loaded");
        loaded = true;
    }
    let _ = weights.choose(plan).is_all();
    loaded
}
