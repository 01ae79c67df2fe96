//! The entries of a recipe that are about some of the parameters: penalties and projections.
//!
//! A penalty that is text is unfolded into a graph of its own for each parameter.

use super::Lowering;
use super::call::Args;
use super::compose::compose;
use super::eval::Scope;
use super::recipe::allowed;
use super::value::Value;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Column, Fact, Fill, Graph, NodeId, Op, ParamId, Penalty, PenaltyKind, Phase, Projection, Shape, Term};
use crate::syntax::ast::{self, Part};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The matrix of their pairs, with opposites, is a tensor; its product with a filter of the largest size fits, too.
const MOST_FILTERS_IN_PAIRS: usize = 1 << 18;

impl Lowering<'_> {
    pub(super) fn penalties(&mut self, train: &ast::Train, frozen: &BTreeSet<ParamId>) -> Vec<Penalty> {
        let mut found = Vec::new();
        for entry in train.entries.iter().filter(|it| it.key.name == "penalty") {
            let chosen = entry.values.first().and_then(|it| self.choice_and_call("penalty", it));
            let def = chosen.as_ref().and_then(|it| self.items.definition(Part::Penalty, &it.0.name)).cloned();
            found.extend(match (def, &chosen) {
                (Some(def), Some((_, call))) => self.written_penalty(entry, call, &def, frozen),
                (_, chosen) => self.penalty_on_pairs(train, entry, chosen.as_ref().map(|it| &it.0), frozen),
            });
        }
        found
    }

    fn penalty_on_pairs(
        &mut self,
        train: &ast::Train,
        entry: &ast::TrainEntry,
        args: Option<&Args>,
        frozen: &BTreeSet<ParamId>,
    ) -> Option<Penalty> {
        let kind = args.and_then(|it| self.penalty_kind(it));
        let weight = args.and_then(|args| self.float(args, "weight", 0.0, |it| 0.0 <= it, "at least 0"));
        let params = self.select_moving(entry, args.is_some(), frozen);
        if matches!(kind, Some(PenaltyKind::Orthogonality | PenaltyKind::NormalizedOrthogonality)) {
            self.lint_orthogonality(train, entry, &params);
        }
        if kind.is_some() {
            self.check_pairs(entry, &params);
        }
        let (kind, weight) = (kind?, Some(weight?));
        (!params.is_empty()).then_some(Penalty { kind, column: Column::Orth, weight, params, span: entry.span })
    }

    /// A penalty that is text: a part of a graph for each parameter.
    fn written_penalty(
        &mut self,
        entry: &ast::TrainEntry,
        call: &ast::Call,
        def: &Rc<ast::Function>,
        frozen: &BTreeSet<ParamId>,
    ) -> Option<Penalty> {
        let params = self.select_moving(entry, false, frozen);
        let (of, rest) = def.params.split_first()?;
        let numbers = ast::Function { params: rest.to_vec(), ..(**def).clone() };
        let (scope, wrong) = self.bound(&self.items.part_signature(Part::Penalty, def), &numbers, call);
        if wrong || scope.values().any(Value::is_error) {
            return None;
        }
        let written = def.column.as_ref().map_or("reg", |it| &it.name);
        let column = Column::NAMES.into_iter().find(|it| it.0 == written)?.1;
        let weight = scope.get("weight").and_then(Value::number);
        // Its nodes are made later, where the loss is.
        let own = self.graph.without_nodes();
        let outer = (
            std::mem::replace(&mut self.graph, own),
            std::mem::take(&mut self.batched),
            std::mem::take(&mut self.origins),
        );
        let results: Vec<Option<NodeId>> =
            params.iter().map(|id| self.penalty_of(def, (&of.name.name, *id), scope.clone(), entry.span)).collect();
        let own = std::mem::replace(&mut self.graph, outer.0);
        self.batched = outer.1;
        self.origins = outer.2;
        let results: Vec<NodeId> = results.into_iter().collect::<Option<_>>()?;
        (!params.is_empty()).then(|| Penalty {
            kind: PenaltyKind::Text(terms(own, &results)),
            column,
            weight,
            params,
            span: entry.span,
        })
    }

    /// The penalty of one parameter, a single number.
    fn penalty_of(
        &mut self,
        def: &ast::Function,
        (of, id): (&str, ParamId),
        mut scope: Scope,
        span: Span,
    ) -> Option<NodeId> {
        let param = self.node(Op::Param(id), &[], span);
        scope.insert(of.to_owned(), Value::Tensor(param));
        self.calls.push(span);
        let value = self.enter(scope, &def.body, span);
        self.calls.pop();
        let (name, path) = (&def.name.name, self.graph.param(id).path.clone());
        let wrong = |found: String| {
            Diagnostic::new(Code::E0303, span, format!("the penalty `{name}` of `{path}` is {found}, not one number"))
                .label("added to the loss")
                .help("a penalty ends with a number: `weight * sum(...)`")
        };
        // What is unknown in a graph of its own is told here: nothing else looks at it.
        if self.graph.ids().any(|it| *self.graph.fact(it) == Fact::Unknown) {
            let shape = self.graph.param(id).shape.clone();
            let text = format!("the penalty `{name}` does not fit `{path}`, which is {shape}");
            let report = Diagnostic::new(Code::E0303, span, text)
                .label("shapes of its tensors do not fit together")
                .also(def.header, "defined here");
            self.report(report);
            return None;
        }
        let tensor = match value {
            Value::Error(_) => return None,
            Value::Tensor(it) => it,
            number if number.number().is_some() => {
                let fill = Fill::Value(Scalar64(number.number()?));
                self.node(Op::Const { fill, shape: Shape::scalar() }, &[], span)
            }
            other => {
                self.report(wrong(other.describe()));
                return None;
            }
        };
        let shape = self.graph.shape(tensor.train).clone();
        if shape.len() != 1 {
            self.report(wrong(format!("{shape}")));
            return None;
        }
        let place = self.users_place(span);
        Some(if shape.rank() == 0 { tensor } else { self.node(Op::Reshape(Shape::scalar()), &[&tensor], place) }.train)
    }

    /// A penalty on pairs of filters makes a matrix of all of them.
    fn check_pairs(&mut self, entry: &ast::TrainEntry, params: &[ParamId]) {
        for &id in params {
            let param = self.graph.param(id);
            let filters = param.shape.dims().last().copied().unwrap_or(1);
            if MOST_FILTERS_IN_PAIRS < filters {
                let place = self.graph.origin_of(param.origin).span;
                let message = format!("a penalty on pairs of `{}`'s {filters} filters is too large", param.layer);
                self.report(
                    Diagnostic::new(Code::E0304, entry.span, message)
                        .label(format!("at most {MOST_FILTERS_IN_PAIRS} filters of a layer"))
                        .also(place, format!("has {filters} filters"))
                        .help("exclude the layer: `where layer != \"...\"`"),
                );
            }
        }
    }

    /// `None` after a mistake.
    fn penalty_kind(&mut self, args: &Args) -> Option<PenaltyKind> {
        let is_set = |name: &str| matches!(args.get(name), Some((Value::Bool(true), _)));
        match args.name.as_str() {
            "orthogonality" if is_set("normalized") => Some(PenaltyKind::NormalizedOrthogonality),
            "orthogonality" => Some(PenaltyKind::Orthogonality),
            "energy" => {
                // Beyond, the energy of two equal filters leaves f32.
                let power = self.float(args, "s", 2.0, |it| (0.0..=8.0).contains(&it), "between 0 and 8")?;
                Some(PenaltyKind::Energy { power, half_space: is_set("half_space") })
            }
            other => unreachable!("`{other}` is not among the choices"),
        }
    }

    pub(super) fn projections(&mut self, train: &ast::Train, frozen: &BTreeSet<ParamId>) -> Vec<Projection> {
        let mut found = Vec::new();
        for entry in train.entries.iter().filter(|it| it.key.name == "project") {
            let args = entry.values.first().and_then(|it| self.choice("project", it));
            let every = match &entry.every {
                Some(_) => self.interval(entry),
                None => Some(1),
            };
            let params = self.select_moving(entry, true, frozen);
            if let (Some(_), Some(every), false) = (args, every, params.is_empty()) {
                found.push(Projection { params, every, span: entry.span });
            }
        }
        found
    }

    /// `N` filters of fewer than `N` numbers cannot all be orthogonal.
    fn lint_orthogonality(&mut self, train: &ast::Train, entry: &ast::TrainEntry, params: &[ParamId]) {
        if allowed(train).contains(&Code::W0303) || self.sink.has_errors() {
            return;
        }
        let mut crowded: Vec<(String, Span, usize, [usize; 3])> = Vec::new();
        for &id in params {
            let param = self.graph.param(id);
            if let &[kh, kw, cin, cout] = param.shape.dims()
                && kh * kw * cin < cout
            {
                let span = self.graph.origin_of(param.origin).span;
                crowded.push((param.layer.clone(), span, cout, [kh, kw, cin]));
            }
        }
        let Some((first, ..)) = crowded.first() else { return };
        let message = match crowded.len() {
            1 => format!("the orthogonality penalty of `{first}` can never reach zero"),
            n => format!("the orthogonality penalty of {n} layers can never reach zero"),
        };
        let mut report = Diagnostic::new(Code::W0303, entry.span, message)
            .label("asks all filters of a layer to be orthogonal to each other");
        for (layer, span, cout, [kh, kw, cin]) in crowded.iter().take(4) {
            let d = kh * kw * cin;
            if report.secondary.iter().all(|it| it.span != *span) {
                report =
                    report.also(*span, format!("`{layer}` has {cout} filters of {kh} * {kw} * {cin} = {d} numbers"));
            }
            report = report.note(format!(
                "at most {d} vectors can be orthogonal in {d} dimensions: for `{layer}` the squared norm of W'W - I \
                 stays at {cout} - {d} = {} or above",
                cout - d
            ));
        }
        self.report(
            report
                .help(format!("exclude the layer: `and layer != \"{first}\"`, or give it fewer filters"))
                .help("the published SphereNet has it on every layer; `allow W0303` in the recipe silences this"),
        );
    }
}

/// Parts of a graph by themselves, arithmetic put together as in a model.
fn terms(mut graph: Graph, results: &[NodeId]) -> Vec<Term> {
    let named = results.iter().enumerate().map(|(at, it)| (format!("{at:09}"), *it));
    graph.results.entry(Phase::Step).or_default().extend(named);
    let graph = compose(graph);
    let results = graph.results.get(&Phase::Step).into_iter().flat_map(|it| it.values());
    let term = |root: &NodeId| {
        let needed = graph.needed([*root]);
        let place = |id: NodeId| needed.binary_search(&id).expect("what is needed holds its operands");
        let node = |id: &NodeId| (graph.op(*id).clone(), graph.operands(*id).into_iter().map(place).collect());
        Term { nodes: needed.iter().map(node).collect() }
    };
    results.map(term).collect()
}
