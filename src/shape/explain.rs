//! The facts a shape diagnostic shows: places with their instantiations, chains of sizes, formulas.

use super::check::is_step;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Geometry, Graph, NodeId, Origin};

/// A node's place in the text.
pub(super) struct Subject<'a> {
    origin: &'a Origin,
}

impl<'a> Subject<'a> {
    pub(super) fn of(graph: &'a Graph, id: NodeId) -> Self {
        Self { origin: graph.origin_of(graph.origin_id(id)) }
    }

    /// `` `conv1_0` ``, or `this expression` outside of layers.
    pub(super) fn name(&self) -> String {
        if self.origin.layer.is_empty() { "this expression".to_owned() } else { format!("`{}`", self.origin.layer) }
    }

    /// A diagnostic here, with the loops and calls that led here as secondary places.
    pub(super) fn diagnostic(&self, code: Code, message: String) -> Diagnostic {
        self.origin.frames.iter().fold(Diagnostic::new(code, self.origin.span, message), |res, frame| {
            if frame.span == self.origin.span { res } else { res.also(frame.span, &*frame.text) }
        })
    }
}

/// `input 32x32x3 -> conv1_0 32x32x128 -> 16x16x128`: the sizes along first operands, oldest first.
pub(super) fn chain(graph: &Graph, to: NodeId) -> Option<String> {
    const LONGEST: usize = 6;
    let mut steps: Vec<String> = Vec::new();
    let mut at = Some(to);
    let mut skipped = false;
    while let Some(id) = at {
        let origin = graph.origin_of(graph.origin_id(id));
        if is_step(graph.op(id))
            && let Some(&[_, h, w, c]) = graph.fact(id).shape().map(|it| it.dims())
        {
            let name = if graph.operands(id).is_empty() || origin.layer.is_empty() {
                "input".to_owned()
            } else {
                origin.layer.clone()
            };
            if steps.len() < LONGEST {
                steps.push(format!("{name} {h}x{w}x{c}"));
            } else {
                skipped = true;
            }
        }
        at = graph.operands(id).first().copied();
    }
    steps.reverse();
    if steps.len() < 2 {
        return None;
    }
    let start = if skipped { "... -> " } else { "" };
    Some(format!("{start}{}", steps.join(" -> ")))
}

/// What the two sides of a sum are called.
pub(super) const SIDES: [&str; 2] = ["left", "right"];

/// The layers that an activation went through, newest first.
fn steps(graph: &Graph, to: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut at = Some(to);
    while let Some(id) = at {
        if is_step(graph.op(id)) && graph.fact(id).shape().is_some_and(|it| it.dims().len() == 4) {
            found.push(id);
        }
        at = graph.operands(id).first().copied();
    }
    found
}

/// Labels the lines on which the two sides came about since they parted, with the calls and loops that
/// are not those of the sum itself.
pub(super) fn sides(graph: &Graph, place: &Subject<'_>, mut res: Diagnostic, nodes: [NodeId; 2]) -> Diagnostic {
    const MOST: usize = 4;
    let both = nodes.map(|it| steps(graph, it));
    for (at, side) in SIDES.iter().enumerate() {
        let (own, other) = (&both[at], &both[1 - at]);
        let parted = own.iter().position(|it| other.contains(it)).unwrap_or(own.len());
        // A side that is where the other one began is told by its last layer.
        for &id in own.iter().take(parted.clamp(1, MOST)) {
            let origin = graph.origin_of(graph.origin_id(id));
            let Some(&[_, h, w, c]) = graph.fact(id).shape().map(|it| it.dims()) else { continue };
            let name = if origin.layer.is_empty() { "input" } else { origin.layer.as_str() };
            res = label(res, origin.span, format!("{side}: {name} {h}x{w}x{c}"));
            for frame in origin.frames.iter().filter(|it| !place.origin.frames.contains(it)) {
                res = label(res, frame.span, format!("{side}: {}", frame.text));
            }
        }
    }
    res
}

/// One label for a place, whatever is said of it.
fn label(mut res: Diagnostic, span: Span, text: String) -> Diagnostic {
    match res.secondary.iter_mut().find(|it| it.span == span) {
        Some(known) if known.text.contains(&text) => res,
        Some(known) => {
            known.text = format!("{}; {text}", known.text);
            res
        }
        None if res.primary.span == span => res,
        None => res.also(span, text),
    }
}

/// The output size's formula with its numbers, for the axis on which nothing fits.
pub(super) fn geometry_notes(geometry: &Geometry, size: [usize; 2]) -> Vec<String> {
    let extent = geometry.extent();
    let axis = usize::from(extent[0] <= size[0] + geometry.before[0] + geometry.after[0]);
    let pad = geometry.before[axis] + geometry.after[axis];
    let out = (size[axis] + pad) as i64 - extent[axis] as i64;
    let result = out.div_euclid(geometry.stride[axis] as i64) + 1;
    vec![format!(
        "output size = floor((in + padding - kernel) / stride) + 1 = floor(({} + {pad} - {}) / {}) + 1 = {result}",
        size[axis], extent[axis], geometry.stride[axis]
    )]
}

pub(super) fn pad_advice(size: [usize; 2]) -> String {
    format!(
        "write `pad: same` to keep {}x{} here, use a smaller kernel, or pool less before this layer",
        size[0], size[1]
    )
}

/// `height 32 != 16`, one line for each axis of two activations.
pub(super) fn table(left: &[usize], right: &[usize]) -> Vec<String> {
    let (&[_, h, w, c], &[_, oh, ow, oc]) = (left, right) else { return Vec::new() };
    let sign = |a: usize, b: usize| if a == b { "==" } else { "!=" };
    let line = |name: &str, a: usize, b: usize| format!("{name:>8} {a:>5} {} {b}", sign(a, b));
    vec![[line("height", h, oh), line("width", w, ow), line("channels", c, oc)].join("\n")]
}
