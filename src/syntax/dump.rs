//! The tree as text: `sphc compile --emit ast`. One statement on a line, expressions as `(operator operands)`,
//! no places, so that two texts with the same meaning have the same dump.

use std::fmt::Write;

use super::ast::*;
use crate::diag::Span;

/// A line of the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says of the text there: a statement without its bodies.
    pub span: Span,
    /// In how many items and bodies it is.
    pub level: usize,
    /// What it says.
    pub text: String,
    /// Whether it is documentation.
    docs: bool,
}

/// The whole tree.
pub fn dump(file: &File) -> String {
    let mut dump = Dump { lines: Vec::new(), level: 1 };
    dump.docs(&file.docs);
    for item in &file.items {
        dump.item(item);
    }
    let mut out = String::from("file\n");
    for it in dump.lines {
        let _ = writeln!(out, "{:1$}{2}", "", 2 * it.level, it.text);
    }
    out
}

/// What an item says, a line for its head and one for each statement or entry in it, without documentation.
pub fn lines(item: &Item) -> Vec<Line> {
    let mut dump = Dump { lines: Vec::new(), level: 0 };
    dump.item(item);
    dump.lines.retain(|it| !it.docs);
    dump.lines
}

struct Dump {
    lines: Vec<Line>,
    level: usize,
}

impl Dump {
    fn line(&mut self, span: Span, text: String) {
        self.lines.push(Line { span, level: self.level, text, docs: false });
    }

    fn docs(&mut self, docs: &[String]) {
        let level = self.level;
        let lines =
            docs.iter().map(|it| Line { span: Span::default(), level, text: format!("doc {it:?}"), docs: true });
        self.lines.extend(lines);
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Import(it) => self.line(it.span, format!("import {:?}", it.path)),
            Item::Param(it) => {
                self.docs(&it.docs);
                let ty = annotation(it.ty.as_ref());
                self.line(it.span, format!("param {}{ty} = {}", it.name.name, expr(&it.default)));
            }
            Item::Operator(it) => self.function("operator", it),
            Item::Fn(it) => self.function("fn", it),
            Item::Block(it) => self.function(if it.layer { "layer" } else { "block" }, it),
            Item::Recipe(part, it) => self.function(part.word(), it),
            Item::Model(it) => {
                self.docs(&it.docs);
                self.line(Span { end: it.body.span.start, ..it.span }, format!("model {}", it.name.name));
                self.body(&it.body);
            }
            Item::Train(it) => {
                self.line(it.keyword, "train".to_owned());
                self.level += 1;
                for entry in &it.entries {
                    self.line(entry.span, train_entry(entry));
                }
                self.level -= 1;
            }
        }
    }

    fn function(&mut self, keyword: &str, it: &Function) {
        self.docs(&it.docs);
        let params: Vec<String> = it
            .params
            .iter()
            .map(|it| {
                let default = it.default.as_ref().map(|it| format!(" = {}", expr(it))).unwrap_or_default();
                format!("{}{}{default}", it.name.name, annotation(it.ty.as_ref()))
            })
            .collect();
        let beside = it.beside.as_ref().map(|it| format!(" beside {:?}", it.name)).unwrap_or_default();
        let column = it.column.as_ref().map(|it| format!(" as {}", it.name)).unwrap_or_default();
        self.line(it.header, format!("{keyword} {} ({}){beside}{column}", it.name.name, params.join(", ")));
        self.body(&it.body);
    }

    fn body(&mut self, body: &Body) {
        self.level += 1;
        for it in &body.stmts {
            self.stmt(it);
        }
        self.level -= 1;
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::For { body, .. } => {
                self.line(Span { end: body.span.start, ..stmt.span }, head(stmt));
                self.body(body);
            }
            StmtKind::If { then, otherwise, .. } => {
                self.line(Span { end: then.span.start, ..stmt.span }, head(stmt));
                self.body(then);
                if let Some(it) = otherwise {
                    self.line(Span { end: it.span.start, ..it.span }, "else".to_owned());
                    self.body(it);
                }
            }
            StmtKind::Input { .. }
            | StmtKind::Let { .. }
            | StmtKind::Unpack { .. }
            | StmtKind::Assign { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Output { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. }
            | StmtKind::Expr(_) => self.line(stmt.span, head(stmt)),
        }
    }
}

/// A statement without its bodies.
fn head(stmt: &Stmt) -> String {
    match &stmt.kind {
        StmtKind::Input { name, dtype, dims } => format!("input {}: {}[{}]", name.name, dtype.name, list(dims)),
        StmtKind::Let { name, ty, value } => format!("let {}{} = {}", name.name, annotation(ty.as_ref()), expr(value)),
        StmtKind::Unpack { names, value } => {
            let names: Vec<&str> = names.iter().map(|it| it.name.as_str()).collect();
            format!("{} = {}", names.join(", "), expr(value))
        }
        StmtKind::Assign { name, value } => format!("{} = {}", name.name, expr(value)),
        StmtKind::For { index, item, list, .. } => {
            let index = index.as_ref().map(|it| format!("{}, ", it.name)).unwrap_or_default();
            format!("for {index}{} in {}", item.name, expr(list))
        }
        StmtKind::If { cond, .. } => format!("if {}", expr(cond)),
        StmtKind::Assert { cond, message } => {
            let message = message.as_ref().map(|it| format!(", {}", text(it))).unwrap_or_default();
            format!("assert {}{message}", expr(cond))
        }
        StmtKind::Output { name: None, value } => format!("output {}", expr(value)),
        StmtKind::Output { name: Some(name), value } => format!("output {} = {}", name.name, expr(value)),
        StmtKind::Learn { name, role, scope, init } => {
            let role = role.as_ref().map(|it| format!(" as {}", it.name)).unwrap_or_default();
            let scope = match scope {
                Extents::Each(it) => it.name.clone(),
                Extents::Shape(dims, _) => format!("[{}]", list(dims)),
            };
            format!("learn {}{role}: {scope} = {}", name.name, expr(init))
        }
        StmtKind::Keep { name, init } => format!("keep {} = {}", name.name, expr(init)),
        StmtKind::Stat { name, dims, value } => {
            let dims = dims.as_ref().map(|it| format!(": [{}]", list(it))).unwrap_or_default();
            format!("stat {}{dims} = {}", name.name, expr(value))
        }
        StmtKind::Expr(it) => expr(it),
    }
}

/// A body within an expression.
fn inline(body: &Body) -> String {
    let stmts = body.stmts.iter().map(|it| match &it.kind {
        StmtKind::For { body, .. } => format!("{} {}", head(it), inline(body)),
        StmtKind::If { cond, then, otherwise } => if_else(cond, then, otherwise.as_ref()),
        _ => head(it),
    });
    format!("{{{}}}", stmts.collect::<Vec<_>>().join("; "))
}

fn if_else(cond: &Expr, then: &Body, otherwise: Option<&Body>) -> String {
    let otherwise = otherwise.map(|it| format!(" {}", inline(it))).unwrap_or_default();
    format!("(if {} {}{otherwise})", expr(cond), inline(then))
}

fn train_entry(it: &TrainEntry) -> String {
    let mut out = it.key.name.clone();
    if !it.values.is_empty() {
        let _ = write!(out, " {}", list(&it.values));
    }
    if !it.on.is_empty() {
        let _ = write!(out, " on {}", it.on.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "));
    }
    if let Some(it) = &it.filter {
        let _ = write!(out, " where {}", expr(it));
    }
    if let Some(it) = &it.every {
        let _ = write!(out, " every {}", expr(it));
    }
    out
}

fn annotation(ty: Option<&Type>) -> String {
    fn name(ty: &Type) -> String {
        match &ty.kind {
            TypeKind::Name(it) => it.clone(),
            TypeKind::List(it) => format!("[{}]", name(it)),
            TypeKind::Shape(dims) => format!("[{}]", list(dims)),
        }
    }
    ty.map(|it| format!(": {}", name(it))).unwrap_or_default()
}

fn list(exprs: &[Expr]) -> String {
    exprs.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn expr(it: &Expr) -> String {
    match &it.kind {
        ExprKind::Int(it) => it.to_string(),
        ExprKind::Float(it) => format!("{it:?}"),
        ExprKind::Bool(it) => it.to_string(),
        ExprKind::Str(it) => text(it),
        ExprKind::Name(it) => it.clone(),
        ExprKind::List(it) => format!("[{}]", list(it)),
        ExprKind::Range(a, b) => format!("(.. {} {})", expr(a), expr(b)),
        ExprKind::Unary(op, a) => {
            let sign = match op {
                UnaryOp::Neg => "-",
                UnaryOp::Not => "not",
            };
            format!("({sign} {})", expr(a))
        }
        ExprKind::Binary(op, a, b) => format!("({} {} {})", spelling(*op), expr(a), expr(b)),
        ExprKind::Call(it) => {
            let args = it.args.iter().map(|it| {
                let name = it.name.as_ref().map(|it| format!("{}: ", it.name)).unwrap_or_default();
                format!("{name}{}", expr(&it.value))
            });
            let call = format!("{}({})", it.callee.name, args.collect::<Vec<_>>().join(", "));
            match &it.piped {
                Some(it) => format!("(|> {} {call})", expr(it)),
                None => call,
            }
        }
        ExprKind::Index(a, b) => format!("(index {} {})", expr(a), expr(b)),
        ExprKind::If(cond, then, otherwise) => if_else(cond, then, otherwise.as_ref()),
        ExprKind::Named(it, name, Sharing::Own) => format!("(as {} {})", expr(it), text(name)),
        ExprKind::Named(it, name, Sharing::Shared) => format!("(as shared {} {})", expr(it), text(name)),
    }
}

fn text(text: &Text) -> String {
    let mut out = String::from("\"");
    for part in &text.parts {
        match part {
            TextPart::Literal(it) => {
                let plain = format!("{it:?}");
                out.push_str(&plain[1..plain.len() - 1].replace('{', "{{").replace('}', "}}"));
            }
            TextPart::Hole(it) => {
                let _ = write!(out, "{{{}}}", expr(it));
            }
        }
    }
    out.push('"');
    out
}

fn spelling(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
        BinaryOp::Pow => "^",
    }
}
