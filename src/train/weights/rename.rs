//! What tensors of other programs are called here, and how their numbers lie: patterns, one by one or in a map of them.

use super::Weights;
use super::file::Lie;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Maps that come with the program, by name.
const SHIPPED: [(&str, &str); 5] = [
    ("torchvision/alexnet", include_str!("../../../models/maps/torchvision/alexnet.map")),
    ("torchvision/resnet18", include_str!("../../../models/maps/torchvision/resnet18.map")),
    ("torchvision/resnet50", include_str!("../../../models/maps/torchvision/resnet50.map")),
    ("torchvision/squeezenet1_1", include_str!("../../../models/maps/torchvision/squeezenet1_1.map")),
    ("torchvision/vgg16", include_str!("../../../models/maps/torchvision/vgg16.map")),
];

/// What becomes of tensors whose name a pattern matches. A star stands for any letters, and for the same ones in the new name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    from: String,
    /// The new name; none where they are left out.
    to: Option<String>,
    /// Of filters as PyTorch keeps them, the height and width of what they see, where their extents do not tell.
    filter: Option<[usize; 2]>,
    /// The map that it is a line of.
    map: Option<String>,
}

impl Rename {
    /// Reads `backbone.*=*`.
    pub fn parse(text: &str) -> Result<Rename, String> {
        let Some((from, to)) = text.split_once('=') else {
            return Err("expected PATTERN=NAME, such as `backbone.*=*`".into());
        };
        Rename::new(from, Some(to), None)
    }

    fn new(from: &str, to: Option<&str>, filter: Option<[usize; 2]>) -> Result<Rename, String> {
        if from.is_empty() || to.is_some_and(str::is_empty) {
            return Err("a name on each side of `=`".into());
        }
        let stars = |it: &str| it.matches('*').count();
        let taken = to.map_or(0, stars);
        if from.contains("**") || taken != 0 && taken != stars(from) {
            return Err("a new name has as many `*` as its pattern, or none, and no two stand side by side".into());
        }
        Ok(Rename { from: from.to_owned(), to: to.map(str::to_owned), filter, map: None })
    }

    /// What the stars of the pattern stand for in a name that it matches.
    fn stars<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let parts: Vec<&str> = self.from.split('*').collect();
        let (first, rest) = parts.split_first()?;
        fill(name.strip_prefix(first)?, rest)
    }

    fn matches(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// The new name of a tensor that the pattern matches; `Some(None)` where it is left out.
    fn named(&self, name: &str) -> Option<Option<String>> {
        let stars = self.stars(name)?;
        let Some(to) = &self.to else { return Some(None) };
        let mut stars = stars.into_iter();
        let (mut res, mut rest) = (String::new(), to.as_str());
        while let Some(at) = rest.find('*') {
            let star = stars.next()?;
            // `{*+1}` counts from 1 what the file counts from 0.
            match (rest[..at].strip_suffix('{'), rest[at + 1..].strip_prefix("+1}")) {
                (Some(before), Some(after)) => {
                    res += before;
                    res += &star.parse::<u64>().ok()?.checked_add(1)?.to_string();
                    rest = after;
                }
                (Some(_), None) | (None, _) => {
                    res += &rest[..at];
                    res += star;
                    rest = &rest[at + 1..];
                }
            }
        }
        Some(Some(res + rest))
    }
}

/// What stars stand for in a text, given what stands behind each of them; the first ones as short as can be.
fn fill<'a>(text: &'a str, behind: &[&str]) -> Option<Vec<&'a str>> {
    match behind {
        [] => text.is_empty().then(Vec::new),
        [last] => Some(vec![text.strip_suffix(last)?]),
        [next, rest @ ..] => text.match_indices(next).find_map(|(at, _)| {
            let mut found = fill(&text[at + next.len()..], rest)?;
            found.insert(0, &text[..at]);
            Some(found)
        }),
    }
}

const EXPECTED: &str =
    "expected `same PATTERN NAME`, `filter PATTERN NAME`, `filter:6x6 PATTERN NAME` or `without PATTERN`";

/// `filter`, or `filter:6x6`: the height and width of what filters see.
fn seen(how: &str) -> Option<[usize; 2]> {
    match how.strip_prefix("filter")?.strip_prefix(':') {
        Some(size) => {
            let (height, width) = size.split_once('x')?;
            let extent = |it: &str| it.parse().ok().filter(|it| (1..=1 << 16).contains(it));
            Some([extent(height)?, extent(width)?])
        }
        None => (how == "filter").then_some([1, 1]),
    }
}

/// Patterns in order: the first that matches a tensor counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renames(Vec<Rename>);

impl Renames {
    /// Names of the maps that come with the program.
    pub fn shipped() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|it| it.0)
    }

    /// Reads `backbone.*=*`, the name of a map that comes with the program, or a file that holds one.
    pub fn parse(text: &str) -> Result<Renames, String> {
        if text.contains('=') {
            return Ok(Renames(vec![Rename::parse(text)?]));
        }
        let shipped = SHIPPED.iter().find(|it| it.0 == text);
        let lines = match shipped {
            Some((_, lines)) => (*lines).to_owned(),
            None if Path::new(text).is_file() => {
                std::fs::read_to_string(text).map_err(|it| format!("cannot read the map `{text}`: {it}"))?
            }
            None => {
                let known: Vec<&str> = Renames::shipped().collect();
                return Err(format!(
                    "expected PATTERN=NAME, such as `backbone.*=*`, a map that comes with sphc ({}), or a file with one",
                    known.join(", ")
                ));
            }
        };
        Renames::lines(text, &lines)
    }

    /// All of a list, in its order.
    pub fn all(list: &[String]) -> Result<Renames, String> {
        let each: Result<Vec<Renames>, String> = list.iter().map(|it| Renames::parse(it)).collect();
        Ok(Renames(each?.into_iter().flat_map(|it| it.0).collect()))
    }

    /// A map: a line for each pattern, what is to be done first.
    fn lines(map: &str, text: &str) -> Result<Renames, String> {
        let mut res = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
            let rule = match words.as_slice() {
                [] => continue,
                ["same", from, to] => Rename::new(from, Some(to), None),
                ["without", from] => Rename::new(from, None, None),
                [how, from, to] => match seen(how) {
                    Some(seen) => Rename::new(from, Some(to), Some(seen)),
                    None => Err(EXPECTED.to_owned()),
                },
                _ => Err(EXPECTED.to_owned()),
            };
            let rule = rule.map_err(|it| format!("line {} of the map `{map}`: {it}", at + 1))?;
            res.push(Rename { map: Some(map.to_owned()), ..rule });
        }
        if res.is_empty() {
            return Err(format!("the map `{map}` has no line"));
        }
        Ok(Renames(res))
    }

    /// The first pattern that matches a name, and the new name.
    fn first(&self, name: &str) -> Option<(usize, Option<String>)> {
        self.0.iter().enumerate().find_map(|(at, it)| Some((at, it.named(name)?)))
    }
}

impl Weights {
    /// Renames tensors for a plan, each by the first pattern that matches it; the error is the cause only.
    pub fn rename(&mut self, by: &Renames, plan: &Plan) -> Result<(), String> {
        let names: Vec<String> = self.file.tensors.keys().cloned().collect();
        for it in &by.0 {
            let none = !names.iter().any(|name| it.matches(name));
            match &it.map {
                None if none => return Err(format!("no tensor of it matches the pattern `{}`", it.from)),
                Some(map) if none && it.to.is_some() => {
                    return Err(format!(
                        "the map `{map}` is of another network: no tensor of the file is called `{}`",
                        it.from
                    ));
                }
                Some(_) | None => {}
            }
        }
        let used: BTreeSet<usize> = names.iter().filter_map(|it| Some(by.first(it)?.0)).collect();
        // A line of a map may be there for what a pattern before it takes.
        if let Some((_, it)) = by.0.iter().enumerate().find(|it| it.1.map.is_none() && !used.contains(&it.0)) {
            return Err(format!("an earlier pattern takes every tensor that `{}` matches", it.from));
        }
        let mut from: BTreeMap<String, String> = BTreeMap::new();
        for name in names {
            let Some((at, to)) = by.first(&name) else {
                taken_once(&mut from, &name, name.clone())?;
                continue;
            };
            match to {
                None => _ = self.file.tensors.remove(&name),
                Some(to) => {
                    if let Some(seen) = by.0[at].filter {
                        self.turn(&name, seen, &to, plan)?;
                    }
                    taken_once(&mut from, &name, to)?;
                }
            }
        }
        let to: BTreeMap<&String, &String> = from.iter().map(|(to, from)| (from, to)).collect();
        let named = |name: &String| to.get(name).map_or_else(|| name.clone(), |it| (*it).clone());
        self.file.rename(named);
        if let Some(roles) = &mut self.roles {
            *roles = std::mem::take(roles).into_iter().map(|(name, it)| (named(&name), it)).collect();
        }
        Ok(())
    }

    /// Makes a filter of PyTorch one of the model's: `[filters, channels, height, width]`, or `[filters, numbers]` of a layer
    /// that sees all numbers, channel by channel; those are of so many rows and columns.
    fn turn(&mut self, name: &str, [rows, columns]: [usize; 2], to: &str, plan: &Plan) -> Result<(), String> {
        let wanted = super::kept(plan).find(|it| it.name == to).map(|it| it.shape.dims());
        let Some(tensor) = self.file.tensors.get_mut(name) else { return Ok(()) };
        let (lie, shape) = match (&tensor.shape[..], wanted) {
            (&[o, c, h, w], _) => (Lie { o, c, h, w }, vec![h, w, c, o]),
            (&[_, n], _) if !n.is_multiple_of(rows * columns) => {
                return Err(format!("`{name}` is of {n} numbers, which are not {rows}x{columns} of some channels"));
            }
            // A convolution over all of its input has rows and columns of its own.
            (&[o, n], Some(&[h, w, _, _])) if 1 < h * w && n.is_multiple_of(h * w) => {
                let c = n / (h * w);
                (Lie { o, c, h, w }, vec![h, w, c, o])
            }
            (&[o, n], wanted) => {
                let ones = if wanted.is_some_and(|it| it.len() == 2) { &[][..] } else { &[1, 1] };
                (Lie { o, c: n / (rows * columns), h: rows, w: columns }, [ones, &[n, o]].concat())
            }
            (other, _) => {
                let shape = crate::ir::Shape(other.to_vec());
                return Err(format!("`{name}` {shape} is no filter: those have 4 extents, or 2"));
            }
        };
        (tensor.lie, tensor.shape) = (Some(lie), shape);
        Ok(())
    }
}

/// Gives a name away, once.
fn taken_once(from: &mut BTreeMap<String, String>, name: &str, to: String) -> Result<(), String> {
    match from.get(&to) {
        Some(other) => Err(format!("`{other}` and `{name}` would both be called `{to}`")),
        None => {
            from.insert(to, name.to_owned());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rule: &str, name: &str) -> Option<String> {
        Rename::parse(rule).unwrap().named(name).flatten()
    }

    #[test]
    fn a_star_stands_for_the_same_letters_in_both_names() {
        assert_eq!(apply("backbone.*=*", "backbone.conv1/filter").as_deref(), Some("conv1/filter"));
        assert_eq!(apply("backbone.*=*", "head/filter"), None);
        assert_eq!(apply("*.weight=*/filter", "fc.weight").as_deref(), Some("fc/filter"));
        assert_eq!(apply("a/w=b/w", "a/w").as_deref(), Some("b/w"));
        assert_eq!(apply("ab*ba=*", "aba"), None);
        for wrong in ["backbone", "=x", "x=", "**=x", "x=*", "a*b*=*"] {
            assert!(Rename::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_stars_stand_in_their_order_and_can_be_counted_from_one() {
        let rule = "layer*.*.conv1.weight=stage*_unit{*+1}/first/filter";
        assert_eq!(apply(rule, "layer1.0.conv1.weight").as_deref(), Some("stage1_unit1/first/filter"));
        assert_eq!(apply(rule, "layer4.12.conv1.weight").as_deref(), Some("stage4_unit13/first/filter"));
        assert_eq!(apply(rule, "layer4.x.conv1.weight"), None, "not a number");
        assert_eq!(apply(rule, "layer4.conv1.weight"), None);
        assert_eq!(apply("*.*.w=*/*", "a.b.c.w").as_deref(), Some("a/b.c"));
        assert_eq!(apply("*a*aa=*|*", "xaaaa").as_deref(), Some("x|a"));
    }

    #[test]
    fn maps_that_are_shipped_can_be_read_and_faults_of_others_are_told_by_line() {
        for name in Renames::shipped() {
            let map = Renames::parse(name).unwrap();
            assert!(10 < map.0.len(), "{name}");
        }
        let said = |text: &str| Renames::lines("m", text).unwrap_err();
        assert_eq!(said(""), "the map `m` has no line");
        assert!(said("# only\nsame a").starts_with("line 2 of the map `m`: expected `same PATTERN NAME`"));
        for wrong in ["filter:6 a b", "filter:0x6 a b", "filters a b", "same a b c"] {
            assert!(said(wrong).contains("expected"), "{wrong}");
        }
        assert!(said("same a*b b**").starts_with("line 1 of the map `m`: a new name has as many `*`"));
        let none = Renames::parse("torchvision/resnet19").unwrap_err();
        assert!(none.contains("torchvision/resnet18, torchvision/resnet50"), "{none}");
    }
}
