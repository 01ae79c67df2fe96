//! Pictures in pixels: what plotters draws, at twice its size, with text from an atlas of glyphs
//! (`font.png`, DejaVu Sans; its licence lies beside it).

use plotters::prelude::BitMapBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};
use std::sync::OnceLock;

/// Pixels per unit of the drawing: text stays sharp on every screen.
const SCALE: i32 = 2;
/// Characters of the atlas in order.
const GLYPHS: &str = concat!(
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
    "±×·–—°…µÄÖÜäöüßéèà"
);
/// Pixels per em of the atlas.
const EM: f64 = 48.0;
/// A font of size 14 has an em of 14 / 1.24, as in plotters' SVG.
const SIZE_TO_EM: f64 = 1.24;

/// Glyphs side by side, white on black. The top row marks where each begins.
struct Atlas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    starts: Vec<usize>,
}

impl Atlas {
    fn get() -> &'static Atlas {
        static ATLAS: OnceLock<Atlas> = OnceLock::new();
        ATLAS.get_or_init(|| {
            let image = image::load_from_memory(include_bytes!("font.png")).expect("the atlas is a PNG").into_luma8();
            let width = image.width() as usize;
            let height = image.height() as usize - 1;
            let (marks, pixels) = image.as_raw().split_at(width);
            let mut starts: Vec<usize> = (0..width).filter(|it| marks[*it] != 0).collect();
            assert_eq!(starts.len(), GLYPHS.chars().count(), "one mark for each glyph");
            starts.push(width);
            Atlas { width, height, pixels: pixels.to_vec(), starts }
        })
    }

    /// First and last column of a character; of `?` for one that is not there.
    fn columns(&self, it: char) -> (usize, usize) {
        let at = GLYPHS.chars().position(|other| other == it).unwrap_or('?' as usize - ' ' as usize);
        (self.starts[at], self.starts[at + 1])
    }

    /// Mean of a part of a glyph, 0 to 1.
    fn mean(&self, columns: (usize, usize), x: (f64, f64), y: (f64, f64)) -> f64 {
        let mut sum = 0.0;
        for row in y.0 as usize..(y.1.ceil() as usize).min(self.height) {
            let high = (row as f64 + 1.0).min(y.1) - (row as f64).max(y.0);
            for column in x.0 as usize..(x.1.ceil() as usize).min(columns.1 - columns.0) {
                let wide = (column as f64 + 1.0).min(x.1) - (column as f64).max(x.0);
                sum += high * wide * f64::from(self.pixels[row * self.width + columns.0 + column]);
            }
        }
        sum / 255.0 / ((x.1 - x.0) * (y.1 - y.0))
    }
}

/// Atlas pixels per picture pixel, for a font size in units of the drawing.
fn shrink(size: f64) -> f64 {
    EM * SIZE_TO_EM / (size * f64::from(SCALE))
}

/// Width and height in pixels.
fn extent(text: &str, size: f64) -> (i32, i32) {
    let atlas = Atlas::get();
    let columns: usize = text.chars().map(|it| atlas.columns(it)).map(|(first, end)| end - first).sum();
    ((columns as f64 / shrink(size)).ceil() as i32, (atlas.height as f64 / shrink(size)).ceil() as i32)
}

/// Draws to three bytes for each pixel.
pub(super) struct Raster<'a> {
    inner: BitMapBackend<'a>,
    size: (u32, u32),
}

/// The extents of the picture of a drawing.
pub(super) fn pixels(size: (u32, u32)) -> (u32, u32) {
    (size.0 * SCALE as u32, size.1 * SCALE as u32)
}

impl<'a> Raster<'a> {
    /// `buffer` has three bytes for each of [`pixels`].
    pub(super) fn new(buffer: &'a mut [u8], size: (u32, u32)) -> Raster<'a> {
        Raster { inner: BitMapBackend::with_buffer(buffer, pixels(size)), size }
    }
}

/// A style at the picture's scale.
struct Scaled(BackendColor, u32);

impl BackendStyle for Scaled {
    fn color(&self) -> BackendColor {
        self.0
    }

    fn stroke_width(&self) -> u32 {
        self.1
    }
}

fn scaled(style: &impl BackendStyle) -> Scaled {
    Scaled(style.color(), style.stroke_width() * SCALE as u32)
}

fn place((x, y): BackendCoord) -> BackendCoord {
    (x * SCALE, y * SCALE)
}

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> DrawingBackend for Raster<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.inner.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn<'a> {
        let (x, y) = place(point);
        self.inner.draw_rect((x, y), (x + SCALE - 1, y + SCALE - 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn<'a> {
        self.inner.draw_line(place(from), place(to), &scaled(style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        self.inner.draw_rect(place(upper_left), place(bottom_right), &scaled(style), fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn<'a> {
        self.inner.draw_path(path.into_iter().map(place), &scaled(style))
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn<'a> {
        self.inner.draw_circle(place(center), radius * SCALE as u32, &scaled(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn<'a> {
        self.inner.fill_polygon(path.into_iter().map(place), &scaled(style))
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        let (width, height) = extent(text, style.size());
        Ok(((width / SCALE) as u32 + 1, (height / SCALE) as u32 + 1))
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, pos: BackendCoord) -> Drawn<'a> {
        let atlas = Atlas::get();
        let (width, height) = extent(text, style.size());
        let anchor = style.anchor();
        let left = match anchor.h_pos {
            HPos::Left => 0,
            HPos::Right => -width,
            HPos::Center => -width / 2,
        };
        let top = match anchor.v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let (origin, step, color) = (place(pos), shrink(style.size()), style.color());
        let transform: FontTransform = style.transform();
        let mut begin = 0.0;
        for it in text.chars() {
            let columns = atlas.columns(it);
            let end = begin + (columns.1 - columns.0) as f64 / step;
            for x in begin as i32..end.ceil() as i32 {
                // The part of the glyph below this pixel, in columns of the atlas.
                let from = ((f64::from(x) - begin) * step).max(0.0);
                let to = (f64::from(x) + 1.0 - begin) * step;
                for y in 0..height {
                    let rows = (f64::from(y) * step, f64::from(y + 1) * step);
                    let ink = atlas.mean(columns, (from, to), rows);
                    if 0.0 < ink {
                        let (dx, dy) = transform.transform(left + x, top + y);
                        let at = (origin.0 + dx, origin.1 + dy);
                        self.inner.draw_pixel(at, color.mix(ink))?;
                    }
                }
            }
            begin = end;
        }
        Ok(())
    }
}
