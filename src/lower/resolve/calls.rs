//! Calls: their callees and arguments.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::library;
use crate::lower::names::index::Role;
use crate::lower::names::items::{Def, Home, Item, suggest};
use crate::lower::names::synonyms;
use crate::lower::names::words::{AXES, GEOMETRY, PRIMITIVES, REDUCTIONS, is_reduction};
use crate::lower::resolve::names::MOST_SUGGESTIONS;
use crate::lower::resolve::{Context, Resolver};
use crate::lower::values::signature::{
    BATCH_MEAN, FUNCTIONS, QUERIES, STATISTICS, Signature, batch_mean, builtin, reduction, statistic, whole,
};
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Part};

impl Resolver<'_> {
    pub(super) fn call(&mut self, call: &ast::Call) {
        let name = call.callee.name.as_str();
        // In an operator `cos` is a number, and `cos(...)` still the function.
        let number = self.context == Context::Operator && GEOMETRY.contains(&name);
        // What is counted is no schedule: `step(at: [500])` is called beside the number `step`.
        let given = self.local(name).is_none_or(|it| it.what.is_none());
        let signature = if given && self.is_schedule(name, call.span) {
            self.items
                .definition(Part::Schedule, name, call.span.file)
                .map(|it| self.items.part_signature(Part::Schedule, it))
        } else if self.local(name).is_some() && !number {
            self.mark(name, call.span);
            None
        } else {
            if self.local(name).is_none() {
                self.mark(name, call.span);
            }
            self.callee(call)
        };
        self.mention_call(call);
        let gathered = signature.as_ref().map(|it| it.gathered(call));
        let call = gathered.as_deref().unwrap_or(call);
        let by_name = call.args.iter().filter_map(|it| it.name.as_ref());
        self.named.extend(by_name.map(|it| (name.to_owned(), it.name.clone())));
        let mut blind = signature.is_none();
        // Arguments that are operators, axes, and starts.
        let mut operators: Vec<&ast::Expr> = Vec::new();
        let mut axes: Vec<&ast::Expr> = Vec::new();
        let mut starts: Vec<&ast::Expr> = Vec::new();
        let signature_unknown = self.unknown.contains_key(&(Code::E0101, name.to_owned()));
        let words = signature.map(|it| {
            let (matched, wrong) = it.matched(call);
            blind |= !wrong.is_empty();
            if self.strangers == 0 {
                wrong.into_iter().for_each(|it| self.sink.push(it));
            }
            let mut words: Vec<(&ast::Expr, Ty, String)> = Vec::new();
            for (slot, value) in it.slots.iter().zip(matched) {
                operators.extend(value.filter(|_| slot.ty == Ty::Operator));
                axes.extend(value.filter(|_| slot.ty == Ty::Axes));
                starts.extend(value.filter(|_| slot.ty == Ty::Start));
                if let (Some(_), Some(value)) = (slot.ty.words(), value) {
                    words.push((value, slot.ty.clone(), slot.name.clone()));
                }
            }
            words
        });
        // The arguments of something unknown may follow rules of its own.
        let unknown = signature_unknown;
        self.strangers += usize::from(unknown);
        for value in call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value)) {
            if axes.iter().any(|it| std::ptr::eq(*it, value)) {
                self.axis_words(value);
                continue;
            }
            if starts.iter().any(|it| std::ptr::eq(*it, value)) {
                self.start(value);
                continue;
            }
            let word = words.iter().flatten().find(|it| std::ptr::eq(it.0, value));
            match (&value.kind, word) {
                (ExprKind::Name(name), Some((_, ty, slot))) if self.local(name).is_none() => {
                    self.known_word(name, value.span, ty, &format!("`{slot}` of `{}`", call.callee.name));
                }
                // A word for an argument or a layer that is not known.
                (ExprKind::Name(name), None)
                    if blind && (name == "same" || name == "valid" || AXES.contains(&name.as_str())) => {}
                (ExprKind::Name(name), _) if unknown && self.is_layer(name) => {}
                _ => {
                    let outer =
                        std::mem::replace(&mut self.in_slot, operators.iter().any(|it| std::ptr::eq(*it, value)));
                    self.expr(value);
                    self.in_slot = outer;
                }
            }
        }
        self.strangers -= usize::from(unknown);
    }

    /// A word where a parameter asks for one of a few, or the name of a value.
    pub(super) fn known_word(&mut self, name: &str, span: Span, ty: &Ty, what: &str) {
        let words = ty.words().unwrap_or(&[]);
        self.mention_word(name, span);
        if words.contains(&name) || self.items.get(name, span.file).is_some() {
            return self.mark(name, span);
        }
        let report =
            Diagnostic::new(Code::E0104, span, format!("{what} cannot be `{name}`")).label(format!("expected {ty}"));
        self.sink.push(suggest(report, span, name, words.iter().copied()));
    }

    /// Whether a name is that of a layer of the prelude.
    pub(super) fn is_layer(&self, name: &str) -> bool {
        let of_prelude = |it: &Item| it.home == Home::Prelude && matches!(it.def, Def::Block(_));
        self.items.main(name).is_some_and(of_prelude)
    }

    /// Names of axes are words.
    pub(super) fn axis_words(&mut self, value: &ast::Expr) {
        match &value.kind {
            ExprKind::Name(name) if AXES.contains(&name.as_str()) => self.mention(value.span, Role::Word, None),
            ExprKind::Name(name) if self.local(name).is_none() && self.items.get(name, value.span.file).is_none() => {
                let list: Vec<String> = AXES.iter().map(|it| format!("`{it}`")).collect();
                let report = Diagnostic::new(Code::E0104, value.span, format!("`{name}` is not an axis"))
                    .label(format!("expected {}, or an int", list.join(", ")));
                self.sink.push(suggest(report, value.span, name, AXES.iter().copied()));
            }
            ExprKind::List(list) => list.iter().for_each(|it| self.axis_words(it)),
            _ => self.expr(value),
        }
    }

    /// A statistic is a word of its own, not a function.
    pub(super) fn statistic(&mut self, call: &ast::Call) {
        let name = call.callee.name.as_str();
        self.mention(call.callee.span, Role::Word, None);
        self.mention_arguments(call, None);
        match statistic(name) {
            Some(it) => it.matched(call).1.into_iter().for_each(|it| self.sink.push(it)),
            None => {
                let list: Vec<String> = STATISTICS.iter().map(|it| format!("`{it}`")).collect();
                let report = Diagnostic::new(Code::E0101, call.callee.span, format!("unknown statistic `{name}`"))
                    .label(format!("expected {}", list.join(" or ")))
                    .help("write `stat mu = mean(x_norm, decay: 0.999)`");
                self.sink.push(suggest(report, call.callee.span, name, STATISTICS.iter().copied()));
            }
        }
        for value in call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value)) {
            self.expr(value);
        }
    }

    /// The signature of what is called, when it can be called here.
    pub(super) fn callee(&mut self, call: &ast::Call) -> Option<Signature> {
        let name = call.callee.name.as_str();
        let span = call.callee.span;
        let layers = matches!(self.context, Context::Model | Context::Block | Context::Loss);
        let positional = call.piped.is_some() || call.args.iter().any(|it| it.name.is_none());
        match self.items.called(call).map(|it| &it.def) {
            Some(Def::Block(it)) => {
                self.calls.entry(self.current.clone()).or_default().push((self.items.key(&it.name), call.span));
                let signature = self.items.block_signature(it);
                if !layers {
                    self.forbidden(span, signature.what, name);
                }
                return Some(signature);
            }
            Some(Def::Fn(it)) => {
                self.calls.entry(self.current.clone()).or_default().push((self.items.key(&it.name), call.span));
                return Some(types::signature("fn", it));
            }
            Some(Def::Operator(it)) if positional && self.context != Context::Operator => {
                let report = self.called_operator(call, &types::operator_signature(it, false));
                self.sink.push(report);
                return None;
            }
            Some(Def::Operator(it)) => {
                let composed = self.context == Context::Operator;
                if composed {
                    self.calls.entry(self.current.clone()).or_default().push((self.items.key(&it.name), call.span));
                }
                return Some(types::operator_signature(it, composed));
            }
            Some(Def::Param(_)) => return None,
            None => {}
        }
        if self.context == Context::Loss
            && let Some(signature) = self.measure_of(name, call.span)
        {
            return Some(signature);
        }
        if self.context == Context::Operator && name == BATCH_MEAN {
            if !self.in_training {
                self.sink.push(
                    Diagnostic::new(Code::E0101, span, "the batch's `mean` is there in training only")
                        .label("in evaluation a result must not depend on the other examples of the batch")
                        .help(
                            "keep a running one, `stat mu = mean(x_norm)`, and write \
                             `if training { mean(x_norm) } else { mu }`",
                        ),
                );
            }
            return Some(batch_mean());
        }
        let tensors = is_reduction(call) || PRIMITIVES.contains(&name);
        if self.context == Context::Optimizer
            && let Some(whole) = whole(name)
        {
            return Some(whole);
        }
        if tensors && !layers && self.context != Context::Penalty {
            self.forbidden(span, "function", name);
        }
        let known = if is_reduction(call) { reduction(name) } else { builtin(name) };
        self.confused |= known.is_none();
        if known.is_none() && self.context == Context::Schedule {
            self.unknown_schedule(name, span);
        } else if known.is_none() && !self.known_unknown(Code::E0101, name, span) {
            // An operator or a param is nothing to be called.
            let called = |it: &(&String, &Item)| matches!(it.1.def, Def::Fn(_) | Def::Block(_));
            let mut names: Vec<&str> = self.items.iter().filter(called).map(|it| it.0.as_str()).collect();
            names.extend(QUERIES);
            names.extend(FUNCTIONS.iter().map(|it| it.0));
            names.extend(PRIMITIVES);
            names.extend(REDUCTIONS);
            let report = Diagnostic::new(Code::E0101, span, format!("unknown layer, block or function `{name}`"))
                .label("not a layer, a block or a function");
            let few = self.unknown.len() <= MOST_SUGGESTIONS;
            if few {
                self.meant.extend(crate::diag::did_you_mean(name, names.iter().copied()).map(str::to_owned));
            }
            let mut report = match library::import_of(name) {
                Some(import) => report.help(import),
                None if few => suggest(report, span, name, names),
                None => report,
            };
            // A layer of another framework may be given what the one of this language does not take.
            if let Some((_, meant)) = report.helps.first().and_then(|it| it.replacement.clone())
                && let Some(signature) =
                    self.signature_of(&meant).filter(|_| synonyms::translate(name, &[&meant]).is_some())
            {
                let unnamed = call.args.iter().filter(|it| it.name.is_none()).count();
                let channels = meant == "batch_norm" && 1 < unnamed + usize::from(call.piped.is_some());
                if channels || !signature.matched(call).1.is_empty() {
                    report.helps.clear();
                    report = report.help(format!("here it is `{}`", signature.text()));
                }
            }
            self.unknown.insert((Code::E0101, name.to_owned()), report);
        }
        known
    }

    /// The signature of a layer or function, built in or a block.
    pub(super) fn signature_of(&self, name: &str) -> Option<Signature> {
        match self.items.main(name).map(|it| &it.def) {
            Some(Def::Block(it)) => Some(self.items.block_signature(it)),
            Some(_) => None,
            None => builtin(name),
        }
    }

    /// An operator that is called as if it were a function, or given a constant without its name.
    pub(super) fn called_operator(&self, call: &ast::Call, signature: &Signature) -> Diagnostic {
        let name = call.callee.name.as_str();
        let unnamed: Vec<&ast::Expr> = call.args.iter().filter(|it| it.name.is_none()).map(|it| &it.value).collect();
        let number = |it: &&ast::Expr| match &it.kind {
            ExprKind::Int(_) | ExprKind::Float(_) => true,
            ExprKind::Unary(_, it) => matches!(it.kind, ExprKind::Int(_) | ExprKind::Float(_)),
            _ => false,
        };
        let constants = call.piped.is_none() && unnamed.iter().all(number);
        if let (true, [slot, ..], [first, ..]) = (constants, signature.slots.as_slice(), unnamed.as_slice()) {
            let report =
                Diagnostic::new(Code::E0105, first.span, format!("a constant of `{name}` is given without its name"))
                    .label("which constant is this?")
                    .note(format!("signature: {}", signature.text()));
            let start = Span { end: first.span.start, ..first.span };
            return report.fix(
                format!("give it by name: write `{}: ` before it", slot.name),
                start,
                format!("{}: ", slot.name),
            );
        }
        let report = Diagnostic::new(
            Code::E0101,
            call.callee.span,
            format!("`{name}` is an operator, not a layer or a function"),
        )
        .label("operators work inside a layer");
        let given = call.args.iter().any(|it| it.name.as_ref().is_some_and(|it| it.name == "operator"));
        match name {
            _ if self.in_slot => report.fix(format!("its name is enough: `{name}`"), call.span, name),
            "sigmoid" => report.fix("the function of this name is `logistic`", call.callee.span, "logistic"),
            _ if given => report,
            _ => report.help(format!("an operator is an argument of a layer: `sphere_conv(x, 16, operator: {name})`")),
        }
    }

    pub(super) fn forbidden(&mut self, span: Span, what: &str, name: &str) {
        let place = match self.context {
            Context::Fn => "a `fn`, which works on single numbers",
            Context::Operator => "an operator, which works on single numbers",
            Context::Optimizer => "an optimizer, which works on single numbers",
            Context::Schedule => "a schedule, which works on single numbers",
            Context::Penalty => "a penalty",
            Context::Average => "an average, which works on single numbers",
            Context::Model | Context::Block | Context::Loss | Context::Value => "a value",
        };
        let report = Diagnostic::new(Code::E0101, span, format!("the {what} `{name}` cannot be used in {place}"))
            .label(if what == "function" {
                "works on whole tensors, in a model or a block"
            } else {
                "only a model or a block can hold layers"
            });
        self.sink.push(match self.context {
            Context::Optimizer => report.help(
                "of a whole parameter there are `sum(x)`, the sum of all its numbers, and `product(x, y)`, of its matrices",
            ),
            _ => report,
        });
    }
}
