//! Arguments in their ranges: extents, numbers, and how a window slides over an image.

use crate::diag::{Code, Span};
use crate::ir::{Geometry, size};
use crate::lower::report::Reports;
use crate::lower::values::args::Args;
use crate::lower::values::value::Value;

/// How an image is padded.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) enum Pad {
    Same,
    Valid,
    /// Zeros before and after, each for height and width.
    By([usize; 2], [usize; 2]),
}

impl Pad {
    /// A geometry without padding, padded over an image.
    pub(in crate::lower) fn around(self, size: [usize; 2], bare: Geometry) -> Geometry {
        match self {
            Pad::Same => bare.padded(size),
            Pad::Valid => bare,
            Pad::By(before, after) => Geometry { before, after, ..bare },
        }
    }
}

/// `1, 6, or another divisor of 6`.
pub(in crate::lower) fn divisors(of: usize) -> String {
    format!("1, {of}, or another divisor of {of}")
}

/// Zeros before and after an axis: one number for both, or two.
pub(in crate::lower) fn both_sides(value: &Value) -> Option<[i64; 2]> {
    match value {
        Value::Int(it) => Some([*it; 2]),
        Value::List(sides) => match sides.as_slice() {
            [Value::Int(before), Value::Int(after)] => Some([*before, *after]),
            _ => None,
        },
        _ => None,
    }
}

impl Reports<'_> {
    /// An int argument of at least `least`.
    pub(in crate::lower) fn whole(&self, args: &Args, name: &str, least: i64) -> Option<usize> {
        match args.get(name)? {
            (Value::Int(it), span) => self.sized(*it, *span, &args.what(name), least),
            _ => None,
        }
    }

    /// A number that becomes an extent, or is added to one.
    pub(in crate::lower) fn sized(&self, value: i64, span: Span, what: &str, least: i64) -> Option<usize> {
        let found = usize::try_from(value).ok().filter(|it| least <= value && *it <= size::MOST_EXTENT);
        if found.is_none() {
            let allowed =
                if value < least { format!("at least {least}") } else { format!("at most {}", size::MOST_EXTENT) };
            self.out_of_range(span, what, &value.to_string(), &allowed);
        }
        found
    }

    /// Height and width of a window: one int for both, or two.
    pub(in crate::lower) fn pair(&self, args: &Args, name: &str, default: [usize; 2]) -> Option<[usize; 2]> {
        self.pair_from(args, name, default, 1)
    }

    /// One int for both axes, or two, of at least `least`.
    pub(in crate::lower) fn pair_from(
        &self,
        args: &Args,
        name: &str,
        default: [usize; 2],
        least: i64,
    ) -> Option<[usize; 2]> {
        let Some((value, span)) = args.get(name) else { return Some(default) };
        let both = match value {
            Value::Int(it) => [*it; 2],
            Value::List(items) => match items.as_slice() {
                [Value::Int(a), Value::Int(b)] => [*a, *b],
                _ => return None,
            },
            _ => return None,
        };
        let (what, span) = (args.what(name), *span);
        let [a, b] = both.map(|it| self.sized(it, span, &what, least));
        Some([a?, b?])
    }

    /// `groups`: so many that each has as many of the channels, and of the filters, as any other.
    pub(in crate::lower) fn groups(&self, args: &Args, channels: usize, filters: usize) -> Option<usize> {
        let Some((_, span)) = args.get("groups") else { return Some(1) };
        let (span, groups) = (*span, self.whole(args, "groups", 1)?);
        if channels.is_multiple_of(groups) && filters.is_multiple_of(groups) {
            return Some(groups);
        }
        let (mut most, mut rest) = (channels, filters);
        while rest != 0 {
            (most, rest) = (rest, most % rest);
        }
        let report = self
            .at(Code::E0108, span, format!("{} is {groups}, out of range", args.what("groups")))
            .label(format!("does not divide both the channels, {channels}, and the filters, {filters}"))
            .help(match most {
                1 => "only 1 divides both".to_owned(),
                _ => format!("give {}", divisors(most)),
            });
        self.report(report);
        None
    }

    /// `same`, `valid`, one number for all sides, or a list of height and width: a number for both sides, or
    /// `[before, after]`.
    pub(in crate::lower) fn pad(&self, args: &Args, default: Pad) -> Option<Pad> {
        let Some((value, span)) = args.get("pad") else { return Some(default) };
        let sides = match value {
            Value::Str(it) => return Some(if it == "same" { Pad::Same } else { Pad::Valid }),
            Value::List(axes) => match axes.as_slice() {
                [height, width] => [both_sides(height)?, both_sides(width)?],
                _ => return None,
            },
            one => [both_sides(one)?; 2],
        };
        let (what, span) = (args.what("pad"), *span);
        let [[top, bottom], [left, right]] = sides.map(|axis| axis.map(|it| self.sized(it, span, &what, 0)));
        Some(Pad::By([top?, left?], [bottom?, right?]))
    }

    /// A float argument in a range given by `fits` and in words.
    pub(in crate::lower) fn float(
        &self,
        args: &Args,
        name: &str,
        default: f64,
        fits: fn(f64) -> bool,
        allowed: &str,
    ) -> Option<f64> {
        match args.get(name) {
            None => Some(default),
            Some((value, span)) => match value.number() {
                Some(it) if fits(it) => Some(it),
                Some(it) => {
                    self.out_of_range(*span, &args.what(name), &it.to_string(), allowed);
                    None
                }
                None => None,
            },
        }
    }

    /// Tells what is out of range in a call that has another mistake.
    pub(in crate::lower) fn told_ranges(&self, args: &Args) {
        for (name, least) in [("size", 1), ("stride", 1), ("dilation", 1), ("output_pad", 0)] {
            self.pair_from(args, name, [1, 1], least);
        }
        self.pad(args, Pad::Valid);
    }
}
