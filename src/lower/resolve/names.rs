//! Names: what they stand for, and what to say when they stand for nothing.

use crate::diag::{Code, Diagnostic, Kind, Label, Span};
use crate::lower::library;
use crate::lower::names::items::{Def, Home, Item};
use crate::lower::names::synonyms;
use crate::lower::names::words::{CONSTANTS, GEOMETRY};
use crate::lower::resolve::{Context, Resolver};
use crate::lower::values::signature::FUNCTIONS;

/// Unknown names for which a similar one is looked for.
pub(super) const MOST_SUGGESTIONS: usize = 200;

/// Places of an unknown name that its report shows.
const MOST_PLACES: usize = 20;

fn place_of(item: &Item) -> (Span, &'static str) {
    let what = match item.def {
        Def::Param(_) => "a param",
        Def::Operator(_) => "an operator",
        Def::Fn(_) => "a function",
        Def::Block(_) => "a block",
    };
    (item.def.name().span, what)
}

impl Resolver<'_> {
    pub(super) fn name(&mut self, name: &str, span: Span) {
        self.mention_name(name, span);
        if self.local(name).is_some() {
            self.mark(name, span);
            return;
        }
        if self.is_schedule(name, span) {
            return;
        }
        if self.context == Context::Operator && GEOMETRY.contains(&name) && self.items.get(name, span.file).is_none() {
            self.confused = true;
            self.sink.push(
                Diagnostic::new(Code::E0102, span, format!("the operator `{}` does not take `{name}`", self.current))
                    .label("not a parameter")
                    .help(format!("add `{name}` to its parameters")),
            );
            return;
        }
        match self.items.get(name, span.file).map(|it| &it.def) {
            Some(Def::Block(it)) => {
                self.mark(name, span);
                let signature = self.items.block_signature(it);
                let what = signature.what;
                let mut report = Diagnostic::new(Code::E0104, span, format!("the {what} `{name}` is not a value"))
                    .label(format!("{what}s can only be called"));
                if let Some(header) = signature.header {
                    report = report.also(header, "defined here");
                }
                self.sink.push(report);
            }
            Some(Def::Param(it)) if self.comes_later(name) => {
                self.mark(name, span);
                self.sink.push(
                    Diagnostic::new(Code::E0102, span, format!("the param `{name}` is not defined yet"))
                        .label("a default can use the params before it")
                        .also(it.name.span, "defined here"),
                );
            }
            Some(def) => {
                if self.context == Context::Operator && matches!(def, Def::Operator(_)) {
                    let key = self.items.key(def.name());
                    self.calls.entry(self.current.clone()).or_default().push((key, span));
                }
                self.mark(name, span);
            }
            None if CONSTANTS.iter().any(|it| it.0 == name) => {}
            // Params are decided before the recipe is read.
            None if name == "classes" && self.is_param() => self.sink.push(
                Diagnostic::new(Code::E0102, span, "a param cannot depend on `classes`")
                    .label("the data set is not known yet when params are decided")
                    .help("write `classes` in the model, where the number is used"),
            ),
            None if name == "classes" && self.classes => {}
            None if name == "classes" => self.sink.push(
                Diagnostic::new(Code::E0102, span, "undefined name `classes`")
                    .label("the number of classes of the data set, which this file does not name")
                    .help("add a `train` section with `data`, or `param classes = 10`"),
            ),
            None if self.is_of_steps(name, span) || FUNCTIONS.iter().any(|it| it.0 == name) => {}
            None => self.undefined(name, span),
        }
    }

    /// Whether the default of a param is walked, and `name` is a param that is decided after it.
    pub(super) fn comes_later(&self, name: &str) -> bool {
        let place = |name: &str| self.items.main(name).map(|it| it.place);
        self.is_param() && place(&self.current) <= place(name)
    }

    /// Whether the default of a param is walked.
    pub(super) fn is_param(&self) -> bool {
        matches!(self.items.main(&self.current).map(|it| &it.def), Some(Def::Param(_)))
    }

    pub(super) fn undefined(&mut self, name: &str, span: Span) {
        self.confused = true;
        if name == "training" {
            self.sink.push(
                Diagnostic::new(Code::E0104, span, "`training` is not a value")
                    .label("only the condition of an `if`")
                    .help("write `if training { a } else { b }`, with tensors of one shape"),
            );
            return;
        }
        if self.known_unknown(Code::E0102, name, span) {
            return;
        }
        let key = (Code::E0102, name.to_owned());
        let report = Diagnostic::new(Code::E0102, span, format!("undefined name `{name}`"));
        if let Some(&place) = self.moved.as_ref().filter(|it| it.0 == name).map(|it| &it.1) {
            let report = report
                .label("is there after its line")
                .also(place, "the statistic")
                .help(format!("leave `{name}` out: a statistic moves from what it was towards what is given"));
            self.unknown.insert(key, report);
            return;
        }
        if let Some(&place) = self.gone.get(name) {
            let report = report
                .label("not defined in this scope")
                .also(place, "this one ends with the braces around it")
                .help(format!("use `{name}` inside of them, or bind it before them and rebind it inside"));
            self.unknown.insert(key, report);
            return;
        }
        let locals: Vec<String> = self.scopes.iter().flat_map(|it| it.keys().cloned()).collect();
        let mut known: Vec<&str> = locals.iter().map(String::as_str).collect();
        known.extend(self.items.iter().filter(|(_, it)| !matches!(it.def, Def::Block(_))).map(|(it, _)| it.as_str()));
        known.extend(CONSTANTS.iter().map(|it| it.0));
        if self.classes {
            known.push("classes");
        }
        // One or two letters are close to any others.
        let long = 2 < name.chars().count();
        // Only of a word that no one would call a value of their own.
        let way =
            synonyms::way(name).filter(|_| matches!(name, "None" | "null" | "nil" | "NULL" | "nan" | "NaN" | "inf"));
        let near = match name {
            // One of the library is meant, whatever it is like.
            _ if library::defining(name).is_some() => None,
            // With so many, the file is not what its names are for; and each would be compared with all.
            _ if MOST_SUGGESTIONS < self.unknown.len() => None,
            "True" | "TRUE" => Some("true".to_owned()),
            "False" | "FALSE" => Some("false".to_owned()),
            // Where an operator is wanted, the operator.
            "None" if self.in_slot => Some("none".to_owned()),
            _ if way.is_some() => None,
            _ => crate::diag::did_you_mean(name, known.iter().copied()).filter(|_| long).map(str::to_owned),
        };
        // Without an `input` the image has no name: that is reported, and one mistake.
        if self.no_input && near.is_none() && self.context == Context::Model {
            return;
        }
        self.meant.extend(near.clone());
        let mut report = report.label("not defined in this scope");
        if let Some(near) = near {
            let place = match self.local(&near) {
                Some(it) => Some((it.span, "a value")),
                None => self.items.get(&near, span.file).filter(|it| it.home != Home::Prelude).map(place_of),
            };
            if let Some((place, what)) = place
                && place.file == span.file
            {
                report = report.also(place, format!("{what} with a similar name is defined here"));
            }
            report = report.kind(Kind::Resembling).fix(format!("did you mean `{near}`?"), span, near);
        } else if let Some(way) = way {
            report = report.help(way);
        } else if let Some(import) = library::import_of(name) {
            report = report.help(import);
        }
        self.unknown.insert(key, report);
    }

    /// Whether this name was missed before; then the report says so of this place too.
    pub(super) fn known_unknown(&mut self, code: Code, name: &str, span: Span) -> bool {
        let Some(report) = self.unknown.get_mut(&(code, name.to_owned())) else { return false };
        let new = report.primary.span != span && report.secondary.iter().all(|it| it.span != span);
        if new && report.secondary.len() < MOST_PLACES {
            report.secondary.push(Label { span, text: "here too".to_owned() });
        }
        true
    }
}
