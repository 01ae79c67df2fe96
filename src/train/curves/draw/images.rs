//! Small images in a grid, each with a line below.

use super::{Area, Painted, Picture};
use crate::train::curves::Tile;
use plotters::prelude::*;

/// Room around a tile.
const GAP: u32 = 12;
/// Height of the line below.
const LINE: u32 = 24;

/// Images beside each other.
pub struct Images<'a> {
    /// In order of rows.
    pub tiles: &'a [Tile],
    /// How many are beside each other.
    pub columns: usize,
    /// Width and height that the larger side of an image gets, as far as whole pixels allow.
    pub side: u32,
}

impl Images<'_> {
    fn cell(&self) -> (u32, u32) {
        (self.side + GAP, self.side + GAP + LINE)
    }

    /// How large a pixel of an image is drawn.
    fn scale(&self, tile: &Tile) -> i32 {
        let largest = tile.width.max(tile.height()).max(1);
        (self.side as usize / largest).max(1) as i32
    }
}

impl Picture for Images<'_> {
    fn size(&self) -> Option<(u32, u32)> {
        let columns = u32::try_from(self.columns.min(self.tiles.len())).ok()?;
        let rows = u32::try_from(self.tiles.len().div_ceil(self.columns.max(1))).ok()?;
        let (width, height) = self.cell();
        (columns != 0).then_some((width.checked_mul(columns)? + GAP, height.checked_mul(rows)? + GAP))
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static,
    {
        let (width, height) = self.cell();
        for (at, tile) in self.tiles.iter().enumerate() {
            let left = (GAP + width * (at % self.columns) as u32) as i32;
            let top = (GAP + height * (at / self.columns) as u32) as i32;
            let scale = self.scale(tile);
            for (row, pixels) in tile.pixels.chunks(tile.width).enumerate() {
                let mut from = 0;
                // Neighbours of one colour are one rectangle.
                for run in pixels.chunk_by(|a, b| a == b) {
                    let [red, green, blue] = run[0];
                    let (x, y) = (left + scale * from, top + scale * row as i32);
                    let ends = [(x, y), (x + scale * run.len() as i32, y + scale)];
                    area.draw(&Rectangle::new(ends, RGBColor(red, green, blue).filled()))?;
                    from += run.len() as i32;
                }
            }
            let below = top + scale * tile.height() as i32 + 4;
            area.draw(&Text::new(tile.caption.clone(), (left, below), ("sans-serif", 14)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_drawn_pixel_by_pixel() {
        let (dark, bright) = ([10, 20, 30], [200, 100, 0]);
        let tile = Tile { caption: "two by two".into(), width: 2, pixels: vec![dark, bright, bright, bright] };
        let images = Images { tiles: &[tile], columns: 3, side: 20 };
        let svg = images.svg().unwrap();
        // The white ground, two pixels, and two of one colour as one.
        assert_eq!(svg.matches("<rect").count(), 4, "{svg}");
        assert!(svg.contains("#0A141E") && svg.contains("#C86400") && svg.contains("two by two"), "{svg}");
        assert_eq!(Images { tiles: &[], columns: 2, side: 20 }.svg(), None);
    }
}
