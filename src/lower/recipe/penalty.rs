//! The entries of a recipe that are about some of the parameters: penalties and projections.
//!
//! A penalty is text, unfolded into a graph of its own for each parameter.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{
    Binary, Column, ExprNode, Fact, Fill, Graph, NodeId, Op, ParamId, Penalty, Phase, Projection, ResultKey, Scalar,
    Shape, Term,
};
use crate::lower::compose::compose;
use crate::lower::names::options::allowed;
use crate::lower::recipe::Recipe;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, Part};
use std::collections::BTreeSet;

/// Whether a term measures how far the products of all columns with each other are from the unit matrix.
fn asks_for_orthogonality(term: &Term) -> bool {
    let is_gram = |at: usize| match &term.nodes[at] {
        (Op::MatMul { transpose_a: true, transpose_b: false }, operands) => operands[0] == operands[1],
        _ => false,
    };
    let is_eye = |at: usize| matches!(term.nodes[at].0, Op::Const { fill: Fill::Eye, .. });
    term.nodes.iter().any(|(op, operands)| {
        let Op::Map { body, .. } = op else { return false };
        let operand = |at: Scalar| match body.nodes.get(at.0 as usize) {
            Some(ExprNode::Input(at)) => operands.get(*at as usize).copied(),
            _ => None,
        };
        body.nodes.iter().any(|it| match *it {
            ExprNode::Binary(Binary::Sub, a, b) => {
                operand(a).zip(operand(b)).is_some_and(|(a, b)| is_gram(a) && is_eye(b) || is_gram(b) && is_eye(a))
            }
            _ => false,
        })
    })
}

/// Parts of a graph by themselves, arithmetic put together as in a model.
fn terms(mut graph: Graph, results: &[NodeId]) -> Vec<Term> {
    let named = results.iter().enumerate().map(|(at, it)| (ResultKey::Named(format!("{at:09}")), *it));
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

impl Recipe<'_> {
    pub(super) fn penalties(&mut self, train: &ast::Train, frozen: &BTreeSet<ParamId>) -> Vec<Penalty> {
        let entries = train.entries.iter().filter(|it| it.key.name == "penalty");
        let found: Vec<Penalty> = entries.filter_map(|it| self.penalty(it, frozen)).collect();
        found.iter().for_each(|it| self.lint_orthogonality(train, it));
        found
    }

    /// A part of a graph for each parameter.
    fn penalty(&mut self, entry: &ast::TrainEntry, frozen: &BTreeSet<ParamId>) -> Option<Penalty> {
        let chosen = entry.values.first().and_then(|it| self.choice_and_call("penalty", it));
        let params = self.select_moving(entry, false, frozen);
        let (_, call) = chosen?;
        let def = self.items.definition(Part::Penalty, &call.callee.name, call.callee.span.file)?.clone();
        let (of, rest) = def.params.split_first()?;
        let numbers = ast::Function { params: rest.to_vec(), ..(*def).clone() };
        let column = match &def.column {
            Some(it) => Column::of(&it.name)?,
            None => Column::Reg,
        };
        // Its nodes are made later, where the loss is.
        let around = self.begin_part();
        let signature = self.items.part_signature(Part::Penalty, &def);
        let (scope, args) = self.bound(&signature, &numbers, &call);
        let sound = !args.mismatched && !scope.values().any(Value::is_error);
        let each = params.iter().filter(|_| sound);
        let results: Vec<Option<NodeId>> =
            each.map(|id| self.penalty_of(&def, (&of.name.name, *id), scope.clone(), entry.span)).collect();
        let own = self.end_part(around);
        let results: Vec<NodeId> = results.into_iter().collect::<Option<_>>().filter(|_| sound)?;
        (!params.is_empty()).then(|| Penalty {
            terms: terms(own, &results),
            column,
            weight: scope.get("weight").and_then(Value::number),
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
        let made = self.graph.origin_of(self.graph.param(id).origin).span;
        self.enter_frame(made, "for what is learned here".to_owned());
        self.enter_call(span);
        let value = self.enter(scope, &def.body, span);
        self.leave_call();
        self.leave_frame();
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
    fn lint_orthogonality(&mut self, train: &ast::Train, penalty: &Penalty) {
        if allowed(train).contains(&Code::W0303) || self.has_errors() {
            return;
        }
        let mut crowded: Vec<(String, Span, usize, [usize; 3])> = Vec::new();
        for (&id, term) in penalty.params.iter().zip(&penalty.terms) {
            let param = self.graph.param(id);
            if let &[kh, kw, cin, cout] = param.shape.dims()
                && kh * kw * cin < cout
                && asks_for_orthogonality(term)
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
        let mut report = Diagnostic::new(Code::W0303, penalty.span, message)
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
