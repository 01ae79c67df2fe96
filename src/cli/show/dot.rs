//! `sphc show --format dot`: boxes and blocks for Graphviz.

use super::diagram::{Diagram, Item, Look};
use std::fmt::Write as _;

pub(super) fn dot(name: &str, diagram: &Diagram) -> String {
    let mut dot = Dot { out: String::new(), count: 0 };
    let _ = writeln!(
        dot.out,
        "digraph \"{}\" {{\n  rankdir = TB;\n  node [shape = box, fontname = \"sans-serif\"];\n  graph [fontname = \"sans-serif\"];",
        quoted(name)
    );
    dot.diagram(diagram, 1, 1);
    dot.out + "}\n"
}

struct Dot {
    out: String,
    count: usize,
}

/// What the ways of a level are tied to: a box, or in a block what reads what comes in, and what goes out.
struct Ends {
    /// By entry of the block.
    first: Vec<Vec<String>>,
    last: Vec<String>,
}

impl Dot {
    fn line(&mut self, level: usize, text: &str) {
        let _ = writeln!(self.out, "{:1$}{text}", "", 2 * level);
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("l{}", self.count - 1)
    }

    /// The ends of each item.
    fn diagram(&mut self, diagram: &Diagram, around: usize, level: usize) -> Vec<Ends> {
        let ends: Vec<Ends> = diagram.items.iter().map(|it| self.item(it, around, level)).collect();
        for (from, to) in &diagram.edges {
            for from in &ends[*from].last {
                // Which of several entries a way leads to is not told by a picture.
                for to in ends[*to].first.iter().flatten() {
                    self.line(level, &format!("{from} -> {to};"));
                }
            }
        }
        ends
    }

    fn item(&mut self, item: &Item, around: usize, level: usize) -> Ends {
        let times = item.times_within(around);
        let times = if 1 < times { format!(" ×{times}") } else { String::new() };
        let title = format!("{}{times}", item.title);
        let lines: Vec<String> = [title].into_iter().chain(item.facts()).filter(|it| !it.is_empty()).collect();
        let (label, tooltip) = (quoted(&lines.join("\n")), quoted(&item.paths.join("\n")));
        match &item.look {
            Look::Box | Look::Join => {
                let name = self.name();
                let round = if matches!(item.look, Look::Join) { ", shape = ellipse" } else { "" };
                let label = if round.is_empty() { label } else { quoted(&item.kinds.join("")) };
                self.line(level, &format!("{name} [label = \"{label}\", tooltip = \"{tooltip}\"{round}];"));
                Ends { first: vec![vec![name.clone()]], last: vec![name] }
            }
            Look::Block(inside) => {
                let name = self.name();
                self.line(level, &format!("subgraph cluster_{name} {{"));
                self.line(
                    level + 1,
                    &format!("label = \"{label}\"; tooltip = \"{tooltip}\"; labeljust = l; style = rounded;"),
                );
                let ends = self.diagram(inside, item.times(), level + 1);
                self.line(level, "}");
                let first = |it: &usize| ends[*it].first.iter().flatten().cloned().collect::<Vec<_>>();
                Ends {
                    first: inside.entries.iter().map(|it| it.iter().flat_map(first).collect()).collect(),
                    last: inside.exits.iter().flat_map(|it| ends[*it].last.clone()).collect(),
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
