//! `sphc show --format svg`: boxes from top to bottom, blocks around what is in them.

use super::diagram::{Diagram, Item, Look};
use super::place::{self, LETTER, LINE, MARGIN, Placed, Spot, Way};
use std::fmt::Write as _;

pub(super) fn svg(name: &str, diagram: &Diagram) -> String {
    let placed = place::place(diagram);
    let width = (placed.width + 2 * MARGIN).max(name.chars().count() * (LETTER + 1) + 2 * MARGIN);
    let top = 2 * LINE + MARGIN;
    let mut res = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"11.5\">\n<title>{name}</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#5478a8\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"{}\" font-size=\"14\" font-weight=\"bold\">{name}</text>\n",
        LINE + MARGIN / 2,
        height = top + placed.height + MARGIN,
        name = escaped(name),
    );
    draw(diagram, &placed, (MARGIN, top), 1, &mut res);
    res + "</svg>\n"
}

/// What is in a box that is drawn once for so many.
fn draw(diagram: &Diagram, placed: &Placed, (x, y): (usize, usize), around: usize, res: &mut String) {
    for (item, spot) in diagram.items.iter().zip(&placed.spots) {
        box_of(item, spot, (x + spot.x, y + spot.y), around, res);
    }
    for way in &placed.ways {
        let _ = writeln!(res, "{}", line(way, (x, y)));
    }
    for (at, above) in &placed.ports {
        let _ = writeln!(res, "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"#5478a8\"/>", x + at, y + above);
    }
}

fn box_of(item: &Item, spot: &Spot, (x, y): (usize, usize), around: usize, res: &mut String) {
    let times = item.times_within(around);
    let Spot { width, height, .. } = *spot;
    let facts = item.facts();
    let (fill, round) = match item.look {
        Look::Box => ("#eef3fa", 4),
        Look::Join => ("#ffffff", height / 2),
        Look::Block(_) => ("#7f9cc2\" fill-opacity=\"0.08", 6),
    };
    // What is drawn as several papers is there several times.
    for back in if 1 < times { vec![6, 3, 0] } else { vec![0] } {
        let fill = if back == 0 { fill } else { "white" };
        let _ = writeln!(
            res,
            "<rect x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"#5478a8\"/>",
            x + back,
            y - back.min(y),
        );
    }
    let _ = writeln!(res, "<g><title>{}</title>", escaped(&item.paths.join("\n")));
    if matches!(item.look, Look::Join) {
        let text = escaped(&item.kinds.join(""));
        let (x, y) = (x + width / 2, y + height / 2 + 4);
        let _ = writeln!(res, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{text}</text></g>");
        return;
    }
    let left = x + MARGIN;
    let title = if item.title.is_empty() { 0 } else { 1 };
    if title != 0 {
        let times = if 1 < times { format!("  ×{times}") } else { String::new() };
        let _ = writeln!(
            res,
            "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\" xml:space=\"preserve\">{}{times}</text>",
            y + LINE,
            escaped(&item.title)
        );
    }
    for (at, it) in facts.iter().enumerate() {
        let _ = writeln!(
            res,
            "<text x=\"{left}\" y=\"{}\" fill=\"#333\">{}</text>",
            y + (at + 1 + title) * LINE,
            escaped(it)
        );
    }
    let _ = writeln!(res, "</g>");
    if let (Look::Block(diagram), Some(inside)) = (&item.look, &spot.inside) {
        draw(diagram, inside, (x + MARGIN, y + place::head(item)), item.times(), res);
    }
}

/// Rounded at its corners.
fn line(way: &Way, (x, y): (usize, usize)) -> String {
    let corners: Vec<(f64, f64)> = way.corners.iter().map(|it| ((x + it.0) as f64, (y + it.1) as f64)).collect();
    let mut path = format!("M{} {}", corners[0].0, corners[0].1);
    for it in corners.windows(3) {
        let [a, b, c] = [it[0], it[1], it[2]];
        let apart = |p: (f64, f64), q: (f64, f64)| (p.0 - q.0).abs() + (p.1 - q.1).abs();
        let radius = 8.0_f64.min(apart(a, b) / 2.0).min(apart(b, c) / 2.0);
        let towards = |to: (f64, f64)| {
            let far = apart(b, to).max(1.0);
            (b.0 + (to.0 - b.0) / far * radius, b.1 + (to.1 - b.1) / far * radius)
        };
        let (start, end) = (towards(a), towards(c));
        let _ = write!(path, " L{} {} Q{} {} {} {}", start.0, start.1, b.0, b.1, end.0, end.1);
    }
    if let [.., last] = corners[..] {
        let _ = write!(path, " L{} {}", last.0, last.1);
    }
    let tip = if way.arrow { " marker-end=\"url(#tip)\"" } else { "" };
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"#5478a8\" stroke-width=\"1.5\"{tip}/>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
