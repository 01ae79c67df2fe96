//! What a line of the recipe can call of losses and metrics, for those who check names and those who compute.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::{Items, suggest};
use crate::lower::names::options::listed;
use crate::lower::names::words::{given, is_tensor};
use crate::lower::values::signature::{Signature, Slot};
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, Part as Kind};

/// The report of an output that the model does not have.
pub(in crate::lower) fn no_output(name: &ast::Ident, known: &[&str]) -> Diagnostic {
    let report = Diagnostic::new(Code::E0203, name.span, format!("the model has no output `{}`", name.name))
        .label("unknown output");
    let list: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
    let report = match list.as_slice() {
        [] => report.help(format!("name it where it is given: `output {} = x`", name.name)),
        list => report.note(format!("outputs with a name: {}", list.join(", "))),
    };
    suggest(report, name.span, &name.name, known.iter().copied())
}

impl Items {
    /// The report of a loss or a metric that there is not.
    pub(in crate::lower) fn unknown_measure(&self, kind: Kind, name: &str, span: Span) -> Diagnostic {
        let signatures: Vec<Signature> =
            self.definitions(kind).into_iter().map(|it| self.measure_signature(kind, it.0)).collect();
        let report = Diagnostic::new(Code::E0203, span, format!("unknown {} `{name}`", kind.word()))
            .label(format!("expected {}", listed(&signatures)));
        suggest(report, span, name, signatures.iter().map(|it| it.name.as_str()))
    }

    /// What a line of the recipe can give: numbers first, tensors by their names.
    pub(in crate::lower) fn measure_signature(&self, kind: Kind, def: &ast::Function) -> Signature {
        let whole = types::signature(kind.word(), def);
        let (mut slots, mut tensors): (Vec<Slot>, Vec<Slot>) = (Vec::new(), Vec::new());
        for (param, slot) in def.params.iter().zip(whole.slots) {
            if is_tensor(param) && param.default.is_none() {
                let default = Some(given(param).unwrap_or("output").to_owned());
                tensors.push(Slot { default, ty: Ty::Tensor, ..slot });
            } else {
                slots.push(slot);
            }
        }
        slots.append(&mut tensors);
        let header = whole.header.filter(|it| it.file != self.prelude);
        Signature { slots, header, ..whole }
    }
}
