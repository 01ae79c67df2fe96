//! An operator by itself, named as in a file or on the command line: what it makes of the angle.

use crate::diag::{Code, Diagnostic, FileId, Sink, Sources};
use crate::ir::{Response, ScalarFn};
use crate::lower::names::collect::Collector;
use crate::lower::names::params;
use crate::lower::names::reach::Reach;
use crate::lower::network::response::monomial::FIRST_FREE;
use crate::lower::recipe::Recipe;
use crate::lower::scalar::trace::Quantity;
use crate::lower::settings::Settings;
use crate::lower::study::Study;
use crate::lower::values::value::{OperatorRef, Ty, Value};
use crate::lower::{Load, resolve};
use crate::syntax::ast;
use std::collections::BTreeMap;

/// What an operator that is written as in a call makes of the angle; `None` after a mistake. It may name what the file, its
/// imports and the prelude define.
pub fn response(
    file: &ast::File,
    main: FileId,
    sources: &mut Sources,
    load: Load<'_>,
    operator: &str,
    sink: &mut Sink,
) -> Option<Response> {
    let items = Collector::new(sources, load, sink).run(file, main, &Reach::Whole);
    let (parsed, place) = params::expression(sources, format!("--operator {operator}"), "response", operator);
    let expr = match parsed {
        Ok(it) => it,
        Err(wrong) => {
            let report = Diagnostic::new(Code::E0107, place, format!("`{operator}` is not an operator"))
                .label("expected a name, and constants where it takes some, such as `cosine` or `sigmoid(k: 0.5)`");
            // Several are no mistake of spelling.
            match wrong.is_empty() || are_several(operator) {
                true => sink.push(report.help("give each operator by itself: `--operator cosine --operator linear`")),
                false => wrong.into_iter().for_each(|it| sink.push(it)),
            }
            return None;
        }
    };
    let named = BTreeMap::from([(String::new(), expr)]);
    // Whether all of a file is used does not matter here.
    let resolved = resolve::Resolver::new(&items, sources, sink, true, false).run(&named);
    if sink.has_errors() {
        return None;
    }
    let settings = Settings::default();
    let mut lowering = Recipe::new(&items, sources, &settings, sink, resolved);
    lowering.read_params(&BTreeMap::new());
    let expr = &named[""];
    let value = lowering.expr(expr);
    lowering.enter_call(expr.span);
    match lowering.coerce(value, &Ty::Operator, expr.span, &"`--operator`", None) {
        Value::Operator(it) => lowering.of_the_angle(&it),
        _ => None,
    }
}

/// Whether a text has a comma outside of brackets.
fn are_several(text: &str) -> bool {
    let mut depth = 0;
    text.chars().any(|it| {
        match it {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        it == ',' && depth == 0
    })
}

impl Recipe<'_> {
    fn of_the_angle(&mut self, operator: &OperatorRef) -> Option<Response> {
        let Study { body, quantities, .. } = self.study(operator, None, true)?;
        // Evaluation is what is asked about, at norms of 1 and with what is learned at its start.
        let number = |value: f64| ScalarFn::build(1, |pool, _| pool.constant(value));
        let arguments: Vec<ScalarFn> = quantities
            .iter()
            .enumerate()
            .map(|(at, it)| match at {
                0 => ScalarFn::build(1, |_, inputs| inputs[0]),
                _ if it.is_training() => number(0.0),
                _ => number(it.usual),
            })
            .collect();
        let with_evaluation: Vec<ScalarFn> = (0..body.arity)
            .map(|at| match quantities[at as usize].is_training() {
                true => ScalarFn::build(body.arity, |pool, _| pool.constant(0.0)),
                false => ScalarFn::build(body.arity, |_, inputs| inputs[at as usize]),
            })
            .collect();
        let used = body.compose(&with_evaluation).simplify().used_inputs();
        let extra = used.iter().filter(|it| FIRST_FREE <= **it).map(|it| &quantities[*it as usize]);
        let (learned, given): (Vec<_>, Vec<_>) = extra.partition(|it| it.is_learned());
        let named = |list: Vec<&Quantity>| list.iter().map(|it| (it.name.clone(), it.usual)).collect();
        Some(Response::new(body.compose(&arguments).simplify(), named(learned), named(given)))
    }
}
