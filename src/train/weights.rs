//! Weights on disk: safetensors files, and what a plan expects of them.
//!
//! Files are written by hand rather than by the crate, which orders metadata by a random hash: the
//! same weights are the same bytes, whatever machine or number of threads made them. One tensor at a
//! time is copied, so that a checkpoint takes no memory to speak of.

use super::meaning::{self, Meaning};
use crate::ir::DType;
use crate::plan::{Buffer, BufferKind, Plan};
use crate::runtime::{RuntimeError, Session};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

/// Version of what the metadata says, not of safetensors itself.
const FORMAT: &str = "1";

// Buffers are native-endian and files little-endian; bytes go from one to the other as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// A tensor in a file; its numbers are decoded when they are asked for.
#[derive(Clone, Debug)]
struct Tensor {
    shape: Vec<usize>,
    dtype: Dtype,
    /// In the file's bytes.
    range: Range<usize>,
}

/// The contents of a file.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Tensor>,
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

/// Whether a state belongs to the training rather than to the model.
fn is_progress(path: &str) -> bool {
    let optimizer = ["/adam_m", "/adam_v", "/velocity"].iter().any(|it| path.ends_with(it));
    optimizer || path == "step" || path == "evaluate_start"
}

impl Weights {
    /// Reads a file; the error is the cause only.
    pub fn read(path: &Path) -> Result<Weights, String> {
        if path.is_dir() {
            return Err("it is a directory".into());
        }
        let bytes = std::fs::read(path).map_err(|it| it.to_string())?;
        let foreign = |it| format!("no safetensors file: {it}");
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(foreign)?;
        let data = 8 + length;
        let metadata: BTreeMap<String, String> =
            header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(expected) = metadata.get("sha256")
            && hex(&Sha256::digest(&bytes[data..])) != *expected
        {
            return Err("it is damaged: its contents do not have the checksum in its header".into());
        }
        // Files of other programs say nothing of this.
        if let Some(version) = metadata.get("sphc_format").filter(|it| *it != FORMAT) {
            return Err(format!("it has format {version}, and this version of sphc reads format {FORMAT}"));
        }
        let mut tensors = BTreeMap::new();
        for name in header.offset_keys() {
            let Some(info) = header.info(&name) else { continue };
            let (start, end) = info.data_offsets;
            if decode(info.dtype, &[]).is_none() {
                return Err(format!("`{name}` has dtype {:?}; f64, f32, f16, bf16 and i64 can be read", info.dtype));
            }
            let range = data + start..data + end;
            tensors.insert(name, Tensor { shape: info.shape.clone(), dtype: info.dtype, range });
        }
        Ok(Weights { bytes, tensors, metadata })
    }

    /// The numbers of a tensor; every dtype that is read is exact in f64.
    pub fn values(&self, name: &str) -> Option<Vec<f64>> {
        let tensor = self.tensors.get(name)?;
        decode(tensor.dtype, &self.bytes[tensor.range.clone()])
    }

    /// Names and extents of all tensors.
    pub fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        self.tensors.iter().map(|(name, it)| (name.as_str(), &it.shape[..])).collect()
    }

    /// Whether these weights say that they are of another text, or of other parameter values, than a plan.
    pub fn strange_to(&self, plan: &Plan) -> bool {
        let of = self.metadata.get("source").filter(|it| !it.is_empty() && !plan.source.is_empty());
        of.is_some_and(|it| *it != plan.source)
    }

    /// Everything that keeps these weights from being used for `plan`, one line each.
    pub fn problems(&self, plan: &Plan, need: Need) -> Vec<String> {
        let mut res = Vec::new();
        for buffer in kept(plan) {
            let name = &buffer.name;
            let Some(tensor) = self.tensors.get(name) else {
                let is_param = matches!(buffer.kind, BufferKind::Param(_));
                let needed = match need {
                    Need::Start => is_param,
                    Need::Inference => !is_progress(name),
                    Need::Resume => true,
                };
                if needed {
                    res.push(format!("`{name}` {} is missing", buffer.shape));
                }
                continue;
            };
            if tensor.shape != buffer.shape.dims() {
                res.push(format!("`{name}` has shape {:?}, the model's is {}", tensor.shape, buffer.shape));
                continue;
            }
            let whole = |it: Dtype| matches!(it, Dtype::I64 | Dtype::I32 | Dtype::U8);
            if whole(tensor.dtype) && matches!(buffer.dtype, DType::Real | DType::Bf16) {
                res.push(format!("`{name}` holds integers ({:?}), the model's numbers are real", tensor.dtype));
                continue;
            }
            let values = self.values(name).unwrap_or_default();
            if let Some(at) = values.iter().position(|it| !it.is_finite()) {
                res.push(format!("`{name}` holds {} at position {at}", values[at]));
            }
        }
        for name in self.tensors.keys() {
            if !is_progress(name) && !kept(plan).any(|it| it.name == *name) {
                res.push(format!("`{name}` is not part of the model"));
            }
        }
        res
    }

    /// Puts the values into a session. `problems` must have been none.
    pub fn load(&self, session: &mut Session, need: Need) -> Result<(), RuntimeError> {
        let plan = session.plan.clone();
        for buffer in kept(&plan) {
            if need != Need::Resume && is_progress(&buffer.name) {
                continue;
            }
            if let Some(values) = self.values(&buffer.name) {
                session.write(&buffer.name, &values)?;
            }
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
pub fn write(session: &Session, step: u64, meaning: &Meaning, out: &mut dyn Write) -> io::Result<()> {
    let plan = &session.plan;
    let mut buffers: Vec<&Buffer> = kept(plan).collect();
    // Widest first keeps every tensor aligned; the sort is stable.
    buffers.sort_by_key(|it| std::cmp::Reverse(plan.precision.bytes(it.dtype)));

    let mut header = Map::new();
    header.insert("__metadata__".into(), Value::Null);
    let mut sum = Sha256::new();
    let mut at = 0;
    for buffer in &buffers {
        let bytes = session.bytes(&buffer.name).map_err(io::Error::other)?;
        sum.update(&bytes);
        let dtype = match (buffer.dtype, plan.precision.is_double()) {
            (DType::Real, false) => "F32",
            (DType::Real, true) => "F64",
            (DType::Bf16, _) => "BF16",
            (DType::Int, _) => "I64",
            (DType::U8, _) => "U8",
        };
        let end = at + bytes.len();
        let entry = json!({ "dtype": dtype, "shape": buffer.shape.dims(), "data_offsets": [at, end] });
        header.insert(buffer.name.clone(), entry);
        at = end;
    }
    header["__metadata__"] = json!({
        "format": "pt",
        "sphc_format": FORMAT,
        "sphc_version": env!("CARGO_PKG_VERSION"),
        "model": plan.name,
        "hash": plan.hash,
        "source": plan.source,
        "step": step.to_string(),
        "sha256": hex(&sum.finalize()),
        meaning::KEY: meaning.text(),
    });
    let mut text = Value::Object(header).to_string();
    // Spaces after the header keep the data aligned to 8 bytes.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    for buffer in buffers {
        out.write_all(&session.bytes(&buffer.name).map_err(io::Error::other)?)?;
    }
    Ok(())
}

/// A parameter or state that holds what is no finite number.
pub(super) fn non_finite(session: &Session) -> Result<Option<String>, RuntimeError> {
    for buffer in kept(&session.plan) {
        let bytes = session.bytes(&buffer.name)?;
        let is_finite = match (buffer.dtype, session.plan.precision.is_double()) {
            (DType::Real, false) => bytes.as_chunks().0.iter().all(|it| f32::from_ne_bytes(*it).is_finite()),
            (DType::Real, true) => bytes.as_chunks().0.iter().all(|it| f64::from_ne_bytes(*it).is_finite()),
            (DType::Bf16, _) => bytes.as_chunks().0.iter().all(|it| half::bf16::from_ne_bytes(*it).is_finite()),
            (DType::Int | DType::U8, _) => true,
        };
        if !is_finite {
            return Ok(Some(buffer.name.clone()));
        }
    }
    Ok(None)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn decode(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    fn each<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.chunks_exact(N).map(|it| read(it.try_into().expect("chunks have N bytes"))).collect()
    }
    match dtype {
        Dtype::F64 => Some(each(data, f64::from_le_bytes)),
        Dtype::F32 => Some(each(data, |it| f64::from(f32::from_le_bytes(it)))),
        Dtype::F16 => Some(each(data, |it| half::f16::from_le_bytes(it).to_f64())),
        Dtype::BF16 => Some(each(data, |it| half::bf16::from_le_bytes(it).to_f64())),
        Dtype::I64 => Some(each(data, |it| i64::from_le_bytes(it) as f64)),
        Dtype::I32 => Some(each(data, |it| f64::from(i32::from_le_bytes(it)))),
        Dtype::U8 => Some(each(data, |it: [u8; 1]| f64::from(it[0]))),
        _ => None,
    }
}
