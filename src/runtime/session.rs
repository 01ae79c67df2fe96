//! A plan on a device, with its buffers found by name.

use super::{Backend, Lent, RuntimeError};
use crate::ir::op::Fill;
use crate::ir::{DType, Extern, Init, Phase, Precision, ResultKey, StateRole, random, size, start};
use crate::plan::{Buffer, BufferId, BufferKind, Plan};
use half::bf16;
use rayon::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A plan on a device, with its buffers found by name.
pub struct Session {
    /// The plan it runs.
    pub plan: Arc<Plan>,
    /// The device.
    pub backend: Box<dyn Backend>,
    /// Parameters and states by path.
    names: BTreeMap<String, BufferId>,
    /// The starts of filters that whiten the training images, once these were seen.
    whitened: BTreeMap<BufferId, Vec<u8>>,
    /// Results that were requested, the oldest first; with their bytes if those are there.
    requested: VecDeque<(Vec<BufferId>, Option<Vec<u8>>)>,
}

impl Session {
    /// Writes the initial values of parameters, states and constants to the device.
    pub fn new(plan: Arc<Plan>, backend: Box<dyn Backend>) -> Result<Session, RuntimeError> {
        let (names, whitened, requested) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        let mut session = Session { names, whitened, requested, plan: plan.clone(), backend };
        for (at, buffer) in plan.buffers.iter().enumerate() {
            let id = BufferId(at as u32);
            if matches!(buffer.kind, BufferKind::Param(_) | BufferKind::State(_)) {
                session.names.insert(buffer.name.clone(), id);
            }
        }
        session.restart()?;
        Ok(session)
    }

    /// Writes the initial values again.
    pub fn restart(&mut self) -> Result<(), RuntimeError> {
        let plan = self.plan.clone();
        for (at, buffer) in plan.buffers.iter().enumerate() {
            let whitened = self.whitened.get(&BufferId(at as u32)).cloned();
            if let Some(bytes) = whitened.or_else(|| initial(buffer, plan.seed, plan.precision)) {
                self.backend.write(BufferId(at as u32), &bytes)?;
            }
        }
        // Averages of no step are what they are averages of.
        if plan.phases.contains_key(&Phase::Average) {
            self.run(Phase::Average)?;
        }
        Ok(())
    }

    /// Starts anew with filters that whiten these images, where the plan has such.
    pub fn whiten(&mut self, images: &[u8], dtype: DType, extents: [usize; 3]) -> Result<(), RuntimeError> {
        let plan = self.plan.clone();
        let each = size::product(&extents).saturating_mul(plan.precision.bytes(dtype));
        for (at, buffer) in plan.buffers.iter().enumerate() {
            if let BufferKind::Param(Init::Whitening(it)) = &buffer.kind {
                let mut all = images.chunks_exact(each.max(1)).map(|it| decode(it, dtype, plan.precision));
                let values = it.filters(&buffer.shape, &mut all, extents);
                let bytes = numbers(values.len(), plan.precision, |at| values[at]);
                self.whitened.insert(BufferId(at as u32), bytes);
            }
        }
        if self.whitened.is_empty() { Ok(()) } else { self.restart() }
    }

    /// Copies bytes to a buffer that comes from outside; a plan that does not use it ignores them.
    pub fn bind(&mut self, source: Extern, bytes: &[u8]) -> Result<(), RuntimeError> {
        match self.find(&source) {
            Some(id) => self.backend.write(id, bytes),
            None => Ok(()),
        }
    }

    /// Fills a buffer that comes from outside with zeros, if the plan uses it.
    pub fn clear(&mut self, source: Extern) -> Result<(), RuntimeError> {
        let Some(id) = self.find(&source) else { return Ok(()) };
        let buffer = &self.plan.buffers[id.0 as usize];
        let bytes = vec![0; buffer.shape.len() * self.plan.precision.bytes(buffer.dtype)];
        self.backend.write(id, &bytes)
    }

    /// Like [`Session::bind`], but the bytes are only borrowed where the device can read them.
    pub fn share(&mut self, source: Extern, bytes: Lent) -> Result<(), RuntimeError> {
        match self.find(&source) {
            Some(id) => self.backend.share(id, bytes),
            None => Ok(()),
        }
    }

    /// The numbers of a parameter or state.
    pub fn read(&self, name: &str) -> Option<Vec<f64>> {
        self.values(*self.names.get(name)?).ok()
    }

    /// The bytes of a parameter or state, in the plan's layout. Panics when the plan has none of this
    /// name.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, RuntimeError> {
        self.backend.read(self.id(name))
    }

    /// Replaces the numbers of a parameter or state.
    pub fn write(&mut self, name: &str, values: &[f64]) -> Result<(), RuntimeError> {
        let plan = self.plan.clone();
        let wrong = |expected, found| RuntimeError::Size { name: name.to_owned(), expected, found };
        let Some(&id) = self.names.get(name) else {
            return Err(wrong(0, values.len() * 8));
        };
        let buffer = &plan.buffers[id.0 as usize];
        if values.len() != buffer.shape.len() {
            let size = plan.precision.bytes(buffer.dtype);
            return Err(wrong(buffer.shape.len() * size, values.len() * size));
        }
        self.backend.write(id, &encode(values, buffer.dtype, plan.precision))
    }

    /// Numbers as the bytes of the plan's buffers of a dtype.
    pub fn encoded(&self, dtype: DType, values: &[f64]) -> Vec<u8> {
        encode(values, dtype, self.plan.precision)
    }

    /// Replaces the bytes of a parameter or state, in the plan's layout.
    pub fn write_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), RuntimeError> {
        let Some(&id) = self.names.get(name) else {
            return Err(RuntimeError::Size { name: name.to_owned(), expected: 0, found: bytes.len() });
        };
        self.backend.write(id, bytes)
    }

    /// Sets a counter of the plan, if it has it.
    pub fn set_counter(&mut self, role: StateRole, value: u64) -> Result<(), RuntimeError> {
        let is_it = |it: &Buffer| matches!(&it.kind, BufferKind::State(it) if it.role == role);
        match self.plan.buffers.iter().position(is_it) {
            Some(at) => self.backend.write(BufferId(at as u32), &(value as i64).to_ne_bytes()),
            None => Ok(()),
        }
    }

    /// Replaces the numbers in a buffer; as many as it holds.
    pub fn set(&mut self, id: BufferId, values: &[f64]) -> Result<(), RuntimeError> {
        let bytes = encode(values, self.plan.buffers[id.0 as usize].dtype, self.plan.precision);
        self.backend.write(id, &bytes)
    }

    /// Runs one phase.
    pub fn run(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        self.backend.run(phase)
    }

    /// Waits until the device has done all that it was asked for.
    pub fn wait(&self) -> Result<(), RuntimeError> {
        self.backend.wait()
    }

    /// A result of the phase that ran last; fails where the device did. Panics when the plan has no such result: which there
    /// are is fixed by the compiler, not by users.
    pub fn result(&self, phase: Phase, key: impl Into<ResultKey>) -> Result<Vec<f64>, RuntimeError> {
        self.values(self.result_id(phase, &key.into()))
    }

    /// The same of one of the batches that were evaluated at once ([`Backend::lanes`]).
    pub fn result_of(&self, lane: usize, phase: Phase, key: impl Into<ResultKey>) -> Result<Vec<f64>, RuntimeError> {
        let id = self.result_id(phase, &key.into());
        let bytes = self.backend.read_lane(lane, id)?;
        Ok(decode(&bytes, self.plan.buffers[id.0 as usize].dtype, self.plan.precision))
    }

    fn result_id(&self, phase: Phase, key: &ResultKey) -> BufferId {
        let found = self.plan.phases.get(&phase).and_then(|it| it.results.get(key));
        *found.unwrap_or_else(|| panic!("phase {phase:?} has no result `{key}`"))
    }

    /// Asks for results (each a single number) of the phase that was started last, without waiting for them.
    pub fn request(&mut self, phase: Phase, keys: &[ResultKey]) -> Result<(), RuntimeError> {
        let ids: Vec<BufferId> = keys.iter().map(|key| self.result_id(phase, key)).collect();
        let bytes = self.backend.request(&ids)?;
        self.requested.push_back((ids, bytes));
        Ok(())
    }

    /// How many requests were not collected yet.
    pub fn requested(&self) -> usize {
        self.requested.len()
    }

    /// The numbers of the oldest request; nothing while they are on their way, unless `wait`.
    pub fn collect(&mut self, wait: bool) -> Result<Option<Vec<f64>>, RuntimeError> {
        let Some((_, bytes)) = self.requested.front_mut() else { return Ok(None) };
        let bytes = match bytes.take() {
            Some(bytes) => bytes,
            None => match self.backend.arrived(wait)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let (ids, _) = self.requested.pop_front().unwrap_or_default();
        let mut rest = &bytes[..];
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids {
            let buffer = &self.plan.buffers[id.0 as usize];
            let (one, others) = rest.split_at(buffer.shape.len() * self.plan.precision.bytes(buffer.dtype));
            numbers.extend(decode(one, buffer.dtype, self.plan.precision));
            rest = others;
        }
        Ok(Some(numbers))
    }

    /// What the numbers of a buffer are like; on the CPU no copy is made of them.
    pub fn summary(&self, id: BufferId) -> Result<Summary, RuntimeError> {
        const PART: usize = 1 << 15;
        let dtype = self.plan.buffers[id.0 as usize].dtype;
        let mut res = Summary { range: (f64::INFINITY, f64::NEG_INFINITY), wild: None, wild_count: 0 };
        self.backend.look(id, &mut |bytes| {
            for part in bytes.chunks(PART) {
                for it in decode(part, dtype, self.plan.precision) {
                    if it.is_finite() {
                        res.range = (res.range.0.min(it), res.range.1.max(it));
                    } else {
                        res.wild = res.wild.or(Some(it));
                        res.wild_count += 1;
                    }
                }
            }
        })?;
        Ok(res)
    }

    /// Shows the bytes of a parameter or state, in the plan's layout. Panics when the plan has none of this name.
    pub fn look(&self, name: &str, see: &mut dyn FnMut(&[u8])) -> Result<(), RuntimeError> {
        self.backend.look(self.id(name), see)
    }

    fn id(&self, name: &str) -> BufferId {
        *self.names.get(name).unwrap_or_else(|| panic!("the plan has no `{name}`"))
    }

    fn find(&self, source: &Extern) -> Option<BufferId> {
        let at = self.plan.buffers.iter().position(|it| matches!(&it.kind, BufferKind::Extern(it) if it == source))?;
        Some(BufferId(at as u32))
    }

    /// The numbers in a buffer.
    pub fn values(&self, id: BufferId) -> Result<Vec<f64>, RuntimeError> {
        let bytes = self.backend.read(id)?;
        Ok(decode(&bytes, self.plan.buffers[id.0 as usize].dtype, self.plan.precision))
    }
}

/// What the numbers of a buffer are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The least and the greatest finite number.
    pub range: (f64, f64),
    /// The first number that is not finite.
    pub wild: Option<f64>,
    /// How many are not.
    pub wild_count: usize,
}

/// The bytes a buffer starts with. Random numbers are rounded to f32 in every precision, so that runs
/// in f32 and f64 start equal.
pub(super) fn initial(buffer: &Buffer, seed: u64, precision: Precision) -> Option<Vec<u8>> {
    let len = buffer.shape.len();
    let all = |value: f64| Some(encode(&[value], buffer.dtype, precision).repeat(len));
    match &buffer.kind {
        BufferKind::Param(Init::Constant(value)) => all(f64::from(value.0 as f32)),
        BufferKind::Param(Init::Normal(deviation)) => {
            let stream = random::stream(&buffer.name);
            Some(numbers(len, precision, |at| deviation.0 * random::normal(seed, stream, at)))
        }
        BufferKind::Param(Init::Uniform(bound)) => {
            let stream = random::stream(&buffer.name);
            Some(numbers(len, precision, |at| bound.0 * random::uniform_start(seed, stream, at)))
        }
        BufferKind::Param(Init::Orthogonal(gain)) => {
            let values = start::orthogonal(&buffer.shape, gain.0, seed, random::stream(&buffer.name));
            Some(numbers(len, precision, |at| values[at]))
        }
        BufferKind::Param(Init::Dirac) => {
            let values = start::dirac(&buffer.shape);
            Some(numbers(len, precision, |at| values[at]))
        }
        BufferKind::Param(Init::Whitening(it)) => {
            let values = it.filters(&buffer.shape, &mut std::iter::empty(), [0; 3]);
            Some(numbers(len, precision, |at| values[at]))
        }
        BufferKind::State(it) => all(it.start),
        BufferKind::Const(Fill::Value(value)) => all(value.0),
        BufferKind::Const(Fill::Range) => {
            Some((0..len).flat_map(|at| encode(&[at as f64], buffer.dtype, precision)).collect())
        }
        BufferKind::Const(Fill::List(numbers)) => {
            let numbers: Vec<f64> = numbers.iter().map(|it| it.0).collect();
            Some(encode(&numbers, buffer.dtype, precision))
        }
        BufferKind::Const(Fill::Eye) => {
            let side = buffer.shape.dims().last().copied().unwrap_or(1);
            let [zero, one] = [0.0, 1.0].map(|it| encode(&[it], buffer.dtype, precision));
            Some((0..len).flat_map(|at| if at / side == at % side { &one } else { &zero }).copied().collect())
        }
        BufferKind::Extern(_) | BufferKind::Arena { .. } => None,
    }
}

/// The bytes of `len` numbers, rounded to f32.
fn numbers(len: usize, precision: Precision, number: impl Fn(usize) -> f64 + Sync) -> Vec<u8> {
    match precision.is_double() {
        false => each(len, |at| (number(at) as f32).to_ne_bytes()),
        true => each(len, |at| f64::from(number(at) as f32).to_ne_bytes()),
    }
}

/// The bytes of `len` numbers, made side by side.
fn each<const N: usize>(len: usize, number: impl Fn(usize) -> [u8; N] + Sync) -> Vec<u8> {
    let mut res = vec![0; len * N];
    res.par_chunks_exact_mut(N).enumerate().for_each(|(at, out)| out.copy_from_slice(&number(at)));
    res
}

/// Numbers as the bytes of a buffer.
pub(super) fn encode(values: &[f64], dtype: DType, precision: Precision) -> Vec<u8> {
    match (dtype, precision.is_double()) {
        (DType::U8, _) => values.iter().map(|&it| it as u8).collect(),
        (DType::U16, _) => values.iter().flat_map(|&it| (it as u16).to_ne_bytes()).collect(),
        (DType::Bf16, _) => values.iter().flat_map(|&it| bf16::from_f32(it as f32).to_ne_bytes()).collect(),
        (DType::Int, _) => values.iter().flat_map(|&it| (it.round() as i64).to_ne_bytes()).collect(),
        (DType::Real, false) => values.iter().flat_map(|&it| (it as f32).to_ne_bytes()).collect(),
        (DType::Real, true) => values.iter().flat_map(|&it| it.to_ne_bytes()).collect(),
    }
}

/// The numbers in a buffer's bytes.
pub(super) fn decode(bytes: &[u8], dtype: DType, precision: Precision) -> Vec<f64> {
    match (dtype, precision.is_double()) {
        (DType::U8, _) => bytes.iter().map(|&it| f64::from(it)).collect(),
        (DType::U16, _) => words(bytes).map(|it| f64::from(u16::from_ne_bytes(it))).collect(),
        (DType::Bf16, _) => words(bytes).map(|it| bf16::from_ne_bytes(it).to_f64()).collect(),
        (DType::Int, _) => words(bytes).map(|it| i64::from_ne_bytes(it) as f64).collect(),
        (DType::Real, false) => words(bytes).map(|it| f64::from(f32::from_ne_bytes(it))).collect(),
        (DType::Real, true) => words(bytes).map(f64::from_ne_bytes).collect(),
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.chunks_exact(N).map(|it| it.try_into().expect("chunks have the size they were cut to"))
}
