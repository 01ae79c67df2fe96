//! The tree a `.sph` text parses to. Every node has a span; nothing is resolved or checked here.

use crate::diag::Span;

/// A whole text.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// `//!` lines, without the marker.
    pub docs: Vec<String>,
    /// Items in order. An item that did not parse is missing here and reported.
    pub items: Vec<Item>,
    /// The items, statements and entries that did not parse. Nothing is known of what they define or use.
    pub skipped: Vec<Span>,
}

/// A name where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// A top-level item.
#[derive(Clone, Debug)]
pub enum Item {
    /// `import "blocks.sph"`.
    Import(Import),
    /// `param norm: operator = cosine`.
    Param(Param),
    /// `operator cosine(cos) = cos`, or with a body.
    Operator(Function),
    /// `fn swish(x) = x * logistic(x)`, or with a body.
    Fn(Function),
    /// `block unit(x, filters: int) { ... }`.
    Block(Function),
    /// `optimizer lion(rate, beta = 0.9) { ... }`: what a recipe names.
    Recipe(Part, Function),
    /// `model Name { ... }`.
    Model(Model),
    /// `train { ... }`.
    Train(Train),
}

/// `import "blocks.sph"`.
#[derive(Clone, Debug)]
pub struct Import {
    /// The path as written, and the span of the string with its quotes.
    pub path: String,
    /// Span of the string.
    pub path_span: Span,
    /// The whole item.
    pub span: Span,
}

/// `param norm: operator = cosine`.
#[derive(Clone, Debug)]
pub struct Param {
    /// `///` lines.
    pub docs: Vec<String>,
    /// Name.
    pub name: Ident,
    /// Type; left out, it is the default's.
    pub ty: Option<Type>,
    /// Default value.
    pub default: Expr,
    /// The whole item.
    pub span: Span,
}

/// A type annotation.
#[derive(Clone, Debug)]
pub struct Type {
    /// Which.
    pub kind: TypeKind,
    /// Where.
    pub span: Span,
}

/// Types a value can be annotated with.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `int`, `float`, `bool`, `string`, `operator`, `tensor`; other names are for `lower` to report.
    Name(String),
    /// `[int]`: a list. In `let` brackets are a `Shape`; `lower` decides whether it is that of a list.
    List(Box<Type>),
    /// `[16, 16, filters]`: the shape of one example, only in `let`.
    Shape(Vec<Expr>),
}

/// What a definition is to a recipe. Each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// How parameters move.
    Optimizer,
    /// What a rate is multiplied by.
    Schedule,
    /// What is added to the loss for a parameter.
    Penalty,
    /// What evaluation uses in place of the parameters of the last step.
    Average,
    /// What is minimised.
    Loss,
    /// What is told of an evaluation.
    Metric,
}

impl Part {
    /// Every kind.
    pub const ALL: [Part; 6] =
        [Part::Optimizer, Part::Schedule, Part::Penalty, Part::Average, Part::Loss, Part::Metric];

    /// The keyword of a definition, and the entry of a recipe that names one.
    pub fn word(self) -> &'static str {
        match self {
            Part::Optimizer => "optimizer",
            Part::Schedule => "schedule",
            Part::Penalty => "penalty",
            Part::Average => "average",
            Part::Loss => "loss",
            Part::Metric => "metric",
        }
    }

    /// With its article: `an optimizer`.
    pub fn one(self) -> &'static str {
        match self {
            Part::Optimizer => "an optimizer",
            Part::Schedule => "a schedule",
            Part::Penalty => "a penalty",
            Part::Average => "an average",
            Part::Loss => "a loss",
            Part::Metric => "a metric",
        }
    }
}

/// An operator, a pointwise function, a block, a layer or a part of a recipe.
#[derive(Clone, Debug)]
pub struct Function {
    /// `///` lines.
    pub docs: Vec<String>,
    /// Whether it was written `layer`: it counts as a part without a filter where names are given.
    pub layer: bool,
    /// `beside "bn"`: what it keeps lies beside what it is called on.
    pub beside: Option<Ident>,
    /// `as orth`: the column of the log that a penalty counts in.
    pub column: Option<Ident>,
    /// Name.
    pub name: Ident,
    /// Parameters.
    pub params: Vec<FnParam>,
    /// `= expr` is a body of one expression.
    pub body: Body,
    /// From the keyword to the closing parenthesis: what a label underlines.
    pub header: Span,
    /// The whole item.
    pub span: Span,
}

/// `filters: int = 64`.
#[derive(Clone, Debug)]
pub struct FnParam {
    /// Name.
    pub name: Ident,
    /// Type, if given.
    pub ty: Option<Type>,
    /// Default, if given.
    pub default: Option<Expr>,
}

/// `model Name { ... }`.
#[derive(Clone, Debug)]
pub struct Model {
    /// `///` lines.
    pub docs: Vec<String>,
    /// Name.
    pub name: Ident,
    /// Statements.
    pub body: Body,
    /// The whole item.
    pub span: Span,
}

/// Statements between braces; the last one may be an expression, which is the value.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Statements in order.
    pub stmts: Vec<Stmt>,
    /// With the braces (or the expression's own span for `= expr`).
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// Which.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// Statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `input image: u8[32, 32, 3]`.
    Input {
        /// Name bound to the tensor.
        name: Ident,
        /// `u8` or `float`.
        dtype: Ident,
        /// Shape of one example.
        dims: Vec<Expr>,
    },
    /// `let y: [16, 16, filters] = ...` or `let y: int = ...` or `let y = ...`.
    Let {
        /// Name.
        name: Ident,
        /// Annotation.
        ty: Option<Type>,
        /// Value.
        value: Expr,
    },
    /// `x = ...`: binds, or rebinds an existing name of an enclosing scope.
    Assign {
        /// Name.
        name: Ident,
        /// Value.
        value: Expr,
    },
    /// `a, b = ...`: the same of the values of a list.
    Unpack {
        /// Names.
        names: Vec<Ident>,
        /// A list of as many values.
        value: Expr,
    },
    /// `for stage, filters in widths { ... }`.
    For {
        /// The index's name when two names are given.
        index: Option<Ident>,
        /// The item's name.
        item: Ident,
        /// List or range.
        list: Expr,
        /// Repeated statements.
        body: Body,
    },
    /// `if cond { ... } else { ... }` standing alone as a statement. As the last statement of a body it is
    /// the body's value, like an expression, when its branches end with expressions.
    If {
        /// Compile-time condition.
        cond: Expr,
        /// Taken when it holds.
        then: Body,
        /// Taken otherwise; `else if` nests.
        otherwise: Option<Body>,
    },
    /// `assert cond, "message with {values}"`.
    Assert {
        /// Compile-time condition.
        cond: Expr,
        /// Message.
        message: Option<Text>,
    },
    /// `output expr`, or `output aux = expr`.
    Output {
        /// Its name, if it has one.
        name: Option<Ident>,
        /// Value.
        value: Expr,
    },
    /// `learn k: filter = 0.7` in operators, `learn gamma: [channels(x)] = 1` in blocks.
    Learn {
        /// Name.
        name: Ident,
        /// `filter` in `learn query as filter: [n, n] = he`.
        role: Option<Ident>,
        /// What there is one number for.
        scope: Extents,
        /// Start value.
        init: Expr,
    },
    /// `keep velocity = 0`, in optimizers.
    Keep {
        /// Name.
        name: Ident,
        /// Start value.
        init: Expr,
    },
    /// `stat mu = mean(x_norm, decay: 0.999)` in operators, `stat mu: [channels(x)] = running(mean)` in blocks.
    Stat {
        /// Name.
        name: Ident,
        /// Its shape, in blocks.
        dims: Option<Vec<Expr>>,
        /// The statistic as a call.
        value: Expr,
    },
    /// An expression; as the last statement of a body it is the body's value.
    Expr(Expr),
}

/// How many numbers are learned.
#[derive(Clone, Debug)]
pub enum Extents {
    /// One for each `filter`, or for the `layer`: in operators.
    Each(Ident),
    /// A tensor of this shape: in blocks.
    Shape(Vec<Expr>, Span),
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Which.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// Expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `64_000`.
    Int(i64),
    /// `1e-3`.
    Float(f64),
    /// `true`.
    Bool(bool),
    /// `"conv{stage + 1}_{i}"`.
    Str(Text),
    /// A name.
    Name(String),
    /// `[1, 2, 3]`.
    List(Vec<Expr>),
    /// `0..3`.
    Range(Box<Expr>, Box<Expr>),
    /// `-x`, `not x`.
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `f(a, b: c)`. A pipe `x |> f(a)` is a call whose `piped` holds `x`.
    Call(Call),
    /// `list[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// `if cond { a } else { b }` as a value.
    If(Box<Expr>, Body, Option<Body>),
    /// `expr as "name"`, `expr as shared "name"`.
    Named(Box<Expr>, Text, Sharing),
}

/// Whether a name is that of one thing or of the same thing at each of its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// `as "name"`.
    Own,
    /// `as shared "name"`.
    Shared,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub callee: Ident,
    /// The left side of `|>`: becomes the first positional argument.
    pub piped: Option<Box<Expr>>,
    /// Arguments in parentheses.
    pub args: Vec<Arg>,
    /// Callee with its parentheses, without the piped value.
    pub span: Span,
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// `kernel` in `kernel: 3`.
    pub name: Option<Ident>,
    /// Value.
    pub value: Expr,
}

/// A string with `{expr}` holes.
#[derive(Clone, Debug)]
pub struct Text {
    /// Pieces in order.
    pub parts: Vec<TextPart>,
    /// With its quotes.
    pub span: Span,
}

/// A piece of a string.
#[derive(Clone, Debug)]
pub enum TextPart {
    /// Characters, escapes resolved.
    Literal(String),
    /// `{expr}`.
    Hole(Expr),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `not`
    Not,
}

/// Infix operators, loosest first: `or`, `and`, comparisons, `+ -`, `* / %`, `^` (right to left).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the signs")]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
}

/// `train { ... }`.
#[derive(Clone, Debug)]
pub struct Train {
    /// Entries in order.
    pub entries: Vec<TrainEntry>,
    /// The whole item.
    pub span: Span,
    /// The keyword.
    pub keyword: Span,
}

/// `penalty l2(5e-4) on filters, gamma where operator == none every 100`: a key, values and clauses.
#[derive(Clone, Debug)]
pub struct TrainEntry {
    /// `data`, `augment`, `batch`, `penalty`, ...
    pub key: Ident,
    /// Values separated by commas; absent in `evaluate every 500`.
    pub values: Vec<Expr>,
    /// Names after `on` (or right after the value: `project normalize filters`).
    pub on: Vec<Ident>,
    /// Expression after `where`.
    pub filter: Option<Expr>,
    /// Expression after `every`.
    pub every: Option<Expr>,
    /// The whole entry.
    pub span: Span,
}
