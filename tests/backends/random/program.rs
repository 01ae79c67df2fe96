//! Random programs: small networks of every layer, operator, activation and entry of a recipe, with many extents of 1.

use super::choices::Choices;
use sphc::lower::DataInfo;
use std::fmt::Write;

/// A text, with the data that it is for.
pub(super) struct Program {
    pub(super) text: String,
    pub(super) data: DataInfo,
}

/// Numbers in a tensor of one example, at most.
const MOST: usize = 700;

/// What a text starts with.
const PARTS: &str = "\
fn hat(x, width = 1) = if abs(x) < width { 1 - abs(x) / width } else { 0.01 * x }
fn stairs(x) = 0.5 * x + floor(2 * x) / 8
fn kink(x) = max(min(x, 0.5), -0.25 * x)

operator cubic(cos) = cos * cos * cos
operator scaled(cos, by: operator = linear) {
    learn scale: filter = 1
    learn shift: layer = 0.1
    scale * by + shift * cos
}
operator relative(x_norm, cos) {
    stat top = max(x_norm, decay: 0.5)
    min(x_norm / top, 1) * cos
}
operator centred(cos) {
    stat middle = mean(cos, decay: 0.5)
    cos - middle
}
operator margin(cos, target, s = 4) {
    learn m: filter = 0.2
    s * (cos - abs(m) * target)
}
operator frozen(x_norm, cos) = stop(tanh(x_norm)) * cos

block unit(x, filters: int, bend: fn = relu, norm: operator = cosine) {
    for i in 0..2 {
        x = bend(batch_norm(sphere_conv(x, filters, kernel: if i == 0 { 1 } else { 3 }, operator: norm) as \"part{i}\"))
    }
    x
}
";

const OPERATORS: [&str; 16] = [
    "none",
    "cosine",
    "linear",
    "sigmoid",
    "lr_sigmoid",
    "weight_cosine",
    "sphere_norm",
    "squared_cosine",
    "tanh_conv",
    "cubic",
    "scaled",
    "relative",
    "centred",
    "frozen",
    "sphere_norm(inner: scaled(by: sigmoid(k: 0.5)))",
    "scaled(by: tanh_conv(angle: linear))",
];

const BENDS: [&str; 11] =
    ["relu", "tanh", "abs", "leaky_relu", "elu", "gelu", "swish", "softplus", "hat", "stairs", "kink"];

/// A network under construction.
struct Network<'a> {
    choices: &'a mut Choices,
    lines: Vec<String>,
    size: [usize; 2],
    channels: usize,
    names: Vec<String>,
}

/// The program of some choices.
pub(super) fn program(choices: &mut Choices) -> Program {
    let extents = [1, 2, 3, 1, 5, 4, 7, 8, 9];
    let mut size = [choices.one(&extents), choices.one(&extents)];
    let channels = choices.one(&[1, 3, 2, 8]);
    if size == [1, 1] && channels == 1 {
        size = [2, 1];
    }
    let classes = choices.one(&[2, 3, 1, 5, 8]);
    let batch = choices.one(&[2, 1, 3, 4, 5]);
    let train_examples = batch + choices.one(&[0, 1, 2, 3]) * batch / 2 + choices.below(2);
    let test_examples = choices.one(&[1, 2, 3, 7]);
    let [h, w] = size;
    let data = DataInfo::images("digits", [h, w, channels], classes, [train_examples, test_examples]);

    let mut network = Network { choices, lines: Vec::new(), size, channels, names: Vec::new() };
    let (from, by) = network.choices.one(&[("8", "8"), ("127.5", "128"), ("0", "255"), ("100", "16")]);
    network.lines.push(format!("x = (image - {from}) / {by}"));
    for at in 0..network.choices.below(5) {
        network.layer(at);
    }
    network.output();
    let Network { lines, names, .. } = network;
    let mut text = String::from(PARTS);
    write!(text, "\nmodel Random {{\n    input image: u8[{h}, {w}, {channels}]\n").unwrap();
    lines.iter().for_each(|it| writeln!(text, "    {it}").unwrap());
    text += "}\n\ntrain {\n";
    recipe(choices, [h, w], batch, &names).iter().for_each(|it| writeln!(text, "    {it}").unwrap());
    text += "}\n";
    Program { text, data }
}

impl Network<'_> {
    fn layer(&mut self, at: usize) {
        match self.choices.below(15) {
            0..=3 => self.convolution(&format!("layer{at}")),
            4 => self.pool(),
            5 => {
                let (bend, c) = (self.choices.one(&BENDS), self.channels);
                self.lines.push(format!("x = {bend}(x + conv(x, {c}, kernel: 3) as \"beside{at}\")"));
                self.names.push(format!("beside{at}"));
            }
            6 => self.lines.push("x = x * logistic(global_avg_pool(x))".into()),
            7 => self.lines.push("x = x - global_avg_pool(x)".into()),
            8 => {
                let (bend, norm) = (self.choices.one(&BENDS), self.choices.one(&OPERATORS));
                let filters = self.filters();
                self.lines.push(format!("x = unit(x, {filters}, bend: {bend}, norm: {norm}) as \"unit{at}\""));
                self.names.push(format!("unit{at}/part0"));
                self.channels = filters;
            }
            9 => {
                let units = self.choices.one(&[3, 1, 4, 8, 16]);
                let norm = self.choices.one(&OPERATORS);
                self.lines.push(format!("x = dense(flatten(x), {units}, operator: {norm}) as \"dense{at}\""));
                self.names.push(format!("dense{at}"));
                (self.size, self.channels) = ([1, 1], units);
            }
            10 => {
                // One channel, beside others.
                let c = self.channels;
                self.lines.push(format!("y = conv(x, 1, kernel: 1) as \"gate{at}\""));
                self.lines.push("x = x * logistic(y) + 0.1 * abs(y)".into());
                self.names.push(format!("gate{at}"));
                self.channels = c;
            }
            11 => self.parts(),
            12 => self.around(),
            13 => self.enlarge(&format!("larger{at}")),
            _ => {
                self.lines.push(format!("n = batch_norm(x) as \"norm{at}\""));
                self.lines.push("x = max(x, 0.5 * n)".into());
            }
        }
    }

    /// Channels cut apart and put together again, some of them twice.
    fn parts(&mut self) {
        let c = self.channels;
        let (from, to) = (self.choices.below(c), c - self.choices.below(2).min(c - 1));
        if to <= from || MOST < self.size[0] * self.size[1] * (c + to - from) {
            return;
        }
        let bend = self.choices.one(&BENDS);
        let (first, second) = (format!("slice({bend}(x), {from}, {to})"), "x - global_avg_pool(x)");
        let (first, second) = if self.choices.once_in(2) { (first.as_str(), second) } else { (second, &*first) };
        self.lines.push(format!("x = concat({first}, {second})"));
        self.channels += to - from;
    }

    /// Zeros around, or another order.
    fn around(&mut self) {
        let axis = self.choices.below(2);
        let over = ["height", "width"][axis];
        let (before, after) = (self.choices.below(3), self.choices.below(2));
        if self.choices.once_in(2) || MOST < (self.size[axis] + before + after) * self.size[1 - axis] * self.channels {
            self.lines.push(format!("x = x + 0.5 * flip(x, over: [{over}, channels])"));
            return;
        }
        self.lines.push(format!("x = pad(x, {before}, {after}, over: {over})"));
        self.size[axis] += before + after;
    }

    fn filters(&mut self) -> usize {
        let wanted = self.choices.one(&[2, 1, 3, 4, 8, 1, 5, 16, 24]);
        wanted.min((MOST / (self.size[0] * self.size[1])).max(1))
    }

    /// A layer of filters, with what usually follows.
    fn convolution(&mut self, name: &str) {
        let mut filters = self.filters();
        let kernel = [self.choices.one(&[1, 3, 2, 5, 4]), self.choices.one(&[1, 3, 2, 5, 4])];
        let stride = [self.choices.one(&[1, 1, 2, 3]), self.choices.one(&[1, 1, 2, 3])];
        let dilation = [self.choices.one(&[1, 1, 1, 2, 3]), self.choices.one(&[1, 1, 1, 2])];
        let extent = [0, 1].map(|it| (kernel[it] - 1) * dilation[it] + 1);
        let Some((pad, size)) = self.slide(extent, stride, true) else { return };
        let (operator, groups) = (self.choices.one(&OPERATORS), self.choices.one(&[1, 1, 1, 2, 3, self.channels]));
        let groups = if self.channels.is_multiple_of(groups) { groups } else { 1 };
        if groups != 1 {
            filters = (filters / groups).max(1) * groups;
        }
        if MOST < size[0] * size[1] * filters {
            return;
        }
        let mut options = String::new();
        if dilation != [1, 1] {
            options += &format!(", dilation: {dilation:?}");
        }
        if groups != 1 {
            options += &format!(", groups: {groups}");
        }
        options += self.choices.one(&["", "", ", bias: true", ", init: uniform(bound: 0.5)"]);
        let mut line = format!(
            "x = sphere_conv(x, {filters}, kernel: {kernel:?}, stride: {stride:?}, pad: {pad}, operator: {operator}{options}) as \"{name}\""
        );
        if !self.choices.once_in(3) {
            line += self.choices.one(&[" |> batch_norm", " |> batch_norm(decay: 0.5, epsilon: 1e-2)"]);
        }
        self.lines.push(line);
        if !self.choices.once_in(4) {
            let bend = self.choices.one(&BENDS);
            self.lines.push(format!("x = {bend}(x)"));
        }
        self.names.push(name.to_owned());
        (self.size, self.channels) = (size, filters);
    }

    /// A convolution the other way.
    fn enlarge(&mut self, name: &str) {
        let filters = self.filters();
        let kernel = [self.choices.one(&[2, 3, 1]), self.choices.one(&[2, 3, 1])];
        let stride = [self.choices.one(&[2, 1, 3]), self.choices.one(&[1, 2])];
        let pad = self.choices.one(&["same", "valid"]);
        let size = [0, 1].map(|axis| match pad {
            "same" => self.size[axis] * stride[axis],
            _ => (self.size[axis] - 1) * stride[axis] + kernel[axis],
        });
        if MOST < size[0] * size[1] * filters {
            return;
        }
        let bias = self.choices.one(&["", ", bias: true"]);
        let line = format!("conv_transpose(x, {filters}, kernel: {kernel:?}, stride: {stride:?}, pad: {pad}{bias})");
        self.lines.push(format!("x = relu({line} as \"{name}\")"));
        self.names.push(name.to_owned());
        (self.size, self.channels) = (size, filters);
    }

    fn pool(&mut self) {
        let window = [self.choices.one(&[2, 1, 3]), self.choices.one(&[2, 1, 3])];
        let stride = [self.choices.one(&[2, 1, 3]), self.choices.one(&[2, 1, 3])];
        let Some((pad, size)) = self.slide(window, stride, false) else { return };
        let kind = self.choices.one(&["max_pool", "avg_pool"]);
        self.lines.push(format!("x = {kind}(x, {window:?}, stride: {stride:?}, pad: {pad})"));
        self.size = size;
    }

    /// A padding, and the extents that come of it; nothing where no window fits.
    fn slide(&mut self, kernel: [usize; 2], stride: [usize; 2], numbers: bool) -> Option<(String, [usize; 2])> {
        let pads = if numbers { &["same", "valid", "1", "2"][..] } else { &["same", "valid"] };
        let pad = self.choices.one(pads);
        let around = pad.parse().unwrap_or(0);
        let mut size = [0; 2];
        for axis in 0..2 {
            size[axis] = match pad {
                "same" => self.size[axis].div_ceil(stride[axis]),
                _ => (self.size[axis] + 2 * around).checked_sub(kernel[axis])? / stride[axis] + 1,
            };
        }
        (size[0] * size[1] <= MOST).then_some((pad.to_owned(), size))
    }

    fn output(&mut self) {
        let operator = self.choices.one(&["none", "weight_cosine", "margin", "cosine", "linear", "sphere_norm"]);
        let [h, w] = self.size;
        self.lines.push(match self.choices.below(3) {
            0 => format!("output dense(x, classes, operator: {operator}) as \"score\""),
            1 => format!(
                "output sphere_conv(x, classes, kernel: [{h}, {w}], pad: valid, operator: {operator}) as \"score\""
            ),
            _ => {
                format!("output sphere_conv(global_avg_pool(x), classes, kernel: 1, operator: {operator}) as \"score\"")
            }
        });
        self.names.push("score".into());
    }
}

fn recipe(choices: &mut Choices, size: [usize; 2], batch: usize, names: &[String]) -> Vec<String> {
    let mut lines = vec!["data digits".to_owned()];
    let crop = choices.below(3).min(size[0].min(size[1]));
    match choices.below(4) {
        0 => {}
        1 => lines.push("augment flip_horizontal".into()),
        _ if crop == 0 => {}
        2 => lines.push(format!("augment crop(pad: {crop})")),
        _ => lines.push(format!("augment flip_horizontal, crop(pad: {crop})")),
    }
    lines.push(format!("batch {batch}"));
    lines.push("iterations 4".into());
    lines.push(choices.one(&[
        "loss softmax_cross_entropy".to_owned(),
        "loss softmax_cross_entropy(smoothing: 0.1, floor: 1e-4)".to_owned(),
        "loss softmax_cross_entropy(smoothing: 0.05)".to_owned(),
    ]));
    let layer = choices.one(names);
    for _ in 0..choices.below(3) {
        let place = match choices.below(3) {
            0 => String::new(),
            1 => format!(" where layer == \"{layer}\""),
            _ => " where operator != none or role == filter".to_owned(),
        };
        let penalty = choices.one(&[
            "l2(1e-2)",
            "orthogonality(1e-2)",
            "orthogonality(1e-2, normalized: true)",
            "energy(1e-2)",
            "energy(1e-2, s: 1, half_space: true)",
            "energy(1e-2, s: 0)",
        ]);
        lines.push(format!("penalty {penalty} on filters{place}"));
    }
    if choices.once_in(3) {
        lines.push(format!("project normalize filters where layer == \"{layer}\" every {}", 1 + choices.below(2)));
    }
    lines.push(choices.one(&[
        "optimizer sgd(rate: 0.01)".to_owned(),
        "optimizer sgd(rate: 0.01, momentum: 0.9)".to_owned(),
        "optimizer adam(rate: 1e-2)".to_owned(),
    ]));
    lines.push(choices.one(&[
        "schedule constant".to_owned(),
        "schedule step(at: [1, 3], factor: 0.5)".to_owned(),
        "schedule cosine".to_owned(),
    ]));
    lines.push(format!("seed {}", choices.below(1000)));
    let parts = choices.one(&[1, 1, 2, 3, batch]);
    let parts = if batch.is_multiple_of(parts) { parts } else { 1 };
    if parts != 1 {
        lines.push(format!("accumulate {parts}"));
    }
    let mix = choices.one(&["", "", "", "mixup(0.4)", "cutmix(1)"]);
    let pairs = parts == 1 || (batch / parts).is_multiple_of(2);
    match lines.iter_mut().find(|it| it.starts_with("augment")) {
        _ if mix.is_empty() || batch == 1 || !pairs => {}
        Some(line) => *line += &format!(", {mix}"),
        None => lines.push(format!("augment {mix}")),
    }
    let views = choices.one(&["", "", "", "flip_horizontal", "shift(1)", "shift(1, mode: zero), flip_horizontal"]);
    if !views.is_empty() && 1 < size[0].min(size[1]) {
        lines.push(format!("views {views}"));
    }
    lines
}
