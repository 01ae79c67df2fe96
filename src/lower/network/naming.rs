//! Paths of layers, which are the keys of checkpoints: `conv1_0/filter`, `block1_unit0/first/bn/gamma`.
//!
//! A *scope* is the model, a block's call, or an expression with `as "name"`. The rules:
//!
//! 1. `expr as "name"` opens the scope `parent/name`, where `parent` is the block's call or the model whose text holds the
//!    line: names written within the same body do not contain each other, so that a line can be split in two.
//! 2. A layer with a filter (`conv`) or a block's call that has no `as` of its
//!    own **takes the path of its scope itself** when it is the only such thing written in the
//!    scope (other than in the model itself). So `unit(x, 64) as "conv1_0"` with one convolution in
//!    `unit` gives `conv1_0/filter`, however many pools and activations stand around it.
//! 3. Otherwise it is called after what it is and its position among its siblings of that kind:
//!    `sphere_conv_0`, `sphere_conv_1`, `unit_0`.
//! 4. A `batch_norm` that follows a layer with a filter directly is `bn` below it: `conv1_0/bn`. A name
//!    of its own (`batch_norm() as "norm"`, where rule 2 counts nothing else) goes first.
//! 5. Layers without parameters follow rules 2 and 3 among themselves, in scopes without a filter.
//! 6. What a definition is, its text says (`blocks::Nature`): a block that learns a filter is a layer with a
//!    filter, `beside "ln"` follows rule 4, `beside ""` keeps what it learns at the path of its caller, `layer`
//!    in place of `block` follows rule 5.
//!
//! "Written" is meant literally: the text decides, so values of params do not rename anything. The
//! branches of an `if` count as alternatives, the body of a `for` as more than one.
//!
//! 7. `as shared "cell"` names the same thing at every use (`sharing`).
//!
//! Nothing depends on line numbers, nor on layers in other scopes or of other kinds.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::ParamRole;
use crate::lower::names::items::{Def, Items};
use crate::lower::network::nature::Nature;
use crate::lower::network::starts::role;
use crate::syntax::ast::{self, ExprKind, StmtKind};
use std::collections::BTreeMap;

/// How many things without a name are written in a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::lower) struct Count {
    /// Layers with a filter, and calls of blocks.
    pub(in crate::lower) filters: usize,
    /// Batch normalisations.
    pub(in crate::lower) norms: usize,
    /// Other layers.
    pub(in crate::lower) others: usize,
}

/// What a layer is to the naming rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Filter,
    Norm,
    Other,
}

/// An open scope.
#[derive(Clone, Debug)]
struct Scope {
    path: String,
    count: Count,
    /// Whether the path was written with `as` for exactly this.
    explicit: bool,
    /// Where the path comes from.
    span: Span,
    /// Whether it is that of `expr as "name"`, and not that of a body.
    named: bool,
}

/// The names given so far.
#[derive(Debug, Default)]
pub(in crate::lower) struct Names {
    open: Vec<Scope>,
    positions: BTreeMap<(String, String), usize>,
    taken: BTreeMap<String, Span>,
    /// How often a path was wanted again: the number for the next.
    again: BTreeMap<String, usize>,
}

impl Count {
    fn both(self, other: Count) -> Count {
        Count {
            filters: self.filters + other.filters,
            norms: self.norms + other.norms,
            others: self.others + other.others,
        }
    }

    fn either(self, other: Count) -> Count {
        Count {
            filters: self.filters.max(other.filters),
            norms: self.norms.max(other.norms),
            others: self.others.max(other.others),
        }
    }

    fn many(self) -> Count {
        self.both(self)
    }

    fn sole(self, role: Role) -> bool {
        match role {
            Role::Filter => self.filters == 1,
            Role::Norm => self.filters == 0 && self.norms == 1,
            Role::Other => self.filters + self.norms == 0 && self.others == 1,
        }
    }
}

/// Counts the statements of a body.
fn count_body(items: &Items, body: &ast::Body) -> Count {
    let mut all = Count::default();
    for stmt in &body.stmts {
        all = all.both(match &stmt.kind {
            StmtKind::Let { value, .. } | StmtKind::Assign { value, .. } | StmtKind::Unpack { value, .. } => {
                count(items, value)
            }
            StmtKind::For { list, body, .. } => count(items, list).both(count_body(items, body).many()),
            StmtKind::If { cond, then, otherwise } => count(items, cond).both(branches(items, then, otherwise)),
            StmtKind::Output { value, .. } | StmtKind::Expr(value) => count(items, value),
            // A filter of its own takes the path of the scope.
            StmtKind::Learn { name, role: written, .. } if role(name, written.as_ref()) == ParamRole::Filter => {
                Count { filters: 1, ..Count::default() }
            }
            StmtKind::Input { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. } => Count::default(),
        });
    }
    all
}

fn branches(items: &Items, then: &ast::Body, otherwise: &Option<ast::Body>) -> Count {
    let other = otherwise.as_ref().map_or(Count::default(), |it| count_body(items, it));
    count_body(items, then).either(other)
}

/// Counts an expression; what has a name of its own counts nothing.
pub(in crate::lower) fn count(items: &Items, expr: &ast::Expr) -> Count {
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Str(_) | ExprKind::Name(_) => {
            Count::default()
        }
        ExprKind::Named(..) => Count::default(),
        ExprKind::List(list) => list.iter().fold(Count::default(), |all, it| all.both(count(items, it))),
        ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
            count(items, a).both(count(items, b))
        }
        ExprKind::Unary(_, a) => count(items, a),
        ExprKind::If(cond, then, otherwise) => count(items, cond).both(branches(items, then, otherwise)),
        ExprKind::Call(call) => {
            let mut all = Count::default();
            for it in call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value)) {
                all = all.both(count(items, it));
            }
            if let Some(Def::Block(it)) = items.called(call).map(|it| &it.def) {
                match Nature::of(it) {
                    Nature::Filter | Nature::Plain => all.filters += 1,
                    Nature::Beside(_) => all.norms += 1,
                    Nature::Other => all.others += 1,
                    Nature::Caller => {}
                }
            }
            all
        }
    }
}

impl Names {
    /// Opens the scope of the model.
    pub(in crate::lower) fn enter_model(&mut self, span: Span) {
        let count = Count { filters: 2, norms: 2, others: 2 };
        self.open.push(Scope { path: String::new(), count, explicit: false, span, named: false });
    }

    /// Path of the innermost scope.
    pub(in crate::lower) fn path(&self) -> &str {
        self.open.last().map_or("", |it| it.path.as_str())
    }

    /// Path of the innermost body: the model, or a block's call.
    fn body_path(&self) -> &str {
        self.open.iter().rev().find(|it| !it.named).map_or("", |it| it.path.as_str())
    }

    /// Opens the scope of `expr as "name"`.
    pub(in crate::lower) fn enter_named(&mut self, name: &str, count: Count, span: Span) -> Option<Diagnostic> {
        let path = below(self.body_path(), name);
        let (path, report) = self.claim(path, span);
        self.open.push(Scope { path, count, explicit: true, span, named: true });
        report
    }

    /// The path that `as name` gives here.
    pub(in crate::lower) fn path_of(&self, name: &str) -> String {
        below(self.body_path(), name)
    }

    /// Opens the scope of a shared layer again.
    pub(in crate::lower) fn enter_again(&mut self, path: String, count: Count, span: Span) {
        self.open.push(Scope { path, count, explicit: true, span, named: true });
    }

    /// Names below a path may be given again.
    pub(in crate::lower) fn forget_below(&mut self, path: &str) {
        let under = below(path, "");
        self.positions.retain(|(scope, _), _| scope != path && !scope.starts_with(&under));
        self.taken.retain(|it, _| !it.starts_with(&under));
    }

    /// Opens the scope of a block's call on the result of the layer `owner`.
    pub(in crate::lower) fn enter_block(
        &mut self,
        items: &Items,
        block: &ast::Function,
        owner: Option<&str>,
        span: Span,
    ) -> Option<Diagnostic> {
        let name = block.name.name.as_str();
        let (path, explicit, report) = match Nature::of(block) {
            Nature::Filter | Nature::Plain => self.place(name, Role::Filter, span),
            Nature::Other => self.place(name, Role::Other, span),
            Nature::Caller if !self.path().is_empty() => (self.path().to_owned(), false, None),
            Nature::Caller => self.place(name, Role::Other, span),
            Nature::Beside(below) => {
                let (path, report) = self.beside(name, below, owner, span);
                (path, false, report)
            }
        };
        self.open.push(Scope { path, count: count_body(items, &block.body), explicit, span, named: false });
        report
    }

    /// Opens the scope of a loss, of which nothing else has the path.
    pub(in crate::lower) fn enter_loss(&mut self, items: &Items, loss: &ast::Function, path: String, span: Span) {
        let count = count_body(items, &loss.body);
        self.open.push(Scope { path, count, explicit: false, span, named: false });
    }

    /// Closes the innermost scope.
    pub(in crate::lower) fn leave(&mut self) {
        self.open.pop();
    }

    /// The path of a layer of this kind in the innermost scope.
    fn layer(&mut self, kind: &str, role: Role, span: Span) -> (String, Option<Diagnostic>) {
        let (path, _, report) = self.place(kind, role, span);
        (path, report)
    }

    /// The path of a `kind` of the result of the layer `owner`: a normalisation is `bn` below it.
    fn beside(&mut self, kind: &str, below: &str, owner: Option<&str>, span: Span) -> (String, Option<Diagnostic>) {
        let named = self.open.last().is_some_and(|it| it.explicit && it.count.sole(Role::Norm));
        match owner.map(|it| format!("{it}/{below}")) {
            Some(path) if !named && !self.taken.contains_key(&path) => self.claim(path, span),
            _ => self.layer(kind, Role::Norm, span),
        }
    }

    fn place(&mut self, kind: &str, role: Role, span: Span) -> (String, bool, Option<Diagnostic>) {
        if let Some(scope) = self.open.last()
            && scope.count.sole(role)
        {
            return (scope.path.clone(), scope.explicit, None);
        }
        let position = self.positions.entry((self.path().to_owned(), kind.to_owned())).or_default();
        let name = format!("{kind}_{position}");
        *position += 1;
        let (path, report) = self.claim(below(self.path(), &name), span);
        (path, false, report)
    }

    /// Takes a path; when it is taken already, gives another one and the report.
    fn claim(&mut self, path: String, span: Span) -> (String, Option<Diagnostic>) {
        let Some(&first) = self.taken.get(&path) else {
            self.taken.insert(path.clone(), span);
            return (path, None);
        };
        let mut report = Diagnostic::new(Code::E0103, span, format!("two layers are named `{path}`"))
            .note(format!("layer names are keys of checkpoints (`{path}/filter`), so each can be used once"));
        report = if first == span {
            let block = self.open.iter().rev().find(|it| it.span != span && !it.path.is_empty());
            if let Some(block) = block {
                report = report.also(block.span, "inside what is named here");
            }
            report
                .label("this place creates more than one layer, all of this name")
                .help("put the variable of the loop into the name: `as \"conv_{i}\"`")
        } else {
            report.label("the name is used again here").also(first, "first used here")
        };
        let again = self.again.entry(path.clone()).or_insert(1);
        let fresh = loop {
            *again += 1;
            let fresh = format!("{path}#{again}");
            if !self.taken.contains_key(&fresh) {
                break fresh;
            }
        };
        self.taken.insert(fresh.clone(), span);
        (fresh, Some(report))
    }

    /// All paths given.
    pub(in crate::lower) fn all(&self) -> impl Iterator<Item = &str> {
        self.taken.keys().map(String::as_str)
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(at: usize) -> Span {
        Span::new(crate::diag::FileId(0), at, at + 1)
    }

    fn count(filters: usize, norms: usize) -> Count {
        Count { filters, norms, others: 0 }
    }

    fn prelude() -> Items {
        let (mut sources, mut sink) = (crate::diag::Sources::new(), crate::diag::Sink::new());
        let main = sources.add("main.sph", "");
        let file = crate::syntax::parse(main, "", &mut sink);
        let mut none = |_: &str| Err(String::new());
        crate::lower::names::collect::Collector::new(&mut sources, &mut none, &mut sink).run(
            &file,
            main,
            &crate::lower::names::reach::Reach::Whole,
        )
    }

    fn unit() -> ast::Function {
        let text = "block unit(x) = x |> sphere_conv(4)\n";
        let file = crate::syntax::parse(crate::diag::FileId(0), text, &mut crate::diag::Sink::new());
        let Some(ast::Item::Block(it)) = file.items.into_iter().next() else { panic!("a block") };
        it
    }

    #[test]
    fn the_only_convolution_of_a_scope_takes_its_path_and_norms_follow() {
        let mut names = Names::default();
        names.enter_model(span(0));
        assert!(names.enter_named("conv1_0", count(1, 0), span(1)).is_none());
        assert!(names.enter_block(&prelude(), &unit(), None, span(2)).is_none());
        assert_eq!(names.layer("sphere_conv", Role::Filter, span(3)).0, "conv1_0");
        assert_eq!(names.beside("batch_norm", "bn", Some("conv1_0"), span(4)).0, "conv1_0/bn");
        names.leave();
        names.leave();
        assert_eq!(names.layer("conv", Role::Filter, span(5)).0, "conv_0");
        assert_eq!(names.layer("conv", Role::Filter, span(6)).0, "conv_1");
    }

    #[test]
    fn a_name_of_its_own_goes_before_the_place_below_the_convolution() {
        let mut names = Names::default();
        names.enter_model(span(0));
        names.enter_named("norm", count(0, 1), span(1));
        assert_eq!(names.beside("batch_norm", "bn", Some("conv_0"), span(2)).0, "norm");
    }

    #[test]
    fn a_name_around_a_call_does_not_contain_the_names_of_its_arguments() {
        let mut names = Names::default();
        names.enter_model(span(0));
        names.enter_named("bn1", count(1, 0), span(1));
        names.enter_named("conv1", count(1, 0), span(2));
        assert_eq!(names.layer("conv", Role::Filter, span(3)).0, "conv1");
    }

    #[test]
    fn a_name_used_again_is_reported_at_both_places_and_replaced() {
        let mut names = Names::default();
        names.enter_model(span(0));
        assert!(names.enter_named("a", count(1, 0), span(1)).is_none());
        names.leave();
        let report = names.enter_named("a", count(1, 0), span(2)).expect("the second use is a mistake");
        assert_eq!((report.primary.span, report.secondary[0].span), (span(2), span(1)));
        assert_eq!(names.layer("conv", Role::Filter, span(3)).0, "a#2");
    }
}
