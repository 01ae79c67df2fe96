//! What is being written at a place, by the marks before it: what stands there does not parse yet.

use crate::syntax::{self, ITEMS, Token, TokenKind};

/// A call whose parentheses are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call<'t> {
    pub(super) callee: &'t str,
    /// First byte of the callee.
    pub(super) at: usize,
    /// Whether something is piped into it.
    pub(super) piped: bool,
    /// Arguments before the one that is written.
    pub(super) before: usize,
    /// Names that were given.
    pub(super) given: Vec<&'t str>,
    /// `kernel` behind `kernel:`.
    pub(super) argument: Option<&'t str>,
    /// Whether it is an element of a list that is written.
    pub(super) in_list: bool,
}

/// Where a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inside<'t> {
    /// Outside of every item.
    Top,
    /// In the recipe.
    Recipe,
    /// In a body, or behind `=` of an item.
    Code,
    /// In a string: what is before it or compared with it, and what is written of it.
    Text { word: &'t str, written: &'t str },
    /// In the braces of a string.
    Hole,
    /// In a comment, where nothing is completed.
    Comment,
}

/// All that the marks tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context<'t> {
    pub(super) inside: Inside<'t>,
    /// The innermost call.
    pub(super) call: Option<Call<'t>>,
    /// The call around it.
    pub(super) outer: Option<Call<'t>>,
    /// What the item starts with.
    pub(super) item: &'t str,
    /// The words and signs of the statement or entry, up to the place.
    pub(super) line: Vec<&'t str>,
    /// First byte of the word that is written.
    pub(super) start: usize,
}

/// A bracket that is open, and where what is in it starts among the tokens.
struct Group {
    sign: char,
    first: usize,
}

/// Looks at a text up to a place.
pub(super) fn context(text: &str, place: usize) -> Context<'_> {
    let text = &text[..place];
    let mut tokens = syntax::tokens(text);
    let word = |it: &Token| &text[it.start..it.end];
    let mut start = place;
    let none = |inside, start| Context { inside, call: None, outer: None, item: "", line: Vec::new(), start };
    match tokens.last() {
        Some(it) if it.kind == TokenKind::Comment => return none(Inside::Comment, place),
        Some(it) if it.kind == TokenKind::OpenString => {
            let (first, written) = (it.start + 1, &text[it.start + 1..]);
            let before = |back: usize| tokens.len().checked_sub(back).map_or("", |at| word(&tokens[at]));
            // A hole is code, as if the string were not there.
            if let Some(open) = written.rfind('{').filter(|it| !written[*it..].contains('}')) {
                let hole = &written[open + 1..];
                let named = hole.rfind(|it: char| !it.is_alphanumeric() && it != '_').map_or(0, |it| it + 1);
                return none(Inside::Hole, first + open + 1 + named);
            }
            let word = if matches!(before(2), "==" | "!=") { before(3) } else { before(2) };
            return none(Inside::Text { word, written }, first);
        }
        Some(it) if it.kind == TokenKind::Word && it.end == place => {
            start = it.start;
            tokens.pop();
        }
        Some(_) | None => {}
    }
    let mut groups: Vec<Group> = Vec::new();
    // Where the item, and the statement, start.
    let (mut item, mut line) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open(sign) => {
                groups.push(Group { sign, first: at + 1 });
                if sign == '{' {
                    line = at + 1;
                }
            }
            TokenKind::Close(_) => {
                if let Some(Group { sign: '{', .. }) = groups.pop() {
                    line = at + 1;
                }
            }
            TokenKind::Newline => {
                let ended = groups.iter().all(|it| it.sign == '{') && !continues(&tokens[line..at], &word);
                if ended {
                    line = at + 1;
                    // What a closing brace was forgotten of ends where the next item starts.
                    let next = tokens.get(at + 1).map_or("", &word);
                    if ITEMS.contains(&next) && tokens.get(at + 1).is_some_and(|it| text[..it.start].ends_with('\n')) {
                        groups.clear();
                    }
                    if groups.is_empty() {
                        item = at + 1;
                    }
                }
            }
            _ => {}
        }
    }
    let head = tokens.get(item).map_or("", &word);
    let inside = match (groups.first(), head) {
        (None, _) if tokens[item..].is_empty() => Inside::Top,
        (Some(_), "train") => Inside::Recipe,
        _ => Inside::Code,
    };
    // An element of a list is still the argument's; what an index or a body holds is not.
    let lists = groups.iter().rev().take_while(|it| it.sign == '[' && is_list(&tokens, it.first)).count();
    let mut calls = groups[..groups.len() - lists].iter().rev().map(|it| match it.sign {
        '(' => call(text, &tokens, it.first).map(|it| Call { in_list: lists != 0, ..it }),
        _ => None,
    });
    let (call, outer) = (calls.next().flatten(), calls.next().flatten());
    let line = tokens[line..].iter().filter(|it| it.kind != TokenKind::Newline).map(word).collect();
    Context { inside, call, outer, item: head, line, start }
}

/// Whether a line goes on behind its end.
fn continues<'t>(line: &[Token], word: &impl Fn(&Token) -> &'t str) -> bool {
    let Some(last) = line.iter().rev().find(|it| it.kind != TokenKind::Comment) else { return false };
    match last.kind {
        TokenKind::Sign => true,
        TokenKind::Word => matches!(word(last), "and" | "or" | "as"),
        _ => false,
    }
}

/// Whether a bracket opens a list, which no operand stands before.
fn is_list(tokens: &[Token], first: usize) -> bool {
    let before = first.checked_sub(2).and_then(|it| tokens.get(it)).map(|it| it.kind);
    !matches!(before, Some(TokenKind::Word | TokenKind::Close(_)))
}

/// The call whose parentheses hold the tokens from `first` on.
fn call<'t>(text: &'t str, tokens: &[Token], first: usize) -> Option<Call<'t>> {
    let word = |it: &Token| &text[it.start..it.end];
    let callee = first.checked_sub(2).and_then(|it| tokens.get(it)).filter(|it| it.kind == TokenKind::Word)?;
    // The parameters of a definition are no arguments.
    let before = first.checked_sub(3).and_then(|it| tokens.get(it)).map_or("", word);
    if ITEMS.contains(&before) && at_line_start(text, tokens, first - 3) {
        return None;
    }
    let (mut depth, mut count, mut given, mut argument) = (0usize, 0, Vec::new(), None);
    for (at, token) in tokens.iter().enumerate().skip(first) {
        match token.kind {
            TokenKind::Open(_) => depth += 1,
            TokenKind::Close(_) => depth = depth.saturating_sub(1),
            TokenKind::Sign if depth == 0 && word(token) == "," => {
                count += 1;
                argument = None;
            }
            TokenKind::Sign if depth == 0 && word(token) == ":" => {
                let name = tokens[..at].last().map_or("", word);
                given.push(name);
                argument = Some(name);
            }
            _ => {}
        }
    }
    let piped = before == "|>";
    Some(Call { callee: word(callee), at: callee.start, piped, before: count, given, argument, in_list: false })
}

/// Whether a word is the first of a line without indentation, as those of items are.
fn at_line_start(text: &str, tokens: &[Token], at: usize) -> bool {
    let start = tokens[at].start;
    start == 0 || text[..start].ends_with(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at the mark `@`.
    fn at(text: &str) -> (String, usize) {
        let place = text.find('@').unwrap();
        (text.replace('@', ""), place)
    }

    #[test]
    fn arguments_are_counted_in_the_innermost_call() {
        let (text, place) = at("model M {\n    x = conv(f(x, 1), kernel: 3, pa@\n}\n");
        let found = context(&text, place);
        let call = found.call.unwrap();
        assert_eq!((call.callee, call.before, call.piped), ("conv", 2, false));
        assert_eq!((call.given, call.argument), (vec!["kernel"], None));
        assert_eq!((found.inside, &text[found.start..place]), (Inside::Code, "pa"));
        let (text, place) = at("model M {\n    x\n        |> pool(2)\n        |> conv(16, operator: @");
        let call = context(&text, place).call.unwrap();
        assert_eq!((call.callee, call.before, call.piped, call.argument), ("conv", 1, true, Some("operator")));
    }

    #[test]
    fn elements_of_a_list_are_the_arguments() {
        let call = |text: &str| {
            let (text, place) = at(text);
            context(&text, place).call.map(|it| (it.callee.to_owned(), it.argument.map(str::to_owned), it.in_list))
        };
        let over = Some(("mean".to_owned(), Some("over".to_owned()), true));
        assert_eq!(call("model M {\n    x = mean(x, over: [@"), over);
        assert_eq!(call("model M {\n    x = mean(x, over: [batch, @"), over);
        // Neither an index, nor a list of its own.
        assert_eq!(call("model M {\n    x = f(widths[@"), None);
        assert_eq!(call("model M {\n    x = [1, @"), None);
        assert_eq!(call("loss own(scores, @"), None);
        assert_eq!(call("train {\n    loss own(@").map(|it| it.0), Some("own".to_owned()));
    }

    #[test]
    fn places_are_told_apart() {
        let inside = |text: &str| {
            let (text, place) = at(text);
            format!("{:?} {:?}", context(&text, place).inside, context(&text, place).line)
        };
        assert_eq!(inside("pa@"), "Top []");
        assert_eq!(inside("param a = 1\n@"), "Top []");
        assert_eq!(inside("param a = @"), "Code [\"param\", \"a\", \"=\"]");
        assert_eq!(inside("train {\n    data digits\n    o@\n}"), "Recipe []");
        assert_eq!(
            inside("train {\n    penalty l2(1e-4) on @\n}"),
            "Recipe [\"penalty\", \"l2\", \"(\", \"1e-4\", \")\", \"on\"]"
        );
        assert_eq!(inside("model M {\n    x = 1 +\n        @\n}"), "Code [\"x\", \"=\", \"1\", \"+\"]");
        // The brace of the model is forgotten.
        assert_eq!(inside("model M {\n    x = 1\ntrain {\n    @"), "Recipe []");
        assert_eq!(inside("model M {\n    x = conv(x) as \"c{i@"), "Hole []");
        assert_eq!(
            inside("train {\n    freeze on all where layer == \"sc@"),
            "Text { word: \"layer\", written: \"sc\" } []"
        );
        assert_eq!(inside("// a@"), "Comment []");
        assert_eq!(inside("import \"std/@\n"), "Text { word: \"import\", written: \"std/\" } []");
        assert_eq!(inside("block unit(x, @"), "Code [\"block\", \"unit\", \"(\", \"x\", \",\"]");
    }
}
