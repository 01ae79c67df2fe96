//! Run directories: what a training left, listed and gone on with.

use super::files::{plain, put};
use super::packing::{BETWEEN, Part, joined, parts};
use super::seeds::small_plan;
use super::weights::packed;
use sphc::data::{self, Dataset};
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::train::curves::Curve;
use sphc::train::{
    self, Board, Manifest, Resume, State, TrainConfig, TrainError, checkpoints, find_runs, look_at_run, metrics,
    recipe_of,
};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

fn digits() -> Dataset {
    static DIGITS: OnceLock<Dataset> = OnceLock::new();
    let read = || {
        let (manifest, place) = data::locate("digits", None).expect("the digits are part of the program");
        data::read(&manifest, &place, &[]).expect("the digits are part of the program")
    };
    DIGITS.get_or_init(read).clone()
}

/// The small network's training in a directory: three steps, as its recipe has it, or until it is stopped.
fn trained(run: &Path, resume: Option<Resume>, stop: &dyn Fn() -> bool) -> Result<u64, TrainError> {
    let plan = small_plan();
    let manifest = Manifest {
        sphc: "0".into(),
        command: Vec::new(),
        model: plan.name.clone(),
        hash: plan.hash.clone(),
        seed: plan.seed,
        precision: plan.precision,
        device: String::new(),
        set: Vec::new(),
        no_shuffle: false,
        no_augment: false,
        data: "digits".into(),
        init: None,
        init_strict: false,
        init_map: Vec::new(),
        log_every: 1,
        training: recipe_of(plan)?.clone(),
        sources: Vec::new(),
    };
    let config = TrainConfig {
        run: run.into(),
        resume,
        init: None,
        shards: 1,
        log_every: 1,
        board: Board::default(),
        stop,
        manifest,
    };
    let plan = Arc::new(plan.clone());
    let backend = CpuBackend::new(plan.clone(), Some(1)).expect("the small plan runs");
    let mut session = Session::new(plan, Box::new(backend)).expect("the small plan runs");
    train::train(&config, &mut session, digits(), &mut |_| {}).map(|it| it.step)
}

/// How files for TensorBoard begin.
const EVENTS: &str = "events.out.tfevents.";

/// The header and the numbers of a checkpoint.
struct Checkpoint {
    header: Vec<u8>,
    numbers: Vec<u8>,
}

/// What a training of the small network leaves that was stopped after two of its three steps.
struct Left {
    config: Vec<u8>,
    metrics: Vec<u8>,
    events: Vec<u8>,
    stopped: Checkpoint,
    finished: Checkpoint,
}

fn checkpoint(run: &Path) -> Checkpoint {
    let whole = fs::read(&checkpoints(run)[0].1).expect("a training leaves it");
    let (length, rest) = whole.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
    let (header, numbers) = rest.split_at(length);
    let header = String::from_utf8_lossy(header).trim_end().to_owned();
    let sum = header.split("\"sha256\":\"").nth(1).and_then(|it| it.split('"').next()).expect("a sum of the numbers");
    Checkpoint { header: header.replace(sum, "SUM").into_bytes(), numbers: numbers.to_vec() }
}

fn left() -> &'static Left {
    static LEFT: OnceLock<Left> = OnceLock::new();
    LEFT.get_or_init(|| {
        let folder = super::place();
        let run = folder.path();
        // It is asked before each step, and then by the evaluation.
        let asked = Cell::new(0);
        let stop = || 2 <= asked.replace(asked.get() + 1);
        let step = trained(run, None, &stop).expect("the small network is trained");
        assert_eq!(step, 2, "it was stopped");
        let stopped = checkpoint(run);
        trained(run, Some(Resume::Last), &|| false).expect("it goes on");
        let of = |start: &str| {
            let mut all = fs::read_dir(run).expect("the folder can be read").flatten();
            let found = all.find(|it| it.file_name().to_string_lossy().starts_with(start));
            fs::read(found.expect("a training leaves it").path()).expect("a training leaves it")
        };
        let finished = checkpoint(run);
        Left { config: of("config"), metrics: of("metrics"), events: of(EVENTS), stopped, finished }
    })
}

/// A finished run, one that was stopped, one without a checkpoint, and two of a sweep.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let Left { config, metrics, events, stopped, finished } = left();
    let (config, metrics) = (("config.yaml", config.clone()), ("metrics.jsonl", metrics.clone()));
    let name = format!("{EVENTS}0000000007.sphc");
    let events = (&*name, events.clone());
    let stopped = ("checkpoints/step-00000002.safetensors", stopped.header.clone());
    let finished = ("checkpoints/step-00000003.safetensors", finished.header.clone());
    let below = [("a/config.yaml", config.1.clone()), ("a/metrics.jsonl", metrics.1.clone())];
    let other = [("b/seed-1/config.yaml", config.1.clone()), ("b/seed-1/metrics.jsonl", metrics.1.clone())];
    vec![
        joined(&[config.clone(), metrics.clone(), finished.clone()]),
        joined(&[config.clone(), metrics.clone(), stopped.clone(), events]),
        joined(&[("best", Vec::new()), config.clone(), metrics.clone(), stopped, finished]),
        joined(&[config, metrics]),
        joined(&[below, other].concat()),
    ]
}

/// A checkpoint is the text of a header; its numbers are those of the small network after so many steps.
fn write(place: &Path, part: &Part) {
    // Names of folders are the user's own.
    if part.name.contains(char::is_control) {
        return;
    }
    if part.name.ends_with(".safetensors") && part.bytes.starts_with(b"{") {
        let of = if part.name.ends_with("2.safetensors") { &left().stopped } else { &left().finished };
        let whole = [part.bytes, BETWEEN, &of.numbers].concat();
        return put(place, &part.name, &packed(&whole));
    }
    put(place, &part.name, part.bytes);
}

fn refused(error: &TrainError) {
    let said = error.to_string();
    assert!(said.contains('\n'), "no remedy: {said}");
    plain(&said);
}

/// The lines of a run, and its curve.
fn drawn(run: &Path) -> Vec<metrics::Line> {
    let lines = metrics::read(&run.join("metrics.jsonl")).unwrap_or_default();
    let curve = Curve::of_run("run", &lines);
    assert!(curve.losses.len() <= lines.len() && curve.tested.len() <= lines.len());
    lines
}

pub(super) fn read(input: &[u8]) -> bool {
    let folder = super::place();
    let place = folder.path().join("run");
    fs::create_dir(&place).expect("a folder for the run");
    let parts = parts(input);
    parts.iter().take(12).for_each(|it| write(&place, it));
    let found: Vec<PathBuf> = find_runs(&place).expect("the folder can be read");
    let mut known = 0;
    for run in &found {
        match look_at_run(run) {
            Ok(it) => {
                known += 1;
                assert!(it.best.is_some() == it.last.is_some(), "an evaluation that is the last and not the best");
            }
            Err(it) => refused(&it),
        }
    }
    let all: Vec<Vec<metrics::Line>> = found.iter().map(|it| drawn(it)).collect();
    let group = Curve::of_group("runs", &all);
    assert_eq!(group.runs, all.len());
    if found != [place.clone()] {
        return known != 0;
    }

    let from = if parts[0].name == "best" { Resume::Best } else { Resume::Last };
    match trained(&place, Some(from), &|| false) {
        Err(it) => {
            refused(&it);
            false
        }
        Ok(step) => {
            assert_eq!(step, 3, "iterations of the recipe");
            // A `config.yaml` that says too little stays, if what it says of the recipe is right.
            let found = look_at_run(&place);
            assert!(
                found.is_ok_and(|it| it.state == State::Finished) || known == 0,
                "what came to its end is not finished"
            );
            drawn(&place);
            true
        }
    }
}
