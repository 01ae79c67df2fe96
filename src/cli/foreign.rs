//! Flags of other programs, and what stands for them here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags without their dashes, and what to do.
const WAYS: &[(&[&str], &str)] = &[
    (&["epochs", "epoch", "num-epochs"], "the length of a run is `--iterations N`: epochs * examples / batch"),
    (&["steps", "max-steps", "iters", "max-iter"], "the number of steps is `--iterations N`"),
    (&["batch-size", "batch_size", "bs", "batchsize"], "the number of examples in a step is `--batch N`"),
    (
        &["lr", "learning-rate", "learning_rate", "rate"],
        "the rate stands in the recipe, `optimizer adam(rate: 1e-3)`; with `param rate = 1e-3` and `adam(rate: rate)` in the \
         file, `--set rate=1e-2` changes it",
    ),
    (
        &["optimizer", "loss", "momentum", "weight-decay", "weight_decay", "scheduler", "dropout", "smoothing"],
        "this stands in the recipe of the file; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    (&["gpu", "gpus", "cuda", "use-gpu"], "a GPU is chosen with `--device cuda`"),
    (&["cpu", "no-cuda", "no-gpu"], "the CPU is chosen with `--device cpu`"),
    (&["workers", "num-workers", "num_workers", "jobs", "j", "cpus"], "the number of CPU threads is `--threads N`"),
    (
        &["output", "out", "o", "output-dir", "log-dir", "logdir", "save-dir", "save"],
        "where a run is written is `--run DIR`",
    ),
    (
        &["checkpoint", "ckpt", "load", "pretrained"],
        "trained numbers are read with `--weights FILE`; `--resume` goes on with a run",
    ),
    (&["dataset", "data-dir", "data_dir", "data-path"], "the data set is `--data NAME|PATH`"),
    (&["fp16", "amp", "half", "mixed-precision", "bf16"], "the arithmetic is `--precision bf16`, on a GPU"),
    (&["fp32", "float32"], "the arithmetic is `--precision f32`"),
    (&["fp64", "float64", "double"], "the arithmetic is `--precision f64`, on a CPU"),
    (&["random-seed", "manual-seed", "random_seed"], "the seed is `--seed N`"),
    (&["param", "define", "D", "config", "cfg"], "a `param` of the file is set with `--set NAME=VALUE`"),
    (&["json"], "results for programs are printed with `--format json`"),
];

/// Says what a flag of another program is here, in place of one that is spelt alike.
pub(super) fn explained(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or("").to_owned();
    if let Some((_, way)) = WAYS.iter().find(|it| it.0.contains(&&*name)) {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedValue);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![(*way).into()]));
    }
    error
}
