//! A network as TensorBoard's graph: its evaluation form, each value under the layer that makes it.

use super::messages::{Attribute, Extent, Extents, Graph as Message, List, Node, Versions};
use crate::ir::{Graph, Mode, NodeId, Op};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// The version of TensorFlow's graphs that this is one of.
const PRODUCER: i32 = 1;

/// What the outputs of a model are made of, operands first, as the bytes of a graph.
pub fn graph(graph: &Graph) -> Vec<u8> {
    let roots = graph.outputs.get(&Mode::Evaluate).copied();
    let ids = graph.needed(roots);
    let mut names: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut node = Vec::new();
    for id in ids {
        let text = graph.op_text(id);
        let word: String = text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
        let name = free(&wanted(graph, id, &word), &mut taken);
        let input = graph.operands(id).iter().filter_map(|it| names.get(it).cloned()).collect();
        let extents = graph.shape(id).dims().iter().map(|it| Extent { size: *it as i64 }).collect();
        let shapes = Attribute { list: Some(List { shape: vec![Extents { dim: extents }] }), s: None };
        let does = Attribute { list: None, s: Some(text.into_bytes()) };
        let attr = [("_output_shapes".to_owned(), shapes), ("does".to_owned(), does)].into();
        node.push(Node { name: name.clone(), op: word, input, attr });
        names.insert(id, name);
    }
    Message { node, versions: Some(Versions { producer: PRODUCER }) }.encode_to_vec()
}

/// What a value is called: what has a path by that, anything else by its op within its layer.
fn wanted(graph: &Graph, id: NodeId, word: &str) -> String {
    let layer = &graph.origin_of(graph.origin_id(id)).layer;
    let name = if let Op::Param(it) = graph.op(id) {
        graph.param(*it).path.clone()
    } else if let Op::State(it) = graph.op(id) {
        graph.state(*it).path.clone()
    } else if layer.is_empty() {
        word.to_owned()
    } else {
        format!("{layer}/{word}")
    };
    // Behind a colon stands the number of an op's result.
    name.replace(':', "_")
}

/// A name that no other value has.
fn free(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (1..).map(|it| if it == 1 { wanted.to_owned() } else { format!("{wanted}_{it}") });
    let name = numbered.into_iter().find(|it| !taken.contains(it)).unwrap_or_else(|| wanted.to_owned());
    taken.insert(name.clone());
    name
}
