//! Maps with reductions: one, or many that share a launch.
//!
//! A result is written whole, or reduced over columns (a number per row), over rows (a number per column), or over all.
//! Reductions over other axes get a launch of their own, which comes first: whole results may overwrite operands. The
//! functions of each distinct map stand in a namespace; an entry gives each map its blocks of the grid.

mod element;
mod functions;
mod layout;
mod rows;

use super::combine::{Part, Then, combine};
use super::drawn;
use super::simple::{self, Behind};
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, CudaSource};
use crate::kernel::{KernelSpec, MapKernel};
use functions::{Functions, laid_out, write, write_elements};
pub(super) use functions::{coordinates, offset};
use layout::Layout;
pub(super) use rows::over_rows;
use std::fmt::Write;

const THREADS: usize = 256;

/// Maps that do not depend on each other, in one translation unit.
pub(super) fn maps(all: &[MapKernel]) -> CudaSource {
    let mut text = start();
    let (launches, scratch) = append(all, &mut text);
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

fn start() -> Text {
    let mut text = Text::new();
    text.file(file!("device.cu"));
    text.file(file!("vector.cu"));
    text.file(file!("moments.cu"));
    text.file(file!("scalar.cu"));
    text
}

/// Adds maps to a unit that has the scalar functions; their launches, and their scratch space in bytes.
pub(super) fn append(all: &[MapKernel], text: &mut Text) -> (Vec<CudaLaunch>, usize) {
    let mut unit = Unit::default();
    for map in all {
        unit.add(map, text);
    }
    (unit.launches(text, None), unit.scratch * 4)
}

/// Adds the functions of a map without reductions, of which `map_element` is called.
pub(super) fn elements(map: &MapKernel, text: &mut Text) {
    write_elements(map, text);
}

/// A map whose sums over pixels another map goes on with, channel by channel; nothing where there is no second stage that it
/// could stand in.
pub(super) fn map_then(map: &MapKernel, after: &MapKernel) -> Option<CudaSource> {
    let mut text = start();
    let mut unit = Unit::default();
    unit.add(map, &mut text);
    let channels: usize = after.dims.iter().product();
    let alike = |it: &Part| it.width == channels && it.slices == unit.parts[0].slices;
    if unit.parts.is_empty() || !unit.parts.iter().all(alike) || unit.kinds[0].functions.axes_blocks != 0 {
        return None;
    }
    let then = Then { map: after, inputs: map.inputs.len(), outputs: map.outputs.len() };
    let launches = unit.launches(&mut text, Some(then));
    Some(CudaSource { text: text.finish(), launches, scratch: unit.scratch * 4, counters: 0 })
}

/// A map that makes a number of each pixel, and sums of these over windows; nothing where blocks and images do not fit.
pub(super) fn windowed(map: &MapKernel, window: &KernelSpec) -> Option<CudaSource> {
    let mut text = start();
    let mut unit = Unit::default();
    unit.add(map, &mut text);
    let Functions { blocks, block_rows, column_blocks, axes_blocks, by_rows, .. } = unit.kinds[0].functions;
    if blocks == 0 || column_blocks != 1 || axes_blocks != 0 || !by_rows {
        return None;
    }
    text.once(file!("combine.cu"));
    let Behind { pixels, images, types: [read, written] } = simple::behind(window, &mut text)?;
    if !(block_rows.is_multiple_of(pixels) || pixels.is_multiple_of(block_rows))
        || unit.inputs.len() != map.inputs.len()
    {
        return None;
    }
    unit.inputs.push(format!("const {read}* pixels"));
    unit.outputs.push(format!("{written}* windows"));
    unit.behind = Some(format!("behind::windows_behind<{block_rows}>(pixels, windows, counters, blockIdx.x);"));
    let launches = unit.launches(&mut text, None);
    let counters = if block_rows < pixels { images } else { 0 };
    Some(CudaSource { text: text.finish(), launches, scratch: unit.scratch * 4, counters })
}

/// Maps that are alike but for their operands.
struct Kind<'a> {
    map: &'a MapKernel,
    functions: Functions,
    /// Names of each one's operands, results and scratch space.
    members: Vec<String>,
}

#[derive(Default)]
struct Unit<'a> {
    kinds: Vec<Kind<'a>>,
    /// Parameters of the entries: `const float* in0, ...`, then `float* out0, ...`.
    inputs: Vec<String>,
    outputs: Vec<String>,
    parts: Vec<Part>,
    /// In numbers.
    scratch: usize,
    /// What a block of the only map does when it is done.
    behind: Option<String>,
}

impl<'a> Unit<'a> {
    fn add(&mut self, map: &'a MapKernel, text: &mut Text) {
        self.add_with(map, None, text);
    }

    /// Adds a map, whose blocks are shared out so, if that is said; gives its number among those that differ.
    fn add_with(&mut self, map: &'a MapKernel, layout: Option<Layout>, text: &mut Text) -> usize {
        let at = self.kinds.iter().position(|it| it.map == map).unwrap_or_else(|| {
            drawn::add(map, text);
            text.code(format_args!("namespace map{} {{", self.kinds.len()));
            let functions = match layout {
                Some(layout) => laid_out(map, layout, true, text),
                None => write(map, text),
            };
            text.code("}");
            self.kinds.push(Kind { map, functions, members: Vec::new() });
            self.kinds.len() - 1
        });
        let mut names = Vec::new();
        for it in &map.inputs {
            let name = format!("in{}", self.inputs.len());
            self.inputs.push(format!("const {}* {name}", element(it.dtype)));
            names.push(name);
        }
        let first = self.outputs.len();
        for it in &map.outputs {
            let name = format!("out{}", self.outputs.len());
            self.outputs.push(format!("{}* {name}", element(it.dtype)));
            names.push(name);
        }
        names.push(if self.scratch == 0 { "partial".to_owned() } else { format!("partial + {}", self.scratch) });
        names.extend(drawn::draws(map).then(|| "seed".to_owned()));
        let kind = &mut self.kinds[at];
        let moved =
            |it: &Part| Part { whole: it.whole.moved(first, self.scratch), from: self.scratch + it.from, ..*it };
        self.parts.extend(kind.functions.parts.iter().map(moved));
        self.scratch += kind.functions.scratch;
        kind.members.push(names.join(", "));
        at
    }

    fn launches(&self, text: &mut Text, then: Option<Then<'_>>) -> Vec<CudaLaunch> {
        let axes = self.entry(text, "map_axes", "axes", |it| it.axes_blocks);
        let all = self.entry(text, "map", "all", |it| it.blocks);
        let mut launches: Vec<CudaLaunch> = axes.into_iter().chain(all).collect();
        if !self.parts.is_empty() {
            launches.push(combine(text, "map_combine", &self.parts, then));
        }
        launches
    }

    /// An entry that gives `function` of every map its blocks; none where no map has any.
    fn entry(
        &self,
        text: &mut Text,
        entry: &'static str,
        function: &str,
        blocks: fn(&Functions) -> u32,
    ) -> Option<CudaLaunch> {
        let mut body = String::new();
        let mut grid = 0;
        let taking = self.kinds.iter().enumerate().filter(|it| blocks(&it.1.functions) != 0);
        for (number, kind) in taking {
            let each = blocks(&kind.functions);
            let next = each * kind.members.len() as u32;
            let mut line = |line: String| writeln!(body, "    {line}").expect("a string takes all");
            if grid != 0 {
                line("}".to_owned());
            }
            // Every branch returns: what follows belongs to later blocks.
            line(format!("if (blockIdx.x < {}) {{", grid + next));
            let place = if grid == 0 { "blockIdx.x".to_owned() } else { format!("(blockIdx.x - {grid})") };
            match &kind.members[..] {
                [one] if self.behind.is_some() => {
                    line(format!("    map{number}::{function}({{{one}}}, {place});"));
                    self.behind.iter().for_each(|it| line(format!("    {it}")));
                }
                [one] => line(format!("    return map{number}::{function}({{{one}}}, {place});")),
                many => {
                    line(format!("    map{number}::Arguments args;"));
                    line(format!("    switch ({place} / {each}) {{"));
                    for (at, it) in many.iter().enumerate() {
                        line(format!("        case {at}: args = {{{it}}}; break;"));
                    }
                    line("    }".to_owned());
                    line(format!("    return map{number}::{function}(args, {place} % {each});"));
                }
            }
            grid += next;
        }
        if grid == 0 {
            return None;
        }
        let taking = || self.kinds.iter().map(|it| &it.functions).filter(|it| blocks(it) != 0);
        // Left to itself, the assembler may spill sums of columns rather than have fewer threads at once.
        let by_rows = taking().any(|it| it.by_rows);
        let shared = taking().map(|it| it.shared).max().unwrap_or(0);
        Some(self.launch(text, entry, by_rows, &(body + "    }\n"), (grid, shared)))
    }

    /// An entry with all operands, a body, and so many blocks and bytes of shared memory.
    fn launch(
        &self,
        text: &mut Text,
        entry: &'static str,
        by_rows: bool,
        body: &str,
        (grid, shared): (u32, usize),
    ) -> CudaLaunch {
        let bounds = if by_rows { "256, 1" } else { "256" };
        let counters = if self.behind.is_some() { ", u32* counters" } else { "" };
        let draws = self.kinds.iter().any(|it| drawn::draws(it.map));
        let seed = if draws { ", u64 seed" } else { "" };
        text.code(format_args!(
            "extern \"C\" __global__ void __launch_bounds__({bounds})\n{entry}({}, float* partial{counters}{seed}) {{\n{body}}}",
            [&self.inputs[..], &self.outputs[..]].concat().join(", ")
        ));
        let inputs = (0..self.inputs.len()).map(Argument::Input);
        let outputs = (0..self.outputs.len()).map(Argument::Output);
        let own = self.behind.as_ref().map(|_| Argument::Counters).into_iter().chain(draws.then_some(Argument::Seed));
        let arguments = inputs.chain(outputs).chain([Argument::Scratch(0)]).chain(own).collect();
        // What stands behind finds out there whether its block is the last.
        let least = if self.behind.is_some() { 16 } else { 0 };
        let shared = shared.max(least) as u32;
        CudaLaunch { entry, grid: [grid, 1, 1], block: THREADS as u32, shared, arguments }
    }
}
