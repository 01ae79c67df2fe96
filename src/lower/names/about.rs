//! What editors tell of words that no text defines: a line each, as `docs/language.md` has it at length. A test holds it to the
//! tables of the words.

use crate::ir::ParamRole;

/// How an entry of the recipe is written, and what it is for.
pub(super) fn entry(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "data" => ("data NAME |> STEP", "The data set, and the steps that make its images fit."),
        "validate" => {
            ("validate 0.1", "The share of the training images that is kept to be looked at while it is trained.")
        }
        "augment" => ("augment flip_horizontal, crop(pad: 4)", "What is done to training images at random."),
        "batch" => ("batch N", "Examples per step."),
        "iterations" => ("iterations N", "Steps of the run."),
        "loss" => {
            ("loss LOSS on OUTPUTS", "What is made small: a loss, or an expression of losses; several lines add up.")
        }
        "metric" => ("metric METRIC on OUTPUTS", "What is told beside the loss."),
        "penalty" => (
            "penalty l2(W) on TARGETS where CONDITION",
            "What is added to the loss for the parameters that it selects.",
        ),
        "project" => {
            ("project normalize filters where CONDITION every N", "What is done to filters after every N steps.")
        }
        "freeze" => (
            "freeze on TARGETS where CONDITION",
            "These stay as they are: no gradient, penalty, projection or average.",
        ),
        "optimizer" => (
            "optimizer NAME(rate: 1e-3) on TARGETS where CONDITION",
            "How parameters move; one without `on` takes the rest.",
        ),
        "schedule" => ("schedule warmup(500) * cosine", "What rates are multiplied by over time."),
        "clip" => ("clip norm(1.0)", "A bound on gradients, penalties included."),
        "average" => ("average ema(0.999)", "What evaluation uses in place of the last parameters and statistics."),
        "accumulate" => {
            ("accumulate N", "Takes the batch in N equal parts, one after the other, in the memory of one.")
        }
        "shards" => ("shards N", "Computes a batch in N shards, so that several processes make the bits of one."),
        "evaluate" => ("evaluate every N", "Test loss and accuracy: every N iterations, and at the end."),
        "patience" => {
            ("patience N", "The run ends after N evaluations in a row that are no better than the best before.")
        }
        "views" => ("views flip_horizontal, shift(1)", "What evaluation takes the mean of the scores over."),
        "checkpoint" => (
            "checkpoint last(3), best every N",
            "A checkpoint every N iterations, and at the end; of those, which stay.",
        ),
        "precision" => ("precision f32", "In which numbers it is computed."),
        "seed" => ("seed N", "Decides initial values, shuffling and augmentation."),
        "allow" => ("allow CODE", "Silences a warning."),
        _ => return None,
    })
}

/// A word that can stand after a key of the recipe, without those that are defined in the language.
pub(super) fn option(key: &str, name: &str) -> Option<&'static str> {
    Some(match (key, name) {
        ("clip", "norm") => "Scales gradients so that the norm of all of them is at most this.",
        ("clip", "value") => "Keeps each number of the gradients within these bounds.",
        ("checkpoint", "last") => "Only the last ones stay.",
        ("checkpoint", "best") => "That of the best evaluation stays, which is written when it was made.",
        ("data", "resize") => "Scales, linear between pixels, a mean where pixels fall together.",
        ("data", "pad") => "Pixels of 0 on every side.",
        ("data", "channels") => "As many channels: grey images as such of colours.",
        ("augment" | "views", "flip_horizontal") => "Left and right change places.",
        ("augment", "flip_vertical") => "Above and below change places.",
        ("augment", "crop") => "A part at a random place, of the image with `pad` pixels around it.",
        ("augment", "random_resized_crop") => "A part of random size and shape, made as large as this.",
        ("augment", "rotate") => "Turns by up to so many degrees either way, zeros outside.",
        ("augment", "color_jitter") => "Changes brightness, contrast and saturation.",
        ("augment", "cutout") => "Fills a square around a pixel anywhere with one value.",
        ("augment", "mixup") => "Mixes two images and their labels.",
        ("augment", "cutmix") => "Puts a part of another image into each, and mixes their labels.",
        ("views", "shift") => "Images moved by so many pixels up and left, and down and right.",
        ("project", "normalize") => "Divides each filter by its norm.",
        _ => return None,
    })
}

/// A function that is built in.
pub(super) fn function(name: &str) -> Option<&'static str> {
    Some(match name {
        "abs" => "The number without its sign.",
        "sign" => "-1, 0 or 1.",
        "sqrt" => "The square root; NaN of a negative number.",
        "exp" => "`e` to the power of `x`.",
        "expm1" => "`exp(x) - 1`, exact near 0.",
        "log" => "The natural logarithm; NaN of a negative number.",
        "log1p" => "`log(1 + x)`, exact near 0.",
        "sin" => "The sine.",
        "cos" => "The cosine.",
        "tanh" => "The hyperbolic tangent.",
        "logistic" => "`1 / (1 + exp(-x))`.",
        "erf" => "The error function.",
        "asin" => "The arc sine, of `x` bounded to [-1, 1].",
        "acos" => "The arc cosine, of `x` bounded to [-1, 1].",
        "atan" => "The arc tangent.",
        "floor" => "The largest whole number that is not above `x`.",
        "stop" => "`x` without a derivative.",
        "min" => "The smaller one; with `over`, the smallest number over these axes.",
        "max" => "The larger one; with `over`, the largest number over these axes.",
        "pow" => "`x` to the power of `y`, as `x ^ y`.",
        "div" => "`x / y` without its fraction, rounded down for a positive `y`.",
        "select" => "`x` where the condition holds, else `y`.",
        "known" => "Whether a number is known when the model is unfolded.",
        "len" => "How long a list is.",
        "channels" => "The extent of the last axis.",
        "height" => "The extent of the first axis of an image.",
        "width" => "The extent of the second axis of an image.",
        "size" => "How many numbers an example has.",
        "shape" => "The list of the extents, without the batch.",
        "reshape" => "The same numbers in the same order.",
        "transpose" => "Axis `i` of the result is axis `order[i]` of `x`.",
        "concat" => "One behind the other along an axis.",
        "slice" => "Positions `from` to `to - 1` of an axis.",
        "split" => "A list of parts of one size.",
        "pad" => "Zeros before and after, `after` as many as before if left out.",
        "flip" => "The other way round.",
        "repeat" => "Each position several times, one after the other.",
        "take" => "For each number of `ids` the row of `table` that it counts, from 0.",
        "range" => "0, 1, ... as a tensor.",
        "indices" => "Positions along one axis: 0, 1, ..., with extents of 1 along the others.",
        "label_cross_entropy" => "Minus the logarithm of the label's probability by a softmax.",
        "hit" => "1 where the largest score, the first of equals, is the label's, else 0.",
        "max_window" => "The largest number of each window, channel by channel.",
        "mean_window" => "The mean of the positions of each window inside the image, channel by channel.",
        "sum_window" => "The sum of each window, channel by channel.",
        "convolve" => "The answer of each filter of `w: [height, width, channels, filters]` at each position.",
        "convolve_transpose" => {
            "Puts around each position of `x` so many times the filter `w: [height, width, filters, channels]`."
        }
        "respond" => "An operator of the angle of two vectors, by their product and their norms.",
        "einsum" => "Sums of products, by letters for axes: `einsum(\"ij,jk->ik\", a, b)`.",
        "uniform" => "Random numbers in [0, 1), in training.",
        "full" => "The same number everywhere.",
        "eye" => "The identity of `[n, n]`.",
        "sum" => "The sum over these axes, which stay with an extent of 1.",
        "mean" => "The mean over these axes, which stay with an extent of 1.",
        "variance" => "The mean of the squared distances from the mean, over these axes.",
        "count" => "How many numbers these axes hold.",
        _ => return None,
    })
}

/// How what is learned can start.
pub(super) fn start(name: &str) -> Option<&'static str> {
    Some(match name {
        "he" => "Normal, of variance 2 / fan in, or 2 / fan out.",
        "glorot" => "Uniform, of variance 2 / (fan in + fan out).",
        "normal" => "Normal, around 0.",
        "uniform" => "Uniform between `-bound` and `bound`.",
        "orthogonal" => "Filters that stand at right angles.",
        "dirac" => "1 where a filter meets its own channel at the middle of the window, else 0.",
        "whitening" => "Filters that whiten patches of training images.",
        _ => return None,
    })
}

/// A word that has its value, or stands for axes, without a definition: how it is written, and what it is.
pub(super) fn word(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "pi" => ("pi = 3.141592653589793", "The angle between opposite vectors."),
        "e" => ("e = 2.718281828459045", "The base of `exp` and `log`."),
        "classes" => ("classes: int", "How many classes the data set has."),
        "training" => ("training", "The condition of an `if` that differs between training and evaluation."),
        "step" => ("step", "How many updates are done."),
        "iterations" => ("iterations", "How many updates the whole run has."),
        "target" => ("target", "What the data has for an example: of a class, 1 there and 0 elsewhere."),
        "label" => ("label", "The number of an example's class."),
        "value" => ("value", "A number of a parameter: before an update, of an average after it."),
        "gradient" => ("gradient", "The derivative of the loss by this number."),
        "average" => ("average", "The average so far; after the first update, the value."),
        "batch" => ("batch", "The axis of the examples."),
        "channels" => ("channels", "The last axis."),
        "positions" => ("positions", "All axes between the batch and the channels."),
        "height" => ("height", "The first axis of an image."),
        "width" => ("width", "The second axis of an image."),
        _ => return None,
    })
}

/// A word after `on`.
pub(super) fn group(name: &str) -> Option<&'static str> {
    Some(match name {
        "filters" => "What is compared with patches or multiplied with inputs: the weights of layers.",
        "gamma" => "Scales of normalisations.",
        "beta" => "Shifts of normalisations.",
        "biases" => "What is added to each filter's answer.",
        "learned" => "What operators and blocks learn besides.",
        "all" => "All parameters.",
        _ => return None,
    })
}

/// What a selector asks: how it is written, and what it is.
pub(super) fn subject(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "operator" => ("operator == NAME", "The operator of the layer that a parameter belongs to."),
        "layer" => {
            ("layer == \"NAME\"", "The layer that a parameter belongs to; a name holds for all that is inside it.")
        }
        "role" => ("role == ROLE", "What a parameter is for: `filter`, `gamma`, `beta`, `bias` or `learned`."),
        _ => return None,
    })
}

/// What a parameter is for.
pub(super) fn role(role: ParamRole) -> &'static str {
    match role {
        ParamRole::Filter => "A layer's weights.",
        ParamRole::Gamma => "The scale of a normalisation.",
        ParamRole::Beta => "The shift of a normalisation.",
        ParamRole::Bias => "Added to each filter's answer.",
        ParamRole::Learned => "What an operator or a block learns besides.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::names::index::known_words;
    use crate::lower::names::items::Items;
    use crate::lower::names::options::GROUPS;
    use crate::lower::names::options::{KEYS, options};
    use crate::lower::names::words::{INITS, PRIMITIVES, REDUCTIONS, SUBJECTS};
    use crate::lower::values::signature::{FUNCTIONS, QUERIES};

    #[test]
    fn every_word_of_the_tables_has_a_line() {
        for (key, ..) in KEYS {
            assert!(entry(key).is_some_and(|it| it.0.starts_with(key)), "{key}");
            for it in options(key, &Items::default()) {
                assert!(option(key, &it.name).is_some(), "{key} {}", it.name);
            }
        }
        let functions = FUNCTIONS.iter().map(|it| &it.0).chain(QUERIES).chain(PRIMITIVES).chain(REDUCTIONS);
        functions.for_each(|it| assert!(function(it).is_some(), "{it}"));
        INITS.iter().for_each(|it| assert!(start(it).is_some(), "{it}"));
        known_words().for_each(|it| assert!(word(it).is_some(), "{it}"));
        GROUPS.iter().for_each(|it| assert!(group(it.0).is_some(), "{}", it.0));
        SUBJECTS.iter().for_each(|it| assert!(subject(it).is_some(), "{it}"));
    }
}
