//! The machine code in a cubin: an ELF file, little-endian and of 64 bits, with a section `.text.NAME` for each entry.

/// The code of an entry.
pub(super) fn code<'a>(cubin: &'a [u8], entry: &str) -> Option<&'a [u8]> {
    if cubin.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let [start, each, count, names] =
        [(0x28, 8), (0x3a, 2), (0x3c, 2), (0x3e, 2)].map(|(at, size)| number(cubin, at, size));
    let (start, each, count, names) = (start?, each?, count?, names?);
    // Of a section: where its name lies among the names, where it lies, and its size.
    let section = |at: usize| {
        let header = start.checked_add(at.checked_mul(each)?)?;
        let field = |offset: usize, size| number(cubin, header.checked_add(offset)?, size);
        Some((field(0, 4)?, field(0x18, 8)?, field(0x20, 8)?))
    };
    let bytes = |from: usize, size: usize| cubin.get(from..from.checked_add(size)?);
    let (_, from, size) = section(names)?;
    let names = bytes(from, size)?;
    (0..count).find_map(|at| {
        let (name, from, size) = section(at)?;
        let name = names.get(name..)?.split(|it| *it == 0).next()?;
        let own = name.strip_prefix(b".text.")?;
        (own == entry.as_bytes()).then(|| bytes(from, size))?
    })
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let all = bytes.get(at..at.checked_add(size)?)?.iter().rev();
    usize::try_from(all.fold(0u64, |sum, it| sum << 8 | u64::from(*it))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cubin_has_no_code() {
        assert_eq!(code(b"", "conv"), None);
        assert_eq!(code(b"\x7fELF\x02\x01", "conv"), None);
        let mut file = vec![0xff; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert_eq!(code(&file, "conv"), None);
    }
}
