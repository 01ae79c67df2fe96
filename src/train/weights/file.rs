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
    /// Where its numbers lie in the file, if in another order than the shape says.
    pub(super) lie: Option<Lie>,
}

/// The extents of a filter as PyTorch keeps it, outermost first; here it is `[height, width, channels, filters]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lie {
    /// Filters.
    pub(super) o: usize,
    /// Channels.
    pub(super) c: usize,
    /// Height.
    pub(super) h: usize,
    /// Width.
    pub(super) w: usize,
}

impl Lie {
    /// For each number in our order, its place in the file.
    fn places(self) -> impl Iterator<Item = usize> {
        let Lie { o, c, h, w } = self;
        let pixels = (0..h * w).flat_map(move |pixel| (0..c).map(move |channel| channel * h * w + pixel));
        pixels.flat_map(move |within| (0..o).map(move |filter| filter * c * h * w + within))
    }
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
        if is_pytorch(&mut file) {
            return Err(foreign("it is PyTorch's own format, a program that makes tensors as it is read"));
        }
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
                lie: None,
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
        let mut see = |part: &[u8]| {
            numbers.clear();
            decode(part, &mut numbers);
            see(&numbers);
        };
        let Some(lie) = tensor.lie else { return self.parts(tensor.start, tensor.len, &mut see) };
        // Of no filters the other extents may be any, and the places that they have would be counted for years.
        if tensor.len == 0 {
            return Ok(());
        }
        // What lies in another order is in memory as a whole, in the file's own precision.
        let mut all = Vec::new();
        self.parts(tensor.start, tensor.len, &mut |part| all.extend_from_slice(part))?;
        let size = all.len() / tensor.shape.iter().product::<usize>().max(1);
        let mut part = Vec::with_capacity(PART);
        for at in lie.places() {
            part.extend_from_slice(&all[at * size..(at + 1) * size]);
            if part.len() == PART {
                see(&part);
                part.clear();
            }
        }
        see(&part);
        Ok(())
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

/// Whether a file is what `torch.save` writes: an archive with a pickle in it, or before PyTorch 1.6 a pickle alone.
fn is_pytorch(file: &mut File) -> bool {
    let mut start = Vec::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_end(&mut start));
    if read.is_err() || file.rewind().is_err() {
        return false;
    }
    // Of a local header of an archive the name's length is at 26, the name at 30.
    let name = match &start[..] {
        [b'P', b'K', 3, 4, rest @ ..] if 26 < rest.len() => {
            let length = usize::from(u16::from_le_bytes([rest[22], rest[23]]));
            rest[26..].get(..length).unwrap_or_default()
        }
        _ => return start.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"),
    };
    name.ends_with(b"/data.pkl")
}

/// What to do about a file that holds no weights as they are read here.
pub fn remedy(path: &Path) -> String {
    if !File::open(path).is_ok_and(|mut it| is_pytorch(&mut it)) {
        return "give a safetensors file with one tensor per parameter, such as a checkpoint of this model".into();
    }
    let (from, to) = (path.display().to_string(), path.with_extension("safetensors").display().to_string());
    format!(
        "write its tensors as safetensors, with Python and its packages torch and safetensors:\n    \
         import torch, safetensors.torch\n    \
         kept = torch.load({from:?}, map_location=\"cpu\", weights_only=True)\n    \
         safetensors.torch.save_file({{name: it.clone().contiguous() for name, it in kept.items()}}, {to:?})"
    )
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
