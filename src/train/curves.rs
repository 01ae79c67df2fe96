//! `curves.svg`: test accuracy and training loss over iterations.

use super::metrics::{Line, Tested};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;

/// A run to be drawn.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// For the legend.
    pub name: String,
    /// Its metrics.
    pub lines: &'a [Line],
}

const SIZE: (u32, u32) = (900, 720);

/// Colours that are told apart by the colour-blind too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// The picture as SVG; `None` when there is nothing to be seen.
pub fn draw(runs: &[Run]) -> Option<String> {
    if runs.iter().all(|it| it.lines.len() < 2) {
        return None;
    }
    let mut res = String::new();
    {
        let area = SVGBackend::with_string(&mut res, SIZE).into_drawing_area();
        paint(&area, runs).expect("drawing into a string cannot fail");
    }
    Some(res)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn paint(area: &Area, runs: &[Run]) -> Result<(), Box<dyn Error>> {
    area.fill(&WHITE)?;
    let (upper, lower) = area.split_vertically(400);
    let end = runs.iter().flat_map(|it| it.lines).map(iteration).max().unwrap_or(0).max(1) as f64;
    accuracy(&upper, runs, end)?;
    loss(&lower, runs, end)?;
    area.present()?;
    Ok(())
}

fn iteration(line: &Line) -> u64 {
    match line {
        Line::Losses(it) => it.iteration,
        Line::Tested(it) => it.iteration,
    }
}

/// From the points' least to their greatest, with room around; outliers of a loss's start are cut.
fn range(values: impl Iterator<Item = f64>, least: f64, greatest: f64) -> std::ops::Range<f64> {
    let (low, high) = values
        .filter(|it| it.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
    if low > high {
        return least.max(0.0)..greatest.min(1.0);
    }
    let room = ((high - low) * 0.08).max(1e-3 * high.abs()).max(1e-6);
    (low - room).max(least)..(high + room).min(greatest)
}

fn accuracy(area: &Area, runs: &[Run], end: f64) -> Result<(), Box<dyn Error>> {
    let tested: Vec<Vec<Tested>> = runs
        .iter()
        .map(|run| run.lines.iter().filter_map(|it| if let Line::Tested(it) = it { Some(*it) } else { None }).collect())
        .collect();
    let values = tested.iter().flatten().map(|it| 100.0 * it.test_accuracy);
    let mut chart = ChartBuilder::on(area)
        .caption("accuracy on the test set", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end * 1.02, range(values, 0.0, 100.5))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("iterations")
        .y_desc("accuracy in %")
        .x_label_formatter(&|it| format!("{it:.0}"))
        .y_label_formatter(&|it| format!("{it:.1}"))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .draw()?;
    for (at, (run, tested)) in runs.iter().zip(&tested).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let point = |it: &Tested| (it.iteration as f64, 100.0 * it.test_accuracy);
        let (Some(last), Some(best)) =
            (tested.last(), tested.iter().reduce(|a, b| if b.test_accuracy > a.test_accuracy { b } else { a }))
        else {
            continue;
        };
        let label =
            format!("{}: best {:.2} % at {}, last {:.2} %", run.name, point(best).1, best.iteration, point(last).1);
        chart
            .draw_series(LineSeries::new(tested.iter().map(point), colour.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        // The best is a ring around its point, the last a filled dot.
        chart.draw_series([Circle::new(point(best), 7, colour.stroke_width(2))])?;
        chart.draw_series([Circle::new(point(last), 4, colour.filled())])?;
    }
    if tested.iter().any(|it| !it.is_empty()) {
        legend(&mut chart, SeriesLabelPosition::LowerRight)?;
    }
    Ok(())
}

fn loss(area: &Area, runs: &[Run], end: f64) -> Result<(), Box<dyn Error>> {
    let points: Vec<Vec<(f64, f64)>> = runs
        .iter()
        .map(|run| {
            run.lines
                .iter()
                .filter_map(|it| match it {
                    Line::Losses(it) if it.loss.is_finite() => Some((it.iteration as f64, it.loss)),
                    Line::Losses(_) | Line::Tested(_) => None,
                })
                .collect()
        })
        .collect();
    let mut chart = ChartBuilder::on(area)
        .caption("loss of training batches", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end * 1.02, range(points.iter().flatten().map(|it| it.1), 0.0, f64::INFINITY))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("iterations")
        .y_desc("loss")
        .x_label_formatter(&|it| format!("{it:.0}"))
        .y_label_formatter(&|it| format!("{it:.2}"))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .draw()?;
    for (at, (run, points)) in runs.iter().zip(&points).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let Some(last) = points.last() else { continue };
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.mix(0.35).stroke_width(1)))?;
        let smooth = smoothed(points);
        let final_value = smooth.last().unwrap_or(last).1;
        chart
            .draw_series(LineSeries::new(smooth, colour.stroke_width(2)))?
            .label(format!("{}: {final_value:.4} at the end (thin: every logged batch)", run.name))
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    if points.iter().any(|it| !it.is_empty()) {
        legend(&mut chart, SeriesLabelPosition::UpperRight)?;
    }
    Ok(())
}

/// Mean over a window of a fortieth of the curve on either side.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    (0..points.len())
        .map(|at| {
            let window = &points[at.saturating_sub(reach)..(at + reach + 1).min(points.len())];
            (points[at].0, window.iter().map(|it| it.1).sum::<f64>() / window.len() as f64)
        })
        .collect()
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Result<(), Box<dyn Error>> {
    chart
        .configure_series_labels()
        .position(position)
        .margin(14)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::Losses;

    #[test]
    fn a_picture_has_both_curves_with_labels_and_marks() {
        let mut lines = Vec::new();
        for at in 0..200u64 {
            let loss = 2.3 * (-0.03 * at as f64).exp() + 0.1 + 0.05 * (at as f64).sin();
            lines.push(Line::Losses(Losses {
                iteration: at,
                fit: loss,
                reg: 0.0,
                orth: 0.0,
                loss,
                accuracy: 0.0,
                rate: 1e-3,
                seconds: 0.0,
            }));
            if at % 20 == 19 {
                let test_accuracy = 0.98 - 0.5 * (-0.02 * at as f64).exp() - if at > 150 { 0.01 } else { 0.0 };
                lines.push(Line::Tested(Tested { iteration: at + 1, test_loss: loss, test_accuracy }));
            }
        }
        let svg = draw(&[Run { name: "digits".into(), lines: &lines }]).unwrap();
        if let Some(path) = std::env::var_os("SPHC_KEEP_CURVES") {
            std::fs::write(path, &svg).unwrap();
        }
        for text in ["accuracy on the test set", "accuracy in %", "iterations", "loss", "digits: best", "last"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.matches("<polyline").count() >= 3 && svg.matches("<circle").count() >= 2);
    }

    #[test]
    fn nothing_to_see_is_no_picture() {
        assert_eq!(draw(&[Run { name: "a".into(), lines: &[] }]), None);
    }
}
