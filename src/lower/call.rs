//! Calls: of blocks, functions, operators (which bind constants) and layers; and the types of their
//! arguments.

use super::Lowering;
use super::blocks::{AXES, PRIMITIVES, is_reduction};
use super::budget::weight;
use super::eval::{MOST_REPETITIONS, Scope};
use super::items::Def;
use super::ranges::both_sides;
use super::signature::{self, FUNCTIONS, Signature};
use super::source::Source;
use super::types;
use super::update::WHOLE;
use super::value::{FnRef, OperatorRef, Ty, Value, range_len, short};
use crate::diag::{Code, Diagnostic, Span, did_you_mean};
use crate::ir::size;
use crate::syntax::ast::{self, Part};
use std::fmt;
use std::rc::Rc;

/// Evaluated arguments of a call, with their places.
#[derive(Debug)]
pub(super) struct Args {
    pub(super) name: String,
    /// The call, without what was piped into it.
    pub(super) span: Span,
    values: Vec<Arg>,
    /// Whether what was given does not match the signature.
    pub(super) mismatched: bool,
}

#[derive(Debug)]
struct Arg {
    name: String,
    value: Option<(Value, Span)>,
    /// What it stands for, in the text of the prelude.
    source: Option<Source>,
}

impl Args {
    fn find(&self, name: &str) -> Option<&Arg> {
        self.values.iter().find(|it| it.name == name)
    }

    /// An argument that was given, or `None` for the default.
    pub(super) fn get(&self, name: &str) -> Option<&(Value, Span)> {
        self.find(name)?.value.as_ref()
    }

    /// Where an argument is given, and what it stands for there.
    pub(super) fn place(&self, name: &str) -> Option<(Span, Option<Source>)> {
        let arg = self.find(name)?;
        Some((arg.value.as_ref()?.1, arg.source.clone()))
    }

    /// An argument in the words of messages: `` `stride` of `conv` ``.
    pub(super) fn what(&self, name: &str) -> String {
        match self.find(name).and_then(|it| it.source.as_ref()) {
            Some(it) => it.what(),
            None => format!("`{name}` of `{}`", self.name),
        }
    }

    /// Whether a mistake makes the whole call unknown.
    pub(super) fn wrong(&self) -> bool {
        self.mismatched || self.values.iter().any(|it| matches!(&it.value, Some((Value::Error(_), _))))
    }
}

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: &ast::Call, span: Span) -> Value {
        let name = call.callee.name.as_str();
        let local = self.scopes[self.floor..].iter().rev().find_map(|it| it.get(name)).cloned();
        if let Some(value) = self.objective_call(call, local.is_some()) {
            return value;
        }
        // In an operator `cos` is a number, and `cos(...)` still the function.
        let local = local.filter(|it| !matches!(it, Value::Scalar(_)) || !FUNCTIONS.iter().any(|it| it.0 == name));
        // Nor is what is counted a schedule: `step(at: [500])` is called beside the number `step`.
        let schedule =
            self.scheduled.is_some() && self.items.definition(Part::Schedule, name, call.callee.span.file).is_some();
        if let Some(value) = local.filter(|it| !schedule || it.number().is_none() && !matches!(it, Value::Scalar(_))) {
            return self.call_value(call, value, span);
        }
        if schedule {
            return self.call_schedule(call);
        }
        match self.items.called(call).map(|it| it.def.clone()) {
            Some(Def::Block(it)) => self.call_block(call, &it),
            Some(Def::Fn(it)) => self.call_fn(call, &it, span),
            // What is given to it by place was reported.
            Some(Def::Operator(_))
                if self.building.is_none()
                    && (call.piped.is_some() || call.args.iter().any(|it| it.name.is_none())) =>
            {
                self.lost(span)
            }
            Some(Def::Operator(it)) => self.bind_operator(call, OperatorRef::new(it)),
            Some(Def::Param(_)) => {
                let value = self.param_value(name, span);
                self.call_value(call, value, span)
            }
            None if self.building.is_some() && name == signature::BATCH_MEAN => self.batch_mean(call),
            None if self.update.is_some() && WHOLE.contains(&name) => self.taken_for_update(call),
            None if is_reduction(call) => self.reduction(call),
            None if PRIMITIVES.contains(&name) => self.call_primitive(call),
            None => match FUNCTIONS.iter().find(|it| it.0 == name) {
                Some((name, _)) => self.call_builtin(call, name),
                None => self.query(call),
            },
        }
    }

    fn call_value(&mut self, call: &ast::Call, value: Value, span: Span) -> Value {
        match value {
            Value::Fn(FnRef::Item(it)) => {
                self.report_mismatches(&types::signature("fn", &it), call);
                self.call_fn(call, &it, span)
            }
            Value::Fn(FnRef::Builtin(name)) => {
                if let Some(it) = signature::builtin(name) {
                    self.report_mismatches(&it, call);
                }
                self.call_builtin(call, name)
            }
            Value::Operator(it) => {
                self.report_mismatches(&self.operator_signature(&it), call);
                self.bind_operator(call, it)
            }
            Value::Error(_) => value,
            other => {
                let report = Diagnostic::new(
                    Code::E0101,
                    call.callee.span,
                    format!("`{}` is {} and cannot be called", call.callee.name, other.kind()),
                )
                .label("not a layer, a block or a function");
                self.fail(report)
            }
        }
    }

    /// The signature of a block: made once, for all its calls.
    fn block_signature(&mut self, block: &ast::Function) -> Rc<Signature> {
        let items = self.items;
        self.signatures.entry(block.name.span).or_insert_with(|| Rc::new(items.block_signature(block))).clone()
    }

    /// The signature of a built-in function, likewise.
    fn builtin(&mut self, name: &str) -> Option<Rc<Signature>> {
        if let Some(known) = self.builtins.get(name) {
            return Some(known.clone());
        }
        let made = Rc::new(signature::builtin(name)?);
        self.builtins.insert(name.to_owned(), made.clone());
        Some(made)
    }

    pub(super) fn report_mismatches(&mut self, signature: &Signature, call: &ast::Call) {
        signature.matched(call).1.into_iter().for_each(|it| self.report(it));
    }

    /// Evaluates the arguments of a call with the types of the signature. Missing ones without a
    /// default become `Error`: they were reported.
    pub(super) fn arguments(&mut self, signature: &Signature, call: &ast::Call) -> Args {
        let (matched, wrong) = signature.matched(call);
        let mut values = Vec::new();
        for (slot, expr) in signature.slots.iter().zip(&matched) {
            let (value, source) = match expr {
                Some(expr) => {
                    let value = self.argument(expr, &slot.ty);
                    let what = format_args!("argument `{}` of `{}`", slot.name, signature.name);
                    let value = self.coerce(value, &slot.ty, expr.span, &what, None);
                    let source = self.source(expr).cloned();
                    let span = source.as_ref().and_then(|it| it.span).unwrap_or(expr.span);
                    (Some((value, span)), source)
                }
                None if slot.default.is_none() => (Some((self.lost(call.span), call.span)), None),
                None => (None, None),
            };
            values.push(Arg { name: slot.name.clone(), value, source });
        }
        Args { name: signature.name.clone(), span: call.span, values, mismatched: !wrong.is_empty() }
    }

    /// A word such as `same` is a value only where the parameter knows it.
    fn argument(&mut self, expr: &ast::Expr, ty: &Ty) -> Value {
        if let (ast::ExprKind::Name(name), Some(words)) = (&expr.kind, ty.words()) {
            let local = self.scopes[self.floor..].iter().any(|it| it.contains_key(name));
            if !local && self.items.get(name, expr.span.file).is_none() {
                let known = words.contains(&name.as_str());
                return if known { Value::Str(name.clone()) } else { self.lost(expr.span) };
            }
        }
        match ty {
            Ty::Axes => self.axis_words(expr),
            Ty::Start => match self.started(expr, "an argument") {
                Some(it) => Value::Start(it),
                None => self.lost(expr.span),
            },
            Ty::Rate => self.over_steps(expr, self.scheduled.flatten()),
            _ => self.expr(expr),
        }
    }

    /// Names of axes are words; what else stands there is a value.
    fn axis_words(&mut self, expr: &ast::Expr) -> Value {
        match &expr.kind {
            ast::ExprKind::Name(name) if AXES.contains(&name.as_str()) => Value::Str(name.clone()),
            ast::ExprKind::List(list) => {
                let values: Vec<Value> = list.iter().map(|it| self.axis_words(it)).collect();
                Value::first_error(&values).unwrap_or(Value::List(values))
            }
            _ => self.expr(expr),
        }
    }

    /// The parameters of a definition, bound: arguments are evaluated here, defaults where they are
    /// written.
    pub(super) fn bound(&mut self, signature: &Signature, function: &ast::Function, call: &ast::Call) -> (Scope, Args) {
        let args = self.arguments(signature, call);
        let mut scope = Scope::new();
        for (param, slot) in function.params.iter().zip(&signature.slots) {
            let value = match (args.get(&slot.name), &param.default) {
                (Some((value, _)), _) => value.clone(),
                (None, Some(default)) => self.default(&mut scope, default, &slot.ty, &slot.name),
                (None, None) => self.lost(call.span),
            };
            scope.insert(slot.name.clone(), paired(value, &slot.ty));
        }
        (scope, args)
    }

    /// A default may use the parameters before it.
    pub(super) fn default(&mut self, scope: &mut Scope, default: &ast::Expr, ty: &Ty, name: &str) -> Value {
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        self.scopes.push(std::mem::take(scope));
        let value = self.argument(default, ty);
        *scope = self.scopes.pop().unwrap_or_default();
        self.floor = floor;
        self.coerce(value, ty, default.span, &format_args!("the default of `{name}`"), None)
    }

    fn call_block(&mut self, call: &ast::Call, block: &Rc<ast::Function>) -> Value {
        let prelude = block.header.file == self.items.prelude;
        if self.endless.contains(&self.items.key(&block.name)) || self.pool.is_some() {
            return self.lost(call.span);
        }
        let signature = self.block_signature(block);
        let (mut scope, args) = self.bound(&signature, block, call);
        if args.mismatched {
            // It takes its name even so: those of its siblings do not move.
            self.nameless(block, call.span);
            return self.lost(call.span);
        }
        let listing = self.listing(block, &args, &mut scope);
        // What the prelude does in a call has no place of its own.
        if prelude {
            self.pass(block, block.params.iter().map(|it| args.place(&it.name.name)).collect());
            self.calls.push(call.span);
            let value = self.enter_block(block, scope, listing, call.span, None);
            self.calls.pop();
            self.passed.pop();
            return value;
        }
        for param in &block.params {
            scope.get(&param.name.name).into_iter().for_each(|it| self.note(param.name.span, it));
        }
        let shown: Vec<String> = (block.params.iter())
            .filter_map(|it| Some((&it.name.name, scope.get(&it.name.name)?)))
            .filter(|(_, value)| !matches!(value, Value::Tensor(_) | Value::Error(_) | Value::Nothing))
            .map(|(name, value)| format!("{name} = {}", short(value)))
            .collect();
        let text = if shown.is_empty() { "called here".to_owned() } else { format!("with {}", shown.join(", ")) };
        self.enter_block(block, scope, listing, call.span, Some(text))
    }

    fn call_fn(&mut self, call: &ast::Call, function: &Rc<ast::Function>, span: Span) -> Value {
        if self.endless.contains(&self.items.key(&function.name)) {
            return self.lost(span);
        }
        let (scope, args) = self.bound(&types::signature("fn", function), function, call);
        if args.mismatched || scope.values().any(Value::is_error) {
            return self.lost(span);
        }
        let place = if call.piped.is_some() { call.span } else { span };
        let names: Vec<String> = scope.keys().cloned().collect();
        let values: Vec<Value> = scope.into_values().map(|it| self.response(it)).collect();
        let tensors = values.iter().any(|it| matches!(it, Value::Tensor(_)));
        // A function knows nothing of schedules.
        let scheduled = self.scheduled.take();
        let run = |lowering: &mut Self, values: Vec<Value>| {
            let scope = names.into_iter().zip(values).collect();
            lowering.calls.push(place);
            let value = lowering.enter(scope, &function.body, place);
            lowering.calls.pop();
            lowering.number_like(value, function)
        };
        let value = if tensors { self.over_tensors(&values, place, run) } else { run(self, values) };
        self.scheduled = scheduled;
        value
    }

    /// A function of numbers must give a number.
    fn number_like(&mut self, value: Value, function: &ast::Function) -> Value {
        if self.pool.is_none() || value.is_error() || value.number().is_some() || matches!(value, Value::Scalar(_)) {
            return value;
        }
        self.fail(
            Diagnostic::new(
                Code::E0104,
                function.body.span,
                format!("`{}` gives {}, not a number", function.name.name, value.kind()),
            )
            .label("expected a number"),
        )
    }

    fn call_builtin(&mut self, call: &ast::Call, name: &'static str) -> Value {
        let Some(signature) = self.builtin(name) else { return self.lost(call.span) };
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let values: Vec<Value> = args.values.into_iter().filter_map(|it| it.value.map(|it| it.0)).collect();
        self.apply(name, &values, call.span)
    }

    /// What an operator can be given: constants, and inside of another operator another geometry.
    fn operator_signature(&self, operator: &OperatorRef) -> Signature {
        types::operator_signature(&operator.def, self.building.is_some())
    }

    fn bind_operator(&mut self, call: &ast::Call, mut operator: OperatorRef) -> Value {
        let args = self.arguments(&self.operator_signature(&operator), call);
        if args.wrong() {
            return self.lost(call.span);
        }
        for Arg { name, value, .. } in args.values {
            let Some((value, span)) = value else { continue };
            let value = self.operator_argument(&operator, &name, value, span);
            if value.is_error() {
                return value;
            }
            operator.bound.retain(|it| it.0 != name);
            operator.bound.push((name, value));
        }
        Value::Operator(operator)
    }

    fn query(&mut self, call: &ast::Call) -> Value {
        let name = call.callee.name.clone();
        // Where the callee is unknown, so is what its arguments mean to it.
        let Some(signature) = self.builtin(&name) else { return self.lost(call.span) };
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let Some((value, span)) = args.values.into_iter().next().and_then(|it| it.value) else {
            return self.lost(call.span);
        };
        match (name.as_str(), &value) {
            // Not so is one made of the updates done.
            ("known", value) => Value::Bool(value.number().is_some()),
            ("len", Value::List(items)) => Value::Int(items.len() as i64),
            ("len", Value::Range(low, high)) => {
                let len = i64::try_from(range_len(*low, *high)).ok();
                self.fitting(len, span, || format!("len({value})"))
            }
            ("len", Value::Str(it)) => Value::Int(it.chars().count() as i64),
            ("len", other) => self.fail(
                Diagnostic::new(Code::E0104, span, format!("{} has no length", other.describe()))
                    .label("expected a list"),
            ),
            (what, Value::Tensor(tensor)) => {
                let batch = usize::from(self.has_batch(tensor));
                let Some(shape) = self.graph.fact(tensor.train).shape() else { return self.lost(span) };
                let dims = &shape.dims()[batch..];
                let int = |it: usize| Value::Int(it as i64);
                match (what, dims) {
                    ("size", _) => int(size::product(dims)),
                    ("shape", _) => Value::List(dims.iter().map(|it| int(*it)).collect()),
                    ("channels", [.., channels]) => int(*channels),
                    ("height", [height, _, _]) => int(*height),
                    ("width", [_, width, _]) => int(*width),
                    _ => self.no_axis(call, dims.len(), span),
                }
            }
            _ => self.lost(span),
        }
    }

    fn no_axis(&mut self, call: &ast::Call, rank: usize, span: Span) -> Value {
        let name = &call.callee.name;
        let plural = if rank == 1 { "axis" } else { "axes" };
        let report = self
            .at(Code::E0303, call.span, format!("a tensor of {rank} {plural} has no {name}"))
            .label("only [height, width, channels] has them all")
            .also(span, "this tensor")
            .help("`shape(x)` is the list of its extents");
        self.fail(report)
    }

    fn call_primitive(&mut self, call: &ast::Call) -> Value {
        let Some(signature) = self.builtin(&call.callee.name) else { return self.lost(call.span) };
        if self.pool.is_some() {
            return self.lost(call.span);
        }
        let args = self.arguments(&signature, &signature.gathered(call));
        self.primitive(&args)
    }

    /// Checks a value against a type; an int is also a float. `None` of the types is silent on `Error`.
    pub(super) fn coerce(
        &mut self,
        value: Value,
        ty: &Ty,
        span: Span,
        what: &dyn fmt::Display,
        declared: Option<Span>,
    ) -> Value {
        let fits = match (ty, &value) {
            (_, Value::Error(_)) => return value,
            (Ty::Any, it) => !matches!(it, Value::Nothing),
            (Ty::Float | Ty::Number | Ty::Rate, Value::Int(it)) => return Value::Float(*it as f64),
            (Ty::Int, Value::Int(_))
            | (Ty::Float | Ty::Number | Ty::Rate, Value::Float(_))
            | (Ty::Rate, Value::Scalar(_))
            | (Ty::Bool, Value::Bool(_))
            | (Ty::Str, Value::Str(_))
            | (Ty::Operator, Value::Operator(_))
            | (Ty::Fn, Value::Fn(_))
            | (Ty::Tensor, Value::Tensor(_))
            | (Ty::Pair | Ty::Words(_), Value::Int(_)) => true,
            (Ty::Pair, Value::List(items)) => matches!(items.as_slice(), [Value::Int(_), Value::Int(_)]),
            (Ty::Words(words) | Ty::Word(words), Value::Str(it)) => words.contains(&it.as_str()),
            (Ty::Words(_), Value::List(axes)) => axes.len() == 2 && axes.iter().all(|it| both_sides(it).is_some()),
            (Ty::Axes, Value::List(items)) => items.iter().all(|it| self.is_axis(it)),
            (Ty::Axes, it) => self.is_axis(it),
            (Ty::Number, Value::Tensor(it)) => self.goes_by_steps(it),
            (Ty::Start, Value::Start(_)) => true,
            (Ty::Tensors, Value::List(_)) => {
                let flat = flat(&value);
                match flat.iter().find(|it| !matches!(it, Value::Tensor(_))) {
                    None => return Value::List(flat),
                    Some(it) if it.is_error() => return it.clone(),
                    Some(it) => {
                        let what = format!("{what} must be tensors, and one of them is {}", it.describe());
                        return self.fail(Diagnostic::new(Code::E0104, span, what).label("expected tensors"));
                    }
                }
            }
            (Ty::List(item), Value::List(items)) => {
                let item = (**item).clone();
                let mut all = Vec::with_capacity(items.len());
                if !self.pay(weight(&value), span) {
                    return self.lost(span);
                }
                for (at, it) in items.clone().into_iter().enumerate() {
                    let place = self.element(span, at);
                    match self.coerce(it, &item, place, &format_args!("element {at} of {what}"), declared) {
                        it @ Value::Error(_) => return it,
                        it => all.push(it),
                    }
                }
                return Value::List(all);
            }
            (Ty::List(item), Value::Range(low, high)) if **item == Ty::Int => {
                let len = range_len(*low, *high);
                if MOST_REPETITIONS < len {
                    let allowed = format!("at most {MOST_REPETITIONS}");
                    self.out_of_range(span, "the length of this range", &len.to_string(), &allowed);
                    return self.lost(span);
                }
                return if self.pay(2 * len, span) {
                    Value::List((*low..*high).map(Value::Int).collect())
                } else {
                    self.lost(span)
                };
            }
            _ => false,
        };
        if fits {
            return value;
        }
        if let Some(told) = self.not_of_steps(&value, span) {
            return told;
        }
        let mut report =
            Diagnostic::new(Code::E0104, span, format!("{what} must be {}, found {}", article(ty), value.describe()));
        report = match ty {
            Ty::Operator => {
                let all: Vec<String> = self.items.operators().iter().map(|it| format!("`{it}`")).collect();
                report.label("expected an operator").note(format!("operators: {}", all.join(", ")))
            }
            _ => report.label(format!("expected {}", article(ty))),
        };
        if let (Value::Str(found), Some(words)) = (&value, ty.words())
            && let Some(near) = did_you_mean(found, words.iter().copied())
        {
            report = report.help(format!("did you mean `{near}`?"));
        }
        if let (Ty::Operator, Value::Str(found)) = (ty, &value)
            && self.items.operator(found, span.file).is_some()
        {
            report = report.fix(format!("operators are written without quotes: `{found}`"), span, found.clone());
        }
        // Beyond, floats are not exact, and whole numbers end.
        if let (Ty::Int, Value::Float(it)) = (ty, &value)
            && it.fract() == 0.0
            && it.abs() < 9e15
        {
            report = report.fix(format!("write `{it:.0}`"), span, format!("{it:.0}"));
        }
        if let (Ty::List(item), Value::Int(_)) = (ty, &value)
            && **item == Ty::Int
        {
            report = report.fix(format!("a list is written `[{value}]`"), span, format!("[{value}]"));
        }
        if let Some(declared) = declared
            && declared.file == span.file
        {
            report = report.also(declared, "the type is given here");
        }
        self.fail(report)
    }

    fn is_axis(&self, value: &Value) -> bool {
        match value {
            Value::Int(_) => true,
            Value::Str(it) => AXES.contains(&it.as_str()),
            _ => false,
        }
    }

    /// The place of an element of a list, where the list is written out.
    fn element(&self, list: Span, at: usize) -> Span {
        let text = self.sources.slice(list);
        let Some(inner) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) else { return list };
        if inner.contains(['[', '(', '"', '{', '/']) {
            return list;
        }
        let Some(element) = inner.split(',').nth(at) else { return list };
        let start = element.as_ptr() as usize - text.as_ptr() as usize + element.len() - element.trim_start().len();
        let from = list.start as usize + start;
        Span::new(list.file, from, from + element.trim().len())
    }

    pub(super) fn out_of_range(&mut self, span: Span, what: &str, found: &str, allowed: &str) {
        let report =
            self.at(Code::E0108, span, format!("{what} is {found}, out of range")).label(format!("must be {allowed}"));
        self.report(report);
    }
}

/// A definition sees both numbers of a pair.
pub(super) fn paired(value: Value, ty: &Ty) -> Value {
    match value {
        Value::Int(it) if *ty == Ty::Pair => Value::List(vec![Value::Int(it); 2]),
        other => other,
    }
}

fn article(ty: &Ty) -> String {
    match ty {
        Ty::Int | Ty::Operator => format!("an {ty}"),
        Ty::Axes => {
            let words: Vec<String> = AXES.iter().map(|it| format!("`{it}`")).collect();
            format!("{}, an int, or a list of them", words.join(", "))
        }
        Ty::Pair | Ty::Words(_) | Ty::Word(_) | Ty::Any | Ty::Tensors => format!("{ty}"),
        Ty::List(item) => format!("a list of {item}"),
        Ty::Float | Ty::Number | Ty::Rate | Ty::Bool | Ty::Str | Ty::Fn | Ty::Tensor | Ty::Start => format!("a {ty}"),
    }
}

/// The values of a list and of the lists in it.
fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.iter().flat_map(flat).collect(),
        one => vec![one.clone()],
    }
}
