//! Names that other frameworks use, and what stands for them here.

/// What a name of elsewhere is called here.
const NAMES: &[(&str, &str)] = &[
    // Layers and functions.
    ("adaptiveavgpool2d", "global_avg_pool"),
    ("averagepooling2d", "avg_pool"),
    ("avgpool2d", "avg_pool"),
    ("batchnorm2d", "batch_norm"),
    ("batchnormalization", "batch_norm"),
    ("bn", "batch_norm"),
    ("clip", "clamp"),
    ("conv2d", "conv"),
    ("convolution", "conv"),
    ("fc", "dense"),
    ("fullyconnected", "dense"),
    ("globalaveragepooling2d", "global_avg_pool"),
    ("maxpool2d", "max_pool"),
    ("maxpooling2d", "max_pool"),
    ("linear", "dense"),
    ("logsigmoid", "log_logistic"),
    ("multiheadattention", "attention"),
    ("selfattention", "attention"),
    ("sigmoid", "logistic"),
    ("stochasticdepth", "drop_path"),
    ("where", "select"),
    // Arguments.
    ("dropprob", "rate"),
    ("eps", "epsilon"),
    ("kernelsize", "kernel"),
    ("labelsmoothing", "smoothing"),
    ("learningrate", "rate"),
    ("lr", "rate"),
    ("numfilters", "filters"),
    ("outchannels", "filters"),
    ("outfeatures", "units"),
    ("p", "rate"),
    ("padding", "pad"),
    ("strides", "stride"),
    ("gamma", "factor"),
    ("milestones", "at"),
    // The recipe.
    ("batchsize", "batch"),
    ("absolute", "mean_absolute_error"),
    ("bce", "binary_cross_entropy"),
    ("bceloss", "binary_cross_entropy"),
    ("bcewithlogits", "binary_cross_entropy"),
    ("bcewithlogitsloss", "binary_cross_entropy"),
    ("center", "centre"),
    ("centerloss", "centre"),
    ("cosineembeddingloss", "cosine_embedding"),
    ("crossentropy", "softmax_cross_entropy"),
    ("crossentropyloss", "softmax_cross_entropy"),
    ("cosineannealing", "cosine"),
    ("cosineannealinglr", "cosine"),
    ("cosinedecay", "cosine"),
    ("cycliclr", "triangular"),
    ("exponentiallr", "exponential"),
    ("onecyclelr", "one_cycle"),
    ("polynomiallr", "polynomial"),
    ("dataset", "data"),
    ("errorrate", "errors"),
    ("float16", "bf16"),
    ("float32", "f32"),
    ("float64", "f64"),
    ("fp16", "bf16"),
    ("fp32", "f32"),
    ("fp64", "f64"),
    ("metrics", "metric"),
    ("focalloss", "focal"),
    ("hingeloss", "hinge"),
    ("huberloss", "huber"),
    ("l1", "mean_absolute_error"),
    ("l1loss", "mean_absolute_error"),
    ("l2", "mean_squared_error"),
    ("l2loss", "mean_squared_error"),
    ("mae", "mean_absolute_error"),
    ("mse", "mean_squared_error"),
    ("mseloss", "mean_squared_error"),
    ("multimarginloss", "hinge"),
    ("nll", "softmax_cross_entropy"),
    ("nllloss", "softmax_cross_entropy"),
    ("smoothl1", "huber"),
    ("smoothl1loss", "huber"),
    ("sparsecategoricalcrossentropy", "softmax_cross_entropy"),
    ("categoricalcrossentropy", "softmax_cross_entropy"),
    ("squares", "mean_squared_error"),
    ("topk", "top"),
    ("top5", "top"),
    ("tripletloss", "triplet"),
    ("tripletmarginloss", "triplet"),
    ("flip", "flip_horizontal"),
    ("horizontalflip", "flip_horizontal"),
    ("verticalflip", "flip_vertical"),
    ("randomverticalflip", "flip_vertical"),
    ("optim", "optimizer"),
    ("randomcrop", "crop"),
    ("randomhorizontalflip", "flip_horizontal"),
    ("steps", "iterations"),
    // Types and values.
    ("boolean", "bool"),
    ("double", "float"),
    ("double", "f64"),
    ("float32", "float"),
    ("float64", "float"),
    ("int32", "int"),
    ("int64", "int"),
    ("false", "false"),
    ("integer", "int"),
    ("str", "string"),
    ("true", "true"),
    ("uint8", "u8"),
];

/// What has no name here but another way. What is said must hold today.
const WAYS: &[(&[&str], &str)] = &[
    (&["enumerate"], "write `for index, item in list`"),
    (&["zip"], "loop over the positions: `for i in 0..len(list)`, and take `list[i]`"),
    (&["return"], "the last expression of a block is its value; a model has `output`"),
    (&["nan", "inf", "infinity"], "numbers are finite: give one, such as `1e30`"),
    (&["none", "null", "nil"], "there is no value for nothing: leave the argument out"),
    (&["sequential"], "pipe one layer into the next: `x |> conv(16) |> batch_norm |> relu`"),
    (&["cat", "concatenate", "stack"], "tensors are joined with `concat(a, b, over: channels)`"),
    (&["chunk", "unbind"], "`split(x, 2, over: channels)` is a list of parts of one size"),
    (&["narrow", "indexselect"], "`slice(x, 0, 4, over: channels)` takes positions 0 to 3"),
    (&["softmax", "logsoftmax"], "the loss has the softmax in it: `loss softmax_cross_entropy`"),
    (&["print"], "`sphc show FILE` prints every layer with its size; `assert` checks one"),
    (&["view", "squeeze", "unsqueeze"], "`reshape(x, [4, 4, 8])` gives a tensor other extents; the batch stays"),
    (&["permute", "swapaxes"], "write `transpose(x, [2, 0, 1])`; the batch is not counted"),
    (&["spectralnorm"], "an operator with `cos` alone, such as `cosine`, divides by the norms of patch and filter"),
    (
        &["groups", "depthwise", "depthwiseconv", "depthwiseconv2d", "separableconv", "separableconv2d", "groupconv"],
        "`conv` and `sphere_conv` take `groups`; with as many groups as channels it is `depthwise_conv(x)`",
    ),
    (&["dilation", "dilationrate"], "`conv` and `sphere_conv` take `dilation`"),
    (&["paddingmode"], "images are padded with zeros"),
    (
        &["conv1d", "conv3d", "convtranspose", "convtranspose2d", "conv2dtranspose", "deconv"],
        "images are convolved with `conv` and `sphere_conv`, and made larger with `upsample`",
    ),
    (
        &["transformer", "transformerencoderlayer", "rnn"],
        "write it as a block: `attention`, `linear`, `layer_norm`, `gru_cell` and `lstm_cell` are there",
    ),
    (&["adaptiveavgpool", "adaptiveavgpool2d"], "`global_avg_pool(x)` is the mean over all positions"),
    (
        &["randn", "randomnormal"],
        "`normal([h, w, n])` draws inside of `if training { ... }`; a tensor starts so by `learn w: [n] = normal(std: 0.02)`",
    ),
    (&["xavier", "xavieruniform", "glorotuniform"], "write `glorot`"),
    (&["kaiming", "kaimingnormal", "heinit"], "write `he`"),
    (&["interpolate", "resize"], "`upsample(x, 2, mode: \"bilinear\")` makes images larger by a whole factor"),
    (&["depthtospace"], "write `pixel_shuffle(x, 2)`"),
    (&["spacetodepth"], "write `pixel_unshuffle(x, 2)`"),
    (&["zeropad2d"], "write `pad(x, 1)`"),
    (
        &["weightdecay"],
        "`adamw`, `lamb`, `lars`, `lion` and `muon` take `decay`; of others it is a line of the recipe: `penalty l2(5e-4) on all`",
    ),
    (
        &["adagrad", "adadelta", "nadam", "radam", "lamb", "lars", "lbfgs", "adamax"],
        "the optimizers are `sgd`, `adam`, `adamw`, `rmsprop` and `lion`; an `optimizer` of your own is a few lines",
    ),
    (&["amsgrad", "dampening", "foreach", "maximize"], "leave it out: there is nothing like it"),
    (
        &["warmup", "warmupsteps", "warmupiterations", "linearwarmup", "warmupepochs"],
        "a warm-up is a schedule, which multiplies others: `schedule warmup(500) * cosine`",
    ),
    (&["steplr", "multistep", "multisteplr"], "write `schedule step(at: [600, 850], factor: 0.1)`"),
    (
        &["plateau", "reducelronplateau", "linear"],
        "a schedule knows the step only: `step(at: [600, 850], factor: 0.1)`, `polynomial`, `cosine` and others",
    ),
    (
        &["kldiv", "kldivergence", "ctc", "ctcloss", "infonce", "contrastive", "ntxent", "arcface", "dice"],
        "write it as a `loss` of its own: `loss name(scores, target) = ...`; margins of the angle are operators, heads",
    ),
    (
        &[
            "gradientaccumulation",
            "accumulategradbatches",
            "gradientaccumulationsteps",
            "accumsteps",
            "accumulationsteps",
        ],
        "write `accumulate 4`: the batch is taken in four parts, in the memory of one",
    ),
    (&["mixup", "cutmix"], "write `augment mixup(0.2)` or `augment cutmix(1)`, after other steps"),
    (&["tta", "testtimeaugmentation"], "write `views flip_horizontal, shift(1)`: what evaluation takes the mean over"),
    (&["epochs", "epoch"], "write `iterations N`: the number of batches, which is epochs * examples / batch"),
    (&["learningrate", "lr"], "the rate belongs to the optimizer: `optimizer adam(rate: 1e-3)`"),
    (
        &["momentum"],
        "the optimizer's is `sgd(rate: 0.1, momentum: 0.9)`; what PyTorch's `batch_norm` calls so is `decay`, one minus it: `decay: 0.9` for 0.1",
    ),
    (
        &["device", "gpu", "gpus", "cuda", "numgpus", "cpu"],
        "where it is trained is told on the command line: `sphc train FILE --device cuda`",
    ),
    (
        &["validation", "validationsplit", "val", "test"],
        "the test set is the data set's; `validate 0.1` keeps training images to look at instead",
    ),
    (&["accuracy"], "the accuracy is told without being asked for; `evaluate every 100` also that of the test set"),
    (
        &["earlystopping", "earlystop", "stop"],
        "write `patience 5`: a run ends after five evaluations without a better one; `checkpoint best` keeps the best",
    ),
    (
        &["ema", "swa", "polyak", "exponentialmovingaverage"],
        "write `average ema(0.999)`, or `average mean(from: 1000)`",
    ),
    (
        &["gradientclip", "clipnorm", "gradclip", "clipvalue", "maxgradnorm"],
        "gradients are bounded by `clip norm(1.0)` or `clip value(0.5)`",
    ),
    (
        &["numworkers", "workers", "threads"],
        "the number of threads is told on the command line: `sphc train FILE --threads 4`",
    ),
    (&["shuffle"], "batches are shuffled; `--no-shuffle` on the command line takes them in order"),
    (
        &["rotation", "randomrotation", "randomerasing"],
        "the augmentations are `flip_horizontal`, `flip_vertical`, `crop(pad: 4)`, `random_resized_crop`, `rotate`, `color_jitter`, `cutout`, `mixup` and `cutmix`",
    ),
    (&["normalize", "transform", "transforms"], "the model scales its image itself, as in `x = (image - 127.5) / 128`"),
    (
        &["imagenet", "svhn", "stl10", "tinyimagenet", "kmnist", "emnist"],
        "images of your own are read with `--data DIR`, one folder for each class",
    ),
    (&["inchannels", "infeatures", "inputshape"], "leave it out: a layer knows the channels of its input"),
    (
        &["bias", "usebias"],
        "`conv`, `sphere_conv` and `dense` take `bias: true`; behind anything else, `offset` adds one",
    ),
    (&["activation", "nonlinearity"], "apply it to the result: `conv(x, 16) |> relu`"),
    (
        &["initializer", "kernelinitializer", "weightinit", "init"],
        "`conv`, `sphere_conv` and `dense` take `init`: `he`, `glorot`, `normal(std: 0.01)`, `uniform(bound: 0.1)`, a number",
    ),
    (&["list", "array", "tuple"], "the type of a list is written `[int]`"),
    (&["half"], "16-bit numbers are `bf16`"),
];

fn plain(name: &str) -> String {
    name.chars().filter(|it| *it != '_').flat_map(char::to_lowercase).collect()
}

/// The one of `known` that a name from elsewhere stands for: the same word in another case, or a word of other
/// frameworks.
pub(in crate::lower) fn translate<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = plain(name);
    let find = |wanted: &str| known.iter().copied().find(|it| plain(it) == plain(wanted));
    find(&name).or_else(|| NAMES.iter().filter(|it| it.0 == name).find_map(|it| find(it.1)))
}

/// The only one of `known` that a name is the start of.
pub(super) fn grown<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = plain(name);
    let mut starts = known.iter().copied().filter(|it| 4 <= name.len() && plain(it).starts_with(&name));
    starts.next().filter(|_| starts.next().is_none())
}

/// How to do what a name from elsewhere does.
pub(in crate::lower) fn way(name: &str) -> Option<&'static str> {
    let name = plain(name);
    WAYS.iter().find(|it| it.0.contains(&&*name)).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_in_order_of_use() {
        for (name, _) in NAMES {
            assert_eq!(plain(name), *name);
        }
        let mut seen = std::collections::BTreeSet::new();
        for name in WAYS.iter().flat_map(|it| it.0) {
            assert_eq!(plain(name), *name);
            assert!(seen.insert(name), "{name} twice");
        }
    }

    #[test]
    fn translations_are_among_what_is_known() {
        let layers = ["conv", "batch_norm", "relu"];
        assert_eq!(translate("Conv2d", &layers), Some("conv"));
        assert_eq!(translate("BatchNorm2d", &layers), Some("batch_norm"));
        assert_eq!(translate("BatchNorm", &layers), Some("batch_norm"));
        assert_eq!(translate("ReLU", &layers), Some("relu"));
        assert_eq!(translate("MaxPool2d", &layers), None);
        assert_eq!(grown("flip", &["flip_horizontal", "crop"]), Some("flip_horizontal"));
    }
}
