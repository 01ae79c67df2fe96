//! Inputs that stand for several files: parts with a name each, packed as the name says. A fuzzer would seldom get through a
//! checksum or a compression by itself; so it changes what is inside of them.

use std::io::{Cursor, Write};

/// What parts are divided by.
pub(super) const BETWEEN: &[u8] = b"\n~~~~\n";

/// A file, or a member of one.
pub(super) struct Part<'b> {
    pub(super) name: String,
    pub(super) bytes: &'b [u8],
}

/// The parts of an input: of each the first line is its name.
pub(super) fn parts(input: &[u8]) -> Vec<Part<'_>> {
    let mut res = Vec::new();
    let mut rest = Some(input);
    while let Some(now) = rest {
        let end = now.windows(BETWEEN.len()).position(|it| it == BETWEEN);
        let part = &now[..end.unwrap_or(now.len())];
        rest = end.map(|it| &now[it + BETWEEN.len()..]);
        let line = part.iter().position(|it| *it == b'\n').unwrap_or(part.len());
        let name = String::from_utf8_lossy(&part[..line]).into_owned();
        res.push(Part { name, bytes: part.get(line + 1..).unwrap_or_default() });
    }
    res
}

/// An input of parts.
pub(super) fn joined(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|(name, bytes)| [name.as_bytes(), b"\n", &bytes[..]].concat()).collect();
    parts.join(BETWEEN)
}

/// What a file of this name holds. What begins with `{` in a `.npy` is the text of a header, with the numbers behind its line;
/// what begins with `=` in a picture is its size and what it is of; a `!` behind the name has the bytes as they are.
pub(super) fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    if name.ends_with(".npy") && bytes.starts_with(b"{") {
        return npy(bytes);
    }
    if name.ends_with(".gz") {
        return gz(bytes);
    }
    if let (true, [b'=', width, height, kind, seed, ..]) = (name.ends_with(".png") || name.ends_with(".jpg"), bytes) {
        return picture([*width, *height, *kind, *seed], name.ends_with(".jpg"));
    }
    bytes.to_vec()
}

/// An array whose header has this text, up to the first line's end.
pub(super) fn npy(bytes: &[u8]) -> Vec<u8> {
    let line = bytes.iter().position(|it| *it == b'\n').map_or(bytes.len(), |it| it + 1);
    let (header, numbers) = bytes.split_at(line);
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header, numbers].concat()
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).expect("memory takes it");
    writer.finish().expect("memory takes it")
}

/// A small picture, grey or in colour, of 8 or 16 bits, opaque or not.
fn picture([width, height, kind, seed]: [u8; 4], jpeg: bool) -> Vec<u8> {
    use image::DynamicImage as Image;
    let (width, height) = (u32::from(width % 40).max(1), u32::from(height % 40).max(1));
    let mut picture = match kind % 6 {
        0 => Image::new_luma8(width, height),
        1 => Image::new_rgb8(width, height),
        2 => Image::new_luma16(width, height),
        3 => Image::new_rgba8(width, height),
        4 => Image::new_rgb16(width, height),
        _ => Image::new_luma_a8(width, height),
    };
    picture = picture.brighten(i32::from(seed) - 20);
    if jpeg && kind % 6 != 0 {
        picture = Image::ImageRgb8(picture.to_rgb8());
    }
    let format = if jpeg { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
    let mut res = Cursor::new(Vec::new());
    picture.write_to(&mut res, format).expect("memory takes it");
    res.into_inner()
}

/// An archive of members. Names are as they are, however wicked.
pub(super) fn zip(members: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        // A name that comes twice, or is too long, is not written.
        if writer.start_file(*name, options).is_ok() {
            writer.write_all(bytes).expect("memory takes it");
        }
    }
    writer.finish().map(Cursor::into_inner).unwrap_or_default()
}

/// A tape archive of members, each with the sign of its type.
pub(super) fn tar(members: &[(u8, &str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        let name = &name.as_bytes()[..name.len().min(100)];
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::new(*kind));
        if matches!(kind, b'1' | b'2') {
            // A link leads to what it holds.
            let target = &bytes[..bytes.len().min(100)];
            header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target);
        }
        header.set_cksum();
        builder.append(&header, &bytes[..]).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}
