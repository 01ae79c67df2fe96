//! (Unstable.) Tree to graph: names, parameters, blocks, loops, imports and the recipe are resolved here;
//! operators become scalar expressions.
//!
//! In order:
//! 1. `names` gathers what the file, its imports and the prelude define;
//! 2. `resolve` checks names, callees and arguments of all of it, used or not;
//! 3. `unfold` decides the params, by their defaults and `--set`;
//! 4. `recipe` reads what the model must know of the recipe: data (with `images`), batch, classes;
//! 5. `unfold` evaluates the model once into nodes for training and evaluation at the same time: a tensor
//!    value holds both, which are one node until a layer tells them apart;
//! 6. `recipe` reads the rest: losses and metrics, optimizers, penalties, what is said of the parameters that are there now;
//! 7. `compose` makes one map of arithmetic that was written with infix signs.
//!
//! Owners lie within each other, and each calls only itself and those within it: `Recipe` has `Unfold` (scopes and values), which
//! has `Scalars` (the expression under construction), which has `Network` (the graph), which has `Reports` (text, settings,
//! what is said). Fields are their owner's own unless they say otherwise.
//!
//! After a mistake a value is `Error`, and everything that depends on it is silent: one mistake, one
//! report. How layers are named is described in `network::naming`.

mod compose;
pub mod images;
pub mod library;
mod names;
mod network;
mod recipe;
mod report;
mod resolve;
mod response;
mod scalar;
pub mod settings;
mod study;
mod unfold;
mod values;

pub(crate) use names::collect::PRELUDE;
pub use names::index::{Binding, Entry, Index, Mention, Noted, RecipeKey, Role, Slot};
pub use names::words::{PRIMITIVES, REDUCTIONS};
pub use response::response;
pub use settings::{DataInfo, Look, Settings};

use crate::diag::{Code, Diagnostic, FileId, Sink, Sources};
use crate::ir::Graph;
use crate::lower::names::options::allowed;
use crate::syntax::{self, ast};
use names::collect::Collector;
use names::items::{Home, Items};
use names::params;
use names::reach::Reach;
use recipe::Recipe;
use std::collections::BTreeMap;

/// The longest text, in bytes, that may be lowered twice: without a report it needs only the part of the prelude that it can
/// reach. For a longer one the prelude counts for little.
const SMALL: usize = 1 << 14;

/// What becomes of a file.
#[derive(Default)]
pub struct Lowered {
    /// There when there is a model to speak of, even after mistakes, so that shapes can be checked as far as they are known.
    pub graph: Option<Graph>,
    /// Empty unless the settings ask for it.
    pub index: Index,
}

/// Lowers a file to a graph. Everything found wrong goes into `sink`.
pub fn lower(
    file: &ast::File,
    main: FileId,
    sources: &mut Sources,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
    sink: &mut Sink,
) -> Lowered {
    // An index names what is not used, too.
    if sources.get(main).text.len() <= SMALL && !settings.index {
        let given: Vec<&str> = settings.set.iter().map(|it| it.1.as_str()).collect();
        let (mut read, mut found) = (sources.clone(), Sink::new());
        let lowered = lower_with(file, main, (&mut read, load), settings, &mut found, &Reach::From(&given));
        if found.is_empty() {
            *sources = read;
            return lowered;
        }
    }
    lower_with(file, main, (sources, load), settings, sink, &Reach::Whole)
}

/// Reads imports.
type Load<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

fn lower_with(
    file: &ast::File,
    main: FileId,
    (sources, load): (&mut Sources, Load<'_>),
    settings: &Settings,
    sink: &mut Sink,
    reach: &Reach<'_>,
) -> Lowered {
    let items = Collector::new(sources, load, sink).run(file, main, reach);
    let overrides = params::parse(&items, settings, sources, sink);
    let resolved = resolved(&items, &overrides, sources, settings, sink);

    for (name, value) in overrides.iter().filter(|it| !resolved.uses.contains(it.0)) {
        // That the file itself does not use it is said there.
        let own = items.main(name).is_some_and(|it| it.home == Home::Main) && !name.starts_with('_');
        if !own {
            sink.push(
                Diagnostic::new(Code::W0203, value.span, format!("nothing uses the param `{name}`"))
                    .label("has no effect")
                    .help("leave it out"),
            );
        }
    }

    // It is read again, with all that there is.
    if !sink.is_empty() && matches!(reach, Reach::From(_)) {
        return Lowered::default();
    }
    let mut lowering = Recipe::new(&items, sources, settings, sink, resolved);
    let divisions = syntax::divisions(main, &lowering.sources.get(main).text);
    lowering.report_all(divisions);
    lowering.read_batch(main);
    lowering.read_params(&overrides);
    let Some(model) = lowering.the_model(main) else {
        lowering.check_operators();
        return Lowered { graph: None, index: std::mem::take(&mut lowering.index) };
    };
    lowering.graph = Graph::new(model.name.name.clone());
    lowering.graph.set = lowering.values_of(overrides.keys());
    lowering.graph.values = lowering.values_of(items.order().into_iter());
    let basis = lowering.basis();
    lowering.check_operators();
    lowering.graph.range = lowering.range();
    lowering.unfold(&model, basis.as_ref());
    if let Some(basis) = basis {
        lowering.finish_recipe(basis);
    }
    lowering.check_paths();
    lowering.answers_alone();
    lowering.unreached();
    lowering.untaught();
    lowering.scaled();
    lowering.lost_docs(main);
    lowering.nothing_is_lost_in_silence();
    let graph = std::mem::replace(&mut lowering.graph, Graph::new(""));
    Lowered { graph: Some(compose::compose(graph)), index: std::mem::take(&mut lowering.index) }
}

/// Walks the names of all that there is.
fn resolved(
    items: &Items,
    overrides: &BTreeMap<String, ast::Expr>,
    sources: &Sources,
    settings: &Settings,
    sink: &mut Sink,
) -> resolve::Resolved {
    // The model that imports a library brings the data set.
    let classes = !items.trains.is_empty() || settings.data.is_some() || items.is_library();
    let lint = !items.trains.iter().any(|it| allowed(it).contains(&Code::W0104));
    let mut found = resolve::Resolver::new(items, sources, sink, classes, lint).indexed(settings.index).run(overrides);
    if settings.index {
        found.index.tell(items, sources);
    }
    found
}

/// What the names of a file stand for: the first half of lowering, which does not unfold anything.
pub fn names(
    file: &ast::File,
    main: FileId,
    sources: &mut Sources,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
    sink: &mut Sink,
) -> Index {
    let items = Collector::new(sources, load, sink).run(file, main, &Reach::Whole);
    resolved(&items, &BTreeMap::new(), sources, settings, sink).index
}
