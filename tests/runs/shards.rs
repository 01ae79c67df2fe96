//! `shards`: a step of shards is the step of the whole batch, and any number of processes that share them makes the same bits.

use crate::files::streaming::arrays;
use crate::runs::cli::{MODEL, errors};
use sphc::data::{Named, Values, write_npz};
use sphc::ir::Precision;
use sphc::runtime::RuntimeError;
use sphc::runtime::ranks::{Ranks, Together};
use sphc::{Device, DeviceOptions, Error, Event, Model, Options, Ready, Resume, TrainOptions};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Ranks that are threads of this process.
struct Threads {
    rank: usize,
    to: Vec<Mutex<Sender<Vec<u8>>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Threads {
    fn all(size: usize) -> Vec<Together> {
        let mut to: Vec<Vec<Mutex<Sender<Vec<u8>>>>> = (0..size).map(|_| Vec::new()).collect();
        let mut from: Vec<Vec<Mutex<Receiver<Vec<u8>>>>> = (0..size).map(|_| Vec::new()).collect();
        for to in &mut to {
            for from in &mut from {
                let (sender, receiver) = channel();
                to.push(Mutex::new(sender));
                from.push(Mutex::new(receiver));
            }
        }
        let each = to.into_iter().zip(from).enumerate();
        each.map(|(rank, (to, from))| Together(Arc::new(Threads { rank, to, from }))).collect()
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<(), RuntimeError> {
        self.to[to].lock().unwrap().send(bytes.to_vec()).map_err(|_| gone(to))
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, RuntimeError> {
        self.from[from].lock().unwrap().recv().map_err(|_| gone(from))
    }
}

fn gone(rank: usize) -> RuntimeError {
    RuntimeError::Ranks { cause: format!("rank {rank} is gone"), remedy: "start it again".into() }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn swap(&self, with: usize, own: &[u8], theirs: &mut Vec<u8>) -> Result<(), RuntimeError> {
        self.send(with, own)?;
        *theirs = self.receive(with)?;
        assert_eq!(own.len(), theirs.len());
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<(), RuntimeError> {
        if self.rank == 0 {
            return (1..self.size()).try_for_each(|it| self.send(it, bytes));
        }
        *bytes = self.receive(0)?;
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, RuntimeError> {
        if self.rank != 0 {
            self.send(0, own)?;
            return Ok(Vec::new());
        }
        let others = (1..self.size()).map(|it| self.receive(it));
        std::iter::once(Ok(own.to_vec())).chain(others).collect()
    }

    fn describe(&self) -> String {
        "threads".into()
    }

    fn abort(&self) {}
}

fn device(ranks: Option<Together>) -> DeviceOptions {
    DeviceOptions { threads: Some(1), ranks, ..DeviceOptions::cpu() }
}

/// Trains on so many ranks; each has its model by its number.
fn train(
    size: usize,
    run: &Path,
    resume: Option<Resume>,
    model: &(dyn Fn(usize) -> Model + Sync),
) -> Vec<Result<(), Error>> {
    std::thread::scope(|scope| {
        let one = |(rank, ranks): (usize, Together)| {
            scope.spawn(move || {
                let ready = Ready::among(&*ranks, || model(rank).ready())?;
                let device = device(Some(ranks.clone()));
                if rank != 0 {
                    return ready.follow(&device);
                }
                let how = TrainOptions { resume, log_every: 1, ..TrainOptions::new(run) };
                ready.train(&how, &device, &mut |_| {}).map(|_| ())
            })
        };
        let threads: Vec<_> = Threads::all(size).into_iter().enumerate().map(one).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn text(model: &str, recipe: &str) -> String {
    format!("{model}\ntrain {{\n    data digits\n    iterations 3\n    evaluate every 2\n    {recipe}\n}}\n")
}

/// What a run left: its log without times, and the newest checkpoint.
fn left(run: &Path) -> (Vec<String>, Vec<u8>) {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let untimed = |line: &str| {
        let mut it: serde_json::Value = serde_json::from_str(line).unwrap();
        it.as_object_mut().unwrap().remove("seconds");
        it.to_string()
    };
    let newest = sphc::train::checkpoints(run).first().unwrap().1.clone();
    (log.lines().map(untimed).collect(), fs::read(newest).unwrap())
}

const NORMED: &str = "model Case {
    input image: u8[8, 8, 1]
    x = sphere_conv((image - 8) / 8, 6, operator: sigmoid) |> batch_norm |> relu
    x = conv(x, 8, stride: 2) |> batch_norm(decay: 0.75) |> relu |> dropout(0.3)
    output conv(x, classes, kernel: 4, pad: valid) as \"score\"
}
";

/// A token that all examples have in common, and products of each example's own.
const TOKENS: &str = "block tokens(x) {
    learn first: [1, 8] = normal(std: 0.5)
    concat([first, reshape(x, [16, 8])], over: 0)
}

model Case {
    input image: u8[8, 8, 1]
    x = conv((image - 8) / 8, 8, kernel: 2, stride: 2, pad: valid) |> tokens
    x = x + attention(layer_norm(x), heads: 2)
    output dense(mean(x, over: 0), classes)
}
";

/// The sum, the largest and the spread of what all examples have.
const MEASURED: &str = "block measured(x) {
    most = max(x, over: [batch, positions])
    all = sum(x ^ 2, over: [batch, positions]) / count(x, over: [batch, positions])
    spread = variance(x, over: [batch])
    if training { (x + 0.1 * most + 0.3 * all) / sqrt(spread + 1) } else { x }
}

model Case {
    input image: u8[8, 8, 1]
    x = tanh(conv((image - 8) / 8, 5, stride: 2) |> measured)
    output conv(x, classes, kernel: 4, pad: valid) as \"score\"
}
";

const CASES: [(&str, &str, &str); 6] = [
    (
        "normed",
        NORMED,
        "batch 16\n    loss softmax_cross_entropy\n    optimizer adam(rate: 0.01)\n    augment crop(pad: 1), flip_horizontal",
    ),
    (
        "uneven",
        NORMED,
        "batch 21\n    loss softmax_cross_entropy\n    optimizer sgd(rate: 0.05, momentum: 0.9)\n    penalty l2(1e-3) on filters",
    ),
    (
        "tokens",
        TOKENS,
        "batch 20\n    loss softmax_cross_entropy(smoothing: 0.1)\n    optimizer adamw(rate: 0.01)\n    clip norm(0.5)",
    ),
    (
        "measured",
        MEASURED,
        "batch 8\n    loss softmax_cross_entropy\n    optimizer sgd(rate: 0.05)\n    average ema(0.5)",
    ),
    (
        "mixed",
        NORMED,
        "batch 16\n    loss softmax_cross_entropy\n    optimizer adam(rate: 0.01)\n    augment mixup(0.4)",
    ),
    (
        "in parts",
        MEASURED,
        "batch 38\n    accumulate 2\n    loss softmax_cross_entropy\n    optimizer adam(rate: 0.01)\n    augment flip_horizontal",
    ),
];

/// A number of a log, by its line and name.
fn numbers(log: &[String]) -> Vec<(String, f64)> {
    let of_line = |(at, line): (usize, &String)| {
        let it: serde_json::Value = serde_json::from_str(line).unwrap();
        let all = it.as_object().unwrap().clone();
        all.into_iter()
            .filter_map(move |(name, it)| Some((format!("{name} of line {at}"), it.as_f64()?)))
            .collect::<Vec<_>>()
    };
    log.iter().enumerate().flat_map(of_line).collect()
}

#[test]
fn shards_are_the_whole_batch() {
    let directory = tempfile::tempdir().unwrap();
    for (name, model, recipe) in CASES {
        let of = |shards: Option<usize>| {
            let run = directory.path().join(format!("{name} {shards:?}"));
            let options = Options { shards, precision: Some(Precision::F64), ..Options::default() };
            let model = Model::from_text("case.sph", text(model, recipe)).with(options);
            let how = TrainOptions { log_every: 1, ..TrainOptions::new(&run) };
            let mut losses = 0;
            let mut see = |event: Event<'_>| losses += usize::from(matches!(event, Event::Step { .. }));
            model.train(&how, &device(None), &mut see).unwrap_or_else(|it| panic!("{name}: {it}"));
            assert_eq!(losses, 3);
            numbers(&left(&run).0)
        };
        let whole = of(None);
        assert!(whole.len() > 15, "{whole:?}");
        for shards in [2, 8] {
            let cut = of(Some(shards));
            assert_eq!(whole.len(), cut.len());
            for ((key, one), (other_key, other)) in whole.iter().zip(&cut) {
                assert_eq!(key, other_key);
                assert!(
                    (one - other).abs() <= 1e-9 * one.abs().max(1e-3),
                    "{name}, {shards} shards: {key} is {one} and {other}"
                );
            }
        }
    }
}

#[test]
fn any_number_of_ranks_makes_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    for (name, model, recipe) in CASES {
        let of = |size: usize| {
            let run = directory.path().join(format!("{name} {size}"));
            let options = Options { shards: Some(8), ..Options::default() };
            let model = |_: usize| Model::from_text("case.sph", text(model, recipe)).with(options.clone());
            for (rank, it) in train(size, &run, None, &model).into_iter().enumerate() {
                it.unwrap_or_else(|it| panic!("{name}, rank {rank} of {size}: {it}"));
            }
            left(&run)
        };
        let one = of(1);
        for size in [2, 8] {
            assert!(one == of(size), "{name} on {size} ranks");
        }
    }
}

#[test]
fn another_number_of_ranks_goes_on_to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let (_, model, recipe) = CASES[1];
    let asked = |iterations: u64| {
        let options = Options { shards: Some(4), iterations: Some(iterations), ..Options::default() };
        move |_: usize| Model::from_text("case.sph", text(model, recipe)).with(options.clone())
    };
    let (whole, parted) = (directory.path().join("whole"), directory.path().join("parted"));
    train(1, &whole, None, &asked(6)).into_iter().for_each(|it| it.unwrap());
    train(4, &parted, None, &asked(2)).into_iter().for_each(|it| it.unwrap());
    train(2, &parted, Some(Resume::Last), &asked(6)).into_iter().for_each(|it| it.unwrap());
    assert!(left(&whole) == left(&parted));
    let other = |_: usize| {
        let options = Options { shards: Some(2), iterations: Some(8), ..Options::default() };
        Model::from_text("case.sph", text(model, recipe)).with(options)
    };
    let told = train(1, &parted, Some(Resume::Last), &other).remove(0).unwrap_err().to_string();
    assert!(told.contains("cut into 4 shards, and into 2 now") && told.contains("`--shards 4`"), "{told}");
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_says_so_to_a_launcher() {
    for variables in [["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], ["PMI_RANK", "PMI_SIZE"]] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tiny.sph"), MODEL).unwrap();
        let sphc = |size: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
            command.args(["train", "tiny.sph", "--iterations", "1"]).current_dir(directory.path());
            command.env(variables[0], "0").env(variables[1], size).output().unwrap()
        };
        let output = sphc("4");
        let told = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("a launcher started 4 processes") && told.contains("--features mpi"), "{told}");
        assert!(!directory.path().join("runs").exists());
        assert_eq!(sphc("1").status.code(), Some(0), "one process needs no other");
    }
}

#[test]
fn ranks_that_differ_do_not_begin() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let (_, model, recipe) = CASES[0];
    let whole = Model::from_text("case.sph", text(model, recipe));
    let begin = |size: usize, change: &(dyn Fn(usize, Options) -> Options + Sync)| {
        let of = |rank: usize| whole.clone().with(change(rank, Options { ranks: size, ..Options::default() }));
        let all = train(size, &run, None, &of);
        assert!(!run.exists());
        let mut told = all.into_iter().map(|it| it.unwrap_err());
        let first = told.next().unwrap().to_string();
        assert!(told.all(|it| matches!(it, Error::Elsewhere)));
        first
    };
    let seeds = begin(2, &|rank, it| Options { seed: Some(rank as u64), ..it });
    assert!(seeds.contains("rank 1 has another model or other settings than rank 0"), "{seeds}");
    let mistakes = begin(4, &|rank, it| if rank == 2 { Options { shards: Some(3), ..it } } else { it });
    assert!(mistakes.contains("rank 2: ") && mistakes.contains("expected 1, 2, 4, 8"), "{mistakes}");
    let uneven = begin(2, &|_, it| Options { batch: Some(11), ..it });
    assert!(uneven.contains("11 examples in 8 shards are one in some and two in others"), "{uneven}");
    let three = begin(3, &|_, it| it);
    assert!(
        three.contains("3 ranks cannot take as many of 8 shards each") && three.contains("start 1, 2, 4, 8 ranks"),
        "{three}"
    );
    let many = begin(4, &|_, it| Options { shards: Some(2), ..it });
    assert!(many.contains("4 ranks cannot take as many of 2 shards each"), "{many}");
}

#[test]
fn a_plan_of_whole_batches_is_not_trained_in_shards() {
    let directory = tempfile::tempdir().unwrap();
    let (_, model, recipe) = CASES[0];
    let recipe = format!("{recipe}\n    shards 4");
    fs::write(directory.path().join("case.sph"), text(model, &recipe)).unwrap();
    let sphc = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sphc"));
        command.args(arguments).current_dir(directory.path()).output().unwrap()
    };
    let done = |arguments: &[&str]| {
        let output = sphc(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
    };
    done(&["compile", "case.sph", "--emit", "plan", "-o", "case"]);
    done(&["train", "case.sph", "--run", "run"]);
    done(&["eval", "case/plan.yaml", "--weights", "run/checkpoints/step-00000003.safetensors"]);
    done(&["verify", "case.sph", "--replay", "run"]);
    let output = sphc(&["train", "case/plan.yaml", "--run", "other"]);
    let told = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("a plan is of whole batches") && told.contains("train the `.sph` file"), "{told}");
    assert!(!directory.path().join("other").exists());
    let whole = Model::from_text("case.sph", text(model, &recipe));
    let on_gpu = DeviceOptions { device: Device::Cuda(0), ..DeviceOptions::default() };
    let how = TrainOptions::new(directory.path().join("other"));
    let told = whole.train(&how, &on_gpu, &mut |_| {}).unwrap_err().to_string();
    assert!(told.contains("shards of a batch run on CPUs"), "{told}");
}

#[test]
fn ranks_read_from_a_file_what_they_take_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (_, model, recipe) = CASES[0];
    let set = directory.path().join("set.npz");
    arrays(&set);
    let of = |name: &str, memory: Option<u64>, size: usize| {
        let run = directory.path().join(name);
        let data = Some(set.display().to_string());
        let options = Options { shards: Some(4), data, data_memory: memory, ..Options::default() };
        let model = |_: usize| Model::from_text("case.sph", text(model, recipe)).with(options.clone());
        train(size, &run, None, &model).into_iter().for_each(|it| it.unwrap());
        left(&run)
    };
    let (memory, file) = (of("memory", None, 1), of("file", Some(8000), 2));
    assert!(memory.1 == file.1, "weights differ");
    assert!(file.0.iter().any(|it| it.contains("data_wait")) && memory.0.iter().all(|it| !it.contains("data_wait")));
}

/// A data set's own validation set is what a training in shards is tested with, and is called so.
#[test]
fn shards_know_what_they_are_tested_with() {
    let directory = tempfile::tempdir().unwrap();
    let (_, model, recipe) = CASES[0];
    let set = directory.path().join("set.npz");
    let array = |name: &str, shape: Vec<usize>, values| Named { name: name.into(), shape, values };
    let images = |count: usize| Values::Bytes((0..count * 64).map(|it| (it * 31 % 17) as u8).collect());
    let labels = |count: usize| Values::Ints((0..count).map(|it| (it % 3) as i64).collect());
    let parts = [("train", 40), ("val", 10), ("test", 20)];
    let all = parts.map(|(part, count)| {
        [
            array(&format!("x_{part}"), vec![count, 8, 8], images(count)),
            array(&format!("y_{part}"), vec![count], labels(count)),
        ]
    });
    write_npz(&all.concat(), fs::File::create(&set).unwrap()).unwrap();
    for shards in [1, 4] {
        let data = Some(set.display().to_string());
        let options = Options { shards: Some(shards), data, ..Options::default() };
        let ready = Model::from_text("case.sph", text(model, recipe)).with(options).ready().unwrap();
        let how = TrainOptions::new(directory.path().join(format!("of {shards}")));
        let mut told = None;
        let mut see = |event: Event<'_>| {
            if let Event::Started { training, .. } = event {
                told = Some((training.tested().to_owned(), training.test_examples));
            }
        };
        ready.train(&how, &device(None), &mut see).unwrap();
        assert_eq!(told, Some(("validation".into(), 10)), "{shards} shards");
    }
}
