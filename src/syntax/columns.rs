//! Columns: what stands below each other in a laid out text.
//!
//! The values of a recipe always do. The types and the values of params do in a run of consecutive lines
//! whose author put more than one space somewhere.

use pest::Parser;
use pest::iterators::Pair;

use super::grammar::{Grammar, Rule};

/// Spaces to be put in, and where.
type Gaps = Vec<(usize, usize)>;

/// The text `out`, which is `text` laid out, with its columns; `None` when it does not parse.
pub(super) fn align(text: &str, out: &str) -> Option<String> {
    let written = params(text)?;
    let mut gaps: Gaps = Vec::new();
    let mut run: Vec<(Param, bool)> = Vec::new();
    for (at, param) in params(out)?.into_iter().enumerate() {
        let aligned = written.get(at).is_some_and(|it| it.spaced(text));
        let follows = run.last().is_some_and(|(last, _)| out[last.end..param.start].matches('\n').count() == 1);
        if !follows {
            param_gaps(out, &run, &mut gaps);
            run.clear();
        }
        run.push((param, aligned));
    }
    param_gaps(out, &run, &mut gaps);
    for item in Grammar::parse(Rule::file, out).ok()?.next()?.into_inner() {
        if item.as_rule() == Rule::train {
            entry_gaps(out, item, &mut gaps);
        }
    }
    gaps.sort_unstable();
    let mut aligned = String::with_capacity(out.len() + gaps.len() * 4);
    let mut from = 0;
    for (at, spaces) in gaps {
        aligned.push_str(&out[from..at]);
        aligned.extend(std::iter::repeat_n(' ', spaces));
        from = at;
    }
    aligned.push_str(&out[from..]);
    Some(aligned)
}

/// The parts of `param name: type = value`, by their places.
struct Param {
    start: usize,
    end: usize,
    /// Where its type starts, or its `=`.
    ty: usize,
    equals: usize,
}

impl Param {
    /// Whether there is a column: more than one space before the type or the `=`.
    fn spaced(&self, text: &str) -> bool {
        [self.ty, self.equals].into_iter().any(|it| text[..it].ends_with("  "))
    }
}

fn params(text: &str) -> Option<Vec<Param>> {
    let param = |it: Pair<'_, Rule>| {
        let (start, end) = (it.as_span().start(), it.as_span().end());
        let part = |rule: Rule| it.clone().into_inner().find(|it| it.as_rule() == rule).map(|it| it.as_span().start());
        let equals = part(Rule::equals)?;
        Some(Param { start, end, ty: part(Rule::value_type).unwrap_or(equals), equals })
    };
    let items = Grammar::parse(Rule::file, text).ok()?.next()?.into_inner();
    items.filter(|it| it.as_rule() == Rule::param).map(param).collect()
}

/// The width of the text between two places.
fn width(text: &str, from: usize, to: usize) -> usize {
    text[from..to].chars().count()
}

fn param_gaps(out: &str, run: &[(Param, bool)], gaps: &mut Gaps) {
    if run.len() < 2 || run.iter().all(|it| !it.1) {
        return;
    }
    // A param without a type has nothing in the first column.
    let typed = |it: &Param| it.ty != it.equals;
    let name = |it: &Param| width(out, it.start, it.ty);
    let names = run.iter().map(|it| &it.0).filter(|it| typed(it)).map(name).max().unwrap_or(0);
    let pad = |it: &Param| if typed(it) { names - name(it) } else { 0 };
    let total = |it: &Param| width(out, it.start, it.equals) + pad(it);
    let widest = run.iter().map(|it| total(&it.0)).max().unwrap_or(0);
    for (it, _) in run {
        gaps.push((it.ty, pad(it)));
        gaps.push((it.equals, widest - total(it)));
    }
}

fn entry_gaps(out: &str, train: Pair<'_, Rule>, gaps: &mut Gaps) {
    let entries = train.into_inner().filter(|it| it.as_rule() == Rule::entries).flat_map(Pair::into_inner);
    let keys: Vec<(usize, usize, bool)> = entries
        .filter(|it| it.as_rule() == Rule::entry)
        .filter_map(|it| {
            let end = it.as_span().end();
            let key = it.into_inner().next()?.as_span();
            Some((key.start(), key.end(), key.end() < out[..end].trim_end().len()))
        })
        .collect();
    let widest = keys.iter().map(|it| width(out, it.0, it.1)).max().unwrap_or(0);
    gaps.extend(keys.iter().filter(|it| it.2).map(|it| (it.1, widest - width(out, it.0, it.1))));
}
