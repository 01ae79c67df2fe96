//! Operators over the angle: above their values, below their slopes, and what each curve is.

use super::super::operators::{OperatorCurve, Trail};
use super::legend::{Legend, Pen};
use super::{Across, Area, Painted, Picture, chart, range, sorted};
use plotters::prelude::*;
use std::f64::consts::FRAC_PI_4;

const WIDTH: u32 = 960;
/// Height of a chart.
const CHART: u32 = 360;
/// Dashes and gaps of a curve that lies on another.
const OVER: (i32, i32) = (5, 12);

/// Curves of operators.
pub struct Operators<'a>(pub &'a [OperatorCurve]);

impl Operators<'_> {
    /// The first of the curves before it that has the values of a curve.
    fn same(&self, at: usize) -> Option<&OperatorCurve> {
        self.0[..at].iter().find(|it| it.equals(&self.0[at]))
    }

    fn pen(&self, at: usize) -> Pen {
        let usual = Pen::of(at);
        Pen { dashes: self.same(at).map_or(usual.dashes, |_| Some(OVER)), ..usual }
    }

    fn legend(&self) -> Legend {
        Legend((0..self.0.len()).map(|at| (self.pen(at), self.label(at))).collect())
    }

    fn label(&self, at: usize) -> String {
        let it = &self.0[at];
        let same = self.same(at).map(|it| format!("the same here as {}", it.name));
        let more: Vec<String> = [Some(it.drawn_with.clone()).filter(|it| !it.is_empty()), it.missing(), same]
            .into_iter()
            .flatten()
            .collect();
        if more.is_empty() { it.name.clone() } else { format!("{} ({})", it.name, more.join("; ")) }
    }

    fn curves<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        [caption, title]: [&str; 2],
        of: fn(&OperatorCurve) -> &Trail,
    ) -> Painted
    where
        B::ErrorType: 'static,
    {
        let values = sorted(self.0.iter().flat_map(|it| of(it).parts.iter().flatten()).map(|it| it.1));
        // Near a pole values are as large as one looks closely.
        let shown = match self.0.iter().all(|it| of(it).gaps.is_empty()) {
            true => &values[..],
            false => &values[values.len() / 20..values.len() - values.len() / 20],
        };
        let y = range(shown, f64::NEG_INFINITY, f64::INFINITY);
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
            let pen = self.pen(at);
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
        self.curves(&upper, ["response to the angle, norms being 1", "response"], |it| &it.value)?;
        self.curves(&lower, ["slope of the response", "slope per radian"], |it| &it.slope)?;
        self.legend().draw(&legend)
    }
}
