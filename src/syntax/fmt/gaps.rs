//! What stands between two tokens: comments, and the lines that an author left empty.

use super::doc::Doc;
use crate::syntax::scan::{self, Token, TokenKind};

/// A walk through the comments of a text, in step with a walk through its tokens.
pub(super) struct Gaps<'t> {
    text: &'t str,
    comments: Vec<Token>,
    /// The first comment that is not written yet.
    next: usize,
    /// Where the last token ended.
    end: usize,
}

/// A comment, and how it stands.
pub(super) struct Comment<'t> {
    pub(super) text: &'t str,
    /// Behind something else on its line.
    pub(super) trailing: bool,
    /// Below an empty line.
    pub(super) apart: bool,
}

impl<'t> Gaps<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let comments = scan::tokens(text).into_iter().filter(|it| it.kind == TokenKind::Comment).collect();
        Self { text, comments, next: 0, end: 0 }
    }

    /// A token of the text is written.
    pub(super) fn passed(&mut self, end: usize) {
        self.end = end;
    }

    /// Whether the author put a new line before `at`.
    pub(super) fn parted(&self, at: usize) -> bool {
        self.text[self.end..at].contains('\n')
    }

    /// Whether a comment is not written yet before `at`.
    pub(super) fn ahead(&self, at: usize) -> bool {
        self.comments.get(self.next).is_some_and(|it| it.start < at)
    }

    /// The comments before `at`, those before a sign that was passed among them; and whether an empty line is above it.
    pub(super) fn comments(&mut self, at: usize) -> (Vec<Comment<'t>>, bool) {
        let mut found = Vec::new();
        while self.ahead(at) {
            let it = self.comments[self.next];
            self.next += 1;
            let lines = self.text.get(self.end..it.start).map_or(0, |it| it.matches('\n').count());
            // Only what comes first can stand behind another token: a comment ends its line.
            let trailing = found.is_empty() && !scan::first_on_line(self.text, it.start);
            found.push(Comment { text: self.text[it.start..it.end].trim_end(), trailing, apart: 1 < lines });
            self.end = self.end.max(it.end);
        }
        (found, 1 < self.text[self.end..at].matches('\n').count())
    }

    /// The comments before what closes a group, for the indentation inside of it.
    pub(super) fn last(&mut self, at: usize) -> Vec<Doc<'t>> {
        let mut docs = Vec::new();
        for it in self.comments(at).0 {
            match it.trailing {
                true => docs.push(Doc::Comment(it.text)),
                false => docs.extend([Doc::Line, Doc::Text(it.text)]),
            }
        }
        docs
    }

    /// `soft` before the token at `at`; or comments, each of which ends its line.
    pub(super) fn gap(&mut self, at: usize, soft: Doc<'t>) -> Doc<'t> {
        let mut docs = self.last(at);
        docs.push(if docs.is_empty() { soft } else { Doc::Line });
        Doc::all(docs)
    }

    /// New lines between statements, with comments, and at most one empty line where the author had some; none before the
    /// `first`.
    pub(super) fn lines(&mut self, at: usize, first: bool) -> Doc<'t> {
        let (mut docs, edge, apart) = self.above(at, first);
        docs.push(line(apart && !edge));
        Doc::all(docs)
    }

    /// The same before what closes a body: it has no empty line above it, and its new line is further out.
    pub(super) fn end(&mut self, at: usize, first: bool) -> Vec<Doc<'t>> {
        self.above(at, first).0
    }

    /// Comments; whether nothing is between them and the edge of a body, and whether an empty line is below them.
    fn above(&mut self, at: usize, first: bool) -> (Vec<Doc<'t>>, bool, bool) {
        let mut docs = Vec::new();
        let (comments, apart) = self.comments(at);
        let mut edge = first;
        for it in comments {
            match it.trailing {
                true => docs.push(Doc::Comment(it.text)),
                false => {
                    docs.extend([line(it.apart && !edge), Doc::Text(it.text)]);
                    edge = false;
                }
            }
        }
        (docs, edge, apart)
    }
}

fn line<'t>(apart: bool) -> Doc<'t> {
    if apart { Doc::Blank } else { Doc::Line }
}
