//! Downloads from a server in this process that behaves badly in every way: it stalls, breaks off, lies about
//! lengths, serves wrong bytes, refuses ranges, fails.

use sha2::{Digest, Sha256};
use sphc::data::fetch::{Event, Patience, fetch};
use sphc::data::{self, Manifest};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// As it should be, ranges too.
    Well,
    /// The whole file, whatever range was asked for.
    WithoutRanges,
    /// So many bytes, then the connection is closed.
    BrokenOff(usize),
    /// So many bytes, then nothing for a long time.
    Stalled(usize),
    /// A length that many bytes longer (or shorter) than the file, which then follows.
    Lying(i64),
    /// Other bytes of the same length.
    Wrong,
    /// A range that was not asked for.
    WrongRange,
    /// A status.
    Status(u16),
}

/// A server that answers one request after the other as told, and then always well.
struct Server {
    address: String,
    /// The range of each request.
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    fn start(body: Vec<u8>, answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut answers) = (asked.clone(), answers.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = if answers.is_empty() { Answer::Well } else { answers.remove(0) };
                let (seen, body) = (seen.clone(), body.clone());
                // A client that has heard enough hangs up; that is not a failure of the server.
                std::thread::spawn(move || drop(respond(stream, &body, answer, &seen)));
            }
        });
        Server { address, asked }
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().unwrap().clone()
    }
}

fn respond(
    mut stream: TcpStream,
    body: &[u8],
    answer: Answer,
    asked: &Mutex<Vec<Option<String>>>,
) -> std::io::Result<()> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        range = line.strip_prefix("range: ").map(str::to_owned).or(range);
    }
    asked.lock().unwrap().push(range.clone());
    let from = range.and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = if matches!(answer, Answer::WithoutRanges) { None } else { from };
    let rest = &body[from.unwrap_or(0)..];
    let length = match answer {
        Answer::Lying(by) => rest.len() as i64 + by,
        _ => rest.len() as i64,
    };
    let head = match (answer, from) {
        (Answer::Status(status), _) => {
            format!("HTTP/1.1 {status} Other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        (_, Some(from)) => {
            let first = if matches!(answer, Answer::WrongRange) { from + 1 } else { from };
            let (last, all) = (body.len() - 1, body.len());
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{all}\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n"
            )
        }
        (_, None) => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"),
    };
    stream.write_all(head.as_bytes())?;
    match answer {
        Answer::Status(_) => {}
        Answer::BrokenOff(bytes) => stream.write_all(&rest[..bytes.min(rest.len())])?,
        Answer::Stalled(bytes) => {
            stream.write_all(&rest[..bytes.min(rest.len())])?;
            stream.flush()?;
            std::thread::sleep(Duration::from_secs(20));
        }
        Answer::Wrong => stream.write_all(&rest.iter().map(|it| it ^ 1).collect::<Vec<u8>>())?,
        _ => stream.write_all(rest)?,
    }
    stream.flush()
}

/// One archive of a tiny data set of images by class.
fn archive() -> Vec<u8> {
    let mut picture = std::io::Cursor::new(Vec::new());
    image_of(8).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none()));
    for name in ["pets/train/cat/a.png", "pets/train/dog/b.png", "pets/test/cat/c.png", "pets/test/dog/d.png"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(picture.get_ref().len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, picture.get_ref().as_slice()).unwrap();
    }
    // So that it does not come in one piece.
    let mut header = tar::Header::new_gnu();
    header.set_size(300_000);
    header.set_mode(0o644);
    builder.append_data(&mut header, "pets/noise", [7u8; 300_000].as_slice()).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn image_of(side: u32) -> image::DynamicImage {
    image::DynamicImage::ImageLuma8(image::GrayImage::from_fn(side, side, |x, y| image::Luma([(16 * x + y) as u8])))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

/// A folder with the manifest of a data set at a server.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(server: &Server, sha256: &str, more: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let address = &server.address;
        let text = format!(
            "name: pets\nformat: images\npath: sets/pets\nfiles:\n  - url: http://{address}/files/pets.tar.gz\n    \
             sha256: \"{sha256}\"\n{more}"
        );
        fs::write(directory.path().join("pets.yaml"), text).unwrap();
        Place { directory }
    }

    fn manifest(&self) -> (Manifest, String) {
        let path = self.directory.path().join("pets.yaml").display().to_string();
        (data::describe(&path).unwrap(), path)
    }

    fn fetch(&self) -> Result<PathBuf, String> {
        let (manifest, path) = self.manifest();
        let patience = Patience { silence: Duration::from_millis(400), attempts: 2 };
        fetch(&manifest, &path, None, patience, &mut |_| {}).map_err(|it| it.to_string())
    }

    fn sets(&self) -> PathBuf {
        self.directory.path().join("sets")
    }

    /// That the data set is complete and nothing else lies there.
    fn is_complete(&self) {
        let (manifest, path) = self.manifest();
        let place = data::place_of(&manifest, &path, None).unwrap();
        let found = data::read(&manifest, &place, &[]).unwrap();
        assert_eq!(
            (found.train.targets.labels(), found.test.targets.labels(), found.image),
            (&[0, 1][..], &[0, 1][..], [8, 8, 1].into())
        );
        assert_eq!(names(&self.sets()), ["pets"]);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut res: Vec<String> = fs::read_dir(directory)
        .map(|it| it.flatten().map(|it| it.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    res.sort();
    res
}

#[test]
fn a_data_set_is_fetched_checked_and_unpacked() {
    let body = archive();
    let server = Server::start(body.clone(), &[]);
    let place = Place::new(&server, &hex(&body), &format!("    size: {}\n", body.len()));
    let (manifest, path) = place.manifest();
    let mut events = Vec::new();
    let found =
        fetch(&manifest, &path, None, Patience::default(), &mut |event| events.push(format!("{event:?}"))).unwrap();
    assert_eq!(found, place.sets().join("pets"));
    place.is_complete();
    assert!(events.first().unwrap().contains("Asked") && events.last().unwrap() == "Sound", "{events:?}");
    assert!(events.contains(&format!("{:?}", Event::Bytes(body.len() as u64))));
    // What is there is not asked for again.
    place.fetch().unwrap();
    assert_eq!(server.asked(), [None]);
}

#[test]
fn what_breaks_off_or_stalls_is_gone_on_with() {
    let body = archive();
    let answers = [
        Answer::BrokenOff(100_000),
        Answer::Stalled(50_000),
        Answer::Status(503),
        Answer::BrokenOff(0),
        Answer::BrokenOff(70_000),
    ];
    for size in [String::new(), format!("    size: {}\n", body.len())] {
        let server = Server::start(body.clone(), &answers);
        let place = Place::new(&server, &hex(&body), &size);
        // Twice nothing new is too much for this patience; the next command goes on.
        let message = place.fetch().unwrap_err();
        assert!(message.contains("goes on from 150000 bytes"), "{message}");
        assert!(names(&place.sets()) == [".fetching-pets"], "{:?}", names(&place.sets()));
        place.fetch().unwrap();
        place.is_complete();
        let from: Vec<Option<String>> =
            [None, Some(100_000), Some(150_000), Some(150_000), Some(150_000), Some(220_000)]
                .map(|it: Option<u32>| it.map(|it| format!("bytes={it}-")))
                .to_vec();
        assert_eq!(server.asked(), from);
    }
}

#[test]
fn servers_without_ranges_start_over() {
    let body = archive();
    for second in [Answer::WithoutRanges, Answer::WrongRange, Answer::Status(416)] {
        let server = Server::start(body.clone(), &[Answer::BrokenOff(90_000), second]);
        let place = Place::new(&server, &hex(&body), "");
        place.fetch().unwrap();
        place.is_complete();
    }
}

#[test]
fn lies_about_the_length_are_found_out() {
    let body = archive();
    // Shorter: what is left out is missing from the sum. Longer: what is promised never comes.
    let server = Server::start(body.clone(), &[Answer::Lying(-1000)]);
    let place = Place::new(&server, &hex(&body), "");
    let message = place.fetch().unwrap_err();
    assert!(message.contains("gave other bytes than expected") && message.contains("sha256"), "{message}");
    assert!(!place.sets().join("pets").exists());
    let server = Server::start(body.clone(), &[Answer::Lying(1000); 4]);
    let place = Place::new(&server, &hex(&body), "");
    assert!(place.fetch().is_err());
    assert!(!place.sets().join("pets").exists());
    // A manifest that tells the size is believed over the server.
    let server = Server::start(body.clone(), &[Answer::Lying(-1000)]);
    let place = Place::new(&server, &hex(&body), &format!("    size: {}\n", body.len()));
    place.fetch().unwrap();
    place.is_complete();
    let server = Server::start(body.clone(), &[]);
    let place = Place::new(&server, &hex(&body), &format!("    size: {}\n", body.len() - 1));
    let message = place.fetch().unwrap_err();
    assert!(message.contains(&format!("more than {} bytes", body.len() - 1)), "{message}");
}

#[test]
fn wrong_bytes_are_never_kept() {
    let body = archive();
    let server = Server::start(body.clone(), &[Answer::Wrong]);
    let place = Place::new(&server, &hex(&body), "");
    let message = place.fetch().unwrap_err();
    assert!(message.contains(&hex(&body)) && message.contains("do not use it"), "{message}");
    assert!(!place.sets().join("pets").exists());
    assert!(names(&place.sets().join(".fetching-pets")).is_empty(), "nothing to go on with");
    place.fetch().unwrap();
    place.is_complete();
}

#[test]
fn what_cannot_be_had_is_told_with_the_remedy() {
    let body = archive();
    let server = Server::start(body.clone(), &[Answer::Status(404)]);
    let place = Place::new(&server, &hex(&body), "");
    let message = place.fetch().unwrap_err();
    for it in ["404", "pets.tar.gz", "by hand", "sets/pets"] {
        assert!(message.contains(it), "{message}");
    }
    assert_eq!(server.asked().len(), 1, "asking again does not help");

    // The right bytes, but no archive.
    let server = Server::start(b"no archive".to_vec(), &[]);
    let place = Place::new(&server, &hex(b"no archive"), "");
    let message = place.fetch().unwrap_err();
    assert!(message.contains("cannot unpack"), "{message}");
    assert!(names(&place.sets()).is_empty(), "{:?}", names(&place.sets()));

    // Something else is where it belongs.
    let place = Place::new(&server, &hex(&body), "");
    fs::create_dir_all(place.sets().join("pets")).unwrap();
    fs::write(place.sets().join("pets/mine"), "").unwrap();
    let message = place.fetch().unwrap_err();
    assert!(message.contains("move it away"), "{message}");
    assert!(place.sets().join("pets/mine").exists());
}

#[test]
fn training_fetches_unless_offline() {
    let body = archive();
    let server = Server::start(body.clone(), &[]);
    let place = Place::new(&server, &hex(&body), "");
    let model = "model M {\n    input image: u8[4, 4, 3]\n    x = (image - 128) / 128\n    \
                 output conv(x, classes, kernel: 4, pad: valid) as \"score\"\n}\n\ntrain {\n    \
                 data       digits |> resize(4, 4) |> channels(3)\n    batch      2\n    iterations 2\n    \
                 loss       softmax_cross_entropy()\n    optimizer  adam(rate: 1e-3)\n}\n";
    fs::write(place.directory.path().join("m.sph"), model).unwrap();
    let train = |more: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(["train", "m.sph", "--data", "pets.yaml", "--run", "run"])
            .args(more)
            .current_dir(place.directory.path())
            .output()
            .unwrap()
    };
    let output = train(&["--offline"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("sphc data fetch pets.yaml"), "{said}");
    assert!(server.asked().is_empty() && !place.directory.path().join("run").exists());
    let output = train(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("fetching http://"), "{said}");
    place.is_complete();
    assert_eq!(server.asked(), [None]);

    // The same steps hold for pictures that are classified.
    image_of(8).save(place.directory.path().join("one.png")).unwrap();
    let weights = "run/checkpoints/step-00000002.safetensors";
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["predict", "m.sph", "--data", "pets.yaml", "--weights", weights, "one.png", "--format", "json"])
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|it| {
        panic!("{it}: {}", String::from_utf8_lossy(&output.stderr));
    });
    assert!(["cat", "dog"].contains(&said["class"].as_str().unwrap()));
    assert!((0.5..=1.0).contains(&said["probability"].as_f64().unwrap()), "{said}");
}

#[test]
fn the_manifest_in_the_documentation_is_one() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/training.md")).unwrap();
    let texts: Vec<&str> = page.split("```yaml\n").skip(1).map(|it| it.split("```").next().unwrap()).collect();
    let [text, parted, shards, table] = texts[..] else { panic!("{} manifests", texts.len()) };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("pets.yaml");
    fs::write(&path, text).unwrap();
    let found = data::describe(&path.display().to_string()).unwrap();
    assert_eq!((found.name.as_str(), found.classes.len(), found.files.len()), ("pets", 2, 1));
    assert_eq!(found.path, Some(place.path().join("sets/pets")));
    let path = place.path().join("birds.yaml");
    fs::write(&path, parted).unwrap();
    let found = data::describe(&path.display().to_string()).unwrap();
    assert_eq!((found.name.as_str(), found.path), ("birds", Some(place.path().join("pictures/birds"))));
    fs::write(&path, shards).unwrap();
    let found = data::describe(&path.display().to_string()).unwrap();
    assert_eq!((found.train.len(), found.test), (2, vec!["held.npz".to_owned()]));
    fs::write(&path, table).unwrap();
    let found = data::describe(&path.display().to_string()).unwrap();
    assert_eq!((found.train, found.columns), (vec!["leaves.csv".to_owned()], vec!["age".to_owned()]));
}
