//! Classification losses. Few numbers, so all is computed in f64.

use super::kernel::{Kernel, Operand, product};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use crate::ir::Loss;
use std::marker::PhantomData;

/// The kernel.
struct Losses<R> {
    kind: Loss,
    n: usize,
    classes: usize,
    marker: PhantomData<R>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(kind: Loss, n: usize, classes: usize) -> Result<Box<dyn Kernel>, String> {
    product(&[n, classes])?;
    if classes == 0 {
        return Err("a loss over no classes".to_owned());
    }
    Ok(Box::new(Losses::<R> { kind, n, classes, marker: PhantomData }))
}

impl<R: Real> Losses<R> {
    /// One example: `to` is its part of the result, `label` may be anything.
    fn example(&self, logits: &[R], label: i64, g: f64, q: &mut [f64], to: &mut [R]) {
        let (smoothing, floor) = match self.kind {
            Loss::CrossEntropy { smoothing, floor } | Loss::CrossEntropyGrad { smoothing, floor } => {
                (smoothing.0, floor.0)
            }
            Loss::Correct => {
                let mut best = 0;
                for (at, it) in logits.iter().enumerate() {
                    if logits[best] < *it {
                        best = at;
                    }
                }
                to[0] = if best as i64 == label { R::ONE } else { R::ZERO };
                return;
            }
        };
        let largest = logits.iter().fold(f64::NEG_INFINITY, |a, b| a.max(b.f64()));
        for (q, it) in q.iter_mut().zip(logits) {
            *q = (it.f64() - largest).exp();
        }
        let sum: f64 = q.iter().sum();
        q.iter_mut().for_each(|it| *it /= sum);
        let spread = smoothing / self.classes as f64;
        let y = |class: usize| if class as i64 == label { 1.0 - smoothing + spread } else { spread };
        if let Loss::CrossEntropyGrad { .. } = self.kind {
            let ratio = |class: usize| y(class) / (q[class] + floor);
            let mean: f64 = q.iter().enumerate().map(|(class, q)| q * ratio(class)).sum();
            for (class, to) in to.iter_mut().enumerate() {
                *to = R::of(g * q[class] * (mean - ratio(class)));
            }
        } else {
            to[0] = R::of(-q.iter().enumerate().map(|(class, q)| y(class) * (q + floor).ln()).sum::<f64>());
        }
    }
}

impl<R: Real> Kernel for Losses<R> {
    fn inputs(&self) -> Vec<Operand> {
        let mut inputs = vec![Operand::real(self.n * self.classes), Operand::int(self.n)];
        if let Loss::CrossEntropyGrad { .. } = self.kind {
            inputs.push(Operand::real(self.n));
        }
        inputs
    }

    fn outputs(&self) -> Vec<Operand> {
        match self.kind {
            Loss::CrossEntropy { .. } | Loss::Correct => vec![Operand::real(self.n)],
            Loss::CrossEntropyGrad { .. } => vec![Operand::real(self.n * self.classes)],
        }
    }

    unsafe fn run(&self, _context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (logits, labels) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<i64>()) };
        // SAFETY: as above.
        let g = inputs.get(2).map(|it| unsafe { it.slice::<R>() });
        let len = outputs[0].bytes / size_of::<R>();
        // SAFETY: the output is ours, and there are no tasks.
        let to = unsafe { outputs[0].shared::<R>().part(0, len) };
        let mut q = vec![0.0; self.classes];
        for at in 0..self.n {
            let step = len / self.n;
            let g = g.map_or(0.0, |it| it[at].f64());
            let logits = &logits[at * self.classes..][..self.classes];
            self.example(logits, labels[at], g, &mut q, &mut to[at * step..][..step]);
        }
    }
}
