//! Runs: accuracies above, losses below.

use super::super::{Curve, Estimate, Point};
use super::legend::{Legend, Pen};
use super::{Across, Area, Chart, Painted, Picture, range, sorted};
use plotters::prelude::*;
use std::error::Error;

const WIDTH: u32 = 960;
/// Height of the charts.
const CHARTS: u32 = 760;
/// Height of the upper one.
const UPPER: u32 = 440;

/// Curves of runs.
pub struct Runs<'a>(pub &'a [Curve]);

impl Runs<'_> {
    fn visible(&self) -> Vec<&Curve> {
        self.0.iter().filter(|it| !it.is_empty()).collect()
    }

    /// What each curve is. Where they are of several data sets, each says of which.
    fn legend(&self) -> Legend {
        let visible = self.visible();
        let mixed = visible.iter().any(|it| !it.data.is_empty() && it.data != visible[0].data);
        let split = visible.iter().any(|it| it.validates != visible[0].validates);
        let named = |it: &Curve| label(it, mixed, split);
        Legend(visible.iter().enumerate().map(|(at, it)| (pen(at, it), named(it))).collect())
    }
}

/// Published results are thin; of those without a curve a dashed line stands at the best.
fn pen(at: usize, curve: &Curve) -> Pen {
    let usual = Pen::of(at);
    let dashes = if curve.tested.is_empty() && curve.best.is_some() { Some((7, 5)) } else { usual.dashes };
    Pen { dashes, width: if curve.runs == 0 { 1 } else { 2 }, ..usual }
}

/// A line by a pen.
fn line<'a, B: DrawingBackend>(chart: &mut Chart<'a, B>, points: Vec<(f64, f64)>, pen: Pen) -> Painted
where
    B::ErrorType: 'static,
{
    let style = pen.colour.stroke_width(pen.width);
    match pen.dashes {
        None => chart.draw_series(LineSeries::new(points, style)).map(drop)?,
        Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(points, dash, gap, style)).map(drop)?,
    }
    Ok(())
}

impl Picture for Runs<'_> {
    fn size(&self) -> Option<(u32, u32)> {
        (!self.visible().is_empty()).then(|| (WIDTH, CHARTS + self.legend().height()))
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let curves = &self.visible();
        let tested = curves.iter().flat_map(|it| &it.tested).map(|it| it.iteration as f64);
        let trained = curves.iter().flat_map(|it| &it.losses).map(|it| it.0);
        let end = tested.chain(trained).fold(1.0, f64::max);
        let has_losses = curves.iter().any(|it| 1 < it.losses.len());
        let (charts, legend) = area.split_vertically(CHARTS);
        if has_losses && !curves.iter().any(|it| is_tested(it)) {
            loss(&charts, curves, end)?;
        } else if has_losses {
            let (upper, lower) = charts.split_vertically(UPPER);
            accuracy(&upper, curves, end)?;
            loss(&lower, curves, end)?;
        } else {
            accuracy(&charts, curves, end)?;
        }
        self.legend().draw(&legend)
    }
}

/// Whether there is an accuracy to draw.
fn is_tested(curve: &Curve) -> bool {
    !curve.tested.is_empty() || curve.best.is_some()
}

fn chart<'a, B: DrawingBackend>(
    area: &'a Area<B>,
    caption: &str,
    y_title: &str,
    end: f64,
    y: std::ops::Range<f64>,
) -> Result<Chart<'a, B>, Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    // No more marks than iterations.
    let marks = (end as usize + 1).min(11);
    let mark = |it: &f64| format!("{it:.0}");
    super::chart(area, caption, &Across { title: "iterations", range: 0.0..end * 1.02, marks, mark: &mark }, y_title, y)
}

/// What accuracies are of: of what is not the test set of all, each curve says whether it is.
fn caption(curves: &[&Curve]) -> &'static str {
    let validates = curves.iter().filter(|it| it.validates).count();
    match validates {
        0 => "accuracy on the test set",
        it if it == curves.len() => "accuracy on the validation set",
        _ => "accuracy on the test or validation set",
    }
}

fn percent(it: &Point) -> (f64, f64) {
    (it.iteration as f64, 100.0 * it.accuracy.mean)
}

/// Both ends of an interval, in percent.
fn ends(it: &Estimate) -> [f64; 2] {
    let half = it.half_width.unwrap_or(0.0);
    [100.0 * (it.mean - half), 100.0 * (it.mean + half).min(1.0)]
}

/// What the legend says of a curve.
fn label(curve: &Curve, mixed: bool, split: bool) -> String {
    let mut res = curve.name.clone();
    if mixed && !curve.data.is_empty() {
        res += &format!(" on {}", curve.data);
    }
    if split && curve.validates {
        res += " (validation)";
    }
    if 1 < curve.runs {
        res += &format!(" ({} seeds)", curve.runs);
    }
    let mut facts = Vec::new();
    if let Some((at, best)) = &curve.best {
        let at = at.map_or_else(String::new, |it| format!(" at {it}"));
        facts.push(format!("best {}{at}", best.percent()));
    }
    facts.extend(curve.last.as_ref().map(|it| format!("last {}", it.percent())));
    if let Some((_, loss)) = smoothed(&curve.losses).last() {
        let which = if 1 < curve.runs { " of its first seed" } else { "" };
        facts.push(format!("loss {loss:.4} at the end{which}"));
    }
    if facts.is_empty() { res } else { format!("{res}: {}", facts.join(", ")) }
}

fn accuracy<B: DrawingBackend>(area: &Area<B>, curves: &[&Curve], end: f64) -> Painted
where
    B::ErrorType: 'static,
{
    let tested = curves.iter().flat_map(|it| &it.tested).flat_map(|it| ends(&it.accuracy));
    let marks = curves.iter().filter_map(|it| it.best).flat_map(|it| ends(&it.1));
    let values = sorted(tested.chain(marks));
    let mut chart = chart(area, caption(curves), "accuracy in %", end, range(&values, 0.0, 100.5))?;
    for (at, curve) in curves.iter().enumerate().filter(|(_, it)| is_tested(it)) {
        let pen = pen(at, curve);
        let colour = pen.colour;
        if curve.tested.iter().any(|it| it.accuracy.half_width.is_some()) {
            let lower = curve.tested.iter().map(|it| (it.iteration as f64, ends(&it.accuracy)[0].max(0.0)));
            let upper = curve.tested.iter().rev().map(|it| (it.iteration as f64, ends(&it.accuracy)[1]));
            let band: Vec<(f64, f64)> = lower.chain(upper).collect();
            chart.draw_series([Polygon::new(band, colour.mix(0.15))])?;
        }
        let points: Vec<(f64, f64)> = match (curve.tested.is_empty(), &curve.best) {
            (true, Some((_, best))) => vec![(0.0, 100.0 * best.mean), (end, 100.0 * best.mean)],
            _ => curve.tested.iter().map(percent).collect(),
        };
        line(&mut chart, points, pen)?;
        // The best is a ring around its point, the last a filled dot.
        let best = curve.tested.iter().reduce(|a, b| if b.accuracy.mean > a.accuracy.mean { b } else { a });
        if let (Some(best), Some(last)) = (best, curve.tested.last()) {
            chart.draw_series([Circle::new(percent(best), 7, colour.stroke_width(2))])?;
            chart.draw_series([Circle::new(percent(last), 4, colour.filled())])?;
        }
    }
    Ok(())
}

fn loss<B: DrawingBackend>(area: &Area<B>, curves: &[&Curve], end: f64) -> Painted
where
    B::ErrorType: 'static,
{
    let values = sorted(curves.iter().flat_map(|it| &it.losses).map(|it| it.1));
    let mut chart = chart(area, "loss of training batches", "loss", end, range(&values, 0.0, f64::INFINITY))?;
    for (at, curve) in curves.iter().enumerate() {
        let pen = pen(at, curve);
        chart.draw_series(LineSeries::new(curve.losses.iter().copied(), pen.colour.mix(0.3).stroke_width(1)))?;
        line(&mut chart, smoothed(&curve.losses), pen)?;
    }
    Ok(())
}

/// Mean over a window of a fortieth of the curve on either side; the thin line is every logged batch.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    (0..points.len())
        .map(|at| {
            let window = &points[at.saturating_sub(reach)..(at + reach + 1).min(points.len())];
            (points[at].0, window.iter().map(|it| it.1).sum::<f64>() / window.len() as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::COLOURS;
    use super::*;
    use crate::train::curves::draw::raster::pixels;
    use crate::train::curves::reference;
    use crate::train::metrics::{Line, Losses, Tested};

    fn run(seed: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        for at in 0..200u64 {
            let loss = 2.3 * (-0.03 * at as f64).exp() + 0.1 + 0.05 * ((at + 7 * seed) as f64).sin();
            let (fit, accuracy, seconds) = (loss, 0.0, 0.0);
            lines.push(Line::Losses(Losses {
                iteration: at,
                fit,
                reg: 0.0,
                orth: 0.0,
                loss,
                accuracy: Some(accuracy),
                rate: 1e-3,
                seconds,
                data_wait: None,
                metrics: Default::default(),
            }));
            if at % 20 == 19 {
                let wobble = 0.01 * (3 * seed + at) as f64;
                let test_accuracy = 0.97 - 0.5 * (-0.02 * at as f64).exp() + 0.01 * wobble.sin();
                lines.push(Line::Tested(Tested {
                    iteration: at + 1,
                    test_loss: loss,
                    test_accuracy: Some(test_accuracy),
                    metrics: Default::default(),
                }));
            }
        }
        lines
    }

    #[test]
    fn what_was_not_tested_is_in_no_chart_of_accuracies() {
        let untested: Vec<Line> = run(0).into_iter().filter(|it| matches!(it, Line::Losses(_))).collect();
        let untested = Curve::of_run("untested", &untested);
        let alone = Runs(std::slice::from_ref(&untested)).svg().unwrap();
        assert!(!alone.contains("accuracy on the test set") && alone.contains("untested: "), "{alone}");
        let both = Runs(&[untested, Curve::of_run("digits", &run(1))]).svg().unwrap();
        assert!(both.contains("accuracy on the test set") && both.contains("digits: best"), "{both}");
        assert_eq!(both.matches("untested").count(), 1, "{both}");
    }

    #[test]
    fn images_for_validation_are_no_test_set() {
        let of = |name: &str, validates: bool| Curve { validates, ..Curve::of_run(name, &run(1)) };
        let alone = Runs(&[of("a", true), of("b", true)]).svg().unwrap();
        assert!(alone.contains("accuracy on the validation set") && !alone.contains("(validation)"), "{alone}");
        let both = Runs(&[of("a", true), of("b", false)]).svg().unwrap();
        assert!(both.contains("accuracy on the test or validation set"), "{both}");
        assert!(both.contains("a (validation): best") && both.contains("b: best"), "{both}");
    }

    /// One run, a group, and a published result.
    fn curves() -> Vec<Curve> {
        vec![
            Curve::of_run("digits", &run(0)),
            Curve::of_group("norm=linear", &[run(1), run(2), run(3)]),
            reference::find("spherenet9-cosine").unwrap(),
        ]
    }

    fn keep(name: &str, bytes: &[u8]) {
        if let Some(folder) = std::env::var_os("SPHC_KEEP_CURVES") {
            std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
        }
    }

    #[test]
    fn a_picture_has_both_charts_with_labels_and_marks() {
        let svg = Runs(&curves()).svg().unwrap();
        keep("curves.svg", svg.as_bytes());
        let texts = [
            "accuracy on the test set",
            "accuracy in %",
            "iterations",
            "loss",
            "digits: best",
            "norm=linear (3 seeds): best",
            "±",
            "published spherenet9-cosine: best 91.31 %, last 91.29 %",
        ];
        for text in texts {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.matches("<polyline").count() >= 5 && svg.matches("<circle").count() >= 4);
        assert!(svg.matches("<polygon").count() >= 1, "the interval of the group");
    }

    #[test]
    fn pixels_show_text_and_curves() {
        let bytes = Runs(&curves()).png().unwrap();
        keep("curves.png", &bytes);
        let image = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), pixels(Runs(&curves()).size().unwrap()));
        let dark = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            let place = y.flat_map(|y| x.clone().map(move |x| (x, y)));
            place.filter(|it| image.get_pixel(it.0, it.1).0.iter().all(|it| *it < 100)).count()
        };
        assert!(100 < dark(0..1920, 0..70), "the caption");
        assert!(100 < dark(20..60, 100..800), "the title of the axis, upright");
        let blue = image.pixels().filter(|it| it.0 == [COLOURS[0].0, COLOURS[0].1, COLOURS[0].2]).count();
        assert!(500 < blue, "{blue} pixels of the first curve");
    }

    /// More runs than colours, of long names and several data sets.
    #[test]
    fn many_runs_are_told_apart_below_the_charts() {
        let named = |at: usize| format!("a-run-{}-of-{at}", "with-a-long-name-".repeat(5));
        let of = |at: usize, data: &str| Curve { data: data.into(), ..Curve::of_run(&named(at), &run(at as u64)) };
        let many: Vec<Curve> = (0..12).map(|at| of(at, ["digits", "pets"][at % 2])).collect();
        let svg = Runs(&many).svg().unwrap();
        keep("many.svg", svg.as_bytes());
        let height = |svg: &str| -> u32 {
            let (_, rest) = svg.split_once("height=\"").unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        // Each text lies in the picture, and none but the legend's below the charts.
        let all = height(&svg);
        let places: Vec<u32> = svg
            .split("<text x=\"")
            .skip(1)
            .map(|it| {
                let (_, rest) = it.split_once("y=\"").unwrap();
                rest.split_once('"').unwrap().0.parse().unwrap()
            })
            .collect();
        assert!(places.iter().all(|it| *it < all), "{places:?} of {all}");
        assert_eq!(places.iter().filter(|it| CHARTS < **it).count(), 24, "two lines each");
        assert_eq!((svg.matches(" on digits:").count(), svg.matches(" on pets:").count()), (6, 6));
        let one: Vec<Curve> = (0..2).map(|at| of(at, "digits")).collect();
        assert!(!Runs(&one).svg().unwrap().contains(" on digits"));
    }

    #[test]
    fn nothing_to_see_is_no_picture() {
        assert_eq!(Runs(&[Curve::of_run("a", &[])]).svg(), None);
        assert_eq!(Runs(&[]).png(), None);
    }
}
