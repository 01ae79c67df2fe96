//! Matrix products: one, or many that share a launch.
//!
//! Where a product's sum is shared out, its shares are added by the last block of a tile, or by a second launch where that
//! would be too much for one block.

use super::combine::{Part, Whole, combine, within_reach};
use super::contraction::{Extents, Product, TILES, Tile, choose, vector};
use super::text::{Text, file};
use super::{Argument, Arithmetic, CudaLaunch, CudaSource, Options};
use crate::ir::DType;
use crate::kernel::MatMulKernel;
use std::fmt::Write;

/// Products that do not depend on each other, in one translation unit.
pub(super) fn matmuls(all: &[MatMulKernel], options: &Options) -> CudaSource {
    let (tile, splits) = ways(all, options);
    let mut text = Text::new();
    text.file(file!("device.cu"));
    text.file(file!("vector.cu"));
    text.file(file!("moments.cu"));
    text.once(file!("combine.cu"));
    let mut kinds = Vec::new();
    for (at, (it, &split)) in all.iter().zip(&splits).enumerate() {
        match kinds.iter_mut().find(|kind: &&mut Kind| kind.product == *it && kind.split == split) {
            Some(kind) => kind.members.push(at),
            None => kinds.push(Kind { product: *it, split, members: vec![at] }),
        }
    }
    // What takes longest starts first.
    kinds.sort_by_key(|it| std::cmp::Reverse(it.product.k.div_ceil(it.split)));

    let mut unit = Unit::default();
    for (number, kind) in kinds.iter().enumerate() {
        kind.write(number, tile, options, &mut text);
        unit.add(number, kind, tile);
    }
    let parameters =
        |name: &str, kind: &str| -> Vec<String> { (0..all.len()).map(|it| format!("{kind}* {name}{it}")).collect() };
    let resident = (1..kinds.len()).fold("product0::RESIDENT".to_owned(), |least, it| {
        format!("(product{it}::RESIDENT < {least} ? product{it}::RESIDENT : {least})")
    });
    text.code(format_args!("constexpr int PRODUCTS_RESIDENT = {resident};"));
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(product0::THREADS, PRODUCTS_RESIDENT)\n\
         matmul({}, float* partial, u32* counters) {{\n{}    }}\n}}",
        [parameters("a", "const float"), parameters("b", "const float"), parameters("c", "float")].concat().join(", "),
        unit.body
    ));
    let inputs = |side: usize| (0..all.len()).map(move |it| Argument::Input(2 * it + side));
    let outputs = (0..all.len()).map(Argument::Output);
    let own = [Argument::Scratch(0), Argument::Counters];
    let arguments = inputs(0).chain(inputs(1)).chain(outputs).chain(own).collect();
    let (block, shared) = (tile.threads() as u32, tile.shared(4) as u32);
    let mut launches = vec![CudaLaunch { entry: "matmul", grid: [unit.blocks, 1, 1], block, shared, arguments }];
    if !unit.parts.is_empty() {
        launches.push(combine(&mut text, "combine", &unit.parts, None));
    }
    CudaSource { text: text.finish(), launches, scratch: unit.scratch * 4, counters: unit.counters }
}

/// The tile of all, and into how many shares each is split.
fn ways(all: &[MatMulKernel], options: &Options) -> (Tile, Vec<usize>) {
    let of = |it: &MatMulKernel| Extents { m: it.m, n: it.n, k: it.k, batches: it.batch, reads: DType::Real, again: 1 };
    if let ([one], _) | ([one, ..], Some(_)) = (all, options.choice) {
        let (tile, split, _) = choose(&of(one), options);
        return (tile, vec![split; all.len()]);
    }
    let mut best: Option<(f64, Tile, Vec<usize>)> = None;
    for tile in TILES.iter().skip(options.first_tile.min(TILES.len() - 1)) {
        // Shares of at most so many stages.
        for longest in [4, 6, 8, 12, 16, 24, 36, 64, usize::MAX] {
            let most = |it: &MatMulKernel| (1..=16).rev().find(|split| within_reach(*split, tile, it)).unwrap_or(1);
            let shares = |it: &MatMulKernel| of(it).stages().div_ceil(longest).clamp(1, most(it));
            let splits: Vec<usize> = all.iter().map(shares).collect();
            let cycles = tile.cycles_together(all.iter().map(of).zip(splits.iter().copied()), options.processors);
            if best.as_ref().is_none_or(|it| cycles < it.0) {
                best = Some((cycles, *tile, splits));
            }
        }
    }
    let (_, tile, splits) = best.expect("there are tiles");
    (tile, splits)
}

/// Products that are alike but for their operands.
struct Kind {
    product: MatMulKernel,
    split: usize,
    /// Which of the launch's.
    members: Vec<usize>,
}

impl Kind {
    /// Tiles of one.
    fn tiles(&self, tile: Tile) -> usize {
        let MatMulKernel { batch, m, n, .. } = self.product;
        batch * m.div_ceil(tile.m) * n.div_ceil(tile.n)
    }

    fn width(&self) -> usize {
        self.product.batch * self.product.m * self.product.n
    }

    fn within(&self, tile: Tile) -> bool {
        1 < self.split && within_reach(self.split, &tile, &self.product)
    }

    fn write(&self, number: usize, tile: Tile, options: &Options, text: &mut Text) {
        let MatMulKernel { batch, m, n, k, transpose_a, transpose_b } = self.product;
        text.code(format_args!("namespace product{number} {{"));
        text.ints([("BATCH", batch), ("M", m), ("N", n), ("K", k)]);
        text.constant("bool", "TRANSPOSE_A", transpose_a);
        text.constant("bool", "TRANSPOSE_B", transpose_b);
        text.constant("bool", "ADDS", self.within(tile));
        let arithmetic = match options.arithmetic {
            Arithmetic::F32 => Arithmetic::F32,
            Arithmetic::Tf32 | Arithmetic::Bf16 => Arithmetic::Tf32,
        };
        let vectors = [if transpose_a { m } else { k }, if transpose_b { k } else { n }];
        let product = Product {
            tile,
            split: self.split,
            entry: "matmul",
            file: file!("matmul.cu"),
            arithmetic,
            along_k: [!transpose_a, transpose_b],
            reads: DType::Real,
            writes: DType::Real,
            vectors: vectors.map(|it| vector(it, DType::Real)),
            grid: [0; 3],
            width: self.width(),
        };
        product.tiles(text);
        text.file(product.file);
        text.code("}");
    }
}

/// The launch under construction.
#[derive(Default)]
struct Unit {
    body: String,
    blocks: u32,
    /// In numbers.
    scratch: usize,
    counters: usize,
    parts: Vec<Part>,
}

impl Unit {
    fn add(&mut self, number: usize, kind: &Kind, tile: Tile) {
        let tiles = kind.tiles(tile);
        let each = u32::try_from(tiles * kind.split).expect("a grid has fewer than 2^32 blocks");
        let next = self.blocks + each * kind.members.len() as u32;
        let (mut body, blocks) = (std::mem::take(&mut self.body), self.blocks);
        let mut line = |line: String| writeln!(body, "    {line}").expect("a string takes all");
        if blocks != 0 {
            line("}".to_owned());
        }
        // Every branch returns: what follows belongs to later blocks.
        line(format!("if (blockIdx.x < {next}) {{"));
        let place = if blocks == 0 { "blockIdx.x".to_owned() } else { format!("(blockIdx.x - {blocks})") };
        line("    const float *a, *b;".to_owned());
        line("    float *c, *shares = partial;".to_owned());
        line("    u32* arrived = counters;".to_owned());
        line(format!("    switch ({place} / {each}) {{"));
        for (at, &member) in kind.members.iter().enumerate() {
            let mut own = format!("a = a{member}, b = b{member}, c = c{member}");
            if 1 < kind.split {
                own += &format!(", shares += {}", self.scratch);
                if kind.within(tile) {
                    own += &format!(", arrived += {}", self.counters);
                    self.counters += tiles;
                } else {
                    let (whole, partials, width) = (Whole::Sum(member), kind.split, kind.width());
                    self.parts.push(Part { whole, slices: 1, from: self.scratch, partials, width });
                }
                self.scratch += (kind.split * kind.width()).next_multiple_of(4);
            }
            line(format!("        case {at}: {own}; break;"));
        }
        line("    }".to_owned());
        line(format!("    return product{number}::product(a, b, c, shares, arrived, {place} % {each});"));
        (self.body, self.blocks) = (body, next);
    }
}
