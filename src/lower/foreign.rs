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
    ("conv2d", "conv"),
    ("convolution", "conv"),
    ("fc", "dense"),
    ("fullyconnected", "dense"),
    ("globalaveragepooling2d", "global_avg_pool"),
    ("maxpool2d", "max_pool"),
    ("maxpooling2d", "max_pool"),
    ("sigmoid", "logistic"),
    ("silu", "swish"),
    // Arguments.
    ("eps", "epsilon"),
    ("kernelsize", "kernel"),
    ("labelsmoothing", "smoothing"),
    ("learningrate", "rate"),
    ("lr", "rate"),
    ("numfilters", "filters"),
    ("outchannels", "filters"),
    ("outfeatures", "units"),
    ("padding", "pad"),
    ("strides", "stride"),
    // The recipe.
    ("batchsize", "batch"),
    ("crossentropy", "softmax_cross_entropy"),
    ("crossentropyloss", "softmax_cross_entropy"),
    ("dataset", "data"),
    ("float16", "bf16"),
    ("float32", "f32"),
    ("float64", "f64"),
    ("fp16", "bf16"),
    ("fp32", "f32"),
    ("fp64", "f64"),
    ("horizontalflip", "flip_horizontal"),
    ("multistep", "step"),
    ("multisteplr", "step"),
    ("optim", "optimizer"),
    ("randomcrop", "crop"),
    ("randomhorizontalflip", "flip_horizontal"),
    ("steps", "iterations"),
    // Types and values.
    ("boolean", "bool"),
    ("double", "float"),
    ("false", "false"),
    ("integer", "int"),
    ("str", "string"),
    ("true", "true"),
    ("uint8", "u8"),
];

/// What has no name here but another way.
const WAYS: &[(&str, &str)] = &[
    ("range", "a range is written `0..n`, as in `for i in 0..n`"),
    ("enumerate", "write `for index, item in list`"),
    ("zip", "loop over the positions: `for i in 0..len(list)`, and take `list[i]`"),
    ("sequential", "pipe one layer into the next: `x |> conv(16) |> batch_norm |> relu`"),
    ("dropout", "there is no dropout; a penalty works against overfitting: `penalty l2(5e-4) on filters`"),
    ("cat", "there is no concatenation; tensors of one shape can be added"),
    ("concat", "there is no concatenation; tensors of one shape can be added"),
    ("softmax", "the loss has the softmax in it: `loss softmax_cross_entropy`"),
    ("print", "`sphc show FILE` prints every layer with its size; `assert` checks one"),
    ("view", "`flatten(x)` makes one row of all numbers"),
    ("reshape", "`flatten(x)` makes one row of all numbers"),
    ("weightdecay", "the weight decay is a line of the recipe: `penalty l2(5e-4) on filters`"),
    ("epochs", "write `iterations N`: the number of batches, which is epochs * examples / batch"),
    ("epoch", "write `iterations N`: the number of batches, which is epochs * examples / batch"),
    ("learningrate", "the rate belongs to the optimizer: `optimizer adam(rate: 1e-3)`"),
    ("lr", "the rate belongs to the optimizer: `optimizer adam(rate: 1e-3)`"),
    ("inchannels", "leave it out: a layer knows the channels of its input"),
    ("bias", "add it behind the layer: `conv(x, 16) |> offset`"),
    ("activation", "apply it to the result: `conv(x, 16) |> relu`"),
    ("float32", "the type of a number is `float`; the precision is an entry of the recipe"),
];

fn plain(name: &str) -> String {
    name.chars().filter(|it| *it != '_').flat_map(char::to_lowercase).collect()
}

/// The one of `known` that a name from elsewhere stands for: the same word in another case, a word of
/// other frameworks, or the only one that the name is the start of.
pub(super) fn translate<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = plain(name);
    let find = |wanted: &str| known.iter().copied().find(|it| plain(it) == plain(wanted));
    let mut starts = known.iter().copied().filter(|it| 4 <= name.len() && plain(it).starts_with(&name));
    find(&name)
        .or_else(|| NAMES.iter().find(|it| it.0 == name).and_then(|it| find(it.1)))
        .or_else(|| starts.next().filter(|_| starts.next().is_none()))
}

/// How to do what a name from elsewhere does.
pub(super) fn way(name: &str) -> Option<&'static str> {
    let name = plain(name);
    WAYS.iter().find(|it| it.0 == name).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_in_order_of_use() {
        for (name, _) in NAMES {
            assert_eq!(plain(name), *name);
        }
        for (name, _) in WAYS {
            assert_eq!(plain(name), *name);
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
        assert_eq!(translate("flip", &["flip_horizontal", "crop"]), Some("flip_horizontal"));
    }
}
