//! What is told once the whole file is unfolded: layers that the output does not need, images scaled for other bytes than they
//! hold, descriptions of nothing.

use crate::diag::{Code, Diagnostic, FileId, Span};
use crate::ir::{DType, Extremes, Mode, NodeId, Op};
use crate::lower::network::outputs::Output;
use crate::lower::recipe::Recipe;
use crate::syntax::ITEMS;

/// The share of its largest value that a scaled image must span, and how large that value must be.
const FLAT: f64 = 0.25;

const SMALL: f64 = 0.1;

/// Lines that describe nothing: `///` above no definition, and `//!` below the start of the file. Each with its place.
pub(super) fn lost_docs(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_doc = |line: &str| line.starts_with("///") && !line.starts_with("////");
    let mut found = Vec::new();
    let (mut at, mut begun) = (0, false);
    // For each line the first one from it on that describes nothing.
    let mut below: Vec<&str> = Vec::with_capacity(lines.len());
    for line in lines.iter().rev() {
        let bare = line.trim();
        below.push(if is_doc(bare) { below.last().copied().unwrap_or("") } else { bare });
    }
    below.reverse();
    for (line, below) in lines.iter().zip(below) {
        let (start, bare) = (at + line.len() - line.trim_start().len(), line.trim());
        // A byte order mark is no text.
        let bare = if at == 0 { bare.trim_start_matches('\u{FEFF}') } else { bare };
        at += line.len() + 1;
        let word = below.split(|it: char| !it.is_alphanumeric()).next().unwrap_or("");
        // Of an import and a recipe there is nothing to describe.
        let item = ITEMS.contains(&word) && !["import", "train"].contains(&word);
        let described = item && !line.starts_with(char::is_whitespace);
        if is_doc(bare) && !described || bare.starts_with("//!") && begun {
            found.push((start, start + 3));
        }
        begun |= !bare.is_empty() && !bare.starts_with("//");
    }
    found
}

impl Recipe<'_> {
    /// The least and the largest number of the data set's examples, or those that its type has.
    pub(in crate::lower) fn range(&self) -> Option<Extremes> {
        let Some(data) = &self.data else { return Some(Extremes::BYTES) };
        data.range.or_else(|| match data.dtype {
            DType::U8 | DType::U16 => data.dtype.bounds().map(Extremes),
            DType::Int | DType::Real | DType::Bf16 => None,
        })
    }

    /// Images scaled for other numbers than they hold: what comes of them is nearly the same everywhere, or next to nothing.
    pub(in crate::lower) fn scaled(&mut self) {
        let Some(&image) = self.graph.inputs.get(&Mode::Train) else { return };
        let Some((data, name)) = self.data.clone().zip(self.input.clone().map(|it| it.1.name)) else { return };
        if self.has_errors() || self.items.trains.is_empty() || self.settings.evaluates {
            return;
        }
        let (Some(Extremes(bytes)), DType::U8 | DType::U16) = (self.graph.range, data.dtype) else { return };
        let mut open = vec![(image, bytes)];
        while let Some((at, range)) = open.pop() {
            let mut ends = false;
            for user in self.graph.users(at) {
                match self.graph.op(user) {
                    Op::Map { body, .. } if self.graph.operands(user) == [at] => {
                        let of = |it: f64| body.eval(&[it]).first().copied().unwrap_or(f64::NAN);
                        // At each byte.
                        let count = (bytes[1] - bytes[0]).max(2.0);
                        let along = |at: f64, [low, high]: [f64; 2]| low + (high - low) * at / count;
                        let ends_of = [of(range[0]), of(range[1])];
                        let size = 1.0 + ends_of[0].abs() + ends_of[1].abs();
                        let off = |at: f64| (of(along(at, range)) - along(at, ends_of)).abs();
                        let is_line = (0..=count as u32).all(|it| off(f64::from(it)) <= 1e-9 * size);
                        match is_line {
                            // The same for every image on purpose.
                            true if ends_of[0] == ends_of[1] => {}
                            true => open.push((user, ends_of)),
                            false => ends = true,
                        }
                    }
                    _ => ends = true,
                }
            }
            let most = range[0].abs().max(range[1].abs());
            if at == image || !ends || FLAT * most <= (range[1] - range[0]).abs() && SMALL <= most {
                continue;
            }
            let span = self.graph.origin_of(self.graph.origin_id(at)).span;
            let text = self.sources.slice(span).to_owned();
            let ends = range.map(|it| format!("{it:.3}"));
            let right = self.graph.scaling(&name);
            let report = Diagnostic::new(
                Code::W0205,
                span,
                format!("this makes {} to {} of the images of `{}`", ends[0], ends[1], data.name),
            )
            .label(format!(
                "their {} are {} to {}",
                if data.dtype == DType::U8 { "bytes" } else { "numbers" },
                bytes[0],
                bytes[1]
            ));
            let whole = text.split(|it: char| !it.is_alphanumeric() && it != '_').any(|it| it == name);
            self.report(if whole {
                report.fix(format!("write `{right}`"), span, format!("({right})"))
            } else {
                report.help(format!("scale by the range of the data set: `{right}`"))
            });
        }
    }

    /// Descriptions that nobody will see.
    pub(in crate::lower) fn lost_docs(&mut self, main: FileId) {
        let lost = lost_docs(&self.sources.get(main).text);
        // Of lines below each other the first tells.
        let mut last = None;
        for (start, end) in lost {
            let span = Span::new(main, start, end);
            let line = self.sources.position(span).0;
            if last.replace(line).is_none_or(|it| it + 1 != line) {
                self.report(
                    Diagnostic::new(Code::W0203, span, "this description belongs to nothing")
                        .label("`///` describes the definition below it, and `//!` the file, at its start")
                        .fix("write `//` for a comment", span, "//"),
                );
            }
        }
    }

    /// Layers with parameters from which no way leads to the output.
    pub(in crate::lower) fn unreached(&mut self) {
        if self.has_errors() || !matches!(self.outputs.own, Output::Found(_)) || self.graph.outputs.is_empty() {
            return;
        }
        let tables = [&self.graph.outputs, &self.graph.losses];
        let metrics = self.graph.metrics.iter().map(|it| &it.nodes);
        let needed = self.graph.needed(tables.into_iter().chain(metrics).flat_map(|it| it.values().copied()));
        let needed: std::collections::BTreeSet<NodeId> = needed.into_iter().collect();
        let mut told: Vec<String> = Vec::new();
        let ids: Vec<NodeId> = self.graph.ids().collect();
        for id in ids {
            let (path, origin) = match *self.graph.op(id) {
                Op::Param(it) => (self.graph.param(it).path.clone(), self.graph.param(it).origin),
                Op::State(it) => (self.graph.state(it).path.clone(), self.graph.state(it).origin),
                _ => continue,
            };
            // The counters of the recipe are not a layer's.
            let Some((layer, _)) = path.rsplit_once('/').filter(|_| !needed.contains(&id)) else { continue };
            let layer = layer.to_owned();
            let span = self.graph.origin_of(origin).span;
            let kept = self.lost.iter().any(|it| it.file == span.file && it.start <= span.start && span.end <= it.end);
            if kept || told.contains(&layer) {
                continue;
            }
            let whole = self.graph.params.iter().filter(|it| it.layer == layer);
            let numbers: usize = whole.map(|it| it.shape.len()).sum();
            let report = self
                .at(Code::W0105, span, format!("the output does not depend on `{path}`"))
                .label(format!("`{layer}` has {numbers} parameters, and what it gives is not used"))
                .help("use the result of the layer, or remove the layer");
            told.push(layer);
            self.report(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_belong_to_definitions() {
        assert!(lost_docs("//! a\n\n/// b\n/// c\nparam x = 3\n/// d\nlayer f(x) {\n}\n").is_empty());
        assert_eq!(lost_docs("/// b\n\nparam x = 3\n//! c\n    /// d\n"), [(0, 3), (19, 22), (29, 32)]);
    }
}
