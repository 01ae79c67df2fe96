//! What tells curves apart, and the lines below charts that say what each is.

use super::{Area, COLOURS, Painted};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

/// Height of a line.
const LINE: u32 = 22;
/// Room above and below.
const MARGIN: u32 = 12;
/// Letters that fit into a line.
const LETTERS: usize = 124;

/// Dashes and gaps in pixels; of the first seven curves none are dashed.
const DASHES: [Option<(i32, i32)>; 4] = [None, Some((9, 5)), Some((3, 4)), Some((18, 4))];

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pen {
    pub(super) colour: RGBColor,
    pub(super) dashes: Option<(i32, i32)>,
    pub(super) width: u32,
}

impl Pen {
    /// That of a curve by its number: other colours first, then other dashes.
    pub(super) fn of(at: usize) -> Pen {
        let dashes = DASHES[at / COLOURS.len() % DASHES.len()];
        Pen { colour: COLOURS[at % COLOURS.len()], dashes, width: 2 }
    }
}

/// What each curve is, with the pen that it is drawn with.
pub(super) struct Legend(pub(super) Vec<(Pen, String)>);

impl Legend {
    /// Pixels that it takes.
    pub(super) fn height(&self) -> u32 {
        let lines = self.0.iter().map(|it| lines_of(&it.1).len() as u32).sum::<u32>();
        2 * MARGIN + LINE * lines
    }

    pub(super) fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let mut y = (MARGIN + LINE / 2) as i32;
        for (pen, label) in &self.0 {
            let ends = [(24, y), (74, y)];
            let style = pen.colour.stroke_width(pen.width);
            match pen.dashes {
                None => area.draw(&PathElement::new(ends, style))?,
                Some((dash, gap)) => area.draw(&DashedPathElement::new(ends, dash, gap, style))?,
            }
            for line in lines_of(label) {
                area.draw(&Text::new(line, (86, y - 8), ("sans-serif", 15)))?;
                y += LINE as i32;
            }
        }
        Ok(())
    }
}

/// A text in lines that fit. A fact stays whole where it fits into a line, and so does a word: only a longer one is cut.
fn lines_of(text: &str) -> Vec<String> {
    let mut res = vec![String::new()];
    for fact in facts(text) {
        if fact.chars().count() <= LETTERS {
            add(&mut res, fact);
        } else {
            fact.split_inclusive(' ').for_each(|it| add(&mut res, it));
        }
    }
    res
}

/// The name before a colon, and what is said behind it between commas.
fn facts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(": ").flat_map(|it| it.split_inclusive(", "))
}

/// Adds to the last line, or to new ones where there is no room.
fn add(lines: &mut Vec<String>, part: &str) {
    let mut letters: Vec<char> = part.chars().collect();
    while !letters.is_empty() {
        let last = lines.len() - 1;
        let free = LETTERS - lines[last].chars().count();
        if letters.len() <= free {
            lines[last].extend(letters.drain(..));
        } else if lines[last].is_empty() {
            lines[last].extend(letters.drain(..free));
            lines.push(String::new());
        } else {
            lines.push(String::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_has_all_its_letters_in_lines_that_fit() {
        assert_eq!(lines_of("a b"), ["a b"]);
        let name = "x".repeat(250);
        let text = format!("{name}: best 9 % at 3, last 8 %");
        let found = lines_of(&text);
        assert_eq!((found.concat(), found.len()), (text, 3));
        assert!(found.iter().all(|it| it.chars().count() <= LETTERS));
        let words = ["a fact"; 20].join(", ");
        let found = lines_of(&words);
        assert!(found.len() == 2 && found[1].starts_with("a fact, "), "{found:?}");
    }

    #[test]
    fn words_and_numbers_stay_whole() {
        for length in 90..124 {
            let text = format!("{} (3 seeds): best 75.56 % at 80, last 74.44 %", "x".repeat(length));
            let found = lines_of(&text);
            assert!(found.len() == 2 && found.concat() == text, "{found:?}");
            assert!(found[0].ends_with(' ') && found[1].contains("last 74.44 %"), "{found:?}");
            assert!(found.iter().any(|it| it.contains("best 75.56 % at 80, ")), "{found:?}");
        }
        let text = ["several words"; 12].join(" ");
        let found = lines_of(&text);
        assert!(found.len() == 2 && found[0].ends_with(' ') && found.concat() == text, "{found:?}");
    }

    #[test]
    fn no_two_of_the_first_twenty_eight_pens_are_alike() {
        let pens: Vec<Pen> = (0..28).map(Pen::of).collect();
        for (at, pen) in pens.iter().enumerate() {
            assert!(!pens[..at].contains(pen), "{at}");
        }
    }
}
