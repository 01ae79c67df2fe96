//! Points of the plane by class.

use super::{Area, COLOURS, Painted, Picture, digits, rounded};
use crate::train::curves::Points;
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 600);
/// Width of the plane; the legend is beside it.
const PLANE: u32 = 600;

/// Examples as points, in the colour and form of their class.
pub struct Scatter<'a>(pub &'a Points);

/// From the least to the greatest, around 0 where it is near.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.05).max(1e-6);
    low - room..high + room
}

impl Picture for Scatter<'_> {
    fn size(&self) -> Option<(u32, u32)> {
        (!self.0.places.is_empty()).then_some(SIZE)
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let Points { title, classes, places } = self.0;
        let (plane, legend) = area.split_horizontally(PLANE);
        let x = range(places.iter().map(|it| it.at[0]));
        let y = range(places.iter().map(|it| it.at[1]));
        let marks = [digits(&x), digits(&y)];
        let mut chart = ChartBuilder::on(&plane)
            .caption(title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc("first number")
            .y_desc("second number")
            .x_label_formatter(&|it| rounded(*it, marks[0]))
            .y_label_formatter(&|it| rounded(*it, marks[1]))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        let style = |class: usize| COLOURS[class % COLOURS.len()].mix(0.75).filled();
        for it in places {
            let at = (it.at[0], it.at[1]);
            // Beyond as many classes as colours the form tells them apart.
            match it.class / COLOURS.len() % 3 {
                0 => chart.draw_series([Circle::new(at, 2, style(it.class))])?,
                1 => chart.draw_series([TriangleMarker::new(at, 4, style(it.class))])?,
                _ => chart.draw_series([Cross::new(at, 3, style(it.class))])?,
            };
        }
        for (class, name) in classes.iter().enumerate() {
            let at = (14, 48 + 22 * class as i32);
            match class / COLOURS.len() % 3 {
                0 => legend.draw(&Circle::new(at, 5, style(class)))?,
                1 => legend.draw(&TriangleMarker::new(at, 7, style(class)))?,
                _ => legend.draw(&Cross::new(at, 5, style(class)))?,
            }
            legend.draw(&Text::new(name.clone(), (at.0 + 14, at.1 - 8), ("sans-serif", 15)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::curves::PlacedAt;

    #[test]
    fn every_point_and_every_class_is_there() {
        let classes: Vec<String> = (0..9).map(|it| format!("class {it}")).collect();
        let place = |class: usize| PlacedAt { at: [class as f64, 1.0 / (1.0 + class as f64)], class };
        let places = (0..9).chain(0..9).map(place).collect();
        let points = Points { title: "features".into(), classes, places };
        let svg = Scatter(&points).svg().unwrap();
        // Seven classes are dots, two are triangles: twice each, and in the legend.
        assert_eq!(svg.matches("<circle").count(), 3 * 7, "{svg}");
        assert_eq!(svg.matches("<polygon").count(), 3 * 2, "{svg}");
        assert!(svg.contains("class 8") && svg.contains("features"));
        assert_eq!(Scatter(&Points { places: Vec::new(), ..points }).svg(), None);
    }
}
