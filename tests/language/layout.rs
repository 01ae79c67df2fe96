//! The layout of texts: what is shipped, and generated texts of which only the layout differs.

use super::docs::blocks;
use super::syntax::{dump, parse, texts};
use proptest::prelude::*;
use sphc::syntax::{self, TokenKind};
use std::fs;
use std::path::Path;

fn format(text: &str) -> String {
    syntax::format(text).unwrap_or_else(|| panic!("no layout: {:?}\n{text}", parse(text).1))
}

fn comments(text: &str) -> Vec<&str> {
    let comments = syntax::tokens(text).into_iter().filter(|it| it.kind == TokenKind::Comment);
    comments.map(|it| text[it.start..it.end].trim_end()).collect()
}

/// Texts whose layout is what they are for; and the prelude, which keeps its own.
const AS_WRITTEN: &[&str] = &["src/lower/prelude.sph", "suite/syntax_good.sph", "newcomer/number_with_comma.sph"];

#[test]
fn what_is_shipped_is_laid_out() {
    let mut laid_out = 0;
    for (name, text) in
        texts().iter().filter(|it| !it.0.starts_with("example") && AS_WRITTEN.iter().all(|kept| !it.0.ends_with(kept)))
    {
        let Some(once) = syntax::format(text) else { continue };
        assert!(once == *text, "{name} is not laid out: `sphc fmt` does it");
        laid_out += 1;
    }
    assert!(150 < laid_out, "{laid_out}");
}

#[test]
fn examples_of_pages_are_laid_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<String> = ["docs", "src/diag/codes"]
        .iter()
        .flat_map(|folder| {
            let files = fs::read_dir(root.join(folder)).unwrap();
            files.map(move |it| format!("{folder}/{}", it.unwrap().file_name().display()))
        })
        .filter(|it| it.ends_with(".md"))
        .chain(["README.md".to_owned()])
        .collect();
    pages.sort();
    let mut laid_out = 0;
    for page in pages {
        let fences: Vec<String> = fs::read_to_string(root.join(&page)).unwrap().lines().map(str::to_owned).collect();
        let mut fences: Vec<String> = fences.into_iter().filter(|it| it.starts_with("```sph")).collect();
        fences.sort();
        fences.dedup();
        for (line, text) in fences.iter().flat_map(|it| blocks(&page, it)) {
            let Some(once) = syntax::format(&text) else { continue };
            assert_eq!(once, text, "{page}:{line}");
            laid_out += 1;
        }
    }
    assert!(60 < laid_out, "{laid_out}");
}

#[test]
fn the_layout_of_everything_that_is_shipped_keeps_its_meaning_and_comments() {
    let mut count = 0;
    for (name, text) in texts() {
        let Some(once) = syntax::format(&text) else { continue };
        count += 1;
        judge(&name, &text, &once);
    }
    assert!(count > 150, "only {count} texts");
}

/// What must hold of each layout.
fn judge(name: &str, text: &str, once: &str) {
    assert_eq!(dump(once), dump(text), "{name}");
    assert_eq!(format(once), once, "{name}");
    assert_eq!(comments(once), comments(text), "{name}");
    assert!(!once.contains("\n\n\n") && !once.starts_with('\n') && !once.ends_with("\n\n"), "{name}");
    assert!(once.is_empty() || once.ends_with('\n'), "{name}");
    assert!(!once.lines().any(|it| it.ends_with([' ', '\t'])), "{name}");
}

#[test]
fn params_and_values_of_recipes_stand_below_each_other() {
    let text = "param norm: operator = cosine\nparam widths:[int]=[1]\n// why\nparam n = 3\n\nparam a: int = 1\n\
                param long: int = 2\n\ntrain {\n    data digits\n    evaluate every 3\n    batch 2 // two\n}\n";
    let laid_out = "param norm:   operator = cosine\nparam widths: [int]    = [1]\n// why\nparam n                = 3\n\n\
                    param a:    int = 1\nparam long: int = 2\n\ntrain {\n    data     digits\n    evaluate every 3\n    \
                    batch    2  // two\n}\n";
    assert_eq!(format(text), laid_out);
    assert_eq!(format(laid_out), laid_out);
}

#[test]
fn the_layout_of_everything_that_can_be_laid_out() {
    let text = "\n\n//!  File docs\n\n\n/// Docs\nparam   a:int=3//three\nparam b : [ int ]=[ 1,2 ,3 ]\nblock unit( x ,f:int=3 ) {\n\n  y=x|>conv( f , kernel :3 )\n // next\n|>relu  as \"a{f}\"\n  y = -y ^ 2*3+ a[ 0 ] * -1\n\n\n\n  if a==3{y}else if not ( b ) {\n x } else {}\n  z = f(\n1,\ng(2,\n3\n),\n)\n  let k =\n1 +\n2\n  for i in 0 .. 3{ y }\n\n}\nmodel M {\ninput image:u8 [3,3]\noutput (image)\n}\n";
    insta::assert_snapshot!(format(text));
}

/// What does not fit on a line, in each of the places where a text can be parted.
#[test]
fn the_layout_of_what_does_not_fit_on_a_line() {
    let text = "\
param steps: [int] = [10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000, 90_000, 100_000, 110_000, 120_000]
param rows: [[int]] = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2]]
fn short(x) =
  x
fn long_name_of_a_function(first_number, second_number, third_number) = first_number + second_number * third_number
operator with_many_constants(cos, first_constant = 0.25, second_constant = 0.5, third_constant = 0.75, last = 1) = cos
block unit(x, filters: int, stride: int = 1) beside \"unit\" { x } // a body is never on one line
model M {
    input image: u8[8, 8, 1]
    y = first_of_many_names + second_of_many_names * third_of_many_names - fourth_of_many_names + fifth_of_many_names
    y = first_of_many_names_and_more(1) and second_of_many_names_and_more(2) or third_of_many_names_and_more(3) == 4
    y = convolution_of_a_long_name(image, filters: 16, kernel: 3, operator: with_many_constants(last: 2)) as \"name{y}\"
    y = image |> first_step_of_many(kernel: 3) |> second_step_of_many(kernel: 3) |> third_step_of_many(kernel: 3) as \"n\"
    y = x
      |> f |> g
    y = if width(image) == channels(image) { first_of_two_values(image, filters: 16) } else { second_of_two_values(image) }
    y = if a {
        b
    } else {
        c
    }
    assert first_of_many_names == second_of_many_names and first_of_many_names != 3, \"message {first_of_many_names}\"
    let y: [first_of_many_names, second_of_many_names, third_of_many_names, fourth_of_many_names, fifth_of_many] = image
    for index, item in [first_of_many_names, second_of_many_names, third_of_many_names, fourth_of_many_names, fifth_of] {
        y = item
    }
    y = f(a // first
        , b
        // second
        ,
        c)
    output (first_of_many_names + second_of_many_names) * third_of_many_names_in_a_row / fourth_of_many_names_in_a_row
}
train {
    augment crop(28, 28, pad: 2, mode: reflect), rotate(10), color_jitter(brightness: 0.3), cutout(8), flip_horizontal
    optimizer lookahead(rate: rate / (1 + 1 / (1 - momentum)) * triangle() * first(3 * epoch), momentum: momentum) on biases
    penalty l2(1e-4) on filters, gamma, beta where operator != none and layer != \"score\" or role == filter and layer == \"x\"
}
";
    let laid_out = format(text);
    judge("long", text, &laid_out);
    insta::assert_snapshot!(laid_out);
}

#[test]
fn a_text_with_mistakes_has_no_layout() {
    assert_eq!(syntax::format("model M {\n x = (3\n}\n"), None);
}

#[test]
fn lines_end_as_the_first_one_does() {
    assert_eq!(format("param a=1\r\nparam b =2 // x\n"), "param a = 1\r\nparam b = 2  // x\r\n");
    assert_eq!(format("param a=1\nparam b =2\r\n"), "param a = 1\nparam b = 2\n");
}

/// Makes texts: what they say by `choices`, how it is laid out by `gaps`. Where either ends, the plainest is chosen.
struct Maker {
    choices: Vec<u8>,
    gaps: Vec<u8>,
    /// Whether comments may stand in gaps.
    comments: bool,
    out: String,
    count: usize,
    /// Brackets that are open.
    open: usize,
}

impl Maker {
    fn text(choices: &[u8], gaps: &[u8], comments: bool) -> String {
        let reversed = |it: &[u8]| it.iter().rev().copied().collect();
        let (choices, gaps) = (reversed(choices), reversed(gaps));
        let mut maker = Self { choices, gaps, comments, out: String::new(), count: 0, open: 0 };
        for _ in 0..=maker.choose(5) {
            maker.item();
        }
        maker.out
    }

    fn choose(&mut self, below: u8) -> u8 {
        self.choices.pop().unwrap_or(0) % below
    }

    fn gap(&mut self, below: u8) -> u8 {
        self.gaps.pop().unwrap_or(0) % below
    }

    fn comment(&mut self) -> String {
        self.count += 1;
        format!("// note {}", self.count)
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A space that must be there.
    fn space(&mut self) {
        let space = [" ", "  ", "\t"][self.gap(3) as usize];
        self.put(space);
    }

    /// A space that stays on its line.
    fn maybe(&mut self) {
        let space = ["", " ", "   "][self.gap(3) as usize];
        self.put(space);
    }

    /// A space that may hold new lines and comments.
    fn wide(&mut self) {
        match self.gap(if self.comments { 7 } else { 5 }) {
            0 => self.put(" "),
            1 => {}
            2 => self.put("\n  "),
            3 => self.put("   "),
            4 => self.put("\n\n"),
            5 => {
                let comment = self.comment();
                self.put(&format!(" {comment}\n"));
            }
            _ => {
                let (one, two) = (self.comment(), self.comment());
                self.put(&format!("\n   {one}\n{two}\n"));
            }
        }
    }

    /// Between what may be parted only within brackets.
    fn within(&mut self) {
        if self.open == 0 { self.maybe() } else { self.wide() }
    }

    /// The end of a line; an empty one is no matter of gaps.
    fn line(&mut self) {
        let empty = self.choose(4) == 3;
        if self.comments && self.gap(4) == 3 {
            let comment = self.comment();
            self.put(&format!("  {comment}"));
        }
        self.maybe();
        self.put("\n");
        if empty {
            let lines = ["\n", "\n\n", " \n"][self.gap(3) as usize];
            self.put(lines);
        }
        if self.comments && self.gap(5) == 4 {
            let comment = self.comment();
            self.put(&format!("{comment}\n"));
        }
    }

    fn name(&mut self) {
        let names = ["x", "filters", "a_longer_name", "y1", "channels", "batch"];
        let name = names[self.choose(6) as usize];
        self.put(name);
    }

    fn commas(&mut self, open: &str, close: &str, each: fn(&mut Self, u8), depth: u8, least: u8) {
        self.put(open);
        self.open += 1;
        let count = least + self.choose(4);
        for at in 0..count {
            self.wide();
            each(self, depth);
            self.wide();
            if at + 1 < count || self.gap(2) == 1 {
                self.put(",");
            }
        }
        self.wide();
        self.open -= 1;
        self.put(close);
    }

    fn arg(&mut self, depth: u8) {
        if self.choose(2) == 1 {
            self.name();
            self.maybe();
            self.put(":");
            self.wide();
        }
        self.expr(depth);
    }

    fn param(&mut self, depth: u8) {
        self.name();
        if self.choose(2) == 1 {
            self.wide();
            self.put(":");
            self.wide();
            let ty = ["int", "[ int ]", "operator"][self.choose(3) as usize];
            self.put(ty);
        }
        if self.choose(2) == 1 {
            self.wide();
            self.put("=");
            self.wide();
            self.expr(depth);
        }
    }

    fn expr(&mut self, depth: u8) {
        self.sum(depth);
        for _ in 0..self.choose(3).min(depth) {
            match self.choose(3) {
                0 => {}
                1 => {
                    self.maybe();
                    self.put("|>");
                    self.maybe();
                    self.name();
                    if self.choose(2) == 1 {
                        self.maybe();
                        self.commas("(", ")", Self::arg, depth - 1, 0);
                    }
                }
                _ => {
                    self.space();
                    self.put("as");
                    self.space();
                    self.put("\"name{i + 1}\"");
                }
            }
        }
    }

    fn sum(&mut self, depth: u8) {
        self.operand(depth);
        for _ in 0..self.choose(4).min(depth) {
            self.within();
            let signs = [" + ", " - ", " * ", "/", "%", "^", " and ", " or ", " == ", "..", " < "];
            let sign = signs[self.choose(11) as usize];
            // Comparisons and ranges cannot be chained.
            let sign = if matches!(sign, " == " | ".." | " < ") { "*" } else { sign };
            self.put(sign);
            self.wide();
            self.operand(depth);
        }
    }

    fn operand(&mut self, depth: u8) {
        match self.choose(if depth == 0 { 5 } else { 11 }) {
            0 => self.name(),
            1 => self.put("3"),
            2 => self.put("1.5e-3"),
            3 => {
                self.put("-");
                self.maybe();
                self.operand(depth);
            }
            4 => self.put("\"text {x} // no comment\""),
            5 | 6 => {
                self.name();
                self.maybe();
                self.commas("(", ")", Self::arg, depth - 1, 0);
            }
            7 => self.commas("[", "]", Self::expr, depth - 1, 0),
            8 => {
                self.put("(");
                self.open += 1;
                self.wide();
                self.expr(depth - 1);
                self.wide();
                self.open -= 1;
                self.put(")");
            }
            9 => {
                self.name();
                self.put("[");
                self.open += 1;
                self.wide();
                self.expr(depth - 1);
                self.wide();
                self.open -= 1;
                self.put("]");
            }
            _ => self.choice(depth - 1),
        }
    }

    fn choice(&mut self, depth: u8) {
        self.put("if ");
        self.apart(|it| it.sum(depth));
        self.maybe();
        self.body(depth, true);
        for _ in 0..self.choose(2) {
            self.wide();
            self.put("else if ");
            self.apart(|it| it.sum(depth));
            self.maybe();
            self.body(depth, true);
        }
        self.wide();
        self.put("else");
        self.maybe();
        self.body(depth, true);
    }

    /// Statements and conditions end with their lines, whatever is open around them.
    fn apart(&mut self, inside: impl FnOnce(&mut Self)) {
        let open = std::mem::replace(&mut self.open, 0);
        inside(self);
        self.open = open;
    }

    fn body(&mut self, depth: u8, value: bool) {
        self.put("{");
        let count = self.choose(3);
        if value && count == 0 {
            // One expression, on the line of its braces or on one of its own.
            match self.gap(2) {
                0 => self.put(" "),
                _ => self.put("\n\n"),
            }
            self.apart(|it| it.expr(depth));
            match self.gap(2) {
                0 => self.put(" }"),
                _ => self.put("\n}"),
            }
            return;
        }
        self.line();
        for _ in 0..count {
            self.apart(|it| it.statement(depth));
            self.line();
        }
        self.put("}");
    }

    fn statement(&mut self, depth: u8) {
        match self.choose(if depth == 0 { 3 } else { 6 }) {
            0 => {
                self.name();
                self.maybe();
                self.put("=");
                self.wide();
                self.expr(depth);
            }
            1 => {
                self.put("let ");
                self.name();
                self.maybe();
                self.put("=");
                self.wide();
                self.expr(depth);
            }
            2 => {
                self.put("assert");
                self.space();
                self.sum(depth);
                self.maybe();
                self.put(",");
                self.wide();
                self.put("\"what {x} is\"");
            }
            3 => {
                self.put("for i,");
                self.maybe();
                self.put("item in ");
                self.sum(depth - 1);
                self.maybe();
                self.body(depth - 1, false);
            }
            4 => self.choice(depth - 1),
            _ => {
                self.put("learn w:");
                self.maybe();
                self.commas("[", "]", Self::expr, depth - 1, 1);
                self.maybe();
                self.put("=");
                self.wide();
                self.expr(depth - 1);
            }
        }
    }

    fn entry(&mut self) {
        let keys = ["data", "augment", "iterations", "penalty"];
        let key = keys[self.choose(4) as usize];
        self.put(key);
        self.space();
        self.put("v");
        for _ in 0..self.choose(3) {
            self.put(",");
            self.wide();
            self.put("f");
            self.commas("(", ")", Self::arg, 1, 0);
        }
        if self.choose(2) == 1 {
            self.space();
            self.put("on filters,");
            self.wide();
            self.put("gamma where ");
            self.sum(1);
        }
    }

    fn item(&mut self) {
        match self.choose(6) {
            0 | 1 => {
                self.put("param ");
                self.name();
                if self.choose(2) == 1 {
                    self.maybe();
                    self.put(":");
                    self.space();
                    self.put("int");
                }
                self.maybe();
                self.put("=");
                self.wide();
                self.expr(2);
            }
            2 => {
                self.put("fn");
                self.space();
                self.name();
                self.maybe();
                self.commas("(", ")", Self::param, 1, 0);
                self.maybe();
                self.put("=");
                self.wide();
                self.expr(3);
            }
            3 => {
                self.put("block ");
                self.name();
                self.commas("(", ")", Self::param, 1, 0);
                self.put(" ");
                self.body(3, true);
            }
            4 => {
                self.put("model M");
                self.maybe();
                self.body(3, false);
            }
            _ => {
                self.put("train {");
                self.line();
                for _ in 0..self.choose(5) {
                    self.entry();
                    self.line();
                }
                self.put("}");
            }
        }
        self.line();
    }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

proptest! {
    #![proptest_config(crate::cases(600))]

    #[test]
    fn a_layout_keeps_tree_and_comments_and_fits(choices in bytes(300), gaps in bytes(400)) {
        let text = Maker::text(&choices, &gaps, true);
        let once = format(&text);
        judge(&text, &text, &once);
        for line in once.lines() {
            let line = line.rsplit_once("  // note").map_or(line, |it| it.0);
            prop_assert!(line.chars().count() <= 100, "{line}\n{text}");
        }
    }

    #[test]
    fn there_is_one_layout_whatever_the_breaks_of_the_text(choices in bytes(300), a in bytes(300), b in bytes(300)) {
        let (a, b) = (Maker::text(&choices, &a, false), Maker::text(&choices, &b, false));
        prop_assert_eq!(format(&a), format(&b), "{}\n---\n{}", a, b);
    }
}
