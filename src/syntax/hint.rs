//! Mistakes that have a name: what other languages write, and what to write here.

use super::divisions;
use super::grammar::Rule;
use super::report::Mistake;
use super::scan::TokenKind;
use super::typography;
use super::words::{ITEMS, RESERVED, STATEMENTS};
use crate::diag::{Span, did_you_mean};

/// What to say of a mistake that is recognised.
pub(super) struct Hint {
    /// In place of "expected ..., found ...".
    pub(super) message: Option<String>,
    /// In place of the place of the parser.
    pub(super) place: Option<Span>,
    pub(super) help: String,
    pub(super) edit: Option<(Span, String)>,
}

/// All that an item can start with, in words.
pub(super) const ANY_ITEM: &str = "`import`, `param`, `operator`, `fn`, `block`, `layer`, `loss`, `metric`, `optimizer`, `schedule`, `penalty`, `average`, `model` or `train`";

/// The hint for a mistake, if it is a known one.
pub(super) fn hint(it: &Mistake<'_>) -> Option<Hint> {
    if it.in_string {
        return string(it);
    }
    if it.divided {
        return help(divisions::WHOLE_DIVISION);
    }
    typographic(it)
        .or_else(|| foreign_word(it))
        .or_else(|| module(it))
        .or_else(|| parameters(it))
        .or_else(|| import(it))
        .or_else(|| unpacked(it))
        .or_else(|| sign(it))
        .or_else(|| word(it))
        .or_else(|| comma(it))
}

fn help(text: impl Into<String>) -> Option<Hint> {
    Some(Hint { message: None, place: None, help: text.into(), edit: None })
}

impl Hint {
    fn edit(mut self, span: Span, text: impl Into<String>) -> Option<Self> {
        self.edit = Some((span, text.into()));
        Some(self)
    }

    fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }
}

fn string(it: &Mistake<'_>) -> Option<Hint> {
    match it.found_word() {
        "}" if it.expects(&[Rule::close_quote, Rule::text, Rule::hole]) => {
            let found = it.found?;
            help("`{...}` holds a value; write `}}` for the sign itself")?
                .message("`}` without its `{` in a string")
                .edit(it.span(found.start, found.end), "}}")
        }
        "}" => Some(
            help("put a value between the braces, or write `{{` and `}}` for the signs")?
                .message("an empty hole in a string"),
        ),
        "\"" => Some(
            help("close the hole with `}`, or write `{{` for the sign itself")?
                .message("expected `}`, found the end of the string"),
        ),
        "\\" => Some(help("the escapes are `\\n`, `\\t`, `\\\"` and `\\\\`")?.message("unknown escape in a string")),
        _ => Some(
            help("`{...}` in a string holds an expression; write `{{` and `}}` for the signs")?
                .message("the hole of this string is not an expression"),
        ),
    }
}

/// Words before a `.` in other languages.
const MODULES: [&str; 12] = ["nn", "F", "torch", "tf", "keras", "layers", "K", "np", "math", "jnp", "jax", "self"];

/// Functions whose name here is the one after the `.` there.
const FUNCTIONS: [&str; 9] = ["relu", "tanh", "gelu", "elu", "softplus", "exp", "log", "sqrt", "abs"];

/// A sign or letter that is not one of the language's.
fn typographic(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found?;
    let sign = it.text[found.start..].chars().next().filter(|it| !it.is_ascii())?;
    let place = it.span(found.start, found.start + sign.len_utf8());
    let code = format!("U+{:04X}", sign as u32);
    let Some((plain, name)) = typography::meant(sign) else {
        let message = format!("`{sign}` ({code}) is not part of the language");
        let help = "names are made of the letters a to z, digits and `_`; anything can stand in comments and strings";
        return Some(Hint { message: Some(message), place: Some(place), help: help.to_owned(), edit: None });
    };
    let (shown, help) = match &*plain {
        "" => (code, "remove it".to_owned()),
        " " => (code, "write a plain space".to_owned()),
        plain => (format!("`{sign}`"), format!("write `{plain}`")),
    };
    let line = it.text[found.start..].lines().next().unwrap_or("");
    let (len, by) = typography::mended(line);
    let edit = Some((it.span(found.start, found.start + len), by));
    Some(Hint { message: Some(format!("{shown} is {name}")), place: Some(place), help, edit })
}

/// `nn.ReLU()`, `self.conv(x)`.
fn module(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found.filter(|found| it.word(*found) == ".")?;
    let before =
        *it.before.last().filter(|before| before.end == found.start && MODULES.contains(&it.word(**before)))?;
    let module = it.word(before);
    let rest = &it.text[found.end..];
    let name: String = rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    let known = FUNCTIONS.iter().find(|it| name.eq_ignore_ascii_case(it));
    let text = match (known, module) {
        (Some(known), _) => format!("names stand alone: `{known}`"),
        (None, "self") => "a layer is created where it is called, as in `x = conv(x, 16)`".to_owned(),
        (None, _) => format!("names stand alone, without `{module}.`: `conv`, `batch_norm`, `max_pool`, `relu`"),
    };
    let message = if module == "self" { "there is no `self`" } else { "there are no modules" };
    let hint = Hint { message: Some(message.to_owned()), place: None, help: text, edit: None };
    match known {
        Some(known) => hint.edit(it.span(before.start, found.end + name.len()), *known),
        None => Some(hint),
    }
}

/// `import blocks.sph`, `import torch.nn as nn`.
fn import(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found?;
    if it.previous(0) != "import" || found.kind != TokenKind::Word {
        return None;
    }
    let line = it.text[found.start..].lines().next().unwrap_or("").trim_end();
    let text = "an import names a file in quotes: `import \"blocks.sph\"`";
    if line.ends_with(".sph") && !line.contains(char::is_whitespace) {
        return help(text)?.edit(it.span(found.start, found.start + line.len()), format!("\"{line}\""));
    }
    help(text)
}

/// `(a, b) = split(x, 2)`, `[a, b] = split(x, 2)`.
fn unpacked(it: &Mistake<'_>) -> Option<Hint> {
    let first = *it.before.first().filter(|first| matches!(it.word(**first), "(" | "["))?;
    let line = it.text[first.start..].lines().next().unwrap_or("");
    let (list, value) = line.split_once('=').filter(|_| it.strict == Rule::strict_stmt)?;
    let list = list.trim_end();
    let names = list.get(1..)?.strip_suffix([')', ']'])?.trim().trim_end_matches(',');
    let is_name = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_alphanumeric() || it == '_');
    if value.starts_with('=') || names.split(',').count() < 2 || !names.split(',').all(|it| is_name(it.trim())) {
        return None;
    }
    let place = it.span(first.start, first.start + list.len());
    let hint = Hint {
        message: Some("the names that a list is taken apart into stand alone".to_owned()),
        place: Some(place),
        help: format!("write `{names} = ...`"),
        edit: None,
    };
    hint.edit(place, names)
}

/// `block unit x, filters {`.
fn parameters(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found.filter(|it| it.kind == TokenKind::Word)?;
    if it.strict != Rule::strict_item || it.before.len() != 2 || !it.expects(&[Rule::fn_params, Rule::open_paren]) {
        return None;
    }
    let line = it.text[found.start..].lines().next().unwrap_or("");
    let list = line[..line.find(['{', '='])?].trim_end();
    let end = found.start + list.len();
    help("parameters stand in parentheses")?.edit(it.span(it.gap().start as usize, end), format!("({list})"))
}

/// Two things in a list without a comma.
fn comma(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found?;
    if it.expects(&[Rule::kw_in]) {
        return help("write `for i in 0..n`")?.edit(it.gap(), " in");
    }
    let starts = matches!(found.kind, TokenKind::Word | TokenKind::Number | TokenKind::String | TokenKind::Open(_));
    if starts && it.expects(&[Rule::comma]) && it.expected.len() <= 3 {
        return help("add `,`")?.edit(it.gap(), ",");
    }
    None
}

/// A first word that no statement or item starts with.
fn foreign_word(it: &Mistake<'_>) -> Option<Hint> {
    let first = *it.before.first().or(it.found.as_ref())?;
    let word = it.word(first);
    let place = it.span(first.start, first.end);
    let at_first = it.before.is_empty();
    if first.kind != TokenKind::Word || it.before.len() > 1 {
        return None;
    }
    let instead = |message: String, text: &str, edit: Option<&str>| {
        let edit = edit.map(|it| (place, it.to_string()));
        Some(Hint { message: Some(message), place: Some(place), help: text.to_string(), edit })
    };
    match it.strict {
        Rule::strict_item if at_first => {
            let (text, edit) = match word {
                "def" | "func" | "function" | "class" | "layer" | "module" => {
                    ("layers are put together in a `block`, scalar functions are `fn`", None)
                }
                "net" | "network" => ("a network is a `model`", Some("model")),
                "const" | "var" | "let" | "static" => ("a value for the whole file is a `param`", Some("param")),
                "use" | "include" | "from" | "require" => ("another file is read with `import \"blocks.sph\"`", None),
                "for" | "if" | "output" | "input" | "assert" => ("statements stand in a `block` or a `model`", None),
                _ => match did_you_mean(word, ITEMS) {
                    Some(known) => {
                        return instead(
                            format!("unknown item `{word}`"),
                            &format!("did you mean `{known}`?"),
                            Some(known),
                        );
                    }
                    None => ("statements stand in a `block` or a `model`; the recipe stands in `train { ... }`", None),
                },
            };
            let message = format!("expected {ANY_ITEM}, found `{word}`");
            instead(message, text, edit)
        }
        Rule::strict_stmt => {
            // Only where two words follow each other; `x y` is not another mistake.
            let (text, edit) = match word {
                "else" | "elif" if at_first || word == "elif" => {
                    ("an `else` or `else if` follows the `}` of its `if`", None)
                }
                "while" | "loop" | "repeat" => ("repeat with `for i in 0..n { ... }`", None),
                "return" if it.strict == Rule::strict_stmt && it.found.is_some_and(|it| it.kind != TokenKind::Sign) => {
                    ("the last expression of a block is its value; a model has `output`", Some(""))
                }
                "return" => ("the last expression of a block is its value; a model has `output`", None),
                "var" | "const" | "mut" => ("a name is bound with `let name = ...`", Some("let")),
                _ if at_first || it.found.is_none_or(|it| it.kind != TokenKind::Word) => return None,
                it if ITEMS.contains(&it) => ("items stand at the top of the file, outside of all braces", None),
                _ => match did_you_mean(word, STATEMENTS) {
                    Some(known) => {
                        return instead(
                            format!("unknown statement `{word}`"),
                            &format!("did you mean `{known}`?"),
                            Some(known),
                        );
                    }
                    None => return None,
                },
            };
            instead(format!("expected a statement, found `{word}`"), text, edit)
        }
        _ => None,
    }
}

fn sign(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found?;
    let place = it.span(found.start, found.end);
    let replace = |text: &str, by: &str| help(text)?.edit(place, by);
    let previous = it.previous(0);
    match it.found_word() {
        "#" if it.text[found.start..].starts_with("#include") => {
            help("another file is read with `import \"blocks.sph\"`")?
                .message("expected `import`, found `#include`")
                .edit(it.span(found.start, found.start + "#include".len()), "import")
        }
        "#" => help("a comment starts with `//`")?.message("expected a comment to start with `//`, found `#`").edit(
            it.span(found.start, found.start + it.text[found.start..].bytes().take_while(|it| *it == b'#').count()),
            "//",
        ),
        "{" if it.strict == Rule::strict_entry => help(
            "an entry is its key and its value, and the value has its arguments in parentheses: `optimizer adam(rate: 1e-3)`",
        ),
        "." | "/" | ".."
            if it.strict == Rule::strict_entry && it.before.first().is_some_and(|key| it.word(*key) == "data") =>
        {
            help("name a data set, as in `data cifar10`; where its files are is told by `--data DIR`")
        }
        "," if it.expected.as_slice() == [Rule::close_paren] => help("a pair or a list stands in brackets: `[2, 2]`"),
        "," | ")" if previous == "%" => help("a share is written as a number: 1% is `0.01`"),
        "->" if it.strict == Rule::strict_stmt && it.before.first().is_some_and(|first| it.word(*first) != "for") => {
            replace("a value is piped with `|>`", "|>")
        }
        "=" if it.strict == Rule::strict_item && it.expects(&[Rule::fn_params, Rule::open_paren]) => {
            help(format!("the parameters come before the `=`: `{} {previous}(...) = ...`", it.previous(1)))
        }
        "=" if it.strict == Rule::strict_item && it.expects(&[Rule::open_brace, Rule::body, Rule::entries]) => {
            replace("remove the `=`", "")
        }
        "=" if it.strict == Rule::strict_stmt && it.before.len() == 2 && it.previous(1) == "learn" => {
            // The item that it stands in begins the last line that is not indented.
            let item =
                it.text[..found.start].lines().rfind(|line| line.starts_with(|it: char| it.is_ascii_lowercase()));
            if item.is_some_and(|it| it.starts_with("operator")) {
                help("say what learns it, each `filter` or the whole `layer`")?.edit(it.gap(), ": filter")
            } else {
                help(format!("say its extents: `learn {previous}: [channels(x)] = ...`"))
            }
        }
        "=" if it.strict == Rule::strict_entry && it.before.iter().any(|part| it.word(*part) == "where") => {
            replace("compare with `==`", "==")
        }
        ":" if it.strict == Rule::strict_stmt && it.before.len() == 1 && it.text[found.end..].starts_with('=') => {
            help("a name is bound with `=`")?.edit(it.span(found.start, found.end + 1), "=")
        }
        ";" if it.rest_of_line(found.end).is_empty() => replace("a statement ends with its line; remove the `;`", ""),
        ";" => replace("each statement has a line of its own", "\n"),
        "&&" | "&" => replace("write `and`", "and"),
        "|" if it.after_pipe() => replace("a value is piped with `|>`", "|>"),
        "||" | "|" => replace("write `or`", "or"),
        ">" if it.text[found.start..].starts_with(">>") => {
            help("a value is piped with `|>`")?.edit(it.span(found.start, found.end + 1), "|>")
        }
        "+" | "-" if previous == it.found_word() && it.before.len() == 2 => {
            let (name, sign) = (it.previous(1), it.found_word());
            let start = it.before.first().map_or(found.start, |it| it.start);
            help(format!("write `{name} = {name} {sign} 1`"))?
                .message(format!("there is no operator `{sign}{sign}`"))
                .edit(it.span(start, found.end), format!("{name} = {name} {sign} 1"))
        }
        "?" => help("a choice is written `if condition { a } else { b }`"),
        "[" if previous.starts_with(|it: char| it.is_uppercase()) && it.previous(1) == ":" => {
            let start = it.before.last().map_or(found.start, |it| it.start);
            help("a list is written `[int]`, without a word before it")?.edit(it.span(start, found.start), "")
        }
        "!" => replace("write `not`", "not "),
        "*" if previous == "*" => help("a power is written `x^2`"),
        "**" => replace("a power is written `x^2`", "^"),
        "'" => help("strings stand in double quotes: `\"name\"`"),
        "->" => help("the last expression of the body is the result; its type is not written"),
        "::" => help("names have one part; imported names are used as they are"),
        "=" if it.strict == Rule::strict_entry && it.before.len() == 1 => {
            let spaced = it.span(it.before[0].end, found.end);
            help("an entry is its key and its value: `batch 128`")?.edit(spaced, "")
        }
        ":" if it.before.len() == 2 && it.previous(1) == "keep" => {
            let hint = help(format!("it has the shape of the parameter that it is kept for: `keep {previous} = 0`"))?
                .message("expected `=`, found `:`; what an optimizer keeps has no shape of its own");
            let rest = &it.text[found.end..];
            match rest.find('=').filter(|at| !rest[..*at].contains('\n')) {
                Some(at) => hint.edit(it.span(it.gap().start as usize, found.end + at), " "),
                None => Some(hint),
            }
        }
        ":" if it.strict == Rule::strict_entry && it.before.len() == 1 => {
            replace("an entry is its key and its value: `batch 128`", "")
        }
        ":" if it.strict == Rule::strict_stmt && it.before.len() == 1 => {
            let start = it.before[0].start;
            help(format!("a name with a type is bound with `let {previous}: ... = ...`"))?
                .edit(it.span(start, start), "let ")
        }
        "=" if matches!(previous, "+" | "-" | "*" | "/") => {
            let name = it.previous(1);
            let hint = help(format!("write `{name} = {name} {previous} ...`"))?
                .message(format!("there is no operator `{previous}=`"));
            // What follows a `-` would have to be in parentheses.
            match it.before.last().filter(|_| previous == "+" && it.before.len() == 2) {
                Some(sign) => hint.edit(it.span(sign.start, found.end), format!("= {name} +")),
                None => Some(hint),
            }
        }
        "=" | "." if previous == ".." => help("a range is `first..end`, and `end` is not in it"),
        "=" if it.expects(&[Rule::close_paren]) => {
            let gap = it.span(it.gap().start as usize, found.end);
            help("an argument is given its name with `:`, as in `kernel: 3`")?.edit(gap, ":")
        }
        "=" if it.expects(&[Rule::open_brace, Rule::body])
            || it.before.first().is_some_and(|first| it.word(*first) == "assert") =>
        {
            replace("compare with `==`", "==")
        }
        "." if it.rest_of_line(found.end).is_empty() => replace("a line ends without a full stop", ""),
        "." if it.found_next_is_number() => help("write the zero: `0.5`"),
        "." => help("there are no methods: write `x |> f(...)` or `f(x, ...)`"),
        "[" if previous == ":" && it.expects(&[Rule::ident]) => {
            help("the type of the numbers comes first: `u8[32, 32, 3]`")
        }
        "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | "<" | ">" if it.after_pipe() => {
            help("put the pipe in parentheses: `(x |> f) + y`")
        }
        _ => None,
    }
}

fn word(it: &Mistake<'_>) -> Option<Hint> {
    let found = it.found?;
    let word = it.found_word();
    let place = it.span(found.start, found.end);
    if found.kind == TokenKind::Word && it.expects(&[Rule::ident]) && RESERVED.contains(&word) {
        return help(format!("`{word}` is a keyword; take another name"));
    }
    if it.expects(&[Rule::kw_in]) && it.expected.len() <= 2 && matches!(word, "=" | "of" | "on" | "from" | ":") {
        return help("write `for i in 0..n`")?.edit(place, "in");
    }
    if it.previous(0) == "as" && it.expects(&[Rule::string, Rule::open_quote]) && found.kind == TokenKind::Word {
        let quoted = it.text[found.end..].starts_with('"');
        return if quoted {
            help("a string needs no letter before it: `\"conv{i}\"` has its values already")?.edit(place, "")
        } else {
            help(format!("a name after `as` is a string: `\"{word}\"`"))?.edit(place, format!("\"{word}\""))
        };
    }
    if found.kind == TokenKind::Number && it.strict == Rule::strict_entry && word.ends_with(['k', 'K', 'm', 'M']) {
        let zeros = if word.ends_with(['k', 'K']) { "_000" } else { "_000_000" };
        let number = format!("{}{zeros}", &word[..word.len() - 1]);
        if !word.contains('.') {
            return help(format!("a number has no unit: write `{number}`"))?.edit(place, number);
        }
    }
    if found.kind == TokenKind::Number && word.contains(|it: char| it.is_alphabetic()) {
        let digits = word.trim_end_matches(|it: char| it.is_alphabetic() || it == '_');
        return help(format!("a product is written with its sign: `{digits} * {}`", &word[digits.len()..]));
    }
    if matches!(word, "elif" | "elsif" | "elseif") && it.previous(0) == "}" {
        return help("another condition is written `else if`")?.edit(place, "else if");
    }
    if it.previous(0) == "lambda" {
        return help("there are no functions without a name: write `fn name(x) = ...` at the top of the file");
    }
    if word == "if" && it.strict == Rule::strict_stmt && !it.before.is_empty() {
        return help("a choice is written `if condition { a } else { b }`");
    }
    if it.previous(0) == "|>" {
        return help("the right side of `|>` is the name of a block or function, with more arguments in parentheses");
    }
    None
}

impl Mistake<'_> {
    fn found_next_is_number(&self) -> bool {
        let after = self.found.map_or("", |it| &self.text[it.end..]);
        self.expects(&[Rule::expr, Rule::inner, Rule::term, Rule::arg])
            && after.starts_with(|it: char| it.is_ascii_digit())
    }

    /// What follows on the line, without a comment.
    fn rest_of_line(&self, from: usize) -> &str {
        let line = self.text[from..].lines().next().unwrap_or("");
        line.split("//").next().unwrap_or("").trim()
    }

    /// Whether the mistake follows `|> name` or `|> name(...)`.
    fn after_pipe(&self) -> bool {
        let mut depth = 0_usize;
        let mut rest = self.before.iter().rev().skip_while(|it| {
            match it.kind {
                TokenKind::Close(_) => depth += 1,
                TokenKind::Open(_) => depth = depth.saturating_sub(1),
                TokenKind::Word if depth == 0 => return false,
                _ => return depth > 0,
            }
            true
        });
        rest.next().is_some() && rest.next().is_some_and(|it| self.word(*it) == "|>")
    }
}
