//! A network as an ONNX file.
//!
//! Images are `[n, h, w, c]` here and `[n, c, h, w]` in ONNX's operators. A value is kept in the layout that it was made in,
//! and is made in the other where an operator wants it: what follows a convolution stays in planes.

mod images;
mod messages;
mod ops;
mod scalar;

use super::network::Node;
use super::{ExportError, Extent, Network};
use crate::ir::op::Fill;
use crate::ir::{DType, Op};
use messages::{
    Attribute, Dimension, Element, Entry, Graph, Model, OperatorSet, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// The version of ONNX's operators that files are written in.
pub const OPSET: i64 = 18;

/// The version of the format that goes with it.
const IR_VERSION: i64 = 8;

/// The name of the batch among extents.
const BATCH: &str = "batch";

/// What a file says beside the network.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// In 64 bits; else in 32.
    pub double: bool,
    /// Of the whole.
    pub about: String,
    /// What the input must be.
    pub input: String,
    /// What the output is.
    pub output: String,
    /// Keys and values for programs.
    pub metadata: Vec<(String, String)>,
}

/// Writes a network as the bytes of an ONNX file.
pub fn onnx(network: &Network, facts: &Facts) -> Result<Vec<u8>, ExportError> {
    let mut writer = Writer::new(network, facts);
    let mut inputs = Vec::new();
    for (at, node) in network.nodes.iter().enumerate() {
        writer.at = at;
        if let Op::Input { source, .. } = &node.op {
            let name = writer.given(source)?;
            inputs.push(info(&name, writer.element(node.dtype), &node.dims, &facts.input));
            writer.values.insert((at, Layout::Rows), name);
        } else {
            writer.write(node)?;
        }
    }
    writer.at = network.result;
    let result = writer.value(network.result, Layout::Rows);
    writer.nodes.push(messages::Node {
        input: vec![result],
        output: vec![SCORES.to_owned()],
        name: SCORES.to_owned(),
        op_type: "Identity".to_owned(),
        attribute: Vec::new(),
    });
    let scores = &network.nodes[network.result];
    let output = info(SCORES, writer.element(scores.dtype), &scores.dims, &facts.output);
    let bytes: u64 = writer.tensors.iter().map(|it| it.raw_data.len() as u64).sum();
    if (1 << 31) - (1 << 20) < bytes {
        return Err(ExportError::TooLarge { bytes });
    }
    let entry = |(key, value): &(String, String)| Entry { key: key.clone(), value: value.clone() };
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: facts.about.clone(),
        graph: Some(Graph {
            node: writer.nodes,
            name: network.graph.name.clone(),
            initializer: writer.tensors,
            doc_string: facts.about.clone(),
            input: inputs,
            output: vec![output],
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: facts.metadata.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}

/// The name of the result.
const SCORES: &str = "scores";

fn info(name: &str, element: Element, dims: &[Extent], doc: &str) -> ValueInfo {
    let dim = |it: &Extent| match it {
        Extent::Fixed(it) => Dimension { dim_value: Some(*it as i64), dim_param: None },
        Extent::PerImage(1) => Dimension { dim_value: None, dim_param: Some(BATCH.to_owned()) },
        Extent::PerImage(it) => Dimension { dim_value: None, dim_param: Some(format!("{it}*{BATCH}")) },
    };
    let shape = Some(TensorShape { dim: dims.iter().map(dim).collect() });
    let kind = Some(Type { tensor: Some(TensorType { elem_type: element as i32, shape }) });
    ValueInfo { name: name.to_owned(), kind, doc_string: doc.to_owned() }
}

/// How the axes of a value lie in ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layout {
    /// As they are.
    Rows,
    /// `[n, h, w, c]` as `[n, c, h, w]`; fewer axes have extents of 1 before them.
    Planes,
    /// Filters, `[kh, kw, cin, cout]` as `[cout, cin, kh, kw]`.
    Filters,
}

impl Layout {
    /// Axis `i` there is this axis here.
    fn axes(self) -> [usize; 4] {
        match self {
            Layout::Rows => [0, 1, 2, 3],
            Layout::Planes => [0, 3, 1, 2],
            Layout::Filters => [3, 2, 0, 1],
        }
    }

    /// Where an axis lies.
    fn place(self, axis: usize) -> usize {
        self.axes().iter().position(|it| *it == axis).unwrap_or(axis)
    }

    /// Extents, or whatever else there is one of for each axis, in its order.
    fn ordered<T: Clone>(self, each: &[T]) -> Vec<T> {
        match self {
            Layout::Rows => each.to_vec(),
            Layout::Planes | Layout::Filters => self.axes().iter().map(|it| each[*it].clone()).collect(),
        }
    }
}

struct Writer<'a> {
    network: &'a Network,
    real: Element,
    nodes: Vec<messages::Node>,
    tensors: Vec<Tensor>,
    /// The names of values, by their nodes and layouts.
    values: BTreeMap<(usize, Layout), String>,
    /// The layout that each node was made in.
    made: BTreeMap<usize, Layout>,
    /// Constants by their types, extents and bits.
    constants: BTreeMap<(Element, Vec<usize>, Vec<u64>), String>,
    taken: BTreeSet<String>,
    /// The value that is the size of the batch.
    batch: Option<String>,
    /// The input's name.
    input: String,
    /// The node that is written.
    at: usize,
}

impl<'a> Writer<'a> {
    fn new(network: &'a Network, facts: &Facts) -> Self {
        let mut taken: BTreeSet<String> = network.tensors.keys().cloned().collect();
        taken.insert(SCORES.to_owned());
        Writer {
            network,
            real: if facts.double { Element::Double } else { Element::Float },
            nodes: Vec::new(),
            tensors: Vec::new(),
            values: BTreeMap::new(),
            made: BTreeMap::new(),
            constants: BTreeMap::new(),
            taken,
            batch: None,
            input: String::new(),
            at: 0,
        }
    }

    fn node(&self, at: usize) -> &'a Node {
        &self.network.nodes[at]
    }

    fn element(&self, dtype: DType) -> Element {
        match dtype {
            DType::U8 => Element::Uint8,
            DType::U16 => Element::Uint16,
            DType::Int => Element::Int64,
            DType::Real | DType::Bf16 => self.real,
        }
    }

    /// A name that no value has yet, from this one.
    fn fresh(&mut self, name: String) -> String {
        let mut res = name.clone();
        let mut number = 1;
        while !self.taken.insert(res.clone()) {
            number += 1;
            res = format!("{name}_{number}");
        }
        res
    }

    /// Adds an operator; its result's name comes back.
    fn add(&mut self, kind: &str, input: &[&str], attribute: Vec<Attribute>) -> String {
        let layer = &self.node(self.at).layer;
        let name = if layer.is_empty() { kind.to_owned() } else { format!("{layer}/{kind}") };
        let name = self.fresh(name);
        self.nodes.push(messages::Node {
            input: input.iter().map(|it| (*it).to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: kind.to_owned(),
            attribute,
        });
        name
    }

    fn cast(&mut self, value: &str, to: Element) -> String {
        self.add("Cast", &[value], vec![Attribute::int("to", to as i64)])
    }

    fn transposed(&mut self, value: &str, axes: &[usize]) -> String {
        self.add("Transpose", &[value], vec![Attribute::ints("perm", axes.iter().copied())])
    }

    /// Numbers that are known, stored once.
    fn constant(&mut self, element: Element, dims: &[usize], numbers: &[f64]) -> String {
        let key = (element, dims.to_vec(), numbers.iter().map(|it| it.to_bits()).collect());
        if let Some(known) = self.constants.get(&key) {
            return known.clone();
        }
        let name = match numbers {
            [one] if dims.is_empty() => format!("constant {one}"),
            _ => "constant".to_owned(),
        };
        let name = self.fresh(name);
        self.store(&name, element, dims, numbers);
        self.constants.insert(key, name.clone());
        name
    }

    fn store(&mut self, name: &str, element: Element, dims: &[usize], numbers: &[f64]) {
        let mut raw_data = Vec::new();
        for it in numbers {
            match element {
                Element::Float => raw_data.extend((*it as f32).to_le_bytes()),
                Element::Double => raw_data.extend(it.to_le_bytes()),
                Element::Int64 => raw_data.extend((*it as i64).to_le_bytes()),
                Element::Uint16 => raw_data.extend((*it as u16).to_le_bytes()),
                Element::Uint8 | Element::Bool => raw_data.push(*it as u8),
            }
        }
        let dims = dims.iter().map(|it| *it as i64).collect();
        self.tensors.push(Tensor { dims, data_type: element as i32, name: name.to_owned(), raw_data });
    }

    fn integers(&mut self, numbers: &[i64]) -> String {
        let numbers: Vec<f64> = numbers.iter().map(|it| *it as f64).collect();
        self.constant(Element::Int64, &[numbers.len()], &numbers)
    }

    fn number(&mut self, value: f64) -> String {
        self.constant(self.real, &[], &[value])
    }

    /// Extents as a value.
    fn extents(&mut self, dims: &[Extent]) -> String {
        let fixed: Option<Vec<i64>> = dims.iter().map(|it| it.fixed().map(|it| it as i64)).collect();
        if let Some(fixed) = fixed {
            return self.integers(&fixed);
        }
        let batch = match &self.batch {
            Some(it) => it.clone(),
            None => {
                let (input, part) = (self.input.clone(), [("start", 0), ("end", 1)]);
                let part = part.iter().map(|it| Attribute::int(it.0, it.1)).collect();
                let batch = self.add("Shape", &[&input], part);
                self.batch.insert(batch).clone()
            }
        };
        let mut parts = Vec::new();
        for it in dims {
            parts.push(match it {
                Extent::Fixed(it) => self.integers(&[*it as i64]),
                Extent::PerImage(1) => batch.clone(),
                Extent::PerImage(it) => {
                    let each = self.integers(&[*it as i64]);
                    self.add("Mul", &[&batch, &each], Vec::new())
                }
            });
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.add("Concat", &parts, vec![Attribute::int("axis", 0)])
    }

    fn reshaped(&mut self, value: &str, dims: &[Extent]) -> String {
        let open = dims.iter().filter(|it| it.fixed().is_none()).count();
        let shape = match open {
            // One extent may be left to follow from the others.
            0 | 1 => {
                let known = |it: &Extent| it.fixed().map_or(-1, |it| it as i64);
                self.integers(&dims.iter().map(known).collect::<Vec<_>>())
            }
            _ => self.extents(dims),
        };
        self.add("Reshape", &[value, &shape], Vec::new())
    }

    fn expanded(&mut self, value: &str, dims: &[Extent]) -> String {
        let shape = self.extents(dims);
        self.add("Expand", &[value, &shape], Vec::new())
    }

    /// The layout that a value is at hand in.
    fn layout(&self, at: usize) -> Layout {
        self.made.get(&at).copied().unwrap_or(Layout::Rows)
    }

    /// Takes a value as that of the node which is written.
    fn made(&mut self, layout: Layout, value: String) {
        self.values.insert((self.at, layout), value);
        self.made.insert(self.at, layout);
    }

    /// The value of a node, in a layout.
    fn value(&mut self, at: usize, layout: Layout) -> String {
        if let Some(known) = self.values.get(&(at, layout)) {
            return known.clone();
        }
        let value = match self.leaf(at, layout) {
            Some(it) => it,
            None if layout == Layout::Rows => {
                let made = self.layout(at);
                let value = self.value(at, made);
                let back: Vec<usize> = (0..4).map(|it| made.place(it)).collect();
                self.transposed(&value, &back)
            }
            None => {
                let value = self.value(at, Layout::Rows);
                let dims = &self.node(at).dims;
                let whole = [&vec![Extent::Fixed(1); 4 - dims.len()], &dims[..]].concat();
                let wide = |it: &&Extent| **it != Extent::Fixed(1);
                if whole.iter().filter(wide).count() <= 1 {
                    // Moving one axis among others of extent 1 moves no number.
                    self.reshaped(&value, &layout.ordered(&whole))
                } else {
                    let value = if dims.len() == 4 { value } else { self.reshaped(&value, &whole) };
                    self.transposed(&value, &layout.axes())
                }
            }
        };
        self.values.insert((at, layout), value.clone());
        value
    }

    /// The value of what is no result of an operator: weights and constants. Weights as they lie in a checkpoint keep their
    /// names and extents; of a folded network each is stored as it is used.
    fn leaf(&mut self, at: usize, layout: Layout) -> Option<String> {
        let node = self.node(at);
        let element = self.element(node.dtype);
        let (name, numbers) = match &node.op {
            Op::Param(_) | Op::State(_) => {
                let path = self.network.path(&node.op)?;
                (path.to_owned(), self.network.tensors[path].clone())
            }
            Op::Const { fill: Fill::List(numbers), .. } => {
                let name = match (node.name.as_str(), node.layer.as_str()) {
                    ("", "") => "numbers".to_owned(),
                    ("", layer) => format!("{layer}/numbers"),
                    (name, _) => name.to_owned(),
                };
                (name, numbers.iter().map(|it| it.0).collect())
            }
            Op::Const { fill, .. } if layout == Layout::Rows => return Some(self.filled(node, fill)),
            _ => return None,
        };
        let dims = node.fixed()?;
        if layout != Layout::Rows && !self.network.folded {
            return None;
        }
        let stored = self.values.values().any(|it| *it == name);
        let name = if self.network.tensors.contains_key(&name) && !stored { name } else { self.fresh(name) };
        let (dims, numbers) = match layout {
            Layout::Rows => (dims, numbers),
            Layout::Planes | Layout::Filters => {
                let whole = [&vec![1; 4 - dims.len()], &dims[..]].concat();
                (layout.ordered(&whole), permuted(&numbers, &whole, layout.axes()))
            }
        };
        self.store(&name, element, &dims, &numbers);
        Some(name)
    }

    /// Constants that are made by a rule.
    fn filled(&mut self, node: &Node, fill: &Fill) -> String {
        let fixed = node.fixed();
        match (fill, fixed) {
            (Fill::Value(value), _) => {
                let value = self.number(value.0);
                if node.dims.is_empty() { value } else { self.expanded(&value, &node.dims) }
            }
            (Fill::Range, Some(dims)) => {
                let numbers: Vec<f64> = (0..dims.iter().product()).map(|it: usize| it as f64).collect();
                self.constant(self.real, &dims, &numbers)
            }
            (Fill::Range, None) => {
                let shape = self.extents(&node.dims);
                let count = self.add("ReduceProd", &[&shape], vec![Attribute::int("keepdims", 0)]);
                let ends = [0.0, 1.0].map(|it| self.constant(Element::Int64, &[], &[it]));
                let range = self.add("Range", &[&ends[0], &count, &ends[1]], Vec::new());
                let range = self.cast(&range, self.real);
                self.add("Reshape", &[&range, &shape], Vec::new())
            }
            (Fill::Eye, _) => {
                let zero = self.number(0.0);
                let zeros = self.expanded(&zero, &node.dims);
                self.add("EyeLike", &[&zeros], Vec::new())
            }
            (Fill::List(_), _) => unreachable!("a list is stored"),
        }
    }
}

/// Numbers of these extents with their axes in another order.
fn permuted(numbers: &[f64], dims: &[usize], axes: [usize; 4]) -> Vec<f64> {
    let steps = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1];
    let [a, b, c, d] = axes.map(|it| (dims[it], steps[it]));
    let mut res = Vec::with_capacity(numbers.len());
    for i in 0..a.0 {
        for j in 0..b.0 {
            for k in 0..c.0 {
                res.extend((0..d.0).map(|l| numbers[i * a.1 + j * b.1 + k * c.1 + l * d.1]));
            }
        }
    }
    res
}
