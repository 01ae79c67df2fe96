//! NVRTC: finding it, compiling texts in parallel, keeping what it made on disk.

use super::guard::guarded;
use super::probe::Missing;
use crate::runtime::CudaSetup;
use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Machine code of one text.
#[derive(Clone, Debug)]
pub struct Image {
    /// A cubin, or for a virtual architecture PTX that ends in a zero.
    pub bytes: Vec<u8>,
    /// Whether it was on disk already.
    pub cached: bool,
    /// What it says of its registers.
    pub spills: Spills,
}

/// Bytes that a thread of each entry stores and loads because registers do not suffice. A stack frame is none of them: sine
/// and cosine have one, for arguments that hardly occur. Empty where the compiler says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spills(BTreeMap<String, u32>);

impl Spills {
    /// Of what the assembler says, one entry after the other.
    fn of_log(log: &str) -> Self {
        let mut all = BTreeMap::new();
        let mut entry = None;
        for line in log.lines() {
            if let Some((_, rest)) = line.split_once("Compiling entry function '") {
                entry = rest.split('\'').next().map(str::to_owned);
            }
            let before = |words: &str| line.split_once(words)?.0.rsplit(' ').next()?.parse::<u32>().ok();
            if let (Some(stores), Some(loads)) = (before(" bytes spill stores"), before(" bytes spill loads")) {
                all.extend(entry.take().map(|it| (it, stores.saturating_add(loads))));
            }
        }
        Self(all)
    }

    /// As they are kept on disk.
    fn of_text(text: &str) -> Option<Self> {
        let line = |it: &str| {
            let (entry, bytes) = it.split_once(' ')?;
            Some((entry.to_owned(), bytes.parse().ok()?))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }

    fn to_text(&self) -> String {
        self.0.iter().map(|(entry, bytes)| format!("{entry} {bytes}\n")).collect()
    }

    /// Of one entry, if that is known.
    pub fn of(&self, entry: &str) -> Option<u32> {
        self.0.get(entry).copied()
    }
}

/// A loaded NVRTC.
#[derive(Clone, Debug)]
pub struct Compiler {
    version: (i32, i32),
    /// Architectures, as numbers; none where it does not tell.
    known: Vec<i32>,
    /// Where what it makes is kept.
    cache: Option<PathBuf>,
}

/// What a text is compiled with, besides its architecture.
const OPTIONS: [&str; 1] = ["--std=c++17"];
/// Makes the assembler speak. Old versions do not know it.
const TELL: &str = "--ptxas-options=-v";

impl Compiler {
    /// Finds NVRTC: in the folder of the setup, where the system looks, or where the setup searches.
    pub fn new(setup: &CudaSetup) -> Result<Self, Missing> {
        let remedy = "`pip install nvidia-cuda-nvrtc` and set SPHC_CUDA_LIB to the folder that holds libnvrtc.so.*, or \
                      install the CUDA toolkit";
        let missing = |cause: &str| Missing { cause: cause.to_owned(), remedy: remedy.to_owned() };
        preload(setup);
        // SAFETY: opens a library by name; nothing else.
        if !unsafe { sys::is_culib_present() } {
            return Err(missing("NVRTC, which compiles kernels, was not found"));
        }
        let version = guarded(|| {
            let (mut major, mut minor) = (0, 0);
            // SAFETY: writes two ints.
            unsafe { sys::nvrtcVersion(&mut major, &mut minor) }.result().map(|()| (major, minor))
        });
        match version {
            Ok(Ok(version)) if (11, 2) <= version => {
                let known = guarded(architectures).unwrap_or_default();
                Ok(Self { version, known, cache: setup.cache.clone() })
            }
            Ok(Ok((major, minor))) => Err(missing(&format!("NVRTC {major}.{minor} is too old; 11.2 is needed"))),
            Ok(Err(_)) | Err(_) => Err(missing("NVRTC does not answer")),
        }
    }

    /// Its version: `(13, 0)`.
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// What to compile for on a device: its own architecture, or the newest that this NVRTC knows and the driver makes code
    /// of, where the device is newer.
    pub fn architecture(&self, (major, minor): (i32, i32)) -> String {
        let own = major * 10 + minor;
        match self.known.iter().copied().filter(|it| *it <= own).max() {
            Some(newest) if newest != own => format!("compute_{newest}"),
            Some(_) | None => format!("sm_{own}"),
        }
    }

    /// Compiles texts for one architecture (`sm_90`, or `compute_90` for PTX), as many at a time as there are cores.
    pub fn compile_all(&self, texts: &[&str], architecture: &str) -> Result<Vec<Image>, Missing> {
        let next = AtomicUsize::new(0);
        let images: Mutex<Vec<Option<Result<Image, Missing>>>> = Mutex::new(vec![None; texts.len()]);
        let workers = std::thread::available_parallelism().map_or(1, |it| it.get()).min(texts.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(text) = texts.get(at) else { break };
                        let image = self.compile_cached(text, architecture, self.cache.as_deref());
                        images.lock().expect("no worker panics with the lock held")[at] = Some(image);
                    }
                });
            }
        });
        let images = images.into_inner().expect("no worker panics with the lock held");
        images.into_iter().map(|it| it.expect("workers take every text")).collect()
    }

    fn compile_cached(&self, text: &str, architecture: &str, folder: Option<&Path>) -> Result<Image, Missing> {
        let key = self.key(text, architecture);
        let path = folder.map(|it| it.join(format!("{key}.cubin")));
        let beside = |path: &Path| path.with_extension("spills");
        if let Some(path) = &path
            && let Ok(bytes) = std::fs::read(path)
            && let Ok(text) = std::fs::read_to_string(beside(path))
            && let Some(spills) = Spills::of_text(&text)
            && !bytes.is_empty()
        {
            return Ok(Image { bytes, cached: true, spills });
        }
        let (bytes, spills) = compile(text, architecture)?;
        if let Some(path) = &path {
            // A cache that cannot be written costs time, not correctness.
            let _ = keep(&beside(path), spills.to_text().as_bytes()).and_then(|()| keep(path, &bytes));
        }
        Ok(Image { bytes, cached: false, spills })
    }

    /// Everything that decides what comes out.
    fn key(&self, text: &str, architecture: &str) -> String {
        let mut hasher = Sha256::new();
        let (major, minor) = self.version;
        hasher.update(format!("{major}.{minor}\n{architecture}\n{}\n", OPTIONS.join(" ")));
        hasher.update(text);
        hasher.finalize().iter().take(16).map(|it| format!("{it:02x}")).collect()
    }
}

/// The architectures that NVRTC makes code for.
fn architectures() -> Vec<i32> {
    let mut count = 0;
    // SAFETY: writes one int.
    let told = unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }.result();
    let mut known = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: writes as many ints as it said.
    let listed = told.and_then(|()| unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) }.result());
    if listed.is_err() { Vec::new() } else { known }
}

/// Writes, then renames, so that nobody reads half a file.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Compiles one text.
fn compile(text: &str, architecture: &str) -> Result<(Vec<u8>, Spills), Missing> {
    let bug = |cause: String| Missing { cause, remedy: "please report this with the model's file".to_owned() };
    let compiled = guarded(|| {
        let text = CString::new(text).map_err(|it| it.to_string())?;
        let name = c"kernel.cu";
        let program = result::create_program(&text, Some(name)).map_err(|it| it.to_string())?;
        let image = image_of(program, architecture);
        // SAFETY: `program` is alive, and not used after this.
        let destroyed = unsafe { result::destroy_program(program) };
        image.and_then(|image| destroyed.map(|()| image).map_err(|it| it.to_string()))
    });
    match compiled {
        Ok(result) => result.map_err(|it| bug(format!("NVRTC cannot compile a kernel for {architecture}: {it}"))),
        Err(_) => Err(bug("NVRTC is too old".to_owned())),
    }
}

fn image_of(program: sys::nvrtcProgram, architecture: &str) -> Result<(Vec<u8>, Spills), String> {
    let mut options = vec![format!("--gpu-architecture={architecture}")];
    options.extend(OPTIONS.map(str::to_owned));
    options.push(TELL.to_owned());
    // SAFETY: `program` is alive for the whole function.
    let mut compiled = unsafe { result::compile_program(program, &options) };
    if compiled.as_ref().is_err_and(|it| it.0 == sys::nvrtcResult::NVRTC_ERROR_INVALID_OPTION) {
        options.pop();
        // SAFETY: as above.
        compiled = unsafe { result::compile_program(program, &options) };
    }
    // SAFETY: as above.
    let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
    let log: Vec<u8> = log.iter().map(|it| *it as u8).take_while(|it| *it != 0).collect();
    let log = String::from_utf8_lossy(&log);
    if let Err(error) = compiled {
        return Err(format!("{error}\n{log}"));
    }
    if architecture.starts_with("compute_") {
        // SAFETY: as above.
        let ptx = unsafe { result::get_ptx(program) }.map_err(|it| it.to_string())?;
        let mut image: Vec<u8> = ptx.iter().map(|it| *it as u8).take_while(|it| *it != 0).collect();
        image.push(0);
        return Ok((image, Spills::default()));
    }
    let mut size = 0;
    // SAFETY: writes one size.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut size) }.result().map_err(|it| it.to_string())?;
    let mut image = vec![0u8; size];
    // SAFETY: `image` has the size that was asked for.
    unsafe { sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast()) }.result().map_err(|it| it.to_string())?;
    Ok((image, Spills::of_log(&log)))
}

/// Folders whose libraries were opened, by the first of their names. Libraries stay open as long as the process lives.
static OPENED: Mutex<BTreeSet<(PathBuf, &str)>> = Mutex::new(BTreeSet::new());

/// Opens a folder's libraries once; whether the last of them is there.
fn opened(folder: &Path, starts: &[&'static str]) -> bool {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (folder.to_path_buf(), starts[0]);
    let found = opened.contains(&key) || open_all(folder, starts);
    if found {
        opened.insert(key);
    }
    found
}

/// Opens the driver in the folder of the setup by path, so that the bindings find it by name. Nothing else is opened: a
/// process without a driver has no use for the compiler, which takes some 30 MB.
pub(super) fn preload_driver(setup: &CudaSetup) {
    if let Some(folder) = &setup.libraries {
        opened(folder, &["libcuda.so"]);
    }
}

/// NVRTC and its companion.
const COMPILER: [&str; 2] = ["libnvrtc-builtins.so", "libnvrtc.so"];

/// The same for NVRTC; without such a folder, that of one in which to search, if the system's own search finds none.
fn preload(setup: &CudaSetup) {
    if let Some(folder) = &setup.libraries {
        opened(folder, &COMPILER);
        return;
    }
    // SAFETY: opens a library by name; nothing else.
    if !unsafe { sys::is_culib_present() } {
        let _ = setup.search.iter().find(|it| opened(it, &COMPILER));
    }
}

/// Opens those libraries of a folder whose names start with one of `starts`, in that order; whether the last was there.
fn open_all(folder: &Path, starts: &[&str]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut names: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    names.sort();
    let mut found = false;
    for start in starts {
        found = false;
        for path in &names {
            let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with(start) || name.contains(".alt.") {
                continue;
            }
            // SAFETY: NVIDIA's libraries have no initialisers that do harm; the user named the folder.
            if let Ok(library) = unsafe { libloading::Library::new(path) } {
                std::mem::forget(library);
                found = true;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_frame_is_no_spill() {
        let log = "ptxas info    : 24 bytes gmem, 8 bytes cmem[4]\n\
                   ptxas info    : Compiling entry function 'conv' for 'sm_80'\n\
                   ptxas info    : Function properties for conv\n\
                   ptxas         .     640 bytes stack frame, 1272 bytes spill stores, 1324 bytes spill loads\n\
                   ptxas info    : Used 32 registers, used 1 barriers, 640 bytes cumulative stack size\n\
                   ptxas info    : Compiling entry function 'combine' for 'sm_80'\n\
                   ptxas         .     32 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n";
        let found = Spills::of_log(log);
        assert_eq!(["conv", "combine", "other"].map(|it| found.of(it)), [Some(2596), Some(0), None]);
        assert_eq!(Spills::of_text(&found.to_text()), Some(found));
        assert_eq!(Spills::of_text("conv"), None);
        assert_eq!(Spills::of_log("nothing of the kind"), Spills::default());
    }
}
