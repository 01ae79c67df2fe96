//! A network as a module of PyTorch: Python to be read and changed, which loads the same safetensors.
//!
//! Images stay `[n, h, w, c]`, as the model's text has them; a line for each op, under the name of its layer.

mod ops;
mod scalar;

use super::network::Node;
use super::{ExportError, Extent, Facts, Network};
use crate::ir::{Average, DType, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What lines call.
const HELPERS: &str = include_str!("helpers.py");

/// Words that neither a value, an attribute nor the class can be called: Python's, those that the module uses, and what each
/// `nn.Module` has.
const TAKEN: &str = "\
    False None True and as assert async await break class continue def del elif else except finally for from \
    global if import in is lambda nonlocal not or pass raise return try while with yield self n real torch nn F \
    json read conv scaled rounded bytearray bytes classmethod float int len list max min open range staticmethod \
    str sum super tuple zip add_module apply bfloat16 buffers call_super_init children compile cpu cuda double \
    dump_patches eval extra_repr forward get_buffer get_extra_state get_parameter get_submodule half load \
    load_state_dict modules named_buffers named_children named_modules named_parameters parameters register_buffer \
    register_module register_parameter requires_grad_ set_extra_state set_submodule share_memory state_dict to \
    train training type zero_grad";

/// Writes a network as the text of a Python module. `stored` are the names of the tensors in the file of weights: averages that
/// it lacks are read from what they are averages of.
pub fn torch(network: &Network, facts: &Facts, stored: &BTreeSet<String>) -> Result<String, ExportError> {
    let mut writer = Writer::new(network, stored);
    for (at, node) in network.nodes.iter().enumerate() {
        writer.at = at;
        writer.comment(node);
        writer.write(node)?;
    }
    let result = writer.value(network.result);
    Ok(writer.module(facts, &result))
}

struct Writer<'a> {
    network: &'a Network,
    stored: &'a BTreeSet<String>,
    /// Of `forward`.
    lines: Vec<String>,
    /// The text of each node that was written.
    values: BTreeMap<usize, String>,
    taken: BTreeSet<String>,
    inputs: Vec<String>,
    /// Attributes with the tensors of the file that they hold.
    tensors: Vec<Held>,
    /// Layers that a comment told of.
    told: BTreeSet<String>,
    /// The node that is written.
    at: usize,
}

/// A tensor of the module.
struct Held {
    attribute: String,
    name: String,
    shape: Vec<usize>,
    learned: bool,
    whole: bool,
}

impl<'a> Writer<'a> {
    fn new(network: &'a Network, stored: &'a BTreeSet<String>) -> Self {
        let helpers = HELPERS.lines().filter_map(|it| Some(it.strip_prefix("def ")?.split_once('(')?.0.to_owned()));
        Writer {
            network,
            stored,
            lines: Vec::new(),
            values: BTreeMap::new(),
            taken: TAKEN.split_whitespace().map(str::to_owned).chain(helpers).collect(),
            inputs: Vec::new(),
            tensors: Vec::new(),
            told: BTreeSet::new(),
            at: 0,
        }
    }

    fn node(&self, at: usize) -> &'a Node {
        &self.network.nodes[at]
    }

    /// A name that nothing has yet, from this one.
    fn fresh(&mut self, name: &str) -> String {
        let letter = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
        let mut base: String = name.chars().map(letter).collect();
        if !base.starts_with(|it: char| it.is_ascii_alphabetic()) {
            base.insert_str(0, "x_");
        }
        let mut res = base.clone();
        let mut number = 1;
        while !self.taken.insert(res.clone()) {
            number += 1;
            res = format!("{base}_{number}");
        }
        res
    }

    /// A comment where another layer begins.
    fn comment(&mut self, node: &Node) {
        let leaf = matches!(node.op, Op::Param(_) | Op::State(_) | Op::Const { .. } | Op::Input { .. });
        if !leaf && self.told.insert(node.layer.clone()) {
            let known = self.network.graph.layers.iter().find(|it| it.path == node.layer);
            if let Some(it) = known {
                self.lines.push(format!("# {}: {}", it.path, it.callee.text));
            }
        }
    }

    /// Adds a line; the name of its value comes back.
    fn line(&mut self, text: &str) -> String {
        let layer = self.node(self.at).layer.clone();
        let name = self.fresh(if layer.is_empty() { "x" } else { &layer });
        self.lines.push(format!("{name} = {text}"));
        name
    }

    /// Adds a line for the value of the node that is written.
    fn made(&mut self, text: &str) {
        let name = self.line(text);
        self.values.insert(self.at, name);
    }

    /// The text of a node's value.
    fn value(&mut self, at: usize) -> String {
        if let Some(known) = self.values.get(&at) {
            return known.clone();
        }
        let node = self.node(at);
        let text = match &node.op {
            Op::Const { fill, .. } => self.constant(node, fill),
            op => self.held(node, self.network.path(op).unwrap_or_default()),
        };
        self.values.insert(at, text.clone());
        text
    }

    /// A parameter or state, as an attribute of the module.
    fn held(&mut self, node: &Node, path: &str) -> String {
        let base = path.strip_suffix(&Average::path(""));
        let stored = base.filter(|_| !self.stored.contains(path)).unwrap_or(path);
        if !self.stored.contains(stored) && node.dims.is_empty() {
            // A counter that the file lacks.
            return number(self.network.tensors[path][0]);
        }
        let attribute = self.fresh(path);
        let learned = self.network.graph.find_param(base.unwrap_or(path)).is_some();
        let (shape, whole) = (node.fixed().unwrap_or_default(), node.dtype == DType::Int);
        self.tensors.push(Held { attribute: attribute.clone(), name: stored.to_owned(), shape, learned, whole });
        format!("self.{attribute}")
    }

    /// Extents as a tuple.
    fn extents(&self, dims: &[Extent]) -> String {
        let each = |it: &Extent| match it {
            Extent::Fixed(it) => it.to_string(),
            Extent::PerImage(1) => "n".to_owned(),
            Extent::PerImage(it) => format!("{it} * n"),
        };
        tuple(&dims.iter().map(each).collect::<Vec<_>>())
    }

    fn module(&self, facts: &Facts, result: &str) -> String {
        let mut name = self.network.graph.name.clone();
        if self.taken.contains(&name) {
            name.push('_');
        }
        let mut out = documented(&format!("{} Written by sphc {}.", facts.about, env!("CARGO_PKG_VERSION")), "");
        out.push('\n');
        out += "import json\n\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n";
        let body = self.lines.join("\n");
        for helper in HELPERS.split("\n\n\n") {
            let called = helper.strip_prefix("def ").and_then(|it| it.split_once('(')).map_or("", |it| it.0);
            let needed = ["conv(", "sum_window(", "max_window("].iter().any(|it| body.contains(it));
            if called == "read" || called == "around" && needed || body.contains(&format!("{called}(")) {
                let _ = write!(out, "\n\n{}\n", helper.trim_end());
            }
        }
        let _ = write!(out, "\n\nclass {name}(nn.Module):\n{}", documented(&facts.output, "    "));
        out += "\n    # Attributes, and the tensors of a file of weights that they hold.\n    TENSORS = {\n";
        for it in &self.tensors {
            let _ = writeln!(out, "        \"{}\": \"{}\",", it.attribute, escaped(&it.name));
        }
        out += "    }\n";
        for (key, value) in facts.metadata.iter().filter(|it| it.0 == "classes") {
            let _ = writeln!(out, "    {} = {value}", key.to_uppercase());
        }
        out += "\n    def __init__(self):\n        super().__init__()\n";
        for it in &self.tensors {
            let shape = tuple(&it.shape.iter().map(usize::to_string).collect::<Vec<_>>());
            let _ = match (it.learned, it.whole) {
                (true, _) => writeln!(out, "        self.{} = nn.Parameter(torch.empty({shape}))", it.attribute),
                (false, false) => {
                    writeln!(out, "        self.register_buffer(\"{}\", torch.empty({shape}))", it.attribute)
                }
                (false, true) => writeln!(
                    out,
                    "        self.register_buffer(\"{}\", torch.empty({shape}, dtype=torch.int64))",
                    it.attribute
                ),
            };
        }
        out += "\n    @classmethod\n    def load(cls, path, dtype=torch.float32):\n        \"\"\"The module with the weights of \
                a safetensors file.\"\"\"\n        found = read(path)\n        model = cls().to(dtype)\n        \
                model.load_state_dict({own: found[name] for own, name in cls.TENSORS.items()})\n        \
                return model.eval()\n";
        let inputs = self.inputs.join(", ");
        let _ = write!(out, "\n    def forward(self, {inputs}):\n{}", documented(&facts.input, "        "));
        if let Some(first) = self.inputs.first() {
            if ["(n", ", n", "* n"].iter().any(|it| body.contains(it)) {
                let _ = writeln!(out, "        n = {first}.shape[0]");
            }
            let floating = self.tensors.iter().find(|it| !it.whole);
            let dtype = floating.map_or_else(|| self.own_dtype(first), |it| format!("self.{}.dtype", it.attribute));
            let _ = writeln!(out, "        real = {{\"dtype\": {dtype}, \"device\": {first}.device}}");
        }
        for line in &self.lines {
            let _ = writeln!(out, "        {line}");
        }
        let _ = writeln!(out, "        return {result}");
        out
    }

    /// The type of numbers of a module without weights: that of its input, or the usual one.
    fn own_dtype(&self, input: &str) -> String {
        let real = self.network.nodes.iter().any(|it| matches!(it.op, Op::Input { dtype: DType::Real, .. }));
        if real { format!("{input}.dtype") } else { "torch.get_default_dtype()".to_owned() }
    }
}

/// Python's text of several.
fn tuple(each: &[String]) -> String {
    match each {
        [one] => format!("({one},)"),
        _ => format!("({})", each.join(", ")),
    }
}

/// Python's text of a number.
fn number(value: f64) -> String {
    match value {
        it if it.is_nan() => "torch.nan".to_owned(),
        f64::INFINITY => "torch.inf".to_owned(),
        f64::NEG_INFINITY => "(-torch.inf)".to_owned(),
        it if it < 0.0 => format!("({it:?})"),
        it => format!("{it:?}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Sentences as a text that Python keeps with what follows or is around it; nothing of nothing.
fn documented(text: &str, indent: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = wrapped(&text.replace('\\', "\\\\").replace('"', "'"));
    match text.contains('\n') {
        false => format!("{indent}\"\"\"{text}\"\"\"\n"),
        true => format!("{indent}\"\"\"{}\n{indent}\"\"\"\n", text.replace('\n', &format!("\n{indent}"))),
    }
}

/// Sentences in lines that are not too long.
fn wrapped(text: &str) -> String {
    let mut res = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if 100 < column + word.len() {
            res.push('\n');
            column = 0;
        } else if column != 0 {
            res.push(' ');
        }
        res += word;
        column += word.len() + 1;
    }
    res
}
