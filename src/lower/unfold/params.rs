//! Params: their defaults, in the order of the file, and what `--set` gives over them.

use crate::lower::names::items::{Def, Home};
use crate::lower::unfold::Unfold;
use crate::lower::values::types::{self, type_of};
use crate::lower::values::value::Value;
use crate::syntax::ast;
use std::collections::BTreeMap;

impl Unfold<'_> {
    /// Decides every param. A default may use the params before it.
    pub(in crate::lower) fn read_params(&mut self, overrides: &BTreeMap<String, ast::Expr>) {
        let items = self.items;
        // The default of a param that `--set` replaces is still checked.
        for name in items.order() {
            let Some(item) = items.main(name) else { continue };
            let Def::Param(param) = &item.def else { continue };
            let default = match self.expr(&param.default) {
                // Of the updates done, which there are none of here: told where names are resolved.
                Value::Tensor(_) => self.lost(param.default.span),
                it => it,
            };
            let what = format!("the default of `{name}`");
            let ty = match &param.ty {
                Some(it) => types::of(it),
                None => type_of(&default),
            };
            let declared = param.ty.as_ref().map(|it| it.span);
            let mut value = self.coerce(default, &ty, param.default.span, &what, declared);
            if let Some(expr) = overrides.get(name) {
                let found = self.expr(expr);
                value = self.coerce(found, &ty, expr.span, &format!("param `{name}`"), None);
            }
            if item.home == Home::Main || item.home == Home::Import {
                self.params.insert(name.clone(), value);
            }
        }
    }

    /// The values of params.
    pub(in crate::lower) fn values_of<'a>(&self, names: impl Iterator<Item = &'a String>) -> BTreeMap<String, String> {
        names.filter_map(|it| Some((it.clone(), self.params.get(it)?.to_string()))).collect()
    }
}
