//! A safetensors file: its header is in memory, its numbers are read when they are asked for, some thousand at a time.

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Headers beyond this are not those of weights.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes that are read at once; a multiple of every dtype's size.
const PART: usize = 1 << 18;

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    /// Where its bytes start in the file, and how many they are.
    start: u64,
    len: u64,
}

impl Tensor {
    /// Why its numbers cannot be read, where its dtype is none that is.
    pub(super) fn unreadable(&self) -> Option<String> {
        let cause = || format!("its dtype is {:?}; F64, F32, F16, BF16, I64, I32 and U8 can be read", self.dtype);
        each_of(self.dtype).is_none().then(cause)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct TensorFile {
    pub(super) path: PathBuf,
    file: File,
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// What the file says of itself; empty for files of other programs.
    pub(super) metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Opens a file and reads its header; the error is the cause only.
    pub(super) fn open(path: &Path) -> Result<TensorFile, String> {
        if path.is_dir() {
            return Err("it is a directory".into());
        }
        let mut file = File::open(path).map_err(|it| it.to_string())?;
        let size = file.metadata().map_err(|it| it.to_string())?.len();
        let foreign = |it: &str| format!("not a safetensors file: {it}");
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| foreign("it is shorter than any"))?;
        let length = u64::from_le_bytes(length);
        if LONGEST_HEADER < length || size - 8 < length {
            return Err(foreign("its header is longer than the file can hold"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|it| it.to_string())?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|it| foreign(&it.to_string()))?;
        let data = 8 + length;
        let mut tensors = BTreeMap::new();
        let mut end = data;
        for name in header.offset_keys() {
            let Some(info) = header.info(&name) else { continue };
            let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
            end = data + to;
            let tensor = Tensor {
                shape: info.shape.clone(),
                dtype: info.dtype,
                start: data + from,
                len: to.saturating_sub(from),
            };
            tensors.insert(name, tensor);
        }
        if end != size {
            return Err(foreign(&format!("it has {size} bytes, and its header tells of {end}")));
        }
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(TensorFile { path: path.into(), file, tensors, metadata })
    }

    /// Gives tensors other names, which must differ.
    pub(super) fn rename(&mut self, named: impl Fn(&String) -> String) {
        self.tensors = std::mem::take(&mut self.tensors).into_iter().map(|(name, it)| (named(&name), it)).collect();
    }

    /// SHA-256 of everything after the header, in hex.
    pub(super) fn checksum(&self) -> Result<String, String> {
        let mut sum = Sha256::new();
        let start = self.tensors.values().map(|it| it.start).min();
        let len = self.tensors.values().map(|it| it.len).sum();
        if let Some(start) = start {
            self.parts(start, len, &mut |part| sum.update(part))?;
        }
        Ok(super::hex(&sum.finalize()))
    }

    /// Shows the numbers of a tensor in order, some at a time; every dtype that is read is exact in f64, but for integers
    /// beyond 2^53. Nothing is shown of a tensor that is not there. The others of a file are read beside one that cannot be.
    pub(super) fn each(&self, name: &str, see: &mut dyn FnMut(&[f64])) -> Result<(), String> {
        let Some(tensor) = self.tensors.get(name) else { return Ok(()) };
        let Some(decode) = each_of(tensor.dtype) else { return Err(tensor.unreadable().unwrap_or_default()) };
        let mut numbers = Vec::new();
        self.parts(tensor.start, tensor.len, &mut |part| {
            numbers.clear();
            decode(part, &mut numbers);
            see(&numbers);
        })
    }

    fn parts(&self, start: u64, len: u64, see: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start)).map_err(|it| it.to_string())?;
        let mut part = vec![0; PART.min(usize::try_from(len).unwrap_or(PART))];
        let mut left = len;
        while 0 < left {
            let now = part.len().min(usize::try_from(left).unwrap_or(PART));
            file.read_exact(&mut part[..now]).map_err(|it| it.to_string())?;
            see(&part[..now]);
            left -= now as u64;
        }
        Ok(())
    }
}

/// Appends the numbers of bytes.
type Decode = fn(&[u8], &mut Vec<f64>);

/// How the numbers of a dtype are read, if they are.
fn each_of(dtype: Dtype) -> Option<Decode> {
    fn each<const N: usize>(data: &[u8], to: &mut Vec<f64>, read: impl Fn([u8; N]) -> f64) {
        to.extend(data.as_chunks().0.iter().map(|it| read(*it)));
    }
    match dtype {
        Dtype::F64 => Some(|data, to| each(data, to, f64::from_le_bytes)),
        Dtype::F32 => Some(|data, to| each(data, to, |it| f64::from(f32::from_le_bytes(it)))),
        Dtype::F16 => Some(|data, to| each(data, to, |it| half::f16::from_le_bytes(it).to_f64())),
        Dtype::BF16 => Some(|data, to| each(data, to, |it| half::bf16::from_le_bytes(it).to_f64())),
        Dtype::I64 => Some(|data, to| each(data, to, |it| i64::from_le_bytes(it) as f64)),
        Dtype::I32 => Some(|data, to| each(data, to, |it| f64::from(i32::from_le_bytes(it)))),
        Dtype::U8 => Some(|data, to| each(data, to, |it: [u8; 1]| f64::from(it[0]))),
        _ => None,
    }
}
