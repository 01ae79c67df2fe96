//! Operators over the angle: above their values, below their slopes, and what each curve is.

use super::super::operators::{OperatorCurve, Trail};
use super::legend::{Legend, Pen};
use super::{Across, Area, Painted, Picture, chart, range, sorted};
use plotters::prelude::*;
use std::f64::consts::FRAC_PI_4;
use std::ops::Range;

const WIDTH: u32 = 960;
/// Height of a chart.
const CHART: u32 = 360;
/// About as many pixels of it are between the least and the greatest value.
const INNER: f64 = 258.0;
/// Pixels up to which two curves are one to the eye.
const NEAR: f64 = 0.5;
/// Pixels up to which they differ by what was rounded.
const SAME: f64 = 1e-6;
/// Dashes and gaps of a curve that lies on another.
const OVER: (i32, i32) = (5, 12);

/// What a chart is of.
type Of = fn(&OperatorCurve) -> &Trail;
const VALUE: Of = |it| &it.value;
const SLOPE: Of = |it| &it.slope;

/// Curves of operators.
pub struct Operators<'a>(pub &'a [OperatorCurve]);

impl Operators<'_> {
    /// From the least to the greatest of what is seen in a chart.
    fn seen(&self, of: Of) -> Range<f64> {
        let values = sorted(self.0.iter().flat_map(|it| of(it).parts.iter().flatten()).map(|it| it.1));
        // Near a pole values are as large as one looks closely.
        let shown = match self.0.iter().all(|it| of(it).gaps.is_empty()) {
            true => &values[..],
            false => &values[values.len() / 20..values.len() - values.len() / 20],
        };
        range(shown, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Whether two curves are less than so many pixels from each other everywhere.
    fn within(&self, [a, b]: [usize; 2], of: Of, pixels: f64) -> bool {
        let seen = self.seen(of);
        let far = of(&self.0[a]).distance(of(&self.0[b]), &seen);
        far.is_some_and(|it| it / (seen.end - seen.start) * INNER < pixels)
    }

    /// Whether a curve cannot be told from another in a chart. Those of the same values are the same function, though roundings
    /// may leave one of them without a slope somewhere.
    fn lies_on(&self, pair: [usize; 2], of: Of) -> bool {
        self.within(pair, VALUE, SAME) || self.within(pair, of, NEAR)
    }

    /// In a pile of curves each has shorter dashes than those below, so that all are seen.
    fn dashes(&self, at: usize, of: Of) -> Option<(i32, i32)> {
        let pile = |others: Range<usize>| others.filter(|it| self.lies_on([at, *it], of)).count() as i32;
        let (below, above) = (pile(0..at), pile(at + 1..self.0.len()));
        (0 < below).then_some((OVER.0 * (above + 1), OVER.1 + OVER.0 * (below - 1)))
    }

    fn pen(&self, at: usize, of: Of) -> Pen {
        let usual = Pen::of(at);
        Pen { dashes: self.dashes(at, of).or(usual.dashes), ..usual }
    }

    /// A curve that is dotted in one chart only is so in the legend, too.
    fn legend(&self) -> Legend {
        let pen = |at: usize| if self.dashes(at, VALUE).is_some() { self.pen(at, VALUE) } else { self.pen(at, SLOPE) };
        Legend((0..self.0.len()).map(|at| (pen(at), self.label(at))).collect())
    }

    /// What a curve lies on, in words.
    fn below(&self, at: usize) -> Option<String> {
        let first = |is: &dyn Fn([usize; 2]) -> bool| (0..at).find(|it| is([at, *it]));
        let name = |it: usize| &self.0[it].name;
        if let Some(it) = first(&|pair| self.within(pair, VALUE, SAME)) {
            return Some(format!("the same here as {}", name(it)));
        }
        if let Some(it) = first(&|pair| self.lies_on(pair, VALUE) && self.lies_on(pair, SLOPE)) {
            let far = self.0[at].value.distance(&self.0[it].value, &self.seen(VALUE));
            let far = far.map_or_else(String::new, |it| format!(", at most {it:.1e} away"));
            return Some(format!("lies on {}{far}", name(it)));
        }
        let value = first(&|pair| self.lies_on(pair, VALUE)).map(|it| format!("its values lie on {}", name(it)));
        let slope =
            first(&|pair| self.lies_on(pair, SLOPE)).map(|it| format!("its slope lies on that of {}", name(it)));
        let told: Vec<String> = value.into_iter().chain(slope).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn label(&self, at: usize) -> String {
        let it = &self.0[at];
        let drawn_with = Some(it.drawn_with.clone()).filter(|it| !it.is_empty());
        let more: Vec<String> = [drawn_with, it.missing(), self.below(at)].into_iter().flatten().collect();
        if more.is_empty() { it.name.clone() } else { format!("{} ({})", it.name, more.join("; ")) }
    }

    fn curves<B: DrawingBackend>(&self, area: &Area<B>, [caption, title]: [&str; 2], of: Of) -> Painted
    where
        B::ErrorType: 'static,
    {
        let y = self.seen(of);
        let mark = |it: &f64| match it.round() as i64 {
            0 => "0".to_owned(),
            1 => "pi/4".to_owned(),
            2 => "pi/2".to_owned(),
            3 => "3pi/4".to_owned(),
            _ => "pi".to_owned(),
        };
        let across =
            Across { title: "angle between patch and filter, in radians", range: 0.0..4.0, marks: 5, mark: &mark };
        let mut chart = chart(area, caption, &across, title, y.clone())?;
        for (at, curve) in self.0.iter().enumerate() {
            let pen = self.pen(at, of);
            for part in of(curve).parts.iter().flat_map(|it| it.split(|it| !y.contains(&it.1))) {
                let points: Vec<(f64, f64)> = part.iter().map(|it| (it.0 / FRAC_PI_4, it.1)).collect();
                match pen.dashes {
                    None => chart.draw_series(LineSeries::new(points, pen.colour.stroke_width(2)))?,
                    Some((dash, gap)) => {
                        chart.draw_series(DashedLineSeries::new(points, dash, gap, pen.colour.stroke_width(2)))?
                    }
                };
            }
        }
        Ok(())
    }
}

impl Picture for Operators<'_> {
    fn size(&self) -> Option<(u32, u32)> {
        (!self.0.is_empty()).then(|| (WIDTH, 2 * CHART + self.legend().height()))
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let (upper, rest) = area.split_vertically(CHART);
        let (lower, legend) = rest.split_vertically(CHART);
        self.curves(&upper, ["response to the angle, norms being 1", "response"], VALUE)?;
        self.curves(&lower, ["slope of the response", "slope per radian"], SLOPE)?;
        self.legend().draw(&legend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Response, ScalarFn, Unary};

    /// `scale * cos(x) + shift`.
    fn cosine(name: &str, scale: f64, shift: f64) -> OperatorCurve {
        let value = ScalarFn::build(1, |pool, it| {
            let (scale, shift) = (pool.constant(scale), pool.constant(shift));
            let cos = pool.unary(Unary::Cos, it[0]);
            let scaled = pool.mul(scale, cos);
            pool.add(scaled, shift)
        });
        OperatorCurve::new(name, &Response::new(value, Vec::new(), Vec::new()))
    }

    #[test]
    fn curves_that_the_eye_cannot_part_lie_on_each_other() {
        let curves = [
            cosine("a", 1.0, 0.0),
            cosine("near", 1.0001, 0.0),
            cosine("same", 1.0, 0.0),
            cosine("apart", 0.98, 0.0),
            cosine("higher", 0.98, 0.5),
        ];
        let drawn = Operators(&curves);
        let labels: Vec<String> = (0..curves.len()).map(|at| drawn.label(at)).collect();
        let told = ["a", "near (lies on a, at most 1.0e-4 away)", "same (the same here as a)", "apart"];
        assert_eq!(
            (&labels[..4], &*labels[4]),
            (&told.map(String::from)[..], "higher (its slope lies on that of apart)")
        );
        // The second of three is seen between the dashes of the third.
        let dashes = |of| [0, 1, 2, 3, 4].map(|at| drawn.dashes(at, of));
        assert_eq!(dashes(VALUE), [None, Some((10, 12)), Some((5, 17)), None, None]);
        assert_eq!(dashes(SLOPE), [None, Some((10, 12)), Some((5, 17)), None, Some((5, 12))]);
    }
}
