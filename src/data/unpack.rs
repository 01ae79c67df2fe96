//! Takes files out of an archive that may be hostile: only names that were asked for or that stay below
//! the folder, only plain files, and no more bytes than an archive of its size can honestly hold.

use super::bound::unpacked;
use super::error::{plain, shown};
use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Whether a file is an archive, by its name.
pub(super) fn is_archive(name: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".zip"].iter().any(|it| name.ends_with(it))
}

/// Takes `members` out of an archive, by their names without folders; without members, whatever lies below a
/// folder `train` or `test`. The error is the cause only.
pub fn unpack(archive: &Path, members: &[String], into: &Path) -> Result<(), String> {
    let name = archive.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    let open = || File::open(archive).map_err(|it| it.to_string());
    let most = unpacked(open()?.metadata().map_or(0, |it| it.len()));
    let mut taker = Taker { members, into, found: 0 };
    if name.ends_with(".zip") {
        let mut zip = zip::ZipArchive::new(open()?).map_err(|it| it.to_string())?;
        let mut left = most;
        for at in 0..zip.len() {
            let mut entry = zip.by_index(at).map_err(|it| it.to_string())?;
            if !entry.is_file() || entry.is_symlink() {
                continue;
            }
            let path = PathBuf::from(entry.name().map_err(|it| it.to_string())?.into_owned());
            left = left.saturating_sub(taker.take(&path, &mut (&mut entry).take(left))?);
            bounded(left, most)?;
        }
    } else if name.ends_with(".tar") {
        tar_entries(open()?.take(most), &mut taker, most)?;
    } else {
        tar_entries(MultiGzDecoder::new(open()?).take(most), &mut taker, most)?;
    }
    match members.iter().find(|it| !into.join(it).is_file()) {
        Some(missing) => Err(format!("there is no `{}` in it", plain(missing))),
        None if taker.found == 0 => Err("there is no folder `train` or `test` in it".into()),
        None => Ok(()),
    }
}

fn bounded(left: u64, most: u64) -> Result<(), String> {
    if left == 0 {
        return Err(format!("it unpacks to more than {most} bytes, which is taken for an attack, not for data"));
    }
    Ok(())
}

fn tar_entries<R: Read>(reader: io::Take<R>, taker: &mut Taker, most: u64) -> Result<(), String> {
    let mut archive = tar::Archive::new(reader);
    let res = take_entries(&mut archive, taker);
    bounded(archive.into_inner().limit(), most)?;
    res
}

fn take_entries<R: Read>(archive: &mut tar::Archive<R>, taker: &mut Taker) -> Result<(), String> {
    for entry in archive.entries().map_err(|it| it.to_string())? {
        let mut entry = entry.map_err(|it| it.to_string())?;
        if entry.header().entry_type().is_file() {
            let path = entry.path().map_err(|it| it.to_string())?.into_owned();
            taker.take(&path, &mut entry)?;
        }
    }
    Ok(())
}

struct Taker<'a> {
    members: &'a [String],
    into: &'a Path,
    found: usize,
}

impl Taker<'_> {
    /// Where a file of the archive goes; `None` for one that is not wanted.
    fn target(&self, path: &Path) -> Result<Option<PathBuf>, String> {
        if !self.members.is_empty() {
            let name = path.file_name().and_then(|it| it.to_str());
            return Ok(self.members.iter().find(|it| Some(it.as_str()) == name).map(|it| self.into.join(it)));
        }
        let parts: Vec<Component> = path.components().collect();
        let Some(from) = parts.iter().position(|it| matches!(it.as_os_str().to_str(), Some("train" | "test"))) else {
            return Ok(None);
        };
        if !parts.iter().all(|it| matches!(it, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("`{}` leads out of its folder", shown(path)));
        }
        Ok(Some(parts[from..].iter().fold(self.into.to_path_buf(), |at, it| at.join(it))))
    }

    /// Writes a file if it is wanted; says how many bytes were written.
    fn take(&mut self, path: &Path, from: &mut impl Read) -> Result<u64, String> {
        let Some(target) = self.target(path)? else { return Ok(0) };
        let fail = |it: io::Error| format!("`{}`: {it}", shown(path));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        // A name that comes twice would let a later file replace an earlier one.
        let mut file = File::create_new(&target).map_err(fail)?;
        self.found += 1;
        io::copy(from, &mut file).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::bound::FREE_BYTES;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// An archive whose entries have exactly these names, however wicked.
    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, data) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            builder.append(&header, *data).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn found(bytes: &[u8], members: &[&str]) -> (Result<(), String>, tempfile::TempDir) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.tar.gz");
        fs::write(&path, bytes).unwrap();
        fs::create_dir_all(place.path().join("in/to")).unwrap();
        let members: Vec<String> = members.iter().map(|it| (*it).to_owned()).collect();
        (unpack(&path, &members, &place.path().join("in/to")), place)
    }

    #[test]
    fn members_are_taken_by_name_and_nothing_else_is() {
        let bytes = archive(&[("top/../../a.bin", b"a"), ("/b.bin", b"b"), ("top/evil", b"x")]);
        let (res, place) = found(&bytes, &["a.bin", "b.bin"]);
        res.unwrap();
        assert_eq!(fs::read(place.path().join("in/to/a.bin")).unwrap(), b"a");
        assert_eq!(fs::read_dir(place.path().join("in/to")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing beside it");
        assert!(found(&bytes, &["c.bin"]).0.unwrap_err().contains("no `c.bin`"));
    }

    #[test]
    fn folders_of_images_stay_below() {
        let (res, place) = found(&archive(&[("x/train/cat/1.png", b"1"), ("x/readme", b"r")]), &[]);
        res.unwrap();
        assert!(place.path().join("in/to/train/cat/1.png").is_file() && !place.path().join("in/to/x").exists());
        let (res, place) = found(&archive(&[("train/../../../evil", b"1")]), &[]);
        assert!(res.unwrap_err().contains("leads out"));
        assert!(!place.path().join("evil").exists());
        assert!(found(&archive(&[("a", b"1")]), &[]).0.unwrap_err().contains("no folder"));
        assert!(found(&archive(&[("train/a", b"1"), ("train/a", b"2")]), &[]).0.is_err(), "a name twice");
    }

    #[test]
    fn a_bomb_is_put_out_and_damage_is_said() {
        let bytes = archive(&[("train/a", &vec![0; (FREE_BYTES + (1 << 20)) as usize])]);
        assert_eq!(unpacked(bytes.len() as u64), FREE_BYTES, "{} bytes", bytes.len());
        let (res, place) = found(&bytes, &[]);
        assert!(res.unwrap_err().contains("unpacks to more than"));
        let written = fs::metadata(place.path().join("in/to/train/a")).unwrap().len();
        assert!(written <= FREE_BYTES, "{written}");
        assert!(found(&archive(&[("train/a", &[7; 5000])])[..60], &[]).0.is_err());
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("../train/a", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"1").unwrap();
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.zip"), zip.finish().unwrap().into_inner()).unwrap();
        assert!(unpack(&place.path().join("a.zip"), &[], place.path()).unwrap_err().contains("leads out"));
    }

    #[test]
    fn damaged_archives_write_nothing_beside_their_folder() {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for name in ["train/a/1.png", "test/a/2.png"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(b"pixels").unwrap();
        }
        let packed = [
            ("a.tar.gz", archive(&[("train/a/1.png", b"pixels"), ("test/a/2.png", b"pixels")])),
            ("a.zip", zip.finish().unwrap().into_inner()),
        ];
        let place = tempfile::tempdir().unwrap();
        let into = place.path().join("in/to");
        for (name, bytes) in packed {
            for (at, bit) in (0..bytes.len()).map(|it| (it, it % 8)) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                fs::write(place.path().join(name), damaged).unwrap();
                fs::create_dir_all(&into).unwrap();
                let _ = unpack(&place.path().join(name), &[], &into);
                assert_eq!(fs::read_dir(place.path().join("in")).unwrap().count(), 1, "{name}: byte {at}");
                fs::remove_dir_all(&into).unwrap();
            }
            fs::remove_file(place.path().join(name)).unwrap();
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
