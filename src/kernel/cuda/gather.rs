//! Picks of examples, images through steps of augmentation: one thread for each element of the result.

use super::simple::{addressable, single};
use super::text::{Text, element, file};
use super::{Argument, CudaSource, blocks};
use crate::ir::augment::{after, columns, draws};
use crate::ir::{Augment, Border, DType, Shape};
use crate::kernel::augment::{middle, parts, reach, turns};

/// The kernel.
pub(super) fn gather(dtype: DType, n: usize, item: &Shape, steps: &[Augment]) -> CudaSource {
    let [h, w, c] = match *item.dims() {
        [h, w, c] => [h, w, c],
        _ => [1, 1, item.len()],
    };
    let [rows, wide, _] = after(steps, [h, w, c]).unwrap_or_else(|(_, cause)| panic!("{item}: {cause}"));
    let size = addressable(n * rows * wide * c);
    addressable(h * w * c);
    let mut text = Text::new();
    text.ints([("PICKS", n), ("ITEM_H", h), ("ITEM_W", w), ("ITEM_C", c)]);
    text.ints([("ROWS", rows), ("COLUMNS", wide), ("DRAWS", draws(steps))]);
    text.file(file!("device.cu"));
    text.code(format_args!("using element = {};", element(dtype)));
    text.file(file!("augment.cu"));
    let mut image = "Pixels".to_owned();
    let mut size_below = [h, w, c];
    for (at, (step, column)) in steps.iter().zip(columns(steps)).enumerate() {
        image = over(&mut text, &image, step, size_below, (at, column));
        size_below = step.shape(size_below).unwrap_or_else(|cause| panic!("{item}: {cause}"));
    }
    text.code(format_args!("using Image = {image};"));
    text.file(file!("gather.cu"));
    let uniform = if 0 < draws(steps) { Argument::Input(2) } else { Argument::Null };
    let arguments = vec![Argument::Input(0), Argument::Input(1), uniform, Argument::Output(0)];
    single(text, "gather", blocks(size, 256), 256, arguments)
}

/// The type of a step over what lies below it; its table goes before.
fn over(text: &mut Text, below: &str, step: &Augment, [h, w, _]: [usize; 3], (at, column): (usize, usize)) -> String {
    match *step {
        Augment::Crop { size: [rows, columns], pad, border, centre } => {
            let border = match border {
                Border::Zero => 0,
                Border::Reflect => 1,
                Border::Symmetric => 2,
            };
            format!("Crop<{below}, {h}, {w}, {rows}, {columns}, {pad}, {border}, {centre}, {column}>")
        }
        Augment::ResizedCrop { size, areas, ratios, centre } => {
            let list = match centre {
                true => vec![middle([h, w], size)],
                false => parts([h, w], areas.map(|it| it.0), ratios.map(|it| it.0)),
            };
            let table = table(text, at, list.iter().flatten());
            let [rows, columns] = size;
            format!("ResizedCrop<{below}, {h}, {w}, {rows}, {columns}, {centre}, {table}, {column}>")
        }
        Augment::Rotate { degrees } => {
            let table = table(text, at, turns(degrees.0).iter().flatten());
            format!("Rotate<{below}, {h}, {w}, {table}, {column}>")
        }
        Augment::FlipHorizontal => format!("FlipHorizontal<{below}, {w}, {column}>"),
        Augment::FlipVertical => format!("FlipVertical<{below}, {h}, {column}>"),
        Augment::ColorJitter { brightness, contrast, saturation } => {
            let [b, c, s] = [brightness, contrast, saturation].map(|it| reach(it.0));
            format!("ColorJitter<{below}, {b}, {c}, {s}, {column}>")
        }
        Augment::Cutout { size, value } => format!("Cutout<{below}, {h}, {w}, {size}, {value}, {column}>"),
    }
}

/// A table of whole numbers, by the name of the type that reads it.
fn table(text: &mut Text, at: usize, numbers: impl Iterator<Item = impl ToString>) -> String {
    let numbers: Vec<String> = numbers.map(|it| it.to_string()).collect();
    text.code(format_args!("__device__ const int TABLE_{at}[] = {{{}}};", numbers.join(",")));
    text.code(format_args!("struct Table{at} {{ static __device__ int at(int i) {{ return TABLE_{at}[i]; }} }};"));
    format!("Table{at}")
}
