//! What can be called and with which arguments: the built-in functions, and the matching
//! of a call's arguments with the parameters of its callee.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::suggest;
use crate::lower::names::words::REDUCTIONS;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A parameter, as far as a call must know it.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Slot {
    pub(in crate::lower) name: String,
    pub(in crate::lower) ty: Ty,
    /// Text of the default; `None` for a parameter that must be given.
    pub(in crate::lower) default: Option<String>,
}

/// What a call is checked against.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Signature {
    /// `layer`, `block`, `function`, `operator`, ...
    pub(in crate::lower) what: &'static str,
    pub(in crate::lower) name: String,
    pub(in crate::lower) slots: Vec<Slot>,
    /// Where it is defined, for what a file defines.
    pub(in crate::lower) header: Option<Span>,
}

/// Arguments in the order of the parameters; `None` takes the default.
type Matched<'a> = Vec<Option<&'a ast::Expr>>;

/// What is around an image.
pub(super) const BORDER: Ty = Ty::Words(&["same", "valid"]);

const FAN: Ty = Ty::Words(&["inputs", "outputs"]);

/// Functions of numbers; on a tensor they work element by element.
pub(in crate::lower) const FUNCTIONS: &[(&str, usize)] = &[
    ("abs", 1),
    ("sign", 1),
    ("sqrt", 1),
    ("exp", 1),
    ("expm1", 1),
    ("log", 1),
    ("log1p", 1),
    ("sin", 1),
    ("cos", 1),
    ("tanh", 1),
    ("logistic", 1),
    ("erf", 1),
    ("asin", 1),
    ("acos", 1),
    ("atan", 1),
    ("floor", 1),
    ("stop", 1),
    ("min", 2),
    ("max", 2),
    ("pow", 2),
    ("div", 2),
    ("select", 3),
];

/// Functions of values known when the file is unfolded.
pub(in crate::lower) const QUERIES: &[&str] = &["known", "len", "channels", "height", "width", "size", "shape"];

/// In an operator: the mean over the batch and all positions.
pub(in crate::lower) const BATCH_MEAN: &str = "mean";

/// What a `stat` can keep of each batch.
pub(in crate::lower) const STATISTICS: &[&str] = &["mean", "max"];

fn slot(name: &str, ty: Ty, default: Option<&str>) -> Slot {
    Slot { name: name.to_owned(), ty, default: default.map(str::to_owned) }
}

/// The signature of a built-in function or query.
pub(in crate::lower) fn builtin(name: &str) -> Option<Signature> {
    let make =
        |what: &'static str, slots: Vec<Slot>| Some(Signature { what, name: name.to_owned(), slots, header: None });
    let x = || slot("x", Ty::Tensor, None);
    let stride = || slot("stride", Ty::Pair, Some("1"));
    let over = |axis: &str| slot("over", Ty::Axes, Some(axis));
    let same = || slot("pad", BORDER, Some("same"));
    let dilation = || slot("dilation", Ty::Pair, Some("1"));
    let groups = || slot("groups", Ty::Int, Some("1"));
    match name {
        "known" => make("function", vec![slot("number", Ty::Any, None)]),
        "len" => make("function", vec![slot("list", Ty::Any, None)]),
        "channels" | "height" | "width" | "size" | "shape" => make("function", vec![x()]),
        "reshape" => make("function", vec![x(), slot("to", Ty::List(Box::new(Ty::Int)), None)]),
        "transpose" => make("function", vec![x(), slot("order", Ty::List(Box::new(Ty::Int)), None)]),
        "einsum" => make(
            "function",
            vec![slot("letters", Ty::Str, None), slot("a", Ty::Tensor, None), slot("b", Ty::Tensor, None)],
        ),
        "full" => {
            make("function", vec![slot("extents", Ty::List(Box::new(Ty::Int)), None), slot("value", Ty::Float, None)])
        }
        "eye" => make("function", vec![slot("n", Ty::Int, None)]),
        "uniform" => make(
            "function",
            vec![slot("extents", Ty::List(Box::new(Ty::Int)), None), slot("batch", Ty::Bool, Some("true"))],
        ),
        "concat" => make("function", vec![slot("tensors", Ty::Tensors, None), over("channels")]),
        "slice" => {
            make("function", vec![x(), slot("from", Ty::Int, None), slot("to", Ty::Int, None), over("channels")])
        }
        "split" => make("function", vec![x(), slot("parts", Ty::Int, None), over("channels")]),
        "pad" => make(
            "function",
            vec![x(), slot("before", Ty::Int, None), slot("after", Ty::Int, Some("before")), over("positions")],
        ),
        "flip" => make("function", vec![x(), over("width")]),
        "repeat" => make("function", vec![x(), slot("times", Ty::Int, None), over("positions")]),
        "take" => make("function", vec![slot("table", Ty::Tensor, None), slot("ids", Ty::Tensor, None)]),
        "range" => make("function", vec![slot("count", Ty::Int, None)]),
        "indices" => make("function", vec![x(), over("channels")]),
        "label_cross_entropy" => make(
            "function",
            vec![
                slot("scores", Ty::Tensor, None),
                slot("label", Ty::Tensor, None),
                slot("smoothing", Ty::Float, Some("0")),
                slot("floor", Ty::Float, Some("0")),
            ],
        ),
        "hit" => make("function", vec![slot("scores", Ty::Tensor, None), slot("label", Ty::Tensor, None)]),
        "max_window" | "mean_window" | "sum_window" => make(
            "function",
            vec![
                x(),
                slot("size", Ty::Pair, None),
                slot("stride", Ty::Pair, Some("size")),
                slot("pad", BORDER, Some("valid")),
            ],
        ),
        "convolve" => make(
            "function",
            vec![
                x(),
                slot("w", Ty::Tensor, None),
                stride(),
                same(),
                slot("operator", Ty::Operator, Some("none")),
                dilation(),
                groups(),
            ],
        ),
        "respond" => make(
            "function",
            vec![
                slot("s", Ty::Tensor, None),
                slot("x_norm", Ty::Tensor, None),
                slot("w_norm", Ty::Tensor, None),
                slot("operator", Ty::Operator, Some("cosine")),
            ],
        ),
        "convolve_transpose" => make(
            "function",
            vec![
                x(),
                slot("w", Ty::Tensor, None),
                stride(),
                same(),
                slot("output_pad", Ty::Pair, Some("0")),
                dilation(),
                groups(),
            ],
        ),
        _ => {
            let (_, arity) = FUNCTIONS.iter().find(|it| it.0 == name)?;
            let names: &[&str] = if name == "select" { &["condition", "x", "y"] } else { &["x", "y"][..*arity] };
            make("function", names.iter().map(|it| slot(it, Ty::Any, None)).collect())
        }
    }
}

/// The signature of a reduction.
pub(in crate::lower) fn reduction(name: &str) -> Option<Signature> {
    REDUCTIONS.contains(&name).then(|| Signature {
        what: "function",
        name: name.to_owned(),
        slots: vec![slot("x", Ty::Tensor, None), slot("over", Ty::Axes, Some("all"))],
        header: None,
    })
}

/// The signature of what an optimizer takes of whole tensors.
pub(in crate::lower) fn whole(name: &str) -> Option<Signature> {
    let slots = match name {
        "sum" => vec![slot("x", Ty::Any, None)],
        "product" => {
            vec![slot("x", Ty::Any, None), slot("y", Ty::Any, None), slot("transpose", Ty::Bool, Some("false"))]
        }
        _ => return None,
    };
    Some(Signature { what: "function", name: name.to_owned(), slots, header: None })
}

/// The signature of a block's statistic.
pub(in crate::lower) fn running(name: &str) -> Option<Signature> {
    (name == "running").then(|| Signature {
        what: "statistic",
        name: name.to_owned(),
        slots: vec![
            slot("of", Ty::Tensor, None),
            slot("decay", Ty::Float, Some("0.9")),
            slot("start", Ty::Float, Some("0")),
        ],
        header: None,
    })
}

/// The signature of a start that is not a number.
pub(in crate::lower) fn init(name: &str) -> Option<Signature> {
    let slots = match name {
        "he" => vec![slot("fan", FAN, Some("inputs"))],
        "glorot" | "dirac" => Vec::new(),
        "whitening" => vec![
            slot("mean", Ty::Any, None),
            slot("deviation", Ty::Any, None),
            slot("epsilon", Ty::Float, Some("5e-4")),
            slot("examples", Ty::Int, Some("5000")),
        ],
        "orthogonal" => vec![slot("gain", Ty::Float, Some("1"))],
        "normal" => vec![slot("std", Ty::Float, None)],
        "uniform" => vec![slot("bound", Ty::Float, None)],
        _ => return None,
    };
    Some(Signature { what: "start", name: name.to_owned(), slots, header: None })
}

/// The signature of [`BATCH_MEAN`].
pub(in crate::lower) fn batch_mean() -> Signature {
    Signature { what: "function", name: BATCH_MEAN.to_owned(), slots: vec![slot("of", Ty::Any, None)], header: None }
}

/// The signature of a running statistic.
pub(in crate::lower) fn statistic(name: &str) -> Option<Signature> {
    STATISTICS.contains(&name).then(|| Signature {
        what: "statistic",
        name: name.to_owned(),
        slots: vec![
            slot("of", Ty::Any, None),
            slot("decay", Ty::Float, Some("0.999")),
            slot("start", Ty::Float, Some("1")),
        ],
        header: None,
    })
}

impl Slot {
    /// `kernel: pair = 3`.
    pub(in crate::lower) fn text(&self) -> String {
        match (&self.default, &self.ty) {
            (Some(default), Ty::Words(words) | Ty::Word(words)) if words.contains(&default.as_str()) => {
                format!("{}: {} = {default}", self.name, words.join("|"))
            }
            (Some(default), Ty::Any) => format!("{} = {default}", self.name),
            (Some(default), ty) => format!("{}: {ty} = {default}", self.name),
            (None, Ty::Any | Ty::Tensor) => self.name.clone(),
            (None, ty) => format!("{}: {ty}", self.name),
        }
    }

    /// Whether an operator is given.
    pub(in crate::lower) fn is_operator(&self) -> bool {
        self.ty == Ty::Operator
    }
}

impl Signature {
    /// `sphere_conv(x, filters: int, kernel = 3)`.
    pub(in crate::lower) fn text(&self) -> String {
        let list: Vec<String> = self.slots.iter().map(Slot::text).collect();
        format!("{}({})", self.name, list.join(", "))
    }

    /// The call with all that stands in it without a name as one list, where the first parameter takes several.
    pub(in crate::lower) fn gathered<'c>(&self, call: &'c ast::Call) -> Cow<'c, ast::Call> {
        if self.slots.first().is_none_or(|it| it.ty != Ty::Tensors) {
            return Cow::Borrowed(call);
        }
        let (unnamed, named): (Vec<ast::Arg>, Vec<ast::Arg>) =
            call.args.iter().cloned().partition(|it| it.name.is_none());
        let piped = call.piped.as_deref().cloned();
        let list: Vec<ast::Expr> = piped.into_iter().chain(unnamed.into_iter().map(|it| it.value)).collect();
        let ([first, .., last] | [first @ last]) = list.as_slice() else { return Cow::Borrowed(call) };
        let span = if first.span.file == last.span.file {
            Span { end: last.span.end.max(first.span.end), ..first.span }
        } else {
            call.span
        };
        let value = ast::Expr { kind: ast::ExprKind::List(list), span };
        let args = std::iter::once(ast::Arg { name: None, value }).chain(named).collect();
        Cow::Owned(ast::Call { piped: None, args, ..call.clone() })
    }

    /// The parameter before this one, if it is how many there are to be of something a layer makes of its input: frameworks
    /// want to be told of the channels that come in as well.
    fn counted_before(&self, at: usize) -> Option<&str> {
        let [x, .., count] = self.slots.get(..at)? else { return None };
        let counts = x.ty == Ty::Tensor && count.ty == Ty::Int && count.default.is_none();
        (self.what == "layer" && counts).then_some(count.name.as_str())
    }

    /// Puts the arguments of a call in the order of the parameters. Each mistake is a diagnostic;
    /// what did match comes back all the same.
    pub(in crate::lower) fn matched<'a>(&self, call: &'a ast::Call) -> (Matched<'a>, Vec<Diagnostic>) {
        let mut found: Matched<'a> = vec![None; self.slots.len()];
        let mut wrong = Vec::new();
        let mut next = 0;
        let mut too_many: Option<(Span, usize)> = None;
        let report = |span: Span, message: String| {
            let mut it = Diagnostic::new(Code::E0105, span, message).note(format!("signature: {}", self.text()));
            if let Some(header) = self.header {
                it = it.also(header, format!("`{}` is defined here", self.name));
            }
            it
        };
        let given: BTreeSet<&str> =
            call.args.iter().filter_map(|it| it.name.as_ref()).map(|it| it.name.as_str()).collect();
        let piped = call.piped.as_deref().map(|it| (None, it));
        let written = call.args.iter().map(|it| (it.name.as_ref(), &it.value));
        for (name, value) in piped.into_iter().chain(written) {
            let Some(name) = name else {
                match found.get_mut(next) {
                    Some(place @ None) => *place = Some(value),
                    Some(Some(first)) => wrong.push(
                        report(
                            value.span,
                            format!("argument `{}` of `{}` is given twice", self.slots[next].name, self.name),
                        )
                        .label("again here, by position")
                        .also(first.span, "first given here"),
                    ),
                    None => too_many = Some((value.span, too_many.map_or(1, |it| it.1 + 1))),
                }
                next += 1;
                continue;
            };
            let Some(at) = self.slots.iter().position(|it| it.name == name.name) else {
                let mut it =
                    report(name.span, format!("the {} `{}` has no argument `{}`", self.what, self.name, name.name))
                        .label("unknown argument");
                // What is given already cannot have been meant.
                let given = |it: &Slot| given.contains(it.name.as_str());
                let free = self.slots.iter().zip(&found).filter(|(slot, value)| value.is_none() && !given(slot));
                let known = free.map(|it| it.0.name.as_str());
                it = suggest(it, name.span, &name.name, known);
                wrong.push(it);
                continue;
            };
            match &mut found[at] {
                Some(first) => {
                    let it = report(name.span, format!("argument `{}` of `{}` is given twice", name.name, self.name))
                        .label("again here")
                        .also(first.span, "first given here");
                    wrong.push(match self.counted_before(at).filter(|_| matches!(first.kind, ExprKind::Int(_))) {
                        Some(count) => it.help(format!("a layer knows the channels of its input: give `{count}` only")),
                        None => it,
                    });
                }
                place => *place = Some(value),
            }
        }
        if let Some((span, extra)) = too_many {
            let all = next;
            let plural = if self.slots.len() == 1 { "" } else { "s" };
            wrong.push(
                report(
                    span,
                    format!(
                        "the {} `{}` takes {} argument{plural}, found {all}",
                        self.what,
                        self.name,
                        self.slots.len()
                    ),
                )
                .label(if extra == 1 {
                    "one too many".to_owned()
                } else {
                    format!("{extra} too many")
                }),
            );
        }
        let missing: Vec<&Slot> = (self.slots.iter().zip(&found))
            .filter(|(slot, value)| value.is_none() && slot.default.is_none())
            .map(|(slot, _)| slot)
            .collect();
        // An unknown name is most likely the missing one, misspelt: one mistake, one report.
        if !missing.is_empty() && wrong.is_empty() {
            let names: Vec<String> = missing.iter().map(|it| format!("`{}`", it.name)).collect();
            let plural = if names.len() == 1 { "" } else { "s" };
            let list = names.join(", ");
            wrong.push(
                report(call.span, format!("the {} `{}` needs the argument{plural} {list}", self.what, self.name))
                    .label(format!("missing {list}")),
            );
        }
        (found, wrong)
    }
}
