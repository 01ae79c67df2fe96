//! What a run is: hashes by which a checkpoint is known to be of the same text and settings.

use crate::diag::{FileId, Sources};
use crate::ir::{DType, Precision, TargetKind};
use crate::lower::{DataInfo, Settings};
use sha2::{Digest, Sha256};
use std::fmt;

/// What a plan was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of everything that decides the numbers of a run: the texts and those settings that change
    /// the arithmetic. The number of iterations and the intervals are left out, so that a run can be
    /// resumed for longer; where the files lie does not matter.
    pub hash: String,
    /// SHA-256 of the texts and the values of parameters alone.
    pub source: String,
}

/// Identifies texts and settings.
pub fn identity(sources: &Sources, settings: &Settings, precision: Precision) -> Identity {
    let mut hash = Sha256::new();
    for (id, source) in sources.iter() {
        hash.update([u8::from(id == FileId(0))]);
        hash.update((source.text.len() as u64).to_le_bytes());
        hash.update(source.text.as_bytes());
    }
    let hex = |hash: Sha256| hash.finalize().iter().map(|it| format!("{it:02x}")).collect();
    let source = hex(hash.clone().chain_update(format!("{:?}", settings.set)));
    hash.update(Decisive::of(settings, precision).to_string());
    Identity { hash: hex(hash), source }
}

/// The settings that decide the numbers of a run.
struct Decisive<'a> {
    set: &'a [(String, String)],
    batch: Option<usize>,
    shards: Option<usize>,
    seed: Option<u64>,
    no_shuffle: bool,
    no_augment: bool,
    precision: Precision,
    data: Option<&'a DataInfo>,
}

impl<'a> Decisive<'a> {
    /// Each setting is among them or is named here as one that decides nothing.
    fn of(settings: &'a Settings, precision: Precision) -> Self {
        let Settings {
            set,
            batch,
            shards,
            shard: _,
            iterations: _,
            seed,
            evaluate_every: _,
            checkpoint_every: _,
            patience: _,
            no_shuffle,
            no_augment,
            evaluates: _,
            features: _,
            gradients: _,
            known_data: _,
            data,
            data_path: _,
            data_replaced: _,
            look: _,
            index: _,
        } = settings;
        Decisive {
            set,
            batch: *batch,
            shards: *shards,
            seed: *seed,
            no_shuffle: *no_shuffle,
            no_augment: *no_augment,
            precision,
            data: data.as_ref(),
        }
    }
}

/// As they are hashed: in the words of the first version, which are written out, so that no name in the compiler is part of
/// them. A run is continued by every later version.
impl fmt::Display for Decisive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decisive { set, batch, shards, seed, no_shuffle, no_augment, precision, data } = self;
        let precision = match precision {
            Precision::F32 => "F32",
            Precision::Tf32 => "Tf32",
            Precision::Bf16 => "Bf16",
            Precision::F64 => "F64",
        };
        let data = data.map_or_else(|| "None".to_owned(), |it| format!("Some({})", of_data(it)));
        write!(f, "{set:?} {batch:?} {seed:?} {no_shuffle} {no_augment} {precision} {data}")?;
        shards.map_or(Ok(()), |it| write!(f, " shards {it}"))
    }
}

fn of_data(data: &DataInfo) -> String {
    let DataInfo { name, image, dtype, range: _, classes, target, train_examples, test_examples } = data;
    let image = &image.0;
    let target = match target {
        TargetKind::Class => "Class".to_owned(),
        TargetKind::Map(extents) => format!("Map({extents:?})"),
        TargetKind::Labels => "Labels".to_owned(),
        TargetKind::Numbers(extents) => format!("Numbers({extents:?})"),
    };
    format!(
        "DataInfo {{ name: {name:?}, image: {image:?}, classes: {classes}, target: {target}, \
         train_examples: {train_examples}, test_examples: {test_examples}{} }}",
        // The first version knew bytes only.
        if *dtype == DType::U8 { String::new() } else { format!(", input: {}", dtype.word()) }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_written_as_in_the_first_version() {
        let target = TargetKind::Map([8, 8]);
        let data = DataInfo { target, ..DataInfo::images("digits", [8, 8, 1], 10, [1437, 360]) };
        let set = vec![("norm".into(), "linear".into())];
        let settings = Settings { set, batch: Some(16), seed: Some(3), data: Some(data), ..Settings::default() };
        assert_eq!(
            Decisive::of(&settings, Precision::Tf32).to_string(),
            "[(\"norm\", \"linear\")] Some(16) Some(3) false false Tf32 Some(DataInfo { name: \"digits\", image: [8, 8, 1], \
             classes: 10, target: Map([8, 8]), train_examples: 1437, test_examples: 360 })"
        );
        assert_eq!(Decisive::of(&Settings::default(), Precision::F32).to_string(), "[] None None false false F32 None");
    }

    /// Hashes of the words of the first version, made by another program.
    #[test]
    fn runs_of_before_are_the_same_runs() {
        let mut sources = Sources::new();
        sources.add("model.sph", "model M {}\n");
        let of = |precision: Precision, target: Option<TargetKind>| {
            let of = |target| DataInfo { target, ..DataInfo::images("digits", [8, 8, 1], 10, [1437, 360]) };
            let data = target.map(of);
            let set = vec![("norm".into(), "linear".into())];
            let settings = Settings { set, batch: Some(16), no_shuffle: true, data, ..Settings::default() };
            identity(&sources, &settings, precision)
        };
        let source = "04345d355ec715c939ccf535f39a5fdbda508261b71d3bd6a6ec80b8d0d38b08";
        for (precision, target, hash) in [
            (Precision::F32, None, "ff929fb0abddd69819b88be3959ee85c64dba82422e88dec211d833fe79a20ca"),
            (
                Precision::Bf16,
                Some(TargetKind::Class),
                "1e3e774f254f1b1d4e0d8d60815bdfe34c8b17f2ca9b8bb0b01b03bb581c16e7",
            ),
            (
                Precision::F64,
                Some(TargetKind::Map([8, 8])),
                "45762215a9df453f80642624adcb6e8bd6903517ed4bde5d1353c838ce0c93a6",
            ),
            (
                Precision::Tf32,
                Some(TargetKind::Numbers(vec![3])),
                "44d97cc8a2b43b9f69f62a28a555227822e99801a863e26ecea6d22abe5a489f",
            ),
        ] {
            assert_eq!(of(precision, target), Identity { hash: hash.into(), source: source.into() });
        }
    }
}
