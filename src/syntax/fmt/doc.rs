//! Layouts as documents (Wadler, "A prettier printer", 2003): a group stands on one line if it fits there, and else each of
//! its breaks is a new line.

/// Columns of a line, if what stands on it can be parted.
const WIDTH: usize = 100;

const INDENT: usize = 4;

/// A piece of a layout.
#[derive(Debug)]
pub(super) enum Doc<'t> {
    /// Without a line break.
    Text(&'t str),
    /// So many spaces.
    Pad(usize),
    /// What is written where the group around it is on one line; else a new line.
    Break(&'static str),
    /// A new line always.
    Line,
    /// A new line with an empty one before it, always.
    Blank,
    /// A comment behind what else is on the line, whose length does not count; a new line must follow.
    Comment(&'t str),
    /// Nothing; the groups around it are parted.
    Apart,
    /// What is written only where the group around it is parted.
    Parted(&'static str),
    /// One after the other.
    All(Parts<'t>),
    /// Four spaces further in.
    Indent(Parts<'t>),
    /// New lines below the column it starts in.
    Align(Parts<'t>),
    /// On one line if it fits.
    Group(Parts<'t>),
    /// As many on a line as fit.
    Fill(Vec<Doc<'t>>),
}

/// Pieces, and what is known of them together.
#[derive(Debug)]
pub(super) struct Parts<'t> {
    all: Vec<Doc<'t>>,
    /// Their width on one line; `None` where they cannot stand on one.
    flat: Option<usize>,
    /// The width of what comes before their first break, and whether there is one.
    lead: (usize, bool),
}

impl<'t> Parts<'t> {
    fn new(all: Vec<Doc<'t>>) -> Self {
        let flat = all.iter().try_fold(0, |sum, it| Some(sum + it.flat()?));
        let mut lead = (0, false);
        for it in &all {
            let (width, breaks) = it.lead();
            lead = (lead.0 + width, breaks);
            if breaks {
                break;
            }
        }
        Self { all, flat, lead }
    }
}

impl<'t> Doc<'t> {
    pub(super) fn all(all: Vec<Doc<'t>>) -> Self {
        Self::All(Parts::new(all))
    }

    pub(super) fn indent(all: Vec<Doc<'t>>) -> Self {
        Self::Indent(Parts::new(all))
    }

    pub(super) fn align(all: Vec<Doc<'t>>) -> Self {
        Self::Align(Parts::new(all))
    }

    pub(super) fn group(all: Vec<Doc<'t>>) -> Self {
        Self::Group(Parts::new(all))
    }

    /// Its width on one line; `None` where it cannot stand on one.
    pub(super) fn flat(&self) -> Option<usize> {
        match self {
            Self::Text(it) => Some(it.chars().count()),
            Self::Pad(it) => Some(*it),
            Self::Break(it) => Some(it.len()),
            Self::Line | Self::Blank | Self::Comment(_) | Self::Apart => None,
            Self::Parted(_) => Some(0),
            Self::All(it) | Self::Indent(it) | Self::Align(it) | Self::Group(it) => it.flat,
            Self::Fill(all) => all.iter().try_fold(all.len().saturating_sub(1), |sum, it| Some(sum + it.flat()?)),
        }
    }

    /// The width of what comes before the first place where it can be parted, and whether there is one.
    fn lead(&self) -> (usize, bool) {
        match self {
            Self::Text(it) => (it.chars().count(), false),
            Self::Pad(it) => (*it, false),
            Self::Break(_) | Self::Line | Self::Blank | Self::Comment(_) => (0, true),
            Self::Parted(it) => (it.len(), false),
            Self::Apart => (0, false),
            Self::All(it) | Self::Indent(it) | Self::Align(it) | Self::Group(it) => it.lead,
            Self::Fill(all) => all.first().map_or((0, false), |it| (it.lead().0, 1 < all.len() || it.lead().1)),
        }
    }

    /// The text, without a new line at its end.
    pub(super) fn print(&self) -> String {
        let mut out = Printer { out: String::new(), column: 0 };
        out.doc(self, 0, false, 0);
        out.out
    }
}

struct Printer {
    out: String,
    column: usize,
}

impl Printer {
    /// Writes a piece. On one line where it is `flat`; `rest` is the width of what follows on its last line.
    fn doc(&mut self, doc: &Doc<'_>, indent: usize, flat: bool, rest: usize) {
        match doc {
            Doc::Text(it) => self.text(it),
            Doc::Pad(it) => (0..*it).for_each(|_| self.text(" ")),
            Doc::Break(it) if flat => self.text(it),
            Doc::Break(_) | Doc::Line => self.line(indent),
            Doc::Blank => {
                self.out.push('\n');
                self.line(indent);
            }
            Doc::Comment(it) => {
                self.out.push_str("  ");
                self.text(it);
            }
            Doc::Parted(it) if !flat => self.text(it),
            Doc::Parted(_) | Doc::Apart => {}
            Doc::All(it) => self.parts(&it.all, indent, flat, rest),
            Doc::Indent(it) => self.parts(&it.all, indent + INDENT, flat, rest),
            Doc::Align(it) => self.parts(&it.all, self.column, flat, rest),
            Doc::Group(it) => {
                let fits = it.flat.is_some_and(|width| self.column + width + rest <= WIDTH);
                self.parts(&it.all, indent, flat || fits, rest);
            }
            Doc::Fill(all) => self.fill(all, indent, flat, rest),
        }
    }

    fn parts(&mut self, all: &[Doc<'_>], indent: usize, flat: bool, rest: usize) {
        if flat {
            all.iter().for_each(|it| self.doc(it, indent, true, 0));
            return;
        }
        // What follows each on its line, from the last one on.
        let mut follows = vec![rest; all.len()];
        for at in (1..all.len()).rev() {
            let (width, breaks) = all[at].lead();
            follows[at - 1] = if breaks { width } else { width + follows[at] };
        }
        for (it, rest) in all.iter().zip(follows) {
            self.doc(it, indent, false, rest);
        }
    }

    fn fill(&mut self, all: &[Doc<'_>], indent: usize, flat: bool, rest: usize) {
        for (at, it) in all.iter().enumerate() {
            let last = at + 1 == all.len();
            let fits = it.flat().is_some_and(|width| self.column + 1 + width + if last { rest } else { 0 } <= WIDTH);
            match at {
                0 => {}
                _ if flat || fits => self.text(" "),
                _ => self.line(indent),
            }
            self.doc(it, indent, flat, if last { rest } else { 0 });
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    /// Nothing stands at the end of a line, and nothing on an empty one.
    fn line(&mut self, indent: usize) {
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
        self.out.push('\n');
        self.column = 0;
        (0..indent).for_each(|_| self.text(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize) -> Doc<'static> {
        let mut inside = vec![Doc::Break("")];
        for at in 0..count {
            inside.push(Doc::Text("eleven_long"));
            inside.push(if at + 1 < count { Doc::Text(",") } else { Doc::Parted(",") });
            if at + 1 < count {
                inside.push(Doc::Break(" "));
            }
        }
        Doc::group(vec![Doc::Text("f("), Doc::indent(inside), Doc::Break(""), Doc::Text(")")])
    }

    #[test]
    fn a_group_that_fits_is_one_line() {
        assert_eq!(list(2).print(), "f(eleven_long, eleven_long)");
        assert_eq!(list(9).print().lines().count(), 11);
        assert!(list(9).print().ends_with("    eleven_long,\n)"));
    }

    #[test]
    fn what_follows_on_the_line_counts() {
        let text = "x".repeat(60);
        let fits = |text| Doc::all(vec![list(3), Doc::Text(text)]).print().lines().count() == 1;
        assert!(fits(&text[..60]) && !fits(&"y".repeat(61)));
    }

    #[test]
    fn a_comment_parts_its_group_and_does_not_count() {
        let long = "/".repeat(120);
        let doc = Doc::all(vec![list(2), Doc::Comment(&long), Doc::Line, Doc::Text("y")]);
        assert_eq!(doc.print(), format!("f(eleven_long, eleven_long)  {long}\ny"));
        let group = Doc::group(vec![Doc::Text("x"), Doc::Comment("// c"), Doc::Line, Doc::Parted(";")]);
        assert_eq!(group.print(), "x  // c\n;");
    }

    #[test]
    fn as_much_as_fits_is_filled_in() {
        let doc = Doc::group(vec![
            Doc::Text("["),
            Doc::indent(vec![Doc::Fill((0..30).map(|_| Doc::Text("12345,")).collect())]),
        ]);
        assert_eq!(doc.print().lines().count(), 3);
        assert!(doc.print().lines().all(|it| it.len() <= WIDTH));
    }
}
