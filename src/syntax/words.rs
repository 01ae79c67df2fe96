//! Words of the grammar: one table for the parser's hints, for editors and for what is told of a text.

/// The words that an item starts with.
pub const ITEMS: [&str; 14] = [
    "import",
    "param",
    "operator",
    "fn",
    "block",
    "layer",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "penalty",
    "average",
    "model",
    "train",
];

/// The words that a statement starts with.
pub const STATEMENTS: [&str; 9] = ["let", "for", "if", "input", "output", "learn", "keep", "stat", "assert"];

/// Words that are no names anywhere.
pub const RESERVED: [&str; 11] = ["and", "as", "else", "false", "for", "if", "in", "let", "not", "or", "true"];

/// Words that are some only where they can stand.
const WITHIN: [&str; 5] = ["beside", "shared", "on", "where", "every"];

/// Whether the grammar knows a word as one of its own.
pub fn is_keyword(word: &str) -> bool {
    [&ITEMS[..], &STATEMENTS, &RESERVED, &WITHIN].iter().any(|it| it.contains(&word))
}

/// The words of expressions: no name, and not those that only begin a statement or part it.
pub fn within_expressions() -> impl Iterator<Item = &'static str> {
    let only_statements = |it: &str| it != "if" && STATEMENTS.contains(&it);
    RESERVED.into_iter().filter(move |it| !only_statements(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn these_are_the_words_of_the_grammar() {
        let grammar = include_str!("../../grammar/sph.pest");
        let rules = grammar.split("\nreserved ").nth(1).unwrap().split("// Signs").next().unwrap();
        let quoted = rules.split('"').skip(1).step_by(2);
        let words: BTreeSet<&str> = quoted.filter(|it| it.starts_with(|it: char| it.is_ascii_lowercase())).collect();
        let known: BTreeSet<&str> = [&ITEMS[..], &STATEMENTS, &RESERVED, &WITHIN].concat().into_iter().collect();
        assert_eq!(words, known);
        let reserved: BTreeSet<&str> = rules.lines().next().unwrap().split('"').skip(1).step_by(2).collect();
        assert_eq!(reserved, BTreeSet::from(RESERVED));
    }

    #[test]
    fn a_statement_starts_with_each_of_them() {
        let grammar = include_str!("../../grammar/sph.pest");
        let rules = grammar.split("// Statements").nth(1).unwrap().split("// The recipe").next().unwrap();
        // `if` is an expression as well, which is a statement.
        for it in STATEMENTS.iter().filter(|it| **it != "if") {
            assert!(rules.contains(&format!("{{ kw_{it} ~")), "{it}");
        }
        let first: Vec<&str> = rules.split("{ kw_").skip(1).filter_map(|it| it.split(' ').next()).collect();
        let statements = first.iter().filter(|it| **it != "as");
        statements.for_each(|it| assert!(STATEMENTS.contains(it), "{it}"));
    }
}
