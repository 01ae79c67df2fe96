//! The words of other programs.

/// Flags of other programs without their dashes.
pub(super) struct Way {
    pub(super) names: &'static [&'static str],
    /// The flag that does it here, where one does.
    pub(super) flag: Option<&'static str>,
    pub(super) says: &'static str,
}

const fn flag(names: &'static [&'static str], flag: &'static str, says: &'static str) -> Way {
    Way { names, flag: Some(flag), says }
}

const fn otherwise(names: &'static [&'static str], says: &'static str) -> Way {
    Way { names, flag: None, says }
}

pub(super) const WAYS: &[Way] = &[
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
        &[
            "warmup",
            "warmup-steps",
            "warmup-epochs",
            "scheduler",
            "lr-scheduler",
            "schedule",
            "gamma",
            "milestones",
            "step-size",
            "lr-decay",
            "lr_scheduler",
            "cosine",
        ],
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
        &["optimizer", "optim", "opt", "momentum", "nesterov", "betas", "beta1", "beta2", "eps", "adam", "sgd"],
        "this stands in the recipe, `optimizer sgd(rate: 0.1, momentum: 0.9)`; what a `param` gives there, `--set NAME=VALUE` \
         changes",
    ),
    otherwise(
        &["loss", "criterion", "smoothing", "label-smoothing", "label_smoothing", "class-weights", "class_weight"],
        "this stands in the recipe, `loss softmax_cross_entropy(smoothing: 0.1)`; what a `param` gives there, `--set NAME=VALUE` \
         changes",
    ),
    otherwise(
        &["metric", "metrics", "topk", "top-k"],
        "what is told beside the loss stands in the recipe, `metric top(k: 5)`",
    ),
    otherwise(
        &["dropout", "drop-rate", "drop_rate", "activation", "num-layers", "num_layers", "hidden-size", "channels"],
        "this stands in the model, `x |> dropout(rate: 0.5)`; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    otherwise(
        &["ema", "model-ema", "model_ema", "ema-decay", "swa"],
        "this stands in the recipe, `average ema(0.999)`; what a `param` gives there, `--set NAME=VALUE` changes",
    ),
    otherwise(
        &["freeze", "freeze-backbone", "unfreeze"],
        "this stands in the recipe, `freeze on all where layer == \"NAME\"`",
    ),
    flag(
        &[
            "augment",
            "augmentation",
            "aug",
            "data-augmentation",
            "transform",
            "transforms",
            "mixup",
            "cutmix",
            "flip",
            "crop",
        ],
        "no-augment",
        "this stands in the recipe, `augment flip_horizontal, crop(pad: 4)`; `--no-augment` takes images as they are",
    ),
    flag(
        &["shuffle"],
        "no-shuffle",
        "images are shuffled in any case; `--no-shuffle` takes them in the order of the files",
    ),
    otherwise(
        &["image-size", "img-size", "imgsz", "input-size", "resolution", "resize", "crop-size"],
        "this stands in the recipe, `data NAME |> resize(32, 32)`, and in the model's `input`",
    ),
    otherwise(
        &["num-classes", "num_classes", "classes", "nc"],
        "how many classes there are the data set says: `classes` in the file",
    ),
    otherwise(
        &["verbose", "v", "vv", "verbosity", "debug", "log-level", "loglevel"],
        "all that there is to tell is told; `--format json` tells it to programs",
    ),
    otherwise(
        &["quiet", "q", "silent", "no-progress", "disable-tqdm"],
        "progress goes to standard error, which `2> /dev/null` takes away",
    ),
    otherwise(
        &["save-best", "save_best", "save-best-only", "checkpoint-best", "save-top-k"],
        "this stands in the recipe, `checkpoint best, last(3) every 500`",
    ),
    otherwise(
        &["overwrite", "force", "exist-ok", "f"],
        "a run is never overwritten: give another directory, or remove it",
    ),
    otherwise(
        &["summary", "print-model", "dry-run", "dry_run"],
        "`sphc check FILE` finds mistakes, `sphc show FILE` tells layers, cost and memory",
    ),
    otherwise(&["profile", "profiler"], "`sphc bench FILE --kernels` measures a step layer by layer"),
    otherwise(
        &["test", "eval", "evaluate", "eval-only", "evaluate-only", "validate", "validate-only", "test-only"],
        "`sphc eval FILE --weights CHECKPOINT` evaluates",
    ),
    otherwise(&["predict", "infer", "inference"], "`sphc predict FILE --weights CHECKPOINT IMAGE` classifies images"),
    otherwise(
        &["download", "fetch"],
        "`sphc data fetch NAME` fetches a data set; `train` does so as well if it is not there",
    ),
    otherwise(
        &["pin-memory", "pin_memory", "prefetch", "prefetch-factor", "persistent-workers", "cache", "cache-images"],
        "images are in memory, or mapped and read ahead, in any case",
    ),
    flag(
        &["gpu", "gpus", "cuda", "use-gpu", "gpu-id", "gpu_id"],
        "device",
        "a GPU is chosen with `--device cuda`, the second with `--device cuda:1`",
    ),
    flag(&["cpu", "no-cuda", "no-gpu"], "device", "the CPU is chosen with `--device cpu`"),
    flag(
        &[
            "workers",
            "num-workers",
            "num_workers",
            "jobs",
            "j",
            "cpus",
            "nproc",
            "num-threads",
            "num_threads",
            "intra-op-threads",
        ],
        "threads",
        "the number of CPU threads is `--threads N`",
    ),
    otherwise(
        &["multi-gpu", "data-parallel", "ddp", "strategy", "num-gpus", "num_gpus", "ngpus", "gpus-per-node"],
        "a training takes one GPU, `--device cuda`; several processes share one on CPUs (docs/distributed.md)",
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
            "work-dir",
            "workdir",
            "run-name",
            "rundir",
        ],
        "run",
        "where a run is written is `--run DIR`",
    ),
    flag(
        &["out", "output-file", "output-path", "save", "dest", "to"],
        "output",
        "the file to write is `--output FILE`",
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
        &[
            "dataset",
            "data-dir",
            "data_dir",
            "data-path",
            "data_path",
            "root",
            "train-dir",
            "train-data",
            "train_data",
            "d",
        ],
        "data",
        "the data set is `--data NAME|PATH`",
    ),
    otherwise(
        &["val-split", "valid-split", "val_split", "validation-split"],
        "images are kept for validation by the recipe, `validate 0.1`",
    ),
    flag(
        &["early-stopping", "early_stopping", "early-stop", "min-delta"],
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
        &["fp16", "float16", "amp", "half", "mixed-precision", "mixed_precision", "bf16", "bfloat16", "autocast"],
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

/// Values of flags that other programs have by the same name: the flag, the values, and what to write.
pub(super) const VALUES: &[(&str, &[&str], &str)] = &[
    (
        "device",
        &["gpu", "nvidia", "0", "1", "all", "cuda:all"],
        "a GPU is `--device cuda`, the second `--device cuda:1`",
    ),
    (
        "device",
        &["mps", "metal", "rocm", "xpu", "tpu", "xla", "opencl", "vulkan"],
        "there are `--device cpu` and, for GPUs of NVIDIA, `--device cuda`",
    ),
    (
        "precision",
        &["fp16", "float16", "half", "16", "amp", "mixed", "bfloat16"],
        "halves and mixtures are `--precision bf16`, on a GPU",
    ),
    ("precision", &["fp32", "float32", "float", "single", "32"], "this is `--precision f32`"),
    ("precision", &["fp64", "float64", "double", "64"], "this is `--precision f64`, on a CPU"),
    ("format", &["text", "table", "plain", "pretty"], "this is `--format human`, which is usual"),
];

/// Commands of other programs, and what to write.
pub(super) const COMMANDS: &[(&[&str], &str)] = &[
    (&["fit", "run", "learn", "resume", "finetune"], "`sphc train FILE` trains a model"),
    (&["test", "evaluate", "score"], "`sphc eval FILE --weights CHECKPOINT` evaluates"),
    (&["infer", "inference", "classify"], "`sphc predict FILE --weights CHECKPOINT IMAGE` classifies images"),
    (&["summary", "info", "describe", "print", "view", "graph"], "`sphc show FILE` tells layers, cost and memory"),
    (&["lint", "validate"], "`sphc check FILE` finds mistakes"),
    (&["format"], "`sphc fmt FILE` lays a file out"),
    (&["init", "create"], "`sphc new NAME` writes a model to start from"),
    (&["fetch", "download"], "`sphc data fetch NAME` fetches a data set"),
    (&["datasets"], "`sphc data list` tells which data sets there are"),
    (
        &["convert", "onnx", "save"],
        "`sphc export FILE --weights CHECKPOINT --onnx OUT` writes a model for other programs",
    ),
    (&["benchmark", "profile", "time"], "`sphc bench FILE` measures the time of a step"),
    (&["sweep", "grid", "search", "tune"], "`sphc train FILE --set NAME=A,B --seeds N` trains a grid"),
    (&["log", "logs", "history", "ls", "list"], "`sphc runs DIR` tells what became of runs"),
    (&["tensorboard", "curves", "draw"], "`sphc plot RUN` draws curves; TensorBoard reads run directories as they are"),
    (&["build"], "`sphc compile FILE` makes a plan"),
    (&["compare"], "`sphc diff A B` tells what differs"),
    (&["env", "devices", "gpus", "system"], "`sphc doctor` tells what this machine offers"),
];
