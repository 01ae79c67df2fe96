//! A convolution and the map of its result, one after the other.

use super::isa::Isa;
use super::kernel::{Kernel, Operand, product};
use super::memory::{ALIGN, View};
use super::pool::{Context, Scratch};
use super::real::Real;
use super::{conv, map};
use crate::ir::Reduction;
use crate::kernel::{ConvKernel, ConvKind, MapKernel, Store};

/// The kernel.
struct Mapped {
    conv: Box<dyn Kernel>,
    map: Box<dyn Kernel>,
    /// Bytes of the convolution's result.
    bytes: usize,
    /// Which result it is, if it is one; else it lies in working memory, after that of both parts.
    stored: Option<usize>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(conv: &ConvKernel, map: &MapKernel, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    if conv.kind == ConvKind::FilterGrad {
        return Err("no map follows a filter gradient".to_owned());
    }
    let [h, w, c] = if conv.kind == ConvKind::Forward { conv.output } else { conv.input };
    let len = product(&[conv.n, h, w, c])?;
    if product(&map.dims)? != len || map.dims.last() != Some(&c) || map.inputs.is_empty() {
        return Err(format!("a map over {:?} cannot follow a convolution with results of {h}x{w}x{c}", map.dims));
    }
    let over_pixels = |it: &Store| match it {
        Store::Full => true,
        Store::Reduce { kind, over } => {
            *kind != Reduction::Max && over.split_last().is_some_and(|(last, pixels)| !last && !pixels.contains(&false))
        }
    };
    if !map.outputs.iter().all(|it| over_pixels(&it.store)) {
        return Err("what follows a convolution is summed or averaged over all pixels, and over no channels".to_owned());
    }
    if map.outputs.len() != map.body.roots.len() {
        return Err("a map has as many results as expressions".to_owned());
    }
    let stored = map.passes_on();
    let rest = stored.map_or_else(|| map.clone(), |it| map.clone().without(it));
    let (conv, map) = (conv::load::<R>(conv, isa)?, map::load::<R>(&rest)?);
    if map.inputs().first().is_none_or(|it| *it != Operand::real(len)) {
        return Err("the first operand of a map that follows a convolution is its result".to_owned());
    }
    Ok(Box::new(Mapped { conv, map, bytes: len * size_of::<R>(), stored }))
}

impl Mapped {
    fn parts(&self) -> Scratch {
        let both = self.conv.scratch().max(self.map.scratch());
        Scratch { shared: both.shared.next_multiple_of(ALIGN), ..both }
    }
}

impl Kernel for Mapped {
    fn inputs(&self) -> Vec<Operand> {
        let mut all = self.conv.inputs();
        all.extend(self.map.inputs().into_iter().skip(1));
        all
    }

    fn outputs(&self) -> Vec<Operand> {
        let mut all = self.map.outputs();
        if let Some(at) = self.stored {
            all.insert(at, self.conv.outputs()[0]);
        }
        all
    }

    fn scratch(&self) -> Scratch {
        let parts = self.parts();
        Scratch { shared: parts.shared + if self.stored.is_some() { 0 } else { self.bytes }, ..parts }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        let operands = self.conv.inputs().len();
        let mut rest = outputs.to_vec();
        let result = match self.stored {
            Some(at) => rest.remove(at),
            None => View { start: context.shared::<u8>(self.parts().shared, self.bytes).at(0), bytes: self.bytes },
        };
        let mut read = vec![result];
        read.extend(&inputs[operands..]);
        // SAFETY: operands as both parts ask for them; the result between them is not another operand, and the map starts
        // when the convolution is done.
        unsafe {
            self.conv.run(context, &inputs[..operands], &[result]);
            self.map.run(context, &read, &rest);
        }
    }
}
