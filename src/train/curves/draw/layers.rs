//! Histograms of angles, one chart for each layer.

use super::super::LayerAngles;
use super::{Across, Area, COLOURS, Painted, Picture, chart};
use plotters::prelude::*;

const COLUMNS: usize = 2;
/// Width and height of a chart with the line under it.
const CELL: (u32, u32) = (480, 320);

/// Angles of layers.
pub struct Layers<'a>(pub &'a [LayerAngles]);

impl Picture for Layers<'_> {
    fn size(&self) -> Option<(u32, u32)> {
        let rows = u32::try_from(self.0.len().div_ceil(COLUMNS)).ok()?;
        (!self.0.is_empty()).then_some((CELL.0 * COLUMNS as u32, rows.checked_mul(CELL.1)?))
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let cells = area.split_evenly((self.0.len().div_ceil(COLUMNS), COLUMNS));
        for (layer, cell) in self.0.iter().zip(&cells) {
            let (above, below) = cell.split_vertically(CELL.1 - 26);
            below.draw(&Text::new(layer.facts.clone(), (24, 2), ("sans-serif", 12)))?;
            let total = layer.counts.iter().sum::<u64>().max(1) as f64;
            let shares: Vec<f64> = layer.counts.iter().map(|it| 100.0 * *it as f64 / total).collect();
            let most = shares.iter().copied().fold(1.0, f64::max);
            let wide = 180.0 / shares.len().max(1) as f64;
            let mark = |it: &f64| format!("{it:.0}");
            let across = Across { title: "angle in degrees", range: 0.0..180.0, marks: 7, mark: &mark };
            let mut chart = chart(&above, &layer.name, &across, "share in %", 0.0..most * 1.08)?;
            let bar = |(at, share): (usize, &f64)| {
                let ends = [(at as f64 * wide, 0.0), ((at + 1) as f64 * wide, *share)];
                Rectangle::new(ends, COLOURS[0].mix(0.7).filled())
            };
            chart.draw_series(shares.iter().enumerate().map(bar))?;
        }
        Ok(())
    }
}
