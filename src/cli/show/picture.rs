//! `sphc show --format svg`: boxes from top to bottom, what skips some of them as curves at the right.

use super::Row;
use super::diagram::boxes;
use sphc::ir::Graph;
use std::fmt::Write as _;

/// Pixels.
const ROW: usize = 44;
const BOX: usize = 34;
const MARGIN: usize = 20;
/// Of a letter of the font, about.
const LETTER: usize = 8;
/// Between two curves side by side.
const LANE: usize = 14;

pub(super) fn svg(graph: &Graph, rows: &[Row]) -> String {
    let boxes = boxes(graph, rows);
    let texts: Vec<[String; 2]> = boxes.iter().map(|it| [it.title.clone(), it.facts.join(", ")]).collect();
    let letters = texts.iter().flatten().map(|it| it.chars().count()).max().unwrap_or(0);
    let width = letters * LETTER + MARGIN;
    let skips: Vec<(usize, usize)> = boxes
        .iter()
        .enumerate()
        .flat_map(|(to, it)| it.sources.iter().map(move |from| (*from, to)))
        .filter(|(from, to)| from + 1 != *to)
        .collect();
    let lanes = lanes(&skips);
    let most = lanes.iter().max().map_or(0, |it| it + 1);
    let total = [2 * MARGIN + width + most * LANE + MARGIN, 3 * MARGIN + boxes.len() * ROW];
    let mut res = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" \
         font-family=\"monospace\" font-size=\"12\">\n<title>{2}</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
         orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#5478a8\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"{MARGIN}\" font-weight=\"bold\">{2}</text>\n",
        total[0],
        total[1],
        escaped(&graph.name),
    );
    let top = |at: usize| 2 * MARGIN + at * ROW;
    for (to, it) in boxes.iter().enumerate() {
        if to != 0 && it.sources.contains(&(to - 1)) {
            let x = MARGIN + width / 2;
            let _ = writeln!(res, "{}", arrow(&format!("M{x} {} V{}", top(to - 1) + BOX, top(to))));
        }
    }
    for ((from, to), lane) in skips.iter().zip(lanes) {
        let (x, out) = (MARGIN + width, (lane + 1) * LANE + LANE / 2);
        let (start, end) = (top(*from) + BOX / 2, top(*to) + BOX / 2);
        let path = format!(
            "M{x} {start} h{} q{LANE} 0 {LANE} {LANE} V{} q0 {LANE} -{LANE} {LANE} H{x}",
            out - LANE,
            end - LANE
        );
        let _ = writeln!(res, "{}", arrow(&path));
    }
    for (at, [name, facts]) in texts.iter().enumerate() {
        let (y, x) = (top(at), MARGIN + 8);
        let _ = writeln!(
            res,
            "<rect x=\"{MARGIN}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"4\" fill=\"#eef3fa\" \
             stroke=\"#5478a8\"/>\n<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{x}\" y=\"{}\" fill=\"#333\">{}</text>",
            y + 14,
            escaped(name),
            y + 28,
            escaped(facts),
        );
    }
    res + "</svg>\n"
}

fn arrow(path: &str) -> String {
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"#5478a8\" stroke-width=\"1.5\" marker-end=\"url(#tip)\"/>")
}

/// A lane for each skip, so that those side by side do not run over each other: the first one that is free.
fn lanes(skips: &[(usize, usize)]) -> Vec<usize> {
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut res = Vec::new();
    for &(from, to) in skips {
        let free = |lane: &Vec<(usize, usize)>| lane.iter().all(|it| to < it.0 || it.1 < from);
        let at = taken.iter().position(free).unwrap_or(taken.len());
        if at == taken.len() {
            taken.push(Vec::new());
        }
        taken[at].push((from, to));
        res.push(at);
    }
    res
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_side_by_side_take_different_lanes() {
        assert_eq!(lanes(&[(0, 4), (1, 3), (5, 7)]), [0, 1, 0]);
    }
}
