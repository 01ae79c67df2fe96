//! What the walk tells editors: which name stands where, and for what.

use crate::diag::Span;
use crate::lower::names::index::{Binding, Mention, Role};
use crate::lower::names::items::Def;
use crate::lower::names::options::GROUPS;
use crate::lower::names::words::{geometry, given};
use crate::lower::resolve::{Context, Resolver};
use crate::syntax::ast::{self, ExprKind, Part, Part as Kind};
use std::rc::Rc;

impl Resolver<'_> {
    /// A name at a place; what was told of the place first holds.
    pub(super) fn mention(&mut self, span: Span, role: Role, definition: Option<Span>) {
        if self.indexed {
            self.index.mentions.entry(span).or_insert(Mention { span, role, definition });
        }
    }

    /// The same, of what was taken for a word before more was known.
    pub(super) fn mention_again(&mut self, span: Span, role: Role, definition: Option<Span>) {
        if self.indexed && definition.is_some() {
            self.index.mentions.insert(span, Mention { span, role, definition });
        }
    }

    /// A definition that is what it is by its name.
    pub(super) fn says_what_it_is(&mut self, name: &ast::Ident, what: &str) {
        if self.indexed {
            let why = format!("`{}` says by its name what it is: {what}", name.name);
            self.index.fixed.insert(name.span, why);
        }
    }

    /// A parameter of a definition, if it is what it is by its name.
    pub(super) fn given_by_name(&mut self, function: &ast::Function, param: &ast::FnParam, context: Context) {
        let first = function.params.first().is_some_and(|it| it.name.span == param.name.span);
        let what = match context {
            Context::Operator if param.default.is_none() && geometry(&param.name.name).is_some() => {
                Some("a part of the geometry")
            }
            Context::Loss if given(param).is_some() => Some("what the data has for each example"),
            Context::Optimizer if first && param.name.name == "rate" => Some("the rate, which a schedule changes"),
            Context::Operator | Context::Loss | Context::Optimizer => None,
            Context::Model | Context::Block | Context::Fn | Context::Schedule => None,
            Context::Penalty | Context::Average | Context::Value => None,
        };
        if let Some(what) = what {
            self.says_what_it_is(&param.name, what);
        }
    }

    /// A name after `on`: of a group, or of what is learned. Where several definitions learn a tensor of that name, it stands
    /// for all of them, of which the user's is shown, and none can have another name.
    pub(super) fn mention_selected(&mut self, on: &ast::Ident) {
        if !self.indexed {
            return;
        }
        let items = self.items;
        let mut learned: Vec<Span> =
            items.learned().into_iter().filter(|it| it.name == on.name).map(|it| it.span).collect();
        if GROUPS.iter().any(|it| it.0 == on.name) {
            learned.clear();
        }
        learned.sort_by_key(|it| (items.is_own(it.file), *it));
        match learned.first() {
            Some(it) => self.mention(on.span, Role::Value, Some(*it)),
            None => self.mention(on.span, Role::Word, None),
        }
        if 1 < learned.len() {
            for it in learned {
                let why = format!(
                    "the recipe selects by `on {0}` all that is called `{0}`, of other definitions, too",
                    on.name
                );
                self.index.fixed.insert(it, why);
            }
        }
    }

    /// The role of a local name, by what it is called when nothing uses it.
    pub(super) fn role_of(what: Option<&'static str>) -> Role {
        if what == Some("parameter") { Role::Parameter } else { Role::Value }
    }

    /// A name where it is bound. What is known in a place without being written there has no place.
    pub(super) fn mention_bound(&mut self, name: &ast::Ident, what: Option<&'static str>) {
        if !self.indexed || self.sources.slice(name.span) != name.name {
            return;
        }
        let role = Self::role_of(what);
        self.mention(name.span, role, Some(name.span));
        let scope = self.extent;
        self.index.bindings.push(Binding { name: name.name.clone(), span: name.span, scope, role });
    }

    pub(super) fn mention_item(&mut self, def: &Def, span: Span) {
        let role = match def {
            Def::Param(_) => Role::Param,
            Def::Operator(_) => Role::Operator,
            Def::Fn(_) => Role::Function,
            Def::Block(_) => Role::Block,
        };
        self.mention(span, role, Some(def.name().span));
    }

    /// Whether a local name stands there; then it is told. One that is known without being written has no place.
    fn mention_local(&mut self, name: &str, span: Span) -> bool {
        let Some((first, what)) = self.local(name).map(|it| (it.span, it.what)) else { return false };
        let written = self.sources.slice(first) == name;
        self.mention(span, if written { Self::role_of(what) } else { Role::Word }, written.then_some(first));
        true
    }

    /// A name where a value is wanted. What stands for nothing is told as a mistake only.
    pub(super) fn mention_name(&mut self, name: &str, span: Span) {
        if !self.indexed || self.mention_local(name, span) || self.mention_schedule(name, span) {
            return;
        }
        match self.items.get(name, span.file).map(|it| it.def.clone()) {
            Some(def) => self.mention_item(&def, span),
            None => self.mention(span, Role::Word, None),
        }
    }

    fn mention_schedule(&mut self, name: &str, span: Span) -> bool {
        let scheduled = self.context == Context::Schedule;
        let found = self.items.definition(Part::Schedule, name, span.file).filter(|_| scheduled).map(|it| it.name.span);
        self.mention_again(span, Role::Part(Part::Schedule), found);
        found.is_some()
    }

    /// A word where one of a few is wanted, unless it is the name of a value.
    pub(super) fn mention_word(&mut self, name: &str, span: Span) {
        match self.items.get(name, span.file).map(|it| it.def.clone()) {
            Some(def) => self.mention_item(&def, span),
            None => self.mention(span, Role::Word, None),
        }
    }

    /// What a call calls, and its arguments by name.
    pub(super) fn mention_call(&mut self, call: &ast::Call) {
        if !self.indexed {
            return;
        }
        let (name, span) = (&call.callee.name, call.callee.span);
        let schedule = self.items.definition(Part::Schedule, name, span.file).cloned();
        if self.mention_schedule(name, span) {
            return self.mention_arguments(call, schedule.as_ref());
        }
        if self.mention_local(name, span) {
            return self.mention_arguments(call, None);
        }
        match self.items.called(call).map(|it| it.def.clone()) {
            Some(def) => {
                self.mention_item(&def, span);
                let of = match &def {
                    Def::Operator(it) | Def::Fn(it) | Def::Block(it) => Some(it),
                    Def::Param(_) => None,
                };
                self.mention_arguments(call, of);
            }
            None => match self.items.measure(Kind::Metric, name, span.file).map(|it| (it.0, it.1.clone())) {
                Some((part, def)) if self.context == Context::Loss => {
                    self.mention(span, Role::Part(part), Some(def.name.span));
                    self.mention_arguments(call, Some(&def));
                }
                Some(_) | None => {
                    self.mention(span, Role::Function, None);
                    self.mention_arguments(call, None);
                }
            },
        }
    }

    /// The names of arguments, which are those of the parameters.
    pub(super) fn mention_arguments(&mut self, call: &ast::Call, of: Option<&Rc<ast::Function>>) {
        for name in call.args.iter().filter_map(|it| it.name.as_ref()) {
            let param = of.and_then(|it| it.params.iter().find(|it| it.name.name == name.name));
            self.mention(name.span, Role::Argument, param.map(|it| it.name.span));
            if self.indexed {
                self.index.arguments.insert(name.span, call.callee.span);
            }
        }
    }

    /// What a line of the recipe names of a kind.
    pub(super) fn mention_part(&mut self, part: Part, value: &ast::Expr) {
        let (name, span) = match &value.kind {
            ExprKind::Call(call) => (&call.callee.name, call.callee.span),
            ExprKind::Name(name) => (name, value.span),
            _ => return,
        };
        if let Some(place) = self.items.definition(part, name, span.file).map(|it| it.name.span) {
            self.mention(span, Role::Part(part), Some(place));
        }
    }

    /// A loss or metric in the recipe.
    pub(super) fn mention_measure(&mut self, kind: Kind, expr: &ast::Expr) {
        let (name, span, call) = match &expr.kind {
            ExprKind::Call(call) => (&call.callee.name, call.callee.span, Some(call)),
            ExprKind::Name(name) => (name, expr.span, None),
            _ => return,
        };
        if call.is_none() && self.mention_local(name, span) {
            return;
        }
        match self.items.measure(kind, name, span.file).map(|it| (it.0, it.1.clone())) {
            Some((part, def)) => {
                self.mention(span, Role::Part(part), Some(def.name.span));
                call.into_iter().for_each(|it| self.mention_arguments(it, Some(&def)));
            }
            None => match call {
                Some(it) => self.mention_call(it),
                None => self.mention_name(name, span),
            },
        }
    }
}
