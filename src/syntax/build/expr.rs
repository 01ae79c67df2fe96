//! Expressions: flat pairs to trees, by precedence.

use super::*;

/// A piece of a flat expression.
enum Part {
    Operand(Expr),
    Prefix(UnaryOp, Span),
    Infix(Infix, Span),
}

/// A sign between two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Infix {
    Range,
    Op(BinaryOp),
}

const NOT: u8 = 4;
const COMPARE: u8 = 5;
const NEG: u8 = 8;
const POW: u8 = 9;

impl Infix {
    pub(in crate::syntax) fn of(sign: &str) -> Self {
        Self::Op(match sign {
            ".." => return Self::Range,
            "or" => BinaryOp::Or,
            "and" => BinaryOp::And,
            "==" => BinaryOp::Eq,
            "!=" => BinaryOp::Ne,
            "<" => BinaryOp::Lt,
            "<=" => BinaryOp::Le,
            ">" => BinaryOp::Gt,
            ">=" => BinaryOp::Ge,
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            "/" => BinaryOp::Div,
            "%" => BinaryOp::Rem,
            "^" => BinaryOp::Pow,
            other => unreachable!("`{other}` is not an infix operator"),
        })
    }

    /// Higher binds tighter.
    pub(in crate::syntax) fn precedence(self) -> u8 {
        match self {
            Self::Range => 1,
            Self::Op(BinaryOp::Or) => 2,
            Self::Op(BinaryOp::And) => 3,
            Self::Op(BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge) => {
                COMPARE
            }
            Self::Op(BinaryOp::Add | BinaryOp::Sub) => 6,
            Self::Op(BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem) => 7,
            Self::Op(BinaryOp::Pow) => POW,
        }
    }
}

impl Builder<'_> {
    /// `expr` or `inner`.
    pub(super) fn expr(&mut self, pair: Pair<'_>, depth: usize) -> Expr {
        let span = self.span(&pair);
        // Each operator can add a level; so can each link of a chain of pipes.
        let links = pair
            .clone()
            .into_inner()
            .filter(|it| matches!(it.as_rule(), Rule::infix | Rule::neg | Rule::not | Rule::target | Rule::kw_as));
        let depth = depth + links.count() + 1;
        if depth > MAX_DEPTH {
            return self.too_deep(span);
        }

        let mut parts = Vec::new();
        let mut rest = pair.into_inner().peekable();
        while let Some(part) = rest.next_if(|it| !matches!(it.as_rule(), Rule::pipe | Rule::kw_as)) {
            let span = self.span(&part);
            parts.push(match part.as_rule() {
                Rule::neg => Part::Prefix(UnaryOp::Neg, span),
                Rule::not => Part::Prefix(UnaryOp::Not, span),
                Rule::infix => Part::Infix(Infix::of(part.as_str()), span),
                _ => Part::Operand(self.term(part, depth)),
            });
        }
        let mut parts = parts.into_iter().peekable();
        let mut value = self.climb(&mut parts, 0);

        let mut sharing = Sharing::Own;
        for part in rest {
            let end = self.span(&part);
            value = match part.as_rule() {
                Rule::target => {
                    let call = self.call(part, Some(Box::new(value)), depth);
                    let span = call.piped.as_ref().map_or(end, |it| it.span.to(end));
                    Expr { kind: ExprKind::Call(call), span }
                }
                Rule::string => {
                    let span = value.span.to(end);
                    let sharing = std::mem::replace(&mut sharing, Sharing::Own);
                    Expr { kind: ExprKind::Named(Box::new(value), self.string(part, depth), sharing), span }
                }
                Rule::kw_shared => {
                    sharing = Sharing::Shared;
                    value
                }
                _ => value, // `|>`, `as`
            };
        }
        value
    }

    fn too_deep(&mut self, span: Span) -> Expr {
        self.sink.push(
            Diagnostic::new(Code::E0001, span, format!("the expression is more than {MAX_DEPTH} operations deep"))
                .help("give parts of it a name with `let`"),
        );
        Expr { kind: ExprKind::Int(0), span }
    }

    /// Precedence climbing: an operand and all operators that bind at least as tight as `least`.
    fn climb(&mut self, parts: &mut std::iter::Peekable<std::vec::IntoIter<Part>>, least: u8) -> Expr {
        let mut left = match parts.next().expect(GRAMMAR) {
            Part::Operand(it) => it,
            Part::Prefix(op, span) => {
                let inside = self.climb(parts, if op == UnaryOp::Not { NOT } else { NEG });
                let span = span.to(inside.span);
                Expr { kind: ExprKind::Unary(op, Box::new(inside)), span }
            }
            Part::Infix(..) => unreachable!("the grammar has operands around operators"),
        };
        let mut before = None;
        while let Some(Part::Infix(infix, place)) =
            parts.next_if(|it| matches!(it, Part::Infix(infix, _) if infix.precedence() >= least))
        {
            let precedence = infix.precedence();
            let right = self.climb(parts, if precedence == POW { POW } else { precedence + 1 });
            if before == Some(precedence) {
                self.check_chain(infix, place);
            }
            before = Some(precedence);
            let span = left.span.to(right.span);
            let (left_side, right_side) = (Box::new(left), Box::new(right));
            let kind = match infix {
                Infix::Range => ExprKind::Range(left_side, right_side),
                Infix::Op(op) => ExprKind::Binary(op, left_side, right_side),
            };
            left = Expr { kind, span };
        }
        left
    }

    /// `a < b < c` and `0..1..2` have no meaning.
    fn check_chain(&mut self, infix: Infix, place: Span) {
        let diagnostic = match infix.precedence() {
            COMPARE => Diagnostic::new(Code::E0001, place, "comparisons cannot be chained")
                .label("the second comparison")
                .help("write `a < b and b < c`"),
            _ if infix == Infix::Range => {
                Diagnostic::new(Code::E0001, place, "a range has two ends, found a third").help("write `first..end`")
            }
            _ => return,
        };
        self.sink.push(diagnostic);
    }

    fn term(&mut self, pair: Pair<'_>, depth: usize) -> Expr {
        let mut parts = pair.into_inner();
        let first = next(&mut parts);
        let mut value = self.primary(first, depth);
        for (count, part) in parts.enumerate() {
            let span = value.span.to(self.span(&part));
            if depth + count > MAX_DEPTH {
                return self.too_deep(span);
            }
            let index = self.expr(child(part, Rule::inner), depth + count);
            value = Expr { kind: ExprKind::Index(Box::new(value), Box::new(index)), span };
        }
        value
    }

    fn primary(&mut self, pair: Pair<'_>, depth: usize) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::if_expr => self.if_expr(pair, depth),
            Rule::number => self.number(pair.as_str(), span),
            Rule::string => ExprKind::Str(self.string(pair, depth)),
            Rule::list => {
                let items = pair.into_inner().filter(|it| it.as_rule() == Rule::inner);
                ExprKind::List(items.map(|it| self.expr(it, depth)).collect())
            }
            Rule::group => self.expr(child(pair, Rule::inner), depth).kind,
            Rule::truth => ExprKind::Bool(pair.as_str() == "true"),
            Rule::call => ExprKind::Call(self.call(pair, None, depth)),
            Rule::name => ExprKind::Name(pair.as_str().to_string()),
            other => unreachable!("{other:?} is not an operand"),
        };
        Expr { kind, span }
    }

    fn number(&mut self, text: &str, span: Span) -> ExprKind {
        let digits = text.replace('_', "");
        if digits.bytes().all(|it| it.is_ascii_digit()) {
            if let Ok(value) = digits.parse() {
                return ExprKind::Int(value);
            }
            let message = format!("the number is too large: whole numbers reach to {}", i64::MAX);
            self.sink.push(Diagnostic::new(Code::E0001, span, message).label("does not fit into 64 bits"));
            return ExprKind::Int(0);
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => ExprKind::Float(value),
            _ => {
                let message = format!("the number is too large: floats reach to {:e}", f64::MAX);
                self.sink.push(Diagnostic::new(Code::E0001, span, message));
                ExprKind::Float(0.0)
            }
        }
    }

    fn if_expr(&mut self, pair: Pair<'_>, depth: usize) -> ExprKind {
        let span = self.span(&pair);
        // `else if` nests, and what is in a branch needs room as well.
        let branches = pair.clone().into_inner().filter(|it| it.as_rule() == Rule::expr).count();
        if MAX_BRANCHES < branches {
            let message = format!("an `if` of {branches} branches: at most {MAX_BRANCHES}");
            self.sink.push(Diagnostic::new(Code::E0001, span, message).help(
                "pick from a list where the conditions count: `[a, b, c][i]`, or put some in a block of their own",
            ));
            return ExprKind::Int(0);
        }
        let mut conds = Vec::new();
        let mut bodies = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::expr => conds.push(self.expr(part, depth + conds.len())),
                Rule::body => bodies.push(self.body(part, depth + conds.len())),
                _ => {}
            }
        }
        let mut otherwise = if bodies.len() > conds.len() { bodies.pop() } else { None };
        // `else if` nests: the last condition is the innermost.
        while conds.len() > 1 {
            let (cond, then) = (conds.pop().expect(GRAMMAR), bodies.pop().expect(GRAMMAR));
            let span = cond.span.to(otherwise.as_ref().map_or(then.span, |it| it.span));
            let kind = StmtKind::If { cond, then, otherwise };
            otherwise = Some(Body { stmts: vec![Stmt { kind, span }], span });
        }
        ExprKind::If(Box::new(conds.pop().expect(GRAMMAR)), bodies.pop().expect(GRAMMAR), otherwise)
    }

    fn call(&mut self, pair: Pair<'_>, piped: Option<Box<Expr>>, depth: usize) -> Call {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let callee = self.ident(next(&mut parts));
        let args = parts.flat_map(Pair::into_inner).filter(|it| it.as_rule() == Rule::arg);
        let args = args.map(|it| self.arg(it, depth)).collect();
        Call { callee, piped, args, span }
    }

    fn arg(&mut self, pair: Pair<'_>, depth: usize) -> Arg {
        let mut name = None;
        let mut value = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::arg_name => name = Some(self.ident(child(part, Rule::ident))),
                _ => value = Some(self.expr(part, depth)),
            }
        }
        Arg { name, value: value.expect(GRAMMAR) }
    }

    /// A string and its holes.
    pub(super) fn string(&mut self, pair: Pair<'_>, depth: usize) -> Text {
        let span = self.span(&pair);
        let mut parts = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::text => parts.push(TextPart::Literal(unescape(part.as_str()))),
                Rule::hole => {
                    let place = self.span(&part);
                    if part.as_str().contains(['\n', '"']) {
                        self.sink.push(
                            Diagnostic::new(
                                Code::E0001,
                                place,
                                "a hole of a string cannot hold a string or end its line",
                            )
                            .help("give the value a name with `let`, and put the name in the hole"),
                        );
                    }
                    parts.push(TextPart::Hole(self.expr(child(part, Rule::inner), depth)));
                }
                _ => {}
            }
        }
        Text { parts, span }
    }
}

/// `\n`, `\"`, `{{` and their like to what they stand for.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        match it {
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            '{' | '}' => {
                rest.next(); // doubled
                out.push(it);
            }
            _ => out.push(it),
        }
    }
    out
}
