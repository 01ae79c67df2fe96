//! One PNG or JPEG file as rows of bytes: upright, opaque, of 8 bits, grey or red, green and blue. What is changed on the
//! way is told.

use super::DataError;
use super::bound::{Room, open, unpacks};
use super::error::{count, few};
use crate::ir::DType;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

/// Something of a picture that its bytes do not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was turned or mirrored.
    Upright,
    /// Transparent pixels were put on black.
    Opaque,
    /// 16 bits became 8.
    Rounded,
    /// More pictures follow in the file.
    Still,
}

impl Change {
    fn said(self, pictures: usize) -> String {
        let (are, they) = if pictures == 1 { ("is", "it has") } else { ("are", "they have") };
        match self {
            Change::Upright => format!("{are} turned as the orientation in their EXIF data says"),
            Change::Opaque => format!("{are} put on black, as {they} transparent pixels"),
            Change::Rounded => {
                format!(
                    "{are} rounded from 16 to 8 bits, which an input `u16[height, width, channels]` takes as they are"
                )
            }
            Change::Still => format!("{are} animated, of which the first frame is taken"),
        }
    }
}

/// A decoded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows of pixels, as the bytes of their numbers.
    pub pixels: Vec<u8>,
    /// Bytes, or numbers of 16 bits.
    pub dtype: DType,
    /// Height, width and channels: 1 of a grey picture, else 3.
    pub size: [usize; 3],
    /// What was changed.
    pub changes: Vec<Change>,
}

/// One sentence for each kind of change, with the first few of the pictures it happened to.
pub fn remarks(changes: &BTreeMap<Change, Vec<String>>) -> Vec<String> {
    let said = |(change, names): (&Change, &Vec<String>)| {
        format!("{} {}: {}", count(names.len(), "picture"), change.said(names.len()), few(names))
    };
    changes.iter().map(said).collect()
}

/// Decodes a PNG or JPEG file; one of 16 bits is rounded to 8 unless `deep`.
pub fn decode(path: &Path, deep: bool) -> Result<Picture, DataError> {
    decoded(path, deep, Room::here(None))
}

/// Decodes within a bound.
pub(super) fn decoded(path: &Path, deep: bool, room: Room) -> Result<Picture, DataError> {
    let fail = |cause: String| DataError::Image { path: path.into(), cause };
    let read = |cause| DataError::Read { path: path.into(), cause };
    let (file, length) = open(path)?;
    // A JPEG file is held in memory while it is decoded.
    room.clone().take(path, length)?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(read)?;
    let mut changes = Vec::new();
    match reader.format() {
        Some(ImageFormat::Png) => {
            let mut reader = reader.into_inner();
            if is_animated(&mut reader).map_err(read)? {
                changes.push(Change::Still);
            }
            let mut limits = Limits::default();
            limits.max_alloc = Some(room.left());
            let decoder = PngDecoder::with_limits(reader, limits).map_err(|it| fail(it.to_string()))?;
            finish((path, length), decoder, deep, room, changes)
        }
        Some(ImageFormat::Jpeg) => {
            let mut bytes = reader.into_inner();
            if components(&mut bytes).map_err(read)? == Some(4) {
                return Err(fail("it is in CMYK, whose colours depend on a printer: save it in RGB".into()));
            }
            if !is_whole(&mut bytes).map_err(read)? {
                return Err(fail("it is cut off: the mark of its end is missing".into()));
            }
            let decoder = image::codecs::jpeg::JpegDecoder::new(bytes).map_err(|it| fail(it.to_string()))?;
            finish((path, length), decoder, deep, room, changes)
        }
        Some(other) => Err(fail(format!("its contents are of the format {other:?}"))),
        None => Err(fail("its contents are not those of a picture".into())),
    }
}

fn finish(
    (path, length): (&Path, u64),
    mut decoder: impl ImageDecoder,
    deep: bool,
    mut room: Room,
    mut changes: Vec<Change>,
) -> Result<Picture, DataError> {
    let fail = |cause: String| DataError::Image { path: path.into(), cause };
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(fail(format!("it is {height}x{width}")));
    }
    let bytes = decoder.total_bytes();
    unpacks(path, length, bytes)?;
    // A turned copy may stand beside it.
    room.take(path, bytes.saturating_mul(2))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|it| fail(it.to_string()))?;
    if orientation != Orientation::NoTransforms {
        image.apply_orientation(orientation);
        changes.push(Change::Upright);
    }
    let color = image.color();
    let is_deep = matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16);
    if is_deep && !deep {
        changes.push(Change::Rounded);
    }
    let dtype = if is_deep && deep { DType::U16 } else { DType::U8 };
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (pixels, channels, transparent) = match color {
        ColorType::L16 if deep => (bytes_of(image.into_luma16().into_raw()), 1, false),
        ColorType::Rgb16 if deep => (bytes_of(image.into_rgb16().into_raw()), 3, false),
        ColorType::La16 if deep => {
            let (pixels, transparent) = opaque::<u16, 2>(&image.into_luma_alpha16());
            (bytes_of(pixels), 1, transparent)
        }
        ColorType::Rgba16 if deep => {
            let (pixels, transparent) = opaque::<u16, 4>(&image.into_rgba16());
            (bytes_of(pixels), 3, transparent)
        }
        ColorType::L8 | ColorType::L16 => (image.into_luma8().into_raw(), 1, false),
        ColorType::La8 | ColorType::La16 => {
            let (pixels, transparent) = opaque::<u8, 2>(&image.into_luma_alpha8());
            (pixels, 1, transparent)
        }
        ColorType::Rgba8 | ColorType::Rgba16 | ColorType::Rgba32F => {
            let (pixels, transparent) = opaque::<u8, 4>(&image.into_rgba8());
            (pixels, 3, transparent)
        }
        _ => (image.into_rgb8().into_raw(), 3, false),
    };
    if transparent {
        changes.push(Change::Opaque);
    }
    changes.sort();
    Ok(Picture { pixels, dtype, size: [height, width, channels], changes })
}

fn bytes_of(numbers: Vec<u16>) -> Vec<u8> {
    numbers.into_iter().flat_map(u16::to_ne_bytes).collect()
}

/// Pixels of N numbers, the last one of which is how opaque they are, on black; and whether any was not.
fn opaque<T: Into<u64> + TryFrom<u64> + Copy, const N: usize>(numbers: &[T]) -> (Vec<T>, bool) {
    let most = (1u64 << (8 * size_of::<T>())) - 1;
    let mut res = Vec::with_capacity(numbers.len() / N * (N - 1));
    let mut transparent = false;
    for pixel in numbers.as_chunks::<N>().0 {
        let alpha = pixel[N - 1].into();
        transparent |= alpha != most;
        // A share of what a number holds is one that it holds.
        res.extend(pixel[..N - 1].iter().filter_map(|it| T::try_from(((*it).into() * alpha + most / 2) / most).ok()));
    }
    (res, transparent)
}

/// Whether a PNG file says that it is animated: a chunk `acTL` before the pixels. Leaves the reader at its start.
fn is_animated(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    file.rewind()?;
    let mut start = [0; 8];
    let mut found = false;
    if file.read_exact(&mut start).is_ok() {
        let mut head = [0; 8];
        while file.read_exact(&mut head).is_ok() {
            let kind = &head[4..];
            if kind == b"acTL" || kind == b"IDAT" || kind == b"IEND" {
                found = kind == b"acTL";
                break;
            }
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            file.seek_relative(i64::from(length) + 4)?;
        }
    }
    file.rewind()?;
    Ok(found)
}

/// How many components the pixels of a JPEG file have, as its frame header says. Leaves the reader at its start.
fn components(file: &mut (impl BufRead + Seek)) -> std::io::Result<Option<u8>> {
    file.rewind()?;
    let found = frame_header(file);
    file.rewind()?;
    Ok(found)
}

/// Whether a JPEG file goes on to the mark of its end. Of one that is cut off the decoder makes grey what is missing. Leaves the
/// reader at its start.
fn is_whole(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    file.rewind()?;
    let mut at = 2;
    while let Some(mark) = bytes.get(at..).and_then(|it| it.iter().position(|it| *it == 0xff)) {
        at += mark;
        // Any number of 255s may stand before a marker.
        let Some(run) = bytes[at..].iter().position(|it| *it != 0xff) else { return Ok(false) };
        let marker = bytes[at + run];
        at += run + 1;
        match marker {
            0xd9 => return Ok(true),
            // A 255 of the pixels themselves, and marks between their parts.
            0 | 1 | 0xd0..=0xd8 => {}
            _ => {
                let Some(length) = bytes.get(at..at + 2) else { return Ok(false) };
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    Ok(false)
}

fn frame_header(file: &mut (impl Read + Seek)) -> Option<u8> {
    let mut start = [0; 2];
    file.read_exact(&mut start).ok()?;
    loop {
        let mut marker = [0; 1];
        // Markers may have any number of 255s before them.
        while marker[0] != 0xff {
            file.read_exact(&mut marker).ok()?;
        }
        while marker[0] == 0xff {
            file.read_exact(&mut marker).ok()?;
        }
        match marker[0] {
            0 | 1 | 0xd0..=0xd7 => continue,
            0xd8..=0xda => return None,
            _ => {}
        }
        let mut length = [0; 2];
        file.read_exact(&mut length).ok()?;
        let length = u16::from_be_bytes(length);
        if matches!(marker[0], 0xc0..=0xcf) && !matches!(marker[0], 0xc4 | 0xc8 | 0xcc) {
            let mut frame = [0; 6];
            file.read_exact(&mut frame).ok()?;
            return Some(frame[5]);
        }
        file.seek_relative(i64::from(length.saturating_sub(2))).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba};
    use std::fs;
    use std::path::PathBuf;

    fn saved(place: &tempfile::TempDir, name: &str, image: &DynamicImage) -> PathBuf {
        let path = place.path().join(name);
        image.save(&path).unwrap();
        path
    }

    #[test]
    fn transparency_and_depth_are_told() {
        let place = tempfile::tempdir().unwrap();
        let rgba = ImageBuffer::from_fn(2, 1, |x, _| Rgba([200u8, 100, 50, if x == 0 { 255 } else { 51 }]));
        let found = decode(&saved(&place, "a.png", &DynamicImage::ImageRgba8(rgba)), false).unwrap();
        assert_eq!((found.pixels, found.size), (vec![200, 100, 50, 40, 20, 10], [1, 2, 3]));
        assert_eq!(found.changes, [Change::Opaque]);
        let solid = ImageBuffer::from_pixel(2, 1, LumaA([9u8, 255]));
        let found = decode(&saved(&place, "b.png", &DynamicImage::ImageLumaA8(solid)), false).unwrap();
        assert_eq!((found.pixels, found.size, found.changes), (vec![9, 9], [1, 2, 1], vec![]));
        let deep = ImageBuffer::from_pixel(1, 1, Luma([0x8081u16]));
        let found = decode(&saved(&place, "c.png", &DynamicImage::ImageLuma16(deep)), false).unwrap();
        assert_eq!((found.pixels, found.changes), (vec![0x80], vec![Change::Rounded]));
        let deep = ImageBuffer::from_pixel(1, 1, Rgba([65535u16, 0, 0, 0]));
        let found = decode(&saved(&place, "d.png", &DynamicImage::ImageRgba16(deep)), false).unwrap();
        assert_eq!((found.pixels, found.changes), (vec![0, 0, 0], vec![Change::Opaque, Change::Rounded]));
        // As they are.
        let numbers = |it: &Picture| -> Vec<u16> {
            it.pixels.as_chunks::<2>().0.iter().map(|it| u16::from_ne_bytes(*it)).collect()
        };
        let found = decode(&place.path().join("c.png"), true).unwrap();
        assert_eq!((numbers(&found), found.dtype, found.changes), (vec![0x8081], DType::U16, vec![]));
        let half = ImageBuffer::from_pixel(1, 1, Rgba([65535u16, 1000, 0, 32768]));
        let found = decode(&saved(&place, "e.png", &DynamicImage::ImageRgba16(half)), true).unwrap();
        assert_eq!((numbers(&found), found.changes), (vec![32768, 500, 0], vec![Change::Opaque]));
        assert_eq!(decode(&place.path().join("a.png"), true).unwrap().dtype, DType::U8);
    }

    /// A picture with the orientation of EXIF's number: the segment that cameras write.
    fn turned(place: &tempfile::TempDir, number: u8) -> Picture {
        let mut image = GrayImage::from_pixel(16, 8, Luma([0]));
        for (x, y) in (0..8).flat_map(|x| (0..8).map(move |y| (x, y))) {
            image.put_pixel(x, y, Luma([255]));
        }
        let bytes = fs::read(saved(place, "plain.jpg", &DynamicImage::ImageLuma8(image))).unwrap();
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([number, 0, 0, 0, 0, 0, 0]);
        let mut res = bytes[..2].to_vec();
        res.extend([0xff, 0xe1]);
        res.extend((exif.len() as u16 + 2).to_be_bytes());
        res.extend(exif);
        res.extend(&bytes[2..]);
        let path = place.path().join("turned.jpg");
        fs::write(&path, res).unwrap();
        decode(&path, false).unwrap()
    }

    #[test]
    fn pictures_are_upright() {
        let place = tempfile::tempdir().unwrap();
        let corner = |it: &Picture, x: usize, y: usize| 128 < it.pixels[y * it.size[1] + x];
        let found = turned(&place, 1);
        assert_eq!((found.size, corner(&found, 0, 0), corner(&found, 15, 0)), ([8, 16, 1], true, false));
        assert!(found.changes.is_empty());
        // 3: the camera was upside down.
        let found = turned(&place, 3);
        assert_eq!((found.size, corner(&found, 0, 0), corner(&found, 15, 0)), ([8, 16, 1], false, true));
        // 6: the top of the scene is on the right of the stored picture, so that its left becomes the top.
        let found = turned(&place, 6);
        assert_eq!((found.size, corner(&found, 0, 0), corner(&found, 0, 15)), ([16, 8, 1], true, false));
        // 8: and the other way.
        let found = turned(&place, 8);
        assert_eq!((found.size, corner(&found, 0, 0), corner(&found, 0, 15)), ([16, 8, 1], false, true));
        assert_eq!(found.changes, [Change::Upright]);
    }

    fn noise() -> RgbImage {
        RgbImage::from_fn(24, 24, |x, y| Rgb([(x * 37 + y * 101) as u8, (x * y * 7) as u8, (x * 11) as u8]))
    }

    /// A PNG chunk with its checksum.
    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let body = [kind.as_slice(), data].concat();
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body);
        [&(data.len() as u32).to_be_bytes(), body.as_slice(), &sum.to_be_bytes()].concat()
    }

    #[test]
    fn animations_other_formats_and_bombs_are_told() {
        let place = tempfile::tempdir().unwrap();
        let path = saved(&place, "a.png", &DynamicImage::ImageLuma8(GrayImage::from_pixel(2, 2, Luma([7]))));
        let bytes = fs::read(&path).unwrap();
        // Behind the signature and the header: 8 and 25 bytes.
        let animated = [&bytes[..33], &chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]), &bytes[33..]].concat();
        fs::write(&path, animated).unwrap();
        let found = decode(&path, false).unwrap();
        assert_eq!((found.pixels, found.changes), (vec![7; 4], vec![Change::Still]));

        let header = [&60_000u32.to_be_bytes()[..], &60_000u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let bomb = [&bytes[..8], &chunk(b"IHDR", &header), &bytes[33..]].concat();
        fs::write(&path, bomb).unwrap();
        let message = decode(&path, false).unwrap_err().to_string();
        assert!(message.contains("unpacks to 10 GB"), "{message}");

        let jpeg = saved(&place, "b.jpg", &DynamicImage::ImageRgb8(RgbImage::from_pixel(8, 8, Rgb([9, 9, 9]))));
        let mut bytes = fs::read(&jpeg).unwrap();
        assert_eq!(components(&mut std::io::Cursor::new(&bytes)).unwrap(), Some(3));
        let frame = bytes.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        fs::write(&jpeg, &bytes).unwrap();
        let message = decode(&jpeg, false).unwrap_err().to_string();
        assert!(message.contains("unpacks to 12 GB"), "{message}");
        bytes[frame + 9] = 4;
        fs::write(&jpeg, &bytes).unwrap();
        assert!(decode(&jpeg, false).unwrap_err().to_string().contains("CMYK"));

        // Cut anywhere, though a small picture before its own has an end: that of a camera's preview.
        let whole = fs::read(saved(&place, "d.jpg", &DynamicImage::ImageRgb8(noise()))).unwrap();
        let preview = [&[0xff, 0xe1], &(whole.len() as u16 + 2).to_be_bytes()[..], &whole].concat();
        let whole = [&whole[..2], &preview, &whole[2..]].concat();
        let path = place.path().join("d.jpg");
        for length in [whole.len(), whole.len() - 2, whole.len() - 40, whole.len() / 2 + 30] {
            fs::write(&path, &whole[..length]).unwrap();
            match decode(&path, false) {
                Ok(_) => assert_eq!(length, whole.len()),
                Err(it) => assert!(length < whole.len() && it.to_string().contains("d.jpg`: it is cut off"), "{it}"),
            }
        }

        let gif = place.path().join("c.png");
        fs::write(&gif, b"GIF89a\x01\x00\x01\x00\x00\x00\x00").unwrap();
        let message = decode(&gif, false).unwrap_err().to_string();
        assert!(message.contains("format Gif") && message.contains("PNG and JPEG"), "{message}");
        assert!(decode(place.path(), false).unwrap_err().to_string().contains("directory"));
    }
}
