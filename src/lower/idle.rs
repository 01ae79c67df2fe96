//! What is said in vain, and what a run is too short or too small for: layers that the output does not need, arguments
//! and entries without an effect, statistics that cannot arrive.
//!
//! Only what stands in the text as a number counts as said in vain: what a param gives, another `--set` may change.

use super::Lowering;
use super::call::Args;
use super::outputs::Output;
use super::recipe::Basis;
use crate::diag::{Code, Diagnostic, FileId, Span};
use crate::ir::{Geometry, Mode, NodeId, Op};
use crate::syntax::ast::{self, BinaryOp, ExprKind};
use std::collections::BTreeSet;

/// Running statistics, for what is known of the run only later.
#[derive(Clone, Debug)]
pub(super) struct Running {
    path: String,
    span: Span,
    decay: f64,
    start: f64,
    /// Where the decay was given.
    given: Option<Span>,
}

/// The share of their start that running statistics may still hold at the end of a run.
const SLOWEST: f64 = 1.0 / 3.0;

/// So many places of one mistake are shown.
const SHOWN: usize = 8;

/// The share of its largest value that a scaled image must span, and how large that value must be.
const FLAT: f64 = 0.25;
const SMALL: f64 = 0.1;

/// Whether a text is a number, a list of numbers or a word of a layer's: nothing that a param decides.
pub(super) fn is_written(text: &str) -> bool {
    matches!(text, "same" | "valid") || text.chars().all(|it| it.is_ascii_digit() || "[], _.e-+".contains(it))
}

/// A decay with which a start weighs little after so many steps: 0.98 for 500.
fn decay_for(iterations: u64) -> String {
    let rate = (10.0 / iterations as f64).min(0.5);
    let places = -rate.log10().floor();
    let unit = 10f64.powf(-places);
    format!("{:.*}", places as usize, 1.0 - (rate / unit).round() * unit)
}

impl Lowering<'_> {
    fn in_vain(&mut self, span: Span, message: String, label: &str, help: &str) {
        self.report(Diagnostic::new(Code::W0203, span, message).label(label).help(help));
    }

    /// A variance over `count` values of each channel, which a normalisation divides by.
    pub(super) fn varies(&mut self, path: &str, span: Span, count: usize) {
        if self.items.trains.is_empty() || self.settings.evaluates || count != 1 {
            return;
        }
        let report = self
            .at(Code::W0304, span, format!("`{path}` would normalise each channel over one value"))
            .label("a batch of one image, and one position")
            .note("the variance of one value is 0, so the result would be `beta`, whatever the image is")
            .help("give a larger `batch`, or normalise where the images still have positions");
        self.report(report);
    }

    /// Remembers running statistics that evaluation uses, with the place of the call and of the decay given in it.
    pub(super) fn keeps_running(&mut self, path: &str, (span, given): (Span, Option<Span>), decay: f64, start: f64) {
        if !self.items.trains.is_empty() && !self.settings.evaluates && span.file != self.items.prelude {
            self.running.push(Running { path: path.to_owned(), span, decay, start, given });
        }
    }

    /// Evaluation uses running statistics, which must have left their start by then.
    fn slow_statistics(&mut self, iterations: u64) {
        let mut slow: Vec<Running> = std::mem::take(&mut self.running);
        slow.retain(|it| 2 <= iterations && SLOWEST < it.decay.powf(iterations as f64));
        // Those of one start are one mistake.
        let mut seen = BTreeSet::new();
        slow.retain(|it| seen.insert((it.span, it.given)));
        while !slow.is_empty() {
            let kept = slow.remove(0);
            let alike = |it: &Running| {
                it.given.is_none() && kept.given.is_none() && (it.decay, it.start) == (kept.decay, kept.start)
            };
            let others: Vec<Span> = slow.iter().filter(|it| alike(it)).map(|it| it.span).collect();
            slow.retain(|it| !alike(it));
            let left = kept.decay.powf(iterations as f64);
            let fits = decay_for(iterations);
            let report = Diagnostic::new(
                Code::W0206,
                kept.span,
                match others.len() {
                    0 => format!("the running statistics of `{}` are too slow for {iterations} iterations", kept.path),
                    more => format!(
                        "the running statistics of `{}` and {more} more are too slow for {iterations} iterations",
                        kept.path
                    ),
                },
            )
            .label(format!(
                "with `decay: {}` {:.0} % of their start, {}, is still in them",
                kept.decay,
                100.0 * left,
                kept.start
            ))
            .note("evaluation uses them: the test accuracy will be far below the training accuracy");
            let report = others.iter().take(SHOWN).fold(report, |it, span| it.also(*span, "so are these"));
            let text = format!("decay: {fits}");
            if !others.is_empty() {
                self.report(report.help(format!("for a run of this length write `{text}` in each")));
                continue;
            }
            let why = format!("for a run of this length write `{text}`");
            let call = self.sources.slice(kept.span);
            self.report(match kept.given {
                Some(given) if is_written(self.sources.slice(given)) => report.fix(why, given, fits),
                Some(_) => report.help(format!("a `decay` of about {fits} suits a run of this length")),
                None => {
                    let (span, text) = match call.strip_suffix(')').map(str::trim_end) {
                        None => (Span { start: kept.span.end, ..kept.span }, format!("({text})")),
                        Some(open) => {
                            let at = kept.span.start + open.len() as u32;
                            let comma = if open.ends_with('(') || open.ends_with(',') { "" } else { "," };
                            let space = if open.ends_with('(') { "" } else { " " };
                            (Span { start: at, end: at, ..kept.span }, format!("{comma}{space}{text}"))
                        }
                    };
                    report.fix(why, span, text)
                }
            });
        }
    }

    /// Whether an argument is a number in the user's text, which no param changes.
    pub(super) fn is_fixed(&self, args: &Args, name: &str) -> bool {
        args.get(name).is_some_and(|it| it.1.file != self.items.prelude && is_written(self.sources.slice(it.1)))
    }

    /// Whether an extent is a number that no param changes.
    pub(super) fn is_written_out(&self, extent: &ast::Expr) -> bool {
        match self.source(extent) {
            Some(it) => it.span.is_none_or(|it| is_written(self.sources.slice(it))),
            None => matches!(extent.kind, ExprKind::Int(_)),
        }
    }

    /// Arguments of a window that change nothing. `usual` is the stride that it has by itself; `fixed` tells that its size is
    /// a number in the text.
    pub(super) fn vain_window(
        &mut self,
        args: &Args,
        size: [usize; 2],
        made: &Geometry,
        usual: [usize; 2],
        fixed: bool,
    ) {
        let [stride, pad, dilation] = ["stride", "pad", "dilation"]
            .map(|name| args.get(name).map(|it| it.1).filter(|_| self.is_fixed(args, name)));
        let one = made.kernel == [1, 1] && fixed;
        let word = pad.filter(|it| matches!(self.sources.slice(*it), "same" | "valid"));
        if one && args.get("size").is_some() && made.stride == [1, 1] {
            self.in_vain(
                self.users_place(args.span),
                format!("`{}` over windows of 1x1 changes nothing", self.users_callee(&args.name)),
                "each window is one number",
                "remove it, or give a larger size",
            );
            return;
        }
        if let Some(span) = word.filter(|_| one) {
            let message = format!("{} has no effect", args.what("pad"));
            self.in_vain(span, message, "a kernel of 1x1 never reaches beyond the image", "leave it out");
        }
        if let Some(span) = dilation.filter(|_| made.kernel == [1, 1] && made.dilation != [1, 1]) {
            let message = format!("{} has no effect", args.what("dilation"));
            self.in_vain(span, message, "a kernel of 1x1 has one tap", "leave it out");
        }
        let plain = Geometry { stride: usual, ..*made };
        if let Some(span) = stride.filter(|_| made.stride != usual)
            && made.output(size).is_some()
            && made.output(size) == plain.output(size)
            && made.output(size) == Some([1, 1])
        {
            let message = format!("{} has no effect", args.what("stride"));
            self.in_vain(span, message, "there is one position, and so no next one", "leave it out");
        }
    }

    /// What the recipe says in vain, once all of it is known.
    pub(super) fn vain_entries(&mut self, basis: &Basis) {
        if self.settings.evaluates {
            return;
        }
        let train = basis.train.clone();
        for entry in &train.entries {
            self.repeated_names(entry);
            match entry.key.name.as_str() {
                "evaluate" | "checkpoint" | "project" => {
                    if let Some(all) = basis.written {
                        self.too_rare(entry, all);
                    }
                }
                "patience" => {
                    if let Some(all) = basis.written {
                        self.too_patient(entry, &train, all);
                    }
                }
                "penalty" => {
                    if let Some(ExprKind::Call(call)) = entry.values.first().map(|it| &it.kind)
                        && let Some(weight) =
                            call.args.iter().find(|it| it.name.as_ref().is_none_or(|it| it.name == "weight"))
                        && is_zero(&weight.value)
                    {
                        let message = "this penalty of weight 0 has no effect".to_owned();
                        self.in_vain(
                            weight.value.span,
                            message,
                            "adds nothing to the loss",
                            "remove the line, or give it a weight",
                        );
                    }
                }
                "loss" => {
                    if let Some(expr) = entry.values.first()
                        && let Some(weight) = zero_weight(expr)
                    {
                        let message = "this loss of weight 0 has no effect".to_owned();
                        self.in_vain(weight, message, "trains nothing", "remove the line, or give it a weight");
                    }
                }
                _ => {}
            }
        }
        if let (Some(data), None) = (&basis.data, self.settings.batch)
            && 0 < data.train_examples
            && data.train_examples < basis.batch
            && let Some(value) = train.entries.iter().find(|it| it.key.name == "batch").and_then(|it| it.values.first())
        {
            let (batch, examples) = (basis.batch, data.train_examples);
            let report =
                Diagnostic::new(Code::W0204, value.span, format!("a batch of {batch} is larger than the data set"))
                    .label(format!(
                        "`{}` has {examples} training images, so each batch holds some more than once",
                        data.name
                    ));
            let report = match value.kind {
                ExprKind::Int(_) => report.fix(
                    format!("at most all of them: write `batch {examples}`"),
                    value.span,
                    examples.to_string(),
                ),
                _ => report.help(format!("give at most {examples}")),
            };
            self.report(report);
        }
        if let Some(iterations) = basis.written {
            self.slow_statistics(iterations);
        }
    }

    /// `on filters, filters`.
    fn repeated_names(&mut self, entry: &ast::TrainEntry) {
        for (at, name) in entry.on.iter().enumerate() {
            if let Some(first) = entry.on[..at].iter().find(|it| it.name == name.name) {
                let report = Diagnostic::new(Code::E0103, name.span, format!("`{}` is named twice", name.name))
                    .label("again here")
                    .also(first.span, "first here")
                    .help("name it once");
                self.report(report);
            }
        }
    }

    /// An interval that is longer than the run.
    fn too_rare(&mut self, entry: &ast::TrainEntry, all: u64) {
        let Some(every) = &entry.every else { return };
        let ExprKind::Int(steps) = every.kind else { return };
        if u64::try_from(steps).is_ok_and(|it| it <= all) || steps < 1 {
            return;
        }
        let key = &entry.key.name;
        let what = match key.as_str() {
            "evaluate" => "the test set is looked at at the end, as without this line",
            "checkpoint" => "a checkpoint is written at the end, as without this line",
            "project" => "no filter is ever divided by its norm",
            other => unreachable!("`{other}` is nothing that happens at intervals"),
        };
        self.report(
            Diagnostic::new(
                Code::W0203,
                every.span,
                format!("`{key} every {steps}` never happens in {all} iterations"),
            )
            .label(what)
            .fix(format!("write `every {all}` or less"), every.span, all.to_string()),
        );
    }

    /// A patience that no run of so many iterations comes to the end of.
    fn too_patient(&mut self, entry: &ast::TrainEntry, train: &ast::Train, all: u64) {
        let evaluate = train.entries.iter().find(|it| it.key.name == "evaluate").and_then(|it| it.every.as_ref());
        let (Some(every), Some(value)) = (evaluate, entry.values.first()) else { return };
        let (ExprKind::Int(every), ExprKind::Int(count)) = (&every.kind, &value.kind) else { return };
        let (Ok(every), Ok(count)) = (u64::try_from(*every), u64::try_from(*count)) else { return };
        // The first evaluation is the best so far.
        let evaluations = all.checked_div(every).unwrap_or(0);
        if count == 0 || evaluations == 0 || count.saturating_add(1).saturating_mul(every) < all {
            return;
        }
        let plural = if evaluations == 1 { "" } else { "s" };
        let message = format!("`patience {count}` never ends a run of {evaluations} evaluation{plural}");
        let label = format!("{all} iterations, evaluated every {every}");
        let help = "remove the line, or evaluate more often";
        self.in_vain(value.span, message, &label, help);
    }

    /// Smallest and largest byte of the data set's images.
    pub(super) fn bytes(&self) -> [u8; 2] {
        let name = self.data.as_ref().map(|it| &it.name);
        let known = self.settings.ranges.iter().rev().find(|it| Some(&it.0) == name);
        self.data_bytes.or(known.map(|it| it.1)).unwrap_or([0, 255])
    }

    /// Images scaled for other bytes than they hold: what comes of them is nearly the same everywhere, or next to nothing.
    pub(super) fn scaled(&mut self) {
        let Some(&image) = self.graph.inputs.get(&Mode::Train) else { return };
        let Some((data, name)) = self.data.clone().zip(self.input.clone().map(|it| it.1.name)) else { return };
        if self.sink.has_errors() || self.items.trains.is_empty() || self.settings.evaluates {
            return;
        }
        let bytes = self.graph.bytes.map(f64::from);
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
            .label(format!("their bytes are {} to {}", bytes[0], bytes[1]));
            let whole = text.split(|it: char| !it.is_alphanumeric() && it != '_').any(|it| it == name);
            self.report(if whole {
                report.fix(format!("write `{right}`"), span, format!("({right})"))
            } else {
                report.help(format!("scale by the range of the data set: `{right}`"))
            });
        }
    }

    /// Descriptions that nobody will see.
    pub(super) fn lost_docs(&mut self, main: FileId) {
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
    pub(super) fn unreached(&mut self) {
        if self.sink.has_errors() || !matches!(self.output, Output::Found(_)) || self.graph.outputs.is_empty() {
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

/// Lines that describe nothing: `///` above no definition, and `//!` below the start of the file. Each with its place.
fn lost_docs(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_doc = |line: &str| line.starts_with("///") && !line.starts_with("////");
    let mut found = Vec::new();
    let (mut at, mut begun) = (0, false);
    for (number, line) in lines.iter().enumerate() {
        let (start, bare) = (at + line.len() - line.trim_start().len(), line.trim());
        at += line.len() + 1;
        let below = lines[number..].iter().map(|it| it.trim()).find(|it| !is_doc(it)).unwrap_or("");
        let word = below.split(|it: char| !it.is_alphanumeric()).next().unwrap_or("");
        let described = matches!(
            word,
            "param"
                | "operator"
                | "optimizer"
                | "loss"
                | "metric"
                | "schedule"
                | "penalty"
                | "average"
                | "fn"
                | "block"
                | "layer"
                | "model"
        ) && !line.starts_with(char::is_whitespace);
        if is_doc(bare) && !described || bare.starts_with("//!") && begun {
            found.push((start, start + 3));
        }
        begun |= !bare.is_empty() && !bare.starts_with("//");
    }
    found
}

/// The 0 that a loss, or a part of a sum of losses, is multiplied by.
fn zero_weight(expr: &ast::Expr) -> Option<Span> {
    match &expr.kind {
        ExprKind::Binary(BinaryOp::Mul, a, b) => {
            [a, b].into_iter().find(|it| is_zero(it)).map(|it| it.span).or_else(|| zero_weight(a).or(zero_weight(b)))
        }
        ExprKind::Binary(BinaryOp::Add | BinaryOp::Sub, a, b) => zero_weight(a).or_else(|| zero_weight(b)),
        _ => None,
    }
}

fn is_zero(expr: &ast::Expr) -> bool {
    match expr.kind {
        ExprKind::Int(it) => it == 0,
        ExprKind::Float(it) => it == 0.0,
        _ => false,
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

    #[test]
    fn decays_that_suit_a_run_forget_their_start() {
        assert_eq!([500, 1000, 300, 12].map(decay_for), ["0.98", "0.99", "0.97", "0.5"]);
        for iterations in 2..3000 {
            let decay: f64 = decay_for(iterations).parse().unwrap();
            assert!(decay.powf(iterations as f64) <= SLOWEST, "{iterations}: {decay}");
        }
    }
}
