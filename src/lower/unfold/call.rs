//! Calls: of blocks, functions, operators (which bind constants) and layers.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Callee;
use crate::lower::names::items::Def;
use crate::lower::names::words::{PRIMITIVES, is_reduction};
use crate::lower::network::nature::Nature;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::unfold::update::WHOLE;
use crate::lower::values::args::Arg;
use crate::lower::values::signature::{self, FUNCTIONS};
use crate::lower::values::types;
use crate::lower::values::value::{FnRef, OperatorRef, Tensor, Value, short};
use crate::syntax::ast::{self, Part};
use std::rc::Rc;

/// Built-in functions that are told of wherever they stand: activations of networks.
const BENDS: [&str; 2] = ["tanh", "logistic"];

fn first_tensor<'v>(mut values: impl Iterator<Item = &'v Value>) -> Option<Tensor> {
    values.find_map(|it| match it {
        Value::Tensor(it) => Some(it.clone()),
        _ => None,
    })
}

impl Unfold<'_> {
    pub(in crate::lower) fn call(&mut self, call: &ast::Call, span: Span) -> Value {
        let name = call.callee.name.as_str();
        let local = self.scopes.get(name).cloned();
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
        let callee = self.callee(block, &args, &mut scope);
        // What the prelude does in a call has no place of its own.
        if prelude {
            self.pass(block, block.params.iter().map(|it| args.place(&it.name.name)).collect());
            self.enter_call(call.span);
            let value = self.enter_block(block, scope, callee, call.span, None);
            self.leave_call();
            self.leave_passed();
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
        self.enter_block(block, scope, callee, call.span, Some(text))
    }

    fn call_fn(&mut self, call: &ast::Call, function: &Rc<ast::Function>, span: Span) -> Value {
        if self.endless.contains(&self.items.key(&function.name)) {
            return self.lost(span);
        }
        let (mut scope, args) = self.bound(&types::signature("fn", function), function, call);
        if args.mismatched || scope.values().any(Value::is_error) {
            return self.lost(span);
        }
        let shown = self.of_user(call).then(|| self.callee(function, &args, &mut scope).text);
        let input = first_tensor(function.params.iter().filter_map(|it| scope.get(&it.name.name)));
        let place = if call.piped.is_some() { call.span } else { span };
        let names: Vec<String> = scope.keys().cloned().collect();
        let values: Vec<Value> = scope.into_values().map(|it| self.response(it)).collect();
        let tensors = values.iter().any(|it| matches!(it, Value::Tensor(_)));
        // A function knows nothing of schedules.
        let scheduled = self.scheduled.take();
        let (values, map) = if tensors {
            let (values, map) = self.begin_map(&values);
            (values, Some(map))
        } else {
            (values, None)
        };
        let scope = names.into_iter().zip(values).collect();
        self.enter_call(place);
        let value = self.enter(scope, &function.body, place);
        self.leave_call();
        let value = self.number_like(value, function);
        let value = match map {
            Some(map) => self.end_map(map, value, place),
            None => value,
        };
        self.scheduled = scheduled;
        if let (Some(shown), Some(input), Value::Tensor(output)) = (shown, input, &value) {
            self.apply_to(&input, output, shown, true, place);
        }
        value
    }

    /// Whether a call stands in a text of the user's or of the library, and not in what the prelude does by itself.
    fn of_user(&self, call: &ast::Call) -> bool {
        call.callee.span.file != self.items.prelude && self.objective.is_none()
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
        let value = self.apply(name, &values, call.span);
        if let ([Value::Tensor(input)], Value::Tensor(output)) = (&values[..], &value)
            && self.of_user(call)
        {
            self.apply_to(input, output, name.to_owned(), BENDS.contains(&name), call.span);
        }
        value
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

    fn call_primitive(&mut self, call: &ast::Call) -> Value {
        let Some(signature) = self.builtin(&call.callee.name) else { return self.lost(call.span) };
        if self.pool.is_some() {
            return self.lost(call.span);
        }
        let args = self.arguments(&signature, &signature.gathered(call));
        self.primitive(&args)
    }

    /// Runs a block's or function's body on bound parameters; the callee sees nothing of the caller.
    pub(in crate::lower) fn enter(&mut self, scope: Scope, body: &ast::Body, call: Span) -> Value {
        if !self.descend_call(call) {
            self.ascend_call();
            return self.lost(call);
        }
        let caller = self.scopes.enter(scope);
        let value = self.body(body);
        self.scopes.leave(caller);
        self.ascend_call();
        value
    }

    /// The scope of a block's call.
    pub(in crate::lower) fn enter_block(
        &mut self,
        block: &ast::Function,
        scope: Scope,
        callee: Callee,
        span: Span,
        frame: Option<String>,
    ) -> Value {
        // What is called on the result of a layer may belong beside it.
        let owner = block.params.iter().find_map(|it| match scope.get(&it.name.name) {
            Some(Value::Tensor(it)) => Some(it.owner.clone()),
            _ => None,
        });
        let owner = owner.flatten();
        let items = self.items;
        let report = self.names.enter_block(items, block, owner.as_deref(), span);
        self.report_all(report);
        let path = self.names.path().to_owned();
        let framed = frame.is_some();
        if let Some(text) = frame {
            self.enter_frame(span, text);
        }
        let (listing, holder) = match Nature::of(block) {
            Nature::Filter | Nature::Beside(_) | Nature::Other => (Some(callee), None),
            Nature::Plain => (None, Some(callee)),
            Nature::Caller => (None, None),
        };
        let holds = holder.is_some();
        if let Some(callee) = holder {
            self.open_block(callee, span, !framed);
        }
        let value = self.enter(scope, &block.body, span);
        if holds {
            self.close_block();
        }
        if framed {
            self.leave_frame();
        }
        let value = self.finish_block(block, (&path, owner), listing, value, span);
        self.names.leave();
        value
    }
}
