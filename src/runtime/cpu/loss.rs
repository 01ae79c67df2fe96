//! Classification losses. Few numbers, so all is computed in f64.
//!
//! With `m` the largest score and `r` the sum of `e^(x - m)` over the other classes, `-log q = m - x + log1p(r)` is exact
//! for any scores; and as `1 - q` of the largest is `r / (1 + r)`, so is the gradient.

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
        let mut best = 0;
        for (at, it) in logits.iter().enumerate() {
            if logits[best] < *it || it.is_nan() && !logits[best].is_nan() {
                best = at;
            }
        }
        let (smoothing, floor) = match self.kind {
            Loss::CrossEntropy { smoothing, floor } | Loss::CrossEntropyGrad { smoothing, floor } => {
                (smoothing.0, floor.0)
            }
            Loss::Correct => {
                // NaN is the largest of all, and no answer.
                let hit = !logits[best].is_nan() && best as i64 == label;
                to[0] = if hit { R::ONE } else { R::ZERO };
                return;
            }
        };
        let largest = logits[best].f64();
        let mut rest = 0.0;
        for (class, (q, it)) in q.iter_mut().zip(logits).enumerate() {
            *q = (it.f64() - largest).exp();
            rest += if class == best { 0.0 } else { *q };
        }
        if !largest.is_finite() {
            rest = f64::NAN;
        }
        let spread = smoothing / self.classes as f64;
        let y = |class: usize| if class as i64 == label { 1.0 - smoothing + spread } else { spread };
        if let Loss::CrossEntropyGrad { .. } = self.kind {
            q.iter_mut().for_each(|it| *it /= 1.0 + rest);
            // What a class weighs in the loss: y q / (q + floor).
            let t = |class: usize| if floor == 0.0 { y(class) } else { y(class) * (q[class] / (q[class] + floor)) };
            let all: f64 = (0..self.classes).filter(|it| *it != best).map(t).sum();
            for (class, to) in to.iter_mut().enumerate() {
                // 1 - q, and the weight of the other classes.
                let (lacks, others) =
                    if class == best { (rest / (1.0 + rest), all) } else { (1.0 - q[class], all - t(class) + t(best)) };
                *to = R::of(g * (q[class] * others - t(class) * lacks));
            }
        } else {
            let log = |class: usize| {
                let log = logits[class].f64() - largest - rest.ln_1p();
                if floor == 0.0 { log } else { log_add(log, floor.ln()) }
            };
            let terms = (0..self.classes).filter(|it| y(*it) != 0.0).map(|it| y(it) * log(it));
            to[0] = R::of(0.0 - terms.sum::<f64>());
        }
    }
}

/// `log(e^a + e^b)`, where `b` is finite.
fn log_add(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
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
