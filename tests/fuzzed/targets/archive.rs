//! Archives, as downloads are unpacked: nothing is written beside the folder, only plain files, and no more than is honest.

use super::files::plain;
use super::packing::{gz, parts, tar, zip};
use std::fs;
use std::path::Path;

/// Bytes of the files below a folder, in which nothing is but files and folders.
fn below(folder: &Path) -> u64 {
    let mut bytes = 0;
    for it in fs::read_dir(folder).expect("the folder is there") {
        let path = it.expect("the folder can be read").path();
        let known = fs::symlink_metadata(&path).expect("the file is there");
        assert!(known.is_dir() || known.is_file(), "{}: neither a file nor a folder", path.display());
        bytes += if known.is_dir() { below(&path) } else { known.len() };
    }
    bytes
}

/// The first part is the archive's name with the members that are wanted, a line each; each other part is an entry, whose name
/// begins with the sign of its type. With `!` behind the archive's name, the second part is the archive itself.
pub(super) fn unpack(input: &[u8]) -> bool {
    let parts = parts(input);
    let Some((head, entries)) = parts.split_first() else { return false };
    let (name, raw) = match head.name.strip_suffix('!') {
        Some(it) => (it, true),
        None => (&head.name[..], false),
    };
    let name = ["a.zip", "a.tar", "a.tar.gz", "a.tgz"].into_iter().find(|it| *it == name).unwrap_or("a.zip");
    let bytes = match (raw, name) {
        (true, _) => entries.first().map_or(&[][..], |it| it.bytes).to_vec(),
        (false, "a.zip") => {
            let members: Vec<(&str, Vec<u8>)> =
                entries.iter().map(|it| (it.name.get(1..).unwrap_or(""), it.bytes.to_vec())).collect();
            zip(&members, input.len().is_multiple_of(2))
        }
        (false, _) => {
            let sign = |name: &str| name.bytes().next().unwrap_or(b'0');
            let members: Vec<(u8, &str, Vec<u8>)> =
                entries.iter().map(|it| (sign(&it.name), it.name.get(1..).unwrap_or(""), it.bytes.to_vec())).collect();
            let bytes = tar(&members);
            if name == "a.tar" { bytes } else { gz(&bytes) }
        }
    };
    let wanted = String::from_utf8_lossy(head.bytes).into_owned();
    let wanted: Vec<String> = wanted.lines().filter(|it| !it.contains('/')).take(8).map(str::to_owned).collect();

    let folder = super::place();
    let (archive, into) = (folder.path().join(name), folder.path().join("in").join("to"));
    fs::create_dir_all(&into).expect("a folder to unpack into");
    fs::write(&archive, &bytes).expect("the archive is written");
    let done = sphc::data::unpack(&archive, &wanted, &into);
    if let Err(it) = &done {
        plain(it);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2, "beside the folder");
    assert_eq!(fs::read_dir(folder.path().join("in")).expect("it is there").count(), 1, "beside the folder");
    let found = below(&into);
    assert!(found <= (bytes.len() as u64 * 100).max(64 << 20), "{found} bytes of {}", bytes.len());
    done.is_ok()
}
