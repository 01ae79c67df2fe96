//! Pictures by plotters, as SVG or PNG: of runs, of operators, of layers, of images, and of points.

mod images;
mod layers;
mod legend;
mod operators;
mod raster;
mod runs;
mod scatter;

pub use images::Images;
pub use layers::Layers;
pub use operators::Operators;
pub use runs::Runs;
pub use scatter::Scatter;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use raster::{Raster, pixels};
use std::error::Error;
use std::ops::Range;

/// Colours that are told apart by the colour-blind too (Okabe and Ito, and grey).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

type Area<B> = DrawingArea<B, Shift>;
type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Painted = Result<(), Box<dyn Error>>;

/// What can be drawn.
pub trait Picture {
    /// Width and height; `None` when there is nothing to be seen.
    fn size(&self) -> Option<(u32, u32)>;

    /// Paints it.
    fn paint<B: DrawingBackend>(&self, area: &Area<B>) -> Painted
    where
        B::ErrorType: 'static;

    /// The picture as SVG; `None` when there is nothing to be seen.
    fn svg(&self) -> Option<String> {
        let size = self.size()?;
        let mut res = String::new();
        let area = SVGBackend::with_string(&mut res, size).into_drawing_area();
        whole(self, &area).expect("drawing into a string cannot fail");
        drop(area);
        Some(res)
    }

    /// The picture as PNG; `None` when there is nothing to be seen.
    fn png(&self) -> Option<Vec<u8>> {
        let size = self.size()?;
        let (width, height) = pixels(size);
        let mut buffer = vec![255; (3 * width * height) as usize];
        let area = Raster::new(&mut buffer, size).into_drawing_area();
        whole(self, &area).expect("drawing into memory cannot fail");
        drop(area);
        let image = image::RgbImage::from_raw(width, height, buffer).expect("the buffer has this size");
        let mut res = std::io::Cursor::new(Vec::new());
        image.write_to(&mut res, image::ImageFormat::Png).expect("memory can be written to");
        Some(res.into_inner())
    }
}

fn whole<P: Picture + ?Sized, B: DrawingBackend>(picture: &P, area: &Area<B>) -> Painted
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    picture.paint(area)?;
    area.present()?;
    Ok(())
}

/// The axis to the right.
struct Across<'a> {
    title: &'a str,
    range: Range<f64>,
    marks: usize,
    mark: &'a dyn Fn(&f64) -> String,
}

/// From the least to the greatest of sorted values, with room around.
fn range(values: &[f64], least: f64, greatest: f64) -> Range<f64> {
    let (Some(low), Some(high)) = (values.first(), values.last()) else {
        return least.max(0.0)..greatest.min(1.0);
    };
    let room = ((high - low) * 0.08).max(1e-3 * high.abs()).max(1e-6);
    (low - room).max(least)..(high + room).min(greatest)
}

/// Finite values in order.
fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut res: Vec<f64> = values.filter(|it| it.is_finite()).collect();
    res.sort_by(f64::total_cmp);
    res
}

/// Digits behind the point of an axis's marks.
fn digits(range: &Range<f64>) -> usize {
    match range.end - range.start {
        it if it < 0.2 => (2.0 - it.log10().floor()).clamp(3.0, 12.0) as usize,
        it if it < 2.0 => 2,
        it if it < 20.0 => 1,
        _ => 0,
    }
}

/// A mark, without the sign of what rounds to 0.
fn rounded(it: f64, digits: usize) -> String {
    let unit = 10f64.powi(digits as i32);
    format!("{:.digits$}", (it * unit).round() / unit + 0.0)
}

fn chart<'a, B: DrawingBackend>(
    area: &'a Area<B>,
    caption: &str,
    across: &Across<'_>,
    y_title: &str,
    y: Range<f64>,
) -> Result<Chart<'a, B>, Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    let digits = digits(&y);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(68)
        .build_cartesian_2d(across.range.clone(), y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(across.title)
        .y_desc(y_title)
        .x_labels(across.marks)
        .x_label_formatter(across.mark)
        .y_label_formatter(&|it| rounded(*it, digits))
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .draw()?;
    Ok(chart)
}
