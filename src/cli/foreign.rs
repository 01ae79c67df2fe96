//! Flags of other programs, and what stands for them here.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of other programs without their dashes.
struct Way {
    names: &'static [&'static str],
    /// The flag that does it here, where one does.
    flag: Option<&'static str>,
    says: &'static str,
}

const fn flag(names: &'static [&'static str], flag: &'static str, says: &'static str) -> Way {
    Way { names, flag: Some(flag), says }
}

const fn otherwise(names: &'static [&'static str], says: &'static str) -> Way {
    Way { names, flag: None, says }
}

const WAYS: &[Way] = &[
    flag(
        &["epochs", "epoch", "num-epochs", "num_epochs", "n-epochs", "max-epochs", "e"],
        "iterations",
        "the length of a run is `--iterations N`: epochs * examples / batch",
    ),
    flag(
        &["steps", "max-steps", "iters", "max-iter", "max-iters", "num-steps"],
        "iterations",
        "the number of steps is `--iterations N`",
    ),
    flag(
        &["batch-size", "batch_size", "bs", "batchsize", "b", "train-batch-size"],
        "batch",
        "the number of examples in a step is `--batch N`",
    ),
    otherwise(
        &["lr", "learning-rate", "learning_rate", "rate"],
        "the rate stands in the recipe, `optimizer adam(rate: 1e-3)`; with `param rate = 1e-3` and `adam(rate: rate)` in the \
         file, `--set rate=1e-2` changes it",
    ),
    otherwise(
        &["weight-decay", "weight_decay", "wd", "l2"],
        "this stands in the recipe, `penalty l2(5e-4) on filters` or `optimizer adamw(decay: 0.05)`; what a `param` gives there, \
         `--set NAME=VALUE` changes",
    ),
    otherwise(
        &["warmup", "warmup-steps", "warmup-epochs", "scheduler", "lr-scheduler", "schedule", "gamma", "milestones"],
        "this stands in the recipe, `schedule warmup(500) * cosine`; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    otherwise(
        &["clip-grad", "grad-clip", "clip", "max-grad-norm"],
        "this stands in the recipe, `clip norm(1.0)`; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    otherwise(
        &["grad-accum", "accumulate", "accumulate-grad-batches", "gradient-accumulation-steps"],
        "this stands in the recipe, `accumulate 4`",
    ),
    otherwise(
        &["optimizer", "opt", "loss", "momentum", "dropout", "smoothing", "label-smoothing", "ema", "mixup", "cutmix"],
        "this stands in the recipe of the file; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    flag(
        &["gpu", "gpus", "cuda", "use-gpu", "gpu-id", "gpu_id"],
        "device",
        "a GPU is chosen with `--device cuda`, the second with `--device cuda:1`",
    ),
    flag(&["cpu", "no-cuda", "no-gpu"], "device", "the CPU is chosen with `--device cpu`"),
    flag(
        &["workers", "num-workers", "num_workers", "jobs", "j", "cpus", "nproc"],
        "threads",
        "the number of CPU threads is `--threads N`",
    ),
    otherwise(
        &["distributed", "world-size", "nodes", "num-nodes", "rank", "local-rank", "local_rank", "dist-url"],
        "a launcher starts several processes: `mpirun -n 4 sphc train FILE` (docs/distributed.md)",
    ),
    flag(
        &[
            "output",
            "out",
            "o",
            "output-dir",
            "output_dir",
            "log-dir",
            "logdir",
            "save-dir",
            "save_dir",
            "save",
            "name",
            "exp-name",
            "project",
        ],
        "run",
        "where a run is written is `--run DIR`",
    ),
    flag(&["load", "pretrained", "finetune", "init-from"], "init", "weights to start from are `--init FILE`"),
    flag(
        &["checkpoint", "ckpt", "load", "pretrained", "model-path", "w"],
        "weights",
        "trained numbers are read with `--weights FILE`",
    ),
    flag(
        &["continue", "checkpoint", "ckpt", "restore", "resume-from"],
        "resume",
        "`--run DIR --resume` goes on with a run",
    ),
    flag(
        &["dataset", "data-dir", "data_dir", "data-path", "data_path", "root"],
        "data",
        "the data set is `--data NAME|PATH`",
    ),
    otherwise(
        &["val-split", "valid-split", "val_split", "validation-split"],
        "images are kept for validation by the recipe, `validate 0.1`",
    ),
    flag(
        &["early-stopping", "early_stopping", "early-stop"],
        "patience",
        "a run that gets no better is ended with `--patience N`, counted in evaluations",
    ),
    flag(
        &["log-interval", "log_interval", "log-freq", "print-freq"],
        "log-every",
        "losses are logged with `--log-every N`",
    ),
    flag(
        &["eval-interval", "eval-every", "eval-freq", "val-interval", "val-every", "validate-every"],
        "evaluate-every",
        "evaluations are made with `--evaluate-every N`",
    ),
    flag(
        &["save-interval", "save-every", "save-freq", "save-steps"],
        "checkpoint-every",
        "checkpoints are written with `--checkpoint-every N`",
    ),
    flag(
        &["fp16", "amp", "half", "mixed-precision", "bf16"],
        "precision",
        "the arithmetic is `--precision bf16`, on a GPU",
    ),
    flag(&["fp32", "float32"], "precision", "the arithmetic is `--precision f32`"),
    flag(&["fp64", "float64", "double"], "precision", "the arithmetic is `--precision f64`, on a CPU"),
    flag(&["random-seed", "manual-seed", "random_seed", "rng-seed"], "seed", "the seed is `--seed N`"),
    flag(
        &["param", "define", "D", "config", "cfg", "hparams", "width", "depth"],
        "set",
        "a `param` of the file is set with `--set NAME=VALUE`",
    ),
    otherwise(&["deterministic", "benchmark"], "the same file, seed and device give the same bits in any case"),
    otherwise(&["compile", "channels-last", "torch-compile"], "the compiler does so in any case"),
    flag(
        &["tb", "tensorboard-dir", "wandb"],
        "tensorboard",
        "what TensorBoard is shown beside the log is `--tensorboard all`",
    ),
    flag(&["json"], "format", "results for programs are printed with `--format json`"),
    flag(&["csv"], "format", "a table for other programs is printed with `--format csv`"),
    otherwise(&["image", "images", "input", "source"], "files are named without a flag, behind the others"),
    otherwise(&["model", "arch"], "the model is a file, which is named without a flag: `models/zoo/resnet18.sph`"),
];

/// Says what a flag of another program is here, in place of one that is spelt alike.
pub(super) fn explained(mut error: clap::Error, words: &Command) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or("").to_owned();
    let command = std::env::args().nth(1).and_then(|it| words.find_subcommand(it).cloned());
    if let Some(says) = said(&name, command.as_ref()) {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedValue);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![says.into()]));
    }
    error
}

/// What a flag is here: that of the command itself first, and if it has none, that of another.
fn said(name: &str, command: Option<&Command>) -> Option<String> {
    let ways = || WAYS.iter().filter(|it| it.names.contains(&name));
    let has = |flag: &str| command.is_some_and(|it| it.get_arguments().any(|it| it.get_long() == Some(flag)));
    if let Some(it) = ways().find(|it| it.flag.is_none_or(has)) {
        return Some(it.says.to_owned());
    }
    let other = ways().next()?;
    let here = command.map_or(String::new(), |it| format!(", which `sphc {}` has no use for", it.get_name()));
    Some(format!("{}{here}", other.says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words;

    #[test]
    fn what_is_said_is_of_the_command_that_was_called() {
        let words = words();
        let say = |name: &str, command: &str| said(name, words.find_subcommand(command)).unwrap_or_default();
        assert!(say("epochs", "train").starts_with("the length of a run is `--iterations N`"));
        assert!(say("batch-size", "predict").ends_with("which `sphc predict` has no use for"));
        assert!(say("pretrained", "train").contains("`--init FILE`"));
        assert!(say("pretrained", "eval").contains("`--weights FILE`"));
        assert!(say("checkpoint", "train").contains("`--run DIR --resume`"));
        assert!(say("gpu", "eval").contains("`--device cuda`"));
        assert_eq!(say("frobnicate", "train"), "");
    }

    #[test]
    fn flags_that_are_named_exist_and_none_is_a_flag_of_ours() {
        let words = words();
        let ours =
            |flag: &str| words.get_subcommands().any(|it| it.get_arguments().any(|it| it.get_long() == Some(flag)));
        for way in WAYS {
            assert!(way.flag.is_none_or(ours), "{:?}", way.flag);
            assert!(way.flag.is_none_or(|it| way.says.contains(&format!("--{it}"))), "{}", way.says);
            let train = words.find_subcommand("train").unwrap();
            for name in way.names {
                assert!(train.get_arguments().all(|it| it.get_long() != Some(*name)), "`--{name}` is a flag");
            }
        }
    }
}
