//! NVRTC: finding it, compiling texts in parallel, keeping what it made on disk.

use super::probe::{Missing, quietly};
use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};
use std::ffi::CString;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

/// Machine code of one text.
#[derive(Clone, Debug)]
pub struct Image {
    /// A cubin.
    pub bytes: Vec<u8>,
    /// Whether it was on disk already.
    pub cached: bool,
}

/// A loaded NVRTC.
#[derive(Clone, Copy, Debug)]
pub struct Compiler {
    version: (i32, i32),
}

/// What a text is compiled with, besides its architecture.
const OPTIONS: [&str; 1] = ["--std=c++17"];

impl Compiler {
    /// Finds NVRTC: where the system looks, in `SPHC_CUDA_LIB`, in a virtual environment's wheel, in a toolkit.
    pub fn new() -> Result<Self, Missing> {
        let remedy = "`pip install nvidia-cuda-nvrtc` and set SPHC_CUDA_LIB to the folder that holds libnvrtc.so.*, or \
                      install the CUDA toolkit";
        let missing = |cause: &str| Missing { cause: cause.to_owned(), remedy: remedy.to_owned() };
        preload();
        // SAFETY: opens a library by name; nothing else.
        if !unsafe { sys::is_culib_present() } {
            return Err(missing("NVRTC, which compiles kernels, was not found"));
        }
        let version = quietly(|| {
            let (mut major, mut minor) = (0, 0);
            // SAFETY: writes two ints.
            unsafe { sys::nvrtcVersion(&mut major, &mut minor) }.result().map(|()| (major, minor))
        });
        match version {
            Ok(Ok(version)) if (11, 2) <= version => Ok(Self { version }),
            Ok(Ok((major, minor))) => Err(missing(&format!("NVRTC {major}.{minor} is too old; 11.2 is needed"))),
            Ok(Err(_)) | Err(_) => Err(missing("NVRTC does not answer")),
        }
    }

    /// Its version: `(13, 0)`.
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// Compiles texts for one architecture (`sm_90`), as many at a time as there are cores.
    pub fn compile_all(&self, texts: &[&str], architecture: &str) -> Result<Vec<Image>, Missing> {
        let folder = cache_folder();
        let next = AtomicUsize::new(0);
        let images: Mutex<Vec<Option<Result<Image, Missing>>>> = Mutex::new(vec![None; texts.len()]);
        let workers = std::thread::available_parallelism().map_or(1, |it| it.get()).min(texts.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(text) = texts.get(at) else { break };
                        let image = self.compile_cached(text, architecture, folder.as_deref());
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
        if let Some(path) = &path
            && let Ok(bytes) = std::fs::read(path)
            && !bytes.is_empty()
        {
            return Ok(Image { bytes, cached: true });
        }
        let bytes = compile(text, architecture)?;
        if let Some(path) = &path {
            // A cache that cannot be written costs time, not correctness.
            let _ = keep(path, &bytes);
        }
        Ok(Image { bytes, cached: false })
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
fn compile(text: &str, architecture: &str) -> Result<Vec<u8>, Missing> {
    let bug = |cause: String| Missing { cause, remedy: "please report this with the model's file".to_owned() };
    let compiled = catch_unwind(|| {
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

fn image_of(program: sys::nvrtcProgram, architecture: &str) -> Result<Vec<u8>, String> {
    let mut options = vec![format!("--gpu-architecture={architecture}")];
    options.extend(OPTIONS.map(str::to_owned));
    // SAFETY: `program` is alive for the whole function.
    if let Err(error) = unsafe { result::compile_program(program, &options) } {
        // SAFETY: as above.
        let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
        let log: Vec<u8> = log.iter().map(|it| *it as u8).take_while(|it| *it != 0).collect();
        return Err(format!("{error}\n{}", String::from_utf8_lossy(&log)));
    }
    let mut size = 0;
    // SAFETY: writes one size.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut size) }.result().map_err(|it| it.to_string())?;
    let mut image = vec![0u8; size];
    // SAFETY: `image` has the size that was asked for.
    unsafe { sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast()) }.result().map_err(|it| it.to_string())?;
    Ok(image)
}

/// Where compiled kernels are kept: `SPHC_CACHE`, or the user's cache folder.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("SPHC_CACHE").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|it| Path::new(&it).join(".cache")));
        cache.map(|it| it.join("sphc"))
    })?;
    Some(base.join("cubins"))
}

/// Opens the libraries in `SPHC_CUDA_LIB` by path, so that the bindings find them by name; without it, those of a
/// wheel in the virtual environment or of a toolkit, if the system's own search finds none.
pub(super) fn preload() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Some(folder) = std::env::var_os("SPHC_CUDA_LIB") {
            open_all(Path::new(&folder));
            return;
        }
        // SAFETY: opens a library by name; nothing else.
        if unsafe { sys::is_culib_present() } {
            return;
        }
        for folder in usual_folders() {
            if open_all(&folder) {
                return;
            }
        }
    });
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        let Some(home) = std::env::var_os(variable) else { continue };
        let Ok(versions) = std::fs::read_dir(Path::new(&home).join("lib")) else { continue };
        let mut versions: Vec<PathBuf> = versions.flatten().map(|it| it.path()).collect();
        versions.sort();
        for python in versions {
            for wheel in ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"] {
                folders.push(python.join("site-packages").join(wheel));
            }
        }
    }
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        folders.extend(std::env::var_os(variable).map(|it| Path::new(&it).join("lib64")));
    }
    folders.push("/usr/local/cuda/lib64".into());
    folders
}

/// Opens a driver and NVRTC with its companion, whatever is in the folder; whether NVRTC was.
fn open_all(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut names: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    names.sort();
    let mut found = false;
    for start in ["libcuda.so", "libnvrtc-builtins.so", "libnvrtc.so"] {
        for path in &names {
            let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with(start) || name.contains(".alt.") {
                continue;
            }
            // SAFETY: NVIDIA's libraries have no initialisers that do harm; the user named the folder.
            if let Ok(library) = unsafe { libloading::Library::new(path) } {
                std::mem::forget(library);
                found |= start == "libnvrtc.so";
            }
        }
    }
    found
}
