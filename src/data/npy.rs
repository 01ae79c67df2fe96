//! One array of NumPy's: a header, which is a Python dictionary, and numbers.

use super::element::Element;
use crate::ir::DType;
use std::io::Read;

/// No array of numbers has a longer header.
const MOST_HEADER: usize = 1 << 16;

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Text,
    Object,
    /// Complex numbers, dates, records.
    Other,
}

/// How a number is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    /// As NumPy writes it: `<f4`.
    pub(super) text: String,
    pub(super) kind: Kind,
    bytes: usize,
    big: bool,
}

/// What stands before the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) shape: Vec<u64>,
    pub(super) dtype: Dtype,
    pub(super) fortran: bool,
}

impl Dtype {
    pub(super) fn parse(text: &str) -> Dtype {
        let plain = text.trim_matches(['\'', '"']);
        let (big, rest) = match plain.strip_prefix('>') {
            Some(rest) => (true, rest),
            None => (false, plain.trim_start_matches(['<', '|', '='])),
        };
        let kind = rest.chars().next();
        let digits = rest.get(1..).unwrap_or_default();
        let bytes = if rest == "?" { 1 } else { digits.parse().unwrap_or(0) };
        let kind = match (kind, bytes) {
            (Some('b' | '?'), 1) => Kind::Bool,
            (Some('i'), 1 | 2 | 4 | 8) => Kind::Int,
            (Some('u'), 1 | 2 | 4 | 8) => Kind::Uint,
            (Some('f'), 2 | 4 | 8) => Kind::Float,
            (Some('U' | 'S'), _) => Kind::Text,
            (Some('O'), _) => Kind::Object,
            (_, _) => Kind::Other,
        };
        Dtype { text: plain.to_owned(), kind, bytes, big }
    }

    /// Bytes of a number; 0 of what is not numbers.
    pub(super) fn bytes(&self) -> usize {
        match self.kind {
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Float => self.bytes,
            Kind::Text | Kind::Object | Kind::Other => 0,
        }
    }

    /// The number that some bytes stand for: exact, but for integers beyond 2^53.
    fn value(&self, bytes: &[u8]) -> f64 {
        let mut wide = [0; 8];
        let width = self.bytes.min(8);
        for (at, byte) in bytes.iter().take(width).enumerate() {
            wide[if self.big { width - 1 - at } else { at }] = *byte;
        }
        let bits = u64::from_le_bytes(wide);
        let unused = 64 - 8 * width as u32;
        match (self.kind, width) {
            (Kind::Float, 2) => half::f16::from_bits(bits as u16).to_f64(),
            (Kind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Int, 1..) => (((bits << unused) as i64) >> unused) as f64,
            (Kind::Bool | Kind::Int | Kind::Uint | Kind::Text | Kind::Object | Kind::Other, _) => bits as f64,
        }
    }

    /// The type of an input that has all of its numbers; of 64-bit ones without a sign, those below 2^63.
    pub(super) fn natural(&self) -> Option<DType> {
        match (self.kind, self.bytes) {
            (Kind::Uint, 1) => Some(DType::U8),
            (Kind::Uint, 2) => Some(DType::U16),
            (Kind::Int | Kind::Uint, _) => Some(DType::Int),
            (Kind::Float, _) => Some(DType::Real),
            (Kind::Bool | Kind::Text | Kind::Object | Kind::Other, _) => None,
        }
    }

    /// Whether numbers are stored here as they are there, byte for byte.
    pub(super) fn is(&self, element: Element) -> bool {
        let kind = match element.dtype {
            DType::U8 | DType::U16 => Kind::Uint,
            DType::Int => Kind::Int,
            DType::Real | DType::Bf16 => Kind::Float,
        };
        (self.kind, self.bytes) == (kind, element.bytes())
            && (self.bytes == 1 || self.big == cfg!(target_endian = "big"))
    }

    /// Shows each number that some bytes hold.
    pub(super) fn numbers(&self, bytes: &[u8], see: impl FnMut(f64)) {
        bytes.chunks_exact(self.bytes().clamp(1, 8)).map(|it| self.value(it)).for_each(see);
    }
}

impl Header {
    /// Reads a header; the error says what is wrong with it.
    pub(super) fn read(from: &mut impl Read) -> Result<Header, String> {
        let cut = |_| "its header is cut off".to_owned();
        let mut start = [0; 8];
        from.read_exact(&mut start).map_err(cut)?;
        if start[..6] != *b"\x93NUMPY" {
            return Err("it does not open as NumPy's arrays do".into());
        }
        let wide = match start[6] {
            1 => 2,
            2 | 3 => 4,
            it => return Err(format!("it is of version {it}; 1, 2 and 3 are known")),
        };
        let mut length = [0; 4];
        from.read_exact(&mut length[..wide]).map_err(cut)?;
        let length = u32::from_le_bytes(length) as usize;
        if MOST_HEADER < length {
            return Err(format!("its header claims {length} bytes; {MOST_HEADER} are the most that is read"));
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text).map_err(cut)?;
        Header::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| "its header cannot be understood".into())
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
    fn parse(text: &str) -> Option<Header> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, value) = rest.split_once(':')?;
            let end = value_end(value)?;
            let found = value[..end].trim();
            match key.trim().trim_matches(['\'', '"']) {
                "descr" => dtype = Some(Dtype::parse(found)),
                "fortran_order" => fortran = Some(truth(found)?),
                "shape" => shape = Some(extents(found)?),
                _ => return None,
            }
            rest = value[end..].trim_start_matches(',').trim();
        }
        Some(Header { shape: shape?, dtype: dtype?, fortran: fortran? })
    }
}

/// Where a value ends: at the first comma outside of brackets and quotes, or with the text.
fn value_end(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0i32, None);
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            (Some(open), _) => quote = quote.filter(|_| sign != open),
            (None, '\'' | '"') => quote = Some(sign),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => return Some(at),
            (None, _) => {}
        }
    }
    (depth == 0 && quote.is_none()).then_some(text.len())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// `(3, 4)`, `(3,)`, `()`; Python 2 wrote `3L`.
fn extents(text: &str) -> Option<Vec<u64>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside.split(',').map(|it| it.trim().trim_end_matches('L').parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Option<Header> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut bytes.as_slice()).ok()
    }

    #[test]
    fn headers_are_understood() {
        let found = header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n").unwrap();
        assert_eq!((found.shape, found.fortran, found.dtype.kind), (vec![3, 4], false, Kind::Float));
        let found = header("{\"shape\": (5L,), 'fortran_order':True,'descr':'|O'}").unwrap();
        assert_eq!((found.shape, found.fortran, found.dtype.kind), (vec![5], true, Kind::Object));
        let found = header("{'descr': [('a', '<i4'), ('b', '|u1')], 'fortran_order': False, 'shape': ()}").unwrap();
        assert_eq!((found.shape, found.dtype.kind), (vec![], Kind::Other));
        assert_eq!(found.dtype.text, "[('a', '<i4'), ('b', '|u1')]");
        for text in
            ["", "{", "{'shape': (1,)}", "{'descr': '<f4', 'fortran_order': 1, 'shape': (3)}", "{'descr' '<f4'}"]
        {
            assert_eq!(header(text), None, "{text}");
        }
        let huge = "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}";
        assert_eq!(header(huge), None, "an extent beyond 64 bits");
    }

    #[test]
    fn a_header_of_4_gigabytes_is_not_read() {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        assert!(Header::read(&mut bytes.as_slice()).unwrap_err().contains("claims 4294967295 bytes"));
    }

    #[test]
    fn numbers_of_every_dtype_are_decoded() {
        let one = |text: &str, bytes: &[u8]| {
            let mut found = Vec::new();
            Dtype::parse(text).numbers(bytes, |it| found.push(it));
            found[0]
        };
        assert_eq!(one("|b1", &[1]), 1.0);
        assert_eq!(one("|i1", &[255]), -1.0);
        assert_eq!(one("|u1", &[255]), 255.0);
        assert_eq!(one("<i2", &[0, 128]), -32768.0);
        assert_eq!(one(">i2", &[128, 0]), -32768.0);
        assert_eq!(one(">u4", &[0, 0, 1, 2]), 258.0);
        assert_eq!(one("<i8", &(-7i64).to_le_bytes()), -7.0);
        assert_eq!(one("<u8", &u64::MAX.to_le_bytes()), 2f64.powi(64));
        assert_eq!(one("<f2", &[0, 0x3c]), 1.0);
        assert_eq!(one(">f4", &0.1f32.to_be_bytes()), f64::from(0.1f32));
        assert_eq!(one("<f8", &0.1f64.to_le_bytes()), 0.1);
        Dtype::parse("<f4").numbers(&[0; 3], |_| panic!("three bytes are no number"));
    }
}
