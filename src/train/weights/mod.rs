//! Weights on disk: safetensors files, and what a plan expects of them.
//!
//! Files are written by hand rather than by the crate, which orders metadata by a random hash: the
//! same weights are the same bytes, whatever machine or number of threads made them. They are written and read one tensor
//! at a time, so that a checkpoint takes no memory to speak of.

mod choose;
mod file;
mod rename;

pub use choose::Taken;
pub use file::remedy;
pub use rename::{Rename, Renames};

use super::TrainError;
use super::meaning::{self, Meaning};
use super::record::{self, Record};
use crate::ir::{Average, DType, Phase, Shape, StateRole};
use crate::plan::{Buffer, BufferId, BufferKind, Plan};
use crate::runtime::{RuntimeError, Session};
use file::TensorFile;
use safetensors::Dtype;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Version of what the metadata says, not of safetensors itself.
const FORMAT: &str = "1";

// Buffers are native-endian and files little-endian; bytes go from one to the other as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// The contents of a file.
#[derive(Debug)]
pub struct Weights {
    file: TensorFile,
    /// The roles of its states by path, where the file tells them: those of earlier versions and of other programs do not.
    roles: Option<BTreeMap<String, StateRole>>,
    /// What the file says of itself; empty for files of other programs.
    pub metadata: BTreeMap<String, String>,
}

/// What a use of weights needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Parameters; running statistics where there are any.
    Start,
    /// Parameters and running statistics.
    Inference,
    /// Everything, to go on bit for bit.
    Resume,
}

/// Parameters and states of a plan, in order.
pub fn kept(plan: &Plan) -> impl Iterator<Item = &Buffer> {
    plan.buffers.iter().filter(|it| matches!(it.kind, BufferKind::Param(_) | BufferKind::State(_)))
}

/// The role of a buffer; none of a parameter.
fn role(buffer: &Buffer) -> Option<StateRole> {
    match &buffer.kind {
        BufferKind::State(it) => Some(it.role),
        BufferKind::Extern(_) | BufferKind::Param(_) | BufferKind::Const(_) | BufferKind::Arena { .. } => None,
    }
}

/// What a tensor is, in words.
fn described(role: Option<StateRole>) -> &'static str {
    match role {
        None => "a parameter",
        Some(StateRole::Running) => "a running statistic",
        Some(StateRole::Optimizer) => "the optimizer's",
        Some(StateRole::Average) => "an average",
        Some(StateRole::Step | StateRole::EvaluateStart) => "a counter",
    }
}

/// Whether a tensor that a model does not know was the training's rather than the model's, as far as its name tells. Only
/// for files that do not say what their states are.
fn was_progress(path: &str) -> bool {
    let optimizer = ["/adam_m", "/adam_v", "/velocity"].iter().any(|it| path.ends_with(it));
    optimizer || path == StateRole::Step.word() || path == StateRole::EvaluateStart.word()
}

impl Weights {
    /// Reads a file; the error is the cause only.
    pub fn read(path: &Path) -> Result<Weights, String> {
        let file = TensorFile::open(path)?;
        let metadata = file.metadata.clone();
        if let Some(expected) = metadata.get("sha256")
            && file.checksum()? != *expected
        {
            return Err("it is damaged: its contents do not have the checksum in its header".into());
        }
        // Files of other programs say nothing of this.
        if let Some(version) = metadata.get("sphc_format").filter(|it| *it != FORMAT) {
            return Err(format!("it has format {version}, and this version of sphc reads format {FORMAT}"));
        }
        let roles = metadata.get("states").map(|it| serde_json::from_str(it));
        let roles = roles.transpose().map_err(|it| format!("it is damaged: what it says of its states: {it}"))?;
        Ok(Weights { file, roles, metadata })
    }

    /// The numbers of a tensor; nothing of one that is not there or cannot be read.
    pub fn values(&self, name: &str) -> Option<Vec<f64>> {
        self.file.tensors.get(name)?;
        let mut res = Vec::new();
        self.file.each(name, &mut |part| res.extend_from_slice(part)).ok()?;
        Some(res)
    }

    /// Names and extents of all tensors.
    pub fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        self.file.tensors.iter().map(|(name, it)| (name.as_str(), &it.shape[..])).collect()
    }

    /// Whether these weights say that they are of another text, or of other parameter values, than a plan.
    pub fn strange_to(&self, plan: &Plan) -> bool {
        let of = self.metadata.get("source").filter(|it| !it.is_empty() && !plan.source.is_empty());
        of.is_some_and(|it| *it != plan.source)
    }

    /// Everything that keeps these weights from being used for `plan`, one line each.
    pub fn problems(&self, plan: &Plan, need: Need) -> Vec<String> {
        let other_shape = |it: &Buffer| self.file.tensors.get(&it.name).is_some_and(|own| own.shape != it.shape.dims());
        // What is kept beside a parameter has its shape: that it is another is told of the parameter.
        let beside = |it: &Buffer| {
            let of = it.name.rsplit_once('/').map_or("", |parts| parts.0);
            matches!(role(it), Some(StateRole::Optimizer | StateRole::Average))
                && other_shape(it)
                && kept(plan).any(|it| it.name == of && role(it).is_none() && other_shape(it))
        };
        let mut res: Vec<String> =
            kept(plan).filter(|it| !beside(it)).filter_map(|it| self.problem(it, need)).collect();
        for name in self.file.tensors.keys() {
            // A model without averages takes the weights that they are of.
            let average = need != Need::Resume && self.is_average(name);
            if !average && !self.was_of_training(name) && !kept(plan).any(|it| it.name == *name) {
                res.push(format!("`{name}` is not part of the model"));
            }
        }
        res
    }

    /// Whether a tensor is the training's rather than the model's, as far as the file tells.
    fn was_of_training(&self, name: &str) -> bool {
        match &self.roles {
            Some(roles) => roles.get(name).is_some_and(|it| it.is_progress()),
            None => was_progress(name),
        }
    }

    /// Whether the file says that a tensor is an average.
    fn is_average(&self, name: &str) -> bool {
        self.roles.as_ref().and_then(|it| it.get(name)).is_some_and(|it| *it == StateRole::Average)
    }

    /// Whether there are averages over steps in the file.
    fn has_averages(&self) -> bool {
        match &self.roles {
            Some(roles) => roles.values().any(|it| *it == StateRole::Average),
            None => self.file.tensors.keys().any(|it| it.ends_with(&Average::path(""))),
        }
    }

    /// What keeps the tensor of a buffer from being used.
    fn problem(&self, buffer: &Buffer, need: Need) -> Option<String> {
        let (name, role) = (&buffer.name, role(buffer));
        let needed = match (need, role) {
            (Need::Resume, _) | (Need::Start | Need::Inference, None) => true,
            // Weights without any are their own averages.
            (Need::Inference, Some(StateRole::Average)) => self.has_averages(),
            (Need::Inference, Some(it)) => !it.is_progress(),
            (Need::Start, Some(_)) => false,
        };
        let Some(tensor) = self.file.tensors.get(name) else {
            return needed.then(|| format!("`{name}` {} is missing", buffer.shape));
        };
        if let Some(roles) = &self.roles
            && roles.get(name).copied() != role
        {
            let (is, should) = (described(roles.get(name).copied()), described(role));
            return needed.then(|| format!("`{name}` is {is} in the file, and {should} in the model"));
        }
        if tensor.shape != buffer.shape.dims() {
            return Some(format!(
                "`{name}` has shape {}, the model's is {}",
                Shape(tensor.shape.clone()),
                buffer.shape
            ));
        }
        if let Some(cause) = tensor.unreadable() {
            return Some(format!("`{name}` cannot be read: {cause}"));
        }
        let whole = matches!(tensor.dtype, Dtype::I64 | Dtype::I32 | Dtype::U8);
        match buffer.dtype {
            DType::Real | DType::Bf16 if whole => {
                return Some(format!("`{name}` holds integers ({:?}), the model's numbers are real", tensor.dtype));
            }
            DType::Int | DType::U8 | DType::U16 if !whole => {
                return Some(format!("`{name}` holds reals ({:?}), the model's numbers are integers", tensor.dtype));
            }
            DType::Real | DType::Bf16 | DType::Int | DType::U8 | DType::U16 => {}
        }
        let never_negative = matches!(&buffer.kind, BufferKind::State(it) if it.never_negative);
        let fits = |it: &f64| it.is_finite() && !(never_negative && *it < 0.0);
        let (mut at, mut found, mut first) = (0, None, None);
        let read = self.file.each(name, &mut |part| {
            first = first.or(part.first().copied());
            found = found.or_else(|| part.iter().position(|it| !fits(it)).map(|it| (at + it, part[it])));
            at += part.len();
        });
        if let Err(cause) = read {
            return Some(format!("`{name}` cannot be read: {cause}"));
        }
        if let Some((at, value)) = found {
            let why = if value.is_finite() { ", and can never be negative" } else { "" };
            return Some(format!("`{name}` holds {value} at position {at}{why}"));
        }
        if need == Need::Resume && role == Some(StateRole::Step) {
            let said = self.metadata.get("step").map_or("", String::as_str);
            let found = first.unwrap_or_default();
            if found.to_string() != said {
                return Some(format!("`{name}` is {found}, and the file's header says {said}"));
            }
        }
        None
    }

    /// Puts the values into a session. `problems` must have been none.
    pub fn load(&self, session: &mut Session, need: Need) -> Result<(), TrainError> {
        let plan = session.plan.clone();
        let (mut whole, mut step) = (true, None);
        for buffer in kept(&plan) {
            let name = &buffer.name;
            let role = role(buffer);
            // What a model gives may depend on the updates done.
            let told = need == Need::Inference && role == Some(StateRole::Step);
            let apart = need != Need::Resume && !told && role.is_some_and(StateRole::is_progress);
            if apart || !self.file.tensors.contains_key(name) {
                whole &= role != Some(StateRole::Average);
                continue;
            }
            if self.roles.as_ref().is_some_and(|it| it.get(name).copied() != role) {
                whole &= role != Some(StateRole::Average);
                continue;
            }
            let mut bytes = Vec::with_capacity(buffer.shape.len() * plan.precision.bytes(buffer.dtype));
            let read = self.file.each(name, &mut |part| bytes.extend(session.encoded(buffer.dtype, part)));
            read.map_err(|cause| TrainError::Weights {
                path: self.file.path.clone(),
                cause: format!("`{name}` cannot be read: {cause}"),
                remedy: "was the file changed meanwhile? try again".into(),
            })?;
            match role {
                Some(StateRole::Step) => step = Some((name, bytes)),
                _ => session.write_bytes(name, &bytes)?,
            }
        }
        // Without averages of their own they are what the weights are, as before the first update.
        if !whole {
            session.set_counter(StateRole::Step, 0)?;
            session.run(Phase::Average)?;
        }
        if let Some((name, bytes)) = step {
            session.write_bytes(name, &bytes)?;
        }
        Ok(())
    }
}

/// A list of problems as the cause of one error; long lists are cut.
pub fn summary(problems: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut res = problems.iter().take(SHOWN).map(|it| format!("\n    {it}")).collect::<String>();
    if problems.len() > SHOWN {
        res += &format!("\n    and {} more", problems.len() - SHOWN);
    }
    format!("{} problem{}{res}", problems.len(), if problems.len() == 1 { "" } else { "s" })
}

/// Writes a file with all parameters and states of a session. They are read twice, once for the
/// checksum in the header, so that only one tensor at a time is in memory.
pub fn write(session: &Session, step: u64, meaning: &Meaning, record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let plan = &session.plan;
    let mut buffers: Vec<&Buffer> = kept(plan).collect();
    // Widest first keeps every tensor aligned; the sort is stable.
    buffers.sort_by_key(|it| std::cmp::Reverse(plan.precision.bytes(it.dtype)));

    let mut header = Map::new();
    header.insert("__metadata__".into(), Value::Null);
    let mut sum = Sha256::new();
    let mut at = 0;
    for buffer in &buffers {
        let mut len = 0;
        let hashed = session.look(&buffer.name, &mut |bytes| {
            sum.update(bytes);
            len += bytes.len();
        });
        hashed.map_err(io::Error::other)?;
        let dtype = match (buffer.dtype, plan.precision.is_double()) {
            (DType::Real, false) => "F32",
            (DType::Real, true) => "F64",
            (DType::Bf16, _) => "BF16",
            (DType::Int, _) => "I64",
            (DType::U8, _) => "U8",
            (DType::U16, _) => "U16",
        };
        let end = at + len;
        let entry = json!({ "dtype": dtype, "shape": buffer.shape.dims(), "data_offsets": [at, end] });
        header.insert(buffer.name.clone(), entry);
        at = end;
    }
    let states: BTreeMap<&str, StateRole> =
        buffers.iter().filter_map(|it| Some((it.name.as_str(), role(it)?))).collect();
    let mut metadata = json!({
        "format": "pt",
        "sphc_format": FORMAT,
        "sphc_version": env!("CARGO_PKG_VERSION"),
        "model": plan.name,
        "hash": plan.hash,
        "source": plan.source,
        "states": json!(states).to_string(),
        "step": step.to_string(),
        "sha256": hex(&sum.finalize()),
        meaning::KEY: meaning.text(),
    });
    // Where evaluations decide nothing, weights do not tell whether there were any.
    if plan.training.as_ref().is_some_and(|it| it.keep.best || it.patience != 0) {
        metadata[record::KEY] = json!(record.text());
    }
    // Over how many iterations the schedule runs is not part of the hash, as they are not where it does not matter.
    if let Some(it) = plan.training.as_ref().and_then(|it| it.schedule_iterations) {
        metadata["schedule_iterations"] = json!(it.to_string());
    }
    header["__metadata__"] = metadata;
    let mut text = Value::Object(header).to_string();
    // Spaces after the header keep the data aligned to 8 bytes.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    for buffer in buffers {
        let mut written = Ok(());
        session.look(&buffer.name, &mut |bytes| written = out.write_all(bytes)).map_err(io::Error::other)?;
        written?;
    }
    Ok(())
}

/// A parameter or state that holds a number that is not finite.
pub(super) fn non_finite(session: &Session) -> Result<Option<String>, RuntimeError> {
    for (at, buffer) in session.plan.buffers.iter().enumerate() {
        let is_kept = matches!(buffer.kind, BufferKind::Param(_) | BufferKind::State(_));
        if is_kept && session.summary(BufferId(at as u32))?.wild.is_some() {
            return Ok(Some(buffer.name.clone()));
        }
    }
    Ok(None)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
