//! Who moves which parameters: `freeze`, and several optimizers.
//!
//! What is frozen goes first; then each `optimizer` with `on` takes what it selects; one without takes the rest.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Clip, ExprNode, Optimizer, ParamId, Scalar, Taken, size};
use crate::lower::recipe::Recipe;
use crate::lower::recipe::schedule::Factor;
use crate::syntax::ast;
use std::collections::{BTreeMap, BTreeSet};

/// Arguments of an optimizer's body before what it keeps; two of them are the same for all numbers.
const GIVEN: [&str; 4] = ["value", "gradient", "rate", "step"];

const RATE: u32 = 2;

const STEP: u32 = 3;

/// So many parameters are named in a report.
const SHOWN: usize = 4;

/// Some of these paths, and how many there are besides.
fn few(paths: &[&str]) -> String {
    let mut names: Vec<String> = paths.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
    if SHOWN < paths.len() {
        names.push(format!("{} more", paths.len() - SHOWN));
    }
    names.join(", ")
}

/// Walks the matrices of a body for a parameter of `own` rows and columns; what is one number for all has no size. On a
/// mistake: which of what is taken, and what is wrong.
fn matrices(optimizer: &Optimizer, own: [usize; 2]) -> Result<(), (Option<usize>, String)> {
    let body = &optimizer.body;
    let keeps = optimizer.keeps.len();
    let mut firsts = Vec::new();
    let mut first = 1 + keeps;
    for taken in &optimizer.taken {
        firsts.push(first);
        first += taken.operands();
    }
    let mut sizes: Vec<Option<[usize; 2]>> = Vec::with_capacity(body.nodes.len());
    for node in &*body.nodes {
        let of = |it: &Scalar| sizes[it.0 as usize];
        let size = match node {
            ExprNode::Const(_) | ExprNode::Input(RATE | STEP) => None,
            ExprNode::Input(it) if (*it as usize) < GIVEN.len() + keeps => Some(own),
            ExprNode::Input(it) => {
                let at = *it as usize - GIVEN.len() - keeps;
                let operand = |place: usize| of(&body.roots[firsts[at] + place]).unwrap_or(own);
                match optimizer.taken[at] {
                    Taken::Sum => None,
                    Taken::Product { transpose } => {
                        let ([a, b], [c, d]) = (operand(0), operand(1));
                        let [a, b] = if transpose { [b, a] } else { [a, b] };
                        if b != c {
                            let text = format!("the product of {a}x{b} and {c}x{d} has no meaning");
                            return Err((Some(at), text));
                        }
                        if size::MOST_WORK < size::product(&[a, b, d]) as u64
                            || size::MOST_ELEMENTS < size::product(&[a, d])
                        {
                            return Err((Some(at), format!("the product of {a}x{b} and {c}x{d} is too large")));
                        }
                        Some([a, d])
                    }
                }
            }
            ExprNode::Unary(_, a) => of(a),
            ExprNode::Binary(_, a, b) => together(&[of(a), of(b)])?,
            ExprNode::Select(c, a, b) => together(&[of(c), of(a), of(b)])?,
        };
        sizes.push(size);
    }
    for root in &body.roots[..1 + keeps] {
        if let Some([a, b]) = sizes[root.0 as usize].filter(|it| *it != own) {
            return Err((None, format!("its result is {a}x{b}")));
        }
    }
    Ok(())
}

/// The size of numbers that are put together one by one.
fn together(sizes: &[Option<[usize; 2]>]) -> Result<Option<[usize; 2]>, (Option<usize>, String)> {
    let mut found: Option<[usize; 2]> = None;
    for size in sizes.iter().flatten() {
        match found {
            None => found = Some(*size),
            Some(known) if known == *size => {}
            Some([a, b]) => {
                return Err((None, format!("numbers of {a}x{b} meet those of {}x{}", size[0], size[1])));
            }
        }
    }
    Ok(found)
}

impl Recipe<'_> {
    /// Parameters that stay as they are.
    pub(super) fn frozen(&mut self, train: &ast::Train) -> BTreeSet<ParamId> {
        let entries: Vec<&ast::TrainEntry> = train.entries.iter().filter(|it| it.key.name == "freeze").collect();
        let frozen: BTreeSet<ParamId> = entries.iter().flat_map(|it| self.select(it, false)).collect();
        if let (Some(last), false) = (entries.last(), frozen.is_empty())
            && frozen.len() == self.graph.params.len()
        {
            let report = Diagnostic::new(Code::W0203, last.span, "nothing is left to be trained")
                .label("all that learns is frozen")
                .help("freeze less, as in `freeze on filters where layer != \"score\"`");
            self.report(report);
        }
        frozen
    }

    /// What an entry selects, without what is frozen.
    pub(super) fn select_moving(
        &mut self,
        entry: &ast::TrainEntry,
        filters: bool,
        frozen: &BTreeSet<ParamId>,
    ) -> Vec<ParamId> {
        let selected = self.select(entry, filters);
        let some = !selected.is_empty();
        let moving: Vec<ParamId> = selected.into_iter().filter(|it| !frozen.contains(it)).collect();
        if some && moving.is_empty() {
            let report = Diagnostic::new(Code::W0203, entry.span, format!("this `{}` has no effect", entry.key.name))
                .label("all that it selects is frozen")
                .help("remove the line, or freeze less");
            self.report(report);
        }
        moving
    }

    /// The optimizers of a recipe with what each moves; `None` after a mistake.
    pub(super) fn optimizers(
        &mut self,
        train: &ast::Train,
        frozen: &BTreeSet<ParamId>,
        factor: Option<&Factor>,
        iterations: Option<u64>,
    ) -> Option<Vec<Optimizer>> {
        let entries: Vec<&ast::TrainEntry> = train.entries.iter().filter(|it| it.key.name == "optimizer").collect();
        let mut found: Vec<Option<(Optimizer, Vec<Span>)>> = Vec::new();
        let mut owners: BTreeMap<ParamId, usize> = BTreeMap::new();
        let mut rest: Option<usize> = None;
        for (at, entry) in entries.iter().enumerate() {
            found.push(entry.values.first().and_then(|it| self.optimizer(it, factor, iterations)));
            if entry.on.is_empty() && entry.filter.is_none() {
                match rest {
                    None => rest = Some(at),
                    Some(first) => self.report(
                        Diagnostic::new(Code::E0103, entry.key.span, "the recipe has two entries `optimizer`")
                            .label("again here")
                            .also(entries[first].key.span, "first here")
                            .help("one optimizer takes the rest; others say on what: `optimizer ... on filters`"),
                    ),
                }
                continue;
            }
            let mut both: BTreeMap<usize, ParamId> = BTreeMap::new();
            for id in self.select_moving(entry, false, frozen) {
                if let Some(first) = owners.insert(id, at) {
                    both.entry(first).or_insert(id);
                }
            }
            for (first, id) in both {
                let path = self.graph.param(id).path.clone();
                self.report(
                    Diagnostic::new(Code::E0103, entry.span, format!("`{path}` is moved by two optimizers"))
                        .label("selects it")
                        .also(entries[first].span, "selects it, too")
                        .help("exclude it from one of them: `where layer != \"...\"`"),
                );
            }
        }
        let all = (0..self.graph.params.len()).map(|it| ParamId(it as u32));
        let left: Vec<ParamId> = all.filter(|it| !frozen.contains(it) && !owners.contains_key(it)).collect();
        match rest {
            Some(at) => {
                if left.is_empty() && !owners.is_empty() {
                    let report = Diagnostic::new(Code::W0203, entries[at].span, "nothing is left for this optimizer")
                        .label("all parameters are frozen or moved by others")
                        .help("remove the line");
                    self.report(report);
                }
                owners.extend(left.into_iter().map(|it| (it, at)));
            }
            None if !left.is_empty() && !entries.is_empty() && !self.has_errors() => {
                let paths: Vec<&str> = left.iter().map(|it| self.graph.param(*it).path.as_str()).collect();
                let place = entries.last().map_or(train.keyword, |it| it.span);
                self.report(
                    Diagnostic::new(Code::E0201, place, format!("no optimizer moves {}", few(&paths)))
                        .label("each selects something else")
                        .help("add an optimizer without `on`, which takes the rest, or `freeze` what is to stay"),
                );
                return None;
            }
            None => {}
        }
        let found: Vec<(Optimizer, Vec<Span>)> = found.into_iter().collect::<Option<_>>()?;
        let (mut optimizers, places): (Vec<Optimizer>, Vec<Vec<Span>>) = found.into_iter().unzip();
        for (id, at) in owners {
            optimizers[at].params.push(id);
        }
        let mut fit = !optimizers.is_empty();
        for ((optimizer, places), entry) in optimizers.iter().zip(&places).zip(&entries) {
            fit &= optimizer.taken.is_empty() || self.check_matrices(optimizer, places, entry.span);
            self.vectors_as_matrices(optimizer, entry.values.first().map_or(entry.span, |it| it.span));
        }
        fit.then_some(optimizers)
    }

    /// Whether the matrices that an optimizer makes of each of its parameters fit together.
    fn check_matrices(&mut self, optimizer: &Optimizer, places: &[Span], entry: Span) -> bool {
        for id in &optimizer.params {
            let param = self.graph.param(*id);
            let columns = param.shape.dims().last().copied().unwrap_or(1);
            let (path, own) = (param.path.clone(), [param.shape.len() / columns, columns]);
            if let Err((at, text)) = matrices(optimizer, own) {
                let name = optimizer.text.split('(').next().unwrap_or_default();
                let mut report = Diagnostic::new(Code::E0303, entry, format!("`{name}` does not fit `{path}`: {text}"))
                    .label(format!("as a matrix `{path}` is {}x{}: one column for each filter", own[0], own[1]));
                if let Some(place) = at.and_then(|it| places.get(it)).filter(|it| it.file != self.items.prelude) {
                    report = report.also(*place, "taken here");
                }
                self.report(report);
                return false;
            }
        }
        true
    }

    /// Warns where an optimizer of matrices moves vectors: each is one row, and whatever its gradient is, all of its step.
    fn vectors_as_matrices(&mut self, optimizer: &Optimizer, place: Span) {
        if !optimizer.taken.iter().any(|it| matches!(it, Taken::Product { .. })) {
            return;
        }
        let params = optimizer.params.iter().map(|it| self.graph.param(*it));
        let vectors: Vec<&str> = params.filter(|it| it.shape.dims().len() < 2).map(|it| it.path.as_str()).collect();
        if vectors.is_empty() {
            return;
        }
        let name = optimizer.text.split('(').next().unwrap_or_default();
        let report =
            Diagnostic::new(Code::W0208, place, format!("`{name}` multiplies matrices, and moves {}", few(&vectors)))
                .label("takes a vector for a matrix of one row")
                .note("of one row a step has one length, whatever the gradient's: small vectors do not settle")
                .help(format!("write `{name}(...) on filters`, and a line for the rest: `optimizer adam(rate: 1e-3)`"));
        self.report(report);
    }

    /// The bound on gradients.
    pub(super) fn clip(&mut self, entry: &ast::TrainEntry) -> Option<Clip> {
        let args = self.choice("clip", entry.values.first()?)?;
        let most = self.float(&args, "most", 1.0, |it| 0.0 < it, "above 0")?;
        Some(if args.name == "norm" { Clip::Norm(most) } else { Clip::Value(most) })
    }
}
