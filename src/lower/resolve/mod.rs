//! The static half: every name, callee and argument of every item, used or not, and what is never
//! used. The dynamic half (`eval`) then keeps silent about all of these.

mod body;
mod calls;
mod cycles;
mod entries;
mod flow;
mod kept;
mod losses;
mod mentions;
mod names;
mod updates;

use crate::diag::{Code, Diagnostic, Sink, Sources, Span};
use crate::lower::names::index::{Index, Role};
use crate::lower::names::items::{Def, Home, Items};
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, Part as Kind, StmtKind};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Where an expression stands; decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Model,
    Block,
    Fn,
    Operator,
    Optimizer,
    /// A loss or a metric: works on tensors, as a block does.
    Loss,
    /// Of `step` and `iterations`.
    Schedule,
    Penalty,
    Average,
    /// Params and the recipe: values only.
    Value,
}

#[derive(Clone, Debug)]
struct Local {
    span: Span,
    used: bool,
    /// What to call it when it is never used; `None` for what may stay unused.
    what: Option<&'static str>,
}

/// A report of something unused; of a parameter, whose it is and its name.
type Idle = (Option<(String, String)>, Diagnostic);

/// What the walk found besides mistakes.
pub(super) struct Resolved {
    /// Blocks and functions that contain themselves.
    pub(super) endless: BTreeSet<String>,
    /// Values that nothing reads, which are reported or meant to be kept.
    pub(super) lost: Vec<Span>,
    /// Definitions that something uses.
    pub(super) uses: BTreeSet<String>,
    /// What editors are told.
    pub(super) index: Index,
}

/// Walks trees.
pub(super) struct Resolver<'a> {
    items: &'a Items,
    sources: &'a Sources,
    sink: &'a mut Sink,
    scopes: Vec<BTreeMap<String, Local>>,
    /// Names that went out of scope in the current function, for a better message.
    gone: BTreeMap<String, Span>,
    /// The statistic whose line is walked.
    moved: Option<(String, Span)>,
    context: Context,
    /// Whether the walked item is of the main file: only those are linted.
    main: bool,
    /// Whether `classes` means something.
    classes: bool,
    uses: BTreeSet<String>,
    /// The item being walked; its own mention does not make it used.
    current: String,
    calls: BTreeMap<String, Vec<(String, Span)>>,
    /// Undefined names and unknown callees, one report each however often they are used.
    unknown: BTreeMap<(Code, String), Diagnostic>,
    /// Names that a misspelt one probably meant: those are not unused.
    meant: BTreeSet<String>,
    /// Whether the current function has an undefined name, which may well be what is unused.
    confused: bool,
    /// Inside what an operator does in training only.
    in_training: bool,
    /// Whether the walked expression is given where an operator is wanted.
    in_slot: bool,
    /// Inside the condition of a selector.
    selector: bool,
    /// What is unused in the current function.
    idle: Vec<Idle>,
    /// What is unused in all functions that have no mistake.
    all_idle: Vec<Idle>,
    /// Arguments that calls give by name: whose, and which.
    named: BTreeSet<(String, String)>,
    /// Values that nothing reads.
    lost: Vec<Span>,
    /// What the recipe, or a loss, names of its kinds.
    chosen: BTreeSet<(Kind, String)>,
    /// Whether unused definitions are reported.
    lint: bool,
    /// Whether the walked model has no `input`.
    no_input: bool,
    /// How many unknown callees are around what is walked.
    strangers: usize,
    /// Whether the prelude is walked as well.
    whole: bool,
    /// What editors are told, if they ask.
    indexed: bool,
    index: Index,
    /// What is around the walked statement.
    extent: Span,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(items: &'a Items, sources: &'a Sources, sink: &'a mut Sink, classes: bool, lint: bool) -> Self {
        Self {
            items,
            sources,
            sink,
            scopes: Vec::new(),
            gone: BTreeMap::new(),
            moved: None,
            context: Context::Value,
            main: true,
            classes,
            uses: BTreeSet::new(),
            current: String::new(),
            calls: BTreeMap::new(),
            unknown: BTreeMap::new(),
            meant: BTreeSet::new(),
            confused: false,
            in_training: false,
            in_slot: false,
            selector: false,
            idle: Vec::new(),
            all_idle: Vec::new(),
            named: BTreeSet::new(),
            lost: Vec::new(),
            chosen: BTreeSet::new(),
            lint,
            no_input: false,
            strangers: 0,
            whole: false,
            indexed: false,
            index: Index::default(),
            extent: Span::default(),
        }
    }

    /// Whether it is told what each name stands for.
    pub(super) fn indexed(mut self, wanted: bool) -> Self {
        self.indexed = wanted;
        self
    }

    /// Walks everything. `set` are values of params that the command line gives in place of their defaults.
    pub(super) fn run(mut self, set: &BTreeMap<String, ast::Expr>) -> Resolved {
        // The prelude is sound, whatever a file defines: a test of its own walks it.
        let whole = self.whole;
        for (_, item) in self.items.iter().filter(|it| whole || it.1.home != Home::Prelude) {
            self.main = item.home == Home::Main;
            self.current = self.items.key(item.def.name());
            self.mention_item(&item.def, item.def.name().span);
            match &item.def {
                Def::Param(it) => self.param(it),
                Def::Operator(it) => self.function(it, Context::Operator),
                Def::Fn(it) => self.function(it, Context::Fn),
                Def::Block(it) => self.function(it, Context::Block),
            }
        }
        self.parts();
        self.losses();
        self.current.clear();
        self.main = true;
        for model in &self.items.models {
            self.context = Context::Model;
            self.mention(model.name.span, Role::Model, Some(model.name.span));
            self.confused = false;
            self.no_input = !model.body.stmts.iter().any(|it| matches!(it.kind, StmtKind::Input { .. }));
            self.open();
            self.stmts(&model.body);
            self.close();
            // Without an `output` the last value is what was meant.
            let output = model.body.stmts.iter().any(|it| matches!(it.kind, StmtKind::Output { .. }));
            self.flow(&model.body, &[], !output);
            self.leave();
            self.no_input = false;
        }
        self.context = Context::Value;
        for train in &self.items.trains {
            for entry in &train.entries {
                self.train_entry(entry);
            }
        }
        for (name, value) in set {
            self.current.clone_from(name);
            self.expr(value);
        }
        self.current.clear();
        let endless = self.recursion();
        if self.lint {
            self.unused();
            self.unused_parts();
            self.idle_parameters();
        }
        std::mem::take(&mut self.unknown).into_values().for_each(|it| self.sink.push(it));
        Resolved { endless, lost: self.lost, uses: self.uses, index: self.index }
    }

    /// The definitions of a kind that are walked.
    fn walked(&self, kind: Kind) -> Vec<(&'a Rc<ast::Function>, Home)> {
        let mut all = self.items.definitions(kind);
        all.retain(|it| self.whole || it.1 != Home::Prelude);
        all
    }

    pub(super) fn param(&mut self, param: &ast::Param) {
        self.context = Context::Value;
        self.in_slot = matches!(param.ty.as_ref().map(types::of), Some(Ty::Operator));
        self.expr(&param.default);
        self.in_slot = false;
        if let Some(ty) = &param.ty {
            self.annotation(ty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::names::collect::Collector;
    use crate::lower::names::reach::Reach;
    use crate::syntax;

    #[test]
    fn the_prelude_names_what_is_there_and_uses_what_it_binds() {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let text = "model Empty {\n    input image: u8[8, 8, 1]\n    output image\n}\n";
        let main = sources.add("empty.sph", text);
        let file = syntax::parse(main, text, &mut sink);
        let mut none = |_: &str| Err(String::new());
        let items = Collector::new(&mut sources, &mut none, &mut sink).run(&file, main, &Reach::Whole);
        let mut resolver = Resolver::new(&items, &sources, &mut sink, false, true);
        resolver.whole = true;
        resolver.run(&BTreeMap::new());
        let found = sink.finish();
        assert!(found.is_empty(), "{}", crate::diag::render::render(&found, &sources, false));
    }
}
